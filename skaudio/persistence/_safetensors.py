"""Fitted estimators in one file of arrays and JSON, which executes nothing on loading.

The file is a safetensors file: arrays as they are, and in its metadata a JSON
description of the estimator, in which arrays are referred to by name. Loading creates
objects of a fixed list of classes only and never calls code that the file names.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skaudio._utils._files import replacing, size_of_file
from skaudio._utils._limits import Budget
from skaudio.persistence._decode import Decoder
from skaudio.persistence._encode import Encoder

FORMAT = "skaudio-1"
HEADER = "skaudio"
CHECKSUM = "skaudio_sha256"  # of description and arrays
BRACKET = 128  # bytes that a list or dictionary of JSON takes, parsed and decoded


def save(estimator: BaseEstimator, path: str | os.PathLike[str]) -> None:
    """Save an estimator or a Pipeline to one file that is safe to load.

    Parameters
    ----------
    estimator : estimator
        Estimators of skaudio, fitted or not, and Pipelines of them with scalers,
        linear models, multi-layer perceptrons and Gaussian mixtures of scikit-learn.
        A `PretrainedEmbedder` saves the path of its weights. Folders in ``memory``
        and ``cache`` are not saved.
    path : str or path-like
        File to write, by convention ending in ``.safetensors``. It appears complete
        or not at all.

    Raises
    ------
    TypeError
        If the estimator holds something that such a file cannot: the message names
        it. `joblib.dump` saves anything, but loading such a file can execute code.
    ValueError
        If a network has weights that are NaN or infinite.
    OSError
        Before any work if the folder does not exist; if the file cannot be written.

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

    with replacing(path) as part:
        encoder = Encoder()
        tree = encoder.encode(estimator, type(estimator).__name__)
        header = json.dumps({"format": FORMAT, "estimator": tree}, allow_nan=True)
        checksum = _checksum(header, encoder.arrays)
        content = to_bytes(
            encoder.arrays, metadata={HEADER: header, CHECKSUM: checksum}
        )
        Budget(len(content)).take(encoder.n_bytes, f"A {type(estimator).__name__}")
        part.write_bytes(content)


def load(path: str | os.PathLike[str], *, modules: Sequence[type] = ()) -> Any:
    """Load what `save` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : str or path-like
        File to read.
    modules : sequence of type, default=()
        Classes of networks that `NetworkClassifier` was trained with: files name them,
        and hold none of their code. The class is yours, and so is what its constructor
        does with the values of ``module_params`` from the file.

    Returns
    -------
    estimator : estimator
        As it was saved; a network comes back on the CPU if there is no GPU. `memory`
        of a Pipeline and `cache` have their defaults again if they were folders.

    Raises
    ------
    ValueError
        If the file is something else or damaged, names a class or an attribute that
        is not on the list, or holds more than 16 times its size and 16 MiB.
    OSError
        If there is no file, or a directory.

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
    _check_modules(modules)
    n_bytes = size_of_file(path)
    metadata, arrays = _read(path)
    if HEADER not in metadata:
        raise ValueError(
            f"{os.fspath(path)!r} holds arrays, but no estimator of skaudio."
        )
    try:
        return _estimator(metadata, arrays, Budget(n_bytes), modules)
    except Warning:  # such as of another version of scikit-learn, made an error
        raise
    except Exception as error:  # damaged and forged files fail in any way
        what = str(error).rstrip(".")
        if not isinstance(error, ValueError):
            what = f"its description is damaged ({type(error).__name__}: {what})"
        raise ValueError(f"{os.fspath(path)!r} cannot be loaded: {what}.") from error


def _check_modules(modules: Any) -> None:
    """Refuse what are no classes, and two that a file cannot tell apart."""
    is_list = isinstance(modules, (list, tuple, set))
    if not is_list or not all(isinstance(module, type) for module in modules):
        raise TypeError(f"modules must be a list of classes; got {modules!r:.80}.")
    counts = Counter(module.__name__ for module in modules)
    for name, count in counts.items():
        if count > 1:
            raise ValueError(
                f"modules has {count} classes called {name!r}, and files name them by "
                "that. Pass the one that the file was made with."
            )


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Metadata and arrays of a safetensors file."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return dict(file.metadata() or {}), arrays
    except OSError:
        raise
    except Exception as error:  # of safetensors, or of types that NumPy lacks
        raise ValueError(
            f"{os.fspath(path)!r} is not a safetensors file ({error}). Files of "
            "skaudio.persistence.save are; for pickles use joblib.load, if you trust "
            "them."
        ) from error


def _estimator(
    metadata: Mapping[str, str],
    arrays: Mapping[str, np.ndarray],
    budget: Budget,
    modules: Sequence[type],
) -> Any:
    header = metadata[HEADER]
    checksum = metadata.get(CHECKSUM)  # older files have none
    if checksum is not None and checksum != _checksum(header, arrays):
        raise ValueError(
            "it is not what was saved: its checksum differs, so it was damaged or "
            "changed since. Get it anew"
        )
    n_brackets = header.count("[") + header.count("{")
    budget.take(BRACKET * n_brackets, "its description")
    content = json.loads(header)
    if content.get("format") != FORMAT:
        raise ValueError(
            f"it has format {content.get('format')!r}; this version of skaudio reads "
            f"{FORMAT!r}"
        )
    estimator = Decoder(arrays, budget, modules).decode(content["estimator"])
    if not isinstance(estimator, BaseEstimator):
        raise ValueError(f"it describes a {type(estimator).__name__}, no estimator")
    return estimator


def _checksum(header: str, arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of a description and its arrays, in hexadecimal."""
    digest = sha256(header.encode())
    for name, array in sorted(arrays.items()):
        digest.update(repr((name, array.dtype.str, array.shape)).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def holds_estimator(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one that `save` wrote."""
    from safetensors import SafetensorError, safe_open

    size_of_file(path)
    try:
        with safe_open(path, framework="numpy") as file:
            return HEADER in (file.metadata() or {})
    except SafetensorError:
        return False
