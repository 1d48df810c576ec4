"""What lies before the first sample of a clip and after its last, and pre-emphasis.

Where a waveform is a piece of a clip with margins around it, ``borders`` (n_clips, 2)
holds the samples at which the clip starts and stops; they may lie outside of it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def pad(x: Tensor, n_before: int, n_after: int, mode: str) -> Tensor:
    """Continue waveforms (..., n_samples) as `numpy.pad` does, however short."""
    if mode == "constant":
        return F.pad(x, (n_before, n_after))
    n = x.shape[-1]
    before = torch.arange(-n_before, 0, device=x.device)
    after = torch.arange(n, n + n_after, device=x.device)
    length = torch.full((), n, device=x.device)
    ends = [x[..., _inside(at, length, mode)] for at in (before, after)]
    return torch.cat([ends[0], x, ends[1]], dim=-1)


def _inside(at: Tensor, n: Tensor, mode: str) -> Tensor:
    """Which of the samples 0 to n - 1 stands at positions ``at``."""
    if mode == "wrap":
        return at % n
    if mode == "edge":
        return torch.minimum(at.clamp(min=0), n - 1)
    twice = int(mode == "symmetric")  # the outermost samples stand twice at a border
    period = (2 * n - 2 + 2 * twice).clamp(min=1)
    at = at % period
    return torch.minimum(at, period - twice - at)


def continued(x: Tensor, borders: Tensor, mode: str) -> Tensor:
    """Put in place of the margins (n_clips, n_samples) what `pad` would put there."""
    first, stop = borders[:, :1], borders[:, 1:]
    at = torch.arange(x.shape[-1], device=x.device) - first
    if mode == "constant":
        return x.masked_fill((at < 0) | (at >= stop - first), 0)
    index = _inside(at, stop - first, mode) + first
    # samples that no frame of the segment sees may lie outside of it
    return x.gather(-1, index.clamp(0, x.shape[-1] - 1))


def emphasised(x: Tensor, coef: float, borders: Tensor | None = None) -> Tensor:
    """Each sample less ``coef`` times the one before it; the first sample stays.

    That is ``librosa.effects.preemphasis(x, coef=coef, zi=[0])``: the filter starts
    from silence, as in python_speech_features.
    """
    before = F.pad(x[..., :-1], (1, 0))
    if borders is not None:
        is_first = torch.arange(x.shape[-1], device=x.device) == borders[:, :1]
        before = before.masked_fill(is_first, 0)
    return x - coef * before
