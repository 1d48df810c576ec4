"""Tables of the softmax autoencoder's experiments for `readme.py`."""

from __future__ import annotations

from typing import Any

CASES = (
    "instruments: random",
    "instruments: grouped",
    "ESC-10: random",
    "ESC-10: grouped",
)
ROWS = {
    "softmax regression": "softmax regression on slices",
    "two-layer": "two-layer network",
    "two-layer, authors' steps": "two-layer network, authors' steps",
    "two-layer; slices scaled": "two-layer network, slices scaled",
    "autoencoder": "softmax autoencoder",
    "autoencoder, authors' steps": "softmax autoencoder, authors' steps",
    "autoencoder, weights of the code": "softmax autoencoder, weights of the code",
    "autoencoder, sum": 'softmax autoencoder, `reduction="sum"`',
    "autoencoder, linear output": "softmax autoencoder, linear output",
    "autoencoder, no reconstruction": "softmax autoencoder, `gamma=0`",
    "autoencoder; slices scaled": "softmax autoencoder, slices scaled",
    "autoencoder, linear output; slices scaled": (
        "softmax autoencoder, linear output, slices scaled"
    ),
    "vanilla": "autoencoder, softmax regression on codes",
    "vanilla; slices scaled": "the same, slices scaled",
    "cepstra and softmax regression": "softmax regression on statistics of MFCC",
}
AUTHORS = "authors' epochs"
EMBEDDINGS = {
    "raw": "slices",
    "codes, vanilla": "codes, no classes",
    "codes, softmax": "codes, softmax autoencoder",
    "logits, two-layer": "log-probabilities, two-layer network",
    "logits, softmax": "logits, softmax autoencoder",
}


def figure(row: dict[str, Any], digits: int = 1) -> str:
    """Mean over seeds and half of its interval."""
    return f"{row['mean']:.{digits}f} ± {row['interval']:.{digits}f}"


def accuracy_table(report: dict[str, Any], origin: str) -> list[str]:
    """Accuracy of every system in four cases."""
    found, settings = report["results"]["classify"], report["settings"]
    lines = [
        "| test (training) | instruments, random | by note | ESC-10, random | by "
        "source |",
        "|---|---|---|---|---|",
    ]
    for system, label in ROWS.items():
        jobs = [found[f"{case}: {system}"] for case in CASES]
        cells = [f"{figure(job['test'])} ({job['train']['mean']:.0f})" for job in jobs]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    sizes = [
        "/".join(f"{n:.0f}" for n in found[f"{case}: two-layer"]["slices"]["mean"])
        for case in CASES
    ]
    note = (
        f"Accuracy in per cent, mean of {len(report['provenance']['seed'])} seeds and "
        "95 % interval of the mean, of slices of 500 means of 40 samples; four classes "
        f"each, {', '.join(sizes)} slices in training and test. {settings['epochs']} "
        f"epochs with the default steps, {settings[AUTHORS]:.0f} with the authors' "
        "(batches of 512, a constant rate of 1e-4). The paper, for four genres and "
        f"slices drawn at random: 36.4 (52.0) and 65.3 (94.9). {origin}"
    )
    return [*lines, "", note]


def codes_table(report: dict[str, Any], origin: str) -> list[str]:
    """Separation of classes in embeddings, and what is left of the power."""
    found = report["results"]["codes"]
    lines = [
        "| silhouette, probe | instruments, random | by note | ESC-10, random | by "
        "source | power left of training and test slices (by note; by source) |",
        "|---" * (len(CASES) + 2) + "|",
    ]
    for scaled in ("as they are", "scaled"):
        for key, label in EMBEDDINGS.items():
            cells = []
            for case in CASES:
                row = found[case][scaled][key]
                cells.append(f"{row['silhouette']['mean']:.2f}, {figure(row['probe'])}")
            left = []
            for case in CASES[1::2]:
                row = found[case][scaled][key]
                parts = [row.get(f"power left in {part}") for part in ("train", "test")]
                left += [", ".join(f"{p['mean']:.0f} %" for p in parts if p)]
            cells.append("; ".join(filter(None, left)))
            lines.append(f"| {label} ({scaled}) | {' | '.join(cells)} |")
    note = (
        "Silhouette of the test slices, and accuracy in per cent on them of a softmax "
        "regression of the training slices' embeddings, of slices as they are and "
        "scaled to a deviation of 1; both autoencoders with the published ReLU at "
        f"their output. {origin}"
    )
    return [*lines, "", note]


def speed_line(report: dict[str, Any], origin: str) -> list[str]:
    """An epoch against a plain loop."""
    found, settings = report["results"]["speed"], report["settings"]
    ratios = " and ".join(
        f"{row['ratio']['mean']:.2f} in batches of {size}"
        for size, row in found.items()
    )
    return [
        f"An epoch of {settings['slices']:,} slices takes {ratios} times that of a "
        f"plain torch loop over the same network, medians of {settings['rounds']} "
        f"rounds in turn, one thread. {origin}"
    ]
