"""Convolutional recurrent networks of Phan et al., ICASSP 2021, Tables 1 and 2."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skaudio.nn.blocks import (
    AttentionPooling,
    ClassificationHead,
    ConvBlock,
    Dropout,
    OneBranch,
    PolyphaseConv1d,
    below,
)
from skaudio.nn.devices import without_autocast
from skaudio.nn.layers import scaled

N_FILTERS = (64, 64, 128, 128, 256, 256)
N_UNITS = 256
N_HIDDEN = 512  # of a head


class CRNN2d(nn.Module):
    """The 2-D CRNN: a spectrogram segment in, one embedding out (Table 1).

    Six blocks of convolution, batch normalisation, ReLU and pooling halve the
    frequency axis and keep time; a bidirectional GRU reads the frames and attention
    pools them. Sizes are rounded down, but one bin stays one: 84 bins become 42, 21,
    10, 5, 2 and 1.

    Parameters
    ----------
    n_bins : int
        Bins of the view; from 1 to 127 of them 1 is left after the six halvings.
    n_channels : int, default=1
        Input channels; 1 for a spectrogram.
    width : float, default=1.0
        Factor on filters (64, 64, 128, 128, 256, 256) and GRU units (256).
    attention : {"spatio-temporal", "temporal"}, default="spatio-temporal"
        Pooling over the GRU's outputs.
    dropout : float, default=0.0
        Probability of dropping outputs of convolution blocks and of the GRU.
    first_kernel : tuple of int, default=(3, 3)
        Kernel of the first block over (frequency, time).
    first_pool : tuple of int, default=(2, 1)
        Pooling of the first block over (frequency, time).

    Attributes
    ----------
    n_features : int
        Size of the embedding, two times the GRU units.
    hidden_layers : tuple of str
        Names of layers whose outputs are features, as in ``named_modules()``.
    stages : tuple of tuple of str
        Names of all modules with parameters, from bottom to top.
    config : dict
        Arguments of the constructor, as plain values: they make an equal network.

    References
    ----------
    Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021, Table 1.
    Sizes that the paper leaves open follow the authors' other published networks.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import CRNN2d
    >>> CRNN2d(n_bins=64, width=0.25)(torch.zeros(2, 64, 75)).shape
    torch.Size([2, 128])
    """

    def __init__(
        self,
        n_bins: int,
        *,
        n_channels: int = 1,
        width: float = 1.0,
        attention: str = "spatio-temporal",
        dropout: float = 0.0,
        first_kernel: tuple[int, int] = (3, 3),
        first_pool: tuple[int, int] = (2, 1),
    ) -> None:
        super().__init__()
        self.config = {
            "n_bins": int(n_bins),
            "n_channels": int(n_channels),
            "width": float(width),
            "attention": attention,
            "dropout": float(dropout),
            "first_kernel": list(first_kernel),
            "first_pool": list(first_pool),
        }
        blocks: list[nn.Module] = []
        (high, wide), (down, along) = first_kernel, first_pool  # lists in a config
        kernel, pool = (high, wide), (down, along)
        for n_filters in N_FILTERS:
            n_out, pool = scaled(n_filters, width), (min(pool[0], n_bins), pool[1])
            blocks.append(ConvBlock(n_channels, n_out, kernel, pool, dropout))
            n_bins, n_channels = n_bins // pool[0], n_out
            kernel, pool = (3, 3), (2, 1)
        n_units = scaled(N_UNITS, width)
        self.n_features = 2 * n_units
        self.blocks = nn.Sequential(*blocks)
        below = tuple(f"blocks.{i}" for i in range(len(blocks)))
        self.hidden_layers = (*below, "pool")
        self.stages = (*((name,) for name in below), ("gru", "pool"))
        self.gru = nn.GRU(
            n_bins * n_channels, n_units, batch_first=True, bidirectional=True
        )
        self.dropout = Dropout(dropout)
        self.pool = AttentionPooling(self.n_features, attention)

    def sequence(self, x: Tensor) -> Tensor:
        """Frame-level features (clips, n_features, frames) of (clips, bins, frames)."""
        maps = self.blocks(x[:, None] if x.ndim == 3 else x)
        frames = maps.flatten(1, 2).transpose(1, 2)  # (clips, frames, filters * bins)
        # in autocast cuDNN's recurrence is in float16 whatever the type, and overflows
        with without_autocast(frames.device):
            output, _ = self.gru(frames.to(self.gru.weight_hh_l0.dtype))
        return self.dropout(output).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Embedding (clips, n_features) of a segment (clips, bins, frames)."""
        return self.pool(self.sequence(x))


class CRNN1d(nn.Module):
    """The 1-D CRNN: a waveform segment in, one embedding out (Table 2).

    Two strided convolutions and a pooling layer, as in EnvNet-v2, make a picture of
    learned bands over time, which a 2-D CRNN with a longer first kernel reads.

    Parameters
    ----------
    rate : float, default=44100.0
        Samples per second. ``pool02`` is 64 samples long at 44.1 kHz and scales with
        the rate (32 at 22.05 kHz, as in the paper), so that its output has about
        172 frames per second at any rate.
    width : float, default=1.0
        Factor on all numbers of filters (32 and 64 in front) and GRU units.
    attention : {"spatio-temporal", "temporal"}, default="spatio-temporal"
        Pooling over the GRU's outputs.
    dropout : float, default=0.0
        Probability of dropping outputs of convolution blocks and of the GRU.

    Attributes
    ----------
    n_features : int
        Size of the embedding, two times the GRU units.
    hidden_layers : tuple of str
        Names of layers whose outputs are features, as in ``named_modules()``.
    stages : tuple of tuple of str
        Names of all modules with parameters, from bottom to top.
    config : dict
        Arguments of the constructor, as plain values: they make an equal network.

    References
    ----------
    Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021, Table 2;
    Tokozume et al., "Learning from between-class examples for deep sound
    recognition", ICLR 2018, for conv01, conv02 and pool02.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import CRNN1d
    >>> CRNN1d(rate=44100, width=0.25)(torch.zeros(2, 1, 66650)).shape
    torch.Size([2, 128])
    """

    def __init__(
        self,
        *,
        rate: float = 44100.0,
        width: float = 1.0,
        attention: str = "spatio-temporal",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.config = {
            "rate": float(rate),
            "width": float(width),
            "attention": attention,
            "dropout": float(dropout),
        }
        n_first, n_bands = scaled(32, width), scaled(64, width)
        n_pool = max(1, round(64 * rate / 44100))
        self.conv01 = PolyphaseConv1d(1, n_first, 64, stride=2, bias=False)
        self.norm01 = nn.BatchNorm1d(n_first)
        self.conv02 = PolyphaseConv1d(n_first, n_bands, 16, stride=2, bias=False)
        self.norm02 = nn.BatchNorm1d(n_bands)
        self.pool02 = nn.MaxPool1d(n_pool)
        self.dropout = Dropout(dropout)
        self.n_samples_min = 2 * (2 * (n_pool - 1) + 16 - 1) + 64  # one step of pool02
        self.crnn = CRNN2d(
            n_bands,
            width=width,
            attention=attention,
            dropout=dropout,
            first_kernel=(3, 8),
            first_pool=(2, 4),
        )
        self.n_features = self.crnn.n_features
        self.hidden_layers = tuple(f"crnn.{name}" for name in self.crnn.hidden_layers)
        first, *others = below("crnn", self.crnn.stages)
        self.stages = (("conv01", "norm01", "conv02", "norm02", *first), *others)

    def bands(self, x: Tensor) -> Tensor:
        """Learned bands (clips, bands, frames) of waveforms (clips, 1, samples)."""
        x = F.pad(x, (0, max(0, self.n_samples_min - x.shape[-1])))
        x = torch.relu_(self.norm01(self.conv01(x)))
        x = torch.relu(self.pool02(self.norm02(self.conv02(x))))
        return self.dropout(x)

    def sequence(self, x: Tensor) -> Tensor:
        """Frame-level features (clips, n_features, frames) of (clips, 1, samples)."""
        return self.crnn.sequence(self.bands(x))

    def forward(self, x: Tensor) -> Tensor:
        """Embedding (clips, n_features) of a segment (clips, 1, samples)."""
        return self.crnn(self.bands(x))


def crnn(n_bins: int, *, rate: float | None, **options: object) -> nn.Module:
    """Return the CRNN for a view: 1-D for one row of samples, 2-D for bands."""
    if n_bins == 1:
        return CRNN1d(rate=rate or 44100.0, **options)  # type: ignore[arg-type]
    return CRNN2d(n_bins, **options)  # type: ignore[arg-type]


class CRNNWithHead(nn.Module):
    """A CRNN and the head that classifies by its embedding.

    Parameters
    ----------
    n_bins : int
        Bins of the view; 1 is a waveform.
    n_outputs : int
        Number of classes.
    rate : float or None
        Steps per second of the view.
    width : float, default=1.0
        Factor on filters, recurrent units and hidden units (512).
    attention : {"spatio-temporal", "temporal"}, default="spatio-temporal"
        Pooling over the recurrent outputs.
    dropout : float, default=0.0
        Probability of dropping outputs of convolution blocks, GRU and head.
    """

    def __init__(
        self,
        n_bins: int,
        n_outputs: int,
        *,
        rate: float | None,
        width: float = 1.0,
        attention: str = "spatio-temporal",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = crnn(
            n_bins, rate=rate, width=width, attention=attention, dropout=dropout
        )
        n_features = int(self.encoder.n_features)  # type: ignore[arg-type]
        n_hidden = scaled(N_HIDDEN, width)
        self.head = ClassificationHead(n_features, n_hidden, n_outputs, dropout)
        layers: tuple[str, ...] = self.encoder.hidden_layers  # type: ignore[assignment]
        stages: tuple[tuple[str, ...], ...] = self.encoder.stages  # type: ignore[assignment]
        self.hidden_layers = (
            *(f"encoder.{name}" for name in layers),
            *(f"head.{name}" for name in ClassificationHead.hidden_layers),
        )
        self.stages = (
            *below("encoder", stages),
            *below("head", ClassificationHead.stages),
        )
        self.output_layers = tuple(
            f"head.{name}" for name in ClassificationHead.output_layers
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits (clips, n_outputs) of segments (clips, bins, steps)."""
        return self.head(self.encoder(x))


class SingleViewCRNN(OneBranch):
    """A CRNN on one view: encoder and head of Figure 1, without the others.

    Parameters
    ----------
    views : mapping of str to (int, float or None)
        Number of bins and steps per second of the only view. One bin is a waveform and
        gets a `CRNN1d`, more a `CRNN2d`.
    n_outputs : int
        Number of classes.
    width : float, default=1.0
        Factor on filters, recurrent units and hidden units (512).
    attention : {"spatio-temporal", "temporal"}, default="spatio-temporal"
        Pooling over the recurrent outputs.
    dropout : float, default=0.0
        Dropout rate of convolution blocks, GRU and head.

    Attributes
    ----------
    config : dict
        Arguments of the constructor, as plain values: they make an equal network.

    See Also
    --------
    MultiViewCRNN : Several views.

    References
    ----------
    Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021, Section 2.1.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import SingleViewCRNN
    >>> net = SingleViewCRNN({"mel": (64, 50.0)}, 10, width=0.125)
    >>> net({"mel": torch.zeros(2, 64, 75)})["mel"].shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        views: Mapping[str, tuple[int, float | None]],
        n_outputs: int,
        *,
        width: float = 1.0,
        attention: str = "spatio-temporal",
        dropout: float = 0.0,
    ) -> None:
        ((_, rate),) = views.values()
        network = partial(
            CRNNWithHead, rate=rate, width=width, attention=attention, dropout=dropout
        )
        super().__init__(views, n_outputs, network)
        self.config = {
            "views": {name: list(view) for name, view in views.items()},
            "n_outputs": int(n_outputs),
            "width": float(width),
            "attention": attention,
            "dropout": float(dropout),
        }
