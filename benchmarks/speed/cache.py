"""What a search over networks costs: is every view of every clip computed once?

    python benchmarks/speed/cache.py --data ../shared/data/esc10 [--clips 120]

A search over 4 candidates of a network in 3 folds, from paths of ESC-10 clips, on one
thread, against its parts: one extraction of the views, and the same search on views
that were computed before. Without a cache; with the ``memory`` of the Pipeline; with
``cache=True``; with a folder, for the first and the second time. And a second search,
over ``n_mels``, with a folder that holds the views of the first.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import ROOT, provenance

from skaudio.cache import clear_cache
from skaudio.neural_network import MultiViewBlendingClassifier
from skaudio.preprocessing import ViewScaler
from skaudio.views import make_view_union

GRID = {"classifier__lr": [0.001, 0.002, 0.004, 0.008]}
FOLDS = 3


def clock(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a call, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def views(cache: Any = False) -> Any:
    """The paper's views."""
    return make_view_union("mel", "gammatone", "cqt", "raw", cache=cache)


def steps_after() -> list[tuple[str, Any]]:
    """What follows the views."""
    network = MultiViewBlendingClassifier(
        width=0.05,
        segment_length=1.5,
        max_epochs=1,
        validation_fraction=None,
        blending="uniform",
        random_state=0,
    )
    return [("scaler", ViewScaler()), ("classifier", network)]


def search(steps: list[tuple[str, Any]], grid: Any = None, **options: Any) -> Any:
    """Four candidates in three folds."""
    return GridSearchCV(Pipeline(steps, **options), grid or GRID, cv=FOLDS, refit=False)


def one_round(paths: list[str], y: np.ndarray, folder: Path) -> dict[str, Any]:
    """Seconds of everything, each once."""

    def searched(cache: Any = False, grid: Any = None, **options: Any) -> Any:
        steps = [("views", views(cache)), *steps_after()]
        return clock(lambda: search(steps, grid, **options).fit(paths, y))

    def scores(found: Any) -> list[float]:
        return found.cv_results_["mean_test_score"].tolist()

    clear_cache()
    extraction, X = clock(lambda: views().transform(paths))
    fits, alone = clock(lambda: search(steps_after()).fit(X, y))
    row: dict[str, Any] = {"extraction": extraction, "fits": fits}
    row["without"], plain = searched()
    row["pipeline_memory"], _ = searched(memory=str(folder / "joblib"))
    row["in_memory"], kept = searched(True)
    row["folder"], stored = searched(folder / "views")
    clear_cache()
    row["folder_again"], again = searched(folder / "views")
    n_mels = {"views__mel__n_mels": [64, 32]}
    row["n_mels_without"], _ = searched(False, n_mels)
    row["n_mels_folder"], _ = searched(folder / "views", n_mels)
    expected = scores(alone)
    row["same_scores"] = all(
        scores(s) == expected for s in (plain, kept, stored, again)
    )
    return row


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data/esc10")
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "cache.json"
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    source = provenance(0)
    table = pd.read_csv(args.data / "esc10.csv").sample(args.clips, random_state=0)
    paths = [str(args.data / "audio" / name) for name in table["filename"]]
    y = table["category"].to_numpy()
    views().transform(paths)  # files are in memory from now on
    rounds = []
    for _ in range(args.rounds):
        folder = Path(tempfile.mkdtemp())
        try:
            rounds.append(one_round(paths, y, folder))
        finally:
            shutil.rmtree(folder)
        sys.stdout.write(json.dumps(rounds[-1]) + "\n")
    middle = {
        key: statistics.median(row[key] for row in rounds)
        for key in rounds[0]
        if key != "same_scores"
    }
    parts = middle["extraction"] + middle["fits"]
    ways = ("without", "pipeline_memory", "in_memory", "folder", "folder_again")
    report = {
        "provenance": source,
        "settings": {
            "clips": args.clips,
            "candidates": len(GRID["classifier__lr"]),
            "folds": FOLDS,
        },
        "seconds": middle,
        "ratio_to_one_extraction_and_the_fits": {k: middle[k] / parts for k in ways},
        "second_run_to_the_fits": middle["folder_again"] / middle["fits"],
        "search_over_n_mels": middle["n_mels_folder"] / middle["n_mels_without"],
        "same_scores": all(row["same_scores"] for row in rounds),
        "rounds": rounds,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
