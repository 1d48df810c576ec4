"""Look inside fitted estimators."""

from skaudio.inspection._activation_maximization import activation_maximization
from skaudio.inspection._auralization import Auralization, auralize
from skaudio.inspection._blending_display import BlendingDisplay
from skaudio.inspection._deconvolution import deconvolve
from skaudio.inspection._deconvolution_display import DeconvolutionDisplay
from skaudio.inspection._embedding_display import EmbeddingDisplay
from skaudio.inspection._feature_correlation import feature_correlation
from skaudio.inspection._feature_correlation_display import (
    FeatureCorrelationDisplay,
)
from skaudio.inspection._filter_spectrum_display import FilterSpectrumDisplay
from skaudio.inspection._kernel_size import effective_kernel_size
from skaudio.inspection._listening_report import ListeningReport
from skaudio.inspection._players import PlayerTable
from skaudio.inspection._reconstruction_display import ReconstructionDisplay
from skaudio.inspection._saliency import saliency
from skaudio.inspection._saliency_display import SaliencyDisplay
from skaudio.inspection._segmentation_display import SegmentationDisplay
from skaudio.inspection._training_display import TrainingDisplay
from skaudio.inspection._view_display import ViewDisplay

__all__ = [
    "Auralization",
    "BlendingDisplay",
    "DeconvolutionDisplay",
    "EmbeddingDisplay",
    "FeatureCorrelationDisplay",
    "FilterSpectrumDisplay",
    "ListeningReport",
    "PlayerTable",
    "ReconstructionDisplay",
    "SaliencyDisplay",
    "SegmentationDisplay",
    "TrainingDisplay",
    "ViewDisplay",
    "activation_maximization",
    "auralize",
    "deconvolve",
    "effective_kernel_size",
    "feature_correlation",
    "saliency",
]
