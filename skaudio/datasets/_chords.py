"""Synthesised chords: the same notes on different instruments, and the other way."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from skaudio._utils._random import draw_seed

ROOTS = ("A3", "Bb2", "Eb2", "G4")
CHORDS: dict[str, tuple[int, ...]] = {  # semitones above the root
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "minor 7": (0, 3, 7, 10),
    "diminished": (0, 3, 6),
    "sus4": (0, 5, 7),
    "major 7": (0, 4, 7, 11),
    "augmented": (0, 4, 8),
    "sus2": (0, 2, 7),
    "note": (0,),
}
DEFAULT_CHORDS = tuple(CHORDS)[:7]
PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
A4, A4_HERTZ, N_SEMITONES = 69, 440.0, 12  # MIDI's number, the concert pitch
N_PARTIALS = 16
HIGHEST = 0.45  # partials stay below this fraction of the sampling rate
RELEASE = 0.02  # seconds in which a chord ends
VIBRATO_RATE = 5.5  # Hz
PEAK = 0.9


class Timbre(NamedTuple):
    """How an instrument sounds: amplitude of each partial, and its course."""

    amplitudes: Callable[[np.ndarray], np.ndarray]  # of numbers of partials, from 1
    attack: float  # seconds
    decay: float = 0.0  # per second, of the first partial
    damping: float = 0.0  # how much faster each further partial decays
    vibrato: float = 0.0  # cents


def _only(*partials: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda k: np.isin(k, partials) / np.sqrt(k)


INSTRUMENTS: dict[str, Timbre] = {
    "sine": Timbre(_only(1), 0.02),
    # plucked at a fifth of its length: every fifth partial has a node there
    "plucked string": Timbre(
        lambda k: np.abs(np.sin(np.pi * k / 5)) / k, 0.003, 1.5, 0.5
    ),
    "struck string": Timbre(lambda k: k**-1.3, 0.006, 0.8, 0.25),
    "bowed string": Timbre(lambda k: 1.0 / k, 0.12, vibrato=10.0),
    "reed": Timbre(lambda k: np.where(k % 2, 1.0, 0.3) / k**0.8, 0.04, vibrato=4.0),
    "organ": Timbre(_only(1, 2, 3, 4, 6, 8), 0.03),
}


def make_chords(
    roots: Sequence[str] = ROOTS,
    chords: Sequence[str] = DEFAULT_CHORDS,
    instruments: Sequence[str] | None = None,
    *,
    duration: float = 1.0,
    sr: float = 22050,
    detune: float = 1.0,
    random_state: Any = None,
) -> tuple[np.ndarray, Any]:
    """Synthesise chords, each of them on every root and by every instrument.

    To ask what a network responds to: the same chord on different instruments, or
    different chords on one. Notes are in equal temperament with A4 at 440 Hz; partials
    are harmonic and lie below 0.45 times the sampling rate, so that none is aliased.

    Parameters
    ----------
    roots : sequence of str, default=("A3", "Bb2", "Eb2", "G4")
        Lowest notes: a letter from A to G, sharps (#) or flats (b), and the octave,
        which counts from C as in "C4", the middle one.
    chords : sequence of str, default=("major", "minor", ..., "major 7")
        Names among "major", "minor", "7", "minor 7", "diminished", "sus4", "major 7",
        which are the default, "augmented", "sus2" and "note", the root alone.
    instruments : sequence of str or None, default=None
        Names among "sine", "plucked string", "struck string", "bowed string", "reed"
        and "organ": they differ in their partials, in how fast they start and fade, and
        in vibrato. None is all of them.
    duration : float, default=1.0
        Length of every clip in seconds.
    sr : float, default=22050
        Sampling rate in Hz.
    detune : float, default=1.0
        Standard deviation in cents, hundredths of a semitone, by which notes are off.
    random_state : int, RandomState instance or None, default=None
        Seed of phases and detuning. With an int, a chord is the same whichever others
        are asked for.

    Returns
    -------
    X : ndarray of shape (n_clips, n_samples), dtype float32
        Waveforms with a peak of 0.9: all instruments of the first chord on the first
        root, then those of the next chord, and so on.
    table : DataFrame
        One row per clip with the columns root, chord and instrument.

    Raises
    ------
    ValueError
        If a name is unknown, a root cannot be read, or a note is too high for the
        sampling rate.

    See Also
    --------
    make_sounds : Sound events in classes that overlap.

    References
    ----------
    Choi, Fazekas, Sandler and Kim, "Auralisation of deep convolutional neural networks:
    listening to learned features", ISMIR 2015, late-breaking session, whose authors
    played such chords to a network.

    Examples
    --------
    >>> from skaudio.datasets import make_chords
    >>> X, table = make_chords(["A3"], ["major", "minor"], ["sine"], random_state=0)
    >>> X.shape
    (2, 22050)
    >>> table
      root  chord instrument
    0   A3  major       sine
    1   A3  minor       sine
    """
    import pandas as pd

    instruments = list(INSTRUMENTS) if instruments is None else instruments
    for name, value in (("duration", duration), ("sr", sr)):
        if not 0 < value < np.inf:
            raise ValueError(f"{name} must be a positive number; got {value!r}.")
    if not 0 <= detune < np.inf:
        raise ValueError(f"detune must be cents, at least 0; got {detune!r}.")
    _check_names("chords", chords, CHORDS)
    _check_names("instruments", instruments, INSTRUMENTS)
    _check_names("roots", roots, None)
    seed = draw_seed(random_state)
    n_samples = max(1, round(duration * sr))
    rows = list(product(roots, chords, instruments))
    X = np.empty((len(rows), n_samples), dtype=np.float32)
    for out, row in zip(X, rows, strict=True):
        rng = np.random.default_rng([seed, crc32(" ".join(row).encode())])
        out[:] = _chord(*row, n_samples, sr, detune, rng)
    return X, pd.DataFrame(rows, columns=["root", "chord", "instrument"])


def _check_names(parameter: str, names: Any, known: dict[str, Any] | None) -> None:
    if isinstance(names, str) or not len(names):
        raise ValueError(f"{parameter} must be a list of names; got {names!r}.")
    for name in names:
        if known is None:
            _midi(name)
        elif name not in known:
            raise ValueError(
                f"{parameter} has {name!r}; known are {', '.join(map(repr, known))}."
            )


def _midi(note: Any) -> int:
    """MIDI's number of a note."""
    found = re.fullmatch(r"([A-G])(#*|b*)(-?\d+)", str(note))
    if not found:
        raise ValueError(
            f"roots has {note!r}, which is no note: a letter from A to G, # or b, and "
            "the octave, such as 'A3' or 'Bb2'."
        )
    letter, accidentals, octave = found.groups()
    sharps = accidentals.count("#") - accidentals.count("b")
    return N_SEMITONES * (int(octave) + 1) + PITCH_CLASSES[letter] + sharps


def _chord(
    root: str,
    chord: str,
    instrument: str,
    n_samples: int,
    sr: float,
    detune: float,
    rng: np.random.Generator,
) -> np.ndarray:
    timbre, t = INSTRUMENTS[instrument], np.arange(n_samples) / sr
    sound = np.zeros(n_samples)
    for semitones in CHORDS[chord]:
        cents = 100 * (_midi(root) - A4 + semitones)
        pitch = A4_HERTZ * 2 ** (cents / 1200)
        if pitch * 2 ** (timbre.vibrato / 1200) >= HIGHEST * sr:
            raise ValueError(
                f"{chord!r} on {root} has a note of {pitch:.0f} Hz, too high for "
                f"sr={sr:g}: notes must lie below {HIGHEST * sr:.0f} Hz. Take a lower "
                "root, or raise sr."
            )
        pitch *= 2 ** (detune * rng.standard_normal() / 1200)
        sound += _note(timbre, pitch, t, sr, rng)
    ends = np.minimum(t / timbre.attack, (t[-1] - t) / RELEASE)
    sound *= np.clip(ends, 0.0, 1.0)
    peak = np.abs(sound).max()
    scaled: np.ndarray = sound * (PEAK / peak if peak else 1.0)
    return scaled


def _note(
    timbre: Timbre, pitch: float, t: np.ndarray, sr: float, rng: np.random.Generator
) -> np.ndarray:
    """Partials of a note, in random phases."""
    depth = 2 ** (timbre.vibrato / 1200) - 1
    swing = 2 * np.pi * VIBRATO_RATE
    wobble = np.sin(swing * t + rng.uniform(0, 2 * np.pi)) / swing
    first = np.exp(2j * np.pi * pitch * (t + depth * wobble))
    k = np.arange(1, N_PARTIALS + 1)
    amplitudes = timbre.amplitudes(k) * np.exp(2j * np.pi * rng.uniform(size=len(k)))
    amplitudes[k * pitch * (1 + depth) >= HIGHEST * sr] = 0
    fading = np.exp(-timbre.decay * timbre.damping * t)
    partial, sound = np.exp(-timbre.decay * t) * first, np.zeros(len(t))
    for amplitude in amplitudes:
        if amplitude:
            sound += (amplitude * partial).imag
        partial = partial * first * fading
    return sound
