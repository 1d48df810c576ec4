"""load_audio_files: folders, tables, and what is wrong with them."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_score

from skaudio.datasets import clear_data_home, get_data_home, load_audio_files


def _touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _table(folder, text, name="clips.csv"):
    (folder / name).write_text(text, encoding="utf-8-sig")
    return folder / name


def test_folder_per_class(tmp_path):
    _touch(tmp_path, "rain/b.wav", "rain/a.FLAC", "dog/deep/er/c.mp3", "dog/x.ogg")
    _touch(tmp_path, "dog/notes.txt", "dog/.hidden.wav", ".git/h.wav", "top.wav")
    _touch(tmp_path, "empty/readme.md", "dog/.cache/z.wav")
    with pytest.warns(UserWarning, match=r"beside the folders .* left out \(1\)"):
        data = load_audio_files(tmp_path)
    names = ["dog/deep/er/c.mp3", "dog/x.ogg", "rain/a.FLAC", "rain/b.wav"]
    assert data.paths.tolist() == [str(tmp_path / n) for n in names]
    assert data.target.tolist() == [0, 0, 1, 1]
    assert data.target_names.tolist() == ["dog", "rain"]
    assert data.groups is None
    assert data.folds is None
    assert data.cv is None
    assert data.subset is None
    assert data.frame["label"].tolist() == ["dog", "dog", "rain", "rain"]
    assert "4 audio files in 2 class folders" in data.DESCR


def test_table_with_usual_names(tmp_path):
    _touch(tmp_path, "a.wav", "audio/b.wav", "sub/c.wav")
    table = _table(
        tmp_path,
        "Filename,extra,Category,src_file,FOLD\n"
        "a.wav,1,rain,7,1\nb.wav,2,dog,7,2\nsub/c.wav,3,dog,9,1\n",
    )
    data = load_audio_files(table)
    names = ["a.wav", "audio/b.wav", "sub/c.wav"]
    assert data.paths.tolist() == [str(tmp_path / n) for n in names]
    assert data.target_names[data.target].tolist() == ["rain", "dog", "dog"]
    assert data.groups.tolist() == [7, 7, 9]
    assert data.folds.tolist() == [1, 2, 1]
    assert data.frame["extra"].tolist() == [1, 2, 3]
    assert data.cv.get_n_splits() == 2


def test_named_columns_tabs_and_absolute_paths(tmp_path):
    _touch(tmp_path, "far/a.wav", "far/b.wav")
    rows = "".join(
        f"{tmp_path}/far/{n}.wav\t{d}\t{n}\n" for n, d in (("a", 10), ("b", 2))
    )
    table = _table(tmp_path, "where\tdigit\twho\n" + rows, "t.tsv")
    data = load_audio_files(table, file="where", label="digit", group="who")
    assert data.paths.tolist() == [f"{tmp_path}/far/a.wav", f"{tmp_path}/far/b.wav"]
    assert data.target_names.tolist() == ["2", "10"]  # numbers sort as numbers
    assert data.target.tolist() == [1, 0]
    assert data.groups.tolist() == ["a", "b"]


def test_file_names_that_look_like_numbers(tmp_path):
    _touch(tmp_path, "audio/12", "audio/7")
    data = load_audio_files(_table(tmp_path, "file,label\n12,a\n7,b\n"))
    assert data.paths.tolist() == [str(tmp_path / "audio" / n) for n in ("12", "7")]


def test_folds_by_name_become_cv(tmp_path):
    _touch(tmp_path, *(f"{i}.wav" for i in range(4)))
    table = _table(
        tmp_path, "file,label,split\n0.wav,a,x\n1.wav,b,y\n2.wav,a,y\n3.wav,b,x\n"
    )
    data = load_audio_files(table)
    assert [test.tolist() for _, test in data.cv.split()] == [[0, 3], [1, 2]]
    scores = cross_val_score(
        DummyClassifier(), np.zeros((4, 1)), data.target, cv=data.cv
    )
    assert scores.tolist() == [0.5, 0.5]


def test_folder_with_one_table(tmp_path):
    _touch(tmp_path, "audio/a.wav", "audio/b.wav")
    _table(tmp_path, "file,label\na.wav,x\nb.wav,y\n")
    paths, target = load_audio_files(tmp_path, return_X_y=True)
    assert len(paths) == 2
    assert target.tolist() == [0, 1]


def test_real_tables(shared_data):
    esc10 = load_audio_files(shared_data / "esc10")
    assert esc10.paths.shape == (400,)
    assert len(esc10.target_names) == 10
    assert len(set(esc10.groups)) == 304
    assert np.bincount(esc10.folds).tolist() == [0, 80, 80, 80, 80, 80]
    assert esc10.cv.get_n_splits() == 5
    notes = load_audio_files(
        shared_data / "philharmonia/philharmonia.csv", label="instrument"
    )
    assert notes.paths.shape == (3208,)
    assert len(notes.target_names) == 12
    digits = load_audio_files(shared_data / "fsdd/fsdd.csv", label="digit")
    assert digits.target_names.tolist() == list("0123456789")
    assert sorted(set(digits.groups)) == ["george", "jackson"]
    with pytest.raises(ValueError, match=r"label=.*name of the column"):
        load_audio_files(shared_data / "fsdd/fsdd.csv")


def test_missing_files_are_counted_and_named(tmp_path):
    _touch(tmp_path, "a.wav")
    table = _table(tmp_path, "file,label\na.wav,x\ngone.wav,y\nlost.wav,y\n")
    with pytest.raises(FileNotFoundError, match=r"2 of 3 files .* first 'gone\.wav'"):
        load_audio_files(table)
    with pytest.raises(FileNotFoundError, match=r"first 'gone\.wav' in line 3"):
        load_audio_files(table)


@pytest.mark.parametrize(
    ("text", "columns", "match"),
    [
        ("file,what\na.wav,x\n", {}, r"usual name for the label .*\['file', 'what'\]"),
        (
            "sound,label\na.wav,x\n",
            {},
            r"usual name for the file .*\['sound', 'label'\]",
        ),
        (
            "file,label\na.wav,x\n",
            {"fold": "f"},
            r"no column 'f' for fold=; its columns",
        ),
        (
            "file,label\n\na.wav,x\na.wav,\n",
            {},
            r"'label' .* empty in 1 of 2 rows, first in line 4",
        ),
        ("file,label\n", {}, "has no rows"),
    ],
)
def test_bad_tables(tmp_path, text, columns, match):
    _touch(tmp_path, "a.wav")
    with pytest.raises(ValueError, match=match):
        load_audio_files(_table(tmp_path, text), **columns)


def test_bad_paths(tmp_path):
    _touch(tmp_path, "loose.wav")
    with pytest.raises(FileNotFoundError, match="expected a folder or a table"):
        load_audio_files(tmp_path / "absent")
    with pytest.raises(ValueError, match="no sub-folders with audio files"):
        load_audio_files(tmp_path)
    with pytest.raises(ValueError, match=r"not a folder, a \.csv or a \.tsv table"):
        load_audio_files(tmp_path / "loose.wav")


# ------------------------------------------------------------------- data home
def test_data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SKAUDIO_DATA", str(tmp_path / "by_variable"))
    assert get_data_home() == str(tmp_path / "by_variable")
    assert get_data_home(tmp_path / "by_argument") == str(tmp_path / "by_argument")
    monkeypatch.delenv("SKAUDIO_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert get_data_home() == str(tmp_path / "skaudio_data")
    assert (tmp_path / "skaudio_data").is_dir()


def test_clearing_spares_what_is_not_ours(tmp_path):
    _touch(
        tmp_path, "esc50/.skaudio-data-set", "esc50/a.wav", "thesis/final.txt", "b.wav"
    )
    clear_data_home(tmp_path)
    left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*"))
    assert left == ["b.wav", "thesis", "thesis/final.txt"]
