"""Names of published weights to files on this machine, downloaded where missing."""

from __future__ import annotations

import difflib
import hashlib
import os
from functools import lru_cache
from pathlib import Path

from skaudio._data_home import cache_folder, folder_of
from skaudio._download import download, locked, remember, remembered
from skaudio._utils._files import size_of_file
from skaudio._utils._text import shortened
from skaudio._weights._catalogue import PUBLISHED, Published, PublishedFile
from skaudio._weights._formats import open_weights
from skaudio.cache._keys import File, file_of

FOLDER = "weights"
LARGEST = 2**26  # bytes of a file whose size is not known
N_RETRIES, DELAY = 3, 1.0

PathLike = str | os.PathLike[str]


def published_of(weights: object) -> Published | None:
    """The entry that a string names; None for a path, also by ``./`` before a name."""
    return PUBLISHED.get(weights) if isinstance(weights, str) else None


def unknown(name: str) -> str:
    """What to do about a name that no published weights have."""
    near = difflib.get_close_matches(
        name.lower().replace("_", "-"), PUBLISHED, n=3, cutoff=0.5
    )
    nearest = f" Nearest: {shortened(near)}." if near else ""
    return f"{nearest} All names: skaudio.embedding.list_weights()."


def locate(
    weights: PathLike, scaler: PathLike | None
) -> tuple[PathLike, PathLike | None]:
    """Files of weights and of their scaler, if any, given by path or by name."""
    entry = published_of(weights)
    if entry is not None:
        if scaler is None and entry.scaler is not None:
            scaler = fetch(entry.scaler, entry.name)
        return fetch(entry, entry.name), scaler
    text = os.fspath(weights)
    if os.path.dirname(text) or not isinstance(weights, str) or os.path.exists(text):
        return weights, scaler
    raise FileNotFoundError(
        f"There is no file {text!r} here, and no published weights have that name."
        f"{unknown(text)}"
    )


def place_of(file: PublishedFile, data_home: PathLike | None) -> Path:
    """Where a published file is kept, if it is there."""
    return folder_of(FOLDER, data_home) / file.file


def fetch(
    file: PublishedFile,
    name: str,
    data_home: PathLike | None = None,
    *,
    download_if_missing: bool = True,
    n_retries: int = N_RETRIES,
    delay: float = DELAY,
) -> Path:
    """The path of a published file, which is downloaded unless it is there and good."""
    path = place_of(file, data_home)
    wrong = fault(path, file)
    if not wrong:
        return path
    put = f"download {file.address} by other means and put it there as {path}"
    if not download_if_missing:
        raise OSError(
            f"The weights {name!r} cannot be had: {path} {wrong}, and "
            f"download_if_missing is False. Allow the download, or {put}."
        )
    try:
        cache_folder(FOLDER, data_home)
        with locked(path.parent):
            if fault(path, file):  # or another process was faster
                _download(file, path, n_retries, delay)
    except OSError as error:
        error.add_note(
            f"The weights {name!r} are kept in {path.parent}: set data_home, or the "
            f"environment variable SKAUDIO_DATA, for another folder. Or {put}."
        )
        raise
    return path


def _download(file: PublishedFile, path: Path, n_retries: int, delay: float) -> None:
    fresh = download(
        *(file.address, path.parent, f"{path.name}.download"),
        checksum=file.sha256 and f"sha256:{file.sha256}",
        most=2 * file.n_bytes if file.n_bytes else LARGEST,
        n_retries=n_retries,
        delay=delay,
    )
    wrong = fault(fresh, file)
    if wrong:
        fresh.unlink()
        raise OSError(
            f"What {file.address} sent is not what was published: {fresh.name} "
            f"{wrong}. It was deleted. Call again; if this stays so, a proxy may be in "
            "the way, or the address has changed."
        )
    if _is_unknown(file):
        remember(path.parent, file.address, fresh)
    os.replace(fresh, path)


def fault(path: Path, file: PublishedFile) -> str:
    """What is wrong with a file, "" if nothing is; it is read once per process."""
    try:
        size = size_of_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return "is not there"
    if file.n_bytes not in (None, size):
        return f"has {size} bytes, not {file.n_bytes}"
    known = remembered(path.parent).get(file.address) if _is_unknown(file) else None
    return _fault(file_of(path), file, known)


def _is_unknown(file: PublishedFile) -> bool:
    return file.sha256 is None and file.git_blob is None


@lru_cache(maxsize=64)
def _fault(found: File, file: PublishedFile, known: str | None) -> str:
    content = Path(found[0]).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    wanted = file.sha256 or known
    if wanted is not None:
        return "" if sha256 == wanted else f"has SHA-256 {sha256}, not {wanted}"
    if file.git_blob is not None:
        header = b"blob %d\0" % len(content)
        blob = hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
        right = blob == file.git_blob
        return "" if right else f"has git's SHA-1 {blob}, not {file.git_blob}"
    try:
        open_weights(content, file.file)
    except ValueError as error:
        return f"cannot be used ({error})"
    return ""


def tags_of(weights: object, fingerprint: str | None) -> tuple[str, ...] | None:
    """Names of the outputs, by the name of published weights or by their SHA-256."""
    entry = published_of(weights)
    if entry is None and fingerprint is not None:
        sha256 = fingerprint.partition("+")[0]
        same = (known for known in PUBLISHED.values() if known.sha256 == sha256)
        entry = next(same, None)
    return None if entry is None else entry.tags
