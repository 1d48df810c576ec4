"""Networks that others might add, each on the seams of `skaudio._training`.

Three toys, of at most sixty lines each, that docs/contributing shows: an autoencoder
without labels, a network with sound and tags as its inputs, and a student of a teacher.
"""

import inspect
import pickle
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F

import skaudio.neural_network
from skaudio._training._classifier import SegmentClassifier
from skaudio._training._estimator import SegmentEstimator
from skaudio._training._labels import ClassLabels, TagIndicators
from skaudio._training._soft_labels import SoftLabels
from skaudio._training._targets import NoTarget
from skaudio.nn import OneBranch
from skaudio.persistence import load, save
from skaudio.views import Views


class Fixed:
    """Parameters that the toys do not vary; a real estimator takes them all."""

    views = augmentation = callbacks = class_weight = None
    batch_size, lr, optimizer, lr_schedule = 8, 0.01, "adam", "one-cycle"
    segment_length, n_segments, validation_fraction = 0.5, 3, 0.2
    device, mixed_precision, compile, verbose = "cpu", False, False, 0

    def __init__(self, max_epochs=4, random_state=0):
        self.max_epochs = max_epochs
        self.random_state = random_state


# ------------------------------------------------------- an autoencoder, no labels
# [autoencoder]


class AutoencoderNet(nn.Module):
    """Frames of one view to codes and back."""

    def __init__(self, views: Any, n_codes: int = 3) -> None:
        super().__init__()
        ((self.view, (n_bins, _)),) = views.items()
        self.encoder = nn.Linear(n_bins, n_codes)
        self.decoder = nn.Linear(n_codes, n_bins)

    def forward(self, inputs: Any) -> Any:
        """Views (clips, bins, steps) by name to outputs by name."""
        codes = self.encoder(inputs[self.view].mT).tanh()
        return {"codes": codes.mT, "reconstruction": self.decoder(codes).mT}


class SquaredError(nn.Module):
    """Reconstruction against the view that the network saw, augmented or not."""

    terms = ("reconstruction",)

    def forward(self, outputs: Any, targets: Any, inputs: Any) -> Any:
        (view,) = inputs.values()
        return {"reconstruction": F.mse_loss(outputs["reconstruction"], view)}


class ToyAutoencoder(Fixed, SegmentEstimator):
    """Codes of clips, learned without labels."""

    def fit(self, X: Any, y: Any = None, checkpoint: Any = None) -> Any:
        self._fit(
            X, lambda views: (NoTarget(SquaredError()), {}), checkpoint=checkpoint
        )
        return self

    def transform(self, X: Any) -> np.ndarray:
        return self._outputs(X, self._target.activate)["codes"].mean(axis=2)

    def _module(self) -> dict[str, Any]:
        return {"module": AutoencoderNet}


# [end]
# ------------------------------------------------------------ sound and tags, aligned
# [contrast]


class TwoTowers(nn.Module):
    """Embeddings of sound, and of tags where there are any."""

    def __init__(self, views: Any, n_outputs: int, n_features: int = 4) -> None:
        super().__init__()
        ((self.view, (n_bins, _)),) = views.items()
        self.sound = nn.Linear(n_bins, n_features)
        self.tags = nn.Linear(n_outputs, n_features)

    def forward(self, inputs: Any) -> Any:
        outputs = {"sound": F.normalize(self.sound(inputs[self.view].mean(2)))}
        if "label" in inputs:  # not in prediction
            tags = inputs["label"].to(outputs["sound"].dtype)
            outputs["tags"] = F.normalize(self.tags(tags))
        return outputs


class Contrast(nn.Module):
    """Cross-entropy of matching every clip's sound with its tags in the batch."""

    def forward(self, outputs: Any, targets: Any, inputs: Any) -> Any:
        similarity = outputs["sound"] @ outputs["tags"].T / 0.1
        pairs = torch.arange(len(similarity))
        return {"contrast": F.cross_entropy(similarity, pairs)}


class TagsAsInput(TagIndicators):
    """Tags as an input of the network; nothing is predicted about them."""

    inputs: ClassVar[tuple[str, ...]] = ("label",)
    decides: ClassVar[bool] = False
    batchwise: ClassVar[bool] = True  # clips are compared with each other

    def check(self, module: Any) -> None:
        pass

    def terms(self, module: Any) -> tuple[str, ...]:
        return ("contrast",)

    def criterion(self, arrays: Any, dtype: str) -> nn.Module:
        return Contrast()


class ToyAligner(Fixed, SegmentEstimator):
    """Embeddings of clips, close to those of their tags."""

    _target_kinds: ClassVar = (TagsAsInput,)

    def fit(self, X: Any, tags: Any, checkpoint: Any = None) -> Any:
        def encode(views: Any) -> Any:
            return TagsAsInput.from_y(self, views, tags)

        self._fit(X, encode, checkpoint=checkpoint)
        return self

    def transform(self, X: Any) -> np.ndarray:
        return self._outputs(X, self._target.activate)["sound"]

    def _module(self) -> dict[str, Any]:
        return {"module": TwoTowers}


# [end]
# ----------------------------------------------------------- a student of a teacher
# [student]


class Linear(nn.Module):
    """Mean over time and one layer."""

    hidden_layers, stages, output_layers = (), (), ("output",)

    def __init__(self, n_bins: int, n_outputs: int) -> None:
        super().__init__()
        self.output = nn.Linear(n_bins, n_outputs)

    def forward(self, x: Any) -> Any:
        return self.output(x.mean(2))


class ToyStudent(Fixed, SegmentClassifier):
    """Trained on a teacher's probabilities (nine tenths of the loss) and on labels."""

    _target_kinds: ClassVar = (SoftLabels,)

    def fit(self, X: Any, y: Any, teacher: Any = None, checkpoint: Any = None) -> Any:
        self._fit_labels(
            *(X, (y, teacher)),
            checkpoint=checkpoint,
            make_target=self._soft_labels,
        )
        return self

    def _soft_labels(self, estimator: Any, X: Any, y: Any, class_weight: Any) -> Any:
        classes = np.unique(y[0])
        target = SoftLabels(classes, class_weight, temperature=2.0, alpha=0.9)
        return target, target.encode(estimator, X, y)

    def _module(self) -> dict[str, Any]:
        return {"module": OneBranch, "module__network": Linear}


# [end]
# ------------------------------------------------------------------------------ tests


@pytest.fixture(scope="module")
def clips():
    """One view of 40 clips whose lowest bin depends on the class."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    mel = rng.standard_normal((40, 6, 60)).astype(np.float32)
    mel[:, 0] += 2 * y[:, None]
    return Views({"mel": mel}, {"mel": 50.0}), y


def arguments_of(toy, y):
    """What ``fit`` takes next to X."""
    if isinstance(toy, ToyAutoencoder):
        return {}
    if isinstance(toy, ToyAligner):
        return {"tags": np.eye(2, dtype=int)[y]}
    return {"y": y, "teacher": np.where(np.eye(2)[y] == 1, 0.9, 0.1)}


def result_of(toy, X):
    use = toy.predict_proba if isinstance(toy, ToyStudent) else toy.transform
    return use(X)


TOYS = [ToyAutoencoder, ToyAligner, ToyStudent]


@pytest.mark.parametrize("cls", TOYS)
def test_it_learns(cls, clips):
    X, y = clips
    toy = cls(max_epochs=30).fit(X, **arguments_of(cls(), y))
    first, last = toy.history_[0], toy.history_[-1]
    assert last["train_loss"] < 0.9 * first["train_loss"]
    assert last["valid_loss"] < first["valid_loss"]
    assert len(result_of(toy, X)) == 40


@pytest.mark.parametrize("cls", TOYS)
def test_one_seed_repeats_to_the_bit_and_two_differ(cls, clips):
    X, y = clips

    def result(seed):
        return result_of(cls(random_state=seed).fit(X, **arguments_of(cls(), y)), X)

    np.testing.assert_array_equal(result(3), result(3))
    assert not np.allclose(result(3), result(4))


class Interrupted(Exception):
    pass


class Stop(Callback):
    """Ends the process at the beginning of an epoch."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            raise Interrupted


@pytest.mark.parametrize("cls", TOYS)
def test_interrupted_training_ends_like_any_other(cls, clips, tmp_path):
    X, y = clips
    whole, toy = cls(), cls()
    whole.fit(X, **arguments_of(whole, y))
    toy.callbacks = [Stop()]
    with pytest.raises(Interrupted):
        toy.fit(X, checkpoint=tmp_path / "state", **arguments_of(toy, y))
    saved = torch.load(tmp_path / "state", weights_only=True)
    assert len(saved["history"]) == 2
    resumed = cls().fit(X, checkpoint=tmp_path / "state", **arguments_of(toy, y))
    np.testing.assert_array_equal(result_of(resumed, X), result_of(whole, X))
    for name, weights in whole.net_.module_.state_dict().items():
        assert torch.equal(weights, resumed.net_.module_.state_dict()[name])


@pytest.mark.parametrize("cls", TOYS)
def test_it_is_saved_and_loaded(cls, clips, tmp_path, monkeypatch):
    X, y = clips
    # as if it were exported by the package
    monkeypatch.setattr(skaudio.neural_network, cls.__name__, cls, raising=False)
    names = [*skaudio.neural_network.__all__, cls.__name__]
    monkeypatch.setattr(skaudio.neural_network, "__all__", names)
    toy = cls(max_epochs=1).fit(X, **arguments_of(cls(), y))
    save(toy, tmp_path / "toy.safetensors")
    for copy in (load(tmp_path / "toy.safetensors"), pickle.loads(pickle.dumps(toy))):
        np.testing.assert_array_equal(result_of(copy, X), result_of(toy, X))


def test_each_toy_has_sixty_lines_at_most():
    source = inspect.getsource(inspect.getmodule(Fixed))
    parts = source.split("# [end]\n")
    for name, part in zip(("autoencoder", "contrast", "student"), parts, strict=False):
        lines = part.split(f"# [{name}]\n")[1].splitlines()
        assert sum(bool(line.strip()) for line in lines) <= 60, name


# ------------------------------------------------- what the trainer does with targets


def test_the_criterion_sees_what_the_network_saw(clips):
    """The loss of an autoencoder is that of the views in the batch."""
    X, _ = clips
    seen = []

    class Spy(SquaredError):
        def forward(self, outputs, targets, inputs):
            seen.append({name: tuple(view.shape) for name, view in inputs.items()})
            assert targets == {}
            return super().forward(outputs, targets, inputs)

    toy = ToyAutoencoder(max_epochs=1)
    toy._fit(X, lambda views: (NoTarget(Spy()), {}))
    assert {"mel": (8, 6, 25)} in seen


def test_held_out_losses_are_means_over_clips(clips):
    """Batch by batch, weighted by size: 8 clips, the last batch is of other size."""
    X, _ = clips
    toy = ToyAutoencoder(max_epochs=1).fit(X)
    data = toy._spec.dataset(X[:11])
    rows, starts = data.even_segments(1)
    toy.net_.set_params(criterion=SquaredError())
    toy.net_.set_loss_weights(("reconstruction",), np.ones(1))
    toy.net_.criterion_ = SquaredError()
    outputs, losses = toy.net_.evaluate(data, rows, starts, batchwise=True)
    view = data.batch(rows, starts)[0]["mel"]
    expected = F.mse_loss(outputs["reconstruction"], view)
    assert losses["reconstruction"] == pytest.approx(float(expected), rel=1e-5)


def test_without_a_decision_the_least_loss_is_kept(clips):
    X, _ = clips
    toy = ToyAutoencoder(max_epochs=6).fit(X)
    scores = [row["valid_score"] for row in toy.history_]
    losses = [row["valid_loss"] for row in toy.history_]
    np.testing.assert_allclose(scores, -np.array(losses))


def log_softmax(z):
    return z - np.log(np.exp(z).sum(1, keepdims=True))


@pytest.mark.parametrize("class_weight", [None, {0: 3.0, 1: 0.5}])
@pytest.mark.parametrize(("scaled", "factor"), [(True, 4.0), (False, 1.0)])
def test_the_students_loss_by_hand(clips, class_weight, scaled, factor):
    X, y = clips
    teacher = np.where(np.eye(2)[y] == 1, 0.8, 0.2)
    target = SoftLabels(
        np.arange(2), class_weight, temperature=2.0, scaled=scaled, alpha=0.7
    )
    arrays = target.encode(None, X, (y, teacher))
    z = np.log(teacher) / 2
    softened = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    np.testing.assert_allclose(arrays["teacher"], softened)
    logits = np.random.default_rng(0).normal(size=(40, 2))
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    criterion = target.criterion(arrays, "float64")
    outputs = {"mel": torch.from_numpy(logits), "joint": torch.zeros(40, 2).double()}
    found = criterion(outputs, tensors, {})
    soft = -(softened * log_softmax(logits / 2)).sum(1).mean() * factor
    weight = np.ones(2) if class_weight is None else np.array([3.0, 0.5])
    losses = -log_softmax(logits)[np.arange(40), y]
    hard = np.average(losses, weights=weight[y])
    assert list(found) == ["mel", "joint"]  # one term per branch
    assert float(found["mel"]) == pytest.approx(0.7 * soft + 0.3 * hard)
    uniform = 0.7 * factor * np.log(2) + 0.3 * np.log(2)
    assert float(found["joint"]) == pytest.approx(uniform)


def test_a_teacher_is_enough_for_a_student(clips):
    """Without labels all of the loss is the teacher's."""
    X, _ = clips
    teacher = np.tile([0.8, 0.2], (40, 1))
    target = SoftLabels(np.arange(2), {0: 2.0}, temperature=2.0, alpha=0.7)
    arrays = target.encode(None, X, (None, teacher))
    assert arrays.keys() == {"teacher"}
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    logits = torch.log(torch.from_numpy(teacher))
    found = target.criterion(arrays, "float64")({"mel": logits}, tensors, {})["mel"]
    (p, q), *_ = arrays["teacher"]
    assert float(found) == pytest.approx(-4 * (p * np.log(p) + q * np.log(q)))
    assert target.strata(arrays, 40).tolist() == [0] * 40
    assert target.score(teacher[:, ::-1], arrays) == 0


def test_targets_are_mixed_by_name():
    """A teacher's probabilities as they are, classes as shares of one."""
    target, ratio = SoftLabels(np.arange(2)), np.array([[0.75]])
    own, partner = np.array([[0.9, 0.1]]), np.array([[0.2, 0.8]])
    mixed = target.mix("teacher", own, partner, ratio)
    np.testing.assert_allclose(mixed, [[0.725, 0.275]])
    mixed = target.mix("label", np.array([0]), np.array([1]), ratio)
    np.testing.assert_allclose(mixed, [[0.75, 0.25]])
    with pytest.raises(ValueError, match="NoTarget cannot mix 'codes' of two clips"):
        NoTarget(SquaredError()).mix("codes", own, partner, ratio)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (np.ones((40, 3)) / 3, "have 3 columns; expected one for each of 2 classes"),
        (np.ones((40, 2)), "row 0 sums to 2. Are these logits"),
        (np.array([[1.5, -0.5]] * 40), "must not be negative"),
    ],
)
def test_odd_teachers_are_refused(clips, teacher, message):
    X, y = clips
    with pytest.raises(ValueError, match=message):
        ToyStudent().fit(X, y, teacher=teacher)


def test_a_network_must_name_the_output_that_decides(clips):
    X, y = clips

    class Undecided(ToyStudent):
        def _module(self):
            return {"module": AutoencoderWithClasses}

    class AutoencoderWithClasses(AutoencoderNet):
        def __init__(self, views, n_outputs):
            super().__init__(views)

    message = "SoftLabels needs a network whose `decision` is one of its `branch_names`"
    with pytest.raises(TypeError, match=message):
        Undecided().fit(X, **arguments_of(ToyStudent(), y))


def test_the_output_that_decides_is_scored_and_predicted(clips):
    """Neither the first nor the last output, but the one that the network names."""
    X, y = clips

    class ThreeOutputs(OneBranch):
        def __init__(self, views, n_outputs):
            super().__init__(views, n_outputs, Linear)
            self.branch_names = ("first", "mel", "last")

        def forward(self, views):
            logits = self.network(views["mel"])
            fixed = logits.detach()
            return {"first": -fixed, "mel": logits, "last": 0 * fixed}

    class ToyClassifier(Fixed, SegmentClassifier):
        _parameter_constraints: ClassVar = {}

        def _module(self):
            return {"module": ThreeOutputs}

    clf = ToyClassifier(max_epochs=30).fit(X, y)
    assert max(row["valid_score"] for row in clf.history_) > 0.8
    proba = clf.predict_proba(X)
    assert np.mean(proba.argmax(1) == y) > 0.8
    branches = clf._branch_proba(X)
    np.testing.assert_allclose(branches["first"], 1 - proba, atol=1e-6)


@pytest.mark.parametrize("validation_fraction", [None, 0.2])
def test_terms_of_the_criterion_must_be_those_of_the_target(clips, validation_fraction):
    X, _ = clips

    class Other(SquaredError):
        terms = ("elsewhere",)

    toy = ToyAutoencoder()
    toy.validation_fraction = validation_fraction
    message = r"the terms \['reconstruction'\], but its target names \['elsewhere'\]"
    with pytest.raises(TypeError, match=message):
        toy._fit(X, lambda views: (NoTarget(Other()), {}))


def test_a_view_may_not_have_the_name_of_another_input(clips):
    X, y = clips
    renamed = Views({"label": X["mel"]}, {"label": 50.0})
    with pytest.raises(ValueError, match="No view may be called 'label'"):
        ToyAligner().fit(renamed, np.eye(2, dtype=int)[y])


def test_a_saved_target_must_be_known(clips):
    X, y = clips
    state = ToyStudent(max_epochs=1).fit(X, **arguments_of(ToyStudent(), y))
    state = state.__getstate__()
    state["_target"] = {"kind": "Evil", "state": {}}
    with pytest.raises(
        ValueError, match=r"supports the targets \['SoftLabels'\], but was"
    ):
        ToyStudent().__setstate__(state)


def test_the_same_target_needs_equal_classes():
    labels = ClassLabels(np.array(["a", "b"]))
    assert labels.is_like(ClassLabels(np.array(["a", "b"])))
    assert not labels.is_like(ClassLabels(np.array(["a", "c"])))
    assert not labels.is_like(TagIndicators(np.array(["a", "b"])))
