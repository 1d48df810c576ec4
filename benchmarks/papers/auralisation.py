"""Five-layer network on spectrograms: what its features are of, and how fast that is.

    python benchmarks/papers/auralisation.py [--data ../shared/data] [--budget cpu]
        [--tasks accuracy network speed correlation] [--folds 1 2 3 4 5] [--jobs 2]

Clips of ESC-10, cut or padded to 4 s at 11,025 Hz, are seen as 257 x 173 magnitudes of
the short-time Fourier transform.

* ``accuracy``: networks of a part of the paper's width, on the official folds; with
  plain magnitudes, as in the paper, and with log(1 + 10 x), standardised; at the
  paper's dropout of 0.5, which makes slow learners, and at 0.1.
* ``network``: one of full width, trained without the first fold, for what follows.
* ``speed``: all 64 maps of all five depths of a clip of that fold by ``deconvolve``;
  and one after the other by the plain algorithm: a forward pass for each feature, then
  all maps back, zeros among them. In torch for some features of each depth, scaled to
  all of them, and in SciPy for one feature. In turn, on one core; medians.
* ``correlation``: of responses to the same note on different instruments and to
  different notes on one (philharmonia), and of synthesised chords; of the trained
  network, and of one that has learned nothing.

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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from scipy import signal, stats
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio.datasets import make_chords
from skaudio.inspection import deconvolve, feature_correlation
from skaudio.neural_network import SpectrogramCNNClassifier
from skaudio.persistence import load, save
from skaudio.preprocessing import AudioLoader, ViewScaler
from skaudio.views import STFTView

ROOT = Path(__file__).resolve().parents[2]
SR, SECONDS = 11025, 4.0
VIEW: dict[str, Any] = {"sr": SR, "n_fft": 512, "hop_length": 256}
LESS_DROPOUT = "log1p, standardised, dropout 0.1"
SYSTEMS = ("magnitudes", "log1p, standardised", LESS_DROPOUT)
N_DEPTHS = 5
FOLDS = (1, 2, 3, 4, 5)
BUDGETS: dict[str, dict[str, Any]] = {
    "smoke": {
        **{"width": 0.05, "epochs": 1, "full_width": 0.1, "full_epochs": 1},
        **{"rounds": 1, "plain_features": 1, "n_notes": 2, "n_clips": 60},
    },
    "cpu": {
        **{"width": 0.25, "epochs": 25, "full_width": 1.0, "full_epochs": 10},
        **{"rounds": 3, "plain_features": 4, "n_notes": 6, "n_clips": None},
    },
    "gpu": {
        **{"width": 1.0, "epochs": 100, "full_width": 1.0, "full_epochs": 100},
        **{"rounds": 3, "plain_features": 4, "n_notes": 6, "n_clips": None},
    },
}


# ------------------------------------------------------------------------------ sound


def clips(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Waveforms of 4 s, labels and folds of ESC-10."""
    table = pd.read_csv(args.data / "esc10" / "esc10.csv")
    n_clips = BUDGETS[args.budget]["n_clips"]
    if n_clips is not None:
        table = table.sample(n_clips, random_state=0)
    path = args.folder / "clips.npy"
    if not path.exists():
        args.folder.mkdir(parents=True, exist_ok=True)
        names = [str(args.data / "esc10" / "audio" / f) for f in table.filename]
        loaded = AudioLoader(sr=SR, duration=SECONDS).fit_transform(names)
        part = path.with_suffix(f".part{os.getpid()}.npy")
        np.save(part, loaded)
        part.replace(path)
    return np.load(path), table.category.to_numpy(), table.fold.to_numpy()


def notes(args: argparse.Namespace) -> tuple[list[np.ndarray], pd.DataFrame]:
    """A take of every note that most instruments share, by each of these."""
    table = pd.read_csv(args.data / "philharmonia" / "philharmonia.csv")
    table = table[table.articulation == "normal"].assign(
        seconds=pd.to_numeric(table.nominal_seconds, errors="coerce"),
        is_forte=table.dynamics == "forte",
    )
    # forte where there is one, and long
    takes = table.sort_values(["is_forte", "seconds"], ascending=False, kind="stable")
    takes = takes.drop_duplicates(["instrument", "note"])
    counts = takes.note.value_counts().sort_index()
    counts = counts.sort_values(ascending=False, kind="stable")
    chosen = counts.index[: BUDGETS[args.budget]["n_notes"]]
    takes = takes[takes.note.isin(chosen)].sort_values(["instrument", "note"])
    names = [str(args.data / "philharmonia" / "audio" / f) for f in takes.filename]
    # a second: five layers need 32 frames, which is more than some notes have
    sound = AudioLoader(sr=SR, duration=1.0).fit_transform(names)
    return list(sound), takes[["note", "instrument"]].reset_index(drop=True)


# --------------------------------------------------------------------------- networks


def model_of(system: str, width: float, epochs: int, args: argparse.Namespace) -> Any:
    """View, scaling and network."""
    network = SpectrogramCNNClassifier(
        width=width,
        dropout=0.1 if system == LESS_DROPOUT else 0.5,
        max_epochs=epochs,
        device=args.device,
        random_state=args.seed,
    )
    if system == "magnitudes":
        return make_pipeline(STFTView(**VIEW), network)
    return make_pipeline(STFTView(scale="log1p", **VIEW), ViewScaler(), network)


def run_accuracy(job: str, args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy on a fold."""
    system, _, fold = job.rpartition(" ")
    budget = BUDGETS[args.budget]
    X, y, folds = clips(args)
    test = folds == int(fold)
    model = model_of(system, budget["width"], budget["epochs"], args)
    start = time.perf_counter()
    model.fit(X[~test], y[~test])
    return {
        "train": 100 * float(model.score(X[~test], y[~test])),
        "test": 100 * float(model.score(X[test], y[test])),
        "seconds": time.perf_counter() - start,
    }


def trained(args: argparse.Namespace) -> Pipeline:
    """The network that is looked into, trained once."""
    folder, budget = args.folder / "network", BUDGETS[args.budget]
    paths = [folder / name for name in ("view.safetensors", "cnn.safetensors")]
    if not paths[1].exists():
        X, y, folds = clips(args)
        seen = folds != FOLDS[0]
        model = model_of(SYSTEMS[0], budget["full_width"], budget["full_epochs"], args)
        model.fit(X[seen], y[seen])
        folder.mkdir(parents=True, exist_ok=True)
        for step, path in zip(model, paths, strict=True):
            save(step, path)
    return make_pipeline(*map(load, paths))


def run_network(job: str, args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy of the network of full width."""
    X, y, folds = clips(args)
    test = folds == FOLDS[0]
    model = trained(args)
    return {
        "train": 100 * float(model.score(X[~test], y[~test])),
        "test": 100 * float(model.score(X[test], y[test])),
        "convolution_weights": sum(
            p.numel() for p in _network(model).blocks.parameters()
        ),
    }


def _network(model: Pipeline) -> Any:
    return model[-1].net_.module_.network


def untrained(model: Pipeline) -> Pipeline:
    """The same with random weights."""
    X = np.zeros((2, int(SR * SECONDS)), np.float32)
    X += np.random.default_rng(0).normal(scale=0.1, size=X.shape)
    cnn = clone(model[-1]).set_params(max_epochs=1, lr=1e-9, batch_size=2)
    return make_pipeline(clone(model[0]), cnn).fit(X, ["a", "b"])


# ------------------------------------------------------------------------------ speed


def layers_of(model: Pipeline) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of the convolutions."""
    convs = [m for m in _network(model).blocks.modules() if isinstance(m, nn.Conv2d)]
    return [(conv.weight.detach(), conv.bias.detach()) for conv in convs]


@torch.no_grad()
def plain(x: Tensor, layers: list[tuple[Tensor, Tensor]], feature: int) -> Tensor:
    """Map of one feature of the last layer, as anybody would write it."""
    switches, sizes = [], []
    for weight, bias in layers:
        x = F.relu(F.conv2d(x, weight, bias, padding=1))
        sizes.append(x.shape[2:])
        x, switch = F.max_pool2d(x, 2, return_indices=True)
        switches.append(switch)
    maps = torch.zeros_like(x)
    maps[:, feature] = x[:, feature]
    for (weight, _), switch, size in zip(
        layers[::-1], switches[::-1], sizes[::-1], strict=True
    ):
        maps = F.relu(F.max_unpool2d(maps, switch, [2, 2], output_size=size))
        maps = F.conv_transpose2d(maps, weight, padding=1)
    return maps[0, 0]


def plain_scipy(
    x: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray]], feature: int
) -> np.ndarray:
    """The same with SciPy's convolutions of one map by one filter."""
    switches = []
    for weight, bias in layers:
        sums = [
            sum(map(lambda a, k: signal.correlate2d(a, k, "same"), x, kernels))
            for kernels in weight
        ]
        x = np.maximum(np.array(sums) + bias[:, None, None], 0)
        n, high, wide = len(x), x.shape[1] // 2, x.shape[2] // 2
        blocks = x[:, : 2 * high, : 2 * wide].reshape(n, high, 2, wide, 2)
        blocks = blocks.transpose(0, 1, 3, 2, 4).reshape(n, high, wide, 4)
        switch = np.zeros_like(x)
        first = np.eye(4)[blocks.argmax(-1)].reshape(n, high, wide, 2, 2)
        switch[:, : 2 * high, : 2 * wide] = first.transpose(0, 1, 3, 2, 4).reshape(
            n, 2 * high, 2 * wide
        )
        switches.append(switch)
        x = blocks.max(-1)
    maps = np.zeros_like(x)
    maps[feature] = x[feature]
    for (weight, _), switch in zip(layers[::-1], switches[::-1], strict=True):
        large = np.zeros_like(switch)
        nearest = maps.repeat(2, 1).repeat(2, 2)
        large[:, : nearest.shape[1], : nearest.shape[2]] = nearest
        large = np.maximum(large * switch, 0)
        maps = np.array(
            [
                sum(map(lambda a, k: signal.convolve2d(a, k, "same"), large, kernels))
                for kernels in weight.transpose(1, 0, 2, 3)
            ]
        )
    return maps[0]


def seconds_of(function: Callable[[], Any]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def run_speed(job: str, args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of all maps of all depths, and ratios to the plain algorithm."""
    torch.set_num_threads(1)
    budget, model = BUDGETS[args.budget], trained(args).set_params()
    model[-1].device = "cpu"
    X, _, folds = clips(args)
    clip = X[folds == FOLDS[0]][:1]
    x = torch.from_numpy(model[:-1].transform(clip))[:, None]
    layers, depths = layers_of(model), list(range(N_DEPTHS))
    n_maps = [len(weight) for weight, _ in layers]
    maps = deconvolve(model, clip, depths)  # warm up, and to compare
    some = np.linspace(0, min(n_maps) - 1, budget["plain_features"]).astype(int)
    rounds = []
    for _ in range(budget["rounds"]):
        ours = seconds_of(lambda: deconvolve(model, clip, depths))
        apart = [seconds_of(lambda d=d: deconvolve(model, clip, d)) for d in depths]
        by_depth = []
        for depth in depths:
            part = layers[: depth + 1]
            each = [seconds_of(lambda f=f, p=part: plain(x, p, f)) for f in some]
            by_depth.append(statistics.median(each) * n_maps[depth])
        rounds.append((ours, sum(apart), sum(by_depth), by_depth))
    # in double precision, and with faint noise: equal values of a block, as in digital
    # silence, differ in their last bit, and the maximum may be another one
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(args.seed))
    noisy = x.double() + 1e-3 * noise
    double = [(weight.double(), bias.double()) for weight, bias in layers]
    arrays = [(weight.numpy(), bias.numpy()) for weight, bias in double]
    alive = int(np.abs(maps[-1][0]).sum((1, 2)).argmax())
    in_torch, in_double = plain(x, layers, alive), plain(noisy, double, alive)
    found: list[np.ndarray] = []
    scipy = seconds_of(
        lambda: found.append(plain_scipy(noisy[0].numpy(), arrays, alive))
    )
    top = statistics.median(
        seconds_of(lambda: deconvolve(model, clip, N_DEPTHS - 1))
        for _ in range(budget["rounds"])
    )
    return {
        "seconds": statistics.median(r[0] for r in rounds),
        "seconds, layer by layer": statistics.median(r[1] for r in rounds),
        "seconds, plain in torch": statistics.median(r[2] for r in rounds),
        "ratio to torch": statistics.median(r[2] / r[0] for r in rounds),
        "plain in torch by depth": rounds[0][3],
        "seconds of one feature of the top, SciPy": scipy,
        "ratio to SciPy, top layer": scipy * n_maps[-1] / top,
        "silent features by depth": [
            int((np.abs(part[0]).sum((1, 2)) == 0).sum()) for part in maps
        ],
        "relative difference to torch": _difference(
            maps[-1][0, alive], in_torch.numpy()
        ),
        "relative difference of torch to SciPy": _difference(
            in_double.numpy(), found[0]
        ),
        "threads": 1,
    }


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


# ------------------------------------------------------------------------ correlation


def run_correlation(job: str, args: argparse.Namespace) -> dict[str, Any]:
    """Correlation by layer and kind of pair."""
    sounds, state = job.split(", ")
    model = trained(args)
    if state == "untrained":
        model = untrained(model)
    if sounds == "notes":
        X, factors = notes(args)
    else:
        chords, factors = make_chords(sr=SR, duration=2.0, random_state=args.seed)
        X = list(chords)
    table = feature_correlation(model, X, factors, random_state=args.seed)
    return {"n_clips": len(X), "table": json.loads(table.to_json(orient="records"))}


# ------------------------------------------------------------------------------- runs

JOBS: dict[str, tuple[Any, Callable[[argparse.Namespace], list[str]]]] = {
    "accuracy": (
        run_accuracy,
        lambda args: [f"{s} {fold}" for fold in args.folds for s in SYSTEMS],
    ),
    "network": (run_network, lambda _: ["full width"]),
    "speed": (run_speed, lambda _: ["all maps"]),
    "correlation": (
        run_correlation,
        lambda _: [
            f"{a}, {b}" for a in ("notes", "chords") for b in ("trained", "untrained")
        ],
    ),
}


def run(task: str, job: str, args: argparse.Namespace) -> dict[str, Any]:
    """Do one job, unless it was done before."""
    name = "".join(c if c.isalnum() else "-" for c in f"{task}-{job}-seed{args.seed}")
    path = args.folder / f"{name}.json"
    if not path.exists():
        args.folder.mkdir(parents=True, exist_ok=True)
        result = {"task": task, "job": job, "figures": JOBS[task][0](job, args)}
        result["commit"] = provenance(args.seed)["commit"]
        part = path.with_suffix(f".part{os.getpid()}")
        part.write_text(json.dumps(result))
        part.replace(path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def mean_of_folds(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Accuracy of each system: mean over folds, and half of its 95 % interval."""
    report: dict[str, Any] = {}
    for system in SYSTEMS:
        figures = [r["figures"] for r in results if r["job"][:-2] == system]
        if not figures:
            continue
        report[system] = {"folds": len(figures)}
        for key in ("train", "test", "seconds"):
            values = np.array([part[key] for part in figures])
            row = {"mean": float(values.mean()), "each": values.tolist()}
            if len(values) > 1:
                half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
                row["interval"] = float(half)
            report[system][key] = row
    return report


def main() -> None:
    """Run what is asked for, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--budget", choices=BUDGETS, default="cpu")
    parser.add_argument("--tasks", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--folds", nargs="+", type=int, choices=FOLDS, default=FOLDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path, default=ROOT / ".benchmark_cache")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results")
    args = parser.parse_args()
    args.folder = args.cache / f"auralisation-{args.budget}"
    source = provenance(None)  # before: the tree may change while this runs
    clips(args)
    results: list[dict[str, Any]] = []
    for task in args.tasks:
        n_jobs = args.jobs if task == "accuracy" else 1
        jobs = JOBS[task][1](args)
        results += Parallel(n_jobs=n_jobs)(delayed(run)(task, j, args) for j in jobs)
    commits = sorted({r["commit"] for r in results})  # of the runs, not of this table
    others = [r for r in results if r["task"] != "accuracy"]
    report = {
        "provenance": {**source, "commit": " ".join(commits), "seed": args.seed},
        "settings": {**BUDGETS[args.budget], "budget": args.budget},
        "accuracy": mean_of_folds([r for r in results if r["task"] == "accuracy"]),
        **{f"{r['task']}: {r['job']}": r["figures"] for r in others},
    }
    shown = {k: v for k, v in report.items() if not k.startswith("correlation")}
    sys.stdout.write(json.dumps(shown, indent=1) + "\n")
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / f"auralisation_{args.budget}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
