"""What a network is trained on: views of segments, computed and augmented on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from skaudio._training._datasets import (
    Arrays,
    Geometry,
    TrainingBatch,
    WaveformDataset,
)
from skaudio._training._options._augmentation import BETWEEN_CLASS, MIXUP
from skaudio.nn.augment import add_noise, mask, mix_waveforms
from skaudio.nn.runner import compute_front_ends


class Limit(NamedTuple):
    """A view is cut off some decibels below its clip's maximum."""

    unit: float  # of the view's values per decibel
    top_db: float


class FrontEnds(nn.Module):
    """From waveforms with margins to standardised views, on the training device.

    Frame ``t`` of a segment is what frame ``t`` of the whole clip's view is where the
    segment starts: margins hold all samples that a frame can see, and ``top_db`` counts
    from the maximum of the whole clip. Of a mixture that is unknown: its segment's own
    maximum is taken.

    Parameters
    ----------
    modules : mapping of str to (Module or None, int)
        Front end of every view, None for samples as they are, and its hop in samples.
    limits : sequence of Limit or None
        Where views are cut off, which the front ends do not do.
    n_steps : mapping of str to int
        Steps of a segment in every view.
    geometry : Geometry
        Margins of the waveforms.
    mean, scale : mapping of str to Tensor of shape (n_bins, 1)
        What views are standardised with.
    """

    def __init__(
        self,
        modules: Mapping[str, tuple[nn.Module | None, int]],
        limits: Sequence[Limit | None],
        n_steps: Mapping[str, int],
        geometry: Geometry,
        mean: Mapping[str, Tensor],
        scale: Mapping[str, Tensor],
    ) -> None:
        super().__init__()
        self.names = tuple(modules)
        self.hops = [hop for _, hop in modules.values()]
        # a list, because a view may have any name; None for samples as they are
        self.front_ends = nn.ModuleList(
            nn.Identity() if module is None else module
            for module, _ in modules.values()
        )
        self.limits = list(limits)
        self.n_steps = [n_steps[name] for name in self.names]
        self.margin = geometry.margin
        for i, name in enumerate(self.names):
            self.register_buffer(f"mean_{i}", mean[name], persistent=False)
            self.register_buffer(f"scale_{i}", scale[name], persistent=False)

    def forward(
        self,
        waveforms: Tensor,
        available: Tensor,
        maxima: Tensor,
        roll: Tensor,
        gain: Tensor | float = 0.0,
    ) -> Arrays:
        """Views (clips, bins, steps) of waveforms (clips, margin + samples + margin).

        ``available`` (clips, views) are the steps that a clip has: shorter ones are
        repeated, from the share ``roll`` (clips,) of their length on. ``maxima``
        (clips, views) are those of the whole clips before ``gain`` (clips,) in
        decibels, NaN where unknown.
        """
        # every view's frames lie on its own grid: start it so that the margin is on it
        offsets = [self.margin % hop for hop in self.hops]
        computed = compute_front_ends(list(self.front_ends), waveforms, offsets)
        views = {}
        for i, (name, view) in enumerate(zip(self.names, computed, strict=True)):
            first = self.margin // self.hops[i]
            view = _cut_off(view, self.limits[i], maxima[:, i], gain)
            view = _repeat(view[..., first:], self.n_steps[i], available[:, i], roll)
            mean, scale = self.get_buffer(f"mean_{i}"), self.get_buffer(f"scale_{i}")
            views[name] = (view - mean) / scale
        return views


def _cut_off(
    view: Tensor, limit: Limit | None, maximum: Tensor, gain: Tensor | float
) -> Tensor:
    if limit is None:
        return view
    own = view.amax(-1).amax(-1)
    top = torch.where(maximum.isnan(), own, maximum + limit.unit * gain)
    return torch.maximum(view, (top - limit.unit * limit.top_db)[:, None, None])


def _repeat(view: Tensor, n_steps: int, available: Tensor, roll: Tensor) -> Tensor:
    """First ``n_steps`` frames, going round in clips that have fewer."""
    short = available < n_steps
    first = torch.where(short, (roll * available).floor(), 0).long()
    period = torch.where(short, available, n_steps)
    steps = torch.arange(n_steps, device=view.device)
    index = (steps + first[:, None]) % period[:, None]
    return view.gather(2, index[:, None].expand(-1, view.shape[1], -1))


class TrainingInput(nn.Module):
    """Views of a training batch: front ends, mixing and masks.

    Parameters
    ----------
    front_ends : FrontEnds or None
        None if batches hold views already.
    augmentation : Augmentation
        What is done to segments.
    """

    def __init__(self, front_ends: FrontEnds | None, augmentation: Any) -> None:
        super().__init__()
        self.front_ends = front_ends
        self.augmentation = augmentation

    @torch.no_grad()
    def forward(self, batch: TrainingBatch) -> Arrays:
        """Views (clips, bins, steps) that the network is to see."""
        own, partner = batch.own, batch.partner
        if self.front_ends is not None:
            own, partner = self._computed(batch, self.front_ends)
        if self.augmentation.mix == MIXUP and partner is not None:
            ratio = batch.draws["ratio"][:, None, None]
            own = {k: ratio * v + (1 - ratio) * partner[k] for k, v in own.items()}
        draws = list(batch.draws["masks"].unbind(1))
        return {
            # a waveform has no bins to mask
            name: self._masked(view, draws) if view.shape[1] > 1 else view
            for name, view in own.items()
        }

    def _computed(
        self, batch: TrainingBatch, front_ends: FrontEnds
    ) -> tuple[Arrays, Arrays | None]:
        """Views of waveforms that were augmented, and of what to mix them with."""
        draws, key = batch.draws, WaveformDataset.WAVEFORM
        x = batch.own[key]
        other = None if batch.partner is None else batch.partner[key]
        gain, other_gain = draws.get("gain", x.new_zeros(2, 1))
        if "gain" in draws:
            x = x * _factor(gain)
            other = None if other is None else other * _factor(other_gain)
        if self.augmentation.mix == BETWEEN_CLASS and other is not None:
            x = mix_waveforms(x, other, draws["ratio"])
        if "noise" in draws:
            x = add_noise(x, draws["noise"], draws["snr"])
        roll = draws["roll"] if self.augmentation.shift else 0 * draws["roll"]

        def of(part: Arrays, waveforms: Tensor, gain: Tensor) -> Arrays:
            available = part[WaveformDataset.AVAILABLE]
            maxima = part[WaveformDataset.MAXIMA]
            return front_ends(waveforms, available, maxima, roll, gain)

        views = of(batch.own, x, gain)
        if self.augmentation.mix != MIXUP or batch.partner is None or other is None:
            return views, None
        return views, of(batch.partner, other, other_gain)

    def _masked(self, view: Tensor, draws: list[Tensor]) -> Tensor:
        """Mask bins and frames, using up two draws for each."""
        options = self.augmentation
        for axis, share in ((1, options.freq_mask), (2, options.time_mask)):
            if share:
                # a whole number of steps up to the largest, all equally likely
                size = view.shape[axis]
                width = (draws.pop() * (int(share * size) + 1)).floor() / size
                view = mask(view, axis, width, draws.pop())
        return view


def _factor(gain: Tensor) -> Tensor:
    """Decibels to factors on waveforms, (clips, 1)."""
    return 10 ** (gain[:, None] / 20)
