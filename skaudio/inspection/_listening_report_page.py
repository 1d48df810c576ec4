"""The page of a listening report: data and three files put together."""

from __future__ import annotations

import hashlib
import html
import re
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from skaudio.inspection._embedded_json import as_json
from skaudio.inspection._listening_report_opinions import PROBABILITY
from skaudio.inspection._listening_report_sounds import frequency_ticks

MOST_BARS = 5  # classes that a clip's bars are of, beside true and predicted ones
MAP_SIZE = 1000
MOST_CLASSES = 100  # of a matrix that is drawn, whose cells are elements of the page
POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; "
    "media-src {media}; base-uri 'none'; form-action 'none'"
)
LABELS = {
    "average_precision": "Average precision",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}


def page_of(report: Any, folder: Path) -> str:
    """A whole HTML document that needs nothing else, but for linked sounds.

    Parameters
    ----------
    report : ListeningReport
        What to show.
    folder : Path
        Where the document will lie; links are relative to it.
    """
    style, script = _part("page.css"), _part("page.js")
    links = any(sound.is_link for sound in report.sounds.values())
    policy = POLICY.format(
        script=_digest(script),
        style=_digest(style),
        media="data: file: 'self'" if links else "data:",
    )
    parts = {
        "policy": policy,
        "title": html.escape(_whole(report.title)),
        "style": style,
        "data": as_json(_data(report, folder)),
        "script": script,
    }
    # in one pass, so that what is filled in is not read again
    return re.sub(r"\{\{ (\w+) \}\}", lambda match: parts[match[1]], _part("page.html"))


@cache
def _part(name: str) -> str:
    folder = files("skaudio.inspection") / "_report"
    return folder.joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _whole(text: str) -> str:
    """Text that can be written: halves of characters become question marks."""
    return str(text).encode("utf-8", "replace").decode()


# ----------------------------------------------------------------------------- data
def _data(report: Any, folder: Path) -> dict[str, Any]:
    sounds = {str(row): s.data(folder) for row, s in report.sounds.items()}
    columns = [name for name in LABELS if name in report.scores]
    matrix, notes = report.confusion_matrix, list(report.notes)
    is_drawn = matrix is not None and len(matrix) <= MOST_CLASSES
    if matrix is not None and not is_drawn:
        notes.append(
            f"The confusion matrix of {len(matrix)} classes is too large to be drawn: "
            "filter by true and predicted class."
        )
    return {
        "title": report.title,
        "isTags": matrix is None,
        "isProbability": report.score_name == PROBABILITY,
        "hasScores": report.proba is not None,
        "classes": report.classes,
        "figures": _figures(report),
        "notes": notes,
        "confusion": matrix.tolist() if is_drawn else None,
        "scores": {
            "columns": [LABELS[name] for name in columns],
            "rows": [
                [int(row["n_clips"]), *(_interval(row, name) for name in columns)]
                for _, row in report.scores.iterrows()
            ],
        },
        "map": _map(report),
        "hz": frequency_ticks(report.sr) if sounds else [],
        "branches": list(report.branches),
        "clips": list(_clips(report)),
        "sounds": sounds,
    }


def _figures(report: Any) -> list[dict[str, str]]:
    """What stands at the top: label, value and a line below it."""
    found, summary = [], report.summary

    def add(label: str, name: str, more: str = "") -> None:
        if np.isfinite(summary.get(name, np.nan)):
            ends = [summary[f"{name}_low"], summary[f"{name}_high"]]
            detail = (
                f"{ends[0]:.2f} to {ends[1]:.2f}" if np.isfinite(ends).all() else ""
            )
            detail = " · ".join(filter(None, [detail, more]))
            found.append(
                {"label": label, "value": f"{summary[name]:.2f}", "detail": detail}
            )

    chance = summary.get("chance", np.nan)
    most = f"most frequent class: {chance:.2f}" if np.isfinite(chance) else ""
    add("Mean average precision", "mean_average_precision")
    add("Exact match", "exact_match", "all tags of a clip right")
    add("Accuracy", "accuracy", most)
    add("Macro F1", "macro_f1")
    counts = {"n_mistakes": "Mistakes", "n_clips": "Clips", "n_sources": "Sources"}
    counts |= {"n_classes": "Tags" if report.confusion_matrix is None else "Classes"}
    for name, label in counts.items():
        if name in summary:
            found.append({"label": label, "value": f"{summary[name]:,}", "detail": ""})
    return found


def _interval(row: Any, name: str) -> list[float | None]:
    return [_number(row[key]) for key in (name, f"{name}_low", f"{name}_high")]


def _number(value: Any, digits: int = 4) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None


def _map(report: Any) -> dict[str, Any] | None:
    """Places of the clips as whole numbers, with the height of the picture."""
    if report.embedding is None:
        return None
    low = np.nanmin(report.embedding, axis=0)
    extent = np.nanmax(report.embedding, axis=0) - low
    scaled = (report.embedding - low) / (extent.max() or 1) * MAP_SIZE
    height = int(np.ceil(extent[1] / (extent.max() or 1) * MAP_SIZE))
    points = [
        [round(x), height - round(y)] if np.isfinite(x + y) else None
        for x, y in scaled.tolist()
    ]
    caption = report.embedding_caption
    return {"points": points, "height": height, "caption": caption}


def _clips(report: Any) -> Iterable[dict[str, Any]]:
    number = {name: i for i, name in enumerate(report.classes)}
    table = report.clips
    right = table["right"].tolist()
    for i, clip in enumerate(table.to_dict("records")):
        true, said = (
            [
                number[n]
                for n in (value if isinstance(value, tuple) else [value])
                if n in number
            ]
            for value in (clip["true"], clip["predicted"])
        )
        scores = None if report.proba is None else report.proba[i]
        yield {
            "name": clip["name"],
            "source": clip.get("source"),
            "truth": true,
            "said": said,
            "right": right[i] if isinstance(right[i], bool) else None,
            "margin": _number(clip["margin"]),
            "order": int(clip["order"]),
            "bars": _bars(scores, [*true, *said]),
            "branches": [_bars(p[i], true, 1) for p in report.branches.values()],
            "remark": clip["remark"],
        }


def _bars(
    scores: np.ndarray | None, others: list[int], most: int = MOST_BARS
) -> list[tuple[int, float]]:
    """The highest scores, and those of some other classes, as pairs with classes."""
    if scores is None or not np.isfinite(scores).all():
        return []
    best = np.argsort(-scores, kind="stable")[:most].tolist()
    more = [code for code in others if code < len(scores) and code not in best]
    best += dict.fromkeys(more)
    return [(code, round(float(scores[code]), 4)) for code in best]
