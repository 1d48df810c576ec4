"""The multi-view paper's rows and the rules of blending on ESC-10, with error bars.

    python benchmarks/papers/multiview.py [--data ../shared/data/esc10]
        [--budget cpu] [--systems mel ...] [--folds 1 2 3 4 5] [--seeds 0 1 2]
        [--device cpu] [--jobs 2]

Every (seed, system, fold) is one job, kept in ``--cache`` as soon as it is done, so an
interrupted run goes on where it stopped, and more seeds or systems only add to it. All
systems see the same clips: the official folds, and within them the same held-out
sources for model selection and weights. Late fusion is the mean of the four single
views' probabilities, which is what `LateFusionClassifier` gives with the same seeds.

``--budget cpu-long`` trains narrow networks long, on views inside the network, with
mixing between classes, gain and shift; its single views train on all clips. A training
that is interrupted goes on from its last epoch. The systems of ``VARIANTS`` differ from
the budget in one thing; they have a results file of their own.

Differences are paired by clip: correct or not, mean over seeds, with a 95 % interval
from 10,000 bootstrap samples of sources (clips of one recording stay together).
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio.datasets import load_audio_files
from skaudio.neural_network import (
    Augmentation,
    Blending,
    CRNNClassifier,
    MultiViewBlendingClassifier,
)
from skaudio.papers import phan2021
from skaudio.preprocessing import AudioLoader, ViewScaler
from skaudio.views import Views, make_view_union

ROOT = Path(__file__).resolve().parents[2]
SINGLE = ("mel", "gammatone", "cqt", "raw")
# once per epoch of ESC-10, which has 9 steps; the paper's numbers are lost
SHORT = {"period": 9, "window": 8}
UNSMOOTHED = {"momentum": 0.0, "min_weight": 0.0, **SHORT}
RULES: dict[str, dict[str, Any]] = {
    "concatenation": {"rule": "none"},
    "uniform": {"rule": "uniform", **SHORT},
    "paper": {"rule": "adaptive", **UNSMOOTHED},
    "smoothed": {"rule": "adaptive", "momentum": 0.8, "min_weight": 0.05, **SHORT},
    "fixed-reference": {"rule": "fixed-reference", **UNSMOOTHED},
    "paper-literal": {"rule": "adaptive", "smoothing": "reference", **UNSMOOTHED},
}
DEFAULT = "smoothed"  # what blending="adaptive" is
# system it is compared with, view instead of its own, parameters of the classifier
VARIANTS: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "mel-spatio-temporal": ("mel", None, {"attention": "spatio-temporal"}),
    "mel-dropout": ("mel", None, {"dropout": 0.1}),
    "raw-44100": ("raw", "raw-44100", {}),
    "smoothed-spatio-temporal": ("smoothed", None, {"attention": "spatio-temporal"}),
    "smoothed-dropout": ("smoothed", None, {"dropout": 0.1}),
}
SYSTEMS = (*SINGLE, *RULES)
OUTSIDE = {"inside": False, "sr_raw": 11025}
MIXED = {"gain": 6.0, "shift": True, "mix": "between-class"}
BUDGETS: dict[str, dict[str, Any]] = {
    # to see that everything runs
    "smoke": {"width": 0.05, "max_epochs": 2, "dropout": 0.0, **OUTSIDE},
    # narrow networks, which need no dropout, on views that are computed once
    "cpu": {"width": 0.125, "max_epochs": 30, "dropout": 0.0, **OUTSIDE},
    # narrow networks, which mixing lets train long: single views on all clips
    "cpu-long": {
        **{"width": 0.125, "max_epochs": 400, "dropout": 0.0, "inside": True},
        **{"augmentation": MIXED | {"mix_probability": 1.0}, "hold_out": False},
    },
    # full widths on views inside the network, with augmentation
    "gpu": {
        **{"width": 1.0, "max_epochs": 400, "dropout": 0.1, "inside": True},
        "augmentation": MIXED | {"mix_probability": 0.5},
    },
    # the paper's training
    "paper": {
        **{"width": 1.0, "max_epochs": 2000, "dropout": 0.25, "inside": True},
        **{"augmentation": {}, "recipe": phan2021()},
    },
}
SR = 44100
COMMON = {"segment_length": 1.5, "validation_fraction": 0.1}


def kind_of(system: str) -> str:
    """A single view or a rule: the system itself, or what it is a variant of."""
    return VARIANTS[system][0] if system in VARIANTS else system


def build(system: str, seed: int, fold: int, args: argparse.Namespace) -> Any:
    """Return the classifier of a system, ready for what `load` gives."""
    budget = BUDGETS[args.budget]
    options: dict[str, Any] = {
        **COMMON,
        "width": budget["width"],
        "dropout": budget["dropout"],
        "max_epochs": args.epochs or budget["max_epochs"],
        "attention": "temporal",
        "device": args.device,
        # another start in every fold, or one lucky or unlucky one decides about a seed
        "random_state": 100 * seed + fold,
    }
    kind = kind_of(system)
    recipe = {k: v for k, v in budget.get("recipe", {}).items() if k != "blending"}
    options |= recipe | {"max_epochs": options["max_epochs"]}
    if budget["inside"]:
        options["views"] = make_view_union(*_views_of(system), sr=SR)
        options["augmentation"] = Augmentation(**budget["augmentation"])
        on_cuda = args.device.startswith("cuda")
        options["mixed_precision"] = on_cuda and not args.full_precision
    if kind in SINGLE and not budget.get("hold_out", True):
        options["validation_fraction"] = None
    options |= VARIANTS[system][2] if system in VARIANTS else {}
    if kind in SINGLE:
        return CRNNClassifier(**options)
    return MultiViewBlendingClassifier(blending=Blending(**RULES[kind]), **options)


def _views_of(system: str) -> tuple[str, ...]:
    """Names of the views of a system; inside the network all are at 44.1 kHz."""
    kind = kind_of(system)
    return (kind,) if kind in SINGLE else SINGLE


def load(paths: list[str], args: argparse.Namespace) -> Any:
    """Input of all systems: waveforms, or views that are computed once."""
    budget = BUDGETS[args.budget]
    if budget["inside"]:
        return list(AudioLoader(sr=SR, trim_silence=True).transform(paths))
    spectra = make_view_union("mel", "gammatone", "cqt", sr=SR, trim_silence=True)
    spectra = spectra.transform(paths)
    arrays = {name: spectra[name] for name in spectra.names}
    rates = dict(spectra.rates)
    raws = {"raw": budget["sr_raw"]}
    if "raw-44100" in args.systems:
        raws["raw-44100"] = SR
    for name, sr in raws.items():
        raw = make_view_union("raw", sr=sr, trim_silence=True).transform(paths)
        arrays[name], rates[name] = raw["raw"], raw.rates["raw"]
    return Views(arrays, rates)


def rows_of(X: Any, rows: np.ndarray) -> Any:
    """Clips ``rows`` of views or of a list of waveforms."""
    return X[rows] if isinstance(X, Views) else [X[i] for i in rows]


def run(
    system: str, seed: int, fold: int, X: Any, table: Any, args: argparse.Namespace
) -> dict[str, Any]:
    """Train on the other folds, test on one; results come from the cache if there."""
    cached = args.cache / f"multiview-{args.budget}-{args.epochs or 'default'}"
    path = cached / f"{system}-seed{seed}-fold{fold}.json"
    if path.exists():
        return json.loads(path.read_text())
    train, test = (
        np.flatnonzero(table.folds != fold),
        np.flatnonzero(table.folds == fold),
    )
    if isinstance(X, Views):
        view = VARIANTS[system][1] if system in VARIANTS else None
        X = X.select([view] if view else list(_views_of(system)))
    clf = build(system, seed, fold, args)
    # ViewScaler is inside the classifier where views are
    model = (
        make_pipeline(ViewScaler(), clf) if isinstance(X, Views) else make_pipeline(clf)
    )
    step = model.steps[-1][0]
    checkpoint = path.with_suffix(".checkpoint")
    cached.mkdir(parents=True, exist_ok=True)
    options = {f"{step}__groups": table.groups[train]}
    if args.checkpoint:
        options[f"{step}__checkpoint"] = checkpoint
    cpu, wall = time.process_time(), time.perf_counter()
    model.fit(rows_of(X, train), table.target[train], **options)
    result: dict[str, Any] = {
        "system": system,
        "seed": seed,
        "fold": fold,
        "cpu_seconds": time.process_time() - cpu,
        "seconds": time.perf_counter() - wall,
        "rows": test.tolist(),
        "target": table.target[test].tolist(),
        "commit": provenance(seed)["commit"],
    }
    X_test = rows_of(X, test)
    if kind_of(system) in SINGLE:
        branches = {system: model.predict_proba(X_test)}
    else:
        branches = model[-1].branch_proba(
            model[:-1].transform(X_test) if model[:-1] else X_test
        )
        result["branch_weights"] = model[-1].branch_weights_.tolist()
        result["history"] = [
            [r["weight"], r["train_loss"], r["valid_loss"]]
            for r in model[-1].blending_history_
        ]
    result["branches"] = {k: np.round(p, 5).tolist() for k, p in branches.items()}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result))
    part.replace(path)
    checkpoint.unlink(missing_ok=True)
    return result


# ------------------------------------------------------------------------- analysis


def decisions(results: list[dict[str, Any]]) -> dict[str, dict[tuple[int, int], Any]]:
    """For every row of the table: (seed, fold) to clips, and whether each is right."""
    rows: dict[str, dict[tuple[int, int], Any]] = {}

    def add(name: str, r: dict[str, Any], proba: np.ndarray) -> None:
        right = proba.argmax(axis=1) == np.array(r["target"])
        rows.setdefault(name, {})[r["seed"], r["fold"]] = (np.array(r["rows"]), right)

    by_job = {(r["system"], r["seed"], r["fold"]): r for r in results}
    for (system, seed, fold), r in by_job.items():
        branches = {k: np.array(p) for k, p in r["branches"].items()}
        if kind_of(system) in SINGLE:
            add(system, r, branches[system])
            apart = [by_job.get((name, seed, fold)) for name in SINGLE]
            if system == SINGLE[0] and all(apart):
                probas = [np.array(p["branches"][p["system"]]) for p in apart]
                add("late fusion", r, np.mean(probas, axis=0))
            continue
        for name, proba in branches.items():
            add(f"{system}: {name} branch", r, proba)
        if len(branches) > 1:
            probas = np.stack(list(branches.values()))
            add(
                f"{system}: self-ensemble",
                r,
                np.tensordot(r["branch_weights"], probas, 1),
            )
            add(f"{system}: plain mean of branches", r, probas.mean(axis=0))
    return rows


def accuracies(row: dict[tuple[int, int], Any]) -> dict[str, Any]:
    """Mean over all clips and seeds, and per seed over the folds that are there."""
    seeds = sorted({seed for seed, _ in row})
    per_seed = [
        100
        * float(np.concatenate([v for k, (_, v) in row.items() if k[0] == s]).mean())
        for s in seeds
    ]
    folds = {
        f"{s}/{f}": 100 * float(v.mean()) for (s, f), (_, v) in sorted(row.items())
    }
    return {
        "mean": float(np.mean(per_seed)),
        "sd_of_seeds": float(np.std(per_seed, ddof=1)) if len(seeds) > 1 else None,
        "per_seed": per_seed,
        "per_seed_and_fold": folds,
    }


def paired(
    a: dict[tuple[int, int], Any], b: dict[tuple[int, int], Any], groups: np.ndarray
) -> dict[str, Any]:
    """Difference a - b in points over what both have, with a bootstrap interval."""
    both = sorted(set(a) & set(b))
    total = np.zeros(len(groups))
    count = np.zeros(len(groups))
    for key in both:
        clips, right = a[key]
        np.add.at(total, clips, right.astype(float) - b[key][1])
        np.add.at(count, clips, 1)
    sources = np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(sources, total)
    counts = np.bincount(sources, count)
    # of folds that only one of them has, no source is to be drawn
    sums, counts = sums[counts > 0], counts[counts > 0]
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(sums), (10_000, len(sums)))
    means = 100 * sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {
        "difference": 100 * float(total.sum() / count.sum()),
        "interval": [float(low), float(high)],
        "seeds_and_folds": len(both),
    }


def comparisons(rows: dict[str, Any], groups: np.ndarray) -> dict[str, Any]:
    """What the paper and the issue ask: ensembles against baselines, rules, order."""
    pairs = []
    for rule in RULES:
        ensemble, joint = f"{rule}: self-ensemble", f"{rule}: joint branch"
        baselines = ["late fusion", "concatenation: joint branch", *SINGLE]
        pairs += [(ensemble, name) for name in [joint, *baselines]]
        pairs += [(joint, name) for name in baselines[:2]]
        pairs += [(x, x.replace(rule, "uniform")) for x in (ensemble, joint)]
    for name, (base, _, _) in VARIANTS.items():
        suffix = "" if base in SINGLE else ": self-ensemble"
        pairs.append((name + suffix, base + suffix))
    return {
        f"{a} - {b}": paired(rows[a], rows[b], groups)
        for a, b in pairs
        if a != b and a in rows and b in rows
    }


def jaggedness(results: list[dict[str, Any]]) -> dict[str, Any]:
    """How the weights of a rule behave: does one branch take all, or starve?"""
    report = {}
    for rule in RULES:
        histories = [
            np.array([h[0] for h in r["history"]]).reshape(-1, len(r["branch_weights"]))
            for r in results
            if r["system"] == rule and len(r["branch_weights"]) > 1
        ]
        if histories:
            # of a training that ends before its weights adapt, all
            first = SHORT["window"] + 1
            weights = np.concatenate(
                [h[first:] if len(h) > first else h for h in histories]
            )
            report[rule] = {
                "one_branch_above_95_percent": float((weights.max(1) > 0.95).mean()),
                "joint_branch_without_weight": float((weights[:, -1] < 1e-4).mean()),
                "mean_weights": weights.mean(0).tolist(),
            }
    return report


def main() -> None:
    """Run what is asked for, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default=ROOT.parent / "shared" / "data" / "esc10")
    parser.add_argument("--budget", choices=BUDGETS, default="cpu")
    parser.add_argument(
        "--systems", nargs="+", choices=[*SYSTEMS, *VARIANTS], default=SYSTEMS
    )
    parser.add_argument("--folds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--epochs", type=int, default=None, help="instead of the budget's"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--full-precision", action="store_true")
    parser.add_argument(
        "--checkpoint",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="where epochs are short, writing hundreds of megabytes takes longer",
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=ROOT / ".benchmark_cache")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument(
        "--report", action="store_true", help="only what is in the cache"
    )
    args = parser.parse_args()
    source = provenance(None)  # before: the tree may change while this runs
    table = load_audio_files(Path(args.data) / "esc10.csv")
    jobs = [
        (s, seed, f) for seed in args.seeds for s in args.systems for f in args.folds
    ]
    if args.report:
        cache = args.cache / f"multiview-{args.budget}-{args.epochs or 'default'}"
        names = [cache / f"{s}-seed{seed}-fold{f}.json" for s, seed, f in jobs]
        results = [json.loads(path.read_text()) for path in names if path.exists()]
    else:
        X = load(table.paths, args)
        results = Parallel(n_jobs=args.jobs, verbose=5)(
            delayed(run)(*job, X, table, args) for job in jobs
        )
    rows = decisions(results)
    seeds = sorted({r["seed"] for r in results})
    commits = sorted({r["commit"] for r in results})  # of the runs, not of this table
    report = {
        "provenance": {**source, "commit": " ".join(commits), "seed": seeds},
        "default_rule": DEFAULT,
        "settings": {
            **COMMON,
            **{k: v for k, v in BUDGETS[args.budget].items() if k != "recipe"},
            **({"max_epochs": args.epochs} if args.epochs else {}),
            "budget": args.budget,
            "device": args.device,
            "mixed_precision": args.device.startswith("cuda")
            and not args.full_precision,
            "rules": RULES,
        },
        "accuracy": {name: accuracies(row) for name, row in rows.items()},
        "paired_differences": comparisons(rows, np.asarray(table.groups)),
        "weights": jaggedness(results),
        "cpu_seconds_per_fit": {
            s: float(np.mean([r["cpu_seconds"] for r in results if r["system"] == s]))
            for s in dict.fromkeys(r["system"] for r in results)
        },
    }
    for name, row in report["accuracy"].items():
        seeds = "  ".join(f"{a:5.1f}" for a in row["per_seed"])
        sys.stdout.write(f"{name:42s} {row['mean']:5.1f}   {seeds}\n")
    for name, pair in report["paired_differences"].items():
        low, high = pair["interval"]
        sys.stdout.write(
            f"{pair['difference']:+5.1f} [{low:+5.1f}, {high:+5.1f}]  {name}\n"
        )
    args.output.mkdir(parents=True, exist_ok=True)
    variants = "_variants" if set(args.systems) & set(VARIANTS) else ""
    path = args.output / f"multiview_{args.budget}{variants}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
