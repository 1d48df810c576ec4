"""What all views share: loading clips, running front ends on them, stacking."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import Tags

from skaudio._utils._constraints import (
    CACHE_CONSTRAINTS,
    CHANGING,
    LOADER_CONSTRAINTS,
)
from skaudio._utils._container import stack_or_object
from skaudio._utils._failed import FailedClips
from skaudio._utils._lazy import LazyClips
from skaudio._utils._output import ArrayOutput
from skaudio._utils._sklearn import _fit_context
from skaudio._utils._validation import check_clips
from skaudio.cache._clips import is_cache, store_of
from skaudio.cache._content import content_digest, files_of
from skaudio.cache._keys import versions_of
from skaudio.views._cached import Caching, compute_views
from skaudio.views._compute import compute_clips

if TYPE_CHECKING:
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
        (view,) = compute_views(self, [self], X)
        return stack_or_object(view) if isinstance(view, LazyClips) else view

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the bins.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Ignored: bins are not columns of X.

        Returns
        -------
        names : ndarray of str
            The kind of the view and a number from 0 on, such as ``mel0``.
        """
        clip = np.zeros(self._shortest, np.float32)
        (((view,), _),) = compute_clips([self], [clip], "float32")
        return np.array([f"{self.kind}{i}" for i in range(len(view))], dtype=object)

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
