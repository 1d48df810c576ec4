"""EnergyPatches: the loudest window of each clip, and windows side by side."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from skaudio.persistence import load, save
from skaudio.preprocessing import EnergyPatches
from skaudio.views import Views


@pytest.fixture
def spectrograms():
    """Five clips of 96 bands and 430 frames, as 10 s are at 43 frames per second."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((5, 96, 430)).astype(np.float32)


def loudest(clip, n_frames, step):
    """Energy of every candidate, by its definition."""
    starts = range(0, clip.shape[1] - n_frames + 1, step)
    energy = [clip[:, s : s + n_frames].astype(np.float64).sum() for s in starts]
    return starts[int(np.argmax(energy))], len(starts)


def test_windows_of_most_energy(spectrograms):
    patches = EnergyPatches().fit(spectrograms)
    X, starts = patches.transform(spectrograms), patches.starts(spectrograms)
    assert X.shape == (5, 96, 96)
    assert X.dtype == np.float32
    for i, clip in enumerate(spectrograms):
        start, n_candidates = loudest(clip, 96, 12)
        assert n_candidates == 28
        assert starts[i] == start
        np.testing.assert_array_equal(X[i], clip[:, start : start + 96])


@pytest.mark.parametrize(("place", "start"), [(0, 0), (200, 108), (429, 324), (95, 0)])
def test_a_burst_is_found(place, start):
    """In the first window that holds it: of starts every 12, up to 324 of 334."""
    X = np.full((1, 3, 430), -16.0)
    X[..., min(place, 419)] = 5
    assert EnergyPatches().fit(X).starts(X) == [start]


def test_first_of_equals():
    """Silence is the same everywhere, whatever its value adds up to."""
    for value in (0.0, -15.942385, 0.1):
        X = np.full((2, 96, 430), value, dtype=np.float32)
        np.testing.assert_array_equal(EnergyPatches().fit(X).starts(X), 0)


def test_logarithms_and_magnitudes_differ():
    """A short peak outweighs a steady tone, and not so after the logarithm."""
    X = np.full((1, 1, 40), 1e-3)
    X[..., :10], X[..., 25] = 1.0, 1e4
    cut = EnergyPatches(n_frames=10, step=10)
    assert cut.fit(X).starts(X) == [20]
    assert cut.starts(np.log(X)) == [0]


def test_short_clips_are_continued_by_their_lowest_value(spectrograms):
    clips = [spectrograms[0, :, :40], spectrograms[1, :, :96], spectrograms[2, :, :97]]
    patches = EnergyPatches().fit(clips)
    X = patches.transform(clips)
    np.testing.assert_array_equal(X[0, :, :40], clips[0])
    np.testing.assert_array_equal(X[0, :, 40:], clips[0].min())
    np.testing.assert_array_equal(X[1], clips[1])
    np.testing.assert_array_equal(X[2], clips[2][:, :96])
    chunks = patches.chunks(clips)
    np.testing.assert_array_equal(chunks[0][0], X[0])
    assert [len(chunk) for chunk in chunks] == [1, 1, 1]


@pytest.mark.parametrize(
    ("n_frames", "n_chunks"), [(430, 4), (1290, 13), (96, 1), (95, 1), (191, 1)]
)
def test_chunks_side_by_side(n_frames, n_chunks):
    """10 s and 30 s at 22,000 Hz and a hop of 512 are 430 and 1290 frames."""
    X = np.arange(2 * 2 * n_frames, dtype=np.float64).reshape(2, 2, n_frames)
    chunks = EnergyPatches().fit(X).chunks(X)
    assert [chunk.shape for chunk in chunks] == [(n_chunks, 2, 96)] * 2
    whole = np.concatenate(list(chunks[1]), axis=1)[:, :n_frames]
    np.testing.assert_array_equal(whole, X[1, :, : n_chunks * 96])


def test_clip_by_clip(spectrograms):
    lengths = [430, 50, 200, 96, 431]
    clips = [np.resize(x, (96, n)) for x, n in zip(spectrograms, lengths, strict=True)]
    patches = EnergyPatches(step=5).fit(clips)
    together = patches.transform(clips)
    alone = [patches.transform([clip])[0] for clip in clips]
    np.testing.assert_array_equal(together, alone)
    rectangular = patches.transform(spectrograms)
    np.testing.assert_array_equal(rectangular, patches.transform(list(spectrograms)))


def test_views_in_views_out(spectrograms):
    X = Views({"mel": spectrograms}, {"mel": 43.0})
    patches = EnergyPatches().fit(X)
    out = patches.transform(X)
    assert isinstance(out, Views)
    assert out.rates == {"mel": 43.0}
    assert list(patches.transform(X.with_index(list("abcde"))).index) == list("abcde")
    alone = EnergyPatches().fit(spectrograms).transform(spectrograms)
    np.testing.assert_array_equal(out["mel"], alone)
    np.testing.assert_array_equal(patches.chunks(X)[0][0], spectrograms[0, :, :96])
    assert len(patches.starts(X[1:3])) == 2
    two = Views({"mel": spectrograms, "raw": spectrograms}, {"mel": 43.0, "raw": None})
    with pytest.raises(ValueError, match=r"takes one view of clips; X has 2: \['mel"):
        patches.fit(two)


def test_data_frames_keep_their_index(spectrograms):
    X = pd.Series(list(spectrograms), index=list("edcba"))
    out = EnergyPatches().set_output(transform="pandas").fit_transform(X)
    assert list(out.index) == list("edcba")
    assert out["a"].shape == (96, 96)


def test_input_is_left_alone(spectrograms):
    X = spectrograms[:, :, :96].copy()
    patches = EnergyPatches().fit(X)
    for result in (patches.transform(X), patches.chunks(X)[0]):
        result[:] = 0
    np.testing.assert_array_equal(X, spectrograms[:, :, :96])


def test_errors(spectrograms):
    for method in ("transform", "starts", "chunks"):
        with pytest.raises(NotFittedError):
            getattr(EnergyPatches(), method)(spectrograms)
    patches = EnergyPatches().fit(spectrograms)
    with pytest.raises(ValueError, match="X has 95 features, but EnergyPatches"):
        patches.transform(spectrograms[:, 1:])
    spectrograms[3, 0, 0] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        patches.starts(spectrograms)
    with pytest.raises(ValueError, match="NaN or infinity, first in clip 3"):
        patches.chunks(list(spectrograms))
    with pytest.raises(ValueError, match="'n_frames' parameter"):
        EnergyPatches(n_frames=0).fit(spectrograms)


def test_copies(spectrograms, tmp_path):
    patches = EnergyPatches(n_frames=20, step=7).fit(spectrograms)
    save(patches, tmp_path / "p")
    expected = patches.transform(spectrograms)
    for copy in (pickle.loads(pickle.dumps(patches)), load(tmp_path / "p")):
        np.testing.assert_array_equal(copy.transform(spectrograms), expected)
