"""A view as a picture: its rows in Hz, its columns in seconds, its values in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skaudio.inspection._palette import COLORS

MOST_COLUMNS = 2000  # more than a screen has
TICKS = np.outer(10.0 ** np.arange(1, 6), (1, 2, 5)).ravel()  # Hz
COEFFICIENT = "coefficient"
MARGIN = 0.06  # of the axis, between ticks
RANGE = 80.0  # dB below the maximum that are drawn of a linear scale


# ------------------------------------------------------------------ what rows are
def words_of(view: Any, n_bins: int) -> tuple[str, str]:
    """What rows of a view are, and what values are, for the labels of a picture."""
    if n_bins == 1:
        return "amplitude", "amplitude"
    if view.kind == "mfcc":
        return COEFFICIENT, "value"
    rows = "band" if view.frequencies is None else "frequency (Hz)"
    name = _scale_of(view)
    if name == "log1p":
        what = {1: "magnitude", 2: "power"}.get(view.power, f"magnitude^{view.power:g}")
        return rows, f"log(1 + 10 x {what})"
    return rows, "level (dB)" if name in ("db", "log", "linear") else "value"


def _scale_of(view: Any) -> str | None:
    is_spectrum = view.frequencies is not None and hasattr(view, "power")
    scale = getattr(view, "scale", None) if is_spectrum else None
    return scale[0] if isinstance(scale, tuple) else scale


def in_decibels(view: Any, values: np.ndarray) -> np.ndarray:
    """Values of a spectrogram in dB, of whatever scale but ``log1p`` it is."""
    name = _scale_of(view)
    if name == "log":
        return values * (20 / (view.power * np.log(10)))
    if name != "linear":
        return values
    top = max(float(values.max()), np.finfo(np.float32).tiny)
    levels = np.log10(np.maximum(values, top * 10 ** (-RANGE * view.power / 20)))
    decibels: np.ndarray = levels * (20 / view.power)
    return decibels


# ------------------------------------------------------------------------- pictures
@dataclass(frozen=True)
class Picture:
    """A view of one clip, and what its axes are.

    Parameters
    ----------
    values : ndarray of shape (n_bins, n_frames)
        The view.
    rate : float or None
        Frames per second; None: frames are numbered.
    frequencies : ndarray of shape (n_bins,) or None, default=None
        Centre of every row in Hz, ascending; None: rows are numbered.
    start : float, default=0.0
        Seconds from the beginning of the clip to the middle of the first frame.
    rows, unit : str
        What rows and values are.
    """

    values: np.ndarray
    rate: float | None
    frequencies: np.ndarray | None = None
    start: float = 0.0
    rows: str = "band"
    unit: str = "value"

    @classmethod
    def of(cls, view: Any, values: np.ndarray) -> Picture:
        """Picture of what a view has computed, levels in dB."""
        rows, unit = words_of(view, len(values))
        front_end = view._front_end("float32", "cpu") if view.has_front_end else None
        start = getattr(front_end, "centre", 0.0) / view.sr
        values = in_decibels(view, np.asarray(values))
        known = view.frequencies
        frequencies = None if known is None else np.asarray(known, dtype=float)
        return cls(values, view.rate, frequencies, start, rows, unit)

    @property
    def is_waveform(self) -> bool:
        """Whether there is one row, whose values are drawn upwards."""
        return len(self.values) == 1

    @property
    def times(self) -> np.ndarray:
        """Middle of every frame in seconds, or its number."""
        return self.start + np.arange(self.values.shape[1]) / (self.rate or 1.0)

    @property
    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Where columns and rows begin and end, one more of each than there are."""
        n_bins, n_frames = self.values.shape
        columns = self.start + (np.arange(n_frames + 1) - 0.5) / (self.rate or 1.0)
        places = np.arange(n_bins + 1) - 0.5
        centres = self._centres
        return columns, places if centres is None else to_hertz(centres)(places)

    @property
    def _centres(self) -> np.ndarray | None:
        """Frequencies that an axis can be made of."""
        known = self.frequencies
        if known is None or len(known) != len(self.values) or len(known) < 2:
            return None
        return known if (np.diff(known) > 0).all() else None

    def draw(
        self, ax: Any, cmap: str = "magma", *, color: str = COLORS[0], **limits: Any
    ) -> Any:
        """Draw into axes; the picture, or None for the line of a waveform."""
        ax.set_xlabel("frame" if self.rate is None else "time (s)")
        is_numbered = self.frequencies is not None and self._centres is None
        ax.set_ylabel("band" if is_numbered else self.rows)
        if self.is_waveform:
            self._draw_line(ax, color)
            return None
        columns, rows = self.edges
        n = -(-self.values.shape[1] // MOST_COLUMNS)
        values = self.values if n == 1 else _means(self.values, n)
        columns = columns if n == 1 else np.append(columns[:-1:n], columns[-1])
        if self.rows == COEFFICIENT and not limits:  # the first one is far from others
            least, largest = np.percentile(values[1:], (1, 99))
            limits = {"vmin": least, "vmax": largest}
        image = ax.pcolormesh(columns, rows, values, cmap=cmap, **limits)
        image.set_rasterized(True)
        self.set_row_axis(ax)
        return image

    def set_row_axis(self, ax: Any) -> None:
        """Give all rows the same height, and ticks at round numbers."""
        _, rows = self.edges
        centres = self._centres
        if centres is None:
            ax.yaxis.get_major_locator().set_params(integer=True)
        else:
            functions = to_place(centres), to_hertz(centres)
            ax.set_yscale("function", functions=functions)
            ticks = _ticks(centres)
            ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
            ax.set_yticks([], minor=True)
        ax.set_ylim(rows[0], rows[-1])

    def _draw_line(self, ax: Any, color: str) -> None:
        samples, times = self.values[0], self.times
        n = -(-len(samples) // MOST_COLUMNS)
        if n == 1:
            ax.plot(times, samples, lw=0.8, color=color)
        else:  # between the least and the largest of neighbouring samples
            starts = np.arange(0, len(samples), n)
            low = np.minimum.reduceat(samples, starts)
            high = np.maximum.reduceat(samples, starts)
            ax.fill_between(times[starts], low, high, lw=0.5, color=color)
        ax.margins(x=0)


def to_place(centres: np.ndarray) -> Any:
    """From Hz to the number of a row, 0 in the middle of the lowest."""
    places = np.arange(len(centres), dtype=float)
    return lambda hertz: _lines(hertz, centres, places)


def to_hertz(centres: np.ndarray) -> Any:
    """From the number of a row to Hz."""
    places = np.arange(len(centres), dtype=float)
    return lambda place: _lines(place, places, centres)


def _lines(x: Any, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Straight lines between points, which go on beyond the first and the last."""
    x = np.asarray(x, dtype=float)
    left = np.clip(np.searchsorted(known, x) - 1, 0, len(known) - 2)
    slope = (values[left + 1] - values[left]) / (known[left + 1] - known[left])
    lines: np.ndarray = values[left] + (x - known[left]) * slope
    return lines


def _ticks(centres: np.ndarray) -> np.ndarray:
    """Round frequencies on the axis that are not too close, 1000 Hz and so on first."""
    place = to_place(centres)
    low, high = to_hertz(centres)(np.array([-0.5, len(centres) - 0.5]))
    if np.allclose(np.diff(centres), centres[1] - centres[0]):
        step = 10 ** np.floor(np.log10((high - low) / 2))
        step *= next(k for k in (2, 1, 0.5, 0.2) if (high - low) / (k * step) >= 4)
        return np.arange(int(np.ceil(low / step)), int(high / step) + 1) * step
    inside = TICKS[(low <= TICKS) & (high >= TICKS)]
    first = sorted(inside, key=lambda tick: not np.log10(tick).is_integer())
    kept: list[float] = []
    for tick in first:
        distances = [abs(place(tick) - place(other)) for other in kept]
        if all(distance >= MARGIN * len(centres) for distance in distances):
            kept.append(tick)
    if len(kept) < 2:  # a narrow range, such as an octave
        shown = np.linspace(0, len(centres) - 1, min(5, len(centres))).round()
        return np.unique(centres[shown.astype(int)].round())
    return np.array(sorted(kept))


def _means(values: np.ndarray, n: int) -> np.ndarray:
    """Means of ``n`` columns each."""
    starts = np.arange(0, values.shape[1], n)
    counts = np.diff([*starts, values.shape[1]])
    means: np.ndarray = np.add.reduceat(values, starts, axis=1) / counts
    return means
