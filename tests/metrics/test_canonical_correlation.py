"""Canonical correlations against regression, principal angles and the covariances."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import subspace_angles
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LinearRegression

from skaudio.metrics import (
    canonical_correlation_similarity,
    canonical_correlation_table,
)


@pytest.fixture
def sides():
    """Embeddings and descriptors that share some of what they say."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((200, 3))
    X = shared @ rng.standard_normal((3, 8)) + rng.standard_normal((200, 8))
    Y = shared @ rng.standard_normal((3, 4)) + rng.standard_normal((200, 4))
    return X + 5, 100 * Y - 7


def by_covariances(X, Y, epsilon=1e-20):
    """Singular values of Sxx^(-1/2) Sxy Syy^(-1/2), as SVCCA states it."""
    joint = np.cov(np.hstack([X, Y]), rowvar=False)
    d = X.shape[1]
    xx, xy, yy = joint[:d, :d], joint[:d, d:], joint[d:, d:]
    x_max, y_max = np.abs(xx).max(), np.abs(yy).max()

    def inverse_root(block):
        values, vectors = np.linalg.eigh(np.linalg.pinv(block))
        return vectors * np.sqrt(np.abs(values)) @ vectors.T

    left = inverse_root(xx / x_max + epsilon * np.eye(d))
    right = inverse_root(yy / y_max + epsilon * np.eye(len(yy)))
    middle = xy / np.sqrt(x_max * y_max)
    return np.linalg.svd(left @ middle @ right, compute_uv=False).mean()


def test_multiple_correlation_of_a_regression(sides):
    X, Y = sides
    for y in Y.T:
        r_squared = LinearRegression().fit(X, y).score(X, y)
        similarity = canonical_correlation_similarity(X, y)
        assert similarity == pytest.approx(np.sqrt(r_squared))
        assert canonical_correlation_similarity(y, X) == pytest.approx(similarity)
        assert canonical_correlation_similarity(X, y[:, None]) == similarity


def test_cosines_of_principal_angles(sides):
    X, Y = sides
    angles = subspace_angles(X - X.mean(axis=0), Y - Y.mean(axis=0))
    assert len(angles) == 4
    similarity = canonical_correlation_similarity(X, Y)
    assert similarity == pytest.approx(np.cos(angles).mean())
    assert similarity == pytest.approx(by_covariances(X, Y))


def test_by_hand():
    """One dimension each: the correlation, without its sign."""
    assert canonical_correlation_similarity([0, 1, 2], [0, 0, -1]) == pytest.approx(
        np.sqrt(3) / 2
    )
    X = [[1, 0], [-1, 0], [0, 1], [0, -1]]
    assert canonical_correlation_similarity(X, [1, -1, 0, 0]) == pytest.approx(1)
    assert canonical_correlation_similarity(X, [1, 1, -1, -1]) == pytest.approx(0)
    # second column: half of the variance of y lies in what X spans
    Y = [[1, 1], [-1, 1], [0, -1], [0, -1]]
    assert canonical_correlation_similarity(X, Y) == pytest.approx(0.5)


def test_invertible_maps_change_nothing(sides):
    X, Y = sides
    expected = canonical_correlation_similarity(X, Y)
    rng = np.random.default_rng(1)
    A, B = rng.standard_normal((8, 8)), rng.standard_normal((4, 4))
    scales = 10.0 ** np.linspace(-9, 0, 8)
    for mapped, other in ((X @ A + 3, Y), (X, Y @ B), (X * scales, -Y), (Y, X)):
        got = canonical_correlation_similarity(mapped, other)
        assert got == pytest.approx(expected, rel=1e-9)
    alike = X * scales  # invertible, and close to not being so
    alike[:, 1] = alike[:, 0] + 1e-6 * scales[0] * X[:, 1]
    got = canonical_correlation_similarity(alike, Y)
    assert got == pytest.approx(expected, rel=1e-6)
    huge = canonical_correlation_similarity(1e300 * X, 1e-300 * Y)
    assert huge == pytest.approx(expected, rel=1e-9)


def test_constant_dimensions_do_not_count(sides):
    X, Y = sides
    expected = canonical_correlation_similarity(X, Y)
    more = np.hstack([X, np.full((200, 2), 0.1)])
    assert canonical_correlation_similarity(more, Y) == pytest.approx(expected)
    last_digit = np.nextafter(0.1, np.arange(200) % 2)[:, None]
    more = np.hstack([X, last_digit, np.zeros((200, 1))])
    assert canonical_correlation_similarity(more, Y) == pytest.approx(expected)
    with pytest.warns(UndefinedMetricWarning):
        assert np.isnan(canonical_correlation_similarity(last_digit, Y))
    faint = 1e-11 * np.random.default_rng(2).standard_normal((200, 2))
    more = np.hstack([Y, faint])
    assert canonical_correlation_similarity(X, more) == pytest.approx(expected)
    more = np.hstack([np.full((200, 1), -3e7), Y])
    assert canonical_correlation_similarity(X, more) == pytest.approx(expected)


def test_dimensions_that_depend_on_others_count_as_zero(sides):
    """The mean is over all dimensions, as in SVCCA, and none correlates beyond 1."""
    X, Y = sides
    expected = canonical_correlation_similarity(X, Y)
    twice = np.hstack([Y, Y.sum(axis=1, keepdims=True)])
    got = canonical_correlation_similarity(X, twice)
    assert got == pytest.approx(expected * 4 / 5)
    redundant = np.hstack([X, X @ np.ones((8, 3))])
    assert canonical_correlation_similarity(redundant, Y) == pytest.approx(expected)


def test_of_itself_and_of_noise():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 5)).astype(np.float32)
    assert canonical_correlation_similarity(X, X) == pytest.approx(1)
    for n_clips in range(6, 60):
        assert canonical_correlation_similarity(X[:n_clips], X[:n_clips]) <= 1
    noise = rng.standard_normal((3000, 5))
    assert canonical_correlation_similarity(X, noise) < 0.1


def test_what_is_refused(sides):
    X, Y = sides
    with pytest.raises(
        ValueError, match=r"X has 8 rows and 8 dim.* more rows than dim"
    ):
        canonical_correlation_similarity(X[:8], Y[:8])
    with pytest.raises(ValueError, match="Y has 8 rows and 8 dimensions"):
        canonical_correlation_similarity(Y[:8], X[:8])
    with pytest.raises(ValueError, match=r"same number of rows.* got 200 and 199"):
        canonical_correlation_similarity(X, Y[1:])
    Y[3, 0] = np.nan
    with pytest.raises(ValueError, match="Input Y contains NaN"):
        canonical_correlation_similarity(X, Y)
    with pytest.warns(UndefinedMetricWarning, match="X or Y is the same for all clips"):
        assert np.isnan(canonical_correlation_similarity(X, np.full(200, 0.1)))


# --------------------------------------------------------------------------- table


def test_table(sides):
    X, Y = sides
    names = ["mfcc0_mean", "mfcc1_mean", "mfcc0_var", "spectral_centroid_mean"]
    frame = pd.DataFrame(Y, columns=names, index=range(7, 207))
    table = canonical_correlation_table({"ours": X, "other": X[:, :3]}, frame)
    assert list(table.index) == ["ours", "other"]
    assert list(table.columns) == [
        *(("mfcc", "mean"), ("mfcc", "var"), ("spectral_centroid", "mean"))
    ]
    assert table.columns.names == ["descriptor", "statistic"]
    for name, Z in {"ours": X, "other": X[:, :3]}.items():
        expected = [
            canonical_correlation_similarity(Z, block)
            for block in (Y[:, :2], Y[:, 2], Y[:, 3])
        ]
        assert list(table.loc[name]) == pytest.approx(expected)
    parts = {"mfcc_mean": Y[:, :2], "mfcc_var": Y[:, 2]}
    parts |= {("spectral_centroid", "mean"): Y[:, 3]}
    same = canonical_correlation_table({"ours": X, "other": X[:, :3]}, parts)
    pd.testing.assert_frame_equal(same, table)
    levels = frame.set_axis(
        pd.MultiIndex.from_tuples([("a", "x")] * 3 + [("b", "y")]), axis=1
    )
    table = canonical_correlation_table({"ours": X}, levels)
    assert list(table.columns) == [("a", "x"), ("b", "y")]


def test_names_of_descriptors(sides):
    X, Y = sides
    table = canonical_correlation_table({"a": X}, {"band2_mean": Y, "level": Y[:, 0]})
    assert list(table.columns) == [("band2", "mean"), ("level", "")]


def test_table_with_what_is_wrong(sides):
    X, Y = sides
    with pytest.raises(ValueError, match="mine has 8 rows and 8 dimensions"):
        canonical_correlation_table({"mine": X[:8]}, {"level_mean": Y[:8, 0]})
    with pytest.raises(ValueError, match=r"same number of rows.* got 200 and 150"):
        canonical_correlation_table({"mine": X}, {"level_mean": Y[:150]})
    with pytest.raises(ValueError, match="embeddings must be a dict of arrays"):
        canonical_correlation_table(X, {"level_mean": Y})
    with pytest.raises(ValueError, match=r"embeddings must be a dict.* got none"):
        canonical_correlation_table({}, {"level_mean": Y})
    with pytest.raises(ValueError, match="descriptors must be a data frame"):
        canonical_correlation_table({"mine": X}, Y)
    twice = {"level_mean": Y, ("level", "mean"): Y}
    with pytest.raises(ValueError, match="descriptor 'level_mean' comes twice"):
        canonical_correlation_table({"mine": X}, twice)
    with pytest.warns(
        UndefinedMetricWarning, match="descriptor 'still_mean' is the sa"
    ):
        table = canonical_correlation_table(
            {"mine": X}, {"level_mean": Y, "still_mean": np.zeros(200)}
        )
    assert table.isna().to_numpy().tolist() == [[False, True]]
