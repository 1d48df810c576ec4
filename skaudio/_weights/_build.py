"""Networks of `skaudio.nn` from tensors, which must fit to the last one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from skaudio._utils._text import shortened
from skaudio._weights._layouts import Family, Tensors, Weights


def build(
    weights: Weights, family: Family, params: Mapping[str, Any] | None = None
) -> nn.Module:
    """Make the network that tensors belong to, and check that they fill it.

    ``params`` are arguments of its constructor that no tensor shows, in place of those
    that are usual for the layout.
    """
    params = dict(params or {})
    _refuse_shown(params, weights, family)
    tensors = {
        name: t if name.endswith("num_batches_tracked") else t.float()
        for name, t in weights.tensors.items()
    }
    arguments = family.arguments(weights, tensors)
    for name in arguments.keys() & weights.arguments.keys():
        stated, found = weights.arguments[name], arguments[name]
        if isinstance(stated, (list, tuple)) and len(stated) != len(found):
            raise ValueError(
                f"The file states {name}={stated!r:.80}, but its tensors give {found}."
            )
    try:
        with torch.device("meta"):  # no memory, no random numbers
            network = weights.network(**arguments | weights.arguments | params)
    except Exception as error:  # whatever arguments of a file lead to
        raise ValueError(
            f"No {weights.network.__name__} can be made from this file"
            + (f" with network_params={params}" if params else "")
            + f" ({error})."
        ) from error
    family.complete(network, tensors)
    wanted = network.state_dict()
    for name in wanted:
        if name.endswith("num_batches_tracked"):
            tensors.setdefault(name, torch.tensor(0))
    _check(tensors, wanted, weights)
    network.load_state_dict(tensors, assign=True)
    return network.eval()


def _refuse_shown(params: Mapping[str, Any], weights: Weights, family: Family) -> None:
    """Refuse to be told what tensors show, or what the network does not know."""
    known = inspect.signature(weights.network).parameters
    for name in params:
        if name in family.unseen:
            continue
        why = "follows from the file" if name in known else "is no argument of it"
        can = f"can be {', '.join(family.unseen)}" if family.unseen else "must be None"
        raise ValueError(
            f"network_params has {name!r}, but the file holds a "
            f"{weights.network.__name__}, and this {why}: for {family.title}, "
            f"network_params {can}."
        )


def _check(tensors: Tensors, wanted: Tensors, weights: Weights) -> None:
    origin = weights.origin
    missing = [name for name in wanted if name not in tensors]
    unexpected = [origin.get(name, name) for name in tensors if name not in wanted]
    if missing or unexpected:
        raise ValueError(
            f"The file has the layout of {weights.layout}, but "
            + " and ".join(
                f"{n} tensors are {what}: {shortened(names)}"
                for what, names in (("missing", missing), ("unexpected", unexpected))
                if (n := len(names))
            )
            + ". (Missing ones are given by the names of skaudio.)" * bool(missing)
        )
    for name, like in wanted.items():
        tensor = tensors[name]
        if tensor.shape != like.shape:
            raise ValueError(
                f"{origin.get(name, name)} has shape {tuple(tensor.shape)}; wanted "
                f"{tuple(like.shape)} for {weights.layout}, by the other tensors."
            )
        if name.endswith("running_var") and (tensor < 0).any():
            raise ValueError(f"{origin.get(name, name)} holds variances below 0.")
        if not torch.isfinite(tensor).all():
            raise ValueError(
                f"{origin.get(name, name)} holds NaN or infinity: the training that "
                "wrote this file diverged. Use an earlier one."
            )
