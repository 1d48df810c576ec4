"""Files of COALA in the authors' exact form, read and written."""

import json
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

from skaudio.embedding import CoalaEmbedder, PretrainedEmbedder, save_weights
from skaudio.nn import (
    CoalaAudioDecoder,
    CoalaAudioEncoder,
    CoalaCNN,
    CoalaTagDecoder,
    CoalaTagEncoder,
)
from skaudio.views import CoalaView

N_BYTES = {  # of the authors' files, in the form of torch before 1.6
    CoalaAudioEncoder: 9_529_675,
    CoalaAudioDecoder: 4_218_436,
    CoalaTagEncoder: 10_811_311,
    CoalaTagDecoder: 5_499_606,
    CoalaCNN: 14_146_385,
}


def seeded(build, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def authors_tag_encoder(n_tags, n_hidden, n_features, seed=1):
    """Tensors under the names of the authors' model file."""
    rng = np.random.default_rng(seed)
    found = OrderedDict()
    sizes = [(n_tags, n_hidden), (n_hidden, n_hidden), (n_hidden, n_features)]
    for i, (n_in, n_out) in zip((0, 4, 8), sizes, strict=True):
        values = {
            f"{i}.weight": rng.normal(size=(n_out, n_in)) / n_in**0.5,
            f"{i}.bias": rng.normal(size=n_out),
            f"{i + 1}.weight": rng.normal(size=n_out),
            f"{i + 1}.bias": rng.normal(size=n_out),
            f"{i + 1}.running_mean": rng.normal(size=n_out),
            f"{i + 1}.running_var": rng.uniform(0.5, 2, size=n_out),
        }
        found |= {
            f"tag_encoder.{k}": torch.tensor(v).float() for k, v in values.items()
        }
        found[f"tag_encoder.{i + 1}.num_batches_tracked"] = torch.tensor(7)
    weight = rng.normal(size=(n_features, n_features)) / n_features**0.5
    found["fc_tag.0.weight"] = torch.tensor(weight).float()
    return found


def numpy_tag_encoder(tensors, tags):
    """Plain NumPy: linear, normalised by running statistics, ReLU, three times."""
    x = tags.astype(float)
    for i in (0, 4, 8):
        t = {
            k.partition(".")[2]: v.double().numpy()
            for k, v in tensors.items()
            if k.startswith("tag_encoder")
        }
        x = x @ t[f"{i}.weight"].T + t[f"{i}.bias"]
        x = (x - t[f"{i + 1}.running_mean"]) / np.sqrt(t[f"{i + 1}.running_var"] + 1e-5)
        x = np.maximum(x * t[f"{i + 1}.weight"] + t[f"{i + 1}.bias"], 0)
    return x


def save_legacy(tensors, path):
    torch.save(OrderedDict(tensors), path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture
def authors(published, tmp_path):
    """The files of one training of the authors, at a hundredth of their size."""
    n_filters, tags = 2, [f"word{chr(97 + i)}" for i in range(6)]
    rng = np.random.default_rng(2)
    audio = published.coala_tensors(n_filters)
    tag_encoder = authors_tag_encoder(6, 8, 9 * n_filters)
    scale, minimum = rng.uniform(0.04, 0.06, 96), rng.uniform(0.6, 0.8, 96)
    np.savez(tmp_path / "scaler_top_1000.npz", scale_=scale, min_=minimum)
    (tmp_path / "id2token_top_1000.json").write_text(
        json.dumps({str(i): tag for i, tag in enumerate(tags)})
    )
    save_legacy(audio, tmp_path / "audio_encoder_epoch_200.pt")
    save_legacy(tag_encoder, tmp_path / "tag_encoder_epoch_200.pt")
    return tmp_path, tag_encoder, tags


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    return [0.1 * rng.standard_normal(n).astype(np.float32) for n in (9000, 60_000)]


# ---------------------------------------------------------------------------- reading


def test_tag_encoder_embeds_indicators(authors):
    folder, tensors, _ = authors
    path = folder / "tag_encoder_epoch_200.pt"
    tags = np.array([[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 1, 1]])
    expected = numpy_tag_encoder(tensors, tags)
    for given in (tags, tags.astype(np.float32), tags.astype(bool)):
        embedder = PretrainedEmbedder(path)
        np.testing.assert_allclose(embedder.transform(given), expected, atol=1e-4)
        assert embedder.fit(given).layout_ == "COALA tag encoder"
        assert embedder.n_features_out_ == 18


def test_tag_encoder_refuses_what_are_no_indicators(authors, clips):
    path = authors[0] / "tag_encoder_epoch_200.pt"
    with pytest.raises(ValueError, match="indicator matrix of 6 tags; got rows of 4"):
        PretrainedEmbedder(path).transform(np.eye(4))
    with pytest.raises(ValueError, match="indicator matrix of zeros and ones"):
        PretrainedEmbedder(path).transform(np.full((2, 6), 0.5))
    with pytest.raises(ValueError, match="Tags have no time"):
        PretrainedEmbedder(path).transform_frames(np.eye(6))


def test_a_decoder_embeds_nothing(tmp_path):
    path = tmp_path / "audio_decoder_epoch_200.pt"
    save_weights(seeded(lambda: CoalaAudioDecoder(2)), path, layout="coala")
    with pytest.raises(ValueError, match=r"COALA audio decoder, which cannot embed"):
        PretrainedEmbedder(path).transform([np.zeros(22_000, np.float32)])


def test_published_files_search_by_word(authors, clips):
    folder, tensors, tags = authors
    coala = CoalaEmbedder.from_weights(folder)
    assert coala.tags_.tolist() == tags
    z = coala.embed_tags(["wordb", "worda worde"])
    indicators = np.array([[0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 1, 0]])
    np.testing.assert_allclose(z, numpy_tag_encoder(tensors, indicators), atol=1e-4)
    ((best, similarity), *_) = coala.nearest_clips("wordb", clips, n=2)
    assert best in (0, 1)
    assert -1 <= similarity <= 1
    with pytest.raises(ValueError, match=r"unknown tag 'wordz'; .*word"):
        coala.nearest_clips("wordz", clips)


def test_published_files_embed_as_the_other_way(authors, clips):
    folder, *_ = authors
    coala = CoalaEmbedder.from_weights(folder)
    embedder = PretrainedEmbedder(
        folder / "audio_encoder_epoch_200.pt", scaler=folder / "scaler_top_1000.npz"
    )
    np.testing.assert_allclose(
        coala.transform(clips), embedder.transform(clips), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(ValueError, match="did not learn to reconstruct patches"):
        coala.inverse_transform(np.zeros((1, 18)))


def test_files_one_by_one(authors, clips):
    folder, _, tags = authors
    one_by_one = CoalaEmbedder.from_weights(
        folder / "audio_encoder_epoch_200.pt",
        folder / "tag_encoder_epoch_200.pt",
        scaler=folder / "scaler_top_1000.npz",
        tags=tags,
    )
    whole = CoalaEmbedder.from_weights(folder)
    assert one_by_one.nearest_tags(clips, n=3) == whole.nearest_tags(clips, n=3)


def test_files_that_do_not_go_together(authors, tmp_path):
    folder, _, tags = authors
    audio = folder / "audio_encoder_epoch_200.pt"
    scaler = folder / "scaler_top_1000.npz"
    with pytest.raises(ValueError, match="No file of the tag_encoder"):
        CoalaEmbedder.from_weights(audio)
    options = {"scaler": scaler, "tags": tags}
    own = folder / "own.safetensors"
    save_weights(seeded(lambda: CoalaAudioEncoder(2)), own, sr=22_000)
    with pytest.raises(ValueError, match="holds a CoalaAudioEncoder; wanted a CoalaT"):
        CoalaEmbedder.from_weights(audio, own, **options)
    other = save_legacy(authors_tag_encoder(6, 8, 27), folder / "wide.pt")
    with pytest.raises(ValueError, match="has 27 features, the audio encoder has 18"):
        CoalaEmbedder.from_weights(audio, other, **options)
    other = save_legacy(authors_tag_encoder(6, 18, 18), folder / "high.pt")
    with pytest.raises(ValueError, match="about 8 hidden units; got 18"):
        CoalaEmbedder.from_weights(audio, other, **options)
    with pytest.raises(ValueError, match="takes 6 tags; got 5 names"):
        CoalaEmbedder.from_weights(folder, tags=tags[:5])
    (folder / "list.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="no vocabulary: wanted JSON"):
        CoalaEmbedder.from_weights(folder, tags=folder / "list.json")
    (folder / "tag_encoder_epoch_180.pt").write_bytes(b"")
    with pytest.raises(ValueError, match="several files tag_encoder"):
        CoalaEmbedder.from_weights(folder)


# ---------------------------------------------------------------------------- writing


@pytest.mark.parametrize("network", N_BYTES)
def test_files_are_as_large_as_the_authors(network, tmp_path):
    path = tmp_path / "weights.pt"
    save_weights(seeded(network), path, layout="coala")
    assert path.stat().st_size == pytest.approx(N_BYTES[network], rel=1e-3)


def test_names_are_the_authors(published, tmp_path):
    path = tmp_path / "weights.pt"
    for prefix, network in (
        ("audio_encoder.", lambda: CoalaAudioEncoder(8)),
        ("encoder.", lambda: CoalaCNN(20, 8)),
    ):
        save_weights(seeded(network), path, layout="coala")
        theirs = published.coala_tensors(8, prefix)
        ours = torch.load(path, weights_only=True)
        assert type(ours) is OrderedDict
        assert {k: v.shape for k, v in ours.items()} == {
            k: v.shape for k, v in theirs.items()
        }
    save_weights(seeded(lambda: CoalaTagEncoder(6, 18, 8)), path, layout="coala")
    names = torch.load(path, weights_only=True).keys()
    assert names == authors_tag_encoder(6, 8, 18).keys()


def test_names_of_decoders(tmp_path):
    path = tmp_path / "weights.pt"
    save_weights(seeded(lambda: CoalaAudioDecoder(2)), path, layout="coala")
    shapes = {k: v.ndim for k, v in torch.load(path, weights_only=True).items()}
    convolutions = [k for k, ndim in shapes.items() if ndim == 4]
    assert convolutions == [f"audio_decoder.{i}.weight" for i in (2, 6, 10, 14, 17)]
    norms = [k for k in shapes if k.endswith("running_var")]
    assert norms == [f"audio_decoder.{i}.running_var" for i in (3, 7, 11, 15, 18)]
    save_weights(seeded(lambda: CoalaTagDecoder(6, 18, 8)), path, layout="coala")
    shapes = {k: v.ndim for k, v in torch.load(path, weights_only=True).items()}
    matrices = [k for k, ndim in shapes.items() if ndim == 2]
    assert matrices == [f"tag_decoder.{i}.weight" for i in (0, 4, 7)]


@pytest.fixture(scope="module")
def fitted(clips):
    rng = np.random.default_rng(1)
    X = [0.1 * rng.standard_normal(12_000).astype(np.float32) for _ in range(6)]
    coala = CoalaEmbedder(width=0.03, max_epochs=1, random_state=0)
    return coala.fit(X, ["kick", "snare drum", "kick drum", "hat", "snare", "hat"])


def test_a_fitted_embedder_comes_back(fitted, clips, tmp_path):
    save_weights(fitted, tmp_path / "mine", layout="coala")
    names = sorted(path.name for path in (tmp_path / "mine").iterdir())
    assert names == [
        *("audio_decoder.pt", "audio_encoder.pt", "id2token.json", "scaler.pkl"),
        *("tag_decoder.pt", "tag_encoder.pt"),
    ]
    again = CoalaEmbedder.from_weights(tmp_path / "mine")
    np.testing.assert_array_equal(again.transform(clips), fitted.transform(clips))
    assert again.nearest_tags(clips, n=4) == fitted.nearest_tags(clips, n=4)
    Z = fitted.transform(clips)
    np.testing.assert_allclose(
        again.inverse_transform(Z), fitted.inverse_transform(Z), rtol=1e-5
    )
    codes = fitted.embed_tags(["kick drum"])
    assert again.decode_tags(codes) == fitted.decode_tags(codes)


def test_others_embed_by_a_fitted_embedder(fitted, clips, tmp_path):
    save_weights(fitted, tmp_path / "own.safetensors")
    save_weights(fitted, tmp_path / "theirs", layout="coala")
    expected = fitted.transform(clips)
    own = PretrainedEmbedder(tmp_path / "own.safetensors")
    np.testing.assert_allclose(own.transform(clips), expected, rtol=1e-4, atol=1e-5)
    theirs = PretrainedEmbedder(
        tmp_path / "theirs/audio_encoder.pt", scaler=tmp_path / "theirs/scaler.pkl"
    )
    np.testing.assert_allclose(theirs.transform(clips), expected, rtol=1e-4, atol=1e-5)


def test_the_scaler_is_one_of_scikit_learn(fitted, tmp_path):
    save_weights(fitted, tmp_path / "mine", layout="coala")
    content = (tmp_path / "mine/scaler.pkl").read_bytes()
    assert b"numpy._core" not in content  # which NumPy 1 has not
    scaler = pickle.loads(content)
    patch = fitted.energy_patches([np.zeros(22_000, np.float32)])[0]
    np.testing.assert_allclose(
        scaler.transform(patch), fitted.scaler_.transform(patch[None])[0], atol=1e-5
    )


def test_other_spectrograms_do_not_come_back(tmp_path):
    X = np.random.default_rng(0).normal(size=(4, 22_000)).astype(np.float32)
    view = CoalaView(window="hamming", min_duration=2.3)
    coala = CoalaEmbedder(views=view, width=0.02, max_epochs=1, random_state=0)
    coala.fit(X, ["kick", "snare", "hat", "drum"])
    with pytest.warns(UserWarning, match=r"fitted on CoalaView\(min_duration=2.3, win"):
        save_weights(coala, tmp_path / "own.safetensors")


def test_unknown_layouts(fitted, tmp_path):
    with pytest.raises(ValueError, match="layout must be one of"):
        save_weights(fitted, tmp_path / "own", layout="onnx")
    linear = seeded(lambda: torch.nn.Linear(1, 1))
    with pytest.raises(TypeError, match="COALA's authors have no Linear"):
        save_weights(linear, tmp_path / "own", layout="coala")
