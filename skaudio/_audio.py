"""Sound in: decode files, scale PCM, mix down, trim, resample, crop or pad.

Everything that accepts paths or waveforms loads them here, so the same clip is the
same samples everywhere. What happens to every odd input is stated in `load_clips`.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from skaudio._utils._types import FLOATS, is_path

PCM_SCALE = {"int16": 2**15, "int32": 2**31}
# the resampler's filter reaches a few hundred samples past the crop: read that much
RESAMPLER_REACH = 0.25
OGG_PAGE = 65_307  # bytes of the largest page the Ogg format allows


def read_clip(
    path: str | os.PathLike[str],
    *,
    sr: float | None = None,
    mono: bool = True,
    duration: float | None = None,
) -> tuple[np.ndarray, float]:
    """Decode one audio file to float32 samples in [-1, 1].

    Parameters
    ----------
    path : str or path-like
        A file in a format libsndfile reads: wav, flac, ogg, mp3 and others.
    sr : float or None, default=None
        Sampling rate in Hz to resample to (soxr, high quality); None keeps the
        file's own, which is returned.
    mono : bool, default=True
        Average the channels. If False, all channels are returned.
    duration : float or None, default=None
        Seconds to return: longer clips are cropped at the end, shorter ones padded
        with zeros. None returns the whole clip.

    Returns
    -------
    waveform : ndarray of shape (n_samples,) or (n_channels, n_samples)
        The samples, float32; two axes if `mono` is False.
    sr : float
        Sampling rate of `waveform` in Hz.

    Raises
    ------
    OSError
        If there is no such file, it is a directory, or may not be read.
    ValueError
        If it is not audio, is cut short, or has no or non-finite samples.
    """
    samples, native = _decode(os.fspath(path), duration)
    if mono:
        samples = _mix_down(samples)
    rate = native if sr is None else sr
    samples = _fit_length(_resample(samples, native, rate), rate, duration)
    return np.ascontiguousarray(samples.T), rate


def load_clips(
    X: Any,
    *,
    sr: float,
    duration: float | None = None,
    mono: str = "average",
    trim_silence: bool = False,
    on_error: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
    array_sr: float | None = None,
    rows: Sequence[int] | None = None,
) -> tuple[list[np.ndarray] | np.ndarray, list[dict[str, Any]]]:
    """Turn what `check_clips` returned into waveforms at one sampling rate.

    ============================  ====================================================
    input                         result
    ============================  ====================================================
    file, any rate                resampled to `sr`, float32
    float array                   taken to be at `sr`, or resampled from `array_sr`;
                                  float32 and float64 stay
    int16, int32 array            divided by 2**15, 2**31: float32 in [-1, 1)
    other numbers                 float32, same values
    two channels and more         averaged, or an error if ``mono="raise"``
    shorter or longer             as it is, or cropped / zero-padded to `duration`
    silence, DC, clipped samples  as they are: they are valid sound
    1 sample                      at least 1 sample, also when resampled down
    mp3                           the samples decoded, also if its header promises more
    file missing, a directory,    error of that clip: see `on_error`
    not audio, cut short
    0 samples, NaN, infinity      error of that clip: see `on_error`
    ============================  ====================================================

    A file counts as cut short when its own structure says so: a RIFF wav with fewer
    bytes than its data chunk announces, an Ogg stream without its last page, a flac
    that loses sync. An mp3 that was cut cannot be told from a shorter one. With
    `duration`, only what is needed is decoded, so damage behind it goes unnoticed.

    Parameters
    ----------
    X : ndarray of shape (n_clips, n_samples), or list of path and ndarray
        Arrays in a list are (n_samples,) or (n_channels, n_samples).
    sr : float
        Sampling rate in Hz of the result.
    duration : float or None, default=None
        Seconds of every result; None keeps lengths.
    mono : {"average", "raise"}, default="average"
        What to do with more than one channel.
    trim_silence : bool, default=False
        Drop exact zeros at both ends; an all-zero clip is kept whole.
    on_error : {"raise", "warn", "nan"}, default="raise"
        Raise, or keep the clip's place with NaN: `duration` long if that is set,
        else as long as the rows of a 2-D X, else one sample.
    n_jobs : int or None, default=None
        Threads that decode (decoding releases the interpreter lock).
    verbose : int, default=0
        Show a progress bar if positive.
    array_sr : float or None, default=None
        Sampling rate in Hz of the arrays in X; None means `sr`.
    rows : sequence of int or None, default=None
        Where the clips stand in the caller's X, for messages and `errors`.

    Returns
    -------
    waveforms : ndarray of shape (n_clips, n_samples) or list of ndarray
        An array if X was one and nothing was trimmed or resampled.
    errors : list of dict
        ``{"row", "path", "error"}`` of each failed clip, in order of rows.
    """
    native = sr if array_sr is None else array_sr
    rows = range(len(X)) if rows is None else rows
    if isinstance(X, np.ndarray) and not trim_silence and native == sr:
        return _load_matrix(X, sr, duration, on_error, rows)
    options = {"sr": sr, "duration": duration, "mono": mono, "trim": trim_silence}
    options["array_sr"] = native
    waveforms: list[np.ndarray] = []
    errors: list[dict[str, Any]] = []
    results = _progress(_load_all(X, rows, options, n_jobs), len(X), verbose)
    for row, item, result in zip(rows, X, results, strict=True):
        if isinstance(result, np.ndarray):
            waveforms.append(result)
            continue
        if on_error == "raise":
            raise result
        path = os.fspath(item) if is_path(item) else None
        errors.append({"row": row, "path": path, "error": str(result)})
        length = 1 if duration is None else n_samples_of(duration, sr)
        dtype = getattr(X, "dtype", None)
        waveforms.append(np.full(length, np.nan, dtype if dtype in FLOATS else "f4"))
    _warn_of(errors, len(X), on_error)
    return waveforms, errors


def n_samples_of(duration: float, sr: float) -> int:
    """Whole samples in ``duration`` seconds, at least one."""
    return max(1, round(duration * sr))


def _load_all(
    X: Any, rows: Sequence[int], options: dict[str, Any], n_jobs: int | None
) -> Iterable[Any]:
    from joblib import Parallel, delayed

    # threads whatever backend is configured: nothing is copied, nothing is forked
    parallel = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")
    results: Iterable[Any] = parallel(
        delayed(_try_load)(item, f"Clip {row} of X", **options)
        for row, item in zip(rows, X, strict=True)
    )
    return results


def _try_load(item: Any, name: str, **options: Any) -> np.ndarray | Exception:
    # errors travel as values: the caller decides in order of rows, in any backend
    try:
        return _load_one(item, name, **options)
    except (OSError, ValueError, TypeError) as error:
        return error


def _load_one(
    item: Any,
    name: str,
    sr: float,
    duration: float | None,
    mono: str,
    trim: bool,
    array_sr: float,
) -> np.ndarray:
    if is_path(item):
        name = os.fspath(item)
        samples, native = _decode(name, None if trim else duration)
    else:
        samples, native = _as_samples(item, name), array_sr
    if mono == "raise" and samples.ndim == 2 and samples.shape[1] > 1:
        raise ValueError(
            f"{name} has {samples.shape[1]} channels and mono='raise' wants one. "
            "Mix it down first, or set mono='average'."
        )
    samples = _mix_down(samples)
    if trim:
        samples = _trim(samples)
    samples = _fit_length(_resample(samples, native, sr), sr, duration)
    return np.ascontiguousarray(samples)


def _load_matrix(
    X: np.ndarray,
    sr: float,
    duration: float | None,
    on_error: str,
    rows: Sequence[int],
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    waveforms = _scale_pcm(X)
    errors: list[dict[str, Any]] = []
    bad: list[int] = []
    if not _all_finite(waveforms):
        for row in np.flatnonzero(~np.isfinite(waveforms).all(axis=1)).tolist():
            message = _not_finite(f"Clip {rows[row]} of X", waveforms[row])
            errors.append({"row": rows[row], "path": None, "error": message})
            bad.append(row)
    if errors and on_error == "raise":
        raise ValueError(f"Input X contains NaN or infinity. {errors[0]['error']}")
    waveforms = _fit_length(waveforms.T, sr, duration).T
    if bad:
        waveforms = waveforms.copy()
        waveforms[bad] = np.nan
    _warn_of(errors, len(X), on_error)
    return np.ascontiguousarray(waveforms), errors


def _decode(path: str, duration: float | None) -> tuple[np.ndarray, float]:
    """Samples (n_samples, n_channels), finite and at least one, and their rate."""
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
    return _check_samples(samples, path), rate


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
    """Whether the container itself says that bytes are missing at its end."""
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


def _as_samples(array: Any, name: str) -> np.ndarray:
    """Check one waveform and give it time-first, as decoded files are."""
    array = np.asarray(array)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"{name} must be a path or an array of numbers; got dtype {array.dtype}."
        )
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{name} must have shape (n_samples,) or (n_channels, n_samples); got "
            f"{array.shape}."
        )
    return _check_samples(_scale_pcm(array).T, name)


def _scale_pcm(array: np.ndarray) -> np.ndarray:
    if array.dtype in FLOATS:
        return array
    scale = np.float32(PCM_SCALE.get(array.dtype.name, 1))
    return array.astype(np.float32) / scale


def _check_samples(samples: np.ndarray, name: str) -> np.ndarray:
    if samples.size == 0:
        raise ValueError(f"{name} has 0 samples. Leave it out.")
    if not _all_finite(samples):
        raise ValueError(_not_finite(name, samples))
    return samples


def _all_finite(samples: np.ndarray) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        finite_sum = bool(np.isfinite(samples.sum()))  # cheap, and nearly always true
    return finite_sum or bool(np.isfinite(samples).all())


def _not_finite(name: str, samples: np.ndarray) -> str:
    n_bad = samples.size - np.count_nonzero(np.isfinite(samples))
    return (
        f"{name} contains NaN or infinity ({n_bad} of {samples.size} samples). "
        "Repair it, or leave it out."
    )


def _mix_down(samples: np.ndarray) -> np.ndarray:
    if samples.ndim == 1:
        return samples
    mixed: np.ndarray = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    return mixed


def _trim(samples: np.ndarray) -> np.ndarray:
    sounding = np.flatnonzero(samples)
    return samples[sounding[0] : sounding[-1] + 1] if len(sounding) else samples


def _resample(samples: np.ndarray, native: float, rate: float) -> np.ndarray:
    if native == rate:
        return samples
    import soxr

    out: np.ndarray = soxr.resample(samples, native, rate)
    # fewer samples than one of the new rate: keep their mean rather than no clip
    return out if len(out) else samples.mean(axis=0, keepdims=True)


def _fit_length(samples: np.ndarray, rate: float, duration: float | None) -> np.ndarray:
    if duration is None:
        return samples
    length = n_samples_of(duration, rate)
    missing = length - len(samples)
    if missing <= 0:
        return samples[:length]
    return np.pad(samples, [(0, missing)] + [(0, 0)] * (samples.ndim - 1))


def _warn_of(errors: list[dict[str, Any]], n_clips: int, on_error: str) -> None:
    if not errors or on_error != "warn":
        return
    shown = "; ".join(f"row {e['row']}: {e['error']}" for e in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    warnings.warn(
        f"{len(errors)} of {n_clips} clips could not be loaded and are NaN: "
        f"{shown}{more}",
        UserWarning,
        stacklevel=3,
    )


def _progress(results: Iterable[Any], total: int, verbose: int) -> Iterable[Any]:
    if verbose <= 0:
        return results
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(results, total=total, desc="Loading clips", unit="clip")
    return bar
