"""What a network is trained to say: labels in, targets, losses and decisions out.

The one place that knows the kind of target. Other kinds (tags, a teacher's outputs,
reconstructions) are classes with the same methods.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils import compute_class_weight

from skaudio._utils._validation import check_labels
from skaudio.nn.losses import BranchCrossEntropy


class Labels:
    """One class per clip: softmax and categorical cross-entropy."""

    target = "label"

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

    @property
    def n_outputs(self) -> int:
        """Number of logits per branch."""
        return len(self.classes)

    def targets(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Named targets of the training loss."""
        return {self.target: indices.astype(np.int64)}

    def criterion(self, class_weight: Any, y: np.ndarray, dtype: str) -> dict[str, Any]:
        """Return skorch's criterion class and its parameters."""
        weight = None
        if class_weight is not None:
            values = compute_class_weight(class_weight, classes=self.classes, y=y)
            weight = torch.as_tensor(values, dtype=getattr(torch, dtype))
        return {"criterion": BranchCrossEntropy, "criterion__class_weight": weight}

    @staticmethod
    def probabilities(logits: torch.Tensor) -> np.ndarray:
        """Probabilities of segments from their logits."""
        return torch.softmax(logits, dim=1).cpu().numpy()

    @staticmethod
    def score(proba: np.ndarray, targets: dict[str, np.ndarray]) -> float:
        """Accuracy of clips, for model selection."""
        return float(np.mean(proba.argmax(1) == targets[Labels.target]))
