"""Networks for other runtimes: whole batches, and operators that those have."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skaudio.nn.folding import folded


def exportable(module: nn.Module) -> nn.Module:
    """Copy a network for prediction elsewhere: folded, on the CPU, in float32.

    Blocks with a method ``exportable`` say themselves what does the same with operators
    that other runtimes have and are fast in.

    Parameters
    ----------
    module : Module
        A network or a front end.

    Returns
    -------
    module : Module
        A copy in eval mode that gives the same outputs up to rounding.
    """
    whole = nn.ModuleList([folded(module).to("cpu", torch.float32)])
    for block in reversed(list(whole.modules())):  # from the inside
        for name, layer in block.named_children():
            own: Any = getattr(layer, "exportable", None)
            if own is not None:
                setattr(block, name, own())
            elif isinstance(layer, nn.GRU):
                setattr(block, name, ExportedGRU(layer))
    for parameter in whole.parameters():
        parameter.requires_grad_(False)
    return whole[0]


class ExportedGRU(nn.Module):
    """A GRU as one operator of ONNX per layer, in place of one per step and gate.

    Parameters
    ----------
    gru : GRU
        With ``batch_first``.
    """

    def __init__(self, gru: nn.GRU) -> None:
        super().__init__()
        self.steps_last = type(gru) is not nn.GRU  # StepsLast: (clips, features, steps)
        self.n_units, self.n_layers = gru.hidden_size, gru.num_layers
        self.directions = ("", "_reverse") if gru.bidirectional else ("",)
        for i in range(gru.num_layers):
            for name, parts in (
                ("weight", ("weight_ih",)),
                ("recurrence", ("weight_hh",)),
                ("bias", ("bias_ih", "bias_hh")),
            ):
                tensor = torch.stack(
                    [
                        torch.cat(
                            [self._gates(gru, f"{part}_l{i}{end}") for part in parts]
                        )
                        for end in self.directions
                    ]
                )
                self.register_buffer(f"{name}_{i}", tensor)

    def _gates(self, gru: nn.GRU, name: str) -> Tensor:
        """Weights of the gates in the order of ONNX: update, reset, new."""
        reset, update, new = getattr(gru, name).detach().split(self.n_units)
        return torch.cat([update, reset, new])

    @property
    def weight_hh_l0(self) -> Tensor:
        """Any tensor, whose type says what is computed in."""
        return self.get_buffer("recurrence_0")

    def forward(self, x: Tensor) -> Any:
        """States (clips, steps, n_units) of the top layer, and None for the last."""
        n_directions = len(self.directions)
        options: dict[str, Any] = {
            "hidden_size": self.n_units,
            "linear_before_reset": 1,
        }
        options["direction"] = "bidirectional" if n_directions == 2 else "forward"
        x = x.transpose(1, 2) if self.steps_last else x
        x = x.transpose(0, 1)
        for i in range(self.n_layers):
            names = (f"weight_{i}", f"recurrence_{i}", f"bias_{i}")
            states = torch.onnx.ops.symbolic(
                "GRU",
                [x, *map(self.get_buffer, names)],
                options,
                dtype=x.dtype,
                shape=(x.shape[0], n_directions, x.shape[1], self.n_units),
            )
            x = states.transpose(1, 2).flatten(2)
        x = x.transpose(0, 1)
        return x.transpose(1, 2) if self.steps_last else (x, None)
