"""The form in which data sets are handed over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.model_selection import PredefinedSplit, check_cv
from sklearn.utils import Bunch

from skaudio.datasets._splits import PARTS
from skaudio.datasets._tables import sorted_names


def encode_labels(labels: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Integers 0..n-1 and the names they stand for: in order of numbers, or of text."""
    labels = list(labels)
    names = sorted_names(labels)
    indices = {name: i for i, name in enumerate(names)}
    return np.array([indices[label] for label in labels]), np.array(names, dtype=str)


def make_bunch(
    frame: Any,
    target: np.ndarray,
    target_names: np.ndarray,
    *,
    group: str | None,
    fold: str | None,
    descr: str,
) -> Bunch:
    """Bunch of a data set whose ``frame`` has a row, with its path, for every clip."""
    groups = None if group is None else frame[group].to_numpy()
    folds = None if fold is None else frame[fold].to_numpy()
    return Bunch(
        paths=frame["path"].to_numpy(dtype=str),
        target=target,
        target_names=target_names,
        groups=groups,
        folds=folds,
        cv=None if folds is None else PredefinedSplit(folds),
        frame=frame,
        DESCR=descr,
    )


def set_subsets(data: Bunch, subset: Any) -> None:
    """Note the part of a split that each clip is in, and the rows of every part.

    The split is a `cv` that trains on "train" and tests on "test", or on "valid" where
    nothing is for testing. None notes that there is no split.
    """
    if subset is None:
        data.update(dict.fromkeys(("subset", *PARTS)))
        return
    data.subset = np.asarray(subset, dtype=str)
    data.update({part: np.flatnonzero(data.subset == part) for part in PARTS})
    tested = data.test if len(data.test) else data.valid
    data.cv = check_cv([(data.train, tested)])
