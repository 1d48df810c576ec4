"""Clips through a SampleCNN: maxima of hidden layers, averaged over segments."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from skaudio._segments import cut
from skaudio.embedding._backends._segments import SegmentNetwork
from skaudio.nn.layers import layer_outputs
from skaudio.nn.samplecnn import SampleCNN


class SampleCNNNetwork(SegmentNetwork):
    """A SampleCNN; a clip shorter than a segment is repeated until it fills one."""

    kind = "samplecnn"
    best: ClassVar[dict[type, tuple[int, ...]]] = {SampleCNN: (-1,)}

    def __init__(self, network: SampleCNN, **options: Any) -> None:
        super().__init__(network, **options)
        self.part, self.below = _up_to(network, self.layers)
        if self.gives_tags:
            self.n_features = network.output.out_features
        else:
            self.n_features = _n_features(network, tuple(self.layers), self.device)

    def with_network(self, network: SampleCNN) -> Self:
        """The same with another network of this kind, such as an exported one."""
        twin = super().with_network(network)
        twin.part, twin.below = _up_to(network, self.layers)
        return twin

    def _shape_of(self, length: int) -> Any:
        return self.n_samples

    def _filled(self, segment: np.ndarray, shape: Any) -> np.ndarray:
        return cut(segment, 0, self.n_samples)

    def _compute(self, x: Tensor, shape: Any) -> Tensor:
        if self.gives_tags:
            tags: Tensor = self.network(x).sigmoid()
            return tags
        return _maxima_of(self.part, self.below, x)


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
