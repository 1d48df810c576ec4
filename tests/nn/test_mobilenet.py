"""MobileNet: numbers of parameters, channels, sizes of maps, folding."""

import numpy as np
import pytest
import torch

from skaudio.nn import MobileNet, folded

# pointwise outputs and strides of MobileNets, Table 1
TABLE = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *(5 * [(512, 1)]),
    *((1024, 2), (1024, 1)),
)


def network(n_outputs=3, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MobileNet(n_outputs, **options).eval()


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def pictures(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=shape).astype(np.float32))


def test_numbers_of_parameters():
    net = network()
    found = [n_parameters(m) for m in (net.blocks, net.head, net.output)]
    assert found == [213_072, 4_112, 51]
    assert n_parameters(net) == 217_235
    statistics = sum(b.numel() for b in net.buffers() if b.ndim)
    assert statistics == 5_472  # of which the paper's number leaves out


@pytest.mark.parametrize("width", [0.25, 0.5, 1.0])
def test_channels_and_strides(width):
    net, x = network(width=width), torch.zeros(1, 3, 64, 96)
    n_in = round(32 * width)
    x = net.blocks[0](x)
    assert x.shape[1:] == (n_in, 32, 48)
    for i, (n_out, stride) in enumerate(TABLE):
        depthwise, mixture = net.blocks[1 + 2 * i], net.blocks[2 + 2 * i]
        before = x.shape[2:]
        y = depthwise(x)
        assert y.shape[1] == n_in
        assert tuple(y.shape[2:]) == tuple(-(-n // stride) for n in before)
        assert depthwise.conv.groups == n_in
        assert depthwise.conv.kernel_size == (3, 3)
        assert mixture.conv.kernel_size == (1, 1)
        x, n_in = mixture(y), round(n_out * width)
        assert x.shape[1] == n_in
    assert x.shape[2:] == (2, 3)  # a thirty-second of bands and frames


def test_numbers_of_the_full_size():
    """4.2 million with a thousand classes (MobileNets, Table 6)."""
    net = network(1000, width=1.0, head_hidden=0)
    assert n_parameters(net) == 4_231_976


@pytest.mark.parametrize("size", [(64, 50), (64, 200), (1, 1), (5, 3), (128, 31)])
def test_any_size(size):
    assert network()(pictures(2, *size)).shape == (2, 3)


@pytest.mark.parametrize("options", [{}, {"negative_slope": 0.1}, {"head_hidden": 0}])
def test_folded_gives_the_same(options):
    net = network(**options, dropout=0.0).train()
    with torch.no_grad():
        for seed in range(3):  # statistics that are not those of a new network
            net(2 + pictures(4, 32, 40, seed=seed))
        net.eval()
        x = pictures(2, 32, 40, seed=9)
        torch.testing.assert_close(folded(net)(x), net(x), atol=1e-5, rtol=1e-4)


def test_the_picture_is_copied_to_three_channels():
    net, x = network(), pictures(2, 32, 40)
    with torch.no_grad():
        maps = net.blocks(torch.stack([x, x, x], dim=1)).mean((2, 3))
        torch.testing.assert_close(net(x), net.output(net.head(maps)))


def test_rectifiers():
    x = torch.tensor([-2.0, 3.0, 9.0])
    assert network().blocks[0].relu(x).tolist() == [0, 3, 6]
    leaky = network(negative_slope=0.1).blocks[0].relu(x)
    torch.testing.assert_close(leaky, torch.tensor([-0.2, 3.0, 9.0]))
    assert network(negative_slope=0).blocks[0].relu(x).tolist() == [0, 3, 9]
