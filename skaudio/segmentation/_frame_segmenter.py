"""`FrameSegmenter`: labels over time from any classifier of clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skaudio._audio._report import Report
from skaudio._utils._constraints import LOADER_CONSTRAINTS, NOT_NEGATIVE, POSITIVE, RATE
from skaudio._utils._container import stack_or_object
from skaudio._utils._segment_table import Segment, table_of
from skaudio._utils._sklearn import HasMethods, Interval, _fit_context
from skaudio._utils._validation import copy_features_in
from skaudio.segmentation._builder import SegmentBuilder
from skaudio.segmentation._recordings import (
    name_of,
    read_or_report,
    recordings_of,
)
from skaudio.segmentation._segment_stream import SegmentStream
from skaudio.segmentation._sources import (
    DEFAULT_WINDOW,
    OnePass,
    Windows,
    framing_of,
    is_one_pass,
    rate_for,
    unwrapped,
    view_of,
)
from skaudio.segmentation._stream import FrameSource, FrameStream


class FrameSegmenter(MetaEstimatorMixin, BaseEstimator):
    """Cut recordings of any length into segments with one label each.

    A classifier of clips says how probable every class is at every time, a median
    filter smooths these tracks, the most probable class is the label, and what has the
    same label is a segment, as in [1]_.

    Where the classifier labels frames (it has ``predict_frames_proba`` and
    ``frame_context``, as `SwishNetClassifier` and `FrameClassifier` do) and its
    Pipeline is a view, perhaps a `ViewScaler`, and the classifier, or it computes the
    view itself, a recording goes through both in one pass. Any other classifier of
    sound with ``predict_proba`` classifies a window around every frame. Recordings are
    read and computed in blocks, so that hours need no more memory than minutes; blocks
    change no result by more than rounding errors.

    Parameters
    ----------
    estimator : classifier or Pipeline
        Takes sound: waveforms or paths. ``FrozenEstimator(model)`` for one that is
        fitted; one that is not frozen is cloned, and fitted on clips.
    hop : float, default=0.01
        Seconds from one frame to the next. Of one pass, every time takes the frame of
        the view that is nearest.
    window : float or None, default=None
        Seconds around every frame that are classified as one clip. None is one pass
        where the classifier labels frames; otherwise as many as the clips of `fit` had,
        if they were an array, or 1 s. Near the ends of a recording windows are moved
        inside, and a shorter recording is one window.
    median : int, default=201
        Frames of the median filter of every probability track, an odd number: the
        paper's 200, and the frame in the middle. At the ends of a recording the first
        and the last frame are repeated. 1 is no filter.
    min_duration : float, default=0.0
        Seconds of the shortest segment. What is shorter joins the segment before it, or
        after it at the start of a recording.
    sr : float or None, default=None
        Sampling rate in Hz at which the estimator takes sound: files are resampled to
        it, arrays are taken to be at it. None is the rate of its view.
    block : float, default=10.0
        Seconds that are computed at a time. Shorter blocks take more time and less
        memory, and `stream` gives its segments earlier.
    on_error : {"raise", "warn", "nan"}, default="raise"
        Raise when a clip cannot be loaded, or keep its row as NaN, with or without a
        warning; `errors_` lists such rows.

    Attributes
    ----------
    estimator_ : classifier or Pipeline
        What computes the probabilities.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    latency_ : float
        Most seconds of sound from the end of a segment until `stream` gives it out: a
        block, what frames see behind them, half the median filter, and `min_duration`.
    sr_ : float
        Sampling rate in Hz at which the estimator takes sound.
    errors_ : list of dict
        ``{"row", "path", "error"}`` of each recording that failed in the last call.
    n_features_in_ : int
        That of the estimator, where it has one. Recordings may be of any length.

    See Also
    --------
    skaudio.datasets.make_recordings : Test recordings from labelled clips.
    skaudio.metrics.frame_accuracy : Compares segments with the truth.
    skaudio.neural_network.SwishNetClassifier : A network that labels frames.
    skaudio.ensemble.FrameClassifier : Classifies frames on their own.
    skaudio.inspection.SegmentationDisplay : Draws what is found.

    Notes
    -----
    Time ``t`` is around sample ``t * sr``; there are frames at 0, `hop`, 2 `hop` and so
    on, as long as they lie within the recording. A boundary lies half way between two
    frames. The segments of a recording follow each other without gaps, from 0 to its
    end. After the median filter probabilities are divided by their sum; ties go to the
    first of ``classes_``.

    A view that looks at a clip as a whole (``top_db``, ``trim_silence``, ``duration``,
    `CQTView`) cannot be computed in blocks: one pass refuses it, windows do not.

    References
    ----------
    .. [1] M. S. Hussain and M. A. Haque, "SwishNet: A Fast Convolutional Neural
       Network for Speech, Music and Noise Classification and Segmentation",
       arXiv:1812.00149, 2018 (section IV).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from skaudio.ensemble import FrameClassifier
    >>> from skaudio.segmentation import FrameSegmenter
    >>> from skaudio.views import MFCCView
    >>> y = np.repeat(["loud", "quiet"], 10)
    >>> noise = np.random.default_rng(0).normal(size=(20, 8000))
    >>> X = noise * np.where(y == "loud", 0.1, 0.01)[:, None]
    >>> view = MFCCView(sr=8000, hop_length=80, top_db=None)
    >>> model = make_pipeline(view, FrameClassifier(GaussianNB()))
    >>> segmenter = FrameSegmenter(model, median=51).fit(X, y)
    >>> recording = np.concatenate([X[0], X[1], X[-1], X[0]])
    >>> segmenter.predict([recording]).round(1)
       recording  start  end  label  probability
    0          0    0.0  2.0   loud          1.0
    1          0    2.0  3.0  quiet          1.0
    2          0    3.0  4.0   loud          1.0
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "hop": [POSITIVE],
        "window": [POSITIVE, None],
        "median": [Interval(Integral, 1, 100_001, closed="both")],
        "min_duration": [NOT_NEGATIVE],
        "sr": [RATE, None],
        "block": [Interval(Real, 0, 3600, closed="right")],
        "on_error": LOADER_CONSTRAINTS["on_error"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        hop: float = 0.01,
        window: float | None = None,
        median: int = 201,
        min_duration: float = 0.0,
        sr: float | None = None,
        block: float = 10.0,
        on_error: str = "raise",
    ) -> None:
        self.estimator = estimator
        self.hop = hop
        self.window = window
        self.median = median
        self.min_duration = min_duration
        self.sr = sr
        self.block = block
        self.on_error = on_error

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X=None, y=None, **fit_params):
        """Train a copy of the estimator on clips, unless it is frozen.

        Parameters
        ----------
        X : whatever the estimator takes, default=None
            Clips. A frozen estimator needs none.
        y : array-like of shape (n_clips,), default=None
            Class label of each clip.
        **fit_params : dict
            Passed to ``fit`` of the estimator, such as ``groups``.

        Returns
        -------
        self : object
            The fitted segmenter.
        """
        is_frozen = isinstance(self.estimator, FrozenEstimator)
        if y is None and not is_frozen:
            raise ValueError(
                "FrameSegmenter trains a copy of its estimator, which requires y to be "
                "passed, but the target y is None. To use a trained one as it is, pass "
                "FrozenEstimator(estimator)."
            )
        self._check(self.estimator)  # before a long training
        self.estimator_ = clone(self.estimator)
        self.estimator_.fit(X, y, **fit_params)
        self.classes_ = _classes_of(self.estimator_)
        self._check(self.estimator_)
        self.errors_: list[dict[str, Any]] = []
        copy_features_in(self.estimator_, self)
        return self

    @property
    def latency_(self) -> float:
        """Most seconds of sound from the end of a segment until it is given out."""
        self._check_fitted()
        source, sr = self._source(self.estimator_)
        behind = (source.block * source.step + source.lookahead) / sr
        return behind + (self.median // 2 + 1.5) * self.hop + self.min_duration

    @property
    def sr_(self) -> float:
        """Sampling rate in Hz at which the estimator takes sound."""
        self._check_fitted()
        return self._rate(self.estimator_)

    def predict(self, X):
        """Cut recordings into segments.

        Parameters
        ----------
        X : list of str or path-like, array of shape (n_recordings, n_samples), or \
                list of arrays (n_samples_i,) or (n_channels_i, n_samples_i)
            Recordings, as every view takes clips.

        Returns
        -------
        segments : DataFrame
            Columns ``recording`` (the path, or the number of the row of X), ``start``
            and ``end`` in seconds, ``label``, and ``probability``, the mean of that
            label over the frames of the segment. A recording that could not be loaded
            has one row, without numbers and label.
        """
        found: list[Segment] = []
        for name, builder in self._run(X, self._builder):
            if builder is None:
                found.append(Segment(name, np.nan, np.nan, None, np.nan))
            else:
                found += builder.segments
        return table_of(found)

    def predict_frames_proba(self, X):
        """Compute the smoothed probability of every class over time.

        Parameters
        ----------
        X : list of str or path-like, array of shape (n_recordings, n_samples), or \
                list of arrays (n_samples_i,) or (n_channels_i, n_samples_i)
            Recordings, as every view takes clips.

        Returns
        -------
        proba : ndarray of shape (n_recordings, n_classes, n_frames)
            Class probabilities after the median filter, in the order of ``classes_``.
            Or, if recordings differ in length, a 1-D object array of `n_recordings`
            arrays (n_classes, n_frames_i). One frame of NaN where a recording could not
            be loaded.
        timestamps : ndarray of shape (n_recordings, n_frames)
            Seconds from the start of a recording to the frames; a 1-D object array if
            recordings differ in length.
        """
        tracks = []
        for _, collected in self._run(X, _Tracks):
            failed = np.full((len(self.classes_), 1), np.nan)
            tracks.append(failed if collected is None else collected.proba())
        times = [np.arange(track.shape[1]) * self.hop for track in tracks]
        return stack_or_object(tracks), stack_or_object(times)

    def predict_frames(self, X):
        """Predict the label of every frame, that of its segment.

        Parameters
        ----------
        X : list of str or path-like, array of shape (n_recordings, n_samples), or \
                list of arrays (n_samples_i,) or (n_channels_i, n_samples_i)
            Recordings, as every view takes clips.

        Returns
        -------
        labels : ndarray of shape (n_recordings, n_frames)
            Labels; a 1-D object array of arrays (n_frames_i,) if recordings differ in
            length. One None where a recording could not be loaded.
        timestamps : ndarray of shape (n_recordings, n_frames)
            Seconds from the start of a recording to the frames; a 1-D object array if
            recordings differ in length.
        """
        labels, times = [], []
        for _, builder in self._run(X, self._builder):
            if builder is None:
                labels.append(np.array([None]))
                times.append(np.zeros(1))
                continue
            seconds = np.arange(builder.n_frames) * self.hop
            starts = [segment.start for segment in builder.segments]
            place = np.searchsorted(starts, seconds, side="right") - 1
            of_segments = np.array([segment.label for segment in builder.segments])
            labels.append(of_segments[place])
            times.append(seconds)
        return stack_or_object(labels), stack_or_object(times)

    def stream(self, *, sr=None, recording=0):
        """Cut a recording into segments while it comes.

        Parameters
        ----------
        sr : float or None, default=None
            Sampling rate of the blocks in Hz, from which they are resampled; None is
            the rate at which the estimator takes sound.
        recording : object, default=0
            What stands in the column ``recording``.

        Returns
        -------
        stream : SegmentStream
            Its ``push(block)`` takes samples and gives finished segments, its
            ``flush()`` ends the recording.
        """
        self._check_fitted()
        builder = self._builder(recording)
        frames, mono = self._stream_into(builder)
        return SegmentStream(
            frames,
            builder,
            sr=frames.sr if sr is None else sr,
            mono=mono,
            latency=self.latency_,
        )

    def _check_fitted(self) -> None:
        check_is_fitted(
            self,
            msg="This %(name)s instance is not fitted yet. Call fit(X, y); if its "
            "estimator is fitted, FrameSegmenter(FrozenEstimator(estimator)).fit().",
        )

    def _builder(self, recording: Any) -> SegmentBuilder:
        return SegmentBuilder(recording, self.classes_, self.hop, self.min_duration)

    def _run(
        self, X: Any, collector: Callable[[Any], Any]
    ) -> Iterator[tuple[Any, Any]]:
        """Every recording, and what took its probabilities: None if it failed."""
        self._check_fitted()
        items, report = recordings_of(self, X), Report()
        for row, item in enumerate(items):
            collected = collector(name_of(item, row))
            stream, mono = self._stream_into(collected)
            there = read_or_report(item, row, stream, mono, report, self.on_error)
            yield name_of(item, row), collected if there else None
        report.close(self, len(items), self.on_error)

    def _stream_into(self, collector: Any) -> tuple[FrameStream, str]:
        """What computes the probabilities of one recording, and what of channels."""
        source, sr = self._source(self.estimator_)
        stream = FrameStream(
            source,
            collector,
            n_classes=len(self.classes_),
            sr=sr,
            hop=self.hop,
            median=self.median,
        )
        view, _ = view_of(self.estimator_)
        return stream, getattr(view, "mono", "average")

    def _source(self, model: Any) -> tuple[FrameSource, float]:
        """What computes frames, and its sampling rate."""
        sr, window = self._check(model)
        if window is None:
            return OnePass(model, self.block), sr
        options = {"sr": sr, "hop": self.hop, "window": window, "block": self.block}
        return Windows(model, **options), sr

    def _check(self, model: Any) -> tuple[float, float | None]:
        """Sampling rate, and seconds of windows or None, if all fits together."""
        self._validate_params()
        if self.median % 2 == 0:
            raise ValueError(
                f"median={self.median} is even: the filter has no frame in its middle. "
                f"Set median={self.median + 1}."
            )
        sr = self._rate(model)
        view, _ = view_of(model)
        if self.window is None and view is not None and is_one_pass(model):
            framing_of(view)
            return sr, None
        n_samples = getattr(model, "n_features_in_", None)
        usual = DEFAULT_WINDOW if n_samples is None else n_samples / sr
        return sr, self._window(view, usual)

    def _rate(self, model: Any) -> float:
        return rate_for(model, self.sr)

    def _window(self, view: Any, usual: float) -> float:
        """Seconds of a window."""
        duration = getattr(view, "duration", None)
        if self.window is None:
            return float(duration or usual)
        if duration is not None and duration < self.window:
            raise ValueError(
                f"window={self.window:g} is longer than duration={duration:g} of "
                f"{type(view).__name__}, which would look at its start only. Set "
                f"window={duration:g}."
            )
        return self.window

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # recordings of any length make no table, nor do segments
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.target_tags.required = not isinstance(self.estimator, FrozenEstimator)
        return tags


class _Tracks:
    """Probabilities of one recording."""

    def __init__(self, recording: Any) -> None:
        self.parts: list[np.ndarray] = []

    def push(self, proba: np.ndarray) -> None:
        self.parts.append(proba)

    def finish(self, duration: float) -> None:
        """Nothing follows."""

    def proba(self) -> np.ndarray:
        return np.concatenate(self.parts, axis=1)


def _classes_of(model: Any) -> np.ndarray:
    """Labels of a classifier of one label per clip."""
    classes = getattr(model, "classes_", None)
    if classes is None or getattr(classes, "ndim", 1) != 1 or isinstance(classes, list):
        raise ValueError(
            f"{type(unwrapped(model)).__name__} has no array classes_ of labels: "
            "FrameSegmenter needs a classifier that gives every clip one label."
        )
    return np.asarray(classes)
