"""TUT Acoustic Scenes 2016: where a recording was made, with official folds."""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from skaudio._data_home import cache_folder
from skaudio.datasets._archives import Archive, Stated, extract, fetch
from skaudio.datasets._base import (
    encode_labels,
    make_bunch,
    set_subsets,
)

BASE_URL = "https://zenodo.org/records"
TITLE = "TUT-acoustic-scenes-2016"
# what is kept of the archives; nothing with another folder or a leading dot fits
MEMBER = re.compile(
    r"(audio/\w[\w.-]*\.wav|evaluation_setup/\w+\.txt|(meta|error)\.txt|EULA\.pdf"
    r"|README\.(md|html))"
)
CLIP = 30 * 44_100 * 2 * 3  # bytes
EVALUATION = 0  # the fold of clips that belong to none

DESCR = """\
TUT Acoustic Scenes 2016 (DCASE 2016, task 1)
---------------------------------------------
Clips of 30 s (44.1 kHz, 24 bit, binaural) in 15 acoustic scenes, such as bus, library
or forest path, cut from recordings of 3 to 5 minutes made in Finland, every one of them
in another place. The development set has 1,170 clips (78 of each scene) in 4 folds, the
evaluation set 390 (26 of each scene). Clips that were cut from the same recording
(`groups`) are in the same set and fold. Published figures are the mean accuracy over
the 4 folds, and the accuracy on the evaluation set after training on the development
set.

Licence: the publisher's own, free for non-commercial use; its terms are in the file
EULA.pdf beside the clips.

Reference: A. Mesaros, T. Heittola and T. Virtanen, "TUT Database for Acoustic Scene
Classification and Sound Event Detection", 24th European Signal Processing Conference
(EUSIPCO), 2016, 1128-1132.
"""


@dataclass(frozen=True)
class Release:
    """One of the two sets: where it is, and its published sizes."""

    record: int
    clips_per_class: int
    stated: Stated
    checksums: dict[str, str | None]


RELEASES = {
    "development": Release(
        record=45739,
        clips_per_class=78,
        stated=Stated(8_000_000_000, 9_300_000_000, CLIP),
        checksums={
            "doc": "md5:f94ad46eb36325d9fbce5d60f7fc9926",
            "meta": "md5:779b33da2ebbf8bde494b3c981827251",
            "error": "md5:a0d3e0d81b0a36ece87d0f3a9124a386",
            "audio.1": "md5:e39546e65f2e72517b6335aaf0c8323d",
            "audio.2": "md5:d36cf3253e2c041f68e937a3fe804807",
            "audio.3": "md5:0393a9620ab882b1c26d884eccdcffdd",
            "audio.4": "md5:fb3e4e0cd7ea82120ec07031dee558ce",
            "audio.5": "md5:a19cf600b33c8f88f6ad607bafd74057",
            "audio.6": "md5:591aad3219d1155342572cc1f6af5680",
            "audio.7": "md5:9e6c1897789e6bce13ac69c6caedb7ab",
            "audio.8": "md5:c4718354f48fcc9dfc7305f6cd8325c8",
        },
    ),
    "evaluation": Release(
        record=165995,
        clips_per_class=26,
        stated=Stated(2_700_000_000, 3_100_000_000, CLIP),
        checksums={
            "doc": "md5:ef315bf912d1124050646888cc3ceba2",
            "meta": "md5:0d5c131fc3f50c682de62e0e648aceba",
            "audio.1": "md5:7c6c2e54b8a9c4c37a803b81446d16fe",
            "audio.2": "md5:7930f1dc26707ab3ba9526073af87333",
            "audio.3": "md5:17187d633d6402aee4b481122a1b28f0",
        },
    ),
}


@dataclass(frozen=True)
class Layout:
    """What both sets have in common."""

    n_classes: int = 15
    n_folds: int = 4


LAYOUT = Layout()


def fetch_dcase2016(
    *,
    subset: str = "development",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Any:
    """Load the paths and labels of TUT Acoustic Scenes 2016 (DCASE 2016, task 1).

    What is missing is downloaded.

    =================   =================================================
    Classes             15
    Clips per class     78 (evaluation: 26)
    Clips               1,170 (evaluation: 390) of 30 s, 44.1 kHz, stereo
    Official folds      4 (evaluation: none)
    Download            8.0 GB (evaluation: 2.7 GB)
    On disk             9.3 GB (evaluation: 3.1 GB)
    =================   =================================================

    While a set is unpacked, the disk has to hold both the download and the clips.

    Parameters
    ----------
    subset : {"development", "evaluation", "all"}, default="development"
        The set with official folds, the set that the challenge was scored on, or both,
        development first. Each is downloaded only when it is asked for.
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
            Files, sorted by name within each set.
        target : ndarray of shape (n_clips,), dtype int
            Index of the class of each clip in ``target_names``.
        target_names : ndarray of shape (n_classes,), dtype str
            Names of the scenes, sorted.
        groups : ndarray of shape (n_clips,), dtype str
            Recording that the clip was cut from; each was made in another place.
        folds : ndarray of shape (n_clips,), dtype int
            Official fold that the clip is tested in, 1 to 4; 0 for evaluation clips,
            which belong to none.
        subset : ndarray of shape (n_clips,), dtype str, or None
            For "all": "train" for the development set, "test" for the evaluation set.
        train, valid, test : ndarray of int, or None
            Rows of these parts for "all"; there are none for validation.
        cv : cross-validation splitter or None
            The protocol as a `cv` argument, for X with all clips in order: the
            official folds of the development set; for "all" a single split that trains
            on the development set and tests on the evaluation set, as in [2]_; None
            for the evaluation set alone, which nothing is trained on.
        frame : DataFrame with n_clips rows
            File name, scene, recording, fold, set and path of each clip.
        DESCR : str
            Description, licence and reference.
    (paths, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    OSError
        If the data set is missing and may not or cannot be downloaded, or if what was
        downloaded is not the data set. Parts that arrived, and what arrived of a part
        before a connection broke, are kept and completed by the next call; the cache
        never holds half a set.

    Notes
    -----
    The archives are those of the Zenodo records 45739 (doi:10.5281/zenodo.45739) and
    165995 (doi:10.5281/zenodo.165995). Their md5 checksums are taken from dcase_util,
    the library of the data set's authors, and every archive has to match. Beyond that
    the list of files, the number of clips per class and the folds are checked.

    Stretches where a microphone failed or a telephone interfered are listed in the
    file ``error.txt`` beside the development clips. They are part of the official
    protocol and are not removed.

    References
    ----------
    .. [1] A. Mesaros, T. Heittola and T. Virtanen, "TUT Database for Acoustic Scene
       Classification and Sound Event Detection", EUSIPCO 2016, 1128-1132.
    .. [2] H. Phan, H. Le Nguyen, O. Y. Chen, L. Pham, P. Koch, I. McLoughlin and
       A. Mertins, "Multi-view Audio and Music Classification", ICASSP 2021, 611-615.

    Examples
    --------
    >>> from skaudio.datasets import fetch_dcase2016
    >>> scenes = fetch_dcase2016(subset="all")  # doctest: +SKIP
    >>> scenes.paths.shape, scenes.cv.get_n_splits()  # doctest: +SKIP
    ((1560,), 1)
    """
    subsets = {**{part: [part] for part in RELEASES}, "all": list(RELEASES)}
    if subset not in subsets:
        raise ValueError(f"subset must be one of {list(subsets)}; got {subset!r}.")
    folder = cache_folder("dcase2016", data_home)
    for part in subsets[subset]:
        fetch(
            f"the {part} set of TUT Acoustic Scenes 2016",
            _archives(part),
            folder / part,
            partial(_unpack, part),
            largest=RELEASES[part].stated.download,
            download_if_missing=download_if_missing,
            n_retries=n_retries,
            delay=delay,
        )
    data = _load(folder, subsets[subset])
    return (data.paths, data.target) if return_X_y else data


def _archives(part: str) -> list[Archive]:
    release = RELEASES[part]
    names = {f"{TITLE}-{part}.{key}.zip": key for key in release.checksums}
    return [
        Archive(f"{BASE_URL}/{release.record}/files/{name}", name, checksum)
        for name, checksum in zip(names, release.checksums.values(), strict=True)
    ]


def _load(folder: Path, parts: list[str]) -> Any:
    import pandas as pd

    frames = []
    for part in parts:
        frame = pd.read_csv(folder / part / "clips.csv", dtype={"source": str})
        frame["subset"] = part
        frame["path"] = [str(folder / part / name) for name in frame["filename"]]
        frames.append(frame)
    frame = pd.concat(frames, ignore_index=True)
    target, names = encode_labels(frame["scene_label"])
    data = make_bunch(frame, target, names, group="source", fold="fold", descr=DESCR)
    # in the protocol of both sets together, one is for training, the other for testing
    sides = frame["subset"].map({"development": "train", "evaluation": "test"})
    set_subsets(data, sides if len(parts) > 1 else None)
    if parts == ["evaluation"]:
        data.cv = None
    return data


def _unpack(part: str, archives: list[Path], folder: Path) -> None:
    """Extract clips, lists and licence; write the table that is made of the lists."""
    for archive in archives:
        with zipfile.ZipFile(archive) as file:
            wanted = {}
            for info in file.infolist():
                name = info.filename.removeprefix(f"{TITLE}-{part}/")
                if MEMBER.fullmatch(name):
                    wanted[info] = name
            extract(file, wanted, folder, RELEASES[part].stated)
    table = _table(part, folder)
    listed = set(table["filename"])
    found = {f"audio/{path.name}" for path in (folder / "audio").glob("*.wav")}
    if listed != found:
        different = sorted(listed ^ found)
        raise ValueError(f"lists and files differ in {len(different)}: {different[0]}")
    table.to_csv(folder / "clips.csv", index=False)


def _table(part: str, folder: Path) -> Any:
    """The table of the clips, once the lists are found to be the published ones."""
    import pandas as pd

    if part == "development":
        rows = [(*row, row[0]) for row in _rows(folder / "meta.txt", 2)]
    else:  # the files have new names; the third column has those they were cut with
        rows = _rows(folder / "evaluation_setup" / "evaluate.txt", 3)
    table = pd.DataFrame(rows, columns=["filename", "scene_label", "source"])
    table["source"] = [
        PurePosixPath(name).name.partition("_")[0] for name in table["source"]
    ]
    if table["filename"].duplicated().any():
        raise ValueError("its lists name a clip twice")
    wanted = RELEASES[part].clips_per_class
    counts = table["scene_label"].value_counts()
    if len(counts) != LAYOUT.n_classes or (counts != wanted).any():
        raise ValueError(
            f"it lists {len(table)} clips, not {wanted} of each of {LAYOUT.n_classes} "
            "scenes"
        )
    table["fold"] = EVALUATION
    if part == "development":
        folds = _folds(folder, set(table["filename"]))
        table["fold"] = table["filename"].map(folds)
    return table.sort_values("filename", ignore_index=True)


def _rows(path: Path, n_columns: int) -> list[tuple[str, ...]]:
    """The first columns of a published list."""
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    rows = [tuple(line.split()) for line in path.read_text("utf-8").splitlines()]
    rows = [row[:n_columns] for row in rows if row]
    if any(len(row) < n_columns for row in rows):
        raise ValueError(f"{path.name} has rows with fewer than {n_columns} columns")
    return rows


def _folds(folder: Path, clips: set[str]) -> dict[str, int]:
    """The fold that each clip is tested in."""
    folds: dict[str, int] = {}
    for fold in range(1, LAYOUT.n_folds + 1):
        name = f"fold{fold}_evaluate.txt"
        tested = {row[0] for row in _rows(folder / "evaluation_setup" / name, 1)}
        again = sorted(tested & folds.keys())
        if again:
            raise ValueError(f"{name} and an earlier fold both test {again[0]}")
        folds |= dict.fromkeys(tested, fold)
    different = sorted(clips ^ folds.keys())
    if different:
        raise ValueError(f"its folds do not test each clip once: {different[0]}")
    return folds
