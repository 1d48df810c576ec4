"""Files of weights that are damaged, or take much more than their size."""

import io
import json
import struct
import zipfile

import h5py
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes

from skaudio._weights._formats import read_arrays
from skaudio._weights._onnx import UnfitGraph
from skaudio._weights._read import read_weights
from skaudio._weights._save import save_weights
from skaudio.nn import SampleCNN

ABOVE = r"weights.* takes what the file holds above \d+ bytes"
SIZES, FILTERS = (3, 3, 3), (4, 4, 4, 4)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights"


@pytest.fixture
def source(published):
    return published.make_source(SIZES, FILTERS)


def sample_cnn(n):
    with torch.random.fork_rng(devices=[]):
        return SampleCNN(4, sizes=(3,) * n, width=0.1)


def refused(path, match):
    with pytest.raises(ValueError, match=match) as caught:
        read_weights(path)
    assert type(caught.value) is ValueError
    assert "weights" in str(caught.value)  # the name of the file


# -------------------------------------------------------------------------- torch


@pytest.mark.parametrize("with_checksums", [True, False])
def test_checksums_of_archives(with_checksums, published, source, path):
    """A changed weight, which torch does not notice: it may have left them out."""
    tensors = published.ky(source)
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(with_checksums)
    try:
        torch.save(tensors, path)
    finally:
        torch.serialization.set_crc32_options(before)
    read_weights(path)
    content = bytearray(path.read_bytes())
    content[content.find(tensors["fc.weight"].numpy().tobytes())] ^= 1
    path.write_bytes(content)
    if with_checksums:
        refused(path, r"cut short or damaged.*the checksum of .* is wrong")
    else:
        read_weights(path)


def text(x):
    return b"X" + struct.pack("<I", len(x)) + x.encode()


def number(n):
    return b"J" + struct.pack("<i", n)


def tensor(shape, strides, numel=4):
    def several(numbers):
        return b"(" + b"".join(map(number, numbers)) + b"t"

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0")
    storage += text("cpu") + number(numel) + b"tQ"
    rest = b"K\x00" + several(shape) + several(strides)
    head = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return head + storage + rest + b"\x89ccollections\nOrderedDict\n)RtR"


def archive(path, program, compression=zipfile.ZIP_STORED, **more):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", program)
        file.writestr("archive/byteorder", "little")
        file.writestr("archive/version", "3\n")
        file.writestr("archive/data/0", bytes(16))
        for name, content in more.items():
            file.writestr(name, content)


def holding(**values):
    pairs = (text(key) + value for key, value in values.items())
    return b"\x80\x02}(" + b"".join(pairs) + b"u."


def test_tensors_that_repeat_four_values(path):
    archive(path, holding(weight=tensor((8000, 8000), (0, 0))))
    refused(path, ABOVE)
    archive(path, holding(weight=tensor((2, 2), (2, 1))))
    refused(path, "No known layout")  # it is read


CALLS = {
    "bytearray": b"cbuiltins\nbytearray\n(" + number(2_000_000_000) + b"tR",
    "torch.Tensor": b"ctorch\nTensor\n(" + number(10**9) + b"tR",
    "torch.FloatStorage": b"ctorch\nFloatStorage\n(" + number(10**9) + b"tR",
    "_rebuild_meta_tensor": (
        b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n(ctorch\nfloat32\n"
        b"(K\x01t(K\x01t\x89tR"
    ),
    "_codecs.encode": b"c_codecs\nencode\n(" + text("ab") + text("punycode") + b"tR",
}


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("what", CALLS)
def test_calls_that_weights_have_no_need_of(what, is_zip, path):
    program = holding(weight=CALLS[what])
    if is_zip:
        archive(path, program)
    else:
        path.write_bytes(program + b"\x80\x02N." * 4)
    refused(path, rf"more than weights.* Nothing was executed.*it calls .*{what}")


def test_a_pickle_that_is_an_archive_as_well(path):
    """torch goes by the first bytes, and so does what goes through it before."""
    program = holding(weight=CALLS["bytearray"]) + b"\x80\x02N." * 4
    archive(path, holding())
    path.write_bytes(program + path.read_bytes())
    refused(path, r"it calls .*bytearray")


@pytest.mark.parametrize("name", ["archive/DATA.PKL", "archive/data.pkl\0"])
def test_programs_are_found_by_any_name(path, name):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", holding())
        file.writestr("archive/dAta.pkl", holding(weight=CALLS["bytearray"]))
    content = path.read_bytes().replace(b"archive/dAta.pkl", name.encode()[:16])
    path.write_bytes(content)
    refused(path, r"it calls .*bytearray|damaged")


def test_archives_that_unpack_to_much(path):
    zeros = bytes(2**25)
    archive(path, holding(), zipfile.ZIP_DEFLATED, **{"archive/data/1": zeros})
    assert path.stat().st_size < 2**16
    refused(path, ABOVE)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.pt", zeros)
    refused(path, r"holds too much: 'x\.pt' takes what .*unpack it yourself")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("scale_.npy", zeros)
    with pytest.raises(ValueError, match=ABOVE):
        read_arrays(path.read_bytes(), "weights")


def test_an_encrypted_member_is_damage(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.pt", b"abc")
    content = bytearray(path.read_bytes())
    for magic, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.find(magic) + at] |= 1
    path.write_bytes(content)
    refused(path, "weights is damaged, or holds too much: .*encrypted")


def test_sets_and_counts_of_training_tools_are_read(published, source, path):
    content = {"state_dict": published.ky(source), "seen": {1, 2}}
    for is_zip in (True, False):
        torch.save(content, path, _use_new_zipfile_serialization=is_zip)
        assert read_weights(path).layout == "sampleCNN-pytorch"


# -------------------------------------------------------------------------- Keras


def test_hdf5_without_the_numbers(path):
    """Chunks that were never written are zeros, which take no place in the file."""
    with h5py.File(path, "w") as file:
        file.create_group("conv1d_1").create_dataset(
            "kernel", (300_000_000,), "f4", chunks=(2**20,), compression="gzip"
        )
    refused(path, ABOVE)


def test_hdf5_with_a_thousand_million_paths(path):
    with h5py.File(path, "w") as file:
        last = file.create_group("leaf")
        last.create_dataset("kernel", (1,), "f4")
        for level in range(9):
            group = file.create_group(f"level{level}")
            for i in range(10):
                group[f"name{i}"] = last
            last = group
        for name in ["leaf", *(f"level{i}" for i in range(8))]:
            del file[name]
    refused(path, "another name of what was read before")


def test_hdf5_in_circles(path):
    with h5py.File(path, "w") as file:
        group = file.create_group("a")
        group["itself"] = group
    refused(path, "another name of what was read before")
    with h5py.File(path, "w") as file:
        file["a"] = h5py.SoftLink("/b")
        file["b"] = h5py.SoftLink("/a")
    refused(path, "looks like HDF5, but is cut short, damaged")


def test_hdf5_of_several_files(path, tmp_path, published, source):
    """HDF5 would open any file that is named in it."""
    other = tmp_path / "other.h5"
    published.write_keras2(other, source)
    with h5py.File(path, "w") as file:
        file["conv1d_1"] = h5py.ExternalLink(str(other), "conv1d_1")
    refused(path, "'conv1d_1' lies in another file")
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((2, 2), "f4")
        layout[:] = h5py.VirtualSource(str(other), "x", (2, 2))
        file.create_group("conv1d_1").create_virtual_dataset("kernel", layout)
    refused(path, "'kernel' lies in another file")


@pytest.mark.parametrize(
    "dtype", [h5py.string_dtype(), h5py.ref_dtype, [("a", "f4")], "c8"]
)
def test_hdf5_of_something_else(dtype, path):
    with h5py.File(path, "w") as file:
        file.create_group("conv1d_1").create_dataset("kernel", (3,), dtype)
    refused(path, "'kernel' is no array of numbers")


@pytest.mark.parametrize(
    "config", ["{", "[" * 100_000, '{"epsilon": --}', '{"epsilon": 1e999}']
)
def test_damaged_descriptions_of_keras(config, path, published, source):
    published.write_keras2(path, source, config=config)
    refused(path, "weights ")


# --------------------------------------------------------------------------- ONNX


def test_onnx_of_long_integers_and_many_nodes(path, published):
    path.write_bytes(b"\x08" + b"\xff" * 100_000 + b"\x01")
    refused(path, "taken for ONNX.*more than 64 bits")
    graph = published.message(published.node("Relu", [], [])) * 10_001
    path.write_bytes(published.message((1, 7), (7, graph)))
    with pytest.raises(UnfitGraph, match="weights is an ONNX graph with 10001 nodes"):
        read_weights(path)


def test_onnx_with_one_array_for_all(path, published):
    """Each use takes memory again."""
    array = published.tensor("w", np.zeros((4, 1, 2**17)))
    node = published.node(
        *("Conv", ["x", "w", "w"], ["y"]), strides=[2**17], pads=[0, 0]
    )
    nodes = [node] + [
        published.node(
            *("Conv", ["x", "w", "w"], ["y"]), strides=[1], pads=[2**16, 2**16]
        )
    ] * 60
    path.write_bytes(published.message((1, 7), (7, published.message(*nodes, array))))
    refused(path, ABOVE)


def test_a_changed_byte_is_a_network_or_a_ValueError(path, published, source):
    files = {}
    torch.save(published.ky(source), path)
    files["zip"] = path.read_bytes()
    torch.save(published.ky(source), path, _use_new_zipfile_serialization=False)
    files["legacy"] = path.read_bytes()
    published.write_keras2(path, source)
    files["keras"] = path.read_bytes()
    files["onnx"] = published.onnx_bytes(source)
    save_weights(sample_cnn(3), path, sr=8000)
    files["own"] = path.read_bytes()
    rng = np.random.default_rng(0)
    for content in files.values():
        n_refused = 0
        for _ in range(60):
            changed = bytearray(content)
            place = int(rng.integers(min(len(content), 600)))
            changed[place] = int(rng.integers(256))
            path.write_bytes(changed[:place] if rng.integers(3) == 0 else changed)
            try:
                read_weights(path)
            except ValueError:  # and nothing else
                n_refused += 1
        assert n_refused > 15


# ----------------------------------------------------------------------- our own files


def own(path, **changes):
    network = sample_cnn(5)
    save_weights(network, path, sr=8000)
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["skaudio_network"])
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    arguments = about["arguments"] | changes.pop("arguments", {})
    header = json.dumps({**about, "arguments": arguments, **changes})
    path.write_bytes(to_bytes(tensors, metadata={"skaudio_network": header}))


@pytest.mark.parametrize(
    "sr", [0, -1, 1e-300, 1e-3, 1e12, float("nan"), float("inf"), "abc", None, [1]]
)
def test_rates_of_no_sound(sr, path):
    own(path, sr=sr)
    refused(path, "weights has a description that is damaged")


ARGUMENTS = [
    *[{"norm_eps": v} for v in (float("nan"), -1e9, 0, "x", None)],
    *[{"first_padding": v} for v in (10**9, -5, "x")],
    *[{"sizes": v} for v in ([3] * 20_000, [10**9] * 5, [0] * 5, "33333", 3)],
    *[{"filters": v} for v in ([10**9] * 6, [4], "x")],
    *({"width": 1e9}, {"dropout": 7}, {"n_outputs": 10**9}, {"zzz": 1}),
    *({"even_padding": "x"}, {"top_kernel": 10**12 + 1}),
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids="{0!s:.40}".format)
def test_arguments_that_tensors_do_not_give(arguments, path):
    own(path, arguments=arguments)
    refused(path, "weights (has a description|cannot be used)")


def test_variances_below_zero(path):
    network = sample_cnn(5)
    network.blocks[1].norm.running_var[0] = -1
    save_weights(network, path, sr=8000)
    refused(path, r"running_var holds variances below 0")


@pytest.mark.parametrize("shape", ["(10**12,)", "(1000000000000,)", "(-1,)", "('a',)"])
def test_arrays_that_claim_another_shape(shape):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".ljust(117)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        content = b"\x93NUMPY\x01\x00v\x00" + head.encode() + b"\n" + bytes(16)
        file.writestr("scale_.npy", content)
    with pytest.raises(ValueError, match=r"scaler is no readable \.npz file"):
        read_arrays(stream.getvalue(), "scaler")


def test_folders_and_pipes_are_no_weights(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a directory"):
        read_weights(tmp_path)
    with pytest.raises(OSError, match="a device, pipe or socket"):
        read_weights("/dev/null")


def test_a_member_without_a_name(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x", b"abc")
    content = path.read_bytes().replace(b"x", b"\0")
    path.write_bytes(content)
    refused(path, "weights ")


def test_numbers_that_numpy_lacks():
    content = to_bytes({"scale_": torch.zeros(96, dtype=torch.bfloat16)})
    with pytest.raises(ValueError, match="scaler has numbers of another type"):
        read_arrays(content, "scaler")
