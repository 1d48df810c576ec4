"""Labels over time: recordings of any length cut into labelled segments."""

from skaudio.segmentation._frame_segmenter import FrameSegmenter
from skaudio.segmentation._segment_stream import SegmentStream
from skaudio.segmentation._tables import read_segments, write_segments

__all__ = ["FrameSegmenter", "SegmentStream", "read_segments", "write_segments"]
