"""Less background noise: the log-spectral amplitude estimator of Ephraim and Malah."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from skaudio._utils._constraints import COUNT, POSITIVE
from skaudio._utils._sklearn import Interval
from skaudio.preprocessing._waveforms import WaveformTransformer, window_samples

BLOCK = 2**18  # samples of windows that are transformed at a time
MOST_SAMPLES = 2**20  # of a window
LEAST = 1e-20  # power of noise in a bin, of a clip with a peak of 1
SHARE = Interval(Real, 0, 1, closed="left")


class LogMMSE(WaveformTransformer):
    """Reduce steady background noise by the log-MMSE estimator.

    Every frequency of every window is multiplied by the gain that makes the expected
    square error of its log amplitude least [1]_. The noise is learned from the
    beginning of the clip, and again in windows that seem to hold no speech. The result
    is as long as the clip. Silence stays silence.

    Parameters
    ----------
    sr : float, default=22050
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    window : float, default=0.02
        Seconds of a window.
    overlap : float, default=0.5
        Share of a window that it has in common with the next, from 0.5 on.
    zero_padding : int, default=2
        Length of the Fourier transform, in windows.
    noise_windows : int, default=6
        Windows side by side at the beginning of a clip that are taken for noise. The
        square of their mean magnitude is its power.
    noise_smoothing : float, default=0.98
        Share of the power of the noise that is kept when a window updates it.
    noise_threshold : float, default=0.15
        A window updates the noise when the logarithm of the likelihood ratio of speech
        and noise, as a mean over frequencies, is below.
    prior_smoothing : float, default=0.98
        Share of the window before in the a-priori signal-to-noise ratio: the weight of
        decision-directed estimation.
    min_prior_db : float, default=-25.0
        Least a-priori signal-to-noise ratio, in decibels: how much noise is left.
    max_posterior : float, default=40.0
        Greatest a-posteriori signal-to-noise ratio, as a ratio of powers.
    duration : float or None, default=None
        Seconds to crop or zero-pad every clip to; None keeps its length.
    mono : {"average", "raise"}, default="average"
        Average the channels of a clip, or refuse clips with more than one.
    trim_silence : bool, default=False
        Drop exact zeros at both ends of a clip, as many data sets pad with them.
    on_error : {"raise", "warn", "nan"}, default="raise"
        Raise when a clip cannot be loaded, or keep its row as NaN, with or without a
        warning; `errors_` lists such rows.
    n_jobs : int or None, default=None
        Threads that decode files; the result does not depend on it. ``None`` means 1
        unless a threading :obj:`joblib.parallel_config` says otherwise.
    verbose : int, default=0
        Show a progress bar while loading if positive.

    Attributes
    ----------
    errors_ : list of dict
        ``{"row", "path", "error"}`` of each clip that failed in the last `transform`.
    n_features_in_ : int
        Samples of each clip, if X is rectangular.

    Notes
    -----
    Windows are Hann's, of a number of samples that is raised to an even one, and are
    added up without another window. Constants are those of the public logmmse package,
    whose mean likelihood ratio is a sum over twice as many frequencies as it divides
    by, so that its threshold of 0.15 is one of 0.075 here. A clip that begins with
    speech loses some of it, as that is taken for noise. A clip shorter than
    `noise_windows` windows is taken for noise as far as whole windows go, or as one
    window.

    References
    ----------
    .. [1] Y. Ephraim and D. Malah, "Speech enhancement using a minimum mean-square
       error log-spectral amplitude estimator", IEEE Transactions on Acoustics, Speech,
       and Signal Processing 33(2), 1985, pp. 443-445, equation 20.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.preprocessing import LogMMSE
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 8000)
    >>> tone = np.sin(np.arange(8000)) * (np.arange(8000) > 4000)
    >>> (clean,) = LogMMSE(sr=8000).fit_transform([noise + tone])
    >>> bool(clean[:4000].std() < noise[:4000].std() / 5)
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **WaveformTransformer._parameter_constraints,
        "window": [POSITIVE],
        "overlap": [Interval(Real, 0.5, 1, closed="left")],
        "zero_padding": [Interval(Integral, 1, 64, closed="both")],
        "noise_windows": [COUNT],
        "noise_smoothing": [Interval(Real, 0, 1, closed="both")],
        "noise_threshold": [Interval(Real, None, None, closed="neither")],
        "prior_smoothing": [SHARE],
        "min_prior_db": [Interval(Real, -200, 200, closed="both")],
        "max_posterior": [POSITIVE],
    }

    def __init__(
        self,
        *,
        sr: float = 22050,
        window: float = 0.02,
        overlap: float = 0.5,
        zero_padding: int = 2,
        noise_windows: int = 6,
        noise_smoothing: float = 0.98,
        noise_threshold: float = 0.15,
        prior_smoothing: float = 0.98,
        min_prior_db: float = -25.0,
        max_posterior: float = 40.0,
        duration: float | None = None,
        mono: str = "average",
        trim_silence: bool = False,
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.sr = sr
        self.window = window
        self.overlap = overlap
        self.zero_padding = zero_padding
        self.noise_windows = noise_windows
        self.noise_smoothing = noise_smoothing
        self.noise_threshold = noise_threshold
        self.prior_smoothing = prior_smoothing
        self.min_prior_db = min_prior_db
        self.max_posterior = max_posterior
        self.duration = duration
        self.mono = mono
        self.trim_silence = trim_silence
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        if self.window * self.sr > MOST_SAMPLES:
            raise ValueError(
                f"window={self.window:g} has {self.window * self.sr:.3g} samples at "
                f"sr={self.sr:g}; at most {MOST_SAMPLES} are taken. Lower it."
            )

    def _changed(self, waveform: np.ndarray) -> np.ndarray:
        from scipy.signal.windows import hann

        peak = max(float(waveform.max()), -float(waveform.min()))
        if peak == 0:
            return waveform.copy()
        length = window_samples(self.window, self.sr, MOST_SAMPLES)
        length += length % 2
        hop = max(1, round(length * (1 - self.overlap)))
        window = hann(length, sym=False)
        before = length - hop  # every sample lies in all windows that it can
        n_windows = -(-(len(waveform) + before) // hop)
        estimator = _Estimator(self, self._noise(waveform, peak, window))
        blocks = np.zeros((n_windows + -(-length // hop), hop))
        out = blocks.reshape(-1)
        n_at_once = max(1, BLOCK // (length * self.zero_padding))
        for start in range(0, n_windows, n_at_once):
            n = min(n_at_once, n_windows - start)
            piece = _piece(waveform, start * hop - before, (n - 1) * hop + length)
            frames = sliding_window_view(piece / peak, length)[::hop]
            spectra = self._spectra(frames * window)
            spectra *= estimator.gains(np.abs(spectra) ** 2)
            cleaned = np.fft.irfft(spectra, length * self.zero_padding)[:, :length]
            for i, frame in enumerate(cleaned, start):
                out[i * hop : i * hop + length] += frame
        blocks *= peak / np.pad(window, (0, -length % hop)).reshape(-1, hop).sum(axis=0)
        return out[before : before + len(waveform)].astype(waveform.dtype)

    def _spectra(self, frames: np.ndarray) -> np.ndarray:
        return np.fft.rfft(frames, frames.shape[-1] * self.zero_padding)

    def _noise(
        self, waveform: np.ndarray, peak: float, window: np.ndarray
    ) -> np.ndarray:
        """Power of the noise in every frequency, from the beginning of a clip."""
        length = len(window)
        n_windows = min(self.noise_windows, max(1, len(waveform) // length))
        first = _piece(waveform, 0, n_windows * length) / peak
        magnitudes = np.abs(self._spectra(first.reshape(n_windows, length) * window))
        power: np.ndarray = magnitudes.mean(axis=0) ** 2
        return power


def _piece(waveform: np.ndarray, start: int, n_samples: int) -> np.ndarray:
    """Samples from ``start`` on in float64, zeros where there are none."""
    piece = np.zeros(n_samples)
    first, stop = max(start, 0), min(start + n_samples, len(waveform))
    piece[first - start : stop - start] = waveform[first:stop]
    return piece


class _Estimator:
    """Gains of one clip, window after window."""

    def __init__(self, options: LogMMSE, noise: np.ndarray) -> None:
        self.options = options
        self.least = 10 ** (options.min_prior_db / 10)
        self.noise = np.maximum(noise, LEAST)
        self.clean: np.ndarray | None = None  # power of the window before

    def gains(self, powers: np.ndarray) -> np.ndarray:
        """Gains (n_windows, n_frequencies) of the next windows."""
        return np.stack([self._gain(power) for power in powers])

    def _gain(self, power: np.ndarray) -> np.ndarray:
        from scipy.special import exp1

        options, share = self.options, self.options.prior_smoothing
        posterior = np.minimum(power / self.noise, options.max_posterior)
        before = 1.0 if self.clean is None else self.clean / self.noise
        prior = share * before + (1 - share) * np.maximum(posterior - 1, 0)
        prior = np.maximum(prior, self.least)
        wiener = prior / (1 + prior)
        ratio = posterior * wiener - np.log1p(prior)
        if ratio.mean() < options.noise_threshold:
            kept = options.noise_smoothing
            updated = kept * self.noise + (1 - kept) * power
            self.noise = np.maximum(updated, LEAST)
        v = np.maximum(posterior * wiener, 1e-30)  # bins without sound: no infinity
        gain: np.ndarray = wiener * np.exp(exp1(v) / 2)
        self.clean = gain**2 * power
        return gain
