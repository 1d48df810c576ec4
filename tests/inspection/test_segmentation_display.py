"""SegmentationDisplay draws what a segmenter finds over the truth."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
from segmented import SR, Convolution, mfcc, noise, recording_of
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skaudio.inspection import SegmentationDisplay
from skaudio.inspection._palette import COLORS
from skaudio.segmentation import FrameSegmenter


@pytest.fixture(autouse=True)
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.fixture(scope="module")
def segmenter():
    y = np.repeat(["loud", "quiet"], 3)
    levels = np.where(y == "loud", 0.3, 0.003)
    clips = [noise(0.5, level, i) for i, level in enumerate(levels)]
    model = make_pipeline(mfcc(), Convolution())
    return FrameSegmenter(model, median=11).fit(clips, y)


RECORDING = recording_of(("loud", 1.0), ("quiet", 2.0))
TRUTH = pd.DataFrame(
    {
        "start": [0.0, 1.0, 1.5],
        "end": [1.0, 1.5, 3.0],
        "label": ["loud", "none", "quiet"],
    }
)


def bars(ax):
    """Start, end, row and colour of every segment."""
    from matplotlib.colors import to_hex

    return [
        (
            round(bar.get_x(), 9),
            round(bar.get_x() + bar.get_width(), 9),
            round(bar.get_y() + bar.get_height() / 2),
            to_hex(bar.get_facecolor()),
        )
        for bar in ax.patches
    ]


def test_what_a_segmenter_finds(segmenter):
    display = SegmentationDisplay.from_estimator(segmenter, RECORDING, truth=TRUTH)
    image, tracks, segments = display.axes_
    table = segmenter.predict([RECORDING])
    blue, orange = (color.lower() for color in COLORS[:2])
    starts, ends = table["start"], table["end"]
    assert bars(segments) == [
        (starts[0], ends[0], 0, blue),
        (starts[1], ends[1], 0, orange),
        (0, 1, 1, blue),
        (1, 1.5, 1, "#d1d1d1"),  # no class: grey
        (1.5, 3, 1, orange),
    ]
    assert [t.get_text() for t in segments.get_yticklabels()] == ["found", "truth"]
    assert [t.get_text() for t in segments.texts] == [
        "loud",
        "quiet",
        "loud",
        "none",
        "quiet",
    ]
    (proba,), (times,) = segmenter.predict_frames_proba([RECORDING])
    for line, track in zip(tracks.get_lines(), proba, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.transpose([times, track]))
    assert [line.get_label() for line in tracks.get_lines()] == ["loud", "quiet"]
    assert image.get_images()[0].get_extent() == [0, 151 / 50, 0, 64]
    assert all(ax.get_xlim() == (0, 151 / 50) for ax in display.axes_)
    # the loud second is lighter
    assert display.spectrogram[:, :45].mean() > display.spectrogram[:, 55:].mean() + 30


def test_files_and_tables(segmenter, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, RECORDING.clip(-1, 1), SR)
    display = SegmentationDisplay.from_estimator(segmenter, path)
    assert len(display.axes_) == 3
    assert set(display.segments["recording"]) == {str(path)}
    display = SegmentationDisplay.from_segments(TRUTH, path, sr=SR)
    assert len(display.axes_) == 2
    assert len(bars(display.axes_[1])) == 3
    assert display.classes is None


def test_it_draws_where_it_is_told(segmenter, pyplot):
    _, axes = pyplot.subplots(3)
    display = SegmentationDisplay.from_estimator(segmenter, RECORDING, axes=axes)
    assert list(display.axes_) == list(axes)
    with pytest.raises(ValueError, match="axes must be 3 Axes; got 2"):
        display.plot(axes=axes[:2])
    again = display.plot()
    assert again is display
    assert display.figure_ is not axes[0].figure


def test_a_long_recording_is_averaged():
    table = pd.DataFrame({"start": [0.0], "end": [2.0], "label": ["a"]})
    levels = np.arange(10_001.0)[None]
    display = SegmentationDisplay(segments=table, spectrogram=levels, frame_rate=5000.0)
    (image,) = display.plot().axes_[0].get_images()
    columns = image.get_array()[0]
    assert len(columns) == 3334
    assert columns[[0, 1, -1]].tolist() == [1, 4, 9999.5]


def test_short_segments_have_no_text():
    table = pd.DataFrame(
        {"start": [0.0, 9.9], "end": [9.9, 10.0], "label": ["a", "a long name"]}
    )
    display = SegmentationDisplay.from_segments(table, noise(10, 0.1, 0), sr=SR)
    assert [text.get_text() for text in display.axes_[1].texts] == ["a"]


def test_more_classes_than_colours():
    labels = list("abcdefgh")
    table = pd.DataFrame({"start": range(8), "end": range(1, 9), "label": labels})
    display = SegmentationDisplay.from_segments(table, noise(8, 0.1, 0), sr=SR)
    assert len({color for *_, color in bars(display.axes_[1])}) == 8


def test_what_cannot_be_drawn(segmenter):
    with pytest.raises(TypeError, match="LogisticRegression has no predict_frames"):
        SegmentationDisplay.from_estimator(LogisticRegression(), RECORDING)
    with pytest.raises(NotFittedError):
        SegmentationDisplay.from_estimator(FrameSegmenter(segmenter), RECORDING)
    two = pd.concat([TRUTH, TRUTH.assign(recording=1)]).fillna({"recording": 0})
    with pytest.raises(ValueError, match="truth has 2 recordings; one is drawn"):
        SegmentationDisplay.from_estimator(segmenter, RECORDING, truth=two)
    with pytest.raises(ValueError, match="segments has no column 'end'"):
        SegmentationDisplay.from_segments(TRUTH[["start", "label"]], RECORDING, sr=SR)
    display = SegmentationDisplay.from_estimator(segmenter, RECORDING)
    display.proba = display.proba[:, 1:]
    with pytest.raises(ValueError, match=r"proba has shape \(2, 299\); expected"):
        display.plot()


def test_without_matplotlib(monkeypatch, segmenter):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        ImportError, match=r"SegmentationDisplay needs matplotlib.*plot"
    ):
        SegmentationDisplay.from_estimator(segmenter, RECORDING)
