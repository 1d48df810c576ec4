"""skops, MLflow's sklearn flavour, cloudpickle: a fitted model comes back whole."""

import importlib
import inspect
import pickle
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skaudio
from skaudio.embedding import LayerEmbedder, make_probe
from skaudio.ensemble import FrameClassifier, LateFusionClassifier
from skaudio.mixture import GMMClassifier
from skaudio.model_selection import StratifiedGroupShuffleSplit
from skaudio.neural_network import (
    Augmentation,
    CRNNClassifier,
    FineTunedClassifier,
    MultiViewBlendingClassifier,
    Optimizer,
    PlateauSchedule,
    SampleCNNClassifier,
    Validation,
)
from skaudio.persistence import trusted_types
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import MelView, MFCCView, make_view_union

PAGE = Path(skaudio.__file__).parents[1] / "docs" / "user_guide" / "persistence.rst"
BLOCK = re.compile(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)")
NET = {"width": 0.05, "max_epochs": 1, "random_state": 0}
SAMPLES = SampleCNNClassifier(**NET, sr=8000, sizes=(3,) * 6)
UNION = make_view_union("mel", "raw", sr=8000)
MODELS = {
    "one view": make_pipeline(
        MelView(sr=8000, n_mels=16),
        ViewScaler(),
        CRNNClassifier(**NET, mixed_precision="auto"),
    ),
    "blending": make_pipeline(UNION, ViewScaler(), MultiViewBlendingClassifier(**NET)),
    "late fusion": make_pipeline(
        UNION, ViewScaler(), LateFusionClassifier(CRNNClassifier(**NET))
    ),
    "views inside, options": CRNNClassifier(
        **NET,
        views=MelView(sr=8000, n_mels=16),
        augmentation=Augmentation(gain=3.0),
        lr_schedule=PlateauSchedule(n_stages=1),
        optimizer=Optimizer(average_epochs=1),
        validation_fraction=Validation(0.25),
    ),
    "fine-tuned": FineTunedClassifier(SAMPLES, max_epochs=1, random_state=0),
    "probe": make_probe(LayerEmbedder(SAMPLES), head="logistic"),
    "baseline": make_pipeline(
        MFCCView(sr=8000), FrameStatistics(), StandardScaler(), LogisticRegression()
    ),
    "mixtures": make_pipeline(
        MFCCView(sr=8000),
        FrameClassifier(GMMClassifier(n_components=1, random_state=0)),
    ),
}


@pytest.fixture(scope="module")
def fitted(_sounds):
    """Name of a model to the model, fitted once, and what it predicts."""
    known = {}

    def get(name):
        if name not in known:
            model = MODELS[name].fit(*_sounds)
            known[name] = model, model.predict_proba(_sounds[0])
        return known[name]

    return get


def blocks(package):
    """Examples of the page that need a package."""
    texts = map(inspect.cleandoc, BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    return [text for text in texts if text.startswith(f"# pip install {package}\n")]


# ------------------------------------------------------------------------- skops


def test_trusted_types_are_classes_that_there_are():
    for name in trusted_types():
        module, _, cls = name.rpartition(".")
        assert module.startswith("skaudio.")
        assert inspect.isclass(getattr(importlib.import_module(module), cls))


def test_trusted_types_are_all_that_can_be_fitted():
    public = {
        f"{member.__module__}.{member.__qualname__}"
        for package in skaudio._SUBPACKAGES
        for member in vars(importlib.import_module(f"skaudio.{package}")).values()
        if inspect.isclass(member) and issubclass(member, BaseEstimator)
    }
    names = set(trusted_types())
    assert {name for name in public if name.startswith("skaudio.")} <= names
    assert len(names) == len(trusted_types()) > 40


@pytest.fixture
def skops():
    return pytest.importorskip("skops.io", reason="skops is not installed")


@pytest.mark.parametrize("name", MODELS)
def test_skops_brings_a_model_back(name, skops, fitted, sounds):
    model, expected = fitted(name)
    content = skops.dumps(model)
    assert set(skops.get_untrusted_types(data=content)) <= set(trusted_types())
    loaded = skops.loads(content, trusted=trusted_types())
    np.testing.assert_array_equal(loaded.predict_proba(sounds[0]), expected)
    assert repr(loaded) == repr(model)
    again = loaded.fit(*sounds).predict_proba(sounds[0])  # with all parameters
    np.testing.assert_array_equal(again, expected)


def test_skops_makes_nothing_that_is_not_trusted(skops, fitted):
    content = skops.dumps(fitted("one view")[0])
    with pytest.raises(skops.exceptions.UntrustedTypesFoundException, match="MelView"):
        skops.loads(content)


def test_skops_brings_a_search_back(skops, sounds):
    X, y = sounds
    search = GridSearchCV(
        MODELS["baseline"],
        {"logisticregression__C": [0.1, 1.0]},
        cv=StratifiedGroupShuffleSplit(n_splits=1, test_size=0.5, random_state=0),
    ).fit(X, y, groups=np.arange(len(y)))
    content = skops.dumps(search)
    scorer = "sklearn.metrics._scorer._PassthroughScorer"  # skops does not trust it
    loaded = skops.loads(content, trusted=[*trusted_types(), scorer])
    np.testing.assert_array_equal(loaded.predict_proba(X), search.predict_proba(X))


def test_skops_files_go_through_a_frozen_estimator(skops, fitted, sounds, tmp_path):
    model, expected = fitted("blending")
    skops.dump(FrozenEstimator(model), tmp_path / "model.skops")
    loaded = skops.load(tmp_path / "model.skops", trusted=trusted_types())
    np.testing.assert_array_equal(loaded.predict_proba(sounds[0]), expected)


# ------------------------------------------------------------------------ MLflow


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow that keeps runs in a folder, and asks nobody."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    flavour = pytest.importorskip("mlflow.sklearn", reason="MLflow is not installed")
    mlflow = sys.modules["mlflow"]
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    mlflow.sklearn = flavour
    yield mlflow
    mlflow.set_tracking_uri(before)


# MLflow's own: what it will change, and that pickles run code
OF_MLFLOW = pytest.mark.filterwarnings("ignore")


@OF_MLFLOW
@pytest.mark.parametrize("kind", ["cloudpickle", "skops"])
@pytest.mark.parametrize("name", ["one view", "blending", "probe"])
def test_mlflow_logs_and_loads(name, kind, mlflow, fitted, sounds):
    if kind == "skops":
        pytest.importorskip("skops.io", reason="skops is not installed")
    model, expected = fitted(name)
    trusted = {"skops_trusted_types": trusted_types()} if kind == "skops" else {}
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format=kind,
            pip_requirements=["skaudio"],  # or it looks what is installed
            **trusted,
        )
    loaded = mlflow.sklearn.load_model(logged.model_uri)
    np.testing.assert_array_equal(loaded.predict_proba(sounds[0]), expected)
    generic = mlflow.pyfunc.load_model(logged.model_uri)
    expected = model.predict(sounds[0])
    np.testing.assert_array_equal(generic.predict(sounds[0]), expected)


# ------------------------------------------------------------------- cloudpickle


@pytest.fixture
def cloudpickle():
    return pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")


@pytest.mark.parametrize("name", MODELS)
def test_cloudpickle_brings_a_model_back(name, cloudpickle, fitted, sounds):
    model, expected = fitted(name)
    loaded = pickle.loads(cloudpickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict_proba(sounds[0]), expected)


SCRIPT = """
    import sys
    import cloudpickle
    import joblib
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.pipeline import make_pipeline
    from skaudio.neural_network import CRNNClassifier
    from skaudio.preprocessing import ViewScaler
    from skaudio.views import MelView

    class Half(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return X[:, ::2]

    class Narrow(MelView):
        def transform(self, X):
            return super().transform(X)[:, :4]

    class Small(CRNNClassifier):
        def __init__(self, *, width=0.05, max_epochs=1, random_state=0):
            super().__init__(
                width=width, max_epochs=max_epochs, random_state=random_state
            )

    X, y, path = joblib.load(sys.argv[1])
    model = make_pipeline(Half(), Narrow(sr=4000, n_mels=8), ViewScaler(), Small())
    model.fit(X, y)
    with open(path, "wb") as file:
        cloudpickle.dump((model, model.predict_proba(X)), file)
"""


def test_classes_of_a_script_travel_with_their_model(cloudpickle, sounds, tmp_path):
    """Of __main__: another process does not have them."""
    X, path = np.stack(sounds[0]), tmp_path / "model.pkl"
    joblib.dump((X, sounds[1], path), tmp_path / "data")
    script = textwrap.dedent(SCRIPT)
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path / "data")],
        check=True,
    )
    model, expected = pickle.loads(path.read_bytes())
    assert type(model[0]).__module__ == "__main__"
    np.testing.assert_array_equal(model.predict_proba(X), expected)


# ---------------------------------------------------------------------- the page


@OF_MLFLOW
@pytest.mark.parametrize("package", ["skops", "mlflow-skinny"])
def test_the_page_runs(package, request, fitted, sounds, tmp_path, monkeypatch):
    request.getfixturevalue(package.partition("-")[0])
    monkeypatch.chdir(tmp_path)
    model, expected = fitted("one view")
    (text,) = blocks(package)
    names = {"model": model}
    exec(text, names)
    loaded = names["loaded"]
    np.testing.assert_array_equal(loaded.predict_proba(sounds[0]), expected)
