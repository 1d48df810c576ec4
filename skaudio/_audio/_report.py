"""What went wrong with the clips of one call, and the one warning about it."""

from __future__ import annotations

import os
import warnings
from operator import itemgetter
from typing import Any

from skaudio._utils._failed import note_errors
from skaudio._utils._types import is_path

SHOWN = 3  # clips that a warning names


class Report:
    """Clips that failed, and those of which only a part is there.

    Attributes
    ----------
    errors : list of dict
        ``{"row", "path", "error"}`` of each failed clip, in order of rows.
    short : dict of int to str
        File and counts of each clip that was loaded as far as it goes, by row.
    """

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []
        self.short: dict[int, str] = {}

    def add(self, row: int, item: Any, error: Exception | str) -> None:
        """Note that the clip of a row failed."""
        path = os.fsdecode(item) if is_path(item) else None
        self.errors.append({"row": row, "path": path, "error": str(error)})

    def close(self, owner: Any, n_clips: int, on_error: str) -> None:
        """Note what failed, and warn: at the end of a call."""
        self.note(owner)
        self.warn(n_clips, on_error)

    def note(self, owner: Any) -> None:
        """Set ``owner.errors_`` to what failed so far."""
        self.errors.sort(key=itemgetter("row"))
        note_errors(owner, list(self.errors))

    def warn(self, n_clips: int, on_error: str) -> None:
        """Warn of all clips at once, if the policy is to warn."""
        if on_error != "warn" or not (self.errors or self.short):
            return
        told = []
        if self.errors:
            failed = [f"row {e['row']}: {e['error']}" for e in self.errors]
            told.append(
                f"{len(failed)} of {n_clips} clips could not be loaded and are NaN: "
                f"{_first(failed)}"
            )
        if self.short:
            short = [f"row {row}: {text}" for row, text in self.short.items()]
            told.append(
                f"{len(self.short)} of {n_clips} clips are cut short, or their headers "
                f"are wrong; what is there was loaded: {_first(short)}"
            )
        warnings.warn(". ".join(told), UserWarning, stacklevel=3)


def _first(texts: list[str]) -> str:
    more = f"; and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return "; ".join(texts[:SHOWN]) + more
