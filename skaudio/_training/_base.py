"""The base of all neural estimators: validation, training, prediction, state."""

from __future__ import annotations

import copy
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skaudio._blending import UNIFORM, BlendingWeights
from skaudio._training._augmentation import Augmentation
from skaudio._training._data import (
    RandomSegments,
    SegmentDataset,
    Sound,
    Source,
    TrainingSegments,
    WaveformDataset,
    n_batches_of,
)
from skaudio._training._evaluation import Evaluation, FrozenSegments, clip_means
from skaudio._training._input import TrainingInput
from skaudio._training._labels import Kind, Labels, Tags, kind_of
from skaudio._training._net import (
    OPTIMIZERS,
    Records,
    Schedule,
    SegmentNet,
    available_device,
)
from skaudio._training._schedule import SCHEDULES
from skaudio._training._views import OwnViews
from skaudio._utils._container import Views
from skaudio._utils._random import draw_seed, generators
from skaudio._utils._sklearn import Interval, RealNotInt, StrOptions, _fit_context
from skaudio._utils._validation import check_views
from skaudio.model_selection._split import StratifiedGroupShuffleSplit
from skaudio.nn.blocks import ATTENTIONS
from skaudio.nn.losses import BranchCrossEntropy
from skaudio.nn.runner import resolve_device
from skaudio.views._base import ViewSource
from skaudio.views._view_scaler import ViewScaler

SHARED_CONSTRAINTS: dict[str, list[Any]] = {
    "views": [ViewSource, None],
    "augmentation": [Augmentation, None],
    "width": [Interval(Real, 0, None, closed="neither")],
    "attention": [StrOptions(set(ATTENTIONS))],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [Interval(Integral, 2, None, closed="left")],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "optimizer": [StrOptions(set(OPTIMIZERS))],
    "lr_schedule": [StrOptions(set(SCHEDULES))],
    "segment_length": [
        None,
        Interval(Integral, 1, None, closed="left"),
        Interval(RealNotInt, 0, None, closed="neither"),
    ],
    "n_segments": [Interval(Integral, 1, None, closed="left")],
    "validation_fraction": [
        None,
        Interval(Integral, 1, None, closed="left"),
        Interval(RealNotInt, 0, 1, closed="neither"),
    ],
    "class_weight": [StrOptions({"balanced"}), dict, None],
    "callbacks": [list, tuple, None],
    "device": [str],
    "mixed_precision": ["boolean"],
    "compile": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}

# Segments per clip for the losses during training. Segments of a clip are alike, so
# more of them cost time and say little: evaluate more often instead.
N_EVALUATION_SEGMENTS = 1


class SegmentClassifier(ClassifierMixin, BaseEstimator):
    """Template of the neural classifiers; subclasses name a network and a blending."""

    _check_training_loss = False  # whether to evaluate a piece of the training set

    # -- what a subclass says -------------------------------------------------------
    def _module(self) -> dict[str, Any]:
        """skorch's module class and the parameters that are not shared."""
        raise NotImplementedError

    def _blending_weights(self, n_branches: int, n_evaluations: int) -> BlendingWeights:
        return BlendingWeights(n_branches, rule=UNIFORM)

    def _period(self, n_batches: int, n_evaluated: int) -> int:
        """Steps between evaluations of ``n_evaluated`` segments."""
        return n_batches

    def _check_input(self, X: Views) -> None:
        """Refuse views that the network cannot take."""

    def _keep(self, net: SegmentNet, evaluation: Evaluation) -> None:
        """Set fitted attributes of a subclass."""

    # -- fit ------------------------------------------------------------------------
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, groups=None, X_test=None, y_test=None):
        """Train the network on clips and their labels.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Views of the clips. A list of (n_bins, n_frames_i) arrays holds clips of
            different lengths; a 2-D array has one frame per clip. If ``views`` is set:
            waveforms (n_clips, n_samples), or a list of waveforms or paths.
        y : array-like of shape (n_clips,) or (n_clips, n_tags)
            Class labels of any type, or zeros and ones that say which tags a clip has.
        groups : array-like of shape (n_clips,), default=None
            Source of each clip. With ``validation_fraction``, no source is divided
            between training and validation.
        X_test : like X, default=None
            Clips to watch during training: their losses are recorded, and nothing
            depends on them.
        y_test : like y, default=None
            Labels of ``X_test``.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        augmentation = self.augmentation or Augmentation()
        augmentation._check(on_waveforms=self.views is not None)
        views, sound = self._read(X, reset=True)
        self._check_input(views)
        labels, encoded = kind_of(y).from_y(self, views, y)
        check_consistent_length(views, groups)
        self.classes_ = labels.classes
        self._predicts_tags = isinstance(labels, Tags)
        self._seed = draw_seed(self.random_state)
        self._rates = _known_rates(views)
        self._segment_seconds = _segment_seconds(
            self.segment_length, views, self._rates
        )
        self._n_bins = dict(views.n_bins)
        self._dtype = str(np.result_type(*(views.clips(n)[0] for n in views.names)))
        test = self._test_set(X_test, y_test, labels)
        self._train(views, sound, encoded, groups, labels, augmentation, test)
        return self

    def _read(self, X: Any, reset: bool) -> tuple[Views, Sound | None]:
        """Views to work on, and their sound if they are computed here."""
        if self.views is None:
            return check_views(self, X, reset=reset), None
        device = resolve_device if reset else available_device
        own = OwnViews(self.views, device(self.device))
        computed, sound = own.compute(own.load(self, X, reset=reset))
        if reset:
            self.scaler_ = ViewScaler().fit(computed)
        return self.scaler_.transform(computed), sound

    def _test_set(self, X: Any, y: Any, labels: Kind) -> SegmentDataset | None:
        if (X is None) != (y is None):
            raise ValueError("X_test and y_test go together; got only one of them.")
        if X is None:
            return None
        views, _ = self._read(X, reset=False)
        _check_rates(self, views)
        encoded = labels.encode(self, views, y)
        return self._dataset(views, labels.targets(encoded))

    def _train(
        self,
        views: Views,
        sound: Sound | None,
        encoded: np.ndarray,
        groups: Any,
        labels: Kind,
        augmentation: Augmentation,
        test: SegmentDataset | None,
    ) -> None:
        train, valid, check = self._split(labels.strata(encoded), groups)
        source, training_input = self._training_source(
            views[train], None if sound is None else sound[train], augmentation
        )
        targets = labels.targets(encoded[train])
        data = TrainingSegments(source, targets, augmentation, labels.soft, self._seed)
        n_batches = n_batches_of(len(data), self.batch_size)

        def part(rows: np.ndarray | None) -> SegmentDataset | None:
            if rows is None:
                return None
            return self._dataset(views[rows], labels.targets(encoded[rows]))

        sets = (part(valid), part(check), test)
        evaluation = self._evaluation(sets, labels, n_batches)
        records = Records(self.verbose)
        schedule = Schedule(self.lr_schedule, n_batches * self.max_epochs)
        net = self._new_net(
            resolve_device(self.device),
            labels.criterion(self.class_weight, encoded[train], self._dtype),
            [schedule, evaluation, records, *self._user_callbacks()],
            training_input=training_input,
        )
        net.fit(data)
        self.history_ = records.epochs
        self._keep(net, evaluation)
        self.net_ = self._inference_net(net.module_.state_dict())

    def _evaluation(
        self, sets: tuple[SegmentDataset | None, ...], labels: Kind, n_batches: int
    ) -> Evaluation:
        """What watches validation, training and test clips."""
        n_segments = min(N_EVALUATION_SEGMENTS, self.n_segments)
        valid, check, test = (
            None if data is None else FrozenSegments(data, n_segments, labels)
            for data in sets
        )
        n_evaluated = sum(len(part) for part in (valid, check) if part is not None)
        period = self._period(n_batches, n_evaluated)
        n_evaluations = n_batches * self.max_epochs // period
        weights = partial(self._blending_weights, n_evaluations=n_evaluations)
        return Evaluation(valid, check, test, weights, period)

    def _split(self, y: np.ndarray, groups: Any) -> tuple[Any, Any, Any]:
        """Rows to train on, to validate with, and to check training losses with."""
        if self.validation_fraction is None:
            return np.arange(len(y)), None, None
        whole = isinstance(self.validation_fraction, Integral)
        size = {"groups_per_class" if whole else "test_size": self.validation_fraction}
        splitter = StratifiedGroupShuffleSplit(
            n_splits=1, random_state=self._seed, **size
        )
        train, valid = next(splitter.split(np.zeros(len(y)), y, groups))
        check = None
        if self._check_training_loss:
            check = _same_classes(y, train, valid, *generators(self._seed, 1))
        return train, valid, check

    def _dataset(self, X: Views, targets: dict[str, np.ndarray]) -> SegmentDataset:
        return SegmentDataset(
            X, self._rates, self._segment_seconds, targets, self._dtype
        )

    def _training_source(
        self,
        views: Views,
        sound: Sound | None,
        augmentation: Augmentation,
    ) -> tuple[Source, TrainingInput]:
        """Where segments are cut from, and what turns them into the network's input."""
        source = self._dataset(views, {})
        if sound is None:
            return source, TrainingInput(None, augmentation)
        device = resolve_device(self.device)
        front_ends, geometry = OwnViews(self.views, device).front_ends(
            self.scaler_, source.n_steps, self._dtype
        )
        return (
            WaveformDataset(sound, source, geometry),
            TrainingInput(front_ends, augmentation),
        )

    def _user_callbacks(self) -> list[Any]:
        # copies: a callback's state must not leak from one fit into the next
        return [copy.deepcopy(callback) for callback in self.callbacks or ()]

    def _new_net(
        self,
        device: str,
        criterion: dict[str, Any],
        callbacks: list[Any],
        training_input: TrainingInput | None = None,
    ) -> SegmentNet:
        views = {name: (self._n_bins[name], rate) for name, rate in self._rates.items()}
        return SegmentNet(
            **self._module(),
            module__views=views,
            module__n_outputs=len(self.classes_),
            module__width=self.width,
            module__attention=self.attention,
            module__dropout=self.dropout,
            **criterion,
            optimizer=OPTIMIZERS[self.optimizer],
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            iterator_train=RandomSegments,
            train_split=None,
            callbacks=[(f"callback{i}", c) for i, c in enumerate(callbacks)],
            verbose=0,
            device=device,
            seed=self._seed,
            dtype=self._dtype,
            mixed_precision=self.mixed_precision,
            compiled=self.compile,
            training_input=training_input,
        )

    # -- predict --------------------------------------------------------------------
    @property
    def _kind(self) -> type[Kind]:
        return Tags if self._predicts_tags else Labels

    def _branch_proba(self, X: Any) -> dict[str, np.ndarray]:
        """Probabilities (n_clips, n_classes) of every branch, mean over segments."""
        check_is_fitted(self)
        views, _ = self._read(X, reset=False)
        _check_rates(self, views)
        data = self._dataset(views, {})
        rows, starts = data.even_segments(self.n_segments)
        logits = self.net_.logits(data, rows, starts)
        return {
            name: clip_means(self._kind.probabilities(z), rows, len(data))
            for name, z in logits.items()
        }

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
        return next(iter(self._branch_proba(X).values()))

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
        return self._kind.decide(proba, self.classes_)

    def decision_function(self, X):
        """Confidence in every class as a logarithm, in which evidence adds up.

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
        return self._kind.confidence(proba)

    # -- state ----------------------------------------------------------------------
    def _inference_net(self, state: dict[str, torch.Tensor]) -> SegmentNet:
        """A net with the given weights and nothing left of training."""
        device = available_device(self.device)
        net = self._new_net(device, {"criterion": BranchCrossEntropy}, []).initialize()
        net.module_.load_state_dict(state)
        return net

    def __getstate__(self) -> dict[str, Any]:
        """Weights as NumPy arrays: loads anywhere, and no code travels with it."""
        state = dict(super().__getstate__())
        if "net_" in state:
            weights = state.pop("net_").module_.state_dict()
            state["_weights"] = {k: v.cpu().numpy() for k, v in weights.items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the network at once, so that predicting changes nothing."""
        state = dict(state)
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is not None:
            self.net_ = self._inference_net(
                {k: torch.tensor(v) for k, v in weights.items()}
            )

    def __sklearn_tags__(self) -> Any:
        """Views have three dimensions."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = self.views is not None
        tags.classifier_tags.multi_label = True
        # a table of features is no sound
        tags.classifier_tags.poor_score = self.views is not None
        return tags


def _same_classes(
    y: np.ndarray, train: np.ndarray, valid: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """As many training clips of every class as there are validation clips of it.

    Otherwise the difference of both losses is one of classes, not of overfitting.
    """
    shuffled = rng.permutation(train)
    chosen = [
        shuffled[y[shuffled] == k][:count]
        for k, count in zip(*np.unique(y[valid], return_counts=True), strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def _known_rates(X: Views) -> dict[str, float]:
    rates = dict(X.rates)
    if all(rate is None for rate in rates.values()):
        if len({tuple(X.n_frames(name)) for name in X.names}) > 1:
            raise ValueError(
                "Views of different lengths need rates to be cut at the same time. "
                "Build them with ViewUnion, or pass rates to Views."
            )
        return dict.fromkeys(rates, 1.0)
    if None in rates.values():
        raise ValueError(f"Either all views have a rate or none; got {rates}.")
    return {name: float(rate) for name, rate in rates.items() if rate is not None}


def _check_rates(estimator: Any, X: Views) -> None:
    rates = _known_rates(X)
    for name, rate in estimator._rates.items():
        if not np.isclose(rate, rates[name]):
            raise ValueError(
                f"View {name!r} has {rates[name]:g} steps per second, but "
                f"{type(estimator).__name__} was fitted with {rate:g}. Compute the "
                "views with the same sr and hop_length as in fit."
            )


def _segment_seconds(length: Any, X: Views, rates: dict[str, float]) -> float:
    """Length of a segment in seconds, or in steps where rates are unknown."""
    if length is None:
        seconds = [X.n_frames(name) / rate for name, rate in rates.items()]
        return float(np.median(np.min(seconds, axis=0)))
    if isinstance(length, Integral):
        if len(rates) > 1:
            raise ValueError(
                f"segment_length={length} counts steps of a single view, but X has "
                f"{list(rates)}. Give seconds as a float, e.g. 1.5."
            )
        return int(length) / next(iter(rates.values()))
    if None in X.rates.values():
        raise ValueError(
            f"segment_length={length} is in seconds, but the rate of a plain array is "
            "unknown. Pass Views (see make_view_union), or a number of steps as an int."
        )
    return float(length)
