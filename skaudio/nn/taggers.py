"""Published taggers of music on a log-mel spectrogram: FCN, CRNN and MusiCNN."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from skaudio.nn.blocks import ConvBlock, Dropout, is_exporting, one_by_one
from skaudio.nn.filterbanks import mel_filterbank
from skaudio.nn.frontends import PowerSpectrogram, to_scale
from skaudio.nn.layers import scaled

SR = 16_000
N_FFT = 512  # samples
HOP_LENGTH = 256  # samples, 16 ms
N_MELS = 96
# 29.1 s, which FCN and CRNN were trained on
N_SAMPLES = 465_984
FLOOR = 1e-10  # of the power, before the logarithm
Pool = tuple[int, int]
FCN_POOLS: tuple[Pool, ...] = ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))
CRNN_POOLS: tuple[Pool, ...] = ((2, 2), (3, 3), (4, 4), (4, 4))
HEIGHTS = (67, 38)  # bands: 0.7 and 0.4 of 96
N_FRAMES_HIGH = 7
LENGTHS = (129, 65, 33)  # frames


class TaggerInput(nn.Module):
    """Waveforms to a standardised log-mel spectrogram.

    96 bands on HTK's scale from 0 to 8 kHz with a peak of 1, windows of 512 samples
    every 256 at 16 kHz, powers in decibels without a limited range, then batch
    normalisation of the whole picture as a single map. The filters are in the files of
    weights, where they are rounded to float32, and so in the state of the network.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn.taggers import TaggerInput
    >>> TaggerInput()(torch.zeros(2, 1, 16000)).shape
    torch.Size([2, 1, 96, 63])
    """

    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        # computed, not loaded, also where a network is made without memory
        with torch.device("cpu"):
            self.spectrogram = PowerSpectrogram(
                n_fft=N_FFT,
                win_length=N_FFT,
                hop_length=HOP_LENGTH,
                pad_mode="reflect",
            )
        bank = mel_filterbank(SR, N_FFT, N_MELS, 0.0, SR / 2, htk=True, norm=None)
        self.register_buffer("filters", torch.tensor(bank.T, dtype=torch.float32))
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """Waveforms (clips, 1, n_samples) to (clips, 1, 96, 1 + n_samples // 256)."""
        bands = self.filters.T @ self.spectrogram(x)
        return self.norm(to_scale(bands, 2.0, 2.0, "db", FLOOR))


class FirstBlock(ConvBlock):
    """A block on a single map, whose output is far larger than what is kept of it."""

    def folded(self) -> nn.Module:
        """What computes the same without ever having all of the output."""
        conv = fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())
        return FewFiltersAtOnce(conv, self.pool)


class FewFiltersAtOnce(nn.Module):
    """Convolution, pooling and ReLU of some filters after others.

    Half a minute of FCN's first maps has 45 MB before pooling and 6 MB after it: of a
    few filters they stay in the cache of a processor.
    """

    n_filters = 16

    def __init__(self, conv: nn.Conv2d, pool: nn.Module) -> None:
        super().__init__()
        self.conv, self.pool, self.relu = conv, pool, nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (clips, n_filters, bands, frames) of (clips, 1, bands, frames)."""
        conv = self.conv
        if x.device.type != "cpu" or is_exporting():
            return self.relu(self.pool(conv(x)))
        weights, biases = conv.weight, cast(Tensor, conv.bias)
        parts = [
            self.relu(self.pool(F.conv2d(x, w, b, padding=conv.padding)))
            for w, b in zip(
                weights.split(self.n_filters), biases.split(self.n_filters), strict=True
            )
        ]
        return torch.cat(parts, dim=1)


class PooledTagger(nn.Module):
    """What FCN and CRNN have in common: pooled convolutions on the spectrogram.

    Subclasses say how many blocks lie below the place where a repeated sound is spread
    out, and what `above` makes of their maps.
    """

    n_samples = N_SAMPLES
    n_below: int  # blocks that see a period of a repeated sound only once
    output_layers = ("output",)
    config: dict[str, Any]  # arguments of the constructor, plain values

    def __init__(
        self, filters: Sequence[int], pools: Sequence[Pool], width: float
    ) -> None:
        super().__init__()
        if len(filters) != len(pools):
            raise ValueError(
                f"filters needs {len(pools)} numbers, one per block; got "
                f"{len(filters)}: {tuple(filters)}."
            )
        self.input = TaggerInput()
        sizes = [1, *(scaled(n, width) for n in filters)]
        self.blocks = nn.Sequential(
            *(
                (FirstBlock if n_in == 1 else ConvBlock)(
                    n_in, n_out, pool=pool, bias=True
                )
                for (n_in, n_out), pool in zip(pairwise(sizes), pools, strict=True)
            )
        )
        steps = [HOP_LENGTH]
        for _, along_time in pools[: self.n_below]:
            steps.append(steps[-1] * along_time)
        # samples from one step to the next of the maps that are spread out
        self.unit = steps[-1]
        # steps per unit of the layers below
        self.steps_per_unit = {
            f"blocks.{i}": self.unit // n for i, n in enumerate(steps[1:])
        }

    def forward(self, x: Tensor, period: int = 0, n_left_out: int = 0) -> Tensor:
        """Logits (clips, n_outputs) of waveforms (clips, 1, n_samples).

        A sound that repeats itself every ``period`` units need not be seen as a whole:
        with ``n_left_out`` periods left out of the waveform, their maps are put in.
        """
        compute = partial(self._forward, period=period, n_left_out=n_left_out)
        return one_by_one(compute, x, training=self.training)

    def _forward(self, x: Tensor, period: int, n_left_out: int) -> Tensor:
        x = self.blocks[: self.n_below](self.input(x))
        return self.above(spread(x, 1, period, n_left_out))

    def above(self, x: Tensor) -> Tensor:
        """Logits from the maps of the blocks below."""
        raise NotImplementedError


def spread(x: Tensor, per_unit: int, period: int, n_left_out: int) -> Tensor:
    """Put the steps of periods that were left out into maps (..., n_steps).

    The first unit is as it is at the start of a sound, which no other unit is; the
    period that follows stands for all that were left out.
    """
    if not n_left_out:
        return x
    start, stop = per_unit, per_unit * (1 + period)
    repeated = [x[..., start:stop]] * n_left_out
    return torch.cat([x[..., :start], *repeated, x[..., start:]], dim=-1)


class FCNTagger(PooledTagger):
    """The fully convolutional network of Choi et al. for tags of music.

    ======= ============= =========================== ================
    block   maps          pooling (bands, frames)     maps of 29.1 s
    ======= ============= =========================== ================
    input                                             1 x 96 x 1821
    0       64            (2, 4)                      64 x 48 x 455
    1       128           (2, 4)                      128 x 24 x 113
    2       128           (2, 4)                      128 x 12 x 28
    3       128           (3, 5)                      128 x 4 x 5
    4       64            (4, 4)                      64 x 1 x 1
    output                                            50 logits
    ======= ============= =========================== ================

    Every block is a 3x3 convolution, batch normalisation, ReLU and max-pooling that
    rounds down; a window that is larger than its map shrinks to it, so that shorter
    sounds pass as well, and of longer ones the maximum over time is taken.

    Parameters
    ----------
    n_outputs : int, default=50
        Number of tags (logits).
    filters : sequence of int, default=(64, 128, 128, 128, 64)
        Maps of every block.
    width : float, default=1.0
        Factor on all numbers of maps.
    dropout : float, default=0.5
        Probability of dropping an input of the output layer.

    Attributes
    ----------
    n_samples : int
        Samples at 16 kHz that the published weights were trained on: 29.1 s.
    unit : int
        Samples per step of block 2: 16,384, about a second.
    hidden_layers : tuple of str
        Names of the blocks from bottom to top, as in ``named_modules()``.
    config : dict
        Arguments of the constructor that make a network like this one.

    See Also
    --------
    skaudio.embedding.PretrainedEmbedder : Embeddings by published weights.

    References
    ----------
    Choi, Fazekas and Sandler, "Automatic tagging using deep convolutional neural
    networks", ISMIR 2016. Won, Ferraro, Bogdanov and Serra, "Evaluation of CNN-based
    automatic music tagging models", SMC 2020.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import FCNTagger
    >>> net = FCNTagger()
    >>> sum(p.numel() for p in net.parameters())
    447732
    >>> FCNTagger(5, width=0.1)(torch.zeros(2, 1, 16000)).shape
    torch.Size([2, 5])
    """

    n_below = 3

    def __init__(
        self,
        n_outputs: int = 50,
        *,
        filters: Sequence[int] = (64, 128, 128, 128, 64),
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(filters, FCN_POOLS, width)
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(scaled(filters[-1], width), n_outputs)
        self.hidden_layers = tuple(f"blocks.{i}" for i in range(len(filters)))
        self.stages = (("input",), *((name,) for name in self.hidden_layers))
        self.config = {
            "n_outputs": int(n_outputs),
            "filters": tuple(map(int, filters)),
            "width": float(width),
            "dropout": float(dropout),
        }

    def above(self, x: Tensor) -> Tensor:
        """Logits from the maps of block 2."""
        return self.output(self.dropout(self.blocks[self.n_below :](x).amax((2, 3))))


class StepsLast(nn.GRU):
    """Recurrent layers on (clips, features, steps)."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """States (clips, n_hidden, steps) of the top layer."""
        states, _ = super().forward(x.transpose(1, 2))
        return states.transpose(1, 2)


class CRNNTagger(PooledTagger):
    """The convolutional recurrent network of Choi et al. for tags of music.

    ======= ============= =========================== ================
    block   maps          pooling (bands, frames)     maps of 29.1 s
    ======= ============= =========================== ================
    input                                             1 x 96 x 1821
    0       64            (2, 2)                      64 x 48 x 910
    1       128           (3, 3)                      128 x 16 x 303
    2       128           (4, 4)                      128 x 4 x 75
    3       128           (4, 4)                      128 x 1 x 18
    rnn     2 x GRU, 32                               32 x 18
    output  last state                                50 logits
    ======= ============= =========================== ================

    Blocks are as in `FCNTagger`; the state after the last of 18 steps decides.

    Parameters
    ----------
    n_outputs : int, default=50
        Number of tags (logits).
    filters : sequence of int, default=(64, 128, 128, 128)
        Maps of every block.
    n_hidden : int, default=32
        Units of each recurrent layer.
    n_layers : int, default=2
        Number of recurrent layers.
    width : float, default=1.0
        Factor on all numbers of maps.
    dropout : float, default=0.5
        Probability of dropping an input of the output layer.

    Attributes
    ----------
    n_samples : int
        Samples at 16 kHz that the published weights were trained on: 29.1 s.
    unit : int
        Samples per step of the recurrent layers: 24,576, about 1.5 s.
    hidden_layers : tuple of str
        Names of the blocks and of the recurrent layers from bottom to top.
    config : dict
        Arguments of the constructor that make a network like this one.

    References
    ----------
    Choi, Fazekas, Sandler and Cho, "Convolutional recurrent neural networks for music
    classification", ICASSP 2017. Won, Ferraro, Bogdanov and Serra, "Evaluation of
    CNN-based automatic music tagging models", SMC 2020.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import CRNNTagger
    >>> net = CRNNTagger()
    >>> sum(p.numel() for p in net.parameters())
    394100
    >>> CRNNTagger(5, width=0.1)(torch.zeros(2, 1, 16000)).shape
    torch.Size([2, 5])
    """

    n_below = 4

    def __init__(
        self,
        n_outputs: int = 50,
        *,
        filters: Sequence[int] = (64, 128, 128, 128),
        n_hidden: int = 32,
        n_layers: int = 2,
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(filters, CRNN_POOLS, width)
        n_top = scaled(filters[-1], width)
        self.rnn = StepsLast(n_top, n_hidden, n_layers, batch_first=True)
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(n_hidden, n_outputs)
        names = [f"blocks.{i}" for i in range(len(filters))]
        self.hidden_layers = (*names, "rnn")
        self.stages = (("input",), *((name,) for name in self.hidden_layers))
        self.config = {
            "n_outputs": int(n_outputs),
            "filters": tuple(map(int, filters)),
            "n_hidden": int(n_hidden),
            "n_layers": int(n_layers),
            "width": float(width),
            "dropout": float(dropout),
        }

    def above(self, x: Tensor) -> Tensor:
        """Logits from the maps of the last block."""
        states = self.rnn(x.amax(2))
        return self.output(self.dropout(states[..., -1]))


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
        return one_by_one(self._forward, x, training=self.training)

    def _forward(self, x: Tensor) -> Tensor:
        outputs = [self.front_end(self.input(x))]
        for block in self.middle:
            outputs.append(block(outputs[-1]))
        over_time = torch.cat(outputs, dim=1)
        pooled = torch.cat([over_time.amax(2), over_time.mean(2)], dim=1)
        return self.output(self.dropout(self.hidden(pooled)))
