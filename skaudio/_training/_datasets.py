"""Segments of clips: drawn at random for training, evenly spaced otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from skaudio._segments import cut, even_segments, frame_times, span, to_steps
from skaudio._training import _random_draws
from skaudio._training._random_draws import CONSECUTIVE, Changes
from skaudio._utils._types import ViewsLike
from skaudio.nn.devices import moved
from skaudio.nn.losses import SAMPLE_WEIGHT

WAVEFORM = "waveform"  # name of the sound in a batch whose views are computed later

Arrays = dict[str, Tensor]
Batch = tuple[Arrays, Arrays]
# name of a target, the clips' own, those to mix in, and the share of their own
MixTargets = Callable[[str, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class SegmentDataset(Dataset):
    """Clips of several views with their targets, read as aligned segments.

    Parameters
    ----------
    views : ViewsLike
        Checked views.
    rates : dict of str to float
        Steps per second of every view.
    length : float
        Segment length in seconds.
    targets : dict of str to ndarray of shape (n_clips, ...)
        Named targets; empty for prediction.
    dtype : str
        Type of the segments, "float32" or "float64".
    """

    def __init__(
        self,
        views: ViewsLike,
        rates: dict[str, float],
        length: float,
        targets: dict[str, np.ndarray],
        dtype: str,
    ) -> None:
        self.rates = rates
        self.length = length
        self.targets = targets
        self.dtype = dtype
        self.clips = {name: views.clips(name) for name in views.names}
        self.n_frames = {name: views.n_frames(name) for name in views.names}
        self.n_steps = {name: to_steps(length, rates[name]) for name in views.names}
        self.are_whole = {
            name: bool(np.all(frames == self.n_steps[name]))
            for name, frames in self.n_frames.items()
        }
        frames = [self.n_frames[name] / rates[name] for name in views.names]
        self.durations = np.min(frames, axis=0)

    def __len__(self) -> int:
        return len(self.durations)

    def __getitem__(self, index: int) -> Any:
        """Return the segment at the start of one clip (skorch asks for a Dataset)."""
        return self.batch(np.array([index]), np.zeros(1))

    def batch(self, rows: np.ndarray, starts: np.ndarray) -> Batch:
        """Segments of clips ``rows`` from ``starts`` seconds, and their targets."""
        tiled = np.zeros(len(rows), bool)
        return self.inputs(rows, starts, tiled), self.targets_of(rows)

    def targets_of(self, rows: np.ndarray) -> Arrays:
        """Targets of clips ``rows``."""
        return {name: torch.from_numpy(t[rows]) for name, t in self.targets.items()}

    def inputs(self, rows: np.ndarray, starts: np.ndarray, tiled: np.ndarray) -> Arrays:
        """Segments (clips, bins, steps) of all views; ``tiled`` is for waveforms."""
        return {
            name: torch.from_numpy(self._segments(name, rows, starts))
            for name in self.n_steps
        }

    def _segments(self, name: str, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        clips, rate, n = self.clips[name], self.rates[name], self.n_steps[name]
        if self.are_whole[name]:  # nothing to cut
            segments = [clips[row] for row in rows.tolist()]
        else:
            n_frames = self.n_frames[name]
            segments = [
                cut(clips[row], span(start, n, rate, n_frames[row]), n)
                for row, start in zip(rows.tolist(), starts, strict=True)
            ]
        return np.stack(segments, dtype=self.dtype)

    def even_segments(self, n_segments: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Rows and starts of ``n_segments`` even segments of every clip.

        None is as many as fit side by side and one more. A clip as long as a segment
        has one, so no segment is computed twice. They start on whole steps of the view
        that has the most per second.
        """
        fastest = max(self.rates, key=self.rates.__getitem__)
        rate, length = self.rates[fastest], self.n_steps[fastest]
        # positions closer than a step of the slowest view are the same segment
        step = rate / min(self.rates.values())
        # a duration of whole steps may be a rounding error short of them
        available = np.floor(self.durations * rate + 1e-6).astype(int).tolist()
        starts = [even_segments(n, length, n_segments, step=step) for n in available]
        return self._rows_of(starts), np.concatenate(starts) / rate

    def side_by_side(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and starts of whole segments side by side, at least one of every clip.

        What is left at the end of a clip's views is in none.
        """
        fit = [self.n_frames[name] // n for name, n in self.n_steps.items()]
        starts = [np.arange(max(1, n)) * self.length for n in np.min(fit, axis=0)]
        return self._rows_of(starts), np.concatenate(starts)

    def segments_every(
        self, hop: float
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Rows and starts of segments every ``hop`` seconds, and times of every clip.

        Segments are centred at the times, see `frame_times`; those that would reach
        over the border of a clip are moved inside.
        """
        times = [frame_times(duration, hop) for duration in self.durations]
        starts = [
            np.clip(of_clip - self.length / 2, 0.0, max(duration - self.length, 0.0))
            for of_clip, duration in zip(times, self.durations, strict=True)
        ]
        return self._rows_of(starts), np.concatenate(starts), times

    def _rows_of(self, starts: list[np.ndarray]) -> np.ndarray:
        return np.repeat(np.arange(len(self)), [len(s) for s in starts])


class Source(Protocol):
    """What training segments are cut from: views, or waveforms."""

    length: float
    durations: np.ndarray
    dtype: str
    n_steps: dict[str, int]

    def inputs(self, rows: np.ndarray, starts: np.ndarray, tiled: np.ndarray) -> Arrays:
        """Segments of clips ``rows`` from ``starts`` seconds."""

    def side_by_side(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and starts of whole segments that lie side by side."""


@dataclass
class TrainingBatch:
    """Segments to train on, those to mix them with, and the random draws."""

    own: Arrays
    partner: Arrays | None = None
    draws: Arrays = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.own.values())))

    def to(self, device: str) -> TrainingBatch:
        """Copy to ``device``, without waiting for it."""
        partner = None if self.partner is None else moved(self.partner, device)
        return TrainingBatch(
            moved(self.own, device), partner, moved(self.draws, device)
        )


class TrainingSegments(Dataset):
    """Every epoch, one random segment of every clip in random order.

    Or all consecutive ones: an item is a clip, or one of its segments.

    Parameters
    ----------
    source : Source
        Where segments come from.
    targets : dict of str to ndarray of shape (n_clips, ...)
        Named targets.
    augmentation : Augmentation
        Random changes of segments.
    mix : callable
        ``mix(name, own, partner, ratio)`` mixes targets, as `Target.mix` does.
    seed : int
        Of everything that is drawn.
    whole_batches : bool, default=False
        Whether an epoch leaves the clips out that do not fill a batch, see `batches`.
    """

    def __init__(
        self,
        source: Source,
        targets: dict[str, np.ndarray],
        augmentation: Changes,
        mix: MixTargets,
        seed: int,
        whole_batches: bool = False,
    ) -> None:
        self.source = source
        self.targets = targets
        self.augmentation = augmentation
        self.mix = mix
        self.seed = seed
        self.whole_batches = whole_batches
        self.epoch = 0
        n_axes = bool(augmentation.freq_mask) + bool(augmentation.time_mask)
        self.n_masks = 2 * n_axes * len(source.n_steps)
        a = augmentation
        changes = a.mix, a.gain, a.shift, a.snr, self.n_masks
        self.rows, self.starts = np.arange(len(source.durations)), None
        if augmentation.segments == CONSECUTIVE:
            self.rows, self.starts = source.side_by_side()
        has_room = self.starts is None and source.durations.max() > source.length
        self.has_draws = has_room or any(changes)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        """Return one item's batch of the current epoch (skorch asks for a Dataset)."""
        return self.batch(np.array([index]))

    def batches(self, batch_size: int) -> Iterator[tuple[TrainingBatch, Arrays]]:
        """One epoch: every item once, in random order."""
        order = _random_draws.order(self.seed, self.epoch, len(self))
        for items in batches(order, batch_size, self.whole_batches):
            yield self.batch(items)
        self.epoch += 1

    def batch(self, items: np.ndarray) -> tuple[TrainingBatch, Arrays]:
        """Segments of some items in the current epoch, and their targets."""
        draws, rows = self._draws(items), self.rows[items]
        # a mixture has no length of its own to repeat: repeat the sounds before
        tiled = draws.is_mixed & self.augmentation._mixes_waveforms
        own = self._inputs(items, draws.start, tiled)
        y = {name: torch.from_numpy(t[rows]) for name, t in self.targets.items()}
        partner = None
        if self.augmentation.mix:
            partner = self._inputs(draws.partner, draws.partner_start, tiled)
            y = self._mixed_targets(rows, self.rows[draws.partner], _ratio(draws))
        return TrainingBatch(own, partner, self._tensors(items, draws, own)), y

    def _draws(self, items: np.ndarray) -> _random_draws.Draws:
        if not self.has_draws:
            return _random_draws.nothing(items)
        return _random_draws.draw(
            self.seed, self.epoch, items, len(self), self.augmentation, self.n_masks
        )

    def _inputs(self, items: np.ndarray, share: np.ndarray, tiled: np.ndarray) -> Any:
        rows = self.rows[items]
        if self.starts is None:  # ``share`` of the room that there is
            room = np.maximum(self.source.durations[rows] - self.source.length, 0.0)
            return self.source.inputs(rows, share * room, tiled)
        return self.source.inputs(rows, self.starts[items], tiled)

    def _mixed_targets(
        self, rows: np.ndarray, partners: np.ndarray, ratio: np.ndarray
    ) -> Arrays:
        def mixed(name: str, own: np.ndarray, partner: np.ndarray) -> np.ndarray:
            if name == SAMPLE_WEIGHT:
                weights: np.ndarray = ratio * own + (1 - ratio) * partner
                return weights
            return self.mix(name, own, partner, ratio[:, None])

        return {
            name: torch.from_numpy(
                mixed(name, t[rows], t[partners]).astype(self.source.dtype)
            )
            for name, t in self.targets.items()
        }

    def _tensors(
        self, items: np.ndarray, draws: _random_draws.Draws, own: Arrays
    ) -> Arrays:
        options = self.augmentation
        arrays = {"ratio": _ratio(draws), "roll": draws.roll, "masks": draws.masks}
        if options.gain:
            gains = np.stack([draws.gain, draws.partner_gain])
            arrays["gain"] = options.gain * gains
        if options.snr is not None:
            low, high = options.snr
            arrays["snr"] = low + (high - low) * draws.snr
            n_samples = own[WAVEFORM].shape[1]
            noises = [
                _random_draws.noise(self.seed, self.epoch, int(item), n_samples)
                for item in items
            ]
            arrays["noise"] = np.stack(noises)
        return {
            name: torch.from_numpy(a.astype(self.source.dtype))
            for name, a in arrays.items()
        }


def _ratio(draws: _random_draws.Draws) -> np.ndarray:
    return np.where(draws.is_mixed, draws.ratio, 1.0)


def batches(
    rows: np.ndarray, batch_size: int, whole: bool = False
) -> Iterator[np.ndarray]:
    """Cut ``rows`` into batches; a last batch of one joins the one before it.

    Batch normalisation has no statistics for a single clip. If ``whole``, a last batch
    that is smaller than the others is left out.
    """
    if whole:
        rows = rows[: n_in_whole_batches(len(rows), batch_size)]
    edges = list(range(0, len(rows), batch_size))
    if len(edges) > 1 and len(rows) - edges[-1] == 1:
        edges.pop()
    for start, stop in zip(edges, [*edges[1:], len(rows)], strict=True):
        yield rows[start:stop]


def n_in_whole_batches(n_rows: int, batch_size: int) -> int:
    """Return the number of rows that fill batches; all if there is only one."""
    return n_rows // batch_size * batch_size or n_rows


def n_batches_of(n_rows: int, batch_size: int, whole: bool = False) -> int:
    """Return the number of batches that `batches` makes."""
    if whole:
        n_rows = n_in_whole_batches(n_rows, batch_size)
    return max(1, n_rows // batch_size + (n_rows % batch_size > 1))


class RandomSegments:
    """skorch's ``iterator_train``: batches of random segments, made in memory."""

    def __init__(self, dataset: TrainingSegments, batch_size: int) -> None:
        self.dataset = dataset
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[tuple[TrainingBatch, Arrays]]:
        return self.dataset.batches(self.batch_size)
