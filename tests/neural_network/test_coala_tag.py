"""CoalaTagClassifier: predictions over patches, embeddings, tags, fine-tuning."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from skaudio.embedding import LayerEmbedder, PretrainedEmbedder, save_weights
from skaudio.neural_network import CoalaTagClassifier, FineTunedClassifier
from skaudio.persistence import load, save
from skaudio.preprocessing import EnergyPatches, TagBinarizer
from skaudio.views import CoalaView, Views

RATE = 22_000 / 512
SHORT = {"width": 0.05, "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def views():
    """Spectrograms of 24 clips of 230 frames: a band for each of two classes."""
    rng = np.random.default_rng(0)
    y = np.array(["hum", "hiss"] * 12)
    X = rng.normal(-8, 0.5, size=(24, 96, 230)).astype(np.float32)
    X[y == "hum", :30] += 5
    X[y == "hiss", 60:] += 5
    return Views({"mel": X}, {"mel": RATE}), y


@pytest.fixture(scope="module")
def fitted(views):
    return CoalaTagClassifier(**SHORT).fit(*views)


def test_classes_are_learned(views):
    X, y = views
    clf = CoalaTagClassifier(
        width=0.05, max_epochs=20, optimizer="adam", lr=0.003, random_state=0
    )
    assert clf.fit(X[:16], y[:16]).score(X[16:], y[16:]) == 1


def test_tags_are_learned(views):
    X, y = views
    tags = [f"{text} sound{i % 2}" for i, text in enumerate(y)]
    Y = TagBinarizer(max_df=1.0).fit_transform(tags)
    clf = CoalaTagClassifier(**SHORT).fit(X, Y)
    assert clf.predict_proba(X).shape == Y.shape
    assert set(np.unique(clf.predict(X))) <= {0, 1}


def test_embeddings_are_means_over_patches_side_by_side(fitted, views):
    X, _ = views
    chunks = EnergyPatches().fit(X).chunks(X)
    network = fitted.net_.module_.network.eval()
    with torch.no_grad():
        expected = [network(torch.from_numpy(part)).mean(0).numpy() for part in chunks]
    Z = fitted.transform(X)
    assert {len(part) for part in chunks} == {2}
    np.testing.assert_allclose(Z, expected, rtol=1e-4, atol=1e-6)
    assert Z.min() >= 0
    assert len(fitted.get_feature_names_out()) == Z.shape[1] == 54


def test_predictions_are_means_over_even_patches(fitted, views):
    X, _ = views
    starts = np.arange(10) * (134 // 9)
    patches = [X["mel"][3, :, start : start + 96] for start in starts]
    network = fitted.net_.module_.network.eval()
    with torch.no_grad():
        logits = network.logits(network(torch.from_numpy(np.stack(patches))))
    expected = logits.softmax(1).mean(0).numpy()
    np.testing.assert_allclose(fitted.predict_proba(X)[3], expected, atol=1e-5)


def test_noise_behind_a_clip_has_no_vote():
    """A second of sound, continued to ten: all patches begin within it."""
    rng = np.random.default_rng(0)
    X = [0.1 * rng.standard_normal(22_000).astype(np.float32) for _ in range(6)]
    clf = CoalaTagClassifier(**SHORT).fit(X, ["a", "b"] * 3)
    first = [view[:, :96] for view in CoalaView().transform(X)]
    np.testing.assert_allclose(
        clf.predict_proba(X), clf.predict_proba(first), atol=1e-5
    )


def test_full_width_is_the_network_of_the_paper():
    clf = CoalaTagClassifier()
    module = clf._module()
    network = module.pop("module")
    options = {k.removeprefix("module__"): v for k, v in module.items()}
    with torch.device("meta"):
        net = network({"mel": (96, RATE)}, n_outputs=1000, **options)
    assert sum(p.numel() for p in net.parameters()) == 3_533_800


def test_its_weights_are_those_of_a_pretrained_embedder(views, tmp_path):
    rng = np.random.default_rng(0)
    X = [0.1 * rng.standard_normal(n).astype(np.float32) for n in (9_000, 80_000) * 3]
    clf = CoalaTagClassifier(**SHORT).fit(X, ["a", "b"] * 3)
    path = tmp_path / "cnn.safetensors"
    save_weights(clf.net_.module_.network, path, sr=22_000)
    np.testing.assert_allclose(
        PretrainedEmbedder(path).transform(X), clf.transform(X), rtol=1e-4, atol=1e-5
    )


def test_saved_and_fine_tuned(fitted, views, tmp_path):
    X, y = views
    save(fitted, tmp_path / "clf.safetensors")
    loaded = load(tmp_path / "clf.safetensors")
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    tuned = FineTunedClassifier(
        FrozenEstimator(fitted), freeze=0.5, max_epochs=1, random_state=0
    ).fit(X, np.where(y == "hum", "low", "high"))
    inner = tuned.estimator_.net_.module_.network
    assert torch.equal(
        inner.blocks[0].conv.weight, fitted.net_.module_.network.blocks[0].conv.weight
    )
    assert torch.equal(inner.scaling.scale, fitted.net_.module_.network.scaling.scale)
    assert sorted(tuned.classes_) == ["high", "low"]


def test_layers(fitted, views):
    X, _ = views
    embedder = LayerEmbedder(FrozenEstimator(fitted), layers=(-1,)).fit(X)
    assert embedder.transform(X).shape == (24, 54)
    deeper = LayerEmbedder(FrozenEstimator(fitted), layers=(0, -2)).fit(X)
    assert deeper.transform(X).shape == (24, 6 * 48 + 6 * 3)  # filters and bands
