"""The statistics of the benchmarks, by hand on a handful of clips."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from skaudio.inspection import deconvolve
from skaudio.nn import SampleCNN

ROOT = Path(__file__).resolve().parents[1]


def script(folder, name):
    path = ROOT / "benchmarks" / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"bench_{folder}_{name}", path)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@pytest.fixture(scope="module")
def multiview():
    return script("papers", "multiview")


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


def test_rows_that_lack_folds_have_no_mean(multiview, monkeypatch):
    """Of them only the folds that are there are shown, and the difference in these."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    readme = script("", "readme")
    clips = {fold: np.arange(4) + 4 * fold for fold in (0, 1)}
    values = {"all": [1, 1, 1, 1], "half": [1, 1, 0, 0], "none": [0, 0, 0, 0]}
    right = {name: np.array(v, bool) for name, v in values.items()}
    ensemble = {(0, fold): (clips[fold], right["all"]) for fold in (0, 1)}
    joint = {
        (0, fold): (clips[fold], right[v]) for fold, v in ((0, "half"), (1, "none"))
    }
    rows = {"smoothed: self-ensemble": ensemble, "smoothed: joint branch": joint}
    rows["mel"] = {(0, 1): (clips[1], right["half"])}
    settings = {"width": 1.0, "max_epochs": 2, "dropout": 0.1, "mixed_precision": True}
    versions, machine = {"python": "3", "torch": "2"}, {"cpu": "C", "cores": 1}
    source = {"machine": machine | {"gpu": "G"}, "versions": versions}
    source |= {"seed": [0], "commit": "0", "date": "2000-01-01"}
    report = {
        "accuracy": {name: multiview.accuracies(row) for name, row in rows.items()},
        "paired_differences": multiview.comparisons(rows, np.arange(8)),
        **{"default_rule": "smoothed", "settings": settings, "provenance": source},
    }
    lines = readme.full_width_table(report)
    assert lines[2].startswith("| M1 mel |  | only 1: 50.0 | +50.0 [")
    assert lines[3].startswith("| M7 multi-view, joint branch | 25.0 | 50.0 0.0 | +75")
    assert lines[4] == "| M8 self-ensemble | 100.0 | 100.0 100.0 |  |"
    assert "bfloat16, on a GPU" in lines[-1]
    assert "Not reached: M2 gammatone, M3 CQT" in lines[-1]
    assert "G, C, 1 cores" in lines[-1]


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


# ----------------------------------------------------------------------- SampleCNN


@pytest.mark.usefixtures("may_use_global_rng")
def test_the_plain_network_is_the_same_network():
    """Otherwise a speed-up would be one of another computation."""
    speed = script("speed", "samplecnn")
    torch.manual_seed(0)
    ours = SampleCNN(50).eval()
    for m in ours.modules():
        if isinstance(m, torch.nn.BatchNorm1d):
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 1.5)
    plain = speed.with_weights_of(ours)
    x = torch.randn(1, 1, 59049)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), plain(x), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("may_use_global_rng")
def test_multiplications_by_hand():
    speed = script("speed", "samplecnn")
    small = SampleCNN(5, sizes=(3, 3, 2), filters=(4, 6, 8, 10))
    # 18 samples: 6 steps of 3 * 1 * 4, 6 of 3 * 4 * 6, 2 of 2 * 6 * 8, then the top
    by_hand = 6 * 12 + 6 * 72 + 2 * 96 + 1 * 80 + 10 * 5
    assert speed.multiplications(small) == by_hand
    assert [row["with_batch_norm"] for row in speed.sizes()][-1] == 2_460_466


def test_notes_are_split_and_tags_counted():
    papers = script("papers", "samplecnn")
    table = pd.DataFrame(
        {
            "note": ["C4", "Fs2", "As5", "Gs3"] * 30,
            "tags": ["flute forte", "flute piano", "oboe forte", "oboe rare"] * 30,
        }
    )
    assert sorted(set(table.note[papers.held_out(table)])) == ["As5", "Fs2"]
    y, names = papers.tags_of(table)
    assert names == ["flute", "forte", "oboe"]  # 60 clips each; the others have 30
    np.testing.assert_array_equal(y[:4], [[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]])


def test_seeds_are_averaged():
    papers = script("papers", "samplecnn")
    rows = [
        {"task": "rates", "job": "8000", "seed": s, "commit": "x", "accuracy": a}
        for s, a in enumerate([50.0, 60.0])
    ]
    accuracy = papers.summary(rows)["rates"]["8000"]["accuracy"]
    assert accuracy == {"seeds": [50.0, 60.0], "mean": 55.0}


# --------------------------------------------------------------- softmax autoencoder


def test_intervals_and_splits_of_slices():
    papers = script("papers", "softmax_autoencoder")
    found = papers.merged([{"test": 50.0}, {"test": 52.0}])["test"]
    assert found["mean"] == 51.0
    # Student's t of one degree of freedom, 12.706, times a standard error of 1
    assert found["interval"] == pytest.approx(12.706, rel=1e-4)
    assert papers.merged([[1.0, 2.0], [3.0, 4.0]]) == {"mean": [2.0, 3.0]}
    slices = {
        "X": np.zeros((80, 1, 500)),
        "y": np.repeat(["a", "b"], 40),
        "groups": np.repeat(np.arange(16), 5),
    }
    divided = {}
    for kind in papers.SPLITS:
        train, test = papers.split(kind, slices, 0)
        assert len(train) + len(test) == 80
        both = set(slices["groups"][train]) & set(slices["groups"][test])
        divided[kind] = len(both)
    assert divided["grouped"] == 0 < divided["random"]


# -------------------------------------------------------------------- auralisation


@pytest.fixture(scope="module")
def auralisation():
    return script("papers", "auralisation")


def test_plain_deconvolution_is_the_same_computation(auralisation):
    """Otherwise a ratio would be one of two things."""
    generator = torch.Generator().manual_seed(0)
    layers = [
        (torch.randn(*shape, 3, 3, generator=generator).double(), torch.zeros(n) + 0.1)
        for n, shape in ((4, (4, 1)), (3, (3, 4)))
    ]
    layers = [(weight, bias.double()) for weight, bias in layers]
    network = torch.nn.Sequential(torch.nn.Unflatten(1, (1, 19)))
    for weight, bias in layers:
        conv = torch.nn.utils.skip_init(
            torch.nn.Conv2d, *weight.shape[1::-1], 3, padding=1, dtype=torch.float64
        )
        conv.load_state_dict({"weight": weight, "bias": bias})
        network += torch.nn.Sequential(conv, torch.nn.ReLU(), torch.nn.MaxPool2d(2))
    x = torch.rand(1, 1, 19, 14, generator=generator, dtype=torch.float64)
    maps = deconvolve(network, x[0].numpy(), "6")[0]
    arrays = [(weight.numpy(), bias.numpy()) for weight, bias in layers]
    for feature in range(3):
        in_torch = auralisation.plain(x, layers, feature).numpy()
        np.testing.assert_allclose(in_torch, maps[feature], atol=1e-12)
        in_scipy = auralisation.plain_scipy(x[0].numpy(), arrays, feature)
        np.testing.assert_allclose(in_scipy, maps[feature], atol=1e-12)


def test_folds_are_averaged(auralisation):
    results = [
        {
            "job": f"magnitudes {fold}",
            "figures": {"train": 90.0, "test": accuracy, "seconds": 1.0},
        }
        for fold, accuracy in enumerate([50.0, 60.0], 1)
    ]
    report = auralisation.mean_of_folds(results)
    assert list(report) == ["magnitudes"]
    assert report["magnitudes"]["folds"] == 2
    test = report["magnitudes"]["test"]
    assert test["mean"] == 55
    # 12.706 standard errors of two folds, and each is 5
    assert test["interval"] == pytest.approx(63.53, abs=0.01)


# ------------------------------------------------------- published networks as features


@pytest.fixture(scope="module")
def probes():
    return script("quality", "probes")


@pytest.mark.parametrize("name", ["esc10", "notes", "dynamics", "digits"])
def test_no_source_is_on_both_sides_of_a_split(probes, name, shared_data):
    if not shared_data.exists():
        pytest.skip("the recordings are not here")
    paths, y, groups, tests = probes.clips_of(name, shared_data)
    assert len(paths) == len(y) == len(groups)
    assert len(tests) == {"esc10": 5, "digits": 2}.get(name, 1)
    for test in tests:
        train = np.setdiff1d(np.arange(len(y)), test)
        assert set(y[train]) == set(y[test]) == set(y)
        if name in ("esc10", "notes"):  # others are split by who plays or speaks
            assert not set(groups[train]) & set(groups[test])


def test_a_union_is_chosen_inside_the_training_clips(probes, monkeypatch):
    """One embedding is right in training, the other only in the test."""
    rng = np.random.default_rng(0)
    y, groups = np.tile([0, 1], 30), np.repeat(np.arange(30), 2)
    test = np.arange(40, 60)
    good, lucky = (rng.normal(size=(60, 2)) for _ in range(2))
    good[:40, 0] = y[:40] * 10.0
    good[40:, 0] = 10.0 - 10.0 * y[40:]
    lucky[40:, 0] = y[40:] * 10.0
    tables = {"good": good, "lucky": lucky}

    class Table:
        def __init__(self, name):
            self.name = name

        def fit_transform(self, X):
            return tables[self.name]

    monkeypatch.setattr(probes, "UNION", ("good", "lucky"))
    monkeypatch.setattr(probes, "embedder_of", lambda name, args: Table(name))
    args = probes.argparse.Namespace(seed=0)
    job = {"task": "unions", "system": "union", "head": "chosen"}
    result = probes.probe(job, list(range(60)), y, groups, test, args)
    assert result["chosen"][0] == "good"
    assert result["inner_accuracy"] == 100
    assert result["accuracy"] < 20
