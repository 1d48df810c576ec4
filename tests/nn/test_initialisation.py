"""Weights of a seed: the same whatever torch is set to, and nothing else disturbed."""

import threading

import pytest
import torch
from torch import nn

from skaudio.nn import SampleCNN
from skaudio.nn.initialisation import seeded_initialisation


def weights(seed=None):
    modules = [
        SampleCNN(5, sizes=(3,) * 5, width=0.1),
        nn.LSTM(3, 4),
        nn.Embedding(3, 4),
        nn.MultiheadAttention(4, 2),
        nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)),
    ]
    extra = [
        nn.init.orthogonal_(torch.empty(3, 4)),
        nn.init.trunc_normal_(torch.empty(9)),
        torch.rand(3),
        torch.randperm(5),
        torch.empty(3).cauchy_(),
        torch.full((2,), 0.5),
    ]
    tensors = [t for module in modules for t in module.state_dict().values()]
    return [*tensors, *extra]


def seeded(seed):
    with seeded_initialisation(seed):
        return weights()


def test_draws_are_those_after_manual_seed():
    state = torch.get_rng_state()
    try:
        torch.manual_seed(3)
        expected = weights()
    finally:
        torch.set_rng_state(state)
    found = seeded(3)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(found[0], seeded(4)[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_default_dtype_does_not_matter(dtype):
    expected = seeded(0)
    torch.set_default_dtype(dtype)
    try:
        found = seeded(0)
    finally:
        torch.set_default_dtype(torch.float32)
    # torch.full infers its type from the value, which is not a random draw
    assert all(
        torch.equal(a, b) for a, b in zip(expected[:-1], found[:-1], strict=True)
    )


def test_default_device_does_not_matter():
    expected = seeded(0)
    with torch.device("meta"):
        found = seeded(0)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_other_threads_keep_their_numbers():
    """Not even for a moment is the global generator another one."""
    torch_state = torch.get_rng_state()
    stop, seen = threading.Event(), []

    def draw():
        while not stop.is_set():
            seen.append(torch.rand(()).item())

    try:
        torch.manual_seed(1)
        thread = threading.Thread(target=draw)
        thread.start()
        for seed in range(20):
            with seeded_initialisation(seed):
                SampleCNN(5, sizes=(3,) * 5, width=0.1)
        stop.set()
        thread.join()
        torch.manual_seed(1)
        expected = [torch.rand(()).item() for _ in seen]
    finally:
        stop.set()
        torch.set_rng_state(torch_state)
    assert seen == expected
