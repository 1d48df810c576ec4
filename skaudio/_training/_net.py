"""The private skorch net: dictionaries of inputs, outputs, targets and losses."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from skaudio._training._data import SegmentDataset, batches
from skaudio._training._schedule import SCHEDULES
from skaudio._utils._random import seeded_initialisation
from skaudio.nn.blocks import seed_dropout
from skaudio.nn.losses import blend
from skaudio.nn.runner import resolve_device

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def available_device(device: str) -> str:
    """Return the device to predict on: a model from a GPU also runs without one."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        return "cpu"
    return resolve_device(device)


class SegmentNet(NeuralNet):
    """A skorch net whose batches and losses are dictionaries.

    It keeps the weights of the branches, adds up a training loss without waiting for
    the device, and evaluates segments; all data handling is the dataset's.
    """

    def __init__(self, *args: Any, seed: int, dtype: str, **kwargs: Any) -> None:
        self.seed = seed
        self.dtype = dtype
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
        """Give dropout a private generator, which only training needs."""
        seed_dropout(self.module_, self.seed, self.device)

    def set_branch_weights(self, weights: np.ndarray) -> None:
        """Put the weights in force on the device, for the loss of the next steps."""
        dtype = getattr(torch, self.dtype)
        self.branch_weights = torch.as_tensor(weights, dtype=dtype, device=self.device)

    def infer(self, x: dict[str, torch.Tensor], **fit_params: Any) -> Any:
        """Logits of every branch."""
        return self.module_({k: v.to(self.device) for k, v in x.items()})

    def get_loss(
        self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False
    ) -> torch.Tensor:
        """Weighted sum of the branches' losses."""
        y_true = {k: v.to(self.device) for k, v in y_true.items()}
        return blend(self.criterion_(y_pred, y_true), self.branch_weights)

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
            size = len(next(iter(batch[0].values())))
            total = total + step["loss"].detach() * size
            n_clips += size
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.history.record(f"{prefix}_loss", float(total) / n_clips)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Eval mode without gradients; the mode before is put back."""
        was_training = self.module_.training
        self.module_.eval()
        try:
            with torch.inference_mode():
                yield
        finally:
            self.module_.train(was_training)

    def logits(
        self, data: SegmentDataset, rows: np.ndarray, starts: np.ndarray
    ) -> dict[str, torch.Tensor]:
        """Logits (segments, outputs) of every branch, in eval mode."""
        parts = []
        with self.evaluating():
            for chosen in batches(np.arange(len(rows)), self.batch_size):
                X, _ = data.batch(rows[chosen], starts[chosen])
                parts.append(self.infer(X))
        return {name: torch.cat([p[name] for p in parts]) for name in parts[0]}


class Schedule(Callback):
    """Set the learning rate before every step from the progress through training."""

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
            "valid_accuracy": last.get("valid_accuracy", math.nan),
            "lr": net.optimizer_.param_groups[0]["lr"],
            "seconds": time.perf_counter() - self.started,
        }
        self.epochs.append(row)
        self.bar.set_postfix(
            {k: f"{row[k]:.3g}" for k in ("train_loss", "valid_accuracy")}
        )
        self.bar.update()

    def on_train_end(self, net: SegmentNet, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar.close()
