"""`SegmentEstimator`: the base of all estimators that train a network on segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from torch import Tensor

from skaudio._audio._load import progress
from skaudio._segments import clip_means
from skaudio._training._callbacks import Start
from skaudio._training._checkpoint_file import read
from skaudio._training._datasets import SegmentDataset, Source
from skaudio._training._fitted_network import FittedNetwork
from skaudio._training._front_ends import (
    OwnViews,
    Sound,
    TrainingInput,
    WaveformDataset,
)
from skaudio._training._loss_weights import LossWeights, UniformWeights
from skaudio._training._nets import TrainingOptions, inference_net
from skaudio._training._options._augmentation import Augmentation
from skaudio._training._parameters import ObjectParameters, object_of
from skaudio._training._spec import SegmentSpec
from skaudio._training._state import check_network
from skaudio._training._targets import NoTarget, Target
from skaudio._training._trainer import (
    NOT_IDENTIFYING,
    Clips,
    Trained,
    Trainer,
)
from skaudio._training._user_callbacks import copies_of
from skaudio._utils._container import Views
from skaudio._utils._random import draw_seed
from skaudio._utils._sklearn import _safe_indexing
from skaudio._utils._validation import check_sample_weight, check_views
from skaudio.nn.devices import available_device, resolve_device
from skaudio.nn.losses import SAMPLE_WEIGHT
from skaudio.preprocessing._view_scaler import ViewScaler

# parameters that a fitted estimator does without
OF_TRAINING_ONLY = ("callbacks", "class_weight", "random_state", "verbose")

# from views of checked clips to a target and its arrays, one row per clip
Encode = Callable[[Views], tuple[Target, dict[str, np.ndarray]]]
# from a target and views of further clips to their arrays
EncodeTest = Callable[[Any, Views], dict[str, np.ndarray]]


class SegmentEstimator(ObjectParameters, BaseEstimator):
    """Trains a network on segments of clips, and runs it on even segments of others.

    It checks X, cuts segments and keeps the trained network, but depends neither on
    labels nor on the meaning of outputs: a subclass passes a target to `_fit`. It
    defines its network in `_module` and, where the defaults do not fit, overrides
    `_loss_weights`, `_objective`, `_segment_length`, `_source`, `_cover` and
    `_check_input`.
    """

    _standardises = True  # whether views that are computed here are standardised
    # rows and starts of segments whose features are averaged; a number of None: all
    _cover: Any = staticmethod(SegmentDataset.even_segments)
    _target_kinds: ClassVar[tuple[type[Target], ...]] = (NoTarget,)

    # -- hooks for subclasses -------------------------------------------------------
    def _module(self) -> dict[str, Any]:
        """skorch's module class and those of its parameters that are not shared.

        The module gets ``views``, {name: (bins, rate)}, and the sizes that follow from
        the target. It maps inputs by name to outputs by name.
        """
        raise NotImplementedError

    def _loss_weights(self) -> LossWeights:
        """How the terms of the loss are weighted."""
        return UniformWeights()

    def _segment_length(self, views: Views) -> int | float | None:
        """Segment length: steps, seconds, or None for the median clip."""
        length: int | float | None = self.segment_length
        return length

    @property
    def _source(self) -> Any:
        """What computes the views, a `ViewSource`, if this estimator does it itself."""
        return self.views

    def _check_input(self, X: Views) -> None:
        """Refuse views that the network cannot take."""

    def _objective(self, target: Target) -> Target:
        """What is trained for, if the network has more to learn than the target."""
        return target

    def _start(self, network: FittedNetwork | None) -> Start | None:
        """Weights to start from; None are random ones."""
        return None if network is None else network.start(self._target)

    # -- fit ------------------------------------------------------------------------
    def _fit(
        self,
        X: Any,
        encode: Encode,
        *,
        groups: Any = None,
        sample_weight: Any = None,
        valid: tuple[Any, EncodeTest] | None = None,
        test: tuple[Any, EncodeTest] | None = None,
        checkpoint: Any = None,
        network: FittedNetwork | None = None,
    ) -> Trained:
        """Train a network on clips; see `SegmentClassifier.fit`.

        Parameters
        ----------
        X : as in `fit`
            Clips.
        encode : callable
            Makes the target and its arrays, one row per clip, of the views of X.
        groups : array-like or None
            Source of each clip.
        sample_weight : array-like or None
            Weight of each clip in the loss; clips without weight are left out.
        valid : tuple or None
            Clips to validate with, and a callable that makes the arrays of their
            target, of the target and their views; None holds out some of X.
        test : tuple or None
            Clips to watch, likewise.
        checkpoint : path-like or None
            File for the state of training.
        network : FittedNetwork or None
            What to start from, instead of random weights.
        """
        self._trained = self._snapshot()
        augmentation = self._trained._value("augmentation")
        augmentation._check(on_waveforms=self._source is not None)
        views, sound = self._read(X, True, network, sample_weight)
        self._check_input(views)
        self._target, targets = encode(views)
        self._target.check_views(views.names)
        check_consistent_length(views, groups)
        if sample_weight is not None:
            targets |= {SAMPLE_WEIGHT: check_sample_weight(views, sample_weight)}
            clips = views, sound, targets, groups
            views, sound, targets, groups = _with_weight(*clips)
        seed = self._draw_seed(checkpoint)
        if network is None:
            self._spec = SegmentSpec.of(views, self._segment_length(views), seed)
        else:
            self._spec = network.spec(self, views, seed)
        trainer = Trainer(
            self._trained._module(),
            self._spec,
            self._objective(self._target),
            self._loss_weights(),
            TrainingOptions.of(self),
            augmentation,
            self._start(network),
            self._advice(),
        )
        source = partial(self._training_source, views, sound, augmentation)
        waveforms = None if sound is None else sound.waveforms
        trained = trainer.train(
            Clips(views, targets, groups, source, waveforms),
            valid=None if valid is None else self._further_set("X_valid", *valid),
            test=None if test is None else self._further_set("X_test", *test),
            checkpoint=checkpoint,
            settings=self._settings(),
        )
        self._spec, self.history_ = trained.spec, trained.history
        self.net_ = self._inference_net(trained.weights)
        return trained

    def _advice(self) -> str:
        """What makes a long training shorter, by the parameters that there are."""
        unit = "steps" if set(self._spec.rates.values()) == {1.0} else "s"
        now = {
            "width": getattr(self, "width", None),
            "segment_length": f"{self._spec.seconds:.3g} {unit}",
            "max_epochs": self.max_epochs,
        }
        lower = [f"{k} (it is {v})" for k, v in now.items() if hasattr(self, k)]
        is_slow = resolve_device(self.device) == "cpu"
        gpu = "; or train on a GPU" if is_slow else ""
        return f" To make it shorter, lower {', '.join(lower)}{gpu}."

    def _further_set(self, name: str, X: Any, encode: EncodeTest) -> SegmentDataset:
        """Clips to evaluate during training, with their targets."""
        try:
            views, _ = self._read(X, reset=False)
            self._spec.check(self, views)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        return self._spec.dataset(views, encode(self._target, views))

    def _draw_seed(self, checkpoint: Any) -> int:
        """Seed of this training, or of the one that is to go on."""
        saved = None if checkpoint is None else read(Path(checkpoint))
        if saved is not None and not isinstance(self.random_state, Integral):
            return int(saved["seed"])
        return draw_seed(self.random_state)

    def _settings(self) -> dict[str, Any]:
        """Parameters that identify this training, next to the clips."""
        settings = {
            name: object_of(name, value) or value
            for name, value in self.get_params(deep=False).items()
            if name not in NOT_IDENTIFYING
        }
        return settings | {"class": type(self).__name__}

    def _snapshot(self) -> Self:
        """A copy with the parameters that say what the network is and what it takes.

        It is what a fitted estimator goes by: parameters that are set, and views that
        are changed, after ``fit`` wait for the next one.
        """
        parameters = self.get_params(deep=False)
        return type(self)(
            **{
                name: clone(value, safe=False)
                for name, value in parameters.items()
                if name not in OF_TRAINING_ONLY
            }
        )

    def __sklearn_clone__(self) -> Self:
        """A clone with copies of the callbacks, whose attributes are no parameters."""
        new = type(self)(
            **{
                name: copies_of(value)
                if name == "callbacks"
                else clone(value, safe=False)
                for name, value in self.get_params(deep=False).items()
            }
        )
        if hasattr(self, "_metadata_request"):
            new._metadata_request = deepcopy(self._metadata_request)
        return new

    def _as_trained(self) -> Self:
        """A clone with the parameters of the last fit."""
        known = self._trained.get_params(deep=False)
        given = {k: v for k, v in known.items() if k not in OF_TRAINING_ONLY}
        return clone(self).set_params(
            **{k: clone(v, safe=False) for k, v in given.items()}
        )

    def _read(
        self,
        X: Any,
        reset: bool,
        network: FittedNetwork | None = None,
        sample_weight: Any = None,
    ) -> tuple[Views, Sound | None]:
        """Views to work on, and their sound if they are computed here."""
        own = self._own_views(resolve_device if reset else available_device)
        if own is None:
            return check_views(self, X, reset=reset), None
        computed, sound = own.read(self, X, reset=reset)
        if reset and self._standardises:
            known = None if network is None else network.scaler
            self.scaler_ = known or ViewScaler().fit(
                computed, sample_weight=sample_weight
            )
        return self._standardised(computed), sound

    def _own_views(self, device: Callable[[str], str]) -> OwnViews | None:
        """What computes views of sound, if this estimator does it itself."""
        source = self._trained._source
        return None if source is None else OwnViews(source, device(self.device))

    def _standardised(self, views: Views) -> Views:
        return self.scaler_.transform(views) if self._standardises else views

    def _training_source(
        self,
        views: Views,
        sound: Sound | None,
        augmentation: Augmentation,
        rows: np.ndarray,
    ) -> tuple[Source, TrainingInput]:
        """Where segments are cut from, and what turns them into the network's input."""
        source = self._spec.dataset(views[rows])
        if sound is None:
            return source, TrainingInput(None, augmentation)
        own = OwnViews(self._trained._source, resolve_device(self.device))
        scaler = self.scaler_ if self._standardises else None
        front_ends, geometry = own.front_ends(scaler, source.n_steps, self._spec.dtype)
        return (
            WaveformDataset(sound[rows], source, geometry),
            TrainingInput(front_ends, augmentation),
        )

    # -- outputs --------------------------------------------------------------------
    def _datasets(self, X: Any) -> Iterator[SegmentDataset]:
        """Checked clips to cut segments from; of sound, a bounded number at a time."""
        check_is_fitted(self)
        own = self._own_views(available_device)
        if own is None:
            return map(self._dataset, [check_views(self, X, reset=False)])
        parts = map(self._complete, own.parts(self, X))
        return map(self._dataset, map(self._standardised, parts))

    def _complete(self, part: tuple[Views, Any]) -> Views:
        """Views of some clips, refused by row of X if one of these has none."""
        for failed in getattr(self, "errors_", []):
            raise ValueError(
                f"Clip {failed['row']} of X could not be loaded, so that there is "
                f"nothing to predict from: {failed['error']} Leave it out; errors_ "
                "has all that failed so far."
            )
        return part[0]

    def _dataset(self, views: Views) -> SegmentDataset:
        self._spec.check(self, views)
        return self._spec.dataset(views)

    def _outputs(
        self,
        X: Any,
        activate: Callable[[Tensor], np.ndarray],
        names: Sequence[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Outputs (n_clips, ...) of the network by name, mean over even segments.

        ``activate`` turns the outputs of segments into what is averaged. ``names`` are
        those of the outputs, None: all.
        """
        # views that are computed here have a bar of their own
        verbose = self.verbose if self._trained._source is None else 0

        def of(data: SegmentDataset) -> dict[str, np.ndarray]:
            rows, starts = data.even_segments(self.n_segments)
            with progress(len(rows), verbose, "Predicting", "segment", 1) as advance:
                outputs = self.net_.outputs(data, rows, starts, names, advance)
            return {
                name: clip_means(activate(output), rows, len(data))
                for name, output in outputs.items()
            }

        parts = list(map(of, self._datasets(X)))
        outputs = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
        for name, output in outputs.items():
            check_finite(output, name)
        return outputs

    def _features(
        self, X: Any, layers: list[str], pooling: str, n_segments: int | None
    ) -> np.ndarray:
        """Outputs (n_clips, n_features) of hidden layers, mean over even segments."""

        def of(data: SegmentDataset) -> np.ndarray:
            rows, starts = self._cover(data, n_segments)
            values = self.net_.features(data, rows, starts, layers, pooling)
            return clip_means(values, rows, len(data))

        features = np.concatenate(list(map(of, self._datasets(X))))
        check_finite(features, layers)
        return features

    def _frame_features(
        self, X: Any, layers: list[str], pooling: str, hop: float | None
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """For every clip (n_features, n_segments), and the segments' times in seconds.

        Segments lie ``hop`` seconds apart, None: side by side.
        """
        features, all_times = [], []
        for data in self._datasets(X):
            rows, starts, times = data.segments_every(hop or self._spec.seconds)
            values = self.net_.features(data, rows, starts, layers, pooling)
            ends = np.cumsum([len(of_clip) for of_clip in times])
            features += [part.T for part in np.split(values, ends[:-1])]
            all_times += times
        for clip, values in enumerate(features):
            check_finite(values[None], layers, first=clip)
        return features, all_times

    def _n_features(self, layers: list[str]) -> int:
        """Count the features of hidden layers, by a segment of zeros."""
        spec = self._spec
        zeros = {
            name: np.zeros((1, spec.n_bins[name], n_steps))
            for name, n_steps in spec.n_steps.items()
        }
        data = spec.dataset(Views(zeros, dict(spec.rates)))
        rows = np.zeros(1, dtype=np.intp)
        return self.net_.features(data, rows, np.zeros(1), layers, "max").shape[1]

    # -- state ----------------------------------------------------------------------
    def _inference_net(self, weights: Any) -> Any:
        """A net with the given weights and nothing left of training."""
        options = replace(TrainingOptions.of(self._trained), device=self.device)
        module = self._trained._module()
        return inference_net(module, self._spec, self._target, options, weights)

    def __getstate__(self) -> dict[str, Any]:
        """Arrays and plain values: loads on any machine and contains no code."""
        state = dict(super().__getstate__())
        if "net_" in state:
            weights = state.pop("net_").module_.state_dict()
            state["_weights"] = {k: v.cpu().numpy() for k, v in weights.items()}
            state["_spec"] = self._spec.state()
            kind = type(self._target).__name__
            state["_target"] = {"kind": kind, "state": self._target.state()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the network at once, so that predicting changes nothing."""
        state = dict(state)
        weights = state.pop("_weights", None)
        if weights is not None:
            state["_spec"] = SegmentSpec(**state["_spec"])
            state["_target"] = self._known_target(**state["_target"])
        super().__setstate__(state)
        if weights is not None:
            # copies: the arrays may be read-only, as those of memory maps are
            self.net_ = self._inference_net(
                {name: np.array(array) for name, array in weights.items()}
            )

    @classmethod
    def _check_state(cls, state: dict[str, Any]) -> int:
        """Bytes of the network that a state describes; refuse one that cannot be."""
        return check_network(cls, state) if "_weights" in state else 0

    def _known_target(self, kind: str, state: dict[str, Any]) -> Target:
        known = {cls.__name__: cls for cls in self._target_kinds}
        if kind not in known:
            raise ValueError(
                f"{type(self).__name__} supports the targets {sorted(known)}, but was "
                f"saved with {kind!r}. Was it saved by another version of skaudio?"
            )
        return known[kind].from_state(state)

    def __sklearn_tags__(self) -> Any:
        """Views have three dimensions."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = self._source is not None
        return tags


def _with_weight(
    views: Views, sound: Any, targets: Any, groups: Any
) -> tuple[Views, Any, Any, Any]:
    """Only those clips that have weight."""
    rows = np.flatnonzero(targets[SAMPLE_WEIGHT])
    return (
        views[rows],
        None if sound is None else sound[rows],
        {name: array[rows] for name, array in targets.items()},
        None if groups is None else _safe_indexing(groups, rows),
    )


def check_finite(values: np.ndarray, what: Any, first: int = 0) -> None:
    """Refuse outputs of clips, of which ``first`` is the number of the first one."""
    finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"Output {what!r} of the network is not a finite number for clip "
            f"{first + int(np.argmin(finite))} and {np.count_nonzero(~finite) - 1} "
            "others. Are its values of the size of those in fit? If so, the network is "
            "broken: train it again."
        )
