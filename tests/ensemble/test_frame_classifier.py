"""FrameClassifier: frames become rows, and votes are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator, check_param_validation

from skaudio.ensemble import FrameClassifier
from skaudio.mixture import GMMClassifier
from skaudio.views import MelView, Views, ViewUnion

VOTES = ("mean", "majority", "product")


class Spoken(ClassifierMixin, BaseEstimator):
    """Bin 0 of a frame *is* its probability of class 1; stores what it saw."""

    def fit(self, X, y):
        self.X_, self.y_ = X, y
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])

    def predict(self, X):
        return self.classes_[(X[:, 0] > 0.5).astype(int)]


def ragged(clips):
    out = np.empty(len(clips), dtype=object)
    for i, clip in enumerate(clips):
        out[i] = np.array(clip, dtype=float).reshape(1, -1)
    return out


CLIPS = ragged([[0.9, 0.4, 0.4], [0.2], [0.6, 0.6]])
Y = np.array(["no", "no", "yes"])


@pytest.mark.parametrize("vote", VOTES)
@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), GMMClassifier(n_components=1)]
)
@pytest.mark.usefixtures("restored_rng")
def test_scikit_learn_checks(estimator, vote):
    classifier = FrameClassifier(estimator, vote=vote)
    results = check_estimator(classifier, on_fail=None, on_skip=None)
    assert [r for r in results if r["status"] != "passed"] == []
    assert len(results) >= 55
    check_param_validation("FrameClassifier", classifier)


def test_every_frame_is_a_row_labelled_like_its_clip():
    X = np.arange(24.0).reshape(2, 3, 4)  # (clips, bins, frames)
    inner = FrameClassifier(Spoken()).fit(X, ["a", "b"]).estimator_
    assert_array_equal(inner.X_, np.concatenate([X[0].T, X[1].T]))
    assert_array_equal(inner.y_, ["a"] * 4 + ["b"] * 4)


def test_two_dimensional_X_is_one_frame_per_clip():
    X = np.array([[0.1, 5.0], [0.8, 6.0]])
    classifier = FrameClassifier(Spoken()).fit(X, [0, 1])
    assert_array_equal(classifier.estimator_.X_, X)
    assert_allclose(classifier.predict_proba(X)[:, 1], [0.1, 0.8])


@pytest.mark.parametrize(
    ("vote", "expected"),
    [
        ("mean", [1.7 / 3, 0.2, 0.6]),
        ("majority", [1 / 3, 0, 1]),
        # odds multiply: 9 * (2/3)^2 = 4, 1/4, 1.5^2 = 2.25
        ("product", [4 / 5, 0.2, 2.25 / 3.25]),
    ],
)
def test_votes(vote, expected):
    classifier = FrameClassifier(Spoken(), vote=vote).fit(CLIPS, Y)
    proba = classifier.predict_proba(CLIPS)
    assert_allclose(proba, np.column_stack([1 - np.array(expected), expected]))
    assert_array_equal(
        classifier.predict(CLIPS), np.where(np.array(expected) > 0.5, "yes", "no")
    )


def test_tied_majority_takes_the_first_class():
    clips = ragged([[0.9, 0.1], [0.8, 0.7]])
    classifier = FrameClassifier(Spoken(), vote="majority").fit(clips, ["no", "yes"])
    assert_allclose(classifier.predict_proba(clips)[0], [0.5, 0.5])
    assert classifier.predict(clips)[0] == "no"


def test_product_survives_impossible_frames():
    clips = ragged([[1.0, 0.0, 1.0], [0.0] * 5, [1.0] * 100_000])
    classifier = FrameClassifier(Spoken(), vote="product").fit(clips, [1, 0, 1])
    assert_allclose(classifier.predict_proba(clips)[:, 1], [1, 0, 1])


def test_majority_needs_no_probabilities(sounds_view):
    X, y = sounds_view
    svm = make_pipeline(StandardScaler(), LinearSVC(random_state=0))
    classifier = FrameClassifier(svm, vote="majority").fit(X, y)
    assert classifier.score(X, y) > 0.6
    assert not hasattr(classifier, "predict_frames_proba")
    with pytest.raises(ValueError, match="needs an estimator with predict_proba"):
        FrameClassifier(svm).fit(X, y)


def test_frame_probabilities_keep_time_last(sounds_view):
    X, y = sounds_view
    classifier = FrameClassifier(GaussianNB()).fit(X, y)
    tracks, times = classifier.predict_frames_proba(X)
    assert tracks.shape == (len(X), len(classifier.classes_), X.shape[2])
    assert_allclose(tracks.mean(axis=2), classifier.predict_proba(X))
    assert_allclose(
        tracks[3].T, classifier.estimator_.predict_proba(np.ascontiguousarray(X[3].T))
    )
    assert_array_equal(times, np.tile(np.arange(X.shape[2]), (len(X), 1)))
    clips = [X[0][:, :7], X[1]]
    some, times = classifier.predict_frames_proba(clips)
    assert [len(t) for t in times] == [7, X.shape[2]]
    assert [track.shape[1] for track in some] == [7, X.shape[2]]
    assert_allclose(some[0], tracks[0][:, :7])


@pytest.mark.parametrize("vote", VOTES)
def test_ragged_clips_are_predicted_as_if_alone(sounds_view, vote):
    X, y = sounds_view
    lengths = np.random.default_rng(0).integers(1, X.shape[2], size=len(X))
    clips = [x[:, :n] for x, n in zip(X, lengths, strict=True)]
    classifier = FrameClassifier(GaussianNB(), vote=vote).fit(clips, y)
    alone = np.concatenate([classifier.predict_proba([clip]) for clip in clips])
    assert_allclose(classifier.predict_proba(clips), alone, rtol=1e-9)


def test_views_and_arrays_agree(sounds_view):
    X, y = sounds_view
    views = Views({"mel": X}, {"mel": 50.0})
    from_views = FrameClassifier(GaussianNB()).fit(views, y)
    from_array = FrameClassifier(GaussianNB()).fit(X, y)
    assert_array_equal(from_views.predict_proba(views), from_array.predict_proba(X))
    assert from_array.n_features_in_ == X.shape[1]
    assert list(from_views.view_names_in_) == ["mel"]


def test_frames_of_views_have_times():
    """An impulse is seen by frames that are centred around it."""
    sound = np.zeros((2, 8000), np.float32)
    sound[:, 4000] = 1.0  # at 0.5 s
    view = ViewUnion([("mel", MelView(sr=8000, n_mels=4, top_db=None))])
    views = view.fit_transform(sound)
    classifier = FrameClassifier(GaussianNB()).fit(views, ["a", "b"])
    proba, times = classifier.predict_frames_proba(views)
    assert times.shape == (2, proba.shape[2])
    assert_allclose(np.diff(times), 1 / views.rates["mel"])
    loudest = views["mel"][0].sum(axis=0).argmax()
    assert times[0, loudest] == pytest.approx(0.5)


def test_only_one_view():
    views = Views(
        {"mel": np.ones((4, 2, 3)), "cqt": np.ones((4, 5, 3))},
        dict.fromkeys(("mel", "cqt")),
    )
    with pytest.raises(ValueError, match=r"takes one view; got \('mel', 'cqt'\)"):
        FrameClassifier(GaussianNB()).fit(views, [0, 0, 1, 1])


def test_bins_are_fixed_and_frames_free(sounds_view):
    X, y = sounds_view
    classifier = FrameClassifier(GaussianNB()).fit(X, y)
    assert classifier.predict(X[:, :, :3]).shape == (len(X),)
    with pytest.raises(ValueError, match="features"):
        classifier.predict(X[:, :-1])


def test_dtype_follows_the_estimator(sounds_view):
    X, y = sounds_view
    for dtype in (np.float32, np.float64):
        clips = X.astype(dtype)
        logistic = LogisticRegression(max_iter=1000)
        # that of X, from scikit-learn 1.9 on
        expected = clone(logistic).fit(clips[..., 0], y).coef_.dtype
        classifier = FrameClassifier(logistic).fit(clips, y)
        assert classifier.estimator_.coef_.dtype == expected
        assert classifier.predict_proba(clips).dtype == expected


def test_needs_y_and_fit(sounds_view):
    X, _ = sounds_view
    with pytest.raises(ValueError, match="requires y to be passed"):
        FrameClassifier(GaussianNB()).fit(X, None)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        FrameClassifier(GaussianNB()).predict(X)


def test_parameters_reach_the_estimator(sounds_view):
    X, y = sounds_view
    pipeline = make_pipeline(StandardScaler(), GMMClassifier(random_state=0))
    search = GridSearchCV(
        FrameClassifier(pipeline),
        {
            "estimator__gmmclassifier__n_components": [1, 2],
            "vote": ["mean", "majority"],
        },
        cv=2,
    ).fit(X, y)
    assert search.best_score_ > 0.5
    assert set(search.cv_results_["param_vote"]) == {"mean", "majority"}


def test_chance_on_noise():
    X = np.random.default_rng(0).normal(size=(80, 4, 10))
    y = np.arange(80) % 4
    classifier = FrameClassifier(GMMClassifier(n_components=2, random_state=0))
    assert cross_val_score(classifier, X, y, cv=4).mean() < 0.45
    baseline = FrameClassifier(DummyClassifier()).fit(X, y)
    assert_allclose(baseline.predict_proba(X), 0.25)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_search_inside_divides_no_clip(wrapped):
    """Labels are noise: frames of a clip on both sides look like knowledge."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 8, 1)) + 0.1 * rng.normal(size=(40, 8, 20))
    y = rng.integers(0, 2, 40)
    search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 200]}, cv=4)
    model = FrameClassifier(
        make_pipeline(StandardScaler(), search) if wrapped else search
    )
    fitted = model.fit(X, y).estimator_
    fitted = fitted[-1] if wrapped else fitted
    assert fitted.best_score_ < 0.8
    assert fitted.n_splits_ == 4
    assert search.cv == 4
    source = np.arange(40) // 2
    other = model.fit(X, y, groups=source).estimator_
    other = other[-1] if wrapped else other
    assert other.best_score_ != fitted.best_score_
    with pytest.warns(UserWarning, match="groups parameter is ignored by KFold"):
        FrameClassifier(search.set_params(cv=KFold(2))).fit(X, y)
