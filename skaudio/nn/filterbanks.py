"""Filter banks and kernels of the front ends, as NumPy arrays in float64."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any, Literal

import numpy as np

EAR_Q = (
    9.26449  # Glasberg and Moore: width of the ear's filters, fc / EAR_Q + MIN_WIDTH
)
MIN_WIDTH = 24.7  # Hz


def mel_filterbank(
    sr: float,
    n_fft: int,
    n_mels: int,
    fmin: float,
    fmax: float | None,
    *,
    htk: bool | Literal["bins"] = False,
    norm: Literal["slaney"] | None = "slaney",
) -> np.ndarray:
    """Triangular mel filters, as librosa or as python_speech_features defines them.

    Parameters
    ----------
    sr : float
        Sampling rate in Hz.
    n_fft : int
        Samples of the Fourier transform.
    n_mels : int
        Number of bands.
    fmin, fmax : float
        Lowest and highest frequency in Hz; `fmax` None is half the sampling rate.
    htk : bool or "bins", default=False
        HTK's mel scale, which is logarithmic throughout, instead of Slaney's, which is
        linear below 1 kHz. "bins" is HTK's, with edges and peaks of the filters moved
        down to bins of the transform, ``floor((n_fft + 1) * f / sr)``, as in
        python_speech_features.
    norm : "slaney" or None, default="slaney"
        "slaney" gives all filters the same area in Hz; None gives them a peak of 1.

    Returns
    -------
    bank : ndarray of shape (n_mels, 1 + n_fft // 2)
        Weights of the power spectrum.

    Examples
    --------
    >>> from skaudio.nn import mel_filterbank
    >>> mel_filterbank(sr=22050, n_fft=1024, n_mels=64, fmin=0.0, fmax=None).shape
    (64, 513)
    """
    import librosa.filters

    check_range(sr, fmin, fmax)
    if htk == "bins":
        top = sr / 2 if fmax is None else fmax
        edges = librosa.mel_frequencies(n_mels + 2, fmin=fmin, fmax=top, htk=True)
        return _triangles(np.floor((n_fft + 1) * edges / sr), sr, n_fft, norm)
    bank: np.ndarray = librosa.filters.mel(
        sr=sr,
        n_fft=n_fft,
        n_mels=n_mels,
        fmin=fmin,
        fmax=fmax,
        htk=htk,
        norm=norm,
        dtype=np.float64,
    )
    return bank


def _triangles(
    edges: np.ndarray, sr: float, n_fft: int, norm: str | None
) -> np.ndarray:
    """Filters that rise from one edge to the next and fall to the one after it."""
    left, peak, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.arange(1 + n_fft // 2)
    rise = (bins - left) / np.maximum(peak - left, 1)
    fall = (right - bins) / np.maximum(right - peak, 1)
    bank = np.where(bins < peak, rise, fall)
    bank = np.where((bins >= left) & (bins < right), bank, 0.0)
    empty = np.flatnonzero(~bank.any(axis=1))
    if len(empty):
        warnings.warn(
            f"{len(empty)} of {len(bank)} mel filters lie between two bins of the "
            f"transform and are empty, first number {empty[0]}. Raise n_fft, or lower "
            "n_mels.",
            UserWarning,
            stacklevel=4,
        )
    if norm == "slaney":
        bank *= 2 * n_fft / (sr * np.maximum(right - left, 1))
    return bank


def erb_frequencies(n_bins: int, fmin: float, fmax: float) -> np.ndarray:
    """Centre frequencies at equal distances on the ERB scale, lowest first.

    Parameters
    ----------
    n_bins : int
        Number of centre frequencies.
    fmin, fmax : float
        The first one, and the frequency in Hz that one more would have.

    Returns
    -------
    frequencies : ndarray of shape (n_bins,)
        In Hz, from `fmin` to just below `fmax`.

    References
    ----------
    M. Slaney, "An efficient implementation of the Patterson-Holdsworth auditory
    filter bank", Apple Computer Technical Report 35, 1993, section 4.

    Examples
    --------
    >>> from skaudio.nn import erb_frequencies
    >>> erb_frequencies(n_bins=3, fmin=100.0, fmax=8000.0).round()
    array([ 100.,  733., 2584.])
    """
    offset = EAR_Q * MIN_WIDTH
    steps = np.arange(n_bins, 0, -1) / n_bins
    ratio = (fmin + offset) / (fmax + offset)
    return (fmax + offset) * ratio**steps - offset


def gammatone_filterbank(
    sr: float, n_fft: int, n_bins: int, fmin: float, fmax: float | None
) -> np.ndarray:
    """Magnitude responses of fourth-order gammatone filters.

    Each filter is Slaney's cascade of four second-order sections with the same
    poles; its gain is 1 at its centre frequency.

    Parameters
    ----------
    sr : float
        Sampling rate in Hz.
    n_fft : int
        Samples of the Fourier transform.
    n_bins : int
        Number of filters.
    fmin, fmax : float
        Lowest centre frequency and upper end of the ERB scale in Hz; `fmax` None is
        half the sampling rate.

    Returns
    -------
    bank : ndarray of shape (n_bins, 1 + n_fft // 2)
        Weights of the magnitude spectrum, lowest centre frequency first.

    References
    ----------
    M. Slaney, "An efficient implementation of the Patterson-Holdsworth auditory
    filter bank", Apple Computer Technical Report 35, 1993, section 5.

    Examples
    --------
    >>> from skaudio.nn import gammatone_filterbank
    >>> gammatone_filterbank(22050, n_fft=1024, n_bins=64, fmin=50.0, fmax=None).shape
    (64, 513)
    """
    check_range(sr, fmin, fmax)
    centres = erb_frequencies(n_bins, fmin, sr / 2 if fmax is None else fmax)[:, None]
    bandwidth = 1.019 * (centres / EAR_Q + MIN_WIDTH)
    decay = np.exp(-2 * np.pi * bandwidth / sr)
    angle = 2 * np.pi * centres / sr

    def magnitude(frequencies: np.ndarray) -> np.ndarray:
        z = np.exp(-2j * np.pi * frequencies / sr)  # one sample's delay
        poles = np.abs(1 - 2 * np.cos(angle) * decay * z + (decay * z) ** 2)
        zeros = np.ones_like(poles)
        for root in (np.sqrt(3 + 2**1.5), np.sqrt(3 - 2**1.5)):
            for sign in (1, -1):
                zero = np.cos(angle) + sign * root * np.sin(angle)
                zeros *= np.abs(1 - decay * zero * z)
        return zeros / poles**4

    bins = np.arange(1 + n_fft // 2) * (sr / n_fft)
    return magnitude(bins[None]) / magnitude(centres)


def check_range(sr: float, fmin: float, fmax: float | None) -> None:
    """Refuse frequency ranges that do not rise or end above half the rate."""
    top = sr / 2 if fmax is None else fmax
    if not fmin < top <= sr / 2:
        raise ValueError(
            f"The range from fmin={fmin:g} to fmax={top:g} Hz must rise and end at or "
            f"below half of sr={sr:g} Hz. Lower fmax or fmin, or raise sr."
        )


def dct_matrix(
    n_out: int,
    n_in: int,
    *,
    dct_type: int = 2,
    norm: str | None = "ortho",
    lifter: float = 0,
    first: int = 0,
) -> np.ndarray:
    """Rows ``first`` to ``n_out`` of a discrete cosine transform, liftered.

    Their shape is (n_out - first, n_in); the lifter counts them from 1 on.
    """
    from scipy.fft import dct

    if n_out > n_in:
        raise ValueError(
            f"{n_out} cepstral coefficients (n_mfcc) need at least as many mel bands; "
            f"got n_mels={n_in}. Raise n_mels or lower n_mfcc."
        )
    matrix: np.ndarray = dct(np.eye(n_in), type=dct_type, axis=0, norm=norm)
    matrix = matrix[first:n_out]
    if lifter:
        wave = np.sin(np.pi * np.arange(1, 1 + len(matrix)) / lifter)
        matrix = matrix * (1 + lifter / 2 * wave)[:, None]
    return matrix


def delta_kernel(order: int, width: int = 9) -> np.ndarray:
    """Savitzky-Golay kernel of the ``order``-th derivative, as librosa uses it."""
    from scipy.signal import savgol_coeffs

    kernel: np.ndarray = savgol_coeffs(width, polyorder=order, deriv=order, use="dot")
    return kernel


def fft_window(
    window: str | float | tuple[Any, ...] | np.ndarray,
    win_length: int,
    n_fft: int,
    *,
    first: bool = False,
) -> np.ndarray:
    """Window of `win_length` samples in the middle of `n_fft`, as librosa places it.

    Or at their beginning, if it comes ``first``. ``window`` is what
    `scipy.signal.get_window` takes, or the samples themselves.
    """
    from scipy.signal import get_window

    if win_length > n_fft:
        raise ValueError(
            f"win_length={win_length} is longer than n_fft={n_fft}. Raise n_fft to "
            f"{1 << (win_length - 1).bit_length()}, or shorten the window."
        )
    if isinstance(window, (str, Real)) or _is_named(window):
        samples = get_window(window, win_length)  # periodic
    else:
        samples = np.asarray(window, dtype=np.float64)
        if samples.shape != (win_length,):
            raise ValueError(
                f"A window given as an array needs win_length={win_length} samples; "
                f"got shape {samples.shape}. Set win_length to the length of the array."
            )
    left = 0 if first else (n_fft - win_length) // 2
    return np.pad(samples, (left, n_fft - win_length - left))


def _is_named(window: Any) -> bool:
    """Whether a tuple is a name and its parameters, such as ``("kaiser", 8.0)``."""
    return isinstance(window, tuple) and isinstance(window[0], str)
