"""A file of many arrays, written once and mapped into memory from then on.

A header with a table of the arrays, their checksums included, and the arrays behind it
as they are. Nothing in it is ever executed, and nothing is trusted before its checksum
has been compared.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Sequence
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakSet, WeakValueDictionary

import numpy as np

from skaudio._utils._files import replacing, size_of_file
from skaudio._utils._forks import Lock
from skaudio.cache._map import mapped

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

    @property
    def is_finite(self) -> bool:
        """Whether there is no NaN or infinity in the array."""
        return bool(np.isfinite(self.array).all())

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
        return self.pack.shape(self.row)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array."""
        return self.pack.dtype(self.row)

    @property
    def is_finite(self) -> bool:
        """Always: see `can_store`."""
        return True

    @property
    def note(self) -> Note:
        """Two numbers that belong to the array."""
        return self.pack.note(self.row)

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
        self._bytes, self._pages = mapped(path)
        self._table = self._checked_table()
        self._check_spans()
        # 1 if an array is what was written, -1 if not, 0 if nobody has looked
        self._verified = np.zeros(len(self._table), np.int8)

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

    def _check_spans(self) -> None:
        table = self._table
        if (table["dtype"] >= len(DTYPES)).any() or (table["ndim"] > 2).any():
            raise ValueError(f"{self.path} holds arrays of unknown kinds.")
        for row in range(len(table)):
            start, stop = self._span(row)
            if start % ALIGNED or stop > len(self._bytes):
                raise ValueError(f"{self.path} ends before its arrays do.")

    def _span(self, row: int) -> tuple[int, int]:
        start = int(self._table["start"][row])
        return start, start + prod(self.shape(row)) * self.dtype(row).itemsize

    def __len__(self) -> int:
        return len(self._table)

    @property
    def keys(self) -> list[bytes]:
        """Keys of the arrays."""
        return [key.tobytes() for key in self._table["key"]]

    def shape(self, row: int) -> tuple[int, ...]:
        """Shape of an array."""
        shape: list[int] = self._table["shape"][row].tolist()
        return tuple(shape[: self._table["ndim"][row]])

    def dtype(self, row: int) -> np.dtype[Any]:
        """Type of an array."""
        return DTYPES[self._table["dtype"][row]]

    def note(self, row: int) -> Note:
        """Two numbers that belong to an array."""
        first, second = self._table["note"][row].tolist()
        return first, second

    def array(self, row: int) -> np.ndarray:
        """One of the arrays, mapped into memory."""
        start, stop = self._span(row)
        _note_reading(self, stop - start)
        values = self._bytes[start:stop].view(self.dtype(row))
        array: np.ndarray = values.reshape(self.shape(row))
        return array

    def is_sound(self, row: int) -> bool:
        """Whether an array is what was written; looked at once per process."""
        if not self._verified[row]:
            array, entry = self.array(row), self._table[row]
            values = np.asarray(array).reshape(-1).view(np.uint8)
            is_right = _checksum(entry, values) == entry["digest"].tobytes()
            self._verified[row] = 1 if is_right and can_store(array) else -1
        return bool(self._verified[row] > 0)

    def trust(self) -> None:
        """Take all arrays as undamaged: this process has just written them."""
        self._verified[:] = 1

    def release(self) -> None:
        """Give pages back that were read; they are read again where needed."""
        if self._pages is not None:
            self._pages.madvise(mmap.MADV_DONTNEED)

    def __reduce__(self) -> Any:
        return open_pack, (self.path,)

    def __deepcopy__(self, memo: Any) -> Pack:
        return self  # it never changes, and its file may be gone


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
