"""Tiny networks in files, and made-up clips."""

import numpy as np
import pytest
import torch

from skaudio.embedding import save_weights
from skaudio.embedding._cache import MEMORY
from skaudio.nn import CoalaAudioEncoder, SampleCNN


@pytest.fixture(autouse=True)
def forgetful():
    """No test sees what another one embedded."""
    MEMORY.clear()
    yield
    MEMORY.clear()


def seeded(build):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build()


@pytest.fixture(scope="session")
def samplecnn(tmp_path_factory):
    """File of a SampleCNN with 7 layers for segments of 729 samples at 8 kHz."""
    path = tmp_path_factory.mktemp("weights") / "samplecnn.safetensors"
    net = seeded(lambda: SampleCNN(4, sizes=(3,) * 6, width=0.1))
    save_weights(net, path, sr=8000)
    return path


@pytest.fixture(scope="session")
def coala(tmp_path_factory):
    """File of a COALA encoder with 2 filters, 18 features, at 22 kHz."""
    path = tmp_path_factory.mktemp("weights") / "coala.safetensors"
    save_weights(seeded(lambda: CoalaAudioEncoder(n_filters=2)), path, sr=22000)
    return path


@pytest.fixture(scope="session")
def clips():
    """Waveforms of different lengths at 8 kHz, the first two shorter than segments."""
    rng = np.random.default_rng(0)
    lengths = (1, 500, 729, 730, 2000, 2000, 8000)
    return [rng.uniform(-0.5, 0.5, n).astype(np.float32) for n in lengths]
