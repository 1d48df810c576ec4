"""Losses, scores and learning rate over training, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skaudio._training._network_of import network_of
from skaudio._utils._optional import import_optional
from skaudio.inspection._legends import MOST_INSIDE, columns_of, height_of, width_of
from skaudio.inspection._palette import COLORS, DARK

PANELS = {  # title and columns of the history
    "Loss": ("train_loss", "valid_loss", "test_loss"),
    "Score": ("train_score", "valid_score", "test_score"),
    "Learning rate": ("lr",),
}
STYLES = {"train": ":", "valid": "-", "test": "--", "lr": "-"}  # of what is drawn
DASHES = ("-", "--", ":", "-.")  # of networks that share a colour
WORDS = {"train": "training", "valid": "validation", "test": "test"}
MAX_ROWS = 14  # of a legend at the side
TIMES = {"epoch": "epoch", "step": "Training steps"}  # along the axis, and its label


class TrainingDisplay:
    """Losses, scores and learning rate of networks over the epochs of their training.

    Where validation loss parts from training loss a network overfits; where a score
    still rises at the end it was trained too short. Scores are accuracies, or mean
    average precisions of tags, on the clips held out by ``validation_fraction`` and on
    those to watch, ``X_test`` of `fit`. What was not recorded is left out. Of a network
    with several losses, that of the training is their weighted sum, the others are of
    the output that decides, so that they need not be alike.

    Several systems are compared by one loss over training steps, as in Figure 2 (c)
    of [1]_, with ``columns=["test_loss"], x="step"``.

    Use :meth:`from_estimator` or :meth:`from_history` to make one.

    Parameters
    ----------
    histories : dict of str to list of dict
        By name, one record per epoch with ``epoch``, ``train_loss``, and optionally
        ``step, valid_loss, test_loss, valid_score, test_score, lr``, such as
        ``history_``.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Axes with losses, scores, if there are any, and learning rates.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    BlendingDisplay : Weights and losses of the branches of a multi-view network.

    References
    ----------
    .. [1] H. Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021,
       pp. 611-615, arXiv:2103.02420.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skaudio.inspection import TrainingDisplay
    >>> history = [
    ...     {"epoch": i, "train_loss": 1 / i, "valid_score": 1 - 1 / i, "lr": 0.01}
    ...     for i in (1, 2, 3)
    ... ]
    >>> display = TrainingDisplay.from_history(history)
    >>> [ax.get_title(loc="left") for ax in display.axes_]
    ['Loss', 'Score', 'Learning rate']
    >>> plt.show()
    """

    def __init__(self, *, histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self.histories = histories

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        columns: Sequence[str] | None = None,
        x: str = "epoch",
        smoothing: int = 1,
        axes: Any = None,
    ) -> TrainingDisplay:
        """Plot the training of one or several fitted networks.

        Parameters
        ----------
        estimator : estimator, Pipeline or dict of str to either
            Fitted neural estimator of skaudio, a Pipeline with one in it, of which the
            last is drawn, or a search or meta-estimator that has fitted one of these;
            or several by name. Of a `LateFusionClassifier` its members are drawn, by
            name of their view.
        columns : sequence of str, default=None
            What of the histories is drawn, such as ``["valid_loss"]``. ``None`` draws
            all losses, scores and learning rates.
        x : {"epoch", "step"}, default="epoch"
            Whether curves run over epochs, or over training steps, which are those of
            the optimiser.
        smoothing : int, default=1
            Epochs of a trailing mean over every curve.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each panel. ``None`` makes a figure.

        Returns
        -------
        TrainingDisplay
            The display, drawn.
        """
        systems = estimator if isinstance(estimator, Mapping) else {"": estimator}
        histories = {
            name: network_of(network)[1].history_
            for system, model in systems.items()
            for name, network in _networks_of(str(system), model).items()
        }
        options: dict[str, Any] = {"columns": columns, "x": x, "smoothing": smoothing}
        return cls.from_history(histories, **options, axes=axes)

    @classmethod
    def from_history(
        cls,
        history: Any,
        *,
        columns: Sequence[str] | None = None,
        x: str = "epoch",
        smoothing: int = 1,
        axes: Any = None,
    ) -> TrainingDisplay:
        """Plot one or several recorded trainings.

        Parameters
        ----------
        history : list of dict or DataFrame, or dict of str to either
            One record per epoch, such as ``history_``; or several of such lists by
            name.
        columns : sequence of str, default=None
            What of the histories is drawn, such as ``["valid_loss"]``. ``None`` draws
            all losses, scores and learning rates.
        x : {"epoch", "step"}, default="epoch"
            Whether curves run over epochs, or over training steps, which are those of
            the optimiser.
        smoothing : int, default=1
            Epochs of a trailing mean over every curve.
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
        options: dict[str, Any] = {"columns": columns, "x": x, "smoothing": smoothing}
        return cls(histories=histories).plot(**options, axes=axes)

    def plot(
        self,
        *,
        columns: Sequence[str] | None = None,
        x: str = "epoch",
        smoothing: int = 1,
        axes: Any = None,
    ) -> TrainingDisplay:
        """Draw the curves.

        Parameters
        ----------
        columns : sequence of str, default=None
            What of the histories is drawn, such as ``["valid_loss"]``. ``None`` draws
            all losses, scores and learning rates.
        x : {"epoch", "step"}, default="epoch"
            Whether curves run over epochs, or over training steps, which are those of
            the optimiser.
        smoothing : int, default=1
            Epochs of a trailing mean over every curve.
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
        self._check(columns, x, smoothing)
        self._x, self._smoothing = x, int(smoothing)
        self._is_single = columns is not None and len(set(columns)) == 1
        panels = self._panels(columns)
        parts = {c.partition("_")[0] for found in panels.values() for c in found}
        self._has_parts = len(parts & set(WORDS)) > 1
        own_figure = axes is None
        if own_figure:
            n, names = len(panels), self._legend_names(panels)
            width, height = 3.6 * n + 0.4, 3.4
            if self._is_at_the_side:
                width += -(-len(names) // MAX_ROWS) * width_of(names)
            else:
                height += height_of(names, width)
            size = (width, height)
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

    def _check(self, columns: Sequence[str] | None, x: str, smoothing: Any) -> None:
        known = [column for of_panel in PANELS.values() for column in of_panel]
        if columns is not None and (
            isinstance(columns, str) or not columns or not set(columns) <= set(known)
        ):
            raise ValueError(f"columns must list some of {known}; got {columns!r}.")
        if x not in TIMES:
            raise ValueError(f"x must be one of {list(TIMES)}; got {x!r}.")
        if not isinstance(smoothing, Integral) or smoothing < 1:
            raise ValueError(
                f"smoothing must be a number of epochs, 1 or more; got {smoothing!r}."
            )
        for name, rows in self.histories.items():
            if any(x not in row for row in rows):
                raise ValueError(
                    f"The history {name!r} does not say its {x}s. Fit again, or set "
                    "x='epoch'."
                )

    def _panels(self, wanted: Sequence[str] | None) -> dict[str, list[str]]:
        """Columns that are drawn, by title; those without any number are left out."""
        panels = {
            title: found
            for title, columns in PANELS.items()
            if (found := [c for c in columns if self._is_drawn(c, wanted)])
        }
        if not panels and wanted is not None:
            raise ValueError(
                f"The history has no finite number in {list(wanted)}. For losses and "
                "scores of a validation or a test, give fit such clips."
            )
        if not panels:
            raise ValueError(
                "The history has no finite number: training diverged in the first "
                "epoch. Lower lr."
            )
        if wanted is None:
            return panels
        return {_title(title, columns): columns for title, columns in panels.items()}

    def _is_drawn(self, column: str, wanted: Sequence[str] | None) -> bool:
        return (wanted is None or column in wanted) and any(
            np.isfinite(_values(rows, column)).any() for rows in self.histories.values()
        )

    def _curve(
        self, rows: Sequence[Mapping[str, Any]], column: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Epochs or steps, and a value of each, NaN where there is none."""
        times = np.array([row[self._x] for row in rows], dtype=float)
        return times, _trailing_means(_values(rows, column), self._smoothing)

    def _plot_panel(self, ax: Any, title: str, columns: list[str]) -> None:
        for i, (name, rows) in enumerate(self.histories.items()):
            for column in columns:
                part = column.partition("_")[0]
                times, values = self._curve(rows, column)
                if np.isnan(values).all():
                    continue
                ax.plot(
                    times,
                    values,
                    color=self._colors()[i] or self._color_of(part),
                    linestyle=self._style(i, part),
                    marker="." if len(times) == 1 else "",
                    label=f"{name} {part}".strip(),
                )
        ax.set_title(title, loc="left", fontsize="medium", fontweight="bold")
        ax.set_xlabel(TIMES[self._x])
        ax.margins(x=0.02)
        ax.grid(axis="y", color="0.9")
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.xaxis.get_major_locator().set_params(integer=True)
        known = {row[self._x] for rows in self.histories.values() for row in rows}
        if len(known) == 1:
            ax.set_xticks([*known])

    def _colors(self) -> list[str | None]:
        """A colour of each history; a single one has colours by what is drawn."""
        if len(self.histories) == 1:
            return [None]
        return [COLORS[i % len(COLORS)] for i in range(len(self.histories))]

    def _style(self, i: int, part: str) -> str:
        """Styles tell curves of a network apart; of one curve each, networks."""
        if self._is_single:
            return DASHES[i // len(COLORS) % len(DASHES)]
        return STYLES[part] if self._has_parts else "-"

    @staticmethod
    def _color_of(part: str) -> str:
        parts = list(WORDS)
        return COLORS[parts.index(part)] if part in parts else DARK

    def _add_legend(self, panels: dict[str, list[str]], *, outside: bool) -> None:
        """Name colours, which are networks if there are several, and styles."""
        lines = import_optional(
            "matplotlib.lines", extra="plot", purpose="TrainingDisplay"
        )
        several, names = len(self.histories) > 1, self._legend_names(panels)
        handles = []
        if several:
            for i, name in enumerate(self.histories):
                style = {"color": self._colors()[i], "label": name}
                style["linestyle"] = self._style(i, "valid")
                handles.append(lines.Line2D([], [], **style))
        for part in () if self._is_at_the_side else self._parts(panels):
            color = DARK if several else self._color_of(part)
            style = {"color": color, "linestyle": self._style(0, part)}
            handles.append(lines.Line2D([], [], label=WORDS[part], **style))
        options: dict[str, Any] = {"handles": handles, "frameon": False}
        if outside and self._is_at_the_side:
            n = -(-len(names) // MAX_ROWS)
            self.figure_.legend(loc="outside right upper", ncols=n, **options)
        elif outside:
            n = columns_of(names, self.figure_.get_figwidth())
            self.figure_.legend(loc="outside upper center", ncols=n, **options)
        elif len(names) <= MOST_INSIDE:
            self.axes_[0].legend(fontsize="small", **options)

    @property
    def _is_at_the_side(self) -> bool:
        """Whether the legend stands beside a single panel of several networks."""
        return self._is_single and len(self.histories) > 1

    @staticmethod
    def _parts(panels: dict[str, list[str]]) -> list[str]:
        drawn = {c.partition("_")[0] for columns in panels.values() for c in columns}
        return [part for part in WORDS if part in drawn]

    def _legend_names(self, panels: dict[str, list[str]]) -> list[str]:
        """What the legend holds: networks if there are several, and parts."""
        names = list(self.histories) if len(self.histories) > 1 else []
        parts = [] if self._is_at_the_side else self._parts(panels)
        return [*names, *(WORDS[part] for part in parts)]


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


def _networks_of(name: str, model: Any) -> dict[str, Any]:
    """A model by its name, or the members of a late fusion by theirs behind it."""
    inner = model
    while True:
        if isinstance(inner, Pipeline):
            steps = [step for _, step in reversed(inner.steps)]
            inner = next(filter(_has_network, steps), inner[-1])
        elif isinstance(inner, FrozenEstimator):
            inner = inner.estimator
        elif hasattr(inner, "best_estimator_"):
            inner = inner.best_estimator_
        else:
            break
    members = getattr(inner, "named_estimators_", None)
    if members is None:
        return {name: inner}
    return {f"{name}, {view}" if name else view: e for view, e in members.items()}


def _has_network(step: Any) -> bool:
    """Whether a fitted step of a Pipeline is a network, or holds one."""
    if hasattr(step, "named_estimators_"):
        return True
    try:
        network_of(step)
    except (TypeError, NotFittedError):
        return False
    return True


def _values(rows: Sequence[Mapping[str, Any]], column: str) -> np.ndarray:
    """Values of a column, NaN where there is none."""
    values = np.array([row.get(column, np.nan) for row in rows], dtype=float)
    return np.where(np.isfinite(values), values, np.nan)


def _trailing_means(values: np.ndarray, n: int) -> np.ndarray:
    """Means of every value and the ``n - 1`` before it, of those that are known."""
    if n == 1:
        return values
    known = np.isfinite(values)
    sums, counts = (
        np.convolve(part, np.ones(n))[: len(values)]
        for part in (np.where(known, values, 0.0), known.astype(float))
    )
    return np.divide(
        *(sums, np.round(counts)), out=np.full(len(values), np.nan), where=known
    )


def _title(panel: str, columns: Sequence[str]) -> str:
    """Title of a panel that may show only one part of it."""
    parts = {WORDS.get(column.partition("_")[0]) for column in columns}
    (part,) = parts if len(parts) == 1 else (None,)
    return f"{part} {panel}".capitalize() if part else panel
