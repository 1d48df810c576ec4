"""The neural classifiers: learning, segments, validation, blending, errors."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skaudio._training._trainer import Trainer
from skaudio.datasets import make_sounds
from skaudio.neural_network import (
    Blending,
    CRNNClassifier,
    MultiViewBlendingClassifier,
)
from skaudio.preprocessing import ViewScaler
from skaudio.views import MelView, RawView, Views, make_view_union

NET = {"width": 0.05, "max_epochs": 3, "lr": 0.01, "random_state": 0}


@pytest.fixture(scope="module")
def toy():
    """Views with the class in the level of mel and cqt; raw is noise. Groups of 2."""
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 20)
    level = np.repeat([-1.5, 0.0, 1.5], 20)[:, None, None]
    arrays = {
        "mel": rng.normal(size=(60, 8, 50)) + level,
        "cqt": rng.normal(size=(60, 6, 43)) + level / 2,
        "raw": rng.normal(size=(60, 1, 1000)),
    }
    arrays = {k: v.astype(np.float32) for k, v in arrays.items()}
    X = Views(arrays, {"mel": 50.0, "cqt": 43.0, "raw": 1000.0})
    return X, y, np.arange(60) // 2


def test_single_view_learns(toy):
    X, y, _ = toy
    clf = CRNNClassifier(**(NET | {"max_epochs": 20}), segment_length=0.5)
    assert clf.fit(X.select(["mel"]), y).score(X.select(["mel"]), y) > 0.95


@pytest.mark.parametrize("blending", ["adaptive", "fixed-reference", "uniform", "none"])
def test_every_blending_learns(toy, blending):
    X, y, groups = toy
    clf = MultiViewBlendingClassifier(
        **(NET | {"max_epochs": 20}), blending=blending, segment_length=0.5
    )
    clf.fit(X, y, groups=groups)
    assert clf.score(X, y) > 0.9
    names = ("joint",) if blending == "none" else ("mel", "cqt", "raw", "joint")
    assert clf.branch_names_ == names
    assert clf.branch_weights_.shape == (len(names),)
    assert clf.branch_weights_.sum() == pytest.approx(1, abs=1e-4)


def test_ensemble_is_the_weighted_mean_of_branches(toy):
    X, y, _ = toy
    clf = MultiViewBlendingClassifier(**NET).fit(X, y)
    branches = clf.branch_proba(X)
    assert tuple(branches) == clf.branch_names_
    expected = sum(
        w * p for w, p in zip(clf.branch_weights_, branches.values(), strict=True)
    )
    np.testing.assert_allclose(
        clf.predict_proba(X), expected / clf.branch_weights_.sum(), atol=1e-6
    )
    best = clf.classes_[clf.predict_proba(X).argmax(1)]
    np.testing.assert_array_equal(clf.predict(X), best)


def test_adaptive_weights_follow_the_rule(toy):
    """Replaying the recorded losses through the rule gives the weights."""
    from skaudio._blending import BlendingWeights

    X, y, groups = toy
    clf = MultiViewBlendingClassifier(
        **(NET | {"max_epochs": 12}), blending=Blending(period=2, window=3)
    ).fit(X, y, groups=groups)
    rows = clf.blending_history_
    steps = sorted({r["step"] for r in rows})
    assert steps[:3] == [0, 2, 4]
    state = BlendingWeights(4, window=3, momentum=0.8, min_weight=0.05)
    kept = []
    for step in steps:
        now = [r for r in rows if r["step"] == step]
        assert [r["branch"] for r in now] == list(clf.branch_names_)
        weights = state.update(
            [r["train_loss"] for r in now], [r["valid_loss"] for r in now]
        )
        np.testing.assert_allclose([r["weight"] for r in now], weights)
        kept.append(weights)
    assert any(np.allclose(clf.branch_weights_, weights) for weights in kept)
    assert not np.allclose(kept[-1], 0.25)


def test_best_model_and_its_weights_are_kept(toy):
    """Validation accuracy of the kept model is the best that was seen."""
    X, y, groups = toy
    clf = MultiViewBlendingClassifier(
        **(NET | {"max_epochs": 8}), blending=Blending(period=2)
    )
    clf.fit(X, y, groups=groups)
    joint = [r for r in clf.blending_history_ if r["branch"] == "joint"]
    assert len(joint) > 3
    from skaudio.model_selection import StratifiedGroupShuffleSplit

    split = StratifiedGroupShuffleSplit(test_size=0.1, random_state=clf._spec.seed)
    _, valid = next(split.split(np.zeros(60), y, groups))
    clf.set_params(n_segments=1)
    decided = clf.classes_[clf.branch_proba(X[valid])["joint"].argmax(1)]
    accuracy = float(np.mean(decided == y[valid]))
    seen = [e["valid_score"] for e in clf.history_]
    assert accuracy == pytest.approx(max([*seen, accuracy]))


def test_validation_never_divides_a_source(toy, monkeypatch):
    X, y, groups = toy
    seen = {}
    original = Trainer._split

    def spy(self, clips, *further):
        seen["split"] = original(self, clips, *further)
        return seen["split"]

    monkeypatch.setattr(Trainer, "_split", spy)
    MultiViewBlendingClassifier(**NET, validation_fraction=0.2).fit(X, y, groups=groups)
    train, sets = seen["split"]
    mel = X["mel"]

    def rows_of(data):
        clips = data.clips["mel"]
        return [int(np.flatnonzero((mel == clip).all((1, 2)))[0]) for clip in clips]

    valid, check = rows_of(sets["valid"]), rows_of(sets["train"])
    assert not set(groups[train]) & set(groups[valid])
    assert set(y[valid]) == {"a", "b", "c"}
    assert set(check) <= set(train)
    np.testing.assert_array_equal(np.sort(y[check]), np.sort(y[valid]))


def test_history_is_plain(toy):
    X, y, _ = toy
    clf = CRNNClassifier(**NET, validation_fraction=0.2).fit(X.select(["mel"]), y)
    assert [h["epoch"] for h in clf.history_] == [1, 2, 3]
    assert all(type(v) in (int, float) for h in clf.history_ for v in h.values())
    assert clf.history_[-1]["train_loss"] < clf.history_[0]["train_loss"]
    assert 0 <= clf.history_[-1]["valid_score"] <= 1
    without = CRNNClassifier(**NET).fit(X.select(["mel"]), y)
    assert np.isnan(without.history_[-1]["valid_loss"])


def test_learning_rate_of_every_epoch_follows_the_schedule(toy):
    X, y, _ = toy
    clf = CRNNClassifier(**(NET | {"max_epochs": 8})).fit(X.select(["mel"]), y)
    rates = [h["lr"] for h in clf.history_]
    assert max(rates) <= 0.01
    assert rates[-1] < rates[3]


# -------------------------------------------------------------------- segments


def test_segment_length_none_is_the_whole_clip(toy):
    X, y, _ = toy
    clf = CRNNClassifier(**NET).fit(X["mel"], y)
    one = CRNNClassifier(**NET, segment_length=50, n_segments=1).fit(X["mel"], y)
    np.testing.assert_array_equal(
        clf.predict_proba(X["mel"]), one.predict_proba(X["mel"])
    )


def test_float_seconds_need_rates(toy):
    X, y, _ = toy
    clf = CRNNClassifier(**NET, segment_length=0.5)
    with pytest.raises(
        ValueError, match="is in seconds, but the rate of a plain array"
    ):
        clf.fit(X["mel"], y)
    assert clf.fit(X.select(["mel"]), y)._spec.seconds == 0.5


def test_int_steps_need_a_single_view(toy):
    X, y, _ = toy
    with pytest.raises(ValueError, match="counts steps of a single view, but X has"):
        MultiViewBlendingClassifier(**NET, segment_length=25).fit(X, y)
    clf = CRNNClassifier(**NET, segment_length=25).fit(X.select(["mel"]), y)
    assert clf._spec.seconds == 0.5


def test_more_segments_smooth_the_decision(toy):
    """The mean over n even segments is what cutting them by hand gives."""
    X, y, _ = toy
    clf = CRNNClassifier(**NET, segment_length=20, n_segments=3).fit(X["mel"], y)
    by_hand = [clf.predict_proba(X["mel"][:, :, s : s + 20]) for s in (0, 15, 30)]
    np.testing.assert_allclose(
        clf.predict_proba(X["mel"]), np.mean(by_hand, axis=0), atol=1e-6
    )


def test_wrong_rate_is_refused(toy):
    X, y, _ = toy
    clf = MultiViewBlendingClassifier(**NET).fit(X, y)
    other = Views({n: X[n] for n in X.names}, {**X.rates, "mel": 100.0})
    with pytest.raises(ValueError, match=r"'mel' has 100 steps per second, but .* 50"):
        clf.predict(other)


def test_views_are_found_by_name(toy):
    X, y, _ = toy
    clf = MultiViewBlendingClassifier(**NET).fit(X, y)
    swapped = X.select(["raw", "mel", "cqt"])
    np.testing.assert_array_equal(clf.predict_proba(swapped), clf.predict_proba(X))
    with pytest.raises(ValueError, match=r"X has views .* was fitted with views"):
        clf.predict(X.select(["mel", "cqt"]))


# ---------------------------------------------------------------------- errors


def test_crnn_takes_one_view(toy):
    X, y, _ = toy
    with pytest.raises(ValueError, match=r"takes one view, but gets \['mel', 'cqt'"):
        CRNNClassifier(**NET).fit(X, y)


def test_joint_is_no_view(toy):
    X, y, _ = toy
    views = Views({"joint": X["mel"]}, {"joint": 50.0})
    with pytest.raises(ValueError, match="No view may be called 'joint'"):
        MultiViewBlendingClassifier(**NET).fit(views, y)


@pytest.mark.parametrize("blending", ["adaptive", "fixed-reference"])
def test_adaptive_needs_validation(toy, blending):
    X, y, _ = toy
    clf = MultiViewBlendingClassifier(
        **NET, blending=blending, validation_fraction=None
    )
    with pytest.raises(ValueError, match="Set validation_fraction"):
        clf.fit(X, y)


def test_nan_names_the_clip(toy):
    X, y, _ = toy
    arrays = {n: X[n].copy() for n in X.names}
    arrays["cqt"][7, 3, 3] = np.nan
    with pytest.raises(ValueError, match=r"'cqt' contains NaN or infinity, .* clip 7"):
        MultiViewBlendingClassifier(**NET).fit(Views(arrays, X.rates), y)


def test_no_gpu(toy, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    X, y, _ = toy
    with pytest.raises(ValueError, match="asks for a device that torch does not find"):
        CRNNClassifier(**NET, device="cuda").fit(X["mel"], y)
    with pytest.raises(ValueError, match="asks for a device that torch does not find"):
        MelView(device="cuda:1").fit_transform(X["raw"][:, 0])


def test_a_model_from_a_gpu_loads_without_one(toy, monkeypatch):
    import pickle

    import torch

    X, y, _ = toy
    clf = CRNNClassifier(**NET, device="cpu").fit(X["mel"], y)
    expected = clf.predict_proba(X["mel"])
    clf.device = "cuda"  # as if it had been trained there
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(pickle.dumps(clf))
    assert loaded.device == "cuda"
    np.testing.assert_array_equal(loaded.predict_proba(X["mel"]), expected)


def test_nothing_to_hold_out(toy):
    X, y, _ = toy
    with pytest.raises(ValueError, match="Nothing can be held out"):
        MultiViewBlendingClassifier(**NET).fit(
            X, y, groups=np.unique(y, return_inverse=True)[1]
        )


def test_width_of_a_cpu_network_as_documented():
    import torch

    from skaudio.nn import SingleViewCRNN

    with torch.device("meta"):  # sizes only: nothing is drawn
        nets = [
            SingleViewCRNN({"mel": (64, 50.0)}, 10, width=width)
            for width in (1.0, 0.25)
        ]
    full, narrow = (sum(p.numel() for p in net.parameters()) for net in nets)
    assert round(full / narrow) == 14


# ------------------------------------------------------- callbacks and classes


class Count(Callback):
    def __init__(self):
        self.n = 0

    def on_epoch_end(self, net, **kwargs):
        self.n += 1


def test_callbacks_are_called_and_keep_what_they_collect(toy):
    X, y, _ = toy
    count = Count()
    CRNNClassifier(**NET, callbacks=[count]).fit(X["mel"], y)
    assert count.n == 3


def test_class_weight_shifts_decisions(toy):
    _, y, _ = toy
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(60, 4, 10)).astype(np.float32)
    heavy = CRNNClassifier(**NET, class_weight={"a": 100.0, "b": 0.01, "c": 0.01})
    assert np.mean(heavy.fit(noise, y).predict(noise) == "a") > 0.9


def test_progress_bar(toy, capsys):
    X, y, _ = toy
    CRNNClassifier(**NET).fit(X["mel"], y)
    assert capsys.readouterr() == ("", "")
    CRNNClassifier(**NET, verbose=1).fit(X["mel"], y)
    assert "Training" in capsys.readouterr().err


# ------------------------------------------------------------------- workflows


def test_from_sound_to_labels():
    X, y = make_sounds(n_clips=40, n_classes=2, duration=0.5, sr=8000, random_state=0)
    crnn = CRNNClassifier(width=0.1, max_epochs=30, lr=0.01, random_state=0)
    model = make_pipeline(MelView(sr=8000), ViewScaler(), crnn)
    assert model.fit(X, y).score(X, y) > 0.8


def test_late_fusion_is_the_mean_of_networks_trained_apart(toy):
    """What benchmarks/quality/esc10.py relies on to train nothing twice."""
    from skaudio.ensemble import LateFusionClassifier

    X, y, groups = toy
    late = LateFusionClassifier(CRNNClassifier(**NET)).fit(X, y, groups=groups)
    apart = [
        CRNNClassifier(**NET).fit(X.select([n]), y).predict_proba(X.select([n]))
        for n in X.names
    ]
    np.testing.assert_array_equal(late.predict_proba(X), np.mean(apart, axis=0))


def test_raw_waveform_network(sounds):
    X, y = sounds
    model = make_pipeline(RawView(sr=8000), ViewScaler(), CRNNClassifier(**NET))
    encoder = model.fit(X, y)[-1].net_.module_.network.encoder
    assert type(encoder).__name__ == "CRNN1d"


def test_grid_search_over_views_and_network(sounds):
    X, y = sounds
    model = make_pipeline(
        make_view_union("mel", "raw", sr=8000),
        ViewScaler(),
        MultiViewBlendingClassifier(**(NET | {"max_epochs": 1})),
    )
    grid = {
        "viewunion__mel__n_mels": [8, 16],
        "multiviewblendingclassifier__blending": ["uniform", "none"],
    }
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert search.predict(X).shape == (24,)


def test_groups_through_cross_validation(toy):
    X, y, groups = toy
    clf = CRNNClassifier(**NET)
    scores = cross_val_score(clf, X.select(["mel"]), y, groups=groups, cv=GroupKFold(3))
    assert scores.shape == (3,)


def test_groups_through_metadata_routing(toy):
    from sklearn import config_context

    X, y, groups = toy
    with config_context(enable_metadata_routing=True):
        clf = MultiViewBlendingClassifier(**NET).set_fit_request(groups=True)
        model = make_pipeline(ViewScaler(), clf)
        scores = cross_val_score(
            model, X, y, params={"groups": groups}, cv=GroupKFold(2)
        )
    assert scores.shape == (2,)


def test_pipeline_memory(sounds, tmp_path):
    X, y = sounds
    steps = [MelView(sr=8000), ViewScaler(), CRNNClassifier(**NET)]
    plain = make_pipeline(*map(clone, steps)).fit(X, y)
    for _ in range(2):  # computed, then from the cache
        cached = make_pipeline(*map(clone, steps), memory=str(tmp_path)).fit(X, y)
        np.testing.assert_array_equal(cached.predict_proba(X), plain.predict_proba(X))


def test_paths_equal_arrays(shared_data):
    from skaudio.datasets import load_audio_files
    from skaudio.preprocessing import AudioLoader

    data = load_audio_files(shared_data / "esc10" / "esc10.csv")
    rows = [np.flatnonzero(data.target == k)[:3] for k in range(3)]
    rows = np.concatenate(rows)
    paths, y = np.asarray(data.paths)[rows], data.target[rows]
    model = make_pipeline(
        make_view_union("mel", "cqt", sr=22050, trim_silence=True),
        ViewScaler(),
        MultiViewBlendingClassifier(**NET, segment_length=1.5),
    )
    proba = model.fit(list(paths), y).predict_proba(list(paths))
    waves = list(AudioLoader(sr=22050).transform(list(paths)))
    np.testing.assert_allclose(model.predict_proba(waves), proba, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
def test_training_on_cuda_and_predicting_without(toy):
    import pickle

    X, y, groups = toy
    clf = MultiViewBlendingClassifier(**(NET | {"max_epochs": 10}), device="cuda")
    clf.fit(X, y, groups=groups)
    loaded = pickle.loads(pickle.dumps(clf))
    loaded.device = "cpu"
    loaded = pickle.loads(pickle.dumps(loaded))
    np.testing.assert_allclose(loaded.predict_proba(X), clf.predict_proba(X), atol=1e-3)
