"""Clips through a SampleCNN: maxima of hidden layers, averaged over segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from skaudio._cache import digest_of
from skaudio._segments import (
    centred_window,
    cut,
    even_segments,
    frame_times,
    split_means,
    window_starts,
)
from skaudio.embedding._base import Frames, Network
from skaudio.nn.devices import in_batches
from skaudio.nn.layers import layer_names, layer_outputs
from skaudio.nn.samplecnn import SampleCNN

Segment = tuple[np.ndarray, int]  # a clip (1, n_samples) and a first sample
Take = Callable[[np.ndarray, int, int], np.ndarray]


class SampleCNNNetwork(Network):
    """A SampleCNN and the layers whose activations are the embedding.

    Parameters
    ----------
    network : SampleCNN
        In eval mode, on `device`.
    layers : sequence of int or str
        Places among ``network.hidden_layers``, negative ones from the top, or names.
    n_segments : int or None
        Evenly spaced segments per clip; None is as many as fit side by side, and one.
    sample_rate : float
        Rate in Hz that it was trained at.
    layout, fingerprint, device : str
        Form and digest of the weights; where to compute.
    batch_size : int
        Segments computed together on a GPU.
    """

    kind = "samplecnn"
    has_layers = True

    def __init__(
        self,
        network: SampleCNN,
        *,
        layers: Sequence[int | str],
        n_segments: int | None,
        sample_rate: float,
        layout: str,
        fingerprint: str,
        device: str,
        batch_size: int,
    ) -> None:
        self.n_samples = network.n_samples
        self.layers = layer_names(network, layers)
        self.network, self.below = _up_to(network, self.layers)
        self.n_segments = n_segments
        self.sample_rate = sample_rate
        self.layout = layout
        self.device = device
        on_cpu = torch.device(device).type == "cpu"
        # one by one, activations fit the processor's cache, and rows are independent
        self.batch_size = 1 if on_cpu else batch_size
        self.n_features = _n_features(network, tuple(self.layers), device)
        self.fingerprint = digest_of(
            fingerprint, tuple(self.layers), n_segments, torch.device(device).type
        )

    def embed(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Mean over even segments of every clip."""
        length = self.n_samples
        starts = [
            even_segments(len(clip), length, self.n_segments).tolist() for clip in clips
        ]
        segments = [
            (clip[None], start)
            for clip, firsts in zip(clips, starts, strict=True)
            for start in firsts
        ]
        maxima = np.stack(self._maxima(segments, cut))
        return split_means(maxima, [len(firsts) for firsts in starts])

    def embed_frames(
        self, clips: Sequence[np.ndarray], hop: float | None
    ) -> list[Frames]:
        """Every segment by itself, centred at its time."""
        length = self.n_samples
        frames = []
        for clip in clips:
            duration = len(clip) / self.sample_rate
            times = frame_times(duration, hop or length / self.sample_rate)
            firsts = window_starts(times, self.sample_rate, length)
            segments = [(clip[None], first) for first in firsts]
            frames.append((np.stack(self._maxima(segments, centred_window), 1), times))
        return frames

    def _maxima(self, segments: Sequence[Segment], take: Take) -> list[np.ndarray]:
        """Maxima over time of the layers in every segment, one after the other."""
        length = self.n_samples

        def compute(batch: Sequence[Segment]) -> np.ndarray:
            cuts = [take(clip, first, length) for clip, first in batch]
            x = torch.from_numpy(np.stack(cuts).astype(np.float32, copy=False))
            return self._activations(x.to(self.device)).cpu().numpy()

        with torch.inference_mode():
            return in_batches(
                compute,
                segments,
                batch_size=self.batch_size,
                device=self.device,
                what="segments",
            )

    def _activations(self, x: Tensor) -> Tensor:
        return _maxima_of(self.network, self.below, x)


def _up_to(network: SampleCNN, layers: Sequence[str]) -> tuple[nn.Module, list[str]]:
    """The part of a network that its layers need, and their names in it.

    What lies above the highest block costs nothing.
    """
    inside = [name.partition(".") for name in layers]
    if any(first != "blocks" or not rest for first, _, rest in inside):
        return network, list(layers)
    names = [rest for _, _, rest in inside]
    highest = max(int(name.partition(".")[0]) for name in names)
    return network.blocks[: highest + 1], names


def _maxima_of(network: nn.Module, names: Sequence[str], x: Tensor) -> Tensor:
    """Maxima over time of layers, side by side."""
    outputs = layer_outputs(network, names, x)
    parts = [outputs[name] for name in names]
    return torch.cat([x.amax(2) if x.ndim == 3 else x for x in parts], dim=1)


@lru_cache(maxsize=4)
def _n_features(network: SampleCNN, layers: tuple[str, ...], device: str) -> int:
    part, names = _up_to(network, layers)
    with torch.inference_mode():
        shape = (1, 1, network.n_samples)
        silence = torch.zeros(shape, dtype=torch.float32, device=device)
        return _maxima_of(part, names, silence).shape[1]
