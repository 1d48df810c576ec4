"""`Blending`: how the losses of a multi-view network's branches are weighed."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from skaudio._blending import ADAPTIVE, FIXED, NONE, UNIFORM, BlendingWeights
from skaudio._training._loss_weights import LossWeights, WeightRule
from skaudio._utils._constraints import COUNT, POSITIVE
from skaudio._utils._sklearn import Interval, StrOptions

EVALUATION_SHARE = 0.04  # of the training time


class Blending(BaseEstimator):
    """How branch losses become branch weights, as a value of ``blending``.

    Parameters
    ----------
    rule : {"adaptive", "fixed-reference", "uniform", "none"}, default="adaptive"
        "adaptive" measures progress from the best smoothed losses so far (the paper's
        rule, as we reconstruct it); "fixed-reference" from the losses before training
        (G-Blend); "uniform" weighs all branches alike; "none" trains the joint branch
        only (concatenation).
    period : int or "auto", default="auto"
        Training steps between evaluations. "auto" evaluates as often as about 4 % of
        the training time allows, at least 5 and at most 100 steps apart.
    window : int or "auto", default="auto"
        Evaluations that the smoothing of losses averages. Weights are uniform until
        more than these were made. "auto" takes a quarter of the evaluations that the
        training has room for, at most 20.
    smoothing : {"current", "reference"}, default="current"
        Whether the current losses are smoothed like the reference ("current"), or taken
        raw against a smoothed reference ("reference", the literal reading).
    epsilon : float, default=1e-6
        Added to the squared overfitting, in units of squared loss.
    momentum : float, default=0.8
        Share of the old weights in the new ones; 0 takes every new estimate at once, as
        in the paper's words.
    min_weight : float, default=0.05
        Weight that every branch keeps, at most one over the number of branches. With 0,
        as in the paper's words, a branch may stop learning for good.

    See Also
    --------
    MultiViewBlendingClassifier : Takes it, or a name of one, as ``blending``.

    Notes
    -----
    Momentum and a minimum weight are not in the paper. Without them most evaluations
    left the joint branch without weight, and accuracy on ESC-10 fell far below that of
    uniform weights; with them it is the same. See the user guide and
    `benchmarks/papers/multiview.py`.

    References
    ----------
    Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021, Section 2.2
    and Algorithm 1. Wang et al., "What makes training multi-modal networks hard?",
    CVPR 2020, for fixed references.

    Examples
    --------
    >>> from skaudio.neural_network import Blending, MultiViewBlendingClassifier
    >>> clf = MultiViewBlendingClassifier(blending=Blending(min_weight=0.1))
    >>> clf.set_params(blending__window=5).blending.window
    5
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "rule": [StrOptions({ADAPTIVE, FIXED, UNIFORM, NONE})],
        "period": [StrOptions({"auto"}), COUNT],
        "window": [StrOptions({"auto"}), COUNT],
        "smoothing": [StrOptions({"current", "reference"})],
        "epsilon": [POSITIVE],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "min_weight": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        *,
        rule: str = ADAPTIVE,
        period: int | str = "auto",
        window: int | str = "auto",
        smoothing: str = "current",
        epsilon: float = 1e-6,
        momentum: float = 0.8,
        min_weight: float = 0.05,
    ) -> None:
        self.rule = rule
        self.period = period
        self.window = window
        self.smoothing = smoothing
        self.epsilon = epsilon
        self.momentum = momentum
        self.min_weight = min_weight

    @property
    def _needs_validation(self) -> bool:
        return self.rule in (ADAPTIVE, FIXED)

    def _weights(self, n_branches: int, n_evaluations: int) -> BlendingWeights:
        """Return initial weights for a number of branches and of evaluations."""
        if self.window == "auto":
            window = _window(n_evaluations)
        else:
            window = int(self.window)
            self._check_window(n_evaluations)
        return BlendingWeights(
            n_branches,
            rule=self.rule,
            window=window,
            smoothing=self.smoothing,
            epsilon=self.epsilon,
            momentum=self.momentum,
            min_weight=self.min_weight,
        )

    def _check_window(self, n_evaluations: int) -> None:
        if self.rule == ADAPTIVE and int(self.window) >= n_evaluations:
            warnings.warn(
                f"Branch weights will stay uniform: training has room for "
                f"{n_evaluations} evaluations, and window={self.window} needs more "
                "before weights adapt. Lower window or period, or train for longer.",
                UserWarning,
                stacklevel=2,
            )


def _window(n_evaluations: int) -> int:
    return min(max(n_evaluations // 4, 1), 20)


# what the names mean that `blending` accepts
_AS_PUBLISHED = {"momentum": 0.0, "min_weight": 0.0}
NAMED: dict[str, dict[str, Any]] = {
    ADAPTIVE: {},
    "paper": _AS_PUBLISHED,
    FIXED: {"rule": FIXED, **_AS_PUBLISHED},
    UNIFORM: {"rule": UNIFORM},
    NONE: {"rule": NONE},
}


def as_blending(value: Blending | str) -> Blending:
    """Return the rule that a name stands for, or the rule itself."""
    return value if isinstance(value, Blending) else Blending(**NAMED[value])


class BlendedWeights(LossWeights):
    """Weights by how well the branches of a network generalise.

    Parameters
    ----------
    blending : Blending
        The rule.
    """

    watches_training: ClassVar[bool] = True

    def __init__(self, blending: Blending) -> None:
        self.blending = blending

    def begin(self, terms: tuple[str, ...], n_evaluations: int) -> WeightRule:
        """Start from uniform weights."""
        return self.blending._weights(len(terms), n_evaluations)

    def check(self, is_validated: bool) -> None:
        """Refuse to measure how branches generalise without clips to measure it on."""
        if self.blending._needs_validation and not is_validated:
            raise ValueError(
                f"blending={self.blending.rule!r} measures how branches generalise to "
                "held-out clips. Set validation_fraction, e.g. 0.1, or pass X_valid "
                "and y_valid to fit, or set blending to 'uniform'."
            )

    def horizon(self, n_evaluations: int) -> int | None:
        """Window of the smoothing, where it is a share of the evaluations."""
        if self.blending.rule != ADAPTIVE or self.blending.window != "auto":
            return None
        return _window(n_evaluations)

    def period(self, n_batches: int, n_evaluated: int, batch_size: int) -> int:
        """Steps between evaluations, rationed to a share of the training time."""
        if self.blending.period != "auto":
            return int(self.blending.period)
        # a segment costs a third of what it costs in training: forward only
        steps = n_evaluated / (3 * batch_size * EVALUATION_SHARE)
        return int(np.clip(np.ceil(steps), 5, 100))
