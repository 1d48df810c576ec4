"""FCN, CRNN and MusiCNN: laws of the networks, and numbers of a NumPy of their own."""

import numpy as np
import pytest
import torch
from taggers import reference, small_tagger

from skaudio._weights._read import read_weights
from skaudio.embedding import save_weights
from skaudio.nn import CRNNTagger, FCNTagger, MusiCNN, folded, layer_outputs
from skaudio.nn.taggers import spread

KINDS = {"fcn": FCNTagger, "crnn": CRNNTagger, "musicnn": MusiCNN}
PUBLISHED = (
    "mtat_fcn", "msd_fcn", "jamendo_fcn", "msd_crnn", "jamendo_crnn", "mtat_musicnn",
    "jamendo_musicnn",
)  # fmt: skip


@pytest.fixture(scope="module")
def file_of(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taggers")

    def write(kind):
        path = folder / f"{kind}.pth"
        if not path.exists():
            torch.save(small_tagger(kind), path)
        return path

    return write


def noise(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    swell = np.sin(np.linspace(0, 20, n_samples)) ** 2
    return (rng.standard_normal(n_samples) * swell / 10).astype(np.float32)


def assert_layers_equal(network, kind, state, x, rtol=1e-5):
    expected, logits = reference(kind, state, x)
    waveform = torch.from_numpy(x)[None, None]
    with torch.inference_mode():
        found = layer_outputs(network, (*network.hidden_layers, "output"), waveform)
    for name, values in zip(
        (*network.hidden_layers, "output"), (*expected, logits), strict=True
    ):
        ours = found[name][0].numpy()
        assert ours.shape == values.shape, name
        error = np.abs(ours - values).max() / np.abs(values).max()
        assert error < rtol, (name, error)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_samples", [300, 16_000, 70_001])
def test_all_layers_equal_those_of_numpy(kind, n_samples, file_of):
    network = read_weights(file_of(kind)).network
    assert type(network) is KINDS[kind]
    assert_layers_equal(network, kind, small_tagger(kind), noise(n_samples))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_equal_numpy(name, shared_data):
    path = shared_data / "weights" / f"{name}.pth"
    if not path.exists():
        pytest.skip("the published weights are not here")
    state = torch.load(path, weights_only=True, map_location="cpu")
    network = folded(read_weights(path).network)
    kind = name.partition("_")[2]
    assert_layers_equal(network, kind, state, noise(24_000))


def test_numbers_of_parameters(may_use_global_rng):
    def n_parameters(network):
        return sum(p.numel() for p in network.parameters())

    def convolution(n_in, n_out, size=9):
        return n_in * n_out * size + n_out + 2 * n_out  # with normalisation

    below = convolution(1, 64) + convolution(64, 128) + 2 * convolution(128, 128)
    fcn = 2 + below + convolution(128, 64) + 64 * 50 + 50
    gru = 96 * (128 + 32) + 96 * (32 + 32) + 4 * 96
    crnn = 2 + below + gru + 32 * 50 + 50
    front = convolution(1, 204, 67 * 7) + convolution(1, 204, 38 * 7)
    front += sum(convolution(1, 51, n) for n in (129, 65, 33))
    middle = convolution(561, 64, 7) + 2 * convolution(64, 64, 7)
    dense = 2 * (561 + 3 * 64) * 200 + 200 + 2 * 200
    musicnn = 2 + front + middle + dense + 200 * 50 + 50
    assert n_parameters(FCNTagger()) == fcn == 447_732
    assert n_parameters(CRNNTagger()) == crnn == 394_100
    assert n_parameters(MusiCNN()) == musicnn == 784_300


def test_maps_of_half_a_minute_are_those_of_the_tables(may_use_global_rng):
    x = torch.zeros(1, 1, FCNTagger.n_samples)
    for network, sizes in (
        (FCNTagger(width=0.05), [(48, 455), (24, 113), (12, 28), (4, 5), (1, 1)]),
        (CRNNTagger(width=0.05), [(48, 910), (16, 303), (4, 75), (1, 18)]),
    ):
        names = network.hidden_layers[: len(sizes)]
        with torch.inference_mode():
            outputs = layer_outputs(network.eval(), names, x)
        assert [tuple(outputs[name].shape[2:]) for name in names] == sizes


def test_of_a_minute_fcn_takes_the_maximum():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = FCNTagger(3, width=0.1).eval()
    x = torch.from_numpy(noise(2 * network.n_samples))[None, None]
    with torch.inference_mode():
        outputs = layer_outputs(network, ("blocks.4", "output"), x)
        maps = outputs["blocks.4"]
        assert tuple(maps.shape[2:]) == (1, 2)
        assert (maps[..., 0] != maps[..., 1]).any()
        expected = network.output(maps.amax((2, 3)))
    np.testing.assert_array_equal(outputs["output"], expected)


@pytest.mark.parametrize("kind", ["fcn", "crnn"])
@pytest.mark.parametrize("period", [1, 2, 5, 12])
def test_periods_may_be_left_out_of_a_repeated_sound(kind, period, file_of):
    network = folded(read_weights(file_of(kind)).network)
    n_samples, unit = network.n_samples, network.unit
    n_left_out = int((n_samples / unit - period - 2) // period)
    if n_left_out < 1:
        pytest.skip("no whole period can be left out")
    whole = np.resize(noise(period * unit), n_samples)
    rest = whole[: n_samples - n_left_out * period * unit]
    whole, rest = (torch.from_numpy(x)[None, None] for x in (whole, rest))
    layers = (*network.hidden_layers, "output")
    with torch.inference_mode():
        expected = layer_outputs(network, layers, whole)
        found = layer_outputs(network, layers, rest, period, n_left_out)
    for name in layers:
        per_unit = network.steps_per_unit.get(name)
        values = found[name]
        if per_unit:
            values = spread(values, per_unit, period, n_left_out)
        torch.testing.assert_close(values, expected[name], rtol=1e-4, atol=1e-5)


def test_what_is_left_out_matters(file_of):
    """One unit less than a whole period is another sound."""
    network = folded(read_weights(file_of("crnn")).network)
    unit, n_samples = network.unit, network.n_samples
    whole = np.resize(noise(5 * unit), n_samples)
    rest = torch.from_numpy(whole[: n_samples - 10 * unit])[None, None]
    with torch.inference_mode():
        right = network(torch.from_numpy(whole)[None, None])
        wrong = network(rest, 4, 2)
    assert (right - wrong).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_their_rows(kind, file_of):
    network = read_weights(file_of(kind)).network
    x = torch.from_numpy(np.stack([noise(40_000, seed) for seed in range(3)]))[:, None]
    with torch.inference_mode():
        together = network(x)
        alone = torch.cat([network(row[None]) for row in x])
        at_once = (
            network._forward(x, 0, 0) if kind != "musicnn" else network._forward(x)
        )
    torch.testing.assert_close(together, alone, rtol=0, atol=0)
    torch.testing.assert_close(at_once, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_parameter(kind, may_use_global_rng):
    torch.manual_seed(0)
    options = {"n_high": 4, "n_long": 2} if kind == "musicnn" else {"width": 0.1}
    network = KINDS[kind](3, **options).train()
    x = torch.from_numpy(np.stack([noise(60_000, seed) for seed in range(4)]))[:, None]
    network(x).square().sum().backward()
    without = [k for k, p in network.named_parameters() if not p.grad.abs().sum() > 0]
    # biases before normalisation have none, up to rounding
    assert [name for name in without if not name.endswith("conv.bias")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_own_files_hold_the_same_network(kind, file_of, tmp_path):
    pretrained = read_weights(file_of(kind))
    save_weights(pretrained, tmp_path / "own.safetensors")
    again = read_weights(tmp_path / "own.safetensors")
    assert (again.kind, again.layout, again.sr) == ("tagger", pretrained.layout, 16_000)
    x = torch.from_numpy(noise(16_000))[None, None]
    with torch.inference_mode():
        assert torch.equal(again.network(x), pretrained.network(x))


def test_numbers_of_filters_must_fit_the_table():
    with pytest.raises(ValueError, match="filters needs 5 numbers, one per block; got"):
        FCNTagger(filters=(8, 8))


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_are_not_what_they_look_like(kind, tmp_path):
    def error(state):
        torch.save(state, tmp_path / "file.pth")
        with pytest.raises(ValueError, match=r"file\.pth cannot be used") as caught:
            read_weights(tmp_path / "file.pth")
        return str(caught.value)

    state = small_tagger(kind)
    filters = state["spec.mel_scale.fb"]
    assert "wanted (257, 96)" in error(state | {"spec.mel_scale.fb": filters[:, :64]})
    name = next(k for k in state if k.endswith("conv.weight"))
    assert "missing" in error({k: v for k, v in state.items() if k != name})
    assert "unexpected" in error(state | {"attention.weight": torch.ones(2)})
    nan = state[name].clone()
    nan.view(-1)[0] = np.nan
    assert "diverged" in error(state | {name: nan})


def test_filters_are_those_of_the_file(tmp_path):
    state = small_tagger("fcn")
    state["spec.mel_scale.fb"] = state["spec.mel_scale.fb"].flip(1)
    torch.save(state, tmp_path / "file.pth")
    network = read_weights(tmp_path / "file.pth").network
    assert_layers_equal(network, "fcn", state, noise(9000))


def test_files_without_filters_are_read(file_of, tmp_path):
    """torchaudio stopped keeping windows in state dictionaries."""
    state = {k: v for k, v in small_tagger("fcn").items() if not k.startswith("spec.")}
    torch.save(state, tmp_path / "file.pth")
    a, b = (read_weights(p).network for p in (file_of("fcn"), tmp_path / "file.pth"))
    x = torch.from_numpy(noise(9000))[None, None]
    with torch.inference_mode():
        assert torch.equal(a(x), b(x))


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gives_the_same(kind, file_of):
    network = folded(read_weights(file_of(kind)).network)
    x = torch.from_numpy(np.stack([noise(80_000, seed) for seed in range(3)]))[:, None]
    with torch.inference_mode():
        expected = network(x)
        found = network.cuda()(x.cuda()).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)
