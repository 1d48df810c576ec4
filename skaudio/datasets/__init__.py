"""Sounds to learn from: synthetic events, your own files, published data sets."""

from skaudio.datasets._synthetic import make_sounds

__all__ = ["make_sounds"]
