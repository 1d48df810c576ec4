"""Folders of classes: all sound is listed, and what is not is named."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from skaudio.datasets import load_audio_files
from skaudio.datasets._folders import EXTENSIONS, SILENT
from skaudio.datasets._splits import part_of, parts_of


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(data, folder):
    return [os.path.relpath(path, folder) for path in data.paths]


def warned(folder):
    with pytest.warns(UserWarning, match=f"^{folder}: ") as caught:
        data = load_audio_files(folder)
    assert len(caught) == 1
    assert caught[0].filename == __file__  # where it was called
    return data, str(caught[0].message)


# -------------------------------------------------------------------- what is left out


def test_what_no_reader_takes_is_counted_and_classes_without_sound_named(tmp_path):
    touch(tmp_path, "dog/1.wav", "dog/2.m4a", "cat/1.M4A", "cow/deep/1.wma", "dog/x")
    touch(tmp_path, "fox/.DS_Store", "fox/.1.wav")
    (tmp_path / "tram").mkdir()
    data, message = warned(tmp_path)
    assert names(data, tmp_path) == ["dog/1.wav"]
    assert "(2 .m4a, 1 .wma, 1 without extension): convert" in message
    assert "(4): 'cat', 'cow', 'fox', 'tram'" in message


def test_texts_and_hidden_files_are_silent(tmp_path):
    notes = [f"dog/notes{extension}" for extension in sorted(SILENT)]
    touch(tmp_path, "dog/1.wav", "dog/README", "dog/.2.m4a", ".git/x.m4a", *notes)
    touch(tmp_path, "__MACOSX/dog/1.m4a", "docs/index.html")
    assert names(load_audio_files(tmp_path), tmp_path) == ["dog/1.wav"]  # no warning


def test_a_folder_without_any_sound_says_what_is_there(tmp_path):
    touch(tmp_path, "dog/1.m4a", "cat/1.m4a")
    with pytest.raises(ValueError, match=r"no sub-folders with audio .*\(2 \.m4a\)"):
        load_audio_files(tmp_path)


FORMATS = {
    "WAV": ".wav .wave .bwf",
    "WAVEX": ".wav",
    "RF64": ".rf64 .wav",
    "W64": ".w64",
    "AIFF": ".aif .aiff .aifc",
    "AU": ".au .snd",
    "CAF": ".caf",
    "FLAC": ".flac",
    "OGG": ".ogg .oga .opus",
    "MP3": ".mp3 .mpga .mp2 .mp1",
    "NIST": ".sph .nist .wav",
    "VOC": ".voc",
    "SVX": ".8svx .svx .iff",
    "IRCAM": ".sf .ircam",
    "AVR": ".avr",
    "HTK": ".htk",
    "PAF": ".paf",
    "PVF": ".pvf",
    "SDS": ".sds",
    "WVE": ".wve",
    "XI": ".xi",
}
NOT_SOUND = {"RAW", "MAT4", "MAT5", "MPC2K", "SD2"}  # without a header, or data


def test_every_format_of_libsndfile_is_listed():
    assert soundfile.available_formats().keys() - NOT_SOUND <= FORMATS.keys()
    assert {e for names in FORMATS.values() for e in names.split()} == EXTENSIONS


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_every_extension_is_sound(extension, tmp_path):
    touch(tmp_path, f"dog/1{extension}", f"cat/1{extension.upper()}")
    assert len(load_audio_files(tmp_path).paths) == 2


# ------------------------------------------------------------------- links and the like


@pytest.fixture
def linked(tmp_path):
    touch(tmp_path, "disk/takes/1.wav", "disk/takes/2.wav", "set/dog/0.wav")
    touch(tmp_path, "set/cat/0.wav")
    return tmp_path


def test_links_are_followed(linked):
    folder = linked / "set"
    (folder / "dog/more").symlink_to(linked / "disk/takes")
    (folder / "cow").symlink_to(linked / "disk/takes")
    (folder / "cat/a.wav").symlink_to("../../disk/takes/1.wav")
    data = load_audio_files(folder)
    assert names(data, folder) == [
        *("cat/0.wav", "cat/a.wav", "cow/1.wav", "cow/2.wav"),
        *("dog/0.wav", "dog/more/1.wav", "dog/more/2.wav"),
    ]


LOOPS = {
    "to itself": [("dog/more", ".")],
    "to the class": [("dog/more/up", "..")],
    "to the data set": [("dog/up", ".."), ("again", ".")],
    "to the disk": [("dog/root", "/"), ("all", "/")],
    "through each other": [("dog/a", "../cat"), ("cat/b", "../dog")],
    "of two names": [("dog/a", "b"), ("dog/b", "a")],
    "of one name": [("dog/a", "a")],
}


@pytest.mark.parametrize("what", LOOPS)
def test_links_in_circles_end(what, linked):
    folder = linked / "set"
    (folder / "dog/more").mkdir() if "more/up" in str(LOOPS[what]) else None
    for name, target in LOOPS[what]:
        (folder / name).symlink_to(target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = load_audio_files(folder)
    found = names(data, folder)
    assert {"cat/0.wav", "dog/0.wav"} <= set(found)
    assert len(found) == (4 if what == "through each other" else 2)


def test_a_folder_is_read_once_per_class_by_its_own_name(tmp_path):
    touch(tmp_path, "dog/z/deep/1.wav", "cat/1.wav")
    (tmp_path / "dog/a").symlink_to("z/deep")
    (tmp_path / "dog/b").symlink_to("z")
    data = load_audio_files(tmp_path)
    assert names(data, tmp_path) == ["cat/1.wav", "dog/z/deep/1.wav"]


def test_many_paths_to_few_folders(tmp_path):
    """Ten links on each of nine levels: 10^9 names of one file."""
    touch(tmp_path, "pool/0/1.wav", "set/cat/1.wav")
    for level in range(1, 10):
        (tmp_path / f"pool/{level}").mkdir()
        for i in range(10):
            (tmp_path / f"pool/{level}/{i}").symlink_to(f"../{level - 1}")
    (tmp_path / "set/dog").symlink_to("../pool/9")
    assert len(load_audio_files(tmp_path / "set").paths) == 2


def test_folders_named_like_sound_and_pipes(tmp_path):
    touch(tmp_path, "cat/session.wav/1.wav", "dog/1.wav")
    os.mkfifo(tmp_path / "dog/2.wav")
    (tmp_path / "dog/3.wav").symlink_to("nowhere")
    data, message = warned(tmp_path)
    assert names(data, tmp_path) == ["cat/session.wav/1.wav", "dog/1.wav"]
    assert "(2 pipes, devices or links that lead nowhere)" in message


def test_a_locked_folder_is_not_lost(tmp_path, monkeypatch):
    touch(tmp_path, "cat/1.wav", "dog/deep/1.wav")
    scan = os.scandir

    def locked(folder):
        if str(folder).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    with monkeypatch.context() as during:
        during.setattr(os, "scandir", locked)
        with pytest.raises(PermissionError, match="dog/deep"):
            load_audio_files(tmp_path)


def test_names_that_are_not_utf_8(tmp_path):
    for label in (b"caf\xe9", b"the"):
        os.mkdir(os.fsencode(tmp_path) + b"/" + label)
        open(os.fsencode(tmp_path) + b"/" + label + b"/voil\xe0.wav", "wb").close()
    data = load_audio_files(tmp_path)
    assert [os.fsencode(name) for name in data.target_names] == [b"caf\xe9", b"the"]
    assert all(Path(path).exists() for path in data.paths)
    assert data.frame["path"].tolist() == data.paths.tolist()


def test_classes_that_are_numbers_sort_as_such(tmp_path):
    touch(tmp_path, "10/a.wav", "9/a.wav", "1/a.wav")
    assert load_audio_files(tmp_path).target_names.tolist() == ["1", "9", "10"]


# ------------------------------------------------------------------------- splits


def test_parts_by_their_names():
    for name in ("train", "Training", "TRAIN_1", "train-clean-100", "train2"):
        assert part_of(name) == "train"
    for name in ("val", "valid", "validation", "dev", "Development"):
        assert part_of(name) == "valid"
    for name in ("test", "testing", "eval", "Evaluation", "test.other"):
        assert part_of(name) == "test"
    for name in ("trainer", "tests", "contrain", "1", "", "devil", "_train"):
        assert part_of(name) is None


def test_something_must_be_trained_on_and_something_tested():
    assert parts_of(["train", "dog"]) == parts_of(["test", "val0"][:1]) == {}
    assert parts_of(["dev", "eval"]) == {"dev": "train", "eval": "test"}
    assert parts_of(["train", "dev"]) == {"train": "train", "dev": "valid"}


@pytest.mark.parametrize("folders", [("train", "test"), ("Training", "Eval", "val")])
def test_folders_of_a_split(folders, tmp_path):
    touch(tmp_path, *(f"{p}/{c}/{i}.wav" for p in folders for c in "ab" for i in "12"))
    data = load_audio_files(tmp_path)
    assert data.target_names.tolist() == ["a", "b"]
    assert names(data, tmp_path)[:2] == [
        f"{min(folders)}/a/1.wav",
        f"{min(folders)}/a/2.wav",
    ]
    part = [part_of(name.split("/")[0]) for name in names(data, tmp_path)]
    assert data.subset.tolist() == data.frame["subset"].tolist() == part
    ((train, test),) = data.cv.split()
    assert set(data.subset[train]) == {"train"}
    assert set(data.subset[test]) == {"test"}
    assert len(train) == len(test) == 4
    score = cross_val_score(
        KNeighborsClassifier(1), np.eye(2)[data.target], data.target, cv=data.cv
    )
    assert score.tolist() == [1.0]


def test_without_a_test_set_the_validation_set_is_tested_on(tmp_path):
    touch(tmp_path, "train/a/1.wav", "train/b/1.wav", "valid/a/1.wav")
    data = load_audio_files(tmp_path)
    ((train, test),) = data.cv.split()
    assert (train.tolist(), test.tolist()) == ([0, 1], [2])
    assert data.subset.tolist() == ["train", "train", "valid"]
    parts = data.train, data.valid, data.test
    assert [part.tolist() for part in parts] == [[0, 1], [2], []]


@pytest.mark.parametrize(
    ("files", "match"),
    [
        (["train/a/1.wav", "test/a/1.wav", "dog/1.wav"], "beside dog. Move these away"),
        (["train/a/1.wav", "test/1.wav"], "test has no folders of classes"),
        (["train/1.wav", "test/1.wav"], "test has no folders of classes"),
        (["train/a/1.wav", "train/b/1.wav"], "only the folder train, .* Pass .*/train"),
    ],
)
def test_parts_are_never_taken_for_classes(files, match, tmp_path):
    touch(tmp_path, *files)
    with pytest.raises(ValueError, match=match):
        load_audio_files(tmp_path)


def test_a_train_is_a_class_among_others(tmp_path):
    touch(tmp_path, "train/1.wav", "bus/1.wav", "trainer/1.wav")
    assert len(load_audio_files(tmp_path).target_names) == 3
    touch(tmp_path / "one", "train/1.wav")
    assert load_audio_files(tmp_path / "one").target_names.tolist() == ["train"]


def test_what_is_left_out_of_a_part_is_named(tmp_path):
    touch(tmp_path, "train/a/1.wav", "train/b/1.m4a", "test/a/1.wav")
    _, message = warned(tmp_path)
    assert "in train: files that no reader takes are left out (1 .m4a)" in message
    assert "(1): 'b'" in message


# ------------------------------------------------------------- folders beside tables


def test_a_table_beside_classes_is_named(tmp_path):
    touch(tmp_path, "dog/1.wav", "cat/1.wav")
    (tmp_path / "licences.csv").write_text("file,author\n1.wav,me\n")
    (tmp_path / "broken.csv").write_bytes(b"\xff")
    load_audio_files(tmp_path)  # no warning
    (tmp_path / "clips.csv").write_text("file,label\ndog/1.wav,dog\n")
    data, message = warned(tmp_path)
    assert data.target_names.tolist() == ["cat", "dog"]
    assert "clips.csv beside the folders is not read: pass its path" in message


def test_two_tables_and_hidden_ones(tmp_path):
    touch(tmp_path, "audio/1.wav", "audio/2.wav")
    text = "file,label\n1.wav,a\n2.wav,b\n"
    (tmp_path / "clips.csv").write_text(text)
    (tmp_path / "._clips.csv").write_bytes(b"\0\5\x16\7")
    (tmp_path / ".clips.csv.swp.csv").write_bytes(b"\0")
    (tmp_path / "folder.csv").mkdir()
    assert load_audio_files(tmp_path).target_names.tolist() == ["a", "b"]
    (tmp_path / "more.tsv").write_text(text)
    with pytest.raises(ValueError, match=r"has 2 tables: clips\.csv, more\.tsv\. Pass"):
        load_audio_files(tmp_path)
