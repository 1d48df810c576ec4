"""Public files of weights to networks, and networks to files of our own."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skaudio._safe_pickle import HeldState, load_pickle
from skaudio._utils._files import replacing
from skaudio._weights._formats import (
    WeightFile,
    open_weights,
    read_arrays,
    shortened,
)
from skaudio._weights._keras import read_keras
from skaudio._weights._layouts import NETWORKS, Weights, build, recognise
from skaudio._weights._onnx import read_onnx
from skaudio.nn.coala import PatchEncoder
from skaudio.nn.samplecnn import SampleCNN

HEADER = "skaudio_network"  # metadata of our files of weights
ESTIMATOR_HEADER = "skaudio"  # of skaudio.persistence, which is another kind of file
SCALER_CLASSES = [  # by version of scikit-learn
    f"sklearn.preprocessing.{module}.MinMaxScaler" for module in ("_data", "data")
]
SCALER_ADDRESS = "scaler_top_1000.pkl in https://github.com/xavierfav/coala"


@dataclass(frozen=True)
class Pretrained:
    """A network from a file of weights.

    Parameters
    ----------
    network : Module
        `SampleCNN`, `CoalaAudioEncoder` or `CoalaCNN`, in eval mode on the CPU. A
        SampleCNN whose file has no output layer gives the top activations instead.
    kind : {"samplecnn", "coala"}
        What it takes: waveforms, or patches of a spectrogram.
    layout : str
        The code base that the names of tensors are from.
    sr : float
        Rate in Hz that the published weights were trained at.
    fingerprint : str
        SHA-256 of the file, in hexadecimal; with a scaler, "+" and that of its file.

    See Also
    --------
    read_weights : Make one of a file.

    Examples
    --------
    >>> import os, tempfile
    >>> from skaudio._weights._files import read_weights, save_weights
    >>> from skaudio.nn import SampleCNN
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "small.safetensors")
    ...     save_weights(SampleCNN(4, sizes=(3,) * 5, width=0.1), path, sr=22050)
    ...     pretrained = read_weights(path)
    >>> pretrained.layout, pretrained.sr, len(pretrained.fingerprint)
    ('skaudio', 22050.0, 64)
    """

    network: nn.Module
    kind: str
    layout: str
    sr: float
    fingerprint: str


def read_weights(
    path: str | os.PathLike[str],
    *,
    scaler: str | os.PathLike[str] | None = None,
    sha256: str | None = None,
) -> Pretrained:
    """Read a file of weights, recognise whose it is, and make the network.

    Nothing in the file is executed.

    Parameters
    ----------
    path : str or path-like
        File of torch (``.pt``, ``.pth``, ``.ckpt``, or one of these in a ``.zip``),
        safetensors, Keras (HDF5) or ONNX. The name does not matter.
    scaler : str or path-like, default=None
        For COALA only, which needs it: the authors' ``scaler_top_1000.pkl``, or a
        ``.npz`` or safetensors file with arrays ``scale_`` and ``min_``.
    sha256 : str, default=None
        Expected SHA-256 of the file, in hexadecimal; None takes any file.

    Returns
    -------
    pretrained : Pretrained
        The network and where it is from.

    Raises
    ------
    ValueError
        If the file is not the expected one, or nothing that is known: the message says
        what it looks like.

    See Also
    --------
    save_weights : Write a network to a file of our own.

    Notes
    -----
    Filters, their number and their lengths are read from shapes. What shapes do not
    tell is taken from the code that wrote the file: the rate, where zeros are padded,
    and that pooling windows and strides are as long as filters.

    Examples
    --------
    >>> import os, tempfile
    >>> from skaudio._weights._files import read_weights, save_weights
    >>> from skaudio.nn import SampleCNN
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "small.safetensors")
    ...     save_weights(SampleCNN(4, sizes=(3,) * 5, width=0.1), path, sr=22050)
    ...     pretrained = read_weights(path)
    >>> pretrained.kind, pretrained.network.n_samples
    ('samplecnn', 243)
    """
    path = Path(path)
    content = path.read_bytes()
    fingerprint = hashlib.sha256(content).hexdigest()
    if sha256 is not None and fingerprint != sha256.lower():
        raise ValueError(
            f"{path.name} has SHA-256 {fingerprint}; expected {sha256.lower()}. "
            "Nothing was loaded. It is another version of the file, or damaged."
        )
    weights = _weights_of(open_weights(content, path.name), path.name)
    network = build(weights)
    if isinstance(network, PatchEncoder):
        if scaler is not None:
            scaling, digest = _read_scaler(Path(scaler))
            network.scaling.load_state_dict(scaling)
            fingerprint += f"+{digest}"
        elif "scaling.scale" not in weights.tensors:
            raise ValueError(
                f"{path.name} is COALA's, whose patches are scaled first: pass "
                f"scaler=, the path of {SCALER_ADDRESS}."
            )
    elif scaler is not None:
        raise ValueError(
            f"scaler={os.fspath(scaler)!r} goes with COALA's weights, but {path.name} "
            f"is a SampleCNN ({weights.layout}), which takes waveforms as they are."
        )
    kind = "coala" if isinstance(network, PatchEncoder) else "samplecnn"
    return Pretrained(network, kind, weights.layout, weights.sr, fingerprint)


def _weights_of(file: WeightFile, name: str) -> Weights:
    if file.format == "hdf5":
        return read_keras(file.content, name)
    if file.format == "onnx":
        return read_onnx(file.content, name)
    if HEADER in file.metadata:
        return _own_weights(file, name)
    if ESTIMATOR_HEADER in file.metadata:
        raise ValueError(
            f"{name} is an estimator of skaudio, not weights alone: load it with "
            "skaudio.persistence.load, and embed with LayerEmbedder."
        )
    return recognise(file.tensors, file.is_lightning)


def _own_weights(file: WeightFile, name: str) -> Weights:
    about = json.loads(file.metadata[HEADER])
    if about.get("network") not in NETWORKS:
        raise ValueError(
            f"{name} holds a network {about.get('network')!r}; this version of skaudio "
            f"knows {shortened(NETWORKS)}."
        )
    return Weights(
        about["layout"],
        about["sr"],
        file.tensors,
        network=about["network"],
        arguments=about["arguments"],
    )


def _read_scaler(path: Path) -> tuple[dict[str, Tensor], str]:
    """Buffers of `PatchScaling`, and the SHA-256 of the file."""
    content = path.read_bytes()
    if content[:1] == b"\x80":
        held = load_pickle(io.BytesIO(content), classes=SCALER_CLASSES)
        arrays = held.state if isinstance(held, HeldState) else held
    else:
        arrays = read_arrays(content, path.name)
    if not isinstance(arrays, Mapping):
        raise ValueError(
            f"{path.name} holds a {type(arrays).__name__}; wanted the MinMaxScaler of "
            f"{SCALER_ADDRESS}."
        )
    found = {}
    for ours, theirs in (("scale", "scale_"), ("minimum", "min_")):
        array = np.asarray(arrays.get(theirs, ()))
        if array.shape != (96,) or array.dtype.kind != "f":
            raise ValueError(
                f"{path.name} has {theirs} of shape {array.shape} and type "
                f"{array.dtype}; wanted 96 floats, one per frame of a patch, as in "
                f"{SCALER_ADDRESS}."
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{path.name} has NaN or infinity in {theirs}.")
        found[ours] = torch.from_numpy(array.astype(np.float32))
    return found, hashlib.sha256(content).hexdigest()


def save_weights(
    source: Pretrained | nn.Module,
    path: str | os.PathLike[str],
    *,
    sr: float | None = None,
) -> None:
    """Write a network to a safetensors file that `PretrainedEmbedder` reads.

    Parameters
    ----------
    source : Pretrained or Module
        A `SampleCNN`, `CoalaAudioEncoder` or `CoalaCNN` of `skaudio.nn`, such as
        ``net_.module_`` of a fitted classifier; or what the reader of weights gave.
    path : str or path-like
        File to write, by convention ending in ``.safetensors``.
    sr : float, default=None
        Rate in Hz of the waveforms that the network takes. A module does not know it,
        so it is required there; otherwise None keeps that of `source`.

    Raises
    ------
    ValueError
        If the rate is not known.
    TypeError
        If the network is of another class.

    See Also
    --------
    PretrainedEmbedder : Embeds clips with the file.

    Examples
    --------
    >>> import os, tempfile
    >>> from skaudio.embedding import save_weights
    >>> from skaudio.nn import SampleCNN
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "small.safetensors")
    ...     save_weights(SampleCNN(4, sizes=(3,) * 5, width=0.1), path, sr=22050)
    """
    from safetensors.torch import save as to_bytes

    network = source.network if isinstance(source, Pretrained) else source
    layout = source.layout if isinstance(source, Pretrained) else "skaudio"
    if sr is None and isinstance(source, Pretrained):
        sr = source.sr
    if sr is None:
        raise ValueError("A module does not know its rate: pass sr= in Hz.")
    about = {
        "network": type(network).__name__,
        "layout": layout,
        "sr": float(sr),
        "arguments": _arguments(network),
    }
    tensors = {name: t.cpu().contiguous() for name, t in network.state_dict().items()}
    with replacing(path) as part:
        part.write_bytes(to_bytes(tensors, metadata={HEADER: json.dumps(about)}))


def _arguments(network: nn.Module) -> dict[str, Any]:
    """Arguments of the constructor that make an equal network."""
    if type(network) is SampleCNN:
        return _arguments_of_samplecnn(network)
    if type(network).__name__ not in NETWORKS:
        raise TypeError(
            f"Cannot save a {type(network).__name__}: expected {shortened(NETWORKS)}."
        )
    return {"n_filters": network.get_submodule("blocks.0.conv").out_channels}


def _arguments_of_samplecnn(network: SampleCNN) -> dict[str, Any]:
    blocks: list[Any] = list(network.blocks)
    if not all(isinstance(block.norm, nn.BatchNorm1d) for block in blocks):
        raise TypeError("Save the network itself, not a folded copy of it.")
    *sizes, top_kernel = (block.conv.kernel_size[0] for block in blocks)
    first, *others = (getattr(block, "pad", None) for block in blocks)
    starts = [pad.padding[0] > pad.padding[1] for pad in others if pad is not None]
    return {
        "sizes": sizes,
        "filters": [block.conv.out_channels for block in blocks],
        "top_kernel": top_kernel,
        "first_padding": 0 if first is None else first.padding[0],
        "norm_eps": blocks[0].norm.eps,
        "even_padding": "start" if any(starts) else "end",
    }
