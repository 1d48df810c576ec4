"""One training: split, sets to evaluate, callbacks, the best weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from skaudio._training._average import WeightAverage
from skaudio._training._callbacks import FromWeights, Records, Start, learning_rate
from skaudio._training._checkpoint import Checkpoint
from skaudio._training._checkpoint_file import read
from skaudio._training._datasets import (
    SegmentDataset,
    Source,
    TrainingSegments,
    n_batches_of,
)
from skaudio._training._divergence import diverged_in, is_finite, raise_or_warn
from skaudio._training._evaluation import Evaluation, FixedSegments
from skaudio._training._held_out import checked_rows, held_out
from skaudio._training._identity import identity_of
from skaudio._training._loss_weights import LossWeights
from skaudio._training._net import SegmentNet
from skaudio._training._nets import TrainingOptions, new_net
from skaudio._training._options._augmentation import Augmentation
from skaudio._training._options._validation import LAST
from skaudio._training._precision import is_mixed
from skaudio._training._spec import SegmentSpec
from skaudio._training._targets import Target
from skaudio._training._user_callbacks import checked_callbacks, extra_records
from skaudio._utils._container import Views
from skaudio.nn.devices import resolve_device

# Parameters that do not change what is learned
NOT_IDENTIFYING = (
    *("verbose", "device", "callbacks", "random_state", "compile", "n_segments"),
    # known as seconds, as clips, as weights to start from and as what was chosen
    *("segment_length", "validation_fraction", "weights", "mixed_precision"),
    "max_epochs",  # as what depends on it
)


@dataclass(frozen=True)
class Clips:
    """What a network learns from.

    Parameters
    ----------
    views : Views
        Views of the clips.
    targets : dict of str to ndarray
        Named arrays of the target, one row per clip.
    groups : array-like or None
        Source of every clip.
    source : callable
        From rows to what training segments are cut from, and what makes them the
        network's input.
    waveforms : sequence of ndarray or None, default=None
        What the views were computed from, if that was done here.
    """

    views: Views
    targets: dict[str, np.ndarray]
    groups: Any
    source: Callable[[np.ndarray], tuple[Source, Any]]
    waveforms: Sequence[np.ndarray] | None = None

    def identity(self) -> dict[str, Any]:
        """Everything that training depends on, by name."""
        found: dict[str, Any] = {"waveforms": self.waveforms}
        if self.waveforms is None:
            of_views = {name: self.views.clips(name) for name in self.views.names}
            found = {f"view {name!r}": clips for name, clips in of_views.items()}
        found |= {f"target {name!r}": array for name, array in self.targets.items()}
        if self.groups is not None:
            found["groups"] = np.unique(self.groups, return_inverse=True)[1]
        return found


@dataclass(frozen=True)
class Trained:
    """What a training ends with.

    Parameters
    ----------
    weights : dict of str to Tensor
        Weights that were kept, by name.
    history : list of dict
        One row per epoch.
    terms : tuple of str
        Terms of the loss.
    loss_weights : ndarray of shape (n_terms,)
        Weights of the terms at the model that was kept.
    records : list of dict
        One row per evaluation and term.
    spec : SegmentSpec
        That of the trainer, with what the network is computed in.
    """

    weights: dict[str, torch.Tensor]
    history: list[dict[str, float]]
    terms: tuple[str, ...]
    loss_weights: np.ndarray
    records: list[dict[str, Any]]
    spec: SegmentSpec


@dataclass(frozen=True)
class Trainer:
    """Trains a network on clips.

    Parameters
    ----------
    module : dict of str to Any
        skorch's module class and its parameters.
    spec : SegmentSpec
        Segments that the network sees.
    target : Target
        What it is trained to do.
    loss_weights : LossWeights
        How the terms of the loss are weighted.
    options : TrainingOptions
        Parameters of the estimator.
    augmentation : Augmentation
        Random changes of segments.
    start : Start or None, default=None
        Weights to start from.
    advice : str, default=""
        What makes training shorter, for the message about a long one.
    """

    module: dict[str, Any]
    spec: SegmentSpec
    target: Target
    loss_weights: LossWeights
    options: TrainingOptions
    augmentation: Augmentation
    start: Start | None = None
    advice: str = ""

    @torch.inference_mode(False)
    def train(
        self,
        clips: Clips,
        *,
        valid: SegmentDataset | None = None,
        test: SegmentDataset | None = None,
        checkpoint: Any = None,
        settings: dict[str, Any] | None = None,
    ) -> Trained:
        """Train a new network.

        Parameters
        ----------
        clips : Clips
            What to learn from.
        valid : SegmentDataset or None, default=None
            Clips to validate with, instead of some that are held out.
        test : SegmentDataset or None, default=None
            Clips to watch.
        checkpoint : path-like or None, default=None
            File for the state of training after every epoch.
        settings : dict or None, default=None
            Parameters that identify this training, next to the clips.

        Returns
        -------
        trained : Trained
            Weights and records.
        """
        self.options.optimizer._validate_params()
        self.options.validation_fraction._validate_params()
        device = resolve_device(self.options.device)
        mixed_precision = is_mixed(
            *(self.options.mixed_precision, device, self.spec.dtype),
            net=lambda: self._net(device, criterion=nn.Identity()).initialize(),
            data=self._set(clips, np.arange(1)),
            checkpoint=checkpoint,
        )
        spec = replace(self.spec, mixed_precision=mixed_precision)
        trainer = replace(self, spec=spec)
        return trainer._train(clips, valid, test, checkpoint, settings or {})

    def _train(
        self,
        clips: Clips,
        valid: SegmentDataset | None,
        test: SegmentDataset | None,
        checkpoint: Any,
        settings: dict[str, Any],
    ) -> Trained:
        train, sets = self._split(clips, valid, test)
        self.loss_weights.check("valid" in sets)
        source, training_input = clips.source(train)
        targets = {name: array[train] for name, array in clips.targets.items()}
        data = self._segments(source, targets)
        n_segments = self.options.validation_fraction.n_segments
        parts = {k: FixedSegments(s, self.target, n_segments) for k, s in sets.items()}
        average, evaluation, records, rate = self._callbacks(parts, len(data))
        callbacks = [*average, evaluation, records, rate]
        if self.start is not None:
            callbacks.insert(0, FromWeights(self.start))
        callbacks += checked_callbacks(self.options.callbacks)
        if checkpoint is not None:  # the last one, for the state of all others
            path, seed = Path(checkpoint), self.spec.seed
            needs = [rate.n_steps, evaluation.n_evaluations_needed]
            settings = {**settings, "max_epochs": needs}
            identity = self._identity(settings, clips, train, valid)
            parts_of = data, evaluation, records, [rate, *average]
            callbacks.append(Checkpoint(path, read(path), identity, seed, *parts_of))
        net = self._net(
            resolve_device(self.options.device),
            criterion=self.target.criterion(targets, self.spec.dtype),
            callbacks=callbacks,
            training_input=training_input,
        )
        try:
            net.fit(data)
        finally:
            records.close()
        self._check_finite(net, evaluation, records.epochs, clips)
        return _trained(net, evaluation, records, self.spec)

    def _net(self, device: str, **options: Any) -> SegmentNet:
        made = self.module, self.spec, self.target, self.options
        return new_net(*made, device=device, **options)

    def _segments(
        self, source: Source, targets: dict[str, np.ndarray]
    ) -> TrainingSegments:
        return TrainingSegments(
            source,
            targets,
            self.augmentation,
            self.target.mix,
            self.spec.seed,
            self.target.whole_batches,
        )

    def _split(
        self, clips: Clips, valid: SegmentDataset | None, test: SegmentDataset | None
    ) -> tuple[np.ndarray, dict[str, SegmentDataset]]:
        """Rows to train on, and the clips that are evaluated, by what they are for."""
        seed, sets = self.spec.seed, {}
        strata = self.target.strata(clips.targets, len(clips.views))
        if valid is None:
            validation = self.options.validation_fraction
            train, rows = held_out(strata, clips.groups, validation, seed)
            valid = None if rows is None else self._set(clips, rows)
        else:
            train = np.arange(len(strata))
        if valid is not None:
            if self.loss_weights.watches_training:
                of_valid = self.target.strata(valid.targets, len(valid))
                rows = checked_rows(strata, train, of_valid, seed)
                sets["train"] = self._set(clips, rows)
            sets["valid"] = valid
        return train, sets if test is None else {**sets, "test": test}

    def _set(self, clips: Clips, rows: np.ndarray) -> SegmentDataset:
        targets = {name: array[rows] for name, array in clips.targets.items()}
        return self.spec.dataset(clips.views[rows], targets)

    def _callbacks(
        self, parts: dict[str, FixedSegments], n_segments: int
    ) -> tuple[list[WeightAverage], Evaluation, Records, Any]:
        """What averages, evaluates, records, and sets the learning rate."""
        options = self.options
        whole = self.target.whole_batches
        n_batches = n_batches_of(n_segments, options.batch_size, whole)
        n_steps = n_batches * options.max_epochs
        n_evaluated = sum(len(parts[k]) for k in ("train", "valid") if k in parts)
        period = self.loss_weights.period(n_batches, n_evaluated, options.batch_size)
        rate = learning_rate(
            options.lr_schedule, n_steps, options.max_epochs, "valid" in parts
        )
        evaluation = Evaluation(
            *(parts, self.target, self.loss_weights, options.validation_fraction, rate),
            period=period,
            n_evaluations=n_steps // period,
        )
        horizon = options.optimizer.average_epochs * n_batches
        average = [WeightAverage(horizon)] if horizon else []
        # an array is a view without a name
        names = [name for name in self.spec.n_bins if name != "view"]
        records = Records(options.verbose, n_segments, self.advice, names)
        return average, evaluation, records, rate

    def _identity(
        self,
        settings: dict[str, Any],
        clips: Clips,
        train: np.ndarray,
        valid: SegmentDataset | None,
    ) -> dict[str, str]:
        """Everything that the result depends on, by name, each as a digest."""
        found = {name: identity_of(value) for name, value in settings.items()}
        found |= {name: identity_of(value) for name, value in asdict(self.spec).items()}
        found |= {name: identity_of(value) for name, value in clips.identity().items()}
        of_target = self.target.identity()
        found |= {name: identity_of(value) for name, value in of_target.items()}
        found["training clips"] = identity_of(train)
        if valid is not None:
            found["X_valid, y_valid"] = identity_of([valid.clips, valid.targets])
        how = self.options.validation_fraction.get_params()
        found["validation"] = identity_of(how | {"fraction": None})  # as clips
        if self.start is not None:
            found["weights to start from"] = identity_of(dict(self.start.weights))
            found["frozen layers"] = identity_of(list(self.start.frozen))
        return found

    def _check_finite(
        self,
        net: SegmentNet,
        evaluation: Evaluation,
        history: list[dict[str, Any]],
        clips: Clips,
    ) -> None:
        """Refuse a network that has diverged, or warn if a better one was kept."""
        epoch = diverged_in(history, "valid" in evaluation.parts)
        is_last = evaluation.validation.keep == LAST
        kept = 0 if is_last else evaluation.best_step
        if not is_finite(net.module_):
            epoch, kept = epoch or len(history), 0
        elif epoch is None and kept == 0:  # nobody looked at the end
            rows = np.arange(min(len(clips.views), self.options.batch_size))
            losses, _ = FixedSegments(self._set(clips, rows), self.target).evaluate(net)
            if not np.isfinite(list(losses.values())).all():
                epoch = len(history)
        if epoch is not None:
            raise_or_warn(epoch, self.options.lr, kept)


def _trained(
    net: SegmentNet, evaluation: Evaluation, records: Records, spec: SegmentSpec
) -> Trained:
    """What a net that was trained ends with."""
    history = [
        row | extra_records(theirs, (*row, "batches"))
        for row, theirs in zip(records.epochs, net.history, strict=True)
    ]
    return Trained(
        net.module_.state_dict(),
        history,
        evaluation.terms,
        evaluation.best_weights,
        evaluation.records,
        spec,
    )
