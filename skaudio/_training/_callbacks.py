"""skorch callbacks of a training: learning rates, records, weights to start from."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from skorch.utils import freeze_parameter

from skaudio._training._divergence import LOSSES
from skaudio._training._options._schedules import CONSTANT, SCHEDULES
from skaudio.nn.layers import copy_of_state

LONG = 300.0  # seconds of training that are announced
SOON = 10.0  # seconds after which they are estimated, if an epoch takes longer


def duration(seconds: float) -> str:
    """A length of time in words.

    Examples
    --------
    >>> from skaudio._training._callbacks import duration
    >>> duration(4.2), duration(600), duration(9000)
    ('4.2 seconds', '10 minutes', '2.5 hours')
    """
    if seconds < 90:
        return f"{seconds:.2g} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.2g} hours"


def learning_rate(
    schedule: Any, n_steps: int, max_epochs: int, has_validation: bool
) -> Callback:
    """Make the callback that sets the learning rate.

    Parameters
    ----------
    schedule : str, PlateauSchedule, CosineRestarts or WarmupDecay
        Name in `SCHEDULES`, or what sets the rate by its own rule.
    n_steps, max_epochs : int
        Steps and epochs of the whole training.
    has_validation : bool
        Whether there is a validation loss to watch.
    """
    if isinstance(schedule, str):
        return StepSchedule(schedule, n_steps)
    schedule._validate_params()
    if not schedule._watches_validation:
        schedule._check_epochs(max_epochs)
        return EpochSchedule(schedule)
    if not has_validation:
        raise ValueError(
            f"lr_schedule={schedule!r} depends on the validation loss. Set "
            "validation_fraction, e.g. 0.1, or pass X_valid and y_valid to fit, or set "
            "another schedule."
        )
    return PlateauSteps(schedule)


def set_rate(net: Any, lr: float) -> None:
    """Set the learning rate of all parameters."""
    for group in net.optimizer_.param_groups:
        group["lr"] = lr


class StepSchedule(Callback):
    """A rate for every step, from the progress through training.

    ``n_steps`` of this and the others are what the rate depends on: the steps of the
    whole training, or None.
    """

    STATE = ("step",)
    stage = 0

    def __init__(self, name: str, n_steps: int) -> None:
        self.name = name
        self.n_steps = None if name == CONSTANT else n_steps
        self.step = 0

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        """Scale the base rate for the coming step."""
        progress = self.step / max(1, self.n_steps or 1)
        set_rate(net, net.lr * SCHEDULES[self.name](progress))
        self.step += 1


class EpochSchedule(Callback):
    """A rate for every epoch, from its number: `CosineRestarts`, `WarmupDecay`."""

    STATE: tuple[str, ...] = ()
    stage, n_steps = 0, None

    def __init__(self, schedule: Any) -> None:
        self.schedule = schedule

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Set the rate; skorch has opened the record of this epoch already."""
        set_rate(net, self.schedule._rate(net.lr, len(net.history) - 1))


class PlateauSteps(Callback):
    """Lower the rate by a `PlateauSchedule` and the validation loss of every epoch."""

    STATE = ("stage", "n_waited", "best_loss", "best_state")
    n_steps = None

    def __init__(self, schedule: Any) -> None:
        self.schedule = schedule
        self.stage = self.n_waited = 0
        self.best_loss = math.inf
        self.best_state: dict[str, torch.Tensor] = {}

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        """Set the rate of the stage."""
        set_rate(net, net.lr / self.schedule.factor**self.stage)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Keep the best weights, or end the stage."""
        loss = net.history[-1]["valid_loss"]
        if loss < self.best_loss:
            self.best_loss, self.n_waited = loss, 0
            with net.as_evaluated():
                self.best_state = copy_of_state(net.module_)
            return
        self.n_waited += 1
        if self.n_waited > self.schedule.patience:
            self._next_stage(net)

    def _next_stage(self, net: Any) -> None:
        net.is_finished = self.stage + 1 == self.schedule.n_stages
        self.stage += not net.is_finished  # the end is a part of the last stage
        self.n_waited, self.best_loss = 0, math.inf
        if self.best_state:  # unless every loss was NaN
            net.module_.load_state_dict(self.best_state)
        net.optimizer_.state.clear()
        if net.average is not None:
            net.average.restart(net)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Warn of a training that ends before its last stage does."""
        if not net.is_finished:
            warnings.warn(
                f"max_epochs={net.max_epochs} ended training in stage {self.stage + 1} "
                f"of {self.schedule.n_stages} of lr_schedule={self.schedule!r}. Raise "
                "max_epochs, or take a schedule that fits it, such as 'one-cycle'.",
                ConvergenceWarning,
                stacklevel=2,
            )


class Records(Callback):
    """Per-epoch records in plain Python, and a progress bar on demand.

    Parameters
    ----------
    verbose : bool or int
        Whether to show the bar: segments per second, and the time that is left.
    n_segments : int
        Segments of an epoch.
    advice : str
        What makes training shorter, for the message about a long one.
    view_names : sequence of str, default=()
        Views that are trained on, for the bar: several networks may be trained in turn.
    """

    STATE = ("epochs",)

    def __init__(
        self,
        verbose: int,
        n_segments: int,
        advice: str,
        view_names: Sequence[str] = (),
    ) -> None:
        self.verbose = verbose
        self.view_names = view_names
        self.n_segments = n_segments
        self.advice = advice
        self.epochs: list[dict[str, float]] = []
        self.bar: Any = None
        self.is_estimated = False
        self.n_begun = 0  # epochs of this run

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Open the progress bar, if one is asked for."""
        if not self.verbose:
            return
        from tqdm.auto import tqdm

        self.bar = tqdm(
            total=net.max_epochs * self.n_segments,
            desc=" on ".join(["Training", *filter(None, [", ".join(self.view_names)])]),
            unit="segment",
            unit_scale=True,
        )

    def on_batch_end(self, net: Any, batch: Any, **kwargs: Any) -> None:
        """Move the progress bar, or look how long an epoch takes."""
        self.n_done += len(batch[0])
        self.n_batches += 1
        if self.bar is not None:
            self.bar.update(len(batch[0]))
        elif not self.is_estimated and time.perf_counter() - self.started > SOON:
            self._estimate(net)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self.started, self.n_done, self.n_batches = time.perf_counter(), 0, 0
        self.n_begun += 1
        if self.bar is not None and self.n_begun == 1:  # a checkpoint may go on
            n_before = len(self.epochs) * self.n_segments
            self.bar.n = self.bar.last_print_n = self.bar.initial = n_before

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Read skorch's record of the epoch."""
        last = net.history[-1]
        for key in LOSSES:
            if key in last:  # skorch's mark, which its Checkpoint looks for
                best = min((row[key] for row in self.epochs), default=math.inf)
                net.history.record(f"{key}_best", last[key] < best)
        row = {
            "epoch": len(self.epochs) + 1,
            "step": (self.epochs[-1]["step"] if self.epochs else 0) + self.n_batches,
            "train_loss": last["train_loss"],
            "valid_loss": last.get("valid_loss", math.nan),
            "valid_score": last.get("valid_score", math.nan),
            "test_loss": last.get("test_loss", math.nan),
            "test_score": last.get("test_score", math.nan),
            "lr": net.optimizer_.param_groups[0]["lr"],
            "seconds": time.perf_counter() - self.started,
        }
        self.epochs.append(row)
        if not all(math.isfinite(last.get(k, 0.0)) for k in LOSSES):
            net.is_finished = True  # it would stay so
        if self.bar is not None:
            self.bar.n = len(self.epochs) * self.n_segments  # also after a checkpoint
            figures = {"epoch": f"{row['epoch']:.0f}/{net.max_epochs}"}
            known = (k for k in ("train_loss", "valid_score") if math.isfinite(row[k]))
            self.bar.set_postfix(figures | {k: f"{row[k]:.3g}" for k in known})
        elif not self.is_estimated:
            self._estimate(net)

    def _estimate(self, net: Any) -> None:
        """Say once that training will take long; a progress bar says so anyway."""
        if net.compiled and self.n_begun == 1:  # most of its time is compilation
            return
        self.is_estimated = True
        seconds = time.perf_counter() - self.started
        epoch = seconds * self.n_segments / max(self.n_done, 1)
        left = epoch * (net.max_epochs - len(self.epochs))
        if left > LONG:
            warnings.warn(
                f"Training will take about {duration(left)}: up to {net.max_epochs} "
                f"epochs of {duration(epoch)}.{self.advice} verbose=1 shows a progress "
                "bar with the time that is left.",
                UserWarning,
                stacklevel=2,
            )

    def close(self) -> None:
        """Close the progress bar."""
        if self.bar is not None:
            self.bar.close()


@dataclass(frozen=True)
class Start:
    """Weights to start a training from, instead of random ones.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By name, as in a state dictionary. What is missing is initialised at random.
    frozen : sequence of str
        Names of modules that stay as they are, statistics of normalisation included.
    """

    weights: Mapping[str, np.ndarray]
    frozen: Sequence[str] = ()


class FromWeights(Callback):
    """Load weights into a new network, and freeze some of its modules.

    skorch's ``Freezer`` acts in the first epoch only, which a training that goes on
    from a checkpoint does not have, and leaves the statistics of normalisation alone.
    """

    def __init__(self, start: Start) -> None:
        self.start = start

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Load and freeze before anything is evaluated."""
        state = net.module_.state_dict()
        for name, array in self.start.weights.items():
            state[name].copy_(torch.from_numpy(array))
        net.frozen = [net.module_.get_submodule(name) for name in self.start.frozen]
        for module in net.frozen:
            for parameter in module.parameters():
                freeze_parameter(parameter)
