"""Views and augmentation on the training device: from sound to the network's input.

Whole clips become views once, for prediction and evaluation (`OwnViews.read`).
Training cuts waveforms instead (`WaveformDataset`), changes them, and computes views of
the segments anew in every step (`FrontEnds`, called by `TrainingInput`). A segment of
waveform has margins, so that its frames are those of the whole clip's view.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.base import clone
from torch import Tensor, nn

from skaudio._audio._load import progress
from skaudio._audio._parts import Part, PartSizes
from skaudio._audio._report import Report
from skaudio._training._datasets import WAVEFORM, Arrays, SegmentDataset, TrainingBatch
from skaudio._training._options._augmentation import (
    BETWEEN_CLASS,
    MIXUP,
    Augmentation,
)
from skaudio._utils._container import Views
from skaudio._utils._lazy import LazyClips
from skaudio._utils._validation import check_clips, check_views
from skaudio.nn.augment import add_noise, mask, mix_waveforms
from skaudio.nn.frontends import FrontEnd
from skaudio.nn.runner import compute_front_ends


@dataclass(frozen=True)
class Geometry:
    """What segments of waveforms must hold for views to be computed from them."""

    sr: float
    margin: int  # samples before and after, so that no frame sees a border
    n_samples: int  # between the margins


@dataclass(frozen=True)
class Sound:
    """Waveforms of clips, and the maximum from which the range of each view counts."""

    waveforms: list[np.ndarray] | LazyClips
    maxima: np.ndarray  # (clips, views), NaN where a view has no range

    def __getitem__(self, rows: np.ndarray) -> Sound:
        waveforms = self.waveforms
        if isinstance(waveforms, LazyClips):
            return Sound(waveforms.take(rows), self.maxima[rows])
        return Sound([waveforms[i] for i in rows], self.maxima[rows])


class OwnViews:
    """From clips to views, for evaluation at once and for training on demand.

    Parameters
    ----------
    source : ViewSource
        What is to be computed; it is copied.
    device : str
        Where to compute.
    """

    def __init__(self, source: Any, device: str) -> None:
        self.source = source
        self.device = device
        self.views = {name: clone(v) for name, v in source._named_views().items()}
        for name, view in self.views.items():
            if "device" in view.get_params():
                view.set_params(device=device)
            if not view.has_front_end:
                raise ValueError(
                    f"View {name!r} is a transformer of your own, which a network "
                    "cannot compute of training segments on its device. Compute the "
                    "views before the network: make_pipeline(union, ViewScaler(), "
                    "network with views=None)."
                )
            if view.get_params().get("pad_mode") == "wrap":
                raise ValueError(
                    f"View {name!r} has pad_mode='wrap', which joins the end of a clip "
                    "to its beginning; a training segment does not hold both. Take "
                    "another pad_mode, or compute the views before the network, in a "
                    "pipeline."
                )
        self.first = next(iter(self.views.values()))
        self.sr = float(self.first.sr)

    def read(self, estimator: Any, X: Any, *, reset: bool) -> tuple[Views, Sound]:
        """Views of all clips, and what training needs of their sound.

        Views with a single bin, or an array (n_clips, 1, n_samples), are waveforms.
        """
        clips, report = self._checked(estimator, X, reset), Report()
        if self.source._caching is None:
            found = self._read(clips, report)
        else:
            found = self._kept(clips, report)
        report.close(estimator, len(clips), self.first.on_error)
        return found

    def _read(self, clips: Any, report: Report) -> tuple[Views, Sound]:
        """Views and sound of checked clips, computed and loaded."""
        waveforms: list[np.ndarray] = []
        raw = [
            n for n, v in self.views.items() if v._front_end("float32", "cpu") is None
        ]

        def kept(part: Part) -> Part:
            if not raw:
                waveforms.extend(part.waveforms)
            return part

        parts = map(kept, self._loaded(clips, report))
        views, tops = self._computed(parts, len(clips), report)
        if raw:  # the sound itself: one copy of hours is enough
            waveforms = [clip[0] for clip in views.clips(raw[0])]
        return views, Sound(waveforms, np.array(tops).T)

    def _kept(self, clips: Any, report: Report) -> tuple[Views, Sound]:
        """Views and sound of checked clips, computed and loaded once."""
        *of_views, sound = self._entries(clips, report, waveforms=True)
        tops = [[entry.note[0] for entry in entries] for entries in of_views]
        arrays_of = self.source._arrays_of
        waveforms: Any = arrays_of(sound)
        if isinstance(waveforms, LazyClips):
            waveforms = waveforms.changed(_samples_of)
        else:
            waveforms = [clip[0] for clip in waveforms]
        return self._views(map(arrays_of, of_views)), Sound(waveforms, np.array(tops).T)

    def parts(
        self, estimator: Any, X: Any, *, reset: bool = False
    ) -> Iterator[tuple[Views, np.ndarray]]:
        """Views of a bounded number of clips at a time, and seconds of the clips."""
        clips, report = self._checked(estimator, X, reset), Report()
        if self.source._caching is None:
            parts = self._computed_parts(clips, report)
        else:
            parts = self._kept_parts(clips, report)
        for views, seconds in parts:
            report.note(estimator)  # the caller may refuse these views
            yield views, seconds
            del views
        report.close(estimator, len(clips), self.first.on_error)

    def _computed_parts(
        self, clips: Any, report: Report
    ) -> Iterator[tuple[Views, np.ndarray]]:
        for part in self._loaded(clips, report):
            seconds = np.array([len(clip) / self.sr for clip in part.waveforms])
            views, _ = self._computed(iter([part]), len(seconds), report)
            del part  # before there is another
            yield views, seconds
            del views

    def _kept_parts(
        self, clips: Any, report: Report
    ) -> Iterator[tuple[Views, np.ndarray]]:
        # parts as large as those of clips that are loaded: networks run on the same
        # batches, so that their last bits are the same
        about = {"sr": self.sr, "duration": self.first.duration}
        n_jobs, start = effective_n_jobs(self.source.n_jobs), 0
        sizes = PartSizes(clips, n_jobs, **about)
        with progress(len(clips), self.source.verbose, self._bar) as advance:
            while start < len(clips):
                rows = range(start, min(start + sizes.next, len(clips)))
                entries = self._entries(clips, report, rows=rows, verbose=0)
                n_samples = np.array([entry.note[1] for entry in entries[0]])
                views = self._views(map(self.source._arrays_of, entries))
                yield views, n_samples / self.sr
                sizes.update(int(n_samples.max()))
                start += len(rows)
                advance(len(rows))

    def _entries(self, clips: Any, report: Report, **options: Any) -> list[list[Any]]:
        how = {"n_jobs": self.source.n_jobs, "verbose": self.source.verbose} | options
        entries: list[list[Any]] = self.source._entries(
            list(self.views.values()), clips, report, **how
        )
        return entries

    def _checked(self, estimator: Any, X: Any, reset: bool) -> Any:
        if isinstance(X, Views) or getattr(X, "ndim", 2) == 3:
            return self._samples(estimator, check_views(estimator, X, reset=reset))
        allow_nan = self.first.on_error != "raise"
        return check_clips(estimator, X, reset=reset, allow_nan=allow_nan)

    def _loaded(self, clips: Any, report: Report) -> Iterator[Part]:
        n_jobs, verbose = self.source.n_jobs, self.source.verbose
        how = {"n_jobs": n_jobs, "verbose": verbose, "what": self._bar}
        loaded: Iterator[Part] = self.source._loaded(self.first, clips, report, **how)
        return loaded

    @property
    def _bar(self) -> str:
        """What a progress bar says."""
        bar: str = self.source._bar_of(list(self.views.values()))
        return bar

    def _computed(
        self, parts: Iterator[Part], n_clips: int, report: Report
    ) -> tuple[Views, list[list[float]]]:
        views = list(self.views.values())
        arrays, tops = self.source._computed(views, parts, n_clips, report)
        return self._views(arrays), tops

    def _views(self, arrays: Iterable[Any]) -> Views:
        rates = {name: view.rate for name, view in self.views.items()}
        return Views(dict(zip(self.views, arrays, strict=True)), rates)

    def _samples(self, estimator: Any, X: Views) -> list[np.ndarray]:
        """Samples of a raw view, which must be at the rate of the views."""
        name, who = X.names[0], type(estimator).__name__
        if len(X.names) > 1 or X.n_bins[name] > 1:
            other = ", or set views=None" if hasattr(estimator, "views") else ""
            raise ValueError(
                f"{who} takes waveforms or paths, or a single RawView; got "
                f"views with the bins {X.n_bins}. Pass X.select(['raw']), or the "
                f"sound{other}."
            )
        rate = X.rates[name]
        if rate is not None and not np.isclose(rate, self.sr):
            raise ValueError(
                f"View {name!r} has {rate:g} samples per second, but {who} takes sound "
                f"at sr={self.sr:g}. Set both to the same rate."
            )
        return [clip[0] for clip in X.clips(name)]

    def front_ends(
        self, scaler: Any, n_steps: dict[str, int], dtype: str
    ) -> tuple[FrontEnds, Geometry]:
        """Modules for training, and what segments they need."""
        modules = {n: v._front_end(dtype, self.device) for n, v in self.views.items()}
        hops = {name: round(self.sr / view.rate) for name, view in self.views.items()}
        reaches = [module.reach for module in modules.values() if module is not None]
        n_samples = max(n_steps[name] * hop for name, hop in hops.items())
        geometry = Geometry(self.sr, max(reaches, default=0), n_samples)
        moments = [
            {
                name: torch.from_numpy(np.asarray(array, dtype))[:, None]
                for name, array in moment.items()
            }
            for moment in self._moments(scaler)
        ]
        front_ends = FrontEnds(modules, hops, n_steps, geometry, *moments)
        return front_ends.to(self.device), geometry

    def _moments(self, scaler: Any) -> tuple[Any, Any]:
        if scaler is None:
            return {name: [0.0] for name in self.views}, {n: [1.0] for n in self.views}
        return scaler.mean_, scaler.scale_


def _samples_of(view: np.ndarray) -> np.ndarray:
    samples: np.ndarray = view[0]
    return samples


class WaveformDataset:
    """Waveforms of the clips, cut where `SegmentDataset` cuts their views.

    Parameters
    ----------
    sound : Sound
        Waveforms, and the maxima of their views.
    views : SegmentDataset
        Views of the same clips, for the length of a clip in each.
    geometry : Geometry
        Length and margins of a segment.
    """

    KNOWN = AVAILABLE, MAXIMA, BORDERS = "available", "maxima", "borders"

    def __init__(self, sound: Sound, views: SegmentDataset, geometry: Geometry) -> None:
        self.clips = sound.waveforms
        self.geometry = geometry
        self.length, self.durations = views.length, views.durations
        self.dtype, self.n_steps = views.dtype, views.n_steps
        self.side_by_side = views.side_by_side
        frames = [views.n_frames[name] for name in views.n_steps]
        self.n_available = np.array(frames).T  # (clips, views)
        self.maxima = sound.maxima.astype(self.dtype)

    def inputs(self, rows: np.ndarray, starts: np.ndarray, tiled: np.ndarray) -> Arrays:
        """Waveforms with margins, and what the front ends need of the clips.

        That are steps of each clip in each view, maxima, and the samples at which the
        clip starts and stops. A clip shorter than a segment is surrounded by silence,
        and its views are to be repeated. Where ``tiled``, for sounds that will be
        mixed, the waveform is repeated instead, and maxima are unknown.
        """
        shape = (len(rows), self.geometry.n_samples + 2 * self.geometry.margin)
        waveforms = np.zeros(shape, dtype=self.dtype)
        available, maxima = self.n_available[rows], self.maxima[rows]
        borders = np.zeros((len(rows), 2), dtype=np.int64)
        maxima[tiled] = np.nan
        n_steps = list(self.n_steps.values())
        for i, (row, start) in enumerate(zip(rows, starts, strict=True)):
            clip = self.clips[row]
            is_short = (available[i] < n_steps).any()  # also for lack of padding
            if tiled[i] and (is_short or len(clip) < self.geometry.n_samples):
                needed = self.geometry.n_samples + self.geometry.margin
                clip = np.tile(clip, -(-needed // len(clip)))
                available[i] = np.iinfo(np.int64).max
            borders[i] = self._fill(waveforms[i], clip, start)
        return {
            WAVEFORM: torch.from_numpy(waveforms),
            self.AVAILABLE: torch.from_numpy(available),
            self.MAXIMA: torch.from_numpy(maxima),
            self.BORDERS: torch.from_numpy(borders),
        }

    def _fill(self, out: np.ndarray, clip: np.ndarray, start: float) -> tuple[int, int]:
        """Copy a clip from before ``start`` seconds; where in ``out`` it would lie."""
        first = int(np.floor(start * self.geometry.sr + 0.5)) - self.geometry.margin
        piece = clip[max(0, first) : first + len(out)]
        left = max(0, -first)
        out[left : left + len(piece)] = piece
        return -first, len(clip) - first


class FrontEnds(nn.Module):
    """From waveforms with margins to standardised views, on the training device.

    Frame ``t`` of a segment is what frame ``t`` of the whole clip's view is where the
    segment starts: margins hold all samples that a frame can see, what lies beyond the
    ends of a clip is as its views have it, and ``top_db`` counts from the maximum of
    the whole clip. Of a mixture that is unknown: its segment's own maximum is taken.

    Parameters
    ----------
    modules : mapping of str to FrontEnd or None
        Front end of every view, None for samples as they are.
    hops : mapping of str to int
        Samples from step to step of every view.
    n_steps : mapping of str to int
        Steps of a segment in every view.
    geometry : Geometry
        Margins of the waveforms.
    mean, scale : mapping of str to Tensor of shape (n_bins, 1)
        What views are standardised with.
    """

    per_decibel: Tensor

    def __init__(
        self,
        modules: Mapping[str, FrontEnd | None],
        hops: Mapping[str, int],
        n_steps: Mapping[str, int],
        geometry: Geometry,
        mean: Mapping[str, Tensor],
        scale: Mapping[str, Tensor],
    ) -> None:
        super().__init__()
        self.names = tuple(modules)
        self.hops = [hops[name] for name in self.names]
        # a list, because a view may have any name; identity for samples as they are
        self.front_ends = nn.ModuleList(
            nn.Identity() if module is None else module for module in modules.values()
        )
        self.n_steps = [n_steps[name] for name in self.names]
        self.margin = geometry.margin
        # what a decibel of gain adds to a maximum, 0 for views without a range
        decibels = [module.decibels if module else None for module in modules.values()]
        per_decibel = mean[self.names[0]].new_tensor(
            [1 / d if d else 0 for d in decibels]
        )
        self.register_buffer("per_decibel", per_decibel, persistent=False)
        for i, name in enumerate(self.names):
            self.register_buffer(f"mean_{i}", mean[name], persistent=False)
            self.register_buffer(f"scale_{i}", scale[name], persistent=False)

    def forward(
        self,
        waveforms: Tensor,
        available: Tensor,
        maxima: Tensor,
        borders: Tensor,
        roll: Tensor,
        gain: Tensor | float = 0.0,
    ) -> Arrays:
        """Views (clips, bins, steps) of waveforms (clips, margin + samples + margin).

        ``available`` (clips, views) are the steps that a clip has: shorter ones are
        repeated, from the share ``roll`` (clips,) of their length on. ``maxima``
        (clips, views) are those of the whole clips before ``gain`` (clips,) in
        decibels, NaN where unknown. ``borders`` (clips, 2) are the samples where a clip
        starts and stops.
        """
        # every view's frames lie on its own grid: start it so that the margin is on it
        offsets = [self.margin % hop for hop in self.hops]
        gain = torch.as_tensor(gain, dtype=maxima.dtype, device=maxima.device)
        tops = maxima + self.per_decibel * gain.reshape(-1, 1)
        computed = compute_front_ends(
            list(self.front_ends), waveforms, offsets, tops, borders
        )
        views = {}
        for i, (name, view) in enumerate(zip(self.names, computed, strict=True)):
            first = self.margin // self.hops[i]
            view = _repeat(view[..., first:], self.n_steps[i], available[:, i], roll)
            mean, scale = self.get_buffer(f"mean_{i}"), self.get_buffer(f"scale_{i}")
            views[name] = (view - mean) / scale
        return views


def _repeat(view: Tensor, n_steps: int, available: Tensor, roll: Tensor) -> Tensor:
    """First ``n_steps`` frames, going round in clips that have fewer."""
    short = available < n_steps
    first = torch.where(short, (roll * available).floor(), 0).long()
    period = torch.where(short, available, n_steps)
    steps = torch.arange(n_steps, device=view.device)
    index = (steps + first[:, None]) % period[:, None]
    return view.gather(2, index[:, None].expand(-1, view.shape[1], -1))


class TrainingInput(nn.Module):
    """Views of a training batch: front ends, mixing and masks.

    Parameters
    ----------
    front_ends : FrontEnds or None
        None if batches hold views already.
    augmentation : Augmentation
        What is done to segments.
    """

    def __init__(
        self, front_ends: FrontEnds | None, augmentation: Augmentation
    ) -> None:
        super().__init__()
        self.front_ends = front_ends
        self.augmentation = augmentation

    @torch.no_grad()
    def forward(self, batch: TrainingBatch) -> Arrays:
        """Views (clips, bins, steps) that the network is to see."""
        own, partner = batch.own, batch.partner
        if self.front_ends is not None:
            own, partner = self._computed(batch, self.front_ends)
        if self.augmentation.mix == MIXUP and partner is not None:
            ratio = batch.draws["ratio"][:, None, None]
            own = {k: ratio * v + (1 - ratio) * partner[k] for k, v in own.items()}
        draws = list(batch.draws["masks"].unbind(1))
        return {
            # a waveform has no bins to mask
            name: self._masked(view, draws) if view.shape[1] > 1 else view
            for name, view in own.items()
        }

    def _computed(
        self, batch: TrainingBatch, front_ends: FrontEnds
    ) -> tuple[Arrays, Arrays | None]:
        """Views of waveforms that were augmented, and of what to mix them with."""
        draws, key = batch.draws, WAVEFORM
        x = batch.own[key]
        other = None if batch.partner is None else batch.partner[key]
        gain, other_gain = draws.get("gain", x.new_zeros(2, 1))
        if "gain" in draws:
            x = x * _factor(gain)
            other = None if other is None else other * _factor(other_gain)
        if self.augmentation.mix == BETWEEN_CLASS and other is not None:
            x = mix_waveforms(x, other, draws["ratio"])
        if "noise" in draws:
            x = add_noise(x, draws["noise"], draws["snr"])
        roll = draws["roll"] if self.augmentation.shift else 0 * draws["roll"]

        def of(part: Arrays, waveforms: Tensor, gain: Tensor) -> Arrays:
            known = [part[name] for name in WaveformDataset.KNOWN]
            views: Arrays = front_ends(waveforms, *known, roll, gain)
            return views

        views = of(batch.own, x, gain)
        if self.augmentation.mix != MIXUP or batch.partner is None or other is None:
            return views, None
        return views, of(batch.partner, other, other_gain)

    def _masked(self, view: Tensor, draws: list[Tensor]) -> Tensor:
        """Mask bins and frames, using up two draws for each."""
        options = self.augmentation
        for axis, share in ((1, options.freq_mask), (2, options.time_mask)):
            if share:
                # a whole number of steps up to the largest, all equally likely
                size = view.shape[axis]
                width = (draws.pop() * (int(share * size) + 1)).floor() / size
                view = mask(view, axis, width, draws.pop())
        return view


def _factor(gain: Tensor) -> Tensor:
    """Decibels to factors on waveforms, (clips, 1)."""
    return 10 ** (gain[:, None] / 20)
