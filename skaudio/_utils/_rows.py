"""What X may be where it is sound: every usual container, as rows that are clips."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Set
from io import BytesIO
from numbers import Number
from typing import Any

import numpy as np

from skaudio._utils._container import Views
from skaudio._utils._types import RatedSamples, is_path

WANTED = (
    "X is a list of paths or waveforms, a column of paths, or an array "
    "(n_clips, n_samples)"
)
SAMPLES = ("array", "raw", "waveform")  # keys of rows that are dicts
RATES = ("sampling_rate", "sample_rate")


def clips_of(X: Any) -> list[Any] | None:
    """The rows of a collection of clips, one each; None for a table of numbers.

    Rows are paths, arrays, `RatedSamples`, open files, or what could not be understood:
    a missing value, say, which is the error of that clip when it is loaded.
    """
    if isinstance(X, Views) or hasattr(X, "toarray"):  # sparse
        return None
    _refuse_what_has_no_rows(X)
    rows = _column(X)
    if rows is None:
        return None
    if not rows:
        raise ValueError(
            f"X has no clips; at least one is needed. {WANTED}. Did a pattern of file "
            "names match nothing?"
        )
    if all(_is_number(row) for row in rows):
        raise ValueError(
            f"X is one waveform, or {len(rows)} numbers that are no clips. {WANTED}. "
            "Reshape your data if it is one clip: [X], or X.reshape(1, -1)."
        )
    if all(isinstance(row, (list, tuple)) and len(row) == 1 for row in rows):
        inner = [row[0] for row in rows]
        rows = rows if all(map(_is_number, inner)) else inner
    if _is_table(rows):
        return None
    return [_row(row) for row in rows]


def to_numpy(array: Any) -> Any:
    """A tensor of any device as an array; all else as it is."""
    if not _is_tensor(array):
        return array
    tensor = array.detach().cpu()
    if "bfloat16" in str(tensor.dtype):
        tensor = tensor.float()
    return tensor.numpy()


def _is_tensor(X: Any) -> bool:
    return hasattr(X, "detach") and hasattr(X, "cpu")  # of torch, which is not loaded


def _refuse_what_has_no_rows(X: Any) -> None:
    kind = type(X).__name__
    if is_path(X) or isinstance(X, bytes):
        raise ValueError(
            f"Expected a collection of paths, got one path: {os.fsdecode(X)!r}. "
            "Put it in a list: [path]."
        )
    if hasattr(X, "read") and hasattr(X, "seek"):
        raise ValueError(f"X is one open file ({kind}). Put it in a list: [file].")
    if _is_pair(X):
        raise ValueError("X is one pair of samples and rate. Put it in a list: [pair].")
    if isinstance(X, Mapping):
        raise ValueError(
            f"X is a {kind}, which is no collection of clips. {WANTED}: perhaps "
            "list(X.values()), or [X] if it is one clip."
        )
    if isinstance(X, Set):
        raise ValueError(
            f"X is a {kind}, whose clips have no order that y could follow. {WANTED}: "
            "take sorted(X)."
        )
    has_rows = hasattr(X, "__len__") or hasattr(X, "shape") or hasattr(X, "__array__")
    if isinstance(X, Iterable) and not has_rows:
        raise ValueError(
            f"X is a {kind}, which can be read only once. {WANTED}: take list(X)."
        )


def _column(X: Any) -> list[Any] | None:
    """The entries of X if it is one column of anything but plain numbers."""
    shape = getattr(X, "shape", None)
    if shape is None or _is_tensor(X):
        return list(X) if shape is None and hasattr(X, "__len__") else None
    if len(shape) == 1:
        return list(X)
    if len(shape) != 2 or _holds_numbers(X):
        return None
    entries = np.asarray(X, dtype=object)
    is_file = [is_path(entry) or isinstance(entry, bytes) for entry in entries.flat]
    if shape[1] == 1:
        is_table = shape[0] > 0 and all(map(_is_number, entries.flat))
        return None if is_table else list(entries[:, 0])
    if any(is_file):
        names = list(getattr(X, "columns", []))[:5]
        raise ValueError(
            f"X has {shape[1]} columns{f' {names}' if names else ''}; a clip is one "
            "entry. Pass the column that holds the paths, X['path'] for example."
        )
    return None


def _holds_numbers(X: Any) -> bool:
    dtypes = [X.dtype] if hasattr(X, "dtype") else list(getattr(X, "dtypes", ()))
    return bool(dtypes) and all(
        getattr(dtype, "kind", "O") in "biufc" for dtype in dtypes
    )


def _is_number(entry: Any) -> bool:
    return isinstance(entry, (Number, np.number, np.bool_))


def _is_pair(entry: Any) -> bool:
    """Whether it is (samples, rate), in either order."""
    if not isinstance(entry, (tuple, list)) or len(entry) != 2:
        return False
    numbers = [_is_number(part) for part in entry]
    if sum(numbers) != 1:
        return False
    other: Any = entry[numbers.index(False)]
    return hasattr(other, "__len__") and not isinstance(other, (str, bytes))


def _is_table(rows: list[Any]) -> bool:
    """Whether rows are equally long lists of numbers."""
    if not all(isinstance(row, (list, tuple)) for row in rows):
        return False
    if any(_is_pair(row) for row in rows):
        return False
    for i, row in enumerate(rows):
        if any(is_path(entry) or isinstance(entry, bytes) for entry in row):
            raise ValueError(f"Row {i} of X holds {len(row)} paths. {WANTED}.")
    return len({len(row) for row in rows}) == 1


def _row(row: Any) -> Any:
    if isinstance(row, np.ndarray) and row.dtype != object:
        return row
    if isinstance(row, bytes):
        return os.fsdecode(row)
    if isinstance(row, Mapping):
        return _row_of_mapping(row)
    if _is_pair(row):
        samples, rate = row if _is_number(row[1]) else reversed(row)
        return RatedSamples(_array(samples), float(rate))
    return row if is_path(row) else _array(row)


def _row_of_mapping(row: Mapping[str, Any]) -> Any:
    """What data sets on the web call a sound: samples and rate, or bytes, or a path."""
    samples = next((row[key] for key in SAMPLES if row.get(key) is not None), None)
    rate = next((row[key] for key in RATES if row.get(key) is not None), None)
    if samples is not None:
        samples = _array(samples)
        return samples if rate is None else RatedSamples(samples, float(rate))
    if row.get("bytes") is not None:
        return BytesIO(row["bytes"])
    return row["path"] if row.get("path") is not None else dict(row)


def _array(row: Any) -> Any:
    """Anything like an array as one; all else as it is."""
    if hasattr(row, "__array__") or _is_tensor(row):
        array = np.asarray(to_numpy(row))
        is_vector = array.dtype == object and array.ndim
        return np.array(array.tolist()) if is_vector else array
    if isinstance(row, (list, tuple)):
        try:
            return np.asarray([to_numpy(part) for part in row])
        except ValueError:  # of unequal lengths
            return row
    return row
