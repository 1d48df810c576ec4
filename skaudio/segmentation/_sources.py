"""Where frame probabilities come from: one pass over the sound, or windows of it.

Both compute frames of a recording from a piece of it, so that no more of a long
recording is in memory than a piece, and the result does not depend on the pieces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skaudio._utils._sklearn import BaseSearchCV
from skaudio.preprocessing._loader import AudioLoader
from skaudio.preprocessing._view_scaler import ViewScaler
from skaudio.preprocessing._waveforms import WaveformTransformer
from skaudio.segmentation._stream import FrameSource, SoundError, n_frames_of
from skaudio.views._base import BaseView, ViewSource

DEFAULT_WINDOW = 1.0  # seconds
WAVEFORMS = AudioLoader, WaveformTransformer
MOST_SAMPLES = 2**22  # of windows that are classified in one call


def unwrapped(model: Any) -> Any:
    """What predicts in a model: without freezing, or the best that a search found."""
    while True:
        if isinstance(model, FrozenEstimator):
            model = model.estimator
        elif isinstance(model, BaseSearchCV):
            model = getattr(model, "best_estimator_", model.estimator)
        elif _trained_by(model) is not None:
            model = _trained_by(model)
        else:
            return model


def _trained_by(model: Any) -> Any:
    """What a meta-estimator of networks trained, and predicts with."""
    if not type(model).__module__.startswith("skaudio.neural_network."):
        return None
    return getattr(model, "student_", getattr(model, "estimator_", None))


def steps_of(model: Any) -> list[Any]:
    """Steps of a model, unwrapped, those of pipelines in pipelines one by one."""
    model = unwrapped(model)
    if not isinstance(model, Pipeline):
        return [] if model is None or isinstance(model, str) else [model]
    return [part for _, step in model.steps for part in steps_of(step)]


@dataclass(frozen=True)
class Framing:
    """Where the frames of a view lie, in samples."""

    hop: int
    reach: int  # before and after a frame that it can see
    centre: float  # of the first frame
    shortest: int  # that a view can be computed of


def view_of(model: Any) -> tuple[BaseView | None, list[Any]]:
    """The one view that a model computes of sound, and what comes after it.

    None where sound goes through anything else first, or there are several views.
    """
    steps = steps_of(model)
    if len(steps) > 1 and isinstance(steps[0], AudioLoader):
        steps = steps[1:]
    views = _views_of(steps[0])
    return (views[0] if len(views) == 1 else None), steps


def _views_of(step: Any) -> list[BaseView]:
    """Views that a step computes of sound, or a network that takes sound."""
    if not isinstance(step, ViewSource):
        step = getattr(getattr(step, "_trained", step), "_source", None)
    return list(step._named_views().values()) if isinstance(step, ViewSource) else []


def rate_of(model: Any) -> float | None:
    """Sampling rate in Hz of the sound that a model takes, where it says so."""
    first = next(iter(steps_of(model)), None)
    views = _views_of(first)
    rate = views[0].sr if views else getattr(first, "sr", None)
    if isinstance(rate, Real):
        return float(rate)
    # of a meta-estimator: what it has fitted, or is to fit
    names = ("student_", "estimator_", "student", "estimator")
    inner = next((getattr(first, n) for n in names if hasattr(first, n)), None)
    return None if inner is None else rate_of(inner)


def rate_for(model: Any, sr: float | None) -> float:
    """Sampling rate in Hz at which a model takes sound: its own, or ``sr``."""
    known = rate_of(model)
    rate = known if sr is None else sr
    if rate is None:
        raise ValueError(
            f"The estimator, {type(unwrapped(model)).__name__}, does not say at "
            "which sampling rate it takes sound. Set sr."
        )
    if known is not None and known != rate:
        raise ValueError(
            f"sr={rate:g}, but the estimator takes sound at {known:g} Hz. Set sr=None."
        )
    return float(rate)


def is_one_pass(model: Any) -> bool:
    """Whether a model labels all frames of a recording at once.

    Its last step has ``predict_frames_proba`` and says what a frame depends on, and
    all that comes before it is one view, and its scaler.
    """
    view, steps = view_of(model)
    last = steps[-1]
    return (
        view is not None
        and hasattr(last, "predict_frames_proba")
        # before fit a property may have no value yet
        and (hasattr(last, "frame_context") or hasattr(type(last), "frame_context"))
        and all(isinstance(step, ViewScaler) for step in steps[1:-1])
    )


def framing_of(view: BaseView) -> Framing:
    """Where the frames of a view lie; refuse views that need the whole clip."""
    module = view._front_end("float32", "cpu")
    name = type(view).__name__
    alike = {
        "trim_silence": (False, "drops the silence at its ends"),
        "duration": (None, "crops it"),
        "min_duration": (0, "lengthens it"),
    }
    for parameter, (neutral, what) in alike.items():
        value = getattr(view, parameter, neutral)
        if value != neutral:
            raise ValueError(_refusal(name, parameter, value, what, neutral))
    if module is not None and module.decibels is not None:
        what = "counts from its maximum"
        raise ValueError(
            _refusal(name, "top_db", getattr(view, "top_db", None), what, None)
        )
    if getattr(view, "pad_mode", "") == "wrap":
        what = "joins its end to its beginning"
        raise ValueError(_refusal(name, "pad_mode", "wrap", what, "constant"))
    if module is not None and not module.is_local:
        raise ValueError(
            f"{name} computes all frames of a clip together: in blocks, as a long "
            "recording is computed, they would differ. Set window (in seconds) to "
            "classify windows of the recording as clips, or take another view."
        )
    hop = round(view.sr / view.rate)
    reach, first = (0, 0.0) if module is None else (module.reach, module.centre)
    # and a hop at least: what is nearest to a frame then lies within the recording
    return Framing(hop, max(reach, hop), first, view._shortest)


def _refusal(name: str, parameter: str, value: Any, what: str, neutral: Any) -> str:
    return (
        f"{name}({parameter}={value!r}) looks at a clip as a whole: it {what}. A long "
        f"recording is computed in blocks: set {parameter}={neutral!r} and fit again, "
        "or set window (in seconds) to classify windows of the recording as clips."
    )


def _transformed(steps: list[Any], X: Any) -> Any:
    """Clips of any length through the steps before a classifier."""
    for step in steps:
        X = step.transform(X)
        # an array would have to be as long as that of fit
        X = list(X) if isinstance(step, WAVEFORMS) else X
    return X


class OnePass(FrameSource):
    """Frames of a view, through a classifier of frames.

    Parameters
    ----------
    model : estimator
        Fitted, with ``is_one_pass(model)``.
    block : float
        Seconds that are computed at a time.
    """

    def __init__(self, model: Any, block: float) -> None:
        view, steps = view_of(model)
        assert view is not None
        self.framing = framing_of(view)
        self.classifier = steps[-1]
        self.steps = steps_of(model)[:-1]
        self.before, self.after = self.classifier.frame_context
        self.step = self.framing.hop
        self.centre = self.framing.centre
        self.block = max(1, round(block * view.rate))

    def span(self, first: int, stop: int, total: int | None) -> tuple[int, int]:
        """See `FrameSource`."""
        hop, reach = self.framing.hop, self.framing.reach
        margin = math.ceil(reach / hop) * hop  # pieces start on the grid of frames
        begin = max(0, (first - self.before) * hop - margin)
        end = (stop - 1 + self.after) * hop + reach + 1
        return begin, end if total is None else min(end, total)

    def proba(
        self, piece: np.ndarray, begin: int, first: int, stop: int, total: int | None
    ) -> np.ndarray:
        """See `FrameSource`."""
        missing = self.framing.shortest - len(piece)
        X: Any = [np.pad(piece, (0, missing)) if missing > 0 else piece]
        try:
            X = _transformed(self.steps, X)
        except ValueError as error:
            raise SoundError(str(error)) from error
        proba, _ = self.classifier.predict_frames_proba(X)
        offset = begin // self.framing.hop
        found: np.ndarray = proba[0][:, first - offset : stop - offset]
        return found

    @property
    def lookahead(self) -> float:
        """See `FrameSource`."""
        return self.after * self.framing.hop + self.framing.reach


class Windows(FrameSource):
    """Windows around frames, through any classifier of clips.

    Parameters
    ----------
    model : estimator
        Fitted, with ``predict_proba``.
    sr, hop, window : float
        Sampling rate in Hz; seconds from frame to frame, and of a window.
    block : float
        Seconds that are computed at a time.
    """

    centre = 0.0

    def __init__(
        self, model: Any, *, sr: float, hop: float, window: float, block: float
    ) -> None:
        *self.steps, self.classifier = steps_of(model)
        self.step = hop * sr
        self.length = max(1, round(window * sr))
        self.block = max(1, round(block / hop))

    def _starts(self, first: int, stop: int, total: int | None) -> np.ndarray:
        frames = np.arange(first, stop)
        starts = np.floor(frames * self.step + 0.5).astype(np.int64) - self.length // 2
        last = np.iinfo(np.int64).max if total is None else max(0, total - self.length)
        return np.clip(starts, 0, last)

    def span(self, first: int, stop: int, total: int | None) -> tuple[int, int]:
        """See `FrameSource`."""
        begin, last = self._starts(first, stop, total)[[0, -1]]
        end = int(last) + self.length
        return int(begin), end if total is None else min(end, total)

    def proba(
        self, piece: np.ndarray, begin: int, first: int, stop: int, total: int | None
    ) -> np.ndarray:
        """See `FrameSource`."""
        if total is not None:
            stop = min(stop, n_frames_of(total, self.step))
        if first >= stop:
            return np.empty((len(self.classifier.classes_), 0))
        starts = self._starts(first, stop, total) - begin
        # frames near a border share a window
        unique, place = np.unique(starts, return_inverse=True)
        windows = sliding_window_view(piece, min(self.length, len(piece)))
        n = max(1, MOST_SAMPLES // self.length)
        found = [
            self._proba_of(list(windows[unique[i : i + n]]))
            for i in range(0, len(unique), n)
        ]
        proba: np.ndarray = np.concatenate(found)[place].T
        return proba

    def _proba_of(self, clips: list[np.ndarray]) -> Any:
        return self.classifier.predict_proba(_transformed(self.steps, clips))

    @property
    def lookahead(self) -> float:
        """See `FrameSource`."""
        return self.length - self.length // 2
