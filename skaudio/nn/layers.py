"""Layers of networks: their names and their outputs."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def layer_names(
    module: nn.Module, layers: Sequence[int | str], parameter: str = "layers"
) -> list[str]:
    """Names of the layers that are meant by numbers or names.

    Parameters
    ----------
    module : Module
        A network with ``hidden_layers``, the names of its main layers from the bottom
        to the top.
    layers : sequence of int or str
        Numbers are places among ``hidden_layers``: 0 is the lowest, -1 the highest.
        Names are those of ``named_modules()``.
    parameter : str, default="layers"
        What the layers were given as, for messages.

    Returns
    -------
    names : list of str
        One per layer, in the same order.

    Raises
    ------
    ValueError
        If there are none, or the network does not have one of them.

    Examples
    --------
    >>> from skaudio.nn import SampleCNN
    >>> from skaudio.nn.layers import layer_names
    >>> layer_names(SampleCNN(5, width=0.1), (0, -1, "output"))
    ['blocks.0', 'blocks.10', 'output']
    """
    if not len(layers):
        raise ValueError(f"{parameter}={layers!r} names no layer. The top is (-1,).")
    return [_name_of(module, layer, parameter) for layer in layers]


def _name_of(module: Any, layer: Any, parameter: str) -> str:
    known: tuple[str, ...] = module.hidden_layers
    if isinstance(layer, str):
        if layer not in dict(module.named_modules()):
            raise ValueError(
                f"{parameter} has {layer!r}, which the network has not. Its hidden "
                f"layers are {list(known)}."
            )
        return layer
    try:
        place = operator.index(layer)
    except TypeError as error:
        raise TypeError(
            f"A layer must be a number or a name; got {layer!r}."
        ) from error
    if not -len(known) <= place < len(known):
        raise ValueError(
            f"{parameter} has {place}, but there are {len(known)} hidden layers: -1 is "
            f"the last one, {-len(known)} the first. They are {list(known)}."
        )
    return known[place]


def scaled(size: int, width: float) -> int:
    """Return a layer size times ``width``, at least 2."""
    return max(2, round(size * width))


def layer_outputs(
    module: nn.Module, layers: Sequence[str], *x: Any
) -> dict[str, Tensor]:
    """Run ``module`` on ``x`` and return the outputs of the named layers.

    Parameters
    ----------
    module : torch.nn.Module
        Any network of this package.
    layers : sequence of str
        Names as in ``module.named_modules()``; ``""`` is the module itself.
    *x : tensor or dict of str to tensor
        Input of the module, and what else its ``forward`` takes.

    Returns
    -------
    outputs : dict of str to tensor
        One entry per layer.

    Raises
    ------
    ValueError
        If a layer does not exist; the message lists those that do.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import ClassificationHead, layer_outputs
    >>> head = ClassificationHead(8, 4, 2)
    >>> layer_outputs(head, ["fc2"], torch.zeros(3, 8))["fc2"].shape
    torch.Size([3, 4])
    """
    known = dict(module.named_modules())
    unknown = [name for name in layers if name not in known]
    if unknown:
        raise ValueError(
            f"No layer {unknown[0]!r} in {type(module).__name__}; "
            f"it has {[name for name in known if name]}."
        )
    outputs: dict[str, list[Tensor]] = {name: [] for name in layers}
    ours = threading.get_ident()

    def keep(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Tensor) -> None:
            if threading.get_ident() == ours:  # others may run the same network
                outputs[name].append(output)

        return hook

    hooks = [known[name].register_forward_hook(keep(name)) for name in outputs]
    try:
        module(*x)
    finally:
        for hook in hooks:
            hook.remove()
    # a network may have taken its input in parts; recurrent layers give two things
    return {
        name: parts[0] if len(parts) == 1 else torch.cat(parts)
        for name, parts in outputs.items()
    }


def copy_of_state(module: nn.Module) -> dict[str, Tensor]:
    """Weights of a module by name, apart from it."""
    return {k: v.detach().clone() for k, v in module.state_dict().items()}


def _state(parts: list[nn.Module]) -> list[Any]:
    """What changes whenever a module, of which these are all parts, does.

    Names are not asked for: this is called for every prediction of a single clip.
    """
    state: list[Any] = [id(child) for part in parts for child in part._modules.values()]
    for part in parts:
        for tensor in (*part._parameters.values(), *part._buffers.values()):
            if tensor is not None:
                # torch counts the changes in place of every tensor
                place = tensor.data_ptr(), tensor.dtype, tensor._version
                state.append((id(tensor), *place))
    return state


class OfWeights:
    """What a function makes of a network, made anew only when its weights have changed.

    Parameters
    ----------
    function : callable
        Takes a module.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn.layers import OfWeights
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> total = OfWeights(lambda module: float(module.weight.detach().sum()))
    >>> before = total(layer)
    >>> _ = torch.nn.init.ones_(layer.weight)
    >>> total(layer)
    2.0
    """

    def __init__(self, function: Callable[[nn.Module], Any]) -> None:
        self.function = function
        # parts, their state, the result; and tensors, so that no new one has their id
        self._made: tuple[list[nn.Module], Any, Any, Any] | None = None

    def __call__(self, module: nn.Module) -> Any:
        """Return what there is for the present weights of ``module``."""
        made = self._made  # another thread may replace it
        if made is None or made[0][0] is not module or made[1] != _state(made[0]):
            parts = list(module.modules())
            tensors = [*module.parameters(), *module.buffers()]
            made = self._made = parts, _state(parts), self.function(module), tensors
        return made[2]

    def __getstate__(self) -> dict[str, Any]:
        return {"function": self.function, "_made": None}
