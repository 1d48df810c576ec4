"""Pretrained embedders: what a row is, and what it does not depend on."""

import copy
import hashlib
import pickle
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio._weights._read import read_weights
from skaudio.embedding import PretrainedEmbedder, save_weights
from skaudio.embedding._backends._samplecnn import SampleCNNNetwork
from skaudio.nn import CoalaInput, layer_outputs

DOCS = Path(__file__).resolve().parents[2] / "docs"
FEATURES = {-1: 51, -2: 51, -3: 51}


class Scenes:
    """A model of the HEAR protocol that counts what it is asked for."""

    sample_rate = 8000
    scene_embedding_size = 3
    timestamp_embedding_size = 2

    def __init__(self, gain=1.0):
        self.gain = gain
        self.batches = []

    def __getstate__(self):
        return {"gain": self.gain}

    def __setstate__(self, state):
        self.__init__(**state)

    def get_scene_embeddings(self, audio):
        assert audio.dtype == torch.float32
        self.batches.append(tuple(audio.shape))
        level = audio.abs().amax(1) * self.gain
        return torch.stack([level, audio.amin(1), audio[:, 0]], 1)

    def get_timestamp_embeddings(self, audio):
        frames = audio.unfold(1, 400, 400)
        times = (torch.arange(frames.shape[1]) + 0.5) * 50
        values = torch.stack([frames.amax(2), frames.amin(2)], 2)
        return values, times.expand(len(audio), -1)


@pytest.fixture
def module(monkeypatch):
    """A module as HEAR packages have it, which can be imported by name."""
    made = types.ModuleType("made_up_hear_package")
    made.loaded = []

    class Model(torch.nn.Module):
        sample_rate = 8000
        scene_embedding_size = 1

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.full((), 2.0))

    def load_model(path=""):
        made.loaded.append(path)
        return Model()

    made.load_model = load_model
    made.get_scene_embeddings = lambda audio, model: (
        audio.amax(1, keepdim=True) * model.weight
    )
    made.get_timestamp_embeddings = lambda audio, model: (
        audio[:, :1, None] * model.weight,
        torch.zeros(len(audio), 1),
    )
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


@pytest.fixture(params=["samplecnn", "coala", "object"])
def embedder(request):
    if request.param == "object":
        return PretrainedEmbedder(Scenes(), cache=False)
    path = request.getfixturevalue(request.param)
    return PretrainedEmbedder(path, sr=8000, cache=False)


@pytest.fixture
def paths(clips, tmp_path):
    found = [tmp_path / f"{i}.wav" for i in range(len(clips))]
    for path, clip in zip(found, clips, strict=True):
        soundfile.write(path, clip, 8000, subtype="FLOAT")
    return found


# ------------------------------------------------------------------ rows


def test_a_row_alone_is_the_row_among_others(embedder, clips):
    together = embedder.transform(clips)
    assert together.dtype == np.float32
    for row, clip in enumerate(clips):
        np.testing.assert_array_equal(embedder.transform([clip])[0], together[row])
    np.testing.assert_array_equal(embedder.transform(clips[::-1]), together[::-1])


def test_paths_are_arrays(embedder, clips, paths):
    np.testing.assert_array_equal(embedder.transform(paths), embedder.transform(clips))
    embedder = clone(embedder).set_params(n_jobs=2)
    mixed = [*map(str, paths[:3]), *clips[3:]]
    np.testing.assert_array_equal(embedder.transform(mixed), embedder.transform(clips))


def test_rows_of_an_array_are_clips(embedder, clips):
    X = np.stack(clips[4:6])
    np.testing.assert_array_equal(embedder.transform(X), embedder.transform(clips[4:6]))
    doubles = embedder.transform(X.astype(np.float64))
    np.testing.assert_allclose(doubles, embedder.transform(X), rtol=1e-4, atol=1e-5)
    assert doubles.dtype == np.float32


def test_failed_clips_keep_their_rows(embedder, clips, paths):
    X = [paths[4], "missing.wav", clips[6], np.full(9, np.nan), clips[5]]
    with pytest.raises(FileNotFoundError, match=r"missing\.wav does not exist"):
        embedder.transform(X)
    embedder = clone(embedder).set_params(on_error="nan", cache=True).fit(X)
    for _ in range(2):  # a failure is not remembered: it is reported again
        table = embedder.transform(X)
        assert [error["row"] for error in embedder.errors_] == [1, 3]
        assert np.isnan(table[[1, 3]]).all()
        good = embedder.transform([clips[4], clips[6], clips[5]])
        np.testing.assert_array_equal(table[[0, 2, 4]], good)
        assert embedder.errors_ == []
    with pytest.warns(UserWarning, match="^2 of 5 clips could not be loaded"):
        embedder.set_params(on_error="warn").transform(X)
    frames, times = embedder.set_params(on_error="nan").transform_frames(X)
    assert frames[1].shape == (frames[0].shape[0], 1)
    assert np.isnan(frames[1]).all()
    assert times[1].tolist() == [0.0]


def test_one_warning_for_all_parts_and_equal_clips(embedder, clips, monkeypatch):
    """Rows that are embedded once, because they are equal, all failed."""
    monkeypatch.setattr("skaudio._audio._parts.MOST_CLIPS", 2)
    X = [clips[4], "no.wav", clips[4], clips[5], np.full(9, np.nan), np.full(9, np.nan)]
    embedder = clone(embedder).set_params(on_error="warn", cache=True)
    with pytest.warns(UserWarning, match="^3 of 6 clips .*row 1: .*row 4: ") as told:
        table = embedder.transform(X)
    assert len(told) == 1
    assert [error["row"] for error in embedder.errors_] == [1, 4, 5]
    assert np.isnan(table[[1, 4, 5]]).all()
    assert np.isfinite(table[[0, 2, 3]]).all()
    with pytest.warns(UserWarning, match="^3 of 6 clips ") as told:
        embedder.transform_frames(X)
    assert len(told) == 1


class Overflowing(Scenes):
    """Gives infinity for sound that is loud."""

    def get_scene_embeddings(self, audio):
        embeddings = super().get_scene_embeddings(audio)
        embeddings[audio.abs().amax(dim=1) > 10] = np.inf
        return embeddings

    def get_timestamp_embeddings(self, audio):
        embeddings, times = super().get_timestamp_embeddings(audio)
        embeddings[audio.abs().amax(dim=1) > 10] = np.nan
        return embeddings, times


@pytest.mark.parametrize("method", ["transform", "transform_frames"])
def test_an_embedding_that_is_not_finite_is_an_error_of_its_clip(clips, method):
    X = [clips[5], clips[6], 1e4 * clips[5], clips[4]]
    embedder = PretrainedEmbedder(Overflowing(), on_error="warn")
    with pytest.warns(
        UserWarning, match=r"^1 of 4 clips .*row 2: Clip 2 of X is finite"
    ):
        out = getattr(embedder, method)(X)
    rows = out if method == "transform" else out[0]
    assert [bool(np.isnan(row).all()) for row in rows] == [False, False, True, False]
    assert [error["row"] for error in embedder.errors_] == [2]
    with pytest.raises(ValueError, match=r"Clip 2 of X is finite .* embedding is not"):
        getattr(embedder.set_params(on_error="raise"), method)(X)


def test_messages_name_rows_of_x(clips):
    X = [*clips, np.full(9, np.nan)]
    embedder = PretrainedEmbedder(Scenes())
    embedder.transform(clips)  # remembered: only the last one is loaded
    with pytest.raises(ValueError, match="Clip 7 of X contains NaN"):
        embedder.transform(X)


# ------------------------------------------------------------------ rates


def test_arrays_at_another_rate_are_resampled(clips, tmp_path, samplecnn):
    clip = clips[-1]
    soundfile.write(tmp_path / "other.wav", clip, 11025, subtype="FLOAT")
    embedder = PretrainedEmbedder(samplecnn)
    file = embedder.transform([tmp_path / "other.wav"])
    same = clone(embedder).set_params(sr=11025).transform([clip])
    np.testing.assert_array_equal(same, file)
    matrix = clone(embedder).set_params(sr=11025).transform(clip[None])
    np.testing.assert_array_equal(matrix, file)
    assert not np.array_equal(embedder.transform([clip]), file)


def test_model_sr_replaces_the_rate_in_the_file(clips, samplecnn):
    embedder = PretrainedEmbedder(samplecnn).fit(clips)
    assert embedder.sample_rate_ == 8000
    other = PretrainedEmbedder(samplecnn, model_sr=11025).fit(clips)
    assert other.sample_rate_ == 11025
    np.testing.assert_array_equal(other.transform(clips), embedder.transform(clips))


def test_a_model_has_to_say_its_rate(clips):
    class Silent(Scenes):
        sample_rate = None

    with pytest.raises(ValueError, match="Silent has no sample_rate"):
        PretrainedEmbedder(Silent()).fit(clips)
    assert PretrainedEmbedder(Silent(), model_sr=8000).fit(clips).sample_rate_ == 8000


# ------------------------------------------------------------------ SampleCNN


def published(net, clip, layers):
    """As the authors' script: even windows, maxima over time, mean over windows."""
    length = net.n_samples
    n = len(clip) // length + 1
    step = (len(clip) - length) // (n - 1)
    names = [net.hidden_layers[layer] for layer in layers]
    rows = []
    for i in range(n):
        segment = torch.from_numpy(clip[i * step : i * step + length])[None, None]
        with torch.inference_mode():
            outputs = layer_outputs(net, names, segment)
        rows.append(np.concatenate([outputs[n].numpy()[0].max(1) for n in names]))
    return np.mean(rows, axis=0)


@pytest.mark.parametrize("layers", [(-1,), (-3, -2, -1), (-1, -2), (0, 3)])
def test_samplecnn_is_as_published(samplecnn, clips, layers):
    net = read_weights(samplecnn).network
    table = PretrainedEmbedder(samplecnn, layers=layers).transform(clips[3:])
    for row, clip in zip(table, clips[3:], strict=True):
        np.testing.assert_allclose(row, published(net, clip, layers), atol=1e-5)


def test_layers_have_names_as_well(samplecnn, clips):
    numbers = PretrainedEmbedder(samplecnn, layers=(2, -1), cache=False)
    names = PretrainedEmbedder(samplecnn, layers=("blocks.2", "blocks.6"), cache=False)
    np.testing.assert_array_equal(numbers.transform(clips), names.transform(clips))
    net = read_weights(samplecnn).network
    logits = PretrainedEmbedder(samplecnn, layers=("output",), n_segments=1)
    with torch.inference_mode():
        expected = net(torch.from_numpy(np.tile(clips[1], 2)[:729])[None, None])
    np.testing.assert_allclose(logits.transform([clips[1]]), expected, atol=1e-5)


def test_what_lies_above_the_highest_layer_is_not_computed(samplecnn):
    net = read_weights(samplecnn).network
    calls = []
    for name in net.hidden_layers:
        layer = net.get_submodule(name)
        layer.register_forward_hook(lambda *_, name=name: calls.append(name))
    options = {"sample_rate": 8000.0, "layout": "", "fingerprint": "", "device": "cpu"}
    network = SampleCNNNetwork(
        net, layers=(0, 2), n_segments=1, batch_size=1, **options
    )
    calls.clear()  # of finding the number of features
    network.embed([np.zeros(729, np.float32)])
    assert calls == ["blocks.0", "blocks.1", "blocks.2"]


def test_short_clips_are_repeated(samplecnn, clips):
    embedder = PretrainedEmbedder(samplecnn)
    long = np.tile(clips[1], 2)[:729]
    np.testing.assert_array_equal(
        embedder.transform([clips[1]]), embedder.transform([long])
    )


def test_number_of_segments(samplecnn, clips):
    def embed(n, clip):
        return PretrainedEmbedder(samplecnn, n_segments=n).transform([clip])

    clip = clips[4]  # 2000 samples: 3 segments by default
    np.testing.assert_array_equal(embed(None, clip), embed(3, clip))
    middle = (2000 - 729) // 2
    np.testing.assert_array_equal(embed(1, clip), embed(1, clip[middle:][:729]))
    np.testing.assert_array_equal(embed(9, clips[1]), embed(1, clips[1]))


class Tiny:
    """Numbers whose squares are below, or just above, what float32 can hold."""

    sample_rate = 8000
    values = (1e-20, -1e-19, 1.2e-19, -1.2e-19, 1.0)

    def get_scene_embeddings(self, audio):
        return torch.tensor([self.values] * len(audio))

    def get_timestamp_embeddings(self, audio):
        return self.get_scene_embeddings(audio)[:, None], torch.full((len(audio), 1), 1)


def test_numbers_whose_squares_are_zero_are_zero(clips):
    embedder = PretrainedEmbedder(Tiny(), cache=False)
    expected = np.array([0, 0, 1.2e-19, -1.2e-19, 1], np.float32)
    found = embedder.transform(clips)
    np.testing.assert_array_equal(found, [expected] * len(clips))
    assert np.all(np.square(found[:, 2:]) > 0)
    frames, _ = embedder.transform_frames(clips)
    np.testing.assert_array_equal(frames[0][:, 0], expected)


def test_files_without_an_output_layer_have_no_tags(published, clips, tmp_path):
    source = published.make_source((3, 3), (4, 6, 5), top_kernel=3)
    path = tmp_path / "clmr.pt"
    torch.save(published.clmr(source), path)
    embedder = PretrainedEmbedder(path).fit(clips)
    for give in (embedder.set_params(output="tags").fit, embedder.top_tags):
        with pytest.raises(ValueError, match="needs the output layer of a network"):
            give(clips)


def test_layers_that_are_not_there(samplecnn, coala, clips):
    with pytest.raises(ValueError, match=r"layers has 7, but .* 7 hidden layers"):
        PretrainedEmbedder(samplecnn, layers=(7,)).fit(clips)
    for weights in (coala, Scenes()):
        with pytest.raises(ValueError, match=r"layers=\(-2,\) is for SampleCNN"):
            PretrainedEmbedder(weights, layers=(-2,)).fit(clips)
        with pytest.raises(ValueError, match="n_segments=3 is for SampleCNN"):
            PretrainedEmbedder(weights, n_segments=3).fit(clips)
    with pytest.raises(ValueError, match=r"network_params=.* is for SampleCNN\. A "):
        PretrainedEmbedder(Scenes(), network_params={"norm_eps": 1.0}).fit(clips)
    with pytest.raises(ValueError, match=r"layers=\(\) names no layer"):
        PretrainedEmbedder(samplecnn, layers=()).fit(clips)


# ------------------------------------------------------------------ COALA


@pytest.mark.parametrize(
    ("seconds", "n_patches"), [(0.5, 4), (10, 4), (10.1, 4), (30, 13)]
)
def test_coala_is_as_published(coala, seconds, n_patches):
    clip = np.random.default_rng(1).uniform(-0.1, 0.1, int(22000 * seconds))
    clip = clip.astype(np.float32)
    buffer = clip
    if len(clip) <= 220_000:
        buffer = np.random.default_rng(0).uniform(0, 5e-4, 220_000).astype(np.float32)
        buffer[: len(clip)] += clip
    net = read_weights(coala).network
    with torch.inference_mode():
        patches = CoalaInput.patches(CoalaInput()(torch.from_numpy(buffer)))
        expected = net(patches).mean(0).numpy()
    assert len(patches) == n_patches
    got = PretrainedEmbedder(coala).transform([clip])
    np.testing.assert_allclose(got[0], expected, rtol=1e-3, atol=1e-5)


# ------------------------------------------------------------------ frames


@pytest.mark.parametrize("hop", [None, 0.025, 0.2])
@pytest.mark.parametrize("weights", ["samplecnn", "coala"])
def test_frames_lie_in_the_clip(weights, hop, request, clips):
    path = request.getfixturevalue(weights)
    embedder = PretrainedEmbedder(path, sr=8000).fit(clips)
    embeddings, times = embedder.transform_frames(clips, hop=hop)
    step = hop or {"samplecnn": 729 / 8000, "coala": 96 * 512 / 22000}[weights]
    for clip, frames, at in zip(clips, embeddings, times, strict=True):
        duration = len(clip) / 8000
        assert frames.shape == (embedder.n_features_out_, len(at))
        assert at[0] == pytest.approx(min(step, duration) / 2, abs=1e-4)
        np.testing.assert_allclose(np.diff(at), step)
        assert duration - step - 1e-3 <= at[-1] <= duration + 1e-3


def test_a_frame_of_samplecnn_is_its_segment(samplecnn, clips):
    embedder = PretrainedEmbedder(samplecnn)
    embeddings, times = embedder.transform_frames([clips[-1]])
    assert embeddings.shape == (1, 51, 11)  # 8000 / 729 = 10.97, the last is cut short
    np.testing.assert_allclose(times[0], (np.arange(11) + 0.5) * 729 / 8000)
    for i in range(10):
        segment = clips[-1][i * 729 : (i + 1) * 729]
        np.testing.assert_array_equal(
            embeddings[0, :, i], embedder.transform([segment])[0]
        )
    padded = np.pad(clips[-1], (0, 19))[-729:]
    np.testing.assert_array_equal(embeddings[0, :, 10], embedder.transform([padded])[0])


def test_shifting_a_clip_shifts_its_frames(samplecnn, clips):
    embedder = PretrainedEmbedder(samplecnn)
    clip = clips[-1]
    frames, _ = embedder.transform_frames([clip], hop=0.05)
    shifted, _ = embedder.transform_frames([np.pad(clip, (400, 0))], hop=0.05)
    np.testing.assert_array_equal(shifted[0, :, 1:], frames[0])


def test_frames_of_coala_are_its_patches(coala, clips):
    clip = np.random.default_rng(1).uniform(-0.1, 0.1, 22000 * 12).astype(np.float32)
    embedder = PretrainedEmbedder(coala)
    embeddings, times = embedder.transform_frames([clip])
    assert times[0, 0] == pytest.approx(48 * 512 / 22000)
    np.testing.assert_allclose(  # but for the mirror image at the start
        embeddings[0, :, :5].mean(1), embedder.transform([clip])[0], rtol=0.05
    )


def test_frames_of_a_hear_model(clips):
    embedder = PretrainedEmbedder(Scenes())
    embeddings, times = embedder.transform_frames(clips[4:])
    assert [e.shape for e in embeddings] == [(2, 5), (2, 5), (2, 20)]
    np.testing.assert_allclose(times[0], np.arange(0.025, 0.25, 0.05), rtol=1e-6)
    with pytest.raises(ValueError, match=r"hop=0\.1 is not possible here"):
        embedder.transform_frames(clips[4:], hop=0.1)
    with pytest.raises(ValueError, match="hop must be a number of seconds above 0"):
        embedder.transform_frames(clips[4:], hop=0)


# ------------------------------------------------------------------ HEAR in


def test_clips_of_one_length_are_batched(clips):
    model = Scenes()
    PretrainedEmbedder(model, batch_size=2).transform([clips[i] for i in (4, 6, 5, 4)])
    # the fourth is the first again, and the first and third are equally long
    assert model.batches == [(2, 2000), (1, 8000)]


def test_a_module_is_loaded_once(module, clips, tmp_path):
    embedder = PretrainedEmbedder(module)
    expected = [[2 * clip.max()] for clip in clips]
    np.testing.assert_allclose(embedder.fit_transform(clips), expected)
    assert embedder.layout_ == "hear"
    clone(embedder).set_params(cache=False).transform(clips)
    assert module.loaded == [""]
    with_file = PretrainedEmbedder((module, tmp_path / "weights.pt"))
    np.testing.assert_allclose(with_file.transform(clips), expected)
    assert module.loaded == ["", str(tmp_path / "weights.pt")]


def test_a_module_travels_by_name(module, clips):
    for weights in (module, (module, "weights.pt")):
        embedder = PretrainedEmbedder(weights)
        for made in (pickle.loads(pickle.dumps(embedder)), copy.deepcopy(embedder)):
            np.testing.assert_array_equal(
                made.transform(clips), embedder.transform(clips)
            )


def test_wrong_shapes_are_refused(clips):
    class Wrong(Scenes):
        def get_scene_embeddings(self, audio):
            return audio[0, :3]

    with pytest.raises(ValueError, match=r"must have shape \(1, 3\); got \(3,\)"):
        PretrainedEmbedder(Wrong(), cache=False).transform(clips[-1:])


class Holding(Scenes):
    """Holds what no pickle can, as sessions of ONNX Runtime are."""

    def __init__(self, gain=1.0):
        super().__init__(gain)
        self.lock = threading.Lock()

    def __getstate__(self):
        return self.__dict__


class Reduced(Holding):
    def __reduce__(self):
        return type(self), (self.gain,)


class Slotted:
    __slots__ = ("get_scene_embeddings", "lock", "sample_rate", "scene_embedding_size")


def test_what_cannot_be_pickled_is_not_cached_and_says_so_once(clips):
    model = Holding()
    embedder = PretrainedEmbedder(model).fit(clips)
    with pytest.warns(UserWarning, match=r"(?s)^Holding cannot .*lock.*__reduce__"):
        first = embedder.transform(clips)
    n_batches = len(model.batches)
    np.testing.assert_array_equal(clone(embedder).transform(clips), first)  # silent
    assert len(model.batches) == 2 * n_batches
    with pytest.warns(UserWarning, match="Holding cannot be pickled"):  # another one
        PretrainedEmbedder(Holding()).transform(clips)
    PretrainedEmbedder(Holding(), cache=False).transform(clips)  # nothing is lost


def test_a_model_that_cannot_be_watched_warns_every_time(clips):
    model, inner = Slotted(), Scenes()
    model.get_scene_embeddings = inner.get_scene_embeddings
    model.sample_rate, model.scene_embedding_size = 8000, 3
    model.lock = threading.Lock()
    for _ in range(2):
        with pytest.warns(UserWarning, match="Slotted cannot be pickled"):
            PretrainedEmbedder(model).transform(clips)


def test_reduce_makes_a_model_known(clips):
    model = Reduced(2.0)
    embedder = PretrainedEmbedder(model)
    first = embedder.transform(clips)
    n_batches = len(model.batches)
    np.testing.assert_array_equal(embedder.transform(clips), first)
    equal = PretrainedEmbedder(Reduced(2.0))
    np.testing.assert_array_equal(equal.transform(clips), first)
    assert (len(model.batches), equal.weights.batches) == (n_batches, [])
    other = PretrainedEmbedder(Reduced(3.0)).transform(clips)
    np.testing.assert_allclose(other[:, 0], 1.5 * first[:, 0])


IN_A_NOTEBOOK = """
class Adapter:
    sample_rate = 8000
    scene_embedding_size = 1
    gain = 1.0

    def get_scene_embeddings(self, audio):
        return self.gain * audio.amax(1, keepdim=True)
"""


def test_a_class_that_is_written_anew_is_another_one(clips, monkeypatch):
    """In a notebook, whose classes are known by name alone to a pickle."""

    def define(text):
        namespace = {"__name__": "__main__"}
        exec(
            compile(text, f"cell {np.random.default_rng().random()}", "exec"), namespace
        )
        main = sys.modules["__main__"]
        monkeypatch.setattr(main, "Adapter", namespace["Adapter"], raising=False)
        return PretrainedEmbedder(namespace["Adapter"]())

    first = define(IN_A_NOTEBOOK).transform(clips)
    np.testing.assert_allclose(first[:, 0], [clip.max() for clip in clips])
    digest = define(IN_A_NOTEBOOK)._network().fingerprint
    assert define("\n\n" + IN_A_NOTEBOOK)._network().fingerprint == digest
    second = define(IN_A_NOTEBOOK.replace("amax", "amin")).transform(clips)
    np.testing.assert_allclose(second[:, 0], [clip.min() for clip in clips])
    third = define(IN_A_NOTEBOOK.replace("1.0", "2.0")).transform(clips)
    np.testing.assert_allclose(third, 2 * first)


HELPED = """
import numpy as np
import torch

OFFSET = 0.5
TABLE = {"gain": 1.0}

def highest(audio, *, times=1):
    return times * audio.amax(1, keepdim=True) if times else highest(audio)

class Base:
    shift = np.zeros(1)

    @staticmethod
    def scaled(audio):
        return TABLE["gain"] * audio

class Adapter(Base):
    sample_rate = 8000
    scene_embedding_size = 1

    @torch.inference_mode()
    def get_scene_embeddings(self, audio):
        return self.scaled(highest(audio)) + OFFSET + float(self.shift[0])
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("amax", "amin", lambda clip: clip.min() + 0.5),
        ("0.5", "0.25", lambda clip: clip.max() + 0.25),
        ('"gain": 1.0', '"gain": 3.0', lambda clip: 3 * clip.max() + 0.5),
        ("times=1", "times=2", lambda clip: 2 * clip.max() + 0.5),
        ("np.zeros", "np.ones", lambda clip: clip.max() + 1.5),
        (" + OFFSET", " - OFFSET", lambda clip: clip.max() - 0.5),
    ],
)
def test_what_a_class_of_a_notebook_uses_is_a_part_of_it(old, new, expected, clips):
    def define(text):
        namespace = {"__name__": "__main__"}
        exec(compile(text, "cell", "exec"), namespace)
        return PretrainedEmbedder(namespace["Adapter"]())

    first = define(HELPED)
    assert first._network().fingerprint == define(HELPED)._network().fingerprint
    assert first._network().fingerprint is not None
    found = first.transform(clips)
    np.testing.assert_allclose(found[:, 0], [clip.max() + 0.5 for clip in clips])
    found = define(HELPED.replace(old, new)).transform(clips)
    np.testing.assert_allclose(found[:, 0], [expected(clip) for clip in clips], 1e-6)


class Normed(torch.nn.Module):
    """Has a weight norm, as networks on waveforms do, which torch does not pickle."""

    sample_rate = 8000

    def __init__(self, gain=1.0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            conv = torch.nn.Conv1d(1, 2, 8)
        torch.nn.init.constant_(conv.weight, gain)
        self.conv = torch.nn.utils.parametrizations.weight_norm(conv)

    def get_scene_embeddings(self, audio):
        return self.conv(audio[:, None]).mean(2)


def test_torch_modules_with_weight_norm_are_known(clips):
    def digest(model):
        return PretrainedEmbedder(model)._network().fingerprint

    model = Normed()
    assert digest(model) is not None
    with torch.no_grad():
        model.conv.bias.zero_()
    other = copy.deepcopy(model)
    assert digest(other) == digest(model)
    with torch.no_grad():
        other.conv.parametrizations.weight.original0 += 1
    assert digest(other) != digest(model)
    assert PretrainedEmbedder(model).transform(clips[1:]).shape == (6, 2)


def test_a_module_is_known_by_its_name_and_file(module, clips, tmp_path):
    """Its model has a class inside of a function, which no pickle holds."""
    calls, embed = [], module.get_scene_embeddings
    module.get_scene_embeddings = lambda audio, model: (
        calls.append(1) or embed(audio, model)
    )
    path = tmp_path / "weights.pt"
    path.write_bytes(b"1")
    for _ in range(2):
        PretrainedEmbedder((module, path)).transform(clips[:1])
        assert len(calls) == 1
    PretrainedEmbedder(module).transform(clips[:1])  # another file, or none
    assert len(calls) == 2
    path.write_bytes(b"22")
    PretrainedEmbedder((module, path)).transform(clips[:1])
    assert len(calls) == 3


class Long(Scenes):
    """Needs more than a second, and does not state its size."""

    scene_embedding_size = None
    least = 3.0

    def get_scene_embeddings(self, audio):
        if audio.shape[1] < self.least * 8000:
            raise RuntimeError(f"kernel larger than {audio.shape[1]} samples")
        return super().get_scene_embeddings(audio)


class TooLong(Long):
    least = 60.0


def test_models_that_need_more_than_a_second(clips):
    model = Long()
    embedder = PretrainedEmbedder(model, duration=3.0).fit(clips)
    assert embedder.n_features_out_ == 3
    assert model.batches == [(1, 24_000)]
    assert embedder.transform(clips).shape == (7, 3)
    n_batches = len(model.batches)
    clone(embedder).fit(clips).transform(clips)  # neither clips nor silence again
    assert len(model.batches) == n_batches
    with pytest.raises(
        ValueError,
        match=r"1, 3, 10, 30 s of silence at 8000 Hz, and none worked with TooLong: "
        r"state its scene_embedding_size\. The last one: RuntimeError: kernel larger "
        "than 240000 samples",
    ):
        PretrainedEmbedder(TooLong()).fit(clips)


def test_size_of_a_model_that_does_not_say(clips):
    class Shy(Scenes):
        scene_embedding_size = None

    assert PretrainedEmbedder(Shy()).fit(clips).n_features_out_ == 3


# ------------------------------------------------------------------ estimator


def test_names_and_frames(samplecnn, clips):
    embedder = PretrainedEmbedder(samplecnn).set_output(transform="pandas")
    table = embedder.fit_transform(clips)
    assert list(table.columns[:2]) == ["pretrainedembedder0", "pretrainedembedder1"]
    assert table.shape == (7, 51)
    names = embedder.get_feature_names_out()
    assert names.tolist() == table.columns.tolist()
    pipeline = make_pipeline(embedder, StandardScaler()).set_output(transform="pandas")
    assert pipeline.fit_transform(clips).shape == (7, 51)
    assert hasattr(clone(embedder), "_sklearn_output_config")


def test_weights_stay_in_their_file(samplecnn, clips):
    embedder = PretrainedEmbedder(samplecnn).fit(clips)
    embedder.transform(clips)
    content = pickle.dumps(embedder)
    assert len(content) < 1500
    np.testing.assert_array_equal(
        pickle.loads(content).transform(clips), embedder.transform(clips)
    )


def test_clones_share_an_object():
    model = Scenes()
    assert clone(PretrainedEmbedder(model)).weights is model
    pipeline = clone(make_pipeline(PretrainedEmbedder(model, layers=(-1,))))
    assert pipeline[0].weights is model


def test_a_changed_file_is_read_again(samplecnn, clips, tmp_path):
    path = tmp_path / "weights.safetensors"
    net = read_weights(samplecnn).network
    save_weights(net, path, sr=8000)
    embedder = PretrainedEmbedder(path, cache=False)
    before = embedder.transform(clips)
    with torch.no_grad():
        net.blocks[-1].norm.bias += 1
    save_weights(net, path, sr=8000)
    assert not np.array_equal(embedder.transform(clips), before)


def test_out_of_memory_halves_the_batch(clips):
    class Small(Scenes):
        def get_scene_embeddings(self, audio):
            if len(audio) > 2:
                raise torch.OutOfMemoryError
            return super().get_scene_embeddings(audio)

    X = np.stack([clips[4] + i / 8 for i in range(7)])
    with pytest.warns(UserWarning, match="out of memory with 4 clips at once"):
        table = PretrainedEmbedder(Small(), batch_size=4, cache=False).transform(X)
    np.testing.assert_array_equal(table, PretrainedEmbedder(Scenes()).transform(X))


@pytest.mark.parametrize("weights", ["samplecnn", "coala"])
def test_batches_as_on_a_gpu_give_the_same_up_to_rounding(weights, clips, request):
    network = PretrainedEmbedder(request.getfixturevalue(weights))._network()
    one_by_one = network.embed(clips), network.embed_frames(clips, 0.02)
    network.batch_size = 5
    np.testing.assert_allclose(network.embed(clips), one_by_one[0], atol=1e-5)
    for batched, single in zip(
        network.embed_frames(clips, 0.02), one_by_one[1], strict=True
    ):
        np.testing.assert_allclose(batched[0], single[0], atol=1e-5)


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("weights", ["samplecnn", "coala"])
def test_a_gpu_gives_the_same_up_to_rounding(weights, clips, request):
    on_cpu = PretrainedEmbedder(request.getfixturevalue(weights), device="cpu")
    on_gpu = clone(on_cpu).set_params(device="cuda")
    np.testing.assert_allclose(
        on_gpu.transform(clips), on_cpu.transform(clips), rtol=1e-2, atol=1e-3
    )


# ------------------------------------------------------------ what no tensor shows


def test_what_no_tensor_shows_can_be_said(published, tmp_path, clips):
    """A leaky port, with another epsilon and a zero before the first sample."""
    source = published.make_source((3, 2, 3, 2), (4, 5, 6, 7, 8))
    path = tmp_path / "port.pt"
    torch.save(published.ky(source), path)
    said = {
        "negative_slope": 0.2,
        "norm_eps": 1e-2,
        "even_padding": "end",
        "first_padding": 1,
    }
    embedder = PretrainedEmbedder(path, layers=(-2, -1), network_params=said)
    clip = clips[1][:36]
    blocks, _ = published.reference(source, clip, eps=1e-2, first=1, slope=0.2)
    expected = np.concatenate([blocks[-2].max(1), blocks[-1].max(1)])
    got = embedder.transform([clip])[0]
    np.testing.assert_allclose(got, expected, atol=1e-5)
    for name in said:  # each of them counts, and what was cached is kept apart
        others = {key: value for key, value in said.items() if key != name}
        other = clone(embedder).set_params(network_params=others).transform([clip])[0]
        assert np.abs(other - got).max() > 1e-4, name
    assert (
        clone(embedder).fit([clip]).fingerprint_
        == hashlib.sha256(path.read_bytes()).hexdigest()
    )
    again = tmp_path / "own.safetensors"
    save_weights(read_weights(path, network_params=said), again)
    own = PretrainedEmbedder(again, layers=(-2, -1)).transform([clip])[0]
    np.testing.assert_array_equal(own, got)  # stated in the file


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"sizes": (3, 3)}, r"has 'sizes', .* follows from the file: .*negative_slope"),
        ({"n_outputs": 3}, "has 'n_outputs', .* follows from the file"),
        ({"width": 0.5}, "has 'width', .* follows from the file"),
        ({"slope": 0.1}, "has 'slope', but .* SampleCNN, .* is no argument of it"),
        ({"negative_slope": -0.1}, "negative_slope must be a number from 0 to 1; got"),
        ({"negative_slope": [0.1]}, "No SampleCNN can be made from this file with"),
        ({"first_padding": 4}, "first_padding must be a number from 0 to 3; got 4"),
        ({"first_padding": 1.5}, r"first_padding must be a whole number; got 1\.5"),
        ({"norm_eps": float("nan")}, "norm_eps must be a number from 1e-12 to 0.5"),
        ({"even_padding": "both"}, "even_padding must be 'end' or 'start'; got 'both'"),
    ],
)
def test_what_cannot_be_said(params, message, samplecnn, clips):
    with pytest.raises(ValueError, match=message):
        PretrainedEmbedder(samplecnn, network_params=params).fit(clips)


def test_networks_of_which_nothing_is_to_be_said(coala, clips):
    params = {"norm_eps": 1e-3}
    with pytest.raises(ValueError, match="for COALA, network_params must be None"):
        PretrainedEmbedder(coala, network_params=params).fit(clips)
    with pytest.raises(
        ValueError, match=r"network_params=\{'norm_eps': 0.001\} is for"
    ):
        PretrainedEmbedder(Scenes(), network_params=params).fit(clips)
    PretrainedEmbedder(coala, network_params={}).fit(clips)


def test_the_manual_says_what_is_assumed(published, tmp_path):
    """Rows of docs/user_guide/transfer.rst, by the files themselves."""
    text = (DOCS / "user_guide" / "transfer.rst").read_text(encoding="utf-8")
    source = published.make_source((3, 3), (4, 6, 5), top_kernel=3)
    path = tmp_path / "weights"
    writers = {
        "sampleCNN-pytorch": published.ky(source),
        "CLMR v1": published.ky(source, "encoder.", None),
        "sota-music-tagging-models": published.mz(source),
        "CLMR v2": published.clmr(source),
        "sampleCNN-configurable": published.configurable(source),
    }
    for layout, tensors in writers.items():
        torch.save(tensors, path)
        pretrained = read_weights(path)
        assert pretrained.layout == layout
        (row,) = (r for r in text.split("   * - ")[1:] if layout in r.split("\n")[0])
        config = pretrained.network.config
        eps, even, first, slope = (
            cell.strip().split()[0] for cell in row.split("     - ")[1:5]
        )
        assert float(eps) == config["norm_eps"]
        assert even == f'"{config["even_padding"]}"'
        assert int(first) == config["first_padding"]
        assert float(slope) == config["negative_slope"]
