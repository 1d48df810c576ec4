"""Embeddings: clips as tables of what networks have learned to hear."""

from skaudio._weights._save import save_weights
from skaudio.embedding._hear import HEARModel
from skaudio.embedding._layers import LayerEmbedder
from skaudio.embedding._pretrained import PretrainedEmbedder
from skaudio.embedding._probe import make_probe

__all__ = [
    "HEARModel",
    "LayerEmbedder",
    "PretrainedEmbedder",
    "make_probe",
    "save_weights",
]
