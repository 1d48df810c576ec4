"""Embeddings and tags by FCN, CRNN and MusiCNN."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from taggers import reference, small_tagger

from skaudio.cache import clear_cache
from skaudio.embedding import PretrainedEmbedder
from skaudio.metrics import top_tags

UNITS = {"fcn": 16_384, "crnn": 24_576, "musicnn": None}
LENGTHS = {"fcn": 465_984, "crnn": 465_984, "musicnn": 48_000}
USUAL = {"fcn": (2, 3, 4), "crnn": (1, 2, 3), "musicnn": (0, 1, 2, 3)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taggers")
    for kind in UNITS:
        torch.save(small_tagger(kind), folder / f"{kind}.pth")
    return {kind: folder / f"{kind}.pth" for kind in UNITS}


def noise(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    swell = np.sin(np.linspace(0, 20, n_samples)) ** 2
    return (rng.standard_normal(n_samples) * swell / 10).astype(np.float32)


def repeated(clip, kind):
    """The stated rule: from a whole number of units on it begins anew."""
    unit = UNITS[kind]
    if unit:
        clip = np.resize(clip, -(-len(clip) // unit) * unit)
    return np.resize(clip, LENGTHS[kind])


def statistics(layers):
    maps = [layer.reshape(len(layer), -1) for layer in layers]
    return np.concatenate([f(m, axis=1) for m in maps for f in (np.mean, np.max)])


@pytest.mark.parametrize("kind", UNITS)
@pytest.mark.parametrize("n_samples", [1, 700, 40_000, 100_001])
def test_a_clip_is_embedded_as_numpy_embeds_its_repetition(kind, n_samples, files):
    clip = noise(n_samples) + np.float32(0.01)
    if kind == "musicnn" and n_samples > LENGTHS[kind]:
        n_samples = LENGTHS[kind]  # long clips are below
    found = PretrainedEmbedder(files[kind], cache=False).transform([clip[:n_samples]])
    layers, logits = reference(
        kind, small_tagger(kind), repeated(clip[:n_samples], kind)
    )
    expected = statistics([layers[i] for i in USUAL[kind]])
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-4)
    tagger = PretrainedEmbedder(files[kind], output="tags", cache=False)
    proba = tagger.transform([clip[:n_samples]])[0]
    np.testing.assert_allclose(proba, 1 / (1 + np.exp(-logits)), rtol=1e-4)


@pytest.mark.parametrize("kind", UNITS)
def test_long_clips_are_means_over_even_segments(kind, files):
    length = LENGTHS[kind]
    clip = noise(2 * length + 5001)
    embedder = PretrainedEmbedder(files[kind], cache=False)
    step = (len(clip) - length) // 2
    parts = [clip[i * step : i * step + length] for i in range(3)]
    np.testing.assert_allclose(
        embedder.transform([clip])[0], embedder.transform(parts).mean(axis=0), rtol=1e-5
    )
    middle = clip[(len(clip) - length) // 2 :][:length]
    one = clone(embedder).set_params(n_segments=1)
    np.testing.assert_array_equal(one.transform([clip]), embedder.transform([middle]))


@pytest.mark.parametrize("kind", UNITS)
def test_any_layer_by_number_or_name(kind, files):
    clips = [noise(30_000), noise(50_000, 1)]

    def embed(*layers):
        return PretrainedEmbedder(files[kind], layers=layers).transform(clips)

    names = {"fcn": "blocks.0", "crnn": "rnn", "musicnn": "hidden"}
    numbers = {"fcn": 0, "crnn": -1, "musicnn": -1}
    np.testing.assert_array_equal(embed(names[kind]), embed(numbers[kind]))
    both = embed(0, 1)
    np.testing.assert_array_equal(both, np.hstack([embed(0), embed(1)]))
    layers, _ = reference(kind, small_tagger(kind), repeated(clips[0], kind))
    expected = statistics(layers[:2])
    np.testing.assert_allclose(both[0], expected, rtol=1e-4, atol=1e-4)


def test_the_dense_layer_is_no_map(files):
    embedder = PretrainedEmbedder(files["musicnn"], layers=("hidden",))
    assert embedder.fit_transform([noise(48_000)]).shape == (1, 6)


@pytest.mark.parametrize("kind", UNITS)
def test_rows_do_not_depend_on_each_other(kind, files):
    clips = [noise(n, n) for n in (8_000, 50_000, 20_000, 20_000, 1)]
    embedder = PretrainedEmbedder(files[kind], cache=False)
    together = embedder.transform(clips)
    alone = np.vstack([embedder.transform([clip]) for clip in clips])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(embedder.transform(clips[::-1]), together[::-1])


@pytest.mark.parametrize("kind", UNITS)
def test_frames_are_embedded_as_clips_of_their_length(kind, files):
    embedder = PretrainedEmbedder(files[kind], cache=False)
    seconds = 3.0 if kind == "musicnn" else 3.072
    n = round(16_000 * seconds)
    clip = noise(3 * n)
    frames, times = embedder.transform_frames([clip])
    np.testing.assert_allclose(times[0], seconds * (np.arange(3) + 0.5))
    parts = [clip[i * n : (i + 1) * n] for i in range(3)]
    np.testing.assert_allclose(frames[0].T, embedder.transform(parts), rtol=1e-6)
    frames, times = embedder.transform_frames([clip], hop=0.5)
    assert frames.shape[2] == times.shape[1] == round(3 * seconds * 2)
    middle = times[0, 8]
    start = round(middle * 16_000 - n / 2)
    part = embedder.transform([clip[start : start + n]])
    np.testing.assert_allclose(frames[0, :, 8], part[0], rtol=1e-6)


def test_tags_are_columns(files, tmp_path):
    clips = [noise(20_000), noise(30_000, 1)]
    embedder = PretrainedEmbedder(files["fcn"], output="tags").fit(clips)
    names = [f"tag{i}" for i in range(7)]
    assert embedder.get_feature_names_out().tolist() == embedder.tags_.tolist() == names
    assert embedder.n_features_out_ == 7
    proba = embedder.transform(clips)
    assert ((proba > 0) & (proba < 1)).all()
    table = clone(embedder).set_output(transform="pandas").fit_transform(clips)
    assert isinstance(table, pd.DataFrame)
    assert table.columns.tolist() == names
    np.testing.assert_array_equal(table.to_numpy(), proba)


def test_top_tags_need_no_fit(files):
    clips = [noise(20_000), noise(30_000, 1)]
    embedder = PretrainedEmbedder(files["musicnn"])
    found = embedder.top_tags(clips, k=3)
    tagger = PretrainedEmbedder(files["musicnn"], output="tags").fit(clips)
    assert found == top_tags(tagger.transform(clips), tagger.tags_, k=3)
    pandas = PretrainedEmbedder(files["musicnn"]).set_output(transform="pandas")
    assert pandas.top_tags(clips, k=3) == found
    assert embedder.output == "embedding"


def test_top_tags_of_a_clip_that_failed(files):
    embedder = PretrainedEmbedder(files["musicnn"], on_error="nan")
    clips = [noise(20_000), "nowhere.wav", noise(30_000, 1)]
    first, none, last = embedder.top_tags(clips, k=2)
    assert none == []
    assert len(first) == len(last) == 2
    assert [error["row"] for error in embedder.errors_] == [1]


def test_values_that_nothing_can_be_computed_with_are_zero(tmp_path):
    """Filters that training has let die give numbers such as 2e-38, in every clip."""
    state = small_tagger("fcn")
    state["layer5.bn.weight"][0] = 0
    state["layer5.bn.bias"][0] = 2e-38
    torch.save(state, tmp_path / "dead.pth")
    clips = [noise(20_000, seed) for seed in range(4)]
    embeddings = PretrainedEmbedder(tmp_path / "dead.pth", layers=(-1,)).transform(
        clips
    )
    assert (embeddings[:, 0] == 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(StandardScaler().fit_transform(embeddings)).all()


def test_the_rate_of_arrays(files):
    """Sound at 8 kHz is resampled, and so is seen for twice as long."""
    clip = noise(16_000)
    at_half = PretrainedEmbedder(files["musicnn"], sr=8000, cache=False)
    assert at_half.fit([clip]).sample_rate_ == 16_000
    embeddings = at_half.transform([clip])
    as_it_is = PretrainedEmbedder(files["musicnn"], cache=False).transform([clip])
    assert np.abs(embeddings - as_it_is).max() > 1e-3


def test_outputs_and_layers_are_remembered_apart(files):
    clear_cache()
    clips = [noise(20_000)]
    tags = PretrainedEmbedder(files["fcn"], output="tags").transform(clips)
    top = PretrainedEmbedder(files["fcn"], layers=(-1,)).transform(clips)
    embedding = PretrainedEmbedder(files["fcn"]).transform(clips)
    assert tags.shape == (1, 7)
    np.testing.assert_array_equal(embedding[:, -top.shape[1] :], top)


def test_silence_is_embedded(files):
    for kind in UNITS:
        embeddings = PretrainedEmbedder(files[kind]).transform([np.zeros(16_000)])
        assert np.isfinite(embeddings).all()


# ------------------------------------------------------------------ published weights


@pytest.fixture(scope="module")
def music_tagger(shared_data):
    path = shared_data / "weights" / "mtat_musicnn.pth"
    if not path.exists():
        pytest.skip("the published weights are not here")
    return PretrainedEmbedder(path, output="tags")


def test_a_piano_is_called_piano(music_tagger):
    """Quiet single notes: decaying partials that are a little too high, as strings'."""
    time = np.arange(48_000) / 16_000
    partials = np.arange(1, 12)[:, None]

    def note(pitch):
        frequency = pitch * partials * np.sqrt(1 + 4e-4 * partials**2)
        decay = np.exp(-time * (1 + 0.5 * partials))
        return (decay * np.sin(2 * np.pi * frequency * time) / partials**1.3).sum(
            axis=0
        )

    notes = [
        0.05 * note(pitch).astype(np.float32) for pitch in (220, 261.6, 329.6, 392)
    ]
    best = music_tagger.top_tags(notes, k=3)
    assert all("piano" in [tag for tag, _ in tags] for tags in best), best


def test_instruments_are_called_by_their_names(music_tagger, shared_data):
    """Flutes are more of a flute, and cellos more of a cello, than anything else is."""
    folder = shared_data / "philharmonia"
    if not folder.exists():
        pytest.skip("the recordings of instruments are not here")
    table = pd.read_csv(folder / "philharmonia.csv")
    table = table[table.nominal_seconds >= 1]
    table = table.groupby("instrument").sample(6, random_state=0, replace=True)
    paths = [str(folder / "audio" / name) for name in table.filename]
    tagger = clone(music_tagger).set_output(transform="pandas")
    proba = tagger.fit_transform(paths).groupby(table.instrument.to_numpy()).mean()
    assert proba["flute"].idxmax() == "flute"
    assert proba["cello"].idxmax() in ("cello", "double-bass")
    strings = proba.loc[["cello", "double-bass"], "strings"].mean()
    assert strings > 2 * proba.loc[["flute", "oboe", "clarinet"], "strings"].mean()


# --------------------------------------------------------------------------- a GPU


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("kind", UNITS)
def test_a_gpu_gives_the_same_up_to_rounding(kind, files):
    clips = [noise(n, n) for n in (8_000, 50_000, 20_000, 20_000, 1)]
    on_cpu = PretrainedEmbedder(files[kind], cache=False, device="cpu")
    on_gpu = clone(on_cpu).set_params(device="cuda", batch_size=2)
    np.testing.assert_allclose(
        on_gpu.transform(clips), on_cpu.transform(clips), rtol=1e-2, atol=1e-2
    )
