"""Where data sets are kept, and the form in which they are handed over."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import PredefinedSplit, check_cv
from sklearn.utils import Bunch

from skaudio.datasets._splits import PARTS
from skaudio.datasets._tables import sorted_names

MARKER = ".skaudio-data-set"  # clear_data_home deletes only folders that have it


def get_data_home(data_home: str | os.PathLike[str] | None = None) -> str:
    """Return the folder that fetched data sets are kept in, and make it.

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
    if data_home is None:
        data_home = os.environ.get("SKAUDIO_DATA") or Path("~", "skaudio_data")
    home = Path(data_home).expanduser()
    home.mkdir(parents=True, exist_ok=True)
    return str(home)


def clear_data_home(data_home: str | os.PathLike[str] | None = None) -> None:
    """Delete every data set that was fetched into `data_home`.

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


def cache_folder(name: str, data_home: str | os.PathLike[str] | None) -> Path:
    """The folder of one fetched data set, marked as ours."""
    folder = Path(get_data_home(data_home)) / name
    folder.mkdir(exist_ok=True)
    (folder / MARKER).touch()
    return folder


def encode_labels(labels: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Integers 0..n-1 and the names they stand for: in order of numbers, or of text."""
    labels = list(labels)
    names = sorted_names(labels)
    indices = {name: i for i, name in enumerate(names)}
    return np.array([indices[label] for label in labels]), np.array(names, dtype=str)


def make_bunch(
    frame: Any,
    target: np.ndarray,
    target_names: np.ndarray,
    *,
    group: str | None,
    fold: str | None,
    descr: str,
) -> Bunch:
    """Bunch of a data set whose ``frame`` has a row, with its path, for every clip."""
    groups = None if group is None else frame[group].to_numpy()
    folds = None if fold is None else frame[fold].to_numpy()
    return Bunch(
        paths=frame["path"].to_numpy(dtype=str),
        target=target,
        target_names=target_names,
        groups=groups,
        folds=folds,
        cv=None if folds is None else PredefinedSplit(folds),
        frame=frame,
        DESCR=descr,
    )


def set_subsets(data: Bunch, subset: Any) -> None:
    """Note the part of a split that each clip is in, and the rows of every part.

    The split is a `cv` that trains on "train" and tests on "test", or on "valid" where
    nothing is for testing. None notes that there is no split.
    """
    if subset is None:
        data.update(dict.fromkeys(("subset", *PARTS)))
        return
    data.subset = np.asarray(subset, dtype=str)
    data.update({part: np.flatnonzero(data.subset == part) for part in PARTS})
    tested = data.test if len(data.test) else data.valid
    data.cv = check_cv([(data.train, tested)])
