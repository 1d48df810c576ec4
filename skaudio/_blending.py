"""Adaptive gradient blending: losses in, branch weights out.

The rule of Section 2.2 (Eqs. 3-5 and Algorithm 1) of Phan et al., "Multi-view Audio and
Music Classification", ICASSP 2021, in NumPy and independent of any network: after every
evaluation it takes each branch's loss on a fixed subset of the training set and on the
validation set, and returns the weights until the next one.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

ADAPTIVE, FIXED, UNIFORM, NONE = "adaptive", "fixed-reference", "uniform", "none"
FLOOR = 1e-5  # smallest weight of a branch that generalises at all


class BlendingWeights:
    """Weights of the branches of a multi-view network.

    Parameters
    ----------
    n_branches : int
        Number of branches, the joint branch last.
    rule : {"adaptive", "fixed-reference", "uniform", "none"}, default="adaptive"
        ``"adaptive"`` measures generalisation and overfitting from the best smoothed
        losses so far; ``"fixed-reference"`` from the losses before training, unsmoothed
        (G-Blend); ``"uniform"`` weighs all branches alike; ``"none"`` trains the joint
        branch only, which is plain concatenation.
    window : int, default=20
        Evaluations that smoothing averages. Weights stay uniform until more than
        ``window`` evaluations were seen. Without effect for the other rules.
    smoothing : {"current", "reference"}, default="current"
        Whether the current losses are smoothed like the reference ("current") or taken
        raw against a smoothed reference ("reference", the literal reading).
    epsilon : float, default=1e-6
        Added to the squared overfitting, in units of squared loss.
    momentum : float, default=0.0
        Share of the old weights in the new ones, 0 for none.
    min_weight : float, default=0.0
        Weight that every branch keeps, at most one over the number of branches.

    Attributes
    ----------
    weights : ndarray of shape (n_branches,)
        Weights in force; they sum to one (up to the floor of 1e-5 that keeps a branch
        which generalises from vanishing beside a much better one).
    generalization, overfitting : ndarray of shape (n_branches,)
        G (Eq. 3) and O (Eq. 4) of the last evaluation; NaN before the first.
    n_evaluations : int
        Number of evaluations seen.
    """

    # what `update` changes
    STATE: ClassVar[tuple[str, ...]] = (
        *("weights", "generalization", "overfitting", "n_evaluations"),
        *("_recent", "_reference"),
    )

    def __init__(
        self,
        n_branches: int,
        *,
        rule: str = ADAPTIVE,
        window: int = 20,
        smoothing: str = "current",
        epsilon: float = 1e-6,
        momentum: float = 0.0,
        min_weight: float = 0.0,
    ) -> None:
        if min_weight * n_branches > 1:
            raise ValueError(
                f"min_weight={min_weight:g} for each of {n_branches} branches adds up "
                f"to more than 1. Take at most {1 / n_branches:.3g}."
            )
        self.n_branches = n_branches
        self.rule = rule
        self.window = window if rule == ADAPTIVE else 1
        self.smoothing = smoothing
        self.epsilon = epsilon
        self.momentum = momentum
        self.min_weight = min_weight
        self.weights = self._start()
        self.generalization = np.full(n_branches, np.nan)
        self.overfitting = np.full(n_branches, np.nan)
        self._recent: list[np.ndarray] = []  # the last `window` losses, (2, branches)
        self._reference = np.full((2, n_branches), np.nan)  # train, validation
        self.n_evaluations = 0

    def _start(self) -> np.ndarray:
        if self.rule == NONE:
            return np.eye(self.n_branches)[-1]
        return np.full(self.n_branches, 1.0 / self.n_branches)

    def update(self, train_losses: Any, valid_losses: Any) -> np.ndarray:
        """Take the branches' mean losses of one evaluation, return the new weights.

        Parameters
        ----------
        train_losses, valid_losses : array-like of shape (n_branches,)
            Mean cross-entropy on the frozen training subset and the validation set.

        Returns
        -------
        weights : ndarray of shape (n_branches,)
            Non-negative weights that sum to one (up to the floor).
        """
        losses = np.array([train_losses, valid_losses], dtype=float)
        if losses.shape != (2, self.n_branches):
            raise ValueError(
                f"Expected {self.n_branches} training and validation losses, one per "
                f"branch; got shapes {np.shape(train_losses)} and "
                f"{np.shape(valid_losses)}."
            )
        self.n_evaluations += 1
        self._recent = [*self._recent, losses][-self.window :]
        smooth = np.mean(self._recent, axis=0)
        if self.n_evaluations == 1:
            self._reference = smooth.copy()
        current = losses if self.smoothing == "reference" else smooth
        self._measure(current)
        # compare first, then update: the other order would make every G <= 0
        if self.rule in (ADAPTIVE, FIXED) and self.n_evaluations > self.window:
            new = self._blend()
            self.weights = self.momentum * self.weights + (1 - self.momentum) * new
        if self.rule != FIXED:
            self._improve_reference(smooth)
        return self.weights

    def columns(self) -> dict[str, np.ndarray]:
        """Measures and weights of the last evaluation, by name."""
        return {
            "generalization": self.generalization,
            "overfitting": self.overfitting,
            "weight": self.weights,
        }

    def _measure(self, current: np.ndarray) -> None:
        with np.errstate(invalid="ignore"):  # a branch may have diverged
            gain_train, gain_valid = self._reference - current
            self.generalization = gain_valid  # Eq. 3
            self.overfitting = gain_train - gain_valid  # Eq. 4

    def _blend(self) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # a branch may have diverged
            raw = self.generalization / (self.overfitting**2 + self.epsilon)  # Eq. 5
        raw = np.where(np.isfinite(raw), np.maximum(raw, 0.0), 0.0)
        if raw.sum() == 0:
            return self._start()
        weights = raw / raw.sum()
        weights = np.where(weights > 0, np.maximum(weights, FLOOR), 0.0)
        return self.min_weight + (1 - self.n_branches * self.min_weight) * weights

    def _improve_reference(self, smooth: np.ndarray) -> None:
        """Take over train and validation losses of branches that beat their best."""
        stale = ~np.isfinite(self._reference[1])
        better = np.isfinite(smooth[1]) & (stale | (smooth[1] < self._reference[1]))
        self._reference[:, better] = smooth[:, better]
