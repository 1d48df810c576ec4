"""Gradient ascent finds what filters respond to, and leaves the network as it was."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch.nn import functional as F

from skaudio._utils._random import draw_seed
from skaudio.inspection import activation_maximization
from skaudio.neural_network import FrameLevelCNNClassifier, SampleCNNClassifier
from skaudio.nn import CRNN1d, FrameLevelCNN, SampleCNN, folded
from skaudio.preprocessing import AudioLoader
from skaudio.views import MelView, RawView


def built(module, *args, **options):
    """A module of random weights, without a trace in the global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return module(*args, **options)


def network(**options):
    """A small network whose normalisation has seen something."""
    net = built(SampleCNN, 3, **{"sizes": (3,) * 6, "width": 0.06} | options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for block in net.blocks:
            block.norm.weight.data.uniform_(0.5, 1.5)
            block.norm.bias.data.uniform_(-0.2, 0.2)
            block.norm.running_mean.uniform_(-0.2, 0.2)
            block.norm.running_var.uniform_(0.01, 0.02)
        return net


def ascent_of_one(net, layer, index, noise, *, n_steps, training):
    """The authors' loop on a copy of the network and a single waveform."""
    net = copy.deepcopy(net).train(training).double()
    block = net.blocks[layer]
    x = torch.tensor(noise, dtype=torch.float64)[None, None]
    for _ in range(n_steps):
        x = x.detach().requires_grad_()
        seen = {}
        hook = block.norm.register_forward_hook(
            lambda _module, _inputs, out, seen=seen: seen.update(out=out)
        )
        net.blocks[: layer + 1](x)
        hook.remove()
        loss = F.relu(seen["out"])[:, index].mean()
        (g,) = torch.autograd.grad(loss, x)
        x = x.detach() + g / ((g**2).mean().sqrt() + 1e-9)
        if loss <= 0:
            break
    x = x[0, 0].numpy()
    return x - x.mean()


def noise_of(layer, index, n_samples):
    """Where a filter starts with ``random_state=7``."""
    row = np.random.default_rng([draw_seed(7), layer + 1, index]).uniform(
        -0.5, 0.5, n_samples
    )
    return 0.03 * row


@pytest.mark.parametrize("batch_norm", ["batch", "running"])
@pytest.mark.parametrize("layer", [0, 1, 3])
def test_each_filter_ascends_independently(layer, batch_norm):
    net = network().double()
    found = activation_maximization(
        net, layer, n_steps=4, batch_norm=batch_norm, random_state=7
    )
    assert found.dtype == np.float64
    for i in range(len(found)):
        noise = noise_of(layer, i, 729)
        alone = ascent_of_one(
            net, layer, i, noise, n_steps=4, training=batch_norm == "batch"
        )
        assert_allclose(found[i], alone, atol=1e-8)


def test_responses_grow():
    net = network()
    few, many = (
        activation_maximization(net, 2, n_steps=n, batch_norm="running", random_state=0)
        for n in (1, 12)
    )

    def response(waveforms):
        x = torch.tensor(waveforms)[:, None]
        for block in net.eval().blocks[:2]:
            x = block(x)
        out = F.relu(net.blocks[2].norm(net.blocks[2].conv(x))).mean(2)
        return out.diagonal().detach().numpy()

    before, after = response(few), response(many)
    assert (before > 0).any()
    assert (after[before > 0] > 2 * before[before > 0]).all()


@pytest.mark.parametrize("batch_norm", ["batch", "running"])
def test_a_filter_does_not_depend_on_the_others(batch_norm):
    net = network(width=0.3)  # more filters than one batch holds
    options = {"n_samples": 243, "batch_norm": batch_norm, "random_state": 3}
    every = activation_maximization(net, 1, **options)
    assert len(every) > 32
    some = activation_maximization(net, 1, filters=[35, 0, 4], **options)
    assert_allclose(some, every[[35, 0, 4]], atol=1e-4)


def test_noise_differs_between_filters_layers_and_seeds():
    net = network()
    start = {
        (layer, seed): activation_maximization(
            net, layer, n_steps=1, step_size=0.0, random_state=seed
        )
        for layer in (0, 1)
        for seed in (0, 1)
    }
    rows = np.concatenate(list(start.values()))
    correlation = np.corrcoef(rows) - np.eye(len(rows))
    assert np.abs(correlation).max() < 0.2
    assert_allclose(rows.std(axis=1), 0.03 / np.sqrt(12), rtol=0.1)  # uniform
    assert np.abs(rows).max() < 0.016
    again = activation_maximization(net, 1, n_steps=1, step_size=0.0, random_state=1)
    assert_array_equal(again, start[1, 1])


def test_layers_have_numbers_from_either_end_and_names():
    net = network()
    found = [
        activation_maximization(net, layer, n_samples=243, random_state=0)
        for layer in (3, -4, "blocks.3")
    ]
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[0], found[2])


def test_waveforms_have_no_mean():
    found = activation_maximization(network(), 0, random_state=0)
    assert_allclose(found.mean(axis=1), 0, atol=1e-5)
    assert (found.std(axis=1) > 1).all()


def test_dead_filters_stay_at_their_noise():
    net = network()
    for name, value in (("weight", 0.0), ("bias", -1.0)):
        getattr(net.blocks[1].norm, name).data[2] = value
    found = activation_maximization(net, 1, n_samples=81, random_state=7)
    noise = noise_of(1, 2, 81)
    assert_allclose(found[2], noise - noise.mean(), atol=1e-7)
    assert (np.delete(found, 2, axis=0).std(axis=1) > 1).all()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch_norm", ["batch", "running"])
def test_the_network_is_left_as_it_was(training, batch_norm):
    net = network().train(training)
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with torch.no_grad():  # whatever the caller has set
        activation_maximization(net, 3, batch_norm=batch_norm, random_state=0)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(module.training is training for module in net.modules())
    assert all((p.grad == 1).all() and p.requires_grad for p in net.parameters())


def test_known_filters_are_found():
    """One filter over all samples responds most to a waveform like itself."""
    net = built(
        FrameLevelCNN, 1, 2, n_modules=1, win_length=81, hop_length=81, width=0.05
    )
    kernels = net.blocks[0].conv.weight[:, 0].detach().numpy().copy()
    found = activation_maximization(
        net, 0, n_samples=81, batch_norm="running", n_steps=30, random_state=0
    )
    alive = found.std(axis=1) > 1
    assert alive.sum() >= 2  # the noise excites half of the filters
    kernels -= kernels.mean(axis=1, keepdims=True)
    for wave, kernel in zip(found[alive], kernels[alive], strict=True):
        assert np.corrcoef(wave, kernel)[0, 1] > 0.999


# ---------------------------------------------------------------- what is accepted


def test_fitted_classifiers_are_their_networks(sounds):
    X, y = sounds
    sizes = (3, 3, 3, 3)
    clf = SampleCNNClassifier(
        sr=8000, sizes=sizes, width=0.05, max_epochs=1, random_state=0
    )
    pipeline = make_pipeline(AudioLoader(sr=8000), clf).fit(X, y)
    before = pipeline.predict_proba(X)
    module = pipeline[-1].net_.module_.network
    found = [
        activation_maximization(model, 2, random_state=0)
        for model in (pipeline, pipeline[-1], module)
    ]
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[0], found[2])
    assert_array_equal(pipeline.predict_proba(X), before)


def test_frame_level_networks_need_samples(sounds):
    X, y = sounds
    options = {"n_modules": 2, "width": 0.05, "max_epochs": 1, "random_state": 0}
    clf = FrameLevelCNNClassifier(win_length=27, hop_length=9, **options)
    raw = make_pipeline(RawView(sr=8000), clf).fit(X, y)
    found = activation_maximization(raw, 0, n_samples=90, random_state=0)
    assert found.shape[1] == 90
    clf = FrameLevelCNNClassifier(**options)
    mel = make_pipeline(MelView(sr=8000, n_mels=8), clf).fit(X, y)
    with pytest.raises(TypeError, match=r"FrameLevelCNNClassifier, which has no such"):
        activation_maximization(mel, 0)


class Odd(BaseEstimator):
    """Has a net_ of its own kind."""

    def fit(self, X, y):
        self.net_ = self
        return self


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (LogisticRegression().fit([[0.0], [1.0]], [0, 1]), "LogisticRegression"),
        (Odd().fit(None, None), "Odd"),
        (built(CRNN1d, width=0.05), "CRNN1d"),
        (built(FrameLevelCNN, 8, 2, n_modules=1, width=0.05), "FrameLevelCNN"),
        ("a name", "str"),
    ],
)
def test_others_are_refused(estimator, name):
    with pytest.raises(TypeError, match=f"waveform network.*got {name}, which has"):
        activation_maximization(estimator, 0)


def test_unfitted_classifiers_are_refused():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        activation_maximization(SampleCNNClassifier(), 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 7}, r"layers has 7, but there are 7 hidden layers"),
        ({"layer": -8}, r"layers has -8, but there are 7 hidden layers"),
        ({"layer": "blocks.7"}, r"layers has 'blocks.7', which the network has not"),
        ({"layer": "blocks.0.conv"}, r"only a part of a hidden layer; take one of"),
        ({"filters": [8]}, r"from 0 to 7, as layer 0 has 8 filters; got \[8\]"),
        ({"filters": [-1]}, r"from 0 to 7"),
        ({"filters": []}, r"from 0 to 7"),
        ({"filters": [True]}, r"from 0 to 7"),
        ({"n_samples": 0}, r"n_samples must be a positive integer; got 0"),
        ({"n_steps": 2.0}, r"n_steps must be a positive integer; got 2.0"),
        ({"batch_norm": "eval"}, r"one of \('batch', 'running'\); got 'eval'"),
    ],
)
def test_settings_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        activation_maximization(network(), **{"layer": 0, **options})


@pytest.mark.parametrize(("batch_norm", "n_steps"), [("batch", 2), ("running", 1)])
def test_short_waveforms_are_refused_where_a_layer_does_not_see_them(
    batch_norm, n_steps
):
    """729 samples reach the paper's layer 6, where three steps are left."""
    net = network(sizes=(3, 3, 3, 3, 2, 2, 2))
    per_step = {0: 3, 1: 3, 2: 9, 3: 27, 4: 81, 5: 162, 6: 324}
    for layer, n in per_step.items():
        least = n * n_steps
        options = {"filters": [0], "batch_norm": batch_norm, "random_state": 0}
        found = activation_maximization(net, layer, n_samples=least, **options)
        assert found.shape == (1, least)
        with pytest.raises(ValueError, match=f"Layer {layer} needs .* {least}, .*got"):
            activation_maximization(net, layer, n_samples=least - 1, **options)


def test_folded_networks_have_no_statistics():
    net = network().eval()
    with pytest.raises(ValueError, match="no batch normalisation left"):
        activation_maximization(folded(net), 1)
    plain, fused = (
        activation_maximization(
            n.double(), 1, batch_norm="running", n_steps=3, random_state=0
        )
        for n in (net, folded(net.double()))
    )
    assert_allclose(fused, plain, atol=1e-8)
