"""The statistics of the benchmarks, by hand on a handful of clips."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def multiview():
    path = ROOT / "benchmarks" / "papers" / "multiview.py"
    spec = importlib.util.spec_from_file_location("bench_multiview", path)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def job(system, branches, weights=None, fold=1):
    """A result of three clips of classes 0, 1, 1."""
    result = {"system": system, "seed": 0, "fold": fold}
    result |= {"rows": [0, 1, 2], "target": [0, 1, 1], "branches": branches}
    return result if weights is None else result | {"branch_weights": weights}


def test_rows_of_the_table(multiview):
    right, wrong = [[0.9, 0.1], [0.1, 0.9], [0.2, 0.8]], [[0.4, 0.6]] * 3
    results = [job(name, {name: wrong}) for name in ("gammatone", "cqt", "raw")]
    results.append(job("mel", {"mel": right}))
    results.append(job("paper", {"mel": right, "joint": wrong}, [0.0, 1.0]))
    rows = multiview.decisions(results)

    def right_clips(name):
        return rows[name][0, 1][1].tolist()

    assert right_clips("mel") == [True, True, True]
    assert right_clips("raw") == [False, True, True]
    # mean of clip 0: (0.9 + 3 * 0.4) / 4 = 0.525
    assert right_clips("late fusion") == [True, True, True]
    assert right_clips("paper: self-ensemble") == [False, True, True]
    assert right_clips("paper: plain mean of branches") == [True, True, True]
    accuracy = multiview.accuracies(rows["raw"])
    assert accuracy["per_seed"] == [pytest.approx(200 / 3)]
    assert accuracy["sd_of_seeds"] is None


def test_paired_differences_keep_sources_together(multiview):
    clips = np.arange(4)
    a = {(s, 1): (clips, np.array([1, 1, 1, 0], bool)) for s in (0, 1)}
    b = {(s, 1): (clips, np.array([0, 0, 1, 0], bool)) for s in (0, 1)}
    apart = multiview.paired(a, b, groups=np.arange(4))
    together = multiview.paired(a, b, groups=np.array([0, 0, 1, 2]))
    assert apart["difference"] == together["difference"] == 50
    assert apart["seeds_and_folds"] == 2
    # one source of three holds both gains: without it nothing, with it alone 100
    assert together["interval"] == [0, 100]
    none = multiview.paired(a, a, groups=np.arange(4))
    assert none["interval"] == [0, 0]


def test_jagged_weights(multiview):
    def history(rows):
        return [[w, 1.0, 1.0] for row in rows for w in row]

    warm = [[0.5, 0.5]] * (multiview.SHORT["window"] + 1)
    result = job("paper", {}, [0.5, 0.5]) | {
        "history": history([*warm, [1.0, 0.0], [0.0, 1.0], [0.3, 0.7], [0.5, 0.5]])
    }
    report = multiview.jaggedness([result])["paper"]
    assert report["one_branch_above_95_percent"] == 0.5
    assert report["joint_branch_without_weight"] == 0.25
    np.testing.assert_allclose(report["mean_weights"], [0.45, 0.55])
