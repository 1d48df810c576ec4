"""The short-time Fourier transform itself, without bands."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaudio.nn.frontends import PowerSpectrogram, SpectrumFrontEnd, to_scale


class Spectrogram(SpectrumFrontEnd):
    """Magnitudes of the short-time Fourier transform, on any scale.

    Parameters
    ----------
    n_fft, win_length, hop_length : int
        Samples of the Fourier transform, the window and from frame to frame.
    power : float, default=1.0
        Exponent of the magnitudes: 1 for amplitude, 2 for power.
    scale : {"db", "log", "log1p", "linear"} or tuple, default="linear"
        See `compress`.
    top_db : float or None, default=None
        See `compress`.
    window, center, pad_mode, preemphasis : optional
        See `PowerSpectrogram`.
    dtype : torch.dtype, default=torch.float32
        Type of the window; waveforms must have the same.

    See Also
    --------
    PowerSpectrogram : Squared magnitudes, which all front ends with frames share.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import Spectrogram
    >>> front_end = Spectrogram(n_fft=512, win_length=512, hop_length=256)
    >>> front_end(torch.zeros(2, 44100)).shape
    torch.Size([2, 257, 173])
    """

    def __init__(
        self,
        *,
        n_fft: int,
        win_length: int,
        hop_length: int,
        power: float = 1.0,
        scale: str | tuple[str, float] = "linear",
        top_db: float | None = None,
        window: str | float | tuple[Any, ...] | np.ndarray = "hann",
        center: bool | str = True,
        pad_mode: str = "constant",
        preemphasis: float | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(
            PowerSpectrogram(
                n_fft=n_fft,
                win_length=win_length,
                hop_length=hop_length,
                window=window,
                center=center,
                pad_mode=pad_mode,
                preemphasis=preemphasis,
                dtype=dtype,
            ),
            power=power,
            scale=scale,
            top_db=top_db,
        )

    def levels_from_power(self, spectrum: Tensor) -> Tensor:
        """What `levels` does after its `PowerSpectrogram`, which can be shared."""
        # a copy, as others may share it, and time has to be the axis that runs fastest
        spectrum = spectrum.clone(memory_format=torch.contiguous_format)
        return to_scale(spectrum, 2.0, self.power, self.scale, self.floor)
