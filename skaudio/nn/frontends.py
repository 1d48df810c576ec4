"""Spectrograms as torch modules: fixed, differentiable, the same on CPU and GPU.

All of them take waveforms ``(..., n_samples)`` and give ``(..., n_bins, n_frames)``.
Frames are centred: frame ``t`` is around sample ``t * hop_length``, the clip being
continued with zeros, so there are ``1 + n_samples // hop_length`` of them (even n_fft).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skaudio.nn.filterbanks import (
    dct_matrix,
    delta_kernel,
    gammatone_filterbank,
    mel_filterbank,
)

SCALES = ("db", "log", "log1p", "linear")
BANDS_PER_GROUP = 8  # measured: 0.21 ms for 64 mel bands, 0.48 in one product
FLOOR = 1e-5  # amplitude below which a logarithm is cut: -100 dB, librosa's amin


def compress(x: Tensor, power: float, scale: str, top_db: float | None) -> Tensor:
    """Put a spectrogram of amplitudes to the ``power`` on a logarithmic scale.

    Parameters
    ----------
    x : Tensor of shape (..., n_bins, n_frames)
        Not negative.
    power : float
        1 for amplitudes, 2 for powers: both give the same decibels.
    scale : {"db", "log", "log1p", "linear"}
        Decibels relative to 1, natural logarithm of `x`, ``log(1 + 10 x)``, or `x`
        itself.
    top_db : float or None
        Range in decibels: what lies further below a clip's own maximum is raised to
        it. None, "log1p" and "linear" leave the range as it is.

    Returns
    -------
    y : Tensor of shape (..., n_bins, n_frames)
        Logarithms are cut off below amplitudes of 1e-5 (-100 dB).

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import compress
    >>> compress(torch.tensor([[1.0, 100.0]]), power=2, scale="db", top_db=80)
    tensor([[ 0., 20.]])
    """
    if scale == "linear":
        return x
    if scale == "log1p":
        return (10 * x).log1p()
    decibel = 20 / (power * math.log(10))
    y = x.clamp(min=FLOOR**power).log()
    if scale == "db":
        y = y * decibel
    if top_db is not None:
        reach = top_db if scale == "db" else top_db / decibel
        top = y.amax(-1, keepdim=True).amax(-2, keepdim=True)  # both at once: slow
        y = torch.maximum(y, top - reach)
    return y


class PowerSpectrogram(nn.Module):
    """Squared magnitudes of the short-time Fourier transform with a Hann window.

    Parameters
    ----------
    n_fft : int
        Samples of the Fourier transform.
    win_length : int
        Samples of the window, which lies in the middle of the `n_fft` samples.
    hop_length : int
        Samples from one frame to the next.
    dtype : torch.dtype, default=torch.float32
        Type of the window; waveforms must have the same.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import PowerSpectrogram
    >>> PowerSpectrogram(n_fft=256, win_length=200, hop_length=100)(
    ...     torch.zeros(2, 1000)
    ... ).shape
    torch.Size([2, 11, 129])
    """

    window: Tensor

    def __init__(
        self,
        *,
        n_fft: int,
        win_length: int,
        hop_length: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if win_length > n_fft:
            raise ValueError(
                f"win_length={win_length} is longer than n_fft={n_fft}. Raise n_fft to "
                f"{1 << (win_length - 1).bit_length()}, or shorten the window."
            )
        self.n_fft, self.hop_length = n_fft, hop_length
        self.framing = (n_fft, win_length, hop_length)  # equal ones can be shared
        window = torch.hann_window(win_length, dtype=torch.float64)
        left = (n_fft - win_length) // 2
        window = F.pad(window, (left, n_fft - win_length - left))
        self.register_buffer("window", window.to(dtype), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms (..., n_samples) to powers (..., n_frames, 1 + n_fft // 2)."""
        half = self.n_fft // 2
        frames = F.pad(waveform, (half, half)).unfold(-1, self.n_fft, self.hop_length)
        squares = torch.view_as_real(torch.fft.rfft(frames * self.window)).square_()
        # abs(), or a sum over an axis of two, would take several times as long
        return squares[..., 0] + squares[..., 1]


class BandSpectrogram(nn.Module):
    """Bands of a power spectrogram; subclasses say which filters and what follows."""

    def __init__(
        self,
        bank: np.ndarray,
        *,
        n_fft: int,
        win_length: int,
        hop_length: int,
        power: float,
        scale: str,
        top_db: float | None,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.spectrogram = PowerSpectrogram(
            n_fft=n_fft, win_length=win_length, hop_length=hop_length, dtype=dtype
        )
        self.power, self.scale, self.top_db = power, scale, top_db
        self.reach = n_fft // 2  # samples on either side that a frame can see
        self._touched: list[slice] = []  # frequencies that each group of bands needs
        for i, (group, touched) in enumerate(_band_groups(bank)):
            self._touched.append(touched)
            weights = torch.tensor(group, dtype=dtype)
            self.register_buffer(f"bank_{i}", weights, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms (..., n_samples) to bands (..., n_bins, n_frames)."""
        return self.from_power(self.spectrogram(waveform))

    def from_power(self, spectrum: Tensor) -> Tensor:
        """What `forward` does after its `PowerSpectrogram`, which can be shared."""
        spectrum = _to_power(spectrum, self.power).mT
        groups = [
            self.get_buffer(f"bank_{i}") @ spectrum[..., touched, :]
            for i, touched in enumerate(self._touched)
        ]
        bands = torch.cat(groups, dim=-2) if len(groups) > 1 else groups[0]
        return compress(bands, self.power, self.scale, self.top_db)


def _band_groups(bank: np.ndarray) -> list[tuple[np.ndarray, slice]]:
    """Split narrow bands into groups, each with the frequencies that it touches."""
    if np.count_nonzero(bank) > bank.size / 2:
        return [(bank, slice(None))]
    groups = []
    for group in np.array_split(bank, math.ceil(len(bank) / BANDS_PER_GROUP)):
        touched = np.flatnonzero(group.any(axis=0))
        low, high = (touched[0], touched[-1] + 1) if len(touched) else (0, 1)
        groups.append((group[:, low:high], slice(int(low), int(high))))
    return groups


def _to_power(spectrum: Tensor, power: float) -> Tensor:
    if power == 2:
        return spectrum
    # a root has no finite gradient at zero, and digital silence is zero
    spectrum = spectrum.clamp(min=torch.finfo(spectrum.dtype).tiny)
    return spectrum.sqrt() if power == 1 else spectrum.pow(power / 2)


class MelSpectrogram(BandSpectrogram):
    """Mel spectrogram: librosa's filters, on a logarithmic scale.

    Parameters
    ----------
    sr : float
        Sampling rate of the waveforms in Hz.
    n_fft, win_length, hop_length : int
        Samples of the Fourier transform, the Hann window and from frame to frame.
    n_mels : int, default=64
        Number of bands.
    fmin, fmax : float or None, default=0.0, None
        Frequency range in Hz; `fmax` None is half the sampling rate.
    power : float, default=2.0
        Exponent of the magnitudes that the bands add up: 2 power, 1 amplitude.
    scale : {"db", "log", "log1p", "linear"}, default="db"
        See `compress`.
    top_db : float or None, default=80.0
        See `compress`.
    dtype : torch.dtype, default=torch.float32
        Type of the buffers; waveforms must have the same.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import MelSpectrogram
    >>> front_end = MelSpectrogram(sr=8000, n_fft=512, win_length=320, hop_length=160)
    >>> front_end(torch.zeros(2, 8000)).shape
    torch.Size([2, 64, 51])
    """

    def __init__(
        self,
        *,
        sr: float,
        n_fft: int,
        win_length: int,
        hop_length: int,
        n_mels: int = 64,
        fmin: float = 0.0,
        fmax: float | None = None,
        power: float = 2.0,
        scale: str = "db",
        top_db: float | None = 80.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(
            mel_filterbank(sr, n_fft, n_mels, fmin, fmax),
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            power=power,
            scale=scale,
            top_db=top_db,
            dtype=dtype,
        )


class GammatoneSpectrogram(BandSpectrogram):
    """Gammatone spectrogram: magnitude responses times the magnitude spectrum.

    With ``power=1`` and ``scale="linear"`` this is ``fft_gtgram`` of the gammatone
    package (weights times magnitudes, divided by `n_fft`), with centred frames.

    Parameters
    ----------
    sr : float
        Sampling rate of the waveforms in Hz.
    n_fft, win_length, hop_length : int
        Samples of the Fourier transform, the Hann window and from frame to frame.
    n_bins : int, default=64
        Number of filters.
    fmin, fmax : float or None, default=50.0, None
        Lowest centre frequency and upper end of the ERB scale in Hz; `fmax` None is
        half the sampling rate.
    power : float, default=1.0
        Exponent of responses and magnitudes before they are summed over frequency.
    scale : {"db", "log", "log1p", "linear"}, default="db"
        See `compress`.
    top_db : float or None, default=80.0
        See `compress`.
    dtype : torch.dtype, default=torch.float32
        Type of the buffers; waveforms must have the same.

    References
    ----------
    D. P. W. Ellis, "Gammatone-like spectrograms", 2009,
    http://www.ee.columbia.edu/~dpwe/resources/matlab/gammatonegram/

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import GammatoneSpectrogram
    >>> front_end = GammatoneSpectrogram(
    ...     sr=8000, n_fft=512, win_length=320, hop_length=160
    ... )
    >>> front_end(torch.zeros(2, 8000)).shape
    torch.Size([2, 64, 51])
    """

    def __init__(
        self,
        *,
        sr: float,
        n_fft: int,
        win_length: int,
        hop_length: int,
        n_bins: int = 64,
        fmin: float = 50.0,
        fmax: float | None = None,
        power: float = 1.0,
        scale: str = "db",
        top_db: float | None = 80.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(
            (gammatone_filterbank(sr, n_fft, n_bins, fmin, fmax) / n_fft) ** power,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            power=power,
            scale=scale,
            top_db=top_db,
            dtype=dtype,
        )


class MFCC(BandSpectrogram):
    """Mel-frequency cepstral coefficients, as librosa computes them.

    Parameters
    ----------
    sr : float
        Sampling rate of the waveforms in Hz.
    n_fft, win_length, hop_length : int
        Samples of the Fourier transform, the Hann window and from frame to frame.
    n_mfcc : int, default=20
        Number of coefficients.
    delta : {0, 1, 2}, default=0
        Time derivatives to append, up to this order: ``n_mfcc`` rows each.
    n_mels : int, default=128
        Number of mel bands.
    fmin, fmax : float or None, default=0.0, None
        Frequency range in Hz; `fmax` None is half the sampling rate.
    top_db : float or None, default=80.0
        Range of the mel spectrogram in decibels below a clip's maximum.
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
        delta: int = 0,
        n_mels: int = 128,
        fmin: float = 0.0,
        fmax: float | None = None,
        top_db: float | None = 80.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(
            mel_filterbank(sr, n_fft, n_mels, fmin, fmax),
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            power=2.0,
            scale="db",
            top_db=top_db,
            dtype=dtype,
        )
        matrix = torch.tensor(dct_matrix(n_mfcc, n_mels), dtype=dtype)
        self.register_buffer("dct", matrix, persistent=False)
        of_one = matrix.double().sum(1, keepdim=True).to(dtype)
        self.register_buffer("dct_of_one", of_one, persistent=False)
        kernels = np.array([delta_kernel(order) for order in range(1, delta + 1)])
        if delta:
            self.reach += kernels.shape[1] // 2 * hop_length
        self.register_buffer(
            "kernels", torch.tensor(kernels, dtype=dtype), persistent=False
        )

    def from_power(self, spectrum: Tensor) -> Tensor:
        """What `forward` does after its `PowerSpectrogram`, which can be shared."""
        bands = super().from_power(spectrum)
        # sums of 128 values near -60 dB lose three digits in float32; without their
        # mean, which goes into the first coefficient only, they do not
        mean = bands.mean(-2, keepdim=True)
        cepstrum = torch.addcmul(self.dct @ (bands - mean), self.dct_of_one, mean)
        if not len(self.kernels):
            return cepstrum
        # replicated edges: scipy's mode="nearest"
        reach = self.kernels.shape[-1] // 2
        first, last = cepstrum[..., :1], cepstrum[..., -1:]
        copies = (*first.shape[:-1], reach)
        padded = torch.cat(
            [first.expand(copies), cepstrum, last.expand(copies)], dim=-1
        )
        deltas = padded.unfold(-1, 2 * reach + 1, 1) @ self.kernels.T
        return torch.cat([cepstrum, *deltas.unbind(-1)], dim=-2)
