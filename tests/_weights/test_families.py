"""Families of networks: each is one entry, and entries agree with themselves."""

import re

import pytest

from skaudio._weights._families import FAMILIES, LAYOUTS, NETWORKS, family_of
from skaudio.embedding._pretrained import BACKENDS


def test_kinds_and_layouts_have_names_of_their_own():
    for names in ([f.kind for f in FAMILIES], [layout.name for layout in LAYOUTS]):
        assert len(set(names)) == len(names)
    assert len(NETWORKS) == sum(len(family.networks) for family in FAMILIES)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.kind)
def test_a_family_is_complete(family):
    assert {layout.network for layout in family.layouts} == set(family.networks)
    assert all(family_of(network) is family for network in family.networks)
    for layout in family.layouts:
        assert {"i", "what"} <= set(re.compile(layout.blocks).groupindex)


def test_every_family_can_be_embedded_with():
    assert {family.kind for family in FAMILIES} == BACKENDS.keys()
