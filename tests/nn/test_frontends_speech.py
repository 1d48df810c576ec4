"""Features of speech recognisers: those of python_speech_features, and their parts."""

import librosa
import numpy as np
import pytest
import scipy.fft
import torch

from skaudio._audio._load import load_clips
from skaudio.nn import MFCC, MelSpectrogram, PowerSpectrogram, compress, mel_filterbank
from skaudio.views import CQTView, MelView, MFCCView

EPS = np.finfo(np.float64).eps
# SwishNet's own: 25 ms and 10 ms at 16 kHz, rectangular, power divided by n_fft
FRAMES = {
    **{"sr": 16000, "n_fft": 512, "win_length": 400, "hop_length": 160},
    **{"window": np.full(400, 512**-0.5), "center": "start", "preemphasis": 0.97},
    **{"htk": "bins", "scale": ("log", EPS), "top_db": None},
}
CEPSTRA = {"n_mfcc": 20, "n_mels": 32, "mel_norm": None, "lifter": 22} | {
    "use_energy": True
}
BANDS = {"n_mels": 64, "norm": None}


def reference(x, n_bands):
    """python_speech_features 0.6, from its definition: bands and energies of frames."""
    x = np.append(x[0], x[1:] - 0.97 * x[:-1])
    n_frames = 1 + max(0, int(np.ceil((len(x) - 400) / 160)))
    x = np.append(x, np.zeros((n_frames - 1) * 160 + 400 - len(x)))
    frames = np.stack([x[160 * i : 160 * i + 400] for i in range(n_frames)])
    power = np.abs(np.fft.rfft(frames, 512)) ** 2 / 512
    mels = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), n_bands + 2)
    edges = np.floor(513 * 700 * (10 ** (mels / 2595) - 1) / 16000).astype(int)
    bank = np.zeros((n_bands, 257))
    for band, (left, peak, right) in enumerate(
        zip(edges[:-2], edges[1:-1], edges[2:], strict=True)
    ):
        for i in range(left, peak):
            bank[band, i] = (i - left) / (peak - left)
        for i in range(peak, right):
            bank[band, i] = (right - i) / (right - peak)
    bands, energy = power @ bank.T, power.sum(1)
    return (np.log(np.where(v == 0, EPS, v)) for v in (bands, energy))


def reference_mfcc(x):
    bands, energy = reference(x, 32)
    cepstrum = scipy.fft.dct(bands, type=2, axis=1, norm="ortho")[:, :20]
    cepstrum *= 1 + 11 * np.sin(np.pi * np.arange(20) / 22)
    cepstrum[:, 0] = energy
    return cepstrum.T


def reference_bands(x):
    bands, _ = reference(x, 64)
    return bands.T


def sound(n_samples, seed=0):
    """Noise and a chirp, with digital silence inside."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_samples) / 16000
    y = 0.05 * rng.standard_normal(n_samples) + 0.3 * np.sin(3000 * t * (1 + t))
    y[n_samples // 3 : n_samples // 2] = 0
    return y


@pytest.mark.parametrize("n_samples", [1, 2, 80, 399, 400, 401, 560, 561, 16000, 16013])
def test_mfcc_and_bands_are_those_of_python_speech_features(n_samples):
    y = sound(n_samples)
    cepstra, bands = MFCCView(**FRAMES, **CEPSTRA), MelView(**FRAMES, **BANDS)
    wanted, wanted_bands = reference_mfcc(y), reference_bands(y)
    np.testing.assert_allclose(cepstra.transform([y])[0], wanted, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(bands.transform([y])[0], wanted_bands, rtol=1e-9)
    # in float32 a band is as exact as the loudest frequency of its frame allows
    single = [y.astype(np.float32)]
    np.testing.assert_allclose(cepstra.transform(single)[0], wanted, atol=1e-3)
    np.testing.assert_allclose(bands.transform(single)[0], wanted_bands, atol=2e-2)


def test_of_speech(shared_data):
    paths = sorted(shared_data.glob("fsdd/audio/*.wav"))[::300]
    assert paths
    for path in paths:
        (y,), _ = load_clips([path], sr=16000)
        y = y.astype(np.float64)
        found = MFCCView(**FRAMES, **CEPSTRA).transform([y])[0]
        np.testing.assert_allclose(found, reference_mfcc(y), rtol=1e-6, atol=1e-9)
        found = MelView(**FRAMES, **BANDS).transform([y])[0]
        np.testing.assert_allclose(found, reference_bands(y), rtol=1e-6)


def test_sixty_values_per_frame():
    y = sound(8000)
    found = MFCCView(**FRAMES, **CEPSTRA, delta=2).transform([y])[0]
    cepstra = reference_mfcc(y)
    deltas = [librosa.feature.delta(cepstra, order=k, mode="nearest") for k in (1, 2)]
    assert found.shape == (60, 49)
    np.testing.assert_allclose(found, np.concatenate([cepstra, *deltas]), atol=1e-8)


@pytest.mark.parametrize("kind", ["mfcc", "mel"])
def test_a_frame_depends_on_the_samples_around_it(kind):
    view = MFCCView(**FRAMES, **CEPSTRA) if kind == "mfcc" else MelView(**FRAMES)
    y = sound(16000).astype(np.float32)
    other = y.copy()
    other[8000:] *= 100
    before, after = view.transform([y, other])
    n_same = (8000 - 400) // 160 + 1
    np.testing.assert_array_equal(before[:, :n_same], after[:, :n_same])
    assert (before[:, n_same:] != after[:, n_same:]).any(axis=0).all()


# -------------------------------------------------------------------------- framing


@pytest.mark.parametrize("pad_mode", ["constant", "reflect", "symmetric", "edge"])
@pytest.mark.parametrize("n_samples", [1, 3, 100, 101, 130, 131, 500])
def test_windows_start_where_frames_do(pad_mode, n_samples):
    """And the last one holds the last sample."""
    y = sound(n_samples)
    frames = {"n_fft": 128, "win_length": 100, "hop_length": 30}
    front_end = PowerSpectrogram(
        **frames, center="start", pad_mode=pad_mode, dtype=torch.float64
    )
    n_frames = 1 + max(0, -(-(n_samples - 100) // 30))
    whole = np.pad(y, (0, 30 * (n_frames - 1) + 100 - n_samples), mode=pad_mode)
    window = np.hanning(101)[:100]
    for t, column in enumerate(front_end(torch.from_numpy(y)).numpy().T):
        expected = np.abs(np.fft.rfft(window * whole[30 * t :][:100], 128)) ** 2
        np.testing.assert_allclose(column, expected, rtol=1e-8, atol=1e-12)
    assert t == n_frames - 1
    assert front_end.n_frames(n_samples) == n_frames


def test_frames_that_begin_nowhere():
    with pytest.raises(
        ValueError, match=r"center='end' is unknown\. Choose one of star"
    ):
        PowerSpectrogram(n_fft=8, win_length=8, hop_length=4, center="end")


# -------------------------------------------------------------------------- filters


def test_edges_on_bins():
    """HTK's edges of three bands are moved down, in bins of 100 Hz."""
    hertz = [0.0, 252.5, 596.1, 1063.7, 1700.0]
    found = librosa.mel_frequencies(5, fmin=0, fmax=1700, htk=True)
    np.testing.assert_allclose(found, hertz, atol=0.5)
    assert np.floor(41 * np.array(hertz) / 4000).tolist() == [0, 2, 6, 10, 17]
    bank = mel_filterbank(4000, 40, 3, 0.0, 1700.0, htk="bins", norm=None)
    expected = np.zeros((3, 21))
    expected[0, :6] = [0, 1 / 2, 1, 3 / 4, 2 / 4, 1 / 4]
    expected[1, 2:10] = [0, 1 / 4, 2 / 4, 3 / 4, 1, 3 / 4, 2 / 4, 1 / 4]
    expected[2, 6:17] = [0, 1 / 4, 2 / 4, 3 / 4, *(np.arange(7, 0, -1) / 7)]
    np.testing.assert_allclose(bank, expected)
    area = mel_filterbank(4000, 40, 3, 0.0, 1700.0, htk="bins")
    np.testing.assert_allclose(area.sum(axis=1) * 100, 1.0)  # of triangles in Hz


def test_filters_between_two_bins_are_told():
    with pytest.warns(UserWarning, match=r"of 40 mel filters lie between .* number 0"):
        bank = mel_filterbank(16000, 64, 40, 0.0, None, htk="bins")
    assert np.isfinite(bank).all()
    assert not bank[0].any()


# --------------------------------------------------------------- energy and lifters


def test_energy_takes_the_place_of_the_first_coefficient():
    """It is on the scale, but not in the range of the bands."""
    y = sound(16000)
    frames = {"n_fft": 512, "win_length": 400, "hop_length": 160}
    plain = librosa.feature.mfcc(y=y, sr=16000, n_mfcc=13, **frames, n_mels=40)
    view = MFCCView(sr=16000, n_mfcc=13, n_mels=40, **frames, use_energy=True)
    (found,) = view.transform([y])
    np.testing.assert_allclose(found[1:], plain[1:], atol=1e-3)
    energy = (np.abs(librosa.stft(y, **frames)) ** 2).sum(axis=0)
    np.testing.assert_allclose(
        found[0], 10 * np.log10(np.maximum(energy, 1e-10)), atol=1e-6
    )


@pytest.mark.parametrize("n_mfcc", [1, 2, 20])
def test_lifters_count_coefficients_and_energy_is_none(n_mfcc):
    y = sound(4000)
    options = {"sr": 16000, "n_mfcc": n_mfcc, "use_energy": True}
    plain = MFCCView(**options).transform([y])[0]
    liftered = MFCCView(**options, lifter=22).transform([y])[0]
    k = np.arange(n_mfcc)[:, None]
    expected = plain * (1 + 11 * np.sin(np.pi * k / 22))
    np.testing.assert_allclose(liftered, expected, rtol=1e-9, atol=1e-9)


# --------------------------------------------------------------------------- scales


def test_floors_of_logarithms():
    x = torch.tensor([[0.0, 1e-20, 1e-12, 1.0]], dtype=torch.float64)
    found = compress(x, power=2, scale=("log", 1e-16), top_db=None)
    np.testing.assert_allclose(found[0], np.log([1e-16, 1e-16, 1e-12, 1.0]))
    found = compress(x, power=2, scale=("db", 1e-16), top_db=None)
    np.testing.assert_allclose(found[0], [-160, -160, -120, 0])
    # of amplitudes where x are powers
    found = compress(x, power=1, given=2, scale=("log", 1e-8), top_db=None)
    np.testing.assert_allclose(found[0], np.log([1e-8, 1e-8, 1e-6, 1.0]))
    # a floor that float32 does not have is its least number
    found = compress(x.float(), power=1, given=2, scale=("log", 1e-30), top_db=None)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("kind", [MelView, MFCCView, CQTView])
@pytest.mark.parametrize(
    "scale", [("log",), ("linear", 1e-9), ("log", 0.0), ("log", "low"), ("ln", 1e-9)]
)
def test_scales_that_are_none(kind, scale):
    with pytest.raises(ValueError, match="pair of db or log and the positive value"):
        kind(scale=scale).fit(np.zeros((1, 30000)))


def test_silence_is_the_floor():
    silence = np.zeros((1, 800))
    (bands,) = MelView(**FRAMES, **BANDS).transform(silence)
    np.testing.assert_allclose(bands, np.log(EPS))
    options = {"sr": 16000, "top_db": None}
    (found,) = CQTView(n_bins=60, scale=("db", 1e-7), **options).transform(silence)
    np.testing.assert_allclose(found, -140)


def test_modules_take_what_views_take():
    y = torch.from_numpy(sound(4000))
    module = MFCC(**FRAMES, **CEPSTRA, dtype=torch.float64)
    np.testing.assert_allclose(module(y), reference_mfcc(y.numpy()), atol=1e-9)
    module = MelSpectrogram(**FRAMES, **BANDS, dtype=torch.float64)
    np.testing.assert_allclose(module(y), reference_bands(y.numpy()), atol=1e-9)
