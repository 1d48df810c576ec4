"""What is kept of clips: look at it, bound it, clear it."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from skaudio.cache._clips import MEMORY
from skaudio.cache._folder import folder_at
from skaudio.cache._pack import open_pack


class CacheInfo(NamedTuple):
    """What a cache holds.

    Parameters
    ----------
    n_arrays : int
        Arrays: one per clip and view or embedder, and one per file for what it holds.
    n_bytes : int
        Bytes of them, in a folder those of its files.
    limit : int
        Bytes above which what was not used for longest is dropped.

    See Also
    --------
    cache_info : Where it comes from.

    Examples
    --------
    >>> from skaudio.cache import CacheInfo
    >>> CacheInfo(n_arrays=2, n_bytes=800, limit=1000)
    CacheInfo(n_arrays=2, n_bytes=800, limit=1000)
    """

    n_arrays: int
    n_bytes: int
    limit: int


def cache_info(folder: str | os.PathLike[str] | None = None) -> CacheInfo:
    """Say what is kept of clips.

    Parameters
    ----------
    folder : str, path-like or None, default=None
        Folder that was given as ``cache``; None is the memory of this process, for
        ``cache=True``.

    Returns
    -------
    info : CacheInfo
        Named ``n_arrays, n_bytes, limit``.

    See Also
    --------
    clear_cache : Drop it.
    set_cache_limit : Bound it.

    Examples
    --------
    >>> import tempfile
    >>> from skaudio.cache import cache_info
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.views import MelView
    >>> X, y = make_sounds(n_clips=8, duration=1.0, sr=8000, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mel = MelView(sr=8000, cache=folder).transform(X)
    ...     cache_info(folder).n_arrays
    8
    """
    if folder is None:
        return CacheInfo(len(MEMORY), MEMORY.n_bytes, MEMORY.capacity)
    found = folder_at(folder)
    n_arrays = n_bytes = 0
    for file in found.files():
        try:
            n_arrays += len(open_pack(file.path))
        except (OSError, ValueError):  # gone, or damaged
            continue
        n_bytes += file.n_bytes
    return CacheInfo(n_arrays, n_bytes, found.limit)


def clear_cache(folder: str | os.PathLike[str] | None = None) -> None:
    """Drop what is kept of clips.

    Use it to free memory or disk, or before timing a computation. What is in use stays
    usable in this process until it is dropped.

    Parameters
    ----------
    folder : str, path-like or None, default=None
        Folder that was given as ``cache``: files of other kinds in it stay. None is the
        memory of this process.

    See Also
    --------
    cache_info : What there is.

    Examples
    --------
    >>> from skaudio.cache import cache_info, clear_cache
    >>> clear_cache()
    >>> cache_info().n_bytes
    0
    """
    if folder is None:
        MEMORY.clear()
    else:
        folder_at(folder).clear()


def set_cache_limit(n_bytes: int, folder: str | os.PathLike[str] | None = None) -> None:
    """Bound what is kept of clips.

    What was not used for longest is dropped, at once and whenever there is more.

    Parameters
    ----------
    n_bytes : int
        Bytes. Without a limit of its own, a folder has 64 GiB, and the memory of a
        process 512 MiB.
    folder : str, path-like or None, default=None
        Folder that is given as ``cache``, which keeps its limit for all processes that
        use it; None is the memory of this process.

    See Also
    --------
    cache_info : What there is.

    Notes
    -----
    Arrays that were computed together are in one file of a folder, and dropped
    together: at most 32 MiB, or one array. While a file is written and before others
    are dropped, a folder may hold 2 % more.

    Examples
    --------
    >>> import tempfile
    >>> from skaudio.cache import cache_info, set_cache_limit
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     set_cache_limit(10_000_000_000, folder)
    ...     cache_info(folder)
    CacheInfo(n_arrays=0, n_bytes=0, limit=10000000000)
    """
    if not isinstance(n_bytes, (int, np.integer)) or n_bytes < 0:
        raise ValueError(
            f"A limit is a whole number of bytes, 0 or more; got {n_bytes!r}."
        )
    if folder is None:
        MEMORY.resize(int(n_bytes))
    else:
        folder_at(folder).limit = int(n_bytes)
