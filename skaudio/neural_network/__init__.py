"""Neural classifiers of clips."""

from skaudio._training._augmentation import Augmentation
from skaudio.neural_network._blending import Blending
from skaudio.neural_network._crnn import CRNNClassifier
from skaudio.neural_network._multiview import MultiViewBlendingClassifier

__all__ = [
    "Augmentation",
    "Blending",
    "CRNNClassifier",
    "MultiViewBlendingClassifier",
]
