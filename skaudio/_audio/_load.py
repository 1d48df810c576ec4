"""Clips to waveforms: scale PCM, mix down, trim, resample, crop or pad.

Everything that accepts paths or waveforms loads them here, so the same clip is the
same samples everywhere. What happens to every odd input is stated in `load_clips`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from skaudio._audio._arrays import as_samples, to_floats
from skaudio._audio._checks import (
    CutShortError,
    all_finite,
    check_overflow,
    check_rate,
    not_finite,
)
from skaudio._audio._decode import decode
from skaudio._audio._intake import check_upsampling, mix_down, several_channels
from skaudio._audio._parts import FIRST_CLIPS, Part, PartSizes
from skaudio._audio._report import Report
from skaudio._utils._types import FLOATS, RatedSamples, is_path, shown

MOST_PADDED = 2**28  # samples of a clip that is cropped or padded


def load_parts(
    X: Any,
    report: Report,
    *,
    n_jobs: int | None = None,
    verbose: int = 0,
    rows: Sequence[int] | None = None,
    what: str = "Loading clips",
    **options: Any,
) -> Iterator[Part]:
    """Load clips as `load_clips` does, a bounded number of clips and samples at a time.

    Parameters
    ----------
    X : ndarray of shape (n_clips, n_samples), or list of clips
        See `load_clips`.
    report : Report
        Where failures are added.
    n_jobs : int or None, default=None
        Threads that decode.
    verbose : int, default=0
        Show a progress bar if positive.
    rows : sequence of int or None, default=None
        Which clips to load; None loads all.
    what : str, default="Loading clips"
        What the progress bar says.
    **options : dict
        Those of `load_clips`.

    Yields
    ------
    part : Part
        Rows, clips of X and their waveforms.
    """
    from joblib import effective_n_jobs

    rows = range(len(X)) if rows is None else rows
    first = X if isinstance(X, np.ndarray) else _taken(X, rows[:FIRST_CLIPS])
    about = {name: options[name] for name in ("sr", "duration") if name in options}
    sizes = PartSizes(first, effective_n_jobs(n_jobs), **about)
    start = 0
    with progress(len(rows), verbose, what) as advance:
        while start < len(rows):
            some = rows[start : start + sizes.next]
            clips = _taken(X, some)
            options |= {"rows": some, "report": report, "n_jobs": n_jobs}
            waveforms, _ = load_clips(clips, **options)
            sizes.update(max(map(len, waveforms)))
            advance(len(some))
            yield Part(some, clips, waveforms)
            del waveforms  # before there are more
            start += len(some)


def _taken(X: Any, rows: Sequence[int]) -> Any:
    if isinstance(rows, range):
        return X[rows.start : rows.stop]
    return X[list(rows)] if isinstance(X, np.ndarray) else [X[row] for row in rows]


def load_clips(
    X: Any,
    *,
    sr: float,
    duration: float | None = None,
    mono: str = "average",
    trim_silence: bool = False,
    on_error: str = "raise",
    n_jobs: int | None = None,
    array_sr: float | None = None,
    rows: Sequence[int] | None = None,
    report: Report | None = None,
) -> tuple[list[np.ndarray] | np.ndarray, list[dict[str, Any]]]:
    """Turn what `check_clips` returned into waveforms at one sampling rate.

    ============================  ====================================================
    input                         result
    ============================  ====================================================
    file, any rate                resampled to `sr`, float32
    file of unknown length        what is there (written to a pipe; mp3, flac)
    files joined to one           all of their sound (mp3, ogg), if of one form
    float array                   taken to be at `sr`, or resampled from `array_sr`;
                                  float32 and float64 stay
    samples with their rate       resampled to `sr`
    int8, int16, int32 array      divided by 2**7, 2**15, 2**31: float32 in [-1, 1)
    uint8 array                   less 128, then divided by 128, as in wav files
    other integers                float32, same values, if none reaches 128; else an
                                  error: their full scale is not known
    other numbers                 float32, same values
    two channels and more         averaged, or an error if ``mono="raise"``
    more channels than samples    error of that clip: transpose it
    shorter or longer             as it is, or cropped / zero-padded to `duration`
    silence, DC, clipped samples  as they are: they are valid sound
    1 sample                      at least 1 sample, also when resampled down
    wav, mp3 and others cut       with ``on_error="warn"`` what is there; else error of
    short, or of a wrong length   that clip
    mp3 that was cut and states   the samples decoded
    no length
    flac that states too little   what is there
    flac files joined to one      error of that clip
    file missing, a directory,    error of that clip: see `on_error`
    not audio, damaged; nothing,
    or what is no clip
    0 samples, NaN, infinity      error of that clip: see `on_error`
    finite, but averaging or      error of that clip: see `on_error`
    resampling overflows
    a rate that no sound has      error of that clip: files are read from 10 Hz to
                                  10 MHz, and become 2**26 samples at most, or 16 times
                                  as many as they have
    ============================  ====================================================

    A file counts as cut short when its own structure shows it: fewer bytes than a
    header states (RIFF, RF64, W64, AIFF, 8SVX, AU, CAF, NIST), an Ogg stream without
    its last page, a flac with fewer samples. It counts as damaged when a page of an Ogg
    stream is missing or has a wrong checksum, when other bytes stand between the frames
    of an mp3, or when its decoder says so. With `duration`, only what is needed is
    decoded, so damage behind it may go unnoticed.

    Parameters
    ----------
    X : ndarray of shape (n_clips, n_samples), or list of clips
        Paths, open binary files, `RatedSamples`, and arrays: (n_samples,) or
        (n_channels, n_samples).
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
        else as long as the rows of a 2-D X, else one sample. "warn" warns once, and
        keeps what is there of files that are cut short.
    n_jobs : int or None, default=None
        Threads that decode (decoding releases the interpreter lock).
    array_sr : float or None, default=None
        Sampling rate in Hz of the arrays in X; None means `sr`.
    rows : sequence of int or None, default=None
        Where the clips stand in the caller's X, for messages and `errors`.
    report : Report or None, default=None
        Where failures are added, for one warning about several calls: the caller's.
        None warns here.

    Returns
    -------
    waveforms : ndarray of shape (n_clips, n_samples) or list of ndarray
        An array if X was one and nothing was trimmed or resampled.
    errors : list of dict
        ``{"row", "path", "error"}`` of each failed clip, in order of rows.
    """
    if duration is not None and not duration * sr <= MOST_PADDED:
        raise ValueError(
            f"duration={duration:g} makes clips of {duration * sr:.3g} samples at "
            f"sr={sr:g}; at most {MOST_PADDED:.3g} are made. Lower duration, or set it "
            "to None to keep the lengths of the clips."
        )
    native = sr if array_sr is None else array_sr
    rows = range(len(X)) if rows is None else rows
    found = Report() if report is None else report
    n_before = len(found.errors)
    waveforms: list[np.ndarray] | np.ndarray
    if isinstance(X, np.ndarray) and not trim_silence and native == sr:
        matrix = _load_matrix(X, on_error, rows, found)
        waveforms = np.ascontiguousarray(_fit_length(matrix.T, sr, duration).T)
    else:
        options = {"sr": sr, "duration": duration, "mono": mono, "array_sr": native}
        options |= {"trim": trim_silence, "keep_short": on_error == "warn"}
        results = _load_all(X, rows, options, n_jobs, on_error == "raise")
        dtype = getattr(X, "dtype", None)
        length = 1 if duration is None else n_samples_of(duration, sr)
        failed = np.full(length, np.nan, dtype if dtype in FLOATS else "f4")
        waveforms = _placed(X, rows, results, on_error, found, failed)
    if report is None:
        found.warn(len(X), on_error)
    return waveforms, found.errors[n_before:]


def _load_matrix(
    X: np.ndarray, on_error: str, rows: Sequence[int], report: Report
) -> np.ndarray:
    """Rows of a table as floats; failed ones are NaN."""
    waveforms = to_floats(X, "X")
    if all_finite(waveforms):
        return waveforms
    bad = np.flatnonzero(~np.isfinite(waveforms).all(axis=1)).tolist()
    for row in bad:
        report.add(
            rows[row], None, not_finite(f"Clip {rows[row]} of X", waveforms[row])
        )
    if on_error == "raise":
        raise ValueError(
            f"Input X contains NaN or infinity. {report.errors[0]['error']}"
        )
    waveforms = waveforms.copy()
    waveforms[bad] = np.nan
    return waveforms


def _placed(
    X: Any,
    rows: Sequence[int],
    results: Sequence[Any],
    on_error: str,
    report: Report,
    failed: np.ndarray,
) -> list[np.ndarray]:
    """Waveforms in order; failed clips are reported, or the first is raised."""
    waveforms = []
    for row, item, (waveform, problem) in zip(rows, X, results, strict=True):
        if waveform is None:
            if on_error == "raise":
                raise problem
            report.add(row, item, problem)
            waveforms.append(failed.copy())
            continue
        if problem is not None:
            report.short[row] = problem.summary
        waveforms.append(waveform)
    return waveforms


def n_samples_of(duration: float, sr: float) -> int:
    """Whole samples in ``duration`` seconds, at least one."""
    return max(1, round(duration * sr))


def _load_all(
    X: Any,
    rows: Sequence[int],
    options: dict[str, Any],
    n_jobs: int | None,
    stop_early: bool,
) -> list[Any]:
    """Results of `_try_load` in order; with ``stop_early``, none behind a failure."""
    from joblib import Parallel, delayed, effective_n_jobs

    first_failed = [len(X)] if stop_early else None
    calls = (
        (i, item, f"Clip {row} of X", first_failed, options)
        for i, (row, item) in enumerate(zip(rows, X, strict=True))
    )
    if len(rows) == 1 or effective_n_jobs(n_jobs) == 1:
        return [_try_load(*call) for call in calls]
    # threads whatever backend is configured: nothing is copied, nothing is forked
    parallel = Parallel(n_jobs=n_jobs, require="sharedmem")
    results: list[Any] = parallel(delayed(_try_load)(*call) for call in calls)
    return results


def _try_load(
    i: int,
    item: Any,
    name: str,
    first_failed: list[int] | None,
    options: dict[str, Any],
) -> tuple[np.ndarray | None, Exception | None]:
    # errors travel as values: the caller decides in order of rows, in any backend
    if first_failed is not None and i > min(first_failed):
        return None, None  # a clip before it is raised
    try:
        return _load_one(item, name, **options)
    except (OSError, ValueError, TypeError, MemoryError) as error:
        if first_failed is not None:
            first_failed.append(i)
        return None, error


def _load_one(
    item: Any,
    name: str,
    sr: float,
    duration: float | None,
    mono: str,
    trim: bool,
    array_sr: float,
    keep_short: bool,
) -> tuple[np.ndarray, CutShortError | None]:
    is_file = hasattr(item, "read") and hasattr(item, "seek")
    short = None
    if is_path(item) and not os.fspath(item):
        raise ValueError(f"{name} is missing: its path is empty.")
    if is_file or is_path(item):
        samples, native, short = _of_file(item, name, sr, duration, mono, trim)
        name = name if is_file else shown(item)
    else:
        samples, native = _of_array(item, name, mono, array_sr)
    if short is not None and not keep_short:
        raise short
    if trim:
        samples = _trim(samples)
    if native != sr:
        samples = _resample(samples, native, sr, name)
    return np.ascontiguousarray(_fit_length(samples, sr, duration)), short


def _of_file(
    item: Any, name: str, sr: float, duration: float | None, mono: str, trim: bool
) -> tuple[np.ndarray, float, CutShortError | None]:
    """Samples of a file, their rate, and whether some are missing."""
    # silence is trimmed before it is resampled, and nobody knows how much there is
    needed, to_rate = (None, None) if trim else (duration, sr)
    try:
        return *decode(item, needed, name=name, mono=mono, sr=to_rate), None
    except CutShortError as error:
        return error.samples, error.rate, error


def _of_array(
    item: Any, name: str, mono: str, array_sr: float
) -> tuple[np.ndarray, float]:
    """Samples of an array and their rate."""
    native = array_sr
    if isinstance(item, RatedSamples):
        check_rate(item.rate, name)
        item, native = item.samples, item.rate
    samples = as_samples(item, name)
    if samples.ndim == 1:
        return samples, native
    if mono == "raise" and samples.shape[1] > 1:
        raise ValueError(several_channels(name, samples.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):
        mixed = mix_down(samples)
    check_overflow(samples, mixed, name)
    return mixed, native


def _trim(samples: np.ndarray) -> np.ndarray:
    sounding = np.flatnonzero(samples)
    return samples[sounding[0] : sounding[-1] + 1] if len(sounding) else samples


def _resample(samples: np.ndarray, native: float, rate: float, name: str) -> np.ndarray:
    import soxr

    check_upsampling(len(samples), native, rate, name)
    with np.errstate(over="ignore", invalid="ignore"):
        out: np.ndarray = soxr.resample(samples, native, rate)
    check_overflow(samples, out, name)
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


@contextmanager
def progress(
    total: int,
    verbose: int,
    what: str = "Loading clips",
    unit: str = "clip",
    delay: float = 0,
) -> Iterator[Callable[[int], Any]]:
    """A progress bar, if ``verbose`` is positive, and what advances it.

    It appears after ``delay`` seconds.
    """
    if verbose <= 0:
        yield lambda n: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=what, unit=unit, delay=delay) as bar:
        yield bar.update
