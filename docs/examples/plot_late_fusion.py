"""
Baselines, late fusion and one network for all views
====================================================

Before a network is worth its time, it has to beat what takes a second. Classical
baselines, a network for each view, the mean of their probabilities, and one network
on all views, on the same clips and the same split.
"""

import time

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio.datasets import make_sounds
from skaudio.ensemble import FrameClassifier, LateFusionClassifier
from skaudio.inspection import PlayerTable
from skaudio.mixture import GMMClassifier
from skaudio.neural_network import CRNNClassifier, MultiViewBlendingClassifier
from skaudio.preprocessing import FrameStatistics, ViewScaler
from skaudio.views import make_view_union

# %%
# Sounds that are easily confused
# -------------------------------
# Pitch, brightness, length and level are random in each of the five classes. Clips come
# in pairs that were cut from one source, which stay on one side of the split.

sr = 8000
X, y, groups = make_sounds(
    120, 5, sr=sr, clips_per_source=2, return_groups=True, random_state=0
)
PlayerTable(X[:6], {"class": y[:6]}, sr=sr)

# %%
# Views, once for all
# -------------------

union = make_view_union("mel", "cqt", "mfcc", sr=sr)
union.set_params(mel__n_mels=32, cqt__n_bins=40, cqt__bins_per_octave=6)
views = union.fit_transform(X)
train, test = next(StratifiedGroupKFold(3).split(y, y, groups))
rows = {}


def compare(name, model, Z, **options):
    """Note what a model reaches, and how long its training takes."""
    start = time.perf_counter()
    model.fit(Z[train], y[train], **options)
    seconds = time.perf_counter() - start
    rows[name] = {"accuracy": model.score(Z[test], y[test]), "seconds": seconds}
    return model


# %%
# Baselines
# ---------
# Means and deviations of cepstra and a perceptron; Gaussian mixtures of single frames,
# which vote.

mfcc = views["mfcc"]
perceptron = MLPClassifier((64,), max_iter=500, random_state=0)
compare(
    "MFCC, perceptron",
    make_pipeline(FrameStatistics(), StandardScaler(), perceptron),
    mfcc,
)
mixtures = FrameClassifier(GMMClassifier(n_components=4, random_state=0))
compare("MFCC frames, mixtures", mixtures, mfcc)

# %%
# A network per view, and the mean of what they say
# -------------------------------------------------

settings = {"width": 0.1, "max_epochs": 10, "batch_size": 16, "random_state": 0}
both = ViewScaler().fit_transform(views.select(["mel", "cqt"]))
late = compare("late fusion", LateFusionClassifier(CRNNClassifier(**settings)), both)
for name, proba in late.branch_proba(both[test]).items():
    seconds = sum(row["seconds"] for row in late.named_estimators_[name].history_)
    right = late.classes_[proba.argmax(axis=1)] == y[test]
    rows[f"{name} alone"] = {"accuracy": right.mean(), "seconds": seconds}

# %%
# One network for both
# --------------------

blended = MultiViewBlendingClassifier(**settings)
compare("blended", blended, both, groups=groups[train])
table = pd.DataFrame(rows).T.sort_values("accuracy")
print(table.round(2))

# %%
# With forty test clips the standard error of an accuracy of 70 % is seven points: most
# of these differences are noise, and that is what such a table should be read with.

n_test = len(test)
error = (table.accuracy * (1 - table.accuracy) / n_test) ** 0.5
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.errorbar(table.accuracy, table.index, xerr=error, fmt="o", capsize=3)
ax.set_xlabel("accuracy, with its standard error")
ax.grid(axis="x", alpha=0.4)
plt.show()
