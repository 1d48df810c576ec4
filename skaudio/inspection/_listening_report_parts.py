"""Parts of a listening report: checks, scores, the map, and sounds within a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skaudio._utils._container import Views
from skaudio._utils._decisions import decided
from skaudio._utils._types import is_path
from skaudio._utils._validation import check_clips
from skaudio.inspection._listening_report_clips import NO_PREDICTION, Coded, Labelled
from skaudio.inspection._listening_report_opinions import PROBABILITY, Opinions
from skaudio.inspection._listening_report_scores import (
    average_precisions,
    class_scores,
    macro_f1,
    proportion,
    tag_scores,
)
from skaudio.inspection._listening_report_sounds import (
    SoundOptions,
    in_priority,
    sounds_of,
)
from skaudio.inspection._players import Sounds

METHODS = ("tsne", "pca")
AUDIO = ("ogg", "flac", "wav", "link")
USUAL_RATE = 22050.0  # Hz, as the views have it
MOST_CHANNELS = 8
N_RESAMPLES = 1000
MOST_FEATURES = 50  # that t-SNE is given, after PCA
PERPLEXITY = 30
LEFT_OUT = "Without sound, to keep the page small."
RESERVE = 2000  # bytes for what is added to the page after sounds


@dataclass(frozen=True)
class Options:
    """What a report is told of sounds and of its map."""

    sr: float | None
    audio: str
    max_clips: int
    max_duration: float
    max_size: float
    normalize: bool
    verbose: int
    method: str


def check_options(options: Options) -> None:
    """Refuse options that make no report, before anything is computed."""
    if options.audio not in AUDIO:
        raise ValueError(f"audio must be one of {AUDIO}; got {options.audio!r}.")
    if options.method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}; got {options.method!r}.")
    n: Any = options.max_clips
    if not isinstance(n, (int, np.integer)) or n < 0:
        raise ValueError(
            f"max_clips must be a whole number of clips, 0 for none; got {n!r}."
        )
    limits = {"max_duration": "seconds", "max_size": "bytes", "sr": "Hz"}
    for name, unit in limits.items():
        value: Any = getattr(options, name)
        if name == "sr" and value is None:
            continue
        if not isinstance(value, (int, float, np.number)) or not 0 < value < np.inf:
            raise ValueError(
                f"{name} must be a number of {unit} above 0; got {value!r}."
            )


def check_proba(
    y_proba: Any, classes: Any, labels: Labelled, branches: Mapping[str, Any] | None
) -> Opinions:
    """Predictions that there are, as `Opinions`."""
    array = np.asarray(y_proba)
    if not labels.is_tags and array.ndim == 1:
        given = labels.y if classes is None else np.asarray(classes)
        known = np.unique(np.concatenate([given, array])).tolist()
        number = {label: i for i, label in enumerate(known)}
        return Opinions(known, np.array([number[said] for said in array.tolist()]))
    scores = np.asarray(array, float)
    if labels.is_tags:
        columns = labels.columns if classes is None else classes
        classes = np.asarray(columns).tolist()
    else:
        classes = np.unique(labels.y) if classes is None else np.asarray(classes)
        classes = classes.tolist()
    tables = {"y_proba": scores}
    for name, proba in (branches or {}).items():
        tables[f"branch {name!r}"] = np.asarray(proba, float)
    for name, table in tables.items():
        if table.shape != (len(labels), len(classes)):
            raise ValueError(
                f"{name} must have a row for each of {len(labels)} clips and a column "
                f"for each of {len(classes)} classes or tags; got the shape "
                f"{table.shape}. classes= names the columns if they are not those of y."
            )
    missing = ~np.isfinite(scores).all(axis=1)
    if labels.is_tags:
        predicted = np.where(missing[:, None], np.nan, decided(scores))
    else:
        predicted = np.where(missing, -1, np.nan_to_num(scores, nan=-1).argmax(axis=1))
    failed = dict.fromkeys(np.flatnonzero(missing).tolist(), "")
    own = {
        str(name): np.asarray(proba, float) for name, proba in (branches or {}).items()
    }
    return Opinions(classes, predicted, scores, PROBABILITY, own, failed)


# --------------------------------------------------------------------------- scores
def scored(
    coded: Coded, found: Opinions, groups: Any, rng: np.random.RandomState
) -> dict[str, Any]:
    """Scores of classes and of all clips, as the report has them."""
    codes = None
    if groups is not None:
        codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    right = coded.right()
    known = np.array([r is not None for r in right])
    hits = np.array([r is True for r in right])
    summary: dict[str, Any] = {"n_clips": len(right)}
    if codes is not None:
        summary["n_sources"] = int(codes.max()) + 1
    summary["n_classes"] = len(coded.names)
    summary["n_mistakes"] = int((known & ~hits).sum())
    share = proportion(hits, known, codes)
    of = _tags_scored if coded.is_tags else _classes_scored
    table, figures, matrix = of(coded, found, codes, rng)
    figures |= {"exact_match" if coded.is_tags else "accuracy": share}
    for name, value in figures.items():
        summary |= dict(
            zip((name, f"{name}_low", f"{name}_high"), map(float, value), strict=True)
        )
    if not coded.is_tags:
        summary["chance"] = float(np.bincount(coded.truth).max() / len(coded.truth))
    notes = [
        _on_intervals(coded.is_tags, summary.get("n_sources")),
        *_on_scores(found, known),
    ]
    return {
        "scores": table,
        "summary": summary,
        "confusion_matrix": matrix,
        "notes": notes,
    }


def _classes_scored(
    coded: Coded, found: Opinions, codes: Any, rng: np.random.RandomState
) -> tuple[Any, dict[str, Any], np.ndarray | None]:
    n_classes = len(coded.names)
    scores = class_scores(coded.truth, coded.predicted, n_classes, codes)
    counts = np.bincount(coded.truth, minlength=n_classes)
    mean = macro_f1(coded.truth, coded.predicted, n_classes, codes, N_RESAMPLES, rng)
    known = coded.predicted >= 0
    pairs = coded.truth[known] * n_classes + coded.predicted[known]
    matrix = np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)
    return _table(coded.names, counts, scores), {"macro_f1": mean}, matrix


def _tags_scored(
    coded: Coded, found: Opinions, codes: Any, rng: np.random.RandomState
) -> tuple[Any, dict[str, Any], np.ndarray | None]:
    scores, figures = tag_scores(coded.truth, coded.predicted, codes), {}
    if found.scores is not None:
        of_tags, mean = average_precisions(
            coded.truth, found.scores, codes, N_RESAMPLES, rng
        )
        scores = {"average_precision": of_tags} | scores
        figures = {"mean_average_precision": mean}
    counts = (coded.truth == 1).sum(axis=0)
    return _table(coded.names, counts, scores), figures, None


def _table(names: list[str], counts: np.ndarray, scores: dict[str, np.ndarray]) -> Any:
    import pandas as pd

    columns: dict[str, Any] = {"n_clips": counts}
    for name, values in scores.items():
        columns |= {name: values[:, 0]}
        columns |= {f"{name}_low": values[:, 1], f"{name}_high": values[:, 2]}
    return pd.DataFrame(columns, index=names)


def _on_intervals(is_tags: bool, n_sources: int | None) -> str:
    if n_sources == 1:
        return "All clips are of one source, so there are no intervals."
    what, part = ("exact match", "tag") if is_tags else ("accuracy", "class")
    drawn = "Average precision" if is_tags else "Macro F1"
    honest = (
        "; clips of one source count as one as far as they are alike"
        if n_sources
        else " (if several clips are cut from one recording, they are too narrow: pass "
        "the recordings as groups=)"
    )
    return (
        f"Intervals are of 95 %. Those of {what}, and of precision, recall and F1 of "
        f"each {part}, are Wilson's{honest}. {drawn}: {N_RESAMPLES} bootstrap "
        f"resamples of {'sources' if n_sources else 'clips'}."
    )


def _on_scores(found: Opinions, known: np.ndarray) -> list[str]:
    notes = []
    if found.kind is None:
        notes.append(
            "The model gives no probabilities (it has neither predict_proba nor a "
            "decision function of its classes), so clips have no bars, and mistakes "
            "stand in the order of X."
        )
    elif found.kind != PROBABILITY:
        notes.append(
            "The model has no predict_proba: clips are sorted by its decision "
            "function, whose values are no probabilities."
        )
    if not known.all():
        notes.append(
            f"{int((~known).sum())} of {len(known)} clips have no prediction or no "
            "known label; they do not count, and are last in the list."
        )
    return notes


# ------------------------------------------------------------------------------ map
def positions(
    found: Opinions, method: str, rng: np.random.RandomState
) -> tuple[np.ndarray | None, str, list[str]]:
    """Where clips are on the map, what it shows, and why there is none."""
    if found.features is None:
        return None, "", ["There is no map: the model gives nothing but classes."]
    features = np.asarray(found.features, float)
    if len(features) != len(found.predicted):
        raise ValueError(
            f"Embeddings must be a row for each of {len(found.predicted)} clips; got "
            f"{len(features)} rows."
        )
    features = features.reshape(len(features), -1)
    rows = np.flatnonzero(np.isfinite(features).all(axis=1))
    Z = features[rows][:, np.ptp(features[rows], axis=0) > 0] if len(rows) else features
    if len(rows) < 3 or not Z.shape[1]:
        why = "fewer than three clips" if len(rows) < 3 else "one point"
        return None, "", [f"There is no map: it would show {why}."]
    name = found.feature_name
    n_components = min(2, *Z.shape)
    if method == "pca" or n_components < 2:
        pca = PCA(n_components, random_state=rng)
        flat = np.zeros((len(rows), 2))
        flat[:, :n_components] = pca.fit_transform(Z)
        parts = " and ".join(f"{100 * s:.0f} %" for s in pca.explained_variance_ratio_)
        caption = f"PCA of the {name}; the axes hold {parts} of the variance."
    else:
        n = min(MOST_FEATURES, *Z.shape)
        Z = PCA(n, random_state=rng).fit_transform(Z) if Z.shape[1] > n else Z
        perplexity = min(PERPLEXITY, (len(Z) - 1) / 3)
        flat = TSNE(2, perplexity=perplexity, random_state=rng).fit_transform(Z)
        caption = (
            f"t-SNE of the {name}. Neighbours are alike to the model; distances "
            "between groups mean nothing."
        )
    place = np.full((len(features), 2), np.nan)
    place[rows] = flat
    return place, caption, []


# --------------------------------------------------------------------------- sounds
@dataclass(frozen=True)
class Heard:
    """Clips that can be heard, and their rate; or a remark on why there are none."""

    clips: Any = None
    sr: float | None = None
    remark: str = ""


def heard_of(X: Any, options: Options, rates: list[float]) -> Heard:
    """Check sounds, before anything is predicted."""
    if _are_views(X):
        return Heard(
            remark="X holds views, which cannot be played: pass sounds=, files or "
            "waveforms, to hear the clips."
        )
    if not options.max_clips:
        return Heard()
    clips = check_clips(Sounds(), X, reset=True, allow_nan=True)
    return Heard(clips, _rate(clips, options.sr, rates))


def _are_views(X: Any) -> bool:
    """Whether clips are views, one bin per row, rather than sound of a few channels."""
    if isinstance(X, Views) or getattr(X, "ndim", 0) > 2:
        return True
    is_list = isinstance(X, (list, tuple)) or getattr(X, "dtype", None) == np.dtype("O")
    return is_list and all(
        getattr(clip, "ndim", 0) == 2 and len(clip) > MOST_CHANNELS for clip in X
    )


def sounding(
    report: Any,
    heard: Heard,
    right: list[bool | None],
    options: Options,
    size: int,
    rng: np.random.RandomState,
) -> None:
    """Give a report of that many bytes as many sounds as its limits allow."""
    if size + RESERVE > options.max_size:
        raise ValueError(
            f"The page takes {size + RESERVE:,} bytes without any sound, more than "
            f"max_size={options.max_size:g}. Raise max_size, or report fewer clips."
        )
    if heard.remark:
        report.notes.append(heard.remark)
    if heard.clips is None or heard.sr is None:
        return
    table, report.sr = report.clips, heard.sr
    loaded = table["remark"].str.len() <= len(NO_PREDICTION)
    order = table[loaded].sort_values("order").index
    margin, labels = table["margin"].to_numpy(), table["true"]
    rows = in_priority(order, right, margin, labels, options.max_clips, rng)
    how = SoundOptions(
        heard.sr,
        options.audio,
        options.max_duration,
        options.normalize,
        options.verbose,
    )
    _fill(report, heard.clips, rows, how, options, size)


def _fill(
    report: Any,
    X: Any,
    rows: list[int],
    how: SoundOptions,
    options: Options,
    size: int,
) -> None:
    remarks, folder = report.clips["remark"].tolist(), Path.cwd()
    size += RESERVE + len(LEFT_OUT) * len(remarks)
    is_full, sounds = False, {}
    for row, sound in sounds_of(X, rows, how):
        if isinstance(sound, str):
            remarks[row] = sound
            continue
        more = sound.size(row, folder)
        if size + more > options.max_size:
            is_full = True
            break
        size += more
        sounds[row] = sound
    report.sounds = dict(sorted(sounds.items()))
    for row, remark in enumerate(remarks):
        if row not in sounds and remark in ("", NO_PREDICTION):
            remarks[row] = f"{remark} {LEFT_OUT}".strip()
    report.clips["remark"] = remarks
    report.notes.append(_on_sounds(report, how, options, is_full))


def _on_sounds(report: Any, how: SoundOptions, options: Options, is_full: bool) -> str:
    heard, clips = report.sounds.values(), report.clips
    n_left = int(clips["remark"].str.endswith(LEFT_OUT).sum())
    limit = "max_size" if is_full else "max_clips"
    value = getattr(options, limit)
    which = (
        "All clips can be heard"
        if len(heard) == len(clips)
        else "All clips that could be loaded can be heard"
    )
    if n_left:
        which = (
            f"{len(heard)} of {len(clips)} clips can be heard: mistakes first, then "
            f"the least certain, then some of every class ({limit}={value:,.0f})"
        )
    cut = sum("first" in remark for sound in heard for remark in sound.remarks)
    cuts = f"; {cut} longer ones are cut to {how.max_duration:g} s" if cut else ""
    return f"{which}, at {how.sr:g} Hz{cuts}."


def _rate(X: Any, sr: float | None, rates: list[float]) -> float:
    """Rate of the sounds: as told, as the model has it, or as usual for files."""
    if sr is not None:
        return float(sr)
    if len(rates) == 1:
        return rates[0]
    if isinstance(X, list) and all(is_path(clip) for clip in X):
        return max(rates, default=USUAL_RATE)
    known = f"The model has several: {rates}. " if rates else ""
    raise ValueError(
        f"The rate of the arrays in X is not known. {known}Pass sr=, their rate in Hz, "
        "so that they can be played; if they are features, pass sounds= beside them, "
        "or max_clips=0 for a report without sound."
    )
