"""Names of tensors in public files of weights, and how they map to our networks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from skaudio._weights._formats import shortened
from skaudio.nn.coala import CoalaAudioEncoder, CoalaCNN
from skaudio.nn.samplecnn import SampleCNN

NETWORKS: dict[str, type[nn.Module]] = {
    cls.__name__: cls for cls in (SampleCNN, CoalaAudioEncoder, CoalaCNN)
}


@dataclass(frozen=True)
class Weights:
    """Tensors under the names of our networks, and how these are to be built."""

    layout: str
    sr: float
    tensors: dict[str, Tensor]
    origin: dict[str, str] = field(default_factory=dict)  # names in the file
    network: str = "SampleCNN"
    arguments: dict[str, Any] = field(default_factory=dict)  # that shapes do not tell


@dataclass(frozen=True)
class Layout:
    """Names of one code base, as regular expressions below a common prefix."""

    name: str
    blocks: str  # of tensors in blocks: groups "i", "part" and "what"
    others: dict[str, str]  # names of the file to names of ours
    network: str = "SampleCNN"
    sr: float = 22_050
    first: int = 1  # number of the first block
    step: int = 1  # from the number of a block to that of the next
    ignored: str = r"(projector|model\.projector)\..*"
    arguments: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[int, ...] | None = None  # of filters that are padded as ours


PARTS = {"0": "conv", "1": "norm", "conv": "conv", "bn": "norm"}
COALA_BLOCKS = r"(?P<i>\d+)\.(?P<what>\w+)"
TORCH_EVEN = {"even_padding": "start"}  # padded by k // 2 on both sides

LAYOUTS = (
    Layout(
        "sampleCNN-pytorch",
        r"conv(?P<i>\d+)\.(?P<part>[01])\.(?P<what>\w+)",
        {"fc.weight": "output.weight", "fc.bias": "output.bias"},
        arguments=TORCH_EVEN,
    ),
    Layout(
        "sota-music-tagging-models",
        r"layer(?P<i>\d+)\.(?P<part>conv|bn)\.(?P<what>\w+)",
        {"dense.weight": "output.weight", "dense.bias": "output.bias"},
        sr=16_000,
        arguments={"first_padding": 1, **TORCH_EVEN},
    ),
    Layout(
        "CLMR",
        r"sequential\.(?P<i>\d+)\.(?P<part>[01])\.(?P<what>\w+)",
        {"fc.weight": "output.weight", "fc.bias": "output.bias"},
        first=0,
        arguments=TORCH_EVEN,
        sizes=(2, 3),  # always padded by 1
    ),
    Layout(
        "sampleCNN-configurable",
        r"all_blocks\.(?P<i>\d+)\.(?P<part>[01])\.(?P<what>\w+)",
        {},
        first=0,
    ),
    Layout(
        "COALA audio encoder",
        r"audio_encoder\." + COALA_BLOCKS,
        {"fc_audio.0.weight": "affine.weight"},
        network="CoalaAudioEncoder",
        sr=22_000,
        first=0,
        step=4,
        ignored=r"(audio_decoder|tag_encoder|tag_decoder|fc_tag)\..*",
    ),
    Layout(
        "COALA CNN",
        r"encoder\." + COALA_BLOCKS,
        {
            "fc.0.weight": "fc1.weight",
            "fc.0.bias": "fc1.bias",
            "fc.2.weight": "output.weight",
            "fc.2.bias": "output.bias",
        },
        network="CoalaCNN",
        sr=22_000,
        first=0,
        step=4,
    ),
)
PREFIXES = ("", "encoder.", "model.", "model.encoder.")

# what people mistake for the files above: a name that gives it away, and what to say
MISTAKEN = (
    (
        r"tag_encoder\.",
        "COALA's tag encoder (tag_encoder.*), which takes tags, not sound: expected "
        "audio_encoder.*, which the authors keep as audio_encoder_epoch_200.pt",
    ),
    (
        r"(audio|tag)_decoder\.",
        "a decoder of COALA, which makes spectrograms or tags of embeddings: expected "
        "audio_encoder.*, which the authors keep as audio_encoder_epoch_200.pt",
    ),
    (
        r"layer\d+\.conv_\d\.",
        "a residual network of sota-music-tagging-models (layer*.conv_1, conv_2), such "
        "as its SampleCNNSE or short-chunk CNN: expected its SampleCNN "
        "(layer1..11.conv)",
    ),
    (
        r"(spec\.|spec_bn\.|hcqt|mel_scale)",
        "a network on spectrograms, such as FCN, CRNN or MusiCNN: expected a SampleCNN",
    ),
    (r"\d+\.(weight|bias)$", "a classifier's last layers only, without the network"),
)


def looks_like(names: list[str]) -> str:
    """What a file is that fits no layout, if its names give that away."""
    for pattern, what in MISTAKEN:
        if any(re.match(pattern, name) for name in names):
            return f" It looks like {what}."
    return ""


def recognise(tensors: dict[str, Tensor], is_lightning: bool = False) -> Weights:
    """Find the layout of a state dictionary and rename its tensors."""
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name[len("module.") :]: t for name, t in tensors.items()}
    for layout in LAYOUTS:
        prefix = _find_prefix(tensors, layout)
        if prefix is not None:
            weights = _rename(tensors, layout, prefix)
            return replace(weights, layout=_variant(layout, prefix, is_lightning))
    raise ValueError(
        f"No known layout has tensors named {shortened(tensors)}."
        f"{looks_like(list(tensors))} Known layouts: "
        f"{', '.join(layout.name for layout in LAYOUTS)}."
    )


def _find_prefix(tensors: dict[str, Tensor], layout: Layout) -> str | None:
    """Longest prefix under which a layout's blocks are; Lightning has several."""
    found = {
        prefix
        for prefix in PREFIXES
        for name in tensors
        if re.fullmatch(re.escape(prefix) + layout.blocks, name)
    }
    return max(found, key=len, default=None)


def _variant(layout: Layout, prefix: str, is_lightning: bool) -> str:
    if is_lightning and layout.name == "CLMR":
        return "CLMR Lightning"
    if layout.name == "sampleCNN-pytorch" and prefix.endswith("encoder."):
        return "CLMR v1"
    return "CLMR v2" if layout.name == "CLMR" else layout.name


def _rename(tensors: dict[str, Tensor], layout: Layout, prefix: str) -> Weights:
    renamed, origin, unexpected = {}, {}, []
    for name, tensor in tensors.items():
        below = name[len(prefix) :] if name.startswith(prefix) else ""
        ours = layout.others.get(below) or _in_block(below, layout)
        if ours:
            renamed[ours], origin[ours] = tensor, name
        elif not (re.fullmatch(layout.ignored, name) or _is_copy(name, prefix)):
            unexpected.append(name)
    if unexpected:
        raise ValueError(
            f"The file has the layout of {layout.name}, but also unexpected tensors: "
            f"{shortened(unexpected)}.{looks_like(list(tensors))}"
        )
    sr, head = layout.sr, renamed.get("output.weight")
    if layout.name == "sampleCNN-pytorch" and head is not None and len(head) == 1:
        sr = 16_000  # the only public file with one output tells speech from music
    weights = Weights(layout.name, sr, renamed, origin, layout.network)
    _check_sizes(weights, layout)
    return replace(weights, arguments=layout.arguments)


def _is_copy(name: str, prefix: str) -> bool:
    """Lightning saves the encoder of CLMR twice, under two names."""
    return prefix == "model.encoder." and name.startswith("encoder.")


def _in_block(name: str, layout: Layout) -> str:
    match = re.fullmatch(layout.blocks, name)
    if match is None:
        return ""
    i, groups = int(match["i"]) - layout.first, match.groupdict()
    if "part" in groups:
        part = PARTS[groups["part"]]
    else:
        part = {0: "conv", 1: "norm"}.get(i % layout.step, "")
    if not part or i < 0:
        return ""
    return f"blocks.{i // layout.step}.{part}.{match['what']}"


def _check_sizes(weights: Weights, layout: Layout) -> None:
    """Refuse filters whose padding in the original differs from that of ours."""
    if layout.sizes is None:
        return
    for name, tensor in weights.tensors.items():
        within = re.fullmatch(r"blocks\.[1-9]\d*\.conv\.weight", name)
        if within and tensor.ndim == 3 and tensor.shape[2] not in layout.sizes:
            raise ValueError(
                f"{weights.origin[name]} has filters of {tensor.shape[2]} samples. "
                f"{layout.name} pads all its filters by 1, which SampleCNN reproduces "
                f"for lengths of {' and '.join(map(str, layout.sizes))} only."
            )


# --------------------------------------------------------- our networks from tensors


def build(weights: Weights) -> nn.Module:
    """Make the network that tensors belong to, and check that they fill it."""
    tensors = {
        name: t if name.endswith("num_batches_tracked") else t.float()
        for name, t in weights.tensors.items()
    }
    has_head = weights.network != "SampleCNN" or "output.weight" in tensors
    arguments = _ARGUMENTS[weights.network](tensors, weights)
    try:
        with torch.device("meta"):  # no memory, no random numbers
            network = NETWORKS[weights.network](**arguments | weights.arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"No {weights.network} can be made as the file says ({error})."
        ) from error
    if not has_head:  # then the output is the embedding
        network.register_module("output", nn.Identity())
    wanted = network.state_dict()
    for name, like in wanted.items():
        if name.endswith("num_batches_tracked"):
            tensors.setdefault(name, torch.tensor(0))
        elif name.startswith("scaling."):
            default = torch.ones if name.endswith("scale") else torch.zeros
            tensors.setdefault(name, default(like.shape))
    _check(tensors, wanted, weights)
    network.load_state_dict(tensors, assign=True)
    return network.eval()


def _check(
    tensors: dict[str, Tensor], wanted: dict[str, Tensor], weights: Weights
) -> None:
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
        if not torch.isfinite(tensor).all():
            raise ValueError(
                f"{origin.get(name, name)} holds NaN or infinity: the training that "
                "wrote this file diverged. Use an earlier one."
            )


def _convolutions(tensors: dict[str, Tensor], weights: Weights, ndim: int) -> list:
    """Weights of all convolutions, from bottom to top."""
    numbers = {int(name.split(".")[1]) for name in tensors if name.startswith("blocks")}
    names = [f"blocks.{i}.conv.weight" for i in range(max(numbers, default=-1) + 1)]
    missing = [name for name in names if name not in tensors]
    if missing or not names:
        raise ValueError(
            f"The file has the layout of {weights.layout}, but convolutions are "
            f"missing: {shortened(missing) or 'all'} (by the names of skaudio)."
        )
    for name in names:
        if tensors[name].ndim != ndim:
            raise ValueError(
                f"{weights.origin.get(name, name)} has {tensors[name].ndim - 2}-D "
                f"filters; wanted {ndim - 2}-D ones for {weights.layout}. Another "
                "network of the same code base?"
            )
    return [tensors[name] for name in names]


def _of_samplecnn(tensors: dict[str, Tensor], weights: Weights) -> dict[str, Any]:
    convolutions = _convolutions(tensors, weights, 3)
    *sizes, top_kernel = (w.shape[2] for w in convolutions)
    if top_kernel % 2 == 0 or not sizes:
        raise ValueError(
            f"The last of {len(convolutions)} convolutions has filters of {top_kernel} "
            "samples; wanted an odd number after at least one other layer. Is the "
            "file complete?"
        )
    head = tensors.get("output.weight")
    return {
        "n_outputs": 1 if head is None else len(head),
        "sizes": tuple(sizes),
        "filters": tuple(len(w) for w in convolutions),
        "top_kernel": top_kernel,
    }


def _of_encoder(tensors: dict[str, Tensor], weights: Weights) -> dict[str, Any]:
    return {"n_filters": len(_convolutions(tensors, weights, 4)[0])}


def _of_cnn(tensors: dict[str, Tensor], weights: Weights) -> dict[str, Any]:
    n_outputs = len(tensors.get("output.bias", ()))
    return _of_encoder(tensors, weights) | {"n_outputs": n_outputs}


_ARGUMENTS: dict[str, Callable[[dict[str, Tensor], Weights], dict[str, Any]]] = {
    "SampleCNN": _of_samplecnn,
    "CoalaAudioEncoder": _of_encoder,
    "CoalaCNN": _of_cnn,
}
