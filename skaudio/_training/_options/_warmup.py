"""`WarmupDecay`: a low rate to begin with, and lower ones after given epochs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from skaudio._utils._constraints import POSITIVE
from skaudio._utils._sklearn import Interval


class WarmupDecay(BaseEstimator):
    """Warm up at a low rate, then lower the rate after given epochs.

    The first epochs are trained at ``warmup_factor * lr``, the next ones at ``lr``, and
    after every epoch of ``decay_epochs`` the rate is multiplied by ``factor``. Epochs
    are counted as they are, whatever ``max_epochs`` is. A value of ``lr_schedule``.

    Parameters
    ----------
    warmup_epochs : int, default=10
        Epochs at the low rate, the multi-view paper's number.
    warmup_factor : float, default=0.1
        Factor on ``lr`` during them.
    decay_epochs : sequence of int, default=(200, 600, 1000)
        Epochs after which the rate falls. The paper has three of them; which they are
        is not in its text that we have: these are from another network of its authors.
    factor : float, default=0.8
        What the rate is multiplied by there, the paper's.

    Warns
    -----
    ConvergenceWarning
        In ``fit``, if training ends before the warm-up or the last of ``decay_epochs``.

    See Also
    --------
    CosineRestarts : Rates that fall and rise again.
    PlateauSchedule : Rates by the validation loss.
    skaudio.papers.phan2021 : The whole recipe.

    References
    ----------
    Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021,
    Section 3.1.3.

    Examples
    --------
    >>> from skaudio.neural_network import CRNNClassifier, WarmupDecay
    >>> schedule = WarmupDecay(warmup_epochs=2, decay_epochs=(20, 40))
    >>> clf = CRNNClassifier(lr=2e-4, lr_schedule=schedule, max_epochs=60)
    >>> clf.set_params(lr_schedule__factor=0.5).lr_schedule.factor
    0.5
    """

    _watches_validation = False
    _parameter_constraints: dict[str, list[Any]] = {
        "warmup_epochs": [Interval(Real, 0, None, closed="left")],
        "warmup_factor": [POSITIVE],
        "decay_epochs": ["array-like"],
        "factor": [POSITIVE],
    }

    def __init__(
        self,
        *,
        warmup_epochs: int = 10,
        warmup_factor: float = 0.1,
        decay_epochs: Sequence[int] = (200, 600, 1000),
        factor: float = 0.8,
    ) -> None:
        self.warmup_epochs = warmup_epochs
        self.warmup_factor = warmup_factor
        self.decay_epochs = decay_epochs
        self.factor = factor

    def _rate(self, lr: float, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0, for the base rate ``lr``."""
        if epoch < self.warmup_epochs:
            return lr * self.warmup_factor
        n_decays = sum(epoch >= at for at in self.decay_epochs)
        return float(lr * self.factor**n_decays)

    def _check_epochs(self, max_epochs: int) -> None:
        """Refuse what is no epoch; warn of a training that ends before the schedule."""
        epochs: list[Any] = list(self.decay_epochs)
        for at in epochs:
            if not (isinstance(at, Real) and float(at) >= 0):
                raise ValueError(
                    f"decay_epochs must be numbers of epochs, not below zero; got "
                    f"{at!r} in {self!r}."
                )
        last = max([self.warmup_epochs, *epochs])
        if last >= max_epochs:
            warnings.warn(
                f"max_epochs={max_epochs} ends training before lr_schedule={self!r} "
                f"does: its last change of the rate is after epoch {last}. Raise "
                "max_epochs, or give earlier decay_epochs.",
                ConvergenceWarning,
                stacklevel=2,
            )
