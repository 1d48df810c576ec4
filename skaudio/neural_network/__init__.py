"""Neural classifiers of clips."""

from skaudio.neural_network._crnn import CRNNClassifier
from skaudio.neural_network._multiview import MultiViewBlendingClassifier

__all__ = ["CRNNClassifier", "MultiViewBlendingClassifier"]
