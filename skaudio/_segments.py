"""Segments in seconds: the only place that rounds time to steps of a view.

A segment is the crop that a network sees. All views of a clip are cut at the same
time, so positions are kept in seconds and turned into steps per view at the end.
"""

from __future__ import annotations

import numpy as np


def to_steps(seconds: float, rate: float) -> int:
    """Number of steps of a view with ``rate`` in ``seconds``, at least one."""
    return max(1, int(np.floor(seconds * rate + 0.5)))


def random_starts(
    durations: np.ndarray, length: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw one start in seconds per clip; 0 for clips shorter than a segment."""
    return rng.random(len(durations)) * np.maximum(durations - length, 0.0)


def even_starts(duration: float, length: float, n_segments: int) -> np.ndarray:
    """Evenly spaced starts in seconds, the first at 0 and the last at the end.

    One segment is taken from the middle. A clip no longer than a segment has one.
    """
    room = duration - length
    if room <= 0:
        return np.zeros(1)
    if n_segments == 1:
        return np.array([room / 2])
    return np.linspace(0.0, room, n_segments)


def even_steps(n_available: int, n_steps: int, n_segments: int) -> list[int]:
    """First steps of segments of ``n_steps``, all equally far from each other.

    As `even_starts`, but in whole steps: up to ``n_segments - 2`` steps at the end of
    a clip may be in no segment.
    """
    room = n_available - n_steps
    if room <= 0:
        return [0]
    if n_segments == 1:
        return [room // 2]
    return [i * (room // (n_segments - 1)) for i in range(n_segments)]


def span(start: float, n_steps: int, rate: float, n_available: int) -> int:
    """First step of a segment of ``n_steps`` that starts at ``start`` seconds."""
    first = int(np.floor(start * rate + 0.5))
    return max(0, min(first, n_available - n_steps))


def cut(clip: np.ndarray, first: int, n_steps: int) -> np.ndarray:
    """Steps ``first`` to ``first + n_steps`` of a clip (n_bins, n_available).

    A clip shorter than a segment is repeated until it fills it: in contrast to
    padding, that leaves the statistics of every view as they are.
    """
    if clip.shape[1] < n_steps:
        clip = np.tile(clip, (1, -(-n_steps // clip.shape[1])))
    return clip[:, first : first + n_steps]


def clip_means(segments: np.ndarray, rows: np.ndarray, n_clips: int) -> np.ndarray:
    """Mean over each clip's segments, (n_clips, ...), in the dtype of the segments.

    Every clip has a segment and rows ascend, as `even_segments` makes them.
    """
    first = np.searchsorted(rows, np.arange(n_clips))
    counts = np.diff(np.append(first, len(rows)))
    sums = np.add.reduceat(segments, first, axis=0)
    return sums / counts[:, None].astype(segments.dtype)
