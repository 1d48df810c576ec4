"""GMMClassifier against scikit-learn's mixtures, SciPy's densities and Bayes' rule."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from sklearn.utils.estimator_checks import (
    check_estimator,
    check_param_validation,
)

from skaudio.mixture import GMMClassifier, _gmm_classifier


@pytest.fixture
def restored_rng():
    """Some of scikit-learn's checks draw from the global generator: put it back."""
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


@pytest.fixture
def frames():
    """Three classes of 8 bins, each made of two clusters; unbalanced."""
    rng = np.random.default_rng(0)
    y = np.repeat(["cat", "dog", "owl"], [150, 100, 50])
    centres = rng.normal(scale=2, size=(3, 2, 8))
    which = np.unique(y, return_inverse=True)[1]
    X = centres[which, rng.integers(2, size=len(y))] + rng.normal(size=(len(y), 8))
    return X, y


@pytest.mark.parametrize(
    "classifier", [GMMClassifier(n_components=1), GMMClassifier(n_components=2)]
)
@pytest.mark.usefixtures("restored_rng")
def test_scikit_learn_checks(classifier):
    results = check_estimator(classifier, on_fail=None, on_skip=None)
    bad = [r for r in results if r["status"] != "passed"]
    assert bad == []
    assert len(results) >= 55
    check_param_validation("GMMClassifier", classifier)


def test_one_component_is_gaussian_naive_bayes(frames):
    X, y = frames
    ours = GMMClassifier(n_components=1, reg_covar=0, random_state=0).fit(X, y)
    naive = GaussianNB(var_smoothing=0).fit(X, y)
    assert_allclose(ours.predict_proba(X), naive.predict_proba(X), rtol=1e-6)
    assert_allclose(
        ours.predict_joint_log_proba(X), naive.predict_joint_log_proba(X), rtol=1e-9
    )


def test_joint_log_proba_is_the_sum_over_components(frames):
    X, y = frames
    classifier = GMMClassifier(n_components=3, random_state=0).fit(X, y)
    for i, label in enumerate(classifier.classes_):
        m = classifier.mixtures_[i]
        density = sum(
            w * multivariate_normal.pdf(X, mean, np.diag(cov))
            for w, mean, cov in zip(m.weights_, m.means_, m.covariances_, strict=True)
        )
        expected = np.log(density) + np.log(np.mean(y == label))
        assert_allclose(classifier.predict_joint_log_proba(X)[:, i], expected)


def test_each_class_has_its_own_mixture(frames):
    X, y = frames
    classifier = GMMClassifier(n_components=2, n_init=5, random_state=0).fit(X, y)
    for label, mixture in zip(classifier.classes_, classifier.mixtures_, strict=True):
        rows = X[y == label]
        reference = GaussianMixture(
            2, covariance_type="diag", reg_covar=1e-3, n_init=5, random_state=1
        ).fit(rows)
        assert mixture.score(rows) == pytest.approx(reference.score(rows), abs=1e-2)
    assert_array_equal(classifier.n_components_, [2, 2, 2])
    assert (classifier.n_iter_ >= 1).all()


def test_two_clusters_per_class_need_two_components():
    # classes on opposite corners: the means of both classes are the same
    rng = np.random.default_rng(0)
    corners = np.array([[3, 3], [-3, -3], [3, -3], [-3, 3]])
    which = rng.integers(4, size=400)
    X, y = corners[which] + rng.normal(size=(400, 2)), which // 2
    one, two = (
        GMMClassifier(n_components=k, random_state=0).fit(X, y).score(X, y)
        for k in (1, 2)
    )
    assert one < 0.7
    assert two > 0.98


@pytest.mark.parametrize(
    ("priors", "expected"),
    [
        (None, [0.5, 1 / 3, 1 / 6]),
        ("uniform", [1 / 3] * 3),
        ([1, 1, 2], [0.25, 0.25, 0.5]),
    ],
)
def test_priors(frames, priors, expected):
    X, y = frames
    by_frequency = GMMClassifier(n_components=2, random_state=0).fit(X, y)
    classifier = GMMClassifier(n_components=2, priors=priors, random_state=0).fit(X, y)
    assert_allclose(classifier.class_prior_, expected)
    likelihood = by_frequency.predict_joint_log_proba(X) - np.log([1 / 2, 1 / 3, 1 / 6])
    assert_allclose(
        classifier.predict_joint_log_proba(X), likelihood + np.log(expected)
    )


@pytest.mark.parametrize("priors", [[0.5, 0.5], [1, 0, 1], [1, 1, -1]])
def test_bad_priors(frames, priors):
    with pytest.raises(
        ValueError, match=r"3 positive numbers.*\['cat', 'dog', 'owl'\]"
    ):
        GMMClassifier(n_components=1, priors=priors).fit(*frames)


def test_small_classes_get_a_component_per_row(frames):
    X, y = frames
    keep = np.r_[:150, 150:155, 299]  # 150 cats, 5 dogs, 1 owl
    classifier = GMMClassifier(n_components=20, random_state=0)
    with pytest.warns(UserWarning, match=r"n_components=20 \('dog': 5, 'owl': 1\)"):
        classifier.fit(X[keep], y[keep])
    assert_array_equal(classifier.n_components_, [20, 5, 1])
    owl = classifier.mixtures_[2]
    assert_allclose(owl.means_, X[[299]])
    assert_allclose(owl.covariances_, 1e-3)
    assert_array_equal(classifier.predict(X[keep]), y[keep])


def test_float32_far_from_the_origin():
    # silence: coefficients stuck at -500 dB with tiny deltas lose their variance when
    # it is computed as a difference of squares in float32
    rng = np.random.default_rng(0)
    X = (rng.normal(scale=1e-3, size=(200, 4)) - 500).astype(np.float32)
    y = np.arange(200) % 2
    X[y == 1] += 0.5
    classifier = GMMClassifier(n_components=3, reg_covar=1e-6, random_state=0)
    assert classifier.fit(X, y).score(X, y) == 1.0


def test_far_away_frames_have_finite_joint_and_proper_proba(frames):
    X, y = frames
    classifier = GMMClassifier(n_components=2, random_state=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        proba = classifier.predict_proba(X + 1e4)
        logs = classifier.predict_log_proba(X + 1e4)
    assert np.isfinite(classifier.predict_joint_log_proba(X + 1e4)).all()
    assert_allclose(proba.sum(axis=1), 1)
    assert (logs.max(axis=1) == 0).all()
    assert (logs.min(axis=1) == -np.inf).all()


def test_blocks_do_not_change_predictions(frames, monkeypatch):
    X, y = frames
    classifier = GMMClassifier(n_components=2, random_state=0).fit(X, y)
    whole = classifier.predict_joint_log_proba(X)
    monkeypatch.setattr(_gmm_classifier, "_BLOCK", 14)  # 7 rows at a time
    assert_allclose(classifier.predict_joint_log_proba(X), whole, rtol=1e-12)


def test_same_seed_same_model_for_any_n_jobs(frames):
    X, y = frames
    expected = GMMClassifier(n_components=4, random_state=3).fit(X, y).predict_proba(X)
    for n_jobs in (None, 2):
        again = GMMClassifier(n_components=4, random_state=3, n_jobs=n_jobs).fit(X, y)
        assert_array_equal(again.predict_proba(X), expected)
        copy = pickle.loads(pickle.dumps(again))
        assert_array_equal(copy.predict_proba(X), expected)


def test_unfitted():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        GMMClassifier().predict([[0.0]])


@pytest.mark.filterwarnings("ignore")  # NumPy's, of overflows
def test_values_whose_squares_are_infinite_are_an_error():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), np.arange(40) % 2
    with pytest.raises(ValueError, match=r"too large|infinity|not finite"):
        GMMClassifier(random_state=0).fit(X * 1e160, y)
    gmm = GMMClassifier(random_state=0).fit(X, y)
    X[7] = 1e200
    with pytest.raises(ValueError, match="Row 7 of X is too large"):
        gmm.predict(X)
