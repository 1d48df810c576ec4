"""Names of the clips of an embedding, from classes or tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def class_labels(
    y: Any, tags: Sequence[Any] | None, tag_names: Sequence[str] | None
) -> tuple[np.ndarray, list[str]]:
    """A name per clip, and all names in order; clips with other names are left out."""
    columns, y = list(getattr(y, "columns", [])), np.asarray(y)
    if y.ndim == 2:
        return _tag_labels(
            y, tags, (columns or None) if tag_names is None else tag_names
        )
    if tags is not None or tag_names is not None:
        raise ValueError(
            "tags and tag_names are for an indicator matrix y (n_clips, n_tags); got "
            f"y of shape {y.shape}."
        )
    classes, codes = np.unique(y, return_inverse=True)  # numbers in their own order
    names = [str(name) for name in classes]
    return np.array(names)[codes], names


def _tag_labels(
    y: np.ndarray, tags: Sequence[Any] | None, tag_names: Sequence[str] | None
) -> tuple[np.ndarray, list[str]]:
    columns = [str(i) for i in range(y.shape[1])]
    if tag_names is not None:
        columns = [str(name) for name in tag_names]
    if len(columns) != y.shape[1]:
        raise ValueError(
            f"tag_names must name the {y.shape[1]} columns of y; got {len(columns)}."
        )
    wanted = columns if tags is None else [_column(tag, columns) for tag in tags]
    has = y[:, [columns.index(name) for name in wanted]] > 0
    labels = np.array([" + ".join(np.array(wanted)[row]) for row in has])
    several = sorted(set(labels) - {"", *wanted})
    present = [name for name in [*wanted, *several] if name in set(labels)]
    return labels, present


def _column(tag: Any, columns: list[str]) -> str:
    """Name of a tag that is given by name or by column number."""
    if isinstance(tag, str) and tag in columns:
        return tag
    if not isinstance(tag, str) and 0 <= tag < len(columns):
        return columns[tag]
    raise ValueError(f"No tag {tag!r} among {columns}.")
