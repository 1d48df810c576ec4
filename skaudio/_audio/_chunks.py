"""Containers that state how many bytes of samples they hold, and how many there are."""

from __future__ import annotations

import io
import os
from typing import Any, BinaryIO, NamedTuple

W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
UNKNOWN_64 = 2**63 - 2**20
PACKED = (b"GSM ", b"DWVW", b"ima4")  # AIFF: bits per sample are not those stored
NEAR = 2**16  # writers to pipes subtract what their header takes from a limit


class Extent(NamedTuple):
    """Bytes of samples in a file."""

    stated: int | None  # None: the writer did not know
    there: int
    # places in the header and what to write there, so that it states what is there
    sizes: dict[int, bytes]

    @property
    def is_cut(self) -> bool:
        """Whether fewer bytes are there than the header states."""
        return self.stated is not None and self.stated > self.there

    @property
    def is_streamed(self) -> bool:
        """Whether the header was written before the length was known."""
        return self.stated is None and self.there > 0


def extent_of(file: BinaryIO) -> Extent | None:
    """Find the samples of a container whose header states how many there are.

    Parameters
    ----------
    file : binary file
        What is read; its position changes.

    Returns
    -------
    extent : Extent or None
        None for other formats, and where no samples are found.
    """
    file.seek(0)
    head = file.read(40)
    total = file.seek(0, os.SEEK_END)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return _riff(file, total, "big" if head[:4] == b"RIFX" else "little")
    if head[:16] == W64_RIFF:
        return _w64(file, total)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC", b"8SVX", b"16SV"):
        return _iff(file, total)
    if head[:4] in (b".snd", b"dns."):
        return _au(head, total, "big" if head[:4] == b".snd" else "little")
    if head[:4] == b"caff":
        return _caf(file, total)
    if head[:7] == b"NIST_1A":
        return _nist(file, total)
    return None


def _riff(file: BinaryIO, total: int, order: str) -> Extent | None:
    at, sizes_64 = 12, 0
    while (chunk := _chunk(file, at, order)) is not None:
        name, size = chunk
        begin = at + 8
        if name == b"ds64":
            sizes_64 = begin
        if name == b"data":
            break
        at = begin + size + size % 2
    else:
        return None
    there = total - begin
    if sizes_64 and size == 2**32 - 1:
        size = _number(file, sizes_64 + 8, 8, order)
        is_unknown = size >= UNKNOWN_64 or (size == 0 and there > 0)
        sizes = {sizes_64: _bytes(total - 8, 8, order)}
        sizes[sizes_64 + 8] = _bytes(there, 8, order)
    else:
        is_unknown = _is_placeholder(size) or (
            size == 0 and not _are_chunks(file, begin, total, order)
        )
        sizes = {4: _bytes(total - 8, 4, order), at + 4: _bytes(there, 4, order)}
    return Extent(None if is_unknown else size, there, sizes)


def _w64(file: BinaryIO, total: int) -> Extent | None:
    at = 40
    while True:
        head = _text(file, min(at, total), 24)
        if len(head) < 24:
            return None
        size = int.from_bytes(head[16:], "little")  # with the 24 bytes of the header
        if head[:4] == b"data":
            break
        at += max(24, -(-size // 8) * 8)
    there = total - at - 24
    is_unknown = size >= UNKNOWN_64 or (size <= 24 and there > 0)
    sizes = {16: _bytes(total, 8, "little"), at + 16: _bytes(there + 24, 8, "little")}
    return Extent(None if is_unknown else size - 24, there, sizes)


def _iff(file: BinaryIO, total: int) -> Extent | None:
    at, common = 12, 0
    while (chunk := _chunk(file, at, "big")) is not None:
        name, size = chunk
        if name == b"COMM":
            common = at + 8
        if name in (b"SSND", b"BODY"):
            break
        at += 8 + size + size % 2
    else:
        return None
    begin = at + (16 if name == b"SSND" else 8)  # offset and block size come first
    there = total - begin
    before = begin - at - 8
    is_unknown = _is_placeholder(size) or (
        size <= before and not _are_chunks(file, begin, total, "big")
    )
    sizes = {4: _bytes(total - 8, 4, "big"), at + 4: _bytes(there + before, 4, "big")}
    if common:
        n_channels, bits = _number(file, common, 2), _number(file, common + 6, 2)
        width = n_channels * -(-bits // 8)
        is_packed = _text(file, common + 18, 4) in PACKED
        n_samples = 16 * there if is_packed or not width else there // width
        sizes[common + 2] = _bytes(n_samples, 4, "big")
    return Extent(None if is_unknown else size - before, there, sizes)


def _au(head: bytes, total: int, order: str) -> Extent:
    begin = int.from_bytes(head[4:8], order)  # type: ignore[arg-type]
    size = int.from_bytes(head[8:12], order)  # type: ignore[arg-type]
    there = max(0, total - begin)
    is_unknown = _is_placeholder(size) or (size == 0 and there > 0)
    return Extent(None if is_unknown else size, there, {8: _bytes(there, 4, order)})


def _caf(file: BinaryIO, total: int) -> Extent | None:
    at = 8
    while True:
        head = _text(file, min(at, total), 12)
        if len(head) < 12:
            return None
        size = int.from_bytes(head[4:], "big", signed=True)
        if head[:4] == b"data":
            break
        at += 12 + max(0, size)
    there = total - at - 16  # an edit count comes first
    is_unknown = size < 0 or (size <= 4 and there > 0)
    return Extent(
        None if is_unknown else size - 4, there, {at + 4: _bytes(there + 4, 8, "big")}
    )


def _nist(file: BinaryIO, total: int) -> Extent | None:
    file.seek(0)
    head = file.read(1024).decode("latin-1")
    lines = [line.split() for line in head.splitlines()]
    fields = {line[0]: line[2] for line in lines if len(line) == 3}
    names = ("sample_count", "channel_count", "sample_n_bytes")
    try:
        n_samples, n_channels, width = (int(fields[name]) for name in names)
        begin = int(lines[1][0])
    except (KeyError, ValueError, IndexError):
        return None
    return Extent(n_samples * n_channels * width, max(0, total - begin), {})


def _chunk(file: BinaryIO, at: int, order: str) -> tuple[bytes, int] | None:
    file.seek(at)
    head = file.read(8)
    if len(head) < 8:
        return None
    return head[:4], int.from_bytes(head[4:], order)  # type: ignore[arg-type]


def _are_chunks(file: BinaryIO, at: int, total: int, order: str) -> bool:
    """Whether nothing but whole chunks follows."""
    while at < total and (chunk := _chunk(file, at, order)) is not None:
        if not chunk[0].isascii() or not chunk[0].strip().isalnum():
            return False
        at += 8 + chunk[1] + chunk[1] % 2
    return at in (total, total + 1)


def _is_placeholder(size: int) -> bool:
    return abs(size - 2**31) <= NEAR or size >= 2**32 - NEAR


def _number(file: BinaryIO, at: int, n_bytes: int, order: str = "big") -> int:
    file.seek(at)
    return int.from_bytes(file.read(n_bytes), order)  # type: ignore[arg-type]


def _text(file: BinaryIO, at: int, n_bytes: int) -> bytes:
    file.seek(at)
    return file.read(n_bytes)


def _bytes(number: int, n_bytes: int, order: str) -> bytes:
    limited = min(max(0, number), 256**n_bytes - 1)
    return limited.to_bytes(n_bytes, order)


class Rewritten(io.RawIOBase):
    """A file with other bytes in some places; nothing is copied or written.

    Parameters
    ----------
    file : binary file
        What is read; its position changes.
    changes : dict of int to bytes
        Places and what stands there instead.
    """

    def __init__(self, file: BinaryIO, changes: dict[int, bytes]) -> None:
        self._file = file
        self._changes = changes
        self._size = file.seek(0, os.SEEK_END)
        self._at = 0

    def seekable(self) -> bool:
        """Whether the position can be set: yes."""
        return True

    def readable(self) -> bool:
        """Whether there is something to read: yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position, whatever that of the file below is."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read from the file below, and overwrite what is to change."""
        self._file.seek(self._at)
        data = bytearray(self._file.read(len(buffer)))
        stop = self._at + len(data)
        for at, new in self._changes.items():
            first, last = max(at, self._at), min(at + len(new), stop)
            if first < last:
                data[first - self._at : last - self._at] = new[first - at : last - at]
        buffer[: len(data)] = data
        self._at = stop
        return len(data)
