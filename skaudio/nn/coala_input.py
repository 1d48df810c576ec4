"""The spectrogram of COALA, and the patches that are cut from it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skaudio.nn.frontends import MelSpectrogram

SR = 22_000  # Hz, not 22,050
N_BANDS = N_FRAMES = 96  # of a patch
N_FFT, HOP_LENGTH = 1024, 512
FLOOR = torch.finfo(torch.float32).eps  # added before the logarithm


class CoalaInput(nn.Module):
    """Log-mel spectrogram of COALA: magnitudes in 96 bands, 43 frames per second.

    Hann windows of 1024 samples every 512, at 22,000 Hz; frames are centred, the clip
    being continued by its mirror image. Slaney's mel filters up to 11,000 Hz sum up
    magnitudes, whose natural logarithm is taken after adding 1.19e-7.

    Parameters
    ----------
    dtype : torch.dtype, default=torch.float32
        Type of the buffers; waveforms must have the same.

    References
    ----------
    Favory et al., "COALA: Co-Aligned Autoencoders for Learning Semantically Enriched
    Audio Representations", ICML 2020 workshop on self-supervision in audio and speech,
    Section 3; details as in the authors' code, which the published weights go with.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import CoalaInput
    >>> spectrogram = CoalaInput()(torch.zeros(2, 220000))
    >>> spectrogram.shape, CoalaInput.patches(spectrogram).shape
    (torch.Size([2, 96, 430]), torch.Size([2, 4, 96, 96]))
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.mel = MelSpectrogram(
            sr=SR,
            n_fft=N_FFT,
            win_length=N_FFT,
            hop_length=HOP_LENGTH,
            n_mels=N_BANDS,
            power=1.0,
            scale="linear",
            top_db=None,
            pad_mode="reflect",
            dtype=dtype,
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms (..., n_samples) to log-mel spectrograms (..., 96, n_frames)."""
        return torch.log(self.mel(waveform) + FLOOR)

    @staticmethod
    def patches(spectrogram: Tensor, step: int = N_FRAMES) -> Tensor:
        """Cut (..., 96, n_frames) into (..., n_patches, 96, 96); the tail is dropped.

        Parameters
        ----------
        spectrogram : Tensor of shape (..., 96, n_frames)
            What `forward` gives, of at least 96 frames.
        step : int, default=96
            Frames from one patch to the next.

        Returns
        -------
        patches : Tensor of shape (..., n_patches, 96, 96)
            Bands and frames, as in the spectrogram.
        """
        return spectrogram.unfold(-1, N_FRAMES, step).movedim(-2, -3)
