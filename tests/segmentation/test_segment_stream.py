"""Streams give the table of the whole recording, and as early as they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
from segmented import SR, recording_of
from sklearn.frozen import FrozenEstimator

from skaudio.segmentation import FrameSegmenter, SegmentStream


def segmenter_of(model, **parameters):
    return FrameSegmenter(FrozenEstimator(model), **parameters).fit()


def cut(recording, seed, most):
    """Blocks of random sizes, some of them empty."""
    rng = np.random.default_rng(seed)
    borders = np.cumsum(rng.integers(0, most, size=2 * len(recording) // most + 5))
    return np.split(recording, borders[borders < len(recording)])


def streamed(stream, blocks):
    tables = [stream.push(block) for block in blocks] + [stream.flush()]
    return pd.concat([t for t in tables if len(t)], ignore_index=True)


SETTINGS = [
    {"median": 21, "block": 0.1},
    {"median": 51, "block": 0.7, "min_duration": 0.3},
    {"median": 1, "block": 10.0, "hop": 0.03},
    {"median": 11, "block": 0.4, "window": 0.2, "hop": 0.02},
    {"median": 2001, "block": 0.5, "min_duration": 100.0},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("seed", range(3))
def test_any_blocks_give_the_table_of_the_whole(settings, seed, convolution, recording):
    segmenter = segmenter_of(convolution, **settings)
    whole = segmenter.predict([recording])
    blocks = cut(recording, seed, most=[300, 3000, 40_000][seed])
    found = streamed(segmenter.stream(), blocks)
    pd.testing.assert_frame_equal(found, whole, check_exact=True)


def test_a_file_pushed_in_blocks(convolution, recording, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, recording.clip(-1, 1), SR, "PCM_16")
    segmenter = segmenter_of(convolution, median=51)
    with soundfile.SoundFile(path) as file:
        blocks = list(file.blocks(blocksize=1000, dtype="int16"))
    found = streamed(segmenter.stream(recording=str(path)), blocks)
    pd.testing.assert_frame_equal(found, segmenter.predict([path]), check_exact=True)


def test_blocks_of_another_rate_and_of_several_channels(convolution, recording):
    segmenter = segmenter_of(convolution, median=51)
    expected = segmenter.predict([recording])
    at_another = soxr.resample(recording, SR, 11025)
    stream = segmenter.stream(sr=11025)
    blocks = [np.stack([b, b]) for b in np.array_split(at_another, 37)]
    found = streamed(stream, blocks)
    assert stream.sr == 11025
    assert found["label"].tolist() == expected["label"].tolist()
    np.testing.assert_allclose(found["end"], expected["end"], atol=0.02)


@pytest.mark.parametrize("settings", SETTINGS[:4])
def test_a_segment_is_known_within_the_latency(settings, convolution, recording):
    segmenter = segmenter_of(convolution, **settings)
    stream, delays = segmenter.stream(), []
    assert stream.latency_ == segmenter.latency_
    size = 40
    for i in range(0, len(recording), size):
        for segment in stream.push(recording[i : i + size]).itertuples():
            delays.append((i + size) / SR - segment.end)
    slack = size / SR + 1e-9
    assert delays or segmenter.latency_ > 1.25
    assert max(delays, default=0) <= segmenter.latency_ + slack


def test_latency_adds_up(frame_model, convolution):
    # a block, 128 samples of half a transform, 3.5 frames of the filter, the shortest
    segmenter = segmenter_of(frame_model, median=5, block=0.5, min_duration=0.3)
    assert segmenter.latency_ == pytest.approx(0.5 + 128 / SR + 0.035 + 0.3)
    # and three frames of context, and four of the derivatives
    segmenter = segmenter_of(convolution, median=5, block=0.5)
    assert segmenter.latency_ == pytest.approx(0.5 + 128 / SR + 0.07 + 0.035)
    # half a window
    segmenter = segmenter_of(convolution, median=1, block=0.5, window=0.4)
    assert segmenter.latency_ == pytest.approx(0.5 + 0.2 + 0.015)


def test_segments_one_by_one(convolution, recording):
    segmenter = segmenter_of(convolution, median=21, block=0.1)
    taken = []

    def microphone():
        for block in np.split(recording, 100):
            taken.append(len(block))
            yield block

    seen = []
    for segment in segmenter.stream(recording="live").segments(microphone()):
        seen.append((segment, sum(taken) / SR))
    whole = segmenter.predict([recording])
    found = pd.DataFrame([segment for segment, _ in seen])
    assert set(found.pop("recording")) == {"live"}
    pd.testing.assert_frame_equal(found, whole.drop(columns="recording"))
    # the first ones are there while sound still comes
    assert [time < 5.75 for _, time in seen] == [True, True, True, False]


def test_memory_does_not_grow(frame_model):
    segmenter = segmenter_of(frame_model, median=21, block=0.5)
    stream = segmenter.stream()
    block = recording_of(("loud", 1.0))
    sizes = []
    for _ in range(30):
        stream.push(block)
        sizes.append(sum(map(len, stream._frames._buffer._blocks)))
        assert len(stream._builder.segments) == 0
    assert max(sizes[5:]) == max(sizes[:5]) < 3 * SR


def test_what_is_no_block(convolution, recording):
    stream = segmenter_of(convolution).stream()
    assert isinstance(stream, SegmentStream)
    assert len(stream.push(np.empty(0))) == 0  # of any type
    stream.push(recording)
    before = stream._intake.n_samples
    for block, error, message in [
        (recording.astype(float), TypeError, "has dtype float64, those before had"),
        (b"\x00\x01", TypeError, r"got bytes.*numpy\.frombuffer"),
        ([0.1, 0.2], TypeError, "got list"),
        (np.array(["a"]), TypeError, "array of numbers"),
        (np.zeros((2, 3, 4), np.float32), ValueError, r"must have shape \(n_samples,"),
        (np.zeros((5, 2), np.float32), ValueError, "transpose it"),
        (np.full(5, np.nan, np.float32), ValueError, "contains NaN"),
        (np.float32(3), TypeError, "got float32"),
    ]:
        with pytest.raises(error, match=message):
            stream.push(block)
        assert stream._intake.n_samples == before  # and it goes on
    stream.flush()
    for call in (stream.flush, lambda: stream.push(recording)):
        with pytest.raises(ValueError, match=r"was flushed. Make a new one"):
            call()


def test_an_empty_stream(convolution):
    stream = segmenter_of(convolution).stream()
    stream.push(np.empty(0, np.float32))
    with pytest.raises(ValueError, match="The stream has 0 samples"):
        stream.flush()
    with pytest.raises(ValueError, match="states a sampling rate of 0 Hz"):
        segmenter_of(convolution).stream(sr=0)
