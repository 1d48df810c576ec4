"""What all views share: loading clips, running front ends on them, stacking."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from skaudio._audio._checks import all_finite, overflow
from skaudio._audio._load import CHUNK, load_clips
from skaudio._audio._report import Report
from skaudio._utils._constraints import LOADER_CONSTRAINTS, LOADING
from skaudio._utils._container import stack_or_object
from skaudio._utils._output import ArrayOutput, FailedClips, note_errors
from skaudio._utils._sklearn import _fit_context
from skaudio._utils._types import is_path, shown
from skaudio._utils._validation import check_clips

if TYPE_CHECKING:
    from skaudio.nn.frontends import FrontEnd


class ViewSource(FailedClips, metaclass=ABCMeta):
    """Whatever computes views of clips: one view, or a union of several."""

    n_jobs: int | None
    verbose: int

    @abstractmethod
    def _named_views(self) -> dict[str, BaseView]:
        """Views by name, checked to fit together."""


class BaseView(ArrayOutput, ViewSource, TransformerMixin, BaseEstimator):
    """A stateless transformer from clips to one view of them.

    A subclass adds its parameters, `_parameter_constraints`, `rate`, and what turns
    waveforms into arrays: `_front_end`.
    """

    _parameter_constraints: dict[str, list[Any]] = LOADER_CONSTRAINTS

    sr: float
    on_error: str

    @property
    @abstractmethod
    def rate(self) -> float:
        """Frames per second."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> BaseView:
        """Check parameters and clips; nothing is learned.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            A rectangular array fixes `n_samples`; lists may have any lengths.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The view itself.
        """
        self._front_end("float32", "cpu")  # refuses parameters that do not fit together
        check_clips(self, X, reset=True, allow_nan=self.on_error != "raise")
        self.errors_ = []
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Compute the view of every clip.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            Arrays are taken to be at `sr`; files are resampled to it.

        Returns
        -------
        view : ndarray of shape (n_clips, n_bins, n_frames)
            Or, if clips differ in length, a 1-D object array of `n_clips` arrays
            (n_bins, n_frames_i).
        """
        X = check_clips(self, X, reset=False, allow_nan=self.on_error != "raise")
        (view,) = compute_views(self, [self], X, self.n_jobs, self.verbose)
        return view

    @property
    def kind(self) -> str:
        """Name of the kind of view in lower case, such as "mel"."""
        return type(self).__name__.lower().removesuffix("view")

    @property
    def _shortest(self) -> int:
        """How many samples a clip needs."""
        return 1

    def _named_views(self) -> dict[str, BaseView]:
        self._validate_params()
        return {self.kind: self}

    def _load(
        self,
        X: np.ndarray | list[Any],
        n_jobs: int | None,
        verbose: int,
        first: int = 0,
        report: Report | None = None,
    ) -> tuple[list[np.ndarray] | np.ndarray, list[dict[str, Any]]]:
        """Waveforms of checked clips at the rate of this view, and what failed.

        ``first`` is the row of the first clip in the user's X; for ``report`` see
        `load_clips`.
        """
        options = {name: getattr(self, name) for name in LOADING}
        options |= {"rows": range(first, first + len(X)), "report": report}
        return load_clips(X, n_jobs=n_jobs, verbose=verbose, **options)

    @staticmethod
    def _compute(
        views: Sequence[BaseView],
        waveforms: list[np.ndarray] | np.ndarray,
        report: Report | None = None,
    ) -> tuple[list[list[np.ndarray]], list[list[float]]]:
        """Views that fit together, of waveforms; see `compute_waveforms`."""
        return compute_waveforms(views, waveforms, report)

    @abstractmethod
    def _front_end(self, dtype: str, device: str) -> FrontEnd | None:
        """The module that computes this view; None takes the samples as they are."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def compute_views(
    owner: Any,
    views: Sequence[BaseView],
    X: np.ndarray | list[Any],
    n_jobs: int | None,
    verbose: int,
) -> list[np.ndarray]:
    """Load checked clips once and compute several views of them.

    The views must agree in how they load and compute. Failed clips are reported in
    ``owner.errors_``, which is left alone if nothing changed.
    """
    parts: list[list[np.ndarray]] = [[] for _ in views]
    report = Report()
    size = CHUNK if isinstance(X, list) else len(X)
    for start in range(0, len(X), size):
        part = X[start : start + size]
        waveforms, _ = views[0]._load(part, n_jobs, verbose, start, report)
        computed, _ = compute_waveforms(views, waveforms, report, start, part)
        for arrays, view in zip(parts, computed, strict=True):
            arrays.extend(view)
    report.errors.sort(key=itemgetter("row"))
    report.warn(len(X), views[0].on_error)
    note_errors(owner, report.errors)
    return [stack_or_object(part) for part in parts]


def compute_waveforms(
    views: Sequence[BaseView],
    waveforms: list[np.ndarray] | np.ndarray,
    report: Report | None = None,
    first: int = 0,
    X: Sequence[Any] | np.ndarray | None = None,
) -> tuple[list[list[np.ndarray]], list[list[float]]]:
    """Views of waveforms that were loaded, and the tops of their ranges.

    Both have one list per view with one entry per clip: arrays (n_bins, n_frames), and
    the maxima from which ``top_db`` counts, NaN where a view has no such range.

    A clip that is finite and has a view that is not is an error of that clip: raised,
    or NaN in all views and added to ``report``, with its row counted from ``first`` and
    the path that stands in ``X``.
    """
    arrays: list[list[np.ndarray]] = [[] for _ in views]
    tops: list[list[float]] = [[] for _ in views]
    for dtype, clips in groupby(waveforms, key=lambda clip: clip.dtype.name):
        computed = _compute_clips(views, list(clips), dtype)
        for view, (some_arrays, some_tops) in enumerate(computed):
            arrays[view].extend(some_arrays)
            tops[view].extend(some_tops)
    for clip, waveform in enumerate(waveforms):
        of_clip = [view[clip] for view in arrays]
        if all(map(all_finite, of_clip)) or not all_finite(waveform):
            continue
        item = None if X is None else X[clip]
        name = shown(item) if is_path(item) else f"Clip {first + clip} of X"
        message = overflow(name, waveform, waveform.dtype)
        if views[0].on_error == "raise":
            raise ValueError(message)
        if report is not None:
            report.add(first + clip, item, message)
        for of_view, array in zip(arrays, of_clip, strict=True):
            of_view[clip] = np.full_like(array, np.nan)
    return arrays, tops


def _compute_clips(
    views: Sequence[BaseView], clips: list[np.ndarray], dtype: str
) -> list[tuple[list[np.ndarray], list[float]]]:
    """Views of clips of one dtype, which decides the precision."""
    raw = [clip[None] for clip in clips], [np.nan] * len(clips)  # no range
    computing = next((view for view in views if hasattr(view, "device")), None)
    if computing is None:
        return [raw for _ in views]
    from skaudio.nn.devices import resolve_device
    from skaudio.nn.runner import run_front_ends

    device = resolve_device(computing.device)
    front_ends = [view._front_end(dtype, device) for view in views]
    shortest = max(view._shortest for view in views)
    computed = run_front_ends(
        [front_end for front_end in front_ends if front_end is not None],
        [_lengthened(clip, shortest) for clip in clips],
        batch_size=computing.batch_size,
        device=device,
    )
    found = iter(computed)
    return [raw if front_end is None else next(found) for front_end in front_ends]


def _lengthened(clip: np.ndarray, n_samples: int) -> np.ndarray:
    """A clip that failed is NaN, and has a frame of it where one is too short."""
    is_short = len(clip) < n_samples and np.isnan(clip).all()
    return np.resize(clip, n_samples) if is_short else clip
