"""Figures of tags: by hand, against scikit-learn, and in cross-validation."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.multiclass import OneVsRestClassifier

from skaudio.metrics import (
    mean_tag_average_precision,
    mean_tag_roc_auc,
    tag_report,
    top_tags,
)

MEANS = {
    "roc_auc": (mean_tag_roc_auc, roc_auc_score),
    "average_precision": (mean_tag_average_precision, average_precision_score),
}
# by hand: the pairs (with, without) of tag 0 are in order 3 of 4 times; its clips come
# first and third, at precision 1 and 2/3. Tag 1 is ranked perfectly, tag 2 reversed.
Y = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 0]])
SCORE = np.array([[0.9, 0.1, 0.9], [0.8, 0.9, 0.8], [0.7, 0.2, 0.1], [0.1, 0.8, 0.7]])
ROC_AUC = [0.75, 1.0, 0.0]
PRECISION = [(1 + 2 / 3) / 2, 1.0, 1 / 4]


@pytest.fixture
def random_tags():
    rng = np.random.default_rng(0)
    y = (rng.random((200, 7)) < np.linspace(0.05, 0.8, 7)).astype(int)
    return y, np.round(rng.random((200, 7)) + 0.2 * y, 1)  # with ties


# ------------------------------------------------------------------------ report
def test_values_by_hand():
    report = tag_report(Y, SCORE, tag_names=["a", "b", "c"])
    assert report.index.tolist() == ["a", "b", "c"]
    assert report.columns.tolist() == ["n_positive", "roc_auc", "average_precision"]
    assert report["n_positive"].tolist() == [2, 2, 1]
    np.testing.assert_allclose(report["roc_auc"], ROC_AUC)
    np.testing.assert_allclose(report["average_precision"], PRECISION)
    assert mean_tag_roc_auc(Y, SCORE) == pytest.approx(np.mean(ROC_AUC))
    assert mean_tag_average_precision(Y, SCORE) == pytest.approx(np.mean(PRECISION))


def test_the_same_as_scikit_learn(random_tags):
    report = tag_report(*random_tags)
    assert report.index.tolist() == list(range(7))
    for column, (mean, metric) in MEANS.items():
        np.testing.assert_allclose(report[column], metric(*random_tags, average=None))
        assert mean(*random_tags) == pytest.approx(metric(*random_tags))
        assert type(mean(*random_tags)) is float


@pytest.mark.parametrize("form", [np.ndarray.tolist, csr_matrix, csr_array, np.bool_])
def test_forms_of_an_indicator_matrix(random_tags, form):
    y, score = random_tags
    expected = tag_report(y, score)
    assert tag_report(form(y), score).equals(expected)
    assert tag_report(form(y), score.tolist()).equals(expected)
    assert mean_tag_roc_auc(form(y), score) == expected["roc_auc"].mean()


def test_the_order_of_scores_is_all_that_counts(random_tags):
    y, score = random_tags
    assert tag_report(y, score).equals(tag_report(y, 5 * score**3 - 1))


def test_a_tag_does_not_depend_on_the_others(random_tags):
    y, score = random_tags
    order = [3, 0, 6]
    part = tag_report(y[:, order], score[:, order], tag_names=order)
    assert part.equals(tag_report(y, score).loc[order])


# --------------------------------------------------------------- not defined
def test_undefined_figures_are_NaN_and_the_tags_are_named():
    y = np.column_stack([Y[:, 0], [0] * 4, [1] * 4])
    names = ["good", "never", "always"]
    message = r"no clip has the tags \['never'\].* every clip has the tags \['always'\]"
    with pytest.warns(UndefinedMetricWarning, match=message) as caught:
        report = tag_report(y, SCORE, tag_names=names)
    assert len(caught) == 1
    assert Path(caught[0].filename) == Path(__file__)
    assert report["roc_auc"].isna().tolist() == [False, True, True]
    assert report["average_precision"].isna().tolist() == [False, True, False]
    assert report["n_positive"].tolist() == [2, 0, 4]
    means = report[["roc_auc", "average_precision"]].mean()
    assert means["roc_auc"] == ROC_AUC[0]
    assert means["average_precision"] == pytest.approx((PRECISION[0] + 1) / 2)
    with warnings.catch_warnings():  # the means are silent, and the same
        warnings.simplefilter("error")
        for column, (mean, _) in MEANS.items():
            assert mean(y, SCORE) == pytest.approx(means[column])


@pytest.mark.parametrize("column", MEANS)
def test_a_mean_over_nothing_is_NaN_and_warns(column):
    mean, metric = MEANS[column]
    message = f"{metric.__name__} is not defined for any of the 3 tags"
    with pytest.warns(UndefinedMetricWarning, match=message) as caught:
        assert np.isnan(mean(np.zeros((4, 3)), SCORE))
    assert Path(caught[0].filename) == Path(__file__)


# ------------------------------------------------------------------- scorers
@pytest.fixture
def tagged():
    return make_multilabel_classification(
        n_samples=120, n_features=12, n_classes=4, n_labels=2, random_state=0
    )


@pytest.mark.parametrize("column", MEANS)
@pytest.mark.parametrize("forest", [False, True])
def test_in_cross_validation(tagged, column, forest):
    """A forest's probabilities are a list; scikit-learn's scorers make it a matrix."""
    mean, metric = MEANS[column]
    X, y = tagged
    model = OneVsRestClassifier(LogisticRegression(max_iter=500))
    if forest:
        model = RandomForestClassifier(n_estimators=5, random_state=0)
    scoring = make_scorer(mean, response_method="predict_proba")
    scores = cross_val_score(model, X, y, scoring=scoring, cv=3)
    for (train, test), score in zip(KFold(3).split(X), scores, strict=True):
        proba = model.fit(X[train], y[train]).predict_proba(X[test])
        if forest:
            proba = np.column_stack([p[:, 1] for p in proba])
        assert score == pytest.approx(metric(y[test], proba))
    assert scores.min() > 0.5


def test_in_a_search(tagged):
    X, y = tagged
    scoring = make_scorer(mean_tag_roc_auc, response_method="predict_proba")
    search = GridSearchCV(
        OneVsRestClassifier(LogisticRegression(max_iter=500)),
        {"estimator__C": [1e-6, 1.0]},
        scoring=scoring,
        cv=KFold(3),
    ).fit(X, y)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max() > 0.6
    assert search.score(X, y) == mean_tag_roc_auc(y, search.predict_proba(X))


def test_a_fold_without_a_rare_tag_is_scored_on_the_others(tagged):
    X, y = tagged
    y = np.column_stack([y, np.arange(120) // 2 == 10])  # only in the first fold
    scoring = make_scorer(mean_tag_roc_auc, response_method="predict_proba")
    model = RandomForestClassifier(n_estimators=5, random_state=0)
    folds = [(np.r_[0:40, 80:120], np.arange(40, 80))]
    (score,) = cross_val_score(model, X, y, scoring=scoring, cv=folds)
    assert 0.5 < score < 1


# ----------------------------------------------------------------------- top
def test_best_tags_first():
    tags = top_tags(SCORE[:2], np.array(["a", "b", "c"]), k=2)
    assert tags == [[("a", 0.9), ("c", 0.9)], [("b", 0.9), ("a", 0.8)]]
    assert {type(part) for pair in tags[0] for part in pair} == {str, float}


def test_equal_scores_are_in_the_order_of_the_vocabulary():
    names = [f"tag {i}" for i in range(40)]
    (tags,) = top_tags(np.full((1, 40), 0.5), names, k=40)
    assert [tag for tag, _ in tags] == names


def test_top_tags_agree_for_any_k(random_tags):
    score = random_tags[1]
    whole = top_tags(score, range(7), k=7)
    for row, pairs in zip(score, whole, strict=True):
        assert [s for _, s in pairs] == sorted(row, reverse=True)
        assert all(row[tag] == s for tag, s in pairs)
    for k in range(1, 8):
        assert top_tags(score, range(7), k=k) == [pairs[:k] for pairs in whole]
    assert top_tags(score, range(7)) == [pairs[:5] for pairs in whole]


# -------------------------------------------------------------------- errors
WRONG = {
    "a list per tag": (
        (Y, [np.ones((4, 2))] * 3),
        r"one array of shape \(n_clips, n_tags\), got a list of 3 .*column_stack",
    ),
    "an uneven list": ((Y, [np.ones((4, 1)), np.ones((4, 2))]), "got a list of 2"),
    "three axes": ((Y, np.ones((4, 3, 2))), r"y_score .* got shape \(4, 3, 2\)"),
    "one axis": ((Y, SCORE[:, 0]), r"y_score .* got shape \(4,\)\. Pass a column"),
    "classes": ((Y[:, 0], SCORE), r"y_true as a matrix .* got shape \(4,\)"),
    "counts": ((2 * Y, SCORE), r"zeros and ones .* got the values \[0, 2\]"),
    "fewer tags": ((Y[:, :2], SCORE), "y_true has 2 tags and y_score has 3"),
    "fewer clips": ((Y[:3], SCORE), r"inconsistent numbers of samples: \[3, 4\]"),
    "no number": ((Y, np.full((4, 3), np.nan)), "y_score contains NaN"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize(
    "function", [tag_report, mean_tag_roc_auc, mean_tag_average_precision]
)
def test_wrong_input(function, what):
    arguments, match = WRONG[what]
    with pytest.raises(ValueError, match=match):
        function(*arguments)


@pytest.mark.parametrize(
    ("names", "got"),
    [(["a", "b"], "got 2"), ("abc", "got 'abc'"), (list("abcd"), "got 4")],
)
def test_wrong_number_of_names(names, got):
    with pytest.raises(ValueError, match=f"name for each of the 3 tags, {got}"):
        tag_report(Y, SCORE, tag_names=names)
    with pytest.raises(ValueError, match=f"name for each of the 3 tags, {got}"):
        top_tags(SCORE, names, k=1)


def test_top_tags_without_names():
    with pytest.raises(ValueError, match="Expected the names of the tags, got None"):
        top_tags(SCORE, None)


@pytest.mark.parametrize("k", [0, 4, 2.0, True, None])
def test_wrong_k(k):
    with pytest.raises(ValueError, match=f"integer from 1 to 3, .* got {k}"):
        top_tags(SCORE, list("abc"), k=k)
