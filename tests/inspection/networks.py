"""Small fitted networks, for tests of what is seen and heard in them."""

from __future__ import annotations

import functools

import numpy as np
from sklearn.pipeline import make_pipeline

from skaudio.neural_network import SampleCNNClassifier, SpectrogramCNNClassifier
from skaudio.preprocessing import ViewScaler
from skaudio.views import STFTView

SR = 2000
VIEW = {"sr": SR, "n_fft": 64, "hop_length": 32}
CNN = {"width": 0.05, "max_epochs": 1, "random_state": 0}


@functools.cache
def sounds():
    """Tones of two pitches in noise: 8 clips of half a second."""
    rng = np.random.default_rng(0)
    times = np.arange(SR // 2) / SR
    y = np.repeat(["high", "low"], 4)
    tones = [
        np.sin(2 * np.pi * (700 if label == "high" else 200) * times) for label in y
    ]
    X = np.array(tones) + 0.1 * rng.normal(size=(8, len(times)))
    return (0.5 * X).astype(np.float32), y


@functools.cache
def in_pipeline():
    """View, scaling and network, one after the other."""
    model = make_pipeline(
        STFTView(**VIEW), ViewScaler(), SpectrogramCNNClassifier(**CNN)
    )
    return model.fit(*sounds())


@functools.cache
def by_itself():
    """A network that computes and scales its view."""
    return SpectrogramCNNClassifier(views=STFTView(**VIEW), **CNN).fit(*sounds())


@functools.cache
def on_waveforms():
    """A network on samples."""
    return SampleCNNClassifier(
        sr=SR, sizes=(3, 3, 3, 3), width=0.05, max_epochs=1, random_state=0
    ).fit(*sounds())
