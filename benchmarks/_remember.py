"""The last result of a function, remembered in every process that needs it.

A module of its own, which workers import: they cannot be sent a function of a script
that `functools.lru_cache` decorates.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

_last: dict[Hashable, Any] = {}


def remembered(make: Callable[..., Any], *arguments: Hashable) -> Any:
    """``make(*arguments)``, computed unless the call before was the same."""
    key = (make.__qualname__, arguments)
    if key not in _last:
        _last.clear()
        _last[key] = make(*arguments)
    return _last[key]
