"""
Watching branches learn
=======================

Four views of the same sound learn and overfit at different speeds. This example trains
the multi-view network of Phan et al. (ICASSP 2021) on synthetic sounds and draws what
their Figure 2 shows: the weights of the branches and their losses on training,
validation and test clips, step by step.

The views are computed inside the network, so X is the sound itself, and the training
segments are changed at random where sound is cheapest to change: on the waveform.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skaudio.datasets import make_sounds
from skaudio.inspection import BlendingDisplay, PlayerTable
from skaudio.model_selection import StratifiedGroupShuffleSplit
from skaudio.neural_network import (
    Augmentation,
    Blending,
    MultiViewBlendingClassifier,
)
from skaudio.views import make_view_union

# %%
# Sound, and the recordings that clips were cut from
# --------------------------------------------------

sr = 8000
X, y, groups = make_sounds(
    n_clips=120,
    n_classes=4,
    sr=sr,
    clips_per_source=2,
    return_groups=True,
    random_state=0,
)
splitter = StratifiedGroupShuffleSplit(test_size=0.3, random_state=0)
train, test = next(splitter.split(X, y, groups))
PlayerTable(X[:4], {"class": y[:4], "recording": groups[:4]}, sr=sr)

# %%
# One network, views included
# ---------------------------
# ``views`` is what computes them. ``X_test`` is watched: its losses are recorded, and
# nothing depends on them. Coarse views keep the example short.

views = make_view_union("mel", "gammatone", "cqt", "raw", sr=sr)
views.set_params(mel__n_mels=32, gammatone__n_bins=32)
views.set_params(cqt__n_bins=40, cqt__bins_per_octave=6)


def fit(blending):
    clf = MultiViewBlendingClassifier(
        blending=blending,
        views=views,
        augmentation=Augmentation(gain=6.0, snr=(10.0, 40.0)),
        width=0.1,
        attention="temporal",
        max_epochs=12,
        batch_size=16,
        validation_fraction=0.2,
        random_state=0,
    )
    return clf.fit(
        X[train], y[train], groups=groups[train], X_test=X[test], y_test=y[test]
    )


smoothed = fit(Blending(period=3, window=5))
display = BlendingDisplay.from_estimator(smoothed)

# %%
# A branch has a large share of the training loss while its validation loss falls along
# with its training loss. The first few evaluations only fill the window that smooths
# the losses, and leave all weights alike.
#
# The paper's rule
# ----------------
# Without momentum and a minimum weight, the same rule jumps: a branch counts only in
# the moments when it sets a new best. One that has lost its weight stops learning while
# the embeddings below it move on, so its loss rises, and it may never come back: watch
# the joint branch. ``blending="paper"`` is short for this rule, which is our
# reconstruction of the paper's.

paper = fit(Blending(period=3, window=5, momentum=0.0, min_weight=0.0))
display = BlendingDisplay.from_history(paper.blending_history_)

# %%
# Who decides
# -----------
# Accuracy on the test clips, by every branch alone, and by the ensemble of all with the
# weights of the model that was kept.

rows = {}
for name, clf in {"smoothed": smoothed, "paper's rule": paper}.items():
    branches = clf.branch_proba(X[test])
    decided = {k: clf.classes_[p.argmax(axis=1)] for k, p in branches.items()}
    decided["ensemble"] = clf.predict(X[test])
    rows[name] = {k: np.mean(labels == y[test]) for k, labels in decided.items()}
print(pd.DataFrame(rows).map("{:.0%}".format))

# %%
# With so few clips, differences of some points are noise: see the benchmark in the
# manual for real sound.

plt.show()
