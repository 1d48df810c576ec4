"""What is said of every clip of a listening report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

PROBABILITY = "probability"
DECISION = "decision_function"


@dataclass(frozen=True)
class Opinions:
    """What is said of every clip; rows without a prediction are NaN, or -1.

    Parameters
    ----------
    classes : list
        Labels of the columns.
    predicted : ndarray of shape (n_clips,) or (n_clips, n_tags)
        Numbers of the predicted classes, or zeros and ones of tags.
    scores : ndarray of shape (n_clips, n_classes) or None
        Probabilities or values of the decision function.
    kind : str or None
        Which of them.
    branches : dict of str to ndarray of shape (n_clips, n_classes)
        Probabilities by branch, view or member.
    failed : dict of int to str
        Why rows have no prediction.
    features : ndarray of shape (n_clips, n_features) or None
        Where clips lie, for a map.
    feature_name : str
        What the features are.
    """

    classes: list[Any]
    predicted: np.ndarray
    scores: np.ndarray | None = None
    kind: str | None = None
    branches: Mapping[str, np.ndarray] = field(default_factory=dict)
    failed: Mapping[int, str] = field(default_factory=dict)
    features: np.ndarray | None = None
    feature_name: str = ""

    def with_features(self, features: np.ndarray | None, name: str) -> Opinions:
        """The same, with another map."""
        return replace(self, features=features, feature_name=name)

    def spread(self, rows: np.ndarray, n_clips: int, failed: Any) -> Opinions:
        """Put rows into their places among those of all clips."""

        def placed(array: np.ndarray, missing: Any) -> np.ndarray:
            kind = np.result_type(array.dtype, type(missing))
            out = np.full((n_clips, *array.shape[1:]), missing, dtype=kind)
            out[rows] = array
            return out

        is_labels = self.predicted.ndim == 1
        return replace(
            self,
            predicted=placed(self.predicted, -1 if is_labels else np.nan),
            scores=None if self.scores is None else placed(self.scores, np.nan),
            branches={k: placed(p, np.nan) for k, p in self.branches.items()},
            failed=failed,
            features=None if self.features is None else placed(self.features, np.nan),
        )


def features_of_scores(
    scores: np.ndarray | None, kind: str | None
) -> tuple[np.ndarray | None, str]:
    """Scores as features, where there is nothing else."""
    if scores is None:
        return None, ""
    if kind == PROBABILITY:
        return np.sqrt(scores.clip(0)), "square roots of probabilities"
    return scores, "values of the decision function"
