"""Batch normalisation whose statistics are those of weighted clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def weighted_normalisation(weights: Tensor | None) -> AbstractContextManager[Any]:
    """Weigh clips in all batch normalisation of the networks that train in the block.

    A clip of weight two counts as two equal clips would. Networks stay as they are.

    Parameters
    ----------
    weights : Tensor of shape (n_clips,) or None
        Weights of the clips of the batch; None: all are alike.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn.weighted_norm import weighted_normalisation
    >>> norm, x = torch.nn.BatchNorm1d(1), torch.tensor([[0.0], [3.0]])
    >>> with weighted_normalisation(torch.tensor([2.0, 1.0])):
    ...     y = norm(x)
    >>> norm.running_mean * 10  # a tenth of the way from 0 to the mean of 0, 0 and 3
    tensor([1.])
    """
    return nullcontext() if weights is None else _Weighted(weights)


class _Weighted(TorchFunctionMode):
    """Replaces batch normalisation in training."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is F.batch_norm:
            return self._batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            statistics = running_mean, running_var
            return F.batch_norm(x, *statistics, weight, bias, False, momentum, eps)
        narrow, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))
        axes = [0, *range(2, x.ndim)]
        shape = [-1, *[1] * (x.ndim - 1)]
        clips = self.weights.to(x.dtype).repeat_interleave(len(x) // len(self.weights))
        n_per_clip = x[0, 0].numel()
        shares = (clips / (clips.sum() * n_per_clip)).reshape(shape)
        mean = (shares * x).sum(axes, keepdim=True)
        centred = x - mean
        var = (shares * centred.square()).sum(axes, keepdim=True)
        if running_mean is not None and running_var is not None:
            # small weights are shares, not counts of clips
            n_values = torch.maximum(clips.sum(), (clips > 0).sum()) * n_per_clip
            correction = n_values / (n_values - 1).clamp(min=1)
            with torch.no_grad():
                running_mean.lerp_(mean.flatten(), momentum)
                running_var.lerp_(var.flatten() * correction, momentum)
        y = centred * (var + eps).rsqrt()
        channels = [1, -1, *[1] * (x.ndim - 2)]
        if weight is not None:
            y = y * weight.reshape(channels)
        if bias is not None:
            y = y + bias.reshape(channels)
        return y.to(narrow)
