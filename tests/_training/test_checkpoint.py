"""Training that is interrupted and goes on, to the same result."""

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from skaudio.neural_network import (
    CRNNClassifier,
    MultiViewBlendingClassifier,
    Optimizer,
    PlateauSchedule,
    SampleCNNClassifier,
    SpectrogramCNNClassifier,
)
from skaudio.views import Views

SAMPLES = {
    "sizes": (4, 4, 4),
    "width": 0.05,
    "dropout": 0.5,
    "validation_fraction": 0.2,
}
CASES = {
    "plateau": SampleCNNClassifier(
        **SAMPLES, lr_schedule=PlateauSchedule(patience=0), max_epochs=7, random_state=0
    ),
    "one-cycle": CRNNClassifier(
        width=0.05, dropout=0.3, max_epochs=7, validation_fraction=0.2, random_state=0
    ),
    "one length": SpectrogramCNNClassifier(
        filters=(4,), hidden_layer_sizes=(5,), max_epochs=7, random_state=0
    ),
    "blending": MultiViewBlendingClassifier(
        width=0.05, dropout=0.3, max_epochs=7, random_state=0
    ),
}


class Interrupted(Exception):
    pass


class Stop(Callback):
    """Interrupts training at the beginning of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch + 1:
            raise Interrupted


def data_for(case):
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2
    X = rng.standard_normal((30, 64)).astype(np.float32) + y[:, None].astype("f4")
    if case == "plateau":
        return X, y
    if case in ("one-cycle", "one length", "averaged"):
        return X.reshape(30, 8, 8), y
    arrays = {"a": X.reshape(30, 8, 8), "b": X.reshape(30, 4, 16)}
    return Views(arrays, {"a": 8.0, "b": 16.0}), y


def without_seconds(history):
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history]
    return json.dumps(rows)


def assert_same(a, b, X):
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    assert without_seconds(a.history_) == without_seconds(b.history_)
    if hasattr(a, "branch_weights_"):
        np.testing.assert_array_equal(a.branch_weights_, b.branch_weights_)
        assert json.dumps(a.blending_history_) == json.dumps(b.blending_history_)


@pytest.mark.parametrize("case", CASES)
def test_interrupted_training_ends_like_any_other(case, tmp_path):
    X, y = data_for(case)
    whole = clone(CASES[case]).fit(X, y)
    path = tmp_path / "training.checkpoint"
    for epoch in (2, 5):  # twice, to see that the second start is as good
        with pytest.raises(Interrupted):
            clone(CASES[case]).set_params(callbacks=[Stop(epoch)]).fit(
                X, y, checkpoint=path
            )
    resumed = clone(CASES[case]).fit(X, y, checkpoint=path)
    assert_same(resumed, whole, X)


def test_a_killed_process_loses_one_epoch(tmp_path):
    """SIGKILL in the fourth epoch, without any cleaning up."""
    path = tmp_path / "training.checkpoint"
    script = textwrap.dedent(
        """
        import os, signal, sys
        import numpy as np
        from skorch.callbacks import Callback
        from skaudio.neural_network import SampleCNNClassifier

        class Kill(Callback):
            def on_batch_end(self, net, **kwargs):
                if len(net.history) == 4:
                    os.kill(os.getpid(), signal.SIGKILL)

        rng = np.random.default_rng(0)
        y = np.arange(30) % 2
        X = rng.standard_normal((30, 64)).astype(np.float32) + y[:, None].astype("f4")
        SampleCNNClassifier(
            sizes=(4, 4, 4), width=0.05, validation_fraction=0.2, max_epochs=7,
            callbacks=[Kill()],
        ).fit(X, y, checkpoint=sys.argv[1])
        """
    )
    run = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert run.returncode == -signal.SIGKILL
    assert os.listdir(tmp_path) == [path.name]
    saved = torch.load(path, weights_only=True)
    assert len(saved["history"]) == 3
    # no seed was given: the interrupted training's own is taken up
    X, y = data_for("plateau")
    options = {**SAMPLES, "max_epochs": 7}
    resumed = SampleCNNClassifier(**options).fit(X, y, checkpoint=path)
    assert len(resumed.history_) == 7
    assert resumed._spec.seed == saved["seed"]
    first = [row["train_loss"] for row in saved["history"]]
    assert [row["train_loss"] for row in resumed.history_][:3] == first


def test_a_finished_training_is_not_repeated(tmp_path):
    X, y = data_for("plateau")
    path = tmp_path / "training.checkpoint"
    first = clone(CASES["plateau"]).fit(X, y, checkpoint=path)
    again = clone(CASES["plateau"]).set_params(callbacks=[Stop(0)])
    assert_same(again.fit(X, y, checkpoint=path), first, X)  # no epoch has begun


def test_a_training_that_ended_early_does_not_go_on(tmp_path):
    """Its schedule was over before ``max_epochs``, and is over when it is resumed."""
    X, y = data_for("plateau")
    X = X - y[:, None].astype(np.float32)  # noise: held-out losses soon rise
    path = tmp_path / "training.checkpoint"
    schedule = PlateauSchedule(patience=0, n_stages=2)
    clf = clone(CASES["plateau"]).set_params(lr_schedule=schedule, max_epochs=100)
    first = clone(clf).fit(X, y, checkpoint=path)
    assert len(first.history_) < 100
    assert_same(clone(clf).fit(X, y, checkpoint=path), first, X)


def test_another_training_is_refused(tmp_path):
    X, y = data_for("plateau")
    path = tmp_path / "training.checkpoint"
    clone(CASES["plateau"]).fit(X, y, checkpoint=path)
    before = path.read_bytes()
    others = [
        (clone(CASES["plateau"]).set_params(lr=0.5), X, y),
        (clone(CASES["plateau"]).set_params(random_state=1), X, y),
        (clone(CASES["plateau"]), X + 1, y),
        (clone(CASES["plateau"]), X, 1 - y),
    ]
    for clf, other_X, other_y in others:
        with pytest.raises(ValueError, match="is the checkpoint of another training"):
            clf.fit(other_X, other_y, checkpoint=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken"])
def test_other_files_are_refused(tmp_path, content):
    X, y = data_for("plateau")
    path = tmp_path / "something.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a checkpoint of skaudio"):
        clone(CASES["plateau"]).fit(X, y, checkpoint=path)
    assert path.read_bytes() == content


def test_nothing_in_the_file_is_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    X, y = data_for("plateau")
    for write in (torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))):
        path = tmp_path / "evil.checkpoint"
        write({"fingerprint": Evil()}, path)
        with pytest.raises(ValueError, match="is not a checkpoint of skaudio"):
            clone(CASES["plateau"]).fit(X, y, checkpoint=path)
    assert not (tmp_path / "executed").exists()


# ------------------------------------------------------------------- other devices


def from_another_device(path):
    """The same file, as if training had been on a GPU: dropout's state is another."""
    state = torch.load(path, weights_only=True)
    assert state["device"] == "cpu"
    state |= {"device": "cuda", "dropout": torch.zeros(16, dtype=torch.uint8)}
    torch.save(state, path)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_checkpoint_of_another_kind_of_device_goes_on(dropout, tmp_path):
    """To the same result but for dropout, which draws other numbers from there on."""
    X, y = data_for("one-cycle")
    clf = clone(CASES["one-cycle"]).set_params(device="cpu", dropout=dropout)
    whole, resumed = clone(clf).fit(X, y), []
    for name in ("a", "b"):
        path = tmp_path / name
        first = interrupted(clf, X, y, path)
        from_another_device(path)
        resumed.append(clone(clf).fit(X, y, checkpoint=path))
    assert_same(*resumed, X)
    losses = [row["train_loss"] for row in resumed[0].history_]
    expected = [row["train_loss"] for row in whole.history_]
    assert losses[:3] == expected[:3] == first
    np.testing.assert_allclose(losses, expected, rtol=0.05)
    assert (losses == expected) == (dropout == 0)


# ------------------------------------------------------------------------------ GPU


ON_A_GPU = CASES | {
    "averaged": CRNNClassifier(
        width=0.05,
        max_epochs=7,
        optimizer=Optimizer(average_epochs=2),
        validation_fraction=0.2,
        random_state=0,
    )
}


def interrupted(clf, X, y, path):
    """Train for three epochs; return their losses."""
    with pytest.raises(Interrupted):
        clone(clf).set_params(callbacks=[Stop(3)]).fit(X, y, checkpoint=path)
    saved = torch.load(path, weights_only=True)["parts"]["records"]["epochs"]
    return [row["train_loss"] for row in saved]


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("case", ON_A_GPU)
def test_training_goes_on_on_a_gpu(case, tmp_path):
    X, y = data_for(case)
    path = tmp_path / "training.checkpoint"
    clf = clone(ON_A_GPU[case]).set_params(device="cuda")
    first = interrupted(clf, X, y, path)
    resumed = clone(clf).fit(X, y, checkpoint=path)
    losses = [row["train_loss"] for row in resumed.history_]
    assert losses[:3] == first
    whole = clone(clf).fit(X, y)
    expected = [row["train_loss"] for row in whole.history_]
    np.testing.assert_allclose(losses, expected, rtol=0.05)


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("devices", [("cuda", "cpu"), ("cpu", "cuda")])
def test_training_goes_on_on_another_device(devices, tmp_path):
    X, y = data_for("averaged")
    path = tmp_path / "training.checkpoint"
    before, after = (clone(ON_A_GPU["averaged"]).set_params(device=d) for d in devices)
    first = interrupted(before, X, y, path)
    losses = [row["train_loss"] for row in after.fit(X, y, checkpoint=path).history_]
    assert losses[:3] == first
    expected = [row["train_loss"] for row in clone(before).fit(X, y).history_]
    np.testing.assert_allclose(losses, expected, rtol=0.05)
