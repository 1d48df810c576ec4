"""Sounds of a listening report: which clips have them, encoded, and as pictures."""

from __future__ import annotations

import os
import struct
import zlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch

from skaudio._audio._load import load_parts
from skaudio._audio._report import Report
from skaudio._utils._types import is_path
from skaudio.inspection._embedded_json import as_json
from skaudio.inspection._players import encoded, playable
from skaudio.nn.frontends import MelSpectrogram

N_MELS = 64
MOST_FRAMES = 320
RANGE = 80.0  # dB below the maximum that are shown
QUIETEST = -60.0  # dB: a maximum below it is not raised any further
LEVELS = 32
HZ = (50, 100, 200, 500, 1000, 2000, 4000, 8000, 16000, 32000, 64000)
# matplotlib's magma at 0, 0.2, ..., 1
COLORS = ("000004", "3b0f70", "8c2981", "de4968", "fe9f6d", "fcfdbf")


@dataclass(frozen=True)
class Sound:
    """A clip to hear and to see.

    Parameters
    ----------
    source : str
        A data URI, or the path of a file that is linked.
    picture : str
        Spectrogram as the data URI of a PNG.
    seconds : float
        What the picture shows, and what is played if it is no link.
    remarks : tuple of str
        What was done to it.
    is_link : bool
        Whether `source` is a path.
    """

    source: str
    picture: str
    seconds: float
    remarks: tuple[str, ...] = ()
    is_link: bool = False

    def data(self, folder: Path) -> dict[str, Any]:
        """What a page that lies in a folder is told."""
        return {
            "source": _link(self.source, folder) if self.is_link else self.source,
            "picture": self.picture,
            "seconds": round(self.seconds, 4),
            "remarks": list(self.remarks),
        }

    def size(self, row: int, folder: Path) -> int:
        """Bytes that it adds to the page."""
        return len(as_json({str(row): self.data(folder)}))


@dataclass(frozen=True)
class SoundOptions:
    """How sounds are made; see `ListeningReport`."""

    sr: float
    audio: str
    max_duration: float
    normalize: bool
    verbose: int


def in_priority(
    order: Sequence[int],
    right: Sequence[bool | None],
    margin: np.ndarray,
    labels: Sequence[Any],
    max_clips: int,
    rng: np.random.RandomState,
) -> list[int]:
    """Rows that get sound: mistakes, the least certain, then some of every class.

    Half of the places that mistakes leave are for right clips of least margin, the
    others for clips drawn class by class.
    """
    mistakes = [row for row in order if right[row] is False][:max_clips]
    others = [row for row in order if right[row] is not False]
    places = max_clips - len(mistakes)
    certain = [row for row in others if right[row] and not np.isnan(margin[row])]
    least = certain[: (places + 1) // 2]
    taken = {*mistakes, *least}
    by_class: dict[Any, list[int]] = {}
    for row in rng.permutation(others).tolist():
        if row not in taken:
            by_class.setdefault(labels[row], []).append(row)
    drawn = []
    while by_class:
        for label in [*by_class]:
            drawn.append(by_class[label].pop())
            if not by_class[label]:
                del by_class[label]
    return (mistakes + least + drawn)[:max_clips]


def sounds_of(
    clips: Any, rows: Sequence[int], options: SoundOptions
) -> Iterator[tuple[int, Sound | str]]:
    """Sounds of some rows in turn, or why there is none."""
    report = Report()
    how: dict[str, Any] = {"sr": options.sr, "verbose": options.verbose}
    for part in load_parts(clips, report, rows=rows, on_error="nan", **how):
        failed = {error["row"]: error["error"] for error in report.errors}
        for row, clip, wave in zip(part.rows, part.clips, part.waveforms, strict=True):
            if row in failed:
                yield row, f"It could not be loaded. {failed[row]}"
            else:
                yield row, _sound(clip, wave, options)


def _sound(clip: Any, waveform: np.ndarray, options: SoundOptions) -> Sound:
    sr, max_duration, remarks = options.sr, options.max_duration, []
    shown = waveform[: max(1, round(max_duration * sr))]
    if len(shown) < len(waveform):
        remarks.append(f"first {max_duration:g} s of {len(waveform) / sr:.1f} s")
    picture = spectrogram(shown, sr)
    seconds = len(shown) / sr
    peak = float(np.abs(shown).max())
    if peak == 0:
        remarks.append("silent")
    if options.audio == "link" and is_path(clip):
        return Sound(os.path.abspath(clip), picture, seconds, tuple(remarks), True)
    if peak > 1 or (options.normalize and peak > 0):
        if not options.normalize:
            remarks.append(f"played at 1/{peak:.3g} of its level, which passes 1")
        shown = shown / peak
    kind = "wav" if options.audio == "link" else options.audio
    uri = encoded(*playable(shown, round(sr)), kind)
    return Sound(uri, picture, seconds, tuple(remarks))


def _link(path: str, folder: Path) -> str:
    try:
        path = os.path.relpath(path, folder)
    except ValueError:  # another drive
        return Path(path).as_uri()
    return quote(path.replace(os.sep, "/").encode("utf-8", "surrogateescape"))


# ------------------------------------------------------------------------- pictures
def spectrogram(waveform: np.ndarray, sr: float) -> str:
    """A log-mel spectrogram of one waveform as the data URI of a small PNG."""
    with torch.inference_mode():
        samples = torch.from_numpy(waveform.astype(np.float32))
        decibels = _front_end(sr)(samples).numpy()
    n_frames = decibels.shape[1]
    if n_frames > MOST_FRAMES:
        edges = np.linspace(0, n_frames, MOST_FRAMES + 1).astype(int)[:-1]
        decibels = np.maximum.reduceat(decibels, edges, axis=1)
    top = max(float(decibels.max()), QUIETEST)
    share = ((decibels - top) / RANGE + 1).clip(0, 1)
    levels = np.round(share * (LEVELS - 1)).astype(np.uint8)[::-1]
    if not waveform.any():
        levels[:] = 0
    return "data:image/png;base64," + b64encode(png(levels, _palette())).decode()


@cache
def _front_end(sr: float) -> MelSpectrogram:
    n_fft = 2 ** max(5, round(np.log2(0.04 * sr)))
    sizes = {"n_fft": n_fft, "win_length": n_fft, "hop_length": n_fft // 4}
    return MelSpectrogram(sr=sr, n_mels=N_MELS, **sizes)


def frequency_ticks(sr: float) -> list[tuple[str, float]]:
    """Labels of the pictures' frequencies, and their places from the bottom, 0 to 1."""
    from librosa import hz_to_mel

    mels = hz_to_mel(np.array([0.0, sr / 2, *HZ]))
    places = (mels[2:] - mels[0]) / (mels[1] - mels[0])
    found: list[tuple[str, float]] = []
    for hz, place in zip(HZ, places.tolist(), strict=True):
        if place < 0.97 and (not found or place - found[-1][1] > 0.16):
            found.append(
                (f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz", round(place, 4))
            )
    return found


def _palette() -> np.ndarray:
    stops = np.array([list(bytes.fromhex(color)) for color in COLORS])
    at, of_stops = np.linspace(0, 1, LEVELS), np.linspace(0, 1, len(stops))
    columns = [np.interp(at, of_stops, channel) for channel in stops.T]
    return np.round(np.stack(columns, axis=1)).astype(np.uint8)


def png(levels: np.ndarray, palette: np.ndarray) -> bytes:
    """Write an image of numbers of colours.

    Parameters
    ----------
    levels : ndarray of uint8 of shape (height, width)
        From the top.
    palette : ndarray of uint8 of shape (n_colors, 3)
        Red, green and blue.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.inspection._listening_report_sounds import png
    >>> png(np.zeros((1, 2), np.uint8), np.zeros((1, 3), np.uint8))[1:4]
    b'PNG'
    """

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    height, width = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    rows = np.pad(levels, [(0, 0), (1, 0)])  # no filter in any row
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", palette.tobytes())
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9))
        + chunk(b"IEND", b"")
    )
