"""Max-pooling and convolutions, and how feature maps go back through both at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from skaudio.nn.steps import Call, Linear, Maps, Opaque, Step

MOST_CHANNELS = 4  # into a convolution that goes back together with pooling
MOST_WEIGHTS = 2**27  # of the matrices for that: half a gigabyte


class Pooling(Step):
    """Maximum over windows; the place of the first of equal values is its switch."""

    def __init__(
        self, call: Call, result: Tensor, indices: Tensor, given: dict[str, Any]
    ) -> None:
        super().__init__(call, result)
        self.indices = indices[0]  # (channels, windows...), flat over all other axes
        self.size = tuple(call.inputs[0].shape[2:])
        n = len(self.size)
        self.kernel = _each(given["kernel_size"], n)
        self.stride = _each(given["stride"] or given["kernel_size"], n)
        apart = all(s >= k for s, k in zip(self.stride, self.kernel, strict=True))
        plain = {*_each(given["padding"], n)} == {0}
        dense = {*_each(given["dilation"], n)} == {1}
        self.is_disjoint = apart and plain and dense

    @classmethod
    def of(cls, call: Call) -> Step:
        """Compute what is called."""
        given = call.bound(_max_pool)
        pool, n_axes = POOLINGS[call.name]
        if given["return_indices"] or len(given["input"]) != 1:
            return Opaque.of(call)
        if given["input"].ndim != n_axes:
            return Opaque.of(call)
        given |= {"return_indices": True, "stride": given["stride"] or None}
        result, indices = pool(**given)
        return cls(call, result, indices, given)

    def through(self, maps: Maps) -> Maps:
        """See `Step`."""
        maps = replace(maps.spread(), shape=tuple(self.inputs[0].shape), pooling=self)
        return maps if self.is_disjoint else maps.spread()

    @property
    def n_values(self) -> int:
        """See `Step`."""
        return 0 if self.is_disjoint else self.inputs[0].numel()

    @cached_property
    def offsets(self) -> Tensor:
        """Where in its window every maximum (channels, windows...) is, flat."""
        at = torch.unravel_index(self.indices, self.size)
        flat = torch.zeros_like(self.indices)
        for axis, (k, s) in enumerate(zip(self.kernel, self.stride, strict=True)):
            shape = [1] * (1 + len(self.size))
            shape[1 + axis] = n = self.indices.shape[1 + axis]
            first = s * torch.arange(n, device=flat.device).view(shape)
            flat = k * flat + at[axis] - first
        return flat

    @cached_property
    def masks(self) -> list[tuple[tuple[int, ...], Tensor]]:
        """Every place in a window, and where the maximum is there."""
        places = product(*map(range, self.kernel))
        dtype = self.inputs[0].dtype
        return [
            (place, (self.offsets == i).to(dtype)) for i, place in enumerate(places)
        ]

    def spread(self, values: Tensor, own: Tensor | None) -> Tensor:
        """Values (n_maps, channels, windows...), put where the maxima were.

        With ``own`` channels, one of each map, (n_maps, windows...).
        """
        indices = self.indices if own is None else self.indices[own]
        lead = values.shape[: values.ndim - len(self.size)]
        n = len(lead)
        if not self.is_disjoint:
            out = values.new_zeros(*lead, prod(self.size))
            at = indices.expand_as(values).flatten(n)
            return out.scatter_add_(-1, at, values.flatten(n)).unflatten(-1, self.size)
        out = self._empty(values, lead)
        for place, mask in self.masks:
            steps = zip(place, self.stride, strict=True)
            part = _part(out, [slice(first, None, step) for first, step in steps])
            n_there = map(min, part.shape[len(lead) :], mask.shape[1:])
            there = list(map(slice, n_there))
            mask = mask if own is None else mask[own]
            there_in = _part(values, there), _part(mask, there)
            torch.mul(*there_in, out=_part(part, there))
        return out

    def _empty(self, values: Tensor, lead: torch.Size) -> Tensor:
        """Room for spread values, with zeros where no window reaches."""
        options: dict[str, Any] = {}
        if len(lead) + len(self.size) == 4 and values.device.type == "cpu":
            options["memory_format"] = torch.channels_last
        out = torch.empty(
            (*lead, *self.size), dtype=values.dtype, device=values.device, **options
        )
        windows = values.shape[len(lead) :]
        for axis, (n, k, s) in enumerate(
            zip(windows, self.kernel, self.stride, strict=True), len(lead)
        ):
            end = n * s
            if k < s:  # gaps
                return out.zero_()
            if end < out.shape[axis]:
                out.narrow(axis, end, out.shape[axis] - end).zero_()
        return out


class Convolution(Step):
    """Convolution; on their way back maps are convolved with the transposed filters."""

    def __init__(self, call: Call, given: dict[str, Any]) -> None:
        super().__init__(call, call.function(**given))
        self.weight, self.groups = given["weight"], given["groups"]
        n = self.weight.ndim - 2
        self.kernel = tuple(self.weight.shape[2:])
        self.stride, self.padding = (
            _each(given["stride"], n),
            _each(given["padding"], n),
        )
        self.dilation = _each(given["dilation"], n)
        self._matrices: tuple[Pooling, Tensor] | None = None

    @classmethod
    def of(cls, call: Call) -> Step:
        """Compute what is called."""
        given = call.bound(_convolution)
        x, weight = given["input"], given["weight"]
        if len(call.inputs) != 1 or call.inputs[0] is not x:
            return Opaque.of(call)
        if not call.bias:
            given["bias"] = None
        call = replace(call, args=(), kwargs=given)
        if isinstance(given["padding"], str) or x.ndim != weight.ndim or len(x) != 1:
            return Linear.of(call)
        return cls(call, given)

    @property
    def n_values(self) -> int:
        """See `Step`."""
        if self.weight.shape[1] <= MOST_CHANNELS:
            return self.inputs[0].numel()
        return max(self.inputs[0].numel(), self.outputs[0].numel())

    def through(self, maps: Maps) -> Maps:
        """See `Step`."""
        shape = tuple(self.inputs[0].shape)
        if maps.own is not None:
            return Maps(self._of_own(maps.spread().values, maps.own), shape)
        if isinstance(maps.pooling, Pooling) and self._fits(maps.pooling):
            return Maps(self._of_windows(maps.values, maps.pooling), shape)
        return Maps(self._transposed(maps.full(), self.weight, self.groups), shape)

    def _transposed(self, values: Tensor, weight: Tensor, groups: int) -> Tensor:
        missing = [
            n - ((m - 1) * s - 2 * p + d * (k - 1) + 1)
            for n, m, s, p, d, k in zip(
                *(self.inputs[0].shape[2:], values.shape[2:]),
                *(self.stride, self.padding, self.dilation, self.kernel),
                strict=True,
            )
        ]
        transpose = F.conv_transpose2d if values.ndim == 4 else F.conv_transpose1d
        strides = self.stride, self.padding, missing, groups, self.dilation
        return transpose(_in_order(values), weight, None, *strides)

    def _of_own(self, values: Tensor, own: Tensor) -> Tensor:
        """Maps (n_maps, n_in, ...) of those (n_maps, ...) of one channel each."""
        weight = self.weight[own]
        margins = [
            d * (k - 1) - p
            for d, k, p in zip(self.dilation, self.kernel, self.padding, strict=True)
        ]
        is_wide = weight.shape[1] > MOST_CHANNELS and {*self.stride} == {1}
        if is_wide and min(margins) >= 0:
            found = self._product(values, weight, margins)
        else:
            found = self._transposed(values[None], weight, len(own))[0]
            found = found.unflatten(0, (len(own), -1))
        if self.groups == 1:
            return found
        full = found.new_zeros(len(own), self.groups, *found.shape[1:])
        rows = torch.arange(len(own), device=own.device)
        full[rows, own // (len(self.weight) // self.groups)] = found
        return full.flatten(1, 2)

    def _product(self, values: Tensor, weight: Tensor, margins: list[int]) -> Tensor:
        """As `_transposed`, of a single channel, as a product of matrices.

        On waveforms, convolution by groups takes several times as long.
        """
        one = [1] * (2 - len(margins))  # a waveform is a picture of one bin
        values = values.view(len(values), 1, *one, *values.shape[1:])
        taps = F.unfold(
            values,
            (*one, *self.kernel),
            (*one, *self.dilation),
            (*(0 for _ in one), *margins),
        )
        mirrored = weight.flip(*range(2, weight.ndim)).flatten(2)
        found = torch.bmm(taps.mT, mirrored.mT).mT  # channels next to each other
        return found.unflatten(2, self.inputs[0].shape[2:])

    # Spreading and convolution in one step. Of the values of a window only one is not
    # zero, and where it lies depends on the channel, but not on the feature. It reaches
    # what lies within window and kernel. So all features have the same matrix for a
    # window, from channels to what they reach, and most zeros are left out.
    def _fits(self, pooling: Pooling) -> bool:
        n_in = self.weight.shape[1]
        n_weights = pooling.indices.numel() * n_in * prod(self._reach(pooling))
        plain = {*self.stride, *self.dilation, self.groups} == {1}
        return plain and n_in <= MOST_CHANNELS and n_weights <= MOST_WEIGHTS

    def _reach(self, pooling: Pooling) -> tuple[int, ...]:
        both = zip(self.kernel, pooling.kernel, strict=True)
        return tuple(kernel + window - 1 for kernel, window in both)

    def _matrices_of(self, pooling: Pooling) -> Tensor:
        """Matrix (n_out, n_in * reach) of every window."""
        if self._matrices is None or self._matrices[0] is not pooling:
            n_out, n_in, *_ = self.weight.shape
            places = list(product(*map(range, pooling.kernel)))
            shape = len(places), n_out, n_in, *self._reach(pooling)
            table = self.weight.new_zeros(shape)  # of every place in a window
            for i, place in enumerate(places):
                inside = (
                    slice(p, p + k) for p, k in zip(place, self.kernel, strict=True)
                )
                table[(i, ..., *inside)] = self.weight
            channels = torch.arange(n_out, device=table.device)
            rows = pooling.offsets.flatten(1).T * n_out + channels
            self._matrices = pooling, table.flatten(2).flatten(0, 1)[rows]
        return self._matrices[1]

    def _of_windows(self, values: Tensor, pooling: Pooling) -> Tensor:
        """Maps (n_maps, n_in, ...) of values (n_maps, n_out, windows...)."""
        n_maps, n_out, *n_windows = values.shape
        by_window = values.movedim((0, 1), (-2, -1)).reshape(-1, n_maps, n_out)
        reached = torch.bmm(by_window, self._matrices_of(pooling)).permute(1, 2, 0)
        one = (1,) * (2 - len(n_windows))  # a waveform is a picture of one bin
        reach, stride = (*one, *self._reach(pooling)), (*one, *pooling.stride)
        sizes = zip((*one, *n_windows), stride, reach, strict=True)
        size = tuple((n - 1) * s + r for n, s, r in sizes)
        full = F.fold(reached.contiguous(), size, reach, stride=stride)
        full = full.reshape(n_maps, -1, *size[len(one) :])
        margins: list[int] = []  # of the last axis first
        for n, before, m in zip(
            self.inputs[0].shape[2:], self.padding, full.shape[2:], strict=True
        ):
            margins = [-before, n - (m - before), *margins]
        return F.pad(full, margins)


def _each(value: Any, n: int) -> tuple[int, ...]:
    """A number for each of ``n`` axes, of one number or as many."""
    values = tuple(value) if isinstance(value, Iterable) else (value,)
    return tuple(map(int, values * n if len(values) == 1 else values))


def _part(x: Tensor, slices: Sequence[slice]) -> Tensor:
    """A part along the last axes."""
    index: Any = (..., *slices)
    return x[index]


def _in_order(x: Tensor) -> Tensor:
    """Channels next to each other, where convolution is faster so."""
    if x.ndim == 4 and x.device.type == "cpu":
        return x.contiguous(memory_format=torch.channels_last)
    return x


# ------------------------------------------------ signatures, as torch's functions have
def _max_pool(  # type: ignore[no-untyped-def]
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    pass


def _convolution(  # type: ignore[no-untyped-def]
    input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1
):
    pass


POOLINGS = {"max_pool1d": (F.max_pool1d, 3), "max_pool2d": (F.max_pool2d, 4)}
STEPS: dict[str, type[Step]] = {
    **dict.fromkeys(POOLINGS, Pooling),
    **dict.fromkeys(("conv1d", "conv2d"), Convolution),
}
