"""Losses of COALA: reconstruction of patches and of tags, and their agreement."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CONTRASTS = ("nt-xent", "paper")
EPSILON = 1e-5  # what the authors add within logarithms
AUDIO, TAGS, CONTRAST = "audio", "tags", "contrast"  # terms of the loss


def generalized_kl(patches: Tensor, reconstructed: Tensor) -> Tensor:
    """Generalised Kullback-Leibler divergence of reconstructed patches (Eq. 4).

    ``y * (log(y + 1e-5) - log(r + 1e-5)) + r - y``, summed over the frames of a patch
    and averaged over clips and bands, as in the authors' code.

    Parameters
    ----------
    patches : Tensor of shape (n_clips, n_bands, n_frames)
        Patches ``y`` scaled to [0, 1]; what is below 0 is taken as 0.
    reconstructed : Tensor of shape (n_clips, n_bands, n_frames)
        Reconstructions ``r`` in [0, 1].

    Returns
    -------
    loss : Tensor
        A scalar; 0 where both are equal.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import generalized_kl
    >>> patch = torch.full((1, 96, 96), 0.5)
    >>> generalized_kl(patch, patch)
    tensor(0.)
    """
    y = patches.clamp(min=0)
    logs = (y + EPSILON).log() - (reconstructed + EPSILON).log()
    return (y * logs + reconstructed - y).sum(-1).mean()


def nt_xent(a: Tensor, b: Tensor, tau: float = 0.1) -> Tensor:
    """Normalised temperature-scaled cross-entropy of pairs, both ways.

    All 2n vectors of a batch are compared by their cosine. Each has to find its
    partner among the others, which may be of its own kind: the mean of
    ``-log(p + 1e-5)``, ``p`` being the partner's share of ``exp(cosine / tau)``.
    This is what COALA's published weights were trained with.

    Parameters
    ----------
    a, b : Tensor of shape (n_clips, n_features)
        The two sides of every pair.
    tau : float, default=0.1
        Temperature.

    Returns
    -------
    loss : Tensor
        A scalar.

    References
    ----------
    Chen et al., "A simple framework for contrastive learning of visual
    representations", ICML 2020, for the loss; the constant is COALA's.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import nt_xent
    >>> pairs = torch.eye(2, dtype=torch.float64)  # orthogonal
    >>> nt_xent(pairs, pairs)
    tensor(8.0795e-05, dtype=torch.float64)
    """
    n = len(a)
    stacked = F.normalize(torch.cat([a, b]), dim=1)
    similarities = stacked @ stacked.T / tau
    similarities.fill_diagonal_(-torch.inf)
    partners = torch.arange(2 * n, device=a.device).roll(n)
    shares = similarities.log_softmax(1).gather(1, partners[:, None]).exp()
    return -(shares + EPSILON).log().mean()


def paired_contrast(a: Tensor, b: Tensor, tau: float = 0.1) -> Tensor:
    """Contrastive loss of the COALA paper, from sounds to tags only (Eq. 10).

    The sum over clips of ``-log`` of ``exp(cosine / tau)`` of a clip and its own tags
    over the sum of those of the clip and all others' tags. As its own tags are not
    among these, the loss may be negative.

    Parameters
    ----------
    a : Tensor of shape (n_clips, n_features)
        Embeddings of clips. One alone has nothing to be compared with: its loss is 0.
    b : Tensor of shape (n_clips, n_features)
        Those of their tags.
    tau : float, default=0.1
        Temperature.

    Returns
    -------
    loss : Tensor
        A scalar.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import paired_contrast
    >>> paired_contrast(torch.eye(2), torch.eye(2))  # orthogonal pairs
    tensor(-20.)
    """
    similarities = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / tau
    if len(a) == 1:
        return 0 * similarities.sum()
    own = similarities.diagonal()
    itself = torch.eye(len(a), dtype=torch.bool, device=a.device)
    others = similarities.masked_fill(itself, -torch.inf).logsumexp(1)
    return (others - own).sum()


class CoalaLoss(nn.Module):
    """The terms of COALA's loss (Eq. 13) for what `Coala` gives.

    Parameters
    ----------
    contrastive : {"nt-xent", "paper"}, default="nt-xent"
        `nt_xent`, as in the authors' code, or `paired_contrast`, as in the paper.
    tau : float, default=0.1
        Temperature of the contrast.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import Coala, CoalaLoss
    >>> net = Coala({"mel": (96, 43.0)}, n_tags=20, width=0.1)
    >>> inputs = {"mel": torch.rand(4, 96, 96), "tags": torch.eye(20)[:4]}
    >>> sorted(CoalaLoss()(net(inputs), inputs, inputs))
    ['audio', 'contrast', 'tags']
    """

    def __init__(self, contrastive: str = "nt-xent", tau: float = 0.1) -> None:
        super().__init__()
        self.compare = nt_xent if contrastive == "nt-xent" else paired_contrast
        self.tau = tau

    def forward(
        self,
        outputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        inputs: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """One loss for every term whose outputs are there; ``inputs`` are not needed.

        ``targets["tags"]`` are the indicators (n_clips, n_tags).
        """
        losses = {}
        if "patch" in outputs:
            losses[AUDIO] = generalized_kl(outputs["scaled"], outputs["patch"])
        if "tag_logits" in outputs:
            logits = outputs["tag_logits"]
            tags = targets[TAGS].to(logits.dtype)
            losses[TAGS] = F.binary_cross_entropy_with_logits(logits, tags)
        both = outputs["aligned"], outputs["aligned_tags"]
        losses[CONTRAST] = self.compare(*both, self.tau)
        return losses
