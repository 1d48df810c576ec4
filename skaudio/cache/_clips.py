"""Cache of arrays computed from clips: in memory, and on disk on demand.

A search over a Pipeline transforms the same clips once per fold and candidate. A view
or an embedding depends on nothing but the clip and the transformer, so one computation
serves all folds, candidates and clones of a process, and through a folder all
processes.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol
from uuid import uuid4

import numpy as np

from skaudio._utils._forks import in_forked_child
from skaudio._utils._types import is_path
from skaudio.cache._keys import (
    content_of_array,
    content_of_file,
    digest_of,
    joined,
    signature_key,
)
from skaudio.cache._pack import Held, Stored, can_store

CAPACITY = 2**29  # bytes in memory
LARGEST = 2**30  # bytes of the array of one clip on disk
# of arrays that are written together: how many, and bytes
MOST_IN_PACK, PACK_BYTES = 1024, 2**25

Kept = Held | Stored
# from positions of keys to positions and arrays, None for a clip that failed
Compute = Callable[[list[int]], Iterable[tuple[int, Held | None]]]
Rows = Callable[[list[int]], Iterable["np.ndarray | None"]]


class Shelf(Protocol):
    """What keeps arrays by name, see `Folder`."""

    def look_up(self, names: Sequence[str]) -> dict[str, Stored]:
        """Those arrays that are there."""

    def write(self, arrays: Mapping[str, Held]) -> dict[str, Stored]:
        """Arrays that it has taken."""


class ClipCache:
    """The arrays of clips used last, up to a number of bytes; shared by threads.

    Parameters
    ----------
    capacity : int
        Bytes of all arrays together; what was not used for longest goes first.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._has_warned = False
        self.n_bytes = 0
        self._arrays: OrderedDict[str, Held] = OrderedDict()
        self.forget_threads()

    def forget_threads(self) -> None:
        """Wait for no other thread: in a child process there are none."""
        self._pending: set[str] = set()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._arrays)

    def rows(
        self, keys: Sequence[str | None], compute: Rows, folder: Shelf | None = None
    ) -> list[np.ndarray | None]:
        """One array per key, as `entries` finds or computes it.

        Parameters
        ----------
        keys : sequence of str or None
            One per clip.
        compute : callable
            Takes positions in `keys` and returns their arrays, in the same order; None
            for a clip that failed, which is not kept.
        folder : Shelf or None, default=None
            Where arrays are kept instead of in memory.

        Returns
        -------
        rows : list of ndarray or None
            Not to be written to: others may hold the same arrays.
        """

        def entries(rows: list[int]) -> Iterable[tuple[int, Held | None]]:
            for row, array in zip(rows, compute(rows), strict=True):
                yield row, None if array is None else Held(array)

        found = self.entries(keys, entries, folder)
        return [None if entry is None else entry.read() for entry in found]

    def entries(
        self, keys: Sequence[str | None], compute: Compute, folder: Shelf | None = None
    ) -> list[Kept | None]:
        """One entry per key, computed where there is none yet.

        Equal keys are computed once, also by several threads at a time: the
        first one computes, the others wait. What was computed before an error is kept.

        Parameters
        ----------
        keys : sequence of str or None
            One per array, "store/digits". None is computed and not kept.
        compute : callable
            Takes positions in `keys` and yields positions and entries; None for a clip
            that failed, which is not kept.
        folder : Shelf or None, default=None
            Where arrays are kept instead of in memory, and mapped from.

        Returns
        -------
        entries : list of Held, Stored or None
            Arrays in memory or in files, not to be written to.
        """
        token = uuid4().hex  # clips without a key are not shared
        names = [key or f"{token} {i}" for i, key in enumerate(keys)]
        first = {name: i for i, name in reversed(list(enumerate(names)))}
        found: dict[str, Kept | None] = {}
        while missing := [name for name in first if name not in found]:
            mine = self._claim(missing, found)
            try:
                if folder is not None:
                    held = {
                        name: entry
                        for name in missing
                        if isinstance(entry := found.get(name), Held)
                    }
                    known = [n for n in (*mine, *held) if keys[first[n]]]
                    found |= folder.look_up(known)
                    held = {n: e for n, e in held.items() if found[n] is e}
                    found |= _written(held, folder)
                rows = sorted(first[name] for name in mine if name not in found)
                for part in _parts(compute(rows)) if rows else ():
                    computed = {names[row]: entry for row, entry in part.items()}
                    found |= computed
                    kept = {n: e for n, e in computed.items() if keys[first[n]]}
                    found |= self._keep(kept, folder)
            finally:
                self._release(mine)
        self._warn_if_too_much([found[n] for n in first if keys[first[n]]])
        return [found[name] for name in names]

    def peek(
        self, keys: Sequence[str | None], folder: Shelf | None
    ) -> list[Kept | None]:
        """Entries that are there already."""
        known = [key for key in keys if key is not None]
        stored = {} if folder is None else folder.look_up(known)
        with self._changed:
            return [
                None if key is None else stored.get(key) or self._arrays.get(key)
                for key in keys
            ]

    def clear(self) -> None:
        """Drop what is in memory."""
        with self._changed:
            self._arrays.clear()
            self.n_bytes = 0

    def resize(self, capacity: int) -> None:
        """Set the number of bytes, and drop what is above it."""
        with self._changed:
            self.capacity = capacity
            self._has_warned = False
            self._drop_excess()

    def _claim(self, names: Sequence[str], found: dict[str, Kept | None]) -> list[str]:
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

    def _keep(
        self, entries: Mapping[str, Held | None], folder: Shelf | None
    ) -> dict[str, Stored]:
        """Keep entries in a folder, or in memory where that cannot take them."""
        kept = {
            name: entry
            for name, entry in entries.items()
            if entry is not None and entry.kept and np.isfinite(entry.array).all()
        }
        stored = _written(kept, folder)
        with self._changed:
            for name, entry in kept.items():
                if name not in stored and name not in self._arrays:
                    array = entry.array.copy()  # not a part of a large one
                    array.setflags(write=False)
                    self._arrays[name] = entry._replace(array=array)
                    self.n_bytes += entry.array.nbytes
            self._drop_excess()
        return stored

    def _warn_if_too_much(self, found: Sequence[Kept | None]) -> None:
        """Say so if what one call needs cannot be kept, and so never will be."""
        held = [e.array.nbytes for e in found if isinstance(e, Held) and e.kept]
        if sum(held) > self.capacity and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"What was computed of these clips takes {sum(held) / 2**20:.0f} MiB, "
                f"but {self.capacity / 2**20:.0f} MiB are kept in memory, so much of "
                "it is computed again the next time. Set cache to a folder, or raise "
                "the limit: skaudio.cache.set_cache_limit(n_bytes).",
                UserWarning,
                stacklevel=2,
            )

    def _drop_excess(self) -> None:
        while self.n_bytes > self.capacity:
            _, oldest = self._arrays.popitem(last=False)
            self.n_bytes -= oldest.array.nbytes


def _written(entries: Mapping[str, Held], folder: Shelf | None) -> dict[str, Stored]:
    """Those entries that a folder has taken."""
    if folder is None:
        return {}
    fit = {n: e for n, e in entries.items() if e.array.nbytes <= LARGEST}
    return folder.write({n: e for n, e in fit.items() if can_store(e.array)})


def _parts(
    computed: Iterable[tuple[int, Held | None]],
) -> Iterable[dict[int, Held | None]]:
    """Entries a bounded number at a time; before an error, those that there are."""
    part: dict[int, Held | None] = {}
    n_bytes = 0
    try:
        for row, entry in computed:
            part[row] = entry
            n_bytes += 0 if entry is None else entry.array.nbytes
            if len(part) >= MOST_IN_PACK or n_bytes >= PACK_BYTES:
                yield part
                part, n_bytes = {}, 0
    except GeneratorExit:
        raise
    except BaseException:
        if part:
            yield part
        raise
    if part:
        yield part


MEMORY = ClipCache()  # of this process
in_forked_child(MEMORY.forget_threads)


def contents_of(X: Any, by: str, folder: Shelf | None) -> list[str | None]:
    """What each clip holds, as digits; None for what cannot be known.

    Parameters
    ----------
    X : array of shape (n_clips, n_samples), or list of waveforms or paths
        Clips.
    by : {"stat", "content"}
        Whether a file whose path, size and times of change are known is taken to be the
        same, or read anew.
    folder : Shelf or None
        Where digests of files are kept.

    Returns
    -------
    contents : list of str or None
        Digests, one per clip.
    """
    contents = [content_of_array(clip) for clip in X]
    rows = [row for row, clip in enumerate(X) if is_path(clip)]
    known = [signature_key(X[row]) if by == "stat" else None for row in rows]

    def digests(some: list[int]) -> Iterable[np.ndarray | None]:
        return (content_of_file(X[rows[i]]) for i in some)

    names = [key and f"files/{key}" for key in known]
    for row, digest in zip(rows, MEMORY.rows(names, digests, folder), strict=True):
        contents[row] = None if digest is None else digest.tobytes().hex()
    return contents


def keys_of(
    X: Any, store: str, *, by: str = "stat", folder: Shelf | None = None
) -> list[str | None]:
    """One key per clip in a store; None for files that are not there."""
    return joined(store, contents_of(X, by, folder))


def store_of(kind: str, *parts: object) -> str:
    """Name of the store of a computation, by everything that changes its numbers."""
    letters = re.sub("[^a-z0-9]+", "_", kind.lower())
    return f"{letters}-{digest_of(*parts)}"
