"""Several views at once: the same as one by one, loaded once."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline

import skaudio.nn.frontends
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import (
    CQTView,
    GammatoneView,
    MelView,
    MFCCView,
    RawView,
    STFTView,
    Views,
    ViewUnion,
    make_view_union,
)

SR = 8000


def union(**parameters):
    return ViewUnion(
        [
            ("mel", MelView(sr=SR, **parameters)),
            ("gammatone", GammatoneView(sr=SR, **parameters)),
            ("stft", STFTView(sr=SR, **parameters)),
            ("mfcc", MFCCView(sr=SR, hop_length=100, **parameters)),
            ("cqt", CQTView(sr=SR, n_bins=60, **parameters)),
            ("raw", RawView(sr=SR, **parameters)),
        ]
    )


def test_is_its_views_one_by_one(sounds):
    X, _ = sounds
    views = union()
    together = views.fit_transform(X)
    assert isinstance(together, Views)
    assert together.names == ("mel", "gammatone", "stft", "mfcc", "cqt", "raw")
    for name, view in views.transformer_list:
        np.testing.assert_array_equal(together[name], view.transform(X))
        assert together.rates[name] == view.rate


def test_ragged_clips(sounds):
    clips = [x[:n] for x, n in zip(sounds[0], (4000, 900, 1), strict=False)]
    together = union().transform(clips)
    for i, clip in enumerate(clips):
        alone = union().transform([clip])
        for name in together.names:
            np.testing.assert_array_equal(together[name][i], alone[name][0])


def test_files_are_decoded_once(sounds, tmp_path, monkeypatch):
    paths = []
    for i, clip in enumerate(sounds[0][:3]):
        paths.append(tmp_path / f"{i}.wav")
        soundfile.write(paths[-1], clip, 16000)
    opened = []
    sound_file = soundfile.SoundFile

    def counting(path, *args, **kwargs):
        opened.append(path)
        return sound_file(path, *args, **kwargs)

    monkeypatch.setattr(soundfile, "SoundFile", counting)
    union().transform(paths)
    assert sorted(map(str, opened)) == sorted(map(str, paths))


def test_equal_frames_share_one_transform(sounds, monkeypatch):
    calls = []
    forward = skaudio.nn.frontends.PowerSpectrogram.forward

    def counting(self, *args):
        calls.append((self.n_fft, self.hop_length))
        return forward(self, *args)

    monkeypatch.setattr(skaudio.nn.frontends.PowerSpectrogram, "forward", counting)
    union().transform(sounds[0][:1])
    assert calls == [(512, 160), (512, 100)]  # mel, gammatone and stft; mfcc


def test_parameters_by_name():
    views = union()
    views.set_params(mel__n_mels=20, gammatone="drop", raw=RawView(sr=SR, n_jobs=2))
    assert views.get_params()["mel__n_mels"] == 20
    assert views.get_params()["raw__n_jobs"] == 2
    names = ("mel", "stft", "mfcc", "cqt", "raw")
    assert views.transform(np.ones((1, 500))).names == names
    assert clone(views).get_params()["mel__n_mels"] == 20
    with pytest.raises(ValueError, match="Invalid parameter 'gamma'"):
        views.set_params(gamma__n_bins=3)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("sr", 16000), ("duration", 1.0), ("mono", "raise"), ("device", "auto")],
)
def test_views_must_agree(parameter, value):
    views = union().set_params(**{f"cqt__{parameter}": value})
    with pytest.raises(ValueError, match=f"same {parameter}; got .* for 'cqt'"):
        views.transform(np.ones((2, 500)))


@pytest.mark.parametrize(
    ("transformer_list", "error", "message"),
    [
        ([], ValueError, "at least one view"),
        ([("mel", "drop")], ValueError, "at least one view"),
        (
            [("mel", LogisticRegression())],
            TypeError,
            "'mel' in ViewUnion must be a view",
        ),
        (
            [("a", RawView()), ("a", RawView())],
            ValueError,
            "names provided are not uni",
        ),
        ([("a__b", RawView())], ValueError, "must not contain __"),
    ],
)
def test_impossible_unions(transformer_list, error, message):
    with pytest.raises(error, match=f"(?i){message}"):
        ViewUnion(transformer_list).fit(np.ones((2, 500)))


def test_parameters_of_views_are_validated_in_fit():
    with pytest.raises(ValueError, match="'n_mels' parameter of MelView"):
        ViewUnion([("mel", MelView(n_mels=-1))]).fit(np.ones((2, 500)))


def test_failed_clips_keep_their_rows_in_all_views(sounds, tmp_path):
    clips = [sounds[0][0], tmp_path / "missing.wav", sounds[0][1]]
    views = union(on_error="nan", duration=0.3)
    out = views.fit_transform(clips)
    assert [(e["row"], e["path"]) for e in views.errors_] == [(1, str(clips[1]))]
    for name in out.names:
        assert np.isnan(out[name][1]).all()
        assert np.isfinite(out[name][[0, 2]]).all()
    with pytest.raises(FileNotFoundError, match=r"missing\.wav does not exist"):
        union().transform(clips)


def test_transform_keeps_no_state(sounds):
    views = union().fit(sounds[0])
    before = copy.deepcopy(vars(views))
    views.transform(sounds[0][:2])
    assert set(vars(views)) == set(before)
    assert views.errors_ == []


def test_make_view_union_finds_names():
    views = make_view_union("mel", MelView(sr=SR, n_mels=10), "raw", sr=SR, n_jobs=2)
    assert [name for name, _ in views.transformer_list] == ["mel-1", "mel-2", "raw"]
    assert views.n_jobs == 2
    views = make_view_union("mfcc", "cqt", sr=SR, duration=2.0, on_error="nan")
    for name, view in views.transformer_list:
        assert (name, view.sr, view.duration) == (name, SR, 2.0)
        assert view.on_error == "nan"
    with pytest.raises(ValueError, match="no view named 'chroma'; names are"):
        make_view_union("chroma")


def test_union_pickles(sounds):
    views = union().fit(sounds[0])
    data = pickle.dumps(views)
    assert len(data) < 5000
    found, expected = (
        pickle.loads(data).transform(sounds[0]),
        views.transform(sounds[0]),
    )
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def pipeline():
    return make_pipeline(
        make_view_union("mel", "mfcc", sr=SR),
        ViewScaler(),
        FrameStatistics(),
        LogisticRegression(max_iter=200),
    )


def test_search_over_parameters_of_views(sounds):
    X, y = sounds
    grid = {"viewunion__mel__n_mels": [8, 16], "logisticregression__C": [0.1, 1.0]}
    search = GridSearchCV(pipeline(), grid, cv=3).fit(X, y)
    assert set(search.best_params_) == set(grid)
    assert search.best_score_ > 0.5  # chance is 0.25


def test_precomputed_views_give_the_same_scores(sounds):
    X, y = sounds
    whole = cross_val_score(pipeline(), X, y, cv=KFold(3, shuffle=True, random_state=0))
    views = make_view_union("mel", "mfcc", sr=SR).transform(X)
    rest = pipeline()[1:]
    after = cross_val_score(rest, views, y, cv=KFold(3, shuffle=True, random_state=0))
    np.testing.assert_array_equal(whole, after)


def test_importing_views_loads_no_heavy_library():
    code = (
        "import sys, skaudio.views; "
        "sys.exit(', '.join({'torch', 'librosa', 'numba'} & set(sys.modules)) or 0)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, f"import skaudio.views loads {run.stderr}"


def test_one_warning_counts_the_clips_of_the_whole_call(sounds, tmp_path, monkeypatch):
    monkeypatch.setattr("skaudio._audio._parts.MOST_CLIPS", 4)
    X = list(sounds[0][:10])
    X[1] = X[5] = X[9] = tmp_path / "absent.wav"
    X[6] = 1e30 * X[6]
    views = union(on_error="warn")
    with pytest.warns(UserWarning, match=r"^4 of 10 clips .*row 1: .*row 5: ") as told:
        got = views.transform(X)
    assert len(told) == 1
    assert [error["row"] for error in views.errors_] == [1, 5, 6, 9]
    assert views.errors_[0]["path"] == str(tmp_path / "absent.wav")
    for name in got.names:  # a clip that failed in one view has failed
        is_nan = [bool(np.isnan(clip).all()) for clip in got.clips(name)]
        assert np.flatnonzero(is_nan).tolist() == [1, 5, 6, 9]
        assert all(np.isfinite(got.clips(name)[row]).all() for row in (0, 4, 7, 8))
