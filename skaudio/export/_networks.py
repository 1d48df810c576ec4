"""Steps that are networks on segments of clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skaudio._training._labels import ClassLabels, TagIndicators
from skaudio.export._flow import Flow, Probabilities, Sound, Table, ViewValues
from skaudio.export._front import export_view_scaler, export_views, heard
from skaudio.export._graph import Graph
from skaudio.export._refusals import refuse
from skaudio.export._segments import SIDE_BY_SIDE, Cut, averaged, segments
from skaudio.nn.coala_input import N_FRAMES
from skaudio.nn.layers import layer_outputs
from skaudio.nn.softmax_autoencoder import CODES

ACTIVATIONS: dict[type, nn.Module] = {
    ClassLabels: nn.Softmax(dim=1),
    TagIndicators: nn.Sigmoid(),
}


class Decision(nn.Module):
    """Probabilities (segments, n_classes) of segments of all views.

    Parameters
    ----------
    network : Module
        Maps segments by name of the view to outputs by name.
    views : sequence of str
        Names of the views.
    outputs : dict of str to float
        Names of outputs, and the weights of their probabilities.
    activation : Module
        From outputs to probabilities.
    """

    def __init__(
        self,
        network: nn.Module,
        views: Sequence[str],
        outputs: dict[str, float],
        activation: nn.Module,
    ) -> None:
        super().__init__()
        self.network, self.activation = network, activation
        self.views, self.outputs = tuple(views), outputs

    def forward(self, *inputs: Tensor) -> Tensor:
        """Weighted sum over the outputs."""
        found = self.network(dict(zip(self.views, inputs, strict=True)))
        parts = [
            self.activation(found[name]) * weight
            for name, weight in self.outputs.items()
        ]
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]


class Features(nn.Module):
    """Outputs (segments, n_features) of hidden layers, pooled over time."""

    def __init__(
        self, network: nn.Module, views: Sequence[str], layers: list[str], pooling: str
    ) -> None:
        super().__init__()
        self.network, self.views = network, tuple(views)
        self.layers, self.pooling = layers, pooling

    def forward(self, *inputs: Tensor) -> Tensor:
        """Features of all layers side by side."""
        views = dict(zip(self.views, inputs, strict=True))
        found = layer_outputs(self.network, self.layers, views)
        parts = [found[name] for name in self.layers]
        pool = Tensor.amax if self.pooling == "max" else Tensor.mean
        pooled = [pool(x, -1) if x.ndim > 2 else x for x in parts]
        return torch.cat([x.flatten(1) for x in pooled], dim=1)


def export_classifier(
    graph: Graph | None, classifier: Any, given: Flow
) -> Probabilities:
    """Probabilities by a neural classifier, which may compute its views itself."""
    views, duration = _views_of(graph, classifier, given)
    if graph is None:
        return Probabilities(views.sr)
    graph.is_rounded |= classifier.net_.mixed_precision is not False
    kind = type(classifier._target)
    if kind not in ACTIVATIONS:
        refuse(classifier, f"its targets are {kind.__name__}.")
    module = classifier.net_.module_
    outputs = {module.decision: 1.0}
    weights: Any = getattr(classifier, "branch_weights_", None)
    if weights is not None:
        shares = (weights / weights.sum()).tolist()
        outputs = dict(zip(module.branch_names, shares, strict=True))
    value = _of_segments(
        graph,
        Decision(module, views.names, outputs, ACTIVATIONS[kind]),
        views,
        Cut.of(classifier._spec, classifier.n_segments),
        duration,
    )
    has_tags = kind is TagIndicators
    return Probabilities(views.sr, value, classifier.classes_, has_tags)


def export_codes(graph: Graph | None, estimator: Any, given: Flow) -> Table:
    """Codes by an autoencoder."""
    views, duration = _views_of(graph, estimator, given)
    if graph is None:
        return Table(views.sr)
    module = estimator.net_.module_
    value = _of_segments(
        graph,
        Decision(module, views.names, {CODES: 1.0}, nn.Identity()),
        views,
        Cut.of(estimator._spec, estimator.n_segments),
        duration,
    )
    return Table(views.sr, value, int(module.network.n_features))


def export_patches(graph: Graph | None, estimator: Any, given: Flow) -> Table:
    """Embeddings by the encoder of COALA, means over patches side by side."""
    if graph is None:
        return Table(_views_of(graph, estimator, given)[0].sr)
    return export_layers(graph, estimator, given, [estimator._encoder], "mean", None)


def export_layers(
    graph: Graph | None,
    network: Any,
    given: Flow,
    layers: list[str],
    pooling: str,
    n_segments: int | None,
) -> Table:
    """Hidden layers of a neural estimator, see `LayerEmbedder`."""
    views, duration = _views_of(graph, network, given)
    if graph is None:
        return Table(views.sr)
    cover: int | str | None = n_segments
    if _takes_patches(network) and n_segments is None:
        cover = SIDE_BY_SIDE
    value = _of_segments(
        graph,
        Features(network.net_.module_, views.names, layers, pooling),
        views,
        Cut.of(network._spec, cover),
        duration,
    )
    return Table(views.sr, value, network._n_features(layers))


def _of_segments(
    graph: Graph,
    module: nn.Module,
    views: ViewValues,
    cut: Cut,
    duration: str | None,
) -> str:
    """What a module makes of segments of all views, mean over those of a clip."""
    parts = segments(graph, views.values, cut, duration)
    shapes = [
        ("segments", views.n_bins[name], cut.n_steps[name]) for name in views.names
    ]
    (value,) = graph.call(module, dict(zip(parts, shapes, strict=True)))
    graph.networks.append(cut.described())
    return averaged(graph, value, views.values[views.names[0]])


def _views_of(
    graph: Graph | None, estimator: Any, given: Flow
) -> tuple[ViewValues, str | None]:
    """Standardised views that a network gets, and seconds of clips if they count."""
    trained = getattr(estimator, "_trained", estimator)
    source = trained._source
    if source is None or (isinstance(given, ViewValues) and _has_bins(given)):
        if not isinstance(given, ViewValues):
            own = " or set its parameter views," if hasattr(estimator, "views") else ""
            refuse(
                estimator,
                f"it takes views, but there is {given.kind} before it. Put a view "
                f"before it in a pipeline,{own} such as MelView().",
            )
        if graph is None:
            return given, None
        return _as_patches(graph, estimator, _as_in_fit(estimator, given)), None
    sound = _sound(graph, estimator, given)
    views = export_views(graph, source, sound)
    if graph is None:
        return views, None
    if estimator._standardises:
        views = export_view_scaler(graph, estimator.scaler_, views)
    if not _takes_patches(estimator):
        return _as_in_fit(estimator, views), None
    # spectrograms may be longer than their sound, whose length counts
    first = next(iter(source._named_views().values()))
    loaded = heard(graph, first, sound, float(first.sr))
    n_samples = graph.cast(graph.size(loaded.value, 1), np.float64)
    duration = graph.op("Div", n_samples, np.float64(first.sr))
    return _as_patches(graph, estimator, _as_in_fit(estimator, views)), duration


def _takes_patches(estimator: Any) -> bool:
    """Whether it is a `PatchEstimator`."""
    return hasattr(estimator, "_encoder")


def _has_bins(views: ViewValues) -> bool:
    return max(views.n_bins.values(), default=1) > 1


def _sound(graph: Graph | None, estimator: Any, given: Flow) -> Sound:
    """Sound; a view with a single bin are samples."""
    if isinstance(given, Sound):
        return given
    if not isinstance(given, ViewValues):
        refuse(estimator, f"it takes sound, but there is {given.kind} before it.")
    if graph is None:
        return Sound(sr=given.sr)
    (value,) = given.values.values()
    return Sound(graph.op("Squeeze", value, [1]), given.sr)


def _as_in_fit(estimator: Any, views: ViewValues) -> ViewValues:
    """Views by the names that the network knows."""
    known = list(estimator._spec.rates)
    if views.names == known:
        return views
    if len(known) == len(views.names) == 1:
        (old,) = views.names
        return replace(
            views,
            values={known[0]: views.values[old]},
            n_bins={known[0]: views.n_bins[old]},
            rates={known[0]: views.rates[old]},
        )
    if set(views.names) != set(known):
        refuse(estimator, f"it was fitted on {known}, but gets {views.names}.")
    return replace(views, values={name: views.values[name] for name in known})


def _as_patches(graph: Graph, estimator: Any, views: ViewValues) -> ViewValues:
    """Spectrograms of a patch or more, short ones continued by their lowest value."""
    if not _takes_patches(estimator):
        return views
    ((name, value),) = views.values.items()
    n_frames = graph.op("Max", graph.size(value, 2), N_FRAMES)
    lowest = graph.op("ReduceMin", value, [1, 2], keepdims=1)
    rest = graph.op("Expand", lowest, [1, views.n_bins[name], N_FRAMES])
    whole = graph.op("Concat", value, rest, axis=2)
    stop = graph.op("Reshape", n_frames, [1])
    return replace(views, values={name: graph.op("Slice", whole, [0], stop, [2])})
