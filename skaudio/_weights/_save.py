"""Networks to files of our own, from which `read_weights` makes equal ones."""

from __future__ import annotations

import json
import os
from typing import Any

from torch import nn

from skaudio._utils._files import replacing
from skaudio._utils._text import shortened
from skaudio._weights._families import networks
from skaudio._weights._read import HEADER, Pretrained


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
        ``net_.module_.network`` of a fitted classifier; or what the reader of weights
        gave.
    path : str or path-like
        File to write, by convention ending in ``.safetensors``.
    sr : float, default=None
        Rate in Hz of the waveforms that the network takes. A module does not store it,
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
        raise ValueError("A module has no rate: pass sr= in Hz.")
    about = {
        "network": type(network).__name__,
        "layout": layout,
        "sr": float(sr),
        "arguments": _config_of(network),
    }
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
