"""Clips through COALA's encoder, prepared as its authors prepare them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from skaudio._segments import frame_times, split_means
from skaudio.cache._keys import digest_of
from skaudio.embedding._base import Frames, Network
from skaudio.nn.coala import PatchEncoder
from skaudio.nn.coala_input import (
    HOP_LENGTH,
    MIN_DURATION,
    N_FRAMES,
    SR,
    CoalaInput,
    faint_noise,
)
from skaudio.nn.devices import in_batches

BUFFER = round(MIN_DURATION * SR)  # samples that a short clip becomes


class CoalaNetwork(Network):
    """An encoder of patches of 96 frames.

    Parameters
    ----------
    network : Module
        In eval mode, on `device`.
    sample_rate : float
        Rate in Hz that it was trained at.
    layout, fingerprint, device : str
        Form and digest of the weights; where to compute.
    batch_size : int
        Patches computed together on a GPU.
    """

    kind = "coala"

    def __init__(
        self,
        network: PatchEncoder,
        *,
        sample_rate: float,
        layout: str,
        fingerprint: str,
        device: str,
        batch_size: int,
    ) -> None:
        kind = torch.device(device).type
        self.network = network
        self.sample_rate = sample_rate
        self.layout = layout
        self.device = device
        self.batch_size = 1 if kind == "cpu" else batch_size  # see SampleCNNNetwork
        self.n_features = network.n_features
        self.fingerprint = digest_of(fingerprint, kind)

    def embed(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Mean over patches side by side; what is left at the end is dropped."""
        parts = [self._spectrogram(clip, 0, max(BUFFER, len(clip))) for clip in clips]
        patches = [list(CoalaInput.patches(part)) for part in parts]
        encoded = np.stack(self._encode([p for part in patches for p in part]))
        return split_means(encoded, [len(part) for part in patches])

    def embed_frames(
        self, clips: Sequence[np.ndarray], hop: float | None
    ) -> list[Frames]:
        """Every patch by itself, centred at its time."""
        rate = self.sample_rate / HOP_LENGTH
        before = N_FRAMES // 2 * HOP_LENGTH
        frames = []
        for clip in clips:
            times = frame_times(len(clip) / self.sample_rate, hop or N_FRAMES / rate)
            firsts = np.floor(times * rate + 0.5).astype(int).tolist()
            stop = max((firsts[-1] + N_FRAMES) * HOP_LENGTH, before + len(clip))
            spectrogram = self._spectrogram(clip, before, stop)
            patches = [spectrogram[:, first : first + N_FRAMES] for first in firsts]
            frames.append((np.stack(self._encode(patches), 1), times))
        return frames

    def _spectrogram(self, clip: np.ndarray, start: int, length: int) -> Tensor:
        """Spectrogram (96, n_frames) of a clip in a buffer, a short one with noise."""
        buffer = np.zeros(length, np.float32)
        buffer[start : start + len(clip)] = clip
        if len(clip) <= BUFFER:
            buffer += faint_noise(length)
        with torch.inference_mode():
            waveform = torch.from_numpy(buffer).to(self.device)
            spectrogram: Tensor = _front_end(self.device)(waveform)
        return spectrogram

    def _encode(self, patches: Sequence[Tensor]) -> list[np.ndarray]:
        def compute(batch: Sequence[Tensor]) -> np.ndarray:
            encoded: Tensor = self.network(torch.stack(list(batch)))
            return encoded.cpu().numpy()

        with torch.inference_mode():
            return in_batches(
                compute,
                patches,
                batch_size=self.batch_size,
                device=self.device,
                what="patches",
            )


@lru_cache(maxsize=4)
def _front_end(device: str) -> nn.Module:
    return CoalaInput().to(device).eval()
