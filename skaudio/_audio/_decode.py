"""Audio files to samples, with errors that name what is wrong with a file."""

from __future__ import annotations

import math
import os

import numpy as np

# the resampler's filter reaches a few hundred samples past the crop: read that much
RESAMPLER_REACH = 0.25  # seconds
OGG_PAGE = 65_307  # bytes of the largest page the Ogg format allows


def decode(path: str, duration: float | None) -> tuple[np.ndarray, float]:
    """Decode a file, or no more of it than a clip of some length needs.

    Parameters
    ----------
    path : str
        A file in a format that libsndfile reads: wav, flac, ogg, mp3 and others.
    duration : float or None
        Seconds that will be cropped to; a little more is decoded, for resampling.
        None is the whole file.

    Returns
    -------
    samples : ndarray of shape (n_samples, n_channels)
        float32, finite, at least one.
    sr : float
        Sampling rate of the file in Hz.

    Raises
    ------
    OSError
        If there is no such file, it is a directory, or may not be read.
    ValueError
        If it is not audio, is cut short, or has no or non-finite samples.
    """
    import soundfile

    _check_is_file(path)
    try:
        with soundfile.SoundFile(path) as file:
            rate, kind, frames = file.samplerate, file.format, file.frames
            if duration is not None:
                frames = min(frames, math.ceil((duration + RESAMPLER_REACH) * rate))
            samples = file.read(frames, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, MemoryError, TypeError) as error:
        reason = str(error).rpartition(": ")[2].rstrip(".")
        raise ValueError(
            f"{path} is not audio that libsndfile can read, or it is damaged "
            f"({reason}). Convert it to wav, flac, ogg or mp3, or leave it out."
        ) from error
    if _is_cut_short(path, kind):
        raise ValueError(
            f"{path} is cut short: its {kind} stream ends early. Get the file again, "
            "or leave it out."
        )
    return check_samples(samples, path), rate


def _check_is_file(path: str) -> None:
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"{path} is a directory, not an audio file. List its files, for example "
            "with skaudio.datasets.load_audio_files."
        )
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"{path} does not exist. Relative paths start at {os.getcwd()}."
        )
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{path} may not be read. Change its permissions.")
    if os.path.getsize(path) == 0:
        raise ValueError(f"{path} is empty (0 bytes). Get the file again.")


def _is_cut_short(path: str, kind: str) -> bool:
    """Whether the container shows that bytes are missing at its end."""
    if kind == "OGG":
        return _ogg_lacks_end(path)
    return kind in ("WAV", "WAVEX") and _wav_lacks_data(path)


def _ogg_lacks_end(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 2 * OGG_PAGE))
        tail = file.read()
    start = tail.rfind(b"OggS")
    page = tail[start:]
    if start < 0 or len(page) < 27 or not page[5] & 4:  # 4: last page of the stream
        return True
    n_segments = page[26]
    return len(page) < 27 + n_segments + sum(page[27 : 27 + n_segments])


def _wav_lacks_data(path: str) -> bool:
    total = os.path.getsize(path)
    with open(path, "rb") as file:
        order = "big" if file.read(12)[:4] == b"RIFX" else "little"
        while len(head := file.read(8)) == 8:
            size = int.from_bytes(head[4:], order)  # type: ignore[arg-type]
            if head[:4] == b"data":  # streamed files announce 0 or the maximum
                return size < 2**32 - 256 and file.tell() + size > total
            file.seek(size + size % 2, os.SEEK_CUR)
    return False


def check_samples(samples: np.ndarray, name: str) -> np.ndarray:
    if samples.size == 0:
        raise ValueError(f"{name} has 0 samples. Leave it out.")
    if not all_finite(samples):
        raise ValueError(not_finite(name, samples))
    return samples


def all_finite(samples: np.ndarray) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        finite_sum = bool(np.isfinite(samples.sum()))  # cheap, and nearly always true
    return finite_sum or bool(np.isfinite(samples).all())


def not_finite(name: str, samples: np.ndarray) -> str:
    n_bad = samples.size - np.count_nonzero(np.isfinite(samples))
    return (
        f"{name} contains NaN or infinity ({n_bad} of {samples.size} samples). "
        "Repair it, or leave it out."
    )
