"""Cache of arrays computed from clips: in memory, and on disk on demand.

A search over a Pipeline transforms the same clips once per fold and candidate. A view
or an embedding depends on nothing but the clip and the transformer, so one computation
serves all folds, candidates and clones of a process, and through a folder all
processes.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b, sha256
from math import prod
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from skaudio._utils._files import remove_leftovers, replacing, size_of_file
from skaudio._utils._forks import in_forked_child
from skaudio._utils._types import is_path

VERSION = 2  # of what is computed: a new one invalidates everything on disk
CAPACITY = 256 * 2**20  # bytes in memory
DIGEST = 16  # bytes of keys and of the checksum in files
LARGEST = 2**30  # bytes of the file of one clip
HEADER = 2**12  # bytes of it, at most, that are no numbers

Compute = Callable[[list[int]], Sequence["np.ndarray | None"]]
File = tuple[str, tuple[int, int] | None]  # a path, and what changes with the content


def digest_of(*parts: object) -> str:
    """Digest of values by their `repr`: strings, numbers, None and tuples of them."""
    return blake2b(repr((VERSION, *parts)).encode(), digest_size=DIGEST).hexdigest()


def signature_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Size and time of change of a file; None if there is none."""
    try:
        stat = os.stat(path)
    except (OSError, ValueError):  # no such file, or no such name
        return None
    return stat.st_size, stat.st_mtime_ns


def file_of(path: str | os.PathLike[str]) -> File:
    """A path and the signature of the file there: equal if the content is."""
    return os.path.abspath(path), signature_of(path)


def keys_of(X: Any, fingerprint: str) -> list[str | None]:
    """One key per clip and transformer; None for files that are not there.

    A file is identified by its path, size and time of change, an array by its values.

    Parameters
    ----------
    X : array of shape (n_clips, n_samples), or list of waveforms or paths
        Clips.
    fingerprint : str
        Digest of everything else that changes what is computed.

    Returns
    -------
    keys : list of str or None
        Hexadecimal digits; a clip without a key is not to be cached.
    """
    return [_key(clip, fingerprint) for clip in X]


def _key(clip: Any, fingerprint: str) -> str | None:
    # processors have instructions for it: 2.6 times as fast as blake2b (measured)
    digest = sha256(fingerprint.encode())
    if is_path(clip):
        path, signature = file_of(clip)
        if signature is None:
            return None
        digest.update(repr((path, *signature)).encode())
    else:
        clip = np.asarray(clip)
        if clip.dtype == object:
            return None
        digest.update(repr((clip.dtype.str, clip.shape)).encode())
        digest.update(np.ascontiguousarray(clip).data)
    return digest.hexdigest()[: 2 * DIGEST]


class ClipCache:
    """The arrays of clips used last, up to a number of bytes; shared by threads.

    Parameters
    ----------
    capacity : int
        Bytes of all arrays together; what was not used for longest goes first.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.n_bytes = 0
        self._arrays: OrderedDict[str, np.ndarray] = OrderedDict()
        self.forget_threads()

    def forget_threads(self) -> None:
        """Wait for no other thread: in a child process there are none."""
        self._pending: set[str] = set()
        self._changed = threading.Condition()

    def rows(
        self,
        keys: Sequence[str | None],
        compute: Compute,
        folder: str | os.PathLike[str] | None = None,
    ) -> list[np.ndarray | None]:
        """One array per key, computed where there is none yet.

        Equal keys are computed once, also by several threads at a time: the
        first one computes, the others wait.

        Parameters
        ----------
        keys : sequence of str or None
            One per clip. None is computed and not kept.
        compute : callable
            Takes positions in `keys` and returns their arrays; None for a clip that
            failed, which is not kept.
        folder : path-like or None, default=None
            Where arrays are read from and written to as well.

        Returns
        -------
        rows : list of ndarray or None
            Not to be written to: others may hold the same arrays.
        """
        token = uuid4().hex  # clips without a key are not shared
        names = [key or f"{token} {i}" for i, key in enumerate(keys)]
        first = {name: i for i, name in reversed(list(enumerate(names)))}
        found: dict[str, np.ndarray | None] = {}
        while missing := [name for name in first if name not in found]:
            mine = self._claim(missing, found)
            try:
                _write_new(folder, {n: found[n] for n in missing if n in found})
                found |= self._read(mine, folder)
                rows = sorted(first[name] for name in mine if name not in found)
                arrays = compute(rows) if rows else ()
                computed = {names[r]: a for r, a in zip(rows, arrays, strict=True)}
                kept = {n: a for n, a in computed.items() if keys[first[n]]}
                self._keep(kept)
                _write_new(folder, kept)
                found |= computed
            finally:
                self._release(mine)
        return [found[name] for name in names]

    def clear(self) -> None:
        """Drop what is in memory."""
        with self._changed:
            self._arrays.clear()
            self.n_bytes = 0

    def _claim(
        self, names: Sequence[str], found: dict[str, np.ndarray | None]
    ) -> list[str]:
        """Look names up; of the others, those that the caller has to compute.

        If other threads are at all of them, wait until one has finished.
        """
        with self._changed:
            for name in names:
                if name in self._arrays:
                    self._arrays.move_to_end(name)
                    found[name] = self._arrays[name]
            left = [name for name in names if name not in found]
            mine = [name for name in left if name not in self._pending]
            self._pending.update(mine)
            if left and not mine:
                self._changed.wait()
            return mine

    def _release(self, names: Sequence[str]) -> None:
        with self._changed:
            self._pending.difference_update(names)
            self._changed.notify_all()

    def _keep(self, arrays: Mapping[str, np.ndarray | None]) -> None:
        with self._changed:
            for name, array in arrays.items():
                if array is not None and name not in self._arrays:
                    self._arrays[name] = array.copy()  # not a part of a large one
                    self.n_bytes += array.nbytes
            while self.n_bytes > self.capacity:
                _, oldest = self._arrays.popitem(last=False)
                self.n_bytes -= oldest.nbytes

    def _read(
        self, names: Sequence[str], folder: str | os.PathLike[str] | None
    ) -> dict[str, np.ndarray]:
        if folder is None:
            return {}
        read = {name: _read(_path(folder, name)) for name in names}
        arrays = {name: array for name, array in read.items() if array is not None}
        self._keep(arrays)
        return arrays


def _path(folder: str | os.PathLike[str], name: str) -> Path:
    return Path(folder, f"{name}.npy")


def _read(path: Path) -> np.ndarray | None:
    """The array in a file; None if it is not what `_write` wrote to that path."""
    try:
        if size_of_file(path) > LARGEST:
            return None
        content = path.read_bytes()
        body, checksum = content[:-DIGEST], content[-DIGEST:]
        return _array_of(body) if _checksum(path, body) == checksum else None
    except Exception:  # damaged files fail in any way
        return None


def _array_of(body: bytes) -> np.ndarray | None:
    """Numbers of an .npy file, as many as there are; None if it holds anything else."""
    stream = io.BytesIO(body)
    if np.lib.format.read_magic(stream) != (1, 0):
        return None
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    n_bytes = len(body) - stream.tell()
    if dtype.kind != "f" or min(shape, default=0) < 0:
        return None
    if prod(shape) * dtype.itemsize != n_bytes:
        return None
    flat = np.frombuffer(body, dtype, offset=stream.tell())
    array = flat.reshape(shape, order="F" if is_fortran else "C").copy()
    return array if np.isfinite(array).all() else None


def _checksum(path: Path, body: bytes) -> bytes:
    """Of the content and the name: a file of another clip is not taken for it."""
    return blake2b(path.name.encode() + body, digest_size=DIGEST).digest()


def _write_new(
    folder: str | os.PathLike[str] | None, arrays: Mapping[str, np.ndarray | None]
) -> None:
    """Write the arrays that a folder lacks."""
    if folder is None:
        return
    remove_leftovers(Path(folder))
    try:
        for name, array in arrays.items():
            path = _path(folder, name)
            if array is None or array.nbytes > LARGEST - HEADER:
                continue
            if _read(path) is None:
                _write(path, array)
    except OSError as error:
        warnings.warn(
            f"What was computed cannot be written to {os.fspath(folder)} ({error}); it "
            "is kept in memory only. Choose another folder with cache=...",
            UserWarning,
            stacklevel=2,
        )


def _write(path: Path, array: np.ndarray) -> None:
    """Write an .npy file with a checksum behind its data; complete or not at all."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    body = stream.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, tidy=False) as part:
        part.write_bytes(body + _checksum(path, body))


MEMORY = ClipCache()  # of this process
in_forked_child(MEMORY.forget_threads)


def clear_cache() -> None:
    """Clear what transformers with ``cache`` keep in memory.

    Use it to free memory, or before timing a computation. Files in a folder that
    was given as ``cache`` stay: delete the folder to clear them.

    See Also
    --------
    PretrainedEmbedder : Caches embeddings, up to 256 MiB in memory.

    Examples
    --------
    >>> from skaudio.embedding import clear_cache
    >>> clear_cache()
    """
    MEMORY.clear()
