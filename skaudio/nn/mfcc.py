"""Mel-frequency cepstral coefficients as a torch module."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skaudio.nn.blocks import is_exporting
from skaudio.nn.filterbanks import dct_matrix, delta_kernel, mel_filterbank
from skaudio.nn.frontends import BandSpectrogram, PowerSpectrogram, to_scale


class MFCC(BandSpectrogram):
    """Mel-frequency cepstral coefficients, as librosa computes them, and others do.

    Parameters
    ----------
    sr : float
        Sampling rate of the waveforms in Hz.
    n_fft, win_length, hop_length : int
        Samples of the Fourier transform, the window and from frame to frame.
    n_mfcc : int, default=20
        Number of coefficients.
    dct_type : {1, 2, 3}, default=2
        Type of the discrete cosine transform.
    norm : "ortho" or None, default="ortho"
        Norm of the discrete cosine transform, as in ``librosa.feature.mfcc``: "ortho"
        makes it orthonormal. That of the mel filters is `mel_norm`.
    lifter : float, default=0
        Coefficient ``k``, counted from 1, is multiplied by
        ``1 + lifter / 2 * sin(pi * k / lifter)``; 0 leaves all as they are.
    use_energy : bool, default=False
        The first row is the energy of the frame, on the `scale`, in place of the first
        coefficient, which is then left out: `lifter` counts from the next one.
    delta : {0, 1, 2}, default=0
        Time derivatives to append, up to this order: ``n_mfcc`` rows each.
    delta_width : int, default=9
        Frames that a derivative is taken from, an odd number above `delta`.
    n_mels : int, default=128
        Number of mel bands.
    fmin, fmax : float or None, default=0.0, None
        Frequency range in Hz; `fmax` None is half the sampling rate.
    htk : bool or "bins", default=False
        HTK's mel scale instead of Slaney's, see `mel_filterbank`.
    mel_norm : "slaney" or None, default="slaney"
        Norm of the mel filters, which is the ``norm`` of `MelSpectrogram`.
    scale : {"db", "log", "log1p", "linear"} or tuple, default="db"
        That of the mel spectrogram, see `compress`.
    top_db : float or None, default=80.0
        Range of the mel spectrogram in decibels below a clip's maximum.
    window, center, pad_mode, preemphasis : optional
        See `PowerSpectrogram`.
    dtype : torch.dtype, default=torch.float32
        Type of the buffers; waveforms must have the same.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import MFCC
    >>> MFCC(sr=8000, n_fft=512, win_length=320, hop_length=160, delta=2)(
    ...     torch.zeros(1, 8000)
    ... ).shape
    torch.Size([1, 60, 51])
    """

    dct: Tensor
    dct_of_one: Tensor
    kernels: Tensor

    def __init__(
        self,
        *,
        sr: float,
        n_fft: int,
        win_length: int,
        hop_length: int,
        n_mfcc: int = 20,
        dct_type: int = 2,
        norm: str | None = "ortho",
        lifter: float = 0,
        use_energy: bool = False,
        delta: int = 0,
        delta_width: int = 9,
        n_mels: int = 128,
        fmin: float = 0.0,
        fmax: float | None = None,
        htk: bool | Literal["bins"] = False,
        mel_norm: Literal["slaney"] | None = "slaney",
        scale: str | tuple[str, float] = "db",
        top_db: float | None = 80.0,
        window: str | float | tuple[Any, ...] | np.ndarray = "hann",
        center: bool | str = True,
        pad_mode: str = "constant",
        preemphasis: float | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(
            mel_filterbank(sr, n_fft, n_mels, fmin, fmax, htk=htk, norm=mel_norm),
            PowerSpectrogram(
                n_fft=n_fft,
                win_length=win_length,
                hop_length=hop_length,
                window=window,
                center=center,
                pad_mode=pad_mode,
                preemphasis=preemphasis,
                dtype=dtype,
            ),
            power=2.0,
            scale=scale,
            top_db=top_db,
        )
        self.n_mels, self.use_energy = n_mels, use_energy
        transform = dct_matrix(
            n_mfcc,
            n_mels,
            dct_type=dct_type,
            norm=norm,
            lifter=lifter,
            first=int(use_energy),
        )
        matrix = torch.tensor(transform, dtype=dtype)
        self.register_buffer("dct", matrix, persistent=False)
        of_one = matrix.double().sum(1, keepdim=True).to(dtype)
        self.register_buffer("dct_of_one", of_one, persistent=False)
        kernels = _delta_kernels(delta, delta_width)
        if delta:
            self.reach += kernels.shape[1] // 2 * hop_length
        self.register_buffer("kernels", kernels.to(dtype), persistent=False)

    def levels_from_power(self, spectrum: Tensor) -> Tensor:
        """Mel levels, and that of the energy below them if it is used."""
        levels = super().levels_from_power(spectrum)
        if not self.use_energy:
            return levels
        energy = spectrum.sum(-2, keepdim=True)
        level = to_scale(energy, self.power, self.power, self.scale, self.floor)
        return torch.cat([levels, level], dim=-2)

    def top_of(self, levels: Tensor) -> Tensor:
        """Maximum (...,) of the mel levels."""
        return super().top_of(levels[..., : self.n_mels, :])

    def finish(
        self, levels: Tensor, top: Tensor | None = None, borders: Tensor | None = None
    ) -> Tensor:
        """Mel levels to coefficients, see `FrontEnd.finish`."""
        bands = super().finish(levels[..., : self.n_mels, :], top)
        # sums of 128 values near -60 dB lose three digits in float32; without their
        # mean, whose transform is added afterwards, they do not
        mean = bands.mean(-2, keepdim=True)
        cepstrum = torch.addcmul(self.dct @ (bands - mean), self.dct_of_one, mean)
        if self.use_energy:
            cepstrum = torch.cat([levels[..., self.n_mels :, :], cepstrum], dim=-2)
        if not len(self.kernels):
            return cepstrum
        # replicated edges: scipy's mode="nearest"
        if borders is not None:
            cepstrum = _edges_held(cepstrum, *self.spectrogram.frames_of(borders))
        reach = self.kernels.shape[-1] // 2
        first, last = cepstrum[..., :1], cepstrum[..., -1:]
        copies = (*first.shape[:-1], reach)
        padded = torch.cat(
            [first.expand(copies), cepstrum, last.expand(copies)], dim=-1
        )
        if is_exporting():
            rows = F.conv1d(padded.flatten(0, -2)[:, None], self.kernels[:, None])
            deltas = rows.unflatten(0, padded.shape[:-1]).movedim(-2, -1)
        else:
            deltas = padded.unfold(-1, 2 * reach + 1, 1) @ self.kernels.T
        return torch.cat([cepstrum, *deltas.unbind(-1)], dim=-2)


def _delta_kernels(delta: int, width: int) -> Tensor:
    """Kernels of the derivatives up to that order, (delta, width)."""
    if width % 2 == 0 or width <= delta:
        raise ValueError(
            f"delta_width={width} must be an odd number above delta={delta}: "
            "a derivative needs more frames than its order, and as many after a "
            "frame as before it."
        )
    kernels = [delta_kernel(order, width) for order in range(1, delta + 1)]
    return torch.from_numpy(np.array(kernels))


def _edges_held(x: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Frames (n_clips, n_bins, n_frames) with copies before the first, after the last.

    ``first`` and ``last`` (n_clips, 1) may lie outside.
    """
    frames = torch.arange(x.shape[-1], device=x.device)
    index = torch.minimum(torch.maximum(frames, first), last)
    index = index.clamp(0, x.shape[-1] - 1)
    return x.gather(-1, index[:, None].expand(-1, x.shape[-2], -1))
