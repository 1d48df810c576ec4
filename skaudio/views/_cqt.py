"""Constant-Q transforms."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from skaudio._utils._constraints import (
    BANDS,
    COMPUTING_CONSTRAINTS,
    N_SAMPLES,
    POSITIVE,
)
from skaudio._utils._sklearn import StrOptions
from skaudio._utils._spectra import PAD_MODES, SCALES
from skaudio.views._base import BaseView

if TYPE_CHECKING:
    from skaudio.nn.frontends import FrontEnd


MOST_SAMPLES = 2**21  # of a filter
MOST_BINS = 2**12


class CQTView(BaseView):
    """Log-magnitude constant-Q transform, with librosa's wavelets.

    The spectrum of long blocks is multiplied by each wavelet's response, so there is
    no recursive downsampling and any `hop_length` will do. Frames are centred and the
    window is Hann's, always: the responses come from its closed form.
    Within 60 dB of a clip's maximum it differs from ``librosa.cqt`` by 0.1 dB in the
    median and, for most real clips, by less than 1.5 dB in 99 % of the values. Most of
    that is librosa's resampling: from the same wavelets applied to the samples directly
    this differs by 0.005 dB in the median and by less than 0.6 dB in 99 %.

    Parameters
    ----------
    sr : float, default=22050
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    n_bins : int, default=84
        Number of bins; 84 are seven octaves from C1, as in librosa.
    bins_per_octave : int, default=12
        Bins per octave: 12 are semitones.
    fmin : float or None, default=None
        Lowest frequency in Hz; None is the note C1, 32.70 Hz.
    hop_length : int or None, default=None
        Samples from frame to frame; None is about 23 ms: 512 at 22.05 kHz, 1024 at
        44.1 kHz as in the multi-view paper, and at other rates the number nearest to
        ``sr * 512 / 22050`` with no prime factor above 5.
    power : float, default=1.0
        Exponent of the magnitudes; it matters on a linear or "log" scale only.
    scale : {"db", "log", "log1p", "linear"} or tuple, default="db"
        Decibels relative to 1, natural logarithm, ``log(1 + 10 x)``, which has no
        floor to choose and is 0 in silence, or the values themselves. Logarithms are
        cut off below amplitudes of 1e-5 (-100 dB), those of a pair such as
        ``("log", 1e-12)`` below that value of what a band adds up to.
    top_db : float or None, default=80.0
        Range in decibels below a clip's own maximum; what is weaker is raised to it.
        None, "log1p" and "linear" leave the range as it is.
    pad_mode : {"constant", "reflect", "symmetric", "edge", "wrap"}, default="constant"
        What is before and after a clip, as in :func:`numpy.pad`: zeros by default.
    mono : {"average", "raise"}, default="average"
        Average the channels of a clip, or refuse clips with more than one.
    trim_silence : bool, default=False
        Drop exact zeros at both ends of a clip, as many data sets pad with them.
    duration : float or None, default=None
        Seconds to crop or zero-pad every clip to; None keeps its length.
    on_error : {"raise", "warn", "nan"}, default="raise"
        Raise when a clip cannot be loaded, or keep its row as NaN, with or without a
        warning; `errors_` lists such rows.
    batch_size : int, default=64
        Clips computed together on a GPU. A CPU computes one at a time, which is
        faster there and makes every row independent of the others to the last bit.
    device : {"cpu", "cuda", "auto"} or other torch device, default="cpu"
        Where to compute. "auto" takes a GPU if there is one; decoding files takes
        longer than any view, so it seldom pays.
    cache : bool, str or path-like, default=False
        Whether to keep what is computed of a clip in memory, up to 512 MiB in all of a
        process (see :mod:`skaudio.cache`). A folder keeps it on disk instead, for other
        processes and days.
    cache_by : {"stat", "content"}, default="stat"
        How files are known again: by path, size and times of change, or by being read.
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

    References
    ----------
    C. Schoerkhuber and A. Klapuri, "Constant-Q transform toolbox for music
    processing", 7th Sound and Music Computing Conference, 2010.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.views import CQTView
    >>> X, y = make_sounds(n_clips=8, duration=1.0, sr=8000, random_state=0)
    >>> CQTView(sr=8000, n_bins=72).transform(X).shape
    (8, 72, 45)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **BaseView._parameter_constraints,
        **COMPUTING_CONSTRAINTS,
        "n_bins": [BANDS],
        "bins_per_octave": [BANDS],
        "fmin": [POSITIVE, None],
        "hop_length": [N_SAMPLES, None],
        "power": [POSITIVE],
        "scale": [StrOptions(set(SCALES)), tuple],
        "top_db": [POSITIVE, None],
        "pad_mode": [StrOptions(set(PAD_MODES))],
    }

    def __init__(
        self,
        *,
        sr: float = 22050,
        n_bins: int = 84,
        bins_per_octave: int = 12,
        fmin: float | None = None,
        hop_length: int | None = None,
        power: float = 1.0,
        scale: str | tuple[str, float] = "db",
        top_db: float | None = 80.0,
        pad_mode: str = "constant",
        mono: str = "average",
        trim_silence: bool = False,
        duration: float | None = None,
        on_error: str = "raise",
        batch_size: int = 64,
        device: str = "cpu",
        cache: bool | str | os.PathLike[str] = False,
        cache_by: str = "stat",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.sr = sr
        self.n_bins = n_bins
        self.bins_per_octave = bins_per_octave
        self.fmin = fmin
        self.hop_length = hop_length
        self.power = power
        self.scale = scale
        self.top_db = top_db
        self.pad_mode = pad_mode
        self.mono = mono
        self.trim_silence = trim_silence
        self.duration = duration
        self.on_error = on_error
        self.batch_size = batch_size
        self.device = device
        self.cache = cache
        self.cache_by = cache_by
        self.n_jobs = n_jobs
        self.verbose = verbose

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.sr / self._hop_length()

    def _hop_length(self) -> int:
        if self.hop_length is not None:
            return self.hop_length
        wanted = self.sr * 512 / 22050
        return min(_smooth_numbers(2 * wanted), key=lambda n: (abs(n - wanted), n))

    @property
    def frequencies(self) -> np.ndarray:
        """Frequency of every bin in Hz, (n_bins,)."""
        from skaudio.nn.constant_q import C1

        fmin = C1 if self.fmin is None else self.fmin
        frequencies: np.ndarray = fmin * 2 ** (
            np.arange(self.n_bins) / self.bins_per_octave
        )
        return frequencies

    def _front_end(self, dtype: str, device: str) -> FrontEnd:
        from skaudio.nn.constant_q import C1, ConstantQ
        from skaudio.nn.runner import cached_front_end

        if max(self.n_bins, self.bins_per_octave, self._hop_length()) > MOST_BINS:
            self._validate_params()
        fmin = C1 if self.fmin is None else self.fmin
        longest = self.sr / fmin / (2 ** (1 / self.bins_per_octave) - 1)
        if longest > MOST_SAMPLES:
            raise ValueError(
                f"fmin={fmin:g} Hz and bins_per_octave={self.bins_per_octave} make "
                f"filters of {longest:.3g} samples; at most {MOST_SAMPLES:.3g} are "
                "made. Raise fmin, or lower bins_per_octave."
            )
        return cached_front_end(
            ConstantQ,
            dtype,
            device,
            sr=self.sr,
            hop_length=self._hop_length(),
            n_bins=self.n_bins,
            bins_per_octave=self.bins_per_octave,
            fmin=fmin,
            power=self.power,
            scale=self.scale,
            top_db=self.top_db,
            pad_mode=self.pad_mode,
        )


def _smooth_numbers(limit: float) -> list[int]:
    """Numbers without prime factors above 5: fast Fourier transforms."""
    numbers = {1}
    for prime in (2, 3, 5):
        for number in sorted(numbers):
            while (number := number * prime) <= limit:
                numbers.add(number)
    return sorted(numbers)
