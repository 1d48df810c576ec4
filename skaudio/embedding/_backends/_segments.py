"""What networks have in common that see segments of waveforms of a fixed length."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from skaudio._segments import (
    centred_window,
    cut,
    even_segments,
    frame_times,
    split_means,
    window_starts,
)
from skaudio.cache._keys import digest_of
from skaudio.embedding._base import Frames, Network
from skaudio.nn.devices import in_batches
from skaudio.nn.layers import layer_names

# a clip (1, n_samples), a first sample and a number of samples
Segment = tuple[np.ndarray, int, int]
Take = Callable[[np.ndarray, int, int], np.ndarray]


class SegmentNetwork(Network):
    """A network on waveforms and the layers whose activations are the embedding.

    Parameters
    ----------
    network : Module
        In eval mode, on `device`, with ``n_samples`` and ``hidden_layers``.
    layers : sequence of int or str, or None
        Places among ``network.hidden_layers``, negative ones from the top, or names;
        None is `best_layers`.
    n_segments : int or None
        Evenly spaced segments per clip; None is as many as fit side by side, and one.
    output : {"embedding", "tags"}
        Layers, or probabilities of what the network was trained for.
    sample_rate : float
        Rate in Hz that it was trained at.
    layout, fingerprint, device : str
        Form and digest of the weights; where to compute.
    batch_size : int
        Segments computed together on a GPU.
    n_samples : int or None, default=None
        Samples of a segment; None is the network's own number.
    """

    has_layers = True
    # layers of the embedding where none are given, by the class of the network
    best: ClassVar[dict[type, tuple[int, ...]]]

    def __init__(
        self,
        network: Any,
        *,
        layers: Sequence[int | str] | None,
        n_segments: int | None,
        output: str = "embedding",
        sample_rate: float,
        layout: str,
        fingerprint: str,
        device: str,
        batch_size: int,
        n_samples: int | None = None,
    ) -> None:
        self.network = network
        self.n_samples: int = n_samples or network.n_samples
        self.n_in_frame = self.n_samples
        self.gives_tags = output == "tags"
        if self.gives_tags and isinstance(network.output, nn.Identity):
            raise ValueError(
                "output='tags' needs the output layer of a network, which this file "
                "does not hold: it has layers for embeddings only."
            )
        self.layers = layer_names(network, self.best_layers(network, layers))
        self.n_segments = n_segments
        self.sample_rate = sample_rate
        self.layout = layout
        self.device = device
        on_cpu = torch.device(device).type == "cpu"
        # one by one, activations fit the processor's cache, and rows are independent
        self.batch_size = 1 if on_cpu else batch_size
        what = "tags" if self.gives_tags else tuple(self.layers)
        kind = torch.device(device).type
        self.fingerprint = digest_of(fingerprint, what, n_segments, kind)

    def best_layers(
        self, network: Any, layers: Sequence[int | str] | None
    ) -> Sequence[int | str]:
        """The layers that were asked for, or those that were measured to serve best."""
        return self.best[type(network)] if layers is None else layers

    def with_network(self, network: Any) -> Self:
        """The same with another network of this kind, such as an exported one."""
        twin = copy.copy(self)
        twin.network = network
        return twin

    def embed(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Mean over even segments of every clip."""
        length = self.n_samples
        starts = [
            even_segments(len(clip), length, self.n_segments).tolist() for clip in clips
        ]
        segments = [
            (clip[None], start, min(length, len(clip)))
            for clip, firsts in zip(clips, starts, strict=True)
            for start in firsts
        ]
        features = np.stack(self._features(segments, cut))
        return split_means(features, [len(firsts) for firsts in starts])

    def embed_frames(
        self, clips: Sequence[np.ndarray], hop: float | None
    ) -> list[Frames]:
        """Every frame by itself, centred at its time."""
        n = self.n_in_frame
        frames = []
        for clip in clips:
            duration = len(clip) / self.sample_rate
            times = frame_times(duration, hop or n / self.sample_rate)
            firsts = window_starts(times, self.sample_rate, n)
            segments = [(clip[None], first, n) for first in firsts]
            features = self._features(segments, centred_window)
            frames.append((np.stack(features, axis=1), times))
        return frames

    def _features(self, segments: Sequence[Segment], take: Take) -> list[np.ndarray]:
        """What the network makes of every segment."""
        rows_of: dict[Any, list[int]] = {}
        for row, (_, _, length) in enumerate(segments):
            rows_of.setdefault(self._shape_of(length), []).append(row)
        features: list[Any] = [None] * len(segments)
        with torch.inference_mode():
            for shape, rows in rows_of.items():
                found = in_batches(
                    partial(self._batch, segments, take, shape),
                    rows,
                    batch_size=self.batch_size,
                    device=self.device,
                    what="segments",
                )
                for row, values in zip(rows, found, strict=True):
                    features[row] = values
        return features

    def _batch(
        self, segments: Sequence[Segment], take: Take, shape: Any, rows: Sequence[int]
    ) -> np.ndarray:
        filled = [self._filled(take(*segments[row]), shape) for row in rows]
        x = torch.from_numpy(np.stack(filled).astype(np.float32, copy=False))
        values: np.ndarray = self._compute(x.to(self.device), shape).cpu().numpy()
        return values

    @abstractmethod
    def _shape_of(self, length: int) -> Any:
        """What segments have in common that the network takes in one batch."""

    @abstractmethod
    def _filled(self, segment: np.ndarray, shape: Any) -> np.ndarray:
        """A segment (1, length) as the network takes it."""

    @abstractmethod
    def _compute(self, x: Tensor, shape: Any) -> Tensor:
        """Features of waveforms (segments, 1, n_samples), a row each."""
