"""SampleCNN, and networks with the same layers: CLMR's and those of other ports."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from skaudio._weights._layouts import Family, Layout, Tensors, Weights, convolutions
from skaudio.nn.samplecnn import SampleCNN

SR = 22_050
TORCH_EVEN = {"even_padding": "start"}  # padded by k // 2 on both sides
PROJECTOR = r"(projector|model\.projector)\..*"  # of CLMR's training
PADDED_AS_OURS = (2, 3)  # lengths of filters, where all are padded by 1


def _name_of_clmr(name: str, prefix: str, is_lightning: bool) -> str:
    return "CLMR Lightning" if is_lightning else "CLMR v2"


def _name_of_pytorch(name: str, prefix: str, is_lightning: bool) -> str:
    return "CLMR v1" if prefix.endswith("encoder.") else name


def _check_sizes(weights: Weights) -> None:
    """Refuse filters whose padding in the original differs from that of ours."""
    for name, tensor in weights.tensors.items():
        within = re.fullmatch(r"blocks\.[1-9]\d*\.conv\.weight", name)
        if within and tensor.ndim == 3 and tensor.shape[2] not in PADDED_AS_OURS:
            raise ValueError(
                f"{weights.origin[name]} has filters of {tensor.shape[2]} samples. "
                f"CLMR pads all its filters by 1, which SampleCNN reproduces for "
                f"lengths of {' and '.join(map(str, PADDED_AS_OURS))} only."
            )


LAYOUTS = (
    Layout(
        "sampleCNN-pytorch",
        SampleCNN,
        r"conv(?P<i>\d+)\.(?P<part>[01])\.(?P<what>\w+)",
        {"fc.weight": "output.weight", "fc.bias": "output.bias"},
        SR,
        sr_by_outputs={1: 16_000},  # the only such file is for speech or music
        ignored=PROJECTOR,
        arguments=TORCH_EVEN,
        variant=_name_of_pytorch,
    ),
    Layout(
        "sota-music-tagging-models",
        SampleCNN,
        r"layer(?P<i>\d+)\.(?P<part>conv|bn)\.(?P<what>\w+)",
        {"dense.weight": "output.weight", "dense.bias": "output.bias"},
        16_000,
        ignored=PROJECTOR,
        arguments={"first_padding": 1, **TORCH_EVEN},
    ),
    Layout(
        "CLMR",
        SampleCNN,
        r"sequential\.(?P<i>\d+)\.(?P<part>[01])\.(?P<what>\w+)",
        {"fc.weight": "output.weight", "fc.bias": "output.bias"},
        SR,
        first=0,
        ignored=PROJECTOR,
        arguments=TORCH_EVEN,
        variant=_name_of_clmr,
        check=_check_sizes,
    ),
    Layout(
        "sampleCNN-configurable",
        SampleCNN,
        r"all_blocks\.(?P<i>\d+)\.(?P<part>[01])\.(?P<what>\w+)",
        {},
        SR,
        first=0,
        ignored=PROJECTOR,
    ),
)


def _arguments(weights: Weights, tensors: Tensors) -> dict[str, Any]:
    filters = convolutions(tensors, weights, 3)
    *sizes, top_kernel = (w.shape[2] for w in filters)
    if top_kernel % 2 == 0 or not sizes:
        raise ValueError(
            f"The last of {len(filters)} convolutions has filters of {top_kernel} "
            "samples; wanted an odd number after at least one other layer. Is the "
            "file complete?"
        )
    head = tensors.get("output.weight")
    return {
        "n_outputs": 1 if head is None else len(head),
        "sizes": tuple(sizes),
        "filters": tuple(len(w) for w in filters),
        "top_kernel": top_kernel,
    }


def _complete(network: nn.Module, tensors: Tensors) -> None:
    if "output.weight" not in tensors:  # then the output is the embedding
        network.register_module("output", nn.Identity())


SAMPLECNN = Family(
    "samplecnn",
    "SampleCNN",
    (SampleCNN,),
    LAYOUTS,
    _arguments,
    complete=_complete,
    unseen=("even_padding", "first_padding", "negative_slope", "norm_eps"),
    mistaken=(
        (
            r"layer\d+\.conv_\d\.",
            "a residual network of sota-music-tagging-models (layer*.conv_1, conv_2), "
            "such as its SampleCNNSE or short-chunk CNN: expected its SampleCNN "
            "(layer1..11.conv)",
        ),
    ),
)
