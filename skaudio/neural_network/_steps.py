"""Pipelines around classifiers: their steps, and groups for those that take them."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter


def fitted(model: Any, X: Any, y: Any, groups: Any) -> Any:
    """A clone of a model, fitted unless it is frozen."""
    model = clone(model)
    if not isinstance(model, FrozenEstimator):
        model.fit(X, y, **with_groups(model, groups))
    return model


def with_groups(model: Any, groups: Any) -> dict[str, Any]:
    """Arguments of ``fit`` that pass groups to the classifier in a model."""
    is_pipeline = isinstance(model, Pipeline)
    name, final = model.steps[-1] if is_pipeline else ("", model)
    if groups is None or not has_fit_parameter(final, "groups"):
        return {}
    return {f"{name}__groups" if is_pipeline else "groups": groups}


def behind(steps: Pipeline | None, classifier: Any) -> Any:
    """A classifier at the end of fitted steps, if there are any."""
    if steps is None:
        return classifier
    return Pipeline([*steps.steps, ("classifier", classifier)])


def before(steps: Pipeline | None, X: Any) -> Any:
    """What fitted steps make of X, if there is any."""
    return X if steps is None or X is None else steps.transform(X)
