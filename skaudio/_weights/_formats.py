"""Files of weights to named tensors: a file is recognised by its first bytes.

Nothing in a file is executed: pickles are read by torch with ``weights_only=True``,
and everything else is arrays.
"""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaudio._utils._limits import Budget
from skaudio._utils._pickle_scan import BOOKKEEPING, check_archive, check_torch
from skaudio._utils._text import shortened

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "encoder")


@dataclass(frozen=True)
class WeightFile:
    """What a file holds: tensors, or bytes of a format that has its own reader."""

    format: str  # "torch", "safetensors", "hdf5" or "onnx"
    tensors: dict[str, Tensor] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)  # of safetensors
    is_lightning: bool = False
    content: bytes = b""  # of HDF5 and ONNX


def open_weights(content: bytes, name: str) -> WeightFile:
    """Recognise the kind of a file and read it; ``name`` is for messages."""
    if content.startswith(b"\x89HDF\r\n\x1a\n"):
        return WeightFile("hdf5", content=content)
    if content.startswith(b"PK"):
        return _read_zip(content, name)
    if content[:1] == b"\x80" and content[1:2] in b"\x02\x03\x04\x05":
        return _read_torch(content, name)
    if content[8:9] == b"{":
        return _read_safetensors(content, name)
    if content[:1] == b"\x08" and not name.lower().endswith(TORCH_SUFFIXES):
        return WeightFile("onnx", content=content)
    raise ValueError(f"{name} {_misfit(content)}")


TORCH_SUFFIXES = (".pt", ".pth", ".ckpt")


def _misfit(content: bytes) -> str:
    """What a file is that is no file of weights, and what to do."""
    start = content[:512].lstrip()
    if not content:
        return "is empty. Download it again."
    if start.startswith(b"version https://git-lfs"):
        return (
            "is a pointer of Git LFS (a few lines of text), not the file itself. Run "
            "`git lfs pull` in the clone, or download the file from its web page."
        )
    if start.startswith(b"<"):
        return (
            "is a web page (HTML), not weights. Download the raw file: on GitHub the "
            "link 'Raw', on drives the one behind the warning about large files."
        )
    if start.startswith((b"{", b"[")):
        return (
            "is JSON: a description of a network. Its weights are in another file, "
            "for Keras one that ends in .hdf5 or .h5."
        )
    if not any(content[:64]):
        return "starts with zeros: a download that never finished. Download it again."
    return (
        f"starts with {content[:8]!r}, which no known file of weights does. Expected "
        "a file of torch (.pt, .pth, .ckpt, or one of these in a .zip), safetensors, "
        "Keras (.hdf5) or ONNX."
    )


def _read_zip(content: bytes, name: str) -> WeightFile:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except Exception as error:  # damaged archives fail in any way
        raise ValueError(
            f"{name} is cut short or damaged ({error}). Download it again."
        ) from error
    files = [
        member
        for member in archive.infolist()
        if not (member.is_dir() or member.filename.startswith("__MACOSX/"))
    ]
    if any("/code/" in file.filename for file in files):
        raise ValueError(
            f"{name} is TorchScript, a program with weights. Save the state_dict() of "
            "the network that it was made from."
        )
    if any(file.filename.endswith("data.pkl") for file in files):
        return _read_torch(content, name)
    weights = [file for file in files if file.filename.endswith(TORCH_SUFFIXES)]
    if len(weights) != 1:
        found = [file.filename for file in weights or files]
        raise ValueError(
            f"{name} is a ZIP archive with {len(weights)} files of torch in it: "
            f"{shortened(found)}. Unpack it and pass one of its files."
        )
    (file,) = weights
    try:
        Budget(len(content)).take(file.file_size, repr(file.filename))
        inner = archive.read(file)
    except Exception as error:  # damaged archives fail in any way
        raise ValueError(
            f"{name} is damaged, or holds too much: {error}. Download it again, or "
            "unpack it yourself."
        ) from error
    return _read_torch(inner, f"{name} ({file.filename})")


class _Dropped:
    """Stands for an object of a training tool, whatever it held."""

    def __new__(cls, *_: Any) -> Any:
        """Make what torch lets a pickle fill: settings are often kinds of dict."""
        return OrderedDict()


class _DroppedNumber:
    """Stands for a number or dtype of NumPy."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


def _bookkeeping(content: bytes) -> list[Any]:
    """Stand-ins for the classes of training tools that a file names."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return []
    names = torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(content))
    stand_ins = []
    for module, _, name in (n.rpartition(".") for n in names):
        base = _DroppedNumber if module.startswith("numpy") else _Dropped
        if f"{module}.{name}".startswith(BOOKKEEPING):
            stand_ins.append(type(name, (base,), {"__module__": module}))
    return stand_ins


def _load_torch(content: bytes) -> Any:
    check_torch(content)
    with (
        warnings.catch_warnings(),
        torch.serialization.safe_globals(_bookkeeping(content)),
    ):
        warnings.simplefilter("ignore")  # old files refer to old classes
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _read_torch(content: bytes, name: str) -> WeightFile:
    try:
        loaded = _load_torch(content)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{name} is a pickle that holds more than weights, or is damaged. "
            "Nothing was executed. If it is a whole model, save its state_dict() with "
            f"the code that made it. Reason: {_reason(error)}"
        ) from error
    except Exception as error:  # damaged files fail in any way
        raise ValueError(
            f"{name} looks like a file of torch, but is cut short or damaged. "
            f"Download it again. Reason: {_reason(error)}"
        ) from error
    if isinstance(loaded, Mapping) and {"state", "param_groups"} <= loaded.keys():
        raise ValueError(
            f"{name} is the state of an optimiser, not of a network: expected the "
            "network's state_dict, which is usually saved next to it."
        )
    is_lightning = isinstance(loaded, Mapping) and (
        "pytorch-lightning_version" in loaded
    )
    tensors = _tensors(loaded, name)
    _check_memory(tensors, len(content), name)
    return WeightFile("torch", tensors, is_lightning=is_lightning)


def _check_memory(tensors: Mapping[str, Tensor], n_bytes: int, name: str) -> None:
    """Refuse tensors that stand for more values than the file holds."""
    budget = Budget(n_bytes)
    for key, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise ValueError(
                f"{name}: {key} is no array of numbers, but {tensor.layout}"
            )
        try:
            budget.take(tensor.numel() * tensor.element_size(), key)
        except ValueError as error:
            raise ValueError(f"{name}: {error}.") from error


def _reason(error: Exception) -> str:
    """The sentence of torch's message that names the cause, without its advice."""
    lines = str(error).replace("\t", " ").splitlines()
    telling = [line for line in lines if line.startswith("WeightsUnpickler error")]
    return (telling or lines or [type(error).__name__])[0].strip()[:200]


def _tensors(loaded: Any, name: str) -> dict[str, Tensor]:
    """The innermost dictionary of tensors, whatever it is wrapped in."""
    if isinstance(loaded, Mapping):
        for key in WRAPPERS:
            if isinstance(loaded.get(key), Mapping):
                return _tensors(loaded[key], name)
        tensors = {
            str(key): value.detach()
            for key, value in loaded.items()
            if isinstance(value, Tensor)
        }
        if tensors:
            return tensors
    held = shortened(loaded) if isinstance(loaded, Mapping) else type(loaded).__name__
    raise ValueError(f"{name} holds no tensors by name. It holds: {held}.")


def _read_safetensors(content: bytes, name: str) -> WeightFile:
    from safetensors.torch import load

    try:
        tensors = load(content)
        n_header = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + n_header])
    except Exception as error:  # of safetensors, or of types that torch lacks
        raise ValueError(
            f"{name} looks like a safetensors file, but is cut short or damaged "
            f"({error}). Download it again."
        ) from error
    return WeightFile("safetensors", tensors, header.get("__metadata__", {}))


def read_arrays(content: bytes, name: str) -> dict[str, np.ndarray]:
    """Named arrays of a .npz or safetensors file, by its first bytes."""
    if content.startswith(b"PK"):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                check_archive(archive, len(content))
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                return dict(file)
        except Exception as error:  # damaged archives fail in any way
            raise ValueError(f"{name} is no readable .npz file ({error}).") from error
    if content[8:9] == b"{":
        file = _read_safetensors(content, name)
        try:
            return {key: tensor.numpy() for key, tensor in file.tensors.items()}
        except TypeError as error:
            raise ValueError(
                f"{name} has numbers of another type ({error})."
            ) from error
    raise ValueError(f"{name} {_misfit(content)}")
