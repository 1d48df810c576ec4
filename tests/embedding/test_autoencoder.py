"""Codes that are learned without labels."""

import pickle

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skaudio.embedding import AutoencoderEmbedder
from skaudio.persistence import load, save
from skaudio.views import MeanPoolView, RawView, Views


def small(**changes):
    options = {"encoder_sizes": (16, 4), "output_activation": "linear"}
    options |= {"dropout": 0.0, "max_epochs": 150, "batch_size": 16, "lr": 0.01}
    return AutoencoderEmbedder(**options | {"random_state": 0} | changes)


@pytest.fixture(scope="module")
def tones():
    """Clips of 20 values, each a sine of one of three frequencies and any level."""
    rng = np.random.default_rng(0)
    kind = np.arange(60) % 3
    amplitude = rng.uniform(0.5, 1.5, (60, 1))
    X = amplitude * np.sin(np.arange(20) * (1 + kind[:, None]) / 3)
    return X.astype(np.float32), kind


@pytest.fixture(scope="module")
def fitted(tones):
    return small().fit(tones[0])


def test_it_reconstructs_what_it_has_learned(tones, fitted):
    X, _ = tones
    back = fitted.inverse_transform(fitted.transform(X))
    assert back.shape == X.shape
    assert ((X - back) ** 2).mean() < 0.2 * X.var()
    np.testing.assert_allclose(
        fitted.score_samples(X), -((X - back) ** 2).mean(axis=1), rtol=1e-3
    )
    assert fitted.score(X) == pytest.approx(fitted.score_samples(X).mean())


def test_other_sounds_are_reconstructed_worse(tones, fitted):
    X, _ = tones
    noise = np.random.default_rng(1).normal(size=X.shape).astype(np.float32)
    assert fitted.score_samples(noise).max() < np.median(fitted.score_samples(X))


def test_labels_are_ignored_and_one_seed_repeats(tones):
    X, y = tones
    codes = small(max_epochs=2).fit_transform(X)
    np.testing.assert_array_equal(small(max_epochs=2).fit(X, y).transform(X), codes)
    other = small(max_epochs=2, random_state=1).fit_transform(X)
    assert not np.allclose(codes, other)


def test_views_inside_and_segments():
    """Sound, pooled, in segments: the paper's input inside the embedder."""
    rng = np.random.default_rng(0)
    sound = rng.normal(size=(8, 4000)).astype(np.float32)
    options = {"max_epochs": 1, "dropout": 0.1, "segment_length": None}
    model = small(views=MeanPoolView(sr=2000, pool_size=40), **options)
    codes = model.fit_transform(sound)
    pooled = sound.reshape(8, 1, 100, 40).mean(axis=3)
    views = Views({"meanpool": pooled}, {"meanpool": 50.0})
    alone = small(**options).fit(views)
    np.testing.assert_allclose(codes, alone.transform(views), atol=1e-5)
    segments = small(views=RawView(sr=2000), segment_length=0.5, max_epochs=1)
    assert segments.fit(sound).inverse_transform(np.zeros((1, 4))).shape == (1, 1, 1000)


def test_it_goes_into_pipelines_and_searches(tones):
    X, y = tones
    model = make_pipeline(small(), LogisticRegression(max_iter=500)).fit(X, y)
    assert model.score(X, y) > 0.9
    search = GridSearchCV(small(), {"max_epochs": [1, 100]}, cv=2).fit(X)
    assert search.best_params_ == {"max_epochs": 100}  # by the reconstruction
    names = small(max_epochs=1).fit(X).get_feature_names_out()
    assert list(names) == [f"autoencoderembedder{i}" for i in range(4)]


def test_held_out_clips_choose_the_model(tones):
    X, y = tones
    model = small(validation_fraction=0.25, max_epochs=5).fit(X, groups=y)
    losses = [row["valid_loss"] for row in model.history_]
    scores = [row["valid_score"] for row in model.history_]
    np.testing.assert_allclose(scores, np.negative(losses))


def test_saved_and_loaded(tones, fitted, tmp_path):
    X, _ = tones
    save(fitted, tmp_path / "model")
    for copy in (load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted))):
        codes = copy.transform(X)
        np.testing.assert_array_equal(codes, fitted.transform(X))
        assert copy.inverse_transform(codes).shape == (60, 20)
        assert copy.score(X) == fitted.score(X)


def test_a_deep_one_of_the_paper():
    X = np.random.default_rng(0).normal(size=(4, 1, 500)).astype(np.float32)
    model = AutoencoderEmbedder(max_epochs=1, random_state=0).fit(X)
    n_parameters = sum(p.numel() for p in model.net_.module_.parameters())
    assert n_parameters == 421_556
    assert model.transform(X).shape == (4, 64)
    assert (model.transform(X) >= 0).all()


def test_one_view_only():
    X = np.random.default_rng(0).normal(size=(4, 3, 5))
    two = Views({"a": X, "b": X}, {"a": 10.0, "b": 10.0})
    with pytest.raises(
        ValueError, match=r"gets \['a', 'b'\]. .*\.select\(\['a'\]\)\.$"
    ):
        AutoencoderEmbedder().fit(two)
