"""Views that an estimator computes itself, on its device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from skaudio._audio._load import load_clips
from skaudio._training._datasets import Geometry, Sound
from skaudio._training._input import FrontEnds, Limit
from skaudio._utils._constraints import LOADING
from skaudio._utils._container import Views
from skaudio._utils._output import note_errors
from skaudio._utils._validation import check_clips
from skaudio.preprocessing._view_scaler import ViewScaler
from skaudio.views._base import BaseView, ViewSource, compute_views


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
        note_errors(estimator, errors)
        return list(waveforms)

    def compute(self, waveforms: list[np.ndarray]) -> tuple[Views, Sound]:
        """Views of whole clips, and what training needs of them."""
        arrays = compute_views(self, list(self.views.values()), waveforms, None, 0)
        rates = {name: view.rate for name, view in self.views.items()}
        views = Views(dict(zip(self.views, arrays, strict=True)), rates)
        maxima = [[clip.max() for clip in views.clips(name)] for name in views.names]
        return views, Sound(waveforms, np.array(maxima).T)

    def front_ends(
        self, scaler: ViewScaler | None, n_steps: dict[str, int], dtype: str
    ) -> tuple[FrontEnds, Geometry]:
        """Modules for training, and what segments they need."""
        hops = {name: round(self.sr / view.rate) for name, view in self.views.items()}
        modules, limits = {}, []
        for name, view in self.views.items():
            limits.append(_limit(view))
            unlimited = view if limits[-1] is None else clone(view)
            if unlimited is not view:
                unlimited.set_params(top_db=None)
            modules[name] = (unlimited._front_end(dtype, self.device), hops[name])
        reaches = [int(m.reach) for m, _ in modules.values() if m is not None]
        n_samples = max(n_steps[name] * hop for name, hop in hops.items())
        geometry = Geometry(self.sr, max(reaches, default=0), n_samples)
        moments = [
            {
                name: torch.as_tensor(array, dtype=getattr(torch, dtype))[:, None]
                for name, array in moment.items()
            }
            for moment in self._moments(scaler)
        ]
        front_ends = FrontEnds(modules, limits, n_steps, geometry, *moments)
        return front_ends.to(self.device), geometry

    def _moments(self, scaler: ViewScaler | None) -> tuple[Any, Any]:
        if scaler is None:
            return {name: [0.0] for name in self.views}, {n: [1.0] for n in self.views}
        return scaler.mean_, scaler.scale_


def _limit(view: BaseView) -> Limit | None:
    """What a view does below its maximum, if that is the last thing it does."""
    top_db, scale = getattr(view, "top_db", None), getattr(view, "scale", "linear")
    if top_db is None or scale in ("linear", "log1p"):
        return None
    unit = 1.0 if scale == "db" else view.get_params()["power"] * math.log(10) / 20
    return Limit(unit, top_db)
