"""`sample_weight`: what a clip counts for in the loss and in normalisation."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.class_weight import compute_sample_weight

from skaudio._training._datasets import SegmentDataset, TrainingSegments
from skaudio.embedding import AutoencoderEmbedder
from skaudio.neural_network import (
    Augmentation,
    CoalaTagClassifier,
    CRNNClassifier,
    DistilledClassifier,
    FineTunedClassifier,
    MultiViewBlendingClassifier,
    SwishNetClassifier,
)
from skaudio.nn import BranchCrossEntropy, BranchTagEntropy, SoftCrossEntropy
from skaudio.nn.losses import SAMPLE_WEIGHT
from skaudio.nn.weighted_norm import weighted_normalisation
from skaudio.preprocessing import ViewScaler
from skaudio.views import MelView, Views

NET = {"width": 0.03, "max_epochs": 2, "batch_size": 8, "random_state": 0}


@pytest.fixture(scope="module")
def clips():
    """24 clips of three classes, longer than segments."""
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], [12, 8, 4])
    X = rng.normal(size=(24, 6, 20)).astype(np.float32)
    return X, y


def weights_of(clf):
    return {k: v.numpy() for k, v in clf.net_.module_.state_dict().items()}


def assert_same(a, b):
    for name, values in weights_of(a).items():
        np.testing.assert_array_equal(values, weights_of(b)[name], err_msg=name)


@pytest.mark.parametrize("held_out", [None, 0.25])
def test_clips_without_weight_might_as_well_not_be_there(clips, held_out):
    X, y = clips
    weights = np.random.default_rng(1).uniform(0.5, 2, 24) * (np.arange(24) % 3 > 0)
    groups = np.arange(24) // 2
    clf = CRNNClassifier(**NET, segment_length=12, validation_fraction=held_out)
    whole = clone(clf).fit(X, y, sample_weight=weights, groups=groups)
    rows = np.flatnonzero(weights)
    clf.fit(X[rows], y[rows], sample_weight=weights[rows], groups=groups[rows])
    assert_same(whole, clf)
    unweighted = clone(clf).fit(X[rows], y[rows], groups=groups[rows])
    with pytest.raises(AssertionError):
        assert_same(unweighted, clf)


def test_weights_by_class_are_class_weights(clips):
    """Of a loss without normalisation, where both are nothing but factors."""
    X, y = clips
    net = SwishNetClassifier(max_epochs=2, batch_size=8, random_state=0)
    one = clone(net).set_params(class_weight="balanced").fit(X, y)
    other = clone(net).fit(X, y, sample_weight=compute_sample_weight("balanced", y))
    for name, values in weights_of(one).items():
        if "running" not in name:
            np.testing.assert_allclose(values, weights_of(other)[name], atol=2e-3)
    losses = [[row["train_loss"] for row in net.history_] for net in (one, other)]
    np.testing.assert_allclose(*losses, rtol=0.05)


def test_equal_weights_change_nothing_but_rounding(clips):
    X, y = clips
    clf = CRNNClassifier(**NET)
    plain = clone(clf).fit(X.astype(float), y).predict_proba(X.astype(float))
    weighted = clf.fit(X.astype(float), y, sample_weight=np.full(24, 3.0))
    np.testing.assert_allclose(
        weighted.predict_proba(X.astype(float)), plain, atol=1e-3
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.r_[np.ones(23), -1.0], "must not be negative; that of clip 23 is -1"),
        (np.zeros(24), "at least one non-zero number"),
        (np.r_[np.ones(23), np.nan], "contains NaN"),
        (np.ones(23), r"sample_weight.shape == \(23,\), expected \(24,\)"),
    ],
)
def test_odd_weights_are_refused(clips, weights, message):
    X, y = clips
    with pytest.raises(ValueError, match=message):
        CRNNClassifier(**NET).fit(X, y, sample_weight=weights)


def test_losses_by_hand():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 1, 0])
    weights = torch.tensor([1.0, 0.5, 2.0, 0.0, 3.0], dtype=torch.float64)
    of_classes = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    log_p = torch.log_softmax(logits, 1)
    each = -log_p[torch.arange(5), labels]
    targets = {"label": labels, "sample_weight": weights}

    def loss(criterion, targets):
        return float(criterion({"x": logits}, targets)["x"])

    both = weights * of_classes[labels]
    assert loss(BranchCrossEntropy(), targets) == pytest.approx(
        float((weights * each).sum() / weights.sum())
    )
    assert loss(BranchCrossEntropy(of_classes), targets) == pytest.approx(
        float((both * each).sum() / both.sum())
    )
    tags = torch.tensor([[1, 0, 1]] * 5, dtype=torch.float64)
    binary = -(
        tags * torch.sigmoid(logits).log() + (1 - tags) * torch.sigmoid(-logits).log()
    )
    assert loss(BranchTagEntropy(), {**targets, "label": tags}) == pytest.approx(
        float((weights[:, None] * binary).sum() / (3 * weights.sum()))
    )
    teacher = torch.softmax(torch.randn(5, 3, generator=generator).double(), 1)
    soft = -(teacher * log_p).sum(1)
    assert loss(SoftCrossEntropy(), {**targets, "teacher": teacher}) == pytest.approx(
        float((weights * soft).sum() / weights.sum())
    )


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (4, 3, 5, 2)])
def test_normalisation_of_weighted_clips_is_that_of_repeated_ones(shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    kind = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d}
    weighted, repeated = kind[len(shape)](3).double(), kind[len(shape)](3).double()
    with torch.no_grad():
        for norm in (weighted, repeated):
            norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
            norm.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
    counts = torch.tensor([2, 1, 0, 3])
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    with weighted_normalisation(counts.double()):
        out = weighted(a)
    copies = repeated(b.repeat_interleave(counts, 0))
    rows = torch.repeat_interleave(torch.arange(4), counts)
    torch.testing.assert_close(out[rows], copies)
    torch.testing.assert_close(weighted.running_mean, repeated.running_mean)
    torch.testing.assert_close(weighted.running_var, repeated.running_var)
    factors = counts.double().reshape(-1, *[1] * (len(shape) - 1))
    (factors * out.square() * out).sum().backward()
    (copies.square() * copies).sum().backward()
    torch.testing.assert_close(a.grad, b.grad)
    weighted.eval()  # evaluation is as ever
    with weighted_normalisation(counts.double()):
        frozen = weighted(x)
    torch.testing.assert_close(frozen, weighted(x))


@pytest.mark.parametrize("sizes", [(4, 3), (4, 3, 5)])
def test_normalisation_does_not_depend_on_the_sum_of_weights(sizes):
    """Weights that sum to one are shares; variances do not shrink by them."""
    x = torch.randn(sizes, generator=torch.Generator().manual_seed(0))
    equal, plain = torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    with weighted_normalisation(torch.full((4,), 1 / 400)):
        torch.testing.assert_close(equal(x), plain(x))
    torch.testing.assert_close(equal.running_var, plain.running_var)


@pytest.mark.parametrize("factor", [1e-300, 1e-45, 1e38, 1e300])
def test_only_ratios_of_weights_matter(clips, factor):
    X, y = clips
    weights = np.linspace(1, 2, 24)
    few = CRNNClassifier(**NET).fit(X, y, sample_weight=weights)
    many = CRNNClassifier(**NET).fit(X, y, sample_weight=factor * weights)
    np.testing.assert_allclose(
        many.predict_proba(X), few.predict_proba(X), atol=5e-3, err_msg=str(factor)
    )
    assert many.history_[0]["train_loss"] == pytest.approx(
        few.history_[0]["train_loss"], rel=1e-3
    )


def test_weights_and_mixed_precision_go_together(clips):
    """Statistics are computed in float32, and outputs are those of equal weights."""
    X, y = clips
    clf = CRNNClassifier(**NET, mixed_precision=True)
    plain = clone(clf).fit(X, y)
    weighted = clone(clf).fit(X, y, sample_weight=np.ones(24))
    losses = [clf.history_[0]["train_loss"] for clf in (plain, weighted)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    x = torch.randn(8, 3, 50, generator=torch.Generator().manual_seed(0)) + 3
    norm = torch.nn.BatchNorm1d(3)
    with weighted_normalisation(torch.ones(8)):
        assert norm(x.bfloat16()).dtype == torch.bfloat16
    expected = torch.nn.BatchNorm1d(3)
    expected(x.bfloat16())
    torch.testing.assert_close(norm.running_mean, expected.running_mean)


def test_views_inside_are_standardised_by_the_weights():
    """A scaler of weighted clips is one of repeated clips."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(3, n)) for n in (4, 7, 5)]
    weighted = ViewScaler().fit(X, sample_weight=[2, 0, 1])
    repeated = ViewScaler().fit([X[0], X[0], X[2]])
    np.testing.assert_allclose(weighted.mean_, repeated.mean_)
    np.testing.assert_allclose(weighted.scale_, repeated.scale_)
    sounds = rng.normal(size=(6, 800)).astype(np.float32)
    net = CRNNClassifier(views=MelView(sr=8000, n_mels=8), **NET)
    net.fit(sounds, [0, 1] * 3, sample_weight=[1, 1, 2, 1, 0, 0])
    mel = MelView(sr=8000, n_mels=8).fit_transform(sounds)
    expected = ViewScaler().fit(mel, sample_weight=[1, 1, 2, 1, 0, 0])
    (mean,) = net.scaler_.mean_.values()
    np.testing.assert_allclose(mean, expected.mean_, rtol=1e-6)


def test_weights_reach_students_teachers_and_networks_that_are_tuned(clips):
    X, y = clips
    weights = np.where(y == "a", 1e-6, 1.0)
    net = SwishNetClassifier(max_epochs=15, lr=0.01, random_state=0)
    for model in (
        FineTunedClassifier(net, max_epochs=5, random_state=0),
        DistilledClassifier(net, SwishNetClassifier(max_epochs=15, random_state=0)),
    ):
        assert (clone(model).fit(X, y, sample_weight=weights).predict(X) != "a").all()


def test_weights_reach_the_second_training_itself(clips):
    """The first one and the teacher are frozen, and know nothing of the weights."""
    X, y = clips
    weights = np.where(y == "a", 1e-6, 1.0)
    net = SwishNetClassifier(max_epochs=15, lr=0.01, random_state=0)
    frozen = FrozenEstimator(clone(net).fit(X, y))
    assert (frozen.predict(X) == "a").any()
    tuned = FineTunedClassifier(frozen, max_epochs=15, lr=0.01, random_state=0)
    student = DistilledClassifier(net, frozen)
    for model in (tuned, student):
        plain = clone(model).fit(X, y).predict_proba(X)
        weighted = clone(model).fit(X, y, sample_weight=weights).predict_proba(X)
        assert weighted[:, 0].mean() < plain[:, 0].mean() - 1e-3


def test_patches_are_scaled_by_those_that_have_weight():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(6, 96, 96)) * np.r_[1, 1, 1, 1, 50, 50][:, None, None]
    y = np.eye(2, dtype=int)[[0, 1] * 3]
    net = CoalaTagClassifier(width=0.03, max_epochs=1, random_state=0)
    whole = clone(net).fit(X, y, sample_weight=[1, 1, 1, 1, 0, 0])
    few = clone(net).fit(X[:4], y[:4], sample_weight=np.ones(4))
    np.testing.assert_array_equal(whole.scaler_.scale_, few.scaler_.scale_)
    assert_same(whole, few)


def test_mixed_clips_weigh_what_their_shares_do(clips):
    """And training goes on with tags and in several branches."""
    X, y = clips
    views = Views({"mel": X, "cqt": X[:, :3]}, {"mel": 10.0, "cqt": 10.0})
    weights = np.linspace(0, 2, 24)
    clf = MultiViewBlendingClassifier(
        **NET, blending="uniform", augmentation=Augmentation(mix="mixup")
    )
    tags = np.eye(3, dtype=int)[np.searchsorted(["a", "b", "c"], y)]
    for target in (y, tags):
        proba = (
            clone(clf).fit(views, target, sample_weight=weights).predict_proba(views)
        )
        assert np.isfinite(proba).all()


def test_weights_of_mixed_clips_by_hand(clips):
    X, _ = clips
    rates = {"mel": 10.0}
    source = SegmentDataset(Views({"mel": X[:3]}, rates), rates, 1, {}, "float64")
    targets = {SAMPLE_WEIGHT: np.array([1.0, 3.0, 5.0])}
    data = TrainingSegments(source, targets, Augmentation(mix="mixup"), None, 0)
    rows, partners = np.array([0, 1, 2]), np.array([1, 2, 0])
    mixed = data._mixed_targets(rows, partners, np.array([0.5, 0.75, 1.0]))
    np.testing.assert_allclose(mixed[SAMPLE_WEIGHT], [2.0, 3.5, 5.0])


def test_an_autoencoder_reconstructs_what_has_weight():
    rng = np.random.default_rng(0)
    low, high = rng.uniform(0, 0.2, (20, 8)), rng.uniform(0.8, 1, (20, 8))
    X = np.concatenate([low, high])
    embedder = AutoencoderEmbedder(
        encoder_sizes=(8,), max_epochs=30, lr=0.01, batch_size=16, random_state=0
    )

    def error(weights):
        fitted = clone(embedder).fit(X, sample_weight=np.repeat(weights, 20))
        return -fitted.score_samples(low).mean()

    assert error([1.0, 1e-9]) < 0.5 * error([1e-9, 1.0])
