"""One version, written in one place."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import skaudio

ROOT = Path(__file__).resolve().parents[1]


def _read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_build_reads_the_version_from_the_package():
    settings = tomllib.loads(_read("pyproject.toml"))
    assert "version" not in settings["project"]
    assert settings["project"]["dynamic"] == ["version"]
    path = settings["tool"]["hatch"]["version"]["path"]
    written = re.findall(r'^__version__ = "(.*)"$', _read(path), flags=re.MULTILINE)
    assert written == [skaudio.__version__]


def test_the_citation_names_it():
    stated = re.findall(r"^version: (.*)$", _read("CITATION.cff"), flags=re.MULTILINE)
    assert stated == [skaudio.__version__]


def test_the_changelog_knows_it():
    newest = re.search(r"^## (.*)$", _read("CHANGELOG.md"), flags=re.MULTILINE)[1]
    numbers = re.findall(r"\d+\.\d+\.\d+\w*", newest)
    assert skaudio.__version__.partition(".dev")[0] in numbers


def test_metadata_beside_the_package_agree():
    """Of a wheel; those of an editable install lie elsewhere and may be of old."""
    folder = str(Path(skaudio.__file__).resolve().parents[1])
    beside = metadata.distributions(name="skaudio", path=[folder])
    assert {found.version for found in beside} <= {skaudio.__version__}
