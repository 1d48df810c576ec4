"""SwishNet and its self-normalising baseline as estimators: frames, steps, rates."""

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skaudio.ensemble import FrameClassifier
from skaudio.neural_network import (
    Augmentation,
    CosineRestarts,
    MobileNetClassifier,
    SelfNormalizingClassifier,
    SwishNetClassifier,
)
from skaudio.persistence import load, save
from skaudio.preprocessing import ViewScaler
from skaudio.views import MelView, MFCCView, Views

SR = 8000
MFCC = MFCCView(sr=SR, n_fft=256, hop_length=80, n_mels=20, n_mfcc=12)
NET = {"max_epochs": 1, "batch_size": 8, "random_state": 0, "device": "cpu"}
SMALL = {"hidden_layer_sizes": (8, 4)}


@pytest.fixture(scope="module")
def views():
    """24 clips of 60 frames, at 100 a second, in three classes."""
    rng = np.random.default_rng(0)
    y = np.array(["noise", "music", "speech"] * 8)
    level = np.select([y == "noise", y == "music"], [-1.0, 0.0], 1.0)[:, None, None]
    X = (rng.normal(size=(24, 6, 60)) + level).astype(np.float32)
    return Views({"mfcc": X}, {"mfcc": 100.0}), y


@pytest.fixture(scope="module")
def sound():
    rng = np.random.default_rng(0)
    y = np.array(["quiet", "loud"] * 6)
    level = np.where(y == "loud", 1.0, 0.1)[:, None]
    return (level * rng.normal(size=(12, 4000)) / 4).astype(np.float32), y


@pytest.fixture(scope="module")
def swishnet(views):
    return SwishNetClassifier(**NET, segment_length=0.3).fit(*views)


def network_of(clf):
    return clf.net_.module_.network.eval()


def softmax(x):
    return torch.softmax(x, dim=1).numpy()


# -------------------------------------------------------------- frames of recordings


def test_published_numbers_of_parameters():
    X, y = np.zeros((6, 20, 50), np.float32), [0, 1, 2] * 2
    for options, total in (
        ({}, 5_483),
        ({"variant": "wide"}, 18_267),
        ({"variant": 2.0}, 18_267),
        ({"head_hidden": 0}, 4_899),
        ({"variant": "wide", "head_hidden": 0}, 15_819),
    ):
        clf = SwishNetClassifier(**NET, **options).fit(X, y)
        assert sum(p.numel() for p in clf.net_.module_.parameters()) == total
    X = np.zeros((6, 64, 50), np.float32)
    clf = MobileNetClassifier(**NET).fit(X, y)
    assert sum(p.numel() for p in clf.net_.module_.parameters()) == 217_235
    clf = SelfNormalizingClassifier(**NET).fit(np.zeros((6, 60)), y)
    assert sum(p.numel() for p in clf.net_.module_.parameters()) == 179_203


def test_a_frame_is_decided_on_by_the_window_around_it(views, swishnet):
    """As long as a training segment, 30 frames; ends at the clip's ends."""
    X, _ = views
    proba, times = swishnet.predict_frames_proba(X)
    assert proba.shape == (24, 3, 60)
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(times, np.tile(np.arange(60) / 100, (24, 1)))
    net, x = network_of(swishnet), torch.from_numpy(X["mfcc"])
    for t in (0, 7, 30, 45, 46, 59):
        first, last = max(0, t - 15), min(59, t + 14)
        with torch.no_grad():
            logits = net(x[..., : last + 1], window=last - first + 1)
        np.testing.assert_allclose(proba[..., t], softmax(logits), atol=1e-6)


def test_a_clip_of_one_segment_is_decided_on_like_its_frame_in_the_middle(swishnet):
    """The window around it is the whole clip: one forward pass gives the same."""
    rng = np.random.default_rng(1)
    X = Views({"mfcc": rng.normal(size=(3, 6, 30)).astype("f4")}, {"mfcc": 100.0})
    frames, _ = swishnet.predict_frames_proba(X)
    clips = swishnet.predict_proba(X)
    np.testing.assert_allclose(frames[..., 15], clips, atol=1e-6)


def test_frames_of_arrays_and_of_ragged_clips(views):
    X, y = views[0]["mfcc"], views[1]
    clf = SwishNetClassifier(**NET, segment_length=30).fit(X, y)
    proba, times = clf.predict_frames_proba(X)
    np.testing.assert_array_equal(times[3], np.arange(60))  # arrays have no rate
    ragged = [X[0], X[1][:, :1], X[2][:, :33]]
    parts, when = clf.predict_frames_proba(ragged)
    assert parts.dtype == when.dtype == object
    assert [p.shape for p in parts] == [(3, 60), (3, 1), (3, 33)]
    assert [len(t) for t in when] == [60, 1, 33]
    np.testing.assert_allclose(parts[0], proba[0], atol=1e-6)
    for clip, part in zip(ragged, parts, strict=True):
        alone, _ = clf.predict_frames_proba([clip])
        np.testing.assert_allclose(alone[0], part, atol=1e-6)
    with pytest.raises(ValueError, match="X has 5 features, but"):
        clf.predict_frames_proba(X[:, :5])


@pytest.mark.parametrize(
    "clf", [SwishNetClassifier(**NET), SelfNormalizingClassifier(**NET, **SMALL)]
)
def test_frames_of_sound_are_those_of_a_pipeline(sound, clf):
    X, y = sound
    own = clone(clf).set_params(views=MFCC, segment_length=0.2).fit(X, y)
    proba, times = own.predict_frames_proba(X)
    steps = MFCC.fit_transform(X)
    scaled = own.scaler_.transform(Views({"mfcc": steps}, {"mfcc": 100.0}))
    with torch.no_grad():
        x = torch.from_numpy(scaled["mfcc"])
        expected = softmax(network_of(own).frames(x, 20))
    np.testing.assert_allclose(proba, expected, atol=1e-5)
    assert times.shape == (12, 51)
    np.testing.assert_allclose(times[0], np.arange(51) / 100)
    ragged, _ = own.predict_frames_proba([X[0], X[1, :1000]])
    np.testing.assert_allclose(ragged[0], proba[0], atol=1e-5)
    assert ragged[1].shape == (2, 13)


def test_tags_over_time(views):
    X, y = views
    tags = np.column_stack([y == "noise", y != "music"]).astype(int)
    clf = SwishNetClassifier(**NET, segment_length=0.3).fit(X, tags)
    proba, _ = clf.predict_frames_proba(X)
    assert proba.shape == (24, 2, 60)
    assert not np.allclose(proba.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("options", "context"),
    [
        ({}, (107 + 15, 14)),
        ({"strided": False}, (37 + 15, 14)),
        ({"strided": False, "causal": False}, (20 + 15, 17 + 14)),
    ],
)
def test_frame_context_is_what_a_decision_depends_on(views, options, context):
    X, y = views
    X = Views({"mfcc": X["mfcc"].astype("f8")}, X.rates)
    clf = SwishNetClassifier(**NET, **options, segment_length=0.3).fit(X, y)
    assert clf.frame_context == context
    before, after = context
    rng = np.random.default_rng(0)
    clip, t = rng.normal(size=(6, 300)), 160

    def at_t(first=0, last=300, value=1.0):
        x = clip.copy()
        x[:, first:last] = value
        (proba,), _ = clf.predict_frames_proba(
            Views({"mfcc": x[None]}, {"mfcc": 100.0})
        )
        return proba[:, t]

    as_it_is = at_t(last=0)
    np.testing.assert_allclose(at_t(last=t - before), as_it_is, atol=1e-15)
    np.testing.assert_allclose(at_t(first=t + after + 1), as_it_is, atol=1e-15)
    reach = before - 15  # of the last frame of the window
    for frame in (t + 14 - reach, t + after):
        change = np.abs(at_t(frame, frame + 1) - as_it_is)
        assert change.max() > 1e-14, frame


def test_saved_networks_decide_alike(views, swishnet, tmp_path):
    X, _ = views
    save(swishnet, tmp_path / "net.safetensors")
    loaded = load(tmp_path / "net.safetensors")
    one, other = (c.predict_frames_proba(X)[0] for c in (swishnet, loaded))
    np.testing.assert_array_equal(one, other)
    assert loaded.frame_context == swishnet.frame_context


def test_batches_of_any_size_give_the_same(views, swishnet):
    X, _ = views
    expected = swishnet.predict_proba(X)
    alone = [swishnet.predict_proba(X[i : i + 1])[0] for i in range(24)]
    np.testing.assert_allclose(alone, expected, atol=1e-6)


# ---------------------------------------------------------------- what is learned


@pytest.mark.parametrize(
    "clf",
    [
        SwishNetClassifier(**NET | {"max_epochs": 12}, lr=0.02),
        SelfNormalizingClassifier(**NET | {"max_epochs": 12}, **SMALL, lr=0.05),
        MobileNetClassifier(**NET | {"max_epochs": 40}, width=0.1, lr=0.01),
    ],
    ids=lambda clf: type(clf).__name__,
)
def test_classes_are_learned(views, clf):
    X, y = views
    assert clone(clf).fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize(
    "clf",
    [
        SwishNetClassifier(**NET),
        SelfNormalizingClassifier(**NET, **SMALL),
        MobileNetClassifier(**NET, width=0.1),
    ],
    ids=lambda clf: type(clf).__name__,
)
@pytest.mark.parametrize("mix", ["mixup", "between-class"])
def test_mixed_and_masked_segments(sound, clf, mix):
    X, y = sound
    augmentation = Augmentation(mix=mix, snr=(20, 40), time_mask=0.1)
    own = clone(clf).set_params(views=MFCC, augmentation=augmentation)
    assert own.fit(X, y).predict_proba(X).shape == (12, 2)


@pytest.mark.parametrize(
    "cls", [SwishNetClassifier, SelfNormalizingClassifier, MobileNetClassifier]
)
def test_several_views_are_refused(views, cls):
    X, y = views
    two = Views({"a": X["mfcc"], "b": X["mfcc"]}, {"a": 100.0, "b": 100.0})
    with pytest.raises(ValueError, match=f"{cls.__name__}.*one view"):
        cls(**NET).fit(two, y)


@pytest.mark.parametrize("sizes", [(8, 0), (-1,), (8, "x"), 8])
def test_numbers_of_units_are_checked(views, sizes):
    clf = SelfNormalizingClassifier(**NET, hidden_layer_sizes=sizes)
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        clf.fit(*views)


def test_no_hidden_layer_is_a_linear_network(views):
    X, y = views
    clf = SelfNormalizingClassifier(**NET, hidden_layer_sizes=()).fit(X, y)
    assert sum(p.numel() for p in clf.net_.module_.parameters()) == 6 * 3 + 3


def test_frames_vote(views):
    """Trained on frames as rows of a table; the majority decides on a clip."""
    X, y = views[0]["mfcc"], views[1]
    net = SelfNormalizingClassifier(**NET, **SMALL, lr=0.02)
    model = FrameClassifier(make_pipeline(StandardScaler(), net), vote="majority")
    proba = model.fit(X, y).predict_proba(X)
    (fitted,) = [v for k, v in vars(model).items() if k == "estimator_"]
    rows = np.moveaxis(X, 1, 2).reshape(-1, 6)
    votes = fitted.predict(rows).reshape(24, 60)
    share = np.stack([(votes == k).mean(axis=1) for k in model.classes_], axis=1)
    np.testing.assert_allclose(proba, share, atol=1e-6)
    assert model.score(X, y) > 0.9


# ------------------------------------------------------------------ steps and rates


class Steps(Callback):
    """Counts optimiser steps of every epoch."""

    def on_train_begin(self, net, **kwargs):
        self.counts = []

    def on_epoch_begin(self, net, **kwargs):
        self.counts.append(0)

    def on_batch_end(self, net, training, **kwargs):
        self.counts[-1] += training


@pytest.mark.parametrize("n_frames", [50, 100, 200])
def test_as_many_updates_for_any_length_of_segments(n_frames):
    """One segment per clip and epoch, of 0.5, 1 or 2 seconds."""
    rng, steps = np.random.default_rng(0), Steps()
    X = Views({"mfcc": rng.normal(size=(30, 4, 250)).astype("f4")}, {"mfcc": 100.0})
    clf = SwishNetClassifier(
        **NET | {"max_epochs": 3}, segment_length=n_frames / 100, callbacks=[steps]
    )
    clf.fit(X, np.arange(30) % 3)
    assert steps.counts == 3 * [4]  # 30 clips in batches of 8


def test_rates_of_cosine_restarts_are_the_authors():
    """5e-4 to 1e-5; cycles of 2, 3, 5, 9, ... epochs restart at 2, 5, 10, 19."""
    X = np.random.default_rng(0).normal(size=(6, 4, 9)).astype("f4")
    clf = SwishNetClassifier(
        max_epochs=21,
        lr=5e-4,
        lr_schedule=CosineRestarts(min_lr=1e-5),
        random_state=0,
    )
    clf.fit(X, [0, 1, 2] * 2)
    expected = []
    for period in (1, 2, 4, 8, 16):
        expected += [
            1e-5 + 0.5 * (5e-4 - 1e-5) * (1 + math.cos(math.pi * t / period))
            for t in range(period + 1)
        ]
    rates = [row["lr"] for row in clf.history_]
    np.testing.assert_allclose(rates, expected[:21], rtol=1e-12)
    restarts = [t for t in range(1, 21) if rates[t] > rates[t - 1]]
    assert restarts == [2, 5, 10, 19]


def test_the_code_of_the_authors_in_one_pipeline(sound):
    """Their features, from sound to segments, for one epoch."""
    X, y = sound
    mel = MelView(sr=SR, n_fft=256, hop_length=80, n_mels=16)
    for features in (MFCC, mel):
        net = SwishNetClassifier(**NET, segment_length=20)
        model = make_pipeline(features, ViewScaler(), net)
        assert model.fit(X, y).predict_proba(X).shape == (12, 2)
