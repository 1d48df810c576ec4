"""Containers of clips: they give the same, or an error that says what X may be."""

import collections
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from skaudio._utils._types import shown
from skaudio.neural_network import CRNNClassifier
from skaudio.preprocessing import AudioLoader

SR = 8000
CLIPS = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 900)).astype(np.float32)
PCM = np.round(CLIPS * 2**15).astype(np.int16)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    found = [str(folder / f"{i}.wav") for i in range(2)]
    for path, clip in zip(found, CLIPS, strict=True):
        soundfile.write(path, clip, SR, subtype="FLOAT")
    return found


def load(X, **options):
    return AudioLoader(sr=SR, **options).fit(X).transform(X)


class BytesPath:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return os.fsencode(self.path)


class Lazy:
    """A sequence that is no list, as data sets have them."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


OF_PATHS = {
    "tuple": tuple,
    "deque": collections.deque,
    "values": lambda p: dict(enumerate(p)).values(),
    "column": lambda p: np.array(p)[:, None],
    "column of objects": lambda p: np.array(p, dtype=object)[:, None],
    "list of one-element lists": lambda p: [[path] for path in p],
    "frame": lambda p: pd.DataFrame({"path": p}),
    "frame of strings": lambda p: pd.DataFrame({"path": pd.Series(p, dtype="string")}),
    "frame of categories": lambda p: pd.DataFrame({"path": pd.Categorical(p)}),
    "series of categories": lambda p: pd.Series(pd.Categorical(p)),
    "index": pd.Index,
    "StringDType": lambda p: np.array(p, dtype=np.dtypes.StringDType()),
    "bytes": lambda p: [os.fsencode(path) for path in p],
    "array of bytes": lambda p: np.array(p, dtype="S"),
    "path-like bytes": lambda p: [BytesPath(path) for path in p],
    "BytesIO": lambda p: [io.BytesIO(Path(path).read_bytes()) for path in p],
    "bytes in dicts": lambda p: [
        {"path": None, "bytes": Path(path).read_bytes()} for path in p
    ],
    "paths in dicts": lambda p: [{"path": path, "bytes": None} for path in p],
    "lazy": Lazy,
}
OF_ARRAYS = {
    "dicts": lambda x: [{"array": a, "sampling_rate": SR, "path": "a"} for a in x],
    "series of dicts": lambda x: pd.Series([{"array": a} for a in x]),
    "torch dicts": lambda x: [
        {"waveform": torch.tensor(a)[None], "sample_rate": SR} for a in x
    ],
    "pairs": lambda x: [(a, SR) for a in x],
    "scipy's pairs": lambda x: [(SR, a) for a in x],
    "tensors": lambda x: [torch.tensor(a) for a in x],
    "a tensor with a gradient": lambda x: torch.tensor(x, requires_grad=True),
    "list of lists": lambda x: x.tolist(),
    "lists in a series": lambda x: pd.Series(x.tolist()),
    "series in a list": lambda x: [pd.Series(a) for a in x],
    "frame of arrays": lambda x: pd.DataFrame({"sound": list(x)}),
    "big-endian": lambda x: x.astype(">f4"),
    "list of big-endian": lambda x: list(x.astype(">f4")),
}


@pytest.mark.parametrize("make", OF_PATHS.values(), ids=OF_PATHS.keys())
def test_containers_of_paths(paths, make):
    X = make(paths)
    np.testing.assert_array_equal(load(X), CLIPS)
    np.testing.assert_array_equal(load(X), CLIPS)  # files are read from their start


@pytest.mark.parametrize("make", OF_ARRAYS.values(), ids=OF_ARRAYS.keys())
def test_containers_of_arrays(make):
    np.testing.assert_array_equal(load(make(CLIPS)), CLIPS)


def test_open_files_and_mixed_rows(paths):
    with open(paths[0], "rb") as file:
        X = [file, (CLIPS[1], SR), torch.tensor(CLIPS[0]), paths[1], file]
        for n_jobs in (None, 4):
            got = load(X, n_jobs=n_jobs)
            np.testing.assert_array_equal(got, CLIPS[[0, 1, 0, 1, 0]])
        assert not file.closed


def test_rows_of_different_lengths():
    rows = [CLIPS[0], CLIPS[1, :7]]
    for X in (
        [row.tolist() for row in rows],
        [torch.tensor(row) for row in rows],
        pd.Series(rows),
        [(row, SR) for row in rows],
    ):
        got = load(X)
        for wanted, waveform in zip(rows, got, strict=True):
            np.testing.assert_allclose(waveform, wanted)


@pytest.mark.parametrize("rate", [4000, 44100])
def test_rows_that_bring_their_rate_are_resampled(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, CLIPS[0], rate, subtype="FLOAT")
    wanted = load([path])
    assert wanted.shape[1] == pytest.approx(900 * SR / rate, abs=1)
    for row in ((CLIPS[0], rate), {"array": CLIPS[0], "sampling_rate": rate}):
        np.testing.assert_array_equal(load([row]), wanted)


NO_CONTAINERS = {
    "str": (lambda p: p[0], r"Put it in a list: \[path\]"),
    "path": (lambda p: Path(p[0]), r"Put it in a list: \[path\]"),
    "bytes": (lambda p: p[0].encode(), r"Put it in a list: \[path\]"),
    "file": (lambda _: io.BytesIO(), r"one open file .*Put it in a list"),
    "pair": (lambda _: (CLIPS[0], SR), r"one pair .*Put it in a list"),
    "generator": (lambda p: (path for path in p), r"read only once.*list\(X\)"),
    "map": (lambda p: map(str, p), r"X is a map, .*list\(X\)"),
    "glob": (lambda p: Path(p[0]).parent.glob("*.wav"), r"read only once"),
    "set": (set, r"X is a set, whose clips have no order.*sorted\(X\)"),
    "frozenset": (frozenset, "no order"),
    "dict": (lambda p: {"a": p[0]}, r"X is a dict, .*list\(X.values\(\)\)"),
    "nothing": (lambda _: [], "X has no clips; at least one is needed"),
    "empty column": (lambda _: pd.Series([], dtype=object), "X has no clips"),
    "frame": (
        lambda p: pd.DataFrame({"path": p, "label": [0, 1]}),
        r"X has 2 columns \['path', 'label'\]; .*X\['path'\]",
    ),
    "nested": (lambda p: [p, p], "Row 0 of X holds 2 paths"),
    "one waveform": (lambda _: CLIPS[0], r"X is one waveform.*\[X\]"),
    "numbers": (lambda _: [1.0, 2.0], "X is one waveform, or 2 numbers"),
}


@pytest.mark.parametrize(
    ("make", "match"), NO_CONTAINERS.values(), ids=NO_CONTAINERS.keys()
)
def test_what_is_no_collection_of_clips(paths, make, match):
    with pytest.raises(ValueError, match=match):
        AudioLoader(sr=SR).fit(make(paths))
    with pytest.raises(ValueError, match=match):
        AudioLoader(sr=SR).transform(make(paths))


@pytest.mark.parametrize("cell", [None, np.nan, pd.NA, pd.NaT, ""])
@pytest.mark.parametrize(
    "container",
    [list, lambda x: pd.Series(x, dtype=object), lambda x: pd.DataFrame({"path": x})],
)
def test_a_missing_cell_is_the_error_of_its_row(paths, cell, container):
    X = container([paths[0], cell, paths[1]])
    loader = AudioLoader(sr=SR, duration=900 / SR, on_error="nan").fit(X)
    got = loader.transform(X)
    np.testing.assert_array_equal(got[[0, 2]], CLIPS)
    assert np.isnan(got[1]).all()
    assert [error["row"] for error in loader.errors_] == [1]
    assert "Clip 1 of X is missing" in loader.errors_[0]["error"]
    with pytest.raises(ValueError, match="Clip 1 of X is missing"):
        loader.set_params(on_error="raise").transform(X)


@pytest.mark.parametrize(
    ("row", "error", "match"),
    [
        (5, TypeError, "Clip 1 of X is no clip: '5'"),
        ({"a": 1}, TypeError, "Clip 1 of X is no clip.*dict"),
        ((CLIPS[0], 0), ValueError, "Clip 1 of X states a sampling rate of 0 Hz"),
        ((CLIPS[0], np.nan), ValueError, "Clip 1 of X states a sampling rate of nan"),
        (io.BytesIO(), ValueError, r"Clip 1 of X is empty \(0 bytes\)"),
        (io.BytesIO(b"no sound"), ValueError, "Clip 1 of X is not audio"),
        (io.StringIO("a"), ValueError, "Clip 1 of X was opened as text"),
        ("a\0b.wav", ValueError, r"a\\x00b\.wav is no path"),
    ],
)
def test_rows_that_are_no_clips(paths, row, error, match):
    X = [paths[0], row]
    with pytest.raises(error, match=match):
        load(X)
    loader = AudioLoader(sr=SR, on_error="nan")
    loader.fit_transform(X)
    assert [e["row"] for e in loader.errors_] == [1]


# -------------------------------------------------------------------------- PCM
OF_PCM = {
    "array": lambda x: x,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "frame": pd.DataFrame,
    "tensor": torch.tensor,
    "list": list,
    "list of big-endian": lambda x: list(x.astype(x.dtype.newbyteorder(">"))),
    "tensors": lambda x: [torch.tensor(row) for row in x],
    "series": lambda x: pd.Series(list(x)),
    "pairs": lambda x: [(row, SR) for row in x],
}


@pytest.mark.parametrize("make", OF_PCM.values(), ids=OF_PCM.keys())
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
def test_pcm_is_scaled_alike_in_every_container(make, dtype):
    info = np.iinfo(dtype)
    full = (info.max - info.min + 1) / 2
    middle = (info.max + info.min + 1) / 2  # uint8 is offset binary, as in wav files
    X = np.array([[info.min, info.max // 3, info.max], [info.max] * 3], dtype=dtype)
    wanted = ((X - middle) / full).astype(np.float32)
    np.testing.assert_allclose(load(make(X)), wanted, rtol=1e-6)


def test_uint8_is_what_a_wav_of_the_same_bytes_gives(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, CLIPS[0], SR, subtype="PCM_U8")
    samples = np.frombuffer(path.read_bytes()[-900:], np.uint8)
    np.testing.assert_array_equal(load([samples]), load([path]))


def test_nullable_integers_of_a_frame():
    X = pd.DataFrame(PCM).astype("Int16")
    np.testing.assert_array_equal(load(X), PCM / np.float32(2**15))


@pytest.mark.parametrize("dtype", ["int64", "uint16", "uint32"])
@pytest.mark.parametrize("make", [np.asarray, list, pd.DataFrame, lambda x: x.tolist()])
def test_integers_of_unknown_scale_are_refused(dtype, make):
    X = np.abs(PCM).astype(dtype)
    with pytest.raises(
        ValueError, match=r"integers up to \d+ of type .*astype\('int16"
    ):
        load(make(X))


def test_an_object_table_of_integers_has_lost_its_type():
    with pytest.raises(ValueError, match=r"integers up to \d+ of type int64"):
        load(np.array(list(PCM), dtype=object))


def test_small_integers_are_numbers():
    X = np.arange(-127, 128).reshape(3, 85)
    np.testing.assert_array_equal(load(X), X.astype(np.float32))
    np.testing.assert_array_equal(load(list(X)), X.astype(np.float32))


def test_columns_of_several_types_are_refused():
    X = pd.DataFrame(PCM).astype({0: "int32"})
    with pytest.raises(ValueError, match=r"of several types: \['int16', 'int32'\]"):
        load(X)


@pytest.mark.parametrize("shape", [(900, 2), (900, 1), (2, 1)])
def test_channels_last_is_told_to_transpose(shape):
    clip = np.zeros(shape)
    for row in (clip, (clip, SR)):
        with pytest.raises(ValueError, match=r"Clip 0 of X has shape .*\(x\.T\)"):
            load([row])


# ------------------------------------------------------------------------ names
@pytest.mark.parametrize(
    ("name", "wanted"),
    [("é.wav", "é.wav"), ("a\0\n", r"a\x00\n"), ("\udce0", r"\udce0")],
)
def test_names_can_be_printed(name, wanted):
    assert shown(name) == wanted
    shown(name).encode()


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_names_that_are_no_text(tmp_path):
    name = os.fsencode(tmp_path) + b"/voil\xe0.wav"
    with open(name, "wb") as file:
        soundfile.write(file, CLIPS[0], SR, format="WAV", subtype="FLOAT")
    for path in (name, os.fsdecode(name), Path(os.fsdecode(name))):
        np.testing.assert_array_equal(load([path]), CLIPS[:1])
    loader = AudioLoader(sr=SR, on_error="warn")
    with pytest.warns(UserWarning, match=r"1 of 1 clips.*voil\\udce0-2\.wav") as told:
        loader.fit_transform([name.replace(b".wav", b"-2.wav")])
    str(told[0].message).encode()
    loader.errors_[0]["error"].encode()


# --------------------------------------------------------------------- networks
@pytest.mark.parametrize(
    ("X", "got"),
    [
        (["a.wav"] * 2, "paths"),
        (pd.DataFrame({"path": ["a.wav"] * 2}), "paths"),
        ([np.zeros(900), np.zeros(800)], "waveforms of several lengths"),
        ([(np.zeros(900), SR)] * 2, "sound"),
        ([io.BytesIO()] * 2, "sound"),
        (np.zeros((2, 2049)), r"waveforms \(or 2049 bins"),
        ([np.zeros(2049)] * 2, r"waveforms \(or 2049 bins"),
        (np.zeros((2, 2049)).tolist(), r"waveforms \(or 2049 bins"),
        (torch.zeros(2, 2049), r"waveforms \(or 2049 bins"),
    ],
)
def test_a_network_without_views_refuses_sound(X, got):
    match = f"CRNNClassifier takes views of clips; got {got}.*set views=MelView"
    with pytest.raises(ValueError, match=match):
        CRNNClassifier().fit(X, [0, 1])
