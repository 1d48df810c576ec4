"""Which network of a training is kept, and averaged weights, on ESC-10.

    python benchmarks/quality/averaging.py [--data ../shared/data/esc10]
        [--networks mel multi-view] [--folds 1 2 3 4 5] [--seeds 0 1 2]

The mel network, or the adaptive network of four views, at an eighth of the width for 30
epochs: trained on all clips to the end, or with a tenth of the sources held out to pick
the best network; with and without an average of the weights over some epochs. Every
(network, setting, seed, fold) is one job that is kept in ``--cache``. Differences are
paired by clip, with intervals bootstrapped over sources as in
`benchmarks/papers/multiview.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.pipeline import make_pipeline

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "papers"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance
from multiview import accuracies, load, paired

from skaudio.datasets import load_audio_files
from skaudio.neural_network import (
    CRNNClassifier,
    MultiViewBlendingClassifier,
    Optimizer,
    Validation,
)
from skaudio.preprocessing import ViewScaler
from skaudio.views import make_view_union

ROOT = Path(__file__).resolve().parents[2]
SR = 44100
BASE = {
    **{"width": 0.125, "max_epochs": 30, "dropout": 0.0, "attention": "temporal"},
    **{"segment_length": 1.5, "lr": 0.004},
}
# share of sources held out, what is watched and kept, epochs of the average
SETTINGS: dict[str, tuple[dict[str, Any] | None, float]] = {
    "held out, best score": ({}, 0),
    "all clips": (None, 0),
    "all clips, average of 3": (None, 3),
    "held out, best score, average of 3": ({}, 3),
    "held out, best loss": ({"monitor": "loss"}, 0),
    "all clips, average of 1": (None, 1),
    "held out, last, average of 3": ({"keep": "last"}, 3),
    "held out, best score of 3 segments": ({"n_segments": 3}, 0),
    "all clips, average of 6": (None, 6),
}
NETWORKS: dict[str, tuple[str, ...]] = {
    "mel": tuple(SETTINGS),
    # its weights are adapted on held-out clips
    "multi-view": ("held out, best score", "held out, best score, average of 3"),
}


def build(network: str, setting: str, seed: int, device: str) -> Any:
    """Return the classifier of a setting."""
    watched, epochs = SETTINGS[setting]
    options = {
        "optimizer": Optimizer(average_epochs=epochs),
        "validation_fraction": None if watched is None else Validation(0.1, **watched),
        "device": device,
        "random_state": seed,
        **BASE,
    }
    estimator = CRNNClassifier if network == "mel" else MultiViewBlendingClassifier
    return make_pipeline(ViewScaler(), estimator(**options))


def run(
    job: tuple[str, str, int, int], X: Any, table: Any, args: argparse.Namespace
) -> dict[str, Any]:
    """Train on the other folds, test on one; results come from the cache if there."""
    network, setting, seed, fold = job
    label = f"{network}-{setting.replace(', ', '-').replace(' ', '_')}"
    path = args.cache / "averaging" / f"{label}-seed{seed}-fold{fold}.json"
    if path.exists():
        return json.loads(path.read_text())
    train = np.flatnonzero(table.folds != fold)
    test = np.flatnonzero(table.folds == fold)
    model = build(network, setting, 100 * seed + fold, args.device)
    groups = {f"{model.steps[-1][0]}__groups": table.groups[train]}
    cpu = time.process_time()
    model.fit(X[train], table.target[train], **groups)
    result = {
        **{"network": network, "setting": setting, "seed": seed, "fold": fold},
        "cpu_seconds": time.process_time() - cpu,
        "rows": test.tolist(),
        "right": (model.predict(X[test]) == table.target[test]).tolist(),
        "commit": provenance(seed)["commit"],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result))
    part.replace(path)
    return result


def complete(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Results in the cache of all settings and seeds that have all folds."""
    found = [
        json.loads(p.read_text()) for p in (args.cache / "averaging").glob("*.json")
    ]
    by_key = {(r["network"], r["setting"], r["seed"], r["fold"]): r for r in found}
    results = []
    for network, settings in NETWORKS.items():
        for setting in settings:
            for seed in args.seeds:
                keys = [(network, setting, seed, fold) for fold in args.folds]
                if all(key in by_key for key in keys):
                    results += [by_key[key] for key in keys]
    return results


def analysis(results: list[dict[str, Any]], groups: np.ndarray) -> dict[str, Any]:
    """Accuracy and cost of every setting, and differences from two of them."""
    by_network: dict[str, dict[str, dict[tuple[int, int], Any]]] = {}
    seconds: dict[tuple[str, str], list[float]] = {}
    for r in results:
        rows = by_network.setdefault(r["network"], {}).setdefault(r["setting"], {})
        rows[r["seed"], r["fold"]] = (np.array(r["rows"]), np.array(r["right"]))
        seconds.setdefault((r["network"], r["setting"]), []).append(r["cpu_seconds"])
    return {
        network: {
            setting: {
                **accuracies(row),
                "cpu_seconds_per_fit": float(np.mean(seconds[network, setting])),
                **{
                    f"less {base}": paired(row, rows[base], groups)
                    for base in ("held out, best score", "all clips")
                    if base in rows and base != setting
                },
            }
            for setting, row in rows.items()
        }
        for network, rows in by_network.items()
    }


def main() -> None:
    """Run what is asked for, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default=ROOT.parent / "shared" / "data" / "esc10")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["mel"])
    parser.add_argument("--folds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=ROOT / ".benchmark_cache")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument(
        "--report", action="store_true", help="only what is complete in the cache"
    )
    args = parser.parse_args()
    args.budget, args.systems = "cpu", ()  # of the views that are loaded
    source = provenance(None)  # before: the tree may change while this runs
    table = load_audio_files(Path(args.data) / "esc10.csv")
    results: list[dict[str, Any]] = []
    if args.report:
        results = complete(args)
    for network in [] if args.report else args.networks:
        union = make_view_union("mel", sr=SR, trim_silence=True)
        X = (
            union.transform(table.paths)
            if network == "mel"
            else load(table.paths, args)
        )
        results += Parallel(n_jobs=args.jobs, verbose=5)(
            delayed(run)((network, setting, seed, fold), X, table, args)
            for seed in args.seeds
            for setting in NETWORKS[network]
            for fold in args.folds
        )
    report = analysis(results, np.asarray(table.groups))
    for network, settings in report.items():
        for setting, row in settings.items():
            pair = row.get("less held out, best score", {})
            low, high = pair.get("interval", (np.nan, np.nan))
            sys.stdout.write(
                f"{network:11s}{setting:36s}{row['mean']:6.2f} "
                f"{row['cpu_seconds_per_fit']:6.0f} s "
                f"{pair.get('difference', np.nan):+6.2f} [{low:+.2f}, {high:+.2f}]  "
                f"{' '.join(f'{a:.2f}' for a in row['per_seed'])}\n"
            )
    args.output.mkdir(parents=True, exist_ok=True)
    source |= {
        "commit": " ".join(sorted({r["commit"] for r in results})),
        "seed": sorted({r["seed"] for r in results}),
    }
    (args.output / "averaging.json").write_text(
        json.dumps(
            {"provenance": source, "settings": BASE, "results": report}, indent=1
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
