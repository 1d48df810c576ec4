"""How the terms of a loss add up: uniform, fixed by name, or adaptive blending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np


class WeightRule(Protocol):
    """Weights of the terms during one training."""

    STATE: ClassVar[tuple[str, ...]]  # what `update` changes, for checkpoints
    weights: np.ndarray

    def update(
        self, train_losses: Sequence[float], valid_losses: Sequence[float]
    ) -> np.ndarray:
        """New weights after an evaluation, from the losses of every term."""

    def columns(self) -> dict[str, np.ndarray]:
        """Values that are recorded for every term next to its losses."""


class LossWeights(Protocol):
    """How the terms of a loss are weighted, as an estimator defines it.

    Attributes
    ----------
    watches_training : bool
        Whether a fixed part of the training clips is evaluated as well.
    """

    watches_training: ClassVar[bool] = False

    def begin(self, terms: tuple[str, ...], n_evaluations: int) -> WeightRule:
        """Make the weights of a training with room for some evaluations."""

    def check(self, is_validated: bool) -> None:
        """Refuse a training without validation clips, if they are needed."""
        return

    def horizon(self, n_evaluations: int) -> int | None:
        """What weights depend on of the number of evaluations; None: nothing."""
        return None

    def period(self, n_batches: int, n_evaluated: int, batch_size: int) -> int:
        """Steps between evaluations of ``n_evaluated`` segments; an epoch."""
        return n_batches


class _Constant:
    """Weights that stay."""

    STATE: ClassVar[tuple[str, ...]] = ("weights",)

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = np.array(weights, dtype=float)

    def update(self, train_losses: Any, valid_losses: Any) -> np.ndarray:
        return self.weights

    def columns(self) -> dict[str, np.ndarray]:
        return {"weight": self.weights}


class UniformWeights(LossWeights):
    """All terms weigh the same; the weights sum to one."""

    def begin(self, terms: tuple[str, ...], n_evaluations: int) -> WeightRule:
        """Share one among the terms."""
        return _Constant([1 / len(terms)] * len(terms))


class FixedWeights(LossWeights):
    """Weights by name, such as ``{"audio": 5, "tags": 5, "contrast": 10}``.

    Parameters
    ----------
    weights : mapping of str to float
        One number for every term of the loss.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = dict(weights)

    def begin(self, terms: tuple[str, ...], n_evaluations: int) -> WeightRule:
        """Put the weights in the order of the terms."""
        if set(terms) != set(self.weights):
            raise ValueError(
                f"The loss has the terms {list(terms)}, but weights are given for "
                f"{list(self.weights)}. Give one weight per term."
            )
        return _Constant([self.weights[term] for term in terms])
