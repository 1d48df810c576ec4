"""Arrays of one view know their rate, as long as it is theirs."""

import copy
import pickle
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skaudio.neural_network import CRNNClassifier
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import MelView, RawView, ViewArray, Views, make_view_union

SR = 8000


@pytest.fixture(scope="module")
def clips():
    X = np.random.default_rng(0).normal(size=(12, 3 * SR)).astype(np.float32)
    return 0.1 * X, np.arange(12) % 2


@pytest.fixture(scope="module")
def view():
    return MelView(sr=SR, n_mels=8, hop_length=400)  # 20 frames per second


@pytest.fixture(scope="module")
def mel(view, clips):
    return view.transform(clips[0])


def network(**options):
    options = {"max_epochs": 1, "width": 0.05, "random_state": 0} | options
    return CRNNClassifier(**options)


def test_clips_keep_the_rate_and_nothing_else_does(mel):
    assert mel.rate == 20
    for same in (mel[3:], mel[[5, 1]], mel[np.arange(12) > 3], 2 * mel, mel + 1):
        assert same.rate == 20
    for other in (mel[0], mel[:, 1:], mel[:, :, ::2], mel.mean(axis=-1), mel.ravel()):
        assert getattr(other, "rate", None) is None
    assert type(np.asarray(mel)) is np.ndarray
    assert ViewArray(np.zeros((2, 3, 4))).rate is None


@pytest.mark.parametrize("n_frames", [5, 4])
def test_axes_that_change_places_have_no_rate(n_frames):
    """Nor if there are as many frames as bins."""
    view = ViewArray(np.zeros((3, 4, n_frames)), 20.0)
    swapped = (
        view.transpose(0, 2, 1),
        view.transpose((2, 1, 0)),
        view.T,
        view.mT,
        view.swapaxes(1, 2),
        np.swapaxes(view, 1, 2),
        np.moveaxis(view, 0, 2),
        np.transpose(view),
        np.rollaxis(view, 2),
    )
    assert [type(array) for array in swapped] == [np.ndarray] * 9
    assert view.rate == 20


def test_what_is_computed_of_it_is_a_number_or_an_array(mel):
    for number in (mel.max(), mel.mean(), np.sum(mel), mel.std()):
        assert isinstance(number, np.floating)
        assert number in {number}
    for array in (mel.mean(axis=2), mel.sum(axis=0), mel.max(axis=2, keepdims=True)):
        assert type(array) is np.ndarray
    assert (mel > 0).rate == np.log1p(abs(mel)).rate == mel.clip(0, 1).rate == 20
    mel_in_place = mel.copy()
    mel_in_place -= mel.mean(axis=2, keepdims=True)
    assert mel_in_place.rate == 20


def test_ragged_clips_have_it_too(view, clips):
    ragged = view.transform([clip[: 4000 + 500 * i] for i, clip in enumerate(clips[0])])
    assert ragged.dtype == object
    assert ragged.rate == ragged[2:4].rate == 20
    assert type(ragged[0]) is np.ndarray
    assert ViewScaler().fit_transform(ragged).rate == 20


@pytest.mark.parametrize("rows", [slice(None), slice(2, 9), slice(None, None, -1)])
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_are_the_same(mel, rows, copied):
    again = copied(mel[rows])
    assert type(again) is ViewArray
    assert again.rate == 20
    np.testing.assert_array_equal(again, np.asarray(mel)[rows])


def test_processes_share_one_file(mel):
    """Of an array that many tasks take, as for plain arrays."""
    with tempfile.TemporaryDirectory() as folder:
        parallel = joblib.Parallel(n_jobs=2, max_nbytes=1000, temp_folder=folder)
        with parallel:
            # a lambda travels without this module and all that it imports
            seen = joblib.delayed(lambda mel: (mel.rate, float(mel.sum())))
            found = parallel(seen(mel) for _ in range(4))
            files = list(Path(folder).rglob("*.pkl"))
        assert len(files) == 1
    assert found == [(20.0, float(mel.sum()))] * 4


def test_segments_in_seconds_behind_one_view(view, clips):
    X, y = clips
    model = make_pipeline(view, ViewScaler(), network(segment_length=0.5)).fit(X, y)
    assert model[-1]._spec.n_steps == {"view": 10}
    assert cross_val_score(clone(model), X, y, cv=2, error_score="raise").shape == (2,)
    union = make_view_union("mel", sr=SR).set_params(mel__n_mels=8, mel__hop_length=400)
    same = make_pipeline(union, ViewScaler(), network(segment_length=0.5)).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), same.predict_proba(X))


def test_the_default_segment_is_bounded(mel, clips):
    """1.5 s, as of several views: clips of three seconds are not one segment."""
    assert network().fit(mel, clips[1])._spec.n_steps == {"view": 30}
    assert network().fit(np.asarray(mel), clips[1])._spec.n_steps == {"view": 61}


def test_another_rate_is_refused_and_an_unknown_one_is_not(mel, clips):
    X, y = clips
    net = network().fit(mel, y)
    other = MelView(sr=SR, n_mels=8, hop_length=200).transform(X)
    with pytest.raises(ValueError, match=r"has 40 steps per second, but .* with 20"):
        net.predict(other)
    np.testing.assert_array_equal(
        net.predict_proba(np.asarray(mel)), net.predict_proba(mel)
    )
    net = network().fit(np.asarray(mel), y)
    np.testing.assert_array_equal(
        net.predict_proba(other), net.predict_proba(np.asarray(other))
    )
    with pytest.raises(ValueError, match="rate of a plain array is unknown"):
        network(segment_length=0.5).fit(np.asarray(mel), y)


def test_it_is_an_array_to_all_others(mel, clips):
    table = FrameStatistics().fit_transform(mel)
    assert type(table) is np.ndarray
    assert Views({"mel": mel}, {"mel": mel.rate}).rates == {"mel": 20}
    assert RawView(sr=SR).transform(clips[0]).rate == SR
    saved = np.lib.format  # arrays are written as what they are
    with tempfile.TemporaryFile() as file:
        saved.write_array(file, mel)
        file.seek(0)
        np.testing.assert_array_equal(saved.read_array(file), mel)
