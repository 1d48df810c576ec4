"""FrameSegmenter: frames in blocks as in the whole, and tables of segments."""

from __future__ import annotations

import pickle
from fractions import Fraction
from math import floor

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import median_filter
from segmented import SR, Convolution, mfcc, noise, recording_of
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from skaudio.ensemble import FrameClassifier, LateFusionClassifier
from skaudio.persistence import load, save
from skaudio.preprocessing import (
    AudioLoader,
    FrameStatistics,
    LoudnessEqualizer,
    SilenceRemover,
    ViewScaler,
)
from skaudio.segmentation import FrameSegmenter
from skaudio.segmentation._sources import OnePass, Windows
from skaudio.views import (
    CoalaView,
    GammatoneView,
    MeanPoolView,
    MelView,
    MFCCView,
    RawView,
    STFTView,
    make_view_union,
)

HALF = Fraction(1, 2)
COLUMNS = ["recording", "start", "end", "label", "probability"]


def segmenter_of(model, **parameters):
    return FrameSegmenter(FrozenEstimator(model), **parameters).fit()


def source_of(segmenter):
    return segmenter._source(segmenter.estimator_)[0]


def whole(model, waveform):
    """Frame probabilities of the whole view at once, not smoothed."""
    proba, _ = model[-1].predict_frames_proba(model[:-1].transform([waveform]))
    return proba[0]


# ------------------------------------------------------------- one pass in blocks

VIEWS = {
    "deltas": mfcc(delta=2),
    "reflected": mfcc(pad_mode="reflect", preemphasis=0.97),
    "not centred": MelView(sr=SR, hop_length=80, top_db=None, center=False),
    "as python_speech_features": mfcc(
        **{"n_mels": 32, "n_mfcc": 20, "lifter": 22, "preemphasis": 0.97},
        **{"window": "boxcar", "center": "start", "htk": "bins", "use_energy": True},
    ),
    "gammatone": GammatoneView(sr=SR, hop_length=80, top_db=None, pad_mode="edge"),
    "magnitudes": STFTView(sr=SR, hop_length=80),
    "COALA's": CoalaView(sr=SR, min_duration=0),
    "without a range": MelView(sr=SR, hop_length=80, scale="log1p"),
}

# samples to the middle of the first frame's window
CENTRES = {"not centred": 256, "as python_speech_features": 100}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("block", [0.13, 1.0, 60])
def test_blocks_equal_the_whole(name, block, clips, recording):
    view = VIEWS[name]
    model = make_pipeline(view, ViewScaler(), Convolution()).fit(*clips)
    hop = 1 / view.rate
    segmenter = segmenter_of(model, block=block, median=1, hop=hop)
    assert isinstance(source_of(segmenter), OnePass)
    (found,), _ = segmenter.predict_frames_proba([recording])
    expected = whole(model, recording)
    # the frame of the view that is nearest to a time, the last one at the end
    first = CENTRES.get(name, 0) / SR
    times = np.arange(found.shape[1]) * hop
    nearest = np.floor((times - first) / hop + 0.5).astype(int)
    nearest = nearest.clip(0, expected.shape[1] - 1)
    assert_allclose(found, expected[:, nearest], atol=1e-5)


@pytest.mark.parametrize("block", [0.13, 60])
def test_means_of_samples_in_blocks(block, clips, recording):
    """They lie half a hop behind their first sample: two are as near to a time."""
    view = MeanPoolView(sr=SR, pool_size=80)
    scaler = ViewScaler(with_waveforms=True)
    model = make_pipeline(view, scaler, Convolution()).fit(*clips)
    segmenter = segmenter_of(model, block=block, median=1, hop=0.01)
    assert source_of(segmenter).centre == 40
    (found,), _ = segmenter.predict_frames_proba([recording])
    expected = whole(model, recording)
    assert found.shape == expected.shape
    before = np.concatenate([expected[:, :1], expected[:, :-1]], axis=1)
    off = [np.abs(found - frames).max(axis=0) for frames in (before, expected)]
    assert np.minimum(*off).max() < 1e-5
    assert np.abs(before - expected).max() > 1e-4  # which tells them apart


def test_a_loader_and_a_search_are_seen_through(clips, recording, frame_model):
    model = make_pipeline(AudioLoader(sr=SR), *frame_model)
    search = GridSearchCV(
        make_pipeline(mfcc(), FrameClassifier(GaussianNB())),
        {"mfccview__n_mfcc": [5]},
        cv=2,
    ).fit(*clips)
    for found in (model, search):
        segmenter = segmenter_of(found, median=1)
        assert isinstance(source_of(segmenter), OnePass)
        best = getattr(found, "best_estimator_", frame_model)
        (proba,), _ = segmenter.predict_frames_proba([recording])
        assert_allclose(proba, whole(best, recording)[:, : proba.shape[1]], atol=1e-5)


@pytest.mark.parametrize("every", [1, 2, 5])
def test_a_multiple_of_the_hop_takes_every_so_manyth_frame(
    every, convolution, recording
):
    segmenter = segmenter_of(convolution, median=1, hop=every * 0.01, block=0.3)
    (proba,), (times,) = segmenter.predict_frames_proba([recording])
    expected = whole(convolution, recording)[:, :575:every]
    assert_allclose(proba, expected, atol=1e-5)
    assert_allclose(times, np.arange(0, 5.75 - 1e-9, every * 0.01))


def test_a_piece_is_all_that_is_in_memory(convolution, recording):
    segmenter = segmenter_of(convolution, block=0.5, median=1)
    source, long = source_of(segmenter), np.tile(recording, 10)
    lengths = []
    proba = source.proba
    source.proba = lambda piece, *a: lengths.append(len(piece)) or proba(piece, *a)
    segmenter._source = lambda model: (source, SR)
    segmenter.predict([long])
    assert len(lengths) == 116  # the last for the frame at the end
    context = (7 + 3) * 80 + 2 * (128 + 4 * 80)  # of the network and the view
    assert max(lengths) <= 0.5 * SR + context + 2 * 80


# ------------------------------------------------------------------------ windows


def test_windows_are_clips_around_frames(clips, recording):
    model = make_pipeline(mfcc(), FrameStatistics(), GaussianNB()).fit(*clips)
    segmenter = segmenter_of(model, window=0.3, hop=0.05, median=1, block=0.35)
    assert isinstance(source_of(segmenter), Windows)
    (proba,), _ = segmenter.predict_frames_proba([recording])
    assert proba.shape == (3, 115)
    for frame in (0, 1, 2, 3, 50, 111, 112, 114):
        # moved inside at the borders
        start = int(np.clip(frame * 400 - 1200, 0, len(recording) - 2400))
        clip = recording[start : start + 2400]
        assert_allclose(proba[:, frame], model.predict_proba([clip])[0], atol=1e-6)


def test_a_recording_shorter_than_a_window_is_one_clip(clips):
    model = make_pipeline(mfcc(), FrameStatistics(), GaussianNB()).fit(*clips)
    short = noise(0.2, 0.03, 3)
    (proba,), _ = segmenter_of(model, hop=0.1, median=1).predict_frames_proba([short])
    expected = model.predict_proba([short])[0]
    assert_allclose(proba, np.stack([expected] * 2, axis=1), atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(
            make_view_union("mel", "mfcc", sr=SR),
            LateFusionClassifier(FrameClassifier(GaussianNB())),
        ),
        make_pipeline(mfcc(), FrameClassifier(GaussianNB(), vote="majority")),
        make_pipeline(MFCCView(sr=SR, duration=0.3), FrameClassifier(GaussianNB())),
    ],
    ids=["views", "majority", "duration"],
)
def test_every_classifier_of_clips(model, clips, recording):
    segmenter = FrameSegmenter(model, window=0.3, hop=0.05, median=5).fit(*clips)
    table = segmenter.predict([recording])
    assert table["label"].tolist() == ["loud", "quiet", "middle", "loud"]
    assert_allclose(table["end"], [1.5, 3.5, 4.5, 5.75], atol=0.15)


def test_a_classifier_of_samples(clips):
    X = np.array([clip[:20] for clip in clips[0]])
    model = make_pipeline(RawView(sr=100), FrameStatistics(), GaussianNB())
    loud, quiet = X[:4].ravel(), X[8:].ravel()
    segmenter = FrameSegmenter(model, window=0.2, median=3).fit(X, clips[1])
    table = segmenter.predict([np.concatenate([loud, quiet])])
    assert table["label"].iloc[[0, -1]].tolist() == ["loud", "quiet"]


@pytest.mark.parametrize(
    "before", [AudioLoader(sr=SR), LoudnessEqualizer(sr=SR), SilenceRemover(sr=SR)]
)
@pytest.mark.parametrize("window", [0.2, None])
def test_waveforms_of_other_lengths_than_in_fit(before, window, clips, recording):
    X = np.array(clips[0])  # equally long
    model = make_pipeline(before, mfcc(), FrameStatistics(), GaussianNB())
    segmenter = FrameSegmenter(model, window=window, hop=0.1, median=1).fit(X, clips[1])
    length = 4000 if window is None else 1600  # that of the clips, or the given one
    assert source_of(segmenter).length == length
    (proba,), _ = segmenter.predict_frames_proba([recording])
    rest = clone(model[1:]).fit(list(before.transform(X)), clips[1])
    clip = before.transform([recording[16_000 - length // 2 :][:length]])
    assert_allclose(proba[:, 20], rest.predict_proba(list(clip))[0], atol=1e-5)


def test_a_loader_before_one_pass_was_fitted_on_an_array(clips, recording):
    model = make_pipeline(AudioLoader(sr=SR), mfcc(), FrameClassifier(GaussianNB()))
    segmenter = FrameSegmenter(model, median=11).fit(np.array(clips[0]), clips[1])
    assert isinstance(source_of(segmenter), OnePass)
    table = segmenter.predict([recording])
    assert table["label"].tolist() == ["loud", "quiet", "middle", "loud"]


def test_windows_are_as_long_as_the_view_makes_clips(clips):
    model = make_pipeline(MFCCView(sr=SR, duration=0.5), FrameClassifier(GaussianNB()))
    model.fit(*clips)
    with pytest.raises(ValueError, match=r"duration=0.5.*set window"):
        segmenter_of(model)
    stats = make_pipeline(
        MFCCView(sr=SR, duration=0.5), FrameStatistics(), GaussianNB()
    )
    assert source_of(segmenter_of(stats.fit(*clips))).length == 0.5 * SR
    with pytest.raises(ValueError, match=r"window=1 is longer than duration=0.5"):
        segmenter_of(stats, window=1)


# ---------------------------------------------------------------- smoothing, labels


@pytest.mark.parametrize("median", [1, 3, 51, 2001])
def test_the_median_is_that_of_the_whole_track(median, frame_model, recording):
    raw = whole(frame_model, recording)[:, :575]
    expected = np.stack([median_filter(row, median, mode="nearest") for row in raw])
    expected /= expected.sum(axis=0)
    for block in (0.2, 30):
        segmenter = segmenter_of(frame_model, median=median, block=block)
        (proba,), _ = segmenter.predict_frames_proba([recording])
        assert_allclose(proba, expected, atol=1e-6)


def test_segments_follow_each_other_from_end_to_end(frame_model, recording):
    other = recording_of(("quiet", 0.777), ("loud", 0.5))
    segmenter = segmenter_of(frame_model, median=21)
    table = segmenter.predict([recording, other])
    assert list(table.columns) == COLUMNS
    assert table["recording"].tolist() == [0] * 4 + [1] * 2
    assert table["label"].tolist() == [
        "loud",
        "quiet",
        "middle",
        "loud",
        "quiet",
        "loud",
    ]
    assert_allclose(table["end"], [1.5, 3.5, 4.5, 5.75, 0.777, 1.277], atol=0.02)
    for _, rows in table.groupby("recording"):
        assert_array_equal(rows["start"], [0, *rows["end"][:-1]])
    assert table["end"].iloc[[3, 5]].tolist() == [
        5.75,
        round(0.777 * SR + 0.5 * SR) / SR,
    ]


def test_frames_have_the_labels_of_their_segments(frame_model, recording):
    segmenter = segmenter_of(frame_model, median=21, min_duration=1.1)
    table = segmenter.predict([recording])
    assert table["label"].tolist() == ["loud", "quiet", "loud"]  # 1 s in the middle
    (labels,), (times,) = segmenter.predict_frames([recording])
    for label, time in zip(labels, times, strict=True):
        (row,) = table.index[(table["start"] <= time) & (time < table["end"])]
        assert label == table["label"][row]


def test_labels_are_of_the_type_of_y(clips, recording):
    numbers = np.unique(clips[1], return_inverse=True)[1]
    model = make_pipeline(mfcc(), FrameClassifier(GaussianNB()))
    table = FrameSegmenter(model, median=21).fit(clips[0], numbers).predict([recording])
    assert table["label"].dtype == np.int64
    assert table["label"].tolist() == [0, 2, 1, 0]


# -------------------------------------------------------------------------- files


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("rate", [SR, 11025])
def test_a_file_in_blocks_is_the_file(kind, rate, frame_model, tmp_path, recording):
    path = tmp_path / f"a.{kind}"
    stereo = np.stack([recording, recording], axis=1).clip(-1, 1)
    soundfile.write(path, np.tile(stereo, (12, 1)), rate)  # more than a block
    loaded = AudioLoader(sr=SR).transform([path])
    segmenter = segmenter_of(frame_model, median=51)
    from_file = segmenter.predict([path])
    from_array = segmenter.predict(loaded)
    assert set(from_file["recording"]) == {str(path)}
    pd.testing.assert_frame_equal(
        from_file.drop(columns="recording"),
        from_array.drop(columns="recording"),
        check_exact=True,
    )


def test_short_recordings(frame_model, recording):
    segmenter = segmenter_of(frame_model)
    table = segmenter.predict([recording[:80], recording[:1], recording[:81]])
    assert table["end"].tolist() == [0.01, round(1 / SR, 9), 81 / SR]
    assert table["start"].tolist() == [0, 0, 0]
    proba, times = segmenter.predict_frames_proba([recording[:80], recording[:81]])
    assert [track.shape for track in proba] == [(3, 1), (3, 2)]
    assert times[1].tolist() == [0, 0.01]


def test_a_recording_shorter_than_a_frame(clips):
    view = MelView(sr=SR, hop_length=80, n_fft=512, center=False, top_db=None)
    model = make_pipeline(view, FrameClassifier(GaussianNB())).fit(*clips)
    table = segmenter_of(model).predict([clips[0][0][:80]])
    assert table[["start", "end"]].to_numpy().tolist() == [[0, 0.01]]
    expected = whole(model, np.pad(clips[0][0][:80], (0, 432)))[:, 0]
    assert_allclose(table["probability"], expected.max())


def test_an_empty_recording(frame_model, tmp_path, recording):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), SR)
    segmenter = segmenter_of(frame_model)
    with pytest.raises(ValueError, match=r"Clip 1 of X has 0 samples. Leave it out."):
        segmenter.predict([recording, recording[:0]])
    with pytest.raises(ValueError, match=r"none.wav has 0 samples"):
        segmenter.predict([tmp_path / "none.wav"])
    with pytest.raises(ValueError, match=r"X has no clips"):
        segmenter.predict([])


@pytest.mark.parametrize("on_error", ["warn", "nan"])
@pytest.mark.filterwarnings("error")
def test_failed_recordings_keep_their_place(on_error, frame_model, tmp_path, recording):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF, but nothing more")
    bad = recording.copy()
    bad[70] = np.nan
    segmenter = segmenter_of(frame_model, on_error=on_error, median=21)
    X = [recording, broken, bad, None, recording[:8000]]

    def called(method):
        if on_error == "nan":
            return method(X)
        with pytest.warns(UserWarning, match=r"3 of 5 clips could not be loaded"):
            return method(X)

    table = called(segmenter.predict)
    assert table["recording"].tolist() == [0] * 4 + [str(broken), 2, 3, 4]
    assert table[["start", "end", "label", "probability"]][4:7].isna().all().all()
    assert [error["row"] for error in segmenter.errors_] == [1, 2, 3]
    proba, _ = called(segmenter.predict_frames_proba)
    assert np.isnan(proba[1]).all()
    assert proba[1].shape == (3, 1)
    labels, _ = called(segmenter.predict_frames)
    assert labels[2].tolist() == [None]
    assert labels[4][0] == "loud"


def test_a_file_that_is_cut_short(frame_model, tmp_path, recording):
    path = tmp_path / "short.wav"
    soundfile.write(path, recording.clip(-1, 1), SR, "PCM_16")
    path.write_bytes(path.read_bytes()[: 44 + 2 * 8000])
    with pytest.raises(ValueError, match=r"cut short.*8000 of 46000 samples"):
        segmenter_of(frame_model).predict([path])
    segmenter = segmenter_of(frame_model, on_error="warn")
    with pytest.warns(UserWarning, match=r"8000 of 46000 samples"):
        table = segmenter.predict([path])
    assert table["end"].tolist() == [1.0]
    table = segmenter_of(frame_model, on_error="nan").predict([path])
    assert table["end"].isna().all()


class Faulty(ClassifierMixin, BaseEstimator):
    """A classifier whose own error is no fault of a file."""

    frame_context = (0, 0)

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        raise ValueError("weights are missing")

    predict = predict_frames_proba = predict_proba


def test_errors_of_the_classifier_are_not_those_of_a_file(tmp_path, clips):
    soundfile.write(tmp_path / "a.wav", clips[0][0], SR)
    model = make_pipeline(mfcc(), Faulty()).fit(*clips)
    for window in (None, 0.1):
        segmenter = segmenter_of(model, on_error="nan", block=0.1, window=window)
        with pytest.raises(ValueError, match=r"^weights are missing$"):
            segmenter.predict([tmp_path / "a.wav"])


class Tagger(Faulty):
    def predict_frames_proba(self, X):
        return [np.full((len(self.classes_), x.shape[1]), 0.9) for x in X], None


# ----------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (MFCCView(sr=SR), "top_db=80.0.*counts from its maximum.*set top_db=None"),
        (mfcc(trim_silence=True), "trim_silence=True.*set trim_silence=False"),
        (mfcc(duration=1.0), "duration=1.0.*crops it.*set duration=None"),
        (mfcc(pad_mode="wrap"), "pad_mode='wrap'.*set pad_mode='constant'"),
    ],
)
def test_views_of_whole_clips_are_refused(view, message, clips):
    model = make_pipeline(view, FrameClassifier(GaussianNB()))
    with pytest.raises(ValueError, match=rf"{message}.*[sS]et window"):
        FrameSegmenter(model).fit(*clips)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"median": 200}, "median=200 is even.*Set median=201"),
        ({"sr": 16000}, "sr=16000, but the estimator takes sound at 8000 Hz"),
        ({"hop": 0}, "'hop' parameter .* must be a float"),
        ({"block": 0}, "'block' parameter"),
    ],
)
def test_settings_that_do_not_fit(parameters, message, frame_model, recording):
    with pytest.raises(ValueError, match=message):
        segmenter_of(frame_model, **parameters)
    segmenter = segmenter_of(frame_model).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        segmenter.predict([recording])


def test_what_is_no_classifier_of_sound(clips, frame_model, recording):
    plain = FrameSegmenter(LogisticRegression())
    with pytest.raises(ValueError, match=r"LogisticRegression, does not say at which"):
        plain.fit(np.array(clips[0]), clips[1])
    with pytest.raises(ValueError, match=r"requires y to be passed"):
        FrameSegmenter(frame_model).fit(clips[0])
    with pytest.raises(NotFittedError):
        FrameSegmenter(frame_model).predict([recording])
    tagger = segmenter_of(make_pipeline(mfcc(), Tagger()).fit(*clips))
    with pytest.raises(ValueError, match=r"sum to 2.7.*classifier of tags"):
        tagger.predict([recording])


def test_x_is_sound(frame_model, recording):
    segmenter = segmenter_of(frame_model)
    for X in (
        np.zeros((2, 3, 4)),
        make_view_union("mel", sr=SR).transform([recording]),
    ):
        with pytest.raises(ValueError, match=r"takes sound"):
            segmenter.predict(X)
    with pytest.raises(ValueError, match=r"X is one waveform"):
        segmenter.predict(recording)


def test_x_may_be_a_table_of_samples_and_have_any_rate(frame_model, recording):
    segmenter = segmenter_of(frame_model, median=21)
    expected = segmenter.predict([recording])
    pcm = np.round(recording[None].clip(-1, 1) * 2**15).clip(-(2**15), 2**15 - 1)
    for X in (recording[None], pcm.astype(np.int16), [(recording, SR)]):
        found = segmenter.predict(X)
        assert_allclose(found["end"], expected["end"], atol=0.01)
        assert found["label"].tolist() == expected["label"].tolist()


# ------------------------------------------------------------------- scikit-learn

# What compares rows of X with rows of `predict`, which are segments here, and what
# fixes the number of samples, which is free.
OF_ROWS = {
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_n_features_in_after_fitting",
}


class OfTables(FrameSegmenter):
    """The same, called an estimator of tables, so that scikit-learn feeds it some."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = False
        return tags


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("may_use_global_rng")
def test_all_other_checks_of_scikit_learn():
    view = MFCCView(sr=SR, n_mels=20, n_mfcc=4, top_db=None)
    model = make_pipeline(view, FrameClassifier(GaussianNB()))
    left_out, n_checks = set(), 0
    for estimator, check in estimator_checks_generator(OfTables(model, median=3)):
        name = check.func.__name__
        if name in OF_ROWS:
            left_out.add(name)
            continue
        check(estimator)
        n_checks += 1
    assert left_out == OF_ROWS
    assert n_checks >= 38


def test_a_clone_is_not_fitted(frame_model, recording):
    segmenter = segmenter_of(frame_model, median=31)
    copy = clone(segmenter)
    assert copy.get_params()["median"] == 31
    assert not hasattr(copy, "estimator_")
    pd.testing.assert_frame_equal(
        copy.fit().predict([recording]), segmenter.predict([recording])
    )


def test_fit_trains_a_copy(frame_model, clips, recording):
    model = clone(frame_model)
    segmenter = FrameSegmenter(model, median=31).fit(*clips)
    assert not hasattr(model[-1], "estimator_")
    assert segmenter.classes_.tolist() == ["loud", "middle", "quiet"]
    pd.testing.assert_frame_equal(
        segmenter.predict([recording]),
        segmenter_of(frame_model, median=31).predict([recording]),
    )


def test_copies_predict_the_same(frame_model, recording, tmp_path):
    segmenter = segmenter_of(frame_model, median=31)
    expected = segmenter.predict([recording])
    copy = pickle.loads(pickle.dumps(segmenter))
    pd.testing.assert_frame_equal(copy.predict([recording]), expected)


def test_it_is_saved_with_the_classifier(clips, recording, tmp_path):
    logistic = FrameClassifier(LogisticRegression())
    model = make_pipeline(mfcc(), ViewScaler(), logistic)
    segmenter = FrameSegmenter(model, median=31).fit(*clips)
    save(segmenter, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    pd.testing.assert_frame_equal(
        loaded.predict([recording]), segmenter.predict([recording])
    )


@pytest.mark.parametrize("hop", [0.0037, 0.013, 0.025])
def test_every_time_takes_the_nearest_frame(hop, convolution, recording):
    expected = whole(convolution, recording)
    for block in (0.2, 30):
        segmenter = segmenter_of(convolution, hop=hop, median=1, block=block)
        (proba,), (times,) = segmenter.predict_frames_proba([recording])
        assert len(times) == np.ceil(5.75 / hop)
        frames = [floor(i * Fraction(str(hop)) * 100 + HALF) for i in range(len(times))]
        assert_allclose(proba, expected[:, frames], atol=1e-5)


def test_a_rate_that_no_hop_divides(recording):
    """220 samples are no hundredth of a second at 22,050 Hz."""
    y = np.repeat(["loud", "quiet"], 3)
    clips = [
        noise(0.3, 0.3 if label == "loud" else 0.003, i) for i, label in enumerate(y)
    ]
    view = MelView(sr=22050, hop_length=220, top_db=None)
    segmenter = FrameSegmenter(make_pipeline(view, Convolution()), median=1)
    segmenter = segmenter.fit(clips, y)
    (proba,), (times,) = segmenter.predict_frames_proba([np.tile(recording, 5)])
    expected = whole(segmenter.estimator_, np.tile(recording, 5))
    assert times[-1] < len(recording) * 5 / 22050 <= times[-1] + 0.01
    frames = [floor(Fraction(i * 22050, 100 * 220) + HALF) for i in range(len(times))]
    assert_allclose(proba, expected[:, frames], atol=1e-5)


def test_one_view_of_a_union(clips, recording):
    union = make_view_union(mfcc(), sr=SR)
    model = make_pipeline(union, ViewScaler(), FrameClassifier(GaussianNB()))
    segmenter = FrameSegmenter(model, median=1, block=0.5).fit(*clips)
    assert isinstance(source_of(segmenter), OnePass)
    (proba,), _ = segmenter.predict_frames_proba([recording])
    expected = whole(segmenter.estimator_, recording)
    assert_allclose(proba, expected[:, : proba.shape[1]], atol=1e-5)


WRITTEN = [
    ("wav", "PCM_U8"),
    ("wav", "ULAW"),
    ("wav", "DOUBLE"),
    ("aiff", "PCM_24"),
    ("au", "PCM_16"),
    ("w64", "PCM_16"),
    ("rf64", "PCM_16"),
    ("caf", "ALAC_16"),
    ("mp3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("kind", "coding"), WRITTEN)
def test_any_file_is_read_as_by_the_loader(kind, coding, frame_model, tmp_path):
    parts = recording_of(("loud", 0.5), ("quiet", 0.7), ("loud", 0.4))
    path = tmp_path / f"a.{kind}"
    soundfile.write(path, parts.clip(-1, 1), 16000, coding, format=kind.upper())
    segmenter = segmenter_of(frame_model, median=11)
    loaded = AudioLoader(sr=SR).transform([path])
    with path.open("rb") as file:
        tables = [segmenter.predict(X) for X in ([path], [file], loaded)]
    for table in tables[:2]:
        pd.testing.assert_frame_equal(
            table.drop(columns="recording"),
            tables[2].drop(columns="recording"),
            check_exact=True,
        )


def test_a_recording_that_overflows_is_an_error_of_its_own(frame_model, recording):
    huge = np.where(np.arange(len(recording)) == 30_000, np.float32(1e30), recording)
    X = [recording, huge.astype(np.float32)]
    for block in (0.5, 30):
        segmenter = segmenter_of(frame_model, block=block, median=21)
        with pytest.raises(
            ValueError, match=r"^Clip 1 of X has values that are too la"
        ):
            segmenter.predict(X)
        table = segmenter.set_params(on_error="nan").predict(X)
        assert table["recording"].tolist() == [0, 0, 0, 0, 1]
        assert table["label"].isna().tolist() == [False] * 4 + [True]
        assert segmenter.errors_[0]["row"] == 1
        with pytest.raises(ValueError, match=r"^The stream has values that are too la"):
            list(segmenter.stream().segments([X[1]]))


def test_errors_are_forgotten(frame_model, recording):
    segmenter = segmenter_of(frame_model, on_error="nan")
    segmenter.predict([recording, None])
    assert len(segmenter.errors_) == 1
    segmenter.predict([recording])
    assert segmenter.errors_ == []


def test_a_pipeline_may_end_in_it(frame_model, recording):
    segmenter = FrameSegmenter(FrozenEstimator(frame_model), median=21)
    pipeline = make_pipeline(AudioLoader(sr=SR), segmenter).fit([recording])
    table = pipeline.predict([recording, recording[:9000]])
    assert table["recording"].tolist() == [0] * 4 + [1]


def test_an_unfitted_one_says_how(frame_model, recording):
    for call in ("predict", "predict_frames", "predict_frames_proba"):
        with pytest.raises(
            NotFittedError, match=r"FrozenEstimator\(estimator\)\)\.fit"
        ):
            getattr(FrameSegmenter(frame_model), call)([recording])
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        FrameSegmenter(frame_model).stream()
    assert not hasattr(FrameSegmenter(frame_model), "latency_")
