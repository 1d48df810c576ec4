"""Views that are kept: the same numbers, each computed once, and nothing stale."""

import contextlib
import copy
import importlib
import os
import pickle
import sys
import textwrap

import joblib
import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skaudio.cache._keys
from skaudio._training._front_ends import OwnViews
from skaudio.cache import cache_info, clear_cache
from skaudio.datasets import make_sounds
from skaudio.embedding import LayerEmbedder
from skaudio.neural_network import (
    CRNNClassifier,
    MultiViewBlendingClassifier,
    TwoLayerClassifier,
)
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import (
    CoalaView,
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
LABELS = np.tile(["a", "b"], 4)
VIEWS = {
    "mel": MelView(sr=SR, n_mels=16),
    "gammatone": GammatoneView(sr=SR, n_bins=16),
    "cqt": CQTView(sr=SR, n_bins=24),
    "mfcc": MFCCView(sr=SR, n_mfcc=6),
    "stft": STFTView(sr=SR),
    "raw": RawView(sr=SR),
    "coala": CoalaView(),
}


@pytest.fixture(autouse=True)
def empty():
    clear_cache()
    yield
    clear_cache()


@pytest.fixture(scope="module")
def sounds():
    return make_sounds(n_clips=8, duration=0.5, sr=SR, random_state=0)


@pytest.fixture
def paths(sounds, tmp_path, monkeypatch):
    """Files that nobody has written to for long."""
    monkeypatch.setattr("skaudio.cache._keys.SETTLED", 0)
    names = [tmp_path / "sounds" / f"{i}.wav" for i in range(len(sounds[0]))]
    names[0].parent.mkdir()
    for path, clip in zip(names, sounds[0], strict=True):
        soundfile.write(path, clip, SR, subtype="FLOAT")
    return names


@pytest.fixture(params=["memory", "folder"])
def cache(request, tmp_path):
    return True if request.param == "memory" else tmp_path / "cache"


@pytest.fixture
def counted(monkeypatch):
    """Numbers of clips that were loaded, and of views that were computed of a clip."""
    counts = {"loaded": 0, "computed": 0}
    compute, load = skaudio.views._base, skaudio._audio._load
    real_load, real_compute = load._load_one, compute.compute_clips

    def loading(*args, **options):
        counts["loaded"] += 1
        return real_load(*args, **options)

    def computing(views, clips, dtype):
        n_computed = sum(not isinstance(view, RawView) for view in views)
        counts["computed"] += len(clips) * n_computed
        return real_compute(views, clips, dtype)

    monkeypatch.setattr(load, "_load_one", loading)
    monkeypatch.setattr(compute, "compute_clips", computing)

    def taken():
        found = counts["loaded"], counts["computed"]
        counts.update(loaded=0, computed=0)
        return found

    return taken


def kept(view, cache, **options):
    return clone(view).set_params(cache=cache, **options)


# ----------------------------------------------------------------- the same numbers


@pytest.mark.parametrize("kind", VIEWS)
def test_what_is_kept_is_what_is_computed(kind, cache, sounds, paths):
    view = VIEWS[kind]
    ragged = [clip[: len(clip) - 100 * i] for i, clip in enumerate(sounds[0])]
    for X in (sounds[0], paths, ragged, sounds[0].astype(np.float64)):
        expected = view.transform(X)
        for _ in range(2):
            found = kept(view, cache).transform(X)
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_array_equal(a, b)


def test_every_clip_is_loaded_once_for_all_views(cache, paths, counted):
    union = make_view_union("mel", "mfcc", "raw", sr=SR, cache=cache)
    first = union.transform(paths[:6])
    assert counted() == (6, 12)
    again = union.transform(paths[4:2:-1])
    assert counted() == (0, 0)
    union.transform(paths)
    assert counted() == (2, 4)
    for name in first.names:
        np.testing.assert_array_equal(again[name], first[name][4:2:-1])


def test_a_changed_view_is_computed_alone(cache, paths, counted):
    union = make_view_union("mel", "gammatone", sr=SR, cache=cache)
    union.transform(paths)
    assert counted() == (8, 16)
    clone(union).set_params(mel__n_mels=20).transform(paths)
    assert counted() == (8, 8)


def test_waveforms_that_are_kept_are_not_loaded(cache, paths, counted):
    kept(VIEWS["raw"], cache).transform(paths)
    assert counted() == (8, 0)
    found = kept(VIEWS["mel"], cache).transform(paths)
    assert counted() == (0, 8)
    np.testing.assert_array_equal(found, VIEWS["mel"].transform(paths))


def test_equal_clips_are_computed_once(cache, sounds, counted):
    X = sounds[0][[0, 1, 0, 0]]
    found = kept(VIEWS["mel"], cache).transform(X)
    assert counted()[1] == 2
    np.testing.assert_array_equal(found[[0, 0]], found[2:])


def test_a_renamed_file_is_the_same_clip(cache, paths, counted):
    kept(VIEWS["mel"], cache).transform(paths)
    counted()
    other = paths[0].with_name("other.wav")
    os.rename(paths[0], other)
    kept(VIEWS["mel"], cache).transform([other])
    assert counted() == (0, 0)


def test_samples_with_their_rate_are_kept(cache, sounds, counted):
    X = [(clip, 16000) for clip in sounds[0]]
    view = kept(VIEWS["mel"], cache)
    expected = VIEWS["mel"].transform(X)
    counted()
    for _ in range(2):
        np.testing.assert_array_equal(view.transform(X), expected)
    assert counted() == (8, 8)
    np.testing.assert_array_equal(
        view.transform([(clip, 12000) for clip, _ in X])[0],
        VIEWS["mel"].transform([(sounds[0][0], 12000)])[0],
    )


def test_a_search_computes_every_view_once(cache, sounds, paths, counted):
    pipeline = make_pipeline(
        kept(VIEWS["mel"], cache), FrameStatistics(), _probe(), memory=None
    )
    grid = {"logisticregression__C": [0.1, 1.0]}
    GridSearchCV(pipeline, grid, cv=2).fit(paths, LABELS)
    assert counted() == (8, 8)


def _probe():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


@pytest.mark.parametrize("augmented", [False, True])
def test_networks_learn_the_same_from_kept_views(
    augmented, cache, sounds, paths, counted
):
    augmentation = {"augmentation__gain": 6.0} if augmented else {}

    def probabilities(cache):
        views = MFCCView(sr=SR, n_mfcc=8, top_db=30.0, cache=cache)
        model = CRNNClassifier(
            views=views, width=0.05, max_epochs=2, segment_length=0.3, random_state=0
        )
        model.set_params(**augmentation).fit(paths, LABELS)
        return model.predict_proba(paths)

    expected = probabilities(False)
    counted()
    np.testing.assert_array_equal(probabilities(cache), expected)
    assert counted()[0] == 8
    np.testing.assert_array_equal(probabilities(cache), expected)
    assert counted()[0] == 0


# ----------------------------------------------------------------- never stale


def check_fresh(view, X, cache):
    """What is kept is what would be computed now."""
    np.testing.assert_array_equal(
        kept(view, cache).transform(X), clone(view).set_params(cache=False).transform(X)
    )


OTHER = {
    "sr": 7900,
    "duration": 0.25,
    "trim_silence": True,
    "n_mels": 17,
    "n_bins": 17,
    "n_mfcc": 7,
    "n_fft": 1024,
    "win_length": 200,
    "hop_length": 80,
    "window": "hamming",
    "center": False,
    "pad_mode": "reflect",
    "preemphasis": 0.9,
    "fmin": 60.0,
    "fmax": 3000.0,
    "htk": True,
    "norm": None,
    "power": 1.0,
    "scale": "log1p",
    "top_db": 20.0,
    "lifter": 22,
    "noise": 0.01,
    "min_duration": 1.0,
    "bins_per_octave": 24,
    "energy": True,
    "filters": "slaney",
}


@pytest.mark.parametrize("kind", VIEWS)
def test_every_parameter_counts(kind, cache, sounds):
    """1. Parameters, one after the other."""
    view = VIEWS[kind]
    X = np.concatenate([np.zeros((2, 50), np.float32), sounds[0][:2]], axis=1)
    kept(view, cache).transform(X)
    stores = {view._store()}
    names = [name for name in OTHER if name in view.get_params()]
    for name in names:
        changed = clone(view)
        try:
            changed.set_params(**{name: OTHER[name]}).transform(X)
        except ValueError:  # not a value of this view
            continue
        check_fresh(changed, X, cache)
        stores.add(changed._store())
    assert len(stores) > len(names) / 2


def test_how_it_is_computed_does_not_count(cache, sounds, counted):
    view = kept(VIEWS["mel"], cache)
    view.transform(sounds[0])
    counted()
    other = {"n_jobs": 2, "verbose": 0, "batch_size": 3, "on_error": "nan"}
    view.set_params(**other, device="auto").transform(sounds[0])
    assert counted() == (0, 0)


def rewrite(path, clip):
    soundfile.write(path, clip, SR, subtype="FLOAT")


def in_place(paths, clip):
    """2. Written over, and the time of change set back."""
    before = os.stat(paths[0])
    rewrite(paths[0], clip)
    os.utime(paths[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(paths[0]).st_size == before.st_size


def replaced(paths, clip):
    """3. Another file of the same size and time moved there."""
    before = os.stat(paths[0])
    other = paths[0].with_name("other.wav")
    rewrite(other, clip)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, paths[0])


def swapped(paths, clip):
    """4. Names of two files swapped."""
    aside = paths[0].with_name("aside.wav")
    os.rename(paths[0], aside)
    os.rename(paths[1], paths[0])
    os.rename(aside, paths[1])


def folder_swapped(paths, clip):
    """5. Another folder put in the place of theirs."""
    folder = paths[0].parent
    other = folder.with_name("others")
    other.mkdir()
    for path in paths:
        rewrite(other / path.name, clip)
        before = os.stat(path)
        os.utime(other / path.name, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.rename(folder, folder.with_name("gone"))
    os.rename(other, folder)


def resampled(paths, clip):
    """6. Same samples, another rate in the header."""
    for path in paths[:2]:
        soundfile.write(path, soundfile.read(path)[0], 9000, subtype="FLOAT")


@pytest.mark.parametrize(
    "change", [in_place, replaced, swapped, folder_swapped, resampled]
)
@pytest.mark.parametrize("by", ["stat", "content"])
def test_changed_files_are_other_clips(change, by, cache, paths, sounds):
    view = kept(VIEWS["mel"], cache, cache_by=by)
    before = view.transform(paths[:2])
    change(paths, sounds[0][5])
    check_fresh(view, paths[:2], cache)
    assert not np.array_equal(view.transform(paths[:2]), before)


def test_a_link_is_what_it_leads_to(cache, paths, tmp_path):
    """7. A link that leads elsewhere."""
    link = tmp_path / "link.wav"
    for path in paths[:2]:
        link.unlink(missing_ok=True)
        link.symlink_to(path)
        check_fresh(VIEWS["mel"], [link], cache)


def test_a_relative_path_is_where_it_is_used(cache, paths, tmp_path, monkeypatch):
    """8. The same relative path in another folder."""
    for number in (0, 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        os.rename(paths[number], folder / "clip.wav")
        monkeypatch.chdir(folder)
        check_fresh(VIEWS["mel"], ["clip.wav"], cache)


def test_arrays_are_known_by_what_they_hold(cache, sounds):
    """9. An array that was changed in place; the same bytes of another dtype."""
    X = sounds[0].copy()
    check_fresh(VIEWS["mel"], X, cache)
    X[3] *= 0.5
    check_fresh(VIEWS["mel"], X, cache)
    pcm = np.arange(-4000, 4000, dtype=np.int16)[None]
    for same in (pcm, pcm.view(np.uint8), pcm.astype(np.int32)):
        check_fresh(VIEWS["mel"], same, cache)


@pytest.mark.parametrize("ragged", [False, True])
def test_what_was_returned_can_be_written_to(ragged, cache, sounds):
    """10. A caller who changes what was returned."""
    X = [clip[: 4000 - 300 * (i % 3) * ragged] for i, clip in enumerate(sounds[0])]
    X[3] = X[0]
    view, union = MelView(sr=SR), make_view_union("mel", sr=SR, cache=cache)
    for _ in range(2):
        for found in (
            kept(view, cache).transform(X),
            union.transform(X)["mel"],
            union.transform(X)[[0, 1, 2, 3]]["mel"],
        ):
            assert all(clip.flags.writeable for clip in found)
            found[0][:] = 0
            assert found[3].any()  # of an equal clip
    for clip, fresh in zip(union.transform(X)["mel"], view.transform(X), strict=True):
        np.testing.assert_array_equal(clip, fresh)
    with contextlib.suppress(ValueError):  # read-only where it is mapped
        union.transform(X).clips("mel")[0][:] = 0
    np.testing.assert_array_equal(union.transform(X)[0]["mel"], view.transform(X)[0])


@pytest.mark.parametrize("what", ["skaudio", "torch", "front end"])
def test_other_versions_compute_anew(what, cache, sounds, counted, monkeypatch):
    """11. Another version of what computes; both may share a folder."""
    view = kept(VIEWS["mel"], cache)
    before = view.transform(sounds[0])
    counted()
    keys = skaudio.cache._keys
    if what == "front end":
        monkeypatch.setattr(keys, "VERSION", keys.VERSION + 1)
    elif what == "skaudio":
        monkeypatch.setattr(skaudio, "__version__", "99.0")
    else:
        real = keys.metadata.version
        monkeypatch.setattr(
            keys.metadata, "version", lambda name: "99" if name == what else real(name)
        )
    keys.versions_of.cache_clear()
    try:
        np.testing.assert_array_equal(view.transform(sounds[0]), before)
        assert counted()[1] == 8
    finally:
        monkeypatch.undo()
        keys.versions_of.cache_clear()


def test_a_changed_class_is_another_view(cache, sounds, tmp_path, monkeypatch):
    """12. A view of somebody else's module, which was edited."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    source = """
        from skaudio.views import MelView
        class LoudView(MelView):
            @property
            def kind(self):
                return "mel"
            def _front_end(self, dtype, device):
                front_end = super()._front_end(dtype, device)
                class Louder(type(front_end)):
                    def finish(self, *args):
                        return {gain} * super().finish(*args)
                import copy
                louder = copy.copy(front_end)
                louder.__class__ = Louder
                return louder
    """
    found = []
    for gain in (2, 3):
        path = tmp_path / "loud_view.py"
        path.write_text(textwrap.dedent(source).format(gain=gain))
        sys.modules.pop("loud_view", None)
        importlib.invalidate_caches()
        module = importlib.import_module("loud_view")
        view = module.LoudView(sr=SR, n_mels=16, cache=cache)
        found.append(view.transform(sounds[0]))
        check_fresh(view, sounds[0], cache)
    np.testing.assert_allclose(found[1], 1.5 * found[0], rtol=1e-5)
    sys.modules.pop("loud_view", None)


def test_a_file_that_was_repaired_is_loaded(cache, paths, sounds):
    """13. A clip that failed is tried again."""
    rewrite(paths[1], sounds[0][1])
    whole = paths[1].read_bytes()
    view = kept(VIEWS["mel"], cache, on_error="nan")
    expected = view.transform(paths[:3])
    paths[1].write_bytes(b"no sound")
    clear_cache()
    failed = view.transform(paths[:3])
    assert np.isnan(failed[1]).all()
    assert [error["row"] for error in view.errors_] == [1]
    again = view.transform(paths[:3])
    assert np.isnan(again[1]).all()
    assert [error["row"] for error in view.errors_] == [1]
    with pytest.raises(ValueError, match=r"1\.wav"):
        kept(view, cache, on_error="raise").transform(paths[:3])
    paths[1].write_bytes(whole)
    np.testing.assert_array_equal(view.transform(paths[:3]), expected)
    assert view.errors_ == []


def test_what_is_cut_short_is_said_every_time(cache, paths):
    """14. A part of a clip, kept by "warn", is not what "raise" would give."""
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[: len(whole) // 2])
    view = kept(VIEWS["mel"], cache, on_error="warn")
    for _ in range(2):
        with pytest.warns(UserWarning, match="1 of 2 clips are cut short"):
            view.transform(paths[:2])
    with pytest.raises(ValueError, match=r"1\.wav"):
        kept(view, cache, on_error="raise").transform(paths[:2])


def test_a_file_that_changes_while_it_is_loaded(cache, paths, sounds, monkeypatch):
    """15. What is computed of a new content is not kept for the old one."""
    load, old = skaudio._audio._load, paths[2].read_bytes()
    real_load = load._load_one

    def loading(*args, **options):
        if paths[2].read_bytes() == old:
            rewrite(paths[2], sounds[0][6])
        return real_load(*args, **options)

    network = TwoLayerClassifier(
        views=MelView(sr=SR, n_mels=4), max_epochs=1, random_state=0
    )
    embedder = LayerEmbedder(network, layers=(-1,), cache=cache).fit(sounds[0], LABELS)
    same = paths[2].with_name("same.wav")
    same.write_bytes(old)
    monkeypatch.setattr(load, "_load_one", loading)
    for transformer in (kept(VIEWS["mel"], cache), embedder):
        paths[2].write_bytes(old)
        transformer.transform(paths[:3])
        assert paths[2].read_bytes() != old
        found = transformer.transform([same])
        fresh = transformer.set_params(cache=False).transform([same])
        np.testing.assert_array_equal(found, fresh)


def test_views_with_failed_clips_are_refused_where_they_are_learned(cache, paths):
    """16. NaN of a clip that failed does not get into means and networks."""
    paths[3].write_bytes(b"no sound")
    union = make_view_union(MelView(sr=SR, n_mels=8, on_error="nan"), cache=cache)
    views = union.transform(paths)
    for estimator in (ViewScaler(), FrameStatistics()):
        with pytest.raises(ValueError, match=r"view 'mel' contains NaN.* in clip 3"):
            estimator.fit(views)
        estimator.fit(views[[0, 1, 2, 4]]).transform(views[[5]])
        with pytest.raises(ValueError, match=r"view 'mel' contains NaN.* in clip 1"):
            estimator.transform(views[[5, 3]])


def test_a_clip_that_fails_in_one_view_fails_in_all(cache, sounds):
    X = [*sounds[0][:3], sounds[0][3][:100], sounds[0][3][:100]]
    mel = MelView(sr=SR, n_mels=16, n_fft=512, center=False, on_error="nan")
    raw = RawView(sr=SR, on_error="nan")
    union = ViewUnion([("raw", raw), ("mel", mel)], cache=cache)
    kept(raw, cache).transform(X)
    for _ in range(2):
        views = union.transform(X)
        assert [error["row"] for error in union.errors_] == [3, 4]
        for name in views.names:
            clips = views.clips(name)
            assert np.isnan(clips[3]).all()
            assert np.isnan(clips[4]).all()
            assert np.isfinite(clips[2]).all()


# ----------------------------------------------------------------- folders


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def stored(folder, sounds):
    return make_view_union("mel", "raw", sr=SR, cache=folder).transform(sounds[0])


def test_views_of_a_folder_are_mapped(stored, sounds):
    plain = make_view_union("mel", "raw", sr=SR).transform(sounds[0])
    assert repr(stored) == repr(plain)
    assert (stored.shape, stored.dtype, stored.n_bins) == (
        plain.shape,
        plain.dtype,
        plain.n_bins,
    )
    some = stored[[5, 1]]
    for name in plain.names:
        assert not any(clip.flags.owndata for clip in stored.clips(name))
        np.testing.assert_array_equal(stored.n_frames(name), plain.n_frames(name))
        np.testing.assert_array_equal(some[name], plain[name][[5, 1]])
        np.testing.assert_array_equal(stored[3][name], plain[name][3])
    np.testing.assert_array_equal(stored.flatten(), plain.flatten())
    np.testing.assert_array_equal(stored.durations, plain.durations)


def test_pickles_of_them_are_small(stored):
    assert len(pickle.dumps(stored)) < 3000 < stored["raw"].nbytes
    assert len(pickle.dumps(ViewScaler().fit_transform(stored))) < 6000
    for back in (
        pickle.loads(pickle.dumps(stored[2:])),
        joblib.Parallel(n_jobs=2)([joblib.delayed(_as_it_is)(stored[2:])])[0],
    ):
        np.testing.assert_array_equal(back["mel"], stored["mel"][2:])


def _as_it_is(X):
    return X


def test_a_scaler_reads_and_changes_clip_by_clip(stored, sounds):
    plain = make_view_union("mel", "raw", sr=SR).transform(sounds[0])
    expected = ViewScaler().fit(plain)
    found = ViewScaler().fit(stored)
    np.testing.assert_array_equal(found.mean_["mel"], expected.mean_["mel"])
    scaled = found.transform(stored)
    assert scaled.clips("mel").entries == stored.clips("mel").entries
    for name in plain.names:
        np.testing.assert_array_equal(scaled[name], expected.transform(plain)[name])
    twice = ViewScaler().fit_transform(scaled)
    np.testing.assert_allclose(twice["mel"], scaled["mel"], atol=1e-5)


def test_training_from_files_is_training_from_memory(stored, sounds):
    plain = make_view_union("mel", "raw", sr=SR).transform(sounds[0])

    def probabilities(views):
        model = make_pipeline(
            ViewScaler(),
            MultiViewBlendingClassifier(
                width=0.05, max_epochs=2, segment_length=0.3, random_state=0
            ),
        )
        return model.fit(views, LABELS).predict_proba(views)

    np.testing.assert_array_equal(probabilities(stored), probabilities(plain))


def test_clips_of_different_types_have_the_larger_one(folder, sounds):
    X = [sounds[0][0], sounds[0][1].astype(np.float64)]
    views = make_view_union("mel", sr=SR, cache=folder).transform(X)
    plain = make_view_union("mel", sr=SR).transform(X)
    assert views.dtype == plain.dtype == np.float64
    for a, b in zip(views.clips("mel"), plain.clips("mel"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_folder_can_be_emptied_while_it_is_in_use(stored, folder, sounds):
    clear_cache(folder)
    assert cache_info(folder).n_arrays == 0
    np.testing.assert_array_equal(stored["mel"], MelView(sr=SR).transform(sounds[0]))
    assert copy.deepcopy(stored).clips("mel").entries == stored.clips("mel").entries
    again = make_view_union("mel", "raw", sr=SR, cache=folder).transform(sounds[0])
    np.testing.assert_array_equal(again["mel"], stored["mel"])
    assert cache_info(folder).n_arrays == 16


def test_a_folder_that_is_a_file_is_done_without(sounds, tmp_path):
    (tmp_path / "file").write_text("mine")
    view = kept(VIEWS["mel"], tmp_path / "file")
    with pytest.warns(UserWarning, match=r"cannot be written to .*file"):
        found = view.transform(sounds[0])
    np.testing.assert_array_equal(found, VIEWS["mel"].transform(sounds[0]))
    view.transform(sounds[0])
    assert (tmp_path / "file").read_text() == "mine"


def test_views_must_agree_unless_the_union_says(sounds, folder):
    views = [("mel", MelView(sr=SR, cache=True)), ("raw", RawView(sr=SR))]
    with pytest.raises(ValueError, match=r"same cache; got True .* False"):
        ViewUnion(views).transform(sounds[0])
    ViewUnion(views, cache=folder).transform(sounds[0])
    assert cache_info().n_arrays == 0
    assert cache_info(folder).n_arrays == 16
    own = [("mel", MelView(sr=SR, cache=True))]
    ViewUnion(own).transform(sounds[0])
    assert cache_info().n_arrays == 8
    ViewUnion(own, cache=False).transform(sounds[0])


@pytest.mark.parametrize(
    "options",
    [{"cache": None}, {"cache": 1.5}, {"cache": ""}, {"cache_by": "name"}],
    ids=str,
)
def test_what_is_no_cache_is_refused(options, sounds):
    with pytest.raises(ValueError, match="cache"):
        MelView(sr=SR, **options).fit_transform(sounds[0])


def test_what_cannot_be_kept_is_not_computed_elsewhere(folder, paths, monkeypatch):
    view = kept(VIEWS["mel"], folder)
    expected = clone(VIEWS["mel"]).transform(paths)
    monkeypatch.setattr(MelView, "_store", lambda self: None)
    monkeypatch.setattr("skaudio.views._cached.fill_elsewhere", pytest.fail)
    with joblib.parallel_config("loky", n_jobs=2):
        np.testing.assert_array_equal(view.transform(paths), expected)


def test_a_union_says_how_files_are_known(sounds):
    union = make_view_union("mel", sr=SR, cache=True, cache_by="content")
    assert union._caching.by == "content"
    assert union.set_params(cache_by=None)._caching.by == "stat"


def test_other_kinds_of_devices_are_kept_apart(monkeypatch):
    view = VIEWS["mel"]
    here = view._store()
    monkeypatch.setattr("skaudio.nn.devices.available_device", lambda name: "cuda:1")
    assert view._store() != here


def test_changes_are_made_in_their_order(stored):
    stored = stored.select(["mel"])
    changed = stored.map_values({"mel": _and_one}).map_values({"mel": _doubled})
    changed = changed.with_index(np.arange(8))[[3, 1]]
    np.testing.assert_array_equal(changed["mel"], 2 * (stored["mel"][[3, 1]] + 1))
    assert changed.map_values({"mel": _doubled}).index.tolist() == [3, 1]


def _and_one(array):
    return array + 1


def _doubled(array):
    return 2 * array


def test_predictions_are_made_of_as_many_clips_at_a_time(cache, paths):
    """So that the last bits of networks are the same, with a cache and without."""
    network = TwoLayerClassifier()

    def sizes(cache):
        own = OwnViews(RawView(sr=SR, cache=cache), "cpu")
        return [len(views) for views, _ in own.parts(network, paths, reset=True)]

    assert sizes(cache) == sizes(False) == [4, 4]


def test_views_can_be_made_of_kept_ones(stored):
    some = Views({"mel": stored.clips("mel")}, {"mel": 50.0})
    np.testing.assert_array_equal(some["mel"], stored["mel"])
