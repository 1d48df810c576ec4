"""Recordings of known content, put together from labelled clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import assert_all_finite, check_consistent_length

from skaudio._audio._load import load_clips
from skaudio._utils._random import draw_seed
from skaudio._utils._rows import clips_of, to_numpy
from skaudio._utils._segment_table import Segment, table_of

# seconds, of the paper
MEAN_DURATIONS = {"silence": 0.5, "noise": 5.0, "speech": 10.0, "music": 12.0}
OTHERS = 10.0
SPREAD = 0.5  # pieces differ from the mean by up to this share of it


class _Settings(NamedTuple):
    sr: float
    durations: tuple[float, float]
    means: dict[Any, float]
    silence_label: Any
    silence_fraction: float


def make_recordings(
    X: Any,
    y: Any,
    *,
    sr: float,
    n_recordings: int = 10,
    min_duration: float = 20.0,
    max_duration: float = 120.0,
    mean_durations: Mapping[Any, float] | None = None,
    silence: Any = None,
    silence_label: Any = "silence",
    silence_fraction: float = 0.5,
    random_state: Any = None,
) -> tuple[list[np.ndarray], Any]:
    """Put recordings together from labelled clips, to test segmentation on.

    A recording is a row of pieces, each of another label than the one before. A piece
    is cut from a clip of its label at a random place, or made of several clips if they
    are shorter. Pieces follow each other abruptly, or through silence: a piece cut from
    real quiet clips, no zeros. Nothing but the given clips is used, so that recordings
    made of a test set hold nothing that was trained on.

    Parameters
    ----------
    X : list of str or path-like, array of shape (n_clips, n_samples), or list of arrays
        Clips, as every view takes them.
    y : array-like of shape (n_clips,)
        Label of each clip.
    sr : float
        Sampling rate in Hz of the recordings. Files are resampled to it; arrays are
        taken to be at it.
    n_recordings : int, default=10
        How many to make; the paper has 500.
    min_duration : float, default=20.0
        Seconds of the shortest recording.
    max_duration : float, default=120.0
        Seconds of the longest; all lengths between are equally likely.
    mean_durations : dict of label to float, default=None
        Mean seconds of a piece; pieces are between half of it and one and a half times
        as long, all lengths equally likely, as the paper gives means only. None, and
        labels that are missing, take those of the paper (silence 0.5, noise 5, speech
        10, music 12), and 10 for others.
    silence : like X, default=None
        Quiet clips, such as `SilenceRemover.removed` takes from recordings. None takes
        those of X whose label is `silence_label`, if there are any; without any all
        joins are abrupt.
    silence_label : object, default="silence"
        Label of silence in the table.
    silence_fraction : float, default=0.5
        Share of the joins that go through silence.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same recordings at every call, to the bit. A recording does
        not depend on how many are made.

    Returns
    -------
    recordings : list of ndarray of shape (n_samples_i,), dtype float32
        Waveforms.
    segments : DataFrame
        The truth: columns ``recording`` (the place in the list), ``start`` and ``end``
        in seconds, ``label``, and ``probability``, which is 1.

    See Also
    --------
    skaudio.metrics.frame_accuracy : Compares segments with such a truth.
    skaudio.preprocessing.SilenceRemover : Finds the quiet parts of recordings.

    References
    ----------
    M. S. Hussain and M. A. Haque, "SwishNet: A Fast Convolutional Neural Network for
    Speech, Music and Noise Classification and Segmentation", arXiv:1812.00149, 2018,
    Section IV.

    Examples
    --------
    >>> from skaudio.datasets import make_recordings, make_sounds
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> recordings, segments = make_recordings(
    ...     X, y, sr=8000, n_recordings=2, max_duration=30, random_state=0
    ... )
    >>> [round(len(recording) / 8000, 2) for recording in recordings]
    [23.83, 21.86]
    >>> segments.head(2).round(2)
       recording  start    end       label  probability
    0          0   0.00  12.53    harmonic          1.0
    1          0  12.53  23.83  percussive          1.0
    """
    settings = _Settings(
        sr,
        (min_duration, max_duration),
        {**MEAN_DURATIONS, **(mean_durations or {})},
        silence_label,
        silence_fraction,
    )
    _check(settings, n_recordings)
    pools = _pools(X, y, silence, settings)
    seed = draw_seed(random_state)
    recordings, segments = [], []
    for i in range(n_recordings):
        rng = np.random.default_rng([seed, i])
        waveform, rows = _recording(pools, settings, rng)
        recordings.append(waveform)
        segments += [Segment(i, *row, 1.0) for row in rows]
    return recordings, table_of(segments)


def _check(settings: _Settings, n_recordings: Any) -> None:
    if not isinstance(n_recordings, Integral) or n_recordings < 1:
        raise ValueError(f"n_recordings must be 1 or more; got {n_recordings!r}.")
    shortest, longest = settings.durations
    if not 0 < shortest <= longest < np.inf:
        raise ValueError(
            "min_duration must be positive, and not above max_duration; got "
            f"{shortest!r} and {longest!r}."
        )
    if not 0 < settings.sr < np.inf:
        raise ValueError(f"sr must be positive; got {settings.sr!r}.")
    if not 0 <= settings.silence_fraction <= 1:
        raise ValueError(
            f"silence_fraction must be from 0 to 1; got {settings.silence_fraction!r}."
        )
    for label, mean in settings.means.items():
        if not 0 < mean < np.inf:
            raise ValueError(
                f"mean_durations of {label!r} must be positive; got {mean!r}."
            )


class _Pool:
    """Clips of one label, in random order, all of them before one comes again."""

    def __init__(self, name: str, clips: list[Any], rows: list[int], sr: float) -> None:
        self.name, self.clips, self.rows, self.sr = name, clips, rows, sr

    def order(self, rng: np.random.Generator) -> Iterator[int]:
        while True:
            yield from rng.permutation(len(self.clips)).tolist()

    def load(self, place: int) -> np.ndarray:
        """One clip; nothing is kept, as there may be gigabytes of them."""
        clips, rows = [self.clips[place]], [self.rows[place]]
        try:
            (waveform,), _ = load_clips(clips, sr=self.sr, rows=rows)
        except ValueError as error:
            told = str(error).replace(" of X ", f" of {self.name} ")
            raise ValueError(told) from error
        return np.asarray(waveform, dtype=np.float32)


def _pools(X: Any, y: Any, silence: Any, settings: _Settings) -> dict[Any, _Pool]:
    """Clips by label."""
    clips, labels = _clips(X), np.asarray(y)
    check_consistent_length(clips, labels)
    if labels.ndim != 1:
        raise ValueError(f"y must be one label per clip; got shape {labels.shape}.")
    assert_all_finite(labels, input_name="y")
    rows: dict[Any, list[int]] = {}
    for row, label in enumerate(labels.tolist()):
        rows.setdefault(label, []).append(row)
    pools = {
        label: _Pool("X", [clips[row] for row in of_label], of_label, settings.sr)
        for label, of_label in sorted(rows.items(), key=lambda item: str(item[0]))
    }
    if silence is not None:
        try:
            quiet = _clips(silence)
        except ValueError as error:
            raise ValueError(f"silence: {error}") from None
        of_silence = _Pool("silence", quiet, list(range(len(quiet))), settings.sr)
        pools[settings.silence_label] = of_silence
    if not pools.keys() - {settings.silence_label}:
        raise ValueError(f"y has no label but {settings.silence_label!r}.")
    return pools


def _clips(X: Any) -> list[Any]:
    clips = clips_of(X)
    return list(np.asarray(to_numpy(X))) if clips is None else clips


def _recording(
    pools: dict[Any, _Pool], settings: _Settings, rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[float, float, Any]]]:
    """One waveform, and start, end and label of its pieces."""
    n_samples = max(1, round(rng.uniform(*settings.durations) * settings.sr))
    out = np.empty(n_samples, np.float32)
    orders = {label: pool.order(rng) for label, pool in pools.items()}
    borders: list[tuple[int, Any]] = []  # where labels begin
    at = 0
    for label in _labels(pools, settings, rng):
        mean = settings.means.get(label, OTHERS)
        seconds = mean * rng.uniform(1 - SPREAD, 1 + SPREAD)
        stop = min(n_samples, at + max(1, round(seconds * settings.sr)))
        if not borders or borders[-1][1] != label:
            borders.append((at, label))
        _fill(out[at:stop], pools[label], orders[label], rng)
        at = stop
        if at == n_samples:
            break
    edges = [start / settings.sr for start, _ in borders] + [n_samples / settings.sr]
    return out, [
        (edges[i], edges[i + 1], label) for i, (_, label) in enumerate(borders)
    ]


def _labels(
    pools: dict[Any, _Pool], settings: _Settings, rng: np.random.Generator
) -> Iterator[Any]:
    """Labels of pieces without end, each another than the one before."""
    sounding = [label for label in pools if label != settings.silence_label]
    last = None
    while True:
        others = [label for label in sounding if label != last] or sounding
        last = others[int(rng.integers(len(others)))]
        yield last
        # drawn in any case, so that the rest does not depend on it
        if (
            rng.uniform() < settings.silence_fraction
            and settings.silence_label in pools
        ):
            yield settings.silence_label


def _fill(
    out: np.ndarray, pool: _Pool, order: Iterator[int], rng: np.random.Generator
) -> None:
    """Cut a piece from a clip, or join several."""
    at = 0
    while at < len(out):
        clip = pool.load(next(order))
        spare = max(0, len(clip) - (len(out) - at))
        start = int(rng.integers(spare + 1))
        part = clip[start : start + len(out) - at]
        out[at : at + len(part)] = part
        at += len(part)
