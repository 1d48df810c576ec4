"""Splits by recording, and thresholds of tags."""

from skaudio.model_selection._split import StratifiedGroupShuffleSplit
from skaudio.model_selection._tag_thresholds import TagThresholdClassifier

__all__ = ["StratifiedGroupShuffleSplit", "TagThresholdClassifier"]
