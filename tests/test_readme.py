"""The READMEs: code runs, figures are those of the results, links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_tables_are_those_of_the_results():
    check = [sys.executable, str(ROOT / "benchmarks" / "readme.py"), "--check"]
    run = subprocess.run(check, capture_output=True, text=True, check=False)
    assert run.returncode == 0, "run: python benchmarks/readme.py" + run.stderr


def test_the_example_runs_in_an_empty_folder(tmp_path, monkeypatch, capsys):
    """As a new user would, with a smaller network and fewer sounds."""
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    for whole, part in (
        ("make_everyday_sounds(120", "make_everyday_sounds(36"),
        ("max_epochs=10", "max_epochs=1, width=0.05"),
    ):
        assert whole in code
        code = code.replace(whole, part)
    exec(compile(code, "README.md", "exec"), {})
    out, err = capsys.readouterr()
    (output,) = re.findall(r"```text\n(.*?)```", README, flags=re.DOTALL)
    bar, predicted, *table = output.splitlines()
    assert bar.split(":")[0] in err  # the bar of the training, to the error stream
    classes = table[0].split()[1:]
    assert set(re.findall(r"\w+", predicted)) <= set(classes)
    first, head, *rows = out.splitlines()
    assert set(re.findall(r"\w+", first)) <= set(classes)
    assert head.split()[0] == "predicted"
    assert [row.split()[0] for row in rows] == ["true", *classes]


def test_it_is_short():
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize("page", ["README.md", "benchmarks/README.md"])
def test_links_lead_somewhere(page):
    path = ROOT / page
    links = re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
    for link in links:
        if not link.startswith(("https://", "#")):
            assert (path.parent / link).exists(), link
