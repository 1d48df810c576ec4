"""Training whose numbers are no longer finite: no such model is handed out."""

from __future__ import annotations

import math
import warnings
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from torch import nn

LOSSES = "train_loss", "valid_loss"


def diverged_in(history: list[dict[str, Any]], has_validation: bool) -> int | None:
    """The first epoch, from 1, with a loss that is not finite."""
    watched = LOSSES if has_validation else LOSSES[:1]
    for row in history:
        if not all(math.isfinite(row[name]) for name in watched):
            return int(row["epoch"])
    return None


def is_finite(module: nn.Module) -> bool:
    """Whether all weights and statistics of a network are finite numbers."""
    return all(bool(t.isfinite().all()) for t in module.state_dict().values())


def raise_or_warn(epoch: int, lr: float, best_step: int) -> None:
    """Raise if no trained model can be kept; otherwise warn that training ended.

    Parameters
    ----------
    epoch : int
        When it happened.
    lr : float
        Base learning rate.
    best_step : int
        Step of the best model on validation clips; 0 if there is none.
    """
    message = (
        f"Training diverged in epoch {epoch}: its loss or its weights are no finite "
        f"numbers. Lower lr (it is {lr:g}), standardise the input (ViewScaler), and "
        "check class_weight."
    )
    if not best_step:
        raise ValueError(message)
    warnings.warn(
        f"{message} The best model of the validation clips is kept, of step "
        f"{best_step}.",
        ConvergenceWarning,
        stacklevel=2,
    )
