"""Floating-point types, paths, waveforms, and the protocol of views."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

FLOATS = [np.float32, np.float64]  # kept as they come; all else becomes the first


def is_path(item: Any) -> bool:
    """Whether one row of X names a file."""
    return isinstance(item, (str, os.PathLike))


def shown(path: Any) -> str:
    """A path as text that can be printed, whatever bytes it is made of."""
    text = os.fsdecode(path)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class RatedSamples:
    """A waveform that brings its sampling rate along.

    Parameters
    ----------
    samples : ndarray of shape (n_samples,) or (n_channels, n_samples)
        The waveform.
    rate : float
        Its sampling rate in Hz.
    """

    def __init__(self, samples: Any, rate: float) -> None:
        self.samples = samples
        self.rate = rate


def is_waveform(n_bins: int) -> bool:
    """Whether a view with so many bins holds samples: bands come in twos and more."""
    return n_bins == 1


class ViewsLike(Protocol):
    """What training reads of `Views`."""

    rates: dict[str, float | None]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the views, in order."""

    @property
    def n_bins(self) -> dict[str, int]:
        """Number of bins of each view."""

    def n_frames(self, name: str) -> np.ndarray:
        """Time steps of every clip in a view."""

    def clips(self, name: str) -> Sequence[np.ndarray]:
        """Every clip of a view, (n_bins, n_frames_i) each."""
