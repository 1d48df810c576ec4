"""A fitted network is what was trained, whatever happens to its parameters."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skaudio._audio import _load
from skaudio.datasets import make_sounds
from skaudio.embedding import LayerEmbedder
from skaudio.neural_network import (
    Augmentation,
    Blending,
    CRNNClassifier,
    FineTunedClassifier,
    FrameLevelCNNClassifier,
    MultiViewBlendingClassifier,
    PlateauSchedule,
    SampleCNNClassifier,
)
from skaudio.nn import folded
from skaudio.persistence import load, save
from skaudio.views import MelView, make_view_union

NET = {"width": 0.05, "max_epochs": 1, "random_state": 0}
SAMPLES = {"sr": 8000, "sizes": (3,) * 6}


@pytest.fixture(scope="module")
def sound():
    return make_sounds(n_clips=12, n_classes=2, duration=0.3, sr=8000, random_state=0)


@pytest.fixture(scope="module")
def views(sound):
    return make_view_union("mel", "raw", sr=8000).fit_transform(sound[0])


def through_file(model, folder):
    save(model, folder / "model.safetensors")
    return load(folder / "model.safetensors")


COPIES = {
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "safe file": through_file,
}
CHANGES = {
    "width": (CRNNClassifier(**NET), "mel", {"width": 0.1}),
    "attention": (CRNNClassifier(**NET), "mel", {"attention": "temporal"}),
    "sizes": (SampleCNNClassifier(**SAMPLES, **NET), "sound", {"sizes": (3,) * 5}),
    "rate": (SampleCNNClassifier(**SAMPLES, **NET), "sound", {"sr": 16000}),
    "frames": (FrameLevelCNNClassifier(**NET), "mel", {"width": 0.1}),
    "blending": (
        MultiViewBlendingClassifier(blending="uniform", **NET),
        "views",
        {"blending": "none"},
    ),
    "views": (
        CRNNClassifier(views=MelView(sr=8000, n_mels=16), **NET),
        "sound",
        {"views__n_mels": 8, "mixed_precision": True},
    ),
    "no views": (
        CRNNClassifier(views=MelView(sr=8000, n_mels=16), **NET),
        "sound",
        {"views": None},
    ),
}


def data_of(name, sound, views):
    known = {"sound": sound[0], "views": views, "mel": views.select(["mel"])}
    return known[name]


@pytest.mark.parametrize("case", CHANGES)
def test_parameters_set_after_fit_wait_for_the_next_one(case, sound, views, tmp_path):
    model, name, change = CHANGES[case]
    X = data_of(name, sound, views)
    model = clone(model).fit(X, sound[1])
    before = model.predict_proba(X)
    model.set_params(**change)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    for way, copied in COPIES.items():
        again = copied(model, tmp_path)
        np.testing.assert_array_equal(again.predict_proba(X), before, err_msg=way)
        assert again.get_params()[next(iter(change))] == next(iter(change.values()))
    tuned = FineTunedClassifier(FrozenEstimator(model), max_epochs=1, random_state=0)
    assert tuned.fit(X, sound[1]).predict_proba(X).shape == before.shape


def test_the_view_is_a_copy(sound):
    X, y = sound
    mel = MelView(sr=8000, n_mels=16, top_db=None)
    first = CRNNClassifier(views=mel, **NET).fit(X, y)
    before = first.predict_proba(X)
    features = LayerEmbedder(FrozenEstimator(first), cache=False).fit(X).transform(X)
    mel.set_params(top_db=10.0)
    CRNNClassifier(views=mel, **NET).set_params(views__n_mels=32)
    np.testing.assert_array_equal(first.predict_proba(X), before)
    again = LayerEmbedder(FrozenEstimator(first), cache=False).fit(X).transform(X)
    np.testing.assert_array_equal(again, features)


class Fails(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise MemoryError


@pytest.mark.parametrize(
    "classifier", [CRNNClassifier, MultiViewBlendingClassifier, SampleCNNClassifier]
)
def test_a_second_fit_that_fails_leaves_the_model_as_it_was(classifier, sound, views):
    X = sound[0] if classifier is SampleCNNClassifier else views
    X = views.select(["mel"]) if classifier is CRNNClassifier else X
    options = SAMPLES if classifier is SampleCNNClassifier else {}
    clf = classifier(**options, **NET).fit(X, sound[1])
    before, known = clf.predict_proba(X), dict(vars(clf))
    with pytest.raises(MemoryError):
        clf.set_params(callbacks=[Fails()]).fit(X[:10], np.arange(10) % 5)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    assert set(clf.predict(X)) <= set(sound[1])
    assert vars(clf).keys() == known.keys()
    with pytest.raises(ValueError, match="numbers of samples"):
        clf.fit(X[:10], sound[1])
    np.testing.assert_array_equal(clf.predict_proba(X), before)


# ------------------------------------------------------- searches into named objects


def test_search_into_what_a_name_stands_for(sound):
    X, y = sound
    net = SampleCNNClassifier(**SAMPLES, **NET, validation_fraction=0.25)
    net.set_params(lr_schedule="reduce-on-plateau")
    search = GridSearchCV(net, {"lr_schedule__patience": [0, 2]}, cv=2).fit(X, y)
    assert search.best_estimator_.lr_schedule.patience in (0, 2)
    clf = MultiViewBlendingClassifier().set_params(blending__window=20)
    assert (clf.blending.window, clf.blending.rule) == (20, "adaptive")
    clf = MultiViewBlendingClassifier(blending="uniform").set_params(blending__period=7)
    assert (clf.blending.period, clf.blending.rule) == (7, "uniform")
    assert CRNNClassifier().set_params(augmentation__gain=6.0).augmentation.gain == 6.0
    both = {"lr_schedule": "reduce-on-plateau", "lr_schedule__factor": 3.0}
    schedule = CRNNClassifier().set_params(**both).lr_schedule
    assert isinstance(schedule, PlateauSchedule)
    assert schedule.factor == 3.0


def test_objects_that_are_given_are_used():
    gain = Augmentation(gain=1.0)
    assert CRNNClassifier(augmentation=gain).set_params(augmentation__snr=(0, 9))
    assert (gain.gain, gain.snr) == (1.0, (0, 9))
    blending = Blending(window=3)
    MultiViewBlendingClassifier(blending=blending).set_params(blending__window=4)
    assert blending.window == 4


PLATEAU = SampleCNNClassifier(lr_schedule="reduce-on-plateau")


@pytest.mark.parametrize(
    ("estimator", "key", "message"),
    [
        (CRNNClassifier(), "lr_schedule__patience", r"'one-cycle' has no.*Plateau"),
        (CRNNClassifier(), "views__n_mels", r"views=None has no parameter 'n_mels'"),
        (CRNNClassifier(), "width__x", r"width=0.25 has no parameter 'x'"),
        (CRNNClassifier(), "nothing__x", r"Invalid parameter 'nothing'"),
        (PLATEAU, "lr_schedule__nothing", r"Invalid parameter 'nothing'"),
        (
            FineTunedClassifier(CRNNClassifier()),
            "lr_schedule__patience",
            r"None has no.*PlateauSchedule\(\)",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_set_says_what_to_write(estimator, key, message):
    with pytest.raises(ValueError, match=message):
        estimator.set_params(**{key: 1})


# ------------------------------------------------------------------ speed and memory


def test_a_fitted_network_is_folded_once(views, sound, monkeypatch):
    import skaudio._training._net as net

    mel = views.select(["mel"])
    clf = CRNNClassifier(**NET).fit(mel, sound[1])
    made = []
    monkeypatch.setattr(net, "folded", lambda m: made.append(m) or folded(m))
    before = [clf.predict_proba(mel[:1]) for _ in range(3)]
    assert len(made) == 1
    np.testing.assert_array_equal(before[0], before[2])
    with torch.no_grad():  # whoever changes it gets what they asked for
        next(iter(clf.net_.module_.parameters())).mul_(0.5)
    assert not np.array_equal(clf.predict_proba(mel[:1]), before[0])
    assert len(made) == 2


def test_sixteen_threads(views, sound):
    """Outputs and features of hidden layers, which hooks collect, at the same time."""
    mel = views.select(["mel"])
    clf = CRNNClassifier(**NET, n_segments=2).fit(mel, sound[1])
    embedder = LayerEmbedder(FrozenEstimator(clf), cache=False).fit(mel)
    jobs = [
        (model, mel[[i, (i + 1) % 12]])
        for i in range(12)
        for model in (clf.predict_proba, embedder.transform)
    ]
    expected = [job(X) for job, X in jobs]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda job: job[0](job[1]), jobs * 4))
    for a, b in zip(expected * 4, found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "model",
    [
        SampleCNNClassifier(**SAMPLES, **NET, n_segments=2),
        CRNNClassifier(views=MelView(sr=8000, n_mels=8), **NET, n_segments=2),
    ],
    ids=lambda m: type(m).__name__,
)
def test_files_are_read_some_at_a_time(model, sound, tmp_path, monkeypatch):
    X, y = sound
    paths = [str(tmp_path / f"{i}.wav") for i in range(len(X))]
    for path, clip in zip(paths, X, strict=True):
        soundfile.write(path, clip, 8000, subtype="FLOAT")
    model = clone(model).fit(paths, y)
    whole = model.predict_proba(paths)

    monkeypatch.setattr("skaudio._audio._parts.MOST_CLIPS", 5)
    sizes, read = [], _load.load_clips

    def counted(clips, **options):
        sizes.append(len(clips))
        return read(clips, **options)

    monkeypatch.setattr(_load, "load_clips", counted)
    np.testing.assert_allclose(model.predict_proba(paths), whole, atol=1e-6)
    assert sizes == [4, 5, 3]
    embedder = LayerEmbedder(FrozenEstimator(model), layers=(-1,), cache=False)
    features = embedder.fit(paths).transform(paths)
    assert features.shape[0] == 12
    frames, times = embedder.transform_frames(paths)
    assert len(frames) == len(times) == 12
    np.testing.assert_allclose(
        embedder.transform(paths[7:8])[0], features[7], atol=1e-5
    )


def test_rows_of_failed_files_are_counted_over_all_parts(sound, tmp_path, monkeypatch):

    X, y = sound
    mel = MelView(sr=8000, n_mels=8, on_error="nan")
    clf = CRNNClassifier(views=mel, **NET).fit(list(X), y)
    clips = list(X)
    clips[7] = "no such.wav"
    monkeypatch.setattr("skaudio._audio._parts.MOST_CLIPS", 5)
    with pytest.raises(ValueError, match="Clip 7 of X could not be loaded"):
        clf.predict(clips)
    assert [error["row"] for error in clf.errors_] == [7]


# ------------------------------------------------------------------ what is around it


AMBIENT = {
    "float64": lambda: _default(torch.float64),
    "bfloat16": lambda: _default(torch.bfloat16),
    "other device": lambda: torch.device("meta"),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


class _default:
    def __init__(self, dtype):
        self.dtype = dtype

    def __enter__(self):
        torch.set_default_dtype(self.dtype)

    def __exit__(self, *error):
        torch.set_default_dtype(torch.float32)


def everything(X, y):
    own = CRNNClassifier(
        views=MelView(sr=8000, n_mels=8),
        augmentation=Augmentation(gain=3, snr=(0, 10), mix="mixup", freq_mask=0.1),
        class_weight="balanced",
        **NET,
    )
    yield own.fit(X, y).predict_proba(X)
    yield make_view_union("gammatone", "mfcc", sr=8000).fit_transform(X)["mfcc"]
    samples = SampleCNNClassifier(**SAMPLES, **NET, validation_fraction=0.25).fit(X, y)
    yield samples.predict_proba(X)
    yield LayerEmbedder(FrozenEstimator(samples), cache=False).fit(X).transform(X)
    tags = np.column_stack([np.arange(12) % 2, np.arange(12) % 3 == 0]).astype(int)
    yield CRNNClassifier(views=MelView(sr=8000), **NET).fit(X, tags).predict_proba(X)


@pytest.mark.parametrize("setting", AMBIENT)
def test_settings_of_torch_around_it_do_not_matter(setting, sound):
    expected = list(everything(*sound))
    with AMBIENT[setting]():
        found = list(everything(*sound))
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_random_numbers_of_other_threads_are_not_disturbed(sound):
    state, stop, seen = torch.get_rng_state(), threading.Event(), []

    def draw():
        while not stop.is_set():
            seen.append(torch.rand(()).item())

    thread = threading.Thread(target=draw)
    try:
        torch.manual_seed(1)
        thread.start()
        SampleCNNClassifier(**SAMPLES, **NET).fit(*sound)
        stop.set()
        thread.join()
        torch.manual_seed(1)
        assert seen == [torch.rand(()).item() for _ in seen]
    finally:
        stop.set()
        torch.set_rng_state(state)


def test_no_bar_no_machinery_of_bars(sound, monkeypatch):
    """In a notebook without widgets, its import warns."""
    import sys

    monkeypatch.setitem(sys.modules, "tqdm.auto", None)  # importing it would fail
    SampleCNNClassifier(**SAMPLES, **NET).fit(*sound)
