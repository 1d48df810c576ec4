"""AudioLoader: the loader core as a scikit-learn transformer."""

import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from joblib import parallel_config
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio.preprocessing import AudioLoader

SR = 8000


@pytest.fixture
def files(tmp_path):
    """Three noise files at three rates, 0.1, 0.2 and 0.3 s long."""
    rng = np.random.default_rng(0)
    paths = []
    for i, rate in enumerate((8000, 22050, 44100), start=1):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, rng.normal(0, 0.1, round(0.1 * i * rate)), rate)
        paths.append(path)
    return paths


def test_paths_of_every_kind_give_the_same(files):
    loader = AudioLoader(sr=SR, duration=0.2)
    wanted = loader.fit_transform(files)
    assert wanted.shape == (3, 1600)
    assert wanted.dtype == np.float32
    as_text = [os.fspath(p) for p in files]
    frame = pd.DataFrame({"file": as_text})
    for X in (as_text, np.array(as_text), np.array(files, dtype=object), frame["file"]):
        np.testing.assert_array_equal(loader.fit_transform(X), wanted)


def test_lengths_are_kept_without_duration(files):
    waveforms = AudioLoader(sr=SR).fit_transform(files)
    assert waveforms.dtype == object
    assert [len(w) for w in waveforms] == [800, 1600, 2400]
    assert AudioLoader(sr=SR).fit_transform(files[:1]).shape == (1, 800)


def test_paths_equal_arrays_and_rows_do_not_depend_on_neighbours(files):
    loader = AudioLoader(sr=SR)
    waveforms = loader.fit_transform(files)
    again = loader.transform(list(waveforms))
    for i, path in enumerate(files):
        np.testing.assert_array_equal(waveforms[i], again[i])
        np.testing.assert_array_equal(waveforms[i], loader.transform([path])[0])


def test_mixed_input(files, sounds):
    X, _ = sounds
    pcm = (X[0] * 2**15).astype(np.int16)
    waveforms = AudioLoader(sr=SR, duration=0.5).fit_transform([files[0], X[1], pcm])
    np.testing.assert_array_equal(waveforms[1], X[1])
    np.testing.assert_array_equal(waveforms[2], pcm / np.float32(2**15))


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_pcm_matrix(dtype):
    info = np.iinfo(dtype)
    X = np.array([[info.min, 0, info.max // 2 + 1]], dtype=dtype)
    np.testing.assert_array_equal(AudioLoader().fit_transform(X), [[-1, 0, 0.5]])


@pytest.mark.parametrize(
    "backend", ["sequential", "threading", "loky", "multiprocessing"]
)
def test_any_backend_gives_the_same(files, backend):
    loader = AudioLoader(sr=SR, duration=0.3)
    wanted = loader.fit_transform(files * 3)
    with parallel_config(backend, n_jobs=2 if backend != "sequential" else 1):
        np.testing.assert_array_equal(loader.fit_transform(files * 3), wanted)
    threads = clone(loader).set_params(n_jobs=2).fit_transform(files * 3)
    np.testing.assert_array_equal(threads, wanted)


def test_broken_clips_keep_their_rows(files, tmp_path):
    paths = [files[0], tmp_path / "absent.wav", files[1]]
    loader = AudioLoader(sr=SR, duration=0.1, on_error="nan").fit(paths)
    assert loader.errors_ == []
    X = loader.transform(paths)
    assert np.isnan(X[1]).all()
    assert np.isfinite(X[[0, 2]]).all()
    (error,) = loader.errors_
    assert error["row"] == 1
    assert error["path"] == str(tmp_path / "absent.wav")
    assert "does not exist" in error["error"]
    loader.transform(files)
    assert loader.errors_ == []
    with pytest.warns(UserWarning, match=r"1 of 3 clips .*absent\.wav does not exist"):
        loader.set_params(on_error="warn").transform(paths)
    with pytest.raises(FileNotFoundError, match=r"absent\.wav does not exist"):
        loader.set_params(on_error="raise").transform(paths)


def test_nan_in_a_matrix(sounds):
    X = sounds[0].copy()
    X[3, 7] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        AudioLoader().fit(X)
    loader = AudioLoader(on_error="nan")
    out = loader.fit_transform(X)
    assert [e["row"] for e in loader.errors_] == [3]
    assert np.isnan(out[3]).all()
    np.testing.assert_array_equal(np.delete(out, 3, 0), np.delete(X, 3, 0))


def test_transform_of_clean_data_changes_nothing(files, sounds):
    X, _ = sounds
    loader = AudioLoader(sr=SR).fit(X)
    before = pickle.dumps(loader)
    loader.transform(X)
    assert pickle.dumps(loader) == before
    unfitted = AudioLoader(sr=SR)
    unfitted.transform(files)
    assert vars(unfitted) == vars(AudioLoader(sr=SR))
    assert unfitted.errors_ == []


def test_fit_opens_no_file():
    AudioLoader().fit([Path("there") / "is" / "no such.wav"])


def test_one_path_is_not_a_collection(files):
    with pytest.raises(ValueError, match=r"Put it in a list: \[path\]"):
        AudioLoader().fit_transform(str(files[0]))


def test_length_of_a_matrix_is_fixed_and_of_a_list_is_free(sounds):
    X, _ = sounds
    loader = AudioLoader(sr=SR).fit(X)
    with pytest.raises(ValueError, match="is expecting 4000 features"):
        loader.transform(X[:, :100])
    assert loader.transform([X[0, :100], X[1]]).dtype == object


def test_in_a_pipeline_with_set_output(files):
    pipe = make_pipeline(AudioLoader(sr=SR, duration=0.1), StandardScaler())
    pipe.set_output(transform="default")
    assert pipe.fit_transform(files).shape == (3, 800)
    names = pipe.get_feature_names_out()
    assert list(names[[0, -1]]) == ["sample0", "sample799"]
    loader = AudioLoader(sr=SR).set_output(transform="pandas")
    assert type(loader.transform(np.zeros((2, 3)))) is np.ndarray
    assert list(loader.get_feature_names_out()) == ["waveform"]
    frame = pd.DataFrame(np.zeros((2, 3)), columns=list("xyz"), index=[4, 2])
    pd.testing.assert_frame_equal(loader.fit(frame).transform(frame), frame)
    clips = loader.transform(pd.Series([np.ones(2), np.zeros(3)], index=[4, 2]))
    assert {row: clip.tolist() for row, clip in clips.items()} == {
        4: [1, 1],
        2: [0, 0, 0],
    }


def test_parameters_are_checked_without_fit(files):
    with pytest.raises(ValueError, match="The 'sr' parameter of AudioLoader"):
        AudioLoader(sr=-1).transform(files)


def test_real_mixture_of_rates_and_formats(shared_data):
    paths = [
        next(iter(sorted((shared_data / name / "audio").iterdir())))
        for name in ("esc10", "philharmonia", "fsdd")
    ]
    loader = AudioLoader(sr=16000, duration=1.0, n_jobs=2, trim_silence=True)
    X = loader.fit_transform(paths)
    assert X.shape == (3, 16000)
    assert loader.errors_ == []
    assert (X[:, 0] != 0).all()  # trimmed: sound starts at once
