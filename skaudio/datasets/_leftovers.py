"""What killed processes left in the folder of a data set."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

UNPACKING = "unpacking-"  # folders that are being filled
RETRIEVING = re.compile(r"tmp[a-z0-9_]{8}")  # pooch's copies of downloads
FORGOTTEN = 3600.0  # seconds without a change after which no process works on it


def remove_leftovers(folder: Path, done: Sequence[str]) -> None:
    """Delete half unpacked folders, and what was downloaded for what is there already.

    What changed within the last hour may belong to a living process and stays.
    Downloads that broke off stay as well: the next one completes them.

    Parameters
    ----------
    folder : Path
        Of a data set.
    done : sequence of str
        Names of downloads that are no longer needed.
    """
    long_ago = time.time() - FORGOTTEN
    unneeded = {*done, *(f"{name}.part" for name in done)}
    with suppress(OSError):  # somebody else's folder: fetching says so
        for path in list(folder.iterdir()):
            is_half = path.name.startswith(UNPACKING) and path.is_dir()
            is_unneeded = path.name in unneeded or RETRIEVING.fullmatch(path.name)
            if not (is_half or is_unneeded) or _changed(path) > long_ago:
                continue
            if is_half:
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_file():
                path.unlink(missing_ok=True)


def _changed(path: Path) -> float:
    """When anything in a folder, or a file, last changed."""
    return max((os.lstat(p).st_mtime for p in _all(path)), default=0.0)


def _all(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir():
        yield from path.rglob("*")
