"""Gaussian mixtures, the classical frame-wise baseline."""

from skaudio.mixture._gmm_classifier import GMMClassifier

__all__ = ["GMMClassifier"]
