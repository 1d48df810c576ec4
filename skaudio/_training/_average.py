"""`WeightAverage`: an exponential average of the weights over the last steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from skorch.callbacks import Callback

from skaudio.nn.layers import copy_of_state


class WeightAverage(Callback):
    """Average the weights of a network while it is trained, as `Optimizer` says.

    Parameters
    ----------
    horizon : float
        Steps that the average reaches back.
    """

    STATE = ("step", "average")

    def __init__(self, horizon: float) -> None:
        self.horizon = horizon
        self.step = 0
        self.average: dict[str, torch.Tensor] = {}

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Start from the weights as they are."""
        net.average = self
        self.restart(net)

    def restart(self, net: Any) -> None:
        """Forget all steps."""
        self.step = 0
        self.average = copy_of_state(net.module_)

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        """Move the average towards the weights after a step."""
        self.step += 1
        share = max(1 / max(self.horizon, 1), 9 / (10 + self.step))
        averages, values = [], []
        for name, value in net.module_.state_dict().items():
            if value.is_floating_point():
                averages.append(self.average[name])
                values.append(value)
            else:  # counters
                self.average[name].copy_(value)
        with torch.no_grad():
            torch._foreach_lerp_(averages, values, share)

    @contextmanager
    def applied(self, net: Any) -> Iterator[None]:
        """Lend the averaged weights to the network."""
        own = copy_of_state(net.module_)
        net.module_.load_state_dict(self.average)
        try:
            yield
        finally:
            net.module_.load_state_dict(own)
