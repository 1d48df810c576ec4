"""`TagAlignment`: tags that a network sees, and has to find the sound of."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from torch import nn

from skaudio._training._labels import rarest_tags
from skaudio._training._targets import Arrays, Target
from skaudio.nn.contrast import AUDIO, CONTRAST, TAGS, CoalaLoss


class TagAlignment(Target):
    """Tags of clips, as an input of the network (COALA).

    Parameters
    ----------
    n_tags : int
        Size of the vocabulary.
    decodes : tuple of str
        Terms of reconstruction: "audio", "tags", both or none.
    contrastive, tau : str, float
        Those of `CoalaLoss`.
    """

    inputs: ClassVar[tuple[str, ...]] = (TAGS,)
    batchwise: ClassVar[bool] = True
    whole_batches: ClassVar[bool] = True

    def __init__(
        self,
        n_tags: int,
        decodes: tuple[str, ...],
        contrastive: str = "nt-xent",
        tau: float = 0.1,
    ) -> None:
        self.n_tags = n_tags
        self.decodes = decodes
        self._contrastive = contrastive
        self._tau = tau

    @property
    def sizes(self) -> dict[str, int]:
        """One input per tag."""
        return {"n_tags": self.n_tags}

    def terms(self, module: Any) -> tuple[str, ...]:
        """Reconstructions, then the contrast."""
        return (*(term for term in (AUDIO, TAGS) if term in self.decodes), CONTRAST)

    def criterion(self, arrays: Arrays, dtype: str) -> nn.Module:
        """Loss of the parts that the network gives."""
        return CoalaLoss(self._contrastive, self._tau)

    def strata(self, arrays: Arrays, n_clips: int) -> np.ndarray:
        """The rarest tag of every clip."""
        return rarest_tags(arrays[TAGS])

    def state(self) -> dict[str, Any]:
        """Size of the vocabulary and what is reconstructed."""
        return {"n_tags": self.n_tags, "decodes": self.decodes}
