"""What in a clip a network decides by: gradients, and gradient-weighted maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skaudio._segments import cut, span
from skaudio._training._datasets import SegmentDataset
from skaudio._utils._container import Views, stack_or_object
from skaudio.inspection._decision import Decision, Tensors, layers_by_view
from skaudio.inspection._networks import Model, Sounding
from skaudio.nn.devices import available_device
from skaudio.preprocessing._view_scaler import ViewScaler

METHODS = GRADIENT, GRAD_CAM = "gradient", "grad-cam"
OF = VIEW, WAVEFORM = "view", "waveform"

Map = dict[str, np.ndarray]  # (n_bins, n_frames) by name of the view


def saliency(
    estimator: Any,
    X: Any,
    *,
    target: Any = None,
    method: str = GRADIENT,
    of: str = VIEW,
    layer: int | str | list[int | str] | None = None,
) -> Any:
    r"""Find what in each clip a network's decision depends on.

    A gradient says how much the score of a class rises with every value of a view, or
    with every sample of the sound ("image-specific class saliency", [1]_, Section 3);
    its sign says which way. A gradient-weighted map [2]_ says where the features of a
    convolutional layer are that raise the score. It is coarser, never negative, and
    easier to look at.

    The score of a class is the network's output before softmax or sigmoid, the mean
    over the segments that `predict` looks at; of `MultiViewBlendingClassifier`, the
    mean over its branches by their weights. Where no segment lies all is zero.

    Parameters
    ----------
    estimator : classifier, Pipeline, search or meta-estimator
        A fitted neural classifier of skaudio, or what holds one: a pipeline that ends
        in one, whose steps are applied to X, or a search or meta-estimator that has
        fitted one. It is left as it was.
    X : whatever the estimator takes
        Clips, of any length.
    target : label or None, default=None
        Class, or number of a tag, as in ``classes_``. None is for each clip the class
        that is predicted; of tags, the most probable one.
    method : {"gradient", "grad-cam"}, default="gradient"
        "gradient" is the derivative of the score. "grad-cam" weights each feature map
        of a layer by the mean of the score's gradient over it, adds them up, and leaves
        out what is negative.
    of : {"view", "waveform"}, default="view"
        What the gradient is of: the views as the network gets them, standardised where
        they are, or the sound, through the views and their scaling.
    layer : int, str, list of these or None, default=None
        Convolutional layer of "grad-cam", by its place among ``hidden_layers`` of the
        network, 0 the lowest, or by its name. None is the highest of each view; a list
        has one for each of several views.

    Returns
    -------
    maps : ndarray of shape (n_clips, n_bins, n_frames), or Views
        As the views of the clips; if clips differ in length, a 1-D object array of
        `n_clips` arrays (n_bins, n_frames_i). Of a network on several views, `Views`
        with a map for each. Of waveforms (n_clips, n_samples), or an object array.

    Raises
    ------
    TypeError
        If the estimator makes no decisions by a network, or its network has no
        convolutional layer; for waveforms, if nothing computes the views of sound, or
        something else than `ViewScaler` comes after them.
    ValueError
        If `target` is no class, or parameters do not fit together.

    See Also
    --------
    SaliencyDisplay : Draws maps over views.
    deconvolve : What single features of a layer respond to.

    Notes
    -----
    With feature maps :math:`A^k` of a layer and the score :math:`y^c` of class c,
    gradient-weighted maps are Eq. 1 and 2 of [2]_,

    .. math::

        \alpha_k^c = \frac{1}{Z} \sum_{i,j} \frac{\partial y^c}{\partial A_{ij}^k},
        \qquad L^c = \mathrm{ReLU}\Bigl(\sum_k \alpha_k^c A^k\Bigr),

    for every segment, brought to the size of the view by bilinear interpolation, and
    averaged where segments overlap. Layers that convolve over time only have the same
    value in all bins.

    References
    ----------
    .. [1] K. Simonyan, A. Vedaldi and A. Zisserman, "Deep inside convolutional
       networks: visualising image classification models and saliency maps", ICLR 2014
       workshop.
    .. [2] R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
       gradient-based localization", ICCV 2017, Section 3.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.inspection import saliency
    >>> from skaudio.neural_network import CRNNClassifier
    >>> from skaudio.views import MelView
    >>> X, y = make_sounds(n_clips=8, n_classes=2, sr=8000, random_state=0)
    >>> mel = MelView(sr=8000, n_mels=16)
    >>> crnn = CRNNClassifier(views=mel, width=0.05, max_epochs=1, random_state=0)
    >>> crnn = crnn.fit(X, y)
    >>> saliency(crnn, X[:2], method="grad-cam").shape
    (2, 16, 51)
    >>> saliency(crnn, X[:2], of="waveform").shape == X[:2].shape
    True
    """
    _check(method, of, layer)
    model = Model.of(estimator)
    if model.estimator is None:
        raise TypeError(
            "saliency needs a fitted classifier; got a module, "
            f"{type(estimator).__name__}."
        )
    decision = Decision(model)
    column = decision.column_of(target)
    if of == WAVEFORM:
        return stack_or_object(list(_of_waveforms(model, decision, X, column)))
    if method == GRADIENT:
        maps = [_gradient(decision, clip, column) for clip in _clips(model, X)]
    else:
        maps = list(_weighted(model, decision, X, column, layer))
    arrays = {name: stack_or_object([m[name] for m in maps]) for name in maps[0]}
    if len(model.estimator._spec.rates) == 1:
        return next(iter(arrays.values()))
    return Views(arrays, {name: model.estimator._spec.rates[name] for name in arrays})


def _check(method: str, of: str, layer: Any) -> None:
    for name, value, known in (("method", method, METHODS), ("of", of, OF)):
        if value not in known:
            raise ValueError(f"{name} must be one of {known}; got {value!r}.")
    if method == GRADIENT and layer is not None:
        raise ValueError("layer is for method='grad-cam'; a gradient is of the input.")
    if method == GRAD_CAM and of == WAVEFORM:
        raise ValueError(
            "Maps of layers are over views: take of='view', or method='gradient'."
        )


# ---------------------------------------------------------------------------- views
class _Segments:
    """Segments of one clip that a prediction looks at, and where in it they lie."""

    def __init__(self, data: SegmentDataset, row: int, starts: np.ndarray) -> None:
        self.data, self.row, self.starts = data, row, starts

    @classmethod
    def of(cls, data: SegmentDataset, n_segments: int) -> Iterator[_Segments]:
        """Segments of every clip."""
        rows, starts = data.even_segments(n_segments)
        edges = np.searchsorted(rows, np.arange(1, len(data)))
        for row, of_clip in enumerate(np.split(starts, edges)):
            yield cls(data, row, of_clip)

    def __len__(self) -> int:
        return len(self.starts)

    def inputs(self, batch: slice) -> Tensors:
        """Segments (n, bins, steps) by name of the view."""
        starts = self.starts[batch]
        rows, tiled = np.full(len(starts), self.row), np.zeros(len(starts), bool)
        return self.data.inputs(rows, starts, tiled)

    def frames(self, name: str, batch: slice) -> np.ndarray:
        """Frame of the clip (n, steps) that each step of the segments is."""
        data = self.data
        n, rate = data.n_steps[name], data.rates[name]
        every = np.arange(data.n_frames[name][self.row])[None]
        firsts = [span(start, n, rate, every.shape[1]) for start in self.starts[batch]]
        return np.stack([cut(every, first, n)[0] for first in firsts])

    def zeros(self) -> Map:
        """A map of nothing."""
        return {
            name: np.zeros(clips[self.row].shape, self.data.dtype)
            for name, clips in self.data.clips.items()
        }

    def batches(self, size: int) -> list[slice]:
        """Places of segments that are computed together."""
        return [slice(i, i + size) for i in range(0, len(self), size)]


def _clips(model: Model, X: Any) -> Iterator[_Segments]:
    """Segments of every clip, as the network gets them."""
    for step in model.steps:
        X = step.transform(X)
    for data in model.estimator._datasets(X):
        yield from _Segments.of(data, model.estimator.n_segments)


def _class_of(decision: Decision, segments: _Segments, column: int | None) -> int:
    """The class that is asked for, or that is predicted for a clip."""
    if column is not None:
        return column
    with decision.differentiable(), torch.no_grad():
        batches = map(segments.inputs, segments.batches(decision.batch_size))
        outputs = [decision.run(decision.tensors(batch))[0] for batch in batches]
        return decision.decided(outputs)


def _gradient(decision: Decision, segments: _Segments, column: int | None) -> Map:
    """Gradient of the mean score of a clip's segments, by its views."""
    column = _class_of(decision, segments, column)
    maps = segments.zeros()
    for batch in segments.batches(decision.batch_size):
        with decision.differentiable():
            inputs = decision.tensors(segments.inputs(batch))
            score = decision.score(decision.run(inputs)[0], column) / len(segments)
            gradients = _gradients(score, list(inputs.values()))
        for name, gradient in zip(inputs, gradients, strict=True):
            for of_segment, frames in zip(
                gradient.cpu().numpy(), segments.frames(name, batch), strict=True
            ):
                np.add.at(maps[name].T, frames, of_segment.T)
    return maps


def _gradients(score: Tensor, by: list[Tensor]) -> list[Tensor]:
    """Gradients of a score, zeros by what it does not depend on."""
    found = torch.autograd.grad(score, by, allow_unused=True)
    return [
        torch.zeros_like(x) if gradient is None else gradient
        for x, gradient in zip(by, found, strict=True)
    ]


# ------------------------------------------------------------- gradient-weighted maps
def _weighted(
    model: Model, decision: Decision, X: Any, column: int | None, layer: Any
) -> Iterator[Map]:
    names = None
    if layer is not None:
        names = model.names_of(layer if isinstance(layer, list) else [layer])
    layers: dict[str, str] | None = None
    for segments in _clips(model, X):
        own = _class_of(decision, segments, column)
        if layers is None:
            with decision.differentiable():
                inputs = decision.tensors(segments.inputs(slice(0, 1)))
                layers = layers_by_view(decision, inputs, names)
        yield _grad_cam(decision, segments, own, layers)


def _grad_cam(
    decision: Decision, segments: _Segments, column: int, layers: dict[str, str]
) -> Map:
    """Maps of layers at the size of their views, the mean where segments overlap."""
    zeros = segments.zeros()
    maps = {name: zeros[name] for name in layers}
    counts = {name: np.zeros(m.shape[1], m.dtype) for name, m in maps.items()}
    for batch in segments.batches(decision.batch_size):
        with decision.differentiable():
            inputs = decision.tensors(segments.inputs(batch))
            outputs, parts = decision.run(inputs, list(layers.values()))
            score = decision.score(outputs, column)
            found = {
                view: _map_of(score, parts[layer], inputs[view].shape[1:])
                for view, layer in layers.items()
            }
        for view, of_batch in found.items():
            frames = segments.frames(view, batch)
            for of_segment, places in zip(of_batch.cpu().numpy(), frames, strict=True):
                np.add.at(maps[view].T, places, of_segment.T)
                np.add.at(counts[view], places, 1)
    return {name: m / np.maximum(counts[name], 1) for name, m in maps.items()}


def _map_of(score: Tensor, parts: list[Tensor], size: Any) -> Tensor:
    """Gradient-weighted map (n, bins, steps) of a layer's outputs."""
    gradients = torch.autograd.grad(score, parts, retain_graph=True, allow_unused=True)
    maps = []
    for values, given in zip(parts, gradients, strict=True):
        gradient = torch.zeros_like(values) if given is None else given
        over = tuple(range(2, values.ndim))
        weights = gradient.mean(over, keepdim=True)
        of_part = (weights * values).sum(1).relu().detach()
        maps.append(of_part if of_part.ndim == 3 else of_part[:, None])
    joined = torch.cat(maps)[:, None]
    return F.interpolate(joined, size=tuple(size), mode="bilinear")[:, 0]


# ------------------------------------------------------------------------- waveforms
def _of_waveforms(
    model: Model, decision: Decision, X: Any, column: int | None
) -> Iterator[np.ndarray]:
    """Gradients of scores by the samples of every clip, through its views."""
    try:
        sounding = Sounding.of(model, X)
    except ValueError:
        raise TypeError(
            "of='waveform' needs sound, but the network takes views, and nothing here "
            "computes them. Pass a Pipeline with a view in it, or a classifier with "
            "views=; or take of='view'."
        ) from None
    scalers, spec = _scalers(model), model.estimator._spec
    # a single view has a name here only
    sources = dict(zip(spec.rates, sounding.views.values(), strict=True))
    for clip, waveform in sounding:
        arrays = {k: v[None] for k, v in zip(spec.rates, clip.values(), strict=True)}
        data = spec.dataset(Views(arrays, spec.rates))
        (segments,) = _Segments.of(data, model.estimator.n_segments)
        own = _class_of(decision, segments, column)
        yield _by_samples(decision, segments, own, waveform, sources, scalers)


def _scalers(model: Model) -> list[Any]:
    """What standardises views before the network."""
    estimator = model.estimator
    if estimator._own_views(available_device) is not None:
        return [estimator.scaler_] if estimator._standardises else []
    places = [i for i, step in enumerate(model.steps) if hasattr(step, "_named_views")]
    after = model.steps[places[-1] + 1 :]
    others = [step for step in after if not isinstance(step, ViewScaler)]
    if others:
        raise TypeError(
            "A gradient by the waveform goes through views and ViewScaler; it does not "
            f"go through {type(others[0]).__name__}. Take of='view'."
        )
    return after


def _by_samples(
    decision: Decision,
    segments: _Segments,
    column: int,
    waveform: np.ndarray,
    sources: dict[str, Any],
    scalers: list[Any],
) -> np.ndarray:
    """Gradient of the mean score of a clip's segments, by its samples."""
    like = next(decision.network.parameters())
    with decision.differentiable():
        x = torch.tensor(waveform, device=like.device).requires_grad_()
        views = {}
        for name, source in sources.items():
            front_end = source._front_end(waveform.dtype.name, str(like.device))
            view = x[None] if front_end is None else front_end(x[None])[0]
            views[name] = _scaled(view, name, scalers).to(like)
        total = x.new_zeros(()).to(like)
        for batch in segments.batches(decision.batch_size):
            inputs = {
                name: view[:, torch.from_numpy(segments.frames(name, batch))].movedim(
                    1, 0
                )
                for name, view in views.items()
            }
            total = total + decision.score(decision.run(inputs)[0], column)
        (gradient,) = _gradients(total / len(segments), [x])
    found: np.ndarray = gradient.cpu().numpy()
    return found


def _scaled(view: Tensor, name: str, scalers: list[Any]) -> Tensor:
    for scaler in scalers:
        moments = [
            moment[name] if isinstance(moment, dict) else moment
            for moment in (scaler.mean_, scaler.scale_)
        ]
        mean, scale = (
            torch.as_tensor(moment, dtype=view.dtype, device=view.device)[:, None]
            for moment in moments
        )
        view = view - mean if scaler.with_mean else view
        view = view / scale if scaler.with_std else view
    return view
