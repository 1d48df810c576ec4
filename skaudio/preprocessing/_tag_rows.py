"""Tags as people have them: texts, lists of words, labels, or an indicator matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from numbers import Number
from typing import Any

import numpy as np
from scipy import sparse

from skaudio._utils._rows import to_numpy

WANTED = (
    "Tags are one text per clip, one list of words per clip, one class label per clip, "
    "or an indicator matrix (n_clips, n_tags)"
)


def read_tags(tags: Any) -> tuple[Any, list[Any]]:
    """Tags as an indicator matrix, dense or sparse, or None and one entry per clip."""
    _refuse_what_has_no_rows(tags)
    rows: list[Any] = []
    if sparse.issparse(tags):
        return _checked(sparse.csr_matrix(tags, copy=False)), rows
    tags = to_numpy(tags) if hasattr(tags, "__len__") else np.asarray(tags)
    n_axes = len(tags.shape) if hasattr(tags, "shape") else 1
    if n_axes == 1:
        rows = list(tags)
    elif n_axes == 2:
        matrix = _numbers(np.asarray(tags))
        if matrix is not None:
            return _checked(matrix), rows
        rows = _rows_of_table(tags)
    else:
        raise ValueError(f"{WANTED}; got an array of shape {tags.shape}.")
    if not rows:
        raise ValueError(f"{WANTED}; got none, and at least one clip is needed.")
    matrix = _table_of_zeros_and_ones(rows)
    return matrix, [] if matrix is not None else rows


def words_of(row: Any, i: int) -> tuple[list[str], list[str]]:
    """Words of one clip: those to be cleaned, and numbers, which are words as they are.

    Texts are split at white space, commas and semicolons.
    """
    if isinstance(row, str):
        return row.replace(",", " ").replace(";", " ").split(), []
    if _is_missing(row):
        raise ValueError(
            f"The tags of clip {i} are missing: {row!r}. Drop that clip, or make it an "
            "empty text if it has no tags."
        )
    if _is_number(row):
        return [], [str(row)]
    if isinstance(row, (bytes, Mapping)) or not isinstance(row, Iterable):
        raise ValueError(
            f"{WANTED}; those of clip {i} are a {type(row).__name__}: {row!r}."
        )
    entries = list(row)
    for entry in entries:
        if _is_missing(entry) or not (isinstance(entry, str) or _is_number(entry)):
            raise ValueError(
                f"Clip {i} has a tag that is neither a word nor a number: {entry!r}. "
                "Leave it out."
            )
    words = [entry.strip() for entry in entries if isinstance(entry, str)]
    return words, [str(entry) for entry in entries if not isinstance(entry, str)]


def _refuse_what_has_no_rows(tags: Any) -> None:
    if isinstance(tags, (str, bytes)):
        raise ValueError(f"{WANTED}; got a single text. Put it in a list: [text].")
    if isinstance(tags, (Mapping, Set)):
        raise ValueError(
            f"{WANTED}; got a {type(tags).__name__}, whose entries do not stand for "
            "clips in order. Pass a list."
        )
    if any(hasattr(tags, name) for name in ("__len__", "shape", "__array__")):
        return
    if isinstance(tags, Iterable):
        raise ValueError(
            f"{WANTED}; a {type(tags).__name__} can be read only once: take list(tags)."
        )
    raise ValueError(f"{WANTED}; got {tags!r}.")


def _rows_of_table(table: Any) -> list[Any]:
    """Rows of a table of words: one column of texts, or an array of words."""
    array = np.asarray(table, dtype=object)
    if array.shape[1] == 1:
        return list(array[:, 0])
    if hasattr(table, "columns"):
        raise ValueError(
            f"{WANTED}; got a data frame with the columns {list(table.columns)[:5]}. "
            "Pass the column that holds the tags."
        )
    return [list(row) for row in array]


def _numbers(array: np.ndarray) -> np.ndarray | None:
    """The array if it holds numbers, whatever its dtype; None if it does not."""
    if array.dtype.kind in "biuf":
        return array
    if array.dtype != object or not all(map(_is_number, array.flat)):
        return None
    return np.array(array.tolist())


def _table_of_zeros_and_ones(rows: list[Any]) -> np.ndarray | None:
    """Rows as a matrix if they are equally long and all of zeros and ones."""
    if not all(isinstance(row, (list, tuple, np.ndarray)) for row in rows):
        return None
    if len({len(row) for row in rows}) > 1 or not len(rows[0]):
        return None
    for row in rows:
        if not all(_is_number(entry) and entry in (0, 1) for entry in row):
            return None
    return np.array([list(row) for row in rows]).astype(np.int64)


def _checked(matrix: Any) -> Any:
    """An indicator matrix of integers; an error that names the row if it is none."""
    if 0 in matrix.shape:
        raise ValueError(f"{WANTED}; got a matrix of shape {matrix.shape}.")
    values = matrix.data if sparse.issparse(matrix) else matrix
    wrong = ~np.isin(values, (0, 1))
    if wrong.any():
        if sparse.issparse(matrix):
            row = matrix.tocoo().row[np.flatnonzero(wrong)[0]]
            value = values[wrong][0]
        else:
            row = np.flatnonzero(wrong.any(axis=1))[0]
            value = matrix[row][wrong[row]][0]
        raise ValueError(
            f"An indicator matrix of tags holds zeros and ones; row {row} has {value}."
        )
    return matrix.astype(np.int64)


def _is_number(entry: Any) -> bool:
    return isinstance(entry, (Number, np.number, np.bool_))


def _is_missing(entry: Any) -> bool:
    import pandas as pd

    is_scalar = entry is None or not hasattr(entry, "__len__")
    return is_scalar and pd.api.types.is_scalar(entry) and bool(pd.isna(entry))
