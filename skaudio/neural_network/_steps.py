"""Pipelines around classifiers: their steps, and groups for those that take them."""

from __future__ import annotations

from numbers import Real
from typing import Any

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from skaudio.nn.layers import layer_names


def fitted(model: Any, X: Any, y: Any, **about_clips: Any) -> Any:
    """A clone of a model, fitted unless it is frozen.

    What is known about clips, such as groups, goes to a classifier that takes it;
    ``X_valid`` in a pipeline after the steps before have transformed it.
    """
    model = clone(model)
    if isinstance(model, FrozenEstimator):
        return model
    arguments = _arguments(model, about_clips)
    key = next((key for key in arguments if key.endswith("X_valid")), None)
    if not isinstance(model, Pipeline) or key is None or len(model) == 1:
        return model.fit(X, y, **arguments)
    steps = model[:-1]  # the same objects
    X = steps.fit_transform(X, y)
    about_clips |= {"X_valid": steps.transform(about_clips["X_valid"])}
    model[-1].fit(X, y, **_arguments(model[-1], about_clips))
    return model


def _arguments(model: Any, about_clips: dict[str, Any]) -> dict[str, Any]:
    """Arguments of ``fit`` that pass something to the classifier in a model."""
    is_pipeline = isinstance(model, Pipeline)
    name, final = model.steps[-1] if is_pipeline else ("", model)
    return {
        f"{name}__{key}" if is_pipeline else key: values
        for key, values in about_clips.items()
        if values is not None and has_fit_parameter(final, key)
    }


def behind(steps: Pipeline | None, classifier: Any) -> Any:
    """A classifier at the end of fitted steps, if there are any."""
    if steps is None:
        return classifier
    return Pipeline([*steps.steps, ("classifier", classifier)])


def before(steps: Pipeline | None, X: Any) -> Any:
    """What fitted steps make of X, if there is any."""
    return X if steps is None or X is None else steps.transform(X)


def frozen_layers(module: Any, freeze: Any) -> list[str]:
    """Names of the modules that a value of ``freeze`` means."""
    if not isinstance(freeze, Real):
        return layer_names(module, list(freeze), "freeze") if len(freeze) else []
    stages: tuple[tuple[str, ...], ...] = module.stages
    n_frozen = int(float(freeze) * len(stages))
    return [name for stage in stages[:n_frozen] for name in stage]
