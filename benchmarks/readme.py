"""Write the tables of both READMEs from the results, or check that they agree.

    python benchmarks/readme.py [--check]

Tables stand between ``<!-- name -->`` and ``<!-- end name -->``; nobody types a figure.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import _readme_auralisation as auralisation
import _readme_first_page as first_page
import _readme_minutes as minutes
import _readme_probes as probes
import _readme_samplecnn as samplecnn
import _readme_scale as scale
import _readme_softmax_autoencoder as autoencoder
import _readme_swishnet as swishnet
import _readme_training as training

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
NAMES = {
    "mel": "`CRNNClassifier`, mel",
    "gammatone": "`CRNNClassifier`, gammatone",
    "cqt": "`CRNNClassifier`, CQT",
    "raw": "`CRNNClassifier`, raw waveform",
    "concatenation": 'concatenation (`blending="none"`)',
    "late fusion": "late fusion",
    "blending: joint branch": "blending by the paper's rule, joint branch",
    "blending: self-ensemble": "blending by the paper's rule, self-ensemble",
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
    "smoothed": "with momentum and minimum weight",
    "paper": "the paper's rule, reconstructed",
    "paper-literal": "the same, literal smoothing",
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
    gpu = f"{machine['gpu']}, " if "gpu" in machine else ""
    return (
        f"{gpu}{machine['cpu']}, {machine['cores']} cores, "
        f"Python {versions['python']}, torch {versions['torch']}, seed {seeds}, commit "
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
        "| branch weights | joint | self-ensemble | difference to uniform weights "
        "| difference to late fusion |",
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


def full_width_table(report: dict[str, Any]) -> list[str]:
    """Rows of a run that was cut off: means where all folds are there."""
    accuracy, rule = report["accuracy"], report["default_rule"]
    labels = {k.replace("RULE", rule): v for k, v in PAPER_ROWS.items()}
    labels[f"{rule}: plain mean of branches"] = "plain mean of the branches of M8"
    ensemble = f"{rule}: self-ensemble"
    n_folds = len(accuracy[ensemble]["per_seed_and_fold"])
    lines = ["| row | mean | folds | M8 minus this, same folds |", "|---|---|---|---|"]
    for name, label in labels.items():
        if name not in accuracy:
            continue
        folds = accuracy[name]["per_seed_and_fold"]
        values = " ".join(f"{value:.1f}" for value in folds.values())
        mean, where = f"{accuracy[name]['mean']:.1f}", ""
        if len(folds) < n_folds:
            mean, where = "", f"only {', '.join(k.split('/')[1] for k in folds)}: "
        pair = report["paired_differences"].get(f"{ensemble} - {name}")
        lines.append(f"| {label} | {mean} | {where}{values} | {interval(pair)} |")
    settings = report["settings"]
    absent = [label for name, label in labels.items() if name not in accuracy]
    half = "bfloat16" if settings["mixed_precision"] else "float32"
    note = (
        f"Per cent of 400 clips, 80 per fold, `width={settings['width']:g}`, "
        f"{settings['max_epochs']} epochs, `dropout={settings['dropout']}`, {half}, on "
        f"a GPU; all rows hold out a tenth of the sources. Not reached: "
        f"{', '.join(absent)}. Intervals: 95 %, paired by clip, bootstrapped over "
        f"sources; they do not include what another seed changes. "
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


def millions(number: float) -> str:
    """A count in millions, cut off after two decimals as the paper does."""
    return f"{int(number / 1e4) / 100:.2f}"


def rates_table(report: dict[str, Any]) -> list[str]:
    """Size and cost of the networks of Table 3, and speed against a plain port."""
    lines = [
        "| Hz | sizes | samples | parameters | multiplications | step | paper |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report["rates"]:
        cells = [
            *(f"{row['sr']:,}", row["sizes"], f"{row['samples']:,}"),
            f"{row['with_batch_norm']:,}",
            f"{row['multiplications'] / 1e6:,.0f} M",
            *(f"{row['step_ratio']:.2f}", f"{row['published_time']:.2f}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    inference, training = report["inference"], report["training"]
    settings = report["settings"]
    threads = f"{settings['threads']} thread{'s' * (settings['threads'] > 1)}"
    note = (
        f"Sizes of the first stride and of nine modules; a step trains on "
        f"{settings['segments']} segments, relative to 22,050 Hz. Prediction with the "
        f"3^9 network, data handling included, is {inference['speedup']:.2f} times as "
        f"fast as a plain port in PyTorch ({inference['seconds']:.2f} s and "
        f"{inference['plain_seconds']:.2f} s for {settings['segments']} segments), at "
        f"{inference['share_of_matrix_rate']:.0%} of the machine's matrix rate, with "
        f"probabilities equal to {inference['largest_difference']:.0e}; a training "
        f"step {training['speedup']:.2f} times. Medians of {settings['rounds']} "
        f"rounds, {threads}. {origin(report['provenance'])}"
    )
    return [*lines, "", note]


def probe_cost_line(report: dict[str, Any]) -> list[str]:
    """What a search over probes costs."""
    settings = report["settings"]
    same = "the same" if report["same_scores"] else "not the same"
    return [
        f"A grid search over {settings['candidates']} probes in {settings['folds']} "
        f"folds on {settings['clips']} clips of {settings['seconds']:g} s takes "
        f"{report['ratio']:.2f} times as long as one extraction "
        f"({report['extraction']:.1f} s) and the search over heads alone "
        f"({report['heads']:.1f} s), with {same} scores: every clip is embedded once. "
        f"{origin(report['provenance'])}"
    ]


COALA_ROWS = {
    "AE-C": "AE-C, aligned autoencoders",
    "E-C": "E-C, aligned encoders",
    "CNN": "CNN, predicts tags",
    "CNN-fast": "CNN at 40 times the rate",
    "published": "AE-C, 40 clips per instrument, published recipe",
    "short": "AE-C, 40 clips per instrument, short recipe",
    "short-64": "the same with batches of 64 and rate 0.01",
    "untrained": "the encoder untrained",
    "MFCC": "MFCC statistics",
}
COALA_TASKS = ("instruments", "dynamics", "ESC-10")


def mean_and_sd(row: dict[str, Any], task: str) -> str:
    """Mean over seeds, and the mean deviation of the ten repetitions."""
    if task not in row:
        return ""
    deviation = row[f"{task}, sd of repetitions"]["mean"]
    return f"{row[task]['mean']:.1f} ({deviation:.1f})"


def coala_table(report: dict[str, Any]) -> list[str]:
    """Probes of all rows, differences on instruments, and search by word."""
    probes, settings = report["results"]["probe"], report["settings"]
    lines = [
        "| embedding | instruments | dynamics | ESC-10 "
        "| AE-C minus this, instruments |",
        "|---|---|---|---|---|",
    ]
    gains = report["paired_differences"]
    for name, label in COALA_ROWS.items():
        if name in probes:
            cells = [mean_and_sd(probes[name], task) for task in COALA_TASKS]
            cells.append(interval(gains.get(f"AE-C - {name}")))
            lines.append(f"| {label} | {' | '.join(cells)} |")
    lines += [
        "",
        "| pre-trained with ESC-10 as well, but for fold 5 | instruments | dynamics | "
        "fold 5 | fold 5 without |",
        "|---|---|---|---|---|",
    ]
    for name in ("AE-C", "E-C", "CNN"):
        if f"{name}+esc" in probes:
            row, fold = probes[f"{name}+esc"], "ESC-10, fold 5"
            cells = [mean_and_sd(row, task) for task in ("instruments", "dynamics")]
            cells += [mean_and_sd(row, fold), mean_and_sd(probes[name], fold)]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "| search by word | nearest instrument | worst | nearest dynamics "
        "| ten nearest clips right |",
        "|---|---|---|---|---|",
    ]
    for name, row in report["results"]["search"].items():
        keys = (
            *("nearest instrument", "nearest instrument, worst word"),
            *("nearest dynamics", "ten nearest clips, instrument"),
        )
        cells = [samplecnn.seeds_of(row[key]) for key in keys]
        lines.append(f"| {COALA_ROWS.get(name, name)} | {' | '.join(cells)} |")
    note = (
        f"Per cent; probes: mean and, in brackets, deviation of "
        f"{settings['n_repeats']} repetitions; search: mean and single seeds. Rows "
        f"with ESC-10, of the short recipe as it is and of 40 times the rate have the "
        f"first seed only. "
        f"Philharmonia: 12 instruments, learned from C, D, E and G# with the words of "
        f"their descriptions, tested on F# and A#. Intervals: 95 %, bootstrapped over "
        f"notes. `width={settings['width']}`, {settings['max_epochs']} epochs, "
        f'`optimizer="{settings["training"]["optimizer"]}"`, '
        f'`lr_schedule="{settings["training"]["lr_schedule"]}"`, on a '
        f"{settings['device'].upper()}. {origin(report['provenance'])}"
    )
    return [*lines, "", note]


def correlations_table(report: dict[str, Any]) -> list[str]:
    """Canonical correlations with descriptors, as in Table 2 of the paper."""
    rows = report["results"]["correlation"]
    kinds = dict.fromkeys(key.rpartition(" ")[0] for key in next(iter(rows.values())))
    names = {"mfcc": "MFCC", "spectral_centroid": "centroid"}
    names |= {"spectral_bandwidth": "bandwidth"}
    header = " | ".join(names.get(kind, kind) for kind in kinds)
    lines = [f"| embedding | {header} |", "|---" * (1 + len(kinds)) + "|"]
    for name, row in rows.items():
        cells = [
            " ".join(
                f"{row[f'{kind} {statistic}']['mean']:.2f}"
                for statistic in ("mean", "var", "skew")
            )
            for kind in kinds
        ]
        lines.append(f"| {COALA_ROWS[name]} | {' | '.join(cells)} |")
    seeds = len(report["provenance"]["seed"])
    return [
        *lines,
        "",
        "Mean, variance and skewness of each descriptor over a clip, on the unseen "
        f"notes; mean of {seeds} seeds. There are but four times as many notes as "
        "features, so that embeddings of an untrained network correlate as well.",
    ]


def coala_speed_lines(report: dict[str, Any]) -> list[str]:
    """Pre-training against a plain loop, embedding against decoding."""
    settings = report["settings"]
    lines = [
        "| width | epoch, times a plain loop | clips per second | embedding, times "
        "decoding | decoding |",
        "|---|---|---|---|---|",
    ]
    for train, embed in zip(report["training"], report["embedding"], strict=True):
        lines.append(
            f"| {train['width']:g} | {train['ratio']:.2f} | "
            f"{train['clips_per_second']:.0f} | {embed['ratio']:.2f} | "
            f"{embed['decoding']:.1f} s |"
        )
    note = (
        f"Batches of {settings['batch_size']}, {settings['tags']} tags, medians of "
        f"{settings['rounds']} rounds; {settings['files']} files of 5 s; "
        f"{settings['threads']} thread{'s' * (settings['threads'] > 1)}. "
        f"{origin(report['provenance'])}"
    )
    return [*lines, "", note]


def with_origin(table: Any) -> Any:
    """A table that gets the line on where figures come from."""
    return lambda report: table(report, origin(report["provenance"]))


TABLES: list[tuple[str, str, Any]] = [
    # place in benchmarks/README.md, results, function
    ("esc10", "esc10", esc10_table),
    ("probes", "probes", with_origin(probes.probes_table)),
    ("tagger_speed", "tagger_speed", with_origin(probes.speed_table)),
    ("views", "views", views_table),
    ("skorch_share", "skorch_share", training_line),
    ("multiview_cpu", "multiview_cpu", paper_table),
    ("multiview_gpu", "multiview_gpu", full_width_table),
    ("blending_cost", "blending_cost", blending_lines),
    ("minutes", "minutes", with_origin(minutes.minutes_table)),
    ("memory", "minutes", with_origin(minutes.memory_table)),
    ("defaults", "defaults", with_origin(training.defaults_table)),
    ("averaging", "averaging", with_origin(training.averaging_table)),
    ("mixed_precision", "mixed_precision", with_origin(training.precision_lines)),
    ("cache", "cache", with_origin(scale.cache_table)),
    ("large_data", "large_data", with_origin(scale.large_data_table)),
    ("cluster", "cluster", with_origin(scale.cluster_line)),
    ("export_speed", "export_speed", with_origin(scale.export_table)),
    ("samplecnn_speed", "samplecnn_speed", rates_table),
    ("samplecnn_cpu", "samplecnn_cpu", with_origin(samplecnn.accuracy_table)),
    ("samplecnn_scales", "samplecnn_cpu", samplecnn.scales_table),
    ("samplecnn_probes", "samplecnn_cpu", samplecnn.probes_table),
    ("coala_cpu", "coala_cpu", coala_table),
    ("coala_correlations", "coala_cpu", correlations_table),
    ("coala_speed", "coala_speed", coala_speed_lines),
    ("probe_cost", "probe_cost", probe_cost_line),
    ("swishnet_cpu", "swishnet_cpu", with_origin(swishnet.clips_table)),
    ("swishnet_cost", "swishnet_cpu", with_origin(swishnet.cost_table)),
    ("swishnet_over_time", "swishnet_cpu", with_origin(swishnet.over_time_table)),
    ("segmentation", "segmentation", with_origin(swishnet.hour_lines)),
    (
        "softmax_autoencoder",
        "softmax_autoencoder_cpu",
        with_origin(autoencoder.accuracy_table),
    ),
    (
        "softmax_autoencoder_codes",
        "softmax_autoencoder_cpu",
        with_origin(autoencoder.codes_table),
    ),
    (
        "softmax_autoencoder_speed",
        "softmax_autoencoder_cpu",
        with_origin(autoencoder.speed_line),
    ),
    ("auralisation", "auralisation_cpu", with_origin(auralisation.accuracy_line)),
    (
        "feature_correlation",
        "auralisation_cpu",
        with_origin(auralisation.correlation_table),
    ),
]


def results_of(name: str) -> dict[str, Any]:
    """What a script found."""
    report: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return report


def render(text: str, tables: dict[str, list[str]]) -> str:
    """Return a page with every table made anew; a table without a place is an error."""
    for name, lines in tables.items():
        block = "\n".join([f"<!-- {name} -->", "", *lines, ""])
        pattern = rf"<!-- {name} -->.*?(?=<!-- end {name} -->)"
        text, found = re.subn(
            pattern, lambda _, new=block: new + "\n", text, flags=re.DOTALL
        )
        if not found:
            raise ValueError(f"There is no place for the table {name!r}.")
    return text


def pages() -> dict[Path, dict[str, list[str]]]:
    """Tables by page and name."""
    return {
        ROOT / "benchmarks" / "README.md": {
            name: table(results_of(results)) for name, results, table in TABLES
        },
        ROOT / "README.md": {"results": first_page.results_table(results_of)},
    }


def main() -> int:
    """Write the pages, or return 1 if one is out of date."""
    old = {page: page.read_text(encoding="utf-8") for page in pages()}
    new = {page: render(old[page], tables) for page, tables in pages().items()}
    if "--check" in sys.argv:
        return int(new != old)
    for page, text in new.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
