"""Options of spectrograms, for front ends and for views, which import no torch."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

SCALES = ("db", "log", "log1p", "linear")
PAD_MODES = ("constant", "reflect", "symmetric", "edge", "wrap")  # numpy.pad's names


def hashable(window: Any) -> Any:
    """Samples of a window as a tuple of numbers, to find a front end made before."""
    if isinstance(window, (str, tuple, Real)):
        return window
    return tuple(np.asarray(window, dtype=float).tolist())
