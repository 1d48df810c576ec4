"""Tags that are NaN: unknown, and out of the loss and of all scores."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix

from skaudio._training._labels import TagIndicators
from skaudio.metrics import mean_tag_average_precision, tag_report
from skaudio.neural_network import Augmentation, CRNNClassifier, FineTunedClassifier
from skaudio.nn import BranchTagEntropy

NET = {"width": 0.05, "max_epochs": 4, "batch_size": 8, "random_state": 0}


@pytest.fixture(scope="module")
def tagged():
    rng = np.random.default_rng(0)
    y = (rng.uniform(size=(32, 3)) < 0.5).astype(float)
    X = rng.normal(size=(32, 6, 12)) + y.repeat(2, 1)[:, :, None]
    unknown = y.copy()
    unknown[::2, 1] = np.nan
    return X.astype(np.float32), y, unknown


def test_the_loss_is_that_of_what_is_known():
    logits = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    tags = torch.tensor([[1.0, torch.nan], [0.0, 1.0], [torch.nan, torch.nan]])
    loss = BranchTagEntropy()({"x": logits}, {"label": tags})["x"]
    z = logits.detach()
    by_hand = -torch.stack(
        [z[0, 0].sigmoid().log(), (-z[1, 0]).sigmoid().log(), z[1, 1].sigmoid().log()]
    ).mean()
    torch.testing.assert_close(loss, by_hand)
    loss.backward()
    assert (logits.grad[tags.isnan()] == 0).all()
    assert (logits.grad[~tags.isnan()] != 0).all()
    nothing = {"label": torch.full((3, 2), torch.nan)}
    assert float(BranchTagEntropy()({"x": z}, nothing)["x"]) == 0.0


def test_balanced_weights_and_scores_are_of_what_is_known():
    """By hand: three known clips, of which one has the tag."""
    tags = np.array([[1.0], [0.0], [0.0], [np.nan], [np.nan]])
    target = TagIndicators(np.arange(1), "balanced")
    np.testing.assert_allclose(target._weights(tags), [[3 / 4], [3 / 2]])
    scores = np.array([[0.6], [0.5], [0.7], [0.9], [0.8]])
    assert target.score(scores, {"label": tags}) == pytest.approx(1 / 2)


def test_strata_and_mixtures_by_hand():
    nan = np.nan
    tags = np.array([[nan, 1.0], [1.0, nan], [1.0, 0.0], [nan, 0.0], [0.0, 1.0]])
    target = TagIndicators(np.arange(2))
    np.testing.assert_array_equal(target.strata({"label": tags}, 5), [1, 0, 0, -1, 1])
    own, partner = np.array([[1.0, 1.0]] * 2), np.array([[nan, 0.0]] * 2)
    mixed = target.mix("label", own, partner, np.array([[0.25], [1.0]]))
    np.testing.assert_array_equal(mixed, [[nan, 0.25], [1.0, 1.0]])


def test_training_does_not_depend_on_what_is_unknown(tagged):
    X, y, unknown = tagged
    clf = CRNNClassifier(**NET, validation_fraction=0.25, class_weight="balanced")
    a = clf.fit(X, unknown).predict_proba(X)
    assert np.isfinite(a).all()
    full = clf.fit(X, y).predict_proba(X)
    assert not np.allclose(a, full)
    assert np.isfinite([row["valid_score"] for row in clf.history_]).all()


def test_scores_leave_it_out(tagged):
    X, y, unknown = tagged
    clf = CRNNClassifier(**NET).fit(X, unknown)
    decisions = clf.predict(X)
    known = ~np.isnan(unknown)
    by_hand = np.mean(((decisions == y) | ~known).all(axis=1))
    assert clf.score(X, unknown) == pytest.approx(by_hand)
    assert clf.score(X, y) <= by_hand
    tuned = FineTunedClassifier(clf, max_epochs=1, random_state=0).fit(X, unknown)
    assert 0 <= tuned.score(X, unknown) <= 1


def test_metrics_leave_it_out(tagged):
    _, y, unknown = tagged
    scores = np.random.default_rng(1).uniform(size=y.shape)
    rows = ~np.isnan(unknown[:, 1])
    report = tag_report(unknown, scores)
    alone = tag_report(y[rows][:, [1]], scores[rows][:, [1]])
    np.testing.assert_allclose(report.loc[1], alone.loc[0])
    assert mean_tag_average_precision(unknown, scores) == pytest.approx(
        report["average_precision"].mean()
    )


FORMS = {
    "frame": pd.DataFrame,
    "Int64": lambda y: pd.DataFrame(y).astype("Int64"),
    "boolean": lambda y: pd.DataFrame(y).astype("boolean"),
    "objects": lambda y: np.where(np.isnan(y), None, y),
    "NA": lambda y: pd.DataFrame(y).astype(object).where(~np.isnan(y), pd.NA),
    "lists": lambda y: np.where(np.isnan(y), None, y).tolist(),
    "sparse": csr_matrix,
}


@pytest.mark.parametrize("form", FORMS)
def test_unknown_is_what_any_container_calls_so(tagged, form):
    X, _, unknown = tagged
    y = FORMS[form](unknown)
    clf = CRNNClassifier(**NET | {"max_epochs": 1})
    expected = clf.fit(X, unknown, X_valid=X, y_valid=unknown)
    score, proba = expected.score(X, unknown), expected.predict_proba(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(X, y, X_valid=X, y_valid=y)
        assert clf.score(X, y) == score
    np.testing.assert_array_equal(clf.predict_proba(X), proba)
    ours, theirs = tag_report(y, proba), tag_report(unknown, proba)
    pd.testing.assert_frame_equal(ours, theirs)


def test_nothing_known_is_refused(tagged):
    X, y, _ = tagged
    nothing = np.full_like(y, np.nan)
    with pytest.raises(ValueError, match=r"^All tags are NaN, which is unknown"):
        CRNNClassifier(**NET).fit(X, nothing)
    with pytest.raises(ValueError, match="y_valid: All tags are NaN"):
        CRNNClassifier(**NET).fit(X, y, X_valid=X, y_valid=nothing)


def test_unmixed_clips_keep_what_is_known(tagged):
    """Mixed with an unknown tag, it is unknown; with a probability of 0, nothing is."""
    X, _, unknown = tagged
    mixed = Augmentation(mix="mixup", mix_probability=0.5)
    assert np.isfinite(
        CRNNClassifier(**NET, augmentation=mixed).fit(X, unknown).predict_proba(X)
    ).all()
    none = Augmentation(mix="mixup", mix_probability=0.0)
    plain = CRNNClassifier(**NET).fit(X, unknown).predict_proba(X)
    same = CRNNClassifier(**NET, augmentation=none).fit(X, unknown).predict_proba(X)
    np.testing.assert_allclose(plain, same, atol=1e-6)


def test_classes_and_other_numbers_are_no_tags(tagged):
    X, y, unknown = tagged
    with pytest.raises(ValueError, match="NaN"):
        CRNNClassifier(**NET).fit(X, unknown[:, 1])
    with pytest.raises(ValueError, match=r"y_test: Tags must be .*got the values"):
        CRNNClassifier(**NET).fit(X, y, X_test=X, y_test=unknown * 2)
