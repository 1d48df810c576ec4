"""What a fitted model says of clips: for a listening report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skaudio._training._network_of import leaves_of
from skaudio._utils._container import Views
from skaudio._utils._decisions import decided, proba_of_tags
from skaudio.ensemble._late_fusion import LateFusionClassifier
from skaudio.inspection._listening_report_opinions import (
    DECISION,
    PROBABILITY,
    Opinions,
    features_of_scores,
)


def opinions_of(model: Any, X: Any, y: np.ndarray) -> Opinions:
    """Ask a model for all it can say; steps before its last are run once.

    Parameters
    ----------
    model : classifier, Pipeline or search
        Fitted.
    X : as the model takes it
        Clips.
    y : ndarray of shape (n_clips,) or (n_clips, n_tags)
        Their labels, which name the classes of models that have no ``classes_``.
    """
    steps, head = opened(model)
    n_clips = len(y)
    Z, rows, failed = X, np.arange(n_clips), dict[int, str]()
    for step in steps:
        Z = step.transform(Z)
        errors = {e["row"]: e["error"] for e in getattr(step, "errors_", [])}
        if errors:  # what follows takes no NaN
            for row, text in errors.items():
                place = int(rows[row])
                failed[place] = text.replace(f"Clip {row} of X", f"Clip {place} of X")
            kept = np.setdiff1d(np.arange(len(rows)), [*errors])
            Z, rows = taken(Z, kept), rows[kept]
        if not len(rows):
            raise ValueError(
                f"None of the {n_clips} clips could be loaded; the first: {failed[0]}"
            )
    found = _asked(head, Z, y)
    features, name = _features(head, Z, found, bool(steps))
    found = replace(found, features=features, feature_name=name)
    return found.spread(rows, n_clips, failed) if failed else found


def opened(model: Any) -> tuple[list[Any], Any]:
    """Fitted steps of a model, and the classifier behind them."""
    steps = []
    while True:
        if isinstance(model, FrozenEstimator):
            model = model.estimator
        elif isinstance(model, Pipeline):
            steps += leaves_of(model[:-1]) if len(model) > 1 else []
            model = model[-1]
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            break
    if not hasattr(model, "predict"):
        raise TypeError(
            "ListeningReport.from_estimator needs a fitted classifier, or a Pipeline "
            f"or search that ends in one; got {type(model).__name__}. Predictions that "
            "you have go to ListeningReport.from_predictions."
        )
    check_is_fitted(model)
    return steps, model


def rates_of(model: Any) -> list[float]:
    """Sampling rates that the steps of a model, or its classifier, are set to."""
    steps, head = opened(model)
    rates = set()
    for part in [*steps, head]:
        params = part.get_params() if hasattr(part, "get_params") else {}
        named = {k: v for k, v in params.items() if k.rpartition("__")[2] == "sr"}
        rates |= {float(v) for v in named.values() if isinstance(v, (int, float))}
    return sorted(rates)


def taken(X: Any, rows: np.ndarray) -> Any:
    """Some rows of X, whatever it is."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if isinstance(X, Views) or hasattr(X, "shape"):
        return X[rows]
    return [X[row] for row in rows.tolist()]


def _asked(head: Any, Z: Any, y: np.ndarray) -> Opinions:
    is_tags = y.ndim == 2
    scores, kind = _scores(head, Z, is_tags)
    branches = head.branch_proba(Z) if hasattr(head, "branch_proba") else {}
    # networks and fusions of skaudio decide by their probabilities
    own = hasattr(head, "_own_views") or isinstance(head, LateFusionClassifier)
    if is_tags:
        tags = decided(scores) if own and scores is not None else head.predict(Z)
        tags = tags.toarray() if hasattr(tags, "toarray") else tags
        _check_dimensions(np.asarray(tags), 2)
        predicted = np.asarray(tags, float)
        named: Any = getattr(head, "classes_", None)  # or a list: those of each tag
        is_named = isinstance(named, np.ndarray) and named.shape == tags.shape[1:]
        classes = named.tolist() if is_named else list(range(predicted.shape[1]))
    else:
        classes, predicted = _decided(head, Z, scores if own else None, y)
    if scores is not None and scores.shape[1:] != (len(classes),):
        scores, kind = None, None  # of pairs of classes
    branches = {str(name): np.asarray(p) for name, p in branches.items()}
    return Opinions(classes, predicted, scores, kind, branches)


def _check_dimensions(predicted: np.ndarray, wanted: int) -> None:
    if predicted.ndim != wanted:
        kinds = {1: "one class for each clip", 2: "an indicator matrix of tags"}
        raise ValueError(
            f"y is {kinds[wanted]}, but what the model predicts is of shape "
            f"{predicted.shape}. Pass y as the model was fitted on."
        )


def _decided(
    head: Any, Z: Any, proba: np.ndarray | None, y: np.ndarray
) -> tuple[list[Any], np.ndarray]:
    """Classes, and the number of that which each clip is said to be of."""
    classes = getattr(head, "classes_", None)
    if proba is not None and classes is not None:
        return np.asarray(classes).tolist(), proba.argmax(axis=1)
    labels = np.asarray(head.predict(Z))
    _check_dimensions(labels, 1)
    known = np.unique([*labels, *y]) if classes is None else np.asarray(classes)
    number = {label: i for i, label in enumerate(known.tolist())}
    return known.tolist(), np.array([number[label] for label in labels.tolist()])


def _scores(head: Any, Z: Any, is_tags: bool) -> tuple[np.ndarray | None, str | None]:
    if hasattr(head, "predict_proba"):
        proba = proba_of_tags(head, Z) if is_tags else head.predict_proba(Z)
        return np.asarray(proba, float), PROBABILITY
    if hasattr(head, "decision_function"):
        values = np.asarray(head.decision_function(Z), float)
        if values.ndim == 1:  # of the second of two classes, or of one tag
            values = np.column_stack([values] if is_tags else [-values, values])
        return values, DECISION
    return None, None


def _features(
    head: Any, Z: Any, found: Opinions, is_behind: bool
) -> tuple[np.ndarray | None, str]:
    """What the model itself has to tell clips apart by, for a map."""
    if hasattr(head, "_own_views"):
        layers = getattr(head.net_.module_, "hidden_layers", ())
        if layers:
            features = head._features(Z, [layers[-1]], "max", None)
            return features, f"last hidden layer ({layers[-1]})"
    elif is_behind and not isinstance(Z, Views) and np.ndim(Z) == 2:
        table = np.asarray(Z)
        if table.dtype.kind in "fiu" and np.isfinite(table).all():
            name = f"features that {type(head).__name__} is given, standardised"
            return StandardScaler().fit_transform(table), name
    return features_of_scores(found.scores, found.kind)


def embedded(embedder: Any, X: Any) -> tuple[np.ndarray, str]:
    """Features of clips by a fitted transformer, or those that are given."""
    if hasattr(embedder, "transform"):
        check_is_fitted(embedder)
        names = [type(part).__name__ for part in leaves_of(embedder)]
        return np.asarray(embedder.transform(X)), f"features by {', '.join(names)}"
    if hasattr(embedder, "__array__") or isinstance(embedder, Sequence):
        return np.asarray(embedder), "embeddings that were given"
    raise TypeError(
        "embedder must be a fitted transformer or an array (n_clips, n_features); got "
        f"{type(embedder).__name__}."
    )
