"""Tables of the network that is listened to for `readme.py`."""

from __future__ import annotations

from typing import Any


def accuracy_line(report: dict[str, Any], origin: str) -> list[str]:
    """Accuracy on the folds, and the cost of all maps."""
    accuracy, settings = report["accuracy"], report["settings"]
    systems = "; ".join(
        f"{name} {row['test']['mean']:.1f} ± {row['test']['interval']:.1f} "
        f"({row['train']['mean']:.0f} in training)"
        for name, row in accuracy.items()
    )
    full = report["network: full width"]
    speed = report["speed: all maps"]
    silent = ", ".join(map(str, speed["silent features by depth"]))
    return [
        f"ESC-10 as clips of 4 s at 11,025 Hz, official folds, {settings['width']:g} "
        f"of the paper's width, {settings['epochs']} epochs, accuracy in per cent and "
        f"95 % interval over folds: {systems}. Full width, {settings['full_epochs']} "
        f"epochs, plain magnitudes, first fold: {full['test']:.1f} "
        f"({full['train']:.0f} in training).",
        "",
        "Deconvolution of a clip by that network, all 64 maps of all five depths, one "
        f"core: {speed['seconds']:.2f} s, {speed['ratio to torch']:.1f} times as fast "
        "as one feature at a time by the plain algorithm in torch "
        f"({speed['seconds, plain in torch']:.1f} s), and "
        f"{speed['ratio to SciPy, top layer']:,.0f} times as fast as in SciPy (top "
        f"layer); silent features, which are not computed, by depth: {silent}. Maps "
        f"differ by {speed['relative difference to torch']:.0e} of their maximum. "
        f"{origin}",
    ]


def correlation_table(report: dict[str, Any], origin: str) -> list[str]:
    """Correlation of responses by layer, for notes and chords."""
    cases = [
        (sounds, state, report[f"correlation: {sounds}, {state}"])
        for sounds in ("notes", "chords")
        for state in ("trained", "untrained")
    ]
    depths = sorted({row["depth"] for _, _, case in cases for row in case["table"]})
    heads = " | ".join(f"layer {depth + 1}" for depth in depths)
    lines = [f"| pairs that differ in | {heads} |", "|---" * (len(depths) + 1) + "|"]
    for sounds, state, case in cases:
        kinds = dict.fromkeys(row["differ"] for row in case["table"])
        for kind in (kind for kind in kinds if "," not in kind):
            rows = {r["depth"]: r for r in case["table"] if r["differ"] == kind}
            cells = [
                f"{rows[d]['correlation']:.2f} ({rows[d]['low']:.2f} to "
                f"{rows[d]['high']:.2f})"
                for d in depths
            ]
            lines.append(f"| {kind} ({sounds}, {state}) | {' | '.join(cells)} |")
    n_notes, n_chords = cases[0][2]["n_clips"], cases[2][2]["n_clips"]
    note = (
        "Pearson's correlation of all features of a layer, means over time, between "
        f"two clips: mean over pairs of {n_notes} notes of instruments and of "
        f"{n_chords} synthesised chords that differ in that alone, and 95 % interval. "
        f"{origin}"
    )
    return [*lines, "", note]
