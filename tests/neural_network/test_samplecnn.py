"""Classifiers on waveforms and on frames: input, segments, kinds of y."""

import numpy as np
import pytest
import soundfile
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skaudio.datasets import make_sounds
from skaudio.neural_network import (
    Augmentation,
    FrameLevelCNNClassifier,
    SampleCNNClassifier,
)
from skaudio.nn import FrameLevelCNN, SampleCNN
from skaudio.papers import lee2018
from skaudio.preprocessing import ViewScaler
from skaudio.views import MelView, RawView, Views, make_view_union

pytestmark = pytest.mark.usefixtures("may_use_global_rng")

SHORT = {
    "width": 0.06,
    "max_epochs": 2,
    "lr_schedule": "one-cycle",
    "validation_fraction": None,
    "random_state": 0,
}
SMALL = {**SHORT, "sr": 8000, "sizes": (3,) * 6}  # segments of 729 samples

LEARNING = {"max_epochs": 25, "lr": 0.05, "batch_size": 5}


@pytest.fixture(scope="module")
def tones():
    """Low and high tones of any phase and level, 40 clips of 0.2 s at 8 kHz."""
    rng = np.random.default_rng(0)
    y = np.array(["low", "high"] * 20)
    f = np.where(y == "low", 400, 2000)[:, None]
    t = np.arange(1600) / 8000
    phase, level = rng.random((2, 40, 1))
    X = (0.2 + 0.5 * level) * np.sin(2 * np.pi * (f * t + phase))
    return (X + 0.01 * rng.standard_normal(X.shape)).astype(np.float32), y


@pytest.fixture(scope="module")
def fitted(tones):
    return SampleCNNClassifier(**SMALL).fit(*tones)


def test_the_recipe_is_the_papers():
    clf = SampleCNNClassifier(**lee2018())
    assert not hasattr(clf, "n_samples_")  # before fit
    assert clf._segment_length(None) == 59049
    assert (clf.optimizer, clf.lr, clf.batch_size) == ("nesterov", 0.01, 23)
    schedule = clf.lr_schedule
    rates = [clf.lr / schedule.factor**k for k in range(schedule.n_stages)]
    np.testing.assert_allclose(rates, [0.01, 0.002, 0.0004, 0.00008, 0.000016])
    module = clf._module()["module__network"](1, 50)
    assert isinstance(module, SampleCNN)
    assert sum(p.numel() for p in module.parameters()) == 2_460_466


@pytest.mark.parametrize(("sr", "n_samples"), [(2000, 5184), (8000, 20736)])
def test_rates_bring_their_configuration(sr, n_samples):
    assert SampleCNNClassifier(sr=sr)._segment_length(None) == n_samples


def test_other_rates_need_sizes(tones):
    with pytest.raises(ValueError, match=r"sr=11025, only for \[2000, 4000"):
        SampleCNNClassifier(sr=11025).fit(*tones)
    with pytest.raises(ValueError, match="numbers above 1; got \\(3, 1\\)"):
        SampleCNNClassifier(sizes=(3, 1)).fit(*tones)


def test_learns_tones(tones):
    X, y = tones
    clf = SampleCNNClassifier(**(SMALL | LEARNING))
    assert clf.fit(X[:20], y[:20]).score(X[20:], y[20:]) > 0.9


def test_a_clip_is_the_mean_of_its_segments(tones, fitted):
    X, _ = tones
    module = fitted.net_.module_.network
    n = fitted.n_samples_
    expected = []
    for clip in X[:4]:
        starts = np.arange(10) * ((len(clip) - n) // 9)
        segments = torch.from_numpy(np.stack([clip[s : s + n] for s in starts]))
        with torch.inference_mode():
            logits = module.eval()(segments[:, None])
        expected.append(torch.softmax(logits, 1).mean(0).numpy())
    np.testing.assert_allclose(fitted.predict_proba(X[:4]), expected, atol=1e-5)


def test_all_forms_of_sound_are_one(tones, tmp_path):
    X, y = tones
    paths = []
    for i, clip in enumerate(X):
        paths.append(tmp_path / f"{i}.wav")
        soundfile.write(paths[-1], clip, 8000, subtype="FLOAT")
    expected = SampleCNNClassifier(**SMALL).fit(X, y).predict_proba(X)
    raw = RawView(sr=8000).transform(X)
    forms = {
        "list": list(X),
        "paths": paths,
        "array of a view": raw,
        "views": Views({"samples": raw}, {"samples": 8000.0}),
    }
    for name, form in forms.items():
        proba = SampleCNNClassifier(**SMALL).fit(form, y).predict_proba(form)
        np.testing.assert_array_equal(proba, expected, err_msg=name)
    pipeline = make_pipeline(RawView(sr=8000), SampleCNNClassifier(**SMALL))
    np.testing.assert_array_equal(pipeline.fit(X, y).predict_proba(X), expected)


def test_clips_of_any_length(tones):
    X, y = tones
    ragged = [clip[: 300 + 30 * i] for i, clip in enumerate(X)]
    clf = SampleCNNClassifier(**SMALL).fit(ragged, y)
    alone = [clf.predict_proba([clip])[0] for clip in ragged]
    np.testing.assert_array_equal(clf.predict_proba(ragged), alone)


def test_files_are_resampled(tones, tmp_path):
    X, y = tones
    clf = SampleCNNClassifier(**SMALL).fit(list(X), y)
    soundfile.write(tmp_path / "twice.wav", np.repeat(X[0], 2), 16000)
    soundfile.write(tmp_path / "same.wav", X[0], 8000)
    fast, same = clf.predict_proba([tmp_path / "twice.wav", tmp_path / "same.wav"])
    np.testing.assert_allclose(fast, same, atol=0.05)


def test_views_of_another_rate_or_kind_are_refused(tones):
    X, y = tones
    raw = RawView(sr=16000).transform(X)
    with pytest.raises(ValueError, match=r"16000 samples per second.*sr=8000"):
        SampleCNNClassifier(**SMALL).fit(Views({"raw": raw}, {"raw": 16000.0}), y)
    two = make_view_union("raw", "mel", sr=8000).transform(X)
    with pytest.raises(ValueError, match="takes waveforms or paths"):
        SampleCNNClassifier(**SMALL).fit(two, y)
    with pytest.raises(ValueError, match="takes waveforms or paths"):
        SampleCNNClassifier(**SMALL).fit(two["mel"], y)


def test_sound_is_augmented(tones):
    X, y = tones
    louder = Augmentation(gain=12.0, snr=(0.0, 10.0), mix="between-class")
    plain, changed, again = (
        SampleCNNClassifier(**SMALL, augmentation=a).fit(X, y).predict_proba(X)
        for a in (None, louder, clone(louder))
    )
    assert not np.allclose(plain, changed)
    np.testing.assert_array_equal(changed, again)


def test_tags(tones):
    X, y = tones
    rng = np.random.default_rng(0)
    tags = np.stack([y == "low", y == "high", rng.random(40) < 0.3], axis=1).astype(int)
    clf = SampleCNNClassifier(**(SMALL | LEARNING)).fit(X, tags)
    proba = clf.predict_proba(X)
    assert proba.shape == (40, 3)
    assert not np.allclose(proba.sum(1), 1)
    assert (clf.predict(X)[:, :2] == tags[:, :2]).mean() > 0.9


def test_width_is_a_square_of_the_work():
    """A quarter of the width has about a sixteenth of the multiplications."""

    def multiplications(width):
        net, total, steps = SampleCNN(50, width=width), 0, 59049
        for block in net.blocks:
            steps //= block.conv.stride[0]
            total += steps * block.conv.weight.numel()
            steps //= block.pool.kernel_size if hasattr(block, "pool") else 1
        return total

    assert 15 < multiplications(1.0) / multiplications(0.25) < 16


# ------------------------------------------------------------------------ frame level


@pytest.fixture(scope="module")
def sounds():
    return make_sounds(n_clips=20, n_classes=2, sr=8000, random_state=0)


def test_frame_level_on_bands(sounds):
    X, y = sounds
    mel = MelView(sr=8000, n_mels=16, power=1, scale="log1p")
    cnn = FrameLevelCNNClassifier(n_modules=3, **SHORT)
    model = make_pipeline(mel, ViewScaler(per="view"), cnn).fit(X, y)
    network = model[-1].net_.module_.network
    assert isinstance(network, FrameLevelCNN)
    assert network.blocks[0].conv.in_channels == 16
    assert model[-1]._spec.n_steps == {"view": 27}
    assert model[-1]._spec.seconds == 27 / mel.rate
    assert model.predict_proba(X).shape == (20, 2)


def test_frame_level_on_samples(sounds):
    X, y = sounds
    cnn = FrameLevelCNNClassifier(n_modules=3, win_length=100, hop_length=40, **SHORT)
    union = make_view_union("raw", sr=8000)
    model = make_pipeline(union, cnn).fit(X, y)
    first = model[-1].net_.module_.network.blocks[0]
    assert first.conv.kernel_size == (100,)
    assert first.conv.stride == (40,)
    assert model[-1]._spec.seconds == 27 * 40 / 8000


def test_windows_must_reach_the_next(sounds):
    X, y = sounds
    cnn = FrameLevelCNNClassifier(win_length=40, hop_length=100, **SHORT)
    with pytest.raises(ValueError, match="win_length=40 is shorter than hop_length"):
        make_pipeline(RawView(sr=8000), cnn).fit(X, y)


def test_views_inside(sounds):
    X, y = sounds
    cnn = FrameLevelCNNClassifier(
        views=MelView(sr=8000, n_mels=16, scale="log1p"), n_modules=3, **SHORT
    )
    assert cnn.fit(X, y).predict_proba(X).shape == (20, 2)


def test_a_single_view(sounds):
    X, y = sounds
    two = make_view_union("mel", "raw", sr=8000).transform(X)
    with pytest.raises(ValueError, match="FrameLevelCNNClassifier takes one view"):
        FrameLevelCNNClassifier(**SHORT).fit(two, y)


# ------------------------------------------------------------------------------ GPU


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("mixed_precision", [False, True])
def test_a_gpu_and_a_cpu_agree(tones, mixed_precision):
    X, y = tones
    clf = SampleCNNClassifier(
        **(SMALL | LEARNING), device="cuda", mixed_precision=mixed_precision
    ).fit(X, y)
    on_cuda = clf.predict_proba(X)
    clf.set_params(device="cpu", mixed_precision=False)
    state = clf.__getstate__()
    other = SampleCNNClassifier.__new__(SampleCNNClassifier)
    other.__setstate__(state)
    atol = 0.05 if mixed_precision else 2e-3
    np.testing.assert_allclose(other.predict_proba(X), on_cuda, atol=atol)
