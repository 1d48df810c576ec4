"""mixed_precision="auto": where it is chosen, and that fitted networks keep it."""

import copy
import math
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback
from torch import nn

from skaudio._training import _precision
from skaudio._training._precision import products_per_value
from skaudio.embedding import CoalaEmbedder
from skaudio.neural_network import (
    CRNNClassifier,
    FineTunedClassifier,
    MultiViewBlendingClassifier,
)
from skaudio.nn import devices
from skaudio.nn.initialisation import seeded_initialisation
from skaudio.persistence import load, save
from skaudio.views import Views

NET = {"width": 0.1, "max_epochs": 2, "device": "cpu", "random_state": 0}


@pytest.fixture
def machine(monkeypatch):
    """Says whether the processor has instructions for bfloat16."""

    def has(bfloat16):
        monkeypatch.setattr(_precision, "has_bfloat16", lambda device: bfloat16)

    has(True)
    return has


@pytest.fixture
def every_size(monkeypatch):
    """Networks of tests are too small for bfloat16 to pay."""
    monkeypatch.setattr(_precision, "LEAST_PRODUCTS", 0.0)


@pytest.fixture(scope="module")
def toy():
    rng = np.random.default_rng(0)
    y = np.arange(16) % 2
    X = rng.normal(size=(16, 16, 30)) + y[:, None, None]
    return X.astype(np.float32), y


def proba(X, y, classifier=CRNNClassifier, **options):
    return classifier(**NET | options).fit(X, y).predict_proba(X)


# ------------------------------------------------------------------ what is chosen


def test_auto_is_one_of_the_two_to_the_bit(toy, machine, every_size):
    full, mixed = (proba(*toy, mixed_precision=m) for m in (False, True))
    assert 0 < np.abs(full - mixed).max() < 0.2
    np.testing.assert_array_equal(proba(*toy, mixed_precision="auto"), mixed)
    machine(False)
    np.testing.assert_array_equal(proba(*toy, mixed_precision="auto"), full)


def test_small_networks_gain_nothing(toy, machine):
    np.testing.assert_array_equal(
        proba(*toy, width=0.02, mixed_precision="auto"), proba(*toy, width=0.02)
    )
    wide = CRNNClassifier(**NET | {"width": 0.25, "max_epochs": 1})
    assert wide.set_params(mixed_precision="auto").fit(*toy).net_.mixed_precision


def test_float64_stays_float64(toy, machine, every_size):
    X, y = toy[0].astype(np.float64), toy[1]
    auto = proba(X, y, mixed_precision="auto")
    assert auto.dtype == np.float64
    model = CRNNClassifier(**NET, mixed_precision="auto").fit(X, y)
    assert model.net_.mixed_precision is False
    np.testing.assert_array_equal(auto, proba(X, y))


def test_one_seed_repeats_to_the_bit(toy, machine, every_size):
    first, again = (proba(*toy, mixed_precision="auto") for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_networks_of_several_inputs_and_of_other_inputs(machine, every_size):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 96, 100)).astype(np.float32)
    views = Views({"a": X[:, :8], "b": X[:, :16]}, {"a": 43.0, "b": 43.0})
    options = NET | {"width": 0.05, "max_epochs": 1, "mixed_precision": "auto"}
    blending = MultiViewBlendingClassifier(**options).fit(views, np.arange(12) % 2)
    assert blending.net_.mixed_precision
    tags = ["low hum", "high hiss"] * 6
    coala = CoalaEmbedder(**options).fit(Views({"mel": X}, {"mel": 43.0}), tags)
    assert coala.net_.mixed_precision  # this network sees tags as well


@pytest.mark.parametrize("value", ["Auto", "bfloat16", "", None, 2, ["auto"]])
def test_other_values_are_refused(toy, value):
    with pytest.raises(ValueError, match=r"'mixed_precision' .* must be .*'auto'"):
        CRNNClassifier(**NET, mixed_precision=value).fit(*toy)


# ------------------------------------------------------- what the choice depends on


def products(network, shape, batch_size):
    """Of a network, for one segment of that shape."""
    net = SimpleNamespace(
        module_=network,
        batch_size=batch_size,
        for_inference=lambda module: module,
        outputs=lambda data, rows, starts: network(data.clip),
    )
    data = SimpleNamespace(
        clip=torch.zeros(shape), even_segments=lambda n: (np.zeros(1), np.zeros(1))
    )
    return products_per_value(net, data)


def test_products_per_value_by_hand():
    """Layer by layer, and weights are shared by a batch of 4."""
    with seeded_initialisation(0):
        network = nn.Sequential(
            nn.Conv1d(2, 3, 5, padding=2),  # 10 results of 3 filters of 2 x 5
            nn.ReLU(),
            nn.ConvTranspose1d(3, 2, 4, stride=2),  # 10 steps times 3 of 2 x 4
            nn.Flatten(),
            nn.Linear(44, 4),  # 4 of 44
        )
    n_products = 10 * 3 * 10 + 10 * 3 * 8 + 4 * 44
    numbers = 20 + 30 + 30 + 44 + 44 + 4 + (30 + 24 + 176) / 4
    expected = pytest.approx(n_products / numbers)
    assert products(network, (1, 2, 10), 4) == expected


@pytest.mark.parametrize(("groups", "expected"), [(1, 8 * 9 / 2), (8, 9 / 2)])
def test_grouped_convolutions_have_fewer_products(groups, expected):
    with seeded_initialisation(0):
        network = nn.Conv2d(8, 8, 3, padding=1, groups=groups)
    assert products(network, (1, 8, 5, 5), math.inf) == expected


@pytest.mark.skipif(
    not Path("/proc/cpuinfo").exists(), reason="needs Linux, which lists instructions"
)
def test_processors_say_what_they_have():
    flags = set(Path("/proc/cpuinfo").read_text().split())
    expected = bool(flags & {"avx512_bf16", "amx_tile"})
    assert devices.has_bfloat16("cpu") in {
        expected,
        torch.backends.mkldnn.is_available(),
    }
    assert expected or not devices.has_bfloat16("cpu")


def test_without_its_library_a_processor_imitates(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not devices.has_bfloat16("cpu")


def test_other_devices_are_not_known_to_gain():
    assert not devices.has_bfloat16("meta")


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
def test_a_gpu_says_what_it_has(toy):
    native = torch.cuda.get_device_capability()[0] >= 8
    auto = CRNNClassifier(**NET | {"device": "cuda"}, mixed_precision="auto").fit(*toy)
    assert auto.net_.mixed_precision == native


# --------------------------------------------------------------- what is fitted stays


@pytest.mark.parametrize("here", [True, False])
def test_predictions_are_those_of_the_machine_of_fit(
    toy, machine, every_size, here, tmp_path
):
    X, y = toy
    machine(here)
    fitted = CRNNClassifier(**NET, mixed_precision="auto").fit(X, y)
    expected = fitted.predict_proba(X)
    save(fitted, tmp_path / "model.safetensors")
    machine(not here)
    for again in (
        load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
    ):
        assert again.net_.mixed_precision is here
        assert again.mixed_precision == "auto"
        np.testing.assert_array_equal(again.predict_proba(X), expected)
        assert again.fit(X, y).net_.mixed_precision is not here  # chosen anew


@pytest.mark.parametrize("mixed", [False, True])
def test_states_of_older_versions_go_by_the_parameter(toy, mixed):
    fitted = CRNNClassifier(**NET, mixed_precision=mixed).fit(*toy)
    state = fitted.__getstate__()
    del state["_spec"]["mixed_precision"]
    older = CRNNClassifier()
    older.__setstate__(state)
    assert older.net_.mixed_precision is mixed
    np.testing.assert_array_equal(
        older.predict_proba(toy[0]), fitted.predict_proba(toy[0])
    )


def test_fine_tuning_chooses_anew(toy, machine, every_size):
    machine(False)
    first = CRNNClassifier(**NET, mixed_precision="auto").fit(*toy)
    machine(True)
    tuned = FineTunedClassifier(
        FrozenEstimator(first), max_epochs=1, random_state=0
    ).fit(*toy)
    assert (first.net_.mixed_precision, tuned.estimator_.net_.mixed_precision) == (
        False,
        True,
    )


class Stop(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            raise RuntimeError("interrupted")


@pytest.mark.parametrize("here", [True, False])
def test_training_goes_on_as_it_began(toy, machine, every_size, here, tmp_path):
    X, y = toy
    path = tmp_path / "training.checkpoint"
    net = CRNNClassifier(**NET, mixed_precision="auto")
    machine(here)
    whole = clone(net).fit(X, y).predict_proba(X)
    with pytest.raises(RuntimeError, match="interrupted"):
        clone(net).set_params(callbacks=[Stop()]).fit(X, y, checkpoint=path)
    machine(not here)
    resumed = clone(net).fit(X, y, checkpoint=path)
    np.testing.assert_array_equal(resumed.predict_proba(X), whole)
    same = clone(net).set_params(mixed_precision=here).fit(X, y, checkpoint=path)
    np.testing.assert_array_equal(same.predict_proba(X), whole)
    other = clone(net).set_params(mixed_precision=not here)
    with pytest.raises(ValueError, match="What differs: mixed_precision"):
        other.fit(X, y, checkpoint=path)
