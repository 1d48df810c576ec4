"""Labels over time: recordings of any length cut into labelled segments."""

from skaudio.segmentation._frame_segmenter import FrameSegmenter
from skaudio.segmentation._segment_stream import SegmentStream
from skaudio.segmentation._tables import read_segments, write_segments
from skaudio.segmentation._windows import predict_windows

__all__ = [
    "FrameSegmenter",
    "SegmentStream",
    "predict_windows",
    "read_segments",
    "write_segments",
]
