"""What bfloat16 is worth on this processor: CPU seconds, and accuracy on ESC-10.

    python benchmarks/speed/mixed_precision.py [--rounds 3]
        [--data ../shared/data/esc10] [--folds 1 2 3 4 5]

Networks of several sizes on noise, one thread, with each value of ``mixed_precision``
in turn. Trainings of one and of more epochs alternate; an epoch is their difference, so
that what a training costs once is left out. Predictions are those of a network that has
predicted before. "Products per value" is what "auto" goes by. Accuracy, where there is
ESC-10, is that of a narrow mel network in both types, paired by clip.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "papers"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _machine import matrix_rate
from _provenance import provenance
from multiview import accuracies, paired
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skaudio._training import _precision
from skaudio.datasets import load_audio_files
from skaudio.neural_network import (
    CRNNClassifier,
    MobileNetClassifier,
    SampleCNNClassifier,
    SelfNormalizingClassifier,
    SpectrogramCNNClassifier,
)
from skaudio.preprocessing import ViewScaler
from skaudio.views import Views, make_view_union

ROOT = Path(__file__).resolve().parents[2]
RATE, SR = 50.0, 22050
INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
CHOICES = (False, True, "auto")
COMMON = {"device": "cpu", "random_state": 0, "batch_size": 32}
# network, and epochs that are timed
NETWORKS: dict[str, tuple[Any, int]] = {
    "CRNN, width 0.05": (CRNNClassifier(width=0.05), 6),
    "CRNN, width 0.125": (CRNNClassifier(width=0.125), 4),
    "CRNN, width 0.25": (CRNNClassifier(width=0.25), 3),
    "CRNN, width 1": (CRNNClassifier(width=1.0), 2),
    "SampleCNN, width 0.1": (SampleCNNClassifier(sr=SR, width=0.1), 2),
    "SampleCNN, width 0.25": (SampleCNNClassifier(sr=SR, width=0.25), 2),
    "SampleCNN, width 1": (SampleCNNClassifier(sr=SR, width=1.0), 1),
    "MobileNet, width 0.25": (MobileNetClassifier(width=0.25), 6),
    "MobileNet, width 1": (MobileNetClassifier(width=1.0), 2),
    "SpectrogramCNN, width 0.25": (SpectrogramCNNClassifier(width=0.25), 6),
    "self-normalizing": (SelfNormalizingClassifier(), 20),
}
ACCURACY = {
    **{"width": 0.125, "max_epochs": 25, "dropout": 0.0, "attention": "temporal"},
    **{"segment_length": 1.5, "lr": 0.004},
}


def data_for(network: Any, n_clips: int) -> Any:
    """Noise that a network takes: 32 clips of a second, or spectrograms of 5 s."""
    rng = np.random.default_rng(0)
    if isinstance(network, SampleCNNClassifier):
        return rng.normal(size=(32, SR)).astype(np.float32)
    mel = rng.normal(size=(n_clips, 64, 250)).astype(np.float32)
    return Views({"mel": mel}, {"mel": RATE})


def seconds_of(network: Any, X: Any, choice: Any, epochs: int) -> tuple[float, float]:
    """CPU seconds of an epoch, and of a prediction."""
    fits = []
    for n_epochs in (1, 1 + epochs):
        model = clone(network).set_params(
            **COMMON, max_epochs=n_epochs, mixed_precision=choice
        )
        start = time.process_time()
        model.fit(X, np.arange(len(X)) % 10)
        fits.append(time.process_time() - start)
    model.predict_proba(X)
    start = time.process_time()
    model.predict_proba(X)
    return (fits[1] - fits[0]) / epochs, time.process_time() - start


def choice_for(network: Any, X: Any) -> tuple[float, bool]:
    """Products per value of a network, and what "auto" makes of it."""
    found, count = [], _precision.products_per_value

    def noted(net: Any, data: Any) -> float:
        found.append(count(net, data))
        return found[-1]

    has, _precision.has_bfloat16 = _precision.has_bfloat16, lambda device: True
    _precision.products_per_value = noted
    try:
        model = clone(network).set_params(
            **COMMON, max_epochs=1, mixed_precision="auto"
        )
        model.fit(X, np.arange(len(X)) % 10)
    finally:
        _precision.products_per_value, _precision.has_bfloat16 = count, has
    return found[0], found[0] >= _precision.LEAST_PRODUCTS and has("cpu")


def row_of(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Times of a network."""
    network, epochs = NETWORKS[name]
    X = data_for(network, args.clips)
    products, chosen = choice_for(network, X)  # warms up as well
    times: dict[Any, list[tuple[float, float]]] = {choice: [] for choice in CHOICES}
    for _ in range(args.rounds):
        for choice in CHOICES:
            times[choice].append(seconds_of(network, X, choice, epochs))
    row = {"network": name, "products_per_value": products, "auto_is_mixed": chosen}
    for i, what in enumerate(("epoch", "prediction")):
        for choice, found in times.items():
            row[f"{what}, {choice}"] = statistics.median(pair[i] for pair in found)
        pairs = zip(times[False], times[True], strict=True)
        row[f"{what}, times as fast"] = statistics.median(a[i] / b[i] for a, b in pairs)
    return row


def accuracy(args: argparse.Namespace) -> dict[str, Any] | None:
    """Accuracy in both types on the official folds, or None without the data."""
    if not (Path(args.data) / "esc10.csv").exists():
        return None
    table = load_audio_files(Path(args.data) / "esc10.csv")
    X = make_view_union("mel", sr=44100, trim_silence=True).transform(table.paths)
    right: dict[bool, dict[tuple[int, int], Any]] = {False: {}, True: {}}
    for fold in args.folds:
        train = np.flatnonzero(table.folds != fold)
        test = np.flatnonzero(table.folds == fold)
        for mixed, found in right.items():
            model = make_pipeline(
                ViewScaler(),
                CRNNClassifier(
                    **ACCURACY, device="cpu", mixed_precision=mixed, random_state=fold
                ),
            )
            model.fit(X[train], table.target[train])
            found[0, fold] = (test, model.predict(X[test]) == table.target[test])
    groups = np.asarray(table.groups)
    return {
        "settings": ACCURACY,
        "float32": accuracies(right[False]),
        "bfloat16": accuracies(right[True]),
        "bfloat16 - float32": paired(right[True], right[False], groups),
    }


def main() -> None:
    """Measure in turn, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", default=ROOT.parent / "shared" / "data" / "esc10")
    parser.add_argument("--folds", nargs="*", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--note", default="", help="such as that the machine was busy")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/mixed_precision.json"
    )
    args = parser.parse_args()
    source = provenance(0)  # before: the tree may change while this runs
    torch.set_num_threads(1)
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    rows = []
    for name in args.networks:
        rows.append(row_of(name, args))
        sys.stdout.write(f"{json.dumps(rows[-1])}\n")
        sys.stdout.flush()
    rates = {
        kind: matrix_rate("cpu", kind == "bfloat16") / 1e9
        for kind in ("float32", "bfloat16")
    }
    report = {
        "provenance": source,
        "note": args.note,
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "settings": {key: getattr(args, key) for key in ("clips", "rounds")},
        "cpu_seconds": rows,
        "matrix_products_gflops": rates,
        "accuracy": accuracy(args) if args.folds else None,
    }
    sys.stdout.write(f"{json.dumps(report['accuracy'])}\n")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
