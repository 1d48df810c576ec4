"""Fully connected networks of Sawhney et al.: autoencoders with and without classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from skaudio.nn.blocks import Dropout, OneBranchOfLength
from skaudio.nn.losses import SAMPLE_WEIGHT

ENCODER_SIZES = (256, 192, 128, 64)
HEAD_SIZES = (32, 16)
CODES, RECONSTRUCTION, CLASSIFICATION = "codes", "reconstruction", "classification"

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "linear": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
# of layers from the first on; those after them have ReLU
OF_ENCODER, OF_DECODER = ("sigmoid", "tanh"), ("sigmoid", "sigmoid")
DROPPED = 1  # place of the layer whose outputs are dropped, in encoder and decoder


class DenseLayer(nn.Module):
    """A fully connected layer, its activation, and dropout of its outputs.

    Parameters
    ----------
    n_in, n_out : int
        Features in and out.
    activation : {"relu", "linear", "sigmoid", "tanh"}, default="relu"
        What becomes of the sums.
    dropout : float, default=0.0
        Probability of dropping an output.
    """

    def __init__(
        self, n_in: int, n_out: int, activation: str = "relu", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (clips, n_in) to (clips, n_out)."""
        return self.dropout(self.activation(self.linear(x)))


def _by_place(first: Sequence[str], n_layers: int) -> list[str]:
    """Activations of layers: the given ones, then ReLU."""
    return [*first, *["relu"] * n_layers][:n_layers]


def _stack(
    sizes: Sequence[int], activations: Sequence[str], dropout: float
) -> nn.Sequential:
    """Layers between ``sizes`` features; outputs of the last one are never dropped."""
    layers = []
    for i, activation in enumerate(activations):
        is_dropped = i == DROPPED and i < len(activations) - 1
        p = dropout if is_dropped else 0.0
        layers.append(DenseLayer(sizes[i], sizes[i + 1], activation, p))
    return nn.Sequential(*layers)


class Autoencoder(nn.Module):
    """The vanilla autoencoder: fully connected layers to a code, and back.

    Activations go by the place of a layer: sigmoid, tanh, then ReLU in the encoder, two
    times sigmoid, then ReLU in the decoder, whose last layer has its own. Codes of two
    or more layers are therefore not negative.

    Parameters
    ----------
    n_bins, n_steps : int
        Bins and steps of a segment; all its values are one vector.
    encoder_sizes : sequence of int, default=(256, 192, 128, 64)
        Outputs of the encoder's layers; the last ones are the code. The decoder has the
        same sizes in reverse.
    output_activation : {"relu", "linear", "sigmoid", "tanh"}, default="relu"
        Of the reconstruction. ReLU is the authors' own, which cannot make a negative
        sample: half of a waveform. "linear" can make all values.
    dropout : float, default=0.1
        Probability of dropping an output of the second layers of encoder and decoder.
        Codes and reconstructions are never dropped.

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
    Sawhney, Vasavada and Wang, "Latent Feature Extraction for Musical Genres from Raw
    Audio", 2018, Section 4.2. The sizes of Figure 2 are those of the authors' code.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import Autoencoder
    >>> net = Autoencoder(1, 500)
    >>> sum(p.numel() for p in net.parameters())
    421556
    >>> outputs = net(torch.zeros(2, 1, 500))
    >>> outputs["codes"].shape, outputs["reconstruction"].shape
    (torch.Size([2, 64]), torch.Size([2, 1, 500]))
    """

    output_layers: tuple[str, ...] = ()

    def __init__(
        self,
        n_bins: int,
        n_steps: int,
        *,
        encoder_sizes: Sequence[int] = ENCODER_SIZES,
        output_activation: str = "relu",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        sizes = [int(n_bins) * int(n_steps), *map(int, encoder_sizes)]
        self.config: dict[str, Any] = {
            "n_bins": int(n_bins),
            "n_steps": int(n_steps),
            "encoder_sizes": sizes[1:],
            "output_activation": output_activation,
            "dropout": float(dropout),
        }
        self.n_features = sizes[-1]
        n_layers = len(sizes) - 1
        self.encoder = _stack(sizes, _by_place(OF_ENCODER, n_layers), dropout)
        back = [*_by_place(OF_DECODER, n_layers - 1), output_activation]
        self.decoder = _stack(sizes[::-1], back, dropout)
        self.hidden_layers = tuple(f"encoder.{i}" for i in range(n_layers))
        *lower, top = self.hidden_layers
        self.stages: tuple[tuple[str, ...], ...] = (
            *((name,) for name in lower),
            (top, "decoder"),
        )
        self.apply(_initialise)

    def decode(self, codes: Tensor) -> Tensor:
        """Segments (clips, bins, steps) of codes (clips, n_features)."""
        shape = self.config["n_bins"], self.config["n_steps"]
        return self.decoder(codes).unflatten(1, shape)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Codes, and their reconstruction, of segments (clips, bins, steps)."""
        codes = self.encoder(x.flatten(1))
        return {CODES: codes, RECONSTRUCTION: self.decode(codes)}


class SoftmaxAutoencoder(Autoencoder):
    """The Deep Softmax Autoencoder: an autoencoder whose codes are classified as well.

    Parameters
    ----------
    n_bins, n_steps : int
        Bins and steps of a segment; all its values are one vector.
    n_outputs : int
        Number of classes (logits).
    encoder_sizes : sequence of int, default=(256, 192, 128, 64)
        Outputs of the encoder's layers; the last ones are the code. The decoder has the
        same sizes in reverse.
    head_sizes : sequence of int, default=(32, 16)
        Units of the classifier's hidden layers, which have tanh.
    output_activation : {"relu", "linear", "sigmoid", "tanh"}, default="relu"
        Of the reconstruction, see `Autoencoder`.
    dropout : float, default=0.1
        Probability of dropping an output of the second layers of encoder and decoder.

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
    Sawhney, Vasavada and Wang, "Latent Feature Extraction for Musical Genres from Raw
    Audio", 2018, Section 4.3, Figure 2.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import SoftmaxAutoencoder
    >>> net = SoftmaxAutoencoder(1, 500, 4)
    >>> sum(p.numel() for p in net.parameters())
    424232
    >>> {k: tuple(v.shape) for k, v in net(torch.zeros(2, 1, 500)).items()}
    {'codes': (2, 64), 'reconstruction': (2, 1, 500), 'classification': (2, 4)}
    """

    output_layers = ("output",)

    def __init__(
        self,
        n_bins: int,
        n_steps: int,
        n_outputs: int,
        *,
        encoder_sizes: Sequence[int] = ENCODER_SIZES,
        head_sizes: Sequence[int] = HEAD_SIZES,
        output_activation: str = "relu",
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            n_bins,
            n_steps,
            encoder_sizes=encoder_sizes,
            output_activation=output_activation,
            dropout=dropout,
        )
        sizes = [self.n_features, *map(int, head_sizes)]
        self.config |= {"n_outputs": int(n_outputs), "head_sizes": sizes[1:]}
        self.head = nn.Sequential(
            *(DenseLayer(*pair, "tanh") for pair in pairwise(sizes))
        )
        self.output = nn.Linear(sizes[-1], n_outputs)
        of_head = tuple(f"head.{i}" for i in range(len(sizes) - 1))
        self.hidden_layers = (*self.hidden_layers, *of_head)
        self.stages = (*self.stages, *((name,) for name in of_head))
        self.head.apply(_initialise)
        _initialise(self.output)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Codes, reconstructions and logits of segments (clips, bins, steps)."""
        outputs = super().forward(x)
        return outputs | {CLASSIFICATION: self.output(self.head(outputs[CODES]))}


class TwoLayerNet(nn.Module):
    """One hidden layer with tanh, and a linear output.

    Parameters
    ----------
    n_bins, n_steps : int
        Bins and steps of a segment; all its values are one vector.
    n_outputs : int
        Number of classes (logits).
    n_hidden : int, default=128
        Hidden units.
    dropout : float, default=0.0
        Probability of dropping a hidden unit.

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
    Sawhney, Vasavada and Wang, "Latent Feature Extraction for Musical Genres from Raw
    Audio", 2018, Section 4.1.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import TwoLayerNet
    >>> net = TwoLayerNet(1, 500, 4)
    >>> sum(p.numel() for p in net.parameters())
    64644
    >>> net(torch.zeros(2, 1, 500)).shape
    torch.Size([2, 4])
    """

    hidden_layers = ("hidden",)
    stages = (("hidden",),)
    output_layers = ("output",)

    def __init__(
        self,
        n_bins: int,
        n_steps: int,
        n_outputs: int,
        *,
        n_hidden: int = 128,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.config = {
            "n_bins": int(n_bins),
            "n_steps": int(n_steps),
            "n_outputs": int(n_outputs),
            "n_hidden": int(n_hidden),
            "dropout": float(dropout),
        }
        self.hidden = DenseLayer(n_bins * n_steps, n_hidden, "tanh", dropout)
        self.output = nn.Linear(n_hidden, n_outputs)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (clips, n_outputs) of segments (clips, bins, steps)."""
        return self.output(self.hidden(x.flatten(1)))


class AutoencoderOnView(OneBranchOfLength):
    """An autoencoder on one view, with classes if there are outputs for them.

    Parameters
    ----------
    views : mapping of str to (int, float or None)
        Number of bins and steps per second of the only view.
    n_steps : mapping of str to int
        Steps of a segment of the view.
    n_outputs : int, default=0
        Number of classes; 0 makes an `Autoencoder`, others a `SoftmaxAutoencoder`.
    **options : dict
        Those of the network.
    """

    def __init__(
        self,
        views: Mapping[str, tuple[int, float | None]],
        n_steps: Mapping[str, int],
        n_outputs: int = 0,
        **options: Any,
    ) -> None:
        def network(n_bins: int, n: int, n_outputs: int) -> nn.Module:
            if not n_outputs:
                return Autoencoder(n_bins, n, **options)
            return SoftmaxAutoencoder(n_bins, n, n_outputs, **options)

        super().__init__(views, n_outputs, network, n_steps)
        self.branch_names = (CLASSIFICATION,) if n_outputs else ()
        self.decision = CLASSIFICATION

    def forward(self, views: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Codes, reconstructions and logits, by name."""
        (name,) = self.view_names
        outputs: dict[str, Tensor] = self.network(views[name])
        return outputs


def _initialise(module: nn.Module) -> None:
    """Glorot's uniform initialisation, and no biases."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


class SquaredError(nn.Module):
    """Squared error of what an autoencoder makes of its input (Equation 2).

    Parameters
    ----------
    reduction : {"mean", "sum"}, default="mean"
        Over the values of a clip: their mean, as in the authors' code, or their sum,
        as in the paper's equation, which for 500 values is 500 times as large. The loss
        is the mean over clips in any case.

    Attributes
    ----------
    terms : tuple of str
        Name of the only loss, "reconstruction".

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import SquaredError
    >>> x = torch.ones(2, 1, 500)
    >>> outputs = {"reconstruction": torch.zeros_like(x)}
    >>> SquaredError(reduction="sum")(outputs, {}, {"raw": x})["reconstruction"]
    tensor(500.)
    """

    terms = (RECONSTRUCTION,)

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(
        self,
        outputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        inputs: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Compare the reconstruction with the view, the first of ``inputs``."""
        view = next(iter(inputs.values()))
        errors = (outputs[RECONSTRUCTION] - view).square()
        of_clips = targets.get(SAMPLE_WEIGHT)
        if of_clips is not None:
            share = (of_clips / of_clips.sum()).to(errors.dtype)
            errors = errors * (len(share) * share)[:, None, None]
        loss = errors.mean() if self.reduction == "mean" else errors.sum() / len(errors)
        return {RECONSTRUCTION: loss}
