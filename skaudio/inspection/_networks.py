"""Networks inside of models, clips as they see them, and the sound of the clips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn

from skaudio._audio._report import Report
from skaudio._training._network_of import leaves_of, network_of
from skaudio._utils._container import Views
from skaudio._utils._validation import check_clips, check_views
from skaudio.nn.deconvolution import Recording, recorded
from skaudio.nn.devices import available_device
from skaudio.nn.layers import layer_names
from skaudio.views._base import BaseView, ViewSource, load_rows

Clip = dict[str, np.ndarray]  # (n_bins, n_frames) by name of the view


@dataclass(frozen=True)
class Model:
    """A network, and what X goes through before.

    Parameters
    ----------
    module : Module
        The network.
    steps : list of transformer
        Of the pipelines around it and in these, from the first on.
    estimator : SegmentEstimator or None
        What holds it; None for a module by itself.
    """

    module: nn.Module
    steps: list[Any]
    estimator: Any

    @classmethod
    def of(cls, model: Any) -> Model:
        """Find the network in a fitted estimator, or take a torch module."""
        if isinstance(model, nn.Module):
            return cls(model, [], None)
        steps, estimator = network_of(model)
        return cls(estimator.net_.module_, leaves_of(steps), estimator)

    def names_of(self, layers: list[int | str]) -> list[str]:
        """Names of layers that are given by number or name."""
        if not hasattr(self.module, "hidden_layers"):
            known = dict(self.module.named_modules())
            unknown = [layer for layer in layers if layer not in known]
            if unknown:
                names = [name for name in known if name]
                raise ValueError(
                    f"layer={unknown[0]!r} is not a name in the network, which has no "
                    f"hidden_layers to count. It has {names}."
                )
            return [str(layer) for layer in layers]
        return layer_names(self.module, layers, "layer")

    # -- clips ----------------------------------------------------------------------
    def clips(self, X: Any) -> Iterator[Clip]:
        """Every clip, whole, as the network takes it."""
        if self.estimator is None:
            yield from _clips_of(check_views(_Network(), X, reset=True))
            return
        for step in self.steps:
            X = step.transform(X)
        for data in self.estimator._datasets(X):
            for row in range(len(data)):
                yield {name: clips[row] for name, clips in data.clips.items()}

    def tensors(self, clip: Clip) -> Any:
        """A clip as the module takes it."""
        weights = [*self.module.parameters(), *self.module.buffers()]
        floats = [weight for weight in weights if weight.is_floating_point()]
        views = {}
        for name, view in clip.items():
            x = torch.from_numpy(np.array(view, order="C"))[None]  # to be written to
            views[name] = x.to(floats[0]) if floats else x
        if self.estimator is not None or len(views) > 1:
            return views
        (x,) = views.values()
        known: tuple[str, ...] = getattr(self.module, "view_names", ())
        return {known[0]: x} if known else x


class _Network(BaseEstimator):
    """Named in messages about what is passed with a module."""


def _clips_of(views: Views) -> Iterator[Clip]:
    for row in range(len(views)):
        yield {name: views.clips(name)[row] for name in views.names}


class Sounding:
    """Clips as a network sees them, each with its sound.

    Attributes
    ----------
    views : mapping of str to view
        What computes the network's views, by name.
    waveforms : list of ndarray
        Sound of each clip, as the views get it.
    """

    def __init__(
        self, views: Mapping[str, BaseView], waveforms: list[np.ndarray], clips: Any
    ) -> None:
        self.views, self.waveforms, self._clips = views, waveforms, clips

    def __iter__(self) -> Iterator[tuple[Clip, np.ndarray]]:
        return zip(self._clips, self.waveforms, strict=True)

    @classmethod
    def of(cls, model: Model, X: Any) -> Sounding:
        """Compute views of sound, and keep the sound."""
        estimator, steps = model.estimator, model.steps
        own = None if estimator is None else estimator._own_views(available_device)
        if estimator is not None and own is not None:
            for step in steps:
                X = step.transform(X)
            computed, sound = own.read(estimator, X, reset=False)
            clips = _clips_of(estimator._standardised(computed))
            return cls(own.views, sound.waveforms, clips)
        places = [i for i, step in enumerate(steps) if isinstance(step, ViewSource)]
        if not places:
            raise ValueError(
                "auralize needs sound, but the network takes views, and nothing here "
                "computes them. Pass a Pipeline with a view such as STFTView in it, or "
                "a classifier with views=."
            )
        source = steps[places[-1]]
        for step in steps[: places[-1]]:
            X = step.transform(X)
        # a single view is an array, which has no name
        views = (
            {"view": source} if isinstance(source, BaseView) else source._named_views()
        )
        waveforms = _waveforms(next(iter(views.values())), X)
        inner = Model(model.module, steps[places[-1] :], estimator)
        return cls(views, waveforms, inner.clips(waveforms))


def _waveforms(view: BaseView, X: Any) -> list[np.ndarray]:
    """Clips as a view gets them."""
    report = Report()
    clips = check_clips(view, X, reset=False)
    parts = load_rows(view, clips, report, n_jobs=1, verbose=0)
    return [waveform for part in parts for waveform in part.waveforms]


# ------------------------------------------------------------------ layers and maps
def layers_of(model: Model, layer: Any) -> list[str]:
    """Names of layers; none where the highest with maps is to be found."""
    if layer is None:
        return []
    return model.names_of(list(layer) if are_several(layer) else [layer])


def are_several(layer: Any) -> bool:
    """Whether layers are a list of some kind, not a number or name."""
    return isinstance(layer, Iterable) and not isinstance(layer, str)


def highest(model: Model, clip: Clip, bias: bool) -> str:
    """Name of the highest layer with maps."""
    able = _with_maps(model, clip, bias)
    if not able:
        raise TypeError(_says(model, able))
    return able[-1]


def run(
    model: Model,
    clip: Clip,
    row: int,
    names: list[str],
    *,
    bias: bool,
    stop: bool = True,
) -> Recording:
    """Run a network on a clip, up to some layers or as far as it goes."""
    inputs = model.tensors(clip)
    try:
        recording = recorded(model.module, inputs, names, bias=bias, stop=stop)
    except (RuntimeError, IndexError) as error:
        shapes = [view.shape for view in clip.values()]
        raise ValueError(
            f"The network does not take clip {row}, of shape {shapes[0]}, up to layer "
            f"{names[-1]!r}; clips are not cut or repeated here. Pass clips of about "
            f"the length that it was trained on. torch says: {error}"
        ) from error
    missing = [name for name in names if name not in recording.outputs]
    if len(missing) == len(names) and not stop:
        return run(model, clip, row, names[:1], bias=bias)  # which says why not
    if missing and stop:
        raise ValueError(f"layer={missing[0]!r} is not used by the network.")
    return recording


def record(
    model: Model, clip: Clip, row: int, names: list[str], bias: bool
) -> Recording:
    """Run a network on a clip, if there are maps of all layers."""
    recording = run(model, clip, row, names, bias=bias)
    for name in names:
        try:
            recording.check(name)
        except TypeError as reason:
            raise TypeError(
                f"Maps of layer {name!r} do not go back to the input: {reason}. They "
                "go back through convolutions, normalisation, ReLU, ReLU6, LeakyReLU, "
                "max-pooling and changes of shape. "
                + _says(model, _with_maps(model, clip, bias))
            ) from None
    return recording


def _with_maps(model: Model, clip: Clip, bias: bool) -> list[str]:
    """Layers that have maps."""
    modules = [name for name, _ in model.module.named_modules() if name]
    layers = list(getattr(model.module, "hidden_layers", modules))
    recording = run(model, clip, 0, layers or [""], bias=bias, stop=False)
    able = []
    for layer in layers:
        with suppress(TypeError, KeyError):
            recording.check(layer)
            able.append(layer)
    return able


def _says(model: Model, able: list[str]) -> str:
    network = type(model.estimator or model.module).__name__
    if able:
        return f"Of {network} these have maps: {able}."
    return (
        f"{network} has no layer with maps: it needs one of convolutions, "
        "and nothing below it that maps cannot go back through, such as a spectrogram "
        "that the network computes."
    )


def check_features(feature: Any, n_features: int, layer: str) -> list[int]:
    """Numbers of features that a layer has."""
    what = f"layer {layer!r} has {n_features} feature maps"
    return check_numbers("feature", feature, n_features, what)


def check_numbers(parameter: str, given: Any, n: int, what: str) -> list[int]:
    """Numbers below ``n``, of one or of several, or all of them."""
    if given is None:
        return list(range(n))
    chosen = np.atleast_1d(np.asarray(given))
    whole = chosen.ndim == 1 and chosen.size > 0 and chosen.dtype.kind in "iu"
    if not whole or chosen.min() < 0 or chosen.max() >= n:
        raise ValueError(
            f"{parameter} must be a number from 0 to {n - 1}, or a list of these, as "
            f"{what}; got {given!r}."
        )
    return [int(i) for i in chosen]
