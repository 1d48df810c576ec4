"""The few figures on the front page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def results_table(results_of: Callable[[str], dict[str, Any]]) -> list[str]:
    """Four rows: accuracy, views, training, search."""
    esc10, views = results_of("esc10"), results_of("views")
    share, cache = results_of("skorch_share"), results_of("cache")
    probes = {
        row["system"]: row["mean"]
        for row in results_of("probes")["summary"]
        if (row["set"], row["head"]) == ("esc10", "lda")
    }
    accuracy = {name: row["mean"] for name, row in esc10["accuracy"].items()}
    union = views["ratios"]["union"]["ratio"]
    ratios = cache["ratio_to_one_extraction_and_the_fits"]
    rows = {
        "ESC-10, five official folds, accuracy in per cent": (
            f"published network and LDA {probes['musicnn-jamendo']:.1f}, four views in "
            f"one network {accuracy['concatenation']:.1f}, mel alone "
            f"{accuracy['mel']:.1f}, MFCC and MLP {accuracy['mfcc-mlp']:.1f}"
        ),
        "Four views of a clip, beside the fastest other library for each": (
            f"{union:.2f} of the time"
        ),
        "An epoch, beside a bare torch loop of the same network": (
            f"{share['ratio']:.2f} times the time"
        ),
        "A search of 4 candidates in 3 folds, beside one extraction and the fits": (
            f"{ratios['in_memory']:.2f} times the time with `cache=True`, "
            f"{ratios['pipeline_memory']:.2f} with the `memory` of a Pipeline"
        ),
    }
    lines = ["| | |", "|---|---|"]
    return lines + [f"| {name} | {figure} |" for name, figure in rows.items()]
