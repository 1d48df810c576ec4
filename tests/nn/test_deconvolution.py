"""Feature maps back to the input, against slow and simple ways of doing the same."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn
from torch.nn import functional as F

from skaudio.nn import (
    CoalaCNN,
    FrameLevelCNN,
    MobileNet,
    MultiViewCRNN,
    SampleCNN,
    SingleViewCRNN,
    SwishNet,
)
from skaudio.nn.blocks import MaxPool
from skaudio.nn.deconvolution import recorded
from skaudio.nn.initialisation import seeded_initialisation

SEED = 7


# --------------------------------------------------- the algorithm, in plain NumPy
def plain_maps(x, weights, biases, feature):
    """Deconvolution of one feature of the top layer, as the paper's code does it.

    Layers are a convolution that keeps the size, a rectifier and pooling of 2 x 2.
    """
    switches = []
    for weight, bias in zip(weights, biases, strict=True):
        x = np.stack(
            [
                sum(correlate2d(c, k, mode="same") for c, k in zip(x, ks, strict=True))
                for ks in weight
            ]
        )
        x = np.maximum(x + bias[:, None, None], 0)
        switch = np.zeros_like(x)
        pooled = np.zeros((len(x), x.shape[1] // 2, x.shape[2] // 2))
        for c, i, j in np.ndindex(*pooled.shape):
            block = x[c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            down, along = divmod(int(block.argmax()), 2)  # the first of equal ones
            pooled[c, i, j] = block[down, along]
            switch[c, 2 * i + down, 2 * j + along] = 1
        x = pooled
        switches.append(switch)
    down = np.zeros_like(x)
    down[feature] = x[feature]
    for weight, switch in zip(weights[::-1], switches[::-1], strict=True):
        large = np.zeros_like(switch)
        nearest = down.repeat(2, axis=1).repeat(2, axis=2)
        large[:, : nearest.shape[1], : nearest.shape[2]] = nearest
        large = np.maximum(large * switch, 0)
        down = np.stack(
            [
                sum(
                    correlate2d(m, k[::-1, ::-1], mode="same")
                    for m, k in zip(large, weight[:, channel], strict=True)
                )
                for channel in range(weight.shape[1])
            ]
        )
    return down[0]


@pytest.fixture(scope="module")
def five_layers():
    """A network whose values are small integers, so that blocks have equal maxima."""
    generator = torch.Generator().manual_seed(SEED)
    network = nn.Sequential()
    for n_in, n_out in pairwise([1, 4, 6, 6, 5, 6]):
        conv = made(lambda n=(n_in, n_out): nn.Conv2d(*n, 3, padding=1).double())
        with torch.no_grad():
            conv.weight.copy_(
                torch.randint(-2, 3, conv.weight.shape, generator=generator)
            )
            conv.bias.copy_(torch.randint(-1, 2, conv.bias.shape, generator=generator))
        network.append(nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2)))
    x = torch.randint(0, 3, (1, 1, 69, 43), generator=generator).double()
    return network, x


def made(make):
    """A network with the same weights every time."""
    with seeded_initialisation(SEED):
        return make()


@pytest.mark.parametrize("bias", [True, False])
def test_maps_are_those_of_the_plain_algorithm(five_layers, bias):
    network, x = five_layers
    weights = [layer[0].weight.detach().numpy() for layer in network]
    biases = [layer[0].bias.detach().numpy() * bias for layer in network]
    names = [str(i) for i in range(5)]
    recording = recorded(network, x, names, bias=bias)
    for i, name in enumerate(names):
        n_features = recording.n_features(name)
        found = recording.maps(name, range(n_features)).numpy()
        assert found.shape == (n_features, 1, 69, 43)
        for feature in (0, 2, n_features - 1):
            expected = plain_maps(
                x[0].numpy(), weights[: i + 1], biases[: i + 1], feature
            )
            np.testing.assert_allclose(found[feature, 0], expected, rtol=1e-12)
    assert np.abs(found).max() > 0
    # integers in blocks of four are often equal, and then the first counts
    blocks = F.unfold(recording.outputs["0"][0][:, None], 2, stride=2)
    assert (blocks.diff(dim=1) == 0).any()


def test_an_identity_kernel_returns_the_input_at_the_switches():
    conv = made(lambda: nn.Conv2d(1, 1, 3, padding=1, bias=False))
    network = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2))
    with torch.no_grad():
        network[0].weight.zero_()[0, 0, 1, 1] = 1
    x = torch.tensor([[1.0, 2, 5, 5, 9], [4, 3, 5, 5, 9], [0, 0, -1, -2, 9]])
    (found,) = recorded(network, x[None, None], ["2"]).maps("2", [0])
    expected = torch.zeros(3, 5)
    expected[1, 0], expected[0, 2] = 4, 5  # odd edges are in no window
    torch.testing.assert_close(found[0], expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Conv2d(1, 6, (3, 5), padding=(1, 2)),
        lambda: nn.Conv2d(1, 6, 4, stride=(3, 2), padding=1),
        lambda: nn.Conv2d(1, 6, 3, dilation=2, padding="same"),
        lambda: nn.Conv2d(1, 6, (5, 1), padding="same"),
        lambda: nn.Conv2d(1, 6, 3, padding=1, padding_mode="reflect"),
        lambda: nn.Sequential(
            nn.Conv2d(1, 6, 3), nn.Conv2d(6, 4, 3, stride=2, groups=2)
        ),
        lambda: nn.Sequential(nn.Conv2d(1, 8, 3), nn.AvgPool2d(2), nn.Conv2d(8, 6, 3)),
    ],
)
def test_without_rectifiers_going_back_is_the_adjoint(make):
    conv, x = made(make).double(), noise(1, 1, 23, 29)
    recording = recorded(conv, x, [""], bias=False)
    y = recording.outputs[""]
    # <conv(x), y> = <x, back(y)> for y = conv(x), of which features are the parts
    back = recording.maps("", range(y.shape[1]))
    torch.testing.assert_close((back * x).sum((1, 2, 3)), (y**2).sum((0, 2, 3)))


# ------------------------------------- one feature at a time, by automatic gradients
class Rectified(torch.autograd.Function):
    """A rectifier that rectifies what comes back."""

    @staticmethod
    def forward(ctx, x, slope, ceiling):
        ctx.slope = slope
        return torch.where(x > 0, x, slope * x).clamp(max=ceiling)

    @staticmethod
    def backward(ctx, gradient):
        return torch.where(gradient > 0, gradient, ctx.slope * gradient), None, None


def relu(x, inplace=False):
    return Rectified.apply(x, 0.0, torch.inf)


@pytest.fixture
def rectify_gradients(monkeypatch):
    """Make torch's rectifiers rectify gradients, from when this is called."""

    def patch():
        for place, name in ((torch, "relu"), (torch, "relu_"), (F, "relu")):
            monkeypatch.setattr(place, name, relu)
        monkeypatch.setattr(torch.Tensor, "relu", relu)
        monkeypatch.setattr(
            F, "hardtanh", lambda x, low, high, _: Rectified.apply(x, low, high)
        )
        monkeypatch.setattr(
            F, "leaky_relu", lambda x, slope, _: Rectified.apply(x, slope, torch.inf)
        )

    return patch


def by_gradients(network, x, layer, feature):
    inputs = x if isinstance(x, dict) else {"": x}
    leaves = {name: t.clone().requires_grad_() for name, t in inputs.items()}
    outputs = []
    module = dict(network.named_modules())[layer]
    hook = module.register_forward_hook(lambda _m, _i, output: outputs.append(output))
    network(leaves if isinstance(x, dict) else leaves[""])
    hook.remove()
    seed = torch.zeros_like(outputs[0])
    seed[:, feature] = outputs[0][:, feature].detach()
    found = torch.autograd.grad(
        outputs[0], list(leaves.values()), seed, allow_unused=True
    )
    (gradient,) = [g for g in found if g is not None]
    return gradient[0]


def trained_like(network):
    """Make statistics and weights of normalisation those of no untrained network."""
    generator = torch.Generator().manual_seed(SEED)
    for part in network.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for values in (part.running_mean, part.bias.data):
                values.copy_(0.2 * torch.randn(values.shape, generator=generator))
            part.running_var.uniform_(0.01, 0.2, generator=generator)
            part.weight.data.uniform_(-0.5, 1.5, generator=generator)
    return network.double().eval()


def noise(*shape):
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


NETWORKS = {
    "crnn": (
        lambda: SingleViewCRNN({"mel": (20, 50.0)}, 3, width=0.1),
        lambda: {"mel": noise(1, 20, 17)},
        [f"network.encoder.blocks.{i}" for i in (0, 2, 5)],
    ),
    "crnn on waveforms": (
        lambda: SingleViewCRNN({"raw": (1, 4000.0)}, 3, width=0.1),
        lambda: {"raw": noise(1, 1, 2500)},
        [f"network.encoder.crnn.blocks.{i}" for i in (0, 3)],
    ),
    "multi-view": (
        lambda: MultiViewCRNN({"a": (9, 50.0), "b": (12, 40.0)}, 3, width=0.1),
        lambda: {"a": noise(1, 9, 11), "b": noise(1, 12, 9)},
        ["encoders.0.blocks.1", "encoders.1.blocks.2"],
    ),
    "samplecnn": (
        lambda: SampleCNN(3, sizes=(3, 3, 4, 2), width=0.05, filters=(90,) * 5),
        lambda: noise(1, 1, 3 * 3 * 4 * 2 + 7),
        ["blocks.0", "blocks.2", "blocks.4"],
    ),
    "frame-level": (
        lambda: FrameLevelCNN(3, 3, n_modules=2, width=0.02),
        lambda: noise(1, 3, 31),
        ["blocks.0", "blocks.2"],
    ),
    "frame-level on waveforms": (
        lambda: FrameLevelCNN(
            1, 3, n_modules=2, win_length=27, hop_length=9, width=0.02
        ),
        lambda: noise(1, 1, 200),
        ["blocks.1", "blocks.3"],
    ),
    "mobilenet": (
        lambda: MobileNet(3, width=0.1),
        lambda: noise(1, 24, 31),
        ["blocks.0", "blocks.1", "blocks.6"],
    ),
    "leaky mobilenet": (
        lambda: MobileNet(3, width=0.1, negative_slope=0.1),
        lambda: noise(1, 24, 31),
        ["blocks.5", "blocks.8"],
    ),
    "coala": (
        lambda: CoalaCNN(3, n_filters=5),
        lambda: noise(1, 96, 96),
        ["blocks.1", "blocks.4"],
    ),
}


class Residual(nn.Module):
    """Two ways that meet, one of them a part of the channels."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 6, 3, padding=1)
        self.two = nn.Conv2d(6, 6, 3, padding=1, groups=3)
        self.three = nn.Conv2d(9, 4, 3)

    def forward(self, x):
        x = F.relu(self.one(2 * x - 1), inplace=True)
        y = x + torch.relu(self.two(x))
        part = y.chunk(2, dim=1)[1]
        return F.max_pool2d(self.three(torch.cat([y, part / 3], dim=1)).relu(), 2)


def pooled(*parts):
    return nn.Sequential(nn.Conv2d(1, 7, 3, padding=1), nn.ReLU(), *parts)


TOYS = {
    "two channels in": lambda: nn.Sequential(
        nn.Conv2d(2, 5, (3, 1)), nn.ReLU(), nn.MaxPool2d((2, 3))
    ),
    "six channels in": lambda: nn.Sequential(
        nn.Conv2d(6, 5, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()
    ),
    "windows that overlap": lambda: pooled(nn.MaxPool2d(3, 2, padding=1)),
    "windows with gaps": lambda: pooled(nn.MaxPool2d(2, 3)),
    "windows with holes": lambda: pooled(nn.MaxPool2d(2, dilation=2)),
    "windows over the edge": lambda: pooled(nn.MaxPool2d(2, ceil_mode=True)),
    "pooling of pooling": lambda: pooled(nn.MaxPool2d(2), nn.MaxPool2d((3, 1))),
    "pairs of bands": lambda: pooled(MaxPool((2, 1)), nn.Conv2d(7, 5, 3), nn.ReLU()),
    "no rectifier": lambda: nn.Sequential(
        nn.Conv2d(1, 7, 3), nn.MaxPool2d(2), nn.Conv2d(7, 3, 2)
    ),
    "dilated": lambda: pooled(nn.Conv2d(7, 3, 2, stride=2, dilation=2), nn.ReLU6()),
    "two ways": lambda: Residual(),
    "folded norm": lambda: nn.Sequential(
        nn.Conv2d(1, 7, 3), nn.BatchNorm2d(7), nn.MaxPool2d(2)
    ),
}
SHAPES = {"two channels in": (1, 2, 17, 14), "six channels in": (1, 6, 9, 12)}
CASES = NETWORKS | {
    name: (make, lambda name=name: noise(*SHAPES.get(name, (1, 1, 21, 18))), [""])
    for name, make in TOYS.items()
}


@pytest.mark.parametrize("name", CASES)
def test_maps_are_those_of_gradients_one_at_a_time(name, rectify_gradients):
    make, make_input, layers = CASES[name]
    network, x = trained_like(made(make)), make_input()
    recording = recorded(network, x, layers)
    found = {}
    for layer in layers:
        n_features = recording.n_features(layer)
        maps = recording.maps(layer, range(n_features))
        for some in ([n_features - 1], [1, 0, 1]):  # no map depends on the others
            torch.testing.assert_close(recording.maps(layer, some), maps[some])
        found[layer] = maps
    assert any(maps.abs().max() > 0 for maps in found.values())
    rectify_gradients()
    for layer, maps in found.items():
        for feature in (0, 1, len(maps) - 1):
            expected = by_gradients(network, x, layer, feature)
            scale = float(expected.abs().max())
            torch.testing.assert_close(
                maps[feature], expected, rtol=1e-9, atol=1e-12 * scale
            )


@pytest.mark.parametrize("name", NETWORKS)
def test_without_biases_maps_grow_with_the_input(name):
    make, make_input, layers = CASES[name]
    network = trained_like(made(make))

    def maps(factor, bias):
        x = make_input()
        x = {n: factor * t for n, t in x.items()} if isinstance(x, dict) else factor * x
        recording = recorded(network, x, layers[:1], bias=bias)
        return recording.maps(layers[0], range(3))

    without = maps(0.02, bias=False)  # below the ceiling of rectifiers that have one
    torch.testing.assert_close(without, 2 * maps(0.01, bias=False))
    assert not torch.allclose(without, maps(0.02, bias=True))


@pytest.mark.parametrize("name", ["windows with gaps", "samplecnn"])
def test_memory_changes_no_map(name, monkeypatch):
    make, make_input, (*_, layer) = CASES[name]
    network = trained_like(made(make))
    maps = recorded(network, make_input(), [layer]).maps(layer, range(3))
    monkeypatch.setattr("skaudio.nn.pooled_convolutions.MOST_WEIGHTS", 0)
    monkeypatch.setattr("skaudio.nn.deconvolution.MOST_VALUES", 1)
    few = recorded(network, make_input(), [layer]).maps(layer, range(3))
    torch.testing.assert_close(few, maps)


def test_the_network_is_left_as_it_was():
    network = made(lambda: SampleCNN(3, sizes=(3, 3, 3), width=0.05))
    before = copy.deepcopy(network.state_dict())
    maps = recorded(network, noise(1, 1, 81).float(), ["blocks.1"]).maps(
        "blocks.1", [0]
    )
    assert maps.dtype == torch.float32
    assert not maps.requires_grad
    assert network.training
    assert all(torch.equal(v, before[name]) for name, v in network.state_dict().items())
    hooks = [
        part._forward_hooks or part._forward_pre_hooks for part in network.modules()
    ]
    assert not any(hooks)


def test_silent_features_have_maps_of_zeros():
    network = made(lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()))
    with torch.no_grad():
        network[0].weight[1] = 0
        network[0].bias[1] = -1
    recording = recorded(network, noise(1, 1, 9, 9).float(), ["1"])
    assert not recording.maps("1", [1]).any()
    nothing = recorded(network, torch.zeros(1, 1, 9, 9), ["1"], bias=False)
    assert not nothing.maps("1", [0, 1, 2]).any()


# -------------------------------------------------------------------------- refused
class Changes(nn.Module):
    """Applies a function in place."""

    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 3)
        self.function = function

    def forward(self, x):
        x = self.conv(x)
        out = self.function(x)
        return x if out is None else out


def set_item(x):
    x[:, 0] = x[:, 1].sigmoid()


def in_part(x):
    x[:, :2].relu_()


REFUSED = {
    "tanh": lambda: nn.Sequential(nn.Conv1d(1, 4, 3), nn.Tanh()),
    "selu": lambda: nn.Sequential(nn.Conv1d(1, 4, 3), nn.SELU()),
    "prelu": lambda: nn.Sequential(nn.Conv1d(1, 4, 3), nn.PReLU()),
    "hardtanh": lambda: nn.Sequential(nn.Conv1d(1, 4, 3), nn.Hardtanh()),
    "linear": lambda: nn.Sequential(nn.Conv1d(1, 4, 3), nn.Linear(18, 5)),
    "mul": lambda: Changes(lambda x: x * x),
    "div": lambda: Changes(lambda x: 1 / x),
    "setitem": lambda: Changes(set_item),
    "a part of a tensor in place": lambda: Changes(in_part),
    "statistics of the clip": lambda: nn.Sequential(
        nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4, track_running_stats=False)
    ),
    "no maps": lambda: nn.Sequential(nn.Conv1d(1, 4, 3), nn.Flatten()),
    "gives a ndarray": lambda: Changes(lambda x: x.numpy()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_a_rectified_convolution_is_refused(name):
    recording = recorded(made(REFUSED[name]), noise(1, 1, 20).float(), [""])
    with pytest.raises(TypeError, match=name):
        recording.maps("", [0])


def test_gates_are_refused_where_they_are():
    layers = ["blocks.0", "head"]
    network = made(lambda: SwishNet(20, 3))
    recording = recorded(network, noise(1, 20, 50).float(), layers)
    with pytest.raises(TypeError, match=r"blocks\.0\.\w+ (computes|changes)"):
        recording.check("blocks.0")
    with pytest.raises(TypeError, match=r"head\.0 computes 'linear'"):
        recording.check("head")


def test_a_layer_of_two_views_is_refused():
    class Two(nn.Module):
        def forward(self, views):
            return views["a"] + views["b"]

    views = {"a": noise(1, 1, 5), "b": noise(1, 1, 5)}
    with pytest.raises(TypeError, match=r"inputs \['a', 'b'\]"):
        recorded(Two(), views, [""]).check("")
