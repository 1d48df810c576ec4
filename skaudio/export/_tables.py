"""Steps on tables of features: scikit-learn's scaler and small classifiers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from skaudio.export._flow import Probabilities, Table
from skaudio.export._graph import Graph, float32
from skaudio.export._refusals import refuse

LINEAR = LogisticRegression, LinearDiscriminantAnalysis
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "identity": None}


def export_standard_scaler(graph: Graph | None, scaler: Any, table: Table) -> Table:
    """Features less their mean, by their deviation."""
    if graph is None:
        return table
    value = table.value
    if scaler.with_mean:
        value = graph.op("Sub", value, float32(scaler.mean_))
    if scaler.with_std:
        value = graph.op("Div", value, float32(scaler.scale_))
    return Table(table.sr, value, table.n_features)


def export_linear(graph: Graph | None, model: Any, table: Table) -> Probabilities:
    """Probabilities of a logistic regression or a linear discriminant analysis."""
    if graph is None:
        return Probabilities(table.sr)
    logits = _dense(graph, table.value, model.coef_.T, model.intercept_)
    if len(model.classes_) == 2:
        value = _of_both(graph, graph.op("Sigmoid", logits))
    else:
        value = graph.op("Softmax", logits, axis=1)
    return Probabilities(table.sr, value, model.classes_)


def export_tags(graph: Graph | None, model: Any, table: Table) -> Probabilities:
    """Probabilities of tags, by a linear classifier for each."""
    if not isinstance(model.estimator, LINEAR):
        refuse(
            model,
            f"its estimator is {type(model.estimator).__name__}; wanted "
            f"{' or '.join(kind.__name__ for kind in LINEAR)}.",
        )
    if graph is None:
        return Probabilities(table.sr)
    if not model.multilabel_:
        refuse(model, "it was fitted on one label per clip. Fit its estimator alone.")
    parts = []
    for one in model.estimators_:
        if not hasattr(one, "coef_"):
            refuse(model, "a tag was the same for all clips in fit. Leave it out.")
        logits = _dense(graph, table.value, one.coef_.T, one.intercept_)
        parts.append(graph.op("Sigmoid", logits))
    value = graph.op("Concat", *parts, axis=1)
    return Probabilities(table.sr, value, np.arange(len(parts)), has_tags=True)


def export_perceptron(graph: Graph | None, model: Any, table: Table) -> Probabilities:
    """Probabilities of scikit-learn's multilayer perceptron."""
    if graph is None:
        return Probabilities(table.sr)
    value, activation = table.value, ACTIVATIONS[model.activation]
    *hidden, last = zip(model.coefs_, model.intercepts_, strict=True)
    for weights, bias in hidden:
        value = _dense(graph, value, weights, bias)
        value = value if activation is None else graph.op(activation, value)
    value = _dense(graph, value, *last)
    if model.out_activation_ == "softmax":
        value = graph.op("Softmax", value, axis=1)
        return Probabilities(table.sr, value, model.classes_)
    value = graph.op("Sigmoid", value)
    if len(last[1]) == 1:
        return Probabilities(table.sr, _of_both(graph, value), model.classes_)
    return Probabilities(table.sr, value, model.classes_, has_tags=True)


def _dense(graph: Graph, value: str, weights: np.ndarray, bias: np.ndarray) -> str:
    return graph.op("Gemm", value, float32(weights), float32(np.atleast_1d(bias)))


def _of_both(graph: Graph, second: str) -> str:
    """Probabilities of two classes, of those of the second."""
    first = graph.op("Sub", float32(1), second)
    return graph.op("Concat", first, second, axis=1)
