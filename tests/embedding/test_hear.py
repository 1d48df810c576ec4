"""HEAR out: what the benchmark's validator asks of a module, and of a model."""

import importlib
import importlib.util
import sys
import types

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skaudio.embedding import (
    HEARModel,
    LayerEmbedder,
    PretrainedEmbedder,
    save_weights,
)
from skaudio.neural_network import SampleCNNClassifier, TwoLayerClassifier
from skaudio.nn import SampleCNN
from skaudio.persistence import save
from skaudio.preprocessing import FrameStatistics
from skaudio.views import MelView

RATES = (16000, 22050, 32000, 44100, 48000)


@pytest.fixture
def noise():
    rng = np.random.default_rng(0)

    def draw(n_sounds, n_samples):
        sound = rng.uniform(-1, 1, (n_sounds, n_samples)).astype(np.float32)
        return torch.from_numpy(sound)

    return draw


@pytest.fixture(params=["weights", "coala", "embedder", "pipeline"])
def model_file(request, tmp_path, samplecnn, noise):
    """Path of each kind of file that `load_model` takes."""
    if request.param == "coala":  # 22,000 Hz is no rate of the benchmark
        return str(request.getfixturevalue("coala"))
    if request.param == "weights":
        path = tmp_path / "weights.safetensors"
        with torch.random.fork_rng(devices=[]):
            save_weights(SampleCNN(4, sizes=(3,) * 6, width=0.1), path, sr=16000)
        return str(path)
    path = tmp_path / "saved.safetensors"
    X = noise(4, 8000).numpy()
    if request.param == "embedder":  # at 8 kHz, below all rates of the benchmark
        save(PretrainedEmbedder(samplecnn, layers=(-3, -1)).fit(X), path)
    else:
        view = MelView(sr=22050, n_mels=6)
        save(make_pipeline(view, FrameStatistics(), StandardScaler()).fit(X), path)
    return str(path)


@pytest.fixture
def module():
    return importlib.import_module("skaudio.embedding.hear")


@pytest.fixture
def model(module, model_file):
    return module.load_model(model_file)


# ---------------------------------------------------------------- the validator's list


def test_a_model_is_a_torch_module_that_moves(model):
    assert isinstance(model, torch.nn.Module)
    assert model.to("cpu") is model


def test_rate_is_one_of_the_benchmark(model):
    assert model.sample_rate in RATES
    assert type(model.sample_rate) is int


def test_sizes_are_plain_integers(model):
    assert type(model.scene_embedding_size) is int
    assert type(model.timestamp_embedding_size) is int


def test_scene_embeddings(module, model, noise):
    audio = noise(4, int(2.74 * model.sample_rate))
    embeddings = module.get_scene_embeddings(audio, model)
    assert embeddings.dtype == torch.float32
    assert embeddings.shape == (4, model.scene_embedding_size)


@pytest.mark.parametrize("seconds", [1.07, 1.98, 4.0, 0.03])
def test_timestamp_embeddings(module, model, noise, seconds):
    audio = noise(2, int(seconds * model.sample_rate))
    embeddings, times = module.get_timestamp_embeddings(audio, model)
    assert embeddings.dtype == torch.float32
    assert embeddings.shape == (*times.shape, model.timestamp_embedding_size)
    assert len(times) == 2
    steps = torch.diff(times)
    assert (steps > 0).all()
    assert torch.allclose(steps, torch.tensor(50.0), atol=0.1)  # at most 50 ms apart
    assert (times[:, 0] <= 50).all()
    end = 1000 * audio.shape[1] / model.sample_rate
    assert (times[:, -1] <= end).all()
    assert (times[:, -1] > end - 50 - 1e-3).all()


def test_there_are_no_weights_by_default(module):
    with pytest.raises(ValueError, match="skaudio comes without weights"):
        module.load_model()


# ---------------------------------------------------------------- models in memory


def test_a_model_gives_what_its_embedder_gives(samplecnn, noise):
    embedder = PretrainedEmbedder(samplecnn)
    model = HEARModel(embedder)
    assert model.sample_rate == 8000
    audio = noise(3, 4000)
    X = list(audio.numpy())
    scenes = model.get_scene_embeddings(audio)
    np.testing.assert_array_equal(scenes, embedder.transform(X))
    frames, times = model.get_timestamp_embeddings(audio)
    expected, seconds = embedder.transform_frames(X, hop=0.05)
    np.testing.assert_array_equal(frames, expected.swapaxes(1, 2))
    np.testing.assert_allclose(times, 1000 * seconds)


def test_a_batch_is_its_sounds(model, noise):
    audio = noise(3, model.sample_rate // 2)
    scenes = model.get_scene_embeddings(audio)
    frames, _ = model.get_timestamp_embeddings(audio)
    for i in range(3):
        alone = model.get_scene_embeddings(audio[i : i + 1])
        torch.testing.assert_close(alone[0], scenes[i])
        alone, _ = model.get_timestamp_embeddings(audio[i : i + 1])
        torch.testing.assert_close(alone[0], frames[i])


def test_sound_at_another_rate_is_resampled(samplecnn, noise):
    embedder = PretrainedEmbedder(samplecnn)
    model = HEARModel(embedder, sr=16000)
    assert model.sample_rate == 16000
    audio = noise(2, 8000)
    expected = PretrainedEmbedder(samplecnn, sr=16000).transform(audio.numpy())
    np.testing.assert_array_equal(model.get_scene_embeddings(audio), expected)
    at_16000 = HEARModel(PretrainedEmbedder(samplecnn, sr=16000))
    assert at_16000.sample_rate == 16000
    np.testing.assert_array_equal(at_16000.get_scene_embeddings(audio), expected)


def test_layers_of_a_classifier_have_the_hop_of_the_model(sounds):
    X, y = sounds
    net = SampleCNNClassifier(sr=8000, sizes=(3,) * 6, width=0.02, max_epochs=1)
    embedder = LayerEmbedder(FrozenEstimator(net.set_params(random_state=0).fit(X, y)))
    model = HEARModel(embedder.fit(X), hop=0.1)
    frames, times = model.get_timestamp_embeddings(torch.from_numpy(X[:3].copy()))
    np.testing.assert_allclose(times[0], [50, 150, 250, 350, 450], atol=1e-3)
    expected, seconds = embedder.transform_frames(X[:3], hop=0.1)
    np.testing.assert_array_equal(frames, expected.swapaxes(1, 2))
    np.testing.assert_allclose(times, 1000 * seconds, atol=1e-3)


def test_windows_of_a_pipeline(noise):
    pipeline = make_pipeline(MelView(sr=8000, n_mels=6), FrameStatistics())
    audio = noise(2, 8000)
    model = HEARModel(pipeline.fit(audio.numpy()), hop=0.1, frame_length=0.2)
    frames, times = model.get_timestamp_embeddings(audio)
    np.testing.assert_allclose(times[0], np.arange(50, 1000, 100))
    window = audio[1, 2000 : 2000 + 1600].numpy()  # around 350 ms
    np.testing.assert_array_equal(frames[1, 3], pipeline.transform([window])[0])
    first = np.pad(audio[1, :1200].numpy(), (400, 0))
    np.testing.assert_array_equal(frames[1, 0], pipeline.transform([first])[0])


def test_there_and_back(samplecnn, noise):
    embedder = PretrainedEmbedder(samplecnn)
    back = PretrainedEmbedder(HEARModel(embedder), cache=False)
    X = noise(2, 4000).numpy()
    np.testing.assert_array_equal(back.fit_transform(X), embedder.transform(X))
    assert back.sample_rate_ == 8000
    again = HEARModel(back)  # keeps the hop that the inner one has
    _, times = again.get_timestamp_embeddings(torch.from_numpy(X))
    assert times.shape == (2, 10)


def test_what_cannot_be_a_model(noise):
    X = noise(2, 800).numpy()
    with pytest.raises(TypeError, match="LogisticRegression has not"):
        HEARModel(LogisticRegression())
    with pytest.raises(ValueError, match=r"MelView gives .* Add FrameStatistics"):
        HEARModel(MelView(sr=8000).fit(X))
    with pytest.raises(ValueError, match=r"StandardScaler has no rate .* sr=\.\.\."):
        HEARModel(StandardScaler())
    two = make_pipeline(MelView(sr=8000), MelView(sr=16000))
    with pytest.raises(ValueError, match=r"several rates, \[8000, 16000\]"):
        HEARModel(two)
    model = HEARModel(make_pipeline(MelView(sr=8000), FrameStatistics()).fit(X))
    with pytest.raises(ValueError, match=r"shape \(n_sounds, n_samples\); got \(9,\)"):
        model.get_scene_embeddings(torch.zeros(9))


def test_a_frozen_pipeline_has_the_rate_of_its_view(module, sounds, tmp_path):
    X, y = sounds
    classifier = TwoLayerClassifier(
        n_hidden=8, max_epochs=1, segment_length=12, random_state=0
    )
    pipeline = make_pipeline(MelView(sr=8000, n_mels=8), classifier).fit(X, y)
    embedder = LayerEmbedder(FrozenEstimator(pipeline), layers=(-1,)).fit(X)
    assert HEARModel(embedder).sample_rate == 8000
    assert HEARModel(make_pipeline(FrozenEstimator(embedder))).sample_rate == 8000
    save(embedder, tmp_path / "embedder.safetensors")
    model = module.load_model(str(tmp_path / "embedder.safetensors"))
    assert (model.sample_rate, model.rate) == (16000, 8000)
    scenes = HEARModel(embedder).get_scene_embeddings(torch.from_numpy(X[:2].copy()))
    np.testing.assert_array_equal(scenes, embedder.transform(X[:2]))


def test_a_rate_that_no_part_has_can_be_said(module, noise, tmp_path):
    scaler = StandardScaler().fit(noise(4, 8000).numpy())
    path = str(tmp_path / "scaler.safetensors")
    save(scaler, path)
    with pytest.raises(ValueError, match=r"no rate .* embedder_sr=\.\.\. .*load_model"):
        module.load_model(path)
    model = HEARModel(FunctionTransformer(first_samples), sr=16000, embedder_sr=8000)
    assert (model.sample_rate, model.rate) == (16000, 8000)
    audio = noise(2, 16000)
    assert model.get_scene_embeddings(audio).shape == (2, 10)


def first_samples(clips):
    assert {len(clip) for clip in clips} <= {8000}  # resampled
    return np.stack([clip[:10] for clip in clips])


# ---------------------------------------------------------------- HEAR's own validator


@pytest.fixture
def validate(monkeypatch):
    """The package hearvalidator, of which only parts we never reach use TensorFlow."""
    if importlib.util.find_spec("hearvalidator") is None:
        pytest.skip("hearvalidator is not installed")
    if importlib.util.find_spec("tensorflow") is None:
        stub = types.ModuleType("tensorflow")
        stub.Module = type("Module", (), {})
        monkeypatch.setitem(sys.modules, "tensorflow", stub)
    return importlib.import_module("hearvalidator.validate").ValidateModel


def test_the_validator_of_hear_passes(validate, model_file, capsys):
    with torch.random.fork_rng(devices=[]):
        validate("skaudio.embedding.hear", model_file, device="cpu")()
    assert "Interval between timestamps is 50.0" in capsys.readouterr().out
