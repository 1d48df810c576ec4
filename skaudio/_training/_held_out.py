"""Which clips are trained on, validated with, and checked for overfitting."""

from __future__ import annotations

from typing import Any

import numpy as np

from skaudio._training._options._validation import Validation
from skaudio._utils._random import derived_generator
from skaudio.model_selection._split import StratifiedGroupShuffleSplit


def held_out(
    strata: np.ndarray, groups: Any, validation: Validation, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows to train on, and those to validate with, if any.

    Parameters
    ----------
    strata : ndarray of shape (n_clips,)
        Classes to hold out the same share of.
    groups : array-like of shape (n_clips,) or None
        Sources, which stay whole.
    validation : Validation
        How much to hold out.
    seed : int
        Of the draw.
    """
    rows = np.arange(len(strata))
    if validation.fraction is None:
        return rows, None
    splitter = StratifiedGroupShuffleSplit(
        n_splits=1, random_state=seed, **validation._splitter_options()
    )
    return next(splitter.split(rows, strata, groups))


def checked_rows(
    strata: np.ndarray, train: np.ndarray, of_valid: np.ndarray, seed: int
) -> np.ndarray:
    """As many training clips of every stratum as there are validation clips of it.

    Otherwise the difference of both losses is one of classes, not of overfitting. Where
    they have no stratum in common, any training clips, as many.

    Parameters
    ----------
    strata : ndarray of shape (n_clips,)
        Strata of all clips.
    train : ndarray of shape (n_train,)
        Rows to choose from.
    of_valid : ndarray of shape (n_valid,)
        Strata of the validation clips.
    seed : int
        Of the draw.
    """
    shuffled = derived_generator(seed).permutation(train)
    chosen = [
        shuffled[strata[shuffled] == k][:count]
        for k, count in zip(*np.unique(of_valid, return_counts=True), strict=True)
    ]
    rows = np.concatenate(chosen)
    return np.sort(rows if len(rows) else shuffled[: len(of_valid)])
