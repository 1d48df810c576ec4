"""The SampleCNN paper's questions on real sound: rates, levels, tags, transfer.

    python benchmarks/papers/samplecnn.py [--data ../shared/data] [--budget cpu]
        [--tasks rates frames scales multiscale tagger digits probes] [--seeds 0 1]
        [--jobs 2]

* ``rates`` (Table 5): 12 instruments from their samples at seven sampling rates, the
  networks of Table 3. Trained on the notes C, D, E and G#, tested on F# and A#.
* ``frames`` (Table 2): the frame-level networks on mel and on the waveform, those
  between them and 3^9, and MFCC on the same clips.
* ``scales``, ``multiscale`` (Table 4): eight networks of the m^n family on the same
  clips, and the last three layers of one, two, four and all of them as features:
  instruments (across notes), ESC-10 (official folds), spoken digits (across speakers).
* ``tagger``: words of the clips' descriptions (instrument, dynamics, articulation) as
  tags, split by note.
* ``digits``: spoken digits, trained on one speaker and tested on the other.
* ``probes`` (Table 6): layers of the tagger as features for other sounds:
  ESC-10 (official folds), spoken digits (across speakers), instruments (across notes).

Every job is kept in ``--cache`` as soon as it is done, so an interrupted run goes on
where it stopped. The training of a job goes on from its last epoch.
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
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance
from _remember import remembered

from skaudio.embedding import LayerEmbedder, make_probe
from skaudio.neural_network import FrameLevelCNNClassifier, SampleCNNClassifier
from skaudio.papers import lee2018
from skaudio.persistence import load, save
from skaudio.preprocessing import AudioLoader, FrameStatistics, ViewScaler
from skaudio.views import MelView, MFCCView, RawView

ROOT = Path(__file__).resolve().parents[2]
TEST_NOTES = ("Fs", "As")
RATES = (22050, 20000, 16000, 12000, 8000, 4000, 2000)
# modules, window and hop of Table 2; below frames its rows 27 and 9, whose third is 3^9
FRAME_SIZES = ("4-729-729", "5-729-243", "5-243-243", "6-243-81", "6-81-81")
SAMPLE_SIZES = ("7-27-27", "8-9-9")
# statistics of MFCC at every rate show how much of a loss is due to the sound
FRAMES = (
    *(f"mel-{sizes}" for sizes in FRAME_SIZES),
    *(f"raw-{sizes}" for sizes in (*FRAME_SIZES, *SAMPLE_SIZES)),
    *(f"mfcc-{rate}" for rate in RATES),
)
SCALES = ("2^13", "2^14", "3^8", "3^9", "4^6", "4^7", "5^5", "5^6")
MULTISCALE = {
    "1 network": ("3^9",),
    "2 networks": ("3^8", "3^9"),
    "4 networks": ("2^13", "2^14", "3^8", "3^9"),
    "8 networks": SCALES,
}
DIGIT_SIZES = (3, 3, 3, 3, 2, 2, 4, 4)  # 0.65 s at 8 kHz: digits last 0.5 s
TAGGER_RATE = 8000
# some hundred steps on a CPU: one cycle of Adam, as in this package's other networks
SHORT = {
    "optimizer": "adam",
    "lr": 0.004,
    "lr_schedule": "one-cycle",
    "validation_fraction": None,
}
# the paper's training, of networks of any size
PAPER = {
    name: value
    for name, value in lee2018().items()
    if name not in ("sr", "sizes", "filters", "width", "max_epochs", "n_segments")
}
BUDGETS: dict[str, dict[str, Any]] = {
    "smoke": {
        **{"width": 0.05, "max_epochs": 1, "per_class": 6, "tagger_epochs": 1},
        "training": SHORT,
    },
    "cpu": {
        **{"width": 0.125, "max_epochs": 15, "per_class": 40, "tagger_epochs": 8},
        "training": SHORT,
    },
    # the paper's network and training
    "gpu": {
        **{"width": 1.0, "max_epochs": 300, "per_class": None, "tagger_epochs": 300},
        "training": PAPER,
    },
}
LEVELS = {"-3": (-3,), "-2": (-2,), "-1": (-1,), "last 3": (-3, -2, -1)}


def instruments(data: Path, per_class: int | None) -> tuple[Any, np.ndarray]:
    """Return the table of notes, and which clips to train on."""
    table = pd.read_csv(data / "philharmonia" / "philharmonia.csv")
    table["path"] = [str(data / "philharmonia" / "audio" / f) for f in table.filename]
    for_training = ~table.note.str.replace(r"\d", "", regex=True).isin(TEST_NOTES)
    train = table[for_training]
    if per_class is not None:
        train = train.groupby("instrument").sample(per_class, random_state=0)
    return table, np.sort(train.index.to_numpy())


def held_out(table: Any) -> np.ndarray:
    """Clips of the notes that nothing is trained on."""
    notes = table.note.str.replace(r"\d", "", regex=True)
    return np.flatnonzero(notes.isin(TEST_NOTES))


def tags_of(table: Any) -> tuple[np.ndarray, list[str]]:
    """Words of the descriptions as an indicator matrix; rare ones are left out."""
    words = table.tags.str.get_dummies(sep=" ")
    names = [name for name in words if words[name].sum() >= 50]
    return words[names].to_numpy(), names


def decoded(data: Path, sr: int) -> list[np.ndarray]:
    """All notes at a rate."""
    table, _ = instruments(data, None)
    return list(AudioLoader(sr=sr).transform(table.path.tolist()))


def sample_cnn(seed: int, args: argparse.Namespace, **changes: Any) -> Any:
    """A network with the training of the budget."""
    budget = BUDGETS[args.budget]
    options = {
        **{"width": budget["width"], "max_epochs": budget["max_epochs"]},
        **{"device": args.device, "random_state": seed},
        "mixed_precision": args.device.startswith("cuda"),
        **budget["training"],
    }
    return SampleCNNClassifier(**options | changes)


def run_rates(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy of the networks of Table 3, trained and tested at a rate."""
    clf = sample_cnn(seed, args, sr=int(job))
    result = instrument_scores(clf, int(job), seed, f"rate-{job}", args)
    if clf.sr == 22050:
        save(clf, network_path("3^9", seed, args))
    return result


def network_path(scale: str, seed: int, args: argparse.Namespace) -> Path:
    """Where a network of the m^n family is kept."""
    return args.folder / f"scale-{scale}-seed{seed}.safetensors"


def run_scales(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy of a network of the m^n family, which is kept; `rates` has 3^9."""
    m, n = map(int, job.split("^"))
    clf = sample_cnn(seed, args, sizes=(m,) * (n + 1))
    result = instrument_scores(clf, 22050, seed, f"scale-{job}", args)
    save(clf, network_path(job, seed, args))
    return result


def run_multiscale(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy of a probe on the last three layers of several networks at once."""
    embedders = [
        (
            scale,
            LayerEmbedder(
                FrozenEstimator(load(network_path(scale, seed, args))),
                layers=LEVELS["last 3"],
                cache=args.folder / "embeddings",
            ),
        )
        for scale in MULTISCALE[job]
    ]
    results: dict[str, Any] = {}
    for task, (X, y, splits) in probe_tasks(args, 22050).items():
        for head in ("mlp", "svm"):
            probe = make_probe(FeatureUnion(embedders), head=head, random_state=seed)
            results[f"{task} / {head}"] = probe_accuracy(probe, X, y, splits)
    features = FeatureUnion(embedders).fit(X[:1]).transform(X[:1])
    return results | {"features": features.shape[1]}


def run_frames(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy of the baselines, networks at 22,050 Hz."""
    budget = BUDGETS[args.budget]
    kind, *numbers = job.split("-")
    if kind == "mfcc":
        sr = int(numbers[0])
        head = MLPClassifier((256,), max_iter=500, random_state=seed)
        model = make_pipeline(
            MFCCView(sr=sr, delta=2), FrameStatistics(), StandardScaler(), head
        )
        return instrument_scores(model, sr, seed, job, args)
    n_modules, win_length, hop_length = map(int, numbers)
    cnn = FrameLevelCNNClassifier(
        n_modules=n_modules,
        win_length=win_length,
        hop_length=hop_length,
        width=budget["width"],
        max_epochs=budget["max_epochs"],
        device=args.device,
        random_state=seed,
        **budget["training"],
    )
    mel = MelView(
        sr=22050,
        n_fft=729,
        win_length=win_length,
        hop_length=hop_length,
        n_mels=128,
        power=1,
        scale="log1p",
    )
    views = [mel, ViewScaler(per="view")] if kind == "mel" else [RawView()]
    return instrument_scores(make_pipeline(*views, cnn), 22050, seed, job, args)


def instrument_scores(
    model: Any, sr: int, seed: int, job: str, args: argparse.Namespace
) -> dict[str, Any]:
    """Fit on notes, test on others."""
    table, train = instruments(args.data, BUDGETS[args.budget]["per_class"])
    test = held_out(table)
    X = remembered(decoded, args.data, sr)
    y = table.instrument.to_numpy()
    options = {}
    if hasattr(model, "sr"):  # a pipeline of frame-level networks is done in minutes
        options["checkpoint"] = args.folder / f"{job}-seed{seed}.checkpoint"
    cpu = time.process_time()
    model.fit([X[i] for i in train], y[train], **options)
    seconds = time.process_time() - cpu
    right = model.predict([X[i] for i in test]) == y[test]
    return {"accuracy": 100 * float(right.mean()), "cpu_seconds": seconds}


def run_tagger(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Tags of held-out notes, by the network and by MFCC; the network is kept."""
    from skaudio.metrics import tag_report

    budget = BUDGETS[args.budget]
    table, _ = instruments(args.data, None)
    test = held_out(table)
    train = np.setdiff1d(np.arange(len(table)), test)
    y, names = tags_of(table)
    X = remembered(decoded, args.data, TAGGER_RATE)
    if job == "mfcc":
        model = make_pipeline(
            MFCCView(sr=TAGGER_RATE, delta=2),
            FrameStatistics(),
            StandardScaler(),
            MLPClassifier((256,), max_iter=500, random_state=seed),
        )
        model.fit([X[i] for i in train], y[train])
    else:
        model = sample_cnn(
            seed, args, sr=TAGGER_RATE, max_epochs=budget["tagger_epochs"]
        )
        checkpoint = args.folder / f"tagger-seed{seed}.checkpoint"
        model.fit([X[i] for i in train], y[train], checkpoint=checkpoint)
        save(model, args.folder / f"tagger-seed{seed}.safetensors")
    proba = model.predict_proba([X[i] for i in test])
    report = tag_report(y[test], proba, tag_names=names)
    return {
        "roc_auc": float(report["roc_auc"].mean()),
        "average_precision": float(report["average_precision"].mean()),
        "tags": json.loads(report.round(4).to_json(orient="index")),
    }


def digits(data: Path, sr: int = 8000) -> tuple[list[np.ndarray], Any]:
    """Spoken digits and their table."""
    table = pd.read_csv(data / "fsdd" / "fsdd.csv")
    paths = [str(data / "fsdd" / "audio" / name) for name in table.filename]
    return list(AudioLoader(sr=sr).transform(paths)), table


def run_digits(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy on one speaker after training on the other, both ways."""
    X, table = digits(args.data)
    y, speakers = table.digit.to_numpy(), table.speaker.unique()
    budget = BUDGETS[args.budget]
    scores = []
    for speaker in speakers:
        if job == "mfcc":
            model = make_pipeline(
                MFCCView(sr=8000, delta=2),
                FrameStatistics(),
                StandardScaler(),
                MLPClassifier((256,), max_iter=500, random_state=seed),
            )
        else:
            # the paper's ends by itself
            training = (
                budget["training"] | {"max_epochs": 2 * budget["max_epochs"]}
                if job == "samplecnn"
                else PAPER | {"max_epochs": 100}
            )
            model = SampleCNNClassifier(
                sr=8000,
                sizes=DIGIT_SIZES,
                width=budget["width"],
                device=args.device,
                random_state=seed,
                **training,
            )
        train = np.flatnonzero(table.speaker == speaker)
        test = np.flatnonzero(table.speaker != speaker)
        model.fit([X[i] for i in train], y[train])
        scores.append(100 * float(model.score([X[i] for i in test], y[test])))
    return {"accuracy": float(np.mean(scores)), "per_speaker": scores}


def probe_tasks(args: argparse.Namespace, sr: int = TAGGER_RATE) -> dict[str, Any]:
    """Sounds at a network's rate, labels and splits of the three target tasks."""
    esc = pd.read_csv(args.data / "esc10" / "esc10.csv")
    paths = [str(args.data / "esc10" / "audio" / name) for name in esc.filename]
    loader = AudioLoader(sr=sr, trim_silence=True)
    folds = [np.flatnonzero(esc.fold == f) for f in sorted(esc.fold.unique())]
    X_digits, spoken = digits(args.data, sr)
    sides = [np.flatnonzero(spoken.speaker == s) for s in spoken.speaker.unique()]
    table, train = instruments(args.data, BUDGETS[args.budget]["per_class"])
    notes = remembered(decoded, args.data, sr)

    def others(parts: list[np.ndarray], n: int) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(np.setdiff1d(np.arange(n), part), part) for part in parts]

    return {
        "ESC-10": (
            list(loader.transform(paths)),
            esc.category.to_numpy(),
            others(folds, len(esc)),
        ),
        "digits": (X_digits, spoken.digit.to_numpy(), others(sides, len(spoken))),
        "instruments": (
            notes,
            table.instrument.to_numpy(),
            [(train, held_out(table))],
        ),
    }


def run_probes(job: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy of a probe on single layers and on the last three, per task and head."""
    tagger = load(args.folder / f"tagger-seed{seed}.safetensors")
    if job == "untrained":  # what the structure of the network does by itself
        tagger = untrained(tagger, seed)
    results: dict[str, Any] = {}
    for task, (X, y, splits) in probe_tasks(args).items():
        for level, layers in LEVELS.items():
            embedder = LayerEmbedder(FrozenEstimator(tagger), layers=layers)
            for head in ("mlp", "svm"):
                probe = make_probe(embedder, head=head, random_state=seed)
                accuracy = probe_accuracy(probe, X, y, splits)
                results[f"{task} / {head} / {level}"] = accuracy
    return results


def probe_accuracy(probe: Any, X: list[Any], y: Any, splits: list[Any]) -> float:
    """Per cent of the clips of all test parts that are right."""
    right = [
        probe.fit([X[i] for i in train], y[train]).predict([X[i] for i in test])
        == y[test]
        for train, test in splits
    ]
    return 100 * float(np.concatenate(right).mean())


def untrained(fitted: Any, seed: int) -> Any:
    """Fit the same network for one step at a rate of nearly zero."""
    from sklearn.base import clone

    rng = np.random.default_rng(seed)
    X = 0.1 * rng.standard_normal((46, fitted.n_samples_)).astype(np.float32)
    model = clone(fitted).set_params(lr=1e-9, max_epochs=20, random_state=seed)
    return model.fit(X, np.arange(46) % 2)


JOBS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "rates": (run_rates, tuple(str(rate) for rate in RATES)),
    "frames": (run_frames, FRAMES),
    "scales": (run_scales, tuple(scale for scale in SCALES if scale != "3^9")),
    "multiscale": (run_multiscale, tuple(MULTISCALE)),
    "tagger": (run_tagger, ("samplecnn", "mfcc")),
    "digits": (run_digits, ("samplecnn", "paper-training", "mfcc")),
    "probes": (run_probes, ("trained", "untrained")),
}


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
    hidden = {"task", "job", "seed", "commit", "tags", "per_speaker"}
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
    args = parser.parse_args()
    args.folder = args.cache / f"samplecnn-{args.budget}"
    source = provenance(None)  # before: the tree may change while this runs
    results: list[dict[str, Any]] = []
    for task in args.tasks:  # probes need networks
        jobs = [(task, job, seed) for seed in args.seeds for job in JOBS[task][1]]
        results += Parallel(n_jobs=args.jobs, verbose=5)(
            delayed(run)(*job, args) for job in jobs
        )
    commits = sorted({r["commit"] for r in results})  # of the runs, not of this table
    report = {
        "provenance": {**source, "commit": " ".join(commits), "seed": args.seeds},
        "settings": {**BUDGETS[args.budget], "budget": args.budget},
        "test_notes": TEST_NOTES,
        "results": summary(results),
        "tags": next((r["tags"] for r in results if "tags" in r), None),
    }
    for task, jobs in report["results"].items():
        for job, rows in jobs.items():
            for key, figure in rows.items():
                seeds = "  ".join(f"{a:7.3f}" for a in figure["seeds"])
                sys.stdout.write(
                    f"{task:12s}{job:16s}{key:32s}{figure['mean']:8.3f}   {seeds}\n"
                )
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / f"samplecnn_{args.budget}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
