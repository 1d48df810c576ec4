"""SwishNet: a small causal network on cepstral coefficients, with gated activations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skaudio.nn.blocks import Dropout, is_exporting
from skaudio.nn.layers import scaled

FACTORS = (3, 2, 2, 2, 2)  # strides, or dilations, of the blocks 4 to 8
N_PAIRS = 3  # blocks of two convolutions side by side
SHORT, LONG = 3, 6  # lengths of the two kernels in frames


class GatedConv1d(nn.Module):
    """Convolution over time with a gate: ``tanh(a) * sigmoid(b)``.

    The convolution has two times `n_out` filters: the first half makes ``a``, the
    second ``b``. Zeros around the clip keep the length.

    Parameters
    ----------
    n_in, n_out : int
        Channels in and out.
    size : int, default=3
        Frames that a filter sees.
    separable : bool, default=False
        Whether a filter over time for every channel, without bias, and a mixture of
        channels take the place of the convolution.
    causal : bool, default=True
        Whether no filter sees a later frame; otherwise it is centred.

    References
    ----------
    Hussain and Haque, "SwishNet: A Fast Convolutional Neural Network for Speech, Music
    and Noise Classification and Segmentation", arXiv:1812.00149, 2018, Section III.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import GatedConv1d
    >>> GatedConv1d(20, 8)(torch.zeros(2, 20, 50), stride=3).shape
    torch.Size([2, 8, 17])
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        size: int = SHORT,
        *,
        separable: bool = False,
        causal: bool = True,
    ) -> None:
        super().__init__()
        self.size = size
        self.before = size - 1 if causal else size // 2  # frames that a filter sees
        self.depthwise = (
            nn.Conv1d(n_in, n_in, size, groups=n_in, bias=False) if separable else None
        )
        self.filters = nn.Conv1d(n_in, 2 * n_out, 1 if separable else size)

    def forward(self, x: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
        """Gated channels (clips, n_out, steps) of ``x`` (clips, n_in, frames).

        Steps are ``stride`` frames apart, and the last one is at the last frame.
        """
        n_frames = x.shape[-1]
        before = self.before * dilation - (n_frames - 1) % stride
        after = (self.size - 1 - self.before) * dilation
        # torch pads both sides alike, faster than separately; what is too much is cut
        both = max(before, 0) if before >= after else 0
        if not both:
            x = F.pad(x, (before, after))
        filters, depthwise = self.filters, self.depthwise
        if depthwise is not None:
            taps = depthwise.weight
            x = F.conv1d(x, taps, None, stride, both, dilation, len(taps))
            stride, both, dilation, n_frames = 1, 0, 1, (n_frames - 1) // stride + 1
        x = F.conv1d(x, filters.weight, filters.bias, stride, both, dilation)
        n_steps = (n_frames - 1) // stride + 1
        if x.shape[-1] > n_steps:
            x = x.narrow(-1, 0, n_steps)
        if torch.is_grad_enabled() or is_exporting():
            value, gate = x.chunk(2, dim=1)
            return torch.tanh(value) * torch.sigmoid(gate)
        x.narrow(1, 0, x.shape[1] // 2).tanh_()
        return F.glu(x, dim=1)

    def dense(self) -> tuple[Tensor, Tensor]:
        """Weights (2, n_out, n_in, size) and biases (2, n_out) of one convolution."""
        weight: Any = self.filters.weight
        bias: Any = self.filters.bias
        if self.depthwise is not None:
            weight = weight * self.depthwise.weight.transpose(0, 1)
        return weight.unflatten(0, (2, -1)), bias.unflatten(0, (2, -1))


class GatedPair(nn.Module):
    """Two gated convolutions of the same input, of short and of long filters.

    Parameters
    ----------
    n_in, n_out : int
        Channels in and out, of which each convolution makes one half.
    causal : bool, default=True
        See `GatedConv1d`.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import GatedPair
    >>> GatedPair(20, 16)(torch.zeros(2, 20, 50)).shape
    torch.Size([2, 16, 50])
    """

    def __init__(self, n_in: int, n_out: int, *, causal: bool = True) -> None:
        super().__init__()
        self.causal = causal
        self.short = GatedConv1d(n_in, n_out // 2, SHORT, causal=causal)
        self.long = GatedConv1d(n_in, n_out // 2, LONG, separable=True, causal=causal)

    def forward(self, x: Tensor) -> Tensor:
        """Channels of the short filters, then of the long ones."""
        return torch.cat([self.short(x), self.long(x)], dim=1)

    def folded(self) -> GatedConv1d:
        """One convolution with the same outputs, which takes less time."""
        (short, bias), (long, bias_of_long) = self.short.dense(), self.long.dense()
        first = self.long.before - self.short.before
        short = F.pad(short, (first, LONG - SHORT - first))
        _, n_half, n_in, _ = short.shape
        with torch.device("meta"):  # no random weights, which would be replaced
            block = GatedConv1d(n_in, 2 * n_half, LONG, causal=self.causal)
        weight = torch.cat([short, long], dim=1).flatten(0, 1)
        biases = torch.cat([bias, bias_of_long], dim=1).flatten()
        filters = {"filters.weight": weight, "filters.bias": biases}
        block.load_state_dict(filters, assign=True)
        return block.train(self.training)


class SwishNet(nn.Module):
    """The SwishNet: eight blocks of gated convolutions, and a head on four of them.

    Three blocks at the rate of the frames, then five with strides 3, 2, 2, 2, 2: their
    outputs, but for the first of them, are averaged over time and put side by side for
    the head. Steps of strided blocks are counted from the last frame, so that the
    decision on a clip that goes on is that on its beginning (see `frames`).

    Parameters
    ----------
    n_bins : int
        Coefficients of a frame; 20 in the paper.
    n_outputs : int
        Number of classes (logits).
    width : float, default=1.0
        Factor on all numbers of channels: 1 is the paper's slim network, 2 the wide
        one.
    strided : bool, default=True
        Whether strides shorten what the upper blocks see, as published; otherwise the
        same numbers are dilations.
    head_hidden : int or None, default=None
        Hidden units of the head: None is 16 times `width`, with which the published
        numbers of parameters (5,483 and 18,267) are met; 0 is the single layer of the
        paper's Figure 1.
    causal : bool, default=True
        Whether a frame's features depend on no later one.
    dropout : float, default=0.0
        Probability of dropping an output of a block.

    Attributes
    ----------
    reach : tuple of int
        Frames before and after a frame that its features depend on; (107, 0) with
        strides, (37, 0) with dilations.
    hidden_layers : tuple of str
        Names of layers whose outputs are features, as in ``named_modules()``.
    stages : tuple of tuple of str
        Names of all modules with parameters, from bottom to top.
    config : dict
        Arguments of the constructor, as plain values: they make an equal network.

    Notes
    -----
    The paper does not say how skip connections of different lengths are joined: here
    each is averaged over time.

    References
    ----------
    Hussain and Haque, "SwishNet: A Fast Convolutional Neural Network for Speech, Music
    and Noise Classification and Segmentation", arXiv:1812.00149, 2018, Section III,
    Figure 1, Table I.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import SwishNet
    >>> net = SwishNet(20, 3)
    >>> sum(p.numel() for p in net.parameters())
    5483
    >>> net(torch.zeros(2, 20, 200)).shape, net.frames(torch.zeros(2, 20, 200)).shape
    (torch.Size([2, 3]), torch.Size([2, 3, 200]))
    """

    output_layers = ("output",)

    def __init__(
        self,
        n_bins: int,
        n_outputs: int,
        *,
        width: float = 1.0,
        strided: bool = True,
        head_hidden: int | None = None,
        causal: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.config = {
            "n_bins": int(n_bins),
            "n_outputs": int(n_outputs),
            "width": float(width),
            "strided": bool(strided),
            "head_hidden": None if head_hidden is None else int(head_hidden),
            "causal": bool(causal),
            "dropout": float(dropout),
        }
        self.strided = strided
        n = 2 * scaled(4, width)  # of most blocks: an even number, for pairs
        blocks: list[nn.Module] = [GatedPair(n_bins, 2 * n, causal=causal)]
        blocks += [GatedPair(n_in, n, causal=causal) for n_in in (2 * n, n)]
        blocks += [
            GatedConv1d(n, n_out, causal=causal) for n_out in (n, n, n, n, 2 * n)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.dropout = Dropout(dropout)
        n_features = 5 * n
        names = tuple(f"blocks.{i}" for i in range(len(blocks)))
        self.hidden_layers: tuple[str, ...] = names
        self.stages: tuple[tuple[str, ...], ...] = tuple((name,) for name in names)
        self.head: nn.Module = nn.Identity()
        n_hidden = 2 * n if head_hidden is None else head_hidden
        if n_hidden:
            self.head = nn.Sequential(nn.Linear(n_features, n_hidden), nn.ReLU())
            self.hidden_layers = (*names, "head")
            self.stages = (*self.stages, ("head",))
        self.output = nn.Linear(n_hidden or n_features, n_outputs)
        self.reach = self._reach(causal)

    def _reach(self, causal: bool) -> tuple[int, int]:
        steps, apart = [], 1
        for factor in FACTORS:
            steps.append(apart if self.strided else factor)
            apart *= factor
        longest = LONG - 1 if causal else LONG // 2
        shortest = SHORT - 1 if causal else SHORT // 2
        before = N_PAIRS * longest + shortest * sum(steps)
        after = N_PAIRS * (LONG - 1 - longest) + (SHORT - 1 - shortest) * sum(steps)
        return before, after

    def _skips(self, x: Tensor, everywhere: bool) -> list[tuple[Tensor, int]]:
        """Outputs of the four upper blocks, and how many frames their steps are apart.

        ``everywhere`` computes steps at all frames: what they would be if the clip
        ended there.
        """
        skips, apart = [], 1
        for i, block in enumerate(self.blocks):
            if i < N_PAIRS:
                y = self._dropped(block(x))
                x = y + x if i == N_PAIRS - 1 else y
                continue
            stride, dilation, factor = 1, apart, FACTORS[i - N_PAIRS]
            if not self.strided:
                dilation = factor
            elif not everywhere:
                stride, dilation = factor, 1
            apart *= factor if self.strided else 1
            y = self._dropped(block(x, stride, dilation))
            if i > N_PAIRS:
                skips.append((y, apart))
            if i < len(self.blocks) - 2:
                x = y + x[..., (x.shape[-1] - 1) % stride :: stride]
            else:
                x = y
        return skips

    def _dropped(self, y: Tensor) -> Tensor:
        return self.dropout(y) if self.training else y

    def forward(self, x: Tensor, window: int | None = None) -> Tensor:
        """Logits (clips, n_outputs) of segments (clips, n_bins, frames).

        ``window`` is the number of frames at the end that features are averaged over;
        None takes all.
        """
        skips = self._skips(x, everywhere=False)
        if window is not None:
            skips = [(y[..., -((window - 1) // n + 1) :], n) for y, n in skips]
        means = [y.mean(-1) for y, _ in skips]
        return self.output(self.head(torch.cat(means, dim=1)))

    def frames(self, x: Tensor, window: int = 1) -> Tensor:
        """Logits (clips, n_outputs, frames), one decision for every frame.

        That of frame ``t`` is on a window around it, as far as the clip goes. Of a
        causal network it is what `forward` gives for the clip up to the end of this
        window, but all are computed in one pass.
        """
        n_frames = x.shape[-1]
        frames = torch.arange(n_frames, device=x.device)
        first = (frames - window // 2).clamp(min=0)
        last = (frames - window // 2 + window - 1).clamp(max=n_frames - 1)
        skips = self._skips(x, everywhere=True)
        means = [_means(y, apart, first, last) for y, apart in skips]
        features = torch.cat(means, dim=1).transpose(1, 2)
        return self.output(self.head(features)).transpose(1, 2)

    def context(self, window: int = 1) -> tuple[int, int]:
        """Frames before and after a frame that a decision on it may depend on."""
        before, after = self.reach
        return before + window // 2, after + window - 1 - window // 2


def _means(x: Tensor, apart: int, first: Tensor, last: Tensor) -> Tensor:
    """Means over the frames ``last``, ``last - apart``, ... that are not before first.

    Running sums of every ``apart``-th frame are in float64, so that differences of
    large sums are exact enough.
    """
    if bool((first == last).all()):
        return x
    n_frames = x.shape[-1]
    padded = F.pad(x.double(), (apart, -n_frames % apart))
    sums = padded.unflatten(-1, (-1, apart)).cumsum(-2).flatten(-2)
    n: Any = (last - first) // apart + 1
    total = sums[..., last + apart] - sums[..., last + apart - n * apart]
    return (total / n).to(x.dtype)
