"""What the defaults of networks cost and give, on three sets of different size.

    python benchmarks/quality/defaults.py [--data ../shared/data] [--networks crnn ...]
        [--sets esc10 philharmonia fsdd-takes fsdd-speakers] [--folds 1] [--seeds 0]

* ``esc10``: 400 clips of 5 s, official folds (those of ``--folds`` are tested on).
* ``philharmonia``: 12 instruments, 480 notes of 0.8 s (median) at C, D, E and G#,
  tested on 1,061 at F# and A#.
* ``fsdd-takes``: 500 digits of 0.4 s by two speakers; every fifth take is for the test.
* ``fsdd-speakers``: the same, trained on one speaker and tested on the other.

A network is varied in one parameter at a time from a base: width, length of segments,
number of epochs, dropout, attention. What would take too long is not trained: its cost
is estimated from one epoch on 32 clips. Views are computed before, and their cost is
not counted. Every (network, set, setting, split, seed) is one job, kept in ``--cache``.

The rule for a width: the narrowest whose accuracy is within one standard error (of the
share of right clips) of the best one trained on that set, and of these the widest over
sets.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.pipeline import make_pipeline

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance
from _remember import remembered

from skaudio.neural_network import (
    CRNNClassifier,
    MultiViewBlendingClassifier,
    SampleCNNClassifier,
    SpectrogramCNNClassifier,
)
from skaudio.preprocessing import AudioLoader, ViewScaler
from skaudio.views import CQTView, MelView, STFTView, Views, make_view_union

ROOT = Path(__file__).resolve().parents[2]
SETS = ("esc10", "philharmonia", "fsdd-takes", "fsdd-speakers")
RATES = {"esc10": 44100, "philharmonia": 22050, "fsdd-takes": 8000}
TEST_NOTES = ("Fs", "As")
PROBE_CLIPS = 32  # whose epoch is measured for an estimate: one step
WIDE = (0.5, 1.0)
SHORT = {"optimizer": "adam", "lr": 0.004, "lr_schedule": "one-cycle"}
CRNN = {"dropout": 0.1, "max_epochs": 30, "width": 0.125, "attention": "temporal"}
# input, class, base, changes that are trained, changes whose cost is estimated
NETWORKS: dict[str, tuple[str, Any, dict[str, Any], list[Any], list[Any]]] = {
    "crnn": (
        "mel",
        CRNNClassifier,
        CRNN,
        [
            *({}, {"width": 0.0625}, {"width": 0.25}),
            *({"segment_length": n} for n in (1.0, 1.5, None)),
            *({"max_epochs": 60}, {"attention": "spatio-temporal"}),
        ],
        [*({"width": w} for w in WIDE), {"width": 1.0, "segment_length": None}],
    ),
    "spectrogram-cnn": (
        "stft",
        SpectrogramCNNClassifier,
        {"dropout": 0.1, "max_epochs": 30, "width": 0.25},
        [{}, {"width": 0.125}, {"dropout": 0.5}],
        [*({"width": w} for w in WIDE), {"width": 1.0, "segment_length": None}],
    ),
    "samplecnn": (
        "sound",
        SampleCNNClassifier,
        {"sr": 8000, "max_epochs": 15, "width": 0.125, **SHORT},
        [{}, {"width": 0.0625}, {"width": 0.25}],
        [{"width": w} for w in WIDE],
    ),
    "multiview": (
        "views",
        MultiViewBlendingClassifier,
        {**CRNN, "validation_fraction": 0.1},
        [{}, {"width": 0.0625}],
        [
            *({"width": w} for w in (0.25, *WIDE)),
            {"width": 1.0, "segment_length": None},
        ],
    ),
}


def table_of(data: Path, name: str) -> tuple[list[str], np.ndarray, list[Any]]:
    """Paths, labels and parts for training and test of a set."""
    folder = "fsdd" if name.startswith("fsdd") else name
    table = pd.read_csv(data / folder / f"{folder}.csv")
    if name == "esc10":
        y = table.category
        splits = [np.flatnonzero(table.fold == fold) for fold in range(1, 6)]
    elif name == "philharmonia":
        in_test = table.note.str.replace(r"\d", "", regex=True).isin(TEST_NOTES)
        drawn = table[~in_test].groupby("instrument").sample(40, random_state=0)
        table = pd.concat([drawn.sort_index(), table[in_test]], ignore_index=True)
        y, splits = table.instrument, [np.arange(len(drawn), len(table))]
    else:
        y = table.digit
        splits = [np.flatnonzero(table["take"] % 5 == 0)]
        if name == "fsdd-speakers":
            splits = [np.flatnonzero(table.speaker == s) for s in ("george", "jackson")]
    paths = [str(data / folder / "audio" / file) for file in table.filename]
    everything = np.arange(len(table))
    return (
        paths,
        y.to_numpy(),
        [(np.setdiff1d(everything, test), test) for test in splits],
    )


def inputs(kind: str, name: str, data: Path) -> Any:
    """Clips as a network takes them."""
    paths, _, _ = table_of(data, name)
    sr = RATES.get(name, 8000)
    trim = {"trim_silence": True}
    if kind == "sound":
        return list(AudioLoader(sr=8000, **trim).transform(paths))
    if kind == "mel":
        return make_view_union(MelView(sr=sr, **trim)).transform(paths)
    if kind == "stft":
        view = STFTView(sr=min(sr, 11025), n_fft=512, hop_length=256, **trim)
        return make_view_union(view).transform(paths)
    # at 8 kHz as many bins as fit below half the rate
    cqt = CQTView(sr=sr, n_bins=72 if sr == 8000 else 84, **trim)
    spectra = make_view_union("mel", "gammatone", cqt, sr=sr, **trim).transform(paths)
    raw = make_view_union("raw", sr=min(sr, 11025), **trim).transform(paths)
    return Views(
        {n: x[n] for x in (spectra, raw) for n in x.names},
        {**spectra.rates, **raw.rates},
    )


def name_of(change: dict[str, Any]) -> str:
    """What a setting is called: its differences from the base."""
    return ", ".join(f"{k}={v}" for k, v in change.items()) or "base"


def rows_of(X: Any, rows: np.ndarray) -> Any:
    """Clips ``rows`` of views or of a list of waveforms."""
    return X[rows] if isinstance(X, Views) else [X[i] for i in rows]


def segment_of(name: str) -> float | None:
    """1.5 s where clips are longer, else their median length."""
    return 1.5 if name == "esc10" else None


def build(
    network: str, name: str, change: dict[str, Any], seed: int, device: str
) -> Any:
    """Return the pipeline of a network on a set."""
    kind, estimator, base, _, _ = NETWORKS[network]
    options = {"device": device, "random_state": seed, **base}
    if kind == "sound":
        return make_pipeline(
            estimator(**{**options, "validation_fraction": None, **change})
        )
    options["segment_length"] = segment_of(name)
    return make_pipeline(ViewScaler(), estimator(**{**options, **change}))


def run(
    job: tuple[str, str, dict[str, Any], int, int, bool], args: argparse.Namespace
) -> dict[str, Any]:
    """Train and test, or estimate; results come from the cache if there."""
    network, name, change, split, seed, estimated = job
    label = name_of(change).replace(", ", "-").replace("=", "")
    path = args.cache / "defaults" / f"{network}-{name}-{label}-{split}-{seed}.json"
    if path.exists():
        return json.loads(path.read_text())
    _, y, splits = table_of(args.data, name)
    X = remembered(inputs, NETWORKS[network][0], name, args.data)
    train, test = splits[split]
    result: dict[str, Any] = {
        **{"network": network, "set": name, "setting": name_of(change)},
        **{"split": split, "seed": seed, "change": change, "clips": len(train)},
    }
    if estimated:
        rows = np.random.default_rng(0).permutation(train)[:PROBE_CLIPS]
        model = build(network, name, change, seed, args.device)
        if change.get("segment_length", 1.5) is None:  # as long as of all clips
            lengths = [X[X.names[0]][i].shape[-1] for i in train]
            seconds = float(np.median(lengths)) / X.rates[X.names[0]]
            model[-1].set_params(segment_length=seconds)
        cpu = []
        for n in (1, 1, 2):  # the first warms up
            start = time.process_time()
            model[-1].set_params(max_epochs=n)
            model.fit(rows_of(X, rows), y[rows])
            cpu.append(time.process_time() - start)
        epoch = (cpu[2] - cpu[1]) * len(train) / len(rows)
        epochs = NETWORKS[network][2]["max_epochs"]
        result |= {"estimated": True, "cpu_seconds": epochs * epoch}
    else:
        model = build(network, name, change, seed, args.device)
        cpu = time.process_time()
        model.fit(rows_of(X, train), y[train])
        result["cpu_seconds"] = time.process_time() - cpu
        right = model.predict(rows_of(X, test)) == y[test]
        result |= {"right": int(right.sum()), "tested": len(right)}
    result["commit"] = provenance(seed)["commit"]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result))
    part.replace(path)
    return result


def jobs_of(args: argparse.Namespace) -> list[Any]:
    """All jobs; those that have one input stay together."""
    jobs = []
    for network in args.networks:
        _, _, _, trained, estimated = NETWORKS[network]
        for name in args.sets:
            _, _, splits = table_of(args.data, name)
            parts = [f - 1 for f in args.folds] if name == "esc10" else None
            for change in estimated:
                jobs.append((network, name, change, 0, args.seeds[0], True))
            jobs += [
                (network, name, change, split, seed, False)
                for change in trained
                for split in parts or range(len(splits))
                for seed in args.seeds
                if change != {"segment_length": segment_of(name)}  # the base
            ]
    return jobs


def rows(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per network, set and setting: accuracy, its error, seconds of a fit."""
    grouped: dict[Any, list[dict[str, Any]]] = {}
    for r in results:
        grouped.setdefault((r["network"], r["set"], r["setting"]), []).append(r)
    table = []
    for (network, name, setting), parts in grouped.items():
        options = NETWORKS[network][2] | parts[0]["change"]
        row: dict[str, Any] = {
            **{"network": network, "set": name, "setting": setting},
            "change": parts[0]["change"],
            **{key: options[key] for key in ("width", "max_epochs")},
            "cpu_seconds": float(np.mean([p["cpu_seconds"] for p in parts])),
            "estimated": "right" not in parts[0],
        }
        if not row["estimated"]:
            tested, right = (sum(p[key] for p in parts) for key in ("tested", "right"))
            share = right / tested
            clips = tested / len({p["seed"] for p in parts})  # of seeds: the same clips
            row["accuracy"] = 100 * share
            row["standard_error"] = 100 * (share * (1 - share) / clips) ** 0.5
        table.append(row)
    return table


def narrowest(table: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Per network and set, the narrowest width within one error of the best width."""
    groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in table:
        if set(row["change"]) <= {"width"} and not row["estimated"]:
            sets = groups.setdefault(row["network"], {})
            sets.setdefault(row["set"], []).append(row)
    report: dict[str, dict[str, float]] = {}
    for network, sets in groups.items():
        report[network] = {}
        for name, candidates in sets.items():
            best = max(candidates, key=lambda row: float(row["accuracy"]))
            least = best["accuracy"] - best["standard_error"]
            good = [row["width"] for row in candidates if row["accuracy"] >= least]
            report[network][name] = min(good)
        report[network]["all"] = max(report[network].values())
    return report


def main() -> None:
    """Run what is asked for, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--folds", nargs="+", type=int, default=[1])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=ROOT / ".benchmark_cache")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument(
        "--report", action="store_true", help="only what is in the cache"
    )
    args = parser.parse_args()
    source = provenance(None)  # before: the tree may change while this runs
    if args.report:
        found = sorted((args.cache / "defaults").glob("*.json"))
        results = [json.loads(path.read_text()) for path in found]
    else:
        results = Parallel(n_jobs=args.jobs, verbose=5)(
            delayed(run)(job, args) for job in jobs_of(args)
        )
    table = rows(results)
    for row in table:
        accuracy = (
            f"{row['accuracy']:5.1f} +- {row['standard_error']:3.1f}"
            if "accuracy" in row
            else "    estimated"
        )
        sys.stdout.write(
            f"{row['network']:16s}{row['set']:15s}{row['setting']:34s}{accuracy:15s}"
            f"{row['cpu_seconds']:9.0f} s\n"
        )
    widths = narrowest(table)
    sys.stdout.write(f"{json.dumps(widths, indent=1)}\n")
    report = {
        "provenance": {
            **source,
            "commit": " ".join(sorted({r["commit"] for r in results})),
            "seed": args.seeds,
        },
        "settings": {
            "bases": {name: spec[2] for name, spec in NETWORKS.items()},
            "segment_length": {name: segment_of(name) for name in args.sets},
            "folds": args.folds,
        },
        "rows": table,
        "narrowest_width_within_one_error": widths,
    }
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "defaults.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
