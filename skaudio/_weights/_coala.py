"""COALA's audio encoder and its CNN, with the scaler that patches go through."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
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
)
from skaudio.nn.coala import CoalaAudioEncoder, CoalaCNN

SR = 22_000
BLOCKS = r"(?P<i>\d+)\.(?P<what>\w+)"
ENCODER = "expected audio_encoder.*, which the authors keep as audio_encoder_epoch_200"
SCALER_CLASSES = [  # by version of scikit-learn
    f"sklearn.preprocessing.{module}.MinMaxScaler" for module in ("_data", "data")
]
SCALER_ADDRESS = "scaler_top_1000.pkl in https://github.com/xavierfav/coala"

LAYOUTS = (
    Layout(
        "COALA audio encoder",
        CoalaAudioEncoder,
        r"audio_encoder\." + BLOCKS,
        {"fc_audio.0.weight": "affine.weight"},
        SR,
        first=0,
        step=4,
        ignored=r"(audio_decoder|tag_encoder|tag_decoder|fc_tag)\..*",
    ),
    Layout(
        "COALA CNN",
        CoalaCNN,
        r"encoder\." + BLOCKS,
        {
            "fc.0.weight": "fc1.weight",
            "fc.0.bias": "fc1.bias",
            "fc.2.weight": "output.weight",
            "fc.2.bias": "output.bias",
        },
        SR,
        first=0,
        step=4,
    ),
)


def _arguments(weights: Weights, tensors: Tensors) -> dict[str, Any]:
    arguments = {"n_filters": len(convolutions(tensors, weights, 4)[0])}
    if weights.network is CoalaCNN:
        arguments["n_outputs"] = len(tensors.get("output.bias", ()))
    return arguments


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


COALA = Family(
    "coala",
    "COALA",
    (CoalaAudioEncoder, CoalaCNN),
    LAYOUTS,
    _arguments,
    complete=_complete,
    scaler=Scaler(SCALER_ADDRESS, "scaling", _read_scaler),
    mistaken=(
        (
            r"tag_encoder\.",
            "COALA's tag encoder (tag_encoder.*), which takes tags, not sound: "
            f"{ENCODER}.pt",
        ),
        (
            r"(audio|tag)_decoder\.",
            "a decoder of COALA, which makes spectrograms or tags of embeddings: "
            f"{ENCODER}.pt",
        ),
    ),
)
