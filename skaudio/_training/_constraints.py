"""Constraints of the parameters that neural estimators share."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from skaudio._training._options._augmentation import Augmentation
from skaudio._training._options._cosine import CosineRestarts
from skaudio._training._options._optimizer import OPTIMIZERS, Optimizer
from skaudio._training._options._plateau import PlateauSchedule
from skaudio._training._options._schedules import SCHEDULES
from skaudio._training._options._validation import FRACTION, Validation
from skaudio._training._options._warmup import WarmupDecay
from skaudio._training._parameters import SCHEDULE_OBJECTS
from skaudio._training._rates import AUTO
from skaudio._utils._constraints import COUNT, POSITIVE
from skaudio._utils._sklearn import Interval, RealNotInt, StrOptions
from skaudio.views._base import ViewSource

SHARED_CONSTRAINTS: dict[str, list[Any]] = {
    "views": [ViewSource, None],
    "augmentation": [Augmentation, None],
    "width": [POSITIVE],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "max_epochs": [COUNT],
    "batch_size": [Interval(Integral, 2, None, closed="left")],
    "lr": [POSITIVE],
    "optimizer": [StrOptions(set(OPTIMIZERS)), Optimizer],
    "lr_schedule": [
        StrOptions({*SCHEDULES, *SCHEDULE_OBJECTS}),
        PlateauSchedule,
        CosineRestarts,
        WarmupDecay,
    ],
    "segment_length": [
        StrOptions({AUTO}),
        None,
        COUNT,
        Interval(RealNotInt, 0, None, closed="neither"),
    ],
    "n_segments": [COUNT],
    "validation_fraction": [*FRACTION, Validation],
    "class_weight": [StrOptions({"balanced"}), dict, None],
    "callbacks": [list, tuple, None],
    "device": [str],
    "mixed_precision": ["boolean", StrOptions({AUTO})],
    "compile": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def shared_constraints(without: tuple[str, ...]) -> dict[str, list[Any]]:
    """Constraints of the parameters that all classifiers share, but for a few."""
    return {k: v for k, v in SHARED_CONSTRAINTS.items() if k not in without}


def check_sizes(name: str, sizes: Sequence[Any], least: int = 0) -> None:
    """Refuse what are not sizes of ``least`` layers or more."""
    are_counts = all(isinstance(size, Integral) and int(size) >= 1 for size in sizes)
    if not are_counts or len(sizes) < least:
        raise ValueError(
            f"{name} must list whole numbers above 0, one for each layer"
            f"{f', of which there is {least} or more' if least else ''}; got {sizes!r}."
        )
