"""Losses, scores and learning rate over training, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skaudio._training._network_of import network_of
from skaudio._utils._optional import import_optional
from skaudio.inspection._palette import COLORS, DARK

PANELS = {  # title and columns of the history
    "Loss": ("train_loss", "valid_loss", "test_loss"),
    "Score": ("train_score", "valid_score", "test_score"),
    "Learning rate": ("lr",),
}
STYLES = {"train": ":", "valid": "-", "test": "--", "lr": "-"}  # of what is drawn
WORDS = {"train": "training", "valid": "validation", "test": "test"}


class TrainingDisplay:
    """Losses, scores and learning rate of networks over the epochs of their training.

    Where validation loss parts from training loss a network overfits; where a score
    still rises at the end it was trained too short. Scores are accuracies, or mean
    average precisions of tags, on the clips held out by ``validation_fraction`` and on
    those to watch, ``X_test`` of `fit`. What was not recorded is left out. Of a network
    with several losses, that of the training is their weighted sum, the others are of
    the output that decides, so that they need not be alike.

    Use :meth:`from_estimator` or :meth:`from_history` to make one.

    Parameters
    ----------
    histories : dict of str to list of dict
        By name, one record per epoch with ``epoch``, ``train_loss``, and optionally
        ``valid_loss, test_loss, valid_score, test_score, lr``, such as ``history_``.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Axes with losses, scores, if there are any, and learning rates.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    BlendingDisplay : Weights and losses of the branches of a multi-view network.

    Examples
    --------
    >>> from skaudio.inspection import TrainingDisplay
    >>> history = [
    ...     {"epoch": i, "train_loss": 1 / i, "valid_score": 1 - 1 / i, "lr": 0.01}
    ...     for i in (1, 2, 3)
    ... ]
    >>> display = TrainingDisplay.from_history(history)
    >>> [ax.get_title(loc="left") for ax in display.axes_]
    ['Loss', 'Score', 'Learning rate']
    """

    def __init__(self, *, histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self.histories = histories

    @classmethod
    def from_estimator(cls, estimator: Any, *, axes: Any = None) -> TrainingDisplay:
        """Plot the training of one or several fitted networks.

        Parameters
        ----------
        estimator : estimator, Pipeline or dict of str to either
            Fitted neural estimator of skaudio, a Pipeline that ends in one, or a search
            or meta-estimator that has fitted one of these; or several by name.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each panel. ``None`` makes a figure.

        Returns
        -------
        TrainingDisplay
            The display, drawn.
        """
        if not isinstance(estimator, Mapping):
            return cls.from_history(_history_of(estimator), axes=axes)
        histories = {str(name): _history_of(e) for name, e in estimator.items()}
        return cls.from_history(histories, axes=axes)

    @classmethod
    def from_history(cls, history: Any, *, axes: Any = None) -> TrainingDisplay:
        """Plot one or several recorded trainings.

        Parameters
        ----------
        history : list of dict or DataFrame, or dict of str to either
            One record per epoch, such as ``history_``; or several of such lists by
            name.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each panel. ``None`` makes a figure.

        Returns
        -------
        TrainingDisplay
            The display, drawn.
        """
        histories = history if isinstance(history, Mapping) else {"": history}
        histories = {name: _records(rows) for name, rows in histories.items()}
        if not histories or not all(map(len, histories.values())):
            empty = [name for name, rows in histories.items() if not len(rows)]
            raise ValueError(
                f"The history {empty[0]!r} is empty: nothing was trained."
                if any(empty)
                else "The history is empty: nothing was trained."
            )
        return cls(histories=histories).plot(axes=axes)

    def plot(self, *, axes: Any = None) -> TrainingDisplay:
        """Draw all curves.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each panel. ``None`` makes a figure.

        Returns
        -------
        TrainingDisplay
            The display itself.
        """
        pyplot = import_optional(
            "matplotlib.pyplot", extra="plot", purpose="TrainingDisplay"
        )
        panels = self._panels()
        if not panels:
            raise ValueError(
                "The history has no finite number: training diverged in the first "
                "epoch. Lower lr."
            )
        own_figure = axes is None
        if own_figure:
            n, size = len(panels), (3.6 * len(panels) + 0.4, 3.4)
            _, axes = pyplot.subplots(1, n, figsize=size, layout="constrained")
        self.axes_ = np.asarray(axes, dtype=object).ravel()
        if len(self.axes_) != len(panels):
            raise ValueError(
                f"axes must be {len(panels)} Axes, for {', '.join(panels)}; got "
                f"{len(self.axes_)}."
            )
        self.figure_ = self.axes_[0].figure
        for ax, (title, columns) in zip(self.axes_, panels.items(), strict=True):
            self._plot_panel(ax, title, columns)
        self._add_legend(panels, outside=own_figure)
        return self

    def _panels(self) -> dict[str, list[str]]:
        """Columns that are drawn, by title; those without any number are left out."""
        return {
            title: found
            for title, columns in PANELS.items()
            if (found := [c for c in columns if self._is_known(c)])
        }

    def _is_known(self, column: str) -> bool:
        return any(
            np.isfinite(self._curve(rows, column)[1]).any()
            for rows in self.histories.values()
        )

    @staticmethod
    def _curve(
        rows: Sequence[Mapping[str, Any]], column: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Epochs, and a value of each, NaN where there is none."""
        values = np.array([row.get(column, np.nan) for row in rows], dtype=float)
        epochs = np.array([row["epoch"] for row in rows], dtype=float)
        return epochs, np.where(np.isfinite(values), values, np.nan)

    def _plot_panel(self, ax: Any, title: str, columns: list[str]) -> None:
        for name, color in zip(self.histories, self._colors(), strict=True):
            for column in columns:
                part = column.partition("_")[0]
                epochs, values = self._curve(self.histories[name], column)
                if np.isnan(values).all():
                    continue
                ax.plot(
                    epochs,
                    values,
                    color=color or self._color_of(part),
                    linestyle=STYLES[part],
                    marker="." if len(epochs) == 1 else "",
                    label=f"{name} {part}".strip(),
                )
        ax.set_title(title, loc="left", fontsize="medium", fontweight="bold")
        ax.set_xlabel("epoch")
        ax.margins(x=0.02)
        ax.grid(axis="y", color="0.9")
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.xaxis.get_major_locator().set_params(integer=True)

    def _colors(self) -> list[str | None]:
        """A colour of each history; a single one has colours by what is drawn."""
        if len(self.histories) == 1:
            return [None]
        return [COLORS[i % len(COLORS)] for i in range(len(self.histories))]

    @staticmethod
    def _color_of(part: str) -> str:
        parts = list(WORDS)
        return COLORS[parts.index(part)] if part in parts else DARK

    def _add_legend(self, panels: dict[str, list[str]], *, outside: bool) -> None:
        """Name colours, which are networks if there are several, and styles."""
        lines = import_optional(
            "matplotlib.lines", extra="plot", purpose="TrainingDisplay"
        )
        drawn = {c.partition("_")[0] for columns in panels.values() for c in columns}
        parts = [part for part in WORDS if part in drawn]
        several = len(self.histories) > 1
        handles = []
        if several:
            for name, color in zip(self.histories, self._colors(), strict=True):
                handles.append(lines.Line2D([], [], color=color, label=name))
        for part in parts:
            color = DARK if several else self._color_of(part)
            style = {"color": color, "linestyle": STYLES[part]}
            handles.append(lines.Line2D([], [], label=WORDS[part], **style))
        options: dict[str, Any] = {"handles": handles, "frameon": False}
        if outside:
            n = min(len(handles), 6)
            self.figure_.legend(loc="outside upper center", ncols=n, **options)
        else:
            self.axes_[0].legend(fontsize="small", **options)


def _records(rows: Any) -> list[Mapping[str, Any]]:
    """A history as a list of records."""
    if hasattr(rows, "to_dict"):  # a DataFrame
        rows = rows.to_dict("records")
    rows = list(rows) if isinstance(rows, Sequence) else [rows]
    for row in rows:
        if not isinstance(row, Mapping) or "epoch" not in row:
            raise ValueError(
                "A history is a list of dicts with the key 'epoch', one for each, such "
                f"as history_; got {row!r:.60} in one."
            )
    return rows


def _history_of(estimator: Any) -> list[dict[str, Any]]:
    """What the neural estimator in a model recorded of its training."""
    history: list[dict[str, Any]] = network_of(estimator)[1].history_
    return history
