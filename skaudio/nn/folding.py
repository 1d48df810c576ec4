"""Networks for inference: what is linear in a row becomes one convolution."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(module: nn.Module) -> nn.Module:
    """Copy a network in eval mode, with normalisation as part of the convolutions.

    In eval mode batch normalisation is a fixed scale and shift of every channel, which
    the weights of the convolution before it can take over. Blocks with a method
    ``folded`` say themselves what does the same in one step.

    Parameters
    ----------
    module : Module
        A network whose blocks call them ``conv`` and ``norm``, or have that method.
        What is below a module with ``is_foldable = False`` stays as it is.

    Returns
    -------
    module : Module
        A copy in eval mode that gives the same outputs up to rounding, with the same
        names of layers.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import SampleBlock, folded
    >>> block = SampleBlock(1, 4).eval()
    >>> x = torch.ones(2, 1, 9)
    >>> torch.allclose(folded(block)(x), block(x), atol=1e-6)
    True
    """
    whole = nn.ModuleList([copy.deepcopy(module)]).eval()
    foreign = {
        id(part)
        for network in whole.modules()
        if not getattr(network, "is_foldable", True)
        for part in network.modules()
    }
    for block in list(whole.modules()):
        if isinstance(block, nn.RNNBase):  # cuDNN wants the copies side by side
            block.flatten_parameters()
        if id(block) in foreign:
            continue
        for name, layer in block.named_children():
            own: Any = getattr(layer, "folded", None)
            if own is not None:
                setattr(block, name, own())
        layers: dict[str, Any] = dict(block.named_children())
        if "conv" in layers and "norm" in layers:
            conv: Any = layers["conv"]
            norm: Any = layers["norm"]
            if isinstance(norm, nn.Identity):  # folded before
                continue
            block.conv, block.norm = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return whole[0]
