"""`config` of networks: arguments of the constructor that make equal ones."""

import inspect
import json

import pytest
import torch

import skaudio.nn

# of constructors, where there is no default
REQUIRED = {"n_outputs": 3, "n_bins": 8, "n_steps": 10, "views": {"mel": (8, 50.0)}}
SMALL = {"width": 0.05, "n_filters": 4}
OTHERS = {  # than the defaults
    "SampleCNN": {
        "sizes": (3, 4, 2),
        "filters": (4, 5, 6, 7),
        "top_kernel": 3,
        "dropout": 0.25,
        "first_padding": 1,
        "norm_eps": 1e-3,
        "even_padding": "start",
    },
    "CRNN1d": {"rate": 8000.0, "attention": "temporal"},
    "CRNN2d": {"first_kernel": (3, 8), "first_pool": (2, 4), "dropout": 0.1},
    "MultiViewCRNN": {"branches": "joint", "views": {"raw": (1, 8000.0)}},
    "SingleViewCRNN": {"views": {"raw": (1, 8000.0)}, "dropout": 0.2},
    "MobileNet": {
        **{"width": 0.1, "head_hidden": 0, "dropout": 0.0},
        **{"norm_eps": 1e-3, "negative_slope": 0.1},
    },
    "SpectrogramCNN": {
        **{"filters": (3, 5), "hidden_layer_sizes": (4,), "width": 2.0},
        "dropout": 0.25,
    },
    "SelfNormalizingNet": {"hidden_layer_sizes": (4, 5), "dropout": 0.25},
    "SwishNet": {
        **{"width": 2, "strided": False, "head_hidden": 0, "causal": False},
        **{"dropout": 0.25},
    },
    "FrameLevelCNN": {"n_bins": 1, "win_length": 27, "hop_length": 9, "n_modules": 2},
}


def parameters_of(network):
    return inspect.signature(network).parameters


def made(network, **options):
    names = parameters_of(network)
    known = {k: v for k, v in (REQUIRED | SMALL).items() if k in names}
    with torch.random.fork_rng(devices=[]):
        return network(**known | options)


def networks():
    """Classes of skaudio.nn whose instances have a config."""
    found = []
    for name in skaudio.nn.__all__:
        thing = getattr(skaudio.nn, name)
        if not (isinstance(thing, type) and issubclass(thing, torch.nn.Module)):
            continue
        needed = {
            k
            for k, p in parameters_of(thing).items()
            if p.default is p.empty and k not in REQUIRED
        }
        if not needed and hasattr(made(thing), "config"):
            found.append(thing)
    return found


NETWORKS = networks()


def test_networks_are_found():
    names = {network.__name__ for network in NETWORKS}
    assert names >= {"SampleCNN", "FrameLevelCNN", "CoalaAudioEncoder", "CoalaCNN"}
    assert names >= OTHERS.keys()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("with_defaults", [True, False])
def test_config_makes_an_equal_network(network, with_defaults):
    options = {} if with_defaults else OTHERS.get(network.__name__, {})
    one = made(network, **options)
    assert one.config.keys() == parameters_of(network).keys()
    with torch.random.fork_rng(devices=[]):
        other = network(**json.loads(json.dumps(one.config)))  # plain values
    assert json.dumps(other.config) == json.dumps(one.config)
    assert repr(other) == repr(one)
    other.load_state_dict(one.state_dict())  # the same names and shapes
