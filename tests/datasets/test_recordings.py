"""make_recordings: pieces of given clips, and a truth that is exact."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import soundfile

from skaudio.datasets import make_recordings

SR = 1000
# every sample says which clip it is of, and where: label, clip, place
LABELS = {"noise": 1, "speech": 2, "music": 3, "silence": 4}


def clip_of(label, number, seconds):
    place = np.arange(round(seconds * SR))
    return (LABELS[label] + number / 10 + place * 1e-6).astype(np.float64)


def clips_of(seconds, n=3, labels=("noise", "speech", "music")):
    y = np.repeat(labels, n)
    return [clip_of(label, i % n, seconds) for i, label in enumerate(y)], y


def origin(waveform):
    """Label and clip of every sample."""
    return np.round(waveform, 1)


QUIET = [clip_of("silence", i, 0.3) for i in range(2)]


def made(seconds=3.0, **parameters):
    X, y = clips_of(seconds)
    options = {"sr": SR, "silence": QUIET, "random_state": 0, **parameters}
    return make_recordings(X, y, **options)


@pytest.mark.parametrize("seconds", [0.7, 30.0])
def test_the_truth_is_what_is_in_the_recordings(seconds):
    recordings, truth = made(seconds, n_recordings=5)
    assert len(recordings) == 5
    for i, waveform in enumerate(recordings):
        rows = truth[truth["recording"] == i]
        assert waveform.dtype == np.float32
        assert 20 <= len(waveform) / SR <= 120
        borders = np.round(rows["end"] * SR).astype(int).tolist()
        assert borders[-1] == len(waveform)
        assert rows["start"].tolist() == [0, *rows["end"][:-1]]
        pieces = np.split(waveform, borders[:-1])
        for piece, label in zip(pieces, rows["label"], strict=True):
            assert set(np.floor(piece)) == {LABELS[label]}
        labels = rows["label"].tolist()
        assert all(a != b for a, b in zip(labels[1:], labels[:-1], strict=True))
    assert list(truth) == ["recording", "start", "end", "label", "probability"]
    assert set(truth["probability"]) == {1}


def test_pieces_are_cut_from_clips_or_joined_of_them():
    recordings, truth = made(30.0, n_recordings=3)
    starts = []
    for row in truth.itertuples():
        piece = recordings[row.recording][round(row.start * SR) : round(row.end * SR)]
        if row.label == "silence":
            continue
        assert len(set(origin(piece))) == 1  # of one clip
        place = (piece.astype(float) - origin(piece)) * 1e6
        assert np.allclose(np.diff(place), 1, atol=0.6)  # in one piece
        starts.append(round(place[0]))
    assert len(set(starts)) > len(starts) / 2  # from random places
    # short clips: all of a label before one comes again
    recordings, truth = made(0.7, n_recordings=1)
    row = next(truth[truth["label"] == "music"].itertuples())
    piece = recordings[0][round(row.start * SR) : round(row.end * SR)]
    first = [float(origin(piece[at : at + 1])[0]) for at in (0, 700, 1400)]
    assert sorted(first) == pytest.approx([3, 3.1, 3.2])


def test_mean_lengths_are_those_asked_for():
    means = {"noise": 2.0, "speech": 1.0}
    recordings, truth = made(n_recordings=60, mean_durations=means, min_duration=100)
    inner = truth[truth["end"] < truth.groupby("recording")["end"].transform("max")]
    lengths = (inner["end"] - inner["start"]).groupby(inner["label"])
    expected = {**means, "music": 12, "silence": 0.5}
    for label, mean in expected.items():
        of_label = lengths.get_group(label)
        error = mean / np.sqrt(12 * len(of_label))
        assert of_label.mean() == pytest.approx(mean, abs=4 * error)
        assert of_label.min() >= 0.5 * mean - 1 / SR
        assert of_label.max() <= 1.5 * mean + 1 / SR
    seconds = [len(recording) / SR for recording in recordings]
    assert min(seconds) >= 100


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_joins_go_through_silence(share):
    _, truth = made(n_recordings=30, silence_fraction=share)
    n_silent = (truth["label"] == "silence").sum()
    n_joins = len(truth) - n_silent - 30  # a recording may end in its silence
    slack = {0: 0, 0.5: 0.1 * n_joins, 1: 30}[share]
    assert n_silent == pytest.approx(share * n_joins, abs=slack)


def test_silence_may_be_a_label_of_y():
    X, y = clips_of(3.0, labels=["noise", "speech", "silence"])
    _, truth = make_recordings(X, y, sr=SR, random_state=0)
    assert set(truth["label"]) == {"noise", "speech", "silence"}
    X, y = clips_of(3.0)
    _, truth = make_recordings(X, y, sr=SR, random_state=0)
    assert set(truth["label"]) == {"noise", "speech", "music"}
    quiet = make_recordings(X, y, sr=SR, silence=QUIET, silence_label=0, random_state=0)
    assert 0 in set(quiet[1]["label"])


def test_one_seed_repeats_to_the_bit():
    one, two = made(n_recordings=3), made(n_recordings=5)
    for a, b in zip(one[0], two[0], strict=False):
        np.testing.assert_array_equal(a, b)
    pd.testing.assert_frame_equal(one[1], two[1][two[1]["recording"] < 3])
    other = made(n_recordings=3, random_state=1)
    assert len(other[0][0]) != len(one[0][0])


def test_one_label_is_one_segment():
    X, y = clips_of(3.0, labels=["music"])
    recordings, truth = make_recordings(X, y, sr=SR, n_recordings=2, random_state=0)
    assert truth["label"].tolist() == ["music", "music"]
    assert truth["end"].tolist() == [len(recording) / SR for recording in recordings]


def test_files_are_clips(tmp_path):
    X, y = [], []
    for i, label in enumerate(["speech", "music"] * 2):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, np.full(4000, LABELS[label] / 10), SR, "FLOAT")
        X.append(path)
        y.append(label)
    recordings, truth = make_recordings(X, y, sr=SR, n_recordings=1, random_state=0)
    at = (truth["start"] * SR).round().astype(int)
    levels = recordings[0][at] * 10
    assert np.round(levels).tolist() == truth["label"].map(LABELS).tolist()
    # of the rate that is asked for
    twice, _ = make_recordings(X, y, sr=2 * SR, n_recordings=1, random_state=0)
    assert len(twice[0]) == pytest.approx(2 * len(recordings[0]), abs=1)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"min_duration": 30, "max_duration": 20},
            "min_duration must be positive, and",
        ),
        ({"n_recordings": 0}, "n_recordings must be 1 or more"),
        ({"silence_fraction": 2}, "silence_fraction must be from 0 to 1"),
        (
            {"mean_durations": {"music": 0}},
            "mean_durations of 'music' must be positive",
        ),
        ({"sr": 0}, "sr must be positive"),
        ({"silence": []}, "silence: X has no clips"),
        ({"silence": [np.zeros(0)]}, "Clip 0 of silence has 0 samples"),
    ],
)
def test_settings_that_make_no_recordings(parameters, message):
    with pytest.raises(ValueError, match=message):
        made(**parameters)


def test_clips_that_make_no_recordings():
    X, y = clips_of(3.0)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make_recordings(X, y[:-1], sr=SR)
    with pytest.raises(ValueError, match="no label but 'silence'"):
        make_recordings(X, ["silence"] * 9, sr=SR)
    with pytest.raises(ValueError, match="contains NaN"):
        make_recordings(X, np.array([np.nan, *y[1:]], dtype=object), sr=SR)
    X[4] = np.full(5, np.nan)
    with pytest.raises(ValueError, match="Clip 4 of X contains NaN"):
        make_recordings(X, y, sr=SR, random_state=0)
