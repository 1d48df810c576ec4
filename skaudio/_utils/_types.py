"""What counts as what: floating-point types, paths and waveforms."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

FLOATS = [np.float32, np.float64]  # kept as they come; all else becomes the first


def is_path(item: Any) -> bool:
    """Whether one row of X names a file."""
    return isinstance(item, (str, os.PathLike))


def is_waveform(n_bins: int) -> bool:
    """Whether a view with so many bins holds samples: bands come in twos and more."""
    return n_bins == 1
