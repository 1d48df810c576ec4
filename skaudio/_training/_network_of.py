"""The network in a model, and what X goes through before."""

from __future__ import annotations

from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

# where meta-estimators keep what they have fitted
INNER = ("best_estimator_", "student_", "estimator_")


def network_of(model: Any) -> tuple[Pipeline | None, Any]:
    """Find the fitted neural estimator in a model, and the steps before it.

    Parameters
    ----------
    model : estimator
        A `SegmentEstimator`, a Pipeline that ends in one, either of them frozen, or a
        search or other meta-estimator that has fitted one of these.

    Returns
    -------
    steps : Pipeline or None
        What X goes through before, if there is anything.
    estimator : SegmentEstimator
        Fitted.

    Raises
    ------
    TypeError
        If there is none.
    NotFittedError
        If it, or what holds it, is not fitted.
    """
    given, steps = type(model).__name__, []
    while True:
        if isinstance(model, FrozenEstimator):
            model = model.estimator
            continue
        if hasattr(model, "_own_views"):  # a SegmentEstimator
            break
        if isinstance(model, Pipeline):
            steps += model.steps[:-1]
            model = model[-1]
            continue
        if hasattr(model, "fit"):
            check_is_fitted(model)
        inner = [name for name in INNER if hasattr(model, name)]
        if not inner:
            kind = type(model).__name__
            raise TypeError(
                "Expected a fitted neural estimator of skaudio, a Pipeline that ends "
                "in one, or a search or meta-estimator that has fitted one; got "
                f"{given if given == kind else f'{given} of {kind}'}."
            )
        model = getattr(model, inner[0])
    check_is_fitted(model)
    return steps_before(steps), model


def steps_before(steps: list[tuple[str, Any]]) -> Pipeline | None:
    """Named steps as a Pipeline, if there are any."""
    if not steps:
        return None
    names = {name for name, _ in steps}  # those of nested pipelines may be the same
    steps = steps if len(names) == len(steps) else _renamed(steps)
    return Pipeline(steps)


def _renamed(steps: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(f"{name}-{i}", step) for i, (name, step) in enumerate(steps, 1)]


def leaves_of(steps: Any) -> list[Any]:
    """Transformers in a Pipeline, and in those that are its steps, from the first."""
    if isinstance(steps, Pipeline):
        return [leaf for _, step in steps.steps for leaf in leaves_of(step)]
    return [] if steps is None or isinstance(steps, str) else [steps]
