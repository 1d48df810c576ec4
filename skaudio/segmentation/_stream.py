"""Blocks of samples to smoothed frame probabilities on one grid of times."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from scipy.ndimage import median_filter

SUM_TOLERANCE = 1e-3  # of probabilities
CLOSE = 1e-9  # frames that are no difference


CLIP = "Clip 0 of X"  # as views call the only clip that they are given


class SoundError(ValueError):
    """What makes a recording unfit to be computed, as a view says it."""

    def about(self, name: str) -> ValueError:
        """The same error about a recording of that name."""
        return ValueError(str(self).replace(CLIP, name))


class FrameSource:
    """What computes frame probabilities of a piece of sound.

    Attributes
    ----------
    step : float
        Samples from one frame to the next.
    centre : float
        Sample at which the first frame lies.
    block : int
        Frames that are computed at a time.
    """

    step: float
    centre: float
    block: int

    def span(self, first: int, stop: int, total: int | None) -> tuple[int, int]:
        """First sample, and the one behind the last, that frames depend on.

        `total` is the length of the recording, None while nobody knows.
        """
        raise NotImplementedError

    def proba(
        self, piece: np.ndarray, begin: int, first: int, stop: int, total: int | None
    ) -> np.ndarray:
        """Probabilities (n_classes, n_frames) from ``first`` on, up to ``stop``.

        Fewer come where the recording ends before.
        """
        raise NotImplementedError

    @property
    def lookahead(self) -> float:
        """Most samples behind a frame that it depends on."""
        raise NotImplementedError


class SampleBuffer:
    """The end of a recording, as much of it as is still needed."""

    def __init__(self) -> None:
        self.stop = 0  # samples that came
        self._start = 0
        self._blocks: list[np.ndarray] = []

    def add(self, samples: np.ndarray) -> None:
        """Take further samples."""
        self._blocks.append(samples)
        self.stop += len(samples)

    def take(self, begin: int, end: int) -> np.ndarray:
        """Samples from ``begin`` to ``end``; those before are not asked for again."""
        if len(self._blocks) != 1:
            self._blocks = [np.concatenate(self._blocks)]
        (samples,) = self._blocks
        if begin > self._start:
            samples = samples[begin - self._start :].copy()
            self._blocks, self._start = [samples], begin
        return samples[: end - begin]


class RunningMedian:
    """Median over time of every row, around each column.

    The first and last columns are repeated beyond the ends.

    Parameters
    ----------
    size : int
        Columns that are compared, an odd number.
    """

    def __init__(self, size: int) -> None:
        self.half = size // 2
        self._tail: np.ndarray | None = None  # of what came: 2 * half columns

    def push(self, columns: np.ndarray) -> np.ndarray:
        """Medians of the columns whose neighbours are there."""
        if self._tail is None and columns.shape[1]:
            self._tail = np.repeat(columns[:, :1], self.half, axis=1)
        if self._tail is None or not self.half:
            return columns
        together = np.concatenate([self._tail, columns], axis=1)
        n_out = together.shape[1] - 2 * self.half
        self._tail = together[:, max(0, n_out) :]
        if n_out < 1:
            return columns[:, :0]
        size = 2 * self.half + 1
        medians = np.stack(
            [median_filter(row, size, mode="nearest") for row in together]
        )
        return medians[:, self.half : self.half + n_out]

    def finish(self) -> np.ndarray:
        """Medians of the last columns."""
        assert self._tail is not None
        return self.push(np.repeat(self._tail[:, -1:], self.half, axis=1))


def normalised(proba: np.ndarray) -> np.ndarray:
    """Columns that sum to one; equal shares where all are zero."""
    sums = proba.sum(axis=0)
    shares = np.where(sums > 0, proba, 1.0) / np.where(sums > 0, sums, len(proba))
    return shares.astype(proba.dtype, copy=False)


class Collector(Protocol):
    """What takes the probabilities of one recording."""

    def push(self, proba: np.ndarray) -> None:
        """Take further probabilities (n_classes, n_frames)."""

    def finish(self, duration: float) -> None:
        """Say that the recording ends, after so many seconds."""


class FrameStream:
    """Smoothed probabilities of one recording, block by block.

    What is computed together depends on the recording only, not on the blocks in which
    it comes, so that results are equal to the bit.

    Parameters
    ----------
    source : FrameSource
        What computes probabilities.
    collector : Collector
        What takes those that are certain.
    n_classes : int
        How many rows they have.
    sr : float
        Sampling rate in Hz.
    hop : float
        Seconds from frame to frame of the result; each takes the nearest frame of the
        source.
    median : int
        Frames of the median filter, an odd number.
    """

    def __init__(
        self,
        source: FrameSource,
        collector: Collector,
        *,
        n_classes: int,
        sr: float,
        hop: float,
        median: int,
    ) -> None:
        self.source = source
        self.collector = collector
        self.n_classes = n_classes
        self.sr = sr
        self.step = hop * sr
        self.n_frames = 0  # on the grid, before the filter
        self._buffer = SampleBuffer()
        self._done = 0  # frames of the source
        self._median = RunningMedian(median)
        self._last: np.ndarray | None = None

    def push(self, samples: np.ndarray) -> None:
        """Take samples."""
        self._buffer.add(samples)
        while True:
            stop = self._done + self.source.block
            begin, end = self.source.span(self._done, stop, None)
            if end > self._buffer.stop:
                return
            self._compute(begin, end, stop, None)

    def finish(self) -> None:
        """Say that the recording ends."""
        total = self._buffer.stop
        while True:
            stop = self._done + self.source.block
            begin, end = self.source.span(self._done, stop, total)
            if begin >= total:
                break
            self._compute(begin, end, stop, total)
            if self._done < stop:
                break
        # times behind the last frame of the source are equal to it
        n_left = n_frames_of(total, self.step) - self.n_frames
        if n_left > 0 and self._last is not None:
            self._smooth(np.repeat(self._last, n_left, axis=1))
        self._collect(self._median.finish())
        self.collector.finish(total / self.sr)

    def _compute(self, begin: int, end: int, stop: int, total: int | None) -> None:
        piece = self._buffer.take(begin, end)
        proba = self.source.proba(piece, begin, self._done, stop, total)
        proba = check_proba(proba, self.n_classes)
        first, self._done = self._done, self._done + proba.shape[1]
        if proba.shape[1]:
            self._last = proba[:, -1:]
            self._smooth(proba[:, self._on_grid(first, total)])

    def _smooth(self, proba: np.ndarray) -> None:
        if proba.shape[1]:
            self.n_frames += proba.shape[1]
            self._collect(self._median.push(proba))

    def _collect(self, proba: np.ndarray) -> None:
        if proba.shape[1]:
            self.collector.push(normalised(proba))

    def _on_grid(self, first: int, total: int | None) -> np.ndarray:
        """For every next time on the grid, which of the new frames is nearest."""
        ratio = self.step / self.source.step
        centre = self.source.centre / self.source.step
        most = math.ceil((self._done + centre) / ratio) + 2
        times = np.arange(self.n_frames, max(self.n_frames, most))
        if total is not None:
            times = times[times < n_frames_of(total, self.step)]
        # of two that are equally near, the later one
        nearest = np.floor(times * ratio - centre + 0.5 + CLOSE).astype(np.int64)
        return np.maximum(nearest[nearest < self._done] - first, 0)


def n_frames_of(n_samples: int, step: float) -> int:
    """How many times, every so many samples from 0 on, lie within a recording."""
    return max(1, math.ceil(n_samples / step - 1e-6))


def check_proba(proba: Any, n_classes: int) -> np.ndarray:
    """Refuse what is no distribution over classes in every frame."""
    if getattr(proba, "ndim", 0) != 2 or len(proba) != n_classes:
        raise ValueError(
            f"A classifier of {n_classes} classes gave probabilities of shape "
            f"{np.shape(proba)}; expected ({n_classes}, n_frames)."
        )
    sums = proba.sum(axis=0)
    if len(sums) and not np.abs(sums - 1).max() <= SUM_TOLERANCE:
        raise ValueError(
            f"Probabilities of a frame sum to {sums[np.argmax(np.abs(sums - 1))]:.3g}, "
            "not to 1: is this a classifier of tags? FrameSegmenter gives every frame "
            "one of several classes."
        )
    return np.asarray(proba)
