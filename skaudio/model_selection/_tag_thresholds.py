"""`TagThresholdClassifier`: a threshold for every tag, tuned by cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import GroupKFold, KFold, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skaudio._utils._decisions import (
    KnownTagsMixin,
    is_indicator,
    names_of_tags,
    proba_of_tags,
    with_nan,
)
from skaudio._utils._sklearn import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
    _safe_indexing,
)
from skaudio._utils._validation import copy_features_in

METRICS: dict[str, Callable[..., float]] = {
    "f1": lambda y, decided: f1_score(y, decided, zero_division=0.0),
    "balanced_accuracy": balanced_accuracy_score,
}
HALF = 0.5  # of a tag that no clip has, or all have


class TagThresholdClassifier(MetaEstimatorMixin, KnownTagsMixin, BaseEstimator):
    """Decides for every tag above which probability a clip has it.

    A network that is trained on rare tags seldom says more than one half, so that
    ``predict`` finds few of them although their order is right. Here clips are split
    several times, by source if that is known; each time the classifier is trained on
    one part and its probabilities for the other are kept. Then each tag gets the
    threshold at which `metric` is best. It is scikit-learn's
    `TunedThresholdClassifierCV` for many tags at once.

    Class labels, as opposed to tags, have no thresholds here: the classifier is trained
    on them as it is.

    Parameters
    ----------
    estimator : classifier
        For tags, with ``predict_proba``. Clones of it are trained.
    metric : {"f1", "balanced_accuracy"} or callable, default="f1"
        What is best at the threshold, of one tag: ``metric(y_true, y_pred)`` of zeros
        and ones, higher being better.
    cv : int, splitter or iterable, default=5
        Splits of the clips. An int is a number of folds: without shuffling, and of
        whole sources if ``groups`` are passed to `fit`.
    n_thresholds : int, default=100
        Most thresholds tried for a tag. They lie between the probabilities that were
        seen, as many clips from each to the next.
    n_jobs : int or None, default=None
        Splits that are trained at the same time.

    Attributes
    ----------
    estimator_ : classifier
        Trained on all clips.
    thresholds_ : ndarray of shape (n_tags,), or None
        A clip has a tag if the probability exceeds the threshold; 0.5 for a tag that
        no clip has, or all have. None for class labels.
    best_scores_ : ndarray of shape (n_tags,), or None
        What `metric` is at the thresholds, on the clips that they were chosen by: it is
        optimistic. NaN where there was nothing to choose.
    classes_ : ndarray of shape (n_tags,)
        Names of the columns of `y` if it is a data frame, otherwise their numbers; or
        class labels.

    See Also
    --------
    skaudio.metrics.tag_report : What is achieved on each tag at any threshold.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skaudio.model_selection import TagThresholdClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2))
    >>> y = (X + 0.7 * rng.normal(size=X.shape) > [0, 1.5]).astype(int)  # second: rare
    >>> network = MLPClassifier((8,), max_iter=2000, tol=1e-3, random_state=0)
    >>> clf = TagThresholdClassifier(network).fit(X, y)
    >>> bool(clf.thresholds_[1] < 0.5)
    True
    >>> bool(clf.predict(X)[:, 1].sum() > clf.estimator_.predict(X)[:, 1].sum())
    True
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "metric": [StrOptions(set(METRICS)), callable],
        "cv": ["cv_object"],
        "n_thresholds": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    thresholds_: np.ndarray | None
    best_scores_: np.ndarray | None

    def __init__(
        self,
        estimator: Any,
        *,
        metric: str | Callable[..., float] = "f1",
        cv: Any = 5,
        n_thresholds: int = 100,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.metric = metric
        self.cv = cv
        self.n_thresholds = n_thresholds
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, groups=None) -> Self:
        """Find the thresholds, then train on all clips.

        Parameters
        ----------
        X : whatever the estimator takes
            Clips.
        y : array-like of shape (n_clips, n_tags) or (n_clips,)
            Indicator matrix of tags, NaN where unknown if the estimator takes that; or
            class labels.
        groups : array-like of shape (n_clips,), default=None
            Source of each clip. No source is divided by splits, and ``fit`` of the
            estimator, or of the last step of a Pipeline, gets them if it takes groups.

        Returns
        -------
        TagThresholdClassifier
            The fitted classifier.
        """
        self.thresholds_ = self.best_scores_ = None
        if is_indicator(y):
            self._tune(X, y, groups)
        known = _fit_groups(self.estimator, groups)
        self.estimator_ = clone(self.estimator).fit(X, y, **known)
        self.classes_ = (
            names_of_tags(y) if is_indicator(y) else self.estimator_.classes_
        )
        copy_features_in(self.estimator_, self)
        return self

    def _tune(self, X: Any, y: Any, groups: Any) -> None:
        splits = list(self._splitter(groups).split(X, _safe_y(y), groups))
        proba = Parallel(n_jobs=self.n_jobs)(
            delayed(_fold)(clone(self.estimator), X, y, groups, *split)
            for split in splits
        )
        tested = np.concatenate([test for _, test in splits])
        truth: Any = with_nan(y)
        self.thresholds_, self.best_scores_ = np.transpose(
            [
                self._best(of_tag, scores)
                for of_tag, scores in zip(
                    truth[tested].T, np.concatenate(proba).T, strict=True
                )
            ]
        )

    def predict_proba(self, X) -> np.ndarray:
        """Compute the probability of every tag, as the estimator does.

        Parameters
        ----------
        X : whatever the estimator takes
            Clips.

        Returns
        -------
        ndarray of shape (n_clips, n_tags) or (n_clips, n_classes)
            Probabilities in the order of ``classes_``.
        """
        check_is_fitted(self)
        if self.thresholds_ is None:
            proba: np.ndarray = self.estimator_.predict_proba(X)
            return proba
        return proba_of_tags(self.estimator_, X)

    def predict(self, X) -> np.ndarray:
        """Predict the tags whose probability exceeds their threshold.

        Parameters
        ----------
        X : whatever the estimator takes
            Clips.

        Returns
        -------
        ndarray of shape (n_clips, n_tags) or (n_clips,)
            Zeros and ones; of class labels, what the estimator predicts.
        """
        check_is_fitted(self)
        if self.thresholds_ is None:
            labels: np.ndarray = self.estimator_.predict(X)
            return labels
        return (self.predict_proba(X) > self.thresholds_).astype(np.int64)

    def _splitter(self, groups: Any) -> Any:
        if isinstance(self.cv, Integral):
            return (KFold if groups is None else GroupKFold)(int(self.cv))
        return check_cv(self.cv)

    def _best(self, truth: np.ndarray, proba: np.ndarray) -> tuple[float, float]:
        """Threshold of a tag, and the metric there."""
        known = ~np.isnan(truth)
        truth, proba = truth[known].astype(np.int64), proba[known]
        if len(set(truth.tolist())) < 2:
            return HALF, np.nan
        metric = METRICS[self.metric] if isinstance(self.metric, str) else self.metric
        seen = np.unique(proba)
        between = np.concatenate([[seen[0] / 2], (seen[1:] + seen[:-1]) / 2])
        places = np.linspace(0, len(between) - 1, min(len(between), self.n_thresholds))
        tried = between[places.round().astype(int)]
        scores = np.array([metric(truth, (proba > t).astype(int)) for t in tried])
        best = np.flatnonzero(scores == scores.max())
        nearest = best[np.abs(tried[best] - HALF).argmin()]
        return float(tried[nearest]), float(scores[nearest])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        below = get_tags(self.estimator)
        tags.input_tags = below.input_tags
        if below.classifier_tags is not None:
            tags.classifier_tags = below.classifier_tags
        return tags


def _safe_y(y: Any) -> np.ndarray:
    """What splitters look at: whether a tag is known to be there."""
    tags: Any = with_nan(y)
    return (tags == 1).astype(np.int64)


def _fit_groups(estimator: Any, groups: Any) -> dict[str, Any]:
    """Sources as an argument of ``fit``, if it takes them."""
    prefix = ""
    while isinstance(estimator, Pipeline):
        prefix += f"{estimator.steps[-1][0]}__"
        estimator = estimator[-1]
    takes = groups is not None and has_fit_parameter(estimator, "groups")
    return {f"{prefix}groups": groups} if takes else {}


def _fold(
    estimator: Any, X: Any, y: Any, groups: Any, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Probabilities of the clips that were left out."""
    known = _fit_groups(
        estimator, None if groups is None else _safe_indexing(groups, train)
    )
    estimator.fit(_safe_indexing(X, train), _safe_indexing(y, train), **known)
    return proba_of_tags(estimator, _safe_indexing(X, test))
