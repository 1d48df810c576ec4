"""Views that an estimator computes itself, on its device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from skaudio._audio import load_clips
from skaudio._training._data import Geometry
from skaudio._training._input import FrontEnds
from skaudio._utils._container import Views
from skaudio._utils._validation import check_clips
from skaudio.views._base import LOADING, ViewSource, compute_views
from skaudio.views._view_scaler import ViewScaler


class OwnViews:
    """From clips to views, for evaluation at once and for training on demand.

    Parameters
    ----------
    views : ViewSource
        What is to be computed; it is copied.
    device : str
        Where to compute.
    """

    def __init__(self, views: ViewSource, device: str) -> None:
        self.source = views
        self.device = device
        self.views = {name: clone(v) for name, v in views._named_views().items()}
        for view in self.views.values():
            if "device" in view.get_params():
                view.set_params(device=device)
        self.first = next(iter(self.views.values()))
        self.sr = float(self.first.sr)

    def load(self, estimator: Any, X: Any, *, reset: bool) -> list[np.ndarray]:
        """Check clips and return their waveforms at the rate of the views."""
        allow_nan = self.first.on_error != "raise"
        clips = check_clips(estimator, X, reset=reset, allow_nan=allow_nan)
        options = {name: getattr(self.first, name) for name in LOADING}
        n_jobs, verbose = self.source.n_jobs, self.source.verbose
        waveforms, errors = load_clips(clips, n_jobs=n_jobs, verbose=verbose, **options)
        if errors != getattr(estimator, "errors_", []):
            estimator.errors_ = errors
        return list(waveforms)

    def compute(self, waveforms: list[np.ndarray]) -> Views:
        """Views of whole clips."""
        arrays = compute_views(self, list(self.views.values()), waveforms, None, 0)
        rates = {name: view.rate for name, view in self.views.items()}
        return Views(dict(zip(self.views, arrays, strict=True)), rates)

    def front_ends(
        self, scaler: ViewScaler, n_steps: dict[str, int], dtype: str
    ) -> tuple[FrontEnds, Geometry]:
        """Modules for training, and what segments they need."""
        hops = {name: round(self.sr / view.rate) for name, view in self.views.items()}
        modules = {
            name: (view._front_end(dtype, self.device), hops[name])
            for name, view in self.views.items()
        }
        reaches = [int(m.reach) for m, _ in modules.values() if m is not None]
        n_samples = max(n_steps[name] * hop for name, hop in hops.items())
        geometry = Geometry(self.sr, max(reaches, default=0), n_samples)
        moments = [
            {
                name: torch.as_tensor(array, dtype=getattr(torch, dtype))[:, None]
                for name, array in moment.items()
            }
            for moment in (scaler.mean_, scaler.scale_)
        ]
        return FrontEnds(modules, n_steps, geometry, *moments).to(self.device), geometry
