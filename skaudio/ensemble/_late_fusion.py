"""One classifier per view, fused by averaging probabilities."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, Tags, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skaudio._utils._container import Views
from skaudio._utils._decisions import (
    KnownTagsMixin,
    confidence_of_classes,
    decided,
    is_indicator,
    log_odds,
    names_of_tags,
    proba_of_tags,
)
from skaudio._utils._sklearn import HasMethods, _fit_context
from skaudio._utils._validation import check_labels, check_tags, check_views


class LateFusionClassifier(MetaEstimatorMixin, KnownTagsMixin, BaseEstimator):
    """Train one classifier per view and average their probabilities.

    The usual baseline of learned fusion: views are combined only after every classifier
    has made its decision.

    Parameters
    ----------
    estimator : classifier with predict_proba
        Cloned once per view, so its ``random_state`` decides whether training is
        repeatable. It is given `Views` holding its view alone, rates included, or
        that view flattened to 2-D if its tags do not declare 3-D input. If X is
        not `Views` there is a single clone, fitted on X as it is.
    weights : array-like of shape (n_views,), default=None
        Weight of each view, in the order of ``view_names_in_``. ``None`` is the
        plain mean of [1]_.
    n_jobs : int, default=None
        Number of parallel jobs. ``None`` means 1, ``-1`` all processors. The result
        does not depend on it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; of tags, names of the columns of a data frame, or their numbers.
    estimators_ : list of classifiers
        The fitted clones, in the order of the views.
    named_estimators_ : :class:`~sklearn.utils.Bunch`
        The same by name of the view; an array's only view is called "view".
    view_names_in_ : ndarray of shape (n_views,)
        Names of the views, when X is `Views`.
    view_bins_in_ : dict of str to int
        Number of bins of each view, when X is `Views`.
    n_features_in_ : int
        Number of bins, when X is an array.

    See Also
    --------
    skaudio.neural_network.MultiViewBlendingClassifier : Views trained together.

    Notes
    -----
    Keyword arguments of `fit`, such as ``groups``, go to every clone. Those that are
    `Views`, such as ``X_valid``, are split as X is: every clone gets its own view of
    them. With metadata routing enabled, they go where the estimator requests them.

    Tags need an estimator that takes an indicator matrix: the networks of skaudio, or
    scikit-learn's perceptron, forests, neighbours and multi-output classifiers.

    References
    ----------
    .. [1] H. Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021,
       pp. 611-615, arXiv:2103.02420 (Section 3.1.4: the late fusion baseline).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skaudio.ensemble import LateFusionClassifier
    >>> from skaudio.views import Views
    >>> y = np.arange(20) % 2
    >>> mel, raw = np.ones((20, 4, 9)), np.ones((20, 1, 30))
    >>> X = Views(
    ...     {"mel": mel * y[:, None, None], "raw": raw}, {"mel": 50.0, "raw": 160.0}
    ... )
    >>> clf = LateFusionClassifier(LogisticRegression()).fit(X, y)
    >>> clf.score(X, y), list(clf.branch_proba(X))
    (1.0, ['mel', 'raw'])
    """

    _has_tags = False  # whether y was an indicator matrix

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "weights": ["array-like", None],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        weights: ArrayLike | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.weights = weights
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **fit_params: Any) -> Self:
        """Fit one clone of the estimator on each view.

        Parameters
        ----------
        X : Views, or whatever the estimator takes
            Clips.
        y : array-like of shape (n_clips,) or (n_clips, n_tags)
            Class label of each clip, or an indicator matrix of tags.
        **fit_params : dict
            Passed to ``fit`` of every clone, except those that are None; for
            example ``groups``, the source of each clip. Of `Views`, such as
            ``X_valid``, every clone gets its own.

        Returns
        -------
        LateFusionClassifier
            The fitted classifier.
        """
        views = check_views(self, X, reset=True)
        has_tags = is_indicator(y)
        labels = (_known_tags if has_tags else check_labels)(self, views, y)
        parts = self._split(X, views, self.estimator)
        self._check_weights(list(parts))
        params = self._route({k: v for k, v in fit_params.items() if v is not None})
        own_params = self._split_params(params, X, list(parts))
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit)(clone(self.estimator), part, labels, own)
            for part, own in zip(parts.values(), own_params, strict=True)
        )
        self._names = list(parts)
        self._has_tags = has_tags
        classes = self.estimators_[0].classes_
        self.classes_ = names_of_tags(y) if has_tags else classes
        return self

    @property
    def named_estimators_(self) -> Bunch:
        """The fitted clones by name of the view; an array's only view is "view"."""
        return Bunch(**dict(zip(self._names, self.estimators_, strict=True)))

    def branch_proba(self, X) -> dict[str, np.ndarray]:
        """Compute the class probabilities of every view's classifier.

        Parameters
        ----------
        X : Views, or whatever the estimator takes
            Clips.

        Returns
        -------
        dict of str to ndarray of shape (n_clips, n_classes)
            Probabilities by name of the view.
        """
        check_is_fitted(self)
        views = check_views(self, X, reset=False)
        parts = self._split(X, views, self.estimators_[0])
        proba = proba_of_tags if self._has_tags else _proba
        return {
            name: proba(estimator, part)
            for estimator, (name, part) in zip(
                self.estimators_, parts.items(), strict=True
            )
        }

    def predict_proba(self, X) -> np.ndarray:
        """Compute the weighted mean of the views' class probabilities.

        Parameters
        ----------
        X : Views, or whatever the estimator takes
            Clips.

        Returns
        -------
        ndarray of shape (n_clips, n_classes)
            Columns in the order of ``classes_``. They sum to one, but for tags each is
            a probability of its own.
        """
        proba = np.stack(list(self.branch_proba(X).values()))
        if self.weights is None:
            return proba.mean(axis=0)
        weights = np.asarray(self.weights, dtype=proba.dtype)
        return np.average(proba, axis=0, weights=weights)

    def predict(self, X) -> np.ndarray:
        """Predict the class of every clip, or its tags.

        Parameters
        ----------
        X : Views, or whatever the estimator takes
            Clips.

        Returns
        -------
        ndarray of shape (n_clips,) or (n_clips, n_tags)
            Predicted labels; of tags, a one where the probability exceeds 0.5.
        """
        proba = self.predict_proba(X)
        return decided(proba) if self._has_tags else self.classes_[proba.argmax(axis=1)]

    def decision_function(self, X) -> np.ndarray:
        """Compute log-probabilities of classes, or log-odds of two classes or of tags.

        Parameters
        ----------
        X : Views, or whatever the estimator takes
            Clips.

        Returns
        -------
        ndarray of shape (n_clips, n_classes) or (n_clips,)
            Logarithms of `predict_proba`; of two classes, one column of log-odds for
            the second; of tags, the log-odds of each.
        """
        proba = self.predict_proba(X)
        return log_odds(proba) if self._has_tags else confidence_of_classes(proba)

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the metadata routing of this object.

        Returns
        -------
        MetadataRouter
            Everything the estimator requests in ``fit``.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(
            estimator=self.estimator, method_mapping=mapping
        )

    def _split(self, X: Any, views: Views, estimator: Any) -> dict[str, Any]:
        """What each clone is given: its own view alone, or X as it came."""
        if not isinstance(X, Views):
            return {views.names[0]: X}
        parts = {name: views.select([name]) for name in views.names}
        if _takes_views(estimator):
            return parts
        return {name: part.flatten() for name, part in parts.items()}

    def _split_params(
        self, params: dict[str, Any], X: Any, names: list[str]
    ) -> list[dict[str, Any]]:
        """Parameters of `fit` for every clone: of `Views` its own one."""
        own: list[dict[str, Any]] = [dict(params) for _ in names]
        if not isinstance(X, Views):
            return own
        for key, value in params.items():
            if not isinstance(value, Views):
                continue
            if sorted(value.names) != sorted(names):
                raise ValueError(
                    f"{key} has the views {list(value.names)}, but X has {names}. Pass "
                    "the same views."
                )
            parts = self._split(value, value, self.estimator)
            for name, of_clone in zip(names, own, strict=True):
                of_clone[key] = parts[name]
        return own

    def _route(self, fit_params: dict[str, Any]) -> dict[str, Any]:
        if not get_config()["enable_metadata_routing"]:
            return fit_params
        return dict(process_routing(self, "fit", **fit_params).estimator.fit)

    def _check_weights(self, names: list[str]) -> None:
        if self.weights is None:
            return
        weights = np.asarray(self.weights, dtype=np.float64)
        if weights.shape != (len(names),) or (weights < 0).any() or not weights.any():
            raise ValueError(
                f"weights must be {len(names)} non-negative numbers, not all zero, one "
                f"per view in the order {names}; got {self.weights!r}."
            )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        below = get_tags(self.estimator).classifier_tags
        tags.classifier_tags.poor_score = below.poor_score
        tags.classifier_tags.multi_label = below.multi_label
        return tags


def _takes_views(estimator: Any) -> bool:
    """Whether the first step inside pipelines and searches takes 3-D X."""
    while True:
        if get_tags(estimator).input_tags.three_d_array:
            return True
        if isinstance(estimator, Pipeline):
            estimator = next(
                step for _, step in estimator.steps if hasattr(step, "fit")
            )
        elif hasattr(estimator, "estimator"):
            estimator = estimator.estimator
        else:
            return False


def _fit(estimator: Any, X: Any, y: np.ndarray, params: dict[str, Any]) -> Any:
    return estimator.fit(X, y, **params)


def _known_tags(estimator: Any, X: Any, y: Any) -> np.ndarray:
    """Indicators as integers, which all estimators take, if none is unknown."""
    tags = check_tags(estimator, X, y, unknown=True)
    return tags if np.isnan(tags).any() else tags.astype(np.int64)


def _proba(estimator: Any, X: Any) -> np.ndarray:
    proba: np.ndarray = estimator.predict_proba(X)
    return proba
