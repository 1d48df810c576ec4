"""Recordings to clips of one duration, each with its label and its source."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_consistent_length

from skaudio._segments import span, to_steps
from skaudio._utils._container import Views
from skaudio._utils._rows import clips_of, to_numpy
from skaudio._utils._sklearn import _safe_indexing
from skaudio._utils._types import is_waveform

SHORT = ("wrap", "pad", "drop", "raise")


def cut_clips(
    X: Any,
    y: Any = None,
    groups: Any = None,
    *,
    duration: float,
    sr: float | None = None,
    overlap: float = 0.5,
    n_clips: int | None = None,
    short: str = "wrap",
) -> Bunch:
    """Cut recordings into clips of one duration, which may overlap.

    Clips start every ``duration * (1 - overlap)`` seconds, and the last one ends with
    its recording, so that all of it is in some clip; with `n_clips`, so many are cut
    from its beginning, and what follows is left out. Clips of one recording are much
    alike: their `groups` keep them on one side of every split.

    Parameters
    ----------
    X : Views, array of shape (n_recordings, n_samples), or list of arrays
        Recordings: waveforms, or views of them, whose last axis is time. Rows of a list
        are (n_samples_i,) or (n_bins, n_frames_i). All views of `Views` are cut at the
        same times. Files are loaded by `AudioLoader`, or become views, before.
    y : array-like of shape (n_recordings,) or (n_recordings, n_tags), default=None
        Labels, which all clips of a recording get.
    groups : array-like of shape (n_recordings,), default=None
        Sources of the recordings, such as speakers; None takes every recording as its
        own.
    duration : float
        Seconds of a clip.
    sr : float or None, default=None
        Steps of X per second: the sampling rate of waveforms, the frames per second of
        arrays of frames. `Views` know theirs.
    overlap : float, default=0.5
        Share of a clip that it has in common with the next, below 1.
    n_clips : int or None, default=None
        Number of clips of every recording; None is as many as cover it.
    short : {"wrap", "pad", "drop", "raise"}, default="wrap"
        What becomes of recordings that are shorter than a clip, or than `n_clips` of
        them, each at its distance from the one before. "wrap" repeats recordings
        before their beginning, so that they end with their own end, as the code of the
        SwishNet paper's authors does. "pad" continues them, waveforms by zeros and
        other views by their last frame; "drop" leaves them out.

    Returns
    -------
    clips : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        X : Views, or array of shape (n_clips, n_steps) or (n_clips, n_bins, n_steps)
            The clips, recording by recording, in order of time.
        y : array-like or None
            Labels of the clips, in the container of `y`.
        groups : array-like of shape (n_clips,)
            Sources of the clips: numbers of recordings, or those of `groups`.
        rows : ndarray of shape (n_clips,)
            Which recording, counted from 0, each clip was cut from.
        starts : ndarray of shape (n_clips,)
            Seconds of the recording at which each clip starts.

    See Also
    --------
    skaudio.model_selection.StratifiedGroupShuffleSplit : Splits whole groups.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.preprocessing import cut_clips
    >>> recordings = [np.arange(24.0), np.arange(3.0)]
    >>> clips = cut_clips(recordings, ["music", "speech"], sr=10, duration=1.0)
    >>> clips.X.shape
    (5, 10)
    >>> clips.starts
    array([0. , 0.5, 1. , 1.4, 0. ])
    >>> clips.y
    ['music', 'music', 'music', 'music', 'speech']
    >>> clips.groups
    array([0, 0, 0, 0, 1])
    >>> clips.X[-1]
    array([2., 0., 1., 2., 0., 1., 2., 0., 1., 2.])
    """
    _check_options(duration, overlap, n_clips, short)
    views, is_sound = _as_views(X, sr)
    check_consistent_length(views, y, groups)
    rows, starts, missing = _places(views, duration, overlap, n_clips, short)
    arrays = {
        name: _cut(views, name, rows, starts, duration, missing, short)
        for name in views.names
    }
    out: Any = Views(arrays, views.rates)
    if not isinstance(X, Views):
        (out,) = arrays.values()
        out = out[:, 0] if is_sound else out
    return Bunch(
        X=out,
        y=None if y is None else _safe_indexing(y, rows),
        groups=rows if groups is None else _safe_indexing(groups, rows),
        rows=rows,
        starts=starts,
    )


def _check_options(duration: float, overlap: float, n_clips: Any, short: str) -> None:
    if not 0 < duration < np.inf:
        raise ValueError(f"duration must be positive seconds; got {duration!r}.")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be from 0 to below 1; got {overlap!r}.")
    is_number = isinstance(n_clips, Integral) and int(n_clips) >= 1
    if n_clips is not None and not is_number:
        raise ValueError(
            f"n_clips must be a number of clips, at least 1, or None; got {n_clips!r}."
        )
    if short not in SHORT:
        raise ValueError(f"short must be one of {', '.join(SHORT)}; got {short!r}.")


def _as_views(X: Any, sr: float | None) -> tuple[Views, bool]:
    """X as `Views`, and whether its rows are waveforms."""
    if isinstance(X, Views):
        if sr is not None:
            raise ValueError("Views have rates of their own: leave sr out.")
        unknown = [name for name, rate in X.rates.items() if rate is None]
        if unknown:
            raise ValueError(
                f"The rate of view {unknown[0]!r} is unknown, so no seconds can be cut "
                "from it. Build the views by ViewUnion, or pass rates to Views."
            )
        return X, False
    if sr is None or not 0 < sr < np.inf:
        raise ValueError(
            "sr must be the steps of X per second, such as the sampling rate of "
            f"waveforms; got {sr!r}."
        )
    array = _as_array(X)
    dimensions = {row.ndim for row in array} if array.dtype == object else {array.ndim}
    is_sound = dimensions == ({1} if array.dtype == object else {2})
    if is_sound and array.dtype == object:
        array = _objects([row[None] for row in array])
    elif is_sound:
        array = array[:, None]
    return Views({"X": array}, {"X": float(sr)}), is_sound


def _as_array(X: Any) -> np.ndarray:
    """Rows as one array, or as an object array of arrays with one number of axes."""
    rows = clips_of(X)
    if rows is None:
        array: np.ndarray = np.asarray(to_numpy(X))
        if array.ndim in (2, 3) and array.dtype.kind in "fiub":
            return array
        rows = list(array)
    for i, row in enumerate(rows):
        is_array = isinstance(row, np.ndarray) and row.dtype.kind in "fiub"
        if not is_array or row.ndim != rows[0].ndim or row.ndim not in (1, 2):
            raise TypeError(
                "X must be Views, or waveforms (n_samples,) or frames (n_bins, "
                f"n_frames), all alike; row {i} is {_described(row)}. Load files by "
                "AudioLoader(sr=sr).transform(X) first."
            )
    return _objects(rows)


def _described(row: Any) -> str:
    if isinstance(row, np.ndarray):
        return f"an array of shape {row.shape} and type {row.dtype}"
    return f"{str(row)[:60]!r} ({type(row).__name__})"


def _objects(rows: list[np.ndarray]) -> np.ndarray:
    array = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        array[i] = row
    return array


def _places(
    views: Views, duration: float, overlap: float, n_clips: int | None, short: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Recording and first second of every clip, and seconds that recordings lack."""
    coarse = min(rate for rate in views.rates.values() if rate is not None)
    hop = duration * (1 - overlap)
    if hop * coarse < 1 - 1e-6:
        raise ValueError(
            f"Clips of {duration:g} s with overlap={overlap:g} start every {hop:.3g} "
            f"s; X has {coarse:g} steps per second. Lower overlap, or raise duration."
        )
    first = _on_steps(np.arange(n_clips or 1) * hop, coarse)
    needed = {
        name: _step(first[-1], rate or 0) + to_steps(duration, rate or 0)
        for name, rate in views.rates.items()
    }
    what = f"a clip of {duration:g} s"
    if n_clips is not None and n_clips > 1:
        what = f"{n_clips} clips of {duration:g} s every {hop:.4g} s"
    missing = _missing(views, needed)
    are_short = missing > 0
    if are_short.any() and short == "raise":
        row = int(np.argmax(are_short))
        raise ValueError(
            f"Row {row} of X has {views.durations[row]:.4g} s, less than {what}. Set "
            "short to 'wrap', 'pad' or 'drop', or lower duration"
            f"{'' if n_clips is None else ' or n_clips'}."
        )
    found: list[np.ndarray] = []
    for available, is_short in zip(views.durations, are_short, strict=True):
        at = first
        if is_short and short == "drop":
            at = first[:0]
        elif n_clips is None and not is_short:
            at = _covering(available - duration, hop, coarse)
        found.append(at)
    rows = np.repeat(np.arange(len(found)), [len(at) for at in found])
    if not len(rows):
        raise ValueError(
            f"All {len(found)} recordings are shorter than {what}, and left out. Lower "
            "duration, or set short to 'wrap' or 'pad'."
        )
    return rows, np.concatenate(found), missing


def _covering(room: float, hop: float, rate: float) -> np.ndarray:
    """Starts at every hop, and one of a last clip, which ends with the recording."""
    # the others end half a step before it
    first = np.arange(0, max(room - 0.5 / rate, 0), hop)
    return np.append(_on_steps(first, rate), max(room, 0.0))


def _step(second: float, rate: float) -> int:
    return int(np.floor(second * rate + 0.5))


def _on_steps(seconds: np.ndarray, rate: float) -> np.ndarray:
    starts: np.ndarray = np.floor(seconds * rate + 0.5) / rate
    return starts


def _missing(views: Views, needed: dict[str, int]) -> np.ndarray:
    """Seconds that recordings lack, in the view that lacks most."""
    missing = np.zeros(len(views))
    for name, n_steps in needed.items():
        n_frames = views.n_frames(name)
        if (n_frames == 0).any():
            raise ValueError(
                f"Row {int(np.argmin(n_frames))} of X has no samples. Leave it out."
            )
        missing = np.maximum(missing, (n_steps - n_frames) / views.rates[name])
    return missing


def _cut(
    views: Views,
    name: str,
    rows: np.ndarray,
    starts: np.ndarray,
    duration: float,
    missing: np.ndarray,
    short: str,
) -> np.ndarray:
    """Clips (n_clips, n_bins, n_steps) of one view."""
    recordings, rate = views.clips(name), views.rates[name] or 0
    n_steps = to_steps(duration, rate)
    dtype = np.result_type(*{recording.dtype for recording in recordings})
    out = np.empty((len(rows), len(recordings[0]), n_steps), dtype)
    for row, first_clip, n_clips in zip(
        *np.unique(rows, return_index=True, return_counts=True), strict=True
    ):
        recording = recordings[row]
        if missing[row] > 0:  # all views by as much, so that they stay together
            recording = _lengthened(recording, _step(missing[row], rate), short)
        for i in range(first_clip, first_clip + n_clips):
            first = span(starts[i], n_steps, rate, recording.shape[1])
            out[i] = recording[:, first : first + n_steps]
    return out


def _lengthened(recording: np.ndarray, missing: int, short: str) -> np.ndarray:
    if short == "wrap":
        return np.pad(recording, ((0, 0), (missing, 0)), mode="wrap")
    mode: Any = "constant" if is_waveform(len(recording)) else "edge"
    return np.pad(recording, ((0, 0), (0, missing)), mode=mode)
