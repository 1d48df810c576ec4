"""Constraints of parameters that several estimators share, and their names."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any

from skaudio._utils._sklearn import Interval, StrOptions

POSITIVE = Interval(Real, 0, None, closed="neither")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
COUNT = Interval(Integral, 1, None, closed="left")
# what more would take is memory: nobody has wanted it
RATE = Interval(Real, 0, 10_000_000, closed="right")  # Hz
BANDS = Interval(Integral, 1, 2**12, closed="both")
N_SAMPLES = Interval(Integral, 1, 2**20, closed="both")  # of a window or a hop

# of everything that loads clips, as `load_clips` takes them
LOADER_CONSTRAINTS: dict[str, list[Any]] = {
    "sr": [RATE],
    "mono": [StrOptions({"average", "raise"})],
    "trim_silence": ["boolean"],
    "duration": [POSITIVE, None],
    "on_error": [StrOptions({"raise", "warn", "nan"})],
    "n_jobs": [Integral, None],
    "verbose": ["verbose"],
}
CHANGING = ("mono", "trim_silence", "duration")  # those that change what is loaded
LOADING = ("sr", *CHANGING, "on_error")  # those that all views of a union share

# of everything that keeps what it computed of a clip
CACHE_CONSTRAINTS: dict[str, list[Any]] = {
    "cache": ["boolean", str, os.PathLike],
    "cache_by": [StrOptions({"stat", "content"})],
}
CACHING = tuple(CACHE_CONSTRAINTS)

# of everything that computes on a device
COMPUTING_CONSTRAINTS: dict[str, list[Any]] = {"batch_size": [COUNT], "device": [str]}
COMPUTING = tuple(COMPUTING_CONSTRAINTS)
