"""Learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from skaudio._training._options._plateau import PlateauSchedule
from skaudio._training._options._warmup import WarmupDecay

CONSTANT = "constant"

# names of schedules that are objects with parameters
NAMED: dict[str, Any] = {
    "reduce-on-plateau": PlateauSchedule,
    "warmup-decay": WarmupDecay,
}


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


def as_schedule(value: Any) -> Any:
    """Return the schedule that a name stands for; of `SCHEDULES`, the name itself."""
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]()
    return value
