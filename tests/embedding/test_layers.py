"""`LayerEmbedder` and `make_probe`: levels, scales and heads, by hand."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skaudio._segments import even_segments
from skaudio._training._datasets import SegmentDataset
from skaudio.cache import cache_info, clear_cache
from skaudio.embedding import (
    LayerEmbedder,
    PretrainedEmbedder,
    make_probe,
    save_weights,
)
from skaudio.neural_network import (
    CoalaTagClassifier,
    CRNNClassifier,
    MultiViewBlendingClassifier,
    SampleCNNClassifier,
)
from skaudio.nn import SampleCNN
from skaudio.preprocessing import ViewScaler
from skaudio.views import MelView, Views

SR = 8000
SHORT = {
    "width": 1.0,
    "max_epochs": 1,
    "lr_schedule": "constant",
    "validation_fraction": None,
    "random_state": 0,
}
NET = SHORT | {"sr": SR, "sizes": (3,) * 6, "width": 0.06}  # 729 samples
FAMILY = [(2, 13), (2, 14), (3, 8), (3, 9), (4, 6), (4, 7), (5, 5), (5, 6)]


@pytest.fixture(scope="module")
def sounds():
    rng = np.random.default_rng(0)
    y = np.arange(24) % 2
    X = 0.1 * rng.standard_normal((24, 2000)).astype(np.float32)
    t = np.arange(2000, dtype=np.float32)
    return X + (0.3 * y[:, None] * np.sin(t * 0.7)).astype(np.float32), y


@pytest.fixture(scope="module")
def net(sounds):
    return SampleCNNClassifier(**NET).fit(*sounds)


@pytest.fixture(autouse=True)
def nothing_remembered():
    clear_cache()


def by_hand(net, clip, layers):
    """Maximum over time within a segment, mean over evenly spaced segments."""
    module = net.net_.module_.network.eval()
    n = net.n_samples_
    starts = np.arange(len(clip) // n + 1) * ((len(clip) - n) // (len(clip) // n))
    features = []
    with torch.inference_mode():
        for start in starts:
            x = torch.from_numpy(clip[start : start + n])[None, None]
            outputs = []
            for block in module.blocks:
                x = block(x)
                outputs.append(x[0].amax(1))
            features.append(torch.cat([outputs[layer] for layer in layers]).numpy())
    return np.mean(features, axis=0)


def test_features_by_hand(net, sounds):
    X, _ = sounds
    layers = (-3, -1, 0)
    embedder = LayerEmbedder(FrozenEstimator(net), layers=layers).fit(X)
    assert embedder.layers_ == [f"network.blocks.{k}" for k in (4, 6, 0)]
    expected = [by_hand(net, clip, layers) for clip in X[:3]]
    np.testing.assert_allclose(embedder.transform(X[:3]), expected, atol=1e-6)
    assert len(embedder.get_feature_names_out()) == expected[0].size


def test_mean_pooling_and_number_of_segments(net, sounds):
    X, _ = sounds
    module = net.net_.module_.network.eval()
    embedder = LayerEmbedder(
        FrozenEstimator(net), layers=(1,), pooling="mean", n_segments=1
    )
    start = (2000 - 729) // 2  # the middle
    x = torch.from_numpy(X[:, None, start : start + 729])
    with torch.inference_mode():
        expected = module.blocks[:2](x).mean(2).numpy()
    np.testing.assert_allclose(embedder.fit_transform(X), expected, atol=1e-6)


def test_frames_are_segments(net, sounds):
    X, _ = sounds
    embedder = LayerEmbedder(FrozenEstimator(net), layers=(-1,)).fit(X)
    features, times = embedder.transform_frames([X[0], X[1][:729]])
    assert [f.shape for f in features] == [(31, 3), (31, 1)]
    np.testing.assert_allclose(times[0], (364.5 + 729 * np.arange(3)) / SR)
    np.testing.assert_allclose(times[1], [364.5 / SR])
    # the last one would end behind the clip: it is moved inside
    segments = [X[0][:729], X[0][729:1458], X[0][-729:]]
    np.testing.assert_allclose(features[0].T, embedder.transform(segments), atol=1e-6)


def test_frames_have_a_hop(net, sounds):
    X, _ = sounds
    embedder = LayerEmbedder(FrozenEstimator(net), layers=(-1,)).fit(X)
    features, times = embedder.transform_frames(X[:2], hop=243 / SR)
    assert features.shape == (2, 31, times.shape[1])
    np.testing.assert_allclose(np.diff(times), 243 / SR)
    middle = X[0][243 * 3 + 121 - 364 :][:729]  # around the fourth time
    np.testing.assert_allclose(
        features[0, :, 3], embedder.transform([middle])[0], atol=1e-6
    )
    with pytest.raises(ValueError, match="hop must be a number of seconds above 0"):
        embedder.transform_frames(X[:2], hop=0)


def test_width_of_a_full_network(sounds):
    """Three layers of the paper's 3^9 network are 1536 features, and are in order."""
    X = np.random.default_rng(0).standard_normal((2, 59049)).astype(np.float32)
    net = SampleCNNClassifier(**SHORT).fit(X, [0, 1])
    embedder = LayerEmbedder(FrozenEstimator(net)).fit(X)
    assert embedder.layers_ == [f"network.blocks.{k}" for k in (8, 9, 10)]
    features = embedder.transform(X)
    assert features.shape == (2, 1536)
    last = LayerEmbedder(FrozenEstimator(net), layers=[-1]).fit_transform(X)
    np.testing.assert_array_equal(features[:, 1024:], last)


@pytest.mark.slow
def test_eight_scales_are_12288_features():
    X = np.random.default_rng(0).standard_normal((2, 80000)).astype(np.float32)
    union = FeatureUnion(
        [
            (
                f"{m}^{n}",
                LayerEmbedder(
                    FrozenEstimator(
                        SampleCNNClassifier(sizes=(m,) * (n + 1), **SHORT).fit(
                            X[:, : m ** (n + 1)], [0, 1]
                        )
                    ),
                    n_segments=1,
                ),
            )
            for m, n in FAMILY
        ]
    )
    features = union.fit_transform(list(X))
    assert features.shape == (2, 12288)
    assert np.isfinite(features).all()


def test_a_frozen_network_stays_as_it_is(net, sounds):
    X, y = sounds
    before = {k: v.clone() for k, v in net.net_.module_.state_dict().items()}
    embedder = clone(LayerEmbedder(FrozenEstimator(net))).fit(X, y)
    assert embedder.estimator_.estimator is net
    for name, value in net.net_.module_.state_dict().items():
        assert torch.equal(value, before[name])


def test_otherwise_a_copy_is_trained(net, sounds):
    X, y = sounds
    untouched = SampleCNNClassifier(**NET)
    embedder = LayerEmbedder(untouched).fit(X, y)
    assert not hasattr(untouched, "net_")
    frozen = LayerEmbedder(FrozenEstimator(net)).fit(X)
    np.testing.assert_array_equal(embedder.transform(X), frozen.transform(X))


def test_errors(net, sounds):
    X, y = sounds
    with pytest.raises(ValueError, match="requires y to be passed"):
        LayerEmbedder(net).fit(X)
    with pytest.raises(
        ValueError, match="layers has -8, but there are 7 hidden layers"
    ):
        LayerEmbedder(FrozenEstimator(net), layers=(-8,)).fit(X)
    with pytest.raises(ValueError, match="layers has 'conv9', which the network"):
        LayerEmbedder(FrozenEstimator(net), layers=("conv9",)).fit(X)
    with pytest.raises(TypeError, match=r"neural estimator of skaudio.*got Logistic"):
        LayerEmbedder(LogisticRegression()).fit(X, y)
    with pytest.raises(NotFittedError):
        LayerEmbedder(FrozenEstimator(net)).transform(X)


def test_paths_are_arrays(net, sounds, tmp_path):
    X, _ = sounds
    paths = [tmp_path / f"{i}.wav" for i in range(3)]
    for path, clip in zip(paths, X, strict=False):
        soundfile.write(path, clip, SR, subtype="FLOAT")
    embedder = LayerEmbedder(FrozenEstimator(net)).fit(X)
    np.testing.assert_array_equal(
        embedder.fit(paths).transform(paths), embedder.transform(list(X[:3]))
    )


def test_layers_of_other_networks(sounds):
    X, y = sounds
    crnn = CRNNClassifier(width=0.05, max_epochs=1, random_state=0)
    views = (MelView(sr=SR, n_mels=16), ViewScaler())
    model = make_pipeline(*views, crnn).fit(X, y)
    embedder = LayerEmbedder(FrozenEstimator(model), layers=(-3, "network.head.relu2"))
    Z = embedder.fit_transform(X)
    assert embedder.layers_ == ["network.encoder.pool", "network.head.relu2"]
    assert Z.shape == (24, 2 * 13 + 26)
    mel = make_pipeline(*views).fit_transform(X)
    two = Views({"a": mel, "b": mel[:, :8]}, {"a": 50.0, "b": 50.0})
    multi = MultiViewBlendingClassifier(
        width=0.05, max_epochs=1, blending="uniform", random_state=0
    ).fit(two, y)
    joint = LayerEmbedder(FrozenEstimator(multi), layers=(-1,)).fit_transform(two)
    assert joint.shape == (24, 205)  # 4096 times 0.05


# -------------------------------------------------------------------------- memory


@pytest.fixture
def seen(monkeypatch):
    """Number of segments in each forward pass of a SampleCNN."""
    sizes = []
    forward = SampleCNN.forward

    def counted(self, x):
        sizes.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(SampleCNN, "forward", counted)
    return sizes


@pytest.mark.usefixtures("may_use_global_rng")  # SVC does
def test_a_search_embeds_every_clip_once(net, sounds, seen):
    X, y = sounds
    probe = make_probe(LayerEmbedder(FrozenEstimator(net), n_segments=1), head="svm")
    GridSearchCV(probe, {"head__C": [0.1, 1.0, 10.0]}, cv=4).fit(X, y)
    assert sum(seen) == len(X)


@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_paths_of_any_kind_are_remembered(net, sounds, seen, tmp_path, kind):
    X, _ = sounds
    paths = [str(tmp_path / f"{i}.wav") for i in range(4)]
    for path, clip in zip(paths, X, strict=False):
        soundfile.write(path, clip, SR, subtype="FLOAT")
    embedder = LayerEmbedder(FrozenEstimator(net), n_segments=1).fit(paths)
    Z = embedder.transform(kind(paths))
    assert sum(seen) == 4
    np.testing.assert_array_equal(embedder.transform(kind(paths[2:])), Z[2:])
    assert sum(seen) == 4
    np.testing.assert_array_equal(Z, embedder.transform(list(X[:4])))


def test_memory_changes_nothing(net, sounds):
    X, _ = sounds
    with_memory = LayerEmbedder(FrozenEstimator(net)).fit(X)
    without = LayerEmbedder(FrozenEstimator(net), cache=False).fit(X)
    expected = without.transform(X)
    for _ in range(2):
        np.testing.assert_array_equal(with_memory.transform(X), expected)
    order = [3, 3, 0]
    np.testing.assert_array_equal(with_memory.transform(X[order]), expected[order])


@pytest.mark.parametrize(
    "change", [{"layers": (-2,)}, {"pooling": "mean"}, {"n_segments": 2}]
)
def test_settings_are_not_mixed_up(net, sounds, change):
    X, _ = sounds
    base = {"layers": (-3,)}
    LayerEmbedder(FrozenEstimator(net), **base).fit_transform(X)
    other = LayerEmbedder(FrozenEstimator(net), **(base | change))
    expected = clone(other).set_params(cache=False).fit_transform(X)
    np.testing.assert_array_equal(other.fit_transform(X), expected)


def test_networks_are_not_mixed_up(net, sounds):
    X, y = sounds
    LayerEmbedder(FrozenEstimator(net)).fit_transform(X)
    other = SampleCNNClassifier(**(NET | {"random_state": 1})).fit(X, y)
    embedder = LayerEmbedder(FrozenEstimator(other))
    expected = clone(embedder).set_params(cache=False).fit_transform(X)
    np.testing.assert_array_equal(embedder.fit_transform(X), expected)


def test_disk(net, sounds, tmp_path, seen):
    X, _ = sounds
    embedder = LayerEmbedder(FrozenEstimator(net), cache=tmp_path).fit(X)
    Z = embedder.transform(X)
    clear_cache()
    seen.clear()
    np.testing.assert_array_equal(embedder.transform(X), Z)
    assert not seen
    assert cache_info(tmp_path).n_arrays == len(X)


# -------------------------------------------------------------------------- probes


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    return 5 + 3 * rng.standard_normal((60, 40)) + y[:, None], y


@pytest.mark.usefixtures("may_use_global_rng")  # SVC does
def test_svm_is_that_of_the_authors_script(features):
    """One mean and one deviation for all numbers, then gamma = 1 / n_features."""
    X, y = features
    scaled = (X - X.mean()) / X.std()
    theirs = SVC(gamma=1 / X.shape[1]).fit(scaled, y)
    ours = make_probe("passthrough", head="svm").fit(X, y)
    np.testing.assert_allclose(
        ours.decision_function(X), theirs.decision_function(scaled), atol=1e-6
    )


def test_steps_of_probes():
    mlp = make_probe("passthrough", hidden_layer_sizes=(4096, 4096), random_state=3)
    assert list(mlp.named_steps) == ["embedder", "scaler", "head"]
    assert isinstance(mlp["scaler"], StandardScaler)
    assert mlp["head"].hidden_layer_sizes == (4096, 4096)
    assert mlp["head"].random_state == 3
    assert isinstance(make_probe("passthrough")["head"], MLPClassifier)
    assert make_probe("passthrough", head="logistic", C=0.3)["head"].C == 0.3
    lda = make_probe("passthrough", head="lda", shrinkage=0.1, random_state=0)["head"]
    assert (lda.solver, lda.shrinkage) == ("lsqr", 0.1)
    assert list(make_probe("passthrough", head="svm").named_steps) == [
        *("embedder", "head")
    ]
    with pytest.raises(ValueError, match=r"head must be one of \['mlp', 'svm'"):
        make_probe("passthrough", head="forest")


@pytest.mark.parametrize("head", ["mlp", "svm", "logistic", "lda"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_probes_of_tags(features, head):
    X, y = features
    tags = np.stack([y == 0, y > 0, np.arange(60) % 2 == 0], axis=1).astype(int)
    probe = make_probe("passthrough", head=head, tags=True, random_state=0)
    assert probe.fit(X, tags).predict(X).shape == (60, 3)
    assert isinstance(probe["head"], OneVsRestClassifier) == (head != "mlp")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_two_layers_of_4096(net, sounds):
    X, y = sounds
    embedder = LayerEmbedder(FrozenEstimator(net), n_segments=1)
    probe = make_probe(
        embedder, hidden_layer_sizes=(4096, 4096), max_iter=1, random_state=0
    )
    shapes = [w.shape for w in probe.fit(X, y)["head"].coefs_]
    assert shapes == [(93, 4096), (4096, 4096), (4096, 1)]


# -------------------------------------------------- the same segments as of a file


@pytest.mark.parametrize("n_segments", [None, 1, 3, 10])
def test_segments_start_on_the_samples_that_a_file_takes(n_segments):
    """Of any length and rate, and also where a slower view lies beside the samples."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        rate = rng.choice([8000.0, 16000.0, 22050.0, 44100.0, 11025.5])
        n_steps, n_samples = rng.integers(100, 3000), rng.integers(50, 20000)
        raw = Views({"raw": np.zeros((1, 1, n_samples), np.float32)}, {"raw": rate})
        data = SegmentDataset(raw, raw.rates, n_steps / rate, {}, "float32")
        assert data.n_steps == {"raw": n_steps}
        rows, starts = data.even_segments(n_segments)
        found = np.floor(starts * rate + 0.5).astype(int)
        expected = even_segments(n_samples, n_steps, n_segments)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_allclose(found, starts * rate, atol=1e-6)
        assert len(rows) == len(starts)


def test_segments_of_a_view_beside_samples_are_those_of_samples():
    n_samples, rates = 12345, {"mel": 50.0, "raw": 8000.0}
    views = {
        "mel": np.zeros((1, 8, 78), np.float32),  # centred frames reach over the end
        "raw": np.zeros((1, 1, n_samples), np.float32),
    }
    data = SegmentDataset(Views(views, rates), rates, 0.3, {}, "float32")
    starts = data.even_segments(10)[1]
    expected = even_segments(n_samples, 2400, 10) / 8000
    np.testing.assert_array_equal(starts, expected)


@pytest.mark.parametrize("n_segments", [None, 1, 4])
def test_a_network_embeds_as_its_file_does(net, tmp_path, n_segments):
    """Equal segments of equal weights, whatever the lengths of clips."""
    path = tmp_path / "net.safetensors"
    save_weights(net.net_.module_.network, path, sr=SR)
    rng = np.random.default_rng(1)
    lengths = [1, 728, 729, 730, 1457, 1458, *rng.integers(500, 5000, size=40)]
    clips = [rng.standard_normal(n).astype(np.float32) for n in lengths]
    trained = LayerEmbedder(FrozenEstimator(net), n_segments=n_segments).fit(clips)
    file = PretrainedEmbedder(path, layers=(-3, -2, -1), n_segments=n_segments)
    np.testing.assert_allclose(
        trained.transform(clips), file.fit_transform(clips), rtol=1e-4, atol=1e-5
    )


def test_coala_embeds_as_its_file_does(tmp_path):
    """By patches side by side, in `transform`, from the layer and from the file."""
    rng = np.random.default_rng(0)
    lengths = [30000, 66150, 98303, 98304, 98816, 120001, 161000]
    clips = [0.1 * rng.standard_normal(n).astype(np.float32) for n in lengths]
    y = np.eye(2, dtype=int)[np.arange(7) % 2]
    clf = CoalaTagClassifier(max_epochs=1, width=0.05, random_state=0).fit(clips, y)
    path = tmp_path / "coala.safetensors"
    save_weights(clf.net_.module_.network, path, sr=22050)
    whole = clf.transform(clips)
    of_layer = LayerEmbedder(FrozenEstimator(clf), layers=(-1,)).fit_transform(clips)
    np.testing.assert_allclose(of_layer, whole, rtol=1e-5, atol=1e-7)
    # a clip of up to three seconds gets faint noise in the authors' code
    of_file = PretrainedEmbedder(path).fit_transform(clips[1:])
    np.testing.assert_allclose(of_file, whole[1:], rtol=1e-3, atol=1e-5)
