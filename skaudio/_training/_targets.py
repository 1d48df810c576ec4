"""`Target`: what a network is trained to do, one protocol for the trainer.

The estimator chooses it; the trainer depends on nothing else about the task. Class
labels and tags are in ``_labels``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from torch import Tensor, nn

Arrays = dict[str, np.ndarray]  # one row per clip, by name


class Target(Protocol):
    """What a network is trained for, and how it is scored.

    A subclass defines at least `terms` and `criterion`. Targets are named arrays, one
    row per clip, which the estimator derives from y and passes on with the target.

    Attributes
    ----------
    inputs : tuple of str
        Arrays that the network gets as inputs as well, next to the views.
    decides : bool
        Whether an output of the network is a decision, to be scored by `score`.
        Otherwise the model with the least validation loss is kept.
    batchwise : bool
        Whether held-out losses are means over batches, for a criterion that compares
        outputs with inputs, or clips with each other.
    whole_batches : bool
        Whether clips that do not fill a batch are left out of an epoch, and of held-out
        losses, for a criterion that depends on the number of clips in a batch.
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    decides: ClassVar[bool] = False
    batchwise: ClassVar[bool] = False
    whole_batches: ClassVar[bool] = False

    @property
    def sizes(self) -> dict[str, int]:
        """Arguments of the module that follow from the target, such as n_outputs."""
        return {}

    def check_views(self, names: Sequence[str]) -> None:
        """Refuse views that have the names of other inputs of the network."""
        if taken := sorted({*self.inputs} & {*names}):
            raise ValueError(
                f"No view may be called {taken[0]!r}: it is the name of another input "
                "of the network. Rename the view."
            )

    def check(self, module: Any) -> None:
        """Refuse networks that do not go with this target."""
        return

    def terms(self, module: Any) -> tuple[str, ...]:
        """Names of the terms of the loss, for a network."""

    def criterion(self, arrays: Arrays, dtype: str) -> nn.Module:
        """Loss: maps (outputs, targets, inputs), all by name, to {term: scalar}.

        ``arrays`` are those of the training clips, ``inputs`` what the network saw.
        """

    def strata(self, arrays: Arrays, n_clips: int) -> np.ndarray:
        """One integer per clip, to stratify a split by."""
        return np.zeros(n_clips, dtype=np.intp)

    def mix(
        self, name: str, own: np.ndarray, partner: np.ndarray, ratio: np.ndarray
    ) -> np.ndarray:
        """Targets of mixed clips; ``ratio`` (n_clips, 1) is the clips' own share."""
        raise ValueError(
            f"{type(self).__name__} cannot mix {name!r} of two clips. Set mix=None in "
            "the Augmentation."
        )

    def activate(self, output: Tensor) -> np.ndarray:
        """Turn the output that decides into predictions of segments."""
        return output.cpu().numpy()

    def score(self, predictions: np.ndarray, arrays: Arrays) -> float:
        """Quality of predictions of clips, higher is better; if `decides`."""
        kind = type(self).__name__
        raise NotImplementedError(f"{kind} has no decisions that could be scored.")

    def is_like(self, other: Target) -> bool:
        """Whether a network trained for one can go on with the other as it is."""
        return type(self) is type(other)

    def identity(self) -> dict[str, Any]:
        """What training depends on, by name, that no parameter of its estimator is."""
        return {}

    def state(self) -> dict[str, Any]:
        """What predictions need, as plain values and arrays."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Make an equal target from `state`."""
        target = cls.__new__(cls)
        vars(target).update(state)
        return target


class NoTarget(Target):
    """Nothing but the views: the criterion compares outputs with inputs.

    Parameters
    ----------
    criterion : Module
        Maps (outputs, targets, inputs) to ``{term: loss}``; has the names in ``terms``.
    """

    batchwise: ClassVar[bool] = True

    def __init__(self, criterion: nn.Module) -> None:
        self._criterion = criterion

    def terms(self, module: Any) -> tuple[str, ...]:
        """Terms that the criterion names."""
        names: Any = self._criterion.terms
        return tuple(names)

    def criterion(self, arrays: Arrays, dtype: str) -> nn.Module:
        """Return the criterion as it is."""
        return self._criterion

    def state(self) -> dict[str, Any]:
        """Nothing: only training needs the criterion."""
        return {}
