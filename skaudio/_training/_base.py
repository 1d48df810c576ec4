"""The base of all neural estimators: validation, training, prediction, state."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skaudio._blending import UNIFORM, BlendingWeights
from skaudio._training._data import RandomSegments, SegmentDataset, n_batches_of
from skaudio._training._evaluation import Evaluation, FrozenSegments, clip_means
from skaudio._training._labels import Labels
from skaudio._training._net import (
    OPTIMIZERS,
    Records,
    Schedule,
    SegmentNet,
    available_device,
)
from skaudio._training._schedule import SCHEDULES
from skaudio._utils._container import Views
from skaudio._utils._random import draw_seed, generators
from skaudio._utils._sklearn import Interval, RealNotInt, StrOptions, _fit_context
from skaudio._utils._validation import check_views
from skaudio.model_selection._split import StratifiedGroupShuffleSplit
from skaudio.nn.blocks import ATTENTIONS
from skaudio.nn.losses import BranchCrossEntropy
from skaudio.nn.runner import resolve_device

SHARED_CONSTRAINTS: dict[str, list[Any]] = {
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
    "validation_fraction": [None, Interval(Real, 0, 1, closed="neither")],
    "class_weight": [StrOptions({"balanced"}), dict, None],
    "callbacks": [list, tuple, None],
    "device": [str],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}

# segments per clip for the losses during training; the curves need no more
N_EVALUATION_SEGMENTS = 3


class SegmentClassifier(ClassifierMixin, BaseEstimator):
    """Template of the neural classifiers; subclasses name a network and a blending."""

    _check_training_loss = False  # whether to evaluate a piece of the training set

    # -- what a subclass says -------------------------------------------------------
    def _module(self) -> dict[str, Any]:
        """skorch's module class and the parameters that are not shared."""
        raise NotImplementedError

    def _blending_weights(self, n_branches: int) -> BlendingWeights:
        return BlendingWeights(n_branches, rule=UNIFORM)

    def _period(self, n_batches: int) -> int:
        """Steps between evaluations, given the batches of an epoch."""
        return n_batches

    def _check_input(self, X: Views) -> None:
        """Refuse views that the network cannot take."""

    def _keep(self, net: SegmentNet, evaluation: Evaluation) -> None:
        """Set fitted attributes of a subclass."""

    # -- fit ------------------------------------------------------------------------
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, groups=None):
        """Train the network on clips and their labels.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Views of the clips. A list of (n_bins, n_frames_i) arrays holds clips of
            different lengths; a 2-D array has one frame per clip.
        y : array-like of shape (n_clips,)
            Class labels of any type.
        groups : array-like of shape (n_clips,), default=None
            Source of each clip. With ``validation_fraction``, no source is divided
            between training and validation.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        X = check_views(self, X, reset=True)
        self._check_input(X)
        labels, indices = Labels.from_y(self, X, y)
        check_consistent_length(X, groups)
        self.classes_ = labels.classes
        self._seed = draw_seed(self.random_state)
        self._rates = _known_rates(X)
        self._segment_seconds = _segment_seconds(self.segment_length, X, self._rates)
        self._n_bins = dict(X.n_bins)
        self._dtype = str(np.result_type(*(X.clips(name)[0] for name in X.names)))
        self._train(X, indices, groups, labels)
        return self

    def _train(
        self, X: Views, indices: np.ndarray, groups: Any, labels: Labels
    ) -> None:
        split_rng, batch_rng = generators(self._seed, 2)
        train, valid, check = self._split(indices, groups, split_rng)

        def frozen(rows: np.ndarray | None) -> FrozenSegments | None:
            if rows is None:
                return None
            part = self._dataset(X[rows], labels.targets(indices[rows]))
            n_segments = min(N_EVALUATION_SEGMENTS, self.n_segments)
            return FrozenSegments(part, n_segments, labels)

        data = self._dataset(X[train], labels.targets(indices[train]), batch_rng)
        n_batches = n_batches_of(len(data), self.batch_size)
        evaluation = Evaluation(
            frozen(valid),
            frozen(check if self._check_training_loss else None),
            self._blending_weights,
            self._period(n_batches),
        )
        records = Records(self.verbose)
        schedule = Schedule(self.lr_schedule, n_batches * self.max_epochs)
        y = labels.classes[indices[train]]
        net = self._new_net(
            resolve_device(self.device),
            labels.criterion(self.class_weight, y, self._dtype),
            [schedule, evaluation, records, *self._user_callbacks()],
        )
        net.fit(data)
        self.history_ = records.epochs
        self._keep(net, evaluation)
        self.net_ = self._inference_net(net.module_.state_dict())

    def _split(self, y: np.ndarray, groups: Any, rng: Any) -> tuple[Any, Any, Any]:
        """Rows to train on, to validate with, and to check training losses with."""
        if self.validation_fraction is None:
            return np.arange(len(y)), None, None
        splitter = StratifiedGroupShuffleSplit(
            n_splits=1, test_size=self.validation_fraction, random_state=self._seed
        )
        train, valid = next(splitter.split(np.zeros(len(y)), y, groups))
        check = rng.permutation(train)[: len(valid)]
        return np.sort(train), np.sort(valid), np.sort(check)

    def _dataset(
        self, X: Views, targets: dict[str, np.ndarray], rng: Any = None
    ) -> SegmentDataset:
        return SegmentDataset(
            X, self._rates, self._segment_seconds, targets, self._dtype, rng
        )

    def _user_callbacks(self) -> list[Any]:
        # copies: a callback's state must not leak from one fit into the next
        return [copy.deepcopy(callback) for callback in self.callbacks or ()]

    def _new_net(
        self, device: str, criterion: dict[str, Any], callbacks: list[Any]
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
        )

    # -- predict --------------------------------------------------------------------
    def _branch_proba(self, X: Any) -> dict[str, np.ndarray]:
        """Probabilities (n_clips, n_classes) of every branch, mean over segments."""
        check_is_fitted(self)
        X = check_views(self, X, reset=False)
        _check_rates(self, X)
        data = self._dataset(X, {})
        rows, starts = data.even_segments(self.n_segments)
        logits = self.net_.logits(data, rows, starts)
        return {
            name: clip_means(Labels.probabilities(z), rows, len(data))
            for name, z in logits.items()
        }

    def predict_proba(self, X):
        """Predict class probabilities, averaged over ``n_segments`` even segments.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Views of the clips, as in `fit`.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes)
            Probabilities in the order of ``classes_``.
        """
        return next(iter(self._branch_proba(X).values()))

    def predict(self, X):
        """Predict the most probable class of every clip.

        Parameters
        ----------
        X : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Views of the clips, as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_clips,)
            Labels as seen in `fit`.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

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
        return tags


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
