"""SwishNet: the table of its layers, a slow copy of it, and decisions over time."""

import numpy as np
import pytest
import torch

from skaudio.nn import GatedConv1d, GatedPair, SwishNet, folded

FACTORS = (3, 2, 2, 2, 2)
# parameters of every convolution from bottom to top, then of the head and the output
SLIM = (976, 456, 392, 232, 200, 120, 400, 400, 400, 400, 800, 656, 51)
WIDE = (1952, 792, 1552, 720, 784, 368, 1568, 1568, 1568, 1568, 3136, 2592, 99)


def network(n_bins=20, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SwishNet(n_bins, 3, **options).eval()


def gate(*sizes, **options):
    with torch.random.fork_rng(devices=[]):
        return GatedConv1d(*sizes, **options)


def clips(n_frames, n_clips=2, n_bins=20, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(n_clips, n_bins, n_frames)))


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


# ---------------------------------------------------------------- numbers of parameters


@pytest.mark.parametrize(("width", "expected"), [(1, SLIM), (2, WIDE)])
def test_parameters_of_every_layer(width, expected):
    net = network(width=width)
    layers = [m for m in net.modules() if isinstance(m, GatedConv1d)]
    found = [n_parameters(m) for m in (*layers, net.head, net.output)]
    assert found == list(expected)


@pytest.mark.parametrize(
    ("options", "total"),
    [
        ({}, 5_483),
        ({"width": 2}, 18_267),
        ({"head_hidden": 0}, 4_899),
        ({"width": 2, "head_hidden": 0}, 15_819),
        ({"strided": False}, 5_483),
        ({"causal": False}, 5_483),
    ],
)
def test_totals(options, total):
    assert n_parameters(network(**options)) == total


@pytest.mark.parametrize(("width", "n"), [(1, 8), (2, 16), (0.5, 4), (0.01, 4)])
def test_channels_of_blocks(width, n):
    net = network(width=width)
    x, shapes = clips(9).float(), []
    for block in net.blocks:
        x = block(x)
        shapes.append(x.shape[1])
    assert shapes == [2 * n, n, n, n, n, n, n, 2 * n]
    assert net.output.in_features == (net.head[0].out_features if net.head else 5 * n)


# ------------------------------------------------------------------ strides and lengths


def test_lengths_of_strided_blocks():
    with torch.no_grad():
        skips = network()._skips(clips(200).float(), everywhere=False)
    assert [y.shape[-1] for y, _ in skips] == [34, 17, 9, 5]
    assert [apart for _, apart in skips] == [6, 12, 24, 48]
    fourth = gate(8, 8)(torch.zeros(1, 8, 200), stride=3)
    assert fourth.shape[-1] == 67


def test_lengths_of_dilated_blocks():
    with torch.no_grad():
        skips = network(strided=False)._skips(clips(200).float(), everywhere=False)
    assert [(y.shape[-1], apart) for y, apart in skips] == 4 * [(200, 1)]


@pytest.mark.parametrize(
    ("options", "reach"),
    [
        ({}, (107, 0)),
        ({"strided": False}, (37, 0)),
        # centred: 3 x 3 and 3 x 2 frames of the pairs, and half of the rest
        ({"causal": False}, (55, 52)),
        ({"causal": False, "strided": False}, (20, 17)),
    ],
)
def test_reach_is_what_a_frame_depends_on(options, reach):
    net = network(**options).double()
    assert net.reach == reach
    n, t = 260, 130
    x = clips(n, n_clips=1).requires_grad_()
    net.frames(x)[0, :, t].sum().backward()
    (seen,) = torch.nonzero(x.grad[0].abs().amax(0), as_tuple=True)
    assert (t - int(seen.min()), int(seen.max()) - t) == reach
    before, after = net.context(window=31)
    assert (before, after) == (reach[0] + 15, reach[1] + 15)


# ------------------------------------------------------------------ a slow copy of it


def slow_unit(x, weight, bias, *, steps, dilation, causal, groups=1):
    """Filters (n_out, n_in / groups, size) at frames ``steps`` of x."""
    n_out, n_each, size = weight.shape
    first = size - 1 if causal else size // 2
    out = np.zeros((n_out, len(steps)))
    for o in range(n_out):
        group = o // (n_out // groups)
        for k, t in enumerate(steps):
            total = 0.0 if bias is None else bias[o]
            for c in range(n_each):
                for j in range(size):
                    s = t + (j - first) * dilation
                    if 0 <= s < x.shape[1]:
                        total += weight[o, c, j] * x[group * n_each + c, s]
            out[o, k] = total
    return out


def slow_gate(x, unit, *, stride, dilation, causal):
    steps = list(range(x.shape[1] - 1, -1, -stride))[::-1]  # from the last frame
    options = {"dilation": dilation, "causal": causal}
    if unit.depthwise is not None:
        taps = unit.depthwise.weight.detach().numpy()
        x = slow_unit(x, taps, None, steps=steps, groups=len(taps), **options)
        steps, options = range(len(steps)), {"dilation": 1, "causal": causal}
    weight, bias = (p.detach().numpy() for p in unit.filters.parameters())
    z = slow_unit(x, weight, bias, steps=steps, **options)
    n = len(z) // 2
    return np.tanh(z[:n]) / (1 + np.exp(-z[n:]))


def slow_forward(x, net):
    """The table, block by block, of one clip (n_bins, n_frames)."""
    causal = net.config["causal"]
    at_once = {"stride": 1, "dilation": 1, "causal": causal}
    for i in range(3):
        pair = net.blocks[i]
        both = [slow_gate(x, unit, **at_once) for unit in (pair.short, pair.long)]
        y = np.concatenate(both)
        x = x + y if i == 2 else y
    means = []
    for i, factor in enumerate(FACTORS):
        stride, dilation = (factor, 1) if net.config["strided"] else (1, factor)
        unit = net.blocks[3 + i]
        y = slow_gate(x, unit, stride=stride, dilation=dilation, causal=causal)
        if i > 0:
            means.append(y.mean(axis=1))
        if i < 3:  # no residual around blocks 7 and 8
            y = y + x[:, ::-1][:, ::stride][:, ::-1]
        x = y
    z = np.concatenate(means)  # blocks 5, 6, 7 and 8
    if net.config["head_hidden"] != 0:
        weight, bias = (p.detach().numpy() for p in net.head.parameters())
        z = np.maximum(weight @ z + bias, 0)
    weight, bias = (p.detach().numpy() for p in net.output.parameters())
    return weight @ z + bias


OPTIONS = [
    {},
    {"strided": False},
    {"head_hidden": 0, "width": 0.5},
    {"causal": False},
    {"causal": False, "strided": False, "head_hidden": 3},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("n_frames", [1, 2, 7, 50])
def test_forward_is_that_of_a_slow_copy(options, n_frames):
    net = network(n_bins=4, **options).double()
    x = clips(n_frames, n_bins=4)
    with torch.no_grad():
        found = net(x).numpy()
    expected = [slow_forward(clip, net) for clip in x.numpy()]
    np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_are_those_of_the_fast_path(options):
    """With and without gradients the gates are computed in different ways."""
    net = network(**options).double()
    x = clips(30)
    with torch.no_grad():
        fast = net(x)
    torch.testing.assert_close(net(x).detach(), fast, atol=1e-12, rtol=0)


# ----------------------------------------------------------------- decisions over time


@pytest.mark.parametrize("strided", [True, False])
@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("window", [1, 2, 50, 51, 200])
def test_frames_are_decisions_on_the_clip_up_to_their_windows_end(
    strided, width, window
):
    net = network(strided=strided, width=width)
    n = 120
    x = clips(n, n_clips=1).float()
    with torch.no_grad():
        found = net.frames(x, window)
        for t in range(n):
            first = max(0, t - window // 2)
            last = min(n - 1, t - window // 2 + window - 1)
            expected = net(x[..., : last + 1], window=last - first + 1)
            torch.testing.assert_close(found[..., t], expected, atol=1e-6, rtol=1e-5)


def test_the_last_frame_of_a_window_over_all_is_the_decision_on_the_clip():
    net, x = network(), clips(99).float()
    with torch.no_grad():
        torch.testing.assert_close(net.frames(x, 2 * 99)[..., -1], net(x))


def test_frames_of_a_long_clip_are_as_exact_as_those_of_a_short_one():
    """Running sums grow, and differences of them must not lose the small ones."""
    net = network()
    loud = 1e3 * torch.ones(1, 20, 60_000)
    x = torch.cat([loud, clips(300, n_clips=1).float()], dim=-1)
    with torch.no_grad():
        found = net.frames(x, 50)[..., -100:]
        expected = net.frames(x[..., -300 - 200 :], 50)[..., -100:]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("strided", [True, False])
@pytest.mark.parametrize("width", [1, 2])
def test_the_future_changes_nothing_to_the_bit(strided, width):
    net = network(strided=strided, width=width)
    x = clips(150).float()
    changed = x.clone()
    changed[..., 90:] = 100.0
    with torch.no_grad():
        one, other = net.frames(x), net.frames(changed)
    assert torch.equal(one[..., :90], other[..., :90])
    assert not torch.equal(one[..., 90:], other[..., 90:])


@pytest.mark.parametrize("strided", [True, False])
def test_the_future_changes_the_past_of_centred_filters(strided):
    net = network(strided=strided, causal=False)
    x = clips(150).float()
    changed = x.clone()
    changed[..., 90:] = 100.0
    with torch.no_grad():
        one, other = net.frames(x), net.frames(changed)
    first = 90 - net.reach[1]
    assert torch.equal(one[..., :first], other[..., :first])
    assert not torch.equal(one[..., first:90], other[..., first:90])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 5, 47, 48, 49])
def test_any_length(options, n_frames):
    net = network(**options)
    x = clips(n_frames).float()
    assert net(x).isfinite().all()
    assert net(x).shape == (2, 3)
    frames = net.frames(x, 20)
    assert frames.shape == (2, 3, n_frames)
    assert frames.isfinite().all()


# ---------------------------------------------------------------------------- folding


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_folded_gives_the_same(options, dtype):
    net = network(**options).to(dtype)
    state = torch.random.get_rng_state()
    quick = folded(net)
    assert torch.equal(torch.random.get_rng_state(), state)  # no random weights
    assert not any(isinstance(m, GatedPair) for m in quick.modules())
    x = clips(70).to(dtype)
    tolerance = 1e-6 if dtype is torch.float32 else 1e-14
    with torch.no_grad():
        torch.testing.assert_close(quick(x), net(x), atol=tolerance, rtol=1e-5)
        torch.testing.assert_close(
            quick.frames(x, 9), net.frames(x, 9), atol=tolerance, rtol=1e-5
        )
    names = {name for name, _ in quick.named_modules()}
    assert names >= {*net.hidden_layers, *net.output_layers}


def test_folding_leaves_the_network_alone():
    net = network(dropout=0.5).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    folded(net)
    assert net.training
    assert isinstance(net.blocks[0], GatedPair)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_a_gate_by_hand():
    unit = gate(1, 1, 2)
    with torch.no_grad():
        unit.filters.weight.copy_(torch.tensor([[[0.5, 1.0]], [[2.0, -1.0]]]))
        unit.filters.bias.copy_(torch.tensor([0.1, -0.2]))
    x = torch.tensor([[[1.0, 3.0]]])
    value, z = np.array([1.1, 3.6]), np.array([-1.2, -1.2])
    expected = np.tanh(value) / (1 + np.exp(-z))
    np.testing.assert_allclose(unit(x).detach().numpy()[0, 0], expected, rtol=1e-6)
