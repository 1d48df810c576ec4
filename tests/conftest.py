"""Fixtures and guards shared by all tests."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # before scipy: or one sklearn check is skipped
os.environ["OMP_NUM_THREADS"] = "1"  # spinning threads slow small nets down

import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from skaudio.datasets import make_sounds

with warnings.catch_warnings():  # it imports torch_geometric where that is installed
    warnings.simplefilter("ignore")
    import skorch  # noqa: F401

pytest_plugins = ["published", "publisher"]  # in tests/plugins

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure(config):
    """Hide GPUs, from child processes too, unless tests that need one were asked for.

    All others demand equal bits or compare with NumPy, which ``device="auto"`` gives on
    a CPU only.
    """
    if "gpu" not in config.option.markexpr.replace("not gpu", ""):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session")
def cuda():
    """Skip without a GPU; only then is torch imported."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and `-m gpu`, which lets tests see it")


@pytest.fixture(scope="session")
def shared_data():
    """Folder with real audio, which lies beside the repository, if it is there."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real audio: ../shared/data is missing beside the repository")
    return folder


@pytest.fixture(scope="session")
def _sounds():
    X, y = make_sounds(n_clips=24, n_classes=4, duration=0.5, sr=8000, random_state=0)
    X.flags.writeable = False
    return X, y


@pytest.fixture
def sounds(_sounds):
    """24 synthetic clips of 0.5 s at 8 kHz in 4 classes: X (read-only), y."""
    return _sounds


def _rng_states():
    # hashes, so that a failing assertion does not print 600 words of state
    states = {"numpy": hash(pickle.dumps(np.random.get_state()))}  # noqa: NPY002
    if "torch" in sys.modules:
        states["torch"] = hash(sys.modules["torch"].get_rng_state().numpy().tobytes())
    return states


def _visible(folder):
    return {p.name for p in Path(folder).iterdir() if not p.name.startswith(".")}


@pytest.fixture
def may_use_global_rng():
    """For tests that run scikit-learn's checks, some of which use it themselves."""


@pytest.fixture(autouse=True)
def leaves_no_trace(request):
    """No test may touch the global generators or leave files where it runs."""
    cwd = Path.cwd()
    files, states = _visible(cwd), _rng_states()
    yield
    after = states if "may_use_global_rng" in request.fixturenames else _rng_states()
    for library, state in states.items():
        assert after[library] == state, f"the global RNG of {library} was used"
    assert Path.cwd() == cwd, "the working directory was changed"
    new = _visible(cwd) - files - {"__pycache__"}
    assert not new, f"files were left in the working directory: {sorted(new)}"
