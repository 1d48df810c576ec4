"""FCN, CRNN and MusiCNN of sota-music-tagging-models."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from skaudio._weights._layouts import (
    Family,
    Layout,
    Tensors,
    Weights,
    convolutions,
    names_of_tensors,
    tensor_of,
)
from skaudio.nn.filterbanks import mel_filterbank
from skaudio.nn.taggers import N_FFT, N_MELS, SR, CRNNTagger, FCNTagger, MusiCNN

FILTERS, WINDOW = "input.filters", "input.window"  # the window is computed


def _blocks(theirs: str, ours: str, n: int, first: int) -> dict[str, str]:
    """Layers of blocks: convolution and normalisation."""
    return {
        f"{theirs}{i + first}.{part}": f"{ours}.{i}.{own}"
        for i in range(n)
        for part, own in (("conv", "conv"), ("bn", "norm"))
    }


INPUT = {
    **names_of_tensors({"spec_bn": "input.norm"}),
    "spec.mel_scale.fb": FILTERS,
    "spec.spectrogram.window": WINDOW,
}
RECURRENT = re.compile(r"rnn\.weight_hh_l\d+")
LAYOUTS = (
    Layout(
        "sota-music-tagging-models FCN",
        FCNTagger,
        r"layer(?P<i>\d+)\.(?P<part>conv|bn)\.(?P<what>\w+)",
        {**INPUT, **names_of_tensors({"dense": "output"})},
        SR,
        needs=("spec_bn.weight", "layer5.conv.weight"),
    ),
    Layout(
        "sota-music-tagging-models CRNN",
        CRNNTagger,
        r"layer(?P<i>\d+)\.(?P<part>conv|bn)\.(?P<what>\w+)",
        {
            **INPUT,
            **names_of_tensors({"dense": "output"}),
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
            **names_of_tensors(_blocks("layers.", "front_end", 5, 0)),
            **names_of_tensors(_blocks("layer", "middle", 3, 1)),
            **names_of_tensors({"dense1": "hidden.dense", "bn": "hidden.norm"}),
            **names_of_tensors({"dense2": "output"}),
        },
        SR,
        step=0,
        needs=("spec_bn.weight", "dense2.weight"),
    ),
)


def _arguments(weights: Weights, tensors: Tensors) -> dict[str, Any]:
    n_outputs = len(tensor_of("output.bias", weights, tensors, 1))
    if weights.network is MusiCNN:
        return {
            "n_outputs": n_outputs,
            "n_high": len(tensor_of("front_end.0.conv.weight", weights, tensors, 4)),
            "n_long": len(tensor_of("front_end.2.conv.weight", weights, tensors, 3)),
            "n_middle": len(tensor_of("middle.0.conv.weight", weights, tensors, 3)),
            "n_hidden": len(tensor_of("hidden.dense.weight", weights, tensors, 2)),
        }
    filters = convolutions(tensors, weights, 4)
    arguments = {"n_outputs": n_outputs, "filters": tuple(len(w) for w in filters)}
    if weights.network is CRNNTagger:
        first = tensor_of("rnn.weight_hh_l0", weights, tensors, 2)
        arguments["n_hidden"] = first.shape[1]
        arguments["n_layers"] = sum(bool(RECURRENT.fullmatch(k)) for k in tensors)
    return arguments


def _complete(network: nn.Module, tensors: Tensors) -> None:
    """Files of late versions of torchaudio are without the filters."""
    tensors.pop(WINDOW, None)
    bank = mel_filterbank(SR, N_FFT, N_MELS, 0.0, SR / 2, htk=True, norm=None)
    tensors.setdefault(FILTERS, torch.tensor(bank.T, dtype=torch.float32))


TAGGERS = Family(
    "tagger", "music tagger", (FCNTagger, CRNNTagger, MusiCNN), LAYOUTS, _arguments,
    complete=_complete,
)  # fmt: skip
