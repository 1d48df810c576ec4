"""Laws that every view obeys, and what each of them is."""

import pickle
import re
import weakref

import librosa
import numpy as np
import pandas as pd
import pytest
import sklearn
import soundfile
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline

from skaudio._audio._load import load_clips, load_parts
from skaudio._audio._report import Report
from skaudio.nn.devices import is_available
from skaudio.preprocessing import AudioLoader, FrameStatistics, ViewScaler
from skaudio.views import (
    CQTView,
    GammatoneView,
    MeanPoolView,
    MelView,
    MFCCView,
    RawView,
    STFTView,
    ViewUnion,
    _base,
    make_view_union,
)

SR = 8000
VIEWS = {
    "mel": MelView(sr=SR),
    "mel-linear": MelView(sr=SR, power=1.0, scale="linear"),
    "gammatone": GammatoneView(sr=SR),
    "stft": STFTView(sr=SR),
    "mfcc": MFCCView(sr=SR, delta=2),
    "cqt": CQTView(sr=SR, n_bins=72),
    "raw": RawView(sr=SR),
    "means": MeanPoolView(sr=SR, pool_size=10),
}


@pytest.fixture(params=VIEWS)
def view(request):
    return clone(VIEWS[request.param])


def ragged(X, view):
    """Clips of several lengths, all long enough for a view."""
    lengths = (4000, 1, 37, 1600, 4000, 3999)
    clips = [x[:n] for x, n in zip(X, lengths, strict=False)]
    return [clip for clip in clips if len(clip) >= view._shortest]


def assert_same_clips(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


# ----------------------------------------------------------------------------- laws


def test_shape_and_rate(view, sounds):
    X, _ = sounds
    out = view.fit_transform(X)
    assert out.ndim == 3
    assert len(out) == len(X)
    seconds = X.shape[1] / SR
    assert out.shape[2] == pytest.approx(view.rate * seconds, abs=1.0)


def test_rows_do_not_depend_on_each_other(view, sounds):
    X, _ = sounds
    together = view.transform(X)
    alone = [view.transform(X[i : i + 1])[0] for i in range(len(X))]
    assert_same_clips(together, alone)
    assert_same_clips(view.transform(X[::-1]), together[::-1])


def test_ragged_is_one_by_one(view, sounds):
    clips = ragged(sounds[0], view)
    out = view.transform(clips)
    assert out.shape == (len(clips),)
    assert out.dtype == object
    assert_same_clips(out, [view.transform([clip])[0] for clip in clips])


def test_clips_of_equal_length_stack(view, sounds):
    X, _ = sounds
    np.testing.assert_array_equal(view.transform(list(X)), view.transform(X))


def test_paths_are_arrays(view, sounds, tmp_path):
    import soundfile

    X, _ = sounds
    paths = [tmp_path / f"{i}.wav" for i in range(3)]
    for path, clip in zip(paths, X, strict=False):
        soundfile.write(path, clip, SR, subtype="FLOAT")
    np.testing.assert_array_equal(view.transform(paths), view.transform(X[:3]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_follows_clips(view, sounds, dtype):
    out = view.transform(sounds[0][:2].astype(dtype))
    assert out.dtype == dtype


def test_precision_of_a_clip_is_its_own(view, sounds):
    a, b = sounds[0][:2].astype(np.float64)
    mixed = view.transform([a.astype(np.float32), b[:1000]])
    np.testing.assert_array_equal(mixed[0], view.transform([a.astype(np.float32)])[0])
    assert (mixed[0].dtype, mixed[1].dtype) == (np.float32, np.float64)


def test_precisions_agree(view, sounds):
    X = sounds[0][:4]
    low, high = view.transform(X), view.transform(X.astype(np.float64))
    np.testing.assert_allclose(low, high, atol=0.05, rtol=1e-3)


def test_transform_needs_no_fit_and_keeps_no_state(view, sounds):
    X, _ = sounds
    before = dict(view.__dict__)
    unfitted = view.transform(X)
    assert view.__dict__ == before
    assert view.errors_ == []
    view.fit(X)
    before = dict(view.__dict__)
    np.testing.assert_array_equal(view.transform(X), unfitted)
    assert view.__dict__ == before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_overflows_is_the_error_of_its_clip(view, sounds, dtype):
    X = sounds[0][:3].astype(dtype)
    wanted = view.transform(X)
    huge = X.copy()
    huge[1] *= 1e30 if dtype == "float32" else 1e300
    for clips in (huge, list(huge)):
        if view.kind in ("raw", "meanpool"):  # nothing is larger than the samples
            assert np.isfinite(view.transform(clips)).all()
            continue
        view.set_params(on_error="raise")
        with pytest.raises(
            ValueError, match=r"Clip 1 of X has values .*too large.*peak"
        ):
            view.transform(clips)
        view.set_params(on_error="nan")
        got = view.transform(clips)
        assert [error["row"] for error in view.errors_] == [1]
        assert np.isnan(got[1]).all()
        np.testing.assert_array_equal(got[[0, 2]], wanted[[0, 2]])
        view.transform(X)
        assert view.errors_ == []


def test_pickles_and_clones(view, sounds):
    X = sounds[0][:3]
    view.fit(X)
    expected = view.transform(X)
    data = pickle.dumps(view)
    assert len(data) < 2000  # parameters, no filters
    np.testing.assert_array_equal(pickle.loads(data).transform(X), expected)
    np.testing.assert_array_equal(clone(view).transform(X), expected)


def test_arrays_are_strict_about_length_and_lists_are_free(view, sounds):
    X, _ = sounds
    view.fit(X)
    with pytest.raises(ValueError, match="X has 3000 features, but"):
        view.transform(X[:, :3000])
    assert len(view.transform([X[0, :3000]])) == 1
    view.fit(list(X))
    view.transform(X[:, :3000])


def test_names_are_those_of_the_bins(view, sounds):
    n_bins = view.transform(sounds[0][:1]).shape[1]
    names = list(view.get_feature_names_out())
    assert len(set(names)) == n_bins == len(names)
    assert all(name.startswith(view.kind) for name in names)
    if view.frequencies is not None:
        found = [float(re.fullmatch(r"[a-z]+_([\d.]+)Hz", name)[1]) for name in names]
        np.testing.assert_allclose(found, view.frequencies, atol=0.5)


def test_names_of_bins_have_decimals_that_tell_them_apart():
    view = CQTView(sr=8000, n_bins=3, bins_per_octave=100, fmin=32.0)
    names = ["cqt_32.0Hz", "cqt_32.2Hz", "cqt_32.4Hz"]
    assert list(view.get_feature_names_out()) == names
    names = ["mfcc0", "mfcc1", "mfcc0_delta", "mfcc1_delta"]
    view = MFCCView(sr=8000, n_mfcc=2, delta=1)
    assert list(view.get_feature_names_out()) == names
    assert list(view.get_feature_names_out(["path"])) == names


def test_rows_keep_their_index_if_data_frames_are_wanted(view, sounds):
    clips, index = list(sounds[0][:3]), [7, 5, 6]
    X = pd.Series(clips, index=index)
    expected = view.transform(clips)
    assert isinstance(view.transform(X), np.ndarray)
    assert view.set_output(transform="pandas") is view
    out = view.transform(X)
    assert list(out.index) == index
    assert_same_clips(list(out), expected)
    assert isinstance(view.transform(clips), np.ndarray)
    with sklearn.config_context(transform_output="pandas"):
        assert list(clone(view).transform(X).index) == index
    scaler = ViewScaler().fit(expected)
    scaled = scaler.transform(expected)
    scaler.set_output(transform="pandas")
    for kind in (out, list(out), expected):
        assert_same_clips(list(scaler.transform(kind)), scaled)
    assert list(scaler.transform(out).index) == index


@pytest.mark.parametrize("column", ["path", ["path"]])
@pytest.mark.parametrize("with_loader", [False, True])
@pytest.mark.parametrize("n_views", [1, 2])
def test_a_table_with_sound_and_names(sounds, tmp_path, column, with_loader, n_views):
    """ColumnTransformer: names of columns and the caller's index, through all steps."""
    paths = [str(tmp_path / f"{i}.wav") for i in range(4)]
    for path, clip in zip(paths, sounds[0], strict=False):
        soundfile.write(path, clip, SR, subtype="FLOAT")
    frame = pd.DataFrame({"path": paths, "age": np.arange(4.0)}, index=[9, 3, 5, 7])
    view = MelView(sr=SR, n_mels=3)
    bins = [f"mel_{hz:.0f}Hz" for hz in view.frequencies]
    if n_views == 2:
        bins = [*(f"loud__{name}" for name in bins), "wave__raw0"]
        view = ViewUnion([("loud", view), ("wave", RawView(sr=SR))])
    loader = [AudioLoader(sr=SR)] if with_loader else []
    audio = make_pipeline(*loader, view, ViewScaler(), FrameStatistics(("mean", "max")))
    names = [f"{s}_{name}" for s in ("mean", "max") for name in bins]
    if n_views == 2:
        names = [f"{s}_{bin_}" for s in ("mean", "max") for bin_ in bins[:3]]
        names += [f"{s}_wave__raw0" for s in ("mean", "max")]
    expected = audio.fit_transform(paths)
    assert list(audio.get_feature_names_out()) == names
    columns = ColumnTransformer(
        [("audio", audio, column), ("rest", "passthrough", ["age"])]
    )
    table = columns.set_output(transform="pandas").fit_transform(frame)
    assert list(table.index) == [9, 3, 5, 7]
    assert list(table.columns) == [*(f"audio__{n}" for n in names), "rest__age"]
    np.testing.assert_array_equal(table.iloc[:, :-1], expected)
    np.testing.assert_array_equal(columns.transform(frame[2:]), table[2:])


def test_views_keep_the_index_of_their_rows(sounds):
    X = pd.Series(list(sounds[0][:4]), index=list("abcd"))
    union = make_view_union("mel", "raw", sr=SR).set_output(transform="pandas")
    views = union.transform(X)
    for some, index in [
        (views, "abcd"),
        (views[[2, 0]], "ca"),
        (views[1:], "bcd"),
        (views[np.array([True, False, False, True])], "ad"),
        (views.select(["mel"]), "abcd"),
        (views.map(lambda name, array: array + 1), "abcd"),
        (pickle.loads(pickle.dumps(views[2:])), "cd"),
    ]:
        assert "".join(some.index) == index
    assert union.transform(list(X)).index is None


def test_a_later_start_is_a_later_frame(view, sounds):
    """A clip that starts some hops later gives the same frames, later."""
    hop = SR / view.rate
    shift = round(4 * hop)
    assert shift == pytest.approx(4 * hop)
    y = np.pad(sounds[0][0], (8000, 8000)).astype(np.float64)
    ours, later = view.transform([y, np.roll(y, shift)])
    scale = np.abs(ours).max()
    np.testing.assert_allclose(later[:, 4:], ours[:, :-4], atol=5e-3 * scale)


# ------------------------------------------------------------- what users really have


TORTURE = {
    "1 sample": np.ones(1, dtype=np.float32),
    "silence": np.zeros(2000, dtype=np.float32),
    "DC": np.full(2000, 0.5, dtype=np.float32),
    "clipped": np.sign(np.sin(np.arange(2000, dtype=np.float32))),
    "5 ms": np.sin(np.arange(40, dtype=np.float32)),
    "int16": (3000 * np.sin(np.arange(2000))).astype(np.int16),
    "stereo": np.ones((2, 900), dtype=np.float32),
    "tiny values": np.full(500, 1e-30, dtype=np.float32),
    "huge values": 1e6 * np.sin(np.arange(2000, dtype=np.float32)),
}


@pytest.mark.parametrize("name", TORTURE)
def test_odd_clips_are_finite(view, name):
    clip = TORTURE[name]
    out = view.transform([clip if clip.size > 1 else np.ones(view._shortest, "f4")])
    assert out.shape[0] == 1
    assert out.shape[2] >= 1
    assert np.isfinite(out).all()


BROKEN = {
    "0 samples": np.zeros(0, dtype=np.float32),
    "NaN": np.array([0.0, np.nan, 0.0], dtype=np.float32),
    "infinity": np.array([0.0, np.inf], dtype=np.float32),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_clips_raise_or_keep_their_row(view, sounds, name):
    good = sounds[0][0]
    with pytest.raises(ValueError, match="Clip 1 of X"):
        view.transform([good, BROKEN[name], good])
    view.set_params(on_error="nan", duration=0.5)
    out = view.transform([good, BROKEN[name], good])
    assert np.isnan(out[1]).all()
    np.testing.assert_array_equal(out[[0, 2]], view.transform([good, good]))


def test_errors_are_reported_and_forgotten(view, sounds):
    X = sounds[0][:3].copy()
    X[1, 7] = np.nan
    view.set_params(on_error="warn").fit(X)
    assert view.errors_ == []
    with pytest.warns(UserWarning, match="1 of 3 clips could not be loaded"):
        out = view.transform(X)
    assert [error["row"] for error in view.errors_] == [1]
    assert np.isnan(out[1]).all()
    assert np.isfinite(out[[0, 2]]).all()
    view.transform(X[:1])
    assert view.errors_ == []


def test_rows_of_errors_count_over_chunks(view, sounds, monkeypatch, tmp_path):
    monkeypatch.setattr("skaudio._audio._parts.MOST_CLIPS", 2)
    clips = [*sounds[0][:3], tmp_path / "missing.wav", sounds[0][4]]
    view.set_params(on_error="nan", duration=0.5)
    out = view.transform(clips)
    assert [error["row"] for error in view.errors_] == [3]
    assert np.isnan(out[3]).all()
    np.testing.assert_array_equal(out[4], view.transform(clips[4:])[0])


def test_read_only_memmap(view, sounds, tmp_path):
    X = sounds[0][:2]
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(view.transform(mapped), view.transform(X.copy()))


@pytest.mark.parametrize("name", ["mel", "cqt"])
def test_ten_minutes(name):
    n_samples = 600 * SR
    t = np.arange(n_samples, dtype=np.float32) / SR
    clip = np.sin(2 * np.pi * 261.6 * np.fmod(t, 1.0)).astype(np.float32)
    view = clone(VIEWS[name])
    (out,) = view.transform([clip])
    assert out.shape[1] == 1 + int(600 * view.rate)
    assert np.isfinite(out).all()


# -------------------------------------------------------------------------- each view


def real_clips(shared_data):
    for pattern in (
        "esc10/audio/*.ogg",
        "philharmonia/audio/*.mp3",
        "fsdd/audio/*.wav",
    ):
        yield from sorted(shared_data.glob(pattern))[::170][:3]


def test_mel_and_mfcc_of_real_clips_are_librosas(shared_data):
    for path in real_clips(shared_data):
        (y,), _ = load_clips([path], sr=22050)
        frames = {"sr": 22050, "n_fft": 1024, "win_length": 882, "hop_length": 441}
        if len(y) < 1024:
            continue
        mel = librosa.feature.melspectrogram(y=y, n_mels=64, **frames)
        np.testing.assert_allclose(
            MelView().transform([path])[0], librosa.power_to_db(mel), atol=1e-3
        )
        precise = librosa.feature.melspectrogram(y=y.astype(float), n_mels=64, **frames)
        np.testing.assert_allclose(
            MelView().transform([y.astype(float)])[0],
            librosa.power_to_db(precise),
            atol=1e-5,
        )
        mfcc = librosa.feature.mfcc(y=y, **frames)
        deltas = [librosa.feature.delta(mfcc, order=k, mode="nearest") for k in (1, 2)]
        np.testing.assert_allclose(
            MFCCView(delta=2).transform([path])[0],
            np.concatenate([mfcc, *deltas]),
            atol=1e-3,
        )


def test_the_mfcc_baseline_of_coala_is_librosas():
    """20 coefficients and derivatives over 5 frames, mean and variance: 120 numbers."""
    y = 0.1 * np.random.default_rng(0).standard_normal(22000)
    view = MFCCView(
        sr=22000, delta=2, delta_width=5, n_fft=2048, hop_length=512, pad_mode="reflect"
    )
    features = make_pipeline(view, FrameStatistics(("mean", "var"))).fit_transform([y])
    mfcc = librosa.feature.mfcc(y=y, sr=22000, pad_mode="reflect")
    options = {"width": 5, "mode": "nearest"}
    deltas = [librosa.feature.delta(mfcc, order=k, **options) for k in (1, 2)]
    frames = np.concatenate([mfcc, *deltas])
    wanted = np.concatenate([frames.mean(axis=1), frames.var(axis=1)])
    assert features.shape == (1, 120)
    np.testing.assert_allclose(features[0], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("sr", "framing"),
    [
        (44100, (2048, 1764, 882)),
        (22050, (1024, 882, 441)),
        (16000, (1024, 640, 320)),
        (8000, (512, 320, 160)),
    ],
)
def test_frames_are_40_and_20_ms(sr, framing):
    assert MelView(sr=sr)._framing() == framing
    assert GammatoneView(sr=sr)._framing() == framing


def test_magnitudes_of_four_seconds_are_librosas():
    """The call that the paper on auralisation stands for: 257 bins, 173 frames."""
    view = STFTView(sr=11025, n_fft=512, hop_length=256)
    y = np.random.default_rng(0).standard_normal((1, 44100))
    found = view.transform(y)
    assert found.shape == (1, 257, 173)
    assert found.flags.c_contiguous
    expected = np.abs(librosa.stft(y[0], n_fft=512, hop_length=256))
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
    assert view.rate == 11025 / 256
    power = clone(view).set_params(power=2.0).transform(y)[0]
    np.testing.assert_allclose(power, expected**2, rtol=1e-6)


@pytest.mark.parametrize("n_samples", [40, 79, 80, 4001])
def test_means_of_samples_side_by_side(n_samples):
    """What does not fill a mean is dropped."""
    y = np.random.default_rng(0).standard_normal(n_samples).astype(np.float32)
    found = MeanPoolView().transform([y])
    n = n_samples // 40
    assert found.shape == (1, 1, n)
    expected = [y[40 * i : 40 * (i + 1)].mean() for i in range(n)]
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-7)
    assert MeanPoolView().rate == 551.25


@pytest.mark.parametrize(
    ("view", "needed"),
    [
        (MeanPoolView(sr=SR), "MeanPoolView needs pool_size=40"),
        (MelView(sr=SR, n_fft=40, n_mels=4, center=False), "MelView needs n_fft=40"),
        (STFTView(sr=SR, n_fft=40, center=False), "STFTView needs n_fft=40"),
    ],
)
def test_a_clip_that_is_too_short_is_an_error_of_its_own(view, needed):
    long = np.ones(100, np.float32)
    X = [long, long[:39], long]
    for source in (view, ViewUnion([("raw", RawView(sr=SR)), ("it", view)])):
        with pytest.raises(ValueError, match=f"Clip 1 of X is too short: {needed} .*9"):
            source.transform(X)
    view = clone(view).set_params(on_error="warn")
    with pytest.warns(UserWarning, match="row 1: Clip 1 of X is too short"):
        out = view.transform(X)
    assert [error["row"] for error in view.errors_] == [1]
    assert [np.isnan(array).all() for array in out] == [False, True, False]
    np.testing.assert_array_equal(out[2], view.transform([long])[0])
    union = ViewUnion([("raw", RawView(sr=SR, on_error="nan")), ("it", view)])
    views = union.set_params(it__on_error="nan").transform(X)
    assert np.isnan(views["raw"][1]).all()
    assert np.isfinite(views["raw"][2]).all()
    padded = clone(view).set_params(duration=0.01).transform(X)
    assert np.isfinite(padded).all()


def test_librosas_parameters_mean_the_same():
    assert MelView(n_fft=2048, hop_length=512)._framing() == (2048, 2048, 512)
    assert MelView(win_length=600)._framing() == (1024, 600, 441)


LIBROSAS = {
    "window": np.hanning(400),
    "center": False,
    "htk": True,
    "preemphasis": 0.97,
    "n_fft": 512,
    "win_length": 400,
    "hop_length": 160,
}


@pytest.mark.parametrize("window", [np.hanning(400), list(np.hanning(400)), "hamming"])
def test_parameters_reach_librosas_numbers(sounds, window):
    """Views pass on what the front ends take; see tests/nn for each of them."""
    X = sounds[0][:2].astype(float)
    options = {**LIBROSAS, "window": window}
    sharp = librosa.effects.preemphasis(X, coef=options["preemphasis"], zi=[[0.0]] * 2)
    theirs = {**options, "sr": SR}
    theirs["window"] = window if isinstance(window, str) else np.asarray(window)
    del theirs["preemphasis"]
    found = MelView(sr=SR, norm=None, n_mels=40, **options).transform(X)
    cepstra = MFCCView(
        sr=SR, mel_norm=None, n_mels=40, norm=None, dct_type=3, lifter=22, **options
    ).transform(X)
    for i, y in enumerate(sharp):
        mel = librosa.feature.melspectrogram(y=y, norm=None, n_mels=40, **theirs)
        bands = librosa.power_to_db(mel)
        np.testing.assert_allclose(found[i], bands, atol=1e-3)
        mfcc = librosa.feature.mfcc(S=bands, norm=None, dct_type=3, lifter=22)
        np.testing.assert_allclose(cepstra[i], mfcc, atol=1e-3)


def test_mirrored_constant_q(sounds):
    X = sounds[0][:1]
    plain, mirrored = (
        CQTView(sr=SR, n_bins=60, pad_mode=mode).transform(X)
        for mode in ("constant", "reflect")
    )
    assert mirrored.shape == plain.shape
    assert not np.allclose(mirrored[..., :2], plain[..., :2], atol=1.0)


@pytest.mark.parametrize("kind", [MelView, GammatoneView, MFCCView, STFTView])
def test_views_with_arrays_as_parameters(kind, sounds):
    """Cloned, pickled and found again like views with names only."""
    options = {k: v for k, v in LIBROSAS.items() if k != "htk"}
    view = kind(sr=SR, **options)
    expected = view.fit_transform(sounds[0][:2])
    for copy in (clone(view), pickle.loads(pickle.dumps(view))):
        np.testing.assert_array_equal(copy.transform(sounds[0][:2]), expected)
    as_list = clone(view).set_params(window=list(LIBROSAS["window"]))
    np.testing.assert_array_equal(as_list.transform(sounds[0][:2]), expected)
    assert as_list._front_end("float32", "cpu") is view._front_end("float32", "cpu")


def test_clips_too_short_without_padding():
    view = MelView(sr=SR, center=False)
    with pytest.raises(ValueError, match="needs n_fft=512 samples or more; got 100"):
        view.transform([np.ones(100)])
    assert view.set_params(duration=0.1).transform([np.ones(100)]).shape == (1, 64, 2)
    view.set_params(duration=None, on_error="nan")
    good, failed = view.transform([np.ones(1000), np.full(100, np.nan)])
    assert np.isfinite(good).all()
    assert np.isnan(failed).all()
    assert failed.shape == (64, 1)


@pytest.mark.parametrize(
    ("sr", "hop_length"),
    [(22050, 512), (44100, 1024), (8000, 180), (16000, 375), (48000, 1125)],
)
def test_cqt_hop_is_about_23_ms(sr, hop_length):
    view = CQTView(sr=sr, n_bins=24)
    assert sr / view.rate == hop_length
    assert 1 / view.rate == pytest.approx(0.0232, rel=0.04)


def test_paper_shapes_of_five_seconds():
    X = np.zeros((1, 220500), dtype=np.float32)
    views = make_view_union("mel", "gammatone", "cqt", "raw", sr=44100).transform(X)
    shapes = {name: views[name].shape[1:] for name in views.names}
    assert shapes == {
        "mel": (64, 251),
        "gammatone": (64, 251),
        "cqt": (84, 216),
        "raw": (1, 220500),
    }


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (MelView(fmax=12000.0), "fmax=12000 Hz must rise and end at or below half"),
        (GammatoneView(fmin=9000.0, fmax=500.0), "fmin=9000 to fmax=500 Hz must rise"),
        (MelView(n_fft=512, win_length=600), "win_length=600 is longer than n_fft=512"),
        (MFCCView(n_mfcc=30, n_mels=20), "need at least as many mel bands"),
        (CQTView(sr=8000), "above the Nyquist frequency 4000 Hz of sr=8000"),
    ],
)
def test_parameters_that_do_not_fit_together(view, message):
    X = np.ones((2, 1000))
    with pytest.raises(ValueError, match=message):
        view.fit(X)
    with pytest.raises(ValueError, match=message):
        view.transform(X)


def test_one_path_is_not_a_collection():
    with pytest.raises(ValueError, match=r"Put it in a list: \[path\]"):
        MelView().transform("clip.wav")


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
def test_gpu_is_close_to_cpu(view, sounds):
    if isinstance(view, RawView):
        pytest.skip("RawView computes nothing")
    X = sounds[0]
    on_gpu = clone(view).set_params(device="cuda", batch_size=5).transform(X)
    np.testing.assert_allclose(on_gpu, view.transform(X), atol=0.05, rtol=1e-3)
    clips = ragged(X, view)
    ragged_gpu = clone(view).set_params(device="cuda").transform(clips)
    for a, b in zip(ragged_gpu, view.transform(clips), strict=True):
        np.testing.assert_allclose(a, b, atol=0.05, rtol=1e-3)


@pytest.mark.parametrize("device", ["cuda:7", "mps", "xpu"])
def test_a_device_that_is_not_here(sounds, device):
    """A view from another machine goes on; fitting it here is refused."""
    X = sounds[0][:3]
    view = MelView(sr=SR).fit(X).set_params(device=device)
    union = make_view_union("mel", "raw", sr=SR, device=device)
    expected = MelView(sr=SR).transform(X)
    if is_available(device):
        pytest.skip(f"{device} is here")
    np.testing.assert_array_equal(view.transform(X), expected)
    np.testing.assert_array_equal(union.transform(X)["mel"], expected)
    for absent in (view, union):
        with pytest.raises(ValueError, match=f"device='{device}' asks for a device"):
            absent.fit(X)


@pytest.mark.parametrize("form", [np.array, list])
def test_what_was_collected_is_held_once(sounds, monkeypatch, form):
    """When a part is computed, those of the parts before it are in the result only."""
    monkeypatch.setattr("skaudio._audio._parts.MOST_CLIPS", 4)
    X = form(list(sounds[0][:12]))
    union = make_view_union("mel", "gammatone", sr=SR)
    expected = union.transform(X)
    compute, made = _base.compute_clips, []

    def watched(views, clips, dtype):
        assert [array for array in made if array() is not None] == []
        computed = compute(views, clips, dtype)
        made.extend(weakref.ref(array) for arrays, _ in computed for array in arrays)
        return computed

    monkeypatch.setattr(_base, "compute_clips", watched)
    out = union.transform(X)
    assert len(made) == 24
    for name in out.names:
        np.testing.assert_array_equal(out[name], expected[name])


def test_a_part_holds_a_bounded_number_of_samples(monkeypatch):
    """Few clips while nobody knows how long they are; then as many as fit."""
    monkeypatch.setattr("skaudio._audio._parts.PART_SAMPLES", 32 * 1000)
    lengths = [1000] * 41 + [4000] * 19 + [100] * 40
    clips = [np.ones(n, np.float32) for n in lengths]
    found = list(load_parts(clips, Report(), sr=SR))
    assert [len(part.rows) for part in found] == [4, 16, 32, 8, 8, 32]
    assert [row for part in found for row in part.rows] == list(range(100))
    assert [len(w) for part in found for w in part.waveforms] == lengths
    rows = [7, 3, 50]
    (part,) = load_parts(clips, Report(), sr=SR, rows=rows)
    assert list(part.rows) == rows
    assert [len(waveform) for waveform in part.waveforms] == [1000, 1000, 4000]
    table = load_parts(np.ones((40, 2000), np.float32), Report(), sr=SR)
    assert [len(part.rows) for part in table] == [16, 16, 8]


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (MelView(n_fft=10**9), r"'n_fft' .* range \[1, 1048576\]"),
        (STFTView(n_fft=10**9), r"'n_fft' .* range \[1, 1048576\]"),
        (STFTView(hop_length=10**9), r"'hop_length' .* range \[1, 1048576\]"),
        (MFCCView(win_length=10**9), r"'win_length' .* range \[1, 1048576\]"),
        (MelView(hop_length=10**30), r"'hop_length' .* range \[1, 1048576\]"),
        (CQTView(hop_length=10**9), r"'hop_length' .* range \[1, 1048576\]"),
        (MelView(n_mels=10**9), r"'n_mels' .* range \[1, 4096\]"),
        (GammatoneView(n_bins=10**9), r"'n_bins' .* range \[1, 4096\]"),
        (CQTView(bins_per_octave=10**9), r"'bins_per_octave' .* range \[1, 4096\]"),
        (MelView(sr=1e12), r"'sr' .* range \(0.0, 10000000.0\]"),
        (MelView(n_fft=2**20, n_mels=4096), "n_fft=1048576 and n_mels=4096 .*at most"),
        (GammatoneView(n_fft=2**20, n_bins=4096), "n_fft=1048576 and n_bins=4096"),
        (CQTView(fmin=1e-9), "fmin=1e-09 Hz and bins_per_octave=12 .*at most"),
        (RawView(duration=1e9), r"duration=1e\+09 .*samples at sr=22050; at most"),
    ],
    ids=str,
)
def test_what_would_take_all_memory_is_refused(view, message):
    X = np.zeros((1, 800), np.float32)
    with pytest.raises(ValueError, match=message):
        view.transform(X)
    with pytest.raises(ValueError, match=message):
        view.fit(X).transform(X)
