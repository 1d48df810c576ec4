"""LateFusionClassifier: clones, weights, routing and equality with doing it by hand."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator, check_param_validation

from skaudio.ensemble import FrameClassifier, LateFusionClassifier
from skaudio.mixture import GMMClassifier
from skaudio.neural_network import CRNNClassifier, SelfNormalizingClassifier
from skaudio.persistence import load, save
from skaudio.preprocessing import ViewScaler
from skaudio.views import Views

logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
NETWORK = SelfNormalizingClassifier(
    hidden_layer_sizes=(3,),
    max_epochs=2,
    validation_fraction=None,
    device="cpu",
    random_state=0,
)


class Listener(ClassifierMixin, BaseEstimator):
    """Stores what it was given; predicts the share of each class in the clips."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X, y, groups=None):
        self.X_, self.groups_ = X, groups
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = counts / len(y)
        return self

    def predict_proba(self, X):
        return np.tile(self.shares_, (len(X), 1))

    def predict(self, X):
        return np.full(len(X), self.classes_[self.shares_.argmax()])


@pytest.fixture
def views(sounds_view):
    """Three views of different sizes, one of them mono-band, and the classes."""
    X, y = sounds_view
    arrays = {"mel": X, "coarse": X[:, ::4, ::10], "raw": X.mean(axis=1)[:, None]}
    return Views(arrays, {"mel": 80.0, "coarse": 8.0, "raw": 80.0}), y


@pytest.mark.usefixtures("restored_rng")
@pytest.mark.parametrize(
    "classifier",
    [
        LateFusionClassifier(LogisticRegression()),
        LateFusionClassifier(GMMClassifier(n_components=1)),
        LateFusionClassifier(FrameClassifier(GaussianNB()), weights=[2.0]),
    ],
)
def test_scikit_learn_checks(classifier):
    results = check_estimator(classifier, on_fail=None, on_skip=None)
    assert [r for r in results if r["status"] != "passed"] == []
    assert len(results) >= 55
    check_param_validation("LateFusionClassifier", classifier)


@pytest.mark.parametrize("weights", [None, [1, 2, 3], [0, 0, 5]])
def test_same_as_by_hand(views, weights):
    X, y = views
    fused = LateFusionClassifier(logistic, weights=weights).fit(X, y)
    by_hand = {
        name: clone(logistic)
        .fit(X[name].reshape(len(X), -1), y)
        .predict_proba(X[name].reshape(len(X), -1))
        for name in X.names
    }
    branches = fused.branch_proba(X)
    assert list(branches) == ["mel", "coarse", "raw"]
    for name, proba in by_hand.items():
        assert_allclose(branches[name], proba)
    shares = np.array(weights or [1, 1, 1]) / sum(weights or [1, 1, 1])
    expected = sum(w * p for w, p in zip(shares, by_hand.values(), strict=True))
    assert_allclose(fused.predict_proba(X), expected)
    assert_array_equal(fused.predict(X), fused.classes_[expected.argmax(axis=1)])
    assert_allclose(fused.decision_function(X), np.log(expected))
    pair = np.isin(y, np.unique(y)[:2])
    fused.fit(X[pair], y[pair])
    odds = fused.predict_proba(X)
    assert_allclose(
        fused.decision_function(X), np.log(odds[:, 1] / odds[:, 0]), rtol=1e-6
    )


def test_every_clone_gets_its_view_and_rate(views):
    X, y = views
    template = Listener()
    fused = LateFusionClassifier(template).fit(X, y)
    assert not hasattr(template, "X_")
    assert list(fused.named_estimators_) == ["mel", "coarse", "raw"]
    for name, estimator in fused.named_estimators_.items():
        assert estimator in fused.estimators_
        assert estimator.X_.names == (name,)
        assert estimator.X_.rates == {name: X.rates[name]}
        assert_array_equal(estimator.X_[name], X[name])


@pytest.mark.parametrize(
    ("estimator", "flat"),
    [
        (LogisticRegression(max_iter=1000), True),
        (make_pipeline(None, StandardScaler(), GaussianNB()), True),
        (GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2), True),
        (FrameClassifier(GaussianNB()), False),
        (make_pipeline(ViewScaler(), FrameClassifier(GaussianNB())), False),
        (
            GridSearchCV(
                make_pipeline(
                    "passthrough", ViewScaler(), FrameClassifier(GaussianNB())
                ),
                {"frameclassifier__vote": ["mean", "majority"]},
                cv=2,
            ),
            False,
        ),
    ],
)
def test_views_are_flattened_for_estimators_of_tables(views, estimator, flat):
    X, y = views
    fused = LateFusionClassifier(estimator).fit(X, y)
    for name, proba in fused.branch_proba(X).items():
        alone = X[name].reshape(len(X), -1) if flat else X[name]
        expected = clone(estimator).fit(alone, y).predict_proba(alone)
        assert_allclose(proba, expected, rtol=1e-6)


def test_an_array_is_one_view_and_passed_as_it_is(sounds_view):
    X, y = sounds_view
    fused = LateFusionClassifier(Listener()).fit(X, y)
    assert list(fused.named_estimators_) == ["view"]
    assert fused.estimators_[0].X_ is X
    flat = X.reshape(len(X), -1)
    assert_array_equal(
        LateFusionClassifier(logistic).fit(flat, y).predict_proba(flat),
        clone(logistic).fit(flat, y).predict_proba(flat),
    )


def test_ragged_views(views):
    X, y = views
    clips = [c[:, : 5 + i] for i, c in enumerate(X.clips("mel"))]
    ragged = Views({"mel": clips, "raw": X["raw"]}, {"mel": 80.0, "raw": 80.0})
    fused = LateFusionClassifier(FrameClassifier(GaussianNB())).fit(ragged, y)
    alone = FrameClassifier(GaussianNB()).fit(clips, y)
    assert_allclose(fused.branch_proba(ragged)["mel"], alone.predict_proba(clips))


def test_order_of_views_does_not_matter_at_prediction(views):
    X, y = views
    fused = LateFusionClassifier(logistic, weights=[5, 2, 1]).fit(X, y)
    shuffled = X.select(["raw", "mel", "coarse"])
    assert_array_equal(fused.predict_proba(shuffled), fused.predict_proba(X))
    with pytest.raises(ValueError, match="has views"):
        fused.predict(X.select(["mel"]))


def test_float32_stays(views):
    X, y = views
    X = X.map(lambda name, array: array.astype(np.float32))
    frame_net = MLPClassifier((4,), tol=1e3, n_iter_no_change=1, random_state=0)
    for weights in (None, [1, 2, 3]):
        fused = LateFusionClassifier(FrameClassifier(frame_net), weights=weights)
        assert fused.fit(X, y).predict_proba(X).dtype == np.float32


@pytest.mark.parametrize("weights", [[1, 2], [1, 1, -1], [0, 0, 0], [[1, 1, 1]]])
def test_bad_weights(views, weights):
    with pytest.raises(
        ValueError, match=r"3 non-negative .*\['mel', 'coarse', 'raw'\]"
    ):
        LateFusionClassifier(logistic, weights=weights).fit(*views)


def test_estimator_needs_probabilities(views):
    with pytest.raises(ValueError, match=r"'estimator' parameter .* 'predict_proba'"):
        LateFusionClassifier(LinearSVC()).fit(*views)


def test_fit_parameters_reach_every_clone(views):
    X, y = views
    groups = np.arange(len(y)) // 2
    fused = LateFusionClassifier(Listener()).fit(X, y, groups=groups)
    assert all(e.groups_ is groups for e in fused.estimators_)
    fused = LateFusionClassifier(logistic).fit(X, y, groups=None)
    assert fused.score(X, y) > 0.5
    with pytest.raises(TypeError, match="groups"):
        LateFusionClassifier(GaussianNB()).fit(X, y, groups=groups)


def test_metadata_routing(views):
    X, y = views
    groups = np.arange(len(y)) // 2
    with config_context(enable_metadata_routing=True):
        asking = LateFusionClassifier(Listener().set_fit_request(groups=True))
        results = cross_validate(
            asking,
            X,
            y,
            params={"groups": groups},
            cv=GroupKFold(2),
            return_estimator=True,
            return_indices=True,
        )
        for fitted, train in zip(
            results["estimator"], results["indices"]["train"], strict=True
        ):
            assert all(
                np.array_equal(e.groups_, groups[train]) for e in fitted.estimators_
            )
        silent = LateFusionClassifier(Listener())
        with pytest.raises(UnsetMetadataPassedError, match="groups"):
            silent.fit(X, y, groups=groups)


def test_same_result_for_any_n_jobs_and_after_pickling(views):
    X, y = views
    gmm = FrameClassifier(GMMClassifier(n_components=3, random_state=0))
    fits = [LateFusionClassifier(gmm, n_jobs=n).fit(X, y) for n in (None, 2)]
    expected = fits[0].predict_proba(X)
    assert_array_equal(fits[1].predict_proba(X), expected)
    copy = pickle.loads(pickle.dumps(fits[0]))
    assert_array_equal(copy.predict_proba(X), expected)


def test_cross_validation_and_search(views):
    X, y = views
    fused = LateFusionClassifier(logistic)
    assert cross_val_score(fused, X, y, cv=3).mean() > 0.4
    grid = {"estimator__logisticregression__C": [1e-6, 1.0]}
    search = GridSearchCV(fused, grid, cv=3, scoring="neg_log_loss").fit(X, y)
    assert search.best_params_ == {"estimator__logisticregression__C": 1.0}


def test_needs_y_and_fit(views):
    X, _ = views
    with pytest.raises(ValueError, match="requires y to be passed"):
        LateFusionClassifier(logistic).fit(X, None)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        LateFusionClassifier(logistic).predict(X)


def test_an_estimator_set_after_fit_waits_for_the_next_one(views):
    X, y = views
    fusion = LateFusionClassifier(GaussianNB()).fit(X, y)
    before = fusion.predict_proba(X)
    network = CRNNClassifier(width=0.05, max_epochs=1, random_state=0)
    fusion.set_params(estimator=network)
    assert_array_equal(fusion.predict_proba(X), before)
    before = fusion.fit(X, y).predict_proba(X)
    fusion.set_params(estimator=GaussianNB())
    assert_array_equal(fusion.predict_proba(X), before)


# ------------------------------------------------------------- further clips in fit


def test_every_clone_gets_its_own_view_of_further_clips(views):
    """Whatever parameter of fit holds `Views`; everything else reaches all alike."""

    class Curious(Listener):
        def fit(self, X, y, X_valid=None, y_valid=None, elsewhere=None):
            self.valid_, self.y_valid_, self.elsewhere_ = X_valid, y_valid, elsewhere
            return super().fit(X, y)

    X, y = views
    shuffled = X[:7].select(["raw", "coarse", "mel"])
    fused = LateFusionClassifier(Curious()).fit(
        X, y, X_valid=shuffled, y_valid=y[:7], elsewhere=X[3:5]
    )
    for name, clone_of_it in fused.named_estimators_.items():
        assert clone_of_it.valid_.names == clone_of_it.elsewhere_.names == (name,)
        assert_array_equal(clone_of_it.valid_[name], X[name][:7])
        assert_array_equal(clone_of_it.elsewhere_[name], X[name][3:5])
        assert clone_of_it.valid_.rates == {name: X.rates[name]}
        assert clone_of_it.y_valid_.shape == (7,)


def test_further_clips_are_flattened_as_X_is(views):
    class Table(GaussianNB):
        def fit(self, X, y, X_valid=None):
            self.valid_ = X_valid
            return super().fit(X, y)

    X, y = views
    fused = LateFusionClassifier(Table()).fit(X, y, X_valid=X[:4])
    for name, part in fused.named_estimators_.items():
        assert_array_equal(part.valid_, X[name][:4].reshape(4, -1))


def test_further_clips_have_the_views_of_X(views):
    X, y = views
    with pytest.raises(
        ValueError, match=r"X_valid has the views \['mel'\], but X has \['mel', 'coars"
    ):
        LateFusionClassifier(Listener()).fit(X, y, X_valid=X.select(["mel"]))


def test_networks_validate_and_watch_their_own_view(views):
    X, y = views
    X = X.select(["mel", "coarse"])
    net = clone(NETWORK).set_params(validation_fraction=0.1)
    fused = LateFusionClassifier(net).fit(
        *(X[6:], y[6:]),
        **{"X_valid": X[:6], "y_valid": y[:6], "X_test": X[:3], "y_test": y[:3]},
        groups=np.arange(len(y) - 6),
        sample_weight=np.linspace(1, 2, len(y) - 6),
    )
    for name, part in fused.named_estimators_.items():
        alone = clone(net).fit(
            *(X.select([name])[6:], y[6:]),
            **{"X_valid": X.select([name])[:6], "y_valid": y[:6]},
            **{"X_test": X.select([name])[:3], "y_test": y[:3]},
            groups=np.arange(len(y) - 6),
            sample_weight=np.linspace(1, 2, len(y) - 6),
        )
        seconds = {"seconds"}
        for row, expected in zip(part.history_, alone.history_, strict=True):
            assert {k: v for k, v in row.items() if k not in seconds} == {
                k: v for k, v in expected.items() if k not in seconds
            }
        assert np.isfinite(part.history_[-1]["valid_loss"])


# ------------------------------------------------------------------------------ tags


@pytest.fixture
def tagged(views):
    X, y = views
    labels = np.unique(y)
    return X, np.stack([y == labels[0], y != labels[-1]], axis=1).astype(int)


MANY = {
    "network": NETWORK,
    "perceptron": MLPClassifier((4,), max_iter=5, random_state=0),
    "forest": RandomForestClassifier(3, random_state=0),
    "several": MultiOutputClassifier(GaussianNB()),
    "one against the rest": OneVsRestClassifier(LogisticRegression(max_iter=1000)),
    "behind a step": make_pipeline(
        StandardScaler(), MultiOutputClassifier(GaussianNB())
    ),
}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("name", MANY)
def test_tags_are_fused_as_by_hand(tagged, name):
    X, y = tagged
    fused = LateFusionClassifier(MANY[name], weights=[1, 2, 3]).fit(X, y)
    expected = 0
    for view, weight in zip(X.names, [1, 2, 3], strict=True):
        part = X.select([view])
        part = part if name == "network" else part.flatten()
        proba = clone(MANY[name]).fit(part, y).predict_proba(part)
        if isinstance(proba, list):
            proba = np.stack([of_tag[:, 1] for of_tag in proba], axis=1)
        assert_allclose(fused.branch_proba(X)[view], proba, rtol=1e-6)
        expected = expected + weight / 6 * proba
    assert_allclose(fused.predict_proba(X), expected, rtol=1e-6)
    decisions = fused.predict(X)
    assert decisions.shape == y.shape
    assert decisions.dtype.kind == "i"
    assert_array_equal(decisions, expected > 0.5)
    assert_array_equal(fused.decision_function(X) > 0, decisions)
    assert_array_equal(fused.classes_, [0, 1])
    assert fused.score(X, y) == (decisions == y).all(axis=1).mean()


def test_a_tag_that_all_clips_lack_or_have(tagged):
    X, y = tagged
    y = y.copy()
    y[:, 1] = 0
    forest = LateFusionClassifier(RandomForestClassifier(3, random_state=0))
    assert_array_equal(forest.fit(X, y).predict_proba(X)[:, 1], 0)
    y[:, 1] = 1
    assert_array_equal(forest.fit(X, y).predict_proba(X)[:, 1], 1)


def test_unknown_tags_are_left_to_networks_and_to_the_score(tagged):
    X, y = tagged
    unknown = y.astype(float)
    unknown[::2, 0] = np.nan
    fused = LateFusionClassifier(MANY["network"]).fit(X, unknown)
    right = (fused.predict(X) == y) | np.isnan(unknown)
    assert fused.score(X, unknown) == right.all(axis=1).mean()
    with pytest.raises(ValueError, match="NaN"):
        LateFusionClassifier(MANY["several"]).fit(X, unknown)


def test_tags_in_cross_validation_and_files(tagged, tmp_path):
    X, y = tagged
    fused = LateFusionClassifier(MANY["several"])
    scores = cross_val_score(fused, X, y, cv=2, scoring="average_precision")
    assert (scores > y.mean()).all()
    fused.fit(X, y)
    assert average_precision_score(y, fused.predict_proba(X)) > y.mean()
    network = LateFusionClassifier(MANY["network"]).fit(X, y)
    save(network, tmp_path / "fused.safetensors")
    loaded = load(tmp_path / "fused.safetensors")
    assert_array_equal(loaded.predict_proba(X), network.predict_proba(X))
    assert_array_equal(loaded.predict(X), network.predict(X))


def test_classes_after_tags_and_estimators_of_one_label(tagged, views):
    X, y = tagged
    fused = LateFusionClassifier(RandomForestClassifier(3, random_state=0)).fit(X, y)
    assert_array_equal(fused.fit(*views).classes_, np.unique(views[1]))
    assert fused.predict(X).shape == (len(X),)
    with pytest.raises(ValueError, match="1d array"):
        LateFusionClassifier(LogisticRegression()).fit(X, y)
