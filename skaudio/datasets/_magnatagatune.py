"""MagnaTagATune: tags of music, with the split that SampleCNN was measured on."""

from __future__ import annotations

import hashlib
import io
import os
import re
import zipfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from skaudio._data_home import cache_folder
from skaudio._safe_pickle import load_pickle
from skaudio.datasets._archives import Archive, Parts, Stated, extract, fetch
from skaudio.datasets._base import make_bunch, set_subsets
from skaudio.datasets._faults import fault, refuse_many_faulty, without_faulty

AUDIO_URL = "https://mirg.city.ac.uk/datasets/magnatagatune"
SPLIT_URL = (
    "https://raw.githubusercontent.com/jongpillee/music_dataset_split/"
    "07e855758f180ac8bdc0e3abebbde19277094681/MTAT_split"
)
AUDIO = ("mp3.zip.001", "mp3.zip.002", "mp3.zip.003")
CHECKSUMS: dict[str, str | None] = {
    "top50_tags.txt": "sha256:"
    "f54e613d7a687de34a19cf99d1d1d252466134f11da8c9f31efbd365a77a29ff",
    "train_list_pub.cP": "sha256:"
    "76c9eec0fdd3d7533adda0cb4be4844996ed7469586b337bfc97f863fd3ec09a",
    "valid_list_pub.cP": "sha256:"
    "b3528613a6832ce49f11628fd21103dbf266e43086b465798221519ae64c2917",
    "test_list_pub.cP": "sha256:"
    "43edc3b8951f7c9e613f618ab828ab80036b2e2e604bb20a93e623b186b63b30",
    "y_train_pub.npy": None,  # below
    "y_valid_pub.npy": "sha256:"
    "f6e4d6c5b51c47766dd1c611be423d92a266d8b974990d38e6201953be080411",
    "y_test_pub.npy": "sha256:"
    "80af41037ae7ad8285864a5e91cbd31e59cdda0d86ab5e1d7124d1afc3cc1821",
}
# clips of 116 kB; few are larger
STATED = Stated(download=3_000_000_000, clips=3_000_000_000, clip=2**21)
LISTS = 15_244 * 50 * 8  # bytes of the largest file of the split
Y_TRAIN = "1420af117417cbfdbbd68c62c24ef525924bdd52"  # its name in that commit
CLIP = re.compile(
    r"(?P<source>[0-9a-f]/(?P<artist>[\w.]+)-(?P<album>[\w.]+)-\d+-[\w.]+)"
    r"-\d+-\d+\.mp3",
    re.ASCII,
)
COLUMNS = ["filename", "subset", "source", "artist", "album"]

DESCR = """\
MagnaTagATune: tags of music
----------------------------
Pieces of about 29 s (16 kHz, mono, MP3 at 32 kbit/s) cut from the tracks of the label
Magnatune, with the tags that players of the game TagATune gave them: instruments,
genres, voices, moods, tempo, and what is not to be heard, such as "no vocals".

This is the split that SampleCNN and many later networks were measured on: the 50 most
frequent tags, and 21,105 of the 25,863 pieces, without those that have none of these
tags and those that its authors found too short: 15,244 for training, 1,529 for
validation, 4,332 for testing. They come from 5,287 tracks of 446 albums. No album is on
two sides of the split, but 56 of the 230 artists are.

The tags are not merged: "female voice", "female vocal", "female" and "woman" are four
of them. A zero is a tag that nobody gave; it need not be wrong for the clip.

Licence: Creative Commons Attribution-NonCommercial-ShareAlike 3.0 for clips and tags.
The lists of the split are published under the MIT licence.

References: E. Law, K. West, M. Mandel, M. Bay and J. S. Downie, "Evaluation of
Algorithms Using Games: The Case of Music Tagging", ISMIR 2009, 387-392.
J. Lee, J. Park, K. L. Kim and J. Nam, "SampleCNN: End-to-End Deep Convolutional Neural
Networks Using Very Small Filters for Music Classification", Applied Sciences 8(1),
2018, 150.
"""


@dataclass(frozen=True)
class Layout:
    """Contents of the data set, which a download must match."""

    n_tags: int = 50
    subsets: dict[str, int] = field(
        default_factory=lambda: {"train": 15244, "valid": 1529, "test": 4332}
    )
    max_faulty: int = 10  # more than these, and it is another data set


LAYOUT = Layout()


def fetch_magnatagatune(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Any:
    """Load the paths and tags of MagnaTagATune, downloading it if necessary.

    =================   =====================================
    Tags                50, one or more per clip
    Clips               21,105 of 29 s, 16 kHz, mono
    Published split     15,244 train, 1,529 valid, 4,332 test
    Download, on disk   3.0 GB, 3.0 GB
    =================   =====================================

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
        target : ndarray of shape (n_clips, n_tags), dtype int
            Ones for the tags that a clip has, zeros for the others.
        target_names : ndarray of shape (n_tags,), dtype str
            The tags, in the published order of the columns.
        groups : ndarray of shape (n_clips,), dtype str
            Track that the clip was cut from.
        subset : ndarray of shape (n_clips,), dtype str
            "train", "valid" or "test".
        train, valid, test : ndarray of int
            Rows of the three parts.
        folds : None
            There is a split, and no folds.
        cv : cross-validation splitter
            A `cv` argument for X with all clips in order: a single split that trains
            on "train" and tests on "test"; "valid" is in neither, and is there to
            choose settings by.
        frame : DataFrame with n_clips rows
            File name, subset, track, artist, album and path of each clip, and a column
            for each tag.
        DESCR : str
            Description, licence and references.
    (paths, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    OSError
        If the data set is missing and may not or cannot be downloaded, or if what was
        downloaded is not the data set. Parts that arrived, and what arrived of a part
        before a connection broke, are kept and completed by the next call; the cache
        never holds half a data set.

    Warns
    -----
    UserWarning
        If a clip of the split is missing or unreadable. It is left out of everything
        that is returned, and named. Put a good file in its place and the next call has
        it.

    Notes
    -----
    The split is that of [1]_, from one fixed commit of the GitHub repository
    jongpillee/music_dataset_split. Its files have to be those of the commit. The
    publisher of the clips states no checksums: the hash of what proved to be the data
    set is recorded, no download may have more than twice 3.0 GB (the lists: 12 MB), the
    checksums inside the archive are checked, and with more than 10 clips of the split
    missing or unreadable nothing is installed.

    Three of the 25,863 files are reported to be empty; none of them is in the split.
    The headers of all files are read once, when they are unpacked.

    Artist, album and track are taken from the names of the files. Grouping by
    ``frame["artist"]`` is stricter than the published split, which has 56 artists on
    two or three sides; within the training set it is the way to choose settings
    without learning to recognise artists.

    The published list writes tags in one word, "noVocals"; here they are spelled as in
    the data set's annotations, "no vocals".

    References
    ----------
    .. [1] J. Lee, J. Park, K. L. Kim and J. Nam, "SampleCNN: End-to-End Deep
       Convolutional Neural Networks Using Very Small Filters for Music
       Classification", Applied Sciences 8(1), 2018, 150.
    .. [2] E. Law, K. West, M. Mandel, M. Bay and J. S. Downie, "Evaluation of
       Algorithms Using Games: The Case of Music Tagging", ISMIR 2009, 387-392.

    Examples
    --------
    >>> from skaudio.datasets import fetch_magnatagatune
    >>> music = fetch_magnatagatune()  # doctest: +SKIP
    >>> music.target.shape  # doctest: +SKIP
    (21105, 50)
    >>> X, y = music.paths[music.train], music.target[music.train]  # doctest: +SKIP
    >>> valid = music.paths[music.valid], music.target[music.valid]  # doctest: +SKIP
    """
    folder = cache_folder("magnatagatune", data_home)
    split, audio = folder / "samplecnn", folder / "audio"
    options: dict[str, Any] = {
        "download_if_missing": download_if_missing,
        "n_retries": n_retries,
        "delay": delay,
    }
    lists = [Archive(f"{SPLIT_URL}/{k}", k, known) for k, known in CHECKSUMS.items()]
    fetch(
        "the split of MagnaTagATune",
        lists,
        split,
        _unpack_split,
        largest=LISTS,
        **options,
    )
    fetch(
        "the audio of MagnaTagATune",
        [Archive(f"{AUDIO_URL}/{name}", name) for name in AUDIO],
        audio,
        partial(_unpack_audio, split),
        largest=STATED.download,
        **options,
    )
    data = _load(split, audio)
    return (data.paths, data.target) if return_X_y else data


def _load(split: Path, audio: Path) -> Any:
    import pandas as pd

    frame = pd.read_csv(split / "clips.csv", keep_default_na=False)
    tags = np.array([name for name in frame if name not in COLUMNS])
    files = pd.read_csv(audio / "files.csv", keep_default_na=False, index_col=0)
    frame["path"] = [str(audio / name) for name in frame["filename"]]
    frame["fault"] = files["fault"].loc[frame["filename"]].to_numpy()
    frame = without_faulty(frame, "MagnaTagATune")
    target = frame[tags].to_numpy(dtype=int)
    data = make_bunch(frame, target, tags, group="source", fold=None, descr=DESCR)
    data.groups = data.groups.astype(str)
    set_subsets(data, frame["subset"])
    return data


def _unpack_split(archives: list[Path], folder: Path) -> None:
    """Make one table of the lists, once they are found to be the published ones."""
    import pandas as pd

    files = {path.name: path for path in archives}
    if _git_name(files["y_train_pub.npy"]) != Y_TRAIN:
        raise ValueError("y_train_pub.npy is not what was published there")
    tags = [_in_words(tag) for tag in files["top50_tags.txt"].read_text().split()]
    if len(set(tags)) != LAYOUT.n_tags or len(tags) != LAYOUT.n_tags:
        raise ValueError(f"its list has {len(set(tags))} tags, not {LAYOUT.n_tags}")
    parts = []
    for part, n_clips in LAYOUT.subsets.items():
        rows = _read_list(files[f"{part}_list_pub.cP"], n_clips, part)
        values = _read_tags(files[f"y_{part}_pub.npy"], (n_clips, len(tags)))
        table = pd.DataFrame(rows, columns=COLUMNS)
        parts.append(table.join(pd.DataFrame(values, columns=tags)))
    table = pd.concat(parts).sort_values("filename", ignore_index=True)
    again = table["filename"][table["filename"].duplicated()]
    if len(again):
        raise ValueError(f"its lists have a clip again: {again.iloc[0]}")
    table.to_csv(folder / "clips.csv", index=False)


def _read_list(path: Path, n_clips: int, part: str) -> list[tuple[str, ...]]:
    """The clips of a part of the split; the list has the names of their features."""
    names = load_pickle(path)
    if not isinstance(names, list) or len(names) != n_clips:
        raise ValueError(f"{path.name} is not a list of {n_clips} clips")
    rows = []
    for name in names:
        match = CLIP.fullmatch(re.sub(r"\.npy$", ".mp3", str(name)))
        if match is None:
            raise ValueError(f"{path.name} has a clip of the name {name!r:.80}")
        rows.append((match[0], part, *match.group("source", "artist", "album")))
    return rows


def _read_tags(path: Path, shape: tuple[int, int]) -> np.ndarray:
    values = np.load(path, allow_pickle=False)
    if not isinstance(values, np.ndarray) or values.shape != shape:
        raise ValueError(f"{path.name} is not an array of shape {shape}")
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"{path.name} has other values than zeros and ones")
    return values.astype(int)


def _in_words(tag: str) -> str:
    """As the annotations have it: "no vocals" for "noVocals"."""
    return re.sub(r"(?<=[a-z])[A-Z]", lambda capital: f" {capital[0]}", tag).lower()


def _git_name(path: Path) -> str:
    """Git's name of a file of this content: all that the commit states about it."""
    content = path.read_bytes()
    head = f"blob {len(content)}\0".encode()
    return hashlib.sha1(head + content, usedforsecurity=False).hexdigest()


def _unpack_audio(split: Path, archives: list[Path], folder: Path) -> None:
    """Extract what is named like a clip; note which files can't be read."""
    import pandas as pd

    with (
        io.BufferedReader(Parts(archives)) as whole,
        zipfile.ZipFile(whole) as file,
    ):
        found = [info for info in file.infolist() if CLIP.fullmatch(info.filename)]
        names = {info.filename for info in found}
        if len(names) < len(found):
            raise ValueError("it has two clips of the same name")
        extract(file, {info: info.filename for info in found}, folder, STATED)
    wanted = pd.read_csv(split / "clips.csv", keep_default_na=False)["filename"]
    table = pd.DataFrame({"filename": sorted(names.union(wanted))})
    table["fault"] = [fault(folder / name) for name in table["filename"]]
    of_split = table[table["filename"].isin(wanted)]
    refuse_many_faulty(of_split, LAYOUT.max_faulty)
    table.to_csv(folder / "files.csv", index=False)
