"""Augmentation of sound and of views, as functions of given random numbers."""

from __future__ import annotations

import torch
from torch import Tensor

SILENCE = 1e-10  # mean power below which a waveform counts as silent


def mix_waveforms(a: Tensor, b: Tensor, ratio: Tensor) -> Tensor:
    """Mix pairs of waveforms so that the first has a share ``ratio`` of what is heard.

    Between-class learning (Tokozume et al., ICLR 2018, Eq. 2): the amplitudes are
    weighed with the difference of both levels in mind, and the energy is kept.

    Parameters
    ----------
    a, b : Tensor of shape (n_clips, n_samples)
        Waveforms.
    ratio : Tensor of shape (n_clips,)
        Share of `a`, from 0 to 1; 1 leaves `a` as it is.

    Returns
    -------
    mixture : Tensor of shape (n_clips, n_samples)
        The mixtures. The level is the root mean square over the whole segment, where
        the authors take the loudest A-weighted window.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import mix_waveforms
    >>> a, b = torch.tensor([[2.0, -2.0]]), torch.tensor([[1.0, 1.0]])
    >>> mixture = mix_waveforms(a, b, torch.tensor([0.5]))  # shares 1/3 and 2/3
    >>> mixture.numpy().round(3) + 0.0
    array([[1.789, 0.   ]], dtype=float32)
    """
    louder = ((_power(a) + SILENCE) / (_power(b) + SILENCE)).sqrt()
    tiny = torch.finfo(ratio.dtype).tiny
    share = 1 / (1 + louder * (1 - ratio) / ratio.clamp(min=tiny))
    share = torch.where(ratio == 1, torch.ones_like(share), share)[:, None]
    energy = share.square() + (1 - share).square()
    return (share * a + (1 - share) * b) / energy.sqrt()


def add_noise(x: Tensor, noise: Tensor, snr: Tensor) -> Tensor:
    """Add noise at a signal-to-noise ratio.

    Parameters
    ----------
    x : Tensor of shape (n_clips, n_samples)
        Waveforms.
    noise : Tensor of shape (n_clips, n_samples)
        Noise of unit power.
    snr : Tensor of shape (n_clips,)
        Decibels of each waveform's power above that of its noise.

    Returns
    -------
    noisy : Tensor of shape (n_clips, n_samples)
        A silent waveform stays silent.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import add_noise
    >>> x, noise = torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, 1.0]])
    >>> add_noise(x, noise, torch.tensor([20.0]))
    tensor([[ 1.1000, -0.9000]])
    """
    amplitude = _power(x).sqrt() * 10 ** (-snr / 20)
    return x + amplitude[:, None] * noise


def mask(x: Tensor, axis: int, width: Tensor, position: Tensor) -> Tensor:
    """Set a block of bins or frames of every view to zero (SpecAugment).

    Parameters
    ----------
    x : Tensor of shape (n_clips, n_bins, n_frames)
        Views, standardised so that zero is the mean.
    axis : {1, 2}
        1 masks bins, 2 frames.
    width : Tensor of shape (n_clips,)
        Share of the axis that is masked, from 0 to 1, rounded to whole steps.
    position : Tensor of shape (n_clips,)
        Where the block lies, from 0 (first possible place) to below 1 (last).

    Returns
    -------
    masked : Tensor of shape (n_clips, n_bins, n_frames)
        Park et al., "SpecAugment", Interspeech 2019, without time warping.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import mask
    >>> x = torch.ones(1, 4, 2)
    >>> mask(x, 1, torch.tensor([0.5]), torch.tensor([0.0])).sum(2)
    tensor([[0., 0., 2., 2.]])
    """
    size = x.shape[axis]
    n_masked = (width * size).round()
    first = (position * (size - n_masked + 1)).floor()
    steps = torch.arange(size, device=x.device)
    hidden = (steps >= first[:, None]) & (steps < (first + n_masked)[:, None])
    return x.masked_fill(hidden.unsqueeze(3 - axis), 0)


def _power(x: Tensor) -> Tensor:
    return x.square().mean(-1)
