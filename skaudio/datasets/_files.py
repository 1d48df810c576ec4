"""`load_audio_files`: a folder or a table of the user's own audio."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import PredefinedSplit

from skaudio._utils._text import shortened
from skaudio.datasets._base import encode_labels, make_bunch, set_subsets
from skaudio.datasets._folders import EXTENSIONS, Listing, list_classes
from skaudio.datasets._splits import part_of, parts_of
from skaudio.datasets._tables import (
    SEPARATORS,
    Table,
    column_values,
    is_table,
    locate,
    numbers_or_text,
    read_table,
    sorted_names,
)

NO_FOLD = -1  # of a clip that is in no fold, as PredefinedSplit has it
# usual column names, the most specific first
USUAL_NAMES = {
    "file": "file filename file_name path filepath file_path fname audio clip".split(),
    "label": "label category class class_name classname target".split(),
    "group": "group groups source src_file source_file speaker recording".split(),
    "fold": ["fold", "folds", "split"],
}


def load_audio_files(
    path: str | os.PathLike[str],
    *,
    file: str | None = None,
    label: str | None = None,
    group: str | None = None,
    fold: str | None = None,
    return_X_y: bool = False,
) -> Any:
    """List labelled audio files: a folder with a sub-folder per class, or a table.

    No audio is decoded; pass ``paths`` as X to
    :class:`~skaudio.preprocessing.AudioLoader`, to a view, or to a pipeline that
    starts with one.

    Parameters
    ----------
    path : str or path-like
        One of

        - a folder with one sub-folder per class, whose audio files, at any depth, are
          the clips and whose name is the label. Links are followed. What is left out
          is named in one warning, see Notes;
        - a folder with ``train``, ``test`` and perhaps ``valid`` (or other usual names
          of such parts), each with a sub-folder per class;
        - a .csv or .tsv table with one row per clip. File names in it start at the
          folder of the table, or at the folder ``audio`` beside it;
        - a folder with exactly one such table and fewer than two sub-folders of
          classes. With more, the sub-folders are read, and a table of clips beside
          them is named in the warning.
    file, label, group, fold : str or None, default=None
        Columns of the table with the file name, the class, the recording that the
        clip was cut from, and the published fold. None looks for the usual names,
        whatever their case: for example ``filename``, ``path``; ``label``,
        ``category``, ``target``; ``group``, ``source``, ``speaker``; ``fold``,
        ``split``. File and label must be found and have no empty cells; group and
        fold may be absent, and empty for some clips.
    return_X_y : bool, default=False
        Return ``(paths, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        paths : ndarray of shape (n_clips,), dtype str
            Files, in order of the table, or of class and name.
        target : ndarray of shape (n_clips,), dtype int
            Index of the class of each clip in ``target_names``.
        target_names : ndarray of shape (n_classes,), dtype str
            Names of the classes as they are written, sorted: as numbers if all of
            them are numbers, as text otherwise.
        groups : ndarray of shape (n_clips,) or None
            Recording of each clip: integers, if all are written as such, or text. A
            clip without one is a recording of its own, named by its path.
        folds : ndarray of shape (n_clips,) or None
            Published fold of each clip: integers, if all are written as such, or
            text. A clip without one, -1 or "", is never tested and always trained on.
        subset : ndarray of shape (n_clips,) or None
            "train", "valid" or "test", if the folders, or the cells of the column
            ``fold``, are called so or similarly (``training``, ``val``, ``dev``,
            ``eval``); other cells stay as they are. `folds` is None then.
        train, valid, test : ndarray of int, or None
            Rows of these parts, empty for one that is not there; None without a split.
        cv : cross-validation splitter or None
            The published folds as a `cv` argument, for X with all clips in order. For
            a split a single one that trains on "train" and tests on "test"; "valid" is
            in neither, and is there to choose settings by; it is tested on where there
            is no "test".
        frame : DataFrame with n_clips rows
            The table, with a column ``path`` added. Cells of the columns file and
            label are text as it is written, without blanks around it; other columns
            are integers or floats if all their cells are plain numbers, with NaN for
            empty cells, and text otherwise.
        DESCR : str
            What was loaded.
    (paths, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    FileNotFoundError
        If `path`, or a file that the table lists, does not exist.
    OSError
        If a folder or a file may not be read.
    ValueError
        If a column is not found, or has empty cells; if a table cannot be read, or
        folders are of a split and of classes at once: the message names the line or
        the folders, and what to do.

    Warns
    -----
    UserWarning
        If a folder has files that no reader takes, by their extensions, folders of
        classes without sound, or sound files beside them. They are counted and named.

    Notes
    -----
    Files count as audio by the extensions of what libsndfile reads, from ``.wav`` and
    ``.mp3`` to ``.sph`` and ``.rf64``. Nothing is said about names that start with a
    dot, texts, tables, pictures and other notes, such as ``.txt``, ``.json``, ``.csv``,
    ``.pdf``, ``.jpg``, ``.mid`` or ``.npy``.

    A class reads every folder once, however many links lead to it, and none that the
    class lies in. Pipes and devices are no clips.

    Tables are UTF-8, or UTF-16 or UTF-32 with a byte order mark; separated by commas,
    semicolons, tabs or bars, which the row of names decides. Cells are the text that
    stands there: ``007`` and ``7`` are two names, and ``NA`` and ``None`` are names.
    Empty rows, and separators at the end of every row, are skipped.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skaudio.datasets import load_audio_files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("dog/1.wav", "dog/2.wav", "rain/1.wav"):
    ...         clip = pathlib.Path(folder, name)
    ...         clip.parent.mkdir(exist_ok=True)
    ...         clip.touch()
    ...     data = load_audio_files(folder)
    >>> data.target, data.target_names.tolist()
    (array([0, 0, 1]), ['dog', 'rain'])
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: expected a folder or a table.")
    columns = {"file": file, "label": label, "group": group, "fold": fold}
    data = _from_path(path, columns)
    return (data.paths, data.target) if return_X_y else data


def _from_path(path: Path, columns: dict[str, str | None]) -> Any:
    if not path.is_dir():
        return _from_table(path, columns)
    tables = sorted(p for p in path.iterdir() if is_table(p) and p.is_file())
    listing = list_classes(path)
    if len(listing.classes) > 1 or not tables:
        return _from_folder(path, listing, tables)
    if len(tables) > 1:
        raise ValueError(
            f"{path} has {len(tables)} tables: {shortened(t.name for t in tables)}. "
            "Pass the path of one."
        )
    return _from_table(tables[0], columns)


def _from_folder(folder: Path, listing: Listing, tables: list[Path]) -> Any:
    if not listing.classes:
        found = "".join(f" {complaint}." for complaint in listing.complaints())
        raise ValueError(
            f"{folder} has no sub-folders with audio files.{found} Put the files of "
            "each class into a folder of its own, or pass a table. Files count as "
            f"audio by their extensions: {' '.join(sorted(EXTENSIONS))}."
        )
    parts = parts_of(listing.classes)
    if not parts:
        _check_not_one_part(folder, listing)
        rows = [(None, *row) for row in _rows(listing)]
        complaints = listing.complaints()
    else:
        rows, complaints = _rows_of_split(folder, listing, parts)
    subsets, labels, paths = map(list, zip(*rows, strict=True))
    target, names = encode_labels(labels)
    frame = _frame({"path": paths, "label": labels})
    descr = f"{len(paths)} audio files in {len(names)} class folders of {folder}"
    if parts:
        frame.insert(1, "subset", np.array(subsets, dtype=object))
        descr += f", split by the folders {shortened(parts)}"
    data = make_bunch(frame, target, names, group=None, fold=None, descr=descr)
    set_subsets(data, subsets if parts else None)
    _warn(folder, [*complaints, *_unread_tables(tables)])
    return data


def _rows(listing: Listing) -> list[tuple[str, str]]:
    return [(name, path) for name, files in listing.classes.items() for path in files]


def _rows_of_split(
    folder: Path, listing: Listing, parts: dict[str, str]
) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Part, label and path of every file, and what is left out."""
    others = [name for name in listing.classes if name not in parts]
    if others:
        raise ValueError(
            f"{folder} has the folders {shortened(parts)}, which are parts of a split, "
            f"beside {shortened(others)}. Move these away, or pass a table with the "
            "columns file, label and split."
        )
    rows, complaints = [], []
    for name, part in parts.items():
        within = list_classes(folder / name)
        if not within.classes:
            raise ValueError(
                f"{folder} has the folders {shortened(parts)}, which are parts of a "
                f"split, but {name} has no folders of classes. Sort its files into "
                "some, or pass a table with the columns file, label and split."
            )
        rows += [(part, *row) for row in _rows(within)]
        complaints += [f"in {name}: {text}" for text in within.complaints()]
    return rows, complaints


def _check_not_one_part(folder: Path, listing: Listing) -> None:
    (name, *others) = listing.classes
    if part_of(name) and not others and list_classes(folder / name).classes:
        raise ValueError(
            f"{folder} has only the folder {name}, which is a part of a split, and no "
            f"class. Pass {folder / name}, whose folders are the classes."
        )


def _unread_tables(tables: list[Path]) -> list[str]:
    """Tables of clips beside folders of classes, which are what is read."""
    described = []
    for path in tables:
        try:
            names = {name.lower() for name in read_table(path).columns}
        except ValueError:
            continue
        if all(names & set(USUAL_NAMES[role]) for role in ("file", "label")):
            described.append(path.name)
    if not described:
        return []
    return [f"{shortened(described)} beside the folders is not read: pass its path"]


def _warn(folder: Path, complaints: list[str]) -> None:
    if complaints:
        warnings.warn(f"{folder}: {'; '.join(complaints)}.", stacklevel=5)


def _from_table(path: Path, columns: dict[str, str | None]) -> Any:
    if path.suffix.lower() not in SEPARATORS:
        raise ValueError(
            f"{path} is not a folder, a .csv or a .tsv table. To load single files, "
            "pass their paths to AudioLoader."
        )
    usual = [name for names in USUAL_NAMES.values() for name in names]
    asked = [name.lower() for name in columns.values() if name]
    table = read_table(path, [*usual, *asked])
    found = {role: _column(table, role, name) for role, name in columns.items()}
    for role in ("file", "label"):
        _check_complete(table, str(found[role]))
    labels = table.columns[str(found["label"])]
    target, names = encode_labels(labels)
    paths = locate(table, str(found["file"]))
    frame = _frame(
        {
            name: cells if name in found.values() else column_values(cells)
            for name, cells in table.columns.items()
        }
    )
    frame["path"] = np.array(paths, dtype=object)
    descr = f"{len(paths)} audio files in {len(names)} classes, listed in {path}"
    data = make_bunch(frame, target, names, group=None, fold=None, descr=descr)
    set_subsets(data, None)
    _set_groups(data, table, found["group"])
    _set_folds(data, table, found["fold"])
    return data


def _set_groups(data: Any, table: Table, column: str | None) -> None:
    """Sources of clips; one that has none is a source of its own."""
    if column is None:
        return
    cells = table.columns[column]
    data.groups = numbers_or_text(
        [cell or path for cell, path in zip(cells, data.paths, strict=True)]
    )
    data.frame[column] = numbers_or_text(cells)


def _set_folds(data: Any, table: Table, column: str | None) -> None:
    """Folds, or the parts of a split by their names."""
    if column is None:
        return
    cells = table.columns[column]
    parts = parts_of(dict.fromkeys(cells))
    if parts:
        data.folds = None
        set_subsets(data, [parts.get(cell, cell) for cell in cells])
        return
    data.folds = data.frame[column] = numbers_or_text(cells, empty=NO_FOLD)
    numbers = data.folds
    if numbers.dtype == object:
        known = {name: i for i, name in enumerate(sorted_names(filter(None, cells)))}
        numbers = np.array([known.get(cell, NO_FOLD) for cell in cells])
    if len(set(numbers[numbers != NO_FOLD])) > 1:
        data.cv = PredefinedSplit(numbers)


def _frame(columns: dict[str, Any]) -> Any:
    """A DataFrame whose text is of dtype object, as names need not be UTF-8."""
    import pandas as pd

    return pd.DataFrame(
        {
            name: cells if isinstance(cells, np.ndarray) else np.array(cells, object)
            for name, cells in columns.items()
        }
    )


def _column(table: Table, role: str, name: str | None) -> str | None:
    names = list(table.columns)
    if name is not None:
        if name.strip() in names:
            return name.strip()
        raise ValueError(
            f"{table.path} has no column {name!r} for {role}=; its columns are {names}."
        )
    by_lower_case = {known.lower(): known for known in names}
    for usual in USUAL_NAMES[role]:
        if usual in by_lower_case:
            return by_lower_case[usual]
    if role in ("group", "fold"):
        return None
    raise ValueError(
        f"{table.path} has no column with a usual name for the {role} "
        f"({', '.join(USUAL_NAMES[role])}); its columns are {names}. Pass "
        f"{role}='name of the column'. If these are not its columns, the separator was "
        "not recognised: save it with commas."
    )


def _check_complete(table: Table, column: str) -> None:
    cells = table.columns[column]
    empty = [i for i, cell in enumerate(cells) if not cell]
    if empty:
        raise ValueError(
            f"Column {column!r} of {table.path} is empty in {len(empty)} of "
            f"{len(cells)} rows, first in line {table.lines[empty[0]]}. Fill these "
            "cells or drop the rows."
        )
