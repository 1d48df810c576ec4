"""Clips to waveforms: scale PCM, mix down, trim, resample, crop or pad.

Everything that accepts paths or waveforms loads them here, so the same clip is the
same samples everywhere. What happens to every odd input is stated in `load_clips`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from skaudio._audio._decode import (
    all_finite,
    check_samples,
    decode,
    not_finite,
)
from skaudio._utils._types import FLOATS, is_path

PCM_SCALE = {"int16": 2**15, "int32": 2**31}


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

    A file counts as cut short when its own structure shows it: a RIFF wav with fewer
    bytes than its data chunk announces, an Ogg stream without its last page, a flac
    that loses sync. An mp3 that was cut looks like a shorter one. With `duration`, only
    what is needed is decoded, so damage behind it goes unnoticed.

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
        samples, native = decode(name, None if trim else duration)
    else:
        samples, native = _as_samples(item, name), array_sr
    if mono == "raise" and samples.ndim == 2 and samples.shape[1] > 1:
        raise ValueError(
            f"{name} has {samples.shape[1]} channels and mono='raise' requires one. "
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
    if not all_finite(waveforms):
        for row in np.flatnonzero(~np.isfinite(waveforms).all(axis=1)).tolist():
            message = not_finite(f"Clip {rows[row]} of X", waveforms[row])
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
    return check_samples(_scale_pcm(array).T, name)


def _scale_pcm(array: np.ndarray) -> np.ndarray:
    if array.dtype in FLOATS:
        return array
    scale = np.float32(PCM_SCALE.get(array.dtype.name, 1))
    return array.astype(np.float32) / scale


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
