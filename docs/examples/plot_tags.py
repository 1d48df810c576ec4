"""
Tags: several sounds at once, and thresholds
============================================

Clips in which up to three things sound, a tagger, average precision per tag, and a
threshold for each tag in place of one half.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import PrecisionRecallDisplay, f1_score

from skaudio.datasets import make_everyday_sounds
from skaudio.inspection import PlayerTable
from skaudio.metrics import tag_report, top_tags
from skaudio.model_selection import TagThresholdClassifier
from skaudio.neural_network import CRNNClassifier
from skaudio.views import MelView

# %%
# Mixtures
# --------
# Four sounds, each at random on or off, some rarer than others: the indicator matrix
# of a data frame, whose columns name the tags.

sr = 8000
pure, names = make_everyday_sounds(
    160, 4, sr=sr, duration=1.0, clips_per_source=1, random_state=0
)
chances = {"bell": 0.5, "bird": 0.3, "engine": 0.4, "rain": 0.15}
rng = np.random.default_rng(0)
y = pd.DataFrame({tag: rng.random(160) < p for tag, p in chances.items()}).astype(int)
y.loc[y.sum(axis=1) == 0, "bell"] = 1
clips = {tag: pure[names == tag] for tag in y.columns}
X = np.stack(
    [
        sum(rng.choice(clips[tag]) for tag in y.columns[row == 1]) / 2
        for row in y.to_numpy()
    ]
).astype(np.float32)
tags = [list(y.columns[row == 1]) for row in y.to_numpy()]
PlayerTable(X[:5], {"tags": tags[:5]}, sr=sr)

# %%
# A tagger, with thresholds
# -------------------------
# `TagThresholdClassifier` trains the tagger on parts of the clips, looks at what it
# says of the others, and picks for each tag the threshold with the best F1.

train, test = np.arange(110), np.arange(110, 160)
tagger = CRNNClassifier(
    views=MelView(sr=sr, n_mels=32, cache=True),
    **{"width": 0.1, "max_epochs": 10, "batch_size": 16, "random_state": 0},
)
model = TagThresholdClassifier(tagger, cv=3).fit(X[train], y.iloc[train])
proba = model.predict_proba(X[test])
report = tag_report(y.iloc[test], proba, tag_names=model.classes_)
print(report.round(2))

# %%
# What thresholds change
# ----------------------
# The ranking of clips is the same; which of them get the tag is not.

half = f1_score(y.iloc[test], proba > 0.5, average=None, zero_division=0)
tuned = f1_score(y.iloc[test], model.predict(X[test]), average=None, zero_division=0)
print(
    pd.DataFrame(
        {"threshold": model.thresholds_, "F1 at 0.5": half, "F1 at threshold": tuned},
        index=model.classes_,
    ).round(2)
)
fig, ax = plt.subplots(figsize=(5.5, 4.2), layout="constrained")
for k, tag in enumerate(model.classes_):
    PrecisionRecallDisplay.from_predictions(
        y.iloc[test, k], proba[:, k], name=tag, ax=ax
    )
plt.show()

# %%
# The best tags of new clips
# --------------------------

PlayerTable(
    X[test][:5],
    {
        "heard": top_tags(proba[:5], model.classes_, k=2),
        "true": [tags[i] for i in test[:5]],
    },
    sr=sr,
)
