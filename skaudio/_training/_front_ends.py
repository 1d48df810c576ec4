"""Shim until the merge."""
# ruff: noqa: F401

from skaudio._training._datasets import Geometry, Sound, WaveformDataset
from skaudio._training._input import FrontEnds, Limit, TrainingInput
from skaudio._training._views import OwnViews
