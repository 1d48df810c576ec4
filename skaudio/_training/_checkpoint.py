"""Training that survives an interruption: its state, saved after every epoch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from skorch.callbacks import Callback

from skaudio._training._checkpoint_state import (
    check_finite,
    check_like,
    decoded,
    encoded,
    named,
)
from skaudio._training._divergence import LOSSES, diverged_in
from skaudio._training._random_draws import seed_of_dropout
from skaudio._training._user_callbacks import check_state, is_plain, state_of
from skaudio._utils._files import replacing
from skaudio.nn.blocks import Dropout


class Checkpoint(Callback):
    """Save everything that training depends on, and go on from there.

    Parameters
    ----------
    path : Path
        File to write.
    saved : dict or None
        What it holds already.
    identity : dict of str to str
        Digests of the data and the settings by name: the state of another training is
        refused.
    seed : int
        What everything random is derived from.
    data : TrainingSegments
        What counts the epochs.
    evaluation : Evaluation
        What weights the terms of the loss.
    records : Records
        What has a row per epoch.
    others : sequence
        Other objects whose attributes ``STATE`` change in training.
    """

    def __init__(
        self,
        path: Path,
        saved: dict[str, Any] | None,
        identity: dict[str, str],
        seed: int,
        data: Any,
        evaluation: Any,
        records: Any,
        others: Sequence[Any],
    ) -> None:
        self.path = path
        self.saved = saved
        self.identity = identity
        self.seed = seed
        self.data = data
        self.evaluation = evaluation
        self.records = records
        self.others = others

    def _parts(self) -> dict[str, Any]:
        """Objects with ``STATE`` by name."""
        others = {type(part).__name__: part for part in (self.evaluation, *self.others)}
        return {"loss_weights": self.evaluation.rule, "records": self.records, **others}

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Go on from the last finished epoch, if there is one."""
        if self.saved is None:
            return
        state, self.saved = self.saved, None  # its memory is free after the start
        theirs = state["identity"]
        names = [*self.identity, *(theirs.keys() - self.identity.keys())]
        differing = [n for n in names if theirs.get(n) != self.identity.get(n)]
        if differing:
            raise ValueError(
                f"{self.path} is the checkpoint of another training. What differs: "
                f"{', '.join(differing)}. Delete it to start anew, or name another "
                "file."
            )
        n_epochs = _n_epochs(state)
        if n_epochs > net.max_epochs:
            raise ValueError(
                f"{self.path} has {n_epochs} epochs of this training already, but "
                f"max_epochs={net.max_epochs}. Raise max_epochs, or name another file."
            )
        with named(self.path):
            self._check(net, state)
            self._restore(net, state)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Replace the file by the state after this epoch, all at once."""
        with replacing(self.path) as part:
            torch.save(self._state(net), part)

    def _state(self, net: Any) -> dict[str, Any]:
        generator = _dropout_generator(net.module_)
        return {
            "identity": self.identity,
            "seed": self.seed,
            "module": net.module_.state_dict(),
            "optimizer": encoded(net.optimizer_.state_dict()),
            "history": [_without_batches(row) for row in net.history],
            "is_finished": net.is_finished,
            "dropout": None if generator is None else generator.get_state(),
            "device": torch.device(net.device).type,
            "parts": {
                name: {key: encoded(getattr(part, key)) for key in part.STATE}
                for name, part in self._parts().items()
            },
            "callbacks": {
                name: encoded(state_of(callback))
                for name, callback in self._user_callbacks(net)
            },
        }

    def _check(self, net: Any, state: dict[str, Any]) -> None:
        """Refuse what this training could not have written."""
        now = self._state(net)
        for name in ("module", "is_finished"):
            check_like(state[name], now[name], name)
        check_like(state.get("device", ""), "", "device")
        if _is_of_this_device(net, state):
            check_like(state["dropout"], now["dropout"], "dropout")
        _check_optimizer(state["optimizer"], net.optimizer_)
        parts, like = state["parts"], now["parts"]
        check_like(dict.fromkeys(parts), dict.fromkeys(like), "parts")
        n_steps = self.evaluation.period * (self.evaluation.n_evaluations + 2)
        for name, part in like.items():
            if name == "records":
                _check_epochs(parts[name]["epochs"], state["history"], net.max_epochs)
                part["epochs"] = parts[name]["epochs"][:1]
            best = parts[name].get("best_state")
            if best:
                part["best_state"] = now["module"]
                check_finite(best, f"best state of {name}")
            check_like(parts[name], part, name, n_steps)
        for name, callback in self._user_callbacks(net):
            own = decoded(state["callbacks"].get(name, {}), net.device)
            check_state(callback, own, name)
        with_validation = "valid" in self.evaluation.parts
        if diverged_in(parts["records"]["epochs"], with_validation) is None:
            check_finite(state["module"], "module")
            _check_moments(state["optimizer"]["state"])

    def _restore(self, net: Any, state: dict[str, Any]) -> None:
        net.module_.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
        net.history.extend(decoded(state["history"], net.device))
        net.is_finished = state["is_finished"]
        self.data.epoch = len(net.history)
        generator = _dropout_generator(net.module_)
        if generator is not None and _is_of_this_device(net, state):
            generator.set_state(state["dropout"])
        elif generator is not None:  # its state fits no other kind of device
            generator.manual_seed(seed_of_dropout(state["seed"], self.data.epoch))
        for name, part in self._parts().items():
            for key, value in state["parts"][name].items():
                setattr(part, key, decoded(value, net.device))
        for name, callback in self._user_callbacks(net):
            for key, value in state["callbacks"].get(name, {}).items():
                setattr(callback, key, decoded(value, net.device))
        weights = self.evaluation.rule.weights
        net.set_loss_weights(self.evaluation.terms, weights)

    def _user_callbacks(self, net: Any) -> list[tuple[str, Any]]:
        ours = (*self._parts().values(), self)
        return [(n, c) for n, c in net.callbacks_ if not any(c is o for o in ours)]


def _is_of_this_device(net: Any, state: dict[str, Any]) -> bool:
    """Whether training was on the same kind of device; old files do not say it."""
    kind = torch.device(net.device).type
    return bool(state.get("device", kind) == kind)


def _dropout_generator(module: torch.nn.Module) -> torch.Generator | None:
    """Return the generator that all dropout layers of a network share."""
    layers = (m for m in module.modules() if isinstance(m, Dropout))
    return next((layer.generator for layer in layers), None)


def _without_batches(row: dict[str, Any]) -> dict[str, Any]:
    kept = {k: encoded(v) for k, v in row.items() if k != "batches" and is_plain(v)}
    return {**kept, "batches": []}


def _n_epochs(state: dict[str, Any]) -> int:
    """Epochs of a state; 0 if its parts do not agree, which `_check_epochs` refuses."""
    parts = state["parts"]
    records = parts.get("records") if isinstance(parts, dict) else None
    epochs = records.get("epochs") if isinstance(records, dict) else None
    history = state["history"]
    if not (isinstance(epochs, list) and isinstance(history, list)):
        return 0
    return len(history) if len(history) == len(epochs) else 0


def _check_epochs(epochs: Any, history: Any, most: int) -> None:
    """Refuse rows of epochs that lack what training looks at."""
    if not type(epochs) is type(history) is list or len(epochs) != len(history):
        raise ValueError("its records and its history are no lists of equal length")
    if not 0 < len(epochs) <= most:
        raise ValueError(f"it is of {len(epochs)} epochs; wanted 1 to {most}")
    needed = {"epoch": 0, "step": 0} | dict.fromkeys(LOSSES, 0.0)
    for row, of_skorch in zip(epochs, history, strict=True):
        check_like({key: row[key] for key in needed}, needed, "records")
        check_like(of_skorch["train_loss"], 0.0, "train_loss")


def _check_optimizer(state: Any, optimizer: torch.optim.Optimizer) -> None:
    """Refuse a state whose next step would fail, by taking one of no consequence."""
    trial = copy.deepcopy(optimizer)
    for group in trial.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    trial.step()
    like = encoded(trial.state_dict())
    for group in like["param_groups"]:
        group["lr"] = float(group["lr"])  # as a schedule makes it
    check_like(dict.fromkeys(state), dict.fromkeys(like), "optimizer")
    n_groups = len(state["param_groups"])
    check_like(state["param_groups"], like["param_groups"], "param_groups")
    if n_groups != len(like["param_groups"]):
        raise ValueError(f"its optimizer has {n_groups} groups of parameters")
    for number, values in state["state"].items():
        if values:  # frozen parameters have none
            check_like(values, like["state"][number], f"optimizer[{number}]")


def _check_moments(state: dict[int, dict[str, Any]]) -> None:
    for number, moments in state.items():
        for key, value in moments.items():
            if torch.is_tensor(value) and bool(value.isnan().any()):
                raise ValueError(f"its optimizer[{number}][{key!r}] holds NaN")
