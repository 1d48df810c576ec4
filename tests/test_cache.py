"""Arrays of clips: each computed once, the same values, nothing stale or broken."""

import io
import os
import pickle
import threading
import time
import tracemalloc

import joblib
import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skaudio._cache import (
    MEMORY,
    ClipCache,
    _checksum,
    _read,
    _write,
    file_of,
    keys_of,
    signature_of,
)
from skaudio.embedding import PretrainedEmbedder, clear_cache


class Counting:
    """A model that counts the clips which it embeds, over all its copies."""

    sample_rate = 8000
    scene_embedding_size = 2
    n_clips = 0

    def __init__(self, gain=1.0):
        self.gain = gain

    def get_scene_embeddings(self, audio):
        Counting.n_clips += len(audio)
        return audio[:, :2] * self.gain

    def get_timestamp_embeddings(self, audio):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def from_zero():
    Counting.n_clips = 0


@pytest.fixture
def labelled():
    X = np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32)
    return X, np.tile(["a", "b"], 10)


def embedded():
    n, Counting.n_clips = Counting.n_clips, 0
    return n


# ----------------------------------------------------------------- each clip once


def test_a_search_embeds_every_clip_once(labelled):
    X, y = labelled
    pipeline = make_pipeline(PretrainedEmbedder(Counting()), LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0, 10.0]}, cv=5)
    search.fit(X, y).predict(X)
    assert embedded() == 20
    PretrainedEmbedder(Counting()).transform(X)  # equal weights in another object
    assert embedded() == 0


def test_a_cache_can_be_cleared(labelled):
    X, _ = labelled
    embedder = PretrainedEmbedder(Counting())
    before = embedder.transform(X)
    assert MEMORY.n_bytes == before.nbytes
    clear_cache()
    assert MEMORY.n_bytes == 0
    np.testing.assert_array_equal(embedder.transform(X), before)
    assert embedded() == 2 * len(X)


def test_without_memory_every_fold_embeds(labelled):
    X, y = labelled
    embedder = PretrainedEmbedder(Counting(), cache=False)
    cross_val_score(make_pipeline(embedder, LogisticRegression()), X, y, cv=5)
    assert embedded() == 5 * 20
    assert MEMORY.n_bytes == 0


def test_equal_rows_are_embedded_once(labelled):
    X, _ = labelled
    rows = [3, 0, 3, 3, 1, 0]
    table = PretrainedEmbedder(Counting()).transform(X[rows])
    assert embedded() == 3
    np.testing.assert_array_equal(table, X[rows, :2])


@pytest.mark.parametrize("weights", ["samplecnn", "coala"])
def test_cached_rows_are_computed_rows(weights, clips, request):
    path = request.getfixturevalue(weights)
    without = PretrainedEmbedder(path, sr=8000, cache=False).transform(clips)
    embedder = PretrainedEmbedder(path, sr=8000)
    embedder.transform(clips[::2])
    for _ in range(2):
        np.testing.assert_array_equal(embedder.transform(clips), without)


def test_threads_wait_for_each_other(labelled):
    X, _ = labelled
    embedder = PretrainedEmbedder(Counting())
    parallel = joblib.Parallel(n_jobs=4, backend="threading")
    tables = parallel(joblib.delayed(embedder.transform)(X) for _ in range(8))
    assert embedded() == 20
    for table in tables:
        np.testing.assert_array_equal(table, X[:, :2])


# ----------------------------------------------------------------- never stale


@pytest.mark.parametrize(
    "change",
    [
        {"weights": Counting(gain=2.0)},
        {"sr": 4000},
        {"model_sr": 16000},
        {"duration": 0.01},
        {"trim_silence": True},
        {"mono": "raise"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_parameters_that_change_values_are_part_of_the_key(change, labelled):
    X, _ = labelled
    embedder = PretrainedEmbedder(Counting())
    embedder.transform(X)
    embedded()
    clone(embedder).set_params(**change).transform(X)
    assert embedded() == 20


@pytest.mark.parametrize(
    "change", [{"layers": (-2,)}, {"n_segments": 2}, {"model_sr": 4000}], ids=str
)
def test_parameters_of_samplecnn_are_part_of_the_key(change, samplecnn, clips):
    embedder = PretrainedEmbedder(samplecnn)
    before = embedder.transform(clips)
    changed = clone(embedder).set_params(**change)
    after = changed.transform(clips)
    np.testing.assert_array_equal(
        after, clone(changed).set_params(cache=False).transform(clips)
    )
    assert "model_sr" in change or not np.array_equal(before, after)


def test_rows_of_the_memory_cannot_be_changed(labelled):
    X, _ = labelled
    embedder = PretrainedEmbedder(Counting())
    embedder.transform(X)[:] = 0
    np.testing.assert_array_equal(embedder.transform(X), X[:, :2])


def test_a_changed_clip_is_another_clip(tmp_path):
    path = tmp_path / "clip.wav"
    embedder = PretrainedEmbedder(Counting())
    for value in (0.25, 0.5):
        soundfile.write(path, np.full(100, value), 8000, subtype="FLOAT")
        os.utime(path, ns=(0, int(value * 100)))  # some clocks are coarse
        np.testing.assert_array_equal(embedder.transform([path]), [[value, value]])


def test_a_file_is_its_path_size_and_time(tmp_path, monkeypatch):
    path = tmp_path / "clip.wav"
    assert signature_of(path) is None
    path.write_bytes(b"1234")
    os.utime(path, ns=(0, 7))
    assert file_of(path) == (str(path), (4, 7))
    monkeypatch.chdir(tmp_path)
    assert file_of("clip.wav") == file_of(path)
    monkeypatch.undo()


def test_different_clips_have_different_keys():
    zeros = np.zeros(4, np.float32)
    clips = [zeros, zeros.astype(np.float64), np.zeros(2), np.zeros((2, 2))]
    keys = keys_of([*clips, zeros.copy(), zeros[::2], "missing.wav"], "e")
    assert keys[0] == keys[4]
    assert keys[-1] is None
    assert len({*keys[:4], keys[5], *keys_of(clips[:1], "f")}) == 6


def test_an_object_that_cannot_be_pickled_is_not_cached(labelled):
    X, _ = labelled
    model = Counting()
    model.session = threading.Lock()  # cannot be pickled, hence has no key
    embedder = PretrainedEmbedder(model)
    with pytest.warns(UserWarning, match="pickle"):
        embedder.transform(X)
    embedder.transform(X)
    assert embedded() == 40


def test_a_function_is_known_by_its_code(labelled):
    X, _ = labelled
    model = Counting()
    model.hook = lambda: None
    embedder = PretrainedEmbedder(model)
    embedder.transform(X)
    embedder.transform(X)
    assert embedded() == 20
    model.hook = lambda: 1
    embedder.transform(X)
    assert embedded() == 20


# ----------------------------------------------------------------- on disk


def test_a_folder_is_shared_by_processes(samplecnn, labelled, tmp_path):
    X, y = labelled
    folder = tmp_path / "new" / "embeddings"
    embedder = PretrainedEmbedder(samplecnn, cache=folder)
    pipeline = make_pipeline(embedder, LogisticRegression())
    scores = cross_val_score(pipeline, X, y, cv=2, n_jobs=2)
    files = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(files) == 20
    assert {path.suffix for path in files} == {".npy"}
    np.testing.assert_array_equal(cross_val_score(pipeline, X, y, cv=2), scores)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == files


def test_a_folder_is_read_in_a_new_process(labelled, tmp_path):
    X, _ = labelled
    embedder = PretrainedEmbedder(Counting(), cache=tmp_path)
    before = embedder.transform(X)
    clear_cache()  # as a new process begins
    embedded()
    np.testing.assert_array_equal(embedder.transform(X), before)
    assert embedded() == 0


def test_a_folder_gets_what_was_in_memory(labelled, tmp_path):
    X, _ = labelled
    PretrainedEmbedder(Counting()).transform(X)
    PretrainedEmbedder(Counting(), cache=tmp_path).transform(X)
    assert embedded() == 20
    assert len(list(tmp_path.iterdir())) == 20


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_damaged_files_are_written_anew(damage, labelled, tmp_path):
    X, _ = labelled
    embedder = PretrainedEmbedder(Counting(), cache=tmp_path)
    before = embedder.transform(X)
    path = sorted(tmp_path.iterdir())[0]
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-18] ^= 1  # the last value
    damaged = {"cut": whole[:-3], "flip": flipped, "empty": b"", "other": b"x" * 99}
    path.write_bytes(damaged[damage])
    clear_cache()
    embedded()
    np.testing.assert_array_equal(embedder.transform(X), before)
    assert embedded() == 1
    assert path.read_bytes() == whole


def header(shape, descr="'<f4'", end=""):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}{end}"
    return b"\x93NUMPY\x01\x00v\x00" + text.ljust(117).encode() + b"\n"


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npz():
    stream = io.BytesIO()
    np.savez(stream, a=np.ones(2, np.float32))
    return stream.getvalue()


PLANTED = {
    "NaN": npy(np.array([1, np.nan], np.float32)),
    "infinity": npy(np.array([1, np.inf], np.float32)),
    "text": npy(np.array(["a", "b"])),
    "truth": npy(np.array([True, False])),
    "whole numbers": npy(np.array([1, 2])),
    "complex": npy(np.array([1j, 2j])),
    "fields": npy(np.zeros(2, [("a", "f4")])),
    "objects": npy(np.array([{}, {}], dtype=object), allow_pickle=True),
    "pickle": pickle.dumps([1.0, 2.0]),
    "archive": npz(),
    "too many numbers": header("(10000000000000,)") + bytes(8),
    "too few": header("(1,)") + bytes(8),
    "any number": header("(-1,)") + bytes(8),
    "objects as numbers": header("(2,)", "'|O'") + bytes(16),
    "overlapping": header("(0, 10000000000000)"),
    "deep": header("(2,)", "[" * 50 + "]" * 50) + bytes(8),
    "code": header("(2,)", "__import__('os').system('true')") + bytes(8),
    "nothing": b"",
    "magic only": b"\x93NUMPY\x01\x00",
}


@pytest.mark.parametrize("what", PLANTED)
def test_planted_files_are_not_used(what, labelled, tmp_path):
    """With a right checksum, too: what is no row of finite numbers is computed."""
    X, _ = labelled
    embedder = PretrainedEmbedder(Counting(), cache=tmp_path)
    before = embedder.transform(X)
    path = sorted(tmp_path.iterdir())[0]
    path.write_bytes(PLANTED[what] + _checksum(path, PLANTED[what]))
    if what == "overlapping":
        assert _read(path).size == 0  # numbers there are none, in no memory
        return
    assert _read(path) is None
    clear_cache()
    embedded()
    tracemalloc.start()
    np.testing.assert_array_equal(embedder.transform(X), before)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    assert embedded() == 1
    np.testing.assert_array_equal(np.load(path), _read(path))  # written anew


def test_a_file_of_another_clip_is_not_used(labelled, tmp_path):
    X, _ = labelled
    embedder = PretrainedEmbedder(Counting(), cache=tmp_path)
    before = embedder.transform(X)
    first, second, *_ = sorted(tmp_path.iterdir())
    first.write_bytes(second.read_bytes())
    clear_cache()
    np.testing.assert_array_equal(embedder.transform(X), before)


def test_pipes_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert _read(tmp_path / "pipe") is None  # nobody will write to it


def test_huge_rows_are_neither_written_nor_read(tmp_path, monkeypatch):
    small, large = np.ones(10), np.ones(10_000)
    _write(tmp_path / "large.npy", large)
    monkeypatch.setattr("skaudio._cache.LARGEST", 2**14)
    assert _read(tmp_path / "large.npy") is None
    rows = ClipCache().rows(["a", "b"], lambda rows: [small, large], tmp_path / "new")
    assert [row.size for row in rows] == [10, 10_000]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.npy"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4"])
def test_rows_come_back_from_files(order, dtype, tmp_path):
    array = np.asarray(np.arange(6).reshape(2, 3), dtype, order=order)
    _write(tmp_path / "a.npy", array)
    back = _read(tmp_path / "a.npy")
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
    assert back.flags.writeable


def test_files_are_readable_without_skaudio(labelled, tmp_path):
    X, _ = labelled
    PretrainedEmbedder(Counting(), cache=tmp_path).transform(X[:1])
    (path,) = tmp_path.iterdir()
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), X[0, :2])


def test_a_folder_that_cannot_be_written_warns(labelled, tmp_path):
    X, _ = labelled
    (tmp_path / "file").write_text("")
    embedder = PretrainedEmbedder(Counting(), cache=tmp_path / "file")
    with pytest.warns(UserWarning, match=r"cannot be written to .*file .* in memory"):
        table = embedder.transform(X[:1])
    np.testing.assert_array_equal(table, X[:1, :2])


# ----------------------------------------------------------------- the memory itself


def test_what_was_not_used_for_longest_goes_first():
    cache = ClipCache(capacity=3 * 80)
    asked = []

    def compute(rows):
        asked.extend(rows)
        return [np.zeros(10) for _ in rows]

    for key in ("a", "b", "c", "a", "d"):
        cache.rows([key], compute)
    assert cache.n_bytes == 240
    asked.clear()
    cache.rows(["a", "c", "d", "b"], compute)
    assert asked == [3]


def test_clips_without_a_key_wait_for_nobody():
    cache = ClipCache()
    both = threading.Barrier(2, timeout=10)  # breaks if one waits for the other

    def compute(rows):
        both.wait()
        return [np.ones(1) for _ in rows]

    parallel = joblib.Parallel(n_jobs=2, backend="threading")
    assert len(parallel(joblib.delayed(cache.rows)([None], compute) for _ in "ab")) == 2


def test_a_failure_frees_those_who_wait():
    cache = ClipCache()
    started = threading.Event()

    def fail(rows):
        started.set()
        time.sleep(0.05)
        raise RuntimeError("no luck")

    def work():
        started.wait()
        return cache.rows(["a"], lambda rows: [np.ones(1)])

    failing = threading.Thread(target=_swallow, args=(cache, fail))
    failing.start()
    assert work()[0][0] == 1
    failing.join()


def _swallow(cache, compute):
    with pytest.raises(RuntimeError, match="no luck"):
        cache.rows(["a"], compute)
