"""Any ONNX graph of a waveform as an embedder, against NumPy."""

import hashlib
import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone

from skaudio.embedding import HEARModel, PretrainedEmbedder

N, SR = 400, 8000  # samples of a segment, where it is fixed
FILTERS = np.random.default_rng(0).standard_normal((5, 1, 8)).astype(np.float32)
TO_3D = {  # from the shape of the input to (batch, 1, n)
    "n": ("Unsqueeze", {"axes": [0, 1]}),
    "1n": ("Unsqueeze", {"axes": [1]}),
    "bn": ("Unsqueeze", {"axes": [1]}),
    "11n": ("Identity", {}),
    "b1n": ("Identity", {}),
    "bn1": ("Transpose", {"perm": [0, 2, 1]}),
}
SIZES = {"1": 1, "b": "batch"}


@pytest.fixture
def write(published, tmp_path):
    """Write a graph: tanh of strided filters, its mean over time, and its maximum."""

    def node(*args, **attributes):
        return published.node(*args, **attributes)

    def write(
        how="bn", n="time", outputs=("mean",), name="model.onnx", kind=1, extra=()
    ):
        op, attributes = TO_3D[how]
        shape = [SIZES.get(axis, n) for axis in how]
        steps, free = "steps", how[0] == "b"
        batch = "batch" if free else 1
        shapes = {
            "mean": [batch, 5],
            "max": [batch, 5],
            "maps": [batch, 5, steps],
            "frames": [batch, steps, 5],
            "one": [5],
        }
        content = published.runnable(
            published.value_info(11, "audio", shape, kind),
            *extra,
            node("Cast", ["audio"], ["float"], to=1),
            node(op, ["float"], ["x"], **attributes),
            node("Conv", ["x", "w"], ["c"], strides=[8]),
            node("Tanh", ["c"], ["maps"]),
            node("ReduceMean", ["maps"], ["mean"], axes=[2], keepdims=0),
            node("ReduceMax", ["maps"], ["max"], axes=[2], keepdims=0),
            node("ReduceMax", ["maps"], ["one"], axes=[0, 2], keepdims=0),
            node("Transpose", ["maps"], ["frames"], perm=[0, 2, 1]),
            published.tensor("w", FILTERS),
            *(published.value_info(12, out, shapes[out]) for out in outputs),
        )
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


@pytest.fixture
def clips():
    rng = np.random.default_rng(1)
    lengths = (N, 2 * N, 1000, 123, 4000, 1000)
    return [rng.uniform(-0.5, 0.5, n).astype(np.float32) for n in lengths]


def maps(clip):
    """(5, steps) of one waveform."""
    steps = len(clip) // 8
    return np.tanh(FILTERS[:, 0].astype(float) @ clip[: 8 * steps].reshape(-1, 8).T)


def test_without_onnx_runtime(write, clips, monkeypatch, published):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        ImportError,
        match=r"model.onnx, which is no SampleCNN, needs onnxruntime.*skaudio\[onnx\]",
    ):
        PretrainedEmbedder(write(), model_sr=SR).fit(clips)
    source = published.make_source((3, 3, 3), (4, 6, 5, 7))
    path = write()
    path.write_bytes(published.onnx_bytes(source))  # SampleCNN goes without
    assert PretrainedEmbedder(path).fit(clips).layout_ == "ONNX"


@pytest.fixture
def runtime():
    reason = "onnxruntime is not installed (extra onnx)"
    return pytest.importorskip("onnxruntime", reason=reason)


@pytest.mark.parametrize("how", TO_3D)
def test_whole_clips_where_the_length_is_free(write, clips, runtime, how):
    embedder = PretrainedEmbedder(write(how), model_sr=SR).fit(clips)
    table = embedder.transform(clips)
    expected = [maps(clip).mean(1) for clip in clips]
    np.testing.assert_allclose(table, expected, atol=1e-6)
    assert (embedder.n_features_out_, embedder.sample_rate_) == (5, SR)
    assert embedder.layout_ == "ONNX graph"


@pytest.mark.parametrize("how", TO_3D)
def test_segments_where_the_length_is_fixed(write, clips, runtime, how):
    embedder = PretrainedEmbedder(write(how, N), model_sr=SR)
    table = embedder.fit_transform(clips)
    np.testing.assert_allclose(table[0], maps(clips[0]).mean(1), atol=1e-6)
    firsts = (0, 300, 600)  # of 1000 samples, as for SampleCNN
    segments = [maps(clips[2][first : first + N]).mean(1) for first in firsts]
    np.testing.assert_allclose(table[2], np.mean(segments, axis=0), atol=1e-6)
    repeated = np.tile(clips[3], 4)[:N]
    np.testing.assert_allclose(table[3], maps(repeated).mean(1), atol=1e-6)
    middle = clone(embedder).set_params(n_segments=1).transform(clips[2:3])
    np.testing.assert_allclose(middle[0], maps(clips[2][300:700]).mean(1), atol=1e-6)


@pytest.mark.parametrize("n", ["time", N])
def test_a_row_alone_is_the_row_among_others(write, clips, runtime, n):
    embedder = PretrainedEmbedder(write("b1n", n), model_sr=SR, cache=False)
    table = embedder.transform(clips)
    for row, clip in enumerate(clips):
        np.testing.assert_array_equal(embedder.transform([clip])[0], table[row])
    np.testing.assert_array_equal(embedder.transform(clips[::-1]), table[::-1])


@pytest.mark.parametrize(("kind", "tolerance"), [(10, 1e-3), (11, 1e-6)])
def test_halves_and_doubles(write, clips, runtime, kind, tolerance):
    table = PretrainedEmbedder(write(kind=kind), model_sr=SR).fit_transform(clips)
    expected = [maps(clip).mean(1) for clip in clips]
    np.testing.assert_allclose(table, expected, atol=tolerance)
    assert table.dtype == np.float32


def test_outputs_of_text_are_left_out(published, clips, tmp_path, runtime):
    path = tmp_path / "model.onnx"
    text = published.node("Cast", ["audio"], ["text"], to=8)
    parts = [
        published.value_info(11, "audio", [1, N]),
        text,
        published.value_info(12, "text", [1, N], 8),
    ]
    path.write_bytes(published.runnable(*parts))
    with pytest.raises(ValueError, match=r"gives text tensor\(string\); wanted arrays"):
        PretrainedEmbedder(path, model_sr=SR).fit(clips)
    squares = published.node("Mul", ["audio", "audio"], ["squares"])
    out = published.value_info(12, "squares", [1, N])
    path.write_bytes(published.runnable(*parts, squares, out))
    table = PretrainedEmbedder(path, model_sr=SR).fit_transform(clips[:1])
    np.testing.assert_allclose(table[0], clips[0] ** 2, atol=1e-6)


def test_arrays_at_another_rate_are_resampled(write, clips, runtime):
    path = write()
    there = PretrainedEmbedder(path, model_sr=16000, sr=SR).transform(clips)
    assert not np.allclose(
        there, PretrainedEmbedder(path, model_sr=SR).transform(clips)
    )


def test_outputs_are_named_or_counted(write, clips, runtime):
    path = write(outputs=("max", "frames", "one"))
    with pytest.raises(
        ValueError, match=r"has the outputs \['max', 'frames', 'one'\]: name .* layers="
    ):
        PretrainedEmbedder(path, model_sr=SR).fit(clips)
    embedder = PretrainedEmbedder(path, layers=("frames", "max"), model_sr=SR)
    expected = [[*maps(c).mean(1), *maps(c).max(1)] for c in clips]
    np.testing.assert_allclose(embedder.transform(clips), expected, atol=1e-6)
    numbers = clone(embedder).set_params(layers=(1, 0))
    np.testing.assert_array_equal(numbers.transform(clips), embedder.transform(clips))
    last = clone(embedder).set_params(layers=(-1,)).transform(clips)
    np.testing.assert_allclose(last, [maps(c).max(1) for c in clips], atol=1e-6)
    with pytest.raises(ValueError, match="layers has 'min', which the network has not"):
        PretrainedEmbedder(path, layers=("min",), model_sr=SR).fit(clips)


@pytest.mark.parametrize("n", ["time", N])
def test_frames(write, clips, runtime, n):
    embedder = PretrainedEmbedder(write(n=n), model_sr=SR)
    long = np.tile(clips[4], 5)  # 2.5 s
    frames, times = embedder.transform_frames([long], hop=0.25)
    np.testing.assert_allclose(times[0], np.arange(0.125, 2.5, 0.25))
    width = n if n == N else SR  # or a second
    first = round(times[0, 5] * SR - width / 2)
    segment = long[first : first + width]
    np.testing.assert_allclose(frames[0, :, 5], maps(segment).mean(1), atol=1e-6)
    assert HEARModel(embedder).scene_embedding_size == 5


def test_files_are_known_by_their_content(write, clips, runtime, tmp_path, monkeypatch):
    path = write()
    embedder = PretrainedEmbedder(path, model_sr=SR, cache=tmp_path / "cache")
    table = embedder.fit_transform(clips)
    assert embedder.fingerprint_ == hashlib.sha256(path.read_bytes()).hexdigest()
    same = clone(embedder).set_params(weights=write(name="copy.onnx"))
    monkeypatch.setattr(
        "skaudio.embedding._backends._onnx.OnnxNetwork.embed",
        lambda *_: pytest.fail("is cached"),
    )
    np.testing.assert_array_equal(same.transform(clips), table)
    loaded = pickle.loads(pickle.dumps(embedder))
    np.testing.assert_array_equal(loaded.transform(clips), table)
    monkeypatch.undo()
    write(how="b1n")
    with pytest.raises(ValueError, match="this embedder was fitted with"):
        embedder.transform(clips)
    with pytest.raises(ValueError, match="expected 00ff"):
        PretrainedEmbedder(path, model_sr=SR, sha256="00ff").fit(clips)


MISFITS = {
    "rate": (
        {},
        {"model_sr": None},
        r"is an ONNX graph.*Set model_sr=\.\.\.",
    ),
    "bands": (
        {"how": "bn", "n": 64},
        {},
        "takes 64 numbers.*less than 0.02 s",
    ),
    "tags": ({}, {"output": "tags"}, r"output='tags' is not known of model.onnx"),
    "segments": ({}, {"n_segments": 3}, r"n_segments=3 is .* clips of any length"),
    "time last": ({"outputs": ("maps",)}, {}, "its last axis is time, not features"),
    "scaler": ({}, {"scaler": "."}, r"a convolution without bias.*leave scaler=None"),
    "params": ({}, {"network_params": {"norm_eps": 1e-3}}, "leave scaler=None and net"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_misfits_say_what_to_do(write, clips, runtime, case):
    graph, params, message = MISFITS[case]
    embedder = PretrainedEmbedder(write(**graph), **{"model_sr": SR, **params})
    with pytest.raises(ValueError, match=f"(?s){message}"):
        embedder.fit(clips).transform(clips)


@pytest.mark.parametrize(
    "shape", [[1, 76, 32, 1], ["b", 2, "n"], [1, 96, 64], ["b", "c", "n"], [2, "n"], []]
)
def test_views_are_for_an_adapter(published, clips, tmp_path, runtime, shape):
    path = tmp_path / "model.onnx"
    path.write_bytes(
        published.runnable(
            published.value_info(11, "mel", shape),
            published.node("Tanh", ["mel"], ["out"]),
            published.value_info(12, "out", shape),
        )
    )
    with pytest.raises(ValueError, match=r"wanted one waveform.*'Other models'.*Tanh"):
        PretrainedEmbedder(path, model_sr=SR).fit(clips)


def test_integers_are_for_an_adapter(published, clips, tmp_path, runtime):
    path = tmp_path / "model.onnx"
    path.write_bytes(
        published.runnable(
            published.value_info(11, "audio", [1, "n"], 6),
            published.node("Neg", ["audio"], ["out"]),
            published.value_info(12, "out", [1, "n"], 6),
        )
    )
    with pytest.raises(ValueError, match=r"audio tensor\(int32\) .*'Other models'"):
        PretrainedEmbedder(path, model_sr=SR).fit(clips)


def test_several_inputs_are_for_an_adapter(write, published, clips, runtime):
    path = write(extra=[published.value_info(11, "sr", [1])])
    with pytest.raises(ValueError, match=r"takes audio tensor\(float\).*, sr tensor"):
        PretrainedEmbedder(path, model_sr=SR).fit(clips)


def test_damage_and_weights_elsewhere(write, published, clips, runtime):
    path = write()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cut short, damaged"):
        PretrainedEmbedder(path, model_sr=SR).fit(clips)
    path.write_bytes(content.replace(b"Tanh", b"Tanx"))
    with pytest.raises(ValueError, match=r"(?s)neither a SampleCNN nor .*Tanx"):
        PretrainedEmbedder(path, model_sr=SR).fit(clips)
    where = published.message((1, "location"), (2, "weights.bin"))
    outside = published.message(
        *((1, n) for n in FILTERS.shape), (2, 1), (8, "w"), (13, where), (14, 1)
    )
    path.write_bytes(
        published.runnable(
            published.value_info(11, "audio", ["b", 1, "n"]),
            published.node("Conv", ["audio", "w"], ["out"], strides=[8]),
            (5, outside),
            published.value_info(12, "out", ["b", 5, "n"]),
        )
    )
    with pytest.raises(ValueError, match="Weights that lie in a second file are not"):
        PretrainedEmbedder(path, model_sr=SR).fit(clips)


def test_too_short_for_the_graph(write, clips, runtime):
    embedder = PretrainedEmbedder(write(), model_sr=SR)
    with pytest.raises(ValueError, match="failed with a waveform of 5 samples"):
        embedder.transform([clips[0][:5]])


def test_lists_of_paths_and_failures(write, clips, runtime):
    embedder = PretrainedEmbedder(write(), model_sr=SR, on_error="nan")
    table = embedder.transform([clips[0], "missing.wav", clips[1]])
    assert np.isnan(table[1]).all()
    good = embedder.transform(clips[:2])
    np.testing.assert_array_equal(table[[0, 2]], good)
