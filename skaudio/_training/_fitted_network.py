"""`FittedNetwork`: where a training starts that is not the first one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from skaudio._training._callbacks import Start
from skaudio._training._spec import SegmentSpec, dtype_of
from skaudio._training._targets import Target
from skaudio._utils._container import Views


@dataclass(frozen=True)
class FittedNetwork:
    """A network to train further.

    Parameters
    ----------
    estimator : SegmentEstimator
        A fitted one, with the network.
    frozen : sequence of str
        Names of modules that training leaves as they are.
    reset_head : bool or "auto"
        Whether the output layers start anew; "auto" where the target is another one.
    """

    estimator: Any
    frozen: Sequence[str]
    reset_head: bool | str

    @property
    def scaler(self) -> Any:
        """What standardises views that are computed for the network."""
        return getattr(self.estimator, "scaler_", None)

    def spec(self, estimator: Any, views: Views, seed: int) -> SegmentSpec:
        """Segments as the network takes them, cut from other views."""
        spec = self.estimator._spec
        spec.check(estimator, views)
        return replace(spec, seed=seed, dtype=dtype_of(views), mixed_precision=None)

    def start(self, target: Target) -> Start:
        """Weights to start from, for a target of the new training."""
        module = self.estimator.net_.module_
        is_same = target.is_like(self.estimator._target)
        if self.reset_head is False and not is_same:
            raise ValueError(
                "The network was trained for other classes or tags, so its output "
                "layers cannot be kept. Set reset_head='auto', or True."
            )
        keep = is_same if self.reset_head == "auto" else not self.reset_head
        dropped = () if keep else tuple(f"{name}." for name in module.output_layers)
        weights = {
            name: tensor.cpu().numpy()
            for name, tensor in module.state_dict().items()
            if not name.startswith(dropped)
        }
        return Start(weights, self.frozen)
