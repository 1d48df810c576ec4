"""Embeddings of clips by networks that were trained before."""

from skaudio.embedding._hear import HEARModel
from skaudio.embedding._pretrained import PretrainedEmbedder
from skaudio.embedding._weights import save_weights

__all__ = ["HEARModel", "PretrainedEmbedder", "save_weights"]
