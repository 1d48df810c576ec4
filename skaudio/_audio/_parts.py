"""Clips that are handled together: a bounded number of clips and samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

# of a part: clips and samples. The first has few clips, whose length nobody knows yet,
# and the next at most so many times as many as the one before
MOST_CLIPS, PART_SAMPLES, FIRST_CLIPS, GROWTH = 256, 2**23, 4, 4


class Part(NamedTuple):
    """Some of the clips of one call."""

    rows: Sequence[int]  # where they stand in X
    clips: Any
    waveforms: list[np.ndarray] | np.ndarray


class PartSizes:
    """How many clips are handled at a time, by the longest of those before.

    Parameters
    ----------
    X : ndarray of shape (n_clips, n_samples), or list of clips
        All of them.
    n_jobs : int, default=1
        Threads that each have a clip of a list.
    """

    def __init__(self, X: Any, n_jobs: int = 1) -> None:
        is_array = isinstance(X, np.ndarray)
        self._least = 1 if is_array else n_jobs
        self._size = PART_SAMPLES // X.shape[1] if is_array else FIRST_CLIPS

    @property
    def next(self) -> int:
        """Clips of the next part."""
        return min(max(self._size, self._least), MOST_CLIPS)

    def update(self, longest: int) -> None:
        """Note the samples of the longest clip of a part."""
        self._size = min(GROWTH * self.next, PART_SAMPLES // longest)
