"""Views of clips that are loaded part by part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from skaudio._audio._checks import all_finite, overflow
from skaudio._audio._load import Part, load_parts
from skaudio._audio._report import Report
from skaudio._utils._constraints import LOADING
from skaudio._utils._container import ClipArrays
from skaudio._utils._types import is_path, shown


def load_rows(
    view: Any,
    X: Any,
    report: Report,
    *,
    n_jobs: int | None,
    verbose: int,
    rows: Sequence[int] | None = None,
) -> Iterator[Part]:
    """Waveforms of checked clips at the rate of a view, part by part."""
    options = {name: getattr(view, name) for name in LOADING}
    return load_parts(X, report, n_jobs=n_jobs, verbose=verbose, rows=rows, **options)


def compute_parts(
    views: Sequence[Any],
    parts: Iterable[Part],
    n_clips: int,
    report: Report,
) -> tuple[list[np.ndarray], list[list[float]]]:
    """Views of clips that are loaded part by part, and the tops of their ranges.

    Both have one entry per view. A top is the maximum from which ``top_db`` counts, one
    per clip, NaN where a view has no such range.

    A clip that is finite and has a view that is not is an error of that clip: raised,
    or NaN in all views and added to ``report``.
    """
    collected = [ClipArrays(n_clips) for _ in views]
    tops: list[list[float]] = [[] for _ in views]
    for part in parts:
        computed = compute_part(views, part, report)
        for view, (arrays, of_clips) in enumerate(computed):
            collected[view].extend(arrays)
            tops[view].extend(of_clips)
        del part, computed, arrays  # before there are more
    return [arrays.result() for arrays in collected], tops


def compute_part(
    views: Sequence[Any], part: Part, report: Report
) -> list[tuple[list[np.ndarray], list[float]]]:
    """Views and tops of some clips; what overflows is NaN."""
    computed: list[tuple[list[np.ndarray], list[float]]] = [([], []) for _ in views]
    waveforms = _long_enough(views, part, report)
    for dtype, clips in groupby(waveforms, key=lambda clip: clip.dtype.name):
        of_dtype = compute_clips(views, list(clips), dtype)
        for (arrays, tops), (new_arrays, new_tops) in zip(
            computed, of_dtype, strict=True
        ):
            arrays.extend(new_arrays)
            tops.extend(new_tops)
    for i, waveform in enumerate(waveforms):
        of_clip = [arrays[i] for arrays, _ in computed]
        if all(map(all_finite, of_clip)) or not all_finite(waveform):
            continue
        message = overflow(_name_of(part, i), waveform, waveform.dtype)
        _note(views, part, i, message, report)
        for (arrays, _), array in zip(computed, of_clip, strict=True):
            arrays[i] = np.full_like(array, np.nan)
    return computed


def _long_enough(views: Sequence[Any], part: Part, report: Report) -> list[np.ndarray]:
    """Waveforms of clips; those too short for a view are NaN, or an error."""
    view = max(views, key=lambda view: view._shortest)
    waveforms = list(part.waveforms)
    for i, waveform in enumerate(waveforms):
        n_samples = len(waveform)
        if n_samples >= view._shortest or not all_finite(waveform):
            continue
        needed, change = view._needs
        message = (
            f"{_name_of(part, i)} is too short: {type(view).__name__} needs {needed} "
            f"samples or more; got {n_samples}. Set {change} or a duration to which "
            "clips are padded, or leave it out."
        )
        _note(views, part, i, message, report)
        waveforms[i] = np.full_like(waveform, np.nan)
    return waveforms


def _name_of(part: Part, i: int) -> str:
    item = part.clips[i]
    return shown(item) if is_path(item) else f"Clip {part.rows[i]} of X"


def _note(
    views: Sequence[Any], part: Part, i: int, message: str, report: Report
) -> None:
    """Raise the error of a clip, or note it, by the policy of the views."""
    if views[0].on_error == "raise":
        raise ValueError(message)
    report.add(part.rows[i], part.clips[i], message)


def compute_clips(
    views: Sequence[Any], clips: list[np.ndarray], dtype: str
) -> list[tuple[list[np.ndarray], list[float]]]:
    """Views of clips of one dtype, which decides the precision."""
    raw = [clip[None] for clip in clips], [np.nan] * len(clips)  # no range
    computing = next((view for view in views if hasattr(view, "device")), None)
    if computing is None:
        return [raw for _ in views]
    from skaudio.nn.devices import available_device
    from skaudio.nn.runner import run_front_ends

    device = available_device(computing.device)
    front_ends = [view._front_end(dtype, device) for view in views]
    shortest = max(view._shortest for view in views)
    computed = run_front_ends(
        [front_end for front_end in front_ends if front_end is not None],
        [_lengthened(clip, shortest) for clip in clips],
        batch_size=computing.batch_size,
        device=device,
    )
    found = iter(computed)
    return [raw if front_end is None else next(found) for front_end in front_ends]


def _lengthened(clip: np.ndarray, n_samples: int) -> np.ndarray:
    """A clip that failed is NaN, and has a frame of it where one is too short."""
    is_short = len(clip) < n_samples and np.isnan(clip).all()
    return np.resize(clip, n_samples) if is_short else clip
