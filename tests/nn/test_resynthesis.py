"""Back from transforms and bands to sound."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from skaudio.nn import GammatoneSpectrogram, MelSpectrogram, PowerSpectrogram
from skaudio.nn.resynthesis import (
    bins_of_bands,
    filters_of,
    fourier_transform,
    inverse_fourier_transform,
)

FRAMES = {"n_fft": 256, "win_length": 256, "hop_length": 64, "dtype": torch.float64}
SETTINGS = [
    {},
    {"pad_mode": "reflect"},
    {"window": "boxcar", "hop_length": 256},
    {"n_fft": 300, "win_length": 200, "hop_length": 77},
    {"center": "start", "n_fft": 512},
    {"preemphasis": 0.97},
    {"window": ("kaiser", 8.0), "preemphasis": 0.5, "pad_mode": "edge"},
]


def sound(n_samples=3001):
    return torch.from_numpy(np.random.default_rng(0).normal(size=(1, n_samples)))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_inverse_of_the_transform_is_the_sound(settings):
    spectrogram, x = PowerSpectrogram(**FRAMES | settings), sound()
    spectrum = fourier_transform(spectrogram, x)
    torch.testing.assert_close(spectrum.abs() ** 2, spectrogram(x))
    found = inverse_fourier_transform(spectrogram, spectrum, x.shape[1])
    n_covered = 3001 - 300  # the last samples may be in the tail of a window
    torch.testing.assert_close(found[:, 1:n_covered], x[:, 1:n_covered])
    assert found.shape == x.shape


def test_without_padding_the_ends_are_in_no_window():
    spectrogram, x = PowerSpectrogram(**FRAMES, center=False), sound()
    spectrum = fourier_transform(spectrogram, x)
    found = inverse_fourier_transform(spectrogram, spectrum, x.shape[1])
    stop = 256 + (spectrum.shape[-1] - 1) * 64
    torch.testing.assert_close(found[:, 1:stop], x[:, 1:stop])
    assert found[0, 0] == 0  # a Hann window begins with zero
    assert not found[:, stop:].any()


def test_changed_transforms_are_inverted_as_by_librosa():
    spectrogram, x = PowerSpectrogram(**FRAMES), sound()
    rng = np.random.default_rng(1)
    mask = torch.from_numpy(rng.normal(size=(3, 129, 47)))
    spectrum = fourier_transform(spectrogram, x) * mask
    found = inverse_fourier_transform(spectrogram, spectrum, 3001)
    expected = librosa.istft(
        spectrum.numpy(), n_fft=256, hop_length=64, length=3001, window="hann"
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("kind", [MelSpectrogram, GammatoneSpectrogram])
def test_masks_of_ones_stay_ones_where_there_are_bands(kind):
    front_end = kind(sr=8000, **FRAMES, fmin=300, fmax=3000)
    filters = filters_of(front_end)
    assert filters.shape == (64, 129)
    power = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (129, 5)))
    expected = filters @ (power if front_end.power == 2 else power.sqrt())
    bands = kind(sr=8000, **FRAMES, fmin=300, fmax=3000, scale="linear", top_db=None)
    torch.testing.assert_close(bands.from_power(power), expected)
    bins = bins_of_bands(front_end, torch.ones(2, 64, 3, dtype=torch.float64))
    inside = filters.sum(0) > 0
    first, last = inside.nonzero()[0].item(), inside.nonzero()[-1].item()
    torch.testing.assert_close(
        bins[:, first : last + 1], torch.ones_like(bins)[:, first : last + 1]
    )
    assert not bins[:, :first].any()
    assert not bins[:, last + 1 :].any()


def test_bins_are_means_of_their_bands():
    front_end = MelSpectrogram(sr=8000, **FRAMES, n_mels=3, norm=None)
    filters, maps = filters_of(front_end).numpy(), np.array([[2.0], [5.0], [-1.0]])
    found = bins_of_bands(front_end, torch.from_numpy(maps)).numpy()
    for k in range(129):
        weights = filters[:, k]
        expected = weights @ maps / weights.sum() if weights.sum() else [0.0]
        np.testing.assert_allclose(found[k], expected, atol=1e-12)


def test_bins_between_bands_have_the_value_of_the_nearest():
    # low mel bands are narrower than bins, so that some bins are in no band
    front_end = MelSpectrogram(sr=8000, **FRAMES, htk="bins", n_mels=4, fmin=200)
    front_end.bank_0[:, 40:43] = 0
    maps = torch.arange(1.0, 5.0, dtype=torch.float64)[:, None]
    bins = bins_of_bands(front_end, maps)
    first = front_end._touched[0].start
    hole = slice(first + 40, first + 43)
    ends = {bins[hole.start - 1].item(), bins[hole.stop].item()}
    assert {v.item() for v in bins[hole]} == ends
