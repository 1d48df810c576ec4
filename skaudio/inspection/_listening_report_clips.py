"""Labels and predictions of a listening report, and its table of clips."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skaudio._utils._container import Views
from skaudio._utils._decisions import (
    check_tag_names,
    is_indicator,
    names_of_tags,
    with_nan,
)
from skaudio._utils._rows import clips_of
from skaudio._utils._text import shortened
from skaudio._utils._types import is_path, shown
from skaudio.inspection._listening_report_opinions import PROBABILITY, Opinions

NO_PREDICTION = "No prediction."


@dataclass(frozen=True)
class Coded:
    """Truth and predictions in the numbers of one list of classes.

    Parameters
    ----------
    names : list of str
        Of the classes or tags.
    truth : ndarray of int of shape (n_clips,), or of float (n_clips, n_tags)
        Numbers of classes, or zeros and ones, NaN where unknown.
    predicted : ndarray, as `truth`
        -1, or NaN, where there is no prediction.
    notes : list of str
        What a reader has to know of the classes.
    """

    names: list[str]
    truth: np.ndarray
    predicted: np.ndarray
    notes: list[str] = field(default_factory=list)

    @property
    def is_tags(self) -> bool:
        """Whether clips have tags rather than one class."""
        return self.truth.ndim == 2

    def right(self) -> list[bool | None]:
        """Whether each clip is right; None where that is not known."""
        if not self.is_tags:
            pairs = zip(self.truth.tolist(), self.predicted.tolist(), strict=True)
            return [None if said < 0 else said == true for true, said in pairs]
        known = ~np.isnan(self.truth) & ~np.isnan(self.predicted)
        agrees = (self.truth == self.predicted) | ~known
        rows = zip(agrees.all(axis=1), known.any(axis=1), strict=True)
        return [bool(right) if any_known else None for right, any_known in rows]

    def named(self, of: np.ndarray) -> list[Any]:
        """Name of the class of each clip, or a tuple with those of its tags."""
        if of.ndim == 1:
            return [None if code < 0 else self.names[code] for code in of.tolist()]
        return [tuple(self.names[i] for i in np.flatnonzero(row == 1)) for row in of]


@dataclass(frozen=True)
class Labelled:
    """Labels as they were passed."""

    y: np.ndarray
    names: list[str] | None
    is_tags: bool
    columns: np.ndarray | None = None  # tags of y by name, or numbers

    @classmethod
    def of(cls, y: Any, class_names: Any) -> Labelled:
        """Read classes, or an indicator matrix with its names."""
        is_tags = is_indicator(y)
        names = list(getattr(y, "columns", [])) if is_tags else None
        names = names if class_names is None else list(class_names)
        names = [str(name) for name in names] if names else None
        if is_tags:
            tags = with_nan(y)
            assert tags is not None
            return cls(tags, names, True, names_of_tags(y))
        labels = column_or_1d(y)
        assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        return cls(labels, names, False)

    def __len__(self) -> int:
        return len(self.y)

    def coded(self, found: Opinions) -> Coded:
        """Give labels and predictions the same numbers."""
        if self.columns is not None:
            check_tag_names(self.columns, found.classes)
        n_columns = len(found.classes)
        if self.names is not None:
            _check_names(self.names, n_columns, self.is_tags)
        if self.is_tags:
            names = self.names or [str(tag) for tag in found.classes]
            return Coded(names, self.y, found.predicted)
        labels = self.y.tolist()
        known = {label: i for i, label in enumerate(found.classes)}
        strange = Counter(label for label in labels if label not in known)
        if len(strange) == len(set(labels)):
            raise ValueError(
                "No class in y is known to the model: y has "
                f"{shortened(map(repr, strange))}; the model knows "
                f"{shortened(map(repr, known))}. Are both texts, or both numbers?"
            )
        added = sorted(strange, key=str)
        known |= {label: n_columns + i for i, label in enumerate(added)}
        names = self.names or [str(label) for label in found.classes]
        notes = [
            f"The model does not know the class {label!r}: its {n} clips are "
            "mistakes whatever is predicted."
            for label, n in strange.items()
        ]
        truth = np.array([known[label] for label in labels], dtype=int)
        names = names + [str(label) for label in added]
        return Coded(names, truth, found.predicted, notes)


def _check_names(names: Sequence[str], n: int, is_tags: bool) -> None:
    what = "tags" if is_tags else "classes"
    if len(names) != n:
        raise ValueError(
            f"There must be a name for each of the model's {n} {what}; got "
            f"{len(names)}: {shortened(names)}."
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"Two {what} have the name {twice[0]!r}: names must differ.")


def clip_table(coded: Coded, found: Opinions, names: list[str], groups: Any) -> Any:
    """The attribute `clips` of a report."""
    import pandas as pd

    right = coded.right()
    confidence, margin = _certainty(coded, found)
    n_clips = len(right)
    table: dict[str, Any] = {"name": names}
    if groups is not None:
        table["source"] = [str(source) for source in groups]
    is_probability = found.kind == PROBABILITY and not coded.is_tags
    table |= {
        "true": coded.named(coded.truth),
        "predicted": coded.named(coded.predicted),
        "right": pd.array(right, dtype="boolean"),
        "probability": confidence if is_probability else np.full(n_clips, np.nan),
        "margin": margin,
        "rank": pd.array(_ranks(coded, found), dtype="Int64"),
        "order": listening_order(right, confidence, margin),
        "remark": [
            f"{NO_PREDICTION} {found.failed[row]}".strip()
            if row in found.failed
            else ""
            for row in range(n_clips)
        ],
    }
    return pd.DataFrame(table)


def _certainty(coded: Coded, found: Opinions) -> tuple[np.ndarray, np.ndarray]:
    """How sure a prediction is, and how far from another one; NaN if unknown."""
    n_clips = len(coded.truth)
    confidence, margin = np.full(n_clips, np.nan), np.full(n_clips, np.nan)
    if found.scores is None:
        return confidence, margin
    scores = found.scores
    rows = np.flatnonzero(np.isfinite(scores).all(axis=1))
    if not coded.is_tags:
        confidence[rows] = scores[rows, coded.predicted[rows]]
        if scores.shape[1] > 1:
            top = np.sort(scores[rows], axis=1)
            margin[rows] = top[:, -1] - top[:, -2]
        return confidence, margin
    distance = 2 * np.abs(scores - 0.5) if found.kind == PROBABILITY else abs(scores)
    distance = np.where(np.isnan(coded.truth), np.nan, distance)
    wrong = np.where(coded.truth != coded.predicted, distance, np.nan)
    for row in rows[~np.isnan(distance[rows]).all(axis=1)].tolist():
        margin[row] = np.nanmin(distance[row])
        if not np.isnan(wrong[row]).all():
            confidence[row] = np.nanmax(wrong[row])
    return confidence, margin


def _ranks(coded: Coded, found: Opinions) -> list[int | None]:
    """Place of the true class among all scores; 1 is the highest."""
    scores = found.scores
    if scores is None or coded.is_tags:
        return [None] * len(coded.truth)
    return [
        int((row > row[true]).sum()) + 1
        if true < scores.shape[1] and np.isfinite(row).all()
        else None
        for true, row in zip(coded.truth.tolist(), scores, strict=True)
    ]


def listening_order(
    right: Sequence[bool | None], confidence: np.ndarray, margin: np.ndarray
) -> np.ndarray:
    """Place of each clip: sure mistakes first, then what was least certain.

    Clips without prediction are last, and equal ones in the order of X.
    """
    kinds = np.array([{False: 0, True: 1, None: 2}[r] for r in right], dtype=int)
    keys = np.where(kinds == 0, -confidence, margin)
    keys[np.isnan(keys)] = np.inf
    order = np.empty(len(kinds), dtype=int)
    order[np.lexsort((np.arange(len(kinds)), keys, kinds))] = np.arange(len(kinds))
    return order


def names_of(X: Any, n_clips: int, names: Any = None) -> list[str]:
    """What clips are called: as told, or as their files, or by number."""
    if names is not None:
        return [str(name) for name in names]
    is_plain = isinstance(X, Views) or getattr(X, "ndim", 1) != 1
    rows = None if is_plain else clips_of(X)
    if rows is None:
        return [f"clip {row}" for row in range(n_clips)]
    paths = {row: os.fsdecode(x) for row, x in enumerate(rows) if is_path(x)}
    files = {row: os.path.basename(path) for row, path in paths.items()}
    if len({*files.values()}) < len({*paths.values()}):  # the same in several folders
        with suppress(ValueError):  # on several drives
            folder = os.path.commonpath([*map(os.path.abspath, paths.values())])
            files = {row: os.path.relpath(path, folder) for row, path in paths.items()}
    return [
        shown(files[row]) if row in files else f"clip {row}" for row in range(n_clips)
    ]
