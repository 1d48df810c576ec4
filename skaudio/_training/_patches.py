"""`PatchEstimator`: networks on patches of 96 bands by 96 frames (COALA)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from skaudio._segments import clip_means
from skaudio._training._callbacks import Start
from skaudio._training._datasets import SegmentDataset
from skaudio._training._estimator import SegmentEstimator
from skaudio._training._fitted_network import FittedNetwork
from skaudio._training._front_ends import Sound
from skaudio._utils._container import Views, stack_or_object
from skaudio._utils._validation import check_sample_weight, check_views
from skaudio.nn.coala_input import N_BANDS, N_FRAMES
from skaudio.nn.devices import available_device, resolve_device
from skaudio.preprocessing._energy_patches import EnergyPatches, continued
from skaudio.preprocessing._patch_scaler import PatchScaler
from skaudio.views._coala import CoalaView

ENERGY, RANDOM = "energy", "random"


class PatchEstimator(SegmentEstimator):
    """Trains on one patch per clip, and embeds patches side by side.

    X is sound, or a mel spectrogram of 96 bands. The scaling of patches is a part of
    the network, which has it before its first layer.
    """

    _standardises = False  # patches are scaled by the network
    augmentation = None
    segment_length = N_FRAMES
    _encoder: ClassVar[str]  # name of the `PatchEncoder` in the network

    patches: str
    views: Any

    @property
    def _source(self) -> Any:
        return CoalaView() if self.views is None else self.views

    def _rate_of_arrays(self) -> float:
        view: Any = getattr(self, "_trained", self)
        rate: float = view._source.sr
        return rate

    # -- fit ------------------------------------------------------------------------
    def _read(
        self,
        X: Any,
        reset: bool,
        network: FittedNetwork | None = None,
        sample_weight: Any = None,
    ) -> tuple[Views, Sound | None]:
        """What is trained on: the patch of most energy, or all that patches lie in."""
        parts, energetic = [], EnergyPatches(n_frames=N_FRAMES)
        for views, _ in self._spectrograms(X, reset):
            kept = views if self.patches == RANDOM and reset else None
            parts.append(energetic.fit_transform(views) if kept is None else kept)
        views = _joined(parts)
        if reset:
            known = None if network is None else network.scaler
            patches = energetic.fit_transform(views)[views.names[0]]
            if sample_weight is not None:
                patches = patches[check_sample_weight(views, sample_weight) > 0]
            self.scaler_ = known or PatchScaler().fit(patches)
        return views, None

    def _start(self, network: FittedNetwork | None) -> Start:
        """The scaling, and weights of a network that is to be trained further."""
        start = super()._start(network) or Start({})
        scaling = {"scale": self.scaler_.scale_, "minimum": self.scaler_.min_}
        values = {f"{self._encoder}.scaling.{k}": v for k, v in scaling.items()}
        return Start({**start.weights, **values}, start.frozen)

    def _spectrograms(
        self, X: Any, reset: bool
    ) -> Iterator[tuple[Views, np.ndarray | None]]:
        """Views of some of the clips, and their seconds if they were sound."""
        if _is_spectrogram(X):
            # a fitted network takes them in any form, and sound as well
            checked = self if reset else self._snapshot()
            parts: Any = iter([(check_views(checked, X, reset=True), None)])
        else:
            own = self._own_views(resolve_device if reset else available_device)
            parts = own.parts(self, X, reset=reset)  # type: ignore[union-attr]
        for views, seconds in parts:
            self._check_bands(views)
            views = views.map(lambda _, clips: _continued(clips))
            yield views if reset else self._as_in_fit(views), seconds

    def _as_in_fit(self, views: Views) -> Views:
        """The view by the name that the network knows; of its rate if it has none."""
        ((known, known_rate),) = self._spec.rates.items()
        ((name, rate),) = views.rates.items()
        return Views({known: views[name]}, {known: rate or known_rate})

    def _check_bands(self, views: Views) -> None:
        bins = list(views.n_bins.values())
        if bins != [N_BANDS]:
            has = (
                f"{bins[0]} features" if len(bins) == 1 else f"the bins {views.n_bins}"
            )
            raise ValueError(
                f"X has {has}, but {type(self).__name__} takes one mel spectrogram of "
                f"{N_BANDS} bands, or sound. Pass that, or CoalaView() or "
                f"MelView(n_mels={N_BANDS}) of it."
            )

    # -- outputs --------------------------------------------------------------------
    def _cover(
        self, data: SegmentDataset, n_segments: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Patches side by side, as COALA's authors cover a clip."""
        return (
            data.side_by_side()
            if n_segments is None
            else super()._cover(data, n_segments)
        )

    def _datasets(self, X: Any) -> Iterator[SegmentDataset]:
        """Spectrograms of clips, which may be longer than their sound."""
        for views, seconds in self._spectrograms(X, reset=False):
            data = self._dataset(views)
            if seconds is not None:
                data.durations = seconds
            yield data

    def _embedded(self, X: Any) -> np.ndarray:
        """Embeddings (n_clips, n_features), means over patches side by side."""
        means = []
        for data in self._datasets(X):
            rows, starts = self._cover(data, None)
            values = self._of_encoder(data, rows, starts)
            means.append(clip_means(values, rows, len(data)))
        return self._checked_rows(np.concatenate(means), X)

    def _embedded_frames(
        self, X: Any, hop: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings of patches over time, and their centres in seconds."""
        if hop is not None and not hop > 0:
            raise ValueError(f"hop must be a number of seconds above 0; got {hop!r}.")
        features, times = [], []
        for data in self._datasets(X):
            rows, starts, of_clips = data.segments_every(hop or self._spec.seconds)
            values = self._of_encoder(data, rows, starts)
            ends = np.cumsum([len(of_clip) for of_clip in of_clips])
            features += [part.T for part in np.split(values, ends[:-1])]
            times += of_clips
        for row in self._failed(X):
            features[row][:] = np.nan
        self._checked_rows(np.array([clip.mean() for clip in features]), X)
        return stack_or_object(features), stack_or_object(times)

    def _of_encoder(
        self, data: SegmentDataset, rows: np.ndarray, starts: np.ndarray
    ) -> np.ndarray:
        return self.net_.features(data, rows, starts, [self._encoder], "mean")

    def _failed(self, X: Any) -> list[int]:
        """Rows of clips that could not be loaded just now."""
        errors = [] if _is_spectrogram(X) else getattr(self, "errors_", [])
        return [error["row"] for error in errors]

    def _checked_rows(self, values: np.ndarray, X: Any) -> np.ndarray:
        """Refuse rows that are no finite numbers, but of clips that failed: NaN."""
        finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        failed = self._failed(X)
        values[failed], finite[failed] = np.nan, True
        if not finite.all():
            raise ValueError(
                f"The embedding of clip {int(np.argmin(finite))} is not a finite "
                "number. Are its values of the size of those in fit? If so, the "
                "network is broken: train it again."
            )
        return values


def _is_spectrogram(X: Any) -> bool:
    """Whether X has bins already; a single bin are samples."""
    if isinstance(X, Views):
        return max(X.n_bins.values()) > 1
    if getattr(X, "ndim", 0) == 3:
        return int(X.shape[1]) > 1
    rows = X if isinstance(X, (list, tuple)) or getattr(X, "ndim", 0) == 1 else ()
    shapes: list[Any] = [getattr(row, "shape", ()) for row in rows]
    # two channels of sound are also two rows
    return bool(shapes) and all(len(s) == 2 and s[0] == N_BANDS for s in shapes)


def _continued(clips: np.ndarray) -> np.ndarray:
    if all(clip.shape[1] >= N_FRAMES for clip in clips):
        return clips
    return stack_or_object([continued(clip, N_FRAMES) for clip in clips])


def _joined(parts: list[Views]) -> Views:
    """All clips of several views of the same name and rate."""
    (name,), rates = parts[0].names, parts[0].rates
    if len(parts) == 1:
        return parts[0]
    clips = [clip for part in parts for clip in part.clips(name)]
    return Views({name: stack_or_object(clips)}, dict(rates))
