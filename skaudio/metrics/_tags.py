"""Metrics of tagging: a row per tag, means over tags, and the best tags of a clip."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.utils import check_array, check_consistent_length

from skaudio._utils._decisions import are_tags, has_unknown_tags, with_nan
from skaudio._utils._types import FLOATS


def tag_report(y_true: Any, y_score: Any, *, tag_names: Any = None) -> Any:
    """Table of what is achieved on each tag.

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_clips, n_tags)
        Ones for the tags that a clip has, zeros for the others, NaN where that is
        unknown: such entries do not count.
    y_score : array-like of shape (n_clips, n_tags)
        Probabilities, or any scores that are higher where a tag is more likely.
    tag_names : array-like of shape (n_tags,), default=None
        Index of the table; None numbers the columns.

    Returns
    -------
    report : DataFrame with n_tags rows
        In the order of the columns: `n_positive`, the clips that have the tag;
        `roc_auc`, the probability that a clip with the tag has a higher score than one
        without; `average_precision`, the area under precision over recall, which for
        scores at random is the share of clips with the tag. NaN where a figure is not
        defined: without any clip that has the tag, and for `roc_auc` also without any
        that has not.

    Warns
    -----
    UndefinedMetricWarning
        If figures are not defined; names the tags.

    See Also
    --------
    mean_tag_roc_auc : Mean of the column `roc_auc`.
    mean_tag_average_precision : Mean of the column `average_precision`.

    Notes
    -----
    ``report[["roc_auc", "average_precision"]].mean()`` is the mean over tags that
    papers state, as [1]_ does: pandas leaves out what is NaN.

    References
    ----------
    .. [1] J. Lee, J. Park, K. L. Kim and J. Nam, "SampleCNN: End-to-End Deep
       Convolutional Neural Networks Using Very Small Filters for Music
       Classification", Applied Sciences 8(1), 2018, 150.

    Examples
    --------
    >>> from skaudio.metrics import tag_report
    >>> y_true = [[1, 0], [0, 1], [1, 1], [0, 0]]
    >>> y_score = [[0.9, 0.2], [0.3, 0.6], [0.4, 0.1], [0.1, 0.3]]
    >>> tag_report(y_true, y_score, tag_names=["guitar", "slow"])
            n_positive  roc_auc  average_precision
    guitar           2      1.0               1.00
    slow             2      0.5               0.75
    """
    import pandas as pd

    truth, scores = _check_tags(y_true, y_score)
    names = _check_names(tag_names, truth.shape[1])
    report = pd.DataFrame(
        {
            "n_positive": (truth == 1).sum(axis=0),
            "roc_auc": _per_tag(roc_auc_score, truth, scores),
            "average_precision": _per_tag(average_precision_score, truth, scores),
        },
        index=names,
    )
    undefined = []
    never = report.index[report["n_positive"] == 0].tolist()
    if never:
        undefined.append(f"no clip has the tags {never}: both of their figures are NaN")
    always = report.index[
        ~(truth == 0).any(axis=0) & (report["n_positive"] > 0)
    ].tolist()
    if always:
        undefined.append(f"every clip has the tags {always}: their ROC AUC is NaN")
    if undefined:
        message = "Figures are not defined, as " + ", and ".join(undefined)
        warnings.warn(f"{message}.", UndefinedMetricWarning, stacklevel=2)
    return report


def mean_tag_roc_auc(y_true: Any, y_score: Any) -> float:
    """Area under the ROC curve, averaged over tags.

    Tags that no clip has, or every clip, are left out silently: in
    cross-validation a rare tag is often missing from a fold. :func:`tag_report` names
    them. Where they differ from fold to fold, so does what is averaged; compare
    methods on the same folds.

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_clips, n_tags)
        Ones for the tags that a clip has, zeros for the others, NaN where that is
        unknown: such entries do not count.
    y_score : array-like of shape (n_clips, n_tags)
        Probabilities, or any scores that are higher where a tag is more likely.

    Returns
    -------
    mean : float
        Every tag counts the same, however rare. 0.5 for scores at random. NaN, with an
        UndefinedMetricWarning, if it is defined for no tag.

    See Also
    --------
    tag_report : The figures of each tag.

    Examples
    --------
    >>> from sklearn.metrics import make_scorer
    >>> from skaudio.metrics import mean_tag_roc_auc
    >>> mean_tag_roc_auc([[1, 0], [0, 0], [1, 0]], [[0.9, 0.5], [0.3, 0.2], [0.2, 0.1]])
    0.5
    >>> scoring = make_scorer(mean_tag_roc_auc, response_method="predict_proba")
    """
    return _mean(roc_auc_score, y_true, y_score)


def mean_tag_average_precision(y_true: Any, y_score: Any) -> float:
    """Average precision, averaged over tags.

    Tags that no clip has are left out silently: in cross-validation a rare tag is
    often missing from a fold. :func:`tag_report` names them. Where they differ from
    fold to fold, so does what is averaged; compare methods on the same folds.

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_clips, n_tags)
        Ones for the tags that a clip has, zeros for the others, NaN where that is
        unknown: such entries do not count.
    y_score : array-like of shape (n_clips, n_tags)
        Probabilities, or any scores that are higher where a tag is more likely.

    Returns
    -------
    mean : float
        Every tag counts the same, however rare. For scores at random it is the mean
        share of clips that have a tag. NaN, with an UndefinedMetricWarning, if it is
        defined for no tag.

    See Also
    --------
    tag_report : The figures of each tag.

    Examples
    --------
    >>> from sklearn.metrics import make_scorer
    >>> from skaudio.metrics import mean_tag_average_precision
    >>> y_true, y_score = [[1, 0], [0, 0], [1, 0]], [[0.9, 0.5], [0.3, 0.2], [0.4, 0.1]]
    >>> mean_tag_average_precision(y_true, y_score)
    1.0
    >>> scoring = make_scorer(
    ...     mean_tag_average_precision, response_method="predict_proba"
    ... )
    """
    return _mean(average_precision_score, y_true, y_score)


def top_tags(
    y_score: Any, tag_names: Any, *, k: int = 5
) -> list[list[tuple[Any, float]]]:
    """Tags that fit each clip best.

    Parameters
    ----------
    y_score : array-like of shape (n_clips, n_tags)
        Probabilities, or any scores that are higher where a tag is more likely.
    tag_names : array-like of shape (n_tags,)
        The tags, in the order of the columns.
    k : int, default=5
        Number of tags per clip, at most `n_tags`.

    Returns
    -------
    tags : list of n_clips lists of k pairs (tag, score)
        The best first; of equal scores, the first in `tag_names`.

    Examples
    --------
    >>> from skaudio.metrics import top_tags
    >>> top_tags([[0.2, 0.9, 0.4]], ["guitar", "slow", "piano"], k=2)
    [[('slow', 0.9), ('piano', 0.4)]]
    """
    scores = _check_scores(y_score)
    if tag_names is None:
        raise ValueError("Expected the names of the tags, got None. Pass a list.")
    n_tags = scores.shape[1]
    names = _check_names(tag_names, n_tags)
    given: Any = k
    whole = isinstance(given, Integral) and not isinstance(given, bool)
    if not whole or not 1 <= k <= n_tags:
        raise ValueError(
            f"k must be an integer from 1 to {n_tags}, the number of tags; got {k!r}."
        )
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return [
        [(names[tag], float(row[tag])) for tag in order]
        for row, order in zip(scores, best, strict=True)
    ]


def _mean(metric: Callable[..., float], y_true: Any, y_score: Any) -> float:
    figures = _per_tag(metric, *_check_tags(y_true, y_score))
    if np.isnan(figures).all():
        warnings.warn(
            f"{metric.__name__} is not defined for any of the {len(figures)} tags: "
            "each has no clip, or every clip. The mean is NaN.",
            UndefinedMetricWarning,
            stacklevel=3,
        )
        return float("nan")
    return float(np.nanmean(figures))


def _per_tag(
    metric: Callable[..., float], truth: np.ndarray, scores: np.ndarray
) -> np.ndarray:
    """The figure of each tag, NaN where it is not defined."""
    needs_both = metric is roc_auc_score
    return np.array(
        [
            metric(has[known], score[known])
            if 1 <= (has == 1).sum() <= known.sum() - needs_both
            else np.nan
            for has, score, known in zip(
                truth.T, scores.T, ~np.isnan(truth.T), strict=True
            )
        ]
    )


def _check_tags(y_true: Any, y_score: Any) -> tuple[np.ndarray, np.ndarray]:
    scores = _check_scores(y_score)
    truth = check_array(
        with_nan(y_true) if has_unknown_tags(y_true) else y_true,
        accept_sparse=True,
        dtype=None,
        ensure_2d=False,
        ensure_all_finite="allow-nan",
        input_name="y_true",
    )
    truth = truth.toarray() if hasattr(truth, "toarray") else truth
    if truth.ndim != 2 or not are_tags(truth):
        got = f"shape {truth.shape}"
        if truth.ndim == 2:
            got = f"the values {np.unique(truth)[:5].tolist()}"
        raise ValueError(
            "Expected y_true as a matrix of zeros and ones of shape (n_clips, n_tags), "
            f"NaN where unknown, got {got}. MultiLabelBinarizer makes it from lists of "
            "tags."
        )
    check_consistent_length(truth, scores)
    if truth.shape != scores.shape:
        raise ValueError(
            f"y_true has {truth.shape[1]} tags and y_score has {scores.shape[1]}. Pass "
            "both with the same columns."
        )
    return truth.astype(float), scores


def _check_scores(y_score: Any) -> np.ndarray:
    if isinstance(y_score, list) and y_score and all(np.ndim(p) == 2 for p in y_score):
        raise ValueError(
            "Expected y_score as one array of shape (n_clips, n_tags), got a list of "
            f"{len(y_score)} arrays. If there is one for each tag, pass "
            "np.column_stack([proba[:, 1] for proba in y_score])."
        )
    scores = check_array(
        y_score,
        dtype=FLOATS[::-1],  # all else becomes float64
        ensure_2d=False,
        allow_nd=True,
        input_name="y_score",
    )
    if scores.ndim != 2:
        raise ValueError(
            "Expected y_score as an array of shape (n_clips, n_tags), got shape "
            f"{scores.shape}. Pass a column for every tag; of one clip, [y_score]."
        )
    array: np.ndarray = scores
    return array


def _check_names(tag_names: Any, n_tags: int) -> list[Any]:
    if tag_names is None:
        return list(range(n_tags))
    names: list[Any] = np.asarray(tag_names).tolist()
    if not isinstance(names, list) or len(names) != n_tags:
        got = len(names) if isinstance(names, list) else repr(names)
        raise ValueError(
            f"Expected a name for each of the {n_tags} tags, got {got}. Pass as many "
            "tag_names as y_score has columns."
        )
    return names
