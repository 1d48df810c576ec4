"""What may be wrong with a clip, in words."""

from __future__ import annotations

import numpy as np

AGAIN = "Get the file again, or leave it out."
MIN_RATE, MAX_RATE = 10, 10_000_000  # Hz


class CutShortError(ValueError):
    """A file that holds fewer samples than it states, and those that it holds.

    Parameters
    ----------
    name : str
        What the file is called in messages.
    counts : str
        How many samples of how many are there.
    samples : ndarray of shape (n_samples, n_channels)
        What is there.
    rate : float
        Sampling rate in Hz.
    """

    def __init__(self, name: str, counts: str, samples: np.ndarray, rate: float):
        self.summary = f"{name}: {counts}"
        super().__init__(
            f"{name} is cut short, or its header is wrong: {counts} are there. "
            "on_error='warn' loads what is there. Or get the file again, or leave it "
            "out."
        )
        self.samples = samples
        self.rate = rate


def check_samples(samples: np.ndarray, name: str) -> np.ndarray:
    if samples.size == 0:
        raise ValueError(f"{name} has 0 samples. Leave it out.")
    if not all_finite(samples):
        raise ValueError(not_finite(name, samples))
    return samples


def all_finite(samples: np.ndarray) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        finite_sum = bool(np.isfinite(samples.sum()))  # cheap, and nearly always true
    return finite_sum or bool(np.isfinite(samples).all())


def not_finite(name: str, samples: np.ndarray) -> str:
    n_bad = int(samples.size - np.count_nonzero(np.isfinite(samples)))
    return not_finite_of(name, n_bad, samples.size)


def not_finite_of(name: str, n_bad: int, n_samples: int) -> str:
    return (
        f"{name} contains NaN or infinity ({n_bad} of {n_samples} samples). "
        "Repair it, or leave it out."
    )


def check_overflow(before: np.ndarray, after: np.ndarray, name: str) -> None:
    """Refuse what became infinite, or NaN, of finite samples."""
    if not all_finite(after):
        raise ValueError(overflow(name, before, after.dtype))


def overflow(name: str, samples: np.ndarray, dtype: np.dtype | str) -> str:
    peak = max(float(samples.max()), -float(samples.min()))
    return (
        f"{name} has values that are too large to compute with in {dtype} (peak "
        f"{peak:.3g}). Scale them to [-1, 1], or leave it out."
    )


def check_rate(rate: float, name: str) -> None:
    """Refuse sampling rates that no sound has: a header is wrong."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ValueError(
            f"{name} states a sampling rate of {rate:g} Hz; rates from {MIN_RATE} to "
            f"{MAX_RATE} Hz are read. Correct it, or leave the clip out."
        )
