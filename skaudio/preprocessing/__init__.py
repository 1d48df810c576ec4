"""Steps before and after views: loading, scaling, cleaning, summarising."""

from skaudio.preprocessing._acoustic_descriptors import AcousticDescriptors
from skaudio.preprocessing._cut import cut_clips
from skaudio.preprocessing._energy_patches import EnergyPatches
from skaudio.preprocessing._frame_statistics import FrameStatistics
from skaudio.preprocessing._loader import AudioLoader
from skaudio.preprocessing._log_mmse import LogMMSE
from skaudio.preprocessing._loudness_equalizer import LoudnessEqualizer
from skaudio.preprocessing._patch_scaler import PatchScaler
from skaudio.preprocessing._silence_remover import SilenceRemover
from skaudio.preprocessing._tag_binarizer import TagBinarizer
from skaudio.preprocessing._view_scaler import ViewScaler

__all__ = [
    "AcousticDescriptors",
    "AudioLoader",
    "EnergyPatches",
    "FrameStatistics",
    "LogMMSE",
    "LoudnessEqualizer",
    "PatchScaler",
    "SilenceRemover",
    "TagBinarizer",
    "ViewScaler",
    "cut_clips",
]
