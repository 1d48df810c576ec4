"""Feature maps of a clip, and spectrograms of their sound, drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from skaudio._utils._optional import import_optional
from skaudio.inspection._auralization import Auralization, auralize
from skaudio.inspection._deconvolution import deconvolve
from skaudio.inspection._palette import COLORS
from skaudio.nn.frontends import BandSpectrogram, PowerSpectrogram, SpectrumFrontEnd
from skaudio.nn.resynthesis import filters_of

RANGE = 70.0  # decibels that spectrograms show
WINDOW = 0.025  # seconds of spectrograms, where the view has none
N_TICKS = 6  # of bands
BRIGHTEST = 99.9  # per cent of a map that colours tell apart: a few values are huge
IMAGE: dict[str, Any] = {
    "origin": "lower",
    "aspect": "auto",
    "interpolation": "nearest",
}


class DeconvolutionDisplay:
    """A clip, what features of a layer respond to in it, and spectrograms of that.

    One column for each feature: above its map, in the units of the view, white where
    it is zero; below the spectrogram of its sound, beside that of the clip. All
    spectrograms have the same colours, relative to each one's maximum.

    Use :meth:`from_estimator` to make one, or pass what :func:`auralize` gives. A
    notebook and the gallery of a manual show players of the sounds.

    Parameters
    ----------
    auralization : Auralization
        Maps and sounds.
    clip : int, default=0
        Which of its clips to draw.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (1 + 2 * n_features,)
        Axes of the clip, of the maps, and of the spectrograms of their sounds.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    deconvolve : The maps.
    auralize : Their sounds.

    References
    ----------
    Choi, Kim, Fazekas and Sandler, "Auralisation of deep convolutional neural networks:
    listening to learned features", ISMIR 2015, late-breaking session.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.inspection import DeconvolutionDisplay
    >>> from skaudio.neural_network import SpectrogramCNNClassifier
    >>> from skaudio.views import STFTView
    >>> X, y = make_sounds(n_clips=8, n_classes=2, sr=8000, random_state=0)
    >>> view = STFTView(sr=8000, n_fft=256)
    >>> cnn = SpectrogramCNNClassifier(
    ...     views=view, width=0.1, max_epochs=1, random_state=0
    ... )
    >>> display = DeconvolutionDisplay.from_estimator(cnn.fit(X, y), X[:1], layer=2)
    >>> display.axes_.shape
    (9,)
    >>> plt.show()
    """

    def __init__(self, *, auralization: Auralization, clip: int = 0) -> None:
        self.auralization = auralization
        self.clip = clip

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        layer: int | str | None = None,
        feature: int | Sequence[int] | None = None,
        n_features: int = 4,
        method: str = "mask",
        bias: bool = True,
        axes: Any = None,
    ) -> DeconvolutionDisplay:
        """Follow features of the first clip back to it, and draw them.

        Parameters
        ----------
        estimator : classifier or Pipeline
            Fitted; see :func:`auralize`.
        X : array of shape (n_clips, n_samples), or list of waveforms or paths
            Clips, of which the first is drawn.
        layer : int, str or None, default=None
            Which layer; see :func:`deconvolve`. None is the highest that has maps.
        feature : int, list of int or None, default=None
            Which features of the layer. None are those whose maps are largest in the
            clip.
        n_features : int, default=4
            How many these are.
        method : {"mask", "phase"}, default="mask"
            How maps become sound; see :func:`auralize`.
        bias : bool, default=True
            Whether convolutions add their biases in the forward pass.
        axes : sequence of matplotlib Axes, default=None
            Where to draw; see :meth:`plot`. ``None`` makes a figure.

        Returns
        -------
        DeconvolutionDisplay
            The display, drawn.
        """
        X = X.iloc[:1] if hasattr(X, "iloc") else X[:1]
        if feature is None:
            if n_features < 1:
                raise ValueError(f"n_features must be 1 or more; got {n_features}.")
            (maps,) = deconvolve(estimator, X, layer, bias=bias)
            size = np.abs(maps).sum((1, 2))
            feature = [int(i) for i in np.argsort(-size, kind="stable")[:n_features]]
        found = auralize(estimator, X, layer, feature, method=method, bias=bias)
        return cls(auralization=found).plot(axes=axes)

    def plot(
        self, *, axes: Any = None, cmap: str = "magma", map_cmap: str = "RdBu_r"
    ) -> DeconvolutionDisplay:
        """Draw the clip, maps and sounds.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Where to draw: one for the clip, one for each map, then one for each sound.
            ``None`` makes a figure.
        cmap : str, default="magma"
            Colours of spectrograms.
        map_cmap : str, default="RdBu_r"
            Colours of maps, from below zero to above.

        Returns
        -------
        DeconvolutionDisplay
            The display itself.
        """
        found = self.auralization
        if not 0 <= self.clip < len(found.sources):
            raise ValueError(
                f"clip must be a number from 0 to {len(found.sources) - 1}; got "
                f"{self.clip!r}."
            )
        n = len(found.features)
        self._set_axes(axes, n)
        source, maps, sounds = self.axes_[0], self.axes_[1 : n + 1], self.axes_[n + 1 :]
        self._draw_spectrogram(source, found.sources[self.clip], cmap)
        source.set_title("clip", loc="left")
        source.set(xlabel="time (s)", ylabel="frequency (Hz)")
        for i, feature in enumerate(found.features):
            self._draw_map(maps[i], found.maps[self.clip][i], map_cmap)
            maps[i].set_title(f"feature {feature}", loc="left")
            self._draw_spectrogram(sounds[i], found.sounds[self.clip][i], cmap)
            sounds[i].set_xlabel("time (s)")
        maps[0].set_ylabel(self._map_label())
        return self

    def to_html(self) -> str:
        """Write a table of players: the clip, and its features.

        Returns
        -------
        table : str
            A ``<table>`` to put into a page.
        """
        return self._table().to_html()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a page with players of the clip and its features, for any browser.

        Parameters
        ----------
        path : str or path-like
            File to write, by convention ending in ``.html``.
        """
        self._table().save(path)

    def _repr_html_(self) -> str:
        return self.to_html()

    def _table(self) -> Any:
        return self.auralization.to_table(clips=[self.clip])

    # -- drawing --------------------------------------------------------------------
    def _set_axes(self, axes: Any, n_features: int) -> None:
        pyplot = import_optional(
            "matplotlib.pyplot", extra="plot", purpose="DeconvolutionDisplay"
        )
        if axes is None:
            n_columns = n_features + 1
            _, grid = pyplot.subplots(
                *(2, n_columns),
                figsize=(2.4 * n_columns + 0.6, 4.6),
                layout="constrained",
                squeeze=False,
            )
            grid[0, 0].remove()  # nothing above the clip
            axes = [grid[1, 0], *grid[0, 1:], *grid[1, 1:]]
        self.axes_ = np.asarray(axes, dtype=object).ravel()
        if len(self.axes_) != 1 + 2 * n_features:
            raise ValueError(
                f"axes must be {1 + 2 * n_features} Axes: one for the clip and two for "
                f"each feature; got {len(self.axes_)}."
            )
        self.figure_ = self.axes_[0].figure

    @property
    def _front_end(self) -> Any:
        return self.auralization.view._front_end("float64", "cpu")

    def _draw_spectrogram(self, ax: Any, sound: np.ndarray, cmap: str) -> None:
        sr, front_end = self.auralization.sr, self._front_end
        if isinstance(front_end, SpectrumFrontEnd):
            spectrogram = front_end.spectrogram
        else:
            n_fft = max(2, 2 * round(WINDOW * sr / 2))
            spectrogram = PowerSpectrogram(
                n_fft=n_fft,
                win_length=n_fft,
                hop_length=n_fft // 2,
                dtype=torch.float64,
            )
        power = spectrogram(torch.as_tensor(sound, dtype=torch.float64)).numpy()
        floor = max(power.max(), 1e-30) * 10 ** (-RANGE / 10)
        decibels = 10 * np.log10(np.maximum(power, floor) / floor) - RANGE
        ax.imshow(
            decibels,
            extent=(0, len(sound) / sr, 0, sr / 2),
            vmin=-RANGE,
            vmax=0,
            cmap=cmap,
            **IMAGE,
        )

    def _draw_map(self, ax: Any, values: np.ndarray, cmap: str) -> None:
        found = self.auralization
        seconds = len(found.sources[self.clip]) / found.sr
        if len(values) == 1:  # a waveform
            times = np.arange(values.shape[1]) / found.sr
            ax.plot(times, values[0], lw=0.5, color=COLORS[0])
            ax.set_xlim(0, seconds)
            return
        limit = np.percentile(np.abs(values), BRIGHTEST) or np.abs(values).max() or 1.0
        limits = {"vmin": -limit, "vmax": limit, "cmap": cmap}
        if isinstance(self._front_end, BandSpectrogram):
            ax.imshow(values, extent=(0, seconds, 0, len(values)), **limits, **IMAGE)
            filters = filters_of(self._front_end).numpy()
            bins = np.linspace(0, found.sr / 2, filters.shape[1])
            weights = np.maximum(filters.sum(1), np.finfo(float).tiny)
            centres = filters @ bins / weights
            shown = np.linspace(0, len(values) - 1, min(N_TICKS, len(values)))
            shown = shown.round().astype(int)
            ax.set_yticks(shown + 0.5, [f"{centres[band]:.0f}" for band in shown])
            return
        ax.imshow(values, extent=(0, seconds, 0, found.sr / 2), **limits, **IMAGE)

    def _map_label(self) -> str:
        if self.auralization.maps[self.clip].shape[1] == 1:
            return "map"
        is_band = isinstance(self._front_end, BandSpectrogram)
        return "centre of band (Hz)" if is_band else "frequency (Hz)"
