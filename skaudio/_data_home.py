"""Where what was fetched is kept: data sets, and published weights."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MARKER = ".skaudio-data-set"  # clear_data_home deletes only folders that have it


def get_data_home(data_home: str | os.PathLike[str] | None = None) -> str:
    """Return the folder that data sets and weights are kept in, and make it.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder. None takes the environment variable ``SKAUDIO_DATA``, or
        ``~/skaudio_data`` if that is not set.

    Returns
    -------
    data_home : str
        The folder, which exists.

    Examples
    --------
    >>> import os, tempfile
    >>> from skaudio.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     home = get_data_home(os.path.join(folder, "sounds"))
    ...     os.path.basename(home), os.path.isdir(home)
    ('sounds', True)
    """
    home = _home(data_home)
    home.mkdir(parents=True, exist_ok=True)
    return str(home)


def _home(data_home: str | os.PathLike[str] | None) -> Path:
    if data_home is None:
        data_home = os.environ.get("SKAUDIO_DATA") or Path("~", "skaudio_data")
    return Path(data_home).expanduser()


def clear_data_home(data_home: str | os.PathLike[str] | None = None) -> None:
    """Delete every data set, and published weights, that `data_home` has.

    Other files in that folder, and the folder, are left alone.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder; None as in :func:`get_data_home`.

    Examples
    --------
    >>> import tempfile
    >>> from skaudio.datasets import clear_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clear_data_home(folder)
    """
    for marker in Path(get_data_home(data_home)).glob(f"*/{MARKER}"):
        shutil.rmtree(marker.parent)


def folder_of(name: str, data_home: str | os.PathLike[str] | None) -> Path:
    """The folder of one data set, which need not be there."""
    return _home(data_home) / name


def cache_folder(name: str, data_home: str | os.PathLike[str] | None) -> Path:
    """The folder of one fetched data set, marked as ours."""
    folder = Path(get_data_home(data_home)) / name
    folder.mkdir(exist_ok=True)
    (folder / MARKER).touch()
    return folder
