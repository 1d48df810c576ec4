"""The demo, run as users run it: on a folder of files, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import soundfile

from skaudio.datasets import make_sounds
from skaudio.neural_network import MultiViewBlendingClassifier
from skaudio.persistence import load

DEMO = Path(__file__).resolve().parents[1] / "docs" / "demo.py"
ROWS = [
    "MFCC + MLP",
    "mel",
    "gammatone",
    "cqt",
    "raw",
    "late fusion",
    "concatenation",
    "blending, joint branch",
    "blending, self-ensemble",
]


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, str(DEMO), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_from_files_to_table_figure_and_model(tmp_path):
    pytest.importorskip("matplotlib")
    X, y = make_sounds(n_clips=18, n_classes=3, duration=0.3, sr=8000, random_state=0)
    paths = [tmp_path / "sounds" / label / f"{i}.wav" for i, label in enumerate(y)]
    for path, clip in zip(paths, X, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, clip, 8000)
    done = run("--data", "sounds", "--output", "out", "--epochs", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "it predicts the same for all" in done.stdout
    table = pd.read_csv(tmp_path / "out" / "accuracy.csv", index_col="classifier")
    assert table.index.tolist() == ROWS
    assert table.accuracy.between(0, 1).all()
    assert (table.seconds > 0).all()
    assert (tmp_path / "out" / "blending.png").stat().st_size > 10_000
    model = load(tmp_path / "out" / "blending.safetensors")
    assert isinstance(model[-1], MultiViewBlendingClassifier)
    assert set(model.predict([str(path) for path in paths])) <= set(y)


def test_names_what_is_wrong_with_the_data(tmp_path):
    done = run("--data", "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert "nowhere does not exist: expected a folder or a table" in done.stderr
    assert "Traceback" not in done.stderr
