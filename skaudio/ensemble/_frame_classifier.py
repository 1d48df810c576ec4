"""Clips classified frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    has_fit_parameter,
)

from skaudio._segments import clip_means
from skaudio._utils._container import Views, stack_or_object
from skaudio._utils._sklearn import BaseSearchCV, HasMethods, StrOptions, _fit_context
from skaudio._utils._validation import check_labels, check_views


def _estimator_has(method: str) -> Callable[[Any], bool]:
    def check(self: FrameClassifier) -> bool:
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    return check


class FrameClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Classify every frame on its own and combine the frames of a clip by a vote.

    The estimator sees one row per frame, labelled like its clip: the way Gaussian
    mixtures and frame-wise networks classify sound. The order of frames is ignored.

    Parameters
    ----------
    estimator : classifier
        Any classifier of 2-D X, whose features are the bins of a frame, for example
        ``make_pipeline(StandardScaler(), GMMClassifier())``. It is cloned.
    vote : {"mean", "majority", "product"}, default="mean"
        How frames are combined. "mean" averages their probabilities.
        "majority" counts their decisions, as in [1]_: the probability of a class is
        its share of the frames, and of tied classes the first of ``classes_`` wins.
        "product" multiplies their probabilities as if frames were independent, the
        rule of classical mixture models; its probabilities are near 0 and 1.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    estimator_ : classifier
        The clone of `estimator`, fitted on frames.
    n_features_in_ : int
        Number of bins, when X is an array.
    view_names_in_ : ndarray of shape (1,)
        Name of the view, when X is `Views`.
    view_bins_in_ : dict of str to int
        Number of bins of the view, when X is `Views`.

    See Also
    --------
    skaudio.mixture.GMMClassifier : One Gaussian mixture per class.
    skaudio.ensemble.LateFusionClassifier : One classifier per view.

    References
    ----------
    .. [1] M. S. Hussain and M. A. Haque, "SwishNet: A Fast Convolutional Neural
       Network for Speech, Music and Noise Classification and Segmentation",
       arXiv:1812.00149, 2018 (section IV: the GMM and SNN baselines).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skaudio.ensemble import FrameClassifier
    >>> y = np.repeat(["loud", "quiet"], 20)
    >>> noise = np.random.default_rng(0).normal(size=(40, 8, 50))
    >>> X = noise * np.where(y == "loud", 2, 1)[:, None, None]
    >>> FrameClassifier(GaussianNB()).fit(X, y).score(X, y)
    1.0
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "vote": [StrOptions({"mean", "majority", "product"})],
    }

    def __init__(self, estimator: Any, *, vote: str = "mean") -> None:
        self.estimator = estimator
        self.vote = vote

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, groups=None) -> Self:
        """Fit the estimator on all frames of all clips.

        An estimator that validates inside, such as
        :class:`~sklearn.model_selection.GridSearchCV`, gets the source of every frame
        as ``groups``. A search whose ``cv`` is None or a number uses
        :class:`~sklearn.model_selection.StratifiedGroupKFold`: no clip is divided.

        Parameters
        ----------
        X : Views with one view, array-like of shape (n_clips, n_bins, n_frames) or \
                list of (n_bins, n_frames_i) arrays
            Clips. A 2-D array is one frame per clip.
        y : array-like of shape (n_clips,)
            Class label of each clip.
        groups : array-like of shape (n_clips,), default=None
            Source of each clip; None makes every clip its own source.

        Returns
        -------
        FrameClassifier
            The fitted classifier.
        """
        views = check_views(self, X, reset=True)
        labels = check_labels(self, views, y)
        name = self._only_name(views)
        if self.vote != "majority" and not hasattr(self.estimator, "predict_proba"):
            raise ValueError(
                f"vote={self.vote!r} needs an estimator with predict_proba, which "
                f"{type(self.estimator).__name__} lacks. Use vote='majority'."
            )
        check_consistent_length(views, groups)
        frames, n_frames = _frames(views, name)
        sources = np.arange(len(views)) if groups is None else np.asarray(groups)
        self.estimator_ = clone(self.estimator)
        further = _with_groups(self.estimator_, np.repeat(sources, n_frames))
        self.estimator_.fit(frames, np.repeat(labels, n_frames), **further)
        self.classes_ = self.estimator_.classes_
        return self

    def predict_proba(self, X) -> np.ndarray:
        """Compute the probability of every class for every clip.

        Parameters
        ----------
        X : Views with one view, array-like of shape (n_clips, n_bins, n_frames) or \
                list of (n_bins, n_frames_i) arrays
            Clips. A 2-D array is one frame per clip.

        Returns
        -------
        ndarray of shape (n_clips, n_classes)
            Probabilities of the frames combined by `vote`; columns in the order of
            ``classes_``.
        """
        frames, n_frames = self._checked_frames(X)
        if self.vote == "majority":
            decisions = self.estimator_.predict(frames)
            return _means(decisions[:, None] == self.classes_, n_frames)
        if self.vote == "mean":
            return _means(self.estimator_.predict_proba(frames), n_frames)
        with np.errstate(divide="ignore"):
            logs = np.log(self.estimator_.predict_proba(frames))
        # a single impossible frame must not forbid a class, nor 0 * inf give NaN
        floor = np.log(np.finfo(logs.dtype).tiny)
        means = _means(np.maximum(logs, floor), n_frames)
        return softmax(means * n_frames[:, None].astype(means.dtype), axis=1)

    def predict(self, X) -> np.ndarray:
        """Predict the class of every clip.

        Parameters
        ----------
        X : Views with one view, array-like of shape (n_clips, n_bins, n_frames) or \
                list of (n_bins, n_frames_i) arrays
            Clips. A 2-D array is one frame per clip.

        Returns
        -------
        ndarray of shape (n_clips,)
            Predicted labels.
        """
        best = np.argmax(self.predict_proba(X), axis=1)
        return self.classes_[best]

    @available_if(_estimator_has("predict_proba"))
    def predict_frames_proba(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Compute the probability of every class in every frame, with times.

        Parameters
        ----------
        X : Views with one view, array-like of shape (n_clips, n_bins, n_frames) or \
                list of (n_bins, n_frames_i) arrays
            Clips. A 2-D array is one frame per clip.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes, n_frames)
            Class probabilities over time. Or, if clips differ in length, a 1-D object
            array of `n_clips` arrays (n_classes, n_frames_i).
        timestamps : ndarray of shape (n_clips, n_frames)
            Seconds from the start of a clip to the centres of its frames; a 1-D object
            array if clips differ in length. Plain arrays have no rate, in
            contrast to views: they get numbers of frames, from 0.
        """
        check_is_fitted(self)
        views = check_views(self, X, reset=False)
        name = self._only_name(views)
        frames, n_frames = _frames(views, name)
        proba = self.estimator_.predict_proba(frames)
        clips = np.split(proba, np.cumsum(n_frames)[:-1])
        rate = views.rates[name] or 1.0
        times = [np.arange(n) / rate for n in n_frames]
        return stack_or_object([clip.T for clip in clips]), stack_or_object(times)

    @property
    def frame_context(self) -> tuple[int, int]:
        """Frames before and after a frame that its probabilities depend on: none."""
        return 0, 0

    def _checked_frames(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        check_is_fitted(self)
        views = check_views(self, X, reset=False)
        return _frames(views, self._only_name(views))

    def _only_name(self, views: Views) -> str:
        if len(views.names) > 1:
            raise ValueError(
                f"{type(self).__name__} takes one view; got {views.names}. Select one "
                f"with X.select([{views.names[0]!r}]), or fuse them with "
                "LateFusionClassifier(FrameClassifier(...))."
            )
        return views.names[0]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.classifier_tags.poor_score = get_tags(
            self.estimator
        ).classifier_tags.poor_score
        return tags


def _with_groups(estimator: Any, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Arguments of ``fit`` for an estimator that validates with groups."""
    if isinstance(estimator, Pipeline):
        name, final = estimator.steps[-1]
        return {f"{name}__{k}": v for k, v in _with_groups(final, groups).items()}
    is_search = isinstance(estimator, BaseSearchCV)
    if is_search and (estimator.cv is None or isinstance(estimator.cv, Integral)):
        n_folds = 5 if estimator.cv is None else int(estimator.cv)
        estimator.set_params(cv=StratifiedGroupKFold(n_folds))
    takes_groups = is_search or has_fit_parameter(estimator, "groups")
    return {"groups": groups} if takes_groups else {}


def _frames(views: Views, name: str) -> tuple[np.ndarray, np.ndarray]:
    """All frames as rows, clip after clip, and the number of frames per clip."""
    array = views[name]
    if array.ndim == 3:
        frames = array.transpose(0, 2, 1).reshape(-1, array.shape[1])
    else:
        frames = np.concatenate([clip.T for clip in array])
    return frames, views.n_frames(name)


def _means(values: np.ndarray, n_frames: np.ndarray) -> np.ndarray:
    """Mean over the frames of each clip, of which there may be many thousands."""
    n_clips = len(n_frames)
    rows = np.repeat(np.arange(n_clips), n_frames)
    return clip_means(values, rows, n_clips, dtype=np.float64)
