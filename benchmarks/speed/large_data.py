"""Memory of training on more clips than there is memory for.

    python benchmarks/speed/large_data.py [--clips 2000 20000] [--folder DIR]

Clips of 5 s are synthesised into files, which are deleted at the end, as is the cache.
Each measurement is a process of its own: it computes four views of all paths with a
cache folder, fits a narrow multi-view network for one epoch, and predicts. The most
memory that it held is that of the process, mapped pages included, above what it held
after importing. With few clips, the same is done in memory, for the same probabilities.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _machine import peak_bytes
from _provenance import ROOT, provenance

SR, SECONDS, CLASSES = 22050, 5, 10
BLOCK = 2**20


def synthesise(folder: Path, n_clips: int) -> None:
    """Files of tones in noise, one frequency per class."""
    noise = np.random.default_rng(0).normal(scale=0.05, size=2**22).astype(np.float32)
    times = np.arange(SR * SECONDS, dtype=np.float32) / SR
    tones = [
        np.sin(2 * np.pi * 220 * 2 ** (k / 3) * times).astype(np.float32)
        for k in range(CLASSES)
    ]
    for number in range(n_clips):
        path = folder / f"{number:06d}.wav"
        if not path.exists():
            start = (number * 7919) % (len(noise) - len(times))
            clip = 0.3 * tones[number % CLASSES] + noise[start : start + len(times)]
            soundfile.write(path, clip, SR, subtype="PCM_16")


def measure(how: str, folder: Path, n_clips: int, cache: Path | None) -> dict[str, Any]:
    """One run in this process."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import make_pipeline

    from skaudio.neural_network import MultiViewBlendingClassifier
    from skaudio.preprocessing import ViewScaler
    from skaudio.views import make_view_union

    warnings.simplefilter("ignore", ConvergenceWarning)
    paths = [str(folder / f"{number:06d}.wav") for number in range(n_clips)]
    y = np.arange(n_clips) % CLASSES
    keep = False if cache is None else cache
    union = make_view_union("mel", "gammatone", "cqt", "raw", cache=keep)
    options = {"width": 0.05, "max_epochs": 1, "segment_length": 1.5}
    options |= {"random_state": 0, "batch_size": 64}
    if how == "pipeline":
        network = MultiViewBlendingClassifier(**options)
        model: Any = make_pipeline(union, ViewScaler(), network)
    else:
        model = MultiViewBlendingClassifier(views=union, **options)
    before, start = peak_bytes(), time.perf_counter()
    model.fit(paths, y)
    fitted = time.perf_counter()
    at_fit = peak_bytes()
    proba = model.predict_proba(paths)
    return {
        "how": how,
        "clips": n_clips,
        "cache": cache is not None,
        "import_mb": before / 1e6,
        "fit_mb": (at_fit - before) / 1e6,
        "predict_mb": (peak_bytes() - before) / 1e6,
        "fit_seconds": fitted - start,
        "predict_seconds": time.perf_counter() - fitted,
        "accuracy": float(np.mean(proba.argmax(axis=1) == y)),
        "digest": proba[:: max(1, n_clips // 50)].tobytes().hex()[:4000],
    }


def run(how: str, folder: Path, n_clips: int, cache: Path | None) -> dict[str, Any]:
    """A measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", how, "--folder", str(folder)]
    command += ["--clips", str(n_clips)] + (["--cache", str(cache)] if cache else [])
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    sys.stdout.write(json.dumps(row | {"digest": row["digest"][:16]}) + "\n")
    sys.stdout.flush()
    return row


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--inside", type=int, default=2000, help="clips for views=")
    parser.add_argument("--few", type=int, default=200, help="clips also in memory")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--measure", default=None)
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "benchmarks" / "results" / "large_data.json",
    )
    args = parser.parse_args()
    if args.measure:
        row = measure(args.measure, args.folder, args.clips[0], args.cache)
        sys.stdout.write(json.dumps(row) + "\n")
        return
    source = provenance(0)
    work = Path(tempfile.mkdtemp(dir=args.folder))
    rows, same = [], {}
    try:
        synthesise(work, max(*args.clips, args.few, args.inside))
        for how in ("pipeline", "inside"):
            few = [run(how, work, args.few, c) for c in (None, work / "few")]
            same[how] = few[0]["digest"] == few[1]["digest"]
            rows += few
            shutil.rmtree(work / "few")
        jobs = [("pipeline", n) for n in args.clips]
        jobs += [("inside", args.inside)] if args.inside else []
        for how, n_clips in jobs:
            cache = work / "cache"
            rows.append(run(how, work, n_clips, cache))
            files = [p.stat().st_size for p in cache.rglob("*") if p.is_file()]
            rows[-1]["cache_gb"] = sum(files) / 1e9
            shutil.rmtree(cache)
    finally:
        shutil.rmtree(work)
    for row in rows:
        del row["digest"]
    of_size = {r["clips"]: r["predict_mb"] for r in rows if r["how"] == "pipeline"}
    small, large = min(args.clips), max(args.clips)
    report = {
        "provenance": source,
        "settings": {
            "seconds": SECONDS,
            "sr": SR,
            "threads": os.environ.get("OMP_NUM_THREADS"),
        },
        "rows": rows,
        "growth": of_size[large] / of_size[small],
        "same_probabilities_as_in_memory": same,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
