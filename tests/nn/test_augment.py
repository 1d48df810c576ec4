"""Mixing, noise and masks against hand computation and their laws."""

import numpy as np
import torch

from skaudio.nn import add_noise, mask, mix_waveforms


def waves(seed, n=4):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal((n, 1000)))


def test_mixture_of_equally_loud_sounds():
    """For equal levels the shares are r and 1 - r, scaled to keep the energy."""
    a, b = waves(0), waves(1)
    b = b * (a.square().mean(1) / b.square().mean(1)).sqrt()[:, None]
    ratio = torch.tensor([0.1, 0.5, 0.7, 1.0], dtype=torch.float64)
    r = ratio[:, None]
    expected = (r * a + (1 - r) * b) / (r**2 + (1 - r) ** 2).sqrt()
    torch.testing.assert_close(mix_waveforms(a, b, ratio), expected)


def test_ratio_is_that_of_perceived_levels():
    """Levels of both parts of the mixture relate as the ratio, however loud a is."""
    a, b = waves(0) * 10, waves(1)
    ratio = torch.full((4,), 0.25, dtype=torch.float64)
    silence = torch.zeros_like(a)
    total = mix_waveforms(a, b, ratio)
    # the mixture is linear in both once the shares are fixed by their levels
    share = 1 / (1 + (a.square().mean(1) / b.square().mean(1)).sqrt() * 3)
    part_a = share[:, None] * a
    part_b = (1 - share)[:, None] * b
    scale = (share**2 + (1 - share) ** 2).sqrt()[:, None]
    torch.testing.assert_close(total * scale, part_a + part_b)
    levels = part_a.square().mean(1).sqrt() / part_b.square().mean(1).sqrt()
    torch.testing.assert_close(levels, torch.full((4,), 1 / 3, dtype=torch.float64))
    assert torch.isfinite(mix_waveforms(silence, silence, ratio)).all()


def test_unmixed_rows_are_untouched():
    a, b = waves(0), waves(1)
    mixed = mix_waveforms(a, b, torch.tensor([1.0, 0.5, 1.0, 0.0]).double())
    np.testing.assert_array_equal(mixed[[0, 2]], a[[0, 2]])
    torch.testing.assert_close(mixed[3], b[3])


def test_noise_has_the_asked_level():
    x, noise = 0.1 * waves(0), waves(1)
    snr = torch.tensor([-10.0, 0.0, 20.0, 60.0], dtype=torch.float64)
    added = add_noise(x, noise, snr) - x
    power = noise.square().mean(1)
    measured = 10 * torch.log10(x.square().mean(1) * power / added.square().mean(1))
    torch.testing.assert_close(measured, snr)
    assert not add_noise(0 * x, noise, snr).any()


def test_masks_hide_one_block_and_nothing_else():
    x = torch.from_numpy(np.random.default_rng(0).uniform(1, 2, (5, 10, 20)))
    width = torch.tensor([0.0, 0.1, 0.3, 0.5, 1.0])
    position = torch.tensor([0.5, 0.0, 0.5, 0.999, 0.3])
    for axis, size in ((1, 10), (2, 20)):
        masked = mask(x, axis, width, position)
        hidden = (masked == 0).all(3 - axis)
        np.testing.assert_array_equal(hidden.sum(1), (width * size).round())
        np.testing.assert_array_equal(masked[masked != 0], x[masked != 0])
        edges = np.diff(hidden.int().numpy(), axis=1, prepend=0, append=0)
        assert (np.abs(edges).sum(1) <= 2).all()  # one block
        assert hidden[1, 0]
        assert hidden[3, -1]
