"""MusiCNN: filters as high as timbres and as long as rhythms, and little above them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skaudio.nn.blocks import Dropout
from skaudio.nn.tagger_input import SR, TaggerInput

HEIGHTS = (67, 38)  # bands: 0.7 and 0.4 of 96
N_FRAMES_HIGH = 7
LENGTHS = (129, 65, 33)  # frames


class TimbreFilters(nn.Sequential):
    """Filters over many bands and few frames, the maximum over where they lie."""

    def __init__(self, n_filters: int, height: int) -> None:
        super().__init__()
        kernel = (height, N_FRAMES_HIGH)
        self.conv = nn.Conv2d(1, n_filters, kernel, padding=(0, N_FRAMES_HIGH // 2))
        self.norm = nn.BatchNorm2d(n_filters)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(clips, 1, bands, frames) to (clips, n_filters, frames)."""
        # the maximum first gives the same values
        return self.relu(self.norm(self.conv(x)).amax(2))


class TemporalFilters(nn.Sequential):
    """Filters along many frames of the mean over all bands."""

    def __init__(self, n_filters: int, length: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, n_filters, length, padding=length // 2)
        self.norm = nn.BatchNorm1d(n_filters)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(clips, 1, bands, frames) to (clips, n_filters, frames)."""
        return super().forward(x.mean(2))


class SideBySide(nn.ModuleList):
    """Modules on the same input, their outputs next to each other."""

    def forward(self, x: Tensor) -> Tensor:
        """What all modules make of x, (clips, features, frames)."""
        return torch.cat([module(x) for module in self], dim=1)


class MiddleBlock(nn.Sequential):
    """A convolution along time, batch normalisation and ReLU, beside its input."""

    def __init__(self, n_in: int, n_out: int, residual: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, 7, padding=3)
        self.norm = nn.BatchNorm1d(n_out)
        self.relu = nn.ReLU()
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """(clips, n_in, frames) to (clips, n_out, frames)."""
        y: Tensor = super().forward(x)
        return y + x if self.residual else y


class HiddenLayer(nn.Sequential):
    """A dense layer, batch normalisation and ReLU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.dense = nn.Linear(n_in, n_out)
        self.norm = nn.BatchNorm1d(n_out)
        self.relu = nn.ReLU()


class MusiCNN(nn.Module):
    """The musically motivated network of Pons et al. for tags of music.

    ========= ========================================== ==================
    layer     what                                       outputs of 3 s
    ========= ========================================== ==================
    input     log-mel spectrogram                        1 x 96 x 188
    front_end 204 filters of 67 bands by 7 frames, 204   561 x 188
              of 38 by 7, 51 each of 129, 65 and 33
              frames of the mean over bands
    middle.0  64 filters of 7 frames                     64 x 188
    middle.1  the same, added to its input               64 x 188
    middle.2  the same, added to its input               64 x 188
    hidden    maxima and means over time of all four,    200
              dense
    output                                               50 logits
    ========= ========================================== ==================

    Parameters
    ----------
    n_outputs : int, default=50
        Number of tags (logits).
    n_high : int, default=204
        Filters of each height.
    n_long : int, default=51
        Filters of each length.
    n_middle : int, default=64
        Filters of each layer in the middle; 512 in the weights for MSD.
    n_hidden : int, default=200
        Units of the dense layer; 500 in the weights for MSD.
    dropout : float, default=0.5
        Probability of dropping an input of the output layer.

    Attributes
    ----------
    n_samples : int
        Samples at 16 kHz that the published weights were trained on: 3 s.
    hidden_layers : tuple of str
        Names of the layers from bottom to top, as in ``named_modules()``.
    config : dict
        Arguments of the constructor that make a network like this one.

    References
    ----------
    Pons et al., "End-to-end learning for music audio tagging at scale", ISMIR 2018.
    Pons and Serra, "musicnn: pre-trained convolutional neural networks for music audio
    tagging", ISMIR late-breaking session, 2019. Won, Ferraro, Bogdanov and Serra,
    "Evaluation of CNN-based automatic music tagging models", SMC 2020.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import MusiCNN
    >>> net = MusiCNN()
    >>> sum(p.numel() for p in net.parameters())
    784300
    >>> MusiCNN(5, n_high=8, n_long=2)(torch.zeros(2, 1, 16000)).shape
    torch.Size([2, 5])
    """

    n_samples = 3 * SR
    output_layers = ("output",)

    def __init__(
        self,
        n_outputs: int = 50,
        *,
        n_high: int = 204,
        n_long: int = 51,
        n_middle: int = 64,
        n_hidden: int = 200,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.config = {
            "n_outputs": int(n_outputs),
            "n_high": int(n_high),
            "n_long": int(n_long),
            "n_middle": int(n_middle),
            "n_hidden": int(n_hidden),
            "dropout": float(dropout),
        }
        self.input = TaggerInput()
        self.front_end = SideBySide(
            [
                *(TimbreFilters(n_high, height) for height in HEIGHTS),
                *(TemporalFilters(n_long, length) for length in LENGTHS),
            ]
        )
        n_front = len(HEIGHTS) * n_high + len(LENGTHS) * n_long
        self.middle = nn.ModuleList(
            [
                MiddleBlock(n_front, n_middle, residual=False),
                MiddleBlock(n_middle, n_middle, residual=True),
                MiddleBlock(n_middle, n_middle, residual=True),
            ]
        )
        self.hidden = HiddenLayer(2 * (n_front + 3 * n_middle), n_hidden)
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(n_hidden, n_outputs)
        middle = [f"middle.{i}" for i in range(len(self.middle))]
        self.hidden_layers = ("front_end", *middle, "hidden")
        self.stages = (("input",), *((name,) for name in self.hidden_layers))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (clips, n_outputs) of waveforms (clips, 1, n_samples)."""
        if self.training or x.device.type != "cpu":
            return self._forward(x)
        # one by one, maps stay in the cache, which is faster
        return torch.cat([self._forward(part) for part in x.split(1)])

    def _forward(self, x: Tensor) -> Tensor:
        outputs = [self.front_end(self.input(x))]
        for block in self.middle:
            outputs.append(block(outputs[-1]))
        over_time = torch.cat(outputs, dim=1)
        pooled = torch.cat([over_time.amax(2), over_time.mean(2)], dim=1)
        return self.output(self.dropout(self.hidden(pooled)))
