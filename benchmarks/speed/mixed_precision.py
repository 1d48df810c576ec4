"""What bfloat16 is worth on this processor: CPU seconds of an epoch, with and without.

    python benchmarks/speed/mixed_precision.py [--widths 0.125 1]

`CRNNClassifier` on a mel spectrogram, one thread. Trainings of one and of more epochs
alternate; an epoch is their difference, so that what a training costs once is left out.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _machine import matrix_rate
from _provenance import provenance

from skaudio.neural_network import CRNNClassifier
from skaudio.views import Views

ROOT = Path(__file__).resolve().parents[2]
RATE, STEPS, BATCH = 50.0, 75, 32
INSTRUCTIONS = ("avx512_bf16", "amx_bf16")


def fit_seconds(X: np.ndarray, width: float, mixed: bool, epochs: int) -> float:
    """CPU seconds of a training."""
    clf = CRNNClassifier(
        width=width,
        max_epochs=epochs,
        batch_size=BATCH,
        segment_length=STEPS / RATE,
        mixed_precision=mixed,
        device="cpu",
        random_state=0,
    )
    start = time.process_time()
    clf.fit(Views({"mel": X}, {"mel": RATE}), np.arange(len(X)) % 10)
    return time.process_time() - start


def epoch_seconds(X: np.ndarray, width: float, mixed: bool, epochs: int) -> float:
    """CPU seconds of an epoch."""
    once = fit_seconds(X, width, mixed, 1)
    return (fit_seconds(X, width, mixed, 1 + epochs) - once) / epochs


def main() -> None:
    """Measure both in turn and write the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--widths", nargs="+", type=float, default=[0.125, 1.0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/mixed_precision.json"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(args.clips, 64, 250)).astype(np.float32)
    fit_seconds(X, args.widths[0], True, 1)  # warms up
    rows = []
    for width in args.widths:
        pairs = [
            [epoch_seconds(X, width, mixed, args.epochs) for mixed in (False, True)]
            for _ in range(args.rounds)
        ]
        plain, mixed = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(p / m for p, m in pairs)
        rows.append({"width": width, "float32": plain, "bfloat16": mixed})
        rows[-1]["times as fast"] = ratio
        sys.stdout.write(f"{width:g}: {plain:.2f} s, {mixed:.2f} s, {ratio:.2f} x\n")
    matrices = {str(mixed): matrix_rate("cpu", mixed) / 1e9 for mixed in (False, True)}
    sys.stdout.write(f"matrix products, Gflop/s: {matrices}\n")
    report = {
        "provenance": provenance(0),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "settings": {key: getattr(args, key) for key in ("clips", "epochs", "rounds")},
        "cpu_seconds_per_epoch": rows,
        "matrix_products_gflops": {
            "float32": matrices["False"],
            "bfloat16": matrices["True"],
        },
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
