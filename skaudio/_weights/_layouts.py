"""What a family of networks states of itself, and tensors under the names of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from skaudio._utils._text import shortened

Tensors = dict[str, Tensor]
PREFIXES = ("", "encoder.", "model.", "model.encoder.")
AFFINE = ("weight", "bias")
NORM = (*AFFINE, "running_mean", "running_var", "num_batches_tracked")
PARTS = {"0": "conv", "1": "norm", "conv": "conv", "bn": "norm"}


@dataclass(frozen=True)
class Weights:
    """Tensors under the names of our networks, and how these are to be built."""

    layout: str
    sr: float
    tensors: Tensors
    origin: dict[str, str] = field(default_factory=dict)  # names in the file
    # of the constructor, as far as they do not follow from shapes
    arguments: dict[str, Any] = field(default_factory=dict)
    network: type[nn.Module] = field(kw_only=True)


def _as_named(name: str, prefix: str, is_lightning: bool) -> str:
    return name


def _anything(weights: Weights) -> None:
    pass


@dataclass(frozen=True)
class Layout:
    """Names of tensors in one code base, as regular expressions below a prefix."""

    name: str
    network: type[nn.Module]
    blocks: str  # of tensors in blocks: groups "i", "what" and, unless counted, "part"
    others: dict[str, str]  # names of the file to names of ours
    sr: float  # Hz
    sr_by_outputs: dict[int, float] = field(default_factory=dict)  # where it differs
    first: int = 1  # number of the first block
    # from the number of a block to that of the next; 0: all names are in `others`
    step: int = 1
    ignored: str = ""  # tensors that belong to something else
    needs: tuple[str, ...] = ()  # names that tell it from others with the same blocks
    # of the constructor, as far as they do not follow from shapes
    arguments: dict[str, Any] = field(default_factory=dict)
    # name as reported, of the name above, the prefix, and whether Lightning wrote it
    variant: Callable[[str, str, bool], str] = _as_named
    check: Callable[[Weights], None] = _anything  # refuses what ours cannot reproduce


@dataclass(frozen=True)
class Scaler:
    """A second file that a network needs, which scales what it takes."""

    address: str  # where its authors keep it, for messages
    module: str  # name of the part of the network that holds its values
    read: Callable[[Path], tuple[Tensors, str]]  # values, and SHA-256 of the file


def _no_change(network: nn.Module, tensors: Tensors) -> None:
    pass


@dataclass(frozen=True)
class Family:
    """Networks of one kind with everything that is known about their files."""

    kind: str  # the name of its backend in skaudio.embedding
    title: str  # of messages
    networks: tuple[type[nn.Module], ...]
    layouts: tuple[Layout, ...]
    # arguments of a network's constructor that follow from the shapes of tensors
    arguments: Callable[[Weights, Tensors], dict[str, Any]]
    # change the network or the tensors where files may lack some
    complete: Callable[[nn.Module, Tensors], None] = _no_change
    scaler: Scaler | None = None
    unseen: tuple[str, ...] = ()  # arguments that change values and no tensor shows
    # files easily mistaken for its own: a name that identifies them, and the message
    mistaken: tuple[tuple[str, str], ...] = ()


def find_prefix(tensors: Tensors, layout: Layout) -> str | None:
    """Longest prefix under which a layout's blocks are; Lightning has several."""
    found = {
        prefix
        for prefix in PREFIXES
        for name in tensors
        if re.fullmatch(re.escape(prefix) + layout.blocks, name)
        and all(prefix + needed in tensors for needed in layout.needs)
    }
    return max(found, key=len, default=None)


def renamed(
    tensors: Tensors, layout: Layout, prefix: str, is_lightning: bool
) -> tuple[Weights, list[str]]:
    """Tensors under our names, and the names of those that the layout has not."""
    ours, origin, unexpected = {}, {}, []
    for name, tensor in tensors.items():
        below = name[len(prefix) :] if name.startswith(prefix) else ""
        own = layout.others.get(below) or _in_block(below, layout)
        if own:
            ours[own], origin[own] = tensor, name
        elif not (re.fullmatch(layout.ignored, name) or _is_copy(name, prefix)):
            unexpected.append(name)
    weights = Weights(
        layout.variant(layout.name, prefix, is_lightning),
        layout.sr_by_outputs.get(len(ours.get("output.weight", ())), layout.sr),
        ours,
        origin,
        layout.arguments,
        network=layout.network,
    )
    if not unexpected:
        layout.check(weights)
    return weights, unexpected


def _is_copy(name: str, prefix: str) -> bool:
    """Lightning saves an encoder twice, under two names."""
    return prefix == "model.encoder." and name.startswith("encoder.")


def _in_block(name: str, layout: Layout) -> str:
    match = re.fullmatch(layout.blocks, name)
    if match is None or not layout.step:
        return ""
    i, groups = int(match["i"]) - layout.first, match.groupdict()
    if "part" in groups:
        part = PARTS[groups["part"]]
    else:
        part = {0: "conv", 1: "norm"}.get(i % layout.step, "")
    if not part or i < 0:
        return ""
    return f"blocks.{i // layout.step}.{part}.{match['what']}"


def convolutions(tensors: Tensors, weights: Weights, ndim: int) -> list[Tensor]:
    """Weights of the convolutions of all blocks, from bottom to top."""
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


def names_of_tensors(layers: Mapping[str, str]) -> dict[str, str]:
    """Names of tensors in a file to ours, from those of layers."""
    return {
        f"{theirs}.{part}": f"{ours}.{part}"
        for theirs, ours in layers.items()
        for part in (NORM if ours.endswith("norm") else AFFINE)
    }


def tensor_of(name: str, weights: Weights, tensors: Tensors, ndim: int) -> Tensor:
    """A tensor whose shape says how large a network is."""
    tensor = tensors.get(name)
    if tensor is None or tensor.ndim != ndim:
        found = "missing" if tensor is None else f"{tensor.ndim}-D, not {ndim}-D"
        raise ValueError(
            f"The file has the layout of {weights.layout}, but "
            f"{weights.origin.get(name, name)} is {found}."
        )
    return tensor
