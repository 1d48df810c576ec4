"""COALA's autoencoders: sizes of the paper's supplement and the authors' code."""

import numpy as np
import pytest
import torch
from torch import nn

from skaudio.nn import (
    Coala,
    CoalaAudioDecoder,
    CoalaAudioEncoder,
    CoalaCNN,
    CoalaTagDecoder,
    CoalaTagEncoder,
    CoalaTagger,
    layer_outputs,
)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(
    ("module", "n_parameters", "n_tensors"),
    [
        (CoalaAudioEncoder, 2_379_648, 36),
        (CoalaAudioDecoder, 1_052_163, 35),
        (CoalaTagEncoder, 2_697_600, 22),
        (CoalaTagDecoder, 1_370_040, 21),
        (CoalaCNN, 3_533_800, 39),
    ],
)
def test_parameters(module, n_parameters, n_tensors):
    network = module()
    assert sum(p.numel() for p in network.parameters()) == n_parameters
    names = [n for n in network.state_dict() if not n.startswith("scaling.")]
    assert len(names) == n_tensors


def test_the_whole_has_all_parts():
    whole = Coala({"mel": (96, 43.0)})
    total = 2_379_648 + 1_052_163 + 2_697_600 + 1_370_040
    assert sum(p.numel() for p in whole.parameters()) == total


def test_path_of_an_embedding_to_a_patch():
    decoder = CoalaAudioDecoder().eval()
    names = [f"blocks.{i}" for i in range(4)]
    with torch.no_grad():
        out = layer_outputs(decoder, [*names, "deconv", ""], torch.rand(2, 1152))
    for name, side in zip(names, (6, 12, 24, 48), strict=True):
        assert out[name].shape == (2, 128, side, side)
        assert out[name].min() == 0  # of ReLU
    assert out["deconv"].shape == (2, 1, 96, 96)
    assert 0 < out[""].min() < out[""].max() < 1


def levels_of_dropout(module):
    return [m.p for m in module.modules() if type(m).__name__ == "Dropout" and m.p]


@pytest.mark.parametrize(
    ("module", "n_dropouts"),
    [
        (CoalaAudioEncoder, 6),  # five blocks and the affine map
        (CoalaAudioDecoder, 4),  # not before the last layer
        (CoalaTagEncoder, 4),  # three layers and the affine map
        (CoalaTagDecoder, 1),  # after the first layer only
        (CoalaCNN, 5),
    ],
)
def test_dropout_is_a_quarter(module, n_dropouts):
    assert levels_of_dropout(module()) == [0.25] * n_dropouts
    assert levels_of_dropout(module(dropout=0.0)) == []


def test_tags_by_hand():
    """Against matrix products and batch statistics in NumPy."""
    encoder = CoalaTagEncoder(5, n_features=4, n_hidden=3, dropout=0.0).double()
    tags = np.eye(5)[[0, 2, 2, 4]] + np.eye(5)[[1, 1, 3, 0]]

    def dense(x, block, relu=True):
        linear = block.linear
        x = x @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
        x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
        return np.maximum(x, 0) if relu else x

    z = tags
    for block in encoder.blocks:
        z = dense(z, block)
    found = encoder(torch.from_numpy(tags))
    np.testing.assert_allclose(found.detach().numpy(), z, atol=1e-9)
    phi = z @ encoder.affine.weight.detach().numpy().T
    np.testing.assert_allclose(encoder.aligned(found).detach(), phi, atol=1e-9)
    decoder = CoalaTagDecoder(5, n_features=4, n_hidden=3, dropout=0.0).double()
    logits = z
    for block in decoder.blocks:
        logits = dense(logits, block)
    logits = dense(logits, decoder, relu=False)
    np.testing.assert_allclose(decoder(found).detach(), logits, atol=1e-9)


def test_integers_are_tags_as_well():
    encoder = CoalaTagEncoder(5, n_features=4, n_hidden=3).eval()
    tags = torch.eye(5, dtype=torch.uint8)
    assert torch.equal(encoder(tags), encoder(tags.float()))


def test_without_tags_only_sound_is_embedded():
    net = Coala({"mel": (96, 43.0)}, n_tags=7, width=0.05).eval()
    patches = torch.rand(3, 96, 96)
    outputs = net({"mel": patches})
    assert sorted(outputs) == ["aligned", "embedding"]
    z = net.audio_encoder(patches)
    assert torch.equal(outputs["embedding"], z)
    assert torch.equal(outputs["aligned"], net.audio_encoder.aligned(z))


def test_patches_are_scaled_by_the_time_within():
    net = Coala({"mel": (96, 43.0)}, n_tags=7, width=0.05).eval()
    scaling = net.audio_encoder.scaling
    scaling.scale.copy_(torch.linspace(0.01, 0.02, 96))
    scaling.minimum.copy_(torch.linspace(0.5, 0.6, 96))
    patches = torch.randn(3, 96, 96)
    outputs = net({"mel": patches, "tags": torch.eye(7)[:3]})
    expected = patches * torch.linspace(0.01, 0.02, 96) + torch.linspace(0.5, 0.6, 96)
    assert torch.allclose(outputs["scaled"], expected)


def test_width():
    net = Coala({"mel": (96, 43.0)}, n_tags=7, width=0.25)
    assert net.audio_encoder.n_features == net.tag_encoder.n_features == 288
    sizes = [m.out_features for m in net.tag_encoder.modules() if type(m) is nn.Linear]
    assert sizes == [128, 128, 288, 288]


def test_classifier_is_the_network_of_the_paper():
    net = CoalaTagger({"mel": (96, 43.0)}, n_outputs=1000)
    assert sum(p.numel() for p in net.parameters()) == 3_533_800
    net, patches = net.eval(), torch.rand(2, 96, 96)
    with torch.no_grad():
        z = layer_outputs(net, [net.hidden_layers[-1]], {"mel": patches})["network"]
        assert z.shape == (2, 1152)
        assert torch.equal(net({"mel": patches})["mel"], net.network.logits(z))
