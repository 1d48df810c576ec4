"""Ogg: pages, their checksums, and the streams that stand one after the other."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

FIRST, LAST = 2, 4  # flags of pages: of a stream
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(NamedTuple):
    """One page, complete and with the right checksum."""

    start: int
    stop: int
    flags: int
    serial: bytes
    number: int


def links(data: bytes) -> list[bytes]:
    """The streams of a chained file, each complete by itself.

    Raises
    ------
    ValueError
        If a page is missing, has a wrong checksum, or the end of a stream is not there.
    """
    pages = _pages(data)
    if not pages[0].flags & FIRST:
        raise ValueError("is damaged: the page that begins its stream is missing")
    begun = [  # several streams may begin together: they are played together
        i
        for i, page in enumerate(pages)
        if page.flags & FIRST and (i == 0 or not pages[i - 1].flags & FIRST)
    ]
    chains = [pages[i:j] for i, j in zip(begun, [*begun[1:], None], strict=True)]
    for chain in chains:
        _check(chain)
    return [data[chain[0].start : chain[-1].stop] for chain in chains]


def _check(pages: list[Page]) -> None:
    numbers: dict[bytes, int] = {}
    for page in pages:
        expected = numbers.get(page.serial, page.number)
        if page.number != expected:
            raise ValueError(f"is damaged: page {expected} is missing")
        numbers[page.serial] = page.number + 1
    if not pages[-1].flags & LAST:
        raise ValueError("is cut short: its stream ends early")


def _pages(data: bytes) -> list[Page]:
    pages: list[Page] = []
    at = data.find(b"OggS")
    while at >= 0:
        head = data[at : at + 27]
        n_segments = data[at + 26] if len(head) == 27 else 0
        stop = at + 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
        if len(head) < 27 or stop > len(data):
            raise ValueError("is cut short: its stream ends early")
        page = data[at:stop]
        if checksum(page) != int.from_bytes(page[22:26], "little"):
            raise ValueError(f"is damaged: the page at byte {at} has a wrong checksum")
        number = int.from_bytes(page[18:22], "little")
        pages.append(Page(at, stop, page[5], page[14:18], number))
        at = data.find(b"OggS", stop)
        if at > stop:
            raise ValueError(f"is damaged: no page follows at byte {stop}")
    return pages


def checksum(page: bytes) -> int:
    """The checksum of a page: that of zlib with all bits in the opposite order."""
    page = page[:22] + bytes(4) + page[26:]
    value = crc32(page.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)
