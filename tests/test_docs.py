"""The manual: its examples run, and the names it mentions exist."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
GENERATED = {"_build", "_templates", "auto_examples", "generated"}
GENERATED |= {"api.rst", "sg_execution_times.rst"}
PAGES = [
    path
    for path in sorted(DOCS.rglob("*.rst"))
    if not GENERATED & set(path.relative_to(DOCS).parts)
]
ROLE = re.compile(r":(?:class|func|mod|meth|attr):`~?(skaudio[\w.]*)`")


def resolve(path):
    """The object behind a dotted path, whatever part of it is a module."""
    parts = path.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for name in parts[n:]:
            found = getattr(found, name)
        return found
    raise ModuleNotFoundError(path)


def page_id(path):
    return str(path.relative_to(DOCS))


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_examples_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    results = doctest.testfile(str(path), module_relative=False, optionflags=flags)
    assert results.failed == 0


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_names_exist(path):
    for name in ROLE.findall(path.read_text(encoding="utf-8")):
        assert resolve(name) is not None


def test_pages_are_found():
    names = {page_id(path) for path in PAGES}
    assert {"index.rst", "user_guide/views.rst", "glossary.rst"} <= names


def test_missing_names_are_noticed():
    with pytest.raises(AttributeError, match="NoSuchClassifier"):
        resolve("skaudio.mixture.NoSuchClassifier")


def test_every_page_is_listed():
    """Each page can be reached from the index (Sphinx warns of others as well)."""
    listed = set()
    for path in PAGES:
        folder = path.parent.relative_to(DOCS)
        for block in re.findall(r"toctree::\n((?:\s+.*\n)+)", path.read_text("utf-8")):
            entries = re.findall(r"^\s+([\w/]+)$", block, flags=re.MULTILINE)
            listed |= {str(folder / entry) for entry in entries}
    pages = {page_id(path.with_suffix("")) for path in PAGES}
    assert pages - listed == {"index", "examples/GALLERY_HEADER"}
