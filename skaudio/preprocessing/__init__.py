"""Steps before and after views: loading, scaling, cleaning, summarising."""

from skaudio.preprocessing._loader import AudioLoader

__all__ = ["AudioLoader"]
