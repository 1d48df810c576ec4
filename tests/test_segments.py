"""Segments: seconds in, aligned steps of every view out."""

import numpy as np
import pytest

from skaudio._segments import (
    centred_window,
    clip_means,
    cut,
    even_segments,
    frame_times,
    span,
    split_means,
    to_steps,
    window_starts,
)


def test_paper_segment_lengths():
    # 66,650 samples at 44.1 kHz, 20 ms hops, CQT hops of 1024
    seconds = 66_650 / 44_100
    assert to_steps(seconds, 44_100) == 66_650
    assert to_steps(seconds, 50) == 76
    assert to_steps(seconds, 44_100 / 1024) == 65


def test_a_single_even_segment_is_the_middle():
    assert even_segments(10, 4, 1).tolist() == [3]
    assert even_segments(10, 3, 1).tolist() == [3]  # rounded down


@pytest.mark.parametrize("n_segments", [10, None])
@pytest.mark.parametrize("available", [10, 150, 151])
def test_clips_no_longer_than_a_segment_have_one(available, n_segments):
    assert even_segments(available, 150, n_segments, step=2).tolist() == [0]
    assert len(even_segments(152, 150, n_segments, step=2)) == (n_segments or 2)


def test_by_default_as_many_segments_as_fit_and_one_more():
    assert even_segments(500, 150, None).tolist() == [0, 116, 232, 348]
    assert len(even_segments(600, 150, None)) == 5


@pytest.mark.parametrize("n_segments", [None, 1, 2, 10])
def test_even_segments_are_equally_far_from_each_other(n_segments):
    """The rule of SampleCNN's authors, in integers."""
    rng = np.random.default_rng(0)
    for n_available, n_steps in rng.integers(1, 400, size=(100, 2)).tolist():
        starts = even_segments(n_available, n_steps, n_segments)
        assert starts.dtype.kind == "i"
        room = n_available - n_steps
        n = n_segments or n_available // n_steps + 1
        if room <= 0:
            expected = [0]
        elif n == 1:
            expected = [room // 2]
        else:
            expected = [i * (room // (n - 1)) for i in range(n)]
            assert 0 <= room - expected[-1] <= n - 2
        assert starts.tolist() == expected


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


def test_windows_are_centred_at_their_times():
    clip = np.arange(1, 11)[None]  # ten samples at 10 Hz
    times = frame_times(1.0, 0.25)
    np.testing.assert_allclose(times, [0.125, 0.375, 0.625, 0.875])
    firsts = window_starts(times, 10, 4)
    windows = [centred_window(clip, first, 4)[0].tolist() for first in firsts]
    assert windows[0] == [0, 1, 2, 3]
    assert windows[-1] == [8, 9, 10, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_means_over_segments_are_those_of_each_clip(dtype):
    rng = np.random.default_rng(0)
    counts = [3, 1, 40]
    rows = np.repeat(np.arange(3), counts)
    segments = rng.normal(size=(44, 5)).astype(dtype)
    expected = [segments[rows == row].astype(float).mean(axis=0) for row in range(3)]
    for means in (clip_means(segments, rows, 3), split_means(segments, counts)):
        np.testing.assert_allclose(means, expected, atol=1e-6)
        assert means[0].dtype == dtype


def test_long_sums_can_be_more_precise_than_their_terms():
    frames = np.full((200_000, 1), 0.1, np.float32)
    means = clip_means(frames, np.zeros(len(frames), int), 1, dtype=np.float64)
    assert means.dtype == np.float32
    np.testing.assert_array_equal(means, frames[:1])
    votes = clip_means(frames > 0, np.zeros(len(frames), int), 1, dtype=np.float64)
    np.testing.assert_array_equal(votes, [[1.0]])
