"""What a second process is worth: extraction and a search, on a local cluster.

    python benchmarks/speed/cluster.py --data ../shared/data/esc10 [--clips 400]

Four views of ESC-10 clips with a cache folder, and a search over 4 candidates of a
network in 2 folds, by dask.distributed with one worker process and with two, one thread
each. With one, joblib leaves the work to the process that asks. Workers are started,
and have done a little of the same work, before the clock runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import ROOT, provenance

from skaudio.neural_network import MultiViewBlendingClassifier
from skaudio.preprocessing import ViewScaler
from skaudio.views import make_view_union

GRID = {"multiviewblendingclassifier__lr": [0.001, 0.002, 0.004, 0.008]}


def clock(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a call, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def views(cache: Any) -> Any:
    """The paper's views."""
    return make_view_union("mel", "gammatone", "cqt", "raw", cache=cache)


@contextlib.contextmanager
def cluster(n_workers: int, paths: list[str]) -> Iterator[None]:
    """A cluster whose workers are ready."""
    import dask
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.ERROR)
    # not MALLOC_TRIM_THRESHOLD_, which makes networks twice as slow: see the guide
    dask.config.set({"distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1}})
    options = {"threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(n_workers=n_workers, **options) as made, Client(made) as client:
        client.run(_warm_up, paths)
        with joblib.parallel_config("dask"):
            yield


def model() -> Any:
    """What is searched."""
    network = MultiViewBlendingClassifier(
        width=0.1,
        segment_length=1.5,
        max_epochs=2,
        validation_fraction=None,
        blending="uniform",
        random_state=0,
    )
    return make_pipeline(ViewScaler(), network)


def _warm_up(paths: list[str]) -> None:
    """Import and load what the measured work needs."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    with tempfile.TemporaryDirectory() as folder:
        X = views(folder).transform(paths)
        model().fit(X, [0, 1, 0, 1]).predict(X)


def one_round(paths: list[str], y: np.ndarray, n_workers: int) -> dict[str, Any]:
    """Seconds of both with so many workers."""
    _warm_up(paths[:4])  # one worker leaves the search to this process
    folder = tempfile.mkdtemp()
    try:
        with cluster(n_workers, paths[:4]):
            extraction, X = clock(lambda: views(folder).transform(paths))
            search = GridSearchCV(model(), GRID, cv=2, refit=False)
            seconds, found = clock(lambda: search.fit(X[:120], y[:120]))
    finally:
        shutil.rmtree(folder)
    scores = found.cv_results_["mean_test_score"].tolist()
    return {"extraction": extraction, "search": seconds, "scores": scores}


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data/esc10")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "cluster.json"
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    source = provenance(0)
    table = pd.read_csv(args.data / "esc10.csv").sample(args.clips, random_state=0)
    paths = [str(args.data / "audio" / name) for name in table["filename"]]
    y = table["category"].to_numpy()
    views(False).transform(paths[:8])
    rounds = []
    for _ in range(args.rounds):
        row = {str(n): one_round(paths, y, n) for n in (1, 2)}
        rounds.append(row)
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()
    report: dict[str, Any] = {
        "provenance": source,
        "settings": {"clips": args.clips, "candidates": 4, "folds": 2},
    }
    for what in ("extraction", "search"):
        one, two = (statistics.median(r[n][what] for r in rounds) for n in "12")
        report[what] = {"one": one, "two": two, "ratio": one / two}
    report["same_scores"] = all(
        row[n]["scores"] == rounds[0]["1"]["scores"] for row in rounds for n in "12"
    )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(report | {"rounds": rounds}, indent=1) + "\n")


if __name__ == "__main__":
    main()
