"""Fitted estimators in one file of arrays and JSON, which executes nothing on loading.

The file is a safetensors file: arrays as they are, and in its metadata a JSON
description of the estimator, in which arrays are referred to by name. Loading creates
objects of a fixed list of classes only and never calls code that the file names.
"""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skaudio._utils._files import replacing

FORMAT = "skaudio-1"
HEADER = "skaudio"
_KIND = "!"  # marks an encoded object; plain dictionaries have no such key

# everything else that a file may contain, next to skaudio's own estimators; no support
# vector machines: libsvm trusts the numbers of a file, and may read beyond its arrays
_FROM_SKLEARN = {
    "sklearn.frozen": ("FrozenEstimator",),
    "sklearn.linear_model": ("LogisticRegression", "RidgeClassifier"),
    "sklearn.mixture": ("GaussianMixture",),
    "sklearn.multiclass": ("OneVsRestClassifier",),
    "sklearn.neural_network": ("MLPClassifier",),
    "sklearn.pipeline": ("Pipeline",),
    "sklearn.preprocessing": (
        "LabelBinarizer",
        "MinMaxScaler",
        "RobustScaler",
        "StandardScaler",
    ),
}
# what only a training that goes on would need; scikit-learn makes it anew
_LEFT_OUT = {"MLPClassifier": ("_optimizer", "_random_state")}
_FROM_SKAUDIO = (
    "embedding",
    "ensemble",
    "mixture",
    "neural_network",
    "preprocessing",
    "views",
)


def save(estimator: BaseEstimator, path: str | os.PathLike[str]) -> None:
    """Save an estimator or a Pipeline to one file that is safe to load.

    Parameters
    ----------
    estimator : estimator
        Estimators of skaudio, fitted or not, and Pipelines of them with scalers,
        linear models, multi-layer perceptrons and Gaussian mixtures of scikit-learn.
        A `PretrainedEmbedder` saves the path of its weights.
    path : str or path-like
        File to write, by convention ending in ``.safetensors``. It appears complete
        or not at all.

    Raises
    ------
    TypeError
        If the estimator holds something that such a file cannot: the message names
        it. `joblib.dump` saves anything, but loading such a file can execute code.

    See Also
    --------
    load : Read the file.

    Examples
    --------
    >>> import tempfile, os
    >>> from skaudio.persistence import load, save
    >>> from skaudio.views import MelView
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "mel.safetensors")
    ...     save(MelView(n_mels=40), path)
    ...     load(path)
    MelView(n_mels=40)
    """
    from safetensors.numpy import save as to_bytes

    arrays: dict[str, np.ndarray] = {}
    tree = _encode(estimator, arrays, type(estimator).__name__)
    header = json.dumps({"format": FORMAT, "estimator": tree}, allow_nan=True)
    with replacing(path) as part:
        part.write_bytes(to_bytes(arrays, metadata={HEADER: header}))


def load(path: str | os.PathLike[str]) -> Any:
    """Load what `save` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : str or path-like
        File to read.

    Returns
    -------
    estimator : estimator
        As it was saved; a network comes back on the CPU if there is no GPU.

    Raises
    ------
    ValueError
        If the file is something else, or names a class that is not on the list.

    See Also
    --------
    save : Write the file.

    Examples
    --------
    >>> import tempfile, os
    >>> from skaudio.persistence import load, save
    >>> from skaudio.views import RawView
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "raw.safetensors")
    ...     save(RawView(sr=8000), path)
    ...     load(path)
    RawView(sr=8000)
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = (file.metadata() or {}).get(HEADER)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{os.fspath(path)!r} is not a safetensors file ({error}). Files of "
            "skaudio.persistence.save are; for pickles use joblib.load, if you trust "
            "them."
        ) from error
    if header is None:
        raise ValueError(
            f"{os.fspath(path)!r} holds arrays, but no estimator of skaudio."
        )
    content = json.loads(header)
    if content.get("format") != FORMAT:
        raise ValueError(
            f"{os.fspath(path)!r} has format {content.get('format')!r}; this version "
            f"of skaudio reads {FORMAT!r}."
        )
    return _decode(content["estimator"], arrays)


def holds_estimator(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one that `save` wrote."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return HEADER in (file.metadata() or {})
    except SafetensorError:
        return False


def _allowed() -> dict[str, str]:
    """Class name to module, for every class that a file may name."""
    allowed = {
        name: module for module, names in _FROM_SKLEARN.items() for name in names
    }
    for package in _FROM_SKAUDIO:
        module = importlib.import_module(f"skaudio.{package}")
        for name in module.__all__:
            found = getattr(module, name)
            if isinstance(found, type) and issubclass(found, BaseEstimator):
                allowed[name] = module.__name__
    return allowed


def _encode(value: Any, arrays: dict[str, np.ndarray], where: str) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return _plain(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        return {_KIND: "scalar", "dtype": value.dtype.str, "value": value.item()}
    if isinstance(value, np.ndarray):
        return _encode_array(value, arrays, where)
    if isinstance(value, (list, tuple)):
        items = [_encode(v, arrays, f"{where}[{i}]") for i, v in enumerate(value)]
        return items if isinstance(value, list) else {_KIND: "tuple", "items": items}
    if isinstance(value, dict):
        pairs = [
            [_encode(k, arrays, where), _encode(v, arrays, f"{where}.{k}")]
            for k, v in value.items()
        ]
        return {_KIND: "dict", "items": pairs}
    if isinstance(value, BaseEstimator):
        return _encode_estimator(value, arrays, where)
    raise TypeError(
        f"{where} is a {type(value).__name__}, which a safe file cannot hold. Set it "
        "to a plain value, or use joblib.dump, whose files can execute code."
    )


def _plain(value: Any) -> Any:
    # numpy's float64 and str_ are subclasses of Python's types
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return None


def _encode_array(array: np.ndarray, arrays: dict[str, np.ndarray], where: str) -> Any:
    if array.dtype.kind in "bifu":
        # a frozen network is held by the parameter and by what was fitted: one copy
        equal = (name for name, other in arrays.items() if _is_same(array, other))
        name = next(equal, f"{len(arrays)}:{where}")
        arrays.setdefault(name, np.ascontiguousarray(array))
        return {_KIND: "array", "name": name}
    if array.dtype.kind in "OUS":
        items = [_encode(v, arrays, f"{where}[]") for v in array.ravel().tolist()]
        kind = {"items": items, "dtype": array.dtype.str, "shape": list(array.shape)}
        return {_KIND: "objects", **kind}
    raise TypeError(f"{where} is an array of {array.dtype}, which cannot be saved.")


def _is_same(a: np.ndarray, b: np.ndarray) -> bool:
    return (a.dtype, a.shape) == (b.dtype, b.shape) and a.tobytes() == b.tobytes()


def _encode_estimator(
    estimator: BaseEstimator, arrays: dict[str, np.ndarray], where: str
) -> Any:
    name = type(estimator).__name__
    module = _allowed().get(name)
    if module is None or type(estimator) is not _class(name):
        raise TypeError(
            f"{where} is a {type(estimator).__module__}.{name}, which is not among the "
            f"classes that a safe file may name: {sorted(_allowed())}."
        )
    attributes: Any = estimator.__getstate__()
    if name == "Pipeline" and attributes["memory"] is not None:
        raise TypeError(
            f"{where}.memory is {attributes['memory']!r}, a cache of pickles, which a "
            "safe file may not name. Set it to None."
        )
    state = {
        key: _encode(value, arrays, f"{where}.{key}")
        for key, value in attributes.items()
        if key not in _LEFT_OUT.get(name, ())
    }
    return {_KIND: "estimator", "class": name, "state": state}


def _class(name: str) -> type:
    found: type = getattr(importlib.import_module(_allowed()[name]), name)
    return found


def _decode(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(node, list):
        return [_decode(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    kind = node.get(_KIND)
    if kind == "tuple":
        return tuple(_decode(item, arrays) for item in node["items"])
    if kind == "dict":
        return {_decode(k, arrays): _decode(v, arrays) for k, v in node["items"]}
    if kind == "scalar":
        return np.dtype(node["dtype"]).type(node["value"])
    if kind == "array":
        return arrays[node["name"]].copy()  # writable
    if kind == "objects":
        return _decode_objects(node, arrays)
    if kind == "estimator":
        return _decode_estimator(node, arrays)
    raise ValueError(f"The file holds an entry of unknown kind {kind!r}.")


def _decode_objects(node: dict[str, Any], arrays: dict[str, np.ndarray]) -> np.ndarray:
    out = np.empty(len(node["items"]), dtype=np.dtype(node["dtype"]))
    for i, item in enumerate(node["items"]):
        out[i] = _decode(item, arrays)
    return out.reshape(node["shape"])


def _decode_estimator(node: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    name = node["class"]
    if name not in _allowed():
        raise ValueError(
            f"The file names the class {name!r}, which is not among those that may be "
            f"loaded: {sorted(_allowed())}. Do not trust this file, or update skaudio."
        )
    state = {k: _decode(v, arrays) for k, v in node["state"].items()}
    if name == "Pipeline" and state.get("memory") is not None:
        raise ValueError(
            f"The memory of the Pipeline is {state['memory']!r}, a cache of pickles, "
            "which fit would read. Do not trust this file."
        )
    cls: Any = _class(name)
    estimator = cls.__new__(cls)
    estimator.__setstate__(state)
    return estimator
