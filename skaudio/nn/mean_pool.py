"""Means of samples side by side, as a front end."""

from __future__ import annotations

import torch
from torch import Tensor

from skaudio.nn.frontends import FrontEnd


class MeanPool(FrontEnd):
    """Means of so many samples side by side; what is left over at the end is dropped.

    Parameters
    ----------
    pool_size : int
        Samples of a mean, and from one to the next.
    dtype : torch.dtype, default=torch.float32
        Ignored: means have the type of their waveform.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import MeanPool
    >>> MeanPool(pool_size=3)(torch.arange(8.0)[None])
    tensor([[[1., 4.]]])
    """

    def __init__(self, *, pool_size: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(1.0, "linear", None)
        self.reach = self.hop_length = pool_size
        self.centre = pool_size / 2

    @property
    def is_local(self) -> bool:
        """Whether frames of a piece, but for its margins, are those of the clip."""
        return True

    def n_frames(self, n_samples: int) -> int:
        """How many means a clip has."""
        return n_samples // self.hop_length

    def levels(
        self, waveform: Tensor, borders: Tensor | None = None, offset: int = 0
    ) -> Tensor:
        """Waveforms (..., n_samples) to means (..., 1, n_frames) from an offset on."""
        stop = offset + self.n_frames(waveform.shape[-1] - offset) * self.hop_length
        pools = waveform[..., offset:stop].unflatten(-1, (-1, self.hop_length))
        return pools.mean(-1).unsqueeze(-2)
