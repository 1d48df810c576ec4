"""GTZAN music/speech: thirty seconds of either."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skaudio._data_home import cache_folder
from skaudio.datasets._archives import Archive, Stated, fetch
from skaudio.datasets._classes import load_classes, unpack_classes

URL = "http://opihi.cs.uvic.ca/sound"
AUDIO = "music_speech.tar.gz"
CHECKSUMS: dict[str, str | None] = {
    AUDIO: "sha256:8753bc4129fc0a916d6efcf25dbcaf30e06b41acb44ad7c3d0b5c9d9c90ff546"
}
MEMBER = re.compile(
    r"(?:\./)?music_speech/(?P<file>(?P<class>music|speech)_wav/(?!\.)[^/\\]+\.wav)"
)
CLIP = 30 * 22_050 * 2  # bytes
STATED = Stated(download=297_055_930, clips=128 * CLIP, clip=CLIP)
PERCENT = {"train": 25, "test": 75}  # the SwishNet paper's

DESCR = """\
GTZAN music/speech
------------------
128 recordings of 30 s (22.05 kHz, 16 bit, mono), 64 of music and 64 of speech,
collected for telling them apart. Its description speaks of 60 each. Neither folds nor a
split were published.

The SwishNet paper fine-tunes networks with 25 % of the files and tests on the others.

Licence: none was ever published, and the rights in the recordings are not cleared.

Reference: G. Tzanetakis, "GTZAN Music/Speech Collection", 1999,
http://marsyas.info/index.html.
"""


@dataclass(frozen=True)
class Layout:
    """Contents of the data set, which a download must match."""

    classes: dict[str, int] = field(default_factory=lambda: {"music": 64, "speech": 64})
    max_faulty: int = 2  # more than these, and it is another data set


LAYOUT = Layout()


def fetch_gtzan_speech_music(
    *,
    random_state: Any = 7,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Any:
    """Load the paths and labels of GTZAN music/speech, downloading it if necessary.

    =================   ==========================================
    Classes             2
    Files per class     64
    Files               128 of 30 s, 22.05 kHz, mono
    Split               32 train, 96 test (drawn, not published)
    Download, on disk   297 MB, 170 MB
    =================   ==========================================

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
            "music" and "speech". ``target_names[target]`` are labels that a classifier
            with more classes, such as one of MUSAN, goes on with.
        groups : ndarray of shape (n_clips,), dtype str
            Each file is its own source.
        subset : ndarray of shape (n_clips,), dtype str
            "train" for 25 % of the files of each class, 16 of 64, and "test".
        train, valid, test : ndarray of int
            Rows of the parts; there are none for validation.
        folds : None
            There is a split, and no folds.
        cv : cross-validation splitter
            A `cv` argument for X with all files in order: a single split that trains on
            "train" and tests on "test".
        frame : DataFrame with n_clips rows
            File name, class, subset and path of each file.
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
    The archive has to have the sha256 that TensorFlow Datasets states. The publisher's
    server is reported to be gone, and we know of no other public address: an archive
    that you have is taken if it lies, by the name music_speech.tar.gz, in the folder
    gtzan_speech_music of `data_home`. Beyond its checksum the number of files per class
    is checked, and the headers of all files are read once, when they are unpacked. With
    more than 2 files that are unreadable, nothing is installed.

    The files of the SwishNet paper's split [1]_ are not known; it counts 60 + 60.

    References
    ----------
    .. [1] M. S. Hussain and M. A. Haque, "SwishNet: A Fast Convolutional Neural Network
       for Speech, Music and Noise Classification and Segmentation", arXiv:1812.00149,
       2018.

    Examples
    --------
    >>> from skaudio.datasets import fetch_gtzan_speech_music
    >>> sounds = fetch_gtzan_speech_music()  # doctest: +SKIP
    >>> sounds.train.shape, sounds.test.shape  # doctest: +SKIP
    ((32,), (96,))
    """
    home = cache_folder("gtzan_speech_music", data_home)
    try:
        fetch(
            "GTZAN music/speech",
            [Archive(f"{URL}/{AUDIO}", AUDIO, CHECKSUMS[AUDIO])],
            home / "data",
            _unpack,
            largest=STATED.download,
            download_if_missing=download_if_missing,
            n_retries=n_retries,
            delay=delay,
        )
    except OSError as error:
        error.add_note(f"If you have {AUDIO}, put it into {home} and call again.")
        raise
    data = load_classes(
        home / "data", "GTZAN music/speech", PERCENT, random_state, DESCR
    )
    return (data.paths, data.target) if return_X_y else data


def _unpack(archives: list[Path], folder: Path) -> None:
    unpack_classes(
        *(archives[0], folder, MEMBER, STATED),
        classes=LAYOUT.classes,
        max_faulty=LAYOUT.max_faulty,
    )
