"""`PretrainedClassifier`: training that starts from the weights of a file."""

import numpy as np
import pytest
import torch
from published import tiny_samplecnn
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from taggers import small_tagger

from skaudio._weights._catalogue import PUBLISHED
from skaudio._weights._read import read_weights
from skaudio.datasets import make_sounds
from skaudio.embedding import LayerEmbedder, save_weights
from skaudio.inspection import deconvolve, effective_kernel_size
from skaudio.neural_network import (
    DistilledClassifier,
    FineTunedClassifier,
    PretrainedClassifier,
    SwishNetClassifier,
)
from skaudio.nn import CoalaCNN
from skaudio.persistence import load, save
from skaudio.views import MelView

STILL = {"lr": 1e-12, "max_epochs": 1, "random_state": 0, "device": "cpu"}
NET = {"max_epochs": 2, "random_state": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def clips():
    return make_sounds(n_clips=12, n_classes=3, sr=16_000, duration=0.4, random_state=0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    for kind in ("fcn", "crnn", "musicnn"):
        torch.save(small_tagger(kind), folder / f"{kind}.pth")
    sample = folder / "sample.safetensors"
    save_weights(read_weights(tiny_samplecnn(9, 9, 9)), sample, sr=16_000)
    return {p.stem: p for p in folder.iterdir()}


KINDS = ("fcn", "crnn", "musicnn", "sample")


def state_of(clf):
    return {k: v.numpy() for k, v in clf.net_.module_.network.state_dict().items()}


def state_of_file(path):
    return {k: v.numpy() for k, v in read_weights(path).network.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_all_but_the_output_start_from_the_file(kind, files, clips):
    clf = PretrainedClassifier(files[kind], **STILL).fit(*clips)
    ours, theirs = state_of(clf), state_of_file(files[kind])
    assert ours.keys() == theirs.keys()
    assert ours["output.weight"].shape[0] == 3
    for name in theirs:
        learned = "running" not in name and "num_batches" not in name
        if learned and not name.startswith("output."):
            np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_frozen_stays_to_the_bit(kind, files, clips):
    clf = PretrainedClassifier(files[kind], freeze=1.0, **NET, lr=0.1).fit(*clips)
    ours, theirs = state_of(clf), state_of_file(files[kind])
    for name in theirs:
        if not name.startswith("output."):
            np.testing.assert_array_equal(ours[name], theirs[name])
    free = PretrainedClassifier(files[kind], **NET, lr=0.1).fit(*clips)
    changed = {n for n, v in state_of(free).items() if not np.array_equal(v, ours[n])}
    stages = free.net_.module_.stages
    assert all(
        any(name.startswith(f"{part.removeprefix('network.')}.") for name in changed)
        for stage in stages
        for part in stage
    )


def test_freeze_counts_stages_from_the_bottom(files, clips):
    half = PretrainedClassifier(files["fcn"], freeze=0.5, **NET, lr=0.1).fit(*clips)
    named = PretrainedClassifier(
        files["fcn"], freeze=("input", 0, 1), **NET, lr=0.1
    ).fit(*clips)
    for name, values in state_of(half).items():
        np.testing.assert_array_equal(values, state_of(named)[name])
    theirs = state_of_file(files["fcn"])
    weights = [f"blocks.{i}.conv.weight" for i in range(5)]
    kept = [np.array_equal(state_of(half)[name], theirs[name]) for name in weights]
    assert kept == [True, True, False, False, False]


def test_frozen_below_it_is_logistic_regression_on_the_network(files, clips):
    """The output layer sees what the network of the file gives, dropout apart."""
    X, y = clips
    clf = PretrainedClassifier(files["musicnn"], freeze=1.0, dropout=0.0, **NET)
    clf.fit(X, y)
    network = read_weights(files["musicnn"]).network
    network.output = torch.nn.Identity()
    with torch.inference_mode():
        features = network(torch.from_numpy(X.astype(np.float32))[:, None]).numpy()
    output = clf.net_.module_.network.output
    logits = features @ output.weight.detach().numpy().T + output.bias.detach().numpy()
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(clf.predict_proba(X), proba, rtol=1e-4, atol=1e-6)


def test_it_learns(files, clips):
    X, y = clips
    options = {"max_epochs": 40, "batch_size": 6, "lr": 0.01, "random_state": 0}
    clf = PretrainedClassifier(files["musicnn"], dropout=0.0, device="cpu", **options)
    assert clf.fit(X, y).score(X, y) > 0.9


def test_fine_tuning_goes_on_from_it(files, clips):
    """Output layer first, then what is above the lower half."""
    X, y = clips
    first = PretrainedClassifier(files["fcn"], freeze=1.0, **NET)
    tuned = FineTunedClassifier(
        first, freeze=0.5, lr=0.01, max_epochs=2, random_state=0
    )
    tuned.fit(X, y)
    theirs, ours = state_of_file(files["fcn"]), state_of(tuned.estimator_)
    for name in ("blocks.0.conv.weight", "blocks.1.norm.running_mean"):
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert not np.array_equal(
        ours["blocks.4.conv.weight"], theirs["blocks.4.conv.weight"]
    )
    assert tuned.frozen_layers_ == [
        f"network.{n}" for n in ("input", "blocks.0", "blocks.1")
    ]


def test_a_fitted_one_needs_no_file(files, clips, tmp_path):
    X, y = clips
    path = tmp_path / "weights.pth"
    path.write_bytes(files["crnn"].read_bytes())
    clf = PretrainedClassifier(str(path), **NET).fit(X, y)
    save(clf, tmp_path / "clf.safetensors")
    path.unlink()
    proba = clf.predict_proba(X)
    again = load(tmp_path / "clf.safetensors")
    np.testing.assert_array_equal(again.predict_proba(X), proba)
    hidden = LayerEmbedder(FrozenEstimator(again), layers=("network.rnn",))
    assert hidden.fit_transform(X).shape[0] == len(X)
    with pytest.raises(FileNotFoundError):
        clone(again).fit(X, y)


def test_a_teacher(files, clips):
    X, y = clips
    teacher = FrozenEstimator(PretrainedClassifier(files["fcn"], **NET).fit(X, y))
    student = SwishNetClassifier(
        views=MelView(sr=16_000, n_mels=16), max_epochs=1, random_state=0
    )
    student = DistilledClassifier(student, teacher).fit(X, y)
    assert student.predict_proba(X).shape == (12, 3)


def test_tags(files, clips):
    X, _ = clips
    y = np.random.default_rng(0).integers(0, 2, (12, 4))
    clf = PretrainedClassifier(files["fcn"], **NET).fit(X, y)
    proba = clf.predict_proba(X)
    assert proba.shape == (12, 4)
    np.testing.assert_array_equal(clf.predict(X), proba > 0.5)


def test_length_of_segments(files, clips):
    X, y = clips

    def seconds(kind, length="auto", X=X):
        options = {"segment_length": length, **STILL}
        return PretrainedClassifier(files[kind], **options).fit(X, y)._spec.seconds

    assert seconds("fcn") == pytest.approx(0.4)  # the median clip
    short = np.asarray(X)[:, :10]
    assert seconds("fcn", X=short) == pytest.approx(
        0.064
    )  # a spectrogram of a few frames
    long = np.tile(X, 10)
    assert seconds("musicnn", X=long) == 3.0  # no more than it was trained on
    assert seconds("fcn", X=long) == pytest.approx(4.0)
    assert seconds("fcn", 0.2) == pytest.approx(0.2)
    assert seconds("fcn", 3200) == pytest.approx(0.2)
    assert seconds("musicnn", None, X=long) == pytest.approx(4.0)
    assert seconds("sample") == pytest.approx(729 / 16_000)
    with pytest.raises(ValueError, match=r"segment_length=0\.01 are 160 samples"):
        seconds("fcn", 0.01)
    with pytest.raises(ValueError, match="of this SampleCNN has 729 samples: leave"):
        seconds("sample", 0.2)


def test_what_no_weight_shows(files, clips, tmp_path):
    X, y = clips
    own = {"model_sr": 8000, "network_params": {"negative_slope": 0.2}}
    clf = PretrainedClassifier(files["sample"], **own, **STILL).fit(X, y)
    assert clf._spec.seconds == pytest.approx(729 / 8000)
    assert clf.net_.module_.network.config["negative_slope"] == 0.2
    save(clf, tmp_path / "clf.safetensors")
    again = load(tmp_path / "clf.safetensors")
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    plain = PretrainedClassifier(files["sample"], **STILL).fit(X, y)
    assert not np.allclose(plain.predict_proba(X), clf.predict_proba(X))
    with pytest.raises(ValueError, match="sizes"):
        PretrainedClassifier(files["sample"], network_params={"sizes": (3,)}).fit(X, y)


def test_other_networks_are_refused(tmp_path, clips, may_use_global_rng):
    save_weights(CoalaCNN(3, n_filters=2), tmp_path / "coala.safetensors", sr=22_000)
    clf = PretrainedClassifier(tmp_path / "coala.safetensors")
    wanted = "holds a CoalaCNN; wanted one of FCN, CRNN, MusiCNN, SampleCNN"
    with pytest.raises(ValueError, match=wanted):
        clf.fit(*clips)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_that_of_the_network_unless_said(kind, files, clips):
    def dropout(value):
        clf = PretrainedClassifier(files[kind], dropout=value, **STILL).fit(*clips)
        module = clf.net_.module_.network
        assert module.config["dropout"] == module.dropout.p
        return module.dropout.p

    assert dropout(None) == read_weights(files[kind]).network.dropout.p
    assert dropout(0.1) == 0.1


@pytest.mark.parametrize("name", ["coala-ae-c", "coala-tags-e-c", "coala-cnn"])
def test_names_of_other_networks_are_not_downloaded(name, clips, monkeypatch):
    def locate(*_):
        raise AssertionError("downloads")

    monkeypatch.setattr("skaudio.neural_network._pretrained.locate", locate)
    with pytest.raises(ValueError, match=r"holds a COALA .*; wanted one of FCN"):
        PretrainedClassifier(name).fit(*clips)


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_of_the_four_networks_pass(name, clips, monkeypatch):
    def locate(*_):
        raise LookupError("downloads")

    monkeypatch.setattr("skaudio.neural_network._pretrained.locate", locate)
    error = ValueError if "coala" in name else LookupError
    with pytest.raises(error):
        PretrainedClassifier(name).fit(*clips)


@pytest.mark.parametrize("kind", ["fcn", "crnn", "musicnn"])
def test_inspection_says_why_not(kind, files, clips):
    clf = PretrainedClassifier(files[kind], **STILL).fit(*clips)
    with pytest.raises(ValueError, match="computes a spectrogram by itself"):
        effective_kernel_size(clf)
    with pytest.raises(TypeError, match="such as a spectrogram that the network"):
        deconvolve(clf, clips[0][:1])


def test_names_that_do_not_exist(clips):
    with pytest.raises(FileNotFoundError, match=r"Nearest: .*fcn-mtat"):
        PretrainedClassifier("fcn-mtot").fit(*clips)


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("kind", KINDS)
def test_trains_on_a_gpu(kind, files, clips):
    X, y = clips
    clf = PretrainedClassifier(files[kind], freeze=0.5, max_epochs=2, random_state=0)
    proba = clf.fit(X, y).predict_proba(X)
    np.testing.assert_allclose(
        clf.set_params(device="cpu").predict_proba(X), proba, atol=1e-3
    )
