"""Waveforms that filters of a waveform network respond to, by gradient ascent."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F

from skaudio._utils._random import draw_seed
from skaudio.nn.layers import layer_names
from skaudio.nn.samplecnn import ConvStack, StridedBlock

BATCH_NORMS = ("batch", "running")
BATCH_SIZE = 32  # filters at a time: no slower than more, and few enough for any memory


def activation_maximization(
    estimator: Any,
    layer: int | str,
    *,
    filters: Sequence[int] | None = None,
    n_samples: int = 729,
    n_steps: int = 18,
    step_size: float = 1.0,
    amplitude: float = 0.03,
    batch_norm: str = "batch",
    random_state: Any = None,
) -> np.ndarray:
    """Find waveforms that the filters of one layer respond to.

    Gradient ascent from noise: the mean over time of a filter's output after ReLU and
    before pooling is differentiated by the waveform, and the gradient, divided by its
    root mean square, is added to it, again and again. The waveform of a filter that no
    sample of the noise excites stays as it is, for it has no gradient.

    Parameters
    ----------
    estimator : classifier, Pipeline or Module
        Fitted `SampleCNNClassifier`, or a `FrameLevelCNNClassifier` on waveforms; a
        pipeline that ends in one; or a torch module `skaudio.nn.SampleCNN` or
        `skaudio.nn.FrameLevelCNN`. It is left as it was.
    layer : int or str
        Which convolution, by its place among ``hidden_layers`` of the network: 0 is the
        lowest, the one with strides, and -1 the highest; or by its name there.
    filters : sequence of int or None, default=None
        Which filters of the layer, from 0; None is all of them. A filter's waveform
        does not depend on which others are asked for.
    n_samples : int, default=729
        Length of the waveforms. The paper's 729 samples, about 33 ms at 22,050 Hz,
        are a usual frame, whose spectrum is easy to look at, and reach layer 5.
    n_steps : int, default=18
        Steps of the ascent, as many as in the authors' code.
    step_size : float, default=1.0
        Root mean square of every step. The authors' 1 leaves nothing visible of the
        noise, as steps are much larger than that.
    amplitude : float, default=0.03
        Peak-to-peak range of the noise, uniform around zero, from the authors' code.
    batch_norm : {"batch", "running"}, default="batch"
        Statistics for batch normalisation: those of the single waveform over time, as
        in the authors' code, or the running ones, as in prediction. The network was
        trained on loud sound, so that running statistics leave many filters without a
        response to faint noise.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise. An int gives every filter of a layer the same noise in every
        call; noise differs between filters and layers.

    Returns
    -------
    waveforms : ndarray of shape (n_filters, n_samples)
        One waveform with zero mean per filter, in the order of `filters` and in the
        type of the network's weights.

    Raises
    ------
    TypeError
        If the estimator is not one of those above.
    ValueError
        If the layer or a filter does not exist, or if `n_samples` are too few for the
        statistics of the layer; the message states how many it needs.

    See Also
    --------
    FilterSpectrumDisplay : Draws the spectra of these waveforms.

    References
    ----------
    Erhan et al., "Visualizing higher-layer features of a deep network", Technical
    report 1341, Université de Montréal, 2009.

    Lee et al., "SampleCNN: End-to-End Deep Convolutional Neural Networks Using Very
    Small Filters for Music Classification", Applied Sciences 8(1):150, 2018,
    Section 7.1, Figures 2 to 4.

    Examples
    --------
    >>> from skaudio.inspection import activation_maximization
    >>> from skaudio.nn import SampleCNN
    >>> network = SampleCNN(5, width=0.1)
    >>> activation_maximization(network, layer=2, random_state=0).shape
    (13, 729)
    """
    network, _ = waveform_network(estimator)
    _check_settings(n_samples, n_steps, batch_norm)
    place = _place(network, layer)
    blocks = _blocks_up_to(network, place, n_samples, batch_norm)
    chosen = _check_filters(filters, place, blocks[-1].conv.out_channels)
    seed = draw_seed(random_state)
    noise = np.empty((len(chosen), n_samples))
    for row, i in zip(noise, chosen, strict=True):
        rng = np.random.default_rng([seed, place + 1, i])
        row[:] = rng.uniform(-0.5, 0.5, n_samples)
    weight = blocks[-1].conv.weight
    waveforms = torch.from_numpy(amplitude * noise).to(weight)
    parts = [
        _ascend(blocks, x, i, n_steps, step_size, batch_norm == "running")
        for x, i in zip(
            waveforms.split(BATCH_SIZE),
            torch.as_tensor(chosen, device=weight.device).split(BATCH_SIZE),
            strict=True,
        )
    ]
    found = torch.cat(parts)
    return (found - found.mean(1, keepdim=True)).cpu().numpy()


def waveform_network(estimator: Any) -> tuple[ConvStack, float | None]:
    """Return the waveform network of an estimator, and its rate in Hz if known."""
    final, sr = estimator, None
    if isinstance(estimator, nn.Module):
        network: Any = estimator
    else:
        final = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        if hasattr(estimator, "fit"):
            check_is_fitted(estimator)
        module = getattr(getattr(final, "net_", None), "module_", None)
        network = getattr(module, "network", None)
        rates = getattr(getattr(final, "_spec", None), "rates", {})
        known = [rate for rate in rates.values() if rate != 1]  # 1 if nobody knows
        sr = getattr(final, "sr", None) or next(iter(known), None)
    on_samples = isinstance(network, ConvStack) and isinstance(
        network.blocks[0], StridedBlock
    )
    if not on_samples:
        raise TypeError(
            "Expected a waveform network: a fitted "
            "SampleCNNClassifier, a FrameLevelCNNClassifier fitted on waveforms, a "
            "Pipeline that ends in one, or their torch module SampleCNN or "
            f"FrameLevelCNN; got {type(final).__name__}, which has no such network."
        )
    return network, sr


def _check_settings(n_samples: Any, n_steps: Any, batch_norm: str) -> None:
    if batch_norm not in BATCH_NORMS:
        raise ValueError(
            f"batch_norm must be one of {BATCH_NORMS}; got {batch_norm!r}."
        )
    for name, value in (("n_samples", n_samples), ("n_steps", n_steps)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} must be a positive integer; got {value!r}.")


def _place(network: ConvStack, layer: int | str) -> int:
    """Number of a convolution, from 0 at the bottom."""
    (name,) = layer_names(network, [layer])
    if name not in network.hidden_layers:
        raise ValueError(
            f"layer={layer!r} is only a part of a hidden layer; take one of "
            f"{list(network.hidden_layers)}."
        )
    return network.hidden_layers.index(name)


def _blocks_up_to(
    network: ConvStack, place: int, n_samples: Any, batch_norm: str
) -> list[Any]:
    """Blocks from the first to the layer's, if the waveform is long enough for it."""
    blocks: list[Any] = list(network.blocks.children())[: place + 1]
    if batch_norm == "batch" and not all(
        isinstance(block.norm, nn.BatchNorm1d) for block in blocks
    ):
        raise ValueError(
            "The network has no batch normalisation left to give statistics to: pass "
            "the network as it was before folding, or batch_norm='running'."
        )
    pools = (b.pool.kernel_size for b in blocks[:-1] if hasattr(b, "pool"))
    n_per_step = blocks[0].conv.stride[0] * prod(pools)
    n_steps = 2 if batch_norm == "batch" else 1  # of one step the variance is zero
    if n_samples < n_steps * n_per_step:
        raise ValueError(
            f"Layer {place} needs n_samples of at least {n_steps * n_per_step}, which "
            f"it sees as {n_steps} time step(s) with batch_norm={batch_norm!r}; got "
            f"{n_samples}. Pass more samples, or take a lower layer."
        )
    return blocks


def _check_filters(
    filters: Sequence[int] | None, layer: int, n_filters: int
) -> np.ndarray:
    if filters is None:
        return np.arange(n_filters)
    chosen = np.asarray(filters)
    whole = chosen.ndim == 1 and chosen.size > 0 and chosen.dtype.kind in "iu"
    if not whole or chosen.min() < 0 or chosen.max() >= n_filters:
        raise ValueError(
            f"filters must be a list of numbers from 0 to {n_filters - 1}, as layer "
            f"{layer} has {n_filters} filters; got {filters!r}."
        )
    return chosen


def _ascend(
    blocks: list[Any],
    waveforms: Tensor,
    filters: Tensor,
    n_steps: int,
    step_size: float,
    running: bool,
) -> Tensor:
    """Waveforms (filters, samples) after all steps; each ascends independently."""
    x = waveforms[:, None]  # (filters, 1, samples)
    for _ in range(n_steps):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            response = _responses(blocks, x, filters, running).mean(1)
            # rows are independent: the gradient of the sum is that of each row
            (gradient,) = torch.autograd.grad(response.sum(), x)
        # without a response there is no gradient: such filters stop by themselves
        rms = gradient.square().mean(2, keepdim=True).sqrt()
        x = x.detach() + step_size * gradient / (rms + 1e-9)
    return x[:, 0]


def _responses(blocks: list[Any], x: Tensor, filters: Tensor, running: bool) -> Tensor:
    """Output (filters, steps) of the i-th of `filters` on the i-th waveform."""
    *lower, top = blocks
    for block in lower:
        for name, part in block.named_children():
            x = _normalise(part, x, running) if name == "norm" else part(x)
    if hasattr(top, "pad"):
        x = top.pad(x)
    # only one filter on each waveform: every waveform is a group of its own
    n_waveforms, conv = len(x), top.conv
    x = F.conv1d(
        x.flatten(0, 1),  # (waveforms * channels, steps)
        conv.weight[filters],
        conv.bias[filters],
        stride=conv.stride,
        padding=conv.padding,
        groups=n_waveforms,
    )
    # filters take the place of channels, which are normalised one by one in any case
    return _normalise(top.norm, x[None], running, filters)[0].relu()


def _normalise(
    norm: Any, x: Tensor, running: bool, channels: Tensor | slice = slice(None)
) -> Tensor:
    """Normalise a batch, by fixed statistics or each waveform by its own."""
    if isinstance(norm, nn.Identity):
        return x
    weight, bias = norm.weight[channels], norm.bias[channels]
    if running:
        mean, variance = norm.running_mean[channels], norm.running_var[channels]
        return F.batch_norm(x, mean, variance, weight, bias, eps=norm.eps)
    return F.instance_norm(x, weight=weight, bias=bias, eps=norm.eps)
