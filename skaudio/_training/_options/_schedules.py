"""Learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable

CONSTANT = "constant"


def _one_cycle(progress: float) -> float:
    """Rise from 1/25 over the first quarter, then fall to zero, along cosines."""
    if progress < 0.25:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / 0.25)) / 2
    return (1 + math.cos(math.pi * (progress - 0.25) / 0.75)) / 2


def _constant(progress: float) -> float:
    return 1.0


# by progress through training
SCHEDULES: dict[str, Callable[[float], float]] = {
    "one-cycle": _one_cycle,
    CONSTANT: _constant,
}
