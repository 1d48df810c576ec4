"""Tables of labelled segments: one form everywhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Segment(NamedTuple):
    """A stretch of a recording with one label."""

    recording: Any
    start: float  # seconds
    end: float
    label: Any
    probability: float


COLUMNS = list(Segment._fields)
TIMES = ["start", "end"]


def table_of(segments: list[Segment]) -> Any:
    """Segments as a DataFrame with the columns of `Segment`."""
    import pandas as pd

    frame = pd.DataFrame(segments, columns=COLUMNS)
    return frame.astype({"start": float, "end": float, "probability": float})


def check_segments(table: Any, name: str = "segments") -> Any:
    """Validate a table of segments, and give it the columns of `Segment`.

    Parameters
    ----------
    table : DataFrame, or list of dict or of Segment
        With the columns ``start``, ``end`` and ``label``; one recording, 0, if there is
        no column ``recording``, and unknown probabilities if there are none.
    name : str, default="segments"
        What it is called in messages.

    Returns
    -------
    table : DataFrame
        A copy, with a new index.
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        table = _frame(table, name)
    missing = [c for c in (*TIMES, "label") if c not in table.columns]
    if missing:
        raise ValueError(
            f"{name} has no column {missing[0]!r}; it has {list(table.columns)}. "
            f"A table of segments has the columns {COLUMNS}."
        )
    table = table.reset_index(drop=True).copy()
    if "recording" not in table:
        table["recording"] = 0
    if "probability" not in table:
        table["probability"] = np.nan
    table = table[COLUMNS]
    for column in (*TIMES, "probability"):
        try:
            table[column] = table[column].astype(float)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Column {column!r} of {name} must hold numbers ({error})."
            ) from None
    _check_rows(table, name)
    return table


def _frame(table: Any, name: str) -> Any:
    import pandas as pd

    if isinstance(table, (str, bytes)) or not hasattr(table, "__len__"):
        raise TypeError(
            f"{name} must be a DataFrame with the columns {COLUMNS}; got "
            f"{type(table).__name__}. Files are read by skaudio.segmentation."
            "read_segments."
        )
    return pd.DataFrame(table, columns=None if len(table) else COLUMNS)


def _check_rows(table: Any, name: str) -> None:
    start, end = table["start"].to_numpy(), table["end"].to_numpy()
    unknown = table["label"].isna().to_numpy() | ~np.isfinite(start + end)
    if unknown.any():
        row = int(np.argmax(unknown))
        raise ValueError(
            f"Row {row} of {name} has no times or no label, as a recording that could "
            "not be loaded. Drop such rows: segments.dropna(subset='start')."
        )
    wrong = (end < start) | (start < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"Row {row} of {name} goes from {start[row]:g} s to {end[row]:g} s. A "
            "segment starts at 0 or later, and ends where it starts or later."
        )
