"""BlendingDisplay draws the history."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skaudio._blending import BlendingWeights
from skaudio.inspection import BlendingDisplay

NAMES = ["mel", "gammatone", "cqt", "raw", "joint"]
STEPS = np.arange(0, 300, 10)


@pytest.fixture(autouse=True)
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.fixture
def history():
    """Five branches that learn at different speeds, weighted by the real rule."""
    rng = np.random.default_rng(0)
    blending = BlendingWeights(len(NAMES), rule="adaptive")
    records = []
    for i, step in enumerate(STEPS):
        fall = np.exp(-i / np.array([6, 7, 9, 20, 5]))
        train = 2 * fall + rng.uniform(0.1, 0.15, 5)
        valid = 1.4 * fall + 0.7 + rng.uniform(0, 0.05, 5)
        weights = blending.update(train, valid)
        records += [
            {
                "step": int(step),
                "epoch": i,
                "branch": name,
                "train_loss": train[k],
                "valid_loss": valid[k],
                "generalization": 0.0,
                "overfitting": 0.0,
                "weight": weights[k],
            }
            for k, name in enumerate(NAMES)
        ]
    return records


def column(history, key, branch):
    return [record[key] for record in history if record["branch"] == branch]


class Fitted(BaseEstimator):
    """Looks like a fitted multi-view classifier."""

    def __init__(self, history=None):
        self.history = history

    def fit(self, X, y):
        self.blending_history_ = self.history
        return self

    def predict(self, X):
        return X


def test_arrays_are_the_records(history):
    display = BlendingDisplay.from_history(history)
    assert display.branch_names == NAMES
    assert_array_equal(display.step, STEPS)
    for k, name in enumerate(NAMES):
        for key in ("weight", "train_loss", "valid_loss"):
            array = display.weights if key == "weight" else getattr(display, key)
            assert_array_equal(array[:, k], column(history, key, name))


def test_losses_are_lines_with_one_colour_per_branch(history):
    display = BlendingDisplay.from_history(history)
    for ax, key in zip(display.axes_[1:], ["train_loss", "valid_loss"], strict=True):
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert list(lines) == NAMES
        for name, line in lines.items():
            assert_array_equal(line.get_xdata(), STEPS)
            assert_array_equal(line.get_ydata(), column(history, key, name))
    colours = [
        [line.get_color() for line in ax.get_lines()] for ax in display.axes_[1:]
    ]
    assert colours[0] == colours[1]
    assert len(set(colours[0])) == len(NAMES)
    assert display.axes_[1].get_ylim() == display.axes_[2].get_ylim()


def test_weights_are_areas_that_fill_the_panel(history):
    display = BlendingDisplay.from_history(history)
    areas = display.axes_[0].collections
    assert [area.get_label() for area in areas] == NAMES
    top = np.cumsum(display.weights / display.weights.sum(1, keepdims=True), axis=1)
    for k, area in enumerate(areas):
        edge = area.get_paths()[0].vertices
        for i in range(len(STEPS) - 1):  # constant from one evaluation to the next
            middle = edge[np.isin(edge[:, 0], STEPS[i : i + 2])]
            assert np.isclose(middle[:, 1], top[i, k]).sum() >= 2
    assert_allclose(top[:, -1], 1)
    assert display.axes_[0].get_ylim() == (0, 1)


def test_legend_names_every_branch_once(history):
    display = BlendingDisplay.from_history(history)
    (legend,) = display.figure_.legends
    assert [text.get_text() for text in legend.get_texts()] == NAMES


def test_given_axes_are_used(history, pyplot):
    figure, axes = pyplot.subplots(3, 1)
    display = BlendingDisplay.from_history(history, axes=axes)
    assert display.figure_ is figure
    assert list(display.axes_) == list(axes)
    assert pyplot.get_fignums() == [figure.number]
    with pytest.raises(ValueError, match="axes must be 3 Axes; got 2"):
        BlendingDisplay.from_history(history, axes=axes[:2])


def test_from_estimator_takes_classifiers_and_pipelines(history):
    fitted = Fitted(history).fit(None, None)
    pipeline = make_pipeline("passthrough", Fitted(history)).fit([[0]], [0])
    for estimator in (fitted, pipeline):
        display = BlendingDisplay.from_estimator(estimator)
        assert_array_equal(display.weights[:, 0], column(history, "weight", "mel"))


def test_other_estimators_are_refused(history):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        BlendingDisplay.from_estimator(Fitted(history))
    logistic = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(TypeError, match="LogisticRegression, which has no blending"):
        BlendingDisplay.from_estimator(logistic)


def test_unusable_histories_are_refused(history):
    with pytest.raises(ValueError, match=r"empty.*Set validation_fraction"):
        BlendingDisplay.from_history([])
    for broken in (history[:-1], [*history[:5], *history[9:4:-1]]):
        with pytest.raises(ValueError, match="one record per evaluation and branch"):
            BlendingDisplay.from_history(broken)


def test_diverging_branches_do_not_hide_the_others(history):
    broken = [dict(record) for record in history]
    for record in broken[50:]:
        if record["branch"] == "raw":
            record["train_loss"] = record["valid_loss"] = np.nan
        if record["branch"] == "cqt":
            record["valid_loss"] = 1e6
    display = BlendingDisplay.from_history(broken)
    display.figure_.canvas.draw()
    assert 2 < display.axes_[2].get_ylim()[1] < 10


def test_one_branch_and_many_branches(history):
    joint = [
        dict(record, weight=1.0) for record in history if record["branch"] == "joint"
    ]
    display = BlendingDisplay.from_history(joint)
    assert display.weights.shape == (len(STEPS), 1)
    many = [
        dict(history[0], step=step, branch=f"view {k}", weight=0.1)
        for step in (0, 1)
        for k in range(10)
    ]
    display = BlendingDisplay.from_history(many)
    assert len(display.axes_[1].get_lines()) == 10


def test_without_matplotlib_the_extra_is_named(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'skaudio\[plot\]'"):
        BlendingDisplay.from_history(history)


def test_watched_clips_get_a_panel_of_their_own(history):
    watched = [dict(r, test_loss=r["valid_loss"] + 0.5) for r in history]
    display = BlendingDisplay.from_history(watched)
    assert [ax.get_title(loc="left") for ax in display.axes_] == [
        "Branch weights",
        "Training loss",
        "Validation loss",
        "Test loss",
    ]
    lines = {line.get_label(): line for line in display.axes_[3].get_lines()}
    assert_allclose(lines["raw"].get_ydata(), column(watched, "test_loss", "raw"))
    unwatched = [dict(r, test_loss=np.nan) for r in history]
    assert len(BlendingDisplay.from_history(unwatched).axes_) == 3
