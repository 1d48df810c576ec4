"""What all networks that embed clips have in common, and where frames lie."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence

import numpy as np

Frames = tuple[np.ndarray, np.ndarray]  # (n_features, n_frames), seconds (n_frames,)


class Network(metaclass=ABCMeta):
    """A pretrained network with its settings, ready to embed waveforms.

    Attributes
    ----------
    sample_rate : float
        Rate in Hz of the waveforms that it takes.
    layout : str
        Which form of weights it has.
    n_features : int
        Length of an embedding.
    fingerprint : str or None
        Digest of everything that changes values; None if there is none.
    """

    sample_rate: float
    layout: str
    n_features: int
    fingerprint: str | None

    @abstractmethod
    def embed(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One embedding (n_features,) per waveform (n_samples_i,), float32."""

    @abstractmethod
    def embed_frames(
        self, clips: Sequence[np.ndarray], hop: float | None
    ) -> list[Frames]:
        """Embeddings (n_features, n_frames_i) over time and where they lie."""


def frame_times(duration: float, hop: float) -> np.ndarray:
    """Centres in seconds of frames that tile a clip from its start.

    The first lies half a hop after the start, the last no further than a hop from the
    end, none behind it. A clip shorter than half a hop has one frame, at its middle.
    """
    n_frames = max(1, int(np.floor(duration / hop + 0.5)))
    if n_frames == 1:
        return np.array([min(hop, duration) / 2])
    times: np.ndarray = (np.arange(n_frames) + 0.5) * hop
    return times


def centred_window(clip: np.ndarray, first: int, n_steps: int) -> np.ndarray:
    """Steps ``first`` to ``first + n_steps`` of a clip (..., n_available).

    What lies before the clip or behind it is zero.
    """
    before = min(n_steps, max(0, -first))
    inside = clip[..., max(0, first) : max(0, first + n_steps)]
    after = n_steps - before - inside.shape[-1]
    return np.pad(inside, [(0, 0)] * (clip.ndim - 1) + [(before, after)])
