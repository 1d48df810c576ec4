"""Tables of published networks as features, and of what they cost."""

from __future__ import annotations

from collections import Counter
from typing import Any

HEADS = {"logistic": "logistic", "lda": "LDA", "svm": "SVM", "mlp": "MLP"}
NAMES = {
    "mfcc": "MFCC statistics",
    **{
        name: f"`{name}`"
        for name in (
            *("fcn-mtat", "fcn-msd", "fcn-jamendo", "crnn-msd", "crnn-jamendo"),
            *("musicnn-mtat", "musicnn-jamendo"),
        )
    },
    "fcn untrained": "FCN, random convolutions",
    "crnn untrained": "CRNN, random convolutions",
    "musicnn untrained": "MusiCNN, random convolutions",
    "BirdNET 2.4": "BirdNET 2.4, by an adapter",
}
OTHER_SETS = {
    "notes": "instruments, other notes",
    "dynamics": "instruments, played softly",
    "digits": "digits, other speaker",
}


def probes_table(report: dict[str, Any], origin: str) -> list[str]:
    """Accuracy on ESC-10 by features and head; on other sets of two heads."""
    mean = {
        (row["task"], row["set"], row["system"], row["head"]): row["mean"]
        for row in report["summary"]
    }
    heads = " | ".join(f"ESC-10, {label}" for label in HEADS.values())
    sets = [name for name in OTHER_SETS if any(key[1] == name for key in mean)]
    others = " | ".join(OTHER_SETS[name] for name in sets)
    lines = [
        f"| features | {heads} | {others} |",
        "|---" * (1 + len(HEADS) + len(sets)) + "|",
    ]
    for name, label in NAMES.items():
        cells = [cell(mean.get(("heads", "esc10", name, head))) for head in HEADS]
        for other in sets:
            pair = [mean.get(("heads", other, name, h)) for h in ("logistic", "lda")]
            cells.append("" if None in pair else " / ".join(map(cell, pair)))
        if any(cells):
            lines.append(f"| {label} | {' | '.join(cells)} |")
    blank = " |" * (len(HEADS) - 1 + len(sets))
    for task, label in (("unions", ""), ("tuned", "trained on from ")):
        for (kind, _, name, head), value in mean.items():
            if kind == task and complete(report, task, name, head):
                what = NAMES.get(name, name)
                what += f", {head}" if task == "tuned" else chosen(report, name)
                lines.append(f"| {label}{what} | {cell(value)} |{blank}")
    note = (
        "Per cent. Means over five official folds of ESC-10 (400 clips); 480 "
        "recordings of 12 instruments, tested on F# and A#, or on what is played "
        "pianissimo and piano, by logistic regression / LDA; 500 digits of two "
        "speakers, each tested on after training on the other. The one parameter of a "
        "head (`C`, `shrinkage`) is searched inside the training clips, by source; of "
        "unions also the head and which one, two or three embeddings. Rows that were "
        "trained on: 60 epochs with between-class mixing on an NVIDIA H100. "
        f"{origin}"
    )
    return [*lines, "", note]


def cell(value: float | None) -> str:
    """A figure, if there is one."""
    return "" if value is None else f"{value:.1f}"


def complete(report: dict[str, Any], task: str, system: str, head: str) -> bool:
    """Whether all five folds are there."""
    rows = (r for r in report["rows"] if r["set"] == "esc10" and r["task"] == task)
    return sum(r["system"] == system and r["head"] == head for r in rows) == 5


def chosen(report: dict[str, Any], system: str) -> str:
    """What was chosen most often."""
    rows = [r for r in report["rows"] if r["system"] == system and r["set"] == "esc10"]
    counts = Counter(" + ".join(row["chosen"][:-1]) for row in rows)
    ((most, n),) = counts.most_common(1)
    return f", chosen inside (in {n} of {len(rows)} folds {most})"


def speed_table(report: dict[str, Any], origin: str) -> list[str]:
    """Milliseconds per clip and ratio to a plain port."""
    lines = [
        "| network | clip | plain port | ours | times as fast | CPU s per hour |",
        "|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        kind = row["file"].partition("_")[2]
        label = {"fcn": "FCN", "crnn": "CRNN", "musicnn": "MusiCNN"}[kind]
        ms, hour = row["ms_per_clip"], row["cpu_seconds_per_hour_of_sound"]["ours"]
        lines.append(
            f"| {label} | {row['seconds']:g} s | {ms['plain']:.0f} ms | "
            f"{ms['ours']:.0f} ms | {row['ratio']:.1f} | {hour:.0f} |"
        )
    worst = max(row["relative_difference"] for row in report["rows"])
    half = next(row["bfloat16"] for row in report["rows"] if row["seconds"] == 5)
    note = (
        f"CPU time of one thread. Embeddings differ by at most {worst:.0e} of their "
        "largest number. The plain port in bfloat16 with folded normalisation takes "
        f"{half['ms_per_clip']:.0f} ms for FCN's half minute and is off by "
        f"{100 * half['relative_difference']:.1f} %, which is why it is not offered. "
        f"{origin}"
    )
    return [*lines, "", note]
