"""Recordings of X, block by block."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skaudio._audio._checks import CutShortError
from skaudio._audio._decode import decode
from skaudio._audio._load import load_clips
from skaudio._utils._container import Views
from skaudio._utils._rows import clips_of, to_numpy
from skaudio._utils._types import is_path

BLOCK = 2**18  # samples of arrays that are handed on at a time

Receive = Callable[[np.ndarray], Any]


class _ReceiverError(BaseException):
    """What went wrong where samples are received: no fault of the file."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def recordings_of(estimator: Any, X: Any) -> list[Any]:
    """The rows of X: sound, each of any length."""
    if isinstance(X, Views) or getattr(X, "ndim", 2) == 3:
        raise ValueError(
            f"{type(estimator).__name__} takes sound, and computes views itself; got "
            "views. Pass waveforms or paths."
        )
    rows = clips_of(X)
    if rows is not None:
        return rows
    table = to_numpy(X)
    options = {"dtype": "numeric", "ensure_all_finite": False}
    return list(check_array(table, estimator=estimator, **options))


def name_of(item: Any, row: int) -> Any:
    """What stands in the column ``recording``: a path, or the number of the row."""
    return os.fsdecode(item) if is_path(item) else row


def read(
    item: Any, row: int, receive: Receive, *, sr: float, mono: str
) -> CutShortError | None:
    """Give a recording to ``receive``, block by block, at one rate and in one channel.

    Parameters
    ----------
    item : clip
        A row of X.
    row : int
        Its number.
    receive : callable
        What takes the blocks.
    sr : float
        Sampling rate in Hz of the blocks.
    mono : {"average", "raise"}
        What to do with more than one channel.

    Returns
    -------
    short : CutShortError or None
        What is wrong if only a part of the recording is there.
    """

    def guarded(samples: np.ndarray) -> None:
        try:
            receive(samples)
        except Exception as error:
            raise _ReceiverError(error) from error

    is_file = hasattr(item, "read") and hasattr(item, "seek")
    is_named = is_path(item) and bool(os.fspath(item))
    try:
        if is_file or is_named:
            name = f"Clip {row} of X"
            decode(item, None, name=name, mono=mono, sr=sr, receive=guarded)
        else:
            (samples,), _ = load_clips([item], sr=sr, mono=mono, rows=[row])
            for start in range(0, len(samples), BLOCK):
                guarded(samples[start : start + BLOCK])
    except CutShortError as short:
        return short
    return None


def read_or_report(
    item: Any, row: int, receive: Receive, report: Any, on_error: str, **options: Any
) -> bool:
    """Read a recording, and treat its faults by the policy; whether it is there."""
    try:
        short = read(item, row, receive, **options)
        if short is not None and on_error != "warn":
            raise short
    except _ReceiverError as passed:
        raise passed.error from None
    except (OSError, ValueError, TypeError, MemoryError) as error:
        if on_error == "raise":
            raise
        report.add(row, item, error)
        return False
    if short is not None:
        report.short.append(f"row {row}: {short.summary}")
    return True
