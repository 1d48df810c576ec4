"""PatchScaler: patches to 0..1, one range for each time position or for all."""

import pickle

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import MinMaxScaler

from skaudio.persistence import load, save
from skaudio.preprocessing import EnergyPatches, PatchScaler
from skaudio.views import Views

LEARNED = ("data_min_", "data_max_", "data_range_", "scale_", "min_")


@pytest.fixture
def patches():
    rng = np.random.default_rng(0)
    return 3 * rng.standard_normal((7, 4, 6)) - np.arange(6)


def rows(X):
    """Bins of all patches as rows, time positions as columns."""
    return np.concatenate(list(X))


def test_is_a_min_max_scaler_of_time_positions(patches):
    ours = PatchScaler().fit(patches[:5])
    theirs = MinMaxScaler().fit(rows(patches[:5]))
    for name in LEARNED:
        assert getattr(ours, name).shape == (6,)
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    scaled = ours.transform(patches)
    np.testing.assert_allclose(rows(scaled), theirs.transform(rows(patches)))
    assert scaled[:5].min() == 0
    assert scaled[:5].max() == pytest.approx(1)
    assert ((scaled[5:] < 0) | (scaled[5:] > 1)).any(), "new patches are not clipped"


def test_one_range_for_all(patches):
    scaler = PatchScaler(per="view").fit(patches)
    expected = (patches - patches.min()) / (patches.max() - patches.min())
    np.testing.assert_allclose(scaler.transform(patches), expected, atol=1e-12)
    for name in LEARNED:
        values = getattr(scaler, name)
        np.testing.assert_array_equal(values, np.full(6, values[0]))


def test_clip(patches):
    free = PatchScaler().fit(patches[:3]).transform(patches)
    clipped = PatchScaler(clip=True).fit(patches[:3]).transform(patches)
    np.testing.assert_array_equal(clipped, free.clip(0, 1))
    assert not np.array_equal(clipped, free)


@pytest.mark.parametrize("per", ["frame", "view"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inverse(patches, per, dtype):
    X = patches.astype(dtype)
    scaler = PatchScaler(per=per).fit(X)
    scaled = scaler.transform(X)
    back = scaler.inverse_transform(scaled)
    assert scaled.dtype == back.dtype == dtype
    np.testing.assert_allclose(back, X, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, -15.94, 1e-30])
def test_positions_that_never_change(patches, value):
    patches[:, :, 2] = value
    scaler = PatchScaler().fit(patches)
    assert scaler.scale_[2] == 1
    assert scaler.data_range_[2] == 0
    np.testing.assert_array_equal(scaler.transform(patches)[:, :, 2], 0)
    np.testing.assert_allclose(
        scaler.inverse_transform(scaler.transform(patches)), patches, atol=1e-12
    )


def test_all_forms_of_x(patches):
    expected = PatchScaler().fit_transform(patches)
    np.testing.assert_array_equal(PatchScaler().fit_transform(list(patches)), expected)
    X = Views({"mel": patches}, {"mel": 43.0})
    scaler = PatchScaler().fit(X)
    scaled = scaler.transform(X)
    assert isinstance(scaled, Views)
    assert scaled.rates == X.rates
    np.testing.assert_array_equal(scaled["mel"], expected)
    back = scaler.inverse_transform(scaled.with_index(list("abcdefg")))
    assert list(back.index) == list("abcdefg")
    np.testing.assert_allclose(back["mel"], patches, atol=1e-12)
    table = PatchScaler().fit_transform(patches[:, :, 0])
    np.testing.assert_array_equal(table, expected[:, :, 0])


def test_input_is_left_alone(patches):
    before = patches.copy()
    scaler = PatchScaler(clip=True).fit(patches)
    scaler.inverse_transform(scaler.transform(patches))
    np.testing.assert_array_equal(patches, before)


def test_after_energy_patches():
    X = np.random.default_rng(0).standard_normal((3, 8, 50))
    scaled = PatchScaler().fit_transform(EnergyPatches(n_frames=9).fit_transform(X))
    assert scaled.shape == (3, 8, 9)
    np.testing.assert_allclose(scaled.min(axis=(0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.max(axis=(0, 1)), 1)


def test_errors(patches):
    with pytest.raises(NotFittedError):
        PatchScaler().transform(patches)
    with pytest.raises(NotFittedError):
        PatchScaler().inverse_transform(patches)
    scaler = PatchScaler().fit(patches)
    with pytest.raises(ValueError, match="of 5 frames, but PatchScaler was fitted"):
        scaler.transform(patches[:, :, :5])
    with pytest.raises(ValueError, match="X has 3 features, but PatchScaler"):
        scaler.transform(patches[:, :3])
    with pytest.raises(ValueError, match=r"same number of frames; got \[5, 6\]"):
        scaler.fit([patches[0], patches[1][:, :5]])
    two = Views({"a": patches, "b": patches}, {"a": None, "b": None})
    with pytest.raises(ValueError, match="PatchScaler takes one view of clips; X has"):
        scaler.fit(two)
    patches[3, 0, 0] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        scaler.transform(patches)


def test_copies(patches, tmp_path):
    scaler = PatchScaler(clip=True).fit(patches[:4])
    save(scaler, tmp_path / "s")
    for copy in (pickle.loads(pickle.dumps(scaler)), load(tmp_path / "s")):
        np.testing.assert_array_equal(
            copy.transform(patches), scaler.transform(patches)
        )
