"""The constant-Q transform against librosa's wavelets, and against librosa.cqt."""

import librosa
import numpy as np
import pytest
import scipy.signal
import torch

from skaudio._audio._load import load_clips
from skaudio.nn import ConstantQ

SR, HOP = 22050, 512


def direct(y, sr, hop_length, n_bins=84, bins_per_octave=12, fmin=32.70319566257483):
    """librosa's wavelets, each applied to the samples around every frame."""
    frequencies = librosa.cqt_frequencies(
        n_bins, fmin=fmin, bins_per_octave=bins_per_octave
    )
    ratio = 4 ** (1 / bins_per_octave)
    wavelets, lengths = librosa.filters.wavelet(
        freqs=frequencies,
        sr=sr,
        alpha=np.full(n_bins, (ratio - 1) / (ratio + 1)),
        dtype=np.complex128,
    )
    size = wavelets.shape[1]
    padded = np.pad(y.astype(np.float64), (size // 2, size // 2 + hop_length))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop_length]
    frames = frames[: 1 + len(y) // hop_length]
    return np.abs(wavelets.conj() @ frames.T) * np.sqrt(lengths)[:, None]


def transform(y, sr=SR, hop_length=HOP, dtype=torch.float32, **options):
    front_end = ConstantQ(
        sr=sr, hop_length=hop_length, scale="linear", dtype=dtype, **options
    )
    with torch.no_grad():
        return front_end(torch.from_numpy(y).to(dtype)[None])[0].numpy()


def error_in_db(ours, theirs, within=60):
    """Differences where the reference is not more than ``within`` dB below its top."""
    strong = theirs > theirs.max() * 10 ** (-within / 20)
    return np.abs(20 * np.log10(ours[strong] / theirs[strong]))


def music(seconds=3.0, sr=SR):
    """Decaying harmonic notes over weak noise."""
    rng = np.random.default_rng(0)
    t = np.arange(int(seconds * sr)) / sr
    y = 1e-3 * rng.standard_normal(len(t))
    for start, pitch in enumerate([65.4, 110.0, 246.9, 523.3, 932.3]):
        age = np.clip(t - 0.5 * start, 0, None)
        for k in range(1, 6):
            y += np.sin(2 * np.pi * k * pitch * age) * np.exp(-3 * age) / k
    return y.astype(np.float32)


def test_is_the_direct_transform_with_the_same_wavelets():
    errors = error_in_db(transform(music()), direct(music(), SR, HOP))
    assert np.median(errors) < 0.01
    assert np.quantile(errors, 0.99) < 0.4


def test_is_close_to_librosas_recursion():
    theirs = np.abs(librosa.cqt(music(), sr=SR, hop_length=HOP))
    errors = error_in_db(transform(music()), theirs)
    assert np.median(errors) < 0.15
    assert np.quantile(errors, 0.95) < 1.5
    # and the rest of the way is librosa's: its own wavelets are no nearer to it
    theirs_own = error_in_db(direct(music(), SR, HOP), theirs)
    assert np.quantile(errors, 0.9) < 1.1 * np.quantile(theirs_own, 0.9)


def test_real_clips(shared_data):
    for name in ("esc10/audio/*.ogg", "philharmonia/audio/*.mp3"):
        for path in sorted(shared_data.glob(name))[::150][:3]:
            (y,), _ = load_clips([path], sr=SR, duration=3)
            errors = error_in_db(transform(y), direct(y, SR, HOP))
            assert np.median(errors) < 0.01, path.name
            assert np.quantile(errors, 0.99) < 0.6, path.name


@pytest.mark.parametrize(
    "options",
    [
        {"n_bins": 48, "bins_per_octave": 24, "fmin": 110.0},
        {"n_bins": 5, "bins_per_octave": 1, "fmin": 200.0},  # filters reach below 0 Hz
        {"n_bins": 24, "bins_per_octave": 12, "fmin": 2600.0},  # and to Nyquist
        {"n_bins": 1, "bins_per_octave": 12, "fmin": 440.0},
    ],
)
@pytest.mark.parametrize("hop_length", [256, 375, 441])
def test_other_bins_and_any_hop(options, hop_length):
    y = np.random.default_rng(0).standard_normal(12000)
    ours = transform(y, hop_length=hop_length, dtype=torch.float64, **options)
    theirs = direct(y, SR, hop_length, **options)
    assert ours.shape == theirs.shape
    errors = error_in_db(ours, theirs, within=40)
    assert np.median(errors) < 0.01
    assert np.quantile(errors, 0.95) < 0.05


@pytest.mark.parametrize("seconds", [0.5, 2.0, 7.0, 31.0])
def test_blocks_leave_no_seams(seconds):
    """A steady tone is steady, however many blocks the clip is divided into."""
    t = np.arange(int(seconds * SR)) / SR
    y = np.sin(2 * np.pi * 440.0 * t).astype(np.float32)
    a4 = transform(y)[45]
    steady = a4[5:-5]
    np.testing.assert_allclose(steady, steady.mean(), rtol=2e-3)


def test_a_clip_is_the_same_within_a_longer_one():
    """The division into blocks changes; frames away from the end do not."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal(40 * SR)
    short, long = transform(y[: 4 * SR]), transform(y)
    inside = short.shape[1] - 25
    errors = error_in_db(short[:, :inside], long[:, :inside])
    assert np.quantile(errors, 0.99) < 0.2


@pytest.mark.parametrize("n_samples", [1, 2, 511, 512, 1000])
def test_tiny_clips(n_samples):
    found = transform(np.ones(n_samples, dtype=np.float32))
    assert found.shape == (84, 1 + n_samples // HOP)
    assert np.isfinite(found).all()


def test_a_shift_by_hops_shifts_frames():
    y = np.pad(music(1.0), 12000)
    ours, later = transform(y), transform(np.roll(y, 4 * HOP))
    errors = error_in_db(later[:, 4:], ours[:, :-4])
    assert np.quantile(errors, 0.99) < 0.05


def test_pure_tones_peak_in_their_bins():
    frequencies = librosa.cqt_frequencies(84, fmin=librosa.note_to_hz("C1"))
    t = np.arange(2 * SR) / SR
    for k in (5, 30, 60, 80):
        tone = np.sin(2 * np.pi * frequencies[k] * t)
        assert transform(tone)[:, 20:-20].mean(axis=1).argmax() == k


def test_scales():
    y = torch.from_numpy(music(1.0))[None]
    with torch.no_grad():
        linear, power, db, log = (
            ConstantQ(sr=SR, hop_length=HOP, top_db=60, **options)(y)
            for options in (
                {"scale": "linear"},
                {"scale": "linear", "power": 2.0},
                {"scale": "db"},
                {"scale": "log"},
            )
        )
    torch.testing.assert_close(power, linear**2)
    expected = librosa.amplitude_to_db(linear.numpy(), top_db=60)
    np.testing.assert_allclose(db.numpy(), expected, atol=1e-3)
    np.testing.assert_allclose(log.numpy(), expected * np.log(10) / 20, atol=1e-3)


@pytest.mark.parametrize(
    ("sr", "n_bins", "remedy"),
    [(8000, 84, "n_bins to 83 or less"), (60, 1, "fmin")],
)
def test_bins_above_nyquist(sr, n_bins, remedy):
    with pytest.raises(ValueError, match=f"above the Nyquist.*Lower {remedy}"):
        ConstantQ(sr=sr, hop_length=100, n_bins=n_bins)


def test_the_remedy_works():
    message = ""
    try:
        ConstantQ(sr=8000, hop_length=180, n_bins=84)
    except ValueError as error:
        message = str(error)
    fitting = int(message.partition("n_bins to ")[2].split()[0])
    ConstantQ(sr=8000, hop_length=180, n_bins=fitting)
    with pytest.raises(ValueError, match="Nyquist"):
        ConstantQ(sr=8000, hop_length=180, n_bins=fitting + 1)


def test_gradient_is_the_derivative():
    front_end = ConstantQ(
        sr=SR, hop_length=64, n_bins=12, fmin=2000.0, dtype=torch.float64
    )
    y = scipy.signal.windows.hann(200) * np.random.default_rng(0).standard_normal(200)
    assert torch.autograd.gradcheck(front_end, torch.from_numpy(y).requires_grad_())


def test_gradients_also_after_inference_mode():
    front_end = ConstantQ(sr=SR, hop_length=HOP)
    y = torch.from_numpy(music(0.5))[None]
    with torch.inference_mode():
        front_end(y)
    y = torch.cat([y, torch.zeros_like(y)], dim=1).requires_grad_()
    front_end(y).sum().backward()
    assert torch.isfinite(y.grad).all()
