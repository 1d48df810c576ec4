"""Self-normalising networks: numbers of parameters, alpha dropout, initialisation."""

import numpy as np
import pytest
import torch
from torch import nn

from skaudio.nn import AlphaDropout, SelfNormalizingNet
from skaudio.nn.blocks import seed_dropout


def network(*sizes, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SelfNormalizingNet(*sizes, **options).eval()


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def test_parameters_of_every_layer():
    net = network(60, 3)
    found = [n_parameters(layer) for layer in (*net.layers, net.output)]
    assert found == [31_232, 131_328, 16_448, 195]
    assert n_parameters(net) == 179_203


def test_forward_by_hand():
    net = network(5, 3, hidden_layer_sizes=(4, 2)).double()
    x = normal(2, 5, 7)
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    z = np.swapaxes(x.numpy(), 1, 2)
    for layer in net.layers:
        weight, bias = (p.detach().numpy() for p in layer.parameters())
        z = z @ weight.T + bias
        z = scale * np.where(z > 0, z, alpha * (np.exp(z) - 1))
    weight, bias = (p.detach().numpy() for p in net.output.parameters())
    expected = np.swapaxes(z @ weight.T + bias, 1, 2)
    frames = net.frames(x).detach().numpy()
    np.testing.assert_allclose(frames, expected, atol=1e-12)
    np.testing.assert_allclose(net(x).detach().numpy(), expected.mean(2), atol=1e-12)


def test_frames_are_judged_alone():
    net, x = network(5, 3), normal(2, 5, 7).float()
    one = net.frames(x, window=5)
    for t in range(7):
        torch.testing.assert_close(net(x[..., t : t + 1]), one[..., t])
    assert net.context(window=99) == (0, 0)


def test_weights_have_lecuns_variance():
    net = network(400, 200, hidden_layer_sizes=(500, 300))
    for layer in (m for m in net.modules() if isinstance(m, nn.Linear)):
        n_out, n_in = layer.weight.shape
        n = n_out * n_in
        weight = layer.weight.detach().double().numpy()
        # within five standard deviations of a mean and a variance of n draws
        assert abs(weight.mean()) < 5 / np.sqrt(n_in * n)
        assert abs(weight.var() * n_in - 1) < 5 * np.sqrt(2 / n)
        assert np.abs(weight).max() > 3.5 / np.sqrt(n_in)  # normal, not uniform
        assert not layer.bias.any()


def test_activations_stay_standardised():
    """Mean 0 and variance 1 through ten layers, dropout or not."""
    for dropout in (0.0, 0.1):
        net = network(200, 3, hidden_layer_sizes=(400,) * 10, dropout=dropout)
        seed_dropout(net, 0, "cpu")
        x = normal(500, 200).float()
        with torch.no_grad():
            out = net.train().layers(x)
        assert abs(float(out.mean())) < 0.1
        assert float(out.var()) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("p", [0.05, 0.2, 0.5, 0.9])
def test_alpha_dropout_keeps_mean_and_variance(p):
    drop = AlphaDropout(p)
    seed_dropout(drop, 0, "cpu")
    out = drop.train()(normal(1000, 1000).float()).double()
    # 5 standard deviations of estimates from a million draws
    kurtosis = float((out**4).mean())
    assert abs(float(out.mean())) < 5e-3
    assert abs(float(out.var()) - 1) < 5e-3 * np.sqrt(kurtosis)


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_alpha_dropout_by_hand(p):
    """Dropped elements get one value, kept ones are scaled and shifted alike."""
    drop, x = AlphaDropout(p), normal(100, 100).float()
    seed_dropout(drop, 0, "cpu")
    out = drop.train()(x)
    low = -1.0507009873554805 * 1.6732632423543772
    a = (1 - p + p * (1 - p) * low**2) ** -0.5  # Klambauer et al., page 6
    b = -a * p * low
    dropped = torch.isclose(out, torch.tensor(a * low + b))
    assert float(dropped.double().mean()) == pytest.approx(p, abs=0.03)
    torch.testing.assert_close(out[~dropped], a * x[~dropped] + b)


def test_alpha_dropout_draws_from_its_own_generator():
    drop, x = AlphaDropout(0.5).train(), torch.ones(100)
    seed_dropout(drop, 3, "cpu")
    state = torch.random.get_rng_state()
    one = drop(x)
    assert torch.equal(torch.random.get_rng_state(), state)
    seed_dropout(drop, 3, "cpu")
    assert torch.equal(drop(x), one)
    assert not torch.equal(drop(x), one)
    assert torch.equal(drop.eval()(x), x)
