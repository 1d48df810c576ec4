"""How alike a network's responses are to sounds that differ in something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from skaudio._utils._random import derived_generator, draw_seed
from skaudio.inspection._networks import Clip, Model, run

if TYPE_CHECKING:
    from pandas import DataFrame

POOLINGS = ("mean", "max", None)
NOTHING = "nothing"
LEVEL = 95.0  # per cent, of intervals


def feature_correlation(
    estimator: Any,
    X: Any,
    factors: Mapping[str, Any] | DataFrame,
    *,
    layers: Sequence[int | str] | None = None,
    pooling: str | None = "mean",
    n_bootstraps: int = 1000,
    random_state: Any = None,
) -> DataFrame:
    """Correlate the responses of every layer to pairs of clips, by what they differ in.

    With chords on several instruments, say, there are pairs of the same chord on
    different instruments, of different chords on one instrument, and of both different.
    The responses of a layer to two clips, all its features together, are correlated,
    and correlations of pairs of a kind are averaged. A layer whose responses to one
    chord on different instruments correlate more than those to different chords on one
    instrument tells chords rather than instruments apart.

    Parameters
    ----------
    estimator : classifier, Pipeline or Module
        A fitted neural classifier, a pipeline that ends in one, a search or
        meta-estimator that has fitted one, or a torch module.
    X : whatever the estimator takes
        Clips; see :func:`deconvolve`. They are taken whole.
    factors : DataFrame, or mapping of str to array-like of shape (n_clips,)
        What clips may differ in, a column each, such as ``{"chord": ...,
        "instrument": ...}``.
    layers : list of int or str, or None, default=None
        Which layers, by place among ``hidden_layers`` or by name. None is all of these
        with an axis of time, which clips of any length pass through.
    pooling : {"mean", "max"} or None, default="mean"
        Pooling of responses over time, so that neither the lengths of clips nor where
        sounds start in them matter. None takes responses step by step: then clips must
        be equally long, and are compared as they are aligned.
    n_bootstraps : int, default=1000
        How many times clips are drawn with replacement for the interval.
    random_state : int, RandomState instance or None, default=None
        Seed of these draws.

    Returns
    -------
    correlations : DataFrame
        A row for every layer and kind of pair, with the columns

        - ``layer`` and ``depth``, its place among ``hidden_layers``, from 0;
        - ``differ``, in which factors the clips of a pair differ, such as "chord" or
          "chord, instrument"; they agree in the others. "nothing" are clips that agree
          in all;
        - ``correlation``, the mean of Pearson's coefficients over the pairs;
        - ``low`` and ``high``, between which it is for 95 per cent of the draws of
          clips, as pairs that share a clip are not independent;
        - ``n_pairs``, without those in which a response does not vary at all, which
          have no coefficient.

    Raises
    ------
    ValueError
        If factors are not one for each clip, or there are no pairs.

    See Also
    --------
    FeatureCorrelationDisplay : Draws these correlations.

    References
    ----------
    Choi, Fazekas and Sandler, "Explaining deep convolutional neural networks on music
    classification", arXiv:1607.02444, 2016, for the idea.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.inspection import feature_correlation
    >>> from skaudio.neural_network import SampleCNNClassifier
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> net = SampleCNNClassifier(sr=8000, width=0.02, max_epochs=1, random_state=0)
    >>> table = feature_correlation(net.fit(X, y), X, {"class": y}, layers=[0, 1])
    >>> table[["depth", "differ", "n_pairs"]]
       depth   differ  n_pairs
    0      0  nothing       90
    1      0    class      100
    2      1  nothing       90
    3      1    class      100
    """
    import pandas as pd

    _check_settings(pooling, n_bootstraps)
    model = Model.of(estimator)
    responses, names = _responses(model, X, layers, pooling)
    n_clips = len(responses[0])
    kinds = _kinds(factors, n_clips)
    draws = _draws(n_clips, n_bootstraps, random_state)
    known = list(getattr(model.module, "hidden_layers", names))
    rows = []
    for name, of_layer in zip(names, responses, strict=True):
        coefficients = _pearson(of_layer)
        for differ, pairs in kinds.items():
            figures = _mean_and_interval(coefficients, pairs, draws)
            depth = known.index(name) if name in known else np.nan
            rows.append({"layer": name, "depth": depth, "differ": differ, **figures})
    return pd.DataFrame(rows)


def _check_settings(pooling: Any, n_bootstraps: Any) -> None:
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {POOLINGS}; got {pooling!r}.")
    if not isinstance(n_bootstraps, (int, np.integer)) or n_bootstraps < 1:
        raise ValueError(f"n_bootstraps must be 1 or more; got {n_bootstraps!r}.")


# ----------------------------------------------------------------------- responses
def _responses(
    model: Model, X: Any, layers: Any, pooling: str | None
) -> tuple[list[np.ndarray], list[str]]:
    """Responses (n_clips, n_values) of every layer, and the names of the layers."""
    names = [] if layers is None else model.names_of(list(layers))
    found: list[list[np.ndarray]] = []
    for row, clip in enumerate(model.clips(X)):
        names = names or _with_time(model, clip)
        outputs = run(model, clip, row, names, bias=True).outputs
        found.append([_pooled(outputs[name], name, pooling) for name in names])
    sizes = {tuple(map(len, of_clip)) for of_clip in found}
    if len(sizes) > 1:
        raise ValueError(
            "Responses of clips of different lengths cannot be compared step by step. "
            "Set pooling='mean', or cut the clips to one length."
        )
    return [np.stack(of_layer) for of_layer in zip(*found, strict=True)], names


def _with_time(model: Model, clip: Clip) -> list[str]:
    """Layers whose outputs have an axis of time."""
    layers = getattr(model.module, "hidden_layers", None)
    if layers is None:
        raise ValueError("The module has no hidden_layers: name some as layers=[...].")
    outputs = run(model, clip, 0, list(layers), bias=True, stop=False).outputs
    return [name for name in layers if getattr(outputs.get(name), "ndim", 0) > 2]


def _pooled(output: Any, name: str, pooling: str | None) -> np.ndarray:
    if not isinstance(output, Tensor):
        raise ValueError(
            f"Layer {name!r} gives a {type(output).__name__}, not an array of features."
        )
    values = output[0]
    if pooling is not None and values.ndim > 1:
        values = values.mean(-1) if pooling == "mean" else values.amax(-1)
    return values.flatten().double().cpu().numpy()


# --------------------------------------------------------------------------- pairs
def _kinds(factors: Any, n_clips: int) -> dict[str, np.ndarray]:
    """Which pairs (n_clips, n_clips), above the diagonal, differ in which factors."""
    columns = {str(name): np.asarray(factors[name]) for name in factors}
    if not columns:
        raise ValueError("factors is empty: it needs a column at least.")
    for name, column in columns.items():
        if column.shape != (n_clips,):
            raise ValueError(
                f"Factor {name!r} must have one entry for each of {n_clips} clips; got "
                f"the shape {column.shape}."
            )
    differs = {name: c[:, None] != c[None, :] for name, c in columns.items()}
    upper = np.triu(np.ones((n_clips, n_clips), bool), 1)
    kinds = {}
    for some in _subsets(list(columns)):
        pairs = upper.copy()
        for name, differ in differs.items():
            pairs &= differ if name in some else ~differ
        if pairs.any():
            kinds[", ".join(some) or NOTHING] = pairs
    if not kinds:
        raise ValueError(f"There are no pairs of clips: X has {n_clips} of them.")
    return kinds


def _subsets(names: list[str]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(names, n) for n in range(len(names) + 1))


def _pearson(responses: np.ndarray) -> np.ndarray:
    """Coefficients (n_clips, n_clips), NaN where a response does not vary."""
    centred = responses - responses.mean(1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    # what is left of a constant are rounding errors of its mean
    size = np.abs(responses).max(1, keepdims=True) * np.sqrt(responses.shape[1])
    norms[norms <= 10 * np.finfo(float).eps * size] = np.nan
    unit = centred / norms
    coefficients: np.ndarray = unit @ unit.T
    return coefficients


def _draws(n_clips: int, n_bootstraps: int, random_state: Any) -> np.ndarray:
    """How often each clip is drawn, (n_bootstraps, n_clips)."""
    rng = derived_generator(draw_seed(random_state))
    share = np.full(n_clips, 1 / n_clips)
    return rng.multinomial(n_clips, share, size=n_bootstraps).astype(float)


def _mean_and_interval(
    coefficients: np.ndarray, pairs: np.ndarray, draws: np.ndarray
) -> dict[str, Any]:
    known = pairs & np.isfinite(coefficients)
    values = np.where(known, coefficients, 0.0)
    n_pairs = int(known.sum())
    if not n_pairs:
        nothing = dict.fromkeys(("correlation", "low", "high"), np.nan)
        return {**nothing, "n_pairs": 0}
    # a pair is drawn as often as both of its clips are
    sums = ((draws @ values) * draws).sum(1)
    weights = ((draws @ known.astype(float)) * draws).sum(1)
    means = sums[weights > 0] / weights[weights > 0]
    tail = (100 - LEVEL) / 2
    low, high = (
        np.percentile(means, [tail, 100 - tail]) if len(means) else (np.nan,) * 2
    )
    mean = float(values.sum() / n_pairs)
    return {"correlation": mean, "low": low, "high": high, "n_pairs": n_pairs}
