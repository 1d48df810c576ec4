"""The user's skorch callbacks: which are taken, what they record, and their state."""

from __future__ import annotations

import copy
import dis
import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from skorch.callbacks import Callback, LRScheduler
from skorch.callbacks.scoring import ScoringBase
from torch import Tensor

_INSTEAD = {
    ScoringBase: "it needs skorch's own validation loop. history_ has valid_loss and "
    "valid_score of every epoch with validation_fraction, test_loss and test_score "
    "with X_test; for other scores, record your own: net.history.record(name, value) "
    "in on_epoch_end",
    LRScheduler: "the rate is set by lr_schedule, which takes names, "
    "PlateauSchedule and CosineRestarts",
}
_PLAIN = (type(None), bool, int, float, str, Tensor)


def checked_callbacks(callbacks: Iterable[Any] | None) -> list[Any]:
    """Callbacks that can work here, as skorch takes them: objects, classes, pairs.

    Raises
    ------
    TypeError
        If one is no callback, or one that could not work; it says what to do instead.
    """
    found = list(callbacks or ())
    for item in found:
        callback = item[1] if isinstance(item, (tuple, list)) else item
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise TypeError(
                "callbacks must be skorch callbacks, or pairs of a name and one; got "
                f"{item!r}."
            )
        for refused, instead in _INSTEAD.items():
            if issubclass(kind, refused):
                raise TypeError(f"callbacks has {kind.__name__}, but {instead}.")
    return found


def copies_of(callbacks: Any) -> Any:
    """Copies for a clone; what cannot be copied, such as an open file, is shared."""
    if not isinstance(callbacks, (list, tuple)):
        return callbacks
    return type(callbacks)(map(_copy, callbacks))


def _copy(callback: Any) -> Any:
    try:
        return copy.deepcopy(callback)
    except TypeError:
        return callback


def extra_records(row: dict[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """What callbacks recorded in an epoch of skorch's history, next to our figures."""
    return {
        key: value
        for key, value in row.items()
        if key not in known
        and not key.endswith("_best")
        and isinstance(value, (bool, int, float, str, np.generic))
    }


def is_raised_by_code(error: BaseException) -> bool:
    """Whether a ``raise`` statement raised it; Ctrl-C comes between instructions."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    code = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    return dis.opname[code] == "RAISE_VARARGS"


def state_of(callback: Any) -> dict[str, Any]:
    """Attributes that are plain values and change in training, such as counters.

    Parameters of the constructor are not among them, nor is what a file cannot hold,
    such as an open file.
    """
    parameters = inspect.signature(type(callback)).parameters
    return {
        name: value
        for name, value in vars(callback).items()
        if name not in parameters and is_plain(value)
    }


def check_state(callback: Any, values: dict[str, Any], name: str) -> None:
    """Refuse a state that `state_of` would not give of that callback.

    Parameters
    ----------
    callback : Callback
        The callback at the start of training.
    values : dict of str to object
        What its attributes are to become.
    name : str
        Its name, for the message.
    """
    parameters = inspect.signature(type(callback)).parameters
    for key, value in values.items():
        member = inspect.getattr_static(type(callback), key, None)
        is_code = callable(member) or hasattr(member, "__get__")
        if not key.isidentifier() or key.startswith("__") or key in parameters:
            raise ValueError(f"its callback {name} has no state {key!r:.40}")
        before = vars(callback).get(key)
        of_another_kind = before is not None and value is not None
        of_another_kind &= _kind(value) is not _kind(before)
        if is_code or of_another_kind or not is_plain(value):
            raise ValueError(f"its callback {name} cannot have {key}={value!r:.40}")


def _kind(value: Any) -> type:
    if isinstance(value, (bool, int, float, np.ndarray, np.generic, Tensor)):
        return float
    return list if isinstance(value, tuple) else type(value)


def is_plain(value: Any) -> bool:
    """Whether a value is of numbers and text only, which a file can hold."""
    if isinstance(value, _PLAIN):
        return True
    if isinstance(value, (list, tuple)):
        return all(is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(k, str) and is_plain(v) for k, v in value.items())
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.kind in "biuf" and value.dtype.itemsize <= 8
    return False
