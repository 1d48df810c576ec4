"""UrbanSound8K: sounds of the city with official folds."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skaudio._data_home import cache_folder
from skaudio.datasets._archives import Archive, Stated, extract_tar, fetch
from skaudio.datasets._base import make_bunch
from skaudio.datasets._faults import fault, refuse_many_faulty, without_faulty

URL = "https://zenodo.org/records/1203745/files"
AUDIO = "UrbanSound8K.tar.gz"
CHECKSUMS: dict[str, str | None] = {AUDIO: "md5:9aa69802bbf37fb986f71ec1483a196e"}
TABLE = "metadata/UrbanSound8K.csv"
COLUMNS = "slice_file_name fsID start end salience fold classID class".split()
MEMBER = re.compile(
    rf"(?:\./)?UrbanSound8K/(?P<file>audio/fold\d+/\d+-\d+-\d+-\d+\.wav|{TABLE}"
    r"|UrbanSound8K_README\.txt|FREESOUNDCREDITS\.txt)"
)
CLIP = 4 * 192_000 * 2 * 4  # bytes: 4 s at the highest rate, stereo, 32 bit
# the size on disk is not published: a generous estimate, which only bounds unpacking
STATED = Stated(download=6_023_741_708, clips=7_100_000_000, clip=CLIP)

DESCR = """\
UrbanSound8K: sounds of the city
--------------------------------
8,732 clips of at most 4 s in 10 classes, such as dog bark, siren or street music, cut
from 1,297 recordings of freesound.org. They have the rate, bit depth and number of
channels of the recording. Seven classes have 1,000 clips, siren 929, car horn 429 and
gun shot 374. The published figure is the mean accuracy over 10 official folds (`cv`);
other folds put clips of one recording on both sides, which inflates it.

Licence: Creative Commons Attribution-NonCommercial 3.0 (CC BY-NC 3.0); authors of the
recordings are named in the file FREESOUNDCREDITS.txt beside the clips.

Reference: J. Salamon, C. Jacoby and J. P. Bello, "A Dataset and Taxonomy for Urban
Sound Research", 22nd ACM International Conference on Multimedia, 2014, 1041-1044.
"""


@dataclass(frozen=True)
class Layout:
    """Published contents of the data set, which a download must match."""

    classes: dict[str, int] = field(
        default_factory=lambda: {
            "air_conditioner": 1000,
            "car_horn": 429,
            "children_playing": 1000,
            "dog_bark": 1000,
            "drilling": 1000,
            "engine_idling": 1000,
            "gun_shot": 374,
            "jackhammer": 1000,
            "siren": 929,
            "street_music": 1000,
        }
    )
    folds: tuple[int, ...] = (873, 888, 925, 990, 936, 823, 838, 806, 816, 837)
    max_faulty: int = 87  # more than these, and it is another data set


LAYOUT = Layout()


def fetch_urbansound8k(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Any:
    """Load the paths and labels of UrbanSound8K, downloading it if necessary.

    =================   ===========================================
    Classes             10
    Clips per class     374 to 1,000
    Clips               8,732 of at most 4 s, mono and stereo
    Sampling rates      those of the recordings
    Official folds      10
    Download            6.0 GB
    =================   ===========================================

    While it is unpacked, the disk has to hold both the download and the clips.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        Folder to keep data sets in; None as in
        :func:`~skaudio.datasets.get_data_home`.
    download_if_missing : bool, default=True
        If False, raise an OSError instead of downloading.
    return_X_y : bool, default=False
        Return ``(paths, target)`` instead of a Bunch.
    n_retries : int, default=3
        Further attempts when the download breaks off.
    delay : float, default=1.0
        Seconds between attempts.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        paths : ndarray of shape (n_clips,), dtype str
            Files, sorted by name.
        target : ndarray of shape (n_clips,), dtype int
            Index of the class of each clip in ``target_names``, as published.
        target_names : ndarray of shape (n_classes,), dtype str
            Names of the classes in the official order.
        groups : ndarray of shape (n_clips,), dtype int
            Recording on freesound.org that the clip was cut from.
        folds : ndarray of shape (n_clips,), dtype int
            Official fold, 1 to 10.
        cv : :class:`~sklearn.model_selection.PredefinedSplit`
            The official folds as a `cv` argument, for X with all clips in order.
        frame : DataFrame with n_clips rows
            The published table, with a column ``path`` added: file name, recording
            (``fsID``), start and end in the recording in seconds, salience (1 in the
            foreground, 2 in the background), fold and class.
        DESCR : str
            Description, licence and reference.
    (paths, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    OSError
        If the data set is missing and may not or cannot be downloaded, or if what was
        downloaded is not the data set. What arrived before a connection broke is kept
        and completed by the next call; the cache never holds half a data set.

    Warns
    -----
    UserWarning
        If a clip is missing or unreadable. It is left out of everything that is
        returned, and named. Put a good file in its place and the next call has it.

    Notes
    -----
    The archive is that of the Zenodo record 1203745 (doi:10.5281/zenodo.1203745); it
    has to have the md5 that Zenodo states. Beyond that the table, the number of clips
    per class and per fold, and the names of the files are checked. The headers of all
    files are read once, when they are unpacked. With more than 87 clips (1 %) that are
    missing or unreadable, nothing is installed.

    Five of the 1,297 recordings (77751, 106905, 132016, 176638, 180937) have clips in
    two of the official folds. The folds are left as they were published, so that
    figures can be compared.

    References
    ----------
    .. [1] J. Salamon, C. Jacoby and J. P. Bello, "A Dataset and Taxonomy for Urban
       Sound Research", ACM Multimedia 2014, 1041-1044.

    Examples
    --------
    >>> from skaudio.datasets import fetch_urbansound8k
    >>> sounds = fetch_urbansound8k()  # doctest: +SKIP
    >>> sounds.paths.shape, sounds.cv.get_n_splits()  # doctest: +SKIP
    ((8732,), 10)
    """
    final = cache_folder("urbansound8k", data_home) / "data"
    fetch(
        "UrbanSound8K",
        [Archive(f"{URL}/{AUDIO}", AUDIO, CHECKSUMS[AUDIO])],
        final,
        _unpack,
        largest=STATED.download,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    data = _load(final)
    return (data.paths, data.target) if return_X_y else data


def _load(final: Path) -> Any:
    frame = _read(final / "clips.csv")
    frame["path"] = [str(final / file) for file in _files(frame)]
    frame = without_faulty(frame, "UrbanSound8K")
    return make_bunch(
        frame,
        frame["classID"].to_numpy(),
        _names(LAYOUT.classes),
        group="fsID",
        fold="fold",
        descr=DESCR,
    )


def _names(classes: dict[str, int]) -> Any:
    import numpy as np

    return np.array(list(classes), dtype=str)


def _read(path: Path) -> Any:
    import pandas as pd

    return pd.read_csv(path, keep_default_na=False)


def _files(table: Any) -> list[str]:
    """Where the clips are, in the archive and on disk."""
    names = zip(table["fold"], table["slice_file_name"], strict=True)
    return [f"audio/fold{fold}/{name}" for fold, name in names]


def _unpack(archives: list[Path], folder: Path) -> None:
    """Extract clips, table and credits; note which files can't be read."""

    def name_of(member: str) -> str | None:
        match = MEMBER.fullmatch(member)
        return match["file"] if match else None

    found = {*extract_tar(archives[0], name_of, folder, STATED)}
    if TABLE not in found:
        raise ValueError(f"{TABLE} is missing")
    table = _read(folder / TABLE)
    _check(table)
    table = table.sort_values("slice_file_name", ignore_index=True)
    files = _files(table)
    others = sorted({name for name in found if name.endswith(".wav")} - {*files})
    if others:
        raise ValueError(f"it holds {len(others)} other clips: {others[0]}")
    table["fault"] = [fault(folder / file) for file in files]
    faulty = table.rename(columns={"slice_file_name": "filename"})
    refuse_many_faulty(faulty, LAYOUT.max_faulty)
    table.to_csv(folder / "clips.csv", index=False)


def _check(table: Any) -> None:
    """Refuse a table that is not the published one."""
    if list(table.columns) != COLUMNS:
        raise ValueError(f"its table has columns {list(table.columns)}, not {COLUMNS}")
    names = table["slice_file_name"]
    if names.duplicated().any():
        raise ValueError(f"its table has {names[names.duplicated()].iloc[0]} twice")
    folds = {1 + i: n for i, n in enumerate(LAYOUT.folds)}
    for column, wanted in (("fold", folds), ("class", LAYOUT.classes)):
        counts = table[column].value_counts().to_dict()
        if counts != wanted:
            raise ValueError(f"its table has {counts} clips of each {column}: {wanted}")
    numbers = dict(zip(LAYOUT.classes, range(len(LAYOUT.classes)), strict=True))
    for row in table.to_dict("records"):
        stated = f"{row['fsID']}-{row['classID']}-"
        name = row["slice_file_name"]
        if not name.startswith(stated) or numbers[row["class"]] != row["classID"]:
            raise ValueError(f"its table contradicts the file name {name}")
