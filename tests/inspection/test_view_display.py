"""`ViewDisplay`: where bands, frames and opinions are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skaudio.ensemble import LateFusionClassifier
from skaudio.inspection import ViewDisplay
from skaudio.inspection._view_axes import to_hertz, to_place
from skaudio.neural_network import CRNNClassifier, MultiViewBlendingClassifier
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import (
    CQTView,
    GammatoneView,
    MelView,
    RawView,
    STFTView,
    Views,
    ViewUnion,
    make_view_union,
)

plt = pytest.importorskip("matplotlib.pyplot")
SR = 8000
NET = {"width": 0.05, "max_epochs": 1, "random_state": 0}


@pytest.fixture(autouse=True)
def figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def clips():
    """Tones of 500 and of 2000 Hz that begin in the middle of the clip."""
    times = np.arange(SR) / SR
    tones = [np.sin(2 * np.pi * f * times) * (times >= 0.5) for f in (500, 2000) * 5]
    noise = np.random.default_rng(0).normal(scale=1e-3, size=(10, SR))
    return (0.5 * np.array(tones) + noise).astype(np.float32), ["low", "high"] * 5


def mesh(ax):
    (drawn,) = ax.collections
    return np.asarray(drawn.get_array()), drawn.get_coordinates()


# ------------------------------------------------------------------------ one view
@pytest.mark.parametrize(
    "view",
    [
        MelView(sr=SR, n_mels=40),
        GammatoneView(sr=SR, n_bins=40),
        CQTView(sr=SR, n_bins=80),
        STFTView(sr=SR, n_fft=512),
    ],
    ids=lambda view: view.kind,
)
def test_a_tone_is_drawn_at_its_frequency_and_time(view, clips):
    display = ViewDisplay.from_estimator(view, clips[0][1])
    (ax,) = display.axes_
    levels, corners = mesh(ax)
    assert levels.shape == tuple(n - 1 for n in corners.shape[:2])
    row = levels[:, 30:].max(axis=1).argmax()
    low, high = corners[row : row + 2, 0, 1]
    assert low <= 2000 <= high
    # its onset: the level passes the middle of its range
    track = levels[row]
    onset = np.flatnonzero(track > (track.max() + track.min()) / 2)[0]
    start, end = corners[0, onset : onset + 2, 0]
    assert start - 0.03 <= 0.5 <= end + 0.03
    assert ax.get_xlabel() == "time (s)"
    assert ax.get_ylabel() == "frequency (Hz)"
    (bar,) = [other for other in display.figure_.axes if other is not ax]
    assert bar.get_ylabel() == "level (dB)"


def test_all_rows_are_of_one_height_and_labels_are_numbers_of_hertz(clips):
    display = ViewDisplay.from_estimator(CQTView(sr=SR, n_bins=60), clips[0][0])
    (ax,) = display.axes_
    _, corners = mesh(ax)
    edges = ax.transData.transform([(0, hertz) for hertz in corners[:, 0, 1]])[:, 1]
    assert_allclose(np.diff(edges), np.diff(edges)[0], rtol=1e-6)
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == ["50", "100", "200", "500", "1000"]
    # 1 kHz lies as many rows above 500 Hz as an octave has
    place = [ax.transData.transform((0, f))[1] for f in (500, 1000)]
    assert place[1] - place[0] == pytest.approx(12 * np.diff(edges)[0], rel=0.01)


def test_hertz_and_rows_are_each_other_s_inverse():
    centres = MelView(sr=SR, n_mels=20).frequencies
    places = np.linspace(-0.5, 19.5, 50)
    assert_allclose(to_place(centres)(to_hertz(centres)(places)), places, atol=1e-9)
    assert_allclose(to_place(centres)(centres), np.arange(20))


def test_linear_values_are_drawn_in_decibels(clips):
    linear = STFTView(sr=SR, n_fft=256, scale="linear", power=1.0)
    decibels = STFTView(sr=SR, n_fft=256, scale="db", power=1.0, top_db=80.0)
    natural = STFTView(sr=SR, n_fft=256, scale="log", power=1.0, top_db=80.0)
    found = [
        mesh(ViewDisplay.from_estimator(view, clips[0][0]).axes_[0])[0]
        for view in (linear, decibels, natural)
    ]
    assert_allclose(found[0], found[1], atol=1e-3)
    assert_allclose(found[2], found[1], atol=1e-3)


# ---------------------------------------------------------------------- several views
def test_views_of_a_clip_share_their_time(clips):
    union = make_view_union("raw", "mel", "mfcc", sr=SR)
    display = ViewDisplay.from_estimator(union, clips[0][0])
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["raw", "mel", "mfcc"]
    assert len({ax.get_xlim() for ax in display.axes_}) == 1
    assert display.axes_[2].get_ylabel() == "coefficient"
    waveform = display.axes_[0].collections[0].get_paths()[0].vertices
    assert waveform[:, 1].max() == pytest.approx(clips[0][0].max(), rel=1e-6)
    beside = display.plot(n_columns=3)
    places = {ax.get_position().y0 for ax in beside.axes_}
    assert len({round(place, 6) for place in places}) == 1


def test_rows_of_views_are_numbered_unless_their_source_is_known(clips):
    union = make_view_union("raw", "mel", sr=SR)
    views = union.transform(clips[0])
    plain = ViewDisplay.from_views(views, clip=3)
    assert plain.axes_[1].get_ylabel() == "band"
    assert_array_equal(mesh(plain.axes_[1])[0], views["mel"][3])
    known = ViewDisplay.from_views(views, clip=3, source=union)
    assert known.axes_[1].get_ylabel() == "frequency (Hz)"
    # an array is a view without a name
    array = ViewDisplay.from_views(views["mel"], source=MelView(sr=SR))
    assert array.axes_[0].get_ylabel() == "frequency (Hz)"
    unknown = ViewDisplay.from_views(views["mel"])
    assert unknown.axes_[0].get_xlabel() == "frame"
    with pytest.raises(ValueError, match="clip must be a number from 0 to 9"):
        ViewDisplay.from_views(views, clip=10)
    with pytest.raises(TypeError, match="source must be a view or a ViewUnion"):
        ViewDisplay.from_views(views, source="mel")


class Octaves(STFTView):
    """A view of a user's, which says where its rows are."""

    frequencies = (1.0, 2.0, 4.0, 8.0, 16.0)


def test_a_view_of_the_user_s_says_its_frequencies(clips):
    display = ViewDisplay.from_estimator(Octaves(sr=SR, n_fft=8), clips[0][0])
    _, corners = mesh(display.axes_[0])
    assert_allclose(corners[:, 0, 1], [0.5, 1.5, 3, 6, 12, 20])
    rate = display.rates["octaves"]
    assert_allclose(corners[0, :3, 0], (np.arange(3) - 0.5) / rate)


def test_what_does_not_rise_is_numbered():
    numbers = {"views": {"v": np.eye(3)}, "rates": {"v": None}}
    display = ViewDisplay(**numbers, frequencies={"v": np.array([1.0, 1.0, 2.0])})
    _, corners = mesh(display.plot().axes_[0])
    assert_allclose(corners[:, 0, 1], [-0.5, 0.5, 1.5, 2.5])
    assert display.axes_[0].get_ylabel() == "band"


# -------------------------------------------------------------------------- opinions
@pytest.fixture(scope="module")
def multiview(clips):
    union = ViewUnion([("mel", MelView(sr=SR, n_mels=16)), ("raw", RawView(sr=SR))])
    return MultiViewBlendingClassifier(
        views=union, blending="uniform", validation_fraction=None, **NET
    ).fit(*clips)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_opinions_on_tags(clips):
    """Of a classifier that gives a list of probabilities."""
    X, _ = clips
    tags = np.array([[1, 0, 1], [0, 1, 1]] * 5)
    model = make_pipeline(
        MelView(sr=SR, n_mels=8), FrameStatistics(), KNeighborsClassifier(2)
    )
    *_, opinions = ViewDisplay.from_estimator(model.fit(X, tags), X[0]).axes_
    assert [t.get_text() for t in opinions.get_xticklabels()] == ["0", "2", "1"]
    assert texts(opinions) == ["100%", "100%", "0%"]


def test_opinions_of_branches_are_under_the_views(multiview, clips, tmp_path):
    display = ViewDisplay.from_estimator(multiview, clips[0][0])
    *views, opinions = display.axes_
    assert [ax.get_title(loc="left") for ax in views] == ["mel", "raw"]
    rows = [label.get_text() for label in opinions.get_yticklabels()]
    assert rows == ["mel", "raw", "joint", "decision"]
    proba = multiview.predict_proba(clips[0][:1])[0]
    order = np.argsort(-proba)
    columns = [label.get_text() for label in opinions.get_xticklabels()]
    assert columns == list(multiview.classes_[order])
    table = [*multiview.branch_proba(clips[0][:1]).values(), proba[None]]
    expected = [f"{p[0][i]:.0%}" for p in table for i in order]
    assert texts(opinions) == expected
    # from a file it is the same
    soundfile.write(tmp_path / "low.wav", clips[0][0], SR, subtype="FLOAT")
    from_file = ViewDisplay.from_estimator(multiview, tmp_path / "low.wav")
    assert texts(from_file.axes_[-1]) == expected


def test_n_classes_are_shown(multiview, clips):
    display = ViewDisplay.from_estimator(multiview, clips[0][0], n_classes=1)
    assert len(texts(display.axes_[-1])) == 4
    with pytest.raises(ValueError, match="n_classes must be 1 or more"):
        display.plot(n_classes=0)
    with pytest.raises(ValueError, match="axes must be 3 Axes"):
        display.plot(axes=[display.axes_[0]])


def test_late_fusion_search_and_plain_classifiers(clips):
    X, y = clips
    union = make_view_union("mel", "mfcc", sr=SR)
    statistics = make_pipeline(FrameStatistics(), GaussianNB())
    fused = make_pipeline(union, LateFusionClassifier(statistics)).fit(X, y)
    display = ViewDisplay.from_estimator(fused, X[0])
    rows = [label.get_text() for label in display.axes_[-1].get_yticklabels()]
    assert rows == ["mel", "mfcc", "decision"]
    plain = make_pipeline(MelView(sr=SR), FrameStatistics(), LogisticRegression())
    search = GridSearchCV(plain, {"logisticregression__C": [1.0]}, cv=2).fit(X, y)
    display = ViewDisplay.from_estimator(search, X[0])
    assert len(display.axes_) == 2
    assert display.axes_[1].get_yticklabels()[0].get_text() == "decision"


def test_views_are_drawn_before_scaling(clips):
    X, y = clips
    mel = MelView(sr=SR, n_mels=16)
    model = make_pipeline(mel, ViewScaler(), CRNNClassifier(**NET)).fit(X, y)
    display = ViewDisplay.from_estimator(model, X[0])
    assert_array_equal(mesh(display.axes_[0])[0], mel.transform(X[:1])[0])


def test_what_computes_no_views_is_refused(clips):
    X, y = clips
    views = MelView(sr=SR, n_mels=16).transform(X)
    network = CRNNClassifier(**NET).fit(Views({"mel": views}, {"mel": 50.0}), y)
    for model in (network, GaussianNB().fit([[0.0], [1.0]], [0, 1])):
        with pytest.raises(TypeError, match="computes views of sound"):
            ViewDisplay.from_estimator(model, X[0])
