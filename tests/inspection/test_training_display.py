"""TrainingDisplay draws what was recorded of a training, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skaudio.embedding import AutoencoderEmbedder, LayerEmbedder
from skaudio.ensemble import LateFusionClassifier
from skaudio.inspection import TrainingDisplay
from skaudio.neural_network import (
    DistilledClassifier,
    FineTunedClassifier,
    SelfNormalizingClassifier,
)
from skaudio.preprocessing import ViewScaler
from skaudio.views import Views

NET = {"hidden_layer_sizes": (3,), "max_epochs": 3, "batch_size": 8}
NET |= {"random_state": 0, "device": "cpu"}


@pytest.fixture(autouse=True)
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.fixture(scope="module")
def views():
    rng = np.random.default_rng(0)
    y = np.arange(16) % 2
    return (rng.normal(size=(16, 4, 5)) + y[:, None, None]).astype(np.float32), y


@pytest.fixture(scope="module")
def fitted(views):
    X, y = views
    net = SelfNormalizingClassifier(**NET, validation_fraction=0.5)
    return net.fit(X, y, X_test=X[:4], y_test=y[:4])


@pytest.fixture(scope="module")
def plain(views):
    return SelfNormalizingClassifier(**NET | {"max_epochs": 5}).fit(*views)


def curves(ax):
    """Label of every line -> its points."""
    return {line.get_label(): line.get_xydata() for line in ax.lines}


def titles(display):
    return [ax.get_title(loc="left") for ax in display.axes_]


def legend_of(display):
    (legend,) = display.figure_.legends
    return [text.get_text() for text in legend.get_texts()]


def test_all_that_was_recorded(fitted):
    display = TrainingDisplay.from_estimator(fitted)
    assert titles(display) == ["Loss", "Score", "Learning rate"]
    drawn = [curves(ax) for ax in display.axes_]
    assert [list(lines) for lines in drawn] == [
        ["train", "valid", "test"],
        ["valid", "test"],
        ["lr"],
    ]
    for name, column in (("train", "train_loss"), ("test", "test_loss")):
        values = [[row["epoch"], row[column]] for row in fitted.history_]
        assert_allclose(drawn[0][name], values)
    scores = [row["test_score"] for row in fitted.history_]
    assert_allclose(drawn[1]["test"][:, 1], scores)
    assert_allclose(drawn[2]["lr"][:, 1], [row["lr"] for row in fitted.history_])
    assert legend_of(display) == ["training", "validation", "test"]
    colors = [line.get_color() for line in display.axes_[0].lines]
    assert len(set(colors)) == 3


def test_what_was_not_recorded_is_left_out(plain):
    """No validation, no test: no panel of scores, and no line without a number."""
    display = TrainingDisplay.from_estimator(plain)
    assert titles(display) == ["Loss", "Learning rate"]
    assert [list(curves(ax)) for ax in display.axes_] == [["train"], ["lr"]]
    assert legend_of(display) == ["training"]


def test_several_by_name(fitted, plain):
    """A colour for each, in every panel; lines tell training from validation."""
    display = TrainingDisplay.from_estimator({"one": fitted, "two": plain})
    losses = display.axes_[0]
    assert list(curves(losses)) == ["one train", "one valid", "one test", "two train"]
    one, *_, two = (line.get_color() for line in losses.lines)
    assert one != two
    assert {line.get_color() for line in display.axes_[1].lines} == {one}
    assert [line.get_color() for line in display.axes_[2].lines] == [one, two]
    styles = [line.get_linestyle() for line in losses.lines]
    assert styles == [":", "-", "--", ":"]
    assert legend_of(display) == ["one", "two", "training", "validation", "test"]
    assert len(curves(display.axes_[2])["two lr"]) == 5


def test_where_the_history_is(views, fitted):
    X, y = views
    behind = make_pipeline(ViewScaler(), SelfNormalizingClassifier(**NET)).fit(X, y)
    tuned = FineTunedClassifier(FrozenEstimator(fitted), max_epochs=2, random_state=0)
    tuned.fit(X, y)
    search = GridSearchCV(behind, {"viewscaler__per": ["bin"]}, cv=2).fit(X, y)
    distilled = DistilledClassifier(SelfNormalizingClassifier(**NET), fitted).fit(X, y)
    probe = make_pipeline(
        LayerEmbedder(FrozenEstimator(fitted), layers=(-1,)), LogisticRegression()
    )
    codes = AutoencoderEmbedder(encoder_sizes=(4, 2), max_epochs=2, random_state=0)
    for model, n_epochs in (
        (behind, 3),
        (distilled, 3),
        (probe.fit(X, y), 3),  # the network is not what comes last
        (make_pipeline(ViewScaler(), codes).fit(X), 2),
        (FrozenEstimator(behind), 3),
        (tuned, 2),
        (search, 3),
    ):
        display = TrainingDisplay.from_estimator(model)
        assert len(curves(display.axes_[0])["train"]) == n_epochs
        assert all(
            np.isfinite(points).all() for points in curves(display.axes_[0]).values()
        )


def test_a_single_curve_is_a_solid_line_over_whole_epochs(plain):
    display = TrainingDisplay.from_estimator(plain)
    assert [line.get_linestyle() for ax in display.axes_ for line in ax.lines] == [
        "-"
    ] * 2
    one = TrainingDisplay.from_history([{"epoch": 1, "train_loss": 1.0}])
    assert one.axes_[0].get_xticks().tolist() == [1]


def test_training_that_diverged():
    """Gaps where there is no finite number, and no error."""
    losses = [1.0, np.nan, 2.0, np.inf]
    history = [
        {"epoch": i + 1, "train_loss": v, "valid_loss": np.nan, "lr": 0.1}
        for i, v in enumerate(losses)
    ]
    display = TrainingDisplay.from_history(history)
    assert titles(display) == ["Loss", "Learning rate"]
    (line,) = display.axes_[0].lines
    assert_allclose(line.get_ydata(), [1.0, np.nan, 2.0, np.nan])
    display.figure_.canvas.draw()


def test_one_epoch_is_a_point():
    display = TrainingDisplay.from_history([{"epoch": 1, "train_loss": 1.0}])
    assert titles(display) == ["Loss"]
    assert display.axes_[0].lines[0].get_marker() == "."


def test_given_axes(plain, pyplot):
    figure, axes = pyplot.subplots(2)
    display = TrainingDisplay.from_estimator(plain, axes=axes)
    assert display.figure_ is figure
    assert figure.legends == []
    assert axes[0].get_legend() is not None
    with pytest.raises(ValueError, match="axes must be 2 Axes, for Loss, Learning rat"):
        TrainingDisplay.from_estimator(plain, axes=[axes[0]])


def test_a_history_as_a_table(fitted):
    table = pd.DataFrame(fitted.history_)
    of_table, of_list = map(TrainingDisplay.from_history, (table, fitted.history_))
    for ax, expected in zip(of_table.axes_, of_list.axes_, strict=True):
        assert curves(ax).keys() == curves(expected).keys()


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([{"epoch": 1, "train_loss": np.nan}], "no finite number: training diverged"),
        ([{"train_loss": 1.0}], r"with the key 'epoch', .*; got {'train_loss': 1.0}"),
        ({"epoch": 1, "train_loss": 1.0}, "A history is a list of dicts .*; got 1 in"),
        ("history", "A history is a list of dicts .*; got 'h' in"),
    ],
)
def test_what_is_no_history(history, message):
    with pytest.raises(ValueError, match=message):
        TrainingDisplay.from_history(history)


def test_what_has_no_history(plain):
    with pytest.raises(NotFittedError):
        TrainingDisplay.from_estimator(SelfNormalizingClassifier())
    regression = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(TypeError, match="got LogisticRegression"):
        TrainingDisplay.from_estimator({"a": plain, "b": regression})
    with pytest.raises(ValueError, match="The history is empty: nothing was trained"):
        TrainingDisplay.from_history([])
    with pytest.raises(ValueError, match="The history 'b' is empty"):
        TrainingDisplay.from_history({"a": plain.history_, "b": []})
    with pytest.raises(ValueError, match="The history is empty"):
        TrainingDisplay.from_history({})


# --------------------------------------------------------- several systems, one loss


def lines_of(display):
    (ax,) = display.axes_
    return {line.get_label(): line.get_xydata() for line in ax.lines}


def test_steps_are_those_of_the_optimiser(plain, fitted):
    """16 clips in batches of 8; 8 where half of them are held out."""
    assert [row["step"] for row in plain.history_] == [2, 4, 6, 8, 10]
    assert [row["step"] for row in fitted.history_] == [1, 2, 3]


def test_losses_of_several_systems_over_steps(fitted, views):
    X, y = views
    fusion = LateFusionClassifier(SelfNormalizingClassifier(**NET)).fit(
        Views({"mel": X, "cqt": X[:, :3]}, {"mel": 10.0, "cqt": 10.0}),
        y,
        X_test=Views({"mel": X[:4], "cqt": X[:4, :3]}, {"mel": 10.0, "cqt": 10.0}),
        y_test=y[:4],
    )
    systems = {"alone": fitted, "late fusion": make_pipeline(fusion)}
    display = TrainingDisplay.from_estimator(systems, columns=["test_loss"], x="step")
    (ax,) = display.axes_
    assert ax.get_xlabel() == "Training steps"
    assert titles(display) == ["Test loss"]
    names = ["alone", "late fusion, mel", "late fusion, cqt"]
    assert legend_of(display) == names
    networks = [fitted, *fusion.estimators_]
    lines = lines_of(display)
    for name, network in zip(names, networks, strict=True):
        rows = [[row["step"], row["test_loss"]] for row in network.history_]
        assert_allclose(lines[f"{name} test"], rows)
    alone = TrainingDisplay.from_estimator(fusion, columns=["train_loss"])
    assert legend_of(alone) == ["mel", "cqt"]
    assert titles(alone) == ["Training loss"]


def test_curves_are_smoothed_by_trailing_means():
    losses = [4.0, 2.0, np.nan, 6.0, 1.0]
    rows = [{"epoch": i, "train_loss": loss} for i, loss in enumerate(losses, 1)]
    display = TrainingDisplay.from_history(rows, smoothing=3)
    expected = [4.0, 3.0, np.nan, 4.0, 3.5]
    assert_allclose(curves(display.axes_[0])["train"][:, 1], expected)


def test_more_systems_than_colours_are_told_apart():
    rows = [{"epoch": i, "valid_loss": 1.0, "train_loss": 2.0} for i in (1, 2)]
    history = {f"system {i}": rows for i in range(9)}
    display = TrainingDisplay.from_history(history, columns=["valid_loss"])
    (ax,) = display.axes_
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 9
    (legend,) = display.figure_.legends
    for line, handle in zip(ax.lines, legend.get_lines(), strict=True):
        assert line.get_color() == handle.get_color()
        assert line.get_linestyle() == handle.get_linestyle()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"columns": ["loss"]},
            r"columns must list some of \['train_loss', .*\['loss'\]",
        ),
        ({"columns": "train_loss"}, r"columns must list .*; got 'train_loss'"),
        ({"columns": []}, r"columns must list .*; got \[\]"),
        ({"columns": ["test_loss"]}, r"no finite number in \['test_loss'\].* give fit"),
        ({"x": "seconds"}, r"x must be one of \['epoch', 'step'\]; got 'seconds'"),
        ({"x": "step"}, r"The history 'old' does not say its steps.*x='epoch'"),
        ({"smoothing": 0}, "smoothing must be a number of epochs, 1 or more; got 0"),
        ({"smoothing": 1.5}, "smoothing must be .*; got 1.5"),
    ],
)
def test_what_cannot_be_drawn(options, message):
    history = {"old": [{"epoch": 1, "train_loss": 1.0}]}
    with pytest.raises(ValueError, match=message):
        TrainingDisplay.from_history(history, **options)
