"""The README: its code runs as it stands, and its figures are those of the results."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch
from taggers import small_tagger

from skaudio.datasets import make_sounds

ROOT = Path(__file__).resolve().parents[1]


def test_tables_are_those_of_the_results():
    check = [sys.executable, str(ROOT / "benchmarks" / "readme.py"), "--check"]
    run = subprocess.run(check, capture_output=True, text=True, check=False)
    assert run.returncode == 0, "run: python benchmarks/readme.py" + run.stderr


@pytest.fixture
def my_sounds(tmp_path, monkeypatch):
    """An empty folder beside some sounds, and the names of their classes."""
    X, y = make_sounds(n_clips=12, n_classes=2, duration=0.4, sr=22050, random_state=0)
    for i, (wave, label) in enumerate(zip(X, y, strict=True)):
        folder = tmp_path / "my_sounds" / label
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{i}.wav", wave, 22050)
    monkeypatch.chdir(tmp_path)
    return set(y)


def examples():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_first_example_runs_on_a_folder_of_sounds(my_sounds, capsys):
    """As a new user would."""
    code = examples()[0]
    # a small network is enough to see every line run
    code = code.replace("width=0.25", "width=0.05, max_epochs=1")
    exec(compile(code, "README.md", "exec"), {})
    assert set(re.findall(r"\w+", capsys.readouterr().out)) <= my_sounds


def test_second_example_runs_on_a_folder_of_sounds(my_sounds, tmp_path, capsys):
    """With a small file in place of the published one."""
    torch.save(small_tagger("musicnn"), tmp_path / "small.pth")
    code = examples()[1]
    assert '"musicnn-jamendo"' in code
    code = code.replace('"musicnn-jamendo"', repr(str(tmp_path / "small.pth")))
    exec(compile(code, "README.md", "exec"), {})
    report = capsys.readouterr().out
    assert all(name in report for name in (*my_sounds, "precision", "accuracy"))
