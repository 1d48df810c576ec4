"""Modules in pickles, which cannot hold them: by their names."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class _Module:
    """Stands for a module in a pickle."""

    def __init__(self, module: ModuleType) -> None:
        self.name = module.__name__

    def __reduce__(self) -> Any:
        return importlib.import_module, (self.name,)


def by_name(weights: Any) -> Any:
    """The same with names in place of modules, also in a tuple."""
    if isinstance(weights, tuple):
        return tuple(by_name(part) for part in weights)
    return _Module(weights) if isinstance(weights, ModuleType) else weights
