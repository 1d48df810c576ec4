"""Pre-training of COALA against a plain loop, and embedding against decoding.

    python benchmarks/speed/coala.py [--data ../shared/data] [--rounds 4]
        [--device cpu] [--output ...]

* Training: an epoch of `CoalaEmbedder`, as it notes it in ``history_``, against a loop
  in plain torch over the same networks, loss, batches and optimiser; turn by turn. Two
  clips more than fill the batches are left out by both.
* Embedding: `CoalaEmbedder.transform` of 1,000 files of 5 s (those of ESC-10, 2.5 times
  over), against loading the same files at the same rate.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio.embedding import CoalaEmbedder
from skaudio.nn import Coala, CoalaLoss
from skaudio.preprocessing import AudioLoader, PatchScaler
from skaudio.views import Views

ROOT = Path(__file__).resolve().parents[2]
SR, HOP = 22_000, 512
N_CLIPS, N_TAGS, BATCH = 514, 1000, 128
N_FILES = 1000


def toy() -> tuple[np.ndarray, np.ndarray]:
    """Patches and indicators of tags."""
    rng = np.random.default_rng(0)
    X = rng.normal(-8, 2, size=(N_CLIPS, 96, 96)).astype(np.float32)
    tags = (rng.random((N_CLIPS, N_TAGS)) < 0.005).astype(np.uint8)
    tags[:, 0] |= ~tags.any(axis=1)
    return X, tags


def plain_epoch(width: float, device: str) -> Any:
    """Make a function that trains for an epoch, as anybody would write it."""
    X, tags = toy()
    torch.manual_seed(0)
    net = Coala({"mel": (96, SR / HOP)}, N_TAGS, width).to(device)
    loss_of = CoalaLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.005)
    scaler = PatchScaler().fit(X)
    net.audio_encoder.scaling.scale.copy_(torch.from_numpy(scaler.scale_))
    net.audio_encoder.scaling.minimum.copy_(torch.from_numpy(scaler.min_))
    patches, indicators = torch.from_numpy(X), torch.from_numpy(tags).float()

    def epoch() -> float:
        net.train()
        started = time.perf_counter()
        order = torch.randperm(N_CLIPS)[: N_CLIPS // BATCH * BATCH]
        for rows in order.split(BATCH):
            inputs = {
                "mel": patches[rows].to(device),
                "tags": indicators[rows].to(device),
            }
            losses = loss_of(net(inputs), inputs)
            loss = 5 * losses["audio"] + 5 * losses["tags"] + 10 * losses["contrast"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter() - started

    return epoch


def our_epochs(width: float, device: str, n_epochs: int) -> list[float]:
    """Seconds of the epochs of a fit."""
    X, tags = toy()
    coala = CoalaEmbedder(
        width=width,
        max_epochs=n_epochs,
        batch_size=BATCH,
        optimizer="sgd",
        lr=0.005,
        lr_schedule="constant",
        device=device,
        random_state=0,
    )
    coala.fit(Views({"mel": X}, {"mel": SR / HOP}), tags)
    return [row["seconds"] for row in coala.history_]


def training(width: float, rounds: int, device: str) -> dict[str, Any]:
    """Seconds per epoch of both, turn by turn."""
    epoch = plain_epoch(width, device)
    n_epochs = 3 if width < 1 else 1
    epoch()
    plain, ours = [], []
    for _ in range(rounds):
        plain.append(min(epoch() for _ in range(n_epochs)))
        ours.append(min(our_epochs(width, device, n_epochs)))
    ratios = [a / b for a, b in zip(ours, plain, strict=True)]
    return {
        "width": width,
        "seconds": statistics.median(ours),
        "plain_seconds": statistics.median(plain),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "clips_per_second": N_CLIPS // BATCH * BATCH / statistics.median(ours),
    }


def embedding(width: float, paths: list[str], device: str) -> dict[str, Any]:
    """Seconds to load files, and to embed them."""
    X, tags = toy()
    coala = CoalaEmbedder(width=width, max_epochs=1, device=device, random_state=0)
    coala.fit(list(0.1 * X[:128].reshape(128, -1)), tags[:128])
    started = time.perf_counter()
    for start in range(0, len(paths), 100):
        AudioLoader(sr=SR).transform(paths[start : start + 100])
    decoded = time.perf_counter() - started
    started = time.perf_counter()
    coala.transform(paths)
    embedded = time.perf_counter() - started
    return {
        "width": width,
        "decoding": decoded,
        "embedding": embedded,
        "ratio": embedded / decoded,
    }


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/coala_speed.json"
    )
    args = parser.parse_args()
    table = pd.read_csv(args.data / "esc10" / "esc10.csv")
    files = [str(args.data / "esc10" / "audio" / name) for name in table.filename]
    paths = [files[i % len(files)] for i in range(N_FILES)]
    report = {
        "provenance": provenance(0),
        "settings": {
            "rounds": args.rounds,
            "clips": N_CLIPS,
            "batch_size": BATCH,
            "tags": N_TAGS,
            "files": N_FILES,
            "threads": torch.get_num_threads(),
            "device": args.device,
        },
        "training": [
            training(width, args.rounds, args.device) for width in (0.25, 1.0)
        ],
        "embedding": [embedding(width, paths, args.device) for width in (0.25, 1.0)],
    }
    for part in ("training", "embedding"):
        for row in report[part]:
            figures = ", ".join(
                f"{k} {v:.3f}" for k, v in row.items() if isinstance(v, float)
            )
            sys.stdout.write(f"{part}: {figures}\n")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
