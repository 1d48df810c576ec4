"""Any number of tags per clip, and weights of classes, through the same classifiers."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.metrics import average_precision_score
from torch.nn import functional as F

from skaudio._training._labels import ClassLabels, TagIndicators, is_indicator
from skaudio.neural_network import (
    Augmentation,
    CRNNClassifier,
    MultiViewBlendingClassifier,
)
from skaudio.nn import BranchCrossEntropy, BranchTagEntropy
from skaudio.views import Views

NET = {"width": 0.05, "max_epochs": 20, "lr": 0.01, "random_state": 0}


@pytest.fixture(scope="module")
def tagged():
    """Two views; tag k raises bin k. A third tag is in every fifth clip only."""
    rng = np.random.default_rng(0)
    Y = rng.integers(0, 2, (60, 3))
    Y[:, 2] = np.arange(60) % 5 == 0
    mel = rng.normal(size=(60, 6, 30)).astype(np.float32)
    mel[:, :3] += 2 * Y[:, :, None]
    cqt = rng.normal(size=(60, 4, 30)).astype(np.float32)
    cqt[:, 0] += Y[:, :1]
    return Views({"mel": mel, "cqt": cqt}, {"mel": 50.0, "cqt": 50.0}), Y


@pytest.mark.parametrize("mix", [None, "mixup"])
def test_tags_are_learned_by_every_branch(tagged, mix):
    X, Y = tagged
    clf = MultiViewBlendingClassifier(
        blending="uniform",
        validation_fraction=None,
        augmentation=Augmentation(mix=mix, mix_alpha=0.2),
        **(NET | {"max_epochs": 40}),
    )
    clf.fit(X, Y)
    proba = clf.predict_proba(X)
    assert proba.shape == (60, 3)
    assert not np.allclose(proba.sum(axis=1), 1)
    scores = [average_precision_score(Y[:, k], proba[:, k]) for k in range(3)]
    assert min(scores) > (0.9 if mix is None else 0.7), scores
    np.testing.assert_array_equal(clf.predict(X), proba > 0.5)
    np.testing.assert_array_equal(clf.classes_, [0, 1, 2])
    assert set(clf.branch_proba(X)) == {"mel", "cqt", "joint"}


def test_confidence_is_the_logarithm_of_probability(tagged):
    X, Y = tagged
    mel, net = X.select(["mel"]), CRNNClassifier(**(NET | {"max_epochs": 5}))
    proba = net.fit(mel, Y).predict_proba(mel)
    odds = np.log(proba / (1 - proba))
    np.testing.assert_allclose(net.decision_function(mel), odds, atol=1e-5)
    proba = net.fit(mel, Y[:, 0]).predict_proba(mel)
    odds = np.log(proba[:, 1] / proba[:, 0])
    np.testing.assert_allclose(net.decision_function(mel), odds, atol=1e-5)
    proba = net.fit(mel, Y[:, 0] + Y[:, 1]).predict_proba(mel)
    np.testing.assert_allclose(net.decision_function(mel), np.log(proba), atol=1e-5)


def test_certainty_stays_finite():
    proba = np.array([[0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    for kind in (ClassLabels, TagIndicators):
        assert np.isfinite(kind(np.arange(2)).confidence(proba)).all()


def test_lists_and_sparse_matrices_are_tags_too(tagged):
    X, Y = tagged
    views = X.select(["mel"])
    net = CRNNClassifier(**(NET | {"max_epochs": 2}))
    expected = net.fit(views, Y).predict_proba(views)
    for same in (Y.tolist(), csr_matrix(Y), Y.astype(bool), Y.astype(float)):
        np.testing.assert_array_equal(
            net.fit(views, same).predict_proba(views), expected
        )


def test_indicators_are_recognised():
    assert is_indicator(np.array([[0, 1], [1, 1]]))
    assert not is_indicator(np.array([0, 1, 1]))
    assert not is_indicator(["a", "b"])
    assert not is_indicator(np.array([[0], [1]]))  # a column of labels


def test_adaptive_blending_validates_by_average_precision(tagged):
    X, Y = tagged
    clf = MultiViewBlendingClassifier(validation_fraction=0.2, **NET)
    clf.fit(X, Y, groups=np.arange(60) // 2)
    scores = [e["valid_score"] for e in clf.history_]
    assert all(0 <= s <= 1 for s in scores)
    assert max(scores) > 0.8


def test_score_skips_tags_that_do_not_occur():
    truth = {"label": np.array([[1, 0, 0], [0, 0, 1], [1, 0, 1]])}
    proba = np.array([[0.9, 0.3, 0.8], [0.1, 0.2, 0.9], [0.8, 0.9, 0.1]])
    expected = (1.0 + (1 / 1 + 2 / 3) / 2) / 2  # tag 2: ranks 1 and 3
    target = TagIndicators(np.arange(3))
    assert target.score(proba, truth) == pytest.approx(expected)
    assert target.score(proba, {"label": np.zeros((3, 3))}) == 0


def test_strata_are_rarest_tags():
    Y = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0]])
    strata = TagIndicators(np.arange(3)).strata({"label": Y}, len(Y))
    np.testing.assert_array_equal(strata, [1, 0, 2, -1])


def test_balanced_tags():
    """Presence and absence of every tag weigh alike in the loss."""
    Y = np.array([[1, 0, 1], [0, 0, 1], [0, 1, 1], [0, 1, 1]])

    def weight_of(class_weight):
        target = TagIndicators(np.arange(3), class_weight)
        return target.criterion({"label": Y}, "float64").tag_weight.numpy()

    weight = weight_of("balanced")
    np.testing.assert_allclose(weight[:, 0], [4 / 6, 4 / 2])
    np.testing.assert_allclose(weight[:, 1], [1, 1])
    np.testing.assert_allclose(weight[:, 2], [1, 1])  # all clips have it
    np.testing.assert_allclose(weight_of({1: 5.0}), [[1, 5, 1]] * 2)


def test_weighted_tag_loss_against_torch():
    rng = np.random.default_rng(0)
    logits, tags = torch.tensor(rng.normal(size=(5, 3))), torch.eye(5, 3).double()
    positive = torch.tensor([2.0, 3.0, 4.0]).double()
    weight = torch.stack([torch.ones(3).double(), positive])
    found = BranchTagEntropy(weight)({"a": logits}, {"label": tags})["a"]
    expected = F.binary_cross_entropy_with_logits(logits, tags, pos_weight=positive)
    torch.testing.assert_close(found, expected)


def test_balanced_classes_shift_decisions_to_the_rare_one():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4, 10)).astype(np.float32)
    y = (np.arange(60) % 10 == 0).astype(int)
    net = CRNNClassifier(**(NET | {"max_epochs": 3}))
    plain = net.fit(X, y).predict_proba(X)[:, 1].mean()
    balanced = net.set_params(class_weight="balanced").fit(X, y)
    assert balanced.predict_proba(X)[:, 1].mean() > plain + 0.1


def test_number_of_tags_of_watched_clips(tagged):
    X, Y = tagged
    net = CRNNClassifier(**NET)
    with pytest.raises(ValueError, match="y_test: It has 2 tags, but y has 3"):
        net.fit(X.select(["mel"]), Y, X_test=X.select(["mel"]), y_test=Y[:, :2])
    with pytest.raises(ValueError, match=r"NaN where unknown; got the values \[0, 2\]"):
        net.fit(X.select(["mel"]), Y, X_test=X.select(["mel"]), y_test=2 * Y)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ({"a": 1, "b": 1, "guitar": 2}, "'guitar', which is none of the classes"),
        ({"a": -1.0, "b": 1.0}, "finite weights, not below zero; that of 'a' is -1.0"),
        ({"a": np.nan, "b": 1.0}, "that of 'a' is nan"),
        ({"a": np.inf, "b": 1.0}, "that of 'a' is inf"),
        ({"a": "heavy", "b": 1.0}, "that of 'a' is 'heavy'"),
        ({"a": 0, "b": 0.0}, "All weights in class_weight are zero"),
    ],
    ids=str,
)
def test_class_weights_that_mean_nothing(weight, message):
    X = np.zeros((4, 3, 5), np.float32)
    y = np.array(["a", "a", "b", "b"])
    with pytest.raises(ValueError, match=message):
        CRNNClassifier(class_weight=weight).fit(X, y)
    tags = {0 if key == "a" else 1 if key == "b" else 7: w for key, w in weight.items()}
    message = message.replace("'a'", "'0'").replace("'guitar'", "7")
    with pytest.raises(ValueError, match=message):
        CRNNClassifier(class_weight=tags).fit(X, np.eye(2, dtype=int)[[0, 0, 1, 1]])


def test_a_batch_without_weight_has_no_loss():
    logits = {"a": torch.tensor([[2.0, 0.0], [0.0, 1.0]], requires_grad=True)}
    criterion = BranchCrossEntropy(torch.tensor([0.0, 1.0]))
    loss = criterion(logits, {"label": torch.tensor([0, 0])})["a"]
    loss.backward()
    assert loss.item() == 0
    assert not logits["a"].grad.any()
    loss = criterion(logits, {"label": torch.tensor([0, 1])})["a"]
    expected = np.log(1 + np.exp(-1.0))  # of the second clip alone
    assert loss.item() == pytest.approx(expected)


def test_weights_of_classes_that_no_clip_has():
    """They weigh nothing; "balanced" is between the classes that clips have."""
    indices = np.array([0, 0, 0, 2])
    for class_weight, expected in (
        ({"a": 2.0}, [2, 1, 1]),
        ({"b": 3.0}, [1, 3, 1]),
        ({"b": 3.0, "c": 0.0}, [1, 3, 0]),
        ("balanced", [4 / 6, 1, 2]),
        (None, None),
    ):
        target = ClassLabels(np.array(["a", "b", "c"]), class_weight)
        found = target.criterion({"label": indices}, "float64").class_weight
        if expected is None:
            assert found is None
        else:
            np.testing.assert_allclose(found, expected)
    with pytest.raises(ValueError, match="class_weight has 'd'"):
        ClassLabels(np.array(["a", "b"]), {"d": 1.0})


@pytest.mark.parametrize(
    ("classes", "y"),
    [
        (np.array([0, 1]), ["0", "1"]),
        (np.array(["0", "1"]), [0, 1]),
        (np.array([0.0, 2.0]), [0, 1]),
    ],
)
def test_labels_of_another_kind_are_other_classes(classes, y):
    """Compared by value: a number is not its text."""
    with pytest.raises(ValueError, match="There is no output for the class"):
        ClassLabels(classes).encode(None, np.zeros((2, 1)), np.array(y))


def test_labels_are_found_by_value():
    for classes, y in (
        (np.array([0, 1, 5]), np.array([5, 0], np.int8)),
        (np.array(["a", "b", "c"]), np.array(["c", "a"], object)),
        (np.array(["a", "b", "c"], object), ["c", "a"]),
        (np.array([False, True, 7]), [7.0, 0.0]),
    ):
        arrays = ClassLabels(classes).encode(None, np.zeros((2, 1)), y)
        assert arrays["label"].tolist() == [2, 0]
        assert arrays["label"].dtype == np.int64
