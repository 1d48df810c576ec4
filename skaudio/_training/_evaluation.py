"""Evaluate frozen segments during training: branch weights and model selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from skaudio._blending import BlendingWeights
from skaudio._training._data import SegmentDataset
from skaudio._training._net import SegmentNet


class FrozenSegments:
    """Even segments of some clips, the same at every evaluation."""

    def __init__(self, data: SegmentDataset, n_segments: int, labels: Any) -> None:
        self.data = data
        self.labels = labels
        self.rows, self.starts = data.even_segments(n_segments)

    def evaluate(self, net: SegmentNet) -> tuple[dict[str, float], float]:
        """Mean loss of every branch, and the score of the last branch's decisions."""
        logits = net.logits(self.data, self.rows, self.starts)
        targets = {
            k: torch.from_numpy(t[self.rows]).to(net.device)
            for k, t in self.data.targets.items()
        }
        with torch.inference_mode():
            losses = {k: float(v) for k, v in net.criterion_(logits, targets).items()}
        proba = self.labels.probabilities(list(logits.values())[-1])
        clips = clip_means(proba, self.rows, len(self.data))
        return losses, self.labels.score(clips, self.data.targets)


def clip_means(segments: np.ndarray, rows: np.ndarray, n_clips: int) -> np.ndarray:
    """Mean over each clip's segments, (n_clips, ...), in the dtype of the segments.

    Every clip has a segment and rows ascend, as `even_segments` makes them.
    """
    first = np.searchsorted(rows, np.arange(n_clips))
    counts = np.diff(np.append(first, len(rows)))
    sums = np.add.reduceat(segments, first, axis=0)
    return sums / counts[:, None].astype(segments.dtype)


class Evaluation(Callback):
    """Every ``period`` steps: losses, weights of the branches, and the best model.

    Parameters
    ----------
    valid : FrozenSegments or None
        Held-out clips. Without them training runs to the end and keeps the last model.
    check : FrozenSegments or None
        A fixed piece of the training set, of about the same size.
    blending_weights : callable
        Makes the state machine that turns losses into weights, for a number of
        branches.
    period : int
        Steps between evaluations.
    """

    def __init__(
        self,
        valid: FrozenSegments | None,
        check: FrozenSegments | None,
        blending_weights: Callable[[int], BlendingWeights],
        period: int,
    ) -> None:
        self.valid = valid
        self.check = check
        self.blending_weights = blending_weights
        self.period = period
        self.step = 0
        self.last: dict[str, float] = {}
        self.best_score = -np.inf
        self.best_state: dict[str, torch.Tensor] = {}
        self.records: list[dict[str, Any]] = []

    def on_train_begin(self, net: SegmentNet, **kwargs: Any) -> None:
        """Evaluate before the first step: the starting point of all curves."""
        self.blending = self.blending_weights(len(net.module_.branch_names))
        self.best_weights = self.blending.weights
        net.set_branch_weights(self.best_weights)
        if self.valid is not None:
            self._evaluate(net)

    def on_batch_end(self, net: SegmentNet, training: bool, **kwargs: Any) -> None:
        """Evaluate every ``period`` steps."""
        self.step += 1
        if self.valid is not None and self.step % self.period == 0:
            self._evaluate(net)

    def on_epoch_end(self, net: SegmentNet, **kwargs: Any) -> None:
        """Enter the last validation figures into skorch's record of the epoch."""
        for key, value in self.last.items():
            net.history.record(key, value)

    def on_train_end(self, net: SegmentNet, **kwargs: Any) -> None:
        """Evaluate the last model too, then go back to the best one."""
        if self.valid is None:
            return
        if self.step % self.period:
            self._evaluate(net)
        net.module_.load_state_dict(self.best_state)

    def _evaluate(self, net: SegmentNet) -> None:
        assert self.valid is not None
        losses, score = self.valid.evaluate(net)
        checks = losses if self.check is None else self.check.evaluate(net)[0]
        weights = self.blending.update(list(checks.values()), list(losses.values()))
        net.set_branch_weights(weights)
        self.last = {
            "valid_loss": list(losses.values())[-1],
            "valid_accuracy": score,
        }
        self._record(net, checks, losses)
        if score >= self.best_score:  # later models win ties
            self.best_score = score
            state = net.module_.state_dict()
            self.best_state = {k: v.detach().clone() for k, v in state.items()}
            self.best_weights = weights.copy()

    def _record(
        self, net: SegmentNet, checks: dict[str, float], losses: dict[str, float]
    ) -> None:
        blending = self.blending
        for k, branch in enumerate(losses):
            self.records.append(
                {
                    "step": self.step,
                    "epoch": len(net.history),
                    "branch": branch,
                    "train_loss": checks[branch],
                    "valid_loss": losses[branch],
                    "generalization": float(blending.generalization[k]),
                    "overfitting": float(blending.overfitting[k]),
                    "weight": float(blending.weights[k]),
                }
            )
