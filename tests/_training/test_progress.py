"""What a training says about the time that it takes."""

import re
import warnings
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from skaudio._training import _callbacks, _estimator
from skaudio.datasets import make_sounds
from skaudio.ensemble import LateFusionClassifier
from skaudio.neural_network import CRNNClassifier, SwishNetClassifier
from skaudio.views import make_view_union

X = np.random.default_rng(0).normal(size=(20, 6, 12)).astype(np.float32)
Y = np.arange(20) % 2
NET = {"max_epochs": 3, "batch_size": 8, "random_state": 0}


@pytest.fixture
def slow(monkeypatch):
    """Every training is a long one."""
    monkeypatch.setattr(_callbacks, "LONG", 0.0)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("soon", [0.0, 1e9], ids=["within an epoch", "after it"])
def test_a_long_training_says_so_once(monkeypatch, soon):
    monkeypatch.setattr(_callbacks, "SOON", soon)
    with pytest.warns(UserWarning, match="Training will take about") as caught:
        CRNNClassifier(width=0.05, **NET).fit(X, Y)
    (warning,) = caught
    text = str(warning.message)
    for words in ("3 epochs", "width (it is 0.05)", "segment_length (it is 12 steps)"):
        assert words in text
    assert "max_epochs (it is 3)" in text
    assert "verbose=1" in text


@pytest.mark.usefixtures("slow")
def test_it_names_only_parameters_that_there_are():
    with pytest.warns(
        UserWarning, match="lower segment_length .* max_epochs"
    ) as caught:
        SwishNetClassifier(**NET).fit(X, Y)
    assert "width" not in str(caught[0].message)


def test_a_short_one_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CRNNClassifier(width=0.05, **NET).fit(X, Y)


@pytest.mark.usefixtures("slow")
def test_the_bar_shows_rate_and_time_left(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the bar says it all
        CRNNClassifier(width=0.05, **NET, verbose=1).fit(X, Y)
    shown = capsys.readouterr().err
    assert "60.0/60.0" in shown  # segments of all epochs
    assert re.search(r"segment/s", shown)
    assert "epoch=3/3" in shown


def test_the_bar_goes_on_after_a_checkpoint(capsys, tmp_path):
    """From what is done already, which says nothing about the rate of this run."""
    clf = CRNNClassifier(width=0.05, lr_schedule="constant", **NET)
    clf.fit(X, Y, checkpoint=tmp_path / "training")
    clf.set_params(max_epochs=5, verbose=1)
    clf.fit(X, Y, checkpoint=tmp_path / "training")
    shown = capsys.readouterr().err
    assert "100/100" in shown
    assert "epoch=5/5" in shown
    records = _callbacks.Records(1, 20, "")
    records.epochs, records.bar = [{}] * 3, SimpleNamespace()
    records.on_epoch_begin(None)
    assert records.bar.n == records.bar.initial == records.bar.last_print_n == 60


def test_the_estimate_is_that_of_an_epoch(monkeypatch):
    """By the clock: 2 seconds for 8 of 20 segments are 5 an epoch, 15 in all."""
    now = iter([0.0, 2.0, 2.0])
    monkeypatch.setattr(_callbacks.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(_callbacks, "LONG", 14.9)
    monkeypatch.setattr(_callbacks, "SOON", 1.0)
    records = _callbacks.Records(0, 20, " Advice.")

    class Net:
        max_epochs, compiled = 3, False

    records.on_epoch_begin(Net())
    with pytest.warns(UserWarning, match="15 seconds: up to 3 epochs of 5 seconds"):
        records.on_batch_end(Net(), batch=(range(8),))


def test_what_is_left_counts_after_a_checkpoint(monkeypatch):
    """Two of three epochs are done: one is left."""
    now = iter([0.0, 2.0, 2.0])
    monkeypatch.setattr(_callbacks.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(_callbacks, "LONG", 0.0)
    monkeypatch.setattr(_callbacks, "SOON", 1.0)
    records = _callbacks.Records(0, 20, "")
    records.epochs = [{}, {}]

    class Net:
        max_epochs, compiled = 3, False

    records.on_epoch_begin(Net())
    with pytest.warns(UserWarning, match="take about 5 seconds: up to 3 epochs"):
        records.on_batch_end(Net(), batch=(range(8),))


def test_time_of_compilation_is_no_time_of_training(monkeypatch):
    """100 seconds for the first epoch; then 1 for 10 of 20 segments: 2 an epoch."""
    now = iter([0.0, 100.0, 100.0, 101.0, 101.0])
    monkeypatch.setattr(_callbacks.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(_callbacks, "LONG", 0.0)
    monkeypatch.setattr(_callbacks, "SOON", 0.5)
    records = _callbacks.Records(0, 20, "")

    class Net:
        max_epochs, compiled = 3, True

    records.on_epoch_begin(Net())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        records.on_batch_end(Net(), batch=(range(10),))
    records.on_epoch_begin(Net())
    with pytest.warns(UserWarning, match="up to 3 epochs of 2 seconds"):
        records.on_batch_end(Net(), batch=(range(10),))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_gpu_is_advised_where_there_is_none(monkeypatch, device):
    clf = CRNNClassifier(width=0.05, **NET).fit(X, Y)
    monkeypatch.setattr(_estimator, "resolve_device", lambda name: device)
    assert ("train on a GPU" in clf._advice()) == (device == "cpu")


def test_prediction_has_a_bar_that_counts_segments(monkeypatch):
    seen = []

    @contextmanager
    def progress(total, verbose, what, unit, delay):
        done = []
        yield done.append
        seen.append((total, verbose, what, unit, sum(done)))
        assert delay > 0  # a quick prediction shows none

    monkeypatch.setattr(_estimator, "progress", progress)
    clf = CRNNClassifier(width=0.05, segment_length=6, n_segments=4, **NET, verbose=1)
    clf.fit(X, Y)
    seen.clear()
    clf.predict(X)
    assert seen == [(80, 1, "Predicting", "segment", 80)]
    clf.set_params(verbose=0).predict(X)
    assert seen[1][1] == 0


def test_views_and_networks_are_named(capsys):
    clips, labels = make_sounds(8, 2, duration=0.3, sr=8000, random_state=0)
    union = make_view_union("mel", "raw", sr=8000, verbose=1)
    views = union.transform(clips)
    net = CRNNClassifier(width=0.05, **NET | {"max_epochs": 1}, verbose=1)
    LateFusionClassifier(net).fit(views, labels)
    net.set_params(views=union.set_params(raw="drop")).fit(clips, labels)
    shown = capsys.readouterr().err
    for words in ("Computing mel, raw: 100%", "Computing mel: 100%"):
        assert words in shown
    assert shown.index("Training on mel: 100%") < shown.index("Training on raw: 100%")
