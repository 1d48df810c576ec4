"""Segments to label files and back."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from skaudio._utils._files import replacing, size_of_file
from skaudio._utils._segment_table import Segment, check_segments, table_of
from skaudio._utils._types import shown
from skaudio.segmentation._label_files import BEGIN, FORMATS, UNKNOWN, LineError

RAVEN_ENDING = ".selections.txt"
ENDINGS = {".rttm": "rttm", RAVEN_ENDING: "raven", ".txt": "audacity"}


def write_segments(path, segments, format=None):
    """Write a table of segments as a label file.

    Parameters
    ----------
    path : str or path-like
        File to write. An older one is replaced, and stays if writing fails.
    segments : DataFrame
        Columns ``start`` and ``end`` in seconds and ``label``; perhaps ``recording``
        and ``probability``, as `FrameSegmenter.predict` gives them.
    format : {"audacity", "rttm", "raven"} or None, default=None
        "audacity" is a label track of Audacity, "rttm" the Rich Transcription Time
        Marked format of NIST, "raven" a selection table of Raven. None takes that of
        the ending: ``.rttm``, ``.selections.txt`` (Raven) or ``.txt`` (Audacity).

    Raises
    ------
    ValueError
        If the format cannot hold the table: a label with characters that separate
        columns, or several recordings (only "rttm" holds those).

    See Also
    --------
    read_segments : Reads them again.

    Notes
    -----
    Text is UTF-8. Times are written so that the same numbers are read. A label track
    holds neither recordings nor probabilities. Labels and recordings that are numbers
    are read as text. Raven's selections reach from 0 Hz to 24 kHz: segments have no
    band.

    Examples
    --------
    >>> import pandas as pd
    >>> from skaudio.segmentation import read_segments, write_segments
    >>> table = pd.DataFrame({"start": [0.0], "end": [1.5], "label": ["speech"]})
    >>> write_segments("labels.txt", table)
    >>> read_segments("labels.txt")
      recording  start  end   label  probability
    0    labels    0.0  1.5  speech          NaN
    >>> import os
    >>> os.remove("labels.txt")
    """
    name = _format_of(path, format)
    table = check_segments(segments)
    kind = FORMATS[name]
    rows = [Segment._make(row) for row in table.itertuples(index=False)]
    recordings = list(dict.fromkeys(str(row.recording) for row in rows))
    if len(recordings) > 1 and not kind.holds_several:
        raise ValueError(
            f"A file of format {name!r} holds one recording; got {len(recordings)}. "
            "Write one for each: for recording, part in segments.groupby('recording')."
        )
    _check_texts(name, "label", [str(row.label) for row in rows])
    if kind.names_recording:
        _check_texts(name, "recording", recordings)
    lines = kind.write(rows)
    with replacing(path) as part:
        part.write_text("".join(f"{line}\n" for line in lines), "utf-8", newline="\n")


def _check_texts(name: str, what: str, texts: list[str]) -> None:
    kind = FORMATS[name]
    for text in texts:
        found = re.search(kind.forbidden, text)
        if found is not None:
            better = re.sub(kind.forbidden, "_", text)
            raise ValueError(
                f"The {what} {text!r} has {found.group()!r}, which {kind.because} in a "
                f"file of format {name!r}. Replace it, {better!r} for example, or take "
                "another format."
            )
        if name == "rttm" and text in ("", UNKNOWN):
            raise ValueError(
                f"The {what} {text!r} means none in a file of format 'rttm'. Rename it."
            )
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"The {what} {text!r} cannot be written as UTF-8 ({error.reason}). "
                "Rename it."
            ) from None


def read_segments(path, format=None, *, recording=None):
    """Read a label file as a table of segments.

    Parameters
    ----------
    path : str or path-like
        File to read.
    format : {"audacity", "rttm", "raven"} or None, default=None
        See `write_segments`. None goes by the ending, and tells the two that end in
        ``.txt`` by their first line.
    recording : object, default=None
        What stands in the column ``recording`` where the file does not name any; None
        is the name of the file without its ending.

    Returns
    -------
    segments : DataFrame
        Columns ``recording``, ``start`` and ``end`` in seconds, ``label``, and
        ``probability``, NaN where the file has none; rows in the order of the file.

    Raises
    ------
    ValueError
        If a line is malformed, with its number; if the file is no UTF-8 text.

    See Also
    --------
    write_segments : Writes them.

    Notes
    -----
    Of RTTM, lines of type SPEAKER are read, and of Raven, the first of the columns
    Label, Annotation, Species, Common Name, Class, Type or Tag.

    Examples
    --------
    >>> from pathlib import Path
    >>> from skaudio.segmentation import read_segments
    >>> file = Path("news.rttm")
    >>> n = file.write_text("SPEAKER news 1 0.5 2.25 <NA> <NA> anchor 0.9 <NA>")
    >>> read_segments(file)
      recording  start   end   label  probability
    0      news    0.5  2.75  anchor          0.9
    >>> file.unlink()
    """
    size_of_file(path)
    text = _text_of(path)
    # not splitlines: a label may have what Unicode takes for the end of a line
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    name = _format_of(path, format, first=lines[0])
    if recording is None:
        recording = re.sub(r"(\.selections)?\.[^.]*$", "", Path(os.fsdecode(path)).name)
    try:
        found = list(FORMATS[name].read(iter(enumerate(lines, 1)), recording))
    except LineError as error:
        raise ValueError(
            f"{shown(path)}, line {error.line}: {error}. Correct it, or set format, "
            f"which is {name!r}."
        ) from None
    return table_of(found)


def _text_of(path: Any) -> str:
    content = Path(os.fsdecode(path)).read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{shown(path)}, line {line}: is not UTF-8 text. Convert the file, or pass "
            "a label file."
        ) from None


def _format_of(path: Any, format: str | None, first: str = "") -> str:
    """Name of a format, given or by the ending, and the first line of what is there."""
    if format is not None:
        if format not in FORMATS:
            raise ValueError(f"format must be one of {list(FORMATS)}; got {format!r}.")
        return format
    file = os.fsdecode(path).lower()
    for ending, name in ENDINGS.items():
        if file.endswith(ending):
            is_raven = name == "audacity" and BEGIN in first.split("\t")
            return "raven" if is_raven else name
    raise ValueError(
        f"{shown(path)} has none of the endings {list(ENDINGS)}, so its format is "
        f"unknown. Set format to one of {list(FORMATS)}."
    )
