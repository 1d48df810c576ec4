"""What the loader of exported models refuses, with files written here."""

import numpy as np
import pytest

from skaudio.export import OnnxClassifier, OnnxEmbedder
from skaudio.export._metadata import Metadata

onnx = pytest.importorskip(
    "onnx", reason="writes ONNX files: pip install skaudio[onnx]"
)

SR = 8000
METADATA = Metadata(
    skaudio_version="0.1.0",
    sr=SR,
    output="probabilities",
    shortest=4,
    classes=["high", "low"],
    networks=[],
)


@pytest.fixture
def write(tmp_path):
    """Write a model that gives the mean of a clip, and one less it."""

    def write(texts=None, name="waveform", output="probabilities"):
        helper = onnx.helper
        one = helper.make_tensor("one", 1, [1], [1.0])
        axes = helper.make_tensor("axes", 7, [1], [1])
        nodes = [
            helper.make_node("ReduceMean", [name, "axes"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["one", "mean"], ["rest"]),
            helper.make_node("Concat", ["mean", "rest"], [output], axis=1),
        ]
        graph = helper.make_graph(
            nodes,
            "means",
            [helper.make_tensor_value_info(name, 1, ["batch", "n_samples"])],
            [helper.make_tensor_value_info(output, 1, ["batch", 2])],
            [one, axes],
        )
        opsets = [helper.make_opsetid("", 18)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        helper.set_model_props(model, METADATA.texts() if texts is None else texts)
        onnx.save(model, tmp_path / "model.onnx")
        return tmp_path / "model.onnx"

    return write


def test_answers(write):
    clf = OnnxClassifier(write(), n_threads=1)
    x = np.full((3, 10), 0.25)
    x[1] = 0.75
    proba = clf.predict_proba(x, sr=SR)
    np.testing.assert_allclose(proba, [[0.25, 0.75], [0.75, 0.25], [0.25, 0.75]])
    assert proba.dtype == np.float32
    assert clf.predict(x, sr=SR).tolist() == ["low", "high", "low"]
    assert (clf.sr, clf.classes_.tolist()) == (SR, ["high", "low"])
    assert clf.metadata == METADATA


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, "2", True])
def test_threads_are_counted(n_threads, tmp_path):
    with pytest.raises(ValueError, match="n_threads must be a whole number"):
        OnnxClassifier(tmp_path / "none.onnx", n_threads=n_threads)


def test_tags_and_embeddings(write):
    tags = METADATA.texts() | {"output": "tags", "classes": "[0, 1]"}
    clf = OnnxClassifier(write(tags))
    x = np.full((1, 10), 0.25)
    assert clf.predict(x, sr=SR).tolist() == [[0, 1]]
    embeddings = METADATA.texts() | {"output": "embeddings", "classes": "null"}
    embedder = OnnxEmbedder(write(embeddings))
    assert embedder.transform(x, sr=SR).tolist() == [[0.25, 0.75]]


@pytest.mark.parametrize(
    ("x", "sr", "message"),
    [
        (np.zeros((1, 9)), 16000, "takes sound at sr=8000 Hz; got sr=16000"),
        (np.zeros((1, 9), np.int16), SR, "floats, from -1 to 1; got the type int16"),
        ([["a"]], SR, "must be floats"),
        (np.zeros(9), SR, r"shape \(n_clips, n_samples\).* got \(9,\)"),
        (np.zeros((1, 1, 9)), SR, r"got \(1, 1, 9\)"),
        (np.zeros((1, 3)), SR, r"4 samples or more; got the shape \(1, 3\)"),
        (np.zeros((0, 9)), SR, r"no clip; got the shape \(0, 9\)"),
        ([np.zeros(9), np.zeros(8)], SR, "clips of one length"),
        (np.full((1, 5), 1e300), SR, "Clip 0 has samples that are NaN or infinite"),
        (np.array([[0.0] * 5, [0, 0, np.nan, 0, 0]]), SR, "Clip 1 has samples"),
        (np.full((1, 5), 3e38), SR, "clip 0 is not a finite number"),
    ],
)
def test_wrong_input_is_refused(x, sr, message, write):
    with pytest.raises(ValueError, match=message):
        OnnxClassifier(write()).predict_proba(x, sr=sr)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sr": "nan"}, "metadata are damaged: sr=nan"),
        ({"sr": "fast"}, "metadata are damaged"),
        ({"classes": "["}, "metadata are damaged"),
        ({"output": "sound"}, "metadata are damaged"),
        ({"classes": '["only one"]'}, "are not those of skaudio.export.to_onnx"),
        ({"output": "embeddings"}, "it gives embeddings: use OnnxEmbedder"),
        ({"shortest": None}, "metadata are damaged: KeyError"),
        ({"skaudio_version": None}, "no metadata of skaudio"),
    ],
)
def test_wrong_metadata_are_refused(changed, message, write):
    texts = {k: v for k, v in (METADATA.texts() | changed).items() if v is not None}
    with pytest.raises(ValueError, match=f"model.onnx cannot be used: .*{message}"):
        OnnxClassifier(write(texts))


def test_other_files_are_refused(write, tmp_path):
    with pytest.raises(ValueError, match="use OnnxClassifier"):
        OnnxEmbedder(write())
    with pytest.raises(ValueError, match=r"input .*audio.* are not those of"):
        OnnxClassifier(write(name="audio"))
    with pytest.raises(FileNotFoundError):
        OnnxClassifier(tmp_path / "none.onnx")
    with pytest.raises(IsADirectoryError):
        OnnxClassifier(tmp_path)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ValueError, match=r"text\.onnx is no ONNX file"):
        OnnxClassifier(tmp_path / "text.onnx")
