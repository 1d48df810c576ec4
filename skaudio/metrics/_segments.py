"""Metrics of segmentation: shares of time per class, and boundaries within a collar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from skaudio._utils._segment_table import COLUMNS, check_segments

CLOSE = 1e-9  # seconds that are no difference
MISSING = "(none)"  # in the columns of a confusion matrix: nothing was predicted


class BoundaryScores(NamedTuple):
    """How many boundaries were found, see `boundary_scores`."""

    precision: float
    recall: float
    f1: float


class _Track(NamedTuple):
    """Segments of one recording, in order, that do not overlap."""

    starts: np.ndarray
    ends: np.ndarray
    labels: np.ndarray  # of objects


def frame_confusion(y_true: Any, y_pred: Any, *, ignore: Iterable[Any] = ()) -> Any:
    """Time of every true label by what was predicted.

    Parameters
    ----------
    y_true : DataFrame, or sequence of array-like of shape (n_frames_i,)
        The truth: a table of segments (``recording, start, end, label``), or the labels
        of the frames of each recording. One label at a time.
    y_pred : DataFrame, or sequence of array-like of shape (n_frames_i,)
        What was predicted, in the same form: `FrameSegmenter.predict` of skaudio gives
        tables, its ``predict_frames`` labels of frames.
    ignore : sequence of labels, default=()
        Labels of the truth that are not counted, such as ``["silence"]``.

    Returns
    -------
    confusion : DataFrame of shape (n_true_labels, n_labels)
        Seconds, exactly, of tables, and frames of labels of frames. A row per label
        of the truth, a column per label of either; "(none)" is the time for which
        nothing was predicted, if there is any.

    See Also
    --------
    frame_accuracy : The share of the diagonal.
    frame_report : Recall and precision of every label.

    Notes
    -----
    What is predicted where the truth has no label is not counted. Of a recording that
    `y_pred` has not, nothing was predicted.

    Examples
    --------
    >>> import pandas as pd
    >>> from skaudio.metrics import frame_confusion
    >>> truth = pd.DataFrame(
    ...     {"start": [0.0, 4.0], "end": [4.0, 6.0], "label": ["speech", "music"]}
    ... )
    >>> frame_confusion(truth, truth.assign(start=[0.0, 3.0], end=[3.0, 6.0]))
            music  speech
    music     2.0     0.0
    speech    1.0     3.0
    """
    import pandas as pd

    true, pred = _tracks(y_true, y_pred)
    ignored = set(ignore)
    overlaps: dict[tuple[Any, Any], float] = {}
    for name, track in true.items():
        for key, weight in _overlaps(track, pred.get(name)):
            if key[0] not in ignored:
                overlaps[key] = overlaps.get(key, 0) + weight
    rows = _ordered(label for label, _ in overlaps)
    if not rows:
        raise ValueError("y_true has no time to count: all of its labels are ignored.")
    predicted = {label for _, label in overlaps}
    columns = _ordered({*rows, *predicted} - {MISSING})
    columns += [MISSING] if MISSING in predicted else []
    values = [[overlaps.get((row, column), 0) for column in columns] for row in rows]
    dtype = type(next(iter(overlaps.values())))  # seconds, or a number of frames
    return pd.DataFrame(values, index=rows, columns=columns, dtype=dtype)


def frame_accuracy(y_true: Any, y_pred: Any, *, ignore: Iterable[Any] = ()) -> float:
    """Share of the time, or of the frames, that has the right label.

    Parameters
    ----------
    y_true : DataFrame, or sequence of array-like of shape (n_frames_i,)
        The truth: a table of segments (``recording, start, end, label``), or the labels
        of the frames of each recording. One label at a time.
    y_pred : DataFrame, or sequence of array-like of shape (n_frames_i,)
        What was predicted, in the same form: `FrameSegmenter.predict` of skaudio gives
        tables, its ``predict_frames`` labels of frames.
    ignore : sequence of labels, default=()
        Labels of the truth that are not counted, such as ``["silence"]``.

    Returns
    -------
    accuracy : float
        Over all recordings together, so that long ones count more.

    See Also
    --------
    frame_confusion : What is mistaken for what.

    References
    ----------
    M. S. Hussain and M. A. Haque, "SwishNet: A Fast Convolutional Neural Network for
    Speech, Music and Noise Classification and Segmentation", arXiv:1812.00149, 2018
    (Table V: frames without silence).

    Examples
    --------
    >>> from skaudio.metrics import frame_accuracy
    >>> truth = ["silence", "speech", "speech", "music"]
    >>> frame_accuracy([truth], [["speech", "speech", "music", "music"]])
    0.5
    >>> frame_accuracy(
    ...     [truth], [["music", "speech", "speech", "music"]], ignore=["silence"]
    ... )
    1.0
    """
    confusion = frame_confusion(y_true, y_pred, ignore=ignore)
    right = sum(confusion.loc[label, label] for label in confusion.index)
    return float(right / confusion.to_numpy().sum())


def frame_report(y_true: Any, y_pred: Any, *, ignore: Iterable[Any] = ()) -> Any:
    """Table of what is achieved on each label.

    Parameters
    ----------
    y_true : DataFrame, or sequence of array-like of shape (n_frames_i,)
        The truth: a table of segments (``recording, start, end, label``), or the labels
        of the frames of each recording. One label at a time.
    y_pred : DataFrame, or sequence of array-like of shape (n_frames_i,)
        What was predicted, in the same form: `FrameSegmenter.predict` of skaudio gives
        tables, its ``predict_frames`` labels of frames.
    ignore : sequence of labels, default=()
        Labels of the truth that are not counted, such as ``["silence"]``.

    Returns
    -------
    report : DataFrame with a row for each label of the truth
        In the order of the columns: `support`, the seconds or frames of the label;
        `recall`, the share of them that was found; `precision`, the share that is right
        of what was predicted, NaN if nothing was; `f1`, their harmonic mean.

    See Also
    --------
    frame_confusion : What is mistaken for what.

    Examples
    --------
    >>> from skaudio.metrics import frame_report
    >>> frame_report([list("aaabb")], [list("aabbb")]).round(2)
       support  recall  precision   f1
    a        3    0.67       1.00  0.8
    b        2    1.00       0.67  0.8
    """
    import pandas as pd

    confusion = frame_confusion(y_true, y_pred, ignore=ignore)
    labels = confusion.index
    right = np.array([confusion.loc[label, label] for label in labels], float)
    support = confusion.sum(axis=1)
    predicted = confusion[list(labels)].sum(axis=0).to_numpy(float)
    with np.errstate(invalid="ignore"):
        precision = right / predicted
    return pd.DataFrame(
        {
            "support": support,
            "recall": right / support,
            "precision": precision,
            "f1": 2 * right / (support + predicted),
        },
        index=labels,
    )


def boundary_scores(
    y_true: Any,
    y_pred: Any,
    *,
    collar: float = 0.5,
    ignore: Iterable[Any] = (),
    hop: float = 0.01,
) -> BoundaryScores:
    """Precision, recall and F1 of the boundaries between labels.

    A boundary is found if one was predicted within the `collar`; each is matched with
    one other at most, and as many as possible are. Start and end of a recording are no
    boundaries.

    Parameters
    ----------
    y_true : DataFrame, or sequence of array-like of shape (n_frames_i,)
        The truth: a table of segments (``recording, start, end, label``), or the labels
        of the frames of each recording. One label at a time.
    y_pred : DataFrame, or sequence of array-like of shape (n_frames_i,)
        What was predicted, in the same form: `FrameSegmenter.predict` of skaudio gives
        tables, its ``predict_frames`` labels of frames.
    collar : float, default=0.5
        Seconds that a boundary may be away from the true one.
    ignore : sequence of labels, default=()
        Labels such as ``["silence"]``, in both, whose segments are divided in their
        middle between what is beside them.
    hop : float, default=0.01
        Seconds from frame to frame, of labels of frames.

    Returns
    -------
    scores : tuple (precision, recall, f1)
        Over all boundaries of all recordings. Precision is NaN without predicted
        boundaries, recall without true ones; F1 is 1 without any.

    Notes
    -----
    Of one recording without ignored labels this is ``mir_eval.segment.detection`` with
    ``trim=True``, except that a boundary between equal labels is none. What has no
    label counts as ignored.

    Examples
    --------
    >>> import pandas as pd
    >>> from skaudio.metrics import boundary_scores
    >>> truth = pd.DataFrame(
    ...     {"start": [0.0, 4.0], "end": [4.0, 6.0], "label": ["speech", "music"]}
    ... )
    >>> found = pd.DataFrame(
    ...     {"start": [0, 1, 3.8], "end": [1, 3.8, 6], "label": [*"aba"]}
    ... )
    >>> boundary_scores(truth, found)
    BoundaryScores(precision=0.5, recall=1.0, f1=0.6666666666666666)
    """
    if not collar >= 0 or not hop > 0:
        raise ValueError(
            f"collar must be 0 or more seconds, hop above 0; got collar={collar}, "
            f"hop={hop}."
        )
    true, pred = _tracks(y_true, y_pred, hop)
    ignored = set(ignore)
    n_true = n_pred = n_found = 0
    for name in true:
        real = _boundaries(true[name], ignored)
        found = _boundaries(pred[name], ignored) if name in pred else np.empty(0)
        n_true += len(real)
        n_pred += len(found)
        n_found += _n_matches(real, found, collar)
    precision = n_found / n_pred if n_pred else np.nan
    recall = n_found / n_true if n_true else np.nan
    f1 = 2 * n_found / (n_true + n_pred) if n_true + n_pred else 1.0
    return BoundaryScores(precision, recall, f1)


# ------------------------------------------------------------------------- tracks


def _tracks(
    y_true: Any, y_pred: Any, hop: float = 1
) -> tuple[dict[Any, _Track], dict[Any, _Track]]:
    """Segments of every recording, of truth and prediction."""
    import pandas as pd

    are_tables = [isinstance(y, pd.DataFrame) for y in (y_true, y_pred)]
    if all(are_tables):
        true, pred = _of_table(y_true, "y_true"), _of_table(y_pred, "y_pred")
        unknown = [name for name in pred if name not in true]
        if unknown:
            raise ValueError(
                f"y_pred has the recording {unknown[0]!r}, which y_true has not: that "
                f"has {list(true)[:3]}. Give both the same names in 'recording'."
            )
        return true, pred
    if any(are_tables):
        raise ValueError(
            "y_true and y_pred must both be tables of segments, or both labels of "
            "frames; got one of each."
        )
    true_rows, pred_rows = _rows(y_true, "y_true"), _rows(y_pred, "y_pred")
    lengths = [len(row) for row in true_rows], [len(row) for row in pred_rows]
    if lengths[0] != lengths[1]:
        raise ValueError(
            f"y_true has recordings of {lengths[0][:5]} frames, y_pred of "
            f"{lengths[1][:5]}. Labels of frames must be of the same recordings."
        )
    return _of_rows(true_rows, hop), _of_rows(pred_rows, hop)


def _of_table(table: Any, name: str) -> dict[Any, _Track]:
    table = check_segments(table, name)
    if not len(table):
        raise ValueError(f"{name} has no segments.")
    table = table[table["end"] > table["start"]].sort_values("start", kind="stable")
    tracks = {}
    for recording, rows in table.groupby("recording", sort=False):
        starts, ends = rows["start"].to_numpy(), rows["end"].to_numpy()
        overlapping = starts[1:] < ends[:-1] - CLOSE
        if overlapping.any():
            at = starts[1:][np.argmax(overlapping)]
            raise ValueError(
                f"Segments of recording {recording!r} in {name} overlap at {at:g} s. "
                "One label at a time is compared."
            )
        labels = rows["label"].to_numpy(dtype=object)
        tracks[recording] = _Track(
            starts, np.minimum(ends, [*starts[1:], np.inf]), labels
        )
    return tracks


def _rows(y: Any, name: str) -> list[np.ndarray]:
    if isinstance(y, (str, bytes)) or not hasattr(y, "__len__"):
        raise TypeError(f"{name} must be a table of segments or labels of frames.")
    rows = [np.asarray(row) for row in y]
    if not rows or any(row.ndim != 1 or not len(row) for row in rows):
        raise ValueError(
            f"{name} must be a table of segments, or a sequence with the labels of the "
            f"frames of each recording; of one, [{name}]; columns {COLUMNS}."
        )
    return rows


def _of_rows(rows: list[np.ndarray], hop: float) -> dict[Any, _Track]:
    tracks = {}
    for i, row in enumerate(rows):
        borders = np.flatnonzero(row[1:] != row[:-1]) + 1
        edges = np.array([0, *borders, len(row)])
        labels = np.array(row[edges[:-1]].tolist(), dtype=object)
        tracks[i] = _Track(edges[:-1] * hop, edges[1:] * hop, labels)
    return tracks


def _overlaps(true: _Track, pred: _Track | None) -> list[tuple[tuple[Any, Any], Any]]:
    """((true label, predicted label), time that they have in common) of a recording."""
    if pred is None:
        pred = _Track(np.empty(0), np.empty(0), np.empty(0, object))
    edges = np.unique(np.concatenate([*true[:2], *pred[:2]]))
    starts, weights = edges[:-1], np.diff(edges)
    true_place, pred_place = _places(true, starts), _places(pred, starts)
    return [
        (
            (true.labels[t], pred.labels[p] if p >= 0 else MISSING),
            weight.item(),
        )
        for t, p, weight in zip(true_place, pred_place, weights, strict=True)
        if t >= 0
    ]


def _places(track: _Track, times: np.ndarray) -> np.ndarray:
    """Which segment holds each time; -1 for none."""
    place = np.searchsorted(track.starts, times, side="right") - 1
    if len(track.ends):
        place[times >= track.ends[place]] = -1
    return place


def _ordered(labels: Iterable[Any]) -> list[Any]:
    return sorted(set(labels), key=lambda label: (str(type(label)), label))


# --------------------------------------------------------------------- boundaries


def _boundaries(track: _Track, ignored: set[Any]) -> np.ndarray:
    """Times at which the label changes."""
    kept = np.array([label not in ignored for label in track.labels], dtype=bool)
    starts, ends, labels = (column[kept] for column in track)
    changes = labels[1:] != labels[:-1]
    middles = (ends[:-1] + starts[1:]) / 2
    found: np.ndarray = middles[changes]
    return found


def _n_matches(true: np.ndarray, pred: np.ndarray, collar: float) -> int:
    """Most pairs within the collar; of times in order, the first that fits is best."""
    n, at = 0, 0
    for time in true:
        while at < len(pred) and pred[at] < time - collar - CLOSE:
            at += 1
        if at < len(pred) and pred[at] <= time + collar + CLOSE:
            n += 1
            at += 1
    return n
