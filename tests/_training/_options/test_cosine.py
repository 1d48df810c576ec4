"""`CosineRestarts`: rates by the number of the epoch, as the authors' code has them."""

import math

import numpy as np
import pytest

from skaudio.neural_network import CosineRestarts, CRNNClassifier


def rates(n_epochs, lr=5e-4, **options):
    schedule = CosineRestarts(**options)
    return np.array([schedule._rate(lr, epoch) for epoch in range(n_epochs)])


def test_restarts_of_the_published_schedule():
    """Restarts at epochs 2, 5, 10, 19, 36 and 69, whatever ``max_epochs`` is."""
    found = rates(120, min_lr=1e-5)
    restarts = 1 + np.flatnonzero(np.diff(found) > 0)
    np.testing.assert_array_equal(restarts, [2, 5, 10, 19, 36, 69])
    np.testing.assert_allclose(found[[0, 2, 5, 10, 19, 36, 69]], 5e-4)
    np.testing.assert_allclose(found[[1, 4, 9, 18, 35, 68]], 1e-5)


def test_rates_against_a_literal_loop():
    """t counts within a cycle of period T and starts anew when it exceeds T."""
    t, period, expected = 0, 1, []
    for _ in range(80):
        if t > period:
            t, period = 0, 2 * period
        wave = 0.5 * (5e-4 - 1e-5) * (1 + math.cos(math.pi * t / period))
        expected.append(1e-5 + wave)
        t += 1
    np.testing.assert_allclose(rates(80, min_lr=1e-5), expected, rtol=1e-12)


def test_equal_cycles():
    found = rates(12, lr=1.0, first_period=3, period_factor=1)
    cycle = [1, 0.75, 0.25, 0]
    np.testing.assert_allclose(found, cycle * 3, atol=1e-12)


@pytest.mark.parametrize("max_epochs", [4, 7])
def test_training_follows_it(max_epochs):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 6, 10)).astype(np.float32)
    clf = CRNNClassifier(
        width=0.05,
        lr=5e-4,
        lr_schedule=CosineRestarts(min_lr=1e-5),
        max_epochs=max_epochs,
        batch_size=8,
        validation_fraction=None,
        random_state=0,
    ).fit(X, np.arange(20) % 2)
    found = [row["lr"] for row in clf.history_]
    np.testing.assert_allclose(found, rates(max_epochs, min_lr=1e-5))


def test_its_parameters_are_checked_and_searched():
    X, y = np.zeros((8, 4, 6), np.float32), np.arange(8) % 2
    clf = CRNNClassifier(lr_schedule=CosineRestarts(first_period=0), random_state=0)
    with pytest.raises(ValueError, match="'first_period' parameter of CosineRestarts"):
        clf.fit(X, y)
    assert clf.set_params(lr_schedule__period_factor=3).lr_schedule.period_factor == 3
