"""`deconvolve`: maps of fitted models; the numbers are tested in tests/nn."""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skaudio.embedding import LayerEmbedder
from skaudio.inspection import deconvolve
from skaudio.mixture import GMMClassifier
from skaudio.neural_network import (
    FineTunedClassifier,
    MultiViewBlendingClassifier,
    SelfNormalizingClassifier,
    SoftmaxAutoencoderClassifier,
    SpectrogramCNNClassifier,
    SwishNetClassifier,
)
from skaudio.nn.deconvolution import recorded
from skaudio.preprocessing import ViewScaler
from skaudio.views import MelView, RawView, STFTView, Views, ViewUnion

sys.path.insert(0, str(Path(__file__).parent))
from networks import CNN, SR, VIEW, by_itself, in_pipeline, on_waveforms, sounds


def views():
    return in_pipeline()[:-1].transform(sounds()[0])


def test_maps_are_those_of_the_network():
    X, _ = sounds()
    maps = deconvolve(in_pipeline(), X[:2], layer=2)
    assert maps.shape == (2, 3, 33, 32)
    assert maps.dtype == np.float32
    assert np.abs(maps).max() > 0
    network = in_pipeline()[-1].net_.module_
    clip = {"view": torch.from_numpy(views()[1:2])}
    name = network.hidden_layers[2]
    expected = recorded(network, clip, [name]).maps(name, range(3))
    assert_array_equal(maps[1], expected.numpy())
    without = deconvolve(in_pipeline(), X[:2], layer=2, bias=False)
    expected = recorded(network, clip, [name], bias=False).maps(name, range(3))
    assert_array_equal(without[1], expected.numpy())


def test_layers_have_numbers_and_names():
    X, model = sounds()[0][:1], in_pipeline()
    network = model[-1].net_.module_
    highest = network.hidden_layers[4]  # those above are fully connected
    maps = deconvolve(model, X)
    assert_array_equal(maps, deconvolve(model, X, 4))
    assert_array_equal(maps, deconvolve(model, X, highest))
    both = deconvolve(model, X, [0, highest], feature=[2, 0])
    assert_array_equal(both[0], deconvolve(model, X, 0)[:, [2, 0]])
    assert_array_equal(both[1], maps[:, [2, 0]])
    one, all_ = deconvolve(model, X, 0, 1), deconvolve(model, X, 0)
    assert_allclose(one, all_[:, 1:2], rtol=1e-5, atol=1e-6)
    for some in ((0, 1), np.array([0, 1]), range(2)):
        assert [maps.shape[1] for maps in deconvolve(model, X, some)] == [3, 3]
    within = deconvolve(model, X, f"{network.hidden_layers[0]}.conv", 0)
    assert within.shape == (1, 1, 33, 32)


@pytest.mark.parametrize("wrap", ["frozen", "search", "embedder", "tuned", "stacked"])
def test_the_network_is_found_in_what_has_fitted_it(wrap):
    X, y = sounds()
    model, maps = in_pipeline(), deconvolve(in_pipeline(), X[:1], 1)
    if wrap == "tuned":
        tuned = FineTunedClassifier(
            FrozenEstimator(model), max_epochs=1, random_state=0
        )
        found = deconvolve(tuned.fit(X, y), X[:1], 1)
        assert_array_equal(found, deconvolve(tuned.estimator_, X[:1], 1))
        return
    if wrap == "search":
        search = GridSearchCV(model, {"viewscaler__per": ["bin"]}, cv=2).fit(X, y)
        found = deconvolve(search, X[:1], 1)
        assert_array_equal(found, deconvolve(search.best_estimator_, X[:1], 1))
        return
    wrapped = FrozenEstimator(model)
    if wrap == "embedder":
        wrapped = LayerEmbedder(wrapped, layers=(0,)).fit(X)
    if wrap == "stacked":
        wrapped = make_pipeline(model[:2], "passthrough", FrozenEstimator(model[-1]))
    assert_array_equal(deconvolve(wrapped, X[:1], 1), maps)


def test_views_inside_or_before_are_alike(tmp_path):
    X, y = sounds()
    inside = by_itself()
    outside = make_pipeline(STFTView(**VIEW), ViewScaler(), clone(inside))
    outside.set_params(spectrogramcnnclassifier__views=None).fit(X, y)
    outside[-1].net_.module_.load_state_dict(inside.net_.module_.state_dict())
    maps = deconvolve(inside, X[:2], 1)
    assert_allclose(deconvolve(outside, X[:2], 1), maps, rtol=1e-4, atol=1e-5)
    soundfile.write(tmp_path / "a.wav", X[1], SR, subtype="FLOAT")
    assert_allclose(deconvolve(inside, [tmp_path / "a.wav"], 1), maps[1:], atol=1e-6)


def test_clips_of_any_length_are_taken_whole():
    X = sounds()[0]
    clips = [X[0], np.tile(X[1], 3), X[2][:600]]
    found = deconvolve(by_itself(), clips, 1, [0, 2])
    assert found.dtype == object
    assert [maps.shape for maps in found] == [(2, 33, 32), (2, 33, 94), (2, 33, 19)]
    for maps, clip in zip(found, clips, strict=True):
        assert_array_equal(maps, deconvolve(by_itself(), [clip], 1, [0, 2])[0])
    assert deconvolve(by_itself(), [X[0], X[1]], 1).ndim == 4


def test_layers_of_several_views_have_maps_of_their_own_view():
    X, y = sounds()
    union = ViewUnion([("mel", MelView(sr=SR, n_mels=12)), ("raw", RawView(sr=SR))])
    model = MultiViewBlendingClassifier(views=union, **CNN | {"width": 0.02})
    model.fit(X, y)
    layers = model.net_.module_.hidden_layers
    of_view = {name.split(".")[1]: name for name in layers if "blocks.0" in name}
    mel = deconvolve(model, X[:1], of_view["0"], 0)
    raw = deconvolve(model, X[:1], of_view["1"], 0)
    assert mel.shape == (1, 1, 12, 26)
    assert raw.shape == (1, 1, 1, 1000)


def test_modules_take_views_as_they_do():
    network = on_waveforms().net_.module_
    X = sounds()[0][:2]
    expected = deconvolve(on_waveforms(), X, 1)
    assert expected.shape == (2, 6, 1, 1000)
    assert_array_equal(deconvolve(network, X[:, None], 1), expected)
    assert_array_equal(deconvolve(network.network, X[:, None], 1), expected)
    assert_array_equal(deconvolve(network, list(X[:, None]), 1), expected)
    named = Views({network.decision: X[:, None]}, {network.decision: SR})
    assert_array_equal(deconvolve(network, named, 1), expected)
    assert_array_equal(deconvolve(network.network, named, 1), expected)
    plain = torch.nn.Sequential(*network.network.blocks[:2]).eval()
    assert_array_equal(deconvolve(plain, X[:, None]), expected)
    assert_array_equal(deconvolve(plain, X[:, None], "1"), expected)
    with pytest.raises(ValueError, match=r"layer=0 is not a name.*no hidden_layers"):
        deconvolve(plain, X[:, None], 0)


def test_precision_is_that_of_the_fit():
    X, y = sounds()
    model = SpectrogramCNNClassifier(views=STFTView(**VIEW), **CNN)
    model.fit(X.astype(np.float64), y)
    assert deconvolve(model, X[:1], 0).dtype == np.float64


def test_the_model_is_left_as_it_was():
    X = sounds()[0]
    model = by_itself()
    before = pickle.dumps(model)
    deconvolve(model, X[:1])
    assert pickle.dumps(model) == before
    assert not any(m._forward_hooks for m in model.net_.module_.modules())


def test_threads_do_not_disturb_each_other():
    X = sounds()[0]
    expected = deconvolve(by_itself(), X)
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda i: deconvolve(by_itself(), X[i : i + 1]), range(8))
        )
    assert_array_equal(np.concatenate(found), expected)


def test_nothing_comes_of_silence_without_biases():
    silence = np.zeros((1, 1000), np.float32)
    assert not deconvolve(on_waveforms(), silence, 2, bias=False).any()
    assert np.isfinite(deconvolve(by_itself(), silence, 2)).all()


# ------------------------------------------------------------------------- errors
def test_layers_and_features_that_are_not_there():
    X = sounds()[0][:1]
    with pytest.raises(ValueError, match=r"7 hidden layers.*blocks\.4"):
        deconvolve(by_itself(), X, 9)
    with pytest.raises(ValueError, match=r"layer has 'conv9'.*blocks\.4"):
        deconvolve(by_itself(), X, "conv9")
    with pytest.raises(ValueError, match=r"names no layer"):
        deconvolve(by_itself(), X, [])
    for feature in (3, -1, [0, 3], 1.0, True, [], "all"):
        with pytest.raises(ValueError, match=r"from 0 to 2.*blocks\.1.*has 3 feature"):
            deconvolve(by_itself(), X, 1, feature)


def test_layers_without_maps_say_why_and_which_have_some():
    X, y = sounds()
    with pytest.raises(
        TypeError, match=r"computes 'linear'.*these have maps.*blocks\.4"
    ):
        deconvolve(by_itself(), X[:1], -1)
    gated = SwishNetClassifier(max_epochs=1, random_state=0)
    gated = make_pipeline(MelView(sr=SR, n_mels=20), gated).fit(X, y)
    with pytest.raises(TypeError, match=r"has no layer with maps"):
        deconvolve(gated, X[:1])
    with pytest.raises(
        TypeError, match=r"blocks\.3.*'(glu|tanh_)'.*no layer with maps"
    ):
        deconvolve(gated, X[:1], 3)
    dense = SelfNormalizingClassifier(max_epochs=1, random_state=0)
    dense = make_pipeline(MelView(sr=SR, n_mels=20), dense).fit(X, y)
    with pytest.raises(
        TypeError, match="SelfNormalizingClassifier has no layer with maps: it needs"
    ):
        deconvolve(dense, X[:1])
    coding = SoftmaxAutoencoderClassifier(max_epochs=1, random_state=0)
    coding.fit(X[:, None], y)
    with pytest.raises(TypeError, match="AutoencoderOnView has no layer with maps"):
        deconvolve(coding.net_.module_, X[:1, None])


def test_models_without_a_network():
    X, y = sounds()
    for model in (
        DummyClassifier(),
        GMMClassifier(n_components=1, random_state=0),
    ):
        with pytest.raises(TypeError, match=f"got {type(model).__name__}."):
            deconvolve(model.fit(X, y), X)
    with pytest.raises(TypeError, match="got Pipeline of DummyClassifier"):
        deconvolve(make_pipeline(STFTView(), DummyClassifier()).fit(X, y), X)
    with pytest.raises(TypeError, match="got str"):
        deconvolve("cnn", X)


@pytest.mark.parametrize(
    "model",
    [
        SpectrogramCNNClassifier(),
        make_pipeline(STFTView(), SpectrogramCNNClassifier()),
        FineTunedClassifier(SpectrogramCNNClassifier()),
    ],
)
def test_models_that_are_not_fitted(model):
    with pytest.raises(NotFittedError):
        deconvolve(model, sounds()[0])


def test_clips_that_the_network_cannot_take():
    X = sounds()[0]
    with pytest.raises(ValueError, match=r"clip 1, of shape \(1, 5\), up to layer"):
        deconvolve(on_waveforms(), [X[0], X[0][:5]], 3)
    for layer in (None, [0, 1]):  # too short for the lowest
        with pytest.raises(ValueError, match=r"clip 0, of shape \(1, 2\), up to layer"):
            deconvolve(on_waveforms(), [X[0][:2]], layer)
    with pytest.raises(ValueError, match=r"NaN"):
        deconvolve(by_itself(), [X[0], X[0] * np.nan])
    with pytest.raises(ValueError, match=r"NaN"):
        deconvolve(on_waveforms().net_.module_, X[:, None] * np.nan)
    # a clip that could not be loaded is no clip to look at
    model = SpectrogramCNNClassifier(views=STFTView(**VIEW, on_error="nan"), **CNN)
    with pytest.raises(ValueError, match=r"Clip 1 of X could not be loaded"):
        deconvolve(model.fit(*sounds()), [X[0], X[0] * np.nan])
