"""Views of clips that are kept from call to call: each computed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from skaudio._audio._parts import Part
from skaudio._audio._report import Report
from skaudio._utils._container import stack_or_object
from skaudio._utils._lazy import LazyClips
from skaudio.cache._clips import MEMORY, Kept, contents_of
from skaudio.cache._folder import Folder, folder_of
from skaudio.cache._keys import joined
from skaudio.cache._pack import Held, Stored

AT_A_TIME = 1024  # clips that are looked up together
KNOWN_AT_A_TIME = 64  # clips whose waveforms are kept


class Caching(NamedTuple):
    """Where views are kept, and how files are known again."""

    cache: Any
    by: str

    @property
    def folder(self) -> Folder | None:
        """The folder; None for the memory."""
        return folder_of(self.cache)


def cached_views(
    views: Sequence[Any],
    X: Any,
    report: Report,
    caching: Caching,
    *,
    load: Callable[..., Iterator[Part]],
    compute: Callable[..., list[Any]],
    progress: Callable[..., Any],
    n_jobs: int | None,
    verbose: int,
    waveforms: bool = False,
    rows: range | None = None,
) -> list[list[Kept]]:
    """Arrays of every view and clip, computed where they are not kept yet.

    Parameters
    ----------
    views : sequence of BaseView
        They must agree in how they load and compute.
    X : array or list
        Checked clips.
    report : Report
        Where failures are added.
    caching : Caching
        Where arrays are kept.
    load, compute : callable
        From clips to waveforms, and from these to views, part by part.
    progress : callable
        Makes a progress bar of a number of clips.
    n_jobs, verbose : int
        Of the loader, and of the progress bar.
    waveforms : bool, default=False
        Whether to give the waveforms as well, as a view of one bin that comes last.
    rows : range or None, default=None
        Which clips; None are all.

    Returns
    -------
    entries : list of list
        One list of entries per view. Their notes are the top of a clip's range (see
        `compute_parts`) and its number of samples. A clip that failed is NaN.
    """
    rows = range(len(X)) if rows is None else rows
    entries: list[list[Kept]] = [[] for _ in range(len(views) + waveforms)]
    with progress(len(rows), verbose) as advance:
        loaded = partial(load, views[0], X, report, n_jobs=n_jobs, verbose=0)
        for start in range(0, len(rows), AT_A_TIME):
            some = rows[start : start + AT_A_TIME]
            job = _Job(views, X, some, report, caching, loaded, compute, waveforms)
            for of_view, new in zip(entries, job.entries(advance), strict=True):
                of_view.extend(new)
    return entries


def arrays_of(entries: Sequence[Kept]) -> np.ndarray | LazyClips:
    """Entries of a view as an array, or as clips to be read if any is in a file."""
    if any(isinstance(entry, Stored) for entry in entries):
        return LazyClips(entries)
    return stack_or_object([entry.read() for entry in entries])


class _Job:
    """One call of `cached_views`."""

    def __init__(
        self,
        views: Sequence[Any],
        X: Any,
        rows: Sequence[int],
        report: Report,
        caching: Caching,
        load: Callable[..., Iterator[Part]],
        compute: Callable[..., list[Any]],
        waveforms: bool,
    ) -> None:
        self.views, self.X, self.rows, self.report = views, X, rows, report
        self.load, self.compute = load, compute
        self.folder = caching.folder
        self._number_of = {row: i for i, row in enumerate(rows)}
        self.contents = contents_of([X[row] for row in rows], caching.by, self.folder)
        self.waveform_keys = joined(views[0]._waveform_store(), self.contents)
        self.keys = [joined(view._store(), self.contents) for view in views]
        if waveforms:
            self.keys.append(self.waveform_keys)

    def entries(self, advance: Callable[[int], Any]) -> list[list[Kept]]:
        """See `cached_views`; ``advance`` is told how many clips are done."""
        self.advance, self.n_left = advance, len(self.rows)
        n = len(self.rows)
        keys = list(chain.from_iterable(self.keys))
        # there is one for every clip: those that failed are NaN
        found: Any = MEMORY.entries(keys, self._compute, self.folder)
        entries: list[list[Kept]] = [found[i : i + n] for i in range(0, len(found), n)]
        advance(self.n_left)
        self._share_failures()
        failed = {error["row"] for error in self.report.errors}
        for i, row in enumerate(self.rows):
            if row not in failed:
                continue
            for of_view in entries:  # also where it was computed before, in one view
                shape, dtype = of_view[i].shape, of_view[i].dtype
                of_view[i] = Held(np.full(shape, np.nan, dtype), of_view[i].note, False)
        return entries

    def _compute(self, positions: list[int]) -> Iterator[tuple[int, Held]]:
        """What is missing, clip by clip; clips are loaded once for all views."""
        n = len(self.rows)
        missing: dict[int, list[int]] = defaultdict(list)
        for position in positions:
            missing[position % n].append(position // n)
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for i, of_clip in sorted(missing.items()):
            groups[tuple(of_clip)].append(i)
        for numbers, clips in groups.items():
            views = [self.views[k] for k in numbers if k < len(self.views)]
            for part in self._loaded(clips):
                computed = self._computed(views, part)
                for number, of_view in zip(numbers, computed, strict=False):
                    for i, held in of_view.items():
                        yield number * n + i, held
                self.advance(len(part.rows))
                self.n_left -= len(part.rows)

    def _loaded(self, clips: list[int]) -> Iterator[Part]:
        """Waveforms of clips, of those that are kept without loading them.

        Rows of parts are numbers of clips in this call.
        """
        keys = [self.waveform_keys[i] for i in clips]
        known = dict(zip(clips, MEMORY.peek(keys, self.folder), strict=True))
        kept = [i for i, entry in known.items() if entry is not None]
        for start in range(0, len(kept), KNOWN_AT_A_TIME):
            some = kept[start : start + KNOWN_AT_A_TIME]
            entries = [entry for i in some if (entry := known[i]) is not None]
            yield Part(
                [self.rows[i] for i in some],
                [self.X[self.rows[i]] for i in some],
                [np.array(entry.read()[0]) for entry in entries],
            )
        rest = [self.rows[i] for i in clips if known[i] is None]
        yield from self.load(rows=rest)

    def _computed(self, views: list[Any], part: Part) -> list[dict[int, Held]]:
        """Entries of views, and last of waveforms, by number of clip in this call."""
        lengths = [float(len(waveform)) for waveform in part.waveforms]
        own = [waveform[None] for waveform in part.waveforms], [np.nan] * len(lengths)
        computed = [*self.compute(views, part, self.report), own] if views else [own]
        failed = {error["row"] for error in self.report.errors}
        failed |= self.report.short.keys()
        numbers = [self._number_of[row] for row in part.rows]
        kept = [row not in failed for row in part.rows]
        return [
            dict(
                zip(
                    numbers,
                    map(Held, arrays, zip(tops, lengths, strict=True), kept),
                    strict=True,
                )
            )
            for arrays, tops in computed
        ]

    def _share_failures(self) -> None:
        """Of equal clips one was loaded; what happened to it happened to all."""
        rows_of: Mapping[Any, list[int]] = defaultdict(list)
        for row, content in zip(self.rows, self.contents, strict=True):
            if content is not None:
                rows_of[content].append(row)
        equal = {row: rows for rows in rows_of.values() for row in rows}
        known = {error["row"] for error in self.report.errors}
        for error in list(self.report.errors):
            for row in equal.get(error["row"], ()):
                if row not in known:
                    known.add(row)
                    self.report.add(row, self.X[row], error["error"])
        for short, summary in list(self.report.short.items()):
            for row in equal.get(short, ()):
                self.report.short[row] = summary
