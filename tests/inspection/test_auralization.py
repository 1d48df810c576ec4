"""`auralize`: sound of feature maps."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skaudio.inspection import PlayerTable, auralize, deconvolve
from skaudio.neural_network import (
    CRNNClassifier,
    FrameLevelCNNClassifier,
    SpectrogramCNNClassifier,
)
from skaudio.nn.initialisation import seeded_initialisation
from skaudio.preprocessing import AudioLoader, LoudnessEqualizer, ViewScaler
from skaudio.views import (
    CQTView,
    GammatoneView,
    MelView,
    MFCCView,
    RawView,
    STFTView,
    ViewUnion,
)

sys.path.insert(0, str(Path(__file__).parent))
from networks import CNN, SR, VIEW, by_itself, in_pipeline, on_waveforms, sounds


def peak(x):
    return np.abs(x).max(axis=-1, keepdims=True)


@pytest.mark.parametrize("method", ["mask", "phase"])
@pytest.mark.parametrize("model", [in_pipeline, by_itself])
def test_sounds_are_inverse_transforms_of_maps(model, method):
    X, model = sounds()[0][3:5], model()
    found = auralize(model, X, 1, [2, 0], method=method)
    assert found.sounds.shape == (2, 2, 1000)
    assert found.sr == SR
    assert found.features == [2, 0]
    assert found.layer.endswith("blocks.1")
    assert_array_equal(found.sources, X)
    maps = deconvolve(model, X, 1, [2, 0])
    assert_allclose(found.maps, maps, atol=1e-5)
    quiet = auralize(model, X, 1, [2, 0], method=method, normalize=False).sounds
    for clip, feature in product(range(2), range(2)):
        spectrum = librosa.stft(X[clip], n_fft=64, hop_length=32)
        if method == "phase":
            spectrum = spectrum / np.abs(spectrum)
        expected = librosa.istft(
            spectrum * maps[clip, feature], n_fft=64, hop_length=32, length=1000
        )
        assert_allclose(
            quiet[clip, feature], expected, atol=1e-4 * np.abs(expected).max()
        )
    assert_allclose(found.sounds, quiet / peak(quiet), rtol=1e-6)


class Ones(torch.nn.Module):
    """A network whose maps are ones whatever it is given."""

    def forward(self, x):
        return x


@pytest.mark.parametrize(
    ("view", "atol"),
    [
        (STFTView(**VIEW), 1e-5),
        (STFTView(sr=SR, center="start", pad_mode="reflect"), 1e-5),
        (MelView(sr=SR, n_mels=12), 0.05),  # lacks the mean and the highest bins
        (GammatoneView(sr=SR, n_bins=12, fmin=20), 1e-5),
    ],
    ids=["stft", "start", "mel", "gammatone"],
)
def test_a_mask_of_ones_returns_the_sound(view, atol, monkeypatch):
    X, y = sounds()
    model = CRNNClassifier(views=view, width=0.05, max_epochs=1, random_state=0)
    model.fit(X, y)
    monkeypatch.setattr(
        "skaudio.nn.deconvolution.Recording.maps",
        lambda self, layer, features: torch.ones_like(
            next(iter(self.inputs.values()))
        ).expand(len(features), -1, -1),
    )
    found = auralize(model, X[:2], 0, [0, 1], normalize=False)
    for feature in range(2):
        # the first and last samples are in the ends of a window only
        assert_allclose(found.sounds[:, feature, 3:-3], X[:2, 3:-3], atol=atol)


def test_what_comes_before_the_view_is_heard(tmp_path):
    X, y = sounds()
    equalizer = LoudnessEqualizer(sr=SR)
    model = make_pipeline(
        AudioLoader(sr=SR), equalizer, STFTView(**VIEW), SpectrogramCNNClassifier(**CNN)
    ).fit(X, y)
    found = auralize(model, X[:2], 0, 1)
    assert_allclose(found.sources, equalizer.fit_transform(X[:2]), atol=1e-6)
    path = tmp_path / "a.wav"
    soundfile.write(path, X[1], SR, subtype="FLOAT")
    assert_allclose(auralize(model, [path], 0, 1).sounds[0], found.sounds[1], atol=1e-5)


def test_maps_of_waveforms_are_sounds():
    X = sounds()[0][:2]
    found = auralize(on_waveforms(), X, 1, normalize=False)
    maps = deconvolve(on_waveforms(), X, 1)
    assert found.sounds.shape == (2, 6, 1000)
    assert_array_equal(found.sounds, maps[:, :, 0])
    phase = auralize(on_waveforms(), X, 1, method="phase", normalize=False)
    assert_array_equal(phase.sounds, found.sounds)
    raw = make_pipeline(
        RawView(sr=SR),
        FrameLevelCNNClassifier(
            n_modules=2,
            win_length=9,
            hop_length=3,
            width=0.05,
            max_epochs=1,
            random_state=0,
        ),
    ).fit(*sounds())
    assert auralize(raw, X, 0).sounds.shape[2] == 1000


def test_layers_sound_by_their_own_view():
    from skaudio.neural_network import MultiViewBlendingClassifier

    X, y = sounds()
    union = ViewUnion([("stft", STFTView(**VIEW)), ("raw", RawView(sr=SR))])
    options = {"width": 0.02, "max_epochs": 1, "random_state": 0}
    inside = MultiViewBlendingClassifier(views=union, **options)
    before = make_pipeline(union, ViewScaler(), MultiViewBlendingClassifier(**options))
    for model in (inside, before):
        model.fit(X, y)
        stft = auralize(model, X[:1], "encoders.0.blocks.0", 0)
        raw = auralize(model, X[:1], "encoders.1.crnn.blocks.0", 0)
        assert stft.maps.shape == (1, 1, 33, 32)
        assert raw.maps.shape == (1, 1, 1, 1000)
        assert stft.sounds.shape == raw.sounds.shape == (1, 1, 1000)
        assert (type(stft.view), type(raw.view)) == (STFTView, RawView)


def test_clips_of_any_length():
    X = sounds()[0]
    clips = [X[0], X[1][:600]]
    found = auralize(by_itself(), clips, 1, [0, 2])
    assert [sound.shape for sound in found.sounds] == [(2, 1000), (2, 600)]
    for i, clip in enumerate(clips):
        one = auralize(by_itself(), [clip], 1, [0, 2])
        assert_array_equal(found.sounds[i], one.sounds[0])


def test_the_sound_of_silence_is_silence():
    X = np.stack([sounds()[0][0], np.zeros(1000, np.float32)])
    for model, method in product([by_itself(), on_waveforms()], ["mask", "phase"]):
        with pytest.warns(UserWarning, match=r"1 of 2 clips are silent.*rows \[?1"):
            found = auralize(model, X, 1, method=method)
        assert np.isfinite(found.sounds).all()
        assert not found.sounds[1].any()
        assert found.sounds[0].any()


def test_files_are_wav_of_16_bit(tmp_path):
    found = auralize(by_itself(), sounds()[0][:2], 1, [0, 2])
    paths = found.save(tmp_path / "made" / "here")
    assert [path.name for path in paths] == [
        *("clip0_source.wav", "clip0_feature0.wav", "clip0_feature2.wav"),
        *("clip1_source.wav", "clip1_feature0.wav", "clip1_feature2.wav"),
    ]
    assert sorted(paths) == sorted((tmp_path / "made" / "here").iterdir())
    for path in paths:
        info = soundfile.info(path)
        assert (info.samplerate, info.frames, info.channels) == (SR, 1000, 1)
        assert (info.format, info.subtype) == ("WAV", "PCM_16")
    read, _ = soundfile.read(paths[4])
    assert_allclose(read, found.sounds[1, 0], atol=2**-15)
    loud = auralize(by_itself(), 9 * sounds()[0][:1], 0, 1, normalize=False)
    with pytest.warns(UserWarning, match="go beyond -1 to 1 and are clipped"):
        loud.save(tmp_path)


def test_sounds_are_shown_as_players():
    found = auralize(by_itself(), sounds()[0][:2], 1, [0, 2])
    table = found.to_table()
    assert isinstance(table, PlayerTable)
    assert len(table) == 6
    assert repr(table) == "PlayerTable of 6 rows: clip, feature, sound"
    assert table.to_html().count("<audio") == 6
    assert found._repr_html_() == table.to_html()
    assert repr(found).startswith("Auralization of 2 clips, features [0, 2] of layer")


@pytest.mark.parametrize("clips", [[], [1], -1, [0.5], "0", [True]])
def test_clips_to_show_that_are_not_there(clips):
    heard = auralize(by_itself(), sounds()[0][:1], 1, 0)
    assert len(heard.to_table(clips=0)) == 2
    with pytest.raises(ValueError, match="clips must be a number from 0 to 0, or a li"):
        heard.to_table(clips=clips)


# --------------------------------------------------------------------- one of sense
BANDS = {"low": (150, 350), "high": (600, 800)}
FREQUENCIES = np.fft.rfftfreq(1000, 1 / SR)


def inside(band):
    first, last = BANDS[band]
    return (first <= FREQUENCIES) & (last >= FREQUENCIES)


def share_of_low(sounds, mixture):
    """How much of what is let through, in phase, is in the low band."""
    source, passed = np.fft.rfft(mixture), []
    for spectrum in np.fft.rfft(sounds):
        gains = [
            (spectrum[k] * source[k].conj()).real.sum() / (np.abs(source[k]) ** 2).sum()
            for k in map(inside, BANDS)
        ]
        low, high = np.maximum(gains, 0)
        passed.append(low / (low + high + 1e-12))
    return np.mean(passed)


def test_a_network_that_tells_bands_apart_is_heard_in_them():
    """In a mixture of two bands, the features of a class sound of its band."""
    rng = np.random.default_rng(0)

    def noise(band):
        spectrum = rng.normal(size=501) + 1j * rng.normal(size=501)
        wave = np.fft.irfft(spectrum * inside(band))
        return (0.1 * wave / wave.std()).astype(np.float32)

    y = np.array(["low", "high"] * 16)
    X = np.array([noise(band) for band in y])
    mixture = (noise("low") + noise("high"))[None]
    network = FrameLevelCNNClassifier(
        n_modules=2,
        width=0.2,
        dropout=0.0,
        lr=0.01,
        max_epochs=20,
        batch_size=8,
        random_state=0,
    )
    model = make_pipeline(STFTView(**VIEW), network).fit(X, y)
    assert model.score(X, y) == 1
    # features whose maps are largest in clips of a class, beside those of the other
    strength = np.abs(deconvolve(model, X, 0)).sum((2, 3))
    preference = strength[y == "low"].mean(0) - strength[y == "high"].mean(0)
    order = [int(feature) for feature in preference.argsort()]
    features = {"low": order[-4:], "high": order[:4]}

    def heard(band):
        found = auralize(model, mixture, 0, features[band])
        return share_of_low(found.sounds[0], mixture[0])

    assert heard("low") > heard("high") + 0.5
    with seeded_initialisation(1):  # the same, and nothing learned
        for part in network.net_.module_.modules():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
    assert heard("low") < heard("high") + 0.35


# -------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    "view",
    [MFCCView(sr=SR, n_mels=20, n_mfcc=10), CQTView(sr=SR, n_bins=24, fmin=65.4)],
)
def test_views_that_cannot_be_inverted(view):
    X, y = sounds()
    model = CRNNClassifier(width=0.05, max_epochs=1, random_state=0)
    model = make_pipeline(view, model).fit(X, y)
    with pytest.raises(ValueError, match=f"{type(view).__name__} cannot be made sound"):
        auralize(model, X[:1], 0, 0)


def test_views_in_nested_pipelines_are_found():
    X, model = sounds()[0][:1], in_pipeline()
    nested = make_pipeline(model[:2], FrozenEstimator(model[-1]))
    found, expected = auralize(nested, X, 1, 0), auralize(model, X, 1, 0)
    assert_array_equal(found.sounds, expected.sounds)


def test_there_must_be_sound():
    X = sounds()[0][:1]
    views = in_pipeline()[:-1].transform(X)
    for model in (in_pipeline()[-1], in_pipeline()[-1].net_.module_):
        with pytest.raises(ValueError, match="auralize needs sound"):
            auralize(model, views)
    with pytest.raises(ValueError, match="one layer at a time"):
        auralize(by_itself(), X, [0, 1])
    with pytest.raises(ValueError, match="method must be one of"):
        auralize(by_itself(), X, method="istft")
    with pytest.raises(ValueError, match=r"from 0 to 2.*has 3 feature maps"):
        auralize(by_itself(), X, 1, 3)
    with pytest.raises(TypeError, match=r"these have maps"):
        auralize(by_itself(), X, -1)


def test_steps_that_change_the_shape_of_views():
    from sklearn.preprocessing import FunctionTransformer

    half = FunctionTransformer(lambda view: view[:, ::2])
    model = SpectrogramCNNClassifier(**CNN)
    model = make_pipeline(STFTView(**VIEW), half, model).fit(*sounds())
    with pytest.raises(ValueError, match=r"\(17, 32\) bins and frames.*\(33, 32\)"):
        auralize(model, sounds()[0][:1], 0, 0)
