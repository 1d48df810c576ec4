"""Views of one clip, drawn, and what a classifier says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from skaudio._utils._container import Views
from skaudio._utils._optional import import_optional
from skaudio._utils._validation import check_views
from skaudio.inspection._clip_views import Chain
from skaudio.inspection._legends import short
from skaudio.inspection._networks import _Network
from skaudio.inspection._view_axes import Picture
from skaudio.views._base import ViewSource

VIEW_HEIGHT = 2.0  # inches
CELL = 0.32  # height of a branch's probabilities


class ViewDisplay:
    """Views of one clip as pictures: frequency in Hz, time in seconds, levels in words.

    All rows of a view are of the same height, so that the frequency axis is spaced as
    the view is: evenly of an STFT, by octaves of a constant-Q transform. Ticks are at
    round numbers; a band is where its centre frequency is. Levels on a linear or a
    logarithmic scale are drawn in decibels, of a linear one the upper 80. Rows of MFCCs
    are numbered, a waveform is drawn as a line. All views share their time axis.

    Under the views of a classifier are its opinions: probabilities of the likeliest
    classes, of its decision and, if it has several branches, of each of these.

    Use :meth:`from_estimator` or :meth:`from_views` to make one.

    Parameters
    ----------
    views : dict of str to ndarray of shape (n_bins, n_frames)
        Values of every view as they are drawn, by name; a single row is a waveform.
    rates : dict of str to float or None
        Frames per second of every view; None numbers the frames.
    frequencies : dict of str to ndarray of shape (n_bins,), default=None
        Centre frequency of every row in Hz, by name of the view; rows of views that are
        not named here are numbered.
    starts : dict of str to float, default=None
        Seconds from the beginning of the clip to the middle of the first frame, 0 of
        views that are not named here, as of centred frames.
    labels : dict of str to tuple of two str, default=None
        What rows and values of a view are, such as ``("frequency (Hz)", "power")``.
    opinions : dict of str to ndarray of shape (n_classes,), default=None
        Probabilities by branch, the decision last. None draws none.
    classes : sequence, default=None
        Class names of the probabilities, in the same order.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Axes of the views in their order, then those of the opinions, if there are any.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    SaliencyDisplay : What in a view a network decides by.
    BlendingDisplay : Weights and losses of branches over training.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.inspection import ViewDisplay
    >>> from skaudio.views import make_view_union
    >>> X, y = make_sounds(n_clips=2, n_classes=2, sr=8000, random_state=0)
    >>> union = make_view_union("raw", "mel", "gammatone", sr=8000)
    >>> display = ViewDisplay.from_estimator(union, X[0])
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['amplitude', 'frequency (Hz)', 'frequency (Hz)']
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        views: Mapping[str, np.ndarray],
        rates: Mapping[str, float | None],
        frequencies: Mapping[str, np.ndarray] | None = None,
        starts: Mapping[str, float] | None = None,
        labels: Mapping[str, tuple[str, str]] | None = None,
        opinions: Mapping[str, np.ndarray] | None = None,
        classes: Sequence[Any] | None = None,
    ) -> None:
        self.views = views
        self.rates = rates
        self.frequencies = frequencies
        self.starts = starts
        self.labels = labels
        self.opinions = opinions
        self.classes = classes

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        clip: Any,
        *,
        n_columns: Any = 1,
        n_classes: Any = 5,
        cmap: str = "magma",
        axes: Any = None,
    ) -> ViewDisplay:
        """Compute the views of one clip and draw them.

        Parameters
        ----------
        estimator : view, ViewUnion, Pipeline or classifier
            What computes views: a view or union, a Pipeline with one of these in it, or
            a network with ``views=``. Views are drawn as they are computed, before any
            scaling. Opinions are those of a fitted classifier with ``predict_proba``,
            and of its branches if it has ``branch_proba``, as
            `MultiViewBlendingClassifier` and `LateFusionClassifier` have. A search
            stands for its best estimator.
        clip : path, or ndarray of shape (n_samples,) or (n_channels, n_samples)
            One clip, as a row of X: an array is taken to be at the rate of the views.
        n_columns : int, default=1
            Views side by side; 1 draws them below each other.
        n_classes : int, default=5
            How many classes are shown, the likeliest first.
        cmap : str, default="magma"
            Colours, by default from black to light in even steps of lightness.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each view and one for the opinions, if there are any.
            ``None`` makes a figure.

        Returns
        -------
        ViewDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If nothing in the estimator computes views.
        """
        chain = Chain.of(estimator)
        pictures = chain.pictures(clip)
        opinions, classes = chain.opinions(clip)
        display = cls(**_columns(pictures), opinions=opinions or None, classes=classes)
        options: dict[str, Any] = {"n_columns": n_columns, "n_classes": n_classes}
        return display.plot(**options, cmap=cmap, axes=axes)

    @classmethod
    def from_views(
        cls,
        views: Any,
        *,
        clip: Any = 0,
        source: Any = None,
        n_columns: int = 1,
        cmap: str = "magma",
        axes: Any = None,
    ) -> ViewDisplay:
        """Draw a row of views that are computed.

        Parameters
        ----------
        views : Views, or array-like of shape (n_clips, n_bins, n_frames)
            Views of clips.
        clip : int, default=0
            Which clip is drawn, a row of `views`.
        source : view or ViewUnion, default=None
            What has computed them, for the frequency axes: views themselves know only
            their rates. None numbers the rows.
        n_columns : int, default=1
            Views side by side; 1 draws them below each other.
        cmap : str, default="magma"
            Colours, by default from black to light in even steps of lightness.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each view. ``None`` makes a figure.

        Returns
        -------
        ViewDisplay
            The display, drawn.
        """
        X = (
            views
            if isinstance(views, Views)
            else check_views(_Network(), views, reset=True)
        )
        if not isinstance(clip, Integral) or not 0 <= int(clip) < len(X):
            raise ValueError(
                f"clip must be a number from 0 to {len(X) - 1}, a row of views; got "
                f"{clip!r}."
            )
        known = {}
        if source is not None:
            if not isinstance(source, ViewSource):
                raise TypeError(
                    "source must be a view or a ViewUnion; got "
                    f"{type(source).__name__}."
                )
            known = source._named_views()
            if len(known) == len(X.names) == 1:
                known = dict(zip(X.names, known.values(), strict=True))
        row = X[int(clip)]
        pictures = {
            name: Picture.of(known[name], row[name])
            if name in known
            else Picture(row[name], X.rates[name], rows=_row_word(row[name]))
            for name in X.names
        }
        display = cls(**_columns(pictures))
        return display.plot(n_columns=n_columns, cmap=cmap, axes=axes)

    def plot(
        self,
        *,
        n_columns: Any = 1,
        n_classes: Any = 5,
        cmap: str = "magma",
        axes: Any = None,
    ) -> ViewDisplay:
        """Draw the views, and the opinions below.

        Parameters
        ----------
        n_columns : int, default=1
            Views side by side; 1 draws them below each other.
        n_classes : int, default=5
            How many classes are shown, the likeliest first.
        cmap : str, default="magma"
            Colours, by default from black to light in even steps of lightness.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each view and one for the opinions, if there are any.
            ``None`` makes a figure.

        Returns
        -------
        ViewDisplay
            The display itself.
        """
        for name, n in {"n_columns": n_columns, "n_classes": n_classes}.items():
            if not isinstance(n, Integral) or n < 1:
                raise ValueError(f"{name} must be 1 or more; got {n!r}.")
        pictures, own_figure = self._pictures(), axes is None
        n_columns = min(int(n_columns), len(pictures))
        self._set_axes(axes, n_columns)
        for ax, (name, picture) in zip(self.axes_, pictures.items(), strict=False):
            image = picture.draw(ax, cmap)
            ax.set_title(name, loc="left", fontsize="medium", fontweight="bold")
            if image is not None:
                bar = self.figure_.colorbar(image, ax=ax, aspect=12, pad=0.015)
                bar.set_label(picture.unit)
            else:
                ax.spines[["top", "right"]].set_visible(False)
        if own_figure:
            for ax in self.axes_[: len(pictures) - n_columns]:
                ax.set_xlabel("")
        self._share_time(pictures)
        if self.opinions:
            self._plot_opinions(self.axes_[-1], int(n_classes))
        return self

    def _pictures(self) -> dict[str, Picture]:
        starts, labels = self.starts or {}, self.labels or {}
        known = self.frequencies or {}
        pictures = {}
        for name, values in self.views.items():
            values = np.asarray(values)
            words = labels.get(name, (_row_word(values, known.get(name)), "value"))
            start, rate = starts.get(name, 0.0), self.rates[name]
            picture = Picture(values, rate, known.get(name), start, *words)
            pictures[name] = picture
        return pictures

    def _share_time(self, pictures: dict[str, Picture]) -> None:
        """The same seconds in all panels, from the first to the last of any view."""
        if any(picture.rate is None for picture in pictures.values()):
            return
        drawn = list(zip(self.axes_, pictures.values(), strict=False))
        spans = [p.times[[0, -1]] for _, p in drawn if p.is_waveform]
        spans += [p.edges[0][[0, -1]] for _, p in drawn if not p.is_waveform]
        first = max(0.0, min(start for start, _ in spans))
        last = min(stop for _, stop in spans)
        for ax, _ in drawn:
            ax.set_xlim(first, max(last, first + 1e-9))

    def _plot_opinions(self, ax: Any, n_classes: int) -> None:
        """Probabilities as a table: a row for each branch, a column for each class."""
        assert self.opinions is not None
        table = np.stack(list(self.opinions.values()))
        order = np.argsort(-table[-1], kind="stable")[:n_classes]
        names = self.classes if self.classes is not None else range(table.shape[1])
        shown = table[:, order]
        ax.imshow(shown, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), share in np.ndenumerate(shown):
            color = "white" if share > 0.6 else "black"
            text = {"ha": "center", "va": "center", "fontsize": "small"}
            ax.text(column, row, f"{share:.0%}", color=color, **text)
        ax.set_xticks(
            range(len(order)),
            [short(str(names[i]).replace("_", " "), 18) for i in order],
        )
        ax.set_yticks(range(len(shown)), list(self.opinions))
        ax.tick_params(length=0, labelsize="small")
        ax.spines[:].set_visible(False)
        title = "probabilities by branch" if len(shown) > 1 else "probabilities"
        ax.set_title(title, loc="left", fontsize="medium", fontweight="bold")

    def _set_axes(self, axes: Any, n_columns: int) -> None:
        pyplot = import_optional(
            "matplotlib.pyplot", extra="plot", purpose="ViewDisplay"
        )
        n_views, n_branches = len(self.views), len(self.opinions or ())
        if axes is None:
            n_rows = -(-n_views // n_columns)
            heights = [VIEW_HEIGHT] * n_rows
            if n_branches:
                heights.append(CELL * n_branches + 0.3)
            width = 8.0 if n_columns == 1 else 5.0 * n_columns
            size = (width, sum(heights) + 0.5)
            figure = pyplot.figure(figsize=size, layout="constrained")
            grid = figure.add_gridspec(len(heights), n_columns, height_ratios=heights)
            axes = []
            for i in range(n_views):
                place = grid[divmod(i, n_columns)]
                axes.append(figure.add_subplot(place, sharex=axes[0] if axes else None))
            for ax in axes[:-n_columns]:
                ax.tick_params(labelbottom=False)
            if n_branches:
                axes.append(figure.add_subplot(grid[-1, :]))
        self.axes_ = np.asarray(axes, dtype=object).ravel()
        needed = n_views + bool(n_branches)
        if len(self.axes_) != needed:
            raise ValueError(
                f"axes must be {needed} Axes: one for each of {list(self.views)}"
                f"{' and one for the opinions' if n_branches else ''}; got "
                f"{len(self.axes_)}."
            )
        self.figure_ = self.axes_[0].figure


def _columns(pictures: Mapping[str, Picture]) -> dict[str, Any]:
    """Pictures as a display takes them."""
    items = pictures.items()
    return {
        "views": {name: p.values for name, p in items},
        "rates": {name: p.rate for name, p in items},
        "frequencies": {
            n: p.frequencies for n, p in items if p.frequencies is not None
        },
        "starts": {name: p.start for name, p in items},
        "labels": {name: (p.rows, p.unit) for name, p in items},
    }


def _row_word(values: np.ndarray, frequencies: Any = None) -> str:
    if len(values) == 1:
        return "amplitude"
    return "band" if frequencies is None else "frequency (Hz)"
