"""What the published taggers of music see: a log-mel spectrogram of 96 bands."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skaudio.nn.frontends import MelSpectrogram

SR = 16_000
HOP_LENGTH = 256  # samples, 16 ms
N_MELS = 96
# 29.1 s, which FCN and CRNN were trained on
N_SAMPLES = 465_984
FLOOR = 1e-10  # of the power, before the logarithm


class TaggerInput(nn.Module):
    """Waveforms to a standardised log-mel spectrogram.

    96 bands on HTK's scale from 0 to 8 kHz with a peak of 1, windows of 512 samples
    every 256 at 16 kHz, powers in decibels without a limited range, then batch
    normalisation of the whole picture as a single map.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn.tagger_input import TaggerInput
    >>> TaggerInput()(torch.zeros(2, 1, 16000)).shape
    torch.Size([2, 1, 96, 63])
    """

    def __init__(self) -> None:
        super().__init__()
        # computed, not loaded, also where a network is made without memory
        with torch.device("cpu"):
            self.mel = MelSpectrogram(
                sr=SR,
                n_fft=512,
                win_length=512,
                hop_length=HOP_LENGTH,
                n_mels=N_MELS,
                fmax=SR / 2,
                htk=True,
                norm=None,
                scale=("db", FLOOR),
                top_db=None,
                pad_mode="reflect",
            )
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """Waveforms (clips, 1, n_samples) to (clips, 1, 96, 1 + n_samples // 256)."""
        return self.norm(self.mel(x))
