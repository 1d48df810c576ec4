"""ReconstructionDisplay draws patches over what is decoded of their embeddings."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from skaudio.inspection import ReconstructionDisplay
from skaudio.preprocessing import EnergyPatches


@pytest.fixture(autouse=True)
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


class Averages(BaseEstimator):
    """The smallest embedder with a decoder: the mean of each band, repeated."""

    def fit(self, X, y=None):
        self.cut_ = EnergyPatches(n_frames=4, step=2).fit(list(X))
        return self

    def energy_patches(self, X):
        return self.cut_.transform(list(X))

    def transform(self, X):
        return self.energy_patches(X).mean(axis=2)

    def inverse_transform(self, Z):
        return np.repeat(Z[:, :, None], 4, axis=2)


@pytest.fixture
def clips():
    return np.random.default_rng(0).random((10, 3, 12))


@pytest.fixture
def embedder(clips):
    return Averages().fit(clips)


def images(display):
    """What each panel shows, in the order of the axes."""
    return [ax.get_images()[0].get_array() for ax in display.axes_.flat]


def captions(display):
    return [ax.get_xlabel() for ax in display.axes_[1]]


def test_the_first_clips_over_their_reconstructions(clips, embedder):
    display = ReconstructionDisplay.from_estimator(embedder, clips)
    assert display.axes_.shape == (2, 8)
    patches = embedder.energy_patches(clips)[:8]
    assert_array_equal(display.patches, patches)
    drawn = images(display)
    assert_array_equal(np.stack(drawn[:8]), patches)
    assert_allclose(np.stack(drawn[8:]), np.repeat(patches.mean(2)[..., None], 4, 2))
    few = ReconstructionDisplay.from_estimator(embedder, clips, n_clips=2)
    assert few.axes_.shape == (2, 2)


def test_low_bands_are_at_the_bottom_and_time_runs_to_the_right(clips, embedder):
    display = ReconstructionDisplay.from_estimator(embedder, clips)
    for ax in display.axes_.flat:
        low, high = ax.get_ylim()
        assert low < high
        left, right = ax.get_xlim()
        assert left < right


def test_panels_share_their_colours(clips, embedder):
    display = ReconstructionDisplay.from_estimator(embedder, clips)
    limits = {ax.get_images()[0].get_clim() for ax in display.axes_.flat}
    assert limits == {(display.patches.min(), display.patches.max())}


def test_a_panel_stands_below_its_patch(clips, embedder):
    """Also in the second band of a sheet of more than eight."""
    display = ReconstructionDisplay.from_estimator(embedder, clips, n_clips=10)
    display.figure_.canvas.draw()
    boxes = [[ax.get_window_extent() for ax in row] for row in display.axes_]
    for above, below in zip(*boxes, strict=True):
        assert above.x0 == pytest.approx(below.x0)
        assert below.y1 < above.y0
    assert boxes[0][8].y1 < boxes[1][0].y0
    assert boxes[0][8].x0 == pytest.approx(boxes[0][0].x0)
    labels = [ax.get_ylabel() for ax in display.axes_[0]]
    assert [i for i, label in enumerate(labels) if label] == [0, 8]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["dog", "rain"], ["dog", "rain"]),
        ([["dog", "bark"], []], ["dog\nbark", ""]),
        ([[("dog", 0.834), ("bark", 0.5)], [("rain", np.float32(1))]], None),
        (np.array(["dog", "rain"]), ["dog", "rain"]),
    ],
)
def test_captions(clips, embedder, given, shown):
    display = ReconstructionDisplay.from_estimator(embedder, clips[:2], captions=given)
    assert captions(display) == (shown or ["dog 83%\nbark 50%", "rain 100%"])


def test_captions_of_all_clips(clips, embedder):
    display = ReconstructionDisplay.from_estimator(
        embedder, clips, n_clips=3, captions=list("abcdefghij")
    )
    assert captions(display) == ["a", "b", "c"]
    assert captions(display.plot()) == ["a", "b", "c"]


def test_rows_of_every_container(clips, embedder):
    series = pd.Series(list(clips), index=np.arange(10) / 2)
    expected = embedder.energy_patches(clips)[:3]
    for X in (clips, list(clips), series):
        display = ReconstructionDisplay.from_estimator(embedder, X, n_clips=3)
        assert_array_equal(display.patches, expected)


def test_given_axes_are_used(clips, embedder, pyplot):
    figure, axes = pyplot.subplots(2, 3)
    display = ReconstructionDisplay.from_estimator(
        embedder, clips, n_clips=3, axes=axes
    )
    assert display.figure_ is figure
    assert_array_equal(display.axes_, axes)
    assert len(figure.axes) == 6  # no bar of colours
    with pytest.raises(
        ValueError, match="axes must be 4 Axes, two for each clip; got 6"
    ):
        ReconstructionDisplay.from_estimator(embedder, clips, n_clips=2, axes=axes)


def test_what_is_refused(clips, embedder):
    with pytest.raises(TypeError, match=r"EnergyPatches has no energy_patches.*Arrays"):
        ReconstructionDisplay.from_estimator(EnergyPatches(), clips)
    with pytest.raises(NotFittedError):
        ReconstructionDisplay.from_estimator(Averages(), clips)
    with pytest.raises(ValueError, match="n_clips must be 1 or more; got 0"):
        ReconstructionDisplay.from_estimator(embedder, clips, n_clips=0)
    with pytest.raises(ValueError, match="one entry for each of 8 clips; got 1"):
        ReconstructionDisplay.from_estimator(embedder, clips, captions=["a"])
    one = {"patches": clips, "reconstructions": clips[1:]}
    with pytest.raises(ValueError, match=r"shapes \(10, 3, 12\) and \(9, 3, 12\)"):
        ReconstructionDisplay(**one).plot()
    flat = {"patches": clips[0], "reconstructions": clips[0]}
    with pytest.raises(ValueError, match=r"must both be \(n_clips, n_bins, n_frames\)"):
        ReconstructionDisplay(**flat).plot()
    broken = np.where(np.arange(12) > 5, np.nan, clips)
    with pytest.raises(ValueError, match="reconstructions contains NaN"):
        ReconstructionDisplay(patches=clips, reconstructions=broken).plot()


def test_without_matplotlib_the_extra_is_named(clips, embedder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'skaudio\[plot\]'"):
        ReconstructionDisplay.from_estimator(embedder, clips)
