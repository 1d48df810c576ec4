"""The Deep Softmax Autoencoder's questions on real sound, of four classes each.

    python benchmarks/papers/softmax_autoencoder.py [--data ../shared/data]
        [--budget cpu] [--tasks classify codes speed] [--seeds 0 1 2 3 4] [--jobs 2]

Sound at 22,050 Hz is pooled to means of 40 samples and cut into whole slices of 500 of
them side by side, as in the paper (rows A1 to A8). Two sets of four classes: notes of
four instruments (mostly one slice each; short ones end in zeros) and four classes of
ESC-10 whose sound fills the clips (five slices each). Three quarters of the slices
train, the others test: drawn at random, as in the paper, so that slices of one
recording are on both sides; and drawn by source (all takes of a pitch of an instrument,
or the file that clips of ESC-10 were cut from).

* ``classify``: accuracy in training and test of every system, report per class.
* ``codes``: silhouette, accuracy of a linear probe, and the share of the power that is
  left after reconstruction, for raw slices, codes and logits.
* ``speed``: an epoch of the estimator against a plain loop, in turn, on one thread.

Every job is kept in ``--cache`` as soon as it is done, so an interrupted run goes on
where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, confusion_matrix, silhouette_score
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio.embedding import AutoencoderEmbedder
from skaudio.model_selection import StratifiedGroupShuffleSplit
from skaudio.neural_network import SoftmaxAutoencoderClassifier, TwoLayerClassifier
from skaudio.nn import SoftmaxAutoencoder
from skaudio.preprocessing import AudioLoader, FrameStatistics, cut_clips
from skaudio.views import MeanPoolView, MFCCView, Views

ROOT = Path(__file__).resolve().parents[2]
SR, POOL, N_VALUES = 22050, 40, 500
RATE = SR / POOL
INSTRUMENTS = ("cello", "clarinet", "flute", "trombone")
SCENES = ("chainsaw", "helicopter", "rain", "sea_waves")  # sound all the time
SETS = ("instruments", "ESC-10")
SPLITS = ("random", "grouped")
AUTHORS: dict[str, Any] = {"batch_size": 512, "lr": 1e-4, "lr_schedule": "constant"}
BUDGETS = {
    "smoke": {"epochs": 2, "authors' epochs": 2, "rounds": 2, "slices": 512},
    "cpu": {"epochs": 100, "authors' epochs": 200, "rounds": 9, "slices": 6000},
    "gpu": {"epochs": 200, "authors' epochs": 200, "rounds": 9, "slices": 6000},
}


# ------------------------------------------------------------------------------- data


def files(name: str, data: Path) -> pd.DataFrame:
    """One row per file: path, label, and source, which a grouped split keeps whole."""
    if name == "ESC-10":
        table = pd.read_csv(data / "esc10" / "esc10.csv")
        table = table[table.category.isin(SCENES)]
        label, source, folder = table.category, table.src_file.astype(str), "esc10"
    else:
        table = pd.read_csv(data / "philharmonia" / "philharmonia.csv")
        table = table[table.instrument.isin(INSTRUMENTS)]
        label, folder = table.instrument, "philharmonia"
        source = table.instrument + " " + table.note
    paths = [str(data / folder / "audio" / file) for file in table.filename]
    return pd.DataFrame({"path": paths, "label": label, "source": source})


def slices(name: str, args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Slices (n, 1, 500) of a set, cepstra of the same sound, labels and sources."""
    path = args.folder / f"{name}.npz"
    if not path.exists():
        table = files(name, args.data)
        labels, sources = (table[k].to_numpy(str) for k in ("label", "source"))
        sound = AudioLoader(sr=SR).fit_transform(table.path.tolist())
        pooled = Views({"mean": MeanPoolView(sr=SR).transform(sound)}, {"mean": RATE})
        options: dict[str, Any] = {"duration": N_VALUES / RATE, "overlap": 0}
        options["short"] = "pad"
        clips = cut_clips(pooled, labels, sources, **options)
        cut = cut_clips(list(sound), sr=SR, **options).X
        whole = np.isclose(clips.starts * RATE % N_VALUES, 0)  # the last may overlap
        cepstra = MFCCView(sr=SR).transform(cut[whole])
        args.folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez(
            part,
            X=clips.X["mean"][whole].astype(np.float32),
            mfcc=FrameStatistics().fit_transform(cepstra),
            y=clips.y[whole],
            groups=clips.groups[whole],
        )
        part.replace(path)
    with np.load(path) as saved:
        return dict(saved)


def split(
    kind: str, found: dict[str, np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Slices to train and to test with."""
    options: dict[str, Any] = {"test_size": 0.25, "random_state": seed, "n_splits": 1}
    if kind == "random":
        splits = StratifiedShuffleSplit(**options).split(found["X"], found["y"])
    else:
        splits = StratifiedGroupShuffleSplit(**options).split(
            found["X"], found["y"], found["groups"]
        )
    train, test = next(splits)
    return train, test


# --------------------------------------------------------------------------- networks


def _flat(X: np.ndarray) -> np.ndarray:
    return X.reshape(len(X), -1)


def regression() -> Any:
    """Softmax regression on standardised values."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def systems(seed: int, budget: str) -> dict[str, Any]:
    """Classifiers of slices, by name."""
    settings, state = BUDGETS[budget], {"random_state": seed}
    common: dict[str, Any] = {"max_epochs": settings["epochs"], **state}
    authors = {**AUTHORS, "max_epochs": settings["authors' epochs"], **state}
    autoencoder = SoftmaxAutoencoderClassifier
    return {
        "softmax regression": make_pipeline(FunctionTransformer(_flat), regression()),
        "two-layer": TwoLayerClassifier(**common),
        "two-layer, authors' steps": TwoLayerClassifier(**authors),
        "autoencoder": autoencoder(**common),
        "autoencoder, authors' steps": autoencoder(**authors),
        "autoencoder, weights of the code": autoencoder(**common, gamma=10 / 11),
        "autoencoder, sum": autoencoder(**common, reduction="sum"),
        "autoencoder, linear output": autoencoder(**common, output_activation="linear"),
        "autoencoder, no reconstruction": autoencoder(**common, gamma=0),
        "vanilla": make_pipeline(AutoencoderEmbedder(**common), regression()),
    }


SCALED = ("two-layer", "autoencoder", "autoencoder, linear output", "vanilla")
SYSTEMS = (
    *systems(0, "smoke"),
    *(f"{name}; slices scaled" for name in SCALED),
    "cepstra and softmax regression",
)


def run_classify(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy of a system, and its report per class."""
    name, kind, system = job.split(": ")
    found = slices(name, args)
    train, test = split(kind, found, seed)
    X, y = found["X"], found["y"]
    system, _, scaled = system.partition("; ")
    if scaled:
        X = X / X[train].std()
    if system.startswith("cepstra"):
        X, model = found["mfcc"], regression()
    else:
        model = systems(seed, args.budget)[system]
    start = time.perf_counter()
    model.fit(X[train], y[train])
    seconds = time.perf_counter() - start
    predicted = model.predict(X[test])
    report = classification_report(
        y[test], predicted, output_dict=True, zero_division=0
    )
    return {
        "train": 100 * float(model.score(X[train], y[train])),
        "test": 100 * float(np.mean(predicted == y[test])),
        "seconds": seconds,
        "classes": {name: report[name] for name in np.unique(y).tolist()},
        "confusion": confusion_matrix(y[test], predicted, normalize="true").tolist(),
        "slices": [len(train), len(test)],
    }


def run_codes(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """How far embeddings of the test slices separate classes, and reconstruct."""
    name, kind = job.split(": ")
    found = slices(name, args)
    train, test = split(kind, found, seed)
    y = found["y"]
    figures: dict[str, Any] = {}
    for scaled in (False, True):
        X = found["X"] / (found["X"][train].std() if scaled else 1)
        models = systems(seed, args.budget)
        softmax = models["autoencoder"].fit(X[train], y[train])
        two = models["two-layer"].fit(X[train], y[train])
        vanilla = models["vanilla"][0].fit(X[train])
        embeddings = {
            "raw": _flat,
            "codes, vanilla": vanilla.transform,
            "codes, softmax": softmax.transform,
            "logits, two-layer": lambda part, net=two: np.log(
                net.predict_proba(part) + 1e-30
            ),
            "logits, softmax": softmax.predict_logits,
        }
        rows = {
            key: separation(embed(X[train]), y[train], embed(X[test]), y[test])
            for key, embed in embeddings.items()
        }
        for key, model in (("vanilla", vanilla), ("softmax", softmax)):
            for part, chosen in (("train", train), ("test", test)):
                left = -model.score_samples(X[chosen]).mean()
                share = float(left / np.mean(X[chosen] ** 2))
                rows[f"codes, {key}"][f"power left in {part}"] = 100 * share
        figures["scaled" if scaled else "as they are"] = rows
    return figures


def separation(
    Z: np.ndarray, y: np.ndarray, Z_test: np.ndarray, y_test: np.ndarray
) -> dict[str, float]:
    """Silhouette of the test slices, and accuracy of a probe of the training's."""
    moves = float(Z_test.std()) > 0
    return {
        "silhouette": float(silhouette_score(Z_test, y_test)) if moves else 0.0,
        "probe": 100 * float(regression().fit(Z, y).score(Z_test, y_test)),
    }


# ------------------------------------------------------------------------------ speed


def run_speed(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of an epoch: the estimator's, and those of a loop by hand."""
    torch.set_num_threads(1)
    budget, batch_size = BUDGETS[args.budget], int(job)
    rng = np.random.default_rng(seed)
    X = (0.1 * rng.normal(size=(budget["slices"], 1, N_VALUES))).astype(np.float32)
    y = rng.integers(0, 4, budget["slices"])
    pairs = [
        (ours(X, y, batch_size), by_hand(X, y, batch_size))
        for _ in range(budget["rounds"])
    ]
    return {
        "estimator": statistics.median(a for a, _ in pairs),
        "plain loop": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
    }


def ours(X: np.ndarray, y: np.ndarray, batch_size: int) -> float:
    """Seconds of an epoch by the estimator's own record; the first is left out."""
    model = SoftmaxAutoencoderClassifier(
        **{"batch_size": batch_size, "max_epochs": 4, "lr": 1e-4, "device": "cpu"},
        lr_schedule="constant",
        random_state=0,
    )
    model.fit(Views({"mean": X}, {"mean": RATE}), y)
    return statistics.median(row["seconds"] for row in model.history_[1:])


def by_hand(X: np.ndarray, y: np.ndarray, batch_size: int) -> float:
    """Seconds of an epoch of the same network, as anybody would write it."""
    torch.manual_seed(0)
    net = SoftmaxAutoencoder(1, N_VALUES, 4)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    slices, labels = torch.from_numpy(X), torch.from_numpy(y)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        for rows in torch.randperm(len(slices)).split(batch_size):
            batch = slices[rows]
            outputs = net(batch)
            loss = 0.9 * F.mse_loss(outputs["reconstruction"], batch)
            loss = loss + 0.1 * F.cross_entropy(outputs["classification"], labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


# ------------------------------------------------------------------------------- runs

CASES = [f"{name}: {kind}" for name in SETS for kind in SPLITS]
JOBS: dict[str, tuple[Any, list[str]]] = {
    "classify": (run_classify, [f"{case}: {s}" for case in CASES for s in SYSTEMS]),
    "codes": (run_codes, CASES),
    "speed": (run_speed, ["64", "512"]),
}
ONCE = {"speed"}  # with the first seed, alone on the machine


def run(task: str, job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Do one job, unless it was done before."""
    name = "".join(c if c.isalnum() else "-" for c in f"{task}-{job}-seed{seed}")
    path = args.folder / f"{name}.json"
    if not path.exists():
        args.folder.mkdir(parents=True, exist_ok=True)
        result = {"figures": JOBS[task][0](job, seed, args)}
        result |= {"task": task, "job": job, "seed": seed}
        result["commit"] = provenance(seed)["commit"]
        part = path.with_suffix(f".part{os.getpid()}")
        part.write_text(json.dumps(result))
        part.replace(path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def merged(figures: list[Any], brief: bool = False) -> Any:
    """Figures of all seeds: mean, half of the 95 % interval of the mean, and each.

    Of those per class, and of arrays, there is the mean only.
    """
    if isinstance(figures[0], dict):
        return {
            key: merged([part[key] for part in figures], brief or key == "classes")
            for key in figures[0]
        }
    values = np.array(figures, dtype=float)
    mean = values.mean(axis=0).tolist()
    if brief or values.ndim > 1 or len(values) < 2:
        return {"mean": mean}
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return {"mean": mean, "interval": float(half), "seeds": values.tolist()}


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures by task and job."""
    by_job: dict[tuple[str, str], list[Any]] = {}
    for result in results:
        by_job.setdefault((result["task"], result["job"]), []).append(result["figures"])
    report: dict[str, Any] = {}
    for (task, job), figures in by_job.items():
        report.setdefault(task, {})[job] = merged(figures)
    return report


def main() -> None:
    """Run what is asked for, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--budget", choices=BUDGETS, default="cpu")
    parser.add_argument("--tasks", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=ROOT / ".benchmark_cache")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results")
    args = parser.parse_args()
    args.folder = args.cache / f"softmax_autoencoder-{args.budget}"
    source = provenance(None)  # before: the tree may change while this runs
    for name in SETS:
        slices(name, args)
    results: list[dict[str, Any]] = []
    for task in args.tasks:
        seeds = args.seeds[:1] if task in ONCE else args.seeds
        n_jobs = 1 if task in ONCE else args.jobs
        results += Parallel(n_jobs=n_jobs)(
            delayed(run)(task, job, seed, args)
            for seed in seeds
            for job in JOBS[task][1]
        )
    commits = sorted({r["commit"] for r in results})  # of the runs, not of this table
    report = {
        "provenance": {**source, "commit": " ".join(commits), "seed": args.seeds},
        "settings": {**BUDGETS[args.budget], "budget": args.budget},
        "results": summary(results),
    }
    sys.stdout.write(json.dumps(report["results"], indent=1) + "\n")
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / f"softmax_autoencoder_{args.budget}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
