"""The manual: its examples run, and the names it mentions exist."""

from __future__ import annotations

import ast
import doctest
import hashlib
import importlib
import inspect
import re
import textwrap
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.model_selection import PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch
from taggers import small_tagger

import skaudio.datasets
from skaudio._weights._catalogue import PUBLISHED
from skaudio.datasets import make_sounds, write_audio_files
from skaudio.embedding import PretrainedEmbedder, probe_table
from skaudio.neural_network import CRNNClassifier
from skaudio.preprocessing import FrameStatistics
from skaudio.views import MelView

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
GENERATED = {"_build", "_templates", "auto_examples", "generated"}
GENERATED |= {"api.rst", "sg_execution_times.rst"}
PAGES = [
    path
    for path in sorted(DOCS.rglob("*.rst"))
    if not GENERATED & set(path.relative_to(DOCS).parts)
]
ROLE = re.compile(r":(?:class|func|mod|meth|attr):`~?(skaudio[\w.]*)`")
IMPORT = re.compile(r"^>>> (from skaudio\b.* import .*\n)", re.MULTILINE)
BLOCK = re.compile(r"^( *)\.\. code-block:: (\w+)\n\n((?:\1 +.*\n|\n)+)", re.MULTILINE)


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
    if "skaudio.export import" in path.read_text(encoding="utf-8"):
        pytest.importorskip("onnxscript", reason="exports: pip install skaudio[onnx]")
        pytest.importorskip("torch", minversion="2.8", reason="exports: torch 2.8")
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    results = doctest.testfile(str(path), module_relative=False, optionflags=flags)
    assert results.failed == 0


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_names_exist(path):
    for name in ROLE.findall(path.read_text(encoding="utf-8")):
        assert resolve(name) is not None


# Blocks without prompts: what cannot run as a doctest, as it needs what is not here.


@dataclass(frozen=True)
class Block:
    page: str
    language: str
    code: str
    imports: str  # those of the page, which the block may rely on


BLOCKS = [
    Block(page_id(path), language, textwrap.dedent(code), "".join(IMPORT.findall(text)))
    for path in PAGES
    for text in [path.read_text(encoding="utf-8")]
    for _, language, code in BLOCK.findall(text)
]
PYTHON = [block for block in BLOCKS if block.language == "python"]

# A word of the block -> why it does not run here. Names and arguments are checked.
NOT_RUN = {
    "README.md": "the front page's, which test_readme.py runs",
    "dask.distributed": "a cluster of other machines",
    "gunicorn.conf.py": "the configuration of a server",
    "skops.io": "skops is in no test extra; see persistence/test_other_formats.py",
    "mlflow": "nor is MLflow",
}
ADAPTERS = "user_guide/other_models.rst"  # run by embedding/test_other_models.py


def few_files():
    """What a fetcher returns: paths and labels, folds and parts."""
    X, y = make_sounds(12, 2, duration=0.5, sr=16000, random_state=0)
    place = np.arange(12)
    return Bunch(
        paths=write_audio_files("few", X, y, sr=16000),
        target=np.repeat([0, 1], 6),
        train=place[place % 3 > 0],
        valid=place[place % 3 == 0],
        cv=PredefinedSplit(place % 3),
    )


def network():
    return CRNNClassifier(
        views=MelView(sr=16000, n_mels=8), width=0.05, max_epochs=1, random_state=0
    )


# A word of the block -> the names that the page takes as given.
GIVEN = {
    "fetch_gtzan()": lambda files: {"clf": network()},
    "fetch_esc50": lambda files: {
        "model": network(),
        "cross_val_score": cross_val_score,
    },
    "musicnn-jamendo": lambda files: {"paths": files.paths, "labels": files.target},
    "musicnn-mtat": lambda files: {
        "PretrainedEmbedder": PretrainedEmbedder,
        "paths": files.paths,
    },
    "fetch_urbansound8k": lambda files: {
        "embedders": {"mel": make_pipeline(MelView(), FrameStatistics())},
        "probe_table": partial(probe_table, head="logistic", n_repeats=1),
    },
}


def words_of(block):
    """The entries of both lists that a block is known by: one, if all is well."""
    if block.page == "index.rst":
        return ["README.md"]
    return [word for word in (*NOT_RUN, *GIVEN) if word in block.code]


def wrong_uses(code):
    """Names of skaudio that do not exist, and arguments that they do not take."""
    tree, known, wrong = ast.parse(code), {"skaudio": skaudio}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("skaudio"):
            for alias in node.names:
                try:
                    known[alias.asname or alias.name] = resolve(
                        f"{node.module}.{alias.name}"
                    )
                except AttributeError:
                    wrong.append(f"{node.module}.{alias.name}")
    for node in ast.walk(tree):
        path = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        root, *names = path.split(".")
        if root in known:
            function = resolve(path) if root == "skaudio" else known[root]
            for name in names if root != "skaudio" else ():
                function = getattr(function, name)
            words = {word.arg: None for word in node.keywords if word.arg}
            try:
                inspect.signature(function).bind_partial(*node.args, **words)
            except TypeError as error:
                wrong.append(f"{path}: {error}")
    return wrong


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.page)
def test_names_and_arguments_of_a_block_exist(block):
    assert wrong_uses(block.imports + block.code) == []


def test_wrong_names_and_arguments_are_noticed():
    code = """
    from skaudio.views import MelView, NoView
    MelView(sr=8000, bands=64)
    MelView(8000)
    """
    missing, argument, position = wrong_uses(textwrap.dedent(code))
    assert missing == "skaudio.views.NoView"
    assert "'bands'" in argument
    assert "positional" in position


def test_every_block_is_accounted_for():
    """It runs with stand-ins, or says why not; and the lists hold no other."""
    found = [words_of(block) for block in PYTHON if block.page != ADAPTERS]
    assert sorted(found) == sorted([word] for word in (*NOT_RUN, *GIVEN))
    assert {block.language for block in BLOCKS} == {"python", "bash", "text", "yaml"}


@pytest.fixture
def stand_ins(site, tmp_path, monkeypatch):
    """Small files and weights, from this machine, in place of published ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKAUDIO_DATA", str(tmp_path / "home"))
    torch.save(small_tagger("musicnn", n_outputs=50), tmp_path / "small.pth")
    weights = (tmp_path / "small.pth").read_bytes()
    site.files["small.pth"] = weights
    for name in ("musicnn-mtat", "musicnn-jamendo"):
        entry = replace(
            PUBLISHED[name],
            address=f"{site.url}/small.pth",
            n_bytes=len(weights),
            sha256=hashlib.sha256(weights).hexdigest(),
            git_blob=None,
        )
        monkeypatch.setitem(PUBLISHED, name, entry)
    files = few_files()
    for name in ("esc50", "gtzan", "nsynth", "urbansound8k"):
        monkeypatch.setattr(
            skaudio.datasets, f"fetch_{name}", lambda files=files, **_: files
        )
    return files


@pytest.mark.parametrize("word", GIVEN)
def test_a_block_runs_with_what_is_not_here(word, stand_ins):
    (block,) = [block for block in PYTHON if word in block.code]
    exec(compile(block.code, block.page, "exec"), GIVEN[word](stand_ins))


def test_the_front_page_shows_what_the_readme_shows():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = [
        (block.language, block.code.strip())
        for block in BLOCKS
        if block.page == "index.rst"
    ]
    for language in ("python", "text"):
        (code,) = re.findall(f"```{language}\n(.*?)```", text, flags=re.DOTALL)
        assert (language, code.strip()) in shown


def test_commands_of_make_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = " ".join(re.findall(r"^([\w -]+):", makefile, flags=re.MULTILINE)).split()
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"^make ([\w-]+)", contributing, flags=re.MULTILINE)
    for text in (contributing, *(path.read_text(encoding="utf-8") for path in PAGES)):
        named += re.findall(r"`make ([\w-]+)", text)
    assert len(named) > 10
    assert set(named) <= set(targets)


def test_dead_links_of_the_built_manual_are_found(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from check_links import dead_links

    (tmp_path / "a.html").write_text(
        '<h1 id="top"></h1><a href="#top"></a><a href="#no"></a><a href="b.html#x"></a>'
        '<img src="c%20d.png"><img src="e.png"><a href="https://example.org/#z"></a>'
    )
    (tmp_path / "b.html").write_text('<p id="x"></p><a href="a.html#gone"></a>')
    (tmp_path / "c d.png").touch()
    assert dead_links(tmp_path) == [
        "a.html: #no",
        "a.html: e.png",
        "b.html: a.html#gone",
    ]


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
