"""`PlateauSchedule`: stages of falling rates, by hand and in real training."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV

from skaudio._training._callbacks import PlateauSteps
from skaudio.neural_network import (
    CRNNClassifier,
    MultiViewBlendingClassifier,
    PlateauSchedule,
    SampleCNNClassifier,
)

pytestmark = pytest.mark.usefixtures("may_use_global_rng")


class Net(SimpleNamespace):
    """As much of a skorch net as a callback sees; its only weight counts epochs."""

    def __init__(self, lr=1.0):
        weight = torch.nn.Linear(1, 1, bias=False)
        optimizer = torch.optim.SGD(weight.parameters(), lr=lr, momentum=0.9)
        super().__init__(
            module_=weight, optimizer_=optimizer, lr=lr, history=[], is_finished=False
        )
        self.average, self.as_evaluated = None, nullcontext

    def epoch(self, number, loss):
        with torch.no_grad():
            self.module_.weight.fill_(number)
        self.optimizer_.state[self.module_.weight]["momentum_buffer"] = torch.ones(1)
        self.history.append({"valid_loss": loss})

    @property
    def weight(self):
        return float(self.module_.weight.detach())


def run(losses, **options):
    """Rates of the epochs, and the net after each."""
    net, steps = Net(), PlateauSteps(PlateauSchedule(**options))
    rates, weights, fresh = [], [], []
    for number, loss in enumerate(losses):
        steps.on_batch_begin(net)
        rates.append(net.optimizer_.param_groups[0]["lr"])
        net.epoch(number, loss)
        steps.on_epoch_end(net)
        weights.append(net.weight)
        fresh.append(not net.optimizer_.state)
        if net.is_finished:
            break
    return rates, weights, fresh


def test_a_stage_ends_after_more_than_patience_epochs():
    # best at epoch 1; epochs 2 to 5 are four without a better one
    losses = [2.0, 1.0, 1.5, 1.5, 1.0, 1.5, 9.0, 9.0]
    rates, weights, fresh = run(losses, patience=3, factor=5.0)
    assert rates == [1.0] * 6 + [0.2] * 2
    assert weights[5] == 1.0  # the best weights are back
    assert fresh == [False] * 5 + [True] + [False] * 2  # and the optimiser is new


def test_improvement_renews_patience():
    losses = [3.0, 3.1, 3.1, 3.1, 2.0, 3.1, 3.1, 3.1, 3.1]
    rates, weights, _ = run(losses, patience=3)
    assert rates == [1.0] * 9
    assert weights[-1] == 4.0


def test_five_stages_and_the_end():
    rates, _, _ = run([1.0] + [2.0] * 100, patience=3)
    # each stage has its first loss, which is its best, and four more
    assert len(rates) == 25
    np.testing.assert_allclose(sorted(set(rates)), [0.2**k for k in (4, 3, 2, 1, 0)])


def test_losses_that_are_no_numbers_end_too():
    rates, _, _ = run([np.nan] * 100, patience=1, n_stages=2)
    assert len(rates) == 4


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    return rng.standard_normal((30, 64)).astype(np.float32), np.arange(30) % 2


SMALL = {
    "sizes": (4, 4, 4),
    "width": 0.05,
    "lr_schedule": PlateauSchedule(patience=0, n_stages=3),
    "validation_fraction": 0.2,
    "random_state": 0,
}


def test_training_ends_before_its_time(noise):
    clf = SampleCNNClassifier(**SMALL, max_epochs=200, lr=0.01).fit(*noise)
    assert 6 <= len(clf.history_) < 200
    rates = [row["lr"] for row in clf.history_]
    np.testing.assert_allclose(
        np.unique(rates)[::-1], 0.01 / 5.0 ** np.arange(3), rtol=1e-6
    )
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("cls", [CRNNClassifier, MultiViewBlendingClassifier])
def test_any_classifier_takes_it(cls, noise):
    X, y = noise
    clf = cls(
        width=0.05,
        lr_schedule="reduce-on-plateau",
        validation_fraction=0.2,
        max_epochs=2,
        random_state=0,
    )
    assert len(clf.fit(X.reshape(30, 8, 8), y).history_) == 2


def test_it_needs_a_validation_set(noise):
    clf = SampleCNNClassifier(**(SMALL | {"validation_fraction": None}))
    with pytest.raises(ValueError, match="depends on the validation loss"):
        clf.fit(*noise)


def test_its_values_are_checked(noise):
    clf = SampleCNNClassifier(**(SMALL | {"lr_schedule": PlateauSchedule(factor=1)}))
    with pytest.raises(ValueError, match="'factor' parameter of PlateauSchedule"):
        clf.fit(*noise)


def test_it_can_be_searched(noise):
    clf = SampleCNNClassifier(**SMALL, max_epochs=2)
    grid = {"lr_schedule__patience": [1, 2]}
    search = GridSearchCV(clf, grid, cv=2).fit(*noise)
    assert set(search.best_params_) == {"lr_schedule__patience"}
