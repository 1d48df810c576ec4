"""What a file may name: classes, and attributes of their objects."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

# everything that a file may contain, next to skaudio's own estimators; no support
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
_FROM_SKAUDIO = (
    "embedding",
    "ensemble",
    "mixture",
    "model_selection",
    "neural_network",
    "preprocessing",
    "segmentation",
    "views",
)
# fitted attributes whose names do not end in "_", of a class and its subclasses
_STATE = {
    "BaseEstimator": ("_sklearn_output_config", "_sklearn_version"),
    "CodeOutputs": ("_from_table",),
    "LateFusionClassifier": ("_has_tags", "_names"),
    "MLPClassifier": (
        *("_best_coefs", "_best_intercepts", "_label_binarizer"),
        *("_no_improvement_count", "loss"),
    ),
    "PretrainedClassifier": ("_network",),
    "RidgeClassifier": ("_label_binarizer",),
    "SegmentEstimator": ("_spec", "_target", "_trained", "_weights"),
}
# what is made anew: after loading, or by a training that goes on
LEFT_OUT = {
    "MLPClassifier": ("_optimizer", "_random_state"),
}
SPLITTERS = "model_selection"  # parameters of a search, which files do not hold
PLACES = ("cache", "memory")  # parameters that may name a folder to read and write


def allowed() -> dict[str, str]:
    """Class name to module, for every class that a file may name."""
    found = {name: module for module, names in _FROM_SKLEARN.items() for name in names}
    for package in _FROM_SKAUDIO:
        module = importlib.import_module(f"skaudio.{package}")
        for name in module.__all__:
            member = getattr(module, name)
            if isinstance(member, type) and issubclass(member, BaseEstimator):
                found[name] = module.__name__
    return found


def trusted_types() -> list[str]:
    """Names of skaudio's classes that a fitted model may hold, as skops wants them.

    skops makes no object of a class that is neither its own, nor NumPy's, SciPy's or
    scikit-learn's, nor one of these. Trusting them runs no code that a file brings.
    What a file says of their values is not checked, as `load` does it.

    Returns
    -------
    names : list of str
        Full names of all public estimators, of objects that are their parameters, and
        of splitters, found among what is installed.

    See Also
    --------
    save : A file whose values are checked as well.

    Examples
    --------
    >>> from skaudio.persistence import trusted_types
    >>> "skaudio.preprocessing._view_scaler.ViewScaler" in trusted_types()
    True
    """
    found = set()
    for package in (*_FROM_SKAUDIO, SPLITTERS):
        module = importlib.import_module(f"skaudio.{package}")
        for name in module.__all__:
            member = getattr(module, name)
            is_class = isinstance(member, type)
            if is_class and (package == SPLITTERS or issubclass(member, BaseEstimator)):
                found.add(f"{member.__module__}.{member.__qualname__}")
    return sorted(found)


def class_named(name: str) -> Any:
    """The class of a name that is allowed."""
    return getattr(importlib.import_module(allowed()[name]), name)


def parameters(cls: type) -> dict[str, Any]:
    """Parameters of a class with their defaults."""
    found = inspect.signature(cls).parameters
    return {name: parameter.default for name, parameter in found.items()}


def is_attribute(cls: type, name: str) -> bool:
    """Whether an object of a class may have that attribute: a parameter or learned.

    A property that can be set may be learned; other members of the class stay its own.
    """
    if name in parameters(cls):
        return True
    if any(name in _STATE.get(base.__name__, ()) for base in cls.__mro__):
        return True
    if not name.endswith("_") or name.startswith("_") or not name.isidentifier():
        return False
    member = inspect.getattr_static(cls, name, None)
    return member is None or getattr(member, "fset", None) is not None


def is_place(name: str, value: Any) -> bool:
    """Whether a parameter names a folder, which belongs to one machine only."""
    return name in PLACES and not isinstance(value, (bool, np.bool_, type(None)))
