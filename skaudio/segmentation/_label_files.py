"""Lines of label files: how each format writes segments, and reads them again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from skaudio._utils._segment_table import Segment

Lines = Iterator[tuple[int, str]]  # their numbers, from 1 on, without line ends

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
BREAKS = r"[\t\r\n]"
UNKNOWN = "<NA>"
# types of the NIST format that are no segments of a speaker: "SPEAKER" is read
RTTM_OTHERS = {
    *("SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH"),
    *("FILLER", "EDIT", "IP", "SU", "CB", "A/P", "SPKR-INFO"),
}
BEGIN, END, OFFSET = "Begin Time (s)", "End Time (s)", "File Offset (s)"
RAVEN_FILES = ("Begin Path", "Begin File")
RAVEN_LABELS = ("Label", "Annotation", "Species", "Common Name", "Class", "Type", "Tag")
RAVEN_PROBABILITIES = ("Probability", "Confidence", "Score")
RAVEN_COLUMNS = (
    *("Selection", "View", "Channel", BEGIN, END, "Low Freq (Hz)", "High Freq (Hz)"),
    *("Begin Path", "Label", "Probability"),
)
HIGHEST = 24_000  # Hz: of a selection, whose band nobody knows; what is above is cut


class LineError(ValueError):
    """What is wrong with a line, which the caller names."""

    def __init__(self, line: int, what: str) -> None:
        self.line = line
        super().__init__(what)


class Format(NamedTuple):
    """A kind of label file."""

    write: Callable[[list[Segment]], list[str]]
    read: Callable[[Lines, Any], Iterator[Segment]]
    names_recording: bool
    holds_several: bool  # recordings
    forbidden: str  # in labels: a regular expression
    because: str  # what the forbidden characters do in the file


def positional(value: float) -> str:
    """The shortest number without an exponent that is read as the same one."""
    return np.format_float_positional(value, trim="0")


def number(text: str, line: int, what: str) -> float:
    """A number of a file."""
    value = float(text) if NUMBER.fullmatch(text.strip()) else np.inf
    if not np.isfinite(value):
        raise LineError(line, f"{what} must be a number; got {text!r}")
    return value


def _segment(line: int, *values: Any) -> Segment:
    segment = Segment(*values)
    if segment.start < 0 or segment.end < segment.start:
        raise LineError(
            line, f"a segment goes from {segment.start:g} s to {segment.end:g} s"
        )
    return segment


# ----------------------------------------------------------------------- Audacity


def write_audacity(segments: list[Segment]) -> list[str]:
    """Start, end and label, with tabs between them."""
    return [f"{positional(s.start)}\t{positional(s.end)}\t{s.label}" for s in segments]


def read_audacity(lines: Lines, recording: Any) -> Iterator[Segment]:
    """The same; lines of a frequency range, which start with a backslash, are left out.

    A line without a label has an empty one.
    """
    for n, line in lines:
        if not line.strip() or line.startswith("\\"):
            continue
        parts = line.split("\t", 2)
        if len(parts) < 2:
            raise LineError(n, f"expected start, end, label with tabs; got {line!r}")
        start, end = number(parts[0], n, "start"), number(parts[1], n, "end")
        label = parts[2] if len(parts) > 2 else ""
        yield _segment(n, recording, start, end, label, np.nan)


# --------------------------------------------------------------------------- RTTM


def write_rttm(segments: list[Segment]) -> list[str]:
    """Ten columns, of which the other four are constant or unknown."""
    return [
        f"SPEAKER {s.recording} 1 {positional(s.start)} {_duration(s)} {UNKNOWN} "
        f"{UNKNOWN} {s.label} {_or_unknown(s.probability)} {UNKNOWN}"
        for s in segments
    ]


def _duration(segment: Segment) -> str:
    """The exact difference of the written numbers, so that the end is kept."""
    start, end = (Decimal(positional(t)) for t in (segment.start, segment.end))
    return format(end - start, "f")


def _or_unknown(value: float) -> str:
    return UNKNOWN if np.isnan(value) else positional(value)


def read_rttm(lines: Lines, recording: Any) -> Iterator[Segment]:
    """The same; lines of other types and comments are left out."""
    for n, line in lines:
        parts = line.split()
        if not parts or line.startswith(";;") or parts[0] in RTTM_OTHERS:
            continue
        if parts[0] != "SPEAKER" or len(parts) not in (9, 10):
            raise LineError(
                n, f"expected SPEAKER and 8 or 9 further columns; got {line!r}"
            )
        start = number(parts[3], n, "the start")
        number(parts[4], n, "the duration")
        end = float(Decimal(parts[3]) + Decimal(parts[4]))
        known = parts[8] != UNKNOWN
        probability = number(parts[8], n, "the confidence") if known else np.nan
        yield _segment(n, parts[1], start, end, parts[7], probability)


# -------------------------------------------------------------------------- Raven


def write_raven(segments: list[Segment]) -> list[str]:
    """A header, and selections of a spectrogram with tabs between columns."""
    rows = [
        (
            *(str(i + 1), "Spectrogram 1", "1", positional(s.start), positional(s.end)),
            *("0.0", str(HIGHEST), str(s.recording), str(s.label)),
            "" if np.isnan(s.probability) else positional(s.probability),
        )
        for i, s in enumerate(segments)
    ]
    return ["\t".join(row) for row in [RAVEN_COLUMNS, *rows]]


def read_raven(lines: Lines, recording: Any) -> Iterator[Segment]:
    """Selections, once each: a table may list those of every view."""
    n, header = next(lines, (1, ""))
    names = header.split("\t")
    missing = [name for name in (BEGIN, END) if name not in names]
    if missing:
        raise LineError(n, f"expected a column {missing[0]!r}; got {names}")
    label = _first_of(RAVEN_LABELS, names)
    if label is None:
        raise LineError(
            n, f"expected a column of labels, one of {RAVEN_LABELS}; got {names}"
        )
    file = _first_of(RAVEN_FILES, names)
    probability = _first_of(RAVEN_PROBABILITIES, names)
    seen = set()
    for n, line in lines:
        if not line.strip():
            continue
        row = dict(zip(names, line.split("\t"), strict=False))
        if len(line.split("\t")) != len(names):
            count = len(line.split("\t"))
            raise LineError(n, f"expected {len(names)} columns; got {count}")
        selection = row.get("Selection", str(n))
        if selection in seen:
            continue
        seen.add(selection)
        start, end = number(row[BEGIN], n, BEGIN), number(row[END], n, END)
        if row.get(OFFSET):  # times count from the start of the first of several files
            first = number(row[OFFSET], n, OFFSET)
            start, end = first, first + (end - start)
        score = row[probability] if probability else ""
        p = number(score, n, str(probability)) if score else np.nan
        of = row[file] if file and row[file] else recording
        yield _segment(n, of, start, end, row[label], p)


def _first_of(candidates: tuple[str, ...], names: list[str]) -> str | None:
    return next((name for name in candidates if name in names), None)


FORMATS = {
    "audacity": Format(
        write_audacity, read_audacity, False, False, BREAKS, "ends the label"
    ),
    "rttm": Format(write_rttm, read_rttm, True, True, r"\s", "separates columns"),
    "raven": Format(write_raven, read_raven, True, False, BREAKS, "separates columns"),
}
