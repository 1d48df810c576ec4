"""Synthetic sounds as a small view, without the front ends."""

import numpy as np
import pytest


@pytest.fixture
def sounds_view(sounds):
    """Log-energies of 8 bands in 40 frames of 12.5 ms, and the classes."""
    X, y = sounds
    frames = np.abs(np.fft.rfft(X.reshape(len(X), 40, -1), axis=2))[:, :, 1:49]
    energy = (frames**2).reshape(len(X), 40, 8, 6).sum(axis=3)
    return np.log(energy + 1e-6).transpose(0, 2, 1).astype(np.float64), y


@pytest.fixture
def restored_rng():
    """Some of scikit-learn's checks draw from the global generator: put it back."""
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002
