"""Networks: the paper's tables, exact equalities of the fast forms, gradients."""

import numpy as np
import pytest
import torch
from torch import nn

from skaudio.nn import (
    AttentionPooling,
    BranchCrossEntropy,
    ConvBlock,
    CRNN1d,
    CRNN2d,
    Dropout,
    MultiViewCRNN,
    SingleViewCRNN,
    SpectrogramCNN,
    blend,
    layer_outputs,
)
from skaudio.nn.blocks import MaxPool, PolyphaseConv1d, seed_dropout


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("n_bins", "path"),
    [
        (64, (32, 16, 8, 4, 2, 1)),
        (80, (40, 20, 10, 5, 2, 1)),
        (84, (42, 21, 10, 5, 2, 1)),
        (96, (48, 24, 12, 6, 3, 1)),
        (128, (64, 32, 16, 8, 4, 2)),
        (40, (20, 10, 5, 2, 1, 1)),
        (3, (1,) * 6),
        (2, (1,) * 6),
        (1, (1,) * 6),
    ],
)
def test_table_1_frequency_path(n_bins, path):
    net = CRNN2d(n_bins)
    names = [f"blocks.{i}" for i in range(6)]
    outputs = layer_outputs(net.eval(), names, torch.zeros(1, n_bins, 9))
    filters = (64, 64, 128, 128, 256, 256)
    for name, bands, n_filters in zip(names, path, filters, strict=True):
        assert outputs[name].shape == (1, n_filters, bands, 9)


def test_table_1_sizes():
    net = CRNN2d(64).eval()
    assert net.gru.input_size == 256
    assert net.sequence(torch.zeros(2, 64, 75)).shape == (2, 512, 75)
    assert net(torch.zeros(2, 64, 75)).shape == (2, 512)


@pytest.mark.parametrize("n_bins", [*range(1, 9), 63, 65, 84, 127, 128, 129, 200])
def test_recurrent_input_is_what_six_halvings_leave(n_bins):
    """Rounding down once is rounding down six times; one bin stays one."""
    net = CRNN2d(n_bins, width=0.05).eval()
    assert net.gru.input_size == 13 * max(1, n_bins // 2**6)
    assert net(torch.zeros(2, n_bins, 3)).shape == (2, net.n_features)


# what the layers of Tables 1 and 2 hold at full width, counted on paper
CONVOLUTIONS = 9 * (64 + 64 * 64 + 64 * 128 + 128**2 + 128 * 256 + 256**2)
NORMS = 2 * (2 * 64 + 2 * 128 + 2 * 256)
ATTENTION = (512 * 64 + 64 + 64) + (512 * 64 + 64 + 64 * 512)


def gru(n_in):
    """Two directions, three gates, two biases each."""
    return 2 * 3 * 256 * (n_in + 256 + 2)


def head(n_in, n_hidden, n_outputs):
    layers = (n_in, n_hidden), (n_hidden, n_hidden), (n_hidden, n_outputs)
    return sum(a * b + b for a, b in layers)


BANDS = CONVOLUTIONS + NORMS + gru(256) + ATTENTION
WAVE = BANDS + 64 * 32 + 16 * 32 * 64 + 2 * (32 + 64) + (3 * 8 - 9) * 64
VIEWS = {
    "mel": (64, 50.0),
    "gammatone": (64, 50.0),
    "cqt": (84, 44100 / 1024),
    "raw": (1, 44100.0),
}


@pytest.mark.parametrize("name", VIEWS)
def test_parameters_of_a_whole_network_on_one_view(name):
    encoder, total = (WAVE, 2_599_562) if name == "raw" else (BANDS, 2_563_594)
    net = SingleViewCRNN({name: VIEWS[name]}, 10)
    assert n_parameters(net) == encoder + head(512, 512, 10) == total


def test_parameters_of_the_whole_multi_view_network():
    net = MultiViewCRNN(VIEWS, 10)
    encoders = 3 * BANDS + WAVE
    heads = 4 * head(512, 512, 10) + head(4 * 512, 4096, 10)
    assert n_parameters(net) == encoders + heads == 35_505_330


@pytest.mark.parametrize(("n_bins", "n_bins_left"), [(63, 1), (64, 1), (128, 2)])
def test_only_more_than_127_bins_give_the_gru_more(n_bins, n_bins_left):
    more = 2 * 3 * 256 * 256 * (n_bins_left - 1)
    assert n_parameters(CRNN2d(n_bins)) == BANDS + more


@pytest.mark.parametrize(
    ("rate", "n_samples", "frames", "pooled"),
    [(44100, 66650, 260, 65), (22050, 33330, 259, 64)],
)
def test_table_2_shapes(rate, n_samples, frames, pooled):
    net = CRNN1d(rate=rate).eval()
    layers = ["conv01", "conv02", "pool02", "crnn.blocks.0"]
    out = layer_outputs(net, layers, torch.zeros(1, 1, n_samples))
    if rate == 44100:
        assert out["conv01"].shape == (1, 32, 33294)
        assert out["conv02"].shape == (1, 64, 16640)
    assert out["pool02"].shape == (1, 64, frames)
    assert out["crnn.blocks.0"].shape == (1, 64, 32, pooled)


@pytest.mark.parametrize("n_samples", [1, 5, 345, 346, 347, 1000])
def test_tiny_waveforms(n_samples):
    assert CRNN1d(width=0.1).eval()(torch.zeros(2, 1, n_samples)).shape == (2, 52)


def test_smallest_waveform_is_one_step_of_pool02():
    net = CRNN1d(width=0.1).eval()
    assert net.n_samples_min == 346
    assert net.bands(torch.zeros(1, 1, 346)).shape[2] == 1


def test_joint_branch_sees_all_embeddings():
    views = {
        "mel": (64, 50.0),
        "gam": (64, 50.0),
        "cqt": (84, 43.0),
        "raw": (1, 44100.0),
    }
    net = MultiViewCRNN(views, 10)
    assert net.branch_names == ("mel", "gam", "cqt", "raw", "joint")
    assert net.heads[-1].fc1.in_features == 2048
    assert net.heads[-1].fc1.out_features == 4096
    assert net.heads[0].fc1.out_features == 512


def test_gradients_flow_as_in_equation_2():
    """A head gets its own branch's gradient only, an encoder its own and the joint."""
    net = MultiViewCRNN({"a": (8, None), "b": (8, None)}, 3, width=0.05)
    X = {"a": torch.randn(4, 8, 6), "b": torch.randn(4, 8, 6)}

    def touched(weights):
        net.zero_grad()
        losses = BranchCrossEntropy()(net(X), {"label": torch.tensor([0, 1, 2, 0])})
        blend(losses, torch.tensor(weights)).backward()
        parts = [*net.encoders, *net.heads]
        return [
            any(p.grad is not None and p.grad.abs().sum() > 0 for p in m.parameters())
            for m in parts
        ]

    assert touched([1.0, 0.0, 0.0]) == [True, False, True, False, False]
    assert touched([0.0, 0.0, 1.0]) == [True, True, False, False, True]
    assert touched([0.0, 0.5, 0.5]) == [True, True, False, True, True]


def test_branch_losses_against_scikit_learn():
    from sklearn.metrics import log_loss

    logits = torch.randn(20, 4, dtype=torch.float64)
    labels = torch.arange(20) % 4
    loss = BranchCrossEntropy()({"a": logits}, {"label": labels})["a"]
    proba = torch.softmax(logits, 1).numpy()
    assert loss.item() == pytest.approx(log_loss(labels.numpy(), proba))


@pytest.mark.parametrize("bands", [2, 3, 5, 8])
@pytest.mark.parametrize(
    "layout", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"]
)
def test_halving_is_max_pooling(bands, layout):
    x = torch.randn(3, 4, bands, 7).to(memory_format=layout)
    gradient = torch.randn(3, 4, bands // 2, 7)
    results = []
    for pool in (MaxPool((2, 1)), nn.MaxPool2d((2, 1))):
        leaf = x.clone().requires_grad_(True)
        out = pool(leaf)
        out.backward(gradient)
        results.append((out.detach(), leaf.grad))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    with torch.inference_mode():
        np.testing.assert_array_equal(MaxPool((2, 1))(x), results[1][0])


@pytest.mark.parametrize("window", [(2, 1), (2, 2), (2, 4), (3, 1), (1, 4)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 3), (3, 4), (5, 9)])
def test_pooling_rounds_down_but_leaves_one(window, shape):
    """Each value is the maximum of its window, which the edge cuts off if it has to."""
    x = torch.randn(2, 3, *shape)
    n_bands, n_frames = (max(1, n // w) for n, w in zip(shape, window, strict=True))
    out = MaxPool(window)(x)
    assert out.shape == (2, 3, n_bands, n_frames)
    for i, j in np.ndindex(n_bands, n_frames):
        high, wide = window
        part = x[:, :, i * high : (i + 1) * high, j * wide : (j + 1) * wide]
        np.testing.assert_array_equal(out[:, :, i, j], part.amax((2, 3)))


@pytest.mark.parametrize("n_bins", [1, 2, 3, 21, 84])
def test_both_networks_on_spectrograms_pool_bins_alike(n_bins):
    flat = SpectrogramCNN(n_bins, 7, 2, filters=(2,) * 6, hidden_layer_sizes=(3,))
    blocks = [f"blocks.{i}" for i in range(6)]
    outputs = [
        layer_outputs(net.eval(), blocks, torch.zeros(1, n_bins, 7))
        for net in (flat, CRNN2d(n_bins, width=0.05))
    ]
    for name in blocks:
        assert outputs[0][name].shape[2] == outputs[1][name].shape[2]


@pytest.mark.parametrize("n_samples", [64, 65, 400, 401])
def test_polyphase_convolution_is_the_strided_one(n_samples):
    fast = PolyphaseConv1d(3, 5, 16, stride=2).double()
    x = torch.randn(2, 3, n_samples, dtype=torch.float64)
    plain = nn.functional.conv1d(x, fast.weight, fast.bias, stride=2)
    np.testing.assert_allclose(fast(x).detach(), plain.detach(), atol=1e-12)


def test_conv_block_equals_its_plain_layers():
    block = ConvBlock(1, 4, kernel=(3, 8), pool=(2, 4)).eval()
    x = torch.randn(2, 1, 10, 21)
    padded = nn.functional.pad(x, (3, 4, 1, 1))
    plain = nn.functional.conv2d(padded, block.conv.weight)
    plain = torch.relu(block.norm(plain))
    plain = nn.functional.max_pool2d(plain, (2, 4))
    np.testing.assert_allclose(block(x).detach(), plain.detach(), atol=1e-6)


def test_temporal_attention_is_a_weighted_mean():
    pool = AttentionPooling(6, "temporal")
    x = torch.randn(2, 6, 9)
    assert pool.spatial is None
    out = pool(x)
    assert (out <= x.max(2).values + 1e-6).all()
    assert (out >= x.min(2).values - 1e-6).all()
    constant = torch.randn(2, 6, 1).expand(2, 6, 9)
    np.testing.assert_allclose(pool(constant).detach(), constant[:, :, 0], atol=1e-6)


def test_spatial_attention_keeps_the_scale():
    pool = AttentionPooling(6)
    nn.init.zeros_(pool.spatial[2].weight)  # all features alike
    x = torch.randn(2, 6, 9)
    plain = AttentionPooling(6, "temporal")
    plain.temporal = pool.temporal
    np.testing.assert_allclose(pool(x).detach(), plain(x).detach(), atol=1e-6)


def test_attention_ignores_the_order_of_frames():
    pool = AttentionPooling(6)
    x = torch.randn(2, 6, 9)
    np.testing.assert_allclose(
        pool(x).detach(), pool(x[:, :, torch.randperm(9)]).detach(), atol=1e-5
    )


def test_dropout_rate_scale_and_seed():
    layer = Dropout(0.3)
    x = torch.ones(200, 500)
    seed_dropout(layer, 7, "cpu")
    out = layer(x)
    assert (out == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert out.max().item() == pytest.approx(1 / 0.7, rel=1e-4)
    assert out.mean().item() == pytest.approx(1.0, abs=0.02)
    seed_dropout(layer, 7, "cpu")
    np.testing.assert_array_equal(layer(x), out)
    np.testing.assert_array_equal(layer.eval()(x), x)


def test_dropout_draws_are_not_correlated_along_the_row():
    layer = Dropout(0.5)
    seed_dropout(layer, 0, "cpu")
    kept = (layer(torch.ones(100_000)) > 0).double().numpy() - 0.5
    for lag in (1, 2, 3, 4, 8):  # four draws share one random number
        assert abs(np.mean(kept[lag:] * kept[:-lag])) < 0.25 * 0.02


def test_dropout_leaves_the_global_generator_alone():
    layer = Dropout(0.5)
    seed_dropout(layer, 0, "cpu")
    before = torch.get_rng_state()
    layer(torch.ones(100))
    assert torch.equal(torch.get_rng_state(), before)


def test_unknown_layer():
    with pytest.raises(
        ValueError, match=r"No layer 'fc9' in CRNN2d; it has \['blocks'"
    ):
        layer_outputs(CRNN2d(8, width=0.1), ["fc9"], torch.zeros(1, 8, 4))


def test_hooks_are_removed():
    net = CRNN2d(8, width=0.1).eval()
    layer_outputs(net, ["gru"], torch.zeros(1, 8, 4))
    assert not net.gru._forward_hooks


def test_recurrence_has_full_precision():
    """Only convolutions and products are rounded where autocast asks for it."""
    net, seen = CRNN2d(8, width=0.1), []
    net.gru.register_forward_pre_hook(lambda _, x: seen.append(x[0].dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        frames = net.sequence(torch.randn(2, 8, 4))
        assert net.blocks(torch.randn(2, 1, 8, 4)).dtype == torch.bfloat16
    assert seen == [frames.dtype] == [torch.float32]


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
def test_recurrence_does_not_overflow_on_cuda():
    net = CRNN2d(8, width=0.1).cuda().eval()
    torch.nn.init.constant_(net.blocks[-1].norm.weight, 1e9)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert net.blocks(torch.ones(2, 1, 8, 4).cuda()).abs().max() > 65504
        assert net.sequence(torch.ones(2, 8, 4).cuda()).isfinite().all()


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
def test_cuda_equals_cpu():
    net = MultiViewCRNN({"mel": (64, 50.0), "raw": (1, 8000.0)}, 4, width=0.25).eval()
    X = {"mel": torch.randn(4, 64, 75), "raw": torch.randn(4, 1, 12000)}
    cpu = net(X)
    gpu = net.cuda()({k: v.cuda() for k, v in X.items()})
    for name in cpu:
        np.testing.assert_allclose(
            gpu[name].detach().cpu(), cpu[name].detach(), atol=1e-4
        )
