"""Training that survives an interruption: its state, saved after every epoch."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from skaudio._training._user_callbacks import state_of
from skaudio._utils._files import replacing
from skaudio.nn.blocks import Dropout

ARRAY = "ndarray"  # marks what was a NumPy array


class Checkpoint(Callback):
    """Save everything that training depends on, and go on from there.

    Parameters
    ----------
    path : Path
        File to write, and to read if it is there.
    identity : dict of str to str
        Digests of the data and the settings by name: the state of another training is
        refused.
    seed : int
        What everything random is derived from.
    data : TrainingSegments
        What counts the epochs.
    evaluation : Evaluation
        What weights the terms of the loss.
    others : sequence
        Other objects whose attributes ``STATE`` change in training.
    """

    def __init__(
        self,
        path: Path,
        identity: dict[str, str],
        seed: int,
        data: Any,
        evaluation: Any,
        others: Sequence[Any],
    ) -> None:
        self.path = path
        self.identity = identity
        self.seed = seed
        self.data = data
        self.evaluation = evaluation
        self.others = others

    def _parts(self) -> dict[str, Any]:
        """Objects with ``STATE`` by name, the rule of the loss weights among them."""
        parts = {type(part).__name__: part for part in (self.evaluation, *self.others)}
        return {"loss_weights": self.evaluation.rule, **parts}

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Go on from the last finished epoch, if there is one."""
        state = read(self.path)
        if state is None:
            return
        theirs = state["identity"]
        names = [*self.identity, *(theirs.keys() - self.identity.keys())]
        differing = [n for n in names if theirs.get(n) != self.identity.get(n)]
        if differing:
            raise ValueError(
                f"{self.path} is the checkpoint of another training. What differs: "
                f"{', '.join(differing)}. Delete it to start anew, or name another "
                "file."
            )
        net.module_.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
        net.history.extend(state["history"])
        net.is_finished = state["is_finished"]
        self.data.epoch = len(net.history)
        generator = _dropout_generator(net.module_)
        if generator is not None:
            generator.set_state(state["dropout"])
        for name, part in self._parts().items():
            for key, value in state["parts"][name].items():
                setattr(part, key, _decoded(value))
        for name, callback in self._user_callbacks(net):
            for key, value in state["callbacks"].get(name, {}).items():
                setattr(callback, key, _decoded(value))
        weights = self.evaluation.rule.weights
        net.set_loss_weights(self.evaluation.terms, weights)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Replace the file by the state after this epoch, all at once."""
        generator = _dropout_generator(net.module_)
        state = {
            "identity": self.identity,
            "seed": self.seed,
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "history": [_without_batches(row) for row in net.history],
            "is_finished": net.is_finished,
            "dropout": None if generator is None else generator.get_state(),
            "parts": {
                name: {key: _encoded(getattr(part, key)) for key in part.STATE}
                for name, part in self._parts().items()
            },
            "callbacks": {
                name: _encoded(state_of(callback))
                for name, callback in self._user_callbacks(net)
            },
        }
        with replacing(self.path) as part:
            torch.save(state, part)

    def _user_callbacks(self, net: Any) -> list[tuple[str, Any]]:
        ours = (*self._parts().values(), self)
        return [(n, c) for n, c in net.callbacks_ if not any(c is o for o in ours)]


def read(path: Path) -> dict[str, Any] | None:
    """Read what a checkpoint holds, or None if there is none; no code is run.

    Raises
    ------
    ValueError
        If the file is something else.
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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles, which are not ours
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError) as error:
        raise _not_ours(path) from error
    if not isinstance(state, dict) or not isinstance(state.get("identity"), dict):
        raise _not_ours(path)
    return state


def _not_ours(path: Path) -> ValueError:
    return ValueError(
        f"{path} is not a checkpoint of skaudio. Name a file that does not exist yet."
    )


def _dropout_generator(module: torch.nn.Module) -> torch.Generator | None:
    """Return the generator that all dropout layers of a network share."""
    layers = (m for m in module.modules() if isinstance(m, Dropout))
    return next((layer.generator for layer in layers), None)


def _without_batches(row: dict[str, Any]) -> dict[str, Any]:
    return {k: _encoded(v) for k, v in row.items() if k != "batches"} | {"batches": []}


def _encoded(value: Any) -> Any:
    """Nothing but tensors and Python's own types, which load without running code."""
    if isinstance(value, np.ndarray):
        return {ARRAY: torch.from_numpy(value.copy())}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_encoded(item) for item in value]
    if isinstance(value, dict):
        return {k: _encoded(v) for k, v in value.items()}
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {ARRAY}:
            return value[ARRAY].numpy()
        return {k: _decoded(v) for k, v in value.items()}
    return value
