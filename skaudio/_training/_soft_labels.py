"""`SoftLabels`: a teacher's probabilities as the target of a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from skaudio._training._labels import TARGET, ClassLabels
from skaudio._training._targets import Arrays
from skaudio._utils._validation import check_soft_labels
from skaudio.nn.losses import SoftCrossEntropy

TEACHER = "teacher"


class SoftLabels(ClassLabels):
    """A teacher's probabilities, to be matched at a temperature (distillation).

    The loss of a branch is the cross-entropy between the teacher's and the student's
    probabilities, both at the temperature, and, if the classes of the clips are known,
    a share of the cross-entropy with these. It takes ``y`` as a pair: classes, or None,
    and the teacher's probabilities.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Labels, in the order of the teacher's columns.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss on classes.
    temperature : float, default=1.0
        Divides logits before the softmax.
    scaled : bool, default=True
        Whether the soft loss is multiplied by the squared temperature, which keeps its
        gradient at the size it has at temperature 1.
    alpha : float, default=0.9
        Share of the soft loss, where classes are known.

    References
    ----------
    G. Hinton, O. Vinyals and J. Dean, "Distilling the knowledge in a neural network",
    2015, Section 2.
    """

    def __init__(
        self,
        classes: np.ndarray,
        class_weight: Any = None,
        *,
        temperature: float = 1.0,
        scaled: bool = True,
        alpha: float = 0.9,
    ) -> None:
        advice = ", or take a teacher that knows it"
        super().__init__(classes, class_weight, advice)
        self.temperature = temperature
        self.scaled = scaled
        self.alpha = alpha

    def encode(self, estimator: Any, X: Any, y: Any) -> Arrays:
        """Softened probabilities of clips, and their classes if they are known."""
        labels, probabilities = y
        p = check_soft_labels(estimator, X, probabilities, len(self.classes))
        z = np.log(np.maximum(p, np.finfo(p.dtype).tiny)) / self.temperature
        soft = np.exp(z - z.max(axis=1, keepdims=True))
        arrays = {TEACHER: soft / soft.sum(axis=1, keepdims=True)}
        if labels is None:
            return arrays
        return arrays | super().encode(estimator, X, labels)

    def criterion(self, arrays: Arrays, dtype: str) -> nn.Module:
        """Cross-entropy with the teacher, and with the classes."""
        known = TARGET in arrays
        return SoftCrossEntropy(
            temperature=self.temperature,
            scaled=self.scaled,
            alpha=self.alpha,
            soft=TEACHER,
            hard=TARGET if known else None,
            class_weight=self._weights(arrays[TARGET], dtype) if known else None,
        )

    def strata(self, arrays: Arrays, n_clips: int) -> np.ndarray:
        """Class of every clip, or the teacher's decision."""
        return arrays.get(TARGET, arrays[TEACHER].argmax(axis=1))

    def mix(
        self, name: str, own: np.ndarray, partner: np.ndarray, ratio: np.ndarray
    ) -> np.ndarray:
        """Shares of both clips' classes, or of the teacher's probabilities."""
        if name == TARGET:
            return super().mix(name, own, partner, ratio)
        mixed: np.ndarray = ratio * own + (1 - ratio) * partner
        return mixed

    def identity(self) -> dict[str, Any]:
        """Parameters of the loss; the temperature is in the teacher's probabilities."""
        scale = self.temperature**2 if self.scaled else 1.0
        return {"alpha": self.alpha, "scale_by_temperature": scale}

    def score(self, predictions: np.ndarray, arrays: Arrays) -> float:
        """Accuracy, or agreement with the teacher where classes are unknown."""
        return float(np.mean(predictions.argmax(1) == self.strata(arrays, 0)))
