"""AcousticDescriptors: librosa's descriptors, in columns that say what they are."""

import pickle
import warnings

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from scipy import stats

from skaudio.metrics import canonical_correlation_table
from skaudio.persistence import load, save
from skaudio.preprocessing import AcousticDescriptors

SR = 22000


def skew(frames, axis):
    with warnings.catch_warnings():  # of bins that hardly change
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nan_to_num(stats.skew(frames, axis=axis))


STATISTICS = {"mean": np.mean, "var": np.var, "skew": skew}


@pytest.fixture(scope="module")
def clips():
    """Tones with noise that fade in and out, from 0.4 to 4 s."""
    rng = np.random.default_rng(0)
    made = []
    for pitch, seconds in ((220, 4.0), (440, 0.4), (1000, 2.5)):
        t = np.arange(round(seconds * SR)) / SR
        tone = np.sin(2 * np.pi * pitch * t) * np.exp(-(((t - seconds * 0.7) * 2) ** 2))
        made.append((0.5 * tone + 0.01 * rng.standard_normal(len(t))).astype("f4"))
    return made


def by_librosa(y, n_frames=None, step=12, pad_mode="constant"):
    """As COALA's authors compute them: (n_dimensions, n_frames) by name."""
    sizes = {"sr": SR, "n_fft": 1024, "hop_length": 512}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        mel = librosa.feature.melspectrogram(y=y, pad_mode=pad_mode, **sizes)
        decibels = librosa.power_to_db(mel)
    S = np.abs(librosa.stft(y, n_fft=1024, hop_length=512, pad_mode=pad_mode))
    if n_frames is not None and S.shape[1] > n_frames:
        starts = range(0, S.shape[1] - n_frames + 1, step)
        energy = [S[:, s : s + n_frames].sum(dtype=np.float64) for s in starts]
        start = starts[int(np.argmax(energy))]
        S, decibels = (x[:, start : start + n_frames] for x in (S, decibels))
    return {
        "mfcc": librosa.feature.mfcc(S=decibels, sr=SR),
        "chroma": librosa.feature.chroma_stft(S=S, **sizes),
        "spectral_centroid": librosa.feature.spectral_centroid(S=S, **sizes),
        "spectral_bandwidth": librosa.feature.spectral_bandwidth(S=S, **sizes),
    }


def named(table, i, descriptor, statistic):
    chosen = table.columns.str.fullmatch(rf"{descriptor}\d*_{statistic}")
    return table.iloc[i].to_numpy()[chosen]


@pytest.mark.parametrize(
    "options",
    [{}, {"n_frames": 96, "pad_mode": "reflect"}, {"n_frames": 30, "step": 5}],
)
def test_agrees_with_librosa(clips, options):
    descriptors = AcousticDescriptors(**options).set_output(transform="pandas")
    table = descriptors.fit_transform(clips)
    assert table.shape == (3, 3 * (20 + 12 + 1 + 1))
    for i, clip in enumerate(clips):
        for name, frames in by_librosa(clip, **options).items():
            for statistic, function in STATISTICS.items():
                np.testing.assert_allclose(
                    named(table, i, name, statistic),
                    function(frames, axis=1),
                    rtol=1e-3,
                    atol=1e-4,
                )


def test_what_they_say(clips):
    """The centroid of a pure tone is its frequency, and its pitch class is A."""
    t = np.arange(2 * SR) / SR
    X = np.stack([np.sin(2 * np.pi * f * t) for f in (440.0, 1760.0)])
    table = AcousticDescriptors(statistics=("median",)).set_output(transform="pandas")
    table = table.fit_transform(X)
    np.testing.assert_allclose(
        table["spectral_centroid_median"], [440, 1760], rtol=0.05
    )
    chroma = table[[f"chroma{i}_median" for i in range(12)]].to_numpy()
    assert list(chroma.argmax(axis=1)) == [9, 9]


def test_names_and_their_order(clips):
    descriptors = AcousticDescriptors(n_mfcc=2, statistics=["max", "mean"]).fit(clips)
    names = list(descriptors.get_feature_names_out())
    assert names[:4] == ["mfcc0_max", "mfcc1_max", "mfcc0_mean", "mfcc1_mean"]
    assert names[4:5] == ["chroma0_max"]
    assert names[-2:] == ["spectral_bandwidth_max", "spectral_bandwidth_mean"]
    assert len(names) == descriptors.transform(clips).shape[1] == 2 * (2 + 12 + 2)


def test_the_loudest_window(clips):
    """Silence outside of it leaves no trace."""
    tone = clips[2].copy()
    quiet = np.concatenate([np.zeros(SR * 3, np.float32), tone])
    window = {"n_frames": 40, "step": 1, "statistics": ("mean",), "n_mfcc": 1}
    ours = AcousticDescriptors(**window).set_output(transform="pandas")
    alone, later = (ours.fit_transform([x]) for x in (tone, quiet))
    np.testing.assert_allclose(
        later["spectral_centroid_mean"], alone["spectral_centroid_mean"], rtol=1e-2
    )
    whole = ours.set_params(n_frames=None).fit_transform([quiet])
    name = "spectral_centroid_mean"
    assert whole[name].item() < 0.8 * alone[name].item()


def test_silence_and_very_short_clips():
    clips = [np.zeros(SR), np.zeros(1), np.ones(1), np.ones(3)]
    table = AcousticDescriptors(n_frames=96).set_output(transform="pandas")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = table.fit_transform(clips)
    assert np.isfinite(table.to_numpy()).all()
    silent = ["spectral_centroid_mean", "spectral_bandwidth_var", "chroma3_mean"]
    assert (table.loc[:1, silent] == 0).all(axis=None)
    for pad_mode in ("reflect", "symmetric", "edge", "wrap"):
        padded = AcousticDescriptors(pad_mode=pad_mode).fit_transform(clips)
        assert np.isfinite(padded).all()


def test_files_arrays_and_rows_on_their_own(clips, tmp_path):
    paths = []
    for i, clip in enumerate(clips):
        paths.append(str(tmp_path / f"{i}.wav"))
        sf.write(paths[-1], clip, SR, subtype="FLOAT")
    descriptors = AcousticDescriptors().fit(clips)
    table = descriptors.transform(clips)
    assert table.dtype == np.float32
    np.testing.assert_array_equal(descriptors.transform(paths), table)
    alone = [descriptors.transform([clip])[0] for clip in clips]
    np.testing.assert_array_equal(alone, table)
    threads = AcousticDescriptors(n_jobs=2).fit_transform(paths)
    np.testing.assert_array_equal(threads, table)
    double = descriptors.transform([clip.astype(np.float64) for clip in clips])
    assert double.dtype == np.float64
    np.testing.assert_allclose(double, table, rtol=1e-2, atol=1e-2)
    series = pd.Series(paths, index=list("xyz"))
    frame = descriptors.set_output(transform="pandas").transform(series)
    assert list(frame.index) == ["x", "y", "z"]


def test_clips_that_fail(clips, tmp_path):
    missing = str(tmp_path / "none.wav")
    loud = np.full(SR, 1e30, np.float32) * (-1) ** np.arange(SR)
    X = [clips[0], missing, loud.astype(np.float32), clips[1]]
    with pytest.raises(FileNotFoundError, match=r"none\.wav"):
        AcousticDescriptors().fit(X).transform(X)
    with pytest.raises(ValueError, match="Clip 1 of X has values that are too large"):
        AcousticDescriptors().fit_transform([clips[0], X[2]])
    descriptors = AcousticDescriptors(on_error="nan").fit(X)
    table = descriptors.transform(X)
    assert [error["row"] for error in descriptors.errors_] == [1, 2]
    assert list(np.isnan(table).all(axis=1)) == [False, True, True, False]
    assert np.isfinite(table[[0, 3]]).all()
    descriptors = AcousticDescriptors(on_error="warn").fit(X)
    with pytest.warns(UserWarning, match="2 of 4 clips could not be loaded"):
        descriptors.transform(X)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"statistics": ("mode",)}, "statistics must be some of"),
        ({"statistics": ()}, "statistics must be some of"),
        ({"n_mfcc": 129}, "'n_mfcc' parameter"),
        ({"n_frames": 0}, "'n_frames' parameter"),
        ({"pad_mode": "mean"}, "'pad_mode' parameter"),
    ],
)
def test_parameters_are_checked(clips, wrong, message):
    with pytest.raises(ValueError, match=message):
        AcousticDescriptors(**wrong).fit(clips)
    with pytest.raises(ValueError, match=message):
        AcousticDescriptors(**wrong).transform(clips)


def test_columns_of_the_table_of_similarities():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3000)).astype(np.float32)
    X *= np.linspace(0.1, 1, 40, dtype=np.float32)[:, None]
    descriptors = AcousticDescriptors().set_output(transform="pandas").fit_transform(X)
    table = canonical_correlation_table({"level": X.std(axis=1)}, descriptors)
    assert table.shape == (1, 12)
    assert list(table.columns.levels[1]) == ["mean", "skew", "var"]
    # the first coefficient is the level in decibels
    assert table["mfcc", "mean"].item() > 0.95


def test_copies(clips, tmp_path):
    descriptors = AcousticDescriptors(n_frames=20, statistics=("max",)).fit(clips)
    save(descriptors, tmp_path / "d")
    expected = descriptors.transform(clips)
    for copy in (pickle.loads(pickle.dumps(descriptors)), load(tmp_path / "d")):
        np.testing.assert_array_equal(copy.transform(clips), expected)
