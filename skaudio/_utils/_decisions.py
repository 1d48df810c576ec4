"""Decisions between classes and about tags, of which some may be unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import type_of_target

from skaudio._utils._text import shortened


def is_indicator(y: Any) -> bool:
    """Whether y is an indicator matrix of tags, rather than class labels."""
    if getattr(y, "ndim", 1) != 2 and not isinstance(y, (list, tuple)):
        return False
    if has_unknown_tags(y):
        return True
    return bool(type_of_target(y) == "multilabel-indicator")


def has_unknown_tags(y: Any) -> bool:
    """Whether y is a matrix of zeros, ones and NaN, None or NA."""
    values = with_nan(y)
    return values is not None and bool(np.isnan(values).any()) and are_tags(values)


def with_nan(y: Any) -> np.ndarray | None:
    """A matrix as floats, NaN where y has NaN, None or NA; None of all other y."""
    if hasattr(y, "toarray"):
        y = y.toarray()
    if hasattr(y, "isna"):  # a data frame of pandas, whose NA is no number
        y = y.astype(object).mask(y.isna(), np.nan)
    try:
        values = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return values if values.ndim == 2 else None


def are_tags(values: np.ndarray) -> bool:
    """Whether an array holds zeros, ones and NaN only."""
    is_unknown = values != values
    return bool((is_unknown | np.isin(values, (0, 1))).all())


def names_of_tags(y: Any) -> np.ndarray:
    """Names of the columns of a data frame that has some, otherwise their numbers."""
    columns = list(getattr(y, "columns", []))
    if columns and all(isinstance(name, str) for name in columns):
        return np.array(columns)
    return np.arange(np.shape(y)[1])


def are_same_tags(names: np.ndarray, known: Any) -> bool:
    """Whether columns are in the same order, as those without names are taken to be."""
    known = np.asarray(known)
    if {names.dtype.kind, known.dtype.kind} != {"U"}:
        return len(names) == len(known)
    return np.array_equal(names, known)


def check_tag_names(
    names: np.ndarray, known: Any, what: str = "The columns of y"
) -> None:
    """Refuse columns of other names, or in another order, than those of `fit`."""
    if len(names) == len(known) and not are_same_tags(names, known):
        new, old = (shortened(map(repr, [*map(str, some)])) for some in (names, known))
        raise ValueError(
            f"{what} are {new}; those of y in fit were {old}. Select them in that "
            "order."
        )


def proba_of_tags(estimator: Any, X: Any) -> np.ndarray:
    """Probabilities (n_clips, n_tags) that clips have tags.

    Some estimators of scikit-learn give a list with those of both classes of each tag,
    or of one class if all clips were alike.
    """
    proba = estimator.predict_proba(X)
    if not isinstance(proba, list):
        return proba
    present = [
        of_tag[:, list(classes).index(1)] if 1 in classes else np.zeros(len(of_tag))
        for of_tag, classes in zip(proba, estimator.classes_, strict=True)
    ]
    return np.stack(present, axis=1)


def decided(proba: np.ndarray) -> np.ndarray:
    """One where a tag is more probable than not."""
    return (proba > 0.5).astype(np.int64)


def confidence_of_classes(proba: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities (n_clips, n_classes); of two, log-odds (n_clips,)."""
    return log_odds(proba[:, 1]) if proba.shape[1] == 2 else _log(proba)


def log_odds(proba: np.ndarray) -> np.ndarray:
    """Logarithm of the odds, finite and positive above one half."""
    return _log(proba) - _log(1 - proba)


def _log(proba: np.ndarray) -> np.ndarray:
    """Logarithm that stays finite where a probability was rounded to zero."""
    logarithm: np.ndarray = np.log(np.maximum(proba, np.finfo(proba.dtype).tiny))
    return logarithm


class KnownTagsMixin(ClassifierMixin):
    """A classifier of labels or tags, where tags that are NaN do not count."""

    predict: Any
    classes_: np.ndarray

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of `predict`.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Clips, as in `fit`.
        y : array-like of shape (n_clips,) or (n_clips, n_tags)
            Labels as seen in `fit`. Tags that are NaN are unknown and do not count.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips.

        Returns
        -------
        score : float
            Share of the clips whose class is right; of tags, whose known tags are all
            right.
        """
        decisions = self.predict(X)
        if np.ndim(decisions) == 2:
            check_tag_names(names_of_tags(y), self.classes_)
        if has_unknown_tags(y):
            tags: Any = with_nan(y)
            y = np.where(np.isnan(tags), decisions, tags).astype(decisions.dtype)
        return float(accuracy_score(y, decisions, sample_weight=sample_weight))
