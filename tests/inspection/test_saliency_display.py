"""`SaliencyDisplay`: maps lie over their views, in seconds and Hz."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skaudio.inspection import SaliencyDisplay, saliency
from skaudio.neural_network import CRNNClassifier, MultiViewBlendingClassifier
from skaudio.views import MelView, RawView, ViewUnion

plt = pytest.importorskip("matplotlib.pyplot")

SR = 2000
NET = {"width": 0.05, "max_epochs": 1, "random_state": 0, "device": "cpu"}
MEL = MelView(sr=SR, n_mels=8, n_fft=128, hop_length=64)


@pytest.fixture(autouse=True)
def figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def sounds():
    noise = np.random.default_rng(0).normal(size=(8, SR)).astype(np.float32)
    return noise, np.array(["a", "b"] * 4)


@pytest.fixture(scope="module")
def multiview(sounds):
    union = ViewUnion([("mel", MEL), ("raw", RawView(sr=SR))])
    options = {"blending": "uniform", "validation_fraction": None}
    return MultiViewBlendingClassifier(views=union, **options, **NET).fit(*sounds)


def test_maps_lie_over_their_views(multiview, sounds):
    clip = sounds[0][0]
    display = SaliencyDisplay.from_estimator(
        multiview, clip, target="b", method="gradient"
    )
    maps = saliency(multiview, [clip], target="b")
    mel, raw = display.axes_
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["mel: b", "raw: b"]
    below, above = mel.collections
    size = np.abs(maps["mel"][0])
    shares = np.asarray(above.get_array())
    assert_allclose(shares * np.percentile(size, 99.5), size, rtol=1e-5)
    assert_allclose(above.get_coordinates(), below.get_coordinates())
    assert np.asarray(below.get_array()).shape == size.shape
    # stripes over a waveform: the largest of neighbouring samples
    stripes = raw.collections[-1]
    assert np.asarray(stripes.get_array()).shape == (1, 400)
    size = np.abs(maps["raw"][0, 0])
    groups = size.reshape(400, -1).max(axis=1)
    assert_allclose(
        np.asarray(stripes.get_array())[0] * np.percentile(size, 99.5),
        groups,
        rtol=1e-5,
    )
    assert (mel.get_ylabel(), raw.get_ylabel()) == ("frequency (Hz)", "amplitude")
    assert raw.get_xlabel() == "time (s)"


def test_where_nothing_matters_the_view_is_seen(multiview, sounds):
    display = SaliencyDisplay.from_estimator(multiview, sounds[0][0])
    colors = display.axes_[0].collections[-1].get_cmap()
    assert colors(0.0)[3] == 0
    assert colors(1.0)[3] < 1


def test_without_a_target_it_is_the_decision(multiview, sounds):
    clip = sounds[0][3]
    display = SaliencyDisplay.from_estimator(multiview, clip)
    assert display.title == multiview.predict([clip])[0]
    array = CRNNClassifier(views=MEL, **NET).fit(*sounds)  # of one view
    display = SaliencyDisplay.from_estimator(array, clip)
    assert list(display.maps) == ["mel"]
    maps = saliency(array, [clip], method="grad-cam")
    assert_allclose(display.maps["mel"], maps[0])


def test_axes_must_be_one_for_each_view(multiview, sounds):
    _, axes = plt.subplots(2)
    display = SaliencyDisplay.from_estimator(multiview, sounds[0][0], axes=axes)
    assert display.figure_ is axes[0].figure
    with pytest.raises(ValueError, match="axes must be 2 Axes"):
        display.plot(axes=axes[:1])
