"""Views of clips that are kept from call to call: each computed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from skaudio._audio._parts import Part
from skaudio._audio._report import Report
from skaudio._utils._container import stack_or_object
from skaudio._utils._lazy import LazyClips
from skaudio._utils._types import is_path
from skaudio.cache._clips import MEMORY, Kept, contents_of
from skaudio.cache._elsewhere import fill_elsewhere, works_elsewhere
from skaudio.cache._folder import Folder, folder_of
from skaudio.cache._keys import joined, watched
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


@dataclass(frozen=True)
class Extraction:
    """Views of clips, each computed where it is not kept yet.

    Parameters
    ----------
    views : sequence of BaseView
        They must agree in how they load and compute.
    caching : Caching
        Where arrays are kept.
    load, compute : callable
        From clips to waveforms, and from these to views, part by part.
    progress : callable
        Makes a progress bar of a number of clips.
    waveforms : bool, default=False
        Whether to give the waveforms as well, as a view of one bin that comes last.
    """

    views: Sequence[Any]
    caching: Caching
    load: Callable[..., Iterator[Part]]
    compute: Callable[..., list[Any]]
    progress: Callable[..., Any]
    waveforms: bool = False

    def entries(
        self,
        X: Any,
        report: Report,
        *,
        n_jobs: int | None,
        verbose: int,
        rows: range | None = None,
    ) -> list[list[Kept]]:
        """One list of entries per view.

        Their notes are the top of a clip's range (see `compute_parts`) and its number
        of samples. A clip that failed is NaN, and added to ``report``. ``rows`` are
        those of X, None: all. Files are shared out among the workers of a configured
        joblib backend, if there is a folder where they can leave what they compute.
        """
        rows = range(len(X)) if rows is None else rows
        if self.caching.folder is not None and works_elsewhere(n_jobs):
            paths = [X[row] for row in rows if is_path(X[row])]
            self._fill(paths, n_jobs, verbose)
        entries: list[list[Kept]] = [[] for _ in self._stores()]
        with self.progress(len(rows), verbose) as advance:
            for start in range(0, len(rows), AT_A_TIME):
                some = rows[start : start + AT_A_TIME]
                job = _Job(self, X, some, report, n_jobs, advance)
                for of_view, new in zip(entries, job.entries(), strict=True):
                    of_view.extend(new)
        return entries

    def keep(self, paths: list[Any]) -> set[str]:
        """Compute what is not kept of some files; what fails is left out.

        Returns the files that were written.
        """
        folder: Any = self.caching.folder
        before = set(folder.written)
        views = [clone(view).set_params(on_error="nan") for view in self.views]
        replace(self, views=views).entries(paths, Report(), n_jobs=1, verbose=0)
        return folder.written - before

    def keys(self, clips: Sequence[Any]) -> tuple[list[str | None], list[Any]]:
        """What clips hold, and one list of keys per view."""
        contents = contents_of(clips, self.caching.by, self.caching.folder)
        return contents, [joined(store, contents) for store in self._stores()]

    def _stores(self) -> list[str | None]:
        stores = [view._store() for view in self.views]
        return [*stores, self.views[0]._waveform_store()] if self.waveforms else stores

    def _fill(self, paths: list[Any], n_jobs: int | None, verbose: int) -> None:
        """Have workers compute what is not kept yet."""
        if None in self._stores():  # of which nothing can be kept
            return
        folder: Any = self.caching.folder
        missing: list[Any] = []
        for start in range(0, len(paths), AT_A_TIME):
            some = paths[start : start + AT_A_TIME]
            _, keys = self.keys(some)
            kept = [MEMORY.peek(of_view, folder) for of_view in keys]
            missing += [
                path
                for path, entries in zip(some, zip(*kept, strict=True), strict=True)
                if None in entries
            ]
        with self.progress(len(missing), verbose) as advance:
            for n_clips, written in fill_elsewhere(self.keep, missing, n_jobs):
                folder.trust(written)
                advance(n_clips)


def arrays_of(entries: Sequence[Kept]) -> np.ndarray | LazyClips:
    """Entries of a view as an array, or as clips to be read if any is in a file."""
    if any(isinstance(entry, Stored) for entry in entries):
        return LazyClips(entries)
    return stack_or_object([entry.read() for entry in entries])


class _Job:
    """Some clips of one call."""

    def __init__(
        self,
        extraction: Extraction,
        X: Any,
        rows: range,
        report: Report,
        n_jobs: int | None,
        advance: Callable[[int], Any],
    ) -> None:
        self.extraction, self.views = extraction, extraction.views
        self.X, self.rows, self.report = X, rows, report
        self.n_jobs, self.advance, self.n_left = n_jobs, advance, len(rows)
        self.folder = extraction.caching.folder
        clips = [X[row] for row in rows]
        self.is_as_before = watched(clips)
        self.contents, self.keys = extraction.keys(clips)
        self.waveform_keys = joined(self.views[0]._waveform_store(), self.contents)
        self._number_of = {row: i for i, row in enumerate(rows)}

    def entries(self) -> list[list[Kept]]:
        """See `Extraction.entries`."""
        n = len(self.rows)
        keys = list(chain.from_iterable(self.keys))
        # there is one for every clip: those that failed are NaN
        found: Any = MEMORY.entries(keys, self._compute, self.folder)
        entries: list[list[Kept]] = [found[i : i + n] for i in range(0, len(found), n)]
        self.advance(self.n_left)
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
        yield from self.extraction.load(
            self.views[0], self.X, self.report, n_jobs=self.n_jobs, verbose=0, rows=rest
        )

    def _computed(self, views: list[Any], part: Part) -> list[dict[int, Held]]:
        """Entries of views, and last of waveforms, by number of clip in this call."""
        lengths = [float(len(waveform)) for waveform in part.waveforms]
        own = [waveform[None] for waveform in part.waveforms], [np.nan] * len(lengths)
        computed = (
            [*self.extraction.compute(views, part, self.report), own]
            if views
            else [own]
        )
        failed = {error["row"] for error in self.report.errors}
        failed |= self.report.short.keys()
        numbers = [self._number_of[row] for row in part.rows]
        kept = [
            row not in failed and self.is_as_before(number)
            for row, number in zip(part.rows, numbers, strict=True)
        ]
        return [
            dict(
                zip(
                    numbers,
                    map(Held, arrays, zip(tops, lengths, strict=True), kept),
                    strict=True,
                )
            )
            for arrays, tops in (*computed, own)
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
