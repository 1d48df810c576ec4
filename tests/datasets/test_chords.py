"""make_chords: notes where equal temperament has them, and nothing folded back."""

import librosa
import numpy as np
import pandas as pd
import pytest

from skaudio.datasets import make_chords
from skaudio.datasets._chords import CHORDS, INSTRUMENTS, ROOTS, _midi

SR = 22050


def spectrum(clip, sr=SR):
    """Frequencies, and magnitudes relative to the largest."""
    magnitudes = np.abs(np.fft.rfft(clip * np.hanning(len(clip)), 4 * len(clip)))
    return np.fft.rfftfreq(4 * len(clip), 1 / sr), magnitudes / magnitudes.max()


def near(clip, hertz, sr=SR, cents=15):
    """Largest magnitude within a few cents of a frequency."""
    frequencies, magnitudes = spectrum(clip, sr)
    width = 2 ** (cents / 1200)
    inside = (frequencies > hertz / width) & (frequencies < hertz * width)
    return magnitudes[inside].max()


def peaks(clip, sr=SR, least=0.05):
    frequencies, magnitudes = spectrum(clip, sr)
    inner = magnitudes[1:-1]
    is_peak = (inner > magnitudes[:-2]) & (inner > magnitudes[2:]) & (inner > least)
    return frequencies[1:-1][is_peak]


def test_one_row_per_root_chord_and_instrument():
    X, table = make_chords(duration=0.02, sr=8000, random_state=0)
    assert X.shape == (4 * 7 * 6, 160)
    assert X.dtype == np.float32
    assert list(table.columns) == ["root", "chord", "instrument"]
    assert list(table["root"].unique()) == ["A3", "Bb2", "Eb2", "G4"]
    assert list(table["chord"].unique()) == [
        *("major", "minor", "7", "minor 7", "diminished", "sus4", "major 7"),
    ]
    assert len(table.drop_duplicates()) == len(table)
    np.testing.assert_allclose(np.abs(X).max(axis=1), 0.9, rtol=1e-6)


NOTES = {  # by hand, in Hz
    ("A3", "major"): [220.00, 277.18, 329.63],
    ("A3", "minor"): [220.00, 261.63, 329.63],
    ("Bb2", "7"): [116.54, 146.83, 174.61, 207.65],
    ("Eb2", "minor 7"): [77.78, 92.50, 116.54, 138.59],
    ("G4", "diminished"): [392.00, 466.16, 554.37],
    ("G4", "sus4"): [392.00, 523.25, 587.33],
    ("A4", "major 7"): [440.00, 554.37, 659.26, 830.61],
    ("C4", "augmented"): [261.63, 329.63, 415.30],
    ("F#3", "sus2"): [185.00, 207.65, 277.18],
    ("Cb4", "note"): [246.94],
}


@pytest.mark.parametrize(("root", "chord"), NOTES)
def test_notes_of_chords(root, chord):
    """A sine has a peak at every note, and no other."""
    X, _ = make_chords([root], [chord], ["sine"], duration=2.0, random_state=0)
    found = peaks(X[0])
    assert len(found) == len(NOTES[root, chord])
    cents = 1200 * np.log2(found / NOTES[root, chord])
    assert np.abs(cents).max() < 6


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_partials_of_instruments(instrument):
    """At multiples of the note, as strong as they are to be, and nothing between."""
    X, _ = make_chords(
        ["A3"], ["note"], [instrument], duration=2.0, detune=0.0, random_state=0
    )
    timbre, k = INSTRUMENTS[instrument], np.arange(1, 17)
    wanted = timbre.amplitudes(k) > 1e-9
    strength = np.array([near(X[0], 220 * i) for i in k])
    assert (strength[~wanted] < 1e-3).all()
    between = np.array([near(X[0], 220 * (i + 0.5)) for i in k])
    assert (strength[wanted] > 3 * between[wanted]).all()
    assert between.max() < 1e-2
    if not timbre.decay and not timbre.vibrato:
        expected = timbre.amplitudes(k)[wanted]
        np.testing.assert_allclose(strength[wanted], expected / expected.max(), 0.02)


def test_instruments_differ_in_time():
    """A plucked string is loud at once and fades, a bowed one swells and stays."""
    names = ["plucked string", "bowed string"]
    X, _ = make_chords(["A3"], ["major"], names, random_state=0)
    levels = np.sqrt(np.square(X).reshape(2, 10, -1).mean(axis=2))
    plucked, bowed = levels / levels.max(axis=1, keepdims=True)
    assert plucked[0] == 1.0
    assert plucked[8] < 0.4
    assert bowed[0] < 0.8 < bowed[5:9].min()


@pytest.mark.parametrize("sr", [4000, 8000, 11025])
def test_no_partial_is_aliased(sr):
    """Nothing lies above the highest partial, nor folded back between the others."""
    X, _ = make_chords(["A5"], ["note"], random_state=0, sr=sr, duration=2.0)
    frequencies = np.fft.rfftfreq(4 * X.shape[1], 1 / sr)
    distance = np.abs(frequencies / 880 - np.round(frequencies / 880)) * 880
    for clip in X:
        _, magnitudes = spectrum(clip, sr)
        assert magnitudes[distance > 60].max() < 5e-3
        assert magnitudes[frequencies > 0.47 * sr].max() < 1e-3


def test_seeds():
    """To the bit, and whichever other chords there are."""
    X, table = make_chords(duration=0.05, random_state=3)
    again, _ = make_chords(duration=0.05, random_state=3)
    np.testing.assert_array_equal(X, again)
    some, rows = make_chords(
        ["G4"], ["sus4", "minor"], ["reed"], duration=0.05, random_state=3
    )
    for clip, row in zip(some, rows.itertuples(index=False), strict=True):
        place = (table == list(row)).all(axis=1)
        np.testing.assert_array_equal(X[place][0], clip)
    other, _ = make_chords(duration=0.05, random_state=4)
    assert not (other == X).all(axis=1).any()
    exact = [
        make_chords(["A3"], ["note"], ["sine"], detune=d, random_state=0)[0]
        for d in (0.0, 50.0)
    ]
    assert abs(peaks(exact[0][0])[0] - 220) < 0.2 < abs(peaks(exact[1][0])[0] - 220)


@pytest.mark.parametrize("note", [*ROOTS, "C4", "B#3", "Cb4", "F##2", "Ebb5", "A-1"])
def test_names_of_notes_are_librosas(note):
    assert _midi(note) == librosa.note_to_midi(note)


def test_intervals_rise_from_the_root():
    for semitones in CHORDS.values():
        assert semitones[0] == 0
        assert list(semitones) == sorted(set(semitones))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"roots": ["H3"]}, "roots has 'H3', which is no note: a letter from A to G"),
        ({"roots": ["A"]}, "roots has 'A', which is no note"),
        ({"roots": ["A#b3"]}, "roots has 'A#b3', which is no note"),
        ({"roots": "A3"}, "roots must be a list of names; got 'A3'"),
        ({"chords": ["maj"]}, "chords has 'maj'; known are 'major', 'minor', '7'"),
        ({"chords": []}, r"chords must be a list of names; got \[\]"),
        ({"instruments": ["oboe"]}, "instruments has 'oboe'; known are 'sine', 'pluck"),
        ({"duration": 0.0}, "duration must be a positive number; got 0.0"),
        ({"sr": -1}, "sr must be a positive number; got -1"),
        ({"detune": -1.0}, "detune must be cents, at least 0; got -1.0"),
        ({"sr": 500}, "'major' on A3 has a note of 277 Hz, too high for sr=500: notes"),
    ],
)
def test_what_is_refused(change, message):
    options = {"roots": ["A3"], "chords": ["major"], "instruments": ["sine"]}
    options |= {"random_state": 0}
    with pytest.raises(ValueError, match=message):
        make_chords(**options | change)


def test_containers_and_tiny_clips():
    X, table = make_chords(
        np.array(["A3"]), ("note",), pd.Series(["sine"]), duration=1e-9, random_state=0
    )
    assert X.shape == (1, 1)
    assert np.isfinite(X).all()
    assert len(table) == 1
