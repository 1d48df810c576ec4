"""Tables of SwishNet's experiments for `readme.py`, with the published figures."""

from __future__ import annotations

from typing import Any

import numpy as np

DURATIONS = ("0.5", "1", "2")
# accuracy, speech or not, F1: of .5, 1 and 2 s (arXiv:1812.00149, Tables II and III)
PUBLISHED = {
    "GMM": ("96.5 97.3 97.8", "98.6 99.0 99.3", "90.6 92.3 93.0"),
    "SNN": ("97.1 97.4 97.7", "98.9 99.1 99.4", "91.0 91.6 92.3"),
    "slim": ("97.6 98.2 98.4", "99.2 99.6 99.8", "93.0 94.3 94.8"),
    "slim distilled": ("97.5 98.2 98.6", "99.2 99.5 99.7", "92.7 94.5 95.6"),
    "wide": ("98.0 98.3 98.6", "99.4 99.7 99.8", "94.0 94.6 95.7"),
    "wide distilled": ("98.0 98.5 98.9", "99.4 99.7 99.8", "94.0 95.4 96.5"),
    "MobileNet": ("98.1 98.5 99.0", "99.4 99.7 99.9", "94.2 95.1 96.5"),
}
ROWS = {
    "GMM": "256 Gaussians per class, on frames",
    "SNN": "self-normalising network, on frames",
    "slim": "SwishNet, slim",
    "slim distilled": "slim, distilled",
    "wide": "SwishNet, wide",
    "wide distilled": "wide, distilled",
    "MobileNet": "MobileNet, from random weights",
}
# parameters, bytes, CPU milliseconds of 0.5, 1 and 2 s (Table I)
PUBLISHED_COST = {
    "GMM": ("92,416", "370 KB", "1.8 3.6 7.2"),
    "SNN": ("179,203", "717 KB", "0.71 0.92 1.52"),
    "slim": ("5,483", "22 KB", "0.77 0.88 1.12"),
    "wide": ("18,267", "66 KB", "0.9 1.1 1.65"),
    "MobileNet": ("217,235", "870 KB", "4.1 5.27 8.57"),
}
# accuracy, speech or not (Table V), of windows of 0.5, 1 and 2 s
PUBLISHED_OVER_TIME = {
    "GMM": ("91.2", "97.3"),
    "SNN": ("90.4", "97.3"),
    "slim": ("92.7 93.3 93.1", "98.4 98.4 97.8"),
    "wide distilled": ("94.1 94.1 93.6", "98.6 98.5 97.6"),
    "MobileNet": ("96.7 96.3 95.0", "99.4 99.0 98.3"),
}


def of_clips(results: dict[str, Any], kind: str, length: str) -> dict[str, Any]:
    """Figures of a model on clips of a length."""
    job = kind if kind in ("GMM", "SNN") else f"{kind}@{length}"
    found: dict[str, Any] = results["train"][job][f"{length} s"]
    return found


def means(rows: list[dict[str, Any]], key: str, digits: int = 1) -> str:
    """One figure of several rows side by side."""
    return " ".join(f"{row[key]['mean']:.{digits}f}" for row in rows)


def clips_table(report: dict[str, Any], origin: str) -> list[str]:
    """Accuracy on clips, ours beside the published."""
    results, settings = report["results"], report["settings"]
    lines = [
        "| clips of 0.5, 1 and 2 s | accuracy | paper | speech or not | paper | F1 "
        "| paper | recall of speech | recall of noise | known speakers, 1 s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, label in ROWS.items():
        rows = [of_clips(results, kind, length) for length in DURATIONS]
        accuracy, speech, f1 = PUBLISHED[kind]
        cells = [means(rows, "accuracy"), accuracy]
        cells += [means(rows, "speech or not"), speech, means(rows, "F1"), f1]
        cells += [means(rows, "recall of speech"), means(rows, "recall of noise")]
        known = results["known"].get(f"{kind}@1 known")
        cells.append(means([known["1 s"]], "accuracy") if known else "")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    both = " and ".join(
        "/".join(
            f"{of_clips(results, kind, '1')['accuracy']['seeds'][i]:.1f}"
            for kind in ("GMM", "slim", "wide", "MobileNet")
        )
        for i in range(len(report["provenance"]["seed"]))
    )
    note = (
        f"Per cent, means of {len(report['provenance']['seed'])} seeds, of which each "
        f"trains on one speaker and tests another, but for the last column, whose "
        f"digits of both speakers are in both parts; the paper has the 109 hours of "
        f"MUSAN, these are {3 * settings['seconds'] / 60:.0f} minutes. Accuracy on "
        f"1 s of the single seeds (GMM/slim/wide/MobileNet): {both}. "
        f"{settings['epochs']} epochs, MobileNet {settings['teacher_epochs']}; on a "
        f"{settings['device'].upper()}. {origin}"
    )
    return [*lines, "", note]


def cost_table(report: dict[str, Any], origin: str) -> list[str]:
    """Size and time of every model."""
    results = report["results"]
    speed, memory = results["speed"]["all"], results["memory"]["all"]
    lines = [
        "| network | parameters | paper | file | paper | ms per clip of 0.5, 1, 2 s "
        "| network alone | paper | memory of a process |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, (parameters, size, milliseconds) in PUBLISHED_COST.items():
        job = results["train"][kind if kind in ("GMM", "SNN") else f"{kind}@1"]
        rows = [speed[f"{length} s"] for length in DURATIONS]
        alone = f"{kind}, network alone"
        cells = [
            f"{job['parameters']['mean']:,.0f}",
            parameters,
            f"{job['bytes of the file']['mean'] / 1000:.0f} KB",
            size,
            means(rows, f"{kind}, predict_proba", 2),
            means(rows, alone, 2) if alone in rows[0] else "",
            milliseconds,
            f"{memory[kind]['mean']:.0f} MB",
        ]
        lines.append(f"| {ROWS[kind]} | {' | '.join(cells)} |")
    rows = [speed[f"{length} s"] for length in DURATIONS]

    def ratios(one: str, other: str) -> str:
        return ", ".join(f"{a[one]['mean'] / a[other]['mean']:.1f}" for a in rows)

    note = (
        f"From features to probabilities, one clip at a time on one core, medians of "
        f"{report['settings']['rounds']} rounds that take all in turn; the paper's are "
        f"of TensorFlow on an i7-8700K. MobileNet over slim: "
        f"{ratios('MobileNet, network alone', 'slim, network alone')} times (network "
        f"alone), {ratios('MobileNet, predict_proba', 'slim, predict_proba')} times "
        f"(`predict_proba`); mixtures over slim: "
        f"{ratios('GMM, predict_proba', 'slim, predict_proba')} times. A process with "
        f"nothing but the import takes {memory['import']['mean']:.0f} MB. {origin}"
    )
    return [*lines, "", note]


def over_time_table(report: dict[str, Any], origin: str) -> list[str]:
    """Segmentation of test recordings."""
    found = report["results"]["segmentation"]
    lines = [
        "| recordings, by networks for 0.5, 1, 2 s | accuracy | paper | speech or not "
        "| paper | recall of noise | boundaries within 0.5 s, F1 | CPU s per hour |",
        "|---|---|---|---|---|---|---|---|",
    ]
    kinds = [(kind, "") for kind in ("GMM", "SNN", "slim", "wide", "wide distilled")]
    for kind, how in [*kinds, ("slim", " windows"), ("MobileNet", " windows")]:
        lengths = ("1",) if kind in ("GMM", "SNN") else DURATIONS
        rows = [found[f"{kind}@{length}{how}"] for length in lengths]
        accuracy, speech = PUBLISHED_OVER_TIME.get(kind, ("", ""))
        cells = [means(rows, "accuracy"), accuracy, means(rows, "speech or not")]
        cells += [speech, means(rows, "recall of noise")]
        cells += [means(rows, "F1 of boundaries within 0.5 s")]
        cells += [means(rows, "CPU seconds per hour", 0)]
        label = ROWS[kind] + (", by windows" if how else "")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    minutes = found["slim@1"]["minutes of sound"]["mean"]
    note = (
        f"Per cent of the time without silence, means over {minutes:.0f} minutes of "
        f"test signals for each seed, joined abruptly or through quiet; the paper has "
        f"500 recordings. One pass but where windows are said, which are taken every "
        f"{report['settings']['window_hop']:g} s. {origin}"
    )
    return [*lines, "", note]


def mixtures(found: dict[str, Any] | None) -> str:
    """A sentence on how long mixtures learn."""
    if found is None:
        return ""
    by_tol = [found[f"tol={tol}"] for tol in ("0.001", "0.01")]
    seconds = " and ".join(f"{row['seconds']:.0f}" for row in by_tol)
    iterations = " and ".join(
        f"{min(row['iterations'])} to {max(row['iterations'])}" for row in by_tol
    )
    few, many = (np.mean(row["log-likelihood of a frame"]) for row in by_tol[::-1])
    return (
        f"Mixtures of 256 for three classes learn from {found['frames'] / 360_000:g} h "
        f"of frames of 60 values, {found['type']}, in {seconds} s on 2 cores with "
        f"`tol=1e-3`, the default, and `1e-2`: {iterations} iterations, a mean "
        f"log-likelihood of {many:.2f} and {few:.2f}. "
    )


def hour_lines(report: dict[str, Any], origin: str) -> list[str]:
    """One pass, an hour, and the mixture."""
    one, hour, mixture = report["one pass"], report["hour"], report["mixture"]
    lines = [
        "| an hour of sound at 16 kHz, from file to table, one thread | seconds | "
        "real-time factor | memory above import |",
        "|---|---|---|---|",
    ]
    for name, row in hour.items():
        if isinstance(row, dict) and "seconds" in row:
            memory = row.get("megabytes above import and model")
            cells = [f"{row['seconds']:.1f}", f"{row['real-time factor']:.4f}"]
            cells.append("" if memory is None else f"{memory:.0f} MB")
            lines.append(f"| {name} | {' | '.join(cells)} |")
    slim = one["slim"]
    note = (
        f"One pass over all frames of a minute of cepstra is "
        f"{slim['one call per frame / one pass']:.0f} times as fast as one call per "
        f"frame and {slim['batches of windows / one pass']:.0f} times as fast as "
        f"windows in batches of 64 (slim; "
        f"{one['wide']['one call per frame / one pass']:.0f} and "
        f"{one['wide']['batches of windows / one pass']:.0f} wide), with the same "
        f"probabilities to {slim['largest difference']:.0e}. {mixtures(mixture)}"
        f"{origin}"
    )
    return [*lines, "", note]
