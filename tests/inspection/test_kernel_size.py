"""Sizes of kernels: the paper's table, and what gradients say that values depend on."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from skaudio.embedding import CoalaEmbedder
from skaudio.inspection import effective_kernel_size
from skaudio.neural_network import (
    CRNNClassifier,
    MultiViewBlendingClassifier,
    SampleCNNClassifier,
    SelfNormalizingClassifier,
    SpectrogramCNNClassifier,
)
from skaudio.nn import (
    CoalaCNN,
    CRNN1d,
    CRNN2d,
    FrameLevelCNN,
    MobileNet,
    SampleCNN,
    SelfNormalizingNet,
    SingleViewCRNN,
    SpectrogramCNN,
    SwishNet,
)
from skaudio.preprocessing import ViewScaler
from skaudio.views import (
    CoalaView,
    MelView,
    MFCCView,
    RawView,
    STFTView,
    Views,
    make_view_union,
)

SR = 8000
PAPER = {"sr": 11025, "n_fft": 512, "hop_length": 256}
CELLS = ["kernel", "field", "jump"]


def built(module, *args, **options):
    """A network of random weights, without a trace in the global generator."""
    with torch.random.fork_rng(devices=[]):
        return module(*args, **options)


# ---------------------------------------------------------------------- paper's table


def test_the_papers_table():
    """Effective sizes by its formula; 270 Hz is printed in the last row."""
    sizes = effective_kernel_size(5, **PAPER)
    assert list(sizes.index) == [f"blocks.{i}" for i in range(5)]
    ms = [92.88, 162.54, 301.86, 580.50, 1137.78]
    hertz = [86.13, 150.73, 279.93, 538.33, 1055.13]
    assert_allclose(sizes["kernel_ms"], ms, atol=0.005)
    assert_allclose(sizes["kernel_hz"], hertz, atol=0.005)
    printed = [93, 162, 302, 580, 1137], [86, 151, 280, 538, 270]
    assert (np.abs(sizes["kernel_ms"] - printed[0]) < 1).all()
    assert list(np.abs(sizes["kernel_hz"] - printed[1]) < 1) == [True] * 4 + [False]
    for axis in ("steps", "bins"):
        assert list(sizes[f"kernel_{axis}"]) == [3, 6, 12, 24, 48]
        assert list(sizes[f"field_{axis}"]) == [3, 8, 18, 38, 78]
        assert list(sizes[f"jump_{axis}"]) == [1, 2, 4, 8, 16]
    # 78 frames: 77 hops of 256 samples and a window of 512
    assert sizes["field_ms"].iloc[-1] == pytest.approx((77 * 256 + 512) / 11.025)
    assert sizes["field_hz"].iloc[-1] == pytest.approx(79 * 11025 / 512)


def test_without_rates_there_are_cells_only():
    sizes = effective_kernel_size(3)
    assert list(sizes["field_steps"]) == [3, 8, 18]
    assert (
        sizes[["kernel_ms", "kernel_hz", "field_ms", "field_hz"]].isna().all(axis=None)
    )
    assert effective_kernel_size(30)["kernel_bins"].iloc[-1] == 3 * 2**29


# ------------------------------------------------------- what gradients say of a value


def transparent(net):
    """Weights above zero, means instead of maxima: every cell that counts is felt."""
    net = net.eval()
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                mean = nn.AvgPool2d(child.kernel_size, ceil_mode=child.ceil_mode)
                setattr(module, name, mean)
            elif isinstance(child, nn.MaxPool1d):
                setattr(module, name, nn.AvgPool1d(child.kernel_size))
    for name, parameter in net.named_parameters():
        value = 0 if "bias" in name else 1 / parameter[0].numel()
        nn.init.constant_(parameter, value)
    return net.double()


def last_convolution(net, layer):
    """The module whose output is meant by a row."""
    part = net.get_submodule(layer)
    convolutions = [m for m in part.modules() if isinstance(m, nn.Conv1d | nn.Conv2d)]
    return part if isinstance(net, SwishNet) else convolutions[-1]


def felt(net, layer, shape):
    """Bins and steps that the middle value of a layer depends on, and the next one."""
    seen = {}
    hook = last_convolution(net, layer).register_forward_hook(
        lambda _module, _inputs, output: seen.update(output=output)
    )
    x = torch.full((1, *shape), 0.01, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        net(x)  # whatever a first call makes
    net(x)
    hook.remove()
    output = seen["output"][0].sum(0)  # over filters

    def cells(*place):
        (gradient,) = torch.autograd.grad(output[place], x, retain_graph=True)
        places = gradient[0].nonzero()
        low, high = places.min(0).values, places.max(0).values
        return low.numpy(), (high - low + 1).numpy()

    middle = tuple(n // 2 for n in output.shape)
    start, size = cells(*middle)
    later, _ = cells(*middle[:-1], middle[-1] + 1)
    if len(middle) == 1 or shape[0] == 1:  # all bins are in every value
        return size, (shape[0], later[1] - start[1])
    higher, _ = cells(middle[0] + 1, middle[1])
    return size, (higher[0] - start[0], later[1] - start[1])


NETWORKS = {
    "spectrogram": (lambda: SpectrogramCNN(257, 173, 2, width=0.03), (257, 173)),
    "crnn": (lambda: CRNN2d(640, width=0.02), (640, 30)),
    "crnn 1-D": (lambda: CRNN1d(rate=4000.0, width=0.02), (1, 9000)),
    "samplecnn": (lambda: SampleCNN(2, sizes=(3, 2, 4, 3), width=0.02), (1, 720)),
    "top kernel": (
        lambda: SampleCNN(2, sizes=(2, 5), width=0.02, top_kernel=3),
        (1, 400),
    ),
    "frames": (lambda: FrameLevelCNN(6, 2, n_modules=3, width=0.02), (6, 270)),
    "learned frames": (
        lambda: FrameLevelCNN(
            1, 2, n_modules=2, win_length=27, hop_length=9, width=0.02
        ),
        (1, 1800),
    ),
    "mobilenet": (lambda: MobileNet(2, width=0.02), (512, 512)),
    "swishnet": (lambda: SwishNet(5, 2), (5, 480)),
    "dilated swishnet": (lambda: SwishNet(5, 2, strided=False), (5, 160)),
    "centred swishnet": (lambda: SwishNet(5, 2, causal=False), (5, 480)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_fields_are_what_values_depend_on(name):
    make, shape = NETWORKS[name]
    net = built(make)
    sizes = effective_kernel_size(net)
    net = transparent(net)
    for layer, row in sizes.iterrows():
        (bins, steps), jumps = felt(net, layer, shape)
        found = [row["field_bins"], row["field_steps"]]
        assert found == [bins, steps], layer
        assert [row["jump_bins"], row["jump_steps"]] == list(jumps), layer


def test_coala_sees_more_than_its_patch():
    """Four by four kernels at every second cell, over patches of 96 by 96."""
    sizes = effective_kernel_size(built(CoalaCNN, 3, n_filters=2))
    assert list(sizes["field_bins"]) == [4, 10, 22, 46, 94]
    assert list(sizes["jump_steps"]) == [2, 4, 8, 16, 32]


def test_kernels_of_one_dimension():
    sizes = effective_kernel_size(
        built(SampleCNN, 2, width=0.02), sr=22050, hop_length=1
    )
    assert list(sizes["kernel_steps"]) == [3**k for k in range(1, 11)] + [3**10]
    assert list(sizes["kernel_bins"]) == [1] * 11
    assert_allclose(sizes["kernel_ms"], sizes["kernel_steps"] / 22.05)
    assert_allclose(sizes["field_ms"], sizes["field_steps"] / 22.05)
    assert sizes["field_hz"].isna().all()


# -------------------------------------------------------------------- from estimators


NET = {"max_epochs": 1, "random_state": 0, "device": "cpu"}
SMALL = {"filters": (2, 2), "hidden_layer_sizes": (), **NET}
PLAIN = STFTView(sr=SR, n_fft=256, win_length=200, hop_length=80)


@pytest.fixture(scope="module")
def sound():
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 1600)).astype(np.float32), np.array([0, 1, 0, 1])


def test_the_view_is_found(sound):
    """Inside of an estimator, and in a pipeline before it."""
    X, y = sound
    inside = SpectrogramCNNClassifier(**SMALL, views=PLAIN).fit(X, y)
    before = make_pipeline(PLAIN, ViewScaler(), SpectrogramCNNClassifier(**SMALL))
    one, other = map(effective_kernel_size, (inside, before.fit(X, y)))
    assert list(one.index) == ["network.blocks.0", "network.blocks.1"]
    assert one["view"].iloc[0] == "stft"
    columns = one.columns.drop("view")
    assert one[columns].equals(other[columns])
    assert_allclose(one["kernel_ms"], [40.0, 70.0])  # 4 and 7 hops of 10 ms
    assert list(one["kernel_hz"]) == [125.0, 218.75]  # of 31.25 Hz
    assert_allclose(one["field_ms"], [45.0, 95.0])  # 2 and 7 hops, and 25 ms
    nested = make_pipeline(before[:2], FrozenEstimator(before[-1]))
    search = GridSearchCV(before, {"viewscaler__per": ["bin"]}, cv=2).fit(X, y)
    for model in (nested, search):
        assert effective_kernel_size(model).equals(other)
    given = effective_kernel_size(before, sr=SR, n_fft=256, hop_length=80)
    assert_allclose(given["field_ms"], [52.0, 102.0])


def test_bands_are_not_in_hertz(sound):
    X, y = sound
    for view in (MelView(sr=SR, n_mels=8), MFCCView(sr=SR, n_mfcc=8)):
        sizes = effective_kernel_size(
            make_pipeline(view, SpectrogramCNNClassifier(**SMALL)).fit(X, y)
        )
        assert_allclose(sizes["kernel_ms"], [80.0, 140.0])
        assert sizes["field_hz"].isna().all()


def test_an_embedder_of_patches(sound):
    """A network that does not name its view: 43 patches of windows of 1024 samples."""
    tags = np.eye(2, dtype=int)[sound[1]]
    view = CoalaView(sr=8000, min_duration=6.5)
    coala = CoalaEmbedder(width=0.02, views=view, max_epochs=1, random_state=0)
    sizes = effective_kernel_size(coala.fit(sound[0], tags))
    assert list(sizes.index) == [f"audio_encoder.blocks.{i}" for i in range(5)]
    assert_allclose(sizes["field_ms"], [320.0, 704.0, 1472.0, 3008.0, 6080.0])


def test_rates_of_views_and_of_arrays(sound):
    Z = np.random.default_rng(0).normal(size=(4, 8, 20)).astype(np.float32)
    clf = SpectrogramCNNClassifier(**SMALL)
    with_rate = effective_kernel_size(clf.fit(Views({"a": Z}, {"a": 50.0}), sound[1]))
    assert_allclose(with_rate["field_ms"], [80.0, 180.0])  # windows of two hops
    assert effective_kernel_size(clf.fit(Z, sound[1]))["field_ms"].isna().all()


def test_several_views(sound):
    X, y = sound
    union = make_view_union("mel", "raw", sr=SR).set_params(mel__n_mels=8)
    clf = MultiViewBlendingClassifier(width=0.02, blending="uniform", **NET)
    sizes = effective_kernel_size(make_pipeline(union, clf).fit(X, y))
    assert list(sizes["view"]) == ["mel"] * 6 + ["raw"] * 6
    mel = sizes[sizes["view"] == "mel"]
    # eight bins are halved three times; then one is left, which is not pooled
    assert list(mel["field_bins"]) == [3, 8, 18, 38, 54, 70]
    assert list(mel["field_steps"]) == [3, 5, 7, 9, 11, 13]
    assert_allclose(mel["field_ms"], [80.0, 120.0, 160.0, 200.0, 240.0, 280.0])
    raw = sizes[sizes["view"] == "raw"]
    assert_allclose(raw["field_ms"], raw["field_steps"] / 8)
    assert list(raw["field_bins"]) == [1] * 6


def test_networks_on_samples(sound):
    clf = SampleCNNClassifier(
        sr=SR,
        sizes=(4, 4, 4),
        width=0.05,
        validation_fraction=None,
        lr_schedule="one-cycle",
        **NET,
    )
    sizes = effective_kernel_size(clf.fit(*sound))
    assert_allclose(sizes["kernel_ms"], [0.5, 2.0, 8.0, 8.0])
    one = CRNNClassifier(width=0.02, views=RawView(sr=SR), **NET).fit(*sound)
    named = effective_kernel_size(one)
    assert list(named.index) == [f"network.encoder.crnn.blocks.{i}" for i in range(6)]
    net = effective_kernel_size(built(SingleViewCRNN, {"raw": (1, SR)}, 2, width=0.02))
    assert list(net["field_steps"]) == list(named["field_steps"])
    assert list(net["field_bins"]) == [1] * 6


# ------------------------------------------------------------------------------ errors


def test_networks_without_convolutions(sound):
    flat = SelfNormalizingClassifier(hidden_layer_sizes=(3,), views=PLAIN, **NET)
    with pytest.raises(
        ValueError, match="SelfNormalizingClassifier has no convolution:"
    ):
        effective_kernel_size(flat.fit(*sound))
    with pytest.raises(ValueError, match="SelfNormalizingNet has no convolution"):
        effective_kernel_size(built(SelfNormalizingNet, 6, 2, hidden_layer_sizes=(3,)))


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (DummyClassifier().fit([[0]], [0]), {}, TypeError, "got DummyClassifier"),
        (nn.Conv2d(1, 1, 3), {}, TypeError, "names its hidden_layers; got a Conv2d"),
        ("five", {}, TypeError, "Expected a fitted neural estimator"),
        (0, {}, ValueError, "number of layers must be from 1 to 30; got 0"),
        (5, {"n_fft": 512}, ValueError, "n_fft=512 and hop_length=None are samples"),
        (5, {"sr": -1}, ValueError, "sr must be a number above 0; got -1"),
        (
            5,
            {"sr": 8000, "hop_length": 0},
            ValueError,
            "hop_length must be a number above",
        ),
        (5, {"sr": "8 kHz"}, ValueError, "sr must be a number above 0; got '8 kHz'"),
        (5, {"sr": float("inf")}, ValueError, "sr must be a number above 0; got inf"),
    ],
)
def test_what_is_refused(model, options, error, message):
    with pytest.raises(error, match=message):
        effective_kernel_size(model, **options)


def test_not_fitted():
    with pytest.raises(ValueError, match="not fitted"):
        effective_kernel_size(SpectrogramCNNClassifier())
