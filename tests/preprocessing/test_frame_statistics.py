"""FrameStatistics: clips of any lengths become rows of one table."""

import librosa
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from skaudio.preprocessing import FrameStatistics
from skaudio.views import MFCCView, Views

ALL = ("mean", "std", "var", "min", "max", "median")


@pytest.fixture
def spectrograms():
    return np.random.default_rng(0).standard_normal((6, 3, 20))


def test_statistics(spectrograms):
    table = FrameStatistics(ALL).fit_transform(spectrograms)
    expected = [getattr(np, name)(spectrograms, axis=2) for name in ALL]
    np.testing.assert_allclose(table, np.concatenate(expected, axis=1))


def test_ragged_is_one_by_one(spectrograms):
    lengths = (20, 1, 7, 3, 20, 12)
    clips = [x[:, :n] for x, n in zip(spectrograms, lengths, strict=True)]
    statistics = FrameStatistics(ALL).fit(clips)
    alone = [statistics.transform(clip[None])[0] for clip in clips]
    np.testing.assert_allclose(statistics.transform(clips), alone)


def test_views_side_by_side_with_names(spectrograms):
    X = Views({"a": spectrograms, "b": spectrograms[:, :1]}, {"a": None, "b": None})
    statistics = FrameStatistics().fit(X)
    names = statistics.get_feature_names_out()
    assert list(names) == [
        *("a_mean_x0", "a_mean_x1", "a_mean_x2", "a_std_x0", "a_std_x1", "a_std_x2"),
        *("b_mean_x0", "b_std_x0"),
    ]
    table = statistics.transform(X)
    np.testing.assert_allclose(table[:, 1], spectrograms[:, 1].mean(axis=1))
    np.testing.assert_allclose(table[:, -1], spectrograms[:, 0].std(axis=1))


def test_data_frames(spectrograms):
    statistics = FrameStatistics(("max",)).set_output(transform="pandas")
    table = statistics.fit_transform(spectrograms)
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["max_x0", "max_x1", "max_x2"]
    bands = pd.DataFrame(spectrograms[:, :, 0], columns=["low", "mid", "high"])
    assert list(FrameStatistics(("min",)).fit(bands).get_feature_names_out()) == [
        "min_low",
        "min_mid",
        "min_high",
    ]


@pytest.mark.parametrize("statistics", [("mode",), (), ("mean", "kurtosis")])
def test_unknown_statistics(spectrograms, statistics):
    with pytest.raises(ValueError, match=r"statistics must be some of \['mean'"):
        FrameStatistics(statistics).fit(spectrograms)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_skewness(spectrograms, dtype):
    """Third central moment over the third power of the standard deviation."""
    X = np.exp(spectrograms).astype(dtype)
    table = FrameStatistics(("skew",)).fit_transform(X)
    centred = X.astype(np.float64) - X.mean(axis=2, keepdims=True, dtype=np.float64)
    expected = (centred**3).mean(axis=2) / (centred**2).mean(axis=2) ** 1.5
    assert table.dtype == dtype
    np.testing.assert_allclose(table, expected, rtol=1e-4)
    X = np.array([[[0.0, 0.0, 0.0, 4.0]]])  # moments 3 and 6
    by_hand = FrameStatistics(("skew",)).fit_transform(X)
    np.testing.assert_allclose(by_hand, [[6 / 3**1.5]])


@pytest.mark.parametrize("n_frames", [1, 2, 50])
@pytest.mark.parametrize("value", [0.0, -15.942385, 0.1])
def test_skewness_of_what_never_changes(value, n_frames):
    X = np.full((2, 3, n_frames), value, dtype=np.float32)
    X[1, 0, 0] = 7
    table = FrameStatistics(("var", "skew")).fit_transform(X)
    np.testing.assert_allclose(table[0, :3], 0, atol=1e-11)
    np.testing.assert_array_equal(table[0, 3:], 0)
    assert np.isfinite(table).all()
    np.testing.assert_array_equal(table[1, 4:], 0)


def test_baseline_of_coala():
    """20 MFCC with two derivatives at 22,000 Hz: 60 means and 60 variances."""
    rng = np.random.default_rng(0)
    y = 0.1 * rng.standard_normal(30_000).astype(np.float32)
    mfcc = librosa.feature.mfcc(y=y, sr=22_000)
    rows = [mfcc] + [
        librosa.feature.delta(mfcc, width=5, order=k, mode="nearest") for k in (1, 2)
    ]
    rows = np.concatenate(rows)
    expected = np.concatenate([rows.mean(1), rows.var(1)])
    view = MFCCView(sr=22_000, n_fft=2048, hop_length=512, delta=2, delta_width=5)
    baseline = make_pipeline(view, FrameStatistics(("mean", "var")))
    found = baseline.fit_transform([y])
    assert found.shape == (1, 120)
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-3)
