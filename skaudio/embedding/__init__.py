"""Embeddings: clips as tables of what networks have learned to hear."""

from skaudio.embedding._layers import LayerEmbedder
from skaudio.embedding._probe import make_probe

__all__ = ["LayerEmbedder", "make_probe"]
