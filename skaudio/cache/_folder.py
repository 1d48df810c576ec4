"""A folder of packs, shared by processes and machines, with a bound in bytes."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np

from skaudio._utils._files import remove_leftovers, replacing
from skaudio._utils._forks import Lock
from skaudio.cache._pack import SUFFIX, Held, Pack, Stored, open_pack, write_pack

LIMIT = 2**36  # bytes of a folder, unless it says otherwise
LIMIT_FILE = "limit"
USED_ANEW = 60.0  # seconds after which a use of a pack is noted again
STORE = re.compile(r"[a-z0-9_]+-[0-9a-f]{32}|files")


class File(NamedTuple):
    """A pack in a folder."""

    used: float  # when, in seconds
    n_bytes: int
    path: str


class Folder:
    """Arrays by name, ``"store/key"``: a store is a folder of packs.

    Files are written beside their place and moved there, and never changed: whoever
    reads one sees all of it. Two processes that compute the same array both write it,
    and either one is right.

    Parameters
    ----------
    path : str or path-like
        The folder; it is made when something is written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = Lock()
        self._packs: dict[str, dict[str, Pack | None]] = {}
        # of every key the first place, and others in case that one is damaged
        self._places: dict[str, dict[bytes, Stored]] = {}
        self._others: dict[str, dict[bytes, list[Stored]]] = {}
        self._used: dict[str, float] = {}
        self._n_written: int | None = None  # bytes since all packs were counted
        self._has_warned = False
        self.written: set[str] = set()  # files of this process

    def look_up(self, names: Sequence[str]) -> dict[str, Stored]:
        """Those arrays that are there, whole and undamaged."""
        found = {}
        with self._lock:
            for store, keys in _by_store(names).items():
                self._refresh(store)
                for key, name in keys:
                    for place in self._places_of(store, key):
                        if place.pack.is_sound(place.row):
                            found[name] = place
                            break
            self._note_use({place.pack for place in found.values()})
        return found

    def trust(self, paths: Iterable[str]) -> None:
        """Take files as undamaged, which a worker of this process has just written."""
        for path in paths:
            name, store = (
                os.path.basename(path),
                os.path.basename(os.path.dirname(path)),
            )
            with suppress(OSError, ValueError), self._lock:
                self._refresh(store)
                pack = self._packs[store].get(name)
                if pack is not None:
                    pack.trust()

    def write(self, arrays: Mapping[str, Held]) -> dict[str, Stored]:
        """Write arrays that are not there yet; a folder that cannot take them warns."""
        if not arrays:
            return {}
        try:
            with self._lock:
                return dict(self._written(arrays))
        except (OSError, ValueError) as error:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"What was computed cannot be written to {self.path} ({error}); "
                    "work goes on without it, and it is computed anew where it is "
                    "needed again. Choose another folder with cache=..., or make room.",
                    UserWarning,
                    stacklevel=2,
                )
            return {}

    def _written(self, arrays: Mapping[str, Held]) -> Iterator[tuple[str, Stored]]:
        for store, keys in _by_store(list(arrays)).items():
            folder = self.path / store
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{uuid4().hex}{SUFFIX}"
            rows = [(key, arrays[name].array, arrays[name].note) for key, name in keys]
            self._make_room(sum(array.nbytes for _, array, _ in rows))
            write_pack(path, rows)
            pack = open_pack(str(path))
            self._packs.setdefault(store, {})[path.name] = pack
            self._add(store, pack)
            pack.trust()
            self.written.add(pack.path)
            for row, (_, name) in enumerate(keys):
                yield name, Stored(pack, row)

    def _places_of(self, store: str, key: bytes) -> Iterator[Stored]:
        first = self._places.get(store, {}).get(key)
        if first is not None:
            yield first
            yield from self._others.get(store, {}).get(key, ())

    def _refresh(self, store: str) -> None:
        """Find out where the arrays of a store are, by the files that there are now."""
        known = self._packs.setdefault(store, {})
        names = _names(self.path / store)
        if known.keys() - names:  # evicted, or cleared
            known = self._packs[store] = {n: known[n] for n in known.keys() & names}
            self._places.pop(store, None)
            self._others.pop(store, None)
            for pack in known.values():
                self._add(store, pack)
        for name in sorted(names - known.keys()):
            try:
                known[name] = open_pack(str(self.path / store / name))
            except (OSError, ValueError):  # damaged, or of another version
                known[name] = None
            self._add(store, known[name])

    def _add(self, store: str, pack: Pack | None) -> None:
        if pack is None:
            return
        places = self._places.setdefault(store, {})
        for row, key in enumerate(pack.keys):
            place = Stored(pack, row)
            if places.setdefault(key, place) is not place:
                self._others.setdefault(store, {}).setdefault(key, []).append(place)

    def _note_use(self, packs: set[Pack]) -> None:
        now = time.time()
        for pack in packs:
            if now - self._used.get(pack.path, 0.0) > USED_ANEW:
                self._used[pack.path] = now
                with suppress(OSError):  # of others, or gone
                    os.utime(pack.path)

    def _make_room(self, n_bytes: int) -> None:
        """Delete what was not used for longest, if there is too much."""
        limit = self.limit
        if self._n_written is None:
            remove_leftovers_of(self.path)
        # all packs are counted anew when others may have written as much
        self._n_written = n_bytes + (
            limit if self._n_written is None else self._n_written
        )
        if self._n_written < limit // 50:
            return
        self._n_written = n_bytes
        files = list(self.files())
        excess = sum(file.n_bytes for file in files) + n_bytes - limit
        for file in sorted(files):
            if excess <= 0:
                break
            with suppress(OSError):  # somebody was faster, or has it open (Windows)
                os.unlink(file.path)
            excess -= file.n_bytes

    @property
    def limit(self) -> int:
        """Bytes of all packs, above which the oldest are deleted."""
        try:
            return int((self.path / LIMIT_FILE).read_text("ascii"))
        except (OSError, ValueError):
            return LIMIT

    @limit.setter
    def limit(self, n_bytes: int) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        with replacing(self.path / LIMIT_FILE) as part:
            part.write_text(f"{n_bytes}\n", "ascii")
        with self._lock:
            self._n_written = None
            self._make_room(0)

    def files(self) -> Iterator[File]:
        """All packs."""
        with suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                if STORE.fullmatch(entry.name):
                    yield from _files(Path(entry.path))

    def clear(self) -> None:
        """Delete all packs, and nothing else."""
        for file in list(self.files()):
            with suppress(OSError):
                os.unlink(file.path)
            with suppress(OSError):  # the last one of a store
                os.rmdir(os.path.dirname(file.path))


def _by_store(names: Sequence[str]) -> dict[str, list[tuple[bytes, str]]]:
    found = defaultdict(list)
    for name in names:
        store, key = name.split("/")
        found[store].append((bytes.fromhex(key), name))
    return found


def _names(store: Path) -> set[str]:
    """Names of packs; where they are is asked of the folder alone."""
    with suppress(OSError):
        return {name for name in os.listdir(store) if name.endswith(SUFFIX)}
    return set()


def _files(store: Path) -> list[File]:
    files = []
    with suppress(OSError), os.scandir(store) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                with suppress(OSError):
                    stat = entry.stat()
                    files.append(File(stat.st_mtime, stat.st_size, entry.path))
    return files


def remove_leftovers_of(folder: Path) -> None:
    """Delete what processes that were killed left in a folder and its stores."""
    remove_leftovers(folder)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if STORE.fullmatch(entry.name):
                remove_leftovers(Path(entry.path))


_FOLDERS: dict[str, Folder] = {}
_LOCK = Lock()


def folder_at(path: str | os.PathLike[str]) -> Folder:
    """The folder at a path, one object per process."""
    if not os.fspath(path):
        raise ValueError(
            "Wanted a folder for what is kept of clips; got an empty name. The folder "
            "at hand is '.', and cache=False keeps nothing."
        )
    absolute = os.path.abspath(os.path.expanduser(path))
    with _LOCK:
        return _FOLDERS.setdefault(absolute, Folder(absolute))


def is_cache(cache: Any) -> bool:
    """Whether a parameter ``cache`` asks for one."""
    return not isinstance(cache, (bool, np.bool_)) or bool(cache)


def folder_of(cache: Any) -> Folder | None:
    """The folder that a parameter ``cache`` means; None for True and False."""
    return None if isinstance(cache, (bool, np.bool_)) else folder_at(cache)
