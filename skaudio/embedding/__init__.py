"""Embeddings of sounds by networks that were trained elsewhere."""

__all__: list[str] = []
