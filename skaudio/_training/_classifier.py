"""`SegmentClassifier`: classes or tags of clips, from a network on their segments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skaudio._training._estimator import SegmentEstimator
from skaudio._training._fitted_network import FittedNetwork
from skaudio._training._labels import (
    ClassLabels,
    TagIndicators,
    target_of,
)
from skaudio._training._targets import Arrays, Target
from skaudio._training._trainer import Trained
from skaudio._utils._container import Views
from skaudio._utils._decisions import KnownTagsMixin
from skaudio._utils._sklearn import _fit_context

# from (estimator, views, y, class_weight) to a target and its arrays
MakeTarget = Callable[[Any, Views, Any, Any], tuple[Any, Arrays]]


class SegmentClassifier(KnownTagsMixin, SegmentEstimator):
    """Trains a network on classes or tags; predictions are means over segments."""

    _target: ClassLabels | TagIndicators
    _target_kinds: ClassVar[tuple[type[Target], ...]] = (ClassLabels, TagIndicators)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        groups=None,
        *,
        sample_weight=None,
        X_valid=None,
        y_valid=None,
        X_test=None,
        y_test=None,
        checkpoint=None,
    ):
        """Train the network on clips and their labels.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Views of the clips. A list of (n_bins, n_frames_i) arrays holds clips of
            different lengths; a 2-D array has one frame per clip. For a classifier
            that computes its views itself: waveforms (n_clips, n_samples), or a list
            of waveforms or paths.
        y : array-like of shape (n_clips,) or (n_clips, n_tags)
            Class labels of any type, or an indicator matrix of tags: zeros, ones, and
            NaN where it is unknown whether a clip has a tag, which then counts neither
            in the loss nor in scores.
        groups : array-like of shape (n_clips,), default=None
            Source of each clip. With ``validation_fraction``, no source is divided
            between training and validation.
        sample_weight : array-like of shape (n_clips,), default=None
            Weight of each clip in the loss of its batch, which is a weighted mean, and
            in the statistics of batch normalisation. A clip without weight might as
            well not be there. None weighs all clips alike.
        X_valid : like X, default=None
            Clips to validate with: they take the place of clips that
            ``validation_fraction`` would hold out.
        y_valid : like y, default=None
            Labels of ``X_valid``.
        X_test : like X, default=None
            Clips to watch during training: their losses are recorded, and nothing
            depends on them.
        y_test : like y, default=None
            Labels of ``X_test``.
        checkpoint : path-like, default=None
            File that keeps the state of training after every epoch, about three times
            as large as the network. If it is there, training goes on from it, to the
            same result as without an interruption; a finished one is not repeated.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If training diverges and no trained model has finite numbers; if the
            checkpoint is that of another training, with what differs.
        OSError
            Before training, if there is no folder for the checkpoint.

        Warns
        -----
        ConvergenceWarning
            If training diverged after the model that is kept.
        """
        self._fit_labels(
            X,
            y,
            groups=groups,
            sample_weight=sample_weight,
            valid=(X_valid, y_valid),
            test=(X_test, y_test),
            checkpoint=checkpoint,
        )
        return self

    def _fit_labels(
        self,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        sample_weight: Any = None,
        valid: tuple[Any, Any] = (None, None),
        test: tuple[Any, Any] = (None, None),
        checkpoint: Any = None,
        network: FittedNetwork | None = None,
        make_target: MakeTarget = target_of,
    ) -> Trained:
        """Train on labels, from random weights or from those of a fitted network.

        ``make_target`` checks y and says what to learn from it, which its ``encode``
        then says of further clips.
        """

        def encode(views: Views) -> tuple[Target, Arrays]:
            target, arrays = make_target(self, views, y, self.class_weight)
            self.classes_ = target.classes
            return target, arrays

        def further(clips: tuple[Any, Any], name: str) -> tuple[Any, Any] | None:
            X, y = clips
            if (X is None) != (y is None):
                raise ValueError(
                    f"X_{name} and y_{name} go together; got only one of them."
                )
            return None if X is None else (X, partial(_encode, self, y, f"y_{name}"))

        return self._fit(
            X,
            encode,
            groups=groups,
            sample_weight=sample_weight,
            valid=further(valid, "valid"),
            test=further(test, "test"),
            checkpoint=checkpoint,
            network=network,
        )

    def _branch_proba(self, X: Any) -> dict[str, np.ndarray]:
        """Probabilities (n_clips, n_classes) of every branch, mean over segments."""
        check_is_fitted(self)
        names = self.net_.module_.branch_names
        return self._outputs(X, self._target.activate, names)

    def predict_proba(self, X):
        """Predict class probabilities, averaged over ``n_segments`` even segments.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Clips, as in `fit`.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes)
            Probabilities in the order of ``classes_``. They sum to one, but for tags
            each is a probability of its own.
        """
        branches = self._branch_proba(X)
        return branches[self.net_.module_.decision]

    def predict(self, X):
        """Predict the most probable class of every clip, or its tags.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Clips, as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_clips,) or (n_clips, n_tags)
            Labels as seen in `fit`; of tags, a one where the probability exceeds 0.5.
        """
        proba = self.predict_proba(X)
        return self._target.decide(proba)

    def decision_function(self, X):
        """Compute log-probabilities of classes, or log-odds of two classes or of tags.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Clips, as in `fit`.

        Returns
        -------
        confidence : ndarray of shape (n_clips, n_classes) or (n_clips,)
            Logarithms of `predict_proba`; of two classes, one column of log-odds for
            the second; of tags, the log-odds of each.
        """
        proba = self.predict_proba(X)
        return self._target.confidence(proba)

    def __sklearn_tags__(self) -> Any:
        """Indicator matrices of tags are accepted as y."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        # a table of features is no sound
        tags.classifier_tags.poor_score = self._source is not None
        return tags


def _encode(estimator: Any, y: Any, name: str, target: Any, views: Views) -> Arrays:
    """Arrays of further clips, whose labels have a name for messages."""
    try:
        arrays: Arrays = target.encode(estimator, views, y)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return arrays
