"""MUSAN: music, speech and noise."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skaudio._data_home import cache_folder
from skaudio.datasets._archives import Archive, Stated, fetch
from skaudio.datasets._classes import load_classes, unpack_classes

URL = "https://www.openslr.org/resources/17"
AUDIO = "musan.tar.gz"
CHECKSUMS: dict[str, str | None] = {AUDIO: "md5:0c472d4fc0c5141eca47ad1ffeb2a7df"}
MEMBER = re.compile(
    r"(?:\./)?musan/(?P<file>README"
    r"|(?:music|noise|speech)/[a-z-]+/(?:LICENSE|ANNOTATIONS|README)"
    r"|(?P<class>music|noise|speech)/[a-z-]+/(?P=class)-[a-z-]+-\d{4}\.wav)"
)
BYTES_PER_SECOND = 16_000 * 2
STATED = Stated(  # about 109 hours; the longest file has 16 minutes and a half
    download=11_086_114_085,
    clips=109 * 3600 * BYTES_PER_SECOND,
    clip=1000 * BYTES_PER_SECOND,
)
PERCENT = {"train": 65, "valid": 10, "test": 25}  # the SwishNet paper's

DESCR = """\
MUSAN: music, speech and noise
------------------------------
About 109 hours (16 kHz, 16 bit, mono): 660 files of music of several genres, 426 of
speech in twelve languages, and 930 of technical and other noises, of 0.1 s to 16
minutes. No split was published.

Licence: Creative Commons Attribution 4.0 (CC BY 4.0). The recordings are in the public
domain or under licences of Creative Commons, which the files LICENSE beside them name.

Reference: D. Snyder, G. Chen and D. Povey, "MUSAN: A Music, Speech, and Noise Corpus",
arXiv:1510.08484, 2015.
"""


@dataclass(frozen=True)
class Layout:
    """Published contents of the data set, which a download must match."""

    classes: dict[str, int] = field(
        default_factory=lambda: {"music": 660, "noise": 930, "speech": 426}
    )
    max_faulty: int = 20  # more than these, and it is another data set


LAYOUT = Layout()


def fetch_musan(
    *,
    random_state: Any = 7,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Any:
    """Load the paths and labels of MUSAN, downloading it if necessary.

    =================   ==================================================
    Classes             3
    Files per class     660 music, 930 noise, 426 speech
    Files               2,016, 109 hours, 16 kHz, mono
    Split               1,309 train, 202 valid, 505 test (drawn, as below)
    Download, on disk   11.1 GB, 12.6 GB
    =================   ==================================================

    While it is unpacked, the disk has to hold both the download and the files.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=7
        Seed of the split. The default is the same everywhere and for ever.
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
            Index of the class of each file in ``target_names``.
        target_names : ndarray of shape (n_classes,), dtype str
            "music", "noise" and "speech".
        groups : ndarray of shape (n_clips,), dtype str
            Each file is its own source: the clips that are cut from it belong together.
        subset : ndarray of shape (n_clips,), dtype str
            "train", "valid" or "test": 65, 10 and 25 % of the files of each class.
        train, valid, test : ndarray of int
            Rows of the three parts.
        folds : None
            There is a split, and no folds.
        cv : cross-validation splitter
            A `cv` argument for X with all files in order: a single split that trains on
            "train" and tests on "test"; "valid" is in neither, and is there to choose
            settings by.
        frame : DataFrame with n_clips rows
            File name, class, source (such as "librivox"), subset and path of each file.
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
        If a file is unreadable. It is left out of everything that is returned, and
        named. Put a good file in its place and the next call has it.

    Notes
    -----
    The archive is resource 17 of openslr.org; it has to have the md5 that the recipe of
    PaddleSpeech states. Beyond that the number of files per class is checked, and the
    headers of all files are read once, when they are unpacked. With more than 20 files
    (1 %) that are unreadable, nothing is installed.

    The SwishNet paper [1]_ has the same shares. Its authors' code shuffles the files of
    each class with the seed 7; which files that makes also depends on the order before
    and on the generator, and no list was published, so theirs cannot be told. Here
    names are sorted, then shuffled by NumPy's ``RandomState(7)``.

    References
    ----------
    .. [1] M. S. Hussain and M. A. Haque, "SwishNet: A Fast Convolutional Neural Network
       for Speech, Music and Noise Classification and Segmentation", arXiv:1812.00149,
       2018.

    Examples
    --------
    >>> from skaudio.datasets import fetch_musan
    >>> sounds = fetch_musan()  # doctest: +SKIP
    >>> sounds.paths.shape, sounds.valid.shape  # doctest: +SKIP
    ((2016,), (202,))
    """
    final = cache_folder("musan", data_home) / "data"
    fetch(
        "MUSAN",
        [Archive(f"{URL}/{AUDIO}", AUDIO, CHECKSUMS[AUDIO])],
        final,
        _unpack,
        largest=STATED.download,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    data = load_classes(final, "MUSAN", PERCENT, random_state, DESCR)
    data.frame.insert(2, "source", [f.split("/")[1] for f in data.frame["filename"]])
    return (data.paths, data.target) if return_X_y else data


def _unpack(archives: list[Path], folder: Path) -> None:
    unpack_classes(
        *(archives[0], folder, MEMBER, STATED),
        classes=LAYOUT.classes,
        max_faulty=LAYOUT.max_faulty,
    )
