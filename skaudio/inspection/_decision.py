"""What a classifier decides by: outputs of its network, and their gradients."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from skaudio.nn.devices import without_autocast

Tensors = dict[str, Tensor]


class Decision:
    """The score of a class, as a function of what goes into a network.

    It is the output before softmax or sigmoid, the mean over segments; of several
    branches that decide together, the mean by their weights.

    Parameters
    ----------
    model : Model
        With a fitted classifier.
    """

    def __init__(self, model: Any) -> None:
        estimator = model.estimator
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                "saliency is about decisions between classes or tags; "
                f"{type(estimator).__name__} makes none."
            )
        self.estimator = estimator
        self.target = estimator._target
        self.batch_size = int(estimator.batch_size)
        module = model.module
        # the same weights, without what is hooked in
        kept = {id(t): t for t in (*module.parameters(), *module.buffers())}
        self.network = copy.deepcopy(module, kept).eval()
        weights = getattr(estimator, "branch_weights_", None)
        if weights is None:
            self.weights = {str(module.decision): 1.0}
        else:
            shares = weights / weights.sum()
            self.weights = dict(zip(estimator.branch_names_, shares, strict=True))

    # -- classes --------------------------------------------------------------------
    def column_of(self, target: Any) -> int | None:
        """Number of a class by its label; None is still to be decided."""
        if target is None:
            return None
        classes = self.estimator.classes_.tolist()
        if target not in classes:
            raise ValueError(
                f"target must be one of the classes {classes}; got {target!r}."
            )
        return int(classes.index(target))

    def decided(self, outputs: Sequence[Tensors]) -> int:
        """The class that is predicted, of the outputs of a clip's segments."""
        proba = sum(
            share
            * np.concatenate([self.target.activate(part[name]) for part in outputs])
            for name, share in self.weights.items()
        )
        return int(np.argmax(np.mean(proba, axis=0)))

    def score(self, outputs: Tensors, column: int) -> Tensor:
        """Sum of a class's score over segments."""
        return torch.stack(
            [
                share * outputs[name][:, column].sum()
                for name, share in self.weights.items()
            ]
        ).sum()

    # -- runs -----------------------------------------------------------------------
    @contextmanager
    def differentiable(self) -> Iterator[None]:
        """Gradients, whatever the caller has switched off."""
        device = next(iter(self.network.parameters())).device
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(without_autocast(device))
            # recurrent layers of cuDNN have no gradient in eval mode
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            yield

    def tensors(self, arrays: Mapping[str, Tensor]) -> Tensors:
        """Inputs of the network, to be differentiated by."""
        like = next(p for p in self.network.parameters() if p.is_floating_point())
        return {
            name: array.detach().clone().to(like).requires_grad_()
            for name, array in arrays.items()
        }

    def run(self, inputs: Tensors, layers: Sequence[str] = ()) -> tuple[Tensors, Any]:
        """Outputs of the network by name, and of its layers, as parts of a batch.

        Of layers in the order in which they are computed.
        """
        parts: dict[str, list[Tensor]] = {}
        known = dict(self.network.named_modules())

        def keep(name: str) -> Any:
            def hook(_module: Any, _inputs: Any, output: Any) -> None:
                if isinstance(output, Tensor):
                    parts.setdefault(name, []).append(output)

            return hook

        hooks = [known[name].register_forward_hook(keep(name)) for name in layers]
        try:
            outputs: Tensors = self.network(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return outputs, parts


# --------------------------------------------------------------- layers and their views
def convolutions(network: nn.Module) -> list[str]:
    """Names of layers with maps: blocks of convolutions, or these by themselves."""
    known = dict(network.named_modules())
    others = nn.RNNBase, nn.Linear
    blocks = [
        name
        for name in getattr(network, "hidden_layers", ())
        if _has(known[name], _ConvNd) and not _has(known[name], others)
    ]
    return blocks or [name for name, part in known.items() if isinstance(part, _ConvNd)]


def _has(part: nn.Module, kind: Any) -> bool:
    return any(isinstance(inner, kind) for inner in part.modules())


def layers_by_view(
    decision: Decision, inputs: Tensors, names: Sequence[str] | None
) -> dict[str, str]:
    """A layer with maps for every view that has one, by name of the view.

    None are the highest layers of every view; those asked for must each be of one.
    """
    asked = convolutions(decision.network) if names is None else list(names)
    _, parts = decision.run(inputs, asked)
    found: dict[str, str] = {}
    for name, outputs in parts.items():
        views = _views_of(outputs[0], inputs)
        if len(views) == 1 and outputs[0].ndim in (3, 4):
            found[views[0]] = name
        elif names is not None:
            shape = tuple(outputs[0].shape)
            raise TypeError(
                f"layer={name!r} has no maps over one view: its output has the shape "
                f"{shape} and is made of the views {views}. Layers with maps are "
                f"{convolutions(decision.network)}."
            )
    missing = [] if names is None else [name for name in names if name not in parts]
    if missing:
        raise TypeError(f"layer={missing[0]!r} computes no tensor of its own.")
    if not found:
        raise TypeError(
            f"{type(decision.estimator).__name__} has no convolutional layer, so that "
            "there are no maps to weight. Take method='gradient'."
        )
    return found


def _views_of(output: Tensor, inputs: Tensors) -> list[str]:
    """Names of the inputs that a tensor depends on."""
    if not output.requires_grad:
        return []
    gradients = torch.autograd.grad(
        output.sum(), list(inputs.values()), retain_graph=True, allow_unused=True
    )
    pairs = zip(inputs, gradients, strict=True)
    return [name for name, gradient in pairs if gradient is not None]
