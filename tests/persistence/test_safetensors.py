"""Safe files: the whole model comes back, and nothing else gets in."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio.embedding import (
    LayerEmbedder,
    PretrainedEmbedder,
    make_probe,
    save_weights,
)
from skaudio.ensemble import FrameClassifier, LateFusionClassifier
from skaudio.mixture import GMMClassifier
from skaudio.neural_network import (
    CRNNClassifier,
    MultiViewBlendingClassifier,
    PlateauSchedule,
    SampleCNNClassifier,
)
from skaudio.nn import SampleCNN
from skaudio.persistence import load, save
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import MelView, MFCCView, make_view_union

NET = {"width": 0.05, "max_epochs": 2, "random_state": 0, "lr": 0.01}
UNION = make_view_union("mel", "raw", sr=8000)
MODELS = {
    "crnn": make_pipeline(MelView(sr=8000), ViewScaler(), CRNNClassifier(**NET)),
    "multiview": make_pipeline(UNION, ViewScaler(), MultiViewBlendingClassifier(**NET)),
    "class_weight": make_pipeline(
        MelView(sr=8000), CRNNClassifier(class_weight={"harmonic": 2.0}, **NET)
    ),
    "late": make_pipeline(
        UNION, ViewScaler(), LateFusionClassifier(CRNNClassifier(**NET))
    ),
    "gmm": make_pipeline(
        MFCCView(sr=8000),
        FrameClassifier(GMMClassifier(n_components=2, random_state=0)),
    ),
    "samplecnn": SampleCNNClassifier(
        **NET,
        sr=8000,
        sizes=(3,) * 6,
        lr_schedule=PlateauSchedule(n_stages=1),
        validation_fraction=0.1,
    ),
    "layers": make_probe(
        LayerEmbedder(SampleCNNClassifier(**NET, sr=8000, sizes=(3,) * 6)),
        head="logistic",
    ),
    "logistic": make_pipeline(
        MFCCView(sr=8000), FrameStatistics(), StandardScaler(), LogisticRegression()
    ),
}


def header_of(path):
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["skaudio"])


def rewrite(path, change):
    """Change the header of a saved file, as an attacker or a later version would."""
    with safe_open(path, framework="numpy") as file:
        arrays = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    header = header_of(path)
    change(header)
    save_file(arrays, path, metadata={"skaudio": json.dumps(header)})


@pytest.mark.parametrize("name", MODELS)
def test_round_trip(name, sounds, tmp_path):
    X, y = sounds
    model = MODELS[name].fit(X, y)
    save(model, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert repr(loaded) == repr(model)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("labels", [str, int, float, bool, object], ids=repr)
def test_labels_of_any_type_come_back(labels, sounds, tmp_path):
    X, y = sounds
    y = np.unique(y, return_inverse=True)[1] % 2
    y = np.array([labels(v) for v in y]) if labels is not object else y.astype(object)
    y = np.array([f"c{v}" for v in y], dtype=object) if labels is object else y
    model = make_pipeline(MelView(sr=8000), CRNNClassifier(**NET)).fit(X, y)
    save(model, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert loaded.classes_.dtype == model.classes_.dtype
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


HEADS = {
    "perceptron": MLPClassifier((4,), max_iter=3, random_state=0),
    "stopped perceptron": MLPClassifier(
        (4,), max_iter=3, early_stopping=True, random_state=0
    ),
    "one versus rest": OneVsRestClassifier(LogisticRegression()),
}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("kind", ["classes", "two classes", "tags"])
@pytest.mark.parametrize("name", HEADS)
def test_heads_come_back(name, kind, sounds, tmp_path):
    X, y = sounds
    y = np.unique(y, return_inverse=True)[1]  # texts stop MLPClassifier before 1.9
    y = {"classes": y, "two classes": y == y[0], "tags": np.eye(4, dtype=int)[::-1]}[
        kind
    ]
    y = np.tile(y, (6, 1)) if kind == "tags" else y
    steps = MFCCView(sr=8000), FrameStatistics(), StandardScaler()
    model = make_pipeline(*steps, HEADS[name]).fit(X, y)
    save(model, tmp_path / "m")
    loaded = load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    again = loaded.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(again, model.predict_proba(X))


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_loaded_perceptron_learns_on(sounds, tmp_path):
    X, y = sounds
    X = FrameStatistics().fit_transform(MFCCView(sr=8000).fit_transform(X))
    save(HEADS["perceptron"].fit(X, y), tmp_path / "m")
    loaded = load(tmp_path / "m")
    before = loaded.predict_proba(X)
    assert not np.array_equal(loaded.partial_fit(X, y).predict_proba(X), before)


def test_frozen_estimators_come_back(sounds, tmp_path):
    X, y = sounds
    frozen = FrozenEstimator(MODELS["crnn"].fit(X, y))
    save(frozen, tmp_path / "m")
    loaded = load(tmp_path / "m").fit(X[:2], y[:2])  # does nothing
    np.testing.assert_array_equal(loaded.predict_proba(X), frozen.predict_proba(X))


def test_pretrained_embedders_keep_their_path(sounds, tmp_path):
    X, y = sounds
    path = tmp_path / "weights.safetensors"
    with torch.random.fork_rng(devices=[]):
        save_weights(SampleCNN(4, sizes=(3,) * 5, width=0.1), path, sr=8000)
    embedder = PretrainedEmbedder(path, layers=(-2, -1))
    model = make_pipeline(embedder, StandardScaler(), LogisticRegression()).fit(X, y)
    save(model, tmp_path / "m")
    assert (tmp_path / "m").stat().st_size < 20_000
    loaded = load(tmp_path / "m")
    assert loaded[0].weights == str(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_models_of_others_are_refused(tmp_path):
    class Model:
        get_scene_embeddings = get_timestamp_embeddings = None

    with pytest.raises(TypeError, match=r"PretrainedEmbedder\.weights is a Model"):
        save(PretrainedEmbedder(Model()), tmp_path / "m")
    with pytest.raises(TypeError, match=r"PretrainedEmbedder\.weights is a module"):
        save(PretrainedEmbedder(json), tmp_path / "m")


def test_attributes_come_back(sounds, tmp_path):
    X, y = sounds
    model = MODELS["multiview"].fit(X, y)
    save(model, tmp_path / "m")
    old, new = model[-1], load(tmp_path / "m")[-1]
    assert new.branch_names_ == old.branch_names_
    np.testing.assert_array_equal(new.branch_weights_, old.branch_weights_)
    # as text, in which NaN equals NaN
    assert json.dumps(new.blending_history_) == json.dumps(old.blending_history_)
    assert json.dumps(new.history_) == json.dumps(old.history_)


def test_a_loaded_model_can_be_fitted_again(sounds, tmp_path):
    X, y = sounds
    model = MODELS["crnn"].fit(X, y)
    save(model, tmp_path / "m")
    again = load(tmp_path / "m").fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_loading_runs_in_a_fresh_process(sounds, tmp_path):
    import subprocess

    X, y = sounds
    model = MODELS["crnn"].fit(X, y)
    save(model, tmp_path / "m")
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys, numpy as np; from skaudio.persistence import load;"
        "m = load(sys.argv[1] + '/m'); X = np.load(sys.argv[1] + '/X.npy');"
        "print(' '.join(m.predict(X)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.split() == list(model.predict(X))


class Bomb(BaseEstimator):
    """An estimator that a file must never load."""

    def __setstate__(self, state):
        raise AssertionError("code of the file was run")


@pytest.mark.parametrize("name", ["Bomb", "Popen", "system", "save", "make_view_union"])
def test_unknown_classes_are_refused(name, tmp_path):
    save(MelView(), tmp_path / "m")

    def change(header):
        header["estimator"]["class"] = name

    rewrite(tmp_path / "m", change)
    with pytest.raises(ValueError, match=f"{name!r}, which is not"):
        load(tmp_path / "m")


def test_folders_of_another_machine_are_left_behind(tmp_path):
    """`memory` is a folder of joblib's pickles, which fit would run; `cache` one."""
    pipe = make_pipeline(
        LayerEmbedder(CRNNClassifier(), cache=tmp_path / "planted"),
        PretrainedEmbedder("weights", cache=False),
        memory=str(tmp_path / "planted"),
    )
    save(pipe, tmp_path / "m")
    header = json.dumps(header_of(tmp_path / "m"))
    assert "planted" not in header

    def change(header):
        state = header["estimator"]["state"]
        state["memory"] = "planted"
        state["steps"][0]["items"][1]["state"]["cache"] = "planted"

    for forge in (False, True):
        if forge:
            rewrite(tmp_path / "m", change)
        loaded = load(tmp_path / "m")
        assert loaded.memory is None
        assert loaded[0].cache is True  # the default
        assert loaded[1].cache is False  # as it was: no folder


def test_a_class_with_an_allowed_name_is_not_saved(tmp_path):
    fake = type("MelView", (BaseEstimator,), {})
    with pytest.raises(TypeError, match="not among the classes"):
        save(fake(), tmp_path / "m")


def test_foreign_estimators_are_named(tmp_path):
    model = make_pipeline(ViewScaler(), SelectKBest())
    with pytest.raises(
        TypeError, match=r"Pipeline\.steps\[1\]\[1\] is a .*SelectKBest"
    ):
        save(model, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_objects_are_named(tmp_path):
    clf = CRNNClassifier(random_state=np.random.RandomState(0))
    with pytest.raises(
        TypeError, match=r"CRNNClassifier\.random_state is a RandomState"
    ):
        save(clf, tmp_path / "m")


def test_not_a_safetensors_file(tmp_path):
    (tmp_path / "m").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ValueError, match="is not a safetensors file"):
        load(tmp_path / "m")


def test_arrays_of_something_else(tmp_path):
    save_file({"a": np.zeros(2)}, tmp_path / "m")
    with pytest.raises(ValueError, match="no estimator of skaudio"):
        load(tmp_path / "m")


def test_other_format(tmp_path):
    save(MelView(), tmp_path / "m")
    rewrite(tmp_path / "m", lambda header: header.update(format="skaudio-99"))
    with pytest.raises(ValueError, match="'skaudio-99'; this version of skaudio reads"):
        load(tmp_path / "m")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")


def test_numpy_parameters_and_tuples(tmp_path):
    scaler = FrameStatistics(statistics=("mean", "std"))
    view = MelView(n_mels=np.int64(32), fmin=np.float32(20), verbose=True)
    for estimator in (scaler, view):
        save(estimator, tmp_path / "m")
        loaded = load(tmp_path / "m")
        for key, value in estimator.get_params().items():
            assert type(loaded.get_params()[key]) is type(value)
            assert loaded.get_params()[key] == value


def test_weights_are_stored_once_and_plainly(sounds, tmp_path):
    X, y = sounds
    model = MODELS["crnn"].fit(X, y)
    save(model, tmp_path / "m")
    module = model[-1].net_.module_
    n_bytes = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    assert n_bytes < (tmp_path / "m").stat().st_size < 1.3 * n_bytes + 20_000


def test_a_frozen_network_is_saved_once(tmp_path):
    X = np.random.default_rng(0).standard_normal((8, 1000)).astype(np.float32)
    y = np.arange(8) % 2
    net = SampleCNNClassifier(**NET, sr=8000, sizes=(3,) * 6).fit(X, y)
    embedder = LayerEmbedder(FrozenEstimator(net)).fit(X)
    save(net, tmp_path / "net")
    save(embedder, tmp_path / "embedder")
    sizes = [(tmp_path / name).stat().st_size for name in ("net", "embedder")]
    assert sizes[1] < 1.7 * sizes[0]  # arrays once, their description twice
    loaded = load(tmp_path / "embedder")
    np.testing.assert_array_equal(loaded.transform(X), embedder.transform(X))
    states = [
        e.estimator.net_.module_.state_dict()
        for e in (loaded.estimator, loaded.estimator_)
    ]
    for name, tensor in states[0].items():  # equal, and yet not the same memory
        assert torch.equal(tensor, states[1][name])
