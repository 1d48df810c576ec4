"""Clips through FCN, CRNN or MusiCNN: means and maxima of hidden layers, or tags."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from skaudio._segments import cut
from skaudio.embedding._backends._segments import SegmentNetwork
from skaudio.nn.layers import layer_outputs
from skaudio.nn.taggers import CRNNTagger, FCNTagger, MusiCNN, spread

N_IN_FRAME = 49_152  # 3.072 s: three steps of FCN, two of CRNN
N_TRIED = 4096  # samples that show how many maps a network has


class TaggerNetwork(SegmentNetwork):
    """A tagger of music: means and maxima of the maps of its layers.

    A clip shorter than a segment is repeated until it fills one. FCN and CRNN see half
    a minute, of which they need to compute a short clip only once: it begins anew on
    whole units, and periods in between are left out of the waveform.
    """

    kind = "tagger"
    best: ClassVar[dict[type, tuple[int, ...]]] = {
        FCNTagger: (-3, -2, -1),
        CRNNTagger: (-4, -3, -2),
        MusiCNN: (0, 1, 2, 3),
    }

    def __init__(self, network: Any, **options: Any) -> None:
        super().__init__(network, **options)
        self.unit: int | None = getattr(network, "unit", None)
        if self.unit is not None:
            self.n_in_frame = N_IN_FRAME
        silence = torch.zeros(1, 1, N_TRIED, device=self.device)
        with torch.inference_mode():
            self.n_features = self._compute(silence, (0, 0)).shape[1]

    def _shape_of(self, length: int) -> tuple[int, int]:
        """Units of a period, and how many periods are left out of the waveform.

        What is left has the first unit, which is as no other, a whole period, and the
        end with one unit before it, which no filter looks across.
        """
        if self.unit is None or length >= self.n_samples:
            return 0, 0
        period = -(-length // self.unit)
        room = self.n_samples / self.unit - period - 2
        return period, max(0, int(room // period))

    def _filled(self, segment: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        period, n_left_out = shape
        if self.unit is None or not period:
            return cut(segment, 0, self.n_samples)
        n_samples = self.n_samples - n_left_out * period * self.unit
        return cut(cut(segment, 0, period * self.unit), 0, n_samples)

    def _compute(self, x: Tensor, shape: tuple[int, int]) -> Tensor:
        repeats = () if self.unit is None else shape
        if self.gives_tags:
            tags: Tensor = self.network(x, *repeats).sigmoid()
            return tags
        outputs = layer_outputs(self.network, self.layers, x, *repeats)
        return torch.cat(
            [self._statistics(outputs[name], name, shape) for name in self.layers], 1
        )

    def _statistics(self, maps: Tensor, name: str, shape: tuple[int, int]) -> Tensor:
        """Means and maxima over bands and steps, of all that a segment has."""
        if maps.ndim == 2:
            return maps
        per_unit = getattr(self.network, "steps_per_unit", {}).get(name)
        if per_unit:
            maps = spread(maps, per_unit, *shape)
        maps = maps.flatten(2)
        return torch.cat([maps.mean(2), maps.amax(2)], dim=1)
