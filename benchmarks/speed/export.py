"""Predictions by ONNX Runtime and by skaudio, on the same clips in the same run.

    python benchmarks/speed/export.py [--rounds 5] [--seconds 5] [--batches 1 32]
        [--output benchmarks/results/export_speed.json]

Networks with untrained weights, whole clips from waveform to probabilities, one
thread each: `predict_proba` of the estimator against the file that `to_onnx` writes
of it, turn by turn. Times are processor time of one call, medians of the rounds; the
difference is the largest of all probabilities.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import make_pipeline

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio.export import OnnxClassifier, to_onnx
from skaudio.neural_network import (
    CRNNClassifier,
    MobileNetClassifier,
    MultiViewBlendingClassifier,
    SampleCNNClassifier,
    SwishNetClassifier,
)
from skaudio.preprocessing import ViewScaler
from skaudio.views import CQTView, MelView, MFCCView, make_view_union

ROOT = Path(__file__).resolve().parents[2]
SR = 22_050
FIT = {"max_epochs": 1, "random_state": 0, "device": "cpu"}

MODELS: dict[str, Callable[[], Any]] = {
    "CRNN, mel": lambda: CRNNClassifier(views=MelView(sr=SR), **FIT),
    "CRNN of full width, mel": lambda: CRNNClassifier(
        views=MelView(sr=SR), width=1.0, **FIT
    ),
    "CRNN, CQT": lambda: CRNNClassifier(views=CQTView(sr=SR), **FIT),
    "multi-view, mel, gammatone, CQT, raw": lambda: make_pipeline(
        make_view_union("mel", "gammatone", "cqt", "raw", sr=SR),
        ViewScaler(),
        MultiViewBlendingClassifier(**FIT),
    ),
    "SampleCNN": lambda: SampleCNNClassifier(sr=SR, **FIT),
    "MobileNet, mel": lambda: MobileNetClassifier(views=MelView(sr=SR), **FIT),
    "SwishNet, MFCC": lambda: SwishNetClassifier(views=MFCCView(sr=SR), **FIT),
}


def cpu_seconds(function: Callable[[], Any]) -> float:
    """Processor time of one call, which busy neighbours change least."""
    start = time.process_time()
    function()
    return time.process_time() - start


def compare(name: str, folder: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row per size of the batch."""
    rng = np.random.default_rng(0)
    n_samples = round(args.seconds * SR)
    clips = 0.1 * rng.standard_normal((max(args.batches), n_samples))
    clips = clips.astype(np.float32)
    model = MODELS[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch is too few
        model.fit(clips[:4, : 2 * SR], [0, 1, 0, 1])
    path = folder / "model.onnx"
    writing = cpu_seconds(lambda: to_onnx(model, path))
    onnx = OnnxClassifier(path, n_threads=1)
    rows = []
    for n_clips in args.batches:
        batch = clips[:n_clips]
        ours = lambda x=list(batch): model.predict_proba(x)  # noqa: E731
        theirs = lambda x=batch: onnx.predict_proba(x, sr=SR)  # noqa: E731
        difference = float(np.abs(ours() - theirs()).max())
        times: dict[str, list[float]] = {"skaudio": [], "onnxruntime": []}
        for _ in range(args.rounds):
            times["skaudio"].append(cpu_seconds(ours))
            times["onnxruntime"].append(cpu_seconds(theirs))
        medians = {key: statistics.median(values) for key, values in times.items()}
        rows.append(
            {
                "model": name,
                "seconds": args.seconds,
                "batch": n_clips,
                "ratio": round(medians["skaudio"] / medians["onnxruntime"], 2),
                "ms_per_clip": {
                    key: round(1000 * value / n_clips, 2)
                    for key, value in medians.items()
                },
                "difference": difference,
                "file_mb": round(path.stat().st_size / 1e6, 2),
                "seconds_to_write": round(writing, 1),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/export_speed.json"
    )
    parser.add_argument("--note", default="", help="what to know about the machine")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.models:
            rows += compare(name, Path(folder), args)
    result = {"provenance": provenance(0), "note": args.note, "rows": rows}
    args.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
