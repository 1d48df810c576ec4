"""From an estimator to a graph, step by step; without a graph, whether it can be.

Every kind of step is a function ``(graph, estimator, given)`` that adds to the graph
and returns what flows on. It raises an error if that cannot be, by parameters alone if
there is no graph: so one walk checks estimators before they are fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skaudio._training._classifier import SegmentClassifier
from skaudio._training._network_of import network_of
from skaudio._training._patches import PatchEstimator
from skaudio._training._reconstruction import CodeOutputs
from skaudio._utils._sklearn import BaseSearchCV
from skaudio.embedding._layers import LayerEmbedder
from skaudio.embedding._pretrained import PretrainedEmbedder
from skaudio.ensemble._frame_classifier import FrameClassifier
from skaudio.ensemble._late_fusion import LateFusionClassifier
from skaudio.export._embedders import export_pretrained
from skaudio.export._flow import Flow, Probabilities, Sound, Table, ViewValues
from skaudio.export._front import (
    export_loader,
    export_statistics,
    export_view_scaler,
    export_views,
)
from skaudio.export._graph import Graph, float32
from skaudio.export._networks import (
    export_classifier,
    export_codes,
    export_layers,
    export_patches,
)
from skaudio.export._refusals import refuse
from skaudio.export._segments import averaged
from skaudio.export._tables import (
    export_linear,
    export_perceptron,
    export_standard_scaler,
    export_tags,
)
from skaudio.neural_network._distilled import DistilledClassifier
from skaudio.neural_network._fine_tuning import FineTunedClassifier
from skaudio.preprocessing._frame_statistics import FrameStatistics
from skaudio.preprocessing._loader import AudioLoader
from skaudio.preprocessing._view_scaler import ViewScaler
from skaudio.views._base import ViewSource

Export = Callable[[Graph | None, Any, Any], Flow]
ANY = (Sound, ViewValues)

# estimators that stand for another one: what they have fitted, and what it is made of
STANDS_FOR: dict[type, tuple[str, str]] = {
    FrozenEstimator: ("estimator", "estimator"),
    BaseSearchCV: ("best_estimator_", "estimator"),
    FineTunedClassifier: ("estimator_", "estimator"),
    DistilledClassifier: ("student_", "student"),
}


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
    for kind, (fitted, unfitted) in STANDS_FOR.items():
        if isinstance(estimator, kind):
            name = fitted if hasattr(estimator, fitted) else unfitted
            return export_step(graph, getattr(estimator, name), given, is_last)
    steps = STEPS if is_last else {**TRANSFORMERS, **STEPS}
    for kind, (takes, export) in steps.items():
        if isinstance(estimator, kind):
            if not isinstance(given, takes):
                _refuse_input(estimator, given, takes)
            return export(graph, estimator, given)
    known = sorted({*map(_name, STEPS), *map(_name, STANDS_FOR), "Pipeline"})
    return refuse(
        estimator,
        f"it has no form in ONNX here. Those that have one: {', '.join(known)}.",
        TypeError,
    )


def _name(kind: type) -> str:
    if issubclass(kind, ViewSource):
        return "views and ViewUnion"
    is_base = kind is SegmentClassifier
    return "neural classifiers" if is_base else kind.__name__


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


def _export_union(graph: Graph | None, union: FeatureUnion, given: Flow) -> Table:
    """Tables of several embedders side by side."""
    tables = []
    for name, step in union.transformer_list:
        if isinstance(step, str):
            continue
        found = export_step(graph, step, given, is_last=False)
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


def _export_layer_embedder(
    graph: Graph | None, embedder: LayerEmbedder, given: Flow
) -> Table:
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


def _export_fusion(
    graph: Graph | None, fusion: LateFusionClassifier, given: Flow
) -> Probabilities:
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


def _export_frames(
    graph: Graph | None, classifier: FrameClassifier, views: ViewValues
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


STEPS: dict[type, tuple[tuple[type, ...], Export]] = {
    AudioLoader: ((Sound,), export_loader),
    ViewSource: ((Sound,), export_views),
    ViewScaler: ((ViewValues,), export_view_scaler),
    FrameStatistics: ((ViewValues,), export_statistics),
    FeatureUnion: (ANY, _export_union),
    SegmentClassifier: (ANY, export_classifier),
    CodeOutputs: (ANY, export_codes),
    PatchEstimator: (ANY, export_patches),
    LateFusionClassifier: (ANY, _export_fusion),
    FrameClassifier: ((ViewValues,), _export_frames),
    LayerEmbedder: (ANY, _export_layer_embedder),
    PretrainedEmbedder: ((Sound,), export_pretrained),
    StandardScaler: ((Table,), export_standard_scaler),
    LogisticRegression: ((Table,), export_linear),
    LinearDiscriminantAnalysis: ((Table,), export_linear),
    OneVsRestClassifier: ((Table,), export_tags),
    MLPClassifier: ((Table,), export_perceptron),
}
# classifiers that are no last step give what they transform to
TRANSFORMERS: dict[type, tuple[tuple[type, ...], Export]] = {
    CodeOutputs: (ANY, export_codes),
    PatchEstimator: (ANY, export_patches),
}
