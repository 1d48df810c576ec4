"""Files of weights, as they are known again."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple

from skaudio.cache._keys import File, file_of


class Source(NamedTuple):
    """Files, and what is to be read from them."""

    weights: File
    scaler: File | None
    sha256: str | None
    params: tuple[tuple[str, Any], ...]


def source_of(
    weights: Any, scaler: Any, sha256: str | None, params: Mapping[str, Any]
) -> Source:
    """What is to be read, as it is known again."""
    files = file_of(weights), None if scaler is None else file_of(scaler)
    plain = sorted(((name, _hashable(v)) for name, v in params.items()), key=str)
    return Source(*files, sha256, tuple(plain))


def _hashable(value: Any) -> Any:
    return value if isinstance(value, (str, Real, tuple)) else repr(value)
