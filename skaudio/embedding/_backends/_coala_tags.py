"""Indicators of tags through COALA's tag encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from skaudio.cache._keys import digest_of
from skaudio.embedding._base import Frames, Network
from skaudio.nn.coala_autoencoders import CoalaTagEncoder
from skaudio.nn.devices import in_batches


class CoalaTagNetwork(Network):
    """An encoder of indicators (n_tags,), each by itself.

    Parameters
    ----------
    network : Module
        In eval mode, on `device`.
    sample_rate : float
        That of the sounds that it was trained with.
    layout, fingerprint, device : str
        Form and digest of the weights; where to compute.
    batch_size : int
        Rows computed together on a GPU.
    """

    kind = "coala-tags"
    takes_tags = True

    def __init__(
        self,
        network: CoalaTagEncoder,
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
        """Codes z of the tags of every row."""
        n_tags = self.network.config["n_tags"]
        for row in clips:
            if len(row) != n_tags:
                raise ValueError(
                    f"This tag encoder takes an indicator matrix of {n_tags} tags; got "
                    f"rows of {len(row)}."
                )

        def compute(batch: Sequence[np.ndarray]) -> np.ndarray:
            tags = torch.from_numpy(np.stack(batch).astype(np.float32))
            return self.network(tags.to(self.device)).cpu().numpy()

        with torch.inference_mode():
            return in_batches(
                compute,
                clips,
                batch_size=self.batch_size,
                device=self.device,
                what="rows",
            )

    def embed_frames(
        self, clips: Sequence[np.ndarray], hop: float | None
    ) -> list[Frames]:
        """Refuse: tags have no time."""
        raise ValueError("Tags have no time: use transform.")
