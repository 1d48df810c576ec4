"""A recording and its segments over time, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skaudio._utils._optional import import_optional
from skaudio._utils._segment_table import check_segments
from skaudio.inspection._legends import short
from skaudio.inspection._palette import COLORS
from skaudio.views._mel import MelView

METHODS = ("predict", "predict_frames_proba")
N_MELS = 64
MOST_COLUMNS = 4000  # of an image: more are averaged
UNKNOWN = "0.82"  # grey: a label of the truth that is no class, such as silence
SHOWN = 0.012  # share of the width that a segment needs per letter of its label
ROWS = ("found", "truth")
MOST_NAMED = 12  # classes in the legend: those that are likeliest somewhere


class SegmentationDisplay:
    """Spectrogram, probabilities and segments of a recording, one below the other.

    The truth, if there is any, stands below what was found; labels of it that are no
    classes, such as silence, are grey.

    Use :meth:`from_estimator` or :meth:`from_segments` to make one.

    Parameters
    ----------
    segments : DataFrame
        What was found: columns ``start`` and ``end`` in seconds, and ``label``.
    spectrogram : ndarray of shape (n_bins, n_frames)
        In decibels.
    frame_rate : float
        Frames of the spectrogram per second.
    proba : ndarray of shape (n_classes, n_times) or None, default=None
        Probability of every class over time.
    timestamps : ndarray of shape (n_times,) or None, default=None
        Seconds of the probabilities.
    classes : sequence of length n_classes or None, default=None
        Their labels; None takes those of the segments.
    truth : DataFrame or None, default=None
        What is right, as `segments`.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (2,) or (3,)
        Axes of the spectrogram, of the probabilities, if there are any, and of the
        segments.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    skaudio.segmentation.FrameSegmenter : Finds what is drawn here.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skaudio.inspection import SegmentationDisplay
    >>> found = pd.DataFrame({"start": [0, 1], "end": [1, 2], "label": ["a", "b"]})
    >>> noise = np.random.default_rng(0).normal(size=16000)
    >>> display = SegmentationDisplay.from_segments(found, noise, sr=8000)
    >>> display.axes_.shape, display.spectrogram.shape
    ((2,), (64, 101))
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        segments: Any,
        spectrogram: np.ndarray,
        frame_rate: float,
        proba: np.ndarray | None = None,
        timestamps: np.ndarray | None = None,
        classes: Sequence[Any] | None = None,
        truth: Any = None,
    ) -> None:
        self.segments = segments
        self.spectrogram = spectrogram
        self.frame_rate = frame_rate
        self.proba = proba
        self.timestamps = timestamps
        self.classes = classes
        self.truth = truth

    @classmethod
    def from_estimator(
        cls, segmenter: Any, recording: Any, *, truth: Any = None, axes: Any = None
    ) -> SegmentationDisplay:
        """Cut a recording into segments and draw them.

        Parameters
        ----------
        segmenter : FrameSegmenter
            Fitted.
        recording : path, or ndarray of shape (n_samples,) or (n_channels, n_samples)
            One recording, as a row of X: an array is taken to be at the segmenter's
            rate.
        truth : DataFrame, default=None
            Columns ``start``, ``end`` and ``label`` of this recording.
        axes : sequence of 3 matplotlib Axes, default=None
            Where to draw, one for each panel. ``None`` makes a figure.

        Returns
        -------
        SegmentationDisplay
            The display, drawn.
        """
        missing = [name for name in METHODS if not hasattr(segmenter, name)]
        if missing:
            raise TypeError(
                "SegmentationDisplay.from_estimator needs a FrameSegmenter; "
                f"{type(segmenter).__name__} has no {missing[0]}. Tables that you have "
                "go to SegmentationDisplay.from_segments."
            )
        check_is_fitted(segmenter)
        proba, timestamps = segmenter.predict_frames_proba([recording])
        spectrogram, rate = _mel(recording, segmenter.sr_)
        display = cls(
            segments=segmenter.predict([recording]),
            spectrogram=spectrogram,
            frame_rate=rate,
            proba=proba[0],
            timestamps=timestamps[0],
            classes=segmenter.classes_,
            truth=truth,
        )
        return display.plot(axes=axes)

    @classmethod
    def from_segments(
        cls,
        segments: Any,
        recording: Any,
        *,
        sr: float,
        truth: Any = None,
        axes: Any = None,
    ) -> SegmentationDisplay:
        """Draw segments of any origin, such as a label file.

        Parameters
        ----------
        segments : DataFrame
            Columns ``start``, ``end`` and ``label`` of one recording.
        recording : path, or ndarray of shape (n_samples,) or (n_channels, n_samples)
            The recording.
        sr : float
            Sampling rate in Hz of an array; a file is resampled to it.
        truth : DataFrame, default=None
            What is right, in the same form.
        axes : sequence of 2 matplotlib Axes, default=None
            Where to draw, one for each panel. ``None`` makes a figure.

        Returns
        -------
        SegmentationDisplay
            The display, drawn.
        """
        spectrogram, rate = _mel(recording, sr)
        display = cls(
            segments=segments, spectrogram=spectrogram, frame_rate=rate, truth=truth
        )
        return display.plot(axes=axes)

    def plot(self, *, axes: Any = None, cmap: str = "magma") -> SegmentationDisplay:
        """Draw the panels.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each panel. ``None`` makes a figure.
        cmap : str, default="magma"
            Colours of the spectrogram, by default from black to light in even steps of
            lightness.

        Returns
        -------
        SegmentationDisplay
            The display itself.
        """
        found = _one_recording(self.segments, "segments")
        truth = None if self.truth is None else _one_recording(self.truth, "truth")
        classes = self._classes(found)
        self._set_axes(axes, n_rows=1 if truth is None else 2)
        end = self.spectrogram.shape[1] / self.frame_rate
        end = max([end, *found["end"], *(truth["end"] if truth is not None else [])])
        self._plot_spectrogram(self.axes_[0], cmap)
        colors = {label: _color(i) for i, label in enumerate(classes)}
        if self.proba is not None:
            self._plot_proba(self.axes_[1], colors)
        ax = self.axes_[-1]
        tables = [found] if truth is None else [found, truth]
        for row, table in enumerate(tables):
            _draw_segments(ax, table, row, colors, end)
        ax.set_yticks(range(len(tables)), ROWS[: len(tables)])
        ax.set_ylim(len(tables) - 0.5, -0.5)
        ax.set_xlabel("time (s)")
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        for panel in self.axes_:
            panel.set_xlim(0, end)
        return self

    def _classes(self, found: Any) -> list[Any]:
        if self.classes is not None:
            return list(self.classes)
        return list(dict.fromkeys(found["label"]))

    def _plot_spectrogram(self, ax: Any, cmap: str) -> None:
        image = _averaged(np.asarray(self.spectrogram))
        n_bins, n_frames = self.spectrogram.shape
        ax.imshow(
            image,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap=cmap,
            extent=(0, n_frames / self.frame_rate, 0, n_bins),
        )
        ax.set_ylabel("mel band")

    def _plot_proba(self, ax: Any, colors: dict[Any, Any]) -> None:
        proba, times = np.asarray(self.proba), np.asarray(self.timestamps)
        if proba.shape != (len(colors), len(times)):
            raise ValueError(
                f"proba has shape {proba.shape}; expected one row for each of "
                f"{len(colors)} classes, and one column for each of {len(times)} times."
            )
        likeliest = np.argsort(-proba.max(axis=1, initial=0), kind="stable")
        named = {int(i) for i in likeliest[:MOST_NAMED]}
        for i, (track, (label, color)) in enumerate(
            zip(proba, colors.items(), strict=True)
        ):
            text = (
                short(str(label), 14) if i in named else "_"
            )  # kept out of the legend
            ax.plot(times, track, color=color, lw=1.5, label=text)
        ax.set_ylim(-0.02, 1.02)
        ax.set_ylabel("probability")
        ax.grid(axis="y", color="0.9")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderaxespad=0.2,
            ncols=min(len(colors), MOST_NAMED // 2),
            fontsize="small",
            frameon=False,
        )

    def _set_axes(self, axes: Any, n_rows: int) -> None:
        pyplot = import_optional(
            "matplotlib.pyplot", extra="plot", purpose="SegmentationDisplay"
        )
        heights = [2.4, 1.8, 0.45 * n_rows + 0.25]
        if self.proba is None:
            del heights[1]
        if axes is None:
            _, axes = pyplot.subplots(
                len(heights),
                figsize=(10, sum(heights) + 0.8),
                height_ratios=heights,
                sharex=True,
                layout="constrained",
            )
        self.axes_ = np.asarray(axes, dtype=object).ravel()
        if len(self.axes_) != len(heights):
            raise ValueError(
                f"axes must be {len(heights)} Axes; got {len(self.axes_)}."
            )
        self.figure_ = self.axes_[0].figure


def _mel(recording: Any, sr: float) -> tuple[np.ndarray, float]:
    """Mel spectrogram of one recording, and its frames per second."""
    view = MelView(sr=sr, n_mels=N_MELS)
    return view.transform([recording])[0], view.rate


def _one_recording(table: Any, name: str) -> Any:
    table = check_segments(table, name)
    recordings = table["recording"].unique().tolist()
    if len(recordings) > 1:
        raise ValueError(
            f"{name} has {len(recordings)} recordings; one is drawn. Select it: "
            f"{name}[{name}['recording'] == {recordings[0]!r}]."
        )
    return table


def _averaged(image: np.ndarray) -> np.ndarray:
    """Fewer columns, where there are more than can be seen."""
    n = -(-image.shape[1] // MOST_COLUMNS)
    if n == 1:
        return image
    starts = np.arange(0, image.shape[1], n)
    counts = np.diff([*starts, image.shape[1]])
    means: np.ndarray = np.add.reduceat(image, starts, axis=1) / counts
    return means


def _color(place: int) -> Any:
    return COLORS[place] if place < len(COLORS) else f"C{place % 10}"


def _draw_segments(
    ax: Any, table: Any, row: int, colors: dict[Any, Any], end: float
) -> None:
    for segment in table.itertuples():
        color = colors.get(segment.label, UNKNOWN)
        width = segment.end - segment.start
        ax.barh(
            row,
            width,
            left=segment.start,
            height=0.8,
            color=color,
            edgecolor="white",
            linewidth=0.8,
        )
        text = str(segment.label)
        if width > SHOWN * end * (len(text) + 1):
            dark = color == UNKNOWN
            ax.text(
                segment.start + width / 2,
                row,
                text,
                ha="center",
                va="center",
                fontsize="small",
                color="black" if dark else "white",
                clip_on=True,
            )
