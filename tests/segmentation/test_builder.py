"""Runs of frames to segments: cases worked out by hand, and a rule in words."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from skaudio._utils._segment_table import table_of
from skaudio.segmentation._builder import SegmentBuilder

HOP = 0.1


def built(text, min_duration=0.0, duration=None, cuts=()):
    """Segments of a track like "aaabb", each frame certain of its class."""
    classes = np.array(sorted(set("abc")))
    proba = (np.array(list(text)) == classes[:, None]) * 0.8 + 0.1
    builder = SegmentBuilder("r", classes, HOP, min_duration)
    for part in np.split(proba, cuts, axis=1):
        builder.push(part)
    builder.finish(len(text) * HOP if duration is None else duration)
    return [(s.label, s.start, s.end) for s in builder.segments]


def test_boundaries_lie_between_frames():
    assert built("aabbbc") == [("a", 0, 0.15), ("b", 0.15, 0.45), ("c", 0.45, 0.6)]
    assert built("a", duration=0.02) == [("a", 0, 0.02)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aaaabaaaa", [("a", 0, 0.9)]),
        ("aaaabbbb", [("a", 0, 0.35), ("b", 0.35, 0.8)]),
        # short runs join what is before them, one after the other
        ("aaaabcbaaaa", [("a", 0, 1.1)]),
        ("aaaabccccc", [("a", 0, 0.45), ("c", 0.45, 1.0)]),
        # exactly as long as asked for is long enough
        ("aaaabbbcccc", [("a", 0, 0.35), ("b", 0.35, 0.65), ("c", 0.65, 1.1)]),
        ("aaaabbcccc", [("a", 0, 0.55), ("c", 0.55, 1.0)]),
        # at the start they join what comes after
        ("abcccc", [("c", 0, 0.6)]),
        ("abaacccc", [("c", 0, 0.8)]),  # "aa" is two frames
        # at the end, what is before
        ("aaaabb", [("a", 0, 0.6)]),
        # nothing is long enough: the most probable class
        ("ab", [("a", 0, 0.2)]),
        ("abb", [("b", 0, 0.3)]),
    ],
)
def test_short_runs_join_a_neighbour(text, expected):
    assert built(text, min_duration=0.3) == expected
    for cut in range(1, len(text)):
        assert built(text, min_duration=0.3, cuts=[cut]) == expected


def test_no_segment_is_shorter_than_asked_for():
    rng = np.random.default_rng(0)
    for _ in range(200):
        text = "".join(
            rng.choice(list("abc"), size=rng.integers(1, 60), p=[0.6, 0.3, 0.1])
        )
        least = float(rng.choice([0, 0.2, 0.35, 1.0]))
        segments = built(text, min_duration=least)
        starts, ends = [s[1] for s in segments], [s[2] for s in segments]
        assert starts == [0, *ends[:-1]]
        assert ends[-1] == pytest.approx(len(text) * HOP)
        labels = [s[0] for s in segments]
        assert all(a != b for a, b in itertools.pairwise(labels))
        if len(segments) > 1:
            assert min(np.subtract(ends, starts)) >= least - 1e-9


def test_probability_is_the_mean_of_the_label():
    builder = SegmentBuilder(0, np.array(["x", "y"]), HOP, 0.25)
    builder.push(np.array([[0.9, 0.7, 0.4, 0.8], [0.1, 0.3, 0.6, 0.2]]))
    builder.finish(0.4)
    (segment,) = builder.segments
    assert segment.probability == pytest.approx((0.9 + 0.7 + 0.4 + 0.8) / 4)


def test_ties_go_to_the_first_class():
    builder = SegmentBuilder(0, np.array(["x", "y"]), HOP, 0)
    builder.push(np.full((2, 3), 0.5))
    builder.finish(0.3)
    assert [s.label for s in builder.segments] == ["x"]


def test_a_table_without_rows_has_its_columns():
    table = table_of([])
    assert list(table) == ["recording", "start", "end", "label", "probability"]
    assert table["start"].dtype == float
