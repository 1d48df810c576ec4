"""States of estimators that came from a file, checked before a network is made."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator

from skaudio._training._nets import TrainingOptions, new_net
from skaudio._training._spec import SegmentSpec


def check_network(cls: Any, state: Mapping[str, Any]) -> int:
    """Refuse a network whose description and arrays differ; it takes no memory.

    Parameters
    ----------
    cls : type
        A `SegmentEstimator`.
    state : dict
        Its attributes, as a file has them.

    Returns
    -------
    n_bytes : int
        What the network will take.

    Raises
    ------
    ValueError
        If they differ.
    """
    weights = dict(state["_weights"])
    spec = SegmentSpec(**state["_spec"])
    _check_spec(spec)
    described = cls.__new__(cls)
    rest = {key: value for key, value in state.items() if key != "_weights"}
    target = described._known_target(**state["_target"])
    BaseEstimator.__setstate__(described, rest | {"_spec": spec, "_target": target})
    described = getattr(described, "_trained", described)  # parameters of that fit
    net = new_net(
        described._module(),
        spec,
        target,
        TrainingOptions.of(described),
        device="cpu",
        criterion=torch.nn.Identity(),
    )
    with torch.device("meta"):  # no memory, no random numbers
        network = net.module(**net.get_params_for("module"))
    _compare({k: tuple(t.shape) for k, t in network.state_dict().items()}, weights)
    n_values = sum(t.numel() for t in (*network.parameters(), *network.buffers()))
    return n_values * np.dtype(spec.dtype).itemsize


def _check_spec(spec: Any) -> None:
    numbers = [*spec.rates.items(), *spec.n_bins.items(), ("seconds", spec.seconds)]
    for name, number in numbers:
        if isinstance(number, str) or not (isfinite(number) and number > 0):
            raise ValueError(f"{name} is {number!r}; wanted a number above 0")
    if spec.rates.keys() != spec.n_bins.keys():
        raise ValueError(
            f"it has rates of {list(spec.rates)}, bins of {[*spec.n_bins]}"
        )
    if spec.dtype not in ("float32", "float64"):
        raise ValueError(f"the type of its weights is {spec.dtype!r:.40}")
    if not isinstance(spec.mixed_precision, (bool, type(None))):
        raise ValueError(f"its mixed_precision is {spec.mixed_precision!r:.40}")
    if not (isinstance(spec.seed, int) and 0 <= spec.seed < 2**63):
        raise ValueError(f"its seed is {spec.seed!r:.40}")


def _compare(wanted: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
    if wanted.keys() != weights.keys():
        different = sorted(map(str, wanted.keys() ^ weights.keys()))
        raise ValueError(
            f"its network and its arrays differ in {len(different)} names: "
            f"{different[0]}"
        )
    for name, shape in wanted.items():
        if weights[name].shape not in (shape, shape or (1,)):  # as older files have it
            raise ValueError(
                f"its network has {name} of shape {shape}, its arrays of shape "
                f"{weights[name].shape}"
            )
