"""`FineTunedClassifier`: frozen layers, new output layers, and starting weights."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skaudio._training._labels import ClassLabels
from skaudio.neural_network import (
    CRNNClassifier,
    FineTunedClassifier,
    MultiViewBlendingClassifier,
    SampleCNNClassifier,
)
from skaudio.nn import (
    FrameLevelCNN,
    MultiViewCRNN,
    OneBranch,
    SampleCNN,
    SingleViewCRNN,
    SpectrogramCNN,
)
from skaudio.nn.blocks import OneBranchOfLength
from skaudio.persistence import load, save
from skaudio.preprocessing import ViewScaler
from skaudio.views import MelView, Views

SR = 8000
NET = {"width": 0.05, "max_epochs": 2, "random_state": 0, "device": "cpu"}
STILL = {"lr": 1e-12, "max_epochs": 1, "random_state": 5}  # weights hardly move


@pytest.fixture(scope="module")
def clips():
    """Two views of 30 clips in three classes."""
    rng = np.random.default_rng(0)
    y = np.array(["a", "b", "c"] * 10)
    level = np.select([y == "a", y == "b"], [-1.0, 0.0], 1.0)[:, None, None]
    mel = (rng.normal(size=(30, 8, 30)) + level).astype(np.float32)
    raw = (rng.normal(size=(30, 1, 600)) + level).astype(np.float32)
    return Views({"mel": mel, "raw": raw}, {"mel": 50.0, "raw": 1000.0}), y


@pytest.fixture(scope="module")
def fitted(clips):
    X, y = clips
    return CRNNClassifier(**NET, segment_length=0.4).fit(X.select(["mel"]), y)


def weights_of(clf):
    clf = getattr(clf, "estimator_", clf)
    clf = clf[-1] if hasattr(clf, "steps") else clf
    state = clf.net_.module_.state_dict()
    return {name: tensor.clone() for name, tensor in state.items()}


def moved(before, after):
    """Names of tensors that differ."""
    return {name for name in before if not torch.equal(before[name], after[name])}


def below(names, prefixes):
    return {name for name in names if name.startswith(tuple(f"{p}." for p in prefixes))}


# ------------------------------------------------------------------- what is frozen


@pytest.mark.parametrize("freeze", [0.0, 0.5, 1.0])
def test_frozen_layers_stay_to_the_bit(clips, fitted, freeze):
    """Weights, and the statistics of their normalisation; the others all move."""
    X, y = clips
    before = weights_of(fitted)
    tuned = FineTunedClassifier(
        FrozenEstimator(fitted), freeze=freeze, lr=0.01, max_epochs=2, random_state=0
    ).fit(X.select(["mel"]), y)
    changed = moved(before, weights_of(tuned))
    kept = below(before, tuned.frozen_layers_)
    assert not changed & kept
    moving = set(before) - kept
    assert changed == moving
    assert any("running_mean" in name for name in moving) == (freeze < 1)
    assert any("running_mean" in name for name in kept) == (freeze > 0)
    n_stages = len(fitted.net_.module_.stages)
    n_frozen = {0.0: 0, 0.5: n_stages // 2, 1.0: n_stages}[freeze]
    stages = fitted.net_.module_.stages[:n_frozen]
    assert tuned.frozen_layers_ == [name for stage in stages for name in stage]


def test_the_frozen_estimator_is_left_alone(clips, fitted):
    X, y = clips
    mel = X.select(["mel"])
    before, proba = weights_of(fitted), fitted.predict_proba(mel)
    model = FineTunedClassifier(FrozenEstimator(fitted), lr=0.1, random_state=0)
    assert not np.allclose(model.fit(mel, y).predict_proba(mel), proba)
    assert not moved(before, weights_of(fitted))
    np.testing.assert_array_equal(fitted.predict_proba(mel), proba)


def test_layers_by_name_and_by_number(clips, fitted):
    X, y = clips
    names = fitted.net_.module_.hidden_layers
    model = FineTunedClassifier(
        FrozenEstimator(fitted), freeze=(0, "network.encoder.gru"), random_state=0
    ).fit(X.select(["mel"]), y)
    assert model.frozen_layers_ == [names[0], "network.encoder.gru"]
    changed = moved(weights_of(fitted), weights_of(model))
    assert not below(changed, model.frozen_layers_)
    assert below(changed, [names[1]])
    with pytest.raises(
        ValueError, match="freeze has 'conv7', which the network has not"
    ):
        clone(model).set_params(freeze=["conv7"]).fit(X.select(["mel"]), y)


def test_views_are_frozen_side_by_side(clips):
    """Half of every encoder, not all of the first."""
    X, y = clips
    clf = MultiViewBlendingClassifier(**NET, blending="uniform").fit(X, y)
    tuned = FineTunedClassifier(FrozenEstimator(clf), freeze=0.4, random_state=0)
    frozen = tuned.fit(X, y).frozen_layers_
    assert {name.split(".")[1] for name in frozen} == {"0", "1"}
    assert {name.split(".")[0] for name in frozen} == {"encoders"}
    changed = moved(weights_of(clf), weights_of(tuned))
    assert not below(changed, frozen)
    assert below(changed, ["encoders.0"])
    assert below(changed, ["encoders.1"])


NETWORKS = {
    "crnn": SingleViewCRNN({"mel": (20, 50.0)}, 3, width=0.05),
    "crnn 1-D": SingleViewCRNN({"raw": (1, 8000.0)}, 3, width=0.05),
    "multi-view": MultiViewCRNN({"mel": (20, 50.0), "raw": (1, 8000.0)}, 3, width=0.05),
    "joint": MultiViewCRNN({"mel": (20, 50.0)}, 3, branches="joint", width=0.05),
    "samplecnn": OneBranch(
        {"raw": (1, 8000.0)}, 3, lambda _, n: SampleCNN(n, sizes=(3, 2), width=0.05)
    ),
    "spectrogram": OneBranchOfLength(
        {"mel": (20, 50.0)}, 3, partial(SpectrogramCNN, width=0.05), {"mel": 15}
    ),
    "frame level": OneBranch(
        {"mel": (20, 50.0)}, 3, lambda b, n: FrameLevelCNN(b, n, width=0.05)
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_stages_hold_every_weight_once(name):
    """Stages and output layers together are the whole network."""
    network = NETWORKS[name]
    parts = [part for stage in network.stages for part in stage]
    found = []
    for part in [*parts, *network.output_layers]:
        weights = network.get_submodule(part).named_parameters()
        found += [f"{part}.{weight}" for weight, _ in weights]
    assert sorted(found) == sorted(p for p, _ in network.named_parameters())
    layers = dict(network.named_modules())
    assert set(network.hidden_layers) <= set(layers)
    assert network.decision in network.branch_names
    for output in network.output_layers:
        assert layers[output].out_features == 3


# --------------------------------------------------------------- where training starts


def test_training_starts_from_the_fitted_weights(clips, fitted):
    """At a rate of next to nothing, the predictions are the old ones."""
    X, y = clips
    mel = X.select(["mel"])
    model = FineTunedClassifier(FrozenEstimator(fitted), freeze=1.0, **STILL)
    found = model.fit(mel, y).predict_proba(mel)
    np.testing.assert_allclose(found, fitted.predict_proba(mel), atol=1e-5)


def test_settings_are_those_of_the_classifier(clips, fitted):
    X, y = clips
    model = FineTunedClassifier(FrozenEstimator(fitted), random_state=1)
    tuned = model.fit(X.select(["mel"]), y).estimator_
    ours = tuned.get_params()
    theirs = fitted.get_params() | {"lr": fitted.lr / 10, "random_state": 1}
    assert ours == theirs
    assert tuned._spec.seconds == fitted._spec.seconds == 0.4
    model.set_params(lr=0.5, max_epochs=1, lr_schedule="constant")
    ours = model.fit(X.select(["mel"]), y).estimator_.get_params()
    wanted = {"lr": 0.5, "max_epochs": 1, "lr_schedule": "constant"}
    assert ours == theirs | wanted


def test_another_seed_gives_another_training(clips, fitted):
    X, y = clips
    mel = X.select(["mel"])

    def proba(seed):
        model = FineTunedClassifier(FrozenEstimator(fitted), random_state=seed)
        return model.fit(mel, y).predict_proba(mel)

    np.testing.assert_array_equal(proba(0), proba(0))
    assert not np.array_equal(proba(0), proba(1))


# --------------------------------------------------------------------------- the head


def test_new_classes_get_a_new_head(clips, fitted):
    X, y = clips
    mel, new = X.select(["mel"]), np.where(y == "a", "low", "high")
    model = FineTunedClassifier(FrozenEstimator(fitted), freeze=0.2, lr=0.01)
    model.set_params(max_epochs=20, random_state=0).fit(mel, new)
    np.testing.assert_array_equal(model.classes_, ["high", "low"])
    assert model.predict_proba(mel).shape == (30, 2)
    assert model.score(mel, new) > 0.7
    with pytest.raises(ValueError, match=r"'high': outputs are for 'a', 'b'.*'auto'"):
        clone(model).set_params(reset_head=False).fit(mel, new)


def test_outputs_for_tags_are_kept_by_name(clips):
    """Columns without names are taken to be in the order of those before."""
    X, y = clips
    mel, tags = X.select(["mel"]), (y[:, None] == [*"abc"]).astype(int)
    table = pd.DataFrame(tags, columns=[*"abc"])
    head = "network.head.fc3.weight"
    for known, new, is_kept in (
        (tags, table, True),
        (table, tags, True),
        (table, table, True),
        (table, table[[*"acb"]], False),
    ):
        first = CRNNClassifier(**NET, segment_length=0.4).fit(mel, known)
        model = FineTunedClassifier(FrozenEstimator(first), **STILL).fit(mel, new)
        close = torch.isclose(weights_of(first)[head], weights_of(model)[head])
        assert bool(close.all()) == is_kept
    model.set_params(reset_head=False)
    with pytest.raises(ValueError, match="for other classes or tags"):
        model.fit(mel, new)


@pytest.mark.parametrize("class_weight", [None, "balanced", {"b": 2.0}, {"a": 3.0}])
def test_a_kept_head_has_outputs_for_all_classes(clips, class_weight):
    """On clips of two of three classes, as speech and music of GTZAN."""
    X, y = clips
    mel, few = X.select(["mel"]), np.flatnonzero(y != "b")
    first = CRNNClassifier(**NET, segment_length=0.4, class_weight=class_weight)
    first.fit(mel, y)
    model = FineTunedClassifier(FrozenEstimator(first), reset_head=False, **STILL)
    model.fit(mel[few], y[few], X_test=mel, y_test=y)
    np.testing.assert_array_equal(model.classes_, ["a", "b", "c"])
    head = "network.head.fc3.weight"
    before, after = weights_of(first)[head], weights_of(model)[head]
    assert after.shape == before.shape == (3, before.shape[1])
    torch.testing.assert_close(after, before, atol=1e-6, rtol=0)
    learned = clone(model).set_params(lr=0.03, max_epochs=25).fit(mel[few], y[few])
    assert learned.predict_proba(mel).shape == (30, 3)
    assert learned.score(mel[few], y[few]) > 0.8
    assert not torch.equal(weights_of(learned)[head], before)
    auto = clone(model).set_params(reset_head="auto")
    if class_weight != {"b": 2.0}:  # of which class there is no clip
        np.testing.assert_array_equal(auto.fit(mel[few], y[few]).classes_, ["a", "c"])


def test_losses_with_a_kept_head_by_hand(clips, fitted):
    """ "balanced" is between the classes that clips have; weights in y's own order."""
    X, y = clips
    mel = X.select(["mel"])
    rows = np.flatnonzero((y == "c") | (np.arange(30) < 4))  # one of b, two of a
    rows = rows[y[rows] != "b"]
    tuned = clone(fitted).set_params(class_weight="balanced")
    criterion = ClassLabels(fitted.classes_, tuned.class_weight)
    arrays = criterion.encode(tuned, mel[rows], y[rows])
    loss = criterion.criterion(arrays, "float64")
    n_a, n_c = (y[rows] == "a").sum(), (y[rows] == "c").sum()
    assert n_a != n_c
    n = n_a + n_c
    expected = [n / (2 * n_a), 1, n / (2 * n_c)]
    np.testing.assert_allclose(loss.class_weight, expected)


@pytest.mark.parametrize("reset_head", [False, "auto", True])
def test_one_class_alone(clips, fitted, reset_head):
    """A kept head can be trained on clips of one class; a new one cannot."""
    X, y = clips
    mel, few = X.select(["mel"]), np.flatnonzero(y == "b")
    model = FineTunedClassifier(FrozenEstimator(fitted), **STILL)
    model.set_params(reset_head=reset_head)
    if reset_head is False:
        assert model.fit(mel[few], y[few]).predict_proba(mel).shape == (30, 3)
        return
    with pytest.raises(ValueError, match="requires at least 2 classes"):
        model.fit(mel[few], y[few])


def test_as_many_but_other_classes_get_a_new_head(clips, fitted):
    """Equal shapes would load without an error."""
    X, y = clips
    mel = X.select(["mel"])
    other = np.char.upper(y)
    model = FineTunedClassifier(FrozenEstimator(fitted), freeze=1.0, **STILL)
    head = "network.head.fc3.weight"
    old = weights_of(fitted)[head]
    assert torch.allclose(weights_of(model.fit(mel, y))[head], old, atol=1e-6)
    assert not torch.allclose(weights_of(model.fit(mel, other))[head], old, atol=1e-2)
    model.set_params(reset_head=True)
    assert not torch.allclose(weights_of(model.fit(mel, y))[head], old, atol=1e-2)


def test_from_classes_to_tags(clips, fitted):
    X, y = clips
    tags = np.column_stack([y == "a", y != "c", y == "b"]).astype(int)  # three, too
    model = FineTunedClassifier(FrozenEstimator(fitted), random_state=0)
    model.fit(X.select(["mel"]), tags)
    proba = model.predict_proba(X.select(["mel"]))
    assert proba.shape == (30, 3)
    assert not np.allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(X.select(["mel"])), proba > 0.5)


# ------------------------------------------------------- what stands before the network


def test_in_a_pipeline_the_steps_stay(clips):
    X, y = clips
    pipeline = make_pipeline(ViewScaler(), CRNNClassifier(**NET, segment_length=0.4))
    pipeline.fit(X.select(["mel"]), y)
    louder = Views({"mel": X["mel"] + 3}, {"mel": 50.0})
    model = FineTunedClassifier(FrozenEstimator(pipeline), freeze=1.0, **STILL)
    model.fit(louder, y)
    assert model.estimator_[0] is pipeline[0]  # not fitted again
    found = model.predict_proba(X.select(["mel"]))
    expected = pipeline.predict_proba(X.select(["mel"]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_views_inside_keep_their_scaling(sounds):
    X, y = sounds
    net = CRNNClassifier(**NET, views=MelView(sr=SR, n_mels=16), segment_length=0.3)
    net.fit(X, y)
    model = FineTunedClassifier(FrozenEstimator(net), freeze=1.0, **STILL)
    model.fit(0.1 * X, y)
    np.testing.assert_array_equal(
        model.estimator_.scaler_.mean_["mel"], net.scaler_.mean_["mel"]
    )
    np.testing.assert_allclose(model.predict_proba(X), net.predict_proba(X), atol=1e-5)


def test_waveform_networks(sounds):
    X, y = sounds
    net = SampleCNNClassifier(
        sr=SR, sizes=(3,) * 6, width=0.05, max_epochs=1, random_state=0
    ).fit(X, y)
    model = FineTunedClassifier(FrozenEstimator(net), freeze=0.5, random_state=0)
    model.fit(X, np.char.upper(y))
    assert len(model.frozen_layers_) == len(net.net_.module_.stages) // 2
    assert model.predict(X).shape == y.shape


def test_other_rates_are_refused(clips, fitted):
    X, y = clips
    slower = Views({"mel": X["mel"]}, {"mel": 25.0})
    with pytest.raises(ValueError, match="has 25 steps per second, but CRNNClassifier"):
        FineTunedClassifier(FrozenEstimator(fitted), random_state=0).fit(slower, y)


def test_float64_clips_get_a_float64_network(clips, fitted):
    X, y = clips
    mel = Views({"mel": X["mel"].astype(float)}, {"mel": 50.0})
    model = FineTunedClassifier(FrozenEstimator(fitted), freeze=1.0, **STILL)
    proba = model.fit(mel, y).predict_proba(mel)
    assert proba.dtype == np.float64
    expected = fitted.predict_proba(X.select(["mel"]))
    np.testing.assert_allclose(proba, expected, atol=1e-4)


def test_only_classifiers_of_skaudio(clips):
    X, y = clips
    flat = X["mel"].mean(axis=2)
    model = FineTunedClassifier(FrozenEstimator(LogisticRegression().fit(flat, y)))
    with pytest.raises(
        TypeError, match=r"neural estimator of skaudio.*LogisticRegression"
    ):
        model.fit(flat, y)


# ------------------------------------------------------------------------- around it


class Interrupted(Exception):
    pass


class Stop(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            raise Interrupted


def test_interrupted_fine_tuning_ends_like_any_other(clips, tmp_path):
    """Frozen layers are frozen in the second half as well."""
    X, y = clips
    mel, path = X.select(["mel"]), tmp_path / "state"
    settings = {**NET, "max_epochs": 5, "segment_length": 0.4, "dropout": 0.3}
    fitted = CRNNClassifier(**settings).fit(mel, y)
    model = FineTunedClassifier(
        FrozenEstimator(fitted), freeze=0.5, lr=0.01, random_state=0
    )
    whole = clone(model).fit(mel, y)
    fitted.set_params(callbacks=[Stop()])
    with pytest.raises(Interrupted):
        clone(model).fit(mel, y, checkpoint=path)
    fitted.set_params(callbacks=None)
    resumed = clone(model).fit(mel, y, checkpoint=path)
    assert not moved(weights_of(whole), weights_of(resumed))
    kept = below(weights_of(fitted), resumed.frozen_layers_)
    assert not moved(weights_of(fitted), weights_of(resumed)) & kept
    # of a training that starts from other weights
    other = CRNNClassifier(**settings | {"random_state": 1}).fit(mel, y)
    model.set_params(estimator=FrozenEstimator(other))
    with pytest.raises(ValueError, match="is the checkpoint of another training"):
        model.fit(mel, y, checkpoint=path)


def test_sources_are_not_divided(clips, fitted):
    X, y = clips
    source = np.repeat(np.arange(10), 3)
    held_out = clone(fitted).set_params(validation_fraction=0.3)
    held_out.fit(X.select(["mel"]), y, groups=source)
    model = FineTunedClassifier(FrozenEstimator(held_out), random_state=0)
    model.fit(X.select(["mel"]), y, groups=source)
    assert np.isfinite(model.history_[-1]["valid_loss"])
    # one that is not frozen is trained first, with the same sources
    model = FineTunedClassifier(clone(held_out), random_state=0)
    model.fit(X.select(["mel"]), y, groups=source)
    mel = X.select(["mel"])
    watched = model.fit(mel, y, source, X_test=mel, y_test=y).history_[-1]
    assert np.isfinite(watched["test_loss"])


def test_an_estimator_that_is_not_frozen_is_trained_first(clips):
    X, y = clips
    mel, net = X.select(["mel"]), CRNNClassifier(**NET, segment_length=0.4)
    model = FineTunedClassifier(net, freeze=1.0, **STILL).fit(mel, y)
    expected = clone(net).fit(mel, y).predict_proba(mel)
    np.testing.assert_allclose(model.predict_proba(mel), expected, atol=1e-5)
    assert not hasattr(net, "net_")


def test_a_search_over_what_is_frozen(clips, fitted):
    X, y = clips
    model = FineTunedClassifier(FrozenEstimator(fitted), max_epochs=1, random_state=0)
    search = GridSearchCV(model, {"freeze": [0.0, 1.0]}, cv=2)
    search.fit(X.select(["mel"]), y)
    assert set(search.best_params_) == {"freeze"}


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
def test_frozen_layers_stay_on_a_gpu(clips, fitted):
    X, y = clips
    moved_there = clone(fitted).set_params(device="cuda").fit(X.select(["mel"]), y)
    tuned = FineTunedClassifier(
        FrozenEstimator(moved_there), freeze=0.5, lr=0.01, random_state=0
    ).fit(X.select(["mel"]), y)
    before = weights_of(moved_there)
    changed = moved(before, weights_of(tuned))
    assert changed == set(before) - below(before, tuned.frozen_layers_)


def test_saved_and_loaded(clips, fitted, tmp_path):
    X, y = clips
    mel = X.select(["mel"])
    model = FineTunedClassifier(FrozenEstimator(fitted), freeze=0.5, random_state=0)
    model.fit(mel, y)
    save(model, tmp_path / "tuned.safetensors")
    loaded = load(tmp_path / "tuned.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(mel), model.predict_proba(mel))
