"""Families of networks: each is one entry, and entries agree with themselves."""

import re

import pytest
import torch
from torch import nn

from skaudio._weights import _families
from skaudio._weights._families import FAMILIES, family_of, layouts, networks
from skaudio._weights._layouts import Family, Layout, convolutions
from skaudio._weights._read import read_weights
from skaudio._weights._save import save_weights
from skaudio.embedding import PretrainedEmbedder
from skaudio.embedding._pretrained import BACKENDS


def test_kinds_and_layouts_have_names_of_their_own():
    for names in ([f.kind for f in FAMILIES], [layout.name for layout in layouts()]):
        assert len(set(names)) == len(names)
    assert len(networks()) == sum(len(family.networks) for family in FAMILIES)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.kind)
def test_a_family_is_complete(family):
    assert {layout.network for layout in family.layouts} == set(family.networks)
    assert all(family_of(network) is family for network in family.networks)
    for layout in family.layouts:
        assert {"i", "what"} <= set(re.compile(layout.blocks).groupindex)


def test_backends_are_for_families():
    known = {family.kind for family in FAMILIES}
    assert BACKENDS.keys() - known == {"onnx"}  # whose graph is of no family


class Toy(nn.Module):
    """A new network, which only its family refers to."""

    def __init__(self, n_filters):
        super().__init__()
        self.config = {"n_filters": n_filters}
        self.blocks = nn.ModuleList([nn.Module()])
        self.blocks[0].conv = nn.Conv1d(1, n_filters, 3)


TOY = Family(
    "toy",
    "Toy",
    (Toy,),
    (Layout("toys", Toy, r"toy(?P<i>\d+)\.(?P<part>conv)\.(?P<what>\w+)", {}, 8000),),
    lambda weights, tensors: {"n_filters": len(convolutions(tensors, weights, 3)[0])},
)


def test_a_new_family_is_one_entry(tmp_path, monkeypatch):
    monkeypatch.setattr(_families, "FAMILIES", (*FAMILIES, TOY))
    path, ours = tmp_path / "toy.pt", tmp_path / "ours"
    weight = torch.ones(4, 1, 3)
    torch.save({"toy1.conv.weight": weight, "toy1.conv.bias": torch.ones(4)}, path)
    found = read_weights(path)
    assert (found.kind, found.layout, found.sr) == ("toy", "toys", 8000)
    save_weights(found, ours)
    again = read_weights(ours)
    assert (again.kind, again.layout, again.sr) == ("toy", "toys", 8000)
    assert torch.equal(again.network.blocks[0].conv.weight, weight)
    with pytest.raises(ValueError, match=r"form toys, which cannot embed clips"):
        PretrainedEmbedder(path).fit([[0.0]])
    with pytest.raises(ValueError, match=r"goes with COALA's weights.* is a Toy"):
        read_weights(path, scaler=path)
