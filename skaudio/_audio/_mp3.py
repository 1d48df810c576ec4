"""MPEG audio: frames are counted, so that no decoder has to guess.

A stream of MPEG frames holds no length but in a Xing or Info frame that encoders may
put first. Without one, libsndfile takes the rate of the first frame for that of all and
stops where the estimate ends. Here every frame header is read; where the stated count
is not that of the frames there are, a header with the right count goes in front.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

KBITS = {  # (MPEG-1 or not, layer): kbit/s by index
    (True, 1): range(0, 449, 32),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44100, 48000, 32000)
DIVISOR = {3: 1, 2: 2, 0: 4}  # of the rates, by version: MPEG-1, 2, 2.5
HAS_FRAMES, HAS_BYTES, HAS_INDEX, HAS_QUALITY = 1, 2, 4, 8
DECODER_DELAY = 529  # samples
MOST_SKIPPED = 2**13  # samples of the delays of an encoder and a decoder, at most
ENCODER_PART = 36  # bytes: name, delay, padding and more


Kind = tuple[int, int, int, int]


class Header(NamedTuple):
    """The four bytes a frame starts with."""

    version: int  # 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
    layer: int
    kbits: int  # 0: free format, whose frames state no size
    rate: int
    padding: int
    n_channels: int

    @property
    def n_samples(self) -> int:
        """Samples of every channel in a frame."""
        if self.layer == 1:
            return 384
        return 1152 if self.layer == 2 or self.version == 3 else 576

    @property
    def size(self) -> int:
        """Bytes of the frame, with its header."""
        slot = 4 if self.layer == 1 else 1
        n_slots = self.n_samples // (8 * slot) * self.kbits * 1000 // self.rate
        return (n_slots + self.padding) * slot

    @property
    def kind(self) -> Kind:
        """What all frames of one stream have in common."""
        return self.version, self.layer, self.rate, self.n_channels


def header_at(data: bytes, at: int) -> Header | None:
    """The frame header at a place, or None if there is none."""
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    kbits, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or kbits == 15 or rate == 3:
        return None
    return Header(
        version,
        layer,
        KBITS[version == 3, layer][kbits],
        RATES[rate] // DIVISOR[version],
        head[2] >> 1 & 1,
        1 if head[3] >> 6 == 3 else 2,
    )


def skip_tags(data: bytes, at: int, limit: bool = True) -> int:
    """The place behind tags that may stand before, between and after frames."""
    while True:
        head = data[at : at + 32]
        if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
            a, b, c, d = head[6:10]
            footer = 10 if head[5] & 16 else 0
            at += 10 + (a << 21 | b << 14 | c << 7 | d) + footer
        elif head[:3] == b"TAG":
            at += 227 if head[3:4] == b"+" else 128
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            has_header = head[23] & 32  # this is the header: its size counts from here
            at += 32 + (int.from_bytes(head[12:16], "little") if has_header else 0)
        elif head[:11] == b"LYRICSBEGIN":
            end = max(data.find(b"LYRICS200", at), data.find(b"LYRICSEND", at))
            at = len(data) if end < 0 else end + 9
        else:
            return min(at, len(data)) if limit else at


class Stream(NamedTuple):
    """Frames of one kind, and the Xing or Info frame in front of them, if any."""

    header: Header  # of the first frame
    tag: bytes
    frames: list[bytes]
    is_complete: bool = True  # or were no more frames wanted?

    @property
    def n_missing(self) -> int:
        """Samples that its tag states and that are not there: the file was cut.

        Some encoders count the frame of the tag.
        """
        n_frames = _fields(self.tag)[0] - len(self.frames)
        is_cut = self.is_complete and n_frames > 1
        return n_frames * self.header.n_samples if is_cut else 0

    def is_whole(self, n_bytes: int) -> bool:
        """Whether its tag states the frames there are, and nearly so many bytes."""
        count, stated, _ = _fields(self.tag)
        return count == len(self.frames) and abs(stated - n_bytes) <= n_bytes // 128

    def with_length(self) -> tuple[bytes, int, int | None]:
        """The stream with its length in front.

        Also how many samples of it to skip, and to read: None if it says so itself.
        """
        if self.header.layer != 3:  # others have no such tag, nor varying rates
            n_samples = len(self.frames) * self.header.n_samples
            return b"".join(self.frames), 0, n_samples
        return *_with_tag(self), None


def first_header(file: BinaryIO) -> Header | None:
    """The first frame header of a file of MPEG audio; None if it is something else."""
    at, before = 0, -1
    while at != before:
        file.seek(at)
        data = file.read(2**14)
        before, at = at, at + skip_tags(data, 0, limit=False)
    at = len(data) - len(data.lstrip(b"\0"))
    header = header_at(data, at)
    return header if header is not None and _goes_on(data, at, header) else None


def streams_of(data: bytes, n_samples: float) -> list[Stream]:
    """Find the frames of a file, up to ``n_samples`` of every channel.

    Streams part where an encoder began anew: at a Xing or Info frame, and where the
    rate or the channels change.

    Raises
    ------
    ValueError
        If other bytes stand between frames.
    """
    streams: list[Stream] = []
    tag = b""
    frames: list[bytes] = []
    kind: Kind | None = None
    n_found = 0
    for header, frame in _frames(data):
        is_tag = bool(_tag_at(frame, header))
        if frames and (is_tag or header.kind != kind):
            streams.append(_stream(tag, frames))
            tag, frames = b"", []
        if is_tag:
            tag = frame
            continue
        kind = header.kind
        frames.append(frame)
        n_found += header.n_samples
        if n_found >= n_samples:
            break
    if frames:
        streams.append(_stream(tag, frames, n_found < n_samples))
    return streams


def _stream(tag: bytes, frames: list[bytes], is_complete: bool = True) -> Stream:
    header = header_at(frames[0], 0)
    assert header is not None
    return Stream(header, tag, frames, is_complete)


def _frames(data: bytes) -> Iterator[tuple[Header, bytes]]:
    at = skip_tags(data, 0)
    last: Header | None = None
    while at < len(data):
        header = header_at(data, at)
        if header is not None and last is not None and not header.kbits:
            header = None  # a stream of free format has no other frames
        fits = header is not None and last is not None and header.kind == last.kind
        if header is not None and (fits or _goes_on(data, at, header)):
            last = header
            frame = data[at : at + header.size]
            if len(frame) == header.size:  # decoders skip what is left of a cut one
                yield header, frame
            at = skip_tags(data, at + header.size)
            continue
        start, at = at, _next_frame(data, at + 1)
        if last is not None and at < len(data):  # before and behind all, anything goes
            raise ValueError(
                f"is damaged: {at - start} bytes at {start} are no MPEG audio"
            )


def _goes_on(data: bytes, at: int, header: Header) -> bool:
    """Whether another frame, a tag or the end of the file follows: no chance bytes."""
    if header.kbits == 0:
        raise ValueError(
            "is MPEG audio in free format, whose frames state no size. Convert it to "
            "wav, flac or ogg, or leave it out."
        )
    end = at + header.size
    following = header_at(data, skip_tags(data, end))
    if following is None:
        return end + 4 > len(data) or skip_tags(data, end) > end
    return following[:2] == header[:2]


def _next_frame(data: bytes, at: int) -> int:
    """Where the next frame starts, or the end of the file."""
    while (at := data.find(b"\xff", at)) >= 0:
        header = header_at(data, at)
        fits = header is not None and header.kbits and at + header.size <= len(data)
        if header is not None and fits and _goes_on(data, at, header):
            return at
        at += 1
    return len(data)


# ------------------------------------------------------------ frames that state lengths
def _tag_at(frame: bytes, header: Header) -> int:
    """Where "Xing" or "Info" stands in a frame; 0 if it holds sound."""
    if header.layer != 3:
        return 0
    end = _side_information_end(header)
    for at in (end, end + 2):  # a checksum takes two bytes
        if frame[at : at + 4] in (b"Xing", b"Info"):
            return at
    return 0


def _side_information_end(header: Header) -> int:
    mono = header.n_channels == 1
    return 4 + ((17 if mono else 32) if header.version == 3 else (9 if mono else 17))


def _fields(tag: bytes) -> tuple[int, int, int]:
    """Frames and bytes that a tag states (0: not), and where an encoder's part is."""
    header = header_at(tag, 0)
    if header is None:
        return 0, 0, 0
    at = _tag_at(tag, header) + 8
    flags = tag[at - 1]
    stated = []
    for flag in (HAS_FRAMES, HAS_BYTES):
        stated.append(int.from_bytes(tag[at : at + 4], "big") if flags & flag else 0)
        at += 4 if flags & flag else 0
    at += (100 if flags & HAS_INDEX else 0) + (4 if flags & HAS_QUALITY else 0)
    return stated[0], stated[1], at


def _with_tag(stream: Stream) -> tuple[bytes, int]:
    """A stream behind a frame that states its length, and what to skip of it."""
    count, _, encoder = _fields(stream.tag)
    frames, header = stream.frames, stream.header
    at = _side_information_end(header)
    part = bytearray(stream.tag[encoder : encoder + ENCODER_PART])
    if len(part) < ENCODER_PART or not part[:4].isalnum():
        part = bytearray()
    elif count not in (0, len(frames)):  # padding lies where the count ended
        part[22:24] = bytes([part[22] & 0xF0, 0])
    body = bytearray(_smallest_frame(frames[0], at + 16 + len(part)))
    # a decoder that knows the length skips its own delay even if no encoder asks for it
    silent = [] if part else [_smallest_frame(frames[0], at)]
    count = len(silent) + len(frames)
    size = len(body) + sum(map(len, silent)) + sum(map(len, frames))
    body[at : at + 8] = b"Xing\0\0\0" + bytes([HAS_FRAMES | HAS_BYTES])
    body[at + 8 : at + 12] = count.to_bytes(4, "big")
    body[at + 12 : at + 16] = size.to_bytes(4, "big")
    body[at + 16 : at + 16 + len(part)] = part
    skipped = len(silent) * (header.n_samples - DECODER_DELAY)
    return b"".join((body, *silent, *frames)), skipped


def _smallest_frame(first: bytes, room: int) -> bytes:
    """A silent frame as the first of a stream, with so many bytes at least."""
    for index in range(1, 15):
        head = bytes([0xFF, first[1] | 1, index << 4 | first[2] & 0x0C, first[3]])
        header = header_at(head, 0)
        if header is not None and header.size >= room:
            return head + bytes(header.size - 4)
    raise AssertionError("every kind of frame has room at its highest rate")
