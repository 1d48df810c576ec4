"""Evaluate frozen segments during training: branch weights and model selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from skaudio._blending import BlendingWeights
from skaudio._training._data import SegmentDataset
from skaudio._training._features import clip_means
from skaudio._training._net import SegmentNet


class FrozenSegments:
    """Even segments of some clips, the same at every evaluation."""

    def __init__(self, data: SegmentDataset, n_segments: int, labels: Any) -> None:
        self.data = data
        self.labels = labels
        self.rows, self.starts = data.even_segments(n_segments)

    def __len__(self) -> int:
        return len(self.rows)

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


class Evaluation(Callback):
    """Every ``period`` steps: losses, weights of the branches, and the best model.

    Parameters
    ----------
    valid : FrozenSegments or None
        Held-out clips. Without them training runs to the end and keeps the last model.
    check : FrozenSegments or None
        A fixed piece of the training set, of about the same size.
    test : FrozenSegments or None
        Clips to watch. Their losses are recorded and change nothing.
    blending_weights : callable
        Makes the state machine that turns losses into weights, for a number of
        branches.
    period : int
        Steps between evaluations.
    """

    STATE = (
        *("step", "epoch", "last", "records"),
        *("best_score", "best_state", "best_weights"),
    )

    def __init__(
        self,
        valid: FrozenSegments | None,
        check: FrozenSegments | None,
        test: FrozenSegments | None,
        blending_weights: Callable[[int], BlendingWeights],
        period: int,
    ) -> None:
        self.valid = valid
        self.check = check
        self.test = test
        self.blending_weights = blending_weights
        self.period = period
        self.step = self.epoch = 0
        self.last: dict[str, float] = {}
        self.best_score = -np.inf
        self.best_state: dict[str, torch.Tensor] = {}
        self.records: list[dict[str, Any]] = []

    def on_train_begin(self, net: SegmentNet, **kwargs: Any) -> None:
        """Evaluate before the first step: the starting point of all curves."""
        self.branch_names = net.module_.branch_names
        self.blending = self.blending_weights(len(self.branch_names))
        self.best_weights = self.blending.weights
        net.set_branch_weights(self.best_weights)
        self._evaluate(net)

    def on_batch_end(self, net: SegmentNet, training: bool, **kwargs: Any) -> None:
        """Evaluate every ``period`` steps."""
        self.step += 1
        if self.step % self.period == 0:
            self._evaluate(net)

    def on_epoch_begin(self, net: SegmentNet, **kwargs: Any) -> None:
        """Count epochs, from 1."""
        self.epoch += 1

    def on_epoch_end(self, net: SegmentNet, **kwargs: Any) -> None:
        """Enter the last validation figures into skorch's record of the epoch."""
        for key, value in self.last.items():
            net.history.record(key, value)

    def on_train_end(self, net: SegmentNet, **kwargs: Any) -> None:
        """Evaluate the last model too, then go back to the best one."""
        if self.step % self.period:
            self._evaluate(net)
        if self.best_state:
            net.module_.load_state_dict(self.best_state)

    def _evaluate(self, net: SegmentNet) -> None:
        parts = {"train": self.check, "valid": self.valid, "test": self.test}
        results = {k: p.evaluate(net) for k, p in parts.items() if p is not None}
        losses = {key: losses for key, (losses, _) in results.items()}
        if self.valid is not None:
            self._update(net, losses, score=results["valid"][1])
        if self.test is not None:
            self.last["test_loss"] = list(losses["test"].values())[-1]
        if losses:
            self._record(losses)

    def _update(
        self, net: SegmentNet, losses: dict[str, dict[str, float]], score: float
    ) -> None:
        """New branch weights, and the best model so far."""
        valid = list(losses["valid"].values())
        train = list(losses.get("train", losses["valid"]).values())
        weights = self.blending.update(train, valid)
        net.set_branch_weights(weights)
        self.last |= {"valid_loss": valid[-1], "valid_score": score}
        if score >= self.best_score:  # later models win ties
            self.best_score = score
            state = net.module_.state_dict()
            self.best_state = {k: v.detach().clone() for k, v in state.items()}
            self.best_weights = weights.copy()

    def _record(self, losses: dict[str, dict[str, float]]) -> None:
        blending = self.blending
        nothing: dict[str, float] = {}
        for k, branch in enumerate(self.branch_names):
            of_sets = {
                f"{key}_loss": losses.get(key, nothing).get(branch, np.nan)
                for key in ("train", "valid", "test")
            }
            self.records.append(
                {
                    "step": self.step,
                    "epoch": self.epoch,
                    "branch": branch,
                    **of_sets,
                    "generalization": float(blending.generalization[k]),
                    "overfitting": float(blending.overfitting[k]),
                    "weight": float(blending.weights[k]),
                }
            )
