"""`FineTunedClassifier`: train a fitted network further, some of its layers frozen."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from skaudio._training._classifier import MakeTarget, SegmentClassifier
from skaudio._training._constraints import SHARED_CONSTRAINTS
from skaudio._training._fitted_network import FittedNetwork
from skaudio._training._labels import ClassLabels, target_of
from skaudio._training._network_of import network_of
from skaudio._training._parameters import ObjectParameters
from skaudio._utils._decisions import KnownTagsMixin
from skaudio._utils._sklearn import HasMethods, Interval, StrOptions, _fit_context
from skaudio._utils._validation import copy_features_in
from skaudio.neural_network._steps import before, behind, fitted, frozen_layers

AUTO = "auto"


class FineTunedClassifier(
    MetaEstimatorMixin, KnownTagsMixin, ObjectParameters, BaseEstimator
):
    """Train a fitted network further, on other clips and perhaps other classes.

    Training starts from the weights of a fitted classifier instead of random ones, at a
    lower rate. Lower layers may be frozen: they keep their weights and the statistics
    of their normalisation to the bit. For classes or tags that differ from the first
    ones, the output layers are replaced. Everything else, such as batch size, optimiser
    or augmentation, is as in the classifier itself.

    Parameters
    ----------
    estimator : neural classifier, or Pipeline that ends in one
        What to start from: ``FrozenEstimator(classifier)`` for one that is fitted. One
        that is not frozen is trained on the same clips first.
    freeze : float, or sequence of int or str, default=0.0
        What to freeze: a share of the network's stages, counted from the bottom (1
        freezes all but the output layers), or layers by their place among
        ``net_.module_.hidden_layers`` or by name.
    reset_head : bool or "auto", default="auto"
        Whether the output layers start from random weights; "auto" does so where
        classes differ from those of the estimator. False keeps the outputs for all
        classes of the estimator, of which y may have only some.
    lr : float or None, default=None
        Base learning rate; None is a tenth of the estimator's.
    max_epochs : int or None, default=None
        Number of passes over the training clips; None is the estimator's.
    lr_schedule : PlateauSchedule, CosineRestarts, name or None, default=None
        Schedule of the learning rate; None is the estimator's.
    random_state : int, RandomState instance or None, default=None
        Seed of new output layers, order, segments, dropout and validation split. An int
        gives the same model to the bit on one machine with as many threads.
    verbose : bool or int, default=0
        Whether to show a progress bar: segments per second, and the time that is left.

    Attributes
    ----------
    estimator_ : classifier or Pipeline
        The fine-tuned classifier, behind the estimator's own steps.
    classes_ : ndarray of shape (n_classes,)
        Class labels; of tags, names of the columns of a data frame, or their numbers.
    frozen_layers_ : list of str
        Names of the modules that were frozen.
    history_ : list of dict
        Per epoch, as in the classifier.
    n_features_in_ : int
        That of the estimator, where it has one.

    See Also
    --------
    skaudio.embedding.LayerEmbedder : Hidden layers as features, without training.

    Notes
    -----
    Segments are as long as the network was made for, and views that it computes itself
    are standardised as in its first training.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.neural_network import FineTunedClassifier, SampleCNNClassifier
    >>> X, y = make_sounds(n_clips=20, n_classes=4, sr=8000, random_state=0)
    >>> net = SampleCNNClassifier(sr=8000, width=0.02, max_epochs=1, random_state=0)
    >>> tuned = FineTunedClassifier(
    ...     FrozenEstimator(net.fit(X, y)), freeze=0.5, max_epochs=1, random_state=0
    ... )
    >>> few, labels = make_sounds(n_clips=10, n_classes=2, sr=8000, random_state=1)
    >>> tuned.fit(few, labels).predict_proba(few).shape
    (10, 2)
    >>> len(tuned.frozen_layers_)
    5
    """

    _stands_for = ("estimator_", "estimator")  # what predicts, fitted and not
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "freeze": [Interval(Real, 0, 1, closed="both"), "array-like"],
        "reset_head": ["boolean", StrOptions({AUTO})],
        "lr": [*SHARED_CONSTRAINTS["lr"], None],
        "max_epochs": [*SHARED_CONSTRAINTS["max_epochs"], None],
        "lr_schedule": [*SHARED_CONSTRAINTS["lr_schedule"], None],
        "random_state": SHARED_CONSTRAINTS["random_state"],
        "verbose": SHARED_CONSTRAINTS["verbose"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        freeze: float | Sequence[int | str] = 0.0,
        reset_head: bool | str = AUTO,
        lr: float | None = None,
        max_epochs: int | None = None,
        lr_schedule: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.freeze = freeze
        self.reset_head = reset_head
        self.lr = lr
        self.max_epochs = max_epochs
        self.lr_schedule = lr_schedule
        self.random_state = random_state
        self.verbose = verbose

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
        """Train the network further on clips and their labels.

        Parameters
        ----------
        X : whatever the estimator takes
            Clips.
        y : array-like of shape (n_clips,) or (n_clips, n_tags)
            Class labels of any type, or an indicator matrix (zeros and ones) of tags.
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
            File that keeps the state of fine-tuning after every epoch, see
            `CRNNClassifier.fit`.

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
        about_clips = {"groups": groups, "sample_weight": sample_weight}
        about_clips |= {"X_valid": X_valid, "y_valid": y_valid}
        steps, first = network_of(fitted(self.estimator, X, y, **about_clips))
        if not isinstance(first, SegmentClassifier):
            raise TypeError(
                f"FineTunedClassifier needs a classifier; got {type(first).__name__}."
            )
        self.frozen_layers_ = frozen_layers(first.net_.module_, self.freeze)
        tuned = first._as_trained().set_params(**self._settings(first))
        tuned._fit_labels(
            before(steps, X),
            y,
            groups=groups,
            sample_weight=sample_weight,
            valid=(before(steps, X_valid), y_valid),
            test=(before(steps, X_test), y_test),
            checkpoint=checkpoint,
            network=FittedNetwork(first, self.frozen_layers_, self.reset_head),
            make_target=_same_outputs(first) if self._keeps_head(first) else target_of,
        )
        self.classes_ = tuned.classes_
        self.history_ = tuned.history_
        self.estimator_ = behind(steps, tuned)
        copy_features_in(self.estimator_, self)
        return self

    def _keeps_head(self, first: SegmentClassifier) -> bool:
        """Whether to train the outputs for all of the first classes further."""
        return self.reset_head is False and isinstance(first._target, ClassLabels)

    def _settings(self, first: SegmentClassifier) -> dict[str, Any]:
        """Parameters of the classifier that differ from those of the first training."""
        given = {
            "lr": first.lr / 10 if self.lr is None else self.lr,
            "max_epochs": self.max_epochs,
            "lr_schedule": self.lr_schedule,
            "verbose": self.verbose,
        }
        given = {name: value for name, value in given.items() if value is not None}
        return {**given, "random_state": self.random_state}

    def predict(self, X):
        """Predict the most probable class of every clip, or its tags.

        Parameters
        ----------
        X : whatever the estimator takes
            Clips.

        Returns
        -------
        y : ndarray of shape (n_clips,) or (n_clips, n_tags)
            Labels as seen in `fit`; of tags, a one where the probability exceeds 0.5.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def predict_proba(self, X):
        """Predict class probabilities, as the classifier does.

        Parameters
        ----------
        X : whatever the estimator takes
            Clips.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes)
            Probabilities in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def decision_function(self, X):
        """Confidence in every class as a logarithm, as the classifier has it.

        Parameters
        ----------
        X : whatever the estimator takes
            Clips.

        Returns
        -------
        confidence : ndarray of shape (n_clips, n_classes) or (n_clips,)
            Logarithms of `predict_proba`; of two classes, log-odds for the second.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        below = get_tags(self.estimator)
        tags.input_tags = below.input_tags
        tags.classifier_tags = below.classifier_tags
        return tags


def _same_outputs(first: SegmentClassifier) -> MakeTarget:
    """Makes targets for the classes of the first training, of which y may have few."""

    def make_target(estimator: Any, X: Any, y: Any, class_weight: Any) -> Any:
        advice = ", or set reset_head='auto'"
        target = ClassLabels(first.classes_, class_weight, advice)
        return target, target.encode(estimator, X, y)

    return make_target
