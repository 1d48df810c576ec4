"""FCN, CRNN and MusiCNN of sota-music-tagging-models."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from skaudio._weights._layouts import Family, Layout, Tensors, Weights, convolutions
from skaudio.nn.filterbanks import mel_filterbank
from skaudio.nn.taggers import N_FFT, N_MELS, SR, CRNNTagger, FCNTagger, MusiCNN

AFFINE = ("weight", "bias")
NORM = (*AFFINE, "running_mean", "running_var", "num_batches_tracked")
FILTERS, WINDOW = "input.filters", "input.window"  # the window is computed


def _names(layers: dict[str, str]) -> dict[str, str]:
    """Names of tensors in the authors' files to ours, from those of layers."""
    return {
        f"{theirs}.{part}": f"{ours}.{part}"
        for theirs, ours in layers.items()
        for part in (NORM if ours.endswith("norm") else AFFINE)
    }


def _blocks(theirs: str, ours: str, n: int, first: int) -> dict[str, str]:
    """Layers of blocks: convolution and normalisation."""
    return {
        f"{theirs}{i + first}.{part}": f"{ours}.{i}.{own}"
        for i in range(n)
        for part, own in (("conv", "conv"), ("bn", "norm"))
    }


INPUT = {
    **_names({"spec_bn": "input.norm"}),
    "spec.mel_scale.fb": FILTERS,
    "spec.spectrogram.window": WINDOW,
}
RECURRENT = re.compile(r"rnn\.weight_hh_l\d+")
LAYOUTS = (
    Layout(
        "sota-music-tagging-models FCN",
        FCNTagger,
        r"layer(?P<i>\d+)\.(?P<part>conv|bn)\.(?P<what>\w+)",
        {**INPUT, **_names({"dense": "output"})},
        SR,
        needs=("spec_bn.weight", "layer5.conv.weight"),
    ),
    Layout(
        "sota-music-tagging-models CRNN",
        CRNNTagger,
        r"layer(?P<i>\d+)\.(?P<part>conv|bn)\.(?P<what>\w+)",
        {
            **INPUT,
            **_names({"dense": "output"}),
            **{
                f"layer5.{kind}_l{i}": f"rnn.{kind}_l{i}"
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                for i in range(4)
            },
        },
        SR,
        needs=("spec_bn.weight", "layer5.weight_ih_l0"),
    ),
    Layout(
        "sota-music-tagging-models MusiCNN",
        MusiCNN,
        r"layers\.(?P<i>\d+)\.conv\.(?P<what>weight)",
        {
            **INPUT,
            **_names(_blocks("layers.", "front_end", 5, 0)),
            **_names(_blocks("layer", "middle", 3, 1)),
            **_names({"dense1": "hidden.dense", "bn": "hidden.norm"}),
            **_names({"dense2": "output"}),
        },
        SR,
        step=0,
        needs=("spec_bn.weight", "dense2.weight"),
    ),
)


def _arguments(weights: Weights, tensors: Tensors) -> dict[str, Any]:
    n_outputs = len(_tensor("output.bias", weights, tensors, 1))
    if weights.network is MusiCNN:
        return {
            "n_outputs": n_outputs,
            "n_high": len(_tensor("front_end.0.conv.weight", weights, tensors, 4)),
            "n_long": len(_tensor("front_end.2.conv.weight", weights, tensors, 3)),
            "n_middle": len(_tensor("middle.0.conv.weight", weights, tensors, 3)),
            "n_hidden": len(_tensor("hidden.dense.weight", weights, tensors, 2)),
        }
    filters = convolutions(tensors, weights, 4)
    arguments = {"n_outputs": n_outputs, "filters": tuple(len(w) for w in filters)}
    if weights.network is CRNNTagger:
        first = _tensor("rnn.weight_hh_l0", weights, tensors, 2)
        arguments["n_hidden"] = first.shape[1]
        arguments["n_layers"] = sum(bool(RECURRENT.fullmatch(k)) for k in tensors)
    return arguments


def _tensor(name: str, weights: Weights, tensors: Tensors, ndim: int) -> Tensor:
    tensor = tensors.get(name)
    if tensor is None or tensor.ndim != ndim:
        found = "missing" if tensor is None else f"{tensor.ndim}-D, not {ndim}-D"
        raise ValueError(
            f"The file has the layout of {weights.layout}, but "
            f"{weights.origin.get(name, name)} is {found}."
        )
    return tensor


def _complete(network: nn.Module, tensors: Tensors) -> None:
    """Files of late versions of torchaudio are without the filters."""
    tensors.pop(WINDOW, None)
    bank = mel_filterbank(SR, N_FFT, N_MELS, 0.0, SR / 2, htk=True, norm=None)
    tensors.setdefault(FILTERS, torch.tensor(bank.T, dtype=torch.float32))


TAGGERS = Family(
    "tagger", "music tagger", (FCNTagger, CRNNTagger, MusiCNN), LAYOUTS, _arguments,
    complete=_complete,
)  # fmt: skip
