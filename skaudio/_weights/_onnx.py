"""SampleCNN in an ONNX file, read without the package onnx.

ONNX is protobuf: fields of a number, a wire type and a value. A few fields of five
messages hold all that weights need, so that neither protobuf nor onnx is required.
Numbers of fields are those of onnx.proto, which never change.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch

from skaudio._utils._limits import Budget
from skaudio._weights._layouts import Weights
from skaudio.nn.samplecnn import SampleCNN

SR = 22_050  # of CLMR
DTYPES = {1: "<f4", 10: "<f2", 11: "<f8"}  # TensorProto.DataType
MAX_NODES = 10_000  # of a graph; SampleCNN has fewer than 100
MAX_SHIFT = 70  # bits of an integer, at seven per byte
EXTERNAL = 1  # TensorProto.DataLocation
IGNORED = set(
    "Reshape Flatten Shape Slice Concat Constant Gather Unsqueeze Squeeze "
    "Identity Mul Sigmoid Dropout Cast".split()
)


def read_onnx(content: bytes, name: str) -> Weights:
    """Tensors of the convolutions and of the output, in the order of the graph."""
    try:
        graph = fields(fields(content)[7][0])
        n_nodes = len(graph[1])
        nodes = [_node(message) for message in graph[1][:MAX_NODES]]
        arrays = dict(_array(message) for message in graph[5])
        for node in nodes:
            value = node.attributes.get("value")
            if node.kind == "Constant" and isinstance(value, tuple):
                arrays[node.outputs[0]] = value[1]
    except Exception as error:  # damaged files fail in any way
        raise _damaged(name, error) from error
    reader = _Reader(arrays, name, Budget(len(content)))
    if n_nodes > MAX_NODES:
        raise reader.unfit(f"{n_nodes} nodes")
    try:
        return reader.read(nodes)
    except UnfitGraph:
        raise
    except ValueError as error:  # of the budget
        raise _damaged(name, error) from error
    except Exception as error:  # of nodes in another order, or without some input
        raise reader.unfit("nodes in another order") from error


class UnfitGraph(ValueError):
    """A whole graph, but not of a network that is known.

    Whoever can run it as it is finds what was read in ``content``, and its SHA-256 in
    ``fingerprint``.
    """

    content = b""
    fingerprint = ""


def _damaged(name: str, error: Exception) -> ValueError:
    return ValueError(
        f"{name} was taken for ONNX, but is cut short, damaged, or something else "
        f"({error})."
    )


def fields(message: bytes) -> dict[int, list[Any]]:
    """Number of field -> its values: integers, or bytes of anything else."""
    found: dict[int, list[Any]] = defaultdict(list)
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(message, position)
            found[number].append(value)
            continue
        if wire == 2:
            n_bytes, position = _varint(message, position)
        else:
            n_bytes = {1: 8, 5: 4}[wire]
        if position + n_bytes > len(message):
            raise IndexError("a field ends after its message")
        found[number].append(message[position : position + n_bytes])
        position += n_bytes
    return found


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """An integer of seven bits per byte, and where the next field starts."""
    value = shift = 0
    while shift < MAX_SHIFT:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
    raise IndexError("an integer of more than 64 bits")


def _integers(values: list[Any]) -> list[int]:
    """A repeated integer, packed into bytes or not."""
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        position = 0
        while position < len(value):
            integer, position = _varint(value, position)
            found.append(integer)
    return found


@dataclass(frozen=True)
class _Node:
    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


def _node(message: bytes) -> _Node:
    found = fields(message)
    attributes = {}
    for attribute in map(fields, found[5]):
        value: Any = None
        if attribute[5]:
            value = _array(attribute[5][0])
        elif attribute[8]:
            value = _integers(attribute[8])
        elif attribute[2]:
            value = struct.unpack("<f", attribute[2][0])[0]
        elif attribute[3]:
            value = attribute[3][0]
        attributes[attribute[1][0].decode()] = value
    kind = found[4][0].decode()
    inputs, outputs = ([n.decode() for n in found[i]] for i in (1, 2))
    return _Node(kind, inputs, outputs, attributes)


def _array(message: bytes) -> tuple[str, np.ndarray | None]:
    """Name and values of a tensor; None if they are no floats or lie elsewhere."""
    found = fields(message)
    name = found[8][0].decode() if found[8] else ""
    dtype = DTYPES.get(found[2][0])
    if dtype is None or EXTERNAL in found[14]:
        return name, None
    if dtype != DTYPES[1] and not found[9]:
        return name, None  # in fields for integers or doubles, as weights never are
    raw = b"".join(found[9] or found[4])  # float_data is packed little-endian as well
    stored, shape = np.dtype(dtype if found[9] else "<f4"), _integers(found[1])
    if len(raw) != stored.itemsize * prod(shape):
        raise IndexError("the number of values of a tensor differs from its shape")
    return name, np.frombuffer(raw, stored).reshape(shape).astype(np.float32)


class _Reader:
    """Goes through the nodes of a graph and collects tensors under our names."""

    def __init__(
        self, arrays: dict[str, np.ndarray | None], name: str, budget: Budget
    ) -> None:
        self.arrays, self.name, self.budget = arrays, name, budget
        self.tensors: dict[str, torch.Tensor] = {}
        self.origin: dict[str, str] = {}
        self.arguments: dict[str, Any] = {"even_padding": "start"}
        self.n_blocks = 0

    def read(self, nodes: list[_Node]) -> Weights:
        take = {
            "Conv": self._conv,
            "BatchNormalization": self._norm,
            "Relu": self._relu,
            "LeakyRelu": self._relu,
            "MaxPool": self._pool,
            "Gemm": self._gemm,
            "MatMul": self._matmul,
            "Add": self._add,
        }
        for node in nodes:
            if node.kind in take:
                take[node.kind](node)
            elif node.kind not in IGNORED:
                self._refuse(f"a node {node.kind}")
        if self.n_blocks < 2:
            self._refuse(f"{self.n_blocks} convolutions")
        self._fill_folded()
        return Weights(
            "ONNX",
            SR,
            self.tensors,
            self.origin,
            self.arguments,
            network=SampleCNN,
        )

    def _refuse(self, what: str) -> None:
        raise self.unfit(what)

    def unfit(self, what: str) -> UnfitGraph:
        """What to raise about a graph that has something else."""
        return UnfitGraph(
            f"{self.name} is an ONNX graph with {what}; expected SampleCNN, as CLMR "
            "exports it: nodes Conv (with or without BatchNormalization), Relu or "
            "LeakyRelu, MaxPool, and at most one Gemm or MatMul for the output."
        )

    def _put(self, ours: str, name: str, transposed: bool = False) -> None:
        array = self.arrays.get(name)
        if array is None:
            raise UnfitGraph(
                f"{self.name} has no values of {name!r} in it. Weights may lie in a "
                "second file: export the network to one file, or pass the .pt file."
            )
        self.budget.take(array.nbytes, name)
        array = np.ascontiguousarray(array.T if transposed else array)
        self.tensors[ours], self.origin[ours] = torch.from_numpy(array), name

    def _conv(self, node: _Node) -> None:
        where = f"blocks.{self.n_blocks}.conv"
        if len(node.inputs) < 3:
            self._refuse("a convolution without bias")
        self._put(f"{where}.weight", node.inputs[1])
        self._put(f"{where}.bias", node.inputs[2])
        weight = self.tensors[f"{where}.weight"]
        if weight.ndim != 3:
            self._refuse(f"filters of shape {tuple(weight.shape)}")
        size = weight.shape[2]
        pads = node.attributes.get("pads") or [0, 0]
        strides = node.attributes.get("strides") or [1]
        if self.n_blocks == 0:
            is_ours = strides == [size]
            self.arguments["first_padding"] = pads[0]
        else:
            is_ours = strides == [1] and pads == [size // 2, size // 2]
        if not is_ours:
            self._refuse(
                f"convolution {self.n_blocks} of filters of {size} samples, strides of "
                f"{strides} and zeros {pads}"
            )
        self.n_blocks += 1

    def _norm(self, node: _Node) -> None:
        where = f"blocks.{self.n_blocks - 1}.norm"
        parts = ("weight", "bias", "running_mean", "running_var")
        for part, name in zip(parts, node.inputs[1:], strict=False):
            self._put(f"{where}.{part}", name)
        eps = node.attributes.get("epsilon", 1e-5)
        self.arguments["norm_eps"] = float(f"{eps:.6g}")  # stored as float32

    def _relu(self, node: _Node) -> None:
        slope = 0.0
        if node.kind == "LeakyRelu":
            slope = float(f"{node.attributes.get('alpha', 0.01):.6g}")
        if self.arguments.setdefault("negative_slope", slope) != slope:
            self._refuse("rectifiers of several slopes")

    def _pool(self, node: _Node) -> None:
        size = self.tensors[f"blocks.{self.n_blocks - 1}.conv.weight"].shape[2]
        shape = node.attributes.get("kernel_shape")
        if shape != [size] or node.attributes.get("strides") != [size]:
            self._refuse(f"pooling by {shape} after filters of {size} samples")

    def _gemm(self, node: _Node) -> None:
        self._put_output(node.inputs[1], not node.attributes.get("transB"))
        self._put("output.bias", node.inputs[2])

    def _matmul(self, node: _Node) -> None:
        self._put_output(node.inputs[1], transposed=True)

    def _put_output(self, name: str, transposed: bool) -> None:
        if "output.weight" in self.tensors:
            self._refuse("several dense layers")
        self._put("output.weight", name, transposed)

    def _add(self, node: _Node) -> None:
        names = [name for name in node.inputs if name in self.arrays]
        if "output.weight" not in self.tensors or len(names) != 1:
            self._refuse("a sum (Add)")
        self._put("output.bias", names[0])

    def _fill_folded(self) -> None:
        """Normalisation that changes nothing, where the export folded it."""
        eps = self.arguments.setdefault("norm_eps", 1e-5)
        for i in range(self.n_blocks):
            n = len(self.tensors[f"blocks.{i}.conv.weight"])
            values = {"weight": 1.0, "bias": 0.0, "mean": 0.0, "var": 1.0 - eps}
            for part, value in values.items():
                part = f"running_{part}" if part in ("mean", "var") else part
                self.tensors.setdefault(
                    f"blocks.{i}.norm.{part}", torch.full((n,), value)
                )
