"""What a network is trained to say: labels in, targets, losses and decisions out.

The one place that knows the kind of target. Other kinds (a teacher's outputs,
reconstructions) are classes with the same methods.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import type_of_target

from skaudio._utils._validation import check_labels, check_tags
from skaudio.nn.losses import BranchCrossEntropy, BranchTagEntropy

TARGET = "label"


class Labels:
    """One class per clip: softmax and categorical cross-entropy."""

    def __init__(self, classes: np.ndarray) -> None:
        self.classes = classes

    @classmethod
    def from_y(cls, estimator: Any, X: Any, y: Any) -> tuple[Labels, np.ndarray]:
        """Check y; return the encoder and the class index of every clip."""
        y = check_labels(estimator, X, y)
        classes, indices = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{type(estimator).__name__} requires at least 2 classes; the data has "
                f"1 class: {classes.tolist()[0]!r}."
            )
        return cls(classes), indices

    def encode(self, estimator: Any, X: Any, y: Any) -> np.ndarray:
        """Class indices of further clips, whose classes must be known."""
        y = check_labels(estimator, X, y)
        unknown = np.setdiff1d(y, self.classes)
        if len(unknown):
            raise ValueError(
                f"y_test has the class {unknown.tolist()[0]!r}, which y has not. Leave "
                "its clips out."
            )
        return np.searchsorted(self.classes, y)

    def targets(self, encoded: np.ndarray) -> dict[str, np.ndarray]:
        """Named targets of the training loss."""
        return {TARGET: encoded.astype(np.int64)}

    def soft(self, targets: np.ndarray) -> np.ndarray:
        """Targets as probabilities (n_clips, n_classes), which can be mixed."""
        return np.eye(len(self.classes))[targets]

    def strata(self, encoded: np.ndarray) -> np.ndarray:
        """One class per clip, to stratify a split by."""
        return encoded

    def criterion(
        self, class_weight: Any, encoded: np.ndarray, dtype: str
    ) -> dict[str, Any]:
        """Return skorch's criterion class and its parameters."""
        weight = None
        if class_weight is not None:
            values = compute_class_weight(
                class_weight, classes=self.classes, y=self.classes[encoded]
            )
            weight = torch.as_tensor(values, dtype=getattr(torch, dtype))
        return {"criterion": BranchCrossEntropy, "criterion__class_weight": weight}

    @staticmethod
    def probabilities(logits: torch.Tensor) -> np.ndarray:
        """Probabilities of segments from their logits."""
        return torch.softmax(logits, dim=1).cpu().numpy()

    @staticmethod
    def decide(proba: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Decisions on clips from their probabilities."""
        decisions: np.ndarray = classes[proba.argmax(axis=1)]
        return decisions

    @staticmethod
    def confidence(proba: np.ndarray) -> np.ndarray:
        """Logarithms of probabilities, or log-odds of two classes."""
        return log_odds(proba[:, 1]) if proba.shape[1] == 2 else _log(proba)

    @staticmethod
    def score(proba: np.ndarray, targets: dict[str, np.ndarray]) -> float:
        """Accuracy of clips, for model selection."""
        return float(np.mean(proba.argmax(1) == targets[TARGET]))


class Tags:
    """Any number of tags per clip: sigmoids and binary cross-entropy."""

    def __init__(self, classes: np.ndarray) -> None:
        self.classes = classes

    @classmethod
    def from_y(cls, estimator: Any, X: Any, y: Any) -> tuple[Tags, np.ndarray]:
        """Check y; return the encoder and the indicator matrix."""
        indicators = check_tags(estimator, X, y)
        return cls(np.arange(indicators.shape[1])), indicators

    def encode(self, estimator: Any, X: Any, y: Any) -> np.ndarray:
        """Indicators of further clips, of as many tags."""
        indicators = check_tags(estimator, X, y)
        if indicators.shape[1] != len(self.classes):
            raise ValueError(
                f"y_test has {indicators.shape[1]} tags, but y has {len(self.classes)}."
            )
        return indicators

    def targets(self, encoded: np.ndarray) -> dict[str, np.ndarray]:
        """Named targets of the training loss."""
        return {TARGET: encoded.astype(np.float32)}

    def soft(self, targets: np.ndarray) -> np.ndarray:
        """Targets as shares (n_clips, n_tags), which can be mixed."""
        return targets

    def strata(self, encoded: np.ndarray) -> np.ndarray:
        """The rarest tag of every clip, to stratify a split by; -1 without tags."""
        counts = np.where(encoded, encoded.sum(axis=0), np.inf)
        return np.where(encoded.any(axis=1), counts.argmin(axis=1), -1)

    def criterion(
        self, class_weight: Any, encoded: np.ndarray, dtype: str
    ) -> dict[str, Any]:
        """Return skorch's criterion class and its parameters."""
        weight = None
        if class_weight is not None:
            values = self._weights(class_weight, encoded)
            weight = torch.as_tensor(values, dtype=getattr(torch, dtype))
        return {"criterion": BranchTagEntropy, "criterion__tag_weight": weight}

    def _weights(self, class_weight: Any, encoded: np.ndarray) -> np.ndarray:
        """Weights (2, n_tags) of absent and present tags."""
        n_tags = encoded.shape[1]
        if class_weight != "balanced":
            return np.tile([class_weight.get(k, 1.0) for k in range(n_tags)], (2, 1))
        counts = np.stack([(encoded == 0).sum(axis=0), (encoded == 1).sum(axis=0)])
        # a tag that all or no clips have has nothing to balance
        return np.where(
            counts.all(axis=0), len(encoded) / (2 * np.maximum(counts, 1)), 1
        )

    @staticmethod
    def probabilities(logits: torch.Tensor) -> np.ndarray:
        """Probabilities of segments from their logits."""
        return torch.sigmoid(logits).cpu().numpy()

    @staticmethod
    def decide(proba: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Decisions on clips from their probabilities."""
        return (proba > 0.5).astype(np.int64)

    @staticmethod
    def confidence(proba: np.ndarray) -> np.ndarray:
        """Log-odds of every tag."""
        return log_odds(proba)

    @staticmethod
    def score(proba: np.ndarray, targets: dict[str, np.ndarray]) -> float:
        """Average precision, mean over tags that occur, for model selection."""
        truth = targets[TARGET]
        occurring = np.flatnonzero(truth.any(axis=0))
        if not len(occurring):
            return 0.0
        scores = [average_precision_score(truth[:, k], proba[:, k]) for k in occurring]
        return float(np.mean(scores))


def _log(proba: np.ndarray) -> np.ndarray:
    """Logarithm that stays finite where a probability was rounded to zero."""
    logarithm: np.ndarray = np.log(np.maximum(proba, np.finfo(proba.dtype).tiny))
    return logarithm


def log_odds(proba: np.ndarray) -> np.ndarray:
    """Logarithm of the odds, finite and positive above one half."""
    return _log(proba) - _log(1 - proba)


Kind = Labels | Tags


def kind_of(y: Any) -> type[Kind]:
    """Tell from y whether clips have one class or any number of tags."""
    is_matrix = getattr(y, "ndim", 1) == 2 or isinstance(y, (list, tuple))
    if is_matrix and type_of_target(y) == "multilabel-indicator":
        return Tags
    return Labels
