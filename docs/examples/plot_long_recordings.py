"""
What happens when: a recording of four minutes
==============================================

A classifier of clips of one second goes over a long recording, window by window. What
comes out is a table with times, a picture, and the stretches worth listening to.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skaudio.datasets import make_everyday_sounds, make_recordings
from skaudio.inspection import PlayerTable, SegmentationDisplay
from skaudio.neural_network import CRNNClassifier
from skaudio.segmentation import predict_windows
from skaudio.views import MelView

# %%
# A classifier of clips
# ---------------------

sr = 8000
X, y = make_everyday_sounds(96, duration=1.0, sr=sr, random_state=0)
model = CRNNClassifier(
    views=MelView(sr=sr, top_db=None), width=0.1, max_epochs=12, random_state=0
).fit(X, y)

# %%
# A long recording
# ----------------
# Four minutes, put together from clips that the model has not seen. Yours would be the
# path of a file.

clips, labels = make_everyday_sounds(48, duration=4.0, sr=sr, random_state=1)
(recording,), truth = make_recordings(
    clips,
    labels,
    sr=sr,
    n_recordings=1,
    min_duration=240,
    max_duration=240,
    mean_durations=dict.fromkeys(np.unique(labels), 12.0),
    random_state=0,
)
PlayerTable([recording], {"stretch": ["first half minute"]}, sr=sr, max_duration=30.0)

# %%
# Window by window
# ----------------
# Windows are as long as the clips of ``fit``; with ``hop=0.5`` there is one every half
# second. With ``all_classes=True`` each class has a column.

windows = predict_windows(model, [recording], hop=0.5, all_classes=True)
print(windows.head().round(2).to_string(index=False))

# %%
# The whole recording at a glance
# -------------------------------

centres = (windows["start"] + windows["end"]) / 2
figure, ax = plt.subplots(figsize=(10, 3), layout="constrained")
image = ax.imshow(
    windows[model.classes_].T,
    aspect="auto",
    cmap="magma",
    vmin=0,
    vmax=1,
    extent=(centres.iloc[0], centres.iloc[-1], len(model.classes_) - 0.5, -0.5),
    interpolation="nearest",
)
ax.set(xlabel="Time (s)", yticks=range(len(model.classes_)), yticklabels=model.classes_)
figure.colorbar(image, label="Probability")
plt.show()

# %%
# From windows to events
# ----------------------
# Neighbouring windows of one label are one event; what is shorter than two seconds is
# left out.

number = (windows["label"] != windows["label"].shift()).cumsum().rename("event")
events = pd.DataFrame(
    {
        "start": centres.groupby(number).min() - 0.25,
        "end": centres.groupby(number).max() + 0.25,
        "label": windows.groupby(number)["label"].first(),
        "probability": windows.groupby(number)["probability"].mean(),
    }
)
events = events[events["end"] - events["start"] >= 2]
print(events.round(2).to_string(index=False))

# %%
# Above what was found, below how the recording was made. Few of the errors have a high
# probability: a threshold would leave most of them out.

display = SegmentationDisplay.from_segments(events, recording, sr=sr, truth=truth)
display.figure_.set_size_inches(10, 4)
plt.show()

# %%
# Listening to what was found
# ---------------------------
# The surest event of each class, three seconds from its middle.

surest = events.sort_values("probability").groupby("label").tail(1)
starts = (sr * ((surest["start"] + surest["end"]) / 2 - 1.5)).clip(lower=0).astype(int)
PlayerTable(
    [recording[start : start + 3 * sr] for start in starts],
    surest[["label", "start", "end", "probability"]].round(2),
    sr=sr,
)
