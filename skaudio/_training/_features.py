"""What networks say of segments, gathered by clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skaudio._segments import clip_means as clip_means


@dataclass(frozen=True)
class SegmentFeatures:
    """Features of the segments of some clips."""

    values: np.ndarray  # (segments, features)
    rows: np.ndarray  # clip of each segment, ascending
    starts: np.ndarray  # seconds
    length: float  # seconds of a segment
    n_clips: int

    def means(self) -> np.ndarray:
        """Mean over the segments of each clip, (clips, features)."""
        return clip_means(self.values, self.rows, self.n_clips)

    def sequences(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """For every clip (features, segments), and the segments' centres in seconds."""
        first = np.searchsorted(self.rows, np.arange(1, self.n_clips))
        features = [part.T for part in np.split(self.values, first)]
        return features, np.split(self.starts + self.length / 2, first)


def layer_names(module: Any, layers: Sequence[int | str]) -> list[str]:
    """Names of hidden layers: numbers count from the bottom, negative from the top."""
    known = module.hidden_layers
    every = dict(module.named_modules())
    names = []
    for layer in layers:
        if isinstance(layer, str):
            if layer not in every:
                raise ValueError(
                    f"layers has {layer!r}, which the network has not. Its hidden "
                    f"layers are {list(known)}."
                )
            names.append(layer)
            continue
        if not -len(known) <= layer < len(known):
            raise ValueError(
                f"layers has {layer}, but there are {len(known)} hidden layers: -1 is "
                f"the last one, {-len(known)} the first. They are {list(known)}."
            )
        names.append(known[layer])
    return names
