"""Clips of a published data set that are missing or can't be read."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path
from typing import Any

from skaudio._utils._text import shortened


def fault(path: Path, *, header: bool = True) -> str:
    """What is wrong with an audio file, "" if nothing is.

    That is judged by its header, or, for files that are too many to open, by its size.
    """
    import soundfile

    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            return "no file"
        open(path, "rb").close()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"unreadable: {error.strerror}"
    if not header:
        return "" if found.st_size else "empty"
    try:
        frames = soundfile.info(path).frames
    except soundfile.LibsndfileError as error:
        return f"unreadable: {error.error_string.rstrip('.')}"
    return "" if frames > 0 else "empty"


def refuse_many_faulty(table: Any, most: int) -> None:
    """Raise a ValueError if more clips than that have a fault."""
    faulty = table[table["fault"] != ""]
    if len(faulty) > most:
        first = faulty.iloc[0]
        raise ValueError(
            f"{len(faulty)} of its {len(table)} clips are missing or unreadable: "
            f"{first['filename']} ({first['fault']})"
        )


def without_faulty(frame: Any, what: str) -> Any:
    """The clips that can be read, and a warning that names the others.

    The warning points to the caller's caller's caller: to who fetches the data set.
    """
    good = frame["fault"] == ""
    for row in frame[~good].itertuples():
        good[row.Index] = fault(Path(row.path)) == ""  # it may have been replaced
    bad = frame[~good]
    if len(bad):
        named = shortened((f"{row.path} ({row.fault})" for row in bad.itertuples()), 10)
        warnings.warn(
            f"{len(bad)} of the {len(frame)} clips of {what} cannot be used and "
            f"{'is' if len(bad) == 1 else 'are'} left out: {named}. To have all, put a "
            "good file in its place and call again.",
            stacklevel=4,
        )
    return frame[good].reset_index(drop=True).drop(columns="fault")
