"""Steps from sound to views and tables: loaders, views, scalers, statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skaudio._audio._load import n_samples_of
from skaudio.export._flow import Sound, Table, ViewValues
from skaudio.export._graph import AXES, Graph, float32
from skaudio.export._refusals import refuse
from skaudio.nn.constant_q import ConstantQ
from skaudio.nn.frontends import FrontEnd, SpectrumFrontEnd


class FrontEnds(nn.Module):
    """Views (batch, n_bins, n_frames) of waveforms (batch, n_samples).

    Parameters
    ----------
    modules : sequence of FrontEnd or None
        None keeps the samples as they are.
    """

    def __init__(self, modules: Sequence[FrontEnd | None]) -> None:
        super().__init__()
        self.front_ends = nn.ModuleList(m or nn.Identity() for m in modules)

    def forward(self, waveforms: Tensor) -> tuple[Tensor, ...]:
        """Views in the order of the modules, which share equal Fourier transforms."""
        powers: dict[Any, Tensor] = {}
        views = []
        for front_end in self.front_ends:
            if isinstance(front_end, SpectrumFrontEnd):
                spectrogram = front_end.spectrogram
                if spectrogram.framing not in powers:
                    powers[spectrogram.framing] = spectrogram(waveforms)
                views.append(front_end.from_power(powers[spectrogram.framing]))
            elif isinstance(front_end, FrontEnd):
                views.append(front_end(waveforms))
            else:
                views.append(waveforms[:, None])
        return tuple(views)


def heard(graph: Graph | None, estimator: Any, sound: Sound, sr: float) -> Sound:
    """Sound at a rate that an estimator takes, cut or padded as it does."""
    if sound.sr is not None and sound.sr != sr:
        refuse(
            estimator,
            f"it takes sound at sr={sr:g}, but another step takes sr={sound.sr:g}. A "
            "file has one rate: set them to the same.",
        )
    if getattr(estimator, "trim_silence", False):
        refuse(
            estimator,
            "trim_silence=True gives clips of one length different ones. Set "
            "trim_silence=False and fit again, or trim clips before they go in.",
        )
    duration = getattr(estimator, "duration", None)
    if graph is None or duration is None:
        return Sound(sound.value, sr, sound.is_fixed)
    n_samples = n_samples_of(duration, sr)
    zeros = graph.op("Concat", [0, 0, 0], [n_samples], axis=0)
    padded = graph.op("Pad", sound.value, zeros)
    value = graph.op("Slice", padded, [0], [n_samples], [1])
    return Sound(value, sr, is_fixed=True)


def export_loader(graph: Graph | None, loader: Any, sound: Sound) -> Sound:
    """A loader gives the clips as they come, cut or padded."""
    return heard(graph, loader, sound, float(loader.sr))


def export_views(graph: Graph | None, source: Any, sound: Sound) -> ViewValues:
    """Views by the front ends of a view, or of a union of several."""
    named = source._named_views()
    views = list(named.values())
    heard_sound = heard(graph, views[0], sound, float(views[0].sr))
    is_named = hasattr(source, "transformer_list")
    modules = [view._front_end("float32", "cpu") for view in views]
    if graph is None:
        return ViewValues(heard_sound.sr, is_named=is_named)
    shortest = max(view._shortest for view in views)
    if not heard_sound.is_fixed:
        graph.shortest = max(graph.shortest, shortest)
    values = graph.call(
        FrontEnds(modules),
        {heard_sound.value: AXES},
        least=shortest,
        example=_example(modules, shortest),
    )
    with torch.no_grad():
        zeros = torch.zeros(1, shortest)
        n_bins = [1 if m is None else int(m(zeros).shape[1]) for m in modules]
    return ViewValues(
        heard_sound.sr,
        dict(zip(named, values, strict=True)),
        dict(zip(named, n_bins, strict=True)),
        {name: float(view.rate) for name, view in named.items()},
        is_named,
    )


def _example(modules: Sequence[FrontEnd | None], shortest: int) -> int:
    """Samples of which all front ends make several frames, and several blocks."""
    lengths = [
        module.hop_length * (3 * module.size if isinstance(module, ConstantQ) else 64)
        for module in modules
        if module is not None
    ]
    return 2 * shortest + max(lengths, default=64) + 37


def export_view_scaler(graph: Graph | None, scaler: Any, views: ViewValues) -> Any:
    """Views with every bin standardised."""
    if graph is None:
        return views
    values = {}
    for name, value in views.values.items():
        mean, scale = (
            moment[name] if isinstance(moment, dict) else moment
            for moment in (scaler.mean_, scaler.scale_)
        )
        if scaler.with_mean:
            value = graph.op("Sub", value, float32(mean)[:, None])
        if scaler.with_std:
            value = graph.op("Div", value, float32(scale)[:, None])
        values[name] = value
    return ViewValues(views.sr, values, views.n_bins, views.rates, views.is_named)


REDUCED = {"mean": "ReduceMean", "min": "ReduceMin", "max": "ReduceMax"}


def export_statistics(graph: Graph | None, step: Any, views: ViewValues) -> Table:
    """Statistics of every bin over time."""
    unknown = set(step.statistics) - {*REDUCED, "std", "var"}
    if unknown:
        refuse(
            step,
            f"of statistics={tuple(step.statistics)!r}, {sorted(unknown)[0]!r} has no "
            "operator. Take some of 'mean', 'std', 'var', 'min', 'max'.",
        )
    if graph is None:
        return Table(views.sr)
    parts = [
        _statistic(graph, views.values[name], statistic)
        for name in views.values
        for statistic in step.statistics
    ]
    n_features = sum(views.n_bins.values()) * len(step.statistics)
    return Table(views.sr, graph.op("Concat", *parts, axis=1), n_features)


def _statistic(graph: Graph, view: str, name: str) -> str:
    if name in REDUCED:
        return graph.op(REDUCED[name], view, [2], keepdims=0)
    around = graph.op("Sub", view, graph.op("ReduceMean", view, [2], keepdims=1))
    squares = graph.op("Mul", around, around)
    variance = graph.op("ReduceMean", squares, [2], keepdims=0)
    return variance if name == "var" else graph.op("Sqrt", variance)
