"""The multi-view network: one encoder and one head per view, and a joint head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest

import torch
from torch import Tensor, nn

from skaudio.nn.blocks import ClassificationHead, below
from skaudio.nn.crnn import N_HIDDEN, crnn
from skaudio.nn.layers import scaled

N_JOINT_HIDDEN = 4096
JOINT = "joint"


class MultiViewCRNN(nn.Module):
    """Branches on single-view embeddings and on their concatenation (Figure 1).

    Parameters
    ----------
    views : mapping of str to (int, float or None)
        Number of bins and steps per second of every view. A view with one bin is a
        waveform and gets a `CRNN1d`, others a `CRNN2d`.
    n_outputs : int
        Number of classes.
    branches : {"all", "joint"}, default="all"
        Heads to build: every view's and the joint one, or the joint one only (plain
        concatenation).
    width : float, default=1.0
        Factor on filters, recurrent units and hidden units (512 per view, 4096 joint).
    attention : {"spatio-temporal", "temporal"}, default="spatio-temporal"
        Pooling over the recurrent outputs.
    dropout : float, default=0.0
        Dropout rate of convolution blocks, GRUs and heads.

    Attributes
    ----------
    branch_names : tuple of str
        Names of the branches, the joint one last.
    decision : str
        Name of the branch whose decisions count in model selection: the joint one.
    hidden_layers : tuple of str
        Names of layers whose outputs are features, as in ``named_modules()``: blocks
        and pooling of every view, then the hidden layers of every head.
    stages : tuple of tuple of str
        Names of all modules with parameters below the outputs, from bottom to top:
        those of all views side by side, then those of all heads.
    output_layers : tuple of str
        Names of the layers whose outputs are logits.
    config : dict
        Arguments of the constructor, as plain values: they make an equal network.

    References
    ----------
    Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021, Section 2.1.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import MultiViewCRNN
    >>> net = MultiViewCRNN({"mel": (64, 50.0), "cqt": (84, 43.1)}, 10, width=0.125)
    >>> out = net({"mel": torch.zeros(2, 64, 75), "cqt": torch.zeros(2, 84, 65)})
    >>> {name: tuple(logits.shape) for name, logits in out.items()}
    {'mel': (2, 10), 'cqt': (2, 10), 'joint': (2, 10)}
    """

    def __init__(
        self,
        views: Mapping[str, tuple[int, float | None]],
        n_outputs: int,
        *,
        branches: str = "all",
        width: float = 1.0,
        attention: str = "spatio-temporal",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.view_names = tuple(views)
        options = {"width": width, "attention": attention, "dropout": dropout}
        self.config = {
            "views": {name: list(view) for name, view in views.items()},
            "n_outputs": int(n_outputs),
            "branches": branches,
            **options,
        }
        # a ModuleList, because a user's view name may clash with a module's attribute
        self.encoders = nn.ModuleList(
            crnn(n_bins, rate=rate, **options) for n_bins, rate in views.values()
        )
        sizes = [int(e.n_features) for e in self.encoders]  # type: ignore[arg-type]
        heads: dict[str, nn.Module] = {}
        if branches != JOINT:
            n_hidden = scaled(N_HIDDEN, width)
            for name, size in zip(self.view_names, sizes, strict=True):
                heads[name] = ClassificationHead(size, n_hidden, n_outputs, dropout)
        n_hidden = scaled(N_JOINT_HIDDEN, width)
        heads[JOINT] = ClassificationHead(sum(sizes), n_hidden, n_outputs, dropout)
        self.branch_names = tuple(heads)
        self.decision = JOINT
        self.heads = nn.ModuleList(heads.values())
        self._name_layers()

    def _name_layers(self) -> None:
        """Set the attributes that name layers: hidden layers, stages, output layers."""
        encoders = [
            f"encoders.{i}.{name}"
            for i, encoder in enumerate(self.encoders)
            for name in encoder.hidden_layers  # type: ignore[union-attr]
        ]
        heads = [f"heads.{i}" for i in range(len(self.heads))]
        head = ClassificationHead
        relus = [f"{name}.{relu}" for name in heads for relu in head.hidden_layers]
        self.hidden_layers = (*encoders, *relus)
        self.output_layers = tuple(f"{name}.{head.output_layers[0]}" for name in heads)
        of_encoders = [
            below(f"encoders.{i}", encoder.stages)  # type: ignore[arg-type]
            for i, encoder in enumerate(self.encoders)
        ]
        of_heads = [below(name, head.stages) for name in heads]
        self.stages = (*_side_by_side(of_encoders), *_side_by_side(of_heads))

    def embeddings(self, views: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Embedding (clips, n_features) of every view's segment."""
        return {
            name: encoder(views[name])
            for name, encoder in zip(self.view_names, self.encoders, strict=True)
        }

    def forward(self, views: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits (clips, n_outputs) of every branch for segments of all views."""
        embeddings = self.embeddings(views)
        joint = torch.cat(list(embeddings.values()), dim=1)
        inputs = embeddings | {JOINT: joint}
        return {
            name: head(inputs[name])
            for name, head in zip(self.branch_names, self.heads, strict=True)
        }


def _side_by_side(
    parts: Sequence[tuple[tuple[str, ...], ...]],
) -> tuple[tuple[str, ...], ...]:
    """Stages of several networks as stages of one."""
    return tuple(
        tuple(chain.from_iterable(stage)) for stage in zip_longest(*parts, fillvalue=())
    )
