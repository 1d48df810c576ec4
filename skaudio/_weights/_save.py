"""Networks to files of our own, from which `read_weights` makes equal ones."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from skaudio._utils._files import replacing
from skaudio._utils._text import shortened
from skaudio._weights._coala import in_authors_layout
from skaudio._weights._families import networks
from skaudio._weights._read import HEADER, Pretrained

LAYOUTS = "skaudio", "coala"


def save_weights(
    source: Any,
    path: str | os.PathLike[str],
    *,
    sr: float | None = None,
    layout: str = "skaudio",
) -> None:
    """Write a network to a file that `PretrainedEmbedder` reads.

    Parameters
    ----------
    source : Module, fitted CoalaEmbedder or Pretrained
        A `SampleCNN`, `CoalaAudioEncoder` or `CoalaCNN` of `skaudio.nn`, such as
        ``net_.module_.network`` of a fitted classifier; or what the reader of weights
        gave. Of a fitted `CoalaEmbedder`, its audio encoder with the scaling of
        patches.
    path : str or path-like
        File to write, by convention ending in ``.safetensors``. For a fitted
        `CoalaEmbedder` and the layout "coala" a folder, which is made if need be.
    sr : float, default=None
        Rate in Hz of the waveforms that the network takes. A module does not store it,
        so it is required there; otherwise None keeps that of `source`.
    layout : {"skaudio", "coala"}, default="skaudio"
        Form of the file. "skaudio" are safetensors. "coala" are the files that the
        code of COALA's authors reads, a state dictionary of torch per network; of a
        fitted embedder ``audio_encoder.pt``, ``tag_encoder.pt``, decoders if they were
        trained, ``scaler.pkl``, and ``id2token.json`` with the tags, which
        `CoalaEmbedder.from_weights` reads as well.

    Raises
    ------
    ValueError
        If the rate is not known.
    TypeError
        If the network is of another class.

    Warns
    -----
    UserWarning
        If an embedder was fitted on another spectrogram than that of `CoalaView`:
        whoever reads the file computes the latter.

    See Also
    --------
    PretrainedEmbedder : Embeds clips with the file.
    skaudio.persistence.save : Keeps everything of an estimator.

    Examples
    --------
    >>> import os, tempfile
    >>> from skaudio.embedding import save_weights
    >>> from skaudio.nn import SampleCNN
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "small.safetensors")
    ...     save_weights(SampleCNN(4, sizes=(3,) * 5, width=0.1), path, sr=22050)
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {LAYOUTS}; got {layout!r}.")
    if hasattr(source, "_networks_to_save"):
        networks, rate, files = source._networks_to_save()
        if layout == "coala":
            _save_folder(Path(path), networks, files)
            return
        source, sr = networks["audio_encoder"], sr or rate
    network = source.network if isinstance(source, Pretrained) else source
    if layout == "coala":
        _save_torch(Path(path), network)
        return
    if sr is None and isinstance(source, Pretrained):
        sr = source.sr
    config = _config_of(network)
    if sr is None:
        raise ValueError("A module has no rate: pass sr= in Hz.")
    name = source.layout if isinstance(source, Pretrained) else layout
    about = {
        "network": type(network).__name__,
        "layout": name,
        "sr": float(sr),
        "arguments": config,
    }
    _save_safetensors(Path(path), network, about)


def _save_folder(
    folder: Path, networks: dict[str, nn.Module], files: dict[str, bytes]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, network in networks.items():
        _save_torch(folder / f"{name}.pt", network)
    for name, content in files.items():
        with replacing(folder / name) as part:
            part.write_bytes(content)


def _save_torch(path: Path, network: nn.Module) -> None:
    tensors = OrderedDict(in_authors_layout(network))
    with replacing(path) as part:  # as torch 1.3 wrote it, which theirs was
        torch.save(tensors, part, _use_new_zipfile_serialization=False)


def _save_safetensors(path: Path, network: nn.Module, about: dict[str, Any]) -> None:
    from safetensors.torch import save as to_bytes

    tensors = {name: t.cpu().contiguous() for name, t in network.state_dict().items()}
    with replacing(path) as part:
        part.write_bytes(to_bytes(tensors, metadata={HEADER: json.dumps(about)}))


def _config_of(network: nn.Module) -> dict[str, Any]:
    """Arguments of the constructor that make an equal network."""
    if networks().get(type(network).__name__) is not type(network):
        raise TypeError(
            f"Cannot save a {type(network).__name__}: expected {shortened(networks())}."
        )
    for name, part in network.named_modules():
        if name.endswith(".norm") and isinstance(part, nn.Identity):
            raise TypeError(
                f"This {type(network).__name__} is a folded copy, whose batch "
                "normalisation is part of its convolutions: save the network that it "
                "was made from."
            )
    config: Any = network.config
    return dict(config)
