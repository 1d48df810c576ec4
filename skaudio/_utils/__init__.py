"""Shared utilities: the lowest layer, importing nothing else of the package."""

from skaudio._utils import _forks  # what forked children need is set once for all

__all__ = ["_forks"]
