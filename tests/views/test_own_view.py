"""A user's transformer as a view: through a union, a network, and what refuses it."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.pipeline import make_pipeline

from skaudio.inspection import ViewDisplay
from skaudio.neural_network import CRNNClassifier, MultiViewBlendingClassifier
from skaudio.preprocessing import ViewScaler
from skaudio.views import MelView, ViewUnion
from skaudio.views._transformer import TransformerView

SR = 2000
MEL = {"sr": SR, "n_mels": 8, "n_fft": 128, "hop_length": 64}


class Levels(TransformerMixin, BaseEstimator):
    """Loudness and zero crossings of frames: a view of ten lines."""

    def __init__(self, hop_length=100):
        self.hop_length = hop_length

    @property
    def rate(self):
        return SR / self.hop_length

    def transform(self, X):
        hops = [x[: len(x) // self.hop_length * self.hop_length] for x in X]
        frames = [x.reshape(-1, self.hop_length) for x in hops]
        return [np.stack([f.std(1), (np.diff(f > 0) != 0).mean(1)]) for f in frames]


@pytest.fixture(scope="module")
def union():
    return ViewUnion([("mel", MelView(**MEL)), ("own", Levels())])


@pytest.fixture(scope="module")
def sounds():
    X = np.random.default_rng(0).normal(size=(8, SR)).astype(np.float32)
    return X, np.array([0, 1] * 4)


def test_a_union_takes_it(union, sounds, tmp_path):
    X = sounds[0]
    views = union.fit(X).transform(X)
    assert views.rates == {"mel": SR / 64, "own": 20.0}
    assert views["own"].dtype == np.float32
    assert_array_equal(views["own"][3], np.float32(Levels().transform(X[3:4])[0]))
    assert_array_equal(views["mel"], MelView(**MEL).transform(X))
    # loaded as the views beside it: files are resampled to their rate
    soundfile.write(tmp_path / "a.wav", np.repeat(X[0], 2), 2 * SR, subtype="FLOAT")
    from_file = union.transform([tmp_path / "a.wav"])
    assert from_file["own"].shape == (1, 2, 20)


def test_parameters_names_and_copies(union, sounds):
    other = clone(union).set_params(own__hop_length=50)
    assert other.transform(sounds[0])["own"].shape == (8, 2, 40)
    assert union.get_params()["own__hop_length"] == 100
    assert union.get_feature_names_out()[-2:].tolist() == [
        "own__levels0",
        "own__levels1",
    ]


def test_ragged_clips_and_those_that_fail(union, sounds, tmp_path):
    X = [sounds[0][0], sounds[0][1][:1500]]
    views = union.transform(X)
    assert [clip.shape for clip in views["own"]] == [(2, 20), (2, 15)]
    soundfile.write(tmp_path / "a.wav", X[0], SR, subtype="FLOAT")
    (tmp_path / "b.wav").write_bytes(b"no sound")
    kept = clone(union).set_params(mel__on_error="nan")
    views = kept.transform([tmp_path / "a.wav", tmp_path / "b.wav"])
    assert np.isfinite(views["own"][0]).all()
    assert np.isnan(views["own"][1]).all()
    assert [error["row"] for error in kept.errors_] == [1]


def test_it_is_cached_by_its_parameters(sounds):
    union = ViewUnion([("mel", MelView(**MEL)), ("own", Levels())], cache=True)
    first, second = union.transform(sounds[0]), union.transform(sounds[0])
    assert_array_equal(first["own"], second["own"])
    other = clone(union).set_params(own__hop_length=50).transform(sounds[0])
    assert other["own"].shape == (8, 2, 40)


def test_what_is_kept_is_of_the_code(tmp_path, monkeypatch):
    """Of the file that the class is from: a change of it computes views anew."""
    file = tmp_path / "edited_view.py"
    code = (
        "from sklearn.base import BaseEstimator\n"
        "class Edited(BaseEstimator):\n"
        "    rate, sr = 20.0, 2000\n"
        "    def transform(self, X):\n"
        "        return [x[None, ::100] for x in X]\n"
    )
    file.write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    view = TransformerView.beside(importlib.import_module("edited_view").Edited(), [])
    before = view._store()
    assert before == view._store()
    file.write_text(code.replace("::100", "50::100"))
    assert before != view._store()


def test_a_rate_of_its_own_is_not_overruled(sounds):
    other = WithRate()
    other.sr = 2 * SR
    with pytest.raises(ValueError, match="sr"):
        ViewUnion([("mel", MelView(**MEL)), ("own", other)]).fit(sounds[0])


def test_networks_learn_from_it(union, sounds):
    X, y = sounds
    net = {"width": 0.05, "max_epochs": 1, "random_state": 0, "device": "cpu"}
    several = MultiViewBlendingClassifier(
        blending="uniform", validation_fraction=None, **net
    )
    model = make_pipeline(union, ViewScaler(), several).fit(X, y)
    assert model[-1].branch_names_ == ("mel", "own", "joint")
    with pytest.raises(ValueError, match="Levels has no sr"):
        ViewUnion([("own", Levels())]).fit(X)
    alone = make_pipeline(
        ViewUnion([("own", WithRate())]), ViewScaler(), CRNNClassifier(**net)
    )
    assert alone.fit(X, y).predict(X).shape == (8,)
    display = ViewDisplay.from_estimator(model, X[0])
    assert display.axes_[1].get_ylabel() == "band"


class WithRate(Levels):
    """By itself in a union it says at which rate sound is wanted."""

    sr = SR


def test_a_network_cannot_compute_it(union, sounds):
    network = CRNNClassifier(views=ViewUnion([("own", WithRate())]), width=0.05)
    with pytest.raises(ValueError, match="a transformer of your own, which a network"):
        network.fit(*sounds)


class Flat(WithRate):
    def transform(self, X):
        return [x.mean() for x in X]


@pytest.mark.parametrize(
    ("own", "kind", "message"),
    [
        (Flat(), ValueError, r"must make one array \(n_bins, n_frames\)"),
        (ViewScaler(), TypeError, "which has no rate"),
        (Levels, TypeError, "must be a view, such as MelView"),
        (3, TypeError, "which has no transform"),
    ],
)
def test_what_is_no_view(own, kind, message, sounds):
    with pytest.raises(kind, match=message):
        ViewUnion([("own", own)]).fit(sounds[0]).transform(sounds[0])
