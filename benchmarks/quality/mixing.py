"""What length, mixing and width are worth for one view on ESC-10, on training folds.

    python benchmarks/quality/mixing.py [--data ../shared/data/esc10] [--grid all]
        [--tests 2 4] [--jobs 1]

Fold 1 is left out of everything here, so that a recipe that is chosen from these curves
can be tested on it, and with it on all folds by `benchmarks/papers/multiview.py`. A
network is trained on three of the folds 2 to 5 and tested on the fourth; all of its
clips are trained on, to the end. Every (setting, fold, seed) is one job that is kept in
``--cache``.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio.datasets import load_audio_files
from skaudio.neural_network import Augmentation, CRNNClassifier
from skaudio.preprocessing import AudioLoader
from skaudio.views import make_view_union

ROOT = Path(__file__).resolve().parents[2]
SR = 44100
FOLDS = (2, 3, 4, 5)
BASE: dict[str, Any] = {
    **{"view": "mel", "width": 0.125, "epochs": 200, "lr": 0.004, "dropout": 0.0},
    **{"segment_length": 1.5, "attention": "temporal", "batch_size": 32},
    "augmentation": {
        **{"gain": 6.0, "shift": True, "mix": "between-class"},
        "mix_probability": 1.0,
    },
}


def _grids() -> dict[str, list[dict[str, Any]]]:
    """Settings by name, each as its differences from `BASE`."""
    lengths = (50, 100, 200, 400)
    return {
        "length": [
            {"epochs": n, "augmentation": {"mix_probability": p} if p else None}
            for n in lengths
            for p in (1.0, 0.5, None)
        ],
        "width": [{"width": w} for w in (0.0625, 0.25)],
        "strength": [
            {"augmentation": {"mix_alpha": 0.4}},
            {"augmentation": {"gain": 0.0}},
            {"augmentation": {"gain": 12.0}},
            {"augmentation": {"freq_mask": 0.2, "time_mask": 0.2}},
        ],
        "training": [
            {"lr": 0.002},
            {"lr": 0.008},
            {"dropout": 0.1},
            {"segment_length": 2.5},
            {"attention": "spatio-temporal"},
        ],
        "view": [{"view": "gammatone"}, {"view": "cqt"}],
    }


def name_of(change: dict[str, Any]) -> str:
    """What a setting is called: its differences from the base."""
    if not change:
        return "base"
    return ",".join(
        f"{k}={name_of(v) if isinstance(v, dict) else v}" for k, v in change.items()
    )


def merged(change: dict[str, Any]) -> dict[str, Any]:
    """The whole setting."""
    setting = {**BASE, **change}
    if isinstance(change.get("augmentation"), dict):
        setting["augmentation"] = {**BASE["augmentation"], **change["augmentation"]}
    return setting


def build(setting: dict[str, Any], seed: int, device: str) -> CRNNClassifier:
    """Return the classifier of a setting."""
    options = dict(setting)
    changes = options.pop("augmentation")
    return CRNNClassifier(
        views=make_view_union(options.pop("view"), sr=SR),
        augmentation=Augmentation(**changes) if changes else None,
        max_epochs=options.pop("epochs"),
        validation_fraction=None,
        device=device,
        random_state=seed,
        **options,
    )


def path_of(
    change: dict[str, Any], test: int, seed: int, args: argparse.Namespace
) -> Path:
    """Where a job is kept."""
    name = name_of(change).replace("=", "-")
    return args.cache / "mixing" / f"{name}-{test}-{seed}.json"


def run(
    change: dict[str, Any],
    test: int,
    seed: int,
    X: Any,
    table: Any,
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Train on the other folds, test on one; results come from the cache if there."""
    name = name_of(change)
    path = path_of(change, test, seed, args)
    if path.exists():
        return json.loads(path.read_text())
    folds = np.asarray(table.folds)
    train = np.flatnonzero(np.isin(folds, FOLDS) & (folds != test))
    held = np.flatnonzero(folds == test)
    y = np.asarray(table.target)
    clf = build(merged(change), 100 * seed + test, args.device)
    cpu = time.process_time()
    clf.fit([X[i] for i in train], y[train])
    seconds = time.process_time() - cpu
    right = clf.predict([X[i] for i in held]) == y[held]
    result = {
        **{"setting": name, "change": change, "test": test, "seed": seed},
        **{"accuracy": 100 * float(right.mean()), "cpu_seconds": seconds},
        "loss": clf.history_[-1]["train_loss"],
        "commit": provenance(seed)["commit"],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result))
    part.replace(path)
    return result


def main() -> None:
    """Run what is asked for, print the table and write the results."""
    grids = _grids()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default=ROOT.parent / "shared" / "data" / "esc10")
    parser.add_argument("--grid", nargs="+", choices=[*grids, "all"], default=["all"])
    parser.add_argument("--tests", nargs="+", type=int, default=[2, 4])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--report", action="store_true", help="only what is in the cache"
    )
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=ROOT / ".benchmark_cache")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results")
    args = parser.parse_args()
    source = provenance(None)  # before: the tree may change while this runs
    table = load_audio_files(Path(args.data) / "esc10.csv")
    X = list(AudioLoader(sr=SR, trim_silence=True).transform(table.paths))
    names = grids if "all" in args.grid else args.grid
    changes = {name_of(c): c for grid in names for c in grids[grid]}
    jobs = [
        (change, test, seed)
        for seed in args.seeds
        for change in changes.values()
        for test in args.tests
    ]
    if args.report:
        jobs = [job for job in jobs if path_of(*job, args).exists()]
    results = Parallel(n_jobs=args.jobs, verbose=5)(
        delayed(run)(*job, X, table, args) for job in jobs
    )
    report: dict[str, Any] = {
        "provenance": {
            **source,
            "commit": " ".join(sorted({r["commit"] for r in results})),
            "seed": args.seeds,
        },
        "base": BASE,
        "tests": args.tests,
        "settings": {},
    }
    for name, change in changes.items():
        own = [r for r in results if r["setting"] == name]
        if not own:
            continue
        report["settings"][name] = {
            "change": change,
            "tests": sorted({r["test"] for r in own}),
            "accuracy": float(np.mean([r["accuracy"] for r in own])),
            "per_fold_and_seed": [r["accuracy"] for r in own],
            "train_loss": float(np.mean([r["loss"] for r in own])),
            "cpu_seconds": float(np.mean([r["cpu_seconds"] for r in own])),
        }
    for name, row in report["settings"].items():
        sys.stdout.write(
            f"{row['accuracy']:6.2f} {row['train_loss']:7.3f} "
            f"{row['cpu_seconds']:8.0f} s  {name}\n"
        )
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "mixing.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
