"""Files through libsndfile: forward, in blocks, and never more than there is.

Of every container two things are asked: what it states, and what is there. Where both
agree, libsndfile reads the file as it is. Where the writer did not know the length, it
gets a header that states what is there. Where less is there than stated, the file is
cut short.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from io import BufferedReader, BytesIO
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np

from skaudio._audio import _mp3
from skaudio._audio._chunks import Rewritten, extent_of
from skaudio._audio._mp3 import skip_tags
from skaudio._audio._ogg import links

BLOCK = 2**18  # samples of every channel that are read at a time
BUFFER = 2**16  # bytes that are read at a time where they are looked at on their way
PROBE = 256  # samples that are tried where a flac file should end
FLAC_LENGTH = 21  # where a flac file states how many samples it holds: 36 bits
UNKNOWN = 2**62  # samples that libsndfile reports where a file states no length
MOST_PER_BYTE = 1024  # samples of formats whose decoders go on where the file has ended

Needed = Callable[[float], float]  # rate of a file -> samples that are needed of it


class Sink(Protocol):
    """What takes samples: see `Intake`."""

    n_samples: int

    def expect(self, n_samples: int, rate: float) -> None:
        """Say how many samples are to come, at the most, and their rate."""

    def add(self, block: np.ndarray) -> None:
        """Take further samples, (n_samples, n_channels)."""


class Part(NamedTuple):
    """What libsndfile is to read, a path or an open file, as one stream of several."""

    source: Any
    n_skipped: int = 0  # at its start
    n_stated: int | None = None  # samples in it; None: as libsndfile says
    n_missing: int = 0  # samples that are known not to be there


class Recording(NamedTuple):
    """What was read."""

    n_samples: int  # of every channel
    n_channels: int
    rate: int
    n_stated: int | None = None  # samples stated, if fewer are there
    is_about: bool = False  # whether that is an estimate

    @property
    def form(self) -> str:
        """What recordings in one file have in common."""
        return f"{self.n_channels} x {self.rate} Hz"


def read(file: BinaryIO, source: Any, needed: Needed, intake: Sink) -> Recording:
    """Read samples from the start of a file on.

    Parameters
    ----------
    file : binary file
        The file, to look into.
    source : bytes, str or binary file
        The same as libsndfile is to open it.
    needed : callable
        Of the rate of the file: how many samples are needed.
    intake : Sink
        What takes the samples.

    Returns
    -------
    recording : Recording
        How many samples, their rate, and how many there should be.

    Raises
    ------
    ValueError
        If the file is damaged: what it is, without its name, and without a full stop if
        there is no better cure than to get it again.
    """
    n_bytes = file.seek(0, os.SEEK_END)
    at = _flac_at(file)
    if at is not None:
        return _read_flac(file, at, needed, n_bytes, intake)
    extent = extent_of(file)
    if extent is None:
        return _read_parts(_parts(file, source, needed), needed, n_bytes, intake)
    if not (extent.is_streamed or extent.is_cut):
        return _read_part(Part(source), needed, n_bytes, intake)
    rewritten = BufferedReader(Rewritten(file, extent.sizes))
    if extent.stated is None:
        found = _read_part(Part(rewritten), needed, n_bytes, intake)
        return found._replace(n_stated=None)
    return _read_cut(rewritten, extent.stated, extent.there, needed, intake)


def _flac_at(file: BinaryIO) -> int | None:
    """Where a flac file begins, behind tags; None for other formats."""
    at = 0
    while True:
        file.seek(at)
        head = file.read(10)
        after = at + skip_tags(head, 0, limit=False)
        if after == at:
            return at if head[:4] == b"fLaC" else None
        at = after


def _read_flac(
    file: BinaryIO, at: int, needed: Needed, n_bytes: int, intake: Sink
) -> Recording:
    """All frames of a flac file, however many samples it states."""
    import soundfile

    file.seek(at + FLAC_LENGTH)
    field = file.read(5)
    n_stated = int.from_bytes(field, "big") & 2**36 - 1 or UNKNOWN
    unknown = {at + FLAC_LENGTH: bytes([field[0] & 0xF0, 0, 0, 0, 0])} if field else {}
    source = BufferedReader(Rewritten(file, unknown), BUFFER)
    with soundfile.SoundFile(source) as flac:
        flac.seekable = lambda: False
        wanted = int(min(n_stated, needed(flac.samplerate)))
        n_read = _read_blocks(flac, wanted, 0, intake)
        if n_read == n_stated < needed(flac.samplerate):
            try:
                found = flac.read(PROBE, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:  # no frame: a tag, say
                found = []
                file.seek(at + 4)
                if b"fLaC" in file.read():
                    raise ValueError(
                        "holds several flac files, one after the other. Split it."
                    ) from None
            if len(found):
                intake.add(found)
                left = needed(flac.samplerate) - intake.n_samples
                _read_blocks(flac, int(max(0, min(UNKNOWN, left))), 0, intake)
        is_short = n_read < wanted and n_stated < UNKNOWN
        stated = n_stated if is_short else None
        return Recording(intake.n_samples, flac.channels, flac.samplerate, stated)


def _read_cut(
    source: Any, n_stated: int, n_there: int, needed: Needed, intake: Sink
) -> Recording:
    """What is there of a file that states more bytes of samples."""
    import soundfile

    try:
        found = _read_part(Part(source), needed, n_there, intake)
    except soundfile.LibsndfileError:  # a table of its packets is missing, say
        raise ValueError(
            f"is cut short: {n_there} of {n_stated} bytes of sound are there"
        ) from None
    if found.n_stated is not None:
        return found
    width, rest = divmod(n_there, max(1, found.n_samples))
    if width and rest < width:  # every sample has so many bytes, the last one fewer
        return found._replace(n_stated=n_stated // width)
    about = round(n_stated * found.n_samples / n_there) if n_there else n_stated
    return found._replace(n_stated=about, is_about=True)


def _parts(file: BinaryIO, source: Any, needed: Needed) -> list[Part]:
    file.seek(0)
    head = file.read(4)
    header = _mp3.first_header(file)
    file.seek(0)
    if head == b"OggS":
        streams = links(file.read())
        return [Part(source)] if len(streams) == 1 else [_part(s) for s in streams]
    if header is None:
        return [Part(source)]
    is_plain = head[:3] == b"ID3" or head[:1] == b"\xff"  # libsndfile knows no others
    data = file.read()
    found = _mp3.streams_of(data, needed(header.rate) + _mp3.MOST_SKIPPED)
    if is_plain and len(found) == 1 and found[0].is_whole(len(data)):
        return [Part(source)]
    return [_part(*stream.with_length(), stream.n_missing) for stream in found]


def _part(data: bytes, *options: Any) -> Part:
    return Part(BytesIO(data), *options)


def _read_parts(
    parts: list[Part], needed: Needed, n_bytes: int, intake: Sink
) -> Recording:
    if not parts:
        raise ValueError("is damaged: it has no whole MPEG frame")
    found: list[Recording] = []
    for part in parts:
        left = partial(_n_left, needed, intake.n_samples)
        new = _read_part(part, left, n_bytes, intake)
        found.append(new)
        if new.form != found[0].form:
            raise ValueError(
                f"holds several recordings, at first of {found[0].form} and then of "
                f"{new.form}. Split it."
            )
        if intake.n_samples >= needed(new.rate):
            break
    if len(found) == 1:
        return found[0]
    n_missing = sum(part.n_stated - part.n_samples for part in found if part.n_stated)
    n_read = intake.n_samples
    n_stated = n_read + n_missing if n_missing else None
    return found[0]._replace(n_samples=n_read, n_stated=n_stated)


def _n_left(needed: Needed, n_read: int, rate: float) -> float:
    return needed(rate) - n_read


def _read_part(part: Part, needed: Needed, n_bytes: int, intake: Sink) -> Recording:
    import soundfile

    source = part.source
    if isinstance(source, BytesIO):  # refuses places that damaged headers name
        source = BufferedReader(Rewritten(source, {}))
    with soundfile.SoundFile(source) as file:
        rate = file.samplerate
        if file.seekable():
            file.seek(0)  # decoders of mp3 begin a little differently if it was never
        file.seekable = lambda: False  # else a block is sought after it was read
        n_stated = file.frames if part.n_stated is None else part.n_stated
        _check_length(n_stated, n_bytes, file.format)
        wanted = int(min(n_stated, needed(rate) + part.n_skipped))
        n_read = _read_blocks(file, wanted, part.n_skipped, intake)
        n_channels = file.channels
    is_short = n_read < wanted and n_stated < UNKNOWN
    if is_short and file.format == "MP3":
        raise ValueError(f"is damaged: {n_read} of {n_stated} samples can be decoded")
    is_short = is_short and file.format != "OGG"  # whose pages were counted
    n_kept = max(0, n_read - part.n_skipped)
    if part.n_missing and n_kept < needed(rate):
        n_stated, is_short = n_kept + part.n_missing, True
    return Recording(n_kept, n_channels, rate, n_stated if is_short else None)


def _check_length(n_stated: int, n_bytes: int, kind: str) -> None:
    if kind not in ("FLAC", "OGG") and n_stated > MOST_PER_BYTE * n_bytes:
        raise ValueError(
            f"states {n_stated} samples, but has {n_bytes} bytes; at most "
            f"{MOST_PER_BYTE} samples a byte are read. Correct its header, or leave it "
            "out."
        )


def _read_blocks(file: Any, n_samples: int, n_skipped: int, intake: Sink) -> int:
    """Give samples from here on to the intake, but the first; how many were read."""
    intake.expect(max(0, n_samples - n_skipped), file.samplerate)
    block = np.empty((min(n_samples, BLOCK), file.channels), np.float32)
    n_read = 0
    while n_read < n_samples:
        room = block[: n_samples - n_read]
        n_new = len(file.read(out=room))
        first = max(0, n_skipped - n_read)
        n_read += n_new
        if first < n_new:
            intake.add(block[first:n_new])
        if n_new < len(room):
            break
    return n_read
