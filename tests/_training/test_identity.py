"""What makes another training of a checkpoint, and what does not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch

from skaudio._training._identity import identity_of
from skaudio.datasets import make_sounds
from skaudio.neural_network import (
    Augmentation,
    Blending,
    CRNNClassifier,
    MultiViewBlendingClassifier,
    PlateauSchedule,
    SampleCNNClassifier,
)
from skaudio.views import MelView

SAME = [
    (2, np.int64(2)),
    (2, 2.0),
    (True, np.True_),
    ("a", np.str_("a")),
    ({"a": 1, "b": 2}, {"b": 2.0, np.str_("a"): 1}),
    ([1, 2], (1, 2)),
    (Path("a"), "a"),
    (np.arange(3), torch.arange(3)),
    (np.arange(6).reshape(2, 3).T.copy(), np.arange(6).reshape(2, 3).T),
    (MelView(n_jobs=2, verbose=1, device="cpu", batch_size=3), MelView()),
    (np.array(["a", None], dtype=object), ["a", None]),
]
DIFFERENT = [
    (2, 3),
    (2**60, 2**60 + 1),
    ("1", 1),
    (None, "None"),
    ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
    ([[1], [2]], [[1, 2]]),
    (np.zeros(2), np.zeros(2, np.float32)),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    (MelView(n_mels=40), MelView()),
    (0.1, np.nextafter(0.1, 1)),
]


@pytest.mark.parametrize(("a", "b"), SAME, ids=str)
def test_same(a, b):
    assert identity_of(a) == identity_of(b)


@pytest.mark.parametrize(("a", "b"), DIFFERENT, ids=str)
def test_different(a, b):
    assert identity_of(a) != identity_of(b)


def test_display_does_not_matter():
    with sklearn.config_context(print_changed_only=False), np.printoptions(precision=1):
        shown = identity_of({"a": np.arange(3.0), "b": MelView()})
    assert shown == identity_of({"a": np.arange(3.0), "b": MelView()})


@pytest.fixture(scope="module")
def sound():
    X, y = make_sounds(n_clips=12, n_classes=2, duration=0.3, sr=8000, random_state=0)
    return X, y


def crnn(**options):
    return CRNNClassifier(
        **{
            "views": MelView(sr=8000, n_mels=8),
            "width": 0.05,
            "max_epochs": 1,
            "random_state": 0,
            **options,
        }
    )


def test_the_same_training_goes_on(sound, tmp_path):
    """Whatever changes no value of the model."""
    X, y = sound
    path = tmp_path / "a.checkpoint"
    weight = {"harmonic": 1, "percussive": 2}
    first = crnn(class_weight=weight, validation_fraction=0.25)
    groups = np.arange(12)
    expected = first.fit(X, y, groups=groups, checkpoint=path).predict_proba(X)
    other = crnn(
        class_weight=dict(reversed(weight.items())),
        max_epochs=np.int64(1),
        validation_fraction=np.float64(0.25),
        lr=np.float64(0.004),
        n_segments=3,
        verbose=0,
        views=MelView(sr=8000, n_mels=8, n_jobs=2, batch_size=4, on_error="nan"),
    )
    saved = torch.load(path, weights_only=True)["module"]
    as_table = pd.DataFrame(X, columns=[f"sample {i}" for i in range(X.shape[1])])
    for clips, labels in (
        (X, y.astype(object)),
        (as_table, pd.Series(y)),
        (list(X), y),
    ):
        other.fit(clips, labels, groups=[str(g) for g in groups + 50], checkpoint=path)
        found = other.set_params(n_segments=10).predict_proba(clips)
        # batches of another size may round the last bit of a view differently
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert torch.load(path, weights_only=True)["module"].keys() == saved.keys()


@pytest.mark.parametrize(
    ("named", "given"),
    [
        (
            MultiViewBlendingClassifier(blending="adaptive"),
            MultiViewBlendingClassifier(blending=Blending()),
        ),
        (
            SampleCNNClassifier(lr_schedule="reduce-on-plateau"),
            SampleCNNClassifier(lr_schedule=PlateauSchedule()),
        ),
        (CRNNClassifier(), CRNNClassifier(augmentation=Augmentation())),
    ],
    ids=lambda e: type(e).__name__,
)
def test_names_are_what_they_stand_for(named, given):
    assert identity_of(named._settings()) == identity_of(given._settings())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"lr": 0.005}, "lr"),
        ({"max_epochs": 2, "dropout": 0.2}, "dropout, max_epochs"),
        ({"views": MelView(sr=8000, n_mels=9)}, "views"),
        ({"random_state": 1}, "seed"),
        ({"segment_length": 0.1}, "seconds"),
        ({"class_weight": "balanced"}, "class_weight"),
    ],
    ids=str,
)
def test_a_refusal_says_what_differs(change, named, sound, tmp_path):
    X, y = sound
    path = tmp_path / "a.checkpoint"
    crnn().fit(X, y, checkpoint=path)
    with pytest.raises(ValueError, match=r"What differs: (.*)\. Delete") as caught:
        crnn(**change).fit(X, y, checkpoint=path)
    differing = set(str(caught.value).split("differs: ")[1].split(". ")[0].split(", "))
    assert set(named.split(", ")) <= differing
    with pytest.raises(ValueError, match="What differs: waveforms"):
        crnn().fit(X * 0.5, y, checkpoint=path)
    with pytest.raises(ValueError, match="target 'label'"):
        crnn().fit(X, y[::-1], checkpoint=path)


def test_a_folder_is_looked_for_before_training(sound, tmp_path):
    X, y = sound
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*runs"):
        crnn().fit(X, y, checkpoint=tmp_path / "runs" / "a.checkpoint")
    with pytest.raises(IsADirectoryError, match="Name a file in it"):
        crnn().fit(X, y, checkpoint=tmp_path)
