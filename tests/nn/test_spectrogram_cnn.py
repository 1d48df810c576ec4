"""The network on a spectrogram that is listened to: sizes, order, a slow forward."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn

from skaudio.nn import SpectrogramCNN


def network(*sizes, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SpectrogramCNN(*sizes, **options).eval()


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def normal(*shape):
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape))


def test_parameters_of_every_layer():
    net = network(257, 173, 3)
    assert [n_parameters(block) for block in net.blocks] == [640, *[36_928] * 4]
    assert n_parameters(net.blocks) == 148_352
    # 64 maps of 8 x 5 values to 256 units, to 256, to 3 classes
    assert [n_parameters(layer) for layer in net.hidden] == [655_616, 65_792]
    assert n_parameters(net.output) == 771
    assert n_parameters(net) == 870_531


def test_maps_of_every_layer():
    """The paper's view: an odd edge is dropped."""
    net = network(257, 173, 3, width=0.1)
    sizes = [(128, 86), (64, 43), (32, 21), (16, 10), (8, 5)]
    assert net.map_sizes == sizes
    x = torch.zeros(1, 1, 257, 173)
    for block, size in zip(net.blocks, sizes, strict=True):
        x = block(x)
        assert x.shape == (1, 6, *size)


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((5, 173), [(2, 86), (1, 43), (1, 21), (1, 10), (1, 5)]),
        ((257, 3), [(128, 1), (64, 1), (32, 1), (16, 1), (8, 1)]),
        ((1, 1), [(1, 1)] * 5),
        ((33, 31), [(16, 15), (8, 7), (4, 3), (2, 1), (1, 1)]),
    ],
)
def test_an_axis_of_one_is_not_pooled(size, sizes):
    net = network(*size, 2, width=0.05)
    assert net.map_sizes == sizes
    assert net(torch.zeros(3, *size)).shape == (3, 2)


def test_names_of_layers():
    net = network(9, 9, 2, filters=(4, 6, 8), hidden_layer_sizes=(5,))
    assert net.hidden_layers == ("blocks.0", "blocks.1", "blocks.2", "hidden.0")
    assert net.stages == tuple((name,) for name in net.hidden_layers)
    assert net.output_layers == ("output",)
    kinds = [type(layer).__name__ for layer in net.blocks[0]]
    assert kinds == ["Conv2d", "ReLU", "MaxPool", "Dropout"]
    inside = {name for names in (*net.stages, net.output_layers) for name in names}
    assert n_parameters(net) == sum(n_parameters(net.get_submodule(n)) for n in inside)


def slow(net, x):
    """Logits of one segment, convolution by convolution, maximum by maximum."""
    maps = [x]
    for block in net.blocks:
        weight, bias = (p.detach().numpy() for p in block.conv.parameters())
        pooled = []
        for kernels, shift in zip(weight, bias, strict=True):
            total = sum(
                correlate2d(one, kernel, mode="same")
                for one, kernel in zip(maps, kernels, strict=True)
            )
            rectified = np.maximum(total + shift, 0)
            down, along = (min(2, n) for n in rectified.shape)
            rows, columns = rectified.shape[0] // down, rectified.shape[1] // along
            pooled.append(
                [
                    [
                        rectified[
                            i * down : (i + 1) * down, j * along : (j + 1) * along
                        ].max()
                        for j in range(columns)
                    ]
                    for i in range(rows)
                ]
            )
        maps = list(np.array(pooled))
    units = np.array(maps).ravel()
    for layer in (*(hidden.linear for hidden in net.hidden), net.output):
        weight, bias = (p.detach().numpy() for p in layer.parameters())
        units = weight @ units + bias
        if layer is not net.output:
            units = np.maximum(units, 0)
    return units


@pytest.mark.parametrize("size", [(35, 21), (6, 40), (64, 2)])
def test_forward_is_the_slow_one(size):
    net = network(*size, 3, filters=(3, 2, 4), hidden_layer_sizes=(7, 5)).double()
    for parameter in net.parameters():  # biases that are not zero
        nn.init.normal_(
            parameter, std=0.3, generator=torch.Generator().manual_seed(len(parameter))
        )
    x = normal(2, *size)
    expected = [slow(net, segment) for segment in x.numpy()]
    with torch.no_grad():
        together, low = net(x), net.float()(x.float())
    np.testing.assert_allclose(together, expected, atol=1e-12)
    np.testing.assert_allclose(low, expected, atol=1e-5, rtol=1e-5)


def test_dropout_is_everywhere_but_at_the_output():
    """All of it dropped: the output has nothing but its bias to go by."""
    net = network(9, 9, 2, filters=(4,), hidden_layer_sizes=(5,), dropout=0.5)
    rates = [m.p for m in net.modules() if type(m).__name__ == "Dropout"]
    assert rates == [0.5, 0.5]
    x = normal(1, 9, 9).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        noisy = net.train()(x)
    assert not torch.allclose(noisy, net.eval()(x))
