"""COALA's log-mel spectrogram as a view."""

from __future__ import annotations

import os
from numbers import Real
from typing import Any

import numpy as np

from skaudio._utils._constraints import COMPUTING_CONSTRAINTS, NOT_NEGATIVE
from skaudio._utils._sklearn import Interval
from skaudio._utils._spectra import hashable
from skaudio.views._base import BaseView

HOP_LENGTH = 512  # samples


class CoalaView(BaseView):
    """Log-mel spectrogram as COALA takes it: 96 bands, 43 frames per second.

    Windows of 1024 samples every 512; magnitudes in 96 bands of Slaney's mel scale up
    to half the rate; natural logarithm after adding 1.19e-7. Frames are centred, the
    clip being continued by its mirror image. A clip of at most `min_duration` is
    continued by silence to that length, and gets faint noise all over, the same for
    every clip. Longer ones stay as they are.

    The defaults are those of the authors' code, which the published weights go with:
    22,000 Hz, not 22,050.
    By the paper's text the window is Hamming's and there is no noise:
    ``CoalaView(window="hamming", noise=0.0)``.

    Parameters
    ----------
    sr : float, default=22000
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    window : str, tuple, float or array of shape (1024,), default="hann"
        What :func:`scipy.signal.get_window` takes, such as "boxcar" or
        ``("kaiser", 8.0)``, or the samples of the window.
    min_duration : float, default=10.0
        Seconds that shorter clips are continued to; 0 leaves all as they are. Patches
        of 96 frames need 2.3.
    noise : float, default=0.0005
        Noise in clips that are not longer than `min_duration`: uniform from 0 to this.
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
    skaudio.embedding.CoalaEmbedder : Takes this view of clips by itself.
    skaudio.preprocessing.EnergyPatches : Patches of 96 frames.
    MelView : Any other mel spectrogram.

    References
    ----------
    Favory et al., "COALA: Co-Aligned Autoencoders for Learning Semantically Enriched
    Audio Representations", ICML 2020 workshop on self-supervision in audio and speech,
    Section 3.1.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.views import CoalaView
    >>> X, y = make_sounds(n_clips=8, duration=1.0, sr=22000, random_state=0)
    >>> CoalaView().transform(X).shape
    (8, 96, 430)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **BaseView._parameter_constraints,
        **COMPUTING_CONSTRAINTS,
        "window": [str, tuple, Real, "array-like"],
        "min_duration": [Interval(Real, 0, 600, closed="both")],
        "noise": [NOT_NEGATIVE],
    }

    def __init__(
        self,
        *,
        sr: float = 22000,
        window: str | float | tuple[Any, ...] | np.ndarray = "hann",
        min_duration: float = 10.0,
        noise: float = 0.0005,
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
        self.window = window
        self.min_duration = min_duration
        self.noise = noise
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
        return self.sr / HOP_LENGTH

    @property
    def frequencies(self) -> np.ndarray:
        """Peak of every mel filter in Hz, (96,)."""
        import librosa

        from skaudio.nn.coala_input import N_BANDS

        edges = librosa.mel_frequencies(N_BANDS + 2, fmin=0.0, fmax=self.sr / 2)
        return np.asarray(edges[1:-1])

    def _front_end(self, dtype: str, device: str) -> Any:
        from skaudio.nn.coala_input import CoalaInput
        from skaudio.nn.runner import cached_front_end

        return cached_front_end(
            CoalaInput,
            dtype,
            device,
            sr=self.sr,
            window=hashable(self.window),
            min_duration=self.min_duration,
            noise=self.noise,
        )
