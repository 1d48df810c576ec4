"""Views computed inside the network, and what happens to training segments."""

import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline

import skaudio._audio._load
from skaudio._training import _random_draws
from skaudio._training._datasets import SegmentDataset, TrainingSegments
from skaudio._training._front_ends import OwnViews, TrainingInput, WaveformDataset
from skaudio._training._labels import ClassLabels
from skaudio._training._options._augmentation import Augmentation
from skaudio.neural_network import CRNNClassifier, MultiViewBlendingClassifier
from skaudio.persistence import load, save
from skaudio.preprocessing import ViewScaler
from skaudio.views import MeanPoolView, MelView, RawView, make_view_union

SR = 8000
NET = {"width": 0.05, "max_epochs": 2, "random_state": 0}


def union(*names, top_db=None):
    views = make_view_union(*names, sr=SR)
    views.set_params(**{f"{n}__top_db": top_db for n in names if n != "raw"})
    return views.set_params(cqt__n_bins=60) if "cqt" in names else views


@pytest.fixture(scope="module")
def clips():
    """Twelve clips of 0.2 to 2 s, two classes."""
    rng = np.random.default_rng(0)
    lengths = [
        16000,
        15777,
        1600,
        12345,
        9000,
        16000,
        8000,
        4000,
        16000,
        3333,
        2,
        16000,
    ]
    y = np.arange(12) % 2
    waves = [rng.standard_normal(n).astype(np.float32) * 0.1 for n in lengths]
    for k, wave in enumerate(waves):
        wave += y[k] * np.sin(np.arange(len(wave)) * 0.7).astype(np.float32)
    return waves, y


# ---------------------------------------------------- inside equals computed before


def sources(waves, views, seconds=0.5):
    own = OwnViews(views, "cpu")
    computed, sound = own.read(BaseEstimator(), waves, reset=True)
    scaler = ViewScaler().fit(computed)
    scaled = scaler.transform(computed)
    rates = {name: float(rate) for name, rate in scaled.rates.items()}
    before = SegmentDataset(scaled, rates, seconds, {}, "float32")
    front_ends, geometry = own.front_ends(scaler, before.n_steps, "float32")
    return before, WaveformDataset(sound, before, geometry), front_ends


def inside(front_ends, dataset, rows, starts):
    n = len(rows)
    batch = dataset.inputs(rows, starts, np.zeros(n, bool))
    return front_ends(*batch.values(), torch.zeros(n))


@pytest.mark.parametrize("start", [0.0, 0.3])
@pytest.mark.parametrize("top_db", [None, 15.0])
@pytest.mark.parametrize("scale", ["db", "log"])
def test_segments_of_waveforms_are_segments_of_views(clips, start, top_db, scale):
    """Frames see the same samples, whether a clip is cut before or after its view.

    The start is on the grid of hops (20 ms); clips shorter than the segment are
    repeated as views; the floor is that of the whole clip.
    """
    waves, _ = clips
    views = union("mel", "gammatone", "raw", top_db=top_db)
    views.set_params(mel__scale=scale, gammatone__scale=scale)
    before, dataset, front_ends = sources(waves, views)
    long = [i for i, w in enumerate(waves) if len(w) >= 0.8 * SR]
    rows = np.arange(12) if start == 0 else np.array(long)
    starts = np.full(len(rows), start)
    expected = before.inputs(rows, starts, np.zeros(len(rows), bool))
    for name, view in inside(front_ends, dataset, rows, starts).items():
        # batches of one clip or of several differ in rounding
        np.testing.assert_allclose(view, expected[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("scale", "power"), [("db", 1.0), ("log", 3.0)])
def test_constant_q_inside(clips, scale, power):
    """The CQT's filters have tails beyond the margin: equal to a twentieth of a sd."""
    waves, _ = clips
    views = union("cqt", top_db=20.0).set_params(cqt__scale=scale, cqt__power=power)
    before, dataset, front_ends = sources(waves, views)
    hop = SR / before.rates["cqt"]
    rows = np.array([i for i, w in enumerate(waves) if len(w) > 12000])
    starts = np.full(len(rows), 20 * hop / SR)
    expected = before.inputs(rows, starts, np.zeros(len(rows), bool))["cqt"]
    found = inside(front_ends, dataset, rows, starts)["cqt"]
    assert float((found - expected).abs().max()) < 0.05


FRAMING = [
    {},
    {"window": "boxcar", "n_fft": 401, "win_length": 400},
    {"pad_mode": "reflect"},
    {"pad_mode": "symmetric", "n_fft": 511, "win_length": 300},
    {"pad_mode": "edge", "preemphasis": 0.5},
    {"preemphasis": 0.97},
    {"pad_mode": "reflect", "preemphasis": 0.97},
    {"center": False},
    {"center": False, "preemphasis": 0.97, "window": ("kaiser", 8.0)},
]


def check_cuts(views, waves, atol):
    """Segments at the start, inside and at the end of clips, and whole short clips."""
    before, dataset, front_ends = sources(waves, views)
    rate = min(before.rates.values())
    n_hops = np.floor((before.durations - before.length) * rate + 1e-6)
    for share in (0.0, 0.5, 1.0):
        starts = np.floor(share * np.maximum(n_hops, 0)) / rate  # on the grid of hops
        rows = np.arange(len(waves))
        expected = before.inputs(rows, starts, np.zeros(len(rows), bool))
        for name, view in inside(front_ends, dataset, rows, starts).items():
            np.testing.assert_allclose(
                view, expected[name], atol=atol, err_msg=f"{name} at {share}"
            )


@pytest.mark.parametrize("options", FRAMING, ids=str)
def test_segments_are_cuts_whatever_the_frames(clips, options):
    """What lies beyond a clip's ends is there in training as in prediction."""
    waves = [wave for wave in clips[0] if len(wave) >= 512]
    names = ("mel", "gammatone", "stft", "mfcc")
    views = union(*names, "raw", top_db=30.0)
    views.set_params(mfcc__delta=2, gammatone__hop_length=80, stft__scale="db")
    for name in names:
        views.set_params(**{f"{name}__{key}": v for key, v in options.items()})
    check_cuts(views, waves, atol=2e-4)


def test_segments_of_means_are_cuts(clips):
    """Also beside a view with another grid, and where the end fills no mean."""
    waves = [wave for wave in clips[0] if len(wave) >= 40]
    views = make_view_union(MeanPoolView(sr=SR, pool_size=40), RawView(sr=SR))
    check_cuts(views, waves, atol=1e-6)


@pytest.mark.parametrize("hop_length", [160, 200, 1000])
def test_margins_hold_whole_windows(clips, hop_length):
    """Also where half a window is no multiple of the hop."""
    views = union("mel", top_db=30.0)
    views.set_params(mel__n_fft=512, mel__hop_length=hop_length)
    check_cuts(views, clips[0], atol=2e-4)


def test_views_may_differ_in_their_frames(clips):
    """One waveform with its margins serves all of them."""
    waves = [wave for wave in clips[0] if len(wave) >= 512]
    views = union("mel", "gammatone", "mfcc", top_db=30.0).set_params(
        mel__pad_mode="reflect", gammatone__center=False, mfcc__preemphasis=0.97
    )
    check_cuts(views, waves, atol=2e-4)


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
def test_windows_that_start_where_frames_do(clips, pad_mode):
    views = union("mel", "mfcc", top_db=30.0).set_params(
        mel__center="start",
        mel__pad_mode=pad_mode,
        mfcc__center="start",
        mfcc__pad_mode=pad_mode,
        mfcc__use_energy=True,
        mfcc__delta=2,
    )
    check_cuts(views, clips[0], atol=2e-4)


def test_mirrored_constant_q_inside(clips):
    """Within faint tails, as without; border frames show the mirror image."""
    waves = [wave for wave in clips[0] if len(wave) > 12000]
    views = union("cqt", top_db=20.0).set_params(
        cqt__pad_mode="reflect", cqt__hop_length=160
    )
    check_cuts(views, waves, atol=0.05)


def test_the_range_of_cepstra_is_that_of_the_clip(clips):
    """As for spectrograms: a loud moment outside of a segment raises its floor."""
    soft, loud = np.full(8000, 1e-3, np.float32), np.ones(8000, np.float32)
    tone = np.sin(np.arange(16000) * 0.7).astype(np.float32)
    waves = [tone * np.concatenate([soft, loud]), *clips[0][:2]]
    check_cuts(union("mfcc", top_db=40.0), waves, atol=2e-4)


def test_clips_are_not_joined_to_themselves(clips):
    waves, y = clips
    clf = CRNNClassifier(views=MelView(sr=SR, pad_mode="wrap"), **NET)
    with pytest.raises(ValueError, match=r"'mel' has pad_mode='wrap'.*in a pipeline"):
        clf.fit(waves, y)


def test_training_without_padding(clips):
    """Fewer frames, which start where they are counted; short clips are named."""
    waves, y = clips
    views = union("mel", "raw").set_params(mel__center=False)
    long = [i for i, wave in enumerate(waves) if len(wave) >= 512]
    clf = MultiViewBlendingClassifier(
        views=views, augmentation=EVERYTHING, segment_length=0.5, **NET
    ).fit([waves[i] for i in long], y[long])
    assert clf.predict_proba([waves[0]]).shape == (1, 2)
    with pytest.raises(ValueError, match="needs n_fft=512 samples or more; got 2"):
        clf.predict(waves)


def test_predictions_are_those_of_a_pipeline(clips):
    """Same weights, views before or inside: same probabilities, to the bit."""
    waves, y = clips
    views = union("mel", "cqt", "raw", top_db=80.0)
    options = {**NET, "segment_length": 0.5, "validation_fraction": None}
    inner = MultiViewBlendingClassifier(blending="uniform", views=views, **options)
    inner.fit(waves, y)
    outer = make_pipeline(
        views, ViewScaler(), MultiViewBlendingClassifier(blending="uniform", **options)
    ).fit(waves, y)
    outer[-1].net_.module_.load_state_dict(inner.net_.module_.state_dict())
    np.testing.assert_array_equal(
        inner.predict_proba(waves), outer.predict_proba(waves)
    )


def test_samples_go_in_as_they_are(clips):
    """In prediction and in training, beside a view that is standardised."""
    waves = [wave + np.float32(0.25) for wave in clips[0] if len(wave) >= SR // 2]
    before, dataset, front_ends = sources(waves, union("mel", "raw"))
    rows, starts = np.arange(len(waves)), np.zeros(len(waves))
    cut = np.stack([wave[: SR // 2] for wave in waves])[:, None]
    not_tiled = np.zeros(len(waves), bool)
    np.testing.assert_array_equal(before.inputs(rows, starts, not_tiled)["raw"], cut)
    views = inside(front_ends, dataset, rows, starts)
    np.testing.assert_array_equal(views["raw"], cut)
    assert abs(views["mel"].mean()) < 0.5 < views["mel"].std() < 1.5


def test_one_view_inside(clips):
    waves, y = clips
    clf = CRNNClassifier(views=MelView(sr=SR), **NET).fit(waves, y)
    assert clf.predict_proba(waves).shape == (12, 2)
    assert not hasattr(clf, "n_features_in_")  # lists may have any lengths
    matrix = np.stack([w[:3000] for w in waves if len(w) >= 3000])
    clf.fit(matrix, np.arange(len(matrix)) % 2)
    assert clf.n_features_in_ == 3000
    with pytest.raises(ValueError, match="X has 2999 features, but CRNNClassifier"):
        clf.predict(matrix[:, 1:])


def test_crnn_takes_one_view_inside(clips):
    waves, y = clips
    with pytest.raises(ValueError, match="takes one view, but gets"):
        CRNNClassifier(views=union("mel", "raw"), **NET).fit(waves, y)


def test_broken_clips_are_named(clips):
    waves, y = clips
    broken = [*waves[:3], np.full(4000, np.nan, np.float32), *waves[4:]]
    with pytest.raises(ValueError, match="Clip 3 of X contains NaN or infinity"):
        CRNNClassifier(views=MelView(sr=SR), **NET).fit(broken, y)
    # by their rows in X, whatever part of it they are loaded with
    clf = CRNNClassifier(views=MelView(sr=SR, on_error="nan"), **NET).fit(waves, y)
    broken = [*waves[:6], np.full(4000, np.nan, np.float32), *waves[6:]]
    with pytest.raises(ValueError, match="Clip 6 of X could not be loaded"):
        clf.predict(broken)
    assert clf.predict(waves).shape == y.shape


def test_copies_and_files_predict_the_same(clips, tmp_path):
    waves, y = clips
    clf = CRNNClassifier(
        views=MelView(sr=SR), augmentation=Augmentation(snr=(5.0, 20.0)), **NET
    ).fit(waves, y)
    expected = clf.predict_proba(waves)
    save(clf, tmp_path / "clf.safetensors")
    for copy in (pickle.loads(pickle.dumps(clf)), load(tmp_path / "clf.safetensors")):
        np.testing.assert_array_equal(copy.predict_proba(waves), expected)
        assert copy.augmentation.snr == (5.0, 20.0)


# ----------------------------------------------------------------- decoded once


@pytest.mark.parametrize("rows", [slice(None), [0, 5, 7]])
def test_clips_are_decoded_once(clips, tmp_path, monkeypatch, rows):
    """Loading and computing are two steps: `fit` and `predict` open files once each."""
    paths = [tmp_path / f"{i}.wav" for i in range(12)]
    for path, wave in zip(paths, clips[0], strict=True):
        soundfile.write(path, wave, 2 * SR)
    opened, loaded = [], []
    sound_file, load_clips = soundfile.SoundFile, skaudio._audio._load.load_clips

    def counting(path, *args, **kwargs):
        opened.append(str(path))
        return sound_file(path, *args, **kwargs)

    def counting_clips(X, **options):
        loaded.extend(X)
        return load_clips(X, **options)

    monkeypatch.setattr(soundfile, "SoundFile", counting)
    monkeypatch.setattr(skaudio._audio._load, "load_clips", counting_clips)
    clf = CRNNClassifier(views=MelView(sr=SR), **NET).fit(paths, clips[1])
    assert sorted(opened) == sorted(map(str, paths))
    assert loaded == paths
    chosen = list(np.array(paths)[rows])
    opened.clear()
    loaded.clear()
    clf.predict(chosen)
    assert sorted(opened) == sorted(map(str, chosen))
    assert loaded == chosen


def test_failed_clips_are_listed(clips):
    """`errors_` of the classifier, not of anything in between."""
    waves, y = clips
    clf = CRNNClassifier(views=MelView(sr=SR, on_error="nan", duration=1.0), **NET)
    clf.fit(waves, y)
    assert not hasattr(clf, "errors_")
    broken = [*waves[:2], np.full(4000, np.nan, np.float32)]
    with pytest.raises(ValueError, match="NaN"):
        clf.predict_proba(broken)
    assert [error["row"] for error in clf.errors_] == [2]


def test_a_raw_view_is_sound(clips):
    """Samples that were loaded before, in `Views` or as one bin, are waveforms."""
    waves, y = clips
    matrix = np.stack([wave[:3000] for wave in waves if len(wave) >= 3000])
    y = y[: len(matrix)]
    expected = CRNNClassifier(views=MelView(sr=SR), **NET).fit(matrix, y)
    expected = expected.predict_proba(matrix)
    for X in (RawView(sr=SR).transform(matrix), union("raw").transform(matrix)):
        clf = CRNNClassifier(views=MelView(sr=SR), **NET).fit(X, y)
        np.testing.assert_array_equal(clf.predict_proba(X), expected)


def test_what_is_no_sound(clips):
    waves, y = clips
    clf = CRNNClassifier(views=MelView(sr=SR), **NET)
    with pytest.raises(ValueError, match="CRNNClassifier takes waveforms or paths"):
        clf.fit(union("mel").transform(waves), y)
    raw = union("raw").transform(waves)
    clf.set_params(views=MelView(sr=4000))
    with pytest.raises(ValueError, match=r"8000 samples per second.*sr=4000"):
        clf.fit(raw, y)


# ----------------------------------------------------------------- random draws


EVERYTHING = Augmentation(
    gain=6.0,
    shift=True,
    snr=(10.0, 30.0),
    mix="between-class",
    mix_probability=0.5,
    freq_mask=0.2,
    time_mask=0.2,
)


def training_views(waves, y, augmentation, rows, epoch=0, seed=7):
    _, dataset, front_ends = sources(waves, union("mel", "raw"))
    data = TrainingSegments(
        dataset, {"label": y}, augmentation, ClassLabels(np.arange(2)).mix, seed
    )
    data.epoch = epoch
    batch, targets = data.batch(np.asarray(rows))
    return TrainingInput(front_ends, augmentation)(batch), targets


@pytest.mark.parametrize("augmentation", [EVERYTHING, Augmentation(mix="mixup")])
def test_what_happens_to_a_clip_depends_on_seed_epoch_and_clip_only(
    clips, augmentation
):
    """In another order, or in another batch, every clip has the same draws."""
    waves, y = clips
    together, targets = training_views(waves, y, augmentation, range(12))
    for rows in ([3], [11, 0, 3], list(range(12))[::-1]):
        some, some_targets = training_views(waves, y, augmentation, rows)
        for name in together:
            np.testing.assert_array_equal(some[name], together[name][rows])
        np.testing.assert_array_equal(some_targets["label"], targets["label"][rows])
    later, _ = training_views(waves, y, augmentation, range(12), epoch=1)
    other, _ = training_views(waves, y, augmentation, range(12), seed=8)
    assert not np.allclose(later["mel"], together["mel"])
    assert not np.allclose(other["mel"], together["mel"])


def test_nothing_is_changed_by_default(clips):
    waves, y = clips
    found, targets = training_views(waves, y, Augmentation(), range(12))
    _, dataset, front_ends = sources(waves, union("mel", "raw"))
    starts = _random_draws.draw(7, 0, range(12), 12, Augmentation(), 0).start
    starts = starts * np.maximum(dataset.durations - dataset.length, 0)
    expected = inside(front_ends, dataset, np.arange(12), starts)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    np.testing.assert_array_equal(targets["label"], y)


def test_gain_moves_decibels(clips):
    """A louder waveform is the same picture, some decibels up, its floor as well."""
    waves, y = clips
    _, dataset, _ = sources(waves, union("mel", top_db=40.0))
    own = OwnViews(union("mel", top_db=40.0), "cpu")
    plain = SimpleNamespace(mean_={"mel": np.zeros(64)}, scale_={"mel": np.ones(64)})
    front_ends, _ = own.front_ends(plain, dataset.n_steps, "float32")
    difference = []
    for augmentation in (Augmentation(), Augmentation(gain=6.0)):
        data = TrainingSegments(dataset, {"label": y}, augmentation, None, 7)
        batch, _ = data.batch(np.arange(6))
        difference.append(TrainingInput(front_ends, augmentation)(batch)["mel"])
    gained = (difference[1] - difference[0]).numpy()
    draws = _random_draws.draw(7, 0, range(6), 12, Augmentation(gain=6.0), 0)
    loud = difference[0].numpy() > -90  # above the floor of -100 dB, with room
    expected = np.broadcast_to(6.0 * draws.gain[:, None, None], gained.shape)
    np.testing.assert_allclose(gained[loud], expected[loud], atol=1e-3)
    assert np.abs(expected).max() > 2


def test_targets_are_mixed_as_the_sounds_are(clips):
    waves, y = clips
    augmentation = Augmentation(mix="between-class", mix_probability=0.5)
    _, targets = training_views(waves, y, augmentation, range(12))
    draws = _random_draws.draw(7, 0, range(12), 12, augmentation, 0)
    assert 0 < draws.is_mixed.sum() < 12
    ratio = np.where(draws.is_mixed, draws.ratio, 1.0)[:, None]
    eye = np.eye(2)
    expected = ratio * eye[y] + (1 - ratio) * eye[y[draws.partner]]
    np.testing.assert_allclose(targets["label"], expected, atol=1e-6)
    assert (draws.partner != np.arange(12)).all()
    np.testing.assert_allclose(targets["label"].sum(1), 1, atol=1e-6)


def test_short_sounds_are_repeated_before_they_are_mixed(clips):
    """Otherwise half of a mixture would be silence."""
    waves, _ = clips
    _, dataset, front_ends = sources(waves, union("mel", "raw"))
    rows, tiled = np.array([2, 0]), np.array([True, True])
    batch = dataset.inputs(rows, np.zeros(2), tiled)
    margin = dataset.geometry.margin
    wave = batch["waveform"][0, margin:].numpy()
    np.testing.assert_array_equal(wave, np.resize(waves[2], len(wave)))
    still = dataset.inputs(rows, np.zeros(2), ~tiled)
    np.testing.assert_array_equal(batch["waveform"][1], still["waveform"][1])
    views = front_ends(*batch.values(), torch.zeros(2))
    n = dataset.n_steps["raw"]
    raw = (np.resize(waves[2], n) - waves[2].mean()) / waves[2].std()
    assert np.corrcoef(views["raw"][0, 0], raw)[0, 1] == pytest.approx(1)


def test_mixup_is_the_mean_of_views(clips):
    waves, y = clips
    augmentation = Augmentation(mix="mixup")
    before, _, _ = sources(waves, union("mel"))
    data = TrainingSegments(
        before, {"label": y}, augmentation, ClassLabels(np.arange(2)).mix, 7
    )
    batch, _ = data.batch(np.arange(12))
    mixed = TrainingInput(None, augmentation)(batch)["mel"]
    ratio = batch.draws["ratio"][:, None, None]
    expected = ratio * batch.own["mel"] + (1 - ratio) * batch.partner["mel"]
    torch.testing.assert_close(mixed, expected)


def test_ratios_follow_the_beta_distribution():
    from scipy.stats import beta, kstest

    for alpha in (0.4, 1.0):
        options = Augmentation(mix="mixup", mix_alpha=alpha)
        ratios = _random_draws.draw(0, 0, range(2000), 2000, options, 0).ratio
        assert kstest(ratios, beta(alpha, alpha).cdf).pvalue > 1e-3


def test_draws_are_uniform_and_uncorrelated():
    draws = _random_draws.draw(0, 5, range(4000), 4000, Augmentation(), 2)
    numbers = np.column_stack([draws.start, draws.roll, draws.snr, draws.masks])
    assert np.abs(numbers.mean(0) - 0.5).max() < 0.03
    off_diagonal = np.corrcoef(numbers.T) - np.eye(5)
    assert np.abs(off_diagonal).max() < 0.06


def test_short_clips_start_anywhere_when_shifted(clips):
    waves, y = clips
    still, _ = training_views(waves, y, Augmentation(), [2])
    moved, _ = training_views(waves, y, Augmentation(shift=True), [2])
    period = 1600
    roll = int(_random_draws.draw(7, 0, [2], 12, Augmentation(), 0).roll[0] * period)
    expected = np.roll(still["raw"][0, 0, :period], -roll)
    np.testing.assert_array_equal(moved["raw"][0, 0, :period], expected)


@pytest.mark.parametrize(
    "options",
    [{"gain": 3.0}, {"shift": True}, {"snr": (0.0, 9.0)}, {"mix": "between-class"}],
)
def test_changes_of_sound_need_sound(clips, options):
    waves, y = clips
    X = union("mel").transform(waves)
    clf = CRNNClassifier(augmentation=Augmentation(**options), **NET)
    with pytest.raises(ValueError, match="acts on the waveform, but X holds views"):
        clf.fit(X, y)


def test_changes_of_views_reach_training_on_views(clips):
    waves, y = clips
    X = union("mel").transform(waves)

    def proba(**options):
        clf = CRNNClassifier(augmentation=Augmentation(**options), **NET)
        return clf.fit(X, y).predict_proba(X)

    plain = proba()
    np.testing.assert_array_equal(
        plain, CRNNClassifier(**NET).fit(X, y).predict_proba(X)
    )
    for options in ({"mix": "mixup"}, {"freq_mask": 0.5}, {"time_mask": 0.5}):
        assert not np.array_equal(proba(**options), plain), options


def test_snr_is_a_range(clips):
    waves, y = clips
    clf = CRNNClassifier(
        views=MelView(sr=SR), augmentation=Augmentation(snr=(9.0, 0.0)), **NET
    )
    with pytest.raises(ValueError, match=r"snr must be None or \(low, high\)"):
        clf.fit(waves, y)


def test_augmentation_is_searched_like_any_parameter():
    clf = CRNNClassifier(augmentation=Augmentation())
    assert clone(clf).set_params(augmentation__gain=3.0).augmentation.gain == 3.0


def test_training_with_everything_repeats_to_the_bit(clips):
    waves, y = clips

    def proba(seed):
        clf = MultiViewBlendingClassifier(
            views=union("mel", "raw"),
            augmentation=EVERYTHING,
            segment_length=0.5,
            **(NET | {"random_state": seed}),
        )
        return clf.fit(waves, y).predict_proba(waves)

    np.testing.assert_array_equal(proba(1), proba(1))
    assert not np.allclose(proba(1), proba(2))


@pytest.mark.parametrize("method", ["fit", "predict"])
def test_reports_count_rows_over_all_parts(clips, monkeypatch, method):
    """What cannot be loaded and what overflows in a view: one warning, right rows."""
    waves, y = clips
    mel = MelView(sr=SR, n_mels=8, on_error="warn")
    model = CRNNClassifier(views=mel, width=0.02, max_epochs=1, random_state=0)
    model.fit(waves, y)
    bad = list(waves)
    bad[3], bad[7] = 1e30 * bad[3], "no such.wav"
    monkeypatch.setattr(skaudio._audio._parts, "MOST_CLIPS", 2)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        own = OwnViews(mel, "cpu")
        if method == "fit":
            views, sound = own.read(model, bad, reset=True)
            parts = [views]
            assert len(sound.waveforms) == 12
            assert sound.maxima.shape == (12, 1)
        else:
            parts = [views for views, _ in own.parts(model, bad)]
    found = [clip for part in parts for clip in part.clips("mel")]
    assert len(found) == 12
    assert [i for i, v in enumerate(found) if np.isnan(v).any()] == [3, 7]
    assert [error["row"] for error in model.errors_] == [3, 7]
    (warning,) = told
    assert str(warning.message).startswith("2 of 12 clips")
