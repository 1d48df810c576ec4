"""The table of minutes by clips, views and width, and of memory by view."""

from __future__ import annotations

from typing import Any

SIZES = (100, 1_000, 10_000)


def words(minutes: float) -> str:
    """Minutes, or hours if there are many."""
    if minutes < 1:
        return "under 1 min"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.0f} h"


def minutes_table(report: dict[str, Any], origin: str) -> list[str]:
    """A line for each number of clips and network."""
    settings, epochs = report["settings"], report["epochs"]
    heads = (
        *("clips", "views", "`width`", "computing views"),
        *(f"training, {epochs} epochs", "prediction"),
    )
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for n_clips in SIZES:
        for row in report["seconds_per_clip"]:
            times = (row["compute"], row["train"] * epochs, row["predict"])
            cells = [words(seconds * n_clips / 60) for seconds in times]
            what = f"{n_clips:,} | {row['views']} | {row['width']:g}"
            lines.append(f"| {what} | {' | '.join(cells)} |")
    estimate = report["estimate"]
    note = (
        f"Clips of {settings['seconds']:g} s at {settings['sr']:,} Hz, one thread: by "
        f"multiplication from {settings['clips']} clips, of one epoch, and of "
        f"{settings['segments']} segments a clip in prediction. What `fit` said after "
        f"one epoch of {estimate['epochs']} was {estimate['said']:.0f} s; it took "
        f"{estimate['taken']:.0f} s. {origin}"
    )
    return [*lines, "", note]


def memory_table(report: dict[str, Any], origin: str) -> list[str]:
    """Megabytes of a thousand clips by view."""
    settings = report["settings"]
    lines = ["| view | MB per 1,000 clips |", "|---|---|"]
    for name, size in report["bytes_per_clip"].items():
        lines.append(f"| {name} | {size / 1000:.0f} |")
    note = (
        f"Clips of {settings['seconds']:g} s at {settings['sr']:,} Hz, float32, with "
        "default parameters."
    )
    return [*lines, "", note]
