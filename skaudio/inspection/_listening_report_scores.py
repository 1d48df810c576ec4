"""Scores of a listening report, with 95 % intervals that know about sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

LEVEL = 0.95
MOST_WEIGHTS = 2**22  # of resampled clips, in memory at a time
Interval = tuple[float, float, float]  # value, low, high


def proportion(hits: np.ndarray, members: np.ndarray, groups: Any = None) -> Interval:
    """Share of members that are hits, with Wilson's interval.

    Parameters
    ----------
    hits : ndarray of bool of shape (n_clips,)
        What is counted.
    members : ndarray of bool of shape (n_clips,)
        Out of what: other clips do not count.
    groups : ndarray of int of shape (n_clips,) or None, default=None
        Source of each clip. Clips of one source are alike, so that they count less: the
        number of clips is the one whose share would vary as much as sources do, and
        that of sources where all members agree.

    Returns
    -------
    share, low, high : float
        NaN where it is not defined: of no members, and both ends of the interval if
        all are of one source.
    """
    n = int(members.sum())
    if n == 0:
        return np.nan, np.nan, np.nan
    share, n_effective = float(hits[members].mean()), float(n)
    if groups is not None:
        codes = np.unique(groups[members], return_inverse=True)[1]
        n_sources = int(codes.max()) + 1
        if n_sources == 1:
            return share, np.nan, np.nan
        residuals = np.bincount(codes, hits[members] - share)
        variance = (residuals**2).sum() / n**2
        n_effective = n_sources if share in (0, 1) else n
        if variance > 0:
            n_effective = min(n, share * (1 - share) / variance)
    return share, *_wilson(share, n_effective)


def _wilson(share: float, n: float) -> tuple[float, float]:
    z = stats.norm.ppf((1 + LEVEL) / 2) ** 2 / n
    centre = (share + z / 2) / (1 + z)
    half = np.sqrt(z * (share * (1 - share) + z / 4)) / (1 + z)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def class_scores(
    truth: np.ndarray, predicted: np.ndarray, n_classes: int, groups: Any
) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of every class: arrays (n_classes, 3) of intervals.

    F1 is ``2 J / (1 + J)``, where J is the share of clips that are of a class and
    predicted as it among those that are either: its interval is that of J.
    """
    known = predicted >= 0
    truth, predicted = truth[known], predicted[known]
    groups = None if groups is None else groups[known]
    of_class = [(truth == c, predicted == c) for c in range(n_classes)]
    return _table_of(of_class, groups)


def tag_scores(
    truth: np.ndarray, predicted: np.ndarray, groups: Any
) -> dict[str, np.ndarray]:
    """As `class_scores`, of tags (n_clips, n_tags), NaN where they are unknown."""
    of_tag = []
    for has, said in zip(truth.T, predicted.T, strict=True):
        known = ~np.isnan(has) & ~np.isnan(said)
        of_tag.append((known & (has == 1), known & (said == 1)))
    return _table_of(of_tag, groups)


def _table_of(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], groups: Any
) -> dict[str, np.ndarray]:
    found: dict[str, list[Interval]] = {"precision": [], "recall": [], "f1": []}
    for is_so, said_so in pairs:
        hits = is_so & said_so
        found["precision"].append(proportion(hits, said_so, groups))
        found["recall"].append(proportion(hits, is_so, groups))
        jaccard = np.array(proportion(hits, is_so | said_so, groups))
        found["f1"].append(tuple(2 * jaccard / (1 + jaccard)))
    return {name: np.array(rows, float) for name, rows in found.items()}


# ----------------------------------------------------------------------- resampling
def macro_f1(
    truth: np.ndarray,
    predicted: np.ndarray,
    n_classes: int,
    groups: Any,
    n_resamples: int,
    rng: np.random.RandomState,
) -> Interval:
    """Mean F1 of the classes that occur, with a bootstrap interval."""
    known = predicted >= 0
    truth, predicted = truth[known], predicted[known]
    groups = None if groups is None else groups[known]
    if not len(truth):
        return np.nan, np.nan, np.nan

    def score(weights: np.ndarray) -> np.ndarray:
        means = np.empty(len(weights))
        for i, w in enumerate(weights):
            hits = truth == predicted
            of_class = np.bincount(truth, w, n_classes)
            both = of_class + np.bincount(predicted, w, n_classes)
            hit = np.bincount(truth[hits], w[hits], n_classes)
            there = of_class > 0
            means[i] = (2 * hit[there] / both[there]).mean()
        return means

    return _bootstrapped(score, len(truth), groups, n_resamples, rng)


def average_precisions(
    truth: np.ndarray,
    scores: np.ndarray,
    groups: Any,
    n_resamples: int,
    rng: np.random.RandomState,
) -> tuple[np.ndarray, Interval]:
    """Average precision of every tag, and its mean, with bootstrap intervals.

    Resamples without a tag do not count for it, and tags that no clip has do not count
    for the mean.

    Returns
    -------
    tags : ndarray of shape (n_tags, 3)
        Value, low and high of each tag.
    mean : tuple of three float
        The same of the mean over tags.
    """
    known = np.isfinite(scores).all(axis=1)
    truth, scores = truth[known], scores[known]
    groups = None if groups is None else groups[known]
    if not len(truth):
        return np.full((truth.shape[1], 3), np.nan), (np.nan, np.nan, np.nan)
    values = weighted_precisions(truth, scores, np.ones((1, len(truth))))[0]
    drawn = [
        weighted_precisions(truth, scores, weights)
        for weights in _weights(len(truth), groups, n_resamples, rng)
    ]
    if not drawn:
        nan = np.full(len(values), np.nan)
        return np.c_[values, nan, nan], (_mean(values), np.nan, np.nan)
    resampled = np.concatenate(drawn)
    limits = np.array([_limits(column) for column in resampled.T])
    means = np.array([_mean(row) for row in resampled])
    return np.c_[values, limits], (_mean(values), *_limits(means))


def weighted_precisions(
    truth: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Average precision of tags for several weights of the clips.

    Parameters
    ----------
    truth : ndarray of shape (n_clips, n_tags)
        Zeros and ones, NaN where unknown.
    scores : ndarray of shape (n_clips, n_tags)
        Higher where a tag is more likely.
    weights : ndarray of shape (n_resamples, n_clips)
        How often each clip counts.

    Returns
    -------
    values : ndarray of shape (n_resamples, n_tags)
        NaN where no clip that counts has the tag.
    """
    values = np.full((len(weights), truth.shape[1]), np.nan)
    for tag, (has, score) in enumerate(zip(truth.T, scores.T, strict=True)):
        rows = np.flatnonzero(~np.isnan(has))
        rows = rows[np.argsort(-score[rows], kind="stable")]
        if not len(rows):
            continue
        # equal scores are one threshold: precision is that of the last of them
        last = np.searchsorted(-score[rows], -score[rows], side="right") - 1
        w = weights[:, rows]
        positive = w * has[rows]
        total = positive.sum(axis=1)
        n_above = np.maximum(np.cumsum(w, axis=1)[:, last], 1e-300)
        precision = np.cumsum(positive, axis=1)[:, last] / n_above
        sums = (positive * precision).sum(axis=1)
        np.divide(sums, total, out=values[:, tag], where=total > 0)
    return values


def _bootstrapped(
    score: Any, n_clips: int, groups: Any, n: int, rng: np.random.RandomState
) -> Interval:
    value = float(score(np.ones((1, n_clips)))[0])
    drawn = [score(weights) for weights in _weights(n_clips, groups, n, rng)]
    limits = _limits(np.concatenate(drawn)) if drawn else (np.nan, np.nan)
    return value, *limits


def _weights(n_clips: int, groups: Any, n: int, rng: np.random.RandomState) -> Any:
    """How often clips count in resamples of sources; nothing if there is only one."""
    codes = np.arange(n_clips)
    if groups is not None:
        codes = np.unique(groups, return_inverse=True)[1]
    n_sources = int(codes.max()) + 1
    if n_sources == 1:
        return
    step = max(1, MOST_WEIGHTS // n_clips)
    for start in range(0, n, step):
        size = min(step, n - start)
        counts = rng.multinomial(n_sources, np.full(n_sources, 1 / n_sources), size)
        yield counts[:, codes].astype(float)


def _limits(values: np.ndarray) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    if not len(values):
        return np.nan, np.nan
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _mean(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
