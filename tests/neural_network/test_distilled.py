"""`DistilledClassifier`: losses by hand, all kinds of teachers and students."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from skorch.callbacks import Callback

from skaudio.ensemble import FrameClassifier
from skaudio.neural_network import (
    Augmentation,
    CoalaTagClassifier,
    CRNNClassifier,
    DistilledClassifier,
    FineTunedClassifier,
    MobileNetClassifier,
    MultiViewBlendingClassifier,
    SampleCNNClassifier,
    SwishNetClassifier,
)
from skaudio.persistence import load, save
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import CoalaView, MelView, MFCCView, RawView, Views, ViewUnion

SR = 8000
FAST = {"max_epochs": 1, "batch_size": 8, "random_state": 0, "device": "cpu"}
STUDENT = SwishNetClassifier(**FAST, variant=0.5)
STATISTICS = make_pipeline(FrameStatistics(), StandardScaler(), LogisticRegression())
MFCC = MFCCView(sr=SR, n_fft=256, hop_length=80, n_mels=20, n_mfcc=12)
CLASSES = np.array(["music", "noise", "speech"])


@pytest.fixture(scope="module")
def clips():
    """30 clips of 40 frames, at 100 a second, in three classes."""
    rng = np.random.default_rng(0)
    y = np.array(["noise", "music", "speech"] * 10)
    level = np.select([y == "noise", y == "music"], [-1.0, 0.0], 1.0)[:, None, None]
    X = (rng.normal(size=(30, 6, 40)) + level).astype(np.float32)
    return Views({"mfcc": X}, {"mfcc": 100.0}), y


@pytest.fixture(scope="module")
def sound():
    rng = np.random.default_rng(0)
    y = np.array(["quiet", "loud"] * 6)
    level = np.where(y == "loud", 1.0, 0.1)[:, None]
    return (level * rng.normal(size=(12, 4000)) / 4).astype(np.float32), y


class Says(ClassifierMixin, BaseEstimator):
    """A teacher whose probabilities are given."""

    def __init__(self, proba=None, classes=CLASSES):
        self.proba = proba
        self.classes = classes

    def fit(self, X, y):
        self.classes_ = self.classes
        return self

    def predict_proba(self, X):
        return np.tile(self.proba, (len(X), 1))

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def random_proba(n_clips=30, n_classes=3, seed=1):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(n_classes), n_clips)


class Knows(Says):
    """A teacher who knows every clip, in the order of fit."""

    def predict_proba(self, X):
        return self.proba[: len(X)]


def log_softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def softened(proba, temperature):
    z = np.log(proba) / temperature
    return np.exp(log_softmax(z))


class Spy(Callback):
    """Keeps logits, targets and loss of the first step, for copies of it as well."""

    seen: dict = {}

    def on_train_begin(self, net, **kwargs):
        self.seen.clear()

    def on_batch_end(self, net, batch, training, loss=None, y_pred=None, **kwargs):
        if training and not self.seen:
            (logits,) = y_pred.values()
            self.seen["logits"] = logits.detach().numpy()
            self.seen["loss"] = float(loss.detach())
            self.seen |= {name: target.numpy() for name, target in batch[1].items()}


# ------------------------------------------------------------------------- the loss


@pytest.mark.parametrize("class_weight", [None, {"noise": 5.0, "music": 0.5}])
@pytest.mark.parametrize(
    ("temperature", "alpha", "scale"),
    [(1, 0.9, True), (4, 0.9, True), (4.0, 0.9, False), (0.5, 0.3, True)],
)
def test_the_loss_of_the_first_step_by_hand(
    clips, class_weight, temperature, alpha, scale
):
    X, y = clips
    proba = random_proba()
    student = clone(STUDENT).set_params(
        callbacks=[Spy()], class_weight=class_weight, batch_size=30
    )
    DistilledClassifier(
        student,
        Knows(proba),
        temperature=temperature,
        alpha=alpha,
        scale_by_temperature=scale,
    ).fit(X, y)
    logits, labels = Spy.seen["logits"], Spy.seen["label"]
    known = softened(proba, temperature)
    is_row = np.isclose(known, Spy.seen["teacher"][:, None], atol=1e-6).all(axis=2)
    row_of = is_row.argmax(axis=1)
    assert sorted(row_of) == list(range(30))  # in the order of this epoch
    np.testing.assert_array_equal(CLASSES[labels], y[row_of])
    soft = known[row_of]
    of_teacher = -(soft * log_softmax(logits / temperature)).sum(axis=1).mean()
    of_teacher *= temperature**2 if scale else 1
    weights = {"music": 1.0, "noise": 1.0, "speech": 1.0} | (class_weight or {})
    losses = -log_softmax(logits)[np.arange(30), labels]
    of_labels = np.average(losses, weights=[weights[CLASSES[k]] for k in labels])
    expected = alpha * of_teacher + (1 - alpha) * of_labels
    assert Spy.seen["loss"] == pytest.approx(expected, rel=1e-4)


def test_mixed_clips_have_mixed_targets(sound):
    """Shares of both labels, and of both softened probabilities."""
    X, y = sound
    for mix in ("mixup", "between-class"):
        proba = random_proba(12, 2)
        student = clone(STUDENT).set_params(
            callbacks=[Spy()],
            views=MFCC,
            augmentation=Augmentation(mix=mix),
            batch_size=12,
        )
        teacher = Knows(proba, classes=np.array(["loud", "quiet"]))
        DistilledClassifier(student, teacher, temperature=3.0).fit(X, y)
        labels, soft = Spy.seen["label"], Spy.seen["teacher"]
        assert labels.shape == soft.shape == (12, 2)
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
        known = softened(proba, 3.0)
        is_pure = [np.isclose(known, row, atol=1e-6).all(axis=1).any() for row in soft]
        assert not all(is_pure)
        logits = Spy.seen["logits"]
        expected = -9 * (soft * log_softmax(logits / 3)).sum(axis=1).mean() * 0.9
        expected -= 0.1 * (labels * log_softmax(logits)).sum(axis=1).mean()
        assert Spy.seen["loss"] == pytest.approx(expected, rel=1e-4)


def test_without_a_share_of_the_teacher_it_is_the_student_alone(clips):
    X, y = clips
    alone = clone(STUDENT).fit(X, y)
    for teacher in (Knows(random_proba()), STATISTICS):
        distilled = DistilledClassifier(STUDENT, teacher, alpha=0).fit(X, y)
        np.testing.assert_allclose(
            distilled.predict_proba(X), alone.predict_proba(X), atol=1e-5
        )


def test_certain_teachers_are_finite(clips):
    """Zeros have no logarithm."""
    X, y = clips
    certain = (y[:, None] == CLASSES).astype(float)
    distilled = DistilledClassifier(STUDENT, Knows(certain), temperature=8)
    proba = distilled.fit(X, y).predict_proba(X)
    assert np.isfinite(proba).all()
    assert np.isfinite([row["train_loss"] for row in distilled.history_]).all()


def test_a_student_follows_its_teacher_and_not_the_labels(clips):
    """Of shuffled labels nothing can be learned, of the teacher's outputs all."""
    X, y = clips
    teacher = FrozenEstimator(clone(STATISTICS).fit(X, y))
    shuffled = np.random.default_rng(0).permutation(y)
    student = SwishNetClassifier(**FAST | {"max_epochs": 15}, lr=0.02)
    distilled = DistilledClassifier(student, teacher, alpha=1).fit(X, shuffled)
    assert np.mean(distilled.predict(X) == teacher.predict(X)) > 0.9
    assert distilled.score(X, shuffled) < 0.7
    of_labels = DistilledClassifier(student, teacher, alpha=0).fit(X, y)
    assert of_labels.score(X, y) > 0.9


# -------------------------------------------------------------- teachers and students


def test_a_teacher_is_fitted_unless_it_is_frozen(clips):
    X, y = clips
    ours = MobileNetClassifier(**FAST, width=0.05)
    for teacher in (ours, STATISTICS, FrameClassifier(LogisticRegression())):
        distilled = DistilledClassifier(STUDENT, teacher).fit(X, y)
        assert not hasattr(teacher, "classes_")
        expected = clone(teacher).fit(X, y)
        np.testing.assert_allclose(
            distilled.teacher_.predict_proba(X), expected.predict_proba(X), atol=1e-6
        )
        frozen = DistilledClassifier(STUDENT, FrozenEstimator(expected)).fit(X, y)
        np.testing.assert_allclose(
            frozen.predict_proba(X), distilled.predict_proba(X), atol=1e-6
        )
    with pytest.raises(NotFittedError):
        DistilledClassifier(STUDENT, FrozenEstimator(ours)).fit(X, y)


def test_students_of_all_kinds(clips):
    X, y = clips
    for student in (
        STUDENT,
        CRNNClassifier(**FAST, width=0.05),
        make_pipeline(ViewScaler(), STUDENT),
    ):
        distilled = DistilledClassifier(student, STATISTICS).fit(X, y)
        assert distilled.predict_proba(X).shape == (30, 3)
        np.testing.assert_array_equal(distilled.classes_, CLASSES)
        assert type(distilled.student_) is type(student)
        assert not hasattr(student, "classes_")


def test_every_branch_of_a_student_learns(clips):
    X, y = clips
    both = Views({"a": X["mfcc"], "b": X["mfcc"][:, :4]}, {"a": 100.0, "b": 100.0})
    student = MultiViewBlendingClassifier(
        **FAST | {"max_epochs": 2}, width=0.05, validation_fraction=0.3
    )
    proba = random_proba()
    distilled = DistilledClassifier(student, Knows(proba), alpha=1).fit(both, y)
    branches = distilled.student_.branch_proba(both)
    assert branches.keys() == {"a", "b", "joint"}
    terms = {key for row in distilled.student_.blending_history_ for key in row}
    assert terms
    before = DistilledClassifier(
        clone(student).set_params(lr=1e-12, max_epochs=1), Knows(proba), alpha=1
    ).fit(both, y)
    for name, of_branch in before.student_.branch_proba(both).items():
        assert not np.allclose(of_branch, branches[name], atol=1e-4), name


def test_pipelines_from_sound(sound):
    X, y = sound
    student = SwishNetClassifier(**FAST, views=MFCC)
    mel = MelView(sr=SR, n_fft=256, hop_length=80, n_mels=16)
    inside = MobileNetClassifier(**FAST, views=mel, width=0.05)
    steps = make_pipeline(mel, ViewScaler(), MobileNetClassifier(**FAST, width=0.05))
    for teacher in (inside, steps):
        distilled = DistilledClassifier(student, teacher).fit(X, y)
        assert distilled.predict_proba(X).shape == (12, 2)
        ragged = [X[0], X[1][:900]]
        assert distilled.predict(ragged).shape == (2,)
    piped = make_pipeline(MFCC, ViewScaler(), clone(STUDENT))
    assert DistilledClassifier(piped, steps).fit(X, y).predict(X).shape == (12,)


@pytest.mark.parametrize(
    "student",
    [
        SampleCNNClassifier(
            **FAST,
            **{"sr": SR, "sizes": (3,) * 5, "width": 0.05},
            **{"validation_fraction": None, "lr_schedule": "one-cycle"},
        ),
        CoalaTagClassifier(**FAST, width=0.02, views=CoalaView(min_duration=2.3)),
        MultiViewBlendingClassifier(
            **FAST,
            **{"width": 0.05, "validation_fraction": 0.3},
            views=ViewUnion([("mfcc", MFCC), ("raw", RawView(sr=SR))]),
        ),
    ],
    ids=lambda student: type(student).__name__,
)
def test_students_on_sound(sound, student):
    X, y = sound
    teacher = make_pipeline(MFCC, clone(STATISTICS))
    distilled = DistilledClassifier(student, teacher, alpha=1, temperature=2)
    distilled.fit(X, y, X_test=X[:4], y_test=y[:4])
    assert distilled.predict_proba(X).shape == (12, 2)
    assert np.isfinite(distilled.history_[0]["test_loss"])
    assert type(distilled.student_) is type(student)


def test_a_list_as_y(clips):
    X, y = clips
    distilled = DistilledClassifier(STUDENT, STATISTICS)
    one = distilled.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(distilled.fit(X, list(y)).predict_proba(X), one)


# ------------------------------------------------------------------------- classes


def test_a_teacher_may_know_more_classes(clips):
    X, y = clips
    teacher = FrozenEstimator(clone(STATISTICS).fit(X, y))
    few = np.flatnonzero(y != "noise")
    for class_weight in (None, "balanced", {"noise": 2.0}, {"speech": 2.0}):
        student = clone(STUDENT).set_params(class_weight=class_weight)
        distilled = DistilledClassifier(student, teacher).fit(X[few], y[few])
        np.testing.assert_array_equal(distilled.classes_, CLASSES)
        assert distilled.predict_proba(X).shape == (30, 3)


def test_a_teacher_must_know_all_classes(clips):
    X, y = clips
    few = np.flatnonzero(y != "noise")
    teacher = FrozenEstimator(clone(STATISTICS).fit(X[few], y[few]))
    message = r"no output for the class 'noise': outputs are for 'music', 'speech'.*tea"
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(STUDENT, teacher).fit(X, y)
    with pytest.raises(ValueError, match="no output for the class 0: outputs are for"):
        DistilledClassifier(STUDENT, teacher).fit(X, np.arange(30) % 2)


def test_labels_of_another_kind_are_no_classes_of_the_teacher(clips):
    """The text "1" is not the number 1."""
    X, y = clips
    numbers = np.unique(y, return_inverse=True)[1]
    teacher = FrozenEstimator(clone(STATISTICS).fit(X, numbers))
    with pytest.raises(ValueError, match="no output for the class '0'"):
        DistilledClassifier(STUDENT, teacher).fit(X, numbers.astype(str))
    distilled = DistilledClassifier(STUDENT, teacher).fit(X, numbers.astype(np.int8))
    np.testing.assert_array_equal(distilled.classes_, [0, 1, 2])


def test_a_teachers_columns_may_be_in_any_order(clips):
    X, y = clips
    proba, order = random_proba(), [2, 0, 1]
    one = DistilledClassifier(STUDENT, Knows(proba)).fit(X, y)
    other = DistilledClassifier(STUDENT, Knows(proba[:, order], CLASSES[order]))
    other.fit(X, y)
    np.testing.assert_array_equal(other.classes_, CLASSES)
    np.testing.assert_array_equal(other.predict_proba(X), one.predict_proba(X))


@pytest.mark.parametrize(
    ("proba", "message"),
    [
        ([0.5, 0.5, 0.5], r"row 0 sums to 1\.5"),
        ([1.5, -0.5, 0.0], "must not be negative"),
        ([0.5, 0.5], "have 2 columns; expected one for each of 3 classes"),
        ([np.nan, 0.5, 0.5], "NaN"),
        ([2.0, 1.0, 0.0], "Are these logits"),
    ],
)
def test_odd_probabilities_are_refused(clips, proba, message):
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(STUDENT, Says(proba)).fit(*clips)


def test_tags_are_refused(clips):
    X, y = clips
    tags = (y[:, None] == CLASSES).astype(int)
    message = "takes one class label per clip; got an indicator matrix of tags"
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(STUDENT, STATISTICS).fit(X, tags)
    of_tags = clone(STUDENT).fit(X, tags)
    with pytest.raises(ValueError, match="or probabilities of tags"):
        DistilledClassifier(STUDENT, FrozenEstimator(of_tags)).fit(X, y)
    table = X["mfcc"].mean(axis=2)
    several = MultiOutputClassifier(LogisticRegression()).fit(table, tags)
    message = "teacher.*one class label per clip"
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(STUDENT, FrozenEstimator(several)).fit(table, y)


def test_other_students_and_teachers_are_refused(clips):
    X, y = clips
    with pytest.raises(TypeError, match=r"neural classifier.*got LogisticRegression"):
        DistilledClassifier(LogisticRegression(), STATISTICS).fit(X, y)
    with pytest.raises(ValueError, match="'teacher' parameter"):
        DistilledClassifier(STUDENT, SVC()).fit(X, y)
    for name, value in (("temperature", 0), ("temperature", -1), ("alpha", 1.1)):
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            DistilledClassifier(STUDENT, STATISTICS, **{name: value}).fit(X, y)


# ----------------------------------------------------- held-out clips and checkpoints


def test_clips_to_watch(clips):
    X, y = clips
    student = clone(STUDENT).set_params(max_epochs=3, validation_fraction=0.3)
    teacher = FrozenEstimator(clone(STATISTICS).fit(X, y))
    distilled = DistilledClassifier(student, teacher, alpha=0.5)
    distilled.fit(X, y, X_test=X[:9], y_test=y[:9])
    assert len(distilled.history_) == 3
    losses = [row[k] for row in distilled.history_ for k in ("test_loss", "valid_loss")]
    assert np.isfinite(losses).all()
    scores = [row["valid_score"] for row in distilled.history_]
    assert 0 <= min(scores) <= max(scores) <= 1
    unwatched = clone(distilled).fit(X, y)
    np.testing.assert_array_equal(
        unwatched.predict_proba(X), distilled.predict_proba(X)
    )
    with pytest.raises(ValueError, match="X_test and y_test go together"):
        distilled.fit(X, y, X_test=X[:9])
    with pytest.raises(ValueError, match="X_test and y_test go together"):
        distilled.fit(X, y, y_test=y[:9])


def test_no_source_is_divided(clips):
    """Between training and validation; the teacher gets groups if it takes them."""
    X, y = clips
    groups = np.repeat(np.arange(10), 3)
    seen = []

    class Watching(Knows):
        def fit(self, X, y, groups=None):
            seen.append(groups)
            return super().fit(X, y)

    student = clone(STUDENT).set_params(validation_fraction=0.3)
    DistilledClassifier(student, Watching(random_proba())).fit(X, y, groups=groups)
    np.testing.assert_array_equal(seen[0], groups)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        DistilledClassifier(student, Knows(random_proba())).fit(X, y, groups[:5])


class Interrupted(Exception):
    pass


class Stop(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            raise Interrupted


def test_an_interrupted_distillation_goes_on_to_the_same_bits(clips, tmp_path):
    X, y = clips
    student = clone(STUDENT).set_params(max_epochs=5, dropout=0.2)
    teacher, path = Knows(random_proba()), tmp_path / "checkpoint"
    whole = DistilledClassifier(student, teacher).fit(X, y)
    half = clone(student).set_params(callbacks=[Stop()])
    with pytest.raises(Interrupted):
        DistilledClassifier(half, teacher).fit(X, y, checkpoint=path)
    resumed = DistilledClassifier(student, teacher).fit(X, y, checkpoint=path)
    np.testing.assert_array_equal(resumed.predict_proba(X), whole.predict_proba(X))
    for what, change in (
        ("alpha", {"alpha": 0.5}),
        ("scale_by_temperature", {"scale_by_temperature": False}),
        ("teacher", {"temperature": 3.0}),
        ("teacher", {"teacher": Knows(random_proba(seed=2))}),
    ):
        other = clone(resumed).set_params(**change)
        with pytest.raises(ValueError, match=f"What differs: .*{what}"):
            other.fit(X, y, checkpoint=path)
    with pytest.raises(ValueError, match="What differs"):
        clone(student).fit(X, y, checkpoint=path)  # without a teacher


# ------------------------------------------------------------------- what comes after


def test_parameters_are_reached_through_it(clips):
    X, y = clips
    teacher = FrozenEstimator(clone(STATISTICS).fit(X, y))
    distilled = DistilledClassifier(STUDENT, teacher)
    distilled.set_params(student__lr=0.5, student__max_epochs=2)
    assert distilled.fit(X, y).student_.lr == 0.5
    assert len(distilled.history_) == 2
    search = GridSearchCV(
        DistilledClassifier(STUDENT, teacher), {"temperature": [1, 4]}, cv=2
    )
    search.fit(X, y)
    assert search.best_estimator_.temperature in (1, 4)


def test_the_student_needs_no_teacher_afterwards(clips, tmp_path):
    X, y = clips
    distilled = DistilledClassifier(STUDENT, Knows(random_proba())).fit(X, y)
    student = distilled.student_
    assert type(student) is SwishNetClassifier
    save(student, tmp_path / "student.safetensors")
    loaded = load(tmp_path / "student.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), distilled.predict_proba(X))
    frames, _ = loaded.predict_frames_proba(X)
    assert frames.shape == (30, 3, 40)
    # it is as large as one that no teacher taught
    save(clone(STUDENT).fit(X, y), tmp_path / "alone.safetensors")
    sizes = [
        (tmp_path / f"{k}.safetensors").stat().st_size for k in ("student", "alone")
    ]
    assert abs(sizes[0] - sizes[1]) < 100  # numbers of the history
    whole = DistilledClassifier(STUDENT, LogisticRegression())
    table = X["mfcc"].mean(axis=2)
    save(whole.fit(table, y), tmp_path / "whole.safetensors")
    np.testing.assert_array_equal(
        load(tmp_path / "whole.safetensors").predict_proba(table),
        whole.predict_proba(table),
    )


def test_a_student_can_be_trained_further_with_its_head(clips):
    """On clips of two of the three classes, as on GTZAN's speech and music."""
    X, y = clips
    distilled = DistilledClassifier(STUDENT, STATISTICS).fit(X, y)
    few = np.flatnonzero(y != "noise")
    tuned = FineTunedClassifier(
        FrozenEstimator(distilled.student_),
        **{"reset_head": False, "freeze": 1.0, "max_epochs": 1, "lr": 1e-12},
        random_state=0,
    ).fit(X[few], y[few])
    np.testing.assert_array_equal(tuned.classes_, CLASSES)
    np.testing.assert_allclose(
        tuned.predict_proba(X), distilled.predict_proba(X), atol=1e-6
    )
    whole = clone(tuned).set_params(estimator=FrozenEstimator(distilled))
    np.testing.assert_array_equal(
        whole.fit(X[few], y[few]).predict_proba(X), tuned.predict_proba(X)
    )
    auto = clone(tuned).set_params(reset_head="auto").fit(X, y)  # the same classes
    np.testing.assert_allclose(
        auto.predict_proba(X), distilled.predict_proba(X), atol=1e-6
    )


def test_a_failed_fit_keeps_the_last_one(clips):
    X, y = clips
    distilled = DistilledClassifier(STUDENT, STATISTICS).fit(X, y)
    before = distilled.predict_proba(X)
    with pytest.raises(ValueError, match="inconsistent"):
        distilled.fit(X, y[:-1])
    np.testing.assert_array_equal(distilled.predict_proba(X), before)


def test_training_leaves_global_generators_alone(clips):
    X, y = clips
    state = torch.random.get_rng_state()
    student = clone(STUDENT).set_params(dropout=0.5)
    DistilledClassifier(student, MobileNetClassifier(**FAST, width=0.05)).fit(X, y)
    assert torch.equal(torch.random.get_rng_state(), state)
