"""JSON within HTML."""

from __future__ import annotations

import json
from typing import Any


def as_json(data: Any) -> str:
    r"""Data as JSON of ASCII characters that ends no script element.

    Parameters
    ----------
    data : object
        Dicts, lists, texts, numbers.

    Examples
    --------
    >>> from skaudio.inspection._embedded_json import as_json
    >>> as_json({"name": "</script>"})
    '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
