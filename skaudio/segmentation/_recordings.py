"""Recordings of X, block by block."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skaudio._audio._arrays import PCM_SCALE, to_floats
from skaudio._audio._checks import CutShortError, check_samples
from skaudio._audio._decode import decode
from skaudio._audio._load import load_clips
from skaudio._utils._container import Views
from skaudio._utils._rows import clips_of, to_numpy
from skaudio._utils._types import FLOATS, is_path, shown
from skaudio.segmentation._stream import FrameStream, SoundError

BLOCK = 2**18  # samples of arrays that are handed on at a time


class _StreamError(BaseException):
    """What went wrong where samples are taken, which is no fault of the reader."""

    def __init__(self, error: Exception) -> None:
        self.error = error


@contextmanager
def _passing_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise _StreamError(error) from error


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


def read(item: Any, row: int, stream: FrameStream, mono: str) -> CutShortError | None:
    """Push a recording into a stream, block by block, and finish it.

    Parameters
    ----------
    item : clip
        A row of X.
    row : int
        Its number.
    stream : FrameStream
        What takes the blocks, at its rate.
    mono : {"average", "raise"}
        What to do with more than one channel.

    Returns
    -------
    short : CutShortError or None
        What is wrong if only a part of the recording is there.
    """

    def push(samples: np.ndarray) -> None:
        with _passing_errors():
            stream.push(samples)

    is_file = hasattr(item, "read") and hasattr(item, "seek")
    is_named = is_path(item) and bool(os.fspath(item))
    short = None
    try:
        if is_file or is_named:
            name = f"Clip {row} of X"
            decode(item, None, name=name, mono=mono, sr=stream.sr, receive=push)
        else:
            for block in _blocks(item, row, stream.sr, mono):
                push(block)
    except CutShortError as error:
        short = error
    with _passing_errors():
        stream.finish()
    return short


def _blocks(item: Any, row: int, sr: float, mono: str) -> Iterator[np.ndarray]:
    """Samples of an array; those that only need scaling are not copied at once."""
    dtype = getattr(item, "dtype", None)
    is_plain = dtype in FLOATS or getattr(dtype, "name", "") in PCM_SCALE
    if isinstance(item, np.ndarray) and item.ndim == 1 and is_plain:
        samples = check_samples(item, f"Clip {row} of X")
    else:
        (samples,), _ = load_clips([item], sr=sr, mono=mono, rows=[row])
    for start in range(0, len(samples), BLOCK):
        yield to_floats(samples[start : start + BLOCK], f"Clip {row} of X")


def read_or_report(
    item: Any, row: int, stream: FrameStream, mono: str, report: Any, on_error: str
) -> bool:
    """Read a recording, and treat its faults by the policy; whether it is there."""
    try:
        short = read(item, row, stream, mono)
        if short is not None and on_error != "warn":
            raise short
    except _StreamError as passed:
        if not isinstance(passed.error, SoundError):
            raise passed.error from None
        name = shown(item) if is_path(item) else f"Clip {row} of X"
        fault: Exception = passed.error.about(name)
    except (OSError, ValueError, TypeError, MemoryError) as error:
        fault = error
    else:
        if short is not None:
            report.short[row] = short.summary
        return True
    if on_error == "raise":
        raise fault
    report.add(row, item, fault)
    return False
