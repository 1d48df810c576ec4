"""The spectrogram of COALA, and the patches that are cut from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skaudio.nn.blocks import is_exporting
from skaudio.nn.frontends import FrontEnd, MelSpectrogram

SR = 22_000  # Hz, not 22,050
N_BANDS = N_FRAMES = 96  # of a patch
N_FFT, HOP_LENGTH = 1024, 512
FLOOR = torch.finfo(torch.float32).eps  # added before the logarithm
MIN_DURATION = 10.0  # seconds that a shorter clip becomes
NOISE = 5e-4  # the noise in it is uniform from 0 to this
SEED = 0


class CoalaInput(FrontEnd):
    """Log-mel spectrogram of COALA: magnitudes in 96 bands, 43 frames per second.

    Windows of 1024 samples every 512, at 22,000 Hz; frames are centred, the clip being
    continued by its mirror image. Slaney's mel filters up to half the rate sum up
    magnitudes, whose natural logarithm is taken after adding 1.19e-7.

    Parameters
    ----------
    sr : float, default=22000
        Sampling rate of the waveforms in Hz.
    window : str, tuple or array, default="hann"
        Hann's as in the authors' code, or "hamming" as in the paper.
    min_duration : float, default=0.0
        Seconds: a clip that is not longer is continued to that by silence, and gets
        noise all over. The authors have 10.
    noise : float, default=0.0005
        Of such a clip, uniform from 0 to this; the same noise for every clip. Nothing
        is added at 0, as in the paper.
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
    >>> CoalaInput(min_duration=10.0)(torch.zeros(2, 1000)).shape
    torch.Size([2, 96, 430])
    """

    noise: Tensor

    def __init__(
        self,
        sr: float = SR,
        window: Any = "hann",
        min_duration: float = 0.0,
        noise: float = NOISE,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(power=1.0, scale="log", top_db=None)
        self.mel = MelSpectrogram(
            sr=sr,
            n_fft=N_FFT,
            win_length=N_FFT,
            hop_length=HOP_LENGTH,
            n_mels=N_BANDS,
            power=1.0,
            scale="linear",
            top_db=None,
            window=window,
            pad_mode="reflect",
            dtype=dtype,
        )
        self.reach, self.hop_length = self.mel.reach, self.mel.hop_length
        samples = faint_noise(round(min_duration * sr), noise)
        buffer = torch.from_numpy(samples).to(dtype)
        self.register_buffer("noise", buffer, persistent=False)

    def levels(
        self, waveform: Tensor, borders: Tensor | None = None, offset: int = 0
    ) -> Tensor:
        """Waveforms (..., n_samples) to levels (..., 96, n_frames).

        See `PowerSpectrogram.forward` for waveforms that are pieces of clips, which are
        not continued.
        """
        if borders is None and len(self.noise):
            waveform = self._continued(waveform)
        return (self.mel.levels(waveform, borders, offset) + FLOOR).log()

    def _continued(self, waveform: Tensor) -> Tensor:
        """Short waveforms with silence at their end and noise all over."""
        missing = len(self.noise) - waveform.shape[-1]
        if not is_exporting():
            return (
                F.pad(waveform, (0, missing)) + self.noise if missing >= 0 else waveform
            )
        short = (torch.scalar_tensor(missing) >= 0).to(waveform.dtype)
        noise = F.pad(self.noise, (0, torch.sym_max(0, -missing))) * short
        return F.pad(waveform, (0, torch.sym_max(0, missing))) + noise

    @property
    def is_local(self) -> bool:
        """As the mel spectrogram."""
        return self.mel.is_local

    def n_frames(self, n_samples: int) -> int:
        """How many frames a clip has."""
        return self.mel.n_frames(max(n_samples, len(self.noise)))

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


def faint_noise(n_samples: int, level: float = NOISE) -> np.ndarray:
    """Noise that a short clip lies in, float32: the same for every clip.

    Other noise for each would make rows depend on each other.
    """
    rng = np.random.default_rng(SEED)
    return rng.uniform(0, level, n_samples).astype(np.float32)
