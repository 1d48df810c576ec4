"""Scales and ranges of all views against one computation in NumPy."""

import librosa
import numpy as np
import pytest

from skaudio.nn import gammatone_filterbank
from skaudio.views import CQTView, GammatoneView, MelView, MFCCView, STFTView

SR = 8000
FRAMES = {"n_fft": 512, "win_length": 320, "hop_length": 160}
FLOOR = 1e-5


@pytest.fixture(scope="module")
def clip():
    """Loud and soft: a tone that decays by 100 dB, in float64."""
    t = np.arange(SR) / SR
    noise = np.random.default_rng(0).standard_normal(SR)
    return 10 ** (-5 * t) * (np.sin(2 * np.pi * 440 * t) + 0.1 * noise)


def amplitudes(view, clip):
    """What a view adds up, to its power, before it is put on a scale."""
    spectrum = np.abs(librosa.stft(clip, **FRAMES))
    if isinstance(view, CQTView):
        magnitudes = CQTView(sr=SR, n_bins=60, scale="linear", top_db=None)
        return magnitudes.transform([clip])[0] ** view.power
    if isinstance(view, STFTView):
        return spectrum**view.power
    if isinstance(view, GammatoneView):
        bank = (gammatone_filterbank(SR, 512, 64, 50.0, None) / 512) ** view.power
    else:
        bank = librosa.filters.mel(sr=SR, n_fft=512, n_mels=64, dtype=np.float64)
    return bank @ spectrum**view.power


def on_scale(x, power, scale, top_db):
    """Amplitudes to the ``power``, and below, as the documentation has it."""
    if scale == "linear":
        return x
    if scale == "log1p":
        return np.log(1 + 10 * x)
    decibels = 20 * np.log10(np.maximum(x ** (1 / power), FLOOR))
    if top_db is not None:
        decibels = np.maximum(decibels, decibels.max() - top_db)
    return decibels if scale == "db" else decibels * power * np.log(10) / 20


@pytest.mark.parametrize("top_db", [None, 30.0, 80.0])
@pytest.mark.parametrize("power", [1.0, 2.0, 0.5, 3.0])
@pytest.mark.parametrize("scale", ["db", "log", "log1p", "linear"])
@pytest.mark.parametrize("kind", [MelView, GammatoneView, STFTView, CQTView])
def test_scales_powers_and_ranges(clip, kind, scale, power, top_db):
    options = {"n_bins": 60} if kind is CQTView else {}
    view = kind(sr=SR, scale=scale, power=power, top_db=top_db, **options)
    expected = on_scale(amplitudes(view, clip), power, scale, top_db)
    found = view.transform([clip])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("top_db", [None, 30.0, 80.0])
def test_range_of_cepstra_is_that_of_their_bands(clip, top_db):
    bank = librosa.filters.mel(sr=SR, n_fft=512, n_mels=128, dtype=np.float64)
    bands = bank @ np.abs(librosa.stft(clip, **FRAMES)) ** 2
    levels = on_scale(bands, 2.0, "db", top_db)
    expected = librosa.feature.mfcc(S=levels, n_mfcc=20)
    found = MFCCView(sr=SR, top_db=top_db).transform([clip])[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
