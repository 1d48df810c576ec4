"""Scale patches to values from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skaudio._utils._container import Views
from skaudio._utils._output import ArrayOutput, names_of_bins
from skaudio._utils._sklearn import StrOptions, _fit_context
from skaudio._utils._validation import is_table
from skaudio.preprocessing._energy_patches import check_one_view


class PatchScaler(ArrayOutput, TransformerMixin, BaseEstimator):
    """Scale equally long patches to the range from 0 to 1.

    The lowest and the highest value seen in `fit` become 0 and 1. The scaler published
    with COALA [1]_ has one range for each time position of a patch, over all bins; that
    is the default. The paper says no more than that values are scaled to 0 to 1.

    Parameters
    ----------
    per : {"frame", "view"}, default="frame"
        Whether every time position has a range of its own, or all the same.
    clip : bool, default=False
        Clip what is beyond the range seen in `fit` to 0 and 1. COALA's authors clip at
        0 only, and only where they validate.

    Attributes
    ----------
    data_min_ : ndarray of shape (n_frames,)
        Lowest value at each time position.
    data_max_ : ndarray of shape (n_frames,)
        Highest value at each time position.
    data_range_ : ndarray of shape (n_frames,)
        ``data_max_ - data_min_``.
    scale_ : ndarray of shape (n_frames,)
        What values are multiplied by: one over the range, or 1 where that is zero.
    min_ : ndarray of shape (n_frames,)
        What is added then: values become ``X * scale_ + min_``.
    n_features_in_ : int
        Number of bins, if X is an array.
    view_names_in_ : ndarray of str
        Name of the view, if X is `Views`.

    References
    ----------
    .. [1] X. Favory, K. Drossos, T. Virtanen and X. Serra, "COALA: Co-Aligned
       Autoencoders for Learning Semantically Enriched Audio Representations", ICML 2020
       Workshop on Self-supervision in Audio and Speech, Section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.preprocessing import PatchScaler
    >>> X = np.array([[[0.0, 2.0], [5.0, 6.0]]])  # one patch, two bins, two frames
    >>> PatchScaler().fit_transform(X)
    array([[[0., 0.],
            [1., 1.]]])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "per": [StrOptions({"frame", "view"})],
        "clip": ["boolean"],
    }

    data_min_: np.ndarray
    data_max_: np.ndarray
    data_range_: np.ndarray
    scale_: np.ndarray
    min_: np.ndarray

    def __init__(self, *, per: str = "frame", clip: bool = False) -> None:
        self.per = per
        self.clip = clip

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> PatchScaler:
        """Learn the range at every time position.

        Parameters
        ----------
        X : Views, or array of shape (n_clips, n_bins, n_frames)
            Or a list of arrays (n_bins, n_frames), or an array (n_clips, n_bins), which
            is one frame per clip.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted scaler.
        """
        views = self._checked(X, reset=True)
        patches = views[views.names[0]]
        n_frames = patches.shape[2]
        values = patches.reshape(-1, n_frames if self.per == "frame" else 1)
        scaler = MinMaxScaler().fit(values)
        for name in ("data_min_", "data_max_", "data_range_", "scale_", "min_"):
            setattr(self, name, np.resize(getattr(scaler, name), n_frames))
        return self

    def transform(self, X: Any) -> Any:
        """Scale patches by what was learned.

        Parameters
        ----------
        X : Views, or array of shape (n_clips, n_bins, n_frames)
            Or a list of arrays (n_bins, n_frames), or an array (n_clips, n_bins).

        Returns
        -------
        X_scaled : same kind and shape as X
            Lists come back as one array.
        """
        check_is_fitted(self)
        return self._mapped(X, self._scale)

    def inverse_transform(self, X: Any) -> Any:
        """Undo the scaling.

        Parameters
        ----------
        X : Views, or array of shape (n_clips, n_bins, n_frames)
            Scaled patches, in any form that `transform` takes.

        Returns
        -------
        X_original : same kind and shape as X
            Patches in the units that they had.
        """
        check_is_fitted(self)
        return self._mapped(X, self._unscale)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the bins: those that came.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the bins; by default those seen in `fit`, or ``x0``, ``x1``..., and
            ``mel__x0`` of `Views`.

        Returns
        -------
        names : ndarray of str
            One name per bin.
        """
        check_is_fitted(self)
        return names_of_bins(self, input_features)

    def _checked(self, X: Any, *, reset: bool) -> Views:
        views = check_one_view(self, X, reset=reset)
        lengths = sorted(set(views.n_frames(views.names[0]).tolist()))
        if len(lengths) > 1:
            raise ValueError(
                f"All patches must have the same number of frames; got {lengths}. Cut "
                "them with EnergyPatches."
            )
        if not reset and lengths != [len(self.scale_)]:
            raise ValueError(
                f"X has patches of {lengths[0]} frames, but PatchScaler was fitted "
                f"with patches of {len(self.scale_)}."
            )
        return views

    def _mapped(self, X: Any, function: Callable[[np.ndarray], np.ndarray]) -> Any:
        """What a function makes of patches, as the kind of thing that X is."""
        views = self._checked(X, reset=False)
        mapped = views.map(lambda _, patches: function(patches))
        if isinstance(X, Views):
            return mapped
        patches = mapped["view"]
        return patches[:, :, 0] if is_table(X) else patches

    def _scale(self, patches: np.ndarray) -> np.ndarray:
        scaled = patches * self.scale_.astype(patches.dtype)
        scaled += self.min_.astype(patches.dtype)
        return np.clip(scaled, 0, 1, out=scaled) if self.clip else scaled

    def _unscale(self, patches: np.ndarray) -> np.ndarray:
        original = patches - self.min_.astype(patches.dtype)
        original /= self.scale_.astype(patches.dtype)
        return original

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
