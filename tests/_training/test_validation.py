"""Which clips a training is validated with, what is watched, and what is kept."""

from types import SimpleNamespace

import numpy as np
import pytest
import sklearn
import soundfile as sf
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skaudio._training._evaluation import Evaluation
from skaudio._training._held_out import held_out
from skaudio.embedding import AutoencoderEmbedder
from skaudio.neural_network import (
    Blending,
    CRNNClassifier,
    DistilledClassifier,
    FineTunedClassifier,
    MultiViewBlendingClassifier,
    Optimizer,
    PlateauSchedule,
    SampleCNNClassifier,
    SoftmaxAutoencoderClassifier,
    Validation,
)
from skaudio.preprocessing import ViewScaler
from skaudio.views import MelView, Views

NET = {"width": 0.03, "max_epochs": 3, "batch_size": 8, "random_state": 3}
NET |= {"segment_length": 0.4, "dropout": 0.2}


@pytest.fixture(scope="module")
def toy():
    """36 clips of two views, from 18 sources of three classes."""
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 12)
    level = np.repeat([-1.0, 0.0, 1.0], 12)[:, None, None]
    arrays = {
        "mel": (rng.normal(size=(36, 6, 30)) + level).astype(np.float32),
        "raw": rng.normal(size=(36, 1, 600)).astype(np.float32),
    }
    return Views(arrays, {"mel": 50.0, "raw": 1000.0}), y, np.arange(36) // 2


def weights_of(clf):
    return clf.net_.module_.state_dict()


def assert_same(a, b):
    for name, values in weights_of(a).items():
        torch.testing.assert_close(values, weights_of(b)[name], rtol=0, atol=0)


# ---------------------------------------------------------------- which clips


@pytest.mark.parametrize(
    "clf",
    [
        MultiViewBlendingClassifier(**NET, validation_fraction=2),
        MultiViewBlendingClassifier(
            **NET, validation_fraction=2, lr_schedule="reduce-on-plateau"
        ),
        CRNNClassifier(**NET, validation_fraction=Validation(2, monitor="loss")),
        SoftmaxAutoencoderClassifier(
            segment_length=0.4, max_epochs=2, validation_fraction=2, random_state=3
        ),
    ],
    ids=["blending", "plateau", "loss", "reconstruction"],
)
def test_given_clips_do_what_held_out_ones_do(toy, clf):
    """To the bit: schedule, weights of branches and the model that is kept."""
    X, y, groups = toy
    if not isinstance(clf, MultiViewBlendingClassifier):
        X = X.select(["mel"])
    drawn = clone(clf).fit(X, y, groups=groups)
    classes, seed = np.searchsorted(["a", "b", "c"], y), drawn._spec.seed
    train, valid = held_out(classes, groups, Validation(2), seed)
    given = clone(clf).fit(
        X[train], y[train], groups=groups[train], X_valid=X[valid], y_valid=y[valid]
    )
    assert_same(drawn, given)
    for key in ("train_loss", "valid_loss", "valid_score", "lr"):
        np.testing.assert_array_equal(
            [row[key] for row in drawn.history_], [row[key] for row in given.history_]
        )


def test_given_clips_need_no_fraction(toy):
    X, y, _ = toy
    clf = MultiViewBlendingClassifier(**NET, validation_fraction=None)
    with pytest.raises(ValueError, match="Set validation_fraction"):
        clone(clf).fit(X, y)
    clf.fit(X, y, X_valid=X[::3], y_valid=y[::3])
    assert np.isfinite([row["valid_loss"] for row in clf.history_]).all()


def test_given_clips_may_have_no_class_of_those_that_count(toy):
    """Overfitting is then measured on any training clips."""
    X, y, _ = toy
    clf = MultiViewBlendingClassifier(**NET)
    known = (y != "a").astype(float)
    clf.fit(X, y, sample_weight=known, X_valid=X[:3], y_valid=y[:3])
    assert np.isfinite([row["valid_loss"] for row in clf.history_]).all()
    tags = np.c_[y == "b", y == "c"].astype(int)
    clf.fit(X[12:], tags[12:], X_valid=X[:3], y_valid=tags[:3])  # none has a tag
    assert np.isfinite([row["valid_loss"] for row in clf.history_]).all()


def test_sounds_and_paths_are_validated_with(tmp_path):
    rng = np.random.default_rng(0)
    X = 0.1 * rng.normal(size=(12, 4000)).astype(np.float32)
    y = np.arange(12) % 2
    X[y == 1] *= 3
    paths = []
    for i, x in enumerate(X):
        paths.append(str(tmp_path / f"{i}.wav"))
        sf.write(paths[-1], x, 8000, subtype="FLOAT")
    clf = CRNNClassifier(
        views=MelView(sr=8000, n_mels=8), **NET | {"segment_length": 0.2}
    )
    arrays = clone(clf).fit(X[:8], y[:8], X_valid=X[8:], y_valid=y[8:])
    files = clone(clf).fit(paths[:8], y[:8], X_valid=paths[8:], y_valid=y[8:])
    assert_same(arrays, files)
    assert arrays.history_[-1]["valid_score"] in np.arange(5) / 4


def test_in_a_pipeline_the_steps_before_transform_them(toy):
    X, y, _ = toy
    with sklearn.config_context(enable_metadata_routing=True):
        clf = CRNNClassifier(**NET).set_fit_request(X_valid=True, y_valid=True)
        model = make_pipeline(ViewScaler(), clf, transform_input=["X_valid"])
        mel = X.select(["mel"])
        model.fit(mel[::2], y[::2], X_valid=mel[1::2], y_valid=y[1::2])
    scaler = ViewScaler().fit(mel[::2])
    by_hand = clone(clf).fit(
        *(scaler.transform(mel[::2]), y[::2]),
        X_valid=scaler.transform(mel[1::2]),
        y_valid=y[1::2],
    )
    assert_same(model[-1], by_hand)


def test_meta_estimators_and_embedders_take_them(toy):
    X, y, _ = toy
    mel = X.select(["mel"])
    further = {"X_valid": mel[1::2], "y_valid": y[1::2]}
    net = CRNNClassifier(**NET)
    for model in (
        FineTunedClassifier(net, max_epochs=2, random_state=0),
        DistilledClassifier(net, clone(net)),
    ):
        model.fit(mel[::2], y[::2], **further)
        assert np.isfinite([row["valid_score"] for row in model.history_]).all()
    embedder = AutoencoderEmbedder(segment_length=0.4, max_epochs=2, random_state=0)
    embedder.fit(mel[::2], X_valid=mel[1::2])
    assert np.isfinite([row["valid_loss"] for row in embedder.history_]).all()


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_first_trainings_and_teachers_validate_with_them_too(toy, in_pipeline):
    """Which these need: without validation clips they refuse to be trained."""
    X, y, _ = toy
    net = MultiViewBlendingClassifier(**NET, validation_fraction=None)
    first = make_pipeline(ViewScaler(), net) if in_pipeline else net
    further = {"X_valid": X[1::2], "y_valid": y[1::2]}
    tuned = FineTunedClassifier(first, max_epochs=1, random_state=0)
    tuned.fit(X[::2], y[::2], **further)
    student = DistilledClassifier(clone(net), first).fit(X[::2], y[::2], **further)
    by_hand = clone(net)
    scaler = ViewScaler().fit(X[::2]) if in_pipeline else None
    scaled = [x if scaler is None else scaler.transform(x) for x in (X[::2], X[1::2])]
    by_hand.fit(scaled[0], y[::2], X_valid=scaled[1], y_valid=y[1::2])
    teacher = student.teacher_[-1] if in_pipeline else student.teacher_
    assert_same(teacher, by_hand)


@pytest.mark.parametrize(
    ("further", "message"),
    [
        ({"y_valid": [0]}, "X_valid and y_valid go together"),
        ({"X_valid": "X", "y_valid": "odd"}, "y_valid: There is no output for the cl"),
        ({"X_valid": "few", "y_valid": "y"}, "y_valid: Found input variables with inc"),
        ({"X_valid": "raw", "y_valid": "y"}, "X_valid: .*view"),
        ({"X_valid": "slow", "y_valid": "y"}, "X_valid: View 'mel' has 40 steps per s"),
        ({"X_valid": [], "y_valid": []}, "X_valid: "),
        ({"X_test": "raw", "y_test": "y"}, "X_test: .*view"),
    ],
)
def test_odd_clips_are_refused(toy, further, message):
    X, y, _ = toy
    mel = X.select(["mel"])
    known = {"X": mel, "few": mel[:5], "raw": X.select(["raw"]), "y": y}
    known["slow"] = Views({"mel": mel["mel"]}, {"mel": 40.0})
    known["odd"] = np.where(y == "a", "d", y)
    further = {
        k: known.get(v, v) if isinstance(v, str) else v for k, v in further.items()
    }
    with pytest.raises(ValueError, match=message):
        CRNNClassifier(**NET).fit(mel, y, **further)


# ------------------------------------------------------------ what is watched


class Seen(Callback):
    """Weights and figures at the end of every epoch."""

    def __init__(self):
        self.rows = []

    def on_epoch_end(self, net, **kwargs):
        state = {k: v.clone() for k, v in net.module_.state_dict().items()}
        self.rows.append((state, dict(net.history[-1])))


def fitted(toy, validation, **options):
    """A classifier, its states by epoch, and the clips of its validation."""
    X, y, _ = toy
    mel, seen = X.select(["mel"]), Seen()
    clf = CRNNClassifier(
        **NET | {"max_epochs": 6, "lr": 0.02} | options, callbacks=[seen]
    )
    clf.set_params(validation_fraction=validation)
    clf.fit(mel[::2], y[::2], X_valid=mel[1::2], y_valid=y[1::2])
    return clf, seen.rows, (mel[1::2], y[1::2])


@pytest.mark.parametrize("n_segments", [1, 3, "all"])
def test_segments_of_validation(toy, n_segments):
    """The recorded loss is the mean over all segments, cut here by hand."""
    clf, rows, (X, y) = fitted(toy, Validation(n_segments=n_segments, keep="last"))
    starts = {1: [5], 3: [0, 5, 10], "all": [0]}[n_segments]  # of 20 of 30 frames
    module = clf.net_.module_.eval()
    module.load_state_dict(rows[-1][0])
    segments = torch.cat([torch.from_numpy(X["mel"][:, :, s : s + 20]) for s in starts])
    with torch.no_grad():
        (logits,) = module({"mel": segments}).values()
    labels = torch.from_numpy(np.tile(np.searchsorted(["a", "b", "c"], y), len(starts)))
    loss = torch.nn.functional.cross_entropy(logits, labels)
    assert rows[-1][1]["valid_loss"] == pytest.approx(float(loss), rel=1e-4)


def test_what_is_monitored_is_kept(toy):
    for monitor, key, best in (
        ("score", "valid_score", max),
        ("loss", "valid_loss", min),
    ):
        clf, rows, _ = fitted(toy, Validation(monitor=monitor))
        figures = [row[key] for _, row in rows]
        last = len(figures) - 1 - figures[::-1].index(best(figures))
        for name, values in rows[last][0].items():
            torch.testing.assert_close(weights_of(clf)[name], values, rtol=0, atol=0)


def test_the_last_model_is_kept(toy):
    clf, rows, _ = fitted(toy, Validation(keep="last"))
    for name, values in rows[-1][0].items():
        torch.testing.assert_close(weights_of(clf)[name], values, rtol=0, atol=0)


def test_the_best_of_the_last_stage_is_kept(toy):
    """Although one of the first stage has a better loss: its rate grows here."""
    schedule = PlateauSchedule(n_stages=2, factor=1 + 1e-9, patience=0)
    options = {"lr_schedule": schedule, "max_epochs": 60, "lr": 0.05}
    validation = Validation(monitor="loss", keep="last-stage")
    clf, rows, _ = fitted(toy, validation, **options)
    losses = [row["valid_loss"] for _, row in rows]
    ends = [i for i in range(1, len(losses)) if losses[i] >= losses[i - 1]]
    second = losses[ends[0] + 1 :]
    kept = ends[0] + 1 + second.index(min(second))
    # at the end of a stage its best weights are loaded, before they are seen here
    for name, values in rows[kept][0].items():
        torch.testing.assert_close(weights_of(clf)[name], values, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("keep", "step"), [("best", 2), ("last-stage", 5), ("last", None)]
)
def test_what_is_kept_by_hand(keep, step):
    """Of scores that are best in the first stage; later ones win ties."""
    net, rate = SimpleNamespace(average=None), SimpleNamespace(stage=0)
    net.module_ = torch.nn.BatchNorm1d(1)
    rows = [(0, 0.5), (0, 0.9), (0, 0.1), (1, 0.3), (1, 0.4), (1, 0.2)]
    validation = Validation(keep=keep)
    evaluation = Evaluation({}, None, None, validation, rate, period=1, n_evaluations=6)
    evaluation.rule = SimpleNamespace(weights=np.ones(1))
    for evaluation.step, (rate.stage, score) in enumerate(rows, start=1):
        torch.nn.init.constant_(net.module_.weight, evaluation.step)
        evaluation._keep(net, score)
    evaluation.on_train_end(net)
    assert evaluation.best_step == (step or 6)
    assert net.module_.weight.item() == (step or 6)


@pytest.mark.parametrize(("monitor", "step"), [("score", 2), ("loss", 1)])
def test_what_is_monitored_by_hand(monitor, step):
    """The second network has the better score, the first the lower loss."""
    net = SimpleNamespace(module_=torch.nn.BatchNorm1d(1))
    net.set_loss_weights = lambda terms, weights: None
    target, rate = SimpleNamespace(decides=False), SimpleNamespace(stage=0)
    evaluation = Evaluation(
        *({}, target, None, Validation(monitor=monitor), rate),
        period=1,
        n_evaluations=3,
    )
    evaluation.terms = ("joint",)
    evaluation.rule = SimpleNamespace(weights=np.ones(1), update=lambda a, b: a)
    rows = [(0.2, 0.1), (0.5, 0.9), (np.nan, 1.0)]
    for evaluation.step, (loss, score) in enumerate(rows, start=1):
        evaluation._update(net, {"valid": {"joint": loss}}, score)
    assert evaluation.best_step == step


def test_a_stage_starts_from_the_best_average_and_a_new_one(toy):
    averages = []

    class Watch(Seen):
        def on_epoch_end(self, net, **kwargs):
            super().on_epoch_end(net)
            averages.append({k: v.clone() for k, v in net.average.average.items()})

    X, y, _ = toy
    mel, seen = X.select(["mel"]), Watch()
    CRNNClassifier(
        **NET | {"max_epochs": 40, "lr": 0.05},
        optimizer=Optimizer(average_epochs=0.6),
        lr_schedule=PlateauSchedule(patience=0, n_stages=2),
        callbacks=[seen],
    ).fit(mel[::2], y[::2], X_valid=mel[1::2], y_valid=y[1::2])
    losses = [figures["valid_loss"] for _, figures in seen.rows]
    end = next(i for i in range(1, len(losses)) if losses[i] >= losses[i - 1])
    assert end < len(losses) - 1
    for name, values in seen.rows[end][0].items():
        torch.testing.assert_close(values, averages[end - 1][name], rtol=0, atol=0)
        torch.testing.assert_close(averages[end][name], values, rtol=0, atol=0)
    live, average = seen.rows[end - 1][0], averages[end - 1]
    assert any(not torch.equal(live[k], average[k]) for k in live)


def test_the_end_of_the_last_stage_is_a_part_of_it(toy, monkeypatch):
    """What is evaluated after it replaces only what is worse."""
    X, y, groups = toy
    seen, keep = [], Evaluation._keep

    def watched(self, net, score):
        seen.append((self.rate.stage, score))
        keep(self, net, score)
        seen[-1] += (self.best_score,)

    monkeypatch.setattr(Evaluation, "_keep", watched)
    clf = MultiViewBlendingClassifier(
        **NET | {"max_epochs": 60},
        blending=Blending(rule="uniform", period=4),
        lr_schedule=PlateauSchedule(patience=0, n_stages=2),
        validation_fraction=Validation(2, monitor="loss", keep="last-stage"),
    ).fit(X, y, groups=groups)
    assert clf.history_[-1]["step"] % 4  # one more evaluation at the end
    last = max(stage for stage, _, _ in seen)
    assert last == 1
    assert seen[-1][2] == max(score for stage, score, _ in seen if stage == last)


def test_a_ladder_that_is_cut_off_warns(toy):
    X, y, _ = toy
    clf = CRNNClassifier(**NET, validation_fraction=2, lr_schedule="reduce-on-plateau")
    with pytest.warns(ConvergenceWarning, match="max_epochs=3 ended .* stage 1 of 5"):
        clf.fit(X.select(["mel"]), y)


def test_parameters_can_be_searched(toy):
    X, y, _ = toy
    grid = {
        "validation_fraction__n_segments": [1, 2],
        "optimizer__average_epochs": [0, 1.5],
    }
    search = GridSearchCV(
        CRNNClassifier(**NET | {"max_epochs": 1}, validation_fraction=2), grid, cv=2
    )
    search.fit(X.select(["mel"]), y)
    assert isinstance(search.best_estimator_.optimizer, Optimizer)
    assert search.best_estimator_.validation_fraction.fraction == 2


# ------------------------------------------------------------ averaged weights


class Steps(Callback):
    """Weights after every step."""

    def __init__(self):
        self.states = []

    def on_batch_end(self, net, **kwargs):
        state = net.module_.state_dict()
        self.states.append({k: v.clone().double() for k, v in state.items()})


def test_averaged_weights_by_hand(toy):
    X, y, _ = toy
    steps = Steps()
    clf = CRNNClassifier(
        **NET | {"max_epochs": 4},
        optimizer=Optimizer(average_epochs=1.5),
        validation_fraction=None,
        callbacks=[steps],
    ).fit(X.select(["mel"]), y)
    horizon = 1.5 * 5  # 36 clips in batches of 8
    assert len(steps.states) == 20
    plain = CRNNClassifier(**NET | {"max_epochs": 4}, validation_fraction=None)
    plain.fit(X.select(["mel"]), y)
    for name, values in weights_of(plain).items():  # training itself is the same
        np.testing.assert_array_equal(values.double(), steps.states[-1][name])
    start = CRNNClassifier(
        **NET | {"max_epochs": 1, "lr": 1e-12}, validation_fraction=None
    )
    average = {
        k: v.double() for k, v in weights_of(start.fit(X.select(["mel"]), y)).items()
    }
    for t, state in enumerate(steps.states, start=1):
        share = max(1 / horizon, 9 / (10 + t))
        average = {k: (1 - share) * v + share * state[k] for k, v in average.items()}
    for name, values in weights_of(clf).items():
        if values.is_floating_point() and "running" not in name:
            np.testing.assert_allclose(values, average[name], atol=1e-5)


def test_less_than_a_step_averages_nothing(toy):
    X, y, _ = toy
    mel = X.select(["mel"])
    plain = CRNNClassifier(**NET).fit(mel, y)
    few = CRNNClassifier(**NET, optimizer=Optimizer(average_epochs=1e-6)).fit(mel, y)
    for name, values in weights_of(few).items():
        torch.testing.assert_close(values, weights_of(plain)[name])


def test_the_average_is_evaluated_and_kept(toy):
    """Its loss is recorded; it is what the classifier predicts with."""
    clf, rows, (X, y) = fitted(
        toy, Validation(keep="last"), optimizer=Optimizer(average_epochs=3)
    )
    segments = torch.from_numpy(X["mel"][:, :, 5:25])
    with torch.no_grad():
        (logits,) = clf.net_.module_.eval()({"mel": segments}).values()
    labels = torch.from_numpy(np.searchsorted(["a", "b", "c"], y))
    loss = float(torch.nn.functional.cross_entropy(logits, labels))
    assert clf.history_[-1]["valid_loss"] == pytest.approx(loss, rel=1e-4)
    live = rows[-1][0]
    assert any(not torch.equal(v, live[k]) for k, v in weights_of(clf).items())


# ------------------------------------------------------------- going on longer


LONGER = {
    "constant": {"lr_schedule": "constant"},
    "averaged": {
        "lr_schedule": "constant",
        "optimizer": Optimizer("nesterov", average_epochs=2),
    },
    "plateau": {"lr_schedule": PlateauSchedule(patience=1, n_stages=9)},
}


@pytest.mark.parametrize("name", LONGER)
def test_more_epochs_go_on_from_the_checkpoint(toy, tmp_path, name):
    """To the bit what one longer training gives."""
    X, y, groups = toy
    mel = X.select(["mel"])
    clf = CRNNClassifier(**NET, **LONGER[name], validation_fraction=2)
    path = tmp_path / "training"
    clone(clf).fit(mel, y, groups=groups, checkpoint=path)
    seen = Seen()
    longer = clone(clf).set_params(max_epochs=6, callbacks=[seen])
    longer.fit(mel, y, groups=groups, checkpoint=path)
    assert len(seen.rows) == 3
    once = clone(clf).set_params(max_epochs=6).fit(mel, y, groups=groups)
    assert_same(longer, once)
    assert len(longer.history_) == 6


def test_a_schedule_of_the_whole_training_cannot_go_on(toy, tmp_path):
    X, y, _ = toy
    mel, path = X.select(["mel"]), tmp_path / "training"
    clf = CRNNClassifier(**NET).fit(mel, y, checkpoint=path)
    with pytest.raises(ValueError, match="What differs: max_epochs"):
        clf.set_params(max_epochs=6).fit(mel, y, checkpoint=path)


@pytest.mark.parametrize("window", ["auto", 2])
def test_blending_goes_on_with_a_window_of_its_own(toy, tmp_path, window):
    """Where it is a share of the training it would have been another one."""
    X, y, groups = toy
    clf = MultiViewBlendingClassifier(
        **NET | {"max_epochs": 4},
        blending=Blending(period=1, window=window),
        lr_schedule="constant",
        validation_fraction=2,
    )
    path = tmp_path / "training"
    clone(clf).fit(X, y, groups=groups, checkpoint=path)
    longer = clone(clf).set_params(max_epochs=8)
    if window == "auto":
        with pytest.raises(ValueError, match="What differs: max_epochs"):
            longer.fit(X, y, groups=groups, checkpoint=path)
        return
    longer.fit(X, y, groups=groups, checkpoint=path)
    once = clone(clf).set_params(max_epochs=8).fit(X, y, groups=groups)
    assert_same(longer, once)
    np.testing.assert_array_equal(longer.branch_weights_, once.branch_weights_)
    assert not np.allclose(once.branch_weights_, 1 / len(once.branch_weights_))


def test_fewer_epochs_than_there_are_is_no_damage(toy, tmp_path):
    X, y, _ = toy
    mel, path = X.select(["mel"]), tmp_path / "training"
    clf = CRNNClassifier(**NET, lr_schedule="constant").fit(mel, y, checkpoint=path)
    with pytest.raises(ValueError, match=r"has 3 epochs .* max_epochs=2\. Raise"):
        clf.set_params(max_epochs=2).fit(mel, y, checkpoint=path)


def test_other_clips_to_validate_with_are_another_training(toy, tmp_path):
    X, y, _ = toy
    mel, path = X.select(["mel"]), tmp_path / "training"
    clf = CRNNClassifier(**NET)
    clf.fit(mel[::2], y[::2], X_valid=mel[1::2], y_valid=y[1::2], checkpoint=path)
    clf.fit(mel[::2], y[::2], X_valid=mel[1::2], y_valid=y[1::2], checkpoint=path)
    with pytest.raises(ValueError, match="What differs: X_valid, y_valid"):
        clf.fit(mel[::2], y[::2], X_valid=mel[3::2], y_valid=y[3::2], checkpoint=path)
    other = np.roll(y[1::2], 1)  # the same clips
    with pytest.raises(ValueError, match="What differs: X_valid, y_valid"):
        clf.fit(mel[::2], y[::2], X_valid=mel[1::2], y_valid=other, checkpoint=path)
    clf.set_params(validation_fraction=Validation(monitor="loss"))
    with pytest.raises(ValueError, match="What differs: validation"):
        clf.fit(mel[::2], y[::2], X_valid=mel[1::2], y_valid=y[1::2], checkpoint=path)


# --------------------------------------------------------- consecutive segments


class Starts(Callback):
    """First samples of the segments of every epoch."""

    def __init__(self):
        self.epochs = []

    def on_epoch_begin(self, net, **kwargs):
        self.epochs.append([])

    def on_batch_end(self, net, batch, **kwargs):
        self.epochs[-1] += batch[0].own["waveform"][:, 0].tolist()


def test_an_epoch_has_all_consecutive_segments():
    """Of clips of 8 to 29 samples and segments of 9: whole ones, one at least."""
    from skaudio.neural_network import Augmentation

    lengths = [29, 27, 26, 9, 8]
    first = np.cumsum([0, *lengths])
    X = [
        np.arange(a, a + n, dtype=np.float32)
        for a, n in zip(first, lengths, strict=False)
    ]
    starts = Starts()
    SampleCNNClassifier(
        sr=8000,
        sizes=(3, 3),
        width=0.02,
        augmentation=Augmentation(segments="consecutive"),
        max_epochs=2,
        batch_size=4,
        lr_schedule="one-cycle",
        validation_fraction=None,
        callbacks=[starts],
        random_state=0,
    ).fit(X, [0, 1, 0, 1, 0])
    expected = [0, 9, 18, 29, 38, 47, 56, 65, 82, 91]
    a, b = starts.epochs
    assert sorted(a) == sorted(b) == expected
    assert a != b
