"""Blocks that the networks share: dropout with its own generator, pooling, heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ATTENTIONS = ("temporal", "spatio-temporal")


def is_exporting() -> bool:
    """Whether the computation is being written down, for any number of clips."""
    is_exported = getattr(torch.compiler, "is_exporting", lambda: False)  # torch 2.7
    is_traced: Any = getattr(torch.jit, "is_tracing")  # noqa: B009
    return bool(is_exported() or is_traced())


def one_by_one(
    compute: Callable[[Tensor], Tensor], x: Tensor, *, training: bool
) -> Tensor:
    """Results of clips (n_clips, ...): on a CPU, in prediction, of one after another.

    What is in between stays in the processor's cache then. Where the computation is
    being exported, a loop would hold for the number of clips at hand only.
    """
    if training or x.device.type != "cpu" or is_exporting():
        return compute(x)
    return torch.cat([compute(part) for part in x.split(1)])


def rectifier(negative_slope: float) -> nn.Module:
    """ReLU, or a leaky one that lets a share of what is negative through."""
    return nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU()


class Dropout(nn.Module):
    """Dropout that draws from its own generator instead of torch's global one.

    A global generator makes training depend on what other threads draw. Without a
    generator set by `seed_dropout` the global one is used, as in torch.

    Parameters
    ----------
    p : float, default=0.5
        Probability of an element to be zeroed, rounded to a multiple of 2**-16.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import Dropout
    >>> Dropout(p=0.5).eval()(torch.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Zero elements with probability ``p`` and scale the rest, in training only."""
        if not self.training or self.p == 0:
            return x
        # four 16-bit draws per random number: 3 times as fast as bernoulli_ on a CPU
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
        bits.random_(-(2**63), None, generator=self.generator)
        level = round(self.p * 2**16)
        # in the memory format of x: mixing formats would cost more than the draws
        draws = bits.view(torch.int16)[: x.numel()].as_strided(x.shape, x.stride())
        keep = draws >= level - 2**15
        return x * keep.to(x.dtype).mul_(2**16 / (2**16 - level))

    def __getstate__(self) -> dict[str, Any]:
        # a generator does not pickle, and only training needs it
        return {**self.__dict__, "generator": None}


def seed_dropout(module: nn.Module, seed: int, device: str | torch.device) -> None:
    """Give all `Dropout` layers of ``module`` one private generator."""
    generator = torch.Generator(device=device)
    generator.manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, Dropout):
            layer.generator = generator


class _MaxOfPairs(torch.autograd.Function):
    """Larger of neighbouring bands; its backward pass writes each gradient once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        low, high = _pairs(x)
        ctx.save_for_backward(low >= high)
        ctx.layout = x.shape, x.stride()
        return torch.maximum(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (is_low,) = ctx.saved_tensors
        out = gradient.new_empty_strided(*ctx.layout)
        low, high = _pairs(out)
        torch.mul(gradient, is_low, out=low)
        torch.sub(gradient, low, out=high)
        out[:, :, 2 * low.shape[2] :] = 0
        return out


def _pairs(x: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper bands of pairs; the last of an odd number is in none."""
    return x[:, :, 0 : x.shape[2] - 1 : 2], x[:, :, 1::2]


class MaxPool(nn.MaxPool2d):
    """Max-pooling that rounds down, but leaves at least one bin and one frame.

    As in "VALID" pooling, what does not fill a window is dropped: of 21 bands 10 are
    left. A window that is larger than the map shrinks to it, so that one band stays
    one, and three frames in a window of four become one. Pairs of bands, (2, 1), are
    faster than in torch.

    Parameters
    ----------
    window : tuple of int
        Window and stride over (frequency, time).

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn.blocks import MaxPool
    >>> MaxPool((2, 1))(torch.zeros(2, 16, 21, 75)).shape
    torch.Size([2, 16, 10, 75])
    >>> MaxPool((2, 4))(torch.zeros(2, 16, 1, 3)).shape
    torch.Size([2, 16, 1, 1])
    """

    def __init__(self, window: tuple[int, int]) -> None:
        super().__init__(window)

    def forward(self, x: Tensor) -> Tensor:
        """Pool axes 2 and 3 of ``x`` (clips, filters, bands, frames)."""
        high, wide = self.kernel_size  # type: ignore[misc]
        window = min(high, x.shape[2]), min(wide, x.shape[3])
        if window == (1, 1):
            return x
        if window != (2, 1) or is_exporting():
            return F.max_pool2d(x, window)
        if torch.is_grad_enabled():
            return _MaxOfPairs.apply(x)
        return torch.maximum(*_pairs(x))


class PolyphaseConv1d(nn.Conv1d):
    """A strided 1-D convolution computed as an unstrided one on its phases.

    Same weights and values as ``nn.Conv1d(..., padding=0)``; on a CPU a training step
    takes a third of the time where the input has few channels. The kernel size must be
    a multiple of the stride.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn.blocks import PolyphaseConv1d
    >>> PolyphaseConv1d(1, 8, 64, stride=2)(torch.zeros(2, 1, 1000)).shape
    torch.Size([2, 8, 469])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (clips, channels, samples) with the stride."""
        (stride,), n_out = self.stride, self.out_channels
        n = x.shape[2] // stride * stride
        phases = x[:, :, :n].unflatten(2, (-1, stride)).transpose(2, 3).flatten(1, 2)
        taps = self.weight.unflatten(2, (-1, stride)).transpose(2, 3)
        return F.conv1d(phases, taps.reshape(n_out, phases.shape[1], -1), self.bias)


class ConvBlock(nn.Sequential):
    """Convolution, batch normalisation, ReLU, max-pooling and dropout.

    Parameters
    ----------
    n_in, n_out : int
        Channels in and out.
    kernel : tuple of int, default=(3, 3)
        Kernel over (frequency, time); the output keeps both sizes before pooling.
    pool : tuple of int, default=(2, 1)
        Pooling window and stride over (frequency, time); sizes are rounded down, but
        not below one (`MaxPool`).
    dropout : float, default=0.0
        Probability of dropping an output element.
    bias : bool, default=False
        Whether the convolution has a bias, which batch normalisation takes away again:
        for published weights that have one.

    References
    ----------
    Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021, Table 1.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import ConvBlock
    >>> ConvBlock(1, 16)(torch.zeros(2, 1, 64, 75)).shape
    torch.Size([2, 16, 32, 75])
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: tuple[int, int] = (3, 3),
        pool: tuple[int, int] = (2, 1),
        dropout: float = 0.0,
        bias: bool = False,
    ) -> None:
        super().__init__()
        (top, bottom), (left, right) = (((k - 1) // 2, k // 2) for k in kernel)
        if top == bottom and left == right:
            padding = (top, left)
            self.conv = nn.Conv2d(n_in, n_out, kernel, padding=padding, bias=bias)
        else:  # an even kernel has one more step after than before
            self.pad = nn.ZeroPad2d((left, right, top, bottom))
            self.conv = nn.Conv2d(n_in, n_out, kernel, bias=bias)
        self.norm = nn.BatchNorm2d(n_out)
        # pooling first gives the same values, and ReLU has half the work
        self.pool = MaxPool(pool)
        self.relu = nn.ReLU()
        self.dropout = Dropout(dropout)


class AttentionPooling(nn.Module):
    """Pool a sequence into one vector by learned attention over time (and space).

    ``"temporal"`` weighs frames; ``"spatio-temporal"`` also weighs the features, so
    that the mask is the outer product of both attention vectors. Feature scores are
    computed from the mean over time, which works for sequences of any length, and are
    multiplied by the number of features to keep the scale of the output.

    Parameters
    ----------
    n_features : int
        Features per frame.
    attention : {"spatio-temporal", "temporal"}, default="spatio-temporal"
        What is weighed.
    n_hidden : int, default=64
        Size of the hidden layer that scores frames and features.

    References
    ----------
    Phan et al., "Spatio-temporal attention pooling for audio scene classification",
    Interspeech 2019. The equations are a reconstruction.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import AttentionPooling
    >>> AttentionPooling(8)(torch.zeros(2, 8, 75)).shape
    torch.Size([2, 8])
    """

    def __init__(
        self,
        n_features: int,
        attention: str = "spatio-temporal",
        n_hidden: int = 64,
    ) -> None:
        super().__init__()
        self.n_features = n_features
        self.temporal = _scores(n_features, n_hidden, 1)
        self.spatial = (
            _scores(n_features, n_hidden, n_features)
            if attention == "spatio-temporal"
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``x`` of shape (clips, features, frames) to (clips, features)."""
        frames = x.transpose(1, 2)  # (clips, frames, features)
        over_time = torch.softmax(self.temporal(frames), dim=1)  # (clips, frames, 1)
        pooled = (x @ over_time).squeeze(2)  # (clips, features)
        if self.spatial is None:
            return pooled
        over_features = torch.softmax(self.spatial(frames.mean(1)), dim=1)
        return pooled * over_features * self.n_features


def _scores(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(n_in, n_hidden), nn.Tanh(), nn.Linear(n_hidden, n_out, bias=False)
    )


class ClassificationHead(nn.Sequential):
    """Two fully connected layers with ReLU and a linear output layer (fc1 to fc3).

    Parameters
    ----------
    n_in : int
        Size of the embedding.
    n_hidden : int
        Units of both hidden layers.
    n_outputs : int
        Number of classes (logits).
    dropout : float, default=0.0
        Probability of dropping an input of each layer.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import ClassificationHead
    >>> ClassificationHead(512, 128, 10)(torch.zeros(2, 512)).shape
    torch.Size([2, 10])
    """

    hidden_layers = ("relu1", "relu2")
    stages = (("fc1",), ("fc2",))
    output_layers = ("fc3",)

    def __init__(
        self, n_in: int, n_hidden: int, n_outputs: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dropout0 = Dropout(dropout)
        self.fc1 = nn.Linear(n_in, n_hidden)
        self.relu1 = nn.ReLU()
        self.dropout1 = Dropout(dropout)
        self.fc2 = nn.Linear(n_hidden, n_hidden)
        self.relu2 = nn.ReLU()
        self.dropout2 = Dropout(dropout)
        self.fc3 = nn.Linear(n_hidden, n_outputs)


class OneBranch(nn.Module):
    """A network on a single view, behind the interface of networks on several.

    Parameters
    ----------
    views : mapping of str to (int, float or None)
        Number of bins and steps per second of the only view.
    n_outputs : int
        Number of classes.
    network : callable
        Makes the network, from the number of bins and of outputs.

    Attributes
    ----------
    network : Module
        Maps segments (clips, bins, steps) to logits (clips, n_outputs).
    view_names, branch_names : tuple of str
        Name of the view.
    decision : str
        Name of the output that decides: the only one.
    hidden_layers, stages, output_layers : tuple
        Those of the network.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import FrameLevelCNN, OneBranch
    >>> net = OneBranch({"mel": (40, 50.0)}, 5, FrameLevelCNN)
    >>> net({"mel": torch.zeros(2, 40, 729)})["mel"].shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        views: Mapping[str, tuple[int, float | None]],
        n_outputs: int,
        network: Callable[[int, int], nn.Module],
    ) -> None:
        super().__init__()
        ((name, (n_bins, _)),) = views.items()
        self.view_names: tuple[str, ...] = (name,)
        self.branch_names: tuple[str, ...] = (name,)
        self.decision = name
        self.network = network(n_bins, n_outputs)
        inside: Any = self.network
        self.hidden_layers = tuple(f"network.{name}" for name in inside.hidden_layers)
        self.stages = below("network", inside.stages)
        self.output_layers = tuple(f"network.{name}" for name in inside.output_layers)

    def forward(self, views: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits (clips, n_outputs) by name of the view."""
        (name,) = self.view_names
        return {name: self.network(views[name])}


class OneBranchOfLength(OneBranch):
    """`OneBranch` of a network on segments of one length, which it has to know.

    Parameters
    ----------
    views : mapping of str to (int, float or None)
        Number of bins and steps per second of the only view.
    n_outputs : int
        Number of classes.
    network : callable
        Makes the network, from the number of bins, of steps and of outputs.
    n_steps : mapping of str to int
        Steps of a segment of the view.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import TwoLayerNet
    >>> from skaudio.nn.blocks import OneBranchOfLength
    >>> net = OneBranchOfLength({"raw": (1, 551.25)}, 4, TwoLayerNet, {"raw": 500})
    >>> net({"raw": torch.zeros(2, 1, 500)})["raw"].shape
    torch.Size([2, 4])
    """

    fixed_length = True

    def __init__(
        self,
        views: Mapping[str, tuple[int, float | None]],
        n_outputs: int,
        network: Callable[[int, int, int], nn.Module],
        n_steps: Mapping[str, int],
    ) -> None:
        (n,) = n_steps.values()
        super().__init__(
            views, n_outputs, lambda n_bins, n_outputs: network(n_bins, n, n_outputs)
        )


def below(prefix: str, stages: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Names of modules as seen from the module that holds theirs as ``prefix``."""
    return tuple(tuple(f"{prefix}.{name}" for name in stage) for stage in stages)
