"""COALA's questions on real sound: are aligned embeddings better than others?

    python benchmarks/papers/coala.py [--data ../shared/data] [--budget cpu]
        [--tasks train probe search correlation] [--seeds 0 1] [--jobs 2]

* ``train``: AE-C, E-C and CNN learn from 12 instruments' notes and the words of their
  descriptions (notes C, D, E and G#), with ("+esc") or without ESC-10 and its
  categories as tags, of which fold 5 is left out; "untrained" has the random weights of
  AE-C. On 40 clips of each instrument, "published" is AE-C by the published recipe, 200
  epochs of plain SGD, "short" by the recipe of all others, "short-64" with twice the
  rate in batches of 64. "CNN-fast" has forty times the rate, as a mean over tags makes
  small gradients.
* ``probe`` (Table 1): the paper's MLP, ten times, on the embeddings and on statistics
  of MFCC: instruments and dynamics on notes F# and A#, and the folds of ESC-10.
* ``search``: how often the words of the right instrument are the nearest ones.
* ``correlation`` (Table 2): canonical correlations with acoustic descriptors.

Every job is kept in ``--cache`` as soon as it is done, so an interrupted run goes on
where it stopped. The training of a job goes on from its last epoch.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio.embedding import CoalaEmbedder, probe_table
from skaudio.metrics import canonical_correlation_table
from skaudio.neural_network import CoalaTagClassifier
from skaudio.persistence import load, save
from skaudio.preprocessing import (
    AcousticDescriptors,
    AudioLoader,
    FrameStatistics,
    TagBinarizer,
)
from skaudio.views import CoalaView, MFCCView, Views

ROOT = Path(__file__).resolve().parents[2]
TEST_NOTES = ("Fs", "As")
SR, HOP = 22_000, 512
LEFT_OUT = 5  # fold of ESC-10 that "+esc" has not seen
SHORT = {"optimizer": "nesterov", "lr": 0.005, "lr_schedule": "one-cycle"}
PUBLISHED = {"optimizer": "sgd", "lr": 0.005, "lr_schedule": "constant"}
BUDGETS: dict[str, dict[str, Any]] = {
    "smoke": {
        **{"width": 0.05, "max_epochs": 2, "published_epochs": 2, "short_epochs": 2},
        **{"n_repeats": 2, "training": SHORT},
    },
    "cpu": {
        **{"width": 0.25, "max_epochs": 30, "published_epochs": 200},
        **{"short_epochs": 60, "n_repeats": 10, "training": SHORT},
    },
    "gpu": {
        **{"width": 1.0, "max_epochs": 60, "published_epochs": 200},
        **{"short_epochs": 60, "n_repeats": 10, "training": SHORT},
    },
}
NETWORKS = ("AE-C", "E-C", "CNN", "AE-C+esc", "E-C+esc", "CNN+esc")
NETWORKS += ("CNN-fast", "published", "short", "short-64", "untrained")
ROWS = (*NETWORKS, "MFCC")
FEW = ("published", "short", "short-64")  # with 40 clips of each instrument


def notes(data: Path) -> Any:
    """Return the table of notes, with paths, and whether they are for the test."""
    table = pd.read_csv(data / "philharmonia" / "philharmonia.csv")
    table["path"] = [str(data / "philharmonia" / "audio" / f) for f in table.filename]
    pitch = table.note.str.replace(r"\d", "", regex=True)
    table["held_out"] = pitch.isin(TEST_NOTES)
    return table


def esc10(data: Path) -> Any:
    """Return the table of ESC-10, with paths."""
    table = pd.read_csv(data / "esc10" / "esc10.csv")
    table["path"] = [str(data / "esc10" / "audio" / f) for f in table.filename]
    return table


def spectrograms(name: str, paths: list[str], args: argparse.Namespace) -> Views:
    """Spectrograms of files, kept from job to job."""
    path = args.folder / f"{name}.npy"
    if not path.exists():
        args.folder.mkdir(parents=True, exist_ok=True)
        arrays = CoalaView(device=args.device).transform(paths)
        part = path.with_suffix(".part.npy")
        np.save(part, arrays, allow_pickle=True)
        part.replace(path)
    arrays = np.load(path, allow_pickle=True)
    return Views({"coala": arrays}, {"coala": SR / HOP})


def corpus(
    with_esc: bool, per_class: int | None, args: argparse.Namespace
) -> tuple[Views, list[str]]:
    """Clips to learn from and their tags."""
    table = notes(args.data)
    train = table[~table.held_out]
    if per_class is not None:
        train = train.groupby("instrument").sample(per_class, random_state=0)
    rows = np.sort(train.index.to_numpy())
    X = spectrograms("notes", table.path.tolist(), args)[rows]
    tags = table.tags[rows].tolist()
    if not with_esc:
        return X, tags
    esc = esc10(args.data)
    seen = np.flatnonzero(esc.fold != LEFT_OUT)
    others = spectrograms("esc10", esc.path.tolist(), args)[seen]
    clips = [*X.clips("coala"), *others.clips("coala")]
    array = np.empty(len(clips), dtype=object)
    array[:] = clips
    joined = Views({"coala": array}, dict(X.rates))
    return joined, tags + esc.category[seen].tolist()


def run_train(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train a network and keep it."""
    budget = BUDGETS[args.budget]
    kind, _, esc = job.partition("+")
    few = 40 if kind in FEW or args.budget == "smoke" else None
    X, tags = corpus(bool(esc), few, args)
    options = {
        "width": budget["width"],
        "max_epochs": budget["max_epochs"],
        "batch_size": 128,
        "device": args.device,
        "mixed_precision": args.device.startswith("cuda"),
        "random_state": seed,
        **budget["training"],
    }
    if kind == "published":
        options |= {**PUBLISHED, "max_epochs": budget["published_epochs"]}
    if kind.startswith("short"):
        options["max_epochs"] = budget["short_epochs"]
    if kind == "short-64":
        options |= {"batch_size": 64, "lr": 2 * options["lr"]}
    if kind == "untrained":  # random weights; statistics of normalisation from one pass
        options |= {"lr": 1e-12, "max_epochs": 1}
    started = time.perf_counter()
    checkpoint = args.folder / f"{job}-seed{seed}.checkpoint"
    if kind == "CNN-fast":
        options["lr"] *= 40
    if kind.startswith("CNN"):
        model: Any = CoalaTagClassifier(**options)
        model.fit(X, TagBinarizer().fit_transform(tags), checkpoint=checkpoint)
    else:
        model = CoalaEmbedder(reconstruction=kind != "E-C", **options)
        model.fit(X, tags, checkpoint=checkpoint)
    save(model, args.folder / f"{job}-seed{seed}.safetensors")
    checkpoint.unlink()
    return {
        "n_clips": len(X),
        "train_loss": model.history_[-1]["train_loss"],
        "seconds_of_this_run": time.perf_counter() - started,
    }


def embedder_of(job: str, seed: int, args: argparse.Namespace) -> Any:
    """What embeds the clips of a row; X are spectrograms, or waveforms for MFCC."""
    if job == "MFCC":
        view = MFCCView(
            sr=SR,
            n_mfcc=20,
            n_mels=128,
            n_fft=2048,
            hop_length=HOP,
            pad_mode="reflect",
            delta=2,
            delta_width=5,
        )
        return make_pipeline(view, FrameStatistics(("mean", "var")))
    return FrozenEstimator(load(args.folder / f"{job}-seed{seed}.safetensors"))


def inputs_of(job: str, name: str, table: Any, args: argparse.Namespace) -> Any:
    """Clips as the row takes them."""
    if job != "MFCC":
        return spectrograms(name, table.path.tolist(), args)
    return list(AudioLoader(sr=SR).transform(table.path.tolist()))


def split_of(train: np.ndarray, test: np.ndarray) -> list[Any]:
    """One split."""
    return [(np.flatnonzero(train), np.flatnonzero(test))]


def run_probe(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy of the paper's probe on every task."""
    n_repeats = BUDGETS[args.budget]["n_repeats"]
    embedder = embedder_of(job, seed, args)
    results: dict[str, Any] = {}

    def add(task: str, X: Any, y: Any, cv: Any) -> None:
        row = probe_table(
            {job: embedder}, (X, y), cv=cv, n_repeats=n_repeats, random_state=0
        ).iloc[0]
        results[task] = 100 * float(row.accuracy)
        results[f"{task}, sd of repetitions"] = 100 * float(row.accuracy_sd)
        results["n_features"] = int(row.n_features)

    esc = esc10(args.data)
    X = inputs_of(job, "esc10", esc, args)
    y = esc.category.to_numpy()
    last = (esc.fold == LEFT_OUT).to_numpy()
    if not job.endswith("+esc"):
        folds = [esc.fold.to_numpy() == k for k in sorted(esc.fold.unique())]
        splits = [split_of(~fold, fold)[0] for fold in folds]
        add("ESC-10", X, y, splits)
    add("ESC-10, fold 5", X, y, split_of(~last, last))
    table = notes(args.data)
    X = inputs_of(job, "notes", table, args)
    held_out = table.held_out.to_numpy()
    common = table.dynamics.isin(
        table.dynamics.value_counts().loc[lambda n: n >= 50].index
    ).to_numpy()
    instrument, dynamics = table.instrument.to_numpy(), table.dynamics.to_numpy()
    split = split_of(~held_out, held_out)
    add("instruments", X, instrument, split)
    add("dynamics", X, dynamics, split_of(~held_out & common, held_out & common))
    results["right"] = right_answers(embedder, X, instrument, split[0], n_repeats)
    return results


def right_answers(
    embedder: Any, X: Any, y: np.ndarray, split: Any, n_repeats: int
) -> list[float]:
    """How often each test clip is right in the repetitions, for paired intervals."""
    train, test = split
    Z = embedder.fit(X, y).transform(X)
    right = np.zeros(len(test))
    for seed in range(n_repeats):
        probe = make_pipeline(
            StandardScaler(), MLPClassifier((256,), random_state=seed)
        )
        with warnings.catch_warnings():  # 200 iterations are the paper's protocol
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.fit(Z[train], y[train])
        right += probe.predict(Z[test]) == y[test]
    return [float(share) for share in right / n_repeats]


def run_search(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """How often the right words are nearest, of instruments and of dynamics."""
    coala = load(args.folder / f"{job}-seed{seed}.safetensors")
    table = notes(args.data)
    X = spectrograms("notes", table.path.tolist(), args)
    test = np.flatnonzero(table.held_out)
    results: dict[str, Any] = {}
    for column in ("instrument", "dynamics"):
        words = table[column].str.replace("-", " ")
        known = words.isin([w for w in words.unique() if is_known(coala, w)])
        rows = test[known.to_numpy()[test]]
        among = sorted(words[known].unique())
        nearest = coala.nearest_tags(X[rows], n=1, among=among)
        hits = [
            best[0][0] == word for best, word in zip(nearest, words[rows], strict=True)
        ]
        results[f"nearest {column}"] = 100 * float(np.mean(hits))
        results[f"{column}, choices"] = len(among)
        per_word = pd.Series(hits).groupby(words[rows].to_numpy()).mean()
        results[f"nearest {column}, worst word"] = 100 * float(per_word.min())
        found = [
            np.mean(
                [
                    words[rows[row]] == word
                    for row, _ in coala.nearest_clips(word, X[rows], n=10)
                ]
            )
            for word in among
        ]
        results[f"ten nearest clips, {column}"] = 100 * float(np.mean(found))
    return results


def is_known(coala: Any, words: str) -> bool:
    """Whether all words are in the vocabulary."""
    try:
        coala.binarizer_.check_known(words)
    except ValueError:
        return False
    return True


def run_correlation(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Canonical correlations with statistics of acoustic descriptors."""
    table = notes(args.data)
    test = table[table.held_out]
    path = args.folder / "descriptors.csv"
    if not path.exists():
        descriptors = AcousticDescriptors(n_frames=96).set_output(transform="pandas")
        frame = descriptors.fit_transform(test.path.tolist())
        part = path.with_suffix(f".{job}-{seed}.part")  # jobs run side by side
        frame.to_csv(part, index=False)
        part.replace(path)
    X = inputs_of(job, "notes", table, args)
    X = (
        [X[i] for i in np.flatnonzero(table.held_out)]
        if job == "MFCC"
        else X[np.flatnonzero(table.held_out)]
    )
    embedder = embedder_of(job, seed, args)
    Z = embedder.fit(X, None).transform(X)
    found = canonical_correlation_table({job: Z}, pd.read_csv(path)).iloc[0]
    return {" ".join(key): float(value) for key, value in found.items()}


JOBS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "train": (run_train, NETWORKS),
    "probe": (run_probe, ROWS),
    "search": (
        run_search,
        ("AE-C", "E-C", "AE-C+esc", *FEW, "untrained"),
    ),
    "correlation": (
        run_correlation,
        ("AE-C", "E-C", "CNN", "CNN-fast", "untrained", "MFCC"),
    ),
}
# with the first seed only
ONCE = {"AE-C+esc", "E-C+esc", "CNN+esc", "CNN-fast", "short", "MFCC"}


def run(task: str, job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Do one job, unless it was done before."""
    path = args.folder / f"{task}-{job}-seed{seed}.json"
    if not path.exists():
        args.folder.mkdir(parents=True, exist_ok=True)
        result = JOBS[task][0](job, seed, args)
        result |= {"task": task, "job": job, "seed": seed}
        result["commit"] = provenance(seed)["commit"]
        part = path.with_suffix(".part")
        part.write_text(json.dumps(result))
        part.replace(path)
    return json.loads(path.read_text())


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and single seeds of every figure, by task and job."""
    report: dict[str, Any] = {}
    hidden = {"task", "job", "seed", "commit", "right"}
    for result in results:
        rows = report.setdefault(result["task"], {}).setdefault(result["job"], {})
        for key, value in result.items():
            if key not in hidden:
                rows.setdefault(key, {"seeds": []})["seeds"].append(value)
    for jobs in report.values():
        for rows in jobs.values():
            for figure in rows.values():
                figure["mean"] = float(np.mean(figure["seeds"]))
    return report


def differences(
    results: list[dict[str, Any]], args: argparse.Namespace
) -> dict[str, Any]:
    """Accuracy on instruments less that of others, bootstrapped over notes."""
    right: dict[str, list[Any]] = {}
    for result in results:
        if "right" in result:
            right.setdefault(result["job"], []).append(result["right"])
    if "AE-C" not in right:
        return {}
    table = notes(args.data)
    test = table[table.held_out]
    cells, index = np.unique(
        (test.instrument + " " + test.note).to_numpy(), return_inverse=True
    )
    counts = np.bincount(index)
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(cells), size=(2000, len(cells)))
    found = {}
    for job in right:
        if job == "AE-C":
            continue
        gain = np.mean(right["AE-C"], axis=0) - np.mean(right[job], axis=0)
        sums = np.bincount(index, weights=gain)
        means = sums[draws].sum(1) / counts[draws].sum(1)
        low, high = np.quantile(means, [0.025, 0.975])
        found[f"AE-C - {job}"] = {
            "difference": 100 * float(gain.mean()),
            "interval": [100 * float(low), 100 * float(high)],
        }
    return found


def main() -> None:
    """Run what is asked for, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--budget", choices=BUDGETS, default="cpu")
    parser.add_argument("--tasks", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=ROOT / ".benchmark_cache")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results")
    args = parser.parse_args()
    args.folder = args.cache / f"coala-{args.budget}"
    source = provenance(None)  # before: the tree may change while this runs
    spectrograms("notes", notes(args.data).path.tolist(), args)
    spectrograms("esc10", esc10(args.data).path.tolist(), args)
    results: list[dict[str, Any]] = []
    for task in args.tasks:  # all need those of "train"
        jobs = [
            (task, job, seed)
            for seed in args.seeds
            for job in JOBS[task][1]
            if job in args.rows and (seed == args.seeds[0] or job not in ONCE)
        ]
        results += Parallel(n_jobs=args.jobs, verbose=5)(
            delayed(run)(*job, args) for job in jobs
        )
    commits = sorted({r["commit"] for r in results})  # of the runs, not of this table
    report = {
        "provenance": {**source, "commit": " ".join(commits), "seed": args.seeds},
        "settings": {
            **BUDGETS[args.budget],
            "budget": args.budget,
            "device": args.device,
        },
        "test_notes": TEST_NOTES,
        "results": summary(results),
        "paired_differences": differences(results, args),
    }
    for task, jobs in report["results"].items():
        for job, rows in jobs.items():
            for key, figure in rows.items():
                seeds = "  ".join(f"{a:7.3f}" for a in figure["seeds"])
                sys.stdout.write(
                    f"{task:12s}{job:12s}{key:36s}{figure['mean']:9.3f}   {seeds}\n"
                )
    for key, pair in report["paired_differences"].items():
        low, high = pair["interval"]
        sys.stdout.write(
            f"{key:24s}{pair['difference']:+.1f} [{low:+.1f}, {high:+.1f}]\n"
        )
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / f"coala_{args.budget}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
