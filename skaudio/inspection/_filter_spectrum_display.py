"""Spectra of what filters of waveform networks respond to, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, get_window, sosfilt

from skaudio._utils._optional import import_optional
from skaudio.inspection._activation_maximization import (
    activation_maximization,
    waveform_network,
)
from skaudio.inspection._palette import COLORS

FRAMES = ("whole", "start")
DARKEST = 40  # per cent of a picture's values that are black
LOWPASS, LOWPASS_ORDER = 5000.0, 6  # of waveform pictures, in Hz: the authors' code


class FilterSpectrumDisplay:
    """Spectra of the filters of waveform networks, sorted by frequency.

    For every filter of a layer, `activation_maximization` finds a waveform that it
    responds to. Each panel shows the spectra of one layer, a column per filter, in
    the order of their peaks: a curve that rises straight is a filter bank with even
    spacing, one that rises late has most filters at low frequencies, as on the mel
    scale. Several networks, such as one per sampling rate, make a row of panels each.

    Use :meth:`from_estimator` or :meth:`from_estimators` to make one.

    Parameters
    ----------
    waveforms : list of ndarray of shape (n_filters, n_samples)
        What filters respond to, for every panel: the layers of the first network, then
        those of the next. Filters are sorted by the peaks of their spectra.
    spectra : list of ndarray of shape (n_filters, n_bins)
        ``log10(1 + 10 |X|^2)`` of the waveforms' Fourier transforms X, with as many
        bins as half the samples and one.
    peak_frequencies : list of ndarray of shape (n_filters,)
        Frequency in Hz of the largest bin of each spectrum, ascending.
    order : list of ndarray of shape (n_filters,)
        Number of each filter in its layer, from 0.
    sr : list of float
        Sampling rate of every network in Hz.
    layers : list of int or str
        Layers of every network, by number or name as they were asked for.
    labels : list of str
        Name of every network, which the rows of panels show.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Axes of the last drawing, one for each panel in the same order.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    activation_maximization : Finds the waveforms.

    References
    ----------
    Lee et al., "SampleCNN: End-to-End Deep Convolutional Neural Networks Using Very
    Small Filters for Music Classification", Applied Sciences 8(1):150, 2018,
    Section 7.1, Figures 2 to 4.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skaudio.inspection import FilterSpectrumDisplay
    >>> from skaudio.nn import SampleCNN
    >>> network = SampleCNN(5, width=0.05)
    >>> display = FilterSpectrumDisplay.from_estimator(
    ...     network, layers=(0, 1), sr=8000, random_state=0
    ... )
    >>> [peaks.shape for peaks in display.peak_frequencies], display.spectra[0].shape
    ([(6,), (6,)], (6, 365))
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        waveforms: Sequence[np.ndarray],
        spectra: Sequence[np.ndarray],
        peak_frequencies: Sequence[np.ndarray],
        order: Sequence[np.ndarray],
        sr: Sequence[float],
        layers: Sequence[int | str],
        labels: Sequence[str],
    ) -> None:
        self.waveforms = waveforms
        self.spectra = spectra
        self.peak_frequencies = peak_frequencies
        self.order = order
        self.sr = sr
        self.layers = layers
        self.labels = labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        layers: Sequence[int | str] = (0, 1, 2, 3, 4, 5),
        sr: float | None = None,
        n_samples: int = 729,
        n_steps: int = 18,
        batch_norm: str = "batch",
        frame: str = "whole",
        random_state: Any = None,
        axes: Any = None,
    ) -> FilterSpectrumDisplay:
        """Plot the filters of one network, as in Figure 3.

        Parameters
        ----------
        estimator : classifier, Pipeline or Module
            Fitted `SampleCNNClassifier`, or a `FrameLevelCNNClassifier` on waveforms; a
            pipeline that ends in one; or a torch module `skaudio.nn.SampleCNN` or
            `skaudio.nn.FrameLevelCNN`.
        layers : sequence of int or str, default=(0, 1, 2, 3, 4, 5)
            Which convolutions, from 0 at the bottom; see `activation_maximization`. The
            default are the paper's layers 1 to 6, all that 729 samples reach. At full
            width they take half a minute on a CPU.
        sr : float or None, default=None
            Sampling rate in Hz; None is that of the estimator. A module has none.
        n_samples : int, default=729
            Length of the waveforms; bins of the spectra are ``sr / n_samples`` apart.
        n_steps : int, default=18
            Steps of the gradient ascent.
        batch_norm : {"batch", "running"}, default="batch"
            Statistics of batch normalisation, see `activation_maximization`.
        frame : {"whole", "start"}, default="whole"
            Which part of a waveform is transformed. "whole" is all of it under one Hann
            window. "start" is what the authors' code transforms, a frame around the
            first sample, which covers the first half and its mirror image; where a wave
            starts at zero, the mirror takes its peak apart into two, so that it is not
            the default.
        random_state : int, RandomState instance or None, default=None
            Seed of the noise that the ascent starts from.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each layer. ``None`` makes a figure.

        Returns
        -------
        FilterSpectrumDisplay
            The display, drawn.
        """
        return cls._from_networks(
            {"": estimator},
            [sr],
            axes,
            layers=layers,
            frame=frame,
            n_samples=n_samples,
            n_steps=n_steps,
            batch_norm=batch_norm,
            random_state=random_state,
        )

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        *,
        layers: Sequence[int | str] = (0, 1, 2, 3),
        sr: Mapping[str, float] | None = None,
        n_samples: int = 729,
        n_steps: int = 18,
        batch_norm: str = "batch",
        frame: str = "whole",
        random_state: Any = None,
        axes: Any = None,
    ) -> FilterSpectrumDisplay:
        """Plot the filters of several networks, a row each, as in Figure 4.

        Parameters
        ----------
        estimators : dict of str to estimator
            Names and networks, each one as in `from_estimator`.
        layers : sequence of int or str, default=(0, 1, 2, 3)
            Which convolutions, from 0 at the bottom; see `activation_maximization`. The
            default are the paper's layers 1 to 4: at any published sampling rate, these
            have filters of 3.
        sr : dict of str to float or None, default=None
            Sampling rates in Hz by name; None are those of the estimators.
        n_samples : int, default=729
            Length of the waveforms; bins of the spectra are ``sr / n_samples`` apart.
        n_steps : int, default=18
            Steps of the gradient ascent.
        batch_norm : {"batch", "running"}, default="batch"
            Statistics of batch normalisation, see `activation_maximization`.
        frame : {"whole", "start"}, default="whole"
            Which part of a waveform is transformed, see `from_estimator`.
        random_state : int, RandomState instance or None, default=None
            Seed of the noise that the ascent starts from.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each network and layer. ``None`` makes a figure.

        Returns
        -------
        FilterSpectrumDisplay
            The display, drawn.
        """
        return cls._from_networks(
            estimators,
            [(sr or {}).get(name) for name in estimators],
            axes,
            layers=layers,
            frame=frame,
            n_samples=n_samples,
            n_steps=n_steps,
            batch_norm=batch_norm,
            random_state=random_state,
        )

    @classmethod
    def _from_networks(
        cls,
        estimators: Mapping[str, Any],
        rates: Sequence[float | None],
        axes: Any,
        *,
        layers: Sequence[int | str],
        frame: str,
        **ascent: Any,
    ) -> FilterSpectrumDisplay:
        if frame not in FRAMES:
            raise ValueError(f"frame must be one of {FRAMES}; got {frame!r}.")
        if not estimators or not len(layers):
            raise ValueError("There must be at least one estimator and one layer.")
        known = [
            _rate(estimator, sr)
            for estimator, sr in zip(estimators.values(), rates, strict=True)
        ]
        columns: dict[str, list[np.ndarray]] = {
            name: [] for name in ("waveforms", "spectra", "peak_frequencies", "order")
        }
        for estimator, sr in zip(estimators.values(), known, strict=True):
            for layer in layers:
                waveforms = activation_maximization(estimator, layer, **ascent)
                panel = _sorted_by_peak(waveforms, sr, frame)
                for name, value in panel.items():
                    columns[name].append(value)
        labels = [str(name) for name in estimators]
        return cls(**columns, sr=known, layers=list(layers), labels=labels).plot(
            axes=axes
        )

    def plot(
        self, *, smoothing: Any = 9, axes: Any = None, cmap: str = "magma"
    ) -> FilterSpectrumDisplay:
        """Draw an image for every panel, frequency upwards and filters to the right.

        Colours are the response of filters on a logarithmic scale,
        ``log10(1 + 10 |X|^2)``, from black at its 40th percentile upwards: the ascent
        starts from noise, of which something is left in every spectrum.

        Parameters
        ----------
        smoothing : int, default=9
            Bins of a running mean of ``|X|^2``, which takes noise away, so that the
            first picture of a network shows where its filters lie; 111 Hz at 9 kHz
            with 729 samples. 1 draws spectra as they are, as the paper does.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each panel. ``None`` makes a figure.
        cmap : str, default="magma"
            Colours, by default from black to light in even steps of lightness. All
            panels have the same.

        Returns
        -------
        FilterSpectrumDisplay
            The display itself.
        """
        if not isinstance(smoothing, Integral) or smoothing < 1:
            raise ValueError(
                f"smoothing must be a number of bins, 1 or more; got {smoothing!r}."
            )
        own_figure = axes is None
        self._set_axes(axes, height=2.4)
        spectra = [_smoothed(spectrum, int(smoothing)) for spectrum in self.spectra]
        values = np.concatenate([spectrum.ravel() for spectrum in spectra])
        lowest, highest = float(np.percentile(values, DARKEST)), float(values.max())
        for i, ax in enumerate(self.axes_):
            spectrum, sr = spectra[i], self._sr_of(i)
            n_filters, n_bins = spectrum.shape
            spacing = sr / self.waveforms[i].shape[1]
            image = ax.imshow(
                spectrum.T,
                origin="lower",
                aspect="auto",
                cmap=cmap,
                vmin=lowest,
                vmax=highest,
                extent=(-0.5, n_filters - 0.5, -spacing / 2, (n_bins - 0.5) * spacing),
            )
            ax.set_ylim(0, sr / 2)
            self._label(i, "filter, sorted", "frequency (Hz)")
        if own_figure:
            bar = self.figure_.colorbar(
                image, ax=list(self.axes_), aspect=30, pad=0.01, extend="min"
            )
            bar.set_label("response (log scale)")
        return self

    def plot_waveforms(
        self, *, n_filters: int = 6, axes: Any = None
    ) -> FilterSpectrumDisplay:
        """Draw waveforms of some filters, as in Figure 2.

        Parameters
        ----------
        n_filters : int, default=6
            Waveforms in a panel, spread evenly over the filters sorted by frequency,
            the lowest at the bottom. Each is scaled to the same height, and where the
            rate is above 10 kHz cleared of frequencies over 5 kHz by a Butterworth
            filter of order 6, as in the authors' code.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each panel. ``None`` makes a figure.

        Returns
        -------
        FilterSpectrumDisplay
            The display itself.
        """
        self._set_axes(axes, height=2.4 + 0.1 * n_filters)
        for i, ax in enumerate(self.axes_):
            sr, waveforms = self._sr_of(i), self.waveforms[i]
            n_shown = min(n_filters, len(waveforms))
            shown = np.linspace(0, len(waveforms) - 1, n_shown).round().astype(int)
            time = np.arange(waveforms.shape[1]) / sr * 1000
            for height, row in enumerate(shown):
                wave = _without_treble(waveforms[row], sr)
                wave = height + 0.45 * wave / (np.abs(wave).max() or 1.0)
                ax.plot(time, wave, lw=0.6, color=COLORS[0])
            ax.set_yticks(
                range(n_shown),
                [f"{peak:.0f}" for peak in self.peak_frequencies[i][shown]],
            )
            ax.margins(x=0)
            ax.spines[["top", "right"]].set_visible(False)
            self._label(i, "time (ms)", "peak frequency (Hz)")
        return self

    def _set_axes(self, axes: Any, height: float) -> None:
        pyplot = import_optional(
            "matplotlib.pyplot", extra="plot", purpose="FilterSpectrumDisplay"
        )
        n_panels = len(self.spectra)
        if axes is None:
            n_columns = self._n_columns()
            n_rows = -(-n_panels // n_columns)
            _, grid = pyplot.subplots(
                n_rows,
                n_columns,
                figsize=(2.6 * n_columns + 1, height * n_rows + 0.3),
                layout="constrained",
                squeeze=False,
            )
            for unused in grid.ravel()[n_panels:]:
                unused.remove()
            axes = grid.ravel()[:n_panels]
        self.axes_ = np.asarray(axes, dtype=object).ravel()
        if len(self.axes_) != n_panels:
            raise ValueError(f"axes must be {n_panels} Axes; got {len(self.axes_)}.")
        self.figure_ = self.axes_[0].figure

    def _n_columns(self) -> int:
        """A row for each network; a single one may have two rows."""
        n_layers = len(self.layers)
        return -(-n_layers // 2) if len(self.labels) == 1 and n_layers > 4 else n_layers

    def _sr_of(self, panel: int) -> float:
        return self.sr[panel // len(self.layers)]

    def _label(self, panel: int, xlabel: str, ylabel: str) -> None:
        """Titles name layers; labels stand at the left and at the bottom only."""
        row, column = divmod(panel, len(self.layers))
        ax, n_columns = self.axes_[panel], self._n_columns()
        layer = self.layers[column]
        title = layer if isinstance(layer, str) else f"Layer {layer}"
        ax.set_title(title, loc="left", fontsize="medium", fontweight="bold")
        if panel + n_columns >= len(self.axes_):
            ax.set_xlabel(xlabel)
        if panel % n_columns == 0:
            label = self.labels[row]
            ax.set_ylabel(f"{label}\n{ylabel}" if label else ylabel)


def _rate(estimator: Any, sr: float | None) -> float:
    _, own = waveform_network(estimator)
    if sr is None and own is None:
        raise ValueError(
            f"{type(estimator).__name__} does not have a sampling rate: pass sr in "
            "Hz to get a frequency axis."
        )
    return float(own if sr is None else sr)  # type: ignore[arg-type]


def _sorted_by_peak(
    waveforms: np.ndarray, sr: float, frame: str
) -> dict[str, np.ndarray]:
    spectra = _spectra(waveforms, frame)
    peaks = spectra.argmax(axis=1)
    order = np.argsort(peaks, kind="stable")
    return {
        "waveforms": waveforms[order],
        "spectra": spectra[order],
        "peak_frequencies": peaks[order] * sr / waveforms.shape[1],
        "order": order,
    }


def _spectra(waveforms: np.ndarray, frame: str) -> np.ndarray:
    """Spectra (filters, bins) of one Hann frame, as long as the waveforms."""
    n_samples = waveforms.shape[1]
    if frame == "start":
        half = n_samples // 2
        padded = np.pad(waveforms, ((0, 0), (half, half)), mode="reflect")
        waveforms = padded[:, :n_samples]
    amplitude = np.abs(np.fft.rfft(waveforms * get_window("hann", n_samples)))
    return np.log10(1 + 10 * amplitude**2)


def _smoothed(spectra: np.ndarray, n_bins: int) -> np.ndarray:
    """Running means of powers over neighbouring bins, on the scale of the spectra."""
    if n_bins == 1:
        return spectra
    powers = (10**spectra - 1) / 10
    means = uniform_filter1d(powers, n_bins, axis=1, mode="nearest")
    return np.log10(1 + 10 * means)


def _without_treble(waveform: np.ndarray, sr: float) -> np.ndarray:
    if sr <= 2 * LOWPASS:
        return waveform
    return sosfilt(butter(LOWPASS_ORDER, LOWPASS, fs=sr, output="sos"), waveform)
