"""Watched clips, sources to hold out, precision, compilation and little memory."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.utils._python_dispatch import TorchDispatchMode

from skaudio._training._held_out import held_out
from skaudio._training._net import SegmentNet
from skaudio.inspection import BlendingDisplay
from skaudio.neural_network import (
    Augmentation,
    Blending,
    CRNNClassifier,
    MultiViewBlendingClassifier,
    Validation,
)
from skaudio.views import (
    CQTView,
    GammatoneView,
    MelView,
    RawView,
    Views,
    ViewUnion,
    make_view_union,
)

NET = {"width": 0.05, "max_epochs": 3, "lr": 0.01, "random_state": 0}


@pytest.fixture(scope="module")
def toy():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 20)
    level = np.repeat([-1.5, 0.0, 1.5], 20)[:, None, None]
    arrays = {
        "mel": (rng.normal(size=(60, 8, 50)) + level).astype(np.float32),
        "raw": rng.normal(size=(60, 1, 1000)).astype(np.float32),
    }
    return Views(arrays, {"mel": 50.0, "raw": 1000.0}), y, np.arange(60) // 2


# ------------------------------------------------------------------ modes


class Switches(Callback):
    """Notes the modes in which a step ends, and leaves the network in eval mode."""

    def on_batch_end(self, net, **kwargs):
        self.modes = {m.training for m in net.module_.modules()}
        net.module_.eval()


def test_every_step_trains_whatever_a_callback_leaves_behind(toy):
    X, y, _ = toy
    switches = Switches()
    clf = CRNNClassifier(**NET, segment_length=10, callbacks=[switches])
    clf.fit(X["mel"], y)
    assert switches.modes == {True}


# ------------------------------------------------------------------ watched clips


def test_watching_clips_changes_nothing(toy):
    X, y, groups = toy
    clf = MultiViewBlendingClassifier(**NET)
    plain = clf.fit(X, y, groups=groups).predict_proba(X)
    unwatched = clf.blending_history_
    clf.fit(X, y, groups=groups, X_test=X[::2], y_test=y[::2])
    np.testing.assert_array_equal(clf.predict_proba(X), plain)
    assert all(np.isnan(r["test_loss"]) for r in unwatched)
    watched = [{**r, "test_loss": None} for r in clf.blending_history_]
    assert watched == [{**r, "test_loss": None} for r in unwatched]


def test_watched_losses_are_those_of_the_model(toy):
    """After the last step, by hand: cross-entropy of one segment per clip."""
    X, y, _ = toy
    clf = MultiViewBlendingClassifier(
        blending=Blending(rule="uniform", period=1),
        validation_fraction=None,
        n_segments=1,
        **NET,
    )
    clf.fit(X, y, X_test=X[::3], y_test=y[::3])
    index = np.searchsorted(clf.classes_, y[::3])
    last = {r["branch"]: r["test_loss"] for r in clf.blending_history_[-3:]}
    for name, proba in clf.branch_proba(X[::3]).items():
        expected = -np.log(proba[np.arange(20), index]).mean()
        assert last[name] == pytest.approx(expected, rel=1e-4)
    assert clf.history_[-1]["test_loss"] == last["joint"]
    display = BlendingDisplay.from_estimator(clf)
    assert len(display.axes_) == 4
    import matplotlib.pyplot as plt

    plt.close("all")


def test_watched_clips_must_be_known(toy):
    X, y, _ = toy
    clf = CRNNClassifier(**NET)
    mel = X.select(["mel"])
    with pytest.raises(ValueError, match="X_test and y_test go together"):
        clf.fit(mel, y, X_test=mel)
    with pytest.raises(ValueError, match="no output for the class 'd': outputs"):
        clf.fit(mel, y, X_test=mel[:2], y_test=["a", "d"])


# --------------------------------------------------------------- sources held out


def test_whole_numbers_are_sources_per_class(toy):
    from skaudio.model_selection import StratifiedGroupShuffleSplit

    _, y, groups = toy
    train, valid = held_out(y, groups, Validation(2), seed=3)
    assert [len(set(groups[valid][y[valid] == k])) for k in "abc"] == [2, 2, 2]
    assert not set(groups[train]) & set(groups[valid])
    splitter = StratifiedGroupShuffleSplit(groups_per_class=2, random_state=3)
    expected_train, expected_valid = next(splitter.split(y, y, groups))
    np.testing.assert_array_equal(train, expected_train)
    np.testing.assert_array_equal(valid, expected_valid)


# ---------------------------------------------------------------------- blending


def test_names_and_values_of_blending_are_the_same(toy):
    X, y, groups = toy

    def proba(blending):
        clf = MultiViewBlendingClassifier(blending=blending, **NET)
        return clf.fit(X, y, groups=groups).predict_proba(X)

    np.testing.assert_array_equal(proba("uniform"), proba(Blending(rule="uniform")))
    np.testing.assert_array_equal(proba("adaptive"), proba(Blending()))
    as_published = Blending(momentum=0.0, min_weight=0.0)
    np.testing.assert_array_equal(proba("paper"), proba(as_published))


def test_window_fits_the_training(toy):
    """Weights adapt in trainings of any length; too long a window warns."""
    X, y, groups = toy
    for n_evaluations, window in [(1, 1), (12, 3), (36, 9), (1000, 20)]:
        assert Blending()._weights(3, n_evaluations).window == window
    clf = MultiViewBlendingClassifier(**(NET | {"max_epochs": 12}))
    weights = [r["weight"] for r in clf.fit(X, y, groups=groups).blending_history_]
    assert np.ptp(weights) > 0.01
    clf.set_params(blending=Blending(window=99))
    with pytest.warns(UserWarning, match="stay uniform: training has room for 4 eval"):
        clf.fit(X, y, groups=groups)
    weights = [r["weight"] for r in clf.blending_history_]
    np.testing.assert_allclose(weights, 1 / 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "best"}, "'rule' parameter of Blending"),
        ({"momentum": 1.0}, "'momentum' parameter of Blending"),
        ({"min_weight": 0.5}, "for each of 3 branches adds up"),
    ],
)
def test_blending_is_validated(toy, options, message):
    X, y, _ = toy
    with pytest.raises(ValueError, match=message):
        MultiViewBlendingClassifier(blending=Blending(**options), **NET).fit(X, y)


# ------------------------------------------------------- precision and compilation


def test_mixed_precision_is_near_to_full(toy):
    X, y, _ = toy
    mel = X.select(["mel"])
    full = CRNNClassifier(**NET, dropout=0.0).fit(mel, y)
    mixed = CRNNClassifier(**NET, dropout=0.0, mixed_precision=True).fit(mel, y)
    assert mixed.predict_proba(mel).dtype == np.float32
    assert {w.dtype for w in mixed.net_.module_.parameters()} == {torch.float32}
    difference = np.abs(mixed.predict_proba(mel) - full.predict_proba(mel)).max()
    assert 0 < difference < 0.2


def test_mixed_precision_learns_as_full_does(toy):
    """Every step sees the weights that the step before has left."""
    X, y, _ = toy
    options = NET | {"max_epochs": 6, "dropout": 0.0}
    full, mixed = (
        CRNNClassifier(**options, mixed_precision=m).fit(X.select(["mel"]), y).history_
        for m in (False, True)
    )
    losses = [[row["train_loss"] for row in rows] for rows in (full, mixed)]
    assert losses[0][-1] < 0.8 * losses[0][0]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.05)


def test_compiled_training_computes_the_same(toy, monkeypatch):
    """The network that torch.compile is given is trained by what it returns."""
    X, y, _ = toy
    mel = X.select(["mel"])
    compiled = []

    def fake(module):
        compiled.append(module)
        return lambda views: module(views)

    monkeypatch.setattr(torch, "compile", fake)
    plain = CRNNClassifier(**NET).fit(mel, y)
    assert not compiled
    fast = CRNNClassifier(**NET, compile=True).fit(mel, y)
    assert len(compiled) == 1
    np.testing.assert_array_equal(fast.predict_proba(mel), plain.predict_proba(mel))


# -------------------------------------------------------------------- little memory


class Cramped(torch.nn.Module):
    """A network on a device that has room for ``limit`` segments."""

    def __init__(self, module, limit):
        super().__init__()
        self.module = module
        self.limit = limit
        self.seen = []
        self.branch_names, self.decision = module.branch_names, module.decision

    def __deepcopy__(self, memo):
        return self  # the device is the same for a copy of the network

    def forward(self, views):
        n = len(next(iter(views.values())))
        self.seen.append(n)
        if n > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.module(views)


def test_prediction_halves_batches_when_memory_is_short(toy):
    X, y, _ = toy
    clf = CRNNClassifier(**NET).fit(X.select(["mel"]), y)
    expected = clf.predict_proba(X.select(["mel"]))
    clf.net_.__dict__["module_"] = cramped = Cramped(clf.net_.module_, limit=9)
    with pytest.warns(UserWarning, match="out of memory") as record:
        proba = clf.predict_proba(X.select(["mel"]))
    messages = [str(warning.message) for warning in record]
    assert len(messages) == 2
    assert "out of memory with 32 segments at once; going on with 16" in messages[0]
    assert "Set batch_size=8" in messages[1]
    np.testing.assert_allclose(proba, expected, atol=1e-6)
    assert cramped.seen[:3] == [32, 16, 8]
    assert sum(n for n in cramped.seen if n <= 9) == 60  # nothing twice, nothing lost
    assert max(cramped.seen[2:]) <= 9


def test_one_segment_at_a_time_is_enough(toy):
    """The last two are not joined, as they are in training."""
    X, y, _ = toy
    mel = X.select(["mel"])
    clf = CRNNClassifier(**NET, batch_size=2).fit(mel, y)
    expected = clf.predict_proba(mel)
    clf.net_.__dict__["module_"] = cramped = Cramped(clf.net_.module_, limit=1)
    with pytest.warns(UserWarning, match="out of memory with 2 segments"):
        proba = clf.predict_proba(mel)
    np.testing.assert_allclose(proba, expected, atol=1e-6)
    assert cramped.seen == [2] + [1] * 60


def test_not_even_one_segment_fits(toy):
    X, y, _ = toy
    clf = CRNNClassifier(**NET).fit(X.select(["mel"]), y)
    clf.net_.__dict__["module_"] = Cramped(clf.net_.module_, limit=0)
    with (
        pytest.warns(UserWarning, match="out of memory"),
        pytest.raises(MemoryError, match="no memory for one of the segments"),
    ):
        clf.predict(X.select(["mel"]))


# ------------------------------------------------------------------------------ GPU


@pytest.fixture
def sounds_with_labels():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = 0.1 * rng.standard_normal((40, 8000)).astype(np.float32)
    X += y[:, None] * np.sin(np.arange(8000) * 0.7).astype(np.float32)
    return X, y


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
# torch's compiler has advice, and uses what torch has deprecated
@pytest.mark.filterwarnings("ignore:::torch")
@pytest.mark.parametrize("compile_", [False, True])
@pytest.mark.parametrize("mixed_precision", [False, True])
def test_views_inside_on_cuda(sounds_with_labels, mixed_precision, compile_):
    X, y = sounds_with_labels
    clf = MultiViewBlendingClassifier(
        views=make_view_union("mel", "gammatone", "raw", sr=8000),
        augmentation=Augmentation(gain=6.0, mix="between-class", freq_mask=0.1),
        device="cuda",
        mixed_precision=mixed_precision,
        compile=compile_,
        **(NET | {"max_epochs": 10}),
    ).fit(X, y)
    on_cuda = clf.predict_proba(X)
    clf.device = "cpu"
    state = clf.__getstate__()
    other = MultiViewBlendingClassifier.__new__(MultiViewBlendingClassifier)
    other.__setstate__(state)
    atol = 0.05 if mixed_precision else 2e-3
    np.testing.assert_allclose(other.predict_proba(X), on_cuda, atol=atol)


def training_steps(monkeypatch, name, within):
    """Run a method of the net, for every training step, within what that returns."""
    method = getattr(SegmentNet, name)

    def watched(net, batch, **params):
        with within():
            return method(net, batch, **params)

    monkeypatch.setattr(SegmentNet, name, watched)


class ReadsNoValue(TorchDispatchMode):
    """Refuses operations whose result's size or Python value hangs on numbers."""

    READS = "_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal"
    n_calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        type(self).n_calls += 1
        assert func.overloadpacket.__name__ not in self.READS
        if func.overloadpacket.__name__ in ("index", "index_put_"):
            assert torch.bool not in {i.dtype for i in args[1] if i is not None}
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mix", ["between-class", "mixup"])
def test_no_step_looks_at_numbers(sounds_with_labels, monkeypatch, mix):
    """As a GPU would have to be waited for; its optimiser counts its steps on a CPU."""
    training_steps(monkeypatch, "train_step_single", ReadsNoValue)
    X, y = sounds_with_labels
    views = [
        ("mel", MelView(sr=8000)),
        ("gammatone", GammatoneView(sr=8000)),
        ("cqt", CQTView(sr=8000, n_bins=60)),
        ("raw", RawView(sr=8000)),
    ]
    ReadsNoValue.n_calls = 0
    MultiViewBlendingClassifier(
        views=ViewUnion(views),
        augmentation=Augmentation(gain=6.0, snr=(5.0, 20.0), mix=mix, time_mask=0.1),
        device="cpu",
        **NET | {"max_epochs": 1},
    ).fit(X, y)
    assert ReadsNoValue.n_calls > 1000


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_no_step_waits_for_the_device(sounds_with_labels, monkeypatch):
    """Between evaluations nothing makes the host wait for the GPU."""
    modes = []

    @contextmanager
    def strict():
        torch.cuda.set_sync_debug_mode("error")
        try:
            modes.append(torch.cuda.get_sync_debug_mode())
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")

    training_steps(monkeypatch, "train_step", strict)
    X, y = sounds_with_labels
    CRNNClassifier(
        views=make_view_union("mel", sr=8000),
        augmentation=Augmentation(gain=6.0, snr=(5.0, 20.0), mix="between-class"),
        device="cuda",
        **NET,
    ).fit(X, y)
    assert set(modes) == {2}  # "error"
