"""StratifiedGroupShuffleSplit: whole sources, every class, no leaks."""

import numpy as np
import pytest
import sklearn
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score

from skaudio._utils._container import Views
from skaudio.model_selection import StratifiedGroupShuffleSplit


def _recordings(seed, n_classes=5):
    """Random class and source structure: sources of 1 to 12 clips."""
    rng = np.random.default_rng(seed)
    y, groups, source = [], [], 0
    for klass in range(n_classes):
        for _ in range(rng.integers(1, 12)):
            size = rng.integers(1, 13)
            y += [klass] * size
            groups += [source] * size
            source += 1
    order = rng.permutation(len(y))
    return np.array(y)[order], np.array(groups)[order]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("groups_per_class", [None, 1, 3])
def test_laws_of_a_split(seed, groups_per_class):
    y, groups = _recordings(seed)
    cv = StratifiedGroupShuffleSplit(
        3, groups_per_class=groups_per_class, test_size=0.2, random_state=seed
    )
    for train, test in cv.split(np.zeros(len(y)), y, groups):
        assert sorted([*train, *test]) == list(range(len(y)))
        assert not set(groups[train]) & set(groups[test])
        assert set(y[train]) == set(y)
        for klass in set(y):
            n_sources = len(set(groups[y == klass]))
            held = len(set(groups[test][y[test] == klass]))
            if groups_per_class is not None:
                assert held == min(groups_per_class, n_sources - 1)
            else:
                assert (held > 0) == (n_sources > 1)


def test_a_share_is_one_of_sources():
    """Of ten sources with 1 to 10 clips two are held out, whatever they hold."""
    y = np.repeat([0, 1], 55)
    groups = np.concatenate([np.repeat(np.arange(10), np.arange(1, 11))] * 2) + 10 * y
    cv = StratifiedGroupShuffleSplit(20, test_size=0.2, random_state=0)
    n_clips = set()
    for _, test in cv.split(y, y, groups):
        for klass in (0, 1):
            assert len(set(groups[test][y[test] == klass])) == 2
        n_clips.add(len(test))
    assert len(n_clips) > 5


def test_of_equal_sources_it_is_one_of_clips():
    y = np.repeat([0, 1], 100)
    groups = np.arange(200) // 5
    cv = StratifiedGroupShuffleSplit(10, test_size=0.2, random_state=0)
    for _, test in cv.split(y, y, groups):
        assert np.bincount(y[test]).tolist() == [20, 20]


def test_a_huge_source_is_not_held_out_for_a_small_share():
    y = np.repeat([0, 1], 40)
    groups = np.r_[np.zeros(30), np.arange(1, 51)]
    cv = StratifiedGroupShuffleSplit(50, test_size=0.1, random_state=0)
    assert all(0 not in groups[test] for _, test in cv.split(y, y, groups))


def test_without_groups_every_clip_is_its_own_source():
    y = np.repeat(["a", "b", "c"], [20, 10, 1])
    cv = StratifiedGroupShuffleSplit(test_size=0.1, random_state=0)
    _, test = next(cv.split(y, y))
    assert sorted(y[test]) == ["a", "a", "b"]


def test_a_source_of_several_classes_leaves_each_something_to_train_on():
    y = np.array([0, 0, 1, 1, 1, 0])
    groups = np.array([0, 1, 1, 1, 2, 2])
    cv = StratifiedGroupShuffleSplit(30, groups_per_class=2, random_state=0)
    for train, test in cv.split(y, y, groups):
        assert set(y[train]) == {0, 1}
        assert not set(groups[train]) & set(groups[test])


def test_same_seed_same_splits_other_seed_other_splits():
    y, groups = _recordings(0)

    def splits(seed):
        cv = StratifiedGroupShuffleSplit(4, random_state=seed)
        return [test.tolist() for _, test in cv.split(y, y, groups)]

    assert splits(1) == splits(1)
    assert splits(1) != splits(2)
    assert len({tuple(test) for test in splits(1)}) > 1


def test_names_of_sources_and_views_as_X():
    X = Views({"mel": np.zeros((8, 2, 3))}, rates={"mel": 50.0})
    y = np.repeat(["a", "b"], 4)
    groups = np.array(list("ppqqrrss"))
    cv = StratifiedGroupShuffleSplit(random_state=0)
    train, test = next(cv.split(X, y, groups))
    assert len(X[train]) == 4
    assert len(X[test]) == 4


def test_works_as_cv_with_groups():
    y, groups = _recordings(3)
    X = np.random.default_rng(0).normal(size=(len(y), 2))
    cv = StratifiedGroupShuffleSplit(3, test_size=0.3, random_state=0)
    assert cv.get_n_splits() == 3
    scores = cross_val_score(DummyClassifier(), X, y, cv=cv, groups=groups)
    assert scores.shape == (3,)
    grid = {"strategy": ["prior", "most_frequent"]}
    search = GridSearchCV(DummyClassifier(), grid, cv=cv)
    assert search.fit(X, y, groups=groups).n_splits_ == 3


def test_requests_groups_when_metadata_is_routed():
    y, groups = _recordings(3)
    X = np.zeros((len(y), 2))
    cv = StratifiedGroupShuffleSplit(2, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        assert cv.get_metadata_routing().split.requests == {"groups": True}
        scores = cross_val_score(
            DummyClassifier(), X, y, cv=cv, params={"groups": groups}
        )
    assert scores.shape == (2,)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"test_size": 0.0}, "test_size must be between 0 and 1"),
        ({"test_size": 1.0}, "test_size must be between 0 and 1"),
        ({"groups_per_class": 0}, "groups_per_class must be None or at least 1"),
        ({"n_splits": 0}, "n_splits must be at least 1"),
    ],
)
def test_bad_parameters(params, match):
    y = np.repeat([0, 1], 4)
    with pytest.raises(ValueError, match=match):
        next(StratifiedGroupShuffleSplit(**params).split(y, y))


def test_nothing_to_hold_out():
    y = np.repeat([0, 1], 4)
    with pytest.raises(ValueError, match="Nothing can be held out"):
        next(StratifiedGroupShuffleSplit().split(y, y, groups=y))


def test_needs_classes():
    X = np.zeros(8)
    with pytest.raises(ValueError, match="y is needed"):
        next(StratifiedGroupShuffleSplit().split(X))
    with pytest.raises(ValueError, match="Unknown label type"):
        next(StratifiedGroupShuffleSplit().split(X, np.linspace(0, 1, 8)))


def test_repr_shows_its_parameters():
    text = repr(StratifiedGroupShuffleSplit(2, groups_per_class=1))
    assert "groups_per_class=1" in text
    assert "n_splits=2" in text
