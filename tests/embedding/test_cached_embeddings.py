"""Embeddings of clips: each computed once, the same values, nothing stale."""

import threading

import joblib
import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skaudio.cache import cache_info, clear_cache
from skaudio.cache._clips import MEMORY
from skaudio.embedding import PretrainedEmbedder


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


def test_an_object_that_cannot_be_pickled_is_not_cached(labelled):
    X, _ = labelled
    model = Counting()
    model.session = threading.Lock()  # cannot be pickled, hence has no key
    embedder = PretrainedEmbedder(model)
    with pytest.warns(UserWarning, match="pickle"):
        embedder.transform(X)
    embedder.transform(X)
    assert embedded() == 40


def test_what_cannot_be_kept_is_not_sent_to_workers(tmp_path):
    model = Counting()
    model.session = threading.Lock()
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.zeros(50), 8000)
    embedder = PretrainedEmbedder(model, cache=tmp_path / "cache")
    with (
        joblib.parallel_config("loky", n_jobs=2),
        pytest.warns(UserWarning, match="pickle"),
    ):
        embedder.transform([path, path])
    assert embedded() == 2


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
    info = cache_info(folder)
    assert info.n_arrays >= 20  # two processes may have computed the same
    np.testing.assert_array_equal(cross_val_score(pipeline, X, y, cv=2), scores)
    assert cache_info(folder) == info


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
    assert cache_info(tmp_path).n_arrays == 20


def test_what_was_embedded_before_an_error_is_kept(labelled, tmp_path):
    X, _ = labelled
    X[15] = np.nan
    embedder = PretrainedEmbedder(Counting(), cache=tmp_path)
    with pytest.raises(ValueError, match="NaN"):
        embedder.transform(list(X))
    n = embedded()
    assert n == cache_info(tmp_path).n_arrays > 0
    embedder.transform(list(X[:15]))
    assert embedded() == 15 - n
