"""Correlation of responses over the depth of a network, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skaudio._utils._optional import import_optional
from skaudio.inspection._feature_correlation import feature_correlation
from skaudio.inspection._palette import COLORS

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = ("layer", "depth", "differ", "correlation", "low", "high")


class FeatureCorrelationDisplay:
    """Correlation of responses over depth, a curve for each kind of pair.

    A band around each curve is the interval of its means.

    Use :meth:`from_estimator` to make one, or pass a table of
    :func:`feature_correlation`.

    Parameters
    ----------
    correlations : DataFrame
        With the columns of :func:`feature_correlation`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the last drawing.
    figure_ : matplotlib Figure
        Figure that holds them.

    References
    ----------
    Choi, Fazekas and Sandler, "Explaining deep convolutional neural networks on music
    classification", arXiv:1607.02444, 2016, for the idea.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.inspection import FeatureCorrelationDisplay
    >>> from skaudio.neural_network import SampleCNNClassifier
    >>> X, y = make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)
    >>> net = SampleCNNClassifier(sr=8000, width=0.02, max_epochs=1, random_state=0)
    >>> display = FeatureCorrelationDisplay.from_estimator(
    ...     net.fit(X, y), X, {"class": y}, layers=[0, 1]
    ... )
    >>> len(display.ax_.get_lines())
    2
    >>> plt.show()
    """

    def __init__(self, *, correlations: DataFrame) -> None:
        self.correlations = correlations

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, factors: Any, *, ax: Any = None, **options: Any
    ) -> FeatureCorrelationDisplay:
        """Correlate responses, and draw them.

        Parameters
        ----------
        estimator : classifier, Pipeline or Module
            Fitted; see :func:`feature_correlation`.
        X : whatever the estimator takes
            Clips.
        factors : DataFrame, or mapping of str to array-like of shape (n_clips,)
            What clips may differ in.
        ax : matplotlib Axes, default=None
            Where to draw; ``None`` makes a figure.
        **options : dict
            Others of :func:`feature_correlation`.

        Returns
        -------
        FeatureCorrelationDisplay
            The display, drawn.
        """
        table = feature_correlation(estimator, X, factors, **options)
        return cls(correlations=table).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> FeatureCorrelationDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; ``None`` makes a figure.

        Returns
        -------
        FeatureCorrelationDisplay
            The display itself.
        """
        table = self.correlations
        missing = [name for name in COLUMNS if name not in table]
        if missing:
            raise ValueError(
                f"correlations must have the columns {list(COLUMNS)}; there is no "
                f"{missing[0]!r}."
            )
        pyplot = import_optional(
            "matplotlib.pyplot", extra="plot", purpose="FeatureCorrelationDisplay"
        )
        if ax is None:
            _, ax = pyplot.subplots(figsize=(5.6, 3.6), layout="constrained")
        layers = list(dict.fromkeys(table["layer"]))
        kinds = list(dict.fromkeys(table["differ"]))
        for i, kind in enumerate(kinds):
            curve = table[table["differ"] == kind]
            at = [layers.index(layer) for layer in curve["layer"]]
            color = COLORS[i % len(COLORS)]
            line = {"color": color, "marker": "o", "ms": 4, "label": kind}
            ax.plot(at, curve["correlation"], **line)
            ax.fill_between(
                at, curve["low"], curve["high"], color=color, alpha=0.2, lw=0
            )
        ax.set_xticks(range(len(layers)), _short(layers), rotation=30, ha="right")
        ax.set(xlabel="layer", ylabel="correlation of responses")
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
        ax.legend(title="clips differ in", frameon=False, **place)
        ax.spines[["top", "right"]].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _short(names: list[str]) -> list[str]:
    """Names without the part that all have in common."""
    parts = [name.split(".") for name in names]
    n = 0
    while all(len(p) > n + 1 and p[n] == parts[0][n] for p in parts):
        n += 1
    return [".".join(p[max(0, n - 1) :]) for p in parts]
