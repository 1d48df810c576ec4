"""Downloads that go on where they broke off and never leave half a file behind."""

from __future__ import annotations

import errno
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skaudio._utils._files import replacing

TIMEOUT = 60.0  # seconds without a byte
BLOCK = 2**20
CHECKSUMS = "checksums.json"
LOCK = ".lock"
BROKEN = (OSError, http.client.HTTPException)  # URLError and timeouts are OSErrors
# what a machine lacks, whatever was sent
OF_MACHINE = {
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EMFILE", "ENFILE"),
        *("EFBIG", "ENOMEM", "ENOENT"),
    )
    if hasattr(errno, name)
}


def is_of_machine(error: BaseException) -> bool:
    """Whether an error is of this machine or its packages, not of what was sent."""
    if isinstance(error, OSError):
        return error.errno in OF_MACHINE
    return isinstance(error, (ImportError, MemoryError))


class TooMuchError(OSError):
    """A server sends more than was expected."""


class ResumingDownloader:
    """A pooch downloader that keeps what arrived and asks for the rest only.

    Parameters
    ----------
    part : Path
        Where the bytes that arrived are kept between attempts and sessions.
    n_retries : int
        Further attempts after the first one fails.
    delay : float
        Seconds to wait before each further attempt.
    most : int
        Bytes that the file may have.
    """

    def __init__(self, part: Path, *, n_retries: int, delay: float, most: int) -> None:
        self.part = part
        self.most = most
        self.n_retries = n_retries
        self.delay = delay

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        """Download ``url`` to ``output_file``, as pooch asks its downloaders to."""
        for attempts_left in range(self.n_retries, -1, -1):
            try:
                self._attempt(url)
                break
            except BROKEN as error:
                if is_of_machine(error):
                    raise self._named(error) from error
                is_permanent = isinstance(error, TooMuchError) or (
                    isinstance(error, urllib.error.HTTPError)
                    and 400 <= error.code < 500
                    and error.code not in (408, 416, 429)
                )
                if is_permanent or not attempts_left:
                    raise OSError(self._explain(url, error)) from error
                time.sleep(self.delay)
        self.part.replace(output_file)

    def _attempt(self, url: str) -> None:
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        request = urllib.request.Request(url, headers=headers)
        try:
            response = urllib.request.urlopen(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the answer, and Python 3.14 says so
            if error.code == 416:  # nothing after what we have: start over to be sure
                self.part.unlink(missing_ok=True)
            raise
        with response:
            resumed = response.status == 206
            total = (have if resumed else 0) + int(
                response.headers["Content-Length"] or 0
            )
            self._check(total)
            with open(self.part, "ab" if resumed else "wb") as file:
                while block := response.read(BLOCK):
                    file.write(block)
                    self._check(file.tell())
        got = self.part.stat().st_size
        if response.headers["Content-Length"] and got != total:
            raise ConnectionError(f"the connection ended after {got} of {total} bytes")

    def _check(self, n_bytes: int) -> None:
        if n_bytes > self.most:
            self.part.unlink(missing_ok=True)
            raise TooMuchError(
                f"it has more than {self.most} bytes, the most that was expected, and "
                "was dropped"
            )

    def _named(self, error: Any) -> OSError:
        """An error of the disk, with the file that could not be written."""
        kept = self.part.stat().st_size if self.part.exists() else 0
        text = f"{error.strerror}; the {kept} bytes that arrived are kept"
        return OSError(error.errno, text, error.filename or str(self.part))

    def _explain(self, url: str, error: Exception) -> str:
        kept = self.part.stat().st_size if self.part.exists() else 0
        then = "Check the network and call again"
        if kept:
            then += f"; the {kept} bytes that arrived are kept and will be completed"
        return f"Could not download {url}: {error}. {then}."


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process or thread at a time download into a folder; others wait.

    Two that wrote to one file in turns would spoil it. The lock of a process that was
    killed is free again.
    """
    from filelock import FileLock

    with FileLock(folder / LOCK):
        yield


def download(
    url: str,
    folder: Path,
    name: str,
    *,
    checksum: str | None = None,
    most: int,
    n_retries: int,
    delay: float,
) -> Path:
    """Download ``url`` to ``folder / name``.

    It must have the published ``checksum``; without one, the hash seen first. It may
    have ``most`` bytes. The caller holds the lock of the folder.
    """
    import pooch

    known = checksum or remembered(folder).get(url)
    downloader = ResumingDownloader(
        folder / f"{name}.part", n_retries=n_retries, delay=delay, most=most
    )
    try:
        path = pooch.retrieve(
            url, known_hash=known, fname=name, path=folder, downloader=downloader
        )
    except ValueError as error:  # pooch: the hash does not match
        if checksum is not None:
            raise OSError(
                f"What {url} sent is not what was published there: it does not have "
                f"the checksum {checksum}. The download was dropped. Call again; if "
                "it stays so, a proxy may be in the way, or the file was replaced."
            ) from error
        raise OSError(
            f"{url} is not what it was when it was first fetched into {folder}: the "
            f"sha256 {known} remembered in {folder / CHECKSUMS} does not match. The "
            "download was dropped. Call again; if it stays so and you trust the new "
            "file, delete that JSON file."
        ) from error
    return Path(path)


def remembered(folder: Path) -> dict[str, str]:
    """The sha256 of each URL that was fetched into and checked in ``folder``."""
    path = folder / CHECKSUMS
    try:
        known = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        known = None
    if not isinstance(known, dict) or not all(
        isinstance(value, str) for value in known.values()
    ):
        raise OSError(
            f"{path} is damaged: wanted the sha256 of each download, as JSON. Delete "
            "this file."
        )
    return known


def remember(folder: Path, url: str, path: Path) -> None:
    """Note the sha256 of a download that was checked, for the next time."""
    import pooch

    known = {**remembered(folder), url: str(pooch.file_hash(str(path)))}
    with replacing(folder / CHECKSUMS) as part:
        part.write_text(json.dumps(known, indent=2) + "\n")
