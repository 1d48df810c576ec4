"""Embeddings of clips in two dimensions, drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skaudio._utils._optional import import_optional
from skaudio.embedding._separation import table_of
from skaudio.inspection._embedding_labels import class_labels
from skaudio.inspection._legends import MOST_INSIDE, short, width_of
from skaudio.inspection._palette import COLORS, DARK

METHODS = ("tsne", "pca")
NAMES = {"tsne": "t-SNE", "pca": "PCA"}
# eleven markers and six colours in step make 66 classes look different, and those next
# to each other twice so
MARKERS = "os^DvPX*<>p"
PERPLEXITY = 30  # scikit-learn's default
SMALL = 0.83  # of the usual font
MAX_ROWS = 20  # of a column of the legend
MOST_IN_LEGEND = 60  # classes, three columns
LONGEST = 30  # characters of a name in the legend
MOST_IN_A_ROW = 3  # embeddings, so that their names can be read


class EmbeddingDisplay:
    """Clips as points in the plane, close together where their embeddings are alike.

    Figure 5 of the SampleCNN paper shows in this way which layer of a network separates
    classes: the embeddings of clips, of one layer each time, are projected by
    t-SNE and coloured by class or tag. PCA is the quick and linear alternative, in
    which distances can be trusted, but which may pile up what differs.

    Use :meth:`from_estimator` or :meth:`from_embeddings` to make one,
    :meth:`from_pairs` for two embeddings of each clip, of its sound and of its tags,
    and :meth:`compare` for several embeddings side by side.

    Of more than 20 classes colours and markers are hard to look up: each has a number
    in the middle of its clips, which the legend explains, up to 60 of them;
    ``class_names`` has all. In axes that are given there is no room for a legend of
    more than 10 classes: names stand in the middle of their clips.

    Parameters
    ----------
    embedding : ndarray of shape (n_clips, 2)
        Where the clips are drawn.
    labels : ndarray of shape (n_clips,) or None, default=None
        Class of each clip, as a string, or None to draw all alike.
    class_names : sequence of str or None, default=None
        Order of the classes in the legend; None is alphabetical.
    method : {"tsne", "pca"}, default="tsne"
        What made the embedding.
    explained_variance_ratio : ndarray of shape (2,) or None, default=None
        Share of the variance along both axes, for "pca".
    pairs : ndarray of int of shape (n_pairs, 2) or None, default=None
        Rows of `embedding` to join by a line.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the points, one collection for each class, after the one of lines if
        there are pairs.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    skaudio.embedding.LayerEmbedder : Outputs of hidden layers as features.
    skaudio.embedding.separation_table : How far classes are apart, in numbers.

    References
    ----------
    Lee et al., "SampleCNN: End-to-End Deep Convolutional Neural Networks Using Very
    Small Filters for Music Classification", Applied Sciences 8(1):150, 2018,
    Section 7.2, Figure 5.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.inspection import EmbeddingDisplay
    >>> from skaudio.preprocessing import FrameStatistics
    >>> from skaudio.views import MFCCView
    >>> X, y = make_sounds(n_clips=30, n_classes=3, sr=8000, random_state=0)
    >>> embedder = make_pipeline(MFCCView(sr=8000), FrameStatistics(), StandardScaler())
    >>> embedder = embedder.fit(X)
    >>> display = EmbeddingDisplay.from_estimator(embedder, X, y, method="pca")
    >>> display.embedding.shape, list(display.class_names)
    ((30, 2), ['harmonic', 'noise', 'percussive'])
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        embedding: np.ndarray,
        labels: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
        method: str = "tsne",
        explained_variance_ratio: np.ndarray | None = None,
        pairs: np.ndarray | None = None,
    ) -> None:
        self.embedding = embedding
        self.labels = labels
        self.class_names = class_names
        self.method = method
        self.explained_variance_ratio = explained_variance_ratio
        self.pairs = pairs

    @classmethod
    def from_estimator(
        cls,
        embedder: Any,
        X: Any,
        y: Any = None,
        *,
        method: str = "tsne",
        tags: Sequence[Any] | None = None,
        tag_names: Sequence[str] | None = None,
        perplexity: float | None = None,
        random_state: Any = None,
        ax: Any = None,
    ) -> EmbeddingDisplay:
        """Embed clips, project and draw them.

        Parameters
        ----------
        embedder : transformer or Pipeline
            Fitted; its ``transform(X)`` gives (n_clips, n_features). Features are taken
            as they are, for those of one layer share a scale. Where scales differ, let
            a pipeline end in ``StandardScaler()``.
        X : array-like, list or Views
            Clips, as the embedder takes them.
        y : array-like of shape (n_clips,) or (n_clips, n_tags), default=None
            Class labels, or an indicator matrix (zeros and ones) of tags.
        method : {"tsne", "pca"}, default="tsne"
            How features become two numbers; "tsne" is the paper's.
        tags : sequence of str or int, default=None
            Names or column numbers of the tags to show; None is all. Clips without any
            are left out, clips with several make a class of their own.
        tag_names : sequence of str, default=None
            Names of the columns of an indicator matrix; None are those of a data
            frame, otherwise their numbers.
        perplexity : float or None, default=None
            How many neighbours count in t-SNE. None is scikit-learn's 30, or a third of
            all other clips if that is less, as there would not be enough.
        random_state : int, RandomState instance or None, default=None
            Seed of t-SNE, or of the solver of PCA for many clips.
        ax : matplotlib Axes, default=None
            Where to draw. ``None`` makes a figure.

        Returns
        -------
        EmbeddingDisplay
            The display, drawn.
        """
        if not hasattr(embedder, "transform"):
            raise TypeError(
                "EmbeddingDisplay.from_estimator needs a transformer, whose transform "
                f"gives embeddings; got {type(embedder).__name__}. Embeddings that "
                "you have go to EmbeddingDisplay.from_embeddings."
            )
        check_is_fitted(embedder)
        return cls.from_embeddings(
            embedder.transform(X),
            y,
            method=method,
            tags=tags,
            tag_names=tag_names,
            perplexity=perplexity,
            random_state=random_state,
            ax=ax,
        )

    @classmethod
    def from_embeddings(
        cls,
        Z: Any,
        y: Any = None,
        *,
        method: str = "tsne",
        tags: Sequence[Any] | None = None,
        tag_names: Sequence[str] | None = None,
        perplexity: float | None = None,
        random_state: Any = None,
        ax: Any = None,
    ) -> EmbeddingDisplay:
        """Project and draw embeddings.

        Parameters
        ----------
        Z : array-like of shape (n_clips, n_features)
            Embeddings, at least three clips and two features.
        y : array-like of shape (n_clips,) or (n_clips, n_tags), default=None
            Class labels, or an indicator matrix (zeros and ones) of tags.
        method : {"tsne", "pca"}, default="tsne"
            How features become two numbers; "tsne" is the paper's.
        tags : sequence of str or int, default=None
            Names or column numbers of the tags to show, see `from_estimator`.
        tag_names : sequence of str, default=None
            Names of the columns of an indicator matrix; None are those of a data
            frame, otherwise their numbers.
        perplexity : float or None, default=None
            How many neighbours count in t-SNE, see `from_estimator`.
        random_state : int, RandomState instance or None, default=None
            Seed of t-SNE, or of the solver of PCA for many clips.
        ax : matplotlib Axes, default=None
            Where to draw. ``None`` makes a figure.

        Returns
        -------
        EmbeddingDisplay
            The display, drawn.
        """
        labels, names, Z = _labelled(Z, y, tags, tag_names)
        projected = _project(Z, method, perplexity, random_state)
        return cls(**projected, labels=labels, class_names=names).plot(ax=ax)

    @classmethod
    def from_pairs(
        cls,
        Z: Any,
        Z_other: Any,
        *,
        names: tuple[str, str] = ("audio", "tags"),
        method: str = "tsne",
        perplexity: float | None = None,
        random_state: Any = None,
        ax: Any = None,
    ) -> EmbeddingDisplay:
        """Project two embeddings of each clip together, and join the two by a line.

        Where an embedding of sound and one of tags were aligned, as those of COALA,
        lines are short.

        Parameters
        ----------
        Z : array-like of shape (n_clips, n_features)
            Embeddings of the sound of clips.
        Z_other : array-like of shape (n_clips, n_features)
            Embeddings of the tags of the same clips in the same order, in the same
            space.
        names : tuple of two str, default=("audio", "tags")
            What both are called in the legend.
        method : {"tsne", "pca"}, default="tsne"
            How features become two numbers; "tsne" is the paper's.
        perplexity : float or None, default=None
            How many neighbours count in t-SNE, see `from_estimator`.
        random_state : int, RandomState instance or None, default=None
            Seed of t-SNE, or of the solver of PCA for many clips.
        ax : matplotlib Axes, default=None
            Where to draw. ``None`` makes a figure.

        Returns
        -------
        EmbeddingDisplay
            The display, drawn; rows of its embedding are those of `Z`, then those of
            `Z_other`.
        """
        Z, Z_other = np.asarray(Z), np.asarray(Z_other)
        if Z.shape != Z_other.shape:
            raise ValueError(
                "Both embeddings must have a row for each clip and the same features; "
                f"got the shapes {Z.shape} and {Z_other.shape}."
            )
        if len(names) != 2 or names[0] == names[1]:
            raise ValueError(f"names must be two different texts; got {names!r}.")
        projected = _project(
            np.concatenate([Z, Z_other]), method, perplexity, random_state
        )
        labels = np.repeat(np.array([str(name) for name in names]), len(Z))
        rows = np.arange(2 * len(Z)).reshape(2, -1).T
        display = cls(
            **projected, labels=labels, class_names=list(map(str, names)), pairs=rows
        )
        return display.plot(ax=ax)

    @classmethod
    def compare(
        cls,
        embeddings: Mapping[str, Any],
        y: Any = None,
        *,
        X: Any = None,
        method: str = "pca",
        tags: Sequence[Any] | None = None,
        tag_names: Sequence[str] | None = None,
        perplexity: float | None = None,
        random_state: Any = None,
        axes: Any = None,
    ) -> dict[str, EmbeddingDisplay]:
        """Draw several embeddings of the same clips side by side, in the same colours.

        Such as raw slices, codes and logits, each projected by itself. More than three
        are drawn in several rows.

        Parameters
        ----------
        embeddings : dict of str to array-like or transformer
            By title: embeddings (n_clips, n_features), or a fitted transformer or
            Pipeline that makes them of `X`. More than two axes are made two: all
            values of a clip are its features.
        y : array-like of shape (n_clips,) or (n_clips, n_tags), default=None
            Class labels, or an indicator matrix (zeros and ones) of tags.
        X : array-like, list or Views, default=None
            Clips, for transformers.
        method : {"tsne", "pca"}, default="pca"
            How features become two numbers. The first two of three components are
            those of two.
        tags : sequence of str or int, default=None
            Names or column numbers of the tags to show, see `from_estimator`.
        tag_names : sequence of str, default=None
            Names of the columns of an indicator matrix; None are those of a data
            frame, otherwise their numbers.
        perplexity : float or None, default=None
            How many neighbours count in t-SNE, see `from_estimator`.
        random_state : int, RandomState instance or None, default=None
            Seed of t-SNE, or of the solver of PCA for many clips.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each embedding. ``None`` makes a figure.

        Returns
        -------
        displays : dict of str to EmbeddingDisplay
            The displays by title, drawn. They share a figure and its only legend.
        """
        if not isinstance(embeddings, Mapping) or not embeddings:
            raise ValueError(
                "embeddings must be a dict of one or more embeddings by title; got "
                f"{type(embeddings).__name__} of {len(embeddings)}."
            )
        tables = {name: _embedded(name, Z, X) for name, Z in embeddings.items()}
        sizes = {name: len(Z) for name, Z in tables.items()}
        if len({*sizes.values()} | ({len(y)} if y is not None else set())) > 1:
            raise ValueError(
                f"Embeddings must be of the same clips; got {sizes} rows"
                f"{'.' if y is None else f', and {len(y)} labels.'}"
            )
        displays = {}
        for name, Z in tables.items():
            labels, names, Z = _labelled(Z, y, tags, tag_names)
            projected = _project(Z, method, perplexity, random_state)
            displays[name] = cls(**projected, labels=labels, class_names=names)
        own_figure = axes is None
        if own_figure:
            axes = _figure(len(tables), next(iter(displays.values()))._legend_width())
        axes = np.asarray(axes, dtype=object).ravel()
        if len(axes) != len(tables):
            raise ValueError(
                f"axes must be one for each embedding, {len(tables)}; got {len(axes)}."
            )
        for ax, (name, display) in zip(axes, displays.items(), strict=True):
            display.plot(ax=ax, title=str(name), legend=False)
            display._add_marks(own_figure=own_figure)
        if display.labels is not None:
            display._add_legend(outside=own_figure)
        return displays

    def plot(
        self, *, ax: Any = None, title: str | None = None, legend: bool = True
    ) -> EmbeddingDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. ``None`` makes a figure.
        title : str or None, default=None
            Title of the axes.
        legend : bool, default=True
            Whether classes are named beside the points.

        Returns
        -------
        EmbeddingDisplay
            The display itself.
        """
        own_figure = ax is None
        if own_figure:
            (ax,) = _figure(1, self._legend_width())
        self.ax_, self.figure_ = ax, ax.figure
        if self.pairs is not None:
            self._join_pairs()
        size = float(np.clip(4000 / len(self.embedding), 10, 36))
        for name, rows, color, marker in self._groups():
            ax.scatter(
                *self.embedding[rows].T,
                s=size,
                color=color,
                marker=marker,
                label=name,
                alpha=0.8,
                linewidths=0,
            )
        ax.set_aspect("equal", adjustable="datalim")
        self._label_axes(title)
        if legend and self.labels is not None:
            self._add_marks(own_figure=own_figure)
            self._add_legend(outside=own_figure)
        return self

    def _join_pairs(self) -> None:
        collections = import_optional(
            "matplotlib.collections", extra="plot", purpose="EmbeddingDisplay"
        )
        lines = collections.LineCollection(
            self.embedding[self.pairs], colors=DARK, linewidths=0.4, alpha=0.4, zorder=0
        )
        self.ax_.add_collection(lines)

    def _groups(self) -> list[tuple[str, Any, str, str]]:
        """Name, rows, colour and marker of every class."""
        if self.labels is None:
            return [("", slice(None), DARK, MARKERS[0])]
        names = self.class_names
        if names is None:
            names = [str(name) for name in np.unique(self.labels)]
        markers = MARKERS if len(names) > len(COLORS) else MARKERS[0]
        return [
            (
                name,
                np.asarray(self.labels) == name,
                COLORS[i % len(COLORS)],
                markers[i % len(markers)],
            )
            for i, name in enumerate(names)
        ]

    def _legend_names(self) -> list[str]:
        """Names in the legend of a figure, numbered if they are many."""
        if self.labels is None:
            return []
        names = [short(name, LONGEST) for name, *_ in self._groups()]
        if len(names) <= MAX_ROWS:
            return names
        numbered = [f"{i}  {name}" for i, name in enumerate(names, 1)]
        rest = len(names) - MOST_IN_LEGEND
        return numbered[:MOST_IN_LEGEND] + ([f"and {rest} more"] if rest > 0 else [])

    def _legend_width(self) -> float:
        """Inches that the legend of a figure takes."""
        names = self._legend_names()
        return -(-len(names) // MAX_ROWS) * SMALL * width_of(names)

    def _add_marks(self, *, own_figure: bool) -> None:
        """Numbers of many classes, or their names, in the middle of their clips."""
        groups = self._groups() if self.labels is not None else []
        if len(groups) <= (MAX_ROWS if own_figure else MOST_INSIDE):
            return
        effects = import_optional(
            "matplotlib.patheffects", extra="plot", purpose="EmbeddingDisplay"
        )
        halo = [effects.withStroke(linewidth=2, foreground="white")]
        for i, (name, rows, *_) in enumerate(groups, 1):
            if np.any(rows):
                self.ax_.text(
                    *np.median(self.embedding[rows], axis=0),
                    str(i) if own_figure else short(name, 12),
                    ha="center",
                    va="center",
                    fontsize="small" if own_figure else "x-small",
                    color=DARK,
                    path_effects=halo,
                    clip_on=True,
                )

    def _label_axes(self, title: str | None) -> None:
        ax = self.ax_
        # positions have no unit, and in t-SNE not even a direction
        ax.set_xticks([])
        ax.set_yticks([])
        name = NAMES.get(self.method, self.method)
        shares = ["", ""]
        if self.explained_variance_ratio is not None:
            shares = [f" ({x:.0%} of variance)" for x in self.explained_variance_ratio]
        ax.set_xlabel(f"{name} 1{shares[0]}")
        ax.set_ylabel(f"{name} 2{shares[1]}")
        ax.spines[:].set_color("0.8")
        if title is not None:
            ax.set_title(title, loc="left", fontsize="medium", fontweight="bold")

    def _add_legend(self, *, outside: bool) -> None:
        handles, names = self.ax_.get_legend_handles_labels()
        options: dict[str, Any] = {"frameon": False, "fontsize": "small"}
        options |= {"markerscale": 1.5}
        if not outside:
            if len(names) <= MOST_INSIDE:
                self.ax_.legend(
                    handles, [short(name, LONGEST) for name in names], **options
                )
            return
        names = self._legend_names()
        if len(names) > MOST_IN_LEGEND:  # the last is no class
            lines = import_optional(
                "matplotlib.lines", extra="plot", purpose="EmbeddingDisplay"
            )
            handles = [*handles[:MOST_IN_LEGEND], lines.Line2D([], [], linestyle="")]
        n_columns = -(-len(names) // MAX_ROWS)
        place = {"loc": "outside right upper", "ncols": n_columns}
        self.figure_.legend(handles, names, **place, **options)


def _figure(n_axes: int, legend_width: float) -> Any:
    """Axes of a new figure, in a row, or in a square if they are many."""
    pyplot = import_optional(
        "matplotlib.pyplot", extra="plot", purpose="EmbeddingDisplay"
    )
    n_columns = n_axes if n_axes <= MOST_IN_A_ROW else math.ceil(math.sqrt(n_axes))
    n_rows = math.ceil(n_axes / n_columns)
    _, axes = pyplot.subplots(
        *(n_rows, n_columns),
        figsize=(4.2 * n_columns + legend_width, 4.4 * n_rows),
        layout="constrained",
        squeeze=False,
    )
    for ax in axes.flat[n_axes:]:
        ax.remove()
    return axes.flat[:n_axes]


def _embedded(name: Any, Z: Any, X: Any) -> np.ndarray:
    """Embeddings that are given or to be computed, all values of a clip in a row."""
    if hasattr(Z, "transform") and hasattr(Z, "fit"):  # tables have `transform`, too
        if X is None:
            raise ValueError(
                f"Embedding {name!r} is a transformer, {type(Z).__name__}: pass X, "
                "the clips to transform."
            )
        check_is_fitted(Z)
        Z = Z.transform(X)
    return table_of(name, Z)


def _labelled(
    Z: Any,
    y: Any,
    tags: Sequence[Any] | None,
    tag_names: Sequence[str] | None,
) -> tuple[np.ndarray | None, list[str] | None, Any]:
    """Names of the clips that are shown, all names, and embeddings of these clips."""
    if y is None:
        return None, None, Z
    labels, names = class_labels(y, tags, tag_names)
    Z = np.asarray(Z)
    check_consistent_length(Z, labels)
    shown = np.isin(labels, names)
    return labels[shown], names, Z[shown]


def _project(
    Z: Any, method: str, perplexity: float | None, random_state: Any
) -> dict[str, Any]:
    """Embeddings in two dimensions, and what made them, as the display takes it."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}; got {method!r}.")
    Z = check_array(
        Z, ensure_min_samples=3, ensure_min_features=2, input_name="embeddings"
    )
    if method == "pca":
        pca = PCA(2, random_state=random_state)
        embedding, share = pca.fit_transform(Z), pca.explained_variance_ratio_
    else:
        if perplexity is None:
            perplexity = min(PERPLEXITY, (len(Z) - 1) / 3)
        tsne = TSNE(2, perplexity=perplexity, random_state=random_state)
        embedding, share = tsne.fit_transform(Z), None
    return {
        "embedding": embedding,
        "method": method,
        "explained_variance_ratio": share,
    }
