"""SampleCNN and the frame-level networks: the paper's tables, and plain NumPy."""

from math import log, prod, sqrt

import numpy as np
import pytest
import torch
from torch import nn

from skaudio.nn import FrameLevelCNN, SampleBlock, SampleCNN, folded, layer_outputs
from skaudio.nn.crnn import CRNN2d
from skaudio.nn.samplecnn import SIZES_BY_RATE, filters_of

pytestmark = pytest.mark.usefixtures("may_use_global_rng")

# Table 1: steps and channels of every block's output, parameters of its convolution
TABLE_1 = [
    *[(19683, 128, 512), (6561, 128, 49_280), (2187, 128, 49_280), (729, 256, 98_560)],
    *[(243, 256, 196_864), (81, 256, 196_864), (27, 256, 196_864), (9, 256, 196_864)],
    *[(3, 512, 393_728), (1, 512, 786_944), (1, 512, 262_656)],
]
# Table 3 by rate: samples, published total in millions, our counts without and with
# batch normalisation
TABLE_3 = {
    2000: (5184, 1.80, 1_798_706, 1_805_106),
    4000: (10368, 1.93, 1_929_778, 1_936_178),
    8000: (20736, 2.06, 2_060_850, 2_067_250),
    12000: (31104, 2.13, 2_126_386, 2_132_786),
    16000: (43740, 2.19, 2_191_922, 2_198_322),
    20000: (52488, 2.32, 2_322_994, 2_329_394),
    22050: (59049, 2.46, 2_454_066, 2_460_466),
}
# Table 2: modules, window and hop of the frame-level rows
TABLE_2 = [(4, 729, 729), (5, 729, 243), (5, 243, 243), (6, 243, 81), (6, 81, 81)]
# the eight members of the m^n family that are used for multi-scale features
FAMILY = {
    (2, 13): 16384,
    (2, 14): 32768,
    (3, 8): 19683,
    (3, 9): 59049,
    (4, 6): 16384,
    (4, 7): 65536,
    (5, 5): 15625,
    (5, 6): 78125,
}


def count(module):
    return sum(p.numel() for p in module.parameters())


def count_norms(module):
    return sum(count(m) for m in module.modules() if isinstance(m, nn.BatchNorm1d))


@pytest.fixture(scope="module")
def paper():
    torch.manual_seed(0)
    return SampleCNN(50).eval()


def randomised(module, seed=0):
    """The module in eval mode, with statistics of batch norm that do something."""
    generator = torch.Generator().manual_seed(seed)
    for m in module.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
            n, dtype = m.num_features, m.weight.dtype
            m.running_mean = torch.randn(n, generator=generator, dtype=dtype) * 0.1
            m.running_var = torch.rand(n, generator=generator, dtype=dtype) + 0.5
            # also negative
            m.weight.data = torch.rand(n, generator=generator, dtype=dtype) - 0.3
            m.bias.data = torch.randn(n, generator=generator, dtype=dtype) * 0.1
    return module.eval()


# ------------------------------------------------------------------------ the tables


def test_table_1_row_by_row(paper):
    with torch.inference_mode():
        outputs = layer_outputs(
            paper, list(paper.hidden_layers), torch.zeros(1, 1, 59049)
        )
    rows = [
        (x.shape[2], x.shape[1], count(block.conv))
        for x, block in zip(outputs.values(), paper.blocks, strict=True)
    ]
    assert rows == TABLE_1
    assert count(paper.output) == 25_650
    assert count(paper) - count_norms(paper) == 2_454_066
    assert paper.dropout.p == 0.5


@pytest.mark.parametrize("sr", TABLE_3)
def test_table_3(sr):
    n_samples, millions, plain, total = TABLE_3[sr]
    sizes = SIZES_BY_RATE[sr]
    net = SampleCNN(50, sizes=sizes)
    assert prod(sizes) == net.n_samples == n_samples
    assert len(sizes) == 10
    assert sizes[:4] == (3, 3, 3, 3)
    assert count(net) == total
    assert count(net) - count_norms(net) == plain
    assert int(total / 1e4) / 100 == millions  # the paper cuts decimals off


def test_blocks_of_table_3_end_in_one_step():
    for sizes in SIZES_BY_RATE.values():
        net = SampleCNN(2, sizes=sizes, width=0.02).eval()
        x = torch.zeros(1, 1, net.n_samples)
        assert net.blocks(x).shape[2] == 1


@pytest.mark.parametrize(("m", "n"), FAMILY)
def test_family(m, n):
    net = SampleCNN(50, sizes=(m,) * (n + 1), width=0.02).eval()
    assert net.n_samples == m * m**n == FAMILY[m, n]
    assert len(net.blocks) == n + 2
    assert net.blocks(torch.zeros(1, 1, net.n_samples)).shape[2] == 1


def test_ports_of_the_network():
    """Widths and top kernels of networks whose weights are in circulation."""
    assert count(SampleCNN(50, filters="code")) == 1_869_874
    assert count(SampleCNN(50, filters="code", top_kernel=3)) == 2_394_162
    assert count(SampleCNN(1, filters="code", top_kernel=3)) == 2_369_025
    msd = (128, 128, 128, *[256] * 7, 256)
    assert count(SampleCNN(50, filters=msd)) == 1_462_322
    assert count(SampleCNN(50, sizes=(2,) * 14, filters="code")) == 1_872_818


def test_filters_of_few_modules_keep_the_end():
    assert filters_of(9, "paper")[1:-1] == (128, 128, *[256] * 5, 512, 512)
    assert filters_of(5, "paper")[1:-1] == (128, 128, 256, 512, 512)
    assert filters_of(3, "code")[1:-1] == (128, 128, 512)
    assert filters_of(1, "paper") == (128, 512, 512)


def test_filters_must_fit_sizes():
    with pytest.raises(ValueError, match="5 for sizes=\\(3, 3, 3, 3\\); got 2"):
        SampleCNN(2, sizes=(3,) * 4, filters=(8, 8))


@pytest.mark.parametrize(("n", "window", "hop"), TABLE_2)
def test_table_2(n, window, hop):
    raw = FrameLevelCNN(1, 50, n_modules=n, win_length=window, hop_length=hop)
    assert 3**n * hop == 59049
    frames = raw.blocks[0](torch.zeros(1, 1, 59049))
    assert frames.shape == (1, 128, 59049 // hop)
    mel = FrameLevelCNN(128, 50, n_modules=n)
    assert len(mel.blocks) == n + 1  # no convolution below the first module
    widths = [block.conv.out_channels for block in mel.blocks]
    assert widths == [*[256] * (n - 2), 512, 512, 512]
    assert mel.eval()(torch.zeros(2, 128, 3**n)).shape == (2, 50)


# ------------------------------------------------------------------- plain arithmetic


def numpy_block(x, block, size, stride=1, pool=1):
    """Convolution, normalisation, ReLU and pooling of (channels, steps), by hand."""
    weight, bias = (p.detach().numpy() for p in (block.conv.weight, block.conv.bias))
    if stride == 1:
        x = np.pad(x, ((0, 0), ((size - 1) // 2, size // 2)))
    n = (x.shape[1] - size) // stride + 1
    out = np.array(
        [
            [np.sum(x[:, t * stride : t * stride + size] * w) + b for t in range(n)]
            for w, b in zip(weight, bias, strict=True)
        ]
    )
    norm = block.norm
    mean, var, gamma, beta = (
        v.detach().numpy()[:, None]
        for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    out = np.maximum((out - mean) / np.sqrt(var + norm.eps) * gamma + beta, 0)
    return out.reshape(len(out), -1, pool).max(axis=2)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (2, 4, 2), (3, 5, 2)])
@pytest.mark.parametrize("top_kernel", [1, 3])
def test_forward_is_the_papers_arithmetic(sizes, top_kernel):
    torch.manual_seed(1)
    net = SampleCNN(
        3, sizes=sizes, filters=(4, 5, 6, 7), top_kernel=top_kernel, norm_eps=1e-3
    )
    net = randomised(net.double())
    x = np.random.default_rng(0).standard_normal(prod(sizes))
    h = numpy_block(x[None], net.blocks[0], sizes[0], stride=sizes[0])
    for block, size in zip(net.blocks[1:-1], sizes[1:], strict=True):
        h = numpy_block(h, block, size, pool=size)
    h = numpy_block(h, net.blocks[-1], top_kernel)
    expected = net.output.weight.detach().numpy() @ h[:, 0]
    expected = expected + net.output.bias.detach().numpy()
    with torch.inference_mode():
        got = net(torch.from_numpy(x)[None, None])[0].numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9)


def test_first_padding_shifts_by_a_sample():
    torch.manual_seed(0)
    plain = SampleCNN(2, sizes=(3, 3, 3), width=0.1).eval()
    shifted = SampleCNN(2, sizes=(3, 3, 3), width=0.1, first_padding=1).eval()
    shifted.load_state_dict(plain.state_dict())
    x = torch.randn(1, 1, 27)
    late = torch.cat([torch.zeros(1, 1, 1), x[..., :-1]], dim=2)
    torch.testing.assert_close(shifted(x), plain(late))


def test_longer_segments_are_pooled():
    net = randomised(SampleCNN(2, sizes=(3, 3, 3), width=0.1))
    x = torch.randn(1, 1, 54)
    with torch.inference_mode():
        h = net.blocks(x)
        assert h.shape[2] == 2
        torch.testing.assert_close(net(x), net.output(h.amax(2)))


def test_initialisation_is_he_and_glorot(paper):
    conv = paper.blocks[5].conv
    bound = sqrt(6 / (3 * 256))
    assert conv.weight.abs().max() <= bound
    assert conv.weight.abs().max() > 0.99 * bound
    assert not conv.bias.any()
    bound = sqrt(6 / (512 + 50))
    assert 0.99 * bound < paper.output.weight.abs().max() <= bound


def test_a_segment_does_not_see_its_neighbours():
    net = randomised(SampleCNN(4, sizes=(3,) * 5, width=0.1))
    x = torch.randn(5, 1, 243)
    with torch.inference_mode():
        together = net(x)
        alone = torch.cat([net(x[i : i + 1]) for i in range(5)])
    assert torch.equal(together, alone)


def test_trains_down_to_the_first_filter():
    net = SampleCNN(3, sizes=(3,) * 5, width=0.1)
    loss = nn.functional.cross_entropy(net(torch.randn(8, 1, 243)), torch.arange(8) % 3)
    assert abs(float(loss.detach()) - log(3)) < 2
    loss.backward()
    assert all(p.grad is not None for p in net.parameters())
    assert net.blocks[0].conv.weight.grad.abs().sum() > 0


# ---------------------------------------------------------------- folding for inference


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: SampleCNN(50, sizes=SIZES_BY_RATE[2000]), (2, 1, 5184)),
        (lambda: FrameLevelCNN(128, 50, n_modules=4), (2, 128, 81)),
        (lambda: CRNN2d(64, width=0.25), (2, 64, 40)),
    ],
)
def test_folded_networks_predict_the_same(make, shape):
    torch.manual_seed(0)
    net = randomised(make())
    before = {k: v.clone() for k, v in net.state_dict().items()}
    x = torch.randn(shape)
    with torch.inference_mode():
        fast = folded(net)
        torch.testing.assert_close(fast(x), net(x), rtol=1e-5, atol=1e-5)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    assert not any(isinstance(m, norms) for m in fast.modules())
    assert any(isinstance(m, norms) for m in net.modules())  # a copy was folded
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


def test_layers_keep_their_outputs_when_folded():
    net = randomised(SampleCNN(5, sizes=(3,) * 5, width=0.1))
    x = torch.randn(3, 1, 243)
    names = list(net.hidden_layers)
    with torch.inference_mode():
        plain, fast = (layer_outputs(m, names, x) for m in (net, folded(net)))
    for name in names:
        assert plain[name].shape[0] == 3  # all parts of a batch
        torch.testing.assert_close(fast[name], plain[name], rtol=1e-5, atol=1e-5)


def test_pooling_first_changes_nothing():
    block = randomised(SampleBlock(2, 6, size=3))
    x = torch.randn(2, 2, 27)
    usual = nn.functional.max_pool1d(torch.relu(block.norm(block.conv(x))), 3)
    assert torch.equal(block(x), usual)
