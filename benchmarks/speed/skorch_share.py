"""What scikit-learn and skorch cost on top of a bare torch training loop.

    python benchmarks/speed/skorch_share.py

The same network, batches and optimiser, one thread: `CRNNClassifier` (seconds per
epoch from its ``history_``) against the loop that anybody would write by hand on
tensors in memory. Rounds alternate, so that a busy machine slows both; the first
epoch of every round is left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio.neural_network import CRNNClassifier
from skaudio.nn import SingleViewCRNN
from skaudio.views import Views

ROOT = Path(__file__).resolve().parents[2]
RATE, STEPS, BATCH, LR = 50.0, 75, 64, 0.004


def bare_epochs(X: np.ndarray, y: np.ndarray, width: float, epochs: int) -> list[float]:
    """Seconds per epoch of a plain loop with one random segment per clip."""
    torch.manual_seed(0)
    net = SingleViewCRNN(
        {"mel": (X.shape[1], RATE)},
        len(np.unique(y)),
        width=width,
        dropout=0.1,
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=LR)
    clips, labels = torch.from_numpy(X), torch.from_numpy(y)
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        for rows in torch.randperm(len(clips)).split(BATCH):
            firsts = torch.randint(0, X.shape[2] - STEPS + 1, (len(rows),)).tolist()
            batch = torch.stack(
                [clips[r, :, f : f + STEPS] for r, f in zip(rows, firsts, strict=True)]
            )
            loss = F.cross_entropy(net({"mel": batch})["mel"], labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def our_epochs(X: np.ndarray, y: np.ndarray, width: float, epochs: int) -> list[float]:
    """Seconds per epoch of the estimator, from its history."""
    clf = CRNNClassifier(
        width=width,
        dropout=0.1,
        max_epochs=epochs,
        batch_size=BATCH,
        lr=LR,
        lr_schedule="constant",
        segment_length=STEPS / RATE,
        device="cpu",
        random_state=0,
    )
    clf.fit(Views({"mel": X}, {"mel": RATE}), y)
    return [row["seconds"] for row in clf.history_][1:]


def main() -> None:
    """Measure both in turn and write the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--clips", type=int, default=320)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/skorch_share.json"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(args.clips, 64, 250)).astype(np.float32)
    y = rng.integers(0, 10, args.clips)
    ours, bare = [], []
    for _ in range(args.rounds):
        bare.append(statistics.median(bare_epochs(X, y, args.width, args.epochs)))
        ours.append(statistics.median(our_epochs(X, y, args.width, args.epochs)))
    report = {
        "provenance": provenance(0),
        "settings": {
            k: getattr(args, k) for k in ("width", "clips", "epochs", "rounds")
        },
        "seconds_per_epoch": {
            "CRNNClassifier": statistics.median(ours),
            "bare torch loop": statistics.median(bare),
        },
        "ratio": statistics.median(o / b for o, b in zip(ours, bare, strict=True)),
        "ratios": [o / b for o, b in zip(ours, bare, strict=True)],
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(
        f"CRNNClassifier / bare torch loop: {report['ratio']:.3f} "
        f"({', '.join(f'{r:.3f}' for r in report['ratios'])})\n"
    )


if __name__ == "__main__":
    main()
