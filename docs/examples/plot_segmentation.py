"""
Speech, music, noise: labels over time
======================================

A small network learns three kinds of sound from clips of a second, and then labels
recordings of minutes: in one pass, as a table of segments, and live. The sounds are
synthesised and only stand for speech, music and noise.
"""

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skaudio.datasets import make_recordings, make_sounds
from skaudio.inspection import PlayerTable, SegmentationDisplay
from skaudio.metrics import boundary_scores, frame_accuracy, frame_confusion
from skaudio.neural_network import SwishNetClassifier
from skaudio.preprocessing import ViewScaler
from skaudio.segmentation import FrameSegmenter
from skaudio.views import MFCCView

# %%
# Clips to learn from
# -------------------
# Chords stand for music, frequency-modulated tones for speech, and noise for noise. The
# clips of the recordings are others than those of training.

SR = 8000
NAMES = {"chord": "music", "fm": "speech", "noise": "noise"}


def clips(n_clips, seed):
    X, y = make_sounds(n_clips=n_clips, sr=SR, random_state=seed)
    kept = np.isin(y, list(NAMES))
    return X[kept], np.array([NAMES[name] for name in y[kept]])


X_train, y_train = clips(600, seed=0)
X_test, y_test = clips(240, seed=1)

# %%
# A small network
# ---------------
# The view has a frame every 10 ms, and no ``top_db``: that counts from the maximum of a
# whole clip, which nobody knows while a recording still goes on.

view = MFCCView(sr=SR, n_mels=32, hop_length=80, win_length=200, top_db=None)
net = SwishNetClassifier(variant="wide", max_epochs=20, random_state=0)
model = make_pipeline(view, ViewScaler(), net).fit(X_train, y_train)
print(f"accuracy of clips: {model.score(X_test, y_test):.3f}")

# %%
# Recordings of known content
# ---------------------------
# Pieces of the test clips, of the mean lengths that the SwishNet paper gives, some of
# them with silence between: quiet noise here, quiet parts of real recordings otherwise.

quiet = 1e-3 * np.random.default_rng(0).normal(size=(4, SR))
recordings, truth = make_recordings(
    *(X_test, y_test), sr=SR, n_recordings=5, silence=quiet, random_state=0
)
print(truth.head().round(2))
PlayerTable(recordings[:1], {"recording": [0]}, sr=SR, max_duration=20.0)

# %%
# Segments
# --------
# ``FrozenEstimator`` says that the model is fitted already. The median filter of 2 s is
# the paper's; segments of less than half a second join the one before.

segmenter = FrameSegmenter(FrozenEstimator(model), min_duration=0.5).fit()
segments = segmenter.predict(recordings)
print(segments.head().round(2))

# %%
# How good they are, without the frames of silence, which is no class:

accuracy = frame_accuracy(truth, segments, ignore=["silence"])
scores = boundary_scores(truth, segments, collar=0.5, ignore=["silence"])
print(f"frames: {accuracy:.3f}, boundaries within 0.5 s: F1 {scores.f1:.3f}")
print(frame_confusion(truth, segments, ignore=["silence"]).round(1))

# %%
# One recording
# -------------

first = truth[truth["recording"] == 0]
display = SegmentationDisplay.from_estimator(segmenter, recordings[0], truth=first)

# %%
# Live
# ----
# A stream takes blocks of any size and gives segments as soon as they are certain; put
# together they are the same table, to the bit. Shorter blocks give them earlier.

stream = segmenter.stream()
parts = [stream.push(block) for block in np.array_split(recordings[0], 500)]
parts = [part for part in [*parts, stream.flush()] if len(part)]
whole = segmenter.predict(recordings[:1])
pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
print(f"latency: {stream.latency_:.1f} s")
print(f"with blocks of half a second: {segmenter.set_params(block=0.5).latency_:.1f} s")
