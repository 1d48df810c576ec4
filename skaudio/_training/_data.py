"""Segments of in-memory views: drawn at random for training, evenly otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from skaudio._segments import cut, even_starts, random_starts, span, to_steps
from skaudio._utils._container import Views

Batch = tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]


class SegmentDataset(Dataset):
    """Clips of several views with their targets, read as aligned segments.

    Parameters
    ----------
    views : Views
        Checked views.
    rates : dict of str to float
        Steps per second of every view.
    length : float
        Segment length in seconds.
    targets : dict of str to ndarray of shape (n_clips, ...)
        Named targets; empty for prediction.
    dtype : str
        Type of the segments, "float32" or "float64".
    rng : numpy.random.Generator or None
        Draws order and starts of training batches; not needed for prediction.
    """

    def __init__(
        self,
        views: Views,
        rates: dict[str, float],
        length: float,
        targets: dict[str, np.ndarray],
        dtype: str,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.rates = rates
        self.length = length
        self.targets = targets
        self.dtype = dtype
        self.rng = rng
        self.clips = {name: views.clips(name) for name in views.names}
        self.n_steps = {name: to_steps(length, rates[name]) for name in views.names}
        frames = [views.n_frames(name) / rates[name] for name in views.names]
        self.durations = np.min(frames, axis=0)

    def __len__(self) -> int:
        return len(self.durations)

    def __getitem__(self, index: int) -> Any:
        """Return the segment at the start of one clip (skorch asks for a Dataset)."""
        return self.batch(np.array([index]), np.zeros(1))

    def batch(self, rows: np.ndarray, starts: np.ndarray) -> Batch:
        """Segments of clips ``rows`` from ``starts`` seconds, and their targets."""
        X = {}
        for name, n in self.n_steps.items():
            clips, rate = self.clips[name], self.rates[name]
            segments = [
                cut(clips[row], span(start, n, rate, clips[row].shape[1]), n)
                for row, start in zip(rows, starts, strict=True)
            ]
            # (segments, bins, steps)
            X[name] = torch.from_numpy(np.stack(segments, dtype=self.dtype))
        y = {name: torch.from_numpy(t[rows]) for name, t in self.targets.items()}
        return X, y

    def random_batches(self, batch_size: int) -> Iterator[Batch]:
        """One epoch: every clip once, in random order, one random segment each."""
        rng = self.rng or np.random.default_rng()
        order = rng.permutation(len(self))
        starts = random_starts(self.durations, self.length, rng)
        for rows in batches(order, batch_size):
            yield self.batch(rows, starts[rows])

    def even_segments(self, n_segments: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and starts of ``n_segments`` even segments of every clip.

        A clip as long as a segment has one, so no segment is computed twice.
        """
        # positions closer than a step of the slowest view are the same segment
        step = 1.0 / min(self.rates.values())
        starts = []
        for duration in self.durations:
            longer = duration - self.length >= step
            starts.append(
                even_starts(duration if longer else 0.0, self.length, n_segments)
            )
        rows = np.repeat(np.arange(len(self)), [len(s) for s in starts])
        return rows, np.concatenate(starts)


def batches(rows: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Cut ``rows`` into batches; a last batch of one joins the one before it.

    Batch normalisation has no statistics for a single clip.
    """
    edges = list(range(0, len(rows), batch_size))
    if len(edges) > 1 and len(rows) - edges[-1] == 1:
        edges.pop()
    for start, stop in zip(edges, [*edges[1:], len(rows)], strict=True):
        yield rows[start:stop]


def n_batches_of(n_rows: int, batch_size: int) -> int:
    """Return the number of batches that `batches` makes."""
    return max(1, n_rows // batch_size + (n_rows % batch_size > 1))


class RandomSegments:
    """skorch's ``iterator_train``: batches of random segments, made in memory."""

    def __init__(self, dataset: SegmentDataset, batch_size: int) -> None:
        self.dataset = dataset
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[Batch]:
        return self.dataset.random_batches(self.batch_size)
