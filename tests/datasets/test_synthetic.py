"""make_sounds: balanced, reproducible, neither trivial nor hopeless."""

import numpy as np
import pytest
from scipy.fft import dct
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio.datasets import make_sounds


def test_shapes_dtypes_and_range():
    X, y = make_sounds(20, 4, duration=0.3, sr=8000, random_state=0)
    assert X.shape == (20, 2400)
    assert X.dtype == np.float32
    assert y.dtype.kind == "U"
    assert np.isfinite(X).all()
    assert np.abs(X).max() <= 1
    assert X.std(axis=1).min() > 0


@pytest.mark.parametrize("n_classes", [1, 3, 10])
def test_classes_are_balanced(n_classes):
    _, y = make_sounds(33, n_classes, duration=0.05, sr=4000, random_state=0)
    counts = np.unique(y, return_counts=True)[1]
    assert len(counts) == n_classes
    assert counts.max() - counts.min() <= 1


def test_same_seed_same_clips():
    first = make_sounds(10, 5, duration=0.1, random_state=3)
    again = make_sounds(10, 5, duration=0.1, random_state=3)
    other = make_sounds(10, 5, duration=0.1, random_state=4)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_no_two_clips_are_equal_even_of_one_source():
    X, _, groups = make_sounds(
        30,
        3,
        duration=0.2,
        noise=0,
        clips_per_source=5,
        return_groups=True,
        random_state=0,
    )
    assert len(np.unique(X, axis=0)) == 30
    assert np.unique(groups, return_counts=True)[1].tolist() == [5] * 6


def test_a_source_has_one_class():
    _, y, groups = make_sounds(
        50, 4, duration=0.05, clips_per_source=3, return_groups=True, random_state=0
    )
    assert all(len(set(y[groups == g])) == 1 for g in set(groups))


@pytest.mark.parametrize("duration", [1e-5, 0.005, 0.02])
@pytest.mark.parametrize("sr", [2000, 96000])
def test_very_short_and_odd_rates(duration, sr):
    X, _ = make_sounds(10, 10, duration=duration, sr=sr, random_state=0)
    assert X.shape == (10, max(1, round(duration * sr)))
    assert np.isfinite(X).all()


def test_background_noise_has_the_stated_level():
    quiet, _ = make_sounds(40, 8, noise=0, duration=0.5, random_state=0)
    noisy, _ = make_sounds(40, 8, noise=0.1, duration=0.5, random_state=0)
    added = np.median((noisy - quiet).std(axis=1))
    loudest = np.quantile(quiet.std(axis=1), 0.95)
    assert 0.05 < added / loudest < 0.2


def _features(X, sr):
    """Cepstra of a plain spectrogram, mean and deviation over time."""
    frames = np.lib.stride_tricks.sliding_window_view(X, 512, axis=1)[:, ::256]
    power = np.abs(np.fft.rfft(frames * np.hanning(512))) ** 2
    edges = np.unique(np.geomspace(2, 256, 33).astype(int))
    bands = np.add.reduceat(power, edges[:-1], axis=2)
    cepstra = dct(np.log(bands + 1e-6), axis=2)[:, :, :20]
    return np.hstack([cepstra.mean(1), cepstra.std(1), np.diff(cepstra, axis=1).std(1)])


def _model():
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=500))


def test_simple_features_score_between_chance_and_perfect():
    X, y = make_sounds(160, 8, sr=16000, random_state=0)
    cv = StratifiedKFold(4, shuffle=True, random_state=0)
    accuracy = cross_val_score(_model(), _features(X, 16000), y, cv=cv).mean()
    assert 0.5 < accuracy < 0.95


def test_ignoring_sources_is_too_optimistic():
    X, y, groups = make_sounds(
        160, 4, sr=8000, clips_per_source=8, return_groups=True, random_state=0
    )
    F = _features(X, 8000)
    by_clip = StratifiedKFold(5, shuffle=True, random_state=0)
    leaky = cross_val_score(_model(), F, y, cv=by_clip).mean()
    grouped = cross_val_score(_model(), F, y, groups=groups, cv=GroupKFold(5)).mean()
    assert leaky > grouped + 0.05


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_classes": 0}, "n_classes must be 1 to 10; got 0"),
        ({"n_classes": 11}, "n_classes must be 1 to 10; got 11"),
        ({"n_clips": 3}, "Ask for at least 8 clips"),
        ({"n_clips": 20, "clips_per_source": 3}, "Ask for at least 24 clips"),
        ({"clips_per_source": 0}, "clips_per_source must be at least 1"),
        ({"duration": 0}, "duration must be positive"),
        ({"sr": -1}, "sr must be positive"),
        ({"noise": -0.1}, "noise must not be negative"),
    ],
)
def test_bad_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        make_sounds(**params)
