"""`SegmentSpec`: rates, bins, length and type of the segments that a network sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from skaudio._segments import to_steps
from skaudio._training._datasets import SegmentDataset
from skaudio._training._rates import check_rates, known_rates, segment_seconds
from skaudio._utils._types import ViewsLike


@dataclass(frozen=True)
class SegmentSpec:
    """Segments of clips, as a network was built for them.

    Parameters
    ----------
    rates : dict of str to float
        Steps per second of every view; 1 where they are unknown.
    n_bins : dict of str to int
        Bins of every view.
    seconds : float
        Length of a segment.
    dtype : str
        Type of segments and weights, "float32" or "float64".
    seed : int
        What everything random in the training is derived from.
    mixed_precision : bool or None, default=None
        Whether the network computes in bfloat16; None: as the parameter of the
        estimator says, in files of skaudio 0.1.
    """

    rates: dict[str, float]
    n_bins: dict[str, int]
    seconds: float
    dtype: str
    seed: int
    mixed_precision: bool | None = None

    @classmethod
    def of(cls, views: ViewsLike, length: int | float | None, seed: int) -> Self:
        """Describe segments of ``length`` steps or seconds; None: the median clip."""
        rates = known_rates(views)
        return cls(
            rates=rates,
            n_bins=dict(views.n_bins),
            seconds=segment_seconds(length, views, rates),
            dtype=dtype_of(views),
            seed=seed,
        )

    def module_arguments(self, module: Any) -> dict[str, Any]:
        """What a network of a class is built from, as parameters of skorch."""
        views = {name: (self.n_bins[name], rate) for name, rate in self.rates.items()}
        arguments: dict[str, Any] = {"module__views": views}
        if getattr(module, "fixed_length", False):
            arguments["module__n_steps"] = self.n_steps
        return arguments

    @property
    def n_steps(self) -> dict[str, int]:
        """Steps of a segment of every view."""
        return {k: to_steps(self.seconds, rate) for k, rate in self.rates.items()}

    def check(self, estimator: Any, views: ViewsLike) -> None:
        """Refuse views of other rates."""
        check_rates(estimator, views, self.rates)

    def dataset(
        self, views: ViewsLike, targets: Mapping[str, np.ndarray] | None = None
    ) -> SegmentDataset:
        """Clips to cut such segments from."""
        return SegmentDataset(
            views, self.rates, self.seconds, dict(targets or {}), self.dtype
        )

    def state(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return asdict(self)


def dtype_of(views: ViewsLike) -> str:
    """Type that holds the values of all views."""
    return str(np.result_type(*(views.clips(name)[0] for name in views.names)))
