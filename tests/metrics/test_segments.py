"""Metrics of segmentation: worked out by hand, and as in sed_eval and mir_eval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
)

from skaudio.metrics import (
    boundary_scores,
    frame_accuracy,
    frame_confusion,
    frame_report,
)


def table_of(*rows, recording=0):
    columns = ["start", "end", "label"]
    return pd.DataFrame(rows, columns=columns).assign(recording=recording)


TRUTH = table_of((0, 4, "speech"), (4, 5, "silence"), (5, 9, "music"))
FOUND = table_of((0, 3, "speech"), (3, 4.5, "music"), (4.5, 8, "music"))


def test_shares_of_time_by_hand():
    confusion = frame_confusion(TRUTH, FOUND)
    expected = pd.DataFrame(
        {
            "music": [3.0, 1.0, 1.0],
            "silence": [0.0, 0.0, 0.0],
            "speech": [0.0, 0.0, 3.0],
            "(none)": [1.0, 0.0, 0.0],
        },
        index=["music", "silence", "speech"],
    )
    pd.testing.assert_frame_equal(confusion, expected)
    assert frame_accuracy(TRUTH, FOUND) == 6 / 9
    assert frame_accuracy(TRUTH, FOUND, ignore=["silence"]) == 6 / 8
    report = frame_report(TRUTH, FOUND, ignore=["silence"])
    assert report.loc["music"].tolist() == [4, 3 / 4, 3 / 4, 6 / 8]
    assert report.loc["speech"].tolist() == [4, 3 / 4, 1, 6 / 7]


def test_all_recordings_count_together():
    truth = pd.concat([TRUTH, table_of((0, 1, "noise"), recording="b.wav")])
    found = pd.concat([FOUND, table_of((0, 2, "speech"), recording="b.wav")])
    assert frame_accuracy(truth, found) == 6 / 10
    assert frame_accuracy(truth, FOUND) == 6 / 10  # nothing predicted is wrong, too
    shuffled = truth.sample(frac=1, random_state=0)
    assert frame_accuracy(shuffled, found[::-1]) == 6 / 10
    report = frame_report(truth, FOUND)
    assert report.loc["noise", ["support", "recall"]].tolist() == [1, 0]
    assert np.isnan(report.loc["noise", "precision"])


def test_frames_are_counted_as_in_scikit_learn():
    rng = np.random.default_rng(0)
    true = [rng.choice(list("abc"), n) for n in (50, 1, 73)]
    pred = [rng.choice(list("abc"), n) for n in (50, 1, 73)]
    y_true, y_pred = np.concatenate(true), np.concatenate(pred)
    confusion = frame_confusion(true, pred)
    assert confusion.to_numpy().tolist() == confusion_matrix(y_true, y_pred).tolist()
    assert frame_accuracy(true, pred) == accuracy_score(y_true, y_pred)
    precision, recall, f1, support = precision_recall_fscore_support(y_true, y_pred)
    report = frame_report(true, pred)
    expected = np.transpose([support, recall, precision, f1])
    np.testing.assert_allclose(report.to_numpy(), expected)
    kept = y_true != "a"
    accuracy = accuracy_score(y_true[kept], y_pred[kept])
    assert frame_accuracy(true, pred, ignore=["a"]) == accuracy


def test_tables_and_frames_agree():
    rng = np.random.default_rng(1)
    frames, tables = [], []
    for _ in range(2):
        labels = np.repeat(rng.integers(0, 3, 20), 3)[rng.integers(0, 2) :][:58]
        borders = np.flatnonzero(np.diff(labels)) + 1
        edges = np.array([0, *borders, len(labels)]) / 4
        rows = zip(edges[:-1], edges[1:], labels[[0, *borders]], strict=True)
        frames.append(labels)
        tables.append(table_of(*rows))
    counts = frame_confusion([frames[0]], [frames[1]])
    pd.testing.assert_frame_equal(
        frame_confusion(*tables), counts / 4, check_index_type=False
    )
    by_frames = boundary_scores([frames[0]], [frames[1]], hop=0.25, collar=0.6)
    assert by_frames == boundary_scores(*tables, collar=0.6)


def case(seed):
    """Two tables of one recording on a grid of 10 ms."""
    rng = np.random.default_rng(seed)
    tables = []
    for n in (9, 12):
        edges = np.sort(rng.choice(np.arange(1, 3000), n - 1, replace=False))
        edges = np.array([0, *edges, 3000]) / 100
        labels = [int(rng.integers(3))]
        for _ in range(n - 1):
            labels.append((labels[-1] + int(rng.integers(1, 3))) % 3)
        rows = zip(edges[:-1], edges[1:], ["abc"[k] for k in labels], strict=True)
        tables.append(table_of(*rows))
    return tables


# of sed_eval 0.2.1, SegmentBasedMetrics with a resolution of 10 ms: overall F, and
# recall, precision, F per class. It widens events to whole frames in floating point, so
# that some boundaries are a frame off.
SED_EVAL = {
    0: (0.362213, [(0.845013, 0.393597), (0.05703, 0.137441), (0.323671, 0.407708)]),
    1: (0.284239, [(0.039801, 0.047267), (0.125598, 0.18851), (0.526471, 0.404977)]),
    2: (0.13862, [(0.048454, 0.243056), (0.470588, 0.153153), (0.321101, 0.104105)]),
    3: (0.315561, [(0.407825, 0.538341), (0.27652, 0.227674), (0.056962, 0.038298)]),
}
# of mir_eval 0.8.2, segment.detection with trim=True: windows of 0.2, 0.5, 3 s
MIR_EVAL = {
    0: [(0.181818, 0.25), (0.363636, 0.5), (0.727273, 1.0)],
    1: [(0.0, 0.0), (0.181818, 0.25), (0.636364, 0.875)],
    2: [(0.0, 0.0), (0.090909, 0.125), (0.454545, 0.625)],
    3: [(0.181818, 0.25), (0.272727, 0.375), (0.545455, 0.75)],
}


@pytest.mark.parametrize("seed", SED_EVAL)
def test_as_in_sed_eval(seed):
    true, pred = case(seed)
    overall, per_class = SED_EVAL[seed]
    assert frame_accuracy(true, pred) == pytest.approx(overall, abs=2e-3)
    report = frame_report(true, pred)[["recall", "precision"]]
    np.testing.assert_allclose(report.to_numpy(), per_class, atol=5e-3)


@pytest.mark.parametrize("seed", MIR_EVAL)
def test_as_in_mir_eval(seed):
    true, pred = case(seed)
    for collar, expected in zip((0.2, 0.5, 3), MIR_EVAL[seed], strict=True):
        scores = boundary_scores(true, pred, collar=collar)
        assert scores[:2] == pytest.approx(expected, abs=1e-6)
        if sum(expected):
            harmonic = 2 * expected[0] * expected[1] / sum(expected)
            assert scores.f1 == pytest.approx(harmonic, abs=1e-6)


@pytest.mark.parametrize(
    ("true", "pred", "expected"),
    [
        # one boundary of the truth is matched once, within the collar, to both sides
        ([(0, 4, "a"), (4, 9, "b")], [(0, 4.5, "a"), (4.5, 9, "b")], (1, 1, 1)),
        ([(0, 4, "a"), (4, 9, "b")], [(0, 4.51, "a"), (4.51, 9, "b")], (0, 0, 0)),
        (
            [(0, 4, "a"), (4, 9, "b")],
            [(0, 3.8, "a"), (3.8, 4, "c"), (4, 9, "b")],
            (1 / 2, 1, 2 / 3),
        ),
        # what could match two is given to the one that has no other
        (
            [(0, 1, "a"), (1, 1.6, "b"), (1.6, 9, "a")],
            [(0, 1.4, "a"), (1.4, 2.0, "b"), (2.0, 9, "a")],
            (1, 1, 1),
        ),
        # equal labels are one segment
        (
            [(0, 2, "a"), (2, 4, "a"), (4, 9, "b")],
            [(0, 4, "a"), (4, 9, "b")],
            (1, 1, 1),
        ),
        ([(0, 9, "a")], [(0, 9, "b")], (np.nan, np.nan, 1)),
        ([(0, 9, "a")], [(0, 4, "a"), (4, 9, "b")], (0, np.nan, 0)),
    ],
)
def test_boundaries_by_hand(true, pred, expected):
    scores = boundary_scores(table_of(*true), table_of(*pred))
    np.testing.assert_allclose(scores, expected)


def test_silence_is_divided_in_its_middle():
    # 4.5 for the silence from 4 to 5; none where the same goes on behind it
    truth = table_of(
        *[(0, 4, "speech"), (4, 5, "silence"), (5, 9, "music")],
        *[(9, 11, "silence"), (11, 15, "music"), (15, 20, "silence")],
    )
    found = table_of((0, 4.6, "speech"), (4.6, 20, "music"))
    ignoring = boundary_scores(truth, found, collar=0.1, ignore=["silence"])
    assert ignoring == (1, 1, 1)
    assert boundary_scores(truth, found, collar=0.1) == (0, 0, 0)


def test_what_cannot_be_compared():
    other = FOUND.assign(recording="x.wav")
    with pytest.raises(ValueError, match=r"has the recording 'x.wav', which y_true"):
        frame_accuracy(TRUTH, other)
    with pytest.raises(ValueError, match=r"both be tables of segments, or both labels"):
        frame_accuracy(TRUTH, [["a"]])
    with pytest.raises(ValueError, match=r"of \[2\] frames, y_pred of \[3\]"):
        frame_accuracy([["a", "b"]], [["a", "b", "b"]])
    overlapping = table_of((0, 4, "a"), (3, 5, "b"))
    with pytest.raises(ValueError, match=r"recording 0 in y_pred overlap at 3 s"):
        frame_accuracy(TRUTH, overlapping)
    with pytest.raises(ValueError, match=r"sequence with the labels of the frames"):
        frame_accuracy(["a", "b"], ["a", "b"])
    with pytest.raises(ValueError, match=r"all of its labels are ignored"):
        frame_accuracy(TRUTH, FOUND, ignore=["speech", "silence", "music"])
    with pytest.raises(ValueError, match=r"collar must be 0 or more"):
        boundary_scores(TRUTH, FOUND, collar=-1)
    with pytest.raises(ValueError, match=r"y_pred has no column 'label'"):
        frame_accuracy(TRUTH, FOUND.drop(columns="label"))
    with pytest.raises(TypeError, match=r"must be a table of segments"):
        frame_accuracy("truth.txt", FOUND.to_numpy())
