"""Embeddings: a row of features per clip, computed by a trained network."""

from skaudio._weights._save import save_weights
from skaudio.embedding._autoencoder import AutoencoderEmbedder
from skaudio.embedding._coala import CoalaEmbedder
from skaudio.embedding._hear_model import HEARModel
from skaudio.embedding._layers import LayerEmbedder
from skaudio.embedding._pretrained import PretrainedEmbedder
from skaudio.embedding._probe import make_probe
from skaudio.embedding._probe_table import probe_table
from skaudio.embedding._published import (
    describe_weights,
    fetch_weights,
    list_weights,
)
from skaudio.embedding._separation import separation_table

__all__ = [
    "AutoencoderEmbedder",
    "CoalaEmbedder",
    "HEARModel",
    "LayerEmbedder",
    "PretrainedEmbedder",
    "describe_weights",
    "fetch_weights",
    "list_weights",
    "make_probe",
    "probe_table",
    "save_weights",
    "separation_table",
]
