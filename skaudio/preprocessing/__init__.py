"""Steps before and after views: loading, scaling, cleaning, summarising."""

from skaudio.preprocessing._frame_statistics import FrameStatistics
from skaudio.preprocessing._loader import AudioLoader
from skaudio.preprocessing._view_scaler import ViewScaler

__all__ = ["AudioLoader", "FrameStatistics", "ViewScaler"]
