"""Files mapped into memory that are not kept open.

A folder may have more packs than a process may have open files: often 1,024, or 256.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from typing import Any, Protocol
from weakref import finalize

import numpy as np


class Pages(Protocol):
    """Memory that is read from a file where it is needed."""

    def madvise(self, option: int, /) -> Any:
        """Say what will be needed."""


def mapped(path: str) -> tuple[np.ndarray, Pages | None]:
    """Map a file.

    Parameters
    ----------
    path : str
        The file, which is not empty.

    Returns
    -------
    values : ndarray of uint8
        All bytes, read-only.
    pages : Pages or None
        What can be told that it is not needed, where the system knows of that.
    """
    with open(path, "rb") as file:
        number = file.fileno()
        size = os.fstat(number).st_size
        if sys.platform == "win32":
            kept_open = mmap.mmap(number, size, access=mmap.ACCESS_READ)
            return np.frombuffer(kept_open, np.uint8), None
        if sys.version_info >= (3, 13):
            options: Any = {"trackfd": False}
            pages = mmap.mmap(number, size, access=mmap.ACCESS_READ, **options)
            return np.frombuffer(pages, np.uint8), pages
        map_ = _Map(number, size)
        return map_.values, map_


class _Map:
    """What `mmap` of Python 3.13 can do without an open file."""

    def __init__(self, number: int, size: int) -> None:
        c = ctypes.CDLL(None, use_errno=True)
        c.mmap.restype = ctypes.c_void_p
        span: list[Any] = [ctypes.c_void_p, ctypes.c_size_t]
        number_ = ctypes.c_int
        c.mmap.argtypes = [*span, number_, number_, number_, ctypes.c_long]
        c.munmap.argtypes, c.madvise.argtypes = span, [*span, number_]
        address = c.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, number, 0)
        if address == ctypes.c_void_p(-1).value:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        self._c, self._address, self._size = c, address, size
        buffer = (ctypes.c_ubyte * size).from_address(address)
        # at the end of the process it may be in use still
        finalize(buffer, c.munmap, address, size).atexit = False
        self.values = np.frombuffer(memoryview(buffer).toreadonly(), np.uint8)

    def madvise(self, option: int, /) -> None:
        """Say what will be needed."""
        self._c.madvise(self._address, self._size, option)
