"""Fully connected networks: every layer of the table, and the losses by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from skaudio.nn import Autoencoder, SoftmaxAutoencoder, SquaredError, TwoLayerNet

pytestmark = pytest.mark.usefixtures("may_use_global_rng")

# part, in, out, activation, parameters: Figure 2, whose sizes are the authors' code's
TABLE = [
    ("encoder.0", 500, 256, nn.Sigmoid, 128_256),
    ("encoder.1", 256, 192, nn.Tanh, 49_344),
    ("encoder.2", 192, 128, nn.ReLU, 24_704),
    ("encoder.3", 128, 64, nn.ReLU, 8_256),
    ("decoder.0", 64, 128, nn.Sigmoid, 8_320),
    ("decoder.1", 128, 192, nn.Sigmoid, 24_768),
    ("decoder.2", 192, 256, nn.ReLU, 49_408),
    ("decoder.3", 256, 500, nn.ReLU, 128_500),
    ("head.0", 64, 32, nn.Tanh, 2_080),
    ("head.1", 32, 16, nn.Tanh, 528),
]
FUNCTIONS = {
    nn.Sigmoid: lambda x: 1 / (1 + np.exp(-x)),
    nn.Tanh: np.tanh,
    nn.ReLU: lambda x: np.maximum(x, 0),
}


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_every_layer_of_the_table(row):
    name, n_in, n_out, activation, n_parameters = row
    layer = SoftmaxAutoencoder(1, 500, 4).get_submodule(name)
    assert (layer.linear.in_features, layer.linear.out_features) == (n_in, n_out)
    assert type(layer.activation) is activation
    assert count(layer) == n_parameters


def test_numbers_of_parameters():
    net = SoftmaxAutoencoder(1, 500, 4)
    parts = {"encoder": 210_560, "decoder": 210_996}
    assert {name: count(net.get_submodule(name)) for name in parts} == parts
    assert count(net.head) + count(net.output) == 2_676
    assert type(net.output) is nn.Linear
    assert count(net) == 424_232
    assert count(Autoencoder(1, 500)) == 421_556
    assert count(TwoLayerNet(1, 500, 4)) == 64_644


def test_forward_by_hand():
    net = SoftmaxAutoencoder(2, 5, 3, encoder_sizes=(7, 6, 5, 4), head_sizes=(3, 2))
    net = net.double().eval()
    for p in net.parameters():
        nn.init.normal_(p, std=0.5, generator=torch.Generator().manual_seed(p.numel()))
    x = np.random.default_rng(0).normal(size=(3, 2, 5))

    def through(layers, values):
        for layer, activation in layers:
            weight, bias = (p.detach().numpy() for p in layer.linear.parameters())
            values = FUNCTIONS[activation](values @ weight.T + bias)
        return values

    activations = {name: activation for name, _, _, activation, _ in TABLE}

    def part(name, n_layers):
        names = [f"{name}.{i}" for i in range(n_layers)]
        return [(net.get_submodule(k), activations[k]) for k in names]

    codes = through(part("encoder", 4), x.reshape(3, 10))
    decoded = through(part("decoder", 4), codes).reshape(3, 2, 5)
    weight, bias = (p.detach().numpy() for p in net.output.parameters())
    logits = through(part("head", 2), codes) @ weight.T + bias
    outputs = {k: v.detach().numpy() for k, v in net(torch.from_numpy(x)).items()}
    assert list(outputs) == ["codes", "reconstruction", "classification"]
    np.testing.assert_allclose(outputs["codes"], codes, atol=1e-12)
    np.testing.assert_allclose(outputs["reconstruction"], decoded, atol=1e-12)
    np.testing.assert_allclose(outputs["classification"], logits, atol=1e-12)


def test_two_layers_by_hand():
    net = TwoLayerNet(2, 3, 4, n_hidden=5).double()
    x = np.random.default_rng(0).normal(size=(2, 2, 3))
    first, second = net.hidden.linear, net.output
    hidden = np.tanh(x.reshape(2, 6) @ first.weight.detach().numpy().T)
    expected = hidden @ second.weight.detach().numpy().T
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach().numpy(), expected)


def test_dropout_is_after_the_second_layers_and_never_on_codes():
    net = SoftmaxAutoencoder(1, 500, 4, dropout=0.25)
    rates = {name: m.p for name, m in net.named_modules() if hasattr(m, "generator")}
    dropped = {name for name, p in rates.items() if p}
    assert dropped == {"encoder.1.dropout", "decoder.1.dropout"}
    assert all(rates[name] == 0.25 for name in dropped)
    shallow = Autoencoder(1, 500, encoder_sizes=(8, 4), dropout=0.25)
    assert not any(m.p for m in shallow.modules() if hasattr(m, "generator"))


def test_published_initialisation():
    """Glorot's uniform weights and no biases (facts, section 5)."""
    net = SoftmaxAutoencoder(1, 500, 4)
    for layer in [m for m in net.modules() if isinstance(m, nn.Linear)]:
        bound = np.sqrt(6 / (layer.in_features + layer.out_features))
        assert layer.weight.abs().max() <= bound
        assert float(layer.weight.detach().std()) == pytest.approx(
            bound / np.sqrt(3), rel=0.2
        )
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ("activation", "lowest", "highest"),
    [
        ("relu", 0, np.inf),
        ("sigmoid", 0, 1),
        ("tanh", -1, 1),
        ("linear", -np.inf, np.inf),
    ],
)
def test_range_of_reconstructions(activation, lowest, highest):
    net = Autoencoder(1, 20, encoder_sizes=(8, 4), output_activation=activation)
    for p in net.decoder.parameters():
        nn.init.normal_(p, std=3, generator=torch.Generator().manual_seed(0))
    made = net(torch.randn(50, 1, 20, generator=torch.Generator().manual_seed(0)))
    values = made["reconstruction"]
    assert lowest <= values.min() < values.max() <= highest
    assert (values.min() < 0) == (lowest < 0)
    assert (values.max() > 1) == (highest > 1)


def test_other_sizes():
    """The authors' earlier form, ten classes of two seconds: row A9."""
    net = SoftmaxAutoencoder(
        *(1, 40_000, 10), encoder_sizes=(1024, 512), head_sizes=(128,)
    )
    by_hand = 40_001 * 1024 + 1025 * 512 + 513 * 1024 + 1025 * 40_000
    assert count(net) == by_hand + 513 * 128 + 129 * 10
    assert net.hidden_layers == ("encoder.0", "encoder.1", "head.0")
    one = Autoencoder(1, 6, encoder_sizes=(3,))
    assert type(one.encoder[0].activation) is nn.Sigmoid
    assert type(one.decoder[0].activation) is nn.ReLU
    assert SoftmaxAutoencoder(1, 6, 2, encoder_sizes=(3,), head_sizes=())(
        torch.zeros(1, 1, 6)
    )["classification"].shape == (1, 2)


def test_squared_errors_by_hand():
    view = torch.tensor([[[1.0, 2.0], [0.0, -1.0]], [[0.0, 0.0], [0.0, 2.0]]])
    outputs = {"reconstruction": torch.zeros_like(view), "codes": torch.ones(2, 3)}
    inputs = {"mel": view, "tags": torch.ones(2, 1)}
    (mean,) = SquaredError()(outputs, {}, inputs).values()
    (total,) = SquaredError("sum")(outputs, {}, inputs).values()
    assert mean == pytest.approx((6 + 4) / 8)
    assert total == pytest.approx((6 + 4) / 2)
    assert SquaredError().terms == ("reconstruction",)
