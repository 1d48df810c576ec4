"""ESC-10 with its official folds: views alone, their fusions, and plain baselines.

    python benchmarks/quality/esc10.py [--data ../shared/data/esc10] [--epochs 60]

From audio files to clip accuracy, by public API only. Every (system, fold) is one job;
what is done is kept in ``--cache``, so an interrupted run goes on where it stopped.
Sources (``src_file``) are the groups of the validation split. Late fusion averages the
probabilities of the four single views, which is what `LateFusionClassifier` does with
the same seeds, without training them again.
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
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio.datasets import load_audio_files
from skaudio.ensemble import FrameClassifier
from skaudio.mixture import GMMClassifier
from skaudio.neural_network import (
    Blending,
    CRNNClassifier,
    MultiViewBlendingClassifier,
)
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import MFCCView, Views, make_view_union

ROOT = Path(__file__).resolve().parents[2]
SINGLE = ("mel", "gammatone", "cqt", "raw")
FUSIONS = ("blending", "concatenation", "uniform")
BASELINES = ("mfcc-mlp", "mfcc-gmm")
SR, SR_RAW = 44100, 11025


def load_views(paths: list[str], args: argparse.Namespace) -> dict[str, Any]:
    """Every system's input; the raw view at a quarter of the rate, to suit a CPU."""
    shared: dict[str, Any] = {"trim_silence": True}
    spectra = make_view_union("mel", "gammatone", "cqt", sr=SR, **shared)
    raw = make_view_union("raw", sr=SR_RAW, **shared)
    a, b = spectra.transform(paths), raw.transform(paths)
    views = Views(
        {name: x[name] for x in (a, b) for name in x.names}, {**a.rates, **b.rates}
    )
    # 60 values per frame, as in the paper of the GMM baseline
    mfcc = MFCCView(sr=SR, n_mfcc=20, delta=2, **shared).transform(paths)
    return {"views": views, "mfcc": mfcc}


def build(system: str, args: argparse.Namespace) -> Any:
    """Return the pipeline of a system."""
    common = {
        "width": args.width,
        "max_epochs": args.epochs,
        "attention": "temporal",
        "segment_length": 1.5,
        "lr": args.lr,
        "device": args.device,
        "random_state": args.seed,
    }
    if system in SINGLE:
        return make_pipeline(ViewScaler(), CRNNClassifier(**common))
    if system == "concatenation":
        clf = MultiViewBlendingClassifier(
            blending="none", validation_fraction=None, **common
        )
        return make_pipeline(ViewScaler(), clf)
    if system == "uniform":
        clf = MultiViewBlendingClassifier(
            blending="uniform", validation_fraction=None, **common
        )
        return make_pipeline(ViewScaler(), clf)
    if system == "blending":
        papers_rule = Blending(window=20, momentum=0.0, min_weight=0.0)
        clf = MultiViewBlendingClassifier(blending=papers_rule, **common)
        return make_pipeline(ViewScaler(), clf)
    if system == "mfcc-mlp":
        mlp = MLPClassifier((256,), max_iter=300, random_state=args.seed)
        return make_pipeline(FrameStatistics(), StandardScaler(), mlp)
    gmm = GMMClassifier(n_components=32, max_iter=300, random_state=args.seed)
    return FrameClassifier(make_pipeline(StandardScaler(), gmm))


def run(
    system: str, fold: int, data: dict[str, Any], table: Any, args: argparse.Namespace
) -> dict[str, Any]:
    """Train on the other folds, test on one; results come from the cache if there."""
    settings = f"{args.epochs}e-w{args.width}-lr{args.lr}-s{args.seed}"
    cached = args.cache / f"{system}-{settings}-fold{fold}.json"
    if cached.exists():
        return json.loads(cached.read_text())
    X = data["mfcc"] if system in BASELINES else data["views"]
    if system in SINGLE:
        X = X.select([system])
    test = table.folds == fold
    train_rows, test_rows = np.flatnonzero(~test), np.flatnonzero(test)
    y = table.target
    model = build(system, args)
    params: dict[str, Any] = {}
    if system not in BASELINES:
        params[f"{model.steps[-1][0]}__groups"] = table.groups[train_rows]
    cpu, wall = time.process_time(), time.perf_counter()
    model.fit(X[train_rows], y[train_rows], **params)
    result: dict[str, Any] = {
        "system": system,
        "fold": fold,
        "cpu_seconds": time.process_time() - cpu,
        "seconds": time.perf_counter() - wall,
        "proba": np.round(model.predict_proba(X[test_rows]), 5).tolist(),
        "target": y[test_rows].tolist(),
    }
    if system in ("blending", "uniform"):
        scaled = model[:-1].transform(X[test_rows])
        branches = model[-1].branch_proba(scaled)
        result["branches"] = {k: np.round(p, 5).tolist() for k, p in branches.items()}
        result["branch_weights"] = model[-1].branch_weights_.tolist()
        result["blending_history"] = model[-1].blending_history_
    args.cache.mkdir(parents=True, exist_ok=True)
    cached.write_text(json.dumps(result))
    return result


def accuracy(proba: Any, target: Any) -> float:
    """Per cent of clips whose most probable class is the target."""
    return 100 * float(np.mean(np.argmax(proba, axis=1) == np.asarray(target)))


def tabulate(results: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Accuracy per fold of every row of the table that can be filled."""
    by_system: dict[str, list[dict[str, Any]]] = {}
    for r in sorted(results, key=lambda r: r["fold"]):
        by_system.setdefault(r["system"], []).append(r)
    rows = {
        s: [accuracy(r["proba"], r["target"]) for r in rs]
        for s, rs in by_system.items()
    }
    if all(s in by_system for s in SINGLE):
        rows["late fusion"] = [
            accuracy(np.mean([p["proba"] for p in parts], axis=0), parts[0]["target"])
            for parts in zip(*(by_system[s] for s in SINGLE), strict=True)
        ]
    for system in ("blending", "uniform"):
        if system not in by_system:
            continue
        rows[f"{system}: self-ensemble"] = rows.pop(system)
        for branch in (*SINGLE, "joint"):
            rows[f"{system}: {branch} branch"] = [
                accuracy(r["branches"][branch], r["target"]) for r in by_system[system]
            ]
    return rows


def main() -> None:
    """Run what is asked for, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default=ROOT.parent / "shared" / "data" / "esc10")
    parser.add_argument("--systems", nargs="+", default=[*BASELINES, *SINGLE, *FUSIONS])
    parser.add_argument("--folds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--lr", type=float, default=0.004)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=ROOT / ".benchmark_cache")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results")
    args = parser.parse_args()
    source = provenance(args.seed)  # before: the tree may change while this runs
    table = load_audio_files(Path(args.data) / "esc10.csv")
    data = load_views(table.paths, args)
    results = Parallel(n_jobs=args.jobs, verbose=5)(
        delayed(run)(system, fold, data, table, args)
        for system in args.systems
        for fold in args.folds
    )
    rows = tabulate(results)
    for name, folds in rows.items():
        cells = "  ".join(f"{a:5.1f}" for a in folds)
        sys.stdout.write(f"{name:34s} {np.mean(folds):5.1f}   {cells}\n")
    cpu: dict[str, float] = dict.fromkeys(args.systems, 0.0)
    for r in results:
        cpu[r["system"]] += r["cpu_seconds"]
    report = {
        "provenance": source,
        "settings": {k: getattr(args, k) for k in ("epochs", "width", "lr", "folds")},
        "accuracy": {
            k: {"mean": float(np.mean(v)), "folds": v} for k, v in rows.items()
        },
        "cpu_seconds_of_fit": cpu,
    }
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / "esc10.json"
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
