"""separation_table: silhouettes and linear probes against scikit-learn's own."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_score
from sklearn.model_selection import (
    GroupKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio.embedding import separation_table


@pytest.fixture(scope="module")
def data():
    """Noise, classes apart, and tracks apart but classes not; 12 tracks of 5 slices."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 5)
    y = np.where(np.arange(12) < 7, "a", "b")[groups]
    noise = rng.normal(size=(60, 4))
    apart = noise + 6 * (y == "a")[:, None]
    tracks = noise + 30 * rng.normal(size=(12, 4))[groups]
    return {"noise": noise, "apart": apart, "tracks": tracks}, y, groups


def by_hand(Z, y, folds):
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    dummy = DummyClassifier()
    return [cross_val_score(m, Z, y, cv=folds).mean() for m in (probe, dummy)]


@pytest.mark.parametrize("grouped", [False, True])
def test_numbers_are_scikit_learns(data, grouped):
    embeddings, y, groups = data
    groups = groups if grouped else None
    table = separation_table(embeddings, y, groups, cv=4)
    assert list(table["embedding"]) == list(embeddings)
    assert list(table.columns) == [
        *("embedding", "n_features", "silhouette", "accuracy", "chance", "n_folds"),
    ]
    kind = StratifiedGroupKFold if grouped else StratifiedKFold
    folds = list(kind(4, shuffle=True, random_state=0).split(y, y, groups))
    for row in table.itertuples():
        Z = embeddings[row.embedding]
        assert row.silhouette == pytest.approx(silhouette_score(Z, y))
        accuracy, chance = by_hand(Z, y, folds)
        assert row.accuracy == pytest.approx(accuracy)
        assert row.chance == pytest.approx(chance)
        assert (row.n_features, row.n_folds) == (4, 4)


def test_sources_are_not_divided(data):
    """What tells tracks apart tells their slices, until none of a track was seen."""
    embeddings, y, groups = data
    nearest = {"tracks": embeddings["tracks"] ** 3}
    divided = separation_table(nearest, y)["accuracy"].iloc[0]
    whole = separation_table(nearest, y, groups)["accuracy"].iloc[0]
    assert divided > whole + 0.1


def test_classes_that_lie_apart(data):
    table = separation_table(data[0], data[1]).set_index("embedding")
    assert table.loc["apart", "silhouette"] > 0.4 > table.loc["noise", "silhouette"]
    assert table.loc["apart", "accuracy"] == 1.0
    assert table.loc["noise", "accuracy"] < 0.75


def test_other_folds_and_seeds(data):
    embeddings, y, groups = data
    own = separation_table(embeddings, y, groups, cv=GroupKFold(3))
    folds = list(GroupKFold(3).split(y, y, groups))
    assert own.equals(separation_table(embeddings, y, cv=folds))
    assert list(own["n_folds"]) == [3] * 3
    again = separation_table(embeddings, y, random_state=1)
    assert again.equals(separation_table(embeddings, y, random_state=1))


def test_one_embedding_and_other_containers(data):
    embeddings, y, _ = data
    expected = separation_table({"embedding": embeddings["apart"]}, y)
    frame = pd.DataFrame(embeddings["apart"])
    assert separation_table(frame, list(y)).equals(expected)
    slices = embeddings["apart"].reshape(60, 1, 4)  # as those of a view with one bin
    assert separation_table(slices, pd.Series(y)).equals(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeddings": {}}, "embeddings is empty: at least one is needed"),
        ({"embeddings": {"z": np.ones(6)}}, "Embedding 'z' must be a table of numbers"),
        ({"embeddings": {"z": np.ones((5, 2))}}, "'z' has 5 rows, and y the shape"),
        (
            {"embeddings": {"z": np.array([[1.0]] * 4 + [[np.nan]] * 2)}},
            "'z' has NaN or infinity in 2 of 6 rows, first in row 4",
        ),
        ({"y": [0] * 6}, "y has one class only"),
        ({"y": np.eye(6)}, r"y the shape \(6, 6\); y must have one class per row"),
        ({"groups": [0, 1]}, "inconsistent numbers of samples"),
        ({"y": list("abcdef")}, "y has 6 classes for as many clips"),
        ({"cv": 4}, "members in each class. Set cv to other folds, such as fewer"),
        # the first by scikit-learn, from 1.9 on
        ({"groups": [0] * 6}, "number of groups: 1. Set cv to other|Fold 0 of cv has"),
        # all of a class in one source
        (
            {"groups": [0, 9, 1, 9, 2, 9]},
            "Fold . of cv has clips of fewer than two classes to train on",
        ),
        ({"cv": []}, r"cv makes no folds; got \[\]"),
    ],
)
def test_what_is_refused(change, message):
    rng = np.random.default_rng(0)
    arguments = {"embeddings": rng.normal(size=(6, 2)), "y": [0, 1] * 3, "cv": 2}
    with pytest.raises(ValueError, match=message):
        separation_table(**arguments | change)
