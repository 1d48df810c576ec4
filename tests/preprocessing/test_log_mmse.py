"""LogMMSE: one window at a time by its equations, and what it does to sound."""

import numpy as np
import pytest
import scipy.integrate

from skaudio.preprocessing import LogMMSE, _log_mmse

SR = 16000


LOG_V = np.linspace(-28, 7, 100_001)
# E1(v), the integral of exp(-t) / t from v on: of exp(-exp(u)) from log(v) on
SUMS = scipy.integrate.cumulative_trapezoid(np.exp(-np.exp(LOG_V)), LOG_V, initial=0)
E1 = SUMS[-1] - SUMS


def log_mmse(x, length, hop, n_fft):
    """One window and one frequency after the other, with the default constants."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    n_noise = min(6, max(1, len(x) // length))
    start = np.append(x, np.zeros(length))[: n_noise * length].reshape(-1, length)
    noise = np.mean([np.abs(np.fft.fft(window * f, n_fft)) for f in start], 0) ** 2
    padded = np.concatenate([np.zeros(length - hop), x, np.zeros(2 * length)])
    total, weight, clean = np.zeros(len(padded)), np.zeros(len(padded)), None
    for first in range(0, len(padded) - length + 1, hop):
        spectrum = np.fft.fft(window * padded[first : first + length], n_fft)
        power = np.abs(spectrum) ** 2
        gamma = np.minimum(power / noise, 40)
        xi = 0.98 + 0.02 * np.maximum(gamma - 1, 0)
        if clean is not None:
            xi = 0.98 * clean / noise + 0.02 * np.maximum(gamma - 1, 0)
            xi = np.maximum(xi, 10**-2.5)
        v = gamma * xi / (1 + xi)
        likelihood = (v - np.log(1 + xi))[: n_fft // 2 + 1]
        if likelihood.mean() < 0.15:
            noise = 0.98 * noise + 0.02 * power
        gain = xi / (1 + xi) * np.exp(np.interp(np.log(v + 1e-12), LOG_V, E1) / 2)
        clean = gain**2 * power
        piece = np.fft.ifft(gain * spectrum).real[:length]
        total[first : first + length] += piece
        weight[first : first + length] += window
    inside = slice(length - hop, length - hop + len(x))
    return total[inside] / weight[inside]


def scene(n_samples, seed=0):
    """Noise at 5 dB, and a tone that comes after a fifth of it."""
    rng, t = np.random.default_rng(seed), np.arange(n_samples) / SR
    tone = np.sin(2 * np.pi * 440 * t) * (t > t[-1] / 5)
    power = np.mean(tone[t > t[-1] / 5] ** 2) if n_samples > 100 else 0.5
    return tone, rng.standard_normal(n_samples) * np.sqrt(power / 10**0.5)


def snr(signal, error):
    sounding = slice(len(signal) // 3, None)
    ratio = np.mean(signal[sounding] ** 2) / np.mean(error[sounding] ** 2)
    return 10 * np.log10(ratio)


@pytest.mark.parametrize("n_samples", [80, 320, 1000, 16001])
def test_equal_to_its_equations(n_samples):
    tone, noise = scene(n_samples)
    (found,) = LogMMSE(sr=SR).transform([tone + noise])
    expected = log_mmse(tone + noise, 320, 160, 640)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_windows_are_even():
    tone, noise = scene(9000)
    (found,) = LogMMSE(sr=22050).transform([tone + noise])
    expected = log_mmse(tone + noise, 442, 221, 884)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_noise_becomes_less_and_the_tone_stays():
    tone, noise = scene(4 * SR)
    (found,) = LogMMSE(sr=SR).transform([tone + noise])
    assert snr(tone, noise) == pytest.approx(5, abs=0.1)
    assert snr(tone, found - tone) > 15
    before = slice(SR // 10, SR // 2)
    assert np.std(found[before]) < 0.15 * np.std(noise[before])


def test_clean_sound_stays():
    tone, noise = scene(2 * SR)
    (found,) = LogMMSE(sr=SR).transform([tone + 1e-4 * noise])
    assert snr(tone, found - tone) > 30


def test_speech_after_digital_silence_stays():
    tone, _ = scene(2 * SR)
    (found,) = LogMMSE(sr=SR).transform([tone])
    assert snr(tone, found - tone) > 30
    assert not found[: SR // 3].any()


@pytest.mark.parametrize("overlap", [0.5, 0.6, 0.75, 0.9])
@pytest.mark.parametrize("n_samples", [1, 319, 16000, 100_000])
def test_without_gains_nothing_changes(overlap, n_samples, monkeypatch):
    """Also over the blocks that are transformed together."""
    monkeypatch.setattr(_log_mmse._Estimator, "gains", lambda _, powers: powers**0)
    x = np.random.default_rng(0).standard_normal(n_samples)
    (found,) = LogMMSE(sr=SR, overlap=overlap).transform([x])
    np.testing.assert_allclose(found, x, atol=1e-9)


def test_every_constant_counts():
    x = np.sum(scene(SR), axis=0)
    (usual,) = LogMMSE(sr=SR).transform([x])
    for name, value in {
        **{"window": 0.03, "overlap": 0.75, "zero_padding": 1, "noise_windows": 3},
        **{"noise_smoothing": 0.9, "noise_threshold": 0.01, "prior_smoothing": 0.9},
        **{"min_prior_db": -15.0, "max_posterior": 10.0},
    }.items():
        (other,) = LogMMSE(sr=SR, **{name: value}).transform([x])
        assert np.abs(other - usual).max() > 1e-4, name


def test_a_higher_floor_leaves_more_noise():
    noise = scene(SR)[1]
    left = [
        np.std(LogMMSE(sr=SR, min_prior_db=db).transform([noise])[0])
        for db in (-25, -15, -5)
    ]
    assert left == sorted(left)


def test_windows_that_are_too_long():
    with pytest.raises(ValueError, match=r"window=1e\+09 has 1.6e\+13 samples at"):
        LogMMSE(sr=SR, window=1e9).fit(np.ones((1, 9)))
