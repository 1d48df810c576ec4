"""Shared utilities: the lowest layer, importing nothing else of the package."""
