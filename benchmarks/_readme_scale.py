"""README lines on the cache, large data, clusters and exported models."""

from __future__ import annotations

from typing import Any

WAYS = {
    "without": "no cache",
    "pipeline_memory": "`memory=` of the Pipeline",
    "in_memory": "`cache=True`",
    "folder": "`cache=folder`, the first time",
    "folder_again": "`cache=folder`, the second time",
}
HOW = {"pipeline": "views, scaler, network", "inside": "`views=` in the network"}


def cache_table(report: dict[str, Any], origin: str) -> list[str]:
    """What a search takes in several ways, as a multiple of its parts."""
    seconds, ratios = report["seconds"], report["ratio_to_one_extraction_and_the_fits"]
    lines = ["| search over a network | seconds | times its parts |", "|---|---|---|"]
    for name, label in WAYS.items():
        lines.append(f"| {label} | {seconds[name]:.1f} | {ratios[name]:.2f} |")
    settings = report["settings"]
    n_fits = settings["candidates"] * settings["folds"]
    note = (
        f"{settings['clips']} clips of ESC-10 from their paths, four views, {n_fits} "
        f"fits, one thread. Its parts are one extraction ({seconds['extraction']:.1f} "
        f"s) and the fits on views that are there ({seconds['fits']:.1f} s); below 1 "
        "is the scatter of timings. The second time takes "
        f"{report['second_run_to_the_fits']:.2f} times the fits, and a search over "
        f"`n_mels` with the folder {report['search_over_n_mels']:.2f} times one "
        f"without. {origin}"
    )
    return [*lines, "", note]


def large_data_table(report: dict[str, Any], origin: str) -> list[str]:
    """Memory by number of clips."""
    lines = [
        "| clips | how | folder, GB | memory above import, MB | fit, s | predict, s |",
        "|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        if "cache_gb" in row:
            lines.append(
                f"| {row['clips']:,} | {HOW[row['how']]} | {row['cache_gb']:.1f} | "
                f"{row['predict_mb']:.0f} | {row['fit_seconds']:.0f} | "
                f"{row['predict_seconds']:.0f} |"
            )
    same = report["same_probabilities_as_in_memory"]
    few = {row["clips"] for row in report["rows"] if "cache_gb" not in row}
    equal = "are" if all(same.values()) else "are not"
    note = (
        f"Clips of {report['settings']['seconds']} s, four views, a narrow multi-view "
        "network, one epoch. From the fewest to the most clips of the first way, "
        f"memory grows {report['growth']:.2f} times. Probabilities of {max(few)} clips "
        f"{equal} those of a run in memory, to the bit; the machine was shared with "
        f"other processes. {origin}"
    )
    return [*lines, "", note]


def cluster_line(report: dict[str, Any], origin: str) -> list[str]:
    """What a second process is worth."""
    parts = [
        f"{report[what]['ratio']:.2f} times as fast for {label} "
        f"({report[what]['one']:.1f} and {report[what]['two']:.1f} s)"
        for what, label in (
            ("extraction", f"four views of {report['settings']['clips']} clips"),
            ("search", "a search over a network"),
        )
    ]
    return [f"Two processes are {' and '.join(parts)} as one. {origin}"]


def export_table(report: dict[str, Any], origin: str) -> list[str]:
    """Speed of exported models beside the estimators."""
    lines = [
        "| model | clips at a time | ms per clip | ONNX Runtime | times as fast |",
        "|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        ms = row["ms_per_clip"]
        lines.append(
            f"| {row['model']} | {row['batch']} | {ms['skaudio']:.1f} | "
            f"{ms['onnxruntime']:.1f} | {row['ratio']:.2f} |"
        )
    largest = max(row["difference"] for row in report["rows"])
    remark = f"{report['note'].capitalize()}. " if report.get("note") else ""
    note = (
        "CPU time from waveforms of 5 s to probabilities, one thread; the largest "
        f"difference of a probability is {largest:.1g}. {remark}{origin}"
    )
    return [*lines, "", note]
