"""A file of many arrays, written once and mapped into memory from then on.

A header with a table of the arrays, their checksums included, and the arrays behind it
as they are. Nothing in it is ever executed, and nothing is trusted before its checksum
has been compared.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator, Sequence
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakSet, WeakValueDictionary

import numpy as np

from skaudio._utils._files import replacing, size_of_file
from skaudio._utils._forks import Lock

SUFFIX = ".pack"
DIGEST = 16  # bytes of a key and of a checksum
MAGIC = b"skaudio pack 01\n"
ALIGNED = 64  # bytes
DTYPES = tuple(map(np.dtype, ("<f4", "<f8", "|u1")))
ROW = np.dtype(
    [
        ("key", f"V{DIGEST}"),
        ("digest", f"V{DIGEST}"),
        ("start", "<u8"),
        ("dtype", "u1"),
        ("ndim", "u1"),
        ("shape", "<u8", (2,)),
        ("note", "<f8", (2,)),
    ]
)
START = len(MAGIC) + DIGEST + 8  # of the table
# bytes of pages that were read and stay in this process: the file system keeps them too
RESIDENT = 2**26

Note = tuple[float, float]
NO_NOTE = (float("nan"), float("nan"))


class Held(NamedTuple):
    """An array in memory, two numbers that belong to it, and whether it is to stay."""

    array: np.ndarray
    note: Note = NO_NOTE
    kept: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array."""
        return self.array.dtype

    def read(self) -> np.ndarray:
        """The array."""
        return self.array


class Stored(NamedTuple):
    """An array in a file."""

    pack: Pack
    row: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.pack.shapes[self.row]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array."""
        return DTYPES[self.pack.dtypes[self.row]]

    @property
    def note(self) -> Note:
        """Two numbers that belong to the array."""
        return self.pack.notes[self.row]

    def read(self) -> np.ndarray:
        """The array, mapped into memory."""
        return self.pack.array(self.row)


def can_store(array: np.ndarray) -> bool:
    """Whether a pack can hold an array: finite numbers of the known types."""
    if array.dtype not in DTYPES or array.ndim > 2:
        return False
    return array.dtype.kind == "u" or bool(np.isfinite(array).all())


def write_pack(path: Path, arrays: Sequence[tuple[bytes, np.ndarray, Note]]) -> None:
    """Write a file of arrays, complete or not at all.

    Parameters
    ----------
    path : Path
        The file, in a folder that exists.
    arrays : sequence of tuple
        Key, array and note of each.
    """
    table = np.zeros(len(arrays), ROW)
    start = _aligned(START + table.nbytes)
    flat = []
    for row, (key, array, note) in zip(table, arrays, strict=True):
        values = np.ascontiguousarray(array)
        flat.append(values.reshape(-1).view(np.uint8))
        row["key"], row["note"], row["start"] = np.void(key), note, start
        row["dtype"], row["ndim"] = DTYPES.index(values.dtype), values.ndim
        row["shape"][: values.ndim] = values.shape
        row["digest"] = np.void(_checksum(row, flat[-1]))
        start = _aligned(start + values.nbytes)
    content = len(arrays).to_bytes(8, "little") + table.tobytes()
    with replacing(path, tidy=False) as part, open(part, "wb") as file:
        file.write(MAGIC + sha256(content).digest()[:DIGEST] + content)
        for row, values in zip(table, flat, strict=True):
            file.seek(int(row["start"]))
            file.write(values.data)
        file.truncate(start)


def _aligned(position: int) -> int:
    return -(-position // ALIGNED) * ALIGNED


def _checksum(row: Any, values: np.ndarray) -> bytes:
    """Of the numbers and of what they are: one array is not taken for another."""
    digest = sha256(row["key"].tobytes() + row["shape"].tobytes())
    digest.update(bytes((int(row["dtype"]), int(row["ndim"]))))
    digest.update(row["note"].tobytes())
    digest.update(values.data)
    return digest.digest()[:DIGEST]


class Pack:
    """A file of arrays that `write_pack` wrote.

    Parameters
    ----------
    path : str
        The file. It may be deleted while arrays of it are in use.

    Raises
    ------
    ValueError, OSError
        If it is no such file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        size = size_of_file(path)
        if size < START:
            raise ValueError(f"{path} is no pack: it is too short.")
        self._bytes = np.memmap(path, np.uint8, "r")
        self._table = self._checked_table()
        self.keys = [row.tobytes() for row in self._table["key"]]
        self.dtypes = self._table["dtype"].tolist()
        self.notes: list[Note] = [(a, b) for a, b in self._table["note"].tolist()]
        ndims = self._table["ndim"].tolist()
        shapes = self._table["shape"].tolist()
        self.shapes = [tuple(s[:n]) for s, n in zip(shapes, ndims, strict=True)]
        self._spans = list(self._checked_spans())
        self._verified: list[bool | None] = [None] * len(self.keys)

    def _checked_table(self) -> np.ndarray:
        head = self._bytes[:START].tobytes()
        n_rows = int.from_bytes(head[-8:], "little")
        end = START + n_rows * ROW.itemsize
        if not head.startswith(MAGIC) or end > len(self._bytes):
            raise ValueError(f"{self.path} is no pack of this version.")
        content = self._bytes[START - 8 : end].tobytes()
        if sha256(content).digest()[:DIGEST] != head[len(MAGIC) : len(MAGIC) + DIGEST]:
            raise ValueError(f"The table of {self.path} is damaged.")
        return np.frombuffer(content, ROW, offset=8)

    def _checked_spans(self) -> Iterator[tuple[int, int]]:
        for row, shape in zip(self._table, self.shapes, strict=True):
            start, dtype = int(row["start"]), int(row["dtype"])
            if dtype >= len(DTYPES) or row["ndim"] > 2:
                raise ValueError(f"{self.path} holds arrays of unknown kinds.")
            stop = start + prod(shape) * DTYPES[dtype].itemsize
            if start % ALIGNED or stop > len(self._bytes):
                raise ValueError(f"{self.path} ends before its arrays do.")
            yield start, stop

    def array(self, row: int) -> np.ndarray:
        """One of the arrays, mapped into memory."""
        start, stop = self._spans[row]
        _note_reading(self, stop - start)
        values = self._bytes[start:stop].view(DTYPES[self.dtypes[row]])
        array: np.ndarray = values.reshape(self.shapes[row])
        return array

    def is_sound(self, row: int) -> bool:
        """Whether an array is what was written; looked at once per process."""
        known = self._verified[row]
        if known is None:
            array = self.array(row)
            values = np.asarray(array).reshape(-1).view(np.uint8)
            known = _checksum(self._table[row], values) == bytes(
                self._table[row]["digest"].tobytes()
            )
            known = self._verified[row] = known and can_store(array)
        return known

    def trust(self) -> None:
        """Take all arrays as undamaged: this process has just written them."""
        self._verified = [True] * len(self._verified)

    def release(self) -> None:
        """Give pages back that were read; they are read again where needed."""
        mapped = self._bytes._mmap  # type: ignore[attr-defined]
        if hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED)

    def __reduce__(self) -> Any:
        return open_pack, (self.path,)


_OPENING = Lock()
_OPEN: WeakValueDictionary[tuple[str, int, int], Pack] = WeakValueDictionary()


def open_pack(path: str) -> Pack:
    """The pack in a file, one object per file and process.

    Raises
    ------
    FileNotFoundError
        If the file is not there any more, or not on this machine.
    ValueError
        If it is no pack.
    """
    try:
        stat = os.stat(path)
        file = path, stat.st_ino, stat.st_size
        with _OPENING:
            pack = _OPEN.get(file)
            if pack is None:
                pack = _OPEN[file] = Pack(path)
            return pack
    except FileNotFoundError as error:
        raise FileNotFoundError(
            errno.ENOENT,
            "Views were to be read from the folder that was given as cache, but this "
            "file of it is not there. Was it cleared, or is its limit (see "
            "skaudio.cache.set_cache_limit) below what is in use? On other machines "
            "the folder must be at the same place",
            path,
        ) from error


_READING = Lock()
_READ: WeakSet[Pack] = WeakSet()
_n_read = 0


def _note_reading(pack: Pack, n_bytes: int) -> None:
    """Count what was mapped, and give pages back from time to time."""
    global _n_read
    with _READING:
        _n_read += n_bytes
        _READ.add(pack)
        if _n_read > RESIDENT:
            for other in list(_READ):
                other.release()
            _READ.clear()
            _n_read = 0
