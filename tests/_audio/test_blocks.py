"""Files handed on block by block are what is decoded as a whole."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from skaudio._audio._checks import CutShortError
from skaudio._audio._decode import decode

RATE = 16000


def written(path, n_samples, n_channels=2, subtype="PCM_16"):
    rng = np.random.default_rng(0)
    samples = rng.uniform(-0.5, 0.5, (n_samples, n_channels))
    soundfile.write(path, samples, RATE, subtype)
    return path


def received(path, **options):
    blocks = []
    rest, rate = decode(path, None, receive=blocks.append, **options)
    assert rest.size == 0
    return blocks, rate


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("sr", [None, 22050])
def test_blocks_are_the_file(kind, sr, tmp_path):
    subtype = {"ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}.get(kind, "PCM_16")
    path = written(tmp_path / f"a.{kind}", 600_000, subtype=subtype)
    options = {"sr": sr, "mono": "average"}
    whole, rate = decode(path, None, **options)
    blocks, rate_of_blocks = received(path, **options)
    assert len(blocks) > 2  # and none was written over by the next
    assert rate_of_blocks == rate
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_channels_are_kept_where_they_are_wanted(tmp_path):
    path = written(tmp_path / "a.wav", 1000, n_channels=3)
    (block,), _ = received(path)
    np.testing.assert_array_equal(block, decode(path, None)[0])


def test_less_than_a_sample_is_its_mean(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, [0.25], 100_000, "FLOAT")
    blocks, _ = received(path, sr=100, mono="average")
    assert np.concatenate(blocks).tolist() == [0.25]
    np.testing.assert_array_equal(
        blocks[0], decode(path, None, sr=100, mono="average")[0]
    )


def test_what_is_there_of_a_file_that_is_cut_short(tmp_path):
    path = written(tmp_path / "a.wav", 1000, n_channels=1)
    path.write_bytes(path.read_bytes()[:-1000])
    blocks = []
    with pytest.raises(CutShortError, match="500 of 1000 samples"):
        decode(path, None, mono="average", receive=blocks.append)
    assert sum(map(len, blocks)) == 500


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "contains NaN or infinity"), (3e38, "too large to compute with")],
)
def test_nothing_is_handed_on_after_a_fault(value, message, tmp_path):
    samples = np.full((600_000, 2), 0.1, np.float32)
    samples[300_000] = value
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE, "FLOAT")
    blocks = []
    with pytest.raises(ValueError, match=message):
        decode(path, None, mono="average", receive=blocks.append)
    assert sum(map(len, blocks)) <= 300_000
    assert all(np.isfinite(block).all() for block in blocks)
