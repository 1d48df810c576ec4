"""What a search over probes costs: is every clip embedded once?

    python benchmarks/speed/probe_cost.py [--clips 400] [--width 0.25]

A grid of 10 candidates in 5 folds over ``make_probe(LayerEmbedder(...))`` on 400 clips
of 5 s, on one thread, against its parts: one extraction of all embeddings, and the same
search over the head alone on embeddings that were computed before. The target is 1.3
times the sum of the parts. Without the cache the search has to embed about 55 times.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio.cache import clear_cache
from skaudio.datasets import make_sounds
from skaudio.embedding import LayerEmbedder, make_probe
from skaudio.neural_network import SampleCNNClassifier

SR = 8000
GRID = {"head__alpha": np.logspace(-5, 1, 10).tolist()}
FOLDS = 5


def clock(function: Any) -> tuple[float, Any]:
    """Seconds of a call, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def search(probe: Any) -> GridSearchCV:
    """Ten candidates in five folds."""
    return GridSearchCV(probe, GRID, cv=FOLDS)


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).resolve().parents[1] / "results" / "probe_cost.json",
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    source = provenance(0)
    X, y = make_sounds(n_clips=args.clips, duration=5.0, sr=SR, random_state=0)
    network = SampleCNNClassifier(
        sr=SR,
        width=args.width,
        max_epochs=1,
        lr_schedule="constant",
        validation_fraction=None,
        random_state=0,
    ).fit(X[:40], y[:40])
    embedder = LayerEmbedder(FrozenEstimator(network))
    probe = make_probe(embedder, head="mlp", max_iter=50, random_state=0)
    rounds = []
    for _ in range(args.rounds):
        clear_cache()
        extraction, Z = clock(lambda: embedder.fit_transform(X))
        heads, alone = clock(lambda Z=Z: search(probe[1:]).fit(Z, y))
        clear_cache()
        together, found = clock(lambda: search(probe).fit(X, y))
        same = np.array_equal(
            alone.cv_results_["mean_test_score"], found.cv_results_["mean_test_score"]
        )
        rounds.append(
            {
                "extraction": extraction,
                "heads": heads,
                "search": together,
                "ratio": together / (extraction + heads),
                "same_scores": same,
            }
        )
        sys.stdout.write(json.dumps(rounds[-1]) + "\n")
    report = {
        "provenance": source,
        "settings": {
            "clips": args.clips,
            "seconds": 5.0,
            "sr": SR,
            "width": args.width,
            "folds": FOLDS,
            "candidates": len(GRID["head__alpha"]),
        },
        **{
            key: statistics.median(row[key] for row in rounds)
            for key in ("extraction", "heads", "search", "ratio")
        },
        "same_scores": all(row["same_scores"] for row in rounds),
        "rounds": rounds,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
