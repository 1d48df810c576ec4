"""What views made of short-time Fourier transforms share: their frames."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from skaudio._utils._constraints import (
    COMPUTING_CONSTRAINTS,
    N_SAMPLES,
    NOT_NEGATIVE,
)
from skaudio._utils._sklearn import StrOptions
from skaudio._utils._spectra import PAD_MODES, hashable
from skaudio.views._base import BaseView

MOST_SAMPLES = 2**20  # of a transform, a window or a hop, as N_SAMPLES has it
MOST_WEIGHTS = 2**26  # of a filter bank: half a gigabyte while it is made
WINDOW, HOP = 0.040, 0.020  # seconds, as in the multi-view paper, Section 3.1.2


class FrameView(BaseView):
    """A view with windowed frames, see `BaseView`."""

    _parameter_constraints: dict[str, list[Any]] = {
        **BaseView._parameter_constraints,
        **COMPUTING_CONSTRAINTS,
        "n_fft": [N_SAMPLES, None],
        "win_length": [N_SAMPLES, None],
        "hop_length": [N_SAMPLES, None],
        "window": [str, tuple, Real, "array-like"],
        "center": ["boolean", StrOptions({"start"})],
        "pad_mode": [StrOptions(set(PAD_MODES))],
        "preemphasis": [NOT_NEGATIVE, None],
    }

    n_fft: int | None
    win_length: int | None
    hop_length: int | None
    window: str | float | tuple[Any, ...] | np.ndarray
    center: bool | str
    pad_mode: str
    preemphasis: float | None

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.sr / self._framing()[2]

    @property
    def _shortest(self) -> int:
        """How many samples a clip needs."""
        return 1 if self.center else self._framing()[0]

    @property
    def _needs(self) -> tuple[str, str]:
        """What `_shortest` is, and what to set for shorter clips."""
        return f"n_fft={self._shortest}", "center=True, a smaller n_fft"

    def _framing(self) -> tuple[int, int, int]:
        """Samples of the transform, of the window and from frame to frame."""
        win_length, hop_length = self.win_length, self.hop_length
        if win_length is None:
            win_length = self.n_fft or max(1, round(WINDOW * self.sr))
        if hop_length is None:
            hop_length = max(1, round(HOP * self.sr))
        n_fft = self.n_fft or 1 << (win_length - 1).bit_length()
        return n_fft, win_length, hop_length

    def _frames(self) -> dict[str, Any]:
        """Parameters of a `PowerSpectrogram`."""
        n_fft, win_length, hop_length = self._framing()
        if max(n_fft, win_length, hop_length) > MOST_SAMPLES:
            self._validate_params()  # what is too much is refused there
        return {
            "n_fft": n_fft,
            "win_length": win_length,
            "hop_length": hop_length,
            "window": hashable(self.window),
            "center": self.center,
            "pad_mode": self.pad_mode,
            "preemphasis": self.preemphasis,
        }


class BandView(FrameView):
    """A view with bands of a spectrum, see `BaseView`."""

    fmin: float
    fmax: float | None

    def _frames_and_range(self) -> dict[str, Any]:
        """Parameters of a `BandSpectrogram` that all of them have."""
        frames = self._frames()
        name = "n_mels" if hasattr(self, "n_mels") else "n_bins"
        n_weights = getattr(self, name) * (frames["n_fft"] // 2 + 1)
        if n_weights > MOST_WEIGHTS:
            self._validate_params()  # most of what is too much is refused there
            raise ValueError(
                f"n_fft={frames['n_fft']} and {name}={getattr(self, name)} make "
                f"filters of {n_weights:.3g} weights; at most {MOST_WEIGHTS:.3g} are "
                f"made. Lower {name} or n_fft."
            )
        return {"sr": self.sr, **frames, "fmin": self.fmin, "fmax": self.fmax}
