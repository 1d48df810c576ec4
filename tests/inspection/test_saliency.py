"""`saliency`: gradients against finite differences, maps where the evidence is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skaudio.embedding import AutoencoderEmbedder
from skaudio.inspection import saliency
from skaudio.inspection._decision import Decision
from skaudio.neural_network import (
    CRNNClassifier,
    FineTunedClassifier,
    MultiViewBlendingClassifier,
    SelfNormalizingClassifier,
)
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import MelView, Views, make_view_union

SR = 2000
NET = {"max_epochs": 2, "random_state": 0, "device": "cpu"}
MEL = MelView(sr=SR, n_mels=8, n_fft=128, hop_length=64, top_db=None)


@pytest.fixture(scope="module")
def sounds():
    """Ten clips of a second in float64, of two classes."""
    rng = np.random.default_rng(0)
    times = np.arange(SR) / SR
    y = np.arange(10) % 2
    tones = np.sin(2 * np.pi * (200 + 400 * y[:, None]) * times)
    return tones + 0.3 * rng.normal(size=(10, SR)), np.array(["high", "low"])[y]


@pytest.fixture(scope="module")
def views():
    """Two views of ten clips in float64."""
    rng = np.random.default_rng(1)
    y = np.arange(10) % 2
    mel = rng.normal(size=(10, 6, 30)) + y[:, None, None]
    raw = rng.normal(size=(10, 1, 240))
    return Views({"mel": mel, "raw": raw}, {"mel": 50.0, "raw": 400.0}), y


@pytest.fixture(scope="module")
def multiview(views):
    network = MultiViewBlendingClassifier(
        width=0.05, segment_length=None, validation_fraction=0.3, **NET
    )
    return network.fit(*views)


@pytest.fixture(scope="module")
def crnn(views):
    X, y = views
    options = {"width": 0.05, "segment_length": 0.2, "n_segments": 4}
    return CRNNClassifier(**options, **NET).fit(X.select(["mel"]), y)


@pytest.fixture(scope="module")
def on_sound(sounds):
    options = {"width": 0.05, "segment_length": None}
    return CRNNClassifier(views=MEL, **options, **NET).fit(*sounds)


def difference(function, x, place, step=1e-6):
    """Central difference of a function of an array, by one of its values."""
    found = []
    for sign in (1, -1):
        moved = x.copy()
        moved[place] += sign * step
        found.append(function(moved))
    return (found[0] - found[1]) / (2 * step)


def log_ratio(proba):
    """Difference of two scores: log-probabilities have the same."""
    return float(np.log(proba[0, 1]) - np.log(proba[0, 0]))


# -------------------------------------------------------------------------- gradients
def test_gradient_is_that_of_the_scores(multiview, views):
    """Of all branches by their weights, against finite differences."""
    X = views[0][:1]
    second, first = (saliency(multiview, X, target=label) for label in (1, 0))
    weights = multiview.branch_weights_ / multiview.branch_weights_.sum()

    for name, places in (("mel", [(0, 2, 3), (0, 5, 20)]), ("raw", [(0, 0, 77)])):

        def score(array, name=name):
            changed = Views({n: X[n] for n in X.names} | {name: array}, X.rates)
            branches = multiview.branch_proba(changed).values()
            return sum(w * log_ratio(p) for w, p in zip(weights, branches, strict=True))

        own = second[name] - first[name]
        assert own.shape == X[name].shape
        for place in places:
            wanted = difference(score, X[name], place)
            assert own[place] == pytest.approx(wanted, rel=1e-5, abs=1e-9)
        assert np.abs(own).max() > 0


def test_gradient_of_a_tag_is_that_of_its_log_odds(views):
    X, y = views
    tags = np.stack([y, 1 - y, np.ones_like(y)], 1)
    options = {"width": 0.05, "segment_length": None}
    network = CRNNClassifier(**options, **NET).fit(X["mel"], tags)
    own = saliency(network, X["mel"][:1], target=1)
    for place in [(0, 0, 0), (0, 3, 17)]:
        wanted = difference(
            lambda x: network.decision_function(x)[0, 1], X["mel"][:1], place
        )
        assert own[place] == pytest.approx(wanted, rel=1e-5, abs=1e-9)


def test_gradient_of_the_sound_goes_through_views_and_scaling(on_sound, sounds):
    X, y = sounds
    in_pipeline = make_pipeline(
        MEL, ViewScaler(), clone(on_sound).set_params(views=None)
    )
    in_pipeline.fit(X, y)
    for model in (on_sound, in_pipeline):
        low, high = (
            saliency(model, X[:1], target=label, of="waveform")
            for label in ("low", "high")
        )
        own = low - high
        assert own.shape == (1, SR)
        for place in [(0, 0), (0, 1003)]:
            wanted = difference(
                lambda x, model=model: log_ratio(model.predict_proba(x)), X[:1], place
            )
            assert own[place] == pytest.approx(wanted, rel=1e-4, abs=1e-9)


def test_gradient_is_the_mean_over_segments(crnn, views):
    """Each segment passed as a clip of its own; where segments overlap, they add up."""
    mel = views[0].select(["mel"])[:1]
    own = saliency(crnn, mel, target=1)
    expected = np.zeros((6, 30))
    starts = [0, 6, 12, 18]  # 10 frames each: 20 frames of room in 3 steps, rounded
    for start in starts:
        segment = Views({"mel": mel["mel"][:, :, start : start + 10]}, mel.rates)
        expected[:, start : start + 10] += saliency(crnn, segment, target=1)[0] / 4
    assert_allclose(own[0], expected, atol=1e-12)
    assert_array_equal(own[0][:, 28:], 0)  # no segment reaches the last frames


def test_maps_are_means_where_segments_overlap(crnn, views):
    mel = views[0].select(["mel"])[:1]
    total, counts = np.zeros((6, 30)), np.zeros(30)
    for start in (0, 6, 12, 18):
        at = slice(start, start + 10)
        segment = Views({"mel": mel["mel"][:, :, at]}, mel.rates)
        found = saliency(crnn, segment, target=1, method="grad-cam", layer=0)
        total[:, at] += found[0]
        counts[at] += 1
    own = saliency(crnn, mel, target=1, method="grad-cam", layer=0)[0]
    assert own.any()
    assert counts.tolist() == [1] * 6 + ([2] * 4 + [1] * 2) * 3 + [1] * 4 + [0] * 2
    assert_allclose(own, total / np.maximum(counts, 1), atol=1e-12)


def test_a_clip_that_is_repeated_has_one_gradient(crnn, views):
    """Of a clip shorter than a segment, the gradients of all its copies add up."""
    short = views[0]["mel"][:1, :, :4]
    X = Views({"mel": short}, {"mel": 50.0})
    own, other = saliency(crnn, X, target=1), saliency(crnn, X, target=0)
    assert own.shape == short.shape

    def score(x):
        return log_ratio(crnn.predict_proba(Views({"mel": x}, {"mel": 50.0})))

    place = (0, 2, 1)
    wanted = difference(score, short, place)
    assert (own - other)[place] == pytest.approx(wanted, rel=1e-5, abs=1e-9)


# ------------------------------------------------------------------------------- rows
@pytest.mark.parametrize("method", ["gradient", "grad-cam"])
def test_rows_are_independent_and_clips_may_differ_in_length(multiview, views, method):
    X = views[0]
    lengths = [30, 21, 26]
    clips = {
        "mel": [X["mel"][i][:, :n] for i, n in enumerate(lengths)],
        "raw": [X["raw"][i][:, : 8 * n] for i, n in enumerate(lengths)],
    }
    ragged = Views(clips, X.rates)
    together = saliency(multiview, ragged, method=method)
    assert isinstance(together, Views)
    assert together.rates == X.rates
    for row, n in enumerate(lengths):
        alone = saliency(multiview, ragged[[row]], method=method)
        for name, n_frames in (("mel", n), ("raw", 8 * n)):
            assert together[name][row].shape[1] == n_frames
            assert_array_equal(together[name][row], alone[name][0])


def test_waveforms_of_any_length(on_sound, sounds):
    clips = [sounds[0][0], sounds[0][1][:1500]]
    found = saliency(on_sound, clips, of="waveform")
    assert [len(clip) for clip in found] == [2000, 1500]
    (alone,) = saliency(on_sound, clips[1:], of="waveform")
    assert_array_equal(found[1], alone)


def test_the_class_is_the_one_that_is_predicted(multiview, views):
    X = views[0][:6]
    decided = saliency(multiview, X)
    predicted = multiview.predict(X)
    for row, label in enumerate(predicted):
        named = saliency(multiview, X[[row]], target=label)
        assert_array_equal(decided["mel"][row], named["mel"][0])


def test_the_class_is_that_of_all_segments():
    """Of a clip whose first segment sounds like another class."""
    decision = Decision.__new__(Decision)
    decision.weights = {"mel": 0.75, "raw": 0.25}
    decision.target = SimpleNamespace(activate=np.asarray)
    mel = [[0.9, 0.1], [0.0, 1.0]], [[0.2, 0.8]]
    raw = [[0.9, 0.1], [0.6, 0.4]], [[0.6, 0.4]]
    batches = [
        dict(zip(("mel", "raw"), batch, strict=True))
        for batch in zip(mel, raw, strict=True)
    ]
    assert decision.decided(batches) == 1
    assert (
        decision.decided([{name: np.array(p)[:1] for name, p in batches[0].items()}])
        == 0
    )


# -------------------------------------------------------------------- models and state
def test_pipelines_own_views_and_searches_agree(sounds):
    X, y = sounds
    options = {"width": 0.05, "segment_length": None}
    inside = CRNNClassifier(views=MEL, **options, **NET).fit(X, y)
    outside = make_pipeline(MEL, ViewScaler(), CRNNClassifier(**options, **NET))
    search = GridSearchCV(outside, {"viewscaler__per": ["bin"]}, cv=2).fit(X, y)
    tuned = FineTunedClassifier(inside, max_epochs=1, random_state=0).fit(X, y)
    own = saliency(search.best_estimator_[-1], search.best_estimator_[:-1].transform(X))
    assert_array_equal(saliency(search, X), own)
    assert saliency(inside, X).shape == saliency(tuned, X).shape == own.shape


def test_nothing_is_left_behind(multiview, views):
    module = multiview.net_.module_
    module.train()  # as a user may have left it
    try:
        before = {k: v.clone() for k, v in module.state_dict().items()}
        flags = [p.requires_grad for p in module.parameters()]
        state = torch.get_rng_state()
        with torch.inference_mode():
            first = saliency(multiview, views[0][:2])
        saliency(multiview, views[0][:2], method="grad-cam")
        assert_array_equal(saliency(multiview, views[0][:2])["mel"], first["mel"])
        assert all(part.training for part in module.modules())
        for name, value in module.state_dict().items():
            assert_array_equal(value, before[name])
        assert [p.requires_grad for p in module.parameters()] == flags
        assert all(p.grad is None for p in module.parameters())
        assert not any(part._forward_hooks for part in module.modules())
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        module.eval()


# ------------------------------------------------------------ gradient-weighted maps
def test_maps_are_those_of_the_equations(crnn, views):
    """Weights are means of the gradient over a map, and only what is positive stays."""
    X = Views({"mel": views[0]["mel"][:1, :, :10]}, {"mel": 50.0})  # one segment
    network = crnn.net_.module_
    layer = network.hidden_layers[1]
    kept = {}
    hook = network.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: kept.update(maps=output)
    )
    try:
        with torch.enable_grad():
            outputs = network.eval()({"mel": torch.from_numpy(X["mel"])})
            (gradient,) = torch.autograd.grad(
                outputs[network.decision][0, 1], [kept["maps"]]
            )
    finally:
        hook.remove()
    maps, gradient = kept["maps"][0].detach().numpy(), gradient[0].numpy()
    expected = np.zeros(maps.shape[1:])
    for feature, weight in zip(maps, gradient.mean(axis=(1, 2)), strict=True):
        expected += weight * feature
    expected = np.maximum(expected, 0)
    own = saliency(crnn, X, target=1, method="grad-cam", layer=layer)[0]
    assert own.shape == (6, 10)
    assert_allclose(own.max(), expected.max(), rtol=1e-6)  # time has the same steps
    assert_allclose(own[0], np.interp(*_halves(6, expected)), atol=1e-12)


def _halves(n_bins, small):
    """First row of a bilinear enlargement, by the middles of its pixels."""
    columns = np.arange(small.shape[1])
    place = max(0.5 * small.shape[0] / n_bins - 0.5, 0)
    low = int(place)
    high = min(low + 1, small.shape[0] - 1)
    row = small[low] + (place - low) * (small[high] - small[low])
    return columns, columns, row


@pytest.fixture(scope="module")
def two_events():
    """Noise bursts of two bands; that of the lower bins makes the class."""
    rng = np.random.default_rng(0)
    X = 0.1 * rng.normal(size=(48, 12, 40)).astype(np.float32)
    y = np.arange(48) % 2
    for clip, label in zip(X, y, strict=True):
        other, own = rng.permutation(4)[:2] * 10
        clip[8:11, other : other + 6] += 2  # in both classes
        if label:
            clip[2:5, own : own + 6] += 2
    network = CRNNClassifier(  # whose pooling leaves time alone
        width=0.1, segment_length=None, max_epochs=12, lr=0.01, random_state=0
    )
    return network.fit(X, y)


@pytest.mark.parametrize("method", ["gradient", "grad-cam"])
def test_the_map_peaks_where_the_evidence_is(two_events, method):
    noise = 0.1 * np.random.default_rng(9).normal(size=(2, 12, 40)).astype(np.float32)
    for clip, (other, own) in zip(noise, ((5, 28), (28, 5)), strict=True):
        clip[8:11, other : other + 6] += 2
        clip[2:5, own : own + 6] += 2
    assert_array_equal(two_events.predict(noise), [1, 1])
    maps = saliency(two_events, noise, target=1, method=method)
    for found, start in zip(np.abs(maps), (28, 5), strict=True):
        _, frame = np.unravel_index(found.argmax(), found.shape)
        assert start - 4 <= frame < start + 10
        halves = found[:, :20].sum(), found[:, 20:].sum()
        assert np.argmax(halves) == (start >= 20)


def test_layers_by_number_name_and_view(multiview, views):
    X = views[0][:2]
    highest = saliency(multiview, X, method="grad-cam")
    assert highest.names == ("mel", "raw")
    names = multiview.net_.module_.hidden_layers
    first = saliency(multiview, X, method="grad-cam", layer=0)
    assert first.names == ("mel",)
    assert_array_equal(
        first["mel"],
        saliency(multiview, X, method="grad-cam", layer=[names[0]])["mel"],
    )
    with pytest.raises(TypeError, match="has no maps over one view"):
        saliency(multiview, X, method="grad-cam", layer=-1)


# ----------------------------------------------------------------------------- errors
def test_what_cannot_be_explained(views, multiview, sounds):
    X, y = views
    flat = SelfNormalizingClassifier(hidden_layer_sizes=(3,), **NET).fit(X["mel"], y)
    with pytest.raises(TypeError, match="no convolutional layer"):
        saliency(flat, X["mel"], method="grad-cam")
    codes = AutoencoderEmbedder(encoder_sizes=(4, 2), max_epochs=1, random_state=0)
    with pytest.raises(TypeError, match="AutoencoderEmbedder makes none"):
        saliency(codes.fit(X["mel"]), X["mel"])
    with pytest.raises(TypeError, match="got a module, Identity"):
        saliency(torch.nn.Identity(), X["mel"])
    with pytest.raises(TypeError, match="of='waveform' needs sound"):
        saliency(multiview, X, of="waveform")
    plain = make_pipeline(MEL, FrameStatistics(), LogisticRegression()).fit(*sounds)
    with pytest.raises(TypeError, match="Expected a fitted neural estimator"):
        saliency(plain, sounds[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 7}, r"target must be one of the classes \[0, 1\]; got 7"),
        ({"method": "lime"}, "method must be one of"),
        ({"of": "sound"}, "of must be one of"),
        ({"layer": 1}, "layer is for method='grad-cam'"),
        ({"method": "grad-cam", "of": "waveform"}, "Maps of layers are over views"),
        ({"method": "grad-cam", "layer": "no"}, "layer has 'no'"),
    ],
)
def test_parameters(multiview, views, options, message):
    with pytest.raises(ValueError, match=message):
        saliency(multiview, views[0][:1], **options)


def test_scaling_that_is_not_by_view_scaler_is_refused(sounds):
    X, y = sounds
    union = make_view_union("mel", sr=SR).set_params(mel__n_mels=8)
    middle = make_pipeline(union, Roots(), CRNNClassifier(width=0.05, **NET))
    with pytest.raises(TypeError, match="does not go through Roots"):
        saliency(middle.fit(X, y), X[:1], of="waveform")


class Roots(TransformerMixin, BaseEstimator):
    """A step between views and a network that is somebody else's."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.map(lambda name, array: np.sqrt(np.abs(array)))

    def __sklearn_is_fitted__(self):
        return True
