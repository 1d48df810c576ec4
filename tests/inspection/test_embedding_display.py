"""EmbeddingDisplay draws clips where their projection puts them."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skaudio.embedding import LayerEmbedder
from skaudio.inspection import EmbeddingDisplay
from skaudio.neural_network import SampleCNNClassifier
from skaudio.preprocessing import FrameStatistics
from skaudio.views import MelView

NAMES = np.array(["rain", "dog", "clock"])
N_PER_CLASS = 15


@pytest.fixture(autouse=True)
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.fixture(scope="module")
def clusters():
    """Embeddings of three classes that lie apart, in mixed order, and their names."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(3), N_PER_CLASS))
    centres = 10 * np.eye(3, 8)
    return centres[y] + rng.normal(size=(len(y), 8)), NAMES[y]


def draw(Z, y=None, **options):
    return EmbeddingDisplay.from_embeddings(Z, y, **{"random_state": 0} | options)


def points(display):
    """Name of every class -> where its points are drawn."""
    return {c.get_label(): c.get_offsets() for c in display.ax_.collections}


def legend_of(display):
    (legend,) = display.figure_.legends
    return [text.get_text() for text in legend.get_texts()]


def test_pca_is_scikit_learns(clusters):
    Z, y = clusters
    display = draw(Z, y, method="pca")
    pca = PCA(n_components=2)
    expected = pca.fit_transform(Z)
    signs = np.sign((display.embedding * expected).sum(axis=0))
    assert_allclose(display.embedding * signs, expected, atol=1e-9)
    share = pca.explained_variance_ratio_
    assert_allclose(display.explained_variance_ratio, share)
    assert display.ax_.get_xlabel() == f"PCA 1 ({share[0]:.0%} of variance)"
    assert display.ax_.get_ylabel() == f"PCA 2 ({share[1]:.0%} of variance)"


def test_clusters_stay_apart_in_tsne(clusters):
    Z, y = clusters
    display = draw(Z, y)
    nearest = NearestNeighbors(n_neighbors=3).fit(display.embedding)
    neighbours = nearest.kneighbors(return_distance=False)
    assert (y[neighbours] == y[:, None]).all()
    assert display.explained_variance_ratio is None
    labels = display.ax_.get_xlabel(), display.ax_.get_ylabel()
    assert labels == ("t-SNE 1", "t-SNE 2")


def test_one_seed_repeats(clusters):
    Z, y = clusters
    first = draw(Z, y, random_state=5).embedding
    assert_array_equal(draw(Z, y, random_state=5).embedding, first)


@pytest.mark.parametrize(("n_clips", "perplexity"), [(4, 1.0), (45, 44 / 3)])
def test_few_clips_have_fewer_neighbours(clusters, n_clips, perplexity):
    Z = clusters[0][:n_clips]
    expected = TSNE(perplexity=perplexity, random_state=0).fit_transform(Z)
    assert_array_equal(draw(Z).embedding, expected)
    own = TSNE(perplexity=2, random_state=0).fit_transform(Z)
    assert_array_equal(draw(Z, perplexity=2).embedding, own)


def test_many_clips_have_thirty_neighbours():
    Z = np.random.default_rng(0).normal(size=(120, 4))
    expected = TSNE(perplexity=30, random_state=0).fit_transform(Z)
    assert_array_equal(draw(Z).embedding, expected)


# -------------------------------------------------------------------------- labels


def test_labels_belong_to_their_points(clusters):
    Z, y = clusters
    display = draw(Z, y, method="pca")
    assert_array_equal(display.labels, y)
    drawn = points(display)
    assert list(drawn) == display.class_names == sorted(NAMES)
    for name, offsets in drawn.items():
        assert_array_equal(offsets, display.embedding[y == name])
    assert legend_of(display) == sorted(NAMES)


def test_numbers_keep_their_order(clusters):
    Z, _ = clusters
    display = draw(Z, np.arange(len(Z)) % 3 * 5, method="pca")
    assert legend_of(display) == ["0", "5", "10"]


def test_without_labels_all_are_alike(clusters):
    display = draw(clusters[0], method="pca")
    assert len(display.ax_.collections) == 1
    assert_array_equal(display.ax_.collections[0].get_offsets(), display.embedding)
    assert not display.figure_.legends


@pytest.mark.parametrize("n_classes", [6, 7, 50, 66])
def test_classes_differ_in_colour_or_marker(n_classes):
    y = np.repeat(np.arange(n_classes), 2)
    display = draw(np.random.default_rng(0).normal(size=(len(y), 3)), y, method="pca")
    looks = {
        (
            tuple(collection.get_facecolor()[0]),
            collection.get_paths()[0].vertices.tobytes(),
        )
        for collection in display.ax_.collections
    }
    assert len(looks) == n_classes
    shapes = {shape for _, shape in looks}
    assert (len(shapes) == 1) == (n_classes <= 6)  # colours suffice for few
    display.figure_.canvas.draw()
    (legend,) = display.figure_.legends
    box, figure = legend.get_window_extent(), display.figure_.bbox
    assert figure.y0 <= box.y0
    assert box.y1 <= figure.y1
    # points have at least as much room as their legend
    assert display.ax_.get_window_extent().width > 0.4 * figure.width


def test_tags_choose_clips():
    """Piano or Techno, as in the paper; a clip that is both is neither's."""
    Y = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    Z = np.random.default_rng(0).normal(size=(6, 3))
    names = ["piano", "loud", "techno"]
    options = {"method": "pca", "tag_names": names}
    display = draw(Z, Y, tags=["techno", "piano"], **options)
    assert list(display.labels) == ["piano", "techno", "techno + piano", "piano"]
    assert legend_of(display) == ["techno", "piano", "techno + piano"]
    chosen = PCA(n_components=2).fit_transform(Z[[0, 1, 2, 4]])
    assert_allclose(np.abs(display.embedding), np.abs(chosen), atol=1e-9)
    same = draw(Z, Y, tags=[2, 0], **options)
    assert_array_equal(same.labels, display.labels)
    table = draw(Z, pd.DataFrame(Y, columns=names), tags=[2, 0], method="pca")
    assert_array_equal(table.labels, display.labels)
    every = draw(Z, Y, **options)
    assert list(every.labels) == [
        "piano",
        "techno",
        "piano + techno",
        "loud",
        "piano + loud",
    ]
    numbered = draw(Z, Y[:, :2], method="pca")
    assert list(numbered.labels) == ["0", "0", "1", "0 + 1"]


# ------------------------------------------------------------------------ drawings


def test_axes_are_equal_and_without_numbers(clusters):
    display = draw(*clusters, method="pca")
    assert display.ax_.get_aspect() == 1
    assert len(display.ax_.get_xticks()) == len(display.ax_.get_yticks()) == 0
    assert display.ax_.get_title(loc="left") == ""
    display.plot(title="Layer -1")
    assert display.ax_.get_title(loc="left") == "Layer -1"


def test_given_axes_are_used(clusters, pyplot):
    figure, axes = pyplot.subplots(1, 2)
    display = draw(*clusters, method="pca", ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert pyplot.get_fignums() == [figure.number]
    assert not figure.legends  # it stands inside the axes
    names = [text.get_text() for text in axes[1].get_legend().get_texts()]
    assert names == sorted(NAMES)


def test_data_alone_can_be_drawn():
    labels = np.array(["b", "a", "b"])
    display = EmbeddingDisplay(embedding=np.eye(3, 2), labels=labels).plot()
    assert {name: len(rows) for name, rows in points(display).items()} == {
        "a": 1,
        "b": 2,
    }


# ---------------------------------------------------------------- what is accepted


def test_transformers_and_pipelines_embed(sounds):
    X, y = sounds
    views = [MelView(sr=8000, n_mels=8), FrameStatistics(), StandardScaler()]
    pipeline = make_pipeline(*views).fit(X)
    display = EmbeddingDisplay.from_estimator(pipeline, X, y, random_state=0)
    assert_array_equal(display.embedding, draw(pipeline.transform(X), y).embedding)
    assert_array_equal(display.labels, y)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        EmbeddingDisplay.from_estimator(make_pipeline(StandardScaler()), X, y)
    logistic = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(TypeError, match=r"needs a transformer.*got LogisticRegression"):
        EmbeddingDisplay.from_estimator(logistic, X, y)
    shapeless = FunctionTransformer(lambda X: np.zeros((len(X), 4, 4))).fit(X)
    with pytest.raises(ValueError, match="dim 3"):
        EmbeddingDisplay.from_estimator(shapeless, X, y)


def test_layers_of_networks_embed(sounds):
    X, y = sounds
    clf = SampleCNNClassifier(
        sr=8000, sizes=(3,) * 4, width=0.05, max_epochs=1, random_state=0
    )
    embedder = LayerEmbedder(FrozenEstimator(clf.fit(X, y)), layers=[-1]).fit(X)
    display = EmbeddingDisplay.from_estimator(embedder, X, y, method="pca")
    expected = PCA(n_components=2).fit_transform(embedder.transform(X))
    assert_allclose(np.abs(display.embedding), np.abs(expected), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "umap"}, r"method must be one of \('tsne', 'pca'\); got 'umap'"),
        ({"y": [0, 1]}, r"inconsistent numbers of samples: \[45, 2\]"),
        ({"y": np.zeros(45), "tags": [0]}, r"for an indicator matrix.*shape \(45,\)"),
        ({"y": np.eye(45), "tags": [45]}, r"No tag 45 among \['0', "),
        ({"y": np.eye(45), "tags": ["piano"]}, r"No tag 'piano' among \['0', "),
        ({"y": np.eye(45), "tag_names": ["a"]}, r"name the 45 columns of y; got 1"),
        ({"y": np.eye(45), "tags": [0]}, r"1 sample\(s\).*a minimum of 3"),
        ({"y": np.zeros((45, 2))}, r"0 sample\(s\).*a minimum of 3"),
    ],
)
def test_settings_are_checked(clusters, options, message):
    with pytest.raises(ValueError, match=message):
        draw(clusters[0], **options)


def test_embeddings_are_checked(clusters):
    Z, y = clusters
    with pytest.raises(ValueError, match=r"1 feature\(s\).*a minimum of 2"):
        draw(Z[:, :1], y)
    broken = Z.copy()
    broken[3] = np.nan
    with pytest.raises(ValueError, match="Input embeddings contains NaN"):
        draw(broken, y)


def test_without_matplotlib_the_extra_is_named(clusters, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'skaudio\[plot\]'"):
        draw(*clusters, method="pca")


# ------------------------------------------------------- two embeddings of each clip


def test_pairs_are_projected_together_and_joined():
    rng = np.random.default_rng(0)
    audio = rng.normal(size=(20, 6))
    tags = audio + 0.1 * rng.normal(size=(20, 6))
    display = EmbeddingDisplay.from_pairs(audio, tags, method="pca")
    both = PCA(2).fit_transform(np.concatenate([audio, tags]))
    assert_allclose(np.abs(display.embedding), np.abs(both), atol=1e-9)
    assert list(display.labels) == ["audio"] * 20 + ["tags"] * 20
    assert legend_of(display) == ["audio", "tags"]
    assert_array_equal(display.pairs, np.stack([np.arange(20), np.arange(20, 40)], 1))
    lines, *_ = display.ax_.collections
    segments = np.array(lines.get_segments())
    assert_array_equal(segments[:, 0], display.embedding[:20])
    assert_array_equal(segments[:, 1], display.embedding[20:])
    # below the points, and all of them within the axes
    drawn = display.ax_.collections[1:]
    assert all(lines.get_zorder() < points.get_zorder() for points in drawn)
    assert [len(points.get_offsets()) for points in drawn] == [20, 20]
    again = EmbeddingDisplay.from_pairs(audio, tags, method="pca", names=("b", "a"))
    assert legend_of(again) == ["b", "a"]
    assert list(points(again))[1:] == ["b", "a"]


def test_pairs_that_are_aligned_have_short_lines():
    rng = np.random.default_rng(0)
    audio = 5 * np.repeat(np.eye(6), 5, axis=0) + rng.normal(size=(30, 6))
    tags = audio + 0.1 * rng.normal(size=audio.shape)
    display = EmbeddingDisplay.from_pairs(audio, tags, random_state=0)
    one, other = display.embedding[:30], display.embedding[30:]
    lengths = np.linalg.norm(one - other, axis=1)
    between = np.linalg.norm(one - rng.permutation(other), axis=1)
    assert np.median(lengths) < 0.2 * np.median(between)


def test_pairs_are_checked(clusters):
    Z, _ = clusters
    with pytest.raises(ValueError, match=r"got the shapes \(45, 8\) and \(44, 8\)"):
        EmbeddingDisplay.from_pairs(Z, Z[1:])
    with pytest.raises(ValueError, match="two different texts; got"):
        EmbeddingDisplay.from_pairs(Z, Z, names=("a", "a"))
    with pytest.raises(ValueError, match="method must be one of"):
        EmbeddingDisplay.from_pairs(Z, Z, method="umap")
    with pytest.raises(ValueError, match="embeddings contains NaN"):
        EmbeddingDisplay.from_pairs(Z, np.full_like(Z, np.nan))


def test_any_rows_can_be_joined():
    rows = np.array([[0, 2]])
    display = EmbeddingDisplay(embedding=np.eye(3, 2), pairs=rows).plot()
    (segment,) = display.ax_.collections[0].get_segments()
    assert_array_equal(segment, np.eye(3, 2)[[0, 2]])


# ------------------------------------------------------------------------ side by side


def test_several_embeddings_side_by_side(clusters):
    """Each projected by itself; the same classes, colours and one legend."""
    Z, y = clusters
    rng = np.random.default_rng(1)
    scaler = StandardScaler().fit(Z)
    slices = rng.normal(size=(len(y), 1, 20))
    embeddings = {"raw": slices, "codes": scaler, "logits": Z[:, :3]}
    displays = EmbeddingDisplay.compare(embeddings, y, X=Z)
    assert list(displays) == ["raw", "codes", "logits"]
    (figure,) = {display.figure_ for display in displays.values()}
    assert [ax.get_title(loc="left") for ax in figure.axes] == list(displays)
    assert legend_of(displays["raw"]) == sorted(NAMES)
    tables = {
        "raw": slices[:, 0],
        "codes": scaler.transform(Z),
        "logits": Z[:, :3],
    }
    colors = []
    for name, table in tables.items():
        expected = draw(table, y, method="pca")
        assert_allclose(displays[name].embedding, expected.embedding)
        colors.append([c.get_facecolor() for c in displays[name].ax_.collections])
        assert displays[name].ax_.get_legend() is None
    assert_array_equal(colors[0], colors[1])
    assert_array_equal(colors[0], colors[2])


def test_two_of_three_components_are_the_two(clusters):
    """The authors fit three and draw two."""
    Z, _ = clusters
    (display,) = EmbeddingDisplay.compare({"codes": Z}).values()
    expected = PCA(3).fit_transform(Z)[:, :2]
    signs = np.sign((display.embedding * expected).sum(axis=0))
    assert_allclose(display.embedding * signs, expected, atol=1e-9)
    assert display.figure_.legends == []


@pytest.mark.parametrize(
    ("n", "shape"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3))]
)
def test_many_are_in_several_rows(clusters, n, shape):
    """In a single one their names could not be read."""
    Z, y = clusters
    displays = EmbeddingDisplay.compare({f"layer {i}": Z for i in range(n)}, y)
    axes = [display.ax_ for display in displays.values()]
    grid = axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == shape
    places = [ax.get_subplotspec().num1 for ax in axes]
    assert places == list(range(n))
    assert axes[0].figure.axes == axes


def test_side_by_side_on_given_axes(clusters, pyplot):
    Z, y = clusters
    figure, axes = pyplot.subplots(1, 2)
    tags = np.stack([y == "rain", y == "dog"], axis=1).astype(int)
    options = {"tags": ["rain"], "tag_names": ["rain", "dog"]}
    displays = EmbeddingDisplay.compare({"a": Z, "b": -Z}, tags, axes=axes, **options)
    assert [len(display.embedding) for display in displays.values()] == [15, 15]
    assert figure.legends == []
    assert axes[0].get_legend() is None
    assert axes[1].get_legend() is not None
    with pytest.raises(ValueError, match="axes must be one for each embedding, 3; got"):
        EmbeddingDisplay.compare({"a": Z, "b": Z, "c": Z}, axes=axes)


def test_a_table_of_pandas_is_no_transformer(clusters):
    """Although it has a method of that name."""
    Z, y = clusters
    displays = EmbeddingDisplay.compare({"array": Z, "table": pd.DataFrame(Z)}, y)
    assert_array_equal(displays["table"].embedding, displays["array"].embedding)


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        ({}, "must be a dict of one or more embeddings by title; got dict of 0"),
        ([np.ones((4, 2))], "a dict of one or more embeddings by title; got list of 1"),
        ({"a": np.full((4, 2), np.nan)}, "'a' has NaN or infinity in 4 of 4 rows"),
        (
            {"a": [np.ones((2, n)) for n in (3, 4, 3, 3)]},
            r"'a' has clips of shapes \(2, 3\), \(2, 4\), which make no table",
        ),
        ({"a": StandardScaler()}, "'a' is a transformer, StandardScaler: pass X"),
        (
            {"a": np.ones((4, 2)), "b": np.ones((5, 2))},
            r"same clips; got {'a': 4, 'b': 5} rows, and 4 labels",
        ),
    ],
)
def test_what_cannot_be_side_by_side(embeddings, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingDisplay.compare(embeddings, [0, 1, 0, 1])
    with pytest.raises(NotFittedError):
        EmbeddingDisplay.compare({"a": StandardScaler()}, X=np.ones((4, 2)))
