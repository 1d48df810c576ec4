"""Frame probabilities to segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skaudio._utils._segment_table import Segment

CLOSE = 1e-9  # seconds that are no difference


@dataclass
class Run:
    """Frames one after the other: their first, their number, summed probabilities."""

    label: int
    first: int
    n_frames: int
    sums: np.ndarray

    def join(self, other: Run) -> None:
        """Take the frames of a run, under the label of this one."""
        self.first = min(self.first, other.first)
        self.n_frames += other.n_frames
        self.sums = self.sums + other.sums


class SegmentBuilder:
    """Runs of frames with the same most probable class, and what becomes of short ones.

    A run shorter than `min_duration` joins the segment before it; at the start of a
    recording, the one after it. If there is none that is long enough, the recording is
    one segment, of the class with the highest mean probability.

    Parameters
    ----------
    recording : object
        What stands in the column of that name.
    classes : ndarray of shape (n_classes,)
        Labels.
    hop : float
        Seconds from frame to frame; a boundary lies half way between two.
    min_duration : float
        Seconds of the shortest segment.

    Attributes
    ----------
    segments : list of Segment
        Those that are finished.
    n_frames : int
        How many came.
    """

    def __init__(
        self, recording: Any, classes: np.ndarray, hop: float, min_duration: float
    ) -> None:
        self.recording = recording
        self._labels = classes.tolist()  # as plain objects of Python
        self.hop = hop
        self.min_duration = min_duration
        self._current: Run | None = None  # a segment whose end is not known
        self._short: Run | None = None  # a run that is not yet long enough
        self._begun: Run | None = None  # short runs before the first segment
        self.n_frames = 0
        self.segments: list[Segment] = []

    def push(self, proba: np.ndarray) -> None:
        """Take probabilities (n_classes, n_frames)."""
        labels = np.argmax(proba, axis=0)
        borders = np.flatnonzero(np.diff(labels)) + 1
        starts, stops = [0, *borders], [*borders, len(labels)]
        for start, stop in zip(starts, stops, strict=True):
            sums = proba[:, start:stop].sum(axis=1, dtype=np.float64)
            first = self.n_frames + int(start)
            self._add(Run(int(labels[start]), first, int(stop - start), sums))
        self.n_frames += len(labels)

    def finish(self, duration: float) -> None:
        """Say that the recording ends, after so many seconds."""
        self._close_short(duration)
        last = self._current
        if last is None:
            assert self._begun is not None
            last = self._begun
            last.label = int(np.argmax(last.sums))
        self._finish_segment(last, duration)

    def _add(self, run: Run) -> None:
        if self._short is not None and self._short.label != run.label:
            self._close_short(self._boundary(run.first))
        current = self._current
        if current is not None and self._short is None and current.label == run.label:
            current.join(run)
            return
        if self._short is None:
            self._short = run
        else:
            self._short.join(run)
        # the last frame is there for certain, what follows it may not be
        seen = (run.first + run.n_frames - 1) * self.hop
        if self._is_long(self._short, seen):
            self._promote(self._short)

    def _close_short(self, end: float) -> None:
        """Decide about a run that ends there."""
        if self._short is None:
            return
        if self._is_long(self._short, end):
            self._promote(self._short)
            return
        before = self._begun if self._current is None else self._current
        if before is None:
            self._begun = self._short
        else:
            before.join(self._short)
        self._short = None

    def _promote(self, run: Run) -> None:
        """A run becomes the segment that goes on; the one before it is finished."""
        before, self._current, self._short = self._current, run, None
        if before is not None and before.label == run.label:
            before.join(run)
            self._current = before
        elif before is not None:
            self._finish_segment(before, self._boundary(run.first))
        elif self._begun is not None:
            run.join(self._begun)
            self._begun = None

    def _is_long(self, run: Run, end: float) -> bool:
        return end - self._boundary(run.first) >= self.min_duration - CLOSE

    def _boundary(self, frame: int) -> float:
        """Seconds at which a frame begins."""
        return max(0.0, (frame - 0.5) * self.hop)

    def _finish_segment(self, run: Run, end: float) -> None:
        probability = float(run.sums[run.label] / run.n_frames)
        start = round(self._boundary(run.first), 9)
        label = self._labels[run.label]
        end = round(end, 9)
        self.segments.append(Segment(self.recording, start, end, label, probability))
