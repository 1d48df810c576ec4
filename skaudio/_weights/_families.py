"""All families of networks whose published weights can be read.

A family is a `Family`: its networks, the layouts of the files that hold them, how the
networks follow from the shapes of tensors, and whether they need a scaler. To add one,
write a module like `_samplecnn` or `_coala` and list its entry here; to embed with it,
add a class to ``skaudio/embedding/_backends``. Files of Keras and ONNX have readers of
their own, which support SampleCNN only: layouts are for state dictionaries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import Tensor, nn

from skaudio._utils._text import shortened
from skaudio._weights._coala import COALA, COALA_DECODERS, COALA_TAGS
from skaudio._weights._layouts import Family, Layout, Weights, find_prefix, renamed
from skaudio._weights._samplecnn import SAMPLECNN
from skaudio._weights._taggers import TAGGERS

# SampleCNN has the blocks of the taggers, which have a spectrogram besides
FAMILIES: tuple[Family, ...] = (TAGGERS, SAMPLECNN, COALA, COALA_TAGS, COALA_DECODERS)
# of no family: a name that identifies it, and the message
OTHERS = (
    (
        r"(spec\.|spec_bn\.|hcqt|mel_scale)",
        "another network on spectrograms, such as a short-chunk CNN or a harmonic CNN: "
        "of sota-music-tagging-models FCN, CRNN, MusiCNN and SampleCNN are supported",
    ),
    (r"\d+\.(weight|bias)$", "a classifier's last layers only, without the network"),
)


def networks() -> dict[str, type[nn.Module]]:
    """Classes of networks of all families, by name."""
    return {n.__name__: n for family in FAMILIES for n in family.networks}


def layouts() -> list[Layout]:
    """Layouts of all families."""
    return [layout for family in FAMILIES for layout in family.layouts]


def with_scaler() -> list[str]:
    """Titles of the families that need a scaler."""
    return [family.title for family in FAMILIES if family.scaler]


def family_of(network: type[nn.Module]) -> Family:
    """The family that a class of networks belongs to."""
    return next(family for family in FAMILIES if network in family.networks)


def recognise(
    tensors: dict[str, Tensor],
    is_lightning: bool = False,
    *,
    known: Sequence[Layout] | None = None,
    mistaken: Sequence[tuple[str, str]] = (),
) -> Weights:
    """Find the layout of a state dictionary and rename its tensors.

    ``known`` are the layouts to choose from, all by default, and ``mistaken`` further
    files that are easily taken for one of them, as in `Family`.
    """
    known = layouts() if known is None else known
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name[len("module.") :]: t for name, t in tensors.items()}
    for layout in known:
        prefix = find_prefix(tensors, layout)
        if prefix is None:
            continue
        weights, unexpected = renamed(tensors, layout, prefix, is_lightning)
        if unexpected:
            raise ValueError(
                f"The file has the layout of {layout.name}, but also unexpected "
                f"tensors: {shortened(unexpected)}."
                f"{_looks_like(list(tensors), mistaken)}"
            )
        return weights
    raise ValueError(
        f"No known layout has tensors named {shortened(tensors)}."
        f"{_looks_like(list(tensors), mistaken)} Known layouts: "
        f"{', '.join(layout.name for layout in known)}."
    )


def _looks_like(names: list[str], further: Sequence[tuple[str, str]]) -> str:
    """What a file is that fits no layout, if its names give that away."""
    mistaken = [entry for family in FAMILIES for entry in family.mistaken]
    for pattern, what in (*further, *mistaken, *OTHERS):
        if any(re.match(pattern, name) for name in names):
            return f" It looks like {what}."
    return ""
