"""COALA whole: two autoencoders, of patches and of tags, that learn to agree."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from skaudio.nn.blocks import Dropout
from skaudio.nn.coala import (
    DROPOUT,
    N_BLOCKS,
    N_FILTERS,
    N_TAGS,
    SIDE,
    CoalaAudioEncoder,
)
from skaudio.nn.layers import scaled

N_HIDDEN = 512  # units of the hidden layers of tags
TAGS = "tags"  # name of the indicators among the inputs of a network


class CoalaAudioDecoder(nn.Module):
    """From embeddings of patches back to patches, scaled to [0, 1].

    Five transposed convolutions that double bands and frames, the mirror image of
    `CoalaAudioEncoder`. The last one ends in normalisation and a sigmoid, as in the
    authors' code; by the paper's text it is a ReLU.

    Parameters
    ----------
    n_filters : int, default=128
        Filters of every convolution but the last, which has one.
    dropout : float, default=0.25
        Probability of dropping an input of the first four, in training.

    References
    ----------
    Favory et al., "COALA", ICML 2020 workshop, Section 2.1 and supplement.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import CoalaAudioDecoder
    >>> decoder = CoalaAudioDecoder()
    >>> decoder(torch.zeros(2, 1152)).shape
    torch.Size([2, 96, 96])
    >>> sum(p.numel() for p in decoder.parameters())
    1052163
    """

    def __init__(self, n_filters: int = N_FILTERS, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.config = {"n_filters": int(n_filters), "dropout": float(dropout)}
        self.n_filters = n_filters
        self.blocks = nn.Sequential(
            *(_Doubling(n_filters, dropout) for _ in range(N_BLOCKS - 1))
        )
        self.deconv = nn.ConvTranspose2d(n_filters, 1, 4, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, z: Tensor) -> Tensor:
        """Embeddings z (clips, 1152) to patches (clips, 96, 96) in [0, 1]."""
        x = self.blocks(z.unflatten(1, (self.n_filters, SIDE, SIDE)))
        patches: Tensor = self.norm(self.deconv(x)).sigmoid().squeeze(1)
        return patches


class _Doubling(nn.Sequential):
    """Dropout, transposed convolution, normalisation and ReLU."""

    def __init__(self, n_filters: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        # not `conv`: what is folded for inference is a convolution
        self.deconv = nn.ConvTranspose2d(n_filters, n_filters, 4, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(n_filters)
        self.relu = nn.ReLU()


class _Dense(nn.Sequential):
    """Linear layer, normalisation, ReLU and dropout."""

    def __init__(self, n_in: int, n_out: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.norm = nn.BatchNorm1d(n_out)
        self.relu = nn.ReLU()
        self.dropout = Dropout(dropout)


class CoalaTagEncoder(nn.Module):
    """The tag encoder of COALA: three linear layers and an affine map.

    Parameters
    ----------
    n_tags : int, default=1000
        Size of the vocabulary.
    n_features : int, default=1152
        Size of an embedding, that of the audio encoder.
    n_hidden : int, default=512
        Units of both hidden layers.
    dropout : float, default=0.25
        Probability of dropping an output of a layer or of the affine map, in training.

    Attributes
    ----------
    config : dict
        Arguments of the constructor that make a network like this one.

    References
    ----------
    Favory et al., "COALA", ICML 2020 workshop, Section 2.1 and supplement.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import CoalaTagEncoder
    >>> encoder = CoalaTagEncoder()
    >>> z = encoder(torch.eye(1000)[:2])
    >>> z.shape, encoder.aligned(z).shape
    (torch.Size([2, 1152]), torch.Size([2, 1152]))
    >>> sum(p.numel() for p in encoder.parameters())
    2697600
    """

    def __init__(
        self,
        n_tags: int = N_TAGS,
        n_features: int = N_FILTERS * SIDE**2,
        n_hidden: int = N_HIDDEN,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        sizes = {"n_tags": n_tags, "n_features": n_features, "n_hidden": n_hidden}
        self.config: dict[str, int | float] = {k: int(n) for k, n in sizes.items()}
        self.config |= {"dropout": float(dropout)}
        self.n_features = n_features
        self.blocks = nn.Sequential(
            _Dense(n_tags, n_hidden, dropout),
            _Dense(n_hidden, n_hidden, dropout),
            _Dense(n_hidden, n_features, dropout),
        )
        self.affine = nn.Linear(n_features, n_features, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, tags: Tensor) -> Tensor:
        """Indicators (clips, n_tags) to embeddings z (clips, 1152), not negative."""
        z: Tensor = self.blocks(tags.to(self.affine.weight.dtype))
        return z

    def aligned(self, z: Tensor) -> Tensor:
        """Embeddings z (clips, 1152) to phi, which lie near those of their sounds."""
        return self.dropout(self.affine(z))


class CoalaTagDecoder(nn.Module):
    """From embeddings of tags back to tags: three linear layers.

    Parameters
    ----------
    n_tags : int, default=1000
        Size of the vocabulary.
    n_features : int, default=1152
        Size of an embedding.
    n_hidden : int, default=512
        Units of both hidden layers.
    dropout : float, default=0.25
        Probability of dropping an output of the first layer, in training.

    References
    ----------
    Favory et al., "COALA", ICML 2020 workshop, Section 2.1 and supplement.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import CoalaTagDecoder
    >>> decoder = CoalaTagDecoder()
    >>> decoder(torch.zeros(2, 1152)).shape
    torch.Size([2, 1000])
    >>> sum(p.numel() for p in decoder.parameters())
    1370040
    """

    def __init__(
        self,
        n_tags: int = N_TAGS,
        n_features: int = N_FILTERS * SIDE**2,
        n_hidden: int = N_HIDDEN,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        sizes = {"n_tags": n_tags, "n_features": n_features, "n_hidden": n_hidden}
        self.config: dict[str, int | float] = {k: int(n) for k, n in sizes.items()}
        self.config |= {"dropout": float(dropout)}
        self.blocks = nn.Sequential(
            _Dense(n_features, n_hidden, dropout), _Dense(n_hidden, n_hidden, 0.0)
        )
        self.linear = nn.Linear(n_hidden, n_tags)
        self.norm = nn.BatchNorm1d(n_tags)

    def forward(self, z: Tensor) -> Tensor:
        """Embeddings z (clips, 1152) to logits (clips, n_tags)."""
        logits: Tensor = self.norm(self.linear(self.blocks(z)))
        return logits


class Coala(nn.Module):
    """Co-aligned autoencoders of patches and of tags.

    Parameters
    ----------
    views : mapping of str to (int, float or None)
        Number of bins and frames per second of the only view.
    n_tags : int, default=1000
        Size of the vocabulary.
    width : float, default=1.0
        Factor on the number of filters (128) and of hidden units of tags (512).
    dropout : float, default=0.25
        Probability of dropping an output of a layer, in training.
    decodes_audio, decodes_tags : bool, default=True
        Whether patches and tags are reconstructed. A decoder that is not needed exists,
        but takes no part in training.

    Attributes
    ----------
    hidden_layers : tuple of str
        Names of the blocks of the audio encoder, then of the encoder itself.

    References
    ----------
    Favory et al., "COALA: Co-Aligned Autoencoders for Learning Semantically Enriched
    Audio Representations", ICML 2020 workshop on self-supervision in audio and speech,
    Section 2 and Figure 1.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import Coala
    >>> net = Coala({"mel": (96, 43.0)}, n_tags=20, width=0.1)
    >>> patches, tags = torch.rand(4, 96, 96), torch.eye(20)[:4]
    >>> outputs = net({"mel": patches, "tags": tags})
    >>> {name: tuple(output.shape) for name, output in outputs.items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'embedding': (4, 117), 'aligned': (4, 117), 'scaled': (4, 96, 96),
     'patch': (4, 96, 96), 'aligned_tags': (4, 117), 'tag_logits': (4, 20)}
    """

    def __init__(
        self,
        views: Mapping[str, tuple[int, float | None]],
        n_tags: int = N_TAGS,
        width: float = 1.0,
        dropout: float = DROPOUT,
        decodes_audio: bool = True,
        decodes_tags: bool = True,
    ) -> None:
        super().__init__()
        (self.view,) = views
        self.decodes_audio, self.decodes_tags = decodes_audio, decodes_tags
        n_filters, n_hidden = scaled(N_FILTERS, width), scaled(N_HIDDEN, width)
        self.audio_encoder = CoalaAudioEncoder(n_filters, dropout)
        n_features = self.audio_encoder.n_features
        self.tag_encoder = CoalaTagEncoder(n_tags, n_features, n_hidden, dropout)
        self.audio_decoder = CoalaAudioDecoder(n_filters, dropout)
        self.tag_decoder = CoalaTagDecoder(n_tags, n_features, n_hidden, dropout)
        inside = self.audio_encoder.hidden_layers
        self.hidden_layers = (
            *(f"audio_encoder.{name}" for name in inside),
            "audio_encoder",
        )

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Patches (clips, 96, 96), and tags (clips, n_tags) in training, to embeddings.

        Without tags: ``embedding``, z of the audio, and ``aligned``, its phi. With
        tags, what the loss compares as well: ``scaled`` and ``patch``, the patch and
        its reconstruction; ``aligned_tags``, phi of the tags; ``tag_logits``.
        """
        patches = inputs[self.view]
        z = self.audio_encoder(patches)
        outputs = {"embedding": z, "aligned": self.audio_encoder.aligned(z)}
        if TAGS not in inputs:
            return outputs
        if self.decodes_audio:
            outputs["scaled"] = self.audio_encoder.scaling(patches)
            outputs["patch"] = self.audio_decoder(z)
        of_tags = self.tag_encoder(inputs[TAGS])
        outputs["aligned_tags"] = self.tag_encoder.aligned(of_tags)
        if self.decodes_tags:
            outputs["tag_logits"] = self.tag_decoder(of_tags)
        return outputs
