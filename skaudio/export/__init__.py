"""Models that leave Python: ONNX files, from waveforms to probabilities."""

from skaudio.export._loader import OnnxClassifier, OnnxEmbedder
from skaudio.export._to_onnx import check_exportable, to_onnx

__all__ = ["OnnxClassifier", "OnnxEmbedder", "check_exportable", "to_onnx"]
