"""Batches of training segments."""

import numpy as np
import pytest

from skaudio._training import _random_draws
from skaudio._training._datasets import (
    SegmentDataset,
    TrainingSegments,
    batches,
    n_batches_of,
)
from skaudio.neural_network import Augmentation
from skaudio.views import Views


@pytest.mark.parametrize("n_rows", [1, 2, 63, 64, 65, 66, 128, 129, 130])
def test_no_batch_of_one_clip_is_left_over(n_rows):
    """One clip has no batch statistics: it joins the batch before; none is lost."""
    parts = list(batches(np.arange(n_rows), 64))
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(n_rows))
    assert len(parts) == n_batches_of(n_rows, 64)
    assert max(map(len, parts)) <= 65
    assert n_rows == 1 or min(map(len, parts)) > 1


@pytest.mark.parametrize("n_rows", [1, 2, 63, 64, 65, 66, 128, 129, 130])
def test_whole_batches_are_all_of_one_size(n_rows):
    """What does not fill a batch is left out, unless there is no other."""
    parts = list(batches(np.arange(n_rows), 64, whole=True))
    assert len(parts) == n_batches_of(n_rows, 64, whole=True) == max(1, n_rows // 64)
    assert {len(part) for part in parts} == {min(n_rows, 64)}
    np.testing.assert_array_equal(
        np.concatenate(parts), np.arange(sum(map(len, parts)))
    )


@pytest.mark.parametrize(
    ("n_frames", "starts"), [(3, [0]), (4, [0]), (7, [0]), (8, [0, 4]), (14, [0, 4, 8])]
)
def test_segments_side_by_side(n_frames, starts):
    """Whole segments from the beginning; what is left at the end is in none."""
    views = Views({"mel": np.zeros((2, 5, n_frames))}, {"mel": 10.0})
    data = SegmentDataset(views, {"mel": 10.0}, 0.4, {}, "float32")
    rows, seconds = data.side_by_side()
    assert rows.tolist() == [0] * len(starts) + [1] * len(starts)
    np.testing.assert_allclose(seconds, np.tile(starts, 2) / 10)


@pytest.mark.parametrize("rows", [[0], [7, 0, 3], [2**31, 5]])
def test_one_generator_draws_what_one_per_clip_would(rows):
    expected = [_random_draws.generator(11, 4, row).random(13) for row in rows]
    np.testing.assert_array_equal(_random_draws.uniform(11, 4, rows, 13), expected)
    again = _random_draws.uniform(11, 4, rows[::-1], 13)[::-1]
    np.testing.assert_array_equal(again, expected)  # in any order


def segments_of(n_frames, **changes):
    clips = np.random.default_rng(0).normal(size=(6, 5, n_frames))
    data = SegmentDataset(
        Views({"mel": clips}, {"mel": 10.0}), {"mel": 10.0}, 0.4, {}, "float32"
    )
    options = Augmentation(**changes)
    return TrainingSegments(data, {}, options, lambda *_: None, seed=3)


def test_clips_that_are_segments_draw_nothing_and_are_what_they_would_be():
    """No room and no change: a draw would decide nothing."""
    segments = segments_of(4)
    assert not segments.has_draws
    (batch, _), rows = segments.batch(np.array([4, 1])), np.array([4, 1])
    segments.has_draws = True
    drawn, _ = segments.batch(rows)
    np.testing.assert_array_equal(batch.own["mel"], drawn.own["mel"])
    np.testing.assert_array_equal(batch.draws["ratio"], drawn.draws["ratio"])
    clips = [segments.source.clips["mel"][i] for i in rows]
    np.testing.assert_array_equal(batch.own["mel"], np.float32(clips))


@pytest.mark.parametrize(
    ("n_frames", "changes"),
    [
        (5, {}),
        (3, {"shift": True}),
        (4, {"mix": "mixup"}),
        (4, {"time_mask": 0.1}),
        (4, {"freq_mask": 0.1}),
    ],
)
def test_what_has_room_or_changes_is_drawn(n_frames, changes):
    assert segments_of(n_frames, **changes).has_draws


def test_longer_clips_are_cut_where_the_draw_says():
    segments = segments_of(9)
    draws = segments._draws(np.array([2]))
    first = int(np.floor(draws.start[0] * 0.5 * 10 + 0.5))
    batch, _ = segments.batch(np.array([2]))
    clip = segments.source.clips["mel"][2]
    np.testing.assert_array_equal(
        batch.own["mel"][0], np.float32(clip[:, first : first + 4])
    )
