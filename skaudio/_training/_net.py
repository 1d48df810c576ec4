"""The private skorch net: dictionaries of inputs, outputs, targets and losses."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from skaudio._training._data import SegmentDataset, TrainingBatch
from skaudio._training._schedule import SCHEDULES
from skaudio._utils._random import seeded_initialisation
from skaudio.nn.blocks import seed_dropout
from skaudio.nn.devices import halved, moved
from skaudio.nn.folding import folded
from skaudio.nn.layers import layer_outputs
from skaudio.nn.losses import blend

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": torch.optim.Adam},
    "adamw": {"optimizer": torch.optim.AdamW},
    "sgd": {"optimizer": torch.optim.SGD},
    "nesterov": {
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "optimizer__nesterov": True,
    },
}


POOLINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "max": lambda x: x.amax(-1),
    "mean": lambda x: x.mean(-1),
}


class SegmentNet(NeuralNet):
    """A skorch net whose batches and losses are dictionaries.

    It keeps the weights of the branches, adds up a training loss without waiting for
    the device, and evaluates segments; all data handling is the dataset's.
    """

    def __init__(
        self,
        *args: Any,
        seed: int,
        dtype: str,
        mixed_precision: bool = False,
        compiled: bool = False,
        training_input: Any = None,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        self.dtype = dtype
        self.mixed_precision = mixed_precision
        self.compiled = compiled
        self.training_input = training_input
        self.is_finished = False  # set by what ends training before its time
        super().__init__(*args, **kwargs)

    @property
    def _default_callbacks(self) -> list[Any]:
        return []  # history, schedule and evaluation are ours

    def initialize_module(self) -> SegmentNet:
        """Build the module from the seed, in the dtype of X, before the optimizer."""
        with seeded_initialisation(self.seed):
            super().initialize_module()
        # channels last: convolutions with few channels are a third faster on a CPU
        self.module_: Any = self.module_.to(
            dtype=getattr(torch, self.dtype), memory_format=torch.channels_last
        )
        return self

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kw: Any) -> None:
        """Give dropout a private generator, and compile: only training needs both."""
        seed_dropout(self.module_, self.seed, self.device)
        # skorch would take what is assigned in the usual way for one more module
        forward = torch.compile(self.module_) if self.compiled else self.module_
        self.__dict__["_forward"] = forward

    def set_branch_weights(self, weights: np.ndarray) -> None:
        """Put the weights in force on the device, for the loss of the next steps."""
        dtype = getattr(torch, self.dtype)
        self.branch_weights = torch.as_tensor(weights, dtype=dtype, device=self.device)

    def infer(self, x: Any, **fit_params: Any) -> dict[str, torch.Tensor]:
        """Logits of every branch, for a training batch or for views."""
        if isinstance(x, TrainingBatch):
            return self._logits(self._forward, self.training_input(x.to(self.device)))
        return self._logits(self.module_, moved(x, self.device))

    def _logits(self, forward: Any, views: dict[str, torch.Tensor]) -> Any:
        if not self.mixed_precision:
            logits: dict[str, torch.Tensor] = forward(views)
            return logits
        kind = torch.device(self.device).type
        with torch.autocast(kind, dtype=torch.bfloat16):
            narrow = forward(views)
        dtype = getattr(torch, self.dtype)
        return {name: logits.to(dtype) for name, logits in narrow.items()}

    def get_loss(
        self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False
    ) -> torch.Tensor:
        """Weighted sum of the branches' losses."""
        losses = self.criterion_(y_pred, moved(y_true, self.device))
        return blend(losses, self.branch_weights)

    def fit_loop(self, X: Any, y: Any = None, epochs: Any = None, **kw: Any) -> Any:
        """Train for the epochs that are left, unless a callback ends it before."""
        while len(self.history) < self.max_epochs and not self.is_finished:
            super().fit_loop(X, y, epochs=1, **kw)
        return self

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **params: Any
    ) -> None:
        """skorch's epoch without a device synchronisation in every step."""
        if iterator is None:
            return
        total, n_clips = 0.0, 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **params)
            size = len(next(iter(batch[1].values())))
            total = total + step["loss"].detach() * size
            n_clips += size
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.history.record(f"{prefix}_loss", float(total) / n_clips)

    def logits(
        self, data: SegmentDataset, rows: np.ndarray, starts: np.ndarray
    ) -> dict[str, torch.Tensor]:
        """Logits (segments, outputs) of every branch, in eval mode."""
        return self._infer_segments(self._logits, data, rows, starts)

    def features(
        self,
        data: SegmentDataset,
        rows: np.ndarray,
        starts: np.ndarray,
        layers: list[str],
        pooling: str,
    ) -> np.ndarray:
        """Outputs (segments, features) of hidden layers, side by side."""
        pool = POOLINGS[pooling]

        def compute(module: Any, views: dict[str, torch.Tensor]) -> Any:
            outputs = layer_outputs(module, layers, views)
            # (segments, filters, [bins,] steps), or without steps
            return {
                name: (pool(x) if x.ndim > 2 else x).flatten(1)
                for name, x in outputs.items()
            }

        outputs = self._infer_segments(compute, data, rows, starts)
        return torch.cat([outputs[name] for name in layers], dim=1).cpu().numpy()

    def _infer_segments(
        self, compute: Any, data: SegmentDataset, rows: np.ndarray, starts: np.ndarray
    ) -> dict[str, torch.Tensor]:
        """Results of ``compute(network, views)`` for segments, batch by batch."""
        parts: list[dict[str, torch.Tensor]] = []
        done, batch_size = 0, self.batch_size
        with torch.inference_mode():
            module = folded(self.module_)
            while done < len(rows):
                chosen = slice(done, done + batch_size)
                X, _ = data.batch(rows[chosen], starts[chosen])
                try:
                    parts.append(compute(module, moved(X, str(self.device))))
                except torch.OutOfMemoryError:
                    size = len(rows[chosen])
                    batch_size = halved(size, str(self.device), "segments")
                    continue
                done += batch_size
        return {name: torch.cat([p[name] for p in parts]) for name in parts[0]}


class Schedule(Callback):
    """Set the learning rate before every step from the progress through training."""

    STATE = ("step",)

    def __init__(self, name: str, n_steps: int) -> None:
        self.name = name
        self.n_steps = n_steps
        self.step = 0

    def on_batch_begin(self, net: SegmentNet, **kwargs: Any) -> None:
        """Scale the base rate for the coming step."""
        factor = SCHEDULES[self.name](self.step / max(1, self.n_steps))
        for group in net.optimizer_.param_groups:
            group["lr"] = net.lr * factor
        self.step += 1


class Records(Callback):
    """Per-epoch records in plain Python, and a progress bar on demand."""

    STATE = ("epochs",)

    def __init__(self, verbose: int) -> None:
        self.verbose = verbose
        self.epochs: list[dict[str, float]] = []

    def on_train_begin(self, net: SegmentNet, **kwargs: Any) -> None:
        """Open the bar."""
        from tqdm.auto import tqdm

        self.bar = tqdm(
            total=net.max_epochs, desc="Training", disable=not self.verbose, unit="ep"
        )

    def on_epoch_begin(self, net: SegmentNet, **kwargs: Any) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_epoch_end(self, net: SegmentNet, **kwargs: Any) -> None:
        """Read skorch's record of the epoch."""
        last = net.history[-1]
        row = {
            "epoch": len(self.epochs) + 1,
            "train_loss": last["train_loss"],
            "valid_loss": last.get("valid_loss", math.nan),
            "valid_score": last.get("valid_score", math.nan),
            "test_loss": last.get("test_loss", math.nan),
            "lr": net.optimizer_.param_groups[0]["lr"],
            "seconds": time.perf_counter() - self.started,
        }
        self.epochs.append(row)
        self.bar.set_postfix(
            {k: f"{row[k]:.3g}" for k in ("train_loss", "valid_score")}
        )
        self.bar.update()

    def on_train_end(self, net: SegmentNet, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar.close()
