"""`to_onnx`: a fitted model as one file for ONNX Runtime."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skaudio import __version__
from skaudio._training._classifier import SegmentClassifier
from skaudio._training._patches import PatchEstimator
from skaudio._training._reconstruction import CodeOutputs
from skaudio._utils._files import replacing
from skaudio._utils._sklearn import BaseSearchCV
from skaudio.embedding._layers import LayerEmbedder
from skaudio.embedding._pretrained import PretrainedEmbedder
from skaudio.ensemble._frame_classifier import FrameClassifier
from skaudio.ensemble._late_fusion import LateFusionClassifier
from skaudio.export._embedders import export_pretrained
from skaudio.export._flow import Flow, Probabilities, Sound, Table, ViewValues
from skaudio.export._front import (
    export_loader,
    export_statistics,
    export_view_scaler,
    export_views,
)
from skaudio.export._graph import INPUT, Graph
from skaudio.export._loader import OnnxModel
from skaudio.export._metadata import EMBEDDING, PROBABILITIES, TAGS, Metadata
from skaudio.export._networks import export_classifier, export_codes, export_patches
from skaudio.export._refusals import refuse
from skaudio.export._steps import (
    NAMES,
    STANDS_FOR,
    STEPS,
    TRANSFORMERS,
    export_frames,
    export_fusion,
    export_layer_embedder,
    export_step,
    export_union,
)
from skaudio.export._tables import (
    export_linear,
    export_perceptron,
    export_standard_scaler,
    export_tags,
)
from skaudio.preprocessing._frame_statistics import FrameStatistics
from skaudio.preprocessing._loader import AudioLoader
from skaudio.preprocessing._view_scaler import ViewScaler
from skaudio.views._base import ViewSource

ANY = (Sound, ViewValues)
STEPS |= {
    AudioLoader: ((Sound,), export_loader),
    ViewSource: ((Sound,), export_views),
    ViewScaler: ((ViewValues,), export_view_scaler),
    FrameStatistics: ((ViewValues,), export_statistics),
    FeatureUnion: (ANY, export_union),
    SegmentClassifier: (ANY, export_classifier),
    CodeOutputs: (ANY, export_codes),
    PatchEstimator: (ANY, export_patches),
    LateFusionClassifier: (ANY, export_fusion),
    FrameClassifier: ((ViewValues,), export_frames),
    LayerEmbedder: (ANY, export_layer_embedder),
    PretrainedEmbedder: ((Sound,), export_pretrained),
    StandardScaler: ((Table,), export_standard_scaler),
    LogisticRegression: ((Table,), export_linear),
    LinearDiscriminantAnalysis: ((Table,), export_linear),
    OneVsRestClassifier: ((Table,), export_tags),
    MLPClassifier: ((Table,), export_perceptron),
}
TRANSFORMERS |= {kind: STEPS[kind] for kind in (CodeOutputs, PatchEstimator)}
STANDS_FOR |= {
    FrozenEstimator: ("estimator", "estimator"),
    BaseSearchCV: ("best_estimator_", "estimator"),
}
NAMES |= {ViewSource: "views and ViewUnion", SegmentClassifier: "neural classifiers"}

OPSETS = range(18, 23)
ALLOWED = 1e-4  # difference between the answers of file and estimator
ROUNDED = 0.1  # of an estimator that computes in bfloat16
OWN_FAULT = (
    "The file was not written, as it would not answer as the estimator does. That is a "
    "bug of skaudio: please report it with the estimator. For clips of noise it gives"
)


def check_exportable(estimator: Any) -> None:
    """Check whether `to_onnx` takes an estimator, before it is trained.

    Parameters
    ----------
    estimator : estimator
        Fitted or not: it goes by parameters.

    Raises
    ------
    TypeError
        If it, or a step of it, is of a kind that has no form in ONNX here.
    ValueError
        If a parameter stands in the way, or steps do not follow from each other, from
        sound on. The message says what to change.

    Examples
    --------
    >>> from skaudio.export import check_exportable
    >>> from skaudio.neural_network import CRNNClassifier
    >>> from skaudio.views import MelView
    >>> check_exportable(CRNNClassifier(views=MelView(sr=8000)))
    >>> check_exportable(CRNNClassifier())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: CRNNClassifier cannot be exported: it takes views, but there is sound...
    """
    if not hasattr(estimator, "get_params"):
        raise TypeError(
            "Expected an estimator or a Pipeline; got "
            f"{type(estimator).__name__}: {estimator!r:.80}."
        )
    _check_result(estimator, export_step(None, estimator, Sound()))


def _check_result(estimator: Any, flow: Flow) -> Probabilities | Table:
    if isinstance(flow, (Probabilities, Table)):
        return flow
    refuse(
        estimator,
        f"it gives {flow.kind}; wanted probabilities or embeddings. Export it with the "
        "classifier behind it.",
    )


def to_onnx(
    estimator: Any,
    path: str | os.PathLike[str],
    *,
    opset: int = 18,
    class_names: Sequence[str] | None = None,
) -> None:
    """Write a fitted model to an ONNX file, from waveforms to probabilities.

    Everything between is inside: views, standardisation, even segments (a clip shorter
    than one is repeated), the network, and the mean over segments. So the file answers
    what `predict_proba` answers, for clips of any length that it takes. What runs it
    needs neither torch nor skaudio.

    Parameters
    ----------
    estimator : estimator
        Fitted: a neural classifier that computes its views itself, a Pipeline from a
        view, a `ViewUnion` or an embedder to a classifier, `LateFusionClassifier`, or
        an embedder. `check_exportable` says before a training what is possible.
    path : str or path-like
        File to write, by convention ending in ``.onnx``. It appears complete or not
        at all.
    opset : int, default=18
        Version of ONNX's operators, from 18 to 22: what the runtime must know.
    class_names : sequence of str or None, default=None
        Names of classes or tags in the file, in the order of ``classes_``; None takes
        these, which for tags are numbers of columns.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError, ValueError
        As `check_exportable`; if the file's answers would differ from those of the
        estimator by more than 1e-4, for clips of noise that are tried with both.
    ImportError
        If a package of the extra ``onnx`` is missing.
    OSError
        Before any work, if the folder does not exist; if the file cannot be written.

    See Also
    --------
    check_exportable : Whether it is possible.
    OnnxClassifier : Run the file.

    Notes
    -----
    The input ``waveform`` has the shape (batch, n_samples), both of any size, and is
    float32, mono, at the rate in the metadata; clips of a batch have one length. The
    output ``probabilities``, or ``embeddings`` of an embedder, has a row per clip and
    is float32. Files are not loaded, so ``on_error``, ``mono`` and ``n_jobs`` mean
    nothing; ``duration`` crops and pads, ``trim_silence`` is refused. With
    ``mixed_precision`` the file computes in float32 all the same.

    Metadata are texts: ``skaudio_version``, ``sr`` in Hz, ``output``
    ("probabilities", which sum to one, "tags", each a probability of its own, or
    "embeddings"), ``shortest``, the samples that a clip must have, and as JSON
    ``classes`` and ``networks``: views and their rates, length of a segment,
    ``n_segments`` (null is as many as cover a clip) and ``aggregation``.

    Examples
    --------
    >>> import os, tempfile
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.export import OnnxClassifier, to_onnx
    >>> from skaudio.neural_network import SampleCNNClassifier
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> clf = SampleCNNClassifier(sr=8000, width=0.02, max_epochs=1, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
    ...     path = os.path.join(folder, "sounds.onnx")
    ...     to_onnx(clf.fit(X, y), path)
    ...     OnnxClassifier(path).predict_proba(X, sr=8000).shape
    (20, 2)
    """
    check_exportable(estimator)
    check_is_fitted(estimator)
    if opset not in OPSETS:
        raise ValueError(
            f"opset must be a whole number from {OPSETS[0]} to {OPSETS[-1]}; got "
            f"{opset!r}."
        )
    names = None if class_names is None else _checked_names(class_names)
    with replacing(path) as part:
        graph = Graph(int(opset))
        flow = _check_result(estimator, export_step(graph, estimator, Sound(INPUT)))
        metadata = _metadata(graph, flow, names)
        model = graph.model(
            flow.value, metadata.name, flow.n_features, metadata.texts()
        )
        part.write_bytes(model.SerializeToString())
        _compare(estimator, part, is_rounded=graph.is_rounded)


def _compare(estimator: Any, path: Path, *, is_rounded: bool) -> None:
    """Refuse a file that does not answer as the estimator does.

    Clips of noise are tried: shorter than a segment, and of several.
    """
    model = OnnxModel(path, n_threads=1)
    found = model.metadata
    seconds = [network["segment_seconds"] for network in found.networks]
    longest = round(max(seconds, default=0.5) * _steps_per_second(found))
    noise = np.random.default_rng(0)
    embeds = found.output == EMBEDDING
    answer = estimator.transform if embeds else estimator.predict_proba
    for n_clips, n_samples in ((2, longest // 2), (1, longest + longest // 2)):
        n_samples = max(n_samples, found.shortest)
        clips = 0.1 * noise.standard_normal((n_clips, n_samples)).astype(np.float32)
        wanted = np.asarray(answer(list(clips)), np.float64)
        given = model.run(clips, found.sr)
        if given.shape != wanted.shape:
            raise ValueError(f"{OWN_FAULT} {given.shape} answers, not {wanted.shape}.")
        allowed = ROUNDED if is_rounded else ALLOWED
        off = np.abs(given - wanted).max() / max(1.0, np.abs(wanted).max())
        if not off <= allowed:
            raise ValueError(f"{OWN_FAULT} answers that are off by {off:.2g}.")


def _steps_per_second(found: Metadata) -> float:
    """Samples per second, or what stands for them where rates are unknown."""
    rates = [max(network["views"].values()) for network in found.networks]
    # seconds are steps where views are arrays without a rate: 20 ms is usual
    return found.sr * (0.02 if rates and max(rates) == 1 else 1)


def _checked_names(class_names: Sequence[str]) -> list[str]:
    names = [] if isinstance(class_names, str) else list(class_names)
    if not names or len(set(map(str, names))) < len(names):
        raise ValueError(
            f"class_names must be a list of names that differ; got {class_names!r}."
        )
    return names


def _metadata(
    graph: Graph, flow: Probabilities | Table, names: list[str] | None
) -> Metadata:
    output, classes = EMBEDDING, None
    if isinstance(flow, Probabilities):
        output = TAGS if flow.has_tags else PROBABILITIES
        classes = np.asarray(flow.classes).tolist()
    if names is not None:
        if classes is None or len(names) != len(classes):
            n = (
                "an embedder has none"
                if classes is None
                else f"there are {len(classes)}"
            )
            raise ValueError(f"class_names has {len(names)} names, but {n}.")
        classes = names
    try:
        json.dumps(classes, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "Labels must be texts, numbers or booleans to be in a file; got "
            f"{classes[0]!r}. Pass class_names=[...]."  # type: ignore[index]
        ) from error
    return Metadata(
        skaudio_version=__version__,
        sr=float(flow.sr or 0),
        output=output,
        shortest=graph.shortest,
        classes=classes,
        networks=graph.networks,
    )
