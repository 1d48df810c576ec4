"""`separation_table`: how far classes are apart in embeddings, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.metrics import silhouette_score
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
    cross_val_score,
)

from skaudio.embedding._probe import make_probe


def separation_table(
    embeddings: Any,
    y: Any,
    groups: Any = None,
    *,
    cv: Any = 5,
    random_state: Any = 0,
) -> Any:
    """Measure how far classes are apart in several embeddings of the same clips.

    The numbers behind pictures of :class:`~skaudio.inspection.EmbeddingDisplay`.

    Parameters
    ----------
    embeddings : array-like of shape (n_clips, n_features), or dict of them
        Keys name the rows of the table. More than two axes are made two: all values of
        a clip are its features.
    y : array-like of shape (n_clips,)
        Class labels.
    groups : array-like of shape (n_clips,), default=None
        Source of each clip, such as the track of a slice: no source is in the training
        and in the test part of a fold.
    cv : int, cross-validation generator or iterable, default=5
        Folds, the same for all embeddings. A number makes so many stratified ones, with
        clips in random order, and sources kept together where there are `groups`.
    random_state : int, RandomState instance or None, default=0
        Seed of the folds.

    Returns
    -------
    table : DataFrame
        A row for each embedding, in their order, with the columns

        embedding
            Its name.
        n_features
            Features of a clip.
        silhouette
            :func:`sklearn.metrics.silhouette_score` of the embeddings as they are: from
            -1 to 1, higher where clips lie closer to those of their class. It takes
            all distances between clips.
        accuracy
            Accuracy of a logistic regression on standardised features, the linear
            probe of :func:`make_probe`, mean over folds.
        chance
            Accuracy in the same folds of taking the most frequent class.
        n_folds
            Number of folds.

    Raises
    ------
    ValueError
        If there is one class only, a number of rows that differs from that of `y`, or a
        value that is not finite: the message names the embedding.

    See Also
    --------
    probe_table : Accuracies of embedders, with other heads and repetitions.
    skaudio.inspection.EmbeddingDisplay.compare : The pictures.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.embedding import separation_table
    >>> y = np.repeat([0, 1], 20)
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=(40, 3))
    >>> table = separation_table({"near": noise, "far": noise + 9 * y[:, None]}, y)
    >>> table[["embedding", "n_features", "accuracy", "chance", "n_folds"]].tail(1)
      embedding  n_features  accuracy  chance  n_folds
    1       far           3       1.0     0.5        5
    """
    import pandas as pd

    if not isinstance(embeddings, Mapping):
        embeddings = {"embedding": embeddings}
    if not embeddings:
        raise ValueError("embeddings is empty: at least one is needed.")
    y = np.asarray(y)
    tables = {name: _checked(name, Z, y) for name, Z in embeddings.items()}
    folds = _folds(cv, y, groups, random_state)
    guesses = [(y[test] == _most_frequent(y[train])).mean() for train, test in folds]
    rows = []
    probe = make_probe("passthrough", head="logistic")
    for name, Z in tables.items():
        rows.append(
            {
                "embedding": name,
                "n_features": Z.shape[1],
                "silhouette": float(silhouette_score(Z, y)),
                "accuracy": float(cross_val_score(probe, Z, y, cv=folds).mean()),
                "chance": float(np.mean(guesses)),
                "n_folds": len(folds),
            }
        )
    return pd.DataFrame(rows)


def _checked(name: Any, Z: Any, y: np.ndarray) -> np.ndarray:
    """Embeddings as a finite table with a row for each label."""
    table = np.asarray(Z)
    table = table.reshape(len(table), -1) if table.ndim > 2 else table
    if table.ndim != 2 or table.dtype.kind not in "biuf":
        raise ValueError(
            f"Embedding {name!r} must be a table of numbers, shape (n_clips, "
            f"n_features); got {table.dtype} of shape {table.shape}."
        )
    if y.ndim != 1 or len(table) != len(y):
        raise ValueError(
            f"Embedding {name!r} has {len(table)} rows, and y the shape {y.shape}; y "
            "must have one class per row."
        )
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if len(bad):
        raise ValueError(
            f"Embedding {name!r} has NaN or infinity in {len(bad)} of {len(table)} "
            f"rows, first in row {bad[0]}. Leave these clips out."
        )
    if len(np.unique(y)) < 2:
        raise ValueError("y has one class only; two or more can lie apart.")
    return table


def _folds(
    cv: Any, y: np.ndarray, groups: Any, random_state: Any
) -> list[tuple[np.ndarray, np.ndarray]]:
    if isinstance(cv, (int, np.integer)):
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        cv = kind(int(cv), shuffle=True, random_state=random_state)
    return list(check_cv(cv, y, classifier=True).split(y, y, groups))


def _most_frequent(y: np.ndarray) -> Any:
    classes, counts = np.unique(y, return_counts=True)
    return classes[counts.argmax()]
