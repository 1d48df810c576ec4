"""Batches of training segments."""

import numpy as np
import pytest

from skaudio._training._datasets import batches, n_batches_of


@pytest.mark.parametrize("n_rows", [1, 2, 63, 64, 65, 66, 128, 129, 130])
def test_no_batch_of_one_clip_is_left_over(n_rows):
    """One clip has no batch statistics: it joins the batch before; none is lost."""
    parts = list(batches(np.arange(n_rows), 64))
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(n_rows))
    assert len(parts) == n_batches_of(n_rows, 64)
    assert max(map(len, parts)) <= 65
    assert n_rows == 1 or min(map(len, parts)) > 1
