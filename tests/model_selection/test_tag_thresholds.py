"""A threshold for every tag, found on clips that were left out."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import FixedThresholdClassifier, KFold, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio.model_selection import TagThresholdClassifier
from skaudio.neural_network import CRNNClassifier
from skaudio.persistence import load, save
from skaudio.preprocessing import ViewScaler


class Given(ClassifierMixin, BaseEstimator):
    """Its X are the probabilities; notes what it was trained on."""

    def __init__(self, seen=None):
        self.seen = seen

    def fit(self, X, y, groups=None):
        self.seen.append((len(X), None if groups is None else set(groups)))
        self.classes_ = np.arange(np.shape(y)[1])
        return self

    def predict_proba(self, X):
        return X

    def __sklearn_clone__(self):
        return self


@pytest.fixture
def rare():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    return X, (X + 0.5 * rng.normal(size=X.shape) > [0, 1, 2]).astype(int)


def test_thresholds_by_hand():
    """Best F1 between 0.3 and 0.4, and at any place between 0.2 and 0.8."""
    proba = np.array([[0.1, 0.2], [0.3, 0.1], [0.4, 0.8], [0.6, 0.9]])
    y = np.array([[0, 0], [0, 0], [1, 1], [1, 1]])
    clf = TagThresholdClassifier(Given([]), cv=2).fit(proba, y)
    np.testing.assert_allclose(clf.thresholds_, [0.35, 0.5])
    np.testing.assert_array_equal(clf.best_scores_, [1, 1])
    np.testing.assert_array_equal(clf.predict(proba), y)
    # of thresholds that are equally good, the one nearest to one half
    ends = TagThresholdClassifier(Given([]), cv=2).fit(
        np.c_[[0.1, 0.3, 0.6, 0.9], proba[:, 0]], np.c_[[1, 0, 0, 1], y[:, 0]]
    )
    np.testing.assert_allclose(ends.thresholds_[0], 0.75)
    assert ends.best_scores_[0] == pytest.approx(2 / 3)
    # nothing is better than everything where the tag is at the lowest probability
    clf.fit(proba, [[1, 0], [1, 0], [1, 1], [0, 1]])
    assert clf.thresholds_[0] < 0.1
    assert clf.best_scores_[0] == pytest.approx(6 / 7)


def test_they_are_those_of_a_search(rare):
    X, y = (part[:60] for part in rare)
    model = OneVsRestClassifier(LogisticRegression())
    cv = KFold(4, shuffle=True, random_state=0)
    clf = TagThresholdClassifier(model, cv=cv, n_thresholds=1000).fit(X, y)
    proba = cross_val_predict(model, X, y, cv=cv, method="predict_proba")
    for k in range(3):
        best = max(f1_score(y[:, k], proba[:, k] > t) for t in [0, *proba[:, k]])
        assert clf.best_scores_[k] == pytest.approx(best)
        found = f1_score(y[:, k], proba[:, k] > clf.thresholds_[k])
        assert found == pytest.approx(best)


def test_rare_tags_are_found(rare):
    X, y = rare
    model = make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression()))
    clf = TagThresholdClassifier(model).fit(X[:120], y[:120])
    plain = f1_score(y[120:], clf.estimator_.predict(X[120:]), average=None)
    tuned = f1_score(y[120:], clf.predict(X[120:]), average=None)
    assert tuned.mean() > plain.mean()


def test_sources_are_not_divided_and_go_on():
    seen, groups = [], np.repeat([5, 6, 7, 8], 3)
    proba = np.random.default_rng(0).uniform(size=(12, 2))
    TagThresholdClassifier(Given(seen), cv=2).fit(proba, proba > 0.5, groups=groups)
    assert [n for n, _ in seen] == [6, 6, 12]
    assert seen[0][1].isdisjoint(seen[1][1])
    assert seen[0][1] | seen[1][1] == seen[2][1] == {5, 6, 7, 8}
    seen.clear()
    pipe = make_pipeline(StandardScaler(), Given(seen))
    TagThresholdClassifier(pipe, cv=2).fit(proba, proba > 0.5, groups=groups)
    assert seen[2][1] == {5, 6, 7, 8}
    model = OneVsRestClassifier(LogisticRegression())  # takes none
    TagThresholdClassifier(model, cv=2).fit(proba, proba > 0.5, groups=groups)


def test_unknown_tags_and_tags_of_all_or_none():
    proba = np.array([[0.1, 0.2, 0.3], [0.3, 0.1, 0.3], [0.4, 0.8, 0.1], [0.6, 0.9, 0]])
    y = np.array([[0, 1, 0], [np.nan, 1, 0], [1, 1, 0], [1, 1, 0]])
    clf = TagThresholdClassifier(Given([]), cv=2).fit(proba, y)
    np.testing.assert_allclose(clf.thresholds_, [0.25, 0.5, 0.5])
    np.testing.assert_array_equal(np.isnan(clf.best_scores_), [False, True, True])


def test_names_lists_of_probabilities_and_metrics(rare):
    X, y = rare
    table = pd.DataFrame(y, columns=["rain", "dog", "bell"])
    forest = RandomForestClassifier(20, random_state=0)
    clf = TagThresholdClassifier(forest, cv=3, metric="balanced_accuracy")
    clf.fit(X, table)
    assert clf.classes_.tolist() == ["rain", "dog", "bell"]
    assert clf.predict_proba(X).shape == (200, 3)
    assert clf.score(X, y) > 0.9
    rather_not = clone(clf).set_params(metric=lambda y, decided: -decided.sum())
    assert (rather_not.fit(X, y).thresholds_ > clf.thresholds_).all()


def test_networks_keep_names_of_tags(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(16, 4, 6)).astype(np.float32)
    y = pd.DataFrame(rng.integers(2, size=(16, 2)), columns=["rain", "dog"])
    net = CRNNClassifier(
        width=0.05, max_epochs=1, class_weight={"dog": 3}, random_state=0
    )
    model = TagThresholdClassifier(make_pipeline(ViewScaler(), net), cv=2).fit(X, y)
    assert model.classes_.tolist() == ["rain", "dog"]
    inner = model.estimator_[-1]
    assert inner.classes_.tolist() == ["rain", "dog"]
    save(model, tmp_path / "m")
    again = load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(again.thresholds_, model.thresholds_)
    assert again.estimator_[-1].classes_.tolist() == ["rain", "dog"]
    with pytest.raises(ValueError, match=r"columns are 'dog', 'rain'; .*'rain', 'dog'"):
        clone(net).fit(X, y, X_valid=X, y_valid=y[["dog", "rain"]])
    for fitted in (model, inner):
        with pytest.raises(ValueError, match=r"columns of y are 'dog', 'rain'; those"):
            fitted.score(X, y[["dog", "rain"]])
        assert fitted.score(X, y) == fitted.score(X, y.to_numpy())
    by_name, by_number = (
        clone(net).set_params(class_weight={tag: 3}).fit(X, tags).predict_proba(X)
        for tag, tags in (("dog", y), (1, y.to_numpy()))
    )
    np.testing.assert_array_equal(by_name, by_number)
    unweighted = clone(net).set_params(class_weight=None).fit(X, y).predict_proba(X)
    assert (by_name != unweighted).any()
    with pytest.raises(ValueError, match="'cat', which is none of the classes"):
        clone(net).set_params(class_weight={"cat": 2}).fit(X, y)


def test_classes_pass_through():
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 3
    clf = TagThresholdClassifier(DummyClassifier()).fit(X, y)
    assert clf.thresholds_ is None
    assert clf.predict(X).tolist() == clf.estimator_.predict(X).tolist()
    # also of one that does not decide by the highest probability
    tuned = FixedThresholdClassifier(LogisticRegression(), threshold=0.4)
    clf = TagThresholdClassifier(tuned).fit(X, y == 2)
    assert 0 < clf.predict(X).sum() < 20
    assert clf.predict(X).tolist() == clf.estimator_.predict(X).tolist()
