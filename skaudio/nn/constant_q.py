"""Constant-Q transform as a torch module, computed on the spectrum of long blocks."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skaudio._utils._spectra import PAD_MODES
from skaudio.nn.frontends import FrontEnd, check_name, to_scale
from skaudio.nn.padding import continued, pad

C1 = 32.70319566257483  # Hz, librosa's lowest note
HANN_BANDWIDTH = 1.50018310546875  # of a Hann window, in bins: librosa's constant
# half-width of a response, in units of sr / length: beyond it is below 3e-4 of its peak
REACH = 10.0

# bins that are folded together: rows of the grid (the first, or all), responses there
_Group = tuple[int | Tensor, Tensor]


class _Response(NamedTuple):
    """What a block size needs: groups of bins for a spectrum from -low to high."""

    groups: list[_Group]
    phase: Tensor
    low: int
    high: int


def cqt_frequencies(n_bins: int, fmin: float, bins_per_octave: int) -> np.ndarray:
    """Centre frequencies of the bins in Hz."""
    frequencies: np.ndarray = fmin * 2.0 ** (np.arange(n_bins) / bins_per_octave)
    return frequencies


def cqt_cutoff(n_bins: int, fmin: float, bins_per_octave: int) -> float:
    """Frequency in Hz that the highest filter reaches (half its bandwidth above)."""
    top = cqt_frequencies(n_bins, fmin, bins_per_octave)[-1]
    return float(top * (1 + 0.5 * HANN_BANDWIDTH * _relative_width(bins_per_octave)))


def _relative_width(bins_per_octave: int) -> float:
    ratio = 4.0 ** (1 / bins_per_octave)
    return (ratio - 1) / (ratio + 1)


class ConstantQ(FrontEnd):
    """Magnitudes of the constant-Q transform.

    librosa's wavelets (Hann-windowed, ``Q * sr / frequency`` samples long, normalised
    to a sum of 1, scaled by the square root of their length), without its recursion:
    the spectrum of a long block of the clip is multiplied by each wavelet's narrow
    response, folded to the rate of the frames and transformed back. There is no
    resampling, and so no error of it. Frames are always centred, as in librosa, and the
    window is always Hann's, because responses come from its closed form.

    Parameters
    ----------
    sr : float
        Sampling rate of the waveforms in Hz.
    hop_length : int
        Samples from frame to frame; any number.
    n_bins : int, default=84
        Number of bins.
    bins_per_octave : int, default=12
        Bins per octave.
    fmin : float, default=32.703
        Lowest frequency in Hz: the note C1.
    power : float, default=1.0
        Exponent of the magnitudes.
    scale : {"db", "log", "log1p", "linear"} or tuple, default="db"
        See `compress`.
    top_db : float or None, default=80.0
        See `compress`.
    pad_mode : {"constant", "reflect", "symmetric", "edge", "wrap"}, default="constant"
        What is before and after a clip, as in `numpy.pad`.
    dtype : torch.dtype, default=torch.float32
        Type of the buffers; waveforms must have the same.

    References
    ----------
    C. Schoerkhuber and A. Klapuri, "Constant-Q transform toolbox for music
    processing", 7th Sound and Music Computing Conference, 2010, section 2.

    Examples
    --------
    >>> import torch
    >>> from skaudio.nn import ConstantQ
    >>> ConstantQ(sr=22050, hop_length=512)(torch.zeros(2, 22050)).shape
    torch.Size([2, 84, 44])
    """

    _like: Tensor
    transform: BlockTransform | None  # of a copy that is `exportable`

    def __init__(
        self,
        *,
        sr: float,
        hop_length: int,
        n_bins: int = 84,
        bins_per_octave: int = 12,
        fmin: float = C1,
        power: float = 1.0,
        scale: str | tuple[str, float] = "db",
        top_db: float | None = 80.0,
        pad_mode: str = "constant",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(power, scale, top_db)
        check_name("pad_mode", pad_mode, PAD_MODES)
        cutoff = cqt_cutoff(n_bins, fmin, bins_per_octave)
        if cutoff > sr / 2:
            fitting = n_bins - math.ceil(bins_per_octave * math.log2(2 * cutoff / sr))
            remedy = f"n_bins to {fitting} or less" if fitting > 0 else "fmin"
            raise ValueError(
                f"n_bins={n_bins} bins from fmin={fmin:g} Hz reach up to {cutoff:.0f} "
                f"Hz, above the Nyquist frequency {sr / 2:g} Hz of sr={sr:g}. Lower "
                f"{remedy}, or raise sr."
            )
        self.frequencies = cqt_frequencies(n_bins, fmin, bins_per_octave)
        self.lengths = sr / (_relative_width(bins_per_octave) * self.frequencies)
        self.sr, self.hop_length, self.pad_mode = sr, hop_length, pad_mode
        # frames next to a block's edge that a filter there would reach beyond
        self.margin = math.ceil(self.lengths[0] / 2 / hop_length)
        self.reach = self.margin * hop_length  # samples that a frame can see
        # one size, whatever the length of a clip, as the last digits depend on it
        self.size = _block_size(2 * self.margin)
        self.transform = None
        self._responses: dict[tuple[object, ...], _Response] = {}
        self.register_buffer("_like", torch.empty(0, dtype=dtype), persistent=False)

    def levels(
        self, waveform: Tensor, borders: Tensor | None = None, offset: int = 0
    ) -> Tensor:
        """Waveforms (..., n_samples) to levels (..., n_bins, n_frames)."""
        if borders is not None and self.pad_mode != "constant":
            waveform = continued(waveform, borders, self.pad_mode)
        power = self.power_spectrum(waveform[..., offset:])
        return to_scale(power, 2, self.power, self.scale, self.floor)

    def power_spectrum(self, waveform: Tensor) -> Tensor:
        """Squared magnitudes (..., n_bins, n_frames), before the logarithm."""
        clips = waveform.reshape(-1, waveform.shape[-1])
        n_frames = 1 + clips.shape[-1] // self.hop_length
        size, step = self.size, self.size - 2 * self.margin
        n_blocks = (n_frames + step - 1) // step
        if self.transform is not None:
            frames = self.transform(self._padded(clips, n_blocks, step), n_blocks)
            frames = frames[..., :n_frames]
            return frames.reshape(*waveform.shape[:-1], *frames.shape[1:])
        frames = clips.new_empty(len(clips), len(self.frequencies), n_blocks * step)
        for i in range(0, n_blocks, 8):  # long clips: not all at once
            blocks = self._blocks(clips, i, min(8, n_blocks - i), step, size)
            kept = self._block_power(blocks, size)[..., self.margin :][..., :step]
            kept = kept.transpose(1, 2).flatten(2)
            frames[..., i * step :][..., : kept.shape[-1]] = kept
        frames = frames[..., :n_frames]
        return frames.reshape(*waveform.shape[:-1], *frames.shape[1:])

    def _blocks(
        self, clips: Tensor, first: int, n_blocks: int, step: int, size: int
    ) -> Tensor:
        """Overlapping blocks (n_clips, n_blocks, size * hop_length) of padded clips."""
        start = (first * step - self.margin) * self.hop_length
        stop = start + (size + (n_blocks - 1) * step) * self.hop_length
        n = clips.shape[-1]
        if self.pad_mode == "constant" or (start >= 0 and stop <= n):
            piece = clips[:, max(0, start) : stop]
            padded = pad(piece, max(0, -start), max(0, stop - n), "constant")
        else:
            padded = pad(clips, max(0, -start), max(0, stop - n), self.pad_mode)
            padded = padded[:, max(0, start) :][:, : stop - start]
        return padded.unfold(-1, size * self.hop_length, step * self.hop_length)

    def _padded(self, clips: Tensor, n_blocks: int, step: int) -> Tensor:
        """Clips with all that their blocks see."""
        before = self.margin * self.hop_length
        stop = (self.size + (n_blocks - 1) * step) * self.hop_length - before
        return pad(clips, before, stop - clips.shape[-1], self.pad_mode)

    def exportable(self) -> ConstantQ:
        """Copy that computes the same by products of matrices."""
        twin = copy.deepcopy(self)
        twin.transform = BlockTransform(self)
        return twin

    def _block_power(self, blocks: Tensor, size: int) -> Tensor:
        """Blocks (..., size * hop_length) to squared magnitudes (..., bins, size)."""
        response = self._response(size)
        spectrum = torch.fft.rfft(blocks)
        if response.low or response.high > spectrum.shape[-1]:
            spectrum = _continue(spectrum, response.low, response.high)
        grid = torch.view_as_real(spectrum[..., : len(response.phase)] * response.phase)
        grid = grid.reshape(*blocks.shape[:-1], -1, 2 * size)
        folded = torch.cat([_fold(grid, *group) for group in response.groups], dim=-2)
        folded = torch.view_as_complex(folded.unflatten(-1, (size, 2)))
        frames = torch.fft.ifft(folded)
        real, imag = frames.real, frames.imag
        return real * real + imag * imag

    def _response(self, size: int) -> _Response:
        """Responses at the block's frequencies, computed once per block size."""
        key = (size, self._like.dtype, self._like.device)
        if key not in self._responses:
            with torch.inference_mode(False):  # or gradients could not pass later
                self._responses[key] = self._new_response(size)
        return self._responses[key]

    def _new_response(self, size: int) -> _Response:
        n_fft = size * self.hop_length
        centre = self.frequencies * n_fft / self.sr
        reach = np.minimum(REACH * n_fft / self.lengths, n_fft // 2 - 1)
        first = np.floor((centre - reach) / size).astype(int)
        last = np.floor((centre + reach) / size).astype(int)
        low, high = min(0, int(first.min())), int(last.max()) + 1
        groups = []
        for bins in _bin_groups(last - first + 1):
            n_rows = (last - first + 1)[bins].max()
            start = np.minimum(first[bins], high - n_rows)
            rows = start[:, None] + np.arange(n_rows)
            response = self._response_at(bins, rows, size, reach)
            response = np.repeat(response, 2, axis=-1)  # of real and imaginary parts
            index = torch.tensor(rows - low, device=self._like.device)
            place = int(rows[0, 0]) - low if len(bins) == 1 else index
            groups.append((place, torch.from_numpy(response).to(self._like)))
        # the middle of librosa's wavelets is half a sample before the frame's
        delay = np.exp(-1j * np.pi * np.arange(low * size, high * size) / n_fft)
        phase = torch.tensor(delay, device=self._like.device)
        phase = phase.to(torch.promote_types(self._like.dtype, torch.complex32))
        return _Response(groups, phase, -low * size, high * size)

    def _response_at(
        self, bins: np.ndarray, rows: np.ndarray, size: int, reach: np.ndarray
    ) -> np.ndarray:
        """Real responses (n_bins, n_rows, size) of wavelets around their middle."""
        n_fft = size * self.hop_length
        length = self.lengths[bins, None, None]
        n_taps = 2 * np.floor(length / 2) + 1
        index = rows[:, :, None] * size + np.arange(size)
        offset = index / n_fft - self.frequencies[bins, None, None] / self.sr
        # a Hann window is a constant and a cosine: three sums of phasors
        response = (
            _phasors(offset, n_taps)
            + 0.5 * _phasors(offset - 1 / n_taps, n_taps)
            + 0.5 * _phasors(offset + 1 / n_taps, n_taps)
        ) / n_taps
        response[np.abs(offset * n_fft) > reach[bins, None, None]] = 0
        return response * np.sqrt(length) / self.hop_length


def _phasors(offset: np.ndarray, n_taps: np.ndarray) -> np.ndarray:
    """Sum of phasors of ``offset`` cycles per sample, `n_taps` + 1 (even) around 0."""
    turns = np.round(offset)  # at whole turns the quotient below is 0 / 0
    offset = offset - turns
    sums = (n_taps + 1) * np.sinc(offset * (n_taps + 1)) / np.sinc(offset)
    return np.where(turns % 2, -sums, sums)


def _bin_groups(n_rows: np.ndarray) -> list[np.ndarray]:
    """Bins to fold together: many with few rows, but wide ones alone (the cache)."""
    groups: list[np.ndarray] = []
    narrow = np.flatnonzero(n_rows <= 8)  # the low ones, as width grows with frequency
    if len(narrow):
        groups += np.array_split(narrow, math.ceil(len(narrow) / 12))
    return groups + [np.array([k]) for k in np.flatnonzero(n_rows > 8)]


def _fold(grid: Tensor, place: int | Tensor, response: Tensor) -> Tensor:
    """Sum of spectrum times response over rows, (..., n_bins, row length)."""
    if isinstance(place, int):  # a slice: no copy of the spectrum
        rows = grid[..., place : place + response.shape[1], :]
        return (rows * response[0]).sum(-2, keepdim=True)
    return (grid[..., place, :] * response).sum(-2)


def _continue(spectrum: Tensor, n_low: int, n_high: int) -> Tensor:
    """Spectrum of a real signal from bin ``-n_low`` up to ``n_high - 1``."""
    n_fft = 2 * (spectrum.shape[-1] - 1)
    index = torch.arange(-n_low, n_high, device=spectrum.device) % n_fft
    mirrored = index > n_fft // 2
    values = spectrum[..., torch.where(mirrored, n_fft - index, index)]
    return torch.where(mirrored, values.conj(), values)


def _block_size(overlap: int) -> int:
    """Frames of a block: small prime factors, about three times the ``overlap``.

    Measured: from half a second to half a minute no other size is faster by a third.
    """
    sizes = {m << k for m in (4, 5, 6, 7) for k in range(20)}
    return min(size for size in sizes if size >= max(3 * overlap, 32))


class BlockTransform(nn.Module):
    """`ConstantQ` of padded clips as products of matrices.

    With sample ``p * hop_length + q`` of a block and frequency ``r * size + j``, a
    transform over p, a turn, and one over q to the rows r that responses need give the
    spectrum; where responses were folded, another over j gives the frames.

    Parameters
    ----------
    front_end : ConstantQ
        What is to be computed.
    """

    def __init__(self, front_end: ConstantQ) -> None:
        super().__init__()
        self.size, self.hop_length = front_end.size, front_end.hop_length
        self.step = self.size - 2 * front_end.margin
        size, hop = self.size, self.hop_length
        response = front_end._response(size)
        self.places: list[int | None] = []
        for i, (place, weights) in enumerate(response.groups):
            self.places.append(place if isinstance(place, int) else None)
            if not isinstance(place, int):
                self.register_buffer(f"rows_{i}", place, persistent=False)
            own = weights[..., ::2].float()  # the same for both parts
            self.register_buffer(f"response_{i}", own, persistent=False)
        frames, samples = np.arange(size), np.arange(hop)
        rows = np.arange(-response.low // size, response.high // size)
        turns = np.outer(frames, samples) / (size * hop)
        turns = turns + frames[:, None] / (2 * size * hop)  # the delay: half a sample
        of_rows = np.outer(samples, rows) / hop + rows / (2 * hop)
        back = -np.outer(frames, front_end.margin + np.arange(self.step)) / size
        for name, cycles in (
            ("first", np.outer(frames, frames) / size),
            ("turn", turns),
            ("second", of_rows),
            ("last", back),
        ):
            wave = np.exp(-2j * np.pi * cycles)
            if name == "last":
                wave = wave / size
            for part, values in (("real", wave.real), ("imag", wave.imag)):
                tensor = torch.tensor(values, dtype=torch.float32)
                self.register_buffer(f"{name}_{part}", tensor, persistent=False)

    def forward(self, clips: Tensor, n_blocks: int) -> Tensor:
        """Powers (n_clips, n_bins, n_blocks * step) of (n_clips, n_samples)."""
        size, hop, step = self.size, self.hop_length, self.step
        rows = clips.unflatten(-1, (-1, hop))
        blocks = torch.arange(n_blocks)[:, None] * step + torch.arange(size)
        x = rows[:, blocks.flatten()].unflatten(1, (-1, size))
        real, imag = (
            self.get_buffer("first_real") @ x,
            self.get_buffer("first_imag") @ x,
        )
        a, b = self.get_buffer("turn_real"), self.get_buffer("turn_imag")
        real, imag = real * a - imag * b, real * b + imag * a
        c, d = self.get_buffer("second_real"), self.get_buffer("second_imag")
        spectrum = torch.stack([real @ c - imag @ d, real @ d + imag @ c], dim=2)
        folded = self._folded(spectrum.mT)  # (clips, blocks, parts, bins, size)
        real, imag = folded.unbind(2)
        c, d = self.get_buffer("last_real"), self.get_buffer("last_imag")
        power = (real @ c - imag @ d).square() + (real @ d + imag @ c).square()
        return power.transpose(1, 2).flatten(2)

    def _folded(self, grid: Tensor) -> Tensor:
        """Sums of spectrum times response over rows, of the bins of all groups."""
        parts = []
        for i, place in enumerate(self.places):
            response = self.get_buffer(f"response_{i}")
            if place is None:
                rows = grid[..., self.get_buffer(f"rows_{i}"), :]
            else:
                rows = grid[..., None, place : place + response.shape[-2], :]
            parts.append((rows * response).sum(-2))
        return torch.cat(parts, dim=-2)
