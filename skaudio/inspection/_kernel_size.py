"""How much of a view the convolutions of a network see."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from numbers import Integral, Real
from typing import Any, NamedTuple

import torch
from torch import nn

from skaudio._training._network_of import leaves_of, network_of
from skaudio._utils._types import is_waveform
from skaudio.nn.multiview import MultiViewCRNN
from skaudio.nn.spectrogram_cnn import SpectrogramCNN
from skaudio.nn.swishnet import FACTORS, N_PAIRS, SwishNet
from skaudio.nn.taggers import TaggerInput
from skaudio.views._base import ViewSource
from skaudio.views._frames import FrameView
from skaudio.views._stft import STFTView

MOST_LAYERS = 30


def effective_kernel_size(
    estimator: Any,
    *,
    sr: float | None = None,
    n_fft: int | None = None,
    hop_length: int | None = None,
) -> Any:
    """Compute how much of its view every convolution of a network sees.

    Two sizes of each: its *effective kernel*, which is the kernel times the distance of
    the values that it is laid over, ``3 * 2**(l - 1)`` in layer ``l`` of
    `SpectrogramCNN`; and its *receptive field*, all cells that a value of its output
    depends on, which is larger as kernels below overlap. Both are those of the
    convolution itself, before the pooling of its layer.

    Parameters
    ----------
    estimator : classifier, Pipeline, Module or int
        Fitted neural estimator, a Pipeline that ends in one, or a search or
        meta-estimator that has fitted one of these; a network of `skaudio.nn`; or a
        number of layers of `SpectrogramCNN`.
    sr : float or None, default=None
        Sampling rate in Hz, where it is unknown: of a Module, of a number of layers, or
        of an estimator that was fitted on views. None takes that of the view which the
        estimator or the Pipeline computes.
    n_fft : int or None, default=None
        Samples of the Fourier transform, and of the window; needs `sr`.
    hop_length : int or None, default=None
        Samples from frame to frame, 1 for waveforms; needs `sr`.

    Returns
    -------
    sizes : DataFrame
        One row per layer with a convolution, from the bottom to the top, by name as in
        ``hidden_layers`` of the network. Columns:

        - ``view``: its name, None if it has none;
        - ``kernel_steps, kernel_bins``: the effective kernel in cells, over time and
          frequency, and ``field_steps, field_bins``: the receptive field, which may
          reach beyond the edges of a view;
        - ``jump_steps, jump_bins``: cells between neighbouring values of the output;
        - ``kernel_ms, kernel_hz, field_ms, field_hz``: the same in milliseconds and
          Hz. Of ``N`` frames and bins an effective kernel has ``(N + 1) * hop_length /
          sr`` and ``(N + 1) * sr / n_fft``. The field's frequency is computed alike,
          its time is ``N - 1`` hops and a window, or two hops if the window is
          unknown. Of ``N`` samples it is ``N / sr``. NaN where rates are unknown, and
          for the frequency of bins that are not those of a Fourier transform.

        Bins of one-dimensional convolutions are all that there are.

    Raises
    ------
    TypeError
        If there is no neural network to look at.
    ValueError
        If the network has no convolution, or computes a spectrogram by itself.

    Notes
    -----
    For ``effective_kernel_size(5, sr=11025, n_fft=512, hop_length=256)`` this is the
    table of the paper to a millisecond and a Hz, but for one number: 93 ms and 86 Hz,
    162 and 151, 302 and 280, 580 and 538, 1137 and 1055. The paper prints 270 Hz in the
    fifth row, which its own formula does not give.

    References
    ----------
    Choi, Kim, Fazekas and Sandler, "Auralisation of deep convolutional neural networks:
    listening to learned features", ISMIR 2015, late-breaking session.

    Examples
    --------
    >>> from skaudio.inspection import effective_kernel_size
    >>> sizes = effective_kernel_size(5, sr=11025, n_fft=512, hop_length=256)
    >>> sizes["kernel_ms"].round().astype(int).tolist()
    [93, 163, 302, 580, 1138]
    >>> sizes["field_steps"].tolist()
    [3, 8, 18, 38, 78]
    """
    import pandas as pd

    given = _given(sr, n_fft, hop_length)
    module, n_bins, scales = _network(estimator)
    if given is not None:
        scales = dict.fromkeys(scales, given)
    rows = []
    for prefix, part, view in _on_views(module, next(iter(n_bins), None)):
        if any(isinstance(layer, TaggerInput) for layer in part.children()):
            raise ValueError(
                f"{type(part).__name__} computes a spectrogram by itself, so that its "
                "convolutions have no size in samples of its input."
            )
        bins = n_bins.get(view) or _bins_of(module, part, view)
        scale = scales.get(view) or given or Scale()
        rows += [
            {"layer": name, "view": view} | size | scale.of(size, is_waveform(bins))
            for name, size in _sizes(module, prefix, part, bins)
        ]
    if not rows:
        raise ValueError(
            f"{type(estimator).__name__} has no convolution: its layers see all of a "
            "frame or of a segment. Pass a convolutional network, such as a "
            "SpectrogramCNNClassifier."
        )
    return pd.DataFrame(rows).set_index("layer")


# -------------------------------------------------------------- milliseconds and Hz


class Scale(NamedTuple):
    """What a cell of a view is, as far as that is known."""

    rate: float | None = None  # steps per second
    window: float | None = None  # seconds
    hertz: float | None = None  # between bins

    def of(self, size: dict[str, Any], is_sound: bool) -> dict[str, float]:
        """Sizes in milliseconds and Hz."""
        kernel = field = hertz = float("nan")
        if self.rate is not None and is_sound:
            kernel, field = (size[k] / self.rate for k in ("kernel_steps", STEPS))
        elif self.rate is not None:
            window = 2 / self.rate if self.window is None else self.window
            kernel = (size["kernel_steps"] + 1) / self.rate
            field = (size[STEPS] - 1) / self.rate + window
        if self.hertz is not None and not is_sound:
            hertz = self.hertz
        return {
            "kernel_ms": 1000 * kernel,
            "kernel_hz": (size["kernel_bins"] + 1) * hertz,
            "field_ms": 1000 * field,
            "field_hz": (size["field_bins"] + 1) * hertz,
        }


STEPS = "field_steps"


def _given(sr: float | None, n_fft: int | None, hop_length: int | None) -> Scale | None:
    """The scale that parameters describe."""
    given: dict[str, Any] = {"sr": sr, "n_fft": n_fft, "hop_length": hop_length}
    for name, value in given.items():
        is_size = isinstance(value, Real) and 0 < float(value) < float("inf")
        if value is not None and not is_size:
            raise ValueError(f"{name} must be a number above 0; got {value!r}.")
    if sr is None:
        if n_fft is not None or hop_length is not None:
            raise ValueError(
                f"n_fft={n_fft} and hop_length={hop_length} are samples: pass sr, "
                "their number per second, as well."
            )
        return None
    return Scale(
        None if hop_length is None else sr / hop_length,
        None if n_fft is None else n_fft / sr,
        None if n_fft is None else sr / n_fft,
    )


def _scale_of(view: Any) -> Scale:
    """What is known of a view."""
    window = hertz = None
    if isinstance(view, FrameView):
        n_fft, win_length, _ = view._framing()
        window = win_length / view.sr
        hertz = view.sr / n_fft if isinstance(view, STFTView) else None
    return Scale(view.rate, window, hertz)


# ------------------------------------------------------------------------- networks


def _network(model: Any) -> tuple[nn.Module, dict[str, int], dict[str, Scale]]:
    """Network of a model, and bins and scales by name of the view, if known."""
    if isinstance(model, Integral):
        return _of_layers(int(model)), {}, {}
    if isinstance(model, nn.Module):
        if not hasattr(model, "hidden_layers"):
            raise TypeError(
                "Expected a network of skaudio.nn, which names its hidden_layers; got "
                f"a {type(model).__name__}."
            )
        return model, {}, {}
    steps, estimator = network_of(model)
    spec = estimator._spec
    # 1 stands for rates that nobody knows
    scales = {k: Scale(rate if rate != 1 else None) for k, rate in spec.rates.items()}
    for source in (*leaves_of(steps), estimator._trained._source):
        if isinstance(source, ViewSource):
            found = map(_scale_of, source._named_views().values())
            scales = dict(zip(scales, found, strict=False))
    return estimator.net_.module_, dict(spec.n_bins), scales


def _of_layers(n_layers: int) -> nn.Module:
    if not 1 <= n_layers <= MOST_LAYERS:
        raise ValueError(
            f"A number of layers must be from 1 to {MOST_LAYERS}; got {n_layers}."
        )
    with torch.device("meta"):  # no weights
        side = 2**n_layers
        return SpectrogramCNN(
            side, side, 2, filters=(2,) * n_layers, hidden_layer_sizes=()
        )


def _on_views(module: Any, first: str | None) -> Iterator[tuple[str, Any, Any]]:
    """Prefix of names, module and name of the view, for the parts on single views.

    ``first`` is the name of the first view, where a module does not know it.
    """
    if isinstance(module, MultiViewCRNN):
        for i, (view, encoder) in enumerate(
            zip(module.view_names, module.encoders, strict=True)
        ):
            yield f"encoders.{i}.", encoder, view
    elif hasattr(module, "network"):
        yield "network.", module.network, module.view_names[0]
    else:
        yield "", module, first


def _bins_of(module: Any, part: Any, view: Any) -> int:
    """Bins that a network was made for; 2 stands for any number."""
    views = getattr(module, "config", {}).get("views", {})
    if view in views:
        return int(views[view][0])
    _, first = next(_layers(part), ("", Windows(None, Window(1))))
    on_bands = first.bins is not None
    return int(getattr(part, "config", {}).get("n_bins", 2 if on_bands else 1))


# --------------------------------------------------------------------------- windows


class Window(NamedTuple):
    """What a layer is laid over, on one axis: how many values, and how far apart."""

    size: int
    stride: int = 1
    dilation: int = 1


class Windows(NamedTuple):
    """Windows of a layer over frequency and time; all bins, if the first is None."""

    bins: Window | None
    steps: Window
    is_kernel: bool = True


class Axis:
    """What one value depends on, and the distance to the next, in cells of a view."""

    def __init__(self, field: int = 1, jump: int = 1) -> None:
        self.field, self.jump = field, jump

    def pass_through(self, window: Window) -> int:
        """Let a window see what this has seen so far; cells that it is laid over."""
        reach = (window.size - 1) * window.dilation
        kernel = (reach + 1) * self.jump
        self.field += reach * self.jump
        self.jump *= window.stride
        return kernel


@singledispatch
def _windows(layer: Any) -> Windows | None:
    """Windows of a layer that has some."""
    return None


@_windows.register
def _(layer: nn.Conv1d) -> Windows:
    (size,), (stride,), (dilation,) = layer.kernel_size, layer.stride, layer.dilation
    return Windows(None, Window(size, stride, dilation))


@_windows.register
def _(layer: nn.Conv2d) -> Windows:
    bins, steps = zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    return Windows(Window(*bins), Window(*steps))


@_windows.register
def _(layer: nn.MaxPool1d) -> Windows:
    size: Any = layer.kernel_size
    return Windows(Window(1), Window(size, size), is_kernel=False)


@_windows.register
def _(layer: nn.MaxPool2d) -> Windows:
    size: Any = layer.kernel_size
    high, wide = (size, size) if isinstance(size, int) else size
    return Windows(Window(high, high), Window(wide, wide), is_kernel=False)


def _layers(network: nn.Module) -> Iterator[tuple[str, Windows]]:
    """Names of layers with windows, in the order in which they are computed."""
    if isinstance(network, SwishNet):
        for i, block in enumerate(network.blocks):
            longest: Any = getattr(block, "long", block)
            factor = 1 if i < N_PAIRS else FACTORS[i - N_PAIRS]
            apart = (factor, 1) if network.strided else (1, factor)
            yield f"blocks.{i}", Windows(None, Window(longest.size, *apart))
        return
    for name, layer in network.named_modules():
        windows = _windows(layer)
        if windows is not None:
            yield name, windows


def _sizes(
    module: Any, prefix: str, part: nn.Module, n_bins: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Sizes of every hidden layer with a convolution, at its last one.

    The kernel is the largest since the hidden layer below: some have a mixture of
    channels on top.
    """
    bins, steps, sees_all = Axis(), Axis(), False
    found: dict[str, dict[str, int]] = {}
    kernels: list[tuple[int, int]] = []
    for name, windows in _layers(part):
        kernel_steps = steps.pass_through(windows.steps)
        if windows.bins is None:
            bins, sees_all = Axis(n_bins, n_bins), True
        kernel_bins = n_bins
        if windows.bins is not None and not sees_all:
            kernel_bins = bins.pass_through(windows.bins)
        layer = _hidden_layer(module, prefix + name)
        if not windows.is_kernel:
            continue
        if layer not in found:
            kernels.append((kernel_steps, kernel_bins))
        if layer is None:
            continue
        found[layer] = {
            "kernel_steps": max(steps for steps, _ in kernels),
            "kernel_bins": max(bins for _, bins in kernels),
            STEPS: steps.field,
            "field_bins": bins.field,
            "jump_steps": steps.jump,
            "jump_bins": bins.jump,
        }
        kernels = []
    yield from found.items()


def _hidden_layer(module: Any, name: str) -> str | None:
    """The hidden layer that a layer is a part of, the innermost one."""
    around = [h for h in module.hidden_layers if f"{name}.".startswith(f"{h}.")]
    return max(around, key=len, default=None)
