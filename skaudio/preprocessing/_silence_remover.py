"""Recordings without their silence, and the silence without the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skaudio._audio._report import Report
from skaudio._utils._constraints import POSITIVE
from skaudio.preprocessing._waveforms import (
    WaveformTransformer,
    failed,
    in_blocks,
    moderate,
    window_samples,
    window_sums,
)

if TYPE_CHECKING:
    import pandas as pd


class SilenceRemover(WaveformTransformer):
    """Cut silence out of clips and join what is left.

    Silence is what lies more than `top_db` below the loudest window of its clip, as in
    :func:`librosa.effects.split`: a window lies around every `hop`-th moment, and its
    power decides over the `hop` that follows. Every clip keeps something: one without
    any difference in level, digital silence too, is kept whole.

    `split` says what is removed, and when; `removed` gives the sound of it, which is
    the natural silence of a recording.

    Parameters
    ----------
    sr : float, default=22050
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    top_db : float, default=40.0
        Decibels below the loudest window of a clip from where on a window is silent.
    window : float, default=0.025
        Seconds of a window.
    hop : float or None, default=0.01
        Seconds from the start of a window to that of the next; None is `window`.
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

    References
    ----------
    M. S. Hussain and M. A. Haque, "SwishNet: A Fast Convolutional Neural Network for
    Speech, Music and Noise Classification and Segmentation", arXiv:1812.00149, 2018,
    whose authors' code has these defaults.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.preprocessing import SilenceRemover
    >>> tone = np.sin(np.arange(8000))
    >>> X = [np.concatenate([tone, 0.001 * tone])]
    >>> remover = SilenceRemover(sr=8000).fit(X)
    >>> remover.transform(X).shape
    (1, 8160)
    >>> remover.split(X)
       clip  start   end   kept
    0     0   0.00  1.02   True
    1     0   1.02  2.00  False
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **WaveformTransformer._parameter_constraints,
        "top_db": [POSITIVE],
        "window": [POSITIVE],
        "hop": [POSITIVE, None],
    }

    def __init__(
        self,
        *,
        sr: float = 22050,
        top_db: float = 40.0,
        window: float = 0.025,
        hop: float | None = 0.01,
        duration: float | None = None,
        mono: str = "average",
        trim_silence: bool = False,
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.sr = sr
        self.top_db = top_db
        self.window = window
        self.hop = hop
        self.duration = duration
        self.mono = mono
        self.trim_silence = trim_silence
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def split(self, X: Any) -> pd.DataFrame:
        """Say what of each clip is kept and what is removed.

        Parameters
        ----------
        X : list of str or path-like, array of shape (n_clips, n_samples), or list of \
                arrays (n_samples_i,) or (n_channels_i, n_samples_i)
            Clips. Rows of a list may also be open binary files, pairs of samples and
            rate, and dicts of them; a column of paths is a list of paths.

        Returns
        -------
        parts : DataFrame
            The parts of each clip in order, which fill it without gaps: ``clip`` (row
            of X), ``start`` and ``end`` in seconds, and whether it is ``kept``. A clip
            that could not be loaded has none.
        """
        import pandas as pd

        parts = [
            (row, start / self.sr, end / self.sr, kept)
            for row, _, edges in self._edges_of_clips(X)
            for start, end, kept in _parts_between(edges)
        ]
        return pd.DataFrame(parts, columns=["clip", "start", "end", "kept"]).astype(
            {"clip": np.intp, "start": float, "end": float, "kept": bool}
        )

    def removed(self, X: Any) -> list[np.ndarray]:
        """Waveforms of what is removed.

        Parameters
        ----------
        X : list of str or path-like, array of shape (n_clips, n_samples), or list of \
                arrays (n_samples_i,) or (n_channels_i, n_samples_i)
            Clips. Rows of a list may also be open binary files, pairs of samples and
            rate, and dicts of them; a column of paths is a list of paths.

        Returns
        -------
        waveforms : list of ndarray of shape (n_samples_i,)
            One for each row of `split` that is not kept, in the same order.
        """
        return [
            waveform[start:end].copy()
            for _, waveform, edges in self._edges_of_clips(X)
            for start, end, kept in _parts_between(edges)
            if not kept
        ]

    def _edges_of_clips(self, X: Any) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Row, waveform and edges of every clip that could be loaded."""
        clips, report = self._ready(X), Report()
        found = [
            (row, waveform, self._edges(waveform))
            for part in self._parts(clips, report)
            for row, waveform in zip(part.rows, part.waveforms, strict=True)
            if not failed(waveform)
        ]
        report.close(self, len(clips), self.on_error)
        return found

    def _changed(self, waveform: np.ndarray) -> np.ndarray:
        edges = self._edges(waveform)
        kept = [waveform[a:b] for a, b, kept in _parts_between(edges) if kept]
        return np.concatenate(kept)

    def _length(self) -> int | None:
        return None

    def _edges(self, waveform: np.ndarray) -> np.ndarray:
        """Samples at which sound starts and stops in turn, and how many there are."""
        samples, _ = moderate(waveform)
        # no longer than what holds the clip wherever it lies
        length = window_samples(self.window, self.sr, 2 * len(samples))
        hop = window_samples(self.hop or self.window, self.sr, len(samples) + 1)
        n_windows = 1 + len(samples) // hop
        around = in_blocks(np.pad(samples, (length // 2, 0)), hop)
        power = window_sums(around, length, n_windows, squared=True)
        sounding = power > power.max() * 10 ** (-self.top_db / 10)
        if not sounding.any():
            sounding[:] = True
        changes = np.flatnonzero(np.diff(sounding, prepend=False, append=False))
        edges = np.minimum(changes * hop, len(samples))
        return np.append(edges, len(samples))


def _parts_between(edges: np.ndarray) -> list[tuple[int, int, bool]]:
    """Start, stop and whether it sounds of the parts of a clip, none of them empty."""
    *changes, n_samples = edges.tolist()
    starts, stops = [0, *changes], [*changes, n_samples]
    return [
        (start, stop, bool(i % 2))
        for i, (start, stop) in enumerate(zip(starts, stops, strict=True))
        if stop > start
    ]
