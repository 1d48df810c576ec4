"""Write the tables of the README from the results, or check that they agree.

    python benchmarks/readme.py [--check]

Tables stand between ``<!-- name -->`` and ``<!-- end name -->``; nobody types a figure.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
NAMES = {
    "mel": "`CRNNClassifier`, mel",
    "gammatone": "`CRNNClassifier`, gammatone",
    "cqt": "`CRNNClassifier`, CQT",
    "raw": "`CRNNClassifier`, raw waveform",
    "concatenation": 'concatenation (`blending="none"`)',
    "late fusion": "late fusion",
    "blending: joint branch": "adaptive blending, joint branch",
    "blending: self-ensemble": "adaptive blending, self-ensemble",
    "uniform: joint branch": "uniform weights, joint branch",
    "uniform: self-ensemble": "uniform weights, self-ensemble",
    "mfcc-mlp": "MFCC statistics + MLP",
    "mfcc-gmm": "MFCC + Gaussian mixtures",
}
VIEWS = {
    "mel": "mel, 64 bands",
    "mfcc": "20 MFCC",
    "gammatone": "gammatone, 64 bands",
    "cqt": "CQT, 84 bins",
    "union": "all four views in one `ViewUnion`",
}


def origin(provenance: dict[str, Any]) -> str:
    """One line on where figures come from."""
    machine, versions = provenance["machine"], provenance["versions"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores, Python {versions['python']}, "
        f"torch {versions['torch']}, seed {provenance['seed']}, commit "
        f"{provenance['commit'][:7]}, {provenance['date'][:10]}."
    )


def esc10_table(report: dict[str, Any]) -> list[str]:
    """Accuracy per row and fold."""
    lines = ["| classifier | mean | folds 1 to 5 |", "|---|---|---|"]
    for name, label in NAMES.items():
        if name in report["accuracy"]:
            row = report["accuracy"][name]
            folds = " ".join(f"{a:.1f}" for a in row["folds"])
            lines.append(f"| {label} | {row['mean']:.1f} | {folds} |")
    settings = report["settings"]
    note = (
        f"Per cent of 400 clips, `width={settings['width']}`, {settings['epochs']} "
        f"epochs, on a CPU. {origin(report['provenance'])}"
    )
    return [*lines, "", note]


def views_table(report: dict[str, Any]) -> list[str]:
    """Milliseconds and ratios to the peer of every view."""
    median = report["milliseconds_per_clip"]
    lines = ["| view | ms | times the peer | peer | ms |", "|---|---|---|---|---|"]
    for name, label in VIEWS.items():
        ratio = report["ratios"][name]
        lines.append(
            f"| {label} | {median[name]:.2f} | {ratio['ratio']:.2f} | {ratio['to']} | "
            f"{median[ratio['to']]:.2f} |"
        )
    settings = report["settings"]
    floor = ", ".join(
        f"{name} {median[name]:.2f}"
        for name in median
        if name.startswith(("decode", "resample", "rfft", "bare"))
    )
    note = (
        f"Per clip of {settings['seconds']} s at {settings['sr'] / 1000:g} kHz, one "
        f"thread, median of {settings['repeats']} interleaved passes over "
        f"{settings['clips']} {settings['data']} clips. For comparison, in ms: "
        f"{floor}. {origin(report['provenance'])}"
    )
    return [*lines, "", note]


def training_line(report: dict[str, Any]) -> list[str]:
    """The estimator's share of an epoch."""
    ours, bare = report["seconds_per_epoch"].values()
    return [
        f"An epoch of `CRNNClassifier` takes {report['ratio']:.2f} times as long as a "
        f"bare torch loop of the same network ({ours:.2f} s and {bare:.2f} s, medians "
        f"of {report['settings']['rounds']} rounds on one thread). "
        f"{origin(report['provenance'])}"
    ]


TABLES = {
    "esc10": esc10_table,
    "views": views_table,
    "skorch_share": training_line,
}


def render(text: str) -> str:
    """Return the README with every table made anew from its results file."""
    for name, table in TABLES.items():
        report = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        block = "\n".join([f"<!-- {name} -->", "", *table(report), ""])
        pattern = rf"<!-- {name} -->.*?(?=<!-- end {name} -->)"
        text, found = re.subn(
            pattern, lambda _, new=block: new + "\n", text, flags=re.DOTALL
        )
        if not found:
            raise ValueError(f"README.md has no place for the table {name!r}.")
    return text


def main() -> int:
    """Write README.md, or return 1 if it is out of date."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    new = render(text)
    if "--check" in sys.argv:
        return int(new != text)
    readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
