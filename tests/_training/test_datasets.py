"""Batches of training segments."""

import numpy as np
import pytest

from skaudio._training._datasets import SegmentDataset, batches, n_batches_of
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
