"""Splitters for clips that were cut from recordings."""

from skaudio.model_selection._split import StratifiedGroupShuffleSplit

__all__ = ["StratifiedGroupShuffleSplit"]
