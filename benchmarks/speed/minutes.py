"""How long views, training and prediction take: clips x views x width to minutes.

    python benchmarks/speed/minutes.py

Clips of 5 s at 22,050 Hz, one thread. Seconds per clip of views, and of networks per
segment and epoch, are measured, the fastest of a few rounds: one epoch on 64 clips of
segments of the default length, the prediction of ten segments a clip. Minutes of more
clips and epochs follow by multiplication, which one longer fit is compared with, and so
is the estimate that `fit` gives after its first epoch.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio._training import _callbacks
from skaudio.datasets import make_everyday_sounds
from skaudio.neural_network import CRNNClassifier, MultiViewBlendingClassifier
from skaudio.views import make_view_union

ROOT = Path(__file__).resolve().parents[2]
SR, SECONDS, CLIPS = 22_050, 5.0, 64
WIDTHS = (0.125, 0.25, 0.5, 1.0)
VIEWS = {"mel": ("mel",), "four views": ("mel", "gammatone", "cqt", "raw")}


def network(views: str, width: float, **options: Any) -> Any:
    """The network for these views, with its defaults."""
    kind = CRNNClassifier if views == "mel" else MultiViewBlendingClassifier
    return kind(width=width, device="cpu", random_state=0, **options)


def fastest(function: Any, rounds: int) -> float:
    """Seconds of the fastest of some calls."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def costs(X: Any, y: np.ndarray, views: str, width: float, rounds: int) -> Any:
    """Seconds of an epoch and of a prediction, per clip."""
    epochs = []
    for _ in range(rounds):
        clf = network(views, width, max_epochs=1, lr_schedule="constant").fit(X, y)
        epochs.append(clf.history_[0]["seconds"])
    return {
        "train": min(epochs) / len(y),
        "predict": fastest(lambda: clf.predict_proba(X[:16]), rounds) / 16,
    }


def estimate_of_fit(X: Any, y: np.ndarray, epochs: int) -> dict[str, float]:
    """What `fit` says that it will take, beside what it takes."""
    clf = network("mel", 0.25, max_epochs=epochs)
    start = time.perf_counter()
    with (
        mock.patch.object(_callbacks, "LONG", 0.0),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        clf.fit(X, y)
    seconds = time.perf_counter() - start
    said = next(str(w.message) for w in caught if "will take about" in str(w.message))
    number, unit = re.search(r"about ([\d.]+) (\w+)", said).groups()
    factor = {"seconds": 1, "minutes": 60, "hours": 3600}[unit]
    return {"said": float(number) * factor, "taken": seconds, "epochs": epochs}


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/minutes.json"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    clips, y = make_everyday_sounds(
        CLIPS, 8, duration=SECONDS, sr=SR, clips_per_source=1, random_state=0
    )
    rows, sizes = [], {}
    for views, names in VIEWS.items():
        union = make_view_union(*names, sr=SR)
        union.transform(clips[:2])
        of_views = fastest(lambda u=union: u.transform(clips), args.rounds) / CLIPS
        X = union.transform(clips)
        sizes |= {name: X[name].nbytes / CLIPS for name in X.names}
        for width in WIDTHS:
            rounds = args.rounds if width < 1 else 1
            row = {"views": views, "width": width, "compute": of_views}
            row |= costs(X, y, views, width, rounds)
            rows.append(row)
            sys.stdout.write(f"{row}\n")
    X = make_view_union("mel", sr=SR).transform(clips)
    report = {
        "provenance": provenance(0),
        "settings": {"sr": SR, "seconds": SECONDS, "clips": CLIPS, "segments": 10},
        "epochs": network("mel", 1.0).max_epochs,
        "seconds_per_clip": rows,
        "bytes_per_clip": sizes,
        "estimate": estimate_of_fit(X, y, 20),
    }
    args.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
