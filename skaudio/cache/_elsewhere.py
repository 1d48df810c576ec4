"""Fill a folder from other processes or machines, by joblib's backends."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.base import clone

from skaudio._utils._types import is_path

TASKS_PER_WORKER, MOST_CLIPS = 4, 256

Fill = Callable[[list[Any]], Any]


def works_elsewhere(n_jobs: int | None) -> bool:
    """Whether the backend that is configured computes in other processes.

    Without a :obj:`joblib.parallel_config`, threads do.
    """
    backend, _ = get_active_backend(prefer="threads")
    is_outermost = backend.nesting_level in (None, 0)
    shares_memory = getattr(backend, "supports_sharedmem", False)
    return is_outermost and not shares_memory and effective_n_jobs(n_jobs) > 1


def fill_elsewhere(
    fill: Fill, clips: Sequence[Any], n_jobs: int | None
) -> Iterator[tuple[int, Any]]:
    """Have workers compute what a folder lacks.

    What fails there fails again where it is asked for, which then says so.

    Parameters
    ----------
    fill : callable
        Computes some clips and writes to the folder. It is sent to the workers, and
        what it returns comes back.
    clips : sequence
        What `fill` takes, in any number.
    n_jobs : int or None
        As joblib takes it.

    Yields
    ------
    n_clips, result : int, object
        How many clips a task has computed, and what `fill` returned.
    """
    if not clips:
        return
    n_tasks = TASKS_PER_WORKER * effective_n_jobs(n_jobs)
    size = min(max(1, -(-len(clips) // n_tasks)), MOST_CLIPS)
    parts = [list(clips[i : i + size]) for i in range(0, len(clips), size)]
    backend, _ = get_active_backend(prefer="threads")
    can_yield = getattr(backend, "supports_return_generator", False)
    parallel = Parallel(
        n_jobs=n_jobs, return_as="generator_unordered" if can_yield else "list"
    )
    yield from parallel(delayed(_quietly)(fill, part) for part in parts)


def fill_by(transformer: Any, X: Sequence[Any], kept: Sequence[Any]) -> None:
    """Have workers transform the files of X of which nothing is kept: None."""
    if not works_elsewhere(transformer.n_jobs):
        return
    paths = [x for x, e in zip(X, kept, strict=True) if e is None and is_path(x)]
    worker = clone(transformer).set_params(on_error="nan", n_jobs=1, verbose=0)
    for _ in fill_elsewhere(partial(_transform, worker), paths, transformer.n_jobs):
        pass


def _transform(transformer: Any, clips: list[Any]) -> None:
    transformer.transform(clips)


def _quietly(fill: Fill, clips: list[Any]) -> tuple[int, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they come again where they can be seen
        return len(clips), fill(clips)
