"""`NetworkClassifier`: networks of torch alone, as their users wrote them."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from own_networks import LinearNet, PreActivated, TwoViews
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from skaudio.embedding import LayerEmbedder
from skaudio.inspection import saliency
from skaudio.neural_network import FineTunedClassifier, NetworkClassifier
from skaudio.persistence import load, save
from skaudio.preprocessing import ViewScaler
from skaudio.views import MelView, Views

FIT = {"max_epochs": 2, "segment_length": 0.2, "random_state": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def clips():
    """Two views of 16 clips."""
    rng = np.random.default_rng(0)
    y = np.array(["a", "b"] * 8)
    level = (y == "b")[:, None, None]
    mel = (rng.normal(size=(16, 6, 30)) + level).astype(np.float32)
    raw = (rng.normal(size=(16, 1, 240)) + level).astype(np.float32)
    return Views({"mel": mel, "raw": raw}, {"mel": 50.0, "raw": 400.0}), y


@pytest.fixture(scope="module")
def fitted(clips):
    X, y = clips
    return NetworkClassifier(module=LinearNet, **FIT).fit(X.select(["mel"]), y)


def test_the_constructor_gets_what_it_names(clips):
    X, y = clips
    options = {"module_params": {"filters": 3}, **FIT}
    one = NetworkClassifier(module=PreActivated, **options).fit(X.select(["mel"]), y)
    network = one.net_.module_.network
    assert network.shape == (6, 10, 50.0)  # bins, frames of 0.2 s, rate
    assert network.conv.out_channels == 3
    assert network.output.out_features == 2
    two = NetworkClassifier(module=TwoViews, **FIT).fit(X, y)
    assert two.net_.module_.network.sizes == {
        "mel": {"n_bins": 6, "n_steps": 10, "rate": 50.0},
        "raw": {"n_bins": 1, "n_steps": 80, "rate": 400.0},
    }
    assert two.predict(X).shape == (16,)


def test_predictions_are_those_of_the_module(clips):
    """In eval mode, as it is: nothing is folded, whatever its layers are called."""
    X, y = clips
    mel = X["mel"][:, :, :10]
    model = NetworkClassifier(module=PreActivated, **FIT).fit(
        Views({"m": mel}, {"m": 50.0}), y
    )
    network = model.net_.module_.network.eval()
    network.norm.running_mean.fill_(0.5)
    network.norm.running_var.fill_(4.0)
    with torch.no_grad():
        logits = network(torch.from_numpy(mel))
    proba = model.predict_proba(Views({"m": mel}, {"m": 50.0}))
    assert_allclose(proba, logits.softmax(1), rtol=1e-5)


def test_a_seed_repeats_dropout_within_recurrent_layers(clips):
    """torch draws for them from its global generator, which conftest watches."""
    X, y = clips[0].select(["mel"]), clips[1]
    weights = [
        NetworkClassifier(module=PreActivated, **FIT | {"random_state": seed})
        .fit(X, y)
        .net_.module_.state_dict()
        for seed in (0, 0, 1)
    ]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name])
    assert not torch.equal(
        weights[0]["network.conv.weight"], weights[2]["network.conv.weight"]
    )


def test_training_goes_on_where_it_stopped(clips, tmp_path):
    """Dropout included: to the bit as without an interruption."""
    X, y = clips[0].select(["mel"]), clips[1]

    def network(**options):
        return NetworkClassifier(
            module=PreActivated, lr_schedule="constant", **FIT | options
        )

    whole = network(max_epochs=4).fit(X, y)
    network(max_epochs=2).fit(X, y, checkpoint=tmp_path / "state")
    resumed = network(max_epochs=4).fit(X, y, checkpoint=tmp_path / "state")
    for name, value in whole.net_.module_.state_dict().items():
        assert torch.equal(value, resumed.net_.module_.state_dict()[name]), name
    with pytest.raises(ValueError, match="module"):
        NetworkClassifier(module=LinearNet, lr_schedule="constant", **FIT).fit(
            X, y, checkpoint=tmp_path / "state"
        )


def test_tags(clips):
    X, y = clips
    tags = np.stack([y == "a", y == "b", np.ones(16)], 1).astype(int)
    model = NetworkClassifier(module=LinearNet, **FIT).fit(X.select(["mel"]), tags)
    assert model.predict_proba(X.select(["mel"])).shape == (16, 3)
    assert model.net_.module_.network.output.out_features == 3


def test_views_inside_are_those_of_a_pipeline():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8, 2000)).astype(np.float32), np.array([0, 1] * 4)
    mel = MelView(sr=2000, n_mels=8, n_fft=128, hop_length=64)
    options = FIT | {"segment_length": None}
    inside = NetworkClassifier(module=LinearNet, views=mel, **options).fit(X, y)
    outside = make_pipeline(mel, ViewScaler(), clone(inside).set_params(views=None))
    assert_allclose(
        inside.predict_proba(X), outside.fit(X, y).predict_proba(X), atol=1e-4
    )


# ------------------------------------------------------------------------ parameters
def test_arguments_of_the_module_are_parameters(clips):
    X, y = clips
    model = NetworkClassifier(module=LinearNet, module_params={"width": 4}, **FIT)
    assert model.get_params()["module__width"] == 4
    assert "module__width" not in model.get_params(deep=False)
    other = clone(model).set_params(module__width=5, module__dropout=0.1, lr=0.01)
    assert other.module_params == {"width": 5, "dropout": 0.1}
    assert model.module_params == {"width": 4}  # a clone shares nothing
    assert clone(model).set_params(
        lr_schedule__patience=3, lr_schedule="reduce-on-plateau"
    )
    search = GridSearchCV(model, {"module__width": [2, 3]}, cv=2).fit(
        X.select(["mel"]), y
    )
    width = search.best_params_["module__width"]
    assert search.best_estimator_.net_.module_.network.hidden.out_features == width


class NoOutputs(nn.Module):
    def __init__(self, n_bins):
        super().__init__()


class WrongShape(LinearNet):
    def forward(self, x):
        return super().forward(x)[:, 0]


class BothKinds(LinearNet):
    def __init__(self, views, n_bins, n_outputs):
        super().__init__(n_bins, n_outputs)


class StepsOfNone(LinearNet):
    def __init__(self, views, n_steps, n_outputs):
        super().__init__(n_steps, n_outputs)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"module": LinearNet(2, 2)}, ValueError, "'module' parameter"),
        ({"module": dict}, TypeError, r"must be a class of torch.nn.Module"),
        ({"module": NoOutputs}, TypeError, "must have a parameter n_outputs"),
        ({"module": BothKinds}, TypeError, "views, of all of them, and n_bins"),
        ({"module": StepsOfNone}, TypeError, "views, of all of them, and n_steps"),
        ({"module_params": {"depth": 3}}, ValueError, "has no 'depth'"),
        ({"module_params": {"n_bins": 3}}, ValueError, "'n_bins', which follows"),
        ({"module": WrongShape}, ValueError, r"of shape \(16, 2\); got \(16,\)"),
    ],
)
def test_what_cannot_be_built_is_said_in_fit(clips, options, kind, message):
    X, y = clips
    model = NetworkClassifier(**{"module": LinearNet, **FIT} | options)
    with pytest.raises(kind, match=message):
        model.fit(X.select(["mel"]), y)


def test_several_views_need_a_network_that_takes_them(clips):
    with pytest.raises(ValueError, match="takes one view, but gets"):
        NetworkClassifier(module=LinearNet, **FIT).fit(*clips)


# ----------------------------------------------------------------------------- files
def test_a_file_names_the_class_and_the_reader_gives_it(fitted, clips, tmp_path):
    X = clips[0].select(["mel"])
    save(fitted, tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match=r"pass load\(..., modules=\[LinearNet\]\)"):
        load(tmp_path / "own.safetensors")
    loaded = load(tmp_path / "own.safetensors", modules=[TwoViews, LinearNet])
    assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert loaded.module is LinearNet


def test_a_class_of_the_name_must_fit_the_weights(fitted, tmp_path):
    save(fitted, tmp_path / "own.safetensors")
    other = type("LinearNet", (PreActivated,), {})
    with pytest.raises(ValueError, match="its network and its arrays differ"):
        load(tmp_path / "own.safetensors", modules=[other])
    with pytest.raises(TypeError, match="modules must be a list of classes; got <cla"):
        load(tmp_path / "own.safetensors", modules=LinearNet)
    with pytest.raises(ValueError, match="modules has 2 classes called 'LinearNet'"):
        load(tmp_path / "own.safetensors", modules=[LinearNet, other])


def test_a_file_imports_nothing(fitted, tmp_path):
    """Whatever it names, the class is one of those that are given."""
    from skaudio._utils._limits import Budget
    from skaudio.persistence._decode import Decoder

    decoder = Decoder({}, Budget(1000), [LinearNet])
    for name in ("os.system", "antigravity.LinearNets", "torch.nn.Linear", 3):
        with pytest.raises(ValueError, match="its network is of the class"):
            decoder.decode({"!": "module", "name": name})
    node = json.loads('{"!": "module", "name": "elsewhere.LinearNet"}')
    assert decoder.decode(node) is LinearNet


def test_pickles(fitted, clips):
    X = clips[0].select(["mel"])
    copied = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(copied.predict_proba(X), fitted.predict_proba(X))


# --------------------------------------------------------------- what else there is
def test_what_works_with_the_others_works_with_it(fitted, clips):
    X = clips[0].select(["mel"])
    hidden = LayerEmbedder(FrozenEstimator(fitted), layers=("network.hidden",)).fit(X)
    assert hidden.transform(X).shape == (16, 16)
    several = np.array(["a", "b", "c", "d"] * 4)
    tuned = FineTunedClassifier(fitted, max_epochs=1, random_state=0).fit(X, several)
    assert tuned.predict_proba(X).shape == (16, 4)
    assert saliency(fitted, X).shape == (16, 6, 30)
    with pytest.raises(TypeError, match="has no convolutional layer"):
        saliency(fitted, X, method="grad-cam")
