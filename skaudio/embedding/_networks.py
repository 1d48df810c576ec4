"""From the parameter `weights` to a network: every file is read once per process."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from skaudio._utils._validation import is_path
from skaudio.embedding._base import Network
from skaudio.embedding._coala import CoalaNetwork
from skaudio.embedding._protocol import ProtocolNetwork, signature_of
from skaudio.embedding._samplecnn import SampleCNNNetwork
from skaudio.embedding._weights import Pretrained, read_weights
from skaudio.nn.folding import folded
from skaudio.nn.runner import resolve_device

Source = tuple[str, tuple[int, int] | None]  # a file and what tells its content
TOP = (-1,)  # the one layer that every network has

_LOCK = threading.Lock()


def network_of(
    weights: Any,
    *,
    scaler: Any,
    layers: Sequence[int],
    n_segments: int | None,
    model_sr: float | None,
    sha256: str | None,
    device: str,
    batch_size: int,
) -> Network:
    """The network that the parameters of a `PretrainedEmbedder` describe."""
    if not is_path(weights):
        _refuse("that follows the HEAR protocol", layers, n_segments)
        return ProtocolNetwork(
            weights, sample_rate=model_sr, device=device, batch_size=batch_size
        )
    device = resolve_device(device)
    files = (_source(weights), None if scaler is None else _source(scaler), sha256)
    with _LOCK:
        pretrained = _read(*files)
        network = _ready(*files, device)
    rate = model_sr or pretrained.sr
    if rate is None:
        raise ValueError(
            f"{os.fspath(weights)} does not say at what rate the network takes sound. "
            "Set model_sr to the rate in Hz that it was trained at."
        )
    options: dict[str, Any] = {
        "sample_rate": float(rate),
        "layout": pretrained.layout,
        "fingerprint": pretrained.fingerprint,
        "device": device,
        "batch_size": batch_size,
    }
    if pretrained.kind == "coala":
        _refuse("of the kind COALA", layers, n_segments)
        return CoalaNetwork(network, **options)
    return SampleCNNNetwork(network, layers=layers, n_segments=n_segments, **options)


def _source(path: Any) -> Source:
    return os.path.abspath(path), signature_of(path)


@lru_cache(maxsize=4)
def _read(weights: Source, scaler: Source | None, sha256: str | None) -> Pretrained:
    return read_weights(
        weights[0], scaler=None if scaler is None else scaler[0], sha256=sha256
    )


@lru_cache(maxsize=4)
def _ready(
    weights: Source, scaler: Source | None, sha256: str | None, device: str
) -> Any:
    return folded(_read(weights, scaler, sha256).network).to(device)


def _refuse(which: str, layers: Sequence[int], n_segments: int | None) -> None:
    if tuple(layers) != TOP or n_segments is not None:
        raise ValueError(
            f"layers={layers!r} and n_segments={n_segments!r} are for SampleCNN. A "
            f"network {which} has one embedding: leave layers={TOP} and "
            "n_segments=None."
        )
