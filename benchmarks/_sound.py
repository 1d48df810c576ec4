"""Sound of many files, decoded once in every process that needs it.

Here, as a worker can import this, and not a script that is run.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from skaudio.preprocessing import AudioLoader


@lru_cache(maxsize=1)
def waveforms(paths: tuple[str, ...], sr: int) -> list[np.ndarray]:
    """Waveforms of files at a rate."""
    return list(AudioLoader(sr=sr).transform(list(paths)))
