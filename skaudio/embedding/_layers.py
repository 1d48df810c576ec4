"""`LayerEmbedder`: outputs of hidden layers as features of clips."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import joblib
import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from skaudio._training._estimator import SegmentEstimator
from skaudio._training._net import POOLINGS
from skaudio._training._network_of import network_of
from skaudio._utils._constraints import CACHE_CONSTRAINTS, COUNT
from skaudio._utils._container import Views, stack_or_object
from skaudio._utils._sklearn import HasMethods, StrOptions, _fit_context
from skaudio._utils._types import is_path
from skaudio._utils._validation import copy_features_in
from skaudio.cache._clips import MEMORY, keys_of, store_of
from skaudio.cache._folder import folder_of, is_cache
from skaudio.cache._keys import watched
from skaudio.cache._pack import Held
from skaudio.nn.layers import layer_names

# what features depend on, next to weights and segments
SETTINGS = ("sr", "views", "mixed_precision")


class LayerEmbedder(
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Hidden layers of a neural classifier as features of clips.

    The network is applied to evenly spaced segments of a clip; within every segment the
    outputs of a layer are pooled over time, then segments are averaged and layers
    concatenated. A `FeatureUnion` of several embedders combines several scales.

    Parameters
    ----------
    estimator : neural classifier, or Pipeline that ends in one
        `fit` trains a copy of it. To use one that is trained already, for transfer,
        wrap it: ``FrozenEstimator(classifier)``.
    layers : sequence of int or str, default=(-3, -2, -1)
        Which layers, by their place among ``net_.module_.hidden_layers`` or by name.
        -1 is the last one below the output. The default is the paper's best choice for
        tagging.
    pooling : {"max", "mean"}, default="max"
        Pooling over the steps of a layer within a segment; "max" is the paper's.
    n_segments : int or None, default=None
        Evenly spaced segments per clip that are averaged, each a whole number of steps
        after the one before, rounded down. None takes as many as cover the clip, and
        one more, as the authors did; of COALA's patches those that fit side by side.
    cache : bool, str or path-like, default=True
        Whether to keep what is computed of a clip in memory, up to 512 MiB in all of a
        process (see :mod:`skaudio.cache`). A folder keeps it on disk instead, for other
        processes and days.
    cache_by : {"stat", "content"}, default="stat"
        How files are known again: by path, size and times of change, or by being read.

    Attributes
    ----------
    estimator_ : classifier or Pipeline
        What computes the features.
    layers_ : list of str
        Names of the layers.
    n_features_in_ : int
        That of the estimator, where it has one.

    See Also
    --------
    make_probe : An embedder and a classifier of its features in one Pipeline.
    PretrainedEmbedder : Published weights.

    References
    ----------
    Lee et al., "SampleCNN", Applied Sciences 8(1):150, 2018, Section 4.1. Lee and Nam,
    "Multi-level and multi-scale feature aggregation using pretrained convolutional
    neural networks for music auto-tagging", IEEE Signal Processing Letters 24(8), 2017.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.embedding import LayerEmbedder
    >>> from skaudio.neural_network import SampleCNNClassifier
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> net = SampleCNNClassifier(sr=8000, width=0.02, max_epochs=1, random_state=0)
    >>> embedder = LayerEmbedder(FrozenEstimator(net.fit(X, y)), layers=(-2, -1))
    >>> embedder.fit_transform(X).shape
    (20, 20)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "layers": ["array-like"],
        "pooling": [StrOptions(set(POOLINGS))],
        "n_segments": [COUNT, None],
        **CACHE_CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any,
        *,
        layers: Sequence[int | str] = (-3, -2, -1),
        pooling: str = "max",
        n_segments: int | None = None,
        cache: bool | str | os.PathLike[str] = True,
        cache_by: str = "stat",
    ) -> None:
        self.estimator = estimator
        self.layers = layers
        self.pooling = pooling
        self.n_segments = n_segments
        self.cache = cache
        self.cache_by = cache_by

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **fit_params):
        """Train a copy of the estimator, unless it is frozen.

        Parameters
        ----------
        X : whatever the estimator takes
            Clips.
        y : array-like of shape (n_clips,) or (n_clips, n_tags), default=None
            Labels or tags to train with. A frozen estimator needs none.
        **fit_params : dict
            Passed to ``fit`` of the estimator, such as ``groups``.

        Returns
        -------
        self : object
            The fitted embedder.
        """
        if y is None and not isinstance(self.estimator, FrozenEstimator):
            raise ValueError(
                "LayerEmbedder trains a copy of its estimator, which requires y to be "
                "passed, but the target y is None. To use a trained one as it is, pass "
                "FrozenEstimator(estimator)."
            )
        self.estimator_ = clone(self.estimator)
        self.estimator_.fit(X, y, **fit_params)
        _, network = network_of(self.estimator_)
        self.layers_ = layer_names(network.net_.module_, self.layers)
        copy_features_in(self.estimator_, self)
        return self

    def transform(self, X):
        """Compute the features of every clip.

        Parameters
        ----------
        X : whatever the estimator takes
            Clips.

        Returns
        -------
        features : ndarray of shape (n_clips, n_features)
            Features of all layers, in the order of ``layers``.
        """
        check_is_fitted(self)
        clips = _as_clips(X) if is_cache(self.cache) else None
        if clips is None:
            return self._features(X)

        folder, is_as_before = folder_of(self.cache), watched(clips)

        def compute(rows: list[int]) -> Iterator[tuple[int, Held | None]]:
            is_array = isinstance(clips, np.ndarray)
            part = clips[rows] if is_array else [clips[i] for i in rows]
            for row, features in zip(rows, self._features(part), strict=True):
                yield row, Held(features, kept=is_as_before(row))

        keys = keys_of(clips, self._store(), by=self.cache_by, folder=folder)
        found: list[Any] = MEMORY.entries(keys, compute, folder)
        return np.stack([entry.read() for entry in found])

    def transform_frames(self, X, hop=None):
        """Compute the features of segments over time.

        A frame is what the network sees at once, a segment, centred at its time. Times
        lie `hop` apart from half of it on, as many as end within the clip. Segments
        that would reach over the border of a clip are moved inside; a clip shorter than
        a segment is repeated to fill it. Frames are not cached.

        Parameters
        ----------
        X : whatever the estimator takes
            Clips.
        hop : float or None, default=None
            Seconds from one frame to the next, or steps where the rate of X is
            unknown; None sets them side by side.

        Returns
        -------
        features : ndarray of shape (n_clips, n_features, n_frames)
            Or, if clips differ in length, a 1-D object array of `n_clips` arrays
            (n_features, n_frames_i).
        timestamps : ndarray of shape (n_clips, n_frames)
            Seconds from the start of a clip to the centres of its frames; a 1-D
            object array if clips differ in length.
        """
        if hop is not None and not hop > 0:
            raise ValueError(f"hop must be a number of seconds above 0; got {hop!r}.")
        network, views = self._network_and_input(X)
        features, times = network._frame_features(
            views, self.layers_, self.pooling, hop
        )
        return stack_or_object(features), stack_or_object(times)

    def _features(self, X: Any) -> np.ndarray:
        network, views = self._network_and_input(X)
        return network._features(views, self.layers_, self.pooling, self.n_segments)

    def _network_and_input(self, X: Any) -> tuple[SegmentEstimator, Any]:
        """The network, and what the steps of a Pipeline before it make of X."""
        check_is_fitted(self)
        steps, network = network_of(self.estimator_)
        return network, X if steps is None else steps.transform(X)

    @property
    def _n_features_out(self) -> int:
        return network_of(self.estimator_)[1]._n_features(self.layers_)

    def _store(self) -> str:
        """Name of everything that features depend on, but for the clips.

        Of the network as it is now: a frozen one may have been trained again.
        """
        views, network = network_of(self.estimator_)
        weights = network.net_.digest(network.net_.module_)
        trained = network._trained
        settings = {name: getattr(trained, name, None) for name in SETTINGS}
        settings["scaler"] = getattr(network, "scaler_", None)
        spec = network._spec
        segments = (spec.seconds, spec.rates, spec.dtype)
        own = (self.layers_, self.pooling, self.n_segments)
        known = joblib.hash((views, settings, segments, weights, own))
        return store_of("layers", known)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        below = get_tags(self.estimator)
        tags.input_tags = below.input_tags
        tags.target_tags.required = not isinstance(self.estimator, FrozenEstimator)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _as_clips(X: Any) -> Any:
    """X as an array or a list of clips that can be hashed by content, else None."""
    if isinstance(X, np.ndarray) and X.ndim > 1:
        return X if len(X) and X.dtype.kind == "f" else None
    if isinstance(X, (str, dict, Views)) or getattr(X, "ndim", 1) != 1:
        return None
    rows = list(X) if hasattr(X, "__len__") else []
    known = all(isinstance(row, np.ndarray) or is_path(row) for row in rows)
    return rows if rows and known else None
