"""Losses over dictionaries: outputs, targets and inputs by name, one value per term."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SAMPLE_WEIGHT = "sample_weight"  # among targets: weights (n_clips,) of clips


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

    class_weight: Tensor | None

    def __init__(
        self, class_weight: Tensor | None = None, target: str = "label"
    ) -> None:
        super().__init__()
        self.target = target
        self.register_buffer("class_weight", class_weight)

    def forward(
        self,
        outputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        inputs: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Mean loss of every branch of ``outputs``; ``inputs`` are not needed."""
        labels, of_clips = targets[self.target], targets.get(SAMPLE_WEIGHT)
        weight, share = self.class_weight, None
        if of_clips is not None:
            return self._weighted(outputs, labels, of_clips)
        if weight is not None and labels.ndim == 1:
            # a batch of classes without weight has no mean: its loss is zero
            has_weight = weight[labels].sum() > 0
            share = has_weight.to(weight.dtype)
            weight = torch.where(has_weight, weight, torch.ones_like(weight))
        losses = {
            name: F.cross_entropy(logits, labels, weight=weight)
            for name, logits in outputs.items()
        }
        return losses if share is None else {k: share * v for k, v in losses.items()}

    def _weighted(
        self, outputs: Mapping[str, Tensor], labels: Tensor, of_clips: Tensor
    ) -> dict[str, Tensor]:
        weight = self.class_weight
        total = of_clips
        if weight is not None and labels.ndim == 1:
            total = of_clips * weight[labels]
        return {
            name: _mean(
                F.cross_entropy(logits, labels, weight=weight, reduction="none"),
                of_clips,
                total,
            )
            for name, logits in outputs.items()
        }


class BranchTagEntropy(nn.Module):
    """Binary cross-entropy of every branch, mean over clips and tags that are known.

    Tags that are NaN are unknown, and count for nothing.

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
        self,
        outputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        inputs: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Mean loss of every branch of ``outputs``; ``inputs`` are not needed."""
        tags = targets[self.target].to(next(iter(outputs.values())).dtype)
        of_clips = targets.get(SAMPLE_WEIGHT)
        counts = ~tags.isnan()
        tags = torch.where(counts, tags, 0)
        weight = None
        if self.tag_weight is not None:  # tags may be shares of absent and present
            absent, present = self.tag_weight.unbind()
            weight = torch.lerp(absent.expand_as(tags), present.expand_as(tags), tags)
        shares = counts.to(tags.dtype)
        if of_clips is not None:
            shares = shares * of_clips[:, None].to(tags.dtype)
        return {
            name: _mean(
                F.binary_cross_entropy_with_logits(
                    logits, tags, weight=weight, reduction="none"
                ),
                shares,
            )
            for name, logits in outputs.items()
        }


class SoftCrossEntropy(nn.Module):
    """Cross-entropy of every branch with a teacher's probabilities and with classes.

    Parameters
    ----------
    temperature : float, default=1.0
        Divides the logits before the softmax; the teacher's probabilities must be at
        the same temperature.
    scaled : bool, default=True
        Whether the soft loss is multiplied by the squared temperature.
    alpha : float, default=0.9
        Share of the soft loss; the rest is that of the loss on classes.
    soft : str, default="teacher"
        Key of the probabilities (n_clips, n_classes) in the dictionary of targets.
    hard : str or None, default=None
        Key of the class indices, or of their shares; None leaves them out, and the
        soft loss is all there is.
    class_weight : tensor of shape (n_classes,) or None, default=None
        Weight of the clips of each class in the loss on classes.

    References
    ----------
    G. Hinton, O. Vinyals and J. Dean, "Distilling the knowledge in a neural network",
    2015, Section 2.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import SoftCrossEntropy
    >>> logits = {"mel": torch.zeros(2, 4)}
    >>> teacher = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    >>> SoftCrossEntropy()(logits, {"teacher": teacher})["mel"]
    tensor(1.3863)
    """

    def __init__(
        self,
        temperature: float = 1.0,
        scaled: bool = True,
        alpha: float = 0.9,
        soft: str = "teacher",
        hard: str | None = None,
        class_weight: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.scaled = scaled
        self.alpha = alpha
        self.soft = soft
        self.hard = None if hard is None else BranchCrossEntropy(class_weight, hard)

    def forward(
        self,
        outputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        inputs: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Mean loss of every branch of ``outputs``; ``inputs`` are not needed."""
        scale = self.temperature**2 if self.scaled else 1.0
        teacher = targets[self.soft]
        of_clips = targets.get(SAMPLE_WEIGHT)

        def compared(logits: Tensor) -> Tensor:
            z, p = logits / self.temperature, teacher.to(logits.dtype)
            if of_clips is None:
                return scale * F.cross_entropy(z, p)
            return scale * _mean(F.cross_entropy(z, p, reduction="none"), of_clips)

        soft = {name: compared(logits) for name, logits in outputs.items()}
        if self.hard is None:
            return soft
        hard = self.hard(outputs, targets)
        return {k: self.alpha * soft[k] + (1 - self.alpha) * hard[k] for k in soft}


def _mean(values: Tensor, weight: Tensor, total: Tensor | None = None) -> Tensor:
    """Weighted mean; ``total`` are the weights that it is divided by. Zero of nothing.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn.losses import _mean
    >>> _mean(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 1.0]))
    tensor(2.)
    """
    weight = weight.to(values.dtype)
    total = weight.sum() if total is None else total.to(values.dtype).sum()
    tiny = torch.finfo(values.dtype).tiny
    return (weight * values).sum() / total.clamp(min=tiny)


def blend(losses: Mapping[str, Tensor], weights: Tensor) -> Tensor:
    """Total loss: the weighted sum of its terms (Eq. 2 of Phan et al., ICASSP 2021).

    Parameters
    ----------
    losses : mapping of str to tensor
        Scalar loss of every term.
    weights : tensor of shape (n_terms,)
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
