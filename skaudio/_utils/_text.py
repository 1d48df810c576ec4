"""Pieces of messages."""

from __future__ import annotations

from typing import Any


def shortened(names: Any, limit: int = 6) -> str:
    """A few of many names, for a message.

    Examples
    --------
    >>> from skaudio._utils._text import shortened
    >>> shortened("abcd", limit=2)
    'a, b and 2 more'
    """
    names = [str(name) for name in names]
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
