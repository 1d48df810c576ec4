"""The waveform itself as a view."""

from __future__ import annotations

import os

from skaudio.views._base import BaseView


class RawView(BaseView):
    """Samples of the waveform: one bin, as many frames as samples.

    Parameters
    ----------
    sr : float, default=22050
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    mono : {"average", "raise"}, default="average"
        Average the channels of a clip, or refuse clips with more than one.
    trim_silence : bool, default=False
        Drop exact zeros at both ends of a clip, as many data sets pad with them.
    duration : float or None, default=None
        Seconds to crop or zero-pad every clip to; None keeps its length.
    on_error : {"raise", "warn", "nan"}, default="raise"
        Raise when a clip cannot be loaded, or keep its row as NaN, with or without a
        warning; `errors_` lists such rows.
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
    >>> from skaudio.views import RawView
    >>> X, y = make_sounds(n_clips=8, duration=1.0, sr=8000, random_state=0)
    >>> RawView(sr=8000).transform(X).shape
    (8, 1, 8000)
    """

    def __init__(
        self,
        *,
        sr: float = 22050,
        mono: str = "average",
        trim_silence: bool = False,
        duration: float | None = None,
        on_error: str = "raise",
        cache: bool | str | os.PathLike[str] = False,
        cache_by: str = "stat",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.sr = sr
        self.mono = mono
        self.trim_silence = trim_silence
        self.duration = duration
        self.on_error = on_error
        self.cache = cache
        self.cache_by = cache_by
        self.n_jobs = n_jobs
        self.verbose = verbose

    @property
    def rate(self) -> float:
        """Frames per second: `sr`."""
        return float(self.sr)

    def _front_end(self, dtype: str, device: str) -> None:
        return None

    def _store(self) -> str | None:
        return self._waveform_store() if type(self) is RawView else super()._store()
