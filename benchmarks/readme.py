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
    "blending: joint branch": "blending as published, joint branch",
    "blending: self-ensemble": "blending as published, self-ensemble",
    "uniform: joint branch": "uniform weights, joint branch",
    "uniform: self-ensemble": "uniform weights, self-ensemble",
    "mfcc-mlp": "MFCC statistics + MLP",
    "mfcc-gmm": "MFCC + Gaussian mixtures",
}
PAPER_ROWS = {
    "mel": "M1 mel",
    "gammatone": "M2 gammatone",
    "cqt": "M3 CQT",
    "raw": "M4 raw waveform",
    "concatenation: joint branch": "M5 concatenation",
    "late fusion": "M6 late fusion",
    "RULE: joint branch": "M7 multi-view, joint branch",
    "RULE: self-ensemble": "M8 self-ensemble",
}
RULES = {
    "smoothed": "with momentum and least weight",
    "paper": "as published",
    "paper-literal": "as published, literal smoothing",
    "fixed-reference": "fixed reference (G-Blend)",
    "uniform": "uniform weights",
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
    seed, commits = provenance["seed"], provenance["commit"].split()
    seeds = ", ".join(map(str, seed)) if isinstance(seed, list) else seed
    return (
        f"{machine['cpu']}, {machine['cores']} cores, Python {versions['python']}, "
        f"torch {versions['torch']}, seed {seeds}, commit "
        f"{', '.join(c[:7] for c in commits)}, {provenance['date'][:10]}."
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


def paper_table(report: dict[str, Any]) -> list[str]:
    """The paper's eight rows with the default rule, then every rule of blending."""
    accuracy, differences = report["accuracy"], report["paired_differences"]
    default = "RULE"
    rule = report["default_rule"]
    lines = ["| row | mean | sd of seeds | seeds |", "|---|---|---|---|"]
    for name, label in PAPER_ROWS.items():
        row = accuracy[name.replace(default, rule)]
        seeds = " ".join(f"{a:.1f}" for a in row["per_seed"])
        deviation = row["sd_of_seeds"]
        sd = "" if deviation is None else f"{deviation:.1f}"
        lines.append(f"| {label} | {row['mean']:.1f} | {sd} | {seeds} |")
    lines += [
        "",
        "| branch weights | joint | self-ensemble | less uniform | less late fusion |",
        "|---|---|---|---|---|",
    ]
    for name, label in RULES.items():
        ensemble = f"{name}: self-ensemble"
        if ensemble not in accuracy:
            continue
        cells = [
            f"{accuracy[f'{name}: joint branch']['mean']:.1f}",
            f"{accuracy[ensemble]['mean']:.1f}",
            interval(differences.get(f"{ensemble} - uniform: self-ensemble")),
            interval(differences.get(f"{ensemble} - late fusion")),
        ]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    settings = report["settings"]
    note = (
        f"Per cent of 400 clips, `width={settings['width']}`, {settings['max_epochs']} "
        f"epochs, on a {settings['device'].upper()}; all rows hold out a tenth of the "
        "sources. Intervals: 95 %, paired by clip, bootstrapped over sources. "
        f"{origin(report['provenance'])}"
    )
    return [*lines, "", note]


def interval(pair: dict[str, Any] | None) -> str:
    """A paired difference with its interval."""
    if pair is None:
        return ""
    low, high = pair["interval"]
    return f"{pair['difference']:+.1f} [{low:+.1f}, {high:+.1f}]"


def blending_lines(report: dict[str, Any]) -> list[str]:
    """What evaluations cost, one network for four views, and views inside."""
    evaluated, steps, inside = report["ratios"].values()
    return [
        f"Evaluating all branches as often as the default does makes training "
        f"{evaluated:.2f} times as long. An epoch on four views with five branches is "
        f"{steps:.2f} times the sum of the four single-view epochs; with the views "
        f"computed inside the network {inside:.2f} times as long as on views computed "
        f"before (`width={report['settings']['width']}`, medians of "
        f"{report['settings']['rounds']} rounds on one thread). "
        f"{origin(report['provenance'])}"
    ]


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
    "multiview_cpu": paper_table,
    "blending_cost": blending_lines,
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
