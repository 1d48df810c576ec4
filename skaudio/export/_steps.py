"""From an estimator to a graph, step by step; without a graph, whether it can be.

Every kind of step is a function ``(graph, estimator, given)`` that adds to the graph
and returns what flows on. It raises an error if that cannot be, by parameters alone if
there is no graph: so one walk checks estimators before they are fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils.validation import check_is_fitted

from skaudio._training._network_of import network_of
from skaudio.export._flow import Flow, Probabilities, Sound, Table, ViewValues
from skaudio.export._graph import Graph, float32
from skaudio.export._networks import export_layers
from skaudio.export._refusals import refuse
from skaudio.export._segments import averaged

Export = Callable[[Graph | None, Any, Any], Flow]
ANY = (Sound, ViewValues)

# kinds of steps: what they take, and what adds them to a graph
STEPS: dict[type, tuple[tuple[type, ...], Export]] = {}
# classifiers that are no last step give what they transform to
TRANSFORMERS: dict[type, tuple[tuple[type, ...], Export]] = {}
# estimators that stand for another one: what they have fitted, and what it is made of
STANDS_FOR: dict[type, tuple[str, ...]] = {}
# names of kinds that stand for several classes
NAMES: dict[type, str] = {}


def export_step(
    graph: Graph | None, estimator: Any, given: Flow, is_last: bool = True
) -> Flow:
    """Add an estimator to a graph, or see whether it can be added.

    Parameters
    ----------
    graph : Graph or None
        None only checks, and needs no fitted estimator.
    estimator : estimator
        Any.
    given : Flow
        What it gets.
    is_last : bool, default=True
        Whether its probabilities are wanted, of a classifier that also transforms.

    Returns
    -------
    flow : Flow
        What it gives.
    """
    if isinstance(estimator, Pipeline):
        return _export_pipeline(graph, estimator, given, is_last)
    if graph is not None:
        check_is_fitted(estimator)
    for name in _stands_for(estimator):
        if hasattr(estimator, name):
            return export_step(graph, getattr(estimator, name), given, is_last)
    steps = STEPS if is_last else {**TRANSFORMERS, **STEPS}
    for kind, (takes, export) in steps.items():
        if isinstance(estimator, kind):
            if not isinstance(given, takes):
                _refuse_input(estimator, given, takes)
            return export(graph, estimator, given)
    known = sorted({*map(_name, STEPS), "Pipeline"})
    return refuse(
        estimator,
        f"it has no form in ONNX here. Those that have one: {', '.join(known)}.",
        TypeError,
    )


def _stands_for(estimator: Any) -> tuple[str, ...]:
    """Names of what predicts in place of an estimator, fitted and not."""
    for kind, names in STANDS_FOR.items():
        if isinstance(estimator, kind):
            return names
    return getattr(estimator, "_stands_for", ())


def _name(kind: type) -> str:
    return NAMES.get(kind, kind.__name__)


def _refuse_input(estimator: Any, given: Flow, takes: tuple[type, ...]) -> None:
    wanted = " or ".join(kind.kind for kind in takes)  # type: ignore[attr-defined]
    refuse(
        estimator,
        f"it takes {wanted}, but there is {given.kind} before it. A file starts with "
        "sound: export a pipeline from the view, or the embedder, on.",
    )


def _export_pipeline(
    graph: Graph | None, pipeline: Pipeline, given: Flow, is_last: bool
) -> Flow:
    for i, (_, step) in enumerate(pipeline.steps):
        if step is not None and not isinstance(step, str):  # "passthrough"
            ends = is_last and i == len(pipeline.steps) - 1
            given = export_step(graph, step, given, ends)
    return given


def export_union(graph: Graph | None, union: FeatureUnion, given: Flow) -> Table:
    """Tables of several embedders side by side."""
    tables = []
    for name, step in union.transformer_list:
        if step == "drop":
            continue
        if isinstance(step, str):
            refuse(union, f"{name!r} is {step!r}; wanted steps that give features.")
        found = export_step(graph, step, given, is_last=False)
        if isinstance(given, Sound):  # all hear the same
            given = replace(given, sr=found.sr)
        if not isinstance(found, Table):
            refuse(union, f"{name!r} gives {found.kind}; wanted a table of features.")
        weight = (union.transformer_weights or {}).get(name)
        if graph is not None and weight is not None:
            found = Table(
                found.sr,
                graph.op("Mul", found.value, float32(weight)),
                found.n_features,
            )
        tables.append(found)
    if graph is None:
        return Table(given.sr)
    value = graph.op("Concat", *(table.value for table in tables), axis=1)
    n_features = sum(table.n_features for table in tables)
    return Table(tables[0].sr, value, n_features)


def export_layer_embedder(graph: Graph | None, embedder: Any, given: Flow) -> Table:
    """Hidden layers of a network, behind the steps before it."""
    if graph is None:
        flow = export_step(None, embedder.estimator, given)
        return Table(flow.sr)
    steps, network = network_of(embedder.estimator_)
    if steps is not None:
        given = export_step(graph, steps, given, is_last=False)
    return export_layers(
        graph,
        network,
        given,
        embedder.layers_,
        embedder.pooling,
        embedder.n_segments,
    )


def export_fusion(graph: Graph | None, fusion: Any, given: Flow) -> Probabilities:
    """Weighted mean of the probabilities by every view."""
    if graph is None:
        return Probabilities(export_step(None, fusion.estimator, given).sr)
    parts = [given]
    if isinstance(given, ViewValues) and given.is_named:
        parts = [_only(given, name) for name in fusion._names]
    found: list[Any] = [
        export_step(graph, estimator, part)
        for estimator, part in zip(fusion.estimators_, parts, strict=True)
    ]
    weights = np.ones(len(found)) if fusion.weights is None else fusion.weights
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    value = graph.op("Mul", found[0].value, float32(shares[0]))
    for one, share in zip(found[1:], shares[1:], strict=True):
        scaled = graph.op("Mul", one.value, float32(share))
        value = graph.op("Add", value, scaled)
    has_tags = bool(fusion._has_tags)
    return Probabilities(found[0].sr, value, fusion.classes_, has_tags)


def _only(views: ViewValues, name: str) -> ViewValues:
    return ViewValues(
        views.sr,
        {name: views.values[name]},
        {name: views.n_bins[name]},
        {name: views.rates[name]},
        views.is_named,
    )


def export_frames(
    graph: Graph | None, classifier: Any, views: ViewValues
) -> Probabilities:
    """Mean over frames of the probabilities of each."""
    if classifier.vote != "mean":
        refuse(classifier, f"vote={classifier.vote!r}; 'mean' can be.")
    if graph is None:
        return Probabilities(export_step(None, classifier.estimator, Table()).sr)
    ((name, value),) = views.values.items()
    n_bins = views.n_bins[name]
    rows = graph.op("Transpose", value, perm=[0, 2, 1])
    table = Table(views.sr, graph.op("Reshape", rows, [-1, n_bins]), n_bins)
    found: Any = export_step(graph, classifier.estimator_, table)
    mean = averaged(graph, found.value, value)
    return Probabilities(views.sr, mean, classifier.classes_)
