"""What a classifier of clips says of every window of long recordings."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skaudio._audio._report import Report
from skaudio._utils._decisions import proba_of_tags
from skaudio.segmentation._recordings import name_of, read_or_report, recordings_of
from skaudio.segmentation._sources import (
    DEFAULT_WINDOW,
    rate_for,
    unwrapped,
    view_of,
)
from skaudio.segmentation._stream import SampleBuffer

COLUMNS = ("recording", "start", "end", "label", "probability")
POLICIES = ("raise", "warn", "nan")
MOST_SAMPLES = 2**21  # of windows that are classified in one call


def predict_windows(
    estimator: Any,
    X: Any,
    *,
    window: float | None = None,
    hop: float | None = None,
    sr: float | None = None,
    all_classes: bool = False,
    on_error: str = "raise",
) -> Any:
    """Classify windows of recordings, with their times.

    Any classifier of clips hears one window after the other, each as a clip of its own.
    Recordings are read in blocks, so that hours need no more memory than minutes.

    Parameters
    ----------
    estimator : classifier or Pipeline
        Fitted, with ``predict_proba``; takes sound: waveforms or paths.
    X : list of str or path-like, array of shape (n_recordings, n_samples), or \
            list of arrays (n_samples_i,) or (n_channels_i, n_samples_i)
        Recordings of any length.
    window : float or None, default=None
        Seconds of a window. None is the length of the clips of `fit`, if they were an
        array, otherwise 1 s. A recording that is shorter is one window.
    hop : float or None, default=None
        Seconds from one window to the next. None is `window`: side by side. If less
        than a hop is left at the end, the last window is moved back so that it ends
        with the recording.
    sr : float or None, default=None
        Sampling rate in Hz at which the estimator takes sound: files are resampled to
        it, arrays are taken to be at it. None is the rate of its view.
    all_classes : bool, default=False
        Whether there is a column of probabilities for each class, by its name. Tags
        always have them, and neither label nor probability.
    on_error : {"raise", "warn", "nan"}, default="raise"
        Raise when a recording cannot be loaded, or give it a row of NaN, with or
        without a warning.

    Returns
    -------
    windows : DataFrame
        Columns ``recording`` (the path, or the number of the row of X), ``start`` and
        ``end`` in seconds, ``label`` and its ``probability``.

    Raises
    ------
    ValueError
        If a recording cannot be loaded, or the sampling rate is unknown.

    See Also
    --------
    FrameSegmenter : Smooths probabilities over time and cuts recordings into segments.
    skaudio.inspection.SegmentationDisplay : Draws tables with times over a recording.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.neural_network import SwishNetClassifier
    >>> from skaudio.segmentation import predict_windows
    >>> from skaudio.views import MFCCView
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> clf = SwishNetClassifier(views=MFCCView(sr=8000), max_epochs=1, random_state=0)
    >>> recording = np.concatenate(X[:3])
    >>> windows = predict_windows(clf.fit(X, y), [recording])
    >>> windows[["recording", "start", "end"]]
       recording  start  end
    0          0    0.0  1.0
    1          0    1.0  2.0
    2          0    2.0  3.0
    """
    import pandas as pd

    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            "predict_windows needs a classifier with predict_proba; "
            f"{type(estimator).__name__} has none."
        )
    check_is_fitted(estimator)
    _check({"window": window, "hop": hop, "sr": sr}, on_error)
    rate = rate_for(estimator, sr)
    n_samples = getattr(estimator, "n_features_in_", None)
    if window is None:
        window = DEFAULT_WINDOW if n_samples is None else n_samples / rate
    view, _ = view_of(estimator)
    mono = getattr(view, "mono", "average")
    items, report, tables = recordings_of(unwrapped(estimator), X), Report(), []
    for row, item in enumerate(items):
        stream: Any = _WindowStream(estimator, rate, window, hop or window)
        is_there = read_or_report(item, row, stream, mono, report, on_error)
        tables.append((name_of(item, row), stream if is_there else None))
    report.warn(len(items), on_error)
    heard: list[np.ndarray] = next(
        (stream.heard for _, stream in tables if stream is not None), []
    )
    has_tags = _has_tags(estimator, heard)
    classes = _classes(estimator, has_tags, all_classes)
    how = classes, has_tags, all_classes
    parts = [_rows(name, stream, *how) for name, stream in tables]
    return pd.concat(parts, ignore_index=True)


def _check(positive: dict[str, Any], on_error: str) -> None:
    for name, value in positive.items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 < value < np.inf):
            raise ValueError(
                f"{name} must be a number above 0, or None; got {value!r}."
            )
    if on_error not in POLICIES:
        raise ValueError(f"on_error must be one of {POLICIES}; got {on_error!r}.")


class _WindowStream:
    """Windows of one recording, which are classified as soon as there are enough.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    sr : float
        Samples per second.
    window, hop : float
        Seconds of a window, and from one to the next.
    """

    def __init__(self, estimator: Any, sr: float, window: float, hop: float) -> None:
        self.estimator, self.sr, self.step = estimator, sr, hop * sr
        self.length = max(1, round(window * sr))
        self.spans: list[tuple[int, int]] = []  # in samples
        self.proba: list[np.ndarray] = []
        self.heard: list[np.ndarray] = []  # one window
        self._buffer = SampleBuffer()
        self._waiting: list[np.ndarray] = []

    def push(self, samples: np.ndarray) -> None:
        """Take samples."""
        self._buffer.add(samples)
        while (start := self._next()) + self.length <= self._buffer.stop:
            self._add(start, start + self.length)

    def finish(self) -> None:
        """Say that the recording ends."""
        total = self._buffer.stop
        covered = self.spans[-1][1] if self.spans else 0
        if total > covered:
            self._add(max(0, total - self.length), total)
        self._classify()

    def _next(self) -> int:
        return int(np.floor(len(self.spans) * self.step + 0.5))

    def _add(self, start: int, stop: int) -> None:
        # a last window may be moved back to any place behind the one before it
        before = self.spans[-1][0] if self.spans else 0
        first = min(before, start)
        self._waiting.append(self._buffer.take(first, stop)[start - first :].copy())
        self.spans.append((start, stop))
        if len(self._waiting) * self.length >= MOST_SAMPLES:
            self._classify()

    def _classify(self) -> None:
        if self._waiting:
            # a list: an array would have to be as long as that of fit
            self.proba.append(np.asarray(proba_of_tags(self.estimator, self._waiting)))
            self.heard = self._waiting[:1]
            self._waiting = []


def _classes(estimator: Any, has_tags: bool, all_classes: bool) -> list[Any]:
    """Classes or tags; refused where their columns would have the name of another."""
    classes = estimator.classes_
    if isinstance(classes, list):  # those of each tag
        return list(range(len(classes)))
    names = {str(label) for label in classes} if has_tags or all_classes else set()
    taken = names.intersection(COLUMNS[:3] if has_tags else COLUMNS)
    if taken:
        raise ValueError(
            f"A class is called {min(taken)!r}, as another column of the table is. "
            f"{'Rename the tag.' if has_tags else 'Take all_classes=False.'}"
        )
    return list(classes)


def _rows(
    name: Any, stream: Any, classes: list[Any], has_tags: bool, all_classes: bool
) -> Any:
    """Table of one recording."""
    import pandas as pd

    if stream is None:
        spans, proba = np.full((1, 2), np.nan), np.full((1, len(classes)), np.nan)
    else:
        spans = np.array(stream.spans) / stream.sr
        proba = np.concatenate(stream.proba)
    table = pd.DataFrame({"recording": name, "start": spans[:, 0], "end": spans[:, 1]})
    if not has_tags:
        best = proba.argmax(axis=1)
        labels = np.asarray(classes)[best]
        table["label"] = labels if stream is not None else None
        table["probability"] = proba.max(axis=1)
        if not all_classes:
            return table
    return table.join(pd.DataFrame(proba, columns=[str(label) for label in classes]))


def _has_tags(estimator: Any, heard: list[np.ndarray]) -> bool:
    """Whether the classes of a classifier are tags, of which a clip has any number.

    scikit-learn's have no attribute for it; their predictions have a column for each.
    """
    inner = unwrapped(estimator)
    target = getattr(inner, "_target", None)
    if target is not None:
        return type(target).__name__ == "TagIndicators"
    if hasattr(inner, "_has_tags"):
        return bool(inner._has_tags)
    if isinstance(estimator.classes_, list):
        return True
    if not heard or not hasattr(estimator, "predict"):
        return False
    return len(np.shape(estimator.predict(heard))) == 2
