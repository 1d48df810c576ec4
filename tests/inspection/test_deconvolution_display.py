"""`DeconvolutionDisplay`: maps and spectrograms, drawn, and players of their sounds."""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.testing import assert_allclose, assert_array_equal

from skaudio.inspection import DeconvolutionDisplay, auralize, deconvolve
from skaudio.neural_network import CRNNClassifier
from skaudio.views import MelView

sys.path.insert(0, str(Path(__file__).parent))
from networks import SR, by_itself, on_waveforms, sounds

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def image(ax):
    (drawn,) = ax.get_images()
    return drawn.get_array(), tuple(drawn.get_extent())


def test_maps_are_drawn_over_sounds():
    X = sounds()[0][:2]
    display = DeconvolutionDisplay.from_estimator(
        by_itself(), X, layer=1, feature=[2, 0]
    )
    maps = deconvolve(by_itself(), X[:1], 1, [2, 0])[0]
    assert display.axes_.shape == (5,)
    for i in range(2):
        values, extent = image(display.axes_[1 + i])
        assert_allclose(values, maps[i], atol=1e-6)
        assert extent == (0, 0.5, 0, SR / 2)
    titles = [ax.get_title(loc="left") for ax in display.axes_]
    assert titles == ["clip", "feature 2", "feature 0", "", ""]
    # decibels below the maximum, of the clip and of what is heard of it
    for ax in display.axes_[[0, 3, 4]]:
        values, extent = image(ax)
        assert values.shape == (33, 32)
        assert extent == (0, 0.5, 0, SR / 2)
        assert values.max() == pytest.approx(0)
        assert values.min() >= -70
    tone = image(display.axes_[0])[0].mean(1).argmax() * SR / 64
    assert tone == pytest.approx(700, abs=SR / 64)  # what the clip is of


def test_the_strongest_features_are_drawn():
    X = sounds()[0][:1]
    display = DeconvolutionDisplay.from_estimator(by_itself(), X, layer=1, n_features=2)
    size = np.abs(deconvolve(by_itself(), X, 1)[0]).sum((1, 2))
    assert display.auralization.features == list(np.argsort(-size)[:2])
    assert display.auralization.method == "mask"
    with pytest.raises(ValueError, match="n_features must be 1 or more"):
        DeconvolutionDisplay.from_estimator(by_itself(), X, n_features=0)


def test_bands_have_their_centres_beside_them():
    model = CRNNClassifier(
        views=MelView(sr=SR, n_mels=12), width=0.05, max_epochs=1, random_state=0
    ).fit(*sounds())
    display = DeconvolutionDisplay.from_estimator(
        model, sounds()[0], layer=0, n_features=1
    )
    ax = display.axes_[1]
    assert image(ax)[1] == (0, 0.5, 0, 12)
    labels = [float(label.get_text()) for label in ax.get_yticklabels()]
    assert labels == sorted(labels)
    assert 0 < labels[0] < labels[-1] < SR / 2


def test_maps_of_waveforms_are_curves():
    X = sounds()[0][:1]
    found = auralize(on_waveforms(), X, 1, [0, 3])
    display = DeconvolutionDisplay(auralization=found).plot()
    (line,) = display.axes_[2].get_lines()
    assert_array_equal(line.get_ydata(), found.maps[0, 1, 0])
    assert line.get_xdata()[-1] == pytest.approx(999 / SR)
    assert image(display.axes_[4])[1] == (0, 0.5, 0, SR / 2)


def test_axes_may_be_given():
    found = auralize(by_itself(), sounds()[0][:2], 1, 0)
    _, axes = plt.subplots(3)
    display = DeconvolutionDisplay(auralization=found, clip=1).plot(axes=axes)
    assert display.figure_ is axes[0].figure
    with pytest.raises(ValueError, match="must be 3 Axes: one for the clip and two"):
        display.plot(axes=axes[:2])
    with pytest.raises(ValueError, match="clip must be a number from 0 to 1; got 2"):
        DeconvolutionDisplay(auralization=found, clip=2).plot()


def test_notebooks_show_players(tmp_path):
    found = auralize(by_itself(), sounds()[0][:2], 1, [0, 2])
    display = DeconvolutionDisplay(auralization=found, clip=1)
    table = display.to_html()
    assert display._repr_html_() == table
    wavs = [
        soundfile.read(io.BytesIO(base64.b64decode(data)))
        for data in re.findall(r'src="data:audio/wav;base64,([^"]*)"', table)
    ]
    assert len(wavs) == 3
    for (wave, sr), expected in zip(
        wavs, [found.sources[1], *found.sounds[1]], strict=True
    ):
        assert sr == 2 * SR  # browsers play no sound of 2 kHz
        expected = soxr.resample(expected / np.abs(expected).max(), SR, sr)
        assert_allclose(wave, expected.clip(-1, 1), atol=2**-14)
    display.save(tmp_path / "page.html")
    assert table in (tmp_path / "page.html").read_text()


def test_silent_features_are_drawn():
    with pytest.warns(UserWarning, match="are silent"):
        found = auralize(by_itself(), np.zeros((1, 1000), np.float32), 0, [0])
    display = DeconvolutionDisplay(auralization=found).plot()
    assert np.isfinite(image(display.axes_[2])[0]).all()
