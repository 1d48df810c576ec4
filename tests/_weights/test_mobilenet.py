"""Weights of MobileNet v1 from other code bases: layouts, values, refusals.

Networks with the names of four code bases are built here from plain torch, so that a
file of each has exactly their tensors, and their outputs are known.
"""

import pickle
import shutil

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback
from torch import nn

from skaudio.neural_network import FineTunedClassifier, MobileNetClassifier
from skaudio.nn import MobileNet
from skaudio.persistence import load, save

TABLE = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *(5 * [(512, 1)]),
    *((1024, 2), (1024, 1)),
)
WIDTH = 0.125  # four filters of the first convolution
NET = {"width": WIDTH, "max_epochs": 1, "batch_size": 8, "device": "cpu"}
NET |= {"random_state": 0}


def conv(n_in, n_out, size, stride=1, groups=1):
    return nn.Conv2d(n_in, n_out, size, stride, size // 2, groups=groups, bias=False)


def blocks(width):
    """(channels in, out, stride) of the separable convolutions."""
    n_in = int(32 * width)
    for n_out, stride in TABLE:
        yield n_in, int(n_out * width), stride
        n_in = int(n_out * width)


class PytorchMobilenet(nn.Module):
    """``model.0.0`` to ``model.13.4`` and ``fc``."""

    def __init__(self, width, eps=1e-5):
        super().__init__()

        def dw(n_in, n_out, stride):
            return nn.Sequential(
                conv(n_in, n_in, 3, stride, n_in),
                *(nn.BatchNorm2d(n_in, eps), nn.ReLU6()),
                conv(n_in, n_out, 1),
                *(nn.BatchNorm2d(n_out, eps), nn.ReLU6()),
            )

        n = int(32 * width)
        first = nn.Sequential(conv(3, n, 3, 2), nn.BatchNorm2d(n, eps), nn.ReLU6())
        self.model = nn.Sequential(first, *(dw(*sizes) for sizes in blocks(width)))
        self.fc = nn.Linear(int(1024 * width), 1000)

    def forward(self, x):
        return self.model(x)


class Retinaface(nn.Module):
    """``stage1.0.0`` to ``stage3.1.4``: six, six and two blocks, leaky rectifiers."""

    def __init__(self, width):
        super().__init__()

        def leaky():
            return nn.LeakyReLU(0.1)

        def dw(n_in, n_out, stride):
            return nn.Sequential(
                conv(n_in, n_in, 3, stride, n_in),
                *(nn.BatchNorm2d(n_in), leaky()),
                conv(n_in, n_out, 1),
                *(nn.BatchNorm2d(n_out), leaky()),
            )

        n = int(32 * width)
        parts = [nn.Sequential(conv(3, n, 3, 2), nn.BatchNorm2d(n), leaky())]
        parts += [dw(*sizes) for sizes in blocks(width)]
        self.stage1 = nn.Sequential(*parts[:6])
        self.stage2 = nn.Sequential(*parts[6:12])
        self.stage3 = nn.Sequential(*parts[12:])
        self.fc = nn.Linear(int(1024 * width), 1000)

    def forward(self, x):
        return self.stage3(self.stage2(self.stage1(x)))


class DepthwiseSeparable(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv_dw = conv(n_in, n_in, 3, stride, n_in)
        self.bn1 = nn.BatchNorm2d(n_in)
        self.conv_pw = conv(n_in, n_out, 1)
        self.bn2 = nn.BatchNorm2d(n_out)

    def forward(self, x):
        x = nn.functional.relu6(self.bn1(self.conv_dw(x)))
        return nn.functional.relu6(self.bn2(self.conv_pw(x)))


class Timm(nn.Module):
    """``conv_stem``, ``bn1``, ``blocks.0.0.conv_dw`` ... and ``classifier``."""

    def __init__(self, width):
        super().__init__()
        n = int(32 * width)
        self.conv_stem = conv(3, n, 3, 2)
        self.bn1 = nn.BatchNorm2d(n)
        flat = iter([DepthwiseSeparable(*sizes) for sizes in blocks(width)])
        self.blocks = nn.Sequential(
            *(nn.Sequential(*(next(flat) for _ in range(k))) for k in (1, 2, 2, 6, 2))
        )
        self.classifier = nn.Linear(int(1024 * width), 1000)

    def forward(self, x):
        return self.blocks(nn.functional.relu6(self.bn1(self.conv_stem(x))))


class ConvLayer(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.convolution = conv(*sizes)
        self.normalization = nn.BatchNorm2d(sizes[1], eps=1e-3, momentum=0.9997)

    def forward(self, x):
        return nn.functional.relu6(self.normalization(self.convolution(x)))


class Transformers(nn.Module):
    """``mobilenet_v1.conv_stem``, ``mobilenet_v1.layer.0`` to 25, ``classifier``."""

    def __init__(self, width):
        super().__init__()
        layers = []
        for n_in, n_out, stride in blocks(width):
            layers += [ConvLayer(n_in, n_in, 3, stride, n_in)]
            layers += [ConvLayer(n_in, n_out, 1)]
        self.mobilenet_v1 = nn.Module()
        self.mobilenet_v1.conv_stem = ConvLayer(3, int(32 * width), 3, 2)
        self.mobilenet_v1.layer = nn.ModuleList(layers)
        self.classifier = nn.Linear(int(1024 * width), 1001)

    def forward(self, x):
        x = self.mobilenet_v1.conv_stem(x)
        for layer in self.mobilenet_v1.layer:
            x = layer(x)
        return x


def trained(cls, width=WIDTH):
    """A network in eval mode whose normalisation is not that of a new one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = cls(width)
        for name, tensor in network.state_dict().items():
            if name.endswith(("running_mean", "bias")):
                tensor.normal_(std=0.3)
            elif name.endswith("running_var"):
                tensor.uniform_(0.1, 0.3)  # so small that what is added matters
    return network.eval()


def wrapped(state):
    return {"epoch": 7, "state_dict": {f"module.{k}": t for k, t in state.items()}}


CASES = {  # network, what its file holds, parameters of the classifier
    "pytorch-mobilenet": (PytorchMobilenet, wrapped, {}),
    "Pytorch_Retinaface": (Retinaface, wrapped, {"negative_slope": 0.1}),
    "timm": (Timm, dict, {}),
    "transformers": (Transformers, dict, {}),
}


def pictures(n, n_bins=32, n_frames=40):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, n_bins, n_frames)).astype(np.float32)


def as_pictures(n):
    """Three equal channels."""
    return torch.from_numpy(pictures(n))[:, None].expand(-1, 3, -1, -1)


LABELS = np.array(["a", "b"] * 4)


def body_of(classifier):
    """Blocks of a fitted classifier, applied to clips."""
    while hasattr(classifier, "estimator_"):
        classifier = classifier.estimator_
    blocks = classifier.net_.module_.network.eval().blocks
    with torch.no_grad():
        return blocks(as_pictures(2))


@pytest.fixture(params=CASES)
def file(request, tmp_path):
    cls, content, options = CASES[request.param]
    network = trained(cls)
    torch.save(content(network.state_dict()), tmp_path / "net.pth")
    return tmp_path / "net.pth", network, options


@pytest.fixture
def path(tmp_path):
    torch.save(trained(Timm).state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


STILL = {"lr": 1e-12}  # what is trained hardly moves


# ---------------------------------------------------------------------------- values


@pytest.mark.usefixtures("may_use_global_rng")
def test_the_networks_here_have_the_published_names():
    names = {
        PytorchMobilenet: ("model.0.0.weight", "model.13.4.running_var"),
        Retinaface: ("stage1.5.3.weight", "stage2.5.1.bias", "stage3.1.4.weight"),
        Timm: ("conv_stem.weight", "blocks.3.5.conv_pw.weight", "blocks.4.1.bn2.bias"),
        Transformers: (
            "mobilenet_v1.conv_stem.convolution.weight",
            "mobilenet_v1.layer.25.normalization.running_mean",
        ),
    }
    for cls, some in names.items():
        assert {*some} <= cls(WIDTH).state_dict().keys()
    body = sum(p.numel() for p in PytorchMobilenet(0.25).model.parameters())
    assert body == 213_072


def test_outputs_are_those_of_the_network_in_the_file(file):
    """As training begins, in eval mode, with the statistics of the file."""
    path, network, options = file
    clf = MobileNetClassifier(**NET, weights=path, **options)
    seen = []
    clf.set_params(callbacks=[AtStart(seen)]).fit(pictures(8), LABELS)
    with torch.no_grad():
        expected = network(as_pictures(2))
    assert float((expected[0] - expected[1]).abs().max()) > 2e-3
    torch.testing.assert_close(seen[0], expected, atol=1e-5, rtol=1e-5)


class AtStart(Callback):
    """Runs the body in eval mode when training begins."""

    def __init__(self, seen):
        self.seen = seen

    def on_train_begin(self, net, **kwargs):
        with torch.no_grad():
            self.seen.append(net.module_.network.eval().blocks(as_pictures(2)).clone())


def test_safetensors_and_half_precision(file, tmp_path):
    from safetensors.torch import save_file

    path, network, options = file
    state = {k: v.contiguous() for k, v in network.state_dict().items()}
    save_file(state, tmp_path / "net.safetensors")
    one, other = (
        MobileNetClassifier(**NET, **options, weights=p).fit(pictures(8), LABELS)
        for p in (path, tmp_path / "net.safetensors")
    )
    np.testing.assert_array_equal(
        one.predict_proba(pictures(8)), other.predict_proba(pictures(8))
    )
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    torch.save(half, tmp_path / "half.pth")
    clf = MobileNetClassifier(**NET, **options, weights=tmp_path / "half.pth")
    assert clf.fit(pictures(8), LABELS).predict_proba(pictures(8)).dtype == np.float32


def test_training_starts_from_them(path):
    """The body is that of the file; the head is new, and depends on the seed."""
    X = pictures(8)
    clf = MobileNetClassifier(**NET, **STILL, weights=str(path)).fit(X, LABELS)
    state, theirs = clf.net_.module_.state_dict(), trained(Timm).state_dict()
    ours = state["network.blocks.0.conv.weight"]
    torch.testing.assert_close(ours, theirs["conv_stem.weight"], atol=1e-6, rtol=0)
    last = state["network.blocks.26.norm.weight"]
    torch.testing.assert_close(last, theirs["blocks.4.1.bn2.weight"], atol=1e-6, rtol=0)
    other = clone(clf).set_params(random_state=1).fit(X, LABELS)
    head = "network.output.weight"
    assert not torch.allclose(state[head], other.net_.module_.state_dict()[head])
    moved = clone(clf).set_params(lr=0.01).fit(X, LABELS).net_.module_.state_dict()
    assert not torch.allclose(ours, moved["network.blocks.0.conv.weight"], atol=1e-4)


def test_tensors_follow_the_dtype_of_x(path):
    X = pictures(8).astype(np.float64)
    clf = MobileNetClassifier(**NET, weights=path).fit(X, LABELS)
    assert clf.predict_proba(X).dtype == np.float64


# ------------------------------------------------------------- after the file has gone


def test_a_fitted_classifier_needs_no_file(path, tmp_path):
    X = pictures(8)
    clf = MobileNetClassifier(**NET, weights=path).fit(X, LABELS)
    expected = clf.predict_proba(X)
    path.unlink()
    save(clf, tmp_path / "clf.safetensors")
    for other in (
        pickle.loads(pickle.dumps(clf)),
        load(tmp_path / "clf.safetensors"),
    ):
        np.testing.assert_array_equal(other.predict_proba(X), expected)
    tuned = FineTunedClassifier(FrozenEstimator(clf), freeze=1.0, random_state=0)
    tuned.set_params(max_epochs=2).fit(X, LABELS)
    torch.testing.assert_close(body_of(tuned), body_of(clf), atol=0, rtol=0)
    with pytest.raises(FileNotFoundError, match=r"net\.pth"):
        clone(clf).fit(X, LABELS)


def test_a_checkpoint_goes_on_from_them(path, tmp_path):
    """To the same bits, wherever the file lies; not from other weights."""
    X, options = pictures(8), NET | {"max_epochs": 3}
    whole = MobileNetClassifier(**options, weights=path).fit(X, LABELS)
    checkpoint = tmp_path / "checkpoint"

    class Stop(Exception):
        pass

    class Stops(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 2:
                raise Stop

    half = MobileNetClassifier(**options, weights=path, callbacks=[Stops()])
    with pytest.raises(Stop):
        half.fit(X, LABELS, checkpoint=checkpoint)
    shutil.move(path, tmp_path / "elsewhere.pth")
    again = MobileNetClassifier(**options, weights=tmp_path / "elsewhere.pth")
    again.fit(X, LABELS, checkpoint=checkpoint)
    np.testing.assert_array_equal(whole.predict_proba(X), again.predict_proba(X))
    assert len(again.history_) == 3
    torch.save(
        {k: 2 * v for k, v in trained(Timm).state_dict().items()},
        tmp_path / "other.pth",
    )
    again.set_params(weights=tmp_path / "other.pth")
    with pytest.raises(ValueError, match="differs: weights to start from"):
        again.fit(X, LABELS, checkpoint=checkpoint)


# --------------------------------------------------------------------------- refusals


def refused(path, **options):
    clf = MobileNetClassifier(**NET | options, weights=path)
    with pytest.raises(ValueError, match=path.name) as caught:
        clf.fit(pictures(8), LABELS)
    return str(caught.value)


def named(*names, shape=(4, 3, 3, 3)):
    return {name: torch.zeros(shape) for name in names}


OTHERS = {
    "ResNet": (
        named("conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "fc.weight"),
        "a residual network: expected MobileNet v1",
    ),
    "ResNet of timm, wrapped": (
        wrapped(named("conv1.weight", "layer1.0.conv1.weight", "layer1.0.bn1.bias")),
        "a residual network: expected MobileNet v1",
    ),
    "MobileNet v2 of torchvision": (
        named("features.0.0.weight", "features.1.conv.0.0.weight", "classifier.1.bias"),
        "MobileNet v2, v3 or EfficientNet",
    ),
    "MobileNet v3 of torchvision": (
        named("features.0.0.weight", "features.1.block.0.0.weight"),
        "MobileNet v2, v3 or EfficientNet",
    ),
    "MobileNet v2 of timm": (
        named(
            *("conv_stem.weight", "bn1.weight", "blocks.0.0.conv_dw.weight"),
            *("blocks.1.0.conv_pwl.weight", "blocks.1.0.bn3.weight"),
        ),
        "MobileNet v2, v3 or EfficientNet",
    ),
    "MobileNet v2 of transformers": (
        named("mobilenet_v2.conv_stem.first_conv.convolution.weight"),
        "MobileNet v2, v3 or EfficientNet",
    ),
    "VGG": (
        named("features.0.weight", "features.0.bias", "classifier.6.bias"),
        "a VGG or AlexNet: expected MobileNet v1",
    ),
    "SampleCNN": (
        named(
            *("blocks.0.conv.weight", "blocks.0.norm.weight", "output.weight"),
            shape=(4, 1, 3),
        ),
        "No known layout has tensors named blocks.0.conv.weight",
    ),
    "something else": (
        named("alpha", "beta"),
        "Known layouts: pytorch-mobilenet, Pytorch_Retinaface, timm, transformers.",
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_networks_are_refused_by_what_they_look_like(kind, tmp_path):
    state, message = OTHERS[kind]
    torch.save(state, tmp_path / "other.pth")
    found = refused(tmp_path / "other.pth")
    assert message in found
    assert "SampleCNN" not in found


def test_networks_of_another_width_are_refused(tmp_path):
    for cls, name in ((Timm, "conv_stem.weight"), (Transformers, "convolution.weight")):
        torch.save(trained(cls, 0.25).state_dict(), tmp_path / "wide.pth")
        message = refused(tmp_path / "wide.pth")
        assert name in message
        assert "as width=0.25 has" in message


def test_rectifiers_must_be_those_of_the_weights(tmp_path):
    torch.save(trained(Retinaface).state_dict(), tmp_path / "leaky.pth")
    assert "Set it to 0.1" in refused(tmp_path / "leaky.pth")
    torch.save(trained(Timm).state_dict(), tmp_path / "net.pth")
    assert "Set it to None" in refused(tmp_path / "net.pth", negative_slope=0.1)


@pytest.mark.parametrize("cls", [PytorchMobilenet, Retinaface, Timm, Transformers])
def test_missing_tensors_are_named(cls, tmp_path):
    state = trained(cls).state_dict()
    gone = [name for name in state if name.endswith("running_mean")][5]
    del state[gone]
    torch.save(state, tmp_path / "cut.pth")
    message = refused(tmp_path / "cut.pth")
    assert "blocks.5.norm.running_mean" in message
    assert "cut short" in message


@pytest.mark.parametrize(
    ("tensor", "value", "message"),
    [
        ("blocks.1.0.conv_dw.weight", torch.nan, "holds NaN or infinity"),
        ("bn1.running_mean", torch.inf, "holds NaN or infinity"),
        ("bn1.running_var", -1.0, "holds variances below 0"),
    ],
)
def test_odd_numbers_are_refused(tensor, value, message, tmp_path):
    state = trained(Timm).state_dict()
    state[tensor][:1] = value
    torch.save(state, tmp_path / "odd.pth")
    found = refused(tmp_path / "odd.pth")
    assert tensor in found
    assert message in found


def test_counts_of_batches_may_be_missing(path):
    """Files of old versions of torch have none."""
    state = torch.load(path, weights_only=True)
    torch.save(
        {k: v for k, v in state.items() if "num_batches" not in k},
        path.with_name("old.pth"),
    )
    one, other = (
        MobileNetClassifier(**NET, weights=p).fit(pictures(8), LABELS)
        for p in (path, path.with_name("old.pth"))
    )
    np.testing.assert_array_equal(
        one.predict_proba(pictures(8)), other.predict_proba(pictures(8))
    )


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_code_is_not_executed(tmp_path, capsys):
    for name, content in (
        ("evil.pth", {"conv_stem.weight": Evil()}),
        ("whole.pth", trained(Timm)),
    ):
        torch.save(content, tmp_path / name)
        refused(tmp_path / name)
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    refused(tmp_path / "evil.pkl")
    assert "executed" not in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_refused(tmp_path):
    torch.jit.script(trained(Timm)).save(tmp_path / "script.pt")
    assert "TorchScript" in refused(tmp_path / "script.pt")


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 broken"])
def test_files_of_something_else_are_refused(content, tmp_path):
    (tmp_path / "file.pth").write_bytes(content)
    refused(tmp_path / "file.pth")


def test_no_file_is_said_before_training(tmp_path):
    clf = MobileNetClassifier(**NET, weights=tmp_path / "absent.pth")
    with pytest.raises(FileNotFoundError, match=r"absent\.pth"):
        clf.fit(pictures(8), LABELS)
    with pytest.raises((ValueError, OSError), match=tmp_path.name):
        clf.set_params(weights=tmp_path).fit(pictures(8), LABELS)


def test_the_full_body_is_that_of_the_paper():
    with torch.device("meta"):
        ours = MobileNet(1).state_dict()
        theirs = PytorchMobilenet(0.25).model.state_dict()
    shapes = [tuple(t.shape) for k, t in ours.items() if k.startswith("blocks.")]
    assert shapes == [tuple(t.shape) for t in theirs.values()]
