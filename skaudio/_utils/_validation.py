"""Validation of user data: `check_clips` (sound), `check_views` and `check_labels`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import (
    assert_all_finite,
    check_array,
    check_consistent_length,
    column_or_1d,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from skaudio._utils._container import Views, stack_or_object
from skaudio._utils._decisions import are_tags, has_unknown_tags, with_nan
from skaudio._utils._lazy import LazyClips
from skaudio._utils._rows import clips_of, to_numpy
from skaudio._utils._sklearn import _check_sample_weight
from skaudio._utils._types import FLOATS, is_path
from skaudio._utils._view_array import ViewArray

MOST_BINS = 2048  # of a table that networks take for one frame of bins per clip


def check_clips(
    estimator: Any, X: Any, *, reset: bool, allow_nan: bool = False
) -> np.ndarray | list[Any]:
    """Validate sound, for everything that takes waveforms.

    Returns a 2-D array (n_clips, n_samples) for rectangular numeric input, whose
    length is then fixed for the fitted estimator, or a list with one path or one
    waveform array per clip, whose lengths are free. Integers are returned as they
    came: scaling PCM is the loader's business. See `clips_of` for the containers.
    """
    rows = clips_of(X)
    if rows is None:
        is_column = len(getattr(X, "shape", ())) == 1  # of equally long lists
        table = list(X) if is_column else _plain(to_numpy(X))
        array: np.ndarray = validate_data(
            estimator,
            table,
            reset=reset,
            dtype="numeric",
            order="C",
            ensure_all_finite=not allow_nan,
        )
        if getattr(getattr(table, "dtype", None), "kind", "") == "O":
            array = _undone(array, table)
        return array
    if reset:  # free lengths: forget the length of an earlier rectangular fit
        copy_features_in(None, estimator)
    return rows


def _plain(X: Any) -> Any:
    """A data frame with dtypes of NumPy, if it has integers of other libraries."""
    names = {str(dtype) for dtype in getattr(X, "dtypes", ())}
    if len(names) > 1 and any("int" in name.lower() for name in names):
        raise ValueError(
            f"The columns of X are samples, but of several types: {sorted(names)}. "
            "Cast them to one, X.astype('int16') for example."
        )
    plain = names.pop().split("[")[0].lower() if len(names) == 1 else ""
    return X.astype(plain) if "int" in plain and hasattr(X, "astype") else X


def _undone(array: np.ndarray, table: Any) -> np.ndarray:
    """Values of an object array: integers stay integers, for the rule about them."""
    kept = np.array(np.asarray(table).tolist())
    return kept if kept.dtype.kind in "iu" else array


def copy_features_in(source: Any, estimator: Any) -> None:
    """Set what scikit-learn notes of X in ``fit`` to that of ``source``, or to nothing.

    For meta-estimators, whose inner estimator checks X.
    """
    for name in ("n_features_in_", "feature_names_in_"):
        estimator.__dict__.pop(name, None)
        if hasattr(source, name):
            setattr(estimator, name, getattr(source, name))


def check_views(estimator: Any, X: Any, *, reset: bool) -> Views:
    """Validate views, for everything that takes spectrograms or the X of networks.

    A 3-D array is one view, a 2-D array one view with a single frame per clip, a 1-D
    object array (or list of 2-D arrays) one view with clips of different lengths; all
    of these come back as `Views` with a single view called ``"view"``, whose rate is
    unknown but of a `ViewArray`. ``n_features_in_`` is the number of bins, so clips may
    have any length.

    Sound is refused: paths, 1-D arrays of several lengths, and, by what can compute
    views itself, tables of more than 2048 columns, which are no bins but samples.
    """
    if isinstance(X, Views):
        return _check_named_views(estimator, X, reset)
    _refuse_sound(estimator, X)
    if not reset and hasattr(estimator, "view_names_in_"):
        raise ValueError(
            f"{type(estimator).__name__} was fitted on Views "
            f"{tuple(estimator.view_names_in_)}, but X is a {type(X).__name__}. "
            "Pass Views with the same names."
        )
    clips = _ragged_views(X)
    if clips is not None:
        array: np.ndarray = _check_ragged(estimator, clips, reset)
    elif getattr(X, "ndim", 2) == 3:
        array = check_array(
            X, dtype=FLOATS, allow_nd=True, order="C", estimator=estimator
        )
        if 0 in array.shape:
            raise ValueError(f"X of shape {array.shape} has no data: 0 bins or frames.")
        validate_data(estimator, array[:, :, 0], reset=reset, skip_check_array=True)
    else:
        array = validate_data(estimator, X, reset=reset, dtype=FLOATS, order="C")
        array = array[:, :, None]  # (clips, bins, 1 frame)
    if reset:
        estimator.__dict__.pop("view_names_in_", None)
    rate = X.rate if isinstance(X, ViewArray) else None
    return Views({"view": array}, {"view": rate})


def _refuse_sound(estimator: Any, X: Any) -> None:
    rows = clips_of(X)
    takes_sound = hasattr(estimator, "views")
    n_columns = _n_columns(X, rows)
    if any(not isinstance(row, np.ndarray) for row in rows or ()):
        got = "paths" if any(map(is_path, rows or ())) else "sound"
    elif n_columns is None:
        got = "waveforms of several lengths"
    elif n_columns > MOST_BINS and takes_sound:
        got = f"waveforms (or {n_columns} bins of one frame; {MOST_BINS} are the most)"
    else:
        return
    who = type(estimator).__name__
    also = ", or set views=MelView(sr=...)" if takes_sound else ""
    raise ValueError(
        f"{who} takes views of clips; got {got}. Put a view before it, "
        f"make_pipeline(MelView(sr=...), {who}(...)) for example{also}."
    )


def _n_columns(X: Any, rows: list[Any] | None) -> int | None:
    """Length of all rows of a table; None if it differs, 0 if X is no table."""
    shapes: set[tuple[int, ...]] = set()
    if rows is None and isinstance(X, list) and np.ndim(X[0][:1]) == 1:
        shapes = {(len(X[0]),)}
    elif rows is not None:
        shapes = {getattr(row, "shape", ()) for row in rows}
    elif hasattr(X, "shape") and len(X.shape) == 2:
        shapes = {tuple(X.shape[1:])}
    if any(len(shape) != 1 for shape in shapes) or not shapes:
        return 0
    return None if len(shapes) > 1 else int(shapes.pop()[0])


def is_table(X: Any) -> bool:
    """Whether `check_views` reads X as one frame of bins per clip."""
    if isinstance(X, Views) or getattr(X, "ndim", 2) == 3:
        return False
    return _ragged_views(X) is None


def _ragged_views(X: Any) -> list[np.ndarray] | None:
    """X as a list of (n_bins, n_frames_i) arrays, or None if it is something else."""
    if hasattr(X, "iloc") and X.ndim == 1:
        X = X.to_numpy()
    if isinstance(X, np.ndarray) and (X.ndim != 1 or X.dtype != object):
        return None
    if not isinstance(X, (list, tuple, np.ndarray)) or not len(X):
        return None
    if all(isinstance(x, np.ndarray) and x.ndim == 2 for x in X):
        return list(X)
    return None


def _check_ragged(estimator: Any, clips: list[np.ndarray], reset: bool) -> np.ndarray:
    bins = {clip.shape[0] for clip in clips}
    if len(bins) > 1:
        raise ValueError(
            f"All clips must have the same number of bins; got {sorted(bins)}."
        )
    validate_data(
        estimator,
        np.empty((len(clips), bins.pop())),
        reset=reset,
        skip_check_array=True,
    )
    return stack_or_object(_finite_clips(clips, "X"))


def _finite_clips(clips: list[np.ndarray], name: str) -> list[np.ndarray]:
    dtype = np.result_type(*{clip.dtype for clip in clips})
    dtype = dtype if dtype in FLOATS else np.dtype(np.float32)
    out = []
    for i, clip in enumerate(clips):
        if clip.shape[1] == 0:
            raise ValueError(f"Clip {i} of {name} has 0 frames. Drop it or pad it.")
        if not np.isfinite(clip).all():
            raise _not_finite(name, i)
        out.append(np.ascontiguousarray(clip, dtype=dtype))
    return out


def _check_named_views(estimator: Any, X: Views, reset: bool) -> Views:
    if len(X) == 0:
        raise ValueError("Found Views with 0 clips while a minimum of 1 is required.")
    if reset:
        estimator.__dict__.pop("n_features_in_", None)
        estimator.view_names_in_ = np.array(X.names, dtype=object)
        estimator.view_bins_in_ = dict(X.n_bins)
    elif not hasattr(estimator, "view_names_in_"):
        raise ValueError(
            f"{type(estimator).__name__} was fitted on an array, but X is {X!r}. "
            "Pass an array like the one seen in fit."
        )
    names = list(estimator.view_names_in_)
    if sorted(names) != sorted(X.names):
        raise ValueError(
            f"X has views {list(X.names)}, but {type(estimator).__name__} was fitted "
            f"with views {names}."
        )
    for name in names:
        if X.n_bins[name] != estimator.view_bins_in_[name]:
            raise ValueError(
                f"View {name!r} has {X.n_bins[name]} bins, but "
                f"{type(estimator).__name__} was fitted with "
                f"{estimator.view_bins_in_[name]}."
            )
    checked = {name: _finite_view(X._some(name), name) for name in names}
    return Views(checked, {name: X.rates[name] for name in names}).with_index(X.index)


def _finite_view(array: np.ndarray | LazyClips, name: str) -> np.ndarray | LazyClips:
    if isinstance(array, LazyClips):
        _check_finite_entries(array, name)
        return array
    if array.dtype == object:
        return stack_or_object(_finite_clips(list(array), f"view {name!r}"))
    if array.dtype not in FLOATS:
        array = array.astype(np.float32)
    if not np.isfinite(array.sum()) and not np.isfinite(array).all():
        bad = int(np.argmin(np.isfinite(array).all(axis=(1, 2))))
        raise _not_finite(f"view {name!r}", bad)
    return np.ascontiguousarray(array)


def _check_finite_entries(clips: LazyClips, name: str) -> None:
    for i, entry in enumerate(clips.entries):
        if not entry.is_finite:
            raise _not_finite(f"view {name!r}", i)


def _not_finite(name: str, i: int) -> ValueError:
    return ValueError(
        f"Input {name} contains NaN or infinity, first in clip {i}. Drop that clip "
        "(the loader lists failed ones in errors_), or repair it."
    )


def check_labels(estimator: Any, X: Any, y: Any) -> np.ndarray:
    """One class label per clip of X, as a 1-D array."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is "
            "None."
        )
    labels: np.ndarray = column_or_1d(y, warn=True)
    assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    check_consistent_length(X, labels)
    return labels


def check_tags(estimator: Any, X: Any, y: Any, unknown: bool = False) -> np.ndarray:
    """Tags of every clip of X as zeros and ones, and NaN if some may be unknown."""
    tags: np.ndarray = check_array(
        with_nan(y) if unknown and has_unknown_tags(y) else y,
        accept_sparse=True,
        dtype=None,
        ensure_all_finite="allow-nan" if unknown else True,
        input_name="y",
        estimator=estimator,
    )
    if hasattr(tags, "toarray"):
        tags = tags.toarray()
    check_consistent_length(X, tags)
    if not are_tags(tags):
        raise ValueError(
            f"Tags must be an indicator matrix of zeros and ones"
            f"{', NaN where unknown' if unknown else ''}; got the values "
            f"{np.unique(tags)[:5].tolist()}."
        )
    if unknown and np.isnan(tags.astype(np.float32)).all():
        raise ValueError(
            "All tags are NaN, which is unknown: there is nothing to learn or to "
            "compare with. Leave these clips out."
        )
    return tags.astype(np.float32)


def check_sample_weight(X: Any, sample_weight: Any) -> np.ndarray:
    """Weights of clips: one for each, finite, not negative, not all zero.

    Only their ratios matter: the largest comes back within 1 and 1e6, which every type
    of floating-point numbers has room for.
    """
    weights: np.ndarray = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise ValueError(
            f"sample_weight must not be negative; that of clip {row} is "
            f"{weights[row]:g}."
        )
    largest = weights.max()
    if largest == 0:  # scikit-learn refuses it from 1.8 on
        raise ValueError("Sample weights must contain at least one non-zero number.")
    scaled: np.ndarray = weights / largest * np.clip(largest, 1, 1e6)
    return weights if 1 <= largest <= 1e6 else scaled


def check_soft_labels(
    estimator: Any, X: Any, scores: Any, n_classes: int
) -> np.ndarray:
    """A teacher's probabilities (n_clips, n_classes) of every clip of X."""
    scores = check_array(scores, dtype=FLOATS, input_name="y", estimator=estimator)
    check_consistent_length(X, scores)
    if scores.shape[1] != n_classes:
        raise ValueError(
            f"The teacher's outputs have {scores.shape[1]} columns; expected one for "
            f"each of {n_classes} classes."
        )
    sums = scores.sum(axis=1)
    if (scores < 0).any() or not np.allclose(sums, 1, atol=1e-3):
        row = int(np.argmax(np.abs(sums - 1)))
        raise ValueError(
            "Probabilities of a teacher must not be negative and must sum to one; row "
            f"{row} sums to {sums[row]:.4g}. Are these logits, or probabilities of "
            "tags?"
        )
    result: np.ndarray = scores
    return result
