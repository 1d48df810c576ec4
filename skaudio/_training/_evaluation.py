"""Evaluate fixed segments during training: weights of the terms, model selection."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from skaudio._segments import clip_means
from skaudio._training._datasets import n_in_whole_batches
from skaudio._training._loss_weights import LossWeights
from skaudio._training._options._validation import (
    ALL,
    LAST,
    LAST_STAGE,
    LOSS,
    Validation,
)
from skaudio._training._targets import Target
from skaudio.nn.layers import copy_of_state


class FixedSegments:
    """Segments of some clips, the same at every evaluation.

    Parameters
    ----------
    data : SegmentDataset
        Clips and their targets.
    target : Target
        What the network is trained to do.
    n_segments : int or "all", default=1
        See `Validation`.
    """

    def __init__(self, data: Any, target: Target, n_segments: int | str = 1) -> None:
        self.data = data
        self.target = target
        if n_segments == ALL:
            self.rows, self.starts = data.side_by_side()
        else:
            self.rows, self.starts = data.even_segments(n_segments)
        if target.whole_batches:  # neighbours are often alike, and hard to tell apart
            order = np.random.default_rng(0).permutation(len(self.rows))
            self.rows, self.starts = self.rows[order], self.starts[order]

    def __len__(self) -> int:
        return len(self.rows)

    def evaluate(self, net: Any) -> tuple[dict[str, float], float | None]:
        """Mean loss of every term, and the score of the clips' decisions, if any."""
        rows, starts = self.rows, self.starts
        if self.target.whole_batches:
            n = n_in_whole_batches(len(rows), net.batch_size)
            rows, starts = rows[:n], starts[:n]
        outputs, losses = net.evaluate(
            self.data, rows, starts, batchwise=self.target.batchwise
        )
        if not self.target.decides:
            return losses, None
        decisions = self.target.activate(outputs[net.module_.decision])
        clips = clip_means(decisions, self.rows, len(self.data))
        return losses, self.target.score(clips, self.data.targets)


class Evaluation(Callback):
    """Every ``period`` steps: losses, weights of the terms, and the best model.

    Parameters
    ----------
    parts : dict of str to FixedSegments
        Clips to evaluate: "valid" are held out, and without them training runs to the
        end and keeps the last model; "train" are some of the training clips, as many;
        "test" are recorded only.
    target : Target
        What the network is trained to do.
    loss_weights : LossWeights
        How terms are weighted.
    validation : Validation
        Which model is the best, and which is kept.
    rate : Callback
        What sets the learning rate, and has a ``stage``.
    period : int
        Steps between evaluations.
    n_evaluations : int
        How many of them the whole training has room for.
    """

    STATE = (
        *("step", "epoch", "stage", "last", "records"),
        *("best_score", "best_state", "best_weights", "best_step"),
    )

    def __init__(
        self,
        parts: dict[str, FixedSegments],
        target: Target,
        loss_weights: LossWeights,
        validation: Validation,
        rate: Any,
        *,
        period: int,
        n_evaluations: int,
    ) -> None:
        self.parts = parts
        self.target = target
        self.loss_weights = loss_weights
        self.validation = validation
        self.rate = rate
        self.period = period
        self.n_evaluations = n_evaluations
        self.step = self.epoch = self.stage = self.best_step = 0
        self.last: dict[str, float] = {}
        self.best_score = -np.inf
        self.best_state: dict[str, torch.Tensor] = {}
        self.records: list[dict[str, Any]] = []

    @property
    def n_evaluations_needed(self) -> int | None:
        """What the weights of the terms depend on of the length of training."""
        return self.loss_weights.horizon(self.n_evaluations)

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Evaluate before the first step: the starting point of all curves."""
        self.target.check(net.module_)
        self.terms = self.target.terms(net.module_)
        self.rule = self.loss_weights.begin(self.terms, self.n_evaluations)
        self.best_weights = self.rule.weights
        net.set_loss_weights(self.terms, self.best_weights)
        self._evaluate(net)

    def on_batch_end(self, net: Any, training: bool, **kwargs: Any) -> None:
        """Evaluate every ``period`` steps."""
        self.step += 1
        if self.step % self.period == 0:
            self._evaluate(net)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Count epochs, from 1."""
        self.epoch += 1

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Enter the last validation figures into skorch's record of the epoch."""
        for key, value in self.last.items():
            net.history.record(key, value)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Evaluate the last model too, then go back to the one that is kept."""
        if self.step % self.period:
            self._evaluate(net)
        if self.best_state:
            net.module_.load_state_dict(self.best_state)
        elif net.average is not None:
            net.module_.load_state_dict(net.average.average)

    def _evaluate(self, net: Any) -> None:
        with net.as_evaluated():
            self._evaluate_module(net)

    def _evaluate_module(self, net: Any) -> None:
        results = {key: part.evaluate(net) for key, part in self.parts.items()}
        losses = {key: losses for key, (losses, _) in results.items()}
        if "valid" in losses:
            self._update(net, losses, results["valid"][1])
        if "test" in losses:
            score = results["test"][1]
            self.last["test_loss"] = self._loss(net, losses["test"])
            self.last["test_score"] = math.nan if score is None else score
        if losses:
            self._record(losses)

    def _update(
        self, net: Any, losses: dict[str, dict[str, float]], score: float | None
    ) -> None:
        """New weights of the terms, and the best model so far."""
        valid = [losses["valid"][term] for term in self.terms]
        train = [losses.get("train", losses["valid"])[term] for term in self.terms]
        net.set_loss_weights(self.terms, self.rule.update(train, valid))
        loss = self._loss(net, losses["valid"])
        score = -loss if score is None else score
        self.last |= {"valid_loss": loss, "valid_score": score}
        # of a model that has diverged, a score says nothing
        if np.isfinite(loss):
            self._keep(net, -loss if self.validation.monitor == LOSS else score)

    def _keep(self, net: Any, score: float) -> None:
        """Keep a model unless there is a better one; later ones win ties."""
        keep, stage = self.validation.keep, self.rate.stage
        is_new_stage = keep == LAST_STAGE and stage != self.stage
        if keep == LAST or is_new_stage or score >= self.best_score:
            self.best_score, self.best_step, self.stage = score, self.step, stage
            self.best_weights = self.rule.weights.copy()
            if keep != LAST:
                self.best_state = copy_of_state(net.module_)

    def _loss(self, net: Any, losses: dict[str, float]) -> float:
        """Loss of the output that decides; of others, the weighted sum of the terms."""
        if self.target.decides and net.module_.decision in losses:
            return losses[net.module_.decision]
        weights = zip(self.terms, self.rule.weights, strict=True)
        return float(sum(weight * losses[term] for term, weight in weights))

    def _record(self, losses: dict[str, dict[str, float]]) -> None:
        nothing: dict[str, float] = {}
        columns = self.rule.columns()
        for k, term in enumerate(self.terms):
            of_sets = {
                f"{key}_loss": losses.get(key, nothing).get(term, np.nan)
                for key in ("train", "valid", "test")
            }
            measures = {name: float(values[k]) for name, values in columns.items()}
            self.records.append(
                {"step": self.step, "epoch": self.epoch, "term": term}
                | of_sets
                | measures
            )
