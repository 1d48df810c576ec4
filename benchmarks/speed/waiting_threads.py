"""What waiting threads cost: one training on idle cores and beside busy processes.

    python benchmarks/speed/waiting_threads.py

OpenMP's threads spin while they wait for each other, and beside a busy process they
wait for one that does not run. Ways of starting Python are compared in turn, each in a
process of its own: `one` thread; torch as it `spins` by default; skaudio imported as
usual (`default`); skaudio imported after torch (`torch first`).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

ROOT = Path(__file__).resolve().parents[2]
TRAINING = """
import sys
{first}
import numpy as np
from skaudio.neural_network import CRNNClassifier
from skaudio.views import Views
width, epochs = float(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(0)
X = Views({{"mel": rng.normal(size=(64, 64, 250)).astype(np.float32)}}, {{"mel": 50.0}})
clf = CRNNClassifier(width=width, max_epochs=epochs, segment_length=1.5, random_state=0)
clf.fit(X, np.arange(64) % 4)
print(np.median([row["seconds"] for row in clf.history_[1:]]))
"""
SPIN_AS_LIBGOMP_DOES = "300000"  # turns, its default
WAYS = {
    "one": ("", {"OMP_NUM_THREADS": "1"}),
    "spins": ("", {"GOMP_SPINCOUNT": SPIN_AS_LIBGOMP_DOES}),
    "default": ("", {}),
    "torch first": ("import torch", {}),
}
NOT_SET = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def seconds(way: str, width: float, epochs: int) -> float:
    """Seconds per epoch of one training, started in one of the ways."""
    first, settings = WAYS[way]
    kept = {name: v for name, v in os.environ.items() if name not in NOT_SET}
    done = subprocess.run(
        [sys.executable, "-c", TRAINING.format(first=first), str(width), str(epochs)],
        env={**kept, "PYTHONPATH": str(ROOT), **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def _burn() -> None:
    while True:
        pass


def measure(n_busy: int, width: float, epochs: int, rounds: int) -> dict[str, float]:
    """Median seconds per epoch of every way, beside some busy processes."""
    context = multiprocessing.get_context("spawn")
    busy = [context.Process(target=_burn, daemon=True) for _ in range(n_busy)]
    for process in busy:
        process.start()
    time.sleep(1)
    try:
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, values in found.items():
                values.append(seconds(way, width, epochs))
    finally:
        for process in busy:
            process.kill()
    return {way: statistics.median(values) for way, values in found.items()}


def main() -> None:
    """Measure and write the seconds and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--widths", type=float, nargs="+", default=[0.125, 0.25])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=2)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/waiting_threads.json"
    )
    args = parser.parse_args()
    rows = []
    for width in args.widths:
        for n_busy in (0, args.busy):
            found = measure(n_busy, width, args.epochs, args.rounds)
            against = min(found.values()) if not n_busy else found["one"]
            ratios = {way: value / against for way, value in found.items()}
            rows.append(
                {"width": width, "busy": n_busy, "seconds": found, "ratios": ratios}
            )
            shown = ", ".join(f"{way} {ratio:.2f}" for way, ratio in ratios.items())
            sys.stdout.write(f"width {width:g}, {n_busy} busy processes: {shown}\n")
    settings = {k: getattr(args, k) for k in ("epochs", "rounds")}
    report = {"provenance": provenance(0), "settings": settings, "rows": rows}
    args.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
