"""The private skorch net: dictionaries of inputs, outputs, targets and losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from skorch import NeuralNet
from torch import Tensor, nn

from skaudio._training._average import WeightAverage
from skaudio._training._identity import identity_of
from skaudio._training._user_callbacks import is_raised_by_code
from skaudio.nn.blocks import seed_dropout
from skaudio.nn.devices import (
    by_batches,
    moved,
    without_autocast,
    without_default_device,
    without_spinning,
)
from skaudio.nn.folding import folded
from skaudio.nn.initialisation import seeded_initialisation
from skaudio.nn.layers import OfWeights, layer_outputs
from skaudio.nn.losses import SAMPLE_WEIGHT, blend
from skaudio.nn.weighted_norm import weighted_normalisation

POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "max": lambda x: x.amax(-1),
    "mean": lambda x: x.mean(-1),
}

Tensors = dict[str, Tensor]
# a network and its inputs to named results, one row per segment
Compute = Callable[[Any, Tensors], Tensors]


class Segments(Protocol):
    """What batches of segments come from, see `SegmentDataset`."""

    def batch(self, rows: np.ndarray, starts: np.ndarray) -> tuple[Tensors, Tensors]:
        """Views of segments, and the targets of their clips."""

    def targets_of(self, rows: np.ndarray) -> Tensors:
        """Targets of clips."""


class SegmentNet(NeuralNet):
    """A skorch net whose inputs, outputs, targets and losses are dictionaries.

    It keeps the weights of the loss's terms, adds up a training loss without waiting
    for the device, and evaluates segments; all data handling is the dataset's.

    Parameters
    ----------
    seed : int
        Of the initialisation and of dropout.
    dtype : str
        Type of the weights.
    mixed_precision : bool, default=False
        Whether to compute in bfloat16.
    compiled : bool, default=False
        Whether ``torch.compile`` translates the module for training.
    training_input : callable or None, default=None
        From a training batch on the device to the views that the network sees.
    target_inputs : tuple of str, default=()
        Targets that the network sees as well.
    """

    def __init__(
        self,
        *args: Any,
        seed: int,
        dtype: str,
        mixed_precision: bool = False,
        compiled: bool = False,
        training_input: Any = None,
        target_inputs: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        self.dtype = dtype
        self.mixed_precision = mixed_precision
        self.compiled = compiled
        self.training_input = training_input
        self.target_inputs = target_inputs
        self.is_finished = False  # set by what ends training early
        self.average: WeightAverage | None = None  # sets itself
        self.for_inference = OfWeights(_for_inference)
        self.digest = OfWeights(_digest)
        super().__init__(*args, **kwargs)

    @property
    def _default_callbacks(self) -> list[Any]:
        return []  # history, schedule and evaluation are ours

    def initialize_module(self) -> SegmentNet:
        """Build the module from the seed, in the dtype of X, before the optimizer."""
        with torch.inference_mode(False), seeded_initialisation(self.seed):
            super().initialize_module()
            # channels last: convolutions with few channels are a third faster on a CPU
            layout = getattr(self.module_, "memory_format", torch.channels_last)
            self.module_: Any = self.module_.to(
                dtype=getattr(torch, self.dtype), memory_format=layout
            )
        self.frozen: Sequence[nn.Module] = ()  # modules that training leaves alone
        return self

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kw: Any) -> None:
        """Give dropout a private generator, and compile: only training needs both."""
        seed_dropout(self.module_, self.seed, self.device)
        # skorch would take what is assigned in the usual way for one more module
        forward = torch.compile(self.module_) if self.compiled else self.module_
        self.__dict__["_forward"] = forward

    def as_evaluated(self) -> AbstractContextManager[None]:
        """Lend the module the weights that are evaluated: averaged ones, if there are.

        Training goes on from its own.
        """
        return nullcontext() if self.average is None else self.average.applied(self)

    def set_loss_weights(self, terms: tuple[str, ...], weights: np.ndarray) -> None:
        """Put weights of the loss's terms on the device, for the next steps."""
        dtype = getattr(torch, self.dtype)
        self.terms = terms
        self.loss_weights = torch.as_tensor(weights, dtype=dtype, device=self.device)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """One step but for the optimiser: inputs, outputs, loss and its gradients."""
        self._set_modes()
        segments, targets = batch
        targets = moved(targets, self.device)
        inputs = self.training_input(segments.to(self.device))
        inputs |= {name: targets[name] for name in self.target_inputs}
        with weighted_normalisation(targets.get(SAMPLE_WEIGHT)):
            outputs = self._outputs(self._forward, inputs)
        losses = self.criterion_(outputs, targets, inputs)
        loss = blend(in_order(losses, self.terms), self.loss_weights)
        loss.backward()
        return {"loss": loss, "y_pred": outputs}

    def _set_modes(self) -> None:
        """Train all that is not frozen; setting modes takes as long as a small step."""
        frozen, trained = self._modes
        if any(m.training for m in frozen) or not all(m.training for m in trained):
            self.module_.train()
            for module in self.frozen:
                module.eval()

    def _outputs(self, forward: Any, inputs: Tensors) -> Tensors:
        if not self.mixed_precision:
            outputs: Tensors = forward(inputs)
            return outputs
        kind = torch.device(self.device).type
        # torch empties its cache of rounded weights with the outermost context only,
        # and training is one: every step would see the weights of the first
        with torch.autocast(kind, dtype=torch.bfloat16, cache_enabled=False):
            narrow = forward(inputs)
        dtype = getattr(torch, self.dtype)
        return {name: output.to(dtype) for name, output in narrow.items()}

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **kw: Any) -> Any:
        """skorch's training, which Ctrl-C ends with an exception."""
        with (
            torch.enable_grad(),
            without_autocast(self.device),
            without_default_device(),
            without_spinning(self.device),
        ):
            self.notify("on_train_begin", X=X, y=y)
            self.fit_loop(X, y)
            self.notify("on_train_end", X=X, y=y)
        return self

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call all callbacks; one that raises KeyboardInterrupt asks to end training.

        That is how skorch's ``EarlyStopping`` does it.
        """
        getattr(self, method_name)(self, **cb_kwargs)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except KeyboardInterrupt as request:
                if not is_raised_by_code(request):
                    raise
                self.is_finished = True

    def fit_loop(self, X: Any, y: Any = None, epochs: Any = None, **kw: Any) -> Any:
        """Train for the epochs that are left, unless a callback ends it before."""
        while len(self.history) < self.max_epochs and not self.is_finished:
            frozen = [part for module in self.frozen for part in module.modules()]
            trained = [m for m in self.module_.modules() if m not in frozen]
            self.__dict__["_modes"] = frozen, trained
            super().fit_loop(X, y, epochs=1, **kw)
        return self

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **params: Any
    ) -> None:
        """skorch's epoch without a device synchronisation in every step."""
        if iterator is None:
            return
        total, n_clips = 0.0, 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **params)
            size = len(batch[0])
            total = total + step["loss"].detach() * size
            n_clips += size
            self.notify("on_batch_end", batch=batch, training=training, **step)
            if self.is_finished:
                break
        self.history.record(f"{prefix}_loss", float(total) / n_clips)

    def evaluate(
        self, data: Segments, rows: np.ndarray, starts: np.ndarray, *, batchwise: bool
    ) -> tuple[Tensors, dict[str, float]]:
        """Outputs (segments, ...) in eval mode, and the mean of every loss term.

        ``batchwise`` takes the losses batch by batch, for a criterion that compares
        outputs with inputs or clips with each other; otherwise of all at once.
        """
        parts = self._infer(self._outputs, data, rows, starts, with_losses=batchwise)
        outputs = joined([outputs for outputs, _, _ in parts])
        if batchwise:
            sizes = np.array([size for _, _, size in parts])
            losses = joined(
                [{k: v[None] for k, v in part.items()} for _, part, _ in parts]
            )
            means = {
                name: float(values.cpu().numpy() @ sizes / sizes.sum())
                for name, values in losses.items()
            }
            return outputs, means
        targets = moved(data.targets_of(rows), self.device)
        with torch.inference_mode(), without_autocast(self.device):
            losses = in_order(self.criterion_(outputs, targets, {}), self.terms)
            return outputs, {name: float(value) for name, value in losses.items()}

    def outputs(
        self,
        data: Segments,
        rows: np.ndarray,
        starts: np.ndarray,
        names: Sequence[str] | None = None,
        advance: Callable[[int], Any] | None = None,
    ) -> Tensors:
        """Outputs (segments, ...) of the network by name, in eval mode; None: all.

        ``advance`` is told how many segments are done.
        """

        def compute(network: Any, inputs: Tensors) -> Tensors:
            outputs = self._outputs(network, inputs)
            if names is not None:
                outputs = {name: outputs[name] for name in names}
            if advance is not None:
                advance(len(next(iter(outputs.values()))))
            return outputs

        parts = self._infer(compute, data, rows, starts)
        return joined([outputs for outputs, _, _ in parts])

    def computed(
        self, rows: np.ndarray, part: str, method: str = "forward"
    ) -> np.ndarray:
        """What a method of a part of the network makes of rows, in eval mode."""
        with torch.inference_mode(), without_autocast(self.device):
            network = self.for_inference(self.module_).get_submodule(part)

            def compute(batch: np.ndarray) -> Tensor:
                x = torch.from_numpy(batch).to(self.device)
                result: Tensor = getattr(network, method)(x)
                return result.cpu()

            parts: list[Tensor] = by_batches(
                compute,
                np.asarray(rows, dtype=self.dtype),  # type: ignore[arg-type]
                batch_size=self.batch_size,
                device=str(self.device),
                what="rows",
            )
            return torch.cat(parts).numpy()

    def frames(self, clip: np.ndarray, window: int) -> Tensor:
        """Output (1, n_outputs, frames) for every frame of a clip (bins, frames)."""
        x = torch.from_numpy(np.array(clip, dtype=self.dtype))[None].to(self.device)
        with (
            torch.inference_mode(),
            without_autocast(self.device),
            without_spinning(self.device),
        ):
            output: Tensor = self.for_inference(self.module_).network.frames(x, window)
            return output

    def features(
        self,
        data: Segments,
        rows: np.ndarray,
        starts: np.ndarray,
        layers: list[str],
        pooling: str,
    ) -> np.ndarray:
        """Outputs (segments, features) of hidden layers, side by side."""
        pool = POOLINGS[pooling]

        def compute(module: Any, inputs: Tensors) -> Tensors:
            outputs = layer_outputs(module, layers, inputs)
            # (segments, filters, [bins,] steps), or without steps
            return {
                name: (pool(x) if x.ndim > 2 else x).flatten(1)
                for name, x in outputs.items()
            }

        # hooks are put into the network: other threads must not share it
        own = folded(self.module_)
        parts = self._infer(compute, data, rows, starts, module=own)
        outputs = joined([outputs for outputs, _, _ in parts])
        return torch.cat([outputs[name] for name in layers], dim=1).cpu().numpy()

    def _infer(
        self,
        compute: Compute,
        data: Segments,
        rows: np.ndarray,
        starts: np.ndarray,
        with_losses: bool = False,
        module: nn.Module | None = None,
    ) -> list[tuple[Tensors, Tensors, int]]:
        """Results of ``compute(network, inputs)``, losses and size of every batch."""
        with torch.inference_mode():
            network = module or self.for_inference(self.module_)

            def of_batch(places: Any) -> tuple[Tensors, Tensors, int]:
                X, y = data.batch(rows[places], starts[places])
                targets = moved(y, self.device)
                inputs = moved(X, self.device)
                # a prediction has no targets
                inputs |= {k: targets[k] for k in self.target_inputs if k in targets}
                results, losses = compute(network, inputs), {}
                if with_losses:
                    losses = self.criterion_(results, targets, inputs)
                    losses = in_order(losses, self.terms)
                return results, losses, len(places)

            return by_batches(
                of_batch,
                np.arange(len(rows)),  # type: ignore[arg-type]
                batch_size=self.batch_size,
                device=str(self.device),
                what="segments",
            )


def _for_inference(module: nn.Module) -> nn.Module:
    with torch.inference_mode():
        return folded(module)


def _digest(module: nn.Module) -> str:
    return identity_of(module.state_dict())


def in_order(losses: Tensors, terms: tuple[str, ...]) -> Tensors:
    """Losses in the order of their weights."""
    if losses.keys() != set(terms):
        raise TypeError(
            f"The criterion gives the terms {list(losses)}, but its target names "
            f"{list(terms)}."
        )
    return {term: losses[term] for term in terms}


def joined(parts: list[Tensors]) -> Tensors:
    """Concatenate the tensors of every name."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
