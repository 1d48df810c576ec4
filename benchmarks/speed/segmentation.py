"""What labels over time cost: one pass, an hour of sound, and a mixture of 256.

    python benchmarks/speed/segmentation.py [--hours 1] [--peers]
        [--tasks "one pass" hour mixture]

* ``one pass``: SwishNet's decisions on all frames of a minute of cepstra in one pass,
  against one call per frame on what that frame depends on, and against windows of as
  many frames in batches of 64. The first two are compared value by value.
* ``hour``: a WAV file of an hour at 16 kHz to a table of segments, in a process of its
  own with one thread: seconds of the computer, and megabytes above those after import.
* ``peers`` (with ``--peers``): the same file through voice activity detectors that are
  installed; they tell speech from everything else only. Nothing is installed here.
* ``mixture``: 256 diagonal components for each of three classes on an hour of frames of
  60 values (two groups of instruments, and ESC-10), with two processes, until the mean
  log-likelihood gains less than 1e-3 (the default) or 1e-2.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _machine import peak_bytes
from _provenance import provenance

from skaudio.persistence import save

SR = 16_000
FRAMES: dict[str, Any] = {
    **{"sr": SR, "n_fft": 512, "win_length": 400, "hop_length": 160},
    **{"window": np.full(400, 512**-0.5), "center": "start", "preemphasis": 0.97},
    **{"htk": "bins", "scale": ("log", float(np.finfo(float).eps)), "top_db": None},
    **{"n_mfcc": 20, "n_mels": 32, "mel_norm": None, "lifter": 22, "use_energy": True},
}
ROOT = Path(__file__).resolve().parents[2]


def model(variant: str, seed: int) -> Any:
    """SwishNet with the authors' cepstra; what it has learned does not matter."""
    from sklearn.pipeline import make_pipeline

    from skaudio.datasets import make_sounds
    from skaudio.neural_network import SwishNetClassifier
    from skaudio.preprocessing import ViewScaler
    from skaudio.views import MFCCView

    X, y = make_sounds(n_clips=60, n_classes=3, sr=SR, duration=1.0, random_state=seed)
    net = SwishNetClassifier(variant=variant, max_epochs=5, random_state=seed)
    return make_pipeline(MFCCView(**FRAMES), ViewScaler(), net).fit(X, y)


def one_pass(seed: int, rounds: int) -> dict[str, Any]:
    """All frames at once, against one call for each of them."""
    import torch

    report: dict[str, Any] = {}
    rng = np.random.default_rng(seed)
    for variant in ("slim", "wide"):
        net = model(variant, seed)[-1]
        clip = rng.normal(size=(20, 6000)).astype(np.float32)
        before, after = net.frame_context
        module = net.net_.for_inference(net.net_.module_).network
        window = net._window
        chosen = np.linspace(before, 5999 - after, 200).astype(int)

        def alone(frame: int, clip=clip, module=module, window=window) -> np.ndarray:
            start = max(0, frame - window // 2 - module.reach[0])
            stop = frame - window // 2 + window
            part = torch.from_numpy(clip[None, :, start:stop])
            return torch.softmax(module(part, window), 1)[0].numpy()

        together, calls, batches = [], [], []
        with torch.inference_mode():
            for _ in range(rounds):
                started = time.perf_counter()
                (proba,), _ = net.predict_frames_proba([clip])
                together.append(time.perf_counter() - started)
                started = time.perf_counter()
                single = np.array([alone(frame) for frame in chosen])
                calls.append((time.perf_counter() - started) * 6000 / len(chosen))
                windows = np.lib.stride_tricks.sliding_window_view(clip, window, axis=1)
                batch = torch.from_numpy(np.ascontiguousarray(windows[:, :64, :]))
                started = time.perf_counter()
                module(batch.transpose(0, 1).contiguous())
                batches.append((time.perf_counter() - started) * 6000 / 64)
        seconds = {
            "one pass": float(np.median(together)),
            "one call per frame": float(np.median(calls)),
            "windows in batches of 64": float(np.median(batches)),
        }
        report[variant] = {
            "seconds per minute of sound": seconds,
            "one call per frame / one pass": seconds["one call per frame"]
            / seconds["one pass"],
            "batches of windows / one pass": seconds["windows in batches of 64"]
            / seconds["one pass"],
            "largest difference": float(np.abs(single - proba[:, chosen].T).max()),
        }
    return report


def write_sound(path: Path, hours: float, seed: int) -> None:
    """A WAV file of sounds of several kinds, minute by minute."""
    import soundfile

    from skaudio.datasets import make_sounds

    X, _ = make_sounds(n_clips=60, n_classes=3, sr=SR, duration=1.0, random_state=seed)
    rng = np.random.default_rng(seed)
    with soundfile.SoundFile(path, "w", SR, 1, "PCM_16") as file:
        for _ in range(round(60 * hours)):
            file.write(0.5 * X[rng.permutation(60)].ravel())


def process(saved: str, path: str) -> None:
    """Segment a file, and say what that took."""
    import torch

    torch.set_num_threads(1)
    from sklearn.frozen import FrozenEstimator

    from skaudio.persistence import load
    from skaudio.segmentation import FrameSegmenter

    segmenter = FrameSegmenter(FrozenEstimator(load(saved)), min_duration=0.1).fit()
    segmenter.predict([np.zeros(SR, np.float32)])  # what is made once
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    before = pages * resource.getpagesize()
    wall, cpu = time.perf_counter(), time.process_time()
    table = segmenter.predict([path])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = peak_bytes()
    report = {
        "seconds": wall,
        "CPU seconds": cpu,
        "megabytes of the peak": peak / 1e6,
        "megabytes above import and model": (peak - before) / 1e6,
        "segments": len(table),
    }
    print(json.dumps(report))


def peer(what: str, path: str) -> None:
    """Run another tool on the file, where it is installed."""
    import soundfile

    if what == "silero-vad":
        import silero_vad
        import torch

        torch.set_num_threads(1)
        network = silero_vad.load_silero_vad()
        started = time.perf_counter()
        samples, _ = soundfile.read(path, dtype="float32")
        found = silero_vad.get_speech_timestamps(torch.from_numpy(samples), network)
    else:
        import webrtcvad

        detector = webrtcvad.Vad(2)
        started = time.perf_counter()
        samples, _ = soundfile.read(path, dtype="int16")
        step = SR * 30 // 1000
        found = [
            detector.is_speech(samples[i : i + step].tobytes(), SR)
            for i in range(0, len(samples) - step, step)
        ]
    print(json.dumps({"seconds": time.perf_counter() - started, "found": len(found)}))


def run_process(*arguments: str) -> dict[str, Any]:
    """One of the functions above in a new process with one thread."""
    command = [sys.executable, __file__, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        return {"did not run": run.stderr.strip().splitlines()[-1]}
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def cepstra(data: Path, n_frames: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of 60 values of real sound: two halves of instruments, and ESC-10."""
    import pandas as pd

    from skaudio.views import MFCCView

    notes = pd.read_csv(data / "philharmonia" / "philharmonia.csv")
    esc = pd.read_csv(data / "esc10" / "esc10.csv")
    is_late = notes.instrument > "double-bass"
    files = {
        "early instruments": "philharmonia/audio/" + notes.filename[~is_late],
        "late instruments": "philharmonia/audio/" + notes.filename[is_late],
        "ESC-10": "esc10/audio/" + esc.filename,
    }
    view, rng, X, y = MFCCView(delta=2, **FRAMES), np.random.default_rng(seed), [], []
    for label, paths in files.items():
        clips = view.transform([str(data / path) for path in paths])
        frames = np.concatenate([clip.T for clip in clips])
        X.append(rng.choice(frames, n_frames // 3, replace=len(frames) < n_frames // 3))
        y.append(np.full(n_frames // 3, label))
    return np.concatenate(X), np.concatenate(y)


def mixture(
    data: Path, seed: int, n_frames: int, n_components: int
) -> dict[str, Any] | None:
    """Fit one mixture per class, on real frames."""
    from sklearn.preprocessing import StandardScaler

    from skaudio.mixture import GMMClassifier

    if not data.exists():
        return None
    X, y = cepstra(data, n_frames, seed)
    X = StandardScaler().fit_transform(X)
    report: dict[str, Any] = {"frames": len(X), "type": str(X.dtype)}
    for tol in (1e-3, 1e-2):
        clf = GMMClassifier(
            n_components=n_components, tol=tol, random_state=seed, n_jobs=2
        )
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            clf.fit(X, y)
        seconds = time.perf_counter() - started
        likelihood = [
            float(m.score(X[y == c]))
            for c, m in zip(clf.classes_, clf.mixtures_, strict=True)
        ]
        report[f"tol={tol:g}"] = {
            "seconds": seconds,
            "iterations": [int(n) for n in clf.n_iter_],
            "log-likelihood of a frame": likelihood,
        }
    return report


def an_hour(args: argparse.Namespace) -> dict[str, Any]:
    """From file to table, by SwishNet and, if asked for, by other tools."""
    found: dict[str, Any] = {"hours": args.hours}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hour.wav"
        write_sound(path, args.hours, args.seed)
        tools = []
        for variant in ("slim", "wide"):
            saved = Path(folder) / f"{variant}.safetensors"
            save(model(variant, args.seed), saved)
            tools.append((f"skaudio, {variant}", "--process", str(saved)))
        if args.peers:
            tools += [(name, "--peer", name) for name in ("silero-vad", "webrtcvad")]
        for name, option, what in tools:
            found[name] = row = run_process(option, what, str(path))
            if "seconds" in row:
                row["real-time factor"] = row["seconds"] / (3600 * args.hours)
    return found


def main() -> None:
    """Measure, print and write the results; those of other tasks are kept."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    tasks = ["one pass", "hour", "mixture"]
    parser.add_argument("--tasks", nargs="+", choices=tasks, default=tasks)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--components", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument("--process", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.process:
        process(*args.process)
        return
    if args.peer:
        peer(*args.peer)
        return
    path = args.output / "segmentation.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    report = {task: kept[task] for task in tasks if task in kept}
    source = provenance(args.seed)
    if report.keys() > {*args.tasks}:  # the commits of all that is in the file
        commits = {source["commit"], *kept["provenance"]["commit"].split()}
        source["commit"] = " ".join(sorted(commits))
    if "one pass" in args.tasks:
        report["one pass"] = one_pass(args.seed, args.rounds)
    if "hour" in args.tasks:
        report["hour"] = an_hour(args)
    if "mixture" in args.tasks:
        n_frames = round(360_000 * args.hours)
        found = mixture(args.data, args.seed, n_frames, args.components)
        report["mixture"] = found
    report["provenance"] = source
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    args.output.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
