"""Look inside fitted estimators."""

from skaudio.inspection._activation_maximization import activation_maximization
from skaudio.inspection._auralization import Auralization, auralize
from skaudio.inspection._blending_display import BlendingDisplay
from skaudio.inspection._deconvolution import deconvolve
from skaudio.inspection._deconvolution_display import DeconvolutionDisplay
from skaudio.inspection._embedding_display import EmbeddingDisplay
from skaudio.inspection._filter_spectrum_display import FilterSpectrumDisplay
from skaudio.inspection._players import PlayerTable
from skaudio.inspection._reconstruction_display import ReconstructionDisplay
from skaudio.inspection._segmentation_display import SegmentationDisplay

__all__ = [
    "Auralization",
    "BlendingDisplay",
    "DeconvolutionDisplay",
    "EmbeddingDisplay",
    "FilterSpectrumDisplay",
    "PlayerTable",
    "ReconstructionDisplay",
    "SegmentationDisplay",
    "activation_maximization",
    "auralize",
    "deconvolve",
]
