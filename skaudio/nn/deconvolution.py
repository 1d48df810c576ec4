"""Deconvolution of feature maps: from the activations of a layer back to the input.

The forward pass of one clip is recorded (`recorded`); then maps go back through it
(`Recording.maps`), many features at a time. Going back is differentiation, with one
change: a rectifier rectifies what comes back instead of letting it pass where the
forward pass was positive. Then convolutions are transposed, and pooling puts every
value where the maximum was.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from skaudio.nn import pooled_convolutions as pooled
from skaudio.nn import steps
from skaudio.nn.devices import by_batches, without_autocast
from skaudio.nn.steps import Call, Maps, Opaque, Step, tensors_in

STEPS = steps.STEPS | pooled.STEPS
MOST_MAPS = 16  # at once
MOST_VALUES = 2**22  # of all maps at once: 16 MB


class _Reached(Exception):
    """All layers have been computed: the rest of the forward pass is not needed."""


class Recording(TorchFunctionMode):
    """What one clip went through, from the inputs of a network to some of its layers.

    Parameters
    ----------
    inputs : dict of str to Tensor
        What the network was given, by name.
    bias : bool
        Whether convolutions and normalisations add what they have learned to add.
    """

    def __init__(self, inputs: dict[str, Tensor], bias: bool) -> None:
        super().__init__()
        self.inputs = inputs
        self.bias = bias
        self.outputs: dict[str, Any] = {}  # of layers
        self._steps: list[Step] = []
        self._maker: list[int] = []  # step that made each value; -1 for inputs
        self._values: dict[int, int] = {}  # number of the value that a tensor holds
        self._kept: list[Tensor] = []  # so that no other tensor has the same identity
        self._tops: dict[str, int | None] = {}  # values of layers
        self._modules: list[str] = []  # that are being computed, the innermost last
        self._number(list(inputs.values()), -1)

    # -- recording ------------------------------------------------------------------
    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Compute a function, and keep how to go back if it depends on the inputs."""
        kwargs = kwargs or {}
        inputs = [t for t in tensors_in((args, kwargs)) if id(t) in self._values]
        if not inputs:
            return function(*args, **kwargs)
        sources = [self._values[id(tensor)] for tensor in inputs]
        call = Call(function, args, kwargs, inputs, self.bias)
        step = STEPS.get(call.name, Opaque).of(call)
        if step.outputs:
            step.where = self._modules[-1] if self._modules else ""
            step.sources = sources
            step.targets = self._number(step.outputs, len(self._steps))
            self._steps.append(step)
            self._check_memory(step)
        return step.result

    def _number(self, tensors: list[Tensor], step: int) -> list[int]:
        """Give new numbers to values, which may be in tensors that held others."""
        numbers = range(len(self._maker), len(self._maker) + len(tensors))
        self._values |= zip(map(id, tensors), numbers, strict=True)
        self._maker += [step] * len(tensors)
        self._kept += tensors
        return list(numbers)

    def _check_memory(self, step: Step) -> None:
        """Give up on tensors of which a part has been changed."""
        changed = [t for t in step.outputs if any(t is x for x in step.inputs)]
        parts = [
            t for t in changed if t._base is not None and t.numel() < t._base.numel()
        ]
        for part in parts:
            step.refused = f"changes a part of a tensor in place ({step.name!r})"
            memory = part.untyped_storage().data_ptr()
            for tensor in self._kept:
                if tensor.untyped_storage().data_ptr() == memory:
                    self._values[id(tensor)] = step.targets[0]

    def watch(self, module: nn.Module, layers: Iterable[str]) -> None:
        """Note which modules compute what, and stop when all layers are computed."""
        wanted = set(layers)

        def enter(name: str) -> Any:
            return lambda _module, _inputs: self._modules.append(name)

        def leave(name: str) -> Any:
            def note(_module: Any, _inputs: Any, output: Any) -> None:
                self._modules.pop()
                if name in wanted and name not in self.outputs:
                    self.outputs[name] = output
                    self._tops[name] = self._values.get(id(output))
                    if len(self.outputs) == len(wanted):
                        raise _Reached

            return note

        for name, part in module.named_modules():
            part.register_forward_pre_hook(enter(name))
            part.register_forward_hook(leave(name))

    # -- going back -----------------------------------------------------------------
    def _way(self, layer: str) -> tuple[list[Step], set[int]]:
        """Steps from a layer down to the inputs, and numbers of all values between."""
        top = self._tops[layer]
        if top is None:
            kind = type(self.outputs[layer]).__name__
            raise TypeError(
                f"it gives a {kind} that does not come from the input alone"
            )
        values, way = {top}, []
        for step in reversed(self._steps[: self._maker[top] + 1]):
            if not values.isdisjoint(step.targets):
                way.append(step)
                values.update(step.sources)
        return way, values

    def check(self, layer: str) -> str:
        """Name of the input that a layer is made of, if maps can go back to it.

        Raises
        ------
        TypeError
            With the reason, as the end of a sentence, if they cannot.
        """
        way, values = self._way(layer)
        for step in way:
            if step.refused:
                raise TypeError(f"{step.where or 'the network'} {step.refused}")
        if self.outputs[layer].ndim < 3:
            raise TypeError("its output has no maps, only one number for a feature")
        names = [name for i, name in enumerate(self.inputs) if i in values]
        if len(names) != 1:
            raise TypeError(f"it is made of the inputs {names}, not of one of them")
        return names[0]

    def n_features(self, layer: str) -> int:
        """Number of feature maps of a layer."""
        return int(self.outputs[layer].shape[1])

    @torch.no_grad()
    def maps(self, layer: str, features: Sequence[int]) -> Tensor:
        """Maps (n_features, n_bins, n_frames) of some features of a layer.

        Features whose activations are zero everywhere have maps of zeros, which are not
        computed.
        """
        bottom = self.inputs[self.check(layer)]
        top = self.outputs[layer][0]
        chosen = torch.as_tensor(features, dtype=torch.long, device=top.device)
        is_alive = top[chosen].flatten(1).ne(0).any(1)
        maps = bottom.new_zeros(len(chosen), *bottom.shape[1:])
        if is_alive.any():
            largest = max((step.n_values for step in self._way(layer)[0]), default=0)
            parts = by_batches(
                lambda own: self._back(layer, own),
                chosen[is_alive],  # type: ignore[arg-type]
                batch_size=min(MOST_MAPS, max(1, MOST_VALUES // max(largest, 1))),
                device=str(top.device),
                what="feature maps",
            )
            maps[is_alive] = torch.cat(parts)
        return maps

    def _back(self, layer: str, own: Tensor) -> Tensor:
        """Maps of features that are alive."""
        output = self.outputs[layer]
        first = Maps(output[0, own], tuple(output.shape), own)
        coming = {self._tops[layer]: first}
        for step in self._way(layer)[0]:
            given = [coming.pop(number, None) for number in step.targets]
            for number, maps in zip(step.sources, step.back(given), strict=True):
                before = coming.get(number)
                coming[number] = maps if before is None else before + maps
        (maps,) = coming.values()
        return maps.dense()[:, 0]


def recorded(
    module: nn.Module,
    inputs: Any,
    layers: Sequence[str],
    *,
    bias: bool = True,
    stop: bool = True,
) -> Recording:
    """Run a network on one clip and record the way to some of its layers.

    Parameters
    ----------
    module : Module
        A network; it is left as it was.
    inputs : Tensor of shape (1, n_bins, n_frames), or dict of str to Tensor
        The clip, as the network takes it.
    layers : sequence of str
        Names as in ``named_modules()``.
    bias : bool, default=True
        Whether convolutions add their biases, and normalisations their shifts.
    stop : bool, default=True
        Stop when all layers have been computed; otherwise go on to the output, or as
        far as the network takes the clip.

    Returns
    -------
    recording : Recording
        Its ``outputs`` are those of the layers that were reached.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import SampleCNN
    >>> from skaudio.nn.deconvolution import recorded
    >>> clip = torch.linspace(-1, 1, 729)[None, None]
    >>> recording = recorded(SampleCNN(5, width=0.1), clip, ["blocks.2"])
    >>> recording.maps("blocks.2", [0, 3]).shape
    torch.Size([2, 1, 729])
    """
    tensors = [*module.parameters(), *module.buffers()]
    # hooks of its own, and the same weights
    network = copy.deepcopy(module, {id(t): t for t in tensors}).eval()
    named = inputs if isinstance(inputs, dict) else {"": inputs}
    recording = Recording(named, bias)
    recording.watch(network, [*layers] if stop else [*layers, "no such layer"])
    # layers above may need another length, and are not what is asked for
    ends = (_Reached,) if stop else (RuntimeError, ValueError, IndexError)
    device = next(iter(named.values())).device
    with without_autocast(device), torch.no_grad(), suppress(*ends), recording:
        network(inputs)
    return recording
