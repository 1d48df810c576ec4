"""`probe_table`: how well embeddings tell classes apart, as papers measure it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, check_consistent_length, check_random_state, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skaudio._utils._sklearn import _num_samples, _safe_indexing
from skaudio._utils._types import is_path
from skaudio.embedding._layers import LayerEmbedder
from skaudio.embedding._probe import HEADS, make_probe
from skaudio.preprocessing._frame_statistics import FrameStatistics

Splits = list[tuple[np.ndarray, np.ndarray]]
Features = tuple[np.ndarray, np.ndarray]  # of the clips of a fold to train on, to test


def probe_table(
    embedders: Any,
    data: Any,
    *,
    cv: Any = None,
    groups: Any = None,
    head: str = "mlp",
    n_repeats: Any = 10,
    random_state: Any = 0,
    n_jobs: int | None = None,
    return_scores: bool = False,
    **head_params: Any,
) -> Any:
    """Measure embedders by the accuracy of a small classifier on top of them.

    This is the protocol of the COALA paper: in every fold a head is trained on the
    embeddings of the training clips and tested on the others; the accuracies of the
    folds are averaged; all of it is repeated with other seeds of the head.

    Parameters
    ----------
    embedders : transformer, or dict of str to transformer
        From clips to a table of features, such as `PretrainedEmbedder`,
        `LayerEmbedder` or a Pipeline that ends in
        :class:`~skaudio.preprocessing.FrameStatistics`. Keys of a dict name the rows
        of the table; one embedder is named by its classes.
    data : Bunch or tuple (X, y)
        What a fetcher of :mod:`skaudio.datasets` returns, or clips and the class of
        each.
    cv : int, cross-validation generator or iterable, default=None
        Folds. None takes ``data.cv``, the published ones. Those of a splitter that
        shuffles are drawn once and are the same for all embedders and repetitions.
    groups : array-like of shape (n_clips,), default=None
        Source of each clip, for a `cv` that uses it. None takes ``data.groups``.
    head : {"mlp", "svm", "logistic", "lda"}, default="mlp"
        Classifier of embeddings, as in :func:`make_probe`. "mlp" is the paper's: one
        hidden layer of 256 units on standardised features.
    n_repeats : int, default=10
        How often heads are trained, with another seed each time.
    random_state : int, RandomState instance or None, default=0
        Where the seeds of the heads come from: one for each repetition and fold, the
        same for all embedders. An int gives the same table at every call, whatever
        `n_jobs`; embedders that draw at random have seeds of their own.
    n_jobs : int or None, default=None
        Repetitions to train at once. ``None`` means 1, ``-1`` all processors. The
        result does not depend on it.
    return_scores : bool, default=False
        Return the score of every single head as well.
    **head_params : dict
        Further parameters of the head, as scikit-learn calls them: ``alpha``,
        ``max_iter``, ``C``.

    Returns
    -------
    table : DataFrame
        A row for each embedder, in their order, with the columns

        embedder
            Its name.
        n_features
            Features of a clip (their mean over folds, where folds differ).
        accuracy
            Mean over repetitions of the mean over folds, between 0 and 1.
        accuracy_sd
            Standard deviation of the means over folds between repetitions, with
            ``n_repeats - 1`` in the denominator as in the paper's results; NaN for one
            repetition.
        n_folds, n_repeats
            How many there are.
        n_train
            Clips that a head is trained on, mean over folds.
        n_test
            Clips that are tested, all folds together.
        converged
            Share of the heads whose training ended before ``max_iter`` iterations.
    scores : DataFrame
        Only with `return_scores`: a row for each embedder, fold and repetition, with
        the columns embedder, fold, repeat (both from 0), n_features, n_train, n_test,
        accuracy, and whether training converged.

    Raises
    ------
    ValueError
        If there are no folds, if clips have several labels, or if an embedder gives
        something else than one row of finite features per clip: the message names the
        embedder, and the clip.

    See Also
    --------
    make_probe : An embedder and a head as one estimator.

    Notes
    -----
    What is fitted already, or frozen, is used as it is, also as a step of a Pipeline or
    a part of a FeatureUnion: fit it on other clips than these. What else learns
    anything from clips or labels is fitted inside every fold, on clones, with its
    training clips only. If nothing does, every clip is embedded once; clips that are
    in no fold never.

    The paper's perceptron stops after 200 iterations whether it has converged or not,
    and so does this: warnings that a head has not converged are not shown but counted,
    in the column ``converged``.

    References
    ----------
    Favory et al., "COALA", ICML workshop on self-supervision in audio and speech, 2020,
    Section 3.2 and Table 1.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.embedding import probe_table
    >>> from skaudio.preprocessing._frame_statistics import FrameStatistics
    >>> from skaudio.views import MFCCView
    >>> from sklearn.pipeline import make_pipeline
    >>> data = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> mfcc = make_pipeline(MFCCView(sr=8000), FrameStatistics())
    >>> table = probe_table({"MFCC": mfcc}, data, cv=2, n_repeats=3, max_iter=50)
    >>> table[["embedder", "n_features", "n_folds", "n_repeats", "n_train", "n_test"]]
      embedder  n_features  n_folds  n_repeats  n_train  n_test
    0     MFCC          40        2          3     10.0      20
    """
    if head not in HEADS:
        raise ValueError(f"head must be one of {list(HEADS)}; got {head!r}.")
    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"n_repeats must be an int of 1 or more; got {n_repeats!r}.")
    named = _named(embedders)
    X, y, splits = _checked(data, cv, groups)
    draw = check_random_state(random_state)
    seeds = draw.randint(2**31 - 1, size=(n_repeats, len(splits)))
    records = []
    with Parallel(n_jobs=n_jobs) as parallel:
        for name, embedder in named.items():
            embedded = _embedded(name, embedder, X, y, splits)
            for fold, (features, rows) in enumerate(zip(embedded, splits, strict=True)):
                labels = [y[part] for part in rows]
                with warnings.catch_warnings():  # all jobs take over these filters
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    scored = parallel(
                        delayed(_score)(features, labels, head, seed, head_params)
                        for seed in seeds[:, fold].tolist()
                    )
                sizes = (features[0].shape[1], *map(len, rows))
                records += [
                    (name, fold, repeat, *sizes, *score)
                    for repeat, score in enumerate(scored)
                ]
    return _tables(records, return_scores)


def _named(embedders: Any) -> dict[str, Any]:
    """Embedders by their names."""
    if not isinstance(embedders, Mapping):
        embedders = {_name(embedders): embedders}
    if not embedders:
        raise ValueError("embedders is empty: at least one is needed.")
    for name, embedder in embedders.items():
        if isinstance(embedder, type) or not hasattr(embedder, "transform"):
            kind = getattr(embedder, "__name__", type(embedder).__name__)
            raise ValueError(
                f"Embedder {name!r} must be a transformer, an object with fit and "
                f"transform; got {kind}. The layers of a network are those of "
                "LayerEmbedder(FrozenEstimator(network))."
            )
    return {str(name): embedder for name, embedder in embedders.items()}


def _name(embedder: Any) -> str:
    steps = [step for _, step in getattr(embedder, "steps", [])]
    return ", ".join(map(_name, steps)) if steps else type(embedder).__name__


def _checked(data: Any, cv: Any, groups: Any) -> tuple[Any, np.ndarray, Splits]:
    """Clips, their classes and the folds."""
    given = groups
    if isinstance(data, Bunch) and {"paths", "target"} <= data.keys():
        X, y = data["paths"], data["target"]
        groups = data.get("groups") if groups is None else groups
        cv = data.get("cv") if cv is None else cv
    elif isinstance(data, (tuple, list)) and len(data) == 2:
        X, y = data
    else:
        raise ValueError(
            "data must be a Bunch with paths and target, as the fetchers return it, or "
            f"a pair (X, y); got {type(data).__name__}."
        )
    y = np.asarray(y)
    if y.ndim != 1:
        raise ValueError(
            f"y must have one class per clip, shape (n_clips,); got shape {y.shape}. "
            "Tags are scored by skaudio.metrics.tag_report."
        )
    check_consistent_length(X, y, groups)
    check_classification_targets(y)
    if cv is None:
        raise ValueError(
            "cv is None, and data has no folds of its own. Give folds that keep clips "
            "of one source together, StratifiedGroupKFold() with groups for example."
        )
    return X, y, _splits(check_cv(cv, y, classifier=True).split, X, y, groups, given)


def _splits(split: Any, X: Any, y: np.ndarray, groups: Any, given: Any) -> Splits:
    """The rows to train on and to test of each fold."""
    with warnings.catch_warnings():
        if given is None:  # those of the data set may go unused
            warnings.filterwarnings("ignore", "The groups parameter is ignored")
        splits = [(_rows(train), _rows(test)) for train, test in split(X, y, groups)]
    for fold, (train, test) in enumerate(splits):
        if not len(train) or not len(test):
            raise ValueError(
                f"Fold {fold} of cv has {len(train)} clips to train on and {len(test)} "
                "to test; both must be at least 1."
            )
        if len(np.unique(y[train])) < 2:
            raise ValueError(
                f"Fold {fold} of cv trains on clips of one class, {y[train][0]!r}; "
                "there must be at least 2."
            )
    return splits


def _rows(part: Any) -> np.ndarray:
    part = np.asarray(part)
    return np.flatnonzero(part) if part.dtype == bool else part


def _embedded(
    name: str, embedder: Any, X: Any, y: np.ndarray, splits: Splits
) -> Iterator[Features]:
    """Features of the clips of each fold; nothing learns from those that it tests."""
    embedder = _freeze(embedder)
    if not _learns(embedder):
        used = np.unique(np.concatenate([part for split in splits for part in split]))
        features = _fit_transform(clone(embedder), X, y, used)
        table = _checked_table(name, features, X, used)
        for train, test in splits:
            yield (
                table[np.searchsorted(used, train)],
                table[np.searchsorted(used, test)],
            )
        return
    for train, test in splits:
        fresh = clone(embedder)
        learned = _checked_table(name, _fit_transform(fresh, X, y, train), X, train)
        features = fresh.transform(_safe_indexing(X, test))
        yield learned, _checked_table(name, features, X, test)


def _freeze(embedder: Any) -> Any:
    """The same with all that is fitted frozen, so that no fit changes it."""
    parts = _parts(embedder)
    if parts:
        frozen = {part: _freeze(inner) for part, inner in parts.items()}
        return clone(embedder).set_params(**frozen)
    if not _learns(embedder):
        return embedder
    try:
        check_is_fitted(embedder)
    except NotFittedError:
        return embedder
    return FrozenEstimator(embedder)


def _learns(embedder: Any) -> bool:
    """Whether a fit takes anything from clips or labels but their width."""
    if embedder is None or isinstance(embedder, (str, FrozenEstimator)):
        return False
    parts = _parts(embedder)
    if parts:
        return any(map(_learns, parts.values()))
    if isinstance(embedder, LayerEmbedder):
        return _learns(embedder.estimator)
    if isinstance(embedder, FrameStatistics):
        return False
    return bool(get_tags(embedder).requires_fit)


def _parts(embedder: Any) -> dict[str, Any]:
    """Steps of a Pipeline, transformers of a union."""
    parts = getattr(embedder, "steps", None) or getattr(
        embedder, "transformer_list", None
    )
    return dict(parts or [])


def _fit_transform(embedder: Any, X: Any, y: np.ndarray, rows: np.ndarray) -> Any:
    clips, labels = _safe_indexing(X, rows), y[rows]
    if hasattr(embedder, "fit_transform"):
        return embedder.fit_transform(clips, labels)
    return embedder.fit(clips, labels).transform(clips)


def _checked_table(name: str, features: Any, X: Any, rows: np.ndarray) -> np.ndarray:
    """Features as an array with a finite row for each of these rows of X."""
    table = features.toarray() if issparse(features) else np.asarray(features)
    if table.ndim != 2 or len(table) != len(rows) or table.dtype.kind not in "biuf":
        raise ValueError(
            f"Embedder {name!r} must give a table of numbers, shape (n_clips, "
            f"n_features); for {len(rows)} clips it gave {table.dtype} of shape "
            f"{table.shape}. Frames become one row with FrameStatistics()."
        )
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if len(bad):
        row = int(rows[bad[0]])
        clip = _safe_indexing(X, [row])
        path = f" ({clip[0]})" if _num_samples(clip) and is_path(clip[0]) else ""
        raise ValueError(
            f"Embedder {name!r} gave NaN or infinity for {len(bad)} of {len(rows)} "
            f"clips, first for clip {row}{path}. Repair these clips or leave them out "
            "of data."
        )
    return table


def _score(
    features: Features,
    labels: list[np.ndarray],
    head: str,
    seed: int,
    head_params: dict[str, Any],
) -> tuple[float, bool]:
    """Accuracy of one head, and whether its training ended by itself."""
    probe = make_probe("passthrough", head=head, random_state=seed, **head_params)
    probe.fit(features[0], labels[0])
    classifier = probe["head"]
    limit = classifier.max_iter
    converged = limit < 0 or bool(np.max(classifier.n_iter_) < limit)
    return float(probe.score(features[1], labels[1])), converged


def _tables(records: list[Any], return_scores: bool) -> Any:
    """The table of embedders, and that of all heads if it is wanted."""
    import pandas as pd

    columns = "embedder fold repeat n_features n_train n_test accuracy converged"
    scores = pd.DataFrame(records, columns=columns.split())
    table = pd.DataFrame(
        [_summary(name, of) for name, of in scores.groupby("embedder", sort=False)]
    )
    return (table, scores) if return_scores else table


def _summary(name: Any, scores: Any) -> dict[str, Any]:
    runs = scores.groupby("repeat")["accuracy"].mean()
    folds = scores[scores["repeat"] == 0]
    n_features = float(folds["n_features"].mean())
    return {
        "embedder": name,
        "n_features": int(n_features) if n_features.is_integer() else n_features,
        "accuracy": runs.mean(),
        "accuracy_sd": runs.std(ddof=1),
        "n_folds": len(folds),
        "n_repeats": len(runs),
        "n_train": folds["n_train"].mean(),
        "n_test": folds["n_test"].sum(),
        "converged": scores["converged"].mean(),
    }
