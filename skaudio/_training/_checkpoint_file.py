"""Files of checkpoints, read without running anything in them."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from skaudio._training._checkpoint_state import check_like, named
from skaudio._utils._files import size_of_file
from skaudio._utils._limits import Budget
from skaudio._utils._pickle_scan import check_torch

KEYS = {
    *("identity", "seed", "module", "optimizer", "history", "is_finished"),
    *("dropout", "parts", "callbacks"),
}
VALUE = 32  # bytes of a value without the numbers of a tensor


def read(path: Path) -> dict[str, Any] | None:
    """Read what a checkpoint holds, or None if there is none; no code is run.

    Raises
    ------
    ValueError
        If the file is something else or damaged, or would take far more memory than
        its size.
    OSError
        If there is no folder for it, before an epoch is spent on finding out.
    """
    if path.is_dir():
        raise IsADirectoryError(f"checkpoint={path} is a directory. Name a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"checkpoint={path}: there is no folder {path.parent}. Make it first."
        )
    if not path.exists():
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(
                f"checkpoint={path}: the folder {path.parent} may not be written to. "
                "Change its permissions, or name another one."
            )
        return None
    size_of_file(path)
    content = path.read_bytes()
    with named(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pickles, which are not ours
        check_torch(content)
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        _check_size(state, Budget(len(content)))
        _check_keys(state)
        return dict(state)


def _check_size(value: Any, budget: Budget) -> None:
    """Refuse what takes far more than the file when every reference is followed."""
    budget.take(VALUE, "what is repeated in it")
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.device.type != "cpu":
            raise ValueError(f"it holds a tensor that is {value.layout}")
        budget.take(value.numel() * value.element_size(), "a tensor")
    elif isinstance(value, Mapping):
        for item in value.values():
            _check_size(item, budget)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_size(item, budget)


def _check_keys(state: Any) -> None:
    if not isinstance(state, dict) or not state.keys() >= KEYS:
        found = sorted(map(str, state)) if isinstance(state, dict) else type(state)
        raise ValueError(f"it should hold {sorted(KEYS)}, and holds {found}")
    identity, seed = state["identity"], state["seed"]
    check_like(identity, dict.fromkeys(identity, ""), "identity")
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ValueError(f"its seed is {seed!r:.40}")
