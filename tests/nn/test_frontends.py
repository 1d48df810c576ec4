"""Front ends against librosa and against first principles."""

import librosa
import numpy as np
import pytest
import scipy.signal
import torch

from skaudio.nn import (
    MFCC,
    GammatoneSpectrogram,
    MelSpectrogram,
    PowerSpectrogram,
    compress,
    erb_frequencies,
    gammatone_filterbank,
)
from skaudio.nn.filterbanks import EAR_Q, MIN_WIDTH

SR = 22050
FRAMES = {"n_fft": 1024, "win_length": 882, "hop_length": 441}


def noise(n_samples, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(n_samples).astype(dtype)


def sweep(n_samples, sr=SR):
    t = np.arange(n_samples) / sr
    return scipy.signal.chirp(t, 60, t[-1], 0.4 * sr, method="log")


def run(module, *clips):
    with torch.no_grad():
        return module(torch.from_numpy(np.stack(clips))).numpy()


# ----------------------------------------------------------------------- spectrum


def test_power_is_that_of_librosas_stft():
    y = noise(5000, dtype=np.float64)
    ours = run(PowerSpectrogram(**FRAMES, dtype=torch.float64), y)[0]
    theirs = np.abs(librosa.stft(y, **FRAMES)) ** 2
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_samples", [1, 2, 440, 441, 442, 1023, 5000])
def test_frames_are_centred(n_samples):
    power = run(PowerSpectrogram(**FRAMES), noise(n_samples))
    assert power.shape == (1, 513, 1 + n_samples // 441)


def test_window_longer_than_transform():
    with pytest.raises(ValueError, match="win_length=600 is longer than n_fft=512"):
        PowerSpectrogram(n_fft=512, win_length=600, hop_length=100)


# ---------------------------------------------------------------------------- mel


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_mels": 40, "fmin": 100.0, "fmax": 8000.0},
        {"power": 1.0, "top_db": None},
        {"top_db": 40.0},
    ],
)
@pytest.mark.parametrize("signal", [noise, sweep])
def test_mel_is_librosas(signal, options):
    # without top_db there are bands that hold nothing but rounding errors
    dtype = "float64" if "top_db" in options else "float32"
    y = signal(SR).astype(dtype)
    options = {"n_mels": 64, "power": 2.0, "top_db": 80.0, **options}
    front_end = MelSpectrogram(sr=SR, **FRAMES, **options, dtype=getattr(torch, dtype))
    ours = run(front_end, y)[0]
    top_db = options.pop("top_db")
    mel = librosa.feature.melspectrogram(y=y, sr=SR, **FRAMES, **options)
    to_db = librosa.power_to_db if options["power"] == 2 else librosa.amplitude_to_db
    np.testing.assert_allclose(ours, to_db(mel, top_db=top_db), atol=1e-3)


def test_every_band_is_in_one_group():
    """Bands are computed in groups: each must see all frequencies that it touches."""
    front_end = MelSpectrogram(
        sr=SR, **FRAMES, n_mels=37, scale="linear", dtype=torch.float64
    )
    y = noise(3000, dtype=np.float64)
    bank = librosa.filters.mel(sr=SR, n_fft=1024, n_mels=37, dtype=np.float64)
    expected = bank @ np.abs(librosa.stft(y, **FRAMES)) ** 2
    np.testing.assert_allclose(run(front_end, y)[0], expected, rtol=1e-9)


def test_range_above_nyquist():
    with pytest.raises(ValueError, match="fmax=12000 Hz must rise and end at or below"):
        MelSpectrogram(sr=SR, **FRAMES, fmax=12000.0)


# --------------------------------------------------------------------------- scale


def test_scales_agree():
    x = torch.linspace(1e-3, 1, 35, dtype=torch.float64).reshape(1, 5, 7)
    decibels = compress(x, power=2, scale="db", top_db=None)
    natural = compress(x, power=2, scale="log", top_db=None)
    torch.testing.assert_close(decibels, 10 * torch.log10(x))
    torch.testing.assert_close(natural, torch.log(x))
    assert compress(x, power=2, scale="linear", top_db=20) is x


@pytest.mark.parametrize("scale", ["db", "log"])
def test_top_db_is_relative_to_each_clip(scale):
    x = torch.tensor([[[1.0, 1e-9]], [[100.0, 1e-3]]])
    low = compress(x, power=2, scale=scale, top_db=30)[..., 1]
    expected = torch.tensor([[1e-3], [1e-1]])  # 30 dB below 1 and below 100
    torch.testing.assert_close(
        low, compress(expected[..., None], 2, scale, None)[..., 0]
    )


def test_amplitudes_and_powers_have_the_same_decibels():
    x = torch.logspace(-8, 3, 50)[None, None]
    torch.testing.assert_close(
        compress(x, power=1, scale="db", top_db=80),
        compress(x**2, power=2, scale="db", top_db=80),
        atol=1e-4,
        rtol=0,
    )


# ---------------------------------------------------------------------------- MFCC


@pytest.mark.parametrize("n_samples", [SR, 3000, 1100])
def test_mfcc_and_deltas_are_librosas(n_samples):
    y = noise(n_samples)
    ours = run(MFCC(sr=SR, **FRAMES, delta=2), y)[0]
    mfcc = librosa.feature.mfcc(y=y, sr=SR, **FRAMES)
    deltas = [librosa.feature.delta(mfcc, order=k, mode="nearest") for k in (1, 2)]
    np.testing.assert_allclose(ours, np.concatenate([mfcc, *deltas]), atol=1e-3)


@pytest.mark.parametrize("width", [3, 5, 15])
def test_deltas_of_other_widths(width):
    y = noise(SR)
    options = {"delta": 2, "delta_width": width}
    ours = run(MFCC(sr=SR, **FRAMES, **options), y)[0]
    mfcc = librosa.feature.mfcc(y=y, sr=SR, **FRAMES)
    deltas = [
        librosa.feature.delta(mfcc, order=k, width=width, mode="nearest")
        for k in (1, 2)
    ]
    np.testing.assert_allclose(ours, np.concatenate([mfcc, *deltas]), atol=1e-3)


@pytest.mark.parametrize("width", [1, 4])
def test_widths_that_give_no_derivative(width):
    with pytest.raises(ValueError, match=f"delta_width={width} must be an odd number"):
        MFCC(sr=SR, **FRAMES, delta=1, delta_width=width)


@pytest.mark.parametrize("delta", [0, 1, 2])
def test_each_delta_adds_rows(delta):
    front_end = MFCC(sr=SR, **FRAMES, n_mfcc=13, delta=delta)
    assert run(front_end, noise(3000)).shape[1] == 13 * (1 + delta)


def test_more_coefficients_than_bands():
    with pytest.raises(ValueError, match="30 cepstral coefficients"):
        MFCC(sr=SR, **FRAMES, n_mfcc=30, n_mels=20)


# ----------------------------------------------------------------------- gammatone


@pytest.mark.parametrize(
    ("sr", "n_bins", "fmin", "ends"),
    [
        (16000, 10, 100, [100.000, 224.912, 5734.677]),
        (44100, 64, 50, [50.000, 69.754, 19199.601, 20576.042]),
        (22050, 64, 50, [50.000, 66.585, 10393.194]),
    ],
)
def test_erb_frequencies(sr, n_bins, fmin, ends):
    frequencies = erb_frequencies(n_bins, fmin, sr / 2)
    assert np.all(np.diff(frequencies) > 0)
    found = [*frequencies[:2], *frequencies[-2:]]
    for value in ends:
        assert np.min(np.abs(np.array(found) - value)) < 5e-4


def test_bandwidths():
    top, bottom = 20576.042, 50.0
    assert top / EAR_Q + MIN_WIDTH == pytest.approx(2245.658, abs=1e-3)
    assert bottom / EAR_Q + MIN_WIDTH == pytest.approx(30.097, abs=1e-3)


def impulse_response(centre, sr, n_samples):
    """A gammatone in the time domain: t^3 exp(-2 pi b t) cos(2 pi fc t)."""
    t = np.arange(n_samples) / sr
    width = 1.019 * (centre / 9.26449 + 24.7)
    return t**3 * np.exp(-2 * np.pi * width * t) * np.cos(2 * np.pi * centre * t)


def test_responses_are_those_of_gammatones():
    """Slaney's sections against the textbook impulse response, where it is strong."""
    sr, n_fft = 16000, 16384
    bank = gammatone_filterbank(sr, n_fft, n_bins=20, fmin=100.0, fmax=6000.0)
    for response, centre in zip(bank, erb_frequencies(20, 100.0, 6000.0), strict=True):
        expected = np.abs(np.fft.rfft(impulse_response(centre, sr, n_fft)))
        expected /= expected.max()
        strong = expected > 0.1
        np.testing.assert_allclose(response[strong], expected[strong], atol=0.02)


def slaneys_sections(centre, sr):
    """Four second-order sections as published, without their common gain."""
    period, angle = 1 / sr, 2 * np.pi * centre / sr
    decay = np.exp(-2 * np.pi * 1.019 * (centre / 9.26449 + 24.7) * period)
    poles = [1, -2 * np.cos(angle) * decay, decay**2]
    roots = [s * np.sqrt(3 + r * 2**1.5) for r in (1, -1) for s in (1, -1)]
    zeros = [
        [period, -period * decay * (np.cos(angle) + root * np.sin(angle)), 0]
        for root in roots
    ]
    return np.array([[*zero, *poles] for zero in zeros])


@pytest.mark.parametrize(("sr", "n_fft"), [(22050, 1024), (44100, 2048)])
def test_responses_are_those_of_slaneys_sections(sr, n_fft):
    bank = gammatone_filterbank(sr, n_fft, n_bins=64, fmin=50.0, fmax=None)
    for response, centre in zip(bank, erb_frequencies(64, 50.0, sr / 2), strict=True):
        sections = slaneys_sections(centre, sr)
        frequencies = np.append(np.arange(1 + n_fft // 2) * sr / n_fft, centre)
        _, expected = scipy.signal.sosfreqz(sections, frequencies, fs=sr)
        expected = np.abs(expected[:-1] / expected[-1])
        np.testing.assert_allclose(response, expected, rtol=1e-6, atol=1e-12)


def test_gammatone_is_responses_times_magnitudes():
    y = noise(SR, dtype=np.float64)
    bank = gammatone_filterbank(SR, 1024, n_bins=64, fmin=50.0, fmax=None)
    spectrum = np.abs(librosa.stft(y, **FRAMES))
    for power in (1.0, 2.0):
        front_end = GammatoneSpectrogram(
            sr=SR, **FRAMES, power=power, scale="linear", dtype=torch.float64
        )
        expected = (bank / 1024) ** power @ spectrum**power
        np.testing.assert_allclose(run(front_end, y)[0], expected, rtol=1e-8)


def test_a_tone_peaks_in_its_band():
    centres = erb_frequencies(64, 50.0, SR / 2)
    t = np.arange(SR) / SR
    front_end = GammatoneSpectrogram(sr=SR, **FRAMES)
    for k in (20, 35, 50, 62):
        tone = np.sin(2 * np.pi * centres[k] * t).astype(np.float32)
        assert run(front_end, tone)[0].mean(axis=1).argmax() == k


# ---------------------------------------------------------------- laws of all of them


FRONT_ENDS = {
    "mel": MelSpectrogram,
    "gammatone": GammatoneSpectrogram,
    "mfcc": MFCC,
}


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_a_shift_by_hops_shifts_frames(name):
    front_end = FRONT_ENDS[name](sr=SR, **FRAMES)
    y = np.pad(noise(6000), 3000)
    ours, later = run(front_end, y, np.roll(y, 3 * 441))
    np.testing.assert_allclose(later[:, 3:], ours[:, :-3], atol=1e-3)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_gradients_reach_the_waveform_and_stay_finite(name):
    front_end = FRONT_ENDS[name](sr=SR, **FRAMES, dtype=torch.float64)
    y = np.concatenate([noise(1500, dtype=np.float64), np.zeros(3000)])
    y = torch.from_numpy(y)[None].requires_grad_()
    front_end(y).sum().backward()
    assert torch.isfinite(y.grad).all()
    assert y.grad[:, :1500].abs().max() > 0


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_gradient_is_the_derivative(name):
    front_end = (
        FRONT_ENDS[name](
            sr=SR,
            n_fft=64,
            win_length=64,
            hop_length=32,
            n_mels=8,
            dtype=torch.float64,
            **({"n_mfcc": 4, "delta": 1} if name == "mfcc" else {}),
        )
        if name != "gammatone"
        else GammatoneSpectrogram(
            sr=SR, n_fft=64, win_length=64, hop_length=32, n_bins=8, dtype=torch.float64
        )
    )
    y = torch.from_numpy(noise(150, dtype=np.float64))[None].requires_grad_()
    assert torch.autograd.gradcheck(front_end, y)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_weights_of_a_network_do_not_hold_filters(name):
    assert FRONT_ENDS[name](sr=SR, **FRAMES).state_dict() == {}


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_leading_axes_are_free(name):
    front_end = FRONT_ENDS[name](sr=SR, **FRAMES)
    clips = np.stack([noise(2000, seed) for seed in range(6)])
    flat = run(front_end, *clips)
    nested = run(front_end, *clips.reshape(2, 3, -1))
    np.testing.assert_array_equal(nested.reshape(flat.shape), flat)


def test_log1p_is_that_of_the_samplecnn_paper():
    x = torch.tensor([[0.0, 1e-9, 0.1, 9.9]])
    got = compress(x, power=1, scale="log1p", top_db=80)
    expected = np.log(1 + 10 * x.numpy().astype(float))
    np.testing.assert_allclose(got, expected, rtol=1e-6)
