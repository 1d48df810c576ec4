"""
What a waveform network responds to
===================================

SampleCNN (Lee et al., 2018) takes the waveform itself, with filters of a few samples.
This example trains a narrow one on synthetic sounds, shows the frequencies that its
filters respond to, layer by layer, and uses its hidden layers as features.
"""

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from skaudio.datasets import make_sounds
from skaudio.embedding import LayerEmbedder, make_probe
from skaudio.inspection import EmbeddingDisplay, FilterSpectrumDisplay, PlayerTable
from skaudio.neural_network import SampleCNNClassifier

# %%
# Four kinds of sound
# -------------------

sr = 8000
X, y = make_sounds(n_clips=400, n_classes=4, sr=sr, random_state=0)
PlayerTable(X[:4], {"class": y[:4]}, sr=sr)

# %%
# A waveform in, a class out
# --------------------------
# The product of ``sizes`` is the length of a segment: 6,561 samples, 0.8 s at 8 kHz,
# which suits clips of a second better than the 2.6 s of the published networks. A short
# training on a CPU wants a narrow network and one cycle of Adam instead of the paper's
# long schedule of learning rates.

X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=0
)
clf = SampleCNNClassifier(
    sr=sr,
    sizes=(3,) * 8,
    width=0.15,
    max_epochs=30,
    optimizer="adam",
    lr=0.004,
    lr_schedule="one-cycle",
    validation_fraction=None,
    n_segments=3,
    random_state=0,
)
clf.fit(X_train, y_train)
print(f"accuracy on new clips: {clf.score(X_test, y_test):.0%}")

# %%
# Filters, sorted by the frequency of their peak (Figure 3 of the paper)
# ----------------------------------------------------------------------
# Gradient ascent from faint noise finds the waveform that excites a filter most. Each
# column is the spectrum of one filter. Three samples make no more than a low, a middle
# and a high band in the first layer; peaks of higher layers are narrower, and faint in
# a network as small as this one.

display = FilterSpectrumDisplay.from_estimator(clf, layers=(0, 1, 2, 3), random_state=0)
plt.show()

# %%
# Clips as seen by a low and by the top layer (Figure 5)
# ------------------------------------------------------
# Features of a layer are the largest activation of each filter within a segment,
# averaged over the clip. Classes that are mixed below are apart at the top.

fig, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for ax, layer in zip(axes, (1, -1), strict=True):
    embedder = LayerEmbedder(FrozenEstimator(clf), layers=[layer]).fit(X)
    EmbeddingDisplay.from_estimator(embedder, X_test, y_test, random_state=0, ax=ax)
    ax.set_title(f"layer {layer}")
plt.show()

# %%
# Features for another task
# -------------------------
# The same layers, frozen, for a task that the network was not trained on: is a clip
# in the louder half? ``make_probe`` puts a small classifier on top, and every clip is
# embedded only once, however often a search fits the pipeline.

loudness = (X**2).mean(axis=1)
louder = loudness > sorted(loudness)[len(X) // 2]
probe = make_probe(
    LayerEmbedder(FrozenEstimator(clf), layers=(-3, -2, -1)), head="logistic"
)
probe.fit(X[:300], louder[:300])
print(f"accuracy of the probe: {probe.score(X[300:], louder[300:]):.0%}")
