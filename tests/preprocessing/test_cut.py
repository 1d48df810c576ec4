"""cut_clips: where clips lie, what they hold, and whose they are."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GroupKFold

from skaudio.preprocessing import cut_clips
from skaudio.views import (
    MeanPoolView,
    MelView,
    RawView,
    Views,
    ViewUnion,
    make_view_union,
)


def frames(n_frames, first=0.0):
    """Two bins that count frames, up and down."""
    steps = first + np.arange(n_frames, dtype=np.float32)
    return np.stack([steps, -steps])


@pytest.mark.parametrize(
    ("n_frames", "duration", "overlap", "expected"),
    [
        (250, 1.0, 0.5, [0, 0.5, 1.0, 1.5]),
        (260, 1.0, 0.5, [0, 0.5, 1.0, 1.5, 1.6]),
        (251, 1.0, 0.5, [0, 0.5, 1.0, 1.5, 1.51]),
        (100, 1.0, 0.5, [0]),
        (101, 1.0, 0.5, [0, 0.01]),
        (200, 0.5, 0.5, [0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5]),
        (500, 2.0, 0.5, [0, 1, 2, 3]),
        (250, 1.0, 0.0, [0, 1.0, 1.5]),
        (300, 1.0, 0.0, [0, 1.0, 2.0]),
        (150, 1.0, 0.75, [0, 0.25, 0.5]),
        (30, 0.1, 0.5, [0, 0.05, 0.1, 0.15, 0.2]),
        (37, 0.25, 0.5, [0, 0.12]),
    ],
)
def test_starts_by_hand(n_frames, duration, overlap, expected):
    views = Views({"mfcc": frames(n_frames)[None]}, {"mfcc": 100.0})
    clips = cut_clips(views, duration=duration, overlap=overlap)
    np.testing.assert_allclose(clips.starts, expected, atol=1e-9)
    n_steps = round(100 * duration)
    assert clips.X["mfcc"].shape == (len(expected), 2, n_steps)
    assert clips.X["mfcc"].dtype == np.float32
    assert clips.X.rates == {"mfcc": 100.0}
    for clip, start in zip(clips.X["mfcc"], expected, strict=True):
        np.testing.assert_array_equal(clip, frames(n_steps, round(100 * start)))


@pytest.mark.parametrize(("duration", "n_frames"), [(0.5, 50), (1.0, 100), (2.0, 200)])
def test_lengths_of_the_paper(duration, n_frames):
    """Features of whole files, cut afterwards: no frames are lost at the ends."""
    view = MelView(sr=16000, n_fft=512, win_length=400, hop_length=160, center="start")
    waveform = np.random.default_rng(0).standard_normal(16000 * 5)
    X = Views({"mel": view.transform([waveform])}, {"mel": view.rate})
    clips = cut_clips(X, duration=duration)
    assert clips.X["mel"].shape == (len(clips.starts), 64, n_frames)
    np.testing.assert_array_equal(clips.X["mel"][-1], X["mel"][0][:, -n_frames:])


def test_labels_and_sources_follow():
    X = [np.arange(20.0), np.arange(5.0), 100 + np.arange(15.0)]
    clips = cut_clips(X, ["a", "b", "c"], sr=10, duration=1.0)
    assert clips.rows.tolist() == [0, 0, 0, 1, 2, 2]
    assert clips.groups.tolist() == clips.rows.tolist()
    assert clips.y == ["a", "a", "a", "b", "c", "c"]
    assert clips.starts.tolist() == [0, 0.5, 1, 0, 0, 0.5]
    assert clips.X[:, 0].tolist() == [0, 5, 10, 0, 100, 105]
    assert clips.X[3].tolist() == [0, 1, 2, 3, 4] * 2
    for train, test in GroupKFold(3).split(clips.X, groups=clips.groups):
        assert not {*clips.rows[train]} & {*clips.rows[test]}
    tags = np.eye(3, dtype=int)
    clips = cut_clips(X, tags, groups=["s", "t", "s"], sr=10, duration=1.0)
    assert clips.y.argmax(axis=1).tolist() == [0, 0, 0, 1, 2, 2]
    assert clips.groups == ["s", "s", "s", "t", "s", "s"]
    series = pd.Series([1, 2, 3], index=[7, 8, 9])
    clips = cut_clips(X, series, sr=10, duration=1.0)
    assert clips.y.tolist() == [1, 1, 1, 2, 3, 3]
    assert cut_clips(X, sr=10, duration=1.0).y is None


@pytest.mark.parametrize(("n_samples", "n_clip"), [(3, 10), (9, 10), (1, 5), (4, 12)])
def test_short_recordings(n_samples, n_clip):
    y = 1 + np.arange(n_samples, dtype=np.float32)
    options = {"sr": 1, "duration": n_clip}
    missing = n_clip - n_samples
    wrapped = cut_clips([y], **options).X
    np.testing.assert_array_equal(
        wrapped, np.resize(y, (20, n_samples)).reshape(1, -1)[:, -n_clip:]
    )
    padded = cut_clips([y], **options, short="pad").X
    assert padded[0].tolist() == [*y, *[0] * missing]
    with pytest.raises(ValueError, match=f"Row 0 of X has {n_samples} s, less than"):
        cut_clips([y], **options, short="raise")
    with pytest.raises(ValueError, match="All 1 recordings are shorter than a clip"):
        cut_clips([y], **options, short="drop")
    dropped = cut_clips([y, np.ones(n_clip), y], **options, short="drop")
    assert dropped.rows.tolist() == dropped.groups.tolist() == [1]


def test_so_many_clips_from_the_beginning():
    """What follows them is left out, and the last one is where it would be anyway."""
    X = [np.arange(95.0), np.arange(40.0)]
    clips = cut_clips(X, ["a", "b"], sr=10, duration=1.0, overlap=0.0, n_clips=4)
    assert clips.starts.tolist() == [0, 1, 2, 3] * 2
    assert clips.rows.tolist() == [0] * 4 + [1] * 4
    assert clips.y == ["a"] * 4 + ["b"] * 4
    np.testing.assert_array_equal(clips.X[:4], np.arange(40.0).reshape(4, 10))
    half = cut_clips(X, sr=10, duration=1.0, n_clips=3)
    assert half.starts.tolist() == [0, 0.5, 1.0] * 2
    assert half.X[:, 0].tolist() == [0, 5, 10] * 2
    one = cut_clips(X, sr=10, duration=1.0, n_clips=1)
    np.testing.assert_array_equal(one.X, [np.arange(10.0)] * 2)


def test_recordings_without_so_many_clips():
    X = [1 + np.arange(25.0), 1 + np.arange(30.0), 1 + np.arange(7.0)]
    options = {"sr": 10, "duration": 1.0, "overlap": 0.0, "n_clips": 3}
    message = r"Row 0 of X has 2.5 s, less than 3 clips of 1 s every 1 s. .* or n_clips"
    with pytest.raises(ValueError, match=message):
        cut_clips(X, **options, short="raise")
    assert cut_clips(X, **options, short="drop").rows.tolist() == [1] * 3
    with pytest.raises(ValueError, match="All 1 recordings are shorter than 3 clips"):
        cut_clips(X[2:], **options, short="drop")
    padded = cut_clips(X, **options, short="pad")
    wrapped = cut_clips(X, **options, short="wrap")
    for clips in (padded, wrapped):
        assert clips.rows.tolist() == [0] * 3 + [1] * 3 + [2] * 3
        np.testing.assert_array_equal(clips.X[3:6].ravel(), X[1])
    assert padded.X[:3].ravel().tolist() == [*X[0], *[0] * 5]
    assert padded.X[6:].ravel().tolist() == [*X[2], *[0] * 23]
    assert wrapped.X[:3].ravel().tolist() == [*X[0][-5:], *X[0]]
    assert wrapped.X[6:].ravel().tolist() == np.resize(X[2], 5 * 7)[-30:].tolist()


def test_slices_of_the_softmax_autoencoder():
    """20 slices of 500 means of 40 samples, by the authors' code on whole tracks."""
    rng = np.random.default_rng(0)
    tracks = [rng.uniform(-1, 1, n).astype("f4") for n in (600_000, 661_500, 400_000)]
    clips = cut_clips(
        MeanPoolView().transform(tracks),
        [3, 1, 2],
        sr=22050 / 40,
        duration=500 / 551.25,
        overlap=0.0,
        n_clips=20,
        short="raise",
    )
    assert clips.X.shape == (60, 1, 500)
    assert clips.y == [3] * 20 + [1] * 20 + [2] * 20
    assert clips.groups.tolist() == clips.rows.tolist()
    pooled = [track[:400_000].reshape(-1, 40).mean(axis=1) for track in tracks]
    expected = np.concatenate([values.reshape(20, 500) for values in pooled])
    np.testing.assert_allclose(clips.X[:, 0], expected, atol=1e-7)
    views = ViewUnion([("raw", MeanPoolView())]).transform(tracks)
    again = cut_clips(views, duration=500 / 551.25, overlap=0.0, n_clips=20)
    np.testing.assert_array_equal(again.X["raw"], clips.X)
    with pytest.raises(ValueError, match=r"Row 1 of X has 18\.1.* less than 20 clips"):
        cut_clips(
            MeanPoolView().transform([tracks[0], tracks[2][:-1]]),
            **{"sr": 551.25, "duration": 500 / 551.25, "overlap": 0.0, "n_clips": 20},
            short="raise",
        )


def test_short_views_are_continued_by_their_last_frame():
    X = Views({"mel": frames(3, first=5)[None]}, {"mel": 10.0})
    clip = cut_clips(X, duration=0.5, short="pad").X["mel"][0]
    np.testing.assert_array_equal(clip[0], [5, 6, 7, 7, 7])
    np.testing.assert_array_equal(clip[1], [-5, -6, -7, -7, -7])


def test_views_are_cut_at_the_same_times():
    union = make_view_union(MelView(sr=8000), RawView(sr=8000))
    rng = np.random.default_rng(0)
    X = union.fit_transform([rng.standard_normal(n) for n in (20001, 3000, 8000)])
    clips = cut_clips(X, duration=0.5)
    assert clips.X["mel"].shape == (len(clips.rows), 64, 25)
    assert clips.X["raw"].shape == (len(clips.rows), 1, 4000)
    assert set(clips.rows) == {0, 1, 2}
    for i, (row, start) in enumerate(zip(clips.rows, clips.starts, strict=True)):
        if row == 1:
            continue
        first = round(start * 50)
        found, raw = clips.X["mel"][i], X["raw"][row][0]
        np.testing.assert_array_equal(found, X["mel"][row][:, first : first + 25])
        assert abs(start - first / 50) <= 0.01
        near = round(start * 8000)
        np.testing.assert_array_equal(clips.X["raw"][i, 0], raw[near : near + 4000])
        if row == 0 and start == clips.starts[clips.rows == 0][-1]:
            np.testing.assert_array_equal(clips.X["raw"][i, 0], raw[-4000:])


def test_containers():
    rows = np.arange(60.0).reshape(2, 30)
    wanted = cut_clips(rows, sr=10, duration=1.0).X
    assert wanted.shape == (10, 10)
    ragged = np.empty(2, dtype=object)
    ragged[:] = list(rows)
    for X in (list(rows), ragged, rows.tolist(), torch.tensor(rows), tuple(rows)):
        np.testing.assert_array_equal(cut_clips(X, sr=10, duration=1.0).X, wanted)
    np.testing.assert_array_equal(
        cut_clips(pd.DataFrame(rows), sr=10, duration=1.0).X, wanted
    )
    whole = cut_clips(rows.astype(np.int16), sr=10, duration=1.0).X
    assert whole.dtype == np.int16
    of_frames = cut_clips(rows[:, None], sr=10, duration=1.0).X
    np.testing.assert_array_equal(of_frames[:, 0], wanted)
    of_frames = cut_clips([rows, rows[:, :17]], sr=10, duration=1.0)
    assert of_frames.X.shape == (8, 2, 10)
    rows.flags.writeable = False
    cut_clips(rows, sr=10, duration=1.0).X[:] = 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"duration": 0.0}, "duration must be positive seconds; got 0.0"),
        ({"overlap": 1.0}, "overlap must be from 0 to below 1; got 1.0"),
        ({"n_clips": 0}, "n_clips must be a number of clips, at least 1, or None; got"),
        ({"n_clips": 2.0}, "n_clips must be a number of clips, at least 1, or None"),
        ({"short": "tile"}, "short must be one of wrap, pad, drop, raise; got 'tile'"),
        ({"sr": None}, "sr must be the steps of X per second"),
        ({"overlap": 0.95}, "start every 0.05 s; X has 10 steps per second. Lower"),
        ({"y": [1, 2, 3]}, "inconsistent numbers of samples"),
        ({"groups": [1]}, "inconsistent numbers of samples"),
        ({"X": []}, "X has no clips"),
        ({"X": np.ones(9)}, "X is one waveform"),
        ({"X": [np.ones(30), np.ones(0)]}, "Row 1 of X has no samples"),
    ],
)
def test_what_cannot_be_cut(change, message):
    arguments = {"X": np.ones((2, 30)), "sr": 10, "duration": 1.0} | change
    with pytest.raises(ValueError, match=message):
        cut_clips(**arguments)


@pytest.mark.parametrize("other", ["a.wav", (np.ones(9), 10), np.ones((2, 9)), None])
def test_rows_that_are_no_waveforms(other):
    with pytest.raises(TypeError, match=r"all alike; row 1 is .*AudioLoader"):
        cut_clips([np.ones(30), other], sr=10, duration=1.0)


def test_rates_of_views():
    arrays = {"mel": np.ones((1, 2, 30))}
    with pytest.raises(ValueError, match="rate of view 'mel' is unknown"):
        cut_clips(Views(arrays, {"mel": None}), duration=1.0)
    with pytest.raises(ValueError, match="Views have rates of their own: leave sr out"):
        cut_clips(Views(arrays, {"mel": 10.0}), sr=10, duration=1.0)


def test_views_that_end_apart_are_repeated_at_the_same_times():
    """Centred frames go half a window further than the samples, others stop before."""
    seconds = {"samples": np.arange(400) / 400, "centred": np.arange(51) / 50}
    seconds["not centred"] = np.arange(49) / 50
    rates = {"samples": 400.0, "centred": 50.0, "not centred": 50.0}
    views = Views({name: t[None, None] for name, t in seconds.items()}, rates)
    clips = cut_clips(views, duration=0.1, overlap=0, n_clips=20, short="wrap")
    late = clips.starts > 1.1  # what is repeated comes before
    first = {name: clips.X[name][late, 0, 0] for name in rates}
    for name in ("centred", "not centred"):
        np.testing.assert_allclose(first[name], first["samples"], atol=1e-9)
