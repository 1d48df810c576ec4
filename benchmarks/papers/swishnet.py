"""SwishNet's questions on real sound: speech, music or noise, on clips and over time.

    python benchmarks/papers/swishnet.py [--data ../shared/data] [--budget cpu]
        [--tasks train known speed memory segmentation] [--seeds 0 1] [--jobs 2]

Speech are spoken digits (two speakers), music single notes of 12 instruments, noise
ESC-10; all at 8 kHz, the rate of the speech. One speaker is trained on and the other
tested, seed by seed in turn; notes (all takes of a pitch of an instrument) and sources
of noise are split 65/10/25, and validation is trained on as well. Silence is removed
and loudness equalised; digits of a speaker, some of them at other speeds, and notes of
an instrument are joined to recordings. Clips of 0.5, 1 and 2 s overlap by half; batches
grow as clips become shorter, so that all lengths have as many steps per epoch.

* ``train``: GMM and SNN learn from frames, SwishNet (slim, wide) and MobileNet from
  clips of each length; "distilled" from MobileNet as well, at the authors' temperature.
* ``known``: clips of 1 s once more, with digits of both speakers in both parts.
* ``speed``: CPU time of one clip, in rounds that take all networks in turn.
* ``memory``: a process that loads a model and classifies a clip.
* ``segmentation``: recordings of 20 to 120 s from the test signals, in one pass and by
  windows around every frame.

Every job is kept in ``--cache`` as soon as it is done, so an interrupted run goes on
where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soxr
from joblib import Parallel, delayed
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import confusion_matrix, f1_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _machine import peak_bytes
from _provenance import provenance

from skaudio.datasets import make_recordings
from skaudio.ensemble import FrameClassifier
from skaudio.metrics import boundary_scores, frame_accuracy, frame_report
from skaudio.mixture import GMMClassifier
from skaudio.neural_network import (
    DistilledClassifier,
    MobileNetClassifier,
    SelfNormalizingClassifier,
    SwishNetClassifier,
)
from skaudio.persistence import load, save
from skaudio.preprocessing import (
    AudioLoader,
    LoudnessEqualizer,
    SilenceRemover,
    ViewScaler,
    cut_clips,
)
from skaudio.segmentation import FrameSegmenter
from skaudio.views import MelView, MFCCView, Views, ViewUnion

ROOT = Path(__file__).resolve().parents[2]
SR = 8000  # Hz
CLASSES = ("noise", "music", "speech")
DURATIONS = (0.5, 1.0, 2.0)
SPEEDS = (1.0, 0.8, 1.25, 0.7, 1.4)
# the authors' MFCC at half the rate
FRAMES: dict[str, Any] = {
    **{"sr": SR, "n_fft": 256, "win_length": 200, "hop_length": 80},
    **{"window": np.full(200, 256**-0.5), "center": "start", "preemphasis": 0.97},
    **{"scale": ("log", float(np.finfo(float).eps)), "top_db": None},
}
CEPSTRA: dict[str, Any] = {
    **{"n_mfcc": 20, "n_mels": 32, "mel_norm": None, "htk": "bins", "lifter": 22},
    "use_energy": True,
}
VIEWS = {
    "mfcc": MFCCView(**CEPSTRA, **FRAMES),
    "mfcc60": MFCCView(delta=2, **CEPSTRA, **FRAMES),
    "mel": MelView(n_mels=64, norm=None, htk=True, **FRAMES),
}
ON_FRAMES = ("GMM", "SNN")
DISTILLED = ("slim distilled", "wide distilled")
NETWORKS = ("slim", "wide", "MobileNet", *DISTILLED)
VIEW_OF = {"GMM": "mfcc60", "SNN": "mfcc60", "MobileNet": "mel"}
TEMPERATURES = {"slim": {0.5: 1, 1.0: 2, 2.0: 4}, "wide": {0.5: 8, 1.0: 10, 2.0: 10}}
BUDGETS: dict[str, dict[str, Any]] = {
    "smoke": {
        **{"seconds": 20, "epochs": 1, "teacher_epochs": 1, "frame_epochs": 1},
        **{"n_components": 4, "n_recordings": 2, "rounds": 5, "window_hop": 0.5},
    },
    "cpu": {
        **{"seconds": 700, "epochs": 40, "teacher_epochs": 10, "frame_epochs": 10},
        **{"n_components": 256, "n_recordings": 60, "rounds": 200, "window_hop": 0.1},
    },
    "gpu": {
        **{"seconds": 10_000, "epochs": 120, "teacher_epochs": 20, "frame_epochs": 20},
        **{"n_components": 256, "n_recordings": 500, "rounds": 200, "window_hop": 0.1},
    },
}


# ------------------------------------------------------------------------------ sound


def files(data: Path) -> pd.DataFrame:
    """One row per file: path, class, and source, which no split divides."""
    fsdd = pd.read_csv(data / "fsdd" / "fsdd.csv")
    notes = pd.read_csv(data / "philharmonia" / "philharmonia.csv")
    esc = pd.read_csv(data / "esc10" / "esc10.csv")
    tables = {
        "speech": ("fsdd", fsdd, fsdd.speaker),
        "music": ("philharmonia", notes, notes.instrument + " " + notes.note),
        "noise": ("esc10", esc, esc.src_file.astype(str)),
    }
    rows = [
        pd.DataFrame(
            {
                "path": [str(data / folder / "audio" / f) for f in table.filename],
                "label": label,
                "source": source.to_numpy(),
            }
        )
        for label, (folder, table, source) in tables.items()
    ]
    return pd.concat(rows, ignore_index=True)


def waveforms(args: argparse.Namespace) -> list[np.ndarray]:
    """All files at 8 kHz, decoded once."""
    path = args.folder / "waveforms.npy"
    if not path.exists():
        args.folder.mkdir(parents=True, exist_ok=True)
        loaded = AudioLoader(sr=SR).transform(files(args.data).path.tolist())
        part = path.with_suffix(".part.npy")
        np.save(part, np.asarray(loaded, dtype=object), allow_pickle=True)
        part.replace(path)
    return list(np.load(path, allow_pickle=True))


def is_test(table: pd.DataFrame, seed: int, known: bool = False) -> np.ndarray:
    """Which files are for the test: a speaker, and a quarter of all other sources.

    ``known`` tests a quarter of the digits of each speaker, not one of the speakers.
    """
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(table), bool)
    for label in ("speech", "music", "noise"):
        rows = np.flatnonzero((table.label == label).to_numpy())
        source = table.source.to_numpy()[rows]
        sources = np.unique(source)
        if label == "speech" and known:
            chosen = rng.permutation(rows)[int(0.75 * len(rows)) :]
            held_out[chosen] = True
            continue
        if label == "speech":
            chosen = [sources[(seed + 1) % 2]]
        else:
            chosen = rng.permutation(sources)[int(0.75 * len(sources)) :]
        held_out[rows] = np.isin(source, chosen)
    return held_out


def at_speed(waveform: np.ndarray, speed: float) -> np.ndarray:
    """Play faster, which raises pitch and formants as well."""
    return waveform if speed == 1 else soxr.resample(waveform, SR * speed, SR)


def recordings(
    part: str, seed: int, args: argparse.Namespace, known: bool = False
) -> tuple[list[np.ndarray], np.ndarray]:
    """Joined sounds of the training or of the test part, and their classes."""
    table, rng = files(args.data), np.random.default_rng(seed)
    held_out = is_test(table, seed, known)
    chosen = held_out if part == "test" else ~held_out
    sounds = waveforms(args)
    found: list[np.ndarray] = []
    labels: list[str] = []
    for label, n_joined in (("speech", 10), ("music", 5), ("noise", 1)):
        rows = np.flatnonzero((table.label == label).to_numpy() & chosen)
        clean = SilenceRemover(sr=SR).transform([sounds[i] for i in rows])
        clean = list(LoudnessEqualizer(sr=SR).transform(clean))
        speeds = SPEEDS if part == "train" and label == "speech" else (1.0,)
        joined = []
        for speed in speeds:
            order = rng.permutation(len(rows))
            if label == "music":  # takes of a note, then other notes of its instrument
                order = np.argsort(table.source.to_numpy()[rows], kind="stable")
            for start in range(0, len(order), n_joined):
                parts = [
                    at_speed(clean[i], speed) for i in order[start : start + n_joined]
                ]
                joined.append(np.concatenate(parts).astype(np.float32))
        joined = [joined[i] for i in rng.permutation(len(joined))]
        limit = BUDGETS[args.budget]["seconds"] * (1 if part == "train" else 0.5)
        total = np.cumsum([len(sound) / SR for sound in joined])
        joined = joined[: max(1, int(np.searchsorted(total, limit)))]
        found += joined
        labels += [label] * len(joined)
    return found, np.array(labels)


def quiet_parts(seed: int, args: argparse.Namespace) -> list[np.ndarray]:
    """Natural silence of the test signals, as it was recorded."""
    table = files(args.data)
    sounds = waveforms(args)
    rows = np.flatnonzero(is_test(table, seed))
    parts = SilenceRemover(sr=SR).removed([sounds[i] for i in rows])
    return [p for p in parts if len(p) >= SR // 10 and np.abs(p).max() > 0]


def views_of(
    part: str, seed: int, args: argparse.Namespace, known: bool = False
) -> tuple[Views, Any]:
    """Views of whole recordings, which clips are cut from."""
    X, y = recordings(part, seed, args, known)
    return ViewUnion(list(VIEWS.items())).transform(X), y


def clips_of(views: Views, y: Any, duration: float) -> Any:
    """Clips that overlap by half, the last one from the end."""
    return cut_clips(views, y, duration=duration, overlap=0.5)


# ----------------------------------------------------------------------------- models


def on_view(name: str, *steps: Any) -> Pipeline:
    """A model on one of several views."""
    return make_pipeline(FunctionTransformer(itemgetter(name)), *steps)


def student(kind: str, duration: float, seed: int, args: argparse.Namespace) -> Any:
    """SwishNet on clips of a length."""
    return on_view(
        "mfcc",
        ViewScaler(),
        SwishNetClassifier(
            variant=kind,
            max_epochs=BUDGETS[args.budget]["epochs"],
            batch_size=int(64 / duration),
            device=args.device,
            random_state=seed,
        ),
    )


def model_of(kind: str, duration: float, seed: int, args: argparse.Namespace) -> Any:
    """An estimator that is not fitted."""
    budget = BUDGETS[args.budget]
    if kind == "GMM":
        mixture = GMMClassifier(
            n_components=budget["n_components"], random_state=seed, n_jobs=1
        )
        inner = make_pipeline(StandardScaler(), mixture)
        return on_view("mfcc60", FrameClassifier(inner, vote="majority"))
    if kind == "SNN":
        network = SelfNormalizingClassifier(
            max_epochs=budget["frame_epochs"], device=args.device, random_state=seed
        )
        inner = make_pipeline(StandardScaler(), network)
        return on_view("mfcc60", FrameClassifier(inner, vote="majority"))
    if kind == "MobileNet":
        network = MobileNetClassifier(
            max_epochs=budget["teacher_epochs"],
            batch_size=int(64 / duration),
            device=args.device,
            random_state=seed,
        )
        return on_view("mel", ViewScaler(), network)
    variant, _, distilled = kind.partition(" ")
    if not distilled:
        return student(variant, duration, seed, args)
    teacher = load_model("MobileNet", duration, seed, args)
    return DistilledClassifier(
        student(variant, duration, seed, args),
        FrozenEstimator(on_view("mel", *[step for _, step in teacher.steps])),
        temperature=TEMPERATURES[variant][duration],
    )


def path_of(kind: str, duration: float, seed: int, args: argparse.Namespace) -> Path:
    """File of a trained model, without the step that selects its view."""
    length = "" if kind in ON_FRAMES else f"-{duration:g}s"
    return args.folder / f"{kind.replace(' ', '-')}{length}-seed{seed}.safetensors"


def load_model(kind: str, duration: float, seed: int, args: argparse.Namespace) -> Any:
    """A trained pipeline on its own view."""
    return load(path_of(kind, duration, seed, args))


def parameters_of(kind: str, model: Any) -> int:
    """Numbers that are learned, but for statistics of standardisation."""
    final = model[-1]
    if kind in ON_FRAMES:
        final = final.estimator_[-1]
    if kind == "GMM":
        return sum(
            m.means_.size + m.covariances_.size + m.weights_.size
            for m in final.mixtures_
        )
    return sum(p.numel() for p in final.net_.module_.parameters())


def scores(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """The figures of the paper's Tables II to IV, in percent."""
    table = confusion_matrix(y, predicted, labels=CLASSES, normalize="true")
    return {
        "accuracy": 100 * float(np.mean(y == predicted)),
        "speech or not": 100
        * float(np.mean((y == "speech") == (predicted == "speech"))),
        "F1": 100 * float(f1_score(y, predicted, labels=CLASSES, average="macro")),
        "recall of noise": 100 * float(table[0, 0]),
        "noise taken for music": 100 * float(table[0, 1]),
        "recall of music": 100 * float(table[1, 1]),
        "recall of speech": 100 * float(table[2, 2]),
    }


# ------------------------------------------------------------------------------- jobs


def run_train(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train a model and test it on clips."""
    kind, _, rest = job.partition("@")
    length, _, known = rest.partition(" ")
    duration = float(length or 1)
    X, y = views_of("train", seed, args, bool(known))
    X_test, y_test = views_of("test", seed, args, bool(known))
    if kind not in ON_FRAMES:
        clips = clips_of(X, y, duration)
        X, y = clips.X, clips.y
    model = model_of(kind, duration, seed, args)
    started = time.perf_counter()
    with warnings.catch_warnings():  # EM may stop at its 100 iterations
        warnings.simplefilter("ignore")
        model.fit(X, y)
    result: dict[str, Any] = {"seconds of training": time.perf_counter() - started}
    fitted = getattr(model, "student_", model)
    fitted = Pipeline(fitted.steps[1:])  # on its own view
    result["parameters"] = parameters_of(kind, fitted)
    if not known:
        path = path_of(kind, duration, seed, args)
        save(fitted, path)
        result["bytes of the file"] = path.stat().st_size
    for tested in DURATIONS if kind in ON_FRAMES else [duration]:
        clips = clips_of(X_test, y_test, tested)
        predicted = model.predict(clips.X)
        result[f"{tested:g} s"] = scores(clips.y, predicted)
        result[f"{tested:g} s"]["clips of the test"] = len(clips.y)
    return result


def run_speed(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds per clip, all models in turn, from frames to a decision."""
    X, y = views_of("test", seed, args)
    report: dict[str, Any] = {}
    for duration in DURATIONS:
        clip = clips_of(X, y, duration).X[:1]
        calls = {}
        for kind in (*ON_FRAMES, *NETWORKS[:3]):
            model = load_model(kind, duration, seed, args)
            own = clip[VIEW_OF.get(kind, "mfcc")]
            calls[kind, "predict_proba"] = _bound(model.predict_proba, own)
            if kind not in ON_FRAMES:
                calls[kind, "network alone"] = _network_call(model, own)
        times: dict[Any, list[float]] = {key: [] for key in calls}
        for _ in range(BUDGETS[args.budget]["rounds"]):
            for key, call in calls.items():
                started = time.perf_counter()
                call()
                times[key].append(time.perf_counter() - started)
        report[f"{duration:g} s"] = {
            f"{kind}, {what}": 1000 * float(np.median(values))
            for (kind, what), values in times.items()
        }
    return report


def _bound(function: Callable[[Any], Any], X: Any) -> Callable[[], Any]:
    return lambda: function(X)


def _network_call(model: Any, X: np.ndarray) -> Callable[[], Any]:
    """The torch network as it is used in prediction, on a batch of one."""
    import torch

    net = model[-1].net_
    module = net.for_inference(net.module_)
    batch = {module.decision: torch.from_numpy(model[0].transform(X))}

    def call() -> None:
        with torch.inference_mode():
            module(batch)

    return call


def run_memory(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Megabytes of a process that loads a model and classifies a clip."""
    report = {}
    for kind in ("import", *ON_FRAMES, *NETWORKS[:3]):
        command = [sys.executable, __file__, "--process", kind]
        command += ["--budget", args.budget, "--cache", str(args.cache)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        report[kind] = float(run.stdout)
    return report


def one_process(kind: str, args: argparse.Namespace) -> None:
    """What `run_memory` measures."""
    if kind != "import":
        n_bins = {"mfcc": 20, "mfcc60": 60, "mel": 64}[VIEW_OF.get(kind, "mfcc")]
        model = load_model(kind, 1.0, 0, args)
        model.predict_proba(np.zeros((1, n_bins, 100), np.float32))
    print(peak_bytes() / 1e6)


def run_segmentation(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Labels over time on recordings of the test signals."""
    kind, _, rest = job.partition("@")
    length, _, how = rest.partition(" ")
    duration, budget = float(length), BUDGETS[args.budget]
    X, y = recordings("test", seed, args)
    sounds, truth = make_recordings(
        *(X, y),
        sr=SR,
        n_recordings=budget["n_recordings"],
        silence=quiet_parts(seed, args),
        random_state=seed,
    )
    model = load_model(kind, duration, seed, args)
    view = VIEWS[VIEW_OF.get(kind, "mfcc")]
    whole = FrozenEstimator(Pipeline([("view", view), *model.steps]))
    options: dict[str, Any] = {"median": 201}
    if how == "windows":  # every tenth frame: 20 of them are two seconds
        hop = budget["window_hop"]
        odd = 2 * round(1 / hop) + 1
        options = {"hop": hop, "window": duration, "median": odd}
    segmenter = FrameSegmenter(whole, **options).fit()
    started = time.process_time()
    found = segmenter.predict(sounds)
    seconds = time.process_time() - started
    silence = ["silence"]
    report = frame_report(truth, found, ignore=silence)
    of_speech = [
        table.assign(
            label=table.label.where(table.label.isin(["speech", *silence]), "other")
        )
        for table in (truth, found)
    ]
    edges = boundary_scores(truth, found, collar=0.5, ignore=silence)
    return {
        "accuracy": 100 * frame_accuracy(truth, found, ignore=silence),
        "speech or not": 100 * frame_accuracy(*of_speech, ignore=silence),
        **{f"recall of {c}": 100 * float(report.recall[c]) for c in CLASSES},
        "F1 of boundaries within 0.5 s": 100 * float(edges.f1),
        "CPU seconds per hour": 3600 * seconds / (sum(map(len, sounds)) / SR),
        "minutes of sound": sum(map(len, sounds)) / SR / 60,
    }


def on_clips(kinds: tuple[str, ...]) -> list[str]:
    """Jobs of every length of clips."""
    return [f"{kind}@{duration:g}" for kind in kinds for duration in DURATIONS]


JOBS: dict[str, tuple[Any, list[str]]] = {
    "train": (run_train, [*ON_FRAMES, *on_clips(NETWORKS[:3]), *on_clips(DISTILLED)]),
    "known": (run_train, [f"{kind}@1 known" for kind in (*ON_FRAMES, *NETWORKS[:3])]),
    "speed": (run_speed, ["all"]),
    "memory": (run_memory, ["all"]),
    "segmentation": (
        run_segmentation,
        [
            *(f"{kind}@1" for kind in ON_FRAMES),
            *on_clips(("slim", "wide", "wide distilled")),
            *(f"slim@{duration:g} windows" for duration in DURATIONS),
            *(f"MobileNet@{duration:g} windows" for duration in DURATIONS),
        ],
    ),
}
ONCE = {"speed", "memory"}  # with the first seed, alone on the machine


def run(task: str, job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Do one job, unless it was done before."""
    name = f"{task}-{job.replace(' ', '-')}-seed{seed}.json"
    path = args.folder / name
    if not path.exists():
        args.folder.mkdir(parents=True, exist_ok=True)
        result = {"figures": JOBS[task][0](job, seed, args)}
        result |= {"task": task, "job": job, "seed": seed}
        result["commit"] = provenance(seed)["commit"]
        part = path.with_suffix(f".part{os.getpid()}")
        part.write_text(json.dumps(result))
        part.replace(path)
    return json.loads(path.read_text())


def merged(figures: list[Any]) -> Any:
    """Figures of all seeds: their mean and each of them, in the same nesting."""
    if isinstance(figures[0], dict):
        keys = [key for key in figures[0] if all(key in part for part in figures)]
        return {key: merged([part[key] for part in figures]) for key in keys}
    return {"mean": float(np.mean(figures)), "seeds": figures}


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
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=ROOT / ".benchmark_cache")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument("--process", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.folder = args.cache / f"swishnet-{args.budget}"
    if args.process:
        one_process(args.process, args)
        return
    source = provenance(None)  # before: the tree may change while this runs
    waveforms(args)
    results: list[dict[str, Any]] = []
    for task in args.tasks:
        seeds = args.seeds[:1] if task in ONCE else args.seeds
        jobs = [(job, seed) for job in JOBS[task][1] for seed in seeds]
        # a student's teacher comes first
        for part in (
            [pair for pair in jobs if "distilled" not in pair[0]],
            [pair for pair in jobs if "distilled" in pair[0]],
        ):
            n_jobs = 1 if task in ONCE else args.jobs
            results += Parallel(n_jobs=n_jobs)(
                delayed(run)(task, job, seed, args) for job, seed in part
            )
    commits = sorted({r["commit"] for r in results})  # of the runs, not of this table
    settings = {"budget": args.budget, "device": args.device}
    report = {
        "provenance": {**source, "commit": " ".join(commits), "seed": args.seeds},
        "settings": {**BUDGETS[args.budget], **settings},
        "results": summary(results),
    }
    sys.stdout.write(json.dumps(report["results"], indent=1) + "\n")
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / f"swishnet_{args.budget}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
