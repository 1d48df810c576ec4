"""The short-time Fourier transform as a view."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from skaudio._utils._constraints import POSITIVE
from skaudio._utils._sklearn import StrOptions
from skaudio._utils._spectra import SCALES
from skaudio.views._frames import FrameView

if TYPE_CHECKING:
    from skaudio.nn.frontends import FrontEnd


class STFTView(FrameView):
    """Magnitudes of the short-time Fourier transform: ``1 + n_fft // 2`` bins.

    Equal to ``abs(librosa.stft(...))``, to 1e-6 of it for float64 clips. Bin ``k`` is
    around ``k * sr / n_fft`` Hz. Frames are those of `MelView`, so that both share one
    Fourier transform: centred, frame ``t`` around ``t * hop_length`` samples.

    By default values are plain magnitudes, as Choi et al. feed them to the network
    that they listen to. Theirs are ``STFTView(sr=11025, n_fft=512, hop_length=256)``:
    257 bins of 173 frames in 4 s.

    Parameters
    ----------
    sr : float, default=22050
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    n_fft : int or None, default=None
        Samples of the Fourier transform; None is the next power of two that holds the
        window.
    win_length : int or None, default=None
        Samples of the window; None is `n_fft` if that is given, otherwise 40 ms, as in
        the multi-view paper.
    hop_length : int or None, default=None
        Samples from frame to frame; None is 20 ms, as in the multi-view paper.
    window : str, tuple, float or array of shape (win_length,), default="hann"
        What :func:`scipy.signal.get_window` takes, such as "boxcar" or
        ``("kaiser", 8.0)``, or the samples of the window.
    center : bool or "start", default=True
        Frame ``t`` is around sample ``t * hop_length``; False starts it there, without
        padding: a clip has fewer frames then, and needs `n_fft` samples. "start" starts
        its window there, zeros filling up `n_fft`, and continues a clip at its end
        until every sample is in a window, as in python_speech_features.
    pad_mode : {"constant", "reflect", "symmetric", "edge", "wrap"}, default="constant"
        What is before and after a clip, as in :func:`numpy.pad`: zeros by default.
    preemphasis : float or None, default=None
        Subtract this times the sample before from every sample of the clip, first of
        all; 0.97 is usual for speech. The first sample stays as it is, which is
        ``zi=[0]`` in :func:`librosa.effects.preemphasis`.
    power : float, default=1.0
        Exponent of the magnitudes: 1 for amplitude, 2 for power.
    scale : {"db", "log", "log1p", "linear"} or tuple, default="linear"
        Decibels relative to 1, natural logarithm, ``log(1 + 10 x)``, which has no
        floor to choose and is 0 in silence, or the values themselves. Logarithms are
        cut off below amplitudes of 1e-5 (-100 dB), those of a pair such as
        ``("log", 1e-12)`` below that value of a magnitude to the `power`.
    top_db : float or None, default=None
        Range in decibels below a clip's own maximum; what is weaker is raised to it.
        None, "log1p" and "linear" leave the range as it is.
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

    See Also
    --------
    MelView : Bands as wide as pitch is heard.

    References
    ----------
    Choi, Kim, Fazekas and Sandler, "Auralisation of deep convolutional neural networks:
    listening to learned features", ISMIR 2015, late-breaking session.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.views import STFTView
    >>> X, y = make_sounds(n_clips=8, duration=1.0, sr=8000, random_state=0)
    >>> STFTView(sr=8000).transform(X).shape
    (8, 257, 51)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **FrameView._parameter_constraints,
        "power": [POSITIVE],
        "scale": [StrOptions(set(SCALES)), tuple],
        "top_db": [POSITIVE, None],
    }

    def __init__(
        self,
        *,
        sr: float = 22050,
        n_fft: int | None = None,
        win_length: int | None = None,
        hop_length: int | None = None,
        window: str | float | tuple[Any, ...] | np.ndarray = "hann",
        center: bool | str = True,
        pad_mode: str = "constant",
        preemphasis: float | None = None,
        power: float = 1.0,
        scale: str | tuple[str, float] = "linear",
        top_db: float | None = None,
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
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.window = window
        self.center = center
        self.pad_mode = pad_mode
        self.preemphasis = preemphasis
        self.power = power
        self.scale = scale
        self.top_db = top_db
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
    def frequencies(self) -> np.ndarray:
        """Frequency of every bin in Hz, (1 + n_fft // 2,)."""
        n_fft = self._framing()[0]
        frequencies: np.ndarray = np.arange(n_fft // 2 + 1) * self.sr / n_fft
        return frequencies

    def _front_end(self, dtype: str, device: str) -> FrontEnd:
        from skaudio.nn.runner import cached_front_end
        from skaudio.nn.spectrogram import Spectrogram

        return cached_front_end(
            Spectrogram,
            dtype,
            device,
            power=self.power,
            scale=self.scale,
            top_db=self.top_db,
            **self._frames(),
        )
