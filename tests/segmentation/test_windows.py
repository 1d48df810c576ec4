"""`predict_windows`: every window as a clip of its own, with its times."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skaudio._utils._decisions import proba_of_tags
from skaudio.model_selection import TagThresholdClassifier
from skaudio.neural_network import CRNNClassifier
from skaudio.preprocessing import FrameStatistics
from skaudio.segmentation import predict_windows
from skaudio.views import MelView

SR = 1000


class Level(ClassifierMixin, BaseEstimator):
    """The mean of a clip is its probability of being loud."""

    sr = SR

    def fit(self, X=None, y=None):
        self.classes_ = np.array(["loud", "quiet"])
        return self

    def predict_proba(self, X):
        p = np.array([np.mean(x) for x in X])
        return np.stack([p, 1 - p], 1)


@pytest.fixture(scope="module")
def level():
    return Level().fit()


def test_windows_lie_side_by_side_and_the_last_ends_with_the_recording(level):
    ramp = np.linspace(0, 1, 3500, dtype=np.float32)
    table = predict_windows(level, [ramp], window=1.0)
    assert table.columns.tolist() == [
        "recording",
        "start",
        "end",
        "label",
        "probability",
    ]
    assert table["start"].tolist() == [0.0, 1.0, 2.0, 2.5]
    assert table["end"].tolist() == [1.0, 2.0, 3.0, 3.5]
    means = [ramp[a : a + 1000].mean() for a in (0, 1000, 2000, 2500)]
    assert table["label"].tolist() == ["quiet", "quiet", "loud", "loud"]
    expected = [max(mean, 1 - mean) for mean in means]
    assert_allclose(table["probability"], expected, rtol=1e-5)


def test_windows_may_overlap_or_leave_gaps(level):
    ramp = np.linspace(0, 1, 2000, dtype=np.float32)
    overlapping = predict_windows(level, [ramp], window=1.0, hop=0.3, all_classes=True)
    assert_allclose(overlapping["start"], [0, 0.3, 0.6, 0.9, 1.0])
    means = [ramp[a : a + 1000].mean() for a in (0, 300, 600, 900, 1000)]
    assert_allclose(overlapping["loud"], means, rtol=1e-5)
    assert_allclose(overlapping["quiet"], 1 - np.array(means), rtol=1e-5)
    apart = predict_windows(level, [ramp], window=0.2, hop=1.5, all_classes=True)
    assert_allclose(apart["start"], [0, 1.5, 1.8])
    means = [ramp[a : a + 200].mean() for a in (0, 1500, 1800)]
    assert_allclose(apart["loud"], means, rtol=1e-4)


def test_several_recordings_of_any_length(level, tmp_path):
    short, exact = np.full(300, 0.2, np.float32), np.full(2000, 0.9, np.float32)
    soundfile.write(tmp_path / "a.wav", exact, SR, subtype="FLOAT")
    table = predict_windows(level, [short, tmp_path / "a.wav"], window=1.0)
    assert table["recording"].tolist() == [0, *[str(tmp_path / "a.wav")] * 2]
    assert table["end"].tolist() == [0.3, 1.0, 2.0]
    assert_allclose(table["probability"], [0.8, 0.9, 0.9], rtol=1e-5)


def test_windows_are_predicted_as_clips_are():
    """By a network and by a pipeline; the window is as long as the clips of fit."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8, SR)).astype(np.float32), np.array([0, 1] * 4)
    mel = MelView(sr=SR, n_mels=8, n_fft=64, hop_length=32)
    network = CRNNClassifier(
        views=mel, width=0.05, max_epochs=1, random_state=0, device="cpu"
    )
    plain = make_pipeline(mel, FrameStatistics(), LogisticRegression())
    for model in (network.fit(X, y), plain.fit(X, y)):
        table = predict_windows(model, [np.concatenate(X[:3])], all_classes=True)
        assert len(table) == 3
        assert_allclose(table[["0", "1"]], model.predict_proba(X[:3]), atol=1e-6)


def test_tags_have_a_column_each():
    rng = np.random.default_rng(0)
    X, tags = rng.normal(size=(8, SR)).astype(np.float32), np.eye(4, dtype=int)[:, :3]
    mel = MelView(sr=SR, n_mels=8, n_fft=64, hop_length=32)
    network = CRNNClassifier(
        views=mel, width=0.05, max_epochs=1, random_state=0, device="cpu"
    ).fit(X, np.tile(tags, (2, 1)))
    table = predict_windows(network, X[:2])
    assert table.columns.tolist() == ["recording", "start", "end", "0", "1", "2"]
    assert_allclose(table[["0", "1", "2"]], network.predict_proba(X[:2]), atol=1e-6)


@pytest.mark.parametrize(
    "classifier",
    [
        KNeighborsClassifier(2),  # gives a list of probabilities
        MLPClassifier((4,), max_iter=300, tol=0.1, random_state=0),
        OneVsRestClassifier(LogisticRegression()),
        TagThresholdClassifier(KNeighborsClassifier(2), cv=2),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_tags_of_any_classifier(classifier):
    """Whatever it is, a window may have several, so that none is the label."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, SR)).astype(np.float32)
    tags = pd.DataFrame(np.tile(np.eye(4, dtype=int)[:, :2], (2, 1)), columns=[*"ab"])
    mel = MelView(sr=SR, n_mels=8, n_fft=64, hop_length=32)
    model = make_pipeline(mel, FrameStatistics(), classifier).fit(X, tags)
    table = predict_windows(model, [np.concatenate(X[:3])])
    named = isinstance(classifier, TagThresholdClassifier)
    names = ["a", "b"] if named else ["0", "1"]
    assert table.columns.tolist() == ["recording", "start", "end", *names]
    assert_allclose(table[names], proba_of_tags(model, X[:3]), atol=1e-6)


@pytest.mark.parametrize("name", ["start", "label"])
def test_classes_with_the_name_of_a_column(name):
    """The label says them; a column of their own would be another's."""
    named = Level().fit()
    named.classes_ = np.array(["quiet", name])
    silence = [np.zeros(SR, np.float32)]
    assert predict_windows(named, silence)["label"].tolist() == [name]
    with pytest.raises(ValueError, match=f"class is called '{name}'.*all_classes=Fal"):
        predict_windows(named, silence, all_classes=True)


def test_what_cannot_be_read(level, tmp_path):
    (tmp_path / "b.wav").write_bytes(b"no sound")
    X = [tmp_path / "b.wav", np.full(500, 0.3, np.float32)]
    with pytest.raises(ValueError, match=r"b\.wav"):
        predict_windows(level, X)
    table = predict_windows(level, X, on_error="nan")
    assert table["start"].isna().tolist() == [True, False]
    assert table["label"].tolist()[1] == "quiet"
    with pytest.warns(UserWarning, match="1 of 2 clips could not be loaded"):
        predict_windows(level, X, on_error="warn")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window must be a number above 0"),
        ({"hop": "1"}, "hop must be a number above 0"),
        ({"on_error": "skip"}, "on_error must be one of"),
        ({"sr": 44100}, "takes sound at 1000 Hz"),
    ],
)
def test_parameters(level, options, message):
    with pytest.raises(ValueError, match=message):
        predict_windows(level, [np.zeros(10)], **options)


def test_who_may_predict(level):
    with pytest.raises(TypeError, match="needs a classifier with predict_proba"):
        predict_windows(MelView(), [np.zeros(10)])
    with pytest.raises(ValueError, match="does not say at which sampling rate"):
        predict_windows(LogisticRegression().fit([[0], [1]], [0, 1]), [np.zeros(10)])


def test_memory_does_not_grow_with_the_recording(level, tmp_path):
    peaks = []
    for minutes in (45, 180):
        path = tmp_path / f"{minutes}.wav"
        soundfile.write(path, np.zeros(minutes * 60 * SR, np.int16), SR)
        predict_windows(level, [path], window=10.0)
        tracemalloc.start()
        predict_windows(level, [path], window=10.0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0] + 2**20
