"""Compare single views, their fusions and a baseline, from sound to saved model.

The sounds are made on the spot, or yours: a folder with a sub-folder per class, or a
table with columns for file and label::

    python docs/demo.py --data my_sounds --output results

`make demo` and `make demo DATA=my_sounds` do this.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio.datasets import load_audio_files, make_sounds
from skaudio.ensemble import LateFusionClassifier
from skaudio.inspection import BlendingDisplay
from skaudio.model_selection import StratifiedGroupShuffleSplit
from skaudio.neural_network import CRNNClassifier, MultiViewBlendingClassifier
from skaudio.persistence import load, save
from skaudio.preprocessing import AudioLoader, FrameStatistics, ViewScaler
from skaudio.views import MFCCView, make_view_union

parser = argparse.ArgumentParser(description="Compare single views and their fusions.")
parser.add_argument(
    "--data", help="folder per class, or table; default: made-up sounds"
)
parser.add_argument("--output", type=Path, help="folder for table, figure and model")
parser.add_argument("--epochs", type=int, default=20, help="passes over training clips")
args = parser.parse_args()

# Sounds.
#
# X is an array of waveforms, or paths of audio files, which are decoded and resampled
# when needed. ``groups`` names the recording that each clip was cut from. Clips of one
# recording resemble each other, so all of them go to the same side of the split.

if args.data is None:
    sr, segment_length = 8000, None  # a segment is a whole clip
    X, y, groups = make_sounds(
        n_clips=240,
        n_classes=6,
        sr=sr,
        clips_per_source=2,
        return_groups=True,
        random_state=0,
    )
else:
    sr, segment_length = 22050, 1.5  # seconds
    try:
        sounds = load_audio_files(args.data)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    X, y, groups = sounds.paths, sounds.target_names[sounds.target], sounds.groups

groups = np.arange(len(y)) if groups is None else groups  # every clip its own source
splitter = StratifiedGroupShuffleSplit(test_size=0.3, random_state=0)
train, test = next(splitter.split(X, y, groups))
if len(test) == 0 or len(set(y)) < 2:
    parser.error("needs two classes or more, and two recordings in some class")
print(f"{len(train)} clips to train on, {len(test)} to test, {len(set(y))} classes")

# Views.
#
# Clips are decoded once, digital silence at their ends is dropped, and four views are
# computed of each. Views learn nothing, so all clips can go through together; the
# scaler does learn, and sees the training clips only.

start = time.perf_counter()
clips = AudioLoader(sr=sr, trim_silence=True, n_jobs=-1).fit_transform(X)
union = make_view_union("mel", "gammatone", "cqt", "raw", sr=sr)
if args.data is None:  # coarse views do for these sounds, and keep the example short
    union.set_params(mel__n_mels=32, gammatone__n_bins=32)
    union.set_params(cqt__n_bins=40, cqt__bins_per_octave=6)
views = union.fit_transform(clips)
scaler = ViewScaler().fit(views[train])
Z_train, Z_test = scaler.transform(views[train]), scaler.transform(views[test])
print(views)
print(f"computed in {time.perf_counter() - start:.1f} s")

# A classical baseline.
#
# Mean and standard deviation of cepstral coefficients over time, and a perceptron: a
# baseline that takes a second.

table = []  # name, accuracy, seconds of training


def add_row(name, y_pred, seconds):
    """Note a classifier on the test clips."""
    table.append((name, accuracy_score(y[test], y_pred), seconds))


start = time.perf_counter()
mfcc = make_pipeline(
    MFCCView(sr=sr, n_mfcc=20, delta=2),
    FrameStatistics(),
    StandardScaler(),
    MLPClassifier((256,), max_iter=500, random_state=0),
)
mfcc.fit(clips[train], y[train])
seconds = time.perf_counter() - start
add_row("MFCC + MLP", mfcc.predict(clips[test]), seconds)

# Each view alone, and late fusion.
#
# One convolutional recurrent network per view, trained side by side. Late fusion is the
# mean of their probabilities, so one fit serves both. ``width`` makes the
# network, which at 1 is meant for a GPU, small enough for a few CPU cores.

settings = {
    "width": 0.125,
    "max_epochs": args.epochs,
    "batch_size": 16,
    "segment_length": segment_length,
    "validation_fraction": 0.15,
    "random_state": 0,
}
start = time.perf_counter()
late = LateFusionClassifier(CRNNClassifier(**settings), n_jobs=-1)
late.fit(Z_train, y[train], groups=groups[train])
late_seconds = time.perf_counter() - start

for name, proba in late.branch_proba(Z_test).items():
    seconds = sum(epoch["seconds"] for epoch in late.named_estimators_[name].history_)
    add_row(name, late.classes_[proba.argmax(axis=1)], seconds)
add_row("late fusion", late.predict(Z_test), late_seconds)

# Concatenation and blending.
#
# Both are one network with an encoder per view. Concatenation has a single loss, that
# of the joint branch. Blending gives every view a branch and a loss of its own, and
# adapts their weights to how each branch learns and overfits. It predicts twice: by its
# joint branch, and by the ensemble of all branches with the weights it found.

start = time.perf_counter()
concatenation = MultiViewBlendingClassifier(blending="none", **settings)
concatenation.fit(Z_train, y[train], groups=groups[train])
seconds = time.perf_counter() - start
add_row("concatenation", concatenation.predict(Z_test), seconds)

start = time.perf_counter()
blended = MultiViewBlendingClassifier(blending="adaptive", **settings)
blended.fit(Z_train, y[train], groups=groups[train])
seconds = time.perf_counter() - start
joint = blended.branch_proba(Z_test)["joint"]
add_row("blending, joint branch", blended.classes_[joint.argmax(axis=1)], seconds)
add_row("blending, self-ensemble", blended.predict(Z_test), seconds)

results = pd.DataFrame(table, columns=["classifier", "accuracy", "seconds"])
results = results.set_index("classifier")
print(
    results.to_string(
        formatters={"accuracy": "{:.1%}".format, "seconds": "{:.1f}".format},
        index_names=False,
    )
)

# With so few test clips, differences of a few points are noise. What matters more on
# your own data: repeat with other seeds, and compare on the same clips.
#
# What blending did.
#
# The weights of the branches over training, and the losses that they were computed
# from: on the validation clips, and on as many training clips.

display = BlendingDisplay.from_estimator(blended)

# Save and reload.
#
# The fitted steps make one pipeline, from sound to label. It is saved to a file of
# plain arrays that executes nothing when it is loaded.

pipeline = make_pipeline(union, scaler, blended)

with tempfile.TemporaryDirectory() as temporary:
    folder = args.output or Path(temporary)
    folder.mkdir(parents=True, exist_ok=True)
    results.to_csv(folder / "accuracy.csv")
    display.figure_.savefig(folder / "blending.png", dpi=150)
    file = folder / "blending.safetensors"
    save(pipeline, file)
    reloaded = load(file)
    size = file.stat().st_size

np.testing.assert_array_equal(reloaded.predict(clips[test]), blended.predict(Z_test))
print(f"{size / 1e6:.1f} MB; reloaded, it predicts the same for all {len(test)} clips")
if args.output is not None:
    print(f"table, figure and model are in {args.output}")
