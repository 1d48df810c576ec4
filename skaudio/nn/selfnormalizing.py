"""Self-normalising networks: fully connected layers with SELU and alpha dropout."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from skaudio.nn.blocks import Dropout

# SELU's limit for large negative inputs: minus its scale times its alpha
SATURATION = -1.7580993408473766


class AlphaDropout(Dropout):
    """Dropout that keeps mean and variance of standardised activations.

    Dropped elements are set to the lowest value of SELU, and everything is scaled and
    shifted so that activations of mean 0 and variance 1 stay so. As `Dropout`, it draws
    from its own generator.

    Parameters
    ----------
    p : float, default=0.5
        Probability of an element to be dropped.

    References
    ----------
    Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017, Section 2.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import AlphaDropout
    >>> AlphaDropout(p=0.5).eval()(torch.ones(2))
    tensor([1., 1.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements in training; leave them as they are otherwise."""
        if not self.training or self.p == 0:
            return x
        # zeros and elements times 1 / (1 - p), of what lies above the lowest value
        kept = super().forward(x - SATURATION) * (1 - self.p) + SATURATION
        scale = 1 / math.sqrt((1 - self.p) * (1 + self.p * SATURATION**2))
        return scale * (kept - self.p * SATURATION)


class SelfNormalizingNet(nn.Module):
    """Fully connected layers with SELU, which judge every frame on its own.

    A segment's logits are the mean of those of its frames.

    Parameters
    ----------
    n_bins : int
        Features of a frame.
    n_outputs : int
        Number of classes (logits).
    hidden_layer_sizes : sequence of int, default=(512, 256, 64)
        Units of the hidden layers.
    dropout : float, default=0.0
        Probability of dropping an output of a hidden layer.

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
    Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017: SELU, alpha
    dropout, and weights drawn with a variance of one over the number of inputs.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import SelfNormalizingNet
    >>> net = SelfNormalizingNet(60, 3)
    >>> sum(p.numel() for p in net.parameters())
    179203
    >>> net(torch.zeros(2, 60, 100)).shape, net.frames(torch.zeros(2, 60, 100)).shape
    (torch.Size([2, 3]), torch.Size([2, 3, 100]))
    """

    output_layers = ("output",)

    def __init__(
        self,
        n_bins: int,
        n_outputs: int,
        *,
        hidden_layer_sizes: Sequence[int] = (512, 256, 64),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = [int(size) for size in hidden_layer_sizes]
        self.config = {
            "n_bins": int(n_bins),
            "n_outputs": int(n_outputs),
            "hidden_layer_sizes": sizes,
            "dropout": float(dropout),
        }
        layers, n_in = [], n_bins
        for size in sizes:
            layers.append(
                nn.Sequential(nn.Linear(n_in, size), nn.SELU(), AlphaDropout(dropout))
            )
            n_in = size
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(n_in, n_outputs)
        self.hidden_layers = tuple(f"layers.{i}" for i in range(len(layers)))
        self.stages = tuple((name,) for name in self.hidden_layers)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (clips, n_outputs) of segments (clips, n_bins, frames)."""
        return self.frames(x).mean(-1)

    def frames(self, x: Tensor, window: int = 1) -> Tensor:
        """Logits (clips, n_outputs, frames) of every frame, whatever the window."""
        return self.output(self.layers(x.transpose(1, 2))).transpose(1, 2)

    def context(self, window: int = 1) -> tuple[int, int]:
        """Frames before and after a frame that its decision depends on: none."""
        return 0, 0


def _initialise(module: nn.Module) -> None:
    """LeCun's normal initialisation."""
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        nn.init.zeros_(module.bias)
