"""Fourier transforms of frames as products of matrices, for other runtimes."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn


class FourierProducts(nn.Module):
    """Squared magnitudes of Fourier transforms as two products of matrices.

    With sample ``n2 + N2 * n1`` of a frame and frequency ``k1 + N1 * k2``, a transform
    over n1, a turn, and one over n2 are the whole. Half of the k1 are enough, as the
    others mirror them.

    Parameters
    ----------
    window : Tensor of shape (n_fft,)
        What frames are multiplied by.
    hop_length : int
        Samples from one frame to the next.
    """

    window: Tensor
    order: Tensor
    first: Tensor
    turn: Tensor
    second: Tensor
    places: Tensor

    def __init__(self, window: Tensor, hop_length: int) -> None:
        super().__init__()
        self.n_fft, self.hop_length = len(window), hop_length
        n1 = max(n for n in range(1, math.isqrt(self.n_fft) + 1) if self.n_fft % n == 0)
        n2, k1 = self.n_fft // n1, np.arange(n1 // 2 + 1)
        order = np.arange(self.n_fft).reshape(n1, n2).T  # (n2, n1)
        first = np.exp(-2j * np.pi * np.outer(np.arange(n1), k1) / n1)
        turn = np.exp(-2j * np.pi * np.outer(k1, np.arange(n2)) / self.n_fft)
        second = np.exp(-2j * np.pi * np.outer(np.arange(n2), np.arange(n2)) / n2)
        k = np.arange(self.n_fft // 2 + 1)
        mirrored = k % n1 >= len(k1)
        k = np.where(mirrored, self.n_fft - k, k)
        buffers = {
            "first": np.hstack([first.real, first.imag]),
            "turn": np.stack([turn.real, turn.imag]),
            "second": np.block(
                [[second.real, second.imag], [-second.imag, second.real]]
            ),
            "window": window.double().cpu().numpy()[order],
        }
        for name, array in buffers.items():
            tensor = torch.from_numpy(np.ascontiguousarray(array)).float()
            self.register_buffer(name, tensor, persistent=False)
        for name, array in {"order": order, "places": k % n1 * n2 + k // n1}.items():
            self.register_buffer(name, torch.tensor(array.ravel()), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Padded waveforms (..., n_samples) to powers (..., frequencies, n_frames)."""
        n_frames = (waveform.shape[-1] - self.n_fft) // self.hop_length + 1
        starts = torch.arange(n_frames)[:, None] * self.hop_length
        samples = waveform[..., (starts + self.order).flatten()]
        frames = samples.unflatten(-1, (-1, *self.window.shape)) * self.window
        real, imag = (frames @ self.first).mT.chunk(2, dim=-2)  # (..., k1, n2)
        turned = torch.cat(
            [
                real * self.turn[0] - imag * self.turn[1],
                real * self.turn[1] + imag * self.turn[0],
            ],
            dim=-1,
        )
        real, imag = (turned @ self.second).chunk(2, dim=-1)
        powers = (real.square() + imag.square()).flatten(-2)
        return powers[..., self.places].mT
