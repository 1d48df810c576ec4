"""`CosineRestarts`: cosine annealing with warm restarts at given epochs."""

from __future__ import annotations

import math
from typing import Any

from sklearn.base import BaseEstimator

from skaudio._utils._constraints import COUNT, NOT_NEGATIVE


class CosineRestarts(BaseEstimator):
    """Cosine annealing with warm restarts, by the number of the epoch.

    Within a cycle of period T the learning rate falls from ``lr`` to ``min_lr`` along
    half a cosine, over the epochs t = 0 to T; then it starts anew with a longer period.
    So a cycle has T + 1 epochs, and with the default periods 1, 2, 4, 8, ... the rate
    restarts at the epochs 2, 5, 10, 19, 36 and 69, counted from 0, however many epochs
    there are. A value of ``lr_schedule``.

    Parameters
    ----------
    first_period : int, default=1
        Epochs from the highest to the lowest rate of the first cycle.
    period_factor : int, default=2
        What the period is multiplied by from cycle to cycle; 1 keeps it.
    min_lr : float, default=0.0
        Lowest rate. The authors of SwishNet go from ``lr=5e-4`` to 1e-5.

    See Also
    --------
    PlateauSchedule : Rates by the validation loss.

    Notes
    -----
    ``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`` has cycles of T epochs that
    end one step above the lowest rate.

    References
    ----------
    I. Loshchilov and F. Hutter, "SGDR: Stochastic gradient descent with warm restarts",
    ICLR 2017, Equation 5. Hussain and Haque, "SwishNet", 2018, use it.

    Examples
    --------
    >>> from skaudio.neural_network import CosineRestarts, CRNNClassifier
    >>> clf = CRNNClassifier(lr=5e-4, lr_schedule=CosineRestarts(min_lr=1e-5))
    >>> clf.set_params(lr_schedule__first_period=4).lr_schedule.first_period
    4
    """

    _watches_validation = False
    _parameter_constraints: dict[str, list[Any]] = {
        "first_period": [COUNT],
        "period_factor": [COUNT],
        "min_lr": [NOT_NEGATIVE],
    }

    def __init__(
        self, *, first_period: int = 1, period_factor: int = 2, min_lr: float = 0.0
    ) -> None:
        self.first_period = first_period
        self.period_factor = period_factor
        self.min_lr = min_lr

    def _check_epochs(self, max_epochs: int) -> None:
        """A cycle may end at any epoch."""

    def _rate(self, lr: float, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0, for the base rate ``lr``."""
        period = self.first_period
        while epoch > period:
            epoch -= period + 1
            period *= self.period_factor
        share = (1 + math.cos(math.pi * epoch / period)) / 2
        return self.min_lr + (lr - self.min_lr) * share
