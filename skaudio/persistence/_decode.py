"""Estimators of arrays and a description of them in JSON."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from skaudio._utils._limits import Budget
from skaudio.persistence._classes import (
    LEFT_OUT,
    allowed,
    class_named,
    is_attribute,
    is_place,
    parameters,
)
from skaudio.persistence._encode import KIND
from skaudio.persistence._finite import check_weights

OUTPUTS = (None, "default", "pandas", "polars")  # of set_output


class Decoder:
    """Makes what `Encoder` described; anything else raises an error.

    Parameters
    ----------
    arrays : dict of str to ndarray
        By the names in the description.
    budget : Budget
        What all may take.
    modules : sequence of type, default=()
        Classes of networks that the reader trusts; a file names one, and brings none.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio._utils._limits import Budget
    >>> from skaudio.persistence._decode import Decoder
    >>> decoder = Decoder({"0": np.ones(2)}, Budget(100))
    >>> decoder.decode([1, {"!": "array", "name": "0"}])
    [1, array([1., 1.])]
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        budget: Budget,
        modules: Sequence[type] = (),
    ) -> None:
        self.arrays = arrays
        self.budget = budget
        self.modules = {module.__name__: module for module in modules}

    def decode(self, node: Any) -> Any:
        """Make the value that a description stands for."""
        if isinstance(node, list):
            return [self.decode(item) for item in node]
        if not isinstance(node, dict):
            return node
        kind = node.get(KIND)
        if kind == "tuple":
            return tuple(self.decode(item) for item in node["items"])
        if kind == "dict":
            return {self.decode(k): self.decode(v) for k, v in node["items"]}
        if kind == "scalar":
            return _numbers(node["dtype"]).type(node["value"])
        if kind == "array":
            array = self.arrays[node["name"]]
            self.budget.take(array.nbytes, f"the array {node['name']!r}")
            return array.copy()  # writable
        if kind == "objects":
            return self._decode_objects(node)
        if kind == "estimator":
            return self._decode_estimator(node)
        if kind == "module":
            return self._known_module(node["name"])
        raise ValueError(f"it holds an entry of unknown kind {kind!r:.40}")

    def _known_module(self, name: Any) -> type:
        """The class of a network that the reader gave, by the last part of its name."""
        last = str(name).rpartition(".")[2]
        if last not in self.modules:
            raise ValueError(
                f"its network is of the class {name!r:.80}, which is not skaudio's. "
                f"If you have and trust it, pass load(..., modules=[{last:.40}])"
            )
        return self.modules[last]

    def _decode_objects(self, node: dict[str, Any]) -> np.ndarray:
        items, shape, dtype = node["items"], node["shape"], np.dtype(node["dtype"])
        if not isinstance(items, list) or dtype.kind not in "OUS":
            raise ValueError(f"it holds objects in an array of {dtype}")
        if len(items) != prod(shape):
            raise ValueError(f"{len(items)} objects do not fill the shape {shape}")
        self.budget.take(dtype.itemsize * len(items), f"an array of {dtype}")
        out = np.empty(len(items), dtype=dtype)
        for i, item in enumerate(items):
            out[i] = self.decode(item)
        return out.reshape(shape)

    def _decode_estimator(self, node: dict[str, Any]) -> Any:
        name = node["class"]
        if name not in allowed():
            raise ValueError(
                f"it names the class {name!r:.40}, which is not among those that may "
                f"be loaded: {sorted(allowed())}. Do not trust it, or update skaudio"
            )
        cls = class_named(name)
        state = {}
        for key, described in node["state"].items():
            if key in LEFT_OUT.get(name, ()):
                continue
            if not is_attribute(cls, key):
                raise ValueError(
                    f"its {name} has the attribute {key!r:.40}, which is neither a "
                    "parameter nor learned. Do not trust it, or update skaudio"
                )
            value = self.decode(described)
            if not is_place(key, value):
                state[key] = value
        for key, default in parameters(cls).items():
            if state.setdefault(key, default) is inspect.Parameter.empty:
                raise ValueError(f"its {name} lacks the parameter {key!r}")
        return self._estimator(cls, state)

    def _estimator(self, cls: Any, state: dict[str, Any]) -> Any:
        config = state.get("_sklearn_output_config", {})
        if config.keys() - {"transform"} or config.get("transform") not in OUTPUTS:
            raise ValueError(f"its output is set to {config!r:.40}")
        estimator = cls.__new__(cls)
        vars(estimator).update({key: state[key] for key in parameters(cls)})
        if hasattr(cls, "_parameter_constraints"):
            estimator._validate_params()
        if hasattr(cls, "_check_state"):
            self.budget.take(cls._check_state(state), "a network")
            check_weights(state.get("_weights", {}))
        estimator.__setstate__(state)
        return estimator


def _numbers(described: Any) -> np.dtype[Any]:
    dtype = np.dtype(described)
    if not isinstance(described, str) or dtype.kind not in "bifu":
        raise ValueError(f"it holds a number of {dtype}")
    return dtype
