"""Audio files to samples, with errors that name what is wrong with a file."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from skaudio._audio._checks import AGAIN, CutShortError
from skaudio._audio._intake import Intake
from skaudio._audio._reading import Needed, Recording, read
from skaudio._utils._forks import Lock
from skaudio._utils._types import is_path, shown

RESAMPLER_REACH = 1024  # samples of the lower rate behind a crop that change it
ONE_AT_A_TIME = Lock()


def decode(
    source: Any,
    duration: float | None,
    *,
    name: str = "",
    mono: str | None = None,
    sr: float | None = None,
    receive: Callable[[np.ndarray], Any] | None = None,
) -> tuple[np.ndarray, float]:
    """Decode a file, or no more of it than a clip of some length needs.

    Parameters
    ----------
    source : path or binary file
        A file in a format that libsndfile reads: wav, flac, ogg, mp3 and others. An
        open file is read from its start, and stays open.
    duration : float or None
        Seconds that will be cropped to; a little more is decoded, for resampling.
        None is the whole file.
    name : str, default=""
        What to call an open file in messages; a path names itself.
    mono : {"average", "raise"} or None, default=None
        What to do with more than one channel; None keeps them.
    sr : float or None, default=None
        Rate in Hz to resample to, if there is one channel; None keeps that of the file.
    receive : callable or None, default=None
        What is given the samples block by block as they are read, before it is known
        whether the whole file is sound.

    Returns
    -------
    samples : ndarray of shape (n_samples,)
        float32, finite, at least one; (n_samples, n_channels) if `mono` is None. Empty
        if they were given to `receive`.
    rate : float
        Their sampling rate in Hz.

    Raises
    ------
    OSError
        If there is no such file, it is a directory, or may not be read.
    CutShortError
        If fewer samples are there than the header states.
    ValueError
        If it is not audio, is damaged, states an impossible rate, or has no or
        non-finite samples.
    """
    import soundfile

    name = shown(source) if is_path(source) else name

    def needed(rate: float) -> float:
        if duration is None:
            return math.inf
        return duration * rate + RESAMPLER_REACH * max(1, rate / (sr or rate))

    try:
        with _opened(source, name) as (file, as_named):
            intake = Intake(name, mono, sr, receive)
            found = _read(file, as_named, needed, intake)
    except (soundfile.LibsndfileError, MemoryError, TypeError) as error:
        reason = str(error).rpartition(": ")[2].rstrip(".")
        raise ValueError(
            f"{name} is not audio that libsndfile can read, or it is damaged "
            f"({reason}). Convert it to wav, flac, ogg or mp3, or leave it out."
        ) from error
    samples, rate = intake.result()
    if found.n_stated is not None:
        about = "about " if found.is_about else ""
        counts = f"{found.n_samples} of {about}{found.n_stated} samples"
        raise CutShortError(name, counts, samples, rate)
    return samples, rate


def _read(file: BinaryIO, source: Any, needed: Needed, intake: Intake) -> Recording:
    try:
        return read(file, source, needed, intake)
    except (
        ValueError
    ) as error:  # a sentence that lacks its subject, and may lack a cure
        cure = "" if str(error).endswith(".") else f". {AGAIN}"
        raise ValueError(f"{intake.name} {error}{cure}") from None


@contextmanager
def _opened(source: Any, name: str) -> Iterator[tuple[BinaryIO, Any]]:
    """A file to look into, and the same as libsndfile is to open it."""
    if not is_path(source):
        content = BytesIO(_content(source, name))
        yield content, content
        return
    _check_is_file(source, name)
    named: Any = os.fsdecode(source)
    if any("\udc80" <= character <= "\udcff" for character in named):
        named = os.fsencode(named)  # bytes that are no text
    try:
        file: BinaryIO = open(source, "rb")  # noqa: SIM115
    except OSError as error:
        raise _explained(error, name) from error
    with file:
        yield file, named


def _content(file: Any, name: str) -> bytes:
    try:
        with ONE_AT_A_TIME:  # one file may stand in several rows
            file.seek(0)  # it may have been read before
            content = file.read()
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{name} is a {type(file).__name__} that cannot be read from its start "
            f"({error}). Read it: io.BytesIO(content)."
        ) from error
    if not isinstance(content, bytes):
        raise ValueError(f"{name} was opened as text. Open it with mode 'rb'.")
    if not content:
        raise ValueError(f"{name} is empty (0 bytes). {AGAIN}")
    return content


def _check_is_file(path: Any, name: str) -> None:
    try:
        status = os.stat(path)
    except OSError as error:
        raise _explained(error, name) from error
    except ValueError as error:
        raise ValueError(f"{name} is no path: it has a NUL character.") from error
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(
            f"{name} is a directory, not an audio file. List its files, for example "
            "with skaudio.datasets.load_audio_files."
        )
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{name} is no regular file. Copy what comes out of it.")
    if status.st_size == 0:
        raise ValueError(f"{name} is empty (0 bytes). {AGAIN}")


def _explained(error: OSError, name: str) -> OSError:
    if isinstance(error, PermissionError):
        return PermissionError(f"{name} may not be read. Change its permissions.")
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return FileNotFoundError(
            f"{name} does not exist. Relative paths start at {shown(os.getcwd())}."
        )
    return OSError(f"{name} cannot be opened: {error.strerror}.")
