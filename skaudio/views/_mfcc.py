"""Mel-frequency cepstral coefficients."""

from __future__ import annotations

import os
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from skaudio._utils._constraints import BANDS, COUNT, NOT_NEGATIVE, POSITIVE
from skaudio._utils._sklearn import Interval, StrOptions
from skaudio._utils._spectra import SCALES
from skaudio.views._frames import BandView

if TYPE_CHECKING:
    from skaudio.nn.frontends import FrontEnd


class MFCCView(BandView):
    """Mel-frequency cepstral coefficients and their time derivatives.

    Equal to ``librosa.feature.mfcc`` and ``librosa.feature.delta(mode="nearest")``
    within 1e-3 dB: by default the orthonormal DCT-II of the mel spectrogram in
    decibels. With other parameters it is ``mfcc`` of python_speech_features, within
    1e-9 for float64 clips: :doc:`/user_guide/views` has them in one place.

    Parameters
    ----------
    sr : float, default=22050
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    n_mfcc : int, default=20
        Number of coefficients.
    dct_type : {1, 2, 3}, default=2
        Type of the discrete cosine transform.
    norm : "ortho" or None, default="ortho"
        Norm of the discrete cosine transform, as in :func:`librosa.feature.mfcc`:
        "ortho" makes it orthonormal. That of the mel filters is `mel_norm`.
    lifter : float, default=0
        Coefficient ``k``, counted from 1, is multiplied by
        ``1 + lifter / 2 * sin(pi * k / lifter)``; 0 leaves all as they are.
    use_energy : bool, default=False
        The first row is the energy of the frame, the sum of its power spectrum over all
        frequencies, on the `scale`. The coefficient that it takes the place of is left
        out, so `lifter` counts from the next one, as in HTK, Kaldi and
        python_speech_features.
    delta : {0, 1, 2}, default=0
        Append time derivatives up to this order, `n_mfcc` rows each.
    delta_width : int, default=9
        Frames that a derivative is taken from, an odd number above `delta`: 9 as in
        :func:`librosa.feature.delta`, 5 in the baseline of COALA.
    n_mels : int, default=128
        Number of mel bands, as in librosa.
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
    fmin : float, default=0.0
        Lowest frequency in Hz.
    fmax : float or None, default=None
        Highest frequency in Hz; None is half the sampling rate.
    htk : bool or "bins", default=False
        HTK's mel scale, which is logarithmic throughout, instead of Slaney's, which is
        linear below 1 kHz. "bins" is HTK's, with edges and peaks of the filters moved
        down to bins of the transform, as in python_speech_features.
    mel_norm : "slaney" or None, default="slaney"
        Norm of the mel filters: "slaney" gives them the same area in Hz, None a peak of
        1. `MelView` calls it `norm`; both names are librosa's.
    scale : {"db", "log", "log1p", "linear"} or tuple, default="db"
        Decibels relative to 1, natural logarithm, ``log(1 + 10 x)``, which has no
        floor to choose and is 0 in silence, or the values themselves. Logarithms are
        cut off below amplitudes of 1e-5 (-100 dB), those of a pair such as
        ``("log", 1e-12)`` below that value of what a band adds up to.
    top_db : float or None, default=80.0
        Range of the mel spectrogram in decibels below a clip's own maximum.
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

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.views import MFCCView
    >>> X, y = make_sounds(n_clips=8, duration=1.0, sr=8000, random_state=0)
    >>> MFCCView(sr=8000, delta=2).transform(X).shape
    (8, 60, 51)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **BandView._parameter_constraints,
        "n_mfcc": [COUNT],
        "dct_type": [Interval(Integral, 1, 3, closed="both")],
        "norm": [StrOptions({"ortho"}), None],
        "lifter": [NOT_NEGATIVE],
        "use_energy": ["boolean"],
        "delta": [Interval(Integral, 0, 2, closed="both")],
        "delta_width": [Interval(Integral, 1, 999, closed="both")],
        "n_mels": [BANDS],
        "fmin": [NOT_NEGATIVE],
        "fmax": [POSITIVE, None],
        "htk": ["boolean", StrOptions({"bins"})],
        "mel_norm": [StrOptions({"slaney"}), None],
        "scale": [StrOptions(set(SCALES)), tuple],
        "top_db": [POSITIVE, None],
    }

    def __init__(
        self,
        *,
        sr: float = 22050,
        n_mfcc: int = 20,
        dct_type: int = 2,
        norm: str | None = "ortho",
        lifter: float = 0,
        use_energy: bool = False,
        delta: int = 0,
        delta_width: int = 9,
        n_mels: int = 128,
        n_fft: int | None = None,
        win_length: int | None = None,
        hop_length: int | None = None,
        window: str | float | tuple[Any, ...] | np.ndarray = "hann",
        center: bool | str = True,
        pad_mode: str = "constant",
        preemphasis: float | None = None,
        fmin: float = 0.0,
        fmax: float | None = None,
        htk: bool | str = False,
        mel_norm: str | None = "slaney",
        scale: str | tuple[str, float] = "db",
        top_db: float | None = 80.0,
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
        self.n_mfcc = n_mfcc
        self.dct_type = dct_type
        self.norm = norm
        self.lifter = lifter
        self.use_energy = use_energy
        self.delta = delta
        self.delta_width = delta_width
        self.n_mels = n_mels
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.window = window
        self.center = center
        self.pad_mode = pad_mode
        self.preemphasis = preemphasis
        self.fmin = fmin
        self.fmax = fmax
        self.htk = htk
        self.mel_norm = mel_norm
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

    def _bin_names(self, n_bins: int) -> list[str]:
        return [
            f"{self.kind}{i}{derivative}"
            for derivative in ("", "_delta", "_delta2")[: self.delta + 1]
            for i in range(self.n_mfcc)
        ]

    def _front_end(self, dtype: str, device: str) -> FrontEnd:
        from skaudio.nn.mfcc import MFCC
        from skaudio.nn.runner import cached_front_end

        return cached_front_end(
            MFCC,
            dtype,
            device,
            n_mfcc=self.n_mfcc,
            dct_type=self.dct_type,
            norm=self.norm,
            lifter=self.lifter,
            use_energy=self.use_energy,
            delta=self.delta,
            delta_width=self.delta_width,
            n_mels=self.n_mels,
            htk=self.htk,
            mel_norm=self.mel_norm,
            scale=self.scale,
            top_db=self.top_db,
            **self._frames_and_range(),
        )
