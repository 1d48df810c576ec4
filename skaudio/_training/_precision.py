"""What a network is computed in: bfloat16 if asked for, or where it pays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from skaudio._training._checkpoint_file import read
from skaudio._training._identity import identity_of
from skaudio._training._rates import AUTO
from skaudio.nn.devices import has_bfloat16

# Multiplications for every number that a layer reads or writes, from which on bfloat16
# is faster. Rounding is work for every number, what is saved is work for every product.
# By benchmarks/speed/mixed_precision.py: networks below it train 0.7 to 1.2 times as
# fast in bfloat16 and predict 0.5 to 1.2 times, those above it train 1.1 to 2.0 times
# as fast and predict 0.8 to 1.6 times.
LEAST_PRODUCTS = 30.0
LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def is_mixed(
    wanted: bool | str,
    device: str,
    dtype: str,
    net: Callable[[], Any],
    data: Any,
    checkpoint: Any = None,
) -> bool:
    """Whether a network computes in bfloat16, in training and all of its life.

    The choice depends on the device and on sizes, not on a clock: it is the same in
    every run.

    Parameters
    ----------
    wanted : bool or "auto"
        What was asked for.
    device : str
        Where is trained.
    dtype : str
        Type of segments and weights.
    net : callable
        Makes a `SegmentNet` that is like the one to train, initialised.
    data : SegmentDataset
        At least one clip, of which one segment is looked at.
    checkpoint : path-like or None, default=None
        A training that is to go on goes on as it began.
    """
    chosen: Any = wanted
    if chosen == AUTO:
        chosen = _of_checkpoint(checkpoint)
    if chosen is None:
        chosen = dtype == "float32" and has_bfloat16(device)
        if chosen and torch.device(device).type == "cpu":
            chosen = products_per_value(net(), data) >= LEAST_PRODUCTS
    return bool(chosen)


def _of_checkpoint(path: Any) -> bool | None:
    """What the training of a checkpoint is computed in, if there is one."""
    saved = None if path is None else read(Path(path))
    digest = "" if saved is None else saved["identity"].get("mixed_precision", "")
    return {identity_of(choice): choice for choice in (False, True)}.get(digest)


def products_per_value(net: Any, data: Any) -> float:
    """Multiplications per number that convolutions and linear layers read or write.

    Parameters
    ----------
    net : SegmentNet
        Initialised, and of no other use: it is left with hooks.
    data : SegmentDataset
        At least one clip, of which one segment is looked at.
    """
    products = values = weights = 0

    def count(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal products, values, weights
        transposed = getattr(layer, "transposed", False)
        rows = inputs[0] if transposed else output  # each is a product with a filter
        products += rows.numel() * layer.weight[0].numel()
        values += inputs[0].numel() + output.numel()
        weights += layer.weight.numel()

    with torch.inference_mode():
        network = net.for_inference(net.module_)
    for layer in network.modules():
        if isinstance(layer, LAYERS):
            layer.register_forward_hook(count)
    net.outputs(data, *data.even_segments(1))
    return products / max(values + weights / net.batch_size, 1)
