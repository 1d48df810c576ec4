"""Embeddings of clips by networks that were trained before."""

from skaudio.embedding._pretrained import PretrainedEmbedder

__all__ = ["PretrainedEmbedder"]
