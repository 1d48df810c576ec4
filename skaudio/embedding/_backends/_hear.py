"""External networks through the protocol of the HEAR benchmark.

A model has ``sample_rate`` and, as methods or as functions of the module that loads
it, ``get_scene_embeddings`` and ``get_timestamp_embeddings``.
"""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skaudio._utils._forks import Lock
from skaudio.cache._content import content_digest, why_no_digest
from skaudio.cache._keys import Signature, digest_of, signature_of
from skaudio.embedding._backends._silence import size_of
from skaudio.embedding._base import Frames, Network
from skaudio.nn.devices import available_device, in_batches

_LOCK = Lock()
_WARNED: set[int] = set()  # models, by their id while they live
_SIZES: dict[tuple[str | None, float], int] = {}  # of embeddings, by digest and rate


class HEARNetwork(Network):
    """A model that follows the protocol.

    Parameters
    ----------
    weights : object, module or tuple
        The model itself; a module with ``load_model``; or such a module and the path
        that its ``load_model`` takes.
    sample_rate : float or None
        Rate in Hz in place of the one that the model states.
    device : str
        Where a loaded model computes. An object is left where it is.
    batch_size : int
        Clips of one length that are computed together.
    """

    kind = layout = "hear"

    def __init__(
        self, weights: Any, *, sample_rate: float | None, device: str, batch_size: int
    ) -> None:
        module, path = weights if isinstance(weights, tuple) else (weights, None)
        self.batch_size = batch_size
        self._scenes: Callable[[Tensor], Any]
        self._timestamps: Callable[[Tensor], Any]
        digest: str | None
        if hasattr(module, "load_model"):
            self.device = available_device(device)
            signature = None if path is None else signature_of(path)
            with _LOCK:  # or two threads would load it twice
                model, digest = _loaded(module, path, signature, self.device)
            self._scenes = lambda audio: module.get_scene_embeddings(audio, model)
            self._timestamps = lambda audio: module.get_timestamp_embeddings(
                audio, model
            )
        else:
            model, digest = module, content_digest(module)
            self.device = _device_of(model, device)
            self._scenes = model.get_scene_embeddings
            self._timestamps = getattr(model, "get_timestamp_embeddings", _no_frames)
        self.model = model
        self.sample_rate = _rate_of(model, sample_rate)
        kind = torch.device(self.device).type
        self.fingerprint = None if digest is None else digest_of("hear", digest, kind)
        known = self.fingerprint, self.sample_rate
        self.n_features = _SIZES.get(known) or self._size(model)
        if digest is not None:  # or it may change and be the same object
            _SIZES[known] = self.n_features

    def embed(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Scene embeddings, clips of equal length together."""

        def compute(batch: Sequence[np.ndarray]) -> list[np.ndarray]:
            scenes = _to_numpy(self._scenes(self._audio(batch))).astype(np.float32)
            if scenes.shape != (len(batch), self.n_features):
                raise ValueError(
                    f"get_scene_embeddings of {len(batch)} sounds must have shape "
                    f"{(len(batch), self.n_features)}; got {scenes.shape}."
                )
            return list(scenes)

        return self._by_length(compute, clips)

    def embed_frames(
        self, clips: Sequence[np.ndarray], hop: float | None
    ) -> list[Frames]:
        """Timestamp embeddings, clips of equal length together."""
        if hop is not None:
            raise ValueError(
                f"hop={hop} is not possible here: a model that follows the HEAR "
                "protocol decides where its frames lie. Leave hop=None."
            )

        def compute(batch: Sequence[np.ndarray]) -> list[Frames]:
            embeddings, times = map(_to_numpy, self._timestamps(self._audio(batch)))
            return [
                (embedding.T.astype(np.float32), milliseconds.astype(np.float64) / 1000)
                for embedding, milliseconds in zip(embeddings, times, strict=True)
            ]

        return self._by_length(compute, clips)

    def _by_length(self, compute: Any, clips: Sequence[np.ndarray]) -> list[Any]:
        rows_of: dict[int, list[int]] = {}
        for row, clip in enumerate(clips):
            rows_of.setdefault(len(clip), []).append(row)
        out: list[Any] = [None] * len(clips)
        with torch.inference_mode():
            for rows in rows_of.values():
                computed = in_batches(
                    compute,
                    [clips[row] for row in rows],
                    batch_size=self.batch_size,
                    device=self.device,
                    what="clips",
                )
                for row, result in zip(rows, computed, strict=True):
                    out[row] = result
        return out

    def _audio(self, batch: Sequence[np.ndarray]) -> Tensor:
        stacked = np.stack(batch).astype(np.float32, copy=False)
        return torch.from_numpy(stacked).to(self.device)

    def _size(self, model: Any) -> int:
        size = getattr(model, "scene_embedding_size", None)
        if size is not None:
            return int(size)
        what = f"{type(model).__name__}: state its scene_embedding_size"
        with torch.inference_mode():
            return size_of(
                lambda silence: _to_numpy(self._scenes(self._audio([silence]))),
                self.sample_rate,
                what,
            )

    def warn_of_no_cache(self) -> None:
        """Say, once per model, why its embeddings are not remembered."""
        if id(self.model) in _WARNED:
            return
        try:
            gone = weakref.finalize(self.model, _WARNED.discard, id(self.model))
            gone.atexit = False
            _WARNED.add(id(self.model))
        except TypeError:  # slots: it is said every time
            pass
        name = type(self.model).__name__
        warnings.warn(
            f"{name} cannot be pickled ({why_no_digest(self.model)}), so its "
            "embeddings are not cached: every fold and candidate of a search computes "
            "them anew. Let its class, at the top of a module, say what makes an equal "
            "one, such as the path of its file:\n    def __reduce__(self):\n"
            f"        return {name}, (self.path,)\n"
            "Or, if that is fine, set cache=False.",
            stacklevel=2,
        )


@lru_cache(maxsize=4)
def _loaded(
    module: ModuleType, path: Any, signature: Signature | None, device: str
) -> tuple[Any, str]:
    model = module.load_model() if path is None else module.load_model(os.fspath(path))
    digest = content_digest(model)
    if isinstance(model, nn.Module):
        model = model.to(device).eval()
    if digest is None:  # known by what it is loaded from
        version = getattr(module, "__version__", None)
        code = signature_of(getattr(module, "__file__", None) or "")
        digest = digest_of(version, code, path and os.fspath(path), signature)
    return model, digest_of(module.__name__, digest)


def _device_of(model: Any, device: str) -> str:
    if isinstance(model, nn.Module):
        first = next(model.parameters(), None)
        if first is not None:
            return str(first.device)
    return "cpu" if device == "auto" else available_device(device)


def _rate_of(model: Any, sample_rate: float | None) -> float:
    rate = sample_rate or getattr(model, "sample_rate", None)
    if rate is None:
        raise ValueError(
            f"{type(model).__name__} has no sample_rate. Set model_sr=... to the "
            "rate in Hz that it takes."
        )
    return float(rate)


def _no_frames(audio: Tensor) -> Any:
    raise ValueError(
        "This model has no get_timestamp_embeddings, so it embeds whole clips only."
    )


def _to_numpy(values: Any) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values)
