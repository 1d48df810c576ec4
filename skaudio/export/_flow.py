"""What flows from step to step of a model: sound, views, tables, probabilities."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sound:
    """Waveforms (batch, n_samples), a value of the graph; ``sr`` once it is known.

    ``is_fixed`` if all have the same length, whatever came.
    """

    value: str = ""
    sr: float | None = None
    is_fixed: bool = False
    kind = "sound"


@dataclass(frozen=True)
class ViewValues:
    """Views (batch, n_bins, n_frames) of sound, by name."""

    sr: float | None = None
    values: dict[str, str] = field(default_factory=dict)
    n_bins: dict[str, int] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    is_named: bool = True  # `Views`, not an array
    kind = "views"

    @property
    def names(self) -> list[str]:
        """Names of the views."""
        return list(self.values)


@dataclass(frozen=True)
class Table:
    """A row of features per clip."""

    sr: float | None = None
    value: str = ""
    n_features: int = 0
    kind = "a table of features"


@dataclass(frozen=True)
class Probabilities:
    """A row of probabilities per clip, in the order of the classes."""

    sr: float | None = None
    value: str = ""
    classes: Any = None
    has_tags: bool = False
    kind = "probabilities"

    @property
    def n_features(self) -> int:
        """How many there are."""
        return len(np.asarray(self.classes))


Flow = Sound | ViewValues | Table | Probabilities
