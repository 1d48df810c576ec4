"""Training whose numbers overflow: no such model is handed out, and none is chosen."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skaudio.embedding import LayerEmbedder
from skaudio.neural_network import (
    CRNNClassifier,
    MultiViewBlendingClassifier,
    SampleCNNClassifier,
)
from skaudio.views import Views

NET = {"width": 0.05, "max_epochs": 4, "random_state": 0}
FAR_TOO_HIGH = {"optimizer": "sgd", "lr_schedule": "constant", "lr": 1e30}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(16, 4, 10)).astype(np.float32), np.repeat(["a", "b"], 8)


class Break(Callback):
    """Weights become NaN in an epoch, from 1."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            with torch.no_grad():
                for p in net.module_.parameters():
                    p.fill_(torch.nan)


@pytest.mark.parametrize("fraction", [None, 0.25])
def test_no_model_is_an_error_that_says_when_and_what_to_do(data, fraction):
    clf = CRNNClassifier(**NET, **FAR_TOO_HIGH, validation_fraction=fraction)
    with pytest.raises(ValueError, match=r"diverged in epoch \d.*it is 1e\+30"):
        clf.fit(*data)


def test_the_best_finite_model_is_kept_with_a_warning(data):
    clf = CRNNClassifier(**NET, validation_fraction=0.25, callbacks=[Break(3)])
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 3.*is kept"):
        clf.fit(*data)
    assert len(clf.history_) == 3  # it would stay so
    assert np.isfinite(clf.predict_proba(data[0])).all()
    before = CRNNClassifier(**{**NET, "max_epochs": 4}, validation_fraction=0.25)
    best = max(row["valid_score"] for row in before.fit(*data).history_[:2])
    assert best == max(row["valid_score"] for row in clf.history_[:2])


def test_without_validation_there_is_nothing_to_keep(data):
    with pytest.raises(ValueError, match="diverged in epoch 4"):
        CRNNClassifier(**NET, callbacks=[Break(4)]).fit(*data)


def test_the_last_step_is_looked_at_too(data):
    """Its loss was computed before it."""

    class Last(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 4:
                with torch.no_grad():
                    next(iter(net.module_.parameters())).fill_(torch.inf)

    with pytest.raises(ValueError, match="diverged in epoch 4"):
        CRNNClassifier(**NET, callbacks=[Last()]).fit(*data)


def test_a_search_never_chooses_it(data):
    net = CRNNClassifier(**NET, optimizer="sgd", lr_schedule="constant")
    search = GridSearchCV(net, {"lr": [1e30, 1e-3]}, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of failed fits
        search.fit(*data)
    assert search.best_params_ == {"lr": 1e-3}
    assert np.isnan(search.cv_results_["mean_test_score"][0])


@pytest.mark.parametrize(
    "classifier",
    [MultiViewBlendingClassifier, SampleCNNClassifier],
    ids=lambda c: c.__name__,
)
def test_other_networks(classifier, data):
    X, y = data
    if classifier is SampleCNNClassifier:
        clf = classifier(sizes=(3,) * 3, **NET, **FAR_TOO_HIGH)
        X = X.reshape(len(X), -1)
    else:
        clf = classifier(**NET, **FAR_TOO_HIGH)
        X = Views({"mel": X, "cqt": X[:, :2]}, {"mel": 10.0, "cqt": 10.0})
    with pytest.raises(ValueError, match="diverged"):
        clf.fit(X, y)


@pytest.mark.parametrize("size", [1e20, 1e37])
def test_huge_input(data, size):
    """Finite, but its square is not."""
    X, y = data
    with pytest.raises(ValueError, match="diverged in epoch"):
        CRNNClassifier(**NET).fit(X * np.float32(size), y)


def test_probabilities_that_are_no_numbers_become_no_class(data):
    clf = CRNNClassifier(**NET).fit(*data)
    X = data[0].copy()
    X[5] = 3e38
    with pytest.raises(ValueError, match="not a finite number for clip 5 and 0 others"):
        clf.predict(X)
    with torch.no_grad():
        next(iter(clf.net_.module_.parameters())).fill_(torch.nan)
    with pytest.raises(ValueError, match="for clip 0 and 15 others"):
        clf.predict(data[0])


def test_features_that_are_no_numbers_are_an_error(data):
    clf = CRNNClassifier(**NET).fit(*data)
    embedder = LayerEmbedder(FrozenEstimator(clf), cache=False).fit(data[0])
    X = data[0].copy()
    X[5] = 3e38
    for compute in (embedder.transform, embedder.transform_frames):
        with pytest.raises(ValueError, match="not a finite number for clip 5"):
            compute(X)
