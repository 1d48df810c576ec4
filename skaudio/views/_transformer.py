"""A transformer that a user wrote, as one view of a union."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from skaudio._utils._constraints import CACHING, LOADING
from skaudio._utils._sklearn import HasMethods
from skaudio.cache._content import files_of
from skaudio.views._base import BaseView


class TransformerView(BaseView):
    """What a transformer makes of waveforms, loaded as the views beside it are.

    `ViewUnion` makes it of a transformer in its list that is no view.

    Parameters
    ----------
    transformer : transformer
        Its ``transform`` takes a list of one waveform and gives one array (n_bins,
        n_frames); ``rate`` are its frames per second, ``sr`` the rate it works at.
    sr : float, default=22050
        Sampling rate in Hz. Files are resampled to it; arrays are taken to be at it.
    mono, trim_silence, duration, on_error, cache, cache_by, n_jobs, verbose
        As of the other views.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "transformer": [HasMethods(["transform"])],
        **BaseView._parameter_constraints,
    }
    has_front_end = False

    def __init__(
        self,
        transformer: Any,
        *,
        sr: float = 22050,
        mono: str = "average",
        trim_silence: bool = False,
        duration: float | None = None,
        on_error: str = "raise",
        cache: bool | str | os.PathLike[str] = False,
        cache_by: str = "stat",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.transformer = transformer
        self.sr = sr
        self.mono = mono
        self.trim_silence = trim_silence
        self.duration = duration
        self.on_error = on_error
        self.cache = cache
        self.cache_by = cache_by
        self.n_jobs = n_jobs
        self.verbose = verbose

    @classmethod
    def beside(cls, transformer: Any, others: Sequence[BaseView]) -> TransformerView:
        """The view that a transformer is, loaded as the first of the others is."""
        names = (*LOADING, *CACHING, "n_jobs", "verbose")
        like = others[0] if others else None
        options = {
            name: getattr(source, name)
            for source in (like, transformer)
            for name in names
            if source is not None and hasattr(source, name)
        }
        if "sr" not in options:
            raise ValueError(
                f"{type(transformer).__name__} has no sr, the rate in Hz at which it "
                "takes sound, and there is no view beside it that has one. Give it an "
                "attribute sr."
            )
        return cls(transformer, **options)

    @property
    def rate(self) -> float:
        """Frames per second."""
        return float(self.transformer.rate)

    @property
    def frequencies(self) -> np.ndarray | None:
        """Centre frequencies of bins in Hz, if the transformer says them."""
        found = getattr(self.transformer, "frequencies", None)
        return None if found is None else np.asarray(found, dtype=float)

    @property
    def kind(self) -> str:
        """Name of the transformer's class in lower case."""
        return type(self.transformer).__name__.lower()

    def _check_computable(self) -> None:
        """Nothing is built before the first clip."""

    def _front_end(self, dtype: str, device: str) -> Any:
        raise TypeError(
            f"{type(self.transformer).__name__} is a transformer and no module of "
            "torch, which this needs. Take the view by itself, computed before: in a "
            "Pipeline in front of the network."
        )

    def _by_itself(self, clips: list[np.ndarray]) -> list[np.ndarray]:
        return [self._of_clip(clip) for clip in clips]

    def _of_clip(self, clip: np.ndarray) -> np.ndarray:
        failed = bool(np.isnan(clip).all())  # could not be loaded
        found = self.transformer.transform([np.zeros_like(clip) if failed else clip])
        view = np.asarray(found[0])
        if view.ndim != 2 or view.dtype.kind not in "fiub" or len(found) != 1:
            raise ValueError(
                f"{type(self.transformer).__name__}.transform must make one array "
                f"(n_bins, n_frames) of each waveform; of one with {len(clip)} samples "
                f"it made {len(found)} of shape {view.shape} and dtype {view.dtype}."
            )
        view = view.astype(clip.dtype, copy=False)
        return np.full_like(view, np.nan) if failed else view

    def _store(self) -> str | None:
        store = super()._store()
        if store is None:
            return None
        return "-".join([store, *files_of(type(self.transformer))])
