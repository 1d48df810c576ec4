"""COALA's networks, with the scaler that patches go through."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import MinMaxScaler
from torch import nn

from skaudio._safe_pickle import HeldState, load_pickle
from skaudio._utils._files import size_of_file
from skaudio._weights._formats import read_arrays
from skaudio._weights._layouts import (
    Family,
    Layout,
    Scaler,
    Tensors,
    Weights,
    convolutions,
    names_of_tensors,
    tensor_of,
)
from skaudio.nn.coala import CoalaAudioEncoder, CoalaCNN
from skaudio.nn.coala_autoencoders import (
    CoalaAudioDecoder,
    CoalaTagDecoder,
    CoalaTagEncoder,
)

SR = 22_000
BLOCKS = r"(?P<i>\d+)\.(?P<what>\w+)"
SCALER_CLASSES = [  # by version of scikit-learn
    f"sklearn.preprocessing.{module}.MinMaxScaler" for module in ("_data", "data")
]
SCALER_ADDRESS = "scaler_top_1000.pkl in https://github.com/xavierfav/coala"


def _blocks(prefix: str, kind: str, firsts: Sequence[int]) -> dict[str, str]:
    """Layers of blocks that begin at some places of a sequence, normalisation next."""
    return {
        f"{prefix}.{first + k}": f"blocks.{i}.{part}"
        for i, first in enumerate(firsts)
        for k, part in enumerate((kind, "norm"))
    }


ENCODER = names_of_tensors(_blocks("audio_encoder", "conv", (0, 4, 8, 12, 16)))
TAG_ENCODER = names_of_tensors(_blocks("tag_encoder", "linear", (0, 4, 8)))
LAYOUTS = (
    Layout(
        "COALA audio encoder",
        CoalaAudioEncoder,
        r"audio_encoder\." + BLOCKS,
        {**ENCODER, "fc_audio.0.weight": "affine.weight"},
        SR,
        step=0,
        ignored=r"(audio_decoder|tag_encoder|tag_decoder|fc_tag)\..*",
    ),
    Layout(
        "COALA CNN",
        CoalaCNN,
        r"encoder\." + BLOCKS,
        {
            **names_of_tensors(_blocks("encoder", "conv", (0, 4, 8, 12, 16))),
            **names_of_tensors({"fc.0": "fc1", "fc.2": "output"}),
        },
        SR,
        step=0,
    ),
)
TAG_LAYOUT = Layout(
    "COALA tag encoder",
    CoalaTagEncoder,
    r"tag_encoder\." + BLOCKS,
    {**TAG_ENCODER, "fc_tag.0.weight": "affine.weight"},
    SR,
    step=0,
)
DECODER_LAYOUTS = (
    Layout(
        "COALA audio decoder",
        CoalaAudioDecoder,
        r"audio_decoder\." + BLOCKS,
        names_of_tensors(
            {
                **_blocks("audio_decoder", "deconv", (2, 6, 10, 14)),
                "audio_decoder.17": "deconv",
                "audio_decoder.18": "norm",
            }
        ),
        SR,
        step=0,
    ),
    Layout(
        "COALA tag decoder",
        CoalaTagDecoder,
        r"tag_decoder\." + BLOCKS,
        names_of_tensors(
            {
                **_blocks("tag_decoder", "linear", (0, 4)),
                "tag_decoder.7": "linear",
                "tag_decoder.8": "norm",
            }
        ),
        SR,
        step=0,
    ),
)


def in_authors_layout(network: nn.Module) -> Tensors:
    """Tensors of a network under the names of COALA's authors."""
    layouts = (*LAYOUTS, TAG_LAYOUT, *DECODER_LAYOUTS)
    layout = next((entry for entry in layouts if entry.network is type(network)), None)
    if layout is None:
        raise TypeError(
            f"COALA's authors have no {type(network).__name__}; they have "
            f"{', '.join(entry.network.__name__ for entry in layouts)}."
        )
    tensors = network.state_dict()
    return {
        theirs: tensors[ours].cpu().contiguous()
        for theirs, ours in layout.others.items()
        if ours in tensors
    }


def _arguments(weights: Weights, tensors: Tensors) -> dict[str, Any]:
    arguments = {"n_filters": len(convolutions(tensors, weights, 4)[0])}
    if weights.network is CoalaCNN:
        arguments["n_outputs"] = len(tensors.get("output.bias", ()))
    return arguments


def _arguments_of_tags(weights: Weights, tensors: Tensors) -> dict[str, Any]:
    first = tensor_of("blocks.0.linear.weight", weights, tensors, 2)
    if weights.network is CoalaTagDecoder:
        n_tags = len(tensor_of("linear.weight", weights, tensors, 2))
        n_features = first.shape[1]
    else:
        n_tags = first.shape[1]
        n_features = len(tensor_of("affine.weight", weights, tensors, 2))
    return {"n_tags": n_tags, "n_features": n_features, "n_hidden": first.shape[0]}


def _arguments_of_decoders(weights: Weights, tensors: Tensors) -> dict[str, Any]:
    if weights.network is CoalaTagDecoder:
        return _arguments_of_tags(weights, tensors)
    return {"n_filters": len(tensor_of("blocks.0.deconv.weight", weights, tensors, 4))}


def _complete(network: nn.Module, tensors: Tensors) -> None:
    """Published files are without the scaler: patches stay as they are until set."""
    for name, like in network.state_dict().items():
        if name.startswith("scaling."):
            default = torch.ones if name.endswith("scale") else torch.zeros
            tensors.setdefault(name, default(like.shape))


def _read_scaler(path: Path) -> tuple[Tensors, str]:
    """Buffers of `PatchScaling`, and the SHA-256 of the file."""
    size_of_file(path)
    content = path.read_bytes()
    if content[:1] == b"\x80":
        held = load_pickle(io.BytesIO(content), classes=SCALER_CLASSES)
        arrays = held.state if isinstance(held, HeldState) else held
    else:
        arrays = read_arrays(content, path.name)
    if not isinstance(arrays, Mapping):
        raise ValueError(
            f"{path.name} holds a {type(arrays).__name__}; wanted the MinMaxScaler of "
            f"{SCALER_ADDRESS}."
        )
    found = {}
    for ours, theirs in (("scale", "scale_"), ("minimum", "min_")):
        array = np.asarray(arrays.get(theirs, ()))
        if array.shape != (96,) or array.dtype.kind != "f":
            raise ValueError(
                f"{path.name} has {theirs} of shape {array.shape} and type "
                f"{array.dtype}; wanted 96 floats, one per frame of a patch, as in "
                f"{SCALER_ADDRESS}."
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{path.name} has NaN or infinity in {theirs}.")
        found[ours] = torch.from_numpy(array.astype(np.float32))
    return found, hashlib.sha256(content).hexdigest()


def scaler_pickle(scale: np.ndarray, minimum: np.ndarray) -> bytes:
    """A pickle of scikit-learn's MinMaxScaler as the authors keep theirs.

    Written for a Python with NumPy 1 as well, which theirs is.
    """
    scaler = MinMaxScaler()
    scale, minimum = scale.astype(np.float32), minimum.astype(np.float32)
    scaler.scale_, scaler.min_ = scale, minimum
    scaler.data_min_, scaler.data_range_ = -minimum / scale, 1 / scale
    scaler.data_max_ = scaler.data_min_ + scaler.data_range_
    scaler.n_features_in_ = len(scale)
    content = pickle.dumps(scaler, protocol=3)
    return content.replace(b"cnumpy._core.", b"cnumpy.core.")


COALA = Family(
    "coala",
    "COALA",
    (CoalaAudioEncoder, CoalaCNN),
    LAYOUTS,
    _arguments,
    complete=_complete,
    scaler=Scaler(SCALER_ADDRESS, "scaling", _read_scaler),
)
COALA_TAGS = Family(
    "coala-tags",
    "COALA tag encoder",
    (CoalaTagEncoder,),
    (TAG_LAYOUT,),
    _arguments_of_tags,
)
COALA_DECODERS = Family(
    "coala-decoders",
    "COALA decoder",
    (CoalaAudioDecoder, CoalaTagDecoder),
    DECODER_LAYOUTS,
    _arguments_of_decoders,
)
