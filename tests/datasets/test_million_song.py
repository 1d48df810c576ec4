"""load_msd_split and load_tagtraum_split on small files of the published form."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import issparse

from skaudio.datasets import _million_song as module
from skaudio.datasets import load_msd_split, load_tagtraum_split

TRACKS = [f"TRAAA{chr(65 + i)}{chr(90 - i)}128F{i:07X}" for i in range(9)]
TRAIN, VALID, TEST = TRACKS[:4], TRACKS[4:6], TRACKS[6:]
TAGS = ["rock", "female vocalists", "00s"]
VECTORS = np.random.default_rng(3).integers(0, 2, (9, 3))
GENRES = ["Rock", "New Age", "Rap"] * 3
FILES = [f"{i}/{i + 1}/{8947470 + i}.clip.mp3" for i in range(9)]
SMALL = {"train": 4, "valid": 2, "test": 3}


# what Python 2's cPickle writes with protocol 0, item by item
def _text(value):
    return f"S'{value}'\n"


def _list(items):
    return "(lp1\n" + "".join(f"{item}a" for item in items) + "."


def _dict(pairs):
    return "(dp1\n" + "".join(f"{key}{value}s" for key, value in pairs) + "."


def _column(values, dtype="f8"):
    """An array of a column, as NumPy of Python 2 reduces it."""
    array = np.asarray(values, dtype=dtype).reshape(-1, 1)
    content = "".join(f"\\x{byte:02x}" for byte in array.tobytes())
    order = "|" if dtype == "u1" else "<"
    return (
        "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        f"(I1\n(I{len(array)}\nI1\ntcnumpy\ndtype\n(S'{dtype}'\nI0\nI1\ntR"
        f"(I3\nS'{order}'\nNNNI-1\nI-1\nI0\ntbI00\nS'{content}'\ntb"
    )


def _ids(pairs=None):
    pairs = pairs or [(t, 8947470 + i) for i, t in enumerate(TRACKS)]
    return _dict((_text(t), _text(i)) for t, i in pairs)


def _files(files=FILES):
    return _dict((_text(8947470 + i), _text(f)) for i, f in enumerate(files))


def _msd():
    vectors = zip(TRACKS, VECTORS, strict=True)
    return {
        "filtered_list_train.cP": _list(map(_text, TRAIN + VALID)),
        "filtered_list_test.cP": _list(map(_text, TEST)),
        "msd_id_to_tag_vector.cP": _dict((_text(t), _column(v)) for t, v in vectors),
        "50tagList.txt": "\n".join([*TAGS, ""]),
        "MSD_id_to_7D_id.pkl": _ids(),
        "7D_id_to_path.pkl": _files(),
    }


def _write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        content = content.encode("latin1") if isinstance(content, str) else content
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def msd(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SUBSETS", {"MSD": SMALL, "TAGTRAUM": SMALL})
    return _write(tmp_path / "MSD_split", _msd())


@pytest.fixture
def tagtraum(msd):
    lines = [f"{t}\t{g}" for t, g in zip(TRACKS, GENRES, strict=True)]
    _write(msd.parent, {"cd2c.cls": "\n".join(["# genres", "", *lines, ""])})
    lists = {
        "train_list.cP": _list(map(_text, TRAIN + VALID)),
        "test_list.cP": _list(map(_text, TEST)),
    }
    return _write(msd.parent / "TAGTRAUM_split", lists), msd.parent / "cd2c.cls"


@pytest.fixture
def audio(tmp_path):
    for file in FILES:
        path = tmp_path / "previews" / file
        path.parent.mkdir(parents=True)
        path.write_bytes(b"sound")
    return tmp_path / "previews"


# ------------------------------------------------------------------------- whole
def _check_split(data):
    assert data.frame["track_id"].tolist() == TRACKS
    assert data.subset.tolist() == ["train"] * 4 + ["valid"] * 2 + ["test"] * 3
    assert data.frame["subset"].tolist() == data.subset.tolist()
    parts = data.train, data.valid, data.test
    assert [part.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5], [6, 7, 8]]
    ((train, test),) = data.cv.split()
    assert (train.tolist(), test.tolist()) == ([0, 1, 2, 3], [6, 7, 8])
    assert data.groups is None
    assert data.folds is None


def test_tags(msd):
    data = load_msd_split(msd)
    _check_split(data)
    assert data.paths.tolist() == data.frame["path"].tolist() == FILES
    assert data.target_names.tolist() == TAGS
    np.testing.assert_array_equal(data.target, VECTORS)
    assert data.target.dtype.kind == "i"
    assert not issparse(data.target)
    assert "201,680" in data.DESCR
    paths, target = load_msd_split(str(msd), return_X_y=True)
    np.testing.assert_array_equal(paths, data.paths)
    np.testing.assert_array_equal(target, data.target)


def test_genres(tagtraum):
    data = load_tagtraum_split(*tagtraum)
    _check_split(data)
    assert data.paths.tolist() == FILES
    assert data.target_names.tolist() == ["New Age", "Rap", "Rock"]
    assert data.target_names[data.target].tolist() == GENRES
    assert data.frame["genre"].tolist() == GENRES
    assert "141,372" in data.DESCR
    paths, target = load_tagtraum_split(*tagtraum, return_X_y=True)
    np.testing.assert_array_equal(paths, data.paths)
    np.testing.assert_array_equal(target, data.target)


def test_tables_of_tracks_in_another_folder(tagtraum, msd, tmp_path, monkeypatch):
    monkeypatch.chdir(tagtraum[0])
    assert load_tagtraum_split(".", tagtraum[1]).paths.tolist() == FILES  # beside it
    other = msd.rename(tmp_path / "tables")
    with pytest.raises(FileNotFoundError, match=r"MSD_split.MSD_id_to_7D_id\.pkl"):
        load_tagtraum_split(*tagtraum)
    assert load_tagtraum_split(*tagtraum, msd_folder=other).paths.tolist() == FILES


@pytest.mark.parametrize("dtype", ["f4", "u1", "i8"])
def test_vectors_of_other_types(msd, dtype):
    pairs = zip(TRACKS, VECTORS, strict=True)
    vectors = _dict((_text(t), _column(v, dtype)) for t, v in pairs)
    _write(msd, {"msd_id_to_tag_vector.cP": vectors})
    np.testing.assert_array_equal(load_msd_split(msd).target, VECTORS)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_of_python_3_with_numbers_as_ids(msd, protocol):
    """The same files, written anew."""
    ids = {track: 8947470 + i for i, track in enumerate(TRACKS)}
    vectors = {t: v[:, None] for t, v in zip(TRACKS, VECTORS, strict=True)}
    files = {8947470 + i: file for i, file in enumerate(FILES)}
    anew = {
        "filtered_list_test.cP": TEST,
        "msd_id_to_tag_vector.cP": vectors,
        "MSD_id_to_7D_id.pkl": ids,
        "7D_id_to_path.pkl": files,
    }
    _write(msd, {name: pickle.dumps(data, protocol) for name, data in anew.items()})
    data = load_msd_split(msd)
    assert data.paths.tolist() == FILES
    np.testing.assert_array_equal(data.target, VECTORS)


# ------------------------------------------------------------------------- counts
def test_the_published_counts_are_those_of_the_paper():
    counts = {name: sum(parts.values()) for name, parts in module.SUBSETS.items()}
    assert counts == {"MSD": 241_889, "TAGTRAUM": 189_189}


def test_lists_of_another_length_want_n_train(msd, monkeypatch):
    _write(msd, {"filtered_list_test.cP": _list(map(_text, TEST[1:]))})
    match = r"filtered_list_test\.cP has 2 tracks, not 3 as published.* pass n_train"
    with pytest.raises(ValueError, match=match):
        load_msd_split(msd)
    data = load_msd_split(msd, n_train=5)
    assert data.subset.tolist() == ["train"] * 5 + ["valid"] + ["test"] * 2
    assert data.frame["track_id"].tolist() == [*TRACKS[:6], *TEST[1:]]
    assert len(load_msd_split(msd, n_train=6).valid) == 0
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"train\.cP has 6 tracks, not 213454 as publ"):
        load_msd_split(msd)


@pytest.mark.parametrize("n_train", [0, 7, -1])
def test_n_train_out_of_range(tagtraum, n_train):
    with pytest.raises(ValueError, match=f"n_train == {n_train}, must be"):
        load_tagtraum_split(*tagtraum, n_train=n_train)


# ------------------------------------------------------------------------- audio
def test_previews_are_found(msd, tagtraum, audio):
    expected = [str(audio / file) for file in FILES]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load_msd_split(msd, audio_folder=audio)
        genres = load_tagtraum_split(*tagtraum, audio_folder=str(audio))
    assert data.paths.tolist() == data.frame["path"].tolist() == expected
    assert genres.paths.tolist() == expected
    assert list(data.frame) == ["track_id", "subset", "path"]


def test_previews_that_are_missing_or_empty_are_left_out(msd, tagtraum, audio):
    (audio / FILES[1]).unlink()
    (audio / FILES[8]).write_bytes(b"")
    match = (
        rf"2 of the 9 clips of the Million .* left out: \S+{FILES[1]} \(missing\), "
        rf"\S+{FILES[8]} \(empty\)"
    )
    with pytest.warns(UserWarning, match=match) as caught:
        data = load_msd_split(msd, audio_folder=audio)
    assert Path(caught[0].filename) == Path(__file__)
    left = [0, 2, 3, 4, 5, 6, 7]
    assert data.frame["track_id"].tolist() == [TRACKS[i] for i in left]
    np.testing.assert_array_equal(data.target, VECTORS[left])
    assert data.paths.tolist() == [str(audio / FILES[i]) for i in left]
    assert [len(data[part]) for part in ("train", "valid", "test")] == [3, 2, 2]
    with pytest.warns(UserWarning, match=match):
        genres = load_tagtraum_split(*tagtraum, audio_folder=audio)
    assert genres.target_names[genres.target].tolist() == [GENRES[i] for i in left]


def test_a_folder_without_previews(msd, tmp_path):
    match = rf"None of the 9 previews is in {tmp_path}: \S+{FILES[0]} is missing"
    with pytest.raises(FileNotFoundError, match=match):
        load_msd_split(msd, audio_folder=tmp_path)


# ------------------------------------------------------------------------- broken
@pytest.mark.parametrize("name", _msd())
def test_a_missing_file_is_named(msd, name):
    (msd / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"No file .*{name}.*music_dataset_spl"):
        load_msd_split(msd)


def test_missing_annotations_are_named(tagtraum):
    with pytest.raises(FileNotFoundError, match=r"No file no\.cls"):
        load_tagtraum_split(tagtraum[0], "no.cls")


class _Call:
    def __reduce__(self):
        return open, ("touched", "w")


@pytest.mark.parametrize("name", [n for n in _msd() if not n.endswith("txt")])
def test_nothing_is_executed(msd, name, tmp_path, monkeypatch):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    for content in (
        pickle.dumps([_Call()], 0),
        pickle.dumps({"TRAAAAZ128F0000000": _Call()}, 2),
        b"cos\nsystem\n(S'touch touched'\ntR.",
    ):
        _write(msd, {name: content})
        with pytest.raises(ValueError, match=rf"{name}.*Nothing of the file was exec"):
            load_msd_split(msd)
    assert list(Path.cwd().iterdir()) == []


LIST, TABLE = "filtered_list_test.cP", "msd_id_to_tag_vector.cP"
IDS, PATHS = "MSD_id_to_7D_id.pkl", "7D_id_to_path.pkl"
BAD = {
    "half a list": (LIST, _list(map(_text, TEST))[:-9], "damaged"),
    "a pointer": (LIST, "version https://git-lfs.github.com/spec/v1\n", "damaged"),
    "no list": (LIST, pickle.dumps("ab", 0), "Expected a list of track IDs .* 'ab'"),
    "no tracks": (LIST, _list([]), r"Expected a list of track IDs .* got \[\]"),
    "no ID": (LIST, _list(map(_text, [*TEST[:2], "TRX"])), "item 2 is 'TRX'"),
    "a number": (LIST, pickle.dumps([*TEST[:2], 1], 0), "item 2 is 1"),
    "twice": (LIST, _list(map(_text, [*TEST[:2], TRAIN[0]])), f"again: {TRAIN[0]}"),
    "no dict": (TABLE, _list([_text("a")]), "Expected a dict by ID"),
    "tags of few": (
        TABLE,
        _dict([(_text(TRACKS[0]), _column(VECTORS[0]))]),
        f"has no tags of 8 of the 9 tracks: {TRACKS[1]}",
    ),
    "short vectors": (
        TABLE,
        _dict((_text(t), _column([0, 1])) for t in TRACKS),
        rf"Expected 3 zeros and ones.* {TRACKS[0]} has an array of shape \(2, 1\)",
    ),
    "other values": (
        TABLE,
        _dict((_text(t), _column([0, 0.5, 1])) for t in TRACKS),
        "Expected 3 zeros and ones",
    ),
    "no numbers": (
        TABLE,
        _dict((_text(t), _column([0, np.nan, 1])) for t in TRACKS),
        "Expected 3 zeros and ones",
    ),
    "texts": (
        TABLE,
        _dict((_text(t), _text("010")) for t in TRACKS),
        rf"Expected 3 zeros and ones.* {TRACKS[0]} has '010'",
    ),
    "a tag again": ("50tagList.txt", "rock\npop\nrock\n", "'rock' is there again"),
    "no tags": ("50tagList.txt", "\n\n", "it has none"),
    "no text": ("50tagList.txt", b"ro\xffck\n", r"50tagList\.txt is not UTF-8 text"),
    "no ID of a track": (
        IDS,
        _ids([(t, 8947470) for t in TRACKS[1:]]),
        f"no 7digital ID of 1 of the 9 tracks: {TRACKS[0]}",
    ),
    "no path": (PATHS, _files(FILES[:8]), "no path of 1 of the 9 tracks: 8947478"),
    "outside": (
        PATHS,
        _files(["../../secret.mp3", *FILES[1:]]),
        r"Expected paths such as .* got '\.\./\.\./secret",
    ),
    "absolute": (PATHS, _files(["/etc/passwd", *FILES[1:]]), "got '/etc/passwd'"),
    "back and forth": (PATHS, _files(["8/../../x.mp3", *FILES[1:]]), "Expected paths"),
    "a drive": (PATHS, _files(["C:/x.mp3", *FILES[1:]]), "Expected paths"),
}


@pytest.mark.parametrize("what", BAD)
def test_files_of_another_form(msd, what):
    name, content, match = BAD[what]
    _write(msd, {name: content})
    with pytest.raises(ValueError, match=match) as error:
        load_msd_split(msd)
    assert name in str(error.value)


BAD_LINES = {
    "two genres": (f"{TRACKS[0]}\tRock\tPop", "in line 2 of .* Lines of CD1 and CD2"),
    "no tab": (f"{TRACKS[0]} Rock", "in line 2 of"),
    "no genre": (f"{TRACKS[0]}\t", "in line 2 of"),
    "no ID": ("TRX\tRock", "in line 2 of .* got 'TRX"),
    "two answers": (
        f"{TRACKS[0]}\tRock\n{TRACKS[0]}\tPop",
        f"two genres of {TRACKS[0]}: line 3",
    ),
    "others": (f"{TRACKS[1]}\tRock", f"no genre of 8 of the 9 tracks: {TRACKS[0]}"),
}


@pytest.mark.parametrize("what", BAD_LINES)
def test_annotations_of_another_form(tagtraum, what):
    line, match = BAD_LINES[what]
    tagtraum[1].write_text(f"# comment\n{line}\n")
    with pytest.raises(ValueError, match=match) as error:
        load_tagtraum_split(*tagtraum)
    assert "cd2c.cls" in str(error.value)
