"""TrainingDisplay draws what was recorded of a training, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skaudio.inspection import TrainingDisplay
from skaudio.neural_network import FineTunedClassifier, SelfNormalizingClassifier
from skaudio.preprocessing import ViewScaler

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
    for model, n_epochs in ((behind, 3), (FrozenEstimator(behind), 3), (tuned, 2)):
        display = TrainingDisplay.from_estimator(model)
        assert len(curves(display.axes_[0])["train"]) == n_epochs


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


def test_what_has_no_history(plain):
    with pytest.raises(NotFittedError):
        TrainingDisplay.from_estimator(SelfNormalizingClassifier())
    regression = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(TypeError, match="got LogisticRegression, which has no history"):
        TrainingDisplay.from_estimator({"a": plain, "b": regression})
    with pytest.raises(ValueError, match="The history is empty: nothing was trained"):
        TrainingDisplay.from_history([])
    with pytest.raises(ValueError, match="The history 'b' is empty"):
        TrainingDisplay.from_history({"a": plain.history_, "b": []})
    with pytest.raises(ValueError, match="The history is empty"):
        TrainingDisplay.from_history({})
