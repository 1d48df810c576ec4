"""CoalaView: the authors' spectrogram against librosa, padding and noise."""

import librosa
import numpy as np
import pytest

from skaudio.nn import CoalaInput
from skaudio.nn.coala_input import faint_noise
from skaudio.views import CoalaView, RawView, ViewUnion

SR = 22_000


def sound(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    return 0.1 * rng.standard_normal(n_samples).astype(np.float32)


def of_librosa(y, window="hann"):
    mel = librosa.feature.melspectrogram(
        y=y, sr=SR, n_fft=1024, hop_length=512, n_mels=96, power=1, window=window,
        pad_mode="reflect",
    )  # fmt: skip
    return np.log(mel + np.finfo(np.float32).eps)


@pytest.mark.parametrize("window", ["hann", "hamming"])
@pytest.mark.parametrize("noise", [0.0, 5e-4])
def test_a_short_clip_lies_in_ten_seconds(window, noise):
    y = sound(30_000)
    buffer = np.zeros(220_000, np.float32)
    buffer[:30_000] = y
    buffer += np.random.default_rng(0).uniform(0, noise, 220_000).astype(np.float32)
    found = CoalaView(window=window, noise=noise).transform([y])[0]
    assert found.shape == (96, 430)
    # without noise there is digital silence, where rounding errors are magnified
    np.testing.assert_allclose(
        found[:, :58], of_librosa(buffer, window)[:, :58], atol=2e-3
    )
    if noise:
        np.testing.assert_allclose(found, of_librosa(buffer, window), atol=2e-3)
    else:
        assert found[:, 70:].max() == pytest.approx(np.log(2.0**-23), abs=1e-5)


def test_a_long_clip_stays_as_it_is():
    y = sound(220_001)
    np.testing.assert_allclose(CoalaView().transform([y])[0], of_librosa(y), atol=2e-3)
    whole = CoalaView().transform([y[:220_000]])[0]
    np.testing.assert_array_equal(
        whole,
        CoalaView(min_duration=0).transform([y[:220_000] + faint_noise(220_000)])[0],
    )


def test_every_clip_has_the_same_noise():
    zeros = np.zeros(1000, np.float32)
    alone = CoalaView().transform([zeros])[0]
    together = CoalaView().transform([sound(50_000), zeros, np.zeros(9, np.float32)])
    np.testing.assert_array_equal(together[1], alone)
    np.testing.assert_array_equal(together[2], alone)


def test_rate_and_lengths():
    view = CoalaView(min_duration=2.3)
    assert view.rate == pytest.approx(42.97, abs=0.01)
    assert view.transform([np.zeros(1, np.float32)])[0].shape == (96, 99)
    assert CoalaView(min_duration=0).transform([sound(22_000)])[0].shape == (96, 43)
    assert CoalaInput(min_duration=10.0).n_frames(5) == 430
    assert CoalaInput(min_duration=10.0).n_frames(440_000) == 860


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_follows_x(dtype):
    view = CoalaView(min_duration=2.3).transform(sound(22_000)[None].astype(dtype))
    assert view.dtype == dtype


def test_beside_other_views():
    y = sound(30_000)
    union = ViewUnion([("coala", CoalaView()), ("raw", RawView(sr=SR))])
    views = union.fit_transform([y])
    np.testing.assert_array_equal(views["coala"], CoalaView().transform([y]))
    np.testing.assert_array_equal(views["raw"][0][0], y)
