"""Functions of a forward pass, and how feature maps go back through them.

Every step is linear, a rectifier or a maximum. Maps go back through linear steps as
gradients do, through maxima to where they were, and through a rectifier by being
rectified themselves. Convolutions and pooling are in `pooled_convolutions`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Spreads(Protocol):
    """What knows where the maxima of windows were."""

    def spread(self, values: Tensor, own: Tensor | None) -> Tensor:
        """Values of windows, put where the maxima were, with zeros around."""


@dataclass(frozen=True)
class Maps:
    """Feature maps on their way back: what has come to one tensor of a network.

    Most of a map is zero just below the top, where each has one channel, and below
    pooling, where one of the values of a window is not: then only the rest is held.

    Parameters
    ----------
    values : Tensor
        (n_maps, channels, ...), without the axis of clips, of which there is one. With
        `own`, (n_maps, ...).
    shape : tuple of int
        Shape of the tensor that maps have come to, (1, channels, ...).
    own : Tensor of shape (n_maps,) or None
        The only channel of each map that is not zero.
    pooling : Spreads or None
        What values of windows are put in place by.
    """

    values: Tensor
    shape: tuple[int, ...]
    own: Tensor | None = None
    pooling: Spreads | None = None

    def spread(self) -> Maps:
        """The same maps with a value for every place."""
        if self.pooling is None:
            return self
        values = self.pooling.spread(self.values, self.own)
        return replace(self, values=values, pooling=None)

    def full(self) -> Tensor:
        """All values (n_maps, channels, ...)."""
        values = self.spread().values
        if self.own is None:
            return values
        full = values.new_zeros(len(values), *self.shape[1:])
        full[torch.arange(len(values), device=full.device), self.own] = values
        return full

    def dense(self) -> Tensor:
        """All values (n_maps, *shape)."""
        return self.full().reshape(-1, *self.shape)

    @classmethod
    def of_dense(cls, values: Tensor) -> Maps:
        """Maps of all values (n_maps, *shape)."""
        shape = tuple(values.shape[1:])
        one_clip = shape[:1] == (1,)
        return cls(values.flatten(0, 1) if one_clip else values, shape)

    def __add__(self, other: Maps) -> Maps:
        return Maps.of_dense(self.dense() + other.dense())


@dataclass(frozen=True)
class Call:
    """A call of a function in the forward pass.

    Parameters
    ----------
    function : callable
        One of torch.
    args, kwargs : tuple, dict
        Its arguments.
    inputs : list of Tensor
        Those among them that depend on the input of the network.
    bias : bool
        Whether convolutions and normalisations add what they have learned to add.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: list[Tensor]
    bias: bool

    @property
    def name(self) -> str:
        """Name of the function, which its spellings in torch have in common."""
        return getattr(self.function, "__name__", str(self.function))

    def __call__(self) -> Any:
        """What it gives."""
        return self.function(*self.args, **self.kwargs)

    def of_others(self, tensors: Sequence[Tensor]) -> Any:
        """What it would give with other tensors in place of its inputs."""
        new = {id(old): new for old, new in zip(self.inputs, tensors, strict=True)}
        args, kwargs = _replaced((self.args, self.kwargs), new)
        return self.function(*args, **kwargs)

    def bound(self, signature: Callable[..., Any]) -> dict[str, Any]:
        """Arguments by name, those left out with their defaults."""
        bound = inspect.signature(signature).bind(*self.args, **self.kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)


class Step:
    """One function of a forward pass.

    Parameters
    ----------
    call : Call
        What was called.
    result : object
        What it gave.

    Attributes
    ----------
    inputs, outputs : list of Tensor
        Tensors in arguments and results that depend on the input of the network.
    sources, targets : list of int
        Numbers of their values, which a recording gives.
    name : str
        Name of the function.
    where : str
        Name of the module that called the function.
    refused : str
        Why maps cannot go back, if so.
    """

    sources: list[int]
    targets: list[int]
    where = ""
    refused = ""

    def __init__(self, call: Call, result: Any) -> None:
        self.name = call.name
        self.inputs, self.result = call.inputs, result
        self.outputs = tensors_in(result)

    @classmethod
    def of(cls, call: Call) -> Step:
        """Compute what is called."""
        return cls(call, call())

    @property
    def n_values(self) -> int:
        """How many numbers of one map there are at once; 0 where no more than held."""
        return 0

    def back(self, given: list[Maps | None]) -> list[Maps]:
        """Maps that come to each input, of those that have come to the outputs."""
        (maps,) = given
        assert maps is not None
        return [self.through(maps)]

    def through(self, maps: Maps) -> Maps:
        """Maps that come to the only input, of those of the only output."""
        raise NotImplementedError


class Opaque(Step):
    """A function that maps cannot go back through."""

    def __init__(self, call: Call, result: Any, reason: str = "") -> None:
        super().__init__(call, result)
        self.refused = reason or f"computes {call.name.strip('_')!r}"
        if call.name == "__setitem__":
            self.outputs = [call.args[0]]


class Same(Step):
    """A copy in another type or order of memory."""

    @classmethod
    def of(cls, call: Call) -> Step:
        """Compute what is called."""
        if call.name == "dropout" and call.bound(_dropout)["training"]:
            return Opaque.of(call)
        return cls(call, call())

    def through(self, maps: Maps) -> Maps:
        """See `Step`."""
        return maps


class Linear(Step):
    """Any linear function, such as a change of shape: maps go back as gradients."""

    def __init__(self, call: Call, result: Any) -> None:
        super().__init__(call, result)
        self.call = call

    @classmethod
    def of(cls, call: Call) -> Step:
        """Compute what is called."""
        is_product = call.name in PRODUCTS and len(call.inputs) > 1
        is_inverse = call.name in QUOTIENTS and call.args[0] is not call.inputs[0]
        if is_product or is_inverse or "out" in call.kwargs:
            return Opaque.of(call)
        return cls(call, call())

    @property
    def n_values(self) -> int:
        """See `Step`."""
        return max(tensor.numel() for tensor in (*self.inputs, *self.outputs))

    def back(self, given: list[Maps | None]) -> list[Maps]:
        """See `Step`."""
        n_maps = next(len(maps.values) for maps in given if maps is not None)
        gradients = tuple(
            output.new_zeros(1).expand(n_maps, *output.shape)
            if maps is None
            else maps.dense()
            for maps, output in zip(given, self.outputs, strict=True)
        )

        def outputs(*inputs: Tensor) -> tuple[Tensor, ...]:
            return tuple(tensors_in(self.call.of_others(inputs)))

        pullback = torch.func.vjp(outputs, *self.inputs)[1]
        return [Maps.of_dense(values) for values in torch.vmap(pullback)(gradients)]


class Rectifier(Step):
    """Maps are rectified on their way back as values are on their way up."""

    def __init__(self, call: Call, result: Any, slope: float) -> None:
        super().__init__(call, result)
        self.slope = slope  # of what is negative

    @classmethod
    def of(cls, call: Call) -> Step:
        """Compute what is called."""
        given = call.bound(RECTIFIERS[call.name])
        slope = given.get("negative_slope", 0.0)
        if given.get("min_val", 0.0) != 0.0 or not 0 <= slope < 1:
            return Opaque.of(call)
        return cls(call, call(), slope)

    def through(self, maps: Maps) -> Maps:
        """See `Step`."""
        return replace(maps, values=rectified(maps.values, self.slope))


def rectified(x: Tensor, slope: float) -> Tensor:
    """Positive numbers, and ``slope`` times the negative ones."""
    return F.leaky_relu(x, slope) if slope else x.clamp(min=0)


class Normalisation(Step):
    """Batch normalisation by running statistics: a factor for every channel."""

    def __init__(self, call: Call, result: Any, scale: Tensor) -> None:
        super().__init__(call, result)
        self.scale = scale

    @classmethod
    def of(cls, call: Call) -> Step:
        """Compute what is called."""
        given = call.bound(_batch_norm)
        if given["training"] or given["running_var"] is None:
            return Opaque(call, call(), "normalises by statistics of the clip itself")
        if not call.bias:
            given["running_mean"] = torch.zeros_like(given["running_mean"])
            given["bias"] = None
        call = replace(call, args=(), kwargs=given)
        if len(given["input"]) != 1:
            return Linear.of(call)
        scale = (given["running_var"] + given["eps"]).rsqrt()
        if given["weight"] is not None:
            scale = scale * given["weight"]
        return cls(call, call(), scale)

    def through(self, maps: Maps) -> Maps:
        """See `Step`."""
        scale = self.scale if maps.own is None else self.scale[maps.own]
        n_after = maps.values.ndim - (2 if maps.own is None else 1)
        return replace(maps, values=maps.values * scale.view(-1, *(1,) * n_after))


class Larger(Step):
    """The larger of two, or the first of equal ones."""

    def __init__(self, call: Call, result: Any) -> None:
        super().__init__(call, result)
        first, second = call.inputs
        self.is_first = first >= second

    @classmethod
    def of(cls, call: Call) -> Step:
        """Compute what is called."""
        if len(call.inputs) != 2 or call.inputs[0].shape != call.inputs[1].shape:
            return Opaque.of(call)
        return cls(call, call())

    @property
    def n_values(self) -> int:
        """See `Step`."""
        return self.inputs[0].numel()

    def back(self, given: list[Maps | None]) -> list[Maps]:
        """See `Step`."""
        (maps,) = given
        assert maps is not None
        both = maps.dense()
        to_first = both * self.is_first
        return [Maps.of_dense(to_first), Maps.of_dense(both - to_first)]


def tensors_in(values: Any) -> list[Tensor]:
    """Tensors in arguments or results of a function, in order."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = list(values.values())
    if not isinstance(values, (list, tuple)):
        return []
    return [tensor for value in values for tensor in tensors_in(value)]


def _replaced(values: Any, new: dict[int, Tensor]) -> Any:
    """Arguments with other tensors, by the identity of those that they replace."""
    if isinstance(values, Tensor):
        return new.get(id(values), values)
    if isinstance(values, dict):
        return {name: _replaced(value, new) for name, value in values.items()}
    if type(values) in (list, tuple):
        return type(values)(_replaced(value, new) for value in values)
    return values


# ------------------------------------------------ signatures, as torch's functions have
def _dropout(input, p=0.5, training=True, inplace=False):  # type: ignore[no-untyped-def]
    pass


def _relu(input, inplace=False):  # type: ignore[no-untyped-def]
    pass


def _leaky_relu(input, negative_slope=0.01, inplace=False):  # type: ignore[no-untyped-def]
    pass


def _hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):  # type: ignore[no-untyped-def]
    pass


def _relu6(input, inplace=False, *, max_val=6.0):  # type: ignore[no-untyped-def]
    pass


def _batch_norm(  # type: ignore[no-untyped-def]
    input,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    training=False,
    momentum=0.1,
    eps=1e-5,
):
    pass


RECTIFIERS: dict[str, Callable[..., Any]] = {
    "relu": _relu,
    "relu_": _relu,
    "leaky_relu": _leaky_relu,
    "leaky_relu_": _leaky_relu,
    "hardtanh": _hardtanh,
    "hardtanh_": _hardtanh,
    "relu6": _relu6,
}
PRODUCTS = ("mul", "multiply")  # linear in one of the factors
QUOTIENTS = ("div", "divide", "true_divide")
LINEAR = """
__getitem__ view reshape unsqueeze squeeze expand expand_as permute transpose swapaxes
movedim flatten unflatten narrow select unfold pad cat concat concatenate stack chunk
split unbind flip roll repeat tile sum mean avg_pool1d avg_pool2d adaptive_avg_pool1d
adaptive_avg_pool2d neg add sub subtract rsub mul multiply div divide true_divide
"""
STEPS: dict[str, type[Step]] = {
    **dict.fromkeys(LINEAR.split(), Linear),
    **dict.fromkeys(("contiguous", "clone", "dropout", "detach"), Same),
    **dict.fromkeys(RECTIFIERS, Rectifier),
    "batch_norm": Normalisation,
    "maximum": Larger,
}
