"""What identifies a clip, and a computation: equal keys if the numbers are equal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b, sha256
from importlib import metadata
from typing import Any

import numpy as np

from skaudio._utils._files import size_of_file
from skaudio._utils._types import RatedSamples, is_path

VERSION = 3  # of what is computed: a new one invalidates everything on disk
DIGEST = 16  # bytes
BLOCK = 2**20  # bytes of a file that are read at a time
# clocks of file systems are that coarse: what was written since may have been written
# twice with one time of change
SETTLED = 2 * 10**9  # nanoseconds

Signature = tuple[int, int, int, int]
File = tuple[str, Signature | None]  # a path, and what changes with the content


def digest_of(*parts: object) -> str:
    """Digest of values by their `repr`: strings, numbers, None and tuples of them."""
    return blake2b(repr((VERSION, *parts)).encode(), digest_size=DIGEST).hexdigest()


@cache
def versions_of(*packages: str) -> tuple[str, ...]:
    """Versions of skaudio and of packages whose numbers change with theirs."""
    return (
        str(sys.modules["skaudio"].__version__),
        *(metadata.version(package) for package in packages),
    )


def signature_of(path: str | os.PathLike[str]) -> Signature | None:
    """Size, times of change and number of a file; None if there is none.

    Both times, in nanoseconds: that of the content can be set back, that of the file
    itself cannot. Files that were written together may have the same times, and a link
    or a folder may lead from one to the other: their numbers (inodes) differ.
    """
    try:
        stat = os.stat(path)
    except (OSError, ValueError):  # no such file, or no such name
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def watched(clips: Sequence[Any]) -> Callable[[int], bool]:
    """Remember files as they are; the result says whether that of a row still is so.

    What is computed of a file that has changed since its content was read belongs to
    another content.
    """

    def signature(row: int) -> Signature | None:
        return signature_of(clips[row]) if is_path(clips[row]) else None

    before = [signature(row) for row in range(len(clips))]
    return lambda row: signature(row) == before[row]


def file_of(path: str | os.PathLike[str]) -> File:
    """A path and the signature of the file there: equal if the content is."""
    return os.path.abspath(path), signature_of(path)


def signature_key(path: str | os.PathLike[str]) -> str | None:
    """Key of a file by its path and signature.

    None if there is no file, or if it changed so lately that it could change again
    without another time of change.
    """
    name, signature = file_of(path)
    if signature is None or time.time_ns() - max(signature[1:3]) < SETTLED:
        return None
    return digest_of("file", os.fsencode(name), signature)


def content_of_file(path: str | os.PathLike[str]) -> np.ndarray | None:
    """Digest of a file's content and the ending of its name; None if there is none."""
    digest = sha256(os.fsencode(os.path.splitext(path)[1].lower()) + b"\0")
    try:
        size_of_file(path)
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except (OSError, ValueError):
        return None
    return np.frombuffer(digest.digest()[:DIGEST], np.uint8)


def content_of_array(clip: Any) -> str | None:
    """Digest of a clip that is no file; None if it is no array of numbers."""
    rate = None
    if isinstance(clip, RatedSamples):
        clip, rate = clip.samples, float(clip.rate)
    elif is_path(clip) or hasattr(clip, "read"):
        return None
    clip = np.asarray(clip)
    if clip.dtype.hasobject:
        return None
    # processors have instructions for it: 2.6 times as fast as blake2b (measured)
    digest = sha256(repr((rate, clip.dtype.str, clip.shape)).encode())
    digest.update(np.ascontiguousarray(clip).data)
    return digest.hexdigest()[: 2 * DIGEST]


def joined(store: str | None, contents: Sequence[str | None]) -> list[str | None]:
    """Keys of clips in a store, by their contents; None where either is unknown."""
    return [store and content and f"{store}/{content}" for content in contents]
