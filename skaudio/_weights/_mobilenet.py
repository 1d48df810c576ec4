"""MobileNet v1 without its head, from state dictionaries of other code bases."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from skaudio._utils._files import size_of_file
from skaudio._utils._text import shortened
from skaudio._weights._families import recognise
from skaudio._weights._formats import open_weights
from skaudio._weights._layouts import Layout, Tensors, Weights
from skaudio.nn.mobilenet import SEPARABLE, MobileNet

TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
EPS = 1e-5  # of our networks
# depthwise and mixing convolution of the i-th separable one: their modules' names
Names = Callable[[int], tuple[tuple[str, str], tuple[str, str]]]
TIMM = [(stage, i) for stage, n in enumerate((1, 2, 2, 6, 2)) for i in range(n)]
RETINAFACE = [
    (stage, i + (stage == 1)) for stage, n in ((1, 5), (2, 6), (3, 2)) for i in range(n)
]


def _in_sequence(block: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (f"{block}.0", f"{block}.1"), (f"{block}.3", f"{block}.4")


def _of_timm(k: int) -> tuple[tuple[str, str], tuple[str, str]]:
    block = "blocks.{}.{}.".format(*TIMM[k])
    return (f"{block}conv_dw", f"{block}bn1"), (f"{block}conv_pw", f"{block}bn2")


def _of_transformers(k: int) -> tuple[tuple[str, str], tuple[str, str]]:
    first, second = (f"mobilenet_v1.layer.{i}." for i in (2 * k, 2 * k + 1))
    conv, norm = "convolution", "normalization"
    return (first + conv, first + norm), (second + conv, second + norm)


def _names(first: tuple[str, str], separable: Names) -> dict[str, str]:
    """Names of tensors in a file to ours."""
    pairs = [first]
    for k in range(len(SEPARABLE)):
        pairs += separable(k)
    return {
        f"{theirs}.{tensor}": f"blocks.{i}.{ours}.{tensor}"
        for i, pair in enumerate(pairs)
        for theirs, ours in zip(pair, ("conv", "norm"), strict=True)
        for tensor in (TENSORS if ours == "norm" else TENSORS[:1])
    }


def _layout(
    name: str, first: tuple[str, str], separable: Names, head: str, eps: float = EPS
) -> Layout:
    # the first convolution's weight identifies it
    identity = first[0].replace(".", r"\.") + r"\.weight"
    names, options = _names(first, separable), {"norm_eps": eps}
    return Layout(
        name,
        MobileNet,
        identity,
        names,
        0.0,
        step=0,
        ignored=rf"({head})\.(weight|bias)",
        arguments=options,
    )


LAYOUTS = (
    _layout(
        "pytorch-mobilenet",
        ("model.0.0", "model.0.1"),
        lambda k: _in_sequence(f"model.{k + 1}"),
        head="fc",
    ),
    _layout(
        "Pytorch_Retinaface",
        ("stage1.0.0", "stage1.0.1"),
        lambda k: _in_sequence("stage{}.{}".format(*RETINAFACE[k])),
        head="fc",
    ),
    _layout("timm", ("conv_stem", "bn1"), _of_timm, head="classifier"),
    _layout(
        "transformers",
        (
            "mobilenet_v1.conv_stem.convolution",
            "mobilenet_v1.conv_stem.normalization",
        ),
        _of_transformers,
        head="classifier",
        eps=1e-3,
    ),
)
LEAKY = {"Pytorch_Retinaface": 0.1}
MISTAKEN = (
    (
        r"(features\.\d+\.(conv|block)\.|blocks\.\d+\.\d+\.conv_pwl\.|mobilenet_v2\.)",
        "MobileNet v2, v3 or EfficientNet, with other blocks: expected MobileNet v1",
    ),
    (r"layer\d\.\d+\.conv1\.", "a residual network: expected MobileNet v1"),
    (r"features\.\d+\.(weight|bias)", "a VGG or AlexNet: expected MobileNet v1"),
)


def read_backbone(
    path: str | os.PathLike[str], *, width: float, negative_slope: float | None
) -> dict[str, np.ndarray]:
    """Tensors of a `MobileNet` from a file, without its head.

    Parameters
    ----------
    path : str or path-like
        File of torch or safetensors with a state dictionary. Nothing in it is executed.
    width : float
        Of the network that they are for.
    negative_slope : float or None
        Of its rectifiers.

    Returns
    -------
    tensors : dict of str to ndarray
        By the names of `MobileNet`.

    Raises
    ------
    ValueError
        If the file is another network's, or for another width or rectifier.
    """
    path = Path(path)
    size_of_file(path)
    try:
        file = open_weights(path.read_bytes(), path.name)
        if file.content:
            raise ValueError("it is no file of torch or safetensors.")
        weights = recognise(
            file.tensors, file.is_lightning, known=LAYOUTS, mistaken=MISTAKEN
        )
        tensors = _checked(weights, width)
    except ValueError as error:
        if path.name in str(error):
            raise
        raise ValueError(f"{path.name} cannot be used: {error}") from error
    slope = LEAKY.get(weights.layout)
    if slope != negative_slope:
        raise ValueError(
            f"{path.name} has weights for negative_slope={slope} ({weights.layout}), "
            f"but negative_slope={negative_slope}. Set it to {slope}."
        )
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _checked(weights: Weights, width: float) -> Tensors:
    """Tensors of the blocks, each of the shape that the width wants, and finite."""
    with torch.device("meta"):
        network: nn.Module = MobileNet(1, width=width)
    wanted = {k: v for k, v in network.state_dict().items() if k.startswith("blocks.")}
    tensors = {name: t.float() for name, t in weights.tensors.items()}
    counts = [name for name in wanted if name.endswith("num_batches_tracked")]
    tensors |= {name: torch.tensor(0) for name in counts}
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise ValueError(
            f"it has the layout of {weights.layout}, but {len(missing)} tensors are "
            f"missing: {shortened(missing)} (by the names of skaudio). Is it cut short?"
        )
    for name, like in wanted.items():
        tensor, theirs = tensors[name], weights.origin.get(name, name)
        if tensor.shape != like.shape:
            n_first = len(tensors["blocks.0.conv.weight"])
            raise ValueError(
                f"{theirs} has shape {tuple(tensor.shape)}; wanted {tuple(like.shape)} "
                f"for width={width:g}. The first convolution has {n_first} filters, "
                f"as width={n_first / 32:g} has."
            )
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{theirs} holds NaN or infinity.")
    eps = weights.arguments["norm_eps"]
    for name in wanted:
        if name.endswith("running_var"):
            if (tensors[name] < 0).any():
                raise ValueError(f"{weights.origin[name]} holds variances below 0.")
            # the same scale with our own number added
            tensors[name] = tensors[name] + (eps - EPS)
    return {name: tensors[name] for name in wanted}
