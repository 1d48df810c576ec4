"""Files for ONNX Runtime against the estimators that they were written of."""

import inspect
import json

import numpy as np
import pytest
import torch
from own_networks import LinearNet
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import skaudio
from skaudio import neural_network
from skaudio._training._classifier import SegmentClassifier
from skaudio._training._network_of import network_of
from skaudio.embedding import (
    AutoencoderEmbedder,
    LayerEmbedder,
    PretrainedEmbedder,
    make_probe,
    save_weights,
)
from skaudio.ensemble import FrameClassifier, LateFusionClassifier
from skaudio.export import OnnxClassifier, OnnxEmbedder, check_exportable, to_onnx
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
from skaudio.nn import CRNNTagger, FCNTagger, MusiCNN, SampleCNN
from skaudio.preprocessing import (
    AudioLoader,
    FrameStatistics,
    SilenceRemover,
    ViewScaler,
)
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

pytest.importorskip("onnxscript", reason="exports to ONNX: pip install skaudio[onnx]")

SR = 8000
FIT = {"max_epochs": 10, "batch_size": 4, "lr": 0.01, "random_state": 0}
NET = {**FIT, "width": 0.05, "dropout": 0.0}
SHORT = {"segment_length": 0.2}
SAMPLES = {"sr": SR, "sizes": (3,) * 6}
MEL = MelView(sr=SR, n_mels=12)


def union():
    cqt = CQTView(sr=SR, n_bins=14, fmin=200.0, bins_per_octave=6)
    return ViewUnion([("my cqt", cqt), ("raw", RawView(sr=SR))])


# every kind of view, of network and of step at least once
MODELS = {
    "blended": lambda: make_pipeline(
        union(), ViewScaler(), MultiViewBlendingClassifier(**NET, **SHORT)
    ),
    "crnn": lambda: make_pipeline(
        AudioLoader(sr=SR, duration=0.9),
        MelView(sr=SR, n_mels=12, center=False, n_fft=512),
        ViewScaler(per="view"),
        CRNNClassifier(**NET, segment_length=9, n_segments=1),
    ),
    "own": lambda: make_pipeline(
        MelView(sr=SR, n_mels=12),
        ViewScaler(),
        NetworkClassifier(module=LinearNet, segment_length=9, **FIT),
    ),
    "spectrogram": lambda: SpectrogramCNNClassifier(
        views=STFTView(sr=SR, n_fft=128, duration=0.7), n_segments=3, **NET, **SHORT
    ),
    "swishnet": lambda: SwishNetClassifier(
        views=MFCCView(sr=SR, delta=2, use_energy=True), n_segments=2, **FIT, **SHORT
    ),
    "self-normalizing": lambda: SelfNormalizingClassifier(
        views=MelView(sr=SR, pad_mode="reflect", preemphasis=0.97),
        hidden_layer_sizes=(8,),
        **FIT,
        **SHORT,
    ),
    "softmax": lambda: SoftmaxAutoencoderClassifier(
        views=RawView(sr=SR), encoder_sizes=(8, 4), segment_length=300, **FIT
    ),
    "mobilenet": lambda: GridSearchCV(
        MobileNetClassifier(
            views=MelView(sr=SR, n_mels=32, center="start"),
            **NET | {"width": 0.15},
            segment_length=0.5,
        ),
        {"dropout": [0.1]},
        cv=2,
    ),
    "coala": lambda: CoalaTagClassifier(
        views=CoalaView(sr=SR, min_duration=0.4), width=0.1, **FIT
    ),
    "late fusion": lambda: make_pipeline(
        ViewUnion([("pool", MeanPoolView(sr=SR)), ("raw", RawView(sr=SR))]),
        LateFusionClassifier(TwoLayerClassifier(**FIT, **SHORT), weights=[1, 3]),
    ),
    "distilled": lambda: DistilledClassifier(
        FrameLevelCNNClassifier(views=GammatoneView(sr=SR), n_modules=2, **NET),
        make_pipeline(MEL, FrameStatistics(), LogisticRegression()),
    ),
    "fine-tuned": lambda: FineTunedClassifier(
        SampleCNNClassifier(**SAMPLES, **NET), max_epochs=1, random_state=0
    ),
    "frames": lambda: make_pipeline(MEL, FrameClassifier(LogisticRegression())),
    "statistics": lambda: make_pipeline(
        MEL,
        FrameStatistics(("mean", "std", "var", "min", "max")),
        StandardScaler(),
        MLPClassifier((5,), max_iter=20, random_state=0),
    ),
    "probe": lambda: make_probe(
        FeatureUnion(
            [
                ("net", LayerEmbedder(SampleCNNClassifier(**SAMPLES, **NET))),
                ("mel", make_pipeline(MEL, FrameStatistics())),
            ]
        ),
        head="lda",
    ),
}
TAGS = {
    "samplecnn": lambda: SampleCNNClassifier(**SAMPLES, **NET),
    "tags of probes": lambda: make_probe(
        make_pipeline(RawView(sr=SR), FrameStatistics()), head="logistic", tags=True
    ),
    "perceptron": lambda: make_probe(
        make_pipeline(RawView(sr=SR), FrameStatistics()),
        tags=True,
        random_state=0,
        max_iter=20,
    ),
}


pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # of a few rows and steps
)


@pytest.fixture(scope="module")
def clips():
    """Clips of two lengths, float32; a part of one is silent."""
    X, y = skaudio.datasets.make_sounds(
        n_clips=18, n_classes=3, duration=0.6, sr=SR, random_state=0
    )
    X = X.astype(np.float32)
    X[4, 1000:2500] = 0
    return [x[: 4800 - 700 * (i % 2)] for i, x in enumerate(X)], y


def decided(model, clips):
    """Make decisions of the last layers extreme enough to show differences."""
    try:
        steps, network = network_of(model)
    except TypeError:
        return
    branches = network._branch_proba(clips if steps is None else steps.transform(clips))
    module = network.net_.module_
    for name, proba in zip(module.output_layers, branches.values(), strict=True):
        logits = np.log(proba) - np.log(proba).mean(axis=1, keepdims=True)
        factor = min(50.0, 1 / max(logits.std(axis=0).max(), 1e-9))
        layer = module.get_submodule(name)
        with torch.no_grad():
            layer.bias.sub_(torch.from_numpy(logits.mean(axis=0))).mul_(factor)
            layer.weight.mul_(factor)


def batches(shortest):
    """Batches of clips of one length, from the shortest to some segments."""
    rng = np.random.default_rng(0)
    # of 4480, 29 frames of 20 ms: 29 / 50 * 50 is a rounding error short of 29
    for n_clips, n_samples in ((1, shortest), (3, 1601), (2, 4480), (1, 13001)):
        size = max(n_samples, shortest)
        t = np.arange(size) / SR
        tones = np.sin(2 * np.pi * np.array([[330], [1500], [700]])[:n_clips] * t)
        x = 0.3 * tones * np.exp(-3 * t) + 0.05 * rng.standard_normal((n_clips, size))
        if n_clips == 3:
            x[1] = 0  # silence
        yield x.astype(np.float32)


def assert_same_answers(model, answer, onnx, run, rtol=0):
    for x in batches(onnx.metadata.shortest):
        wanted, found = answer(list(x)), run(x, sr=onnx.sr)
        assert found.shape == wanted.shape
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=rtol)


@pytest.mark.parametrize("name", MODELS)
def test_answers_are_those_of_the_estimator(name, clips, tmp_path):
    X, y = clips
    model = MODELS[name]()
    check_exportable(model)
    model.fit(X, y)
    decided(model, X)
    path = tmp_path / "model.onnx"
    to_onnx(model, path)
    onnx = OnnxClassifier(path)
    assert model.predict_proba(X).std(axis=0).max() > 0.01
    assert_same_answers(model, model.predict_proba, onnx, onnx.predict_proba)
    assert onnx.metadata.shortest == (40 if name == "late fusion" else 1)
    assert onnx.classes_.tolist() == model.classes_.tolist()
    (x,) = [b for b in batches(onnx.metadata.shortest) if len(b) == 2]
    assert onnx.predict(x, sr=SR).tolist() == model.predict(list(x)).tolist()
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("name", TAGS)
def test_tags(name, clips, tmp_path):
    X, y = clips
    tags = np.array([[c == "tone", c != "noise", i % 2] for i, c in enumerate(y)])
    tags = tags.astype(int)
    tags[0] = 0, 1, 1
    tags[1] = 1, 0, 0
    model = TAGS[name]().fit(X, tags)
    to_onnx(model, tmp_path / "tags.onnx", class_names=["a", "b", "c"])
    onnx = OnnxClassifier(tmp_path / "tags.onnx")
    assert onnx.metadata.output == "tags"
    assert onnx.classes_.tolist() == ["a", "b", "c"]
    assert_same_answers(model, model.predict_proba, onnx, onnx.predict_proba)
    (x,) = [b for b in batches(onnx.metadata.shortest) if len(b) == 2]
    assert onnx.predict(x, sr=SR).tolist() == model.predict(list(x)).tolist()


def made(make):
    """A network by a seed that leaves the global generator alone."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def published(network, tmp_path, **options):
    path = tmp_path / "network.safetensors"
    save_weights(network, path, sr=SR)
    return PretrainedEmbedder(path, cache=False, **options)


def tiny_network():
    return SampleCNN(4, sizes=(3,) * 6, width=0.05)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (tiny_network, {"layers": (-2, -1), "n_segments": 2}),
        (tiny_network, {}),
        (lambda: FCNTagger(4, width=0.05), {}),
        (lambda: CRNNTagger(4, width=0.05, n_hidden=3), {"layers": (-1, 1)}),
        (lambda: MusiCNN(4, n_high=3, n_long=1, n_middle=3), {"output": "tags"}),
    ],
)
def test_pretrained_embedders(make, options, clips, tmp_path):
    network = made(make)
    embedder = published(network, tmp_path, **options).fit(clips[0])
    to_onnx(embedder, tmp_path / "embedder.onnx")
    onnx = OnnxEmbedder(tmp_path / "embedder.onnx")
    assert embedder.transform(clips[0]).std(axis=0).max() > 1e-3
    assert_same_answers(embedder, embedder.transform, onnx, onnx.transform, 2e-5)


def test_codes_of_an_autoencoder(clips, tmp_path):
    embedder = AutoencoderEmbedder(
        views=MeanPoolView(sr=SR), encoder_sizes=(6, 4), **FIT, **SHORT
    )
    embedder.fit(clips[0])
    to_onnx(embedder, tmp_path / "codes.onnx")
    onnx = OnnxEmbedder(tmp_path / "codes.onnx")
    assert_same_answers(embedder, embedder.transform, onnx, onnx.transform)


def test_a_classifier_on_float64_and_whole_numbers_as_labels(clips, tmp_path):
    X = [x.astype(np.float64) for x in clips[0]]
    y = np.unique(clips[1], return_inverse=True)[1] == 1
    model = TwoLayerClassifier(views=RawView(sr=SR), **FIT, **SHORT).fit(X, y)
    to_onnx(model, tmp_path / "model.onnx", opset=20)
    onnx = OnnxClassifier(tmp_path / "model.onnx")
    assert onnx.classes_.tolist() == [False, True]
    for x in batches(onnx.metadata.shortest):
        wanted = model.predict_proba(list(x.astype(np.float64)))
        np.testing.assert_allclose(onnx.predict_proba(x, sr=SR), wanted, atol=1e-5)


def test_what_the_file_says(clips, tmp_path):
    import onnx

    X, y = clips
    model = SampleCNNClassifier(**SAMPLES, **NET, n_segments=4).fit(X, y)
    to_onnx(model, tmp_path / "model.onnx", opset=19)
    content = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(content, full_check=True)
    assert [o.version for o in content.opset_import if not o.domain] == [19]
    texts = {p.key: p.value for p in content.metadata_props}
    assert texts["skaudio_version"] == skaudio.__version__
    assert (texts["sr"], texts["output"], texts["shortest"]) == (
        *("8000", "probabilities", "1"),
    )
    assert json.loads(texts["classes"]) == model.classes_.tolist()
    assert json.loads(texts["networks"]) == [
        {
            "views": {"raw": 8000.0},
            "segment_seconds": 729 / 8000,
            "segment_steps": {"raw": 729},
            "n_segments": 4,
            "aggregation": "mean",
        }
    ]
    (given,), (output,) = content.graph.input, content.graph.output
    axes = [d.dim_param for d in given.type.tensor_type.shape.dim]
    assert (given.name, axes) == ("waveform", ["batch", "n_samples"])
    assert output.name == "probabilities"
    widths = [d.dim_param or d.dim_value for d in output.type.tensor_type.shape.dim]
    assert widths == ["batch", 3]


# ------------------------------------------------------------- what cannot be exported
def public_classifiers():
    found = [getattr(neural_network, name) for name in neural_network.__all__]
    return [c for c in found if isinstance(c, type) and hasattr(c, "predict_proba")]


def test_every_neural_classifier_is_in_the_grid():
    ours = {SegmentClassifier: set()}
    for make in MODELS.values():
        todo = [make()]
        while todo:
            estimator = todo.pop()
            ours.setdefault(type(estimator), set())
            todo += [
                part
                for part in estimator.get_params(deep=True).values()
                if hasattr(part, "get_params")
            ]
    for cls in public_classifiers():
        assert cls in ours or cls is PretrainedClassifier, cls


def test_a_fine_tuned_network_of_a_file(clips, tmp_path):
    network = made(lambda: MusiCNN(4, n_high=3, n_long=1, n_middle=3))
    path = tmp_path / "network.safetensors"
    save_weights(network, path, sr=SR)
    model = PretrainedClassifier(path, **FIT, segment_length=0.3).fit(*clips)
    decided(model, clips[0])
    to_onnx(model, tmp_path / "model.onnx")
    onnx = OnnxClassifier(tmp_path / "model.onnx")
    assert_same_answers(model, model.predict_proba, onnx, onnx.predict_proba)


CRNN = CRNNClassifier(views=MelView(sr=SR))


def statistics(sr):
    return make_pipeline(MelView(sr=sr), FrameStatistics())


REFUSED = [
    (CRNNClassifier(), ValueError, "takes views, but there is sound before it"),
    (make_pipeline(MEL, CRNNClassifier(views=MelView(sr=SR))), None, ""),
    (make_pipeline(ViewScaler(), CRNN), ValueError, "ViewScaler .* there is sound"),
    (make_pipeline(MEL, ViewScaler()), ValueError, "it gives views; wanted"),
    (make_pipeline(MEL, LogisticRegression()), ValueError, "there is views before it"),
    (make_pipeline(MEL, FrameStatistics(), SVC()), TypeError, "SVC cannot .* no form"),
    (make_pipeline(SilenceRemover(), CRNN), TypeError, "SilenceRemover cannot be"),
    (MEL, ValueError, "it gives views"),
    (
        CRNNClassifier(views=MelView(sr=SR, trim_silence=True)),
        ValueError,
        "trim_silence=True .* Set trim_silence=False",
    ),
    (
        make_pipeline(AudioLoader(sr=16000), CRNN),
        ValueError,
        "sr=8000, but another step takes sr=16000",
    ),
    (
        make_pipeline(MEL, FrameStatistics(("median",)), LogisticRegression()),
        ValueError,
        "'median' has no operator",
    ),
    (
        make_pipeline(MEL, FrameClassifier(LogisticRegression(), vote="majority")),
        ValueError,
        "vote='majority'",
    ),
    (
        make_pipeline(MEL, FrameClassifier(SVC())),
        TypeError,
        "SVC cannot be exported",
    ),
    (FrozenEstimator(SVC()), TypeError, "SVC cannot be exported"),
    (
        make_probe(
            FeatureUnion([(str(sr), statistics(sr)) for sr in (SR, 16000)]), head="lda"
        ),
        ValueError,
        "sr=16000, but another step takes sr=8000",
    ),
    (
        make_probe(FeatureUnion([("a", statistics(SR)), ("b", "passthrough")])),
        ValueError,
        "'b' is 'passthrough'",
    ),
    (
        make_pipeline(statistics(SR), OneVsRestClassifier(SVC())),
        ValueError,
        "its estimator is SVC; wanted LogisticRegression or",
    ),
    ("model.onnx", TypeError, "Expected an estimator or a Pipeline; got str"),
]


@pytest.mark.parametrize(("estimator", "error", "message"), REFUSED)
def test_refusals_come_before_training(estimator, error, message):
    if error is None:
        check_exportable(estimator)
        return
    with pytest.raises(error, match=message):
        check_exportable(estimator)


def test_every_classifier_says_whether_it_can_be_exported(tmp_path):
    path = tmp_path / "network.safetensors"
    save_weights(made(tiny_network), path, sr=SR)
    required = {
        "student": CRNN,
        "teacher": CRNN,
        "estimator": CRNN,
        "weights": path,
    }
    for cls in public_classifiers():
        names = inspect.signature(cls).parameters
        given = {name: required[name] for name in required if name in names}
        if cls is NetworkClassifier:
            given["module"] = LinearNet
        views = {"views": MelView(sr=SR)} if "views" in names else {}
        check_exportable(cls(**given, **views))


def test_resampling_embedders_are_refused(tmp_path):
    embedder = published(made(tiny_network), tmp_path, sr=16000)
    with pytest.raises(ValueError, match="sr=16000 has to be resampled to the 8000 Hz"):
        check_exportable(embedder)


def test_before_fit_and_wrong_arguments(clips, tmp_path):
    model = TwoLayerClassifier(views=RawView(sr=SR), **FIT, segment_length=100)
    path = tmp_path / "model.onnx"
    with pytest.raises(NotFittedError, match="TwoLayerClassifier"):
        to_onnx(model, path)
    model.fit(*clips)
    with pytest.raises(ValueError, match="opset must be a whole number from 18 to 22"):
        to_onnx(model, path, opset=11)
    with pytest.raises(ValueError, match="class_names has 2 names, but there are 3"):
        to_onnx(model, path, class_names=["a", "b"])
    for names in ("abc", ["a", "b", "a"], []):
        with pytest.raises(ValueError, match="class_names must be a list of names"):
            to_onnx(model, path, class_names=names)
    with pytest.raises(FileNotFoundError, match="folder to write to does not exist"):
        to_onnx(model, tmp_path / "nowhere" / "model.onnx")
    with pytest.raises(IsADirectoryError, match="this is a directory"):
        to_onnx(model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named(monkeypatch, clips, tmp_path):
    model = TwoLayerClassifier(views=RawView(sr=SR), **FIT, segment_length=100)
    model.fit(*clips)
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"needs onnxscript.*skaudio\[onnx\]"):
        to_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_answers_otherwise_is_not_written(monkeypatch, clips, tmp_path):
    model = TwoLayerClassifier(views=RawView(sr=SR), **FIT, segment_length=100)
    model.fit(*clips)
    decided(model, clips[0])
    monkeypatch.setattr(
        type(model), "predict_proba", lambda self, X: np.full((len(X), 3), 1 / 3)
    )
    with pytest.raises(ValueError, match="would not answer as the estimator does"):
        to_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
