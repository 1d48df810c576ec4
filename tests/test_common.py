"""scikit-learn's checks on every public estimator, and the contracts they cannot see.

The first half finds all estimators by introspection: an estimator that nobody listed
here fails `test_every_estimator_is_checked`. There are no expected failures and no
skips, and a guard on the number of checks, because a wrong tag would quietly shrink
the suite.
"""

import copy
import importlib
import inspect
import pickle
from unittest import SkipTest

import joblib
import numpy as np
import pytest
import torch
from own_networks import LinearNet
from published import tiny_samplecnn
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_param_validation,
    check_sample_weight_equivalence_on_dense_data,
    estimator_checks_generator,
    parametrize_with_checks,
)

import skaudio
from skaudio._utils._constraints import (
    CACHE_CONSTRAINTS,
    COMPUTING_CONSTRAINTS,
    LOADER_CONSTRAINTS,
)
from skaudio.embedding import (
    AutoencoderEmbedder,
    CoalaEmbedder,
    LayerEmbedder,
    PretrainedEmbedder,
)
from skaudio.ensemble import FrameClassifier, LateFusionClassifier
from skaudio.mixture import GMMClassifier
from skaudio.model_selection import TagThresholdClassifier
from skaudio.neural_network import (
    CoalaTagClassifier,
    CRNNClassifier,
    DistilledClassifier,
    FineTunedClassifier,
    FrameLevelCNNClassifier,
    MobileNetClassifier,
    MultiViewBlendingClassifier,
    NetworkClassifier,
    PretrainedClassifier,
    SampleCNNClassifier,
    SelfNormalizingClassifier,
    SoftmaxAutoencoderClassifier,
    SpectrogramCNNClassifier,
    SwishNetClassifier,
    TwoLayerClassifier,
)
from skaudio.preprocessing import (
    AcousticDescriptors,
    AudioLoader,
    EnergyPatches,
    FrameStatistics,
    LogMMSE,
    LoudnessEqualizer,
    PatchScaler,
    SilenceRemover,
    TagBinarizer,
    ViewScaler,
)
from skaudio.segmentation import FrameSegmenter
from skaudio.views import (
    CoalaView,
    CQTView,
    GammatoneView,
    MeanPoolView,
    MelView,
    MFCCView,
    RawView,
    STFTView,
    ViewUnion,
)
from skaudio.views._base import BaseView


class Scenes:
    """The smallest model that follows the HEAR protocol."""

    sample_rate = 8000
    scene_embedding_size = timestamp_embedding_size = 2

    def __repr__(self):
        return "Scenes()"  # the same in every process: it is part of tests' names

    def get_scene_embeddings(self, audio):
        return torch.stack([audio.mean(1), audio.abs().amax(1)], 1)

    def get_timestamp_embeddings(self, audio):
        return self.get_scene_embeddings(audio)[:, None], torch.zeros(len(audio), 1)


# Small instances. Dropout is off for the reason that scikit-learn switches it off in
# its own: checks compare predictions after a handful of steps on some twenty rows.
NET = {"width": 0.05, "dropout": 0.0, "max_epochs": 25, "lr": 0.01, "random_state": 0}
# a segment of four samples, and the schedule that does without a validation set
SAMPLES = {
    **{"sizes": (2, 2), "validation_fraction": None, "lr_schedule": "one-cycle"},
    "max_epochs": 3,  # as a table of features is no sound, its tags admit a poor score
}
PATCHES = {"views": CoalaView(min_duration=2.3), "width": 0.02, "max_epochs": 3}
FRAMES = {"n_modules": 1, "validation_fraction": None, "lr_schedule": "one-cycle"}
LIGHT = {"dropout": 0.0, "max_epochs": 10, "lr": 0.02, "random_state": 0}
CODES = {"encoder_sizes": (16, 8), "batch_size": 32}
INSTANCES = [
    AcousticDescriptors(),
    AudioLoader(),
    AutoencoderEmbedder(**CODES, max_epochs=2, random_state=0),
    CQTView(),
    CRNNClassifier(**NET),
    CRNNClassifier(**NET, views=MelView(n_mels=8)),
    CoalaEmbedder(**PATCHES | {"max_epochs": 1}, dropout=0.0, random_state=0),
    CoalaTagClassifier(**PATCHES, dropout=0.0, lr=0.05, random_state=0),
    CoalaView(min_duration=0.1),
    DistilledClassifier(SwishNetClassifier(**LIGHT), LogisticRegression()),
    EnergyPatches(),
    FrameClassifier(LogisticRegression()),
    FineTunedClassifier(
        SampleCNNClassifier(**NET | SAMPLES),
        **{"freeze": 0.5, "lr": 0.01, "max_epochs": 2, "random_state": 0},
    ),
    FrameLevelCNNClassifier(**NET | {"width": 0.1} | FRAMES),
    FrameSegmenter(make_pipeline(MFCCView(), FrameClassifier(GaussianNB()))),
    FrameStatistics(),
    GMMClassifier(n_components=1, random_state=0),
    GammatoneView(),
    LateFusionClassifier(LogisticRegression()),
    LayerEmbedder(SampleCNNClassifier(**NET | SAMPLES)),
    LogMMSE(),
    LoudnessEqualizer(),
    MFCCView(),
    MeanPoolView(pool_size=2),
    MelView(),
    MobileNetClassifier(**LIGHT | {"max_epochs": 3}, width=0.05),
    MultiViewBlendingClassifier(**NET),
    NetworkClassifier(module=LinearNet, max_epochs=10, lr=0.1, random_state=0),
    PatchScaler(),
    PretrainedClassifier(
        tiny_samplecnn(5, 6),
        **{"freeze": 0.3, "lr": 0.01, "max_epochs": 3, "random_state": 0},
    ),
    PretrainedEmbedder(Scenes()),
    RawView(),
    STFTView(),
    SampleCNNClassifier(**NET | SAMPLES),
    SelfNormalizingClassifier(**LIGHT, hidden_layer_sizes=(16, 8)),
    SilenceRemover(),
    SpectrogramCNNClassifier(
        **LIGHT, width=1.0, filters=(8, 8), hidden_layer_sizes=(8,)
    ),
    SoftmaxAutoencoderClassifier(**CODES, **LIGHT, gamma=0.1, head_sizes=(8,)),
    SwishNetClassifier(**LIGHT),
    TagBinarizer(),
    TagThresholdClassifier(LogisticRegression()),
    TwoLayerClassifier(
        **LIGHT | {"max_epochs": 40, "lr": 0.1}, n_hidden=16, batch_size=32
    ),
    ViewScaler(),
    ViewUnion([("mel", MelView()), ("raw", RawView())]),
]
# Checks that each kind of estimator has at least, as counted with scikit-learn 1.9
# (whose checks feed tables of numbers only, so that there are none of texts, and of
# recordings of any length, of which segments are made and no rows: tests of such an
# estimator hold its contracts, and run all checks that are not about rows)
AT_LEAST = {"classifier": 55, "transformer": 46, "no table": 0}
OF_NO_TABLE = (TagBinarizer, FrameSegmenter)


def public_estimators():
    for name in skaudio._SUBPACKAGES:
        module = importlib.import_module(f"skaudio.{name}")
        for public in module.__all__:
            obj = getattr(module, public)
            is_estimator = inspect.isclass(obj) and issubclass(obj, BaseEstimator)
            if is_estimator and hasattr(obj, "fit"):
                yield obj


def name_of(estimator):
    return type(estimator).__name__


def test_every_estimator_is_checked():
    assert {type(e) for e in INSTANCES} == set(public_estimators())


@pytest.mark.usefixtures("may_use_global_rng")
@pytest.mark.filterwarnings("ignore")  # the checks feed odd data on purpose
@parametrize_with_checks([e for e in INSTANCES if not isinstance(e, OF_NO_TABLE)])
def test_sklearn_checks(estimator, check):
    if check.func is check_sample_weight_equivalence_on_dense_data:
        estimator = clone(estimator).set_params(**_deterministic(estimator))
    try:
        check(estimator)
    except SkipTest as skipped:
        pytest.fail(f"a check was skipped: {skipped}")


# where weights of clips are exactly what repeating them is: in one batch of whole
# clips, which no validation set is drawn from
EQUIVALENT = {
    "batch_size": 64,
    "blending": "uniform",
    "sizes": (5, 6),
    "validation_fraction": None,
}


def _deterministic(estimator):
    """Values of EQUIVALENT for the parameters that there are, at any depth."""
    names = [
        name for name in estimator.get_params() if name.split("__")[-1] in EQUIVALENT
    ]
    return {name: EQUIVALENT[name.split("__")[-1]] for name in names}


@pytest.mark.filterwarnings("ignore:Can't test estimator")
@pytest.mark.parametrize("estimator", INSTANCES, ids=name_of)
def test_no_tag_shrinks_the_suite(estimator):
    checks = list(estimator_checks_generator(clone(estimator)))
    kind = "classifier" if is_classifier(estimator) else "transformer"
    kind = "no table" if isinstance(estimator, OF_NO_TABLE) else kind
    assert len(checks) >= AT_LEAST[kind]


@pytest.mark.parametrize("estimator", INSTANCES, ids=name_of)
def test_parameters_are_validated(estimator):
    check_param_validation(name_of(estimator), clone(estimator))


@pytest.mark.parametrize("estimator", INSTANCES, ids=name_of)
def test_constructor_is_small_and_keyword_only(estimator):
    parameters = list(inspect.signature(type(estimator)).parameters.values())
    # all views load and compute alike; the rest is what one function of librosa takes
    alike = {*LOADER_CONSTRAINTS, *COMPUTING_CONSTRAINTS, *CACHE_CONSTRAINTS}
    shared = alike if isinstance(estimator, BaseView) else set()
    assert len({p.name for p in parameters} - shared) <= 21
    parts = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    assert len(parts) <= 1 or parts == ["student", "teacher"]


@pytest.mark.parametrize("estimator", INSTANCES, ids=name_of)
def test_a_fit_that_fails_changes_nothing(estimator):
    """Whatever it has set by then: names of new classes would stand on old weights."""
    inner = inspect.unwrap(type(estimator).fit)
    assert type(estimator).fit is not inner, "decorate fit with _fit_context"
    estimator = clone(estimator)
    estimator.learned_ = "before"
    before = dict(vars(estimator))
    with pytest.raises(Exception):  # noqa: B017, PT011  (whichever it is)
        estimator.fit(Unreadable(), y=[0, 1])
    assert vars(estimator) == before


class Unreadable:
    shape = (2, 3)

    def __len__(self):
        return 2

    def __array__(self, *args, **kwargs):
        raise MemoryError


# ------------------------------------------------------- contracts on 3-D data


@pytest.fixture(scope="module")
def views():
    """Two views whose level separates two classes, 24 clips."""
    rng = np.random.default_rng(0)
    y = np.array(["quiet", "loud"] * 12)
    level = np.where(y == "loud", 1.0, -1.0)[:, None, None]
    mel = (rng.normal(size=(24, 8, 30)) + level).astype(np.float32)
    raw = (rng.normal(size=(24, 1, 600)) + level).astype(np.float32)
    return skaudio.views.Views(
        {"mel": mel, "raw": raw}, {"mel": 50.0, "raw": 1000.0}
    ), y


SHORT = NET | {"max_epochs": 3, "dropout": 0.2}
WITHOUT_VALIDATION = {"validation_fraction": None, "lr_schedule": "one-cycle"}
NETS = [
    CRNNClassifier(**SHORT, segment_length=12),
    CoalaTagClassifier(**PATCHES, lr=0.02, random_state=0),
    DistilledClassifier(
        SwishNetClassifier(max_epochs=3, segment_length=12, random_state=0),
        FrameClassifier(LogisticRegression()),
    ),
    FineTunedClassifier(
        CRNNClassifier(**SHORT | {"max_epochs": 1}, segment_length=12),
        **{"freeze": 0.3, "lr": 0.01, "max_epochs": 3, "random_state": 0},
    ),
    FrameLevelCNNClassifier(**SHORT | WITHOUT_VALIDATION, n_modules=2),
    MobileNetClassifier(width=0.1, max_epochs=3, segment_length=12, random_state=0),
    MultiViewBlendingClassifier(**SHORT, segment_length=12),
    NetworkClassifier(
        module=LinearNet,
        module_params={"dropout": 0.2},
        **{"max_epochs": 3, "segment_length": 12, "random_state": 0},
    ),
    PretrainedClassifier(tiny_samplecnn(3, 3, 3), max_epochs=3, random_state=0),
    SampleCNNClassifier(**SHORT | WITHOUT_VALIDATION, sizes=(3, 3, 3)),
    SelfNormalizingClassifier(max_epochs=3, segment_length=12, random_state=0),
    SpectrogramCNNClassifier(**SHORT, segment_length=12),
    SoftmaxAutoencoderClassifier(
        **CODES, max_epochs=3, segment_length=12, random_state=0
    ),
    SwishNetClassifier(max_epochs=3, dropout=0.2, segment_length=12, random_state=0),
    TwoLayerClassifier(max_epochs=3, segment_length=12, random_state=0),
]
CLASSIFIERS = [
    *NETS,
    FrameClassifier(GMMClassifier(random_state=0, n_components=2)),
    LateFusionClassifier(LogisticRegression()),
]


ON_SAMPLES = SampleCNNClassifier, CoalaTagClassifier, PretrainedClassifier


def input_of(classifier, views):
    if isinstance(classifier, LateFusionClassifier):
        return views
    return views["raw" if isinstance(classifier, ON_SAMPLES) else "mel"]


def test_contracts_hold_for_every_network():
    """Whatever is public in neural_network and can be fitted."""
    package = skaudio.neural_network.__name__
    networks = {e for e in public_estimators() if e.__module__.startswith(package)}
    assert {type(classifier) for classifier in NETS} == networks


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_half_the_clips_give_half_the_predictions(classifier, views):
    X, y = input_of(classifier, views[0]), views[1]
    fitted = clone(classifier).fit(X, y)
    whole = fitted.predict_proba(X)
    np.testing.assert_allclose(fitted.predict_proba(X[:11]), whole[:11], atol=1e-5)
    np.testing.assert_allclose(fitted.predict_proba(X[5:6]), whole[5:6], atol=1e-5)


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
@pytest.mark.parametrize(
    "copy_of",
    [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))],
    ids=["deepcopy", "pickle"],
)
def test_copies_predict_the_same(classifier, views, copy_of):
    X, y = input_of(classifier, views[0]), views[1]
    fitted = clone(classifier).fit(X, y)
    np.testing.assert_array_equal(
        copy_of(fitted).predict_proba(X), fitted.predict_proba(X)
    )


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_joblib_dump(classifier, views, tmp_path):
    X, y = input_of(classifier, views[0]), views[1]
    fitted = clone(classifier).fit(X, y)
    joblib.dump(fitted, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_bins_are_checked_and_frames_are_free(classifier, views):
    if isinstance(classifier, LateFusionClassifier):
        classifier = LateFusionClassifier(NETS[0])
        X, y = views[0]["mel"], views[1]
    else:
        X, y = input_of(classifier, views[0]), views[1]
    fitted = clone(classifier).fit(X, y)
    assert fitted.n_features_in_ == X.shape[1]
    assert fitted.predict(X[:, :, :17]).shape == (24,)
    with pytest.raises(ValueError, match=f"X has {2 * X.shape[1]} features, but"):
        fitted.predict(np.repeat(X, 2, axis=1))


@pytest.mark.parametrize("classifier", NETS, ids=name_of)
def test_ragged_clips_equal_one_by_one(classifier, views):
    X, y = input_of(classifier, views[0]), views[1]
    fitted = clone(classifier).fit(X, y)
    ragged = [X[i, :, : 5 + 2 * i] for i in range(24)]
    together = fitted.predict_proba(ragged)
    for i, clip in enumerate(ragged):
        alone = fitted.predict_proba([clip])
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-5)


@pytest.mark.parametrize("classifier", NETS, ids=name_of)
def test_training_on_ragged_clips(classifier, views):
    X, y = input_of(classifier, views[0]), views[1]
    ragged = [X[i, :, : 5 + 2 * i] for i in range(24)]
    assert clone(classifier).fit(ragged, y).predict(ragged).shape == (24,)


@pytest.mark.parametrize("classifier", NETS, ids=name_of)
def test_one_seed_repeats_to_the_bit_and_two_differ(classifier, views):
    X, y = input_of(classifier, views[0]), views[1]

    def proba(seed):
        return _fit_proba(classifier, seed, X, y)

    np.testing.assert_array_equal(proba(3), proba(3))
    assert not np.allclose(proba(3), proba(4))


@pytest.mark.parametrize("classifier", NETS, ids=name_of)
def test_backends_agree_to_the_bit(classifier, views):
    X, y = input_of(classifier, views[0]), views[1]
    expected = [_fit_proba(classifier, seed, X, y) for seed in range(2)]
    for backend in ("loky", "threading"):
        parallel = joblib.Parallel(n_jobs=2, backend=backend)
        results = parallel(
            joblib.delayed(_fit_proba)(classifier, seed, X, y) for seed in range(2)
        )
        for one, other in zip(expected, results, strict=True):
            np.testing.assert_array_equal(one, other)


def _fit_proba(classifier, seed, X, y):
    fitted = clone(classifier)
    name = "student__random_state" if hasattr(fitted, "student") else "random_state"
    fitted.set_params(**{name: seed}).fit(X, y)
    return fitted.predict_proba(X)


@pytest.mark.parametrize("classifier", NETS, ids=name_of)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_follows_x(classifier, views, dtype):
    X, y = input_of(classifier, views[0]).astype(dtype), views[1]
    fitted = clone(classifier).fit(X, y)
    assert fitted.predict_proba(X).dtype == dtype
    for inner in ("estimator_", "student_"):
        fitted = getattr(fitted, inner, fitted)
    network = fitted.net_
    weights = network.module_.parameters()
    assert {str(w.dtype).partition(".")[2] for w in weights} == {np.dtype(dtype).name}


@pytest.mark.parametrize("classifier", NETS, ids=name_of)
def test_clone_carries_no_weights(classifier, views):
    X, y = input_of(classifier, views[0]), views[1]
    fitted = clone(classifier).fit(X, y)
    np.testing.assert_array_equal(
        clone(fitted).fit(X, y).predict_proba(X), fitted.predict_proba(X)
    )


@pytest.mark.parametrize("classifier", NETS, ids=name_of)
def test_cross_validation_on_noise_stays_at_chance(classifier):
    from sklearn.model_selection import cross_val_score

    rng = np.random.default_rng(0)
    n_bins = 1 if isinstance(classifier, ON_SAMPLES) else 6
    X = rng.normal(size=(60, n_bins, 30)).astype(np.float32)
    y = rng.integers(0, 2, 60)
    fitted = clone(classifier)
    name = "student__max_epochs" if hasattr(fitted, "student") else "max_epochs"
    fitted.set_params(**{name: 10}).fit(X, y)
    scores = cross_val_score(fitted, X, y, cv=3)
    assert 0.3 < scores.mean() < 0.7
