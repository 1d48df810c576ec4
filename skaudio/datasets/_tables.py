"""Tables of clips as people write them: every cell is the text that stands there."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skaudio._utils._files import size_of_file
from skaudio._utils._text import shortened

SEPARATORS = {".csv": ",;\t|", ".tsv": "\t,;|"}  # by extension, the usual one first
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# numbers whose text follows from their value
WHOLE = re.compile(r"-?[1-9]\d{0,17}|0")
DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass
class Table:
    """Cells of a table without blanks around them.

    Parameters
    ----------
    path : Path
        The file.
    columns : dict of str to list of str
        Cells of every column by its name, "" where they are empty.
    lines : list of int
        Line of the file that each row starts in, from 1.
    """

    path: Path
    columns: dict[str, list[str]]
    lines: list[int]


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name."""
    return path.suffix.lower() in SEPARATORS and not path.name.startswith(".")


def read_table(path: Path, names: Iterable[str] = ()) -> Table:
    """Read a table whatever program wrote it.

    Parameters
    ----------
    path : Path
        A .csv or .tsv file: UTF-8, or UTF-16 or UTF-32 with a mark; separated by
        commas, semicolons, tabs or bars, which are recognised by the first row.
    names : iterable of str
        Columns that are likely to be there, in lower case: they help to recognise it.

    Returns
    -------
    table : Table
        Its cells.

    Raises
    ------
    ValueError
        If it cannot be read: the message names the line and what to do.
    """
    text = _text(path)
    separator = _separator(path, text, set(names)) if text.strip() else ","
    rows = _rows(path, text, separator)
    if not rows:
        raise ValueError(f"{path} is empty: wanted a row of names and a row per clip.")
    _, header = rows.pop(0)
    if not rows:
        raise ValueError(f"{path} has no rows below its names {header}.")
    columns = _columns(path, header, rows, separator)
    return Table(path, columns, [line for line, _ in rows])


def _text(path: Path) -> str:
    size_of_file(path)
    content = path.read_bytes()
    mark = next((m for m in MARKS if content.startswith(m)), b"")
    encoding = MARKS.get(mark, "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = _line_after(content[: error.start].decode(encoding, "ignore"))
        raise ValueError(
            f"Line {line} of {path} is not {encoding.removesuffix('-sig').upper()}: "
            f"byte {error.object[error.start]:#x} at place {error.start}. Save the "
            "table as UTF-8 (spreadsheets: 'CSV UTF-8')."
        ) from error
    if "\0" in text:
        line = _line_after(text[: text.index("\0")])
        raise ValueError(
            f"Line {line} of {path} has a NUL character: it is damaged, or UTF-16 "
            "without a mark. Save the table as UTF-8."
        )
    return text


def _line_after(text: str) -> int:
    return len(re.findall(r"\r\n|\r|\n", text)) + 1


def _separator(path: Path, text: str, names: set[str]) -> str:
    """The one that finds most known columns in the first row, or most columns."""
    first = next(line for line in io.StringIO(text, newline=None) if line.strip())

    def score(separator: str) -> tuple[int, int]:
        try:
            row = next(_reader([first], separator))
        except csv.Error:  # another separator behind a quotation mark
            return 0, 0
        cells = {cell.strip().lower() for cell in row}
        return len(names & cells), len(row)

    return max(SEPARATORS[path.suffix.lower()], key=score)


def _reader(lines: Iterable[str], separator: str) -> Any:
    return csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)


def _rows(path: Path, text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Rows with the line that they start in; empty ones are left out."""
    reader = _reader(io.StringIO(text, newline=""), separator)
    rows = []
    line = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        what = str(error)
        if "end of data" in what:
            what = "a quotation mark is not closed"
        elif "expected after" in what:
            what = f"{what}: quotation marks within a cell are written twice"
        raise ValueError(
            f"Line {line} of {path} cannot be read: {what}. Mend this row."
        ) from error
    return rows


def _columns(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]], separator: str
) -> dict[str, list[str]]:
    while header and not header[-1]:  # separators at the end of every row
        header.pop()
    n_columns = len(header)
    for line, cells in rows:
        if any(cells[n_columns:]):
            raise ValueError(
                f"Line {line} of {path} has {len(cells)} cells, but there are "
                f"{n_columns} columns: {shortened(header)}. Quote cells that hold the "
                f"separator, {separator!r}."
            )
        cells += [""] * (n_columns - len(cells))
    names = [name or f"Unnamed: {i}" for i, name in enumerate(header)]
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise ValueError(
            f"{path} has {Counter(names)[twice[0]]} columns of the name {twice[0]!r}. "
            "Rename all but one."
        )
    cells_of = zip(*(cells[:n_columns] for _, cells in rows), strict=True)
    return dict(zip(names, map(list, cells_of), strict=True))


def sorted_names(names: Iterable[str]) -> list[str]:
    """Names in order: as numbers if all of them are numbers, else as text."""
    known = sorted(set(names))
    if all(NUMBER.fullmatch(name) for name in known):
        return sorted(known, key=float)
    return known


def numbers_or_text(cells: Sequence[str], empty: Any = None) -> Any:
    """Integers, if each of them can be written in one way only; else the text.

    ``empty`` is what an empty cell is among integers; None takes none for integers.
    """
    import numpy as np

    is_whole = {
        cell: bool(WHOLE.fullmatch(cell)) or (not cell and empty is not None)
        for cell in set(cells)
    }
    if any(cells) and all(is_whole.values()):
        return np.array([int(c) if c else empty for c in cells], dtype=np.int64)
    return np.array(cells, dtype=object)


def column_values(cells: Sequence[str]) -> Any:
    """Integers or decimals, if all cells are, NaN where they are empty; else text."""
    import numpy as np

    whole = numbers_or_text(cells)
    if whole.dtype != object or not any(cells):
        return whole
    if all(not c or DECIMAL.fullmatch(c) for c in set(cells)):
        return np.array([float(c) if c else np.nan for c in cells])
    return whole


def locate(table: Table, column: str) -> list[str]:
    """Full paths of listed files, all of which must exist.

    Parameters
    ----------
    table : Table
        The table.
    column : str
        Its column of names. They start at the folder of the table or at the folder
        ``audio`` beside it.

    Returns
    -------
    paths : list of str
        One per row.

    Raises
    ------
    FileNotFoundError
        If files are missing: the message counts them.
    OSError
        If it cannot be told, as a folder may not be read.
    """
    folders = [str(table.path.parent), str(table.path.parent / "audio")]
    found = {}
    for name in dict.fromkeys(table.columns[column]):
        candidates = [os.path.join(folder, name) for folder in folders]
        found[name] = next((c for c in candidates if _is_file(c)), None)
    names = table.columns[column]
    missing = [i for i, name in enumerate(names) if found[name] is None]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(names)} files listed in {table.path} are missing, "
            f"first {names[missing[0]]!r:.200} in line {table.lines[missing[0]]}. "
            f"Looked in {folders[0]} and {folders[1]}."
        )
    return [str(found[name]) for name in names]


def _is_file(path: str) -> bool:
    try:
        os.stat(path)
    except PermissionError:
        raise
    except (OSError, ValueError):
        return False
    return os.path.isfile(path)
