"""Weights of the terms of a loss: when they are evaluated, and what they add up to."""

import numpy as np
import pytest

from skaudio._training._loss_weights import FixedWeights, UniformWeights
from skaudio._training._options._blending import BlendedWeights
from skaudio.neural_network import Blending, MultiViewBlendingClassifier


def test_auto_period_keeps_evaluations_to_their_share_of_the_time():
    weights = MultiViewBlendingClassifier()._loss_weights()
    for n_evaluated, period in [(80, 21), (10, 5), (10_000, 100)]:
        assert weights.period(5, n_evaluated, batch_size=32) == period
    # 80 segments forward only, against 21 steps of 32 segments there and back
    assert pytest.approx(0.04, rel=0.01) == (80 / 3) / (21 * 32)
    assert BlendedWeights(Blending(period=7)).period(5, 80, batch_size=32) == 7


def test_weights_must_name_the_terms():
    with pytest.raises(
        ValueError, match=r"the terms \['a', 'b'\], but weights are give"
    ):
        FixedWeights({"a": 1.0}).begin(("a", "b"), 10)
    rule = FixedWeights({"b": 10, "a": 5}).begin(("a", "b"), 10)
    np.testing.assert_array_equal(rule.weights, [5, 10])
    rule = UniformWeights().begin(("a", "b"), 10)
    np.testing.assert_array_equal(rule.update([1, 2], [3, 4]), [0.5, 0.5])
