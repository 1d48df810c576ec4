"""ListeningReport: figures are right, every clip is there, limits are kept."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binomtest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skaudio.ensemble import LateFusionClassifier
from skaudio.inspection import ListeningReport
from skaudio.inspection._listening_report_clips import listening_order, names_of
from skaudio.inspection._listening_report_scores import (
    average_precisions,
    macro_f1,
    proportion,
    weighted_precisions,
)
from skaudio.inspection._listening_report_sounds import (
    frequency_ticks,
    in_priority,
    png,
    spectrogram,
)
from skaudio.inspection._players import encoded
from skaudio.model_selection import TagThresholdClassifier
from skaudio.neural_network import MultiViewBlendingClassifier
from skaudio.preprocessing import AudioLoader, FrameStatistics
from skaudio.views import MelView, MFCCView, ViewUnion

SR = 8000
TRAIN, TEST = slice(0, 12), slice(12, 24)


def pipeline(head, **options):
    view = MFCCView(sr=SR, **options)
    return make_pipeline(view, FrameStatistics(), StandardScaler(), head)


@pytest.fixture(scope="module")
def clips(_sounds):
    X, y = _sounds
    return X[TRAIN], y[TRAIN], X[TEST], y[TEST]


@pytest.fixture(scope="module")
def fitted(clips):
    X, y, *_ = clips
    return pipeline(LogisticRegression()).fit(X, y)


@pytest.fixture(scope="module")
def report(fitted, clips):
    _, _, X, y = clips
    groups = np.arange(12) // 2
    return ListeningReport.from_estimator(fitted, X, y, groups=groups, method="pca")


def data_of(page):
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page
    )
    return json.loads(text)


def decoded(uri):
    kind, _, data = uri.partition(",")
    return kind, io.BytesIO(base64.b64decode(data, validate=True))


def image_of(uri):
    image = pytest.importorskip("matplotlib.image")
    return image.imread(decoded(uri)[1], format="png")


# ------------------------------------------------------------------------ intervals
@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 7), (7, 7), (180, 200)])
def test_intervals_are_wilsons(k, n):
    hits, members = np.arange(n + 5) < k, np.arange(n + 5) < n
    reference = binomtest(k, n).proportion_ci(method="wilson")
    assert_allclose(proportion(hits, members), (k / n, *reference))
    each_its_own = proportion(hits, members, np.arange(n + 5))
    assert_allclose(each_its_own, (k / n, *reference))


def test_copies_of_a_clip_say_nothing_new():
    hits = np.array([True, True, False, True, False])
    everything = np.ones(5, bool)
    wanted = proportion(hits, everything)
    copied = proportion(hits.repeat(9), everything.repeat(9), np.arange(5).repeat(9))
    assert_allclose(copied, wanted)
    all_right = proportion(np.ones(45, bool), np.ones(45, bool), np.arange(5).repeat(9))
    assert_allclose(all_right, proportion(np.ones(5, bool), everything))


def test_resamples_are_of_sources():
    """So that three copies of every clip change nothing."""
    rng = np.random.default_rng(0)
    y, said = rng.integers(0, 3, (2, 30))
    tags, scores = rng.integers(0, 2, (30, 2)).astype(float), rng.random((30, 2))
    sources = np.arange(30).repeat(3)

    def seeded():
        return np.random.RandomState(0)

    assert_allclose(
        macro_f1(y.repeat(3), said.repeat(3), 3, sources, 50, seeded()),
        macro_f1(y, said, 3, None, 50, seeded()),
    )
    copied = average_precisions(
        tags.repeat(3, 0), scores.repeat(3, 0), sources, 50, seeded()
    )
    for found, wanted in zip(
        copied, average_precisions(tags, scores, None, 50, seeded()), strict=True
    ):
        assert_allclose(found, wanted)


def test_what_is_not_defined_is_nan():
    none = np.zeros(3, bool)
    assert np.isnan(proportion(none, none)).all()
    value, low, high = proportion(~none, ~none, np.zeros(3, int))
    assert value == 1
    assert np.isnan([low, high]).all()


def test_intervals_with_sources_hold_the_truth():
    """95 % of them; those that take clips for independent hold it far less often."""
    rng = np.random.default_rng(0)
    groups, everything = np.arange(20).repeat(8), np.ones(160, bool)
    held = np.zeros(2)
    for _ in range(400):
        shares = rng.beta(0.8, 0.2, 20)  # most sources are all right or all wrong
        hits = rng.random((20, 8)) < shares[:, None]
        for i, sources in enumerate((groups, None)):
            _, low, high = proportion(hits.ravel(), everything, sources)
            held[i] += low <= 0.8 <= high
    assert 0.9 <= held[0] / 400 <= 0.99
    assert held[1] / 400 < 0.75


def test_average_precision_with_weights_and_ties():
    rng = np.random.default_rng(0)
    truth = (rng.random((40, 3)) < 0.4).astype(float)
    scores = rng.random((40, 3)).round(1)
    weights = rng.integers(0, 4, (5, 40)).astype(float)
    found = weighted_precisions(truth, scores, weights)
    for row, w in enumerate(weights):
        for tag in range(3):
            wanted = average_precision_score(
                truth[:, tag], scores[:, tag], sample_weight=w
            )
            assert found[row, tag] == pytest.approx(wanted)
    truth[:30, 0] = np.nan  # unknown ones do not count
    wanted = average_precision_score(truth[30:, 0], scores[30:, 0])
    assert weighted_precisions(truth, scores, np.ones((1, 40)))[0, 0] == pytest.approx(
        wanted
    )


# -------------------------------------------------------------------------- figures
def test_scores_are_those_of_scikit_learn(report, fitted, clips):
    _, _, X, y = clips
    predicted = fitted.predict(X)
    assert report.classes == fitted.classes_.tolist()
    assert_array_equal(report.confusion_matrix, confusion_matrix(y, predicted))
    *wanted, counts = precision_recall_fscore_support(
        y, predicted, zero_division=np.nan
    )
    assert_allclose(report.scores[["precision", "recall", "f1"]].T, wanted)
    assert report.scores["n_clips"].tolist() == counts.tolist()
    summary = report.summary
    assert summary["accuracy"] == np.mean(predicted == y)
    assert summary["macro_f1"] == pytest.approx(f1_score(y, predicted, average="macro"))
    assert summary["n_sources"] == 6
    assert summary["n_mistakes"] == (predicted != y).sum()
    for name in ("accuracy", "macro_f1"):
        assert summary[f"{name}_low"] < summary[name] < summary[f"{name}_high"]
    f1, low, high = report.scores[["f1", "f1_low", "f1_high"]].to_numpy().T
    known = np.isfinite(low)
    assert (low[known] <= f1[known]).all()
    assert (f1[known] <= high[known]).all()


def test_the_table_has_every_clip(report, fitted, clips):
    _, _, X, y = clips
    proba, table = fitted.predict_proba(X), report.clips
    assert_array_equal(table["true"], y)
    assert_array_equal(table["predicted"], fitted.predict(X))
    assert_array_equal(report.proba, proba)
    assert_allclose(table["probability"], proba.max(axis=1))
    top = np.sort(proba)[:, ::-1]
    assert_allclose(table["margin"], top[:, 0] - top[:, 1])
    of_truth = proba[np.arange(12), np.searchsorted(fitted.classes_, y)]
    assert_array_equal(table["rank"], 1 + (proba > of_truth[:, None]).sum(axis=1))
    assert table["source"].tolist() == [str(row // 2) for row in range(12)]
    assert sorted(table["order"]) == [*range(12)]


def test_sure_mistakes_come_first_then_what_is_least_certain():
    right = [True, False, None, True, False, True]
    confidence = np.array([0.9, 0.5, np.nan, 0.6, 0.8, 0.7])
    margin = np.array([0.8, 0.1, np.nan, 0.3, 0.7, np.nan])
    order = listening_order(right, confidence, margin)
    assert np.argsort(order).tolist() == [4, 1, 3, 0, 5, 2]


def test_mistakes_get_sound_first_then_halves():
    right = [False] * 2 + [True] * 10
    labels = ["a", "b"] + ["a"] * 8 + ["b"] * 2
    margin = np.linspace(0, 1, 12)
    rows = in_priority(range(12), right, margin, labels, 8, np.random.RandomState(0))
    assert rows[:5] == [0, 1, 2, 3, 4]
    drawn = [labels[row] for row in rows[5:]]
    assert sorted(drawn) in (["a", "a", "b"], ["a", "b", "b"])  # class by class
    assert len({*rows}) == 8


@pytest.mark.parametrize(
    "head",
    [
        KNeighborsClassifier(),
        SVC(random_state=0),
        NearestCentroid(),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2),
    ],
    ids=lambda head: type(head).__name__,
)
def test_predictions_are_those_of_the_model(clips, head):
    X, y, X_test, y_test = clips
    model = pipeline(head).fit(X, y)
    found = ListeningReport.from_estimator(
        model, X_test, y_test, max_clips=0, method="pca"
    )
    assert found.clips["predicted"].tolist() == model.predict(X_test).tolist()
    if isinstance(head, SVC):
        assert found.score_name == "decision_function"
        assert_array_equal(found.proba, model.decision_function(X_test))
        assert found.clips["probability"].isna().all()
        assert "no predict_proba" in " ".join(found.notes)


def test_a_threshold_is_honoured(clips):
    X, y, X_test, y_test = clips
    is_noise = y == "noise"
    model = FixedThresholdClassifier(pipeline(LogisticRegression()), threshold=0.01)
    model.fit(X, is_noise)
    found = ListeningReport.from_estimator(
        model, X_test, y_test == "noise", max_clips=0, method="pca"
    )
    predicted = model.predict(X_test)
    assert (predicted != (model.predict_proba(X_test)[:, 1] > 0.5)).any()
    assert found.clips["predicted"].tolist() == [str(said) for said in predicted]


class Counting(TransformerMixin, BaseEstimator):
    """Counts its calls."""

    calls = 0

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        type(self).calls += 1
        return X

    def __sklearn_is_fitted__(self):
        return True


def test_steps_before_the_last_run_once(clips):
    X, y, X_test, y_test = clips
    model = make_pipeline(Counting(), pipeline(LogisticRegression())).fit(X, y)
    before = Counting.calls
    ListeningReport.from_estimator(model, X_test, y_test, max_clips=0)
    assert Counting.calls == before + 1


def test_branches_and_members_speak(clips):
    X, y, X_test, y_test = clips
    views = ViewUnion([("mel", MelView(sr=SR)), ("mfcc", MFCCView(sr=SR))])
    net = MultiViewBlendingClassifier(width=0.05, max_epochs=1, random_state=0)
    model = make_pipeline(views, net).fit(X, y)
    found = ListeningReport.from_estimator(
        model, X_test, y_test, max_clips=0, method="pca"
    )
    seen = views.transform(X_test)
    for name, proba in net.branch_proba(seen).items():
        assert_allclose(found.branches[name], proba, rtol=1e-6)
    assert list(found.branches) == ["mel", "mfcc", "joint"]
    assert "last hidden layer" in found.embedding_caption
    member = make_pipeline(FrameStatistics(), StandardScaler(), LogisticRegression())
    fusion = LateFusionClassifier(member).fit(views.transform(X), y)
    found = ListeningReport.from_estimator(fusion, seen, y_test)
    assert list(found.branches) == ["mel", "mfcc"]
    assert not found.sounds
    assert "pass sounds=" in " ".join(found.notes)
    found = ListeningReport.from_estimator(
        fusion, seen, y_test, sounds=X_test, sr=SR, max_clips=2
    )
    assert len(found.sounds) == 2


def test_views_are_not_taken_for_sound(clips):
    X, y, *_ = clips
    mel = MelView(sr=SR).transform(X)
    for views in (mel, [view[:, : 10 + row] for row, view in enumerate(mel)]):
        found = ListeningReport.from_predictions(views, y, y, sr=SR)
        assert not found.sounds
        assert "pass sounds=" in " ".join(found.notes)
    stereo = [np.stack([clip, clip]) for clip in X]
    found = ListeningReport.from_predictions(stereo, y, y, sr=SR, max_clips=1)
    assert len(found.sounds) == 1


# ----------------------------------------------------------------- what is not usual
def test_clips_that_cannot_be_loaded_keep_their_rows(clips, tmp_path):
    X, y, X_test, y_test = clips
    model = pipeline(LogisticRegression(), on_error="nan").fit(X, y)
    paths = [tmp_path / f"{row}.wav" for row in range(12)]
    for path, clip in zip(paths, X_test, strict=True):
        soundfile.write(path, clip, SR)
    whole = ListeningReport.from_estimator(model, paths, y_test, max_clips=0)
    paths[3].write_bytes(b"no sound")
    paths[7] = tmp_path / "missing.wav"
    found = ListeningReport.from_estimator(model, paths, y_test)
    others = np.setdiff1d(np.arange(12), [3, 7])
    assert found.clips["right"].isna().to_numpy().nonzero()[0].tolist() == [3, 7]
    columns = ["name", "true", "predicted", "probability"]
    pd.testing.assert_frame_equal(
        found.clips.loc[others, columns], whole.clips.loc[others, columns]
    )
    assert "not audio" in found.clips["remark"][3]
    assert "missing.wav" in found.clips["remark"][7]
    assert sorted(found.clips["order"][[3, 7]]) == [10, 11]
    assert sorted(found.sounds) == others.tolist()
    assert found.confusion_matrix.sum() == 10
    assert "2 of 12 clips have no prediction" in " ".join(found.notes)
    assert len(data_of(found.to_html())["clips"]) == 12


def test_clips_may_fail_at_several_steps(clips):
    X, y, X_test, y_test = clips
    model = make_pipeline(
        AudioLoader(sr=SR, on_error="nan"),
        pipeline(LogisticRegression(), center=False, on_error="nan"),
    ).fit(X, y)
    ragged = [*X_test]
    ragged[1] = ragged[1] * np.nan  # no sound
    ragged[4] = ragged[4][:7]  # shorter than one frame
    found = ListeningReport.from_estimator(model, ragged, y_test, max_clips=3)
    whole = ListeningReport.from_estimator(model, [*X_test], y_test, max_clips=0)
    others = np.setdiff1d(np.arange(12), [1, 4])
    assert found.clips["right"].isna().to_numpy().nonzero()[0].tolist() == [1, 4]
    assert "NaN" in found.clips["remark"][1]
    assert "Clip 4 of X is too short" in found.clips["remark"][4]
    assert_array_equal(found.proba[others], whole.proba[others])
    assert np.isnan(found.proba[[1, 4]]).all()


def test_a_class_that_the_model_does_not_know(fitted, clips):
    _, _, X, y = clips
    y = y.astype(object)
    y[:2] = "owl"
    found = ListeningReport.from_estimator(fitted, X, y, max_clips=0)
    assert found.classes == [*fitted.classes_, "owl"]
    assert found.confusion_matrix[-1].sum() == 2
    assert found.confusion_matrix[:, -1].sum() == 0
    assert found.clips["right"][:2].tolist() == [False, False]
    assert found.clips["rank"].isna()[:3].tolist() == [True, True, False]
    assert "does not know the class 'owl': its 2 clips" in " ".join(found.notes)


def test_one_clip_one_class_one_source(fitted, clips):
    _, _, X, y = clips
    found = ListeningReport.from_estimator(fitted, X[:1], y[:1], groups=["s"])
    assert found.embedding is None
    assert np.isnan(found.summary["accuracy_low"])
    assert {"n_clips": 1, "n_sources": 1}.items() <= found.summary.items()
    data_of(found.to_html())
    found = ListeningReport.from_predictions(X[:3], ["a"] * 3, np.ones((3, 1)), sr=SR)
    assert found.summary["accuracy"] == 1
    assert found.clips["margin"].isna().all()


def test_numbers_as_labels_take_names(clips):
    X, y, X_test, y_test = clips
    names, codes = np.unique(y, return_inverse=True)
    model = pipeline(LogisticRegression()).fit(X, codes)
    found = ListeningReport.from_estimator(
        model,
        X_test,
        np.searchsorted(names, y_test),
        class_names=names,
        max_clips=0,
    )
    assert found.clips["true"].tolist() == y_test.tolist()
    plain = ListeningReport.from_estimator(
        model, X_test, np.searchsorted(names, y_test), max_clips=0
    )
    assert plain.classes == ["0", "1", "2", "3"]


def test_predictions_of_folds(clips):
    _, _, X, y = clips
    classes = np.unique(y)
    proba = (classes == y[:, None]) * 0.4 + 0.15
    proba[2] = np.nan
    proba[5] = proba[5][::-1]
    found = ListeningReport.from_predictions(X, y, proba, sr=SR, max_clips=0)
    assert found.clips["right"].isna()[2]
    assert found.summary["n_mistakes"] == 1
    assert found.clips["order"][5] == 0
    labels = ListeningReport.from_predictions(X, y, y[::-1], sr=SR, max_clips=0)
    assert labels.clips["predicted"].tolist() == y[::-1].tolist()
    assert labels.proba is None
    assert "gives no probabilities" in " ".join(labels.notes)


def test_a_matrix_of_too_many_classes_is_not_drawn():
    """A thousand classes would be a million cells."""
    for n, is_drawn in ((100, True), (101, False)):
        y = np.tile(np.arange(n), 2)
        found = ListeningReport.from_predictions(
            np.zeros((2 * n, 80)), y, np.eye(n)[y], sr=SR, max_clips=0, method="pca"
        )
        data = data_of(found.to_html())
        assert (data["confusion"] is not None) == is_drawn
        assert ("is too large to be drawn" in " ".join(data["notes"])) != is_drawn
        assert found.confusion_matrix.shape == (n, n)


# ----------------------------------------------------------------------------- tags
def test_predicted_tags_have_bars():
    """However many are more probable."""
    y, proba = np.eye(7, dtype=int), np.tile(np.linspace(0.6, 0.9, 7), (7, 1))
    proba[0] = [0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    found = ListeningReport.from_predictions(
        np.zeros((7, 80)), y, proba, sr=SR, max_clips=0
    )
    bars = [clip["bars"] for clip in data_of(found.to_html())["clips"]]
    assert [code for code, _ in bars[0]] == [0, 1, 2, 3, 4]
    assert sorted(code for code, _ in bars[1]) == [*range(7)]


def test_tags_are_those_of_the_model(clips):
    """By name where both have some; scores of other columns would be nonsense."""
    X, y, X_test, y_test = clips
    names = np.unique(y)
    tags = pd.DataFrame((y[:, None] == names).astype(int), columns=names)
    truth = (y_test[:, None] == names).astype(int)
    model = pipeline(TagThresholdClassifier(KNeighborsClassifier(3), cv=2))
    model.fit(X, tags)
    found = ListeningReport.from_estimator(model, X_test, truth, max_clips=0)
    assert found.classes == names.tolist()
    turned = pd.DataFrame(truth[:, ::-1], columns=names[::-1])
    with pytest.raises(ValueError, match=r"columns of y are .* in fit were"):
        ListeningReport.from_estimator(model, X_test, turned, max_clips=0)
    with pytest.raises(ValueError, match=r"columns of y are .* in fit were"):
        model.score(X_test, turned)
    proba = model.predict_proba(X_test)
    told = ListeningReport.from_predictions(
        X_test, truth, proba, classes=names, sr=SR, max_clips=0
    )
    assert told.classes == names.tolist()
    with pytest.raises(ValueError, match=r"columns of y are"):
        ListeningReport.from_predictions(
            X_test, turned, proba, classes=names, sr=SR, max_clips=0
        )


def test_tags(clips):
    X, y, X_test, y_test = clips
    names = np.unique(y)
    tags = pd.DataFrame((y[:, None] == names).astype(int), columns=names)
    tags["any"] = 1
    model = pipeline(KNeighborsClassifier(3)).fit(X, tags)
    truth = pd.DataFrame((y_test[:, None] == names).astype(float), columns=names)
    truth["any"] = 1.0
    found = ListeningReport.from_estimator(model, X_test, truth, max_clips=0)
    assert found.classes == [*names, "any"]
    assert found.confusion_matrix is None
    predicted, proba = model.predict(X_test), model.predict_proba(X_test)
    scores = np.stack([p[:, -1] for p in proba], axis=1)
    assert_allclose(found.proba, scores)
    assert_allclose(
        found.scores["average_precision"],
        [
            average_precision_score(truth[n], s)
            for n, s in zip(truth, scores.T, strict=True)
        ],
    )
    wanted = precision_recall_fscore_support(truth, predicted, zero_division=np.nan)
    assert_allclose(found.scores[["precision", "recall", "f1"]].T, wanted[:3])
    right = (predicted == truth.to_numpy()).all(axis=1)
    assert found.clips["right"].tolist() == right.tolist()
    assert found.summary["exact_match"] == right.mean()
    assert found.clips["true"][0] == (y_test[0], "any")
    low, high = (
        found.summary[f"mean_average_precision_{end}"] for end in ("low", "high")
    )
    assert low < found.summary["mean_average_precision"] < high
    truth.iloc[0] = np.nan
    truth.iloc[1:, 0] = np.where(predicted[1:, 0] == 1, np.nan, truth.iloc[1:, 0])
    unknown = ListeningReport.from_estimator(model, X_test, truth, max_clips=0)
    assert unknown.clips["right"].isna().tolist() == [True] + [False] * 11
    assert np.isnan(unknown.scores["precision"].iloc[0])
    assert data_of(unknown.to_html())["clips"][0]["right"] is None


# --------------------------------------------------------------------------- sounds
@pytest.mark.parametrize("audio", ["ogg", "flac", "wav"])
def test_sounds_are_those_of_the_clips(fitted, clips, audio):
    _, _, X, y = clips
    found = ListeningReport.from_estimator(fitted, X, y, audio=audio, method="pca")
    assert list(found.sounds) == [*range(12)]
    for row in (0, 11):
        kind, file = decoded(found.sounds[row].source)
        assert kind == f"data:audio/{audio};base64"
        played, sr = soundfile.read(file)
        assert sr == SR
        assert len(played) == X.shape[1]
        if audio == "ogg":
            assert np.corrcoef(played, X[row])[0, 1] > 0.7
        else:
            assert_allclose(played, X[row], rtol=0, atol=1 / 2**15)


def test_long_sounds_become_ogg():
    # libsndfile ends the process if it is given so many samples at once
    _, file = decoded(encoded(np.zeros(3_000_000), 44_100, "ogg"))
    assert soundfile.info(file).frames == 3_000_000


def test_long_loud_and_silent_clips_say_so():
    t = np.arange(SR) / SR
    X = [
        np.sin(2 * np.pi * 500 * t),
        np.zeros(SR // 2),
        4 * np.sin(2 * np.pi * 500 * t),
    ]
    proba = [[0.9, 0.1]] * 3
    how = {"sr": SR, "audio": "wav", "max_duration": 0.75}
    found = ListeningReport.from_predictions(X, [0, 1, 1], proba, **how)
    remarks = [sound.remarks for sound in found.sounds.values()]
    assert remarks == [
        ("first 0.75 s of 1.0 s",),
        ("silent",),
        ("first 0.75 s of 1.0 s", "played at 1/4 of its level, which passes 1"),
    ]
    assert [sound.seconds for sound in found.sounds.values()] == [0.75, 0.5, 0.75]
    assert "2 longer ones are cut to 0.75 s" in found.notes[-1]
    played = [soundfile.read(decoded(s.source)[1])[0] for s in found.sounds.values()]
    assert [len(wave) for wave in played] == [6000, 4000, 6000]
    assert_allclose(played[2], played[0], rtol=0, atol=2 / 2**15)
    half = ListeningReport.from_predictions([x / 2 for x in X], [0, 1, 1], proba, **how)
    loud = ListeningReport.from_predictions(
        [x / 2 for x in X], [0, 1, 1], proba, normalize=True, **how
    )
    peaks = [
        [
            np.abs(soundfile.read(decoded(s.source)[1])[0]).max()
            for s in r.sounds.values()
        ]
        for r in (half, loud)
    ]
    assert_allclose(peaks, [[0.5, 0, 1], [1, 0, 1]], atol=1e-4)


def test_pictures_show_time_and_frequency():
    t = np.arange(2 * SR) / SR
    wave = np.where(t < 1, np.sin(2 * np.pi * 500 * t), np.sin(2 * np.pi * 2000 * t))
    image = image_of(spectrogram(wave, SR))[..., :3].sum(axis=2)
    n_bins, n_frames = image.shape
    assert (n_bins, n_frames) == (64, 251)
    ticks = dict(frequency_ticks(SR))
    for frame, label in ((60, "500 Hz"), (190, "2 kHz")):
        place = 1 - (image[:, frame].argmax() + 0.5) / n_bins
        assert place == pytest.approx(ticks[label], abs=0.02)
    assert list(dict(frequency_ticks(16400)))[-1] == "4 kHz"  # 8 has no room above it
    long = image_of(spectrogram(np.tile(wave, 20), SR))
    assert long.shape[1] == 320
    assert image_of(spectrogram(np.zeros(SR), SR))[..., :3].max() < 0.1


def test_png_holds_the_colours():
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (7, 3), dtype=np.uint8)
    levels = rng.integers(0, 7, (5, 9), dtype=np.uint8)
    uri = "data:image/png;base64," + base64.b64encode(png(levels, palette)).decode()
    assert_allclose(image_of(uri)[..., :3], palette[levels] / 255, atol=1e-6)


@pytest.mark.parametrize("max_size", [80_000, 120_000])
def test_the_page_stays_within_its_limit(fitted, clips, max_size):
    _, _, X, y = clips
    found = ListeningReport.from_estimator(
        fitted, X, y, audio="wav", max_size=max_size, method="pca"
    )
    page = found.to_html()
    assert max_size - 20_000 < len(page.encode()) <= max_size
    n = len(found.sounds)
    assert 0 < n < 12
    first = found.clips.index[found.clips["order"] < min(n, 3)]
    assert {*first} <= {*found.sounds}
    assert f"{n} of 12 clips can be heard" in found.notes[-1]
    assert f"max_size={max_size:,}" in found.notes[-1]
    left = found.clips.drop(index=[*found.sounds])
    assert left["remark"].eq("Without sound, to keep the page small.").all()


def test_links_lead_to_the_files(fitted, clips, tmp_path):
    _, _, X, y = clips
    folder = tmp_path / "sounds & more"
    folder.mkdir()
    paths = [folder / f"no. {row}#.wav" for row in range(12)]
    for path, clip in zip(paths, X, strict=True):
        soundfile.write(path, clip, SR)
    (tmp_path / "pages").mkdir()
    found = ListeningReport.from_estimator(fitted, paths, y, audio="link", method="pca")
    found.save(tmp_path / "pages" / "report.html")
    data = data_of((tmp_path / "pages" / "report.html").read_text())
    assert len(data["sounds"]) == 12
    for row, sound in data["sounds"].items():
        link = tmp_path / "pages" / unquote(sound["source"])
        assert link.resolve() == paths[int(row)].resolve()
    assert str(tmp_path) not in json.dumps(data)


def test_names_of_files_tell_them_apart(tmp_path):
    assert names_of(["a/x.wav", "b/y.wav"], 2) == ["x.wav", "y.wav"]
    paths = [tmp_path / "a" / "x.wav", tmp_path / "b" / "x.wav"]
    assert names_of(paths, 2) == ["a/x.wav", "b/x.wav"]
    assert names_of([np.zeros(3), "x.wav"], 2) == ["clip 0", "x.wav"]
    assert names_of(np.zeros((2, 9)), 2) == ["clip 0", "clip 1"]


# ----------------------------------------------------------------------------- page
def test_only_its_own_script_and_style_may_run(report):
    page = report.to_html()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"""(src|href)=["'](?!data:)|@import|url\(""", page)
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|eval|fetch\(", script)


def test_a_notebook_gets_the_page_in_a_frame(report):
    (page,) = re.findall(r'srcdoc="([^"]*)"', report._repr_html_())
    assert html.unescape(page) == report.to_html()
    assert repr(report).startswith("ListeningReport of 12 clips, 4 classes: accuracy ")


def test_one_seed_one_page(fitted, clips):
    _, _, X, y = clips
    how = {"audio": "wav", "max_clips": 5}
    pages = [
        ListeningReport.from_estimator(fitted, X, y, random_state=seed, **how).to_html()
        for seed in (0, 0, 1)
    ]
    assert pages[0] == pages[1] != pages[2]


def test_odd_names_do_not_end_the_script(clips):
    _, _, X, y = clips
    evil = ["</script>", "<!--", "\u2028&\udc80", "{{ script }}"]
    proba = np.eye(4)[np.unique(y, return_inverse=True)[1]]
    found = ListeningReport.from_predictions(
        X, y, proba, class_names=evil, title=evil[2], sr=SR, max_clips=0
    )
    page = found.to_html()
    page.encode()  # halves of characters could not be written
    assert page.count("</script>") == 2
    assert data_of(page)["classes"] == evil


# --------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"audio": "mp3"}, r"audio must be one of .*'ogg'.*; got 'mp3'"),
        ({"method": "umap"}, r"method must be one of .*; got 'umap'"),
        ({"max_clips": -1}, "max_clips must be a whole number of clips, 0 for none"),
        ({"max_duration": 0}, "max_duration must be a number of seconds above 0"),
        ({"max_size": 1000}, r"takes [\d,]+ bytes without any sound, .*max_size=1000"),
        ({"class_names": ["a"]}, "a name for each of the model's 4 classes; got 1"),
        ({"class_names": list("aabc")}, "Two classes have the name 'a'"),
        ({"groups": [1, 2]}, "inconsistent numbers of samples"),
        ({"names": ["a"]}, "inconsistent numbers of samples"),
        ({"sounds": np.zeros((2, 99))}, "inconsistent numbers of samples"),
        ({"embedder": 3}, "embedder must be a fitted transformer or an array"),
        ({"embedder": np.zeros((2, 3))}, "a row for each of 12 clips; got 2"),
    ],
)
def test_errors(fitted, clips, options, message):
    _, _, X, y = clips
    error = TypeError if "fitted transformer" in message else ValueError
    with pytest.raises(error, match=message):
        ListeningReport.from_estimator(fitted, X, y, **{"method": "pca", **options})


def test_errors_about_labels_and_rates(fitted, clips):
    _, _, X, y = clips
    with pytest.raises(ValueError, match=r"No class in y is known.*both numbers\?"):
        ListeningReport.from_estimator(fitted, X, np.arange(12) % 3)
    with pytest.raises(ValueError, match="y is an indicator matrix of tags, but"):
        ListeningReport.from_estimator(fitted, X, np.eye(12, dtype=int))
    with pytest.raises(TypeError, match=r"needs a fitted classifier.*got MFCCView"):
        ListeningReport.from_estimator(MFCCView(), X, y)
    with pytest.raises(ValueError, match="rate of the arrays in X is not known"):
        ListeningReport.from_predictions(X, y, y)
    with pytest.raises(ValueError, match=r"a column for each of 4 .* shape \(12, 2\)"):
        ListeningReport.from_predictions(X, y, np.zeros((12, 2)), sr=SR)
    with pytest.raises(ValueError, match="got one path"):
        ListeningReport.from_estimator(fitted, "a.wav", y)
