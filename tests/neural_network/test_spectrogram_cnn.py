"""`SpectrogramCNNClassifier`: segments of one length, views of any size."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skaudio.embedding import LayerEmbedder
from skaudio.neural_network import FineTunedClassifier, SpectrogramCNNClassifier
from skaudio.persistence import load, save
from skaudio.views import MelView, RawView, STFTView, Views

SR = 8000
SMALL = {"width": 1.0, "filters": (4, 6), "hidden_layer_sizes": (8, 5), "device": "cpu"}
NET = {**SMALL, "max_epochs": 2, "lr": 0.01, "random_state": 0}


@pytest.fixture(scope="module")
def views():
    """24 clips of 12 bins and 30 frames, at 100 a second, in two classes."""
    rng = np.random.default_rng(0)
    y = np.array(["low", "high"] * 12)
    X = rng.normal(size=(24, 12, 30)).astype(np.float32)
    X[y == "low", :6] += 2
    X[y == "high", 6:] += 2
    return Views({"stft": X}, {"stft": 100.0}), y


@pytest.fixture(scope="module")
def fitted(views):
    return SpectrogramCNNClassifier(**NET, segment_length=0.2).fit(*views)


def network_of(clf):
    return clf.net_.module_.network


def test_the_papers_network():
    clf = SpectrogramCNNClassifier(
        width=1.0, max_epochs=1, device="cpu", random_state=0
    )
    net = network_of(clf.fit(np.zeros((3, 257, 173), np.float32), [0, 1, 2]))
    assert sum(p.numel() for p in net.blocks.parameters()) == 148_352
    assert net.map_sizes == [(128, 86), (64, 43), (32, 21), (16, 10), (8, 5)]
    assert sum(p.numel() for p in net.parameters()) == 870_531


def test_two_bands_are_told_apart(views):
    X, y = views
    clf = SpectrogramCNNClassifier(**NET | {"max_epochs": 15, "dropout": 0.1})
    assert clf.fit(X[:16], y[:16]).score(X[16:], y[16:]) == 1.0


def test_prediction_is_the_mean_over_even_segments(views, fitted):
    """Of 20 frames each, whatever the clip has."""
    X = views[0]["stft"][:3]
    net = network_of(fitted).eval()
    assert (net.config["n_bins"], net.config["n_steps"]) == (12, 20)
    cuts = [X[:, :, start : start + 20] for start in (0, 5, 10)]
    with torch.no_grad():
        parts = [torch.softmax(net(torch.from_numpy(cut)), 1).numpy() for cut in cuts]
    one = clone(fitted).set_params(n_segments=3).fit(*views)
    found = one.predict_proba(Views({"stft": X}, {"stft": 100.0}))
    np.testing.assert_allclose(found, np.mean(parts, axis=0), atol=1e-6)


def test_a_short_clip_is_repeated(views, fitted):
    clip = views[0]["stft"][0]
    short, filled = clip[:, :10], np.tile(clip[:, :10], 2)
    rates = {"stft": 100.0}
    found = [
        fitted.predict_proba(Views({"stft": X[None]}, rates)) for X in (short, filled)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


@pytest.mark.parametrize("kind", [MelView, RawView, STFTView])
def test_any_view_inside(sounds, kind):
    view, X, y = kind(sr=SR), sounds[0][:8], sounds[1][:8]
    own = SpectrogramCNNClassifier(**NET, views=view, segment_length=0.1).fit(X, y)
    assert own.predict_proba(X).shape == (8, len(set(y)))
    kept = LayerEmbedder(FrozenEstimator(own), layers=(0, -1)).fit(X)
    steps, bins = round(0.1 * view.rate), len(view.get_feature_names_out())
    assert network_of(own).map_sizes[0] == (max(1, bins // 2), steps // 2)
    # a map keeps its bins, time is pooled; then the fully connected layer
    assert kept.transform(X).shape == (8, 4 * max(1, bins // 2) + 5)


def test_saved_and_loaded(views, fitted, tmp_path):
    save(fitted, tmp_path / "net.safetensors")
    loaded = load(tmp_path / "net.safetensors")
    expected = fitted.predict_proba(views[0])
    np.testing.assert_array_equal(loaded.predict_proba(views[0]), expected)


def test_frozen_convolutions_stay(views, fitted):
    tuned = FineTunedClassifier(
        FrozenEstimator(fitted), freeze=0.5, lr=0.01, max_epochs=1, random_state=0
    ).fit(*views)
    assert tuned.frozen_layers_ == ["network.blocks.0", "network.blocks.1"]
    before = network_of(fitted).state_dict()
    after = network_of(tuned.estimator_).state_dict()
    moved = {name for name in before if not before[name].equal(after[name])}
    assert {name.split(".")[0] for name in moved} == {"hidden", "output"}


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"filters": ()}, r"filters must list whole .* 1 or more; got \(\)"),
        ({"filters": (4, 0)}, r"filters must list whole .*; got \(4, 0\)"),
        ({"filters": (4, 2.5)}, r"filters must list whole .*; got \(4, 2.5\)"),
        ({"hidden_layer_sizes": (-1,)}, r"hidden_layer_sizes must list .*\(-1,\)"),
    ],
)
def test_sizes_that_are_none(views, sizes, message):
    with pytest.raises(ValueError, match=message):
        SpectrogramCNNClassifier(**NET | sizes).fit(*views)


def test_without_hidden_layers(views):
    clf = SpectrogramCNNClassifier(**NET | {"hidden_layer_sizes": ()}).fit(*views)
    assert network_of(clf).hidden_layers == ("blocks.0", "blocks.1")
    assert clf.predict(views[0]).shape == (24,)


def test_one_view_at_a_time(views):
    X = Views(dict.fromkeys("ab", views[0]["stft"]), {"a": 100.0, "b": 100.0})
    with pytest.raises(ValueError, match="takes one view, but gets"):
        SpectrogramCNNClassifier(**NET).fit(X, views[1])
