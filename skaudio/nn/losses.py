"""Losses over dictionaries: one value per branch, from outputs and named targets."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BranchCrossEntropy(nn.Module):
    """Categorical cross-entropy of every branch (Eq. 1 of Phan et al., ICASSP 2021).

    Parameters
    ----------
    class_weight : tensor of shape (n_classes,) or None, default=None
        Weight of the clips of each class; losses are weighted means.
    target : str, default="label"
        Key of the class indices in the dictionary of targets.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import BranchCrossEntropy
    >>> logits = {"mel": torch.zeros(2, 4)}
    >>> BranchCrossEntropy()(logits, {"label": torch.tensor([0, 3])})["mel"]
    tensor(1.3863)
    """

    def __init__(
        self, class_weight: Tensor | None = None, target: str = "label"
    ) -> None:
        super().__init__()
        self.target = target
        self.register_buffer("class_weight", class_weight)

    def forward(
        self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Mean loss of every branch of ``outputs``."""
        labels = targets[self.target]
        weight = self.class_weight
        return {
            name: F.cross_entropy(logits, labels, weight=weight)  # type: ignore[arg-type]
            for name, logits in outputs.items()
        }


class BranchTagEntropy(nn.Module):
    """Binary cross-entropy of every branch, mean over clips and tags.

    Parameters
    ----------
    tag_weight : tensor of shape (2, n_tags) or None, default=None
        Weights of absent (row 0) and present tags (row 1).
    target : str, default="label"
        Key of the indicators (n_clips, n_tags) in the dictionary of targets.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import BranchTagEntropy
    >>> logits = {"mel": torch.zeros(2, 4)}
    >>> BranchTagEntropy()(logits, {"label": torch.ones(2, 4)})["mel"]
    tensor(0.6931)
    """

    tag_weight: Tensor | None

    def __init__(self, tag_weight: Tensor | None = None, target: str = "label") -> None:
        super().__init__()
        self.target = target
        self.register_buffer("tag_weight", tag_weight)

    def forward(
        self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Mean loss of every branch of ``outputs``."""
        tags = targets[self.target].to(next(iter(outputs.values())).dtype)
        weight = None
        if self.tag_weight is not None:  # tags may be shares of absent and present
            absent, present = self.tag_weight.unbind()
            weight = torch.lerp(absent.expand_as(tags), present.expand_as(tags), tags)
        return {
            name: F.binary_cross_entropy_with_logits(logits, tags, weight=weight)
            for name, logits in outputs.items()
        }


def blend(losses: Mapping[str, Tensor], weights: Tensor) -> Tensor:
    """Total loss: the weighted sum of the branches' losses (Eq. 2).

    Parameters
    ----------
    losses : mapping of str to tensor
        Scalar loss of every branch.
    weights : tensor of shape (n_branches,)
        Weights in the same order.

    Returns
    -------
    loss : tensor
        A scalar.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import blend
    >>> losses = {"mel": torch.tensor(2.0), "joint": torch.tensor(4.0)}
    >>> blend(losses, torch.tensor([0.25, 0.75]))
    tensor(3.5000)
    """
    return torch.dot(torch.stack(list(losses.values())), weights)
