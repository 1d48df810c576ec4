"""MobileNet: depthwise-separable convolutions on a picture of the sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from skaudio.nn.blocks import Dropout, OneBranch, rectifier
from skaudio.nn.layers import scaled

N_FIRST = 32  # filters of the first convolution, at width 1
# filters and stride of every separable convolution (MobileNets, Table 1)
SEPARABLE = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    *((1024, 2), (1024, 1)),
)
N_COLOURS = 3  # channels of the pictures that published weights were trained on


class ConvNorm(nn.Module):
    """Convolution without bias, batch normalisation and a rectifier.

    Parameters
    ----------
    n_in, n_out : int
        Channels in and out.
    size : int, default=3
        Height and width of the filters.
    stride : int, default=1
        Bands and frames from one output to the next.
    groups : int, default=1
        Groups of channels; `n_in` filters every channel on its own.
    norm_eps : float, default=1e-5
        Added to the variance in batch normalisation.
    negative_slope : float or None, default=None
        None clips outputs to the range from 0 to 6; a number lets so much of negative
        ones through, and has no upper limit.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import ConvNorm
    >>> ConvNorm(3, 8, stride=2)(torch.zeros(2, 3, 64, 100)).shape
    torch.Size([2, 8, 32, 50])
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        size: int = 3,
        stride: int = 1,
        groups: int = 1,
        norm_eps: float = 1e-5,
        negative_slope: float | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            n_in, n_out, size, stride, size // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(n_out, eps=norm_eps)
        self.relu = nn.ReLU6() if negative_slope is None else rectifier(negative_slope)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (clips, n_in, bands, frames) to (clips, n_out, bands, frames)."""
        return self.relu(self.norm(self.conv(x)))


class MobileNet(nn.Module):
    """MobileNet v1 on a log-mel picture, with the head of SwishNet's teacher.

    The picture is copied to three channels, as published weights want it. The mean over
    what the convolutions make of it goes to a small hidden layer and the output.

    Parameters
    ----------
    n_outputs : int
        Number of classes (logits).
    width : float, default=0.25
        Factor on all numbers of filters (32 to 1024): MobileNet's alpha.
    head_hidden : int, default=16
        Hidden units between the mean and the output; 0 has none.
    dropout : float, default=0.1
        Probability of dropping an input of the head.
    norm_eps : float, default=1e-5
        Added to the variance in batch normalisation; 1e-3 in Keras.
    negative_slope : float or None, default=None
        See `ConvNorm`; 0.1 in some published weights.

    Attributes
    ----------
    hidden_layers : tuple of str
        Names of layers whose outputs are features, as in ``named_modules()``.
    stages : tuple of tuple of str
        Names of all modules with parameters, from bottom to top.
    config : dict
        Arguments of the constructor, as plain values: they make an equal network.

    References
    ----------
    A. G. Howard et al., "MobileNets: Efficient convolutional neural networks for mobile
    vision applications", arXiv:1704.04861, 2017, Table 1. Hussain and Haque,
    "SwishNet", arXiv:1812.00149, 2018, Figure 2, for the head.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import MobileNet
    >>> net = MobileNet(3)
    >>> sum(p.numel() for p in net.parameters())
    217235
    >>> net(torch.zeros(2, 64, 200)).shape
    torch.Size([2, 3])
    """

    output_layers = ("output",)

    def __init__(
        self,
        n_outputs: int,
        *,
        width: float = 0.25,
        head_hidden: int = 16,
        dropout: float = 0.1,
        norm_eps: float = 1e-5,
        negative_slope: float | None = None,
    ) -> None:
        super().__init__()
        self.config = {
            "n_outputs": int(n_outputs),
            "width": float(width),
            "head_hidden": int(head_hidden),
            "dropout": float(dropout),
            "norm_eps": float(norm_eps),
            "negative_slope": negative_slope,
        }
        options: Any = {"norm_eps": norm_eps, "negative_slope": negative_slope}
        n_in = scaled(N_FIRST, width)
        blocks = [ConvNorm(N_COLOURS, n_in, stride=2, **options)]
        for n_filters, stride in SEPARABLE:
            n_out = scaled(n_filters, width)
            blocks += [
                ConvNorm(n_in, n_in, stride=stride, groups=n_in, **options),
                ConvNorm(n_in, n_out, size=1, **options),
            ]
            n_in = n_out
        self.blocks = nn.Sequential(*blocks)
        self.dropout = Dropout(dropout)
        # layers to take features from: the first convolution, then the mixtures
        names = tuple(f"blocks.{i}" for i in range(0, len(blocks), 2))
        self.hidden_layers: tuple[str, ...] = names
        pairs = tuple(
            (f"blocks.{i}", f"blocks.{i + 1}") for i in range(1, len(blocks), 2)
        )
        self.stages: tuple[tuple[str, ...], ...] = (("blocks.0",), *pairs)
        self.head: nn.Module = nn.Identity()
        if head_hidden:
            self.head = nn.Sequential(nn.Linear(n_in, head_hidden), nn.ReLU())
            self.hidden_layers = (*names, "head")
            self.stages = (*self.stages, ("head",))
        self.output = nn.Linear(head_hidden or n_in, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (clips, n_outputs) of segments (clips, bands, frames)."""
        pictures = x[:, None].expand(-1, N_COLOURS, -1, -1)
        maps = self.blocks(pictures.contiguous(memory_format=torch.channels_last))
        return self.output(self.head(self.dropout(maps.mean((2, 3)))))


class MobileNetOnView(OneBranch):
    """A `MobileNet` on one view, whatever its number of bins.

    Parameters
    ----------
    views : mapping of str to (int, float or None)
        Number of bins and steps per second of the only view.
    n_outputs : int
        Number of classes.
    **options : dict
        Those of `MobileNet`.
    """

    def __init__(
        self,
        views: Mapping[str, tuple[int, float | None]],
        n_outputs: int,
        **options: Any,
    ) -> None:
        super().__init__(views, n_outputs, lambda _, n: MobileNet(n, **options))
