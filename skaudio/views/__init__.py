"""Views of sound: transformers from clips to spectrograms, and what holds them."""

from skaudio._utils._container import Views
from skaudio._utils._view_array import ViewArray
from skaudio.views._coala import CoalaView
from skaudio.views._cqt import CQTView
from skaudio.views._gammatone import GammatoneView
from skaudio.views._mean_pool import MeanPoolView
from skaudio.views._mel import MelView
from skaudio.views._mfcc import MFCCView
from skaudio.views._raw import RawView
from skaudio.views._stft import STFTView
from skaudio.views._union import ViewUnion, make_view_union

__all__ = [
    "CQTView",
    "CoalaView",
    "GammatoneView",
    "MFCCView",
    "MeanPoolView",
    "MelView",
    "RawView",
    "STFTView",
    "ViewArray",
    "ViewUnion",
    "Views",
    "make_view_union",
]
