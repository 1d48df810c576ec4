"""Embeddings of short clips by published taggers: against a plain port of the network.

    python benchmarks/speed/taggers.py [--weights ../shared/data/weights] [--rounds 3]
        [--clips 12] [--seconds 1 5 29.124] [--output ...]

The plain port is the network as public ports in PyTorch have it, from the tensors of
the same file: a whole spectrogram by ``torch.stft``, then convolution, batch
normalisation, ReLU and pooling, one after the other, on clips that are repeated to
what the network sees by the stated rule. Both embed the same clips in the same run,
turn by turn: ours by ``PretrainedEmbedder.transform``, data handling included. The
row "bfloat16" is the plain port with folded normalisation in that type, to see what
lower precision would gain and lose.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio._weights._read import read_weights
from skaudio.embedding import PretrainedEmbedder
from skaudio.nn import folded

ROOT = Path(__file__).resolve().parents[2]
SR = 16_000
POOLS = {
    "fcn": ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4)),
    "crnn": ((2, 2), (3, 3), (4, 4), (4, 4)),
}
UNITS = {"fcn": 16_384, "crnn": 24_576}
N_SAMPLES = {"fcn": 465_984, "crnn": 465_984, "musicnn": 48_000}


class PlainPort:
    """A network of a file, one operation after the other."""

    def __init__(self, path: Path) -> None:
        self.kind = path.stem.partition("_")[2]
        self.state = torch.load(path, weights_only=True, map_location="cpu")

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        """Embedding of a clip, as `PretrainedEmbedder` defines it."""
        n = N_SAMPLES[self.kind]
        if self.kind == "musicnn":
            n_parts = len(clip) // n + 1 if len(clip) > n else 1
            step = (len(clip) - n) // max(1, n_parts - 1)
            parts = [np.resize(clip[i * step :], n) for i in range(n_parts)]
            if len(clip) <= n:
                parts = [np.resize(clip, n)]
            return np.mean([self._embed(part) for part in parts], axis=0)
        unit = UNITS[self.kind]
        period = (
            np.resize(clip, -(-len(clip) // unit) * unit) if len(clip) < n else clip
        )
        return self._embed(np.resize(period, n))

    def _embed(self, samples: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            layers = self._layers(torch.from_numpy(samples)[None])
            maps = [layer.flatten(2)[0] for layer in layers]
            parts = [f for m in maps for f in (m.mean(1), m.amax(1))]
            return torch.cat(parts).numpy()

    def _layers(self, x: Tensor) -> list[Tensor]:
        s = self.state
        window = s["spec.spectrogram.window"]
        spectrum = torch.stft(x, 512, 256, window=window, return_complex=True)
        bands = s["spec.mel_scale.fb"].T @ spectrum.abs().square()
        h = self._norm("spec_bn", 10 * bands.clamp(min=1e-10).log10()[:, None])
        if self.kind == "musicnn":
            return self._musicnn(h)
        layers = []
        for i, pool in enumerate(POOLS[self.kind]):
            h = F.max_pool2d(self._conv(f"layer{i + 1}", h, F.conv2d, 1), pool)
            layers.append(h)
        if self.kind == "crnn":
            gru = torch.nn.GRU(128, 32, 2, batch_first=True)
            names = [name for name in s if name.startswith("layer5.")]
            gru.load_state_dict(
                {name.removeprefix("layer5."): s[name] for name in names}
            )
            gru(h.squeeze(2).transpose(1, 2))
        return layers[-3:]

    def _musicnn(self, h: Tensor) -> list[Tensor]:
        high = [self._conv(f"layers.{i}", h, F.conv2d, (0, 3)).amax(2) for i in (0, 1)]
        mean = h.mean(2)
        long = [
            self._conv(f"layers.{i}", mean, F.conv1d, k // 2)
            for i, k in ((2, 129), (3, 65), (4, 33))
        ]
        layers = [torch.cat(high + long, dim=1)]
        for i in (1, 2, 3):
            y = self._conv(f"layer{i}", layers[-1], F.conv1d, 3)
            layers.append(y if i == 1 else y + layers[-1])
        return layers

    def _conv(self, name: str, h: Tensor, conv: Any, padding: Any) -> Tensor:
        weight, bias = (self.state[f"{name}.conv.{k}"] for k in ("weight", "bias"))
        return F.relu(self._norm(f"{name}.bn", conv(h, weight, bias, padding=padding)))

    def _norm(self, name: str, h: Tensor) -> Tensor:
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(h, *(self.state[f"{name}.{part}"] for part in parts))


def in_bfloat16(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """FCN's upper layers, convolutions in bfloat16."""
    network: Any = folded(read_weights(path).network)

    def embed(clip: np.ndarray) -> np.ndarray:
        unit = network.unit
        period = np.resize(clip, -(-len(clip) // unit) * unit)
        x = torch.from_numpy(np.resize(period, network.n_samples))[None, None]
        layers = []
        with torch.inference_mode():
            h = network.input(x)
            with torch.autocast("cpu", torch.bfloat16):
                for block in network.blocks:
                    h = block(h)
                    layers.append(h.float().flatten(2)[0])
        parts = [f for m in layers[-3:] for f in (m.mean(1), m.amax(1))]
        return torch.cat(parts).numpy()

    return embed


def cpu_seconds(function: Callable[[], Any]) -> float:
    """Processor time of one call, which busy neighbours change least."""
    start = time.process_time()
    function()
    return time.process_time() - start


def compare(path: Path, seconds: float, args: argparse.Namespace) -> dict[str, Any]:
    """Both on the same clips, turn by turn."""
    rng = np.random.default_rng(0)
    n_clips = max(2, round(args.clips / (1 + seconds / 10)))
    shape = (n_clips, round(seconds * SR))
    clips = 0.1 * rng.standard_normal(shape).astype(np.float32)
    ours = PretrainedEmbedder(path, cache=False, device="cpu")
    plain = PlainPort(path)
    found = ours.transform(clips)
    expected = np.stack([plain(clip) for clip in clips])
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(args.rounds):
        times["ours"].append(cpu_seconds(lambda: ours.transform(clips)))
        times["plain"].append(cpu_seconds(lambda: [plain(clip) for clip in clips]))
    medians = {key: statistics.median(values) for key, values in times.items()}
    row = {
        "file": path.stem,
        "seconds": seconds,
        "clips": n_clips,
        "ratio": round(medians["plain"] / medians["ours"], 2),
        "difference": float(np.abs(found - expected).max()),
        "relative_difference": float(np.abs(found - expected).max() / expected.max()),
        "ms_per_clip": {
            key: round(1000 * value / n_clips, 1) for key, value in medians.items()
        },
        "cpu_seconds_per_hour_of_sound": {
            key: round(value / n_clips / seconds * 3600, 1)
            for key, value in medians.items()
        },
    }
    if "fcn" in path.stem and seconds < 29:
        half = in_bfloat16(path)
        rough = np.stack([half(clip) for clip in clips])
        took = cpu_seconds(lambda: [half(clip) for clip in clips])
        row["bfloat16"] = {
            "ms_per_clip": round(1000 * took / n_clips, 1),
            "relative_difference": float(
                np.abs(rough - expected).max() / expected.max()
            ),
        }
    return row


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights", type=Path, default=ROOT.parent / "shared/data/weights"
    )
    parser.add_argument(
        "--files", nargs="*", default=["mtat_fcn", "msd_crnn", "mtat_musicnn"]
    )
    parser.add_argument("--seconds", nargs="*", type=float, default=[1.0, 5.0, 29.124])
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/tagger_speed.json"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in args.files:
        for seconds in args.seconds:
            rows.append(compare(args.weights / f"{name}.pth", seconds, args))
            print(json.dumps(rows[-1]), flush=True)
    result = {"provenance": provenance(0), "rows": rows}
    args.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
