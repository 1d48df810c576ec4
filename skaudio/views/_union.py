"""Several views of the same clips, loaded once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils import Tags

from skaudio._utils._constraints import (
    CACHE_CONSTRAINTS,
    CACHING,
    COMPUTING,
    LOADING,
)
from skaudio._utils._container import Views
from skaudio._utils._output import ArrayOutput
from skaudio._utils._sklearn import _BaseComposition, _fit_context
from skaudio._utils._validation import check_clips
from skaudio.cache._folder import is_cache
from skaudio.views._base import BaseView, ViewSource, compute_views
from skaudio.views._cached import Caching
from skaudio.views._cqt import CQTView
from skaudio.views._gammatone import GammatoneView
from skaudio.views._mel import MelView
from skaudio.views._mfcc import MFCCView
from skaudio.views._raw import RawView
from skaudio.views._stft import STFTView
from skaudio.views._transformer import TransformerView

NAMED_VIEWS: dict[str, type[BaseView]] = {
    "mel": MelView,
    "gammatone": GammatoneView,
    "cqt": CQTView,
    "mfcc": MFCCView,
    "stft": STFTView,
    "raw": RawView,
}


class ViewUnion(ArrayOutput, ViewSource, TransformerMixin, _BaseComposition):
    """Compute several views of the same clips, like a `FeatureUnion` of spectrograms.

    Every clip is decoded and resampled once for all views, and views with equal frames
    (`n_fft`, `win_length`, `hop_length`) share one Fourier transform. Views are
    addressed by name: ``set_params(mel__n_mels=40)`` changes a parameter,
    ``set_params(mel=MelView())`` replaces a view, ``set_params(mel="drop")`` leaves it
    out.

    Parameters
    ----------
    transformer_list : list of (str, view) tuples
        Names and views. All views must agree in `sr`, `mono`, `trim_silence`,
        `duration`, `on_error`, `batch_size` and `device`, and in `cache` and `cache_by`
        unless these are given here. A transformer of your own may stand among them: its
        ``transform`` gets a list of one waveform and gives one array (n_bins,
        n_frames), and its attribute ``rate`` are the frames per second.
    cache : bool, str, path-like or None, default=None
        Whether to keep the views of every clip in memory, up to 512 MiB in all of a
        process (see :mod:`skaudio.cache`). A folder keeps them on disk instead, for
        other processes and days, and for more clips than there is memory: `Views` read
        a clip from it when a network asks for it. None is what the views have.
    cache_by : {"stat", "content"} or None, default=None
        How files are known again: by path, size and times of change, or by being read.
        None is what the views have.
    n_jobs : int or None, default=None
        Threads that decode files, instead of the views' own; None means 1.
    verbose : int, default=0
        Show a progress bar while loading if positive, instead of the views' own.

    Attributes
    ----------
    errors_ : list of dict
        ``{"row", "path", "error"}`` of each clip that failed in the last `transform`.
    n_features_in_ : int
        Samples of each clip, if X is rectangular.

    See Also
    --------
    make_view_union : Shorthand that finds the names itself.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.views import MelView, RawView, ViewUnion
    >>> X, y = make_sounds(n_clips=8, duration=1.0, sr=8000, random_state=0)
    >>> ViewUnion([("mel", MelView(sr=8000)), ("raw", RawView(sr=8000))]).transform(X)
    Views(8 clips; mel: 64 x 51, 50/s; raw: 1 x 8000, 8000/s)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "transformer_list": [list],
        **{name: [*kinds, None] for name, kinds in CACHE_CONSTRAINTS.items()},
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        transformer_list: list[tuple[str, Any]],
        *,
        cache: bool | str | os.PathLike[str] | None = None,
        cache_by: str | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.transformer_list = transformer_list
        self.cache = cache
        self.cache_by = cache_by
        self.n_jobs = n_jobs
        self.verbose = verbose

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return parameters of the union and, if `deep`, of its views by name.

        Parameters
        ----------
        deep : bool, default=True
            Include views and their parameters.

        Returns
        -------
        params : dict
            Names and values.
        """
        params: dict[str, Any] = self._get_params("transformer_list", deep=deep)
        return params

    def set_params(self, **kwargs: Any) -> ViewUnion:
        """Set parameters of the union or of its views, or replace views by name.

        Parameters
        ----------
        **kwargs : dict
            ``mel__n_mels=40`` sets a parameter, ``mel=view`` replaces a view.

        Returns
        -------
        self : object
            The union itself.
        """
        self._set_params("transformer_list", **kwargs)
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> ViewUnion:
        """Check the views and the clips; nothing is learned.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            A rectangular array fixes `n_samples`; lists may have any lengths.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The union itself.
        """
        views = self._named_views()
        for view in views.values():
            view._check_computable()
        check_clips(self, X, reset=True, allow_nan=self._allow_nan(views))
        self.errors_ = []
        return self

    def transform(self, X: Any) -> Views:
        """Compute all views of every clip.

        Parameters
        ----------
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            Arrays are taken to be at the views' `sr`; files are resampled to it.

        Returns
        -------
        views : Views of shape (n_clips,)
            Arrays by name, and their rates.
        """
        views = self._named_views()
        X = check_clips(self, X, reset=False, allow_nan=self._allow_nan(views))
        arrays = compute_views(self, list(views.values()), X)
        rates = {name: view.rate for name, view in views.items()}
        return Views(dict(zip(views, arrays, strict=True)), rates)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the bins of all views.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Ignored: bins are not columns of X.

        Returns
        -------
        names : ndarray of str
            Name of the view and of the bin, such as ``loud__mel_205Hz``.
        """
        return np.array(
            [
                f"{name}__{bin_}"
                for name, view in self._named_views().items()
                for bin_ in view.get_feature_names_out()
            ],
            dtype=object,
        )

    @property
    def _caching(self) -> Caching | None:
        first = next(iter(self._named_views().values()))
        cache = first.cache if self.cache is None else self.cache
        by = first.cache_by if self.cache_by is None else self.cache_by
        return Caching(cache, by) if is_cache(cache) else None

    @staticmethod
    def _allow_nan(views: dict[str, BaseView]) -> bool:
        return next(iter(views.values())).on_error != "raise"

    def _named_views(self) -> dict[str, BaseView]:
        """Views by name without dropped ones, checked."""
        names = [name for name, _ in self.transformer_list]
        self._validate_names(names)
        views = {n: v for n, v in self.transformer_list if not _is_dropped(v)}
        if not views:
            raise ValueError(
                "ViewUnion needs at least one view; got "
                f"transformer_list={self.transformer_list!r}."
            )
        own: list[Any] = [v for v in views.values() if isinstance(v, BaseView)]
        for name, view in views.items():
            if not isinstance(view, BaseView):
                _check_transformer(name, view)
                views[name] = TransformerView.beside(view, own)
            views[name]._validate_params()
        own = [name for name in CACHING if getattr(self, name) is None]
        _check_agreement(views, (*LOADING, *COMPUTING, *own))
        return views

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_transformer(name: str, transformer: Any) -> None:
    """Refuse what is neither a view nor a transformer that can be one."""
    is_object = not isinstance(transformer, type) and hasattr(transformer, "get_params")
    missing = [part for part in ("transform", "rate") if not hasattr(transformer, part)]
    if missing or not is_object:
        raise TypeError(
            f"{name!r} in ViewUnion must be a view, such as MelView(), 'drop', or a "
            "transformer of scikit-learn's kind, whose transform makes an array "
            "(n_bins, n_frames) of each waveform in a list, with an attribute rate, "
            f"its frames per second; got {transformer!r}"
            f"{f', which has no {missing[0]}' if missing else ''}."
        )


def _is_dropped(view: Any) -> bool:
    return isinstance(view, str) and view == "drop"


def _check_agreement(views: dict[str, BaseView], parameters: Iterable[str]) -> None:
    """Views share a loader, a device and a cache, so their parameters must agree."""
    for parameter in parameters:
        first: tuple[str, Any] | None = None
        for name, view in views.items():
            if not hasattr(view, parameter):
                continue
            value = getattr(view, parameter)
            if first is not None and value != first[1]:
                raise ValueError(
                    f"All views of a ViewUnion must have the same {parameter}; got "
                    f"{first[1]!r} for {first[0]!r} and {value!r} for {name!r}. Set "
                    f"{name}__{parameter}={first[1]!r}, for example."
                )
            first = first or (name, value)


def make_view_union(
    *views: str | BaseView,
    sr: float = 22050,
    mono: str = "average",
    trim_silence: bool = False,
    duration: float | None = None,
    on_error: str = "raise",
    batch_size: int = 64,
    device: str = "cpu",
    cache: bool | str | os.PathLike[str] | None = None,
    cache_by: str | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> ViewUnion:
    """Make a `ViewUnion` from names of views, or views whose names are found.

    Parameters
    ----------
    *views : {"mel", "gammatone", "cqt", "mfcc", "stft", "raw"} or view
        Names stand for views with default parameters and those given here. Views given
        as objects stay as they are, and must have the same loader parameters.
    sr : float, default=22050
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    mono : {"average", "raise"}, default="average"
        Average the channels of a clip, or refuse clips with more than one.
    trim_silence : bool, default=False
        Drop exact zeros at both ends of a clip, as many data sets pad with them.
    duration : float or None, default=None
        Seconds to crop or zero-pad every clip to; None keeps its length.
    on_error : {"raise", "warn", "nan"}, default="raise"
        Raise when a clip cannot be loaded, or keep its row as NaN, with or without a
        warning; `errors_` lists such rows.
    batch_size : int, default=64
        Clips computed together on a GPU.
    device : {"cpu", "cuda", "auto"} or other torch device, default="cpu"
        Where to compute.
    cache : bool, str, path-like or None, default=None
        Whether to keep the views of every clip in memory, up to 512 MiB in all of a
        process (see :mod:`skaudio.cache`). A folder keeps them on disk instead, for
        other processes and days, and for more clips than there is memory: `Views` read
        a clip from it when a network asks for it. None is what the views have.
    cache_by : {"stat", "content"} or None, default=None
        How files are known again: by path, size and times of change, or by being read.
        None is what the views have.
    n_jobs : int or None, default=None
        Threads that decode files; the result does not depend on it. ``None`` means 1
        unless a threading :obj:`joblib.parallel_config` says otherwise.
    verbose : int, default=0
        Show a progress bar while loading if positive.

    Returns
    -------
    union : ViewUnion
        Names are ``"mel"`` and so on; views of one kind are numbered ``"mel-1"``.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.views import make_view_union
    >>> X, y = make_sounds(n_clips=8, duration=1.0, sr=8000, random_state=0)
    >>> make_view_union("mel", "gammatone", sr=8000).transform(X)
    Views(8 clips; mel: 64 x 51, 50/s; gammatone: 64 x 51, 50/s)
    """
    loading = {
        "sr": sr,
        "mono": mono,
        "trim_silence": trim_silence,
        "duration": duration,
        "on_error": on_error,
    }
    computing = {"batch_size": batch_size, "device": device}
    built = [_named_view(view, loading, computing) for view in views]
    kinds = [view.kind for view in built]
    repeated = {kind for kind, count in Counter(kinds).items() if count > 1}
    seen: Counter[str] = Counter()
    transformer_list = []
    for kind, view in zip(kinds, built, strict=True):
        seen[kind] += 1
        name = f"{kind}-{seen[kind]}" if kind in repeated else kind
        transformer_list.append((name, view))
    return ViewUnion(
        transformer_list,
        cache=cache,
        cache_by=cache_by,
        n_jobs=n_jobs,
        verbose=verbose,
    )


def _named_view(
    view: str | BaseView, loading: dict[str, Any], computing: dict[str, Any]
) -> BaseView:
    if not isinstance(view, str):
        return view
    if view not in NAMED_VIEWS:
        raise ValueError(
            f"There is no view named {view!r}; names are {sorted(NAMED_VIEWS)}."
        )
    cls = NAMED_VIEWS[view]
    return cls(**loading) if cls is RawView else cls(**loading, **computing)
