"""Nets for training and for inference, from the options of an estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from skaudio._training._datasets import RandomSegments
from skaudio._training._net import SegmentNet
from skaudio._training._rates import AUTO
from skaudio._training._spec import SegmentSpec
from skaudio._training._targets import Target
from skaudio.nn.devices import available_device


@dataclass(frozen=True)
class TrainingOptions:
    """Parameters that all neural estimators share, as the trainer takes them."""

    max_epochs: int
    batch_size: int
    lr: float
    optimizer: Any
    lr_schedule: Any
    validation_fraction: Any
    callbacks: Any
    device: str
    mixed_precision: bool | str
    compile: bool
    verbose: int

    @classmethod
    def of(cls, estimator: Any) -> Self:
        """Take the parameters of an estimator, objects for their names."""
        return cls(**{f.name: estimator._value(f.name) for f in fields(cls)})


def new_net(
    module: dict[str, Any],
    spec: SegmentSpec,
    target: Target,
    options: TrainingOptions,
    *,
    device: str,
    criterion: nn.Module,
    callbacks: Sequence[Any] = (),
    training_input: Any = None,
) -> SegmentNet:
    """Make a net that is not yet initialised."""
    mixed_precision = spec.mixed_precision
    if mixed_precision is None:  # of no training that has chosen
        mixed_precision = options.mixed_precision not in (False, AUTO)
    sizes = {f"module__{name}": size for name, size in target.sizes.items()}
    return SegmentNet(
        **module,
        **spec.module_arguments(module["module"]),
        **sizes,
        **options.optimizer._arguments(),
        criterion=criterion,
        lr=options.lr,
        max_epochs=options.max_epochs,
        batch_size=options.batch_size,
        iterator_train=RandomSegments,
        train_split=None,
        callbacks=list(callbacks),
        verbose=0,
        device=device,
        seed=spec.seed,
        dtype=spec.dtype,
        mixed_precision=mixed_precision,
        compiled=options.compile,
        training_input=training_input,
        target_inputs=target.inputs,
    )


def inference_net(
    module: dict[str, Any],
    spec: SegmentSpec,
    target: Target,
    options: TrainingOptions,
    weights: Mapping[str, Any],
) -> SegmentNet:
    """Make a net with the given weights and nothing left of training."""
    device = available_device(options.device)
    net = new_net(
        module, spec, target, options, device=device, criterion=nn.Identity()
    ).initialize()
    net.module_.load_state_dict(
        {
            k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v
            for k, v in weights.items()
        }
    )
    return net
