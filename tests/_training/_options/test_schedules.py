"""Schedules by name: factors on the base rate over training."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skaudio._training._options._schedules import SCHEDULES
from skaudio.neural_network import CRNNClassifier, WarmupDecay


def test_one_cycle():
    cycle = [SCHEDULES["one-cycle"](p) for p in np.linspace(0, 1, 401)]
    assert cycle[0] == pytest.approx(0.04)
    assert max(cycle) == pytest.approx(1)
    assert np.argmax(cycle) == 100
    assert cycle[-1] == pytest.approx(0)


def test_warm_up_and_decay_are_in_epochs():
    """Whatever the budget: ten epochs at a tenth, then 0.8 after 200, 600 and 1000."""
    rates = [WarmupDecay()._rate(1.0, e) for e in (0, 9, 10, 199, 200, 600, 1000, 1999)]
    np.testing.assert_allclose(rates, [0.1, 0.1, 1, 1, 0.8, 0.64, 0.512, 0.512])


@pytest.mark.parametrize("name", ["warmup-decay", "object"])
def test_rates_of_a_training_with_warm_up(name):
    schedule = WarmupDecay(warmup_epochs=2, decay_epochs=(3,), factor=0.5)
    clf = CRNNClassifier(width=0.02, lr=1e-3, max_epochs=4, random_state=0)
    clf.set_params(lr_schedule=name if name == "warmup-decay" else schedule)
    if name == "warmup-decay":
        clf.set_params(lr_schedule__warmup_epochs=2, lr_schedule__decay_epochs=(3,))
        clf.set_params(lr_schedule__factor=0.5)
    X = np.random.default_rng(0).normal(size=(8, 4, 6))
    clf.fit(X, [0, 1] * 4)
    rates = [row["lr"] for row in clf.history_]
    np.testing.assert_allclose(rates, [1e-4, 1e-4, 1e-3, 5e-4])


def test_a_schedule_that_is_cut_off_warns():
    X = np.random.default_rng(0).normal(size=(8, 4, 6))
    clf = CRNNClassifier(width=0.02, max_epochs=3, random_state=0)
    clf.set_params(lr_schedule="warmup-decay")
    with pytest.warns(ConvergenceWarning, match="max_epochs=3 .* after epoch 1000"):
        clf.fit(X, [0, 1] * 4)
    clf.set_params(lr_schedule=WarmupDecay(warmup_epochs=1, decay_epochs=()))
    clf.fit(X, [0, 1] * 4)  # nothing is left out: no warning, or an error here


def test_a_warm_up_that_never_ends_warns():
    X = np.random.default_rng(0).normal(size=(8, 4, 6))
    schedule = WarmupDecay(warmup_epochs=5, decay_epochs=(1,))
    clf = CRNNClassifier(width=0.02, max_epochs=2, lr_schedule=schedule, random_state=0)
    with pytest.warns(ConvergenceWarning, match="after epoch 5"):
        clf.fit(X, [0, 1] * 4)


@pytest.mark.parametrize("epochs", [["a"], [[1, 2]], [3, -1], [float("nan")]])
def test_what_is_no_epoch_is_refused(epochs):
    X = np.random.default_rng(0).normal(size=(8, 4, 6))
    clf = CRNNClassifier(lr_schedule=WarmupDecay(decay_epochs=epochs), random_state=0)
    with pytest.raises(ValueError, match="decay_epochs must be numbers of epochs"):
        clf.fit(X, [0, 1] * 4)
