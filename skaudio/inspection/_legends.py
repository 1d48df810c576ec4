"""Legends that fit into their figures."""

from __future__ import annotations

from collections.abc import Sequence

LETTER, MARKER = 0.09, 0.6  # inches of a letter and of a marker, in the usual font
ROW = 0.21  # inches of a row
MOST_COLUMNS = 8
MOST_INSIDE = 10  # entries within axes, beside curves or points


def width_of(names: Sequence[str]) -> float:
    """Inches of a column with these names."""
    return LETTER * max(map(len, names), default=0) + MARKER


def columns_of(names: Sequence[str], width: float) -> int:
    """Columns of a legend above panels, which are so many inches wide."""
    n = int(width / width_of(names))
    return max(1, min(n, MOST_COLUMNS, len(names)))


def height_of(names: Sequence[str], width: float) -> float:
    """Inches that rows after the first take above panels."""
    return ROW * (-(-len(names) // columns_of(names, width)) - 1)


def short(name: str, limit: int) -> str:
    """A name of not too many letters."""
    return name if len(name) <= limit else name[: limit - 1] + "…"
