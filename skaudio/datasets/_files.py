"""`load_audio_files`: a folder or a table of the user's own audio."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from skaudio.datasets._base import encode_labels, make_bunch

EXTENSIONS = {
    *".wav .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .w64".split(),
    ".caf",  # codespell:ignore caf
}
TABLES = {".csv": ",", ".tsv": "\t"}
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
          the clips and whose name is the label; other files and names that start
          with a dot are skipped;
        - a .csv or .tsv table with one row per clip. File names in it start at the
          folder of the table, or at the folder ``audio`` beside it;
        - a folder with exactly one such table and no sub-folders of classes.
    file, label, group, fold : str or None, default=None
        Columns of the table with the file name, the class, the recording that the
        clip was cut from, and the published fold. None looks for the usual names,
        whatever their case: for example ``filename``, ``path``; ``label``,
        ``category``, ``target``; ``group``, ``source``, ``speaker``; ``fold``,
        ``split``. File and label must be found; group and fold may be absent.
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
            Names of the classes, sorted.
        groups : ndarray of shape (n_clips,) or None
            Recording of each clip.
        folds : ndarray of shape (n_clips,) or None
            Published fold of each clip.
        cv : :class:`~sklearn.model_selection.PredefinedSplit` or None
            The published folds as a `cv` argument, for X with all clips in order.
        frame : DataFrame with n_clips rows
            The table, with a column ``path`` added.
        DESCR : str
            What was loaded.
    (paths, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    FileNotFoundError
        If `path`, or a file that the table lists, does not exist.
    ValueError
        If a column is not found, or has empty cells.

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
    if path.is_dir():
        table = _only_table(path)
        data = _from_folder(path) if table is None else _from_table(table, columns)
    else:
        data = _from_table(path, columns)
    return (data.paths, data.target) if return_X_y else data


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    """Audio files in each sub-folder that has some, sorted."""
    found = {}
    for child in sorted(p for p in folder.iterdir() if p.is_dir()):
        if not child.name.startswith("."):
            found[child.name] = _audio_files(child)
    return {name: files for name, files in found.items() if files}


def _audio_files(folder: Path) -> list[Path]:
    return sorted(
        p
        for p in folder.rglob("*")
        if p.suffix.lower() in EXTENSIONS
        and not any(part.startswith(".") for part in p.relative_to(folder).parts)
    )


def _only_table(folder: Path) -> Path | None:
    tables = [p for p in folder.iterdir() if p.suffix.lower() in TABLES]
    if len(tables) == 1 and len(_class_folders(folder)) < 2:
        return tables[0]
    return None


def _from_folder(folder: Path) -> Any:
    import pandas as pd

    classes = _class_folders(folder)
    if not classes:
        raise ValueError(
            f"{folder} has no sub-folders with audio files. Put the files of each "
            "class into a folder of its own, or pass a table. Files count as audio by "
            f"their extensions: {' '.join(sorted(EXTENSIONS))}."
        )
    labels = [name for name, files in classes.items() for _ in files]
    paths = [str(p) for files in classes.values() for p in files]
    target, names = encode_labels(labels)
    frame = pd.DataFrame({"path": paths, "label": labels})
    descr = f"{len(paths)} audio files in {len(names)} class folders of {folder}"
    return make_bunch(frame, target, names, group=None, fold=None, descr=descr)


def _from_table(table: Path, columns: dict[str, str | None]) -> Any:
    import pandas as pd

    separator = TABLES.get(table.suffix.lower())
    if separator is None:
        raise ValueError(
            f"{table} is not a folder, a .csv or a .tsv table. To load single files, "
            "pass their paths to AudioLoader."
        )
    frame = pd.read_csv(table, sep=separator, encoding="utf-8-sig")
    if frame.empty:
        raise ValueError(f"{table} has no rows.")
    found = {role: _column(frame, table, role, name) for role, name in columns.items()}
    for column in filter(None, found.values()):
        _check_complete(frame, table, column)
    target, names = encode_labels(frame[found["label"]])
    frame["path"] = _resolve(table, frame[found["file"]].astype(str))
    descr = f"{len(frame)} audio files in {len(names)} classes, listed in {table}"
    return make_bunch(
        frame, target, names, group=found["group"], fold=found["fold"], descr=descr
    )


def _column(frame: Any, table: Path, role: str, name: str | None) -> str | None:
    if name is not None:
        if name in frame.columns:
            return name
        raise ValueError(
            f"{table} has no column {name!r} for {role}=; its columns are "
            f"{list(frame.columns)}."
        )
    by_lower_case = {str(c).strip().lower(): c for c in frame.columns}
    for usual in USUAL_NAMES[role]:
        if usual in by_lower_case:
            column: str = by_lower_case[usual]
            return column
    if role in ("group", "fold"):
        return None
    raise ValueError(
        f"{table} has no column with a usual name for the {role} "
        f"({', '.join(USUAL_NAMES[role])}); its columns are {list(frame.columns)}. "
        f"Pass {role}='name of the column'."
    )


def _check_complete(frame: Any, table: Path, column: str) -> None:
    empty = np.flatnonzero(frame[column].isna())
    if len(empty):
        raise ValueError(
            f"Column {column!r} of {table} is empty in {len(empty)} of {len(frame)} "
            f"rows, first in data row {empty[0]}. Fill these cells or drop the rows."
        )


def _resolve(table: Path, names: Any) -> list[str]:
    """Full paths of the listed files, all of which must exist."""
    folders = [table.parent, table.parent / "audio"]
    paths, missing = [], []
    for name in names:
        candidates = [folder / name for folder in folders]  # absolute names win
        path = next((p for p in candidates if p.is_file()), None)
        paths.append(str(path))
        if path is None:
            missing.append(name)
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} files listed in {table} are missing, "
            f"first {missing[0]!r}. Looked in {folders[0]} and {folders[1]}."
        )
    return paths
