"""SampleCNN: very small filters from the samples up, and its frame-level relatives."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from torch import Tensor, nn

from skaudio._utils._types import is_waveform
from skaudio.nn.blocks import Dropout, one_by_one, rectifier
from skaudio.nn.layers import scaled

# Table 3: stride of the first convolution, then sizes of the modules, by rate in Hz
SIZES_BY_RATE = {
    2000: (3, 3, 3, 3, 2, 2, 2, 2, 2, 2),
    4000: (3, 3, 3, 3, 2, 2, 2, 4, 2, 2),
    8000: (3, 3, 3, 3, 2, 2, 4, 4, 2, 2),
    12000: (3, 3, 3, 3, 3, 2, 4, 4, 2, 2),
    16000: (3, 3, 3, 3, 3, 3, 3, 5, 2, 2),
    20000: (3, 3, 3, 3, 3, 3, 3, 3, 4, 2),
    22050: (3, 3, 3, 3, 3, 3, 3, 3, 3, 3),
}
N_LOW, N_MIDDLE, N_HIGH = 128, 256, 512  # filters of the three kinds of modules
N_WIDEST = {"paper": 2, "code": 1}  # modules with N_HIGH filters: Table 1, the code


def filters_of(n_modules: int, pattern: str) -> tuple[int, ...]:
    """Filters of all convolutions, the first and the top one included.

    Table 1 has 128 filters in the first two modules, 512 in the last two, and 256
    between; the authors' code 512 in the last one only. Few modules keep the end.
    """
    n_high = N_WIDEST[pattern]
    n_low = 2
    modules = [N_LOW] * n_low + [N_MIDDLE] * max(0, n_modules - n_low - n_high)
    modules = (modules + [N_HIGH] * n_high)[-n_modules:] if n_modules else []
    return (N_LOW, *modules, N_HIGH)


class SampleBlock(nn.Sequential):
    """Convolution, batch normalisation, max-pooling and ReLU.

    Convolution keeps the length ("same" zero padding). Pooling before ReLU gives the
    same values for less work.

    Parameters
    ----------
    n_in, n_out : int
        Channels in and out.
    size : int, default=3
        Length of the filters and of the pooling windows.
    pool : bool, default=True
        Whether to pool.
    norm_eps : float, default=1e-5
        Added to the variance in batch normalisation.
    even_padding : {"end", "start"}, default="end"
        Where an even kernel has one more zero: "end" as in TensorFlow, "start" as in
        Theano and in modules of torch padded by ``size // 2``.
    negative_slope : float, default=0.0
        Slope of the rectifier below zero, from 0 to 1; 0 is ReLU.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import SampleBlock
    >>> SampleBlock(1, 16, size=3)(torch.zeros(2, 1, 729)).shape
    torch.Size([2, 16, 243])
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        size: int = 3,
        pool: bool = True,
        norm_eps: float = 1e-5,
        even_padding: str = "end",
        negative_slope: float = 0.0,
    ) -> None:
        super().__init__()
        if size % 2:
            self.conv = nn.Conv1d(n_in, n_out, size, padding=size // 2)
        else:
            few, many = size // 2 - 1, size // 2
            self.pad = nn.ZeroPad1d(
                (few, many) if even_padding == "end" else (many, few)
            )
            self.conv = nn.Conv1d(n_in, n_out, size)
        self.norm = nn.BatchNorm1d(n_out, eps=norm_eps)
        if pool:
            self.pool = nn.MaxPool1d(size)
        self.relu = rectifier(negative_slope)


class StridedBlock(nn.Sequential):
    """The first convolution: filters and strides of the same or other lengths.

    Zeros on both sides make exactly one output per stride.
    """

    def __init__(
        self,
        n_out: int,
        kernel: int,
        stride: int,
        padding: int | None = None,
        norm_eps: float = 1e-5,
        negative_slope: float = 0.0,
    ) -> None:
        super().__init__()
        left = (kernel - stride) // 2 if padding is None else padding
        right = kernel - stride - left
        if left or right:
            self.pad = nn.ZeroPad1d((left, right))  # a negative number crops
        self.conv = nn.Conv1d(1, n_out, kernel, stride=stride)
        self.norm = nn.BatchNorm1d(n_out, eps=norm_eps)
        self.relu = rectifier(negative_slope)


class ConvStack(nn.Module):
    """What SampleCNN and its frame-level relatives have in common.

    A first block that subclasses name, modules of convolution and pooling, one more
    convolution, dropout and a linear output. Other options are those of `SampleBlock`.
    """

    config: dict[str, Any]  # arguments of the constructor, plain values

    def __init__(
        self,
        first: nn.Module | None,
        n_channels: int,
        sizes: Sequence[int],
        filters: Sequence[int],
        n_outputs: int,
        *,
        top_kernel: int,
        dropout: float,
        **options: Any,
    ) -> None:
        super().__init__()
        *modules, n_top = filters
        blocks = [] if first is None else [first]
        for size, n_filters in zip(sizes, modules, strict=True):
            blocks.append(SampleBlock(n_channels, n_filters, size, **options))
            n_channels = n_filters
        blocks.append(SampleBlock(n_channels, n_top, top_kernel, pool=False, **options))
        self.blocks = nn.Sequential(*blocks)
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(n_top, n_outputs)
        self.hidden_layers = tuple(f"blocks.{i}" for i in range(len(blocks)))
        self.stages = tuple((name,) for name in self.hidden_layers)
        self.output_layers = ("output",)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (clips, n_outputs) of segments (clips, bins, steps)."""
        return one_by_one(self._forward, x, training=self.training)  # half the time

    def _forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x)
        if x.shape[2] > 1:  # of longer segments than the network is made for
            x = x.amax(2, keepdim=True)
        return self.output(self.dropout(x.flatten(1)))


class SampleCNN(ConvStack):
    """The m^n-SampleCNN: a waveform network with very small filters (Table 1).

    A convolution with a stride as long as its filters, then modules of convolution,
    batch normalisation, ReLU and max-pooling whose filters and pooling windows are
    equally long, so that the product of all sizes is the length of a segment. One more
    convolution, dropout and a linear output follow.

    Parameters
    ----------
    n_outputs : int
        Number of classes or tags (logits).
    sizes : sequence of int, default=(3,) * 10
        Size of the first convolution and of every module. ``(m,) * (n + 1)`` is the
        m^n network; 10 times 3 is that of Table 1, for 59,049 samples at 22,050 Hz.
    filters : {"paper", "code"} or sequence of int, default="paper"
        Filters of every convolution, the first and the top one included: one more than
        `sizes`. "paper" is Table 1: 128 thrice, 256 five times, 512 thrice. "code" is
        the authors' code, with one more 256 and one less 512.
    top_kernel : int, default=1
        Length of the filters of the last convolution; some ports have 3.
    width : float, default=1.0
        Factor on all numbers of filters.
    dropout : float, default=0.5
        Probability of dropping an output of the last convolution.
    first_padding : int, default=0
        Zeros before the first sample (one sample less at the end for each).
    norm_eps : float, default=1e-5
        Added to the variance in batch normalisation.
    even_padding : {"end", "start"}, default="end"
        Where an even kernel has one more zero; see `SampleBlock`.
    negative_slope : float, default=0.0
        Slope of the rectifiers below zero, from 0 to 1: 0 is ReLU, as in the paper;
        some ports have leaky ones.

    Attributes
    ----------
    config : dict
        Arguments of the constructor that make a network like this one.
    n_samples : int
        Samples of a segment: the product of `sizes`.
    hidden_layers : tuple of str
        Names of the blocks from bottom to top, as in ``named_modules()``.

    References
    ----------
    Lee et al., "SampleCNN: End-to-End Deep Convolutional Neural Networks Using Very
    Small Filters for Music Classification", Applied Sciences 8(1):150, 2018,
    Sections 3.3 and 5.4, Tables 1 and 3.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import SampleCNN
    >>> net = SampleCNN(50)
    >>> net.n_samples, sum(p.numel() for p in net.parameters())
    (59049, 2460466)
    >>> SampleCNN(4, sizes=(3,) * 5, width=0.1)(torch.zeros(2, 1, 243)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_outputs: int,
        *,
        sizes: Sequence[int] = (3,) * 10,
        filters: str | Sequence[int] = "paper",
        top_kernel: int = 1,
        width: float = 1.0,
        dropout: float = 0.5,
        first_padding: int = 0,
        norm_eps: float = 1e-5,
        even_padding: str = "end",
        negative_slope: float = 0.0,
    ) -> None:
        config: dict[str, Any] = {
            "n_outputs": int(n_outputs),
            "sizes": tuple(map(int, sizes)),
            "filters": filters
            if isinstance(filters, str)
            else tuple(map(int, filters)),
            "top_kernel": int(top_kernel),
            "width": float(width),
            "dropout": float(dropout),
            "first_padding": int(first_padding),
            "norm_eps": float(norm_eps),
            "even_padding": even_padding,
            "negative_slope": float(negative_slope),
        }
        if config["first_padding"] != first_padding:
            raise ValueError(
                f"first_padding must be a whole number; got {first_padding!r}."
            )
        _check_unseen(config)
        first_padding, norm_eps = config["first_padding"], config["norm_eps"]
        negative_slope = config["negative_slope"]
        if isinstance(filters, str):
            filters = filters_of(len(sizes) - 1, filters)
        if len(filters) != len(sizes) + 1:
            raise ValueError(
                f"filters needs one number per size and one for the top convolution: "
                f"{len(sizes) + 1} for sizes={tuple(sizes)}; got {len(filters)}."
            )
        n_first, *others = (scaled(n, width) for n in filters)
        size, *modules = sizes
        super().__init__(
            StridedBlock(n_first, size, size, first_padding, norm_eps, negative_slope),
            n_first,
            modules,
            others,
            n_outputs,
            top_kernel=top_kernel,
            dropout=dropout,
            norm_eps=norm_eps,
            even_padding=even_padding,
            negative_slope=negative_slope,
        )
        self.config = config
        self.n_samples = prod(sizes)


def _check_unseen(config: dict[str, Any]) -> None:
    """Refuse arguments that no weight would contradict."""
    for name, least, most in (
        ("first_padding", 0, config["sizes"][0]),
        ("norm_eps", 1e-12, 0.5),
        ("negative_slope", 0, 1),  # pooling comes first: it must not fall
    ):
        if not least <= config[name] <= most:
            raise ValueError(
                f"{name} must be a number from {least} to {most}; got {config[name]!r}."
            )
    if config["even_padding"] not in ("end", "start"):
        raise ValueError(
            f"even_padding must be 'end' or 'start'; got {config['even_padding']!r}."
        )


class FrameLevelCNN(ConvStack):
    """The frame-level networks of Table 2: a SampleCNN's upper part on frames.

    Bands of a spectrogram are the channels of the first module. On a waveform, a
    convolution with 128 filters as long as a window and strides as long as a hop takes
    the place of the spectrogram.

    Parameters
    ----------
    n_bins : int
        Bands of the view; 1 is a waveform.
    n_outputs : int
        Number of classes or tags (logits).
    n_modules : int, default=6
        Modules of convolution and pooling by 3; a segment has ``3**n_modules`` frames.
    win_length : int, default=243
        Length of the filters on a waveform.
    hop_length : int, default=81
        Samples from one frame to the next.
    width : float, default=1.0
        Factor on all numbers of filters.
    dropout : float, default=0.5
        Probability of dropping an output of the last convolution.

    Attributes
    ----------
    config : dict
        Arguments of the constructor that make a network like this one.
    hidden_layers : tuple of str
        Names of the blocks from bottom to top, as in ``named_modules()``.

    Notes
    -----
    The paper does not give the width of these networks. They have the last modules of
    Table 1, so that networks with fewer of them end alike.

    References
    ----------
    Lee et al., "SampleCNN", Applied Sciences 8(1):150, 2018, Sections 3.1 and 3.2,
    Table 2.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import FrameLevelCNN
    >>> mel = FrameLevelCNN(128, 10, n_modules=3, width=0.1)
    >>> raw = FrameLevelCNN(1, 10, n_modules=3, win_length=27, hop_length=9, width=0.1)
    >>> mel(torch.zeros(2, 128, 27)).shape, raw(torch.zeros(2, 1, 243)).shape
    (torch.Size([2, 10]), torch.Size([2, 10]))
    """

    def __init__(
        self,
        n_bins: int,
        n_outputs: int,
        *,
        n_modules: int = 6,
        win_length: int = 243,
        hop_length: int = 81,
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        first, n_channels = None, n_bins
        if is_waveform(n_bins):
            n_channels = scaled(N_LOW, width)
            first = StridedBlock(n_channels, win_length, hop_length)
        n_rows = max(9, n_modules)  # Table 1 has nine modules
        filters = filters_of(n_rows, "paper")[-(n_modules + 1) :]
        super().__init__(
            first,
            n_channels,
            (3,) * n_modules,
            [scaled(n, width) for n in filters],
            n_outputs,
            top_kernel=1,
            dropout=dropout,
        )
        self.config = {
            "n_bins": int(n_bins),
            "n_outputs": int(n_outputs),
            "n_modules": int(n_modules),
            "win_length": int(win_length),
            "hop_length": int(hop_length),
            "width": float(width),
            "dropout": float(dropout),
        }


def _initialise(module: nn.Module) -> None:
    """He's uniform initialisation of convolutions, Glorot's of the output."""
    if isinstance(module, nn.Conv1d):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
    if isinstance(module, (nn.Conv1d, nn.Linear)) and module.bias is not None:
        nn.init.zeros_(module.bias)
