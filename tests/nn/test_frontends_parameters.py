"""Parameters of front ends that librosa has too: the same names, the same numbers."""

import itertools
import warnings

import librosa
import numpy as np
import pytest
import scipy.signal
import torch

from skaudio.nn import (
    MFCC,
    ConstantQ,
    GammatoneSpectrogram,
    MelSpectrogram,
    PowerSpectrogram,
    Spectrogram,
    mel_filterbank,
)
from skaudio.nn.padding import continued, emphasised, pad

SR = 22050
FRAMES = {"n_fft": 1024, "win_length": 882, "hop_length": 441}
MODES = ["constant", "reflect", "symmetric", "edge", "wrap"]
WINDOWS = {
    "hann": "hann",
    "rectangular": "boxcar",
    "named": ("kaiser", 8.0),
    "beta": 14.0,
    "array": "triang",  # as samples, see `windows`
}


def noise(n_samples, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(n_samples).astype(dtype)


def tone(n_samples):
    return noise(n_samples) * 0.1 + scipy.signal.chirp(
        np.arange(n_samples) / SR, 100, n_samples / SR, 9000
    )


def run(module, y):
    with torch.no_grad():
        return module(torch.from_numpy(y)[None]).numpy()[0]


def window_of(name, win_length):
    """What librosa and the front ends are given."""
    if name == "array":
        return scipy.signal.get_window("triang", win_length)
    return WINDOWS[name]


def librosas_power(y, pad_mode="constant", center=True, n_fft=1024, **options):
    """By librosa, which refuses to wrap and warns of short clips."""
    if center:
        y = np.pad(y, n_fft // 2, mode=pad_mode)
    return np.abs(librosa.stft(y, n_fft=n_fft, center=False, **options)) ** 2


# ------------------------------------------------------------------------- spectrum


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(
    ("n_fft", "win_length", "hop_length"),
    [(512, 400, 160), (511, 400, 160), (512, 399, 100), (257, 257, 300)],
)
def test_windows_are_librosas(window, center, n_fft, win_length, hop_length):
    frames = {"n_fft": n_fft, "win_length": win_length, "hop_length": hop_length}
    y, shape = noise(3001), window_of(window, win_length)
    front_end = PowerSpectrogram(
        **frames, window=shape, center=center, dtype=torch.float64
    )
    expected = librosa.stft(y, **frames, window=shape, center=center)
    np.testing.assert_allclose(run(front_end, y), np.abs(expected) ** 2, rtol=1e-8)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("center", [True, False])
def test_magnitudes_are_librosas(window, center):
    """In both precisions, of every frame's largest magnitude in float32."""
    y = noise(3001)
    for n_fft, pad_mode in itertools.product((512, 511), MODES):
        frames = {"n_fft": n_fft, "win_length": 400, "hop_length": 160}
        frames |= {"window": window_of(window, 400), "center": center}
        expected = np.sqrt(librosas_power(y, pad_mode, **frames))
        for dtype, bound in (("float64", 1e-6), ("float32", 2e-6)):
            front_end = Spectrogram(
                **frames, pad_mode=pad_mode, dtype=getattr(torch, dtype)
            )
            found = run(front_end, y.astype(dtype))
            assert found.dtype == dtype
            assert (np.abs(found - expected) <= bound * expected.max(axis=0)).all()
            if dtype == "float64":
                np.testing.assert_allclose(found, expected, rtol=bound)


def test_magnitudes_of_silence_and_of_a_tone():
    """Zeros are zeros, with finite gradients; a tone in a bin is half its window."""
    front_end = Spectrogram(
        n_fft=64, win_length=64, hop_length=16, center=False, dtype=torch.float64
    )
    y = torch.zeros(1, 128, dtype=torch.float64, requires_grad=True)
    found = front_end(y)
    assert not found.any()
    found.sum().backward()
    assert torch.isfinite(y.grad).all()
    tone = np.cos(2 * np.pi * 8 * np.arange(128) / 64)
    spectrum = run(front_end, tone)
    np.testing.assert_allclose(spectrum[8], 16.0)  # a Hann window adds up to 32
    np.testing.assert_allclose(spectrum[[7, 9]], 8.0)
    np.testing.assert_allclose(np.delete(spectrum, [7, 8, 9], axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("pad_mode", MODES)
@pytest.mark.parametrize("n_samples", [1, 2, 100, 256, 257, 3000])
@pytest.mark.parametrize("n_fft", [512, 511])
def test_padding_is_numpys(pad_mode, n_samples, n_fft):
    """However short the clip: a mirror image is mirrored again."""
    y = noise(n_samples)
    frames = {"win_length": 400, "hop_length": 160, "n_fft": n_fft}
    front_end = PowerSpectrogram(**frames, pad_mode=pad_mode, dtype=torch.float64)
    expected = librosas_power(y, pad_mode, **frames)
    np.testing.assert_allclose(run(front_end, y), expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("pad_mode", ["constant", "reflect", "symmetric", "edge"])
def test_padding_is_librosas(pad_mode):
    y = noise(3000)
    front_end = PowerSpectrogram(**FRAMES, pad_mode=pad_mode, dtype=torch.float64)
    expected = np.abs(librosa.stft(y, **FRAMES, pad_mode=pad_mode)) ** 2
    np.testing.assert_allclose(run(front_end, y), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n_samples", [1, 2, 3, 50])
def test_pad(mode, n_samples):
    x = noise(2 * n_samples).reshape(2, n_samples)
    expected = np.pad(x, ((0, 0), (7, 130)), mode=mode)
    np.testing.assert_array_equal(pad(torch.from_numpy(x), 7, 130, mode), expected)


@pytest.mark.parametrize("mode", ["constant", "reflect", "symmetric", "edge"])
def test_margins_are_filled_as_a_whole_clip_is_padded(mode):
    """Pieces of clips of 1, 40 and 200 samples, which start before, in and after it."""
    margin, size = 30, 100
    for n_samples, start in itertools.product((1, 40, 200), (-30, 0, 60, 150)):
        if start > n_samples:
            continue
        clip = noise(n_samples)
        whole = np.pad(clip, 200, mode=mode)[200 + start :][:size]
        places = np.arange(start, start + size)
        is_clip = (places >= 0) & (places < n_samples)
        piece = np.full(size, 99.0)  # what stands in the margins does not matter
        piece[is_clip] = clip[places[is_clip]]
        found = continued(
            torch.from_numpy(piece)[None],
            torch.tensor([[-start, n_samples - start]]),
            mode,
        )
        near = (places >= -margin) & (places < n_samples + margin)
        # a mirror shows what the piece holds
        near &= (is_clip.sum() > margin) | (is_clip.sum() == n_samples)
        np.testing.assert_array_equal(found[0].numpy()[near], whole[near])


def test_a_window_array_of_another_length():
    with pytest.raises(ValueError, match=r"needs win_length=882 samples; got.*\(5,\)"):
        PowerSpectrogram(**FRAMES, window=np.ones(5))


@pytest.mark.parametrize("front_end", [PowerSpectrogram, MelSpectrogram])
def test_clips_too_short_without_padding(front_end):
    options = {} if front_end is PowerSpectrogram else {"sr": SR}
    module = front_end(**FRAMES, **options, center=False)
    assert module(torch.zeros(1, 1024)).shape[-1] == 1
    with pytest.raises(ValueError, match="needs n_fft=1024 samples or more; got 1023"):
        module(torch.zeros(1, 1023))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pad_mode": "circular"}, "pad_mode='circular' is unknown. Choose one of con"),
        ({"scale": "dB"}, "scale='dB' is unknown. Choose one of db, log, log1p, lin"),
    ],
)
def test_unknown_names(options, message):
    with pytest.raises(ValueError, match=message):
        MelSpectrogram(sr=SR, **FRAMES, **options)
    with pytest.raises(ValueError, match=message):
        ConstantQ(sr=SR, hop_length=512, **options)


# --------------------------------------------------------------------- pre-emphasis


@pytest.mark.parametrize("n_samples", [1, 2, 500])
def test_preemphasis_is_librosas_from_silence(n_samples):
    y = noise(n_samples)
    found = emphasised(torch.from_numpy(y), 0.97)
    expected = librosa.effects.preemphasis(y, coef=0.97, zi=[0.0])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    # python_speech_features.sigproc.preemphasis
    speech = np.append(y[0], y[1:] - 0.97 * y[:-1])
    np.testing.assert_allclose(found, speech, rtol=1e-12)


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
@pytest.mark.parametrize("center", [True, False])
def test_preemphasis_comes_first(pad_mode, center):
    """Padding continues what was emphasised, as with librosa's two calls."""
    y = tone(SR // 2)
    frames = {**FRAMES, "center": center, "pad_mode": pad_mode}
    front_end = MelSpectrogram(
        sr=SR, **frames, preemphasis=0.97, top_db=60.0, dtype=torch.float64
    )
    sharp = librosa.effects.preemphasis(y, coef=0.97, zi=[0.0])
    expected = librosa.feature.melspectrogram(y=sharp, sr=SR, n_mels=64, **frames)
    expected = librosa.power_to_db(expected, top_db=60.0)
    np.testing.assert_allclose(run(front_end, y), expected, atol=1e-6)


# ---------------------------------------------------------------------- mel and MFCC


def test_mel_filters_are_librosas():
    for htk, norm in itertools.product((False, True), ("slaney", None)):
        found = mel_filterbank(SR, 1023, 40, 50.0, 8000.0, htk=htk, norm=norm)
        expected = librosa.filters.mel(
            sr=SR, n_fft=1023, n_mels=40, fmin=50.0, fmax=8000.0, htk=htk, norm=norm
        )
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


MEL_GRID = list(
    itertools.product(
        ["hann", "rectangular", "named"],
        [True, False],
        ["constant", "reflect"],
        [True, False],
        ["slaney", None],
        [1024, 1023],
    )
)


@pytest.mark.parametrize("kind", ["mel", "mfcc"])
def test_mel_and_mfcc_are_librosas_over_a_grid(kind):
    """float32, to a thousandth of a decibel, in all combinations."""
    y = tone(SR // 3).astype(np.float32)
    for window, center, pad_mode, htk, norm, n_fft in MEL_GRID:
        frames = {**FRAMES, "n_fft": n_fft, "center": center, "pad_mode": pad_mode}
        frames["window"] = window_of(window, 882)
        if kind == "mel":
            ours = MelSpectrogram(sr=SR, n_mels=64, **frames, htk=htk, norm=norm)
            mel = librosa.feature.melspectrogram(
                y=y, sr=SR, n_mels=64, **frames, htk=htk, norm=norm
            )
            expected = librosa.power_to_db(mel)
        else:
            ours = MFCC(sr=SR, **frames, htk=htk, mel_norm=norm)
            expected = librosa.feature.mfcc(
                y=y, sr=SR, **frames, htk=htk, mel_norm=norm
            )
        np.testing.assert_allclose(
            run(ours, y), expected, atol=1e-3, err_msg=f"{frames} {htk} {norm}"
        )


@pytest.mark.parametrize("dct_type", [1, 2, 3])
@pytest.mark.parametrize("norm", ["ortho", None])
@pytest.mark.parametrize("lifter", [0, 22])
@pytest.mark.parametrize("n_mfcc", [13, 20])
def test_cosine_transforms_are_librosas(dct_type, norm, lifter, n_mfcc):
    y = tone(SR // 3)
    options = {"dct_type": dct_type, "norm": norm, "lifter": lifter, "n_mfcc": n_mfcc}
    options |= {"n_mels": 40, "htk": True, "mel_norm": None, "window": "boxcar"}
    expected = librosa.feature.mfcc(y=y, sr=SR, **FRAMES, **options)
    found = run(MFCC(sr=SR, **FRAMES, **options, dtype=torch.float64), y)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_deltas_follow_whatever_the_parameters():
    y = tone(SR // 3)
    options = {"lifter": 22, "pad_mode": "reflect", "center": False, "htk": True}
    mfcc = librosa.feature.mfcc(y=y, sr=SR, **FRAMES, **options)
    deltas = [librosa.feature.delta(mfcc, order=k, mode="nearest") for k in (1, 2)]
    ours = run(MFCC(sr=SR, **FRAMES, **options, delta=2, dtype=torch.float64), y)
    np.testing.assert_allclose(ours, np.concatenate([mfcc, *deltas]), atol=1e-3)


def test_gammatone_takes_what_the_spectrogram_takes():
    y = noise(SR // 3)
    options = {"window": "boxcar", "center": False, "preemphasis": 0.9}
    plain = GammatoneSpectrogram(
        sr=SR, **FRAMES, scale="linear", **options, dtype=torch.float64
    )
    spectrum = PowerSpectrogram(**FRAMES, **options, dtype=torch.float64)
    expected = plain.from_power(spectrum(torch.from_numpy(y)[None]))[0]
    np.testing.assert_array_equal(run(plain, y), expected)
    reference = librosas_power(
        librosa.effects.preemphasis(y, coef=0.9, zi=[0.0]),
        center=False,
        window="boxcar",
        **FRAMES,
    )
    bank = plain.get_buffer("bank_0").numpy()
    rows = bank @ np.sqrt(reference)[plain._touched[0]]
    np.testing.assert_allclose(run(plain, y)[: len(bank)], rows, rtol=1e-7)


# ------------------------------------------------------------------------ constant-Q


@pytest.mark.parametrize("pad_mode", MODES)
def test_constant_q_of_padded_clips(pad_mode):
    y, n_hops = noise(SR), 60
    padded = np.pad(y, n_hops * 512, mode=pad_mode)
    options = {"sr": SR, "hop_length": 512, "n_bins": 60, "dtype": torch.float64}
    expected = run(ConstantQ(**options, scale="linear"), padded)
    found = run(ConstantQ(**options, scale="linear", pad_mode=pad_mode), y)
    expected = expected[:, n_hops : n_hops + found.shape[1]]
    near = 1e-3 * expected.max()  # responses have faint tails beyond the padding
    np.testing.assert_allclose(found, expected, atol=near)


def test_constant_q_is_mirrored_as_librosas():
    """The border frames of low notes see little else than padding."""
    times = np.arange(2 * SR) / SR
    y = sum(np.sin(2 * np.pi * 55 * k * times + k) / k for k in range(1, 9))
    options = {"sr": SR, "hop_length": 512, "n_bins": 60}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of padding longer than the low octaves
        expected = np.abs(librosa.cqt(y, **options, pad_mode="reflect"))

    def off(pad_mode):
        ours = ConstantQ(
            **options, scale="linear", pad_mode=pad_mode, dtype=torch.float64
        )
        return np.abs(run(ours, y) - expected)[:, [0, 1, -2, -1]].max()

    assert off("reflect") < 0.05 * expected.max() < off("constant")


# ------------------------------------------------------------- ranges of whole clips


@pytest.mark.parametrize(
    "front_end",
    [
        MelSpectrogram(sr=SR, **FRAMES, top_db=20.0),
        MelSpectrogram(sr=SR, **FRAMES, top_db=20.0, scale="log", power=1.0),
        GammatoneSpectrogram(sr=SR, **FRAMES, top_db=20.0),
        Spectrogram(**FRAMES, scale="db", top_db=20.0),
        MFCC(sr=SR, **FRAMES, top_db=20.0),
        ConstantQ(sr=SR, hop_length=512, n_bins=60, top_db=20.0, scale="log"),
    ],
    ids=lambda module: f"{type(module).__name__}-{module.scale}",
)
def test_top_of_the_whole_clip(front_end):
    """Its own maximum changes nothing; one 10 dB higher leaves 10 dB less."""
    y = torch.from_numpy(noise(SR // 2, dtype=np.float32))[None]
    own = front_end.levels(y).amax((-1, -2))
    torch.testing.assert_close(front_end(y, own), front_end(y), rtol=0, atol=0)
    higher = front_end(y, own + 10 / front_end.decibels)
    front_end.top_db = 10.0
    torch.testing.assert_close(higher, front_end(y))
    front_end.top_db = 20.0


def test_no_range():
    for options in ({"top_db": None}, {"scale": "linear"}, {"scale": "log1p"}):
        assert MelSpectrogram(sr=SR, **FRAMES, **options).decibels is None
    assert MelSpectrogram(sr=SR, **FRAMES).decibels == 1
    per_unit = MelSpectrogram(sr=SR, **FRAMES, scale="log", power=1.0).decibels
    assert per_unit == pytest.approx(20 / np.log(10))
