"""Segments and windows of clips: where they lie, how they are cut and averaged.

A segment is the crop that a network sees. All views of a clip are cut at the same
time, so positions are kept in seconds and turned into steps per view at the end: this
is the only place that rounds time to steps of a view. Even segments start on whole
steps, of the view that has the most per second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# --------------------------------------------------------------- where segments lie


def to_steps(seconds: float, rate: float) -> int:
    """Number of steps of a view with ``rate`` in ``seconds``, at least one."""
    return max(1, int(np.floor(seconds * rate + 0.5)))


def even_segments(
    available: int, length: int, n_segments: int | None, *, step: float = 1.0
) -> np.ndarray:
    """First steps of evenly spaced segments, the first at 0.

    They are all equally far from each other, a whole number of steps that is rounded
    down, as in the code of SampleCNN's authors: up to ``n_segments - 2`` steps at the
    end of a clip may be in no segment.

    Parameters
    ----------
    available, length : int
        Steps of the clip and of a segment.
    n_segments : int or None
        None is as many as fit side by side, and one more. A single one is taken from
        the middle, rounded down. A clip no longer than a segment has one, at 0.
    step : float, default=1
        By how much a clip must be longer than a segment to have more than one.

    Returns
    -------
    starts : ndarray of shape (n_segments,)
        Integers.
    """
    room = available - length
    if room <= 0 or room < step:
        return np.zeros(1, int)
    n = available // length + 1 if n_segments is None else n_segments
    if n == 1:
        return np.array([room // 2])
    return np.arange(n) * (room // (n - 1))


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


# ---------------------------------------------------------------- windows over time


def frame_times(duration: float, hop: float) -> np.ndarray:
    """Centres in seconds of frames that lie side by side from a clip's start.

    The first lies half a hop after the start, the last no further than a hop from the
    end, none behind it. A clip shorter than half a hop has one frame, at its middle.
    """
    n_frames = max(1, int(np.floor(duration / hop + 0.5)))
    if n_frames == 1:
        return np.array([min(hop, duration) / 2])
    times: np.ndarray = (np.arange(n_frames) + 0.5) * hop
    return times


def window_starts(times: np.ndarray, rate: float, n_steps: int) -> list[int]:
    """First steps of windows of ``n_steps`` that are centred at ``times`` seconds."""
    firsts: list[int] = np.floor(times * rate - n_steps / 2 + 0.5).astype(int).tolist()
    return firsts


def centred_window(clip: np.ndarray, first: int, n_steps: int) -> np.ndarray:
    """Steps ``first`` to ``first + n_steps`` of a clip (..., n_available).

    What lies before the clip or behind it is zero.
    """
    before = min(n_steps, max(0, -first))
    inside = clip[..., max(0, first) : max(0, first + n_steps)]
    after = n_steps - before - inside.shape[-1]
    return np.pad(inside, [(0, 0)] * (clip.ndim - 1) + [(before, after)])


# ------------------------------------------------------------- means over segments


def clip_means(
    segments: np.ndarray, rows: np.ndarray, n_clips: int, dtype: Any = None
) -> np.ndarray:
    """Mean over each clip's segments, (n_clips, ...), in the dtype of the segments.

    Parameters
    ----------
    segments : ndarray of shape (n_segments, ...)
        Segments or frames of all clips, clip after clip.
    rows : ndarray of shape (n_segments,)
        The clip of each, ascending; every clip has one.
    n_clips : int
        Number of clips.
    dtype : dtype or None, default=None
        What to add up in, where thousands of frames would be too many for float32.
        None is the dtype of the segments, which is enough for tens.

    Returns
    -------
    means : ndarray of shape (n_clips, ...)
        Booleans need `dtype` and keep it.
    """
    first = np.searchsorted(rows, np.arange(n_clips))
    counts = np.diff(np.append(first, len(rows)))
    sums = np.add.reduceat(segments, first, axis=0, dtype=dtype)
    counts = counts.reshape(-1, *(1,) * (segments.ndim - 1))
    means = sums / counts.astype(sums.dtype)
    is_float = segments.dtype.kind == "f"
    return means.astype(segments.dtype, copy=False) if is_float else means


def split_means(segments: np.ndarray, counts: Sequence[int]) -> list[np.ndarray]:
    """Mean over each clip's segments, of which the i-th clip has ``counts[i]``.

    As `clip_means`, but added up in the order of `numpy.mean`, which the published
    embeddings were compared in: the last bit may differ.
    """
    parts = np.split(segments, np.cumsum(counts)[:-1])
    return [part.mean(axis=0) for part in parts]
