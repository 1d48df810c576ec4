"""Learning-rate schedules: factors on the base rate, by progress through training."""

from __future__ import annotations

import math
from collections.abc import Callable

PLATEAU = "reduce-on-plateau"


def _one_cycle(progress: float) -> float:
    """Rise from 1/25 over the first quarter, then fall to zero, along cosines."""
    if progress < 0.25:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / 0.25)) / 2
    return (1 + math.cos(math.pi * (progress - 0.25) / 0.75)) / 2


def _warmup_decay(progress: float) -> float:
    """Follow the multi-view paper's recipe, scaled to the budget.

    A tenth of the rate for the first 0.5 % of training, then times 0.8 after 10, 30
    and 50 % (epochs 10, 200, 600 and 1000 of 2000).
    """
    if progress < 0.005:
        return 0.1
    decays = sum(progress >= at for at in (0.1, 0.3, 0.5))
    return float(0.8**decays)


def _constant(progress: float) -> float:
    return 1.0


SCHEDULES: dict[str, Callable[[float], float]] = {
    "one-cycle": _one_cycle,
    "warmup-decay": _warmup_decay,
    "constant": _constant,
}
