"""Files as of sota-music-tagging-models, and what NumPy makes of them.

The networks are run from the arrays of a file alone, its mel filters included, in
double precision: convolutions are sums over shifted copies, the recurrent layers are
written out.
"""

from __future__ import annotations

import numpy as np
import torch

from skaudio.nn import mel_filterbank

POOLS = {
    "fcn": ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4)),
    "crnn": ((2, 2), (3, 3), (4, 4), (4, 4)),
}
N_MAPS = {"fcn": (4, 5, 6, 5, 3), "crnn": (4, 5, 6, 5)}


def small_tagger(kind, seed=0, n_outputs=7):
    """A file's content, with few maps of random numbers."""
    rng = np.random.default_rng(seed)
    state = {
        "spec.spectrogram.window": np.hanning(513)[:-1],
        "spec.mel_scale.fb": mel_filterbank(
            16_000, 512, 96, 0.0, 8000.0, htk=True, norm=None
        ).T,
    }
    _norm(state, "spec_bn", 1, rng)
    state["spec_bn.running_mean"] = np.full(1, -20.0)
    state["spec_bn.running_var"] = np.full(1, 400.0)
    if kind == "musicnn":
        n_high, n_long, n_middle, n_hidden = 3, 2, 4, 6
        shapes = [(n_high, 1, 67, 7), (n_high, 1, 38, 7)]
        shapes += [(n_long, 1, n) for n in (129, 65, 33)]
        for i, shape in enumerate(shapes):
            _block(state, f"layers.{i}", shape, rng)
        n_in = n_front = 2 * n_high + 3 * n_long
        for i in range(3):
            _block(state, f"layer{i + 1}", (n_middle, n_in, 7), rng)
            n_in = n_middle
        _linear(state, "dense1", (n_hidden, 2 * (n_front + 3 * n_middle)), rng)
        _norm(state, "bn", n_hidden, rng)
        _linear(state, "dense2", (n_outputs, n_hidden), rng)
        return _tensors(state)
    n_in = 1
    for i, n in enumerate(N_MAPS[kind]):
        _block(state, f"layer{i + 1}", (n, n_in, 3, 3), rng)
        n_in = n
    if kind == "crnn":
        n_hidden = 3
        for layer in range(2):
            for part, n in (("ih", n_in if layer == 0 else n_hidden), ("hh", n_hidden)):
                name = f"layer5.weight_{part}_l{layer}"
                state[name] = rng.standard_normal((3 * n_hidden, n)) / np.sqrt(n)
                state[f"layer5.bias_{part}_l{layer}"] = rng.standard_normal(9) / 5
        n_in = n_hidden
    _linear(state, "dense", (n_outputs, n_in), rng)
    return _tensors(state)


def reference(kind, state, x):
    """Layers (channels, ..., steps) from bottom to top, and logits, of samples x."""
    state = {name: tensor.double().numpy() for name, tensor in state.items()}
    h = _normed(state, "spec_bn", _decibels(state, x)[None])
    return _musicnn(state, h) if kind == "musicnn" else _pooled(kind, state, h)


def _pooled(kind, state, h):
    layers = []
    for i, pool in enumerate(POOLS[kind]):
        h = _max_pool(_convolved(state, f"layer{i + 1}", h, 2), pool)
        layers.append(h)
    if kind == "crnn":
        steps = h.max(axis=1).T
        for layer in range(2):
            steps = _gru(state, layer, steps)
        layers.append(steps.T)
        return layers, state["dense.weight"] @ steps[-1] + state["dense.bias"]
    return layers, state["dense.weight"] @ h.max(axis=(1, 2)) + state["dense.bias"]


def _musicnn(state, h):
    high = [_convolved(state, f"layers.{i}", h, (0, 3)).max(axis=1) for i in (0, 1)]
    mean = h.mean(axis=1)
    long = [_convolved(state, f"layers.{i}", mean, 1) for i in (2, 3, 4)]
    layers = [np.concatenate(high + long)]
    for i in range(3):
        y = _convolved(state, f"layer{i + 1}", layers[-1], 1)
        layers.append(y if i == 0 else y + layers[-1])
    over_time = np.concatenate(layers)
    pooled = np.concatenate([over_time.max(axis=1), over_time.mean(axis=1)])
    hidden = state["dense1.weight"] @ pooled + state["dense1.bias"]
    hidden = np.maximum(_normed(state, "bn", hidden), 0)
    layers.append(hidden)
    return layers, state["dense2.weight"] @ hidden + state["dense2.bias"]


def _decibels(state, x):
    """(96, frames): centred windows with reflection, powers, bands, logarithm."""
    padded = np.pad(np.asarray(x, float), 256, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 512)[::256]
    powers = np.abs(np.fft.rfft(frames * state["spec.spectrogram.window"])) ** 2
    return 10 * np.log10(np.maximum(powers @ state["spec.mel_scale.fb"], 1e-10)).T


def _convolved(state, name, h, padding):
    """Convolution with zeros around, batch normalisation and ReLU."""
    kernel, bias = state[f"{name}.conv.weight"], state[f"{name}.conv.bias"]
    sizes = kernel.shape[2:]
    if padding in (1, 2):  # of one or two axes: the size is kept
        padding = tuple(k // 2 for k in sizes)
    h = np.pad(h, ((0, 0), *((p, p) for p in padding)))
    windows = np.lib.stride_tricks.sliding_window_view(
        h, sizes, axis=tuple(range(1, h.ndim))
    )
    letters = "ab"[: len(sizes)]
    places = "xy"[: len(sizes)]
    y = np.einsum(f"i{places}{letters},oi{letters}->o{places}", windows, kernel,
                  optimize=True)  # fmt: skip
    y += bias.reshape(-1, *(1,) * len(sizes))
    return np.maximum(_normed(state, f"{name}.bn", y), 0)


def _normed(state, name, x):
    shape = (-1, *(1,) * (x.ndim - 1))
    mean, var, gamma, beta = (
        state[f"{name}.{part}"].reshape(shape)
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(var + 1e-5) * gamma + beta


def _max_pool(x, pool):
    high, wide = (min(p, n) for p, n in zip(pool, x.shape[1:], strict=True))
    x = x[:, : x.shape[1] // high * high, : x.shape[2] // wide * wide]
    n_bands, n_steps = x.shape[1] // high, x.shape[2] // wide
    return x.reshape(len(x), n_bands, high, n_steps, wide).max(axis=(2, 4))


def _gru(state, layer, steps):
    """Recurrent layer as torch defines it: reset, update and new gate."""
    part = {
        key: state[f"layer5.{key}_l{layer}"]
        for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    h = np.zeros(part["weight_hh"].shape[1])
    out = []
    for x in steps:
        given = np.split(part["weight_ih"] @ x + part["bias_ih"], 3)
        own = np.split(part["weight_hh"] @ h + part["bias_hh"], 3)
        reset, update = (
            1 / (1 + np.exp(-a - b)) for a, b in zip(given[:2], own[:2], strict=True)
        )
        new = np.tanh(given[2] + reset * own[2])
        h = (1 - update) * new + update * h
        out.append(h)
    return np.array(out)


def _block(state, name, shape, rng):
    fan_in = np.prod(shape[1:])
    state[f"{name}.conv.weight"] = rng.standard_normal(shape) * np.sqrt(2 / fan_in)
    state[f"{name}.conv.bias"] = rng.standard_normal(shape[0]) / 5
    _norm(state, f"{name}.bn", shape[0], rng)


def _norm(state, name, n, rng):
    # negative factors turn maxima into minima: pooling has to come after them
    state[f"{name}.weight"] = rng.uniform(0.5, 1.5, n) * rng.choice([-1, 1, 1, 1], n)
    state[f"{name}.bias"] = 0.5 + rng.standard_normal(n) / 3
    state[f"{name}.running_mean"] = rng.standard_normal(n) / 3
    state[f"{name}.running_var"] = rng.uniform(0.3, 2, n)
    state[f"{name}.num_batches_tracked"] = np.array(7)


def _linear(state, name, shape, rng):
    state[f"{name}.weight"] = rng.standard_normal(shape) / np.sqrt(shape[1])
    state[f"{name}.bias"] = rng.standard_normal(shape[0])


def _tensors(state):
    return {
        name: torch.tensor(
            array, dtype=torch.int64 if array.ndim == 0 else torch.float32
        )
        for name, array in state.items()
    }
