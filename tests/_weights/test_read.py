"""Files of weights: same activations as NumPy's, and plain words for wrong files."""

import hashlib
import json
import pickle
import sys
import types
import warnings
import zipfile
from argparse import Namespace

import h5py
import numpy as np
import pytest
import safetensors.torch
import torch
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skaudio._weights._onnx import UnfitGraph
from skaudio._weights._read import read_weights
from skaudio._weights._save import save_weights
from skaudio.nn import CoalaAudioEncoder, SampleCNN, folded, layer_outputs
from skaudio.persistence import save
from skaudio.views import RawView

SIZES, FILTERS = (3, 3, 3, 3), (4, 6, 5, 7, 8)
CODE = (128, 128, 128, *(256,) * 6, 512, 512)
PAPER = (128, 128, 128, *(256,) * 5, 512, 512, 512)


def activations(network, x):
    """Outputs of all blocks (channels, steps) and the logits."""
    x = torch.tensor(np.asarray(x, dtype=np.float32))[None, None]
    with torch.inference_mode():
        found = layer_outputs(network, [*network.hidden_layers, ""], x)
    *blocks, logits = (found[name][0].numpy() for name in [*network.hidden_layers, ""])
    return blocks, logits


def assert_same(network, expected, x, has_head=True):
    blocks, logits = activations(network, x)
    for i, (ours, theirs) in enumerate(zip(blocks, expected[0], strict=True)):
        np.testing.assert_allclose(ours, theirs, atol=2e-5, err_msg=f"block {i}")
        assert ours.any()
    wanted = expected[1] if has_head else expected[0][-1][:, 0]
    np.testing.assert_allclose(logits, wanted, atol=2e-5)


@pytest.fixture
def source(published):
    return published.make_source(SIZES, FILTERS, top_kernel=3)


@pytest.fixture
def x():
    return np.random.default_rng(1).standard_normal(81)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights"  # without an extension: the content decides


# ------------------------------------------------------------------- SampleCNN, torch


TORCH = {
    "sampleCNN-pytorch": (lambda p, s: p.ky(s), {"first": 0}, 22_050, True),
    "sota-music-tagging-models": (lambda p, s: p.mz(s), {"first": 1}, 16_000, True),
    "CLMR v1": (lambda p, s: p.ky(s, "encoder.", None), {}, 22_050, False),
    "CLMR v2": (lambda p, s: p.clmr(s), {}, 22_050, False),
    "sampleCNN-configurable": (lambda p, s: p.configurable(s), {}, 22_050, False),
}


@pytest.mark.parametrize("layout", TORCH)
@pytest.mark.parametrize("is_legacy", [True, False])
def test_torch_layouts(published, source, x, path, layout, is_legacy):
    write, how, sr, has_head = TORCH[layout]
    torch.save(
        write(published, source), path, _use_new_zipfile_serialization=not is_legacy
    )
    found = read_weights(path)
    assert (found.layout, found.sr, found.kind) == (layout, sr, "samplecnn")
    assert found.network.n_samples == 81
    assert not found.network.training
    assert found.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
    assert_same(found.network, published.reference(source, x, **how), x, has_head)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: {"state_dict": t, "epoch": 3},
        lambda t: {"model_state_dict": t, "optimizer_state_dict": {"state": {}}},
        lambda t: {f"module.{k}": v for k, v in t.items()},
        lambda t: {f"model.{k}": v for k, v in t.items()},
        lambda t: {"model": {f"module.{k}": v for k, v in t.items()}},
    ],
)
def test_wrappers_and_prefixes(published, source, x, path, wrap):
    torch.save(wrap(published.ky(source)), path)
    assert_same(read_weights(path).network, published.reference(source, x), x)


def test_lightning_prefers_the_trained_encoder(published, source, x, path):
    other = published.make_source(SIZES, FILTERS, top_kernel=3, seed=9)
    tensors = published.clmr(other) | published.clmr(source, "model.encoder.")
    torch.save({"pytorch-lightning_version": "1.2", "state_dict": tensors}, path)
    found = read_weights(path)
    assert found.layout == "CLMR Lightning"
    assert_same(found.network, published.reference(source, x), x, has_head=False)


def test_bookkeeping_of_lightning_is_dropped(published, source, x, path, monkeypatch):
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = types.ModuleType(name)
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": name})
    module.AttributeDict = type("AttributeDict", (dict,), {"__module__": name})
    settings = module.AttributeDict(lr=0.1, seen=Namespace(a=[1, 2]))
    settings.own = 3
    parents = name.split(".")
    for i in range(1, len(parents)):
        package = ".".join(parents[:i])
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    monkeypatch.setitem(sys.modules, name, module)
    content = {
        "pytorch-lightning_version": "1.1.8",
        "state_dict": published.clmr(source, "model.encoder."),
        "callbacks": {module.ModelCheckpoint: {"best": np.float32(0.3)}},
        "hyper_parameters": settings,
    }
    torch.save(content, path)
    monkeypatch.undo()
    found = read_weights(path)
    assert found.layout == "CLMR Lightning"
    assert_same(found.network, published.reference(source, x), x, has_head=False)
    allowed = map(str, torch.serialization.get_safe_globals())
    assert not any("lightning" in name for name in allowed)  # nor for what comes next


class NumPyTrap:
    """Calls a function of NumPy, whose numbers are among the bookkeeping."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return np.savetxt, (str(self.target), [1.0])


def test_bookkeeping_is_not_executed(published, source, path, tmp_path):
    target = tmp_path / "executed"
    content = {"state_dict": published.ky(source), "callbacks": NumPyTrap(target)}
    torch.save(content, path)
    assert read_weights(path).layout == "sampleCNN-pytorch"
    assert not target.exists()


def test_torchscript_is_a_program(path):
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    with pytest.raises(ValueError, match="is TorchScript, a program with weights"):
        read_weights(path)


def test_zip_with_a_checkpoint(published, source, x, path, tmp_path):
    torch.save(published.clmr(source), tmp_path / "inner")
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / "inner", "clmr_checkpoint_10000.pt")
        archive.writestr("__MACOSX/._clmr_checkpoint_10000.pt", b"junk")
    found = read_weights(path)
    assert found.layout == "CLMR v2"
    assert_same(found.network, published.reference(source, x), x, has_head=False)
    with zipfile.ZipFile(path, "a") as archive:
        archive.write(tmp_path / "inner", "another.pt")
    with pytest.raises(ValueError, match="ZIP archive with 2 files of torch"):
        read_weights(path)


def test_one_output_is_speech_or_music_at_16_khz(published, path):
    source = published.make_source(SIZES, FILTERS, top_kernel=3, n_outputs=1)
    torch.save(published.ky(source), path)
    assert read_weights(path).sr == 16_000


@pytest.mark.parametrize("even", [2, 4])
def test_even_filters_of_torch_start_earlier(published, path, even):
    source = published.make_source((3, even, 3), (4, 5, 6, 7))
    x = np.random.default_rng(0).standard_normal(9 * even)
    torch.save(published.mz(source), path)
    expected = published.reference(source, x, first=1, even="start")
    assert_same(read_weights(path).network, expected, x)
    torch.save(published.configurable(source), path)  # padding="same" ends later
    expected = published.reference(source, x, even="end")
    assert_same(read_weights(path).network, expected, x, has_head=False)


def test_long_filters_of_clmr_are_refused(published, path):
    source = published.make_source((3, 5, 2), (4, 5, 6, 7), top_kernel=3)
    torch.save(published.clmr(source), path)
    match = r"encoder\.sequential\.1\.0\.weight has filters of 5 samples.*pads all"
    with pytest.raises(ValueError, match=match):
        read_weights(path)


# -------------------------------------------------------------- published sizes


def n_parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_published_sizes_of_torch(published, path):
    source = published.make_source((3,) * 10, CODE, top_kernel=3, n_outputs=50)
    tensors = published.ky(source)
    assert len(tensors) == 79
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    assert 9.5e6 < path.stat().st_size < 9.7e6
    network = read_weights(path).network
    assert n_parameters(network) == 2_394_162
    x = np.random.default_rng(0).standard_normal(59_049)
    blocks, logits = published.reference(source, x)
    ours, our_logits = activations(network, x)
    for mine, theirs in zip(ours, blocks, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-4)
    np.testing.assert_allclose(our_logits, logits, atol=2e-3)


@pytest.mark.parametrize(
    ("filters", "layout", "n"),
    [(PAPER, "configurable", 2_434_816), (CODE, "mz", 1_869_874)],
)
def test_other_published_sizes(published, path, filters, layout, n):
    source = published.make_source((3,) * 10, filters, n_outputs=50)
    torch.save(getattr(published, layout)(source), path)
    network = read_weights(path).network
    assert n_parameters(network) == n
    assert network.n_samples == 59_049


def test_published_size_of_keras(published, path):
    msd = (128, 128, 128, *(256,) * 8)
    source = published.make_source((3,) * 10, msd, n_outputs=50)
    published.write_keras1(path, source)
    assert 5.8e6 < path.stat().st_size < 6.0e6
    assert n_parameters(read_weights(path).network) == 1_462_322


# ------------------------------------------------------------------------------ Keras


@pytest.mark.parametrize("whole_model", [False, True])
def test_keras_1_is_theano(published, source, x, path, whole_model):
    published.write_keras1(path, source, whole_model=whole_model)
    found = read_weights(path)
    assert (found.layout, found.sr) == ("Keras 1 (Theano)", 22_050)
    assert_same(found.network, published.reference(source, x, convolve=True), x)


def test_theano_filters_are_reversed(published, path):
    """By hand: samples 1, 10, 100 and taps 1, 2, 3 convolve to 3 + 20 + 100."""
    source = published.make_source((3,), (2, 2), n_outputs=1)
    source.kernels[0][:, 0] = [[1, 3], [2, 2], [3, 1]]  # two filters
    for arrays, value in (
        (source.biases, 0),
        (source.gammas, 1),
        (source.betas, 0),
        (source.means, 0),
        (source.variances, 1 - 1e-5),
    ):
        arrays[0][:] = value
    published.write_keras1(path, source)
    (first, _), _ = activations(read_weights(path).network, [1, 10, 100])
    np.testing.assert_allclose(first, [[3 + 20 + 100], [1 + 20 + 300]], rtol=1e-6)
    published.write_keras2(path, source, backend="tensorflow")
    (first, _), _ = activations(read_weights(path).network, [1, 10, 100])
    np.testing.assert_allclose(first, [[321], [123]], rtol=1e-3)  # another epsilon


@pytest.mark.parametrize("even", [2, 4])
def test_even_filters_of_theano_start_earlier(published, path, even):
    source = published.make_source((even,) * 3, (4, 5, 6, 7))
    x = np.random.default_rng(0).standard_normal(even**3)
    published.write_keras1(path, source)
    expected = published.reference(source, x, convolve=True, even="start")
    assert_same(read_weights(path).network, expected, x)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("start", [1, 8])  # from 8, names do not sort as numbers do
def test_keras_2(published, source, x, path, listed, start):
    published.write_keras2(path, source, start=start, listed=listed)
    found = read_weights(path)
    assert found.layout == "Keras 2 (TensorFlow)"
    assert_same(found.network, published.reference(source, x, eps=1e-3), x)


def test_keras_2_of_theano(published, source, x, path):
    published.write_keras2(path, source, backend="theano")
    expected = published.reference(source, x, eps=1e-3, convolve=True)
    assert_same(read_weights(path).network, expected, x)


def test_keras_epsilon_of_the_description(published, source, x, path):
    config = '{"config": [{"class_name": "BatchNormalization", "epsilon": 0.25}]}'
    published.write_keras2(path, source, config=config)
    assert_same(read_weights(path).network, published.reference(source, x, eps=0.25), x)


def test_keras_networks_of_others(published, source, path):
    source.kernels[1] = np.zeros((3, 3, 4, 6), dtype=np.float32)  # 2-D
    published.write_keras2(path, source)
    with pytest.raises(ValueError, match="a convolution over 2 axes"):
        read_weights(path)


def test_keras_spectrogram_networks(published, path):
    with published.h5py.File(path, "w") as file:
        published._write_layer(file, "melgram", {"melgram/dft:0": np.zeros((9, 4))})
        kernel = {"conv2d_1/kernel:0": np.zeros((3, 3, 1, 32))}
        published._write_layer(file, "conv2d_1", kernel)
        file.attrs["layer_names"] = np.array([b"melgram", b"conv2d_1"])
    match = (
        r"'melgram' has arrays .* looks like a network on spectrograms, such as .*Choi"
    )
    with pytest.raises(ValueError, match=match):
        read_weights(path)


def test_keras_arrays_in_other_files_are_refused(published, source, path, tmp_path):
    """HDF5 can name any file of this machine, whose bytes then are an array."""
    published.write_keras1(path, source)
    shape = source.head[0].shape
    other = tmp_path / "private"
    other.write_bytes(b"private " * shape[0] * shape[1])
    with h5py.File(path, "r+") as file:
        del file["dense_1/dense_1_W"]
        where = [(str(other), 0, other.stat().st_size)]
        file.create_dataset("dense_1/dense_1_W", shape, "f8", external=where)
    with pytest.raises(ValueError, match=r"'dense_1_W' .* in another file"):
        read_weights(path)


def test_keras_residual_networks(published, source, path, tmp_path):
    published.write_keras2(path, source)
    with published.h5py.File(path, "a") as file:
        published._write_layer(file, "dense_2", {"dense_2/kernel:0": np.zeros((5, 5))})
        names = [*file.attrs["layer_names"], b"dense_2"]
        file.attrs["layer_names"] = np.array(names)
    with pytest.raises(ValueError, match=r"2 dense layers.*a network of resemul"):
        read_weights(path)


def test_h5py_is_optional(published, source, path, monkeypatch):
    published.write_keras1(path, source)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'skaudio\[keras\]'"):
        read_weights(path)


# ------------------------------------------------------------------------------- ONNX


@pytest.mark.parametrize("is_folded", [True, False])
@pytest.mark.parametrize("by_gemm", [True, False])
def test_onnx(published, source, x, path, is_folded, by_gemm):
    path.write_bytes(
        published.onnx_bytes(source, eps=1e-4, folded=is_folded, by_gemm=by_gemm)
    )
    found = read_weights(path)
    assert (found.layout, found.sr) == ("ONNX", 22_050)
    assert_same(found.network, published.reference(source, x, eps=1e-4), x)


def test_onnx_with_leaky_rectifiers(published, source, x, path):
    content = published.onnx_bytes(source, slope=0.2)
    path.write_bytes(content)
    found = read_weights(path).network
    assert found.config["negative_slope"] == 0.2
    assert_same(found, published.reference(source, x, slope=0.2), x)
    _, one = published.node("LeakyRelu", ["n1"], ["r1"], alpha=0.2)
    _, other = published.node("LeakyRelu", ["n1"], ["r1"], alpha=0.4)
    path.write_bytes(content.replace(one, other))
    with pytest.raises(UnfitGraph, match="with rectifiers of several slopes; expected"):
        read_weights(path)


@pytest.mark.parametrize(
    ("layer", "slope"),
    [
        ({"class_name": "LeakyReLU", "config": {"alpha": 0.2}}, 0.2),
        ({"class_name": "LeakyReLU", "config": {"negative_slope": 0.2}}, 0.2),
        ({"class_name": "LeakyReLU", "config": {"alpha": {"value": 0.2}}}, 0.2),
        ({"class_name": "LeakyReLU", "config": {}}, 0.3),
        ({"class_name": "Activation", "config": {"activation": "relu"}}, 0.0),
    ],
)
def test_keras_states_its_rectifiers(published, source, x, path, layer, slope):
    dense = {"class_name": "Dense", "config": {"activation": "sigmoid"}}
    config = json.dumps({"class_name": "Sequential", "config": [layer, dense]})
    published.write_keras2(path, source, config=config)
    found = read_weights(path).network
    assert found.config["negative_slope"] == slope
    assert_same(found, published.reference(source, x, eps=1e-3, slope=slope), x)


@pytest.mark.parametrize(
    "layers",
    [
        [{"class_name": "ELU", "config": {}}],
        [{"class_name": "Conv1D", "config": {"activation": "tanh"}}],
        [
            {"class_name": "LeakyReLU", "config": {"alpha": 0.2}},
            {"class_name": "Activation", "config": {"activation": "relu"}},
        ],
    ],
)
def test_keras_with_other_activations(published, source, path, layers):
    published.write_keras2(path, source, config=json.dumps({"config": layers}))
    with pytest.raises(
        ValueError, match="describes activations that SampleCNN has not"
    ):
        read_weights(path)


def test_onnx_of_something_else(published, source, path):
    content = published.onnx_bytes(source)
    path.write_bytes(content.replace(b"MaxPool", b"AvgPool"))
    with pytest.raises(ValueError, match="ONNX graph with a node AvgPool; expected"):
        read_weights(path)
    path.write_bytes(content.replace(b"fc.bias", b"fc.bia5", 1))
    with pytest.raises(ValueError, match=r"has no values of 'fc.bia"):
        read_weights(path)
    for n in (10, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:n])
        with pytest.raises(ValueError, match="was taken for ONNX, but is cut short"):
            read_weights(path)


# ------------------------------------------------------------------------ our own files


@pytest.mark.parametrize("layout", ["ky", "mz", "clmr", "keras1"])
def test_round_trip(published, path, tmp_path, layout):
    source = published.make_source((3, 2, 3), (4, 5, 6, 7), top_kernel=3)
    x = np.random.default_rng(0).standard_normal(18)
    if layout == "keras1":
        published.write_keras1(path, source)
    else:
        torch.save(getattr(published, layout)(source), path)
    found = read_weights(path)
    ours = tmp_path / "ours.safetensors"
    save_weights(found, ours)
    again = read_weights(ours)
    assert (again.kind, again.layout, again.sr) == (found.kind, found.layout, found.sr)
    for one, other in zip(
        activations(found.network, x)[0], activations(again.network, x)[0], strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_save_weights_of_a_module(path, tmp_path):
    with torch.random.fork_rng(devices=[]):
        network = SampleCNN(3, sizes=(4,) * 4, width=0.05, norm_eps=1e-3).eval()
    save_weights(network, path, sr=8000)
    found = read_weights(path)
    assert found.sr == 8000
    x = np.random.default_rng(0).standard_normal(256)
    np.testing.assert_array_equal(
        activations(found.network, x)[1], activations(network, x)[1]
    )
    with pytest.raises(ValueError, match="has no rate: pass sr="):
        save_weights(network, path)
    for options in ({"sr": 8000}, {}):  # a rate would not help
        with pytest.raises(TypeError, match="Cannot save a Linear"):
            save_weights(network.output, path, **options)
    with pytest.raises(TypeError, match=r"is a folded copy.*: save the network that"):
        save_weights(folded(network), path, sr=8000)


def test_files_with_fewer_arguments_are_read(path):
    """As written before networks had a config: widths were multiplied out."""
    with torch.random.fork_rng(devices=[]):
        network = SampleCNN(3, sizes=(3,) * 3, width=0.05, norm_eps=1e-3).eval()
    about = {
        "network": "SampleCNN",
        "layout": "skaudio",
        "sr": 8000.0,
        "arguments": {
            "sizes": [3, 3, 3],
            "filters": [block.conv.out_channels for block in network.blocks],
            "norm_eps": 1e-3,
        },
    }
    metadata = {"skaudio_network": json.dumps(about)}
    path.write_bytes(safetensors.torch.save(network.state_dict(), metadata=metadata))
    x = np.random.default_rng(0).standard_normal(27)
    np.testing.assert_array_equal(
        activations(read_weights(path).network, x)[1], activations(network, x)[1]
    )


def test_estimators_are_loaded_elsewhere(path):
    save(RawView(), path)
    with pytest.raises(ValueError, match=r"load it with skaudio\.persistence\.load"):
        read_weights(path)


def test_own_files_cannot_name_what_they_like(published, path):
    with torch.random.fork_rng(devices=[]):
        network = SampleCNN(3, sizes=(3,) * 3, width=0.05)
    save_weights(network, path, sr=8000)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"SampleCNN", b"SimpleCNN"))
    with pytest.raises(
        ValueError, match=r"holds a network 'SimpleCNN'.*supports .*SampleCNN"
    ):
        read_weights(path)
    path.write_bytes(content.replace(b"top_kernel", b"top_kernal"))
    with pytest.raises(ValueError, match="No SampleCNN can be made from this file"):
        read_weights(path)
    path.write_bytes(content.replace(b"[3, 3, 3]", b"[3, 3, 9]"))
    with pytest.raises(ValueError, match=r"has shape .*; wanted .* for skaudio"):
        read_weights(path)


# ------------------------------------------------------------------------ wrong files


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty. Download it again"),
        (b"\n<!DOCTYPE html><html>", "is a web page .HTML., not weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (b'{"class_name": "Model"}', "is JSON: a description"),
        (b"\0" * 100, "starts with zeros"),
        (b"RIFF....WAVE", "starts with b'RIFF....', which no known file"),
        (b"PK\3\4" + b"x" * 50, "is cut short or damaged"),
        (b"\x89HDF\r\n\x1a\n" + b"x" * 50, "looks like HDF5, but is cut short"),
        (b"\x80\x02" + b"x" * 50, "a pickle that holds more than weights, or is dama"),
        ((99).to_bytes(8, "little") + b"{}", "looks like a safetensors file, but"),
    ],
)
def test_no_weights_at_all(path, content, match):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match):
        read_weights(path)


@pytest.mark.parametrize("is_legacy", [True, False])
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_cut_short(published, source, path, is_legacy, kept):
    torch.save(published.ky(source), path, _use_new_zipfile_serialization=not is_legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=r"cut short|or is damaged"):
        read_weights(path)


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_keras_cut_short(published, source, path, kept):
    published.write_keras1(path, source)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match="looks like HDF5, but is cut short"):
        read_weights(path)


class Trap:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.parametrize("kind", ["zip", "legacy", "plain", "nested"])
def test_pickles_execute_nothing(path, tmp_path, kind):
    target = tmp_path / "executed"
    content = {"conv1.0.weight": torch.zeros(3), "trap": Trap(target)}
    if kind == "plain":
        path.write_bytes(pickle.dumps(Trap(target), protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind != "legacy")
    if kind == "nested":
        with zipfile.ZipFile(tmp_path / "outer", "w") as archive:
            archive.write(path, "inner.pt")
        path = tmp_path / "outer"
    with pytest.raises(ValueError, match=r"holds more than weights.*Nothing was exec"):
        read_weights(path)
    assert not target.exists()


def test_sha256_is_compared_before_anything(path):
    path.write_bytes(b"whatever")
    actual = hashlib.sha256(b"whatever").hexdigest()
    match = f"SHA-256 {actual}; expected {'0' * 64}. Nothing was loaded"
    with pytest.raises(ValueError, match=match):
        read_weights(path, sha256="0" * 64)
    with pytest.raises(ValueError, match="no known file"):
        read_weights(path, sha256=actual.upper())


def changed(tensors, **new):
    return tensors | {k.replace("__", "."): v for k, v in new.items()}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda t: changed(t, conv2__0__weight=torch.zeros(6, 9, 3)),
            r"conv2\.0\.weight has shape \(6, 9, 3\); wanted \(6, 4, 3\) for sampleCNN",
        ),
        (
            lambda t: changed(t, fc__weight=torch.zeros(5, 9)),
            r"fc\.weight has shape \(5, 9\); wanted \(5, 8\)",
        ),
        (
            lambda t: {k: v for k, v in t.items() if k != "conv2.1.running_var"},
            r"1 tensors are missing: blocks\.1\.norm\.running_var",
        ),
        (
            lambda t: {k: v for k, v in t.items() if not k.startswith("conv2.0")},
            r"convolutions are missing: blocks\.1\.conv\.weight",
        ),
        (
            lambda t: changed(t, extra__weight=torch.zeros(1)),
            r"also unexpected tensors: extra\.weight",
        ),
        (
            lambda t: changed(t, conv2__1__scale=torch.zeros(1)),
            r"1 tensors are unexpected: conv2\.1\.scale",
        ),
        (
            lambda t: changed(t, conv3__1__bias=torch.full((5,), torch.nan)),
            r"conv3\.1\.bias holds NaN or infinity",
        ),
        (
            lambda t: {k: v for k, v in t.items() if k.startswith("conv1.")},
            "The last of 1 convolutions",
        ),
        (lambda t: {"state": {}, "param_groups": []}, "the state of an optimiser"),
        (lambda t: [1, 2], "holds no tensors by name. It holds: list"),
        (lambda t: {"epoch": 3}, "holds no tensors by name. It holds: epoch"),
        (
            lambda t: {"0.weight": torch.zeros(2, 3), "0.bias": torch.zeros(2)},
            "looks like a classifier's last layers only",
        ),
        (
            lambda t: {"layer1.conv.weight": torch.zeros(2, 1, 3, 3)},
            r"layer1\.conv\.weight has 2-D filters; wanted 1-D ones for sota",
        ),
        (
            lambda t: {
                "layer1.conv.weight": torch.zeros(2, 1, 3),
                "layer2.conv_1.weight": torch.zeros(2, 2, 3),
            },
            "looks like a residual network of sota-music-tagging-models",
        ),
        (
            lambda t: {"spec.mel_scale.fb": torch.zeros(2)},
            "looks like another network on spectrograms",
        ),
        (
            lambda t: {"tag_encoder.0.weight": torch.zeros(2, 2)},
            r"layout of COALA tag encoder, but affine\.weight is missing",
        ),
        (
            lambda t: {"audio_decoder.2.weight": torch.zeros(2, 2)},
            r"layout of COALA audio decoder, but audio_decoder\.2\.weight is 2-D",
        ),
        (lambda t: {"rnn.weight": torch.zeros(2)}, "No known layout has tensors named"),
    ],
)
def test_wrong_tensors(published, source, path, change, match):
    torch.save(change(published.ky(source)), path)
    with pytest.raises(ValueError, match=match):
        read_weights(path)


# ------------------------------------------------------------------------------ COALA


@pytest.fixture
def scaler(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "scale_": rng.uniform(0.04, 0.06, 96).astype(np.float32),
        "min_": rng.uniform(0.6, 0.7, 96).astype(np.float32),
    }
    np.savez(tmp_path / "scaler.npz", **arrays)
    return tmp_path / "scaler.npz", arrays


def coala_reference(tensors, patch, prefix):
    """Five convolutions with strides of 2, by NumPy, one tap after the other."""
    h = patch[None].astype(np.float64)
    for i in range(5):
        conv, norm = (
            {
                k.rpartition(".")[2]: v.double().numpy()
                for k, v in tensors.items()
                if k.startswith(f"{prefix}{4 * i + j}.")
            }
            for j in (0, 1)
        )
        n = h.shape[1] // 2
        h = np.pad(h, ((0, 0), (1, 1), (1, 1)))
        y = conv["bias"][:, None, None] + np.zeros((1, n, n))
        for a in range(4):
            for b in range(4):
                part = h[:, a : a + 2 * n : 2, b : b + 2 * n : 2]
                y = y + np.tensordot(conv["weight"][:, :, a, b], part, axes=1)
        scale = norm["weight"] / np.sqrt(norm["running_var"] + 1e-5)
        y = (y - norm["running_mean"][:, None, None]) * scale[:, None, None]
        h = np.maximum(y + norm["bias"][:, None, None], 0)
    return h.reshape(-1)


@pytest.mark.parametrize(
    ("prefix", "layout"),
    [("audio_encoder.", "COALA audio encoder"), ("encoder.", "COALA CNN")],
)
def test_coala(published, path, scaler, prefix, layout):
    tensors = published.coala_tensors(prefix=prefix)
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    scaler_path, arrays = scaler
    found = read_weights(path, scaler=scaler_path)
    assert (found.layout, found.kind, found.sr) == (layout, "coala", 22_000)
    digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (path, scaler_path)]
    assert found.fingerprint == "+".join(digests)
    patch = np.random.default_rng(0).uniform(-12, 3, (96, 96))
    scaled = patch * arrays["scale_"][None, :] + arrays["min_"][None, :]  # along time
    expected = coala_reference(tensors, scaled, prefix)
    x = torch.tensor(patch[None], dtype=torch.float32)
    with torch.inference_mode():
        z = found.network(x)
        np.testing.assert_allclose(z[0], expected, atol=1e-4)
        if prefix == "encoder.":
            hidden = z @ tensors["fc.0.weight"].T + tensors["fc.0.bias"]
            logits = hidden.relu() @ tensors["fc.2.weight"].T + tensors["fc.2.bias"]
            torch.testing.assert_close(found.network.logits(z), logits)
        else:
            phi = z @ tensors["fc_audio.0.weight"].T
            torch.testing.assert_close(found.network.aligned(z), phi)
    save_weights(found, path)
    again = read_weights(path)  # the scaler is in our file
    assert torch.equal(again.network.scaling.scale, found.network.scaling.scale)
    with torch.inference_mode():
        assert torch.equal(again.network(x), z)


def test_coala_has_the_published_size(published, path, scaler):
    tensors = published.coala_tensors(128)
    assert len(tensors) == 36
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    assert abs(path.stat().st_size - 9_529_675) < 10_000
    assert n_parameters(read_weights(path, scaler=scaler[0]).network) == 2_379_648
    cnn = published.coala_tensors(prefix="encoder.")
    assert len(cnn) == 39


def test_coala_needs_its_scaler(published, path, scaler):
    torch.save(published.coala_tensors(), path)
    with pytest.raises(ValueError, match=r"pass scaler=, the path of scaler_top_1000"):
        read_weights(path)
    torch.save(published.ky(published.make_source(SIZES, FILTERS)), path)
    with pytest.raises(ValueError, match="goes with COALA's weights, but weights is a"):
        read_weights(path, scaler=scaler[0])


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"scale_": np.ones(96)}, r"min_ of shape \(0,\)"),
        ({"scale_": np.ones(95), "min_": np.ones(96)}, r"scale_ of shape \(95,\).*96"),
        ({"scale_": np.ones(96, int), "min_": np.ones(96)}, "type int64; wanted 96 fl"),
        ({"scale_": np.full(96, np.nan), "min_": np.ones(96)}, "NaN or infinity in sc"),
    ],
)
def test_wrong_scalers(published, path, tmp_path, arrays, match):
    torch.save(published.coala_tensors(), path)
    np.savez(tmp_path / "scaler.npz", **arrays)
    with pytest.raises(ValueError, match=match):
        read_weights(path, scaler=tmp_path / "scaler.npz")


def test_scaler_is_the_authors_pickle(published, path, tmp_path):
    rng = np.random.default_rng(0)
    scaler = MinMaxScaler().fit(rng.uniform(-12, 3, (50, 96)).astype(np.float32))
    torch.save(published.coala_tensors(), path)
    old = pickle.dumps(scaler, protocol=3)
    older = old.replace(b"sklearn.preprocessing._data", b"sklearn.preprocessing.data")
    for content in (old, older):
        (tmp_path / "scaler.pkl").write_bytes(content)
        network = read_weights(path, scaler=tmp_path / "scaler.pkl").network
        np.testing.assert_array_equal(network.scaling.scale, scaler.scale_)
        np.testing.assert_array_equal(network.scaling.minimum, scaler.min_)
        rows = rng.uniform(-12, 3, (96, 96)).astype(np.float32)
        ours = network.scaling(torch.tensor(rows))
        np.testing.assert_allclose(ours, scaler.transform(rows), atol=1e-6)


@pytest.mark.parametrize(
    ("held", "match"),
    [
        (StandardScaler(), r"refers to sklearn\.preprocessing\._data\.StandardScaler"),
        ([1, 2], "holds a list; wanted the MinMaxScaler"),
        (MinMaxScaler(), r"has scale_ of shape \(0,\)"),
    ],
)
def test_other_pickles_as_scaler(published, path, tmp_path, held, match):
    torch.save(published.coala_tensors(), path)
    (tmp_path / "scaler.pkl").write_bytes(pickle.dumps(held))
    with pytest.raises(ValueError, match=match):
        read_weights(path, scaler=tmp_path / "scaler.pkl")


def test_scalers_execute_nothing(published, path, tmp_path):
    torch.save(published.coala_tensors(), path)
    (tmp_path / "scaler.pkl").write_bytes(pickle.dumps(Trap(tmp_path / "executed")))
    with pytest.raises(ValueError, match="Nothing of the file was executed"):
        read_weights(path, scaler=tmp_path / "scaler.pkl")
    assert not (tmp_path / "executed").exists()


def test_coala_filters_are_4_by_4(published, path, scaler):
    tensors = published.coala_tensors()
    tensors["audio_encoder.4.weight"] = torch.zeros(8, 8, 3, 3)
    torch.save(tensors, path)
    match = r"audio_encoder\.4\.weight has shape \(8, 8, 3, 3\); wanted \(8, 8, 4, 4\)"
    with pytest.raises(ValueError, match=match):
        read_weights(path, scaler=scaler[0])


def test_own_training_of_coala_needs_no_scaler(path):
    with torch.random.fork_rng(devices=[]):
        network = CoalaAudioEncoder(n_filters=4)
    save_weights(network, path, sr=22_000)
    assert read_weights(path).kind == "coala"
