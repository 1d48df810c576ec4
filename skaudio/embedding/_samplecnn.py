"""Clips through a SampleCNN: maxima of hidden layers, averaged over segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaudio._cache import digest_of
from skaudio._segments import cut, even_steps
from skaudio.embedding._base import (
    Frames,
    Network,
    centred_window,
    frame_times,
)
from skaudio.nn.devices import in_batches
from skaudio.nn.samplecnn import SampleCNN

Segment = tuple[np.ndarray, int]  # a clip (1, n_samples) and a first sample
Take = Callable[[np.ndarray, int, int], np.ndarray]


class SampleCNNNetwork(Network):
    """A SampleCNN and the layers whose activations are the embedding.

    Parameters
    ----------
    network : SampleCNN
        In eval mode, on `device`.
    layers : sequence of int
        Positions in ``network.hidden_layers``; negative ones count from the top.
    n_segments : int or None
        Evenly spaced segments per clip; None is as many as fit side by side, and one.
    sample_rate : float
        Rate in Hz that it was trained at.
    layout, fingerprint, device : str
        Form and digest of the weights; where to compute.
    batch_size : int
        Segments computed together on a GPU.
    """

    def __init__(
        self,
        network: SampleCNN,
        *,
        layers: Sequence[int],
        n_segments: int | None,
        sample_rate: float,
        layout: str,
        fingerprint: str,
        device: str,
        batch_size: int,
    ) -> None:
        blocks: list[Any] = list(network.blocks)
        self.n_samples = network.n_samples
        if not layers:
            raise ValueError(f"layers={layers!r} names no layer. The top is (-1,).")
        self.layers = [_position(layer, len(blocks)) for layer in layers]
        self.blocks = blocks[: max(self.layers) + 1]  # what lies above costs nothing
        self.n_segments = n_segments
        self.sample_rate = sample_rate
        self.layout = layout
        self.device = device
        on_cpu = torch.device(device).type == "cpu"
        # one by one, activations stay in the cache, and rows know of no others
        self.batch_size = 1 if on_cpu else batch_size
        self.n_features = sum(blocks[layer].conv.out_channels for layer in self.layers)
        self.fingerprint = digest_of(
            fingerprint, tuple(self.layers), n_segments, torch.device(device).type
        )

    def embed(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Mean over even segments of every clip."""
        length = self.n_samples
        segments: list[Segment] = []
        ends = []
        for clip in clips:
            n_segments = self.n_segments or len(clip) // length + 1
            starts = even_steps(len(clip), length, n_segments)
            segments += [(clip[None], start) for start in starts]
            ends.append(len(segments))
        maxima = np.stack(self._maxima(segments, cut))
        return [part.mean(axis=0) for part in np.split(maxima, ends[:-1])]

    def embed_frames(
        self, clips: Sequence[np.ndarray], hop: float | None
    ) -> list[Frames]:
        """Every segment by itself, centred at its time."""
        length = self.n_samples
        frames = []
        for clip in clips:
            duration = len(clip) / self.sample_rate
            times = frame_times(duration, hop or length / self.sample_rate)
            firsts = np.floor(times * self.sample_rate - length / 2 + 0.5).astype(int)
            segments = [(clip[None], first) for first in firsts.tolist()]
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
        maxima = {}
        for layer, block in enumerate(self.blocks):
            x = block(x)
            if layer in self.layers:
                maxima[layer] = x.amax(2)
        return torch.cat([maxima[layer] for layer in self.layers], dim=1)


def _position(layer: int, n_layers: int) -> int:
    if not -n_layers <= layer < n_layers:
        raise ValueError(
            f"layers contains {layer}, but the network has {n_layers} hidden layers: "
            f"-1 is the last convolution, -{n_layers} the first."
        )
    return layer % n_layers
