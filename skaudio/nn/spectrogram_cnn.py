"""The convolutional network on a spectrogram whose features Choi et al. listen to."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from skaudio.nn.blocks import Dropout, MaxPool, one_by_one
from skaudio.nn.layers import scaled
from skaudio.nn.softmax_autoencoder import DenseLayer

FILTERS = (64,) * 5
HIDDEN_SIZES = (256, 256)


class PooledConv(nn.Sequential):
    """A 3x3 convolution that keeps the size, ReLU, max-pooling by 2x2 and dropout.

    Pooling comes after ReLU, as deconvolution goes back through it: each of its maxima
    is a value that was rectified. Sizes are rounded down, but not below one.

    Parameters
    ----------
    n_in, n_out : int
        Maps in and out.
    pool : tuple of int, default=(2, 2)
        Pooling window and stride over (frequency, time).
    dropout : float, default=0.0
        Probability of dropping an output element.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn.spectrogram_cnn import PooledConv
    >>> PooledConv(1, 64)(torch.zeros(2, 1, 257, 173)).shape
    torch.Size([2, 64, 128, 86])
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        pool: tuple[int, int] = (2, 2),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.relu = nn.ReLU()
        self.pool = MaxPool(pool)
        self.dropout = Dropout(dropout)


class SpectrogramCNN(nn.Module):
    """Five 3x3 convolutions, each pooled by two, and two fully connected layers.

    An axis that has shrunk to one bin or frame is not pooled further, so that views
    with fewer than 32 of them pass as well. Weights start as torch has them: from
    larger ones, He's or Glorot's, plain magnitudes with their rare large values did not
    train.

    Parameters
    ----------
    n_bins, n_steps : int
        Bins and steps of a segment.
    n_outputs : int
        Number of classes (logits).
    filters : sequence of int, default=(64, 64, 64, 64, 64)
        Maps of every convolution.
    hidden_layer_sizes : sequence of int, default=(256, 256)
        Units of the fully connected layers, which the paper does not give.
    width : float, default=1.0
        Factor on all maps and units.
    dropout : float, default=0.5
        Probability of dropping an output of a pooled convolution or a fully connected
        layer.

    Attributes
    ----------
    map_sizes : list of tuple of int
        Bins and frames of the maps of every layer after pooling.
    hidden_layers : tuple of str
        Names of layers whose outputs are features, as in ``named_modules()``: the
        pooled convolutions and the fully connected layers.
    stages : tuple of tuple of str
        Names of all modules with parameters, from bottom to top.
    config : dict
        Arguments of the constructor, as plain values: they make an equal network.

    References
    ----------
    Choi, Kim, Fazekas and Sandler, "Auralisation of deep convolutional neural networks:
    listening to learned features", ISMIR 2015, late-breaking session.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import SpectrogramCNN
    >>> net = SpectrogramCNN(257, 173, 3)
    >>> sum(p.numel() for p in net.blocks.parameters())
    148352
    >>> net.map_sizes
    [(128, 86), (64, 43), (32, 21), (16, 10), (8, 5)]
    >>> net(torch.zeros(2, 257, 173)).shape
    torch.Size([2, 3])
    """

    output_layers = ("output",)

    def __init__(
        self,
        n_bins: int,
        n_steps: int,
        n_outputs: int,
        *,
        filters: Sequence[int] = FILTERS,
        hidden_layer_sizes: Sequence[int] = HIDDEN_SIZES,
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.config = {
            "n_bins": int(n_bins),
            "n_steps": int(n_steps),
            "n_outputs": int(n_outputs),
            "filters": [int(n) for n in filters],
            "hidden_layer_sizes": [int(n) for n in hidden_layer_sizes],
            "width": float(width),
            "dropout": float(dropout),
        }
        size, n_in = (int(n_bins), int(n_steps)), 1
        blocks, self.map_sizes = [], []
        for n_filters in filters:
            n_out = scaled(n_filters, width)
            pool = (min(2, size[0]), min(2, size[1]))
            size = (size[0] // pool[0], size[1] // pool[1])
            blocks.append(PooledConv(n_in, n_out, pool, dropout))
            self.map_sizes.append(size)
            n_in = n_out
        self.blocks = nn.Sequential(*blocks)
        n_in *= size[0] * size[1]
        hidden = []
        for n_hidden in hidden_layer_sizes:
            n_out = scaled(n_hidden, width)
            hidden.append(DenseLayer(n_in, n_out, "relu", dropout))
            n_in = n_out
        self.hidden = nn.Sequential(*hidden)
        self.output = nn.Linear(n_in, n_outputs)
        self.hidden_layers = (
            *(f"blocks.{i}" for i in range(len(blocks))),
            *(f"hidden.{i}" for i in range(len(hidden))),
        )
        self.stages = tuple((name,) for name in self.hidden_layers)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (clips, n_outputs) of segments (clips, n_bins, n_steps)."""
        return one_by_one(self._forward, x, training=self.training)

    def _forward(self, x: Tensor) -> Tensor:
        return self.output(self.hidden(self.blocks(x[:, None]).flatten(1)))
