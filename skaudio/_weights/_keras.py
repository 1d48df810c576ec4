"""SampleCNN in the HDF5 files of Keras 1 and 2, from Theano and from TensorFlow."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaudio._utils._limits import Budget
from skaudio._utils._optional import import_optional
from skaudio._utils._text import shortened
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
ELSEWHERE = "lies in another file, which is not read. Save all weights in one file"
LEAKY = 0.3  # Keras's default slope
OTHER_ACTIVATIONS = ("ELU", "PReLU", "ThresholdedReLU")  # as layers of their own
AT_THE_TOP = ("relu", "linear", "sigmoid", "softmax")  # or in no block
EPS = {1: 1e-5, 2: 1e-3}  # default of batch normalisation, by version of Keras


def read_keras(content: bytes, name: str) -> Weights:
    """Tensors of an HDF5 file of Keras under our names."""
    h5py: Any = import_optional("h5py", extra="keras", purpose="Reading Keras weights")
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            layers = _Layers(file, Budget(len(content)), h5py.h5o.get_info).read()
            attributes = {key: _text(file.attrs[key]) for key in _about(file)}
        config = json.loads(attributes.get("model_config", "{}"))
        eps = _epsilon(config)
        activations = set(_activations(config))
    except Exception as error:  # damaged files fail in any way
        raise ValueError(
            f"{name} looks like HDF5, but is cut short, damaged or of something else "
            f"({error}). Download it again."
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
            "norm_eps": EPS[version] if eps is None else eps,
            "negative_slope": _slope(activations, name),
            # Theano pads by k // 2 on both sides and drops the surplus at the end
            "even_padding": "start" if is_theano else "end",
        },
    )


def _about(file: Any) -> list[str]:
    return [key for key in ("backend", "model_config") if key in file.attrs]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class _Layers:
    """Reads the arrays of layers, each once, whatever names lead to it."""

    def __init__(self, file: Any, budget: Budget, info: Callable[[Any], Any]) -> None:
        self.file, self.budget, self.info = file, budget, info
        self.seen: set[int] = set()

    def read(self) -> list[tuple[str, dict[str, np.ndarray]]]:
        """Layers that have weights, from the input to the output."""
        root = self.file
        if "model_weights" in root:
            root = self._member(root, "model_weights")
        if "layer_names" in root.attrs:
            names = [_text(name) for name in root.attrs["layer_names"]]
        else:
            names = sorted(root, key=_natural)
        layers = []
        for name in names:
            group = self._member(root, name)
            if "weight_names" in group.attrs:
                paths = [_text(path) for path in group.attrs["weight_names"]]
                found = {path: self._member(group, path) for path in paths}
            else:
                found = dict(self._datasets(group))
            arrays = {_role(path): self._array(a, path) for path, a in found.items()}
            if arrays:
                layers.append((name, arrays))
        return layers

    def _member(self, group: Any, path: str) -> Any:
        """What a path leads to, if that is in this file and was not read before."""
        for part in filter(None, path.split("/")):
            if type(group.get(part, getlink=True)).__name__ == "ExternalLink":
                raise ValueError(f"{path!r} {ELSEWHERE}")
            group = group[part]
        return self._new(group, path)

    def _new(self, found: Any, path: str) -> Any:
        """The same, unless a group or array was met before under another name."""
        place = self.info(found.id).addr
        if place in self.seen:
            raise ValueError(f"{path!r} is another name of what was read before")
        self.seen.add(place)
        return found

    def _datasets(self, group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
        for key in group:
            value = self._member(group, key)
            if hasattr(value, "keys"):
                yield from self._datasets(value, f"{prefix}{key}/")
            else:
                yield prefix + key, value

    def _array(self, array: Any, path: str) -> np.ndarray:
        # HDF5 would read any file named there
        if getattr(array, "external", None) or getattr(array, "is_virtual", False):
            raise ValueError(f"the array {path!r} {ELSEWHERE}")
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{path!r} is no array of numbers, but of {array.dtype}")
        self.budget.take(array.size * array.dtype.itemsize, f"the array {path!r}")
        return np.asarray(array)


def _role(path: str) -> str:
    match = ARRAY.match(path)
    return match[1] if match else path


def _natural(name: str) -> list[Any]:
    """A key that puts conv1d_2 before conv1d_10."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if part.isdigit() else part for part in parts]


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


def _activations(config: Any) -> Iterator[str | float]:
    """Names of activations in a description, or slopes of leaky rectifiers."""
    if isinstance(config, list):
        for part in config:
            yield from _activations(part)
    elif isinstance(config, dict):
        own = config.get("config")
        if config.get("class_name") == "LeakyReLU" and isinstance(own, dict):
            slope: Any = own.get("negative_slope", own.get("alpha", LEAKY))
            yield float(slope["value"] if isinstance(slope, dict) else slope)
        elif config.get("class_name") in OTHER_ACTIVATIONS:
            yield str(config["class_name"])
        if isinstance(config.get("activation"), str):
            yield config["activation"]
        for part in config.values():
            yield from _activations(part)


def _slope(activations: set[str | float], name: str) -> float:
    """Slope of the rectifiers below zero: 0 where the file describes none."""
    slopes = {a for a in activations if isinstance(a, float)}
    rectifiers = slopes | ({0.0} if "relu" in activations else set())
    others = activations - slopes - set(AT_THE_TOP)
    if others or len(rectifiers) > 1:
        raise ValueError(
            f"{name} describes activations that SampleCNN has not: "
            f"{shortened(sorted(map(str, activations)))}. Expected ReLU, or LeakyReLU "
            "of one slope, in all blocks."
        )
    return min(rectifiers, default=0.0)


def _epsilon(config: Any) -> float | None:
    """Batch normalisation's epsilon, of the description if the file has one."""
    found = re.search(r'"epsilon": *([^,}\]]+)', json.dumps(config))
    if found is None:
        return None
    epsilon = float(found[1])
    if not 0 < epsilon < 1:
        raise ValueError(f"its epsilon is {epsilon}")
    return epsilon
