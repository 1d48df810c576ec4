"""Tables of clips: cells as they are written, whatever program wrote them."""

import os

import numpy as np
import pytest

from skaudio.datasets import load_audio_files


@pytest.fixture
def load(tmp_path):
    for name in ("1.wav", "2.wav", "3.wav"):
        (tmp_path / name).touch()

    def load(content, name="clips.csv", **columns):
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(content)
        return load_audio_files(tmp_path / name, **columns)

    return load


def rows(*cells, head="file,label"):
    return head + "\n" + "".join(f"{i}.wav,{c}\n" for i, c in enumerate(cells, 1))


# ------------------------------------------------------------------- cells as written


@pytest.mark.parametrize(
    "labels",
    [
        *(("None", "yes"), ("NA", "b", "null"), ("NaN", "nan"), ("#N/A", "n/a")),
        *(("007", "7"), ("01", "02"), ("1.1", "1.10"), ("+1", "1"), ("1e5", "100000")),
        *(("FALSE", "False", "TRUE"), ("-0", "0"), ("1,5", "2,5"), ("inf", "x")),
        *(("2020-01-01", "2020-1-1"), ("12345678901234567890", "x"), ("=1+1", "@a")),
    ],
)
def test_names_are_what_is_written(load, labels):
    quoted = rows(*(f'"{label}"' for label in labels))
    plain = rows(*labels) if "," not in "".join(labels) else quoted
    for content in (plain, quoted):
        data = load(content)
        assert data.target_names[data.target].tolist() == list(labels)
        assert data.frame["label"].tolist() == list(labels)


def test_order_of_names(load):
    assert load(rows("10", "9", "1.5")).target_names.tolist() == ["1.5", "9", "10"]
    assert load(rows("10", "9", "x")).target_names.tolist() == ["10", "9", "x"]
    assert load(rows("b", "B", "a")).target_names.tolist() == ["B", "a", "b"]


def test_files_are_what_is_written(load, tmp_path):
    for name in ("0001", "1.10", "NA"):
        (tmp_path / name).touch()
    data = load("file,label\n0001,a\n1.10,b\nNA,c\n")
    assert data.paths.tolist() == [str(tmp_path / n) for n in ("0001", "1.10", "NA")]


def test_blanks_around_cells_are_cut(load):
    data = load('file , label\n 1.wav , a\n2.wav,a \n3.wav, "a, b"\n')
    assert data.target_names.tolist() == ["a", "a, b"]


def test_optional_columns_may_have_empty_cells(load):
    data = load(rows("a,ann,1", "b,,2", "a,,", head="file,label,speaker,fold"))
    assert data.groups[0] == "ann"
    assert len(set(data.groups)) == 3  # a source of its own each
    assert data.folds.tolist() == [1, 2, -1]
    assert [test.tolist() for _, test in data.cv.split()] == [[0], [1]]
    assert all(2 in train for train, _ in data.cv.split())
    assert data.frame["speaker"].tolist() == ["ann", "", ""]


def test_groups_and_folds_keep_their_names(load):
    data = load(rows("a,NA,01", "b,SB,1", "a,NA,01", head="file,label,speaker,fold"))
    assert data.groups.tolist() == ["NA", "SB", "NA"]
    assert data.folds.tolist() == ["01", "1", "01"]
    assert [test.tolist() for _, test in data.cv.split()] == [[0, 2], [1]]
    data = load(rows("a,07,5", "b,7,5", head="file,label,speaker,fold"))
    assert data.groups.tolist() == ["07", "7"]
    assert data.folds.dtype == np.int64
    assert data.cv is None  # one fold leaves nothing to train on


def test_other_columns_are_numbers_where_that_loses_nothing(load):
    head = "file,label,whole,decimal,gap,code,big,text"
    data = load(
        rows("a,1,0.5,3,007,1e400,x", "b,-2,1e-3,,7,2,", "a,0,2,1,8,3,NA", head=head)
    )
    frame = data.frame
    assert frame["whole"].tolist() == [1, -2, 0]
    assert frame["whole"].dtype == np.int64
    assert frame["decimal"].tolist() == [0.5, 0.001, 2.0]
    np.testing.assert_array_equal(frame["gap"], [3, np.nan, 1])
    assert frame["code"].tolist() == ["007", "7", "8"]
    assert frame["text"].tolist() == ["x", "", "NA"]
    assert frame.columns.tolist() == [*head.split(","), "path"]


def test_many_rows_of_few_names(load):
    labels = [str(i % 7) for i in range(100_000)] + ["dog"]
    data = load("file,label\n" + "".join(f"1.wav,{label}\n" for label in labels))
    assert data.target_names.tolist() == [*"0123456", "dog"]
    assert data.target[-1] == 7


# --------------------------------------------------------------- what programs write

GOOD = rows("Müll", "b")


@pytest.mark.parametrize(
    "content",
    [
        GOOD.encode(),
        GOOD.encode("utf-8-sig"),
        *(GOOD.encode(f"utf-{bits}") for bits in (16, 32)),
        b"\xfe\xff" + GOOD.encode("utf-16-be"),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\r").encode(),
        GOOD.replace("\n", "\n\n").encode(),
        GOOD.replace("\n", ",\n").encode(),
        GOOD.replace("\n", ",,,\n").encode() + b",,,\n,,,\n",
        *(GOOD.replace(",", s).encode() for s in (";", "\t", "|")),
        GOOD.rstrip().encode(),
        '"file","label"\n"1.wav","Müll"\n"2.wav","b"'.encode(),
        'file,label\n1.wav,"Müll"\n"2.wav",b\n'.encode(),
    ],
    ids=range(16),
)
@pytest.mark.parametrize("name", ["clips.csv", "CLIPS.TSV"])
def test_tables_of_other_programs(load, content, name):
    data = load(content, name)
    assert data.target_names[data.target].tolist() == ["Müll", "b"]
    assert data.frame.columns[:2].tolist() == ["file", "label"]


def test_the_separator_is_that_of_known_columns(load):
    data = load("file;label;a,b,c,d\n1.wav;x;1,2,3,4\n2.wav;y,z;\n")
    assert data.target_names.tolist() == ["x", "y,z"]
    data = load("where|a;b;c|what\n1.wav|1|x\n", file="where", label="what")
    assert data.target_names.tolist() == ["x"]


def test_quoted_cells(load):
    data = load('file,label\n"1.wav","a ""big"" dog"\n2.wav,"two\nlines"\n')
    assert data.target_names.tolist() == ['a "big" dog', "two\nlines"]


def test_an_index_without_a_name_is_kept(load):
    data = load(",file,label\n0,1.wav,a\n1,2.wav,b\n")
    assert data.frame.columns.tolist() == ["Unnamed: 0", "file", "label", "path"]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("file,label\n1.wav,Müll\n".encode("cp1252"), r"Line 2 of .*save.*as UTF-8"),
        (b"file,label\r1.wav,a\r\r2.wav,\xff\r", "Line 4 of .* byte 0xff"),
        ("file,label\n1.wav,a\n".encode("utf-16")[:-1], r"Line 2 of .* not UTF-16"),
        ("file,label\n1.wav,a\n".encode("utf-16-le"), "Line 1 of .* NUL"),
        (b"file,label\n1.wav,a\n2\0.wav,b\n", "Line 3 of .* NUL"),
        (b"", r"is empty: wanted a row of names"),
        (b"\xef\xbb\xbf", r"is empty"),
        (b" \n\n,,\n", r"is empty"),
        (b"file,label\n,\n", r"has no rows below its names \['file', 'label'\]"),
        (b"file,label\n1.wav,a\n\n2.wav,b,c,d\n", r"Line 4 .* has 4 cells.* 2 columns"),
        (b"file,file,label\n1.wav,2.wav,a\n", "has 2 columns of the name 'file'"),
        (b'file,label\n1.wav,a\n"2.wav,b\n3.wav,c\n', "Line 3 .* is not closed. Mend"),
        (b'file,label\n"a"b,c\n', "Line 2 .* written twice"),
        (b'"file,label\n1.wav,a\n', "Line 1 .* is not closed"),
        (b"sound,label\n1.wav,a\n", "usual name for the file .* save it with commas"),
        (b"file:label\n1.wav:a\n", "usual name for the .* save it with commas"),
        (b"file,label\n1.wav," + b"x" * 200_000 + b"\n", "Line 2 .*field larger"),
    ],
    ids=range(17),
)
def test_what_cannot_be_read_is_named_with_its_line(load, content, match):
    with pytest.raises(ValueError, match=rf"(?is){match}") as caught:
        load(content)
    assert "clips.csv" in str(caught.value)


def test_files_that_may_not_be_looked_at_are_not_called_missing(load, monkeypatch):
    real = os.stat

    def stat(path, **options):
        if str(path).endswith("1.wav"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, **options)

    with monkeypatch.context() as during:
        during.setattr(os, "stat", stat)
        with pytest.raises(PermissionError, match=r"Permission denied: .*1\.wav"):
            load(rows("a"))


def test_folders_in_a_table_are_no_clips(load, tmp_path):
    (tmp_path / "4.wav").mkdir()
    with pytest.raises(FileNotFoundError, match=r"1 of 2 .* first '4\.wav' in line 3"):
        load("file,label\n1.wav,a\n4.wav,b\n")


# ------------------------------------------------------------------------- splits


def test_a_column_of_a_split_trains_on_train_only(load):
    data = load(
        "file,label,split\n1.wav,a,Train\n2.wav,b,train\n3.wav,a,val\n1.wav,b,TEST\n"
        "2.wav,a,\n3.wav,b,extra\n"
    )
    assert data.subset.tolist() == ["train", "train", "valid", "test", "", "extra"]
    ((train, test),) = data.cv.split()
    assert (train.tolist(), test.tolist()) == ([0, 1], [3])
    parts = data.train, data.valid, data.test
    assert [part.tolist() for part in parts] == [[0, 1], [2], [3]]
    assert data.folds is None
    assert data.frame["split"].tolist()[:2] == ["Train", "train"]


def test_other_names_are_folds(load):
    data = load(rows("a,x", "b,train", "a,x", head="file,label,split"))
    assert data.subset is data.train is data.valid is data.test is None
    assert data.folds.tolist() == ["x", "train", "x"]
    assert [test.tolist() for _, test in data.cv.split()] == [[1], [0, 2]]
    data = load(rows("a,train", "b,train", head="file,label,split"))
    assert data.cv is None  # nothing to test on
