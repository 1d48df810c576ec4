"""Scores of classifiers, of whose tags some may be unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from skaudio._training._labels import has_unknown_tags


class KnownTagsMixin(ClassifierMixin):
    """A classifier of labels or tags, where tags that are NaN do not count."""

    predict: Any

    def score(self, X, y, sample_weight=None):
        """Accuracy of `predict`.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Clips, as in `fit`.
        y : array-like of shape (n_clips,) or (n_clips, n_tags)
            Labels as seen in `fit`. Tags that are NaN are unknown and do not count.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips.

        Returns
        -------
        score : float
            Share of the clips whose class is right; of tags, whose known tags are all
            right.
        """
        decisions = self.predict(X)
        if has_unknown_tags(y):
            y = np.asarray(y, dtype=np.float64)
            y = np.where(np.isnan(y), decisions, y).astype(decisions.dtype)
        return accuracy_score(y, decisions, sample_weight=sample_weight)
