"""`probe_table`: the paper's protocol by hand, without leaks, each clip once."""

import warnings
from typing import ClassVar

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold, PredefinedSplit, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skaudio.embedding import LayerEmbedder, probe_table
from skaudio.neural_network import SampleCNNClassifier
from skaudio.preprocessing import FrameStatistics
from skaudio.views import MFCCView

FAST = {"head": "logistic", "n_repeats": 2}
FOLDS = [(np.arange(4, 12), np.arange(4)), (np.arange(8), np.arange(8, 12))]


def _same(X):
    return X


@pytest.fixture
def same():
    """An embedder of tables that needs no fit."""
    return FunctionTransformer(_same)


@pytest.fixture
def clips():
    """12 clips of 5 samples in two classes."""
    rng = np.random.default_rng(0)
    y = np.arange(12) % 2
    return rng.standard_normal((12, 5)) + y[:, None], y


class Watcher(TransformerMixin, BaseEstimator):
    """Notes the clips, by their first sample, that it is given."""

    learned: ClassVar[list] = []
    seen: ClassVar[list] = []

    def __init__(self, needs_fit=True):
        self.needs_fit = needs_fit

    def fit(self, X, y=None):
        if self.needs_fit:
            self.learned.append((np.asarray(X)[:, 0].tolist(), list(y)))
            self.memory_ = np.asarray(X)[:, 0]
        return self

    def transform(self, X):
        if self.needs_fit:
            check_is_fitted(self)
        self.seen.extend(np.asarray(X)[:, 0].tolist())
        return np.asarray(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.needs_fit
        return tags


@pytest.fixture(autouse=True)
def nothing_noted():
    Watcher.learned.clear()
    Watcher.seen.clear()


# --------------------------------------------------------------------- the figures
def test_counts_and_means_by_hand(same):
    """Means of folds of 4 and 2 clips, of which 3 and 1 are on their side."""
    X = np.array([-9, -8, -7, 7, 8, 9, -8, -8, 8, 8, 8, -8, 0, 0], dtype=float)
    y = np.array(["n"] * 3 + ["p"] * 3 + ["n", "n", "p", "n", "p", "p", "n", "p"])
    folds = [(np.arange(6), np.arange(6, 10)), (np.arange(1, 5), np.arange(10, 12))]
    table = probe_table(same, (X[:, None], y), cv=folds, **FAST)
    assert table.columns.tolist() == [
        *("embedder", "n_features", "accuracy", "accuracy_sd", "n_folds"),
        *("n_repeats", "n_train", "n_test", "converged"),
    ]
    assert table.to_dict("records") == [
        {
            "embedder": "FunctionTransformer",
            "n_features": 1,
            "accuracy": (3 / 4 + 1 / 2) / 2,
            "accuracy_sd": 0.0,
            "n_folds": 2,
            "n_repeats": 2,
            "n_train": 5.0,
            "n_test": 6,
            "converged": 1.0,
        }
    ]


def test_the_paper_s_protocol_in_plain_sklearn(same):
    rng = np.random.default_rng(0)  # noise, on which every seed does otherwise
    X, y = rng.standard_normal((80, 3)), rng.integers(2, size=80)
    folds = [(np.arange(30, 80), np.arange(30)), (np.arange(40), np.arange(40, 80))]
    table, scores = probe_table(
        *(same, (X, y)), cv=folds, n_repeats=3, random_state=7, return_scores=True
    )
    seeds = np.random.RandomState(7).randint(2**31 - 1, size=(3, 2))
    expected = np.empty((3, 2))
    for repeat in range(3):
        for fold, (train, test) in enumerate(folds):
            mean, sd = X[train].mean(axis=0), X[train].std(axis=0)
            net = MLPClassifier((256,), random_state=seeds[repeat, fold])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                net.fit((X[train] - mean) / sd, y[train])
            predicted = net.predict((X[test] - mean) / sd)
            expected[repeat, fold] = np.mean(predicted == y[test])
    found = scores.pivot(index="repeat", columns="fold", values="accuracy")
    np.testing.assert_array_equal(found, expected)
    runs = expected.mean(axis=1)
    assert table["accuracy"][0] == pytest.approx(runs.mean(), abs=1e-12)
    assert table["accuracy_sd"][0] == pytest.approx(np.std(runs, ddof=1), abs=1e-12)


def test_scores_of_every_head(clips, same):
    embedders = {"b": same, "a": make_pipeline(same, PCA(2))}
    table, scores = probe_table(embedders, clips, cv=FOLDS, return_scores=True, **FAST)
    assert table["embedder"].tolist() == ["b", "a"]
    assert table["n_features"].tolist() == [5, 2]
    keys = scores[["embedder", "fold", "repeat"]].to_records(index=False).tolist()
    assert keys == [(e, f, r) for e in "ba" for f in (0, 1) for r in (0, 1)]
    assert set(scores["n_train"]) == {8}
    assert set(scores["n_test"]) == {4}


def test_one_repetition_has_no_deviation(clips, same):
    table = probe_table(same, clips, cv=FOLDS, head="logistic", n_repeats=1)
    assert np.isnan(table["accuracy_sd"][0])


def test_features_that_differ_between_folds(same):
    """Two directions in one fold, one in the other."""
    X = np.zeros((12, 3))
    X[:4, 0] = X[4:8, 1] = X[8:, 0] = [-1, 1, -2, 2]
    y = np.arange(12) % 2
    folds = [(np.arange(8), np.arange(8, 12)), (np.arange(4), np.arange(4, 8))]
    table = probe_table(PCA(0.99), (X, y), cv=folds, **FAST)
    assert table["n_features"].tolist() == [1.5]


# ---------------------------------------------------------------------------- seeds
SMALL = {"cv": FOLDS, "hidden_layer_sizes": (4,), "max_iter": 5}


def test_a_seed_gives_one_table(clips, same):
    first = probe_table(same, clips, return_scores=True, **SMALL)
    again = probe_table(same, clips, return_scores=True, **SMALL)
    for a, b in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    with joblib.parallel_config("threading", n_jobs=2):
        there = probe_table(same, clips, **SMALL)
    pd.testing.assert_frame_equal(there, first[0], check_exact=True)
    other = probe_table(same, clips, random_state=1, **SMALL)
    assert other["accuracy"][0] != first[0]["accuracy"][0]


def test_further_repetitions_and_embedders_change_no_score(clips, same):
    few = probe_table(same, clips, n_repeats=2, return_scores=True, **SMALL)[1]
    embedders = {"other": make_pipeline(same, PCA(2)), "FunctionTransformer": same}
    many = probe_table(embedders, clips, n_repeats=4, return_scores=True, **SMALL)[1]
    kept = many[(many["embedder"] != "other") & (many["repeat"] < 2)]
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), few, check_exact=True)


def test_folds_that_are_drawn_are_the_same_for_all(clips, same):
    draw = np.random.RandomState(0)  # other folds at every call
    shuffled = StratifiedKFold(2, shuffle=True, random_state=draw)
    table, scores = probe_table(
        *({"a": same, "b": same}, clips), cv=shuffled, return_scores=True, **FAST
    )
    a, b = (scores[scores["embedder"] == name]["accuracy"].tolist() for name in "ab")
    assert a == b
    assert table["n_test"].tolist() == [12, 12]


# ---------------------------------------------------------------------------- leaks
def test_what_learns_sees_training_clips_only(clips):
    X, y = clips
    original = Watcher()
    probe_table(original, clips, cv=FOLDS, **FAST)
    assert Watcher.learned == [
        (X[train, 0].tolist(), y[train].tolist()) for train, _ in FOLDS
    ]
    assert not hasattr(original, "memory_")


class Cheat(TransformerMixin, BaseEstimator):
    """Knows the class of every clip that it was fitted on, and nothing of others."""

    def fit(self, X, y):
        self.known_ = dict(zip(np.asarray(X)[:, 0], y, strict=True))
        return self

    def transform(self, X):
        return np.array(
            [[self.known_.get(value, 0.5)] for value in np.asarray(X)[:, 0]]
        )


def test_a_memory_of_labels_is_worth_nothing():
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((40, 3)), np.arange(40) % 2
    table = probe_table(Cheat(), (X, y), cv=4, **FAST)
    assert table["accuracy"][0] == 0.5  # each fold has half of each class
    leaking = probe_table(Cheat().fit(X, y), (X, y), cv=4, **FAST)
    assert leaking["accuracy"][0] == 1  # what is fitted is used as it is


def test_standardised_by_training_clips(same):
    """Other statistics would put the test clips, all of one side, on both."""
    X = np.array([[-1.0], [1.0], [2.0], [3.0]])
    y = np.array([0, 1, 1, 1])
    split = [([0, 1], [2, 3])]
    table = probe_table(same, (X, y), cv=split, **FAST)
    assert table["accuracy"][0] == 1


# ---------------------------------------------------------------- each clip but once
@pytest.mark.parametrize("n_repeats", [1, 3])
@pytest.mark.parametrize(
    "embedder",
    [
        Watcher(needs_fit=False),
        make_pipeline(Watcher(needs_fit=False), FunctionTransformer(_same)),
        FeatureUnion([("a", Watcher(needs_fit=False)), ("b", "passthrough")]),
        make_pipeline("passthrough", Watcher(needs_fit=False), None),
    ],
)
def test_what_learns_nothing_embeds_each_clip_once(clips, embedder, n_repeats):
    X, _ = clips
    folds = [*FOLDS[1:], (np.arange(6), np.array([8, 6]))]  # clip 9 to 11 once
    folds[0] = (folds[0][0][::-1], np.array([8, 11]))  # clips 9 and 10 in none
    probe_table(embedder, clips, cv=folds, head="logistic", n_repeats=n_repeats)
    assert Watcher.seen == X[[*range(9), 11], 0].tolist()
    assert Watcher.learned == []


def test_fitted_and_frozen_parts_stay_as_they_are(clips):
    X, y = clips
    other = X + 100
    fitted = Watcher().fit(other, y)
    for embedder in (
        fitted,
        FrozenEstimator(fitted),
        make_pipeline(fitted, FunctionTransformer(_same)),
        make_union(fitted, FunctionTransformer(_same)),
    ):
        Watcher.seen.clear()
        probe_table(embedder, clips, cv=FOLDS, **FAST)
        assert Watcher.seen == X[:, 0].tolist()
    mixed = make_pipeline(fitted, StandardScaler())
    probe_table(mixed, clips, cv=FOLDS, **FAST)
    assert len(Watcher.learned) == 1  # by hand, above
    np.testing.assert_array_equal(fitted.memory_, other[:, 0])
    assert mixed[0] is fitted
    with pytest.raises(NotFittedError):
        check_is_fitted(mixed[1])


def test_statistics_of_frames_learn_nothing(clips):
    X, _ = clips
    frames = FunctionTransformer(_framed)
    embedder = make_pipeline(Watcher(needs_fit=False), frames, FrameStatistics())
    table = probe_table(embedder, clips, cv=FOLDS, **FAST)
    assert table["embedder"][0] == "Watcher, FunctionTransformer, FrameStatistics"
    assert table["n_features"][0] == 2
    assert Watcher.seen == X[:, 0].tolist()


def _framed(X):
    return X[:, None, :]


def test_layers_of_a_frozen_network_are_embedded_once(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((8, 800)).astype(np.float32), np.arange(8) % 2
    options = {"max_epochs": 1, "lr_schedule": "constant", "random_state": 0}
    net = SampleCNNClassifier(
        sr=8000, sizes=(3,) * 6, width=0.06, validation_fraction=None, **options
    ).fit(X, y)
    fits = []
    fit = LayerEmbedder.fit
    monkeypatch.setattr(
        *(LayerEmbedder, "fit"),
        lambda self, X, y=None, **kw: fits.append(len(X)) or fit(self, X, y, **kw),
    )
    embedder = LayerEmbedder(FrozenEstimator(net))
    table = probe_table(embedder, (X, y), cv=2, **FAST)
    assert fits == [8]
    assert table["n_features"][0] == embedder.fit(X).transform(X).shape[1]


# ----------------------------------------------------------------------------- data
def test_paths_folds_and_groups_of_a_fetched_data_set(tmp_path):
    rng = np.random.default_rng(0)
    y = np.array([0, 1] * 4)
    paths = []
    for i, label in enumerate(y):
        tone = (0.2 + 0.6 * label) * np.sin(0.3 * (1 + label) * np.arange(4000))
        paths.append(str(tmp_path / f"{i}.wav"))
        noise = 0.01 * rng.standard_normal(4000)
        soundfile.write(paths[-1], tone + noise, 8000, subtype="FLOAT")
    groups = np.repeat([3, 1, 2, 0], 2)
    folds = [(np.arange(4), np.arange(4, 6))]
    data = Bunch(paths=np.array(paths), target=y, groups=groups, cv=folds)
    mfcc = make_pipeline(MFCCView(sr=8000), FrameStatistics())
    table = probe_table(mfcc, data, **FAST)
    assert table[["n_folds", "n_train", "n_test"]].to_numpy().tolist() == [[1, 4, 2]]
    assert table["accuracy"][0] == 1
    grouped = probe_table(mfcc, data, cv=GroupKFold(4), **FAST)
    assert grouped[["n_folds", "n_train", "n_test"]].to_numpy().tolist() == [[4, 6, 8]]
    pair = (paths, y)
    again = probe_table(mfcc, pair, cv=GroupKFold(4), groups=groups, **FAST)
    pd.testing.assert_frame_equal(grouped, again)


def test_groups_that_folds_do_not_use(clips, same):
    X, y = clips
    groups = np.arange(12) // 2
    data = Bunch(paths=X, target=y, groups=groups, cv=PredefinedSplit(groups % 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probe_table(same, data, **FAST)["n_folds"][0] == 3
        assert probe_table(same, data, cv=2, **FAST)["n_folds"][0] == 2
    with pytest.warns(UserWarning, match="groups parameter is ignored"):
        probe_table(same, data, groups=groups, **FAST)


@pytest.mark.parametrize("kind", [list, pd.DataFrame, csr_array])
def test_containers_and_masks(clips, same, kind):
    X, y = clips
    masks = [(np.isin(range(12), a), np.isin(range(12), b)) for a, b in FOLDS]
    expected = probe_table(same, clips, cv=FOLDS, **FAST)
    found = probe_table(same, (kind(X), list(map(str, y))), cv=masks, **FAST)
    pd.testing.assert_frame_equal(found, expected)


def test_lists_of_clips_of_any_length():
    clips = [np.sin(0.4 * (1 + i % 2) * np.arange(3000 + 100 * i)) for i in range(8)]
    mfcc = make_pipeline(MFCCView(sr=8000), FrameStatistics())
    table = probe_table(mfcc, (clips, np.arange(8) % 2), cv=2, **FAST)
    assert table["accuracy"][0] == 1


# ----------------------------------------------------------------------- convergence
def test_heads_that_do_not_converge_are_counted(clips, same):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for max_iter, share in ((1, 0), (5000, 1)):
            table = probe_table(same, clips, cv=FOLDS, **FAST, max_iter=max_iter)
            assert table["converged"][0] == share
        svm = probe_table(same, clips, cv=FOLDS, head="svm", n_repeats=1)
        mlp = probe_table(same, clips, cv=FOLDS, n_repeats=1, max_iter=2)
    assert svm["converged"][0] == 1
    assert mlp["converged"][0] == 0


def test_other_warnings_of_heads_are_shown(clips, same):
    with pytest.warns(UserWarning, match=r"batch_size.*clipped"):
        probe_table(same, clips, cv=FOLDS, n_repeats=1, batch_size=100, max_iter=2)


# ---------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"head": "forest"}, "head must be one of"),
        ({"n_repeats": 0}, "n_repeats must be an int of 1 or more; got 0"),
        ({"n_repeats": 2.5}, "n_repeats must be an int of 1 or more; got 2.5"),
        ({"cv": None}, "cv is None, and data has no folds"),
        ({"cv": [([0, 1], [])]}, "Fold 0 of cv has 2 clips to train on and 0 to test"),
        (
            {"cv": [([0, 2], [1])]},
            "Fold 0 of cv trains on clips of one class, ",
        ),
        ({"groups": [1, 2]}, "inconsistent numbers of samples"),
    ],
)
def test_options_that_do_not_fit(clips, same, options, match):
    with pytest.raises(ValueError, match=match):
        probe_table(same, clips, **{"cv": FOLDS, **options})


def test_data_that_does_not_fit(clips, same):
    X, y = clips
    for data, match in (
        (X, "data must be a Bunch with paths and target.*got ndarray"),
        ((X, y, y), "got tuple"),
        (Bunch(data=X, target=y), "got Bunch"),
        ((X, np.eye(12, dtype=int)), r"one class per clip.*got shape \(12, 12\)"),
        ((X, y[:-1]), "inconsistent numbers of samples"),
        ((X, y + 0.5), "Unknown label type"),
    ):
        with pytest.raises(ValueError, match=match):
            probe_table(same, data, cv=FOLDS)


@pytest.mark.parametrize(
    ("embedders", "match"),
    [
        ({}, "embedders is empty"),
        ({"net": MLPClassifier()}, "'net' must be a transformer.*got MLPClassifier"),
        (StandardScaler, "must be a transformer.*got StandardScaler"),
        (None, "must be a transformer.*got NoneType"),
    ],
)
def test_what_is_no_embedder(clips, embedders, match):
    with pytest.raises(ValueError, match=match):
        probe_table(embedders, clips, cv=FOLDS)


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (_framed, r"'e' must give a table.*gave float64 of shape \(12, 1, 5\)"),
        (lambda X: X[:-1], r"for 12 clips it gave float64 of shape \(11, 5\)"),
        (lambda X: X.astype(str), "gave <U32 of shape"),
        (
            lambda X: np.where(np.isin(X, X[7, 2]), np.nan, X),
            "1 of 12 clips, first for clip 7",
        ),
    ],
)
def test_what_is_no_table_of_features(clips, function, match):
    with pytest.raises(ValueError, match=match):
        probe_table({"e": FunctionTransformer(function)}, clips, cv=FOLDS, **FAST)


def test_a_clip_without_features_is_named(clips):
    paths = [f"{i}.wav" for i in range(12)]

    def embed(paths):
        return np.array([[np.nan if path == "9.wav" else 1.0] for path in paths])

    with pytest.raises(ValueError, match=r"first for clip 9 \(9\.wav\)\. Repair"):
        probe_table(FunctionTransformer(embed), (paths, clips[1]), cv=FOLDS, **FAST)
