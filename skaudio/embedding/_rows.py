"""Rows of X to embeddings: clips are loaded in parts, and what failed is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from skaudio._audio._checks import all_finite
from skaudio._audio._load import load_parts
from skaudio._audio._parts import Part
from skaudio._audio._report import Report
from skaudio._utils._types import is_path, shown

# below it, squares and so variances of columns are zero in float32
LEAST = float(np.sqrt(np.finfo(np.float32).tiny))


def embed_rows(
    embed: Callable[[list[np.ndarray]], list[Any]],
    X: np.ndarray | list[Any],
    rows: Sequence[int],
    report: Report,
    *,
    on_error: str,
    **loading: Any,
) -> Iterator[Any]:
    """What `embed` makes of some rows of X; None for those that failed."""
    for part in load_parts(X, report, rows=rows, on_error=on_error, **loading):
        bad = {error["row"] for error in report.errors}
        clips = zip(part.rows, part.waveforms, strict=True)
        good = [clip for row, clip in clips if row not in bad]
        embedded = iter(embed(good) if good else ())
        for i, row in enumerate(part.rows):
            yield (
                None
                if row in bad
                else _checked(next(embedded), part, i, report, on_error)
            )


def _checked(output: Any, part: Part, i: int, report: Report, on_error: str) -> Any:
    """An embedding, or None if it is not finite: an error of that clip."""
    parts = output if isinstance(output, tuple) else (output,)
    if all(map(all_finite, parts)):
        parts[0][np.abs(parts[0]) < LEAST] = 0  # dead filters have some such
        return output
    row, item = part.rows[i], part.clips[i]
    name = shown(item) if is_path(item) else f"Clip {row} of X"
    message = (
        f"{name} is finite (its peak is {np.abs(part.waveforms[i]).max():.3g}), "
        "but its embedding is not. Scale it to [-1, 1], or leave it out; if that "
        "is its range already, the weights are damaged."
    )
    if on_error == "raise":
        raise ValueError(message)
    report.add(row, item, message)
    return None
