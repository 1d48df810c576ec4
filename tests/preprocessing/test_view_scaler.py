"""ViewScaler: every bin to zero mean and unit variance over all frames."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from skaudio.preprocessing import ViewScaler
from skaudio.views import Views


@pytest.fixture
def spectrograms():
    rng = np.random.default_rng(0)
    scale = np.array([1.0, 100.0, 1e-3])[:, None]
    return scale * rng.standard_normal((10, 3, 20)) + 7 * scale


def frames(X):
    """All frames of all clips as rows: (n_clips * n_frames, n_bins)."""
    return np.concatenate([clip.T for clip in X])


def test_is_a_standard_scaler_of_frames(spectrograms):
    scaled = ViewScaler().fit_transform(spectrograms)
    expected = StandardScaler().fit_transform(frames(spectrograms))
    assert scaled.shape == spectrograms.shape
    np.testing.assert_allclose(frames(scaled), expected, atol=1e-12)


def test_table_in_table_out(spectrograms):
    X = spectrograms[:, :, 0]
    scaled = ViewScaler().fit_transform(X)
    np.testing.assert_allclose(scaled, StandardScaler().fit_transform(X), atol=1e-12)
    assert ViewScaler().fit(X.tolist()).transform(X.tolist()).shape == X.shape


def test_ragged_in_ragged_out(spectrograms):
    lengths = [20, 3, 1, 7, 20, 20, 20, 11, 12, 13]
    clips = [x[:, :n] for x, n in zip(spectrograms, lengths, strict=True)]
    scaled = ViewScaler().fit_transform(clips)
    assert scaled.dtype == object
    assert [clip.shape[1] for clip in scaled] == lengths
    expected = StandardScaler().fit_transform(frames(clips))
    np.testing.assert_allclose(frames(scaled), expected, atol=1e-12)


def test_views_in_views_out(spectrograms):
    X = Views(
        {"a": spectrograms, "b": 5 + spectrograms[:, :2, :4]}, {"a": 50.0, "b": 10.0}
    )
    scaler = ViewScaler().fit(X)
    scaled = scaler.transform(X)
    assert isinstance(scaled, Views)
    assert scaled.rates == X.rates
    assert list(scaler.mean_) == ["a", "b"]
    for name in X.names:
        alone = ViewScaler().fit_transform(X[name])
        np.testing.assert_array_equal(scaled[name], alone)


def test_learned_from_training_clips_only(spectrograms):
    scaler = ViewScaler().fit(spectrograms[:5])
    scaled = scaler.transform(spectrograms[5:])
    expected = StandardScaler().fit(frames(spectrograms[:5]))
    np.testing.assert_allclose(
        frames(scaled), expected.transform(frames(spectrograms[5:])), atol=1e-12
    )


@pytest.mark.parametrize("value", [0.0, -100.0, 0.1, 1e-30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_bins(spectrograms, value, dtype):
    X = spectrograms.astype(dtype)
    X[:, 1] = value
    scaled = ViewScaler().fit_transform(X)
    assert scaled.dtype == dtype
    np.testing.assert_allclose(scaled[:, 1], 0, atol=1e-4)
    assert np.isfinite(scaled).all()


def test_options(spectrograms):
    centred = ViewScaler(with_std=False).fit_transform(spectrograms)
    np.testing.assert_allclose(centred.mean(axis=(0, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(centred.std(axis=(0, 2)), spectrograms.std(axis=(0, 2)))
    scaled = ViewScaler(with_mean=False).fit_transform(spectrograms)
    np.testing.assert_allclose(scaled.std(axis=(0, 2)), 1)
    assert (scaled.mean(axis=(0, 2)) > 1).all()


def test_input_is_left_alone(spectrograms):
    before = spectrograms.copy()
    ViewScaler().fit_transform(spectrograms)
    np.testing.assert_array_equal(spectrograms, before)


def test_errors(spectrograms):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        ViewScaler().transform(spectrograms)
    scaler = ViewScaler().fit(spectrograms)
    with pytest.raises(ValueError, match="X has 2 features, but ViewScaler"):
        scaler.transform(spectrograms[:, :2])
    with pytest.raises(ValueError, match="was fitted on an array, but X is Views"):
        scaler.transform(Views({"a": spectrograms}, {"a": None}))
    spectrograms[3, 0, 0] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        scaler.transform(spectrograms)


def test_one_mean_and_deviation_per_view(spectrograms):
    """What the SampleCNN paper does: scalars for all values of the training set."""
    X = Views({"a": spectrograms, "b": 3 * spectrograms[:, :2]}, {"a": 1.0, "b": 1.0})
    scaled = ViewScaler(per="view").fit_transform(X)
    for name in X.names:
        expected = (X[name] - X[name].mean()) / X[name].std()
        np.testing.assert_allclose(scaled[name], expected, atol=1e-12)
    ragged = [x[:, : 5 + i] for i, x in enumerate(spectrograms)]
    values = np.concatenate([x.ravel() for x in ragged])
    got = ViewScaler(per="view").fit_transform(ragged)
    np.testing.assert_allclose(got[2], (ragged[2] - values.mean()) / values.std())


def test_a_waveform_stays_as_it_is(spectrograms):
    """To the bit, alone or beside views that are standardised, as array or list."""
    waves = 1e-3 * spectrograms[:, :1].astype(np.float32) + 0.5
    np.testing.assert_array_equal(ViewScaler().fit_transform(waves), waves)
    ragged = [wave[:, : 5 + i] for i, wave in enumerate(waves)]
    for before, after in zip(ragged, ViewScaler().fit_transform(ragged), strict=True):
        np.testing.assert_array_equal(after, before)
    X = Views({"a": spectrograms, "raw": waves}, {"a": 50.0, "raw": 1000.0})
    for per in ("bin", "view"):
        scaler = ViewScaler(per=per).fit(X)
        assert (scaler.mean_["raw"], scaler.scale_["raw"]) == ([0.0], [1.0])
        scaled = scaler.transform(X)
        np.testing.assert_array_equal(scaled["raw"], waves)
        alone = ViewScaler(per=per).fit_transform(spectrograms)
        np.testing.assert_array_equal(scaled["a"], alone)


def test_one_bin_that_is_no_waveform_is_standardised(spectrograms):
    values = spectrograms[:, :1]
    scaled = ViewScaler(with_waveforms=True).fit_transform(values)
    expected = StandardScaler().fit_transform(frames(values))
    np.testing.assert_allclose(frames(scaled), expected, atol=1e-12)
    column = spectrograms[:, :1, 0]  # a table has no time
    np.testing.assert_allclose(
        ViewScaler().fit_transform(column), StandardScaler().fit_transform(column)
    )


@pytest.mark.parametrize("per", ["bin", "view"])
def test_weights_are_clips_that_come_so_often(per):
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal((3, n)) + n for n in (4, 7, 5, 6)]
    often = [0, 0, 1, 2, 2, 2]
    found = ViewScaler(per=per).fit(clips, sample_weight=[2, 1, 3, 0])
    expected = ViewScaler(per=per).fit([clips[row] for row in often])
    np.testing.assert_allclose(found.mean_, expected.mean_, rtol=1e-12)
    np.testing.assert_allclose(found.scale_, expected.scale_, rtol=1e-12)
    frames = np.concatenate([clips[row] for row in often], axis=1)
    axis = 1 if per == "bin" else None
    np.testing.assert_allclose(found.mean_, frames.mean(axis), rtol=1e-12)
    np.testing.assert_allclose(found.scale_, frames.std(axis), rtol=1e-12)


def test_waveforms_are_not_copied():
    X = np.random.default_rng(0).normal(size=(3, 1, 50))
    views = Views({"raw": X, "mel": np.tile(X, (1, 4, 1))}, {"raw": 50.0, "mel": 50.0})
    scaled = ViewScaler().fit_transform(views)
    assert np.shares_memory(scaled["raw"], X)
    assert not np.shares_memory(scaled["mel"], views["mel"])
    np.testing.assert_array_equal(scaled["raw"], X)
