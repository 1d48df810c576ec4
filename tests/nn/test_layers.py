"""Which layers of a network are meant: one rule for all that ask for layers."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch

from skaudio.nn import SampleCNN, layer_outputs
from skaudio.nn.layers import OfWeights, layer_names


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng(devices=[]):
        return SampleCNN(3, sizes=(3,) * 4, width=0.05).eval()


def test_numbers_count_from_either_end_and_names_stand_for_themselves(network):
    hidden = network.hidden_layers
    assert layer_names(network, range(len(hidden))) == list(hidden)
    backwards = [-1 - i for i in range(len(hidden))]
    assert layer_names(network, backwards) == list(hidden[::-1])
    assert layer_names(network, hidden) == list(hidden)
    assert layer_names(network, np.array([0, -1])) == [hidden[0], hidden[-1]]


def test_names_are_those_of_any_part(network):
    names = ["blocks.1.relu", "output"]
    assert layer_names(network, names) == names


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ((), ValueError, r"layers=\(\) names no layer"),
        ((5,), ValueError, r"layers has 5, but there are 5 hidden layers: -1 is"),
        ((0, -6), ValueError, r"layers has -6, but there are 5 hidden layers"),
        (("blocks.9",), ValueError, r"'blocks.9', which the network has not"),
        ((1.0,), TypeError, r"must be a number or a name; got 1.0"),
        ((None,), TypeError, r"must be a number or a name; got None"),
    ],
)
def test_what_is_not_there_is_an_error(network, layers, error, message):
    with pytest.raises(error, match=message):
        layer_names(network, layers)


def test_a_layer_that_is_asked_for_twice_is_computed_once(network):
    x = torch.zeros(2, 1, 81)
    outputs = layer_outputs(network, ["output", "output"], x)
    assert outputs["output"].shape == (2, 3)


def network_with_parts():
    parts = torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3)
    return torch.nn.Sequential(torch.nn.Sequential(*parts), torch.nn.Linear(3, 2))


def in_place(net):
    with torch.no_grad():
        net[0][0].weight.add_(1)


def a_new_parameter(net):
    net[0][0].bias = torch.nn.Parameter(torch.ones(3))


def a_new_part(net):
    net[0][0] = torch.nn.Linear(3, 3)


def a_new_part_of_new_parts(net):
    net[0] = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(3, 3))


def a_statistic(net):
    net[0][1].running_mean.fill_(2)


def another_type(net):
    net.double()


CHANGES = [
    *(in_place, a_new_parameter, a_new_part, a_new_part_of_new_parts),
    *(a_statistic, another_type),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_made_of_weights_follows_them(change):
    calls = []
    made = OfWeights(lambda module: calls.append(module) or len(calls))
    with torch.random.fork_rng(devices=[]):
        net = network_with_parts()
        assert [made(net), made(net)] == [1, 1]
        change(net)
        assert [made(net), made(net)] == [2, 2]
        other = network_with_parts()
        assert [made(other), made(net)] == [3, 4]


class Together(torch.nn.Identity):
    """Waits until two threads are inside."""

    def __init__(self):
        super().__init__()
        self.barrier = Barrier(2, timeout=30)

    def forward(self, x):
        self.barrier.wait()
        return super().forward(x)


def test_threads_get_outputs_of_their_own():
    net = torch.nn.Sequential(Together(), torch.nn.ReLU(), Together())
    inputs = [torch.full((1, 2), float(i)) for i in range(2)]
    with ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(lambda x: layer_outputs(net, ["1"], x)["1"], inputs))
    assert [output.tolist() for output in outputs] == [[[0, 0]], [[1, 1]]]
