"""Public names: one path each, documented in full, in the same words everywhere."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate
from sklearn.base import BaseEstimator

import skaudio

ROOT = Path(__file__).resolve().parents[1]

# Parameters with the same name that mean something else in a package, or in one class:
# these have texts of their own, for the reason given.
DIFFERENT: dict[tuple[str, str], str] = {
    **{
        (name, "skaudio.neural_network.PretrainedClassifier"): "of a file's network"
        for name in (
            *("weights", "freeze", "model_sr", "network_params"),
            *("dropout", "segment_length"),
        )
    },
    (
        "batch_size",
        "skaudio.embedding.PretrainedEmbedder",
    ): "segments or clips, and what a CPU does",
    (
        "device",
        "skaudio.embedding.PretrainedEmbedder",
    ): "leaves a model of others where it is",
    ("dropout", "skaudio.embedding.AutoencoderEmbedder"): "other layers",
    ("n_segments", "skaudio.embedding.AutoencoderEmbedder"): "of codes",
    ("random_state", "skaudio.embedding.AutoencoderEmbedder"): "lists what is drawn",
    ("validation_fraction", "skaudio.embedding.AutoencoderEmbedder"): "no classes",
    ("verbose", "skaudio.embedding.AutoencoderEmbedder"): "progress of epochs",
    ("views", "skaudio.embedding.AutoencoderEmbedder"): "never standardised",
    ("batch_size", "skaudio.embedding.AutoencoderEmbedder"): "of another paper",
    ("dropout", "skaudio.neural_network.SoftmaxAutoencoderClassifier"): "other layers",
    ("views", "skaudio.neural_network.SoftmaxAutoencoderClassifier"): "as they are",
    (
        "batch_size",
        "skaudio.neural_network.SoftmaxAutoencoderClassifier",
    ): "of another paper",
    ("dropout", "skaudio.neural_network.TwoLayerClassifier"): "its only layer",
    ("batch_size", "skaudio.neural_network.TwoLayerClassifier"): "of another paper",
    ("batch_size", "skaudio.embedding.CoalaEmbedder"): "clips that are compared",
    ("dropout", "skaudio.embedding.CoalaEmbedder"): "other layers",
    ("random_state", "skaudio.embedding.CoalaEmbedder"): "lists what is drawn",
    ("validation_fraction", "skaudio.embedding.CoalaEmbedder"): "of tags, by loss",
    ("verbose", "skaudio.embedding.CoalaEmbedder"): "progress of epochs",
    ("views", "skaudio.embedding.CoalaEmbedder"): "always computed here",
    ("width", "skaudio.embedding.CoalaEmbedder"): "other layers",
    ("batch_size", "skaudio.neural_network.CoalaTagClassifier"): "the paper's own",
    ("dropout", "skaudio.neural_network.CoalaTagClassifier"): "other layers",
    (
        "validation_fraction",
        "skaudio.neural_network.CoalaTagClassifier",
    ): "none by default, as in the paper",
    ("views", "skaudio.neural_network.CoalaTagClassifier"): "always computed here",
    ("width", "skaudio.neural_network.CoalaTagClassifier"): "other layers",
    ("weights", "skaudio.ensemble.LateFusionClassifier"): "numbers, not a network",
    ("n_segments", "skaudio.neural_network.Validation"): "in training",
    ("factor", "skaudio.neural_network.WarmupDecay"): "multiplies",
    ("sr", "skaudio.embedding"): "of arrays only: the network's rate is its own",
    ("batch_size", "skaudio.views"): "clips of a front end, not segments of a step",
    ("device", "skaudio.views"): "where a front end runs, not where a network trains",
    ("verbose", "skaudio.neural_network"): "progress of epochs, not of loading",
    ("random_state", "skaudio.neural_network"): "lists what is drawn",
    ("n_jobs", "skaudio.ensemble"): "estimators that fit, not threads that decode",
    ("estimator", "skaudio.model_selection.TagThresholdClassifier"): "is of tags",
    ("n_jobs", "skaudio.model_selection"): "splits, not threads that decode",
    ("n_jobs", "skaudio.mixture"): "estimators that fit, not threads that decode",
    ("n_jobs", "skaudio.views.ViewUnion"): "takes the place of the views' own",
    ("cache", "skaudio.views.ViewUnion"): "takes the place of the views' own",
    ("cache_by", "skaudio.views.ViewUnion"): "takes the place of the views' own",
    ("verbose", "skaudio.views.ViewUnion"): "takes the place of the views' own",
    ("estimator", "skaudio.ensemble.FrameClassifier"): "sees frames, not views",
    ("estimator", "skaudio.embedding.LayerEmbedder"): "trained once, or not at all",
    ("estimator", "skaudio.segmentation.FrameSegmenter"): "takes sound",
    ("hop", "skaudio.segmentation.FrameSegmenter"): "of frames, not of windows",
    ("min_duration", "skaudio.segmentation.FrameSegmenter"): "of segments, not clips",
    ("sr", "skaudio.segmentation.FrameSegmenter"): "that of the estimator's view",
    ("window", "skaudio.segmentation.FrameSegmenter"): "of clips around a frame",
    ("layers", "skaudio.embedding.PretrainedEmbedder"): "of networks not trained here",
    ("n_fft", "skaudio.preprocessing.AcousticDescriptors"): "the window is as long",
    ("hop_length", "skaudio.preprocessing.AcousticDescriptors"): "never None",
    ("n_frames", "skaudio.preprocessing.AcousticDescriptors"): "may be all",
    ("per", "skaudio.preprocessing.PatchScaler"): "time positions, not bins",
    ("n_segments", "skaudio.embedding"): "by default as many as cover a clip",
    ("width", "skaudio.neural_network.SampleCNNClassifier"): "other layers",
    ("width", "skaudio.neural_network.FrameLevelCNNClassifier"): "other layers",
    ("dropout", "skaudio.neural_network.SampleCNNClassifier"): "at the top only",
    ("dropout", "skaudio.neural_network.FrameLevelCNNClassifier"): "at the top only",
    ("win_length", "skaudio.neural_network.FrameLevelCNNClassifier"): "learned",
    ("hop_length", "skaudio.neural_network.FrameLevelCNNClassifier"): "learned",
    ("hop_length", "skaudio.views.CQTView"): "the paper's other hop, in round numbers",
    ("n_bins", "skaudio.views.CQTView"): "notes, not filters",
    ("fmin", "skaudio.views.CQTView"): "the lowest note",
    ("fmin", "skaudio.views.GammatoneView"): "a centre frequency",
    ("fmax", "skaudio.views.GammatoneView"): "where the next centre would be",
    ("n_mels", "skaudio.views.MFCCView"): "bands below the coefficients",
    ("top_db", "skaudio.views.MFCCView"): "of the spectrogram below the coefficients",
    ("norm", "skaudio.views.MFCCView"): "of the cosine transform, as in librosa",
    ("window", "skaudio.preprocessing"): "seconds, not a shape",
    ("top_db", "skaudio.preprocessing.SilenceRemover"): "what is silent",
    ("window", "skaudio.neural_network.Blending"): "of evaluations, not of samples",
    ("power", "skaudio.views.CQTView"): "does not sum over frequency",
    ("power", "skaudio.views.GammatoneView"): "responses have the exponent as well",
    ("power", "skaudio.views.STFTView"): "adds up nothing",
    ("scale", "skaudio.views.STFTView"): "magnitudes as they are",
    ("estimator", "skaudio.neural_network.FineTunedClassifier"): "starts from it",
    ("lr", "skaudio.neural_network.FineTunedClassifier"): "by default a tenth",
    (
        "max_epochs",
        "skaudio.neural_network.FineTunedClassifier",
    ): "as before",
    ("lr_schedule", "skaudio.neural_network.FineTunedClassifier"): "as before",
    (
        "random_state",
        "skaudio.neural_network.FineTunedClassifier",
    ): "and of a head",
    ("weights", "skaudio.neural_network.MobileNetClassifier"): "a file, or none",
    ("width", "skaudio.neural_network.MobileNetClassifier"): "other layers",
    ("dropout", "skaudio.neural_network.MobileNetClassifier"): "at the top only",
    (
        "batch_size",
        "skaudio.neural_network.SpectrogramCNNClassifier",
    ): "of another paper",
    ("width", "skaudio.neural_network.SpectrogramCNNClassifier"): "other layers",
    ("dropout", "skaudio.neural_network.SpectrogramCNNClassifier"): "other layers",
    ("filters", "skaudio.neural_network.SpectrogramCNNClassifier"): "other layers",
    (
        "hidden_layer_sizes",
        "skaudio.neural_network.SpectrogramCNNClassifier",
    ): "at the top",
    ("dropout", "skaudio.neural_network.SelfNormalizingClassifier"): "of another kind",
    ("dropout", "skaudio.neural_network.SwishNetClassifier"): "other layers",
    ("batch_size", "skaudio.neural_network.SwishNetClassifier"): "of another paper",
    ("batch_size", "skaudio.neural_network.MobileNetClassifier"): "of another paper",
    (
        "batch_size",
        "skaudio.neural_network.SelfNormalizingClassifier",
    ): "of another paper",
    (
        "validation_fraction",
        "skaudio.neural_network.MultiViewBlendingClassifier",
    ): "also what the weights are measured on",
    (
        "width",
        "skaudio.neural_network.MultiViewBlendingClassifier",
    ): "the joint branch has a size of its own",
}

MAX_MODULE_LINES = 350
MAX_FUNCTION_LINES = 40


def public_packages():
    modules = [getattr(skaudio, name) for name in skaudio.__all__]
    return [module for module in modules if inspect.ismodule(module)]


def public_objects():
    """Import path -> object, for everything users are meant to import."""
    paths = {
        f"skaudio.{name}": getattr(skaudio, name)
        for name in skaudio.__all__
        if callable(getattr(skaudio, name))
    }
    for package in public_packages():
        for name in getattr(package, "__all__", ()):
            paths[f"{package.__name__}.{name}"] = getattr(package, name)
    return paths


def own_methods(cls):
    """Public methods and properties that skaudio wrote, not those it inherits."""
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        function = getattr(member, "fget", getattr(member, "__func__", member))
        function = getattr(function, "fn", function)  # sklearn's available_if
        module = getattr(inspect.unwrap(function), "__module__", None) or ""
        is_code = inspect.isfunction(function) or isinstance(member, property)
        if not name.startswith("_") and is_code and module.startswith("skaudio"):
            yield name


PUBLIC = public_objects()
CLASSES = {path: obj for path, obj in PUBLIC.items() if inspect.isclass(obj)}
ESTIMATORS = {p: c for p, c in CLASSES.items() if issubclass(c, BaseEstimator)}
METHODS = [f"{path}.{name}" for path, c in CLASSES.items() for name in own_methods(c)]


@functools.cache
def numpydoc_checks():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return frozenset(settings["tool"]["numpydoc_validation"]["checks"])


@functools.cache
def sections(path):
    return get_doc_object(PUBLIC[path])


def complaints(path, without=frozenset()):
    checks = numpydoc_checks() - without
    return [
        f"{code}: {text}" for code, text in validate(path)["errors"] if code in checks
    ]


def words(lines):
    return " ".join(" ".join(lines).split())


# ------------------------------------------------------------------------ names


@pytest.mark.parametrize("package", public_packages(), ids=lambda m: m.__name__)
def test_all_is_complete(package):
    names = list(package.__all__)  # ruff keeps them in order
    assert len(names) == len(set(names))
    missing = [name for name in names if not hasattr(package, name)]
    assert missing == []
    assert package.__doc__


def test_one_path_per_name():
    paths = defaultdict(list)
    for path, obj in PUBLIC.items():
        paths[path.rpartition(".")[2]].append(path)
        paths[id(obj)].append(path)
    assert [found for found in paths.values() if len(found) > 1] == []


def test_subpackages_load_on_first_use():
    for name in skaudio.__all__:
        assert name in dir(skaudio)
    with pytest.raises(AttributeError, match="no attribute 'no_such_package'"):
        skaudio.no_such_package  # noqa: B018


# ------------------------------------------------------------------- docstrings


@pytest.mark.parametrize("path", PUBLIC)
def test_docstring(path):
    assert complaints(path) == []


@pytest.mark.parametrize("path", METHODS)
def test_method_docstring(path):
    # The class holds the example. A method of anything but an estimator may do with a
    # sentence; if it has sections, they are complete.
    owner, _, name = path.rpartition(".")
    brief = {"EX01", "PR01", "RT01", "YD01"}
    doc = inspect.getdoc(inspect.getattr_static(PUBLIC[owner], name)) or ""
    full = owner in ESTIMATORS or "\n---" in doc
    assert complaints(path, without={"EX01"} if full else brief) == []


@pytest.mark.parametrize("path", ESTIMATORS)
def test_estimators_list_their_attributes(path):
    if hasattr(PUBLIC[path], "fit"):  # a set of parameters learns nothing
        assert sections(path)["Attributes"], "document what fit sets"


def shared_texts():
    """(parameter, where it means the same) -> text -> classes that have it so."""
    texts = defaultdict(lambda: defaultdict(list))
    for path in ESTIMATORS:
        package = path.rpartition(".")[0]
        for parameter in sections(path)["Parameters"]:
            name = parameter.name
            scope = next((s for s in (path, package) if (name, s) in DIFFERENT), "")
            texts[name, scope][words(parameter.desc)].append(path)
    return texts


def test_shared_parameters_read_the_same():
    report = ""
    for (name, scope), variants in shared_texts().items():
        if len(variants) > 1:
            report += f"\n{name} {scope}\n"
            report += "".join(f"  {t!r}\n    {of}\n" for t, of in variants.items())
    assert not report, report


def test_exceptions_from_shared_texts_are_needed():
    texts = shared_texts()
    for name, scope in DIFFERENT:
        own, usual = set(texts[name, scope]), set(texts[name, ""])
        assert own, f"{name} of {scope} is no longer there"
        assert not own <= usual, f"{name} of {scope} reads like others: drop it here"


def test_frames_over_time_have_one_signature():
    """Features, then times, of X every ``hop`` seconds; probabilities likewise."""
    found = set()
    for path, cls in ESTIMATORS.items():
        for name in ("transform_frames", "predict_frames_proba"):
            if not hasattr(cls, name):
                continue
            found.add(cls.__name__)
            parameters = inspect.signature(getattr(cls, name)).parameters
            if name == "transform_frames":
                assert list(parameters) == ["self", "X", "hop"], path
                assert parameters["hop"].default is None, path
            returned = get_doc_object(getattr(cls, name))["Returns"]
            assert [part.name for part in returned][1:] == ["timestamps"], path
    embedders = {"CoalaEmbedder", "LayerEmbedder", "PretrainedEmbedder"}
    labellers = {"FrameClassifier", "FrameSegmenter"}
    networks = {"SelfNormalizingClassifier", "SwishNetClassifier"}
    assert found == labellers | embedders | networks


def test_constructors_take_keywords_only():
    """Except for what an estimator is made of, as in scikit-learn."""
    parts = {"estimator", "fraction", "name", "statistics", "student", "teacher"}
    parts |= {"transformer_list", "weights"}
    for path, cls in ESTIMATORS.items():
        parameters = inspect.signature(cls).parameters.values()
        positional = {p.name for p in parameters if p.kind is not p.KEYWORD_ONLY}
        assert positional <= parts, path


# ---------------------------------------------------------------- API reference


def test_api_reference_is_complete(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    page = importlib.import_module("api_reference").render()
    entries, module = [], None
    for line in page.splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif line.startswith("   ") and line.strip().isidentifier():
            entries.append(f"{module}.{line.strip()}")
    assert sorted(entries) == sorted(PUBLIC)


# ------------------------------------------------------------------------ sizes


def body(node):
    """The statements of a module or function without its docstring."""
    return node.body[1:] if ast.get_docstring(node) is not None else node.body


def code_lines(source):
    """Number of lines with code: without blanks, comments and docstrings."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            doc = node.body[0]
            skipped.update(range(doc.lineno, doc.end_lineno + 1))
    lines = enumerate(source.splitlines(), 1)
    code = [t.strip() for i, t in lines if i not in skipped]
    return sum(bool(text) and not text.startswith("#") for text in code)


def function_lines(source):
    """Name -> lines from the first statement to the last."""
    return {
        node.name: node.end_lineno - body(node)[0].lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and body(node)
    }


SOURCES = sorted((ROOT / "skaudio").rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_and_functions_are_small(path):
    source = path.read_text(encoding="utf-8")
    assert code_lines(source) <= MAX_MODULE_LINES
    sizes = function_lines(source)
    too_long = {name: n for name, n in sizes.items() if n > MAX_FUNCTION_LINES}
    assert too_long == {}


def test_lines_are_counted_right():
    source = '"""Doc."""\n\n# note\ndef f():\n    """Doc\n\n    more."""\n    a = 1\n\n'
    source += "    return a\n"
    assert code_lines(source) == 3
    assert function_lines(source) == {"f": 3}
