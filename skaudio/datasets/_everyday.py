"""Synthetic everyday sounds: worth listening to, and free to ship."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from skaudio._utils._random import draw_seed

Generator = np.random.Generator
FADE = 0.01  # seconds at both ends of a clip
LOWEST_RATE = 4000  # Hz: below, rain and bells are no longer told apart by ear


def make_everyday_sounds(
    n_clips: int = 60,
    n_classes: int = 6,
    *,
    duration: float = 2.0,
    sr: float = 22050,
    clips_per_source: int = 2,
    return_groups: bool = False,
    random_state: Any = None,
) -> tuple[np.ndarray, ...]:
    """Synthesise clips that a listener recognises: bells, birds, rain, an engine.

    They take the place of recordings where there are none: in examples that everybody
    can run and hear, in talks and in tests. Networks learn them easily, so that they
    say nothing about how good a method is; :func:`make_sounds` is harder, and
    real recordings (:func:`fetch_esc50`) are what counts.

    Parameters
    ----------
    n_clips : int, default=60
        Number of clips.
    n_classes : int, default=6
        Number of classes, 1 to 8: the first of ``"bell"``, ``"bird"``, ``"engine"``,
        ``"rain"``, ``"siren"``, ``"steps"``, ``"clock"``, ``"waves"``.
    duration : float, default=2.0
        Length of every clip in seconds.
    sr : float, default=22050
        Sampling rate in Hz, at least 4000.
    clips_per_source : int, default=2
        Clips of one source are of the same bell, bird or engine, as clips cut from one
        recording are. Keep them on one side of a split, with `groups`.
    return_groups : bool, default=False
        Also return the source of each clip, to pass as `groups`.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same clips at every call.

    Returns
    -------
    X : ndarray of shape (n_clips, n_samples), dtype float32
        Waveforms with a peak of 0.1 to 0.8.
    y : ndarray of shape (n_clips,), dtype str
        Name of the class of each clip.
    groups : ndarray of shape (n_clips,), dtype int
        Source of each clip; only if `return_groups` is True.

    See Also
    --------
    write_audio_files : Writes them to a folder per class.

    Examples
    --------
    >>> from skaudio.datasets import make_everyday_sounds
    >>> X, y = make_everyday_sounds(n_clips=8, n_classes=4, sr=8000, random_state=0)
    >>> X.shape, sorted(set(y.tolist()))
    ((8, 16000), ['bell', 'bird', 'engine', 'rain'])
    """
    _check(n_clips, n_classes, duration, sr, clips_per_source)
    seed = draw_seed(random_state)
    groups = np.arange(n_clips) // clips_per_source
    order = np.random.default_rng([seed, 0]).permutation(n_clips)
    groups = groups[order]
    names = np.array(list(SOUNDS))[groups % n_classes]
    t = np.arange(max(1, round(duration * sr))) / sr
    X = np.empty((n_clips, len(t)), dtype=np.float32)
    for i, (name, source) in enumerate(zip(names, groups, strict=True)):
        # the same source draws the same voice; the clip varies around it
        voice = np.random.default_rng([seed, 1, int(source)])
        clip = np.random.default_rng([seed, 2, int(order[i])])
        X[i] = _finished(SOUNDS[str(name)](t, sr, voice, clip), sr, clip)
    return (X, names, groups) if return_groups else (X, names)


def _check(
    n_clips: int, n_classes: int, duration: float, sr: float, clips_per_source: int
) -> None:
    if not 1 <= n_classes <= len(SOUNDS):
        raise ValueError(f"n_classes must be 1 to {len(SOUNDS)}; got {n_classes}.")
    if clips_per_source < 1:
        raise ValueError(
            f"clips_per_source must be at least 1; got {clips_per_source}."
        )
    if n_clips < n_classes * clips_per_source:
        raise ValueError(
            f"n_clips={n_clips} cannot hold {n_classes} classes with at least one "
            f"source of {clips_per_source} clips each. Ask for at least "
            f"{n_classes * clips_per_source} clips."
        )
    if not duration > 0:
        raise ValueError(f"duration must be positive; got {duration}.")
    if not sr >= LOWEST_RATE:
        raise ValueError(f"sr must be at least {LOWEST_RATE} Hz; got {sr}.")


def _finished(sound: np.ndarray, sr: float, clip: Generator) -> np.ndarray:
    """With room noise, faded in and out, at a level of its own."""
    room = _filtered(clip.standard_normal(len(sound)), sr, 100, 1000)
    sound = sound / max(np.abs(sound).max(), 1e-9) + 0.003 * room
    ramp = np.arange(1, len(sound) + 1) / (FADE * sr)
    sound = sound * np.minimum(1.0, np.minimum(ramp, ramp[::-1]))
    peak = 10 ** (clip.uniform(-18, -2) / 20)
    finished: np.ndarray = peak * sound / max(np.abs(sound).max(), 1e-9)
    return finished


def _filtered(sound: np.ndarray, sr: float, low: float, high: float) -> np.ndarray:
    """Between two frequencies, as far as the rate has them, at unit deviation."""
    high = min(high, 0.45 * sr)
    sos = butter(2, [min(low, 0.5 * high), high], "bandpass", fs=sr, output="sos")
    band = sosfilt(sos, sound)
    kept: np.ndarray = band / max(band.std(), 1e-9)
    return kept


def _phase(frequency: np.ndarray, sr: float) -> np.ndarray:
    phase: np.ndarray = 2 * np.pi * np.cumsum(frequency) / sr
    return phase


def _at(t: np.ndarray, sr: float, onset: float, sound: np.ndarray) -> np.ndarray:
    """A sound that begins at an onset in seconds, and what of it fits."""
    out = np.zeros(len(t))
    start = round(onset * sr)
    length = max(0, min(len(sound), len(t) - start))
    out[start : start + length] = sound[:length]
    return out


def _bell(t: np.ndarray, sr: float, voice: Generator, clip: Generator) -> np.ndarray:
    """Partials of a church bell: hum, prime, tierce, quint, nominal and above."""
    strike = voice.uniform(300, 700)
    ratios = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 2.66, 3.0, 4.0])
    ratios = ratios * (1 + 0.01 * voice.standard_normal(len(ratios)))
    ratios = ratios[ratios * strike < 0.45 * sr]
    loud = voice.uniform(0.4, 1.0, len(ratios)) / ratios**0.5
    decay = voice.uniform(0.8, 1.6) * ratios**0.8
    out = np.zeros(len(t))
    onset = min(clip.uniform(0, 0.3), t[-1] / 2)
    while onset <= t[-1]:
        waves = np.sin(2 * np.pi * strike * ratios[:, None] * t)
        rung = (loud[:, None] * waves * np.exp(-decay[:, None] * t)).sum(axis=0)
        out += _at(t, sr, onset, rung)
        onset += clip.uniform(1.0, 1.4)
    return out


def _bird(t: np.ndarray, sr: float, voice: Generator, clip: Generator) -> np.ndarray:
    """Phrases of chirps, each a quick glide."""
    middle = min(voice.uniform(2500, 4500), 0.3 * sr)
    spread, length = voice.uniform(0.1, 0.35), voice.uniform(0.06, 0.16)
    shape = voice.choice([-1.0, 1.0])
    n_chirps, gap = int(voice.integers(3, 7)), voice.uniform(0.03, 0.09)
    out = np.zeros(len(t))
    onset = min(clip.uniform(0, 0.2), t[-1] / 2)
    while onset <= t[-1]:
        for _ in range(n_chirps):
            s = np.arange(max(2, round(length * sr))) / (length * sr)
            bend = shape * (s - 0.5) + 0.15 * np.sin(2 * np.pi * 3 * s)
            pitch = middle * (1 + spread * bend) * clip.uniform(0.97, 1.03)
            out += _at(t, sr, onset, np.sin(_phase(pitch, sr)) * np.sin(np.pi * s) ** 2)
            onset += length + gap
        onset += clip.uniform(0.25, 0.6)
    return out


def _engine(t: np.ndarray, sr: float, voice: Generator, clip: Generator) -> np.ndarray:
    """Firing of a motor at a speed that drifts, and the rumble around it."""
    firing = voice.uniform(25, 70) * clip.uniform(0.9, 1.1)
    drift = 1 + 0.15 * np.sin(2 * np.pi * (clip.uniform(0.1, 0.4) * t + clip.uniform()))
    phase = _phase(firing * drift, sr)
    n = int(np.clip(0.45 * sr / firing, 1, 40))
    k = np.arange(1, n + 1)[:, None]
    loud = voice.uniform(0.3, 1.0, n)[:, None] / k**0.7
    tone = (loud * np.sin(k * phase + voice.uniform(0, 6, n)[:, None])).sum(axis=0)
    rumble = _filtered(clip.standard_normal(len(t)), sr, 40, 600)
    firing_noise: np.ndarray = tone + rumble * (0.6 + 0.4 * np.sin(phase))
    return firing_noise


def _rain(t: np.ndarray, sr: float, voice: Generator, clip: Generator) -> np.ndarray:
    """A hiss, and drops that ring shortly near by."""
    hiss = _filtered(clip.standard_normal(len(t)), sr, voice.uniform(700, 1500), 9000)
    hits = clip.uniform(size=len(t)) < voice.uniform(20, 80) / sr
    drops = hits * clip.exponential(1.0, len(t))
    frequency, radius = min(voice.uniform(1500, 4000), 0.4 * sr), 0.004
    taps = np.arange(max(2, round(5 * radius * sr))) / sr
    ring = np.exp(-taps / radius) * np.sin(2 * np.pi * frequency * taps)
    rain: np.ndarray = 0.25 * hiss + lfilter(ring, [1.0], drops)
    return rain


def _siren(t: np.ndarray, sr: float, voice: Generator, clip: Generator) -> np.ndarray:
    """Two tones in turn, or one that wails."""
    low, step = voice.uniform(400, 600), voice.uniform(1.25, 1.5)
    cycle = voice.uniform(0.4, 0.9)
    position = (t / cycle + clip.uniform()) % 1.0
    if voice.uniform() < 0.5:
        pitch = low * np.where(position < 0.5, 1.0, step)
    else:
        pitch = low * step ** (0.5 - 0.5 * np.cos(2 * np.pi * position))
    phase = _phase(pitch, sr)
    k = np.arange(1, int(np.clip(0.45 * sr / (low * step), 1, 6)) + 1)[:, None]
    wail: np.ndarray = (np.sin(k * phase) / k).sum(axis=0)
    return wail


def _steps(t: np.ndarray, sr: float, voice: Generator, clip: Generator) -> np.ndarray:
    """Heel and toe on gravel, at a walker's pace."""
    pace, low = voice.uniform(0.45, 0.65), voice.uniform(150, 400)
    out = np.zeros(len(t))
    onset = min(clip.uniform(0, 0.3), t[-1] / 2)
    while onset <= t[-1]:
        for delay, decay, loud in ((0.0, 0.03, 1.0), (0.09, 0.05, 0.6)):
            s = np.arange(max(2, round(0.2 * sr))) / sr
            grit = _filtered(clip.standard_normal(len(s)), sr, low, 10 * low)
            heel = loud * clip.uniform(0.7, 1.0) * grit * np.exp(-s / decay)
            out += _at(t, sr, onset + delay, heel)
        onset += pace * clip.uniform(0.93, 1.07)
    return out


def _clock(t: np.ndarray, sr: float, voice: Generator, clip: Generator) -> np.ndarray:
    """A tick and a tock in turn, wood behind them."""
    period = voice.uniform(0.4, 0.5)
    pitches = voice.uniform(900, 1500) * np.array([1.0, voice.uniform(0.75, 0.9)])
    out = np.zeros(len(t))
    onset, turn = min(clip.uniform(0, period), t[-1] / 2), 0
    while onset <= t[-1]:
        s = np.arange(max(2, round(0.06 * sr))) / sr
        wood = np.sin(2 * np.pi * pitches[turn % 2] * s) * np.exp(-s / 0.008)
        click = clip.standard_normal(len(s)) * np.exp(-s / 0.0015)
        out += _at(t, sr, onset, wood + 0.5 * click)
        onset, turn = onset + period, turn + 1
    return out


def _waves(t: np.ndarray, sr: float, voice: Generator, clip: Generator) -> np.ndarray:
    """Noise that swells and falls back, brighter where it breaks."""
    period, offset = voice.uniform(2.0, 4.0), clip.uniform()
    swell = (0.5 - 0.5 * np.cos(2 * np.pi * (t / period + offset))) ** 2
    deep = _filtered(clip.standard_normal(len(t)), sr, 60, voice.uniform(400, 800))
    spray = _filtered(clip.standard_normal(len(t)), sr, 1000, 6000)
    sea: np.ndarray = (0.2 + swell) * deep + 0.7 * swell**2 * spray
    return sea


SOUNDS: dict[str, Callable[..., np.ndarray]] = {
    "bell": _bell,
    "bird": _bird,
    "engine": _engine,
    "rain": _rain,
    "siren": _siren,
    "steps": _steps,
    "clock": _clock,
    "waves": _waves,
}
