"""What all displays share: axes that are given, and legends that fit."""

from __future__ import annotations

import inspect
import itertools

import numpy as np
import pandas as pd
import pytest

import skaudio.inspection
from skaudio.inspection import (
    BlendingDisplay,
    EmbeddingDisplay,
    SegmentationDisplay,
    TrainingDisplay,
    ViewDisplay,
)

plt = pytest.importorskip("matplotlib.pyplot")

DISPLAYS = [
    getattr(skaudio.inspection, name)
    for name in skaudio.inspection.__all__
    if name.endswith("Display")
]
NAMES = [f"a sound with a long name {i:02d}" for i in range(50)]


@pytest.fixture(autouse=True)
def figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.mark.parametrize("display", DISPLAYS, ids=lambda cls: cls.__name__)
def test_all_that_draws_takes_axes(display):
    """By one name in all of a class, the attribute's without its underscore."""
    several = "axes_ : ndarray of matplotlib Axes" in display.__doc__
    assert several or "ax_ : matplotlib Axes" in display.__doc__
    drawing = [
        name
        for name, _ in inspect.getmembers(display, callable)
        if name.startswith(("from_", "plot", "compare"))
    ]
    assert "plot" in drawing
    assert len(drawing) > 1
    for name in drawing:
        parameters = inspect.signature(getattr(display, name)).parameters
        wanted = "axes" if several or name == "compare" else "ax"
        assert wanted in parameters, name
        assert {"ax", "axes"} & set(parameters) == {wanted}, name
        assert parameters[wanted].default is None
        assert parameters[wanted].kind is inspect.Parameter.KEYWORD_ONLY
    assert "figure_ : matplotlib Figure" in display.__doc__


# --------------------------------------------------------------------------- legends
def embedded():
    Z = np.random.default_rng(0).normal(size=(150, 4))
    return EmbeddingDisplay.from_embeddings(Z, np.repeat(NAMES, 3), method="pca")


def compared():
    Z = np.random.default_rng(0).normal(size=(150, 4))
    displays = EmbeddingDisplay.compare({"a": Z, "b": Z}, np.repeat(NAMES, 3))
    return displays["a"]


def histories():
    return {
        name: [
            {"epoch": i, "step": i, "train_loss": 1 / i, "valid_loss": 2 / i, "lr": 0.1}
            for i in (1, 2)
        ]
        for name in NAMES
    }


def trained():
    return TrainingDisplay.from_history(histories())


def trained_by_one_loss():
    return TrainingDisplay.from_history(histories(), columns=["valid_loss"])


def segmented():
    proba = np.random.default_rng(0).dirichlet(np.ones(50), size=20).T
    segments = {"start": [0.0, 1.0], "end": [1.0, 2.0], "label": NAMES[:2]}
    return SegmentationDisplay(
        segments=pd.DataFrame(segments),
        spectrogram=np.eye(64, 40),
        frame_rate=20.0,
        proba=proba,
        timestamps=np.arange(20) / 10,
        classes=NAMES,
    ).plot()


def blended():
    losses = {"train_loss": 1.0, "valid_loss": 1.0, "test_loss": np.nan}
    rows = [
        {"step": step, "epoch": step, "branch": name, "weight": 0.1, **losses}
        | {"generalization": 1.0, "overfitting": 1.0}
        for step in (0, 1)
        for name in NAMES[:9]
    ]
    return BlendingDisplay.from_history(rows)


@pytest.mark.parametrize(
    "draw",
    [embedded, compared, trained, trained_by_one_loss, segmented, blended],
    ids=lambda draw: draw.__name__,
)
def test_legends_of_many_classes_fit(draw):
    """Within the figure, over no panel but their own."""
    figure = draw().figure_
    figure.canvas.draw()
    within = [(ax, ax.get_legend()) for ax in figure.axes if ax.get_legend()]
    legends = [(None, legend) for legend in figure.legends] + within
    assert legends
    for owner, legend in legends:
        box = legend.get_window_extent()
        assert figure.bbox.x0 - 1 <= box.x0, legend
        assert box.x1 <= figure.bbox.x1 + 1
        assert figure.bbox.y0 - 1 <= box.y0
        assert box.y1 <= figure.bbox.y1 + 1
        for ax in figure.axes:
            if ax is not owner:
                assert not box.overlaps(ax.get_window_extent())
        texts = [text.get_window_extent() for text in legend.get_texts()]
        for i, text in enumerate(texts):
            assert not any(text.overlaps(other) for other in texts[i + 1 :])


def test_many_classes_are_found_by_their_number():
    display = embedded()
    numbers = [text.get_text() for text in display.ax_.texts]
    assert numbers == [str(i) for i in range(1, 51)]
    (legend,) = display.figure_.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names[41] == "42  a sound with a long name 41"
    middle = np.median(display.embedding[41 * 3 : 42 * 3], axis=0)
    assert display.ax_.texts[41].get_position() == pytest.approx(tuple(middle))
    _, ax = plt.subplots()
    inside = display.plot(ax=ax)
    assert ax.get_legend() is None
    assert [text.get_text() for text in inside.ax_.texts] == [NAMES[0][:11] + "…"] * 50


def test_more_classes_than_a_legend_holds():
    Z = np.random.default_rng(0).normal(size=(100, 3))
    display = EmbeddingDisplay.from_embeddings(Z, np.arange(100), method="pca")
    (legend,) = display.figure_.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names[59:] == ["60  59", "and 40 more"]
    assert len(display.ax_.texts) == 100


def test_likeliest_classes_are_in_the_legend():
    display = segmented()
    peaks = np.asarray(display.proba).max(axis=1)
    named = [text.get_text() for text in display.axes_[1].get_legend().get_texts()]
    assert len(named) == 12
    assert len(display.axes_[1].lines) == 50
    drawn = [line for line in display.axes_[1].lines if line.get_label() in named]
    assert min(line.get_ydata().max() for line in drawn) == np.sort(peaks)[-12]


def test_opinions_of_long_names_fit():
    display = ViewDisplay(
        views={"mel": np.eye(4)},
        rates={"mel": 1.0},
        opinions={"decision": np.linspace(0, 1, 50) / 25},
        classes=NAMES,
    ).plot()
    display.figure_.canvas.draw()
    labels = display.axes_[-1].get_xticklabels()
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(boxes))
    assert display.figure_.bbox.x0 <= boxes[0].x0
    assert boxes[-1].x1 <= display.figure_.bbox.x1
