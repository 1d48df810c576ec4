"""From archives to a folder that appears as a whole, or not at all."""

from __future__ import annotations

import bisect
import gzip
import io
import itertools
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skaudio.datasets._download import download, remember

WRONG = (
    *(zipfile.BadZipFile, zlib.error, tarfile.TarError, gzip.BadGzipFile, EOFError),
    ValueError,  # what a data set's own checks raise
)


@dataclass(frozen=True)
class Archive:
    """A file to download."""

    url: str
    name: str  # what it is called until it is unpacked
    checksum: str | None = None  # as published, "md5:..." or "sha256:..."


def fetch(
    what: str,
    archives: Sequence[Archive],
    final: Path,
    unpack: Callable[[list[Path], Path], None],
    *,
    download_if_missing: bool,
    n_retries: int,
    delay: float,
) -> None:
    """Download and unpack ``archives``, unless the folder ``final`` is there already.

    ``unpack(paths, folder)`` raises a ValueError if this is not what was wanted.
    """
    if final.is_dir():
        return
    if not download_if_missing:
        raise OSError(f"{what} is not in {final} and download_if_missing is False.")
    paths = [
        download(
            *(archive.url, final.parent, archive.name),
            checksum=archive.checksum,
            n_retries=n_retries,
            delay=delay,
        )
        for archive in archives
    ]
    fresh = Path(tempfile.mkdtemp(prefix="unpacking-", dir=final.parent))
    try:
        unpack(paths, fresh)
        for archive, path in zip(archives, paths, strict=True):
            if archive.checksum is None:
                remember(final.parent, archive.url, path)
        _publish(fresh, final)
    except WRONG as error:
        raise _refuse(what, archives, final.parent, error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    for path in paths:  # not if the disk was full: then they need not come again
        path.unlink(missing_ok=True)


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
    file: zipfile.ZipFile, wanted: Mapping[zipfile.ZipInfo, str], folder: Path
) -> None:
    """Write members to the given names in ``folder``, checking their checksums."""
    for member, name in wanted.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open(member) as source, open(target, "wb") as to:
            shutil.copyfileobj(source, to)  # raises on a wrong member checksum


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
