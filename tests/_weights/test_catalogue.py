"""The catalogue of published weights agrees with itself and with the networks."""

import re

import pytest
from torch import nn

from skaudio._weights._catalogue import COALA_SCALER, PUBLISHED
from skaudio.nn import (
    CoalaAudioEncoder,
    CoalaCNN,
    CRNNTagger,
    FCNTagger,
    MusiCNN,
    SampleCNN,
)
from skaudio.nn.coala_autoencoders import CoalaTagEncoder

FILES = [*PUBLISHED.values(), COALA_SCALER]


def without_output(top_kernel):
    network = SampleCNN(
        50,
        filters=(128,) * 3 + (256,) * 6 + (512,) * 2,
        sizes=(3,) * 10,
        top_kernel=top_kernel,
    )
    network.output = nn.Identity()
    return network


TAGGERS = {"fcn": FCNTagger, "crnn": CRNNTagger, "musicnn": MusiCNN}
NETWORKS = {
    f"{name}-{data}": network
    for name, network in TAGGERS.items()
    for data in ("mtat", "msd", "jamendo")
} | {
    "musicnn-msd": lambda: MusiCNN(n_middle=512, n_hidden=500),
    "samplecnn-msd": lambda: SampleCNN(
        50, filters=(128,) * 3 + (256,) * 8, sizes=(3,) * 10
    ),
    "clmr-mtat": lambda: without_output(3),
    "coala-ae-c": CoalaAudioEncoder,
    "coala-e-c": CoalaAudioEncoder,
    "coala-cnn": CoalaCNN,
    "coala-tags-ae-c": lambda: CoalaTagEncoder(n_tags=1000),
    "coala-tags-e-c": lambda: CoalaTagEncoder(n_tags=1000),
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.file)
def test_an_address_is_of_one_commit_or_release(file):
    assert file.address.startswith("https://")
    assert re.search(r"/[0-9a-f]{40}/|/releases/download/\d", file.address)
    assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert file.git_blob is None or re.fullmatch("[0-9a-f]{40}", file.git_blob)
    assert (file.n_bytes is None) == (file.sha256 is None)


def test_files_and_addresses_are_of_one_entry_each():
    for names in ([f.file for f in FILES], [f.address for f in FILES]):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "entry"), PUBLISHED.items())
def test_names_are_no_paths(name, entry):
    assert name == entry.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)
    assert entry.file.startswith(f"{name}.")
    assert "MIT" in entry.licence


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_those_of_the_network(name, published):
    network = published.seeded(NETWORKS[name])
    found = sum(p.numel() for p in network.parameters() if p.requires_grad)
    entry = PUBLISHED[name]
    assert found == entry.n_parameters
    if hasattr(network, "n_samples"):
        assert network.n_samples == entry.n_samples


def test_tags_are_as_many_as_outputs():
    tagged = {name: entry.tags for name, entry in PUBLISHED.items() if entry.tags}
    assert tagged.keys() == {n for n in PUBLISHED if n.split("-")[0] in TAGGERS} | {
        "samplecnn-msd"
    }
    for tags in tagged.values():
        assert len(set(tags)) == 50
    assert "opera" in tagged["fcn-mtat"]
    assert "Hip-Hop" in tagged["musicnn-msd"]


def test_seconds():
    assert PUBLISHED["fcn-msd"].seconds == 29.124
    assert PUBLISHED["musicnn-msd"].seconds == 3.0
    assert PUBLISHED["coala-e-c"].seconds == 96 * 512 / 22_000
    assert PUBLISHED["coala-tags-e-c"].seconds is None
