"""Label files: what is written is read again, and what is malformed has a line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from skaudio.segmentation import read_segments, write_segments

COLUMNS = ["recording", "start", "end", "label", "probability"]


def table_of(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def random_table(rng, labels, recordings):
    n = int(rng.integers(0, 40))
    # all the digits of a float, tiny ones and large ones
    times = np.sort(rng.random((n, 2)) * 10.0 ** rng.integers(-8, 6, (n, 1)), axis=1)
    times = np.round(times, 9) if rng.random() < 0.5 else times
    probability = np.where(rng.random(n) < 0.3, np.nan, rng.random(n))
    return pd.DataFrame(
        {
            "recording": rng.choice(recordings, n),
            "start": times[:, 0],
            "end": times[:, 1],
            "label": rng.choice(labels, n),
            "probability": probability,
        }
    )


FORMATS = {
    "audacity": (["a b", "größe", "音楽", " x ", "", "\u2028", "1.5", "\\n"], ["a"]),
    "rttm": (["speech", "größe", "音楽", "-1", "\\n", "a;b"], ["a", "ä-1", "1"]),
    "raven": (["a b", "größe", "音楽", " x ", "", "\x0b", "1.5"], ["a b.wav"]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_read_again(name, tmp_path):
    rng = np.random.default_rng(0)
    labels, recordings = FORMATS[name]
    for i in range(50):
        table = random_table(rng, labels, recordings)
        path = tmp_path / f"a{i}.txt"
        write_segments(path, table, format=name)
        found = read_segments(path, format=name, recording="a")
        if name == "audacity":
            table["probability"] = np.nan
        if not len(table):
            table = table.astype({"recording": object, "label": object})
            found = found.astype({"recording": object, "label": object})
        assert_frame_equal(found, table, check_exact=True)


NEWS = [
    ("news", 0.0, 1.5, "speech", 0.75),
    ("news", 1.5, 2.25, "music", np.nan),
    ("news", 2.25, 1234567.0, "speech", 1.0),
]
WRITTEN = {
    "labels.txt": "0.0\t1.5\tspeech\n1.5\t2.25\tmusic\n2.25\t1234567.0\tspeech\n",
    "a.rttm": (
        "SPEAKER news 1 0.0 1.5 <NA> <NA> speech 0.75 <NA>\n"
        "SPEAKER news 1 1.5 0.75 <NA> <NA> music <NA> <NA>\n"
        "SPEAKER news 1 2.25 1234564.75 <NA> <NA> speech 1.0 <NA>\n"
    ),
    "a.selections.txt": (
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\t"
        "High Freq (Hz)\tBegin Path\tLabel\tProbability\n"
        "1\tSpectrogram 1\t1\t0.0\t1.5\t0.0\t24000\tnews\tspeech\t0.75\n"
        "2\tSpectrogram 1\t1\t1.5\t2.25\t0.0\t24000\tnews\tmusic\t\n"
        "3\tSpectrogram 1\t1\t2.25\t1234567.0\t0.0\t24000\tnews\tspeech\t1.0\n"
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_in_the_file(name, tmp_path):
    path = tmp_path / name
    write_segments(path, table_of(*NEWS))
    assert path.read_bytes() == WRITTEN[name].encode()


READ = {
    "as Audacity exports it": (
        "labels.txt",
        "\ufeff0.000000\t1.500000\tlow hum\r\n\\\t100.0\t200.0\r\n"
        "2.0\t2.0\ta point\r\n3\t4.5\r\n\r\n",
        [("low hum", 0, 1.5), ("a point", 2, 2), ("", 3, 4.5)],
    ),
    "as of the DIHARD challenge": (
        "DH_0001.rttm",
        ";; a comment\nSPKR-INFO DH_0001 1 <NA> <NA> <NA> unknown s1 <NA>\n"
        "SPEAKER DH_0001 1 10.1 0.2 <NA> <NA> s1 <NA> <NA>\n\n"
        "SPEAKER\tDH_0001  1 .3 1e-1 <NA> <NA> s2 <NA>",
        [("s1", 10.1, 10.3), ("s2", 0.3, 0.4)],
    ),
    "as Raven exports it": (
        "table.txt",
        "Selection\tView\tBegin Time (s)\tEnd Time (s)\tBegin File\tSpecies\n"
        "1\tWaveform 1\t0.5\t1\tb.wav\tTurdus merula\n"
        "1\tSpectrogram 1\t0.5\t1\tb.wav\tTurdus merula\n"
        "2\tSpectrogram 1\t7.25\t9\tb.wav\tRain, wind\n",
        [("Turdus merula", 0.5, 1), ("Rain, wind", 7.25, 9)],
    ),
    "of several files in Raven": (
        "several.selections.txt",
        "Selection\tBegin Time (s)\tEnd Time (s)\tFile Offset (s)\tAnnotation\n"
        "1\t60.5\t62.0\t0.5\tx\n",
        [("x", 0.5, 2.0)],
    ),
}


@pytest.mark.parametrize("case", READ)
def test_files_of_others(case, tmp_path):
    name, text, expected = READ[case]
    (tmp_path / name).write_bytes(text.encode())
    table = read_segments(tmp_path / name)
    rows = table[["label", "start", "end"]].itertuples(index=False, name=None)
    assert list(rows) == expected
    of = {"labels.txt": "labels", "table.txt": "b.wav", "DH_0001.rttm": "DH_0001"}
    assert set(table["recording"]) == {of.get(name, "several")}
    assert table["probability"].isna().all()


TIMES = "Begin Time (s)\tEnd Time (s)"
MALFORMED = [
    ("a.txt", "0\t1\ta\n1 2 b\n", 2, "expected start, end, label"),
    ("a.txt", "0\tone\ta\n", 1, "end must be a number; got 'one'"),
    ("a.txt", "nan\t1\ta\n", 1, "start must be a number"),
    ("a.txt", "1_0\t20\ta\n", 1, "start must be a number"),
    ("a.txt", "\u0661\t2\ta\n", 1, "start must be a number"),
    ("a.txt", "0\t1e999\ta\n", 1, "end must be a number; got '1e999'"),
    ("a.txt", "0,5\t1\ta\n", 1, "start must be a number"),
    ("a.txt", "0\t1\ta\n2\t1\tb\n", 2, "a segment goes from 2 s to 1 s"),
    ("a.txt", "-1\t1\ta\n", 1, "a segment goes from -1 s"),
    ("a.txt", b"0\t1\ta\n0\t1\t\xff\xfe\n", 2, "is not UTF-8 text"),
    ("a.rttm", "\nTALKER a 1 0 1 x x a x x\n", 2, "expected SPEAKER"),
    ("a.rttm", "SPEAKER a 1 0 1 x x a", 1, "expected SPEAKER and 8"),
    ("a.rttm", "SPEAKER a 1 0 1 - - a b - -", 1, "expected SPEAKER and 8"),
    ("a.rttm", "SPEAKER a 1 0 x - - a -", 1, "the duration must"),
    ("a.rttm", "SPEAKER a 1 3 -1 - - a <NA>", 1, "a segment goes from 3 s to 2 s"),
    ("a.rttm", "SPEAKER a 1 3 1 - - a high", 1, "the confidence must"),
    ("a.selections.txt", "Label\nx\n", 1, "expected a column 'Begin Time"),
    ("a.txt", f"{TIMES}\n0\t1\n", 1, "expected a column of labels, one of"),
    ("a.txt", f"{TIMES}\tLabel\n0\t1\tx\n0\t1\n", 3, "expected 3 columns; got 2"),
]


@pytest.mark.parametrize(("name", "text", "line", "message"), MALFORMED)
def test_malformed_lines_are_named(name, text, line, message, tmp_path):
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}, line {line}: {message}"):
        read_segments(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "label", "message"),
    [
        ("a.txt", "a\tb", r"label 'a\\tb' has '\\t', which ends the label.*'a_b'"),
        ("a.txt", "a\nb", r"has '\\n'"),
        ("a.selections.txt", "a\rb", r"has '\\r', which separates columns"),
        ("a.rttm", "a b", "has ' ', which separates columns.*'a_b' for example"),
        ("a.rttm", "a\u3000b", "has .*separates columns"),
        ("a.rttm", "", "means none"),
        ("a.rttm", "<NA>", "means none"),
        ("a.txt", "\ud800", "cannot be written as UTF-8"),
    ],
)
def test_labels_that_a_format_cannot_hold(name, label, message, tmp_path):
    path = tmp_path / name
    path.write_text("older")
    with pytest.raises(ValueError, match=message):
        write_segments(path, table_of(("r", 0, 1, label, 1.0)))
    assert path.read_text() == "older"
    assert len(list(tmp_path.iterdir())) == 1


def test_recordings_that_a_format_cannot_hold(tmp_path):
    table = table_of(("a", 0, 1, "x", 1.0), ("b c", 0, 1, "x", 1.0))
    for name in ("audacity", "raven"):
        with pytest.raises(ValueError, match=f"{name}' holds one recording; got 2"):
            write_segments(tmp_path / "a.txt", table, format=name)
    with pytest.raises(ValueError, match="recording 'b c' has ' '"):
        write_segments(tmp_path / "a.rttm", table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"start": [0], "end": [1]}), "has no column 'label'"),
        (
            table_of(("a", np.nan, np.nan, None, np.nan)),
            "Row 0 of segments has no times",
        ),
        (
            table_of(("a", 0, 1, "x", 1), ("a", 3, 2, "x", 1)),
            "Row 1 .* from 3 s to 2 s",
        ),
        (
            table_of(("a", "x", 1, "x", 1)),
            "Column 'start' of segments must hold numbers",
        ),
        ([{"start": 0, "stop": 1}], "has no column 'end'"),
    ],
)
def test_what_is_no_table_of_segments(table, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_segments(tmp_path / "a.txt", table)
    with pytest.raises(TypeError, match="must be a DataFrame"):
        write_segments(tmp_path / "a.txt", "a.txt")


def test_formats_are_found_by_name(tmp_path):
    table = table_of(*NEWS)
    with pytest.raises(ValueError, match="none of the endings"):
        write_segments(tmp_path / "a.lab", table)
    with pytest.raises(ValueError, match="format must be one of"):
        write_segments(tmp_path / "a.txt", table, format="elan")
    write_segments(tmp_path / "a.lab", table, format="rttm")
    assert_frame_equal(read_segments(tmp_path / "a.lab", format="rttm"), table)
    write_segments(tmp_path / "A.RTTM", table.to_dict("records"))
    assert_frame_equal(read_segments(str(tmp_path / "A.RTTM")), table)
    with pytest.raises(FileNotFoundError):
        read_segments(tmp_path / "none.txt")
    with pytest.raises(IsADirectoryError):
        read_segments(tmp_path)


def test_an_empty_file_has_no_segments(tmp_path):
    for name in ("a.txt", "a.rttm"):
        (tmp_path / name).write_text("")
        table = read_segments(tmp_path / name)
        assert list(table) == COLUMNS
        assert len(table) == 0
