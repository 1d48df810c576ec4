"""Clusters and worker processes: the same numbers, little that travels."""

import importlib
import logging
import os
import signal
import threading
import time

import joblib
import numpy as np
import pytest
import soundfile
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

import skaudio._audio._load
from skaudio.cache import cache_info
from skaudio.datasets import make_sounds
from skaudio.embedding import PretrainedEmbedder, save_weights
from skaudio.ensemble import LateFusionClassifier
from skaudio.neural_network import CRNNClassifier
from skaudio.nn import SampleCNN
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import MelView, make_view_union

SR = 8000


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    X, _ = make_sounds(n_clips=48, duration=1.0, sr=SR, random_state=0)
    names = [folder / f"{i:02d}.wav" for i in range(len(X))]
    for path, clip in zip(names, X, strict=True):
        soundfile.write(path, clip, SR)
        os.utime(path)
    return names


@pytest.fixture(scope="module")
def labels(paths):
    return np.arange(len(paths)) % 2


@pytest.fixture(scope="module")
def client():
    """Two worker processes of a real cluster."""
    distributed = pytest.importorskip(
        "distributed", reason="dask.distributed is not installed (extra: distributed)"
    )
    logging.getLogger("distributed").setLevel(logging.ERROR)
    environment = dict(os.environ)  # what starts workers sets variables in this process
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def sent(client, monkeypatch):
    """Bytes of everything that is pickled for the cluster."""
    module = importlib.import_module("distributed.protocol.pickle")
    sizes, real = [], module.dumps

    def dumps(obj, *args, buffer_callback=None, **options):
        buffers = []

        def note(buffer):
            buffers.append(buffer.raw().nbytes)
            return buffer_callback(buffer)

        watch = None if buffer_callback is None else note
        out = real(obj, *args, buffer_callback=watch, **options)
        sizes.append(len(out) + sum(buffers))
        return out

    monkeypatch.setattr(module, "dumps", dumps)
    return sizes


@pytest.fixture
def nothing_is_loaded_here(monkeypatch):
    monkeypatch.setattr(
        skaudio._audio._load,
        "_load_one",
        lambda *args, **options: pytest.fail("loaded in this process"),
    )


def union(**options):
    return make_view_union("mel", "mfcc", "raw", sr=SR, **options)


def check_equal(found, expected):
    for name in expected.names:
        for a, b in zip(found.clips(name), expected.clips(name), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_cluster_computes_views(
    client, paths, tmp_path, sent, monkeypatch, nothing_is_loaded_here
):
    with joblib.parallel_config("dask"):
        found = union(cache=tmp_path).transform(paths)
    assert max(sent) < 20_000  # paths and parameters
    assert cache_info(tmp_path).n_arrays >= 3 * len(paths)
    monkeypatch.undo()
    check_equal(found, union().transform(paths))


def test_processes_compute_views(paths, tmp_path, monkeypatch, nothing_is_loaded_here):
    view = MelView(sr=SR, cache=tmp_path)
    with joblib.parallel_config("loky", n_jobs=2):
        found = view.transform(paths)
    monkeypatch.undo()
    np.testing.assert_array_equal(found, MelView(sr=SR).transform(paths))


def test_a_cluster_embeds(client, paths, tmp_path, nothing_is_loaded_here, monkeypatch):
    weights = tmp_path / "tiny.safetensors"
    with torch.random.fork_rng(devices=[]):
        network = SampleCNN(4, sizes=(3,) * 6, width=0.1)
    save_weights(network, weights, sr=SR)
    embedder = PretrainedEmbedder(weights, cache=tmp_path / "cache")
    with joblib.parallel_config("dask"):
        found = embedder.transform(paths[:8])
    monkeypatch.undo()
    expected = clone(embedder).set_params(cache=False).transform(paths[:8])
    np.testing.assert_array_equal(found, expected)


def test_networks_with_views_inside_are_served(client, paths, labels, tmp_path, sent):
    views = union(cache=tmp_path).set_params(mfcc="drop", raw="drop")
    model = CRNNClassifier(views=views, width=0.05, max_epochs=1, random_state=0)
    with joblib.parallel_config("dask"):
        found = clone(model).fit(paths, labels).predict_proba(paths)
    assert sent
    model.set_params(views__cache=False).fit(paths, labels)
    np.testing.assert_array_equal(found, model.predict_proba(paths))


def test_what_fails_there_is_said_here(client, paths, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound")
    some = [*paths[:5], bad, *paths[5:8]]
    view = MelView(sr=SR, cache=tmp_path / "cache", on_error="nan")
    with joblib.parallel_config("dask"):
        found = view.transform(some)
        assert [error["row"] for error in view.errors_] == [5]
        with pytest.raises(ValueError, match=r"bad\.wav"):
            clone(view).set_params(on_error="raise").transform(some)
    assert np.isnan(found[5]).all()
    assert all(np.isfinite(clip).all() for clip in np.delete(found, 5, axis=0))


def test_arrays_stay_where_they_are(client, tmp_path, sent):
    X, _ = make_sounds(n_clips=8, duration=0.5, sr=SR, random_state=0)
    view = MelView(sr=SR, cache=tmp_path)
    with joblib.parallel_config("dask"):
        found = view.transform(X)
    assert not sent
    np.testing.assert_array_equal(found, MelView(sr=SR).transform(X))


@pytest.mark.parametrize("stored", [True, False])
def test_a_search_sends_views_once(stored, client, paths, labels, tmp_path, sent):
    views = union(cache=tmp_path if stored else False).transform(paths)
    n_bytes = sum(clip.nbytes for name in views.names for clip in views.clips(name))
    model = make_pipeline(ViewScaler(), FrameStatistics(), GaussianNB())
    grid = {"gaussiannb__var_smoothing": [1e-9, 1e-6, 1e-3, 0.1]}
    search = GridSearchCV(model, grid, cv=3, error_score="raise")
    expected = clone(search).fit(views, labels).cv_results_["mean_test_score"]
    sent.clear()
    with joblib.parallel_config("dask"):
        found = search.fit(views, labels).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(found, expected)
    tasks = sorted(sent)
    if stored:
        assert tasks[-1] < 20_000
    else:
        assert n_bytes <= tasks[-1] < 1.1 * n_bytes
        assert tasks[-2] < 20_000
    assert len(sent) >= 12


def test_cross_validation_and_late_fusion(client, paths, labels, tmp_path):
    views = union(cache=tmp_path).transform(paths).select(["mel", "mfcc"])
    network = CRNNClassifier(
        width=0.05, max_epochs=1, validation_fraction=None, random_state=0
    )
    fusion = LateFusionClassifier(make_pipeline(ViewScaler(), network))
    expected = clone(fusion).fit(views, labels).predict_proba(views)
    scores = cross_val_score(clone(fusion), views, labels, cv=2)
    with joblib.parallel_config("dask"):
        fusion.set_params(n_jobs=2).fit(views, labels)
        found = cross_val_score(clone(fusion), views, labels, cv=2, n_jobs=2)
    np.testing.assert_allclose(fusion.predict_proba(views), expected, atol=1e-6)
    np.testing.assert_array_equal(found, scores)


def test_workers_have_one_thread_each(client):
    found = client.run(lambda: importlib.import_module("torch").get_num_threads())
    assert set(found.values()) == {1}


def test_a_worker_that_dies_loses_nothing(client, paths, tmp_path):
    """Its tasks are done by another one."""
    pids = list(client.run(os.getpid).values())
    killed = []

    def kill():
        while not list(tmp_path.rglob("*.pack")):
            time.sleep(0.002)
        killed.append(cache_info(tmp_path).n_arrays)
        os.kill(pids[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with joblib.parallel_config("dask"):
        found = union(cache=tmp_path).transform(paths)
    thread.join()
    assert killed[0] < 3 * len(paths)
    check_equal(found, union().transform(paths))
    client.wait_for_workers(2, timeout=60)
    assert pids[0] not in client.run(os.getpid).values()
