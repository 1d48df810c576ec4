"""The base of all neural estimators: validation, training, prediction, state."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skaudio._blending import UNIFORM, BlendingWeights
from skaudio._segments import to_steps
from skaudio._training._augmentation import Augmentation
from skaudio._training._checkpoint import Checkpoint, fingerprint, read
from skaudio._training._data import (
    RandomSegments,
    SegmentDataset,
    Source,
    TrainingSegments,
    n_batches_of,
)
from skaudio._training._evaluation import Evaluation, FrozenSegments
from skaudio._training._features import SegmentFeatures, clip_means
from skaudio._training._front_ends import (
    OwnViews,
    Sound,
    TrainingInput,
    WaveformDataset,
)
from skaudio._training._labels import Kind, Labels, Tags, kind_of
from skaudio._training._ladder import LADDER, Ladder, PlateauLadder
from skaudio._training._net import (
    OPTIMIZERS,
    Records,
    Schedule,
    SegmentNet,
)
from skaudio._training._rates import check_rates, known_rates, segment_seconds
from skaudio._training._schedule import SCHEDULES
from skaudio._utils._container import Views
from skaudio._utils._random import draw_seed, generators
from skaudio._utils._sklearn import _fit_context
from skaudio._utils._validation import check_views
from skaudio.model_selection._split import StratifiedGroupShuffleSplit
from skaudio.nn.devices import available_device, resolve_device
from skaudio.nn.losses import BranchCrossEntropy
from skaudio.preprocessing._view_scaler import ViewScaler
from skaudio.views._base import ViewSource

# Segments per clip for the losses during training. Segments of a clip are alike, so
# more of them cost time and say little: evaluate more often instead.
N_EVALUATION_SEGMENTS = 1


# Parameters that do not change what is learned
NOT_IN_FINGERPRINT = ("verbose", "device", "callbacks", "random_state", "compile")


@dataclass(frozen=True)
class Clips:
    """What a network learns from."""

    views: Views
    sound: Sound | None
    encoded: np.ndarray
    groups: Any

    def arrays(self) -> Iterator[np.ndarray]:
        """Everything that training depends on."""
        for name in self.views.names:
            yield from self.views.clips(name)
        yield self.encoded
        if self.groups is not None:
            yield np.unique(self.groups, return_inverse=True)[1]


class SegmentClassifier(ClassifierMixin, BaseEstimator):
    """Template of the neural classifiers; subclasses name a network and a blending."""

    _check_training_loss = False  # whether to evaluate a piece of the training set
    _standardises = True  # whether views that are computed here are standardised

    # -- what a subclass says -------------------------------------------------------
    def _module(self) -> dict[str, Any]:
        """skorch's module class and the parameters that are not shared."""
        raise NotImplementedError

    def _blending_weights(self, n_branches: int, n_evaluations: int) -> BlendingWeights:
        return BlendingWeights(n_branches, rule=UNIFORM)

    @property
    def _source(self) -> ViewSource | None:
        """What computes the views, if this estimator does it itself."""
        source: ViewSource | None = self.views
        return source

    @property
    def _length(self) -> int | float | None:
        """Segment length: steps, seconds, or None for the median clip."""
        length: int | float | None = self.segment_length
        return length

    def _period(self, n_batches: int, n_evaluated: int) -> int:
        """Steps between evaluations of ``n_evaluated`` segments."""
        return n_batches

    def _check_input(self, X: Views) -> None:
        """Refuse views that the network cannot take."""

    def _keep(self, net: SegmentNet, evaluation: Evaluation) -> None:
        """Set fitted attributes of a subclass."""

    # -- fit ------------------------------------------------------------------------
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, groups=None, X_test=None, y_test=None, checkpoint=None):
        """Train the network on clips and their labels.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Views of the clips. A list of (n_bins, n_frames_i) arrays holds clips of
            different lengths; a 2-D array has one frame per clip. If ``views`` is set,
            and always for `SampleCNNClassifier`: waveforms (n_clips, n_samples), or a
            list of waveforms or paths.
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
        checkpoint : path-like, default=None
            File that keeps the state of training after every epoch, about three times
            as large as the network. If it is there, training goes on from it, to the
            same result as without an interruption; a finished one is not repeated.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        augmentation = self.augmentation or Augmentation()
        augmentation._check(on_waveforms=self._source is not None)
        views, sound = self._read(X, reset=True)
        self._check_input(views)
        labels, encoded = kind_of(y).from_y(self, views, y)
        check_consistent_length(views, groups)
        self.classes_ = labels.classes
        self._predicts_tags = isinstance(labels, Tags)
        self._seed = self._draw_seed(checkpoint)
        self._rates = known_rates(views)
        self._segment_seconds = segment_seconds(self._length, views, self._rates)
        self._n_bins = dict(views.n_bins)
        self._dtype = str(np.result_type(*(views.clips(n)[0] for n in views.names)))
        test = self._test_set(X_test, y_test, labels)
        clips = Clips(views, sound, encoded, groups)
        self._train(clips, labels, augmentation, test, checkpoint)
        return self

    def _draw_seed(self, checkpoint: Any) -> int:
        """Seed of this training, or of the one that is to go on."""
        saved = None if checkpoint is None else read(Path(checkpoint))
        if saved is not None and not isinstance(self.random_state, Integral):
            return int(saved["seed"])
        return draw_seed(self.random_state)

    def _read(self, X: Any, reset: bool) -> tuple[Views, Sound | None]:
        """Views to work on, and their sound if they are computed here."""
        if self._source is None:
            return check_views(self, X, reset=reset), None
        device = resolve_device if reset else available_device
        own = OwnViews(self._source, device(self.device))
        computed, sound = own.compute(own.load(self, X, reset=reset))
        if not self._standardises:
            return computed, sound
        if reset:
            self.scaler_ = ViewScaler().fit(computed)
        return self.scaler_.transform(computed), sound

    def _test_set(self, X: Any, y: Any, labels: Kind) -> SegmentDataset | None:
        if (X is None) != (y is None):
            raise ValueError("X_test and y_test go together; got only one of them.")
        if X is None:
            return None
        views, _ = self._read(X, reset=False)
        check_rates(self, views)
        encoded = labels.encode(self, views, y)
        return self._dataset(views, labels.targets(encoded))

    def _train(
        self,
        clips: Clips,
        labels: Kind,
        augmentation: Augmentation,
        test: SegmentDataset | None,
        checkpoint: Any,
    ) -> None:
        views, encoded = clips.views, clips.encoded
        train, valid, check = self._split(labels.strata(encoded), clips.groups)
        source, training_input = self._training_source(clips, train, augmentation)
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
        callbacks = [evaluation, records, self._schedule(n_batches)]
        if checkpoint is not None:
            callbacks.append(self._checkpoint(checkpoint, clips, data, *callbacks))
        net = self._new_net(
            resolve_device(self.device),
            labels.criterion(self.class_weight, encoded[train], self._dtype),
            [*callbacks, *self._user_callbacks()],
            training_input=training_input,
        )
        net.fit(data)
        self.history_ = records.epochs
        self._keep(net, evaluation)
        self.net_ = self._inference_net(net.module_.state_dict())

    def _schedule(self, n_batches: int) -> Schedule | Ladder:
        """What sets the learning rate."""
        schedule = self.lr_schedule
        if schedule in SCHEDULES:
            return Schedule(schedule, n_batches * self.max_epochs)
        if self.validation_fraction is None:
            raise ValueError(
                f"lr_schedule={schedule!r} watches the validation loss. Set "
                "validation_fraction, e.g. 0.1, or another schedule."
            )
        ladder = PlateauLadder() if schedule == LADDER else schedule
        ladder._validate_params()
        return Ladder(ladder)

    def _checkpoint(
        self, path: Any, clips: Clips, data: TrainingSegments, *parts: Any
    ) -> Checkpoint:
        """What saves the state of training, and takes it up again."""
        settings = self.get_params()
        for name in NOT_IN_FINGERPRINT:
            settings.pop(name, None)
        evaluation = parts[0]
        settings |= {"class": type(self).__name__, "seed": self._seed}
        return Checkpoint(
            Path(path),
            fingerprint(settings, clips.arrays()),
            self._seed,
            data,
            lambda: {
                "blending": evaluation.blending,
                **{type(part).__name__: part for part in parts},
            },
        )

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
        self, clips: Clips, rows: np.ndarray, augmentation: Augmentation
    ) -> tuple[Source, TrainingInput]:
        """Where segments are cut from, and what turns them into the network's input."""
        source = self._dataset(clips.views[rows], {})
        if clips.sound is None or self._source is None:
            return source, TrainingInput(None, augmentation)
        device = resolve_device(self.device)
        scaler = self.scaler_ if self._standardises else None
        front_ends, geometry = OwnViews(self._source, device).front_ends(
            scaler, source.n_steps, self._dtype
        )
        return (
            WaveformDataset(clips.sound[rows], source, geometry),
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
            **criterion,
            **OPTIMIZERS[self.optimizer],
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
        check_rates(self, views)
        data = self._dataset(views, {})
        rows, starts = data.even_segments(self.n_segments)
        logits = self.net_.logits(data, rows, starts)
        return {
            name: clip_means(self._kind.probabilities(z), rows, len(data))
            for name, z in logits.items()
        }

    def _features(
        self, X: Any, layers: list[str], pooling: str, n_segments: int | None
    ) -> SegmentFeatures:
        """Outputs of hidden layers for even segments of every clip."""
        check_is_fitted(self)
        views, _ = self._read(X, reset=False)
        check_rates(self, views)
        data = self._dataset(views, {})
        rows, starts = data.even_segments(n_segments)
        values = self.net_.features(data, rows, starts, layers, pooling)
        return SegmentFeatures(values, rows, starts, self._segment_seconds, len(data))

    def _n_features(self, layers: list[str]) -> int:
        """Count the features of hidden layers, by a segment of zeros."""
        zeros = {
            name: np.zeros((1, n_bins, to_steps(self._segment_seconds, rate)))
            for (name, rate), n_bins in zip(
                self._rates.items(), self._n_bins.values(), strict=True
            )
        }
        data = self._dataset(Views(zeros, self._rates), {})
        rows = np.zeros(1, dtype=np.intp)
        return self.net_.features(data, rows, np.zeros(1), layers, "max").shape[1]

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
        tags.input_tags.string = self._source is not None
        tags.classifier_tags.multi_label = True
        # a table of features is no sound
        tags.classifier_tags.poor_score = self._source is not None
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
