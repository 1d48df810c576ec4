"""Pickles that others published, read without executing anything in them.

A pickle is a program. This reader has a fixed list of names that the program may ask
for, and hands out substitutes of its own for every one of them: numbers, text,
containers and NumPy arrays of numbers come out as they are, objects of named foreign
classes as :class:`HeldState`, and anything else ends the reading.
"""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from skaudio._utils._files import size_of_file
from skaudio._utils._limits import Budget
from skaudio._utils._pickle_scan import calls_of

SIMPLE = "biufcSU"  # kinds of dtype that are nothing but bytes


class Refusal(ValueError):
    """The file asks for a name that is not on the list."""


class HeldState:
    """What an object of a foreign class held; the class itself is not imported.

    The subclass made for each has the name of the class in `class_name`.
    """

    class_name = ""
    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Given:
    """A callable that a pickle may call but not change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise Refusal("it changes a function")


class _DType:
    """A dtype; the real one takes any state, however wrong, from a pickle."""

    __slots__ = ("order", "spec")

    def __init__(self, spec: str, *_: Any) -> None:
        self.spec, self.order = spec, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise Refusal("it holds an array with fields")
        self.order = state[1]

    def real(self) -> np.dtype[Any]:
        dtype = np.dtype(str(self.spec))
        if dtype.kind not in SIMPLE:
            raise Refusal(f"it holds an array of dtype {dtype}")
        return dtype.newbyteorder("=" if self.order == "|" else self.order)  # type: ignore[arg-type]


class _Array:
    """An array whose content comes later; replaced at the end."""

    __slots__ = ("budget", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, content = state
        if isinstance(content, list) and dtype.spec in ("O", "O8"):
            self.budget.take(np.intp().nbytes * len(content), "an array")
            self.value = np.empty(len(content), dtype=object)
            for i, item in enumerate(content):
                self.value[i] = item
            self.value = self.value.reshape(shape)  # always in this order
        else:
            order = "F" if fortran else "C"
            self.value = _from_bytes(self.budget, content, dtype, shape, order)


def _from_bytes(
    budget: Budget,
    content: Any,
    dtype: _DType,
    shape: Any,
    order: str,
    axes: Any = None,
) -> np.ndarray:
    budget.take(len(content), "an array")
    if isinstance(content, str):  # bytes of Python 2
        content = content.encode("latin1")
    flat: Any = np.frombuffer(content, dtype.real()) if len(content) else np.empty(0)
    flat = flat.astype(dtype.real())  # a copy, which may be written to
    if order == "K":
        return flat.reshape(shape).transpose(axes)
    return flat.reshape(shape, order=order)


def _scalar(budget: Budget, dtype: _DType, content: Any) -> Any:
    return _from_bytes(budget, content, dtype, (1,), "C")[0]


def _reconstruct(budget: Budget, *_: Any) -> _Array:
    return _Array(budget)


def _encode(budget: Budget, text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise Refusal(f"it encodes text as {encoding!r:.40}")
    budget.take(len(text), "text")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _marker(*_: Any) -> None:
    raise Refusal("it makes an array of memory that is not its own")


def _names(budget: Budget) -> dict[tuple[str, str], Any]:
    """What a pickle may ask for, and the substitutes that it gets."""
    encode, reconstruct, scalar, from_bytes = (
        _Given(partial(function, budget))
        for function in (_encode, _reconstruct, _scalar, _from_bytes)
    )
    given: dict[tuple[str, str], Any] = {
        ("numpy", "dtype"): _Given(_DType),
        ("numpy", "ndarray"): _Given(_marker),
        ("_codecs", "encode"): encode,
        ("builtins", "bytes"): _Given(_no_bytes),
        ("__builtin__", "bytes"): _Given(_no_bytes),
        ("collections", "OrderedDict"): OrderedDict,
    }
    for core in ("numpy.core", "numpy._core"):
        given[f"{core}.multiarray", "_reconstruct"] = reconstruct
        given[f"{core}.multiarray", "scalar"] = scalar
        given[f"{core}.numeric", "_frombuffer"] = from_bytes
    return given


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, classes: Iterable[str]) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self._given = _names(Budget(len(content)))
        self._classes = frozenset(classes)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._given:
            return self._given[module, name]
        full = f"{module}.{name}"
        if full not in self._classes:
            raise Refusal(f"it refers to {full}, which was not loaded")
        made = type("Held", (HeldState,), {"class_name": full})
        return self._given.setdefault((module, name), made)

    def persistent_load(self, pid: Any) -> Any:
        raise Refusal(f"it refers to an object outside, {pid!r:.40}")


def _finished(found: Any, seen: dict[int, tuple[Any, Any]]) -> Any:
    """The same with arrays in place of what stood for them.

    ``seen`` keeps references, as an id is reused once its object is gone.
    """
    if id(found) in seen:
        return seen[id(found)][1]
    if isinstance(found, (_Given, _DType, type)):
        raise Refusal("it holds a function or class, not data")
    if isinstance(found, tuple):
        seen[id(found)] = found, tuple(_finished(item, seen) for item in found)
        return seen[id(found)][1]
    whole = found.value if isinstance(found, _Array) else found
    seen[id(found)] = found, whole
    if isinstance(found, _Array) and whole.dtype == object:
        for i, item in enumerate(whole.flat):
            whole.flat[i] = _finished(item, seen)
    elif isinstance(found, list):
        found[:] = [_finished(item, seen) for item in found]
    elif isinstance(found, dict):
        for key, value in list(dict.items(found)):
            dict.__setitem__(found, key, _finished(value, seen))
    elif isinstance(found, HeldState):
        found.state = _finished(found.state, seen)
    return whole


def load_pickle(
    source: str | os.PathLike[str] | IO[bytes], *, classes: Iterable[str] = ()
) -> Any:
    """Read data from a pickle of any protocol, Python 2's included.

    Parameters
    ----------
    source : str, path-like or binary file
        The pickle.
    classes : iterable of str, default=()
        Full names of foreign classes, as the file spells them. Their objects come out
        as :class:`HeldState`, which has what they held in `state`.

    Returns
    -------
    data : object
        Numbers, text, bytes, lists, tuples, dicts, sets, NumPy scalars and arrays of
        numbers, text or such objects, and :class:`HeldState`. Text of Python 2 is
        read as Latin-1.

    Raises
    ------
    ValueError
        If the file asks for anything else, for more memory than 16 times its size and
        16 MiB, or is damaged. Nothing in it was executed.
    """
    if not isinstance(source, (str, os.PathLike)):
        name = getattr(source, "name", "the pickle")
        return _load(source.read(), str(name), classes)
    size_of_file(source)
    return _load(Path(source).read_bytes(), os.fspath(source), classes)


def _load(content: bytes, name: str, classes: Iterable[str]) -> Any:
    try:
        calls_of(io.BytesIO(content), len(content))
        return _finished(_Unpickler(content, classes).load(), {})
    except Refusal as error:
        raise ValueError(
            f"Expected numbers, text, containers or NumPy arrays in {name}, but "
            f"{error}. Nothing of the file was executed. Get the file anew from its "
            "publisher; if it is the published one, skaudio cannot read it."
        ) from error
    except Exception as error:  # damaged files fail in any way
        raise ValueError(
            f"Expected a whole pickle in {name}, but it is damaged: "
            f"{error or 'it ends'}. Get the file anew from its publisher."
        ) from error
