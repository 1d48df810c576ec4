"""LoudnessEqualizer: equal windows, and overlapping ones by definition."""

import numpy as np
import pytest

from skaudio.preprocessing import LoudnessEqualizer
from skaudio.preprocessing._waveforms import sliding_sums

SR = 16000


def recording(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    level = np.repeat(10 ** rng.uniform(-3, 0, n_samples // 900 + 1), 900)
    y = rng.standard_normal(n_samples) * level[:n_samples] + 0.01
    y[n_samples // 2 : n_samples // 2 + n_samples // 8] = 0
    return y


def by_definition(y, length, hop, level, measure, floor):
    """Overlapping windows are equalised, added up, and divided by their number."""
    total, number = np.zeros(len(y)), np.zeros(len(y))
    n_windows = 1 + max(0, int(np.ceil((len(y) - length) / hop)))
    for k in range(n_windows):
        place = slice(k * hop, k * hop + length)
        window = y[-length:] if k == n_windows - 1 else y[place]
        power = np.sqrt(np.mean(window**2))
        if measure == "std" and np.std(window) > floor:
            power = np.std(window)
        total[place] += level * y[place] / max(power, floor)
        number[place] += 1
    return total / number


@pytest.mark.parametrize("n_samples", [1, 2, 80, 4000, 4001, 16000, 33333])
@pytest.mark.parametrize(
    ("window", "hop"), [(0.25, None), (0.2, 0.01), (0.0501, 0.013), (0.1, 0.1)]
)
@pytest.mark.parametrize("measure", ["rms", "std"])
def test_equal_to_its_definition(n_samples, window, hop, measure):
    y = recording(n_samples)
    options = {"window": window, "hop": hop, "level": 0.5, "measure": measure}
    (found,) = LoudnessEqualizer(sr=SR, **options).transform([y])
    sizes = round(window * SR), round((hop or window) * SR)
    expected = by_definition(y, *sizes, 0.5, measure, 1e-4)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_every_window_has_the_same_power():
    y = np.random.default_rng(0).standard_normal((10, 4000))
    y *= np.logspace(-3, 1, 10)[:, None]
    (found,) = LoudnessEqualizer(sr=SR, level=0.2).transform(y.reshape(1, -1))
    power = np.sqrt(np.mean(found.reshape(10, 4000) ** 2, axis=1))
    np.testing.assert_allclose(power, 0.2)


def test_near_silence_is_not_blown_up():
    noise = np.random.default_rng(0).standard_normal(4000)
    loud, faint = 1e-2 * noise, 1e-5 * noise
    X = [np.concatenate([loud, faint, np.zeros(4000)])]
    (found,) = LoudnessEqualizer(sr=SR).transform(X)
    parts = np.sqrt(np.mean(found.reshape(3, 4000) ** 2, axis=1))
    np.testing.assert_allclose(parts, [0.1, 0.01, 0], rtol=0.05)  # 20 dB below -80 dB
    (found,) = LoudnessEqualizer(sr=SR, floor_db=-120).transform(X)
    parts = np.sqrt(np.mean(found.reshape(3, 4000) ** 2, axis=1))
    np.testing.assert_allclose(parts, [0.1, 0.1, 0], rtol=1e-6)


@pytest.mark.parametrize("measure", ["rms", "std"])
def test_a_constant_has_power_but_no_deviation(measure):
    (found,) = LoudnessEqualizer(sr=SR, measure=measure).transform([np.full(9000, 0.5)])
    np.testing.assert_allclose(found, 0.1)


def test_the_last_samples_are_not_a_window_of_their_own():
    """Alone, 3 samples near a zero crossing would become as loud as all others."""
    y = np.sin(2 * np.pi * 200 * np.arange(4003) / SR)
    (found,) = LoudnessEqualizer(sr=SR).transform([y])
    np.testing.assert_allclose(found, 0.1 * np.sqrt(2) * y, atol=1e-3)


def test_hops_that_leave_samples_out():
    with pytest.raises(ValueError, match=r"hop=0.3 is more than window=0.25 seconds"):
        LoudnessEqualizer(hop=0.3).fit(np.ones((1, 9)))
    with pytest.raises(ValueError, match=r"hop=0.3 is more than window=0.25 seconds"):
        LoudnessEqualizer(hop=0.3).transform(np.ones((1, 9)))


@pytest.mark.parametrize("window", [60, 1e9, 1e300])
def test_a_window_that_holds_the_clip_takes_it_as_a_whole(window):
    y = recording(4000)
    (found,) = LoudnessEqualizer(sr=SR, window=window).transform([y])
    np.testing.assert_allclose(found, 0.1 * y / np.sqrt(np.mean(y**2)), rtol=1e-9)


def test_windows_of_every_sample():
    """Sums over windows do not take time for each of their samples."""
    y = recording(200_000)
    options = {"window": 2.0, "hop": 1 / SR}
    (found,) = LoudnessEqualizer(sr=SR, **options).transform([y])
    assert np.isfinite(found).all()


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 20])
def test_sliding_sums(n):
    values = np.random.default_rng(0).standard_normal((2, 20)) * np.logspace(0, 9, 20)
    expected = np.lib.stride_tricks.sliding_window_view(values, n, axis=1).sum(-1)
    np.testing.assert_allclose(sliding_sums(values, n), expected, rtol=1e-12)
    soft = np.r_[1e20, 1e-3, np.full(30, 1e-3)]
    np.testing.assert_allclose(sliding_sums(soft, 5)[2:], 5e-3)
