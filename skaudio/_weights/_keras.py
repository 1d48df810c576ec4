"""SampleCNN in the HDF5 files of Keras 1 and 2, from Theano and from TensorFlow."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaudio._utils._optional import import_optional
from skaudio._weights._formats import shortened
from skaudio._weights._layouts import Weights
from skaudio.nn.samplecnn import SampleCNN

SR = 22_050  # of all public files
# a layer's name, then which of its arrays
ARRAY = re.compile(
    r"(?:^|.*[_/])(W|b|kernel|bias|gamma|beta|(?:running|moving)_(?:mean|std|variance))"
    r"(?::0)?$"
)
OURS = {
    "W": "weight",
    "kernel": "weight",
    "b": "bias",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "running_mean": "running_mean",
    "moving_mean": "running_mean",
    "running_std": "running_var",  # holds the variance, whatever it is called
    "moving_variance": "running_var",
}
EPS = {1: 1e-5, 2: 1e-3}  # default of batch normalisation, by version of Keras


def read_keras(content: bytes, name: str) -> Weights:
    """Tensors of an HDF5 file of Keras under our names."""
    h5py: Any = import_optional("h5py", extra="keras", purpose="Reading Keras weights")
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            layers = _layers(file)
            attributes = {key: _text(file.attrs[key]) for key in _about(file)}
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"{name} looks like HDF5, but is cut short or damaged ({error}). Download "
            "it again."
        ) from error
    version = 1 if any("W" in arrays for _, arrays in layers) else 2
    is_theano = attributes.get("backend", {1: "theano", 2: ""}[version]) == "theano"
    tensors, origin = _rename(layers, name, is_theano)
    return Weights(
        f"Keras {version} ({'Theano' if is_theano else 'TensorFlow'})",
        SR,
        tensors,
        origin,
        network=SampleCNN,
        arguments={
            "norm_eps": _eps(attributes.get("model_config"), EPS[version]),
            # Theano pads by k // 2 on both sides and drops the surplus at the end
            "even_padding": "start" if is_theano else "end",
        },
    )


def _about(file: Any) -> list[str]:
    return [key for key in ("backend", "model_config") if key in file.attrs]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _layers(file: Any) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Layers that have weights, from the input to the output."""
    root = file.get("model_weights", file)
    if "layer_names" in root.attrs:
        names = [_text(name) for name in root.attrs["layer_names"]]
    else:
        names = sorted(root, key=_natural)
    layers = []
    for name in names:
        group = root[name]
        if "weight_names" in group.attrs:
            paths = [_text(path) for path in group.attrs["weight_names"]]
        else:
            paths = _datasets(group)
        arrays = {}
        for path in paths:
            match = ARRAY.match(path)
            array = group[path]
            if getattr(array, "external", None):  # HDF5 would read any file named there
                raise ValueError(
                    f"The array {path!r} of layer {name!r} lies in another file, which "
                    "is not read. Save all weights in one file."
                )
            arrays[match[1] if match else path] = np.asarray(array)
        if arrays:
            layers.append((name, arrays))
    return layers


def _natural(name: str) -> list[Any]:
    """A key that puts conv1d_2 before conv1d_10."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if part.isdigit() else part for part in parts]


def _datasets(group: Any, prefix: str = "") -> list[str]:
    paths: list[str] = []
    for key, value in group.items():
        is_group = hasattr(value, "keys")
        paths += _datasets(value, f"{prefix}{key}/") if is_group else [prefix + key]
    return paths


def _rename(
    layers: list[tuple[str, dict[str, np.ndarray]]], name: str, is_theano: bool
) -> tuple[dict[str, Tensor], dict[str, str]]:
    tensors, origin = {}, {}
    counts = {"conv": 0, "norm": 0, "output": 0}
    for layer, arrays in layers:
        kind = _kind(arrays)
        if kind not in counts:
            raise ValueError(f"{name}: layer {layer!r} {kind}.{_wanted(layers)}")
        where = "output" if kind == "output" else f"blocks.{counts[kind]}.{kind}"
        counts[kind] += 1
        for key, array in arrays.items():
            if key not in OURS:
                raise ValueError(
                    f"{name}: layer {layer!r} has an array {key!r}, which layers of "
                    f"SampleCNN do not.{_wanted(layers)}"
                )
            ours = f"{where}.{OURS[key]}"
            tensors[ours] = _turned(array, kind, is_theano)
            origin[ours] = f"{layer}/{key}"
    n_conv = counts["conv"]
    if counts["norm"] != n_conv or counts["output"] > 1 or n_conv < 2:
        raise ValueError(
            f"{name} has {n_conv} convolutions, {counts['norm']} normalisations and "
            f"{counts['output']} dense layers.{_wanted(layers)}"
        )
    return tensors, origin


def _kind(arrays: dict[str, np.ndarray]) -> str:
    if arrays.keys() & {"gamma", "beta"}:
        return "norm"
    kernel = arrays.get("W", arrays.get("kernel"))
    if kernel is None:
        return f"has arrays {shortened(arrays)}, unlike those of SampleCNN"
    if kernel.ndim == 2:
        return "output"
    if kernel.ndim == 3 or (kernel.ndim == 4 and kernel.shape[1] == 1):
        return "conv"
    return f"is a convolution over {kernel.ndim - 2} axes, {kernel.shape}"


def _wanted(layers: list[tuple[str, dict[str, np.ndarray]]]) -> str:
    names = [layer for layer, _ in layers]
    hint = ""
    if any(name.startswith(("conv2d", "convolution2d")) for name in names):
        hint = (
            " It looks like a network on spectrograms, such as that of Choi et al. "
            "(transfer_learning_music)."
        )
    elif sum(name.startswith("dense") for name in names) > 1:
        hint = (
            " It looks like a network of resemul (blocks with residuals, squeeze and "
            "excitation, or features of several levels), which is another one."
        )
    return (
        f"{hint} Expected SampleCNN: 1-D convolutions, each with batch normalisation, "
        f"and one dense layer. Layers in the file: {shortened(names)}."
    )


def _turned(array: np.ndarray, kind: str, is_theano: bool) -> Tensor:
    """From (k, 1, in, out), (k, in, out) or (in, out) to the order of torch."""
    if kind == "conv" and array.ndim > 1:
        array = array.reshape(array.shape[0], *array.shape[-2:]).transpose(2, 1, 0)
        if is_theano:  # which convolves, where others correlate
            array = array[..., ::-1]
    elif kind == "output" and array.ndim > 1:
        array = array.T
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))


def _eps(model_config: str | None, default: float) -> float:
    """Batch normalisation's epsilon, of the description if the file has one."""
    if model_config is None:
        return default
    found = re.search(
        r'"epsilon": *([0-9.eE+-]+)', json.dumps(json.loads(model_config))
    )
    return float(found[1]) if found else default
