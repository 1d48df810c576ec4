"""Synthetic everyday sounds, and waveforms written to a folder per class."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio.datasets import load_audio_files, make_everyday_sounds, write_audio_files
from skaudio.datasets._everyday import SOUNDS
from skaudio.preprocessing import FrameStatistics
from skaudio.views import MFCCView


def test_one_seed_repeats_and_two_differ():
    X, y, groups = make_everyday_sounds(16, 8, return_groups=True, random_state=1)
    again = make_everyday_sounds(16, 8, return_groups=True, random_state=1)
    for one, other in zip((X, y, groups), again, strict=True):
        np.testing.assert_array_equal(one, other)
    other, _ = make_everyday_sounds(16, 8, random_state=2)
    assert not np.allclose(X, other)
    assert len(np.unique(X, axis=0)) == 16  # clips of one source differ, too
    assert (np.diff(groups) < 0).any()  # and are not side by side
    assert X.shape == (16, 44100)
    assert X.dtype == np.float32


def test_classes_are_balanced_and_sources_have_one_class():
    _, y, groups = make_everyday_sounds(
        48, 8, return_groups=True, sr=4000, random_state=0
    )
    names, counts = np.unique(y, return_counts=True)
    assert names.tolist() == sorted(SOUNDS)
    assert set(counts) == {6}
    table = pd.DataFrame({"y": y, "source": groups}).groupby("source")["y"]
    assert (table.nunique() == 1).all()
    assert (table.size() == 2).all()


@pytest.mark.parametrize("sr", [4000, 8000, 44100])
@pytest.mark.parametrize("duration", [0.001, 0.3, 5.0])
def test_levels_at_any_rate_and_length(sr, duration):
    X, _ = make_everyday_sounds(
        8, 8, clips_per_source=1, sr=sr, duration=duration, random_state=0
    )
    assert X.shape == (8, max(1, round(duration * sr)))
    assert np.isfinite(X).all()
    peaks = np.abs(X).max(axis=1)
    assert (peaks > 0.1).all()
    assert (peaks <= 0.8).all()


def test_a_baseline_hears_what_they_are():
    X, y, groups = make_everyday_sounds(
        96, 8, sr=8000, return_groups=True, random_state=0
    )
    train = groups % 48 < 32
    model = make_pipeline(
        MFCCView(sr=8000), FrameStatistics(), StandardScaler(), LogisticRegression()
    )
    assert model.fit(X[train], y[train]).score(X[~train], y[~train]) > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_classes": 9}, "n_classes must be 1 to 8; got 9"),
        ({"n_clips": 11}, "Ask for at least 12"),
        ({"duration": 0}, "duration must be positive"),
        ({"sr": 100}, "sr must be at least 4000 Hz; got 100"),
        ({"clips_per_source": 0}, "at least 1; got 0"),
    ],
)
def test_what_cannot_be_made_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        make_everyday_sounds(**options)


@pytest.mark.parametrize("format", ["wav", "flac", "ogg"])
def test_what_is_written_is_read_again(tmp_path, format):
    X, y = make_everyday_sounds(12, 3, sr=8000, duration=0.5, random_state=0)
    paths = write_audio_files(tmp_path / "new" / "sounds", X, y, sr=8000, format=format)
    sounds = load_audio_files(tmp_path / "new" / "sounds")
    assert sorted(sounds.paths) == sorted(paths)
    labels = dict(zip(sounds.paths, sounds.target_names[sounds.target], strict=True))
    assert [labels[path] for path in paths] == y.tolist()
    for path, clip in zip(paths, X, strict=True):
        found, sr = soundfile.read(path)
        assert sr == 8000
        assert found.shape == clip.shape
        if format != "ogg":
            np.testing.assert_allclose(found, clip, atol=2**-15)


def test_sources_are_in_a_table(tmp_path):
    X, y, groups = make_everyday_sounds(
        12, 3, sr=8000, duration=0.2, return_groups=True, random_state=0
    )
    paths = write_audio_files(tmp_path, list(X), y, sr=8000, groups=groups)
    sounds = load_audio_files(tmp_path / "clips.csv")
    assert sounds.paths.tolist() == paths.tolist()
    assert sounds.groups.tolist() == groups.tolist()
    names = [f"source{g}-{i:02d}.wav" for i, g in enumerate(groups.tolist())]
    assert [Path(path).name for path in paths] == names
    texts = write_audio_files(tmp_path, list(X), y, sr=8000, groups=["b", "a"] * 6)
    assert [Path(path).name[6] for path in texts[:3]] == ["0", "1", "0"]
    with pytest.warns(UserWarning, match="clips.csv"):
        load_audio_files(tmp_path)  # the folder alone knows no sources


def test_what_cannot_be_written_is_said(tmp_path):
    X, y = np.zeros((2, 100)), ["a", "b"]
    with pytest.raises(ValueError, match="clip 1 go up to 3"):
        write_audio_files(tmp_path, [X[0], X[1] + 3], y, sr=8000)
    names = (
        "a/b",
        "..",
        "",
        ".a",
        "a:b",
        "a\\b",
        "dog ",
        "dog.",
        "CON",
        "nul.x",
        "a\n",
    )
    for name in (*names, None, np.nan):
        with pytest.raises(ValueError, match="no name of a folder"):
            write_audio_files(tmp_path, X, ["a", name], sr=8000)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        write_audio_files(tmp_path, X, ["a"], sr=8000)
    for sr in (0, -8000, 8000.5, "8000", np.nan):
        with pytest.raises(ValueError, match="sr must be a whole number of Hz above 0"):
            write_audio_files(tmp_path, X, y, sr=sr)
    with pytest.raises(ValueError, match=r"one of \['flac', 'ogg', 'wav'\]"):
        write_audio_files(tmp_path, X, y, sr=8000, format="mp4")
    assert not list(tmp_path.iterdir())
    fine = write_audio_files(tmp_path, X, ["föhn 1", "雨"], sr=8000.0)
    assert [Path(path).parent.name for path in fine] == ["föhn 1", "雨"]
