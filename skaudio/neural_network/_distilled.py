"""`DistilledClassifier`: a small network learns what a teacher has learned."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from skaudio._training._classifier import SegmentClassifier
from skaudio._training._labels import ClassLabels
from skaudio._training._network_of import steps_before
from skaudio._training._soft_labels import SoftLabels
from skaudio._utils._constraints import POSITIVE
from skaudio._utils._decisions import is_indicator
from skaudio._utils._sklearn import HasMethods, Interval, _fit_context
from skaudio._utils._validation import copy_features_in
from skaudio.neural_network._steps import before, behind, fitted


def _final(model: Any) -> Any:
    return model[-1] if isinstance(model, Pipeline) else model


class DistilledClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Train a network by the probabilities of a teacher, and by the labels.

    A teacher's probabilities hold more than a label: which other classes a clip is
    like. Both networks' logits are divided by a temperature, which brings the small
    probabilities forward. The loss is ``alpha`` times the cross-entropy of these, and
    the rest that of the labels.

    Parameters
    ----------
    student : neural classifier, or Pipeline that ends in one
        The network to train. It is cloned; its own parameters say how it is trained.
    teacher : classifier with `predict_proba`
        Whatever classifies the same X: ``FrozenEstimator(classifier)`` for one that is
        fitted. One that is not frozen is trained on the same clips first.
    temperature : float, default=2.0
        What logits are divided by. The authors found 4, 2 and 1 best for the slim
        SwishNet on clips of 2, 1 and 0.5 seconds, 10, 10 and 8 for the wide one.
    alpha : float, default=0.9
        Share of the teacher in the loss, from 0 to 1.
    scale_by_temperature : bool, default=True
        Whether the teacher's part is multiplied by the squared temperature, so that its
        gradients keep their size. SwishNet's authors do not mention it.

    Attributes
    ----------
    student_ : classifier or Pipeline
        The trained network, behind the steps of the student: an ordinary classifier,
        which can be saved without the teacher.
    teacher_ : classifier
        The fitted teacher.
    classes_ : ndarray of shape (n_classes,)
        Class labels: those of the teacher.
    history_ : list of dict
        Per epoch, as in the student.
    n_features_in_ : int
        That of the student, where it has one.

    See Also
    --------
    FineTunedClassifier : Starts from the weights of a network, not from its outputs.

    Notes
    -----
    The teacher judges whole clips once, and every segment of a clip has its
    probabilities. In a search over the temperature, freeze the teacher, or every
    candidate trains its own; a frozen teacher that was trained on the validation folds
    has told the student about them.

    References
    ----------
    G. Hinton, O. Vinyals and J. Dean, "Distilling the knowledge in a neural network",
    2015, Section 2. Hussain and Haque, "SwishNet", arXiv:1812.00149, 2018, Section V.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.pipeline import make_pipeline
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.neural_network import (
    ...     DistilledClassifier,
    ...     MobileNetClassifier,
    ...     SwishNetClassifier,
    ... )
    >>> from skaudio.views import MelView, MFCCView
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> teacher = MobileNetClassifier(
    ...     views=MelView(sr=8000), width=0.1, max_epochs=1, random_state=0
    ... )
    >>> student = SwishNetClassifier(
    ...     views=MFCCView(sr=8000, n_mels=32), max_epochs=1, random_state=0
    ... )
    >>> distilled = DistilledClassifier(student, FrozenEstimator(teacher.fit(X, y)))
    >>> distilled.fit(X, y).predict_proba(X).shape
    (20, 2)
    """

    _stands_for = ("student_", "student")  # what predicts, fitted and not
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "student": [HasMethods(["fit", "predict_proba"])],
        "teacher": [HasMethods(["fit", "predict_proba"])],
        "temperature": [POSITIVE],
        "alpha": [Interval(Real, 0, 1, closed="both")],
        "scale_by_temperature": ["boolean"],
    }

    def __init__(
        self,
        student: Any,
        teacher: Any,
        *,
        temperature: float = 2.0,
        alpha: float = 0.9,
        scale_by_temperature: bool = True,
    ) -> None:
        self.student = student
        self.teacher = teacher
        self.temperature = temperature
        self.alpha = alpha
        self.scale_by_temperature = scale_by_temperature

    @_fit_context(prefer_skip_nested_validation=False)
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
        """Train the student on clips, their labels and the teacher's probabilities.

        Parameters
        ----------
        X : whatever both the student and the teacher take
            Clips.
        y : array-like of shape (n_clips,)
            Class labels, which the teacher must know.
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
            File that keeps the state of the student's training after every epoch, see
            `CRNNClassifier.fit`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            If the student is no neural classifier of skaudio.
        ValueError
            If the teacher does not know a class, or its outputs are no probabilities.
        """
        if not isinstance(_final(self.student), SegmentClassifier):
            raise TypeError(
                "student must be a neural classifier of skaudio, or a Pipeline that "
                f"ends in one; got {type(_final(self.student)).__name__}."
            )
        if is_indicator(y):
            raise ValueError(
                "DistilledClassifier takes one class label per clip; got an indicator "
                "matrix of tags."
            )
        about_clips = {"groups": groups, "sample_weight": sample_weight}
        about_clips |= {"X_valid": X_valid, "y_valid": y_valid}
        self.teacher_ = fitted(self.teacher, X, y, **about_clips)
        student = clone(self.student)
        is_pipeline = isinstance(student, Pipeline)
        steps = steps_before(student.steps[:-1]) if is_pipeline else None
        if steps is not None:
            steps.fit(X, y)
        student = _final(student)
        student._fit_labels(
            before(steps, X),
            (y, self._probabilities(X)),
            groups=groups,
            sample_weight=sample_weight,
            valid=(before(steps, X_valid), self._with_probabilities(X_valid, y_valid)),
            test=(before(steps, X_test), self._with_probabilities(X_test, y_test)),
            checkpoint=checkpoint,
            make_target=self._soft_labels,
        )
        # from here on it is like any other
        student._target = ClassLabels(student.classes_, student.class_weight)
        self.student_ = behind(steps, student)
        self.classes_ = student.classes_
        self.history_ = student.history_
        copy_features_in(self.student_, self)
        return self

    def _with_probabilities(self, X: Any, y: Any) -> Any:
        """Labels of further clips, if there are any, and what the teacher says."""
        return y if X is None or y is None else (y, self._probabilities(X))

    def _probabilities(self, X: Any) -> np.ndarray:
        """Probabilities of the teacher, in the order of sorted classes."""
        proba: Any = self.teacher_.predict_proba(X)
        classes: Any = getattr(self.teacher_, "classes_", None)
        if np.ndim(classes) != 1 or np.ndim(proba) != 2:
            raise ValueError(
                "The teacher must have been fitted on one class label per clip, and "
                "have classes_ and a matrix of probabilities; got "
                f"{type(self.teacher_).__name__} with classes_={classes!r} and "
                f"probabilities of shape {np.shape(proba)}."
            )
        if proba.shape[1] != len(classes):
            return np.asarray(proba)  # refused later
        return np.asarray(proba)[:, np.argsort(classes)]

    def _soft_labels(self, estimator: Any, X: Any, y: Any, class_weight: Any) -> Any:
        target = SoftLabels(
            np.sort(self.teacher_.classes_),
            class_weight,
            temperature=float(self.temperature),
            scaled=self.scale_by_temperature,
            alpha=float(self.alpha),
        )
        return target, target.encode(estimator, X, y)

    def predict(self, X):
        """Predict the student's most probable class of every clip.

        Parameters
        ----------
        X : whatever the student takes
            Clips.

        Returns
        -------
        y : ndarray of shape (n_clips,)
            Labels as seen in `fit`.
        """
        check_is_fitted(self)
        return self.student_.predict(X)

    def predict_proba(self, X):
        """Predict class probabilities, as the student does.

        Parameters
        ----------
        X : whatever the student takes
            Clips.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes)
            Probabilities in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.student_.predict_proba(X)

    def decision_function(self, X):
        """Confidence in every class as a logarithm, as the student has it.

        Parameters
        ----------
        X : whatever the student takes
            Clips.

        Returns
        -------
        confidence : ndarray of shape (n_clips, n_classes) or (n_clips,)
            Logarithms of `predict_proba`; of two classes, log-odds for the second.
        """
        check_is_fitted(self)
        return self.student_.decision_function(X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        below = get_tags(self.student)
        tags.input_tags = below.input_tags
        tags.classifier_tags.poor_score = below.classifier_tags.poor_score
        return tags
