"""COALA: sizes of the paper's supplement, and librosa's spectrogram."""

import librosa
import numpy as np
import pytest
import torch

from skaudio.nn import CoalaAudioEncoder, CoalaCNN, CoalaInput, layer_outputs


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_sizes():
    encoder = CoalaAudioEncoder()
    assert n_parameters(encoder) == 2_379_648
    assert n_parameters(encoder.blocks) == 1_052_544
    assert n_parameters(CoalaCNN()) == 3_533_800


def test_path_of_a_patch():
    encoder = CoalaAudioEncoder().eval()
    with torch.no_grad():
        out = layer_outputs(
            encoder, [*encoder.hidden_layers, ""], torch.rand(2, 96, 96)
        )
    sides = [48, 24, 12, 6, 3]
    for name, side in zip(encoder.hidden_layers, sides, strict=True):
        assert out[name].shape == (2, 128, side, side)
    assert out[""].shape == (2, 1152)
    assert out[""].min() == 0  # of ReLU
    assert encoder.aligned(out[""]).shape == (2, 1152)
    assert encoder.affine.bias is None


def test_dropout_is_a_quarter_after_each_block_and_the_affine_map():
    levels = [
        m.p for m in CoalaAudioEncoder(4).modules() if type(m).__name__ == "Dropout"
    ]
    assert levels == [0.25] * 6


@pytest.mark.parametrize("n_samples", [1024, 22_000, 33_333])
def test_spectrogram_is_that_of_librosa(n_samples):
    rng = np.random.default_rng(0)
    times = np.arange(n_samples) / 22_000
    y = 0.3 * rng.standard_normal(n_samples) + np.sin(2 * np.pi * 9000 * times**2)
    y = y.astype(np.float32)
    expected = librosa.feature.melspectrogram(
        y=y,
        sr=22_000,
        n_fft=1024,
        hop_length=512,
        n_mels=96,
        power=1,
        pad_mode="reflect",
    )
    ours = CoalaInput()(torch.tensor(y))
    assert ours.shape == (96, 1 + n_samples // 512)
    np.testing.assert_allclose(ours.exp().numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(
        ours.numpy(), np.log(expected + np.finfo(np.float32).eps), atol=1e-5
    )


def test_ten_seconds_are_430_frames_and_28_patches():
    spectrogram = CoalaInput()(torch.zeros(2, 3, 220_000))
    assert spectrogram.shape == (2, 3, 96, 430)
    assert CoalaInput.patches(spectrogram).shape == (2, 3, 4, 96, 96)
    assert CoalaInput.patches(spectrogram, 12).shape == (2, 3, 28, 96, 96)
    torch.testing.assert_close(  # silence is the floor
        spectrogram, torch.full_like(spectrogram, float(np.log(1.1920929e-7)))
    )


def test_patches_keep_the_order_of_bands_and_frames():
    spectrogram = torch.rand(96, 200)
    patches = CoalaInput.patches(spectrogram, 50)
    assert torch.equal(patches[2], spectrogram[:, 100:196])


def test_scaling_depends_on_time_not_on_band():
    encoder = CoalaAudioEncoder(4)
    x = torch.rand(2, 96, 96)
    assert torch.equal(encoder.scaling(x), x)
    encoder.scaling.scale.copy_(torch.arange(96.0))
    encoder.scaling.minimum.fill_(0.5)
    y = encoder.scaling(x)
    torch.testing.assert_close(y[:, :, 7], 7 * x[:, :, 7] + 0.5)


def test_gradients_reach_the_waveform():
    y = torch.zeros(1, 50_000, requires_grad=True)
    z = CoalaAudioEncoder(4).eval()(CoalaInput.patches(CoalaInput()(y))[:, 0])
    z.sum().backward()
    assert torch.isfinite(y.grad).all()
