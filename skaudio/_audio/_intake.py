"""What a file holds as it is read: checked, mixed down and resampled block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skaudio._audio._checks import (
    MAX_RATE,
    MIN_RATE,
    all_finite,
    check_rate,
    not_finite_of,
    overflow,
)

NOTHING = np.empty(0, np.float32)
STEP = 2**22  # samples by which the result grows, at least
# upsampling may multiply samples by so much, or make so many of them
MOST_UPSAMPLED, MOST_SAMPLES = 16, 2**26


class Intake:
    """Takes the samples of one file and has no more in memory than the result.

    Or than a block of them, if there is somebody to hand them on to.

    What is wrong with them is said at the end: `result` raises it.

    Parameters
    ----------
    name : str
        What the file is called in messages.
    mono : {"average", "raise"} or None, default=None
        What to do with more than one channel; None keeps them.
    sr : float or None, default=None
        Rate in Hz to resample to; None keeps that of the file.
    receive : callable or None, default=None
        What is given every block of the result, (n_samples,) or (n_samples,
        n_channels), in place of `result`, which is then empty.

    Attributes
    ----------
    n_samples : int
        Samples of every channel that were taken.
    """

    def __init__(
        self,
        name: str,
        mono: str | None = None,
        sr: float | None = None,
        receive: Callable[[np.ndarray], Any] | None = None,
    ):
        self.name = name
        self.mono = mono
        self.sr = sr
        self.receive = receive
        self.n_samples = 0
        self._n_bad = self._n_values = self._n_channels = 0
        self._n_expected = self._n_out = 0
        self._out: np.ndarray | None = None
        self._rate = 0.0
        self._sum = self._peak = 0.0
        self._stream: Any = None
        self._overflow = ""

    @property
    def _ratio(self) -> float:
        return 1.0 if self.sr is None else self.sr / self._rate

    def expect(self, n_samples: int, rate: float) -> None:
        """Say how many samples are to come, at the most, and their rate."""
        if not self.n_samples:
            self._rate = float(rate)
        self._n_expected = self.n_samples + n_samples

    def add(self, block: np.ndarray) -> None:
        """Take further samples, (n_samples, n_channels)."""
        self.n_samples += len(block)
        self._n_channels = block.shape[1]
        self._n_values += block.size
        if not all_finite(block):
            self._n_bad += int(np.count_nonzero(~np.isfinite(block)))
        if self._is_refused():
            return
        with np.errstate(over="ignore", invalid="ignore"):
            samples = block if self.mono is None else mix_down(block)
            if self._ratio != 1:
                self._sum += float(samples.sum())
                self._peak = max(self._peak, block.max(), -block.min())
                samples = self._resampled(samples)
        if not self._n_bad and not self._overflow and not all_finite(samples):
            self._overflow = overflow(self.name, block, samples.dtype)
            return
        self._append(samples)

    def _is_refused(self) -> bool:
        """Whether `result` raises whatever comes: samples are only counted."""
        return (
            bool(self._n_bad or self._overflow)
            or not MIN_RATE <= self._rate <= MAX_RATE
            or (self.mono == "raise" and self._n_channels > 1)
            or upsampled(self.n_samples, self._ratio)
        )

    def _resampled(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        if self._stream is None:
            import soxr

            self._stream = soxr.ResampleStream(self._rate, self.sr, 1, dtype="float32")
        out: np.ndarray = self._stream.resample_chunk(samples, last=last)
        return out

    def _append(self, samples: np.ndarray) -> None:
        stop = self._n_out + len(samples)
        if self.receive is not None:
            self._n_out = stop
            if len(samples):
                self.receive(samples.copy())  # the reader uses its block again
            return
        if self._out is None:
            self._out = np.empty((self._room(stop), *samples.shape[1:]), samples.dtype)
        elif stop > len(self._out):  # in place where the system can
            shape = (self._room(stop), *samples.shape[1:])
            self._out.resize(shape, refcheck=False)
        self._out[self._n_out : stop] = samples
        self._n_out = stop

    def _room(self, needed: int) -> int:
        """For what is expected, but not much more than what came: it may be wrong."""
        expected = int(self._n_expected * self._ratio) + 1
        return max(needed, min(expected, needed + max(STEP, needed // 8)))

    def result(self) -> tuple[np.ndarray, float]:
        """The samples, (n_samples,) or (n_samples, n_channels), and their rate."""
        check_rate(self._rate, self.name)
        if not self.n_samples:
            raise ValueError(f"{self.name} has 0 samples. Leave it out.")
        if self._n_bad:
            raise ValueError(not_finite_of(self.name, self._n_bad, self._n_values))
        if self.mono == "raise" and self._n_channels > 1:
            raise ValueError(several_channels(self.name, self._n_channels))
        if self.sr is not None:
            check_upsampling(self.n_samples, self._rate, self.sr, self.name)
        if self._overflow:
            raise ValueError(self._overflow)
        if self._stream is not None:
            self._append(self._finite(self._resampled(NOTHING, last=True)))
        if not self._n_out:  # fewer than one of the new rate: their mean, not nothing
            mean = np.array([self._sum / self.n_samples], np.float32)
            self._append(self._finite(mean))
        out = NOTHING if self._out is None else self._out
        if self._n_out < len(out):
            out.resize((self._n_out, *out.shape[1:]), refcheck=False)
        return self._finite(out), self._rate * self._ratio

    def _finite(self, samples: np.ndarray) -> np.ndarray:
        if all_finite(samples):
            return samples
        peak = np.array([self._peak])
        raise ValueError(overflow(self.name, peak, samples.dtype))


def mix_down(samples: np.ndarray) -> np.ndarray:
    """Mean of the channels, (n_samples,)."""
    if samples.ndim == 1:
        return samples
    mixed: np.ndarray = samples[:, 0]
    if samples.shape[1] > 1:  # four times as fast as mean(axis=1)
        mixed = mixed + samples[:, 1]
        for channel in samples.T[2:]:
            mixed += channel
        mixed /= samples.shape[1]
    return mixed


def several_channels(name: str, n_channels: int) -> str:
    return (
        f"{name} has {n_channels} channels and mono='raise' requires one. Mix it down "
        "first, or set mono='average'."
    )


def upsampled(n_samples: int, ratio: float) -> bool:
    """Whether resampling would make more samples than anybody wants."""
    return n_samples * ratio > max(MOST_UPSAMPLED * n_samples, MOST_SAMPLES)


def check_upsampling(n_samples: int, native: float, rate: float, name: str) -> None:
    if not upsampled(n_samples, rate / native):
        return
    limit = max(MOST_UPSAMPLED * n_samples, MOST_SAMPLES)
    raise ValueError(
        f"{name} has {n_samples} samples at {native:g} Hz, which are "
        f"{n_samples * rate / native:.3g} at sr={rate:g}; at most {limit:.3g} "
        "are made. Correct its sampling rate, or set duration to load its start."
    )
