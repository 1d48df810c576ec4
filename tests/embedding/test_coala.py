"""CoalaEmbedder: what it learns, embeds, finds and decodes; and odd tags and clips."""

import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skaudio.embedding import CoalaEmbedder, HEARModel, make_probe
from skaudio.nn import Coala, CoalaLoss
from skaudio.persistence import load, save
from skaudio.preprocessing import EnergyPatches, TagBinarizer
from skaudio.views import CoalaView, MelView, Views

SR, RATE = 22_000, 22_000 / 512
PATCH = 96 / RATE  # seconds
SHORT = {"width": 0.05, "dropout": 0.1, "max_epochs": 2, "random_state": 0}
PUBLISHED = {"optimizer": "sgd", "lr": 0.005, "lr_schedule": "constant"}
WORDS = ["low hum", "high hiss", "low hiss", "high hum"]


def make_embedder(**options):
    return CoalaEmbedder(**SHORT | options)


@pytest.fixture(scope="module")
def views():
    """Spectrograms of 24 clips of 110 frames, whose level by band follows the tags."""
    rng = np.random.default_rng(0)
    tags = [WORDS[i % 4] for i in range(24)]
    X = rng.normal(-8, 0.5, size=(24, 96, 110)).astype(np.float32)
    for clip, text in zip(X, tags, strict=True):
        clip[:48] += 4 * ("low" in text)
        clip[48:] += 4 * ("high" in text)
        clip[:, ::2] += 3 * ("hiss" in text)
    return Views({"mel": X}, {"mel": RATE}), tags


@pytest.fixture(scope="module")
def fitted(views):
    return make_embedder().fit(*views)


@pytest.fixture(scope="module")
def sounds():
    """Waveforms of 0.05 to 5 s."""
    rng = np.random.default_rng(1)
    lengths = [1_100, 9_000, 50_000, 110_000, 60_000, 30_000]
    return [0.1 * rng.standard_normal(n).astype(np.float32) for n in lengths]


@pytest.fixture(scope="module")
def of_sound(sounds):
    tags = ["kick", "snare", "kick drum", "hat", "snare drum", "hat"]
    return make_embedder().fit(sounds, tags)


def weights_of(coala):
    return {k: v.clone() for k, v in coala.net_.module_.state_dict().items()}


def differ(one, other, part=""):
    names = [name for name in one if name.startswith(part)]
    assert names
    return any(not torch.equal(one[name], other[name]) for name in names)


# ---------------------------------------------------------------------------- learning


def test_words_of_new_clips_are_found(views):
    """Learns on 24 clips in 40 steps; pairs of words never change."""
    X, tags = views
    coala = make_embedder(max_epochs=50, optimizer="adam", lr=0.003, dropout=0.0).fit(
        X, tags
    )
    rng = np.random.default_rng(2)
    new = X["mel"] + rng.normal(0, 0.1, X["mel"].shape).astype(np.float32)
    new = Views({"mel": new}, dict(X.rates))
    found = coala.nearest_tags(new, n=1, among=WORDS)
    right = [best[0][0] == text for best, text in zip(found, tags, strict=True)]
    assert np.mean(right) > 0.9
    rows = [row for row, _ in coala.nearest_clips("low hum", new, n=6)]
    assert {tags[row] for row in rows} == {"low hum"}
    decoded = coala.decode_tags(coala.embed_tags(["hiss high"]), n=2)
    assert {word for word, _ in decoded[0]} == {"hiss", "high"}


@pytest.mark.parametrize("contrastive", ["nt-xent", "paper"])
def test_the_loss_falls(views, contrastive):
    coala = make_embedder(contrastive=contrastive, max_epochs=8, dropout=0.0)
    losses = [row["train_loss"] for row in coala.fit(*views).history_]
    assert losses[-1] < losses[0]


def test_paper_and_code_differ(views):
    one, other = (
        make_embedder(contrastive=name).fit(*views) for name in ("nt-xent", "paper")
    )
    assert differ(weights_of(one), weights_of(other), "audio_encoder")


def test_without_reconstruction_decoders_stay_to_the_bit(views):
    """As they were initialised: two epochs more change nothing in them."""
    one, two = (
        weights_of(make_embedder(reconstruction=False, max_epochs=n).fit(*views))
        for n in (1, 3)
    )
    for part in ("audio_decoder", "tag_decoder"):
        assert not differ(one, two, part)
    for part in ("audio_encoder", "tag_encoder"):
        assert differ(one, two, part)


@pytest.mark.parametrize(
    ("weights", "untouched", "trained"),
    [
        ((0, 5, 10), "audio_decoder", "tag_decoder"),
        ((5, 0, 10), "tag_decoder", "audio_decoder"),
    ],
)
def test_a_decoder_without_weight_stays_to_the_bit(views, weights, untouched, trained):
    one, two = (
        weights_of(make_embedder(loss_weights=weights, max_epochs=n).fit(*views))
        for n in (1, 3)
    )
    assert not differ(one, two, untouched)
    assert differ(one, two, trained)


def test_without_reconstruction_is_without_its_weights(views):
    one = make_embedder(reconstruction=False).fit(*views)
    two = make_embedder(loss_weights=(0, 0, 10)).fit(*views)
    assert not differ(weights_of(one), weights_of(two))


@pytest.mark.usefixtures("may_use_global_rng")  # a network without training
def test_sgd_is_the_published_step(views):
    """One step is lr times the gradient of the terms, weighted by 5, 5 and 10."""
    X, tags = views
    coala = make_embedder(max_epochs=1, batch_size=24, dropout=0.0, **PUBLISHED)
    start = {}

    class Catch(Callback):
        def on_train_begin(self, net, **kwargs):
            start.update({k: v.clone() for k, v in net.module_.state_dict().items()})

    coala.set_params(callbacks=[Catch()]).fit(X, tags)
    net = Coala({"mel": (96, RATE)}, n_tags=len(coala.tags_), width=0.05, dropout=0.0)
    net.load_state_dict(start)
    inputs = {
        "mel": torch.from_numpy(coala.energy_patches(X)),
        "tags": torch.from_numpy(coala.binarizer_.transform(tags)).float(),
    }
    losses = CoalaLoss()(net.train()(inputs), inputs)
    loss = 5 * losses["audio"] + 5 * losses["tags"] + 10 * losses["contrast"]
    loss.backward()
    assert coala.history_[0]["train_loss"] == pytest.approx(loss.item(), rel=1e-4)
    for name, parameter in net.named_parameters():
        expected = start[name] - 0.005 * parameter.grad
        found = coala.net_.module_.get_parameter(name)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("batch_size", "n_steps"), [(10, 2), (24, 1), (100, 1)])
def test_batches_are_whole(views, batch_size, n_steps):
    coala = make_embedder(batch_size=batch_size, max_epochs=1, validation_fraction=None)
    seen = []

    class Count(Callback):
        def on_batch_end(self, net, batch=None, **kwargs):
            seen.append(len(batch[0]))

    coala.set_params(callbacks=[Count()]).fit(*views)
    assert seen == [min(batch_size, 24)] * n_steps


def test_random_patches(views):
    one, other = (make_embedder(patches=p).fit(*views) for p in ("energy", "random"))
    assert differ(weights_of(one), weights_of(other), "audio_encoder")
    np.testing.assert_array_equal(one.scaler_.scale_, other.scaler_.scale_)


def test_validation_by_source(views):
    X, tags = views
    groups = np.arange(24) // 4
    coala = make_embedder(validation_fraction=0.3, max_epochs=3)
    coala.fit(X, tags, groups=groups)
    assert {row["term"] for row in coala.loss_history_} == {"audio", "tags", "contrast"}
    assert np.isfinite([row["valid_loss"] for row in coala.history_]).all()
    assert make_embedder().fit(X, tags).loss_history_ == []


@pytest.mark.parametrize("contrastive", ["nt-xent", "paper"])
def test_a_single_clip_for_validation(views, contrastive):
    X, tags = views
    coala = make_embedder(contrastive=contrastive, validation_fraction=0.05)
    groups = [0] * 23 + [1]
    losses = coala.fit(X, tags, groups=groups).history_
    assert np.isfinite([row["valid_loss"] for row in losses]).all()


def test_a_training_goes_on_from_its_checkpoint(views, tmp_path):
    X, tags = views
    path = tmp_path / "coala.ckpt"

    class Stop(Exception):
        pass

    class Interrupt(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                raise Stop

    coala = make_embedder(max_epochs=4, validation_fraction=0.3)
    with pytest.raises(Stop):
        clone(coala).set_params(callbacks=[Interrupt()]).fit(X, tags, checkpoint=path)
    resumed = clone(coala).fit(X, tags, checkpoint=path)
    whole = clone(coala).fit(X, tags)
    assert not differ(weights_of(resumed), weights_of(whole))


# ---------------------------------------------------------------------------- embedding


def test_embeddings_are_means_over_patches_side_by_side(of_sound, sounds):
    """Against the pieces: view, chunks, scaler and encoder."""
    chunks = (
        EnergyPatches()
        .fit([np.zeros((96, 9), np.float32)])
        .chunks(list(CoalaView().transform(sounds)))
    )
    assert [len(parts) for parts in chunks] == [4] * 6  # of 10 s, all of them
    encoder = of_sound.net_.module_.audio_encoder.eval()
    with torch.no_grad():
        expected = [encoder(torch.from_numpy(part)).mean(0).numpy() for part in chunks]
    Z = of_sound.transform(sounds)
    np.testing.assert_allclose(Z, expected, rtol=1e-4, atol=1e-6)
    assert Z.min() >= 0
    assert Z.dtype == np.float32


def test_patches_are_scaled_to_the_unit_range(of_sound, sounds):
    patches = of_sound.energy_patches(sounds)
    scaled = of_sound.scaler_.transform(patches)
    assert scaled.min() == pytest.approx(0, abs=1e-5)
    assert scaled.max() == pytest.approx(1, abs=1e-5)
    inside = of_sound.net_.module_.audio_encoder.scaling(torch.from_numpy(patches))
    np.testing.assert_allclose(inside, scaled, atol=1e-5)


def test_long_clips_have_no_noise_and_lose_their_tail(of_sound):
    rng = np.random.default_rng(0)
    long = 0.1 * rng.standard_normal(30 * SR).astype(np.float32)
    _, times = of_sound.transform_frames([long])
    np.testing.assert_allclose(times[0], (np.arange(13) + 0.5) * PATCH)
    cut = long[: round(13 * PATCH * SR) + 1024]  # what the frames of 13 patches see
    np.testing.assert_allclose(
        of_sound.transform([cut]), of_sound.transform([long]), rtol=1e-4
    )


@pytest.mark.parametrize("hop", [None, 0.5])
def test_frames_are_patches(of_sound, sounds, hop):
    frames, times = of_sound.transform_frames(sounds, hop=hop)
    for sound, of_clip, at in zip(sounds, frames, times, strict=True):
        assert of_clip.shape == (54, len(at))
        assert at[0] <= len(sound) / SR / 2 + 1e-9 or at[0] == (hop or PATCH) / 2
        assert at[-1] < len(sound) / SR
    whole = of_sound.transform([sounds[3]])[0]  # 5 s: two of its four patches are sound
    if hop is None:
        assert len(times[3]) == 2
        assert not np.allclose(frames[3].mean(1), whole)


def test_frames_of_a_clip_of_ten_seconds_are_its_embedding(of_sound):
    rng = np.random.default_rng(0)
    clip = 0.1 * rng.standard_normal(9 * SR).astype(np.float32)
    frames, _ = of_sound.transform_frames([clip])
    np.testing.assert_allclose(
        frames[0].mean(1), of_sound.transform([clip])[0], rtol=1e-4
    )


def test_hop_must_be_positive(of_sound, sounds):
    with pytest.raises(ValueError, match="hop must be a number of seconds above 0"):
        of_sound.transform_frames(sounds, hop=0)


def test_rows_depend_on_themselves_alone(fitted, of_sound, sounds, views):
    X, _ = views
    whole = fitted.transform(X)
    np.testing.assert_allclose(fitted.transform(X[:5]), whole[:5], atol=1e-5)
    order = [3, 0, 5, 1]
    np.testing.assert_allclose(
        of_sound.transform([sounds[i] for i in order]),
        of_sound.transform(sounds)[order],
        atol=1e-5,
    )


def test_sound_and_its_spectrogram_are_embedded_alike(sounds):
    tags = ["kick", "snare", "kick drum", "hat", "snare drum", "hat"]
    X = Views({"coala": CoalaView().transform(sounds)}, {"coala": RATE})
    of_sound = make_embedder().fit(sounds, tags)
    of_views = make_embedder().fit(X, tags)
    assert not differ(weights_of(of_sound), weights_of(of_views))
    np.testing.assert_array_equal(of_sound.transform(sounds), of_views.transform(X))
    as_list = [np.asarray(view) for view in X["coala"]]
    assert make_embedder().fit(as_list, tags).transform(as_list).shape == (6, 54)


def test_files_and_arrays_are_embedded_alike(of_sound, sounds, tmp_path):
    paths = []
    for i, sound in enumerate(sounds):
        paths.append(str(tmp_path / f"{i}.wav"))
        soundfile.write(paths[-1], sound, SR, subtype="FLOAT")
    np.testing.assert_array_equal(of_sound.transform(paths), of_sound.transform(sounds))
    tags = ["kick", "snare", "kick drum", "hat", "snare drum", "hat"]
    again = make_embedder().fit(paths, tags)
    assert not differ(weights_of(again), weights_of(of_sound))


def test_any_mel_spectrogram_of_96_bands(sounds):
    view = MelView(sr=SR, n_mels=96, hop_length=440, n_fft=1024)
    coala = make_embedder(views=view).fit(sounds, ["a1 hum", "b1"] * 3)
    assert coala.transform(sounds).shape == (6, 54)
    _, times = coala.transform_frames(sounds)
    assert times[3][0] == pytest.approx(96 * 440 / SR / 2)


def test_other_views_are_refused(views, sounds):
    X, tags = views
    with pytest.raises(ValueError, match="takes one mel spectrogram of 96 bands"):
        make_embedder().fit(np.zeros((24, 64, 100), np.float32), tags)
    both = Views({"a": X["mel"], "b": X["mel"]}, {"a": RATE, "b": RATE})
    with pytest.raises(ValueError, match="takes one mel spectrogram of 96 bands"):
        make_embedder().fit(both, tags)
    with pytest.raises(ValueError, match="96 bands"):
        make_embedder(views=MelView(sr=SR)).fit(sounds, ["a1", "b1"] * 3)
    fitted = make_embedder().fit(X, tags)
    slower = Views({"mel": X["mel"]}, {"mel": RATE / 2})
    with pytest.raises(ValueError, match="steps per second"):
        fitted.transform(slower)


def test_names_and_data_frames(fitted, views):
    names = fitted.get_feature_names_out()
    assert names[:2].tolist() == ["coalaembedder0", "coalaembedder1"]
    assert len(names) == 54
    frame = clone(fitted).set_output(transform="pandas").fit(*views).transform(views[0])
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns.tolist() == names.tolist()


def test_full_width_has_1152_features():
    coala = CoalaEmbedder()
    assert coala.width == 1.0
    module = coala._module()
    network = module.pop("module")
    options = {k.removeprefix("module__"): v for k, v in module.items()}
    with torch.device("meta"):
        net = network({"mel": (96, RATE)}, n_tags=1000, **options)
    assert net.audio_encoder.n_features == 1152
    total = 2_379_648 + 1_052_163 + 2_697_600 + 1_370_040
    assert sum(p.numel() for p in net.parameters()) == total


def test_terms_are_as_published():
    defaults = CoalaEmbedder().get_params()
    assert defaults["loss_weights"] == (5.0, 5.0, 10.0)
    assert (defaults["tau"], defaults["dropout"]) == (0.1, 0.25)
    assert defaults["contrastive"] == "nt-xent"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_follows_x(views, dtype):
    X, tags = views
    X = Views({"mel": X["mel"].astype(dtype)}, dict(X.rates))
    coala = make_embedder().fit(X, tags)
    for values in (
        coala.transform(X),
        coala.embed_tags(["low"]),
        coala.inverse_transform(coala.transform(X)),
    ):
        assert values.dtype == dtype


# ------------------------------------------------------------------- as an estimator


def test_one_seed_repeats_and_two_differ(views):
    one, again, other = (make_embedder(random_state=s).fit(*views) for s in (3, 3, 4))
    assert not differ(weights_of(one), weights_of(again))
    assert differ(weights_of(one), weights_of(other), "audio_encoder")


def test_copies_are_the_same(fitted, views, tmp_path):
    X, _ = views
    save(fitted, tmp_path / "coala.safetensors")
    expected = fitted.transform(X)
    loaded = load(tmp_path / "coala.safetensors")
    for copy in (loaded, pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(copy.transform(X), expected)
        assert copy.nearest_tags(X, n=3) == fitted.nearest_tags(X, n=3)
        assert copy.tags_.tolist() == fitted.tags_.tolist()
        np.testing.assert_array_equal(
            copy.inverse_transform(expected), fitted.inverse_transform(expected)
        )
        codes = fitted.embed_tags(["low"])
        assert copy.decode_tags(codes) == fitted.decode_tags(codes)


def test_parameters_set_later_wait_for_the_next_fit(views):
    X, tags = views
    coala = make_embedder().fit(X, tags)
    expected = coala.transform(X)
    coala.set_params(width=0.5, views=MelView(), reconstruction=False)
    np.testing.assert_array_equal(coala.transform(X), expected)
    assert coala.inverse_transform(expected).shape == (24, 96, 96)


def test_probe_and_search(views):
    X, tags = views
    probe = make_probe(make_embedder(), head="logistic")
    y = np.array([0, 1] * 12)
    search = GridSearchCV(
        probe, {"embedder__tau": [0.1, 0.5]}, cv=2, error_score="raise"
    )
    assert search.fit(X, y).predict(X).shape == (24,)
    frozen = make_pipeline(make_embedder().fit(X, tags), LogisticRegression())
    assert frozen.fit(X, y).predict(X).shape == (24,)


def test_not_fitted():
    for method, argument in (
        ("transform", [[0.0]]),
        ("transform_frames", [[0.0]]),
        ("nearest_tags", [[0.0]]),
        ("embed_tags", ["kick"]),
        ("decode_tags", [[0.0]]),
        ("inverse_transform", [[0.0]]),
    ):
        with pytest.raises(NotFittedError):
            getattr(CoalaEmbedder(), method)(argument)


# ------------------------------------------------------------------------------- search


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def test_similarities_are_cosines_of_aligned_embeddings(fitted, views):
    X, _ = views
    of_clips = fitted.embed_aligned(X)
    of_words = fitted.embed_tags(fitted.tags_.tolist(), aligned=True)
    expected = {
        word: cosine(of_clips[7].astype(float), b.astype(float))
        for word, b in zip(fitted.tags_, of_words, strict=True)
    }
    found = fitted.nearest_tags(X, n=4)[7]
    assert found == sorted(found, key=lambda pair: -pair[1])
    for word, similarity in found:
        assert similarity == pytest.approx(expected[word], abs=1e-5)
    best = fitted.nearest_clips("hiss", X, n=24)
    assert sorted(row for row, _ in best) == list(range(24))
    place = fitted.tags_.tolist().index("hiss")
    for row, similarity in best:
        wanted = cosine(of_clips[row].astype(float), of_words[place].astype(float))
        assert similarity == pytest.approx(wanted, abs=1e-5)


def test_aligned_embeddings_are_those_of_the_energy_patch(fitted, views):
    X, _ = views
    patches = fitted.energy_patches(X)
    encoder = fitted.net_.module_.audio_encoder.eval()
    with torch.no_grad():
        expected = encoder.aligned(encoder(torch.from_numpy(patches)))
    np.testing.assert_allclose(fitted.embed_aligned(X), expected, rtol=1e-4, atol=1e-5)


def test_a_text_is_the_set_of_its_words(fitted, views):
    X, _ = views
    one = fitted.embed_tags("low hum")
    assert one.shape == (1, 54)
    for same in (["hum low"], [["low", "hum"]], [("hum", "low")], ["Lows, hums"]):
        np.testing.assert_array_equal(fitted.embed_tags(same), one)
    row = fitted.binarizer_.transform(["low hum"])
    np.testing.assert_array_equal(fitted.embed_tags(row), one)
    np.testing.assert_array_equal(fitted.embed_tags(sparse.csr_matrix(row)), one)
    assert fitted.nearest_clips(["low", "hum"], X) == fitted.nearest_clips("low hum", X)


def test_among_some_words(fitted, views):
    X, _ = views
    found = fitted.nearest_tags(X[:3], n=5, among=["low hum", "hiss"])
    assert [{word for word, _ in row} for row in found] == [{"low hum", "hiss"}] * 3


@pytest.mark.parametrize("ask", ["embed_tags", "nearest_clips", "nearest_tags"])
def test_unknown_words_are_named_with_the_nearest_spelling(fitted, views, ask):
    X, _ = views
    questions = {
        "embed_tags": lambda: fitted.embed_tags(["low", "hisss"]),
        "nearest_clips": lambda: fitted.nearest_clips("low hisss", X),
        "nearest_tags": lambda: fitted.nearest_tags(X, among=["hisss"]),
    }
    with pytest.raises(ValueError, match=r"unknown tag 'hisss'; .*'hiss'"):
        questions[ask]()


def test_decoded_tags_are_probabilities(fitted):
    codes = fitted.embed_tags(["low", "high hiss"])
    decoded = fitted.decode_tags(codes, n=4)
    decoder = fitted.net_.module_.tag_decoder.eval()
    with torch.no_grad():
        expected = decoder(torch.from_numpy(codes)).sigmoid().numpy()
    for pairs, row in zip(decoded, expected, strict=True):
        for word, probability in pairs:
            place = fitted.tags_.tolist().index(word)
            assert probability == pytest.approx(row[place], abs=1e-6)


def test_decoded_patches_are_in_the_unit_of_the_spectrogram(fitted, views):
    X, _ = views
    patches = fitted.inverse_transform(fitted.transform(X))
    assert patches.shape == (24, 96, 96)
    scaler = fitted.scaler_
    assert (patches >= scaler.data_min_ - 1e-3).all()
    assert (patches <= scaler.data_max_ + 1e-3).all()


def test_embeddings_of_another_size_are_refused(fitted):
    with pytest.raises(ValueError, match="Z has 5 features, but embeddings of this"):
        fitted.inverse_transform(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="Z has 5 features, but embeddings of this"):
        fitted.decode_tags(np.zeros((2, 5)))


def test_what_was_not_learned_is_not_decoded(views):
    X, tags = views
    coala = make_embedder(reconstruction=False).fit(X, tags)
    with pytest.raises(ValueError, match="did not learn to reconstruct patches"):
        coala.inverse_transform(coala.transform(X))
    with pytest.raises(ValueError, match="did not learn to reconstruct tags"):
        coala.decode_tags(coala.embed_tags(["low"]))


# -------------------------------------------------------------------- tags in any form


def test_forms_of_tags(views):
    X, tags = views
    texts = make_embedder().fit(X, tags)
    matrix = texts.binarizer_.transform(tags)
    named = pd.DataFrame(matrix, columns=texts.tags_)
    for same in (
        [text.split() for text in tags],
        pd.Series(tags, index=range(100, 124)),
        np.array(tags, dtype=object),
        named,
    ):
        other = make_embedder().fit(X, same)
        assert other.tags_.tolist() == texts.tags_.tolist()
        assert not differ(weights_of(other), weights_of(texts))
    for matrix_like in (matrix, sparse.csr_matrix(matrix), matrix.tolist()):
        other = make_embedder().fit(X, matrix_like)
        assert other.tags_.tolist() == ["0", "1", "2", "3"]
        assert not differ(weights_of(other), weights_of(texts))


def test_tags_by_name(views):
    X, tags = views
    one, other = make_embedder().fit(X, tags=tags), make_embedder().fit(X, tags)
    assert not differ(weights_of(one), weights_of(other))
    with pytest.raises(ValueError, match="tags is another name for y; got both"):
        make_embedder().fit(X, tags, tags=tags)
    with pytest.raises(ValueError, match="requires y to be passed, but the target y"):
        make_embedder().fit(X)


def test_a_binarizer_of_ones_own(views):
    X, tags = views
    binarizer = TagBinarizer(stop_words=["low"], sparse_output=True)
    coala = make_embedder(binarizer=binarizer).fit(X, [f"{text} clip" for text in tags])
    assert coala.tags_.tolist() == ["high", "hiss", "hum"]
    assert coala.binarizer_.dropped_["max_df"] == ["clip"]
    assert not hasattr(binarizer, "classes_")


# ---------------------------------------------------------------------------- bad input


def test_clips_without_tags_are_left_out_with_a_warning(views):
    X, tags = views
    some = [*tags[:20], "", "the", "", ""]
    with pytest.warns(UserWarning, match=r"4 of 24 clips .* 20, 21, 22, 23"):
        coala = make_embedder().fit(X, some, groups=np.arange(24))
    expected = make_embedder().fit(X[:20], tags[:20], groups=np.arange(20))
    assert not differ(weights_of(coala), weights_of(expected))
    assert coala.transform(X).shape == (24, 54)  # all are embedded


def test_groups_of_other_clips_are_refused(views):
    X, tags = views
    with pytest.raises(
        ValueError, match=r"inconsistent numbers of samples: \[24, 25\]"
    ):
        make_embedder().fit(X, [*tags[:20], "", "", "", ""], groups=np.arange(25))


@pytest.mark.parametrize(
    ("tags", "match"),
    [
        (["the", "of", ""] * 8, "No tag is left"),
        (["clip"] * 24, "max_df"),
        (["hum"] * 23, r"inconsistent numbers of samples: \[24, 23\]"),
        ([None] + ["hum", "hiss", "low"] * 7 + ["hum", "low"], "clip 0 are missing"),
        ("hum hiss", "single text|inconsistent"),
    ],
    ids=["stop words", "on every clip", "too few", "missing", "one text"],
)
def test_bad_tags(views, tags, match):
    with pytest.raises(ValueError, match=match):
        make_embedder().fit(views[0], tags)


def test_one_clip_has_nothing_to_be_compared_with(views):
    X, tags = views
    with pytest.raises(ValueError, match="at least 2; got 1 sample"):
        make_embedder().fit(X[:1], tags[:1])
    some = ["hum", *[""] * 23]
    with pytest.raises(ValueError, match="1 have a tag of the vocabulary; training"):
        make_embedder().fit(X, some)


@pytest.mark.parametrize("weights", [(5, 5), (5, 5, -1), (0, 0, 0), (5, 5, np.nan)])
def test_bad_weights(views, weights):
    with pytest.raises(ValueError, match="loss_weights must be three numbers"):
        make_embedder(loss_weights=weights).fit(*views)


def test_nothing_to_learn(views):
    with pytest.raises(ValueError, match="Without reconstruction only the contrast"):
        make_embedder(reconstruction=False, loss_weights=(5, 5, 0)).fit(*views)


def test_more_words_than_memory(views):
    X, _ = views
    tags = [" ".join(f"word{i}x{j}" for j in range(6000)) for i in range(24)]
    with pytest.raises(
        ValueError, match=r"have 144000 different tags, .* max_features"
    ):
        make_embedder(binarizer=TagBinarizer(max_features=None)).fit(X, tags)


def test_silent_and_very_short_clips(of_sound, sounds):
    silent = np.zeros(SR, np.float32)
    short = 0.1 * np.ones(1_100, np.float32)  # 50 ms
    tags = ["kick", "snare", "kick drum", "hat", "snare drum", "hat", "rest", "click"]
    coala = make_embedder().fit([*sounds, silent, short], tags)
    Z = coala.transform([silent, short, np.zeros(1, np.float32)])
    assert np.isfinite(Z).all()
    np.testing.assert_allclose(Z[0], Z[2], rtol=1e-3, atol=1e-5)  # noise only
    frames, times = coala.transform_frames([short])
    assert frames.shape == (1, 54, 1)
    assert times[0, 0] == pytest.approx(0.025)


def test_short_spectrograms_go_on_at_their_lowest_value(fitted, views):
    X, _ = views
    short = X["mel"][:3, :, :40]
    patches = fitted.energy_patches(Views({"mel": short}, dict(X.rates)))
    np.testing.assert_array_equal(patches[:, :, :40], short)
    for patch, clip in zip(patches, short, strict=True):
        assert (patch[:, 40:] == clip.min()).all()


def test_clips_that_cannot_be_loaded(sounds, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"nothing")
    view = CoalaView(on_error="nan")
    tags = ["kick", "snare", "kick drum", "hat", "snare drum", "hat"]
    coala = make_embedder(views=view).fit(sounds, tags)
    Z = coala.transform([sounds[0], str(broken), sounds[1]])
    assert np.isnan(Z[1]).all()
    assert [error["row"] for error in coala.errors_] == [1]
    frames, _ = coala.transform_frames([sounds[0], str(broken)])
    assert np.isnan(frames[1]).all()
    np.testing.assert_allclose(Z[[0, 2]], coala.transform(sounds[:2]), rtol=1e-4)
    assert coala.errors_ == []
    with pytest.raises(ValueError, match=re.escape("broken.wav")):
        make_embedder().fit([*sounds[:5], str(broken)], tags)


def test_a_broken_network_is_named(fitted, views):
    X, _ = views
    broken = pickle.loads(pickle.dumps(fitted))
    with torch.no_grad():
        broken.net_.module_.audio_encoder.blocks[4].norm.bias.fill_(torch.inf)
    with pytest.raises(ValueError, match="embedding of clip 0 is not a finite number"):
        broken.transform(X)
    with pytest.raises(ValueError, match="embedding of clip 0 is not a finite number"):
        broken.transform_frames(X)


def test_a_fitted_network_takes_clips_in_any_form(of_sound, sounds, views):
    """Sound, spectrograms by any name, and the patches that it gives."""
    expected = of_sound.transform(sounds)
    arrays = CoalaView().transform(sounds)
    for X in (
        Views({"mel": arrays}, {"mel": RATE}),
        Views({"mel": arrays}, {"mel": None}),
        list(arrays),
        np.stack(list(arrays)),
    ):
        np.testing.assert_array_equal(of_sound.transform(X), expected)
    patches = of_sound.energy_patches(sounds)
    np.testing.assert_array_equal(of_sound.energy_patches(patches), patches)
    assert of_sound.transform(patches).shape == (6, 54)
    X, tags = views
    of_views = make_embedder().fit(X, tags)
    np.testing.assert_array_equal(
        of_views.transform(sounds),
        of_views.transform(Views({"any": arrays}, {"any": RATE})),
    )


def test_as_a_model_of_the_hear_protocol(of_sound, sounds):
    model = HEARModel(of_sound)
    assert (model.sample_rate, model.scene_embedding_size) == (SR, 54)
    audio = torch.from_numpy(np.stack([sound[:9000] for sound in sounds[1:3]]))
    scenes = model.get_scene_embeddings(audio)
    np.testing.assert_array_equal(scenes, of_sound.transform(audio.numpy()))
    frames, milliseconds = model.get_timestamp_embeddings(audio)
    assert frames.shape == (2, 8, 54)
    np.testing.assert_allclose(np.diff(milliseconds), 50, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("mixed_precision", [False, True])
def test_a_gpu_and_a_cpu_agree(views, mixed_precision):
    X, tags = views
    coala = make_embedder(
        device="cuda", mixed_precision=mixed_precision, dropout=0.0
    ).fit(X, tags)
    on_cuda = coala.transform(X), coala.embed_aligned(X), coala.embed_tags(["low"])
    state = coala.__getstate__()
    other = CoalaEmbedder.__new__(CoalaEmbedder)
    other.__setstate__({**state, "device": "cpu", "mixed_precision": False})
    on_cpu = other.transform(X), other.embed_aligned(X), other.embed_tags(["low"])
    atol = 0.05 if mixed_precision else 2e-3
    for one, two in zip(on_cuda, on_cpu, strict=True):
        np.testing.assert_allclose(one, two, atol=atol * np.abs(two).max())
    if not mixed_precision:
        again = make_embedder(device="cpu", dropout=0.0).fit(X, tags)
        np.testing.assert_allclose(again.transform(X), on_cuda[0], rtol=0.1, atol=0.05)


NOTES = Path(__file__).parents[3] / "shared/data/philharmonia"


@pytest.mark.skipif(not NOTES.is_dir(), reason="needs ../shared/data/philharmonia")
def test_real_notes_are_found_by_their_words():
    """Four instruments, 32 notes each; tested on other pitches."""
    table = pd.read_csv(NOTES / "philharmonia.csv")
    table = table[table.instrument.isin(["flute", "cello", "trombone", "oboe"])]
    pitch = table.note.str.replace(r"\d", "", regex=True)
    held_out = pitch.isin(["Fs", "As"])
    train, test = (
        part.groupby("instrument").sample(32, random_state=0)
        for part in (table[~held_out], table[held_out])
    )
    paths = [
        [str(NOTES / "audio" / name) for name in part.filename]
        for part in (train, test)
    ]
    coala = CoalaEmbedder(
        views=CoalaView(min_duration=2.3, n_jobs=2),
        width=0.12,
        max_epochs=25,
        batch_size=32,
        optimizer="nesterov",
        lr_schedule="one-cycle",
        random_state=0,
    ).fit(paths[0], train.tags)
    words = sorted(set(train.instrument))
    found = coala.nearest_tags(paths[1], n=1, among=words)
    right = [
        row[0][0] == name for row, name in zip(found, test.instrument, strict=True)
    ]
    assert np.mean(right) > 0.6  # a quarter by guessing
    rows = [row for row, _ in coala.nearest_clips("cello", paths[1], n=10)]
    assert np.mean(test.instrument.to_numpy()[rows] == "cello") > 0.6
