"""What cannot be exported, said in one way."""

from __future__ import annotations

from typing import Any, NoReturn


def refuse(estimator: Any, reason: str, kind: type[Exception] = ValueError) -> NoReturn:
    """Raise an error that names what cannot be exported, and why."""
    raise kind(f"{type(estimator).__name__} cannot be exported: {reason}")
