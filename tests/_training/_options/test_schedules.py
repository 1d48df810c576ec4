"""Schedules by name: factors on the base rate over training."""

import numpy as np
import pytest

from skaudio._training._options._schedules import SCHEDULES


def test_schedules():
    cycle = [SCHEDULES["one-cycle"](p) for p in np.linspace(0, 1, 401)]
    assert cycle[0] == pytest.approx(0.04)
    assert max(cycle) == pytest.approx(1)
    assert np.argmax(cycle) == 100
    assert cycle[-1] == pytest.approx(0)
    paper = SCHEDULES["warmup-decay"]
    epochs = [0, 9, 10, 199, 200, 600, 1000, 1999]
    expected = [0.1, 0.1, 1, 1, 0.8, 0.64, 0.512, 0.512]
    np.testing.assert_allclose([paper(e / 2000) for e in epochs], expected)
