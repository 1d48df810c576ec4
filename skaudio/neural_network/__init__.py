"""Neural classifiers of clips, and the options that they take."""

from skaudio._training._options._augmentation import Augmentation
from skaudio._training._options._blending import Blending
from skaudio._training._options._cosine import CosineRestarts
from skaudio._training._options._optimizer import Optimizer
from skaudio._training._options._plateau import PlateauSchedule
from skaudio._training._options._validation import Validation
from skaudio._training._options._warmup import WarmupDecay
from skaudio.neural_network._coala_tag import CoalaTagClassifier
from skaudio.neural_network._crnn import CRNNClassifier
from skaudio.neural_network._distilled import DistilledClassifier
from skaudio.neural_network._fine_tuning import FineTunedClassifier
from skaudio.neural_network._frame_level import FrameLevelCNNClassifier
from skaudio.neural_network._mobilenet import MobileNetClassifier
from skaudio.neural_network._multiview import MultiViewBlendingClassifier
from skaudio.neural_network._own import NetworkClassifier
from skaudio.neural_network._pretrained import PretrainedClassifier
from skaudio.neural_network._samplecnn import SampleCNNClassifier
from skaudio.neural_network._selfnormalizing import SelfNormalizingClassifier
from skaudio.neural_network._softmax_autoencoder import SoftmaxAutoencoderClassifier
from skaudio.neural_network._spectrogram_cnn import SpectrogramCNNClassifier
from skaudio.neural_network._swishnet import SwishNetClassifier
from skaudio.neural_network._two_layer import TwoLayerClassifier

__all__ = [
    "Augmentation",
    "Blending",
    "CRNNClassifier",
    "CoalaTagClassifier",
    "CosineRestarts",
    "DistilledClassifier",
    "FineTunedClassifier",
    "FrameLevelCNNClassifier",
    "MobileNetClassifier",
    "MultiViewBlendingClassifier",
    "NetworkClassifier",
    "Optimizer",
    "PlateauSchedule",
    "PretrainedClassifier",
    "SampleCNNClassifier",
    "SelfNormalizingClassifier",
    "SoftmaxAutoencoderClassifier",
    "SpectrogramCNNClassifier",
    "SwishNetClassifier",
    "TwoLayerClassifier",
    "Validation",
    "WarmupDecay",
]
