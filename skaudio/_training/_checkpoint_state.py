"""What checkpoints hold: made of plain values, and checked before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

ARRAY = "ndarray"  # marks what was a NumPy array


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Raise whatever fails in the block as a ValueError that names the file."""
    try:
        yield
    except Exception as error:  # damaged files fail in any way
        told = str(error).strip() or type(error).__name__
        raise ValueError(
            f"{path} is not a checkpoint of skaudio, or is damaged: "
            f"{told.splitlines()[0][:200].rstrip('.')}. Delete it to start anew, or "
            "name a file that does not exist yet."
        ) from error


def check_like(value: Any, like: Any, where: str, most: int = 2**53) -> None:
    """Refuse a value that differs from another one in more than its numbers.

    Parameters
    ----------
    value : object
        Tensors and plain values, also nested.
    like : object
        Has the same names, types and shapes; of a list, its first item stands for one
        or more of them.
    where : str
        What it is, for the message.
    most : int, default=2**53
        Largest whole number that it may hold; the least is 0.
    """
    if not _is_alike(value, like, most):
        raise ValueError(
            f"its {where} should be like {_about(like)}, and is {_about(value)}"
        )
    if isinstance(like, Mapping):
        for key in like:
            check_like(value[key], like[key], f"{where}[{key!r}]", most)
    elif isinstance(like, (list, tuple)):
        for i, item in enumerate(value):
            check_like(item, like[0], f"{where}[{i}]", most)


def _is_alike(value: Any, like: Any, most: int) -> bool:
    if isinstance(like, Tensor):
        is_tensor = isinstance(value, Tensor)
        return is_tensor and (value.dtype, value.shape) == (like.dtype, like.shape)
    if isinstance(like, Mapping):
        return isinstance(value, Mapping) and value.keys() == like.keys()
    if isinstance(like, (list, tuple)):
        return type(value) is type(like) and bool(value) == bool(like)
    if type(like) is float:
        return type(value) in (int, float)
    if type(like) is int:
        return type(value) is int and 0 <= value <= most
    return type(value) is type(like)


def _about(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype} and shape {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"a dictionary of {sorted(map(str, value))!s:.60}"
    return f"{value!r:.40}"


def check_finite(state: Mapping[str, Tensor], where: str) -> None:
    """Refuse weights that would give NaN.

    Parameters
    ----------
    state : dict of str to Tensor
        State of a network.
    where : str
        What it is, for the message.
    """
    for name, tensor in state.items():
        is_negative = name.endswith("running_var") and bool((tensor < 0).any())
        if is_negative or not bool(tensor.isfinite().all()):
            raise ValueError(
                f"its {where}[{name!r}] holds NaN, infinity or a negative variance, "
                "though the training has not diverged so far"
            )


def encoded(value: Any) -> Any:
    """Nothing but tensors and Python's own types, which load without running code."""
    if isinstance(value, np.ndarray):
        return {ARRAY: torch.from_numpy(value.astype(value.dtype.newbyteorder("=")))}
    if isinstance(value, np.generic):
        value = value.item()
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)  # not a subclass, which is somebody's code
    if isinstance(value, (list, tuple)):
        return [encoded(item) for item in value]
    if isinstance(value, Mapping):
        return {k: encoded(v) for k, v in value.items()}
    return value


def decoded(value: Any, device: str | torch.device = "cpu") -> Any:
    """What `encoded` was given, with lists for tuples, and tensors on a device."""
    if isinstance(value, list):
        return [decoded(item, device) for item in value]
    if isinstance(value, dict):
        if value.keys() == {ARRAY}:
            return value[ARRAY].numpy()
        return {k: decoded(v, device) for k, v in value.items()}
    return value.to(device) if isinstance(value, Tensor) else value
