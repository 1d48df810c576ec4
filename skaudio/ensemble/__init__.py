"""Classifiers built from other classifiers: over frames and over views."""

from skaudio.ensemble._frame_classifier import FrameClassifier
from skaudio.ensemble._late_fusion import LateFusionClassifier

__all__ = ["FrameClassifier", "LateFusionClassifier"]
