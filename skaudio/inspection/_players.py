"""Tables with an audio player in each row, for notebooks and HTML pages."""

from __future__ import annotations

import base64
import html
import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import soundfile
import soxr
from sklearn.base import BaseEstimator

from skaudio._audio._load import load_clips
from skaudio._utils._files import replacing
from skaudio._utils._text import shortened
from skaudio._utils._validation import check_clips

LOWEST_RATE = 3000  # Hz that Chromium plays
SUBTYPES = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS"}
BLOCK = 2**16  # samples: libsndfile ends the process where Vorbis gets many at once
LEFT = 'style="text-align: left"'  # notebooks and themes set tables to the right
PAGE = """\
<!DOCTYPE html>
<html>
<head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font-family: sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid #ccc; padding: 0.4em 0.8em; }}
</style></head>
<body>
{table}
</body>
</html>
"""


class PlayerTable:
    """Table of clips to listen to: texts and numbers, and players beside them.

    A notebook and the gallery of a manual show it as it is, `save` writes a page. The
    sound is within the HTML, as WAV of 16 bit, so that nothing else is needed: 59 kB
    for a second at 22,050 Hz. Lower rates and `max_duration` keep pages small.

    Parameters
    ----------
    sounds : X, or mapping of str to X
        Clips, one for each row: an array (n_clips, n_samples), or a list of waveforms
        or paths, as :class:`~skaudio.preprocessing.AudioLoader` takes them. A mapping
        has several columns of players, by their headings, such as sounds before and
        after.
    labels : mapping of str to sequence, or DataFrame, or None, default=None
        Columns before the players, by their headings, with a cell for each clip: a text
        or number, a list of these, or a list of pairs such as `CoalaEmbedder` finds,
        ``("violin", 0.93)``. Entries of lists have a line each; HTML in a text is shown
        as text.
    sr : int
        Rate of the sounds in Hz. Files are resampled to it; arrays are taken to be at
        it. Below 3000 Hz, which not all browsers play, it is written at a multiple.
    max_duration : float or None, default=None
        Seconds that longer clips are cut off at; None plays all.
    normalize : bool, default=False
        Scale every sound to a peak of 1. Otherwise sounds are as loud as they are, and
        what is beyond -1 to 1 is clipped, with a warning.
    caption : str or None, default=None
        Text above the table.

    Raises
    ------
    ValueError
        If a column has not one cell for each clip, two columns have one heading, or a
        clip cannot be loaded; the message has its row or file.

    Warns
    -----
    UserWarning
        If samples are clipped, with the rows.

    See Also
    --------
    skaudio.embedding.CoalaEmbedder : Finds words for sounds and sounds for words.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.inspection import PlayerTable
    >>> X, y = make_sounds(n_clips=3, n_classes=3, sr=8000, random_state=0)
    >>> table = PlayerTable(X, {"class": y}, sr=8000)
    >>> table
    PlayerTable of 3 rows: class, sound
    >>> table.to_html().count("<audio")
    3
    """

    def __init__(
        self,
        sounds: Any,
        labels: Any = None,
        *,
        sr: int,
        max_duration: float | None = None,
        normalize: bool = False,
        caption: str | None = None,
    ) -> None:
        _check_settings(sr, max_duration)
        self.caption = caption
        named = sounds if isinstance(sounds, Mapping) else {"sound": sounds}
        if not named:
            raise ValueError("sounds is empty: a table needs a column of players.")
        players = {}
        for name, X in named.items():
            players[str(name)] = _players(name, X, sr, max_duration, normalize)
        texts = {
            str(name): _texts(name, cells)
            for name, cells in ({} if labels is None else labels).items()
        }
        twice = players.keys() & texts.keys()
        if twice:
            raise ValueError(f"Labels and sounds have a column {min(twice)!r} each.")
        self._columns = texts | players
        _check_lengths(self._columns)

    def to_html(self) -> str:
        """Write the table as HTML.

        Returns
        -------
        table : str
            A ``<table>`` to put into a page.
        """
        heads = "".join(
            f'<th scope="col" {LEFT}>{html.escape(name)}</th>' for name in self._columns
        )
        rows = "\n".join(
            "<tr>" + "".join(f"<td {LEFT}>{cell}</td>" for cell in row) + "</tr>"
            for row in zip(*self._columns.values(), strict=True)
        )
        caption = ""
        if self.caption is not None:
            caption = f"<caption>{html.escape(self.caption)}</caption>\n"
        return (
            f'<table class="skaudio-players">\n{caption}<thead>\n<tr>{heads}</tr>\n'
            f"</thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a page with the table, for any browser.

        Parameters
        ----------
        path : str or path-like
            File to write, by convention ending in ``.html``.
        """
        title = html.escape(self.caption or "Sounds")
        page = PAGE.format(title=title, table=self.to_html())
        with replacing(path) as part:
            part.write_text(page, encoding="utf-8")

    def _repr_html_(self) -> str:
        return self.to_html()

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __repr__(self) -> str:
        return f"PlayerTable of {len(self)} rows: {', '.join(self._columns)}"


class Sounds(BaseEstimator):
    """Named in messages about sounds that cannot be loaded."""


def _check_settings(sr: Any, max_duration: Any) -> None:
    whole = not isinstance(sr, bool) and isinstance(sr, Real) and float(sr).is_integer()
    if not whole or not 0 < sr < 2**31:
        raise ValueError(
            f"sr must be a whole number of Hz, as WAV files have it; got {sr!r}."
        )
    if max_duration is not None and not (
        isinstance(max_duration, Real) and 1 <= max_duration * sr < np.inf
    ):
        raise ValueError(
            "max_duration must be None or seconds, at least one sample long; got "
            f"{max_duration!r}."
        )


def _check_lengths(columns: Mapping[str, list[str]]) -> None:
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"All columns must have one cell for each clip; got {lengths}."
        )


def _players(
    name: Any, X: Any, sr: float, max_duration: float | None, normalize: bool
) -> list[str]:
    """An HTML player for each clip."""
    if isinstance(X, (str, os.PathLike)):
        raise ValueError(
            f"Sounds must be a list of clips, one for each row; got {X!r} for "
            f"{name!r}. Put it in a list."
        )
    waveforms = list(load_clips(check_clips(Sounds(), X, reset=True), sr=sr)[0])
    if max_duration is not None:
        waveforms = [wave[: round(max_duration * sr)] for wave in waveforms]
    peaks = [float(np.abs(wave).max()) for wave in waveforms]
    if normalize:
        waveforms = [
            wave / (peak or 1) for wave, peak in zip(waveforms, peaks, strict=True)
        ]
    else:
        _warn_of_clipping(name, peaks)
    uris = [encoded(*playable(wave, round(sr)), "wav") for wave in waveforms]
    return [f'<audio controls preload="metadata" src="{uri}"></audio>' for uri in uris]


def _warn_of_clipping(name: Any, peaks: Sequence[float]) -> None:
    loud = [row for row, peak in enumerate(peaks) if peak > 1]
    if loud:
        warnings.warn(
            f"{len(loud)} of {len(peaks)} sounds of column {str(name)!r} go beyond -1 "
            f"to 1 (up to {max(peaks):.3g}) and are clipped: rows {shortened(loud)}. "
            "normalize=True scales every sound to a peak of 1.",
            UserWarning,
            stacklevel=4,
        )


def playable(wave: np.ndarray, sr: int) -> tuple[np.ndarray, int]:
    """Sound at a rate that browsers play, its own if that is possible.

    Parameters
    ----------
    wave : ndarray of shape (n_samples,)
        Sound.
    sr : int
        Its rate in Hz.

    Returns
    -------
    wave, sr : ndarray, int
        At a multiple of rates below 3000 Hz.
    """
    rate = sr * -(-LOWEST_RATE // sr)
    return (wave, sr) if rate == sr else (soxr.resample(wave, sr, rate), rate)


def encoded(wave: np.ndarray, sr: int, kind: str) -> str:
    """Sound as a data URI.

    Parameters
    ----------
    wave : ndarray of shape (n_samples,)
        Sound; beyond -1 to 1 it is clipped.
    sr : int
        Its rate in Hz.
    kind : {"wav", "flac", "ogg"}
        The first two have 16 bit.
    """
    file = io.BytesIO()
    options = {"format": kind.upper(), "subtype": SUBTYPES[kind]}
    with soundfile.SoundFile(file, "w", sr, 1, **options) as writer:
        for start in range(0, len(wave), BLOCK):
            writer.write(wave[start : start + BLOCK])
    return f"data:audio/{kind};base64," + base64.b64encode(file.getvalue()).decode()


def _texts(name: Any, cells: Any) -> list[str]:
    """Cells of a column as HTML."""
    if isinstance(cells, str):
        raise ValueError(
            f"Labels {name!r} must be a list with a cell for each clip; got the text "
            f"{cells!r}."
        )
    return ["<br>".join(map(html.escape, _lines(cell))) for cell in cells]


def _lines(cell: Any) -> Iterator[str]:
    """One line, or one for each entry of a list."""
    if isinstance(cell, (list, np.ndarray)):
        for entry in cell:
            yield _line(entry)
    else:
        yield _line(cell)


def _line(entry: Any) -> str:
    if isinstance(entry, tuple):
        return " ".join(map(_line, entry))
    if isinstance(entry, Real) and not isinstance(entry, (Integral, np.bool_)):
        return f"{float(entry):.2f}"
    return str(entry)
