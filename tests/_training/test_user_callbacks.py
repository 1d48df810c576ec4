"""The user's skorch callbacks: which work, what they leave, and what stops training."""

import os
import signal

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    PrintLog,
    ProgressBar,
    TrainEndCheckpoint,
)

from skaudio._training._user_callbacks import is_raised_by_code, state_of
from skaudio.neural_network import CRNNClassifier

NET = {"width": 0.05, "max_epochs": 3, "validation_fraction": 0.25, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(16, 4, 10)).astype(np.float32), np.repeat([0, 1], 8)


class Collect(Callback):
    def __init__(self):
        self.seen = []

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(net.history[-1]["train_loss"])
        net.history.record("norm", float(len(self.seen)))


class Raise(Callback):
    def __init__(self, error, hook="on_epoch_end", epoch=2):
        self.error, self.hook, self.epoch = error, hook, epoch

    def _act(self, net, hook):
        if hook == self.hook and len(net.history) == self.epoch:
            raise self.error

    def on_epoch_end(self, net, **kwargs):
        self._act(net, "on_epoch_end")

    def on_batch_end(self, net, **kwargs):
        self._act(net, "on_batch_end")


class CtrlC(Callback):
    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_what_callbacks_collect_and_record_stays(data):
    collect = Collect()
    clf = CRNNClassifier(**NET, callbacks=[collect]).fit(*data)
    assert collect.seen == [row["train_loss"] for row in clf.history_]
    assert [row["norm"] for row in clf.history_] == [1.0, 2.0, 3.0]


def test_open_files_are_no_obstacle(data, tmp_path):
    class Log(Callback):
        def __init__(self, file):
            self.file = file

        def on_epoch_end(self, net, **kwargs):
            self.file.write("epoch\n")

    with open(tmp_path / "log", "w") as file:
        path = tmp_path / "a.checkpoint"
        CRNNClassifier(**NET, callbacks=[Log(file)]).fit(*data, checkpoint=path)
    assert (tmp_path / "log").read_text() == "epoch\n" * 3


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: ("named", EpochTimer()),
        lambda folder: EpochTimer,
        lambda folder: ProgressBar(),
        lambda folder: PrintLog(sink=lambda text: None),
        lambda folder: GradientNormClipping(1.0),
        lambda folder: Freezer("network.head.*"),
        lambda folder: EarlyStopping("valid_score", lower_is_better=False, patience=9),
        lambda folder: Checkpoint(dirname=folder),
        lambda folder: Checkpoint(dirname=folder, monitor=None),
        lambda folder: TrainEndCheckpoint(dirname=folder),
    ],
    ids=range(10),
)
def test_callbacks_of_skorch_that_work(make, data, tmp_path, capsys):
    clf = CRNNClassifier(**NET, callbacks=[make(str(tmp_path))]).fit(*data)
    assert len(clf.history_) == 3


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (EpochScoring("accuracy"), "valid_score"),
        (EpochScoring("accuracy", on_train=True), "valid_score"),
        (BatchScoring("accuracy"), "valid_score"),
        (("mine", EpochScoring("accuracy")), "valid_score"),
        (LRScheduler(), "lr_schedule"),
        (LRScheduler, "lr_schedule"),
        (print, "must be skorch callbacks"),
        ("early", "must be skorch callbacks"),
    ],
    ids=range(8),
)
def test_others_are_refused_with_what_to_do(callback, message, data):
    with pytest.raises(TypeError, match=message):
        CRNNClassifier(**NET, callbacks=[callback]).fit(*data)


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_batch_end"])
def test_a_callback_may_end_training(hook, data):
    """skorch's way: raise KeyboardInterrupt."""
    stop = Raise(KeyboardInterrupt, hook)
    clf = CRNNClassifier(**NET, callbacks=[stop]).fit(*data)
    assert len(clf.history_) == 2


def test_early_stopping_watches_our_figures(data):
    stop = EarlyStopping("valid_score", lower_is_better=False, patience=1, threshold=9)
    clf = CRNNClassifier(**{**NET, "max_epochs": 9}, callbacks=[stop]).fit(*data)
    assert len(clf.history_) == 2


def test_ctrl_c_comes_through(data, tmp_path):
    path = tmp_path / "a.checkpoint"
    clf = CRNNClassifier(**NET, callbacks=[CtrlC()])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*data, checkpoint=path)
    assert not hasattr(clf, "net_")
    saved = torch.load(path, weights_only=True)
    assert len(saved["history"]) == 1
    whole = CRNNClassifier(**NET).fit(*data).predict_proba(data[0])
    again = CRNNClassifier(**NET).fit(*data, checkpoint=path).predict_proba(data[0])
    np.testing.assert_array_equal(again, whole)


def test_ctrl_c_ends_a_search(data):
    clf = CRNNClassifier(**NET, callbacks=[CtrlC()])
    search = GridSearchCV(clf, {"lr": [1e-3, 1e-2]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(*data)
    assert not hasattr(search, "cv_results_")


def test_who_raised():
    def of(function):
        try:
            function()
        except KeyboardInterrupt as error:
            return is_raised_by_code(error)

    def raises():
        raise KeyboardInterrupt

    assert of(raises)
    assert not of(lambda: os.kill(os.getpid(), signal.SIGINT))


def test_state_is_what_changes_in_training_and_fits_in_a_file():
    stop = EarlyStopping(patience=7)
    stop.on_train_begin(None)
    stop.best_model_weights_ = {"a": torch.ones(2)}
    stop.handle = print  # as open files, no value
    assert state_of(stop).keys() == {
        "misses_",
        "dynamic_threshold_",
        "best_epoch_",
        "best_model_weights_",
    }
    assert state_of(Collect()).keys() == {"seen"}


class PowerCut(Exception):
    pass


def early(*more):
    stop = EarlyStopping("train_loss", patience=3, threshold=0.5, threshold_mode="abs")
    return CRNNClassifier(**{**NET, "max_epochs": 9}, callbacks=[stop, *more])


def test_early_stopping_is_part_of_a_checkpoint(data, tmp_path):
    whole = early().fit(*data)
    with pytest.raises(PowerCut):
        early(Raise(PowerCut, epoch=3)).fit(*data, checkpoint=tmp_path / "a")
    for _ in range(2):  # also once more: it is finished
        again = early().fit(*data, checkpoint=tmp_path / "a")
        assert len(again.history_) == len(whole.history_) == 4
        np.testing.assert_array_equal(
            again.predict_proba(data[0]), whole.predict_proba(data[0])
        )


def test_candidates_of_a_search_have_copies(data):
    collect = Collect()
    clf = CRNNClassifier(**NET, callbacks=[collect])
    search = GridSearchCV(clf, {"lr": [1e-3, 1e-2]}, cv=2).fit(*data)
    assert len(search.best_estimator_.callbacks[0].seen) == 3
    assert collect.seen == []
