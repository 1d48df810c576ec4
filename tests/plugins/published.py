"""Files in the layouts of others, made of known numbers, and what they compute.

The network is written down once, as arrays in the order of Keras (taps, channels in,
channels out), and run by NumPy alone; every writer turns it into one kind of file.
"""

from __future__ import annotations

import itertools
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from skaudio.cache import clear_cache
from skaudio.embedding import save_weights
from skaudio.nn import CoalaAudioEncoder, SampleCNN


@dataclass
class Source:
    """A SampleCNN as plain arrays."""

    kernels: list  # (taps, channels in, channels out) per convolution
    biases: list
    gammas: list
    betas: list
    means: list
    variances: list
    head: tuple  # (features, outputs) and (outputs,)


def make_source(sizes, filters, top_kernel=1, n_outputs=5, seed=0):
    rng = np.random.default_rng(seed)
    channels = (1, *filters)

    def draw(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    kernels = [
        draw(k, n_in, n_out) / np.float32(np.sqrt(k * n_in))
        for k, n_in, n_out in zip(
            (*sizes, top_kernel), channels[:-1], channels[1:], strict=True
        )
    ]
    small = [
        [0.3 * draw(n) + start for n in filters] for start in (0, 1.0, 0.3, 0.1, 1.0)
    ]
    *others, variances = [[a.astype(np.float32) for a in arrays] for arrays in small]
    variances = [np.abs(v) + np.float32(0.1) for v in variances]
    head = draw(filters[-1], n_outputs), draw(n_outputs)
    return Source(kernels, *others, variances, head)


def reference(source, x, *, eps=1e-5, convolve=False, first=0, even="end", slope=0.0):
    """Activations of all blocks (channels, steps) and logits, in double precision."""
    h = np.asarray(x, dtype=np.float64)[None]  # (channels, steps)
    outputs = []
    last = len(source.kernels) - 1
    for i, kernel in enumerate(source.kernels):
        k = len(kernel)
        pool = 1 if i in (0, last) else k
        if i == 0:
            pads = first, k - k - first
        elif k % 2:
            pads = k // 2, k // 2
        else:
            pads = (k // 2 - 1, k // 2) if even == "end" else (k // 2, k // 2 - 1)
        left, right = pads
        h = np.pad(h, ((0, 0), (left, max(right, 0))))[:, : h.shape[1] + left + right]
        h = slide(h, kernel, convolve) + source.biases[i][:, None]
        if i == 0:
            h = h[:, ::k]
        scale = source.gammas[i] / np.sqrt(source.variances[i].astype(float) + eps)
        h = (h - source.means[i][:, None]) * scale[:, None] + source.betas[i][:, None]
        h = np.maximum(h, slope * h)
        h = h.reshape(len(h), -1, pool).max(axis=2)
        outputs.append(h)
    return outputs, h[:, 0] @ source.head[0] + source.head[1]


def slide(x, kernel, convolve):
    """Convolution in the mathematical sense, or the correlation that networks use."""
    if convolve:  # one pair of channels at a time, by NumPy's own definition
        k, n_in, n_out = kernel.shape
        y = np.zeros((n_out, x.shape[1] - k + 1))
        for i, o in itertools.product(range(n_in), range(n_out)):
            y[o] += np.convolve(x[i], kernel[:, i, o].astype(float), mode="valid")
        return y
    n = x.shape[1] - len(kernel) + 1
    return sum(tap.astype(float).T @ x[:, j : j + n] for j, tap in enumerate(kernel))


# ------------------------------------------------------------------------------ torch


def torch_names(source, block, head=None, prefix=""):
    """State dictionary; ``block(i, part)`` names what comes before ".weight"."""
    found = {}
    for i, kernel in enumerate(source.kernels):
        conv, norm = (prefix + block(i, part) for part in (0, 1))
        found[f"{conv}.weight"] = kernel.transpose(2, 1, 0)
        found[f"{conv}.bias"] = source.biases[i]
        found[f"{norm}.weight"] = source.gammas[i]
        found[f"{norm}.bias"] = source.betas[i]
        found[f"{norm}.running_mean"] = source.means[i]
        found[f"{norm}.running_var"] = source.variances[i]
        found[f"{norm}.num_batches_tracked"] = np.array(7)
    if head is not None:
        found[f"{prefix}{head}.weight"] = source.head[0].T
        found[f"{prefix}{head}.bias"] = source.head[1]
    return {k: torch.tensor(v.copy()) for k, v in found.items()}


def ky(source, prefix="", head="fc"):
    return torch_names(source, lambda i, p: f"conv{i + 1}.{p}", head, prefix)


def mz(source):
    parts = ("conv", "bn")
    return torch_names(source, lambda i, p: f"layer{i + 1}.{parts[p]}", "dense")


def clmr(source, prefix="encoder."):
    names = torch_names(source, lambda i, p: f"sequential.{i}.{p}", None, prefix)
    outer = prefix.removesuffix("encoder.")
    return names | {f"{outer}projector.{i}.weight": torch.zeros(8, 8) for i in (0, 2)}


def configurable(source):
    return torch_names(source, lambda i, p: f"all_blocks.{i}.{p}")


# ------------------------------------------------------------------------------ Keras


def write_keras1(path, source, *, whole_model=False):
    """Keras 1.1 with Theano: groups in one level, kernels (taps, 1, in, out)."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole_model else file
        names = ["input_1"]
        root.create_group("input_1").attrs["weight_names"] = np.array([], dtype="S1")
        for i, kernel in enumerate(source.kernels):
            conv, norm = f"convolution1d_{i + 1}", f"batchnormalization_{i + 1}"
            names += [conv, norm, f"activation_{i + 1}"]
            arrays = {f"{conv}_W": kernel[:, None], f"{conv}_b": source.biases[i]}
            _write_layer(root, conv, arrays)
            arrays = {
                f"{norm}_gamma": source.gammas[i],
                f"{norm}_beta": source.betas[i],
                f"{norm}_running_mean": source.means[i],
                f"{norm}_running_std": source.variances[i],
            }
            _write_layer(root, norm, arrays)
            _write_layer(root, f"activation_{i + 1}", {})
        arrays = {"dense_1_W": source.head[0], "dense_1_b": source.head[1]}
        _write_layer(root, "dense_1", arrays)
        root.attrs["layer_names"] = np.array([*names, "dense_1"], dtype="S32")


def write_keras2(path, source, *, start=1, config=None, listed=True, backend=None):
    """Keras 2: arrays one level deeper, kernels (taps, in, out)."""
    with h5py.File(path, "w") as file:
        root = file
        if config is not None:
            file.attrs["model_config"] = config
            root = file.create_group("model_weights")
        if backend is not None:
            file.attrs["backend"] = backend
        names = []
        for i, kernel in enumerate(source.kernels):
            conv, norm = f"conv1d_{i + start}", f"batch_normalization_{i + start}"
            names += [conv, norm]
            arrays = {f"{conv}/kernel:0": kernel, f"{conv}/bias:0": source.biases[i]}
            _write_layer(root, conv, arrays, listed)
            arrays = {
                f"{norm}/gamma:0": source.gammas[i],
                f"{norm}/beta:0": source.betas[i],
                f"{norm}/moving_mean:0": source.means[i],
                f"{norm}/moving_variance:0": source.variances[i],
            }
            _write_layer(root, norm, arrays, listed)
        dense = f"dense_{start}"
        kernel, bias = source.head
        arrays = {f"{dense}/kernel:0": kernel, f"{dense}/bias:0": bias}
        _write_layer(root, dense, arrays, listed)
        if listed:
            root.attrs["layer_names"] = np.array([*names, dense], dtype="S32")


def _write_layer(root, name, arrays, listed=True):
    group = root.create_group(name)
    for key, array in arrays.items():
        group[key] = array
    if listed:
        group.attrs["weight_names"] = np.array(list(arrays), dtype="S64")


# ------------------------------------------------------------------------------- ONNX


def message(*fields):
    """Protobuf by hand: (number, value) with integers, bytes, text or floats."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def node(kind, inputs, outputs, **attributes):
    fields = [(1, name) for name in inputs] + [(2, name) for name in outputs]
    fields.append((4, kind))
    for key, value in attributes.items():
        if isinstance(value, list):
            parts = [*((8, v) for v in value), (20, 7)]
        else:
            parts = [(2, value), (20, 1)] if isinstance(value, float) else [(3, value)]
            parts += [] if isinstance(value, float) else [(20, 2)]
        fields.append((5, message((1, key), *parts)))
    return 1, message(*fields)


def tensor(name, array):
    shape = [(1, n) for n in array.shape]
    raw = np.ascontiguousarray(array, dtype="<f4").tobytes()
    return 5, message(*shape, (2, 1), (8, name), (9, raw))


def value_info(number, name, shape, kind=1):
    """What goes in (11) or comes out (12): sizes, or names of those that are free."""
    sizes = [(1, message((1 if isinstance(n, int) else 2, n))) for n in shape]
    tensor_type = message((1, kind), (2, message(*sizes)))
    return number, message((1, name), (2, message((1, tensor_type))))


def runnable(*parts):
    """A graph that ONNX Runtime takes."""
    graph = message(*parts, (2, "graph"))
    return message((1, 7), (7, graph), (8, message((1, ""), (2, 11))))


def onnx_bytes(source, *, eps=1e-5, folded=False, by_gemm=True, slope=0.0):
    """A graph as torch exports it: normalisation folded into convolutions, or not."""
    nodes, tensors, flow = [], [], "audio"
    for i, kernel in enumerate(source.kernels):
        weight, bias, k = kernel.transpose(2, 1, 0), source.biases[i], len(kernel)
        parts = source.gammas[i], source.betas[i], source.means[i], source.variances[i]
        if folded:
            scale = parts[0] / np.sqrt(parts[3].astype(float) + eps)
            weight = weight * scale[:, None, None]
            bias = (bias - parts[2]) * scale + parts[1]
        tensors += [tensor(f"w{i}", weight), tensor(f"b{i}", bias)]
        conv = {"strides": [1], "pads": [k // 2] * 2} if i else {}
        conv = conv or {"strides": [k], "pads": [0, 0]}
        nodes.append(node("Conv", [flow, f"w{i}", f"b{i}"], [f"c{i}"], **conv))
        flow = f"c{i}"
        if not folded:
            names = [f"{i}.{part}" for part in "gbmv"]
            tensors += [tensor(n, a) for n, a in zip(names, parts, strict=True)]
            nodes.append(
                node("BatchNormalization", [flow, *names], [f"n{i}"], epsilon=eps)
            )
            flow = f"n{i}"
        leaky = ("LeakyRelu", {"alpha": slope}) if slope else ("Relu", {})
        nodes.append(node(leaky[0], [flow], [f"r{i}"], **leaky[1]))
        flow = f"r{i}"
        if 0 < i < len(source.kernels) - 1:
            nodes.append(
                node("MaxPool", [flow], [f"p{i}"], kernel_shape=[k], strides=[k])
            )
            flow = f"p{i}"
    kernel, bias = source.head
    nodes.append(node("Flatten", [flow], ["flat"]))
    if by_gemm:
        tensors += [tensor("fc.weight", kernel.T), tensor("fc.bias", bias)]
        names = ["flat", "fc.weight", "fc.bias"]
        nodes.append(node("Gemm", names, ["representation"], transB=1, alpha=1.0))
    else:
        tensors += [tensor("fc", kernel), tensor("fc.bias", bias)]
        nodes.append(node("MatMul", ["flat", "fc"], ["m"]))
        nodes.append(node("Add", ["fc.bias", "m"], ["representation"]))
    return message((1, 7), (2, "pytorch"), (7, message(*nodes, *tensors)))


# ------------------------------------------------------------------------------ COALA


def coala_tensors(n_filters=8, prefix="audio_encoder.", seed=0):
    """The state dictionary of COALA's audio encoder, or of its CNN."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator)

    found = {}
    for i in range(5):
        n_in = n_filters if i else 1
        conv, norm = f"{prefix}{4 * i}", f"{prefix}{4 * i + 1}"
        found[f"{conv}.weight"] = draw(n_filters, n_in, 4, 4) / (16 * n_in) ** 0.5
        found[f"{conv}.bias"] = draw(n_filters)
        for part in ("weight", "bias", "running_mean"):
            found[f"{norm}.{part}"] = draw(n_filters)
        found[f"{norm}.running_var"] = draw(n_filters).abs() + 0.5
        found[f"{norm}.num_batches_tracked"] = torch.tensor(3)
    n = 9 * n_filters
    if prefix == "audio_encoder.":
        return found | {"fc_audio.0.weight": draw(n, n)}
    return found | {
        "fc.0.weight": draw(n, n),
        "fc.0.bias": draw(n),
        "fc.2.weight": draw(20, n),
        "fc.2.bias": draw(20),
    }


@pytest.fixture
def published():
    """Writers of files as others published them; see this module."""
    return SimpleNamespace(**globals())


# ------------------------------------------------ tiny networks in our own files


@pytest.fixture(autouse=True)
def forgetful():
    """No test sees what another one embedded."""
    clear_cache()
    yield
    clear_cache()


def seeded(build):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build()


@pytest.fixture(scope="session")
def samplecnn(tmp_path_factory):
    """File of a SampleCNN with 7 layers for segments of 729 samples at 8 kHz."""
    path = tmp_path_factory.mktemp("weights") / "samplecnn.safetensors"
    net = seeded(lambda: SampleCNN(4, sizes=(3,) * 6, width=0.1))
    save_weights(net, path, sr=8000)
    return path


@pytest.fixture(scope="session")
def coala(tmp_path_factory):
    """File of a COALA encoder with 2 filters, 18 features, at 22 kHz."""
    path = tmp_path_factory.mktemp("weights") / "coala.safetensors"
    save_weights(seeded(lambda: CoalaAudioEncoder(n_filters=2)), path, sr=22000)
    return path


@pytest.fixture(scope="session")
def clips():
    """Waveforms of different lengths at 8 kHz, the first two shorter than segments."""
    rng = np.random.default_rng(0)
    lengths = (1, 500, 729, 730, 2000, 2000, 8000)
    return [rng.uniform(-0.5, 0.5, n).astype(np.float32) for n in lengths]


def tiny_samplecnn(*sizes):
    """Path of a small SampleCNN, the same in every process: tests are named by it."""
    folder = Path(tempfile.gettempdir(), "skaudio-tests")
    folder.mkdir(exist_ok=True)
    path = folder / f"samplecnn-{'-'.join(map(str, sizes))}.safetensors"
    if not path.exists():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = SampleCNN(4, sizes=sizes, width=0.05, dropout=0.0)
        save_weights(network, path, sr=22050)
    return str(path)
