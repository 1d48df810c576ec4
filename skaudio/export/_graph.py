"""`Graph`: an ONNX graph that grows by operators and by torch modules."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skaudio._utils._optional import import_optional
from skaudio.nn.exporting import exportable

PURPOSE = "Export to ONNX"
INPUT = "waveform"
AXES = ("batch", "n_samples")
N_EXAMPLES = 3  # of what there may be any number of, in what a module is tried with

Array = np.ndarray | float | int | Sequence[int]


def float32(value: Any) -> np.ndarray:
    """A constant as what networks compute in."""
    return np.asarray(value, np.float32)


def onnx_tools() -> Any:
    """The package onnx, if it and what exports to it are there."""
    import_optional("onnxscript", extra="onnx", purpose=PURPOSE)
    if not hasattr(torch.onnx, "ops"):
        raise ImportError(
            f"{PURPOSE} needs torch 2.8 or newer; this is {torch.__version__}."
        )
    return import_optional("onnx", extra="onnx", purpose=PURPOSE)


class Graph:
    """An ONNX graph from waveforms on, to which operators and modules are added.

    Values are known by their names. A scalar or an array among the inputs of an
    operator becomes a constant, of int64 if it is whole.

    Parameters
    ----------
    opset : int
        Version of the operators.

    Attributes
    ----------
    shortest : int
        Samples that a clip must have.
    networks : list of dict
        What is known of every network, for the metadata.
    is_rounded : bool
        Whether the estimator computes in fewer digits than the graph.
    """

    def __init__(self, opset: int) -> None:
        self.onnx = onnx_tools()
        self.opset = opset
        self.shortest = 1
        self.networks: list[dict[str, Any]] = []
        self.is_rounded = False
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._n_names = 0

    # -- operators ------------------------------------------------------------------
    def op(self, kind: str, *inputs: str | Array, **attributes: Any) -> str:
        """Add an operator, and return the name of its only output."""
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        output = self._new_name(kind)
        self._nodes.append(
            self.onnx.helper.make_node(kind, names, [output], **attributes)
        )
        return output

    def constant(self, value: Array) -> str:
        """Add a constant, and return its name."""
        array = np.asarray(value)
        if array.dtype.kind in "iu":
            array = array.astype(np.int64)
        name = self._new_name("constant")
        self._constants[name] = self.onnx.numpy_helper.from_array(array, name)
        return name

    def cast(self, value: str, dtype: Any) -> str:
        """Convert a value to a type of NumPy."""
        to = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.op("Cast", value, to=to)

    def size(self, value: str, axis: int) -> str:
        """Length of an axis, a scalar."""
        return self.op("Gather", self.op("Shape", value), axis)

    def _new_name(self, kind: str) -> str:
        self._n_names += 1
        return f"{kind.lower()}_{self._n_names}"

    # -- modules --------------------------------------------------------------------
    def call(
        self,
        module: nn.Module,
        inputs: dict[str, tuple[Any, ...]],
        least: int = 1,
        example: int = N_EXAMPLES,
    ) -> list[str]:
        """Add a torch module, and return the names of its outputs.

        Parameters
        ----------
        module : Module
            Takes tensors and returns one or a tuple of them.
        inputs : dict of str to tuple of int or str
            Shape of every input by name of the value; names in it are axes of any
            length.
        least, example : int
            The least length of the last of these axes, and one that leaves no axis of
            what is computed from it at 0 or 1, which torch would take for constant.

        Returns
        -------
        outputs : list of str
            Names of the outputs.
        """
        axes = sorted({a for s in inputs.values() for a in s if isinstance(a, str)})
        last = axes[-1]
        dims = {a: torch.export.Dim(a, min=least if a == last else 1) for a in axes}
        lengths = {a: example if a == last else N_EXAMPLES for a in axes}
        examples = tuple(
            torch.zeros([lengths.get(a, a) for a in shape]) for shape in inputs.values()
        )
        dynamic = tuple(
            {i: dims[a] for i, a in enumerate(shape) if isinstance(a, str)}
            for shape in inputs.values()
        )
        model = _exported(exportable(module), examples, dynamic, self.opset)
        return self._splice(model, list(inputs))

    def _splice(self, model: Any, inputs: list[str]) -> list[str]:
        """Put the nodes of a model into this graph, between its values."""
        graph, self._n_names = model.graph, self._n_names + 1
        prefix = f"module_{self._n_names}"
        given = {i.name: name for i, name in zip(graph.input, inputs, strict=True)}

        def renamed(name: str) -> str:
            return given.get(name, f"{prefix}/{name}") if name else ""

        for tensor in graph.initializer:
            tensor.name = renamed(tensor.name)
            self._constants[tensor.name] = tensor
        for node in graph.node:
            _rename(node, renamed, prefix)
            self._nodes.append(node)
        return [renamed(output.name) for output in graph.output]

    # -- result ---------------------------------------------------------------------
    def model(
        self, output: str, name: str, n_features: int, metadata: dict[str, str]
    ) -> Any:
        """The whole model, from waveforms to one output (batch, n_features)."""
        helper, float32 = self.onnx.helper, self.onnx.TensorProto.FLOAT
        self._nodes.append(helper.make_node("Identity", [output], [name]))
        shape = [AXES[0], n_features]
        graph = helper.make_graph(
            self._nodes,
            "skaudio",
            [helper.make_tensor_value_info(INPUT, float32, list(AXES))],
            [helper.make_tensor_value_info(name, float32, shape)],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="skaudio",
            producer_version=metadata["skaudio_version"],
        )
        helper.set_model_props(model, metadata)
        return model


def _rename(node: Any, renamed: Any, prefix: str) -> None:
    """Rename what a node, and the graphs in it, take and give."""
    node.name = f"{prefix}/{node.name}"
    node.input[:] = [renamed(name) for name in node.input]
    node.output[:] = [renamed(name) for name in node.output]
    node.doc_string = ""
    del node.metadata_props[:]
    for attribute in node.attribute:
        for inside in (*attribute.graphs, *([attribute.g] * attribute.HasField("g"))):
            for tensor in (*inside.initializer, *inside.input, *inside.output):
                tensor.name = renamed(tensor.name)
            for other in inside.node:
                _rename(other, renamed, prefix)


def _exported(
    module: nn.Module, examples: tuple[Tensor, ...], dynamic: Any, opset: int
) -> Any:
    """What torch makes of a module, as a model of ONNX."""
    try:
        with _quiet(), torch.no_grad():
            program: Any = torch.onnx.export(
                _OnInputs(module),
                examples,
                dynamo=True,
                dynamic_shapes=(dynamic,),
                opset_version=opset,
                verbose=False,
            )
            return program.model_proto
    except torch.onnx.errors.OnnxExporterError as error:
        raise ValueError(
            f"torch cannot export what {type(module).__name__} computes: its error is "
            "above. A front end or network of one's own must do without branches and "
            "loops that depend on the number of clips or samples."
        ) from error


class _OnInputs(nn.Module):
    """A module as torch exports it, with any number of inputs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Any:
        return self.module(*inputs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter has to say to its developers."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
