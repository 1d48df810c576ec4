"""Segments of clips in a graph: where they lie, cut and averaged as in prediction.

Everything is computed from the lengths of the views of a clip by the rules of
`skaudio._segments` and `SegmentDataset`, in the same types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skaudio.export._graph import Graph

SIDE_BY_SIDE = "side by side"


@dataclass(frozen=True)
class Cut:
    """How a network's segments are cut.

    Parameters
    ----------
    rates : dict of str to float
        Steps per second of every view.
    n_steps : dict of str to int
        Steps of a segment in every view.
    seconds : float
        Length of a segment.
    n_segments : int, "side by side" or None
        Number of even segments, None for as many as cover a clip; or all that fit side
        by side.
    """

    rates: dict[str, float]
    n_steps: dict[str, int]
    seconds: float
    n_segments: int | str | None

    @classmethod
    def of(cls, spec: Any, n_segments: int | str | None) -> Cut:
        """As a `SegmentSpec` says."""
        return cls(dict(spec.rates), dict(spec.n_steps), spec.seconds, n_segments)

    def described(self) -> dict[str, Any]:
        """Plain values, for the metadata of a file."""
        return {
            "views": self.rates,
            "segment_seconds": self.seconds,
            "segment_steps": self.n_steps,
            "n_segments": self.n_segments,
            "aggregation": "mean",
        }


def segments(
    graph: Graph,
    views: dict[str, str],
    cut: Cut,
    duration: str | None = None,
    unit: int | None = None,
) -> list[str]:
    """Segments (batch * n_segments, n_bins, n_steps) of views, clip after clip.

    Parameters
    ----------
    graph : Graph
        What is added to.
    views : dict of str to str
        Values (batch, n_bins, n_frames) by name of the view.
    cut : Cut
        Which segments.
    duration : str or None, default=None
        Seconds of a clip, float64; None is that of its shortest view.
    unit : int or None, default=None
        A shorter clip is repeated from the end of a whole number of so many steps on,
        filled with its own beginning until then; None repeats it from its end on.

    Returns
    -------
    segments : list of str
        One value per view.
    """
    n_frames = {name: graph.size(value, 2) for name, value in views.items()}
    if cut.n_segments == SIDE_BY_SIDE:
        starts = _side_by_side(graph, n_frames, cut)
    else:
        if duration is None:
            lengths = [
                graph.op("Div", graph.cast(n, np.float64), np.float64(cut.rates[name]))
                for name, n in n_frames.items()
            ]
            duration = graph.op("Min", *lengths)
        starts = _even(graph, duration, cut)
    return [
        _cut(graph, value, _steps(graph, starts, n_frames[name], cut, name, unit))
        for name, value in views.items()
    ]


def averaged(graph: Graph, value: str, like: str, axes: Sequence[int] = (1,)) -> str:
    """Means (batch, n) over the segments of every clip in (batch * n_segments, n)."""
    batch = graph.op("Reshape", graph.size(like, 0), [1])
    width = graph.op("Shape", value, start=1)
    shape = graph.op("Concat", batch, [-1], width, axis=0)
    parts = graph.op("Reshape", value, shape)
    return graph.op("ReduceMean", parts, list(axes), keepdims=0)


def _even(graph: Graph, duration: str, cut: Cut) -> str:
    """Starts in seconds, as `even_segments` of a `SegmentDataset` has them."""
    fastest = max(cut.rates, key=cut.rates.__getitem__)
    rate, length = cut.rates[fastest], cut.n_steps[fastest]
    step = rate / min(cut.rates.values())
    steps = graph.op("Mul", duration, np.float64(rate))
    # a duration of whole steps may be a rounding error short of them
    steps = graph.op("Floor", graph.op("Add", steps, np.float64(1e-6)))
    available = graph.cast(steps, np.int64)
    room = graph.op("Sub", available, length)
    are_many = graph.op("Not", graph.op("Less", room, max(1, int(np.ceil(step)))))
    room = graph.op("Where", are_many, room, 0)
    wanted: str | int | None = cut.n_segments
    if wanted is None:
        wanted = graph.op("Add", graph.op("Div", available, length), 1)
    n = graph.op("Where", are_many, wanted, 1)
    if cut.n_segments == 1:  # from the middle
        starts = graph.op("Reshape", graph.op("Div", room, 2), [1])
    else:
        gaps = graph.op("Max", graph.op("Sub", n, 1), 1)
        apart = graph.op("Div", room, gaps)
        starts = graph.op("Mul", graph.op("Range", 0, n, 1), apart)
    return graph.op("Div", graph.cast(starts, np.float64), np.float64(rate))


def _side_by_side(graph: Graph, n_frames: dict[str, str], cut: Cut) -> str:
    """Starts in seconds of as many whole segments as all views have, at least one."""
    fit = [graph.op("Div", n, cut.n_steps[name]) for name, n in n_frames.items()]
    n = graph.op("Max", graph.op("Min", *fit), 1)
    numbers = graph.cast(graph.op("Range", 0, n, 1), np.float64)
    return graph.op("Mul", numbers, np.float64(cut.seconds))


def _steps(
    graph: Graph, starts: str, n_frames: str, cut: Cut, name: str, unit: int | None
) -> str:
    """Steps (n_segments, n_steps) of every segment, of a shorter clip repeated."""
    n_steps = cut.n_steps[name]
    first = graph.op("Mul", starts, np.float64(cut.rates[name]))
    first = graph.op("Floor", graph.op("Add", first, np.float64(0.5)))
    last = graph.op("Max", graph.op("Sub", n_frames, n_steps), 0)
    first = graph.op("Min", graph.cast(first, np.int64), last)
    steps = graph.op("Add", graph.op("Unsqueeze", first, [1]), np.arange(n_steps))
    if unit is not None:
        n_units = graph.op("Div", graph.op("Add", n_frames, unit - 1), unit)
        steps = graph.op("Mod", steps, graph.op("Mul", n_units, unit))
    return graph.op("Mod", steps, n_frames)


def _cut(graph: Graph, view: str, steps: str) -> str:
    """Those steps of all clips, (batch * n_segments, n_bins, n_steps)."""
    parts = graph.op("Gather", view, steps, axis=2)  # (batch, bins, segments, steps)
    parts = graph.op("Transpose", parts, perm=[0, 2, 1, 3])
    shape = graph.op("Concat", [-1], graph.op("Shape", parts, start=2), axis=0)
    return graph.op("Reshape", parts, shape)
