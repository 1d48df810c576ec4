"""Rates of views, and segments in seconds that are cut by them."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from skaudio._utils._types import ViewsLike

AUTO = "auto"  # value of segment_length
SECONDS = 1.5  # of a segment then, as in the multi-view paper
# steps of clips at an unknown rate up to which segments are as long, and of segments
# beyond: a view of a minute has 3000 to 8000 frames, a waveform less than 4 million
LONG_VIEW, LONG_WAVEFORM = (2**13, 2**9), (2**22, 2**16)


def known_rates(X: ViewsLike) -> dict[str, float]:
    """Steps per second of every view; 1 for plain arrays, whose rate is unknown."""
    rates = dict(X.rates)
    if all(rate is None for rate in rates.values()):
        if len({tuple(X.n_frames(name)) for name in X.names}) > 1:
            raise ValueError(
                "Views of different lengths need rates to be cut at the same time. "
                "Build them with ViewUnion, or pass rates to Views."
            )
        return dict.fromkeys(rates, 1.0)
    if None in rates.values():
        raise ValueError(f"Either all views have a rate or none; got {rates}.")
    return {name: float(rate) for name, rate in rates.items() if rate is not None}


def check_single_view(estimator: Any, X: ViewsLike) -> None:
    """Refuse several views where a network takes one."""
    if len(X.names) > 1:
        several = is_classifier(estimator)
        raise ValueError(
            f"{type(estimator).__name__} takes one view, but gets {list(X.names)}. "
            f"Pass one of them, of Views X.select([{X.names[0]!r}])"
            f"{', or use MultiViewBlendingClassifier' if several else ''}."
        )


def check_rates(estimator: Any, X: ViewsLike, fitted: dict[str, float]) -> None:
    """Refuse views of other rates than those seen in ``fit``.

    The rate of a plain array is unknown, and taken to be right.
    """
    rates = known_rates(X)
    for name, rate in fitted.items():
        is_unknown = name == "view" and (rate == 1 or X.rates[name] is None)
        if not is_unknown and not np.isclose(rate, rates[name]):
            raise ValueError(
                f"View {name!r} has {rates[name]:g} steps per second, but "
                f"{type(estimator).__name__} was fitted with {rate:g}. Compute the "
                "views with the same sr and hop_length as in fit."
            )


def _bounded(median: float, is_waveform: bool) -> float:
    """Steps of a segment where rates are unknown: whole clips, unless these are long.

    Networks on whole recordings would take gigabytes.
    """
    longest, usual = LONG_WAVEFORM if is_waveform else LONG_VIEW
    if median <= longest:
        return median
    warnings.warn(
        f"Clips have {median:.0f} steps at a rate that is unknown, as that of a plain "
        f"array is, so that segments are {usual} steps long. Pass what a view returns, "
        "or Views, which know their rates, for segments of 1.5 s, or set "
        "segment_length to a number of steps.",
        UserWarning,
        stacklevel=2,
    )
    return float(usual)


def segment_seconds(length: Any, X: ViewsLike, rates: dict[str, float]) -> float:
    """Length of a segment in seconds, or in steps where rates are unknown."""
    if length is None or length == AUTO:
        seconds = [X.n_frames(name) / rate for name, rate in rates.items()]
        median = float(np.median(np.min(seconds, axis=0)))
        if length is None:
            return median
        if None not in X.rates.values():
            return min(median, SECONDS)
        return _bounded(median, max(X.n_bins.values()) == 1)
    if isinstance(length, Integral):
        if len(rates) > 1:
            raise ValueError(
                f"segment_length={length} counts steps of a single view, but X has "
                f"{list(rates)}. Give seconds as a float, e.g. 1.5."
            )
        return int(length) / next(iter(rates.values()))
    if None in X.rates.values():
        raise ValueError(
            f"segment_length={length} is in seconds, but the rate of a plain array is "
            "unknown. Pass what a view returns, Views, or a number of steps, an int."
        )
    return float(length)
