"""Importing the light parts of skaudio is cheap."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "librosa", "skorch", "matplotlib"}
ON_USE = {"soundfile", "soxr", "pooch", "tqdm", "filelock"}


def _imported_by(module):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    ["skaudio", "skaudio.datasets", "skaudio.metrics", "skaudio.model_selection"],
)
def test_light_modules_import_nothing_heavy(module):
    imported = _imported_by(module)
    assert module in imported
    assert not imported & (HEAVY | ON_USE)


def test_preprocessing_imports_no_network_library():
    imported = _imported_by("skaudio.preprocessing")
    assert "skaudio._audio._load" in imported
    assert not imported & (HEAVY | ON_USE)


def test_the_package_itself_imports_no_dependency():
    assert not _imported_by("skaudio") & {"numpy", "scipy", "sklearn", "pandas"}
