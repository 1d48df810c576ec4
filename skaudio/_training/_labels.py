"""Targets of classifiers: class labels and tags."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from sklearn.utils import compute_class_weight
from torch import Tensor, nn

from skaudio._training._targets import Arrays, Target
from skaudio._utils._decisions import (
    are_same_tags,
    check_tag_names,
    confidence_of_classes,
    decided,
    is_indicator,
    log_odds,
    names_of_tags,
)
from skaudio._utils._text import shortened
from skaudio._utils._validation import check_labels, check_tags
from skaudio.nn.losses import BranchCrossEntropy, BranchTagEntropy

TARGET = "label"


class _Classes(Target, Protocol):
    """Targets that are decisions between classes, or about tags."""

    decides: ClassVar[bool] = True
    classes: np.ndarray

    @property
    def sizes(self) -> dict[str, int]:
        """One output per class or tag."""
        return {"n_outputs": len(self.classes)}

    def check(self, module: Any) -> None:
        """Refuse networks whose decision is no classification."""
        decision = getattr(module, "decision", None)
        branches = getattr(module, "branch_names", ())
        if decision not in branches:
            raise TypeError(
                f"{type(self).__name__} needs a network whose `decision` is one of its "
                f"`branch_names`; {type(module).__name__} has the decision "
                f"{decision!r} and the branches {list(branches)}."
            )

    def terms(self, module: Any) -> tuple[str, ...]:
        """One loss per branch of the network."""
        names: tuple[str, ...] = module.branch_names
        return names

    def is_like(self, other: Target) -> bool:
        """Whether outputs are decisions of the same kind on the same classes."""
        return type(self) is type(other) and np.array_equal(self.classes, other.classes)

    def state(self) -> dict[str, Any]:
        """Classes."""
        return {"classes": self.classes}

    def decide(self, proba: np.ndarray) -> np.ndarray:
        """Decisions on clips from their probabilities."""

    def confidence(self, proba: np.ndarray) -> np.ndarray:
        """Logarithms of probabilities, or log-odds."""


class ClassLabels(_Classes):
    """One class per clip: softmax and categorical cross-entropy.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Labels, sorted.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss.
    advice : str, default=""
        What else may be done about clips of other classes, for messages.
    """

    advice = ""

    def __init__(
        self, classes: np.ndarray, class_weight: Any = None, advice: str = ""
    ) -> None:
        _check_weights(class_weight, classes)
        self.classes = classes
        self.class_weight = class_weight
        self.advice = advice

    @classmethod
    def from_y(
        cls, estimator: Any, X: Any, y: Any, class_weight: Any = None
    ) -> tuple[Self, Arrays]:
        """Check y; return the target and the class index of every clip."""
        y = check_labels(estimator, X, y)
        classes, indices = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{type(estimator).__name__} requires at least 2 classes; the data has "
                f"1 class: {classes.tolist()[0]!r}."
            )
        return cls(classes, class_weight), {TARGET: indices.astype(np.int64)}

    def encode(self, estimator: Any, X: Any, y: Any) -> Arrays:
        """Class indices of clips, whose classes must be known."""
        y = check_labels(estimator, X, y)
        index = {label: i for i, label in enumerate(self.classes.tolist())}
        unknown = [label for label in np.unique(y).tolist() if label not in index]
        if unknown:
            raise ValueError(
                f"There is no output for the class {unknown[0]!r}: outputs are for "
                f"{shortened([*map(repr, index)])}. Leave its clips out{self.advice}."
            )
        return {TARGET: np.array([index[k] for k in y.tolist()], dtype=np.int64)}

    def criterion(self, arrays: Arrays, dtype: str) -> nn.Module:
        """Cross-entropy, its weights from the training clips."""
        return BranchCrossEntropy(self._weights(arrays[TARGET], dtype))

    def _weights(self, indices: np.ndarray, dtype: str) -> Tensor | None:
        """Weights of the classes; "balanced" is between those that clips have."""
        if self.class_weight is None:
            return None
        weights = np.ones(len(self.classes), dtype)
        if isinstance(self.class_weight, dict):
            weights[:] = [self.class_weight.get(k, 1) for k in self.classes.tolist()]
        else:
            present = np.unique(indices)
            weights[present] = compute_class_weight(
                self.class_weight, classes=present, y=indices
            )
        return torch.from_numpy(weights)

    def strata(self, arrays: Arrays, n_clips: int) -> np.ndarray:
        """Class of every clip."""
        return arrays[TARGET]

    def mix(
        self, name: str, own: np.ndarray, partner: np.ndarray, ratio: np.ndarray
    ) -> np.ndarray:
        """Shares of both classes."""
        one_hot = np.eye(len(self.classes))
        mixed: np.ndarray = ratio * one_hot[own] + (1 - ratio) * one_hot[partner]
        return mixed

    def activate(self, output: Tensor) -> np.ndarray:
        """Probabilities of segments from their logits."""
        return torch.softmax(output, dim=1).cpu().numpy()

    def score(self, predictions: np.ndarray, arrays: Arrays) -> float:
        """Accuracy of clips."""
        return float(np.mean(predictions.argmax(1) == arrays[TARGET]))

    def decide(self, proba: np.ndarray) -> np.ndarray:
        """Most probable class."""
        decisions: np.ndarray = self.classes[proba.argmax(axis=1)]
        return decisions

    def confidence(self, proba: np.ndarray) -> np.ndarray:
        """Logarithms of probabilities, or log-odds of two classes."""
        return confidence_of_classes(proba)


class TagIndicators(_Classes):
    """Any number of tags per clip: sigmoids and binary cross-entropy.

    Parameters
    ----------
    classes : ndarray of shape (n_tags,)
        Names of the columns of a data frame, or their numbers.
    class_weight : dict, "balanced" or None, default=None
        Weights of the tags in the loss; "balanced" weighs presence and absence alike.
    """

    def __init__(self, classes: np.ndarray, class_weight: Any = None) -> None:
        _check_weights(class_weight, classes)
        self.classes = classes
        self.class_weight = class_weight

    @classmethod
    def from_y(
        cls, estimator: Any, X: Any, y: Any, class_weight: Any = None
    ) -> tuple[Self, Arrays]:
        """Check y; return the target and the indicator matrix."""
        tags = check_tags(estimator, X, y, unknown=True)
        target = cls(names_of_tags(y), class_weight)
        return target, {TARGET: tags}

    def is_like(self, other: Target) -> bool:
        """Whether outputs are decisions on the same tags, by name if both have some."""
        is_same = type(self) is type(other)
        return is_same and are_same_tags(self.classes, other.classes)  # type: ignore[attr-defined]

    def encode(self, estimator: Any, X: Any, y: Any) -> Arrays:
        """Indicators of further clips, of as many tags."""
        tags = check_tags(estimator, X, y, unknown=True)
        if tags.shape[1] != len(self.classes):
            raise ValueError(
                f"It has {tags.shape[1]} tags, but y has {len(self.classes)}."
            )
        check_tag_names(names_of_tags(y), self.classes, "Its columns")
        return {TARGET: tags}

    def criterion(self, arrays: Arrays, dtype: str) -> nn.Module:
        """Binary cross-entropy, its weights from the training clips."""
        if self.class_weight is None:
            return BranchTagEntropy()
        values = self._weights(arrays[TARGET])
        return BranchTagEntropy(torch.from_numpy(values.astype(dtype)))

    def _weights(self, tags: np.ndarray) -> np.ndarray:
        """Weights (2, n_tags) of absent and present tags."""
        if self.class_weight != "balanced":
            weights = [self.class_weight.get(k, 1.0) for k in self.classes.tolist()]
            return np.tile(weights, (2, 1))
        counts = np.stack([(tags == 0).sum(axis=0), (tags == 1).sum(axis=0)])
        n_known = counts.sum(axis=0)
        # a tag that all or no clips have has nothing to balance
        return np.where(counts.all(axis=0), n_known / (2 * np.maximum(counts, 1)), 1)

    def strata(self, arrays: Arrays, n_clips: int) -> np.ndarray:
        """The rarest tag of every clip; -1 without tags."""
        return rarest_tags(arrays[TARGET] == 1)

    def mix(
        self, name: str, own: np.ndarray, partner: np.ndarray, ratio: np.ndarray
    ) -> np.ndarray:
        """Shares of the tags of both; unknown where one is, of what is mixed."""
        mixed: np.ndarray = ratio * own + (1 - ratio) * partner
        return np.where(ratio == 1, own, mixed)

    def activate(self, output: Tensor) -> np.ndarray:
        """Probabilities of segments from their logits."""
        return torch.sigmoid(output).cpu().numpy()

    def score(self, predictions: np.ndarray, arrays: Arrays) -> float:
        """Average precision, mean over tags that occur; unknown ones do not count."""
        truth = arrays[TARGET]
        occurring = np.flatnonzero((truth == 1).any(axis=0))
        if not len(occurring):
            return 0.0
        known = [~np.isnan(truth[:, k]) for k in occurring]
        scores = [
            average_precision_score(truth[rows, k], predictions[rows, k])
            for k, rows in zip(occurring, known, strict=True)
        ]
        return float(np.mean(scores))

    def decide(self, proba: np.ndarray) -> np.ndarray:
        """One where a tag is more probable than not."""
        return decided(proba)

    def confidence(self, proba: np.ndarray) -> np.ndarray:
        """Log-odds of every tag."""
        return log_odds(proba)


def _check_weights(class_weight: Any, classes: np.ndarray) -> None:
    """Refuse weights of other classes or tags, and those that cannot weigh a loss."""
    if not isinstance(class_weight, dict):
        return
    known = classes.tolist()
    unknown = [key for key in class_weight if key not in known]
    if unknown:
        raise ValueError(
            f"class_weight has {unknown[0]!r}, which is none of the classes or columns "
            f"of y: {known[:10]}{' ...' if len(known) > 10 else ''}."
        )
    for key, weight in class_weight.items():
        if not (isinstance(weight, Real) and 0 <= float(weight) < np.inf):
            raise ValueError(
                f"class_weight must have finite weights, not below zero; that of "
                f"{str(key)!r} is {weight!r}."
            )
    if not any(class_weight.get(key, 1) for key in known):
        raise ValueError(
            "All weights in class_weight are zero, so nothing would be learned. Give "
            "at least one class a positive weight."
        )


def rarest_tags(tags: np.ndarray) -> np.ndarray:
    """The rarest tag of every row (n_clips, n_tags) of indicators; -1 without any."""
    counts = np.where(tags, tags.sum(axis=0), np.inf)
    return np.where(tags.any(axis=1), counts.argmin(axis=1), -1)


def target_of(
    estimator: Any, X: Any, y: Any, class_weight: Any
) -> tuple[ClassLabels | TagIndicators, Arrays]:
    """Check y; return class labels or tag indicators, whichever y holds."""
    kind = TagIndicators if is_indicator(y) else ClassLabels
    return kind.from_y(estimator, X, y, class_weight)
