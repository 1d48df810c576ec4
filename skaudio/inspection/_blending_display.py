"""Branch weights and losses over training, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skaudio._utils._optional import import_optional
from skaudio.inspection._legends import columns_of, height_of
from skaudio.inspection._palette import COLORS, DARK


class BlendingDisplay:
    """Weights and losses of the branches of a multi-view network over training.

    Panels show what drives `MultiViewBlendingClassifier`: the share of each branch in
    the training loss, and every branch's loss on the training subset and on the
    validation set, as in Fig. 2 of [1]_. A branch that overfits, where validation
    loss parts from training loss, should lose weight. If the classifier was given
    clips to watch (``X_test`` of its ``fit``), a last panel shows their losses.

    Use :meth:`from_estimator` or :meth:`from_history` to make one.

    Parameters
    ----------
    step : ndarray of shape (n_evaluations,)
        Training steps at which the branches were evaluated.
    branch_names : sequence of str
        Names of the branches, the joint branch last.
    weights : ndarray of shape (n_evaluations, n_branches)
        Weight of each branch from this evaluation to the next.
    train_loss : ndarray of shape (n_evaluations, n_branches)
        Mean cross-entropy in nats on the fixed subset of the training clips.
    valid_loss : ndarray of shape (n_evaluations, n_branches)
        Mean cross-entropy in nats on the validation clips.
    test_loss : ndarray of shape (n_evaluations, n_branches) or None, default=None
        Mean cross-entropy in nats on clips that are not used in training.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (3,) or (4,)
        Axes with weights, training, validation and, if there are any, test losses.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    skaudio.neural_network.MultiViewBlendingClassifier : Learns what is drawn here.

    References
    ----------
    .. [1] H. Phan et al., "Multi-view Audio and Music Classification", ICASSP 2021,
       pp. 611-615, arXiv:2103.02420 (Fig. 2).

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skaudio.inspection import BlendingDisplay
    >>> row = dict(train_loss=1.0, valid_loss=1.2, weight=0.5)
    >>> history = [
    ...     dict(row, step=step, branch=branch)
    ...     for step in (0, 10)
    ...     for branch in ("mel", "joint")
    ... ]
    >>> display = BlendingDisplay.from_history(history)
    >>> display.weights.shape, [ax.get_title(loc="left") for ax in display.axes_][0]
    ((2, 2), 'Branch weights')
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        step: np.ndarray,
        branch_names: Sequence[str],
        weights: np.ndarray,
        train_loss: np.ndarray,
        valid_loss: np.ndarray,
        test_loss: np.ndarray | None = None,
    ) -> None:
        self.step = step
        self.branch_names = branch_names
        self.weights = weights
        self.train_loss = train_loss
        self.valid_loss = valid_loss
        self.test_loss = test_loss

    @classmethod
    def from_estimator(cls, estimator: Any, *, axes: Any = None) -> BlendingDisplay:
        """Plot the training of a fitted classifier.

        Parameters
        ----------
        estimator : MultiViewBlendingClassifier or Pipeline
            Fitted classifier, or a pipeline that ends in one.
        axes : sequence of 3 or 4 matplotlib Axes, default=None
            Where to draw, one for each panel. ``None`` makes a figure.

        Returns
        -------
        BlendingDisplay
            The display, drawn.
        """
        check_is_fitted(estimator)
        final = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        if not hasattr(final, "blending_history_"):
            raise TypeError(
                "BlendingDisplay draws a fitted MultiViewBlendingClassifier, or a "
                f"pipeline that ends in one; got {type(final).__name__}, which has no "
                "blending_history_."
            )
        return cls.from_history(final.blending_history_, axes=axes)

    @classmethod
    def from_history(
        cls, history: Sequence[Mapping[str, Any]], *, axes: Any = None
    ) -> BlendingDisplay:
        """Plot a recorded training.

        Parameters
        ----------
        history : list of dict
            One record per evaluation and branch with ``step, branch, weight,
            train_loss, valid_loss`` and optionally ``test_loss``, such as
            ``blending_history_``.
        axes : sequence of 3 or 4 matplotlib Axes, default=None
            Where to draw, one for each panel. ``None`` makes a figure.

        Returns
        -------
        BlendingDisplay
            The display, drawn.
        """
        if not history:
            raise ValueError(
                "The blending history is empty: branches are evaluated only with a "
                "validation set. Set validation_fraction and fit again."
            )
        names = list(dict.fromkeys(record["branch"] for record in history))
        rows = [record["branch"] for record in history]
        if len(rows) % len(names) or rows != names * (len(rows) // len(names)):
            raise ValueError(
                "The blending history must hold one record per evaluation and branch, "
                f"with the branches {names} in the same order at every evaluation."
            )
        columns = {
            key: np.array([record[key] for record in history]).reshape(-1, len(names))
            for key in ("step", "weight", "train_loss", "valid_loss", "test_loss")
            if key in history[0]
        }
        test_loss = columns.get("test_loss", np.array(np.nan))
        display = cls(
            step=columns["step"][:, 0],
            branch_names=names,
            weights=columns["weight"],
            train_loss=columns["train_loss"],
            valid_loss=columns["valid_loss"],
            test_loss=None if np.isnan(test_loss).all() else test_loss,
        )
        return display.plot(axes=axes)

    def plot(self, *, axes: Any = None) -> BlendingDisplay:
        """Draw weights and losses.

        Parameters
        ----------
        axes : sequence of 3 or 4 matplotlib Axes, default=None
            Where to draw, one for each panel. ``None`` makes a figure.

        Returns
        -------
        BlendingDisplay
            The display itself.
        """
        pyplot = import_optional(
            "matplotlib.pyplot", extra="plot", purpose="BlendingDisplay"
        )
        own_figure = axes is None
        losses = self._losses()
        n_panels = 1 + len(losses)
        if own_figure:
            shape, width, height = ((1, 3), 11.0, 3.4)
            if n_panels == 4:
                shape, width, height = ((2, 2), 8.5, 6.0)
            size = width, height + height_of(self.branch_names, width)
            _, axes = pyplot.subplots(*shape, figsize=size, layout="constrained")
        self.axes_ = np.asarray(axes, dtype=object).ravel()
        if len(self.axes_) != n_panels:
            raise ValueError(f"axes must be {n_panels} Axes; got {len(self.axes_)}.")
        self.figure_ = self.axes_[0].figure
        self._plot_weights(self.axes_[0])
        for ax, (title, loss) in zip(self.axes_[1:], losses.items(), strict=True):
            self._plot_losses(ax, loss, title)
            ax.set_ylim(0, self._loss_limit())
        for ax in self.axes_[1 : n_panels - 1]:  # the first losses of each row
            ax.set_ylabel("cross-entropy (nats)")
        self._add_legend(outside=own_figure)
        return self

    def _losses(self) -> dict[str, np.ndarray]:
        """What loss panels show, by title."""
        losses = {"Training loss": self.train_loss, "Validation loss": self.valid_loss}
        if self.test_loss is not None:
            losses["Test loss"] = self.test_loss
        return losses

    def _plot_weights(self, ax: Any) -> None:
        # weights jump between evaluations and sum to one: areas show the shares,
        # where lines would only cross; a weight holds until the next evaluation
        ax.stackplot(
            self.step,
            (self.weights / self.weights.sum(axis=1, keepdims=True)).T,
            step="post",
            colors=self._colors(),
            labels=self.branch_names,
            edgecolor="white",
            linewidth=0.4,
        )
        ax.set_ylim(0, 1)
        ax.set_ylabel("share of the loss")
        self._label(ax, "Branch weights")

    def _plot_losses(self, ax: Any, losses: np.ndarray, title: str) -> None:
        for name, color, loss in zip(
            self.branch_names, self._colors(), losses.T, strict=True
        ):
            joint = name == self.branch_names[-1]
            ax.plot(self.step, loss, color=color, lw=2.2 if joint else 1.5, label=name)
        ax.grid(axis="y", color="0.9")
        self._label(ax, title)

    def _label(self, ax: Any, title: str) -> None:
        ax.set_title(title, loc="left", fontsize="medium", fontweight="bold")
        ax.set_xlabel("training step")
        ax.margins(x=0)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_axisbelow(True)

    def _loss_limit(self) -> float:
        """One scale for all loss panels, which a diverging branch may leave."""
        losses = np.stack(list(self._losses().values()))
        known = np.where(np.isfinite(losses), losses, 0.0)
        start = known[:, 0].max()
        highest = min(known.max(), 2.5 * start) if start else known.max()
        return float(1.05 * highest) or 1.0

    def _add_legend(self, *, outside: bool) -> None:
        handles, labels = self.axes_[0].get_legend_handles_labels()
        if outside:
            self.figure_.legend(
                handles,
                labels,
                loc="outside upper center",
                ncols=columns_of(labels, self.figure_.get_figwidth()),
                frameon=False,
            )
        else:
            self.axes_[-1].legend(handles, labels, fontsize="small", frameon=False)

    def _colors(self) -> list[str]:
        # the joint branch, last, is dark so that it stands out from the views
        n_views = len(self.branch_names) - 1
        return [*(COLORS[i % len(COLORS)] for i in range(n_views)), DARK]
