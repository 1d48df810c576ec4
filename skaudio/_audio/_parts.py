"""Clips that are handled together: a bounded number of clips and samples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skaudio._utils._types import is_path

# of a part: clips and samples. The first has few clips, whose length nobody knows yet,
# and the next at most so many times as many as the one before
MOST_CLIPS, PART_SAMPLES, FIRST_CLIPS, GROWTH = 256, 2**23, 4, 4
# the first part is smaller if headers of files say that it would have more samples:
# four clips of a minute and a half at 44.1 kHz
FIRST_SAMPLES = 2**24
SMALL_FILE = 2**19  # bytes: minutes of speech at most, whose header is not looked at


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
    sr : float, default=22050
        Samples per second of clips that are files.
    duration : float or None, default=None
        Seconds that clips are cut off at.
    """

    def __init__(
        self,
        X: Any,
        n_jobs: int = 1,
        *,
        sr: float = 22050,
        duration: float | None = None,
    ) -> None:
        is_array = isinstance(X, np.ndarray)
        self._least = 1 if is_array else n_jobs
        if is_array:
            self._size = PART_SAMPLES // X.shape[1]
        else:
            self._size = _n_first(X[:FIRST_CLIPS], sr, duration)

    @property
    def next(self) -> int:
        """Clips of the next part."""
        return min(max(self._size, self._least), MOST_CLIPS)

    def update(self, longest: int) -> None:
        """Note the samples of the longest clip of a part."""
        self._size = min(GROWTH * self.next, PART_SAMPLES // longest)


def _n_first(clips: Any, sr: float, duration: float | None) -> int:
    """Clips of the first part: as many as do not exceed its samples, at least one."""
    total = 0.0
    for i, clip in enumerate(clips):
        n_samples = _stated_samples(clip, sr)
        if duration is not None:
            n_samples = min(n_samples, duration * sr)
        total += n_samples
        if total > FIRST_SAMPLES:
            return max(1, i)
    return FIRST_CLIPS


def _stated_samples(clip: Any, sr: float) -> float:
    """Samples of a clip at ``sr``, as its header says; 0 if it is small or unknown."""
    import soundfile

    if not is_path(clip):
        return float(np.shape(clip)[-1]) if np.ndim(clip) else 0.0
    try:
        if os.path.getsize(clip) < SMALL_FILE:
            return 0.0
        return float(soundfile.info(os.fspath(clip)).duration * sr)
    except (OSError, RuntimeError, ValueError):  # reported when the clip is loaded
        return 0.0
