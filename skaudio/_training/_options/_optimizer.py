"""`Optimizer`: how gradients become steps, and which weights are kept of the steps."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.base import BaseEstimator

from skaudio._utils._constraints import NOT_NEGATIVE
from skaudio._utils._sklearn import StrOptions

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": torch.optim.Adam},
    "adamw": {"optimizer": torch.optim.AdamW},
    "sgd": {"optimizer": torch.optim.SGD},
    "nesterov": {
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "optimizer__nesterov": True,
    },
}


class Optimizer(BaseEstimator):
    """How a network is optimised, as a value of ``optimizer``.

    Parameters
    ----------
    name : {"adam", "adamw", "sgd", "nesterov"}, default="adam"
        Rule of the steps: Adam; Adam with decoupled weight decay; stochastic gradient
        descent without momentum, or with Nesterov's of 0.9. Its rate is ``lr``.
    weight_decay : float or None, default=None
        Weight decay: the factor on the weights that is added to their gradients, or
        for "adamw" the share of ``lr`` by which weights shrink in every step. None is
        PyTorch's choice, 0.01 for "adamw" and 0 for others.
    average_epochs : float, default=0.0
        Epochs over which an exponential average of the weights reaches back. It is the
        averaged network that is evaluated and kept; training itself goes on from the
        weights as they are. 0 averages nothing.

    See Also
    --------
    CRNNClassifier : Takes it, like every network here, as ``optimizer``.
    Validation : Which of the networks of a training is kept.

    Notes
    -----
    With steps per epoch ``n`` and ``h = average_epochs * n``, at least 1, a step moves
    the average by ``max(1 / h, 9 / (10 + t))`` of the way to the weights after step
    ``t``: at the start of training it forgets faster. Statistics of batch normalisation
    are averaged likewise.

    References
    ----------
    B. T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by
    averaging", SIAM Journal on Control and Optimization 30(4), 1992.

    Examples
    --------
    >>> from skaudio.neural_network import CRNNClassifier, Optimizer
    >>> clf = CRNNClassifier(optimizer=Optimizer("adamw", weight_decay=0.01))
    >>> clf.set_params(optimizer__average_epochs=2).optimizer
    Optimizer(average_epochs=2, name='adamw', weight_decay=0.01)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "name": [StrOptions(set(OPTIMIZERS))],
        "weight_decay": [NOT_NEGATIVE, None],
        "average_epochs": [NOT_NEGATIVE],
    }

    def __init__(
        self,
        name: str = "adam",
        *,
        weight_decay: float | None = None,
        average_epochs: float = 0.0,
    ) -> None:
        self.name = name
        self.weight_decay = weight_decay
        self.average_epochs = average_epochs

    def _arguments(self) -> dict[str, Any]:
        """Parameters of a skorch net."""
        if self.weight_decay is None:
            return OPTIMIZERS[self.name]
        return {**OPTIMIZERS[self.name], "optimizer__weight_decay": self.weight_decay}
