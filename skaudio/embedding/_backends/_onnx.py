"""Clips through any ONNX graph that takes a waveform, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaudio._segments import cut
from skaudio._utils._optional import import_optional
from skaudio.embedding._backends._segments import SegmentNetwork
from skaudio.embedding._backends._silence import size_of

ADAPTER = (
    "Put it behind an object with sample_rate and get_scene_embeddings, see the page "
    "'Other models' of the user guide."
)
DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}
SHORTEST = 0.02  # seconds: fewer values at once are bands or frames, not sound


class OnnxGraph:
    """A graph and its session of ONNX Runtime, on the CPU.

    Parameters
    ----------
    content : bytes
        Of the file.
    name, reason : str
        Of the file, and why it is not read as weights, for messages.

    Attributes
    ----------
    hidden_layers : tuple of str
        Names of its outputs.
    n_samples : int or None
        Samples that it takes; None is any number.
    """

    def __init__(self, content: bytes, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        self.session = _session(content, name, reason)
        self.hidden_layers = self._outputs()
        self.dtype = self._dtype()
        self.shape: tuple[int | None, ...] = tuple(
            size if isinstance(size, int) and size > 0 else None
            for size in self.session.get_inputs()[0].shape
        )
        self.time = self._time_axis()
        self.n_samples = self.shape[self.time]

    def run(self, segment: np.ndarray, outputs: Sequence[str]) -> list[np.ndarray]:
        """Outputs, in the order of their names, for one waveform (n_samples,)."""
        shape = [1] * len(self.shape)
        shape[self.time] = len(segment)
        x = segment.astype(self.dtype).reshape(shape)
        name = self.session.get_inputs()[0].name
        try:
            found: list[np.ndarray] = self.session.run(list(outputs), {name: x})
        except Exception as error:  # of ONNX Runtime, which has classes of its own
            raise ValueError(
                f"{self.name} failed with a waveform of {len(segment)} samples: it may "
                f"be too short for it, see duration=. ONNX Runtime: {error}"
            ) from error
        return found

    def named_modules(self) -> list[tuple[str, Any]]:
        """Outputs by name, as `skaudio.nn.layers.layer_names` looks for them."""
        return [(name, None) for name in self.hidden_layers]

    def _outputs(self) -> tuple[str, ...]:
        outputs = self.session.get_outputs()
        numbers = [
            out.name
            for out in outputs
            if out.type.startswith("tensor(") and out.type != "tensor(string)"
        ]
        if not numbers:
            found = ", ".join(f"{out.name} {out.type}" for out in outputs)
            raise ValueError(
                f"{self.name} gives {found}; wanted arrays of numbers. {self.reason}"
            )
        return tuple(numbers)

    def _dtype(self) -> Any:
        inputs = self.session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in DTYPES:
            found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise ValueError(
                f"{self.name} takes {found or 'nothing'}; wanted one input, a waveform "
                f"of floats. {ADAPTER} {self.reason}"
            )
        return DTYPES[inputs[0].type]

    def _time_axis(self) -> int:
        """The one axis that is neither of clips nor of channels, with size 1."""
        shape = self.shape
        inner = [axis for axis in range(len(shape)) if axis or len(shape) == 1]
        if len(shape) == 2 and shape[1] == 1:
            inner = [0]
        elif len(shape) > 1 and shape[0] not in (None, 1):
            inner = []  # several clips, channels or bands at once
        long = [axis for axis in inner if shape[axis] != 1]
        if len(shape) > 3 or len(long) != 1:
            raise ValueError(
                f"{self.name} takes {self.session.get_inputs()[0].shape}; wanted one "
                "waveform: (n,), (batch, n), (batch, 1, n) or (batch, n, 1), where "
                "batch is 1 or free, and n a number or free. It may take a view, such "
                f"as a mel spectrogram. {ADAPTER} {self.reason}"
            )
        return long[0]


class OnnxNetwork(SegmentNetwork):
    """Outputs of a graph, averaged over all axes but the last, side by side.

    A graph that takes a fixed number of samples sees segments of a clip; a shorter clip
    is repeated until it fills one. Other graphs see the whole clip.
    """

    kind, layout = "onnx", "ONNX graph"

    def __init__(
        self, network: OnnxGraph, *, device: str, sample_rate: float, **options: Any
    ) -> None:
        self.is_free = network.n_samples is None
        n_samples = network.n_samples or int(sample_rate)  # a frame of one second
        if n_samples < SHORTEST * sample_rate:
            raise ValueError(
                f"{network.name} takes {n_samples} numbers at once, which is less than "
                f"{SHORTEST} s at {sample_rate:g} Hz: bands of a view, or frames? "
                f"{ADAPTER}"
            )
        self._check_options(network, **options)
        super().__init__(
            network,
            device="cpu",
            sample_rate=sample_rate,
            n_samples=n_samples,
            **options,
        )
        silence = np.zeros(n_samples, np.float32)
        what = f"{network.name}: is model_sr={sample_rate:g} its rate?"
        self.n_features = (
            size_of(self._features_of, sample_rate, what)
            if self.is_free
            else len(self._features_of(silence))
        )

    def _check_options(
        self,
        network: OnnxGraph,
        *,
        output: str,
        n_segments: int | None,
        layers: Any,
        **_: Any,
    ) -> None:
        if output == "tags":
            raise ValueError(
                f"output='tags' is not known of {network.name}, an ONNX graph. Its "
                f"outputs are {list(network.hidden_layers)}: name one of them in "
                "layers=."
            )
        if self.is_free and n_segments is not None:
            raise ValueError(
                f"n_segments={n_segments} is for networks that see segments; "
                f"{network.name} takes clips of any length. Leave n_segments=None."
            )
        if layers is None and len(network.hidden_layers) > 1:
            raise ValueError(
                f"{network.name} has the outputs {list(network.hidden_layers)}: name "
                "those that are the embedding in layers=, such as "
                f"layers=({network.hidden_layers[0]!r},)."
            )

    def best_layers(self, network: Any, layers: Any) -> Sequence[int | str]:
        """The outputs that were asked for, or the only one."""
        return (-1,) if layers is None else layers

    def embed(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Mean over segments of every clip, or the whole clip at once."""
        if not self.is_free:
            return super().embed(clips)
        segments = [(clip[None], 0, len(clip)) for clip in clips]
        return self._features(segments, cut)

    def _shape_of(self, length: int) -> Any:
        return length if self.is_free else self.n_samples

    def _filled(self, segment: np.ndarray, shape: Any) -> np.ndarray:
        return cut(segment, 0, shape)

    def _compute(self, x: Tensor, shape: Any) -> Tensor:
        rows = [self._features_of(segment) for segment in x[:, 0].numpy()]
        n = getattr(self, "n_features", None)
        for row in rows:
            if len(row) != n:
                raise ValueError(
                    f"{self.network.name} gives {len(row)} numbers for {shape} samples "
                    f"and {n} for silence: its last axis is time, not features. "
                    f"{ADAPTER}"
                )
        return torch.from_numpy(np.stack(rows))

    def _features_of(self, segment: np.ndarray) -> np.ndarray:
        found = self.network.run(segment, self.layers)
        means = [
            np.asarray(a, np.float32).reshape(-1, a.shape[-1] if a.ndim else 1).mean(0)
            for a in found
        ]
        return np.concatenate(means)


def _session(content: bytes, name: str, reason: str) -> Any:
    runtime: Any = import_optional(
        "onnxruntime", extra="onnx", purpose=f"{name}, which is no SampleCNN,"
    )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only
    try:
        return runtime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # of ONNX Runtime, which has classes of its own
        raise ValueError(
            f"{name} is ONNX, but neither a SampleCNN nor a graph that ONNX Runtime "
            f"takes. Weights that lie in a second file are not read: export all to one "
            f"file. ONNX Runtime: {error} As weights: {reason}"
        ) from error
