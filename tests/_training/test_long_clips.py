"""Long clips: segments of a bounded length, few of them in memory at a time."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from skaudio._audio._parts import FIRST_CLIPS, PartSizes
from skaudio._training._front_ends import OwnViews
from skaudio._training._rates import segment_seconds
from skaudio.neural_network import MultiViewBlendingClassifier
from skaudio.views import Views, make_view_union

SR = 22050


def views(n_frames, rate=None, n_bins=2):
    # one value, repeated: long clips that take no memory
    clips = np.broadcast_to(np.float32(0), (3, n_bins, n_frames))
    return Views({"v": clips}, {"v": rate})


@pytest.mark.parametrize(
    ("n_frames", "n_bins", "steps"),
    [(5000, 2, 5000), (8192, 2, 8192), (8192, 1, 8192), (2**22, 1, 2**22)],
)
def test_segments_are_whole_clips_up_to_a_minute(n_frames, n_bins, steps):
    X = views(n_frames, n_bins=n_bins)
    assert segment_seconds("auto", X, {"v": 1.0}) == steps


@pytest.mark.parametrize(
    ("n_frames", "n_bins", "steps"), [(8193, 2, 512), (2**22 + 1, 1, 2**16)]
)
def test_longer_clips_of_unknown_rate_have_short_segments(n_frames, n_bins, steps):
    X = views(n_frames, n_bins=n_bins)
    with pytest.warns(UserWarning, match=f"segments are {steps} steps long"):
        assert segment_seconds("auto", X, {"v": 1.0}) == steps
    # what is asked for is done, and what has a rate is in seconds
    assert segment_seconds(None, X, {"v": 1.0}) == n_frames
    assert segment_seconds(n_frames, X, {"v": 1.0}) == n_frames
    known = views(n_frames, 50.0, n_bins)
    assert segment_seconds("auto", known, {"v": 50.0}) == 1.5


def part_size(paths, **options):
    return PartSizes(paths, sr=SR, **options).next


def test_first_parts_are_as_small_as_headers_say(tmp_path):
    minutes = {}
    for name, n in (("one", 1), ("five", 5), ("twenty", 20)):
        minutes[name] = tmp_path / f"{name}.wav"
        soundfile.write(minutes[name], np.zeros(n * 60 * 8000, np.int16), 8000)
    one, five, twenty = minutes.values()
    assert part_size([one] * 9) == FIRST_CLIPS
    assert part_size([five] * 9) == 2  # 6.6 million samples each at 22,050 Hz
    assert part_size([twenty] * 9) == 1
    assert part_size([one, one, twenty, one]) == 2
    assert part_size([twenty] * 9, duration=10.0) == FIRST_CLIPS
    assert part_size([np.zeros(2**23, np.int8), np.zeros(2**23 + 1, np.int8)]) == 1
    # faults are reported when the file is loaded
    assert part_size([tmp_path / "missing.wav"]) == FIRST_CLIPS
    (tmp_path / "bad.wav").write_bytes(bytes(2**20))
    assert part_size([tmp_path / "bad.wav"]) == FIRST_CLIPS


@pytest.mark.parametrize("ragged", [False, True])
def test_sound_and_raw_view_are_one_copy(ragged):
    X = np.random.default_rng(0).normal(size=(4, 4000)).astype(np.float32)
    clips = [clip[: 4000 - 100 * i] for i, clip in enumerate(X)] if ragged else X
    union = make_view_union("mel", "raw", sr=8000)
    clf = MultiViewBlendingClassifier(views=union)
    views, sound = OwnViews(union, "cpu").read(clf, clips, reset=True)
    for clip, wave, raw in zip(clips, sound.waveforms, views.clips("raw"), strict=True):
        np.testing.assert_array_equal(wave, clip)
        assert np.shares_memory(wave, raw)
