"""Identity of a training: equal for values that give the same model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from torch import Tensor

from skaudio._utils._lazy import LazyClips

# parameters of views and others that say how to compute, not what
HOW = (
    *("n_jobs", "verbose", "device", "batch_size", "on_error"),
    *("cache", "cache_by", "memory"),
)


def identity_of(value: Any) -> str:
    """Digest of a value: numbers by what they are worth, dictionaries in any order.

    Parameters
    ----------
    value : object
        Plain values, arrays, tensors and estimators, also nested in lists, tuples and
        dictionaries. Of an estimator, parameters count that change what it computes.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in _parts(value):
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()


def _parts(value: Any) -> Iterator[bytes | memoryview]:
    if isinstance(value, (list, tuple, LazyClips)):
        yield f"list {len(value)}".encode()
        for item in value:
            yield from _parts(item)
    elif isinstance(value, Mapping):
        yield from _parts(
            sorted((identity_of(k), identity_of(v)) for k, v in value.items())
        )
    elif isinstance(value, BaseEstimator):
        parameters = value.get_params(deep=False)
        yield type(value).__name__.encode()
        yield from _parts({k: v for k, v in parameters.items() if k not in HOW})
    elif isinstance(value, Tensor):
        yield from _parts(value.detach().cpu().numpy())
    elif isinstance(value, np.ndarray) and value.dtype.hasobject:
        yield from _parts(value.tolist())
    elif isinstance(value, np.ndarray):
        yield f"array {value.dtype.str} {value.shape}".encode()
        yield np.ascontiguousarray(value).data.cast("B") if value.size else b""
    else:
        yield _scalar(value).encode("utf-8", "surrogateescape")


def _scalar(value: Any) -> str:
    if isinstance(value, Integral) and abs(int(value)) > 2**53:
        return repr(int(value))
    if isinstance(value, (Real, np.bool_)):
        return repr(float(value))  # 2, 2.0 and np.int64(2) alike
    if isinstance(value, (str, os.PathLike)):
        return f"text {os.fspath(value)}"
    return repr(value)
