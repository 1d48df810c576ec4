"""`AudioLoader`: files in, waveforms out."""

from __future__ import annotations

from typing import Any

import numpy as np

from skaudio._audio._load import load_clips
from skaudio._audio._report import Report
from skaudio._utils._constraints import LOADER_CONSTRAINTS, LOADING
from skaudio.preprocessing._waveforms import WaveformTransformer


class AudioLoader(WaveformTransformer):
    """Load clips from files, or bring waveforms to one form.

    Files (wav, flac, ogg, mp3 and whatever else libsndfile reads) are decoded,
    mixed down, resampled to `sr` and scaled to float32 in [-1, 1]; int8, uint8, int16
    and int32 arrays are scaled the same way. Float arrays keep their dtype and are
    taken to be at `sr` already; pairs of samples and rate, and dicts with "array" and
    "sampling_rate", are resampled. Every view decodes paths by itself in this way: put
    the loader in front to decode once for several uses, in parallel, or to keep going
    when files are broken.

    Silence, a constant offset and clipped samples are sound and pass unchanged. A
    file that is missing, a directory, not audio, cut short (where its format
    shows it) or damaged, a missing value, and a clip with no samples, with NaN, with
    infinity, or with values so large that they overflow, is an error, treated according
    to `on_error`. ``on_error="warn"`` keeps what is there of files such as wav that are
    cut short or state a wrong length; its one warning says how many samples of how
    many.

    Parameters
    ----------
    sr : float, default=22050
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
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
        Clips that could not be loaded in the last `transform`:
        ``{"row": int, "path": str or None, "error": str}``.
    n_features_in_ : int
        Number of samples per clip, if X in `fit` was a 2-D array; its length is then
        fixed. Lists of waveforms or paths have clips of any length.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X in `fit` was a DataFrame with such names.

    Notes
    -----
    The loader has no state, and rows are independent. The default rate,
    librosa's, keeps content up to 11 kHz at half the cost of 44.1 kHz. Cropping and
    padding happen at the end of a clip, after silence was trimmed; a clip of nothing
    but zeros is not trimmed. The row of a clip that could not be loaded is `duration`
    long, or as long as the rows of a 2-D X, or one sample. A flac or an mp3 is
    read to its end, also where its header states less. Integers of other types are
    numbers below 128 and errors from there on: their full scale is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.preprocessing import AudioLoader
    >>> pcm = [np.full(8000, 2**14, np.int16), np.zeros(4000, np.int16)]
    >>> AudioLoader(sr=8000, duration=0.5).fit_transform(pcm)[:, 0]
    array([0.5, 0. ], dtype=float32)
    """

    _parameter_constraints: dict[str, list[Any]] = LOADER_CONSTRAINTS

    def __init__(
        self,
        *,
        sr: float = 22050,
        duration: float | None = None,
        mono: str = "average",
        trim_silence: bool = False,
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.sr = sr
        self.duration = duration
        self.mono = mono
        self.trim_silence = trim_silence
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _results(self, clips: Any, report: Report) -> np.ndarray:
        if not isinstance(clips, np.ndarray) or self.trim_silence:
            return super()._results(clips, report)
        options = {name: getattr(self, name) for name in LOADING}
        waveforms, _ = load_clips(clips, report=report, **options)
        return np.asarray(waveforms)

    def _changed(self, waveform: np.ndarray) -> np.ndarray:
        return waveform
