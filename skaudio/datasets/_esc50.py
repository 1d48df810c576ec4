"""ESC-50 and ESC-10: environmental sounds with official folds."""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skaudio._data_home import cache_folder
from skaudio.datasets._archives import (
    TEXT,
    Archive,
    Stated,
    extract,
    fetch,
)
from skaudio.datasets._base import make_bunch

BASE_URL = "https://github.com/karolpiczak/ESC-50/archive"
COMMIT = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"
COLUMNS = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
CLIP_NAME = re.compile(
    r"(?P<fold>\d)-(?P<src>\d+)-(?P<take>[A-Z])-(?P<target>\d+)\.wav"
)

DESCR = """\
ESC-50: environmental sound classification
------------------------------------------
2,000 clips of 5 s (44.1 kHz, 16 bit, mono) in 50 classes of 40, cut from recordings
of freesound.org and padded with zeros where the recording is shorter. ESC-10 is a
subset of 10 classes. Both are divided into 5 folds of equal size; clips that were cut
from the same recording (`groups`) are in the same fold. The published figure is the
mean accuracy over the 5 folds (`cv`); splitting otherwise inflates it.

Licence: ESC-50 CC BY-NC 3.0, ESC-10 CC BY 3.0; authors of the recordings are named in
the LICENSE file beside the clips.

Reference: K. J. Piczak, "ESC: Dataset for Environmental Sound Classification",
Proceedings of the 23rd ACM International Conference on Multimedia, 2015, 1015-1018.
"""


@dataclass(frozen=True)
class Layout:
    """Published contents of the data set, which a download must match."""

    n_classes: int = 50
    n_folds: int = 5
    clips_per_class_and_fold: int = 8
    clip_bytes: int = 5 * 44_100 * 2  # 5 s of 16 bit; the header comes on top


LAYOUT = Layout()
DOWNLOAD, ON_DISK = 650_000_000, 900_000_000  # bytes, as stated below


def fetch_esc50(
    *,
    subset: str | None = None,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Any:
    """Load the paths and labels of ESC-50 or ESC-10, downloading it if necessary.

    =================   ============================================
    Classes             50 (ESC-10: 10)
    Clips per class     40
    Clips               2,000 (ESC-10: 400) of 5 s, 44.1 kHz, mono
    Official folds      5
    Download, on disk   about 0.65 GB, 0.9 GB
    =================   ============================================

    Parameters
    ----------
    subset : {"esc10"} or None, default=None
        None for all of ESC-50, "esc10" for its ten easier classes. Both come with
        the same download.
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
            Index of the class of each clip in ``target_names``.
        target_names : ndarray of shape (n_classes,), dtype str
            Names of the classes in the official order.
        groups : ndarray of shape (n_clips,), dtype int
            Recording on freesound.org that the clip was cut from.
        folds : ndarray of shape (n_clips,), dtype int
            Official fold, 1 to 5.
        cv : :class:`~sklearn.model_selection.PredefinedSplit`
            The official folds as a `cv` argument, for X with all clips in order.
        frame : DataFrame with n_clips rows
            The published table, with a column ``path`` added.
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

    Notes
    -----
    The archive of one fixed commit of the author's repository is taken. No checksum
    of it is published, so what can be checked is: the commit named in the archive,
    the checksum of every member, the list of files, their sizes (no download and no
    clip may have more than twice the stated bytes), the number of clips
    per class and fold, and that names and table agree. The sha256 of an archive that
    passed is recorded beside the data and must match when it is fetched again.

    References
    ----------
    .. [1] K. J. Piczak, "ESC: Dataset for Environmental Sound Classification",
       ACM Multimedia 2015, 1015-1018.

    Examples
    --------
    >>> from skaudio.datasets import fetch_esc50
    >>> esc10 = fetch_esc50(subset="esc10")  # doctest: +SKIP
    >>> esc10.paths.shape, esc10.cv.get_n_splits()  # doctest: +SKIP
    ((400,), 5)
    """
    if subset not in (None, "esc10"):
        raise ValueError(f"subset must be None or 'esc10'; got {subset!r}.")
    final = cache_folder("esc50", data_home) / f"data-{COMMIT[:12]}"
    fetch(
        "ESC-50",
        [Archive(f"{BASE_URL}/{COMMIT}.zip", f"{COMMIT[:12]}.zip")],
        final,
        _unpack,
        largest=DOWNLOAD,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    data = _load(final, subset)
    return (data.paths, data.target) if return_X_y else data


def _load(final: Path, subset: str | None) -> Any:
    import pandas as pd

    frame = pd.read_csv(final / "esc50.csv")
    if subset == "esc10":
        frame = frame[frame["esc10"]]
    frame = frame.sort_values("filename", ignore_index=True)
    frame["path"] = [str(final / "audio" / name) for name in frame["filename"]]
    names = frame.drop_duplicates("target").sort_values("target")["category"]
    target = np.unique(frame["target"], return_inverse=True)[1]
    return make_bunch(
        frame,
        target,
        names.to_numpy(dtype=str),
        group="src_file",
        fold="fold",
        descr=DESCR,
    )


def _unpack(archives: list[Path], folder: Path) -> None:
    """Extract table, licence and clips, checking everything that can be checked."""
    with zipfile.ZipFile(archives[0]) as file:
        commit = file.comment.decode("ascii", "replace")
        if re.fullmatch("[0-9a-f]{40}", commit) and commit != COMMIT:
            raise ValueError(f"it is of commit {commit}, not {COMMIT}")
        members = {
            info.filename.partition("/")[2]: info
            for info in file.infolist()
            if not info.is_dir()
        }
        targets = {"meta/esc50.csv": "esc50.csv", "LICENSE": "LICENSE"}
        missing = sorted(set(targets) - set(members))
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        if members["meta/esc50.csv"].file_size > TEXT:
            raise ValueError(f"its table has more than {TEXT} bytes")
        names = _check_table(file.read(members["meta/esc50.csv"]))
        _check_members(members, names)
        targets |= {f"audio/{name}": f"audio/{name}" for name in names}
        wanted = {members[name]: target for name, target in targets.items()}
        stated = Stated(DOWNLOAD, ON_DISK, LAYOUT.clip_bytes)
        extract(file, wanted, folder, stated)


def _check_table(content: bytes) -> list[str]:
    """Names of the clips, once the table is found to be the published one."""
    import io

    import pandas as pd

    table = pd.read_csv(io.BytesIO(content))
    if list(table.columns) != COLUMNS:
        raise ValueError(f"its table has columns {list(table.columns)}, not {COLUMNS}")
    counts = table.groupby(["target", "fold"]).size()
    wanted = LAYOUT.n_classes * LAYOUT.n_folds
    if len(counts) != wanted or (counts != LAYOUT.clips_per_class_and_fold).any():
        raise ValueError(
            f"its table lists {len(table)} clips, not {LAYOUT.clips_per_class_and_fold}"
            f" of each of {LAYOUT.n_classes} classes in each of {LAYOUT.n_folds} folds"
        )
    for row in table.itertuples():
        match = CLIP_NAME.fullmatch(row.filename)
        stated = (str(row.fold), str(row.src_file), row.take, str(row.target))
        if match is None or match.groups() != stated:
            raise ValueError(f"its table contradicts the file name {row.filename}")
    names: list[str] = table["filename"].tolist()
    return names


def _check_members(members: dict[str, zipfile.ZipInfo], names: list[str]) -> None:
    found = {name for name in members if name.startswith("audio/")}
    listed = {f"audio/{name}" for name in names}
    clips = {name for name in found if name.endswith(".wav")}
    if clips != listed:
        different = sorted(clips ^ listed)
        raise ValueError(f"table and files differ in {len(different)}: {different[0]}")
    for name in sorted(clips):
        if members[name].file_size < LAYOUT.clip_bytes:
            raise ValueError(f"{name} has only {members[name].file_size} bytes")
