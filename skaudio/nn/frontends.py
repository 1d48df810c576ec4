"""Spectrograms as torch modules: fixed, differentiable, the same on CPU and GPU.

All of them take waveforms ``(..., n_samples)`` and give ``(..., n_bins, n_frames)``.
Frames are centred by default: frame ``t`` is around sample ``t * hop_length``, the
clip being continued by `pad_mode`, so there are ``1 + n_samples // hop_length`` of them
(even n_fft).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from skaudio._utils._spectra import PAD_MODES, SCALES
from skaudio.nn.blocks import is_exporting
from skaudio.nn.filterbanks import (
    fft_window,
    gammatone_filterbank,
    mel_filterbank,
)
from skaudio.nn.fourier_products import FourierProducts
from skaudio.nn.padding import continued, emphasised, pad

BANDS_PER_GROUP = 8  # measured: 0.21 ms for 64 mel bands, 0.48 in one product
LOGARITHMIC = ("db", "log")  # scales that are cut off below a floor
FLOOR = 1e-5  # amplitude below which a logarithm is cut: -100 dB, librosa's amin


def compress(
    x: Tensor,
    power: float,
    scale: str | tuple[str, float],
    top_db: float | None,
    *,
    given: float | None = None,
    top: Tensor | None = None,
) -> Tensor:
    """Put a spectrogram of amplitudes to a power on a scale, and limit its range.

    Parameters
    ----------
    x : Tensor of shape (..., n_bins, n_frames)
        Amplitudes to the power `given`, not negative.
    power : float
        Exponent of amplitudes on the scale: 1 for amplitudes, 2 for powers. Both have
        the same decibels.
    scale : {"db", "log", "log1p", "linear"} or tuple
        With ``s`` for amplitudes to the `power`: decibels relative to 1, natural
        logarithm of ``s``, ``log(1 + 10 s)``, or ``s`` itself. Logarithms are cut off
        below amplitudes of 1e-5 (-100 dB), those of a pair such as ``("log", 1e-12)``
        below that ``s``.
    top_db : float or None
        Range in decibels: what lies further below a clip's maximum is raised to it.
        None, "log1p" and "linear" leave the range as it is.
    given : float or None, default=None
        Exponent of amplitudes in `x`; None is `power`.
    top : Tensor of shape (...,) or None, default=None
        Maximum of every clip on the scale, where `x` is a part of it; None is the
        maximum of `x`.

    Returns
    -------
    y : Tensor of shape (..., n_bins, n_frames)
        Values on the scale.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import compress
    >>> compress(torch.tensor([[1.0, 100.0]]), power=2, scale="db", top_db=80)
    tensor([[ 0., 20.]])
    """
    name, floor = scale_and_floor(scale)
    y = to_scale(x, power if given is None else given, power, name, floor)
    return limit_range(y, top_db, decibels_per_unit(power, name), top)


def check_name(parameter: str, value: str, names: Sequence[str]) -> None:
    """Refuse a value that is none of ``names``."""
    if value not in names:
        raise ValueError(
            f"{parameter}={value!r} is unknown. Choose one of {', '.join(names)}."
        )


def scale_and_floor(scale: Any) -> tuple[str, float | None]:
    """Name of a scale, and what its logarithm is cut off below: None is the usual."""
    if not isinstance(scale, tuple):
        check_name("scale", scale, SCALES)
        return scale, None
    if len(scale) == 2:
        name, floor = scale
        if name in LOGARITHMIC and isinstance(floor, Real) and float(floor) > 0:
            return name, float(floor)
    raise ValueError(
        f"scale={scale!r} must be a name or a pair of {' or '.join(LOGARITHMIC)} and "
        "the positive value below which the logarithm is cut off, such as "
        "('log', 1e-12)."
    )


def decibels_per_unit(power: float, scale: str) -> float | None:
    """How many decibels a step of 1 on a scale is; None if that depends on where."""
    if scale in ("linear", "log1p"):
        return None
    return 1.0 if scale == "db" else 20 / (power * math.log(10))


def to_scale(
    x: Tensor, given: float, power: float, scale: str, floor: float | None = None
) -> Tensor:
    """Amplitudes to the power ``given`` on a scale of amplitudes to the ``power``."""
    if scale in ("linear", "log1p"):
        x = _raised(x, power / given)
        return x if scale == "linear" else (10 * x).log1p()
    least = FLOOR**given if floor is None else floor ** (given / power)
    y = x.clamp(min=max(least, torch.finfo(x.dtype).tiny)).log()
    if scale == "db":
        return y * (20 / (given * math.log(10)))
    return y if given == power else y * (power / given)


def _raised(x: Tensor, exponent: float) -> Tensor:
    if exponent == 1:
        return x
    # a root has no finite gradient at zero, and digital silence is zero
    safe = x.clamp(min=torch.finfo(x.dtype).tiny)
    return (safe.sqrt() if exponent == 0.5 else safe.pow(exponent)) * (x > 0)


def limit_range(
    y: Tensor, top_db: float | None, decibels: float | None, top: Tensor | None
) -> Tensor:
    """Raise what lies more than ``top_db`` below the maximum, see `compress`."""
    if top_db is None or decibels is None:
        return y
    top = maximum_of(y) if top is None else top
    return torch.maximum(y, (top - top_db / decibels)[..., None, None])


def maximum_of(y: Tensor) -> Tensor:
    """Maximum of every spectrogram (..., n_bins, n_frames), as a tensor (...,)."""
    return y.amax(-1).amax(-1)  # both at once: slow


class PowerSpectrogram(nn.Module):
    """Squared magnitudes of the short-time Fourier transform.

    Parameters
    ----------
    n_fft : int
        Samples of the Fourier transform.
    win_length : int
        Samples of the window, which lies in the middle of the `n_fft` samples, or at
        their beginning with ``center="start"``.
    hop_length : int
        Samples from one frame to the next.
    window : str, tuple, float or array of shape (win_length,), default="hann"
        What `scipy.signal.get_window` takes, such as ``"boxcar"`` or
        ``("kaiser", 8.0)``, or the samples of the window.
    center : bool or "start", default=True
        Frame ``t`` is around sample ``t * hop_length``; False starts it there, without
        padding, and needs `n_fft` samples. "start" starts its window there, and
        continues a clip at its end until every sample is in a window.
    pad_mode : {"constant", "reflect", "symmetric", "edge", "wrap"}, default="constant"
        What is before and after a clip, as in `numpy.pad`.
    preemphasis : float or None, default=None
        Subtract this times the sample before from every sample, first of all.
    dtype : torch.dtype, default=torch.float32
        Type of the window; waveforms must have the same.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import PowerSpectrogram
    >>> PowerSpectrogram(n_fft=256, win_length=200, hop_length=100)(
    ...     torch.zeros(2, 1000)
    ... ).shape
    torch.Size([2, 129, 11])
    """

    window: Tensor
    transform: FourierProducts | None  # of a copy that is `exportable`

    def __init__(
        self,
        *,
        n_fft: int,
        win_length: int,
        hop_length: int,
        window: str | float | tuple[Any, ...] | np.ndarray = "hann",
        center: bool | str = True,
        pad_mode: str = "constant",
        preemphasis: float | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        check_name("pad_mode", pad_mode, PAD_MODES)
        if isinstance(center, str):
            check_name("center", center, ("start",))
        self.n_fft, self.hop_length = n_fft, hop_length
        self.length = win_length if center == "start" else n_fft  # of a frame
        self.center, self.pad_mode, self.preemphasis = center, pad_mode, preemphasis
        # samples on either side that a frame can see
        self.reach = (n_fft // 2 if center is True else n_fft) + bool(preemphasis)
        if isinstance(window, str) and window == "hann":  # torch's last bits
            window = torch.hann_window(win_length, dtype=torch.float64).numpy()
        placed = fft_window(window, win_length, n_fft, first=center == "start")
        samples = torch.tensor(placed, dtype=dtype)
        self.register_buffer("window", samples, persistent=False)
        self.transform = None
        # front ends that agree in this can share a spectrogram
        padding = (center, pad_mode if center else None, preemphasis or None)
        self.framing = (n_fft, hop_length, samples.numpy().tobytes(), *padding)

    def forward(
        self, waveform: Tensor, borders: Tensor | None = None, offset: int = 0
    ) -> Tensor:
        """Waveforms (..., n_samples) to powers (..., 1 + n_fft // 2, n_frames).

        ``borders`` (n_clips, 2) are the samples where a clip starts and stops, if
        waveforms (n_clips, n_samples) hold only a piece of it, with margins. ``offset``
        is the sample at which the first frame lies.
        """
        waveform = self._prepared(waveform, borders, offset)[..., offset:]
        if self.transform is not None:
            return self.transform(waveform)
        frames = waveform.unfold(-1, self.n_fft, self.hop_length)
        squares = torch.view_as_real(torch.fft.rfft(frames * self.window)).square_()
        # abs(), or a sum over an axis of two, would take several times as long
        return (squares[..., 0] + squares[..., 1]).mT

    def exportable(self) -> PowerSpectrogram:
        """Copy that computes by products of matrices, fast in every runtime.

        Measured with ONNX Runtime, one thread, on 5 s at 22,050 Hz, windows of 882
        samples in 1024: 3.0 ms; 4.5 as a convolution, 4.5 by its STFT, 6.5 by its DFT.
        Of 2048 samples: 5.6, 21, 8.4 and 12 ms.
        """
        twin = copy.deepcopy(self)
        twin.transform = FourierProducts(self.window, self.hop_length)
        return twin

    def _prepared(
        self, waveform: Tensor, borders: Tensor | None, offset: int
    ) -> Tensor:
        if self.preemphasis:
            waveform = emphasised(waveform, self.preemphasis, borders)
        if not self.center:
            if not is_exporting():
                self._check_length(waveform.shape[-1])
            return waveform
        silent = self.pad_mode == "constant" and not self.preemphasis
        if borders is not None and not silent:
            waveform = continued(waveform, borders, self.pad_mode)
        if self.center == "start":
            n_samples = waveform.shape[-1] - offset
            stop = (self.n_frames(n_samples) - 1) * self.hop_length + self.n_fft
            return pad(waveform, 0, stop - n_samples, self.pad_mode)
        half = self.n_fft // 2
        return pad(waveform, half, half, self.pad_mode)

    def n_frames(self, n_samples: int) -> int:
        """How many frames a clip has."""
        if self.center == "start":
            # rounded up without a negative quotient, which ONNX rounds to zero
            missing = (n_samples - self.length + self.hop_length - 1) // self.hop_length
            return 1 + torch.sym_max(0, missing)
        padding = 2 * (self.n_fft // 2) if self.center else 0
        return 1 + (n_samples + padding - self.n_fft) // self.hop_length

    def frames_of(self, borders: Tensor) -> tuple[Tensor, Tensor]:
        """First and last frame (n_clips, 1) of clips that start and stop there."""
        first = -(-borders[:, :1] // self.hop_length)
        stop = borders[:, 1:]
        if self.center == "start":
            last = -(-(stop - self.length) // self.hop_length)
            return first, torch.maximum(first, last)
        padding = 2 * (self.n_fft // 2) if self.center else 0
        return first, (stop + padding - self.n_fft) // self.hop_length

    def _check_length(self, n_samples: int) -> None:
        if n_samples < self.n_fft:
            raise ValueError(
                f"With center=False a clip needs n_fft={self.n_fft} samples or more; "
                f"got {n_samples}. Set center=True, a smaller n_fft, or a duration to "
                "which clips are padded."
            )


class FrontEnd(nn.Module):
    """What front ends share: `levels`, the limit of their range, and what follows.

    Levels are the spectrogram on its scale with its whole range. The limit counts from
    their maximum in a clip; of a waveform that is a piece of one, it must be handed in.
    """

    reach: int  # samples on either side that a frame can see
    hop_length: int
    centre: float = 0.0  # sample in the middle of the first frame

    def __init__(
        self, power: float, scale: str | tuple[str, float], top_db: float | None
    ) -> None:
        super().__init__()
        self.power, self.top_db = power, top_db
        self.scale, self.floor = scale_and_floor(scale)

    @property
    def is_local(self) -> bool:
        """Whether frames of a piece, but for its margins, are those of the clip."""
        return False

    def n_frames(self, n_samples: int) -> int:
        """How many frames a clip has."""
        raise NotImplementedError

    @property
    def decibels(self) -> float | None:
        """How many decibels a step of 1 in levels is; None without a limited range."""
        if self.top_db is None:
            return None
        return decibels_per_unit(self.power, self.scale)

    def top_of(self, levels: Tensor) -> Tensor:
        """Maximum (...,) of levels, from which their range counts."""
        return maximum_of(levels)

    def levels(
        self, waveform: Tensor, borders: Tensor | None = None, offset: int = 0
    ) -> Tensor:
        """Waveforms (..., n_samples) to levels (..., n_levels, n_frames).

        See `PowerSpectrogram.forward` for waveforms that are pieces of clips.
        """
        raise NotImplementedError

    def finish(
        self, levels: Tensor, top: Tensor | None = None, borders: Tensor | None = None
    ) -> Tensor:
        """Levels to (..., n_bins, n_frames).

        ``top`` (...,) is their maximum in the whole clip, None their own. ``borders``
        (n_clips, 2) are the samples, from the first frame on, where clips start and
        stop, if levels are those of a piece.
        """
        return limit_range(levels, self.top_db, self.decibels, top)

    def forward(self, waveform: Tensor, top: Tensor | None = None) -> Tensor:
        """Waveforms (..., n_samples) to (..., n_bins, n_frames).

        ``top`` (...,) is the maximum of the levels of the whole clip; None takes that
        of the waveform.
        """
        return self.finish(self.levels(waveform), top)


class SpectrumFrontEnd(FrontEnd):
    """What is computed from a power spectrogram, which several can share."""

    def __init__(
        self,
        spectrogram: PowerSpectrogram,
        *,
        power: float,
        scale: str | tuple[str, float],
        top_db: float | None,
    ) -> None:
        super().__init__(power, scale, top_db)
        self.spectrogram = spectrogram
        self.reach, self.hop_length = spectrogram.reach, spectrogram.hop_length
        if spectrogram.center is not True:
            self.centre = spectrogram.length / 2

    def levels(
        self, waveform: Tensor, borders: Tensor | None = None, offset: int = 0
    ) -> Tensor:
        """Waveforms (..., n_samples) to levels (..., n_levels, n_frames)."""
        return self.levels_from_power(self.spectrogram(waveform, borders, offset))

    @property
    def is_local(self) -> bool:
        """All but those that join the end of a clip to its beginning."""
        spectrogram = self.spectrogram
        return spectrogram.center is False or spectrogram.pad_mode != "wrap"

    def n_frames(self, n_samples: int) -> int:
        """How many frames a clip has."""
        return self.spectrogram.n_frames(n_samples)

    def levels_from_power(self, spectrum: Tensor) -> Tensor:
        """What `levels` does after its `PowerSpectrogram`, which can be shared."""
        raise NotImplementedError

    def from_power(self, spectrum: Tensor, top: Tensor | None = None) -> Tensor:
        """What `forward` does after its `PowerSpectrogram`, which can be shared."""
        return self.finish(self.levels_from_power(spectrum), top)


class BandSpectrogram(SpectrumFrontEnd):
    """Bands of a power spectrogram; subclasses define filters and what follows."""

    def __init__(
        self,
        bank: np.ndarray,
        spectrogram: PowerSpectrogram,
        *,
        power: float,
        scale: str | tuple[str, float],
        top_db: float | None,
    ) -> None:
        super().__init__(spectrogram, power=power, scale=scale, top_db=top_db)
        self._touched: list[slice] = []  # frequencies that each group of bands needs
        for i, (group, touched) in enumerate(_band_groups(bank)):
            self._touched.append(touched)
            weights = torch.tensor(group, dtype=spectrogram.window.dtype)
            self.register_buffer(f"bank_{i}", weights, persistent=False)

    def exportable(self) -> BandSpectrogram:
        """Copy with all bands in one product, one operator of a graph."""
        twin = copy.deepcopy(self)
        banks = [self.get_buffer(f"bank_{i}") for i in range(len(self._touched))]
        n_frequencies = self.spectrogram.n_fft // 2 + 1
        whole = banks[0].new_zeros(sum(map(len, banks)), n_frequencies)
        first = 0
        for i, (bank, touched) in enumerate(zip(banks, self._touched, strict=True)):
            whole[first : first + len(bank), touched] = bank
            first += len(bank)
            delattr(twin, f"bank_{i}")
        twin.register_buffer("bank_0", whole, persistent=False)
        twin._touched = [slice(None)]
        return twin

    def levels_from_power(self, spectrum: Tensor) -> Tensor:
        """What `levels` does after its `PowerSpectrogram`, which can be shared."""
        spectrum = _raised(spectrum, self.power / 2)
        groups = [
            self.get_buffer(f"bank_{i}") @ spectrum[..., touched, :]
            for i, touched in enumerate(self._touched)
        ]
        bands = torch.cat(groups, dim=-2) if len(groups) > 1 else groups[0]
        return to_scale(bands, self.power, self.power, self.scale, self.floor)


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


class MelSpectrogram(BandSpectrogram):
    """Mel spectrogram: librosa's filters, on a logarithmic scale.

    Parameters
    ----------
    sr : float
        Sampling rate of the waveforms in Hz.
    n_fft, win_length, hop_length : int
        Samples of the Fourier transform, the window and from frame to frame.
    n_mels : int, default=64
        Number of bands.
    fmin, fmax : float or None, default=0.0, None
        Frequency range in Hz; `fmax` None is half the sampling rate.
    htk : bool or "bins", default=False
        HTK's mel scale instead of Slaney's, see `mel_filterbank`.
    norm : "slaney" or None, default="slaney"
        Filters of the same area, or with a peak of 1, see `mel_filterbank`.
    power : float, default=2.0
        Exponent of the magnitudes that the bands add up: 2 power, 1 amplitude.
    scale : {"db", "log", "log1p", "linear"} or tuple, default="db"
        See `compress`.
    top_db : float or None, default=80.0
        See `compress`.
    window, center, pad_mode, preemphasis : optional
        See `PowerSpectrogram`.
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
        htk: bool | Literal["bins"] = False,
        norm: Literal["slaney"] | None = "slaney",
        power: float = 2.0,
        scale: str | tuple[str, float] = "db",
        top_db: float | None = 80.0,
        window: str | float | tuple[Any, ...] | np.ndarray = "hann",
        center: bool | str = True,
        pad_mode: str = "constant",
        preemphasis: float | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(
            mel_filterbank(sr, n_fft, n_mels, fmin, fmax, htk=htk, norm=norm),
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
            power=power,
            scale=scale,
            top_db=top_db,
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
        Samples of the Fourier transform, the window and from frame to frame.
    n_bins : int, default=64
        Number of filters.
    fmin, fmax : float or None, default=50.0, None
        Lowest centre frequency and upper end of the ERB scale in Hz; `fmax` None is
        half the sampling rate.
    power : float, default=1.0
        Exponent of responses and magnitudes before they are summed over frequency.
    scale : {"db", "log", "log1p", "linear"} or tuple, default="db"
        See `compress`.
    top_db : float or None, default=80.0
        See `compress`.
    window, center, pad_mode, preemphasis : optional
        See `PowerSpectrogram`.
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
        scale: str | tuple[str, float] = "db",
        top_db: float | None = 80.0,
        window: str | float | tuple[Any, ...] | np.ndarray = "hann",
        center: bool | str = True,
        pad_mode: str = "constant",
        preemphasis: float | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(
            (gammatone_filterbank(sr, n_fft, n_bins, fmin, fmax) / n_fft) ** power,
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
            power=power,
            scale=scale,
            top_db=top_db,
        )
