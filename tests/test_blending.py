"""The rule of the weights against hand-computed values, and its edge cases."""

import numpy as np
import pytest

from skaudio._blending import ADAPTIVE, FIXED, NONE, UNIFORM, BlendingWeights


def blend(reference, current, **kwargs):
    """Weights after one evaluation at the reference and one at the current losses."""
    state = BlendingWeights(len(reference[0]), **({"window": 1} | kwargs))
    state.update(*reference)
    return state, state.update(*current)


def test_worked_pair():
    state, weights = blend(([1.0, 1.0], [1.2, 1.2]), ([0.8, 0.6], [1.1, 1.0]))
    np.testing.assert_allclose(state.generalization, [0.1, 0.2])
    np.testing.assert_allclose(state.overfitting, [0.1, 0.2])
    raw = np.array([0.1 / (0.01 + 1e-6), 0.2 / (0.04 + 1e-6)])
    np.testing.assert_allclose(raw, [9.9990, 4.99988], rtol=1e-5)
    np.testing.assert_allclose(weights, raw / raw.sum(), rtol=1e-12)
    np.testing.assert_allclose(weights, [2 / 3, 1 / 3], atol=3e-5)


def test_the_square_favours_the_branch_that_hardly_moves():
    """As the user guide has it: at the same G / O, a hundredth of both wins."""
    state, weights = blend(([1.0, 1.0], [1.2, 1.2]), ([0.8, 0.998], [1.1, 1.199]))
    np.testing.assert_allclose(state.generalization, [0.1, 0.001])
    np.testing.assert_allclose(state.overfitting, [0.1, 0.001])
    np.testing.assert_allclose(weights, [10 / 510, 500 / 510], rtol=2e-4)


def test_overfitting_branch_gets_nothing():
    _, weights = blend(([1.0, 1.0], [1.2, 1.2]), ([0.5, 0.9], [1.3, 1.1]))
    np.testing.assert_array_equal(weights, [0, 1])


def test_plateau_gets_nothing_until_a_new_best():
    state = BlendingWeights(2, window=1)
    state.update([1.0, 1.0], [1.0, 1.0])
    np.testing.assert_array_equal(state.update([0.9, 0.9], [1.0, 0.9]), [0, 1])
    # branch 0 sets a new best, branch 1 is above its own
    np.testing.assert_array_equal(state.update([0.8, 0.8], [0.95, 0.92]), [1, 0])


def test_all_plateauing_falls_back_to_uniform():
    _, weights = blend(([1.0] * 5, [1.0] * 5), ([1.0] * 5, [1.1] * 5))
    np.testing.assert_allclose(weights, 0.2)


def test_vanishing_overfitting_is_bounded_by_epsilon():
    state, weights = blend(([1.0, 1.0], [1.0, 1.0]), ([0.9, 0.8], [0.9, 0.9]))
    assert state.overfitting[0] == pytest.approx(0)
    raw = np.array([0.1 / 1e-6, 0.1 / (0.1**2 + 1e-6)])
    np.testing.assert_allclose(weights, raw / raw.sum(), rtol=1e-6)


def test_weak_but_positive_branches_keep_the_floor():
    _, weights = blend(([1.0, 2.0], [1.0, 2.0]), ([0.5, 0.5], [0.5, 2 - 1e-6]))
    assert weights[1] == 1e-5
    assert weights[0] == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["train", "valid"])
def test_non_finite_losses_count_as_zero(bad, which):
    train, valid = [0.8, 0.8], [0.9, 0.9]
    (train if which == "train" else valid)[0] = bad
    _, weights = blend(([1.0, 1.0], [1.0, 1.0]), (train, valid))
    np.testing.assert_array_equal(weights, [0, 1])


def test_a_branch_recovers_from_a_non_finite_start():
    state = BlendingWeights(2, window=1)
    state.update([np.nan, 1.0], [np.nan, 1.0])
    state.update([1.0, 0.9], [1.0, 0.95])
    weights = state.update([0.8, 0.8], [0.9, 0.95])
    np.testing.assert_array_equal(weights, [1, 0])


def test_reference_is_compared_before_it_is_updated():
    _, weights = blend(([1.0, 1.0], [1.0, 1.0]), ([0.9, 0.9], [0.9, 0.99]))
    assert weights.max() > 0.5  # updating first would leave nothing: uniform


def test_train_reference_moves_only_with_validation():
    state = BlendingWeights(1, window=1)
    state.update([1.0], [1.0])
    state.update([0.5], [1.1])  # train improves, validation does not: no update
    state.update([0.9], [0.9])
    np.testing.assert_allclose(state.generalization, [0.1])
    np.testing.assert_allclose(state.overfitting, [0.0], atol=1e-12)


def test_best_so_far_reference_differs_from_fixed():
    losses = [([1.0, 1.0], [1.0, 1.0]), ([0.5, 0.9], [0.5, 0.9]), ([0.6, 0.8],) * 2]
    adaptive = BlendingWeights(2, window=1)
    fixed = BlendingWeights(2, rule="fixed-reference")
    for pair in losses:
        w_adaptive, w_fixed = adaptive.update(*pair), fixed.update(*pair)
    np.testing.assert_array_equal(w_adaptive, [0, 1])  # branch 0 left its best
    np.testing.assert_allclose(w_fixed, [2 / 3, 1 / 3])  # still below the start


def test_weights_stay_uniform_during_warm_up():
    state = BlendingWeights(3, window=4)
    for step in range(4):
        weights = state.update([1 / (step + 1)] * 3, [1.0, 0.9, 0.8])
        np.testing.assert_allclose(weights, 1 / 3)
    assert not np.allclose(state.update([0.1] * 3, [0.9, 0.5, 0.7]), 1 / 3)


def test_smoothing_is_a_trailing_mean():
    state = BlendingWeights(1, window=3)
    for value in (4.0, 1.0, 1.0, 1.0):
        state.update([value], [value])
    # smoothed: 4, 2.5, 2, 1; the best before the last evaluation was 2
    np.testing.assert_allclose(state.generalization, [1.0])


def test_raw_current_losses_against_a_smoothed_reference():
    state = BlendingWeights(1, window=3, smoothing="reference")
    for value in (4.0, 1.0, 1.0, 1.0):
        state.update([value], [value])
    np.testing.assert_allclose(state.generalization, [2.0 - 1.0])
    state.update([0.4], [0.4])
    np.testing.assert_allclose(state.generalization, [1.0 - 0.4])


def test_a_constant_factor_on_all_losses_changes_little():
    rng = np.random.default_rng(0)
    one, ten = (BlendingWeights(4, window=2, epsilon=1e-12) for _ in range(2))
    for _ in range(10):
        train, valid = rng.uniform(0.5, 1, (2, 4))
        w_one, w_ten = one.update(train, valid), ten.update(10 * train, 10 * valid)
        np.testing.assert_allclose(w_one, w_ten, rtol=1e-6)


def test_uniform_and_none():
    rng = np.random.default_rng(0)
    uniform, none = (BlendingWeights(3, rule=r) for r in ("uniform", "none"))
    for _ in range(10):
        losses = rng.uniform(0.5, 1, (2, 3))
        np.testing.assert_allclose(uniform.update(*losses), 1 / 3)
        np.testing.assert_array_equal(none.update(*losses), [0, 0, 1])


@pytest.mark.parametrize("rule", [ADAPTIVE, FIXED, UNIFORM, NONE])
def test_weights_are_non_negative_and_sum_to_one(rule):
    rng = np.random.default_rng(1)
    state = BlendingWeights(5, rule=rule, window=3)
    for _ in range(60):
        weights = state.update(*rng.uniform(0.1, 2, (2, 5)))
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1, abs=1e-4)


def test_wrong_number_of_losses():
    with pytest.raises(ValueError, match="Expected 3 training and validation losses"):
        BlendingWeights(3).update([1.0, 1.0], [1.0, 1.0])


def test_momentum_moves_a_share_of_the_way():
    """New weights are 2/3 and 1/3; with momentum they are approached from uniform."""
    losses = ([1.0, 1.0], [1.2, 1.2]), ([0.8, 0.6], [1.1, 1.0])
    _, at_once = blend(*losses)
    _, slowly = blend(*losses, momentum=0.75)
    np.testing.assert_allclose(slowly, 0.75 * 0.5 + 0.25 * at_once)
    assert slowly.sum() == pytest.approx(1)


def test_every_branch_keeps_the_least_weight():
    _, weights = blend(
        ([1.0, 1.0], [1.2, 1.2]), ([0.5, 0.9], [1.3, 1.1]), min_weight=0.1
    )
    np.testing.assert_allclose(weights, [0.1, 0.9])
    _, half = blend(([1.0, 1.0], [1.2, 1.2]), ([0.5, 0.9], [1.3, 1.1]), min_weight=0.5)
    np.testing.assert_allclose(half, [0.5, 0.5])


def test_least_weights_must_fit():
    with pytest.raises(ValueError, match=r"for each of 5 branches .* at most 0.2"):
        BlendingWeights(5, min_weight=0.25)


def test_a_large_epsilon_tames_a_vanishing_overfitting():
    losses = ([1.0, 1.0], [1.0, 1.0]), ([0.9, 0.8], [0.9, 0.9])
    _, sharp = blend(*losses)
    _, tame = blend(*losses, epsilon=1.0)
    assert sharp[0] > 0.999
    raw = np.array([0.1, 0.1 / 1.01])
    np.testing.assert_allclose(tame, raw / raw.sum())
