"""Tables of the SampleCNN paper's experiments."""

from __future__ import annotations

from typing import Any


def seeds_of(figure: dict[str, Any], digits: int = 1) -> str:
    """Mean of a figure, and its seeds where there are several."""
    mean = f"{figure['mean']:.{digits}f}"
    if len(figure["seeds"]) == 1:
        return mean
    seeds = " ".join(f"{a:.{digits}f}" for a in figure["seeds"])
    return f"{mean} ({seeds})"


def several_seeds(report: dict[str, Any]) -> str:
    """What figures in brackets are, if there are any."""
    seeds = report["provenance"]["seed"]
    return "; in brackets single seeds" if len(seeds) > 1 else ", of one seed"


def accuracy_table(report: dict[str, Any], origin: str) -> list[str]:
    """Instruments by rate and by size of frames, tags and digits."""
    results, settings = report["results"], report["settings"]
    rates, frames = results["rates"], results["frames"]
    lines = [
        "| Table 5: instruments | SampleCNN | MFCC + MLP | CPU s of a fit |",
        "|---|---|---|---|",
    ]
    for rate in sorted(rates, key=int, reverse=True):
        row = rates[rate]
        cells = [
            seeds_of(row["accuracy"]),
            seeds_of(frames[f"mfcc-{rate}"]["accuracy"]),
            f"{row['cpu_seconds']['mean']:.0f}",
        ]
        lines.append(f"| {int(rate):,} Hz | {' | '.join(cells)} |")
    lines += [
        "",
        "| Table 2: modules | window | hop | mel | waveform |",
        "|---|---|---|---|---|",
    ]
    sizes = dict.fromkeys(
        name.partition("-")[2] for name in frames if not name.startswith("mfcc")
    )
    for size in sizes:
        cells = [
            seeds_of(frames[name]["accuracy"]) if name in frames else ""
            for name in (f"mel-{size}", f"raw-{size}")
        ]
        lines.append(f"| {' | '.join([*size.split('-'), *cells])} |")
    lines.append(f"| 9 | 3 | 3 | | {seeds_of(rates['22050']['accuracy'])} |")
    lines += [
        "",
        "| other tasks | SampleCNN, 8 kHz | MFCC + MLP |",
        "|---|---|---|",
    ]
    tagger, digits = results["tagger"], results["digits"]
    for key, label in (
        ("roc_auc", "tags across notes, ROC AUC"),
        ("average_precision", "tags across notes, average precision"),
    ):
        cells = [seeds_of(tagger[job][key], 3) for job in ("samplecnn", "mfcc")]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    cells = [seeds_of(digits[job]["accuracy"]) for job in ("samplecnn", "mfcc")]
    lines.append(f"| digits across speakers, accuracy | {' | '.join(cells)} |")
    accuracy = seeds_of(digits["paper-training"]["accuracy"])
    lines.append(f"| the same, trained as in the paper | {accuracy} | |")
    note = (
        f"Per cent, or areas from 0 to 1{several_seeds(report)}. Philharmonia: 12 "
        f"instruments, trained on C, D, E and G# ({settings['per_class']} clips each; "
        f"tags: all), tested on F# and A# (1,061 clips). Digits: trained on one "
        f"speaker, tested on the other. `width={settings['width']}`, "
        f"{settings['max_epochs']} epochs (tagger {settings['tagger_epochs']}, digits "
        f"{2 * settings['max_epochs']}), on a CPU. {origin}"
    )
    return [*lines, "", note]


def scales_table(report: dict[str, Any]) -> list[str]:
    """Several networks of the m^n family at once as features, and each alone."""
    results = report["results"]
    rows = results["multiscale"]
    tasks = ("instruments", "ESC-10", "digits")
    lines = [
        "| Table 4: networks | features | "
        + " | ".join(f"{task}, {head}" for task in tasks for head in ("mlp", "svm"))
        + " |",
        "|---" * (2 + 2 * len(tasks)) + "|",
    ]
    members = {
        "1 network": "3^9",
        "2 networks": "3^8, 3^9",
        "4 networks": "2^13, 2^14, 3^8, 3^9",
        "8 networks": "all eight",
    }
    for name, label in members.items():
        row = rows[name]
        cells = [f"{row['features']['mean']:,.0f}"]
        cells += [
            f"{row[f'{task} / {head}']['mean']:.1f}"
            for task in tasks
            for head in ("mlp", "svm")
        ]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    alone = {**results["scales"], "3^9": results["rates"]["22050"]}
    single = ", ".join(
        f"{scale} {alone[scale]['accuracy']['mean']:.1f}" for scale in sorted(alone)
    )
    return [
        *lines,
        "",
        f"Accuracy in per cent. The networks themselves, instruments: {single}.",
    ]


def probes_table(report: dict[str, Any]) -> list[str]:
    """Layers as features, trained and untrained."""
    probes = report["results"]["probes"]
    levels = ("-3", "-2", "-1", "last 3")
    lines = [
        "| target | head | -3 | -2 | -1 | last 3 | last 3, untrained |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = dict.fromkeys(key.rpartition(" / ")[0] for key in probes["trained"])
    for row in rows:
        task, head = row.split(" / ")
        cells = [f"{probes['trained'][f'{row} / {k}']['mean']:.1f}" for k in levels]
        cells.append(f"{probes['untrained'][f'{row} / last 3']['mean']:.1f}")
        lines.append(f"| {task} | {head} | {' | '.join(cells)} |")
    taggers = len(report["provenance"]["seed"])
    mean = f", mean of {taggers} taggers" if taggers > 1 else ", one tagger"
    return [*lines, "", f"Accuracy in per cent{mean}."]
