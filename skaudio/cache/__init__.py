"""What views and embedders keep of clips: look at it, bound it, clear it."""

from skaudio.cache._info import CacheInfo, cache_info, clear_cache, set_cache_limit

__all__ = ["CacheInfo", "cache_info", "clear_cache", "set_cache_limit"]
