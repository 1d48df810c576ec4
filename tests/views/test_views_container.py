"""Views: several arrays that behave as one array of clips."""

import copy
import pickle
import sys

import joblib
import numpy as np
import pytest
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, train_test_split
from sklearn.multiclass import OneVsOneClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC
from sklearn.utils import _safe_indexing, indexable

from skaudio._utils._container import ClipArrays, stack_or_object
from skaudio.neural_network import CRNNClassifier
from skaudio.preprocessing import FrameStatistics
from skaudio.views import Views

N = 12


@pytest.fixture
def views():
    rng = np.random.default_rng(0)
    ragged = np.empty(N, dtype=object)
    for i in range(N):
        ragged[i] = rng.standard_normal((2, i + 1))
    return Views(
        {"mel": rng.standard_normal((N, 4, 10)), "ragged": ragged},
        rates={"mel": 5.0, "ragged": 2.0},
    )


def test_counts_clips(views):
    assert views.shape == (N,)
    assert len(views) == N
    assert views.ndim == 1
    assert views.names == ("mel", "ragged")
    assert views.n_bins == {"mel": 4, "ragged": 2}
    assert views.dtype == np.float64
    np.testing.assert_array_equal(views.n_frames("ragged"), np.arange(1, N + 1))
    np.testing.assert_allclose(
        views.durations, np.minimum(2.0, np.arange(1, N + 1) / 2)
    )
    assert repr(views) == "Views(12 clips; mel: 4 x 10, 5/s; ragged: 2 x any, 2/s)"


@pytest.mark.parametrize(
    "rows",
    [
        [3, 1, 1],
        np.array([5, 0]),
        slice(2, 9, 3),
        np.arange(N) % 2 == 0,
        (np.array([4, 2]), Ellipsis),
    ],
)
def test_rows_of_all_views(views, rows):
    chosen = views[rows]
    index = rows[0] if isinstance(rows, tuple) else rows
    np.testing.assert_array_equal(chosen["mel"], views["mel"][index])
    for found, expected in zip(chosen["ragged"], views["ragged"][index], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert chosen.rates == views.rates
    again = chosen[[1, 0]]
    np.testing.assert_array_equal(again["mel"], chosen["mel"][[1, 0]])


def test_one_clip_and_iteration(views):
    np.testing.assert_array_equal(views[3]["mel"], views["mel"][3])
    assert [clip["ragged"].shape[1] for clip in views] == list(range(1, N + 1))


def test_selecting_copies_nothing(views):
    chosen = views[:10][::2]
    assert np.shares_memory(chosen.clips("mel")[1], views["mel"])
    assert views["mel"] is views["mel"]


def test_pickles_only_selected_clips():
    views = Views({"raw": np.zeros((100, 1, 1000))}, {"raw": 1000.0})
    assert len(pickle.dumps(views[[7]])) < 20_000
    found = pickle.loads(pickle.dumps(views[[7, 9]]))
    assert found.shape == (2,)
    assert found.rates == {"raw": 1000.0}


def test_copies_and_hashes_by_value(views):
    twin = copy.deepcopy(views)
    np.testing.assert_array_equal(twin["mel"], views["mel"])
    assert joblib.hash(twin) == joblib.hash(views)
    assert joblib.hash(views[:5]) != joblib.hash(views[:6])


def test_splits_with_scikit_learn(views):
    y = np.arange(N)
    train, test, y_train, y_test = train_test_split(views, y, random_state=0)
    for part, rows in ((train, y_train), (test, y_test)):
        assert isinstance(part, Views)
        np.testing.assert_array_equal(part["mel"], views["mel"][rows])
    seen = np.concatenate([test for _, test in KFold(4).split(views)])
    np.testing.assert_array_equal(np.sort(seen), y)
    assert indexable(views, y)[0] is views
    np.testing.assert_array_equal(
        _safe_indexing(views, [2, 1])["mel"], views["mel"][[2, 1]]
    )


def test_flatten(views):
    flat = views.select(["mel"]).flatten()
    np.testing.assert_array_equal(flat, views["mel"].reshape(N, 40))
    both = Views({"a": views["mel"], "b": views["mel"]}, {"a": 50, "b": 50}).flatten()
    np.testing.assert_array_equal(both, np.concatenate([flat, flat], axis=1))
    with pytest.raises(TypeError, match="'ragged' has clips of different lengths"):
        views.flatten()


@pytest.mark.parametrize(
    "estimator",
    [
        SVC(random_state=0),
        LogisticRegression(),
        RandomForestClassifier(2, random_state=0),
        KNeighborsClassifier(1),
        StandardScaler(),
        BaggingClassifier(CRNNClassifier(), 2, random_state=0),
        OneVsOneClassifier(CRNNClassifier()),
        SelfTrainingClassifier(CRNNClassifier()),
    ],
    ids=lambda e: type(e).__name__,
)
def test_estimators_of_tables_refuse_views_in_fit(views, estimator):
    """As they refuse an array with three axes; what would help is said."""
    mel = views.select(["mel"])
    y = np.arange(N) % 2
    with pytest.raises(TypeError, match=r"Put FrameStatistics\(\) between.*flatten"):
        estimator.fit(mel, y)


def test_what_to_put_between(views):
    mel, y = views.select(["mel"]), np.arange(N) % 2
    for between in (FrameStatistics(), FunctionTransformer(lambda X: X.flatten())):
        model = make_pipeline(between, KNeighborsClassifier(1))
        assert len(model.fit(mel, y).predict(mel)) == N


def test_size_is_that_of_the_clips(views):
    """Schedulers go by it: what looks small is sent with every task."""
    mel, few = views.select(["mel"]), views[[0, 2]]
    assert sys.getsizeof(mel) == pytest.approx(views["mel"].nbytes, abs=200)
    size = few["mel"].nbytes + sum(a.nbytes for a in few["ragged"])
    assert sys.getsizeof(few) == pytest.approx(size, abs=200)


def test_rows_are_copied_once_for_all_tasks(views, tmp_path):
    """joblib writes every array that it does not know to disk."""
    part = views.select(["mel"])[::2]
    states = [part.__getstate__() for _ in range(3)]
    assert len({id(state["_arrays"]["mel"]) for state in states}) == 1
    np.testing.assert_array_equal(states[0]["_arrays"]["mel"], views["mel"][::2])
    again = pickle.loads(pickle.dumps(part))
    np.testing.assert_array_equal(again[[1]]["mel"], part[[1]]["mel"])
    assert len(pickle.dumps(part)) < 1.2 * views["mel"].nbytes


def test_select_and_map(views):
    assert views[[1, 2]].select(["ragged"]).names == ("ragged",)
    doubled = views[[1, 2]].select(["mel"]).map(lambda name, array: 2 * array)
    np.testing.assert_array_equal(doubled["mel"], 2 * views["mel"][[1, 2]])
    with pytest.raises(KeyError, match="No view named 'cqt'"):
        views.select(["cqt"])
    with pytest.raises(KeyError, match="No view named 'cqt'"):
        views["cqt"]


@pytest.mark.parametrize(
    ("arrays", "rates", "message"),
    [
        ({}, {}, "needs at least one view"),
        ({"a": np.zeros((2, 3, 4))}, {"b": 1.0}, "one rate per view"),
        ({"a": np.zeros((2, 3))}, {"a": 1.0}, "must be an array"),
        (
            {"a": np.zeros((2, 3, 4)), "b": np.zeros((3, 3, 4))},
            {"a": 1.0, "b": 1.0},
            "same number of clips; got a: 2, b: 3",
        ),
        ({"a": [np.zeros((2, 3)), np.zeros((3, 3))]}, {"a": 1.0}, "equal n_bins"),
    ],
)
def test_impossible_views(arrays, rates, message):
    with pytest.raises(ValueError, match=message):
        Views(arrays, rates)


def test_durations_need_rates():
    with pytest.raises(ValueError, match="no rates, so their durations are unknown"):
        _ = Views({"a": np.zeros((2, 3, 4))}, {"a": None}).durations


def test_arrays_of_clips_are_collected_as_they_would_be_stacked():
    rng = np.random.default_rng(0)
    equal = [rng.normal(size=(2, 3)) for _ in range(4)]
    ragged = [rng.normal(size=(2, n)) for n in (3, 3, 4, 3)]
    mixed = [*equal[:2], *(a.astype(np.float32) for a in equal[2:])]
    for clips in (equal, ragged, mixed, []):
        arrays = ClipArrays(len(clips))
        arrays.extend(clips[:2])
        arrays.extend(clips[2:])
        found, expected = arrays.result(), stack_or_object(clips)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_rows_are_selected_as_numpy_selects_them(views):
    assert len(views[[]]) == 0
    assert views[np.array([], int)]["mel"].shape == (0, 4, 10)
    assert len(views[...,]) == N
    for key in (["mel"], [[0, 1], [2, 3]], np.array(3), [0.0], None):
        with pytest.raises(IndexError, match=r"numbers of rows or a mask.*select"):
            views[key]
