"""The audio side of COALA: its encoder and the network that it was compared with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from skaudio.nn.blocks import Dropout, OneBranch
from skaudio.nn.layers import scaled

N_FRAMES = 96  # of a patch, of as many bands
N_FILTERS, N_BLOCKS, N_TAGS = 128, 5, 1000
SIDE = N_FRAMES // 2**N_BLOCKS  # of what five halvings leave of a patch
DROPOUT = 0.25


class CoalaBlock(nn.Sequential):
    """Convolution that halves bands and frames, normalisation, ReLU and dropout."""

    def __init__(self, n_in: int, n_out: int, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 4, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(n_out)
        self.relu = nn.ReLU()
        self.dropout = Dropout(dropout)


class PatchScaling(nn.Module):
    """Scale and shift that depend on the time within a patch, as COALA's scaler has.

    The published scaler maps the range at every one of 96 frames, over all bands, to
    [0, 1]. Without one, patches stay as they are.
    """

    scale: Tensor
    minimum: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(N_FRAMES))
        self.register_buffer("minimum", torch.zeros(N_FRAMES))

    def forward(self, x: Tensor) -> Tensor:
        """Patches (..., 96 bands, 96 frames) to the same."""
        return x * self.scale + self.minimum


class PatchEncoder(nn.Module):
    """Scaling and five blocks that make one vector of a patch."""

    config: dict[str, int | float]  # arguments of the constructor

    def __init__(self, n_filters: int, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.scaling = PatchScaling()
        n_in = (1, *(n_filters,) * (N_BLOCKS - 1))
        self.blocks = nn.Sequential(*(CoalaBlock(n, n_filters, dropout) for n in n_in))
        self.n_features = n_filters * SIDE**2
        self.hidden_layers = tuple(f"blocks.{i}" for i in range(N_BLOCKS))

    def forward(self, x: Tensor) -> Tensor:
        """Patches (clips, 96, 96) of `CoalaInput` to embeddings z (clips, 1152)."""
        x = self.scaling(x).unsqueeze(1)  # (clips, 1, bands, frames)
        return self.blocks(x).flatten(1)


class CoalaAudioEncoder(PatchEncoder):
    """The audio encoder of COALA: five strided convolutions and an affine map.

    A patch of 96 bands by 96 frames becomes an embedding z of 1152 features, which are
    not negative; this is what the authors use for other tasks. The affine map to phi,
    which was aligned with tags in training, is applied by `aligned`.

    Parameters
    ----------
    n_filters : int, default=128
        Filters of every convolution; 9 times as many features.
    dropout : float, default=0.25
        Probability of dropping an output of a block or of an affine map, in training.

    Attributes
    ----------
    config : dict
        Arguments of the constructor that make a network like this one.
    n_features : int
        Size of the embedding.
    hidden_layers : tuple of str
        Names of the blocks from bottom to top, as in ``named_modules()``.
    scaling : Module
        Buffers ``scale`` and ``minimum`` with one number per frame of a patch: patches
        become ``x * scale + minimum`` first. 1 and 0 until set.

    See Also
    --------
    CoalaInput : The spectrogram that patches are cut from.
    Coala : The encoder with everything that it is trained with.
    CoalaCNN : The same blocks trained to predict tags.

    References
    ----------
    Favory et al., "COALA: Co-Aligned Autoencoders for Learning Semantically Enriched
    Audio Representations", ICML 2020 workshop on self-supervision in audio and speech,
    Section 2 and supplement.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import CoalaAudioEncoder
    >>> encoder = CoalaAudioEncoder()
    >>> encoder(torch.zeros(2, 96, 96)).shape
    torch.Size([2, 1152])
    >>> sum(p.numel() for p in encoder.parameters())
    2379648
    """

    def __init__(self, n_filters: int = N_FILTERS, dropout: float = DROPOUT) -> None:
        super().__init__(n_filters, dropout)
        self.config = {"n_filters": int(n_filters), "dropout": float(dropout)}
        self.affine = nn.Linear(self.n_features, self.n_features, bias=False)
        self.dropout = Dropout(dropout)

    def aligned(self, z: Tensor) -> Tensor:
        """Embeddings z (clips, 1152) to phi, which lie near those of their tags."""
        return self.dropout(self.affine(z))


class CoalaCNN(PatchEncoder):
    """The network that COALA is compared with: the same blocks, trained on tags.

    Parameters
    ----------
    n_outputs : int, default=1000
        Number of tags.
    n_filters : int, default=128
        Filters of every convolution; 9 times as many features.
    dropout : float, default=0.25
        Probability of dropping an output of a block or of an affine map, in training.

    Attributes
    ----------
    config : dict
        Arguments of the constructor that make a network like this one.
    n_features : int
        Size of the embedding.
    hidden_layers : tuple of str
        Names of the blocks from bottom to top, as in ``named_modules()``.
    scaling : Module
        As in `CoalaAudioEncoder`.

    References
    ----------
    Favory et al., "COALA", ICML 2020 workshop, Section 3.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import CoalaCNN
    >>> net = CoalaCNN(n_outputs=10, n_filters=8)
    >>> z = net(torch.zeros(2, 96, 96))
    >>> z.shape, net.logits(z).shape
    (torch.Size([2, 72]), torch.Size([2, 10]))
    """

    def __init__(
        self,
        n_outputs: int = N_TAGS,
        n_filters: int = N_FILTERS,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__(n_filters, dropout)
        self.config = {
            "n_outputs": int(n_outputs),
            "n_filters": int(n_filters),
            "dropout": float(dropout),
        }
        self.stages = (*((name,) for name in self.hidden_layers), ("fc1",))
        self.output_layers = ("output",)
        self.fc1 = nn.Linear(self.n_features, self.n_features)
        self.output = nn.Linear(self.n_features, n_outputs)

    def logits(self, z: Tensor) -> Tensor:
        """Embeddings z (clips, 1152) to logits of the tags."""
        return self.output(self.fc1(z).relu())


class CoalaTagger(OneBranch):
    """`CoalaCNN` behind the interface of classifiers: patches in, logits out.

    Parameters
    ----------
    views : mapping of str to (int, float or None)
        Number of bins and frames per second of the only view.
    n_outputs : int
        Number of classes or tags.
    width : float, default=1.0
        Factor on the number of filters (128).
    dropout : float, default=0.25
        Probability of dropping an output of a block, in training.

    Attributes
    ----------
    network : CoalaCNN
        What embeds patches; the last of the ``hidden_layers``.

    References
    ----------
    Favory et al., "COALA", ICML 2020 workshop, Section 3.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import CoalaTagger
    >>> net = CoalaTagger({"mel": (96, 43.0)}, n_outputs=10, width=0.1)
    >>> net({"mel": torch.zeros(2, 96, 96)})["mel"].shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        views: Mapping[str, tuple[int, float | None]],
        n_outputs: int,
        width: float = 1.0,
        dropout: float = DROPOUT,
    ) -> None:
        def network(n_bins: int, n_outputs: int) -> CoalaCNN:
            return CoalaCNN(n_outputs, scaled(N_FILTERS, width), dropout)

        super().__init__(views, n_outputs, network)
        self.hidden_layers = (*self.hidden_layers, "network")

    def forward(self, views: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits (clips, n_outputs) by name of the view."""
        (name,) = self.view_names
        network: CoalaCNN = self.network  # type: ignore[assignment]
        return {name: network.logits(network(views[name]))}
