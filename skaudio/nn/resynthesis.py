"""From short-time Fourier transforms and bands back to sound."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from skaudio.nn.frontends import BandSpectrogram, PowerSpectrogram


def fourier_transform(spectrogram: PowerSpectrogram, waveform: Tensor) -> Tensor:
    """Complex short-time Fourier transform whose squared magnitudes a module computes.

    Parameters
    ----------
    spectrogram : PowerSpectrogram
        What says how a clip is cut into frames.
    waveform : Tensor of shape (..., n_samples)
        Sound.

    Returns
    -------
    spectrum : complex Tensor of shape (..., 1 + n_fft // 2, n_frames)
        The transform.
    """
    prepared = spectrogram._prepared(waveform, None, 0)
    frames = prepared.unfold(-1, spectrogram.n_fft, spectrogram.hop_length)
    return torch.fft.rfft(frames * spectrogram.window).mT


def inverse_fourier_transform(
    spectrogram: PowerSpectrogram, spectrum: Tensor, n_samples: int
) -> Tensor:
    """Sound of short-time Fourier transforms: least squares, as `torch.istft` has it.

    Samples that no window sees are zero. Pre-emphasis is undone.

    Parameters
    ----------
    spectrogram : PowerSpectrogram
        What the transform was computed by.
    spectrum : complex Tensor of shape (n, 1 + n_fft // 2, n_frames)
        Transforms, changed or not.
    n_samples : int
        Samples of the clip.

    Returns
    -------
    waveform : Tensor of shape (n, n_samples)
        Sound.
    """
    n_fft, hop = spectrogram.n_fft, spectrogram.hop_length
    window = spectrogram.window
    frames = torch.fft.irfft(spectrum.mT, n_fft) * window  # (n, frames, n_fft)
    weights = (window**2).expand(1, *frames.shape[1:])
    sums, weight = _added(frames, hop), _added(weights, hop)
    tiny = torch.finfo(weight.dtype).eps * float(weight.max())
    sound = torch.where(weight > tiny, sums / weight.clamp(min=tiny), 0)
    start = n_fft // 2 if spectrogram.center is True else 0
    sound = sound[:, start : start + n_samples]
    sound = F.pad(sound, (0, n_samples - sound.shape[1]))
    if not spectrogram.preemphasis:
        return sound
    from scipy.signal import lfilter

    undone = lfilter([1.0], [1.0, -spectrogram.preemphasis], sound.cpu().numpy())
    return torch.as_tensor(undone, dtype=sound.dtype, device=sound.device)


def _added(frames: Tensor, hop: int) -> Tensor:
    """Frames (n, n_frames, length), laid over each other and added."""
    n, n_frames, length = frames.shape
    size = (1, (n_frames - 1) * hop + length)
    return F.fold(frames.mT, size, (1, length), stride=(1, hop)).reshape(n, -1)


def filters_of(front_end: BandSpectrogram) -> Tensor:
    """Filters (n_bands, 1 + n_fft // 2) of bands.

    Parameters
    ----------
    front_end : BandSpectrogram
        What adds up frequencies to bands.

    Returns
    -------
    filters : Tensor of shape (n_bands, 1 + n_fft // 2)
        Weights of the frequencies.
    """
    banks = [front_end.get_buffer(f"bank_{i}") for i in range(len(front_end._touched))]
    n_bins = 1 + front_end.spectrogram.n_fft // 2
    filters = banks[0].new_zeros(sum(map(len, banks)), n_bins)
    for rows, bank, touched in zip(
        filters.split(list(map(len, banks))), banks, front_end._touched, strict=True
    ):
        rows[:, touched] = bank
    return filters


def bins_of_bands(front_end: BandSpectrogram, maps: Tensor) -> Tensor:
    """Values of Fourier bins: the mean of those of the bands that contain them.

    Bins between the lowest and the highest that any band contains, but in no band, have
    the value of the nearest one that is; those outside are zero.

    Parameters
    ----------
    front_end : BandSpectrogram
        What adds up frequencies to bands.
    maps : Tensor of shape (..., n_bands, n_frames)
        Values of bands.

    Returns
    -------
    bins : Tensor of shape (..., 1 + n_fft // 2, n_frames)
        Values of Fourier bins.
    """
    filters = filters_of(front_end).to(maps)
    total = filters.sum(0)
    inside = total.nonzero()[:, 0]
    bins = torch.arange(len(total), device=total.device)
    nearest = inside[(bins[:, None] - inside).abs().argmin(1)]
    share = (filters / total.clamp(min=torch.finfo(total.dtype).tiny))[:, nearest]
    seen = (bins >= inside[0]) & (bins <= inside[-1])
    return (share * seen).mT @ maps
