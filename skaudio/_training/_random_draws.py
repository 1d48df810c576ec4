"""Random draws of training, as a function of (seed, epoch, clip) and of nothing else.

A counter-based generator needs no order of drawing: a clip has the same draws in the
same epoch, however clips are batched and by how many workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

CONSECUTIVE = "consecutive"  # all segments of a clip, see `Augmentation`
_ORDER = 2**63  # a counter that no clip has
N_COMMON = 9  # uniform numbers per clip, before those of the masks


class Changes(Protocol):
    """Random changes of segments, as `Augmentation` states them."""

    segments: str
    gain: float
    snr: tuple[float, float] | None
    mix: str | None
    mix_probability: float
    mix_alpha: float
    shift: bool
    freq_mask: float
    time_mask: float

    @property
    def _mixes_waveforms(self) -> bool: ...


@dataclass(frozen=True)
class Draws:
    """Random draws of some clips: shares from 0 to 1, one row per clip."""

    start: np.ndarray  # of the room for a segment
    partner: np.ndarray  # index of the clip to mix with
    partner_start: np.ndarray
    is_mixed: np.ndarray  # bool
    ratio: np.ndarray  # share of the clip itself in the mixture, from 0 to 1
    gain: np.ndarray
    partner_gain: np.ndarray
    snr: np.ndarray
    roll: np.ndarray
    masks: np.ndarray  # (n_clips, n_masks): widths and positions


def generator(seed: int, epoch: int, row: int, stream: int = 0) -> np.random.Generator:
    """Random numbers of one clip in one epoch; streams are independent."""
    bits = np.random.Philox(key=seed, counter=[0, stream, row, epoch])
    return np.random.Generator(bits)


def uniform(seed: int, epoch: int, rows: Sequence[int], size: int) -> np.ndarray:
    """Numbers (n_clips, size) from 0 to 1: the first ones of every clip's `generator`.

    One generator is set to all clips in turn, as making one for each takes longer.
    """
    bits = np.random.Philox(key=seed)
    numbers, state = np.random.Generator(bits), bits.state
    counter = state["state"]["counter"]
    drawn = np.empty((len(rows), size))
    for row, out in zip(rows, drawn, strict=True):
        counter[:] = 0, 0, row, epoch
        bits.state = state
        numbers.random(out=out)
    return drawn


def order(seed: int, epoch: int, n_clips: int) -> np.ndarray:
    """Order of the clips in an epoch."""
    return generator(seed, epoch, _ORDER).permutation(n_clips)


def draw(
    seed: int,
    epoch: int,
    rows: Sequence[int] | np.ndarray,
    n_clips: int,
    options: Changes,
    n_masks: int,
) -> Draws:
    """Draw for clips ``rows`` of ``n_clips`` in an epoch.

    ``options`` is the `Augmentation`, ``n_masks`` how many numbers its masks need.
    """
    size = N_COMMON + n_masks
    u = uniform(seed, epoch, np.asarray(rows).tolist(), size)
    start, partner, partner_start, mixed, ratio, gain, other_gain, snr, roll = u.T[
        :N_COMMON
    ]
    is_mixed = mixed < options.mix_probability
    # never itself: the others, counted from the clip on
    step = 1 + np.floor(partner * (n_clips - 1)).astype(np.intp)
    return Draws(
        start=start,
        partner=(np.asarray(rows) + step) % n_clips,
        partner_start=partner_start,
        is_mixed=is_mixed if options.mix and n_clips > 1 else np.zeros(len(u), bool),
        ratio=_beta(ratio, options.mix_alpha),
        gain=2 * gain - 1,
        partner_gain=2 * other_gain - 1,
        snr=snr,
        roll=roll,
        masks=u[:, N_COMMON:],
    )


def nothing(rows: np.ndarray) -> Draws:
    """Draws of clips ``rows`` that are segments already, and are not changed."""
    zeros, ones = np.zeros(len(rows)), np.ones(len(rows))
    return Draws(
        **{"start": zeros, "partner": rows, "partner_start": zeros, "ratio": ones},
        **{"gain": zeros, "partner_gain": zeros, "snr": zeros, "roll": zeros},
        is_mixed=np.zeros(len(rows), bool),
        masks=np.zeros((len(rows), 0)),
    )


def _beta(uniform: np.ndarray, alpha: float) -> np.ndarray:
    """Numbers of a symmetric beta distribution, from uniform ones."""
    if alpha == 1:
        return uniform
    from scipy.stats import beta

    quantiles: np.ndarray = beta.ppf(uniform, alpha, alpha)
    return quantiles


def noise(seed: int, epoch: int, row: int, n_samples: int) -> np.ndarray:
    """White noise of unit power for one clip in one epoch, float32."""
    return generator(seed, epoch, row, stream=1).standard_normal(
        n_samples, dtype=np.float32
    )


def seed_of_dropout(seed: int, epoch: int) -> int:
    """Seed for the epochs from ``epoch`` on, where dropout cannot go on as it was."""
    return int(generator(seed, epoch, _ORDER, stream=1).integers(2**63))
