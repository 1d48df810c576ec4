"""Waveforms of the same power at every moment."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from skaudio._utils._constraints import POSITIVE
from skaudio._utils._sklearn import Interval, StrOptions
from skaudio.preprocessing._waveforms import (
    WaveformTransformer,
    in_blocks,
    moderate,
    sliding_sums,
    window_samples,
    window_sums,
)


class LoudnessEqualizer(WaveformTransformer):
    """Bring every window of a clip to the same power.

    Windows follow each other, or overlap if `hop` is less than `window`: a sample is
    then multiplied by the mean gain of the windows that it lies in, which is the same
    as adding up equalised windows and dividing by their number. The last window ends
    with the clip. A clip shorter than a window is one. Digital silence stays silence.

    Parameters
    ----------
    sr : float, default=22050
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    window : float, default=0.25
        Seconds of a window.
    hop : float or None, default=None
        Seconds from the start of a window to that of the next; None is `window`.
    level : float, default=0.1
        Root mean square of every window that comes out: 0.1 is 20 dB below full scale.
        Peaks may exceed 1: nothing is clipped.
    measure : {"rms", "std"}, default="rms"
        Root mean square of a window, or its standard deviation, which takes no notice
        of a constant offset. Both are the same for sound without one.
    floor_db : float, default=-80.0
        Decibels relative to full scale, a root mean square of 1: a window below it gets
        no more gain than one at it. Noise of 16 bits lies below the default.
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
    The SwishNet paper [1]_ has windows of 250 ms, as by default. Its authors' code
    divides windows of 200 ms, one every 10 ms, by their standard deviation:
    ``LoudnessEqualizer(window=0.2, hop=0.01, level=1, measure="std")``. The standard
    deviation of a window that is constant, or below the floor without its offset, says
    nothing about its power: its root mean square stands in.

    References
    ----------
    .. [1] M. S. Hussain and M. A. Haque, "SwishNet: A Fast Convolutional Neural Network
       for Speech, Music and Noise Classification and Segmentation", arXiv:1812.00149,
       2018, section III.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.preprocessing import LoudnessEqualizer
    >>> X = np.array([[0.5, -0.5, 0.01, -0.01, 0.0, 0.0]])
    >>> LoudnessEqualizer(sr=8, window=0.25).fit_transform(X).round(3)
    array([[ 0.1, -0.1,  0.1, -0.1,  0. ,  0. ]])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **WaveformTransformer._parameter_constraints,
        "window": [POSITIVE],
        "hop": [POSITIVE, None],
        "level": [POSITIVE],
        "measure": [StrOptions({"rms", "std"})],
        "floor_db": [Interval(Real, -1000, None, closed="left")],
    }

    def __init__(
        self,
        *,
        sr: float = 22050,
        window: float = 0.25,
        hop: float | None = None,
        level: float = 0.1,
        measure: str = "rms",
        floor_db: float = -80.0,
        duration: float | None = None,
        mono: str = "average",
        trim_silence: bool = False,
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.sr = sr
        self.window = window
        self.hop = hop
        self.level = level
        self.measure = measure
        self.floor_db = floor_db
        self.duration = duration
        self.mono = mono
        self.trim_silence = trim_silence
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        if self.hop is not None and self.hop > self.window:
            raise ValueError(
                f"hop={self.hop:g} is more than window={self.window:g} seconds: there "
                "would be samples in no window. Lower hop."
            )

    def _changed(self, waveform: np.ndarray) -> np.ndarray:
        samples, unit = moderate(waveform)
        length = window_samples(self.window, self.sr, len(samples))
        hop = window_samples(self.hop or self.window, self.sr, length)
        blocks = in_blocks(samples, hop)
        powers = self._powers(samples, blocks, length)
        gains = self.level / np.maximum(unit * powers, 10 ** (self.floor_db / 20))
        n_whole, rest = divmod(length, hop)
        # the first samples of a block lie in one window more than the others
        for part, n_windows in (
            (blocks[:, :rest], n_whole + 1),
            (blocks[:, rest:], n_whole),
        ):
            part *= _mean_of_last(gains, n_windows, len(blocks))[:, None]
        out = blocks.reshape(-1)[: len(samples)]
        return (out if unit == 1 else out * unit).astype(waveform.dtype, copy=False)

    def _powers(
        self, samples: np.ndarray, blocks: np.ndarray, length: int
    ) -> np.ndarray:
        """Root mean square, or standard deviation, of every window."""
        n_windows = 1 + max(0, -(-(len(samples) - length) // blocks.shape[1]))
        last = samples[-length:].astype(np.float64)  # the last window ends with it
        squares = window_sums(blocks, length, n_windows, squared=True) / length
        squares[-1] = np.mean(last**2)
        rms = np.sqrt(squares)
        if self.measure == "rms":
            return rms
        means = window_sums(blocks, length, n_windows, squared=False) / length
        means[-1] = last.mean()
        std = np.sqrt(np.maximum(squares - means**2, 0))
        return np.where(std > 10 ** (self.floor_db / 20), std, rms)


def _mean_of_last(gains: np.ndarray, n: int, n_blocks: int) -> np.ndarray:
    """For every block the mean gain of the last ``n`` windows that started."""
    windows = np.stack([gains, np.ones_like(gains)])
    padded = np.pad(windows, ((0, 0), (n - 1, n_blocks - len(gains))))
    total, number = sliding_sums(padded, n)
    mean: np.ndarray = total / np.maximum(number, 1)
    return mean
