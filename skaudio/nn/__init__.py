"""Torch modules: front ends, blocks, the papers' networks and losses."""

from skaudio.nn.blocks import (
    AttentionPooling,
    ClassificationHead,
    ConvBlock,
    Dropout,
    layer_outputs,
)
from skaudio.nn.crnn import CRNN1d, CRNN2d
from skaudio.nn.losses import BranchCrossEntropy, blend
from skaudio.nn.multiview import MultiViewCRNN

__all__ = [
    "AttentionPooling",
    "BranchCrossEntropy",
    "CRNN1d",
    "CRNN2d",
    "ClassificationHead",
    "ConvBlock",
    "Dropout",
    "MultiViewCRNN",
    "blend",
    "layer_outputs",
]
