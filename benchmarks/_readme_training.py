"""Tables of what training costs and gives."""

from __future__ import annotations

from typing import Any

SETS = {
    "esc10": "ESC-10",
    "philharmonia": "instruments",
    "fsdd-takes": "digits",
    "fsdd-speakers": "digits, other speaker",
}
NETWORKS = {
    "crnn": "`CRNNClassifier`, mel",
    "multiview": "`MultiViewBlendingClassifier`, four views",
    "samplecnn": "`SampleCNNClassifier`, 8 kHz",
    "spectrogram-cnn": "`SpectrogramCNNClassifier`",
}


def setting_of(row: dict[str, Any]) -> str:
    """A setting in words: the width, and what else differs from the base."""
    others = {k: v for k, v in row["change"].items() if k != "width"}
    changes = [f"`{key}={value!r}`" for key, value in others.items()]
    return ", ".join([f"`width={row['width']:g}`", *changes])


def defaults_table(report: dict[str, Any], origin: str) -> list[str]:
    """Accuracy and seconds of a fit by network, setting and set."""
    rows = {(r["network"], r["setting"], r["set"]): r for r in report["rows"]}
    sets = [name for name in SETS if any(key[2] == name for key in rows)]
    bases = report["settings"]["bases"]
    names = " | ".join(SETS[name] for name in sets)
    lines = [f"| network | setting | {names} |", "|---" * (2 + len(sets)) + "|"]
    for network, label in NETWORKS.items():
        own = {r["setting"]: r for r in report["rows"] if r["network"] == network}
        for setting, row in sorted(own.items(), key=lambda item: item[1]["width"]):
            cells = [cost_cell(rows.get((network, setting, name))) for name in sets]
            words = setting_of(row)
            lines.append(f"| {label} | {words} | {' | '.join(cells)} |")
    epochs = ", ".join(
        f"{NETWORKS[name]} {base['max_epochs']}"
        for name, base in bases.items()
        if name in {r["network"] for r in report["rows"]}
    )
    folds = ", ".join(map(str, report["settings"]["folds"]))
    note = (
        "Accuracy in per cent ± standard error, CPU seconds of a fit on views that "
        "are there; with a tilde: estimated from one step, good to a third or so (the "
        "two last rows of the first network are the same for instruments and digits). "
        f"Epochs: {epochs}. "
        "Segments, where nothing is said: 1.5 s for ESC-10, the median clip for the "
        f"others (0.8 and 0.4 s). ESC-10: 320 clips, tested on fold {folds}; "
        "instruments: 480 notes, tested on 1,061; digits: 400, tested on 100 other "
        f"takes. {origin}"
    )
    return [*lines, "", note]


def cost_cell(row: dict[str, Any] | None) -> str:
    """Accuracy and seconds, if they were measured."""
    if row is None:
        return ""
    if row["estimated"]:
        return f"~{row['cpu_seconds']:,.0f} s"
    error = row["standard_error"]
    return f"{row['accuracy']:.1f} ± {error:.1f}, {row['cpu_seconds']:,.0f} s"


def averaging_table(report: dict[str, Any], origin: str) -> list[str]:
    """Which network is kept, with and without averaged weights."""
    bases = ("held out, best score", "all clips")
    lines = [
        "| network | kept | accuracy | difference to held out | to all clips | CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for network, rows in report["results"].items():
        for setting, row in rows.items():
            cells = [f"{row['mean']:.1f}"]
            for base in bases:
                pair = row.get(f"less {base}")
                cells.append(interval(pair) if pair else "")
            cells.append(f"{row['cpu_seconds_per_fit']:.0f}")
            lines.append(f"| {network} | {setting} | {' | '.join(cells)} |")
    settings = report["settings"]
    note = (
        f"Per cent of 400 clips, five folds, `width={settings['width']}`, "
        f"{settings['max_epochs']} epochs. Intervals: 95 %, paired by clip over the "
        f"seeds and folds that both have, bootstrapped over sources. {origin}"
    )
    return [*lines, "", note]


def interval(pair: dict[str, Any]) -> str:
    """A paired difference with its interval."""
    low, high = pair["interval"]
    return f"{pair['difference']:+.1f} [{low:+.1f}, {high:+.1f}]"


def precision_lines(report: dict[str, Any], origin: str) -> list[str]:
    """What bfloat16 is worth on the processor."""
    lines = [
        "| network | products per value | epoch, s | times as fast | prediction, s "
        '| times as fast | "auto" |',
        "|---|---|---|---|---|---|---|",
    ]
    for row in report["cpu_seconds"]:
        cells = [row["network"], f"{row['products_per_value']:.0f}"]
        for what in ("epoch", "prediction"):
            cells.append(f"{row[f'{what}, False']:.2f} / {row[f'{what}, True']:.2f}")
            cells.append(f"{row[f'{what}, times as fast']:.2f}")
        cells.append("bfloat16" if row["auto_is_mixed"] else "float32")
        lines.append(f"| {' | '.join(cells)} |")
    matrices = report["matrix_products_gflops"]
    names = ", ".join(report["instructions"]) or "no instructions for bfloat16"
    note = (
        f"CPU seconds, float32 / bfloat16, on a processor with {names}; large matrix "
        f"products reach {matrices['float32']:.0f} and {matrices['bfloat16']:.0f} "
        f"Gflop/s. {report['note']} "
    )
    if found := report["accuracy"]:
        n_folds = len(found["float32"]["per_seed_and_fold"])
        note += (
            f"Accuracy on ESC-10, {n_folds} folds, `CRNNClassifier` of "
            f"`width={found['settings']['width']:g}`, "
            f"{found['settings']['max_epochs']} epochs: "
            f"{found['float32']['mean']:.1f} in float32 and "
            f"{found['bfloat16']['mean']:.1f} in bfloat16, paired difference "
            f"{interval(found['bfloat16 - float32'])}. "
        )
    return [*lines, "", note + origin]
