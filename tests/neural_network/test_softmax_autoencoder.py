"""Classifiers on all values of a segment: codes, losses, and the data they take."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skaudio.embedding import AutoencoderEmbedder, LayerEmbedder
from skaudio.neural_network import (
    Augmentation,
    DistilledClassifier,
    FineTunedClassifier,
    SoftmaxAutoencoderClassifier,
    TwoLayerClassifier,
)
from skaudio.nn import layer_outputs
from skaudio.persistence import load, save
from skaudio.views import RawView, Views

SMALL = {"encoder_sizes": (16, 8), "head_sizes": (6,), "random_state": 0}
SHORT = {"max_epochs": 3, "batch_size": 16, "lr": 0.01}


def small(**changes):
    return SoftmaxAutoencoderClassifier(**SMALL | SHORT | changes)


@pytest.fixture(scope="module")
def clips():
    """A view of 32 clips, two bins of 20 steps, whose level tells the class."""
    rng = np.random.default_rng(0)
    y = np.array(["loud", "quiet"] * 16)
    X = rng.normal(size=(32, 2, 20)) + np.where(y == "loud", 2.0, 0.5)[:, None, None]
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def fitted(clips):
    return small(max_epochs=30).fit(*clips)


class First(Callback):
    """Keeps the network as it was before the first step."""

    def on_train_begin(self, net, **kwargs):
        self.module = pickle.loads(pickle.dumps(net.module_))


# ------------------------------------------------------------------------------ losses


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("gamma", [0.9, 10 / 11, 0.25])
def test_the_loss_by_hand(clips, gamma, reduction):
    """Equation 3, and the authors' code: the same with another reduction and gamma."""
    X, y = clips
    first = First()
    options = {"dropout": 0.0, "batch_size": 32, "max_epochs": 1}
    model = small(gamma=gamma, reduction=reduction, callbacks=[first], **options)
    model.fit(X, y)
    with torch.no_grad():
        outputs = first.module({"view": torch.from_numpy(X)})
    errors = (outputs["reconstruction"].numpy() - X) ** 2
    squared = errors.sum(axis=(1, 2)) if reduction == "sum" else errors.mean((1, 2))
    logits = outputs["classification"].numpy()
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    entropy = -np.log(shares[np.arange(32), (y == "quiet").astype(int)])
    expected = gamma * squared.mean() + (1 - gamma) * entropy.mean()
    assert model.history_[0]["train_loss"] == pytest.approx(expected, rel=1e-5)


def test_weights_of_the_code_are_one_parameter_apart(clips):
    """1 to 0.1 instead of 9 to 1: the same loss but for a factor of 1.1."""
    weights = small(gamma=10 / 11)._loss_weights().weights
    assert weights["reconstruction"] / weights["classification"] == pytest.approx(10)
    weights = small()._loss_weights().weights
    assert weights["reconstruction"] / weights["classification"] == pytest.approx(9)


@pytest.mark.parametrize(
    ("gamma", "still"), [(0.0, "network.decoder"), (1.0, "network.output")]
)
def test_a_term_without_weight_teaches_nothing(clips, gamma, still):
    first = First()
    model = small(gamma=gamma, callbacks=[first]).fit(*clips)
    before, after = first.module.state_dict(), model.net_.module_.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any(name.startswith(still) for name in moved)
    assert any(name.startswith("network.encoder") for name in moved)


def test_terms_are_recorded(clips):
    model = small(validation_fraction=0.25).fit(*clips)
    table = pd.DataFrame(model.loss_history_)
    assert set(table.term) == {"classification", "reconstruction"}
    weights = table.groupby("term").weight.unique().map(list).to_dict()
    assert weights["reconstruction"] == [pytest.approx(0.9)]
    assert weights["classification"] == [pytest.approx(0.1)]
    of_classes = table[table.term == "classification"].valid_loss.to_numpy()
    assert model.history_[-1]["valid_loss"] == pytest.approx(of_classes[-1])


def test_watched_clips_have_a_score(clips):
    X, y = clips
    model = small(max_epochs=20).fit(X, y, X_test=X, y_test=y)
    assert model.history_[-1]["test_score"] == pytest.approx(model.score(X, y))
    assert np.isnan(small().fit(X, y).history_[-1]["test_score"])


# ----------------------------------------------------------------------- codes and back


def test_codes_reconstructions_and_logits(clips, fitted):
    X, y = clips
    assert fitted.score(X, y) > 0.9
    with torch.no_grad():
        outputs = fitted.net_.module_.eval()({"view": torch.from_numpy(X)})
    codes = fitted.transform(X)
    assert codes.shape == (32, 8)
    np.testing.assert_allclose(codes, outputs["codes"], atol=1e-6)
    back = fitted.inverse_transform(codes)
    assert back.shape == X.shape
    assert back.dtype == X.dtype
    np.testing.assert_allclose(back, outputs["reconstruction"], atol=1e-5)
    logits = fitted.predict_logits(X)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, fitted.predict_proba(X), atol=1e-6)
    errors = ((X - back) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(fitted.score_samples(X), -errors, rtol=1e-4)


def test_reconstruction_is_learned(clips):
    """Better than the mean of all clips, which no code is needed for."""
    X, y = clips
    model = small(output_activation="linear", dropout=0.0, max_epochs=150).fit(X, y)
    left = -model.score_samples(X).mean()
    assert left < 0.8 * X.var(axis=0).mean()


def test_tables_come_back_as_tables(clips):
    X, y = clips
    flat = X.reshape(32, 40)
    model = small().fit(flat, y)
    assert model.inverse_transform(model.transform(flat)).shape == (32, 40)
    assert model.net_.module_.network.config["n_bins"] == 40


def test_codes_of_long_clips_are_means_over_segments(clips):
    X, y = clips
    model = small(segment_length=10, n_segments=3).fit(X, y)
    parts = [model.transform(X[:, :, a : a + 10]) for a in (0, 5, 10)]
    np.testing.assert_allclose(model.transform(X), np.mean(parts, axis=0), atol=1e-6)
    assert model.inverse_transform(parts[0]).shape == (32, 2, 10)


def test_views_inside_are_reconstructed_as_they_are():
    rng = np.random.default_rng(0)
    sound = (0.01 * rng.normal(size=(12, 50))).astype(np.float32)
    y = np.arange(12) % 2
    model = small(views=RawView(sr=100)).fit(sound, y)
    assert not hasattr(model, "scaler_")
    views = Views({"raw": sound[:, None]}, {"raw": 100.0})
    alone = small().fit(views, y)
    np.testing.assert_allclose(model.transform(sound), alone.transform(views))
    for fitted, X in ((model, sound), (alone, views)):
        assert fitted.inverse_transform(fitted.transform(X)).shape == (12, 1, 50)


def test_names_of_codes(clips, fitted):
    names = fitted.get_feature_names_out()
    assert list(names[:2]) == [f"softmaxautoencoderclassifier{i}" for i in range(2)]
    model = small().set_output(transform="pandas").fit(*clips)
    assert model.transform(clips[0]).shape == (32, 8)


# --------------------------------------------------------------------- with other parts


def test_saved_and_loaded(clips, fitted, tmp_path):
    X, y = clips
    table = small().fit(X.reshape(32, 40), y)
    for model, data in ((fitted, X), (table, X.reshape(32, 40))):
        save(model, tmp_path / "model")
        for copy in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
            codes = copy.transform(data)
            np.testing.assert_array_equal(codes, model.transform(data))
            np.testing.assert_array_equal(
                copy.inverse_transform(codes), model.inverse_transform(codes)
            )


class Interrupted(Exception):
    pass


class Stop(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            raise Interrupted


def test_interrupted_training_ends_like_any_other(clips, tmp_path):
    X, y = clips
    path = tmp_path / "state"
    with pytest.raises(Interrupted):
        small(callbacks=[Stop()]).fit(X, y, checkpoint=path)
    resumed = small().fit(X, y, checkpoint=path)
    np.testing.assert_array_equal(resumed.transform(X), small().fit(X, y).transform(X))


def test_students_and_fine_tuning_reconstruct_as_well(clips, fitted):
    """The network's own loss stays beside a target that a meta-estimator chooses."""
    X, y = clips
    held_out = small(validation_fraction=0.25, callbacks=[First()])
    student = DistilledClassifier(held_out, FrozenEstimator(fitted)).fit(X, y).student_
    terms = {row["term"] for row in student.loss_history_}
    assert terms == {"reconstruction", "classification"}
    tuned = FineTunedClassifier(
        FrozenEstimator(fitted), freeze=0.4, max_epochs=2, random_state=0
    ).fit(X, y)
    frozen, decoder = (
        f"network.{name}.0.linear.weight" for name in ("encoder", "decoder")
    )
    (first,) = student.callbacks  # a copy, as the student is
    for before, model in ((first.module, student), (fitted.net_.module_, tuned)):
        network = getattr(model, "estimator_", model).net_.module_
        states = before.state_dict(), network.state_dict()
        assert not torch.equal(states[0][decoder], states[1][decoder])
        assert torch.equal(states[0][frozen], states[1][frozen]) == (model is tuned)


def test_searches_layers_tags_and_mixtures(clips, fitted):
    X, y = clips
    grid = {"gamma": [0.0, 1.0]}  # without classes nothing is learned about them
    search = GridSearchCV(small(max_epochs=20), grid, cv=2).fit(X, y)
    assert search.best_params_ == {"gamma": 0.0}
    embedder = LayerEmbedder(FrozenEstimator(fitted), layers=(-1,)).fit(X)
    assert embedder.transform(X).shape == (32, 6)
    tags = np.stack([y == "loud", y != "loud"], axis=1).astype(int)
    assert small().fit(X, tags).predict(X).shape == (32, 2)
    mixed = small(augmentation=Augmentation(mix="mixup")).fit(X, y)
    assert not np.allclose(mixed.transform(X), small().fit(X, y).transform(X))
    probe = make_pipeline(small(max_epochs=30), LogisticRegression()).fit(X, y)
    assert probe.score(X, y) > 0.9


@pytest.mark.parametrize("cls", [SoftmaxAutoencoderClassifier, TwoLayerClassifier])
def test_other_lengths_are_taken_and_other_bins_refused(clips, cls):
    X, y = clips
    model = cls(max_epochs=1, random_state=0).fit(X, y)
    assert model.predict(np.tile(X, (1, 1, 2))).shape == (32,)
    twice = model.predict_proba(X[:, :, :10])
    whole = model.predict_proba(np.tile(X[:, :, :10], (1, 1, 2)))
    np.testing.assert_allclose(twice, whole, atol=1e-6)
    with pytest.raises(ValueError, match="X has 3 features, but"):
        model.predict(np.concatenate([X, X[:, :1]], axis=1))


def test_codes_of_another_width_are_refused(fitted):
    with pytest.raises(ValueError, match=r"Z has 5 features, but codes .* have 8"):
        fitted.inverse_transform(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="NaN"):
        fitted.inverse_transform(np.full((2, 8), np.nan))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma": 1.5}, "'gamma' parameter"),
        ({"reduction": "max"}, "'reduction' parameter"),
        ({"output_activation": "softmax"}, "'output_activation' parameter"),
        ({"encoder_sizes": ()}, r"must list .* of which there is 1 or more; got \(\)"),
        ({"encoder_sizes": (16, 0)}, "must list whole numbers above 0"),
        ({"head_sizes": (3.5,)}, "must list whole numbers above 0, one for"),
    ],
)
def test_parameters_are_checked(clips, changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes).fit(*clips)


def test_several_views_are_refused(clips):
    X, y = clips
    views = Views({"a": X, "b": X}, {"a": 10.0, "b": 10.0})
    for model in (small(), TwoLayerClassifier(), AutoencoderEmbedder()):
        with pytest.raises(ValueError, match=r"one view|single view"):
            model.fit(views, y)


# ------------------------------------------------------------------------ the baseline


def test_the_baseline_learns(clips):
    X, y = clips
    model = TwoLayerClassifier(n_hidden=16, max_epochs=30, lr=0.01, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.9
    hidden = layer_outputs(
        model.net_.module_, ["network.hidden"], {"view": torch.from_numpy(X)}
    )
    assert hidden["network.hidden"].shape == (32, 16)


def test_a_pipeline_of_nothing_but_a_network(clips):
    """Is the network, to all that trains it, trains it further or looks into it."""
    X, y = clips
    alone = TwoLayerClassifier(n_hidden=4, random_state=0, **SHORT)
    inside, teacher = make_pipeline(alone), FrozenEstimator(alone.fit(X, y))
    for meta in (
        lambda net: DistilledClassifier(net, teacher),
        lambda net: FineTunedClassifier(net, max_epochs=1, random_state=0),
    ):
        one, other = (meta(net).fit(X, y).predict_proba(X) for net in (alone, inside))
        np.testing.assert_array_equal(one, other)
    one, other = (
        LayerEmbedder(net, layers=[0]).fit(X, y).transform(X) for net in (alone, inside)
    )
    np.testing.assert_array_equal(one, other)
