"""SilenceRemover: what is kept, what is removed, and when it was."""

import librosa
import numpy as np
import pytest

from skaudio.preprocessing import SilenceRemover

SR = 16000


def levels(*decibels, n_samples=4000):
    """Noise of one level after the other."""
    noise = np.random.default_rng(0).uniform(-1, 1, (len(decibels), n_samples))
    return (noise * 10 ** (np.array(decibels)[:, None] / 20)).ravel()


@pytest.mark.parametrize(
    ("n_samples", "top_db", "window", "hop"),
    [
        (33333, 40, 0.025, 0.01),
        (32000, 40, 0.025, 0.01),
        (33333, 20, 0.1, None),
        (33333, 60, 0.0101, 0.0037),
        (5000, 40, 0.01, 0.02),
        (80, 40, 0.025, 0.01),
        (1, 40, 0.025, 0.01),
    ],
)
def test_kept_parts_are_librosas(n_samples, top_db, window, hop):
    rng = np.random.default_rng(n_samples)
    level = np.repeat(10 ** rng.uniform(-4, 0, n_samples // 900 + 1), 900)
    y = rng.uniform(-1, 1, n_samples) * level[:n_samples]
    y /= np.abs(y).max()
    remover = SilenceRemover(sr=SR, top_db=top_db, window=window, hop=hop)
    parts = remover.split([y])
    frame_length, hop_length = round(window * SR), round((hop or window) * SR)
    expected = librosa.effects.split(
        y, top_db=top_db, frame_length=frame_length, hop_length=hop_length
    )
    expected = expected[expected[:, 1] > expected[:, 0]]
    kept = parts.loc[parts.kept, ["start", "end"]].to_numpy() * SR
    np.testing.assert_allclose(kept, expected)
    joined = np.concatenate([y[a:b] for a, b in expected])
    np.testing.assert_array_equal(remover.transform([y])[0], joined)


def test_parts_fill_the_clip_and_alternate():
    X = [levels(0, -60, -3, -50, -50, 0), levels(-60, 0), levels(0)]
    remover = SilenceRemover(sr=SR)
    parts, removed = remover.split(X), remover.removed(X)
    assert parts["clip"].tolist() == [0] * 5 + [1] * 2 + [2]
    assert parts.kept.tolist() == [*[True, False] * 2, True, False, True, True]
    for row, clip in enumerate(X):
        of_clip = parts[parts["clip"] == row]
        edges = [0, *(of_clip.end * SR).round().astype(int)]
        np.testing.assert_allclose(of_clip.start, np.array(edges[:-1]) / SR)
        assert edges[-1] == len(clip)
    gone = parts[~parts.kept]
    lengths = ((gone.end - gone.start) * SR).round().astype(int).tolist()
    assert [len(w) for w in removed] == lengths
    start = round(gone.start.iloc[1] * SR)
    np.testing.assert_array_equal(removed[1], X[0][start : start + len(removed[1])])
    whole = [len(w) for w in remover.transform(X)]
    assert sum(whole) + sum(map(len, removed)) == sum(map(len, X))


@pytest.mark.parametrize("gain", [1e-200, 1e-6, 1e6])
def test_only_differences_in_level_count(gain):
    y = levels(0, -60, 0)
    remover = SilenceRemover(sr=SR)
    assert remover.split([gain * y]).equals(remover.split([y]))


@pytest.mark.parametrize("n_samples", [1, 80, 5000])
def test_clips_of_nothing_but_silence_are_kept_whole(n_samples):
    silence = np.zeros(n_samples)
    remover = SilenceRemover(sr=SR)
    np.testing.assert_array_equal(remover.transform([silence])[0], silence)
    assert remover.split([silence]).kept.tolist() == [True]
    assert remover.removed([silence]) == []


def test_failed_clips_have_no_parts(tmp_path):
    remover = SilenceRemover(sr=SR, on_error="nan")
    X = [levels(0, -60), tmp_path / "none.wav", levels(-60, 0)]
    assert remover.split(X)["clip"].tolist() == [0, 0, 2, 2]
    assert [error["row"] for error in remover.errors_] == [1]
    assert len(remover.removed(X)) == 2
    assert SilenceRemover(sr=SR, on_error="nan").split(X[1:2]).empty
    with pytest.raises(FileNotFoundError):
        SilenceRemover(sr=SR).split(X)


def test_times_of_resampled_clips():
    """Seconds are those of the clip, whatever its rate."""
    y = levels(0, -60, 0)
    parts = SilenceRemover(sr=8000).split([(y, SR)])
    assert parts.kept.tolist() == [True, False, True]
    np.testing.assert_allclose(parts.start, [0, 0.25, 0.5], atol=0.03)
    assert parts.end.iloc[-1] == pytest.approx(0.75)


@pytest.mark.parametrize("hop", [0.01, 1e9])
def test_windows_that_hold_the_clip_find_no_difference(hop):
    y = levels(0, -60, 0)
    remover = SilenceRemover(sr=SR, window=1e9, hop=hop)
    np.testing.assert_array_equal(remover.transform([y])[0], y)
