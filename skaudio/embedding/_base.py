"""What all networks that embed clips have in common."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

Frames = tuple[np.ndarray, np.ndarray]  # (n_features, n_frames), seconds (n_frames,)


class Network(metaclass=ABCMeta):
    """A pretrained network with its settings, ready to embed waveforms.

    Attributes
    ----------
    kind : str
        Family of weights that it is for.
    has_layers : bool
        Whether it takes ``layers``, ``n_segments`` and ``output``; others have one
        embedding.
    takes_tags : bool
        Whether it embeds rows of an indicator matrix, not sound.
    sample_rate : float
        Rate in Hz of the waveforms that it takes.
    layout : str
        Which form of weights it has.
    n_features : int
        Length of an embedding.
    fingerprint : str or None
        Digest of everything that changes values; None if there is none.
    """

    kind: ClassVar[str]
    has_layers: ClassVar[bool] = False
    takes_tags: ClassVar[bool] = False

    sample_rate: float
    layout: str
    n_features: int
    fingerprint: str | None

    def warn_of_no_cache(self) -> None:  # noqa: B027
        """Say, once, why embeddings are not remembered, where there is no digest."""

    @abstractmethod
    def embed(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One embedding (n_features,) per waveform (n_samples_i,), float32."""

    @abstractmethod
    def embed_frames(
        self, clips: Sequence[np.ndarray], hop: float | None
    ) -> list[Frames]:
        """Embeddings (n_features, n_frames_i) over time and where they lie."""
