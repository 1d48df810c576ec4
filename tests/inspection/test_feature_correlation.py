"""`feature_correlation`: responses to pairs of clips, by what the clips differ in."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from skaudio.inspection import FeatureCorrelationDisplay, feature_correlation
from skaudio.neural_network import SwishNetClassifier
from skaudio.nn.initialisation import seeded_initialisation
from skaudio.views import MelView

sys.path.insert(0, str(Path(__file__).parent))
from networks import SR, by_itself, on_waveforms, sounds


class Toy(nn.Module):
    """A network of two layers without weights."""

    hidden_layers = ("same", "halved", "flat")

    def __init__(self):
        super().__init__()
        self.same, self.halved = nn.Identity(), nn.AvgPool1d(2)
        self.flat = nn.Flatten()

    def forward(self, x):
        return self.flat(self.halved(self.same(x * 1.0)))


# clips of 3 bins and 2 frames; the means over time are the first columns
CLIPS = np.array(
    [
        [[1.0, 1], [2, 2], [3, 3]],  # 1 2 3
        [[0.0, 4], [3, 5], [7, 5]],  # 2 4 6
        [[3.0, 3], [2, 2], [1, 1]],  # 3 2 1
        [[1.0, 1], [3, 3], [1, 3]],  # 1 3 2
    ]
)
FACTORS = {
    "chord": ["C", "C", "F", "F"],
    "instrument": ["oboe", "harp", "oboe", "harp"],
}


def table_of(found, column="correlation"):
    return found.pivot_table(index="differ", columns="layer", values=column, sort=False)


def test_coefficients_by_hand():
    found = feature_correlation(Toy(), CLIPS, FACTORS, random_state=0)
    assert list(found.columns) == [
        *("layer", "depth", "differ", "correlation", "low", "high", "n_pairs")
    ]
    assert list(found["layer"].unique()) == ["same", "halved"]  # "flat" has no time
    assert list(found["depth"]) == [0, 0, 0, 1, 1, 1]
    means = table_of(found)["same"]
    # (1 2 3) with (2 4 6): 1; (3 2 1) with (1 3 2): -1/2
    assert means["instrument"] == pytest.approx((1 - 0.5) / 2)
    # (1 2 3) with (3 2 1): -1; (2 4 6) with (1 3 2): 1/2
    assert means["chord"] == pytest.approx((-1 + 0.5) / 2)
    # (1 2 3) with (1 3 2): 1/2; (2 4 6) with (3 2 1): -1
    assert means["chord, instrument"] == pytest.approx((0.5 - 1) / 2)
    assert "nothing" not in means  # no two clips agree in both
    assert_allclose(table_of(found)["halved"], means)  # pooled before or after
    assert (found["n_pairs"] == 2).all()
    assert (found["low"] <= found["correlation"]).all()
    assert (found["correlation"] <= found["high"]).all()


@pytest.mark.parametrize("pooling", ["max", "mean", None])
def test_pooling(pooling):
    found = feature_correlation(
        Toy(), CLIPS, FACTORS, layers=["same"], pooling=pooling, random_state=0
    )
    pool = {"max": lambda x: x.max(2), "mean": lambda x: x.mean(2), None: np.asarray}
    values = pool[pooling](CLIPS).reshape(4, -1)
    expected = np.corrcoef(values)
    means = table_of(found)["same"]
    assert means["chord"] == pytest.approx((expected[0, 2] + expected[1, 3]) / 2)


def test_every_pair_is_of_one_kind():
    rng = np.random.default_rng(0)
    clips = rng.normal(size=(14, 5, 6))
    factors = pd.DataFrame(
        {name: rng.integers(0, 2, 14) for name in ("a", "b", "c")}, dtype="category"
    )
    found = feature_correlation(Toy(), clips, factors, layers=[0], random_state=0)
    coefficients = np.corrcoef(clips.mean(2))
    expected = {}
    for i, j in combinations(range(14), 2):
        differ = [n for n in factors if factors[n].iloc[i] != factors[n].iloc[j]]
        kind = ", ".join(differ) or "nothing"
        expected.setdefault(kind, []).append(coefficients[i, j])
    assert found["n_pairs"].sum() == 14 * 13 // 2
    assert set(found["differ"]) == set(expected)
    for row in found.itertuples():
        assert row.correlation == pytest.approx(np.mean(expected[row.differ]))
        assert row.n_pairs == len(expected[row.differ])


def test_scale_offset_and_order_do_not_matter():
    rng = np.random.default_rng(1)
    clips = rng.normal(size=(8, 5, 6))
    y, place = np.repeat([0, 1], 4), rng.permutation(8)
    first = feature_correlation(Toy(), clips, {"y": y}, layers=[0], random_state=0)
    second = feature_correlation(
        Toy(), 7 + 3 * clips[place], {"y": y[place]}, layers=[0], random_state=0
    )
    assert_allclose(first["correlation"], second["correlation"])


def test_intervals_come_of_clips():
    rng = np.random.default_rng(2)
    signal = rng.normal(size=(2, 9, 1))
    y = np.repeat([0, 1], 12)
    clips = signal[y] + rng.normal(size=(24, 9, 4))
    options = {"layers": [0], "random_state": 0}
    found = feature_correlation(Toy(), clips, {"y": y}, **options)
    again = feature_correlation(Toy(), clips, {"y": y}, **options)
    pd.testing.assert_frame_equal(found, again)
    few = feature_correlation(
        Toy(), clips[::4], {"y": y[::4]}, n_bootstraps=300, **options
    )
    widths = [(table["high"] - table["low"]).iloc[0] for table in (found, few)]
    assert 0 < widths[0] < widths[1]


def test_responses_that_do_not_vary_have_no_coefficient():
    clips = CLIPS.copy()
    clips[2] = 0.1
    found = feature_correlation(Toy(), clips, FACTORS, layers=[0], random_state=0)
    by_kind = found.set_index("differ")
    assert by_kind.loc["chord", "n_pairs"] == 1
    assert by_kind.loc["chord", "correlation"] == pytest.approx(0.5)
    nothing = feature_correlation(
        Toy(), np.ones((2, 3, 4)), {"y": [0, 1]}, random_state=0
    ).iloc[:1]
    assert nothing["n_pairs"].item() == 0
    assert np.isnan(nothing[["correlation", "low", "high"]].to_numpy(float)).all()


def test_fitted_models():
    X, y = sounds()
    found = feature_correlation(by_itself(), X, {"pitch": y}, random_state=0)
    hidden = by_itself().net_.module_.hidden_layers
    assert list(found["layer"].unique()) == list(hidden[:5])  # those with time
    same = found[found["differ"] == "nothing"].set_index("depth")["correlation"]
    other = found[found["differ"] == "pitch"].set_index("depth")["correlation"]
    assert (same > other).all()  # clips of one pitch are more alike
    flat = feature_correlation(
        by_itself(), X, {"pitch": y}, layers=[-1, 0], random_state=0
    )
    assert list(flat["layer"].unique()) == [hidden[-1], hidden[0]]
    assert list(flat["depth"].unique()) == [6, 0]


def test_clips_of_several_lengths():
    X, y = sounds()
    clips = [x[: 600 + 50 * i] for i, x in enumerate(X)]
    found = feature_correlation(
        on_waveforms(), clips, {"pitch": y}, layers=[0, 2], random_state=0
    )
    assert found["correlation"].notna().all()
    with pytest.raises(ValueError, match="different lengths cannot be compared step"):
        feature_correlation(on_waveforms(), clips, {"pitch": y}, pooling=None)
    with pytest.raises(ValueError, match=r"clip 1, of shape \(1, 5\)"):
        feature_correlation(
            on_waveforms(), [X[0], X[1][:5]], {"pitch": y[:2]}, layers=[3]
        )


def test_gated_networks_have_responses_too():
    from sklearn.pipeline import make_pipeline

    X, y = sounds()
    net = SwishNetClassifier(max_epochs=1, random_state=0)
    model = make_pipeline(MelView(sr=SR, n_mels=20), net).fit(X, y)
    found = feature_correlation(model, X, {"pitch": y}, random_state=0)
    assert len(found["layer"].unique()) == 8


def test_bad_factors():
    for factors, message in (
        ({}, "factors is empty"),
        (
            {"chord": ["C", "F"]},
            r"Factor 'chord' must have one entry .* 4 clips.*\(2,\)",
        ),
        ({"chord": np.zeros((4, 1))}, r"\(4, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            feature_correlation(Toy(), CLIPS, factors)
    with pytest.raises(ValueError, match="no pairs of clips: X has 1"):
        feature_correlation(Toy(), CLIPS[:1], {"chord": ["C"]})
    with pytest.raises(ValueError, match="pooling must be one of"):
        feature_correlation(Toy(), CLIPS, FACTORS, pooling="sum")
    with pytest.raises(ValueError, match="n_bootstraps must be 1 or more"):
        feature_correlation(Toy(), CLIPS, FACTORS, n_bootstraps=0)
    with pytest.raises(ValueError, match="has 'high', which the network has not"):
        feature_correlation(Toy(), CLIPS, FACTORS, layers=["high"])
    with pytest.raises(ValueError, match="no hidden_layers: name some"):
        feature_correlation(nn.Identity(), CLIPS, FACTORS)
    with seeded_initialisation(0):
        gru = nn.Sequential(nn.GRU(2, 3, batch_first=True)).double()
    with pytest.raises(ValueError, match="Layer '0' gives a tuple"):
        feature_correlation(gru, CLIPS, FACTORS, layers=["0"])
    assert torch.is_grad_enabled()


# ------------------------------------------------------------------------- display
def test_display():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    display = FeatureCorrelationDisplay.from_estimator(
        Toy(), CLIPS, FACTORS, random_state=0
    )
    table = feature_correlation(Toy(), CLIPS, FACTORS, random_state=0)
    pd.testing.assert_frame_equal(display.correlations, table)
    lines = display.ax_.get_lines()
    assert [line.get_label() for line in lines] == list(table["differ"].unique())
    for line in lines:
        of_kind = table[table["differ"] == line.get_label()]
        assert_allclose(line.get_ydata(), of_kind["correlation"])
    assert len(display.ax_.collections) == len(lines)
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["same", "halved"]
    _, ax = plt.subplots()
    assert display.plot(ax=ax).ax_ is ax
    with pytest.raises(ValueError, match="there is no 'high'"):
        FeatureCorrelationDisplay(correlations=table.drop(columns="high")).plot()
    plt.close("all")
