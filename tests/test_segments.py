"""Segments: seconds in, aligned steps of every view out."""

import numpy as np
import pytest

from skaudio._segments import cut, even_starts, random_starts, span, to_steps


def test_paper_segment_lengths():
    # 66,650 samples at 44.1 kHz, 20 ms hops, CQT hops of 1024
    seconds = 66_650 / 44_100
    assert to_steps(seconds, 44_100) == 66_650
    assert to_steps(seconds, 50) == 76
    assert to_steps(seconds, 44_100 / 1024) == 65


def test_even_starts_cover_the_clip():
    starts = even_starts(5.0, 1.5, 10)
    assert starts[0] == 0
    assert starts[-1] == pytest.approx(3.5)
    np.testing.assert_allclose(np.diff(starts), 3.5 / 9)


def test_a_single_even_segment_is_the_middle():
    np.testing.assert_allclose(even_starts(5.0, 1.0, 1), [2.0])


@pytest.mark.parametrize("duration", [0.1, 1.5])
def test_short_clips_have_one_segment(duration):
    np.testing.assert_array_equal(even_starts(duration, 1.5, 10), [0.0])


def test_random_starts_stay_inside_and_repeat():
    durations = np.array([0.5, 2.0, 10.0] * 200)
    starts = random_starts(durations, 1.5, np.random.default_rng(0))
    assert (starts >= 0).all()
    assert (starts[0::3] == 0).all()
    assert (starts[1::3] <= 0.5).all()
    assert 8 < starts[2::3].max() <= 8.5
    again = random_starts(durations, 1.5, np.random.default_rng(0))
    np.testing.assert_array_equal(starts, again)


def test_views_are_cut_at_the_same_time():
    # an event at 2 s, in views of different rates, lands at the same relative place
    rates = {"raw": 8000.0, "mel": 50.0, "cqt": 43.066}
    for start in (0.0, 0.73, 1.99):
        seconds = {}
        for name, rate in rates.items():
            n = to_steps(1.0, rate)
            first = span(start, n, rate, int(5 * rate))
            seconds[name] = first / rate
        assert max(seconds.values()) - min(seconds.values()) < 1 / 43


def test_span_never_leaves_the_clip():
    assert span(4.999, 50, 50.0, 250) == 200
    assert span(0.0, 50, 50.0, 30) == 0


def test_cut_repeats_short_clips_and_copies_nothing_else():
    clip = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(cut(clip, 0, 7)[0], [0, 1, 2, 0, 1, 2, 0])
    assert np.shares_memory(cut(clip, 1, 2), clip)
