"""What a network decides by, drawn over the views of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from skaudio._utils._optional import import_optional
from skaudio.inspection._clip_views import Chain
from skaudio.inspection._saliency import GRAD_CAM, saliency
from skaudio.inspection._view_axes import Picture
from skaudio.inspection._view_display import _columns

BRIGHTEST = 99.5  # per cent of a map's values that are below its last colour
STRIPES = 400  # of a map over a waveform
GREY = "#707070"  # of waveforms
OPAQUE = 0.75  # where a map is largest
COLOR = "#D55E00"  # of Okabe and Ito, far from grey with any colour vision


class SaliencyDisplay:
    """What in the views of a clip a decision depends on, over the views in grey.

    Time is in seconds and frequency in Hz, as in `ViewDisplay`. The stronger the
    colour, the larger the map is there, as a share of the largest values of the same
    view; gradients are drawn by their size. Views are in units of their own, so that
    colours do not say which view weighs more: `ViewDisplay` shows what each one says.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    views : dict of str to ndarray of shape (n_bins, n_frames)
        Values of every view as they are drawn, by name; a single row is a waveform.
    maps : dict of str to ndarray of shape (n_bins, n_frames)
        Map over every view, by the same names.
    rates : dict of str to float or None
        Frames per second of every view; None numbers the frames.
    frequencies : dict of str to ndarray of shape (n_bins,), default=None
        Centre frequency of every row in Hz, by name of the view.
    starts : dict of str to float, default=None
        Seconds from the beginning of the clip to the middle of the first frame.
    labels : dict of str to tuple of two str, default=None
        What rows and values of a view are.
    title : str, default=""
        What the maps are of, such as the class.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Axes, one for each view.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    saliency : Computes the maps.
    ViewDisplay : Views by themselves.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.inspection import SaliencyDisplay
    >>> from skaudio.neural_network import CRNNClassifier
    >>> from skaudio.views import MelView
    >>> X, y = make_sounds(n_clips=8, n_classes=2, sr=8000, random_state=0)
    >>> mel = MelView(sr=8000, n_mels=16)
    >>> crnn = CRNNClassifier(views=mel, width=0.05, max_epochs=1, random_state=0)
    >>> display = SaliencyDisplay.from_estimator(
    ...     crnn.fit(X, y), X[0], target="harmonic"
    ... )
    >>> display.axes_[0].get_title(loc="left"), display.maps["mel"].shape
    ('mel: harmonic', (16, 51))
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        views: Mapping[str, np.ndarray],
        maps: Mapping[str, np.ndarray],
        rates: Mapping[str, float | None],
        frequencies: Mapping[str, np.ndarray] | None = None,
        starts: Mapping[str, float] | None = None,
        labels: Mapping[str, tuple[str, str]] | None = None,
        title: str = "",
    ) -> None:
        self.views = views
        self.maps = maps
        self.rates = rates
        self.frequencies = frequencies
        self.starts = starts
        self.labels = labels
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        clip: Any,
        *,
        target: Any = None,
        method: str = GRAD_CAM,
        layer: Any = None,
        color: str = COLOR,
        axes: Any = None,
    ) -> SaliencyDisplay:
        """Compute views and maps of one clip and draw them.

        Parameters
        ----------
        estimator : classifier, Pipeline, search or meta-estimator
            Fitted neural classifier with ``views=``, or what holds one; or a Pipeline
            with a view or union in it that ends in one.
        clip : path, or ndarray of shape (n_samples,) or (n_channels, n_samples)
            One clip, as a row of X: an array is taken to be at the rate of the views.
        target : label or None, default=None
            Class, or number of a tag; None is the class that is predicted.
        method : {"grad-cam", "gradient"}, default="grad-cam"
            Which maps, see `saliency`.
        layer : int, str, list of these or None, default=None
            Convolutional layer of "grad-cam", see `saliency`.
        color : str, default="#D55E00"
            Colour of the maps, vermilion by default; where a map is zero it is clear.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each view that has a map. ``None`` makes a figure.

        Returns
        -------
        SaliencyDisplay
            The display, drawn.
        """
        chain = Chain.of(estimator)
        pictures = chain.pictures(clip)
        found = saliency(estimator, [clip], target=target, method=method, layer=layer)
        if isinstance(found, np.ndarray):
            (name,) = pictures
            maps = {name: found[0]}
        else:
            maps = found[0]
        shown = {name: pictures[name] for name in maps}
        if target is None:
            opinions, classes = chain.opinions(clip)
            target = classes[int(np.argmax([*opinions.values()][-1]))]
        display = cls(**_columns(shown), maps=maps, title=str(target))
        return display.plot(color=color, axes=axes)

    def plot(self, *, color: str = COLOR, axes: Any = None) -> SaliencyDisplay:
        """Draw the views, and the maps over them.

        Parameters
        ----------
        color : str, default="#D55E00"
            Colour of the maps, vermilion by default; where a map is zero it is clear.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each view. ``None`` makes a figure.

        Returns
        -------
        SaliencyDisplay
            The display itself.
        """
        own_figure = axes is None
        self._set_axes(axes)
        sizes = {name: np.abs(np.asarray(values)) for name, values in self.maps.items()}
        colors = self._colors(color)
        for ax, name in zip(self.axes_, self.views, strict=True):
            drawn = self._draw(ax, name, sizes[name], colors)
            text = f"{name}: {self.title}" if self.title else name
            ax.set_title(text, loc="left", fontsize="medium", fontweight="bold")
        if own_figure:
            for ax in self.axes_[:-1]:
                ax.set_xlabel("")
            bar = self.figure_.colorbar(
                drawn, ax=list(self.axes_), aspect=20 * len(self.axes_), pad=0.015
            )
            bar.set_label("weight in the decision")
            bar.set_ticks([0, 1], labels=["none", "largest"])
        return self

    def _draw(self, ax: Any, name: str, size: np.ndarray, colors: Any) -> Any:
        """A view in grey, and a map over it."""
        top = float(np.percentile(size, BRIGHTEST) or size.max()) or 1.0
        picture = self._picture(name)
        columns, rows = picture.edges
        if picture.is_waveform:
            picture.draw(ax, color=GREY)
            rows = np.array(ax.get_ylim())
            starts = np.unique(np.linspace(0, size.shape[1], STRIPES + 1).astype(int))
            size = np.maximum.reduceat(size, starts[:-1], axis=1)
            columns = columns[starts]
        else:
            picture.draw(ax, "gray")
        image = ax.pcolormesh(
            columns,
            rows,
            size / top,
            cmap=colors,
            vmin=0,
            vmax=1,
            zorder=3,
        )
        image.set_rasterized(True)
        ax.set_xlim(max(0.0, columns[0]), columns[-1])
        ax.set_ylim(rows[0], rows[-1])
        return image

    @staticmethod
    def _colors(color: str) -> Any:
        """From clear to a colour through which the view is still seen."""
        colors = import_optional(
            "matplotlib.colors", extra="plot", purpose="SaliencyDisplay"
        )
        rgb = colors.to_rgb(color)
        ends = [(*rgb, 0.0), (*rgb, OPAQUE)]
        return colors.LinearSegmentedColormap.from_list("saliency", ends)

    def _picture(self, name: str) -> Picture:
        values = np.asarray(self.views[name])
        known = (self.frequencies or {}).get(name)
        start = (self.starts or {}).get(name, 0.0)
        picture = Picture(values, self.rates[name], known, start)
        words = (self.labels or {}).get(name)
        return picture if words is None else replace(picture, rows=words[0])

    def _set_axes(self, axes: Any) -> None:
        pyplot = import_optional(
            "matplotlib.pyplot", extra="plot", purpose="SaliencyDisplay"
        )
        n = len(self.views)
        if axes is None:
            _, axes = pyplot.subplots(
                n, 1, figsize=(8, 2.3 * n + 0.4), sharex=True, layout="constrained"
            )
        self.axes_ = np.asarray(axes, dtype=object).ravel()
        if len(self.axes_) != n:
            raise ValueError(
                f"axes must be {n} Axes, one for each of {list(self.views)}; got "
                f"{len(self.axes_)}."
            )
        self.figure_ = self.axes_[0].figure
