"""Estimators to arrays and a description of them in JSON."""

from __future__ import annotations

import os
import sys
from collections import Counter
from hashlib import blake2b
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skaudio._utils._sklearn import BaseSearchCV
from skaudio.persistence._classes import (
    LEFT_OUT,
    allowed,
    class_named,
    is_attribute,
    is_place,
)
from skaudio.persistence._finite import check_weights

KIND = "!"  # marks an encoded object; plain dictionaries have no such key
# times that an array is referred to before it is stored again: a reader takes no file
# for whole that unpacks to many times its size
MAX_USES = 8


class Encoder:
    """Describes values, and collects the arrays in them.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.persistence._encode import Encoder
    >>> encoder = Encoder()
    >>> encoder.encode((1, np.ones(2)), "pair")
    {'!': 'tuple', 'items': [1, {'!': 'array', 'name': '0:pair[1]'}]}
    >>> encoder.arrays
    {'0:pair[1]': array([1., 1.])}
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.n_bytes = 0  # of arrays after loading
        self._names: dict[Any, str] = {}
        self._uses: Counter[Any] = Counter()

    def encode(self, value: Any, where: str) -> Any:
        """Describe a value; ``where`` it is, for messages and names of arrays."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return _plain(value)
        if isinstance(value, os.PathLike):
            path = os.fspath(value)  # "./": as text alone it might be a name
            return path if os.path.dirname(path) else os.path.join(os.curdir, path)
        if isinstance(value, np.generic) and value.dtype.kind in "bifu":
            return {KIND: "scalar", "dtype": value.dtype.str, "value": value.item()}
        if isinstance(value, np.ndarray):
            return self._encode_array(value, where)
        if isinstance(value, (list, tuple)):
            items = [self.encode(v, f"{where}[{i}]") for i, v in enumerate(value)]
            return items if isinstance(value, list) else {KIND: "tuple", "items": items}
        if isinstance(value, dict):
            pairs = [
                [self.encode(k, where), self.encode(v, f"{where}.{k}")]
                for k, v in value.items()
            ]
            return {KIND: "dict", "items": pairs}
        if isinstance(value, BaseEstimator):
            return self._encode_estimator(value, where)
        if _is_network(value):
            return {KIND: "module", "name": f"{value.__module__}.{value.__qualname__}"}
        raise TypeError(
            f"{where} is a {type(value).__name__}, which a safe file cannot hold. Set "
            "it to a plain value, or use joblib.dump, whose files can execute code."
        )

    def _encode_array(self, array: np.ndarray, where: str) -> Any:
        self.n_bytes += array.nbytes
        if array.dtype.kind in "bifu" and array.dtype.itemsize <= 8:
            array = np.asarray(array, array.dtype.newbyteorder("="), order="C")
            # a frozen network is held by the parameter and by what was fitted: once
            digest = blake2b(array.tobytes()).digest()
            content = array.dtype.str, array.shape, digest
            if self._uses[content] % MAX_USES == 0:
                self._names[content] = f"{len(self.arrays)}:{where}"
                self.arrays[self._names[content]] = array
            self._uses[content] += 1
            return {KIND: "array", "name": self._names[content]}
        if array.dtype.kind in "OUS":
            items = [self.encode(v, f"{where}[]") for v in array.ravel().tolist()]
            shape = list(array.shape)
            about = {"items": items, "dtype": array.dtype.str, "shape": shape}
            return {KIND: "objects", **about}
        raise TypeError(f"{where} is an array of {array.dtype}, which cannot be saved.")

    def _encode_estimator(self, estimator: BaseEstimator, where: str) -> Any:
        cls = type(estimator)
        name = cls.__name__
        if name not in allowed() or cls is not class_named(name):
            raise TypeError(_refusal(estimator, where))
        attributes: Any = estimator.__getstate__()
        state = {}
        for key, value in attributes.items():
            if key in LEFT_OUT.get(name, ()) or is_place(key, value):
                continue
            if not is_attribute(cls, key):
                raise TypeError(
                    f"{where} has an attribute {key!r}, which is neither a parameter "
                    "nor learned, as names that end in '_' are: a safe file cannot "
                    "hold it. Delete it."
                )
            if key == "_weights":
                check_weights(value)
            state[key] = self.encode(value, f"{where}.{key}")
        return {KIND: "estimator", "class": name, "state": state}


def _is_network(value: Any) -> bool:
    """Whether a value is a class of torch modules; then torch has been imported."""
    nn = sys.modules.get("torch.nn")
    return isinstance(value, type) and nn is not None and issubclass(value, nn.Module)


def _plain(value: Any) -> Any:
    # numpy's float64 and str_ are subclasses of Python's types
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return None


def _refusal(estimator: BaseEstimator, where: str) -> str:
    """What to do with an estimator that a safe file cannot hold."""
    cls = type(estimator)
    what = f"{where} is a {cls.__module__}.{cls.__name__}"
    if isinstance(estimator, BaseSearchCV):
        return (
            f"{what}: a safe file holds models, not searches. Save the best one, "
            "save(search.best_estimator_, path)."
        )
    others = sorted(name for name, of in allowed().items() if of.startswith("sklearn."))
    return (
        f"{what}, which is not among the classes that a safe file may name: the "
        f"estimators of skaudio, and of scikit-learn {', '.join(others)}. Keep the "
        "model with skops.io.dump, whose loading makes objects of classes that you "
        "trust only (skaudio.persistence.trusted_types()), or with joblib.dump, whose "
        "files can run any code when they are loaded."
    )
