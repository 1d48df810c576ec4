"""The README: its code runs as it stands, and its figures are those of the results."""

import re
import subprocess
import sys
from pathlib import Path

import soundfile

from skaudio.datasets import make_sounds

ROOT = Path(__file__).resolve().parents[1]


def test_tables_are_those_of_the_results():
    check = [sys.executable, str(ROOT / "benchmarks" / "readme.py"), "--check"]
    run = subprocess.run(check, capture_output=True, text=True, check=False)
    assert run.returncode == 0, "run: python benchmarks/readme.py" + run.stderr


def test_first_example_runs_on_a_folder_of_sounds(tmp_path, monkeypatch, capsys):
    """As a new user would: the example, in an empty folder beside some sounds."""
    X, y = make_sounds(n_clips=12, n_classes=2, duration=0.4, sr=22050, random_state=0)
    for i, (wave, label) in enumerate(zip(X, y, strict=True)):
        folder = tmp_path / "my_sounds" / label
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{i}.wav", wave, 22050)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, flags=re.DOTALL).group(1)
    # a small network is enough to see every line run
    code = code.replace("width=0.25", "width=0.05, max_epochs=1")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert set(re.findall(r"\w+", capsys.readouterr().out)) <= set(y)
