"""Files of weights to networks, whoever wrote them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from skaudio._utils._files import size_of_file
from skaudio._utils._text import shortened
from skaudio._weights._build import build
from skaudio._weights._families import family_of, networks, recognise, with_scaler
from skaudio._weights._formats import WeightFile, open_weights
from skaudio._weights._keras import read_keras
from skaudio._weights._layouts import Family, Weights
from skaudio._weights._onnx import UnfitGraph, read_onnx

MIN_SR, MAX_SR = 100, 1_000_000  # Hz, of networks on sound
HEADER = "skaudio_network"  # metadata of our files of weights
ESTIMATOR_HEADER = "skaudio"  # of skaudio.persistence, which is another kind of file


@dataclass(frozen=True)
class Pretrained:
    """A network from a file of weights.

    Parameters
    ----------
    network : Module
        One of `skaudio.nn`, in eval mode on the CPU. A SampleCNN whose file has no
        output layer gives the top activations instead.
    kind : str
        Its family, which determines its input: waveforms, or patches of a spectrogram.
    layout : str
        The code base that the names of tensors are from.
    sr : float
        Rate in Hz that the published weights were trained at; NaN if it is not known.
    fingerprint : str
        SHA-256 of the file, in hexadecimal; with a scaler, "+" and that of its file.

    See Also
    --------
    read_weights : Make one of a file.

    Examples
    --------
    >>> import os, tempfile
    >>> from skaudio._weights._read import read_weights
    >>> from skaudio._weights._save import save_weights
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
    network_params: Mapping[str, Any] | None = None,
) -> Pretrained:
    """Read a file of weights, recognise its layout, and make the network.

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
    network_params : mapping, default=None
        Arguments of the network's constructor that no tensor shows, where they are not
        those of the code base that the layout is from.

    Returns
    -------
    pretrained : Pretrained
        The network and where it is from.

    Raises
    ------
    ValueError
        If the file is not the expected one, or of no known kind: the message describes
        what it looks like. Of a whole ONNX graph of another network, `UnfitGraph`.

    See Also
    --------
    save_weights : Write a network to a file of our own.

    Notes
    -----
    Filters, their number and their lengths are read from shapes. What does not
    follow from them is taken from the code that wrote the file: the rate, where zeros
    are padded, the slope of rectifiers, and that pooling windows and strides are as
    long as filters.

    Examples
    --------
    >>> import os, tempfile
    >>> from skaudio._weights._read import read_weights
    >>> from skaudio._weights._save import save_weights
    >>> from skaudio.nn import SampleCNN
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "small.safetensors")
    ...     save_weights(SampleCNN(4, sizes=(3,) * 5, width=0.1), path, sr=22050)
    ...     pretrained = read_weights(path)
    >>> pretrained.kind, pretrained.network.n_samples
    ('samplecnn', 243)
    """
    path = Path(path)
    size_of_file(path)
    content = path.read_bytes()
    fingerprint = hashlib.sha256(content).hexdigest()
    if sha256 is not None and fingerprint != sha256.lower():
        raise ValueError(
            f"{path.name} has SHA-256 {fingerprint}; expected {sha256.lower()}. "
            "Nothing was loaded. It is another version of the file, or damaged."
        )
    try:
        weights = _weights_of(open_weights(content, path.name), path.name)
        family = family_of(weights.network)
        network = build(weights, family, network_params)
    except ImportError:
        raise
    except UnfitGraph as unfit:
        unfit.content, unfit.fingerprint = content, fingerprint
        raise
    except Exception as error:  # damaged files fail in any way
        if type(error) is ValueError and path.name in str(error):
            raise
        raise ValueError(f"{path.name} cannot be used: {error}") from error
    digest = _set_scaler(family, network, scaler, weights, path.name)
    if digest:
        fingerprint += f"+{digest}"
    return Pretrained(network, family.kind, weights.layout, weights.sr, fingerprint)


def _set_scaler(
    family: Family,
    network: nn.Module,
    path: str | os.PathLike[str] | None,
    weights: Weights,
    name: str,
) -> str:
    """Put the values of a scaler's file into the network; SHA-256 of that file."""
    scaler = family.scaler
    if scaler is None:
        if path is None:
            return ""
        users = " and ".join(f"{title}'s" for title in with_scaler())
        raise ValueError(
            f"scaler={os.fspath(path)!r} goes with {users} weights, but {name} is a "
            f"{family.title} ({weights.layout}), which needs none."
        )
    if path is not None:
        values, digest = scaler.read(Path(path))
        network.get_submodule(scaler.module).load_state_dict(values)
        return digest
    if not any(tensor.startswith(f"{scaler.module}.") for tensor in weights.tensors):
        raise ValueError(
            f"{name} is {family.title}'s, whose input is scaled first: pass scaler=, "
            f"the path of {scaler.address}."
        )
    return ""


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
    try:
        about = json.loads(file.metadata[HEADER])
        known = networks().get(about["network"])
        arguments = dict(about["arguments"])
        layout, sr = about["layout"], about["sr"]
        _check_stated(sr, arguments)
    except Exception as error:  # damaged files fail in any way
        raise ValueError(
            f"{name} has a description that is damaged ({type(error).__name__}: "
            f"{error}). Get it anew, or save it again."
        ) from error
    if known is None:
        raise ValueError(
            f"{name} holds a network {about['network']!r}; this version of skaudio "
            f"supports {shortened(networks())}."
        )
    return Weights(str(layout), float(sr), file.tensors, {}, arguments, network=known)


def _check_stated(sr: Any, arguments: dict[str, Any]) -> None:
    """Refuse numbers that follow from no tensor, where they ask for much."""
    if not MIN_SR <= float(sr) <= MAX_SR:
        raise ValueError(f"sr is {sr!r}; wanted {MIN_SR} to {MAX_SR} Hz")
    dropout = arguments.get("dropout", 0)
    if not 0 <= dropout <= 1:
        raise ValueError(f"dropout is {dropout!r}; wanted a number from 0 to 1")
