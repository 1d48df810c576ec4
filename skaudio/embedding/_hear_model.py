"""An embedder of skaudio as a model of the HEAR protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from torch import Tensor, nn

from skaudio._audio._load import load_clips
from skaudio._segments import centred_window, frame_times, window_starts
from skaudio._utils._types import is_path

WINDOWS = 256  # that are embedded together


class HEARModel(nn.Module):
    """An embedder as a model that follows the protocol of the HEAR benchmark.

    The converse of `PretrainedEmbedder`: code that evaluates or uses HEAR models gets
    the embeddings of any embedder, or Pipeline that ends in one row per clip. The
    module `skaudio.embedding.hear` is for tools that take the name of a module and the
    path of a file.

    Parameters
    ----------
    embedder : transformer
        Takes waveforms and gives one row per clip: a `PretrainedEmbedder`, or a fitted
        Pipeline such as ``make_pipeline(MelView(), FrameStatistics())``.
    sr : int or None, default=None
        Sampling rate in Hz of the sound that it will get, which is resampled to that
        of the embedder. None is the embedder's own rate.
    embedder_sr : float or None, default=None
        Rate in Hz of the arrays that `embedder` takes, where no part of it has one;
        None is `sr` there.
    hop : float, default=0.05
        Seconds from one timestamp to the next; the benchmark requires no more than the
        default, for the sake of transcription.
    frame_length : float, default=1.0
        Seconds around a timestamp that are embedded, unless `embedder` has
        ``transform_frames``. What lies outside of a sound is silent.

    Attributes
    ----------
    sample_rate : int
        Rate in Hz of the sound that the model takes.
    scene_embedding_size : int
        Length of the embedding of a sound.
    timestamp_embedding_size : int
        Length of the embeddings of its frames.

    See Also
    --------
    PretrainedEmbedder : The other way: a HEAR model as a transformer.

    References
    ----------
    Turian et al., "HEAR: Holistic Evaluation of Audio Representations", NeurIPS 2021
    competition track; https://hearbenchmark.com/hear-api.html

    Examples
    --------
    >>> import torch
    >>> from sklearn.pipeline import make_pipeline
    >>> from skaudio.embedding import HEARModel
    >>> from skaudio.preprocessing import FrameStatistics
    >>> from skaudio.views import MelView
    >>> sound = torch.zeros(2, 16000)
    >>> embedder = make_pipeline(MelView(sr=16000, n_mels=8), FrameStatistics())
    >>> model = HEARModel(embedder.fit(sound.numpy()))
    >>> model.get_scene_embeddings(sound).shape
    torch.Size([2, 16])
    >>> embeddings, milliseconds = model.get_timestamp_embeddings(sound)
    >>> embeddings.shape, milliseconds[0, :3]
    (torch.Size([2, 20, 16]), tensor([ 25.,  75., 125.]))
    """

    def __init__(
        self,
        embedder: Any,
        *,
        sr: int | None = None,
        embedder_sr: float | None = None,
        hop: float = 0.05,
        frame_length: float = 1.0,
    ) -> None:
        super().__init__()
        if not hasattr(embedder, "transform"):
            raise TypeError(
                f"embedder must have transform; {type(embedder).__name__} has not. Of "
                "a classifier, take the steps before it, or a hidden layer."
            )
        self.embedder = embedder
        self.rate = rate_of(embedder, sr if embedder_sr is None else embedder_sr)
        self.sample_rate = int(self.rate if sr is None else sr)
        self.hop = hop
        self.frame_length = frame_length
        second = torch.zeros(1, self.sample_rate, dtype=torch.float32, device="cpu")
        self.scene_embedding_size = self._size(self.get_scene_embeddings(second))
        frames, _ = self.get_timestamp_embeddings(second)
        self.timestamp_embedding_size = int(frames.shape[2])

    def get_scene_embeddings(self, audio: Tensor) -> Tensor:
        """Embed sounds (n_sounds, n_samples) as (n_sounds, scene_embedding_size)."""
        return torch.from_numpy(self._embed(self._clips(audio))).to(audio.device)

    def get_timestamp_embeddings(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Embed sounds (n_sounds, n_samples) over time.

        Parameters
        ----------
        audio : Tensor of shape (n_sounds, n_samples)
            Mono sound at `sample_rate`, from -1 to 1.

        Returns
        -------
        embeddings : Tensor of shape (n_sounds, n_timestamps, timestamp_embedding_size)
            Centred at the timestamps, which lie one hop apart.
        timestamps : Tensor of shape (n_sounds, n_timestamps)
            In milliseconds.
        """
        clips = self._clips(audio)
        embeddings, times = (
            self.embedder.transform_frames(clips, hop=self._hop())
            if hasattr(self.embedder, "transform_frames")
            else self._windows(clips)
        )
        embeddings = np.ascontiguousarray(embeddings.swapaxes(1, 2), dtype=np.float32)
        milliseconds = (1000 * times).astype(np.float32)
        return (
            torch.from_numpy(embeddings).to(audio.device),
            torch.from_numpy(milliseconds).to(audio.device),
        )

    def _windows(self, clips: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings (n_clips, n_features, n_frames) of windows around each time."""
        n_samples = max(1, round(self.frame_length * self.rate))
        times = frame_times(len(clips[0]) / self.rate, self.hop)
        firsts = window_starts(times, self.rate, n_samples)
        where = [(clip, first) for clip in clips for first in firsts]
        rows = [
            self._embed([centred_window(*w, n_samples) for w in where[i : i + WINDOWS]])
            for i in range(0, len(where), WINDOWS)
        ]
        table = np.concatenate(rows).reshape(len(clips), len(firsts), -1)
        return table.swapaxes(1, 2), np.tile(times, (len(clips), 1))

    def _embed(self, clips: list[np.ndarray]) -> np.ndarray:
        return np.array(self.embedder.transform(clips), dtype=np.float32)

    def _clips(self, audio: Tensor) -> list[np.ndarray]:
        if audio.ndim != 2:
            raise ValueError(
                "audio must have shape (n_sounds, n_samples); got "
                f"{tuple(audio.shape)}."
            )
        sounds = audio.detach().cpu().numpy()
        clips, _ = load_clips(sounds, sr=self.rate, array_sr=self.sample_rate)
        return list(clips)  # a list: their length is free

    def _hop(self) -> float | None:
        """None for a model that follows the protocol itself, and has a hop."""
        weights = getattr(self.embedder, "weights", "")
        return self.hop if is_path(weights) else None

    def _size(self, scenes: Tensor) -> int:
        if scenes.ndim != 2:
            raise ValueError(
                f"embedder must give one row per clip; {type(self.embedder).__name__} "
                f"gives {tuple(scenes.shape[1:])} per clip. Add FrameStatistics."
            )
        return int(scenes.shape[1])


def rate_of(embedder: Any, default: float | None = None) -> float:
    """Rate in Hz of the arrays that an embedder, or the parts of one, take."""
    rates = set()
    for part in _parts_of(embedder):
        if hasattr(part, "_rate_of_arrays"):
            rates.add(part._rate_of_arrays())
        elif getattr(part, "sr", None) is not None:
            rates.add(part.sr)
    if len(rates) == 1:
        return float(rates.pop())
    if rates or default is None:
        found = f"several rates, {sorted(rates)}," if rates else "no rate"
        raise ValueError(
            f"{type(embedder).__name__} has {found} to take sound at. "
            + (
                "Make them equal."
                if rates
                else "Set it with embedder_sr=... (of HEARModel, or of load_model), or "
                "sr=... of the step that takes the sound, such as a view."
            )
        )
    return float(default)


def _parts_of(embedder: Any) -> Iterator[Any]:
    """An embedder and all that it is made of, what is frozen included."""
    yield embedder
    if isinstance(embedder, FrozenEstimator):  # whose parameters hide those below
        yield from _parts_of(embedder.estimator)
    elif hasattr(embedder, "get_params"):
        for part in embedder.get_params().values():
            inside = isinstance(part, FrozenEstimator)
            yield from _parts_of(part) if inside else (part,)
