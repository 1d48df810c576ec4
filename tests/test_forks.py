"""Children of a process that has computed with several threads go on, too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
START = """
import os, signal, threading
import numpy as np
import torch
from skaudio.cache._clips import MEMORY
from skaudio._utils._forks import Lock
from skaudio.datasets import make_sounds
from skaudio.mixture import GMMClassifier
from skaudio.neural_network import CRNNClassifier
from skaudio.preprocessing import FrameStatistics
from skaudio.views import MelView
from sklearn.pipeline import make_pipeline

torch.set_num_threads(2)
X, y = make_sounds(n_clips=12, n_classes=2, duration=1.0, sr=8000, random_state=0)

def in_child(call):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        call()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)
"""


CASES = """
mel = MelView(sr=8000)
gmm = make_pipeline(mel, FrameStatistics(), GMMClassifier(random_state=0))
net = CRNNClassifier(views=mel, width=0.1, max_epochs=1)
calls = {
    "view": lambda: mel.transform(X),
    "network": lambda: net.fit(X, y).predict(X),
    "mixture": lambda: gmm.fit(X, y).predict(X),
}
for call in calls.values():
    call()
print([name for name, call in calls.items() if in_child(call)])

# another thread holds the place of a clip in the cache
begun, end = threading.Event(), threading.Event()
def slow(rows):
    begun.set()
    end.wait()
    return [np.zeros(1)]
thread = threading.Thread(target=MEMORY.rows, args=(["key"], slow))
thread.start()
begun.wait()
print(in_child(lambda: MEMORY.rows(["key"], lambda rows: [np.ones(1)])))
end.set()
thread.join()

lock = Lock()
with lock:
    print(in_child(lambda: lock.__enter__()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_children_do_not_hang():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", START + CASES],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["[]", "False", "False"]
