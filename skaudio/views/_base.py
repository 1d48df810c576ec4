"""What all views share: loading clips, running front ends on them, stacking."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import Tags

from skaudio._audio._checks import all_finite, overflow
from skaudio._audio._load import load_parts, progress
from skaudio._audio._parts import Part
from skaudio._audio._report import Report
from skaudio._utils._constraints import (
    CACHE_CONSTRAINTS,
    CHANGING,
    LOADER_CONSTRAINTS,
    LOADING,
)
from skaudio._utils._container import ClipArrays, stack_or_object
from skaudio._utils._failed import FailedClips
from skaudio._utils._lazy import LazyClips
from skaudio._utils._output import ArrayOutput
from skaudio._utils._sklearn import _fit_context
from skaudio._utils._types import is_path, shown
from skaudio._utils._validation import check_clips
from skaudio._utils._view_array import ViewArray
from skaudio.cache._clips import store_of
from skaudio.cache._content import content_digest, files_of
from skaudio.cache._folder import is_cache
from skaudio.cache._keys import versions_of
from skaudio.views._cached import Caching, Extraction, arrays_of

if TYPE_CHECKING:
    from skaudio.cache._clips import Kept
    from skaudio.nn.frontends import FrontEnd

# packages whose numbers change with their versions
DECODERS = ("numpy", "soxr", "soundfile")
FRONT_ENDS = ("scipy", "torch", "librosa")
# parameters that say how to compute, and what they are by default
HOW = {
    "on_error": "raise",
    "n_jobs": None,
    "verbose": 0,
    "batch_size": 64,
    "device": "cpu",
    "cache": False,
    "cache_by": "stat",
}


class ViewSource(FailedClips, metaclass=ABCMeta):
    """Whatever computes views of clips: one view, or a union of several."""

    n_jobs: int | None
    verbose: int

    @property
    @abstractmethod
    def _caching(self) -> Caching | None:
        """Where views are kept from call to call; None if they are not."""

    @staticmethod
    def _loaded(view: BaseView, X: Any, report: Report, **how: Any) -> Iterator[Part]:
        """Waveforms of checked clips, see `load_rows`."""
        return load_rows(view, X, report, **how)

    @staticmethod
    def _computed(
        views: Sequence[BaseView], parts: Iterable[Part], n_clips: int, report: Report
    ) -> tuple[list[np.ndarray], list[list[float]]]:
        """Views of clips that are loaded; see `compute_parts`."""
        return compute_parts(views, parts, n_clips, report)

    def _entries(
        self,
        views: Sequence[BaseView],
        X: Any,
        report: Report,
        *,
        waveforms: bool = False,
        **how: Any,
    ) -> list[list[Kept]]:
        """Entries of the cache, see `Extraction.entries`."""
        caching: Any = self._caching
        doing = load_rows, compute_part, partial(progress, what=self._bar_of(views))
        return Extraction(views, caching, *doing, waveforms).entries(X, report, **how)

    _arrays_of = staticmethod(arrays_of)

    @staticmethod
    def _bar_of(views: Sequence[BaseView]) -> str:
        """What a progress bar says of views that are computed."""
        return f"Computing {', '.join(view.kind for view in views)}"

    @abstractmethod
    def _named_views(self) -> dict[str, BaseView]:
        """Views by name, checked to fit together."""


class BaseView(ArrayOutput, ViewSource, TransformerMixin, BaseEstimator):
    """A stateless transformer from clips to one view of them.

    A subclass adds its parameters, `_parameter_constraints`, `rate`, and what turns
    waveforms into arrays: `_front_end`.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **LOADER_CONSTRAINTS,
        **CACHE_CONSTRAINTS,
    }

    sr: float
    on_error: str
    cache: Any
    cache_by: str

    has_front_end = True  # a module of torch computes it, or nothing has to

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
        self._check_computable()
        check_clips(self, X, reset=True, allow_nan=self.on_error != "raise")
        self.errors_ = []
        return self

    def transform(self, X: Any) -> ViewArray:
        """Compute the view of every clip.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            Arrays are taken to be at `sr`; files are resampled to it.

        Returns
        -------
        view : ViewArray of shape (n_clips, n_bins, n_frames)
            An array that knows its rate. If clips differ in length, it is a 1-D object
            array of `n_clips` arrays (n_bins, n_frames_i).
        """
        X = check_clips(self, X, reset=False, allow_nan=self.on_error != "raise")
        (view,) = compute_views(self, [self], X)
        array = stack_or_object(view) if isinstance(view, LazyClips) else view
        return ViewArray(array, self.rate)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the bins.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Ignored: bins are not columns of X.

        Returns
        -------
        names : ndarray of str
            The kind of the view and the centre of the bin, such as ``mel_205Hz``, with
            as many decimals as tell them apart; or a number from 0 on, such as
            ``raw0``, if bins have no frequency.
        """
        clip = np.zeros(self._shortest, np.float32)
        (((view,), _),) = compute_clips([self], [clip], "float32")
        return np.array(self._bin_names(len(view)), dtype=object)

    def _bin_names(self, n_bins: int) -> list[str]:
        frequencies = self.frequencies
        if frequencies is not None:
            for decimals in range(7):
                names = [f"{self.kind}_{hz:.{decimals}f}Hz" for hz in frequencies]
                if len(set(names)) == len(names):
                    return names
        return [f"{self.kind}{i}" for i in range(n_bins)]

    @property
    def frequencies(self) -> np.ndarray | None:
        """Centre frequency of every bin in Hz, (n_bins,); None if bins have none."""
        return None

    @property
    def kind(self) -> str:
        """Name of the kind of view in lower case, such as "mel"."""
        return type(self).__name__.lower().removesuffix("view")

    @property
    def _shortest(self) -> int:
        """How many samples a clip needs."""
        return 1

    @property
    def _needs(self) -> tuple[str, str]:
        """What `_shortest` is, and what to set for shorter clips."""
        return "1", "nothing"

    def _named_views(self) -> dict[str, BaseView]:
        self._validate_params()
        return {self.kind: self}

    @property
    def _caching(self) -> Caching | None:
        return Caching(self.cache, self.cache_by) if is_cache(self.cache) else None

    def _waveform_store(self) -> str:
        """Name of what is kept of waveforms as this view loads them."""
        loading = [(name, getattr(self, name)) for name in ("sr", *CHANGING)]
        return store_of("waveform", *loading, versions_of(*DECODERS))

    def _store(self) -> str | None:
        """Name of what is kept of this view, by all that changes its numbers.

        None if that is unknown: of a class of somebody else's that cannot be pickled.
        """
        plain = clone(self)
        plain.set_params(**{k: v for k, v in HOW.items() if hasattr(self, k)})
        content = content_digest(plain)
        if content is None:
            return None
        from skaudio.nn.devices import available_device

        kind = available_device(self.device) if hasattr(self, "device") else "cpu"
        code = files_of(type(self)), versions_of(*DECODERS, *FRONT_ENDS)
        return store_of(self.kind, content, kind.partition(":")[0], *code)

    def _by_itself(self, clips: list[np.ndarray]) -> list[np.ndarray]:
        """The view without a front end: the samples as they are, (1, n_samples)."""
        return [clip[None] for clip in clips]

    def _check_computable(self) -> None:
        """Refuse parameters that do not fit together, and devices that are not here."""
        self._front_end("float32", "cpu")
        if hasattr(self, "device"):
            from skaudio.nn.devices import resolve_device

            resolve_device(self.device)

    @abstractmethod
    def _front_end(self, dtype: str, device: str) -> FrontEnd | None:
        """The module that computes this view; None takes the samples as they are."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def compute_views(owner: Any, views: Sequence[Any], X: Any) -> list[Any]:
    """Load checked clips once and compute several views of them.

    The views must agree in how they load and compute. Failed clips are reported in
    ``owner.errors_``, which is left alone if nothing changed.
    """
    report = Report()
    how = {"n_jobs": owner.n_jobs, "verbose": owner.verbose}
    caching: Caching | None = owner._caching
    arrays: list[Any]
    if caching is None:
        parts = load_rows(views[0], X, report, **how, what=owner._bar_of(views))
        arrays, _ = compute_parts(views, parts, len(X), report)
    else:
        entries = owner._entries(views, X, report, **how)
        arrays = [_unshared(arrays_of(of_view)) for of_view in entries]
    report.close(owner, len(X), views[0].on_error)
    return arrays


def _unshared(array: np.ndarray | LazyClips) -> np.ndarray | LazyClips:
    """A view that may be written to: clips that are kept are nobody else's."""
    if isinstance(array, LazyClips) or array.dtype != object:
        return array
    return stack_or_object([clip.copy() for clip in array])


def load_rows(
    view: Any,
    X: Any,
    report: Report,
    *,
    n_jobs: int | None,
    verbose: int,
    rows: Sequence[int] | None = None,
    what: str = "Loading clips",
) -> Iterator[Part]:
    """Waveforms of checked clips at the rate of a view, part by part."""
    options = {name: getattr(view, name) for name in LOADING}
    options |= {"n_jobs": n_jobs, "verbose": verbose, "rows": rows, "what": what}
    return load_parts(X, report, **options)


def compute_parts(
    views: Sequence[Any],
    parts: Iterable[Part],
    n_clips: int,
    report: Report,
) -> tuple[list[np.ndarray], list[list[float]]]:
    """Views of clips that are loaded part by part, and the tops of their ranges.

    Both have one entry per view. A top is the maximum from which ``top_db`` counts, one
    per clip, NaN where a view has no such range.

    A clip that is finite and has a view that is not is an error of that clip: raised,
    or NaN in all views and added to ``report``.
    """
    collected = [ClipArrays(n_clips) for _ in views]
    tops: list[list[float]] = [[] for _ in views]
    for part in parts:
        computed = compute_part(views, part, report)
        for view, (arrays, of_clips) in enumerate(computed):
            collected[view].extend(arrays)
            tops[view].extend(of_clips)
        del part, computed, arrays  # before there are more
    return [arrays.result() for arrays in collected], tops


def compute_part(
    views: Sequence[Any], part: Part, report: Report
) -> list[tuple[list[np.ndarray], list[float]]]:
    """Views and tops of some clips; what overflows is NaN."""
    computed: list[tuple[list[np.ndarray], list[float]]] = [([], []) for _ in views]
    waveforms = _long_enough(views, part, report)
    for dtype, clips in groupby(waveforms, key=lambda clip: clip.dtype.name):
        of_dtype = compute_clips(views, list(clips), dtype)
        for (arrays, tops), (new_arrays, new_tops) in zip(
            computed, of_dtype, strict=True
        ):
            arrays.extend(new_arrays)
            tops.extend(new_tops)
    for i, waveform in enumerate(waveforms):
        of_clip = [arrays[i] for arrays, _ in computed]
        if all(map(all_finite, of_clip)) or not all_finite(waveform):
            continue
        message = overflow(_name_of(part, i), waveform, waveform.dtype)
        _note(views, part, i, message, report)
        for (arrays, _), array in zip(computed, of_clip, strict=True):
            arrays[i] = np.full_like(array, np.nan)
    return computed


def _long_enough(views: Sequence[Any], part: Part, report: Report) -> list[np.ndarray]:
    """Waveforms of clips; those too short for a view are NaN, or an error."""
    view = max(views, key=lambda view: view._shortest)
    waveforms = list(part.waveforms)
    for i, waveform in enumerate(waveforms):
        n_samples = len(waveform)
        if n_samples >= view._shortest or not all_finite(waveform):
            continue
        needed, change = view._needs
        message = (
            f"{_name_of(part, i)} is too short: {type(view).__name__} needs {needed} "
            f"samples or more; got {n_samples}. Set {change} or a duration to which "
            "clips are padded, or leave it out."
        )
        _note(views, part, i, message, report)
        waveforms[i] = np.full_like(waveform, np.nan)
    return waveforms


def _name_of(part: Part, i: int) -> str:
    item = part.clips[i]
    return shown(item) if is_path(item) else f"Clip {part.rows[i]} of X"


def _note(
    views: Sequence[Any], part: Part, i: int, message: str, report: Report
) -> None:
    """Raise the error of a clip, or note it, by the policy of the views."""
    if views[0].on_error == "raise":
        raise ValueError(message)
    report.add(part.rows[i], part.clips[i], message)


def compute_clips(
    views: Sequence[Any], clips: list[np.ndarray], dtype: str
) -> list[tuple[list[np.ndarray], list[float]]]:
    """Views of clips of one dtype, which decides the precision."""
    computing = [view for view in views if hasattr(view, "device")]
    found = iter(_by_front_ends(computing, clips, dtype) if computing else ())
    no_range = [np.nan] * len(clips)
    return [
        next(found) if hasattr(view, "device") else (view._by_itself(clips), no_range)
        for view in views
    ]


def _by_front_ends(
    views: Sequence[Any], clips: list[np.ndarray], dtype: str
) -> Iterable[tuple[list[np.ndarray], list[float]]]:
    """Views by their front ends, with what these share computed once."""
    from skaudio.nn.devices import available_device
    from skaudio.nn.runner import run_front_ends

    device = available_device(views[0].device)
    front_ends = [view._front_end(dtype, device) for view in views]
    shortest = max(view._shortest for view in views)
    return run_front_ends(
        front_ends,
        [_lengthened(clip, shortest) for clip in clips],
        batch_size=views[0].batch_size,
        device=device,
    )


def _lengthened(clip: np.ndarray, n_samples: int) -> np.ndarray:
    """A clip that failed is NaN, and has a frame of it where one is too short."""
    is_short = len(clip) < n_samples and np.isnan(clip).all()
    return np.resize(clip, n_samples) if is_short else clip
