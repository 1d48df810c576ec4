"""Means of neighbouring samples as a view."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from skaudio._utils._constraints import COMPUTING_CONSTRAINTS, N_SAMPLES
from skaudio.views._base import BaseView

if TYPE_CHECKING:
    from skaudio.nn.frontends import FrontEnd


class MeanPoolView(BaseView):
    """Means of neighbouring samples: one bin, ``n_samples // pool_size`` frames.

    A waveform at a rate of ``sr / pool_size``, 551.25 per second by default, as Sawhney
    et al. feed to their autoencoder. Samples at the end of a clip that do not fill a
    mean are dropped. A mean is a poor low-pass filter: resample by `AudioLoader` to
    keep what lies below half of that rate free of what lies above it.

    Parameters
    ----------
    sr : float, default=22050
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    pool_size : int, default=40
        Samples of a mean, and from one to the next. Clips need as many.
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
    RawView : All samples.
    skaudio.preprocessing.cut_clips : Slices of means, such as 20 of 500 from every
        track.

    References
    ----------
    Sawhney, Vasavada and Wang, "Latent Feature Extraction for Musical Genres from Raw
    Audio", 2018, Section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.views import MeanPoolView
    >>> MeanPoolView(pool_size=3).transform([np.arange(8.0)])
    ViewArray([[[1., 4.]]])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **BaseView._parameter_constraints,
        **COMPUTING_CONSTRAINTS,
        "pool_size": [N_SAMPLES],
    }

    def __init__(
        self,
        *,
        sr: float = 22050,
        pool_size: int = 40,
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
        self.pool_size = pool_size
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
        """Means per second: ``sr / pool_size``."""
        return self.sr / self.pool_size

    @property
    def _shortest(self) -> int:
        """How many samples a clip needs."""
        return self.pool_size

    @property
    def _needs(self) -> tuple[str, str]:
        """What `_shortest` is, and what to set for shorter clips."""
        return f"pool_size={self.pool_size}", "a smaller pool_size"

    def _front_end(self, dtype: str, device: str) -> FrontEnd:
        from skaudio.nn.mean_pool import MeanPool
        from skaudio.nn.runner import cached_front_end

        return cached_front_end(MeanPool, dtype, device, pool_size=self.pool_size)
