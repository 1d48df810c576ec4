"""Neural classifiers of clips."""

from skaudio._training._augmentation import Augmentation
from skaudio._training._ladder import PlateauLadder
from skaudio.neural_network._blending import Blending
from skaudio.neural_network._crnn import CRNNClassifier
from skaudio.neural_network._frame_level import FrameLevelCNNClassifier
from skaudio.neural_network._multiview import MultiViewBlendingClassifier
from skaudio.neural_network._samplecnn import SampleCNNClassifier

__all__ = [
    "Augmentation",
    "Blending",
    "CRNNClassifier",
    "FrameLevelCNNClassifier",
    "MultiViewBlendingClassifier",
    "PlateauLadder",
    "SampleCNNClassifier",
]
