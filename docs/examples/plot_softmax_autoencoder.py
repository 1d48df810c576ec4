"""
Codes that hold a sound and its class
=====================================

The Deep Softmax Autoencoder (Sawhney, Vasavada and Wang, 2018) makes a code of 64
numbers of a short slice of sound, from which one part of the network reconstructs the
slice, and another tells its class. In this example recordings are cut into slices as in
the paper, slices are divided in two ways, and codes are compared with those of an
autoencoder that knows no classes.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import ConfusionMatrixDisplay, classification_report
from sklearn.model_selection import StratifiedShuffleSplit

from skaudio.embedding import AutoencoderEmbedder, separation_table
from skaudio.inspection import EmbeddingDisplay, PlayerTable, TrainingDisplay
from skaudio.model_selection import StratifiedGroupShuffleSplit
from skaudio.neural_network import SoftmaxAutoencoderClassifier, TwoLayerClassifier
from skaudio.preprocessing import cut_clips
from skaudio.views import MeanPoolView, Views

# %%
# Slices
# ------
# Means of neighbouring samples make sound small enough for fully connected layers: here
# of 8 samples at 4 kHz, in the paper of 40 at 22.05 kHz. Ten slices side by side are
# cut of every recording. The recordings hum in one of four registers, each at a pitch
# of its own, in noise.

sr, pool_size, n_values = 4000, 8, 200
registers = {"A": 31.0, "B": 43.0, "C": 61.0, "D": 87.0}  # Hz
rng = np.random.default_rng(0)
labels = np.repeat(list(registers), 20)
pitch = np.array([registers[name] for name in labels])
pitch *= 2 ** rng.normal(0, 1 / 12, len(labels))  # a semitone, more or less
times = np.arange(4 * sr) / sr
recordings = np.sin(2 * np.pi * pitch[:, None] * times + rng.uniform(0, 6, (80, 1)))
recordings += rng.normal(size=recordings.shape)
view = MeanPoolView(sr=sr, pool_size=pool_size)
pooled = Views({"mean": view.transform(recordings)}, {"mean": view.rate})
slices = cut_clips(pooled, labels, duration=n_values / view.rate, overlap=0, n_clips=10)
X, y, groups = slices.X["mean"], slices.y, slices.groups
print(X.shape)

# %%
# Two ways to divide them
# -----------------------
# Drawn at random, slices of one recording are on both sides, and what is measured is
# also how well recordings are known again. Drawn by recording, it is how well classes
# are told in new ones.

networks = {
    "two layers": TwoLayerClassifier(max_epochs=40, random_state=0),
    "softmax autoencoder": SoftmaxAutoencoderClassifier(
        output_activation="linear", max_epochs=40, random_state=0
    ),
}
splits = {
    "random slices": StratifiedShuffleSplit(1, test_size=0.25, random_state=0),
    "new recordings": StratifiedGroupShuffleSplit(1, test_size=0.25, random_state=0),
}
accuracy = pd.DataFrame(index=list(networks), columns=list(splits), dtype=float)
for name, splitter in splits.items():
    by = groups if name == "new recordings" else None
    train, test = next(splitter.split(X, y, by))
    for kind, network in networks.items():
        network.fit(X[train], y[train], X_test=X[test], y_test=y[test])
        accuracy.loc[kind, name] = network.score(X[test], y[test])
print(accuracy.round(2).to_string())

# %%
# Accuracy over training
# ----------------------
# ``X_test`` was only watched. To see the accuracy on the training slices as well, watch
# these in another training. The training loss of the autoencoder is the weighted sum of
# both of its losses, its test loss is that of the classes alone, which is why they do
# not start together.

TrainingDisplay.from_estimator(networks)
plt.show()

# %%
# Per class
# ---------

model = networks["softmax autoencoder"]
predicted = model.predict(X[test])
report = classification_report(y[test], predicted, output_dict=True)
report = pd.DataFrame({name: report[name] for name in model.classes_}).T
print(report.round(2).to_string())
ConfusionMatrixDisplay.from_predictions(
    y[test], predicted, normalize="true", values_format=".2f", colorbar=False
)
plt.show()

# %%
# Slices, codes and logits
# ------------------------
# The same slices of new recordings, in two principal components each. Numbers behind
# the pictures: the silhouette, and the accuracy of a linear classifier of the
# embedding.

vanilla = AutoencoderEmbedder(
    output_activation="linear", max_epochs=40, random_state=0
).fit(X[train])
embeddings = {
    "slices": X[test],
    "codes, no classes": vanilla.transform(X[test]),
    "codes": model.transform(X[test]),
    "logits": model.predict_logits(X[test]),
}
EmbeddingDisplay.compare(embeddings, y[test])
plt.show()
table = separation_table(embeddings, y[test], groups[test])
print(table.drop(columns="n_folds").round(2).to_string(index=False))

# %%
# Back to sound
# -------------
# What a code holds can be heard: slices of the test, and what the decoder makes of
# their codes. Every value stands for the samples that it is the mean of.

rows = [int(np.flatnonzero(y[test] == name)[0]) for name in model.classes_]
chosen = X[test][rows]
back = model.inverse_transform(model.transform(chosen))
again = vanilla.inverse_transform(vanilla.transform(chosen))


def as_sound(values):
    """Samples at 16 kHz, which all browsers play, of slices."""
    return np.repeat(values[:, 0], pool_size * 16000 // sr, axis=1)


kinds = {"slice": chosen, "softmax autoencoder": back, "no classes": again}
PlayerTable(
    [as_sound(values)[i] for i in range(len(rows)) for values in kinds.values()],
    sr=16000,
    labels={
        "class": np.repeat(model.classes_, len(kinds)).tolist(),
        "from": list(kinds) * len(rows),
    },
    normalize=True,
)
