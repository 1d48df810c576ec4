"""Standardise every bin of a view."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skaudio._utils._container import Views
from skaudio._utils._output import ArrayOutput, names_of_bins
from skaudio._utils._sklearn import StrOptions, _fit_context
from skaudio._utils._validation import check_sample_weight, check_views, is_table
from skaudio._utils._view_array import like


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
            name: self._moments(views.clips(name), weights)
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
            mean, scale = self.mean_, self.scale_
            changes = {n: self._change(mean[n], scale[n]) for n in views.names}
            return views.map_values(changes)
        change = {"view": self._change(self.mean_, self.scale_)}
        scaled = views.map_values(change)["view"]
        return scaled[:, :, 0] if is_table(X) else like(scaled, X)

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
        self, clips: Sequence[np.ndarray], weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of every bin."""
        if self.per == "bin":
            return _moments(clips, weights)
        n_bins = clips[0].shape[0]
        mean, std = _moments((clip.reshape(1, -1) for clip in clips), weights)
        return np.repeat(mean, n_bins), np.repeat(std, n_bins)

    def _change(
        self, mean: np.ndarray, scale: np.ndarray
    ) -> Callable[[np.ndarray], np.ndarray]:
        """What is done to the values of a view."""
        if not mean.any() and (scale == 1).all():
            return _same
        return partial(
            _standardised,
            mean=mean if self.with_mean else None,
            scale=scale if self.with_std else None,
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _same(array: np.ndarray) -> np.ndarray:
    """Values as they are, not even copied: waveforms of hours are large."""
    return array


def _standardised(
    array: np.ndarray, mean: np.ndarray | None, scale: np.ndarray | None
) -> np.ndarray:
    if mean is not None:
        array = array - mean.astype(array.dtype)[:, None]
    if scale is not None:
        array = array / scale.astype(array.dtype)[:, None]
    return array


def _moments(
    clips: Iterable[np.ndarray], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per bin over all frames, each clip looked at once.

    Sums of squares count from a clip's own mean, and are joined as by Chan, Golub and
    LeVeque: nothing large is subtracted from anything large.
    """
    n_frames, mean, squares = 0.0, np.zeros(1), np.zeros(1)
    eps = 0.0
    for clip, weight in zip(clips, weights.tolist(), strict=True):
        if not weight:
            continue
        own = clip.mean(axis=1, dtype=np.float64)
        spread = np.square(clip - own[:, None]).sum(axis=1)
        n_own = weight * clip.shape[1]
        n_frames += n_own
        away = own - mean
        squares = squares + weight * spread
        squares = squares + np.square(away) * (n_own * (1 - n_own / n_frames))
        mean = mean + away * (n_own / n_frames)
        eps = max(eps, float(np.finfo(clip.dtype).eps))
    std = np.sqrt(squares / n_frames)
    # what is left of a constant bin are rounding errors of its mean
    constant = std <= 10 * eps * np.abs(mean)
    return mean, np.where(constant | (std == 0), 1.0, std)
