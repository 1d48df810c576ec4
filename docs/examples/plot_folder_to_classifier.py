"""
From a folder of sounds to a classifier
=======================================

Six kinds of sound in a folder, a network on their spectrograms, and a page with its
mistakes to listen to. Listen first:
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay, classification_report

from skaudio.datasets import load_audio_files, make_everyday_sounds, write_audio_files
from skaudio.inspection import (
    ListeningReport,
    PlayerTable,
    TrainingDisplay,
    ViewDisplay,
)
from skaudio.model_selection import StratifiedGroupShuffleSplit
from skaudio.neural_network import CRNNClassifier
from skaudio.persistence import load, save
from skaudio.views import MelView

sr = 16000
X, y, source = make_everyday_sounds(
    72, sr=sr, return_groups=True, clips_per_source=3, random_state=0
)
first = [int(np.flatnonzero(y == name)[0]) for name in np.unique(y)]
PlayerTable(X[first], {"class": y[first]}, sr=sr)

# %%
# A folder
# --------
# They are synthetic, and written to files so that what follows is what you do with
# yours: a sub-folder per class, in any format. The table beside them says which clips
# were cut from one recording.

folder = Path(tempfile.mkdtemp()) / "my_sounds"
write_audio_files(folder, X, y, sr=sr, groups=source, format="ogg")
sounds = load_audio_files(folder / "clips.csv")
print(sounds.DESCR.replace(str(folder), "my_sounds"))
labels = sounds.target_names[sounds.target]

# %%
# A split that keeps recordings whole
# -----------------------------------

splitter = StratifiedGroupShuffleSplit(test_size=0.34, random_state=0)
train, test = next(splitter.split(sounds.paths, labels, sounds.groups))
print(f"{len(train)} clips to train on, {len(test)} to test")

# %%
# A network
# ---------
# It computes the view itself: paths go in. Narrow and short, it shows whether labels
# make sense, and takes seconds.

model = CRNNClassifier(
    views=MelView(sr=sr, cache=True), width=0.125, max_epochs=12, random_state=0
)
model.fit(sounds.paths[train], labels[train], groups=sounds.groups[train])
TrainingDisplay.from_estimator(model)
plt.show()

# %%
# How good it is
# --------------

predicted = model.predict(sounds.paths[test])
print(classification_report(labels[test], predicted, zero_division=0))
ConfusionMatrixDisplay.from_predictions(labels[test], predicted, xticks_rotation=45)
plt.tight_layout()
plt.show()

# %%
# What one clip looks like to the network, and what it says
# ---------------------------------------------------------

ViewDisplay.from_estimator(model, sounds.paths[test][0])
plt.show()

# %%
# Listening to the mistakes
# -------------------------
# The most confident mistakes first, then what the network is least sure of: with
# players, spectrograms, filters and a map. Its method ``save("report.html")`` makes one
# file that needs no network.

ListeningReport.from_estimator(
    model, sounds.paths[test], labels[test], groups=sounds.groups[test]
)

# %%
# Keep it
# -------
# A file of arrays and JSON, which executes nothing when it is loaded. New files get
# the names of classes.

save(model, folder / "sounds.safetensors")
again = load(folder / "sounds.safetensors")
print(again.predict(sounds.paths[test][:3]))
