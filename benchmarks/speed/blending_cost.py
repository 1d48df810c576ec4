"""What blending costs: evaluating branches, and one network instead of four.

    python benchmarks/speed/blending_cost.py

Two ratios by public API, on made-up clips of 5 s and one thread, in interleaved rounds:

- training with the default evaluation of branch losses against the same training with
  none in between;
- an epoch of the network on four views with five branches against the sum of an epoch
  of each of the four single-view networks.

And the cost of views that are computed inside the network, segment by segment, against
the same training on views computed before; segments per second; and which share of the
matrix rate that this machine reaches (products of 2048 x 2048, same precision) the
training step gets out of it.
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
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _machine import matrix_rate
from _provenance import provenance
from torch.utils.flop_counter import FlopCounterMode

from skaudio.neural_network import (
    Blending,
    CRNNClassifier,
    MultiViewBlendingClassifier,
)
from skaudio.nn import MultiViewCRNN
from skaudio.preprocessing import ViewScaler
from skaudio.views import make_view_union

ROOT = Path(__file__).resolve().parents[2]
SR, SECONDS, N_CLASSES = 22050, 5, 10
NAMES = ("mel", "gammatone", "cqt", "raw")
NEVER = 10**6


def operations_per_segment(X: Any, width: float) -> float:
    """Of one training step: forward and backward of the four-view network."""
    views = {name: (X.n_bins[name], float(X.rates[name])) for name in NAMES}
    net = MultiViewCRNN(views, N_CLASSES, width=width, attention="temporal")
    segments = {
        name: torch.randn(2, n_bins, round(1.5 * rate))
        for name, (n_bins, rate) in views.items()
    }
    with FlopCounterMode(display=False) as counter:
        sum(out.sum() for out in net(segments).values()).backward()
    return counter.get_total_flops() / 2


def clock(classifier: Any, X: Any, y: np.ndarray, groups: np.ndarray) -> float:
    """Seconds of a fit."""
    start = time.perf_counter()
    classifier.fit(X, y, groups=groups)
    return time.perf_counter() - start


def epoch_seconds(classifier: Any, X: Any, y: np.ndarray) -> float:
    """Median epoch of a fit, without the first."""
    classifier.fit(X, y)
    return statistics.median(row["seconds"] for row in classifier.history_[1:])


def one_round(
    X: Any, y: np.ndarray, waves: Any, turn: int, args: argparse.Namespace
) -> dict[str, float]:
    """Every measurement once."""
    groups = np.arange(len(y))
    common: dict[str, Any] = {
        "width": args.width,
        "segment_length": 1.5,
        "attention": "temporal",
        "device": args.device,
        "mixed_precision": args.mixed_precision,
        "random_state": 0,
    }
    seconds: dict[str, float] = {}
    periods: list[tuple[str, Any]] = [("evaluated", "auto"), ("not evaluated", NEVER)]
    for name, period in periods[:: -1 if turn % 2 else 1]:
        rule = Blending(rule="uniform", period=period)
        clf = MultiViewBlendingClassifier(blending=rule, **common)
        clf.set_params(max_epochs=args.fit_epochs)
        seconds[name] = clock(clf, X, y, groups)
    short = {**common, "max_epochs": args.epochs}
    uniform = {"blending": "uniform", "validation_fraction": None}
    clf = MultiViewBlendingClassifier(**uniform, **short)
    seconds["four views at once"] = epoch_seconds(clf, X, y)
    for name in NAMES:
        seconds[name] = epoch_seconds(CRNNClassifier(**short), X.select([name]), y)
    clf.set_params(views=make_view_union(*NAMES, sr=SR))
    seconds["four views inside"] = epoch_seconds(clf, waves, y)
    return seconds


def main() -> None:
    """Measure in rounds and write medians of ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--clips", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--fit-epochs", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mixed-precision", action="store_true")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/blending_cost.json"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    source = provenance(0)
    rng = np.random.default_rng(0)
    waves = rng.standard_normal((args.clips, SECONDS * SR), dtype=np.float32)
    y = np.arange(args.clips) % N_CLASSES
    X = ViewScaler().fit_transform(make_view_union(*NAMES, sr=SR).transform(waves))
    CRNNClassifier(width=args.width, max_epochs=1).fit(X.select(["mel"]), y)  # warm up
    rate = matrix_rate(args.device, args.mixed_precision)
    rounds = [one_round(X, y, waves, turn, args) for turn in range(args.rounds)]
    seconds = {k: statistics.median(r[k] for r in rounds) for k in rounds[0]}
    per_second = args.clips / seconds["four views at once"]
    operations = operations_per_segment(X, args.width)
    ratios = {
        "evaluated / not evaluated": [
            r["evaluated"] / r["not evaluated"] for r in rounds
        ],
        "four views at once / sum of single views": [
            r["four views at once"] / sum(r[n] for n in NAMES) for r in rounds
        ],
        "views inside / computed before": [
            r["four views inside"] / r["four views at once"] for r in rounds
        ],
    }
    report = {
        "provenance": source,
        "settings": {
            k: getattr(args, k)
            for k in (
                "width clips epochs fit_epochs rounds device mixed_precision".split()
            )
        },
        "seconds": seconds,
        "segments_per_second": per_second,
        "operations_per_segment": operations,
        "matrix_rate": rate,
        "share_of_matrix_rate": per_second * operations / rate,
        "ratios": {name: statistics.median(values) for name, values in ratios.items()},
        "all_ratios": ratios,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(
        f"{per_second:.1f} segments per second, {operations / 1e6:.0f} M operations "
        f"each: {report['share_of_matrix_rate']:.0%} of {rate / 1e9:.0f} G per second\n"
    )
    for name, values in ratios.items():
        shown = ", ".join(f"{value:.3f}" for value in values)
        sys.stdout.write(f"{name}: {statistics.median(values):.3f} ({shown})\n")


if __name__ == "__main__":
    main()
