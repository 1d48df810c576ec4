"""`PlateauLadder`: training in stages, each at a lower learning rate than the last."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback

from skaudio._utils._sklearn import Interval

LADDER = "plateau-ladder"


class PlateauLadder(BaseEstimator):
    """Stages at falling learning rates, as a value of ``lr_schedule``.

    A stage ends when the validation loss has not improved for more than ``patience``
    epochs. The next one starts from the best weights of the last, with a fresh
    optimiser and the rate divided by ``factor``. After the last stage training is
    over, before ``max_epochs`` if that leaves time.

    Parameters
    ----------
    n_stages : int, default=5
        Number of rates: 0.01, 0.002, 0.0004, 0.00008 and 0.000016 in the paper.
    factor : float, default=5.0
        What the rate is divided by from stage to stage.
    patience : int, default=3
        Epochs without a better validation loss that a stage survives.

    See Also
    --------
    SampleCNNClassifier : Takes it, like every network here, as ``lr_schedule``.

    Notes
    -----
    An epoch has one segment of every clip here, and all ten of a 29 s clip in the
    authors' code. Where clips are long, a larger ``patience`` makes up for that.

    References
    ----------
    Lee et al., "SampleCNN", Applied Sciences 8(1):150, 2018, Section 5.2.

    Examples
    --------
    >>> from skaudio.neural_network import CRNNClassifier, PlateauLadder
    >>> ladder = PlateauLadder(patience=10)
    >>> clf = CRNNClassifier(lr_schedule=ladder, validation_fraction=0.1)
    >>> clf.set_params(lr_schedule__n_stages=3).lr_schedule.n_stages
    3
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_stages": [Interval(Integral, 1, None, closed="left")],
        "factor": [Interval(Real, 1, None, closed="neither")],
        "patience": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self, *, n_stages: int = 5, factor: float = 5.0, patience: int = 3
    ) -> None:
        self.n_stages = n_stages
        self.factor = factor
        self.patience = patience


class Ladder(Callback):
    """Climb down a `PlateauLadder` by the validation loss of every epoch."""

    STATE = ("stage", "n_waited", "best_loss", "best_state")

    def __init__(self, ladder: PlateauLadder) -> None:
        self.ladder = ladder
        self.stage = self.n_waited = 0
        self.best_loss = math.inf
        self.best_state: dict[str, torch.Tensor] = {}

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        """Set the rate of the stage."""
        for group in net.optimizer_.param_groups:
            group["lr"] = net.lr / self.ladder.factor**self.stage

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Keep the best weights, or lose patience."""
        loss = net.history[-1]["valid_loss"]
        if loss < self.best_loss:
            self.best_loss, self.n_waited = loss, 0
            state = net.module_.state_dict()
            self.best_state = {k: v.detach().clone() for k, v in state.items()}
            return
        self.n_waited += 1
        if self.n_waited > self.ladder.patience:
            self._next_stage(net)

    def _next_stage(self, net: Any) -> None:
        self.stage += 1
        self.n_waited, self.best_loss = 0, math.inf
        net.is_finished = self.stage == self.ladder.n_stages
        if self.best_state:  # unless no loss was a number
            net.module_.load_state_dict(self.best_state)
        net.optimizer_.state.clear()
