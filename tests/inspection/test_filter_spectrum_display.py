"""FilterSpectrumDisplay shows known filters where they are."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import librosa
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import signal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skaudio.embedding import save_weights
from skaudio.inspection import FilterSpectrumDisplay, activation_maximization
from skaudio.neural_network import (
    FrameLevelCNNClassifier,
    PretrainedClassifier,
    SampleCNNClassifier,
)
from skaudio.nn import FrameLevelCNN, SampleCNN
from skaudio.views import RawView, ViewUnion

SR = 8000
HOP, N_TAPS = 81, 243
CENTRES = np.array([3400.0, 300.0, 1500.0, 700.0, 2500.0, 1100.0])


@pytest.fixture(autouse=True)
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def band_passes(centres):
    """FIR filters of 200 Hz around the centres."""
    return np.stack(
        [
            signal.firwin(N_TAPS, [f - 100, f + 100], pass_zero=False, fs=SR)
            for f in centres
        ]
    )


def network(kernels):
    """A network whose first convolution has these filters."""
    n_filters, n_taps = kernels.shape
    with torch.random.fork_rng(devices=[]):
        net = FrameLevelCNN(
            1, 2, n_modules=1, win_length=n_taps, hop_length=HOP, width=n_filters / 128
        )
    conv = net.blocks[0].conv
    conv.weight.data[:, 0] = torch.tensor(kernels, dtype=torch.float32)
    return net


def small(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SampleCNN(2, **{"sizes": (3,) * 5, "width": 0.06} | options)


def display_of(net, **options):
    options = {"sr": SR, "layers": (0,), "random_state": 0} | options
    return FilterSpectrumDisplay.from_estimator(net, **options)


@pytest.mark.parametrize("batch_norm", ["batch", "running"])
def test_spectra_peak_where_the_filters_pass(batch_norm):
    kernels = band_passes(CENTRES)
    response = np.abs(np.fft.rfft(kernels, 8192))
    peaks = response.argmax(axis=1) * SR / 8192
    assert_allclose(peaks, CENTRES, atol=100)  # the filters do what they should
    display = display_of(network(kernels), batch_norm=batch_norm)
    (found,), (order,) = display.peak_frequencies, display.order
    # the frames of an ascent lie a hop apart, and add up at multiples of its rate only
    assert_allclose(found, CENTRES[order], atol=SR / HOP)
    assert_array_equal(order, CENTRES.argsort())
    assert (np.diff(found) > 0).all()


def test_sorting_undoes_a_shuffle():
    kernels = band_passes(np.sort(CENTRES))
    shuffle = np.random.default_rng(0).permutation(len(kernels))
    for rows in (np.arange(len(kernels)), shuffle):
        display = display_of(network(kernels[rows]))
        assert_array_equal(rows[display.order[0]], np.arange(len(kernels)))


def test_arrays_belong_together():
    net = small()
    display = display_of(net, layers=(2, 0), n_samples=243)
    assert display.layers == [2, 0]
    assert display.sr == [SR]
    for i, layer in enumerate(display.layers):
        waveforms = activation_maximization(net, layer, n_samples=243, random_state=0)
        order = display.order[i]
        assert_array_equal(np.sort(order), np.arange(len(waveforms)))
        assert_allclose(display.waveforms[i], waveforms[order], atol=1e-4)
        window = signal.get_window("hann", 243)
        power = np.abs(np.fft.rfft(display.waveforms[i] * window)) ** 2
        assert_allclose(display.spectra[i], np.log10(1 + 10 * power), atol=1e-4)
        peaks = np.fft.rfftfreq(243, 1 / SR)[power.argmax(axis=1)]
        assert_allclose(display.peak_frequencies[i], peaks)
        assert (np.diff(peaks) >= 0).all()


def test_frame_at_the_start_is_librosas():
    display = display_of(small(), frame="start")
    wave = display.waveforms[0][3]
    (column,) = np.abs(
        librosa.stft(wave, n_fft=729, hop_length=729, pad_mode="reflect")
    ).T
    expected = np.log10(1 + 10 * column**2)
    assert_allclose(display.spectra[0][3], expected, rtol=1e-4)
    assert display.spectra[0].shape == (len(display.waveforms[0]), 365)


def test_frame_at_the_start_splits_the_peak_of_a_sine(monkeypatch):
    """Why it is not the default."""
    step = SR / 729
    waves = np.sin(2 * np.pi * 100 * step * np.arange(729) / SR)[None]
    monkeypatch.setattr(
        "skaudio.inspection._filter_spectrum_display.activation_maximization",
        lambda *_args, **_options: waves,
    )
    whole, start = (display_of(small(), frame=frame) for frame in ("whole", "start"))
    assert_allclose(whole.peak_frequencies[0], 100 * step)
    assert abs(start.peak_frequencies[0][0] - 100 * step) > 0.9 * step
    assert start.spectra[0][0, 100] < start.spectra[0][0].max() - 0.5


# ------------------------------------------------------------------------ drawings


def test_images_show_frequency_upwards():
    display = display_of(small(), layers=(0, 1, "blocks.2")).plot(smoothing=1)
    assert [ax.get_title(loc="left") for ax in display.axes_] == [
        "Layer 0",
        "Layer 1",
        "blocks.2",
    ]
    for ax, spectra in zip(display.axes_, display.spectra, strict=True):
        (image,) = ax.get_images()
        assert_array_equal(image.get_array(), spectra.T)
        left, right, bottom, top = image.get_extent()
        assert (left, right) == (-0.5, len(spectra) - 0.5)
        bins = np.linspace(bottom, top, 2 * 365 + 1)[1::2]  # the middles of pixels
        assert_allclose(bins, np.fft.rfftfreq(729, 1 / SR), atol=1e-9)
        assert image.origin == "lower"
        assert ax.get_ylim() == (0, SR / 2)
    clims = {image.get_clim() for ax in display.axes_ for image in ax.get_images()}
    assert len(clims) == 1


def test_the_first_picture_is_smoothed_and_its_colours_are_named():
    display = display_of(small())
    (image,) = display.axes_[0].get_images()
    powers = (10 ** display.spectra[0] - 1) / 10
    means = np.array([powers[:, i - 4 : i + 5].mean(1) for i in range(4, 361)])
    assert_allclose(image.get_array()[4:361], np.log10(1 + 10 * means), rtol=1e-9)
    drawn = [np.asarray(ax.get_images()[0].get_array()) for ax in display.axes_]
    every = np.concatenate([values.ravel() for values in drawn])
    assert image.get_clim()[0] == pytest.approx(np.percentile(every, 40))
    assert display.figure_.axes[-1].get_ylabel() == "response (log scale)"
    with pytest.raises(ValueError, match="smoothing must be a number of bins"):
        display.plot(smoothing=0)


def test_networks_have_rows_of_their_own():
    networks = {"4 kHz": small(), "8 kHz": small(width=0.1)}
    display = FilterSpectrumDisplay.from_estimators(
        networks, layers=(0, 1), sr={"4 kHz": 4000, "8 kHz": 8000}, random_state=0
    )
    assert display.labels == ["4 kHz", "8 kHz"]
    assert [ax.get_ylim()[1] for ax in display.axes_] == [2000, 2000, 4000, 4000]
    labels = [ax.get_ylabel() for ax in display.axes_]
    assert labels == ["4 kHz\nfrequency (Hz)", "", "8 kHz\nfrequency (Hz)", ""]
    assert [ax.get_xlabel() for ax in display.axes_] == [
        "",
        "",
        *["filter, sorted"] * 2,
    ]
    alone = display_of(networks["8 kHz"], layers=(0, 1))
    for i in (0, 1):
        assert_array_equal(display.spectra[2 + i], alone.spectra[i])
        assert_array_equal(display.peak_frequencies[2 + i], alone.peak_frequencies[i])


def test_six_layers_of_one_network_make_two_rows():
    display = display_of(small(sizes=(3,) * 6), layers=range(6))
    rows = [ax.get_subplotspec().rowspan.start for ax in display.axes_]
    assert rows == [0, 0, 0, 1, 1, 1]
    five = display_of(small(), layers=range(5))
    drawn = [ax for ax in five.figure_.axes if ax.get_label() != "<colorbar>"]
    assert drawn == list(five.axes_)  # and none is empty


@pytest.mark.parametrize("sr", [8000, 22050])
def test_waveforms_lose_what_is_above_5_khz(sr):
    display = display_of(small(), sr=sr)
    display.plot_waveforms(n_filters=3)
    (ax,) = display.axes_
    lines = ax.get_lines()
    rows = [0, len(display.order[0]) // 2, len(display.order[0]) - 1]
    assert len(lines) == 3
    numerator, denominator = signal.butter(6, 5000 / (22050 / 2))
    for height, (line, row) in enumerate(zip(lines, rows, strict=True)):
        wave = display.waveforms[0][row].astype(float)
        if sr == 22050:
            wave = signal.lfilter(numerator, denominator, wave)
        expected = height + 0.45 * wave / np.abs(wave).max()
        assert_allclose(line.get_ydata(), expected, atol=1e-5)
        assert_allclose(line.get_xdata()[-1], 728 / sr * 1000)
    ticks = [text.get_text() for text in ax.get_yticklabels()]
    assert ticks == [f"{peak:.0f}" for peak in display.peak_frequencies[0][rows]]


def test_a_panel_has_no_more_waveforms_than_filters():
    display = display_of(small(width=0.02)).plot_waveforms(n_filters=20)
    assert len(display.axes_[0].get_lines()) == len(display.order[0]) < 20


def test_given_axes_are_used(pyplot):
    figure, axes = pyplot.subplots(1, 2)
    display = display_of(small(), layers=(0, 1), axes=axes)
    assert display.figure_ is figure
    assert list(display.axes_) == list(axes)
    assert pyplot.get_fignums() == [figure.number]
    with pytest.raises(ValueError, match="axes must be 2 Axes; got 1"):
        display.plot(axes=axes[:1])


def test_equal_spectra_can_be_drawn():
    display = display_of(small())
    display.spectra = [np.zeros_like(spectra) for spectra in display.spectra]
    display.plot().figure_.canvas.draw()
    low, high = display.axes_[0].get_images()[0].get_clim()
    assert low <= high


# ---------------------------------------------------------------- what is accepted


def test_rate_is_the_estimators(sounds):
    X, y = sounds
    clf = SampleCNNClassifier(
        sr=SR, sizes=(3,) * 4, width=0.03, max_epochs=1, random_state=0
    ).fit(X, y)
    options = {"layers": (0,), "random_state": 0}
    display = FilterSpectrumDisplay.from_estimator(clf, **options)
    assert display.sr == [SR]
    display = FilterSpectrumDisplay.from_estimator(clf, sr=4000, **options)
    assert display.axes_[0].get_ylim() == (0, 2000)


def test_rate_of_published_weights(sounds, tmp_path):
    with torch.random.fork_rng(devices=[]):
        network = SampleCNN(3, sizes=(3,) * 4, width=0.03)
    save_weights(network, tmp_path / "tiny.safetensors", sr=SR)
    clf = PretrainedClassifier(tmp_path / "tiny.safetensors", max_epochs=1)
    clf.set_params(random_state=0).fit(*sounds)
    display = FilterSpectrumDisplay.from_estimator(clf, layers=(0,), random_state=0)
    assert display.sr == [SR]


def test_rate_of_views_or_of_nobody(sounds):
    X, y = sounds
    net = FrameLevelCNNClassifier(max_epochs=1, width=0.05, random_state=0)
    options = {"layers": (0,), "random_state": 0}
    views = ViewUnion([("raw", RawView(sr=SR))]).fit_transform(X)
    clf = clone(net).fit(views, y)
    assert FilterSpectrumDisplay.from_estimator(clf, **options).sr == [SR]
    raw = RawView(sr=SR).fit_transform(X)
    clf = clone(net).fit(raw, y)
    assert FilterSpectrumDisplay.from_estimator(clf, **options).sr == [SR]
    clf = clone(net).fit(np.asarray(raw), y)
    with pytest.raises(ValueError, match="does not have a sampling rate"):
        FilterSpectrumDisplay.from_estimator(clf, **options)


def test_unusable_input_is_refused():
    with pytest.raises(ValueError, match="SampleCNN does not have a sampling rate"):
        FilterSpectrumDisplay.from_estimator(small())
    with pytest.raises(ValueError, match=r"frame must be one of .* got 'end'"):
        display_of(small(), frame="end")
    with pytest.raises(ValueError, match="at least one estimator and one layer"):
        display_of(small(), layers=())
    with pytest.raises(ValueError, match="at least one estimator and one layer"):
        FilterSpectrumDisplay.from_estimators({})
    logistic = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(TypeError, match="got LogisticRegression"):
        display_of(logistic)
    with pytest.raises(TypeError, match="got SimpleNamespace"):
        display_of(SimpleNamespace(net_=None))


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'skaudio\[plot\]'"):
        display_of(small())
