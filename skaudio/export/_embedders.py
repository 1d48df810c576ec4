"""Steps that embed clips by networks that were trained before."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from skaudio.embedding._backends._segments import SegmentNetwork
from skaudio.export._flow import Sound, Table
from skaudio.export._front import heard
from skaudio.export._graph import Graph, float32
from skaudio.export._refusals import refuse
from skaudio.export._segments import Cut, averaged, segments

RAW = "raw"


class Embedding(nn.Module):
    """Features (segments, n_features) of waveforms (segments, 1, n_samples)."""

    def __init__(self, backend: SegmentNetwork) -> None:
        super().__init__()
        self.backend, self.network = backend, backend.network

    def forward(self, x: Tensor) -> Tensor:
        """What the backend makes of segments that it need not shorten."""
        return self.backend.with_network(self.network)._compute(x, (0, 0))


def export_pretrained(graph: Graph | None, embedder: Any, sound: Sound) -> Table:
    """Embeddings, or tags, by published weights."""
    backend = embedder._network()
    if not isinstance(backend, SegmentNetwork):
        refuse(
            embedder,
            f"its weights are of the form {backend.layout}; networks on waveforms can "
            "be: SampleCNN, FCN, CRNN and MusiCNN.",
        )
    if embedder.sr not in (None, backend.sample_rate):
        refuse(
            embedder,
            f"sr={embedder.sr:g} has to be resampled to the {backend.sample_rate:g} Hz "
            "of its network, which no operator does. Set sr=None, and resample before.",
        )
    sound = heard(graph, embedder, sound, float(backend.sample_rate))
    if graph is None:
        return Table(sound.sr)
    cut = Cut(
        {RAW: float(backend.sample_rate)},
        {RAW: backend.n_samples},
        backend.n_samples / backend.sample_rate,
        backend.n_segments,
    )
    view = graph.op("Unsqueeze", sound.value, [1])
    unit = getattr(backend, "unit", None)
    (part,) = segments(graph, {RAW: view}, cut, unit=unit)
    (value,) = graph.call(
        Embedding(backend), {part: ("segments", 1, backend.n_samples)}
    )
    graph.networks.append(cut.described())
    value = averaged(graph, value, view)
    # as embeddings are kept: numbers whose squares are zero are zero
    squares = graph.op("Mul", value, value)
    is_zero = graph.op("Equal", squares, float32(0))
    value = graph.op("Where", is_zero, float32(0), value)
    return Table(sound.sr, value, backend.n_features)
