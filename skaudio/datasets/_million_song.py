"""Published splits of the Million Song Dataset: tags of Last.fm, genres of tagtraum."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from skaudio._safe_pickle import load_pickle
from skaudio._utils._text import shortened
from skaudio.datasets._base import encode_labels, make_bunch, set_subsets
from skaudio.datasets._faults import fault, without_faulty

REPOSITORY = "https://github.com/jongpillee/music_dataset_split"
FILE = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)
TRACK = re.compile(r"TR[A-Z]{5}[0-9A-F]{11}", re.ASCII)
SUBSETS = {
    "MSD": {"train": 201_680, "valid": 11_774, "test": 28_435},
    "TAGTRAUM": {"train": 141_372, "valid": 10_000, "test": 37_817},
}
MSD_LISTS = "filtered_list_train.cP", "filtered_list_test.cP"
TAGTRAUM_LISTS = "train_list.cP", "test_list.cP"
TAG_LIST, TAG_VECTORS = "50tagList.txt", "msd_id_to_tag_vector.cP"
IDS, FILES = "MSD_id_to_7D_id.pkl", "7D_id_to_path.pkl"

MSD_DESCR = """\
Million Song Dataset: 50 tags of Last.fm
----------------------------------------
The 50 most frequent tags that listeners of Last.fm gave to songs of the Million Song
Dataset: genres, moods, decades, voices. The split is the one that SampleCNN was
measured on: the tracks whose previews have more than 29.1 s, 201,680 for training,
11,774 for validation, 28,435 for testing. The previews, of 7digital, are not public.

References: T. Bertin-Mahieux, D. P. W. Ellis, B. Whitman and P. Lamere, "The Million
Song Dataset", ISMIR 2011, 591-596.
J. Lee, J. Park, K. L. Kim and J. Nam, "SampleCNN: End-to-End Deep Convolutional Neural
Networks Using Very Small Filters for Music Classification", Applied Sciences 8(1),
2018, 150.
"""
TAGTRAUM_DESCR = """\
Million Song Dataset: genres of tagtraum, CD2C
----------------------------------------------
One genre for each of 189,189 songs of the Million Song Dataset, by tagtraum's
annotations without ambiguous ones (CD2C). The split is the one that SampleCNN was
measured on: the tracks whose previews have more than 29.1 s, 141,372 for training,
10,000 for validation, 37,817 for testing. The previews, of 7digital, are not public.

References: H. Schreiber, "Improving Genre Annotations for the Million Song Dataset",
ISMIR 2015, 241-247.
J. Lee, J. Park, K. L. Kim and J. Nam, "SampleCNN: End-to-End Deep Convolutional Neural
Networks Using Very Small Filters for Music Classification", Applied Sciences 8(1),
2018, 150.
"""


def load_msd_split(
    folder: str | os.PathLike[str],
    *,
    audio_folder: str | os.PathLike[str] | None = None,
    n_train: int | None = None,
    return_X_y: bool = False,
) -> Any:
    """Load the split of the Million Song Dataset with 50 tags of Last.fm.

    =================   ==========================================
    Tags                50, one or more per track
    Tracks              241,889
    Published split     201,680 train, 11,774 valid, 28,435 test
    =================   ==========================================

    Parameters
    ----------
    folder : str or path-like
        The folder ``MSD_split`` of the GitHub repository
        jongpillee/music_dataset_split, with ``filtered_list_train.cP``,
        ``filtered_list_test.cP``, ``msd_id_to_tag_vector.cP``, ``50tagList.txt``,
        ``MSD_id_to_7D_id.pkl`` and ``7D_id_to_path.pkl``.
    audio_folder : str, path-like or None, default=None
        Folder of the previews, in which the paths of ``7D_id_to_path.pkl`` start. None
        looks for no file: ``paths`` are as they stand there.
    n_train : int or None, default=None
        How many of the first tracks of ``filtered_list_train.cP`` are for training; the
        others are for validation. None takes the published 201,680, and both lists have
        to be as long as the published ones.
    return_X_y : bool, default=False
        Return ``(paths, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        paths : ndarray of shape (n_clips,), dtype str
            Files, in the order of the lists: train, valid, test.
        target : ndarray of shape (n_clips, n_tags), dtype int
            Ones for the tags that a track has, zeros for the others.
        target_names : ndarray of shape (n_tags,), dtype str
            The tags, in the published order of the columns.
        groups : None
            The lists have no artists.
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
            Track ID, subset and path of each clip.
        DESCR : str
            Description and references.
    (paths, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    FileNotFoundError
        If a file of `folder` is missing, or `audio_folder` has none of the previews.
    ValueError
        If a file is not of the published form: another number of tracks, names that are
        no track IDs, a track in two places, without tags or without a path. The message
        names the file. Nothing in a pickle is executed.

    Warns
    -----
    UserWarning
        If some of the previews are missing, empty or may not be read. They are left out
        of everything that is returned, counted, and the first ones named.

    See Also
    --------
    fetch_magnatagatune : Tags of music that can be downloaded.
    load_tagtraum_split : Genres of songs of the same set.

    Notes
    -----
    Nothing is downloaded. Previews are looked for and not opened; one that turns out to
    be unreadable is reported by what decodes it, as ``on_error`` says.

    References
    ----------
    .. [1] J. Lee, J. Park, K. L. Kim and J. Nam, "SampleCNN: End-to-End Deep
       Convolutional Neural Networks Using Very Small Filters for Music
       Classification", Applied Sciences 8(1), 2018, 150.

    Examples
    --------
    >>> from skaudio.datasets import load_msd_split
    >>> music = load_msd_split("MSD_split", audio_folder="previews")  # doctest: +SKIP
    >>> X, y = music.paths[music.train], music.target[music.train]  # doctest: +SKIP
    >>> valid = music.paths[music.valid], music.target[music.valid]  # doctest: +SKIP
    """
    folder = Path(folder)
    lists = [folder / name for name in MSD_LISTS]
    tables = [folder / name for name in (TAG_LIST, TAG_VECTORS)]
    _check_present([*lists, *tables, folder / IDS, folder / FILES])
    frame = _tracks(lists, SUBSETS["MSD"], n_train)
    names = _tag_names(tables[0])
    target = _tags(tables[1], frame["track_id"], names)
    frame["path"] = _files(folder, frame["track_id"])
    data = _bunch(frame, target, names, audio_folder, MSD_DESCR)
    return (data.paths, data.target) if return_X_y else data


def load_tagtraum_split(
    folder: str | os.PathLike[str],
    annotations: str | os.PathLike[str],
    *,
    msd_folder: str | os.PathLike[str] | None = None,
    audio_folder: str | os.PathLike[str] | None = None,
    n_train: int | None = None,
    return_X_y: bool = False,
) -> Any:
    """Load the split of the Million Song Dataset with tagtraum's genres, CD2C.

    =================   ==========================================
    Classes             15
    Tracks              189,189
    Published split     141,372 train, 10,000 valid, 37,817 test
    =================   ==========================================

    Parameters
    ----------
    folder : str or path-like
        The folder ``TAGTRAUM_split`` of the GitHub repository
        jongpillee/music_dataset_split, with ``train_list.cP`` and ``test_list.cP``.
    annotations : str or path-like
        The file ``msd_tagtraum_cd2c.cls`` of tagtraum's genre annotations, unzipped: a
        track ID, a tab and a genre in every line, and comments after ``#``.
    msd_folder : str, path-like or None, default=None
        Folder with ``MSD_id_to_7D_id.pkl`` and ``7D_id_to_path.pkl``. None is
        ``MSD_split`` beside `folder`, as in the repository.
    audio_folder : str, path-like or None, default=None
        Folder of the previews, in which the paths of ``7D_id_to_path.pkl`` start. None
        looks for no file: ``paths`` are as they stand there.
    n_train : int or None, default=None
        How many of the first tracks of ``train_list.cP`` are for training; the others
        are for validation. None takes the published 141,372, and both lists have to be
        as long as the published ones.
    return_X_y : bool, default=False
        Return ``(paths, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        paths : ndarray of shape (n_clips,), dtype str
            Files, in the order of the lists: train, valid, test.
        target : ndarray of shape (n_clips,), dtype int
            Index of the class of each clip in ``target_names``.
        target_names : ndarray of shape (n_classes,), dtype str
            Genres of the tracks, sorted.
        groups : None
            The lists have no artists.
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
            Track ID, subset, path and genre of each clip.
        DESCR : str
            Description and references.
    (paths, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    FileNotFoundError
        If a list or a table is missing, or `audio_folder` has none of the previews.
    ValueError
        If a file is not of the published form: another number of tracks, names that are
        no track IDs, a track in two places, without a genre or without a path. The
        message names the file. Nothing in a pickle is executed.

    Warns
    -----
    UserWarning
        If some of the previews are missing, empty or may not be read. They are left out
        of everything that is returned, counted, and the first ones named.

    See Also
    --------
    fetch_gtzan : Genres of music that can be downloaded.
    load_msd_split : Tags of songs of the same set.

    Notes
    -----
    Nothing is downloaded. Previews are looked for and not opened; one that turns out to
    be unreadable is reported by what decodes it, as ``on_error`` says.

    References
    ----------
    .. [1] H. Schreiber, "Improving Genre Annotations for the Million Song Dataset",
       ISMIR 2015, 241-247.
    .. [2] J. Lee, J. Park, K. L. Kim and J. Nam, "SampleCNN: End-to-End Deep
       Convolutional Neural Networks Using Very Small Filters for Music
       Classification", Applied Sciences 8(1), 2018, 150.

    Examples
    --------
    >>> from skaudio.datasets import load_tagtraum_split
    >>> music = load_tagtraum_split(  # doctest: +SKIP
    ...     "TAGTRAUM_split", "msd_tagtraum_cd2c.cls", audio_folder="previews"
    ... )
    >>> X, y = music.paths[music.train], music.target[music.train]  # doctest: +SKIP
    """
    lists = [Path(folder, name) for name in TAGTRAUM_LISTS]
    beside = Path(folder).absolute().parent / "MSD_split"
    msd = beside if msd_folder is None else Path(msd_folder)
    _check_present([*lists, Path(annotations), msd / IDS, msd / FILES])
    frame = _tracks(lists, SUBSETS["TAGTRAUM"], n_train)
    frame["path"] = _files(msd, frame["track_id"])
    genres = _genres(Path(annotations))
    frame["genre"] = _looked_up(genres, frame["track_id"], Path(annotations), "genre")
    target, names = encode_labels(frame["genre"])
    data = _bunch(frame, target, names, audio_folder, TAGTRAUM_DESCR)
    return (data.paths, data.target) if return_X_y else data


def _check_present(paths: Iterable[Path]) -> None:
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"No file {shortened(missing)}. Lists, tags and IDs are those of "
            f"{REPOSITORY}, genres those of https://www.tagtraum.com."
        )


def _bunch(
    frame: Any,
    target: np.ndarray,
    names: np.ndarray,
    audio_folder: str | os.PathLike[str] | None,
    descr: str,
) -> Any:
    """Bunch of the tracks whose previews are there; of all if none are looked for."""
    if audio_folder is not None:
        frame["path"] = [os.path.join(audio_folder, file) for file in frame["path"]]
        frame["fault"] = [fault(Path(p), header=False) for p in frame["path"]]
        if (frame["fault"] != "").all():
            raise FileNotFoundError(
                f"None of the {len(frame)} previews is in {os.fspath(audio_folder)}: "
                f"{frame['path'].iloc[0]} is {frame['fault'].iloc[0]}. audio_folder is "
                f"the folder that the paths of {FILES} start in."
            )
        frame["row"] = np.arange(len(frame))
        frame = without_faulty(frame, "the Million Song Dataset")
        target = target[frame.pop("row")]
    data = make_bunch(frame, target, names, group=None, fold=None, descr=descr)
    set_subsets(data, frame["subset"])
    return data


# ------------------------------------------------------------------------- lists
def _tracks(lists: Sequence[Path], published: dict[str, int], n_train: Any) -> Any:
    """Tracks of the three parts: the first list has those to train on, then valid."""
    import pandas as pd

    train, test = (_read_list(path) for path in lists)
    if n_train is None:
        n_train = published["train"]
        n_tracks = n_train + published["valid"], published["test"]
        for path, tracks, n in zip(lists, (train, test), n_tracks, strict=True):
            if len(tracks) != n:
                raise ValueError(
                    f"{path} has {len(tracks)} tracks, not {n} as published. If that "
                    f"is on purpose, pass n_train, how many of {lists[0].name} are for "
                    "training."
                )
    check_scalar(n_train, "n_train", Integral, min_val=1, max_val=len(train))
    again = pd.Series([*train, *test], dtype=object)
    again = again[again.duplicated()]
    if len(again):
        raise ValueError(
            f"{lists[0]} and {lists[1].name} have a track again: {again.iloc[0]}"
        )
    sizes = n_train, len(train) - n_train, len(test)
    parts = np.repeat(np.array([*published], dtype=object), sizes)
    return pd.DataFrame({"track_id": [*train, *test], "subset": parts})


def _read_list(path: Path) -> list[str]:
    tracks = load_pickle(path)
    if not isinstance(tracks, list) or not tracks:
        raise ValueError(
            f"Expected a list of track IDs in {path}; got {_short(tracks)}"
        )
    for place, track in enumerate(tracks):
        if not isinstance(track, str) or not TRACK.fullmatch(track):
            raise ValueError(
                f"Expected track IDs such as TRAAAAW128F429D538 in {path}; item "
                f"{place} is {_short(track)}"
            )
    return tracks


def _read_dict(path: Path) -> dict[str, Any]:
    """A table by ID; IDs of 7digital are text or numbers."""
    table = load_pickle(path)
    if not isinstance(table, dict):
        raise ValueError(f"Expected a dict by ID in {path}; got {_short(table)}")
    return {str(key): value for key, value in table.items()}


def _looked_up(
    table: dict[str, Any], keys: Iterable[str], path: Path, what: str
) -> list[Any]:
    """What a table has for every key; a ValueError names the ones without."""
    keys = list(keys)
    missing = [key for key in keys if key not in table]
    if missing:
        raise ValueError(
            f"{path} has no {what} of {len(missing)} of the {len(keys)} tracks: "
            f"{shortened(missing)}. Take the files of one version of {REPOSITORY}."
        )
    return [table[key] for key in keys]


def _files(folder: Path, tracks: Iterable[str]) -> list[str]:
    """Path of every track below the folder of the previews, as it is published."""
    ids = _looked_up(_read_dict(folder / IDS), tracks, folder / IDS, "7digital ID")
    keys = [str(key) for key in ids]
    files = _looked_up(_read_dict(folder / FILES), keys, folder / FILES, "path")
    for file in files:
        if (
            not isinstance(file, str)
            or not FILE.fullmatch(file)
            or ".." in file.split("/")
        ):
            raise ValueError(
                f"Expected paths such as 8/9/8947470.clip.mp3 in {folder / FILES}; got "
                f"{_short(file)}"
            )
    return files


# ------------------------------------------------------------------ tags and genres
def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error


def _tag_names(path: Path) -> np.ndarray:
    names = [line.strip() for line in _lines(path) if line.strip()]
    again = [name for name in names if names.count(name) > 1]
    if again or not names:
        raise ValueError(
            f"Expected one tag in every line of {path}; "
            f"{f'{again[0]!r} is there again' if again else 'it has none'}"
        )
    return np.array(names, dtype=str)


def _tags(path: Path, tracks: Iterable[str], names: np.ndarray) -> np.ndarray:
    """Indicator matrix of the tags; published vectors are columns."""
    tracks = list(tracks)
    target = np.zeros((len(tracks), len(names)), dtype=int)
    vectors = _looked_up(_read_dict(path), tracks, path, "tags")
    for row, (track, vector) in enumerate(zip(tracks, vectors, strict=True)):
        values = vector.ravel() if isinstance(vector, np.ndarray) else np.empty(0)
        if len(values) != len(names) or not ((values == 0) | (values == 1)).all():
            raise ValueError(
                f"Expected {len(names)} zeros and ones, one per tag of {TAG_LIST}, for "
                f"every track in {path}; {track} has {_short(vector)}"
            )
        target[row] = values
    return target


def _genres(path: Path) -> dict[str, str]:
    """Genre of every track in a file of tagtraum."""
    genres: dict[str, str] = {}
    for number, line in enumerate(_lines(path), 1):
        cells = [cell.strip() for cell in line.rstrip().split("\t")]
        if cells == [""] or line.lstrip().startswith("#"):
            continue
        if len(cells) != 2 or not TRACK.fullmatch(cells[0]) or not cells[1]:
            raise ValueError(
                f"Expected a track ID, a tab and a genre in line {number} of {path}; "
                f"got {_short(line)}. Lines of CD1 and CD2 may have two genres: this "
                "split is of CD2C."
            )
        track, genre = cells
        if genres.setdefault(track, genre) != genre:
            raise ValueError(f"{path} has two genres of {track}: line {number}")
    return genres


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    return f"{value!r:.60}"
