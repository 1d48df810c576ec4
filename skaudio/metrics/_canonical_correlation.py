"""How much of acoustic descriptors is in an embedding: canonical correlations."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import check_array

Key = tuple[str, str]
NEGLIGIBLE = 1e-10  # standard deviation, of the largest: its square is SVCCA's epsilon


class _Basis(NamedTuple):
    """What canonical correlations need of one side."""

    vectors: np.ndarray  # orthonormal, one row per clip
    n_dimensions: int  # that are not constant


def canonical_correlation_similarity(X: Any, Y: Any) -> float:
    """Mean canonical correlation of two descriptions of the same clips.

    Canonical correlations are those of the linear combination of X and the one of Y
    that correlate most, then of the two that correlate most among those uncorrelated
    with the first, and so on, as many as the side with fewer dimensions has. Their
    mean is the similarity by which the COALA paper [1]_ compares embeddings with
    acoustic descriptors, and SVCCA [2]_ layers of networks.

    Parameters
    ----------
    X : array-like of shape (n_clips, n_features) or (n_clips,)
        Embeddings, one row per clip.
    Y : array-like of shape (n_clips, n_descriptors) or (n_clips,)
        Descriptors of the same clips in the same order. Both sides need more rows than
        dimensions, as correlations are 1 otherwise, whatever the data.

    Returns
    -------
    similarity : float
        From 0 to 1. Dimensions that are the same for all clips do not count (those with
        less than 1e-10 of the largest standard deviation); those that are linear
        combinations of others count as correlations of 0. NaN, with an
        UndefinedMetricWarning, if a whole side never changes.

    See Also
    --------
    canonical_correlation_table : Several embeddings and descriptors at once.

    Notes
    -----
    It is symmetric, and stays the same if either side is shifted or mapped by an
    invertible matrix. For a single descriptor it is the multiple correlation R of the
    linear regression of the descriptor on the embedding: R squared is the share of its
    variance that a linear model explains, on the data it was fitted on. It grows with
    n_features, even on noise, so that embeddings of different sizes need many clips.

    References
    ----------
    .. [1] X. Favory, K. Drossos, T. Virtanen and X. Serra, "COALA: Co-Aligned
       Autoencoders for Learning Semantically Enriched Audio Representations", ICML 2020
       Workshop on Self-supervision in Audio and Speech, Table 2.
    .. [2] M. Raghu, J. Gilmer, J. Yosinski and J. Sohl-Dickstein, "SVCCA: Singular
       Vector Canonical Correlation Analysis for Deep Learning Dynamics and
       Interpretability", NIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.metrics import canonical_correlation_similarity
    >>> X = np.array([[0, 1], [1, 0], [2, 2], [3, 1], [4, 5]])
    >>> round(canonical_correlation_similarity(X, X @ [[1, 2], [3, 4]]), 6)
    1.0
    >>> round(canonical_correlation_similarity(X, [1, 0, 0, 1, 0]), 2)
    0.38
    """
    similarity = _similarity(_basis(X, "X"), _basis(Y, "Y"))
    if np.isnan(similarity):
        _warn("X or Y is the same for all clips")
    return similarity


def canonical_correlation_table(embeddings: Any, descriptors: Any) -> Any:
    """Table of mean canonical correlations of embeddings with acoustic descriptors.

    As Table 2 of the COALA paper [1]_, which has a row for each embedding and a column
    for each statistic of each descriptor.

    Parameters
    ----------
    embeddings : mapping of str to array-like of shape (n_clips, n_features)
        Embeddings of the same clips by name.
    descriptors : DataFrame, or mapping of str or pair of str to array-like
        Descriptors of these clips, in the same order. Columns of a data frame are
        called as those of :class:`~skaudio.preprocessing.AcousticDescriptors`:
        descriptor, number and statistic, ``mfcc3_mean``; all numbers of a descriptor
        are compared at once. In a mapping, arrays (n_clips,) or (n_clips, n_dimensions)
        go by ``"mfcc_mean"`` or ``("mfcc", "mean")``.

    Returns
    -------
    table : DataFrame of shape (n_embeddings, n_descriptors)
        Similarities, with descriptor and statistic as the two levels of the columns.
        NaN, with an UndefinedMetricWarning, where one side never changes.

    See Also
    --------
    canonical_correlation_similarity : A single one of them.

    References
    ----------
    .. [1] X. Favory, K. Drossos, T. Virtanen and X. Serra, "COALA: Co-Aligned
       Autoencoders for Learning Semantically Enriched Audio Representations", ICML 2020
       Workshop on Self-supervision in Audio and Speech, Table 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.metrics import canonical_correlation_table
    >>> level = np.array([[0.0], [1.0], [2.0], [4.0]])
    >>> descriptors = {"level_mean": level, "pitch_mean": [1, 0, 0, 1]}
    >>> canonical_correlation_table({"ours": 3 * level}, descriptors).round(2)
    descriptor level pitch
    statistic   mean  mean
    ours         1.0  0.17
    """
    import pandas as pd

    if not isinstance(embeddings, Mapping) or not len(embeddings):
        raise ValueError(
            "embeddings must be a dict of arrays by name, such as {'mine': Z}; got "
            f"{'none' if isinstance(embeddings, Mapping) else type(embeddings)}."
        )
    bases = {key: _basis(Y, "_".join(key)) for key, Y in _blocks(descriptors).items()}
    table = pd.DataFrame(
        [
            [_similarity(basis, other) for other in bases.values()]
            for basis in (_basis(Z, str(name)) for name, Z in embeddings.items())
        ],
        index=list(embeddings),
        columns=pd.MultiIndex.from_tuples(bases, names=["descriptor", "statistic"]),
    )
    if table.isna().any(axis=None):
        rows, columns = np.nonzero(table.isna().to_numpy())
        name, key = table.index[rows[0]], "_".join(table.columns[columns[0]])
        _warn(f"embedding {name!r} or descriptor {key!r} is the same for all clips")
    return table


def _warn(why: str) -> None:
    warnings.warn(
        f"Canonical correlations are not defined, as {why}; they are NaN.",
        UndefinedMetricWarning,
        stacklevel=3,
    )


def _basis(X: Any, name: str) -> _Basis:
    """Orthonormal basis of what centred columns span."""
    X = check_array(X, dtype=np.float64, ensure_2d=False, input_name=name)
    X = X.reshape(len(X), -1)
    n_clips, n_dimensions = X.shape
    if n_clips <= n_dimensions:
        raise ValueError(
            f"{name} has {n_clips} rows and {n_dimensions} dimensions; canonical "
            "correlations need more rows than dimensions. Take more clips, or reduce "
            "dimensions, with PCA for example."
        )
    X = X / (np.abs(X).max() or 1.0)  # so that nothing overflows
    mean = X.mean(axis=0)
    X = X - mean
    deviation = np.linalg.norm(X, axis=0) / np.sqrt(n_clips)
    # what is left of a constant column are rounding errors of its mean
    rounding = 10 * np.finfo(X.dtype).eps * np.abs(mean)
    changes = deviation > np.maximum(rounding, NEGLIGIBLE * deviation.max())
    X = X[:, changes] / deviation[changes]
    if not X.size:
        return _Basis(np.empty((n_clips, 0)), 0)
    left, values, _ = np.linalg.svd(X, full_matrices=False)
    rank = (values > values[0] * max(X.shape) * np.finfo(X.dtype).eps).sum()
    return _Basis(left[:, :rank], X.shape[1])


def _similarity(one: _Basis, other: _Basis) -> float:
    if len(one.vectors) != len(other.vectors):
        raise ValueError(
            "Embeddings and descriptors must have the same number of rows, one per "
            f"clip; got {len(one.vectors)} and {len(other.vectors)}."
        )
    n_correlations = min(one.n_dimensions, other.n_dimensions)
    if not n_correlations:
        return float("nan")
    # cosines of the principal angles between what both sides span
    cosines = np.linalg.svd(one.vectors.T @ other.vectors, compute_uv=False)
    return float(cosines.clip(0, 1).sum() / n_correlations)


def _blocks(descriptors: Any) -> dict[Key, Any]:
    """Arrays by descriptor and statistic."""
    if hasattr(descriptors, "columns"):
        table = np.asarray(descriptors)
        columns: dict[Key, list[int]] = {}
        for i, name in enumerate(descriptors.columns):
            columns.setdefault(_key(name, numbered=True), []).append(i)
        return {key: table[:, chosen] for key, chosen in columns.items()}
    if not isinstance(descriptors, Mapping) or not len(descriptors):
        raise ValueError(
            "descriptors must be a data frame with columns such as 'mfcc0_mean', or a "
            f"dict of arrays by such names; got {type(descriptors).__name__}."
        )
    blocks: dict[Key, Any] = {}
    for name, Y in descriptors.items():
        key = _key(name, numbered=False)
        if key in blocks:
            raise ValueError(f"The descriptor {'_'.join(key)!r} comes twice.")
        blocks[key] = Y
    return blocks


def _key(name: Any, *, numbered: bool) -> Key:
    if isinstance(name, tuple) and len(name) > 1:
        return str(name[0]), str(name[1])
    descriptor, separator, statistic = str(name).rpartition("_")
    if not separator:
        descriptor, statistic = statistic, ""
    return re.sub(r"\d+$", "", descriptor) if numbered else descriptor, statistic
