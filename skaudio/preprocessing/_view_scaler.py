"""Standardise every bin of a view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skaudio._utils._container import Views, stack_or_object
from skaudio._utils._output import ArrayOutput, names_of_bins
from skaudio._utils._sklearn import StrOptions, _fit_context
from skaudio._utils._validation import check_sample_weight, check_views, is_table


class ViewScaler(ArrayOutput, TransformerMixin, BaseEstimator):
    """Standardise every frequency bin to zero mean and unit variance over time.

    Means and standard deviations are those of all frames of all clips seen in `fit`,
    one per bin, so that a quiet clip stays quieter than a loud one. A waveform, which
    is a view with one bin, stays as it is: networks on samples take them so.

    Parameters
    ----------
    per : {"bin", "view"}, default="bin"
        Whether every bin has a mean and a deviation of its own, or all bins of a view
        the same, which leaves quiet bins quiet (as the SampleCNN paper does).
    with_mean : bool, default=True
        Subtract the mean.
    with_std : bool, default=True
        Divide by the standard deviation; bins that never change are left at it.
    with_waveforms : bool, default=False
        Standardise views with one bin as well. Set it where the one bin is not a
        waveform but, say, a zero-crossing rate.

    Attributes
    ----------
    mean_ : ndarray of shape (n_bins,), or dict of str to ndarray
        Mean of each bin; a dict by name of view if X is `Views`. 0 of a waveform that
        stays as it is.
    scale_ : ndarray of shape (n_bins,), or dict of str to ndarray
        Standard deviation of each bin, 1 where it is zero, and of a waveform that
        stays as it is.
    n_features_in_ : int
        Number of bins, if X is an array.
    view_names_in_ : ndarray of str
        Names of the views, if X is `Views`.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.preprocessing import ViewScaler
    >>> X = np.array([[[0.0, 2.0], [5.0, 5.0]]])  # one clip, two bins, two frames
    >>> ViewScaler().fit_transform(X)
    array([[[-1.,  1.],
            [ 0.,  0.]]])
    >>> ViewScaler().fit_transform(X[:, :1])  # a waveform
    array([[[0., 2.]]])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "per": [StrOptions({"bin", "view"})],
        "with_mean": ["boolean"],
        "with_std": ["boolean"],
        "with_waveforms": ["boolean"],
    }

    mean_: Any
    scale_: Any

    def __init__(
        self,
        *,
        per: str = "bin",
        with_mean: bool = True,
        with_std: bool = True,
        with_waveforms: bool = False,
    ) -> None:
        self.per = per
        self.with_mean = with_mean
        self.with_std = with_std
        self.with_waveforms = with_waveforms

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> ViewScaler:
        """Learn mean and standard deviation of every bin.

        Parameters
        ----------
        X : Views, or array of shape (n_clips, n_bins, n_frames)
            Or a list of arrays (n_bins, n_frames_i), or an array (n_clips, n_bins).
        y : None
            Ignored.
        sample_weight : array-like of shape (n_clips,), default=None
            Weight of each clip in means and standard deviations; None weighs all
            frames alike.

        Returns
        -------
        self : object
            The fitted scaler.
        """
        views = check_views(self, X, reset=True)
        weights = np.ones(len(views))
        if sample_weight is not None:
            weights = check_sample_weight(views, sample_weight)
        scaled = self.with_waveforms or is_table(X)  # a table has no time, so no sound
        moments = {
            name: self._moments(views[name], weights)
            if scaled or views.n_bins[name] > 1
            else (np.zeros(1), np.ones(1))
            for name in views.names
        }
        mean = {name: mean for name, (mean, _) in moments.items()}
        scale = {name: scale for name, (_, scale) in moments.items()}
        named = isinstance(X, Views)
        self.mean_ = mean if named else mean["view"]
        self.scale_ = scale if named else scale["view"]
        return self

    def transform(self, X: Any) -> Any:
        """Standardise every bin with what was learned.

        Parameters
        ----------
        X : Views, or array of shape (n_clips, n_bins, n_frames)
            Or a list of arrays (n_bins, n_frames_i), or an array (n_clips, n_bins).

        Returns
        -------
        X_scaled : same kind and shape as X
            Lists come back as a 1-D object array.
        """
        check_is_fitted(self)
        views = check_views(self, X, reset=False)
        if isinstance(X, Views):
            return views.map(
                lambda name, array: self._scale(
                    array, self.mean_[name], self.scale_[name]
                )
            )
        scaled = self._scale(views["view"], self.mean_, self.scale_)
        return scaled[:, :, 0] if is_table(X) else scaled

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the bins: those that came.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the bins; by default those seen in `fit`, or ``x0``, ``x1``..., and
            ``mel__x0`` of several views.

        Returns
        -------
        names : ndarray of str
            One name per bin.
        """
        check_is_fitted(self)
        return names_of_bins(self, input_features)

    def _moments(
        self, clips: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of every bin."""
        if self.per == "bin":
            return _moments(clips, weights)
        n_bins = clips[0].shape[0]
        mean, std = _moments([clip.reshape(1, -1) for clip in clips], weights)
        return np.repeat(mean, n_bins), np.repeat(std, n_bins)

    def _scale(
        self, array: np.ndarray, mean: np.ndarray, scale: np.ndarray
    ) -> np.ndarray:
        if array.dtype == object:
            return stack_or_object([self._scale(clip, mean, scale) for clip in array])
        mean, scale = mean.astype(array.dtype), scale.astype(array.dtype)
        if self.with_mean:
            array = array - mean[:, None]
        if self.with_std:
            array = array / scale[:, None]
        return array

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _moments(
    clips: Sequence[np.ndarray] | np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per bin over all frames, in two passes."""
    parts = list(zip(clips, weights.tolist(), strict=True))
    n_frames = sum(w * clip.shape[1] for clip, w in parts)
    mean = sum(w * clip.sum(axis=1, dtype=np.float64) for clip, w in parts) / n_frames
    squares = sum(w * np.square(clip - mean[:, None]).sum(axis=1) for clip, w in parts)
    std = np.sqrt(squares / n_frames)
    # what is left of a constant bin are rounding errors of its mean
    constant = std <= 10 * np.finfo(clips[0].dtype).eps * np.abs(mean)
    return mean, np.where(constant | (std == 0), 1.0, std)
