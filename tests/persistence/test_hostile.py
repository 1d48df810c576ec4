"""Files that were damaged or forged: a ValueError that names them, before the work."""

import copy
import json
import warnings

import numpy as np
import pytest
import sklearn
from safetensors import safe_open
from safetensors.numpy import save as to_bytes
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skaudio.embedding import LayerEmbedder
from skaudio.neural_network import CRNNClassifier, FrameLevelCNNClassifier
from skaudio.persistence import load, save
from skaudio.persistence._classes import is_attribute
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import MelView

NET = {"width": 0.05, "max_epochs": 1, "random_state": 0}


def write(path, tree, arrays=None, **metadata):
    header = json.dumps({"format": "skaudio-1", "estimator": tree})
    metadata = {"skaudio": header} | metadata
    path.write_bytes(to_bytes(arrays or {}, metadata=metadata))
    return path


def estimator(name, **state):
    return {"!": "estimator", "class": name, "state": state}


def parts(path):
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["skaudio"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return header["estimator"], arrays


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(0)
    y = np.arange(8) % 2
    X = rng.standard_normal((8, 8, 8)).astype(np.float32)
    return CRNNClassifier(**NET).fit(X, y), X


@pytest.fixture
def saved(network, tmp_path):
    save(network[0], tmp_path / "m")
    return tmp_path / "m"


# ------------------------------------------------------------------------- damage


def test_any_bit_that_changes_is_noticed(saved):
    """Of the weights as well, which would predict something else without a word."""
    content = saved.read_bytes()
    rng = np.random.default_rng(0)
    places = [*range(8), *rng.integers(8, len(content), 150)]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        saved.write_bytes(changed)
        with pytest.raises(ValueError, match="/m' "):
            load(saved)


def test_a_file_cut_anywhere(saved):
    content = saved.read_bytes()
    for length in [*range(12), *range(100, len(content), 3001), len(content) - 1]:
        saved.write_bytes(content[:length])
        with pytest.raises(ValueError, match="/m' is not a safetensors file"):
            load(saved)


@pytest.mark.parametrize(
    "header",
    [
        *("", "[]", "3", "null", "{}", '{"format": "skaudio-1"', "9" * 5000),
        '{"format": "skaudio-1"}',
        '{"format": ["skaudio-1"]}',
        '{"format": "skaudio-1", "estimator": ' + "[" * 5000 + "]" * 5000 + "}",
    ],
)
def test_a_description_that_is_none(header, tmp_path):
    (tmp_path / "m").write_bytes(to_bytes({}, metadata={"skaudio": header}))
    with pytest.raises(ValueError, match="/m' cannot be loaded: "):
        load(tmp_path / "m")


def places(node, at=()):
    yield at
    if isinstance(node, (dict, list)):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from places(value, (*at, key))


WRONG = [None, -1, 1e300, 2**70, float("nan"), "x", [], {}, [1, 2], {"a": 1}]


def test_any_value_of_another_kind_loads_or_is_a_ValueError(saved):
    tree, arrays = parts(saved)
    rng = np.random.default_rng(0)
    found = list(places(tree))[1:]
    n_refused = n_loaded = 0
    for i in rng.permutation(len(found))[:60]:
        *above, last = found[i]
        for value in (WRONG[j] for j in rng.integers(len(WRONG), size=3)):
            changed = copy.deepcopy(tree)
            node = changed
            for key in above:
                node = node[key]
            node[last] = value
            write(saved, changed, arrays)
            try:
                load(saved)
            except ValueError as error:
                n_refused += f"{saved}' cannot be loaded: " in str(error)
            else:
                n_loaded += 1
    assert n_loaded + n_refused == 180
    assert n_refused > 100


def test_missing_arrays_are_named(saved):
    tree, arrays = parts(saved)
    name = next(iter(arrays))
    del arrays[name]
    write(saved, tree, arrays)
    with pytest.raises(
        ValueError, match=rf"/m' cannot .*damaged.*{name.split(':')[0]}:"
    ):
        load(saved)


def test_a_directory_is_called_one(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a directory"):
        load(tmp_path)


def test_a_missing_folder_is_an_error_before_the_work(tmp_path):
    class Late(MelView):
        def __getstate__(self):
            raise AssertionError("work was done")

    with pytest.raises(FileNotFoundError, match="folder to write to does not exist"):
        save(Late(), tmp_path / "none" / "m")


# ---------------------------------------------------------- nothing acts later


FORGED = {
    "a link that a notebook shows": {"__doc_link_template": '"><script>', "x": 1},
    "a method": {"transform": "x"},
    "a special method": {"__class__": "x"},
    "a private name": {"_validate_params": None},
    "what is neither": {"note": "x"},
    "a property that looks learned": {"_n_features_out": 3},
    "the table of attributes": {"__dict__": {"!": "dict", "items": [["a", 1]]}},
    "the settings of output": {
        "_sklearn_output_config": {"!": "dict", "items": [["a", 1]]}
    },
}


@pytest.mark.parametrize("what", FORGED)
def test_only_parameters_and_what_is_learned(what, tmp_path):
    parameters = MelView(sr=8000).get_params()
    path = write(tmp_path / "m", estimator("MelView", **parameters, **FORGED[what]))
    with pytest.raises(ValueError, match=r"/m' cannot .*(attribute|output is set)"):
        load(path)


def test_parameters_are_those_that_fit_would_take(tmp_path):
    parameters = MelView(sr=8000).get_params() | {"sr": float("nan")}
    with pytest.raises(ValueError, match="The 'sr' parameter of MelView must be"):
        load(write(tmp_path / "m", estimator("MelView", **parameters)))


def test_a_parameter_that_a_file_lacks_has_its_default(tmp_path):
    assert load(write(tmp_path / "m", estimator("MelView"))).n_mels == MelView().n_mels
    with pytest.raises(ValueError, match="Pipeline lacks the parameter 'steps'"):
        load(write(tmp_path / "m", estimator("Pipeline")))


def test_html_of_a_file_is_text(tmp_path):
    script = '"><script>alert(1)</script>'
    view = estimator("MelView", **MelView(sr=8000).get_params() | {"device": script})
    step = {"!": "tuple", "items": [script, view]}
    pipe = estimator("Pipeline", steps=[step], _sklearn_version=sklearn.__version__)
    shown = load(write(tmp_path / "m", pipe))
    assert "<script>alert" not in shown._repr_html_()
    assert "alert(1)" in shown._repr_html_()


def test_members_of_a_class_are_not_learned():
    class Fitted:
        def method_(self):
            """End in an underscore."""

        @property
        def computed_(self):
            """Not to be set."""

        @property
        def kept_(self):
            """May be set."""

        @kept_.setter
        def kept_(self, value):
            pass

    assert not is_attribute(Fitted, "method_")
    assert not is_attribute(Fitted, "computed_")
    assert is_attribute(Fitted, "kept_")
    assert is_attribute(Fitted, "other_")
    for name in ("other", "_other_", "__class__", "a b_", ""):
        assert not is_attribute(Fitted, name)


def test_attributes_of_others_are_not_saved(tmp_path):
    scaler = ViewScaler()
    scaler.note = "mine"
    with pytest.raises(TypeError, match=r"ViewScaler has an attribute 'note', which"):
        save(scaler, tmp_path / "m")


def test_output_settings_come_back(tmp_path):
    X = np.zeros((2, 3, 4), dtype=np.float32)
    statistics = FrameStatistics().set_output(transform="pandas").fit(X)
    save(statistics, tmp_path / "m")
    assert load(tmp_path / "m").transform(X).shape == (2, 6)
    assert hasattr(load(tmp_path / "m").transform(X), "columns")


def test_features_are_not_taken_for_those_of_another_network(network, tmp_path):
    """What identifies them in the cache is computed, and no file may state it."""
    net, X = network
    embedder = LayerEmbedder(FrozenEstimator(net)).fit(X)
    save(embedder, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert loaded._store() == embedder._store()
    np.testing.assert_array_equal(loaded.transform(X), embedder.transform(X))
    tree, arrays = parts(tmp_path / "m")
    for name in ("_fingerprint", "_digest"):
        planted = {**tree, "state": {**tree["state"], name: "another"}}
        with pytest.raises(
            ValueError, match=f"LayerEmbedder has the attribute .{name}"
        ):
            load(write(tmp_path / "m", planted, arrays))
    name = next(name for name in arrays if "_weights.network" in name)
    other = {**arrays, name: arrays[name] + 1}
    assert load(write(tmp_path / "m", tree, other))._store() != embedder._store()


# ------------------------------------------------------------------ bounded sizes


ABOVE = r"/m' cannot be loaded: .* takes what the file holds above \d+ bytes"
MEGABYTE = {"a": np.ones(2**18, dtype=np.float32)}
GREEDY = {
    "one array a thousand times": [{"!": "array", "name": "a"}] * 1000,
    "long texts": {"!": "objects", "items": [""], "dtype": "<U250000000", "shape": [1]},
    "long bytes": {"!": "objects", "items": [""], "dtype": "S2000000000", "shape": [1]},
    "many lists": [[]] * 400_000,
}


@pytest.mark.parametrize("what", GREEDY)
def test_more_than_the_file_holds(what, tmp_path):
    tree = estimator("ViewScaler", per="bin", mean_=GREEDY[what])
    with pytest.raises(ValueError, match=ABOVE):
        load(write(tmp_path / "m", tree, MEGABYTE if "array" in what else None))


@pytest.mark.parametrize("dtype", ["V8", "O", "f4,f4", "(3,)f4", "M8[s]", None, 3])
@pytest.mark.parametrize("kind", ["objects", "scalar"])
def test_other_types_of_numbers(dtype, kind, tmp_path):
    node = {"!": kind, "dtype": dtype, "value": 10**9, "items": [1, 2], "shape": [1]}
    with pytest.raises(ValueError, match="/m' cannot be loaded: "):
        load(write(tmp_path / "m", estimator("ViewScaler", mean_=node)))


@pytest.mark.parametrize("shape", [[10**18], [-1], [2, -1], [[1]], "1", None])
def test_other_shapes_of_objects(shape, tmp_path):
    node = {"!": "objects", "dtype": "O", "items": ["a"], "shape": shape}
    with pytest.raises(ValueError, match="/m' cannot be loaded: "):
        load(write(tmp_path / "m", estimator("ViewScaler", mean_=node)))


def test_arrays_of_one_content_come_back_however_often(tmp_path):
    """They are stored once in eight, as a reader takes no more of a file."""
    X = np.zeros((40, 2, 3), dtype=np.float32)
    scaler = ViewScaler().fit(X)
    scaler.mean_ = [np.arange(5e5)] * 40
    save(scaler, tmp_path / "m")
    assert 5 * 4e6 <= (tmp_path / "m").stat().st_size < 6 * 4e6
    loaded = load(tmp_path / "m").mean_
    assert len(loaded) == 40
    assert all((array == np.arange(5e5)).all() for array in loaded)
    loaded[0][:] = 0
    assert loaded[1][1] == 1  # copies


@pytest.mark.parametrize("dtype", [">f4", "<f8", ">i2", "?", "f2"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_arrays_of_any_order_of_bytes(dtype, shape, tmp_path):
    scaler = ViewScaler()
    scaler.mean_ = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    save(scaler, tmp_path / "m")
    loaded = load(tmp_path / "m").mean_
    assert loaded.shape == shape
    np.testing.assert_array_equal(loaded, scaler.mean_)


NETWORKS = {
    "another width": ("width", 60),
    "an enormous width": ("width", 1e9),
    "no weights": ("_weights", {"!": "dict", "items": []}),
}


@pytest.mark.parametrize("what", NETWORKS)
def test_a_network_is_compared_with_its_arrays(what, saved, monkeypatch):
    """Before it is made: with width 60 it takes 2 GB."""
    from skaudio.neural_network import CRNNClassifier

    def made(self, weights):
        raise AssertionError("the network was made")

    monkeypatch.setattr(CRNNClassifier, "_inference_net", made)
    tree, arrays = parts(saved)
    name, value = NETWORKS[what]
    tree["state"][name] = value
    write(saved, tree, arrays)
    with pytest.raises(ValueError, match="/m' cannot be loaded: its "):
        load(saved)


SPECS = [
    *[("seconds", v) for v in (0, -1.0, float("nan"), float("inf"), "1", None)],
    *[("dtype", v) for v in ("load", "hub", "float16", None)],
    *[("seed", v) for v in (-1, 2**80, "x")],
    *[("mixed_precision", v) for v in ("auto", 1, 1.0)],
    ("rates", {"!": "dict", "items": [["view", 0.0]]}),
    ("n_bins", {"!": "dict", "items": [["view", 10**9]]}),
    ("n_bins", {"!": "dict", "items": [["other", 8]]}),
]


@pytest.mark.parametrize(("name", "value"), SPECS)
def test_segments_of_a_network_are_checked(name, value, saved):
    tree, arrays = parts(saved)
    for pair in tree["state"]["_spec"]["items"]:
        if pair[0] == name:
            pair[1] = value
    write(saved, tree, arrays)
    with pytest.raises(ValueError, match="/m' cannot be loaded: "):
        load(saved)


def test_a_number_of_modules_is_bounded(tmp_path):
    parameters = FrameLevelCNNClassifier().get_params(deep=False)
    tree = estimator("FrameLevelCNNClassifier", **parameters | {"n_modules": 10**9})
    with pytest.raises(ValueError, match=r"'n_modules' parameter .* must be"):
        load(write(tmp_path / "m", tree))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(value, network, saved, tmp_path):
    tree, arrays = parts(saved)
    bad = {k: np.full_like(v, value) if "conv" in k else v for k, v in arrays.items()}
    write(saved, tree, bad)
    with pytest.raises(ValueError, match=r"/m' .* hold NaN or infinity: the training"):
        load(saved)
    bad = {k: -1 - v if "running_var" in k else v for k, v in arrays.items()}
    write(saved, tree, bad)
    with pytest.raises(ValueError, match=r"running_var are negative"):
        load(saved)


def test_a_network_that_diverged_is_not_saved(network, tmp_path):
    net, _ = network
    diverged = copy.deepcopy(net)
    next(diverged.net_.module_.parameters()).data[:] = np.nan
    with pytest.raises(ValueError, match="hold NaN or infinity: the training diverged"):
        save(diverged, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_files_of_before_load(network, saved):
    """They have no checksum, and numbers as arrays of one."""
    net, X = network
    tree, arrays = parts(saved)
    write(saved, tree, {k: v.reshape(v.shape or (1,)) for k, v in arrays.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load(saved)
    np.testing.assert_array_equal(loaded.predict_proba(X), net.predict_proba(X))


def test_a_long_description_of_real_things_loads(tmp_path):
    """Five thousand classes by name: more text than numbers."""
    X = np.random.default_rng(0).standard_normal((5000, 2, 3))
    y = np.array([f"a class of the name {i}" for i in range(5000)])
    model = make_pipeline(FrameStatistics(), LogisticRegression())
    model.fit(X[:2], y[:2])
    model[-1].classes_ = y.astype(object)
    save(model, tmp_path / "m")
    np.testing.assert_array_equal(load(tmp_path / "m")[-1].classes_, y)
