"""The server of the guide, where torch and skaudio cannot be imported."""

import io
import json
import os
import re
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

from skaudio.export import to_onnx
from skaudio.neural_network import TwoLayerClassifier
from skaudio.views import RawView

for package in ("fastapi", "uvicorn", "onnxscript"):
    pytest.importorskip(package, reason="serves ONNX files: the extra test has it")

APP = Path(__file__).resolve().parents[2] / "docs" / "examples" / "serving"
SR = 8000
CHILD = """
import socket, sys
for name in ("torch", "skaudio", "sklearn", "librosa", "scipy", "joblib"):
    sys.modules[name] = None  # importing it is an ImportError
import uvicorn
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
config = uvicorn.Config("app:app", log_level="error")
uvicorn.Server(config).run(sockets=[server])
"""


@contextmanager
def serving(model):
    """Address of a server with a model, in a process of its own."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        cwd=APP,
        env={**os.environ, "MODEL": str(model), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            yield f"http://127.0.0.1:{int(child.stdout.readline())}"
        finally:
            child.kill()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address of a server, and the classifier that it answers like."""
    rng = np.random.default_rng(0)
    t = np.arange(SR) / SR
    X = [np.sin(2 * np.pi * f * t[: 4000 + f]) for f in (200, 900, 1700) * 4]
    X = [(0.3 * x + 0.01 * rng.standard_normal(len(x))).astype(np.float32) for x in X]
    clf = TwoLayerClassifier(
        views=RawView(sr=SR), segment_length=50, max_epochs=20, random_state=0
    )
    clf.fit(X, ["low", "middle", "high"] * 4)
    path = tmp_path_factory.mktemp("served") / "sounds.onnx"
    to_onnx(clf, path)
    with serving(path) as address:
        yield address, clf


def ask(address, body=None):
    with urlopen(Request(address, data=body), timeout=30) as answer:
        return json.load(answer)


def wav(samples, sr=SR, width=2):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        out.setsampwidth(width)
        out.setframerate(sr)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def test_sixteen_requests_at_a_time(served):
    address, clf = served
    rng = np.random.default_rng(1)
    clips = [0.3 * rng.standard_normal(100 + 431 * i) for i in range(16)]
    clips = [clip.astype(np.float32) for clip in clips]
    with ThreadPoolExecutor(16) as pool:
        url = f"{address}/predict?sr={SR}"
        answers = list(pool.map(lambda x: ask(url, x.tobytes()), clips))
    found = [[answer[name] for name in clf.classes_] for answer in answers]
    np.testing.assert_allclose(found, clf.predict_proba(clips), atol=1e-5)
    assert np.std(found, axis=0).max() > 0.01


def test_wav_files_and_health(served):
    address, clf = served
    rng = np.random.default_rng(2)
    mono = rng.integers(-9000, 9000, 3000, dtype=np.int16)
    both = rng.integers(-9000, 9000, (3000, 2), dtype=np.int16)
    for pcm, clip in ((mono, mono / 32768), (both, both.mean(axis=1) / 32768)):
        found = ask(f"{address}/predict", wav(pcm))
        wanted = clf.predict_proba([clip.astype(np.float32)])[0]
        np.testing.assert_allclose([found[k] for k in clf.classes_], wanted, atol=1e-5)
    assert ask(f"{address}/health")["status"] == "ok"
    assert ask(f"{address}/health")["sr"] == SR


# a chunk that says it is longer than the file
LONG_CHUNK = wav(np.zeros(100, np.int16))
LONG_CHUNK = LONG_CHUNK[:16] + (1000).to_bytes(4, "little") + LONG_CHUNK[20:]


@pytest.mark.parametrize(
    ("body", "query", "status", "message"),
    [
        (wav(np.zeros(100, np.int16), sr=16000), "", 422, "takes 8000 .* got 16000"),
        (np.zeros(100, np.float32).tobytes(), "?sr=44100", 422, "got 44100"),
        (np.zeros(100, np.float32).tobytes(), "?sr=fast", 422, "valid number"),
        (wav(np.zeros(100, np.int32), width=4), "", 422, "16 bits; got 32"),
        (b"RIFF and no sound", "", 422, "No sound that can be used"),
        (LONG_CHUNK, "", 422, "No sound that can be used"),
        (b"text", "", 422, "from -1 to 1"),
        (b"text!", "", 422, "No sound that can be used"),
        (b"", "", 422, "1 samples or more"),
        (np.full(9, np.nan, np.float32).tobytes(), "", 422, "from -1 to 1"),
        (bytes(2_000_000), "", 413, "at most 1920000 bytes"),
    ],
)
def test_bad_input_is_answered_with_a_sentence(served, body, query, status, message):
    address, _ = served
    with pytest.raises(HTTPError) as raised:
        ask(f"{address}/predict{query}", body)
    with raised.value as answer:
        detail = str(json.load(answer)["detail"])
    assert raised.value.code == status
    assert len(detail.split()) > 3
    assert re.search(message, detail), detail
