"""One row of numbers per clip: statistics over the frames of its views."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skaudio._utils._lazy import LazyClips
from skaudio._utils._output import names_of_bins, with_index
from skaudio._utils._sklearn import _fit_context
from skaudio._utils._validation import check_views


def skewness(clips: np.ndarray, axis: int) -> np.ndarray:
    """Skewness, not corrected for bias; 0 of what never changes.

    Parameters
    ----------
    clips : ndarray
        Values.
    axis : int
        Over which it is computed.

    Returns
    -------
    skewness : ndarray
        Of the same dtype, without that axis.
    """
    with warnings.catch_warnings():  # of constants, which are defined here
        warnings.simplefilter("ignore", RuntimeWarning)
        skew: np.ndarray = stats.skew(clips, axis=axis)
    return np.nan_to_num(skew, nan=0.0).astype(clips.dtype, copy=False)


STATISTICS: dict[str, Callable[..., np.ndarray]] = {
    "mean": np.mean,
    "std": np.std,
    "var": np.var,
    "min": np.min,
    "max": np.max,
    "median": np.median,
    "skew": skewness,
}


def check_statistics(names: tuple[str, ...]) -> None:
    """Refuse names of no statistic, and none at all."""
    if not names or not STATISTICS.keys() >= {*names}:
        raise ValueError(f"statistics must be some of {list(STATISTICS)}; got {names}.")


class FrameStatistics(TransformerMixin, BaseEstimator):
    """Statistics of every bin over the frames of a clip.

    Makes clips of any lengths one table that every scikit-learn estimator takes.

    Parameters
    ----------
    statistics : tuple of {"mean", "std", "var", "min", "max", "median", "skew"}, \
            default=("mean", "std")
        What to compute over the frames of a clip, in this order. Standard deviation,
        variance and skewness are those of the frames at hand, not corrected for bias;
        the skewness of what never changes is 0.

    Attributes
    ----------
    n_features_in_ : int
        Number of bins, if X is an array.
    view_names_in_ : ndarray of str
        Names of the views, if X is `Views`.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.preprocessing import FrameStatistics
    >>> X = np.array([[[0.0, 2.0], [5.0, 5.0]]])  # one clip, two bins, two frames
    >>> statistics = FrameStatistics().fit(X)
    >>> statistics.transform(X)
    array([[1., 5., 1., 0.]])
    >>> statistics.get_feature_names_out()
    array(['mean_x0', 'mean_x1', 'std_x0', 'std_x1'], dtype=object)
    """

    _parameter_constraints: dict[str, list[Any]] = {"statistics": [tuple, list]}

    def __init__(self, statistics: tuple[str, ...] = ("mean", "std")) -> None:
        self.statistics = statistics

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> FrameStatistics:
        """Check X and store its number of bins; nothing else is learned.

        Parameters
        ----------
        X : Views, or array of shape (n_clips, n_bins, n_frames)
            Or a list of arrays (n_bins, n_frames_i), or an array (n_clips, n_bins).
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer itself.
        """
        check_statistics(self.statistics)
        check_views(self, X, reset=True)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Compute the statistics of every clip.

        Parameters
        ----------
        X : Views, or array of shape (n_clips, n_bins, n_frames)
            Or a list of arrays (n_bins, n_frames_i), or an array (n_clips, n_bins).

        Returns
        -------
        table : ndarray of shape (n_clips, n_features)
            All bins of the first statistic, then of the next; views one by one.
        """
        check_is_fitted(self)
        views = check_views(self, X, reset=False)
        table = np.concatenate(
            [
                _over_frames(views._some(name), STATISTICS[statistic])
                for name in views.names
                for statistic in self.statistics
            ],
            axis=1,
        )
        return with_index(self, table, X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns: statistic and bin, and the view if there are several.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the bins; by default those seen in `fit`, or ``x0``, ``x1``...

        Returns
        -------
        names : ndarray of str
            One name per column, such as ``mean_x3``, ``mel_mean_x3`` of several views,
            or, behind a view in a pipeline, ``mean_mel_205Hz``.
        """
        check_is_fitted(self)
        if hasattr(self, "view_names_in_") and input_features is None:
            names = [
                f"{view}_{statistic}_x{i}"
                for view in self.view_names_in_
                for statistic in self.statistics
                for i in range(self.view_bins_in_[view])
            ]
        else:
            bins = names_of_bins(self, input_features)
            names = [
                f"{statistic}_{name}"
                for part in self._by_view(bins)
                for statistic in self.statistics
                for name in part
            ]
        return np.array(names, dtype=object)

    def _by_view(self, names: np.ndarray) -> list[np.ndarray]:
        if not hasattr(self, "view_names_in_"):
            return [names]
        sizes = [self.view_bins_in_[view] for view in self.view_names_in_]
        return np.split(names, np.cumsum(sizes)[:-1])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_") or hasattr(self, "view_names_in_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _over_frames(
    clips: np.ndarray | LazyClips, statistic: Callable[..., np.ndarray]
) -> np.ndarray:
    if isinstance(clips, np.ndarray) and clips.ndim == 3:
        return statistic(clips, axis=2)
    return np.stack([statistic(clip, axis=1) for clip in clips])
