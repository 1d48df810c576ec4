"""From archives to a folder that appears as a whole, or not at all."""

from __future__ import annotations

import bisect
import gzip
import io
import itertools
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skaudio._download import download, is_of_machine, locked, remember
from skaudio.datasets._leftovers import UNPACKING, remove_leftovers

BLOCK = 2**20
SPARE = 2  # times what a data set states: no more is downloaded or unpacked
HEADER = 2**16  # bytes of a clip beside its samples
TEXT = 2**22  # bytes of a table, list or licence
SOUND = (".wav", ".mp3", ".au")


@dataclass(frozen=True)
class Archive:
    """A file to download."""

    url: str
    name: str  # what it is called until it is unpacked
    checksum: str | None = None  # as published, "md5:..." or "sha256:..."


@dataclass(frozen=True)
class Stated:
    """What a data set states of its size, in bytes."""

    download: int  # of its largest file, or of all
    clips: int  # on disk
    clip: int
    text: int = TEXT  # of its largest table

    def check(self, sizes: Mapping[str, int]) -> None:
        """Refuse members, by their names, that are larger than that twice."""
        tally = Tally(self)
        for name, size in sizes.items():
            tally.add(name, size)


class Tally:
    """Adds up the members of an archive and refuses what is too much."""

    def __init__(self, stated: Stated) -> None:
        self._stated = stated
        self._total = 0
        self._most = SPARE * stated.clips

    def add(self, name: str, size: int) -> None:
        """Count a member before it is unpacked."""
        is_sound = name.lower().endswith(SOUND)
        stated = self._stated
        most = SPARE * stated.clip + HEADER if is_sound else stated.text
        if size > most:
            raise ValueError(f"{name} has {size} bytes, more than {most}")
        self._total += size
        self._most += HEADER if is_sound else TEXT
        if self._total > self._most:
            raise ValueError(
                f"it unpacks to more than {self._most} bytes instead of {stated.clips}"
            )


def fetch(
    what: str,
    archives: Sequence[Archive],
    final: Path,
    unpack: Callable[[list[Path], Path], None],
    *,
    largest: int,
    download_if_missing: bool,
    n_retries: int,
    delay: float,
) -> None:
    """Download and unpack ``archives``, unless the folder ``final`` is there already.

    ``unpack(paths, folder)`` raises any error but one of the machine if this is not
    what was wanted. No file may have more than `SPARE` times ``largest`` bytes.
    """
    is_there = path_exists(final)
    remove_leftovers(final.parent, [a.name for a in archives] if is_there else [])
    if is_there:
        return
    if not download_if_missing:
        raise OSError(f"{what} is not in {final} and download_if_missing is False.")
    with locked(final.parent):
        if path_exists(final):  # another process was faster
            return
        paths = [
            download(
                *(archive.url, final.parent, archive.name),
                checksum=archive.checksum,
                most=SPARE * largest,
                n_retries=n_retries,
                delay=delay,
            )
            for archive in archives
        ]
        _install(what, archives, paths, final, unpack)


def _install(
    what: str,
    archives: Sequence[Archive],
    paths: list[Path],
    final: Path,
    unpack: Callable[[list[Path], Path], None],
) -> None:
    """Unpack what was downloaded, and delete the archives."""
    fresh = Path(tempfile.mkdtemp(prefix=UNPACKING, dir=final.parent))
    try:
        unpack(paths, fresh)
        for archive, path in zip(archives, paths, strict=True):
            if archive.checksum is None:
                remember(final.parent, archive.url, path)
        _publish(fresh, final)
    except Exception as error:  # a damaged archive fails in any way
        if is_of_machine(error):
            raise _named(error, what, final.parent) from error
        raise _refuse(what, archives, final.parent, error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    for path in paths:  # not if the disk was full: then they need not come again
        path.unlink(missing_ok=True)


def path_exists(folder: Path) -> bool:
    """Whether a folder is there; an error if that cannot be told."""
    try:
        os.stat(folder)
    except FileNotFoundError:
        return False
    return True  # any other error, such as of permissions, names the folder


def _named(error: Exception, what: str, folder: Path) -> Exception:
    """The same error of the machine, with the folder if it names no file."""
    if not isinstance(error, OSError) or error.filename is not None:
        return error
    text = f"{error.strerror}; {what} was not unpacked"
    return OSError(error.errno, text, str(folder))


def _refuse(
    what: str, archives: Sequence[Archive], folder: Path, error: Exception
) -> OSError:
    """Delete files without a published checksum, and raise an error."""
    unverified = [archive for archive in archives if archive.checksum is None]
    for archive in unverified:
        (folder / archive.name).unlink(missing_ok=True)
    if not unverified:
        return OSError(
            f"The files of {what} are not as described: {error}. Their checksums are "
            "the published ones, so the fault is in skaudio: please report it. The "
            f"download is kept in {folder}."
        )
    sent = " and ".join(archive.url for archive in unverified)
    return OSError(
        f"What {sent} sent is not {what}: {error}. It was deleted. Call again; if this "
        "stays so, a proxy may be in the way, or the address has changed."
    )


def _publish(fresh: Path, final: Path) -> None:
    """Make the unpacked data appear all at once."""
    fresh.chmod(0o755)  # mkdtemp's folders are private
    try:
        fresh.rename(final)
    except OSError:
        if not final.is_dir():  # if it is, another process was faster: same data
            raise


def extract(
    file: zipfile.ZipFile,
    wanted: Mapping[zipfile.ZipInfo, str],
    folder: Path,
    stated: Stated,
) -> None:
    """Write members to the given names in ``folder``, checking sizes and checksums."""
    stated.check({name: member.file_size for member, name in wanted.items()})
    for member, name in wanted.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # no more than the size that was checked; raises on a wrong member checksum
        with file.open(member) as source, open(target, "wb") as to:
            shutil.copyfileobj(source, to)


def extract_tar(
    archive: Path,
    name_of: Callable[[str], str | None],
    folder: Path,
    stated: Stated,
) -> list[str]:
    """Write members of a .tar.gz file to ``folder`` in one pass, checking sizes.

    ``name_of`` turns the path of a member into a name within the folder, or into None
    for what is not wanted. Only regular files are extracted. Returns their names.
    """
    found: dict[str, None] = {}
    tally = Tally(stated)
    with gzip.open(archive) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            while (member := tar.next()) is not None:
                # or the headers of all members stay in memory
                tar.members.clear()  # type: ignore[attr-defined]
                name = name_of(member.name) if member.isreg() else None
                if name is None:
                    continue  # folders, links, and what other systems left there
                if name in found:
                    raise ValueError(f"{name} is there twice")
                tally.add(name, member.size)
                found[name] = None
                member = member.replace(name=name, deep=False)
                tar.extract(member, folder, set_attrs=False, filter="data")
        while stream.read(BLOCK):  # the checksum of the archive is at its very end
            pass
    return list(found)


class Parts(io.RawIOBase):
    """The parts of a file that was cut, read as if they were one, without a copy."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files = [path.open("rb") for path in paths]
        self._ends = list(itertools.accumulate(path.stat().st_size for path in paths))
        self._place = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte, counted over all parts."""
        place = (0, self._place, self._ends[-1])[whence] + offset
        if place < 0:
            raise OSError(f"{place} is before the beginning")
        self._place = place
        return place

    def readinto(self, buffer: Any) -> int:
        """Read from one part, up to its end."""
        part = bisect.bisect_right(self._ends, self._place)
        if part == len(self._files):
            return 0
        start = self._ends[part - 1] if part else 0
        self._files[part].seek(self._place - start)
        got = self._files[part].readinto(buffer)
        self._place += got
        return got

    def close(self) -> None:
        """Close all parts."""
        for file in self._files:
            file.close()
        super().close()
